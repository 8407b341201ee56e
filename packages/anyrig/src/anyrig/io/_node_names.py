"""Names of nodes that survive in three.js, which finds what an animation moves by its name."""

from __future__ import annotations

import re
from collections import Counter

from anyrig.io._document import Document

_BLANK = re.compile(r"[\s\ufeff]")
_DROPPED = re.compile(r"[\[\].:/]")


def make_unique(document: Document) -> None:
    """Gives nodes other names where three.js would take one for another.

    Its loader puts an underscore for a blank and drops brackets, points, colons and slashes; the second "arm" becomes
    "arm_1", no matter whether there is an "arm_1" already, and the animation of the latter then moves the former.
    """
    names = [str(node.name) for node in document.nodes or () if node.name]
    names += [str(thing.name) for things in (document.cameras, document.scenes) for thing in things or () if thing.name]
    for n, mesh in enumerate(document.meshes or ()):
        names += [str(mesh.name or f"mesh_{n}")] * max(len(mesh.primitives), 1)
    counts = Counter(bound(name) for name in names)
    made = {f"{name}_{k}" for name, count in counts.items() for k in range(1, count)}
    taken: set[str] = set()
    for node in document.nodes or ():
        if not node.name:
            continue  # it is found by its number
        name, k = str(node.name), 1
        while bound(name) in taken or bound(name) in made or (k > 1 and bound(name) in counts):
            k += 1
            name = f"{node.name}_{k}"
        node.name = name
        taken.add(bound(name))


def bound(name: str) -> str:
    """What three.js makes of a name."""
    return _DROPPED.sub("", _BLANK.sub("_", name))
