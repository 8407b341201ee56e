"""Reads glTF 2.0: which nodes are joints, the pose in which a mesh was bound, animations as clips.

- Joints are the nodes named by any skin, those between them, and those above them that an animation moves; in a file
  without a skin, the nodes that animations move. Transforms of other nodes above, such as an armature scaled by 100 and
  turned on its back, are applied to the joints. Of several characters in a file one is read.
- The rest pose is that in which the mesh was bound, if bind matrices give it, else that of the nodes.
- Animations become clips at the frame rate at which all their keys fall on frames, so that keys are kept exactly.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anyrig import rotations as rot
from anyrig.conform import extent, find
from anyrig.errors import AnyrigError, FileError, FileWarning, SettingsError
from anyrig.io.asset import Asset, Source
from anyrig.io.files import refuse_too_many_poses
from anyrig.io.gltf_document import (
    EXTRAS,
    Document,
    Nodes,
    extras,
    open_document,
    read_accessor,
    read_nodes,
    replace_accessor,
    wrap,
)
from anyrig.rotations import Array, Ints
from anyrig.skeleton import Clip, Skeleton

_MALFORMED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
RATES = (24.0, 30.0, 25.0, 60.0, 50.0, 48.0, 120.0, 100.0, 240.0)
"""Frame rates, tried in this order for keys that are not evenly spaced."""
ON_A_FRAME = 0.05
"""Tolerance, in frames, for a key to fall on a frame: times are in single precision, and often rounded."""
_SLOWEST = 10.0
_MOSTLY = 0.75
_FALLBACK = 60.0
_PATHS = {"translation": "VEC3", "rotation": "VEC4", "scale": "VEC3"}
_PROP = 3
"""A skin with fewer joints beside another is a prop, not a character."""
_SAME = 1e-4
"""Radians, or a share of the size: nodes this near the bind pose are used instead, since they are more exact."""
_RIGID = 1.25
"""A skin whose bones differ in length from its nodes' by more than this factor was bound in another unit."""
_FLAT = 0.02
"""Bind matrices with bones below this share of their length in the nodes are no pose."""


def read_glb(
    path: str | os.PathLike[str],
    *,
    skin: str | int | None = None,
    up: str = "y",
    unit: str | float = "m",
) -> Asset:
    """The skeleton in a glTF file with all its clips.

    ``skin``, by name or number, chooses one of several characters. ``up`` and ``unit`` are for files that differ from
    the standard, which is y up and metres. Raises FileError for a file that cannot be read, and for one without skin
    and animation.
    """
    document = open_document(path)
    try:
        wrap(document, up, unit, inward=True)
        return read_document(document, skin)
    except AnyrigError:
        raise
    except _MALFORMED as error:  # JSON of the wrong shape can raise any of these
        raise FileError(
            f"{path} is malformed: it is not a consistent glTF document ({type(error).__name__})"
        ) from error


def read_document(document: Document, skin: str | int | None = None) -> Asset:
    """The skeleton (see :func:`choose_joints` and :func:`bind_pose`) and the clips of a document."""
    if not document.nodes:
        raise FileError(f"{document.where} has no nodes, and so no skin and no animation")
    fix_weights(document)
    nodes = read_nodes(document)
    joints = choose_joints(document, nodes, skin)
    at = {node: j for j, node in enumerate(joints)}
    parents = tuple(at.get(nodes.parents[node], -1) for node in joints)
    names = tuple(nodes.names[node] for node in joints)
    forest = Skeleton(names, parents, np.zeros((len(joints), 3)))
    chain = nodes.above(joints)
    columns = [chain.index(node) for node in joints]
    positions, rotations = nodes.world(chain, nodes.rest(chain))
    rest, offsets = forest.local(positions[0, columns], rotations[0, columns])
    skeleton = bind_pose(Skeleton(names, parents, offsets, rest), document, nodes, joints)
    motions = []
    for a in range(len(document.animations or ())):
        channels = read_channels(document, a, frozenset(chain))
        if channels:
            motions.append((a, *_motion(document, a, channels, nodes, chain, columns, forest)))
    carriers = find(skeleton, [(r, t) for _, r, t, _ in motions], *skin_weights(document, joints))
    skeleton = replace(skeleton, carriers=carriers)
    clips = [(_clip(document, a, skeleton, r, t, fps), a) for a, r, t, fps in motions]
    source = Source(document, nodes, tuple(joints), skeleton, tuple(clips))
    return Asset(skeleton, tuple(clip for clip, _ in clips), source)


