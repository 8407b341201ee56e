"""The sandbox as an environment of TRL's trainers: the model under training calls `python`, a tool that keeps state."""

from __future__ import annotations

from typing import Any

from agentdistill.environment import Environment, Workspace
from agentdistill.errors import InfrastructureError, PluginError


class SandboxEnvironment:
    """One rollout at a time, for ``GRPOTrainer(environment_factory=partial(SandboxEnvironment, environment))``.

    The code that the model sends can call the tools of ``environment``. Reward functions get the instances as
    ``environments`` and find in ``answer`` what the code gave to ``final_answer``, None if it did not. A subclass with
    ``get_reward(self) -> float`` has its own reward. TRL offers every public method of the class to the model, one of
    a subclass too; so there is no ``close``: ``environment`` is closed by who made it.
    """

    def __init__(self, environment: Environment) -> None:
        self.answer: str | None = None
        self._environment = environment
        self._workspace: Workspace | None = None
        self._fault: Exception | None = None

    def reset(self, **row: Any) -> None:
        """Begin a rollout with a fresh state. Raises what broke the last one: TRL tells that to the model only."""
        if self._workspace is not None:
            self._workspace.close()
        if self._fault is not None:
            raise self._fault
        self._workspace, self.answer = self._environment.open(), None

    def python(self, code: str) -> str:
        """
        Run Python code and return what it prints, or the value of its last line. Variables are kept for the next call.

        Args:
            code: The code to run. It calls final_answer(x) once it knows the answer x.

        Returns:
            What the code printed, or the error that it raised.
        """
        if self._workspace is None:
            raise RuntimeError("reset() comes first")
        try:
            done = self._workspace.run(code)
        except (InfrastructureError, PluginError) as e:
            self._fault = e
            raise
        if done.answer is not None:
            self.answer = done.answer
        return done.observation
