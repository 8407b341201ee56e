"""Making a document valid glTF where it is not: what Khronos' validator calls an error, and has one right reading.

Exporters leave such things in their files, readers put up with them in ways of their own, and a file of ours is to be
no such riddle. What is valid stays as it is.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anyrig import rotations as rot
from anyrig.errors import FileError, FileWarning
from anyrig.io import _accessors
from anyrig.io._document import Document, Node
from anyrig.io._nodes import Nodes, read_nodes

PATHS = ("translation", "rotation", "scale")
_SUM = 2e-7
"""By how much, for each joint that it follows, the weights of a vertex may miss 1."""
_UNIT = 1e-4
"""How far from 1 a quaternion's length may be; the validator allows somewhat more."""


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


def xyzw(rotation: NDArray[np.float64]) -> list[float]:
    """A unit quaternion (w, x, y, z) as glTF has it, none of its numbers beyond 1 by rounding."""
    w, x, y, z = (min(max(float(v), -1.0), 1.0) for v in rot.normalize(rotation))
    return [x, y, z, w]


def _is_off(q: NDArray[np.float64]) -> bool:
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
            matrices = _accessors.read(document, skin.inverseBindMatrices, f"skin {s}", "MAT4")
            if not np.array_equal(matrices[:, 3::4], np.tile([0, 0, 0, 1], (len(matrices), 1))):
                matrices[:, 3::4] = [0, 0, 0, 1]
                _accessors.replace(document, skin.inverseBindMatrices, matrices.astype(np.float32))


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
    followed = _accessors.read(document, joints, "a mesh", "VEC4")
    share = _accessors.read(document, weights, "a mesh", "VEC4").astype(np.float64)
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
        _accessors.replace(document, joints, followed)
        _accessors.replace(document, weights, fixed.astype(np.float32))


def _keys(document: Document, animation: dict[str, Any]) -> None:
    """Times are not negative and increase, and rotations are of length 1."""
    path_of = {channel["sampler"]: channel["target"].get("path") for channel in animation["channels"]}
    used = {n: animation["samplers"][n] for n in path_of}
    start = min(float(_times(document, sampler).min()) for sampler in used.values())
    for n, sampler in used.items():
        times = _times(document, sampler)
        kept = np.append(np.diff(times) > 0, True)  # of keys at one time the last, which is what lasts
        output = document.accessors[document.index(sampler.get("output"), document.accessors, "an animation")]
        values = _accessors.read(document, sampler["output"], "an animation").astype(np.float64)
        changed = values.reshape(len(times), -1)[kept].reshape(-1, values.shape[1])
        lengths = np.linalg.norm(changed, axis=-1, keepdims=True)
        if path_of[n] == "rotation" and sampler.get("interpolation") != "CUBICSPLINE":
            if not lengths.all():
                changed[lengths[:, 0] == 0], lengths[lengths == 0] = [0, 0, 0, 1], 1.0
            if np.abs(lengths - 1.0).max() > _UNIT:
                changed = changed / lengths
        if start < 0 or not kept.all():
            moved = (times[kept] - min(start, 0.0)).astype(np.float32)[:, None]
            sampler["input"] = _accessors.add(document, moved, "SCALAR", bounds=True)
        if not np.array_equal(changed, values):
            sampler["output"] = _accessors.add(document, changed.astype(np.float32), output.type)


def _times(document: Document, sampler: dict[str, Any]) -> NDArray[np.float64]:
    return _accessors.read(document, sampler["input"], "an animation", "SCALAR")[:, 0].astype(np.float64)


def _bounds(document: Document) -> None:
    """Least and greatest values are those of the data; positions and times have them."""
    needed = {s["input"] for a in document.animations or () for s in a["samplers"]}
    needed |= {p.attributes.POSITION for m in document.meshes or () for p in m.primitives} - {None}
    for n, accessor in enumerate(document.accessors or ()):
        stored = accessor.bufferView is not None or accessor.sparse is not None
        if accessor.count and stored and (n in needed or accessor.min or accessor.max):
            raw = _accessors.read(document, n, "bounds", raw=True)
            if np.isfinite(raw).all():
                accessor.min, accessor.max = raw.min(axis=0).tolist(), raw.max(axis=0).tolist()
