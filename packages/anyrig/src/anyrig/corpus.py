"""The training corpus: its splits and held-out creatures, examples of procedural and real creatures on augmented rigs,
shards of examples on disk, and batches.

A body's seed follows from its number and split, so that no body is in two splits. Some kinds are held out, and so are
some pairs of kind and action that both occur with others. Shards are NumPy archives of a few hundred examples, made
once and in parallel; an interrupted build is resumed.
"""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
import random
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from anyrig import creatures
from anyrig.augmentation import Augmentation, augment
from anyrig.creatures.captions import a, gerund, sentence, third
from anyrig.datasets import real
from anyrig.errors import FileError, SettingsError
from anyrig.features import Features, RigCode, encode, rig_code
from anyrig.io.files import write_bytes
from anyrig.model import RigBatch, collate_rigs, pack
from anyrig.skeleton import Clip

HELD_OUT_KINDS = ("dragon",)
HELD_OUT_PAIRS = (("biped", "jump"), ("bird", "crouch"), ("hexapod", "run"), ("quadruped", "sneak"))
SPLITS = ("train", "valid", "test")
FPS = 15.0
"""Frames a second of the examples."""
LENGTHS = (24, 32, 40, 48, 56, 64, 64)
"""Frames of an example's window; the longest, that of a model, is drawn twice as often."""
SPARE = 16
"""Frames of a cyclic motion beyond its window, so that the window can start anywhere."""
AUGMENTED = 0.75
"""The share of examples on an augmented rig."""
SHARD = 200
"""Examples in a shard."""
_CODE = {"parents": np.int16, "depths": np.int16, "rest": np.float32, "bones": np.float32, "paths": np.int8,
         "names": np.int16}  # fmt: skip


