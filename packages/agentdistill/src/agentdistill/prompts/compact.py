"""Short prompts for small pretrained models: about 50 tokens before the question, tools as bare signatures.

A turn is one fenced block of Python. A thought stands before the block, or as comments in it.
"""

from __future__ import annotations

from collections.abc import Sequence

from agentdistill.prompts import format_passages
from agentdistill.retrieval import Passage
from agentdistill.tools import Tool
from agentdistill.types import Message

THOUGHT = "Thought: "
AGENT_STOP = ("\nObservation:",)

_AGENT = "Solve the task with Python code that ends in final_answer(result)."
_STEPS = "Answer with Python code, step by step. Print what you need to see; end with final_answer(answer). Functions: "
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
