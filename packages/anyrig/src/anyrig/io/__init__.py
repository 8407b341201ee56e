"""Skeletons and clips in and out of files: glTF (``.glb``, ``.gltf``), BVH and NumPy archives, by suffix."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from anyrig import conform
from anyrig import rotations as rot
from anyrig.conform import find
from anyrig.errors import FileError
from anyrig.io.asset import Asset, shaped, warn_of_units
from anyrig.io.bvh import read_bvh, read_bvh_asset, write_bvh
from anyrig.io.gltf_read import read_glb
from anyrig.io.gltf_write import write_glb
from anyrig.io.npz import read_npz, write_npz
from anyrig.skeleton import Clip

__all__ = [
    "SUFFIXES",
    "Asset",
    "load",
    "read_bvh",
    "read_bvh_asset",
    "read_glb",
    "read_npz",
    "save",
    "write_bvh",
    "write_glb",
    "write_npz",
]

SUFFIXES = (".glb", ".gltf", ".bvh", ".npz")


def load(
    path: str | os.PathLike[str],
    *,
    fps: float | None = None,
    in_place: bool = False,
    loop: bool = False,
    skin: str | int | None = None,
    up: str | None = None,
    unit: str | float | None = None,
) -> Asset:
    """The asset in a file, converted to y up and metres.

    ``skin``, by name or number, chooses one of several characters in a glTF file. ``up`` ("x", "y", "z") and ``unit``
    ("m", "cm", "mm", "in", "ft", or a number of metres) are the file's: y and metres where they are None, with a
    FileWarning where the pose or the size makes that implausible. ``fps`` resamples the clips, ``in_place`` removes
    their travel over the ground, ``loop`` makes their last pose the first. Raises FileError for a file that cannot be
    read and SettingsError for an invalid option.
    """
    suffix = _suffix(path)
    axis, of = "y" if up is None else up, "m" if unit is None else unit
    if suffix in (".glb", ".gltf"):
        asset = shaped(read_glb(path, skin=skin, up=axis, unit=of), path)
    elif suffix == ".bvh":
        asset = _carried(_to_metres(shaped(read_bvh_asset(path, up=axis), path), axis, of, plain_axes=True))
    else:
        asset = _carried(_to_metres(read_npz(path), axis, of, plain_axes=False))
    if suffix != ".npz":  # an archive of this package is always in metres with y up
        warn_of_units(asset, Path(path), up=up is None, unit=unit is None)
    return _changed(asset, fps, in_place, loop)


def save(
    what: Asset | Clip,
    path: str | os.PathLike[str],
    *,
    fps: float | None = None,
    in_place: bool = False,
    loop: bool = False,
    up: str | None = None,
    unit: str | float | None = None,
) -> None:
    """Writes an asset or a clip with the options of :func:`load`; the file has ``up`` and ``unit``, y and metres where
    they are None.

    A clip by itself is written with a mesh of bones; to keep a rig's own mesh, write the asset it came from with its
    ``clips`` replaced. A BVH file holds one clip. Raises FileError where the file cannot be written or the format
    cannot hold the asset, and SettingsError for an invalid option.
    """
    suffix = _suffix(path)
    up, unit = "y" if up is None else up, "m" if unit is None else unit
    asset = _changed(Asset(what.skeleton, (what,)) if isinstance(what, Clip) else what, fps, in_place, loop)
    if suffix in (".glb", ".gltf"):
        write_glb(asset, path, up=up, unit=unit)
    elif suffix == ".npz":
        write_npz(_from_metres(asset, up, unit), path)
    elif len(asset.clips) == 1:
        write_bvh(_from_metres(asset, up, unit).clips[0], path)
    else:
        raise FileError(f"{path} cannot be written: a BVH file holds one clip, and there are {len(asset.clips)}")


def _suffix(path: str | os.PathLike[str]) -> str:
    if Path(path).is_dir():
        found = sorted(f.name for f in Path(path).iterdir() if f.suffix.lower() in SUFFIXES)
        hint = f"; name the file in it, such as {found[0]}" if found else ""
        raise FileError(f"{path} is a folder, not a file{hint}")
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise FileError(f"{path}: the name ends in {suffix or 'no suffix'!r}, not in one of {', '.join(SUFFIXES)}")
    return suffix


def _changed(asset: Asset, fps: float | None, in_place: bool, loop: bool) -> Asset:
    """The asset with its clips converted; an unchanged clip stays the same object, so that its keys are kept."""
    clips = []
    for clip in asset.clips:
        if fps is not None:
            clip = clip.resampled(fps)
        if in_place:
            clip = clip.in_place()
        if loop:
            clip = conform.looped(clip)
        clips.append(clip)
    return replace(asset, clips=tuple(clips))


def _carried(asset: Asset) -> Asset:
    """The asset of a file without a mesh, with carriers where it has several roots."""
    s = asset.skeleton
    if len(s.roots) < 2 or s.carriers:
        return asset
    none = np.zeros(s.n_joints)
    motions = [(c.rotations, c.translations) for c in asset.clips]
    s = replace(s, carriers=find(s, motions, none, np.zeros((s.n_joints, s.n_joints))))
    return replace(asset, skeleton=s, clips=tuple(replace(c, skeleton=s) for c in asset.clips))


def _to_metres(asset: Asset, up: str, unit: str | float, plain_axes: bool) -> Asset:
    """``plain_axes``: the rest pose stays without rotations, as in every BVH file."""
    turn, factor = conform.upright(up), conform.metres(unit)
    if up == "y" and factor == 1.0:
        return asset
    change = [conform.scaled(conform.turned(c, turn), factor) for c in (asset.skeleton.rest_clip(), *asset.clips)]
    if plain_axes:
        change = [conform.reframed(c, rot.IDENTITY) for c in change]
    return _regrouped(change)


def _from_metres(asset: Asset, up: str, unit: str | float) -> Asset:
    turn, factor = conform.upright(up), conform.metres(unit)
    if up == "y" and factor == 1.0:
        return asset
    undo, clips = rot.inverse(turn), (asset.skeleton.rest_clip(), *asset.clips)
    return _regrouped([conform.turned(conform.scaled(c, 1.0 / factor), undo) for c in clips])


def _regrouped(clips: list[Clip]) -> Asset:
    skeleton = clips[0].skeleton
    return Asset(skeleton, tuple(replace(c, skeleton=skeleton) for c in clips[1:]))
