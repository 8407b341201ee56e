"""Feet stand still, nothing is under the ground, and no bone is stretched for it."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyrig import creatures
from anyrig.legs import feet, leg, lift, lock_feet, reach
from anyrig.skeleton import Clip


def a_walk(kind="quadruped", seed=3):
    rng = random.Random(seed)
    return creatures.perform(creatures.plan(kind, rng), "walk", rng, fps=30)


def slipping(clip, speed=0.3):
    """The clip on ice: it slides to the left."""
    moved = clip.translations.copy()
    moved[:, clip.skeleton.main_root, 0] += speed * np.arange(clip.n_frames) / clip.fps
    return Clip(clip.skeleton, clip.rotations, moved, clip.fps)


def slide(clip, flags):
    """The mean speed of joints while they stand, m/s."""
    moved = np.linalg.norm(np.diff(clip.world()[0], axis=0), axis=-1) * clip.fps
    both = flags[1:] & flags[:-1]
    return float((moved * both).sum() / both.sum())


def flags_of(done):
    flags = np.zeros((done.clip.n_frames, done.clip.skeleton.n_joints), dtype=bool)
    for k, foot in enumerate(done.feet):
        flags[:, foot] = done.contacts[:, k]
    return flags


@pytest.mark.parametrize("kind", ["quadruped", "biped", "hexapod"])
def test_feet_are_found(kind):
    done = a_walk(kind)
    ends = {j for j in range(done.clip.skeleton.n_joints) if not done.clip.skeleton.children[j]}
    found = set(feet(done.clip.skeleton))
    assert found
    for foot in set(done.feet) & ends:
        assert foot in found


def test_standing_feet_stop_sliding_and_bones_keep_their_length():
    done = a_walk()
    ends = [f for f in done.feet if f in feet(done.clip.skeleton)]
    flags = flags_of(done)
    flags[:, [j for j in range(flags.shape[1]) if j not in ends]] = False
    slid = slipping(done.clip)
    locked = lock_feet(slid, flags)
    assert slide(slid, flags) > 0.2
    assert slide(locked, flags) < 0.2 * slide(slid, flags)
    parents = np.array(locked.skeleton.parents)
    bones = locked.world()[0][:, 1:] - locked.world()[0][:, parents[1:]]
    lengths = np.linalg.norm(locked.skeleton.offsets[1:], axis=-1)
    np.testing.assert_allclose(np.linalg.norm(bones, axis=-1), np.broadcast_to(lengths, bones.shape[:2]), atol=1e-9)
    np.testing.assert_array_equal(locked.translations, slid.translations)


def test_without_contacts_nothing_changes():
    clip = a_walk().clip
    same = lock_feet(clip, np.zeros((clip.n_frames, clip.skeleton.n_joints), dtype=bool))
    assert same is clip


def test_what_is_buried_comes_up_and_what_is_not_stays():
    clip = a_walk().clip
    assert lift(clip).world()[0][..., 1].min() > -1e-9
    buried = clip.translations.copy()
    buried[:, clip.skeleton.main_root, 1] -= 0.1
    raised = lift(Clip(clip.skeleton, clip.rotations, buried, clip.fps))
    assert raised.world()[0][..., 1].min() > -1e-9
    high = clip.translations.copy()
    high[:, clip.skeleton.main_root, 1] += 1.0
    flying = Clip(clip.skeleton, clip.rotations, high, clip.fps)
    assert lift(flying) is flying


def test_a_leg_ends_where_other_limbs_spring_off():
    s = a_walk().clip.skeleton
    for foot in feet(s):
        chain = leg(s, foot)
        assert chain[-1] == foot
        assert all(s.parents[b] == a for a, b in pairwise(chain))
        assert s.main_root not in chain


@given(st.integers(0, 1000), st.integers(3, 6))
def test_chains_reach_what_they_can_and_keep_their_lengths(seed, n):
    rng = np.random.default_rng(seed)
    chain = np.cumsum(rng.normal(size=(4, n, 3)), axis=1)
    lengths = np.linalg.norm(np.diff(chain, axis=1), axis=-1)
    goal = chain[:, 0] + rng.normal(size=(4, 3))
    out = reach(chain, goal)
    np.testing.assert_allclose(np.linalg.norm(np.diff(out, axis=1), axis=-1), lengths, atol=1e-9)
    np.testing.assert_allclose(out[:, 0], chain[:, 0])
    far = np.linalg.norm(goal - chain[:, 0], axis=-1) > lengths.sum(axis=1)
    after, before = (np.linalg.norm(c[:, -1] - goal, axis=-1) for c in (out, chain))
    assert (after <= before + 1e-6).all()
    beyond = np.linalg.norm(goal - chain[:, 0], axis=-1) - lengths.sum(axis=1)
    assert (np.abs(after - beyond) <= 0.02 * lengths.sum(axis=1))[far].all()