def _motion(
    document: Document,
    animation: int,
    channels: list[Channel],
    nodes: Nodes,
    chain: list[int],
    columns: list[int],
    forest: Skeleton,
) -> tuple[Array, Array, float]:
    """Local rotations and translations of the joints in one animation, and its frame rate."""
    note = _note(document.animations[animation])
    start, end = min(c.times[0] for c in channels), max(c.times[-1] for c in channels)
    fps = note.get("fps") if end == start else frame_rate(channels)
    if not isinstance(fps, int | float) or not 0 < fps < 1e6:
        fps = frame_rate(channels)
    n_frames = np.ceil((end - start) * fps - ON_A_FRAME)
    refuse_too_many_poses(document.where, int(min(n_frames, 1e15)) + 1, len(chain))
    times = np.minimum(start + np.arange(int(n_frames) + 1) / fps, end)
    pose = nodes.rest(chain, len(times))
    parts = {"translation": pose.translations, "rotation": pose.rotations, "scale": pose.scales}
    for channel in channels:
        parts[channel.path][:, chain.index(channel.node)] = sample_channel(channel, times, ON_A_FRAME / fps)
    pose.rotations[:] = rot.normalize(pose.rotations)
    positions, rotations = nodes.world(chain, pose)
    return *forest.local(positions[:, columns], rotations[:, columns]), float(fps)


def _clip(
    document: Document, animation: int, skeleton: Skeleton, rotations: Array, translations: Array, fps: float
) -> Clip:
    source = document.animations[animation]
    note = _note(source)
    captions = note.get("captions")
    return Clip(
        skeleton,
        rotations,
        translations,
        fps,
        name=str(source.get("name") or f"animation_{animation}"),
        captions=tuple(str(c) for c in captions) if isinstance(captions, list) else (),
        action=str(note.get("action", "")),
    )


def _note(animation: dict[str, Any]) -> dict[str, Any]:
    """The entry of this package in an animation's extras, if any."""
    found = extras(animation)
    note = found.get(EXTRAS) if isinstance(found, dict) else None
    return note if isinstance(note, dict) else {}


@dataclass(frozen=True, eq=False)
class Channel:
    """The keys of one node's translation, rotation (w, x, y, z) or scale.

    ``values`` is (K, 3) or (K, 4), or (K, 3, ...) for a cubic spline: in-tangents, values, out-tangents.
    """

    node: int
    path: str
    times: Array
    values: Array
    interpolation: str


def read_channels(document: Document, animation: int, nodes: frozenset[int]) -> list[Channel]:
    """The channels of one animation that move any of ``nodes``. Raises FileError for invalid keys."""
    source = document.animations[animation]
    label = f"animation {source.get('name', animation)!r}"
    samplers = source.get("samplers", [])
    channels = []
    for channel in source.get("channels", []):
        node, path = channel["target"].get("node"), channel["target"].get("path")
        if path in _PATHS and node in nodes:
            sampler = samplers[document.index(channel.get("sampler"), samplers, label)]
            channels.append(_channel(document, sampler, node, path, label))
    return channels


def _channel(document: Document, sampler: dict[str, Any], node: int, path: str, label: str) -> Channel:
    where = f"{document.where} is malformed: {label}"
    times = read_accessor(document, sampler.get("input"), label, "SCALAR")[:, 0].astype(np.float64)
    values = read_accessor(document, sampler.get("output"), label, _PATHS[path]).astype(np.float64)
    interpolation = sampler.get("interpolation", "LINEAR")
    if interpolation not in ("LINEAR", "STEP", "CUBICSPLINE"):
        raise FileError(f"{where} interpolates by {interpolation!r}")
    cubic = interpolation == "CUBICSPLINE"
    if not len(times) or len(values) != len(times) * (3 if cubic else 1):
        raise FileError(f"{where} has {len(times)} times for {len(values)} values")
    if not (np.isfinite(times).all() and np.isfinite(values).all() and (np.diff(times) >= 0).all()):
        raise FileError(f"{where} has keys that are not finite, or out of order")
    if path == "rotation":
        values = values[:, [3, 0, 1, 2]]
    return Channel(node, path, times, values.reshape(len(times), 3, -1) if cubic else values, interpolation)


