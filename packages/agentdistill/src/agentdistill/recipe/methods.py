"""The methods that are compared: how a model is prompted, and what its student was trained on, as flags.

A method has a compact name: ``agent`` or ``cot``, then the flags that it has, in this order: ``-distill``, ``-prefix``,
``-rag``, ``-sag``.
"""

from __future__ import annotations

import itertools
from dataclasses import astuple, dataclass, replace

from agentdistill.errors import UserError
from agentdistill.registry import unknown

_FLAGS = ("distill", "prefix", "rag", "sag")


@dataclass(frozen=True, slots=True)
class Method:
    """An agent or, else, a chain of thought. ``distilled``: by a student that was trained on such trajectories.

    ``prefix`` begins an agent's trajectory with the first thought of the model's own chain of thought: a prompted
    agent's own, of a distilled one those that it was trained on. ``retrieval`` puts retrieved passages beside the
    question of a chain of thought. ``consistency`` lets an agent act by self-consistent action generation.
    """

    agent: bool
    distilled: bool = False
    prefix: bool = False
    retrieval: bool = False
    consistency: bool = False

    @property
    def loop(self) -> str:
        """``agent`` or ``cot``."""
        return "agent" if self.agent else "cot"

    @property
    def name(self) -> str:
        """The compact name, such as ``agent-distill-prefix``; folders are called by it."""
        return "-".join([self.loop, *(f for f, has in zip(_FLAGS, astuple(self)[1:], strict=True) if has)])

    @property
    def label(self) -> str:
        """What it is called in a report, such as ``Agent distilled + prefix``."""
        extras = [e for e, has in zip(("prefix", "retrieval", "SAG"), astuple(self)[2:], strict=True) if has]
        base = "Agent" if self.agent else "CoT"
        how = " distilled" if self.distilled else "" if extras else " prompted"
        return " + ".join([base + how, *extras])

    @property
    def learns(self) -> str | None:
        """The collection that its student is trained on; None for prompting."""
        return replace(self, distilled=False, consistency=False).name if self.distilled else None

    @property
    def first_thought(self) -> bool:
        """Whether an episode begins with the model's own first thought. A distilled student writes it by itself."""
        return self.prefix and not self.distilled

    @property
    def ignores(self) -> tuple[str, ...]:
        """The parts of a recipe's settings that no episode of it depends on, by their names in a stage's key."""
        prefix = () if self.first_thought else ("teacher.settings.prefix_mode",)
        if self.agent:
            return prefix
        acting = (*prefix, "tools", "functions", "sandbox", "rollout.max_steps", "rollout.observation_chars")
        return acting if self.retrieval else (*acting, "search", "corpus")

    @property
    def nonsense(self) -> str:
        """Why these flags do not go together; "" where they do."""
        if self.agent and self.retrieval:
            return "an agent searches by itself; -rag is for cot"
        if not self.agent and self.prefix:
            return "a chain of thought has no agent's first step to begin; -prefix is for agent"
        if not self.agent and self.consistency:
            return "a chain of thought takes no actions to choose among; -sag is for agent"
        return ""


def _all() -> list[Method]:
    """Every combination of flags that makes sense, in the order of the paper's table: the whole method last."""
    flags = itertools.product((False, True), repeat=5)
    found = [Method(agent, distilled, prefix, rag, sag) for agent, distilled, rag, sag, prefix in flags]
    return [m for m in found if not m.nonsense]


NAMES = tuple(m.name for m in _all())
COLLECTIONS = tuple(sorted({m.learns for m in _all() if m.learns}))
"""What a student can be trained on, each called by the method that prompts for it."""


def method(name: str) -> Method:
    """The method called ``name``. Raises UserError, one line, for an unknown flag, for flags that do not go together,
    and for flags in another order than names have."""
    loop, *flags = name.split("-")
    if loop not in ("agent", "cot") or len(set(flags)) < len(flags) or not set(flags) <= set(_FLAGS):
        raise UserError(unknown("method", name, NAMES))
    found = Method(loop == "agent", *(f in flags for f in _FLAGS))
    if found.nonsense:
        raise UserError(f'no method is "{name}": {found.nonsense}')
    if found.name != name:
        raise UserError(f'method "{name}" is written "{found.name}"')
    return found
