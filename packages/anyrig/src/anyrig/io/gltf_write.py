"""Writes glTF 2.0: clips into a copy of their source document, or into a new document with a mesh of bones.

- A source document keeps its meshes, skins, materials and morph targets. Changed and new clips get one linear key per
  frame, without scale. The animation of an unchanged clip is kept, apart from repairs of invalid glTF and one key for
  each joint that only new clips move.
- A skeleton without a source document is written with a skin and a mesh that shows its bones.
- :func:`make_valid` repairs what Khronos' validator reports as an error and that has one correct reading. Node names
  that three.js would confuse are made unique, and unused arrays are dropped.
"""

from __future__ import annotations

import copy
import os
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pygltflib
from numpy.typing import NDArray

from anyrig import rotations as rot
from anyrig.conform import extent
from anyrig.errors import ClipError, FileError, FileWarning
from anyrig.io.asset import Asset, Source, upward
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
    replace_accessor,
    set_extras,
    wrap,
)
from anyrig.rotations import Array
from anyrig.skeleton import Clip, Skeleton

STILL = 1e-7
"""Radians, or a share of the skeleton's size: smaller changes need no keys; float32 resolves no less."""
_WAIST = 0.15  # position of a bone's thickest part, as a share of its length
_WIDTH = 0.08  # half the thickness there, as a share of the bone's length
_KNOB = 0.012  # half the size of the knob at a joint without a bone, as a share of the skeleton's size
_BASE, _TIP = 4, 5
_FACES = [(n, (n + 1) % 4, _TIP) for n in range(4)] + [((n + 1) % 4, n, _BASE) for n in range(4)]


def write_glb(asset: Asset, path: str | os.PathLike[str], *, up: str = "y", unit: str | float = "m") -> None:
    """Writes the asset with its clips; as JSON with an embedded buffer where the file's name ends in ``.gltf``.

    ``up`` and ``unit`` add a node above all that converts the standard's y up and metres. Raises ClipError for clips of
    other joints, and FileError where the file cannot be written or a value is not finite.
    """
    try:
        document = document_of(asset)
        wrap(document, up, unit, inward=False)
        data = as_gltf(document) if Path(path).suffix.lower() == ".gltf" else as_glb(document)
    except (FileError, ValueError, OverflowError) as error:  # ValueError: JSON has no infinity and no NaN
        raise FileError(f"{path} cannot be written: {error}") from error
    write_bytes(path, data)


def document_of(asset: Asset) -> Document:
    """The document to write for ``asset``, whose source is unchanged. Raises ClipError for clips of other joints."""
    for clip in asset.clips:
        if clip.skeleton.names != asset.skeleton.names or clip.skeleton.parents != asset.skeleton.parents:
            raise ClipError(f"clip {clip.name!r} moves other joints than the asset has")
    return _kept(asset, asset.source) if asset.source else _fresh(asset)


def _kept(asset: Asset, source: Source) -> Document:
    """The source's document with the asset's clips as animations; an unchanged clip keeps its animation."""
    if asset.skeleton.names != source.skeleton.names or asset.skeleton.parents != source.skeleton.parents:
        raise ClipError(f"the asset's joints are not those of {source.document.where}, whose mesh hangs on them")
    document = copy.copy(source.document)
    document.animations = []  # not copied below: they are most of a document's objects, and unchanged
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
    """Moves the joints' nodes to another rest pose; bind matrices are unchanged."""
    joints = list(source.joints)
    pose = node_pose(skeleton.rest_clip(), source.nodes, joints)
    for k, j in enumerate(joints):
        set_transform(document.nodes[j], pose.translations[0, k], pose.rotations[0, k], source.nodes.scales[j])


