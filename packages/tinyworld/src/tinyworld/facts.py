"""The four factual families: two hops, three to four hops, comparison, and adversarial wording."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from tinyworld.language import RELATIONS, Relation, relations_of
from tinyworld.world import Entity, World

FACT_FAMILIES = ("hop2", "hop3", "compare", "riddle")


@dataclass(frozen=True, slots=True)
class Hop:
    """One look-up: the ``noun`` of ``subject`` is ``value``. A noun of "other name" follows a redirect."""

    subject: str
    noun: str
    value: str


@dataclass(frozen=True, slots=True)
class FactQuestion:
    """A question with the look-ups that answer it and what is done with their results.

    ``join`` is ``last`` (the last value is the answer), ``less``/``more`` (the subject with the smaller or larger value) or
    ``gap`` (their difference). ``branches`` holds one path of look-ups for each name that the question mentions.
    """

    family: str
    text: str
    answer: str
    plan: str
    branches: tuple[tuple[Hop, ...], ...]
    join: str
    key: str

    @property
    def hops(self) -> tuple[Hop, ...]:
        """All look-ups in order."""
        return tuple(h for branch in self.branches for h in branch)


def is_held_out(key: str) -> bool:
    """Whether a question belongs to the test side. One in four does, decided by its content alone."""
    return hashlib.sha256(key.encode()).digest()[0] % 4 == 0


def _pick(rng: Random, plain: tuple[str, ...], rare: tuple[str, ...], p_rare: float) -> str:
    return rng.choice(rare if rng.random() < p_rare else plain)


def _paths(kind: str, depth: int) -> list[tuple[Relation, ...]]:
    if depth == 1:
        return [(r,) for r in relations_of(kind)]
    return [(r, *rest) for r in relations_of(kind) if r.target for rest in _paths(r.target, depth - 1)]


# Never back to where the path came from (capital of the country of the capital ...), and never twice the same.
def _sensible(path: tuple[Relation, ...]) -> bool:
    names = [r.name for r in path]
    return len(set(names)) == len(names) and ("capital", "country") not in pairwise(names)


_CHAINS: dict[int, dict[str, list[tuple[Relation, ...]]]] = {}


def chains(kind: str, depth: int) -> list[tuple[Relation, ...]]:
    """Every sensible path of ``depth`` relations from an entity of ``kind``."""
    table = _CHAINS.setdefault(depth, {})
    if kind not in table:
        table[kind] = [p for p in _paths(kind, depth) if _sensible(p)]
    return table[kind]


def _start(rng: Random, world: World, kinds: tuple[str, ...], flat: float) -> Entity:
    """An entity to ask about; ``flat`` 0 asks by how well known it is, 1 asks about all alike."""
    pool = [i for k in kinds for i in world.by_kind[k]]
    weights = [world.entities[i].weight ** (1 - flat) for i in pool]
    return world.entities[rng.choices(pool, weights)[0]]


def _walk(world: World, e: Entity, path: tuple[Relation, ...], called: str) -> tuple[Hop, ...]:
    hops = [] if called == e.name else [Hop(called, "other name", e.name)]
    for r in path:
        hops.append(Hop(e.name, r.noun, world.value(e, r.name)))
        if r.target:
            e = world.follow(e, r.name)
    return tuple(hops)


def _phrase(rng: Random, called: str, path: tuple[Relation, ...], p_rare: float) -> str:
    for r in path:
        called = _pick(rng, r.np, r.rare, p_rare).format(x=called)
    return called


def _called(rng: Random, e: Entity, p_alias: float) -> str:
    return e.alias if e.alias and rng.random() < p_alias else e.name


def _find(nouns: list[str], subject: str) -> str:
    return f"Find the {nouns[0]} of {subject}" + "".join(f", then its {n}" for n in nouns[1:])


_OPENERS = (
    "Tell me plainly: ", "A friend bet me a lunch on this. ", "Never mind the rest: ", "I forgot, so help me. ", "Quiz night! ",
)  # fmt: skip
_CLOSERS = ("", "", " No guesses please.", " Not the name next to it.", " One answer only.")


_P_ALIAS = {"hop1": 0.15, "hop2": 0.5, "hop3": 0.15, "riddle": 0.6}


def chain_question(rng: Random, world: World, family: str, flat: float = 0.3) -> FactQuestion:
    """A question that follows a path of relations: two hops, three to four, or one to three in unusual words."""
    depth = {"hop1": (1,), "hop2": (2,), "hop3": (3, 3, 4), "riddle": (1, 2, 2, 3)}[family]
    p_rare = {"hop1": 0.1, "hop2": 0.05, "hop3": 0.05, "riddle": 0.75}[family]
    kinds: tuple[str, ...] = ("work", "firm", "person")
    if max(depth) <= 2:
        kinds += ("city", "river", "mountain", "country") if family == "hop1" else ("city", "river")
    e = _start(rng, world, kinds, flat)
    path = rng.choice(chains(e.kind, rng.choice(depth)))
    called = _called(rng, e, _P_ALIAS[family])
    np = _phrase(rng, called, path[:-1], p_rare)
    text = _pick(rng, path[-1].ask, path[-1].rare_ask, p_rare).format(x=np)
    if family == "riddle":
        text = rng.choice(_OPENERS) + text + rng.choice(_CLOSERS)
    hops = _walk(world, e, path, called)
    plan = _find([h.noun for h in hops], called) + "."
    key = f"{family}:{e.name}:{'.'.join(r.name for r in path)}"
    return FactQuestion(family, text, hops[-1].value, plan, (hops,), "last", key)


_COMPARED = {
    "born": (("work", ("author",)), ("firm", ("founder",)), ("person", ())),
    "year": (("work", ()),),
    "people": (("city", ()), ("person", ("birthplace",)), ("firm", ("seat",))),
    "length": (("river", ()), ("city", ("river",))),
    "height": (("mountain", ()), ("river", ("source",))),
}
_LESS_MORE = {
    "born": ("is older", "is younger"),
    "year": ("came out earlier", "came out later"),
    "people": ("has fewer people", "has more people"),
    "length": ("is shorter", "is longer"),
    "height": ("is lower", "is higher"),
}
_GAP = {
    "born": "How many years lie between the births of {a} and {b}?",
    "year": "How many years lie between {a} and {b}?",
    "people": "How many more people has one of {a} and {b} than the other?",
    "length": "By how many km do {a} and {b} differ?",
    "height": "By how many metres do {a} and {b} differ?",
}


def compare_question(rng: Random, world: World, flat: float = 0.3) -> FactQuestion:
    """Which of two has the smaller or larger value, or by how much they differ; each up to one hop away."""
    value = rng.choice(tuple(_COMPARED))
    kind, prefix = rng.choice(_COMPARED[value])
    a = _start(rng, world, (kind,), flat)
    b = _start(rng, world, (kind,), flat)
    path = tuple(RELATIONS[r] for r in (*prefix, value))
    branches = tuple(_walk(world, e, path, e.name) for e in (a, b))
    x, y = (int(hops[-1].value) for hops in branches)
    if a is b or x == y or branches[0][-1].subject == branches[1][-1].subject:
        return compare_question(rng, world, flat)
    join = rng.choice(("less", "more", "gap"))
    nps = [_phrase(rng, e.name, path[:-1], 0.05) for e in (a, b)]
    ends = [hops[-1].subject for hops in branches]
    nouns = [r.noun for r in path]
    find = f"{_find(nouns, a.name)}, and the {nouns[-1]} for {b.name}"
    if join == "gap":
        text, answer, plan = _GAP[value].format(a=nps[0], b=nps[1]), str(abs(x - y)), f"{find}, then subtract."
    else:
        which = _LESS_MORE[value][join == "more"]
        ask = rng.choice(("Which {w}, {a} or {b}?", "Of {a} and {b}, which {w}?")).format(w=which, a=nps[0], b=nps[1])
        text, answer = ask, ends[0] if (x < y) == (join == "less") else ends[1]
        plan = f"{find}, then take the {'smaller' if join == 'less' else 'larger'}."
    key = f"compare:{join}:{value}:{a.name}:{b.name}"
    return FactQuestion("compare", text, answer, plan, branches, join, key)


def fact_question(rng: Random, world: World, family: str, flat: float = 0.3) -> FactQuestion:
    """A random question of one of :data:`FACT_FAMILIES`."""
    return compare_question(rng, world, flat) if family == "compare" else chain_question(rng, world, family, flat)
