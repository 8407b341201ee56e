"""The node tree of a document: who hangs on whom, and the transforms on the way from local to world.

A node's matrix in the world is ``L x + p``. ``L`` has the scales of all nodes above in it, so a joint does not get its
rotation from it: that is ``W``, the product of the nodes' rotations alone. Where scales are uniform, as in nearly every
rig, ``W`` is the rotation in ``L``; where they are not, positions are still exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anyrig import rotations as rot
from anyrig.errors import FileError
from anyrig.io._document import Document

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Nodes:
    """All N nodes of a document: parents (-1 for none), an order with parents first, and local rest transforms."""

    names: tuple[str, ...]
    parents: tuple[int, ...]
    order: tuple[int, ...]
    translations: Array
    rotations: Array
    scales: Array

    def above(self, nodes: list[int]) -> list[int]:
        """``nodes`` and everything they hang on, parents first."""
        wanted = set()
        for node in nodes:
            while node >= 0 and node not in wanted:
                wanted.add(node)
                node = self.parents[node]
        return [n for n in self.order if n in wanted]

    def world(self, chain: list[int], pose: Pose) -> tuple[Array, Array]:
        """World positions (T, len(chain), 3) and rotations W for the nodes of ``chain`` (see :meth:`above`)."""
        place = Placement(self, chain, pose.translations.shape[0])
        for k in range(len(chain)):
            place.put(k, pose.translations[:, k], pose.rotations[:, k], pose.scales[:, k])
        return place.p, place.w

    def matrix(self, node: int) -> Array:
        """The world matrix (4, 4) of one node at rest."""
        result = np.eye(4)
        while node >= 0:
            local = np.eye(4)
            local[:3, :3] = rot.to_matrix(self.rotations[node]) * self.scales[node]
            local[:3, 3] = self.translations[node]
            result, node = local @ result, self.parents[node]
        return result

    def rest(self, chain: list[int], n_frames: int = 1) -> Pose:
        """The rest transforms of ``chain`` for every frame."""
        parts = (a[chain] for a in (self.translations, self.rotations, self.scales))
        return Pose(*(np.tile(a, (n_frames, 1, 1)) for a in parts))


@dataclass(frozen=True, eq=False)
class Pose:
    """Local transforms of K nodes: (T, K, 3), (T, K, 4) and (T, K, 3)."""

    translations: Array
    rotations: Array
    scales: Array


class Placement:
    """World transforms of a chain of nodes, filled in from the top down."""

    def __init__(self, nodes: Nodes, chain: list[int], n_frames: int) -> None:
        at = {node: k for k, node in enumerate(chain)}
        self.parents = [at.get(nodes.parents[node], -1) for node in chain]
        self.p = np.zeros((n_frames, len(chain), 3))
        self.w = rot.identity(n_frames, len(chain))
        self.linear = np.tile(np.eye(3), (n_frames, len(chain), 1, 1))

    def parent(self, k: int) -> tuple[Array, Array, Array]:
        """p (T, 3), W (T, 4) and L (T, 3, 3) of the node that node ``k`` of the chain hangs on."""
        n_frames, above = len(self.p), self.parents[k]
        if above < 0:
            return np.zeros((n_frames, 3)), rot.identity(n_frames), np.tile(np.eye(3), (n_frames, 1, 1))
        return self.p[:, above], self.w[:, above], self.linear[:, above]

    def put(self, k: int, translations: Array, rotations: Array, scales: Array) -> None:
        """Sets node ``k`` of the chain from its local transform."""
        p, w, linear = self.parent(k)
        self.p[:, k] = p + np.einsum("tij,tj->ti", linear, translations)
        self.w[:, k] = rot.normalize(rot.multiply(w, rotations))
        self.linear[:, k] = linear @ rot.to_matrix(rotations) * scales[:, None, :]


def read_nodes(document: Document) -> Nodes:
    """The document's nodes. Raises FileError for a tree that is none, or a transform that is no number."""
    n = len(document.nodes or ())
    parents = [-1] * n
    for i, node in enumerate(document.nodes):
        for value in node.children or ():
            child = document.index(value, document.nodes, f"node {i}")
            if parents[child] >= 0 or child == i:
                raise FileError(f"{document.where} is malformed: node {child} hangs on two nodes, or on itself")
            parents[child] = i
    order = [i for i in range(n) if parents[i] < 0]
    for i in order:  # grows while it is gone through
        order += document.nodes[i].children or ()
    if len(order) < n:
        raise FileError(f"{document.where} is malformed: {n - len(order)} nodes hang on one another in a circle")
    local = [_local(document, i) for i in range(n)]
    names = tuple(str(node.name) if node.name else f"node_{i}" for i, node in enumerate(document.nodes))
    t, r, s = (np.array([part[k] for part in local]).reshape(n, -1) for k in range(3))
    return Nodes(names, tuple(parents), tuple(_depth_first(order, parents)), t, rot.normalize(r.reshape(n, 4)), s)


def _depth_first(order: list[int], parents: list[int]) -> list[int]:
    """The nodes as a reader of the tree meets them, which is how joints are expected to be listed."""
    children: dict[int, list[int]] = {}
    for i in order:
        children.setdefault(parents[i], []).append(i)
    result, todo = [], list(reversed(children.get(-1, [])))
    while todo:
        i = todo.pop()
        result.append(i)
        todo += reversed(children.get(i, []))
    return result


def _local(document: Document, i: int) -> tuple[Array, Array, Array]:
    node, where = document.nodes[i], f"{document.where} is malformed: node {i}"
    if node.matrix:
        m = _numbers(node.matrix, 16, where).reshape(4, 4).T
        scale = np.linalg.norm(m[:3, :3], axis=0)
        if np.linalg.det(m[:3, :3]) < 0:
            scale[0] = -scale[0]
        turn = m[:3, :3] / np.where(np.abs(scale) > 0, scale, 1.0)
        return m[:3, 3], rot.from_matrix(turn), scale
    t = _numbers(node.translation, 3, where) if node.translation else np.zeros(3)
    xyzw = _numbers(node.rotation, 4, where) if node.rotation else np.array([0.0, 0.0, 0.0, 1.0])
    s = _numbers(node.scale, 3, where) if node.scale else np.ones(3)
    return t, xyzw[[3, 0, 1, 2]], s


def _numbers(values: Any, size: int, where: str) -> Array:
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise FileError(f"{where} has a transform that is no number") from error
    if array.shape != (size,) or not np.isfinite(array).all():
        raise FileError(f"{where} has a transform of other than {size} numbers")
    return array
