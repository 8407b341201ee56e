"""Clips into a document: a copy of the one they came from, or a new one with nodes, a skin and a mesh of bones."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pygltflib
from numpy.typing import NDArray

from anyrig import rotations as rot
from anyrig.conform import extent
from anyrig.errors import ClipError
from anyrig.io import _accessors
from anyrig.io._bones import add_bones
from anyrig.io._document import Document, Node, new_document, set_extras
from anyrig.io._model import Model
from anyrig.io._node_names import make_unique
from anyrig.io._nodes import Nodes, Placement, Pose, read_nodes
from anyrig.io._prune import prune
from anyrig.io._source import EXTRAS, Source
from anyrig.io._valid import make_valid, xyzw
from anyrig.skeleton import Clip, Skeleton

Array = NDArray[np.float64]

STILL = 1e-7
"""Radians, or a share of the skeleton's size: what changes by no more needs no keys, float32 resolves no less."""


def document_of(model: Model, *, bones: bool = True) -> Document:
    """The document to write for ``model``; its source's is left as it is. Raises ClipError for foreign joints."""
    for clip in model.clips:
        if clip.skeleton.names != model.skeleton.names or clip.skeleton.parents != model.skeleton.parents:
            raise ClipError(f"clip {clip.name!r} moves other joints than the model has")
    return _kept(model, model.source) if model.source else _fresh(model, bones)


def _kept(model: Model, source: Source) -> Document:
    """The source's document with the model's clips for animations; a clip that was read from it stays as it stands."""
    if model.skeleton.names != source.skeleton.names or model.skeleton.parents != source.skeleton.parents:
        raise ClipError(f"the model's joints are not those of {source.document.where}, whose mesh hangs on them")
    document = copy.copy(source.document)
    document.animations = []  # most of a document's objects, and none of them is changed
    document = copy.deepcopy(document)
    before = source.document.animations or []
    others = [a for n, a in enumerate(before) if n not in {index for _, index in source.clips}]
    if not _same_rest(model.skeleton, source.skeleton):
        _set_rest(document, model.skeleton, source)
    for clip in model.clips:
        known = [index for original, index in source.clips if original is clip]
        document.animations.append(
            copy.deepcopy(before[known[0]]) if known else _animation(document, clip, source.nodes, list(source.joints))
        )
    clips = list(document.animations)
    document.animations += copy.deepcopy(others)
    make_valid(document)
    make_unique(document)
    if len(clips) > 1 and any(all(clip is not original for original, _ in source.clips) for clip in model.clips):
        _level(document, clips)
    prune(document)
    return document


def _same_rest(a: Skeleton, b: Skeleton) -> bool:
    return a is b or (np.array_equal(a.offsets, b.offsets) and np.array_equal(a.rest, b.rest))


def _set_rest(document: Document, skeleton: Skeleton, source: Source) -> None:
    """Moves the joints' nodes to another rest pose; the skin stays bound as it was."""
    rest = Clip(skeleton, skeleton.rest[None], skeleton.offsets, 1.0)
    joints = list(source.joints)
    pose = node_pose(rest, source.nodes, joints)
    for k, j in enumerate(joints):
        node = document.nodes[j]
        node.matrix = None
        node.rotation, node.translation = xyzw(pose.rotations[0, k]), pose.translations[0, k].tolist()
        node.scale = source.nodes.scales[j].tolist()


def node_pose(clip: Clip, nodes: Nodes, joints: list[int]) -> Pose:
    """Local node transforms that put the joints' nodes where the clip has its joints, whatever scales are above."""
    chain = nodes.above(joints)
    joint_of = {node: j for j, node in enumerate(joints)}
    rest = nodes.rest(chain, clip.n_frames)
    positions, rotations = clip.world()
    place = Placement(nodes, chain, clip.n_frames)
    for k, node in enumerate(chain):
        if node in joint_of:
            j = joint_of[node]
            p, w, linear = place.parent(k)
            rest.rotations[:, k] = rot.multiply(rot.inverse(w), rotations[:, j])
            away = (positions[:, j] - p)[..., None]
            if np.abs(np.linalg.det(linear)).min() > 1e-24:  # below that, a scale of zero hides the bone
                rest.translations[:, k] = np.linalg.solve(linear, away)[..., 0]
        place.put(k, rest.translations[:, k], rest.rotations[:, k], rest.scales[:, k])
    columns = [chain.index(node) for node in joints]
    return Pose(rest.translations[:, columns], rest.rotations[:, columns], rest.scales[:, columns])


