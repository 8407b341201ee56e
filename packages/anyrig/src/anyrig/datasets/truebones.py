"""Truebones Zoo, for those who own it: motion from their own disk, joined with captions that others published.

The motion may not be passed on, so nothing of it is here and nothing is downloaded. What is read is a folder with one
folder a creature in it (``Dragon/__Walk.bvh``), as it is sold, in BVH or GLB; FBX has to be converted first. The
captions published with "How to Move Your Dragon" are one JSON file a clip with several wordings at each level; any
JSON, JSONL or CSV file with clip names and short, mid and long texts will do.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from anyrig import io
from anyrig.datasets._captions import CaptionIndex, Captions, Record, read_captions
from anyrig.datasets._repair import settled
from anyrig.errors import AnyrigError, FileError, FileWarning
from anyrig.io import Asset
from anyrig.skeleton import Clip

__all__ = ["CaptionIndex", "Captions", "Record", "action_of", "load", "read_captions"]

_MOTION = (".bvh", ".glb", ".gltf")
_T_POSE = re.compile(r"t[-_ ]?pos(e|ition)?$", re.IGNORECASE)
_ACTIONS = {
    "attack": "attack bite claw hit kick butt strike swipe sting stomp punch pounce spit fire lunge chomp ram gore",
    "death": "death die dead dying",
    "fly": "fly flying flap hover fligt flight",
    "glide": "glide gliding soar",
    "idle": "idle stand standing breathe rest wait",
    "jump": "jump leap hop",
    "land": "land landing",
    "run": "run running gallop sprint charge",
    "swim": "swim swimming",
    "trot": "trot canter",
    "turn": "turn turning",
    "walk": "walk walking stalk",
}
"""Action -> words in clip names that stand for it, whole or as the beginning of one."""


def load(
    path: str | os.PathLike[str],
    captions: str | os.PathLike[str] | None = None,
    *,
    unit: str = "cm",
    up: str = "y",
) -> dict[str, Asset]:
    """Creature -> its asset, from the owner's folder ``path`` of motion files.

    ``captions`` is a file or folder of captions; a clip gets the original short, mid and long one (all wordings:
    :class:`CaptionIndex`). Clips are called after their files, and ``action`` is what their name says. ``unit`` and
    ``up`` are those of the files' numbers. A file ending in ``Tpose`` gives its creature's rest pose. Files of one
    creature that have other joints make an asset of their own, called after the creature with a number.

    Files that cannot be read, and clips without captions, are reported as a FileWarning. Raises FileError where nothing
    can be read at all.
    """
    root = Path(path)
    index = CaptionIndex(read_captions(Path(captions))) if captions is not None else None
    assets: dict[str, Asset] = {}
    silent: list[str] = []
    for creature, files in _by_creature(root).items():
        rigs = _grouped(_clips(files, unit, up))
        for n, clips in enumerate(rigs, 1):
            named = [_captioned(clip, creature, index, silent) for clip in _rested(clips)]
            assets[creature if n == 1 else f"{creature} {n}"] = Asset(named[0].skeleton, tuple(named))
    if not assets:
        raise FileError(f"none of the motion files in {root} can be read")
    if silent:
        n_clips = sum(len(asset.clips) for asset in assets.values())
        message = f"{len(silent)} of {n_clips} clips have no captions, {silent[0]} for one"
        warnings.warn(message, FileWarning, stacklevel=2)
    return assets


def _by_creature(root: Path) -> dict[str, list[Path]]:
    """The motion files in each folder right below ``root``; those in ``root`` itself go by its name."""
    if not root.is_dir():
        raise FileError(f"{root} is not a folder")
    found: dict[str, list[Path]] = {}
    for file in sorted(root.rglob("*")):
        if file.suffix.lower() in _MOTION and not file.name.startswith("."):
            parts = file.relative_to(root).parts
            found.setdefault(parts[0] if len(parts) > 1 else root.name, []).append(file)
    if not found:
        fbx = next(root.rglob("*.[fF][bB][xX]"), None)
        hint = "; FBX cannot be read, convert it to BVH or GLB first" if fbx else ""
        raise FileError(f"{root} holds no {', '.join(_MOTION)} file{hint}")
    return found


def _clips(files: list[Path], unit: str, up: str) -> Iterable[Clip]:
    for file in files:
        try:
            asset = io.load(file, up=up, unit=unit)
        except AnyrigError as error:
            warnings.warn(f"left out: {error}", FileWarning, stacklevel=4)
            continue
        for clip in asset.clips:
            yield replace(clip, name=file.stem if len(asset.clips) == 1 else f"{file.stem} {clip.name}")


def _grouped(clips: Iterable[Clip]) -> list[list[Clip]]:
    """The clips by skeleton, those of the most common one first."""
    groups: dict[tuple[tuple[str, ...], tuple[int, ...]], list[Clip]] = {}
    for clip in clips:
        groups.setdefault((clip.skeleton.names, clip.skeleton.parents), []).append(clip)
    return sorted(groups.values(), key=len, reverse=True)


def _rested(clips: list[Clip]) -> list[Clip]:
    """The clips on one skeleton: the T-pose's where there is one, else the first clip's. Their motion stays."""
    poses = [c for c in clips if _T_POSE.search(c.name)]
    others = [c for c in clips if c not in poses] or clips
    skeleton = clips[0].skeleton
    if poses:
        skeleton = replace(skeleton, offsets=poses[0].translations[0], rest=poses[0].rotations[0])
    return settled([replace(c, skeleton=skeleton) for c in others])


def _captioned(clip: Clip, creature: str, index: CaptionIndex | None, silent: list[str]) -> Clip:
    clip = replace(clip, action=action_of(clip.name, creature))
    found = index.get(creature, clip.name) if index is not None else None
    if found is None:
        if index is not None:
            silent.append(f"{creature}/{clip.name}")
        return clip
    return replace(clip, captions=found.first)


def action_of(clip: str, creature: str = "") -> str:
    """The action that a clip's file name tells of, or its words where they tell of none that is known.

    >>> action_of("AlligatorALL-Bite1", "Alligator"), action_of("__FlyFast"), action_of("__BigMouth")
    ('attack', 'fly', 'big mouth')
    """
    name = re.sub(rf"^{re.escape(creature)}(ALL)?(?![a-z])", "", clip) if creature else clip
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
    for word in (w.lower() for w in words):
        for action, known in _ACTIONS.items():
            if any(word == k or (len(k) > 3 and word.startswith(k)) for k in known.split()):
                return action
    return " ".join(words).lower() or "move"
