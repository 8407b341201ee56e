"""A document read as a model: which nodes are joints, their rest pose, and the animations as clips."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anyrig import conform
from anyrig import rotations as rot
from anyrig.carriers import find
from anyrig.errors import FileError
from anyrig.io._bind import bound
from anyrig.io._channels import ON_A_FRAME, Channel, frame_rate, read_channels, sample
from anyrig.io._document import Document, Node, extras
from anyrig.io._files import refuse_too_many_poses
from anyrig.io._joints import choose
from anyrig.io._model import Model
from anyrig.io._nodes import Nodes, read_nodes
from anyrig.io._weights import carried, sound
from anyrig.skeleton import Clip, Skeleton

Array = NDArray[np.float64]

EXTRAS = "anyrig"
"""The key in an animation's ``extras`` under which its captions, action and frame rate stand."""


@dataclass(frozen=True, eq=False)
class Source:
    """The document behind a model.

    ``joints`` has the node of each joint of ``skeleton``,
    ``clips`` each clip as it was read, with its animation's number.
    """

    document: Document
    nodes: Nodes
    joints: tuple[int, ...]
    skeleton: Skeleton
    clips: tuple[tuple[Clip, int], ...]


def read_model(document: Document, *, ends: bool = False, skin: str | int | None = None) -> Model:
    """The skeleton and clips of a document; which nodes are joints is said by :func:`anyrig.io._joints.choose`.

    The skeleton rests as its mesh was bound, where a skin says how (:mod:`anyrig.io._bind`).
    """
    if not document.nodes:
        raise FileError(f"{document.where} has no nodes, and so no skin and no animation")
    sound(document)
    nodes = read_nodes(document)
    joints = choose(document, nodes, ends=ends, skin=skin)
    parents = _parents(nodes, joints)
    names = tuple(nodes.names[node] for node in joints)
    forest = Skeleton(names, parents, np.zeros((len(joints), 3)))
    chain = nodes.above(joints)
    columns = [chain.index(node) for node in joints]
    positions, rotations = nodes.world(chain, nodes.rest(chain))
    rest, offsets = forest.local(positions[0, columns], rotations[0, columns])
    skeleton = bound(Skeleton(names, parents, offsets, rest), document, nodes, joints)
    motions = []
    for a in range(len(document.animations or ())):
        channels = read_channels(document, a, frozenset(chain))
        if channels:
            motions.append((a, *_motion(document, a, channels, nodes, chain, columns, forest)))
    carriers = find(skeleton, [(r, t) for _, r, t, _ in motions], *carried(document, joints))
    skeleton = replace(skeleton, carriers=carriers)
    clips = [(_clip(document, a, skeleton, r, t, fps), a) for a, r, t, fps in motions]
    source = Source(document, nodes, tuple(joints), skeleton, tuple(clips))
    return Model(skeleton, tuple(clip for clip, _ in clips), source)


def _parents(nodes: Nodes, joints: list[int]) -> tuple[int, ...]:
    at = {node: j for j, node in enumerate(joints)}
    return tuple(at.get(nodes.parents[node], -1) for node in joints)


def _motion(
    document: Document,
    animation: int,
    channels: list[Channel],
    nodes: Nodes,
    chain: list[int],
    columns: list[int],
    forest: Skeleton,
) -> tuple[Array, Array, float]:
    """Local rotations and translations of the joints in one animation, and its frame rate."""
    note = _note(document.animations[animation])
    start, end = min(c.times[0] for c in channels), max(c.times[-1] for c in channels)
    fps = note.get("fps") if end == start else frame_rate(channels)
    if not isinstance(fps, int | float) or not 0 < fps < 1e6:
        fps = frame_rate(channels)
    n_frames = np.ceil((end - start) * fps - ON_A_FRAME)
    refuse_too_many_poses(document.where, int(min(n_frames, 1e15)) + 1, len(chain))
    times = np.minimum(start + np.arange(int(n_frames) + 1) / fps, end)
    pose = nodes.rest(chain, len(times))
    parts = {"translation": pose.translations, "rotation": pose.rotations, "scale": pose.scales}
    for channel in channels:
        parts[channel.path][:, chain.index(channel.node)] = sample(channel, times, ON_A_FRAME / fps)
    pose.rotations[:] = rot.normalize(pose.rotations)
    positions, rotations = nodes.world(chain, pose)
    return *forest.local(positions[:, columns], rotations[:, columns]), float(fps)


def _clip(
    document: Document, animation: int, skeleton: Skeleton, rotations: Array, translations: Array, fps: float
) -> Clip:
    source = document.animations[animation]
    note = _note(source)
    captions = note.get("captions")
    return Clip(
        skeleton,
        rotations,
        translations,
        fps,
        name=str(source.get("name") or f"animation_{animation}"),
        captions=tuple(str(c) for c in captions) if isinstance(captions, list) else (),
        action=str(note.get("action", "")),
    )


def _note(animation: dict[str, Any]) -> dict[str, Any]:
    """What this package wrote into an animation's extras, if it did."""
    found = extras(animation)
    note = found.get(EXTRAS) if isinstance(found, dict) else None
    return note if isinstance(note, dict) else {}


def wrap(document: Document, up: str, unit: str | float, *, inward: bool) -> None:
    """Puts a node above each topmost one, to take the document from the axes and unit named to y up and metres.

    Where not ``inward`` it is the other way round. Nothing is done where there is nothing to do.
    """
    turn, factor = conform.upright(up), conform.metres(unit)
    if up == "y" and factor == 1.0:
        return
    if not inward:
        turn, factor = rot.inverse(turn), 1.0 / factor
    nodes = read_nodes(document)
    outer = {}
    for top in [n for n in nodes.order if nodes.parents[n] < 0]:
        w, x, y, z = (float(v) for v in turn)
        outer[top] = len(document.nodes)
        document.nodes.append(
            Node(name=f"{nodes.names[top]}_axes", rotation=[x, y, z, w], scale=[factor] * 3, children=[top])
        )
    for scene in document.scenes or ():
        scene.nodes = [outer.get(n, n) for n in scene.nodes or ()]
