"""Moves a clip from one skeleton to another with other joints, proportions, rest pose, facing and names.

Both rigs are taken apart in the same way: a trunk from the hub (where legs and spine meet) to the head, limbs on it
with a role (leg, arm, wing, fin, tail) and a side, and parts on those (fingers, feathers, ears). Limbs correspond by
role, side, place and name; within a pair of chains, joints correspond by their names, and between those by arc length,
so that a spine of five bones drives one of three. Sides are those of the rest pose, since some files name them
mirrored.

With ``W`` a joint's world rotation and ``R`` that at rest, both with the rig facing z, a joint takes
``W_source R_source^-1 A R``. ``A`` turns its rest pose to the source's: of each bone of an arm (T-pose and A-pose
differ), of a leg, wing or tail as a whole; trunks keep their own shape. The hub travels by the ratio of leg lengths,
and feet go where the source's go on that scale, by inverse kinematics, so that a foot that stands still does so on the
other rig.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from anyrig import rotations as rot
from anyrig.conform import spread, whole
from anyrig.errors import SettingsError
from anyrig.facing import faced, facing_of, turned_onto
from anyrig.features import headings, size_of, words
from anyrig.legs import reach
from anyrig.rotations import Array
from anyrig.skeleton import Clip, Skeleton

_HELPERS = {"ik", "ctrl", "control", "controls", "pole", "target", "mch"}
"""Words in the names of joints that only control others, where the mesh does not show it."""
_GIRDLE = {"pelvis", "hip", "hips", "shoulder", "clavicle", "collar", "scapula", "buttock", "anchor"}
_HEAD = {"head", "skull"}
_ROLES = (
    ("wing", {"wing", "wings"}),
    ("tail", {"tail", "fluke"}),
    ("fin", {"fin", "fins", "flipper", "pectoral", "dorsal"}),
    ("leg", {"leg", "thigh", "upperleg", "lowerleg", "shin", "calf", "knee", "foot", "feet", "ankle", "hoof", "paw"}),
    ("arm", {"arm", "upperarm", "lowerarm", "forearm", "shldr", "elbow", "hand", "wrist", "clavicle"}),
)
"""Words that show the role of a limb, the first that is found."""
_SECTIONS = (
    ("shoulder", ({"shoulder"}, {"clavicle"}, {"collar"}, {"scapula"})),
    ("forearm", ({"forearm"}, {"lowerarm"}, {"fore", "arm"}, {"lower", "arm"}, {"low", "arm"}, {"elbow"})),
    ("upper arm", ({"upperarm"}, {"upper", "arm"}, {"up", "arm"}, {"shldr"}, {"humerus"})),
    ("hand", ({"hand"}, {"wrist"}, {"palm"}, {"fist"})),
    ("thigh", ({"thigh"}, {"upperleg"}, {"upper", "leg"}, {"up", "leg"}, {"femur"})),
    ("shin", ({"shin"}, {"calf"}, {"lowerleg"}, {"lower", "leg"}, {"low", "leg"}, {"knee"}, {"tibia"})),
    ("toes", ({"toe"}, {"toes"}, {"toebase"}, {"ball"})),
    ("foot", ({"foot"}, {"feet"}, {"hoof"}, {"paw"})),
    ("foot", ({"ankle"},)),
    ("neck", ({"neck"},)),
    ("head", ({"head"}, {"skull"})),
)
"""Sections of limbs, each with the sets of words of which a name has one; "ankle" is a foot where nothing else is."""
_LEG = {"upper arm": "thigh", "forearm": "shin", "hand": "foot"}
"""Sections of a leg that names call arms', as in front legs."""
_GENERIC = {"arm": ("forearm", "upper arm"), "leg": ("thigh", "shin")}
"""What a lone "arm" or "leg" is beside a joint of the first section: mixamo's LeftArm, LeftLeg."""
_OTHER_ROLE, _UNLIKE = 0.6, 2.0
"""Cost of a limb of a role that can stand in for another, and of any other role."""
_ALIKE = ({"arm", "wing", "fin"}, {"arm", "leg"}, {"tail", "fin"})
_MOST = 1.9
"""Cost from which two parts do not correspond."""
_BRANCH = 0.06
"""Least share of all bones of a branch at the hub."""
_LOW, _FOOT, _NAMED_FOOT = 0.12, 0.15, 0.4
"""A limb ends on the ground, a joint is a foot, a joint of that name is one: at most this share of the rig's (limb's)
height above the lowest joint."""
_DROP = 0.15
"""A joint above a thigh belongs to the leg if it is that share of the leg's height above it."""
_TOUCH, _OFTEN = 0.06, 0.1
"""A foot this share of the size above the ground, in this share of the frames: the clip is on the ground."""
_HOVERS = 0.01
"""A clip that travels, and whose lowest foot stays this share of the size above the ground, is set down."""


