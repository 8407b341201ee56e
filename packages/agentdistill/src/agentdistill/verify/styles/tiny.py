"""The words that TinyWorld's models judge by: short, since every token costs a small model.

``code_reply`` and ``cot_reply`` write what a judge of this style should say: TinyWorld's verifiers learn from such
transcripts, as its agents learn from written ones. With code a check is copying, without it every line is a sum to be
done in the head: the difference that the theory is about.
"""

from __future__ import annotations

from collections.abc import Sequence

from agentdistill.prompts import format_passages
from agentdistill.retrieval import Passage
from agentdistill.types import Message

CODE_SYSTEM = "Check with Python."
COT_SYSTEM = "Check step by step."
FACTS_SYSTEM = "Check the facts."
GENRM_SYSTEM = "Is it right?"
VERDICT = "Verification: "


def _asked(question: str, solution: str) -> str:
    return f"{question}\n{solution}"


def code(question: str, solution: str) -> tuple[Message, ...]:
    """Ask for a program that prints True or False."""
    return (Message("system", CODE_SYSTEM), Message("user", _asked(question, solution)))


def cot(question: str, solution: str) -> tuple[Message, ...]:
    """Ask for a check by thinking alone."""
    return (Message("system", COT_SYSTEM), Message("user", _asked(question, solution)))


def facts(question: str, solution: str, passages: Sequence[Passage]) -> tuple[Message, ...]:
    """Ask whether the documents contradict a claim of the solution."""
    return (
        Message("system", FACTS_SYSTEM),
        Message("user", f"{format_passages(passages)}\n{_asked(question, solution)}"),
    )


def genrm(question: str, solution: str) -> tuple[Message, ...]:
    """Ask for a rationale and whether the final answer is right."""
    return (Message("system", GENRM_SYSTEM), Message("user", _asked(question, solution)))


def code_reply(pairs: Sequence[tuple[str, str]]) -> str:
    """A program that compares both sides of every calculation, and prints True if all agree."""
    checks = " and ".join(f"{left} == {right}" for left, right in pairs) or "False"
    return f"```py\nprint({checks})\n```"


def cot_reply(pairs: Sequence[tuple[str, str, bool]]) -> str:
    """Every calculation with yes or no behind it, then the verdict: no if any of them is no."""
    lines = [f"{left} = {right} {'yes' if holds else 'no'}" for left, right, holds in pairs]
    verdict = "Yes" if pairs and all(holds for _, _, holds in pairs) else "No"
    return "\n".join([*lines, VERDICT + verdict])
