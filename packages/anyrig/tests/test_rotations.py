from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyrig import rotations as rot

ORDERS = ["".join(p) for p in itertools.product("XYZ", repeat=3) if p[0] != p[1] and p[1] != p[2]]
seeds = st.integers(0, 2**32 - 1)
numbers = st.floats(-10, 10, allow_subnormal=False)
vectors = st.tuples(numbers, numbers, numbers).map(np.array)
# The corners where formulas break: identity, half turns, quarter turns, and hardly any turn at all.
half = np.sqrt(0.5)
CORNERS = [
    *np.eye(4),
    *(-np.eye(4)),
    *(rot.from_rotvec(s * axis) for axis in np.eye(3) for s in (np.pi / 2, -np.pi / 2, 1e-9, np.pi - 1e-9, 1e-160)),
    [0.5, 0.5, 0.5, 0.5],
    [0.0, half, half, 0.0],
    [half, 0.0, -half, 0.0],
]
quaternions = st.one_of(
    st.sampled_from(CORNERS).map(np.array), seeds.map(lambda s: rot.random(np.random.default_rng(s)))
)


def same(a, b, atol=1e-9):
    """The same rotations, whatever the sign."""
    return bool(np.all(rot.angle(a, b) < atol))


@given(q=quaternions, p=quaternions, v=vectors)
def test_multiply_is_turning_twice(q, p, v):
    assert rot.rotate(rot.multiply(q, p), v) == pytest.approx(rot.rotate(q, rot.rotate(p, v)), abs=1e-9)
    assert rot.to_matrix(rot.multiply(q, p)) == pytest.approx(rot.to_matrix(q) @ rot.to_matrix(p), abs=1e-12)
    assert rot.to_matrix(q) @ v == pytest.approx(rot.rotate(q, v), abs=1e-9)
    assert same(rot.multiply(q, rot.inverse(q)), rot.IDENTITY)


def test_turning_is_right_handed():
    assert rot.rotate(rot.about("z", np.pi / 2), [1, 0, 0]) == pytest.approx([0, 1, 0])
    assert rot.rotate(rot.about("x", np.pi / 2), [0, 1, 0]) == pytest.approx([0, 0, 1])
    assert rot.rotate(rot.about("y", np.pi / 2), [0, 0, 1]) == pytest.approx([1, 0, 0])
    assert rot.from_rotvec([0, 0.7, 0]) == pytest.approx(rot.about("y", 0.7))
    assert rot.from_rotvec([0, 0, 0]) == pytest.approx(rot.IDENTITY)


@given(q=quaternions)
def test_every_representation_comes_back(q):
    assert same(rot.from_matrix(rot.to_matrix(q)), q)
    assert same(rot.from_6d(rot.to_6d(q)), q)


@pytest.mark.parametrize("order", ORDERS)
@given(q=quaternions, near=st.sampled_from([0.0, 1e-12, 1e-8, 1e-4]), gimbal=st.booleans(), seed=seeds)
def test_euler_angles_come_back_in_every_order_at_gimbal_lock_too(order, q, near, gimbal, seed):
    if gimbal:
        a, c = np.random.default_rng(seed).uniform(-np.pi, np.pi, 2)
        locked = 0.0 if order[0] == order[2] else np.pi / 2
        q = rot.from_euler([a, locked + near, c], order)
    assert same(rot.from_euler(rot.to_euler(q, order), order), q)


def test_euler_order_is_that_of_the_matrices():
    angles = np.array([0.3, -0.5, 0.7])
    z, x, y = (rot.to_matrix(rot.about(axis, a)) for axis, a in zip("zxy", angles, strict=True))
    assert rot.to_matrix(rot.from_euler(angles, "ZXY")) == pytest.approx(z @ x @ y)
    assert rot.to_euler(rot.from_euler(angles, "ZXY"), "ZXY") == pytest.approx(angles)


@pytest.mark.parametrize(("order", "angles"), [("", []), ("Y", [0.4]), ("XZ", [0.4, 1]), ("ZXZY", [1, 2, 3, 4])])
def test_from_euler_takes_any_number_of_axes(order, angles):
    expected = np.eye(3)
    for axis, a in zip(order, angles, strict=True):
        expected = expected @ rot.to_matrix(rot.about(axis, a))
    assert rot.to_matrix(rot.from_euler(angles, order)) == pytest.approx(expected)