def frame_rate(channels: list[Channel]) -> float:
    """The frame rate at which every key falls on a frame, counted from the first key.

    Where nearly all keys fall on the frames of one rate and all of them only on those of a much higher one, it is the
    former: a single odd key does not justify five times the frames. 60 where there is no such rate.
    """
    times = np.unique(np.concatenate([c.times for c in channels]))
    steps = np.diff(times)
    steps = steps[steps > 1e-6]
    if not len(steps):
        return RATES[1]
    dense = len(steps) / float(times[-1] - times[0])
    if np.ptp(steps) < 0.2 * np.median(steps) and dense >= _SLOWEST:
        whole = float(round(dense))
        if abs(dense - whole) > 1e-4 * dense and _off_frame(times, dense) < 1e-3:
            return dense  # a rate like 29.97, and no whole one whose times were rounded
        if abs(dense - whole) < 2e-3 * dense and _off_frame(times, whole) <= ON_A_FRAME:
            return whole
    found = next((rate for rate in RATES if _off_frame(times, rate) <= ON_A_FRAME), None)
    usual = _usual(times, steps)
    return usual if usual and (found is None or found > 1.5 * usual) else found or _FALLBACK


def _usual(times: Array, steps: Array) -> float | None:
    """The rate of the median step between keys, if most keys fall on its frames."""
    rate = 1.0 / float(np.median(steps))
    rate = next((r for r in RATES if abs(r - rate) < 0.02 * rate), rate)
    at = (times - times[0]) * rate
    on = np.abs(at - np.round(at)) <= ON_A_FRAME
    return rate if rate >= _SLOWEST and on.mean() >= _MOSTLY else None


def _off_frame(times: Array, rate: float) -> float:
    """The largest distance of a key from a frame, in frames."""
    at = (times - times[0]) * rate
    return float(np.abs(at - np.round(at)).max())


def sample_channel(channel: Channel, times: Array, tolerance: float) -> Array:
    """The channel's values at ``times`` (T,); a key within ``tolerance`` seconds of a time is used exactly."""
    keys = channel.times
    nearest = _nearest(keys, times)
    at = np.where(np.abs(keys[nearest] - times) <= tolerance, keys[nearest], times)
    after = np.clip(np.searchsorted(keys, at, side="right"), 1, max(len(keys) - 1, 1))
    before = after - 1
    after = np.minimum(after, len(keys) - 1)
    span = keys[after] - keys[before]
    t = np.clip((at - keys[before]) / np.where(span > 0, span, 1.0), 0.0, 1.0)
    if channel.interpolation == "CUBICSPLINE":
        return _cubic(channel, before, after, t, span)
    start, end = channel.values[before], channel.values[after]
    if channel.interpolation == "STEP":
        return np.where((t >= 1.0)[:, None], end, start)
    if channel.path == "rotation":
        between = rot.slerp(rot.normalize(start), rot.normalize(end), t)
        return np.where((t == 0)[:, None], start, np.where((t == 1)[:, None], end, between))
    return start + t[:, None] * (end - start)


def _nearest(keys: Array, times: Array) -> NDArray[np.intp]:
    after = np.minimum(np.searchsorted(keys, times), len(keys) - 1)
    before = np.maximum(after - 1, 0)
    return np.where(np.abs(times - keys[before]) < np.abs(keys[after] - times), before, after)


def _cubic(channel: Channel, before: Any, after: Any, t: Array, span: Array) -> Array:
    """Hermite splines, glTF 2.0 appendix C.5."""
    t, span = t[:, None], span[:, None]
    start, leave = channel.values[before, 1], channel.values[before, 2] * span
    end, arrive = channel.values[after, 1], channel.values[after, 0] * span
    curve = (
        (2 * t**3 - 3 * t**2 + 1) * start
        + (t**3 - 2 * t**2 + t) * leave
        + (-2 * t**3 + 3 * t**2) * end
        + (t**3 - t**2) * arrive
    )
    return rot.normalize(curve) if channel.path == "rotation" else curve


