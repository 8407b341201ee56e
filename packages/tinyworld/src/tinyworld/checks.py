"""Checks of solutions, read by the checker alone: with a program, in the head, and against what a search finds.

They are to verification what the agent transcripts are to agents: what a large model knows of it before it teaches. The
solutions in them are right ones, and wrong ones as small models write them: a slip that is carried on, a step left out,
another name in the place of the right one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

from agentdistill.retrieval import Passage
from agentdistill.types import Message
from tinyworld import prompts as tiny
from tinyworld.documents import N_PASSAGES, Document, Question, Search, chain_of_thought, statement
from tinyworld.facts import FactQuestion, Hop
from tinyworld.language import relations_of
from tinyworld.maths import MathQuestion
from tinyworld.world import Entity, World

N_DOCUMENTS = 4
_STEP = re.compile(r"(\d+) ([-+*/%]) (\d+) = (\d+)")


def _document(role: str, q: Question, solution: str, reply: str, passages: Sequence[Passage] | None = None) -> Document:
    turns = [(m.role, m.content) for m in tiny.check(role, q.text, solution, passages)]
    return Document((*turns, ("assistant", reply)))


def with_code(q: MathQuestion, wrong: MathQuestion) -> Document:
    """The program that solves the problem, and whether the solution says the same. ``wrong`` is what was said."""
    code = "\n".join([*q.code, f"print(x == {wrong.answer})"])
    return _document("code", q, chain_of_thought(wrong), f"```py\n{code}\n```")


def in_the_head(q: Question, said: Question, role: str = "cot") -> Document:
    """The same without a tool: the problem worked out again, both answers side by side, and whether they agree."""
    steps = chain_of_thought(q).split("\n\n")[1:-1]
    verdict = "Yes" if q.answer == said.answer else "No"
    reply = "\n".join([*steps, f"{q.answer} ? {said.answer}", tiny.VERDICT + verdict])
    return _document(role, q, chain_of_thought(said), reply)


def against_documents(world: World, q: FactQuestion, said: FactQuestion, search: Search) -> Document:
    """Every fact that a solution states, what the documents say of it, and whether they contradict one."""
    solution = chain_of_thought(said)
    passages = list(search(f"{q.text}\n{solution}", N_DOCUMENTS))
    titles = {p.title for p in passages}
    lines, verdict = [], "Yes"
    for hop in said.hops:
        true = _value(world, hop) if hop.subject in titles else None
        word = "not mentioned" if true is None else "supported" if true == hop.value else "contradicted"
        verdict = "No" if word == "contradicted" else verdict
        lines.append(f"Claim: {statement(hop)} {true or 'nothing'} -> {word}")
    return _document("facts", q, solution, "\n".join([*lines, tiny.VERDICT + verdict]), passages)


def claim_by_claim(
    rng: Random, world: World, q: FactQuestion, said: FactQuestion, search: Search
) -> Iterator[Document]:
    """The claims of a solution; then for one of them, drawn at random, the query, and what is found with it.

    Where documents contradict a claim, the next one is looked up for what they say instead: after "The author of X is
    Y? Z." the job is that of Z. Where they say nothing, it is looked up as it stands. What a comparison comes to is the
    last claim: it is computed from what is known of both sides.
    """
    ruled = [r for branch in said.branches for r in _followed(world, branch)]
    last = _compared(said, ruled)
    claims = [statement(r.said) for r in ruled] + ([last.claim] if last else [])
    yield _asked(tiny.claims(q.text, chain_of_thought(said)), "\n".join(f"Claim: {c}" for c in claims))
    at = len(ruled) if last and rng.random() < 0.5 else rng.randrange(len(claims))
    known = [r.line for r in ruled[:at] if r.line]
    if last is not None and at == len(ruled):
        yield _asked(tiny.query(claims[at], known), f"Run: {last.expression}" if last.expression else "Search: none")
        yield _asked(tiny.claim(claims[at], known, last.passages), last.ruling)
        return
    hop = ruled[at].hop
    query = f"about {hop.subject}" if hop.noun == "other name" else f"{hop.noun} of {hop.subject}"
    yield _asked(tiny.query(claims[at], known), f"Search: {query}")
    passages = list(search(query, N_PASSAGES if rng.random() < 0.7 else 1))
    there = ruled[at].line and hop.subject in {p.title for p in passages}
    yield _asked(tiny.claim(claims[at], known, passages), ruled[at].ruling if there else _NOTHING)


_NOTHING = "Nothing. -> not found"


@dataclass(frozen=True, slots=True)
class _Ruled:
    """A claim, ``hop`` as it is looked up, and what is so, None where nothing is known of it."""

    said: Hop
    hop: Hop
    true: str | None

    @property
    def line(self) -> str:
        """What is known of it later."""
        return "" if self.true is None else f"{statement(replace(self.hop, value=self.said.value))[:-1]}? {self.true}."

    @property
    def ruling(self) -> str:
        return f"{self.line} -> {'supported' if self.true == self.said.value else 'contradicted'}"


def _followed(world: World, branch: Sequence[Hop]) -> list[_Ruled]:
    """The claims of a branch, each about what the documents lead to."""
    out: list[_Ruled] = []
    subject = branch[0].subject
    for i, said in enumerate(branch):
        if i:
            subject = said.subject if out[-1].true is None else out[-1].true
        hop = replace(said, subject=subject)
        out.append(_Ruled(said, hop, _value(world, hop)))
    return out


@dataclass(frozen=True, slots=True)
class _Comparison:
    """What a comparison claims, the expression that computes it, the result; both empty where a side is unknown."""

    what: str
    said: str
    expression: str
    true: str

    @property
    def claim(self) -> str:
        return f"{self.what} {self.said}."

    @property
    def passages(self) -> tuple[Passage, ...]:
        return (Passage("", f"{self.expression} = {self.true}"),) if self.expression else ()

    @property
    def ruling(self) -> str:
        if not self.expression:
            return _NOTHING
        word = "supported" if self.true == self.said else "contradicted"
        return f"{self.what} {self.said}? {self.true}. -> {word}"


def _compared(said: FactQuestion, ruled: Sequence[_Ruled]) -> _Comparison | None:
    """What a comparison comes to, by what is known of both sides; None for a question that is none."""
    if said.join == "last":
        return None
    x, y = (ruled[len(said.branches[0]) - 1], ruled[-1])
    what = {"less": "The smaller is", "more": "The larger is", "gap": "The difference is"}[said.join]
    if x.true is None or y.true is None:
        return _Comparison(what, said.answer, "", "")
    if said.join == "gap":
        return _Comparison(what, said.answer, f"abs({x.true} - {y.true})", str(abs(int(x.true) - int(y.true))))
    choose, chosen = {"less": ("min", min), "more": ("max", max)}[said.join]
    sides = [(int(r.true or 0), r.hop.subject) for r in (x, y)]
    shown = ", ".join(f'({n}, "{name}")' for n, name in sides)
    return _Comparison(what, said.answer, f"{choose}({shown})[1]", chosen(sides)[1])


def _asked(messages: Sequence[Message], reply: str) -> Document:
    return Document((*((m.role, m.content) for m in messages), ("assistant", reply)))


def _value(world: World, hop: Hop) -> str | None:
    """What the article on a hop's subject says of it; None where it says nothing of the kind."""
    for e in world.entities:
        if e.name == hop.subject:
            return _fact(world, e, hop.noun)
        if e.alias == hop.subject:
            return e.name if hop.noun == "other name" else None
    return None