@pytest.mark.parametrize("order", ["XYY", "XY", "XYZX", "ABC"])
def test_to_euler_refuses_orders_that_miss_rotations(order):
    with pytest.raises(ValueError, match="ax"):
        rot.to_euler(rot.IDENTITY, order)


@given(a=quaternions, b=quaternions, t=st.floats(0, 1))
def test_slerp_moves_at_constant_speed_on_the_shorter_arc(a, b, t):
    q = rot.slerp(a, b, t)
    whole = rot.angle(a, b)
    assert whole <= np.pi + 1e-12
    assert rot.angle(a, q) == pytest.approx(t * whole, abs=1e-7)
    assert rot.angle(q, b) == pytest.approx((1 - t) * whole, abs=1e-7)
    assert same(rot.slerp(a, -b, t), q) or whole > np.pi - 1e-6, "the antipode is the same end"


@given(q=quaternions, t=st.floats(0, 1))
def test_slerp_to_the_antipode_stays(q, t):
    assert same(rot.slerp(q, -q, t), q)


@given(u=vectors, v=vectors)
def test_between_takes_the_shortest_way(u, v):
    q = rot.between(u, v)
    assert np.linalg.norm(q) == pytest.approx(1)
    if min(np.linalg.norm(u), np.linalg.norm(v)) < 1e-9:
        return
    u, v = u / np.linalg.norm(u), v / np.linalg.norm(v)
    assert rot.rotate(q, u) == pytest.approx(v, abs=1e-9)
    straight = 2 * np.arctan2(np.linalg.norm(u - v), np.linalg.norm(u + v))
    assert rot.angle(q, rot.IDENTITY) == pytest.approx(straight, abs=1e-6)


@given(v=vectors, off=st.sampled_from([0.0, 1e-15, 1e-12, 1e-8, 1e-5]))
def test_between_opposite_vectors_is_a_half_turn(v, off):
    if np.linalg.norm(v) < 1e-6:
        return
    v = v / np.linalg.norm(v)
    end = -v + off * np.array([0.6, 0.8, 0.0])
    assert rot.rotate(rot.between(v, end), v) == pytest.approx(end / np.linalg.norm(end), abs=1e-12)


def test_between_with_nothing_to_go_by_is_the_identity():
    assert rot.between([0, 0, 0], [1, 0, 0]) == pytest.approx(rot.IDENTITY)
    assert rot.between([[1, 0, 0], [0, 2, 0]], [0, 0, 0]) == pytest.approx(rot.identity(2))


@given(v=st.lists(st.sampled_from([0.0, 1.0, -1.0, 1e-20, 1e-7, 3.0]) | numbers, min_size=6, max_size=6))
def test_from_6d_makes_a_rotation_of_any_numbers(v):
    m = rot.to_matrix(rot.from_6d(v))
    assert m @ m.T == pytest.approx(np.eye(3), abs=1e-9)
    assert np.linalg.det(m) == pytest.approx(1)


@given(seed=seeds)
def test_continuous_never_jumps_to_the_antipode(seed):
    rng = np.random.default_rng(seed)
    q = np.cumsum(rng.normal(scale=0.2, size=(20, 3, 3)), axis=0)
    q = rot.from_rotvec(q) * rng.choice([-1, 1], size=(20, 3, 1))
    smooth = rot.continuous(q)
    assert np.all(np.sum(smooth[1:] * smooth[:-1], axis=-1) >= 0)
    assert same(smooth, q)
    assert np.array_equal(smooth[0], q[0])


def test_leading_axes_broadcast():
    rng = np.random.default_rng(0)
    a, b, v = rot.random(rng, 5, 1), rot.random(rng, 7), rng.normal(size=(5, 7, 3))
    assert rot.multiply(a, b).shape == (5, 7, 4)
    assert rot.rotate(a, v).shape == (5, 7, 3)
    assert rot.slerp(a, b, np.zeros((5, 7))).shape == (5, 7, 4)
    assert rot.between(v, [0, 1, 0]).shape == (5, 7, 4)
    assert rot.normalize(np.zeros((2, 4))) == pytest.approx(rot.identity(2))