def choose_joints(document: Document, nodes: Nodes, skin: str | int | None) -> list[int]:
    """The nodes that are joints, parents first.

    They are the nodes named by the skins of one character, those between them, and those above them that an animation
    moves. Without a skin they are the nodes that animations move, and their common ancestor. ``skin`` chooses between
    characters; without it that with most joints is used, with a FileWarning. Raises FileError for a document without
    skins and animations, and SettingsError for an unknown skin.
    """
    if any(s.joints for s in document.skins or ()):
        named = _character(document, nodes, skin)
        named |= _moved(document, nodes, [n for n in nodes.above(sorted(named)) if n not in named])
    elif skin is not None:
        raise SettingsError(f"{document.where} has no skin, so none called {skin!r}")
    else:
        named = _animated(document, nodes)
    joints = _filled(nodes, named)
    return [n for n in nodes.order if n in joints]


def _filled(nodes: Nodes, named: set[int]) -> set[int]:
    """``named`` and all nodes between two of them."""
    joints = set()
    for node in sorted(named):
        path = nodes.above([node])
        top = next(k for k, n in enumerate(path) if n in named)
        joints.update(path[top:])
    return joints


def _character(document: Document, nodes: Nodes, skin: str | int | None) -> set[int]:
    """The nodes named by the skins of the chosen character."""
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
        f"{document.where} holds {len(others)} characters ({names}); {_name(document, best[0])!r} is used; choose "
        "another with --skin NAME",
        FileWarning,
        stacklevel=2,
    )
    return set().union(*(skins[k] for k in best))


def _groups(nodes: Nodes, skins: list[set[int]]) -> list[list[int]]:
    """The skins with joints, grouped by shared joints or trees of joints."""
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
    """A skin's name, or that of the first mesh with it, or its number."""
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


def _animated(document: Document, nodes: Nodes) -> set[int]:
    """The nodes that animations rotate or translate, and their lowest common ancestor, if any."""
    every = frozenset(range(len(nodes.names)))
    named = {
        c.node
        for a in range(len(document.animations or ()))
        for c in read_channels(document, a, every)
        if c.path != "scale"
    }
    if not named:
        raise FileError(f"{document.where} has no skin and no animation, so that its bones cannot be identified")
    paths = [nodes.above([n]) for n in named]
    shared = [n for n in paths[0] if all(n in p for p in paths)]
    return named | set(shared[-1:])


def _moved(document: Document, nodes: Nodes, candidates: list[int]) -> set[int]:
    """Those of ``candidates`` that an animation rotates or translates away from rest."""
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
                continue  # a skeleton has no scale; its effect on the joints below is in their positions
            if away > 1e-5:
                moved.add(channel.node)
    return moved


def bind_pose(skeleton: Skeleton, document: Document, nodes: Nodes, joints: list[int]) -> Skeleton:
    """``skeleton``, whose rest pose is that of the nodes, with the rest pose in which each skin was bound.

    A bind matrix maps the mesh's space to a joint's. The file does not give that space's transform to the world; of the
    identity, the mesh's node and the nodes above the skin, the one that puts the joints nearest to their nodes is used.
    Joints of skins without bind matrices, or with matrices that are no pose, are unchanged; joints in no skin keep
    their local transforms.
    """
    linear = _linear(nodes, joints)
    placed: dict[int, tuple[Array, Array]] = {}
    for s in range(len(document.skins or ())):
        matrices = _bind_matrices(document, s, joints)
        matrices = _in_world(matrices, skeleton, _spaces(document, nodes, s)) if matrices else {}
        for j, matrix in matrices.items():
            turn = _rotation(matrix[:3, :3], linear[j], skeleton.rest_world()[j])
            placed.setdefault(j, (matrix[:3, 3], turn))
    return _resting(skeleton, placed) if _differs(skeleton, placed) else skeleton


def _bind_matrices(document: Document, s: int, joints: list[int]) -> dict[int, Array]:
    """Joint -> its frame in the mesh's space when skin ``s`` was bound, (4, 4)."""
    skin = document.skins[s]
    if skin.inverseBindMatrices is None:
        return {}
    joint_of = {node: j for j, node in enumerate(joints)}
    columns = read_accessor(document, skin.inverseBindMatrices, f"skin {s}", "MAT4").astype(np.float64)
    found: dict[int, Array] = {}
    for node, matrix in zip(skin.joints, columns.reshape(-1, 4, 4).transpose(0, 2, 1), strict=False):
        if node in joint_of and np.isfinite(matrix).all() and abs(np.linalg.det(matrix)) > 1e-24:
            found[joint_of[node]] = np.asarray(np.linalg.inv(matrix), dtype=np.float64)
    return found