def seed_of(*parts: object) -> int:
    """A seed that follows from ``parts`` alone, the same on every machine."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:7], "big")


@dataclass(frozen=True, slots=True)
class Selection:
    """What examples are drawn from: ``kinds`` (all but the held-out ones where empty) in a split of ``bodies`` bodies.

    Held-out pairs of kind and action are drawn outside ``"train"`` only.
    """

    split: str = "train"
    kinds: tuple[str, ...] = ()
    seed: int = 0
    bodies: int = 100_000

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise SettingsError(f"a split is one of {', '.join(SPLITS)}, not {self.split!r}")
        unknown = [k for k in self.kinds if k not in creatures.kinds()]
        if unknown:
            raise SettingsError(f"no kind is called {unknown[0]!r}; there are: {', '.join(creatures.kinds())}")

    def body(self, kind: str, number: int) -> creatures.BodyPlan:
        """A body of the split."""
        return creatures.plan(kind, random.Random(seed_of("body", self.split, kind, number)))

    def drawn_kinds(self) -> tuple[str, ...]:
        """The kinds to draw from."""
        return self.kinds or tuple(k for k in creatures.kinds() if k not in HELD_OUT_KINDS)

    def actions(self, plan: creatures.BodyPlan) -> tuple[str, ...]:
        """The actions of ``plan`` that this split draws."""
        able = creatures.actions(plan)
        return able if self.split != "train" else tuple(a for a in able if (plan.kind, a) not in HELD_OUT_PAIRS)


@dataclass(frozen=True, slots=True)
class RealSelection:
    """Real creatures of a ``folder`` (see :mod:`anyrig.datasets.real`), in a split: ``"train"`` or ``"test"``."""

    folder: str
    split: str = "train"
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Example:
    """``features`` of a rig ``code``, of which a batch takes ``window`` frames: any of a cyclic motion, else all.

    ``captions`` are from short to long, with a terse prompt at the end.
    """

    features: Features
    code: RigCode
    captions: tuple[str, ...]
    kind: str
    action: str
    window: int


def make_example(selection: Selection, number: int, *, varied: bool = True) -> tuple[Example, Clip]:
    """Example ``number`` of the selection and its clip; ``varied`` augments the rigs."""
    seed = seed_of("example", selection.split, selection.seed, number)
    rng = random.Random(seed)
    kind = rng.choice(selection.drawn_kinds())
    body = selection.body(kind, rng.randrange(selection.bodies))
    action = rng.choice(selection.actions(body))
    n, state = rng.choice(LENGTHS), rng.getstate()
    done = creatures.perform(body, action, rng, seconds=(n + SPARE - 1) / FPS, fps=FPS)
    if not done.loops:
        rng.setstate(state)
        done = creatures.perform(body, action, rng, seconds=(n - 1) / FPS, fps=FPS)
    clip = done.clip
    if varied and rng.random() < AUGMENTED:
        clip = augment(clip, np.random.default_rng(seed), Augmentation(axes=True))
    return from_clip(clip, kind, body.noun, n, rng), clip


@lru_cache(maxsize=1)
def _by_species(folder: str, split: str) -> list[tuple[float, list[tuple[real.Creature, real.Take]]]]:
    """The takes of each species of a split, with the weight to draw the species with: the root of its seconds."""
    found: dict[str, list[tuple[real.Creature, real.Take]]] = defaultdict(list)
    for creature in real.load(folder).split(split):
        found[creature.noun] += [(creature, take) for take in creature.takes]
    if not found:
        raise FileError(f"{folder} holds no real creature of the {split} split")
    return [(sum(take.clip.seconds for _, take in takes) ** 0.5, takes) for _, takes in sorted(found.items())]


def make_real_example(selection: RealSelection, number: int, *, varied: bool = True) -> tuple[Example, Clip]:
    """Example ``number`` of the selection and its clip: a species, a take of it and a window; ``varied`` augments the
    rigs. The folder is read once per process."""
    seed = seed_of("real", selection.split, selection.seed, number)
    rng = random.Random(seed)
    species = _by_species(selection.folder, selection.split)
    takes = rng.choices(species, [weight for weight, _ in species])[0][1]
    creature, take = rng.choice(takes)
    n = rng.choice(LENGTHS)
    if not take.loops:  # a shorter motion is not held still for longer than needed
        n = min(n, max(LENGTHS[0], 8 * round(take.clip.seconds * FPS / 8)))
    clip = real.window(take, n, FPS, creature.noun, rng)
    if varied and rng.random() < AUGMENTED:
        clip = augment(clip, np.random.default_rng(seed), Augmentation(axes=True))
    return from_clip(clip, creature.kind, creature.noun, n, rng), clip


def from_clip(clip: Clip, kind: str, noun: str, window: int, rng: random.Random) -> Example:
    """The example of a clip that is at :data:`FPS` frames a second."""
    return Example(
        features=encode(clip),
        code=rig_code(clip.skeleton),
        captions=(*clip.captions, _terse(noun, clip.action, rng)),
        kind=kind,
        action=clip.action,
        window=window,
    )


def _terse(noun: str, action: str, rng: random.Random) -> str:
    verb = action.replace("_", " ")
    does, doing = third(verb), gerund(verb)
    forms = (verb, sentence(f"{a(noun)} {does}"), f"the {noun} {does}", f"{noun} {doing}", doing)
    return rng.choice(forms)


def build(
    folder: Path,
    selection: Selection | RealSelection,
    n: int,
    *,
    varied: bool = True,
    workers: int = 1,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Path]:
    """The shards of examples 0 to ``n`` in ``folder``, made where missing; ``progress`` is called with the number done.

    Raises FileError where the folder's shards are of another selection.
    """
    folder.mkdir(parents=True, exist_ok=True)
    about = json.loads(json.dumps({**asdict(selection), "varied": varied}))
    note = folder / "selection.json"
    if note.exists() and json.loads(note.read_text()) != about:
        raise FileError(f"{folder} holds examples of another selection; take another folder, or remove it")
    note.write_text(json.dumps(about) + "\n")
    starts = range(0, n, SHARD)
    paths = [folder / f"{start // SHARD:04d}-{min(SHARD, n - start)}.npz" for start in starts]
    todo = [(p, selection, s, min(SHARD, n - s), varied) for p, s in zip(paths, starts, strict=True) if not p.exists()]
    done = n - sum(t[3] for t in todo)
    progress(done)
    if workers <= 1:
        for task in todo:
            done += _make(task)
            progress(done)
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            for made in pool.map(_make, todo):
                done += made
                progress(done)
    return paths


def _make(task: tuple[Path, Selection | RealSelection, int, int, bool]) -> int:
    path, selection, start, n, varied = task
    numbers = range(start, start + n)
    if isinstance(selection, Selection):
        made = [make_example(selection, k, varied=varied)[0] for k in numbers]
    else:
        made = [make_real_example(selection, k, varied=varied)[0] for k in numbers]
    save_examples(path, made)
    return n


def save_examples(path: Path, examples: Sequence[Example]) -> None:
    """Writes examples: features as 16-bit floats, exact to a thousandth of the rig's size, without stretch."""
    arrays: dict[str, Any] = {
        "joints": np.concatenate([e.features.joints.reshape(-1, e.features.joints.shape[-1]) for e in examples]).astype(
            np.float16
        ),
        "path": np.concatenate([e.features.path for e in examples]).astype(np.float32),
        "n_frames": np.array([e.features.n_frames for e in examples]),
        "n_joints": np.array([e.code.n_joints for e in examples]),
        "size": np.array([e.code.size for e in examples]),
        "floor": np.array([e.code.floor for e in examples]),
        "window": np.array([e.window for e in examples]),
        "distances": np.concatenate([e.code.distances.ravel() for e in examples]).astype(np.int8),
        "texts": np.array(json.dumps([[e.kind, e.action, *e.captions] for e in examples])),
    }
    arrays |= {k: np.concatenate([getattr(e.code, k) for e in examples]).astype(kind) for k, kind in _CODE.items()}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_bytes(path, buffer.getvalue())


def load_examples(paths: Sequence[Path]) -> list[Example]:
    """The examples of shards. Raises FileError for a file that is no shard."""
    return [example for path in paths for example in _load(path)]


