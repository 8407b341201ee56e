"""The sandbox as what runs the code of a smolagents CodeAgent."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from smolagents.local_python_executor import CodeOutput, PythonExecutor

from agentdistill.environment import error_text
from agentdistill.sandbox import Sandbox

_OWN = "final_answer"  # the sandbox's: it ends the cell


class SandboxExecutor(PythonExecutor):  # type: ignore[misc]
    """For ``CodeAgent(executor=SandboxExecutor(box), ...)``: each agent gets its own session of ``box``.

    Tools run in this process, with JSON values in and out. A final answer is text: a str as it is, anything else as
    Python shows it. Which modules may be imported is the sandbox's to say, not ``additional_authorized_imports``.
    """

    def __init__(self, box: Sandbox) -> None:
        self.state: dict[str, Any] = {}  # where an agent looks for what was printed before an error
        self._tools: dict[str, Callable[..., Any]] = {}
        self._session = box.session(tools={})

    def send_tools(self, tools: Mapping[str, Callable[..., Any]]) -> None:
        """Let the code call these, and no longer those sent before; the state is kept."""
        wanted = {name: tool for name, tool in tools.items() if name != _OWN}
        if wanted != self._tools:
            before, self._tools = self._session, wanted
            (self._session,) = before.fork(tools=[wanted])
            before.drop()

    def send_variables(self, variables: Mapping[str, Any]) -> None:
        """Set variables in the state. Raises ValueError for a value that is not JSON."""
        for name, value in variables.items():
            try:
                text = json.dumps(value)
            except (TypeError, ValueError) as e:
                raise ValueError(f"the variable {name!r} cannot be sent to the sandbox: {e}") from e
            self._run(f"import json as _json\n{name} = _json.loads({text!r})")

    def __call__(self, code_action: str) -> CodeOutput:
        """Run one action. Raises RuntimeError, which the agent shows its model, for code that fails or is stopped."""
        return self._run(code_action)

    def _run(self, code: str) -> CodeOutput:
        done = self._session.exec(code)
        self.state["_print_outputs"] = done.output
        if done.error is not None:
            raise RuntimeError(error_text(done.error.type, done.error.message, None).removeprefix("Error: "))
        if not done.ok:
            raise RuntimeError(f"the code was stopped: {done.stop.value}")
        return CodeOutput(done.final_answer if done.is_final else done.value, done.output, done.is_final)

    def cleanup(self) -> None:
        """End the session; the agent's own ``cleanup`` calls it."""
        self._session.close()
