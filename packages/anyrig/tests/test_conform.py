from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyrig import conform
from anyrig import rotations as rot
from anyrig.errors import SettingsError
from anyrig.skeleton import Clip, Skeleton

seeds = st.integers(0, 2**32 - 1)


def random_clip(seed, n_frames=8, n_joints=9):
    rng = np.random.default_rng(seed)
    parents = (-1, *(int(rng.integers(-1, j)) for j in range(1, n_joints)))
    names = tuple(f"j{j}" for j in range(n_joints))
    skeleton = Skeleton(names, parents, rng.normal(size=(n_joints, 3)), rot.random(rng, n_joints))
    moves = skeleton.offsets + 0.1 * rng.normal(size=(n_frames, n_joints, 3))
    return Clip(skeleton, rot.random(rng, n_frames, n_joints), moves, 24)


@given(seed=seeds)
def test_other_joint_frames_leave_positions_and_turns_from_rest(seed):
    clip = random_clip(seed)
    axes = rot.random(np.random.default_rng(seed + 1), clip.skeleton.n_joints)
    for frames in (axes, rot.IDENTITY):
        other = conform.reframed(clip, frames)
        assert other.world()[0] == pytest.approx(clip.world()[0], abs=1e-9)
        assert other.skeleton.rest_positions() == pytest.approx(clip.skeleton.rest_positions(), abs=1e-9)
        assert rot.angle(other.skeleton.rest_world(), frames).max() < 1e-9
        turns = [rot.multiply(c.world()[1], rot.inverse(c.skeleton.rest_world())) for c in (clip, other)]
        assert rot.angle(*turns).max() < 1e-9


@given(seed=seeds)
def test_a_turned_world_turns_motion_and_rest(seed):
    clip, q = random_clip(seed), rot.random(np.random.default_rng(seed + 1))
    other = conform.turned(clip, q)
    assert other.world()[0] == pytest.approx(rot.rotate(q, clip.world()[0]), abs=1e-9)
    assert other.skeleton.rest_positions() == pytest.approx(rot.rotate(q, clip.skeleton.rest_positions()), abs=1e-9)
    assert rot.angle(other.world()[1], rot.multiply(q, clip.world()[1])).max() < 1e-9


@pytest.mark.parametrize(("up", "axis"), [("x", [1, 0, 0]), ("y", [0, 1, 0]), ("z", [0, 0, 1])])
def test_upright_takes_up_to_y(up, axis):
    assert rot.rotate(conform.upright(up), axis) == pytest.approx([0, 1, 0])


@given(seed=seeds, factor=st.floats(0.01, 100))
def test_scaling_scales_every_position(seed, factor):
    clip = random_clip(seed)
    other = conform.scaled(clip, factor)
    assert other.world()[0] == pytest.approx(factor * clip.world()[0], rel=1e-9, abs=1e-9)
    assert other.skeleton.rest_positions() == pytest.approx(factor * clip.skeleton.rest_positions(), abs=1e-7)


@given(seed=seeds)
def test_a_loop_ends_in_the_pose_it_began_with(seed):
    loop = conform.looped(random_clip(seed))
    children = [j for j, p in enumerate(loop.skeleton.parents) if p >= 0]
    assert rot.angle(loop.rotations[0], loop.rotations[-1])[children].max(initial=0) < 1e-9
    assert loop.translations[-1, children] == pytest.approx(loop.translations[0, children], abs=1e-12)


def walker(distance, turn, n=25):
    """A body that travels and turns, a leg that swings and does not quite come back, and an IK bone."""
    skeleton = Skeleton(("body", "leg", "ik"), (-1, 0, -1), [[0, 1, 0], [0, -0.5, 0], [0.3, 0, 0]])
    t = np.linspace(0, 1, n)
    rotations = rot.identity(n, 3)
    rotations[:, 0] = rotations[:, 2] = rot.about("y", turn * t)
    rotations[:, 1] = rot.about("x", np.sin(2 * np.pi * t) + 0.1 * t)
    translations = np.tile(skeleton.offsets, (n, 1, 1))
    translations[:, 0] += t[:, None] * [0, 0.02, distance]
    translations[:, 2] = rot.rotate(rotations[:, 0], [0.3, 0, 0]) + t[:, None] * [0, 0, distance]
    return Clip(skeleton, rotations, translations, 24)


def test_a_loop_carries_travel_and_turn_on():
    clip = walker(distance=2.0, turn=1.0)
    loop = conform.looped(clip)
    assert loop.travel()[-1] == pytest.approx([0, 0, 2])
    assert loop.translations[-1, 0, 1] == pytest.approx(1.0), "height closes"
    assert rot.angle(loop.rotations[-1, 0], rot.about("y", 1.0)) < 1e-9
    assert rot.angle(loop.rotations[-1, 1], loop.rotations[0, 1]) < 1e-9
    assert loop.translations[-1, 2] == pytest.approx(clip.translations[-1, 2]), "the other root goes along"
    assert np.abs(loop.world()[0] - clip.world()[0]).max() < 0.1, "and nothing is far from what it was"


def test_a_loop_closes_sway_and_keeps_the_speed_at_its_ends():
    clip = walker(distance=0.01, turn=0.05)
    loop = conform.looped(clip)
    assert loop.world()[0][-1] == pytest.approx(loop.world()[0][0], abs=1e-12)
    for end in (slice(0, 2), slice(-2, None)):
        speed = [np.diff(c.world()[0][end], axis=0) for c in (clip, loop)]
        assert speed[0] == pytest.approx(speed[1], abs=1e-3)


def test_one_frame_is_its_own_loop():
    clip = walker(1.0, 0.0).cut(0, 1)
    assert conform.looped(clip) is clip


@pytest.mark.parametrize("call", [lambda: conform.metres("furlong"), lambda: conform.upright("w")])
def test_unknown_settings_name_themselves(call):
    with pytest.raises(SettingsError, match=r"furlong|'w'"):
        call()


def test_extent_of_a_point_is_one():
    point = Skeleton(("a",), (-1,), np.zeros((1, 3)))
    assert conform.extent(point) == 1
    assert conform.extent(replace(point, names=("a", "b"), parents=(-1, 0), offsets=[[0, 0, 0], [0, 3, 0]])) == 3
