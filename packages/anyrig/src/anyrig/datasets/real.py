"""Real animation from a folder of GLB, glTF and BVH files: repaired rigs with captioned clips, to be trained on.

:func:`load` reads every file, repairs rigs (:mod:`anyrig.datasets.repair`), moves gaits over the ground, writes
captions (:mod:`anyrig.datasets.labels`), and says what it left out and why. Beside the files there may be

- ``MANIFEST.tsv`` with the columns ``file``, ``species``, ``licence`` and ``author``, for the folder it is in;
- ``labels.tsv`` with ``file`` and ``description``, for files whose names say nothing.

The species of :data:`HELD_OUT` are for measuring: nothing of them is in the training split.
"""

from __future__ import annotations

import csv
import hashlib
import os
import random
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from anyrig import conform
from anyrig import rotations as rot
from anyrig.conform import extent
from anyrig.datasets import labels
from anyrig.datasets.labels import Label
from anyrig.datasets.repair import Repaired, at_velocity, repaired, steady_velocity, treading_speed, with_travel
from anyrig.errors import AnyrigError, FileError, FileWarning
from anyrig.io import SUFFIXES, Asset
from anyrig.io import load as load_asset
from anyrig.skeleton import Clip, Skeleton

HELD_OUT = ("bat", "dragon", "flying octopus", "fox", "parasaurolophus", "rat", "robot", "shark", "snake", "spider",
            "wasp", "witch")  # fmt: skip
"""Species that nothing is trained on: three that fly, one that swims, four with two legs, two with four, one with eight
and one without. No other species in the published packs has the skeleton of one of these; a creature that has is in no
split."""

SPEEDS = {"walk": 0.6, "sneak": 0.3, "crawl": 0.25, "trot": 1.2, "run": 1.8, "walk_backward": 0.4, "run_backward": 1.0,
          "sidestep": 0.8, "slither": 0.4, "fly": 1.2, "glide": 1.5, "swim": 0.7, "dash": 2.0, "wheelchair": 0.5,
          "roll": 1.0}  # fmt: skip
"""Body lengths a second of actions on the spot where no standing foot gives the speed; twice that where the verb
says fast, half where it says slow."""
CYCLES = {
    *SPEEDS,
    *[
        "idle",
        "hover",
        "dance",
        "eat",
        "look_around",
        "sleep",
        "talk",
        "tread_water",
        "fall",
        "hold",
        "ready",
        "sit",
        "meditate",
        "shiver",
        "exercise",
    ],
    *["drive", "kneel", "block", "aim", "cast", "flop"],
}
"""Actions that are repeated if their last pose is their first."""
_ON_FEET = {"walk", "sneak", "crawl", "trot", "run", "walk_backward", "run_backward", "sidestep"}
_FOLLOWED = re.compile(r"gallop jump|jump to idle|walk jump")
_WAYS = {"walk_backward": (0.0, -1.0), "run_backward": (0.0, -1.0)}

SHORTEST_S = 0.25
"""Shorter clips are poses."""
_STILL = 0.003
"""Where no joint moves further than this share of the size, nothing moves."""
_BROKEN = 0.3
"""Where a joint is this share of the size away from where the file has it, rigid bones cannot show the motion."""
_SEAM = 0.06
"""A clip loops where its first and last pose are this near to each other, in sizes."""
_BLEND_S = 0.4
_PERSON_M = 1.7
_PLAUSIBLE_M = (0.05, 25.0)
_UNITS = (1.0, 0.01, 0.0254, 0.056444, 0.001, 100.0)
"""Metres in the units that files are in, CMU's own included."""


@dataclass(frozen=True, eq=False)
class Take:
    """A clip with its action and captions, and how it was made.

    ``label`` is what it shows; ``loops`` says that it can be repeated (:func:`anyrig.conform.repeated`). ``travel`` is
    where its way over the ground comes from: ``"file"``, ``"feet"`` (standing feet do not slide), ``"prior"``
    (:data:`SPEEDS`) or ``"none"``, on the spot.
    """

    clip: Clip
    label: Label
    loops: bool
    travel: str


