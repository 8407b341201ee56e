"""Writing glTF 2.0: clips into a copy of the document they came from, or into a new one with a mesh of bones.

- Writing an asset that was read keeps meshes, skins, materials, morph targets and all else. Changed and new clips get
  one linear key a frame, without scale. An animation whose clip was not changed is kept to the letter, but for what is
  no valid glTF, and for one key for each joint that a new clip moves and it does not.
- A skeleton from elsewhere is written with a skin and a mesh that shows its bones.
"""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import numpy as np
import pygltflib
from numpy.typing import NDArray

from anyrig import rotations as rot
from anyrig.conform import extent
from anyrig.errors import ClipError, FileError
from anyrig.io.asset import Asset, Source
from anyrig.io.files import write_bytes
from anyrig.io.gltf_document import (
    EXTRAS,
    Document,
    Node,
    Nodes,
    Placement,
    Pose,
    add_accessor,
    as_glb,
    as_gltf,
    new_document,
    read_accessor,
    read_nodes,
    set_extras,
    wrap,
)
from anyrig.io.gltf_valid import make_names_unique, make_valid, prune, xyzw
from anyrig.rotations import Array
from anyrig.skeleton import Clip, Skeleton

STILL = 1e-7
"""Radians, or a share of the skeleton's size: what changes by no more needs no keys, float32 resolves no less."""
_WAIST = 0.15  # how far along a bone it is thickest
_WIDTH = 0.08  # half the thickness there, as a share of the bone's length
_KNOB = 0.012  # half the size of the knob at a joint where no bone begins, as a share of the skeleton's size
_BASE, _TIP = 4, 5
_FACES = [(n, (n + 1) % 4, _TIP) for n in range(4)] + [((n + 1) % 4, n, _BASE) for n in range(4)]


def write_glb(asset: Asset, path: str | os.PathLike[str], *, up: str = "y", unit: str | float = "m") -> None:
    """Writes the asset with its clips; as JSON with the buffer inside where the file's name ends in ``.gltf``.

    ``up`` and ``unit`` put a node above all that takes the standard's y up and metres to others. Raises ClipError for
    clips of other joints, and FileError where the disk refuses or a value is not finite.
    """
    try:
        document = document_of(asset)
        wrap(document, up, unit, inward=False)
        data = as_gltf(document) if Path(path).suffix.lower() == ".gltf" else as_glb(document)
    except (FileError, ValueError, OverflowError) as error:  # ValueError: JSON has no word for what is not finite
        raise FileError(f"{path} cannot be written: {error}") from error
    write_bytes(path, data)


def document_of(asset: Asset) -> Document:
    """The document to write for ``asset``; its source's is left as it is. Raises ClipError for foreign joints."""
    for clip in asset.clips:
        if clip.skeleton.names != asset.skeleton.names or clip.skeleton.parents != asset.skeleton.parents:
            raise ClipError(f"clip {clip.name!r} moves other joints than the asset has")
    return _kept(asset, asset.source) if asset.source else _fresh(asset)


def _kept(asset: Asset, source: Source) -> Document:
    """The source's document with the asset's clips for animations; a clip that was read from it stays as it stands."""
    if asset.skeleton.names != source.skeleton.names or asset.skeleton.parents != source.skeleton.parents:
        raise ClipError(f"the asset's joints are not those of {source.document.where}, whose mesh hangs on them")
    document = copy.copy(source.document)
    document.animations = []  # most of a document's objects, and none of them is changed
    document = copy.deepcopy(document)
    before = source.document.animations or []
    others = [a for n, a in enumerate(before) if n not in {index for _, index in source.clips}]
    if not _same_rest(asset.skeleton, source.skeleton):
        _set_rest(document, asset.skeleton, source)
    for clip in asset.clips:
        known = [index for original, index in source.clips if original is clip]
        document.animations.append(
            copy.deepcopy(before[known[0]]) if known else _animation(document, clip, source.nodes, list(source.joints))
        )
    clips = list(document.animations)
    document.animations += copy.deepcopy(others)
    make_valid(document)
    make_names_unique(document)
    if len(clips) > 1 and any(all(clip is not original for original, _ in source.clips) for clip in asset.clips):
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
    time_index = add_accessor(document, times, "SCALAR", bounds=True)
    first_index = add_accessor(document, times[:1], "SCALAR", bounds=True)
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
    place = nodes.placed(chain, nodes.rest(chain))
    return np.array([max(np.abs(place.parent(chain.index(node))[2]).max(), 1e-12) for node in joints])


