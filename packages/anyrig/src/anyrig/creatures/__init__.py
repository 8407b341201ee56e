"""Procedural creatures: random bodies, and captioned motions for them whose feet stay where they stand.

>>> import random
>>> rng = random.Random(0)
>>> dog = plan("quadruped", rng)
>>> walk = clip(dog, "walk", rng, seconds=2.0, fps=15.0)
>>> walk.n_frames, len(walk.captions)
(31, 3)

Each file imports only from those above it::

    body.py        body plans: trunk, legs, head, arms, wings, fins, tail, rest pose; joint names
    kinds.py       known animals as ranges of numbers; a function a kind, and the table KINDS
    rig.py         a plan made into joints: the natural pose, limbs, the skeleton with its rest pose; leg kinematics
    motion.py      curves of time, styles, and the motion that an action fills: turning joints, planting feet
    captions.py    captions at three levels of detail, and their grammar
    standing.py    posture; idling, looking around, eating, crouching, jumping
    gaits.py       gaits and footfalls; walking, trotting, running, sneaking, sidesteps, turns
    combat.py      strikes, roars, fire, hits and death of creatures with legs
    aerial.py      flying, gliding, hovering, dives, take-offs and landings
    aquatic.py     the actions of fish, and paddling
    serpentine.py  the actions of serpents
    __init__.py    the table ACTIONS, and how a clip is made of an action

An action is a function ``act(motion, rng) -> Telling`` that fills the motion and describes it, and a row in
:data:`ACTIONS`. A new kind is a function and a row in ``kinds.KINDS``; a new animal is a row in the table of its kind.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from anyrig import rotations as rot
from anyrig.creatures import aerial, aquatic, combat, gaits, serpentine, standing
from anyrig.creatures.body import BodyPlan
from anyrig.creatures.captions import Telling, captions
from anyrig.creatures.kinds import KINDS
from anyrig.creatures.kinds import draw as plan
from anyrig.creatures.motion import Mask, Motion, Style, draw_style
from anyrig.creatures.rig import Rig, assemble
from anyrig.errors import SettingsError
from anyrig.skeleton import Clip, Skeleton

Act = Callable[[Motion, random.Random], Telling]


@dataclass(frozen=True)
class Action:
    """An action of the bodies that are ``able``, made by ``act``; ``adverbs`` are the kinds that fit its captions."""

    name: str
    act: Act
    able: Callable[[BodyPlan], bool]
    adverbs: str = "pace, mood"


def _legged(plan: BodyPlan) -> bool:
    return bool(plan.legs)


def _few_legs(plan: BodyPlan) -> bool:
    return 0 < plan.n_legs <= 4


def _winged(plan: BodyPlan) -> bool:
    return plan.wings is not None and plan.kind != "fish"


def _kind(*kinds: str) -> Callable[[BodyPlan], bool]:
    return lambda plan: plan.kind in kinds


ACTIONS = (
    Action("idle", standing.idle, _legged, "mood"),
    Action("idle", aquatic.hover, _kind("fish"), "mood"),
    Action("idle", serpentine.idle, _kind("serpent"), "mood"),
    Action("look_around", standing.look_around, _legged, "mood"),
    Action("look_around", aquatic.look_around, _kind("fish"), "mood"),
    Action("look_around", serpentine.look_around, _kind("serpent"), "mood"),
    Action("eat", standing.eat, _legged, "mood"),
    Action("eat", aquatic.nibble, _kind("fish"), "mood"),
    Action("eat", serpentine.swallow, _kind("serpent"), "mood"),
    Action("crouch", standing.crouch, _legged, "mood"),
    Action("jump", standing.jump, _legged, "mood"),
    Action("jump", aquatic.breach, _kind("fish"), "mood"),
    Action("walk", gaits.walk, _legged),
    Action("trot", gaits.trot, _few_legs),
    Action("run", gaits.run, _legged),
    Action("sneak", gaits.sneak, lambda plan: _few_legs(plan) and not plan.habits & {"columnar", "sprawls"}, ""),
    Action("sidestep", gaits.sidestep, lambda plan: plan.n_legs in (2, 6, 8) and plan.kind != "bird"),
    Action("walk_backward", gaits.walk_backward, _legged),
    Action("turn_left", partial(gaits.turn, side=1), _legged),
    Action("turn_left", partial(aquatic.turn, side=1), _kind("fish")),
    Action("turn_left", partial(serpentine.turn, side=1), _kind("serpent")),
    Action("turn_right", partial(gaits.turn, side=-1), _legged),
    Action("turn_right", partial(aquatic.turn, side=-1), _kind("fish")),
    Action("turn_right", partial(serpentine.turn, side=-1), _kind("serpent")),
    Action("slither", serpentine.slither, _kind("serpent")),
    Action("swim", aquatic.swim, _kind("fish", "serpent")),
    Action("swim", aquatic.paddle, _kind("quadruped", "bird")),
    Action("dash", aquatic.dash, _kind("fish"), "mood"),
    Action("dash", serpentine.dash, _kind("serpent"), "mood"),
    Action("rise", partial(aquatic.slope, sign=1), _kind("fish")),
    Action("dive", partial(aquatic.slope, sign=-1), _kind("fish")),
    Action("dive", aerial.dive, _kind("bird", "dragon"), ""),
    Action("fly", aerial.fly, _winged, "pace"),
    Action("glide", aerial.glide, _kind("bird", "dragon"), "mood"),
    Action("hover", aerial.hover, _winged, ""),
    Action("take_off", aerial.take_off, _winged, "mood"),
    Action("land", aerial.land, _winged, "mood"),
    Action("attack", combat.attack, _legged, "mood"),
    Action("attack", aquatic.snap, _kind("fish"), "mood"),
    Action("attack", serpentine.strike, _kind("serpent"), "mood"),
    Action("roar", combat.roar, lambda plan: _legged(plan) and plan.head.jaw, "mood"),
    Action("breathe_fire", combat.breathe_fire, lambda plan: plan.kind == "dragon" and plan.head.jaw, "mood"),
    Action("hit", combat.hit, _legged, ""),
    Action("death", combat.death, _legged, ""),
    Action("death", aquatic.death, _kind("fish"), ""),
    Action("death", serpentine.death, _kind("serpent"), ""),
)


def actions(plan: BodyPlan) -> tuple[str, ...]:
    """The actions of a body, in alphabetical order."""
    return tuple(sorted(action.name for action in ACTIONS if action.able(plan)))


@dataclass(frozen=True, eq=False)
class Performance:
    """A clip with the data of its motion.

    ``contacts`` (T, L) marks the joints of ``feet`` (L,) that stand still on the ground. ``loops``: the last frame has
    the pose of the first one, moved by the travel. ``speed`` is that of the travel in m/s.
    """

    clip: Clip
    rig: Rig
    style: Style
    feet: tuple[int, ...]
    contacts: Mask
    loops: bool
    speed: float


def perform(
    plan: BodyPlan,
    action: str,
    rng: random.Random,
    seconds: float = 2.0,
    fps: float = 15.0,
    manner: Style | None = None,
) -> Performance:
    """``plan`` doing ``action`` for ``seconds`` at ``fps`` frames a second, in a manner drawn from ``rng`` or given.

    There are ``round(seconds * fps) + 1`` frames, the first and the last included. Raises SettingsError for an action
    that this body cannot do, and for times that are not positive.
    """
    row = next((row for row in ACTIONS if row.name == action and row.able(plan)), None)
    if row is None:
        able = ", ".join(actions(plan))
        raise SettingsError(f'a {plan.kind} such as this cannot "{action}"; it can: {able}')
    if not 0 < seconds < 1e4 or not 0 < fps < 1e4:
        raise SettingsError(f"seconds and fps are positive numbers below 10000, not {seconds} and {fps}")
    rig = assemble(plan)
    n = max(2, round(seconds * fps) + 1)
    motion = Motion(rig, manner or draw_style(rng), np.arange(n) / fps, fps)
    telling = row.act(motion, rng)
    turns, origin, contacts = motion.local()
    # N_parent^-1 d N for each joint, without jumps of sign.
    above = rig.skeleton.of_parents(rig.frames, rot.IDENTITY)
    rotations = rot.continuous(rot.multiply(rot.multiply(rot.inverse(above), turns), rig.frames))
    translations = np.tile(rig.skeleton.offsets, (n, 1, 1))
    translations[:, 0] = origin
    clip = Clip(
        skeleton=rig.skeleton,
        rotations=rotations,
        translations=translations,
        fps=fps,
        name=f"{plan.noun.replace(' ', '_')}_{action}",
        captions=captions(plan, telling, motion.style, rng, row.adverbs),
        action=action,
    )
    feet = tuple(leg.contact for leg in rig.legs)
    return Performance(clip, rig, motion.style, feet, contacts, motion.cyclic, motion.speed)


__all__ = ["BodyPlan", "Performance", "Style", "actions", "clip", "kinds", "perform", "plan", "sample", "skeleton"]


def kinds() -> tuple[str, ...]:
    """All kinds of creatures."""
    return tuple(sorted(KINDS))


def skeleton(plan: BodyPlan) -> Skeleton:
    """The joints of ``plan``, in its rest pose."""
    return assemble(plan).skeleton


def clip(plan: BodyPlan, action: str, rng: random.Random, seconds: float = 2.0, fps: float = 15.0) -> Clip:
    """``plan`` doing ``action``, with a short, mid and long caption. The same arguments give the same clip.

    Raises SettingsError for an action that this body cannot do.
    """
    return perform(plan, action, rng, seconds, fps).clip


def sample(seed: int, seconds: float = 2.0, fps: float = 15.0) -> Clip:
    """A clip of a random action of a random creature, the same for the same ``seed``."""
    rng = random.Random(seed)
    body = plan(rng.choice(kinds()), rng)
    return clip(body, rng.choice(actions(body)), rng, seconds, fps)