@dataclass(frozen=True, slots=True)
class Link:
    """The partner of a joint: the rotation ``share`` of the way from joint ``first`` to ``second`` of the source, the
    place (3,) in the source's rest pose, and why."""

    first: int
    second: int
    share: float
    place: Array
    reason: str


@dataclass(eq=False)
class _Part:
    """A chain of joints of role ``role`` on ``side`` (1 left, -1 right, 0 middle); ``parts`` hang on it."""

    chain: tuple[int, ...]
    role: str
    side: int
    parts: list[_Part] = field(default_factory=list)


class _Body:
    """A tree of joints that faces z, taken apart."""

    def __init__(self, skeleton: Skeleton, *, carried: bool) -> None:
        self.skeleton = s = skeleton
        self.at = s.rest_positions()
        self.words = [set(words(name)) for name in s.names]
        self.size = max(size_of(s), 1e-9)
        self.bones = np.linalg.norm(self.at - s.of_parents(self.at, self.at), axis=-1)
        self.bones[list(s.roots)] = 0.0
        self.useful = np.ones(s.n_joints, dtype=bool)
        for j, parent in enumerate(s.parents):
            self.useful[j] = (carried or not self.words[j] & _HELPERS) and (parent < 0 or self.useful[parent])
        self.below = np.where(self.useful, self.bones, 0.0)
        for j in reversed(range(s.n_joints)):
            if s.parents[j] >= 0:
                self.below[s.parents[j]] += self.below[j]
        self.floor = float(self.at[self.useful, 1].min())
        self.hub = self._hub()
        self.stem = s.path(self.hub)[:-1]
        self.trunk = self._trunk()
        *body, head = self.trunk
        starts = [c for j in body or [head] for c in self.children(j) if c not in self.trunk]
        self.limbs = [limb for start in starts for limb in self._limbs(start)]
        self.face = self._parts((head,)) if body else []

    def children(self, j: int) -> list[int]:
        return [c for c in self.skeleton.children[j] if self.useful[c]]

    def subtree(self, j: int) -> list[int]:
        return [j, *(k for c in self.children(j) for k in self.subtree(c))]

    def _hub(self) -> int:
        """The first joint with two large branches; the main root where there is none."""
        hub = self.skeleton.main_root
        total = self.below[hub]
        while True:
            large = [c for c in self.children(hub) if self.below[c] >= _BRANCH * total]
            if len(large) > 1:
                return hub
            if not large:
                return self.skeleton.main_root
            hub = large[0]

    def _trunk(self) -> tuple[int, ...]:
        """From the hub to the head: the first joint of that name, else the middle joint furthest ahead and up."""
        tree = self.subtree(self.hub)[1:]
        named = [j for j in tree if self.words[j] & _HEAD and self.side([j]) == 0]
        if not named:
            away = self.at - self.at[self.hub]
            reached = away[:, 2] + 0.7 * away[:, 1]
            ends = [j for j in tree if not self.children(j) and self.side(self.skeleton.path(j)) == 0]
            named = [j for j in ends if reached[j] > 0.1 * self.size]
            named.sort(key=lambda j: -reached[j])
        path = self.skeleton.path(named[0]) if named else self.skeleton.path(self.hub)
        return path[path.index(self.hub) :]

    def side(self, joints: Sequence[int]) -> int:
        """1 where the joints reach further to the left, -1 to the right, 0 in the middle."""
        across = self.at[list(joints), 0]
        far = float(across[np.abs(across).argmax()])
        return 0 if abs(far) < 0.02 * self.size else int(np.sign(far))

    def _limbs(self, start: int) -> Iterator[_Part]:
        """The limbs of a branch: itself, or what hangs on it where it has both sides."""
        across = self.at[self.subtree(start), 0]
        slack = 0.05 * self.size
        if across.min() < -slack and across.max() > slack:
            middle = [start]
            while len(self.children(middle[-1])) == 1:
                middle += self.children(middle[-1])
            yield _Part(tuple(middle), "other", 0)
            for child in self.children(middle[-1]):
                yield from self._limbs(child)
        else:
            chain = self.chain(start)
            yield _Part(chain, self._role(chain), self.side(chain), self._parts(chain))

    def chain(self, start: int) -> tuple[int, ...]:
        """From ``start`` down the longest branches."""
        chain = [start]
        while below := self.children(chain[-1]):
            chain.append(max(below, key=lambda c: self.below[c] + self.bones[c]))
        return tuple(chain)

    def _parts(self, chain: tuple[int, ...]) -> list[_Part]:
        found = []
        for start in (c for j in chain for c in self.children(j) if c not in chain):
            inner = self.chain(start)
            found.append(_Part(inner, "part", self.side(inner), self._parts(inner)))
        return found

    def _role(self, chain: tuple[int, ...]) -> str:
        said = set().union(*(self.words[j] for j in chain))
        role = next((role for role, names in _ROLES if said & names), "")
        height = max(float(np.ptp(self.at[self.useful, 1])), 1e-9)
        low = self.at[list(chain), 1].min() - self.floor < _LOW * height
        if role in ("arm", "") and low and self.side(chain) != 0 and len(chain) > 1:
            falls = self.at[chain[0], 1] - self.at[list(chain), 1].min()
            return "leg" if falls > 0.3 * height or role == "" else role
        behind = self.at[chain[-1], 2] < self.at[self.hub, 2] - 0.1 * self.size
        return role or ("arm" if self.side(chain) else "tail" if behind else "other")

    @cached_property
    def box(self) -> Array:
        """Rest positions from the hub along each axis, as a share of the rig's box."""
        used = self.at[self.useful]
        return np.asarray((self.at - self.at[self.hub]) / np.maximum(np.ptp(used, axis=0), 0.05 * self.size))

    def sections(self, chain: tuple[int, ...], *, leg: bool = False) -> dict[str, int]:
        """Section -> the position of its first joint in the chain; those of an arm as those of a ``leg``."""
        names: list[str] = []
        for j in chain:
            name = next((s for s, sets in _SECTIONS if any(found <= self.words[j] for found in sets)), "")
            names.append(name)
        for k, j in enumerate(chain):
            for word, (beside, section) in _GENERIC.items():
                known = names.index(beside) if beside in names else -1
                if not names[k] and word in self.words[j] and known >= 0 and (known < k) == (word == "leg"):
                    names[k] = section
        ankles = [k for k, j in enumerate(chain) if "ankle" in self.words[j]]
        if len(ankles) == 1 and names.count("foot") > 1:
            names[ankles[0]] = ""
        return {_LEG.get(name, name) if leg else name: names.index(name) for name in names if name}

    def foot(self, chain: tuple[int, ...]) -> int:
        """The position of the foot in a leg's chain."""
        heights = self.at[list(chain), 1] - self.floor
        top = max(float(heights.max()), 1e-9)
        named = self.sections(chain, leg=True).get("foot")
        if named and heights[named] < _NAMED_FOOT * top:
            return named
        low = [k for k in range(1, len(chain)) if heights[k] < _FOOT * top]
        return low[0] if low else named or len(chain) - 1

    def hip(self, chain: tuple[int, ...]) -> int:
        """The position of the joint from which a leg swings: of four bones at most, without a girdle."""
        foot = self.foot(chain)
        first = self.sections(chain, leg=True).get("thigh", foot)
        first = first if first < foot else max(0, foot - 3)
        heights = self.at[list(chain), 1]
        while first > max(0, foot - 4) and not self.words[chain[first - 1]] & _GIRDLE:
            if heights[first - 1] - heights[first] < _DROP * (heights[first - 1] - heights[foot]):
                break
            first -= 1
        return first

    def arc(self, chain: tuple[int, ...]) -> Array:
        """The length along the chain of each of its joints."""
        return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(self.at[list(chain)], axis=0), axis=-1))])


