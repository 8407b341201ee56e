"""Prompt templates for verifiers, by the names of those in ``prompts``: what opens a check of a question's solution."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agentdistill.errors import UserError
from agentdistill.prompts import format_passages, tiny
from agentdistill.registry import unknown
from agentdistill.retrieval import Passage
from agentdistill.types import Message

Passages = Sequence[Passage] | None


@dataclass(frozen=True, slots=True)
class VerifyStyle:
    """``instructions`` by role (``code``, ``cot``, ``facts``, ``genrm``); ``verdict`` begins the line with the verdict;
    ``opening`` makes a conversation of an instruction, a question, its solution and the passages found for them."""

    verdict: str
    instructions: Mapping[str, str]
    opening: Callable[[str, str, str, Passages], tuple[Message, ...]]

    def ask(self, role: str, question: str, solution: str, passages: Passages = None) -> tuple[Message, ...]:
        """The opening of a check in that role."""
        return self.opening(self.instructions[role], question, solution, passages)


def _standard(instruction: str, question: str, solution: str, passages: Passages) -> tuple[Message, ...]:
    text = f"Question:\n{question}\n\nProposed solution:\n{solution}"
    if passages is not None:
        text = f"Documents:\n{format_passages(passages)}\n\n{text}"
    return (Message("system", instruction), Message("user", text))


_VERDICT = "Verification: is it correct (Yes/No)? "

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
{_VERDICT}Yes"""

_FACTS = f"""You compare a proposed solution with documents. Look only at the facts that it states explicitly, one after
another, and leave its final answer aside. For each write one line:
Claim: the fact, in your words -> supported
or -> contradicted, or -> not mentioned. A fact that the documents do not mention counts as correct. If it states none,
write: Claim: none -> not mentioned. End with a line of this form, with Yes if no fact is contradicted and No otherwise:
{_VERDICT}Yes"""

_GENRM = f"""You grade solutions. You are given a question and a proposed solution. Think about whether its final answer
is right, step by step, looking for the first mistake. End with a line of this form, with Yes or No at its end:
{_VERDICT}Yes"""

STANDARD = VerifyStyle(_VERDICT, {"code": _CODE, "cot": _COT, "facts": _FACTS, "genrm": _GENRM}, _standard)
"""For instruction-tuned models of ordinary size."""
TINY = VerifyStyle(
    tiny.VERDICT,
    {"code": tiny.CHECK_CODE, "cot": tiny.CHECK_COT, "facts": tiny.CHECK_FACTS, "genrm": tiny.CHECK_GENRM},
    tiny.check,
)
"""For TinyWorld's models: short, since every token costs a small model."""
STYLES: Mapping[str, VerifyStyle] = {"standard": STANDARD, "tiny": TINY}


def load_style(name: str) -> VerifyStyle:
    """The style called ``name``. Raises UserError naming the nearest for an unknown one."""
    if name not in STYLES:
        raise UserError(unknown("style of verification", name, STYLES))
    return STYLES[name]
