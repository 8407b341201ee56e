"""Repairs of game rigs and gaits, so that real animation can be learned from.

- Feet that hang on the world are hung on the bone that carries them (:mod:`anyrig.conform`); inverse-kinematics
  targets, and roots that carry no part of the mesh, are removed.
- Rigs are turned to face along z, and stand on the ground y = 0.
- Legs that end at the hip or knee get a joint at the sole.
- Joints are made rigid, and legs bent so that feet keep their positions.
- Gaits on the spot are moved over the ground so that standing feet do not slide.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from anyrig import conform
from anyrig import rotations as rot
from anyrig.conform import WEIGHTLESS, extent, parents_first, rehung, settled, tree
from anyrig.facing import detect_facing
from anyrig.features import words
from anyrig.io import Asset
from anyrig.io.gltf_read import skin_weights
from anyrig.rotations import Array
from anyrig.skeleton import Clip, Skeleton

ON_GROUND = 0.15
"""A foot stands while its height above its lowest position is at most this share of its largest height in the clip."""
SOLE = "sole"
"""The last word in the name of a joint that was added below a leg."""
_HELPERS = {"ik", "pole", "target", "control", "legcontrol", "armcontrol", "legorient", "armorient", "pt", "ctrl",
            "handslot"}  # fmt: skip
_STEMS = {"root", "master", "all", "armature"}
_TRUNKS = {"body", "torso", "hips", "hip", "pelvis"}
_SHADOW = 0.05
"""A joint called root carries nothing of the body up to this share of the mesh."""
_LEG = re.compile(r"leg|thigh|shin|calf|foot|feet|toe|paw|hoof|ankle|heel|^ff", re.IGNORECASE)
_LEVEL = 0.3
"""Legs end within this share of the rig's height above the lowest one; what ends higher is an arm."""
_LOW = 0.08
"""A leg's last joint at most this share of the rig's height above the ground is its foot; a higher one gets a sole."""
_SMOOTH_S = 0.08


@dataclass(frozen=True, eq=False)
class Repaired:
    """One tree of rigid joints that faces along z, with its clips, and the joints ``feet`` that it stands on.

    ``off`` says of each clip how far its joints are from where the file has them, relative to the root and in sizes of
    the rig: the largest distance in nine tenths of the frames.
    """

    skeleton: Skeleton
    clips: tuple[Clip, ...]
    feet: tuple[int, ...]
    off: tuple[float, ...]


def repaired(asset: Asset, *, radians: float | None = None, factor: float = 1.0, walks: bool = True) -> Repaired:
    """The asset with all repairs but travel. It faces ``radians`` from z (by its names where None) and is scaled by
    ``factor``; only what ``walks`` has feet and is put on the ground."""
    clips, limbs = one_tree(asset)
    turn = detect_facing(clips[0].skeleton).radians if radians is None else radians
    clips = [conform.scaled(conform.turned(c, rot.about("y", -turn)), factor) for c in clips]
    feet: list[int] = []
    if walks:
        floor = None if asset.source is None else 0.0
        clips, feet = _with_soles(clips, floor)
    stiff = [rigid(c, limbs) for c in clips]
    off = tuple(_off(a, b) for a, b in zip(stiff, clips, strict=True))
    if walks:
        stiff = _grounded(stiff, feet)
    skeleton = stiff[0].skeleton
    return Repaired(skeleton, tuple(replace(c, skeleton=skeleton) for c in stiff), tuple(feet), off)


def _off(clip: Clip, true: Clip) -> float:
    root = clip.skeleton.main_root
    (at, _), (there, _) = clip.world(), true.world()
    apart = np.linalg.norm((at - at[:, [root]]) - (there - there[:, [root]]), axis=-1).max(axis=1)
    return float(np.percentile(apart, 90) / extent(clip.skeleton))


def one_tree(asset: Asset) -> tuple[list[Clip], list[int]]:
    """The clips with one tree of joints that carry something, moving as before; and its joints with another parent
    than before."""
    skeleton = asset.skeleton
    weights = np.zeros(skeleton.n_joints)
    if asset.source is not None and asset.source.document.skins:
        weights = skin_weights(asset.source.document, list(asset.source.joints))[0]
    kept, above = tree(skeleton)
    parents = dict(zip(kept, above, strict=True))
    _drop_helpers(skeleton, parents, weights)
    _drop_stems(skeleton, asset.clips, parents, weights)
    order = parents_first(list(parents), list(parents.values()))
    hung = [order.index(j) for j, k in parents.items() if k >= 0 and k != skeleton.parents[j]]
    return settled([rehung(c, list(parents), list(parents.values())) for c in asset.clips]), hung