@dataclass(frozen=True, eq=False)
class Creature:
    """One file: ``name`` is unique in its folder, ``noun`` the species, ``kind`` as in :mod:`anyrig.creatures`
    (``"other"`` where it is none of them), ``split`` ``"train"``, ``"test"`` or ``""`` for none.

    All takes have one skeleton of rigid bones, faced along z, with the joints ``feet`` on the ground y = 0.
    """

    name: str
    file: str
    noun: str
    kind: str
    skeleton: Skeleton
    takes: tuple[Take, ...]
    feet: tuple[int, ...] = ()
    licence: str = ""
    author: str = ""
    split: str = "train"

    @property
    def tree(self) -> str:
        """A fingerprint of the joints' names and parents."""
        return hashlib.sha256(repr((self.skeleton.names, self.skeleton.parents)).encode()).hexdigest()[:12]

    @property
    def asset(self) -> Asset:
        """The skeleton with all clips, to be written or drawn."""
        return Asset(self.skeleton, tuple(t.clip for t in self.takes))


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A ``clip`` of a ``file``, or all of it where that is ``""``, that was left out, and why."""

    file: str
    clip: str
    reason: str


@dataclass(frozen=True, eq=False)
class Collection:
    """The creatures of a folder, and what was left out."""

    creatures: tuple[Creature, ...]
    left_out: tuple[LeftOut, ...] = ()

    def split(self, name: str) -> tuple[Creature, ...]:
        """The creatures of ``"train"`` or ``"test"``."""
        return tuple(c for c in self.creatures if c.split == name)


@dataclass(frozen=True, slots=True)
class _About:
    """What lists beside a file say of it."""

    species: str = ""
    licence: str = ""
    author: str = ""
    description: str = ""


@dataclass(slots=True)
class _Read:
    """What one file gives; ``marks`` are the fingerprints of its takes' motion."""

    creature: Creature | None = None
    left_out: list[LeftOut] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)


