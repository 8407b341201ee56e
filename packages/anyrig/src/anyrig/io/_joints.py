"""Which nodes of a document are joints, and which of them make one character."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from anyrig import rotations as rot
from anyrig.errors import FileError, FileWarning, SettingsError
from anyrig.io._channels import read_channels
from anyrig.io._document import Document
from anyrig.io._nodes import Nodes

_PROP = 3
"""A skin of fewer joints beside another is a prop, and no character."""


def choose(document: Document, nodes: Nodes, *, ends: bool, skin: str | int | None) -> list[int]:
    """The nodes that are joints, parents first.

    They are the nodes that the skins of one character name, those between them, and those above them that an animation
    moves; with ``ends``, also childless nodes below. Without any skin they are the nodes that animations move, and what
    these hang on together. ``skin`` chooses between characters; without it the one of most joints is taken, with a
    FileWarning. Raises FileError for a document without either, and SettingsError for a skin that there is not.
    """
    if any(s.joints for s in document.skins or ()):
        named = _character(document, nodes, skin)
        named |= _moved(document, nodes, [n for n in nodes.above(sorted(named)) if n not in named])
    elif skin is not None:
        raise SettingsError(f"{document.where} has no skin, so none called {skin!r}")
    else:
        named = _animated(document, nodes)
    joints = _filled(nodes, named)
    if ends:
        plain = (n for n in range(len(nodes.names)) if _is_end(document.nodes[n]))
        joints |= {n for n in plain if nodes.parents[n] in joints}
    return [n for n in nodes.order if n in joints]


def _filled(nodes: Nodes, named: set[int]) -> set[int]:
    """``named`` with all nodes that lie between two of them."""
    joints = set()
    for node in sorted(named):
        path = nodes.above([node])
        top = next(k for k, n in enumerate(path) if n in named)
        joints.update(path[top:])
    return joints


def _character(document: Document, nodes: Nodes, skin: str | int | None) -> set[int]:
    """The nodes that the skins of the chosen character name."""
    skins = [
        {document.index(j, document.nodes, f"skin {n}") for j in s.joints or ()} for n, s in enumerate(document.skins)
    ]
    groups = _groups(nodes, skins)
    if skin is not None:
        n = _number(document, skin)
        return set().union(*(skins[k] for k in next(g for g in groups if n in g)))
    sizes = [len(set().union(*(skins[k] for k in g))) for g in groups]
    others = [g for g, size in zip(groups, sizes, strict=True) if size >= _PROP]
    if len(others) < 2:
        return set().union(*skins)
    best = groups[int(np.argmax(sizes))]
    names = ", ".join(repr(_name(document, g[0])) for g in others)
    warnings.warn(
        f"{document.where} holds {len(others)} characters ({names}); {_name(document, best[0])!r} is taken, another "
        "with --skin NAME",
        FileWarning,
        stacklevel=2,
    )
    return set().union(*(skins[k] for k in best))


def _groups(nodes: Nodes, skins: list[set[int]]) -> list[list[int]]:
    """The skins that have joints, those together that share a joint or a tree of joints."""
    joints = _filled(nodes, set().union(*skins))
    groups: list[tuple[set[int], list[int]]] = []
    for n, skin in enumerate(skins):
        if not skin:
            continue
        tops = {next(k for k in nodes.above([j]) if k in joints) for j in skin}
        same = [g for g in groups if g[0] & tops]
        merged = (tops.union(*(g[0] for g in same)), sorted([n, *(k for g in same for k in g[1])]))
        groups = [g for g in groups if not g[0] & tops] + [merged]
    return sorted(g for _, g in groups)


def _name(document: Document, n: int) -> str:
    """What a skin goes by: its name, or that of the first mesh that hangs on it, or its number."""
    hung = (node.name for node in document.nodes if node.skin == n and node.name)
    return str(document.skins[n].name or next(hung, None) or n)


def _number(document: Document, skin: str | int) -> int:
    names = [_name(document, n) for n in range(len(document.skins))]
    if skin in names:
        return names.index(str(skin))
    if str(skin).isdecimal() and int(skin) < len(names):
        return int(skin)
    there = ", ".join(repr(name) for name in names)
    raise SettingsError(f"{document.where} has no skin {skin!r}; there are: {there}")


def _is_end(node: Any) -> bool:
    return not node.children and node.mesh is None and node.camera is None and not node.extensions


def _animated(document: Document, nodes: Nodes) -> set[int]:
    """The nodes that animations turn or move, and the node that they hang on together, if there is one."""
    every = frozenset(range(len(nodes.names)))
    named = {
        c.node
        for a in range(len(document.animations or ()))
        for c in read_channels(document, a, every)
        if c.path != "scale"
    }
    if not named:
        raise FileError(f"{document.where} has no skin and no animation: nothing says which of its nodes are bones")
    paths = [nodes.above([n]) for n in named]
    shared = [n for n in paths[0] if all(n in p for p in paths)]
    return named | set(shared[-1:])


def _moved(document: Document, nodes: Nodes, candidates: list[int]) -> set[int]:
    """Those of ``candidates`` that some animation turns or takes away from where they rest."""
    moved = set()
    for a in range(len(document.animations or ())):
        for channel in read_channels(document, a, frozenset(candidates)):
            keys = channel.values[:, 1] if channel.values.ndim == 3 else channel.values
            if channel.path == "rotation":
                away = float(rot.angle(rot.normalize(keys), nodes.rotations[channel.node]).max())
            elif channel.path == "translation":
                rest = nodes.translations[channel.node]
                away = float(np.abs(keys - rest).max() / max(float(np.abs(rest).max()), 1e-3))
            else:
                continue  # a skeleton has no scale; what it does to the joints below is in their positions
            if away > 1e-5:
                moved.add(channel.node)
    return moved
