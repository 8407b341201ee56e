"""Making a document valid glTF: what Khronos' validator calls an error and has one right reading, node names that
three.js takes for one another, and arrays that nothing refers to.

Exporters leave such things in their files, and readers handle each in their own way. What is valid stays as it is.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from anyrig import rotations as rot
from anyrig.errors import FileError, FileWarning
from anyrig.io.gltf_document import Document, Node, Nodes, add_accessor, read_accessor, read_nodes, replace_accessor
from anyrig.rotations import Array

PATHS = ("translation", "rotation", "scale")
_SUM = 2e-7
"""By how much, for each joint that it follows, the weights of a vertex may miss 1."""
_UNIT = 1e-4
"""How far from 1 a quaternion's length may be; the validator allows somewhat more."""
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
    """Puts the document right, in place. Raises FileError for one that is no consistent glTF document."""
    try:
        _make_valid(document)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        what = f"it is no consistent glTF document ({type(error).__name__})"
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
        except (FileError, AttributeError, LookupError, TypeError, ValueError) as error:  # none that was read as a clip
            why = str(error) if isinstance(error, FileError) else f"it is malformed ({type(error).__name__})"
            warnings.warn(f"{document.where}: an animation is left out: {why}", FileWarning, stacklevel=2)
            document.animations.remove(animation)
    _bounds(document)


def _channels(document: Document) -> None:
    """Of channels with one target the last stays, which is the one that is read; animations without any go."""
    for animation in document.animations or ():
        last = {}
        for n, channel in enumerate(animation.get("channels", [])):
            target = channel["target"]
            last[(target["node"], target.get("path")) if "node" in target else n] = n
        animation["channels"] = [animation["channels"][n] for n in sorted(last.values())]
    document.animations = [a for a in document.animations or () if a["channels"]]


def _nodes(document: Document) -> None:
    """Nodes that are animated have no matrix, none has one beside the rest, and rotations have length 1."""
    nodes = read_nodes(document)
    moved = {target["node"] for _, target in _targets(document) if target.get("path") in PATHS}
    for n, node in enumerate(document.nodes or ()):
        if node.matrix and n in moved:
            set_transform(document, nodes, n)
        elif node.matrix:
            node.translation = node.rotation = node.scale = None
        elif node.rotation and _is_off(np.array(node.rotation, dtype=np.float64)):
            node.rotation = xyzw(nodes.rotations[n])


def _targets(document: Document) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """(animation, target) of every channel that has a node for a target."""
    for animation in document.animations or ():
        for channel in animation["channels"]:
            if "node" in channel["target"]:
                yield animation, channel["target"]


def set_transform(document: Document, nodes: Nodes, n: int) -> None:
    """Gives node ``n`` translation, rotation and scale in place of a matrix."""
    node = document.nodes[n]
    node.matrix = None
    node.translation, node.scale = nodes.translations[n].tolist(), nodes.scales[n].tolist()
    node.rotation = xyzw(nodes.rotations[n])


def xyzw(rotation: Array) -> list[float]:
    """A unit quaternion (w, x, y, z) as glTF has it, none of its numbers beyond 1 by rounding."""
    w, x, y, z = (min(max(float(v), -1.0), 1.0) for v in rot.normalize(rotation))
    return [x, y, z, w]


def _is_off(q: Array) -> bool:
    return bool(np.abs(q).max() > 1.0 or abs(np.linalg.norm(q) - 1.0) > _UNIT)


def _skins(document: Document) -> None:
    """A skin's joints have a node above them all, ``skeleton`` is such a one or nothing, and inverse bind matrices end
    in 0 0 0 1."""
    for s, skin in enumerate(document.skins or ()):
        parents = read_nodes(document).parents
        above = [list(_upward(parents, j)) for j in skin.joints or ()]
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
    """Puts one node above some of the topmost, in every scene that has any of them."""
    new = len(document.nodes)
    document.nodes.append(Node(name="armature", children=sorted(tops)))
    for scene in document.scenes or ():
        if tops & set(scene.nodes or ()):
            scene.nodes = [n for n in scene.nodes if n not in tops] + [new]


def _upward(parents: tuple[int, ...], node: int) -> Iterator[int]:
    while node >= 0:
        yield node
        node = parents[node]


def _influences(document: Document) -> None:
    """Weights are numbers that add up to 1, and no vertex follows a joint twice.

    A vertex without any weight follows the first of its joints.
    """
    seen = set()
    for mesh in document.meshes or ():
        for primitive in mesh.primitives:
            # A mesh with more influences than four, or a compressed one, is left as it is.
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
    """Times are not negative and increase, and rotations are of length 1."""
    path_of = {channel["sampler"]: channel["target"].get("path") for channel in animation["channels"]}
    used = {n: animation["samplers"][n] for n in path_of}
    start = min(float(_times(document, sampler).min()) for sampler in used.values())
    for n, sampler in used.items():
        times = _times(document, sampler)
        kept = np.append(np.diff(times) > 0, True)  # of keys at one time the last, which is what lasts
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
    """Least and greatest values are those of the data; positions and times have them."""
    needed = {s["input"] for a in document.animations or () for s in a["samplers"]}
    needed |= {p.attributes.POSITION for m in document.meshes or () for p in m.primitives} - {None}
    for n, accessor in enumerate(document.accessors or ()):
        stored = accessor.bufferView is not None or accessor.sparse is not None
        if accessor.count and stored and (n in needed or accessor.min or accessor.max):
            raw = read_accessor(document, n, "bounds", raw=True)
            if np.isfinite(raw).all():
                accessor.min, accessor.max = raw.min(axis=0).tolist(), raw.max(axis=0).tolist()


def make_names_unique(document: Document) -> None:
    """Gives nodes other names where three.js would take one for another.

    Its loader puts an underscore for a blank and drops brackets, points, colons and slashes; the second "arm" becomes
    "arm_1", no matter whether there is an "arm_1" already, and the animation of the latter then moves the former.
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
            continue  # it is found by its number
        name, k = str(node.name), 1
        while three_name(name) in taken or three_name(name) in made or (k > 1 and three_name(name) in counts):
            k += 1
            name = f"{node.name}_{k}"
        node.name = name
        taken.add(three_name(name))


def three_name(name: str) -> str:
    """What three.js makes of a name."""
    return _DROPPED.sub("", _BLANK.sub("_", name))


def prune(document: Document) -> None:
    """Drops unused accessors and buffer views. A document with an extension that may refer to some is left as it is."""
    used = set(document.extensionsUsed or ())
    if not all(name in _HARMLESS or name.startswith(("KHR_materials_", "VRMC_")) for name in used):
        return
    document.accessors = _used(document.accessors, list(_accessor_slots(document)))
    document.bufferViews = _used(document.bufferViews, list(_view_slots(document)))


Slot = tuple[int, Callable[[int], None]]
"""An index that stands somewhere in a document, and how to change it."""


def _used(items: list[Any], slots: list[Slot]) -> list[Any]:
    """The items that some slot refers to, with the slots renumbered."""
    wanted = sorted({index for index, _ in slots})
    number = {old: new for new, old in enumerate(wanted)}
    for index, put in slots:
        put(number[index])
    return [items[index] for index in wanted]


def _attribute(owner: Any, name: str) -> Iterator[Slot]:
    """The slot in ``owner.name``, or under that key of a dict, unless it is empty."""
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
