"""Buffer views compressed by meshoptimizer (``EXT_meshopt_compression``), decoded.

Implements the extension's bitstreams of attributes (version 0), triangles (0 and 1) and indices (0 and 1), and its
three filters. Version 1 of attributes (``KHR_meshopt_compression``) is detected and refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

NAMES = ("EXT_meshopt_compression", "KHR_meshopt_compression")
MAX_BYTES = 1 << 30
_GROUP = 16


class MeshoptError(ValueError):
    """An invalid stream."""


def decode(data: bytes, *, count: int, stride: int, mode: str, filter: str = "NONE") -> bytes:
    """The ``count`` elements of ``stride`` bytes in ``data``. Raises MeshoptError for an invalid stream."""
    if not (isinstance(count, int) and isinstance(stride, int) and 0 <= count * stride <= MAX_BYTES and stride > 0):
        raise MeshoptError(f"{count} elements of {stride} bytes")
    try:
        if mode == "ATTRIBUTES":
            raw = _attributes(data, count, stride)
        elif mode in ("TRIANGLES", "INDICES") and stride in (2, 4):
            values = _triangles(data, count) if mode == "TRIANGLES" else _indices(data, count)
            raw = np.array(values, np.int64).astype("<u2" if stride == 2 else "<u4").view(np.uint8).reshape(-1, stride)
        else:
            raise MeshoptError(f"mode {mode!r} of {stride} bytes")
        return _filtered(raw, filter).tobytes()
    except IndexError:
        raise MeshoptError("a truncated stream") from None


def _attributes(data: bytes, count: int, stride: int) -> NDArray[np.uint8]:
    if data[0] != 0xA0:
        raise MeshoptError(f"a stream of attributes of kind {data[0]:#x}, not 0xa0")
    if stride % 4 or stride > 256 or len(data) < 1 + max(stride, 32):
        raise MeshoptError(f"attributes of {stride} bytes")
    last = np.frombuffer(data[-stride:], np.uint8).copy()
    out = np.zeros((count, stride), np.uint8)
    most = min((8192 // stride) & ~15, 256)
    at = 1
    for start in range(0, count, most):
        n = min(most, count - start)
        for k in range(stride):
            deltas, at = _byte_column(data, at, n)
            steps = np.where(deltas & 1, ~(deltas >> 1), deltas >> 1).astype(np.uint8)
            out[start : start + n, k] = last[k] + np.cumsum(steps, dtype=np.uint8)
        last = out[start + n - 1]
    return out


def _byte_column(data: bytes, at: int, n: int) -> tuple[NDArray[np.uint8], int]:
    """One byte of ``n`` elements as zigzag-coded differences, and the offset of the next column."""
    groups = -(-n // _GROUP)
    header = data[at : at + -(-groups // 4)]
    at += len(header)
    out = np.zeros(groups * _GROUP, np.uint8)
    for g in range(groups):
        kind = header[g // 4] >> (2 * (g % 4)) & 3
        if kind == 3:
            if at + _GROUP > len(data):
                raise MeshoptError("a truncated stream")
            out[g * _GROUP : (g + 1) * _GROUP] = np.frombuffer(data, np.uint8, _GROUP, at)
            at += _GROUP
        elif kind:
            bits = 2 * kind
            packed = int.from_bytes(data[at : at + 2 * bits], "big")
            at += 2 * bits
            escape = (1 << bits) - 1
            for i in range(_GROUP):
                value = packed >> bits * (_GROUP - 1 - i) & escape
                if value == escape:
                    value, at = data[at], at + 1
                out[g * _GROUP + i] = value
    return out[:n], at


class _Varints:
    """Reads variable-length integers of seven bits a byte, and zigzag-coded differences."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def number(self) -> int:
        value = shift = 0
        while shift < 35:
            byte = self.byte()
            value |= (byte & 127) << shift
            if byte < 128:
                break
            shift += 7
        return value

    def difference(self) -> int:
        return _unfolded(self.number())


def _unfolded(value: int) -> int:
    return value >> 1 ^ -(value & 1)


def _indices(data: bytes, count: int) -> list[int]:
    if data[0] & 0xF0 != 0xD0 or data[0] & 15 > 1:
        raise MeshoptError(f"a stream of indices of kind {data[0]:#x}")
    read, last, out = _Varints(data, 1), [0, 0], []
    for _ in range(count):
        value = read.number()
        last[value & 1] = last[value & 1] + _unfolded(value >> 1) & 0xFFFFFFFF
        out.append(last[value & 1])
    return out