def load(
    path: str | os.PathLike[str],
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Collection:
    """The creatures in a file, or in a folder and below, by name, with what was left out.

    ``workers`` processes read the files, and ``progress`` is called with the number of files read and of all. Raises
    FileError where there is no such file, and a FileWarning names files that cannot be read.
    """
    path = Path(path)
    suffixes = [s for s in SUFFIXES if s != ".npz"]
    files = sorted(f for f in path.rglob("*") if f.suffix.lower() in suffixes) if path.is_dir() else [path]
    if not files or not files[0].exists():
        raise FileError(f"{path} holds no {', '.join(suffixes)} file" if path.is_dir() else f"{path}: No such file")
    about = _lists(path if path.is_dir() else path.parent, files)
    tasks = [(f, name, about[f]) for name, f in _named(files).items()]
    found: list[_Read] = []
    if workers <= 1 or len(tasks) < 4:
        for task in tasks:
            found.append(_read(task))
            progress(len(found), len(tasks))
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            for read in pool.map(_read, tasks, chunksize=4):
                found.append(read)
                progress(len(found), len(tasks))
    for read in found:
        for left in read.left_out:
            if left.reason.startswith("cannot be read"):
                warnings.warn(f"{left.file} {left.reason}", FileWarning, stacklevel=2)
    return _collected(found)


def _collected(found: Sequence[_Read]) -> Collection:
    """All creatures without takes that another has already, in their splits."""
    seen: dict[str, str] = {}
    creatures, left_out = [], [left for read in found for left in read.left_out]
    for read in found:
        if read.creature is None:
            continue
        takes = []
        for take, mark in zip(read.creature.takes, read.marks, strict=True):
            first = seen.setdefault(mark, f"{take.clip.name} of {read.creature.name}")
            if first == f"{take.clip.name} of {read.creature.name}":
                takes.append(take)
            else:
                left_out.append(
                    LeftOut(read.creature.file, take.clip.name, f"the same motion of the same skeleton: {first}")
                )
        if takes:
            creatures.append(replace(read.creature, takes=tuple(takes)))
    twins = {c.tree for c in creatures if c.noun in HELD_OUT}
    for n, c in enumerate(creatures):
        if c.noun in HELD_OUT:
            creatures[n] = replace(c, split="test")
        elif c.tree in twins:
            creatures[n] = replace(c, split="")
            left_out.append(LeftOut(c.file, "", "in no split, since it has the skeleton of a held-out species"))
    return Collection(tuple(creatures), tuple(left_out))


def _named(files: Sequence[Path]) -> dict[str, Path]:
    """The files by stem, with as many folders before it as make it unique, or with the suffix."""
    ends: dict[tuple[str, ...], set[Path]] = {}
    for file in files:
        parts = file.with_suffix("").parts
        for n in range(1, len(parts) + 1):
            ends.setdefault(parts[-n:], set()).add(file.with_suffix(""))
    named: dict[str, Path] = {}
    stems = [f.with_suffix("") for f in files]
    for file in files:
        parts = file.with_suffix("").parts
        n = next(n for n in range(1, len(parts) + 1) if len(ends[parts[-n:]]) == 1)
        twice = stems.count(file.with_suffix("")) > 1
        named["/".join(parts[-n:]) + (file.suffix if twice else "")] = file
    return named


def _lists(folder: Path, files: Sequence[Path]) -> dict[Path, _About]:
    """What the lists in ``folder`` and below, and in the folders above it, say of each file."""
    rows: dict[Path, dict[str, str]] = {}
    lists = [p for name in ("MANIFEST.tsv", "labels.tsv") for p in sorted(folder.rglob(name))]
    for above in list(folder.resolve().parents)[:4]:
        lists += [above / name for name in ("MANIFEST.tsv", "labels.tsv") if (above / name).exists()]
    for path in lists:
        for base in (path.parent, path.parent.parent):  # files are named from the folder of the list, or the one above
            with path.open(encoding="utf-8", errors="replace", newline="") as text:
                for row in csv.DictReader(text, delimiter="\t", quoting=csv.QUOTE_NONE):
                    if row.get("file"):
                        known = rows.setdefault((base / row["file"]).resolve(), {})
                        known |= {k: v for k, v in row.items() if isinstance(k, str) and isinstance(v, str) and v}
    names = {"licence": ("licence", "license"), "author": ("author",), "species": ("species",),
             "description": ("description",)}  # fmt: skip
    found = {}
    for file in files:
        row = rows.get(file.resolve(), {})
        told = {key: next((row[n] for n in aka if n in row), "") for key, aka in names.items()}
        found[file] = _About(**told)
    return found


def _read(task: tuple[Path, str, _About]) -> _Read:
    path, name, about = task
    read, noun = _Read(), labels.noun_of(about.species or name)
    if not noun:
        read.left_out.append(LeftOut(str(path), "", f"an object, not a creature ({about.species or path.stem})"))
        return read
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FileWarning)  # about units and axes, which are decided here
            asset = load_asset(path)
    except AnyrigError as error:
        read.left_out.append(LeftOut(str(path), "", f"cannot be read: {error}"))
        return read
    clips = [c for c in asset.clips if _worth(path, c, asset, read)]
    if not clips:
        if not asset.clips:
            read.left_out.append(LeftOut(str(path), "", "it has no clip"))
        return read
    asset = replace(asset, clips=tuple(_without_blend(c) for c in clips))
    swims = labels.kind_of(noun) == "fish" and not noun.endswith("man")
    flies = noun in labels.AIR and not any(re.search("walk|run", labels.clip_words(c.name)) for c in clips)
    rig = repaired(asset, factor=_unit(asset.skeleton, noun), walks=not (swims or flies))
    if rig.skeleton.n_joints < 3:
        read.left_out.append(LeftOut(str(path), "", f"too few joints: {rig.skeleton.n_joints}"))
        return read
    takes: list[Take] = []
    for clip, off in zip(rig.clips, rig.off, strict=True):
        said = about.description or clip.name
        label = labels.label_of(said, noun, feet=bool(rig.feet) or swims)
        if off > _BROKEN:
            why = f"its bones stretch or come apart (by {off:.0%} of the size)"
            read.left_out.append(LeftOut(str(path), clip.name, why))
        elif label is None:
            read.left_out.append(LeftOut(str(path), clip.name, "its name says nothing of what it shows"))
        else:
            takes.append(_take(clip, label, rig, noun, f"{name} {clip.name}"))
            read.marks.append(_mark(clip, path, about))
    read.creature = Creature(name, str(path), noun, labels.kind_of(noun), rig.skeleton,
                             _renamed(takes, path.stem if about.description else ""), rig.feet,
                             about.licence, about.author)  # fmt: skip
    return read


def _worth(path: Path, clip: Clip, asset: Asset, read: _Read) -> bool:
    """Whether a clip is motion; if not, notes why."""
    at = clip.world()[0]
    if labels.POSES.search(labels.clip_words(clip.name)):
        why = "a pose by its name"
    elif clip.seconds < SHORTEST_S:
        why = f"too short: {clip.seconds:.2f} s"
    elif np.ptp(at, axis=0).max() < _STILL * extent(asset.skeleton):
        why = "nothing moves"
    else:
        return True
    read.left_out.append(LeftOut(str(path), clip.name, why))
    return False