def _load(path: Path) -> list[Example]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        texts = json.loads(str(arrays["texts"]))
        return [_example(arrays, texts, k) for k in _starts(arrays)]
    except (OSError, KeyError, ValueError, IndexError, zipfile.BadZipFile) as error:
        raise FileError(f"{path} is not a shard of examples: {str(error).splitlines()[0]}") from None


def _starts(arrays: dict[str, Any]) -> list[tuple[int, int, int, int, int]]:
    """For each example its number, and the offsets of its poses, frames, joints and pairs of joints."""
    t, j = arrays["n_frames"], arrays["n_joints"]
    ends = [np.concatenate([[0], np.cumsum(n)]) for n in (t * j, t, j, j * j)]
    return [(k, *(int(e[k]) for e in ends)) for k in range(len(t))]  # type: ignore[misc]


def _example(arrays: dict[str, Any], texts: list[list[str]], start: tuple[int, int, int, int, int]) -> Example:
    k, poses, frames, joints, pairs = start
    t, j = int(arrays["n_frames"][k]), int(arrays["n_joints"][k])
    code = {name: arrays[name][joints : joints + j] for name in _CODE}
    features = Features(
        joints=arrays["joints"][poses : poses + t * j].reshape(t, j, -1),
        path=arrays["path"][frames : frames + t],
        stretch=np.zeros((0, j, 3)),
        origin=np.zeros(3),
        fps=FPS,
    )
    distances = arrays["distances"][pairs : pairs + j * j].reshape(j, j)
    rig = RigCode(size=float(arrays["size"][k]), floor=float(arrays["floor"][k]), distances=distances, **code)
    kind, action, *captions = texts[k]
    return Example(features, rig, tuple(captions), kind, action, int(arrays["window"][k]))


@dataclass(frozen=True, slots=True)
class BatchConfig:
    """At most ``tokens`` a batch, a token being a joint; ``poses`` takes a single frame of each example.

    ``uncond`` is the share of captions dropped for classifier-free guidance, ``unnamed`` that of rigs without names.
    """

    tokens: int = 4000
    poses: bool = False
    uncond: float = 0.1
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


def batches(examples: Sequence[Example], config: BatchConfig, seed: int, epoch: int) -> Iterator[Batch]:
    """All examples once, in batches; the same seed and epoch give the same batches."""
    rng = random.Random(seed_of("deal", seed, epoch))
    for numbers in _groups(examples, config, rng):
        yield _batch([examples[n] for n in numbers], config, rng)


def n_batches(examples: Sequence[Example], config: BatchConfig, seed: int, epoch: int) -> int:
    """How many batches :func:`batches` will give."""
    return len(_groups(examples, config, random.Random(seed_of("deal", seed, epoch))))


def _groups(examples: Sequence[Example], config: BatchConfig, rng: random.Random) -> list[list[int]]:
    by_length: dict[int, list[int]] = defaultdict(list)
    for n, example in enumerate(examples):
        by_length[1 if config.poses else min(example.window, config.max_frames)].append(n)
    groups = []
    for _, numbers in sorted(by_length.items()):
        rng.shuffle(numbers)
        for start in range(0, len(numbers), 256):  # sorted in pieces, so that batches differ from epoch to epoch
            # By roughly the size: exact sorting would make batches of a single kind.
            keys = {n: examples[n].code.n_joints * rng.uniform(1.0, 1.5) for n in numbers[start : start + 256]}
            pool = sorted(keys, key=keys.__getitem__)
            groups.extend(_filled(pool, examples, config))
    rng.shuffle(groups)
    return groups


def _filled(pool: list[int], examples: Sequence[Example], config: BatchConfig) -> list[list[int]]:
    """``pool`` in groups of neighbours with at most ``config.tokens`` when padded, or of one example."""
    groups: list[list[int]] = [[]]
    for n in pool:
        widest = max(examples[m].code.n_joints for m in (*groups[-1], n)) + 1
        if groups[-1] and (len(groups[-1]) + 1) * widest > config.tokens:
            groups.append([])
        groups[-1].append(n)
    return groups


def _batch(chosen: Sequence[Example], config: BatchConfig, rng: random.Random) -> Batch:
    features, texts, others = [], [], []
    for example in chosen:
        n = 1 if config.poses else min(example.window, config.max_frames)
        spare = example.features.n_frames - n
        start = rng.randint(0, spare) if spare > 0 else 0
        features.append(example.features.cut(start, start + n))
        text, other = rng.sample(example.captions, 2)
        texts.append("" if rng.random() < config.uncond else text)
        others.append(other)
    rig = collate_rigs([e.code for e in chosen])
    named = torch.as_tensor(np.array([rng.random() >= config.unnamed for _ in chosen]))
    rig.names.mul_(named[:, None, None])
    what = [(e.kind, e.action) for e in chosen]
    alike = torch.tensor([[a == b for b in what] for a in what])
    return Batch(pack(features), rig, tuple(texts), tuple(others), alike)