def node_pose(clip: Clip, nodes: Nodes, joints: list[int]) -> Pose:
    """Local transforms that put the joints' nodes at the clip's joints, whatever the scales above."""
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
            if np.abs(np.linalg.det(linear)).min() > 1e-24:  # else a scale of zero hides the bone
                rest.translations[:, k] = np.linalg.solve(linear, away)[..., 0]
        place.put(k, rest.translations[:, k], rest.rotations[:, k], rest.scales[:, k])
    columns = [chain.index(node) for node in joints]
    return Pose(rest.translations[:, columns], rest.rotations[:, columns], rest.scales[:, columns])


def _animation(document: Document, clip: Clip, nodes: Nodes, joints: list[int]) -> dict[str, Any]:
    """The clip as an animation with one key a frame; arrays are added to the document.

    Constant values get one key, and none where they equal the rest pose. The main root's rotation always gets all keys,
    so that the clip keeps its length.
    """
    pose = node_pose(clip, nodes, joints)
    animation: dict[str, Any] = {"channels": [], "samplers": []} | ({"name": clip.name} if clip.name else {})
    set_extras(animation, {EXTRAS: {"fps": clip.fps, "action": clip.action, "captions": list(clip.captions)}})
    times = (np.arange(clip.n_frames) / clip.fps).astype(np.float32)[:, None]
    time_index = add_accessor(document, times, "SCALAR", bounds=True)
    first_index = add_accessor(document, times[:1], "SCALAR", bounds=True)
    turns = rot.continuous(pose.rotations)[..., [1, 2, 3, 0]].astype(np.float32)
    with np.errstate(over="ignore"):  # add_accessor refuses values that are too large
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
    """The scale from each joint's translation to the world, (J,)."""
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
    """Makes every animation key the same joints: joints that only others move get one key with their rest values.

    Programs that change from one clip to the next leave joints without keys where the last clip put them.
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
    """The inverse bind matrices, column-major: from the rest pose's world to each joint's frame."""
    undo = rot.inverse(skeleton.rest_world())
    matrices = np.tile(np.eye(4), (skeleton.n_joints, 1, 1))
    matrices[:, :3, :3] = rot.to_matrix(undo)
    matrices[:, :3, 3] = -rot.rotate(undo, skeleton.rest_positions())
    columns = matrices.transpose(0, 2, 1).reshape(-1, 16).astype(np.float32)
    return add_accessor(document, columns, "MAT4")


def bone_mesh(skeleton: Skeleton) -> tuple[NDArray[np.float32], NDArray[np.uint16], NDArray[np.uint32]]:
    """Vertices (V, 3) in the rest pose's world, the joint of each vertex (V,), and triangles (F, 3) facing outwards.

    A wedge's tip follows the joint at its end, so that stretched bones are visible.
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
    """Six points: four around the thickest part, the base and the tip."""
    turn = rot.between([0.0, 1.0, 0.0], end - start)
    ring = rot.rotate(turn, [[0, 0, width], [width, 0, 0], [0, 0, -width], [-width, 0, 0]])
    return np.concatenate([start + waist * (end - start) + ring, [start, end]])


def add_bones(document: Document, skeleton: Skeleton) -> None:
    """Adds the mesh, its material and a node for it with the document's first skin."""
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


PATHS = ("translation", "rotation", "scale")
_SUM = 2e-7
"""Tolerance for the sum of a vertex's weights, per joint."""
_UNIT = 1e-4
"""Tolerance for a quaternion's length; the validator allows somewhat more."""
_BLANK = re.compile(r"[\s\ufeff]")
_DROPPED = re.compile(r"[\[\].:/]")
_HARMLESS = {
    "EXT_texture_webp",
    "FB_ngon_encoding",
    "KHR_lights_punctual",
    "KHR_materials_unlit",
    "KHR_mesh_quantization",
    "KHR_texture_basisu",
    "KHR_texture_transform",
    "KHR_xmp_json_ld",
    "VRM",
}
"""Extensions that refer to no accessor or buffer view."""


def make_valid(document: Document) -> None:
    """Repairs the document in place. Raises FileError for an inconsistent document."""
    try:
        _make_valid(document)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        what = f"it is not a consistent glTF document ({type(error).__name__})"
        raise FileError(f"{document.where} is malformed: {what}") from error


