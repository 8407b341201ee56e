"""Body plans: the numbers that a creature is built from, and joint names in the styles of common tools.

Lengths are in metres and angles in radians. A plan's frame faces +z with y up, so that left is +x. Pitches are angles
above the horizontal.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Role:
    """The role of a joint: a ``part`` of :data:`_PLAIN`, its ``side`` (+1 left, -1 right, 0 none), its number in a row
    (None for a single joint) and, for legs, its ``pair`` of ``n_pairs`` (0 is the foremost)."""

    part: str
    side: int = 0
    index: int | None = None
    pair: int = 0
    n_pairs: int = 1


@dataclass(frozen=True)
class Naming:
    """A naming style. ``case`` is ``"camel"``, ``"snake"`` or ``"lower"``; ``side`` and ``index`` are formats for the
    left side and for numbers; ``first`` is the first number."""

    vocabulary: str
    case: str
    side: str
    index: str
    brand: str = ""
    ending: str = ""
    first: int = 1


_PLAIN = {
    "root": "root", "pelvis": "hips", "spine": "spine", "chest": "chest", "neck": "neck", "head": "head",
    "head_tip": "head end", "jaw": "jaw", "nose": "trunk", "ear": "ear", "antenna": "antenna", "mandible": "mandible",
    "tail": "tail", "tail_tip": "tail end", "girdle": "shoulder", "thigh": "upper leg", "shin": "lower leg",
    "metatarsus": "ankle", "pastern": "hoof", "foot": "foot", "toe": "toe", "toe_tip": "toe end", "coxa": "hip",
    "clavicle": "shoulder", "upper_arm": "upper arm", "forearm": "lower arm", "hand": "hand", "finger": "finger",
    "finger_tip": "finger end", "wing": "wing", "wing_tip": "wing end", "membrane": "wing finger",
    "pectoral": "fin", "dorsal": "dorsal fin", "pelvic": "belly fin", "fluke": "fluke", "lobe_up": "tail fin top",
    "lobe_down": "tail fin bottom",
}  # fmt: skip
_VOCABULARIES: dict[str, dict[str, str]] = {
    "plain": {},
    "quaternius": {
        "pelvis": "body", "spine": "torso", "chest": "torso", "metatarsus": "foot", "pastern": "foot", "toe": "toes",
        "pectoral": "flipper", "antenna": "feeler",
    },
    "max": {
        "pelvis": "pelvis", "chest": "spine", "thigh": "thigh", "shin": "calf", "metatarsus": "horse link",
        "pastern": "foot", "toe": "toe 0", "toe_tip": "toe 0 nub", "head_tip": "head nub", "tail_tip": "tail nub",
        "girdle": "clavicle", "clavicle": "clavicle", "forearm": "forearm", "nose": "ponytail",
        "wing_tip": "wing nub", "finger_tip": "finger nub",
    },
    "mocap": {
        "chest": "spine", "thigh": "up leg", "shin": "leg", "toe": "toe base", "upper_arm": "arm",
        "forearm": "fore arm", "head_tip": "head top end", "pastern": "fetlock",
    },
    "game": {
        "pelvis": "pelvis", "chest": "spine", "thigh": "thigh", "shin": "calf", "metatarsus": "hock",
        "pastern": "foot", "toe": "ball", "toe_tip": "toe", "girdle": "clavicle", "clavicle": "clavicle",
        "upper_arm": "upperarm", "forearm": "lowerarm", "membrane": "membrane",
    },
    "rigify": {
        "pelvis": "spine", "chest": "spine", "thigh": "thigh", "shin": "shin", "metatarsus": "foot",
        "pastern": "toe", "forearm": "forearm",
    },
    "anatomy": {
        "pelvis": "sacrum", "spine": "lumbar", "chest": "thorax", "neck": "cervical", "head": "skull",
        "jaw": "mandible", "tail": "caudal", "girdle": "scapula", "thigh": "femur", "shin": "tibia",
        "metatarsus": "metatarsus", "pastern": "phalanx", "foot": "tarsus", "toe": "digit",
        "toe_tip": "digit tip", "coxa": "coxa", "clavicle": "clavicle", "upper_arm": "humerus",
        "forearm": "radius", "hand": "carpus", "finger": "digit", "membrane": "metacarpal",
        "mandible": "chelicera", "nose": "proboscis",
    },
}  # fmt: skip
# Some vocabularies have separate words for the legs of insects and spiders, and for forelegs.
_INSECT = {
    "anatomy": {"thigh": "femur", "shin": "tibia", "metatarsus": "metatarsus", "toe": "tarsus", "foot": "tarsus"},
}
_FORELEGS = {
    "max": {"thigh": "upper arm", "shin": "forearm", "metatarsus": "hand", "pastern": "hand", "foot": "hand",
            "toe": "finger 0", "toe_tip": "finger 0 nub"},
    "anatomy": {"thigh": "humerus", "shin": "radius", "metatarsus": "metacarpus", "foot": "carpus"},
    "mocap": {"thigh": "arm", "shin": "fore arm", "metatarsus": "hand", "foot": "hand", "toe": "hand index"},
}  # fmt: skip
_PRESETS = (
    Naming("quaternius", "camel", "{}.L", "{}{n}"),
    Naming("plain", "camel", "{}.L", "{}{n}"),
    Naming("max", "camel", "L {}", "{}{n}", brand="Bip01 ", first=0),
    Naming("max", "camel", "L_{}", "{}{n}", brand="Bip01_", first=0),
    Naming("max", "camel", "L_{}", "{}_{n:02d}", brand="BN_"),
    Naming("mocap", "camel", "Left{}", "{}{n}", brand="mixamorig:", first=0),
    Naming("mocap", "camel", "Left{}", "{}{n}", first=0),
    Naming("game", "snake", "{}_l", "{}_{n:02d}"),
    Naming("rigify", "snake", "{}.L", "{}.{n:03d}", first=0),
    Naming("rigify", "snake", "{}.L", "{}.{n:03d}", brand="DEF-", first=0),
    Naming("plain", "snake", "l_{}", "{}_{n:02d}", ending="_jnt"),
    Naming("anatomy", "snake", "left_{}", "{}_{n}"),
    Naming("anatomy", "camel", "Left{}", "{}{n:02d}"),
    Naming("plain", "lower", "{}l", "{}{n}"),
)
_ANONYMOUS = (Naming("none", "camel", "{}", "{}.{n:03d}"), Naming("none", "lower", "{}", "{}{n}", first=0))


def naming(rng: random.Random) -> Naming:
    """A random style: mostly a known tool's, sometimes a mixture of two, rarely one with meaningless names."""
    draw = rng.random()
    if draw < 0.06:
        return rng.choice(_ANONYMOUS)
    one = rng.choice(_PRESETS)
    if draw < 0.75:
        return one
    other = rng.choice(_PRESETS)
    return Naming(one.vocabulary, other.case, other.side, other.index, "", one.ending, rng.choice((0, 1)))