def retarget(
    clip: Clip,
    skeleton: Skeleton,
    mapping: Mapping[str, str] | None = None,
    *,
    facings: tuple[str, str] = ("auto", "auto"),
) -> Clip:
    """The motion of ``clip`` on ``skeleton``, at the clip's frame rate.

    ``mapping`` names for joints of ``skeleton`` the joint of the clip that they follow, or "" to rest; the others find
    their own. ``facings`` are those of the clip's skeleton and of ``skeleton`` at rest, as for
    :func:`anyrig.facing.facing_of`. Bones keep their lengths, except that joints with the same name and parent on
    both rigs slide alike. On the clip's own skeleton it is the identity. Raises SettingsError where nothing but the hub
    has a partner, and SkeletonError for unknown names in ``mapping``.
    """
    source, target, turn = _prepared(clip.skeleton, skeleton, facings)
    links = _links(source, target, mapping or {})
    if sum(j != target.hub for j in links) == 0 < target.skeleton.n_joints - 1:
        raise SettingsError("no joint of the rig has a partner in the clip's skeleton; name some with a map")
    moved = _moved(turned_onto(whole(clip), source.skeleton, -turn[0]), source, target, links)
    body = whole(skeleton.rest_clip()).skeleton
    return spread(turned_onto(moved, body, turn[1]), skeleton)


