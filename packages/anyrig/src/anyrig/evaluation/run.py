"""The whole evaluation: three sets of held-out creatures and actions, all methods, several seeds; resumable.

The baseline that every model has to beat is :class:`Nearest`: the clip whose caption is nearest to the prompt, put on
the rig by :func:`retarget`.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anyrig import creatures
from anyrig import rotations as rot
from anyrig.corpus import FPS, HELD_OUT_KINDS, HELD_OUT_PAIRS, Selection, make_example, seed_of
from anyrig.errors import SettingsError
from anyrig.evaluation import measures
from anyrig.evaluation.evaluator import Evaluator
from anyrig.features import N_BUCKETS, ROTATION, Features, RigCode, decode, encode, rig_code, text_ids
from anyrig.generation import Options, generate_clips
from anyrig.model import MotionModel
from anyrig.rotations import Array
from anyrig.skeleton import Clip, Skeleton

Row = dict[str, float]
Make = Callable[[], Row | None]
SETS = ("unseen bodies", "unseen species", "unseen pairs")
_IDENTITY = np.array([1.0, 0.0, 0.0, 0.0, 1.0, 0.0])


class RowCache:
    """Rows of measures in a JSONL file, each under a key of plain values. A line that was cut off is not there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: dict[str, Row | None] = {}
        for line in path.read_text().splitlines() if path.exists() else []:
            try:
                entry = json.loads(line)
                self._rows[json.dumps(entry["key"])] = entry["row"]
            except (ValueError, KeyError, TypeError):
                continue

    def row(self, key: Sequence[object], make: Make) -> Row | None:
        """The row under ``key``, made and written if there is none."""
        name = json.dumps(list(key))
        if name not in self._rows:
            self._rows[name] = make()
            with self._path.open("a") as file:  # a line begins anew even where the last was cut off
                file.write("\n" + json.dumps({"key": list(key), "row": self._rows[name]}))
        return self._rows[name]


def fingerprint(*paths: Path) -> str:
    """What tells the files' contents from others."""
    whole = hashlib.sha256()
    for path in paths:
        whole.update(path.read_bytes())
    return whole.hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Plan:
    """``n_creatures`` of each set, each asked for up to ``n_actions`` different things (its pool), once for each of
    ``seeds``, which also draw other creatures. ``n_bank`` training clips are there to be retargeted."""

    sets: tuple[str, ...] = SETS
    n_creatures: int = 6
    n_actions: int = 12
    seeds: tuple[int, ...] = (0, 1, 2)
    n_bank: int = 600
    seconds: float = 3.0
    options: Options = field(default_factory=lambda: Options(fps=FPS))

    def __post_init__(self) -> None:
        unknown = [s for s in self.sets if s not in SETS]
        if unknown or not self.sets or not self.seeds or min(self.n_creatures, self.n_actions, self.n_bank) < 1:
            raise SettingsError(f"an evaluation needs sets out of {', '.join(SETS)}, seeds, creatures and actions")


@dataclass(frozen=True, eq=False)
class Asked:
    """One question: the text, and the clip that the creature's maker would give for it."""

    real: Clip
    text: str
    pool: int
    kind: str


Method = Callable[[Asked, int], Clip | None]
"""``method(asked, seed)``: a clip of the real one's skeleton and length; None where the method has none to give."""


def questions(name: str, plan: Plan, seed: int) -> list[Asked]:
    """The questions of one set, the same for the same seed. A pool is one creature, each action once."""
    rng = random.Random(seed_of("questions", name, seed))
    selection = Selection("test")
    kinds = HELD_OUT_KINDS if name == "unseen species" else selection.drawn_kinds()
    found = []
    for pool in range(plan.n_creatures):
        kind = kinds[pool % len(kinds)]
        body = selection.body(kind, rng.randrange(selection.bodies))
        able = list(selection.actions(body))
        if name == "unseen bodies":
            able = [a for a in able if (kind, a) not in HELD_OUT_PAIRS]
        rng.shuffle(able)
        if name == "unseen pairs":  # the held-out action first, and others for it to be told from
            able.sort(key=lambda a: (kind, a) not in HELD_OUT_PAIRS)
        for action in able[: plan.n_actions]:
            clip = creatures.clip(body, action, rng, plan.seconds, FPS)
            found.append(Asked(clip, rng.choice(clip.captions[1:]), pool, kind))
    return found


