"""The words that TinyWorld's models judge by: short, since every token costs a small model.

TinyWorld's teacher has read checks in these words. ``code_reply`` and ``cot_reply`` write them by rule for the toy
task, whose verifiers are not distilled: with code a check is copying, without it every line is a sum in the head.
"""

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


def code_reply(pairs: Sequence[tuple[str, str]]) -> str:
    """A program that compares both sides of every calculation, and prints True if all agree."""
    checks = " and ".join(f"{left} == {right}" for left, right in pairs) or "False"
    return f"```py\nprint({checks})\n```"


def cot_reply(pairs: Sequence[tuple[str, str, bool]]) -> str:
    """Every calculation with yes or no behind it, then the verdict: no if any of them is no."""
    lines = [f"{left} = {right} {'yes' if holds else 'no'}" for left, right, holds in pairs]
    verdict = "Yes" if pairs and all(holds for _, _, holds in pairs) else "No"
    return "\n".join([*lines, VERDICT + verdict])
