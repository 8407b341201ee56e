"""Parsing BVH text; the conventions are in :mod:`anyrig.io.bvh`."""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anyrig import rotations as rot
from anyrig.errors import FileError, FileWarning
from anyrig.io._bvh_positions import absolute
from anyrig.io._bvh_tree import END, is_stub, without_movers
from anyrig.io._files import refuse_too_many_poses
from anyrig.io._model import Model
from anyrig.skeleton import Clip, Skeleton

Array = NDArray[np.float64]

_SPACE = re.compile(r"\s*")
_JOINT = re.compile(r"(ROOT|JOINT)\b[ \t]*([^\r\n{}]*)", re.IGNORECASE)
_END_SITE = re.compile(r"End\b[^\r\n{}]*", re.IGNORECASE)
_WORD = re.compile(r"\s*([^\s{}]+)")
_KEY = re.compile(r"(OFFSET|CHANNELS)\b", re.IGNORECASE)
_MOTION = re.compile(r"^[ \t]*MOTION\b", re.IGNORECASE | re.MULTILINE)
_CHANNEL = re.compile(r"([xyz])(position|rotation|scale)", re.IGNORECASE)
_LINES_AT_ONCE = 4096


@dataclass
class _Joint:
    name: str
    parent: int
    is_end: bool = False
    offset: tuple[float, float, float] | None = None
    channels: list[tuple[int, str]] = field(default_factory=list)  # (axis, kind)