def limbs(skeleton: Skeleton) -> list[tuple[str, int]]:
    """(role, side) of each limb of a rig that faces z: leg, arm, wing, fin, tail or other; 1 for left, -1 right, 0
    middle."""
    body = _Body(whole(skeleton.rest_clip()).skeleton, carried=bool(skeleton.carriers))
    return [(limb.role, limb.side) for limb in body.limbs]


def partners(
    source: Skeleton,
    target: Skeleton,
    mapping: Mapping[str, str] | None = None,
    *,
    facings: tuple[str, str] = ("auto", "auto"),
) -> list[tuple[str, str, str]]:
    """What :func:`retarget` decides: for each joint of ``target`` its name, that of its partner, and the reason."""
    a, b, _ = _prepared(source, target, facings)
    links = _links(a, b, mapping or {})
    rows = []
    for j, name in enumerate(b.skeleton.names):
        link = links.get(j)
        if link is None:
            why = "a control joint" if not b.useful[j] else "no partner: rests on its parent"
            rows.append((name, "-", "above the hub: moves with it" if j in b.stem else why))
            continue
        first, second = a.skeleton.names[link.first], a.skeleton.names[link.second]
        blend = f"{first} to {second}, {link.share:.0%}"
        rows.append((name, second if link.share > 0.995 else first if link.share < 0.005 else blend, link.reason))
    return rows


def _prepared(source: Skeleton, target: Skeleton, facings: tuple[str, str]) -> tuple[_Body, _Body, tuple[float, float]]:
    turns = facing_of(source, facings[0]), facing_of(target, facings[1])
    a, b = (_Body(faced(whole(s.rest_clip()).skeleton, -t), carried=bool(s.carriers))
            for s, t in zip((source, target), turns, strict=True))  # fmt: skip
    return a, b, turns


def _links(source: _Body, target: _Body, mapping: Mapping[str, str]) -> dict[int, Link]:
    links: dict[int, Link] = {}
    _join(source, target, source.trunk, target.trunk, _trunk_anchors(source, target), "trunk", links)
    _join_parts(source, target, source.face, target.face, links)
    for mine, other in _limb_pairs(source, target):
        pairs = _anchors(source, target, other.chain, mine.chain, {mine.role, other.role})
        what = f"{ {1: 'left ', -1: 'right '}.get(mine.side, '') }{mine.role}"
        what = what if mine.role == other.role else f"{what} from {other.role}"
        _join(source, target, other.chain, mine.chain, pairs, what, links)
        _join_parts(source, target, other.parts, mine.parts, links)
    for n, j in enumerate(target.stem):
        if _same_stem(source, target):
            k = source.stem[n]
            links[j] = Link(k, k, 0.0, source.at[k], "above the hub")
    for name, partner in mapping.items():
        j = target.skeleton.index(name)
        links.pop(j, None)
        if partner:
            k = source.skeleton.index(partner)
            links[j] = Link(k, k, 0.0, source.at[k], "by the map")
    return links


