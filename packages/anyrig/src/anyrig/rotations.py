"""Rotations as unit quaternions ``(w, x, y, z)``, vectorised over leading axes, which broadcast.

Everything is float64 and active: ``rotate(q, v)`` turns the vector ``v``; ``multiply(a, b)`` turns by ``b`` first,
then by ``a``. ``q`` and ``-q`` are the same rotation, and every function that compares or blends takes the nearer of
the two. Angles are in radians.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

IDENTITY: Array = np.array([1.0, 0.0, 0.0, 0.0])
IDENTITY.setflags(write=False)

_TINY = 1e-12
_AXES = {"x": 0, "y": 1, "z": 2}


def _array(values: ArrayLike, size: int) -> Array:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 0 or array.shape[-1] != size:
        raise ValueError(f"the last axis must be {size} long, not of shape {array.shape}")
    return array


def identity(*shape: int) -> Array:
    """Identity rotations, (*shape, 4)."""
    return np.broadcast_to(IDENTITY, (*shape, 4)).copy()


def random(rng: np.random.Generator, *shape: int) -> Array:
    """Rotations drawn uniformly from SO(3), (*shape, 4)."""
    return normalize(rng.normal(size=(*shape, 4)))


def normalize(q: ArrayLike) -> Array:
    """``q`` scaled to unit length; the identity where its length is zero."""
    q = _array(q, 4)
    length = np.linalg.norm(q, axis=-1, keepdims=True)
    return np.where(length > 0, q / np.where(length > 0, length, 1.0), IDENTITY)


def multiply(a: ArrayLike, b: ArrayLike) -> Array:
    """The Hamilton product: turn by ``b``, then by ``a``."""
    a, b = _array(a, 4), _array(b, 4)
    aw, ax, ay, az = (a[..., k] for k in range(4))
    bw, bx, by, bz = (b[..., k] for k in range(4))
    return _columns(
        aw * bw - ax * bx - ay * by - az * bz,
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
    )


def inverse(q: ArrayLike) -> Array:
    """The rotation that undoes the unit quaternion ``q``."""
    return np.asarray(_array(q, 4) * np.array([1.0, -1.0, -1.0, -1.0]))


def rotate(q: ArrayLike, v: ArrayLike) -> Array:
    """The vectors ``v`` (..., 3) turned by the unit quaternions ``q`` (..., 4)."""
    q, v = _array(q, 4), _array(v, 3)
    axis = q[..., 1:]
    twice = 2.0 * _cross(axis, v)
    return np.asarray(v + q[..., :1] * twice + _cross(axis, twice))


def _cross(a: Array, b: Array) -> Array:
    """The cross product along the last axis; ``numpy.cross`` takes several times as long for few vectors."""
    ax, ay, az = (a[..., k] for k in range(3))
    bx, by, bz = (b[..., k] for k in range(3))
    return _columns(ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx)


def _columns(*values: Array) -> Array:
    """Arrays of one shape side by side along a new last axis."""
    out = np.empty((*np.shape(values[0]), len(values)))
    for k, value in enumerate(values):
        out[..., k] = value
    return out


def angle(a: ArrayLike, b: ArrayLike) -> Array:
    """The angle between rotations, in [0, pi]. Precise for small angles, where an arc cosine is not."""
    a, b = _array(a, 4), _array(b, 4)
    near, far = np.linalg.norm(a - b, axis=-1), np.linalg.norm(a + b, axis=-1)
    return np.asarray(4.0 * np.arctan2(np.minimum(near, far), np.maximum(near, far)))


def slerp(a: ArrayLike, b: ArrayLike, t: ArrayLike) -> Array:
    """From ``a`` (t = 0) to ``b`` (t = 1) at constant speed along the shorter arc; ``t`` has the leading axes only.

    Shoemake, Animating rotation with quaternion curves, SIGGRAPH 1985. At exactly opposite rotations (180 degrees
    apart) both arcs have one length, and either is taken.
    """
    a, b = _array(a, 4), _array(b, 4)
    t = np.asarray(t, dtype=np.float64)[..., None]
    b = np.where(np.sum(a * b, axis=-1, keepdims=True) < 0, -b, b)
    omega = 2.0 * np.arctan2(np.linalg.norm(a - b, axis=-1), np.linalg.norm(a + b, axis=-1))[..., None]
    close = omega < 1e-6  # there the chord equals the arc to float precision, and the sine is too small to divide by
    sine = np.where(close, 1.0, np.sin(omega))
    from_a = np.where(close, 1.0 - t, np.sin((1.0 - t) * omega) / sine)
    from_b = np.where(close, t, np.sin(t * omega) / sine)
    return normalize(from_a * a + from_b * b)


def continuous(q: ArrayLike) -> Array:
    """The same rotations ``q`` (T, ..., 4) with signs chosen so that no step from frame to frame jumps to the antipode.

    The first frame keeps its signs.
    """
    q = _array(q, 4)
    flips = np.where(np.sum(q[1:] * q[:-1], axis=-1, keepdims=True) < 0, -1.0, 1.0)
    return np.concatenate([q[:1], q[1:] * np.cumprod(flips, axis=0)])


def to_matrix(q: ArrayLike) -> Array:
    """Rotation matrices (..., 3, 3) that act on column vectors."""
    w, x, y, z = np.moveaxis(_array(q, 4), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def from_matrix(m: ArrayLike) -> Array:
    """Unit quaternions of the rotation matrices ``m`` (..., 3, 3). Shepperd's choice of the largest component."""
    m = np.asarray(m, dtype=np.float64)
    if m.shape[-2:] != (3, 3):
        raise ValueError(f"rotation matrices are (..., 3, 3), not {m.shape}")
    (a, b, c), (d, e, f), (g, h, i) = np.moveaxis(m, (-2, -1), (0, 1))
    # Entry (r, s) is 4 q_r q_s; a row divided by its length is q, best conditioned where the diagonal is largest.
    products = np.stack(
        [
            np.stack([1 + a + e + i, h - f, c - g, d - b], axis=-1),
            np.stack([h - f, 1 + a - e - i, b + d, c + g], axis=-1),
            np.stack([c - g, b + d, 1 - a + e - i, f + h], axis=-1),
            np.stack([d - b, c + g, f + h, 1 - a - e + i], axis=-1),
        ],
        axis=-2,
    )
    largest = np.argmax(np.diagonal(products, axis1=-2, axis2=-1), axis=-1)
    return normalize(np.take_along_axis(products, largest[..., None, None], axis=-2)[..., 0, :])


