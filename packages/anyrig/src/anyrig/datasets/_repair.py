"""Motion made rigid, and rest poses that agree with the motion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from anyrig import rotations as rot
from anyrig.conform import extent
from anyrig.skeleton import Clip

Array = NDArray[np.float64]


def rigid(clip: Clip, reach: Sequence[int] = ()) -> Clip:
    """The clip with every joint but the root at its offset, as formats and models that know rotations only need it.

    What that moves is mended where it shows most: the joints ``reach``, feet for example, are brought back to where
    they were by bending the two bones above them, as far as those reach, and keep their world rotation.
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

    FABRIK (Aristidou and Lasenby, Graphical Models 2011) on the three points; it stays near the bend that there is.
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