def _drop_helpers(skeleton: Skeleton, parents: dict[int, int], weights: Array) -> None:
    """Removes subtrees without weight that are called after helpers, or hang on the root of a rig with a mesh."""
    total, order = weights.copy(), parents_first(list(parents), list(parents.values()))
    for j in reversed(order):
        if parents[j] >= 0:
            total[parents[j]] += total[j]
    for j in order:
        above = parents[j]
        if above not in parents and above >= 0:
            del parents[j]  # its parent was removed
        elif above >= 0 and total[j] <= 1e-9 * weights.sum():
            beside = weights.any() and parents[above] < 0 and any(
                k != j and p == above and total[k] > 0 for k, p in parents.items()
            )  # fmt: skip
            if beside or set(words(skeleton.names[j])) & _HELPERS:
                del parents[j]


def _drop_stems(skeleton: Skeleton, clips: Sequence[Clip], parents: dict[int, int], weights: Array) -> None:
    """Removes roots that carry nothing: those with one child, and those called after roots on the ground, whose trunk
    then becomes the root and carries the others. A root on the ground that never moves carries nothing of a trunk."""
    height = skeleton.rest_positions()[:, 1]
    while len(parents) > 2:
        root = next(j for j, k in parents.items() if k < 0)
        below = [j for j, k in parents.items() if k == root]
        named = bool(set(words(skeleton.names[root])) & _STEMS)
        light = weights[root] <= (_SHADOW if named else WEIGHTLESS) * weights.sum() if weights.any() else named
        ground = float(height[list(parents)].min())
        low = height[root] - ground <= _LOW * float(np.ptp(height[list(parents)]))
        if named and low and not light:
            trunks = any(set(words(skeleton.names[j])) & _TRUNKS for j in below)
            light = trunks and all(_still(c, root) for c in clips)
        if not below or not light or (len(below) > 1 and not (named and low)):
            return
        trunk = _trunk(skeleton, parents, below) if len(below) > 1 else below[0]
        path = [trunk]
        while parents[path[-1]] != root:
            path.append(parents[path[-1]])
        del parents[root]
        parents |= dict.fromkeys(below, trunk)
        parents |= {path[k + 1]: path[k] for k in range(len(path) - 1)}
        parents[trunk] = -1


def _trunk(skeleton: Skeleton, parents: dict[int, int], below: list[int]) -> int:
    """The trunk among the joints ``below`` a root and their children: by its name, else by the size of its subtree."""
    near = below + [j for j, k in parents.items() if k in below]
    named = [j for j in near if set(words(skeleton.names[j])) & _TRUNKS]
    return named[0] if named else max(below, key=lambda j: sum(_inside(parents, k, j) for k in parents))


def _still(clip: Clip, joint: int) -> bool:
    moved = (np.ptp(values[:, joint], axis=0).max() for values in (clip.translations, clip.rotations))
    return bool(max(moved) < 1e-4 * extent(clip.skeleton))


def _inside(parents: dict[int, int], joint: int, top: int) -> bool:
    while joint >= 0 and joint != top:
        joint = parents[joint]
    return joint == top


def _with_soles(clips: list[Clip], floor: float | None) -> tuple[list[Clip], list[int]]:
    """The clips with a joint at the sole of each leg that ends above the ground, and the joints that it stands on.

    The ground is at ``floor``, or at the lowest joint at rest where that is None or lower.
    """
    s = clips[0].skeleton
    at = s.rest_positions()
    lowest = float(at[:, 1].min())
    ground = lowest if floor is None or lowest < floor else floor
    high = float(at[:, 1].max()) - ground
    ends = _leg_ends(s, at, ground + 0.15 * high)
    level = min((at[j, 1] for j in ends), default=0.0) + _LEVEL * high
    ends = [j for j in ends if at[j, 1] <= level]
    bare = [j for j in ends if at[j, 1] - ground > _LOW * high]
    if not bare:
        return clips, ends
    n = s.n_joints
    under = at[bare] * [1.0, 0.0, 1.0] + [0.0, ground, 0.0]
    offsets = rot.rotate(rot.inverse(s.rest_world()[bare]), under - at[bare])
    names = (*s.names, *(f"{s.names[j]} {SOLE}" for j in bare))
    longer = Skeleton(names, (*s.parents, *bare), np.concatenate([s.offsets, offsets]),
                      np.concatenate([s.rest, rot.identity(len(bare))]))  # fmt: skip
    more = [
        Clip(longer, np.concatenate([c.rotations, rot.identity(c.n_frames, len(bare))], axis=1),
             np.concatenate([c.translations, np.broadcast_to(offsets, (c.n_frames, len(bare), 3))], axis=1),
             c.fps, c.name, c.captions, c.action)
        for c in clips
    ]  # fmt: skip
    return more, [n + bare.index(j) if j in bare else j for j in ends]