def _trunk_anchors(source: _Body, target: _Body) -> list[tuple[int, int]]:
    """Pairs of positions in the trunks: hubs, where the front limbs hang, heads."""
    pairs = [(0, 0)]
    girdles = []
    for body in (source, target):
        on = [body.trunk.index(body.skeleton.parents[limb.chain[0]]) for limb in body.limbs
              if limb.side and body.skeleton.parents[limb.chain[0]] in body.trunk]  # fmt: skip
        girdles.append(max(on, default=0))
    if min(girdles) > 0 and girdles[0] < len(source.trunk) - 1 and girdles[1] < len(target.trunk) - 1:
        pairs.append((girdles[0], girdles[1]))
    if len(source.trunk) > 1 and len(target.trunk) > 1:
        pairs.append((len(source.trunk) - 1, len(target.trunk) - 1))
    return pairs


def _anchors(
    source: _Body, target: _Body, one: tuple[int, ...], two: tuple[int, ...], roles: set[str]
) -> list[tuple[int, int]]:
    """Pairs of positions in two chains by section; starts and ends where both go on beyond those."""
    a, b = (body.sections(chain, leg="leg" in roles) for body, chain in ((source, one), (target, two)))
    pairs = {(a[name], b[name]) for name in a if name in b and not (roles == {"leg"} and name in ("foot", "thigh"))}
    if roles == {"leg"}:
        pairs |= {(source.foot(one), target.foot(two)), (source.hip(one), target.hip(two))}
    kept: list[tuple[int, int]] = []
    for i, j in sorted(pairs):
        if not kept or (i > kept[-1][0] and j > kept[-1][1]):
            kept.append((i, j))
    if not kept or min(kept[0]) > 0:
        kept.insert(0, (0, 0))
    if kept[-1][0] < len(one) - 1 and kept[-1][1] < len(two) - 1:
        kept.append((len(one) - 1, len(two) - 1))
    return kept


def _join(
    source: _Body,
    target: _Body,
    one: tuple[int, ...],
    two: tuple[int, ...],
    anchors: Sequence[tuple[int, int]],
    what: str,
    links: dict[int, Link],
) -> None:
    """Links the joints of the chain ``two`` to ``one``, by arc length between ``anchors``.

    A joint takes the rotation of the source in the middle of its bone, which is blended between the middles of bones.
    """
    here, there = target.arc(two), source.arc(one)
    along = np.interp(here, [here[j] for _, j in anchors], [there[i] for i, _ in anchors])
    named = {j: i for i, j in anchors}
    first, last = anchors[0][1], anchors[-1][1]
    middles = np.append((there[1:] + there[:-1]) / 2, there[-1])
    for k in range(first, last + 1):
        place = np.array([np.interp(along[k], there, source.at[list(one), axis]) for axis in range(3)])
        if k == last:  # its bone goes on beyond what corresponds
            i = j = anchors[-1][0]
            share = 0.0
        else:
            at = float(np.interp((along[k] + along[k + 1]) / 2, middles, np.arange(len(one))))
            at = round(at) if abs(at - round(at)) < 1e-6 else at
            i, share = int(at), at - int(at)
            j = min(i + 1, len(one) - 1)
        how = "named or placed alike" if k in named else "by arc length"
        links[two[k]] = Link(one[i], one[j], share, place, f"{what}, {how}")


def _join_parts(
    source: _Body, target: _Body, theirs: Sequence[_Part], mine: Sequence[_Part], links: dict[int, Link]
) -> None:
    """Links parts such as fingers and ears."""
    for part, other in _pairs(mine, theirs, lambda a, b: _part_cost(target, source, a, b)):
        pairs = _anchors(source, target, other.chain, part.chain, set())
        _join(source, target, other.chain, part.chain, pairs, "part", links)
        _join_parts(source, target, other.parts, part.parts, links)


def _part_cost(target: _Body, source: _Body, a: _Part, b: _Part) -> float:
    if a.side != b.side:
        return np.inf
    names = _unlike(target, source, a, b)
    ways = [_unit(body.at[p.chain[-1]] - body.at[body.skeleton.parents[p.chain[0]]])
            for body, p in ((target, a), (source, b))]  # fmt: skip
    return 1.2 * names + float(np.linalg.norm(ways[0] - ways[1]))


