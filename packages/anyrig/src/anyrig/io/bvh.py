"""Biovision hierarchies: ``HIERARCHY`` with offsets and channels, then ``MOTION`` with one line of numbers per frame.

Dialects differ; this module does as follows:

- Any number of channels in any order, position channels on any joint, several roots, joint names with blanks, any line
  ends, numbers in scientific notation, a hierarchy on one line.
- A position channel replaces the joint's offset along its axis and does not add to it (as in Blender, MotionBuilder).
- Rotation channels apply in their order, each in the frame the ones before it left: ``Z X Y`` is the matrix ``Z X Y``.
- Positions are added to the OFFSET (as in three.js), with a FileWarning, where the creature would otherwise be under
  the ground by the height of its root's OFFSET, or bones would have no length.
- An ``End Site`` becomes a joint with its parent's name and ``_end``, and is written as an End Site again; one without
  length is dropped.
- Files are written in the form on which all readers agree: one ROOT, an OFFSET of zero wherever there are position
  channels, names without blanks, and an End Site with a length after every last bone.
- The rest pose has no rotations. A skeleton with rest rotations is written with other joint frames
  (:func:`anyrig.conform.reframed`), which changes the joints' axes but no position.

Programs differ where a joint has position channels and an OFFSET: Blender and bvhio replace the OFFSET, three.js adds
the two, pybvh refuses position channels on all but the ROOT. They agree where the OFFSET is zero.
"""

from __future__ import annotations

import math
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from anyrig import conform
from anyrig import rotations as rot
from anyrig.conform import extent, parents_first, rehung
from anyrig.errors import FileError, FileWarning, SettingsError
from anyrig.io.asset import Asset
from anyrig.io.files import read_bytes, refuse_too_many_poses, write_bytes
from anyrig.rotations import Array
from anyrig.skeleton import Clip, Skeleton

MAX_BYTES = 1 << 28
STILL = 1e-7
"""A joint within this share of the skeleton's size of its offset does not move; float32 resolves no less."""
FIXED = 1e-6
"""A root that stays within this share of the size of its position in a joint's frame is fixed to that joint."""
MOVE = "_move"
"""Suffix of a joint that moves the one below it."""
END = "_end"
"""Suffix of a joint that represents an End Site."""
STUB = 0.37
"""Length of an End Site that is added to a last bone, as a share of the bone."""
_SHORTEST = 0.02  # the same, at least, as a share of the skeleton's size
# Blanks end a name in most readers; the others are separators to three.js, or braces.
_RESERVED = re.compile(r"[\s\x00-\x20\x7f\ufeff{}\[\]:/]+")
_PROPERTY = re.compile(
    r"\.(?=(?:materials?|bones|map)$)|^\.+$"
)  # three.js takes "x.map" for the map of x and "." for the root
_SEEN = 0.05  # least height of a root in its OFFSET, as a share of the skeleton's size, for a decision
_NEAR = 0.3  # tolerance for the feet's height, as a share of that height
_COLLAPSED = 0.1  # a bone always shorter than this share of its OFFSET has collapsed
_SPACE = re.compile(r"\s*")
_JOINT = re.compile(r"(ROOT|JOINT)\b[ \t]*([^\r\n{}]*)", re.IGNORECASE)
_END_SITE = re.compile(r"End\b[^\r\n{}]*", re.IGNORECASE)
_WORD = re.compile(r"\s*([^\s{}]+)")
_KEY = re.compile(r"(OFFSET|CHANNELS)\b", re.IGNORECASE)
_MOTION = re.compile(r"^[ \t]*MOTION\b", re.IGNORECASE | re.MULTILINE)
_CHANNEL = re.compile(r"([xyz])(position|rotation|scale)", re.IGNORECASE)
_LINES_AT_ONCE = 4096


def read_bvh(path: str | os.PathLike[str]) -> Clip:
    """The motion in a BVH file, named after the file, in the file's own unit and axes. Raises FileError."""
    asset = read_bvh_asset(path)
    if not asset.clips:
        raise FileError(f"{path} has a skeleton but no frames of motion")
    return asset.clips[0]


def read_bvh_asset(path: str | os.PathLike[str], *, up: str = "y") -> Asset:
    """As :func:`read_bvh`, also for a skeleton without motion.

    ``up`` ("x", "y", "z") is the file's up axis. It turns nothing, but the creature's height decides whether the root's
    positions are relative to its OFFSET.
    """
    data = read_bytes(path, MAX_BYTES)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return parse(text, Path(path), up)


