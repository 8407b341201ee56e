"""The words that models are spoken to in. A style is one module here, found by its name.

A style module has ``agent(question, tools)`` and ``cot(question, passages)``, which open a conversation;
``action(thought, code)``, an agent's turn; ``observation(text)``, what the environment says after a step; ``THOUGHT``,
how every agent turn begins; and ``AGENT_STOP``, the strings at which a turn is over. ``TOOL_RESULT_CHARS`` bounds an
observation.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Sequence
from typing import Protocol, cast

from agentdistill.errors import UserError
from agentdistill.retrieval import Passage
from agentdistill.tools import Tool
from agentdistill.types import Message

__all__ = ["Style", "format_passages", "load_style", "styles"]


class Style(Protocol):
    """What a style module is."""

    THOUGHT: str
    AGENT_STOP: tuple[str, ...]

    def agent(self, question: str, tools: Sequence[Tool]) -> tuple[Message, ...]:
        """The opening of an agent's conversation."""

    def cot(self, question: str, passages: Sequence[Passage] = ()) -> tuple[Message, ...]:
        """The opening of a chain-of-thought answer, with passages where they were retrieved."""

    def action(self, thought: str, code: str) -> str:
        """One agent turn as a model writes it: the thought, where there is one, and the code."""

    def observation(self, text: str) -> str:
        """What the environment says after a step."""


def styles() -> tuple[str, ...]:
    """The names of the styles there are, in order."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__)))


def load_style(name: str) -> Style:
    """The style called ``name``. Raises UserError naming the nearest for an unknown one."""
    if name not in styles():
        near = difflib.get_close_matches(name, styles(), n=1)
        hint = f'; did you mean "{near[0]}"?' if near else ""
        raise UserError(f'no prompt style is called "{name}"{hint} (there are: {", ".join(styles())})')
    return cast(Style, importlib.import_module(f"{__name__}.{name}"))


def format_passages(passages: Sequence[Passage]) -> str:
    """How search results read, one passage a line: ``[1] Title: text``."""
    if not passages:
        return "No passages found."
    return "\n".join(f"[{i}] {p.title}: {p.text}" if p.title else f"[{i}] {p.text}" for i, p in enumerate(passages, 1))
