"""From a rig and prompts to clips: facing, windows, in-betweening, feet that stay in place, joint limits, frame rate.

Models are trained on creatures that face along z, so rigs are turned to face z first and back at the end. A model's
guess for joints that no clip moves, such as the feathers of a wing, can fold them over and stretch the mesh; the rig's
own clips therefore limit how far each joint turns. The fewer the clips, the wider the limits.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anyrig import conform
from anyrig import rotations as rot
from anyrig.conform import extent, spread, whole
from anyrig.diffusion import Guide, Sampling, Window, blend, denoise, noise, windows
from anyrig.errors import ClipError, FileError, SettingsError
from anyrig.features import CONTACT, Features, decode, encode, rig_code, size_of, words
from anyrig.io import Asset, load
from anyrig.model import MotionModel, RigBatch, collate_rigs, load_model, pack, unpack
from anyrig.rotations import Array
from anyrig.skeleton import Clip, Skeleton

FACINGS = {"z": 0.0, "x": np.pi / 2, "-z": np.pi, "-x": -np.pi / 2}
"""Radians about the vertical from z."""
_TOES = {"toe", "toes", "toebase", "ball", "claw"}
_FEET = {"foot", "feet", "ankle", "paw", "hoof"}
_FACE = {"eye", "eyes", "eyelid", "mouth", "jaw", "nose", "snout", "face", "beak", "bill", "tongue", "teeth", "antenna",
         "lip", "brow", "eyebrow", "trunk", "fang", "fangs", "mandible", "whisker", "muzzle"}  # fmt: skip
_HEAD = {"head", "skull", "neck"}
_TAIL = {"tail", "fluke", "rump", "stinger", "abdomen"}
_NEAR = 0.02
"""A part is before or behind another from this horizontal distance on, as a share of the size."""
_ALONG, _LYING = 0.1, 1.0
"""A head or tail determines the facing of a body that lies along: at least this share of the size away from the main
root horizontally, and further than this factor times its height above it."""
_AHEAD = 0.005
"""A head this share of the size ahead of its neck overrides left and right names that say the opposite."""


@dataclass(frozen=True, slots=True)
class Facing:
    """``radians`` from z towards x, a multiple of a quarter turn, and the evidence ``by`` which it was determined;
    ``sure`` where all evidence agrees."""

    radians: float
    by: str
    sure: bool

    @property
    def axis(self) -> str:
        """One of :data:`FACINGS`."""
        return min(FACINGS, key=lambda f: abs(np.angle(np.exp(1j * (FACINGS[f] - self.radians)))))


def facing_of(skeleton: Skeleton, facing: str = "auto") -> float:
    """The heading at rest in radians from z towards x, a multiple of a quarter turn; see :func:`detect_facing`.

    Raises SettingsError for anything but "auto", "z", "x", "-z" and "-x".
    """
    if facing in FACINGS:
        return FACINGS[facing]
    if facing != "auto":
        raise SettingsError(f"a rig faces z, x, -z or -x, or auto: not {facing!r}")
    return detect_facing(skeleton).radians


def detect_facing(skeleton: Skeleton) -> Facing:
    """Where the rig faces at rest, by the names of the joints in its main root's tree.

    Evidence in order of priority: toes are before feet, eyes and mouths before the head's joint, the head of a body
    that lies along before its root and the tail behind, left is on the left. The first decides; where later evidence
    disagrees, or where there is none, the answer is not ``sure``. Without evidence it is z; also where only left and
    right say -z and the head is ahead of the neck, since some files name sides mirrored.
    """
    signs = evidence(skeleton)
    if not signs:
        return Facing(0.0, "nothing", False)
    if signs[0][0] == "left and right" and _mirrored(skeleton, signs[0][1]):
        return Facing(0.0, "the head, against left and right", False)
    quarters = [round(float(np.arctan2(x, z)) / (np.pi / 2)) % 4 for _, (x, z) in signs]
    return Facing(quarters[0] * np.pi / 2, signs[0][0], all(q == quarters[0] for q in quarters))


def evidence(skeleton: Skeleton) -> list[tuple[str, tuple[float, float]]]:
    """The evidence for the facing, strongest first, each with a direction (x, z)."""
    body, tree, parts, at = _body(skeleton)
    size, root = extent(body), at[body.main_root]
    toes = _mean([at[j] - at[body.parents[j]] for j in tree if parts[j] & _TOES and body.parents[j] >= 0])
    candidates = [
        ("toes", toes, _NEAR),
        ("feet", _mean([at[c] - at[j] for j in tree if parts[j] & _FEET for c in body.children[j]]), _NEAR),
        ("the face", _face(body, tree, parts, at), _NEAR),
        ("the head", _along(_mean([at[j] - root for j in tree if parts[j] & _HEAD])), _ALONG),
        ("the tail", _mean([at[tree].mean(axis=0) - at[j] for j in tree if parts[j] & _TAIL]), _ALONG),
        ("left and right", _sides(tree, parts, at), _NEAR),
    ]
    found = [(what, (float(v[0]), float(v[2]))) for what, v, least in candidates if np.hypot(v[0], v[2]) > least * size]
    return [t for t in found if t[0] != "feet"] if found and found[0][0] == "toes" else found


def _body(skeleton: Skeleton) -> tuple[Skeleton, list[int], dict[int, set[str]], Array]:
    """The rig as one tree, the joints of its main tree, the words in their names, and all rest positions."""
    body = whole(skeleton.rest_clip()).skeleton
    tree = [j for j in range(body.n_joints) if body.main_root in body.path(j)]
    return body, tree, {j: set(words(body.names[j])) for j in tree}, body.rest_positions()


def _mirrored(skeleton: Skeleton, direction: tuple[float, float]) -> bool:
    """Whether left and right say -z and the head is ahead of its neck."""
    body, tree, parts, at = _body(skeleton)
    ahead = _mean([at[j] - at[body.parents[j]] for j in tree if parts[j] & _HEAD and body.parents[j] >= 0])
    return direction[1] < -abs(direction[0]) and float(ahead[2]) > _AHEAD * extent(body)


def _along(vector: Array) -> Array:
    """The vector from a root to a head; zero where it is mostly vertical."""
    return vector if np.hypot(vector[0], vector[2]) > _LYING * abs(vector[1]) else np.zeros(3)


def _face(body: Skeleton, tree: list[int], parts: dict[int, set[str]], at: Array) -> Array:
    """The mean vector to the parts of a face from the head's joint, or from their parents where no joint is named
    head."""
    head = next((j for j in tree if "head" in parts[j]), None)
    marked = [j for j in tree if parts[j] & _FACE and j != head]
    if head is not None:
        return _mean([at[j] - at[head] for j in marked])
    return _mean([at[j] - at[body.parents[j]] for j in marked if body.parents[j] >= 0])


def _sides(tree: list[int], parts: dict[int, set[str]], at: Array) -> Array:
    """Left cross up, which is forward."""
    left, right = ([at[j] for j in tree if side in parts[j]] for side in ("left", "right"))
    if not left or not right:
        return np.zeros(3)
    return np.cross(np.mean(left, axis=0) - np.mean(right, axis=0), [0.0, 1.0, 0.0])


def _mean(vectors: list[Array]) -> Array:
    return np.asarray(np.mean(vectors, axis=0)) if vectors else np.zeros(3)


def faced(skeleton: Skeleton, radians: float) -> Skeleton:
    """The skeleton, rest pose included, turned about the vertical by ``radians``."""
    return conform.turned(skeleton.rest_clip(), rot.about("y", radians)).skeleton


def turned_onto(clip: Clip, skeleton: Skeleton, radians: float) -> Clip:
    """The clip turned about the vertical by ``radians`` as one of ``skeleton``, its own turned by as much."""
    return replace(conform.turned(clip, rot.about("y", radians)), skeleton=skeleton)


Bools = NDArray[np.bool_]

_REACH = 4
"""Bones of a leg that are bent at most, counted from its foot."""
_EASE_S = 0.12
"""Seconds over which a correction of a foot fades in and out."""
_LOW = 0.12
"""Feet rest at most this share of the size above the lowest joint."""
_ROUNDS = 12
_STILL = np.radians(1.0)
"""A clip in which no joint turns by more is a pose and gives no limits."""
_LEAST, _ALONE = np.radians(30.0), np.radians(120.0)
"""Least limits: with many clips, and with a single one, which is divided by the number of clips."""
_SOFT = np.radians(6.0)
"""Least range over which a joint slows down to its limit."""
_STEM = 3
"""At most so many joints from a root to where limbs branch off turn the whole body."""
_OVER = np.radians(150.0)
"""Turns beyond this are reduced towards 0 at 180 degrees, where the nearest turn within the limits is discontinuous."""


def feet(skeleton: Skeleton) -> tuple[int, ...]:
    """The feet: joints without a child, low at rest, at the end of a leg of at least two bones."""
    height = skeleton.rest_positions()[:, 1]
    low = height < height.min() + _LOW * size_of(skeleton)
    return tuple(
        j for j in range(skeleton.n_joints) if low[j] and not skeleton.children[j] and len(leg(skeleton, j)) >= 3
    )


def leg(skeleton: Skeleton, foot: int) -> tuple[int, ...]:
    """The joints from a hip to ``foot``: up to where limbs branch off, the main root, or ``_REACH`` bones."""
    chain = [foot]
    while len(chain) <= _REACH:
        parent = skeleton.parents[chain[-1]]
        if parent < 0 or parent in skeleton.roots:
            break
        if len(chain) > 1 and len(skeleton.children[parent]) > 1 and len(chain) >= 3:
            break
        chain.append(parent)
    return tuple(reversed(chain))


def lift(clip: Clip) -> Clip:
    """The clip raised, smoothly over time, by the depth of its lowest joint under the ground y = 0."""
    depth = np.maximum(-clip.world()[0][..., 1].min(axis=1), 0.0)
    if not depth.any():
        return clip
    width = max(1, round(_EASE_S * clip.fps))
    held = np.array([depth[max(0, t - width) : t + width + 1].max() for t in range(len(depth))])
    padded = np.pad(held, width, mode="edge")
    smooth = np.convolve(padded, np.ones(2 * width + 1) / (2 * width + 1), mode="valid")
    translations = clip.translations.copy()
    translations[:, list(clip.skeleton.roots), 1] += np.maximum(smooth, depth)[:, None]
    return replace(clip, translations=translations)


def lock_feet(clip: Clip, contacts: Bools) -> Clip:
    """The clip with its feet fixed in place, at y >= 0, wherever ``contacts`` (T, J) is true.

    Legs bend; bones keep their lengths and feet their rotations. A foot beyond its leg's reach comes as near as
    possible.
    """
    for foot in feet(clip.skeleton):
        standing = _steady(contacts[:, foot], clip.fps)
        if standing.any():
            clip = _locked(clip, leg(clip.skeleton, foot), standing)
    return clip


def _steady(standing: Bools, fps: float) -> Bools:
    """``standing`` without gaps and stands shorter than a tenth of a second."""
    least = max(2, round(0.1 * fps))
    for value in (False, True):
        for start, stop in _runs(standing == value):
            if stop - start < least and (start > 0 and stop < len(standing)):
                standing = standing.copy()
                standing[start:stop] = not value
    return standing


def _runs(flags: Bools) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _locked(clip: Clip, chain: tuple[int, ...], standing: Bools) -> Clip:
    positions, world = clip.world()
    foot = positions[:, chain[-1]]
    goal = foot + _corrections(foot, standing, clip.fps)
    before = positions[:, list(chain)]
    after = reach(before, goal)
    rotations = clip.rotations.copy()
    turned = world.copy()
    for k, j in enumerate(chain):
        if k < len(chain) - 1:  # the foot itself keeps its direction in the world
            bone, new = before[:, k + 1] - before[:, k], after[:, k + 1] - after[:, k]
            turned[:, j] = rot.multiply(rot.between(bone, new), world[:, j])
        parent = clip.skeleton.parents[j]
        rotations[:, j] = rot.multiply(rot.inverse(turned[:, parent]), turned[:, j]) if parent >= 0 else turned[:, j]
    return replace(clip, rotations=rot.continuous(rotations))


def _corrections(foot: Array, standing: Bools, fps: float) -> Array:
    """The displacement of a foot in each frame (T, 3): to its mean position while it stands, fading out around it."""
    out = np.zeros_like(foot)
    total = np.zeros(len(foot))
    ease = max(1, round(_EASE_S * fps))
    for start, stop in _runs(standing):
        place = foot[start:stop].mean(axis=0)
        place[1] = max(0.0, float(np.median(foot[start:stop, 1])))
        out[start:stop], total[start:stop] = place - foot[start:stop], 1.0
        for edge, step in ((start, -1), (stop - 1, 1)):
            for k in range(1, ease + 1):
                t = edge + step * k
                if not 0 <= t < len(foot) or standing[t]:
                    break
                weight = 0.5 + 0.5 * np.cos(np.pi * k / (ease + 1))
                out[t] += weight * (place - foot[edge])
                total[t] += weight
    return np.asarray(out / np.maximum(total, 1.0)[:, None])


def reach(chain: Array, goal: Array) -> Array:
    """Chains (T, n, 3) bent so that their ends are at ``goal`` (T, 3) or as near as possible, with lengths and starts
    kept.

    FABRIK: Aristidou and Lasenby, Graphical Models 2011.
    """
    lengths = np.linalg.norm(np.diff(chain, axis=1), axis=-1)
    start = chain[:, 0]
    way = goal - start
    far = np.linalg.norm(way, axis=-1)
    limit = 0.9995 * lengths.sum(axis=1)
    goal = start + way * np.minimum(1.0, limit / np.maximum(far, 1e-12))[:, None]
    points = chain.copy()
    for _ in range(_ROUNDS):
        points[:, -1] = goal
        for k in range(points.shape[1] - 2, -1, -1):
            points[:, k] = points[:, k + 1] + _scaled(points[:, k] - points[:, k + 1], lengths[:, k])
        points[:, 0] = start
        for k in range(points.shape[1] - 1):
            points[:, k + 1] = points[:, k] + _scaled(points[:, k + 1] - points[:, k], lengths[:, k])
    return points


def _scaled(vectors: Array, lengths: Array) -> Array:
    return np.asarray(vectors * (lengths / np.maximum(np.linalg.norm(vectors, axis=-1), 1e-12))[:, None])


@dataclass(frozen=True, eq=False)
class JointLimits:
    """``middle`` (J, 4) is the mean local rotation of a joint; ``shown`` (J,) its largest angle from there in the clips
    and ``most`` (J,) its limit, in radians."""

    middle: Array
    shown: Array
    most: Array


def learn_limits(clips: Sequence[Clip]) -> JointLimits | None:
    """The limits from ``clips``, which are of one skeleton; None where no joint turns in them.

    Roots, and up to two joints from a root to where limbs branch off, turn the whole body and have no limit.
    """
    n = sum(bool(rot.angle(c.rotations, c.rotations[:1]).max() > _STILL) for c in clips)
    if n == 0:
        return None
    q = np.concatenate([c.rotations for c in clips])
    # The mean rotation: Markley et al., Averaging quaternions, JGCD 2007.
    middle = np.linalg.eigh(np.einsum("tja,tjb->jab", q, q))[1][..., -1]
    shown = rot.angle(q, middle).max(axis=0)
    most = np.maximum(shown + _SOFT, max(_LEAST, _ALONE / n))
    most[most > _OVER] = np.inf
    most[_stem(clips[0].skeleton)] = np.inf
    return JointLimits(middle, shown, most)


def _stem(skeleton: Skeleton) -> list[int]:
    found = []
    for root in skeleton.roots:
        chain = [root]
        while len(skeleton.children[chain[-1]]) == 1:
            chain.append(skeleton.children[chain[-1]][0])
        found += chain if len(chain) <= _STEM else chain[:1]  # not the bones of a snake or a tail
    return found


def limit_joints(clip: Clip, limits: JointLimits) -> Clip:
    """The clip with every joint within its limits, and as near to its world rotation as they allow.

    Turns within the range of the clips are unchanged; beyond it, a joint slows down towards its limit.
    """
    s = clip.skeleton
    wanted = s.world(clip.rotations, clip.translations)[1]
    world, local = wanted.copy(), clip.rotations.copy()
    for level in s.levels[1:]:
        j, parent = list(level), [s.parents[k] for k in level]
        turn = rot.multiply(rot.inverse(world[:, parent]), wanted[:, j])
        away = rot.angle(turn, limits.middle[j])
        share = _held(away, limits.shown[j], limits.most[j]) / np.maximum(away, 1e-12)
        turn = np.where((share < 1.0)[..., None], rot.slerp(limits.middle[j], turn, share), turn)
        local[:, j], world[:, j] = turn, rot.multiply(world[:, parent], turn)
    return replace(clip, rotations=rot.continuous(local))


def _held(angle: Array, shown: Array, most: Array) -> Array:
    """Limited angles (T, J): unchanged up to ``shown`` and never beyond ``most``."""
    room = np.where(np.isfinite(most), most - shown, 1.0)
    beyond = np.maximum(angle - shown, 0.0)
    held = np.minimum(angle, shown) + room * np.tanh(beyond / room)
    held *= np.where(angle > _OVER, (np.pi - angle) / (np.pi - _OVER), 1.0)
    return np.asarray(np.where(np.isfinite(most), held, angle))


Progress = Callable[[int], None]
MAX_SECONDS = 600.0
OVERLAP = 16
"""Frames that two windows share."""


@dataclass(frozen=True, eq=False)
class Pin:
    """Frames to keep in the motion: those of ``clip``, a clip of the same skeleton, from ``start`` to ``stop``
    seconds."""

    clip: Clip
    start: float
    stop: float


@dataclass(frozen=True, slots=True)
class Options:
    """``n_samples`` motions from ``seed`` on, at ``fps`` frames a second.

    ``lock`` fixes standing feet in place, ``ground`` lifts the motion out of the ground (both only in motions that
    touch it); ``in_place`` removes the travel, ``loop`` makes the last pose the first. ``facing`` is where the rig
    faces at rest (:func:`facing_of`). ``limit`` limits joints by the rig's own clips (:func:`learn_limits`).
    """

    n_samples: int = 1
    seed: int = 0
    fps: float = 30.0
    lock: bool = True
    ground: bool = True
    in_place: bool = False
    loop: bool = False
    facing: str = "auto"
    sampling: Sampling = field(default_factory=Sampling)
    limit: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.n_samples <= 64 or not 0 < self.fps <= 1000:
            raise SettingsError("samples are 1 to 64, and fps a number above 0 and up to 1000")


def generate(
    rig: Asset | Skeleton | str | os.PathLike[str],
    text: str | Sequence[tuple[str, float]],
    *,
    seconds: float = 4.0,
    seed: int = 0,
    weights: str | os.PathLike[str] | None = None,
) -> Clip:
    """A clip of ``rig`` (a skeleton, an asset, or a file) for ``text``, of ``seconds``.

    ``text`` may be several prompts in sequence, each ``(text, seconds)``. The same ``seed`` gives the same motion. An
    asset's own clips limit how far its joints turn. ``weights`` is a model's file, the package's own where None.
    :func:`generate_clips` has all options. Raises SettingsError for prompts without text or time, and FileError for a
    file that cannot be read.
    """
    asset = Asset(rig) if isinstance(rig, Skeleton) else rig if isinstance(rig, Asset) else load(rig)
    model, about = load_model(weights or default_weights())
    options = Options(seed=seed, sampling=Sampling(schedule=str(about.get("schedule", "flow"))))
    prompts = [(text, seconds)] if isinstance(text, str) else text
    return generate_clips(model, asset.skeleton, prompts, options, authored=asset.clips)[0]


def generate_clips(
    model: MotionModel,
    skeleton: Skeleton,
    prompts: Sequence[tuple[str, float]],
    options: Options | None = None,
    pins: Sequence[Pin] = (),
    progress: Progress | None = None,
    authored: Sequence[Clip] = (),
) -> list[Clip]:
    """Clips of ``skeleton`` for ``prompts``, each ``(text, seconds)``, in sequence.

    A rig with carriers is generated as one tree (:mod:`anyrig.conform`). ``authored`` are the rig's own clips, which
    limit its joints together with ``pins``. ``progress`` is called with the number of finished denoising steps. Raises
    SettingsError for prompts without text or time, for clips of another skeleton, and for pins beyond the end.
    """
    options = options or Options()
    fps = model.config.fps
    frames = _frames(prompts, fps)
    longest = model.config.max_frames
    parts = windows(frames, longest, min(OVERLAP, longest // 4))
    turn = facing_of(skeleton, options.facing)
    body = whole(skeleton.rest_clip()).skeleton
    rig = faced(body, -turn)
    code = rig_code(rig)
    total = sum(n for _, n in frames)
    given = _given(pins, skeleton, rig, turn, fps, total)
    shown = (*authored, *(pin.clip for pin in pins)) if authored and options.limit else ()
    limits = learn_limits([whole(_own(clip, skeleton)) for clip in shown]) if shown else None
    x = _sample(model, collate_rigs([code]), parts, options, given, progress)
    clips = []
    for row in x:
        features = unpack(row[:total], rig.n_joints, fps)
        clip = decode(_pinned(features, given), rig)
        clip = limit_joints(clip, limits) if limits is not None else clip
        clip = _finished(clip, features.joints[..., CONTACT], options)
        text = ", then ".join(text for text, _ in prompts)
        clip = spread(turned_onto(clip, body, turn), skeleton)
        clips.append(replace(clip, name=text, captions=(text,)))
    return clips


def _own(clip: Clip, skeleton: Skeleton) -> Clip:
    if clip.skeleton.parents != skeleton.parents or clip.skeleton.names != skeleton.names:
        raise SettingsError("a motion can be pinned to, and limited by, clips of its own skeleton only")
    return replace(clip, skeleton=skeleton)


def _frames(prompts: Sequence[tuple[str, float]], fps: float) -> list[tuple[str, int]]:
    if not prompts:
        raise SettingsError("a motion needs a prompt")
    for text, seconds in prompts:
        if not text.strip():
            raise SettingsError("a prompt is empty; say what the creature does")
        if not 0.2 <= seconds <= MAX_SECONDS:
            raise SettingsError(f"a prompt takes 0.2 to {MAX_SECONDS:.0f} seconds, not {seconds}")
    counts, done, passed = [], 0, 0.0
    for text, seconds in prompts:
        passed += seconds
        counts.append((text, max(1, round(passed * fps) - done)))
        done += counts[-1][1]
    return [*counts[:-1], (counts[-1][0], counts[-1][1] + 1)]  # the last frame closes the last interval


def _sample(
    model: MotionModel,
    rig: RigBatch,
    parts: Sequence[Window],
    options: Options,
    given: Features | None,
    progress: Progress | None,
) -> Tensor:
    """(S, T, J + 1, 10), packed."""
    device = next(model.parameters()).device
    n, length, joints = options.n_samples, parts[-1].stop, rig.mask.shape[1]
    generator = torch.Generator().manual_seed(options.seed)
    # One sample at a time, so that the first does not depend on their number.
    start = torch.stack([noise((length, joints + 1, 10), generator) for _ in range(n)]).to(device)
    with torch.no_grad():
        texts = {t: model.read([t] * n + [""] * n) for t in dict.fromkeys(w.text for w in parts)}
    guidance = options.sampling.guidance
    rigs = rig.to(device).repeated(2 * n)
    done = itertools.count(1)

    def predict(piece: Tensor, window: Window, level: float) -> Tensor:
        levels = torch.full((2 * n,), level, device=device)
        out: Tensor = model(torch.cat([piece, piece]), levels, rigs, texts[window.text])
        cond, uncond = out.chunk(2)
        guided = uncond + guidance * (cond - uncond)
        guided[:, :, 0] = cond[:, :, 0]  # no guidance for the path: it would change the speed
        return guided

    def whole(x: Tensor, level: float) -> Tensor:
        out = blend(x, parts, lambda piece, window: predict(piece, window, level), dim=1)
        if progress is not None:
            progress(next(done))
        return out

    return denoise(whole, start, options.sampling, generator, _guide(given, length, device))


def _guide(given: Features | None, length: int, device: torch.device) -> Guide | None:
    if given is None:
        return None
    known = pack([given])
    mask = torch.as_tensor(np.isfinite(given.path[:, 0])).float()
    known = torch.nan_to_num(known)
    pad = (0, 0, 0, 0, 0, length - known.shape[1])
    known = torch.nn.functional.pad(known, pad)
    mask = torch.nn.functional.pad(mask, (0, length - len(mask)))
    return Guide(known.to(device), mask.to(device)[None, :, None, None])


def _given(
    pins: Sequence[Pin], skeleton: Skeleton, rig: Skeleton, turn: float, fps: float, total: int
) -> Features | None:
    """Features of all frames, NaN where none is pinned."""
    if not pins:
        return None
    n = rig.n_joints
    joints, path = np.full((total, n, 10), np.nan), np.full((total, 4), np.nan)
    for pin in pins:
        clip = upsampled(whole(_own(pin.clip, skeleton)), fps)
        first, last = round(pin.start * fps), round(pin.stop * fps)
        if not 0 <= first <= last < min(total, clip.n_frames):
            end = min(total, clip.n_frames) / fps
            raise SettingsError(f"{pin.start} to {pin.stop} s are outside the motion of {end:.2f} s")
        seen = encode(turned_onto(clip, rig, -turn))
        joints[first : last + 1], path[first : last + 1] = seen.joints[first : last + 1], seen.path[first : last + 1]
    return Features(joints, path, np.zeros((total, n, 3)), np.zeros(3), fps)


def _pinned(features: Features, given: Features | None) -> Features:
    """Sets pinned frames exactly; sampling has fitted the others to them."""
    if given is None:
        return features
    known = np.isfinite(given.path[:, 0])
    joints, path = features.joints.copy(), features.path.copy()
    joints[known], path[known] = given.joints[known], given.path[known]
    return replace(features, joints=joints, path=path)


def _finished(clip: Clip, contact: Array, options: Options) -> Clip:
    touches = bool((contact.max(axis=1) > 0.5).mean() > 0.1)
    times = np.arange(clip.n_frames)
    clip = upsampled(clip, options.fps)
    at = np.minimum(np.arange(clip.n_frames) / clip.fps * (len(times) - 1) / max(clip.seconds, 1e-9), len(times) - 1)
    if options.ground and touches:
        clip = lift(clip)
    if options.lock and touches and len(times) > 1:
        clip = lock_feet(clip, curve(contact, at) > 0.5)
    if options.loop:
        clip = conform.looped(clip)
    return clip.in_place() if options.in_place else clip


def upsampled(clip: Clip, fps: float) -> Clip:
    """The clip at ``fps`` by Catmull-Rom splines through its frames, up to its last frame.

    Rotations are normalised splines through neighbouring quaternions; times of the clip's own frames give those frames.
    Raises ClipError for a rate that is not positive.
    """
    if not math.isfinite(fps) or fps <= 0:
        raise ClipError(f"a clip's frame rate is a positive number, not {fps}")
    if fps == clip.fps or clip.n_frames < 2:
        return replace(clip, fps=fps)
    at = np.arange(math.floor(clip.seconds * fps + 1e-6) + 1) / fps * clip.fps
    return replace(
        clip,
        rotations=rot.continuous(rot.normalize(curve(rot.continuous(clip.rotations), at))),
        translations=curve(clip.translations, at),
        fps=fps,
    )


def curve(values: Array, at: Array) -> Array:
    """Values (T, ...) interpolated at fractional frames (N,) from 0 to T - 1."""
    last = len(values) - 1
    k = np.clip(np.floor(at + 1e-9).astype(int), 0, max(last - 1, 0))
    u = np.clip(at - k, 0.0, 1.0).reshape(-1, *[1] * (values.ndim - 1))
    padded = np.concatenate([2 * values[:1] - values[1:2], values, 2 * values[-1:] - values[-2:-1]])
    a, b, c, d = (padded[k + n] for n in range(4))
    return np.asarray(0.5 * (2 * b + u * (c - a) + u**2 * (2 * a - 5 * b + 4 * c - d) + u**3 * (3 * b - a - 3 * c + d)))


def default_weights() -> Path:
    """The weights of the package. Raises FileError where it was installed without them."""
    path = Path(__file__).parent / "weights" / "anyrig.safetensors"
    if not path.is_file():
        raise FileError(
            "this installation has no default weights; name a file with --weights, or train a model: anyrig train"
        )
    return path
