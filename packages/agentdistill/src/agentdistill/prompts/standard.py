"""The words that instruction-tuned models of ordinary size are spoken to in: CodeAct steps, tools as functions."""

from __future__ import annotations

from collections.abc import Sequence

from agentdistill.prompts import format_passages
from agentdistill.retrieval import Passage
from agentdistill.tools import Tool, describe
from agentdistill.types import Message

THOUGHT = "Thought: "
AGENT_STOP = ("\nObservation:", "<end_code>")

_AGENT = """You answer questions by writing Python, one step at a time.

Every step has two parts. First a line that starts with "Thought:", in which you say what you know and what to do next.
Then a line "Code:" and one fenced block of Python:

Thought: I need the height of the tower before I can convert it.
Code:
```python
print(search("height of the tower"))
```

The block is run for you, and you are shown what it printed in the next message, after "Observation:". Variables and
imports stay from step to step. Print what you want to see. When you know the answer, call final_answer(...) with the
answer alone: a name, a number or a short phrase, no sentence. Never write an observation yourself, and do not guess
what a search or a computation would give: run it.

You can call these functions:

```python
{tools}
```"""

_COT = """You answer questions by thinking step by step. Write one step a paragraph, with an empty line between steps.
End with a line "Answer:" followed by the answer alone: a name, a number or a short phrase. Write the answer to a
mathematical problem inside \\boxed{}."""


def agent(question: str, tools: Sequence[Tool]) -> tuple[Message, ...]:
    """The opening of an agent's conversation."""
    return (Message("system", _AGENT.replace("{tools}", describe(tools))), Message("user", question))


def cot(question: str, passages: Sequence[Passage] = ()) -> tuple[Message, ...]:
    """The opening of a chain-of-thought answer, with the passages it may draw on."""
    text = f"Passages:\n{format_passages(passages)}\n\nQuestion: {question}" if passages else question
    return (Message("system", _COT), Message("user", text))


def action(thought: str, code: str) -> str:
    """One agent turn: the thought, where there is one, and a fenced block of code."""
    opening = f"{THOUGHT}{thought}\n" if thought else ""
    return f"{opening}Code:\n```python\n{code}\n```"


def observation(text: str) -> str:
    """What the environment says after a step."""
    return f"Observation:\n{text}"
