"""Generation: prompts in, clips of the rig out, at the frame rate that is wanted."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from anyrig import conform
from anyrig import rotations as rot
from anyrig.carriers import spread, whole
from anyrig.diffusion import Guide, Sampling, Window, blend, denoise, noise, shifted, windows
from anyrig.errors import ClipError, FileError, SettingsError
from anyrig.features import CONTACT, Features, decode, encode, rig_code
from anyrig.generation.corrections import JointLimits, learn_limits, lift, limit_joints, lock_feet
from anyrig.generation.facing import faced, facing_of, turned_back
from anyrig.io import Asset, load
from anyrig.model import MotionModel, RigBatch, collate_rigs, load_model, pack, unpack
from anyrig.rotations import Array
from anyrig.skeleton import Clip, Skeleton

Progress = Callable[[int], None]
MAX_SECONDS = 600.0
OVERLAP = 16
"""Frames that two windows share."""
_SEAMLESS = 0.25
"""The noise level from which on the network is asked twice, the second time about patches that begin half a patch
later: what it says of two neighbouring patches does not quite meet."""


@dataclass(frozen=True, eq=False)
class Pin:
    """Frames of ``clip``, a clip of the same skeleton, that the motion shall have: those from ``start`` to ``stop``
    seconds, at the same time."""

    clip: Clip
    start: float
    stop: float


@dataclass(frozen=True, slots=True)
class Options:
    """``n_samples`` motions from ``seed`` on, at ``fps`` frames a second.

    ``lock`` keeps standing feet still, ``ground`` lifts what is under the ground (both only in motions that touch it);
    ``in_place`` takes away the travel, ``loop`` makes the last pose the first. ``facing`` is where the rig looks at
    rest: see :func:`anyrig.generation.facing_of`. ``limit`` keeps joints within what the rig's own clips show of them:
    see :func:`learn_limits`.
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
    """A clip of ``rig`` (a skeleton, an asset, or a file) that does what ``text`` says for ``seconds``.

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
    """Clips of ``skeleton`` that do what ``prompts``, each ``(text, seconds)``, say, one after the other.

    A rig whose feet or controls hang where they do not belong moves as one tree (:mod:`anyrig.carriers`). ``authored``
    are the clips that the rig came with: joints turn no further than in them and in ``pins``. ``progress`` is called
    with the number of denoising steps done, after each. Raises SettingsError for prompts without text or time, for
    clips of another skeleton, and for pins beyond the end.
    """
    options = options or Options()
    fps = model.config.fps
    frames = _frames(prompts, fps)
    longest, patch = model.config.max_frames, model.config.patch
    parts = windows(frames, longest, min(OVERLAP, longest // 4) // patch * patch, patch)
    turn = facing_of(skeleton, options.facing)
    body = whole(_still(skeleton)).skeleton
    rig = faced(body, -turn)
    code = rig_code(rig)
    total = sum(n for _, n in frames)
    given = _given(pins, skeleton, turn, fps, total)
    limits = _limits(authored, pins, skeleton) if options.limit else None
    x = _sample(model, collate_rigs([code]), parts, options, given, progress)
    clips = []
    for row in x:
        features = unpack(row[:total], rig.n_joints, fps)
        clip = decode(_pinned(features, given), rig)
        clip = limit_joints(clip, limits) if limits is not None else clip
        clip = _finished(clip, features.joints[..., CONTACT], options)
        text = ", then ".join(text for text, _ in prompts)
        clip = spread(turned_back(clip, body, turn), skeleton)
        clips.append(replace(clip, name=text, captions=(text,)))
    return clips


def _still(skeleton: Skeleton) -> Clip:
    return Clip(skeleton, skeleton.rest[None], skeleton.offsets, 1.0)


def _limits(authored: Sequence[Clip], pins: Sequence[Pin], skeleton: Skeleton) -> JointLimits | None:
    """Those of the tree that moves."""
    if not authored:
        return None
    return learn_limits([whole(_own(clip, skeleton)) for clip in (*authored, *(pin.clip for pin in pins))])


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
    # One sample after another, so that the first is the same however many are asked for.
    start = torch.stack([noise((length, joints + 1, 10), generator) for _ in range(n)]).to(device)
    with torch.no_grad():
        texts = {t: model.read([t] * n + [""] * n) for t in dict.fromkeys(w.text for w in parts)}
    guidance = options.sampling.guidance
    rigs = rig.to(device).repeated(2 * n)
    patch = model.config.patch
    tilings = [parts, shifted(parts, patch)]
    done = itertools.count(1)

    def answer(piece: Tensor, window: Window, level: float) -> Tensor:
        levels = torch.full((2 * n,), level, device=device)
        out: Tensor = model(torch.cat([piece, piece]), levels, rigs, texts[window.text])
        cond, uncond = out.chunk(2)
        guided = uncond + guidance * (cond - uncond)
        guided[:, :, 0] = cond[:, :, 0]  # the path as told: exaggerated, it would be another speed
        return guided

    def whole(x: Tensor, level: float) -> Tensor:
        used = tilings if level <= _SEAMLESS else tilings[:1]
        out = blend(x, used, lambda piece, window: answer(piece, window, level), dim=1, patch=patch)
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


def _given(pins: Sequence[Pin], skeleton: Skeleton, turn: float, fps: float, total: int) -> Features | None:
    """Features of all frames, not a number where none is pinned; the path in ``origin``'s place is added by pins."""
    if not pins:
        return None
    rig = faced(whole(_still(skeleton)).skeleton, -turn)
    n = rig.n_joints
    joints, path = np.full((total, n, 10), np.nan), np.full((total, 4), np.nan)
    for pin in pins:
        clip = upsampled(whole(_own(pin.clip, skeleton)), fps)
        first, last = round(pin.start * fps), round(pin.stop * fps)
        if not 0 <= first <= last < min(total, clip.n_frames):
            end = min(total, clip.n_frames) / fps
            raise SettingsError(f"{pin.start} to {pin.stop} s are no part of a motion of {end:.2f} s")
        seen = encode(_of(clip, rig, turn))
        joints[first : last + 1], path[first : last + 1] = seen.joints[first : last + 1], seen.path[first : last + 1]
    return Features(joints, path, np.zeros((total, n, 3)), np.zeros(3), fps)