def _limb_pairs(source: _Body, target: _Body) -> list[tuple[_Part, _Part]]:
    """(limb of the target, limb of the source); a leg or wing that is left over shares the nearest of its side."""
    found = _pairs(target.limbs, source.limbs, lambda a, b: _limb_cost(target, source, a, b))
    used = {id(a) for a, _ in found}
    for limb in target.limbs:
        same = [b for b in source.limbs if b.role == limb.role and b.side == limb.side]
        if id(limb) not in used and same and limb.role in ("leg", "wing"):
            found.append((limb, min(same, key=lambda b: _limb_cost(target, source, limb, b))))
    return found


def _limb_cost(target: _Body, source: _Body, a: _Part, b: _Part) -> float:
    """The cost of two limbs as partners: infinite on other sides."""
    if a.side != b.side:
        return np.inf
    cost = 0.5 * _unlike(target, source, a, b)
    if a.role != b.role:
        cost += _OTHER_ROLE if any({a.role, b.role} <= some for some in _ALIKE) else _UNLIKE
    for end in (0, -1):
        cost += 0.7 * float(np.linalg.norm(target.box[a.chain[end]] - source.box[b.chain[end]]))
    return cost


def _unlike(target: _Body, source: _Body, a: _Part, b: _Part) -> float:
    """From 0 for parts with the same words in their first joint's names to 1 for none in common."""
    one, two = (body.words[p.chain[0]] - {"left", "right"} for body, p in ((target, a), (source, b)))
    return 1.0 - len(one & two) / max(len(one | two), 1)


def _pairs(
    mine: Sequence[_Part], theirs: Sequence[_Part], cost: Callable[[_Part, _Part], float]
) -> list[tuple[_Part, _Part]]:
    """Pairs in order of cost, each part at most once."""
    found: dict[int, int] = {}
    for value, m, t in sorted((cost(a, b), m, t) for m, a in enumerate(mine) for t, b in enumerate(theirs)):
        if value < _MOST and m not in found and t not in found.values():
            found[m] = t
    return [(mine[m], theirs[t]) for m, t in found.items()]


def _unit(v: Array) -> Array:
    return np.asarray(v / max(float(np.linalg.norm(v)), 1e-12))


def _moved(clip: Clip, source: _Body, target: _Body, links: Mapping[int, Link]) -> Clip:
    """The motion of a clip of ``source`` on ``target``, both facing z."""
    s, n = target.skeleton, clip.n_frames
    positions, rotations = clip.world()
    turns = rot.continuous(rot.multiply(rotations, rot.inverse(source.skeleton.rest_world())))
    yaw = rot.about("y", headings(turns[:, source.hub]))
    align, rest = _aligned(source, target, links), s.rest_world()
    legs = _legs(source, target, links)
    grounded = any(_touches(source, positions, leg) for leg in legs)
    if grounded and np.linalg.norm(clip.travel()[-1]) > source.size:
        positions = positions - _hover(source, positions, legs)
    scale = float(np.mean([leg.scale for leg in legs])) if grounded else target.size / source.size
    local_r = np.broadcast_to(s.rest, (n, s.n_joints, 4)).copy()
    local_t = np.broadcast_to(s.offsets, (n, s.n_joints, 3)).copy()
    hub = _travel(positions[:, source.hub], source, target, scale, legs if grounded else ())
    world_r, world_t = local_r.copy(), local_t.copy()
    for j, parent in enumerate(s.parents):
        link = links.get(j)
        if link is not None:
            turn = rot.slerp(turns[:, link.first], turns[:, link.second], np.full(n, link.share))
            world_r[:, j] = rot.multiply(turn, rot.multiply(align[j], rest[j]))
        elif j in target.stem:
            world_r[:, j] = rot.multiply(yaw, rest[j])
        elif parent >= 0:
            world_r[:, j] = rot.multiply(world_r[:, parent], s.rest[j])
        else:
            world_r[:, j] = rest[j]
        above = world_r[:, parent] if parent >= 0 else rot.identity(n)
        base = world_t[:, parent] if parent >= 0 else np.zeros((n, 3))
        if j == target.hub:
            world_t[:, j] = hub
        elif j == s.main_root:
            world_t[:, j] = _root(positions, hub, yaw, source, target, scale)
        else:
            slide = _slide(clip, source, target, links, j)
            world_t[:, j] = base + rot.rotate(above, s.offsets[j] + slide)
    local_r, local_t = s.local(world_t, world_r)
    moved = Clip(s, rot.continuous(local_r), local_t, clip.fps, clip.name, clip.captions, clip.action)
    if grounded:
        for leg in legs:
            moved = _stood(moved, leg, _goals(positions, turns, hub, source, target, leg, scale))
    return moved