def _without_blend(clip: Clip) -> Clip:
    """The clip without a rest pose in its first frame and the blend out of it, if it jumps out of one."""
    away = rot.angle(clip.rotations[0, 1:], clip.skeleton.rest[1:])
    if clip.skeleton.n_joints < 2 or float(np.max(away)) > 0.02 or clip.n_frames < 16:
        return clip
    turns = rot.angle(clip.rotations[1:], clip.rotations[:-1]).mean(axis=1) * clip.fps
    typical = float(np.median(turns[len(turns) // 3 :]))
    first = int(_BLEND_S * clip.fps)
    fast = np.flatnonzero(turns[:first] > 5.0 * max(typical, 1e-6))
    return clip.cut(int(fast[-1]) + 1, clip.n_frames) if len(fast) else clip


def _unit(skeleton: Skeleton, noun: str) -> float:
    """Metres in one unit of a file: 1 for a plausible size, else what makes it plausible."""
    height = float(np.ptp(skeleton.rest_positions()[:, 1])) if noun in labels.PEOPLE else extent(skeleton)
    low, high = (0.3, 4.5) if noun in labels.PEOPLE else _PLAUSIBLE_M
    if low <= height <= high:
        return 1.0
    aim = _PERSON_M if noun in labels.PEOPLE else 1.0
    return min(_UNITS, key=lambda unit: abs(np.log(height * unit / aim)))


def _take(clip: Clip, label: Label, rig: Repaired, noun: str, seed: str) -> Take:
    """The clip with travel and captions; a cycle without the still pose that some files hold after it."""
    if label.action in CYCLES:
        clip = _without_hold(clip)
    clip, travel = _travelling(clip, label, rig)
    loops = label.action in CYCLES and _closes(clip)
    return Take(labels.captioned(clip, label, noun, random.Random(seed)), label, loops, travel)


def _without_hold(clip: Clip) -> Clip:
    """The clip without frames at its end, more than a quarter of a second, in which nothing moves."""
    at = clip.world()[0]
    moved = np.flatnonzero(np.abs(np.diff(at, axis=0)).max(axis=(1, 2)) > 1e-3 * extent(clip.skeleton) / clip.fps)
    last = int(moved[-1]) + 2 if len(moved) else 1
    return clip.cut(0, last) if last >= SHORTEST_S * clip.fps and clip.n_frames - last > 0.25 * clip.fps else clip


def _travelling(clip: Clip, label: Label, rig: Repaired) -> tuple[Clip, str]:
    """The clip with its way over the ground, and where that comes from."""
    length = extent(rig.skeleton)
    if float(np.linalg.norm(clip.travel()[-1])) > 0.3 * length:
        return clip, "file"
    if _FOLLOWED.search(labels.clip_words(clip.name)) and rig.feet:
        return with_travel(clip, rig.feet, steady=False), "feet"
    if label.action not in SPEEDS:
        return clip, "none"
    way = np.array(_way(label))
    if label.action in _ON_FEET and rig.feet:
        found = steady_velocity(clip, rig.feet)
        along = float(found @ way)
        if along > 0.1 * length and along > 0.7 * float(np.linalg.norm(found)):
            return at_velocity(clip, way * along), "feet"
        along = treading_speed(clip, rig.feet, way)
        if along > 0.1 * length:
            return at_velocity(clip, way * along), "feet"
    fast = re.search("fast|rush|quick|sprint|gallop", label.verbs) is not None
    pace = 2.0 if fast else 0.5 if "slow" in label.verbs else 1.0
    return at_velocity(clip, way * SPEEDS[label.action] * length * pace), "prior"


def _way(label: Label) -> tuple[float, float]:
    """The direction of a gait, (x, z)."""
    if label.action == "sidestep":
        return (1.0, 0.0) if "left" in label.verbs else (-1.0, 0.0)
    if label.action == "wheelchair" and "back" in label.verbs:
        return 0.0, -1.0
    return _WAYS.get(label.action, (0.0, 1.0))


def _closes(clip: Clip) -> bool:
    """Whether the last pose is the first, but for the way over the ground."""
    ends = clip.cut(0, clip.n_frames).world()[0][[0, -1]]
    main = clip.skeleton.main_root
    apart = (ends[1] - ends[1, main] * [1, 0, 1]) - (ends[0] - ends[0, main] * [1, 0, 1])
    return float(np.linalg.norm(apart, axis=-1).max()) < _SEAM * extent(clip.skeleton)


def _mark(clip: Clip, path: Path, about: _About) -> str:
    """A fingerprint that is the same for the same motion of the same skeleton: its trial, or proportions and poses."""
    s = clip.skeleton
    tree: tuple[object, ...] = (s.names, s.parents)
    if about.description and clip.action == "":
        what: object = re.sub(r"_(mb31|max31|daz31|makehuman165)$", "", path.stem)
    else:
        some = np.linspace(0, clip.n_frames - 1, 6).round().astype(int)
        poses = clip.rotations[some]
        poses = poses * np.where(poses[..., :1] < 0, -1.0, 1.0)
        what = (clip.n_frames, np.round(s.offsets[1:] / extent(s), 1).tolist(), np.round(poses + 0.0, 1).tolist())
    return hashlib.sha256(repr((tree, what)).encode()).hexdigest()


def _renamed(takes: Sequence[Take], stem: str) -> tuple[Take, ...]:
    """The takes with clips called ``stem``, or after what they show, numbered where several have one name."""
    names: dict[str, int] = {}
    renamed = []
    for take in takes:
        name = stem or labels.clip_words(take.clip.name) or take.label.action
        names[name] = names.get(name, 0) + 1
        name = name if names[name] == 1 else f"{name} {names[name]}"
        renamed.append(replace(take, clip=replace(take.clip, name=name)))
    return tuple(renamed)


def window(take: Take, n_frames: int, fps: float, noun: str, rng: random.Random) -> Clip:
    """``n_frames`` of a take at ``fps``: from anywhere in a longer one, repeated where it loops; a shorter one stays in
    its last pose. The captions are those of the window."""
    clip = take.clip
    seconds = (n_frames - 1) / fps
    if take.loops and clip.seconds < 2 * seconds:
        clip = conform.repeated(clip, 2 + int(seconds / max(clip.seconds, 1e-3)))
    clip = clip.resampled(fps)
    if clip.n_frames < n_frames:
        more = n_frames - clip.n_frames
        clip = replace(clip, rotations=np.concatenate([clip.rotations, np.repeat(clip.rotations[-1:], more, axis=0)]),
                       translations=np.concatenate(
                           [clip.translations, np.repeat(clip.translations[-1:], more, axis=0)]))  # fmt: skip
    start = rng.randint(0, clip.n_frames - n_frames)
    clip = clip.cut(start, start + n_frames)
    shift = -clip.translations[0, clip.skeleton.main_root] * [1.0, 0.0, 1.0]
    moved = clip.translations.copy()
    moved[:, list(clip.skeleton.roots)] += shift
    return labels.captioned(replace(clip, translations=moved), take.label, noun, rng)


def record(collection: Collection) -> dict[str, object]:
    """The collection as values for JSON: of each file its species, split, licence and author, of each clip its action,
    captions and where its travel comes from; and what was left out."""
    return {
        "creatures": [
            {"file": c.file, "species": c.noun, "kind": c.kind, "split": c.split, "licence": c.licence,
             "author": c.author, "joints": c.skeleton.n_joints, "feet": [c.skeleton.names[j] for j in c.feet],
             "clips": [{"name": t.clip.name, "action": t.clip.action, "seconds": t.clip.seconds, "travel": t.travel,
                        "loops": t.loops, "captions": list(t.clip.captions)} for t in c.takes]}
            for c in collection.creatures
        ],
        "left_out": [asdict(left) for left in collection.left_out],
    }  # fmt: skip


def summary(collection: Collection) -> Iterator[str]:
    """Lines for each species, with clips, seconds and actions, then what was left out by reason."""
    by_noun: dict[str, list[Creature]] = {}
    for creature in collection.creatures:
        by_noun.setdefault(creature.noun, []).append(creature)
    for noun, creatures in sorted(by_noun.items()):
        takes = [t for c in creatures for t in c.takes]
        actions = sorted({t.clip.action for t in takes})
        held = "" if all(c.split == "train" for c in creatures) else "  held out"
        yield (f"{noun}: {len(creatures)} file{'s' * (len(creatures) > 1)}, {len(takes)} clip{'s' * (len(takes) > 1)}, "
               f"{sum(t.clip.seconds for t in takes):.0f} s{held}: {', '.join(actions)}")  # fmt: skip
    all_takes = [t for c in collection.creatures for t in c.takes]
    ways = {way: sum(t.travel == way for t in all_takes) for way in ("file", "feet", "prior", "none")}
    yield (f"in all {len(by_noun)} species, {len(collection.creatures)} files, {len(all_takes)} clips, "
           f"{sum(t.clip.seconds for t in all_takes):.0f} s; travel from the file {ways['file']}, from standing feet "
           f"{ways['feet']}, from usual speeds {ways['prior']}, on the spot {ways['none']}")  # fmt: skip
    reasons: dict[str, list[LeftOut]] = {}
    for left in collection.left_out:
        reasons.setdefault(re.split(r"[:(]| of ", left.reason)[0].strip(), []).append(left)
    for reason, lefts in sorted(reasons.items()):
        first = lefts[0]
        yield f"left out {len(lefts)}: {reason}, such as {Path(first.file).name} {first.clip}".rstrip()
