"""The animated creatures of Quaternius (CC0), from GLB files on the user's disk.

Known faults of the files and their repairs (see :class:`Repairs`):

- Feet and mouths hang on the world or on an empty root, because inverse kinematics moved them. They are hung on the
  bone that carries them; knee targets and control bones without vertices are dropped.
- The nodes rest in the middle of some clip. The rest pose becomes that in which the mesh was bound.
- Translations of feet and shoulders are animated. Joints are made rigid, and legs bent so that feet keep their
  positions.
- Gaits are on the spot. They are moved over the ground so that standing feet do not slide.
- Some creatures face along x. All are turned to face along z.
- Clips are named after other creatures, or twice. The last part of the name gives the action.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anyrig import conform
from anyrig import rotations as rot
from anyrig.conform import extent, parents_first, rehung, settled, tree
from anyrig.errors import FileError
from anyrig.io import Asset, read_glb
from anyrig.rotations import Array
from anyrig.skeleton import Clip, Skeleton

_LOW = 0.25
"""A rehung joint at most this share of the root's height above the ground at rest is a foot."""
_STEADY = ("walk", "run", "gallop")
_UNSTEADY = ("gallop_jump", "jump_toidle")
ON_GROUND = 0.15
"""A foot stands while its height above its lowest position is at most this share of its largest height in the clip."""
_SMOOTH_S = 0.08
# file -> (noun, stance)
CREATURES = {
    "Alpaca": ("alpaca", "four legs"),
    "Apatosaurus": ("apatosaurus", "four legs"),
    "Bee": ("bee", "air"),
    "Bull": ("bull", "four legs"),
    "Cow": ("cow", "four legs"),
    "Crab": ("crab", "ground"),
    "Deer": ("deer", "four legs"),
    "Dolphin": ("dolphin", "water"),
    "Donkey": ("donkey", "four legs"),
    "Fish1": ("fish", "water"),
    "Fish2": ("fish", "water"),
    "Fox": ("fox", "four legs"),
    "Frog": ("frog", "crouch"),
    "Horse": ("horse", "four legs"),
    "Husky": ("husky", "four legs"),
    "Manta_ray": ("manta ray", "water"),
    "Parasaurolophus": ("parasaurolophus", "two legs"),
    "Rat": ("rat", "four legs"),
    "ShibaInu": ("Shiba Inu", "four legs"),
    "Snake": ("snake", "coil"),
    "Stag": ("stag", "four legs"),
    "Stegosaurus": ("stegosaurus", "four legs"),
    "Triceratops": ("triceratops", "four legs"),
    "Wasp": ("wasp", "air"),
    "Whale": ("whale", "water"),
}

_STANCES = {
    "four legs": "Standing on four legs",
    "two legs": "Standing on its hind legs",
    "crouch": "Crouching on bent legs",
    "coil": "With its head raised above the ground",
    "ground": "Sitting on the ground",
    "air": "Hovering in the air",
    "water": "Floating in the water",
    "": "From its resting pose",
}