def _spaces(document: Document, nodes: Nodes, s: int) -> list[Array]:
    """Candidates for the world matrix (4, 4) of the space of skin ``s``, the standard's first."""
    spaces = [np.eye(4)]
    spaces += [nodes.matrix(n) for n, node in enumerate(document.nodes) if node.mesh is not None and node.skin == s]
    top = document.skins[s].joints[0]
    while (top := nodes.parents[top]) >= 0:
        spaces.append(nodes.matrix(top))
    return spaces


def _in_world(matrices: dict[int, Array], skeleton: Skeleton, spaces: list[Array]) -> dict[int, Array]:
    """The matrices in the best-fitting space; none where they are no pose of these bones."""
    joints = sorted(matrices)
    frames = np.array([matrices[j] for j in joints])
    if np.abs(frames - np.eye(4)).max() < 1e-9:  # a placeholder of some exporters
        return {}
    rest = skeleton.rest_positions()[joints]
    bones = [(n, joints.index(p)) for n, j in enumerate(joints) if (p := skeleton.parents[j]) in matrices]
    length = _lengths(rest, bones)
    fits = []
    for k, space in enumerate(spaces):
        moved = space @ frames
        ratio = _lengths(moved[:, :3, 3], bones) / length if length > 0 else 1.0
        if ratio < _FLAT:
            continue
        other_unit = not 1 / _RIGID < ratio < _RIGID
        if other_unit:  # as meshes with quantised positions are bound
            moved[:, :3, 3] = rest[0] + (moved[:, :3, 3] - moved[0, :3, 3]) / ratio
        off = float(np.median(np.linalg.norm(moved[:, :3, 3] - rest, axis=-1))) / extent(skeleton)
        fits.append((other_unit, round(off, 6), k, moved))
    if not fits:
        return {}
    return dict(zip(joints, min(fits, key=lambda f: f[:3])[3], strict=True))


def _lengths(positions: Array, bones: list[tuple[int, int]]) -> float:
    """The total length of the bones."""
    return float(sum(np.linalg.norm(positions[a] - positions[b]) for a, b in bones))


def _linear(nodes: Nodes, joints: list[int]) -> Array:
    """The linear part of each joint's world matrix at rest, scales included, (J, 3, 3)."""
    chain = nodes.above(joints)
    return nodes.placed(chain, nodes.rest(chain)).linear[0, [chain.index(node) for node in joints]]


def _rotation(bind: Array, standing: Array, world: Array) -> Array:
    """The rotation in the linear map ``bind``, whose scales and mirrors are those of ``standing`` over ``world``."""
    scales = rot.to_matrix(world).T @ standing
    if abs(np.linalg.det(scales)) < 1e-24:
        return world
    u, _, v = np.linalg.svd(bind @ np.linalg.inv(scales))
    turn = u @ np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ v)) or 1.0]) @ v
    return rot.from_matrix(turn)


def _differs(skeleton: Skeleton, placed: dict[int, tuple[Array, Array]]) -> bool:
    at, turns, size = skeleton.rest_positions(), skeleton.rest_world(), extent(skeleton)
    return any(
        np.abs(at[j] - p).max() > _SAME * size or float(rot.angle(turns[j], q)) > _SAME for j, (p, q) in placed.items()
    )


def _resting(skeleton: Skeleton, placed: dict[int, tuple[Array, Array]]) -> Skeleton:
    """The skeleton with the joints in ``placed`` at these world transforms, and the others' local ones unchanged."""
    positions, rotations = np.zeros((skeleton.n_joints, 3)), rot.identity(skeleton.n_joints)
    for j, parent in enumerate(skeleton.parents):
        if j in placed:
            positions[j], rotations[j] = placed[j]
        elif parent < 0:
            positions[j], rotations[j] = skeleton.offsets[j], skeleton.rest[j]
        else:
            positions[j] = positions[parent] + rot.rotate(rotations[parent], skeleton.offsets[j])
            rotations[j] = rot.multiply(rotations[parent], skeleton.rest[j])
    rest, offsets = skeleton.local(positions, rotations)
    return replace(skeleton, offsets=offsets, rest=rest)