def _fact(world: World, e: Entity, noun: str) -> str | None:
    return next((world.value(e, r.name) for r in relations_of(e.kind) if r.noun == noun), None)


def wrong_math(rng: Random, q: MathQuestion) -> MathQuestion:
    """The problem as somebody solves it who slips in one line and goes on with that, or leaves the last step out."""
    lines, answer = list(q.lines), q.answer
    if len(lines) > 1 and rng.random() < 0.25 and (short := _STEP.fullmatch(lines[-2])):
        return replace(q, lines=tuple(lines[:-1]), answer=short[4])
    carried: dict[str, str] = {}
    at = rng.randrange(len(lines))
    for i in range(at, len(lines)):
        step = _STEP.fullmatch(lines[i])
        if step is None:
            answer = lines[i] = _slip(rng, q.answer)
            return replace(q, lines=(*lines[:i], re.sub(r"\S+$", answer, q.lines[i])), answer=answer)
        left, sign, right, result = step.group(1, 2, 3, 4)
        a, b = int(carried.get(left, left)), int(carried.get(right, right))
        done = str({"+": a + b, "-": a - b, "*": a * b, "/": a // max(b, 1), "%": a % max(b, 1)}[sign])
        carried[result] = _slip(rng, result) if i == at else done
        answer = carried[result]
        lines[i] = f"{a} {sign} {b} = {answer}"
    return replace(q, lines=tuple(lines), answer=answer)


def _slip(rng: Random, number: str) -> str:
    """Another number near it: one digit is another, or it is off by little."""
    while True:
        if rng.random() < 0.5:
            made = str(max(0, int(number) + rng.choice((-10, -3, -2, -1, 1, 2, 3, 10))))
        else:
            at = rng.randrange(len(number))
            made = str(int(number[:at] + str(rng.randint(0, 9)) + number[at + 1 :]))
        if made != number:
            return made


def wrong_facts(rng: Random, world: World, q: FactQuestion) -> FactQuestion:
    """The question as somebody answers it who remembers one fact wrongly and goes on from there, truly or not."""
    branches = [list(b) for b in q.branches]
    branch = rng.choice(branches)
    at = rng.randrange(len(branch))
    for i in range(at, len(branch)):
        hop = replace(branch[i], subject=branch[i - 1].value if i > at else branch[i].subject)
        true = _value(world, hop)
        if i > at and true is not None and rng.random() < 0.5:
            branch[i] = replace(hop, value=true)
        else:
            branch[i] = replace(hop, value=_guess(rng, world, hop.noun, true or hop.value))
    ends = [b[-1].value for b in branches]
    return replace(q, branches=tuple(map(tuple, branches)), answer=_answer(q, ends, [b[-1].subject for b in branches]))


def _guess(rng: Random, world: World, noun: str, true: str) -> str:
    """Another value that the noun has somewhere in the world; where there is none, a number near it or any name."""
    values = set() if noun == "other name" else {_fact(world, e, noun) for e in rng.sample(world.entities, 60)}
    others = sorted(v for v in values if v not in (None, true))
    if not others and true.isdigit():
        return _slip(rng, true)
    return rng.choice(others or [e.name for e in world.entities if e.name != true])


def _answer(q: FactQuestion, ends: Sequence[str], subjects: Sequence[str]) -> str:
    if q.join == "last":
        return ends[0]
    x, y = map(int, ends)
    return str(abs(x - y)) if q.join == "gap" else subjects[(x < y) != (q.join == "less")]