def _of(clip: Clip, rig: Skeleton, turn: float) -> Clip:
    turned = conform.turned(clip, rot.about("y", -turn))
    return Clip(rig, turned.rotations, turned.translations, clip.fps)


def _pinned(features: Features, given: Features | None) -> Features:
    """Pinned frames to the letter: sampling has brought the others to fit."""
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
    """The clip at ``fps`` by Catmull and Rom's splines through its frames, as far as its last frame.

    Rotations are curves through neighbouring quaternions, made unit: frames that fall on a frame of the clip are kept.
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
    """Values (T, ...) between their frames, at fractional frames (N,) from 0 to T - 1."""
    last = len(values) - 1
    k = np.clip(np.floor(at + 1e-9).astype(int), 0, max(last - 1, 0))
    u = np.clip(at - k, 0.0, 1.0).reshape(-1, *[1] * (values.ndim - 1))
    padded = np.concatenate([2 * values[:1] - values[1:2], values, 2 * values[-1:] - values[-2:-1]])
    a, b, c, d = (padded[k + n] for n in range(4))
    return np.asarray(0.5 * (2 * b + u * (c - a) + u**2 * (2 * a - 5 * b + 4 * c - d) + u**3 * (3 * b - a - 3 * c + d)))


def default_weights() -> Path:
    """The model that is used where none is named. Raises FileError where the package came without it."""
    path = Path(__file__).parents[1] / "weights" / "anyrig.safetensors"
    if not path.is_file():
        raise FileError(
            "this installation has no default weights; name some with --weights, or make them with: anyrig train"
        )
    return path
