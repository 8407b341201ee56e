"""One example to learn from: a clip of a creature on a varied rig as features, with all that may be said of it."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

from anyrig import creatures
from anyrig.augment import Augmentation, augment
from anyrig.corpus.splits import Selection, seed_of
from anyrig.creatures.captions import a, gerund, sentence, third
from anyrig.features import Features, RigCode, encode, rig_code
from anyrig.skeleton import Clip

FPS = 15.0
"""Frames a second of what is taught."""
LENGTHS = (24, 32, 40, 48, 56, 64)
"""Frames of an example: multiples of any model's patch, up to the longest window."""
SPARE = 16
"""Frames that a loop has more than its window, so that it can be cut anywhere."""
AUGMENTED = 0.75
"""The share of examples on a varied rig."""


@dataclass(frozen=True, eq=False)
class Example:
    """``features`` of a rig ``code``; ``window`` of its frames are to be taken, any where they loop, else all.

    ``captions``: short, mid, long, and what a hurried user would type.
    """

    features: Features
    code: RigCode
    captions: tuple[str, ...]
    kind: str
    action: str
    window: int


def make_example(selection: Selection, number: int, *, varied: bool = True) -> tuple[Example, Clip]:
    """Example ``number`` of the selection and the clip it is of; ``varied`` rigs have augmentation."""
    seed = seed_of("example", selection.split, selection.seed, number)
    rng = random.Random(seed)
    kind = rng.choice(selection.drawn_kinds())
    body = selection.body(kind, rng.randrange(selection.bodies))
    action = rng.choice(selection.actions(body))
    n = rng.choice(LENGTHS)
    done = creatures.perform(body, action, rng, seconds=(n - 1) / FPS, fps=FPS)
    clip = done.clip
    if varied and rng.random() < AUGMENTED:
        clip = augment(clip, np.random.default_rng(seed), Augmentation(axes=True))
    loops = done.loops and n - SPARE >= LENGTHS[0]
    return from_clip(clip, kind, body.noun, n - SPARE if loops else n, rng), clip


def from_clip(clip: Clip, kind: str, noun: str, window: int, rng: random.Random) -> Example:
    """The example of a clip that is at :data:`FPS` frames a second."""
    return Example(
        features=encode(clip),
        code=rig_code(clip.skeleton),
        captions=(*clip.captions, _hurried(noun, clip.action, rng)),
        kind=kind,
        action=clip.action,
        window=window,
    )


def _hurried(noun: str, action: str, rng: random.Random) -> str:
    verb = action.replace("_", " ")
    does, doing = third(verb), gerund(verb)
    forms = (verb, sentence(f"{a(noun)} {does}"), f"the {noun} {does}", f"{noun} {doing}", doing)
    return rng.choice(forms)
