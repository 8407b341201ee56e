"""The pose in which a mesh was bound to its bones, which many exporters do not leave the nodes in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from anyrig import rotations as rot
from anyrig.io import _accessors
from anyrig.io._model import Model
from anyrig.io._source import Source
from anyrig.skeleton import Skeleton

Array = NDArray[np.float64]


def bind_skeleton(model: Model) -> Skeleton:
    """The model's skeleton, resting as it was when its mesh was bound; as it is where nothing says how that was.

    A bind matrix takes the mesh's space to a joint's. Where that space lies in the world is not said; tried are the
    world itself and the mesh's node, and the one that puts the joints nearer to their nodes is taken. Joints that no
    skin names keep their place under their parent.
    """
    source = model.source
    if source is None:
        return model.skeleton
    bound = _bind_matrices(source)
    if not bound:
        return model.skeleton
    joints = sorted(bound)
    rest = model.skeleton.rest_positions()[joints]
    candidates = []
    for space in _mesh_spaces(source):
        matrices = space @ np.array([bound[j] for j in joints])
        candidates.append((float(np.abs(matrices[:, :3, 3] - rest).max()), matrices))
    matrices = min(candidates, key=lambda c: c[0])[1]
    return _resting(model.skeleton, {j: matrices[n] for n, j in enumerate(joints)})


def _resting(skeleton: Skeleton, bound: dict[int, Array]) -> Skeleton:
    """The skeleton with some of its joints at given world matrices, and the others where their parents take them."""
    positions, rotations = np.zeros((skeleton.n_joints, 3)), rot.identity(skeleton.n_joints)
    for j, parent in enumerate(skeleton.parents):
        if j in bound:
            positions[j] = bound[j][:3, 3]
            axes = bound[j][:3, :3]
            rotations[j] = rot.from_matrix(axes / np.linalg.norm(axes, axis=0))
        elif parent < 0:
            positions[j], rotations[j] = skeleton.offsets[j], skeleton.rest[j]
        else:
            positions[j] = positions[parent] + rot.rotate(rotations[parent], skeleton.offsets[j])
            rotations[j] = rot.multiply(rotations[parent], skeleton.rest[j])
    rest, offsets = skeleton.local(positions, rotations)
    return replace(skeleton, offsets=offsets, rest=rest)


def _bind_matrices(source: Source) -> dict[int, Array]:
    """Joint -> its frame in the mesh's space when the mesh was bound, (4, 4)."""
    document = source.document
    joint_of = {node: j for j, node in enumerate(source.joints)}
    found: dict[int, Array] = {}
    for s, skin in enumerate(document.skins):
        if skin.inverseBindMatrices is None:
            continue
        columns = _accessors.read(document, skin.inverseBindMatrices, f"skin {s}", "MAT4").astype(np.float64)
        matrices = columns.reshape(-1, 4, 4).transpose(0, 2, 1)
        for node, matrix in zip(skin.joints, matrices, strict=False):
            if node in joint_of and np.isfinite(matrix).all() and abs(np.linalg.det(matrix)) > 1e-24:
                found.setdefault(joint_of[node], np.asarray(np.linalg.inv(matrix), dtype=np.float64))
    return found


def _mesh_spaces(source: Source) -> list[Array]:
    """World matrices (4, 4) that the mesh's space may have had: none of its own, and its node's."""
    spaces = [np.eye(4)]
    for n, node in enumerate(source.document.nodes):
        if node.mesh is not None and node.skin is not None:
            spaces.append(source.nodes.matrix(n))
    return spaces


def joint_weights(model: Model) -> Array:
    """How much of the mesh each joint carries, (J,): the sum of its vertices' weights; zeros for a model without one.

    Weights that are no numbers, which some files have, count as none.
    """
    weights = np.zeros(model.skeleton.n_joints)
    if model.source is None:
        return weights
    document = model.source.document
    joint_of = {node: j for j, node in enumerate(model.source.joints)}
    for n, node in enumerate(document.nodes):
        if node.mesh is None or node.skin is None:
            continue
        skin = document.skins[document.index(node.skin, document.skins, f"node {n}")]
        for primitive in document.meshes[document.index(node.mesh, document.meshes, f"node {n}")].primitives:
            if primitive.attributes.JOINTS_0 is None or primitive.attributes.WEIGHTS_0 is None:
                continue
            followed = _accessors.read(document, primitive.attributes.JOINTS_0, "a mesh", "VEC4").astype(np.int64)
            share = _accessors.read(document, primitive.attributes.WEIGHTS_0, "a mesh", "VEC4").astype(np.float64)
            sums = np.bincount(followed.ravel(), np.nan_to_num(share, posinf=0, neginf=0).ravel())
            for k, total in enumerate(sums[: len(skin.joints)]):
                if skin.joints[k] in joint_of:
                    weights[joint_of[skin.joints[k]]] += total
    return weights
