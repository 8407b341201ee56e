"""From a rig and prompts to clips: windows, in-betweening, feet that stay in place, joint limits, frame rate.

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
from torch import Tensor

from anyrig import conform
from anyrig import rotations as rot
from anyrig.conform import spread, whole
from anyrig.diffusion import Draft, Guide, Sampling, Window, blend, denoise, noise, shifted, windows
from anyrig.errors import ClipError, FileError, SettingsError
from anyrig.facing import faced, facing_of, turned_onto
from anyrig.features import CONTACT, Features, decode, encode, rig_code, size_of
from anyrig.io import Asset, load
from anyrig.legs import bent, feet, leg, lift, lock_feet
from anyrig.model import MotionModel, RigBatch, collate_rigs, load_model, pack, unpack
from anyrig.rotations import Array
from anyrig.skeleton import Clip, Skeleton
from anyrig.starts import Procedural, Starter

_STILL = np.radians(1.0)
"""A clip in which no joint turns by more is a pose and gives no limits."""
_LEAST, _ALONE = np.radians(30.0), np.radians(120.0)
"""Least limits: with many clips, and with a single one, which is divided by the number of clips."""
_SOFT = np.radians(6.0)
"""Least range over which a joint slows down to its limit."""
_STEM = 3
"""At most so many joints from a root to where limbs branch off turn the whole body."""
_TRIED, _NEAR = 8, 0.005
"""Poses at most that are tried to keep feet in place under limits; sizes by which a foot may be off."""
_OVER = np.radians(150.0)
"""Turns beyond this are reduced towards 0 at 180 degrees, where the nearest turn within the limits is discontinuous."""


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


def _limited(clip: Clip, limits: JointLimits) -> Clip:
    """The clip with every joint within its limits, and feet as near to where they were as is found by limiting joints
    and bending legs in turn. A knee that may not bend as far pushes its foot into the ground otherwise."""
    s = clip.skeleton
    stand = list(feet(s))
    goals = clip.world()[0][:, stand]
    clip = best = limit_joints(clip, limits)
    least = np.inf
    for n in range(_TRIED if stand else 0):
        away = np.linalg.norm(clip.world()[0][:, stand] - goals, axis=-1)
        if away.mean() < least:
            best, least = clip, away.mean()
        if n == _TRIED - 1 or away.max() < _NEAR * size_of(s):
            break
        for k, foot in enumerate(stand):
            clip = bent(clip, leg(s, foot), goals[:, k])
        clip = limit_joints(clip, limits)
    return best


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
_EASE_S = 0.2
"""Seconds over which a motion eases into the pose of a pin."""
_FADE_S = 0.5
"""Seconds over which the start of one prompt fades into that of the next."""
_SEAMLESS = 0.25
"""At noise levels up to this the network runs twice, the second time with patches shifted by half a patch, since its
estimates of neighbouring patches do not quite meet."""


@dataclass(frozen=True, eq=False)
class Pin:
    """Frames to keep in the motion, their place included: those of ``clip``, a clip of the same skeleton, from
    ``start`` to ``stop`` seconds."""

    clip: Clip
    start: float
    stop: float


@dataclass(frozen=True, slots=True)
class Options:
    """``n_samples`` motions from ``seed`` on, at ``fps`` frames a second.

    ``lock`` fixes standing feet in place, ``ground`` lifts the motion out of the ground (both only in motions that
    touch it); ``in_place`` removes the travel, ``loop`` makes the last pose the first. ``facing`` is where the rig
    faces at rest (:func:`facing_of`). ``limit`` limits joints by the rig's own clips (:func:`learn_limits`).
    ``start_level`` is the noise level to which a start is brought (:class:`anyrig.diffusion.Draft`).
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
    start_level: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.n_samples <= 64 or not 0 < self.fps <= 1000:
            raise SettingsError("samples are 1 to 64, and fps a number above 0 and up to 1000")
        if not 0 <= self.start_level <= 1:
            raise SettingsError(f"a start's noise level is from 0 to 1, not {self.start_level}")


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
    Sampling starts from :class:`anyrig.starts.Procedural`. :func:`generate_clips` has all options. Raises SettingsError
    for prompts without text or time, and FileError for a file that cannot be read.
    """
    asset = Asset(rig) if isinstance(rig, Skeleton) else rig if isinstance(rig, Asset) else load(rig)
    model, about = load_model(weights or default_weights())
    options = Options(seed=seed, sampling=Sampling(schedule=str(about.get("schedule", "flow"))))
    prompts = [(text, seconds)] if isinstance(text, str) else text
    return generate_clips(model, asset.skeleton, prompts, options, authored=asset.clips, start=Procedural())[0]


def generate_clips(
    model: MotionModel,
    skeleton: Skeleton,
    prompts: Sequence[tuple[str, float]],
    options: Options | None = None,
    pins: Sequence[Pin] = (),
    progress: Progress | None = None,
    authored: Sequence[Clip] = (),
    start: Starter | None = None,
) -> list[Clip]:
    """Clips of ``skeleton`` for ``prompts``, each ``(text, seconds)``, in sequence.

    A rig with carriers is generated as one tree (:mod:`anyrig.conform`). ``authored`` are the rig's own clips, which
    limit its joints together with ``pins``. ``progress`` is called with the number of finished denoising steps.
    ``start`` gives motion to start from, for each sample and prompt. Raises SettingsError for prompts without text or
    time, for clips of another skeleton, and for pins beyond the end.
    """
    options = options or Options()
    fps = model.config.fps
    frames = _frames(prompts, fps)
    longest, patch = model.config.max_frames, model.config.patch
    parts = windows(frames, longest, min(OVERLAP, longest // 4) // patch * patch, patch)
    turn = facing_of(skeleton, options.facing)
    body = whole(skeleton.rest_clip()).skeleton
    rig = faced(body, -turn)
    code = rig_code(rig)
    total = sum(n for _, n in frames)
    given = _given(pins, skeleton, rig, turn, fps, total)
    shown = (*authored, *(pin.clip for pin in pins)) if authored and options.limit else ()
    limits = learn_limits([whole(_own(clip, skeleton)) for clip in shown]) if shown else None
    x = None if start is None or options.start_level > 0 else _starts(start, rig, prompts, options)
    kept = x is not None
    if x is not None:
        given, fps, total = None, options.fps, x.shape[1]  # nothing is sampled: what is pinned is eased into
    else:
        draft = None if start is None else _draft(start, rig, frames, options, fps, parts[-1].stop)
        x = _sample(model, collate_rigs([code]), parts, options, given, progress, draft)
    clips = []
    for row in x:
        features = unpack(row[:total], rig.n_joints, fps)
        clip = decode(_pinned(features, given), rig)
        if limits is not None:  # from noise, feet are nowhere worth keeping, and legs bent for them tear the mesh
            clip = (_limited if kept else limit_joints)(clip, limits)
        clip = _finished(clip, features.joints[..., CONTACT], options)
        text = ", then ".join(text for text, _ in prompts)
        clip = spread(turned_onto(clip, body, turn), skeleton)
        if pins and not options.in_place and not options.loop:
            clip = _met(clip, pins)
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
    draft: Draft | None,
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
    patch = model.config.patch
    tilings = [parts, shifted(parts, patch)]
    done = itertools.count(1)

    def predict(piece: Tensor, window: Window, level: float) -> Tensor:
        levels = torch.full((2 * n,), level, device=device)
        out: Tensor = model(torch.cat([piece, piece]), levels, rigs, texts[window.text])
        cond, uncond = out.chunk(2)
        guided = uncond + guidance * (cond - uncond)
        guided[:, :, 0] = cond[:, :, 0]  # no guidance for the path: it would change the speed
        return guided

    def whole(x: Tensor, level: float) -> Tensor:
        used = tilings if level <= _SEAMLESS else tilings[:1]
        out = blend(x, used, lambda piece, window: predict(piece, window, level), dim=1, patch=patch)
        if progress is not None:
            progress(next(done))
        return out

    if draft is not None:
        draft = replace(draft, motion=draft.motion.to(device), mask=draft.mask.to(device))
    return denoise(whole, start, options.sampling, generator, _guide(given, length, device), draft)


def _starts(start: Starter, rig: Skeleton, prompts: Sequence[tuple[str, float]], options: Options) -> Tensor | None:
    """The starts as they are, at the frame rate asked for; None where a prompt has none."""
    frames = _frames(prompts, options.fps)
    draft = _draft(start, rig, frames, options, options.fps, sum(n for _, n in frames))
    return draft.motion if draft is not None and bool(draft.mask.all()) else None


def _draft(
    start: Starter, rig: Skeleton, frames: Sequence[tuple[str, int]], options: Options, fps: float, length: int
) -> Draft | None:
    """The starts of all samples and prompts, or None where no prompt has one; ``length`` is that of the windows."""
    motion = torch.zeros(options.n_samples, length, rig.n_joints + 1, 10)
    mask = torch.zeros(length)
    begun, fade = 0, max(1, round(_FADE_S * fps))
    for k, (text, n) in enumerate(frames):
        last = k == len(frames) - 1
        wanted = n if last else min(n + fade, length - begun)
        made = [start(rig, text, (wanted - 1) / fps, options.seed + sample) for sample in range(options.n_samples)]
        clips = [upsampled(clip, fps) for clip in made if clip is not None]
        if len(clips) == options.n_samples:
            stop = length if last else begun + wanted
            for sample, clip in enumerate(clips):
                x = pack([encode(clip)])[0]
                x = x[torch.arange(stop - begun).clamp(max=len(x) - 1)]
                if mask[begun : begun + 1].any():  # the end of the start before
                    n_old = int(mask[begun : begun + fade].sum())
                    share = ((torch.arange(n_old) + 1.0) / (n_old + 1))[:, None, None]
                    x[:n_old] = (1 - share) * motion[sample, begun : begun + n_old] + share * x[:n_old]
                motion[sample, begun:stop] = x
            mask[begun:stop] = 1.0
        begun += n
    return Draft(motion, mask[None, :, None, None], options.start_level) if mask.any() else None


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
        n_frames = min(total, clip.n_frames)
        first, last = (min(round(at * fps), n_frames - 1) for at in (pin.start, pin.stop))
        if not 0 <= pin.start <= pin.stop < n_frames / fps:  # a clip may end between two frames
            raise SettingsError(f"{pin.start} to {pin.stop} s are outside the motion of {n_frames / fps:.2f} s")
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


def _met(clip: Clip, pins: Sequence[Pin]) -> Clip:
    """The clip with its pinned frames exactly as they are in the pins' clips, their places included.

    Headings and places over the ground change evenly between pins, other joints within :data:`_EASE_S` of one.
    """
    s, main, roots = clip.skeleton, clip.skeleton.main_root, list(clip.skeleton.roots)
    spans = []
    for pin in sorted(pins, key=lambda p: p.start):
        wanted = upsampled(pin.clip, clip.fps)
        last = min(clip.n_frames, wanted.n_frames) - 1
        span = [min(round(at * clip.fps), last) for at in (pin.start, pin.stop)]
        spans.append((span[0], span[1], wanted))
    edges = [(k, wanted) for first, last, wanted in spans for k in dict.fromkeys((first, last))]
    at, t = [k for k, _ in edges], np.arange(clip.n_frames)
    rotations, translations = clip.rotations.copy(), clip.translations.copy()
    gaps = [rot.multiply(wanted.rotations[k, main], rot.inverse(rotations[k, main])) for k, wanted in edges]
    yaws = np.unwrap([2.0 * np.arctan2(q[2], q[0]) for q in gaps])
    turn = rot.about("y", np.interp(t, at, yaws))
    around = rot.rotate(turn[:, None], translations[:, roots] - translations[:, [main]])
    steps = rot.rotate(turn[:-1], np.diff(translations[:, main], axis=0))
    path = translations[0, main] + np.concatenate([np.zeros((1, 3)), np.cumsum(steps, axis=0)])
    for axis in (0, 2):
        path[:, axis] += np.interp(t, at, [wanted.translations[k, main, axis] - path[k, axis] for k, wanted in edges])
    rotations[:, roots] = rot.multiply(turn[:, None], rotations[:, roots])
    translations[:, roots] = path[:, None] + around
    ease = max(1, round(_EASE_S * clip.fps))
    for n, (first, last, wanted) in enumerate(spans):
        before = spans[n - 1][1] if n else -1
        after = spans[n + 1][0] if n + 1 < len(spans) else clip.n_frames
        for edge, others in ((first, range(before + 1, first)), (last, range(last + 1, after))):
            turned = rot.multiply(rot.inverse(rotations[edge]), wanted.rotations[edge])
            moved = wanted.translations[edge] - translations[edge]
            for k in others:
                share = max(0.0, 1.0 - abs(k - edge) / (ease + 1))
                share *= share * (3.0 - 2.0 * share)
                if share > 0:
                    rotations[k] = rot.multiply(
                        rotations[k], rot.slerp(rot.IDENTITY, turned, np.full(s.n_joints, share))
                    )
                    translations[k] += share * moved
        rotations[first : last + 1] = wanted.rotations[first : last + 1]
        translations[first : last + 1] = wanted.translations[first : last + 1]
    return replace(clip, rotations=rot.continuous(rotations), translations=translations)


def _finished(clip: Clip, contact: Array, options: Options) -> Clip:
    steps = (clip.n_frames - 1) * options.fps / clip.fps
    if not options.loop or clip.n_frames < 2 or abs(steps - round(steps)) > 1e-6:
        return _cleaned(clip, contact, options)
    # Three times, of which the second has the same before and after it as in a loop.
    three = _cleaned(conform.repeated(clip, 3), np.concatenate([contact, contact[1:], contact[1:]]), options)
    return conform.returned(three.cut(round(steps), 2 * round(steps) + 1), three)


def _cleaned(clip: Clip, contact: Array, options: Options) -> Clip:
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