@dataclass(frozen=True, slots=True)
class _Leg:
    """Chains from hip to foot of the target and the source, and the ratio of their lengths at rest."""

    mine: tuple[int, ...]
    other: tuple[int, ...]
    scale: float


def _legs(source: _Body, target: _Body, links: Mapping[int, Link]) -> list[_Leg]:
    """The legs that have a leg of the source as their partner."""
    found = []
    for limb in target.limbs:
        foot, hip = target.foot(limb.chain), target.hip(limb.chain)
        link = links.get(limb.chain[foot])
        other = next((b for b in source.limbs if link and link.first in b.chain), None)
        if link is None or other is None or {limb.role, other.role} != {"leg"} or hip == foot:
            continue
        chain = other.chain[source.hip(other.chain) : source.foot(other.chain) + 1]
        spans = [float(np.linalg.norm(body.at[c[-1]] - body.at[c[0]]))
                 for body, c in ((target, limb.chain[hip : foot + 1]), (source, chain))]  # fmt: skip
        if len(chain) > 1 and min(spans) > 1e-6 * target.size:
            found.append(_Leg(limb.chain[hip : foot + 1], chain, spans[0] / spans[1]))
    return found


def _touches(source: _Body, positions: Array, leg: _Leg) -> bool:
    low = positions[:, source.subtree(leg.other[-1]), 1].min(axis=1)
    return bool((low < _TOUCH * source.size).mean() >= _OFTEN)


def _hover(source: _Body, positions: Array, legs: Sequence[_Leg]) -> Array:
    """The shift of a whole clip whose feet never come down to the ground, as in much motion capture; (3,)."""
    least = min(float(positions[:, leg.other[-1], 1].min()) - _height(source, leg.other[-1]) for leg in legs)
    return np.array([0.0, least if least > _HOVERS * source.size else 0.0, 0.0])


def _aligned(source: _Body, target: _Body, links: Mapping[int, Link]) -> Array:
    """(J, 4): what turns each joint's rest pose to that of its partner."""
    s = target.skeleton
    out = rot.identity(s.n_joints)
    way: dict[int, tuple[Array, Array]] = {}
    for limb in target.limbs:
        chain, sections = limb.chain, target.sections(limb.chain)
        if limb.role == "arm":
            for k in range(sections.get("upper arm", 1 if len(chain) > 3 else 0), len(chain) - 1):
                way[chain[k]] = _ways(target, links, chain[k], chain[k + 1])
        elif limb.role in ("leg", "wing", "fin", "tail"):
            leg = limb.role == "leg"
            first, last = (target.hip(chain), target.foot(chain)) if leg else (0, len(chain) - 1)
            linked = [k for k in range(first, last + 1) if chain[k] in links]
            if linked and linked[-1] > first:
                both = _ways(target, links, chain[first], chain[linked[-1]])
                way |= {chain[k]: both for k in range(first, last)}
                if leg:  # soles are level at rest
                    way[chain[last]] = (np.zeros(3), np.zeros(3))
    for j, parent in enumerate(s.parents):
        if j in way:
            out[j] = rot.between(*way[j])
        elif parent >= 0 and j not in target.trunk:
            out[j] = out[parent]
    return out


def _ways(target: _Body, links: Mapping[int, Link], start: int, end: int) -> tuple[Array, Array]:
    """The direction from one joint to another at rest, and that from partner to partner."""
    if start not in links or end not in links:
        return np.zeros(3), np.zeros(3)
    return target.at[end] - target.at[start], links[end].place - links[start].place