def evaluate(
    plan: Plan,
    evaluator: Evaluator,
    methods: Mapping[str, Method],
    say: Callable[[str], None] = lambda line: None,
    keep: Callable[[tuple[str, int, str], Make], Row | None] = lambda key, make: make(),
) -> dict[str, dict[str, list[Row]]]:
    """Set -> method -> measures for each seed. ``real`` is always among the methods: the creatures' own clips.

    ``keep((set, seed, method), make)`` may have the row that ``make`` would measure.
    """
    everyone: dict[str, Method] = {"real": lambda asked, seed: asked.real, **methods}
    results: dict[str, dict[str, list[Row]]] = {}
    for name in plan.sets:
        for seed in plan.seeds:
            asked = questions(name, plan, seed)
            if name == "unseen pairs":
                asked = [a for a in asked if any(_pair(b) for b in asked if b.pool == a.pool)]
            for method, make in everyone.items():
                row = keep((name, seed, method), partial(_row, asked, make, seed, evaluator, name == "unseen pairs"))
                if row is not None:
                    results.setdefault(name, {}).setdefault(method, []).append(row)
                    say(f"{name}, seed {seed}, {method}: R@1 {row['R@1']:.2f}, energy {row['energy']:.2f}")
    return results


def _row(asked: Sequence[Asked], make: Method, seed: int, evaluator: Evaluator, only_pairs: bool) -> Row | None:
    """The measures of a method; None where it has too little to give."""
    made = [make(a, seed_of("noise", seed, k) % 2**31) for k, a in enumerate(asked)]
    pairs = [(a, m) for a, m in zip(asked, made, strict=True) if m is not None]
    return measured(pairs, evaluator, only_pairs=only_pairs) if len(pairs) > 2 else None


def _pair(asked: Asked) -> bool:
    return (asked.kind, asked.real.action) in HELD_OUT_PAIRS


def measured(pairs: Sequence[tuple[Asked, Clip]], evaluator: Evaluator, *, only_pairs: bool) -> Row:
    """All measures of one method; ``energy`` is relative to the real clips'. ``only_pairs`` asks for held-out pairs
    only, among their whole pools."""
    asked, made = [a for a, _ in pairs], [m for _, m in pairs]
    motions, texts = evaluator.embed(made, [a.text for a in asked])
    reals, _ = evaluator.embed([a.real for a in asked], [a.text for a in asked])
    counted = np.array([not only_pairs or _pair(a) for a in asked])
    pools = [np.flatnonzero([a.pool == p for a in asked]) for p in sorted({a.pool for a in asked})]
    chosen = [(a, m) for (a, m), c in zip(pairs, counted, strict=True) if c]
    row = {f"R@{k}": measures.r_precision(texts, motions, pools, k, counted) for k in (1, 2, 3)}
    if counted.sum() > 2:
        row["FID"] = measures.frechet(motions[counted], reals[counted])
    row["alignment"] = float((motions * texts).sum(axis=1)[counted].mean())
    real_energy = float(np.mean([measures.energy(a.real) for a, _ in chosen]))
    row["energy"] = float(np.mean([measures.energy(m) for _, m in chosen])) / max(real_energy, 1e-9)
    covered = [measures.coverage([asked[i].real for i in p], [made[i] for i in p]) for p in pools]
    row["coverage"] = float(np.mean(covered))
    row["diversity"] = float(np.mean([measures.diversity([made[i] for i in p])[0] for p in pools]))
    for name in ("foot_skate", "penetration", "jerk"):
        row[name.replace("_", " ")] = float(np.mean([getattr(measures, name)(m) for _, m in chosen]))
    row["bone error"] = max(measures.bone_length_error(m) for _, m in chosen)
    row["n"] = float(counted.sum())
    return row


def by_model(model: MotionModel, options: Options) -> Method:
    """A trained model as a method."""

    def make(asked: Asked, seed: int) -> Clip | None:
        how = replace(options, seed=seed, fps=asked.real.fps)
        return generate_clips(model, asked.real.skeleton, [(asked.text, asked.real.seconds)], how)[0]

    return make


def by_kind(models: Mapping[str, MotionModel], options: Options) -> Method:
    """One model for each kind of creature; nothing for kinds that have none."""
    methods = {kind: by_model(model, options) for kind, model in models.items()}

    def make(asked: Asked, seed: int) -> Clip | None:
        return methods[asked.kind](asked, seed) if asked.kind in methods else None

    return make


