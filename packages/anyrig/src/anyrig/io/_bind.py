"""The pose in which a mesh was bound to its bones, which many exporters do not leave the nodes in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from anyrig import rotations as rot
from anyrig.conform import extent
from anyrig.io import _accessors
from anyrig.io._document import Document
from anyrig.io._nodes import Nodes, Placement
from anyrig.skeleton import Skeleton

Array = NDArray[np.float64]

_SAME = 1e-4
"""Radians, or a share of the size: nodes that are no further from the bind pose rest in it, and are more exact."""
_RIGID = 1.25
"""A skin whose bones are longer or shorter than its nodes' by more than this factor was bound in another unit."""
_FLAT = 0.02
"""Bind matrices that put bones at less than this share of their length in the nodes say nothing of a pose."""


def bound(skeleton: Skeleton, document: Document, nodes: Nodes, joints: list[int]) -> Skeleton:
    """``skeleton``, which rests as the nodes stand, resting as each skin was bound instead.

    A bind matrix takes the mesh's space to a joint's. Where that space lies in the world is not said; tried are the
    world itself, the mesh's node and the nodes above the skin, and the one that puts the joints nearest to their nodes
    is taken. A skin without bind matrices, or with matrices that are no pose, leaves its joints as they stand; joints
    that no skin names keep their place under their parent.
    """
    linear = _linear(nodes, joints)
    placed: dict[int, tuple[Array, Array]] = {}
    for s in range(len(document.skins or ())):
        matrices = _bind_matrices(document, s, joints)
        matrices = _in_world(matrices, skeleton, _spaces(document, nodes, s)) if matrices else {}
        for j, matrix in matrices.items():
            turn = _rotation(matrix[:3, :3], linear[j], skeleton.rest_world()[j])
            placed.setdefault(j, (matrix[:3, 3], turn))
    return _resting(skeleton, placed) if _differs(skeleton, placed) else skeleton


def _bind_matrices(document: Document, s: int, joints: list[int]) -> dict[int, Array]:
    """Joint -> its frame in the mesh's space when skin ``s`` was bound, (4, 4)."""
    skin = document.skins[s]
    if skin.inverseBindMatrices is None:
        return {}
    joint_of = {node: j for j, node in enumerate(joints)}
    columns = _accessors.read(document, skin.inverseBindMatrices, f"skin {s}", "MAT4").astype(np.float64)
    found: dict[int, Array] = {}
    for node, matrix in zip(skin.joints, columns.reshape(-1, 4, 4).transpose(0, 2, 1), strict=False):
        if node in joint_of and np.isfinite(matrix).all() and abs(np.linalg.det(matrix)) > 1e-24:
            found[joint_of[node]] = np.asarray(np.linalg.inv(matrix), dtype=np.float64)
    return found


def _spaces(document: Document, nodes: Nodes, s: int) -> list[Array]:
    """World matrices (4, 4) that the space of skin ``s`` may have had, the standard's first."""
    spaces = [np.eye(4)]
    spaces += [nodes.matrix(n) for n, node in enumerate(document.nodes) if node.mesh is not None and node.skin == s]
    top = document.skins[s].joints[0]
    while (top := nodes.parents[top]) >= 0:
        spaces.append(nodes.matrix(top))
    return spaces


def _in_world(matrices: dict[int, Array], skeleton: Skeleton, spaces: list[Array]) -> dict[int, Array]:
    """The matrices in the space that fits best; none where they are no pose of these bones."""
    joints = sorted(matrices)
    frames = np.array([matrices[j] for j in joints])
    if np.abs(frames - np.eye(4)).max() < 1e-9:  # what some exporters write for want of anything better
        return {}
    rest = skeleton.rest_positions()[joints]
    bones = [(n, joints.index(p)) for n, j in enumerate(joints) if (p := skeleton.parents[j]) in matrices]
    length = _lengths(rest, bones)
    fits = []
    for k, space in enumerate(spaces):
        moved = space @ frames
        ratio = _lengths(moved[:, :3, 3], bones) / length if length > 0 else 1.0
        if ratio < _FLAT:
            continue
        other_unit = not 1 / _RIGID < ratio < _RIGID
        if other_unit:  # as meshes with quantised positions are bound
            moved[:, :3, 3] = rest[0] + (moved[:, :3, 3] - moved[0, :3, 3]) / ratio
        off = float(np.median(np.linalg.norm(moved[:, :3, 3] - rest, axis=-1))) / extent(skeleton)
        fits.append((other_unit, round(off, 6), k, moved))
    if not fits:
        return {}
    return dict(zip(joints, min(fits, key=lambda f: f[:3])[3], strict=True))


def _lengths(positions: Array, bones: list[tuple[int, int]]) -> float:
    """The length of all bones together."""
    return float(sum(np.linalg.norm(positions[a] - positions[b]) for a, b in bones))


def _linear(nodes: Nodes, joints: list[int]) -> Array:
    """The linear part of each joint's world matrix as the nodes stand, scales and all, (J, 3, 3)."""
    chain = nodes.above(joints)
    place, rest = Placement(nodes, chain, 1), nodes.rest(chain)
    for k in range(len(chain)):
        place.put(k, rest.translations[:, k], rest.rotations[:, k], rest.scales[:, k])
    return place.linear[0, [chain.index(node) for node in joints]]


def _rotation(bind: Array, standing: Array, world: Array) -> Array:
    """The rotation in the linear map ``bind``, with the scales and mirrors that ``standing`` has beside ``world``."""
    scales = rot.to_matrix(world).T @ standing
    if abs(np.linalg.det(scales)) < 1e-24:
        return world
    u, _, v = np.linalg.svd(bind @ np.linalg.inv(scales))
    turn = u @ np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ v)) or 1.0]) @ v
    return rot.from_matrix(turn)


def _differs(skeleton: Skeleton, placed: dict[int, tuple[Array, Array]]) -> bool:
    at, turns, size = skeleton.rest_positions(), skeleton.rest_world(), extent(skeleton)
    return any(
        np.abs(at[j] - p).max() > _SAME * size or float(rot.angle(turns[j], q)) > _SAME for j, (p, q) in placed.items()
    )


def _resting(skeleton: Skeleton, placed: dict[int, tuple[Array, Array]]) -> Skeleton:
    """The skeleton with some of its joints at given world transforms, and the others where their parents take them."""
    positions, rotations = np.zeros((skeleton.n_joints, 3)), rot.identity(skeleton.n_joints)
    for j, parent in enumerate(skeleton.parents):
        if j in placed:
            positions[j], rotations[j] = placed[j]
        elif parent < 0:
            positions[j], rotations[j] = skeleton.offsets[j], skeleton.rest[j]
        else:
            positions[j] = positions[parent] + rot.rotate(rotations[parent], skeleton.offsets[j])
            rotations[j] = rot.multiply(rotations[parent], skeleton.rest[j])
    rest, offsets = skeleton.local(positions, rotations)
    return replace(skeleton, offsets=offsets, rest=rest)