# clip -> (action, a verb phrase, a sentence on the parts of the body)
ACTIONS = {
    "attack": ("attack", "attacks", "It lunges forward with its head and body and draws back."),
    "attack_headbutt": ("attack", "attacks with its head", "It lowers its head, thrusts it forward and draws back."),
    "attack_kick": ("attack", "kicks with its hind legs", "It leans forward and its hind legs lash out to the rear."),
    "bite_front": ("attack", "bites at something in front of it", "Its body jerks forward and its mouth snaps."),
    "bite_inplace": ("attack", "bites on the spot", "Its mouth opens and snaps while its body stays in place."),
    "dance": ("dance", "dances", "Its body bobs and sways in a rhythm."),
    "death": ("death", "dies", "It loses its hold, sinks to the ground and lies still."),
    "eating": ("eat", "eats from the ground", "Its neck bends down and its head moves close to the ground."),
    "flying": ("fly", "flies on the spot", "Its wings beat and its body rises and falls a little."),
    "gallop": ("gallop", "gallops", "Fore and hind legs swing in turn while its back bends and stretches."),
    "gallop_jump": ("jump", "jumps at a gallop", "Its hind legs push off, its legs fold, and it lands running."),
    "hitrecieve": ("hit", "is hit", "Its body jolts back and recovers."),
    "idle": ("idle", "stands idle", "Its body rises and falls slowly as it breathes."),
    "idle_2": ("idle", "stands idle and looks around", "Its head turns while its feet stay in place."),
    "idle_2_headlow": ("idle", "stands idle with a low head", "Its head hangs low while its feet stay in place."),
    "idle_headlow": ("idle", "stands idle with a low head", "Its head hangs low while its feet stay in place."),
    "idle_hitreact_left": ("hit", "is hit on its left side", "Its body jolts away from its left and recovers."),
    "idle_hitreact_right": ("hit", "is hit on its right side", "Its body jolts away from its right and recovers."),
    "jump": ("jump", "jumps", "Its body sinks, its legs push off the ground, and it lands again."),
    "jump_toidle": ("jump", "jumps and comes to a halt", "It leaps off its hind legs, lands, slows down and stands."),
    "no": ("shake", "shakes its head", "Its head turns from side to side."),
    "run": ("run", "runs", "Its legs swing fast and far while its body bobs."),
    "swim": ("swim", "swims", "A wave runs along its body and its tail beats."),
    "walk": ("walk", "walks", "It moves forward at an even pace, one step after another."),
    "yes": ("nod", "nods", "Its head tips up and down."),
}


@dataclass(frozen=True, slots=True)
class Repairs:
    """The repairs: ``rig`` (one tree, rest pose, facing), ``rigid`` (translations), ``travel`` (over the ground)."""

    rig: bool = True
    rigid: bool = True
    travel: bool = True


def load(path: str | os.PathLike[str], repairs: Repairs | None = None) -> dict[str, Asset]:
    """Creature -> its asset, from one glTF file or from all in a folder and below, by name.

    Files of one name in several folders get the shortest part of their path that is unique (``farm/Horse``). A clip's
    name is its action (``walk``, ``attack_kick``), ``action`` the general one (``attack``), and its three captions are
    made from the clip's name. Raises FileError where there is no such file, or one that cannot be read.
    """
    path = Path(path)
    files = sorted(f for f in path.rglob("*") if f.suffix.lower() in (".glb", ".gltf")) if path.is_dir() else [path]
    if not files:
        raise FileError(f"{path} holds no GLB or glTF file")
    return {name: read_creature(file, repairs) for name, file in _named(files).items()}


def _named(files: Sequence[Path]) -> dict[str, Path]:
    """The files by stem, with as many folders before it as make it unique, or with the suffix."""
    named: dict[str, Path] = {}
    for file in files:
        parts = file.with_suffix("").parts
        for n in range(1, len(parts) + 1):
            alike = [f for f in files if f.with_suffix("").parts[-n:] == parts[-n:]]
            if len(alike) == 1 or all(f.with_suffix("") == file.with_suffix("") for f in alike):
                break
        name = "/".join(parts[-n:])
        named[name if len(alike) == 1 else f"{name}{file.suffix}"] = file
    return named


def read_creature(path: str | os.PathLike[str], repairs: Repairs | None = None) -> Asset:
    """One file's creature (see :func:`load`). A repaired rig has no source document, since its joints differ."""
    repairs = repairs or Repairs()
    asset = read_glb(path)
    if not asset.clips:
        raise FileError(f"{path} has no animation")
    if repairs.rig:
        asset, feet = _repaired(asset, repairs)
    else:
        feet = []
    stem = Path(path).stem
    clips: list[Clip] = []
    for clip in asset.clips:
        name = action_name(clip.name)
        if repairs.rig and repairs.travel and name in _STEADY + _UNSTEADY:
            clip = with_travel(clip, feet, steady=name in _STEADY)
        action, captions = describe(stem, name)
        twice = sum(c.name.partition(" ")[0] == name for c in clips)
        name = f"{name} {twice + 1}" if twice else name
        clips.append(replace(clip, name=name, action=action, captions=captions))
    return replace(asset, clips=tuple(clips))