def fix_weights(document: Document) -> None:
    """Replaces weights that are not finite by 0, in place; a vertex without weights follows the first of its joints.

    Viewers drop a whole mesh for one such weight."""
    seen = set()
    for mesh in document.meshes or ():
        for primitive in mesh.primitives:
            index = getattr(primitive.attributes, "WEIGHTS_0", None)
            if index is None or index in seen or document.accessors[index].componentType != 5126:
                continue
            seen.add(index)
            weights = read_accessor(document, index, "a mesh", "VEC4")
            bad = ~np.isfinite(weights).all(axis=1)
            if bad.any():
                fixed = np.nan_to_num(weights, posinf=0, neginf=0).astype(np.float32)
                total = fixed.sum(axis=1)
                fixed[bad & (total <= 0)] = [1, 0, 0, 0]
                fixed[bad & (total > 0)] /= total[bad & (total > 0), None]
                replace_accessor(document, index, fixed)


def skin_weights(document: Document, joints: list[int]) -> tuple[Array, Array]:
    """The weight of the meshes on each joint (J,), and that shared by each two joints (J, J).

    The latter sums the products of both joints' weights over the vertices and the edges of triangles; it is zero for
    joints that can separate without tearing the mesh.
    """
    weights, between = np.zeros(len(joints)), np.zeros((len(joints), len(joints)))
    for number, followed, share, sides in _skinned(document, joints):
        n = len(number)
        np.add.at(weights, number, np.bincount(followed.ravel(), share.ravel(), n))
        ends = np.concatenate([np.tile(np.arange(len(followed))[:, None], 2), sides])
        local = np.zeros(n * n)
        for a in range(followed.shape[1]):
            for b in range(followed.shape[1]):
                pairs = followed[ends[:, 0], a] * n + followed[ends[:, 1], b]
                local += np.bincount(pairs, share[ends[:, 0], a] * share[ends[:, 1], b], n * n)
        np.add.at(between, np.ix_(number, number), local.reshape(n, n))
    return weights, between + between.T


def _skinned(document: Document, joints: list[int]) -> Iterator[tuple[Ints, Ints, Array, Ints]]:
    """For each skinned primitive: the joints of its skin (N,), those of each vertex (V, K) and their weights (V, K),
    and the edges of its triangles (E, 2)."""
    joint_of = {node: j for j, node in enumerate(joints)}
    for n, node in enumerate(document.nodes or ()):
        if node.mesh is None or node.skin is None:
            continue
        skin = document.skins[document.index(node.skin, document.skins, f"node {n}")]
        number = np.array([joint_of.get(k, -1) for k in skin.joints], dtype=np.int64)
        for primitive in document.meshes[document.index(node.mesh, document.meshes, f"node {n}")].primitives:
            found = []
            for k in (0, 1):
                a, b = (getattr(primitive.attributes, f"{name}_{k}", None) for name in ("JOINTS", "WEIGHTS"))
                if a is not None and b is not None and document.accessors[a].bufferView is not None:
                    found.append((read_accessor(document, a, "a mesh", "VEC4").astype(np.int64),
                                  read_accessor(document, b, "a mesh", "VEC4").astype(np.float64)))  # fmt: skip
            if not found:
                continue
            followed = np.minimum(np.concatenate([f for f, _ in found], axis=1), len(number) - 1)
            share = np.nan_to_num(np.concatenate([s for _, s in found], axis=1), posinf=0, neginf=0)
            share = np.where(number[followed] >= 0, share, 0.0)
            yield np.maximum(number, 0), followed, share, _sides(document, primitive, len(followed))


def _sides(document: Document, primitive: object, n_vertices: int) -> Ints:
    """The edges of the triangles as pairs of vertices (E, 2); none for other primitives."""
    index, mode = getattr(primitive, "indices", None), getattr(primitive, "mode", None)
    corners = np.arange(n_vertices)
    if index is not None and document.accessors[index].bufferView is not None:
        corners = read_accessor(document, index, "a mesh", "SCALAR")[:, 0].astype(np.int64)
    if mode not in (None, 4) or len(corners) < 3 or corners.max() >= n_vertices:
        return np.zeros((0, 2), np.int64)
    triangles = corners[: len(corners) // 3 * 3].reshape(-1, 3)
    return np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
