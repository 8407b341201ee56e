"""Kinds of creatures: known animals as ranges of numbers, and random bodies drawn from them.

A new animal is a row in the table of its kind. A new kind is a function from a draw to a plan and a row in
:data:`KINDS`; its actions follow from its legs, or from rows in :data:`anyrig.creatures.ACTIONS`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from anyrig.creatures.body import Arms, BodyPlan, Chain, Fins, Head, LegPair, Rest, Trunk, Wings, naming
from anyrig.errors import SettingsError

BLENDED = 0.2  # the share of creatures interpolated between two animals


class Animal:
    """``nouns``, ranges of numbers, and words for other choices.

    ``size`` is the height of the hips in metres, or the body's length where there are no legs; other lengths are
    relative to it. Angles are in degrees; ``_n`` ends the name of a count; ``jaw``, ``mandibles``, ``pelvic``, ``arms``
    and ``wings`` are probabilities. A quadruped's ``slope`` is its shoulders' height over its hips'; an insect's
    ``steep`` goes from 0 (flat, wide legs) to 1 (high knees); ``span`` is half the wing span; ``thick`` and ``deep``
    are half the trunk's width and height.
    """

    def __init__(self, nouns: str, **traits: str | float | tuple[float, float]) -> None:
        self.nouns = nouns.split(", ")
        self.words = {name: trait for name, trait in traits.items() if isinstance(trait, str)}
        numbers = {name: trait for name, trait in traits.items() if not isinstance(trait, str)}
        self.ranges = {name: trait if isinstance(trait, tuple) else (trait, trait) for name, trait in numbers.items()}

    def draw(self, rng: random.Random) -> dict[str, float]:
        return {
            # Sizes span orders of magnitude.
            name: math.exp(rng.uniform(math.log(low), math.log(high))) if name == "size" else rng.uniform(low, high)
            for name, (low, high) in self.ranges.items()
        }


_BIPEDS = (
    Animal("person, human, man, woman", posture="human", size=(0.75, 1.0), trunk=(0.55, 0.62), pitch=(84, 90),
           neck=(0.1, 0.14), neck_n=(1, 2), neck_pitch=(74, 86), head=(0.2, 0.24), head_pitch=(55, 75),
           spread=(0.09, 0.12), shoulder=(0.19, 0.24), arm=(0.62, 0.7), fingers=(0, 5.4), flex=(0.4, 0.6),
           spine_n=(3, 5)),
    Animal("ogre, troll, giant, gorilla", posture="human", size=(0.7, 1.8), trunk=(0.72, 0.9), pitch=(66, 80),
           neck=(0.1, 0.15), neck_n=1, neck_pitch=(45, 65), head=(0.24, 0.3), head_pitch=(20, 45), spread=(0.15, 0.2),
           shoulder=(0.32, 0.42), arm=(0.9, 1.05), fingers=(0, 3.4), flex=(0.3, 0.5), spine_n=(3, 4), jaw=0.4,
           bend=(6, 10)),
    Animal("goblin, imp, dwarf, robot", posture="human", size=(0.3, 0.55), trunk=(0.75, 0.95), pitch=(76, 88),
           neck=(0.1, 0.16), neck_n=1, neck_pitch=(60, 80), head=(0.38, 0.5), head_pitch=(35, 70),
           spread=(0.14, 0.19), shoulder=(0.26, 0.34), arm=(0.75, 0.9), fingers=(0, 2.4), flex=(0.4, 0.6),
           spine_n=(2, 4), ears=(0, 1.6), jaw=0.3, tail=(0.0, 0.5), tail_n=(0, 3), tail_pitch=(-50, 10)),
    Animal("tyrannosaurus, raptor, dinosaur, theropod", posture="theropod", size=(0.5, 2.6), trunk=(0.75, 0.95),
           pitch=(8, 28), neck=(0.4, 0.55), neck_n=(2, 4), neck_pitch=(40, 62), head=(0.4, 0.5), head_pitch=(-14, 2),
           spread=(0.12, 0.17), shoulder=(0.11, 0.15), arm=(0.28, 0.45), fingers=(0, 3.4), flex=(0.3, 0.5),
           spine_n=(3, 5), jaw=0.9, tail=(1.3, 1.7), tail_n=(4, 10), tail_pitch=(-10, 8)),
    Animal("kangaroo, wallaby", posture="theropod", habit="hops", size=(0.45, 0.8), trunk=(0.85, 1.0), pitch=(40, 58),
           neck=(0.25, 0.34), neck_n=(1, 2), neck_pitch=(60, 75), head=(0.26, 0.32), head_pitch=(-15, 5),
           spread=(0.1, 0.14), shoulder=(0.12, 0.16), arm=(0.4, 0.5), fingers=(0, 1.4), flex=(0.5, 0.7),
           spine_n=(3, 4), ears=(0.6, 2.4), tail=(1.15, 1.4), tail_n=(4, 8), tail_pitch=(-30, -20)),
    Animal("ostrich, emu, terror bird", posture="theropod", size=(0.7, 1.2), trunk=(0.6, 0.75), pitch=(12, 26),
           neck=(0.7, 1.0), neck_n=(3, 6), neck_pitch=(68, 84), head=(0.18, 0.26), head_pitch=(-12, 0),
           spread=(0.11, 0.15), flex=(0.2, 0.3), spine_n=(2, 3), jaw=0.5, tail=(0.25, 0.4), tail_n=(1, 3),
           tail_pitch=(-10, 20)),
)  # fmt: skip
_BIRDS = (
    Animal("sparrow, robin, finch, songbird", habit="hops", size=(0.05, 0.12), trunk=(1.0, 1.3), pitch=(25, 42),
           neck=(0.35, 0.5), neck_n=(1, 2), neck_pitch=(50, 70), head=(0.45, 0.6), head_pitch=(-12, 2),
           tail=(0.9, 1.3), tail_pitch=(-22, -5), tail_n=(1, 2), span=(2.1, 2.6), spread=(0.2, 0.26), jaw=0.3),
    Animal("crow, raven, pigeon, magpie", size=(0.1, 0.22), trunk=(0.95, 1.2), pitch=(18, 35), neck=(0.4, 0.55),
           neck_n=(1, 3), neck_pitch=(52, 70), head=(0.45, 0.55), head_pitch=(-14, 0), tail=(0.8, 1.1),
           tail_pitch=(-18, -5), tail_n=(1, 2), span=(2.4, 3.0), spread=(0.2, 0.26), jaw=0.4),
    Animal("eagle, hawk, falcon, owl", size=(0.18, 0.4), trunk=(0.95, 1.2), pitch=(35, 55), neck=(0.3, 0.42),
           neck_n=(1, 2), neck_pitch=(58, 76), head=(0.38, 0.48), head_pitch=(-20, -5), tail=(0.7, 1.0),
           tail_pitch=(-38, -22), tail_n=(1, 2), span=(2.9, 3.6), spread=(0.2, 0.28), jaw=0.5),
    Animal("duck, goose, gull, swan", size=(0.1, 0.3), trunk=(1.2, 1.5), pitch=(4, 18), neck=(0.6, 1.2),
           neck_n=(2, 5), neck_pitch=(60, 82), head=(0.5, 0.6), head_pitch=(-10, 0), tail=(0.35, 0.5),
           tail_pitch=(-5, 12), tail_n=1, span=(2.4, 3.2), spread=(0.24, 0.32), jaw=0.4),
    Animal("heron, crane, stork, flamingo", size=(0.4, 0.8), trunk=(0.6, 0.75), pitch=(15, 35), neck=(0.75, 1.05),
           neck_n=(3, 6), neck_pitch=(62, 80), head=(0.3, 0.42), head_pitch=(-12, 0), tail=(0.25, 0.35),
           tail_pitch=(-22, -8), tail_n=1, span=(1.3, 1.7), spread=(0.09, 0.13), jaw=0.4),
)  # fmt: skip
_DRAGONS = (
    Animal("dragon, winged dragon, fire dragon", legs="four", size=(0.5, 2.6), trunk=(1.25, 1.6), neck=(0.9, 1.4),
           neck_n=(3, 7), neck_pitch=(42, 66), head=(0.38, 0.5), head_pitch=(-20, -4), tail=(1.7, 2.4),
           tail_n=(5, 11), tail_pitch=(-26, -12), spread=(0.17, 0.23), flex=(0.5, 0.8), span=(2.2, 3.2),
           spine_n=(3, 5), jaw=0.9, ears=(0, 1.0), slope=(-4, 10)),
    Animal("wyvern, two-legged dragon", legs="two", size=(0.6, 2.2), trunk=(0.85, 1.1), neck=(0.7, 1.1),
           neck_n=(3, 6), neck_pitch=(45, 66), head=(0.36, 0.46), head_pitch=(-18, -2), tail=(1.5, 2.1),
           tail_n=(5, 10), tail_pitch=(-14, 2), spread=(0.14, 0.2), flex=(0.4, 0.6), span=(2.0, 2.8), spine_n=(3, 5),
           jaw=0.9, ears=(0, 1.0), slope=(15, 35)),
    Animal("drake, lindworm, young dragon", legs="four", size=(0.25, 0.8), trunk=(1.2, 1.5), neck=(0.55, 0.8),
           neck_n=(2, 4), neck_pitch=(40, 60), head=(0.45, 0.6), head_pitch=(-20, -5), tail=(1.4, 1.9), tail_n=(4, 8),
           tail_pitch=(-26, -10), spread=(0.2, 0.26), flex=(0.6, 0.9), span=(1.6, 2.2), spine_n=(3, 4), jaw=0.7,
           ears=(0, 1.4), slope=(-2, 8)),
)  # fmt: skip
_FISH = (
    Animal("fish, goldfish, perch, trout", tail="lobes", size=(0.1, 0.9), deep=(0.11, 0.17), head=(0.2, 0.26),
           spine_n=(3, 7), fin=(0.1, 0.16), fin_n=(1, 2), dorsal=1, pelvic=0.5, jaw=0.5),
    Animal("shark, tuna, barracuda", tail="lobes", size=(0.9, 5.0), deep=(0.08, 0.11), head=(0.2, 0.25),
           spine_n=(4, 8), fin=(0.16, 0.22), fin_n=(1, 2), dorsal=1, pelvic=0.7, jaw=0.9),
    Animal("eel, moray, sea serpent", tail="none", habit="eel", size=(0.5, 6.0), deep=(0.03, 0.05), head=(0.09, 0.12),
           spine_n=(10, 18), fin=(0.04, 0.06), fin_n=1, pelvic=0, jaw=0.8),
    Animal("dolphin, orca, porpoise", tail="flukes", habit="vertical", size=(1.2, 6.0), deep=(0.1, 0.13),
           head=(0.2, 0.25), spine_n=(4, 7), fin=(0.15, 0.2), fin_n=(1, 3), dorsal=1, jaw=0.7),
    Animal("whale, humpback whale", tail="flukes", habit="vertical", size=(5.0, 16.0), deep=(0.1, 0.14),
           head=(0.26, 0.32), spine_n=(4, 7), fin=(0.18, 0.3), fin_n=(2, 3), dorsal=(0.4, 0.6), jaw=0.7),
    Animal("manta ray, stingray, ray", tail="none", habit="rays", size=(0.6, 4.0), deep=(0.05, 0.07),
           head=(0.16, 0.2), spine_n=(4, 7), span=(0.5, 0.75)),
)  # fmt: skip
_HEXAPODS = (
    Animal("ant, giant ant, termite", size=(0.06, 0.8), trunk=(1.3, 1.7), head=(0.7, 0.9), head_pitch=(-45, -25),
           tail=(1.3, 1.7), tail_n=(1, 3), tail_pitch=(-10, 10), thick=(0.28, 0.38), steep=(0.35, 0.7),
           antennae=(1, 3), mandibles=0.7),
    Animal("beetle, cockroach, bug", size=(0.04, 0.5), trunk=(1.8, 2.6), head=(0.6, 0.8), head_pitch=(-30, -10),
           tail=(1.4, 2.0), tail_n=(1, 2), tail_pitch=(-12, -4), thick=(0.5, 0.7), steep=(0.0, 0.3),
           antennae=(0, 2.4), mandibles=0.5, wings=0.2, wing=(3.0, 4.0)),
    Animal("wasp, bee, hornet, fly", size=(0.06, 0.6), trunk=(1.0, 1.4), head=(0.55, 0.7), head_pitch=(-50, -30),
           tail=(1.4, 2.2), tail_n=(2, 4), tail_pitch=(-40, -20), thick=(0.35, 0.5), steep=(0.2, 0.5),
           antennae=(1, 2.4), mandibles=0.3, wings=1, wing=(2.6, 3.6)),
    Animal("mantis, stick insect, cricket", size=(0.08, 0.7), trunk=(1.6, 2.2), head=(0.45, 0.6),
           head_pitch=(-60, -40), tail=(1.5, 2.2), tail_n=(2, 4), tail_pitch=(-10, 5), thick=(0.2, 0.3),
           steep=(0.4, 0.8), antennae=(1, 3), arms=0.6, wings=0.3, wing=(2.4, 3.2), slope=(10, 30)),
)  # fmt: skip
_OCTOPODS = (
    Animal("spider, giant spider, harvestman", size=(0.06, 0.9), trunk=(0.8, 1.2), head=(0.4, 0.55),
           head_pitch=(-25, -5), tail=(1.2, 1.7), tail_n=(1, 2), tail_pitch=(5, 20), thick=(0.3, 0.4),
           steep=(0.5, 1.0), mandibles=0.6),
    Animal("tarantula, wolf spider", size=(0.06, 0.6), trunk=(1.2, 1.6), head=(0.5, 0.65), head_pitch=(-25, -10),
           tail=(1.6, 2.0), tail_n=(1, 2), tail_pitch=(-5, 10), thick=(0.45, 0.6), steep=(0.25, 0.5), mandibles=0.8),
    Animal("scorpion, giant scorpion", habit="sting", size=(0.06, 0.7), trunk=(2.0, 2.8), head=(0.5, 0.7),
           head_pitch=(-10, 0), tail=(4.0, 5.2), tail_n=(5, 8), tail_pitch=(10, 25), thick=(0.4, 0.55),
           steep=(0.1, 0.35), arm=(2.6, 3.4), mandibles=0.3),
    Animal("crab, giant crab", habit="sideways", size=(0.06, 0.6), trunk=(1.0, 1.4), head=(0.35, 0.5),
           head_pitch=(10, 40), thick=(0.8, 1.1), steep=(0.2, 0.55), arm=(2.0, 2.8), tail=(0.4, 0.6),
           tail_pitch=(-10, 0), tail_n=(0, 0.4)),
)  # fmt: skip
_QUADRUPEDS = (
    Animal("dog, wolf, fox, hound", posture="digitigrade", size=(0.3, 0.75), trunk=(1.0, 1.25), neck=(0.35, 0.5),
           neck_n=(1, 3), neck_pitch=(35, 58), head=(0.3, 0.4), head_pitch=(-32, -12), tail=(0.6, 0.95),
           tail_n=(3, 8), tail_pitch=(-45, 25), slope=(0.98, 1.08), spread=(0.13, 0.17), flex=(0.5, 0.8),
           spine_n=(3, 5), ears=(0, 2.4), jaw=0.6),
    Animal("cat, lion, tiger, leopard", posture="digitigrade", size=(0.22, 0.9), trunk=(1.25, 1.55),
           neck=(0.25, 0.36), neck_n=(1, 2), neck_pitch=(25, 45), head=(0.24, 0.3), head_pitch=(-25, -8),
           tail=(0.9, 1.25), tail_n=(4, 9), tail_pitch=(-60, -15), slope=(0.92, 1.0), spread=(0.13, 0.17),
           flex=(0.8, 1.0), spine_n=(3, 6), ears=(0, 1.6), jaw=0.6),
    Animal("horse, donkey, zebra, mule", posture="unguligrade", size=(0.9, 1.5), trunk=(0.95, 1.1), neck=(0.62, 0.78),
           neck_n=(2, 4), neck_pitch=(42, 56), head=(0.4, 0.48), head_pitch=(-58, -40), tail=(0.5, 0.7),
           tail_n=(3, 7), tail_pitch=(-72, -55), slope=(0.97, 1.04), spread=(0.12, 0.15), flex=(0.25, 0.4),
           spine_n=(3, 4), ears=(0, 2.4), jaw=0.3),
    Animal("deer, stag, gazelle, alpaca", posture="unguligrade", size=(0.6, 1.1), trunk=(0.9, 1.1), neck=(0.6, 0.85),
           neck_n=(2, 4), neck_pitch=(50, 70), head=(0.3, 0.36), head_pitch=(-40, -22), tail=(0.14, 0.25),
           tail_n=(1, 3), tail_pitch=(-60, -20), slope=(0.95, 1.02), spread=(0.1, 0.14), flex=(0.4, 0.6),
           spine_n=(3, 4), ears=(0, 2.4), jaw=0.3),
    Animal("cow, bull, bison, ox", posture="unguligrade", size=(0.7, 1.3), trunk=(1.2, 1.4), neck=(0.4, 0.52),
           neck_n=(1, 3), neck_pitch=(8, 28), head=(0.38, 0.45), head_pitch=(-52, -35), tail=(0.7, 0.9),
           tail_n=(3, 7), tail_pitch=(-80, -65), slope=(0.97, 1.08), spread=(0.15, 0.19), flex=(0.15, 0.3),
           spine_n=(3, 4), ears=(0, 1.4), jaw=0.3),
    Animal("elephant, mammoth", posture="columnar", size=(1.4, 2.5), trunk=(0.9, 1.05), neck=(0.2, 0.26), neck_n=1,
           neck_pitch=(18, 32), head=(0.3, 0.36), head_pitch=(-45, -30), tail=(0.4, 0.55), tail_n=(2, 5),
           tail_pitch=(-80, -70), slope=(1.0, 1.1), spread=(0.15, 0.19), flex=(0.05, 0.15), spine_n=(2, 4),
           ears=(0.6, 2.4), jaw=0.4, nose_n=(4, 8), nose=(0.75, 0.9)),
    Animal("bear, badger, panda", posture="plantigrade", size=(0.4, 1.0), trunk=(1.15, 1.4), neck=(0.3, 0.4),
           neck_n=(1, 2), neck_pitch=(10, 32), head=(0.34, 0.42), head_pitch=(-28, -12), tail=(0.08, 0.15),
           tail_n=(0, 1.4), tail_pitch=(-50, -30), slope=(0.98, 1.12), spread=(0.16, 0.21), flex=(0.4, 0.6),
           spine_n=(3, 4), ears=(0, 1.4), jaw=0.6),
    Animal("rat, mouse, weasel", posture="digitigrade", habit="bounds", size=(0.06, 0.16), trunk=(1.5, 1.9),
           neck=(0.28, 0.4), neck_n=(1, 2), neck_pitch=(10, 30), head=(0.45, 0.55), head_pitch=(-22, -5),
           tail=(1.3, 1.9), tail_n=(4, 9), tail_pitch=(-22, -8), slope=(0.85, 0.95), spread=(0.2, 0.27),
           flex=(0.8, 1.0), spine_n=(3, 5), ears=(0, 1.4), jaw=0.3),
    Animal("lizard, gecko, iguana, salamander", posture="sprawling", size=(0.05, 0.25), trunk=(2.8, 3.8),
           neck=(0.6, 0.9), neck_n=(1, 2), neck_pitch=(8, 25), head=(0.75, 0.95), head_pitch=(-10, 2),
           tail=(3.6, 5.2), tail_n=(5, 12), tail_pitch=(-8, 0), slope=(0.95, 1.05), spread=(0.4, 0.5),
           flex=(0.9, 1.0), spine_n=(4, 7), jaw=0.5),
    Animal("crocodile, alligator, monitor lizard", posture="sprawling", size=(0.2, 0.4), trunk=(3.0, 3.8),
           neck=(0.5, 0.7), neck_n=(1, 2), neck_pitch=(2, 12), head=(1.2, 1.6), head_pitch=(-6, 0), tail=(3.6, 4.6),
           tail_n=(6, 12), tail_pitch=(-8, -3), slope=(0.92, 1.0), spread=(0.45, 0.55), flex=(0.7, 0.9),
           spine_n=(4, 6), jaw=1),
    Animal("long-necked dinosaur, brontosaurus, sauropod", posture="columnar", size=(1.6, 3.0), trunk=(1.05, 1.3),
           neck=(1.2, 1.9), neck_n=(4, 9), neck_pitch=(38, 62), head=(0.2, 0.26), head_pitch=(-28, -10),
           tail=(1.6, 2.3), tail_n=(5, 12), tail_pitch=(-24, -12), slope=(0.85, 1.1), spread=(0.18, 0.22),
           flex=(0.15, 0.3), spine_n=(3, 5), jaw=0.4),
    Animal("rhinoceros, triceratops, hippopotamus, boar", posture="columnar", size=(0.6, 1.5), trunk=(1.25, 1.5),
           neck=(0.25, 0.36), neck_n=(1, 2), neck_pitch=(0, 15), head=(0.45, 0.6), head_pitch=(-32, -18),
           tail=(0.3, 0.9), tail_n=(2, 5), tail_pitch=(-65, -30), slope=(0.92, 1.04), spread=(0.18, 0.23),
           flex=(0.1, 0.25), spine_n=(3, 4), ears=(0, 1.4), jaw=0.5),
)  # fmt: skip
_SERPENTS = (
    Animal("snake, viper, adder, rattlesnake", habit="coils", size=(0.5, 1.8), thick=(0.012, 0.02),
           head=(0.045, 0.065), spine_n=(10, 22), jaw=0.7),
    Animal("cobra, mamba", habit="rears", size=(1.0, 3.5), thick=(0.01, 0.015), head=(0.035, 0.05), spine_n=(12, 24),
           jaw=0.7),
    Animal("python, anaconda, giant serpent", habit="coils", size=(2.5, 9.0), thick=(0.014, 0.024),
           head=(0.035, 0.05), spine_n=(14, 30), jaw=0.8),
    Animal("worm, giant worm", habit="plain", size=(0.3, 6.0), thick=(0.025, 0.045), head=(0.06, 0.09),
           spine_n=(8, 14), jaw=0.2),
)  # fmt: skip


@dataclass(frozen=True)
class _Draw:
    """A draw from the animals of a kind: ``noun``, numbers and words by name; ``rng`` is for further choices."""

    kind: str
    noun: str
    numbers: dict[str, float]
    words: dict[str, str]
    rng: random.Random

    def __getitem__(self, name: str) -> float:
        return self.numbers.get(name, 0.0)

    def length(self, name: str) -> float:
        return self[name] * self.size

    def count(self, name: str) -> int:
        return round(self[name])

    def angle(self, name: str) -> float:
        return math.radians(self[name])

    def likely(self, name: str) -> bool:
        return self.rng.random() < self[name]

    @property
    def size(self) -> float:
        return self.numbers["size"]

    @property
    def habits(self) -> frozenset[str]:
        return frozenset([self.words["habit"]] if "habit" in self.words else [])

    def neck(self, low: float, high: float, least: int = 1) -> Chain:
        """A neck with pitches from ``low`` to ``high`` times its own."""
        pitch = self.angle("neck_pitch")
        return Chain(max(least, self.count("neck_n")), self.length("neck"), pitch * low, pitch * high)

    def head(self, jaw: bool, mandibles: bool = False, nose: Chain | None = None) -> Head:
        ears, antennae = self.count("ears"), self.count("antennae")
        return Head(self.length("head"), self.angle("head_pitch"), jaw, ears, antennae, mandibles, nose)

    def tail(self, start: float, taper: float = 1.0, least: int = 0) -> Chain | None:
        """A tail that starts at the pitch ``start``; None where it would have no bones."""
        n = max(least, self.count("tail_n"))
        return Chain(n, self.length("tail"), start, self.angle("tail_pitch"), taper) if n else None

    def plan(self, *, fold: bool = False, **parts: Any) -> BodyPlan:
        """The plan of ``parts`` with random joint names and rest pose; ``fold``: its wings may be folded."""
        names = naming(self.rng)
        rest = _rest(self.rng, math.radians(80) if "upright" in parts.get("habits", ()) else 0.0, fold)
        return BodyPlan(self.kind, self.noun, self.size, naming=names, rest=rest, **parts)


def _rest(rng: random.Random, arms: float, fold: bool) -> Rest:
    """A random rest pose as in real rigs: mostly near the natural pose, with axes of the world or along the bones.

    ``arms`` is the angle (radians) by which a T pose raises the arms; ``fold``: wings may rest folded.
    """
    ground = rng.random() < 0.3
    return Rest(
        arms=arms * rng.choice((0.0, 0.5, 1.0, 1.0)),
        wings=rng.choice((0.0, 0.0, 0.3, 1.0)) if fold else 0.0,
        legs=rng.choice((0.0, 0.0, 0.0, rng.uniform(0.2, 0.7))),
        level=rng.choice((0.0, 0.0, rng.uniform(0.3, 1.0))),
        frame=rng.choice(("world", "world", "y", "x")),
        ground=ground,
        armature=ground and rng.random() < 0.4,
        tips=rng.random() < 0.7,
        tail_first=rng.random() < 0.35,
    )


# -- legs


def _radians(*degrees: float) -> tuple[float, ...]:
    return tuple(math.radians(d) for d in degrees)


# Posture: the foot's share of the hip's height and its pitch, the toe's share, the bones' angles of hind and fore legs.
_POSTURES = {
    "plantigrade": (0.2, 25.0, 0.14, (20, -16), (-24, 14)),
    "columnar": (0.12, 40.0, 0.0, (13, -11), (-12, 10)),
    "digitigrade": (0.0, 0.0, 0.16, (31, -38, 14), (-31, 12, -2)),
    "unguligrade": (0.13, 58.0, 0.0, (28, -33, 6), (-32, 10, -4)),
}


def _mammal_leg(posture: str, front: bool, spread: float, drop: float, rng: random.Random) -> LegPair:
    """A leg of a four-legged animal in one of :data:`_POSTURES`, or ``"sprawling"``."""
    jitter = rng.uniform(0.85, 1.15)
    girdle = front and rng.random() < 0.6
    at = 1.0 if front else 0.0
    if posture == "sprawling":
        azimuth = math.radians(rng.uniform(60, 80) if front else rng.uniform(95, 115))
        angles = _radians(80 * min(jitter, 1), -4.0 * jitter)
        return LegPair(at, spread, drop, azimuth, (0.5, 0.5), angles, 0.28, math.radians(14), 0.2, girdle)
    foot, pitch, toe, hind, fore = _POSTURES[posture]
    angles = _radians(*(angle * jitter for angle in (fore if front else hind)))
    lengths = ((0.36, 0.40, 0.24) if front else (0.36, 0.36, 0.28))[: len(angles)]
    toe *= rng.uniform(0.8, 1.2)
    home = rng.uniform(-0.04, 0.08) if front else rng.uniform(-0.1, 0.04)
    return LegPair(at, spread, drop, 0.0, lengths, angles, foot, math.radians(pitch), toe, girdle, home)


def _human_leg(spread: float, bend: float, rng: random.Random) -> LegPair:
    """A straight leg with a flat foot; ``bend`` degrees of thigh and shin."""
    foot, toe, home = rng.uniform(0.14, 0.18), rng.uniform(0.06, 0.1), rng.uniform(0.06, 0.1)
    angles, pitch = _radians(bend, -bend), math.radians(30)
    return LegPair(0.0, spread, 0.0, 0.0, (0.5, 0.5), angles, foot, pitch, toe, home=home)


def _theropod_leg(at: float, spread: float, drop: float, home: float, rng: random.Random, toe: float = 0.25) -> LegPair:
    """A bird's or a dinosaur's leg: thigh forward, shin back, a long foot on its toes."""
    jitter = rng.uniform(0.85, 1.15)
    angles = _radians(42 * jitter, -34 * jitter, 20 * jitter)
    return LegPair(at, spread, drop, 0.0, (0.3, 0.4, 0.3), angles, toe=toe * rng.uniform(0.8, 1.2), home=home)


def _insect_legs(n_pairs: int, span: float, b: _Draw) -> tuple[LegPair, ...]:
    """``n_pairs`` of legs fanned out from front to back, front pair first, over the part ``span`` of the trunk."""
    pairs, spread = [], b.length("thick") * 0.8
    for k in range(n_pairs):
        position = k / (n_pairs - 1)
        azimuth = math.radians(48 + 84 * position + b.rng.uniform(-5, 5))
        longer = 1.0 + 0.25 * position if n_pairs == 3 else 1.0 + 0.15 * abs(2 * position - 1)
        lengths, angles = (0.16, 0.40 * longer, 0.44 * longer), _radians(78, 95 + 35 * b["steep"], 30 - 22 * b["steep"])
        pairs.append(LegPair(0.5 + span * (0.5 - position), spread, spread * 0.3, azimuth, lengths, angles))
    return tuple(pairs)


# -- bodies


def _biped(b: _Draw) -> BodyPlan:
    """Upright people and ogres, level-backed dinosaurs, hopping kangaroos, running birds."""
    upright, spread = b.words["posture"] == "human", b.length("spread")
    if upright:
        leg = _human_leg(spread, max(b["bend"], b.rng.uniform(6.5, 9)), b.rng)
    else:
        leg = _theropod_leg(0.0, spread, 0.0, b.rng.uniform(0.02, 0.1), b.rng)
    curve = 0.25 if b["pitch"] < 35 else 0.0  # level-backed animals carry the neck in an S
    return b.plan(
        trunk=Trunk(max(2, b.count("spine_n")), b.length("trunk"), b.angle("pitch"), b.size, "hips", b["flex"]),
        legs=(leg,),
        neck=b.neck(1 - curve, 1 + curve),
        head=b.head(b.likely("jaw")),
        tail=b.tail(-0.5 * abs(b.angle("tail_pitch")), 0.92) if b["tail"] >= 0.1 else None,
        arms=_arms(b, upright) if b["arm"] >= 0.15 else None,
        habits=frozenset({"upright"}) if upright else b.habits,
    )


def _arms(b: _Draw, upright: bool) -> Arms:
    length, fingers = b.length("arm"), b.count("fingers")
    return Arms(
        spread=b.length("shoulder"),
        rise=0.0 if upright else -0.12 * b.size,
        lengths=(0.44 * length, 0.40 * length, 0.16 * length),
        angles=_radians(-6, 10, 10) if upright else _radians(-30, 45, 30),
        out=math.radians(10 if upright else 4),
        clavicle=upright and b.rng.random() < 0.7,
        fingers=fingers,
        finger_joints=b.rng.choice((1, 2)) if fingers <= 3 else 1,
    )


_BIRD_WINGS = ((0.26, 0.32, 0.42), (0.26, 0.32, 0.42), (0.4, 0.6), (0.22, 0.28, 0.28, 0.22))


def _bird(b: _Draw) -> BodyPlan:
    """Birds that fly: sparrows to eagles, ducks, gulls and herons."""
    trunk, spread, span = b.length("trunk"), b.length("spread"), b.length("span")
    # The hips of a bird sit under the middle of its body.
    leg = _theropod_leg(0.35, spread, 0.1 * b.size, 0.05, b.rng, toe=b.rng.uniform(0.25, 0.4))
    n, root = b.rng.choice((2, 3, 3)), b.rng.choice(("hips", "centre"))
    head, shares = b.head(b.likely("jaw")), b.rng.choice(_BIRD_WINGS)
    return b.plan(
        trunk=Trunk(n, trunk, b.angle("pitch"), b.size, root, 0.15),
        legs=(leg,),
        neck=b.neck(0.75, 1.2),
        head=head,
        tail=b.tail(b.angle("tail_pitch"), least=1),
        wings=Wings(0.85, spread * 0.9, 0.12 * trunk, tuple(share * span for share in shares)),
        fold=True,
        habits=b.habits,
    )


def _dragon(b: _Draw) -> BodyPlan:
    """Winged dragons: on four legs, or wyverns on two."""
    rng, spread, four = b.rng, b.length("spread"), b.words["legs"] == "four"
    pitch, root = b.angle("slope") * (0.6 if four else 1.0), rng.choice(("hips", "hips", "centre"))
    legs: tuple[LegPair, ...]
    if four:
        posture = rng.choice(("digitigrade", "digitigrade", "plantigrade"))
        fore = _mammal_leg(posture, True, spread, 0.12 * b.size, rng)
        legs = fore, _mammal_leg(posture, False, spread, 0.04 * b.size, rng)
    else:
        legs = (_theropod_leg(0.0, spread, 0.04 * b.size, rng.uniform(0.12, 0.22), rng),)
    return b.plan(
        trunk=Trunk(max(2, b.count("spine_n")), b.length("trunk"), pitch, b.size * 1.04, root, b["flex"]),
        legs=legs,
        neck=b.neck(0.8, 1.15, least=2),
        head=b.head(b.likely("jaw")),
        tail=b.tail(-0.3 * abs(b.angle("tail_pitch")), 0.92, least=3),
        wings=_dragon_wings(b),
        fold=True,
    )


def _dragon_wings(b: _Draw) -> Wings:
    fingers = b.rng.choice((0, 0, 2, 3))
    shares = (0.24, 0.32, 0.44) if b.rng.random() < 0.75 else (0.2, 0.26, 0.28, 0.26)
    at, joints = b.rng.uniform(0.78, 0.95), b.rng.choice((1, 2))
    lengths = tuple(share * b.length("span") for share in shares)
    return Wings(at, b.length("spread") * 0.8, 0.12 * b.size, lengths, fingers, joints)


def _fish(b: _Draw) -> BodyPlan:
    """Fish and eels that beat the tail sideways, dolphins and whales that beat it up and down, and rays."""
    length, habits, shape = b.size, b.habits or {"lateral"}, b.words["tail"]
    fins = Fins(max(1, b.count("fin_n")), b.length("fin"), b.count("dorsal"), b.likely("pelvic"), shape)
    height = b.length("deep") * 1.5 + (0.0 if shape != "lobes" else 0.06 * length)
    root, flex = b.rng.choice(("centre", "front", "front")), 0.4 if "vertical" in habits else 0.8
    head, wings = b.head(b.likely("jaw")), None
    if "rays" in habits:
        fins, span = replace(fins, pectoral=0), b.length("span")
        weights = [math.pow(0.85, k) for k in range(b.rng.choice((2, 3, 3)))]
        wings = Wings(0.75, 0.1 * span, 0.0, tuple(span * w / sum(weights) for w in weights))
    trunk = Trunk(max(3, b.count("spine_n")), length * (1 - b["head"]), 0.0, height, root, flex)
    return b.plan(trunk=trunk, head=head, wings=wings, fins=fins, habits=frozenset(habits))


def _hexapod(b: _Draw) -> BodyPlan:
    """Ants, beetles, mantises, and wasps and flies with wings."""
    height, thick, slope = b.size, b.length("thick"), b.angle("slope")
    n, root = b.rng.choice((2, 2, 3)), b.rng.choice(("centre", "hips", "front"))
    reach, span = 1.1 * height, b.length("wing")
    lengths, angles = (0.5 * reach, 0.5 * reach, 0.1 * reach), _radians(60, 140, 40)
    arms = Arms(thick * 0.6, -0.1 * height, lengths, angles, math.radians(18))
    wings = Wings(0.75, thick * 0.5, 0.25 * height, (0.55 * span, 0.45 * span))
    return b.plan(
        trunk=Trunk(n, b.length("trunk"), 0.3 * slope, height * 1.1, root, 0.15),
        legs=_insect_legs(3, 0.75, b),
        neck=Chain(1, 0.2 * height, slope, slope),
        head=b.head(False, b.likely("mandibles")),
        tail=b.tail(0.4 * b.angle("tail_pitch"), 0.95, least=1),
        arms=arms if b.likely("arms") else None,
        wings=wings if b.likely("wings") and b["wing"] > 1.5 else None,
        fold=True,
    )


def _octopod(b: _Draw) -> BodyPlan:
    """Spiders, scorpions with pincers and sting, crabs that walk sideways."""
    height, thick, reach = b.size, b.length("thick"), b.length("arm")
    root = b.rng.choice(("centre", "hips", "front"))
    tail = b.tail(b.angle("tail_pitch"), 0.95)
    if tail and "sting" in b.habits:  # carried up and over the back
        tail = replace(tail, end_pitch=math.radians(195))
    lengths, angles = (0.38 * reach, 0.36 * reach, 0.26 * reach), _radians(85, 95, 88)
    pincers = Arms(thick * 0.7, -0.1 * height, lengths, angles, math.radians(40), fingers=2, pincer=True)
    return b.plan(
        trunk=Trunk(2, b.length("trunk"), 0.0, height * 1.1, root, 0.1),
        legs=_insect_legs(4, 0.7, b),
        head=b.head(False, b.likely("mandibles")),
        tail=tail,
        arms=pincers if b["arm"] > 1.2 else None,
        habits=b.habits,
    )


def _quadruped(b: _Draw) -> BodyPlan:
    """Four-legged animals: from rats to sauropods, on paws, hooves, columns or sprawling."""
    posture, spread, rng = b.words["posture"], b.length("spread"), b.rng
    drop = 0.06 * b.size if posture != "sprawling" else 0.0
    pitch = math.asin(max(-0.3, min(0.3, (b["slope"] - 1.0) / b["trunk"])))
    fore = _mammal_leg(posture, True, spread * rng.uniform(0.9, 1.05), drop * 2, rng)
    legs = fore, _mammal_leg(posture, False, spread, drop, rng)
    n, root = max(2, b.count("spine_n")), rng.choice(("hips", "hips", "centre"))
    nose = Chain(b.count("nose_n"), b.length("nose"), math.radians(-70), math.radians(-95), 0.9)
    plan = b.plan(
        trunk=Trunk(n, b.length("trunk"), pitch, b.size + drop, root, b["flex"]),
        legs=legs,
        neck=b.neck(0.85, 1.1),
        head=b.head(b.likely("jaw"), nose=nose if nose.n >= 3 else None),
        # A tail hangs from the rump in a bow; a reptile's lies nearly level and must stay above the ground.
        tail=b.tail(-0.35 * abs(b.angle("tail_pitch")), 0.93),
    )
    habits = {"columnar": ["columnar"], "sprawling": ["sprawls"]}.get(posture, [])
    if not b.habits and b["flex"] > 0.75 and rng.random() < 0.25:
        habits.append("bounds")
    if b["trunk"] < 1.08 and rng.random() < 0.25:
        habits.append("paces")
    return replace(plan, habits=b.habits.union(habits))


def _serpent(b: _Draw) -> BodyPlan:
    """Legless crawlers: snakes, cobras, pythons, worms."""
    n, root = max(8, b.count("spine_n")), b.rng.choice(("hips", "centre", "centre", "front"))
    trunk = Trunk(n, b.size, 0.0, b.length("thick"), root, 1.0)
    return b.plan(trunk=trunk, head=b.head(b.likely("jaw")), habits=b.habits)


# Kind: its animals, what a body between two of them is called, and how a plan is made of a draw.
KINDS: dict[str, tuple[tuple[Animal, ...], str, Callable[[_Draw], BodyPlan]]] = {
    "biped": (_BIPEDS, "two-legged creature, biped, two-legged monster, walker on two legs", _biped),
    "bird": (_BIRDS, "bird, bird, flying creature", _bird),
    "dragon": (_DRAGONS, "winged reptile, flying monster, winged beast", _dragon),
    "fish": (_FISH, "swimmer, sea creature, aquatic animal", _fish),
    "hexapod": (_HEXAPODS, "six-legged creature, insect, hexapod, six-legged bug", _hexapod),
    "octopod": (_OCTOPODS, "eight-legged creature, octopod, eight-legged monster, arachnid", _octopod),
    "quadruped": (_QUADRUPEDS, "four-legged animal, quadruped, four-legged creature, beast", _quadruped),
    "serpent": (_SERPENTS, "serpent, legless creature, limbless reptile", _serpent),
}


def draw(kind: str, rng: random.Random) -> BodyPlan:
    """A random body plan of ``kind``, like one animal or between two. Raises SettingsError for an unknown kind."""
    if kind not in KINDS:
        raise SettingsError(f'no kind of creature is called "{kind}"; there are: {", ".join(sorted(KINDS))}')
    animals, generic, build = KINDS[kind]
    one = rng.choice(animals)
    numbers, nouns = one.draw(rng), one.nouns
    if rng.random() < BLENDED:
        other, nouns = rng.choice([animal for animal in animals if animal is not one]).draw(rng), generic.split(", ")
        mix = rng.uniform(0.25, 0.6)
        size = math.exp((1 - mix) * math.log(numbers["size"]) + mix * math.log(other["size"]))
        numbers = {name: (1 - mix) * a + mix * other.get(name, 0.0) for name, a in numbers.items()} | {"size": size}
    return build(_Draw(kind, rng.choice(nouns), numbers, one.words, rng))
