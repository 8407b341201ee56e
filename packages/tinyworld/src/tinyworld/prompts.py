"""The prompt template ``tiny``, for agents and verifiers: short, since every token costs a small model.

TinyWorld's checker was pretrained on checks in this form.
"""

from __future__ import annotations

from collections.abc import Sequence

from agentdistill.prompts import format_passages, known_lines
from agentdistill.retrieval import Passage
from agentdistill.tools import Tool
from agentdistill.types import Message

AGENT_SYSTEM = "Solve with Python and search."
COT_SYSTEM = "Think step by step."
CHECKS = {
    "code": "Check with Python.",
    "cot": "Check step by step.",
    "facts": "Check the facts.",
    "genrm": "Is it right?",
}
"""What a verifier is told, by its role."""
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


def check(role: str, question: str, solution: str, passages: Sequence[Passage] | None = None) -> tuple[Message, ...]:
    """The opening of a check by a verifier of that role, with the passages that were found for it."""
    asked = f"{question}\n{solution}"
    text = asked if passages is None else f"{format_passages(passages)}\n{asked}"
    return (Message("system", CHECKS[role]), Message("user", text))


def claims(question: str, solution: str) -> tuple[Message, ...]:
    """Asks for the facts that a solution states."""
    return (Message("system", "List the claims."), Message("user", f"{question}\n{solution}"))


def query(claim: str, known: Sequence[str]) -> tuple[Message, ...]:
    """Asks what to search for, or what to compute."""
    return (Message("system", "Search for it."), Message("user", known_lines(known) + f"Claim: {claim}"))


def claim(claim: str, known: Sequence[str], passages: Sequence[Passage]) -> tuple[Message, ...]:
    """Asks what the passages say of a claim."""
    return (
        Message("system", "Is it so?"),
        Message("user", f"{format_passages(passages)}\n{known_lines(known)}Claim: {claim}"),
    )
