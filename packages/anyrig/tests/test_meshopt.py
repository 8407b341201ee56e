"""Buffer views as meshoptimizer compresses them, held against a small encoder and against arrays known beforehand."""

from __future__ import annotations

import numpy as np
import pytest
from gltf_oracle import Builder, glb
from hypothesis import given, settings
from hypothesis import strategies as st

from anyrig.errors import FileError
from anyrig.io import read_glb
from anyrig.io.meshopt import MeshoptError, decode


def varint(value):
    out = b""
    while True:
        out += bytes([value & 127 | (128 if value > 127 else 0)])
        value >>= 7
        if not value:
            return out


def folded(value):
    return (value << 1) ^ (value >> 63)


def group(values, rng):
    """Sixteen bytes in a kind that can hold them, chosen at random: (kind, bytes)."""
    kinds = [3, 1, 2] + ([0] if not values.any() else [])
    kind = int(rng.choice(kinds))
    if kind == 0:
        return 0, b""
    if kind == 3:
        return 3, values.tobytes()
    bits, packed, rest = 2 * kind, 0, b""
    for v in values.tolist():
        escape = (1 << bits) - 1
        packed = packed << bits | min(v, escape)
        rest += bytes([v]) if v >= escape else b""
    return kind, packed.to_bytes(2 * bits, "big") + rest


