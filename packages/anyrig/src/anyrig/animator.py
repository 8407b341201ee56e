"""The animator's table: what is seen in a motion, measured without anything learned, generated against true.

A :class:`Measure` is a number of a clip in units of the rig's size, seconds and degrees, with the :class:`Bound` that
generated motion is held to. A :class:`Scene` is a prompt with its measures; a :class:`Subject` is a rig with its true
motions. Feet, wings and sides are found by joint names and by the rest pose, so that the measures are the same for
procedural and for authored rigs. :func:`controls` breaks true motions, to check the learned evaluator with.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from anyrig import creatures
from anyrig import rotations as rot
from anyrig.corpus import FPS, Selection
from anyrig.evaluation import Evaluator, energy, jerk
from anyrig.facing import faced, facing_of
from anyrig.features import POSITION, encode, headings, size_of, words
from anyrig.generation import Options, Pin, generate_clips, upsampled
from anyrig.io import Asset
from anyrig.legs import feet, leg
from anyrig.model import MotionModel
from anyrig.rotations import Array
from anyrig.skeleton import Clip, Skeleton
from anyrig.starts import Starter

_LOW, _SLOW = 0.035, 0.35
"""A foot is on the ground at most so many sizes from it, and slower than this (sizes a second)."""
_SOLE = 0.02
"""Sizes above the ground below which a foot that moves over it slides."""
_BALL = 0.12
"""Sizes above the lowest joint up to which the joint before the end of a foot is part of its sole."""
_NO_FEET = {"wing", "feather", "mouth", "jaw", "mandible", "chelicera", "head", "tail"}
"""Words in the names of joints that rest low at the end of a limb but are no feet."""
_BEATS = 5.0
"""Degrees below which a wing does not beat."""
_SECONDS, _PINNED_S = 4.0, 0.5
"""Duration of a generated motion, and what is pinned at either end of an in-between."""
_TRIED = 100
"""Bodies among which those are searched that can do an action."""
_CLOSED = 0.02
"""Sizes up to which the last pose of a clip is its first."""


# -- parts of a rig


def soles(skeleton: Skeleton) -> tuple[int, ...]:
    """The feet (:func:`anyrig.legs.feet`) whose names are not those of wings, mouths or tails."""
    return tuple(j for j in feet(skeleton) if not _NO_FEET & set(words(skeleton.names[j])))


def wings(skeleton: Skeleton) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """(base, tip) of the left and of the right wing, or None where there are not both.

    Wings are known by their names; in a rig whose names mean nothing they are the longest mirrored limbs that are no
    legs. Of several on one side the longest counts. Left is +x of the rig turned to face z.
    """
    at = faced(skeleton, -facing_of(skeleton)).rest_positions()
    at -= at[skeleton.main_root]
    named = {j for j, name in enumerate(skeleton.names) if any(w.startswith("wing") for w in words(name))}
    bases = _named_bases(skeleton, named) if named or not _anonymous(skeleton) else _limbs(skeleton, at)
    length = np.linalg.norm(skeleton.offsets, axis=-1)
    found = []
    for side in (1.0, -1.0):
        own = [
            (sum(length[k] for k in skeleton.path(tip) if k not in skeleton.path(base)), base, tip)
            for base, tips in bases.items()
            for tip in tips
            if side * at[tip, 0] > 0
        ]
        if not own:
            return None
        found.append(max(own)[1:])
    return found[0], found[1]


def _named_bases(skeleton: Skeleton, named: set[int]) -> dict[int, list[int]]:
    """Base -> ends of the trees of joints in ``named``."""
    found: dict[int, list[int]] = {}
    for j in named:
        if not named & set(skeleton.children[j]) and skeleton.parents[j] in named:
            base = j
            while skeleton.parents[base] in named:
                base = skeleton.parents[base]
            found.setdefault(base, []).append(j)
    return found


def _anonymous(skeleton: Skeleton) -> bool:
    """Whether all joints have the same name but for numbers."""
    return len({tuple(w for w in words(name) if not w.isdigit()) for name in skeleton.names}) == 1


def _limbs(skeleton: Skeleton, at: Array) -> dict[int, list[int]]:
    """Base -> ends of the limbs that are no legs, each on one side."""
    legs = {j for foot in feet(skeleton) for j in skeleton.path(foot)}
    aside = np.abs(at[:, 0]) > 1e-3 * size_of(skeleton)
    found: dict[int, list[int]] = {}
    for j in range(skeleton.n_joints):
        if aside[j] and not skeleton.children[j]:
            path = [k for k in skeleton.path(j) if aside[k] and k not in legs]
            if len(path) > 1:
                found.setdefault(path[0], []).append(j)
    return found


def _pairs(skeleton: Skeleton) -> list[tuple[int, int]]:
    """The feet in pairs, each with the one nearest to its mirror image."""
    at = faced(skeleton, -facing_of(skeleton)).rest_positions()
    at -= at[skeleton.main_root]
    left, right = ([j for j in soles(skeleton) if side * at[j, 0] > 0] for side in (1.0, -1.0))
    return [(j, min(right, key=lambda k: np.linalg.norm(at[j] * [-1, 1, 1] - at[k]))) for j in left if right]


def elevation(clip: Clip, base: int, tip: int) -> Array:
    """The angle (T,) in degrees of a wing over the horizontal, in the frame of the body that carries it."""
    s = clip.skeleton
    positions, turns = clip.world()
    way = positions[:, tip] - positions[:, base]
    body = s.parents[base]
    if body >= 0:
        way = rot.rotate(rot.inverse(rot.multiply(turns[:, body], rot.inverse(s.rest_world()[body]))), way)
    return np.asarray(
        np.degrees(np.arcsin(np.clip(way[:, 1] / np.maximum(np.linalg.norm(way, axis=-1), 1e-12), -1.0, 1.0)))
    )


def _elevations(clip: Clip) -> Array | None:
    """(2, T)."""
    pair = wings(clip.skeleton)
    return None if pair is None else np.stack([elevation(clip, *wing) for wing in pair])


# -- measures: a number, or None where the clip's rig has no such part


def wing_correlation(clip: Clip) -> float | None:
    """Of the elevations of the left and the right wing, -1 to 1; 0 where one does not beat."""
    both = _elevations(clip)
    if both is None:
        return None
    return float(np.asarray(np.corrcoef(both))[0, 1]) if np.ptp(both, axis=1).min() > _BEATS else 0.0


def wing_rate(clip: Clip) -> float | None:
    """Beats a second: the strongest frequency of the wings' elevation; 0 where they do not beat."""
    both = _elevations(clip)
    if both is None:
        return None
    rates = [_rate(wing, clip.fps) if np.ptp(wing) > _BEATS else 0.0 for wing in both]
    return float(np.mean(rates))


