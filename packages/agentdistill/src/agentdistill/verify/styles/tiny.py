"""The words that TinyWorld's models judge by: short, since every token costs a small model."""

from __future__ import annotations

from collections.abc import Sequence

from agentdistill.prompts import tiny
from agentdistill.retrieval import Passage
from agentdistill.types import Message

VERDICT = tiny.VERDICT


def code(question: str, solution: str) -> tuple[Message, ...]:
    """Ask for a program that prints True or False."""
    return tiny.check(tiny.CHECK_CODE, question, solution)


def cot(question: str, solution: str) -> tuple[Message, ...]:
    """Ask for a check by thinking alone."""
    return tiny.check(tiny.CHECK_COT, question, solution)


def facts(question: str, solution: str, passages: Sequence[Passage]) -> tuple[Message, ...]:
    """Ask whether the documents contradict a claim of the solution."""
    return tiny.check(tiny.CHECK_FACTS, question, solution, passages)


def genrm(question: str, solution: str) -> tuple[Message, ...]:
    """Ask for a rationale and whether the final answer is right."""
    return tiny.check(tiny.CHECK_GENRM, question, solution)