def write_bvh(clip: Clip, path: str | os.PathLike[str], *, order: str = "ZXY") -> None:
    """Writes the clip. Every joint gets three rotation channels in ``order``, the root three position channels before
    them. A joint whose translation changes or differs from its offset gets these from an added joint above it, with
    its name and ``_move``. Other roots hang on a joint. Numbers have ten significant digits.

    The root's rest position is not in the file; rest positions are the same relative to it.

    Raises SettingsError for an order that is not x, y and z once each, and FileError where the file cannot be written
    or a position is not finite.
    """
    if not np.isfinite(clip.world()[0]).all():
        raise FileError(f"{path} cannot be written: a position is not finite")
    frames = conform.reframed(clip, rot.IDENTITY)
    write_bytes(path, render(frames, order).encode("utf-8"))


@dataclass
class _Joint:
    name: str
    parent: int
    is_end: bool = False
    offset: tuple[float, float, float] | None = None
    channels: list[tuple[int, str]] = field(default_factory=list)  # (axis, kind)


def parse(text: str, path: Path, up: str = "y") -> Asset:
    """The skeleton and, where there are frames, the one clip. Raises FileError with the invalid line.

    ``up`` is the file's up axis, see :func:`read_bvh_asset`.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    motion = _MOTION.search(text)
    hierarchy = text[: motion.start()] if motion else text
    joints = _Hierarchy(hierarchy, path).joints()
    kept, skeleton = _skeleton(joints, path)
    if motion is None:
        return _still(skeleton)
    n_lines = text.count("\n", 0, motion.end())
    n_channels = sum(len(j.channels) for j in joints)
    values, fps = _motion(text[motion.end() :].split("\n"), n_lines, n_channels, path, skeleton)
    if not len(values):
        return _still(skeleton)
    rotations, translations = _apply(joints, kept, values, skeleton, path)
    placed = [len({axis for axis, kind in joints[j].channels if kind == "position"}) == 3 for j in kept]
    translations = absolute(skeleton, rotations, translations, placed, up, path)
    skeleton, rotations, translations = without_movers(skeleton, rotations, translations)
    return Asset(skeleton, (Clip(skeleton, rotations, translations, fps, name=path.stem),))


def _still(skeleton: Skeleton) -> Asset:
    """A skeleton without motion."""
    return Asset(without_movers(skeleton, skeleton.rest[None], skeleton.offsets[None])[0])


class _Hierarchy:
    """Parses the hierarchy with a stack instead of recursion, so that chains may have any length."""

    def __init__(self, text: str, path: Path) -> None:
        self.text, self.path, self.at = text, path, 0

    def joints(self) -> list[_Joint]:
        joints: list[_Joint] = []
        stack: list[int] = []
        opening = False  # a joint's name was read and its brace has to follow
        self._header()
        while self._skip():
            brace = self.text[self.at]
            if brace in "{}":
                self.at += 1
                if (brace == "{") != opening or (brace == "}" and not stack):
                    raise self._error(f"an unmatched {brace!r}")
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
            raise FileError(f"{self.path} is not a BVH file: it does not begin with HIERARCHY")
        self.at += 9

    def _skip(self) -> bool:
        """Skips white space; whether any text is left."""
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
        value = _float(word)
        if not math.isfinite(value):
            raise self._error(f"an offset of joint {joint.name!r} is {word!r}, not a number")
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
    """The joints except meaningless End Sites, and their skeleton."""
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
    """Whether an End Site is the end of a bone, or the file's only shape; others were added by this package."""
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
    """Raises FileError where every frame's line has the same wrong number of values."""
    widths = [len(line.split()) for line in lines if line.strip()]
    if len(widths) == n_frames and len(set(widths)) == 1 and widths[0] != n_channels:
        raise FileError(f"{path}: each frame has {widths[0]} numbers, but the joints have {n_channels} channels")