def _rate(values: Array, fps: float) -> float:
    """The strongest frequency with at least one period in the clip, in hertz."""
    n = len(values)
    power = np.abs(np.fft.rfft((values - values.mean()) * np.hanning(n), 16 * n))
    rates = np.fft.rfftfreq(16 * n, 1.0 / fps)
    there = rates >= fps / n
    return float(rates[there][power[there].argmax()])


def wing_range(clip: Clip) -> float | None:
    """Degrees between the lowest and the highest elevation of a wing, the mean of both."""
    both = _elevations(clip)
    return None if both is None else float(np.ptp(both, axis=1).mean())


def bob(clip: Clip) -> float:
    """How far the main root rises and falls."""
    return float(np.ptp(clip.world()[0][:, clip.skeleton.main_root, 1]) / size_of(clip.skeleton))


def _soles(clip: Clip) -> Array:
    """Positions of the feet, the last two joints of each where both rest low, (T, F, 2, 3)."""
    s = clip.skeleton
    height = s.rest_positions()[:, 1]
    height = (height - height.min()) / size_of(s)
    pairs = [(j, s.parents[j] if height[s.parents[j]] < _BALL else j) for j in soles(s)]
    return np.asarray(clip.world()[0][:, np.array(pairs, dtype=int).reshape(-1, 2)] / size_of(s))


