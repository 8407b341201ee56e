"""Procedural creatures: bodies without number, and motions for them that keep their feet on the ground.

>>> import random
>>> rng = random.Random(0)
>>> dog = plan("quadruped", rng)
>>> walk = clip(dog, "walk", rng, seconds=2.0, fps=15.0)
>>> walk.n_frames, len(walk.captions)
(31, 3)
"""

from __future__ import annotations

import random

from anyrig.creatures import actions as _actions
from anyrig.creatures import builds as _builds
from anyrig.creatures.assemble import assemble as _assemble
from anyrig.creatures.perform import Performance, perform
from anyrig.creatures.plans import Plan
from anyrig.creatures.style import Style
from anyrig.skeleton import Clip, Skeleton

__all__ = ["Performance", "Plan", "Style", "actions", "clip", "kinds", "perform", "plan", "sample", "skeleton"]


def kinds() -> tuple[str, ...]:
    """The kinds of creatures there are."""
    return _builds.kinds()


def plan(kind: str, rng: random.Random) -> Plan:
    """A random body of ``kind``. Raises SettingsError for a kind that there is not."""
    return _builds.draw(kind, rng)


def skeleton(plan: Plan) -> Skeleton:
    """The joints of ``plan``, in its rest pose."""
    return _assemble(plan).skeleton


def actions(plan: Plan) -> tuple[str, ...]:
    """What a body can do."""
    return tuple(name for name in _actions.names() if _actions.able(name, plan))


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