def _make_valid(document: Document) -> None:
    for accessor in document.accessors or ():
        if accessor.bufferView is None:
            accessor.byteOffset = None
    _channels(document)
    _nodes(document)
    _skins(document)
    _influences(document)
    for animation in list(document.animations or ()):
        try:
            _keys(document, animation)
        except (
            FileError,
            AttributeError,
            LookupError,
            TypeError,
            ValueError,
        ) as error:  # not one that was read as a clip
            why = str(error) if isinstance(error, FileError) else f"it is malformed ({type(error).__name__})"
            warnings.warn(f"{document.where}: an animation is left out: {why}", FileWarning, stacklevel=2)
            document.animations.remove(animation)
    _bounds(document)


def _channels(document: Document) -> None:
    """Keeps the last of several channels with one target, which is the one that is read; drops empty animations."""
    for animation in document.animations or ():
        last = {}
        for n, channel in enumerate(animation.get("channels", [])):
            target = channel["target"]
            last[(target["node"], target.get("path")) if "node" in target else n] = n
        animation["channels"] = [animation["channels"][n] for n in sorted(last.values())]
    document.animations = [a for a in document.animations or () if a["channels"]]


def _nodes(document: Document) -> None:
    """Removes matrices of animated nodes and transforms beside a matrix; normalises rotations."""
    nodes = read_nodes(document)
    targets = [channel["target"] for animation in document.animations or () for channel in animation["channels"]]
    moved = {target["node"] for target in targets if "node" in target and target.get("path") in PATHS}
    for n, node in enumerate(document.nodes or ()):
        if node.matrix and n in moved:
            set_transform(node, nodes.translations[n], nodes.rotations[n], nodes.scales[n])
        elif node.matrix:
            node.translation = node.rotation = node.scale = None
        elif node.rotation and _is_off(np.array(node.rotation, dtype=np.float64)):
            node.rotation = xyzw(nodes.rotations[n])


def set_transform(node: Node, translation: Array, rotation: Array, scale: Array) -> None:
    """Sets a node's transform and removes its matrix."""
    node.matrix, node.rotation = None, xyzw(rotation)
    node.translation, node.scale = translation.tolist(), scale.tolist()


def xyzw(rotation: Array) -> list[float]:
    """A unit quaternion (w, x, y, z) in glTF's order, clipped to -1 to 1 against rounding."""
    w, x, y, z = (min(max(float(v), -1.0), 1.0) for v in rot.normalize(rotation))
    return [x, y, z, w]


def _is_off(q: Array) -> bool:
    return bool(np.abs(q).max() > 1.0 or abs(np.linalg.norm(q) - 1.0) > _UNIT)


def _skins(document: Document) -> None:
    """Gives a skin's joints a common ancestor, removes a ``skeleton`` that is none, and sets the last rows of inverse
    bind matrices to 0 0 0 1."""
    for s, skin in enumerate(document.skins or ()):
        parents = read_nodes(document).parents
        above = [upward(parents, j) for j in skin.joints or ()]
        if above and not set.intersection(*(set(path) for path in above)):
            _join(document, {path[-1] for path in above})
        if skin.skeleton is not None and not all(skin.skeleton in path for path in above):
            skin.skeleton = None
        if skin.inverseBindMatrices is not None:
            matrices = read_accessor(document, skin.inverseBindMatrices, f"skin {s}", "MAT4")
            if not np.array_equal(matrices[:, 3::4], np.tile([0, 0, 0, 1], (len(matrices), 1))):
                matrices[:, 3::4] = [0, 0, 0, 1]
                replace_accessor(document, skin.inverseBindMatrices, matrices.astype(np.float32))


def _join(document: Document, tops: set[int]) -> None:
    """Puts one node above the topmost nodes ``tops``, in every scene with any of them."""
    new = len(document.nodes)
    document.nodes.append(Node(name="armature", children=sorted(tops)))
    for scene in document.scenes or ():
        if tops & set(scene.nodes or ()):
            scene.nodes = [n for n in scene.nodes if n not in tops] + [new]