def to_6d(q: ArrayLike) -> Array:
    """The first two columns of the rotation matrix, concatenated, (..., 6): continuous everywhere.

    Zhou et al., On the continuity of rotation representations in neural networks, CVPR 2019.
    """
    m = to_matrix(q)
    return np.concatenate([m[..., :, 0], m[..., :, 1]], axis=-1)


def from_6d(v: ArrayLike) -> Array:
    """The Gram-Schmidt rotation of any six numbers (..., 6), degenerate ones included."""
    v = _array(v, 6)
    first = _unit(v[..., :3], np.array([1.0, 0.0, 0.0]))
    second = v[..., 3:] - np.sum(first * v[..., 3:], axis=-1, keepdims=True) * first
    # Twice: where the two are nearly parallel, one pass is not exact.
    second = _unit(second, _perpendicular(first))
    second = _unit(second - np.sum(first * second, axis=-1, keepdims=True) * first, _perpendicular(first))
    return from_matrix(np.stack([first, second, np.cross(first, second)], axis=-1))


def _unit(v: Array, fallback: Array) -> Array:
    length = np.linalg.norm(v, axis=-1, keepdims=True)
    return np.where(length > _TINY, v / np.where(length > _TINY, length, 1.0), fallback)


def _perpendicular(v: Array) -> Array:
    """Some unit vector at a right angle to each unit vector in ``v``."""
    least = np.eye(3)[np.argmin(np.abs(v), axis=-1)]
    cross = np.cross(v, least)
    return np.asarray(cross / np.linalg.norm(cross, axis=-1, keepdims=True))


def from_rotvec(v: ArrayLike) -> Array:
    """The rotation about the axis ``v / |v|`` by ``|v|`` radians; ``v`` (..., 3)."""
    v = _array(v, 3)
    theta = np.linalg.norm(v, axis=-1, keepdims=True)
    return np.concatenate([np.cos(theta / 2), v * np.sinc(theta / (2 * np.pi)) / 2], axis=-1)


