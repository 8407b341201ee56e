"""Joint names in the styles of common tools: a vocabulary, and formats for side, number and prefix."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Role:
    """What a joint is: a ``part`` of :data:`_PLAIN`, its ``side`` (+1 left, -1 right, 0 none), its number in a row
    (None where there is one only) and, for legs, which ``pair`` of how many it belongs to (0 is the foremost)."""

    part: str
    side: int = 0
    index: int | None = None
    pair: int = 0
    n_pairs: int = 1


@dataclass(frozen=True)
class Naming:
    """How to write the name of a role. ``case``: ``"camel"``, ``"snake"`` or ``"lower"``; ``side`` and
    ``index`` are formats for the left side and for numbers; ``first`` is the first number."""

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
# The legs of insects and spiders have bones of their own; so do forelegs in the vocabularies that know them.
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
    """A random style: mostly a known tool's, sometimes mixed from two, rarely one whose names say nothing."""
    draw = rng.random()
    if draw < 0.06:
        return rng.choice(_ANONYMOUS)
    one = rng.choice(_PRESETS)
    if draw < 0.75:
        return one
    other = rng.choice(_PRESETS)
    return Naming(one.vocabulary, other.case, other.side, other.index, "", one.ending, rng.choice((0, 1)))


def joint_names(scheme: Naming, roles: Sequence[Role]) -> tuple[str, ...]:
    """A name for each role; no two are the same."""
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