def contact(clip: Clip) -> float | None:
    """The share of time with a foot on the ground."""
    at = _soles(clip)
    if not at.shape[1] or clip.n_frames < 2:
        return None
    speed = np.linalg.norm(np.gradient(at, axis=0), axis=-1) * clip.fps
    return float(((np.abs(at[..., 1]) < _LOW) & (speed < _SLOW)).any(axis=(1, 2)).mean())


def skate(clip: Clip) -> float | None:
    """The median speed over the ground of a low foot, of the slower end where both are low; None where none is
    low."""
    at = _soles(clip)
    if not at.shape[1] or clip.n_frames < 2:
        return None
    low = np.maximum(at[1:, ..., 1], at[:-1, ..., 1]) < _SOLE
    speed = np.where(low, np.linalg.norm(np.diff(at[..., [0, 2]], axis=0), axis=-1) * clip.fps, np.inf).min(axis=2)
    return float(np.median(speed[np.isfinite(speed)])) if low.any() else None


def crossed(clip: Clip) -> float | None:
    """The share of time in which a foot is beyond its fellow of the other side, the mean of all pairs."""
    s = clip.skeleton
    pairs = np.array(_pairs(s), dtype=int).reshape(-1, 2)
    if not len(pairs):
        return None
    rest = s.rest_positions()
    across = (rest[pairs[:, 0]] - rest[pairs[:, 1]])[:, [0, 2]]
    at = encode(clip).joints[..., POSITION] + (rest - rest[s.main_root]) / size_of(s)
    return float((((at[:, pairs[:, 0]] - at[:, pairs[:, 1]])[..., [0, 2]] * across).sum(axis=-1) < 0).mean())


def last_second(clip: Clip) -> float:
    """The mean speed of the joints in the last second."""
    return energy(clip.cut(max(0, clip.n_frames - 1 - round(clip.fps)), clip.n_frames))


def leap(clip: Clip) -> float:
    """How far the lowest joint gets above where it stands, the tenth part of its heights."""
    lowest = clip.world()[0][..., 1].min(axis=1) / size_of(clip.skeleton)
    return float(lowest.max() - np.quantile(lowest, 0.1))


def lowest(clip: Clip) -> float:
    """The height of the lowest joint in any frame."""
    return float(clip.world()[0][..., 1].min() / size_of(clip.skeleton))


def vertical_wave(clip: Clip) -> float:
    """How far a joint rises and falls, the mean of all."""
    return float(np.ptp(clip.world()[0][..., 1], axis=0).mean() / size_of(clip.skeleton))


def seam(clip: Clip) -> float:
    """The change of the pose's velocity from the last frame, which is the first again, to the first, over that between
    two frames inside the clip; a gap between the two poses is added to it."""
    pose = encode(clip).joints[..., POSITION]
    if len(pose) < 3:
        return 0.0
    steps = np.diff(pose, axis=0)
    typical = np.linalg.norm(np.diff(steps, axis=0), axis=-1).mean()
    jump = np.linalg.norm(steps[0] - steps[-1], axis=-1).mean() + np.linalg.norm(pose[0] - pose[-1], axis=-1).mean()
    return float(jump / max(typical, 1e-9))


def turn(clip: Clip) -> float:
    """Degrees by which the heading turns to the left."""
    s = clip.skeleton
    turns = rot.multiply(clip.world()[1][:, s.main_root], rot.inverse(s.rest_world()[s.main_root]))
    angles = headings(turns)
    return float(np.degrees(angles[-1] - angles[0]))


def travel(clip: Clip) -> float:
    """How far the main root gets over the ground."""
    return float(np.linalg.norm(clip.travel()[-1]) / size_of(clip.skeleton))


