"""Questions of reasoning-gym's generators, split into train and test, and scored by the generators' own scorers.

Written ``reasoning_gym:SPLIT:GENERATORS:level=L:N``; every part may be left out.

- SPLIT: ``train`` (level 0), ``test`` (level 1, held out), ``test-easy`` (level 0, held out); ``test`` by default.
- GENERATORS: names with commas between them, or a set: ``compute12``, the default.
- ``level=L``: another level than the split's. A generator with fewer levels gives the hardest that it has.
- N: questions of each generator; 200 of ``train``, 50 of the others by default.

No question is in both train and test, whatever the level: seeds differ, and a hash of a question's text says on which
side it is. ``gsm_symbolic`` is split by its templates.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from agentdistill.errors import UserError
from agentdistill.registry import unknown
from agentdistill.scorers.gym import N_SEEDS, SETS, Entry, Ref, entry, first_seed, level_count, offered, refusal
from agentdistill.types import Problem

SPLITS = {"train": (0, 200), "test": (1, 50), "test-easy": (0, 50)}
"""The level of a split, and how many questions of each generator it has by default."""
_FORM = "write reasoning_gym:SPLIT:GENERATORS:level=L:N, every part optional"
_GIVE_UP = 2000
"""Seeds in a row that give no new question: there are no more, or too few to look for."""


@dataclass(frozen=True, slots=True)
class Spec:
    """What a source asks for. ``level`` is None where it is the split's own."""

    split: str
    generators: tuple[str, ...]
    level: int | None
    n: int


def problems(split: str = "test") -> list[Problem]:
    """The problems of ``SPLIT:GENERATORS:level=L:N``, generator by generator; their family is the generator's name.

    The first N are the same whatever N is. Raises UserError for a name, split or level that does not exist, where a
    generator has fewer than N questions, and where reasoning-gym is not installed.
    """
    spec = parse(split)
    return [p for name in spec.generators for p in itertools.islice(stream(spec, name), spec.n)]


def parse(text: str) -> Spec:
    """A source taken apart. Raises UserError with the nearest name for what does not exist.

    >>> parse("train:level=1:20")  # doctest: +SKIP
    Spec(split='train', generators=('chain_sum', ...), level=1, n=20)
    """
    parts = [p.strip() for p in text.split(":")] if text.strip() else []
    split = parts.pop(0) if parts and parts[0] in SPLITS else "test"
    names, level, n = "compute12", None, SPLITS[split][1]
    if parts and not re.fullmatch(r"level=.*|\d+", parts[0]):
        names = parts.pop(0)
    if parts and (match := re.fullmatch(r"level=(\d+)", parts[0])):
        level = int(match[1])
        parts.pop(0)
    if parts and re.fullmatch(r"[1-9]\d*", parts[0]):
        n = int(parts.pop(0))
    if parts:
        raise UserError(f'reasoning_gym:{text}: cannot read "{parts[0]}"; {_FORM}')
    generators = tuple(dict.fromkeys(g for name in names.split(",") for g in _generators(name.strip(), text)))
    most = max(map(level_count, generators))
    if level is not None and level >= most:
        raise UserError(f"reasoning_gym:{text}: there is no level {level} of {names}; the hardest is {most - 1}")
    return Spec(split, generators, level, n)


def _generators(name: str, text: str) -> tuple[str, ...]:
    if name in SETS:
        return SETS[name]
    if refusal(name):
        raise UserError(f'reasoning_gym:{text}: "{name}" is not offered: {refusal(name)}')
    known = offered()
    if name not in known:
        raise UserError(f"reasoning_gym: {unknown('generator, set or split', name, (*known, *SETS, *SPLITS))}")
    return (name,)


def stream(spec: Spec, generator: str) -> Iterator[Problem]:
    """All problems of one generator in order, as many as it has. Raises UserError when there are no more."""
    hardest = level_count(generator) - 1
    level = min(SPLITS[spec.split][0] if spec.level is None else spec.level, hardest)
    side = spec.split if spec.level is None else f"{spec.split}-level{level}"
    seen: set[str] = set()
    missed = 0
    first = first_seed(spec.split != "train")
    for seed in range(first, first + N_SEEDS):
        ref = Ref(generator, level, seed)
        made = entry(ref)
        if made is None or made.held_out is (spec.split == "train") or made.question in seen:
            missed += 1
            if missed == _GIVE_UP:
                break
            continue
        yield _problem(f"gym-{generator}-{side}-{len(seen):04}", ref, made)
        seen.add(made.question)
        missed = 0
    raise UserError(
        f"reasoning_gym: {generator} has only {len(seen)} different questions for {spec.split} at level {level}; "
        f"ask for no more"
    )


def _problem(identity: str, ref: Ref, made: Entry) -> Problem:
    labels = [("level", str(ref.level))]
    if made.template is not None:
        labels.append(("template", str(made.template)))
    return Problem(identity, made.question, made.answer, "gym", ref.generator, (str(ref),), tuple(labels))
