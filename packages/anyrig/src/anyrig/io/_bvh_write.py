"""Rendering a clip as BVH text; the conventions are in :mod:`anyrig.io.bvh`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anyrig import rotations as rot
from anyrig.errors import SettingsError
from anyrig.io._bvh_tree import END, joints_extent, moving, one_tree, plain_names, stub, with_movers
from anyrig.skeleton import Clip, Skeleton

Array = NDArray[np.float64]


def render(clip: Clip, order: str) -> str:
    """The clip, whose rest rotations are identities, as the text of a BVH file."""
    order = order.upper()
    if sorted(order) != ["X", "Y", "Z"]:
        raise SettingsError(f"a rotation order has x, y and z once each, not {order!r}")
    clip = with_movers(one_tree(clip))
    moves = moving(clip)
    ends = _ends(clip, moves)
    lines = ["HIERARCHY"]
    joints = _hierarchy(clip.skeleton, moves, ends, order, lines)
    values = _values(clip, joints, moves, order)
    lines += ["MOTION", f"Frames: {clip.n_frames}", f"Frame Time: {1 / clip.fps:.10g}"]
    lines += [" ".join(f"{v:.10g}" for v in row) for row in values.tolist()]
    return "\n".join([*lines, ""])


def _ends(clip: Clip, moves: list[bool]) -> list[bool]:
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


def _hierarchy(skeleton: Skeleton, moves: list[bool], ends: list[bool], order: str, lines: list[str]) -> list[int]:
    """Adds the hierarchy to ``lines``; returns the joints with channels in the order in which they are written."""
    joints = []
    names = plain_names(skeleton.names)
    size = joints_extent(skeleton, ends)
    rotation = " ".join(f"{axis}rotation" for axis in order)
    todo: list[int | None] = list(reversed(skeleton.roots))  # None closes a brace
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
        # Where a joint's channels say its position, an OFFSET would be added to it by some and not by others.
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


def _values(clip: Clip, joints: list[int], moves: list[bool], order: str) -> Array:
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

    Two triples a full circle give one rotation: ``(a, b, c)`` and ``(a + pi, pi - b, c + pi)``. A program that blends
    angles would spin the bone through a jump from one to the other.
    """
    out = np.array(angles)
    for t in range(1, len(out)):
        here, before = out[t], out[t - 1]
        other = np.stack([here[..., 0] + np.pi, np.pi - here[..., 1], here[..., 2] + np.pi], axis=-1)
        near = [before + (c - before + np.pi) % (2 * np.pi) - np.pi for c in (here, other)]
        steps = [np.abs(c - before).sum(axis=-1, keepdims=True) for c in near]
        out[t] = np.where(steps[1] < steps[0] - 1e-9, near[1], near[0])
    return out