def parse(text: str, path: Path, up: str = "y") -> Model:
    """The skeleton and, where there are frames, the one clip. Raises FileError with the line that is at fault.

    ``up`` is the axis that points up in the file; it helps to tell what position channels mean.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    motion = _MOTION.search(text)
    hierarchy = text[: motion.start()] if motion else text
    joints = _Hierarchy(hierarchy, path).joints()
    kept, skeleton = _skeleton(joints, path)
    if motion is None:
        return _model(skeleton)
    n_lines = text.count("\n", 0, motion.end())
    n_channels = sum(len(j.channels) for j in joints)
    values, fps = _motion(text[motion.end() :].split("\n"), n_lines, n_channels, path, skeleton)
    if not len(values):
        return _model(skeleton)
    rotations, translations = _apply(joints, kept, values, skeleton, path)
    placed = [len({axis for axis, kind in joints[j].channels if kind == "position"}) == 3 for j in kept]
    translations = absolute(skeleton, rotations, translations, placed, up, path)
    skeleton, rotations, translations = without_movers(skeleton, rotations, translations)
    return Model(skeleton, (Clip(skeleton, rotations, translations, fps, name=path.stem),))


def _model(skeleton: Skeleton) -> Model:
    """A skeleton without motion."""
    return Model(without_movers(skeleton, skeleton.rest[None], skeleton.offsets[None])[0])


class _Hierarchy:
    """Reads the hierarchy from left to right; a stack, not recursion, so that a chain may be of any length."""

    def __init__(self, text: str, path: Path) -> None:
        self.text, self.path, self.at = text, path, 0

    def joints(self) -> list[_Joint]:
        joints: list[_Joint] = []
        stack: list[int] = []
        opening = False  # a joint was named, and its brace has to follow
        self._header()
        while self._skip():
            brace = self.text[self.at]
            if brace in "{}":
                self.at += 1
                if (brace == "{") != opening or (brace == "}" and not stack):
                    raise self._error(f"a {brace!r} that fits nothing")
                if brace == "{":
                    stack.append(len(joints) - 1)
                else:
                    stack.pop()
                opening = False
            elif opening:
                raise self._error(f"a '{{' is missing after joint {joints[-1].name!r}")
            elif self._named(joints, stack):
                opening = True
            else:
                self._property(joints, stack)
        if stack or opening:
            raise FileError(f"{self.path} is truncated: joint {joints[-1].name!r} is not closed")
        if not joints:
            raise FileError(f"{self.path} has no joints: is it a BVH file?")
        return joints

    def _header(self) -> None:
        self._skip()
        if self.text[self.at : self.at + 9].upper() != "HIERARCHY":
            raise FileError(f"{self.path} is no BVH file: it does not begin with HIERARCHY")
        self.at += 9

    def _skip(self) -> bool:
        """Past white space; whether anything is left."""
        match = _SPACE.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return self.at < len(self.text)

    def _named(self, joints: list[_Joint], stack: list[int]) -> bool:
        parent = stack[-1] if stack else -1
        if match := _JOINT.match(self.text, self.at):
            is_root = match[1].upper() == "ROOT"
            if is_root == bool(stack) or (stack and joints[parent].is_end):
                raise self._error(f"{match[1]} {match[2].strip()!r} {'inside' if stack else 'outside'} a joint")
            joints.append(_Joint(match[2].strip() or f"joint_{len(joints)}", parent))
        elif match := _END_SITE.match(self.text, self.at):
            if not stack or joints[parent].is_end:
                raise self._error("an End Site that ends no joint")
            joints.append(_Joint(joints[parent].name + END, parent, is_end=True))
        else:
            return False
        self.at = match.end()
        return True

    def _property(self, joints: list[_Joint], stack: list[int]) -> None:
        match = _KEY.match(self.text, self.at)
        if match is None or not stack:
            raise self._error(f"{self._word()!r} where a joint, OFFSET or CHANNELS should be")
        self.at = match.end()
        joint = joints[stack[-1]]
        if match[1].upper() == "OFFSET":
            x, y, z = (self._number(joint) for _ in range(3))
            joint.offset = (x, y, z)
        else:
            count = self._word()
            if not count.isdecimal():
                raise self._error(f"joint {joint.name!r} has {count!r} channels")
            joint.channels = [self._channel(joint) for _ in range(min(int(count), len(self.text)))]

    def _word(self) -> str:
        match = _WORD.match(self.text, self.at)
        if match is None:
            raise self._error("the end where a word or number should be: is the file truncated?")
        self.at = match.end()
        return match[1]

    def _number(self, joint: _Joint) -> float:
        word = self._word()
        try:
            value = float(word)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self._error(f"an offset of joint {joint.name!r} is {word!r}, no number")
        return value

    def _channel(self, joint: _Joint) -> tuple[int, str]:
        word = self._word()
        match = _CHANNEL.fullmatch(word)
        if match is None:
            raise self._error(f"joint {joint.name!r} has a channel {word!r}; channels are Xposition, Zrotation, ...")
        return "xyz".index(match[1].lower()), match[2].lower()

    def _error(self, what: str) -> FileError:
        return FileError(f"{self.path}, line {self.text.count(chr(10), 0, self.at) + 1}: {what}")


def _skeleton(joints: list[_Joint], path: Path) -> tuple[list[int], Skeleton]:
    """The joints that are kept, and the skeleton of them: all but End Sites without a meaning of their own."""
    at = np.zeros((len(joints), 3))
    for j, joint in enumerate(joints):
        if joint.offset is None:
            raise FileError(f"{path}: joint {joint.name!r} has no OFFSET")
        at[j] = np.add(joint.offset, at[joint.parent] if joint.parent >= 0 else 0.0)
    size = float(np.max(np.ptp(at[[not joint.is_end for joint in joints]], axis=0)))
    kept = [j for j, joint in enumerate(joints) if not joint.is_end or joint.channels or _is_end(joints, joint, size)]
    index = {j: n for n, j in enumerate(kept)}
    parents = tuple(index[joints[j].parent] if joints[j].parent >= 0 else -1 for j in kept)
    offsets = np.array([joints[j].offset for j in kept])
    return kept, Skeleton(tuple(joints[j].name for j in kept), parents, offsets)


def _is_end(joints: list[_Joint], end: _Joint, size: float) -> bool:
    """Whether an End Site says where a bone ends, or is all the shape there is; the others this package has made up."""
    offset, above = np.array(end.offset), np.array(joints[end.parent].offset)
    return bool(offset.any()) and ((size == 0 and end.parent > 0) or not is_stub(offset, above, size or 1.0))


def _motion(lines: list[str], n_before: int, n_channels: int, path: Path, skeleton: Skeleton) -> tuple[Array, float]:
    """The channel values (T, C) and frames a second from the lines after ``MOTION``."""
    n_frames, seconds, start = None, None, len(lines)
    for n, line in enumerate(lines):
        key, _, value = line.strip().partition(":") if ":" in line else line.strip().rpartition(" ")
        if " ".join(key.lower().split()) == "frames":
            n_frames = _header_number(value, f"{path}, line {n_before + n + 1}: Frames")
        elif " ".join(key.lower().split()) == "frame time":
            seconds = _header_number(value, f"{path}, line {n_before + n + 1}: Frame Time")
        elif line.strip():
            start = n
            break
    if n_frames is None or seconds is None or seconds <= 0 or n_frames != int(n_frames):
        raise FileError(f"{path}: MOTION needs a whole number of Frames and a Frame Time above zero")
    refuse_too_many_poses(path, int(n_frames), skeleton.n_joints)
    if n_channels == 0:
        return np.zeros((int(n_frames), 0)), _rate(seconds)
    values = _numbers(lines[start:], n_before + start, path)
    if len(values) != n_frames * n_channels:
        _refuse_other_width(lines[start:], int(n_frames), n_channels, path)
    n_whole, rest = divmod(len(values), n_channels)
    if rest:
        raise FileError(f"{path}: frame {n_whole + 1} of {n_frames:.0f} has {rest} of {n_channels} numbers: truncated?")
    if n_whole != n_frames:
        warnings.warn(f"{path} says {int(n_frames)} frames and has {n_whole}", FileWarning, stacklevel=2)
    refuse_too_many_poses(path, n_whole, skeleton.n_joints)
    return values.reshape(n_whole, n_channels), _rate(seconds)


def _refuse_other_width(lines: list[str], n_frames: int, n_channels: int, path: Path) -> None:
    """Raises FileError for a line a frame with another number of values than the joints have channels."""
    widths = [len(line.split()) for line in lines if line.strip()]
    if len(widths) == n_frames and len(set(widths)) == 1 and widths[0] != n_channels:
        raise FileError(f"{path}: each frame has {widths[0]} numbers, but the joints have {n_channels} channels")


def _header_number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise FileError(f"{where} is {text.strip()!r}, no number that makes sense there")
    return value


def _rate(seconds: float) -> float:
    """Frames a second; the whole number that a frame time of few digits was rounded from."""
    fps = 1.0 / seconds
    return float(round(fps)) if round(fps) and abs(fps - round(fps)) < 1e-4 * fps else fps


def _numbers(lines: list[str], n_before: int, path: Path) -> Array:
    parts = []
    for start in range(0, len(lines), _LINES_AT_ONCE):
        block = lines[start : start + _LINES_AT_ONCE]
        try:
            part = np.array(" ".join(block).split(), dtype=np.float64)
        except ValueError:
            part = np.array([math.nan])
        if not np.isfinite(part).all():
            raise _bad_number(block, n_before + start, path)
        parts.append(part)
    return np.concatenate(parts) if parts else np.zeros(0)


def _bad_number(lines: list[str], n_before: int, path: Path) -> FileError:
    for n, line in enumerate(lines, n_before + 1):
        for word in line.split():
            try:
                good = math.isfinite(float(word))
            except ValueError:
                good = False
            if not good:
                return FileError(f"{path}, line {n}: {word[:40]!r} is no number")
    return FileError(f"{path}: a frame holds something that is no number")


def _apply(joints: list[_Joint], kept: list[int], values: Array, skeleton: Skeleton, path: Path) -> tuple[Array, Array]:
    """Local rotations (T, J, 4) and translations (T, J, 3) from the channel values (T, C)."""
    rotations = rot.identity(len(values), len(kept))
    translations = np.tile(skeleton.offsets, (len(values), 1, 1))
    by_order: dict[str, list[tuple[int, list[int]]]] = {}
    columns, at = {}, 0
    for j, joint in enumerate(joints):
        columns[j] = range(at, at + len(joint.channels))
        at += len(joint.channels)
    for n, j in enumerate(kept):
        order, turning = "", []
        for column, (axis, kind) in zip(columns[j], joints[j].channels, strict=True):
            if kind == "position":
                translations[:, n, axis] = values[:, column]
            elif kind == "rotation":
                order += "xyz"[axis]
                turning.append(column)
            elif np.abs(values[:, column] - 1.0).max() > 1e-4:
                raise FileError(f"{path}: joint {joints[j].name!r} changes its scale, which a rigid skeleton cannot")
        if order:
            by_order.setdefault(order, []).append((n, turning))
    for order, group in by_order.items():
        angles = np.radians(values[:, [turning for _, turning in group]])
        rotations[:, [n for n, _ in group]] = rot.from_euler(angles, order)
    return rotations, translations