def about(axis: str, radians: ArrayLike) -> Array:
    """Rotations about one coordinate axis, ``"x"``, ``"y"`` or ``"z"``; (..., 4) for angles (...)."""
    half = np.asarray(radians, dtype=np.float64) / 2
    q = np.zeros((*half.shape, 4))
    q[..., 0], q[..., 1 + _axis(axis)] = np.cos(half), np.sin(half)
    return q


def between(u: ArrayLike, v: ArrayLike) -> Array:
    """The shortest rotation that takes the direction of ``u`` to that of ``v`` (both (..., 3), of any length).

    The identity where either is zero; a half turn about some perpendicular axis where they are opposite.
    """
    u, v = np.broadcast_arrays(_array(u, 3), _array(v, 3))
    x = np.array([1.0, 0.0, 0.0])
    zero = (np.linalg.norm(u, axis=-1) <= _TINY) | (np.linalg.norm(v, axis=-1) <= _TINY)
    u, v = _unit(u, x), _unit(v, x)
    back = np.sum(u * v, axis=-1, keepdims=True) < 0
    # Beyond a right angle: a half turn about the common normal lands on -u, from where the rest is a short way.
    normal = _unit(np.cross(u, v), _perpendicular(u))
    normal = _unit(normal - np.sum(u * normal, axis=-1, keepdims=True) * u, _perpendicular(u))
    half_turn = np.concatenate([np.zeros_like(normal[..., :1]), normal], axis=-1)
    short = _between_near(np.where(back, -u, u), v)
    q = np.where(back, multiply(short, half_turn), short)
    return np.where(zero[..., None], IDENTITY, normalize(q))


def _between_near(u: Array, v: Array) -> Array:
    """:func:`between` for unit vectors at most a right angle apart, by their half-way vector."""
    middle = u + v
    middle = middle / np.linalg.norm(middle, axis=-1, keepdims=True)
    return np.concatenate([np.sum(u * middle, axis=-1, keepdims=True), np.cross(u, middle)], axis=-1)


def _axis(letter: str) -> int:
    if letter.lower() not in _AXES:
        raise ValueError(f"an axis is x, y or z, not {letter!r}")
    return _AXES[letter.lower()]


def from_euler(angles: ArrayLike, order: str) -> Array:
    """Rotations from angles (..., n) about the ``n`` axes of ``order``, each in the frame the ones before it left.

    So ``order="ZXY"`` means ``Z * X * Y``, as in the channels of a BVH file. ``order`` may have any number of axes,
    repeated ones included.
    """
    angles = _array(angles, len(order))
    q = identity(*angles.shape[:-1])
    for n, letter in enumerate(order):
        q = multiply(q, about(letter, angles[..., n]))
    return q


def to_euler(q: ArrayLike, order: str) -> Array:
    """Angles (..., 3) about the three axes of ``order`` (see :func:`from_euler`), of which no two neighbours are equal.

    The middle angle is in [-pi/2, pi/2], or in [0, pi] for an order such as ``"ZXZ"``. At gimbal lock the result is one
    of many triples that give the rotation to float precision.
    """
    axes = [_axis(letter) for letter in order]
    if len(axes) != 3 or axes[0] == axes[1] or axes[1] == axes[2]:
        raise ValueError(f"three axes, no neighbours alike, are needed to give every rotation: not {order!r}")
    i, j = axes[0], axes[1]
    k = 3 - i - j
    sign = 1.0 if (j - i) % 3 == 1 else -1.0
    m = to_matrix(q)
    if axes[2] == k:
        first = np.arctan2(-sign * m[..., j, k], m[..., k, k])
    else:
        first = np.arctan2(m[..., j, i], -sign * m[..., k, i])
    # With the first turn undone the other two angles are well conditioned, whatever the first one was.
    rest = to_matrix(about(order[0], -first)) @ m
    if axes[2] == k:
        middle = np.arctan2(sign * rest[..., i, k], rest[..., k, k])
        last = np.arctan2(sign * rest[..., j, i], rest[..., j, j])
    else:
        middle = np.arctan2(-sign * rest[..., k, i], rest[..., i, i])
        last = np.arctan2(-sign * rest[..., j, k], rest[..., j, j])
    return np.stack([first, middle, last], axis=-1)