def sinking(clip: Clip) -> float:
    """How far the joints are lower at the end than at the start, in the mean; negative where they rise."""
    heights = clip.world()[0][[0, -1], :, 1].mean(axis=1) / size_of(clip.skeleton)
    return float(heights[0] - heights[1])


# -- what is asked for


@dataclass(frozen=True, slots=True)
class Bound:
    """The range that a generated value is held to: from ``low`` to ``high``, of the true value where ``relative``,
    widened by ``slack``. A value without a true one has no relative bound."""

    low: float = -np.inf
    high: float = np.inf
    relative: bool = True
    slack: float = 0.0

    def holds(self, value: float, true: float | None) -> bool | None:
        """Whether ``value`` is within; None where it cannot be told."""
        if self.relative and true is None:
            return None
        scale = true if self.relative and true is not None else 1.0
        limits = sorted(k * scale if np.isfinite(k) else k for k in (self.low, self.high))
        return bool(limits[0] - self.slack <= value <= limits[1] + self.slack)

    def __str__(self) -> str:
        times = " × true" if self.relative else ""
        slack = f" ± {self.slack:g}" if self.slack else ""
        if self.low == self.high:
            return f"true{slack}"
        if np.isinf(self.high):
            return f"≥ {self.low:g}{times}{slack}"
        return (
            f"≤ {self.high:g}{times}{slack}" if np.isinf(self.low) else f"{self.low:g} to {self.high:g}{times}{slack}"
        )


@dataclass(frozen=True, slots=True)
class Measure:
    """A row of the table; ``of`` gives None for a rig without such parts. ``unit`` is empty for a share or a factor."""

    name: str
    unit: str
    of: Callable[[Clip], float | None]
    bound: Bound


_MOVING = ("fly", "walk", "run", "slither", "jump", "turn left")
"""Scenes whose true motions are broken to check the learned evaluator."""
SAME = Bound(0.8, 1.25)
"""Of sizes and rates."""
_STILL_WINGS = Measure("wings move", "°", wing_range, Bound(high=1.25, slack=5.0))
_ON_FEET = (
    Measure("foot on the ground", "", contact, Bound(low=0.85)),
    Measure("foot skate", "/s", skate, Bound(high=1.2, slack=0.02)),
    Measure("feet crossed", "", crossed, Bound(high=1.25, slack=0.05)),
)
_LOWERS = Bound(low=0.02, relative=False)
_STAYS = Measure("travel", "", travel, Bound(high=0.5, relative=False))
_SEAM = Measure("seam", "× step", seam, Bound(high=1.5, relative=False))
_LEGGED = ("biped", "bird", "dragon", "hexapod", "octopod", "quadruped")
_SOME = ("biped", "quadruped", "dragon")
_WINGED = ("bird", "dragon", "hexapod")


@dataclass(frozen=True, slots=True)
class Scene:
    """A prompt, the ``action`` of the true motions it is compared with (none where empty) and what is measured.

    ``kinds`` are the procedural creatures that are asked. ``times`` multiplies the true values. ``loop`` asks for a
    loop; with ``pinned`` the first and last half second of the true motion are given, and how far the end is missed is
    measured.
    """

    name: str
    text: str
    action: str
    measures: tuple[Measure, ...]
    kinds: tuple[str, ...]
    times: float = 1.0
    loop: bool = False
    pinned: bool = False