def _influences(document: Document) -> None:
    """Makes weights finite with a sum of 1, and merges repeated joints of a vertex.

    A vertex without weights follows the first of its joints.
    """
    seen = set()
    for mesh in document.meshes or ():
        for primitive in mesh.primitives:
            # Meshes with more than four influences, and compressed ones, are unchanged.
            joints, weights = primitive.attributes.JOINTS_0, primitive.attributes.WEIGHTS_0
            more = getattr(primitive.attributes, "JOINTS_1", None) is not None
            if None in (joints, weights) or more or (joints, weights) in seen:
                continue
            seen.add((joints, weights))
            if all(document.accessors[i].bufferView is not None for i in (joints, weights)):
                _influence(document, joints, weights)


def _influence(document: Document, joints: int, weights: int) -> None:
    followed = read_accessor(document, joints, "a mesh", "VEC4")
    share = read_accessor(document, weights, "a mesh", "VEC4").astype(np.float64)
    fixed = np.maximum(np.nan_to_num(share, nan=0.0, posinf=0.0, neginf=0.0), 0.0)
    for late in range(1, 4):
        for early in range(late):
            twice = (followed[:, late] == followed[:, early]) & (fixed[:, late] > 0) & (fixed[:, early] > 0)
            fixed[twice, early] += fixed[twice, late]
            fixed[twice, late] = 0.0
    total = fixed.sum(axis=1)
    fixed[total <= 0] = [1, 0, 0, 0]
    off = np.abs(total - 1.0) > _SUM * np.maximum((fixed > 0).sum(axis=1), 1)
    fixed[off & (total > 0)] /= total[off & (total > 0), None]
    changed = (fixed != share).any(axis=1)
    if changed.any():
        followed[changed] = np.where(fixed[changed] > 0, followed[changed], 0)
        replace_accessor(document, joints, followed)
        replace_accessor(document, weights, fixed.astype(np.float32))


def _keys(document: Document, animation: dict[str, Any]) -> None:
    """Makes times nonnegative and increasing, and normalises rotations."""
    path_of = {channel["sampler"]: channel["target"].get("path") for channel in animation["channels"]}
    used = {n: animation["samplers"][n] for n in path_of}
    start = min(float(_times(document, sampler).min()) for sampler in used.values())
    for n, sampler in used.items():
        times = _times(document, sampler)
        kept = np.append(np.diff(times) > 0, True)  # the last of several keys at one time
        output = document.accessors[document.index(sampler.get("output"), document.accessors, "an animation")]
        values = read_accessor(document, sampler["output"], "an animation").astype(np.float64)
        changed = values.reshape(len(times), -1)[kept].reshape(-1, values.shape[1])
        lengths = np.linalg.norm(changed, axis=-1, keepdims=True)
        if path_of[n] == "rotation" and sampler.get("interpolation") != "CUBICSPLINE":
            if not lengths.all():
                changed[lengths[:, 0] == 0], lengths[lengths == 0] = [0, 0, 0, 1], 1.0
            if np.abs(lengths - 1.0).max() > _UNIT:
                changed = changed / lengths
        if start < 0 or not kept.all():
            moved = (times[kept] - min(start, 0.0)).astype(np.float32)[:, None]
            sampler["input"] = add_accessor(document, moved, "SCALAR", bounds=True)
        if not np.array_equal(changed, values):
            sampler["output"] = add_accessor(document, changed.astype(np.float32), output.type)


def _times(document: Document, sampler: dict[str, Any]) -> Array:
    return read_accessor(document, sampler["input"], "an animation", "SCALAR")[:, 0].astype(np.float64)


