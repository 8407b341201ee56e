"""For instruction-tuned models of ordinary size: CodeAct steps with tools as functions, and checks of solutions."""

from __future__ import annotations

from collections.abc import Sequence

from agentdistill.prompts import format_passages, known_lines
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

VERDICT = "Verification: is it correct (Yes/No)? "

_CHECK_CODE = """\
You check solutions to mathematical problems by writing a program. You are given a question and a proposed
solution. Write one block of Python, and nothing after it:

```python
...
```

The program computes what the solution claims, from the numbers of the question, and prints True if the solution holds
and False if it does not. It prints nothing else. Import nothing but math, sympy and cmath. Never compare floating-point
numbers with ==: compare whole numbers or fractions, or use math.isclose."""

_CHECK_COT = f"""\
You check solutions to mathematical problems. You are given a question and a proposed solution. Go through it
step by step and do every calculation again by yourself. End with a line of this form, with Yes or No at its end:
{VERDICT}Yes"""

_CHECK_FACTS = f"""\
You compare a proposed solution with documents. Look only at the facts that it states explicitly, one after
another, and leave its final answer aside. For each write one line:
Claim: the fact, in your words -> supported
or -> contradicted, or -> not mentioned. A fact that the documents do not mention counts as correct. If it states none,
write: Claim: none -> not mentioned. End with a line of this form, with Yes if no fact is contradicted and No otherwise:
{VERDICT}Yes"""

_CHECK_GENRM = f"""\
You grade solutions. You are given a question and a proposed solution. Think about whether its final answer
is right, step by step, looking for the first mistake. End with a line of this form, with Yes or No at its end:
{VERDICT}Yes"""

_CLAIMS = """\
You list the facts that a proposed solution states. For each, in the order of the solution, write one line:
Claim: the fact, as a sentence that can be understood alone, with names in place of he, she or it
Leave out plans, calculations and opinions. If it states no fact, write: Claim: none"""

_QUERY = """\
You look claims up. You are given a claim, and what documents said about earlier ones. Write one line:
Search: what to type into a search engine to find out whether the claim is true
Where the claim describes a person or thing whose name the documents gave, search for the name. Where it compares or
computes what is known already, write a Python expression instead, for example
Run: max((1994, "Emma"), (1816, "Persuasion"))[1]"""

_CLAIM = """\
You compare a claim with documents. Write one line: what the documents say about it, in one sentence, and then
-> supported
if that is what the claim says, -> contradicted if it is something else, or -> not found if they do not say."""

_CHECKS = {"code": _CHECK_CODE, "cot": _CHECK_COT, "facts": _CHECK_FACTS, "genrm": _CHECK_GENRM}


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


def check(role: str, question: str, solution: str, passages: Sequence[Passage] | None = None) -> tuple[Message, ...]:
    """The opening of a check by a verifier of that role, with the passages that were found for it."""
    text = f"Question:\n{question}\n\nProposed solution:\n{solution}"
    if passages is not None:
        text = f"Documents:\n{format_passages(passages)}\n\n{text}"
    return (Message("system", _CHECKS[role]), Message("user", text))


def claims(question: str, solution: str) -> tuple[Message, ...]:
    """Asks for the facts that a solution states."""
    return (Message("system", _CLAIMS), Message("user", f"Question:\n{question}\n\nProposed solution:\n{solution}"))


def query(claim: str, known: Sequence[str]) -> tuple[Message, ...]:
    """Asks what to search for, or what to compute."""
    return (Message("system", _QUERY), Message("user", known_lines(known) + f"Claim: {claim}"))


def claim(claim: str, known: Sequence[str], passages: Sequence[Passage]) -> tuple[Message, ...]:
    """Asks what the passages say of a claim."""
    text = f"Documents:\n{format_passages(passages)}\n\n{known_lines(known)}Claim: {claim}"
    return (Message("system", _CLAIM), Message("user", text))