def _travel(path: Array, source: _Body, target: _Body, scale: float, legs: Sequence[_Leg]) -> Array:
    """The hub's positions; with ``legs``, as far above the ground as its legs need."""
    rest = target.at[target.hub], source.at[source.hub]
    place = rest[0] + scale * (path - rest[1])
    if legs:
        above = [[body.at[body.hub, 1] - body.at[c[0], 1] + _height(body, c[-1]) for body, c in
                  ((target, leg.mine), (source, leg.other))] for leg in legs]  # fmt: skip
        mine, other = np.mean(above, axis=0)
        place[:, 1] = scale * (path[:, 1] - other) + mine
    return np.asarray(place)


def _height(body: _Body, foot: int) -> float:
    """How far above the ground a foot's joint rests."""
    return float(body.at[foot, 1] - body.floor)


def _root(positions: Array, hub: Array, yaw: Array, source: _Body, target: _Body, scale: float) -> Array:
    """Positions of a root above the hub: as the source's of the same name, else moving with the hub."""
    main, theirs = target.skeleton.main_root, source.skeleton.main_root
    if _same_stem(source, target):
        return np.asarray(target.at[main] + scale * (positions[:, theirs] - source.at[theirs]))
    return np.asarray(hub + rot.rotate(yaw, target.at[main] - target.at[target.hub]))


def _same_stem(source: _Body, target: _Body) -> bool:
    """Whether the joints down to the hub have the same names."""
    mine, theirs = ([body.skeleton.names[j] for j in (*body.stem, body.hub)] for body in (source, target))
    return mine == theirs


def _slide(clip: Clip, source: _Body, target: _Body, links: Mapping[int, Link], j: int) -> Array:
    """How a joint moves against its parent, where both have the names of their partners."""
    s, o, link = target.skeleton, source.skeleton, links.get(j)
    parent = s.parents[j]
    above = links.get(parent)
    if link is None or above is None or link.share or above.share or o.parents[link.first] != above.first:
        return np.zeros(3)
    if s.names[j] != o.names[link.first] or s.names[parent] != o.names[above.first]:
        return np.zeros(3)
    ratio = (np.linalg.norm(s.offsets[j]) + 1e-9) / (np.linalg.norm(o.offsets[link.first]) + 1e-9)
    turn = rot.multiply(rot.inverse(s.rest_world()[parent]), o.rest_world()[above.first])
    return np.asarray(ratio * rot.rotate(turn, clip.translations[:, link.first] - o.offsets[link.first]))


def _goals(positions: Array, turns: Array, hub: Array, source: _Body, target: _Body, leg: _Leg, scale: float) -> Array:
    """Where a foot has to be: the source's foot on the other scale, shifted as the hips are, along its heading."""
    foot, mine = leg.other[-1], leg.mine[-1]
    rest = target.at[target.hub], source.at[source.hub]
    goal = rest[0] + scale * (positions[:, foot] - rest[1])
    goal[:, 1] = scale * (positions[:, foot, 1] - _height(source, foot)) + _height(target, mine)
    apart = (target.at[leg.mine[0]] - rest[0]) - scale * (source.at[leg.other[0]] - rest[1])
    apart[1] = 0.0
    return np.asarray(goal + rot.rotate(rot.about("y", headings(turns[:, foot])), apart))


def _stood(clip: Clip, leg: _Leg, goal: Array) -> Clip:
    """The clip with a foot at its goals, or as near as the leg reaches; the foot keeps its rotation in the world."""
    s, chain = clip.skeleton, list(leg.mine)
    positions, world = clip.world()
    off = np.linalg.norm(goal - positions[:, chain[-1]], axis=-1)
    moved = np.flatnonzero(off > 1e-9 * size_of(s))
    if not len(moved):
        return clip
    before = positions[moved][:, chain]
    after = reach(before, goal[moved])
    turned, rotations = world[moved], clip.rotations.copy()
    for k, j in enumerate(chain):
        if k < len(chain) - 1:
            bend = rot.between(before[:, k + 1] - before[:, k], after[:, k + 1] - after[:, k])
            turned[:, j] = rot.multiply(bend, turned[:, j])
        above = turned[:, s.parents[j]] if s.parents[j] >= 0 else rot.IDENTITY
        rotations[moved, j] = rot.multiply(rot.inverse(above), turned[:, j])
    return replace(clip, rotations=rot.continuous(rotations))
