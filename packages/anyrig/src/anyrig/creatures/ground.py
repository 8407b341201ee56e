"""What the ground does to a body: feet are brought to it, and what would go into it is bent up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anyrig import rotations as rot
from anyrig.creatures.curves import running_max
from anyrig.creatures.ik import place
from anyrig.creatures.rig import Rig

if TYPE_CHECKING:
    from anyrig.creatures.motion import Motion

Array = NDArray[np.float64]
_UP = np.array([0.0, 1.0, 0.0])


def plant(motion: Motion, turns: Array) -> NDArray[np.bool_]:
    """Turns the legs in ``turns`` (T, J, 4) so that the feet are where they are meant to be; lowers the body where they
    could not reach. Returns which feet (T, L) stand firm."""
    feet, rig = motion.feet, motion.rig
    if not rig.legs:
        return np.zeros((motion.n_frames, 0), dtype=bool)
    table = rig.leg_table
    places, world = rig.world(turns, motion.origin(), upper=True)
    hips, bodies = places[:, table.hips], world[:, table.parents]
    goals, foot_turns, toe_turns = _goals(motion, hips, bodies)
    firm = feet.planted & (feet.loose <= 0.0)
    drop = _drop(motion, goals - hips, firm)
    motion.place[:, 1] -= drop
    hips = hips - drop[:, None, None] * _UP
    goals = goals - (feet.loose * drop[:, None])[..., None] * _UP
    goals[..., 1] = np.maximum(goals[..., 1], np.where(feet.loose > 0, 0.0, -np.inf))
    last = np.empty_like(foot_turns)
    for legs, chain, joints in table.groups:
        local, last[:, legs] = place(chain, hips[:, legs], goals[:, legs], bodies[:, legs])
        turns[:, joints[:, :-1]] = local
    turns[:, table.ends] = rot.multiply(rot.inverse(last), foot_turns)
    footed = table.footed
    turns[:, table.contacts[footed]] = rot.multiply(rot.inverse(foot_turns[:, footed]), toe_turns[:, footed])
    return np.asarray(firm & (np.linalg.norm(goals - hips, axis=-1) <= table.longest + 1e-9))


def _goals(motion: Motion, hips: Array, bodies: Array) -> tuple[Array, Array, Array]:
    """Where the ends of the legs' chains go (T, L, 3), and the world turns of feet and toes (T, L, 4)."""
    feet, table = motion.feet, motion.rig.leg_table
    flat = rot.about("y", feet.yaw)
    pitch = rot.about("x", np.where(table.footed, feet.pitch, feet.toe))
    toe = rot.about("x", feet.toe)
    foot_turns, toe_turns = rot.multiply(flat, pitch), rot.multiply(flat, toe)
    points = feet.point
    if feet.loose.any():
        foot_turns = rot.slerp(foot_turns, rot.multiply(bodies, pitch), feet.loose)
        toe_turns = rot.slerp(toe_turns, rot.multiply(bodies, toe), feet.loose)
        out = rot.multiply(rot.about("z", table.sides * feet.spread), rot.about("x", -feet.swing))
        hanging = hips + rot.rotate(rot.multiply(bodies, out), table.lines * feet.stretch[..., None])
        points = points + feet.loose[..., None] * (hanging - points)
    return points - rot.rotate(foot_turns, table.feet), foot_turns, toe_turns


def _drop(motion: Motion, reach: Array, firm: NDArray[np.bool_]) -> Array:
    """How far (T,) the body has to come down so that the legs that stand can reach: constant for a cycle."""
    across = np.hypot(reach[..., 0], reach[..., 2])
    height = np.sqrt(np.maximum((0.9995 * motion.rig.leg_table.longest) ** 2 - across**2, 0.0))
    need = np.max(np.where(firm, -reach[..., 1] - height, 0.0), axis=1, initial=0.0)
    if motion.cyclic:
        return np.full(motion.n_frames, need.max())
    return running_max(need, max(1, round(0.15 * motion.fps)))


def keep_off_ground(rig: Rig, turns: Array, origin: Array, floor: float) -> None:
    """Bends tail, neck, jaws, wings and arms in ``turns`` (T, J, 4) up where they would go under ``floor``."""
    places, world = rig.world(turns, origin, upper=True)
    for joints in rig.hanging:
        if places[:, list(joints), 1].min() < floor:
            _raise_chain(rig, turns, places, world, joints, floor)


def _raise_chain(rig: Rig, turns: Array, places: Array, world: Array, joints: Sequence[int], floor: float) -> None:
    """Turns each bone of a chain up so far that its end is not under ``floor``; bends nothing that is above."""
    for k, joint in enumerate(joints):
        parent = rig.skeleton.parents[joint]
        above = world[:, parent]
        place = places[:, parent] + rot.rotate(above, rig.offsets[joint])
        turned = rot.multiply(above, turns[:, joint])
        if k + 1 < len(joints):
            bone = rot.rotate(turned, rig.offsets[joints[k + 1]])
            length = float(np.linalg.norm(rig.offsets[joints[k + 1]]))
            wanted = np.clip(np.maximum(bone[:, 1], floor - place[:, 1]), -length, length)
            level = np.sqrt(np.maximum(length**2 - wanted**2, 0.0)) / np.maximum(np.hypot(bone[:, 0], bone[:, 2]), 1e-9)
            goal = np.stack([bone[:, 0] * level, wanted, bone[:, 2] * level], axis=-1)
            turned = rot.multiply(rot.between(bone, goal), turned)
        turns[:, joint] = rot.multiply(rot.inverse(above), turned)
        places[:, joint], world[:, joint] = place, turned
