"""Bringing a clip to the unit, axes, joint frames, rate or loop that a file or a program wants."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from anyrig import rotations as rot
from anyrig.errors import SettingsError
from anyrig.rotations import Array
from anyrig.skeleton import Clip, Skeleton

UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "in": 0.0254, "ft": 0.3048}
"""Metres in one unit."""
TURN_RAD = math.radians(15)
"""A clip that ends turned by more than this turns on purpose, and a loop carries the turn on."""
TRAVEL_SHARE = 0.1
"""A clip that ends further away than this share of the skeleton's size travels on purpose."""


def metres(unit: str | float) -> float:
    """Metres in one ``unit``: a name in :data:`UNITS`, or the number itself. Raises SettingsError for any other."""
    if unit in UNITS:
        return UNITS[str(unit)]
    try:
        number = float(unit)
    except (TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        names = ", ".join(UNITS)
        raise SettingsError(f"a unit is one of {names}, or how many metres it has, above 0: not {unit!r}")
    return number


def upright(up: str) -> Array:
    """The rotation from a world whose ``up`` axis ("x", "y" or "z") points up to this package's, where y does."""
    if up not in ("x", "y", "z"):
        raise SettingsError(f"the up axis is x, y or z, not {up!r}")
    return {"x": rot.about("z", np.pi / 2), "y": rot.identity(), "z": rot.about("x", -np.pi / 2)}[up]


def extent(skeleton: Skeleton) -> float:
    """The longest side of the box around the rest pose, in metres; 1 where that is a point."""
    positions = skeleton.rest_positions()
    return float(np.max(np.ptp(positions, axis=0))) or 1.0


def scaled(clip: Clip, factor: float) -> Clip:
    """The clip with every length times ``factor``."""
    skeleton = replace(clip.skeleton, offsets=clip.skeleton.offsets * factor)
    return replace(clip, skeleton=skeleton, translations=clip.translations * factor)


def turned(clip: Clip, rotation: ArrayLike) -> Clip:
    """The clip, rest pose included, in a world turned by ``rotation`` (4,): only what the roots do changes."""
    s, roots = clip.skeleton, list(clip.skeleton.roots)
    offsets, rest = s.offsets.copy(), s.rest.copy()
    translations, rotations = clip.translations.copy(), clip.rotations.copy()
    offsets[roots], rest[roots] = rot.rotate(rotation, offsets[roots]), rot.multiply(rotation, rest[roots])
    translations[:, roots] = rot.rotate(rotation, translations[:, roots])
    rotations[:, roots] = rot.multiply(rotation, rotations[:, roots])
    skeleton = replace(s, offsets=offsets, rest=rest)
    return replace(clip, skeleton=skeleton, rotations=rotations, translations=translations)


def reframed(clip: Clip, axes: ArrayLike) -> Clip:
    """The same motion of the same rest pose with other joint frames: ``axes`` (J, 4) are the new rest world rotations.

    ``W'_j(t) = W_j(t) W_j,rest^-1 axes_j``, so every joint's turn away from rest, and with it every world position, is
    unchanged. Identity axes give the skeleton that a BVH file can hold.
    """
    s = clip.skeleton
    axes = np.broadcast_to(np.asarray(axes, dtype=np.float64), (s.n_joints, 4))
    change = rot.multiply(rot.inverse(s.rest_world()), axes)  # from the old joint frame to the new one, on the right
    rest, offsets = s.local(s.rest_positions(), axes)
    above = rot.identity(s.n_joints)  # the same change of frame for each joint's parent; none for a root
    for j, parent in enumerate(s.parents):
        if parent >= 0:
            above[j] = change[parent]
    undo = rot.inverse(above)
    return replace(
        clip,
        skeleton=replace(s, offsets=offsets, rest=rest),
        rotations=rot.multiply(rot.multiply(undo, clip.rotations), change),
        translations=rot.rotate(undo, clip.translations),
    )


def looped(clip: Clip) -> Clip:
    """The clip with its last frame's pose equal to its first's, so that it can be played again and again.

    The difference is spread over the whole clip by a smooth step, which leaves the speed at both ends as it was. What
    the main root travels over the ground, and turns about the vertical, is kept where it is more than sway
    (:data:`TRAVEL_SHARE`, :data:`TURN_RAD`): each round then starts where the last one ended.
    """
    if clip.n_frames < 2:
        return clip
    target_r, target_t = _seam(clip)
    share = np.linspace(0.0, 1.0, clip.n_frames)
    share = share * share * (3.0 - 2.0 * share)
    correction = rot.multiply(target_r, rot.inverse(clip.rotations[-1]))
    turns = rot.slerp(rot.IDENTITY, correction, np.broadcast_to(share[:, None], clip.rotations.shape[:2]))
    rotations = rot.multiply(turns, clip.rotations)
    rotations[-1] = np.where(np.sum(rotations[-1] * target_r, axis=-1, keepdims=True) < 0, -target_r, target_r)
    translations = clip.translations + share[:, None, None] * (target_t - clip.translations[-1])
    translations[-1] = target_t
    return replace(clip, rotations=rotations, translations=translations)


def _seam(clip: Clip) -> tuple[Array, Array]:
    """The local pose (rotations, translations) that the last frame has to have."""
    skeleton, main = clip.skeleton, clip.skeleton.main_root
    roots = list(skeleton.roots)
    first_r, first_t = clip.rotations[0], clip.translations[0]
    turn = _yaw(rot.multiply(clip.rotations[-1, main], rot.inverse(first_r[main])))
    if rot.angle(turn, rot.IDENTITY) < TURN_RAD:
        turn = rot.identity()
    travel = clip.travel()[-1]
    if np.linalg.norm(travel) < TRAVEL_SHARE * extent(skeleton):
        travel = np.zeros(3)
    target_r, target_t = first_r.copy(), first_t.copy()
    target_r[roots] = rot.multiply(turn, first_r[roots])
    target_t[roots] = first_t[main] + travel + rot.rotate(turn, first_t[roots] - first_t[main])
    return target_r, target_t


def _yaw(q: Array) -> Array:
    """The part of a rotation that is about the vertical (its twist about y); the identity where there is none."""
    return rot.normalize(q * np.array([1.0, 0.0, 1.0, 0.0]))


def settled(clips: Sequence[Clip]) -> list[Clip]:
    """The clips with a joint that keeps one and the same translation in all of them resting there.

    Where rest pose and clips were authored apart, offsets otherwise disagree with every frame there is.
    """
    skeleton = clips[0].skeleton
    translations = np.concatenate([c.translations for c in clips])
    middle = np.median(translations, axis=0)
    steady = np.linalg.norm(translations - middle, axis=-1).max(axis=0) < 1e-4 * extent(skeleton)
    steady[list(skeleton.roots)] = False
    offsets = np.where(steady[:, None], middle, skeleton.offsets)
    rested = replace(skeleton, offsets=offsets)
    return [replace(c, skeleton=rested, translations=np.where(steady[:, None], offsets, c.translations)) for c in clips]