def attributes(rows, seed=0):
    """Rows of bytes (N, stride) as a stream of attributes, version 0."""
    rng = np.random.default_rng(seed)
    n, stride = rows.shape
    out, last = b"\xa0", rows[0]
    most = min((8192 // stride) & ~15, 256)
    for start in range(0, n, most):
        block = rows[start : start + most]
        for k in range(stride):
            steps = np.diff(np.concatenate([last[k : k + 1], block[:, k]]).astype(np.int64)).astype(np.uint8)
            signed = steps.astype(np.int8).astype(np.int64)
            steps = np.where(signed < 0, ~(signed << 1), signed << 1).astype(np.uint8)
            padded = np.pad(steps, (0, -len(steps) % 16)).reshape(-1, 16)
            groups = [group(g, rng) for g in padded]
            header = bytearray(-(-len(groups) // 4))
            for g, (kind, _) in enumerate(groups):
                header[g // 4] |= kind << 2 * (g % 4)
            out += bytes(header) + b"".join(data for _, data in groups)
        last = block[-1]
    return out + bytes(max(32 - stride, 0)) + rows[0].tobytes()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 600), stride=st.sampled_from([4, 8, 12, 16, 64, 256]))
def test_attributes_come_back(seed, n, stride):
    rng = np.random.default_rng(seed)
    rows = (np.cumsum(rng.integers(-3, 4, (n, stride)), axis=0) + rng.integers(0, 256)).astype(np.uint8)
    rows[rng.random(rows.shape) < 0.02] = 200
    data = decode(attributes(rows, seed), count=n, stride=stride, mode="ATTRIBUTES")
    assert data == rows.tobytes()


@given(values=st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=40), stride=st.sampled_from([2, 4]))
def test_indices_come_back(values, stride):
    values = [v % 65536 for v in values] if stride == 2 else values
    last, data = [0, 0], b"\xd1"
    for k, v in enumerate(values):
        data += varint(folded(v - last[k % 2]) << 1 | k % 2)
        last[k % 2] = v
    raw = decode(data + bytes(4), count=len(values), stride=stride, mode="INDICES")
    assert np.frombuffer(raw, f"<u{stride}").tolist() == values


@pytest.mark.parametrize("version", [0, 1])
def test_triangles_on_their_own_beside_others_and_spelled_out(version):
    table = bytes([0x00, 0x12, *[0] * 14])  # two new corners; the corner before the last and the last
    codes, extra = b"", b""
    codes += bytes([0xF0])  # 0 1 2, all new
    codes += bytes([0x00])  # beside the side pushed last, (0, 2): corner 3
    codes += bytes([0x0F])  # beside (0, 3), a corner spelled out: 9
    extra += varint(folded(9))
    codes += bytes([0xFF])  # all spelled out: 5 6 7
    extra += bytes([0xFF]) + varint(folded(5 - 9)) + varint(folded(1)) + varint(folded(1))
    stream = bytes([0xE0 | version]) + codes + extra + table
    raw = decode(stream, count=12, stride=4, mode="TRIANGLES")
    assert np.frombuffer(raw, "<u4").reshape(-1, 3).tolist() == [[0, 1, 2], [0, 2, 3], [0, 3, 9], [5, 6, 7]]


def filtered(values, name):
    rows = np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1)
    data = decode(attributes(rows), count=len(rows), stride=rows.shape[1], mode="ATTRIBUTES", filter=name)
    return np.frombuffer(data, np.uint8).reshape(len(rows), -1)


def test_filters_give_what_the_numbers_stand_for():
    rng = np.random.default_rng(0)
    q = rng.normal(size=(50, 4))
    q /= np.linalg.norm(q, axis=1, keepdims=True)
    which = np.abs(q).argmax(axis=1)
    q *= np.sign(q[np.arange(50), which])[:, None]
    rest = np.stack([q[np.arange(50), (which + k) % 4] for k in (1, 2, 3)], axis=1)
    top = 2047
    packed = np.concatenate([np.round(rest * top * np.sqrt(2)), (top & ~3 | which)[:, None]], axis=1).astype("<i2")
    back = filtered(packed, "QUATERNION").view("<i2") / 32767
    assert back == pytest.approx(q, abs=2e-3)
    numbers = np.stack([np.array([3 << 24 | 5, (-2 & 0xFF) << 24 | (-7 & 0xFFFFFF)], np.uint32)], axis=1)
    assert filtered(numbers.astype("<u4"), "EXPONENTIAL").view("<f4").ravel().tolist() == [40.0, -1.75]
    normals = np.array([[0, 0, 127, 1], [127, 0, 127, 2], [64, -63, 127, 3], [-127, -127, 127, 4]], np.int8)
    back = filtered(normals, "OCTAHEDRAL").view(np.int8)
    assert back[:, :3] / 127 == pytest.approx(np.array([[0, 0, 1], [1, 0, 0], [0.71, -0.7, 0], [0, 0, -1]]), abs=0.02)
    assert back[:, 3].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("data", [b"", b"\xa1" + bytes(64), b"\xa0" + bytes(3), b"\xa0\xff" + bytes(40), b"\x00" * 80])
def test_what_is_no_stream_is_refused(data):
    with pytest.raises(MeshoptError):
        decode(data, count=64, stride=4, mode="ATTRIBUTES")
    with pytest.raises(MeshoptError):
        decode(data, count=60, stride=2, mode="TRIANGLES")
    with pytest.raises(MeshoptError):
        decode(b"\xa0" + bytes(64), count=1, stride=4, mode="ATTRIBUTES", filter="WAVELET")


def compressed(stream, count, fallback=True):
    """A rig of two bones whose turning is compressed."""
    b = Builder(nodes=[{"name": "hip", "children": [1]}, {"name": "leg", "translation": [0, -1, 0]}])
    b.document["skins"] = [{"joints": [0, 1]}]
    times = b.add(np.arange(count) / 30, "SCALAR")
    turns = b.add(np.zeros((count, 4)), "VEC4")
    view = b.document["bufferViews"][b.document["accessors"][turns]["bufferView"]]
    at = len(b.blob)
    view["buffer"], view["byteOffset"] = 1, 0
    how = {"buffer": 0, "byteOffset": at, "byteLength": len(stream), "byteStride": 16, "count": count,
           "mode": "ATTRIBUTES"}  # fmt: skip
    view["extensions"] = {"EXT_meshopt_compression": how}
    b.document["extensionsUsed"] = b.document["extensionsRequired"] = ["EXT_meshopt_compression"]
    b.document["animations"] = [{"channels": [{"sampler": 0, "target": {"node": 1, "path": "rotation"}}],
                                 "samplers": [{"input": times, "output": turns}]}]  # fmt: skip
    mark = {"extensions": {"EXT_meshopt_compression": {"fallback": True}}} if fallback else {}
    buffers = [{"byteLength": at + len(stream)}, {"byteLength": 16 * count} | mark]
    return glb(b.document | {"buffers": buffers}, b.blob + stream)


def test_a_compressed_file_is_read_and_written_plain(tmp_path):
    angles = np.linspace(0, 1, 20)
    turns = np.stack([np.sin(angles / 2), 0 * angles, 0 * angles, np.cos(angles / 2)], axis=1).astype("<f4")
    (tmp_path / "a.glb").write_bytes(compressed(attributes(turns.view(np.uint8).reshape(20, 16)), 20))
    model = read_glb(tmp_path / "a.glb")
    assert model.clips[0].rotations[:, 1, [1, 2, 3, 0]] == pytest.approx(turns, abs=1e-6)
    assert not model.source.document.extensionsRequired
    (tmp_path / "b.glb").write_bytes(compressed(b"\xa1" + bytes(400), 20))
    with pytest.raises(FileError, match=r"b\.glb cannot be read: buffer view 1 has EXT_meshopt_compression with"):
        read_glb(tmp_path / "b.glb")
    (tmp_path / "c.glb").write_bytes(compressed(attributes(turns.view(np.uint8).reshape(20, 16)), 20, fallback=False))
    with pytest.raises(FileError, match="buffer 1 has no data"):
        read_glb(tmp_path / "c.glb")
