"""Short prompts for small pretrained models: about 50 tokens before the question, tools as bare signatures.

A turn is one fenced block of Python. A thought stands before the block, or as comments in it.
"""

from __future__ import annotations

from collections.abc import Sequence

from agentdistill.prompts import format_passages, known_lines
from agentdistill.retrieval import Passage
from agentdistill.tools import Tool
from agentdistill.types import Message

THOUGHT = "Thought: "
AGENT_STOP = ("\nObservation:",)

_AGENT = "Solve the task with Python code that ends in final_answer(result)."
_STEPS = "Answer with Python code, step by step. Print what you need to see; end with final_answer(answer). Functions: "
VERDICT = "Verification: "
_CHECKS = {
    "code": "Write Python code that solves the task and prints True if the solution's answer is right, else False.",
    "cot": "Check the solution step by step. End with a line: Verification: Yes, or Verification: No",
    "facts": "Check each fact of the solution against the passages, a line each: Claim: the fact -> supported, "
    "contradicted or not mentioned. End with a line: Verification: Yes, or Verification: No",
    "genrm": "Is the answer right? Think step by step. End with a line: Verification: Yes, or Verification: No",
}
_CLAIMS = "List the facts that the solution states, a line each: Claim: the fact, with its names. No facts: Claim: none"
_QUERY = "Write one line: Search: what to look up to check the claim, or Run: a Python expression over what is known."
_CLAIM = "What do the passages say? Write one line: a sentence, then -> supported, -> contradicted or -> not found."
_COT = "Think step by step. End with a line: Answer: the answer alone."


def agent(question: str, tools: Sequence[Tool]) -> tuple[Message, ...]:
    """The opening of an agent's conversation. Without tools one step is enough, and the prompt says so."""
    system = _STEPS + ", ".join(t.signature for t in tools) if tools else _AGENT
    return (Message("system", system), Message("user", question))


def cot(question: str, passages: Sequence[Passage] = ()) -> tuple[Message, ...]:
    """The opening of a chain-of-thought answer, with the passages it may draw on."""
    text = f"{format_passages(passages)}\n\nQuestion: {question}" if passages else question
    return (Message("system", _COT), Message("user", text))


def action(thought: str, code: str) -> str:
    """One agent turn: the thought, where there is one, and a fenced block of code."""
    opening = f"{THOUGHT}{thought}\n" if thought else ""
    return f"{opening}```python\n{code}\n```"


def observation(text: str) -> str:
    """What the environment says after a step."""
    return f"Observation: {text}"


def check(role: str, question: str, solution: str, passages: Sequence[Passage] | None = None) -> tuple[Message, ...]:
    """The opening of a check by a verifier of that role, with the passages that were found for it."""
    text = _solved(question, solution)
    if passages is not None:
        text = f"{format_passages(passages)}\n\n{text}"
    return (Message("system", _CHECKS[role]), Message("user", text))


def claims(question: str, solution: str) -> tuple[Message, ...]:
    """Asks for the facts that a solution states."""
    return (Message("system", _CLAIMS), Message("user", _solved(question, solution)))


def query(claim: str, known: Sequence[str]) -> tuple[Message, ...]:
    """Asks what to search for, or what to compute."""
    return (Message("system", _QUERY), Message("user", known_lines(known) + f"Claim: {claim}"))


def claim(claim: str, known: Sequence[str], passages: Sequence[Passage]) -> tuple[Message, ...]:
    """Asks what the passages say of a claim."""
    text = f"{format_passages(passages)}\n\n{known_lines(known)}Claim: {claim}"
    return (Message("system", _CLAIM), Message("user", text))


def _solved(question: str, solution: str) -> str:
    return f"{question}\n\nSolution: {solution}"
