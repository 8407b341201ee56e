"""Prompt templates: what models are told, and how their turns are written. A template is a module or an object.

It has ``agent(question, tools)`` and ``cot(question, passages)``, which open a conversation;
``action(thought, code)``, an agent's turn; ``observation(text)``, what the environment says after a step; ``THOUGHT``,
how every agent turn begins; and ``AGENT_STOP``, the strings at which a turn is over. ``TOOL_RESULT_CHARS`` bounds an
observation.

A template for verifiers also has ``check_code``, ``check_cot``, ``check_facts`` and ``check_genrm``, which open a
conversation about a question and a solution, and ``VERDICT``, how the line with the verdict begins. Where it has
``code_reply(pairs)`` and ``cot_reply(pairs)``, checks can be written by rule from the calculations of a solution.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

from agentdistill import registry
from agentdistill.errors import UserError
from agentdistill.retrieval import Passage
from agentdistill.tools import Tool
from agentdistill.types import Message


class Style(Protocol):
    """What a prompt template is."""

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


class VerifyStyle(Protocol):
    """What a prompt template has for verifiers. Every method opens a conversation."""

    VERDICT: str

    def check_code(self, question: str, solution: str) -> tuple[Message, ...]:
        """Ask for a program that prints True or False."""

    def check_cot(self, question: str, solution: str) -> tuple[Message, ...]:
        """Ask for a check by thinking alone, ended by the line with the verdict."""

    def check_facts(self, question: str, solution: str, passages: Sequence[Passage]) -> tuple[Message, ...]:
        """Ask whether the documents contradict a claim of the solution."""

    def check_genrm(self, question: str, solution: str) -> tuple[Message, ...]:
        """Ask for a rationale and whether the final answer is right."""


def load_style(name: str) -> Style:
    """The template called ``name``. Raises UserError naming the nearest for an unknown one."""
    return cast(Style, registry.load("prompts", name))


def can_verify(style: Style) -> bool:
    """Whether a template has prompts for verifiers."""
    return hasattr(style, "check_code")


def load_verify_style(name: str) -> VerifyStyle:
    """The template called ``name``, for verifiers. Raises UserError for an unknown one and one without checks."""
    style = load_style(name)
    if not can_verify(style):
        raise UserError(f'prompt template "{name}" has no prompts for verifiers; use "standard"')
    return cast(VerifyStyle, style)


def format_passages(passages: Sequence[Passage]) -> str:
    """How search results read, one passage a line: ``[1] Title: text``."""
    if not passages:
        return "No passages found."
    return "\n".join(f"[{i}] {p.title}: {p.text}" if p.title else f"[{i}] {p.text}" for i, p in enumerate(passages, 1))
