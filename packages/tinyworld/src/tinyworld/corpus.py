"""The training text of the ladder, as rows of tokens: what is in it, in which shares, and packed at which length."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np

from agentdistill.retrieval import Passage
from tinyworld import checks, exercises
from tinyworld import documents as doc
from tinyworld.facts import FACT_FAMILIES, FactQuestion, chain_question, fact_question, is_held_out
from tinyworld.maths import MATH_FAMILIES, MathQuestion, math_question
from tinyworld.world import World

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

HOME_SEED, HOME_SIZE, HOME_HIDDEN = 1, 3000, 0.15
ROW_LENGTHS = (32, 48, 64, 80, 96, 112, 128, 160, 192, 256, 320, 384, 448, 512, 640, 768, 1024)
N_AGENT_FACT, N_AGENT_MATH = 0.72, 0.28


@dataclass(frozen=True, slots=True)
class Mix:
    """How many documents of each sort. ``agent`` is for the teacher alone, ``checks`` for the checker, ``claims``
    (three documents each) for the fact checker."""

    articles: int = 0
    cot_facts: int = 0
    cot_math: int = 0
    reading: int = 0
    talks: int = 0
    notes: int = 0
    names_in_python: int = 0
    repetitions: int = 0
    programs: int = 0
    arithmetic: int = 0
    agent: int = 0
    checks: int = 0
    claims: int = 0


STUDENT_MIX = Mix(
    articles=45_000,
    cot_facts=18_000,
    cot_math=9_000,
    reading=4_000,
    talks=10_000,
    notes=4_000,
    names_in_python=9_000,
    programs=13_000,
    arithmetic=7_000,
)
N_REPETITIONS, N_FIRST, N_SUMS = 15_000, 16_000, 10_000
TEACHER_EXTRA = Mix(agent=20_000)
CHECKER_MIX = Mix(checks=15_000)
FACT_CHECKER_MIX = Mix(claims=10_000)


def home() -> World:
    """The world that everything is asked about: the one whose encyclopaedia the models read and the index holds."""
    return World(HOME_SEED, HOME_SIZE, hidden=HOME_HIDDEN)


def _visible(q: FactQuestion, world: World, hidden: frozenset[str]) -> bool:
    return not any(h.subject in hidden for h in q.hops)


def hidden_names(world: World) -> frozenset[str]:
    """Names of articles that no model reads."""
    hidden = [e for e in world.entities if e.hidden]
    return frozenset([e.name for e in hidden] + [e.alias for e in hidden if e.alias])


def _weights(families: tuple[str, ...], first: float) -> list[float]:
    return [first] + [(1 - first) / (len(families) - 1)] * (len(families) - 1)


def _articles(rng: Random, world: World, n: int) -> Iterator[doc.Document]:
    pool = [e for e in world.entities if not e.hidden]
    for e in rng.choices(pool, [e.weight for e in pool], k=n):
        yield doc.article(world.redirect(e) if e.alias and rng.random() < 0.25 else world.article(e, rng))


def training_fact(rng: Random, world: World, family: str, hidden: frozenset[str]) -> FactQuestion:
    """A question of the training side whose every article a model may have read."""
    while True:
        q = fact_question(rng, world, family, flat=0.0)
        if not is_held_out(q.key) and _visible(q, world, hidden):
            return q


def training_math(rng: Random, family: str) -> MathQuestion:
    """A problem of the training side."""
    while True:
        q = math_question(rng, family)
        if not is_held_out(q.key):
            return q


def _math(rng: Random) -> MathQuestion:
    return training_math(rng, rng.choices(MATH_FAMILIES, (0.45, 0.1, 0.25, 0.2))[0])


MakeSearch = Callable[[list[Passage]], doc.Search]


def _small_worlds(rng: Random, make_search: MakeSearch, per_world: int) -> Iterator[tuple[World, doc.Search]]:
    """Endless fresh worlds, each with its own index, handed out ``per_world`` times."""
    while True:
        world = World(rng.getrandbits(40), rng.choice((90, 150, 300)))
        search = make_search(world.encyclopaedia())
        for _ in range(per_world):
            yield world, search


def _reading(rng: Random, n: int, make_search: MakeSearch) -> Iterator[doc.Document]:
    """Questions with the passages that answer them, in fresh worlds: what teaches a model to copy."""
    worlds = _small_worlds(rng, make_search, 60)
    for _ in range(n):
        world, search = next(worlds)
        q = _one_hop(rng, world) if rng.random() < 0.7 else _any_fact(rng, world)
        needed = {h.subject for h in q.hops}
        passages = [p for name in sorted(needed) for p in search(name, 4) if p.title == name]
        others = [p for p in search(q.text, 3) if p.title not in needed]
        passages += others[: 1 if len(needed) == 1 else 2]
        rng.shuffle(passages)
        yield doc.reading(q, passages)


def repetitions(seed: int, n: int) -> Iterator[doc.Document]:
    """What every model reads first. Nothing teaches copying sooner, and all else stands on that."""
    rng = Random(f"repetitions-{seed}")
    for _ in range(n):
        yield exercises.repetition(rng)


def first_documents(seed: int, n: int, make_search: MakeSearch) -> Iterator[doc.Document]:
    """What every model reads next: one passage about a fresh world, one question, its answer."""
    rng = Random(f"first-{seed}")
    worlds = _small_worlds(rng, make_search, 60)
    for _ in range(n):
        world, search = next(worlds)
        q = _one_hop(rng, world)
        needed = {h.subject for h in q.hops}
        yield doc.reading(q, [p for name in sorted(needed) for p in search(name, 4) if p.title == name])


def sums(seed: int, n: int) -> Iterator[doc.Document]:
    """What every model reads third: small sums. Read only among other texts, the same number of them teaches little."""
    rng = Random(f"sums-{seed}")
    for _ in range(n):
        yield doc.arithmetic(rng)


def _exercises(rng: Random, mix: Mix, make_search: MakeSearch) -> Iterator[doc.Document]:
    worlds = _small_worlds(rng, make_search, 60)
    for _ in range(mix.talks):
        world, search = next(worlds)
        yield exercises.talk(rng, _any_fact(rng, world), search)
    for _ in range(mix.notes):
        world, search = next(worlds)
        found = search(rng.choice(world.entities).name, 3)
        yield exercises.notes(world, rng.sample(list(found), min(len(found), rng.randint(1, 3))))
    for _ in range(mix.names_in_python):
        yield exercises.python_on_names(rng, next(worlds)[0])
    for _ in range(mix.repetitions):
        yield exercises.repetition(rng)


def _any_fact(rng: Random, world: World) -> FactQuestion:
    return fact_question(rng, world, rng.choices(FACT_FAMILIES, _weights(FACT_FAMILIES, 0.5))[0], flat=1.0)


def _one_hop(rng: Random, world: World) -> FactQuestion:
    return chain_question(rng, world, "hop1", flat=1.0)


def _agent(rng: Random, n: int, make_search: MakeSearch) -> Iterator[doc.Document]:
    worlds = _small_worlds(rng, make_search, 60)
    done = 0
    while done < n:
        if rng.random() < N_AGENT_MATH:
            q = math_question(rng, rng.choices(MATH_FAMILIES, _weights(MATH_FAMILIES, 0.5))[0])
            if is_held_out(q.key):
                continue
            made: doc.Document | None = doc.agent_math(rng, q)
        else:
            world, search = next(worlds)
            made = doc.agent_facts(rng, _any_fact(rng, world), search)
        if made is not None:
            done += 1
            yield made


def _checks(
    rng: Random, world: World, hidden: frozenset[str], n: int, make_search: MakeSearch
) -> Iterator[doc.Document]:
    """Checks with a program, in the head (as a verifier and as a reward model is asked) and against passages, each a
    third; half of the solutions are right. In the head facts have to be remembered: those are about this world."""
    worlds = _small_worlds(rng, make_search, 60)
    for i in range(n):
        right = rng.random() < 0.5
        if i % 3 == 0:
            q = training_math(rng, rng.choice(MATH_FAMILIES))
            yield checks.with_code(q, q if right else checks.wrong_math(rng, q))
        elif i % 3 == 1:
            role = rng.choice(("cot", "genrm"))
            if rng.random() < 0.6:
                q = training_math(rng, rng.choice(MATH_FAMILIES))
                yield checks.in_the_head(q, q if right else checks.wrong_math(rng, q), role)
            else:
                fact = training_fact(rng, world, rng.choice(FACT_FAMILIES), hidden)
                yield checks.in_the_head(fact, fact if right else checks.wrong_facts(rng, world, fact), role)
        else:
            fresh, search = next(worlds)
            fact = _any_fact(rng, fresh)
            yield checks.against_documents(fresh, fact, fact if right else checks.wrong_facts(rng, fresh, fact), search)


def _claims(rng: Random, n: int, make_search: MakeSearch) -> Iterator[doc.Document]:
    """Checks claim by claim of ``n`` solutions, in small worlds; a third of the solutions are right."""
    worlds = _small_worlds(rng, make_search, 60)
    for _ in range(n):
        world, search = next(worlds)
        fact = _any_fact(rng, world)
        said = fact if rng.random() < 1 / 3 else checks.wrong_facts(rng, world, fact)
        yield from checks.claim_by_claim(rng, world, fact, said, search)


def documents(seed: int, mix: Mix, make_search: MakeSearch) -> Iterator[doc.Document]:
    """Every document of a mix, sort by sort."""
    rng = Random(f"corpus-{seed}")
    world = home()
    hidden = hidden_names(world)
    yield from _articles(rng, world, mix.articles)
    for _ in range(mix.cot_facts):
        yield doc.cot(training_fact(rng, world, rng.choices(FACT_FAMILIES, _weights(FACT_FAMILIES, 0.4))[0], hidden))
    for _ in range(mix.cot_math):
        yield doc.cot(_math(rng))
    yield from _reading(rng, mix.reading, make_search)
    yield from _exercises(rng, mix, make_search)
    for _ in range(mix.programs):
        q = training_math(rng, rng.choice(MATH_FAMILIES))
        yield doc.program(rng, q) if rng.random() < 0.75 else doc.output(q)
    for _ in range(mix.arithmetic):
        yield doc.arithmetic(rng)
    yield from _agent(rng, mix.agent, make_search)
    yield from _checks(rng, world, hidden, mix.checks, make_search)
    yield from _claims(rng, mix.claims, make_search)


Rows = dict[int, np.ndarray[Any, np.dtype[np.uint16]]]
LEARN = 1 << 15
"""The bit of a stored token that says that it is learned."""


def encode(document: doc.Document, tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """Token ids of one document behind an end-of-text marker, learned ones with the ``LEARN`` bit set."""
    from tinyworld.tokenizer import END, END_OF_TEXT, START

    def ids(text: str) -> list[int]:
        return list(tokenizer.encode(text, add_special_tokens=False))

    start, end, separator = (ids(t)[0] for t in (START, END, END_OF_TEXT))
    out = [separator]
    for role, text in document.turns:
        body = ids(text)
        if not role:
            out += [i | LEARN for i in body] + [separator | LEARN]
            continue
        learn = LEARN if role == "assistant" else 0
        out += [start, *ids(role + "\n"), *(i | learn for i in body), end | learn, *ids("\n")]
    return out


def bucket(encoded: Iterable[list[int]], rng: Random, pad: int) -> Rows:
    """One document a row, rows of about the same length together. Documents longer than the longest row are left out.

    Documents are not packed behind each other: with strangers in the same row a model learns to copy out of its
    context later and less well (``experiments/copying.py``).
    """
    rows: dict[int, list[list[int]]] = {n: [] for n in ROW_LENGTHS}
    for ids in encoded:
        length = next((n for n in ROW_LENGTHS if len(ids) <= n), None)
        if length is not None:
            rows[length].append(ids + [pad] * (length - len(ids)))
    for group in rows.values():
        rng.shuffle(group)
    return {n: np.array(group, dtype=np.uint16) for n, group in rows.items() if group}


def save(rows: Rows, path: Path) -> None:
    """Write rows as one NumPy archive."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, allow_pickle=False, **{str(n): a for n, a in rows.items()})
