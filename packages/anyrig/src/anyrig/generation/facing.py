"""Which way a rig faces at rest; models know creatures that face along z."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anyrig import conform
from anyrig import rotations as rot
from anyrig.carriers import whole
from anyrig.conform import extent
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
"""A part this share of the size away from another, over the ground, lies before or behind it."""
_ALONG, _LYING = 0.1, 1.0
"""A head this share of the size away from the main root over the ground, and further than it is higher, tells of a
body that lies along."""
_AHEAD = 0.005
"""A head this share of the size ahead of its neck makes one doubt left and right that say the opposite."""


@dataclass(frozen=True, slots=True)
class Facing:
    """``radians`` from z towards x, a multiple of a quarter turn, and ``by`` what it was told; ``sure`` where that was
    names that do not contradict one another."""

    radians: float
    by: str
    sure: bool

    @property
    def axis(self) -> str:
        """One of :data:`FACINGS`."""
        return min(FACINGS, key=lambda f: abs(np.angle(np.exp(1j * (FACINGS[f] - self.radians)))))


def facing_of(skeleton: Skeleton, facing: str = "auto") -> float:
    """The heading at rest in radians from z towards x, a multiple of a quarter turn; see :func:`told_facing`.

    Raises SettingsError for anything but "auto", "z", "x", "-z" and "-x".
    """
    if facing in FACINGS:
        return FACINGS[facing]
    if facing != "auto":
        raise SettingsError(f"a rig faces z, x, -z or -x, or auto: not {facing!r}")
    return told_facing(skeleton).radians


def told_facing(skeleton: Skeleton) -> Facing:
    """Where the rig faces at rest, by the names of the joints in its main root's tree.

    In this order: toes lie before feet, eyes and mouths before the head's joint, the head of a body that lies along
    before its root and the tail behind, left is on the left. What comes first decides; where what comes later says
    otherwise, or where no name says anything, the answer is not ``sure``. Without any name that helps it is z; it is z,
    too, where nothing but left and right says -z and the head is ahead of the neck: some files name sides mirrored.
    """
    signs = evidence(skeleton)
    if not signs:
        return Facing(0.0, "nothing", False)
    if signs[0][0] == "left and right" and _mirrored(skeleton, signs[0][1]):
        return Facing(0.0, "the head, against left and right", False)
    quarters = [round(float(np.arctan2(x, z)) / (np.pi / 2)) % 4 for _, (x, z) in signs]
    return Facing(quarters[0] * np.pi / 2, signs[0][0], all(q == quarters[0] for q in quarters))


def evidence(skeleton: Skeleton) -> list[tuple[str, tuple[float, float]]]:
    """What tells of the facing, strongest first, each with a direction (x, z)."""
    body, tree, parts, at = _body(skeleton)
    size, root = extent(body), at[body.main_root]
    toes = _mean([at[j] - at[body.parents[j]] for j in tree if parts[j] & _TOES and body.parents[j] >= 0])
    found = [
        ("toes", toes, _NEAR),
        ("feet", _mean([at[c] - at[j] for j in tree if parts[j] & _FEET for c in body.children[j]]), _NEAR),
        ("the face", _face(body, tree, parts, at), _NEAR),
        ("the head", _along(_mean([at[j] - root for j in tree if parts[j] & _HEAD])), _ALONG),
        ("the tail", _mean([at[tree].mean(axis=0) - at[j] for j in tree if parts[j] & _TAIL]), _ALONG),
        ("left and right", _sides(tree, parts, at), _NEAR),
    ]
    told = [(what, (float(v[0]), float(v[2]))) for what, v, least in found if np.hypot(v[0], v[2]) > least * size]
    return [t for t in told if t[0] != "feet"] if told and told[0][0] == "toes" else told


def _body(skeleton: Skeleton) -> tuple[Skeleton, list[int], dict[int, set[str]], Array]:
    """The rig as one tree, the joints of its main root's, the words in their names, and where all rest."""
    body = whole(Clip(skeleton, skeleton.rest[None], skeleton.offsets, 1.0)).skeleton
    tree = [j for j in range(body.n_joints) if body.main_root in body.path(j)]
    return body, tree, {j: set(words(body.names[j])) for j in tree}, body.rest_positions()


def _mirrored(skeleton: Skeleton, told: tuple[float, float]) -> bool:
    """Whether left and right say -z and the head lies the other way from its neck."""
    body, tree, parts, at = _body(skeleton)
    ahead = _mean([at[j] - at[body.parents[j]] for j in tree if parts[j] & _HEAD and body.parents[j] >= 0])
    return told[1] < -abs(told[0]) and float(ahead[2]) > _AHEAD * extent(body)


def _along(vector: Array) -> Array:
    """The way from a root to a head, and none where it is mostly upwards."""
    return vector if np.hypot(vector[0], vector[2]) > _LYING * abs(vector[1]) else np.zeros(3)


def _face(body: Skeleton, tree: list[int], parts: dict[int, set[str]], at: Array) -> Array:
    """From the head to what is in a face: from its joint where one is called so, else from what bears it."""
    head = next((j for j in tree if "head" in parts[j]), None)
    marked = [j for j in tree if parts[j] & _FACE and j != head]
    if head is not None:
        return _mean([at[j] - at[head] for j in marked])
    return _mean([at[j] - at[body.parents[j]] for j in marked if body.parents[j] >= 0])


def _sides(tree: list[int], parts: dict[int, set[str]], at: Array) -> Array:
    """Left times up, which is forward."""
    left, right = ([at[j] for j in tree if side in parts[j]] for side in ("left", "right"))
    if not left or not right:
        return np.zeros(3)
    return np.cross(np.mean(left, axis=0) - np.mean(right, axis=0), [0.0, 1.0, 0.0])


def _mean(vectors: list[Array]) -> Array:
    return np.asarray(np.mean(vectors, axis=0)) if vectors else np.zeros(3)


def faced(skeleton: Skeleton, radians: float) -> Skeleton:
    """The skeleton turned about the vertical by ``radians``, rest pose and all."""
    still = Clip(skeleton, skeleton.rest[None], skeleton.offsets, 1.0)
    return conform.turned(still, rot.about("y", radians)).skeleton


def turned_back(clip: Clip, skeleton: Skeleton, radians: float) -> Clip:
    """A clip of ``faced(skeleton, -radians)`` as one of ``skeleton`` itself."""
    back: Array = rot.about("y", radians)
    turned = conform.turned(clip, back)
    return Clip(
        skeleton, turned.rotations, turned.translations, clip.fps, name=clip.name, captions=clip.captions,
        action=clip.action,
    )  # fmt: skip