def _triangles(data: bytes, count: int) -> list[int]:
    if data[0] & 0xF0 != 0xE0 or data[0] & 15 > 1 or count % 3:
        raise MeshoptError(f"a stream of triangles of kind {data[0]:#x}")
    return _Triangles(data, count, 13 if data[0] & 15 else 15).out


class _Triangles:
    """Decodes triangles that refer to the sixteen latest edges and vertices, or are explicit."""

    def __init__(self, data: bytes, count: int, n_recent: int) -> None:
        self.edges: list[tuple[int, int]] = [(0, 0)] * 16
        self.corners = [0] * 16
        self.next = self.last = 0
        self.read = _Varints(data, 1 + count // 3)
        self.out: list[int] = []
        table = data[-16:]
        for code in data[1 : 1 + count // 3]:
            if code < 0xF0:
                self._beside(code, n_recent)
            elif code < 0xFE:
                self._new(table[code & 15], -1)
            else:
                self._new(self.read.byte(), 0 if code == 0xFE else 15)
        if len(self.out) != count:
            raise MeshoptError("a truncated stream")

    def _push(self, corner: int, wanted: bool = True) -> None:
        if wanted:
            self.corners = [corner, *self.corners[:15]]

    def _fresh(self) -> int:
        self.next += 1
        return self.next - 1

    def _spelled(self) -> int:
        self.last = self.last + self.read.difference() & 0xFFFFFFFF
        return self.last

    def _beside(self, code: int, n_recent: int) -> None:
        """A triangle on an earlier edge."""
        a, b = self.edges[code >> 4]
        kind = code & 15
        if kind < n_recent:
            c = self._fresh() if kind == 0 else self.corners[kind]
            self._push(c, kind == 0)
        else:
            if kind != 15:
                self.last = self.last + (kind - (kind ^ 3)) & 0xFFFFFFFF
                c = self.last
            else:
                c = self._spelled()
            self._push(c)
        self.edges = [(a, c), (c, b), *self.edges[:14]]
        self.out += [a, b, c]

    def _new(self, kinds: int, first: int) -> None:
        """A separate triangle; ``first`` is -1 where its code was in the table."""
        kb, kc = kinds >> 4, kinds & 15
        if first >= 0 and kinds == 0:
            self.next = 0
        a = self._fresh() if first in (-1, 0) else 0
        b = self._fresh() if kb == 0 else self.corners[kb - 1]
        c = self._fresh() if kc == 0 else self.corners[kc - 1]
        if first == 15:
            a = self._spelled()
        if first >= 0 and kb == 15:
            b = self._spelled()
        if first >= 0 and kc == 15:
            c = self._spelled()
        self._push(a)
        self._push(b, kb == 0 or (first >= 0 and kb == 15))
        self._push(c, kc == 0 or (first >= 0 and kc == 15))
        self.edges = [(a, c), (c, b), (b, a), *self.edges[:13]]
        self.out += [a, b, c]


def _filtered(raw: NDArray[np.uint8], name: str) -> NDArray[Any]:
    """Decoded bytes (N, stride) after a filter."""
    stride = raw.shape[1]
    if name == "NONE":
        return raw
    if name == "OCTAHEDRAL" and stride in (4, 8):
        values = raw.view("<i1" if stride == 4 else "<i2").astype(np.float64)
        x, y = values[:, 0], values[:, 1]
        z = values[:, 2] - np.abs(x) - np.abs(y)
        back = np.minimum(z, 0.0)
        direction = np.stack([x + np.where(x >= 0, back, -back), y + np.where(y >= 0, back, -back), z], axis=-1)
        length = np.maximum(np.linalg.norm(direction, axis=-1, keepdims=True), 1e-12)
        values[:, :3] = _rounded(direction * (127 if stride == 4 else 32767) / length)
        return values.astype("<i1" if stride == 4 else "<i2")
    if name == "QUATERNION" and stride == 8:
        packed = raw.view("<i2").astype(np.int64)
        part = packed[:, :3] * (np.sqrt(0.5) / (packed[:, 3:] | 3))
        largest = np.sqrt(np.maximum(1.0 - (part**2).sum(axis=1), 0.0))
        out, rows, which = np.zeros((len(packed), 4)), np.arange(len(packed)), packed[:, 3] & 3
        for k, value in enumerate((largest, *part.T)):
            out[rows, (which + k) & 3] = value
        return _rounded(out * 32767).astype("<i2")
    if name == "EXPONENTIAL" and stride % 4 == 0:
        whole = raw.view("<i4").astype(np.int64)
        return np.asarray(np.ldexp(((whole & 0xFFFFFF) ^ 0x800000) - 0x800000, whole >> 24), dtype="<f4")
    raise MeshoptError(f"filter {name!r} of {stride} bytes")


def _rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.trunc(values + np.copysign(0.5, values)))