def _repaired(asset: Asset, repairs: Repairs) -> tuple[Asset, list[int]]:
    """The asset with one tree of joints, and its feet."""
    whole = asset.skeleton
    kept, parents = tree(whole)
    order = parents_first(kept, parents)
    limbs = [order.index(j) for j, k in zip(kept, parents, strict=True) if k >= 0 and k != whole.parents[j]]
    clips = settled([rehung(c, kept, parents) for c in asset.clips])
    turn = _to_front(clips[0].skeleton)
    clips = [conform.turned(c, turn) for c in clips]
    if repairs.rigid:
        clips = [rigid(c, limbs) for c in clips]
    skeleton = clips[0].skeleton
    clips = [replace(c, skeleton=skeleton) for c in clips]
    return Asset(skeleton, tuple(clips)), _feet(skeleton, limbs)


def _feet(skeleton: Skeleton, limbs: Sequence[int]) -> list[int]:
    """The lowest joint at or below each of ``limbs`` that is on the ground at rest, at the end of a leg of two
    bones."""
    height = skeleton.rest_positions()[:, 1]
    ground, root = float(height.min()), skeleton.main_root
    feet = []
    for limb in limbs:
        if skeleton.depths[limb] < 3:
            continue
        below = [j for j in range(skeleton.n_joints) if limb in skeleton.path(j)]
        lowest = min(below, key=lambda j: height[j])
        if height[lowest] - ground < _LOW * (height[root] - ground):
            feet.append(lowest)
    return feet


def _to_front(skeleton: Skeleton) -> Array:
    """The rotation by quarter turns about the vertical after which the head is towards z from the root."""
    heads = [j for j, name in enumerate(skeleton.names) if name.lower() == "head"]
    if not heads:
        return rot.identity()
    positions = skeleton.rest_positions()
    x, _, z = positions[heads[0]] - positions[skeleton.main_root]
    if np.hypot(x, z) < 0.05 * extent(skeleton):
        return rot.identity()
    quarters = round(float(np.arctan2(x, z)) / (np.pi / 2))
    return rot.about("y", -quarters * np.pi / 2)


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
        path = np.arange(clip.n_frames)[:, None] / clip.fps * _steady_velocity(clip, feet)
    else:
        frames = np.arange(clip.n_frames)
        filled = np.stack([np.interp(frames, frames[seen], velocity[seen, k]) for k in range(2)], axis=-1)
        smooth = _smoothed(filled, _SMOOTH_S * clip.fps)
        steps = 0.5 * (smooth[1:] + smooth[:-1]) / clip.fps
        path = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])
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


def _steady_velocity(clip: Clip, feet: Sequence[int]) -> Array:
    """The negative mean over feet of each one's median velocity while it stands, (2,).

    The median, because feet already move in the low frames around touchdown and lift-off.
    """
    speed, standing = _foot_speeds(clip, feet)
    each = [np.median(speed[standing[:, k], k], axis=0) for k in range(len(feet)) if standing[:, k].any()]
    return np.asarray(-np.mean(each, axis=0))


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


def action_name(clip_name: str) -> str:
    """A clip's action: the longest end of its name that is in :data:`ACTIONS`, else the whole name, in lower case.

    >>> action_name("AnimalArmature|Attack_Kick"), action_name("Armature|Stegosaurus_Death"), action_name("Swim.001")
    ('attack_kick', 'death', 'swim')
    """
    name = re.sub(r"\.\d+$", "", clip_name.rsplit("|", 1)[-1]).lower()
    parts = name.split("_")
    ends = ("_".join(parts[n:]) for n in range(len(parts)))
    return next((end for end in ends if end in ACTIONS), name)


def describe(creature: str, name: str) -> tuple[str, tuple[str, str, str]]:
    """The action and the short, mid and long caption of a clip, by its creature's file and :func:`action_name`."""
    noun, stance = CREATURES.get(creature, (re.sub(r"[_\d]+", " ", creature).strip().lower() or "creature", ""))
    words = name.replace("_", " ")
    action, verb, parts = ACTIONS.get(name, (words, f"shows {words}", f"It moves as in {words}."))
    article = "an" if noun[0].lower() in "aeiou" else "a"
    short = f"{article.capitalize()} {noun} {verb}."
    return action, (short, parts, f"{_STANCES[stance]}, {article} {noun} {verb}. {parts}")
