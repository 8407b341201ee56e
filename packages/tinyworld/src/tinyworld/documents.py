"""What TinyWorld's models read: articles, answers, programs, sums, and agent transcripts (the teacher alone).

A document is a sequence of turns. In a document with roles only the assistant's turns are learned, in a plain one all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from agentdistill.environment import error_text
from agentdistill.prompts import format_passages
from agentdistill.retrieval import Passage
from tinyworld import prompts as tiny
from tinyworld.facts import FactQuestion, Hop
from tinyworld.maths import MathQuestion

Question = FactQuestion | MathQuestion
Search = Callable[[str, int], Sequence[Passage]]
N_PASSAGES = 3


@dataclass(frozen=True, slots=True)
class Document:
    """``turns`` are (role, text); a role of "" is plain text outside any conversation."""

    turns: tuple[tuple[str, str], ...]


def article(passage: Passage) -> Document:
    """A plain encyclopaedia article."""
    return Document((("", passage.text),))


def _chat(system: str, user: str, answer: str) -> Document:
    return Document((("system", system), ("user", user), ("assistant", answer)))


def statement(hop: Hop) -> str:
    """What a look-up found, as one sentence."""
    if hop.noun == "other name":
        return f"{hop.subject} is another name of {hop.value}."
    return f"The {hop.noun} of {hop.subject} is {hop.value}."


def conclusion(q: FactQuestion) -> list[str]:
    """What is made of the values found, where the last one is not the answer: one sentence, or none."""
    if q.join == "last":
        return []
    x, y = (int(b[-1].value) for b in q.branches)
    if q.join == "gap":
        return [f"{max(x, y)} - {min(x, y)} = {q.answer}"]
    return [f"{x} is {'less' if x < y else 'more'} than {y}."]


def chain_of_thought(q: Question) -> str:
    """A worked answer: the plan, one step a paragraph, and the answer. Its first paragraph is the first thought."""
    steps = list(q.lines) if isinstance(q, MathQuestion) else [statement(h) for h in q.hops] + conclusion(q)
    return "\n\n".join([q.plan, *steps, f"Answer: {q.answer}"])


def cot(q: Question) -> Document:
    """A question answered from memory, step by step."""
    return _chat(tiny.COT_SYSTEM, q.text, chain_of_thought(q))


def reading(q: FactQuestion, passages: Sequence[Passage]) -> Document:
    """A question answered step by step from passages that lie beside it."""
    return _chat(tiny.COT_SYSTEM, tiny.cot(q.text, passages)[1].content, chain_of_thought(q))


_PROGRAM_SYSTEMS = (
    "Write Python.", "Answer in Python.", "Plan it, then write it.", "Make a program.", "Let Python count.",
)  # fmt: skip
_PROGRAM_LABELS = (
    ("", ""), ("Plan: ", ""), ("", "Python:\n"), ("Plan: ", "Program:\n"), ("Idea: ", "Python:\n"),
    ("First, ", "Then:\n"), ("To do: ", "Run:\n"), ("Way: ", "Work:\n"),
)  # fmt: skip
_ENDS = ("print(x)", "print(x)", "show(x)", "result = x", "tell(x)")


def program(rng: Random, q: MathQuestion) -> Document:
    """A problem, in one sentence what to do about it, and the plain Python program that solves it.

    How the two are laid out differs from text to text, so that no layout is all that a model knows.
    """
    plan, code = rng.choice(_PROGRAM_LABELS)
    lines = "\n".join([*q.code, rng.choice(_ENDS)])
    return _chat(rng.choice(_PROGRAM_SYSTEMS), q.text, f"{plan}{q.plan}\n{code}```py\n{lines}\n```")


def output(q: MathQuestion) -> Document:
    """A program and what it prints."""
    return _chat("What does it print?", "\n".join([*q.code, "print(x)"]), q.answer)


_TOPS = ((9, 9), (20, 20), (99, 9), (99, 20))


def _sum(rng: Random) -> str:
    """One small sum: the tables, and numbers to a hundred with small ones put to them and taken from them."""
    sign = rng.choice("++--*/")
    a, b = rng.randint(2, 9), rng.randint(2, 9)
    if sign == "*":
        return f"{a} * {b} = {a * b}"
    if sign == "/":
        return f"{a * b} / {b} = {a}"
    a, b = (rng.randint(1, top) for top in rng.choice(_TOPS))
    return f"{a} + {b} = {a + b}" if sign == "+" else f"{max(a, b)} - {min(a, b)} = {abs(a - b)}"


def arithmetic(rng: Random) -> Document:
    """A few lines of small sums."""
    return Document((("", "\n".join(_sum(rng) for _ in range(6))),))


class _Episode:
    """Collects the turns of one agent transcript."""

    def __init__(self, question: str) -> None:
        self.turns = [("system", tiny.AGENT_SYSTEM), ("user", question)]

    def act(self, thought: str, *code: str) -> None:
        self.turns.append(("assistant", tiny.action(thought, "\n".join(code))))

    def observe(self, text: str) -> None:
        self.turns.append(("user", tiny.observation(text)))

    def document(self) -> Document:
        return Document(tuple(self.turns))


def _quoted(text: str) -> str:
    return '"' + text + '"'


def agent_facts(rng: Random, q: FactQuestion, search: Search) -> Document | None:
    """An agent transcript that looks up every hop; None where the index does not find what is needed."""
    episode = _Episode(q.text)
    said = q.plan if rng.random() < 0.25 else ""
    for branch in q.branches:
        for i, hop in enumerate(branch):
            noun = branch[i + 1].noun if hop.noun == "other name" else hop.noun
            want = f"Find the {noun} of {hop.subject}."
            first = said if said and not episode.turns[2:] else " ".join(t for t in (said, want) if t)
            if not _look_up(rng, episode, first, hop, noun, search):
                return None
            said = statement(hop)
    if q.join == "last":
        episode.act(said, f"final_answer({_quoted(q.answer)})")
        return episode.document()
    x, y = (int(b[-1].value) for b in q.branches)
    a, b = (_quoted(branch[-1].subject) for branch in q.branches)
    sign = "<" if q.join == "less" else ">"
    end = f"abs({x} - {y})" if q.join == "gap" else f"{a} if {x} {sign} {y} else {b}"
    episode.act(f"{said} Compare {x} and {y}.", f"final_answer({end})")
    return episode.document()


def _look_up(rng: Random, episode: _Episode, thought: str, hop: Hop, noun: str, search: Search) -> bool:
    """Search for a hop's article, a second time by its bare name if the first query does not bring it up."""
    queries = [f"{noun} of {hop.subject}", f"about {hop.subject}"]
    if rng.random() < 0.3:
        queries.reverse()
    for query in queries:
        found = search(query, N_PASSAGES)
        episode.act(thought, f"print(search({_quoted(query)}))")
        episode.observe(format_passages(found))
        if any(p.title == hop.subject for p in found):
            return True
        thought = f"There is no article on {hop.subject}. Search again."
    return False


def agent_math(rng: Random, q: MathQuestion) -> Document:
    """An agent transcript that computes: at once, by printing first, or after mending a mistake."""
    episode = _Episode(q.text)
    style = rng.random()
    if style < 0.08 and len(q.code) > 1 and "import" not in q.code[0]:
        line = rng.randrange(1, len(q.code))
        name = rng.choice("yzn")
        broken = [c.replace("= x", f"= {name}", 1) if i == line else c for i, c in enumerate(q.code)]
        if broken != list(q.code):
            episode.act(q.plan, *broken, "final_answer(x)")
            episode.observe(error_text("NameError", f"name '{name}' is not defined", line + 1))
            episode.act(f"The name {name} is wrong. Use x.", *q.code, "final_answer(x)")
            return episode.document()
    if style < 0.4:
        episode.act(q.plan, *q.code, "print(x)")
        episode.observe(q.answer)
        episode.act(f"The result is {q.answer}.", f"final_answer({q.answer})")
    else:
        episode.act(q.plan, *q.code, "final_answer(x)")
    return episode.document()
