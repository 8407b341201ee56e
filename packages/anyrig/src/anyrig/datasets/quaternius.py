"""The animated creatures of Quaternius (CC0), from GLB files that their owner has on disk.

What their files are known to have, and what is made of it (each can be switched off):

- Feet and mouths hang on the world or on an empty root, because inverse kinematics moved them: hung on the bone they go
  along with. Knee targets and control bones that carry no vertex are dropped.
- The nodes rest in the middle of some clip: the pose in which the mesh was bound is taken for rest.
- Translations of feet and shoulders are animated: made rigid, with the legs bent so that the feet stay where they were.
- Gaits go on the spot: moved over the ground so that standing feet stand.
- Some face along x: all are turned to face along z.
- Clips are named after other creatures, or twice: actions are told by the last part of the name.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anyrig import conform
from anyrig import rotations as rot
from anyrig.carriers import parents_first, rehung, tree
from anyrig.datasets._quaternius_words import action_name, describe
from anyrig.datasets._repair import rigid, settled
from anyrig.datasets._travel import with_travel
from anyrig.errors import FileError
from anyrig.io import Asset, read_glb
from anyrig.skeleton import Clip, Skeleton

Array = NDArray[np.float64]

_LOW = 0.25
"""A hung joint no higher at rest than this share of the root's height is a foot."""
_STEADY = ("walk", "run", "gallop")
_UNSTEADY = ("gallop_jump", "jump_toidle")


@dataclass(frozen=True, slots=True)
class Repairs:
    """What is put right: ``rig`` one tree, rest pose and facing; ``rigid`` translations; ``travel`` over the ground."""

    rig: bool = True
    rigid: bool = True
    travel: bool = True


def load(path: str | os.PathLike[str], repairs: Repairs | None = None) -> dict[str, Asset]:
    """Creature -> its asset, from one glTF file or from all in a folder and below, by name.

    Files of one name in several folders are told apart by the shortest part of their path that does (``farm/Horse``).
    Clips are called after their action (``walk``, ``attack_kick``), have it in ``action`` in general (``attack``), and
    three captions that say what the name of the clip says, not what an eye has seen. Raises FileError where there is no
    such file, or one that cannot be read.
    """
    path = Path(path)
    files = sorted(f for f in path.rglob("*") if f.suffix.lower() in (".glb", ".gltf")) if path.is_dir() else [path]
    if not files:
        raise FileError(f"{path} holds no GLB or glTF file")
    return {name: read_creature(file, repairs) for name, file in _named(files).items()}


def _named(files: Sequence[Path]) -> dict[str, Path]:
    """The files by stem; those of one stem by as many folders before it as tell them apart, or with their suffix."""
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
    """One file's creature (see :func:`load`). A repaired rig has no source document: its mesh hangs on other bones."""
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
    """The lowest joint at or below each limb that stands on the ground at rest, at the end of a leg of two bones."""
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
    """The quarter turns about the vertical after which the head lies towards z from the root."""
    heads = [j for j, name in enumerate(skeleton.names) if name.lower() == "head"]
    if not heads:
        return rot.identity()
    positions = skeleton.rest_positions()
    x, _, z = positions[heads[0]] - positions[skeleton.main_root]
    if np.hypot(x, z) < 0.05 * conform.extent(skeleton):
        return rot.identity()
    quarters = round(float(np.arctan2(x, z)) / (np.pi / 2))
    return rot.about("y", -quarters * np.pi / 2)
