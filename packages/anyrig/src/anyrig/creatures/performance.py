"""Actions: the table of what creatures do, and how a clip is made of one.

An action is a function ``act(motion, rng) -> Telling`` that fills the motion and says what it did, and a row in
:data:`ACTIONS`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from anyrig import rotations as rot
from anyrig.creatures import aerial, aquatic, combat, gaits, serpentine, standing
from anyrig.creatures.body import Plan
from anyrig.creatures.captions import Telling, captions
from anyrig.creatures.motion import Mask, Motion, Style, draw_style
from anyrig.creatures.rig import Rig, assemble
from anyrig.errors import SettingsError
from anyrig.rotations import Array
from anyrig.skeleton import Clip

Act = Callable[[Motion, random.Random], Telling]


@dataclass(frozen=True)
class Action:
    """How bodies with legs do it, fish, and serpents; None where they do not. ``able`` says which of the first can."""

    legged: Act | None = None
    able: Callable[[Plan], bool] = lambda plan: True
    fish: Act | None = None
    serpent: Act | None = None

    def of(self, plan: Plan) -> Act | None:
        """How the body ``plan`` does it; None where it cannot."""
        if plan.legs:
            return self.legged if self.able(plan) else None
        return self.fish if plan.kind == "fish" else self.serpent


def _flies(plan: Plan) -> bool:
    return plan.wings is not None


def _glides(plan: Plan) -> bool:
    return plan.kind in ("bird", "dragon")


ACTIONS = {
    "attack": Action(combat.attack, fish=aquatic.snap, serpent=serpentine.strike),
    "breathe_fire": Action(combat.breathe_fire, lambda plan: plan.kind == "dragon" and plan.head.jaw),
    "crouch": Action(standing.crouch),
    "dash": Action(fish=aquatic.dash, serpent=serpentine.dash),
    "death": Action(combat.death, fish=aquatic.death, serpent=serpentine.death),
    "dive": Action(aerial.dive, _glides, fish=aquatic.dive),
    "eat": Action(standing.eat, fish=aquatic.nibble, serpent=serpentine.swallow),
    "fly": Action(aerial.fly, _flies),
    "glide": Action(aerial.glide, _glides),
    "hit": Action(combat.hit),
    "hover": Action(aerial.hover, _flies),
    "idle": Action(standing.idle, fish=aquatic.hover, serpent=serpentine.idle),
    "jump": Action(standing.jump, fish=aquatic.breach),
    "land": Action(aerial.land, _flies),
    "look_around": Action(standing.look_around, fish=aquatic.look_around, serpent=serpentine.look_around),
    "rise": Action(fish=aquatic.rise),
    "roar": Action(combat.roar, lambda plan: plan.head.jaw),
    "run": Action(gaits.run),
    "sidestep": Action(gaits.sidestep, lambda plan: plan.n_legs in (2, 6, 8) and plan.kind != "bird"),
    "slither": Action(serpent=serpentine.slither),
    "sneak": Action(gaits.sneak, lambda plan: plan.n_legs <= 4 and not plan.habits & {"columnar", "sprawls"}),
    "swim": Action(
        aquatic.paddle,
        lambda plan: plan.kind in ("quadruped", "bird"),
        fish=aquatic.swim,
        serpent=aquatic.swim,
    ),
    "take_off": Action(aerial.take_off, _flies),
    "trot": Action(gaits.trot, lambda plan: plan.n_legs <= 4),
    "turn_left": Action(
        partial(gaits.turn, side=1), fish=partial(aquatic.turn, side=1), serpent=partial(serpentine.turn, side=1)
    ),
    "turn_right": Action(
        partial(gaits.turn, side=-1), fish=partial(aquatic.turn, side=-1), serpent=partial(serpentine.turn, side=-1)
    ),
    "walk": Action(gaits.walk),
    "walk_backward": Action(gaits.walk_backward),
}


def actions(plan: Plan) -> tuple[str, ...]:
    """What a body can do, in alphabetical order."""
    return tuple(name for name in sorted(ACTIONS) if ACTIONS[name].of(plan))


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
    contacts: Mask
    loops: bool
    speed: float


def perform(
    plan: Plan, action: str, rng: random.Random, seconds: float = 2.0, fps: float = 15.0, manner: Style | None = None
) -> Performance:
    """``plan`` doing ``action`` for ``seconds`` at ``fps`` frames a second, in a manner drawn from ``rng`` or given.

    There are ``round(seconds * fps) + 1`` frames, the first and the last included. Raises SettingsError for an action
    that this body cannot do, and for times that are not positive.
    """
    act = ACTIONS[action].of(plan) if action in ACTIONS else None
    if act is None:
        able = ", ".join(actions(plan))
        raise SettingsError(f'a {plan.kind} such as this cannot "{action}"; it can: {able}')
    if not 0 < seconds < 1e4 or not 0 < fps < 1e4:
        raise SettingsError(f"seconds and fps are positive numbers below 10000, not {seconds} and {fps}")
    rig = assemble(plan)
    n = max(2, round(seconds * fps) + 1)
    motion = Motion(rig, manner or draw_style(rng), np.arange(n) / fps, fps)
    telling = act(motion, rng)
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