def _leg_ends(skeleton: Skeleton, at: Array, low: float) -> list[int]:
    """The lowest joint of each branch that is called after legs or feet, from the first joint so called on; and hands
    that rest lower than ``low``."""
    ends = set()
    for leaf in (j for j, below in enumerate(skeleton.children) if not below):
        path = skeleton.path(leaf)
        first = next((n for n, j in enumerate(path) if _LEG.search(skeleton.names[j])), None)
        if first is None and "hand" in skeleton.names[leaf].lower() and at[leaf, 1] < low:
            ends.add(leaf)
        elif first is not None:
            ends.add(min(path[first:], key=lambda j: at[j, 1]))
    return sorted(ends)


def _grounded(clips: Sequence[Clip], feet: Sequence[int]) -> list[Clip]:
    """The clips moved up or down, all by the same height, so that feet mostly stand at y = 0."""
    if not feet:
        return list(clips)
    lows = [float(np.percentile(c.world()[0][:, feet, 1].min(axis=1), 10)) for c in clips]
    shift = -float(np.median(lows))
    roots = list(clips[0].skeleton.roots)

    def moved(values: Array) -> Array:
        values = values.copy()
        values[..., roots, 1] += shift
        return values

    skeleton = replace(clips[0].skeleton, offsets=moved(clips[0].skeleton.offsets))
    return [replace(c, skeleton=skeleton, translations=moved(c.translations)) for c in clips]


def rigid(clip: Clip, reach: Sequence[int] = ()) -> Clip:
    """The clip with every joint but the root at its offset, for formats and models with rotations only.

    The joints ``reach``, feet for example, are brought back to their positions by bending the two bones above them, as
    far as these reach, and keep their world rotation.
    """
    positions, rotations = clip.world()
    still = clip.translations.copy()
    below = [j for j, parent in enumerate(clip.skeleton.parents) if parent >= 0]
    still[:, below] = clip.skeleton.offsets[below]
    clip = replace(clip, translations=still)
    for joint in reach:
        lower = clip.skeleton.parents[joint]
        if lower >= 0 and clip.skeleton.parents[lower] >= 0:
            clip = _reaching(clip, joint, positions[:, joint], rotations[:, joint])
    return clip


def _reaching(clip: Clip, joint: int, target: Array, facing: Array) -> Clip:
    """``joint`` at ``target`` (T, 3), turned as ``facing`` (T, 4), by the two bones above it.

    FABRIK (Aristidou and Lasenby, Graphical Models 2011) on the three points, which stays near the current bend.
    """
    s = clip.skeleton
    lower = s.parents[joint]
    upper = s.parents[lower]
    world, turns = clip.world()
    hip, knee, foot = world[:, upper], world[:, lower], world[:, joint]
    long, short = (np.linalg.norm(v, axis=-1, keepdims=True) for v in (knee - hip, foot - knee))
    bent, end = knee, foot
    for _ in range(16):
        end = target
        bent = _at(end, bent, short)
        bent = _at(hip, bent, long)
        end = _at(bent, target, short)
    upper_w = rot.multiply(rot.between(knee - hip, bent - hip), turns[:, upper])
    carried = rot.multiply(rot.between(knee - hip, bent - hip), turns[:, lower])
    swung = rot.rotate(rot.between(knee - hip, bent - hip), foot - knee)
    lower_w = rot.multiply(rot.between(swung, end - bent), carried)
    rotations = clip.rotations.copy()
    above = turns[:, s.parents[upper]] if s.parents[upper] >= 0 else rot.identity(clip.n_frames)
    rotations[:, upper] = rot.multiply(rot.inverse(above), upper_w)
    rotations[:, lower] = rot.multiply(rot.inverse(upper_w), lower_w)
    rotations[:, joint] = rot.multiply(rot.inverse(lower_w), facing)
    return replace(clip, rotations=rotations)


