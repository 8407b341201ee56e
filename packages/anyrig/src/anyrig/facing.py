"""Where a rig faces at rest, determined from its joints, and rigs and clips turned to face another way."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from anyrig import conform
from anyrig import rotations as rot
from anyrig.conform import extent, whole
from anyrig.errors import SettingsError
from anyrig.features import words
from anyrig.rotations import Array
from anyrig.skeleton import Clip, Skeleton

FACINGS = {"z": 0.0, "x": np.pi / 2, "-z": np.pi, "-x": -np.pi / 2}
"""Radians about the vertical from z."""
_TOES = {"toe", "toes", "toebase", "ball", "claw"}
_FEET = {"foot", "feet", "ankle", "paw", "hoof"}
_FACE = {"eye", "eyes", "eyelid", "mouth", "jaw", "nose", "snout", "face", "beak", "bill", "tongue", "teeth", "antenna",
         "lip", "brow", "eyebrow", "trunk", "fang", "fangs", "mandible", "whisker", "muzzle"}  # fmt: skip
_HEAD = {"head", "skull", "neck"}
_TAIL = {"tail", "fluke", "rump", "stinger", "abdomen"}
_NEAR = 0.02
"""A part is before or behind another from this horizontal distance on, as a share of the size."""
_ALONG, _LYING = 0.1, 1.0
"""A head or tail determines the facing of a body that lies along: at least this share of the size away from the main
root horizontally, and further than this factor times its height above it."""
_AHEAD = 0.005
"""A head this share of the size ahead of its neck overrides left and right names that say the opposite."""


@dataclass(frozen=True, slots=True)
class Facing:
    """``radians`` from z towards x, a multiple of a quarter turn, and the evidence ``by`` which it was determined;
    ``sure`` where all evidence agrees."""

    radians: float
    by: str
    sure: bool

    @property
    def axis(self) -> str:
        """One of :data:`FACINGS`."""
        return min(FACINGS, key=lambda f: abs(np.angle(np.exp(1j * (FACINGS[f] - self.radians)))))


def facing_of(skeleton: Skeleton, facing: str = "auto") -> float:
    """The heading at rest in radians from z towards x, a multiple of a quarter turn; see :func:`detect_facing`.

    Raises SettingsError for anything but "auto", "z", "x", "-z" and "-x".
    """
    if facing in FACINGS:
        return FACINGS[facing]
    if facing != "auto":
        raise SettingsError(f"a rig faces z, x, -z or -x, or auto: not {facing!r}")
    return detect_facing(skeleton).radians


def detect_facing(skeleton: Skeleton) -> Facing:
    """Where the rig faces at rest, by the names of the joints in its main root's tree.

    Evidence in order of priority: toes are before feet, eyes and mouths before the head's joint, the head of a body
    that lies along before its root and the tail behind, left is on the left. The first decides; where later evidence
    disagrees, or where there is none, the answer is not ``sure``. Without evidence it is z; also where only left and
    right say -z and the head is ahead of the neck, since some files name sides mirrored.
    """
    signs = evidence(skeleton)
    if not signs:
        return Facing(0.0, "nothing", False)
    if signs[0][0] == "left and right" and _mirrored(skeleton, signs[0][1]):
        return Facing(0.0, "the head, against left and right", False)
    quarters = [round(float(np.arctan2(x, z)) / (np.pi / 2)) % 4 for _, (x, z) in signs]
    return Facing(quarters[0] * np.pi / 2, signs[0][0], all(q == quarters[0] for q in quarters))


def evidence(skeleton: Skeleton) -> list[tuple[str, tuple[float, float]]]:
    """The evidence for the facing, strongest first, each with a direction (x, z)."""
    body, tree, parts, at = _body(skeleton)
    size, root = extent(body), at[body.main_root]
    toes = _mean([at[j] - at[body.parents[j]] for j in tree if parts[j] & _TOES and body.parents[j] >= 0])
    candidates = [
        ("toes", toes, _NEAR),
        ("feet", _mean([at[c] - at[j] for j in tree if parts[j] & _FEET for c in body.children[j]]), _NEAR),
        ("the face", _face(body, tree, parts, at), _NEAR),
        ("the head", _along(_mean([at[j] - root for j in tree if parts[j] & _HEAD])), _ALONG),
        ("the tail", _mean([at[tree].mean(axis=0) - at[j] for j in tree if parts[j] & _TAIL]), _ALONG),
        ("left and right", _sides(tree, parts, at), _NEAR),
    ]
    found = [(what, (float(v[0]), float(v[2]))) for what, v, least in candidates if np.hypot(v[0], v[2]) > least * size]
    return [t for t in found if t[0] != "feet"] if found and found[0][0] == "toes" else found


def _body(skeleton: Skeleton) -> tuple[Skeleton, list[int], dict[int, set[str]], Array]:
    """The rig as one tree, the joints of its main tree, the words in their names, and all rest positions."""
    body = whole(skeleton.rest_clip()).skeleton
    tree = [j for j in range(body.n_joints) if body.main_root in body.path(j)]
    return body, tree, {j: set(words(body.names[j])) for j in tree}, body.rest_positions()


def _mirrored(skeleton: Skeleton, direction: tuple[float, float]) -> bool:
    """Whether left and right say -z and the head is ahead of its neck."""
    body, tree, parts, at = _body(skeleton)
    ahead = _mean([at[j] - at[body.parents[j]] for j in tree if parts[j] & _HEAD and body.parents[j] >= 0])
    return direction[1] < -abs(direction[0]) and float(ahead[2]) > _AHEAD * extent(body)


def _along(vector: Array) -> Array:
    """The vector from a root to a head; zero where it is mostly vertical."""
    return vector if np.hypot(vector[0], vector[2]) > _LYING * abs(vector[1]) else np.zeros(3)


def _face(body: Skeleton, tree: list[int], parts: dict[int, set[str]], at: Array) -> Array:
    """The mean vector to the parts of a face from the head's joint, or from their parents where no joint with children
    is named head: without any, it is the end of the head."""
    head = next((j for j in tree if "head" in parts[j] and body.children[j]), None)
    marked = [j for j in tree if parts[j] & _FACE and j != head]
    if head is not None:
        return _mean([at[j] - at[head] for j in marked])
    return _mean([at[j] - at[body.parents[j]] for j in marked if body.parents[j] >= 0])


def _sides(tree: list[int], parts: dict[int, set[str]], at: Array) -> Array:
    """Left cross up, which is forward."""
    left, right = ([at[j] for j in tree if side in parts[j]] for side in ("left", "right"))
    if not left or not right:
        return np.zeros(3)
    return np.cross(np.mean(left, axis=0) - np.mean(right, axis=0), [0.0, 1.0, 0.0])


def _mean(vectors: list[Array]) -> Array:
    return np.asarray(np.mean(vectors, axis=0)) if vectors else np.zeros(3)


def faced(skeleton: Skeleton, radians: float) -> Skeleton:
    """The skeleton, rest pose included, turned about the vertical by ``radians``."""
    return conform.turned(skeleton.rest_clip(), rot.about("y", radians)).skeleton


def turned_onto(clip: Clip, skeleton: Skeleton, radians: float) -> Clip:
    """The clip turned about the vertical by ``radians`` as one of ``skeleton``, its own turned by as much."""
    return replace(conform.turned(clip, rot.about("y", radians)), skeleton=skeleton)