def _float(text: str) -> float:
    """The number in ``text``, or NaN."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _header_number(text: str, where: str) -> float:
    value = _float(text)
    if not (math.isfinite(value) and value >= 0):
        raise FileError(f"{where} is {text.strip()!r}, not a valid number")
    return value


def _rate(seconds: float) -> float:
    """Frames a second; a whole number where the frame time was rounded from it."""
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
            if not math.isfinite(_float(word)):
                return FileError(f"{path}, line {n}: {word[:40]!r} is not a number")
    return FileError(f"{path}: a frame has a value that is not a number")


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


def absolute(
    skeleton: Skeleton, rotations: Array, translations: Array, placed: list[bool], up: str, path: Path
) -> Array:
    """``translations`` (T, J, 3) with OFFSETs added where they are relative to these, with a warning.

    ``placed`` marks the joints with three position channels; the others are unchanged. Positions of roots are relative
    where the rest pose stands on the ground and the motion is below it by the height of the main root's OFFSET, those
    of other joints where their bones would otherwise have almost no length.
    """
    s = skeleton
    roots = [j for j in s.roots if placed[j]]
    others = [j for j in range(s.n_joints) if placed[j] and s.parents[j] >= 0 and np.any(s.offsets[j])]
    added = []
    if others:
        lengths = np.median(np.linalg.norm(translations[:, others], axis=-1), axis=0)
        if (lengths < _COLLAPSED * np.linalg.norm(s.offsets[others], axis=-1)).all():
            added += others
    translations = translations.copy()
    translations[:, added] += s.offsets[added]
    if s.main_root in roots and _is_buried(s, rotations, translations, "xyz".index(up)):
        added += roots
        translations[:, roots] += s.offsets[roots]
    if added:
        who = f"{s.names[added[0]]!r}" + (f" and {len(added) - 1} more joints" if len(added) > 1 else "")
        message = f"{path}: the positions of {who} are relative to the OFFSET, which is added to them"
        warnings.warn(message, FileWarning, stacklevel=2)
    return translations


def _is_buried(skeleton: Skeleton, rotations: Array, translations: Array, up: int) -> bool:
    """Whether the motion is below the rest pose's ground by the height of the root's OFFSET."""
    height = float(skeleton.offsets[skeleton.main_root, up])
    ground = float(skeleton.rest_positions()[:, up].min())
    if height < _SEEN * extent(skeleton) or abs(ground) > _NEAR * height:
        return False
    positions, _ = skeleton.world(rotations, translations)
    lowest = float(np.median(positions[..., up].min(axis=1)))
    return abs(lowest + height - ground) <= _NEAR * height


def render(clip: Clip, order: str) -> str:
    """The clip, whose rest rotations are identities, as the text of a BVH file."""
    order = order.upper()
    if sorted(order) != ["X", "Y", "Z"]:
        raise SettingsError(f"a rotation order has x, y and z once each, not {order!r}")
    clip = with_movers(one_tree(clip))
    moves = moving(clip)
    ends = _end_sites(clip, moves)
    lines = ["HIERARCHY"]
    joints = _write_hierarchy(clip.skeleton, moves, ends, order, lines)
    values = _channel_values(clip, joints, moves, order)
    lines += ["MOTION", f"Frames: {clip.n_frames}", f"Frame Time: {1 / clip.fps:.10g}"]
    lines += [" ".join(f"{v:.10g}" for v in row) for row in values.tolist()]
    return "\n".join([*lines, ""])


def _end_sites(clip: Clip, moves: list[bool]) -> list[bool]:
    """Which joints are End Sites: leaves named like one that neither move nor turn."""
    skeleton = clip.skeleton
    turns = rot.angle(clip.rotations, rot.IDENTITY).max(axis=0) > 1e-9
    return [
        parent >= 0
        and not skeleton.children[j]
        and skeleton.names[j] == skeleton.names[parent] + END
        and bool(np.any(skeleton.offsets[j]))
        and not moves[j]
        and not turns[j]
        for j, parent in enumerate(skeleton.parents)
    ]


def _write_hierarchy(
    skeleton: Skeleton, moves: list[bool], ends: list[bool], order: str, lines: list[str]
) -> list[int]:
    """Adds the hierarchy to ``lines``; returns the joints with channels in their written order."""
    joints = []
    names = plain_names(skeleton.names)
    size = joints_extent(skeleton, ends)
    rotation = " ".join(f"{axis}rotation" for axis in order)
    todo: list[int | None] = list(reversed(skeleton.roots))  # None is a closing brace
    depth = 0
    while todo:
        j = todo.pop()
        if j is None:
            depth -= 1
            lines.append("\t" * depth + "}")
            continue
        kind = "End Site" if ends[j] else f"{'JOINT' if skeleton.parents[j] >= 0 else 'ROOT'} {names[j]}"
        lines += ["\t" * depth + kind, "\t" * depth + "{"]
        depth += 1
        # With position channels, some readers would add an OFFSET and others not.
        offset = np.zeros(3) if moves[j] else skeleton.offsets[j]
        lines.append("\t" * depth + _offset(offset))
        if not ends[j]:
            position = "Xposition Yposition Zposition " if moves[j] else ""
            lines.append("\t" * depth + f"CHANNELS {6 if moves[j] else 3} {position}{rotation}")
            joints.append(j)
            if not skeleton.children[j]:
                tabs = "\t" * depth
                lines += [f"{tabs}End Site", f"{tabs}{{", f"{tabs}\t{_offset(stub(offset, size))}", f"{tabs}}}"]
        todo += [None, *reversed(skeleton.children[j])]
    return joints


def _offset(values: Array) -> str:
    return "OFFSET " + " ".join(f"{v:.10g}" for v in values)


def _channel_values(clip: Clip, joints: list[int], moves: list[bool], order: str) -> Array:
    """The channel values (T, C)."""
    angles = np.degrees(unrolled(rot.to_euler(clip.rotations[:, joints], order)))
    columns = []
    for n, j in enumerate(joints):
        if moves[j]:
            columns.append(clip.translations[:, j])
        columns.append(angles[:, n])
    return np.concatenate(columns, axis=1)


def unrolled(angles: Array) -> Array:
    """Euler angles (T, ..., 3) about three different axes, as the triples with the smallest steps from frame to frame.

    ``(a, b, c)`` and ``(a + pi, pi - b, c + pi)`` are one rotation. A program that blends angles would spin the bone at
    a jump from one triple to the other.
    """
    out = np.array(angles)
    for t in range(1, len(out)):
        here, before = out[t], out[t - 1]
        other = np.stack([here[..., 0] + np.pi, np.pi - here[..., 1], here[..., 2] + np.pi], axis=-1)
        near = [before + (c - before + np.pi) % (2 * np.pi) - np.pi for c in (here, other)]
        steps = [np.abs(c - before).sum(axis=-1, keepdims=True) for c in near]
        out[t] = np.where(steps[1] < steps[0] - 1e-9, near[1], near[0])
    return out


def moving(clip: Clip) -> list[bool]:
    """For each joint whether its translation changes or differs from its offset; always true for roots."""
    s = clip.skeleton
    away = np.abs(clip.translations - s.offsets).max(axis=(0, 2)) > STILL * extent(s)
    return [parent < 0 or bool(away[j]) for j, parent in enumerate(s.parents)]


def one_tree(clip: Clip) -> Clip:
    """The same motion in the world with all roots but the main one hung on joints of its tree.

    A root hangs on the nearest joint to which it is fixed, or on the main root where there is none. Rest rotations must
    be identities.
    """
    s = clip.skeleton
    if len(s.roots) == 1:
        return clip
    parents, held = list(s.parents), []
    for root, joint, fixed in _hangers(clip):
        parents[root] = joint
        held += [root] if fixed else []
    tree, order = rehung(clip, range(s.n_joints), parents), parents_first(range(s.n_joints), parents)
    fixed_roots, translations = [order.index(root) for root in held], tree.translations.copy()
    translations[:, fixed_roots] = tree.skeleton.offsets[fixed_roots]
    return replace(tree, translations=translations)


def _hangers(clip: Clip) -> Iterator[tuple[int, int, bool]]:
    """(root, joint, fixed) for each root but the main one: its new parent, and whether it is fixed to it."""
    s, least = clip.skeleton, FIXED * extent(clip.skeleton)
    top: list[int] = []  # the root above each joint
    for j, parent in enumerate(s.parents):
        top.append(j if parent < 0 else top[parent])
    tree = [j for j in range(s.n_joints) if top[j] == s.main_root]
    left = [root for root in s.roots if root != s.main_root]
    rest = s.rest_positions()
    positions, turns = clip.world()
    while left:
        hung, on = left[0], -1
        for root in left:
            apart = rest[root] - rest[tree]
            seen = rot.rotate(rot.inverse(turns[:, tree]), positions[:, [root]] - positions[:, tree])
            fixed = np.abs(seen - apart).max(axis=(0, 2)) <= least
            if fixed.any():
                hung, on = root, tree[int(np.where(fixed, np.linalg.norm(apart, axis=-1), np.inf).argmin())]
                break
        yield hung, on if on >= 0 else s.main_root, on >= 0
        left.remove(hung)
        tree += [j for j in range(s.n_joints) if top[j] == hung]


def with_movers(clip: Clip) -> Clip:
    """The clip with an added joint above each one that moves against its parent; the added joint does the moving.

    It has that joint's name with :data:`MOVE`, rests at the parent's position and does not turn, so that every joint
    with position channels has an OFFSET of zero and all others keep theirs.
    """
    s = clip.skeleton
    moves = [j for j, moved in enumerate(moving(clip)) if moved and s.parents[j] >= 0]
    if not moves:
        return clip
    rows: list[tuple[int, bool]] = []  # (old joint, whether this row is its mover)
    new = {}
    for j in range(s.n_joints):
        if j in moves:
            rows.append((j, True))
        new[j] = len(rows)
        rows.append((j, False))
    parents = [new[j] - 1 if j in moves and not mover else new.get(s.parents[j], -1) for j, mover in rows]
    old = [j for j, _ in rows]
    movers = [n for n, (_, mover) in enumerate(rows) if mover]
    moved = [new[j] for j in moves]
    offsets, translations, rotations = s.offsets[old], clip.translations[:, old], clip.rotations[:, old]
    offsets[movers] = 0.0
    rotations[:, movers] = rot.IDENTITY
    translations[:, movers] -= s.offsets[moves]
    translations[:, moved] = s.offsets[moves]
    names = tuple(s.names[j] + MOVE * mover for j, mover in rows)
    return replace(clip, skeleton=Skeleton(names, tuple(parents), offsets), rotations=rotations,
                   translations=translations)  # fmt: skip


def without_movers(skeleton: Skeleton, rotations: Array, translations: Array) -> tuple[Skeleton, Array, Array]:
    """The inverse of :func:`with_movers`: skeleton, rotations (T, J, 4) and translations (T, J, 3) without movers."""
    s, least = skeleton, STILL * extent(skeleton)
    gone = {}  # the mover of a joint
    for j, parent in enumerate(s.parents):
        if (
            parent >= 0
            and s.parents[parent] >= 0
            and s.names[parent] == s.names[j] + MOVE
            and s.children[parent] == (j,)
            and not np.any(s.offsets[parent])
            and np.abs(translations[:, j] - s.offsets[j]).max(initial=0.0) <= least
            and rot.angle(rotations[:, parent], rot.IDENTITY).max(initial=0.0) < 1e-9
        ):
            gone[j] = parent
    if not gone:
        return skeleton, rotations, translations
    kept = [j for j in range(s.n_joints) if j not in gone.values()]
    new = {j: n for n, j in enumerate(kept)}
    parents = tuple(new.get(s.parents[gone.get(j, j)], -1) for j in kept)
    translations = translations.copy()
    for j, mover in gone.items():
        translations[:, j] += translations[:, mover]
    skeleton = Skeleton(tuple(s.names[j] for j in kept), parents, s.offsets[kept])
    return skeleton, rotations[:, kept], translations[:, kept]


def joints_extent(skeleton: Skeleton, ends: Sequence[bool]) -> float:
    """The skeleton's size without its End Sites: the longest side of the box around the others at rest, or 1."""
    at = skeleton.rest_positions()[~np.array(ends, dtype=bool)]
    return float(np.max(np.ptp(at, axis=0))) or 1.0


def stub(offset: Array, size: float) -> Array:
    """The End Site (3,) of a last bone to ``offset``: in its direction, or up where it has no length.

    ``size`` is that of the skeleton without End Sites.
    """
    length = float(np.linalg.norm(offset))
    if length <= 1e-6 * size:
        return np.array([0.0, _SHORTEST * size, 0.0])
    return np.asarray(offset / length * max(STUB * length, _SHORTEST * size))


def is_stub(end: Array, offset: Array, size: float) -> bool:
    """Whether an End Site equals that of :func:`stub` to the written digits, and so was added by this package."""
    return bool(np.abs(end - stub(offset, size)).max() <= 1e-8 * size)


def plain_names(names: tuple[str, ...]) -> list[str]:
    """Unique names without blanks, braces and separators, which every reader of BVH accepts."""
    taken = {"ENDSITE"}  # what three.js calls an End Site
    result = []
    for j, name in enumerate(names):
        plain = _PROPERTY.sub("_", _RESERVED.sub("_", name.strip())) or f"joint_{j}"
        base, n = plain, 1
        while plain in taken:
            n += 1
            plain = f"{base}_{n}"
        taken.add(plain)
        result.append(plain)
    return result