MISSED = Measure("end pin missed by", "", lambda clip: None, Bound(high=0.005, relative=False))
"""The distance from the joints' positions in the pinned end, the mean of all; needs the true clip: :func:`missed`."""
SCENES = (
    Scene(
        "fly", "it flies", "fly",
        (
            Measure("wing correlation", "", wing_correlation, Bound(low=0.9, relative=False)),
            Measure("wing beats", "Hz", wing_rate, SAME),
            Measure("wing range", "°", wing_range, SAME),
            Measure("rise and fall", "", bob, SAME),
        ), _WINGED,
    ),
    Scene("walk", "it walks", "walk", (*_ON_FEET, _STILL_WINGS), _LEGGED),
    Scene("run", "it runs", "run", _ON_FEET, _LEGGED),
    Scene("idle", "it idles", "idle", (Measure("jerk", "/s³", jerk, Bound(high=2.0)), _STILL_WINGS), _LEGGED),
    Scene(
        "death", "it dies", "death",
        (Measure("speed in the last second", "/s", last_second, Bound(high=0.05, relative=False)),),
        (*_LEGGED, "serpent"),
    ),
    Scene("jump", "it jumps", "jump", (Measure("height", "", leap, SAME),), _LEGGED),
    Scene(
        "slither", "it slithers", "slither",
        (
            Measure("lowest joint", "", lowest, Bound(1.0, 1.0, slack=0.01)),
            Measure("vertical wave", "", vertical_wave, Bound(0.8, 1.25, slack=0.005)),
        ), ("serpent",),
    ),
    Scene("run, looped", "it runs", "run", (_SEAM,), _SOME, loop=True),
    Scene("walk between pins", "it walks", "walk", (MISSED,), _SOME, pinned=True),
    Scene("turn between pins", "it turns left", "turn_left", (MISSED,), _SOME, pinned=True),
    Scene("turn left", "it turns left", "turn_left", (Measure("turned", "°", turn, SAME),), _SOME),
    Scene("turn left twice", "it turns left twice", "turn_left", (Measure("turned", "°", turn, SAME),), _SOME, times=2),
    Scene(
        "stop", "it stops", "",
        (
            Measure("speed in the last second", "/s", last_second, Bound(high=0.1, relative=False)),
            Measure("sinks by", "", sinking, Bound(-0.02, 0.02, relative=False)),
        ), _SOME,
    ),
    Scene("sit", "it sits down", "", (Measure("sinks by", "", sinking, _LOWERS), _STAYS), _SOME),
    Scene("lie", "it lies down", "", (Measure("sinks by", "", sinking, _LOWERS), _STAYS), _SOME),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Subject:
    """A rig of a ``kind`` (a column of the table) with its true motions for a scene; ``authored`` limit its joints."""

    kind: str
    skeleton: Skeleton
    true: tuple[Clip, ...] = ()
    authored: tuple[Clip, ...] = ()


Cast = Callable[[Scene], Iterable[Subject]]
"""The subjects of a scene."""
Make = Callable[[Subject, Scene, Sequence[Pin]], Sequence[Clip]]
"""The motions of a subject for a scene."""


def procedural(scene: Scene, n: int, fps: float = 30.0) -> Iterator[Subject]:
    """The first ``n`` bodies of the test split of each kind of the scene that can do it, with two true motions each."""
    for kind in scene.kinds:
        bodies = (Selection("test").body(kind, k) for k in range(_TRIED))
        for body in islice((b for b in bodies if not scene.action or scene.action in creatures.actions(b)), n):
            true = [
                creatures.clip(body, scene.action, random.Random(k), _SECONDS, fps) for k in range(2) if scene.action
            ]
            yield Subject(kind, creatures.skeleton(body), tuple(true))


def recorded(scene: Scene, assets: Iterable[Asset], fps: float = 30.0) -> Iterator[Subject]:
    """Rigs from files whose own clips have the scene's action, as one kind ``"files"``.

    Clips that end as they start are repeated up to the duration of the generated ones.
    """
    for asset in assets:
        true = [_repeated(upsampled(c, fps)) for c in asset.clips if scene.action and c.action == scene.action]
        if true:
            yield Subject("files", asset.skeleton, tuple(true), asset.clips)


def _repeated(clip: Clip) -> Clip:
    """The clip, at least :data:`_SECONDS` long where its last pose is its first."""
    pose = encode(clip).joints[..., POSITION]
    if clip.n_frames < 3 or np.linalg.norm(pose[0] - pose[-1], axis=-1).max() > _CLOSED:
        return clip
    times = math.ceil(_SECONDS / clip.seconds)
    moved = np.zeros((times, 1, clip.skeleton.n_joints, 3))
    moved[:, 0, list(clip.skeleton.roots)] = np.arange(times)[:, None, None] * clip.travel()[-1]
    translations = (clip.translations[None, :-1] + moved).reshape(-1, clip.skeleton.n_joints, 3)
    return replace(clip, rotations=np.tile(clip.rotations[:-1], (times, 1, 1)), translations=translations)


def by_model(model: MotionModel, options: Options, start: Starter | None = None) -> Make:
    """A model's motions, started from those of ``start``."""
    return lambda subject, scene, pins: generate_clips(
        model, subject.skeleton, [(scene.text, pins[0].clip.seconds if pins else _SECONDS)],
        replace(options, loop=scene.loop), pins, authored=subject.authored, start=start,
    )  # fmt: skip


def missed(clip: Clip, pin: Pin) -> float:
    """The distance of the joints from their positions in a pin, the mean of all its frames, in sizes."""
    first, last = (round(at * clip.fps) for at in (pin.start, pin.stop))
    apart = (clip.world()[0] - upsampled(pin.clip, clip.fps).world()[0][: clip.n_frames])[first : last + 1]
    return float(np.linalg.norm(apart, axis=-1).mean() / size_of(clip.skeleton))


@dataclass(frozen=True, slots=True)
class Row:
    """A measure of a scene for one kind: means over ``n`` generated motions and over the true ones."""

    scene: str
    measure: str
    unit: str
    kind: str
    generated: float | None
    true: float | None
    n: int
    bound: Bound

    @property
    def ratio(self) -> float | None:
        """Of the generated to the true value, None where that is 0."""
        if self.generated is None or self.true is None or abs(self.true) < 1e-6:
            return None
        return self.generated / self.true

    @property
    def passed(self) -> bool | None:
        """Whether the bound holds; None where there is nothing to tell it by."""
        return None if self.generated is None else self.bound.holds(self.generated, self.true)

    def to_dict(self) -> dict[str, object]:
        """The row for JSON."""
        values = {name: getattr(self, name) for name in ("scene", "measure", "unit", "kind", "generated", "true")}
        return values | {"ratio": self.ratio, "n": self.n, "bound": str(self.bound), "passed": self.passed}


def compare(
    cast: Cast, make: Make, scenes: Sequence[Scene] = SCENES, say: Callable[[str], None] = lambda line: None
) -> list[Row]:
    """The rows of the table, by scene, kind and measure."""
    rows = []
    for scene in scenes:
        values: dict[tuple[str, Measure], tuple[list[float], list[float]]] = {}
        for subject in cast(scene):
            for measure, made, true in _measured(scene, subject, make):
                into = values.setdefault((subject.kind, measure), ([], []))
                into[0].extend(made)
                into[1].extend(v * scene.times for v in true)
        for (kind, measure), (made, true) in values.items():
            if made or true:  # not of a rig without such parts
                rows.append(
                    Row(
                        scene.name, measure.name, measure.unit, kind, _mean(made), _mean(true), len(made), measure.bound
                    )
                )
        say(f"{scene.name}: {sum(r.passed is True for r in rows if r.scene == scene.name)} within bounds")
    return rows


def _measured(scene: Scene, subject: Subject, make: Make) -> Iterator[tuple[Measure, list[float], list[float]]]:
    if scene.pinned:
        clip = subject.true[0]
        pins = [Pin(clip, 0.0, _PINNED_S), Pin(clip, clip.seconds - _PINNED_S, clip.seconds)]
        yield MISSED, [missed(c, pins[1]) for c in make(subject, scene, pins)], [0.0]
        return
    clips = make(subject, scene, ())
    for measure in scene.measures:
        made, true = ([measure.of(c) for c in some] for some in (clips, subject.true))
        yield measure, [v for v in made if v is not None], [v for v in true if v is not None]


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def table(rows: Sequence[Row]) -> str:
    """The rows in Markdown: a line for each measure of a scene, a column for each kind. A cell has the generated and
    the true value, their ratio, and whether the bound holds."""
    kinds = sorted({r.kind for r in rows})
    lines = [
        f"| generated / true, ratio | held to | {' | '.join(kinds)} | n |",
        f"|---|---|{'---|' * (len(kinds) + 1)}",
    ]
    for scene, measure in dict.fromkeys((r.scene, r.measure) for r in rows):
        own = {r.kind: r for r in rows if (r.scene, r.measure) == (scene, measure)}
        one = next(iter(own.values()))
        unit = f" ({one.unit})" if one.unit else ""
        counts = sorted({r.n for r in own.values()})
        n = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        cells = [_cell(own[kind]) if kind in own else "" for kind in kinds]
        lines.append(f"| {scene}: {measure}{unit} | {one.bound} | {' | '.join(cells)} | {n} |")
    told = [r.passed for r in rows if r.passed is not None]
    return "\n".join(lines) + f"\n\n{sum(told)} of {len(told)} within bounds.\n"


def _cell(row: Row) -> str:
    made, true = ("–" if v is None else f"{0.0 if abs(v) < 5e-4 else v:.3g}" for v in (row.generated, row.true))
    ratio = "" if row.ratio is None else f", {row.ratio:.2f}"
    mark = {True: " ✓", False: " ✗", None: ""}[row.passed]
    return f"{made} / {true}{ratio}{mark}"


# -- the learned evaluator


RANKED = Bound(low=0.9, relative=False)
"""The share of true motions that the evaluator has to rank above their control."""


def controls(clip: Clip) -> dict[str, Clip]:
    """Broken copies of a true motion, by name: held at its first frame; one wing half a beat late, where wings beat;
    each leg turned to where the leg of the other side stands."""
    first = np.zeros(clip.n_frames, dtype=int)
    found = {"frozen": replace(clip, rotations=clip.rotations[first], translations=clip.translations[first])}
    s, pair, rate = clip.skeleton, wings(clip.skeleton), wing_rate(clip)
    if pair is not None and rate:
        wing = [j for j in range(s.n_joints) if pair[1][0] in s.path(j)]
        late = clip.rotations.copy()
        # The last frame is the first of the next beat.
        when = (np.arange(clip.n_frames) - round(0.5 * clip.fps / rate)) % max(clip.n_frames - 1, 1)
        late[:, wing] = clip.rotations[when][:, wing]
        found["one wing half a beat late"] = replace(clip, rotations=rot.continuous(late))
    if _pairs(s):
        found["feet swapped"] = _swapped(clip)
    return found


def _swapped(clip: Clip) -> Clip:
    s = clip.skeleton
    positions, world = clip.world()
    rotations = clip.rotations.copy()
    for pair in _pairs(s):
        for foot, other in (pair, pair[::-1]):
            hip = leg(s, foot)[0]
            swing = rot.between(positions[:, foot] - positions[:, hip], positions[:, other] - positions[:, hip])
            above = world[:, s.parents[hip]]
            rotations[:, hip] = rot.multiply(rot.inverse(above), rot.multiply(swing, world[:, hip]))
    return replace(clip, rotations=rot.continuous(rotations))


def check(evaluator: Evaluator, n: int = 4) -> list[Row]:
    """For each control and kind of creature the share of true motions that the evaluator ranks above it.

    Of the kinds and actions of :data:`SCENES` in which bodies move, with ``n`` bodies each; a motion's score is that
    with its own mid and long caption.
    """
    above: dict[tuple[str, str], list[float]] = {}
    for scene in SCENES:
        if scene.name in _MOVING:
            for subject in procedural(scene, n, FPS):
                for clip in subject.true:
                    broken = controls(clip)
                    motions, texts = evaluator.embed([clip, *broken.values()], clip.captions[1:])
                    scores = (motions @ texts.T).mean(axis=1)
                    for name, score in zip(broken, scores[1:], strict=True):
                        above.setdefault((name, subject.kind), []).append(float(scores[0] > score))
    return [
        Row("learned evaluator", name, "", kind, _mean(shares), None, len(shares), RANKED)
        for (name, kind), shares in above.items()
    ]
