"""Which vertices of a document's meshes follow which joints."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from anyrig.io import _accessors
from anyrig.io._document import Document
from anyrig.io._model import Model

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


def sound(document: Document) -> None:
    """Puts weights right that are no numbers, in place: they count as none, and a vertex without any follows the first
    of its joints. Viewers drop the whole mesh over one of them."""
    seen = set()
    for mesh in document.meshes or ():
        for primitive in mesh.primitives:
            index = getattr(primitive.attributes, "WEIGHTS_0", None)
            if index is None or index in seen or document.accessors[index].componentType != 5126:
                continue
            seen.add(index)
            weights = _accessors.read(document, index, "a mesh", "VEC4")
            bad = ~np.isfinite(weights).all(axis=1)
            if bad.any():
                fixed = np.nan_to_num(weights, posinf=0, neginf=0).astype(np.float32)
                total = fixed.sum(axis=1)
                fixed[bad & (total <= 0)] = [1, 0, 0, 0]
                fixed[bad & (total > 0)] /= total[bad & (total > 0), None]
                _accessors.replace(document, index, fixed)


def joint_weights(model: Model) -> Array:
    """How much of the mesh each joint carries, (J,): the sum of its vertices' weights; zeros without a mesh."""
    source = model.source
    if source is None:
        return np.zeros(model.skeleton.n_joints)
    return carried(source.document, list(source.joints))[0]


def carried(document: Document, joints: list[int]) -> tuple[Array, Array]:
    """How much of the meshes each joint carries (J,), and how much of them hangs between each two, (J, J).

    The latter sums, over the vertices and the sides of triangles, the product of what both have of it: it is zero for
    joints that may part without tearing anything.
    """
    weights, between = np.zeros(len(joints)), np.zeros((len(joints), len(joints)))
    for number, followed, share, sides in _skinned(document, joints):
        n = len(number)
        np.add.at(weights, number, np.bincount(followed.ravel(), share.ravel(), n))
        ends = np.concatenate([np.tile(np.arange(len(followed))[:, None], 2), sides])
        local = np.zeros(n * n)
        for a in range(followed.shape[1]):
            for b in range(followed.shape[1]):
                pairs = followed[ends[:, 0], a] * n + followed[ends[:, 1], b]
                local += np.bincount(pairs, share[ends[:, 0], a] * share[ends[:, 1], b], n * n)
        np.add.at(between, np.ix_(number, number), local.reshape(n, n))
    return weights, between + between.T


def _skinned(document: Document, joints: list[int]) -> Iterator[tuple[Ints, Ints, Array, Ints]]:
    """Of each skinned primitive: the joints of its skin (N,), which of those each vertex follows (V, K) and by how much
    (V, K), and the sides of its triangles (E, 2)."""
    joint_of = {node: j for j, node in enumerate(joints)}
    for n, node in enumerate(document.nodes or ()):
        if node.mesh is None or node.skin is None:
            continue
        skin = document.skins[document.index(node.skin, document.skins, f"node {n}")]
        number = np.array([joint_of.get(k, -1) for k in skin.joints], dtype=np.int64)
        for primitive in document.meshes[document.index(node.mesh, document.meshes, f"node {n}")].primitives:
            found = []
            for k in (0, 1):
                a, b = (getattr(primitive.attributes, f"{name}_{k}", None) for name in ("JOINTS", "WEIGHTS"))
                if a is not None and b is not None and document.accessors[a].bufferView is not None:
                    found.append((_accessors.read(document, a, "a mesh", "VEC4").astype(np.int64),
                                  _accessors.read(document, b, "a mesh", "VEC4").astype(np.float64)))  # fmt: skip
            if not found:
                continue
            followed = np.minimum(np.concatenate([f for f, _ in found], axis=1), len(number) - 1)
            share = np.nan_to_num(np.concatenate([s for _, s in found], axis=1), posinf=0, neginf=0)
            share = np.where(number[followed] >= 0, share, 0.0)
            yield np.maximum(number, 0), followed, share, _sides(document, primitive, len(followed))


def _sides(document: Document, primitive: object, n_vertices: int) -> Ints:
    """Pairs of vertices that a side of a triangle joins, (E, 2); none for anything but triangles."""
    index, mode = getattr(primitive, "indices", None), getattr(primitive, "mode", None)
    corners = np.arange(n_vertices)
    if index is not None and document.accessors[index].bufferView is not None:
        corners = _accessors.read(document, index, "a mesh", "SCALAR")[:, 0].astype(np.int64)
    if mode not in (None, 4) or len(corners) < 3 or corners.max() >= n_vertices:
        return np.zeros((0, 2), np.int64)
    triangles = corners[: len(corners) // 3 * 3].reshape(-1, 3)
    return np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
