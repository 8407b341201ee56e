"""The words that instruction-tuned models of ordinary size judge by."""

from __future__ import annotations

from collections.abc import Sequence

from agentdistill.prompts import format_passages
from agentdistill.retrieval import Passage
from agentdistill.types import Message

VERDICT = "Verification: is it correct (Yes/No)? "

_CODE = """You check solutions to mathematical problems by writing a program. You are given a question and a proposed
solution. Write one block of Python, and nothing after it:

```python
...
```

The program computes what the solution claims, from the numbers of the question, and prints True if the solution holds
and False if it does not. It prints nothing else. Import nothing but math, sympy and cmath. Never compare floating-point
numbers with ==: compare whole numbers or fractions, or use math.isclose."""

_COT = f"""You check solutions to mathematical problems. You are given a question and a proposed solution. Go through it
step by step and do every calculation again by yourself. End with a line of this form, with Yes or No at its end:
{VERDICT}Yes"""

_FACTS = f"""You compare a proposed solution with documents. Look only at the facts that it states explicitly, one after
another, and leave its final answer aside. For each write one line:
Claim: the fact, in your words -> supported
or -> contradicted, or -> not mentioned. A fact that the documents do not mention counts as correct. If it states none,
write: Claim: none -> not mentioned. End with a line of this form, with Yes if no fact is contradicted and No otherwise:
{VERDICT}Yes"""

_GENRM = f"""You grade solutions. You are given a question and a proposed solution. Think about whether its final answer
is right, step by step, looking for the first mistake. End with a line of this form, with Yes or No at its end:
{VERDICT}Yes"""


def _asked(question: str, solution: str) -> str:
    return f"Question:\n{question}\n\nProposed solution:\n{solution}"


def code(question: str, solution: str) -> tuple[Message, ...]:
    """Ask for a program that prints True or False."""
    return (Message("system", _CODE), Message("user", _asked(question, solution)))


def cot(question: str, solution: str) -> tuple[Message, ...]:
    """Ask for a check by thinking alone."""
    return (Message("system", _COT), Message("user", _asked(question, solution)))


def facts(question: str, solution: str, passages: Sequence[Passage]) -> tuple[Message, ...]:
    """Ask whether the documents contradict a claim of the solution."""
    text = f"Documents:\n{format_passages(passages)}\n\n{_asked(question, solution)}"
    return (Message("system", _FACTS), Message("user", text))


def genrm(question: str, solution: str) -> tuple[Message, ...]:
    """Ask for a rationale and whether the final answer is right."""
    return (Message("system", _GENRM), Message("user", _asked(question, solution)))
