"""The container of glTF 2.0: ``.glb`` and ``.gltf`` files as one document with one binary buffer.

pygltflib parses and writes. What it would lose or not notice is seen to here: lengths are checked before anything is
trusted, the default morph weights of nodes stay, and ``extras`` (which may be any JSON) stay to the letter.
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

import pygltflib

from anyrig.errors import FileError
from anyrig.io import _meshopt
from anyrig.io._files import read_bytes

_HEADER = struct.Struct("<4sII")
_CHUNK = struct.Struct("<I4s")
_MIME = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp", ".ktx2": "image/ktx2"}


@dataclass
class Node(pygltflib.Node):  # type: ignore[misc]
    """A node with the field that pygltflib's lacks."""

    weights: list[float] | None = field(default_factory=list)


@dataclass
class Document(pygltflib.GLTF2):  # type: ignore[misc]
    """A glTF document whose buffers are joined into its one binary blob."""

    animations: list[dict] = field(default_factory=list)  # plain: as objects they take most of the time to parse
    nodes: list[Node] = field(default_factory=list)
    where: ClassVar[str] = "a glTF document"  # set on each instance: the file, for messages

    @classmethod
    def from_json(cls, text: str, **options: Any) -> Document:
        """The document that ``text`` describes; its ``extras`` travel as one string each."""
        raw = json.loads(text)
        if not isinstance(raw, dict):
            raise ValueError("a glTF document is a JSON object")
        document: Document = super().from_json(json.dumps(_packed(raw)), **options)
        return document

    def to_json(self, **options: Any) -> str:
        """The document as JSON, with its ``extras`` as they were read."""
        keep = {k: options[k] for k in ("indent", "separators") if k in options}
        return json.dumps(_unpacked(json.loads(super().to_json(**options))), **keep)

    def index(self, value: Any, items: list[Any] | None, what: str) -> int:
        """``value`` as an index of ``items``. Raises FileError, naming ``what``, where it is none."""
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < len(items or ()):
            raise FileError(f"{self.where} is malformed: {what} refers to number {value!r} of {len(items or ())}")
        return value


def open_document(path: str | os.PathLike[str]) -> Document:
    """Reads a ``.glb`` or ``.gltf`` file, external buffers and images included. Raises FileError."""
    path = Path(path)
    data = read_bytes(path)
    if data[:4] == b"glTF":
        text, blob = _chunks(data, path)
    elif path.suffix.lower() == ".glb":
        raise FileError(f"{path} is no GLB file: it does not begin with the letters glTF")
    else:
        text, blob = data, b""
    document = _parse(text, path)
    _join_buffers(document, blob, path)
    _embed_images(document, path)
    return document


def _chunks(data: bytes, path: Path) -> tuple[bytes, bytes]:
    """The JSON chunk and the first binary one, none of it trusted."""
    if len(data) < _HEADER.size + _CHUNK.size:
        raise FileError(f"{path} is truncated: {len(data)} bytes are no GLB file")
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
            warnings.simplefilter("ignore")  # pygltflib's, of fields that may be missing
            document: Document = Document.gltf_from_json(decoded)
    except json.JSONDecodeError as error:
        raise FileError(f"{path} is malformed: its JSON breaks off in line {error.lineno}: {error.msg}") from error
    except Exception as error:  # the parser meets foreign structure with whatever Python raises there
        raise FileError(f"{path} is malformed: its JSON is no glTF document ({type(error).__name__})") from error
    document.where = str(path)  # type: ignore[misc]
    version = str(getattr(document.asset, "version", None))
    if not version.startswith("2."):
        raise FileError(f"{path} is glTF {version[:10]}; only version 2 can be read")
    return document


def _join_buffers(document: Document, blob: bytes, path: Path) -> None:
    """Makes one buffer of all, and checks that every view lies within it."""
    joined, starts = bytearray(), []
    for n, buffer in enumerate(document.buffers or ()):
        if buffer.uri is None and n == 0:
            data = blob
        elif isinstance(buffer.uri, str):
            data = _resource(buffer.uri, path)
        elif any((buffer.extensions or {}).get(name, {}).get("fallback") for name in _meshopt.NAMES):
            data = bytes(min(buffer.byteLength or 0, _meshopt.MAX_BYTES))  # stands for what is compressed elsewhere
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
    """Decodes the views that meshoptimizer compressed, and leaves the document without its extension."""
    for n, view in enumerate(document.bufferViews or ()):
        name = next((name for name in _meshopt.NAMES if name in (view.extensions or {})), None)
        if name is None:
            continue
        how = view.extensions.pop(name)
        start, size = starts[document.index(how.get("buffer"), document.buffers, f"buffer view {n}")]
        offset, length = how.get("byteOffset", 0), how.get("byteLength")
        if not all(isinstance(v, int) and v >= 0 for v in (offset, length)) or offset + length > size:
            raise FileError(f"{path} is malformed: buffer view {n} reaches beyond its buffer of {size:,} bytes")
        try:
            data = _meshopt.decode(
                bytes(joined[start + offset : start + offset + length]),
                count=how.get("count"),
                stride=how.get("byteStride"),
                mode=how.get("mode"),
                filter=how.get("filter", "NONE"),
            )
        except _meshopt.MeshoptError as error:
            raise FileError(f"{path} cannot be read: buffer view {n} has {name} with {error}") from error
        joined += bytes(-len(joined) % 8)
        view.byteOffset, view.byteLength = len(joined), len(data)
        joined += data
    for used in (document.extensionsUsed, document.extensionsRequired):
        used[:] = [name for name in used or () if name not in _meshopt.NAMES]


def _resource(uri: str, path: Path) -> bytes:
    """The bytes behind a URI: base64 data, or a file below the document's folder."""
    if uri.startswith("data:"):
        head, _, body = uri.partition(",")
        if not head.endswith(";base64"):
            return urllib.parse.unquote_to_bytes(body)
        try:
            return base64.b64decode(body, validate=True)
        except binascii.Error as error:
            raise FileError(f"{path} is malformed: a data URI is no base64") from error
    target = Path(path.parent, urllib.parse.unquote(uri))
    if ":" in uri.split("/")[0] or not target.resolve().is_relative_to(path.parent.resolve()):
        raise FileError(f"{path} refers to {uri[:80]!r}, which is not a file in its folder")
    return read_bytes(target)


def _embed_images(document: Document, path: Path) -> None:
    """Takes image files into the document, which may be written elsewhere; one that is missing stays a reference."""
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
    """A document with nothing in it."""
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
    """``value`` with every ``extras`` turned into an object with one string, which no parser changes."""
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
