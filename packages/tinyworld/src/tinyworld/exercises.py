"""Texts that teach a model to carry names and numbers over: notes from passages, talks about them, Python on names.

Most of their learned tokens stand in the context already. Without them a small model learns copying for one form of
text alone and loses it when it is fine-tuned on another.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from agentdistill.prompts import format_passages
from agentdistill.retrieval import Passage
from tinyworld.documents import Document, Search, conclusion, statement
from tinyworld.facts import FactQuestion, Hop
from tinyworld.language import relations_of
from tinyworld.names import word
from tinyworld.world import Entity, World


def repetition(rng: Random) -> Document:
    """Names and numbers out of the blue, said again word for word: every learned token is copied from one place."""

    def item() -> str:
        kind = rng.random()
        if kind < 0.25:
            return str(rng.randint(1, 10 ** rng.randint(1, 5)))
        return word(rng) if kind < 0.4 else f"{word(rng)} {word(rng)}"

    said = rng.choice((", ", " ", "\n", ". ")).join(item() for _ in range(rng.randint(4, 12)))
    return Document((("system", "Repeat."), ("user", said), ("assistant", said)))


def facts_of(world: World, e: Entity) -> list[Hop]:
    """Every fact that the article of ``e`` states."""
    return [Hop(e.name, r.noun, world.value(e, r.name)) for r in relations_of(e.kind)]


def notes(world: World, passages: Sequence[Passage]) -> Document:
    """Passages, and every fact in them as one plain sentence."""
    by_title = {e.name: e for e in world.entities} | {e.alias: e for e in world.entities if e.alias}
    lines = []
    for p in passages:
        e = by_title[p.title]
        lines += [Hop(p.title, "other name", e.name)] if p.title != e.name else facts_of(world, e)
    text = format_passages(passages) if len(passages) > 1 else passages[0].text
    told = "\n".join(map(statement, lines))
    return Document((("system", "List the facts."), ("user", text), ("assistant", told)))


_TALK_SYSTEMS = ("Answer from the texts.", "Ask for texts.", "Read, then say what to read next.", "Follow the plan.")
_TALK_LABELS = ("", "", "Plan: ", "Note: ", "Idea: ", "So: ")
_TEXT_LABELS = ("", "", "Texts: ", "Found: ", "Read this: ")
_REQUESTS = ("", "", "\nNext: {n} of {s}", "\nAsk for: {s}", "\n```\n{n} of {s}\n```")
_ANSWERS = ("Answer: {a}", "Answer: {a}", "It is {a}.", "\nDone: {a}", "\n```\n{a}\n```")


def talk(rng: Random, q: FactQuestion, search: Search) -> Document:
    """A conversation in which texts are handed over one after the other and followed to the answer.

    How thoughts, requests and texts are marked differs from talk to talk.
    """
    label, handed, request = rng.choice(_TALK_LABELS), rng.choice(_TEXT_LABELS), rng.choice(_REQUESTS)

    def said(sentences: list[str], following: Hop | None) -> tuple[str, str]:
        asked = request.format(n=following.noun, s=following.subject) if following else ""
        return "assistant", label + " ".join(sentences) + asked

    turns = [("system", rng.choice(_TALK_SYSTEMS)), ("user", q.text), said([q.plan], q.hops[0])]
    for i, hop in enumerate(q.hops):
        found = [p for p in search(f"{hop.noun} of {hop.subject}", 3) if p.title != hop.subject]
        passages = [p for p in search(hop.subject, 4) if p.title == hop.subject] + found[: rng.randint(0, 2)]
        rng.shuffle(passages)
        following = q.hops[i + 1] if i + 1 < len(q.hops) else None
        rest = [f"Find the {following.noun} of {following.subject}."] if following else conclusion(q)
        turns += [("user", handed + format_passages(passages)), said([statement(hop), *rest], following)]
    turns[-1] = ("assistant", f"{turns[-1][1]} {rng.choice(_ANSWERS).format(a=q.answer)}")
    return Document(tuple(turns))


def _quoted(text: str) -> str:
    return '"' + text + '"'


def python_on_names(rng: Random, world: World) -> Document:
    """A few lines of Python with names in them, to be written or to be read."""
    some = [rng.choice(facts_of(world, e)) for e in rng.sample(world.entities, rng.randint(2, 4))]
    return rng.choice((_call, _list, _choice, _table))(rng, some)


def _written(ask: str, code: str) -> Document:
    return Document((("system", "Write Python."), ("user", ask), ("assistant", f"```py\n{code}\n```")))


def _read(code: str, prints: str) -> Document:
    return Document((("system", "What does it print?"), ("user", code), ("assistant", prints)))


def _call(rng: Random, some: Sequence[Hop]) -> Document:
    h = some[0]
    name = rng.choice(("get", "table", "read"))
    ask = rng.choice(("Print the {n} of {s}.", "Show the {n} of {s}, please.", "{s}: print its {n}."))
    return _written(ask.format(n=h.noun, s=h.subject), f"print({name}({_quoted(h.subject)}, {_quoted(h.noun)}))")


def _list(rng: Random, some: Sequence[Hop]) -> Document:
    names = [rng.choice((h.subject, h.value)) for h in some]
    ask = rng.choice(("Make a list of {s}.", "Print {s} as a list.", "Put {s} into a list."))
    told = ", ".join(names[:-1]) + " and " + names[-1]
    return _written(ask.format(s=told), f"x = [{', '.join(map(_quoted, names))}]\nprint(x)")


def _choice(rng: Random, some: Sequence[Hop]) -> Document:
    a, b = some[0].subject, some[1].subject
    x, y = rng.randint(20, 9999), rng.randint(20, 9999)
    word, sign = rng.choice((("smaller", "<"), ("larger", ">")))
    ask = rng.choice(("{a} has {x} and {b} has {y}. Print the {w}.", "Which is {w}, {a} with {x} or {b} with {y}?"))
    code = f"print({_quoted(a)} if {x} {sign} {y} else {_quoted(b)})"
    return _written(ask.format(a=a, b=b, x=x, y=y, w=word), code)


def _table(rng: Random, some: Sequence[Hop]) -> Document:
    rows = {h.subject: h.value for h in some}
    wanted = rng.choice(list(rows))
    table = ", ".join(f"{_quoted(k)}: {_quoted(v)}" for k, v in rows.items())
    return _read(f"d = {{{table}}}\nprint(d[{_quoted(wanted)}])", rows[wanted])
