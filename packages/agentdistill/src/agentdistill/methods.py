"""The methods that are compared: how a model is prompted, and what its student was trained on."""

from __future__ import annotations

from dataclasses import dataclass

from agentdistill.errors import UserError
from agentdistill.registry import unknown


@dataclass(frozen=True, slots=True)
class Method:
    """``loop`` is ``agent`` or ``cot``. ``learns`` names the collection a student is trained on, None for prompting.

    ``passages`` puts retrieved passages beside the question; ``prefix`` begins the agent with its own first thought.
    ``votes`` lets it act by self-consistent action generation.
    """

    name: str
    loop: str
    learns: str | None = None
    passages: bool = False
    prefix: bool = False
    votes: bool = False

    @property
    def ignores(self) -> tuple[str, ...]:
        """The parts of a recipe's settings that no episode of it depends on, by their names in a stage's key."""
        prefix = () if self.prefix else ("teacher.settings.prefix_mode",)
        if self.loop == "agent":
            return prefix
        acting = (*prefix, "tools", "functions", "sandbox", "rollout.max_steps", "rollout.observation_chars")
        return acting if self.passages else (*acting, "search", "corpus")


METHODS: dict[str, Method] = {
    m.name: m
    for m in (
        Method("cot", "cot"),
        Method("cot-rag", "cot", passages=True),
        Method("agent", "agent"),
        Method("agent-prefix", "agent", prefix=True),
        Method("cot-distill", "cot", learns="cot"),
        Method("cot-distill-rag", "cot", learns="cot-rag", passages=True),
        Method("agent-distill", "agent", learns="agent"),
        Method("agent-distill-prefix", "agent", learns="agent-prefix"),
        Method("agent-sag", "agent", votes=True),
        Method("agent-distill-sag", "agent", learns="agent", votes=True),
        Method("agent-distill-prefix-sag", "agent", learns="agent-prefix", votes=True),
    )
}


def method(name: str) -> Method:
    """The method called ``name``. Raises UserError naming the nearest for an unknown one."""
    if name not in METHODS:
        raise UserError(unknown("method", name, METHODS))
    return METHODS[name]