def by_retrieval(n_bank: int) -> Method:
    """The nearest training clip, retargeted."""
    bank = Nearest([make_example(Selection("train"), k, varied=False)[1] for k in range(n_bank)])

    def make(asked: Asked, seed: int) -> Clip | None:
        return retarget(bank.find(asked.text), asked.real.skeleton, asked.real.n_frames)

    return make


class Nearest:
    """A bank of clips that is asked by text: words weighted by how rare they are in the captions."""

    def __init__(self, clips: Sequence[Clip]) -> None:
        self._clips = list(clips)
        texts = [(k, caption) for k, clip in enumerate(self._clips) for caption in clip.captions]
        self._owners = np.array([k for k, _ in texts])
        table = np.stack([_counts(text) for _, text in texts])
        self._weight = np.log(len(table) / (1.0 + (table > 0).sum(axis=0)))
        self._table = _unit(table * self._weight)

    def find(self, text: str) -> Clip:
        """The clip with the nearest caption, the first of equals."""
        query = _unit(_counts(text) * self._weight)
        return self._clips[int(self._owners[int(np.argmax(self._table @ query))])]


def _counts(text: str) -> Array:
    return np.bincount(text_ids(text)[:, 0], minlength=N_BUCKETS).astype(np.float64)


def _unit(rows: Array) -> Array:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12))


def retarget(clip: Clip, skeleton: Skeleton, n_frames: int) -> Clip:
    """The motion of ``clip`` on another skeleton, played once and then held, or cut, at ``n_frames``.

    Every joint goes along with the joint of the clip that is most like it in place and name; its bones point where that
    joint's bones point, whatever the two rest poses are. The path is scaled to the skeleton's size.
    """
    source, target = rig_code(clip.skeleton), rig_code(skeleton)
    match = matched(source, target)
    seen = encode(clip)
    turns = rot.from_6d(seen.joints[..., ROTATION] + _IDENTITY)[:, match]
    swing = rot.between(_towards(target), _towards(source)[match])
    joints = np.zeros((seen.n_frames, target.n_joints, seen.joints.shape[-1]))
    joints[..., ROTATION] = rot.to_6d(rot.multiply(turns, swing)) - _IDENTITY
    path = seen.path.copy()
    path[:, 0] *= (target.floor + 1e-6) / (source.floor + 1e-6) if min(source.floor, target.floor) > 0.02 else 1.0
    features = Features(joints, path, np.zeros((seen.n_frames, target.n_joints, 3)), np.zeros(3), clip.fps)
    at = np.minimum(np.arange(n_frames), seen.n_frames - 1)
    held = path[at].copy()
    held[np.arange(n_frames) >= seen.n_frames, 1:] = 0.0
    features = replace(features, joints=joints[at], path=held, stretch=np.zeros((n_frames, target.n_joints, 3)))
    return replace(decode(features, skeleton), name=clip.name, action=clip.action, captions=clip.captions)


def matched(source: RigCode, target: RigCode) -> NDArray[np.int64]:
    """For each joint of ``target`` the joint of ``source`` that is most like it, (J,)."""
    places = [_boxed(code) for code in (source, target)]
    far = np.linalg.norm(places[1][:, None] - places[0][None], axis=-1)
    shared = np.array([[_alike(a, b) for b in source.names] for a in target.names])
    depth = np.abs(_relative_depth(target)[:, None] - _relative_depth(source)[None])
    return np.asarray(np.argmin(far + 0.5 * (1.0 - shared) + 0.3 * depth, axis=1))


def _boxed(code: RigCode) -> Array:
    """Rest positions from -1 to 1 along each axis of the rig's own box; across, the middle is the root."""
    low, high = code.rest.min(axis=0), code.rest.max(axis=0)
    middle = (low + high) / 2
    middle[0] = 0.0
    return np.asarray((code.rest - middle) / np.maximum((high - low) / 2, 0.05))


def _relative_depth(code: RigCode) -> Array:
    return np.asarray(code.depths / max(int(code.depths.max()), 1))


def _alike(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    first, second = set(a[a > 0].tolist()), set(b[b > 0].tolist())
    return len(first & second) / max(len(first | second), 1)


def _towards(code: RigCode) -> Array:
    """The direction (J, 3) in which each joint's bones leave it at rest; its own bone's where it has no child."""
    out = np.zeros((code.n_joints, 3))
    for j, parent in enumerate(code.parents):
        if parent >= 0:
            out[parent] += code.bones[j]
    blunt = np.linalg.norm(out, axis=-1) < 1e-3
    out[blunt] = code.bones[blunt]
    return out
