"""The words that judges are spoken to in. A style is one module here, found by its name, as in ``prompts``.

A style module has ``code``, ``cot``, ``facts`` and ``genrm``, which open a judge's conversation about a question and a
solution, and ``VERDICT``, how the line with the verdict begins.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Sequence
from typing import Protocol, cast

from agentdistill.errors import UserError
from agentdistill.retrieval import Passage
from agentdistill.types import Message

__all__ = ["VerifyStyle", "load_style", "styles"]


class VerifyStyle(Protocol):
    """What a style module is."""

    VERDICT: str

    def code(self, question: str, solution: str) -> tuple[Message, ...]:
        """Ask for a program that prints True or False."""

    def cot(self, question: str, solution: str) -> tuple[Message, ...]:
        """Ask for a check by thinking alone, ended by the line with the verdict."""

    def facts(self, question: str, solution: str, passages: Sequence[Passage]) -> tuple[Message, ...]:
        """Ask whether the documents contradict a claim of the solution."""

    def genrm(self, question: str, solution: str) -> tuple[Message, ...]:
        """Ask for a rationale and whether the final answer is right."""


def styles() -> tuple[str, ...]:
    """The names of the styles there are, in order."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__)))


def load_style(name: str) -> VerifyStyle:
    """The style called ``name``. Raises UserError naming the nearest for an unknown one."""
    if name not in styles():
        near = difflib.get_close_matches(name, styles(), n=1)
        hint = f'; did you mean "{near[0]}"?' if near else ""
        raise UserError(f'no style of verification is called "{name}"{hint} (there are: {", ".join(styles())})')
    return cast(VerifyStyle, importlib.import_module(f"{__name__}.{name}"))
