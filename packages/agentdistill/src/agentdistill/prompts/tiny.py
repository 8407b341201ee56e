"""The words TinyWorld's models are spoken to in: short, since every token costs a small model."""

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