def _add_channel(
    document: Document,
    animation: dict[str, Any],
    node: int,
    path: str,
    times: int,
    values: NDArray[np.float32],
) -> None:
    _add_sampler(animation, node, path, times, add_accessor(document, values, f"VEC{values.shape[1]}"))


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
                starts = [read_accessor(document, s["input"], "an animation").min() for s in animation["samplers"]]
                first = add_accessor(document, np.array([[min(starts)]], np.float32), "SCALAR", bounds=True)
            if (node, path) not in values:
                value = rest[path][node].astype(np.float32)[None]
                values[node, path] = add_accessor(document, value, f"VEC{value.shape[1]}")
            _add_sampler(animation, node, path, first, values[node, path])


def _fresh(asset: Asset) -> Document:
    """A new document: a node for each joint, a skin that names them all, and a mesh that shows them."""
    skeleton = asset.skeleton
    document = new_document()
    for j, name in enumerate(skeleton.names):
        place = {"translation": skeleton.offsets[j].tolist(), "rotation": xyzw(skeleton.rest[j])}
        document.nodes.append(Node(name=name or f"joint_{j}", children=list(skeleton.children[j]), **place))
    joints = list(range(skeleton.n_joints))
    document.skins = [pygltflib.Skin(joints=joints, inverseBindMatrices=_bind(document, skeleton))]
    document.scenes, document.scene = [pygltflib.Scene(nodes=list(skeleton.roots))], 0
    add_bones(document, skeleton)
    nodes = read_nodes(document)
    document.animations = [_animation(document, clip, nodes, joints) for clip in asset.clips]
    make_valid(document)
    make_names_unique(document)
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
    return add_accessor(document, columns, "MAT4")


def bone_mesh(skeleton: Skeleton) -> tuple[NDArray[np.float32], NDArray[np.uint16], NDArray[np.uint32]]:
    """Vertices (V, 3) in the rest pose's world, the joint that each follows (V,), and triangles (F, 3), outside out.

    A wedge's tip follows the joint at its end, so bones that stretch are seen to stretch.
    """
    at, knob = skeleton.rest_positions(), _KNOB * extent(skeleton)
    vertices: list[Array] = []
    followed: list[int] = []
    for j in range(skeleton.n_joints):
        lengths = {c: float(np.linalg.norm(at[c] - at[j])) for c in skeleton.children[j]}
        ends = [c for c, length in lengths.items() if length > 1e-6 * extent(skeleton)]
        for c in ends:
            vertices.append(_wedge(at[j], at[c], _WIDTH * lengths[c], _WAIST))
            followed += [j] * 5 + [c]
        if not ends:
            up = np.array([0.0, knob, 0.0])
            vertices.append(_wedge(at[j] - up, at[j] + up, knob, 0.5))
            followed += [j] * 6
    faces = np.concatenate([np.array(_FACES) + 6 * n for n in range(len(vertices))])
    return np.concatenate(vertices).astype(np.float32), np.array(followed, np.uint16), faces.astype(np.uint32)


def _wedge(start: Array, end: Array, width: float, waist: float) -> Array:
    """Six points: four around the waist, the base and the tip."""
    turn = rot.between([0.0, 1.0, 0.0], end - start)
    ring = rot.rotate(turn, [[0, 0, width], [width, 0, 0], [0, 0, -width], [-width, 0, 0]])
    return np.concatenate([start + waist * (end - start) + ring, [start, end]])


def add_bones(document: Document, skeleton: Skeleton) -> None:
    """Adds the mesh, its material and a node that hangs it on the document's first skin."""
    vertices, followed, faces = bone_mesh(skeleton)
    joints = np.zeros((len(vertices), 4), np.uint16)
    joints[:, 0] = followed
    weights = np.tile(np.array([1, 0, 0, 0], np.float32), (len(vertices), 1))
    attributes = pygltflib.Attributes(
        POSITION=add_accessor(document, vertices, "VEC3", target=pygltflib.ARRAY_BUFFER, bounds=True),
        JOINTS_0=add_accessor(document, joints, "VEC4", target=pygltflib.ARRAY_BUFFER),
        WEIGHTS_0=add_accessor(document, weights, "VEC4", target=pygltflib.ARRAY_BUFFER),
    )
    indices = add_accessor(document, faces.reshape(-1, 1), "SCALAR", target=pygltflib.ELEMENT_ARRAY_BUFFER)
    surface = pygltflib.PbrMetallicRoughness(
        baseColorFactor=[0.85, 0.6, 0.35, 1.0], metallicFactor=0.0, roughnessFactor=0.8
    )
    document.materials = [pygltflib.Material(name="bone", pbrMetallicRoughness=surface)]
    primitive = pygltflib.Primitive(attributes=attributes, indices=indices, material=0)
    document.meshes = [pygltflib.Mesh(name="bones", primitives=[primitive])]
    document.scenes[0].nodes.append(len(document.nodes))
    document.nodes.append(Node(name="bones", mesh=0, skin=0))
