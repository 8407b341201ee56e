"""Typed arrays in and out of a document's buffer (glTF 2.0, section 3.6.2)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pygltflib
from numpy.typing import NDArray

from anyrig.errors import FileError
from anyrig.io._document import Document, add_view

_TYPES = {5120: np.int8, 5121: np.uint8, 5122: np.int16, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
_SIZES = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
_CODES = {np.dtype(t): code for code, t in _TYPES.items()}


def read(document: Document, index: Any, what: str, kind: str | None = None, *, raw: bool = False) -> NDArray[Any]:
    """The numbers of accessor ``index`` as (count, components), normalised integers as float64, sparse ones filled in.

    ``what`` names the one who asks, and ``kind`` the type it needs; ``raw`` leaves normalised integers as they are
    stored. Raises FileError for anything that does not fit.
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
        values = _filled(document, values, accessor.sparse, dtype, size, n)
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
    # A copy: what looks into the blob would keep it from growing.
    return np.ndarray((count, size), dtype, blob, view.byteOffset + offset, (stride, dtype.itemsize)).copy()


def _filled(
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


def add(document: Document, values: NDArray[Any], kind: str, *, target: int | None = None, bounds: bool = False) -> int:
    """Appends ``values`` (count, components), whose dtype is one of glTF's; the index of the new accessor.

    ``bounds`` adds the least and greatest values, which times and positions must have. Raises FileError for what is not
    finite: what was too large for single precision, for example.
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


def replace(document: Document, index: int, values: NDArray[Any]) -> None:
    """Gives accessor ``index`` other values of its type and number; who refers to it sees them."""
    old = document.accessors[index]
    document.accessors[index] = document.accessors[add(document, values, old.type)]
    document.accessors.pop()
