"""The prompt template ``tiny``, for agents and verifiers: short, since every token costs a small model.

TinyWorld's checker has read checks in these words. ``code_reply`` and ``cot_reply`` write checks by rule for the toy
task, whose verifiers are not distilled: with code a check is copying, without it every line is a sum in the head.
"""

from __future__ import annotations

from collections.abc import Sequence

from agentdistill.prompts import format_passages
from agentdistill.retrieval import Passage
from agentdistill.tools import Tool
from agentdistill.types import Message

AGENT_SYSTEM = "Solve with Python and search."
COT_SYSTEM = "Think step by step."
CHECK_CODE, CHECK_COT, CHECK_FACTS, CHECK_GENRM = (
    "Check with Python.", "Check step by step.", "Check the facts.", "Is it right?",
)  # fmt: skip
VERDICT = "Verification: "
"""How the last line of a check begins; Yes or No follows."""
THOUGHT = "Thought: "
AGENT_STOP = ()


def agent(question: str, tools: Sequence[Tool]) -> tuple[Message, ...]:
    """The opening of an agent's conversation. TinyWorld's models know their tools by heart."""
    return (Message("system", AGENT_SYSTEM), Message("user", question))


def cot(question: str, passages: Sequence[Passage] = ()) -> tuple[Message, ...]:
    """The opening of a chain-of-thought answer."""
    text = f"{format_passages(passages)}\n{question}" if passages else question
    return (Message("system", COT_SYSTEM), Message("user", text))


def action(thought: str, code: str) -> str:
    """One agent turn: thought, then a fenced block of code."""
    return f"{THOUGHT}{thought}\nCode:\n```py\n{code}\n```"


def observation(text: str) -> str:
    """What the environment says after a step."""
    return f"Observation: {text}"


def check(system: str, question: str, solution: str, passages: Sequence[Passage] | None = None) -> tuple[Message, ...]:
    """The opening of a check of somebody's solution, with the passages that were found for it."""
    asked = f"{question}\n{solution}"
    text = asked if passages is None else f"{format_passages(passages)}\n{asked}"
    return (Message("system", system), Message("user", text))


def check_code(question: str, solution: str) -> tuple[Message, ...]:
    """Ask for a program that prints True or False."""
    return check(CHECK_CODE, question, solution)


def check_cot(question: str, solution: str) -> tuple[Message, ...]:
    """Ask for a check by thinking alone."""
    return check(CHECK_COT, question, solution)


def check_facts(question: str, solution: str, passages: Sequence[Passage]) -> tuple[Message, ...]:
    """Ask whether the documents contradict a claim of the solution."""
    return check(CHECK_FACTS, question, solution, passages)


def check_genrm(question: str, solution: str) -> tuple[Message, ...]:
    """Ask for a rationale and whether the final answer is right."""
    return check(CHECK_GENRM, question, solution)


def code_reply(pairs: Sequence[tuple[str, str]]) -> str:
    """A program that compares both sides of every calculation, and prints True if all agree."""
    checks = " and ".join(f"{left} == {right}" for left, right in pairs) or "False"
    return f"```py\nprint({checks})\n```"


def cot_reply(pairs: Sequence[tuple[str, str, bool]]) -> str:
    """Every calculation with yes or no behind it, then the verdict: no if any of them is no."""
    lines = [f"{left} = {right} {'yes' if holds else 'no'}" for left, right, holds in pairs]
    verdict = "Yes" if pairs and all(holds for _, _, holds in pairs) else "No"
    return "\n".join([*lines, VERDICT + verdict])