def _at(centre: Array, towards: Array, distance: Array) -> Array:
    """The point at ``distance`` from ``centre`` in the direction of ``towards``."""
    away = towards - centre
    return np.asarray(centre + away * distance / np.maximum(np.linalg.norm(away, axis=-1, keepdims=True), 1e-12))


def with_travel(clip: Clip, feet: Sequence[int], *, steady: bool) -> Clip:
    """The clip moved over the ground so that its standing feet do not slide, as far as they agree.

    ``steady`` gives a constant velocity, for cyclic gaits; otherwise the velocity follows the feet from frame to frame
    and is interpolated while none stands. The path starts at the clip's own position. A clip without standing feet is
    unchanged.
    """
    velocity = ground_velocity(clip, feet)
    seen = np.isfinite(velocity[:, 0])
    if not seen.any():
        return clip
    if steady:
        return at_velocity(clip, steady_velocity(clip, feet))
    frames = np.arange(clip.n_frames)
    filled = np.stack([np.interp(frames, frames[seen], velocity[seen, k]) for k in range(2)], axis=-1)
    smooth = _smoothed(filled, _SMOOTH_S * clip.fps)
    steps = 0.5 * (smooth[1:] + smooth[:-1]) / clip.fps
    return _along(clip, np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)]))


def at_velocity(clip: Clip, velocity: Array) -> Clip:
    """The clip moved over the ground at a constant ``velocity`` (2,): x and z, metres a second."""
    return _along(clip, np.arange(clip.n_frames)[:, None] / clip.fps * velocity)


def _along(clip: Clip, path: Array) -> Clip:
    translations = clip.translations.copy()
    translations[:, list(clip.skeleton.roots), 0] += path[:, :1]
    translations[:, list(clip.skeleton.roots), 2] += path[:, 1:]
    return replace(clip, translations=translations)


def ground_velocity(clip: Clip, feet: Sequence[int]) -> Array:
    """The body's velocity (x and z, metres a second) in each frame from its standing feet, (T, 2).

    The negative mean of the feet's own velocities; NaN in frames in which no foot stands.
    """
    speed, standing = _foot_speeds(clip, feet)
    count = standing.sum(axis=1)
    total = np.where(standing[..., None], speed, 0.0).sum(axis=1)
    return np.where(count[:, None] > 0, -total / np.maximum(count, 1)[:, None], np.nan)


def steady_velocity(clip: Clip, feet: Sequence[int]) -> Array:
    """The negative mean over feet of each one's median velocity while it stands, (2,): x and z, metres a second.

    Zero without feet. The median, because feet already move in the low frames around touchdown and lift-off.
    """
    speed, standing = _foot_speeds(clip, feet)
    each = [np.median(speed[standing[:, k], k], axis=0) for k in range(len(feet)) if standing[:, k].any()]
    return np.asarray(-np.mean(each, axis=0)) if each else np.zeros(2)


def treading_speed(clip: Clip, feet: Sequence[int], way: Array) -> float:
    """The speed along ``way`` (2,) at which low feet go against it, metres a second; 0 where none does.

    For legs that swing like pendulums, which are as low on their way forward as on their way back.
    """
    speed, standing = _foot_speeds(clip, feet)
    back = -(speed @ way)
    treads = standing & (back > 0)
    return float(np.median(back[treads])) if treads.any() else 0.0


def _foot_speeds(clip: Clip, feet: Sequence[int]) -> tuple[Array, NDArray[np.bool_]]:
    """Each foot's velocity over the ground (T, K, 2), and whether it stands (T, K)."""
    at = clip.world()[0][:, list(feet)]
    lift = at[..., 1] - at[..., 1].min(axis=0)
    standing = lift <= ON_GROUND * lift.max(axis=0) + 1e-6 * extent(clip.skeleton)
    if clip.n_frames < 2:
        return np.zeros((*at.shape[:2], 2)), standing
    return np.gradient(at[..., [0, 2]], axis=0) * clip.fps, standing


def _smoothed(values: Array, sigma: float) -> Array:
    """A Gaussian mean over time, with constant padding."""
    reach = max(1, int(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(sigma, 1e-6)) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(values, ((reach, reach), (0, 0)), mode="edge")
    return np.stack([np.convolve(padded[:, k], kernel, mode="valid") for k in range(values.shape[1])], axis=-1)
