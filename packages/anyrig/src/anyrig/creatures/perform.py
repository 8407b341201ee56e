"""From a plan and an action to a clip, with what a test wants to know of it."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anyrig import rotations as rot
from anyrig.creatures import actions
from anyrig.creatures.assemble import assemble
from anyrig.creatures.captions import captions
from anyrig.creatures.motion import Motion
from anyrig.creatures.plans import Plan
from anyrig.creatures.rig import Rig
from anyrig.creatures.style import Style, style
from anyrig.errors import SettingsError
from anyrig.skeleton import Clip

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Performance:
    """A clip and how it came about.

    ``contacts`` (T, L) says which of the joints ``feet`` (L,), the ones that touch the ground, stand still on it in a
    frame. ``loops``: the last frame is the pose of the first one, carried along by the travel. ``speed`` is how fast
    the creature is meant to go, in m/s.
    """

    clip: Clip
    rig: Rig
    style: Style
    feet: tuple[int, ...]
    contacts: NDArray[np.bool_]
    loops: bool
    speed: float


def perform(
    plan: Plan, action: str, rng: random.Random, seconds: float = 2.0, fps: float = 15.0, manner: Style | None = None
) -> Performance:
    """``plan`` doing ``action`` for ``seconds`` at ``fps`` frames a second, in a manner drawn from ``rng`` or given.

    There are ``round(seconds * fps) + 1`` frames, the first and the last included. Raises SettingsError for an action
    that this body cannot do, and for times that are not positive.
    """
    if action not in actions.names() or not actions.able(action, plan):
        able = ", ".join(name for name in actions.names() if actions.able(name, plan))
        raise SettingsError(f'a {plan.kind} such as this cannot "{action}"; it can: {able}')
    if not 0 < seconds < 1e4 or not 0 < fps < 1e4:
        raise SettingsError(f"seconds and fps are positive numbers below 10000, not {seconds} and {fps}")
    rig = assemble(plan)
    n = max(2, round(seconds * fps) + 1)
    motion = Motion(rig, manner or style(rng), np.arange(n) / fps, fps)
    telling = actions.act(action, motion, rng)
    turns, origin, contacts = motion.local()
    clip = Clip(
        skeleton=rig.skeleton,
        rotations=_local_rotations(rig, turns),
        translations=_translations(rig, origin),
        fps=fps,
        name=f"{plan.noun.replace(' ', '_')}_{action}",
        captions=captions(plan, telling, motion.style, rng),
        action=action,
    )
    feet = tuple(leg.contact for leg in rig.legs)
    return Performance(clip, rig, motion.style, feet, contacts, motion.cyclic, motion.speed)


def _local_rotations(rig: Rig, turns: Array) -> Array:
    """``N_parent^-1 d N`` for each joint, without jumps of sign."""
    parents = np.array(rig.skeleton.parents)
    above = np.where(parents[:, None] >= 0, rig.frames[np.maximum(parents, 0)], rot.IDENTITY)
    return rot.continuous(rot.multiply(rot.multiply(rot.inverse(above), turns), rig.frames))


def _translations(rig: Rig, origin: Array) -> Array:
    translations = np.broadcast_to(rig.skeleton.offsets, (len(origin), *rig.skeleton.offsets.shape)).copy()
    translations[:, 0] = origin
    return translations