def _bounds(document: Document) -> None:
    """Sets the least and greatest values of positions and times, and of accessors that have them."""
    needed = {s["input"] for a in document.animations or () for s in a["samplers"]}
    needed |= {p.attributes.POSITION for m in document.meshes or () for p in m.primitives} - {None}
    for n, accessor in enumerate(document.accessors or ()):
        stored = accessor.bufferView is not None or accessor.sparse is not None
        if accessor.count and stored and (n in needed or accessor.min or accessor.max):
            raw = read_accessor(document, n, "bounds", raw=True)
            if np.isfinite(raw).all():
                accessor.min, accessor.max = raw.min(axis=0).tolist(), raw.max(axis=0).tolist()


def make_names_unique(document: Document) -> None:
    """Renames nodes that three.js would confuse.

    Its loader replaces blanks by underscores and drops brackets, points, colons and slashes. It renames the second
    "arm" to "arm_1" even if there is an "arm_1" already, whose animation then moves the wrong node.
    """
    names = [str(node.name) for node in document.nodes or () if node.name]
    names += [str(thing.name) for things in (document.cameras, document.scenes) for thing in things or () if thing.name]
    for n, mesh in enumerate(document.meshes or ()):
        names += [str(mesh.name or f"mesh_{n}")] * max(len(mesh.primitives), 1)
    counts = Counter(three_name(name) for name in names)
    made = {f"{name}_{k}" for name, count in counts.items() for k in range(1, count)}
    taken: set[str] = set()
    for node in document.nodes or ():
        if not node.name:
            continue  # three.js finds it by its number
        name, k = str(node.name), 1
        while three_name(name) in taken or three_name(name) in made or (k > 1 and three_name(name) in counts):
            k += 1
            name = f"{node.name}_{k}"
        node.name = name
        taken.add(three_name(name))


def three_name(name: str) -> str:
    """A name as three.js sanitises it."""
    return _DROPPED.sub("", _BLANK.sub("_", name))


def prune(document: Document) -> None:
    """Drops unused accessors and buffer views, except in documents with extensions that may refer to some."""
    used = set(document.extensionsUsed or ())
    if not all(name in _HARMLESS or name.startswith(("KHR_materials_", "VRMC_")) for name in used):
        return
    document.accessors = _used(document.accessors, list(_accessor_slots(document)))
    document.bufferViews = _used(document.bufferViews, list(_view_slots(document)))


Slot = tuple[int, Callable[[int], None]]
"""An index in a document, and a function that sets it."""


def _used(items: list[Any], slots: list[Slot]) -> list[Any]:
    """The items that are referred to by a slot; renumbers the slots."""
    wanted = sorted({index for index, _ in slots})
    number = {old: new for new, old in enumerate(wanted)}
    for index, put in slots:
        put(number[index])
    return [items[index] for index in wanted]


def _attribute(owner: Any, name: str) -> Iterator[Slot]:
    """The slot in ``owner.name``, or under that key of a dict, unless it is None."""
    if isinstance(owner, dict):
        if owner.get(name) is not None:
            yield owner[name], lambda new: owner.__setitem__(name, new)
    elif getattr(owner, name, None) is not None:
        yield getattr(owner, name), lambda new: setattr(owner, name, new)


def _accessor_slots(document: Document) -> Iterator[Slot]:
    for mesh in document.meshes or ():
        for primitive in mesh.primitives:
            yield from _attribute(primitive, "indices")
            for table in (primitive.attributes, *(primitive.targets or ())):
                for name in list(table if isinstance(table, dict) else vars(table)):
                    yield from _attribute(table, name)
    for skin in document.skins or ():
        yield from _attribute(skin, "inverseBindMatrices")
    for animation in document.animations or ():
        for sampler in animation.get("samplers", []):
            yield from _attribute(sampler, "input")
            yield from _attribute(sampler, "output")


def _view_slots(document: Document) -> Iterator[Slot]:
    for accessor in document.accessors or ():
        yield from _attribute(accessor, "bufferView")
        if accessor.sparse is not None:
            yield from _attribute(accessor.sparse.indices, "bufferView")
            yield from _attribute(accessor.sparse.values, "bufferView")
    for image in document.images or ():
        yield from _attribute(image, "bufferView")