def joint_names(scheme: Naming, roles: Sequence[Role]) -> tuple[str, ...]:
    """A unique name for each role."""
    names: list[str] = []
    taken: set[str] = set()
    for role in roles:
        name = base = _bone(scheme, len(names)) if scheme.vocabulary == "none" else _name(scheme, role)
        again = 1
        while name in taken:
            name, again = f"{base}.{again:03d}", again + 1
        taken.add(name)
        names.append(name)
    return tuple(names)


def _bone(scheme: Naming, position: int) -> str:
    word = "Bone" if scheme.case == "camel" else "joint"
    return scheme.index.format(word, n=position) if position or not scheme.first else word


def _name(scheme: Naming, role: Role) -> str:
    words = _words(scheme, role).split()
    if scheme.case == "camel":
        words = [word[:1].upper() + word[1:] for word in words]
    name = ("_" if scheme.case == "snake" else "").join(words)
    if role.index is not None:
        name = scheme.index.format(name, n=role.index + scheme.first)
    if role.side:
        name = _sided(scheme.side, role.side).format(name)
    return f"{scheme.brand}{name}{scheme.ending}"


def _words(scheme: Naming, role: Role) -> str:
    own, table = scheme.vocabulary, _VOCABULARIES[scheme.vocabulary]
    words = table.get(role.part) or _PLAIN.get(role.part)
    if words is None:  # the end joint of a row
        base = role.part.removesuffix("_tip")
        words = f"{table.get(base, _PLAIN[base])} end"
    front = role.n_pairs == 2 and role.pair == 0
    if role.n_pairs > 2:
        words = _INSECT.get(own, {}).get(role.part, words)
    elif front and role.part in _FORELEGS.get(own, {}):
        return _FORELEGS[own][role.part]
    if role.n_pairs == 2 and not (own in _FORELEGS and role.part != "girdle"):
        return f"{'front' if front else 'back'} {words}"
    if role.n_pairs == 3:
        return f"{('front', 'mid', 'back')[role.pair]} {words}"
    return f"leg {role.pair + 1} {words}" if role.n_pairs > 3 else words


def _sided(pattern: str, side: int) -> str:
    if side < 0:
        for left, right in (("Left", "Right"), ("left", "right"), ("L", "R"), ("l", "r")):
            if left in pattern:
                return pattern.replace(left, right)
    return pattern


@dataclass(frozen=True)
class Chain:
    """``n`` bones in a vertical plane, from ``pitch`` at the first to ``end_pitch`` at the last.

    Each bone is ``taper`` times as long as the one before it; together they are ``length``.
    """

    n: int
    length: float
    pitch: float
    end_pitch: float
    taper: float = 1.0


