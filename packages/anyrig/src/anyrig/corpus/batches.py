"""Batches of about equal work: examples of one length and of like numbers of joints together."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from anyrig.corpus.examples import Example
from anyrig.corpus.splits import seed_of
from anyrig.model import RigBatch, collate_rigs, pack


@dataclass(frozen=True, slots=True)
class Deal:
    """``tokens`` a batch at most, a token being a joint over ``patch`` frames; ``poses``: one patch of each example.

    ``untitled`` of the texts are left out, for guidance; ``unnamed`` of the rigs lose their joint names.
    """

    tokens: int = 4000
    patch: int = 8
    poses: bool = False
    untitled: float = 0.1
    unnamed: float = 0.3
    max_frames: int = 64


@dataclass(frozen=True, eq=False)
class Batch:
    """``clean`` motion (B, T, J + 1, 10), packed, of ``rig`` (B), with ``texts``.

    ``others`` are further captions of the same motions, and ``alike`` (B, B) is true where two are of one kind and
    action.
    """

    clean: Tensor
    rig: RigBatch
    texts: tuple[str, ...]
    others: tuple[str, ...]
    alike: Tensor


def deal(examples: Sequence[Example], how: Deal, seed: int, epoch: int) -> Iterator[Batch]:
    """All examples once, in batches; the same seed and epoch give the same batches."""
    rng = random.Random(seed_of("deal", seed, epoch))
    for numbers in _groups(examples, how, rng):
        yield _batch([examples[n] for n in numbers], how, rng)


def n_batches(examples: Sequence[Example], how: Deal, seed: int, epoch: int) -> int:
    """How many batches :func:`deal` will give."""
    return len(_groups(examples, how, random.Random(seed_of("deal", seed, epoch))))


def _groups(examples: Sequence[Example], how: Deal, rng: random.Random) -> list[list[int]]:
    by_length: dict[int, list[int]] = defaultdict(list)
    for n, example in enumerate(examples):
        by_length[how.patch if how.poses else min(example.window, how.max_frames)].append(n)
    groups = []
    for length, numbers in sorted(by_length.items()):
        rng.shuffle(numbers)
        for start in range(0, len(numbers), 256):  # not all sorted at once: batches shall differ from epoch to epoch
            # Roughly by size: sorted strictly, a batch would be all snakes or all spiders.
            keys = {n: examples[n].code.n_joints * rng.uniform(1.0, 1.5) for n in numbers[start : start + 256]}
            pool = sorted(keys, key=keys.__getitem__)
            groups.extend(_filled(pool, examples, how, length // how.patch))
    rng.shuffle(groups)
    return groups


def _filled(pool: list[int], examples: Sequence[Example], how: Deal, patches: int) -> list[list[int]]:
    """``pool`` in groups of neighbours of at most ``how.tokens`` when padded; one at least."""
    groups: list[list[int]] = [[]]
    for n in pool:
        widest = max(examples[m].code.n_joints for m in (*groups[-1], n)) + 1
        if groups[-1] and (len(groups[-1]) + 1) * widest * patches > how.tokens:
            groups.append([])
        groups[-1].append(n)
    return groups


def _batch(chosen: Sequence[Example], how: Deal, rng: random.Random) -> Batch:
    features, texts, others = [], [], []
    for example in chosen:
        n = how.patch if how.poses else min(example.window, how.max_frames)
        spare = example.features.n_frames - n
        start = rng.randint(0, spare) if spare > 0 else 0
        features.append(example.features.cut(start, start + n))
        text, other = rng.sample(example.captions, 2)
        texts.append("" if rng.random() < how.untitled else text)
        others.append(other)
    rig = collate_rigs([e.code for e in chosen])
    named = torch.as_tensor(np.array([rng.random() >= how.unnamed for _ in chosen]))
    rig.names.mul_(named[:, None, None])
    what = [(e.kind, e.action) for e in chosen]
    alike = torch.tensor([[a == b for b in what] for a in what])
    return Batch(pack(features), rig, tuple(texts), tuple(others), alike)
