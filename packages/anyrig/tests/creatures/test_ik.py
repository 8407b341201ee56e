from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from anyrig import rotations as rot
from anyrig.creatures.ik import fold, place

seeds = st.integers(0, 2**32 - 1)


def chain(rng, n):
    """Joints of a leg with n bones that zigzag in a random plane."""
    signs = np.where(np.arange(n - 1) % 2 == 0, 1.0, -1.0)
    turns = signs * rng.uniform(0.3, 0.8, n - 1)
    angles = np.concatenate([[0.0], np.cumsum(turns)])
    bones = rng.uniform(0.6, 1.4, n)[:, None] * np.stack([np.sin(angles), -np.cos(angles), 0 * angles], axis=-1)
    points = np.concatenate([np.zeros((1, 3)), np.cumsum(bones, axis=0)])
    return rot.rotate(rot.random(rng), points)


def ends(points, local, parent, base):
    """Where the joints go when the turns are applied, by plain forward kinematics."""
    places, turned = [base], parent
    for k in range(len(points) - 1):
        turned = rot.multiply(turned, local[:, k])
        places.append(places[-1] + rot.rotate(turned, points[k + 1] - points[k]))
    return np.stack(places, axis=1), turned


@given(seed=seeds, n=st.integers(2, 4))
def test_a_chain_reaches_every_target_within_its_reach(seed, n):
    rng = np.random.default_rng(seed)
    points = chain(rng, n)
    leg = fold(points)
    distance = rng.uniform(leg.shortest, leg.longest, 12)
    base, parent = rng.normal(size=(12, 3)), rot.random(rng, 12)
    # Not along the direction in which the chain bends, where its plane is undetermined.
    toward = rot.rotate(parent, leg.along + 0.5 * rng.normal(size=(12, 3)))
    target = base + distance[:, None] * toward / np.linalg.norm(toward, axis=-1, keepdims=True)
    local, last = place(leg, base, target, parent)
    places, turned = ends(points, local, parent, base)
    assert np.allclose(places[:, -1], target, atol=1e-8)
    assert np.allclose(rot.angle(last, turned), 0.0, atol=1e-9)


@given(seed=seeds, n=st.integers(2, 4))
def test_knees_are_hinges_about_the_natural_axis(seed, n):
    rng = np.random.default_rng(seed)
    leg = fold(chain(rng, n))
    parent = rot.random(rng, 9)
    distance = np.linspace(leg.shortest, leg.longest, 9)
    target = distance[:, None] * rot.rotate(parent, leg.along)
    local, _ = place(leg, np.zeros((9, 3)), target, parent)
    assert np.allclose(np.cross(local[:, 1:, 1:], leg.axis), 0.0, atol=1e-9)


@given(seed=seeds, n=st.integers(2, 4))
def test_the_natural_distance_gives_the_natural_pose(seed, n):
    rng = np.random.default_rng(seed)
    points = chain(rng, n)
    leg = fold(points)
    parent = rot.random(rng, 1)
    base = rng.normal(size=(1, 3))
    local, _ = place(leg, base, base + rot.rotate(parent, points[-1] - points[0]), parent)
    assert np.allclose(rot.angle(local, rot.IDENTITY), 0.0, atol=1e-6)


@given(seed=seeds)
def test_out_of_reach_stretches_toward_the_target(seed):
    rng = np.random.default_rng(seed)
    points = chain(rng, 3)
    leg = fold(points)
    parent = rot.random(rng, 1)
    far = 3.0 * leg.longest * rot.rotate(parent, leg.along)
    local, _ = place(leg, np.zeros((1, 3)), far, parent)
    places, _ = ends(points, local, parent, np.zeros((1, 3)))
    assert np.allclose(places[:, -1], far / 3.0, atol=1e-8)