@dataclass(frozen=True)
class Trunk:
    """``n`` joints from the pelvis to the chest, both counted, over ``length``; the pelvis is ``height`` up.

    ``root`` says which of them is the skeleton's: ``"hips"`` (pelvis), ``"centre"`` or ``"front"`` (chest).
    ``flex`` from 0 to 1 is its flexibility.
    """

    n: int
    length: float
    pitch: float
    height: float
    root: str
    flex: float


@dataclass(frozen=True)
class LegPair:
    """A left and a right leg.

    ``at`` is their place along the trunk (0 pelvis, 1 chest), ``spread`` and ``drop`` take it to the hip. The bones in
    ``lengths`` (relative) lie in an upright plane turned outward by ``azimuth`` (0 forward, pi/2 sideways), at
    ``angles`` from straight down, positive toward that direction; the chain is scaled so that the foot stands on the
    ground. ``foot`` (relative to the hip's height) is the bone from the chain's end to the contact, ``foot_pitch``
    below the horizontal; with 0 the chain's end is the contact. ``toe`` lies flat before the contact.
    ``home``, relative to the hip's height, is how far before the hip the foot stands; None leaves it to the angles.
    ``girdle`` adds a joint between trunk and hip.
    """

    at: float
    spread: float
    drop: float
    azimuth: float
    lengths: tuple[float, ...]
    angles: tuple[float, ...]
    foot: float = 0.0
    foot_pitch: float = 0.0
    toe: float = 0.0
    girdle: bool = False
    home: float | None = None


@dataclass(frozen=True)
class Head:
    """A head bone of ``length`` at ``pitch``, and its appendages (joints per side, 0 for none)."""

    length: float
    pitch: float
    jaw: bool = False
    ears: int = 0
    antennae: int = 0
    mandibles: bool = False
    nose: Chain | None = None


@dataclass(frozen=True)
class Arms:
    """A pair of arms that hang in their natural pose; ``lengths`` are upper arm and forearm, then the hand's.

    ``angles`` are from straight down, positive forward. ``pincer`` arms reach forward and close two fingers.
    """

    spread: float
    rise: float
    lengths: tuple[float, ...]
    angles: tuple[float, ...]
    out: float
    clavicle: bool = False
    fingers: int = 0
    finger_joints: int = 1
    pincer: bool = False


@dataclass(frozen=True)
class Wings:
    """A pair of wings, spread sideways in their natural pose; ``lengths`` of the bones add up to the half span."""

    at: float
    spread: float
    rise: float
    lengths: tuple[float, ...]
    fingers: int = 0
    finger_joints: int = 1


@dataclass(frozen=True)
class Fins:
    """A fish's fins: joints of each pectoral fin and their length, the back and belly fins, and the tail's shape."""

    pectoral: int
    length: float
    dorsal: int
    pelvic: bool
    tail: str  # "lobes", "flukes" or "none"


@dataclass(frozen=True)
class Rest:
    """The differences of the rest pose from the natural one, and the joints' axes in it.

    ``arms`` raises the arms sideways (radians), ``wings`` folds the wings (0 to 1), ``legs`` straightens the legs (0 to
    1), ``level`` straightens neck and tail (0 to 1). ``frame``: joint axes are the ``"world"``'s, or run with their
    bone along ``"y"`` or ``"x"``. ``ground`` adds a joint under the creature as the root of all others, and
    ``armature`` turns it by -90 degrees about x as Blender's exporters do; ``tips`` adds an end joint to every chain.
    """

    arms: float
    wings: float
    legs: float
    level: float
    frame: str
    ground: bool
    armature: bool
    tips: bool
    tail_first: bool


@dataclass(frozen=True)
class BodyPlan:
    """The body of one creature of a ``kind``.

    ``noun`` is the animal it most resembles. ``size`` is the height of its hips, or its length where it has no legs.
    ``habits`` are properties of its motion that the numbers do not determine: ``hops``, ``paces``, ``sideways``,
    ``vertical`` (a tail that beats up and down), ``rays`` (strokes the water with its side fins), ``eel``, ``upright``,
    ``bounds``, ``sprawls``, ``columnar``, ``sting``, ``rears``.
    """

    kind: str
    noun: str
    size: float
    trunk: Trunk
    head: Head
    naming: Naming
    rest: Rest
    legs: tuple[LegPair, ...] = ()
    neck: Chain | None = None
    tail: Chain | None = None
    arms: Arms | None = None
    wings: Wings | None = None
    fins: Fins | None = None
    habits: frozenset[str] = frozenset()

    @property
    def n_legs(self) -> int:
        return 2 * len(self.legs)

    @property
    def pincers(self) -> bool:
        return self.arms is not None and self.arms.pincer

    @property
    def insect(self) -> bool:
        """Whether it has six or eight legs."""
        return self.kind in ("hexapod", "octopod")
