"""Body plans: the numbers that a creature is built from. Metres and radians.

A plan's frame faces +z with y up, so that the left is +x. Pitches are angles above the horizontal.
"""

from __future__ import annotations

from dataclasses import dataclass

from anyrig.creatures.names import Naming


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
    ``flex`` from 0 to 1 is how supple it is.
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
    """A head bone of ``length`` at ``pitch``, and what grows from it (joint counts a side, 0 for none)."""

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
    """How the file's rest pose differs from the natural one, and how its joints are turned in it.

    ``arms`` raises the arms sideways (radians), ``wings`` folds the wings (0 to 1), ``legs`` straightens the legs
    (0 to 1), ``level`` straightens neck and tail (0 to 1). ``frame``: joint axes are the ``"world"``'s, or run with
    their bone along ``"y"`` or ``"x"``. ``ground`` puts a joint under the creature, above all others, and ``armature``
    turns it by -90 degrees about x as Blender's exporters do; ``tips`` adds an end joint to every chain.
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
class Plan:
    """One creature: a point in the space of bodies of its ``kind``.

    ``noun`` is what it most resembles. ``size`` is the height of its hips, or its length where it has no legs.
    ``habits`` are ways to move that the numbers do not tell: ``hops``, ``paces``, ``sideways``, ``vertical`` (a tail
    that beats up and down), ``rays`` (strokes the water with its side fins), ``eel``, ``upright``, ``bounds``,
    ``sprawls``, ``columnar``, ``sting``, ``rears``.
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
        """Whether it has six or eight legs that fan out from its trunk."""
        return self.kind in ("hexapod", "octopod")
