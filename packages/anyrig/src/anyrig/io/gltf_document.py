"""glTF 2.0 documents: the container, typed arrays in its buffer, and the node tree.

- ``.glb`` and ``.gltf`` files become one document with one binary buffer. pygltflib parses and writes; this module adds
  checks of all lengths, default morph weights of nodes, and unchanged ``extras`` (which may be any JSON).
- Accessors are read and added as arrays (section 3.6.2).
- A node's world transform is ``L x + p``. Since ``L`` includes the scales of all nodes above, a joint's rotation is
  ``W``, the product of the nodes' rotations alone. With uniform scales, as in nearly every rig, ``W`` is the rotation
  in ``L``; with others, positions are still exact.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import struct
import urllib.parse
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pygltflib
from numpy.typing import NDArray

from anyrig import conform
from anyrig import rotations as rot
from anyrig.errors import FileError
from anyrig.io import meshopt
from anyrig.io.files import read_bytes
from anyrig.rotations import Array

EXTRAS = "anyrig"
"""The key of captions, action and frame rate in an animation's ``extras``."""
_HEADER = struct.Struct("<4sII")
_CHUNK = struct.Struct("<I4s")
_MIME = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp", ".ktx2": "image/ktx2"}
_TYPES = {5120: np.int8, 5121: np.uint8, 5122: np.int16, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
_SIZES = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
_PLAIN = {"accessors": pygltflib.Accessor, "bufferViews": pygltflib.BufferView}
"""Lists of hundreds of small objects, which pygltflib takes nine tenths of the reading time to decode."""
_CODES = {np.dtype(t): code for code, t in _TYPES.items()}


@dataclass
class Node(pygltflib.Node):  # type: ignore[misc]
    """A node with ``weights``, which pygltflib's lacks."""

    weights: list[float] | None = field(default_factory=list)


@dataclass
class Document(pygltflib.GLTF2):  # type: ignore[misc]
    """A glTF document with all buffers in one binary blob."""

    animations: list[dict] = field(default_factory=list)  # as dicts, since objects take most of the parsing time
    nodes: list[Node] = field(default_factory=list)
    where: ClassVar[str] = "a glTF document"  # set on each instance: the file, for messages

    @classmethod
    def from_json(cls, text: str, **options: Any) -> Document:
        """The document in ``text``, with each ``extras`` packed into one string."""
        raw = json.loads(text)
        if not isinstance(raw, dict):
            raise ValueError("a glTF document is a JSON object")
        raw = _packed(raw)
        plain = {name: raw.pop(name) for name in _PLAIN if isinstance(raw.get(name), list)}
        document: Document = super().from_json(json.dumps(raw), **options)
        for name, items in plain.items():
            setattr(document, name, [_made(_PLAIN[name], item) for item in items])
        return document

    def to_json(self, **options: Any) -> str:
        """The document as JSON, with unpacked ``extras``."""
        keep = {k: options[k] for k in ("indent", "separators") if k in options}
        return json.dumps(_unpacked(json.loads(super().to_json(**options))), **keep)

    def index(self, value: Any, items: list[Any] | None, what: str) -> int:
        """``value`` as an index of ``items``. Raises FileError with ``what`` for any other value."""
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < len(items or ()):
            raise FileError(f"{self.where} is malformed: {what} refers to number {value!r} of {len(items or ())}")
        return value


def _made(kind: Any, item: dict[str, Any]) -> Any:
    """``item`` as an object, without pygltflib's generic decoding where no value of it is an object itself."""
    if "sparse" in item:
        return kind.from_dict(item, infer_missing=True)
    return kind(**{key: value for key, value in item.items() if key in kind.__dataclass_fields__})


def open_document(path: str | os.PathLike[str]) -> Document:
    """Reads a ``.glb`` or ``.gltf`` file, external buffers and images included. Raises FileError."""
    path = Path(path)
    data = read_bytes(path)
    if data[:4] == b"glTF":
        text, blob = _chunks(data, path)
    elif path.suffix.lower() == ".glb":
        raise FileError(f"{path} is not a GLB file: it does not begin with the letters glTF")
    else:
        text, blob = data, b""
    document = _parse(text, path)
    _join_buffers(document, blob, path)
    _embed_images(document, path)
    return document


def _chunks(data: bytes, path: Path) -> tuple[bytes, bytes]:
    """The JSON chunk and the first binary one, with all lengths checked."""
    if len(data) < _HEADER.size + _CHUNK.size:
        raise FileError(f"{path} is truncated: {len(data)} bytes are not a GLB file")
    _, version, length = _HEADER.unpack_from(data)
    if version != 2:
        raise FileError(f"{path} is glTF {version}; only version 2 can be read")
    if length > len(data):
        raise FileError(f"{path} is truncated: it says {length:,} bytes and has {len(data):,}")
    found: dict[bytes, bytes] = {}
    at = _HEADER.size
    while at + _CHUNK.size <= length:
        size, kind = _CHUNK.unpack_from(data, at)
        at += _CHUNK.size
        if at + size > length:
            raise FileError(f"{path} is truncated: a chunk of {size:,} bytes has {length - at:,}")
        found.setdefault(kind, data[at : at + size])
        at += size
    if b"JSON" not in found:
        raise FileError(f"{path} is malformed: it has no JSON chunk")
    return found[b"JSON"], found.get(b"BIN\0", b"")


def _parse(text: bytes, path: Path) -> Document:
    try:
        decoded = text.decode("utf-8-sig").rstrip("\0 ")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pygltflib's about optional fields
            document: Document = Document.gltf_from_json(decoded)
    except json.JSONDecodeError as error:
        raise FileError(f"{path} is malformed: its JSON is invalid in line {error.lineno}: {error.msg}") from error
    except Exception as error:  # the parser raises any exception for foreign structure
        raise FileError(f"{path} is malformed: its JSON is not a glTF document ({type(error).__name__})") from error
    document.where = str(path)  # type: ignore[misc]
    version = str(getattr(document.asset, "version", None))
    if not version.startswith("2."):
        raise FileError(f"{path} is glTF {version[:10]}; only version 2 can be read")
    return document


def _join_buffers(document: Document, blob: bytes, path: Path) -> None:
    """Joins all buffers, and checks that every view is inside its buffer."""
    joined, starts = bytearray(), []
    for n, buffer in enumerate(document.buffers or ()):
        if buffer.uri is None and n == 0:
            data = blob
        elif isinstance(buffer.uri, str):
            data = _resource(buffer.uri, path)
        elif any((buffer.extensions or {}).get(name, {}).get("fallback") for name in meshopt.NAMES):
            data = bytes(min(buffer.byteLength or 0, meshopt.MAX_BYTES))  # the fallback of a compressed buffer
        else:
            raise FileError(f"{path} is malformed: buffer {n} has no data")
        if not isinstance(buffer.byteLength, int) or buffer.byteLength > len(data):
            raise FileError(f"{path} is truncated: buffer {n} says {buffer.byteLength} bytes and has {len(data):,}")
        joined += bytes(-len(joined) % 8)
        starts.append((len(joined), buffer.byteLength))
        joined += data[: buffer.byteLength]
    for n, view in enumerate(document.bufferViews or ()):
        start, size = starts[document.index(view.buffer, document.buffers, f"buffer view {n}")]
        offset = view.byteOffset or 0
        if not all(isinstance(v, int) and v >= 0 for v in (offset, view.byteLength)) or offset + view.byteLength > size:
            raise FileError(f"{path} is malformed: buffer view {n} reaches beyond its buffer of {size:,} bytes")
        view.buffer, view.byteOffset = 0, start + offset
    _expand(document, joined, starts, path)
    document.buffers = [pygltflib.Buffer(byteLength=len(joined))] if starts else []
    document.set_binary_blob(joined)


def _expand(document: Document, joined: bytearray, starts: list[tuple[int, int]], path: Path) -> None:
    """Decodes the views that meshoptimizer compressed, and removes its extension from the document."""
    for n, view in enumerate(document.bufferViews or ()):
        name = next((name for name in meshopt.NAMES if name in (view.extensions or {})), None)
        if name is None:
            continue
        how = view.extensions.pop(name)
        start, size = starts[document.index(how.get("buffer"), document.buffers, f"buffer view {n}")]
        offset, length = how.get("byteOffset", 0), how.get("byteLength")
        if not all(isinstance(v, int) and v >= 0 for v in (offset, length)) or offset + length > size:
            raise FileError(f"{path} is malformed: buffer view {n} reaches beyond its buffer of {size:,} bytes")
        try:
            data = meshopt.decode(
                bytes(joined[start + offset : start + offset + length]),
                count=how.get("count"),
                stride=how.get("byteStride"),
                mode=how.get("mode"),
                filter=how.get("filter", "NONE"),
            )
        except meshopt.MeshoptError as error:
            raise FileError(f"{path} cannot be read: buffer view {n} has {name} with {error}") from error
        joined += bytes(-len(joined) % 8)
        view.byteOffset, view.byteLength = len(joined), len(data)
        joined += data
    for used in (document.extensionsUsed, document.extensionsRequired):
        used[:] = [name for name in used or () if name not in meshopt.NAMES]


def _resource(uri: str, path: Path) -> bytes:
    """The bytes behind a URI: base64 data, or a file below the document's folder."""
    if uri.startswith("data:"):
        head, _, body = uri.partition(",")
        if not head.endswith(";base64"):
            return urllib.parse.unquote_to_bytes(body)
        try:
            return base64.b64decode(body, validate=True)
        except binascii.Error as error:
            raise FileError(f"{path} is malformed: a data URI is not base64") from error
    target = Path(path.parent, urllib.parse.unquote(uri))
    if ":" in uri.split("/")[0] or not target.resolve().is_relative_to(path.parent.resolve()):
        raise FileError(f"{path} refers to {uri[:80]!r}, which is not a file in its folder")
    return read_bytes(target)


def _embed_images(document: Document, path: Path) -> None:
    """Embeds image files in the document, which may be written elsewhere; a missing one stays a reference."""
    for image in document.images or ():
        if not isinstance(image.uri, str) or image.uri.startswith("data:"):
            continue
        try:
            data = _resource(image.uri, path)
        except FileError:
            continue
        image.mimeType = image.mimeType or _MIME.get(Path(image.uri).suffix.lower(), "image/png")
        image.bufferView, image.uri = add_view(document, data), None


def new_document() -> Document:
    """An empty document."""
    document = Document(asset=pygltflib.Asset(generator="anyrig"))
    document.set_binary_blob(bytearray())
    return document


def add_view(document: Document, data: bytes, target: int | None = None) -> int:
    """Appends ``data`` to the blob; the index of its new buffer view."""
    blob: bytearray = document.binary_blob()
    blob += bytes(-len(blob) % 8)
    view = pygltflib.BufferView(buffer=0, byteOffset=len(blob), byteLength=len(data), target=target)
    document.bufferViews.append(view)
    blob += data
    document.buffers = [pygltflib.Buffer(byteLength=len(blob))]
    return len(document.bufferViews) - 1


def as_glb(document: Document) -> bytes:
    """The document as the bytes of a GLB file."""
    return b"".join(bytes(part) for part in document.save_to_bytes())


def as_gltf(document: Document) -> bytes:
    """The document as a ``.gltf`` file with its buffer inside; changes the document's buffer views."""
    blob = bytes(document.buffers_to_binary_blob())
    uri = "data:application/octet-stream;base64," + base64.b64encode(blob).decode("ascii")
    document.buffers = [pygltflib.Buffer(byteLength=len(blob), uri=uri)] if blob else []
    text: str = document.gltf_to_json()
    return text.encode("utf-8")


def extras(animation: dict[str, Any]) -> Any:
    """The ``extras`` of an animation, None where it has none."""
    return _unpacked({"extras": animation["extras"]})["extras"] if "extras" in animation else None


def set_extras(animation: dict[str, Any], value: Any) -> None:
    """Sets the ``extras`` of an animation to any JSON."""
    animation.update(_packed({"extras": value}))


def _packed(value: Any) -> Any:
    """``value`` with every ``extras`` as an object with one string, which no parser changes."""
    if isinstance(value, dict):
        return {k: {"json": json.dumps(v)} if k == "extras" else v if k == "extensions" else _packed(v)
                for k, v in value.items()}  # fmt: skip
    return [_packed(v) for v in value] if isinstance(value, list) else value


def _unpacked(value: Any) -> Any:
    """The inverse of :func:`_packed`."""
    if isinstance(value, dict):
        return {k: json.loads(v["json"]) if k == "extras" else v if k == "extensions" else _unpacked(v)
                for k, v in value.items()}  # fmt: skip
    return [_unpacked(v) for v in value] if isinstance(value, list) else value


def read_accessor(
    document: Document, index: Any, what: str, kind: str | None = None, *, raw: bool = False
) -> NDArray[Any]:
    """The values of accessor ``index``, (count, components): normalised integers as float64, sparse entries included.

    ``what`` names the reader in messages, and ``kind`` the type it needs; ``raw`` keeps normalised integers as stored.
    Raises FileError for an invalid accessor.
    """
    n = document.index(index, document.accessors, what)
    accessor = document.accessors[n]
    if accessor.componentType not in _TYPES or accessor.type not in _SIZES:
        raise FileError(f"{document.where} is malformed: accessor {n} has no known type")
    if kind is not None and accessor.type != kind:
        raise FileError(f"{document.where} is malformed: {what} needs {kind}, not {accessor.type}")
    dtype, size = np.dtype(_TYPES[accessor.componentType]).newbyteorder("<"), _SIZES[accessor.type]
    count = _whole(document, accessor.count, f"the count of accessor {n}")
    if accessor.bufferView is None:
        _whole(document, accessor.count, f"the count of accessor {n}", most=10_000_000)
        values = np.zeros((count, size), dtype)
    else:
        values = _strided(document, accessor.bufferView, accessor.byteOffset, dtype, count, size, f"accessor {n}")
    if accessor.sparse is not None:
        values = _with_sparse(document, values, accessor.sparse, dtype, size, n)
    if accessor.normalized and dtype.kind in "iu" and not raw:
        return np.asarray(np.maximum(values / float(np.iinfo(dtype.name).max), -1.0))
    return values


def _strided(
    document: Document, view_index: Any, offset: Any, dtype: np.dtype[Any], count: int, size: int, what: str
) -> NDArray[Any]:
    view = document.bufferViews[document.index(view_index, document.bufferViews, what)]
    offset = _whole(document, offset or 0, f"the offset of {what}")
    stride = _whole(document, view.byteStride or dtype.itemsize * size, f"the stride of {what}")
    end = offset + (stride * (count - 1) + dtype.itemsize * size if count else 0)
    if end > view.byteLength or stride < dtype.itemsize * size:
        raise FileError(f"{document.where} is malformed: {what} reaches beyond its {view.byteLength:,} bytes")
    blob = document.binary_blob()
    # A copy, since a bytearray with views cannot grow.
    return np.ndarray((count, size), dtype, blob, view.byteOffset + offset, (stride, dtype.itemsize)).copy()


def _with_sparse(
    document: Document, values: NDArray[Any], sparse: Any, dtype: np.dtype[Any], size: int, n: int
) -> NDArray[Any]:
    """``values`` with the entries of a sparse accessor replaced."""
    what = f"the sparse part of accessor {n}"
    count = _whole(document, sparse.count, what)
    kind = np.dtype(_TYPES.get(sparse.indices.componentType, np.uint32))
    at = _strided(document, sparse.indices.bufferView, sparse.indices.byteOffset, kind, count, 1, what)[:, 0]
    new = _strided(document, sparse.values.bufferView, sparse.values.byteOffset, dtype, count, size, what)
    if count and int(at.max()) >= len(values):
        raise FileError(f"{document.where} is malformed: {what} reaches beyond it")
    values[at] = new
    return values


def _whole(document: Document, value: Any, what: str, most: int = 1 << 40) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise FileError(f"{document.where} is malformed: {what} is {value!r}")
    return value


def add_accessor(
    document: Document, values: NDArray[Any], kind: str, *, target: int | None = None, bounds: bool = False
) -> int:
    """Appends ``values`` (count, components), whose dtype is one of glTF's; the index of the new accessor.

    ``bounds`` adds the least and greatest values, which times and positions must have. Raises FileError for values that
    are not finite in single precision.
    """
    values = np.ascontiguousarray(values)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise FileError("a value is not finite in single precision")
    accessor = pygltflib.Accessor(
        bufferView=add_view(document, values.tobytes(), target),
        componentType=_CODES[values.dtype],
        count=len(values),
        type=kind,
    )
    if bounds:
        accessor.min = [float(v) for v in values.reshape(len(values), -1).min(axis=0)]
        accessor.max = [float(v) for v in values.reshape(len(values), -1).max(axis=0)]
    document.accessors.append(accessor)
    return len(document.accessors) - 1


def replace_accessor(document: Document, index: int, values: NDArray[Any]) -> None:
    """Replaces the values of accessor ``index`` by others of its type and count."""
    old = document.accessors[index]
    document.accessors[index] = document.accessors[add_accessor(document, values, old.type)]
    document.accessors.pop()


@dataclass(frozen=True, eq=False)
class Nodes:
    """All N nodes of a document: parents (-1 for none), an order with parents first, and local rest transforms."""

    names: tuple[str, ...]
    parents: tuple[int, ...]
    order: tuple[int, ...]
    translations: Array
    rotations: Array
    scales: Array

    def above(self, nodes: list[int]) -> list[int]:
        """``nodes`` and all nodes above them, parents first."""
        wanted = set()
        for node in nodes:
            while node >= 0 and node not in wanted:
                wanted.add(node)
                node = self.parents[node]
        return [n for n in self.order if n in wanted]

    def world(self, chain: list[int], pose: Pose) -> tuple[Array, Array]:
        """World positions (T, len(chain), 3) and rotations W for the nodes of ``chain`` (see :meth:`above`)."""
        place = self.placed(chain, pose)
        return place.p, place.w

    def placed(self, chain: list[int], pose: Pose) -> Placement:
        """The world transforms of ``chain`` in a pose."""
        place = Placement(self, chain, pose.translations.shape[0])
        for k in range(len(chain)):
            place.put(k, pose.translations[:, k], pose.rotations[:, k], pose.scales[:, k])
        return place

    def matrix(self, node: int) -> Array:
        """The world matrix (4, 4) of one node at rest."""
        result = np.eye(4)
        while node >= 0:
            local = np.eye(4)
            local[:3, :3] = rot.to_matrix(self.rotations[node]) * self.scales[node]
            local[:3, 3] = self.translations[node]
            result, node = local @ result, self.parents[node]
        return result

    def rest(self, chain: list[int], n_frames: int = 1) -> Pose:
        """The rest transforms of ``chain`` for every frame."""
        parts = (a[chain] for a in (self.translations, self.rotations, self.scales))
        return Pose(*(np.tile(a, (n_frames, 1, 1)) for a in parts))


@dataclass(frozen=True, eq=False)
class Pose:
    """Local transforms of K nodes: (T, K, 3), (T, K, 4) and (T, K, 3)."""

    translations: Array
    rotations: Array
    scales: Array


class Placement:
    """World transforms of a chain of nodes, filled in from the top down."""

    def __init__(self, nodes: Nodes, chain: list[int], n_frames: int) -> None:
        at = {node: k for k, node in enumerate(chain)}
        self.parents = [at.get(nodes.parents[node], -1) for node in chain]
        self.p = np.zeros((n_frames, len(chain), 3))
        self.w = rot.identity(n_frames, len(chain))
        self.linear = np.tile(np.eye(3), (n_frames, len(chain), 1, 1))

    def parent(self, k: int) -> tuple[Array, Array, Array]:
        """p (T, 3), W (T, 4) and L (T, 3, 3) of the node that node ``k`` of the chain hangs on."""
        n_frames, above = len(self.p), self.parents[k]
        if above < 0:
            return np.zeros((n_frames, 3)), rot.identity(n_frames), np.tile(np.eye(3), (n_frames, 1, 1))
        return self.p[:, above], self.w[:, above], self.linear[:, above]

    def put(self, k: int, translations: Array, rotations: Array, scales: Array) -> None:
        """Sets node ``k`` of the chain from its local transform."""
        p, w, linear = self.parent(k)
        self.p[:, k] = p + np.einsum("tij,tj->ti", linear, translations)
        self.w[:, k] = rot.normalize(rot.multiply(w, rotations))
        self.linear[:, k] = linear @ rot.to_matrix(rotations) * scales[:, None, :]


def read_nodes(document: Document) -> Nodes:
    """The document's nodes. Raises FileError for nodes that are no tree, or an invalid transform."""
    n = len(document.nodes or ())
    parents = [-1] * n
    for i, node in enumerate(document.nodes):
        for value in node.children or ():
            child = document.index(value, document.nodes, f"node {i}")
            if parents[child] >= 0 or child == i:
                raise FileError(f"{document.where} is malformed: node {child} hangs on two nodes, or on itself")
            parents[child] = i
    order = [i for i in range(n) if parents[i] < 0]
    for i in order:  # grows during the iteration
        order += document.nodes[i].children or ()
    if len(order) < n:
        raise FileError(f"{document.where} is malformed: {n - len(order)} nodes are in a cycle")
    local = [_local(document, i) for i in range(n)]
    names = tuple(str(node.name) if node.name else f"node_{i}" for i, node in enumerate(document.nodes))
    t, r, s = (np.array([part[k] for part in local]).reshape(n, -1) for k in range(3))
    return Nodes(names, tuple(parents), tuple(_depth_first(order, parents)), t, rot.normalize(r.reshape(n, 4)), s)


def _depth_first(order: list[int], parents: list[int]) -> list[int]:
    """The nodes in depth-first order, in which users expect joints."""
    children: dict[int, list[int]] = {}
    for i in order:
        children.setdefault(parents[i], []).append(i)
    result, todo = [], list(reversed(children.get(-1, [])))
    while todo:
        i = todo.pop()
        result.append(i)
        todo += reversed(children.get(i, []))
    return result


def _local(document: Document, i: int) -> tuple[Array, Array, Array]:
    node, where = document.nodes[i], f"{document.where} is malformed: node {i}"
    if node.matrix:
        m = _transform(node.matrix, 16, where).reshape(4, 4).T
        scale = np.linalg.norm(m[:3, :3], axis=0)
        if np.linalg.det(m[:3, :3]) < 0:
            scale[0] = -scale[0]
        turn = m[:3, :3] / np.where(np.abs(scale) > 0, scale, 1.0)
        return m[:3, 3], rot.from_matrix(turn), scale
    t = _transform(node.translation, 3, where) if node.translation else np.zeros(3)
    xyzw = _transform(node.rotation, 4, where) if node.rotation else np.array([0.0, 0.0, 0.0, 1.0])
    s = _transform(node.scale, 3, where) if node.scale else np.ones(3)
    return t, xyzw[[3, 0, 1, 2]], s


def _transform(values: Any, size: int, where: str) -> Array:
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise FileError(f"{where} has a transform that is not numeric") from error
    if array.shape != (size,) or not np.isfinite(array).all():
        raise FileError(f"{where} has a transform of other than {size} numbers")
    return array


def wrap(document: Document, up: str, unit: str | float, *, inward: bool) -> None:
    """Puts a node above each topmost one that converts ``up`` and ``unit`` to y up and metres.

    Where not ``inward``, it converts y up and metres to ``up`` and ``unit``.
    """
    turn, factor = conform.upright(up), conform.metres(unit)
    if up == "y" and factor == 1.0:
        return
    if not inward:
        turn, factor = rot.inverse(turn), 1.0 / factor
    nodes = read_nodes(document)
    outer = {}
    for top in [n for n in nodes.order if nodes.parents[n] < 0]:
        w, x, y, z = (float(v) for v in turn)
        outer[top] = len(document.nodes)
        document.nodes.append(
            Node(name=f"{nodes.names[top]}_axes", rotation=[x, y, z, w], scale=[factor] * 3, children=[top])
        )
    for scene in document.scenes or ():
        scene.nodes = [outer.get(n, n) for n in scene.nodes or ()]
