"""A mesh for a skeleton that has none, so that a viewer of the file has something to show: a wedge along every bone."""

from __future__ import annotations

import numpy as np
import pygltflib
from numpy.typing import NDArray

from anyrig import rotations as rot
from anyrig.conform import extent
from anyrig.io import _accessors
from anyrig.io._document import Document, Node
from anyrig.skeleton import Skeleton

_WAIST = 0.15  # how far along a bone it is thickest
_WIDTH = 0.08  # half the thickness there, as a share of the bone's length
_KNOB = 0.012  # half the size of the knob at a joint where no bone begins, as a share of the skeleton's size
_BASE, _TIP = 4, 5
_FACES = [(n, (n + 1) % 4, _TIP) for n in range(4)] + [((n + 1) % 4, n, _BASE) for n in range(4)]


def bone_mesh(skeleton: Skeleton) -> tuple[NDArray[np.float32], NDArray[np.uint16], NDArray[np.uint32]]:
    """Vertices (V, 3) in the rest pose's world, the joint that each follows (V,), and triangles (F, 3), outside out.

    A wedge's tip follows the joint at its end, so bones that stretch are seen to stretch.
    """
    at, knob = skeleton.rest_positions(), _KNOB * extent(skeleton)
    vertices: list[NDArray[np.float64]] = []
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


def _wedge(start: NDArray[np.float64], end: NDArray[np.float64], width: float, waist: float) -> NDArray[np.float64]:
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
        POSITION=_accessors.add(document, vertices, "VEC3", target=pygltflib.ARRAY_BUFFER, bounds=True),
        JOINTS_0=_accessors.add(document, joints, "VEC4", target=pygltflib.ARRAY_BUFFER),
        WEIGHTS_0=_accessors.add(document, weights, "VEC4", target=pygltflib.ARRAY_BUFFER),
    )
    indices = _accessors.add(document, faces.reshape(-1, 1), "SCALAR", target=pygltflib.ELEMENT_ARRAY_BUFFER)
    surface = pygltflib.PbrMetallicRoughness(
        baseColorFactor=[0.85, 0.6, 0.35, 1.0], metallicFactor=0.0, roughnessFactor=0.8
    )
    document.materials = [pygltflib.Material(name="bone", pbrMetallicRoughness=surface)]
    primitive = pygltflib.Primitive(attributes=attributes, indices=indices, material=0)
    document.meshes = [pygltflib.Mesh(name="bones", primitives=[primitive])]
    document.scenes[0].nodes.append(len(document.nodes))
    document.nodes.append(Node(name="bones", mesh=0, skin=0))
