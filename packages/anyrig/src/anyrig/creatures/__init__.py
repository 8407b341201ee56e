"""Procedural creatures: random bodies, and captioned motions for them whose feet stay where they stand.

>>> import random
>>> rng = random.Random(0)
>>> dog = plan("quadruped", rng)
>>> walk = clip(dog, "walk", rng, seconds=2.0, fps=15.0)
>>> walk.n_frames, len(walk.captions)
(31, 3)

Each file imports only from those above it::

    names.py       joint names in the styles of common tools
    body.py        body plans: trunk, legs, head, arms, wings, fins, tail, rest pose
    kinds.py       known animals as ranges of numbers; a function a kind, and the table KINDS
    ik.py          inverse kinematics of hinged chains
    rig.py         a plan made into joints: the natural pose, limbs, and the skeleton with its rest pose
    motion.py      curves of time, styles, and the motion that an action fills: turning joints, planting feet
    captions.py    captions at three levels of detail, and the small grammar for them
    standing.py    posture; idling, looking around, eating, crouching, jumping
    gaits.py       gaits and footfalls; walking, trotting, running, sneaking, sidesteps, turns
    combat.py      strikes, roars, fire, hits and death of whatever has legs
    aerial.py      flying, gliding, hovering, dives, take-offs and landings
    aquatic.py     what fish do, and paddling
    serpentine.py  what serpents do
    performance.py the table ACTIONS, and how a clip is made of one

A new action is a function in the file of its kind and a row in ``performance.ACTIONS``; a new kind is a function and a
row in ``kinds.KINDS``; a new animal is a row in the table of its kind.
"""

from __future__ import annotations

import random

from anyrig.creatures.body import Plan
from anyrig.creatures.kinds import KINDS
from anyrig.creatures.kinds import draw as plan
from anyrig.creatures.motion import Style
from anyrig.creatures.performance import Performance, actions, perform
from anyrig.creatures.rig import assemble
from anyrig.skeleton import Clip, Skeleton

__all__ = ["Performance", "Plan", "Style", "actions", "clip", "kinds", "perform", "plan", "sample", "skeleton"]


def kinds() -> tuple[str, ...]:
    """The kinds of creatures there are."""
    return tuple(sorted(KINDS))


def skeleton(plan: Plan) -> Skeleton:
    """The joints of ``plan``, in its rest pose."""
    return assemble(plan).skeleton


def clip(plan: Plan, action: str, rng: random.Random, seconds: float = 2.0, fps: float = 15.0) -> Clip:
    """``plan`` doing ``action``, with a short, a mid and a long caption. The same arguments give the same clip.

    Raises SettingsError for an action that this body cannot do.
    """
    return perform(plan, action, rng, seconds, fps).clip


def sample(seed: int, seconds: float = 2.0, fps: float = 15.0) -> Clip:
    """One clip of a random creature doing something it can; ``seed`` decides all."""
    rng = random.Random(seed)
    body = plan(rng.choice(kinds()), rng)
    return clip(body, rng.choice(actions(body)), rng, seconds, fps)