def _animation(document: Document, clip: Clip, nodes: Nodes, joints: list[int]) -> dict[str, Any]:
    """The clip as an animation with one key a frame; arrays are added to the document.

    What does not change in a clip gets one key, and none where it is as in the rest pose. The main root's rotation gets
    all of them, so that the clip keeps its length.
    """
    pose = node_pose(clip, nodes, joints)
    animation: dict[str, Any] = {"channels": [], "samplers": []} | ({"name": clip.name} if clip.name else {})
    set_extras(animation, {EXTRAS: {"fps": clip.fps, "action": clip.action, "captions": list(clip.captions)}})
    times = (np.arange(clip.n_frames) / clip.fps).astype(np.float32)[:, None]
    time_index = _accessors.add(document, times, "SCALAR", bounds=True)
    first_index = _accessors.add(document, times[:1], "SCALAR", bounds=True)
    turns = rot.continuous(pose.rotations)[..., [1, 2, 3, 0]].astype(np.float32)
    with np.errstate(over="ignore"):  # what is too large is refused where it is added
        moves = pose.translations.astype(np.float32)
    turning = rot.angle(pose.rotations, pose.rotations[:1]).max(axis=0) > STILL
    turned = rot.angle(pose.rotations, nodes.rotations[joints]).max(axis=0) > STILL
    least = STILL * extent(clip.skeleton) / _scales_above(nodes, joints)
    moving = np.abs(pose.translations - pose.translations[:1]).max(axis=(0, 2)) > least
    moved = np.abs(pose.translations - nodes.translations[joints]).max(axis=(0, 2)) > least
    for k, node in enumerate(joints):
        if turning[k] or k == clip.skeleton.main_root:
            _add_channel(document, animation, node, "rotation", time_index, turns[:, k])
        elif turned[k]:
            _add_channel(document, animation, node, "rotation", first_index, turns[:1, k])
        if moving[k]:
            _add_channel(document, animation, node, "translation", time_index, moves[:, k])
        elif moved[k]:
            _add_channel(document, animation, node, "translation", first_index, moves[:1, k])
    return animation


def _scales_above(nodes: Nodes, joints: list[int]) -> Array:
    """By how much each joint's translation is enlarged on its way to the world, (J,)."""
    chain = nodes.above(joints)
    place = Placement(nodes, chain, 1)
    rest = nodes.rest(chain)
    for k in range(len(chain)):
        place.put(k, rest.translations[:, k], rest.rotations[:, k], rest.scales[:, k])
    return np.array([max(np.abs(place.parent(chain.index(node))[2]).max(), 1e-12) for node in joints])


def _add_channel(
    document: Document,
    animation: dict[str, Any],
    node: int,
    path: str,
    times: int,
    values: NDArray[np.float32],
) -> None:
    _add_sampler(animation, node, path, times, _accessors.add(document, values, f"VEC{values.shape[1]}"))


def _add_sampler(animation: dict[str, Any], node: int, path: str, times: int, output: int) -> None:
    animation["channels"].append({"sampler": len(animation["samplers"]), "target": {"node": node, "path": path}})
    animation["samplers"].append({"input": times, "output": output, "interpolation": "LINEAR"})


def _level(document: Document, animations: list[dict[str, Any]]) -> None:
    """Makes every animation key the same joints: those that others move get one key that leaves them as they rest.

    Programs that go over from one clip to the next leave what has no key where the last one put it.
    """
    nodes = read_nodes(document)
    rest = {"translation": nodes.translations, "rotation": nodes.rotations[:, [1, 2, 3, 0]], "scale": nodes.scales}
    keyed = [{(c["target"].get("node"), c["target"].get("path")) for c in a["channels"]} for a in animations]
    wanted = sorted((node, path) for node, path in set().union(*keyed) if node is not None and path in rest)
    values: dict[tuple[int, str], int] = {}
    for animation, has in zip(animations, keyed, strict=True):
        first = None
        for node, path in wanted:
            if (node, path) in has:
                continue
            if first is None:
                starts = [_accessors.read(document, s["input"], "an animation").min() for s in animation["samplers"]]
                first = _accessors.add(document, np.array([[min(starts)]], np.float32), "SCALAR", bounds=True)
            if (node, path) not in values:
                value = rest[path][node].astype(np.float32)[None]
                values[node, path] = _accessors.add(document, value, f"VEC{value.shape[1]}")
            _add_sampler(animation, node, path, first, values[node, path])


def _fresh(model: Model, bones: bool) -> Document:
    """A new document: a node for each joint, a skin that names them all, and (``bones``) a mesh that shows them."""
    skeleton = model.skeleton
    document = new_document()
    for j, name in enumerate(skeleton.names):
        place = {"translation": skeleton.offsets[j].tolist(), "rotation": xyzw(skeleton.rest[j])}
        document.nodes.append(Node(name=name or f"joint_{j}", children=list(skeleton.children[j]), **place))
    joints = list(range(skeleton.n_joints))
    document.skins = [pygltflib.Skin(joints=joints, inverseBindMatrices=_bind(document, skeleton))]
    document.scenes, document.scene = [pygltflib.Scene(nodes=list(skeleton.roots))], 0
    if bones:
        add_bones(document, skeleton)
    nodes = read_nodes(document)
    document.animations = [_animation(document, clip, nodes, joints) for clip in model.clips]
    make_valid(document)
    make_unique(document)
    _level(document, document.animations)
    prune(document)
    return document


def _bind(document: Document, skeleton: Skeleton) -> int:
    """The inverse bind matrices, column-major: what takes the rest pose's world to each joint's own frame."""
    undo = rot.inverse(skeleton.rest_world())
    matrices = np.tile(np.eye(4), (skeleton.n_joints, 1, 1))
    matrices[:, :3, :3] = rot.to_matrix(undo)
    matrices[:, :3, 3] = -rot.rotate(undo, skeleton.rest_positions())
    columns = matrices.transpose(0, 2, 1).reshape(-1, 16).astype(np.float32)
    return _accessors.add(document, columns, "MAT4")
