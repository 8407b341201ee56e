"""Biovision hierarchies: ``HIERARCHY`` with offsets and channels, then ``MOTION`` with a line of numbers a frame.

What dialects disagree on, and what is done here:

- Any number of channels in any order, position channels on any joint, several roots, joint names with blanks, any line
  ends, numbers in scientific notation, a hierarchy on one line.
- A position channel replaces the joint's offset along its axis and does not add to it (as in Blender, MotionBuilder).
- Rotation channels apply in their order, each in the frame the ones before it left: ``Z X Y`` is the matrix ``Z X Y``.
- Where the creature would stand under the ground by the height of its root's OFFSET, or bones would have no length,
  positions were meant to be added to the OFFSET (as in three.js); they are, with a FileWarning.
- An ``End Site`` becomes a joint called after its parent with ``_end`` at the end, and is written back as an End Site;
  one that adds no length is dropped.
- What is written is what all readers agree on (:mod:`anyrig.io._bvh_tree`): one ROOT, with an OFFSET of zero wherever
  there are position channels, names of one word, and an End Site with a length after every last bone.
- The rest pose has no rotations. A skeleton that has some is written with other joint frames (``conform.reframed``):
  positions, at rest and in motion, stay; the axes of its joints do not.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from anyrig import conform
from anyrig import rotations as rot
from anyrig.errors import FileError
from anyrig.io import _bvh_read, _bvh_write
from anyrig.io._files import read_bytes, write_bytes
from anyrig.io._model import Model
from anyrig.skeleton import Clip

MAX_BYTES = 1 << 28


def read_bvh(path: str | os.PathLike[str]) -> Clip:
    """The motion in a BVH file, named after the file, in the file's own unit and axes. Raises FileError."""
    model = read_bvh_model(path)
    if not model.clips:
        raise FileError(f"{path} has a skeleton but no frames of motion")
    return model.clips[0]


def read_bvh_model(path: str | os.PathLike[str], *, up: str = "y") -> Model:
    """As :func:`read_bvh`, for a file that may be a skeleton without motion, too.

    ``up`` ("x", "y", "z") is the axis that points up in the file: nothing is turned, but whether the root's positions
    are relative to its OFFSET shows in how high the creature stands.
    """
    data = read_bytes(path, MAX_BYTES)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return _bvh_read.parse(text, Path(path), up)


def write_bvh(clip: Clip, path: str | os.PathLike[str], *, order: str = "ZXY") -> None:
    """Writes the clip. Every joint gets three rotation channels in ``order``, the root three position channels before
    them; a joint whose translation changes or is not its offset gets a joint above it, called after it with ``_move``
    at the end, that has them. Other roots hang on a joint. Numbers have ten significant digits.

    The place of the root at rest is not in the file: positions at rest are the same relative to it.

    Raises SettingsError for an order that is not x, y and z once each, and FileError where the disk refuses or a
    position is not finite.
    """
    if not np.isfinite(clip.world()[0]).all():
        raise FileError(f"{path} cannot be written: a position is not finite")
    frames = conform.reframed(clip, rot.IDENTITY)
    write_bytes(path, _bvh_write.render(frames, order).encode("utf-8"))
