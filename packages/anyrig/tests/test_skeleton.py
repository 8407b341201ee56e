from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyrig import rotations as rot
from anyrig.errors import ClipError, SkeletonError
from anyrig.skeleton import Clip, Skeleton

seeds = st.integers(0, 2**32 - 1)


def random_skeleton(rng, n=12):
    parents = [-1, *(int(rng.integers(-1, j)) for j in range(1, n))]
    names = tuple(f"joint_{j}" for j in range(n))
    return Skeleton(names, tuple(parents), rng.normal(size=(n, 3)), rot.random(rng, n))


def random_clip(rng, n_frames=9, n_joints=12, fps=24.0):
    skeleton = random_skeleton(rng, n_joints)
    rotations = rot.random(rng, n_frames, n_joints)
    return Clip(skeleton, rotations, skeleton.offsets + rng.normal(size=(n_frames, n_joints, 3)), fps)


def homogeneous(clip):
    """World positions by 4x4 matrices, the independent way."""
    m = np.tile(np.eye(4), (clip.n_frames, clip.skeleton.n_joints, 1, 1))
    m[..., :3, :3], m[..., :3, 3] = rot.to_matrix(clip.rotations), clip.translations
    for j, parent in enumerate(clip.skeleton.parents):
        if parent >= 0:
            m[:, j] = m[:, parent] @ m[:, j]
    return m


@given(seed=seeds)
def test_world_agrees_with_matrices_and_local_undoes_it(seed):
    clip = random_clip(np.random.default_rng(seed))
    positions, rotations = clip.world()
    expected = homogeneous(clip)
    assert positions == pytest.approx(expected[..., :3, 3], abs=1e-9)
    assert rot.to_matrix(rotations) == pytest.approx(expected[..., :3, :3], abs=1e-9)
    local_r, local_t = clip.skeleton.local(positions, rotations)
    assert rot.angle(local_r, clip.rotations).max() < 1e-9
    assert local_t == pytest.approx(clip.translations, abs=1e-9)


def test_rest_pose_is_the_world_of_the_rest_locals():
    skeleton = Skeleton(
        ("a", "b", "c"), (-1, 0, 1), [[0, 1, 0], [1, 0, 0], [1, 0, 0]], [rot.about("z", np.pi / 2), *rot.identity(2)]
    )
    assert skeleton.rest_positions() == pytest.approx(np.array([[0, 1, 0], [0, 2, 0], [0, 3, 0]]))
    assert rot.angle(skeleton.rest_world(), rot.about("z", np.pi / 2)) == pytest.approx(0)


def test_tree_questions():
    s = Skeleton(("ik", "hips", "spine", "leg", "foot"), (-1, -1, 1, 1, 3), np.zeros((5, 3)))
    assert s.roots == (0, 1)
    assert s.main_root == 1
    assert s.children == ((), (2, 3), (), (4,), ())
    assert s.depths == (0, 0, 1, 1, 2)
    assert s.levels == ((0, 1), (2, 3), (4,))
    assert s.path(4) == (1, 3, 4)
    assert s.index("leg") == 3
    assert np.array_equal(s.rest, rot.identity(5))


@pytest.mark.parametrize(
    ("names", "parents", "offsets", "rest", "words"),
    [
        ((), (), np.zeros((0, 3)), rot.IDENTITY, "at least one"),
        (("a", "b"), (-1,), np.zeros((2, 3)), rot.IDENTITY, "1 parents"),
        (("a", "b"), (1, -1), np.zeros((2, 3)), rot.IDENTITY, "'a'"),
        (("a", "b"), (-1, 1), np.zeros((2, 3)), rot.IDENTITY, "'b'"),
        (("a", "b"), (-1, -2), np.zeros((2, 3)), rot.IDENTITY, "'b'"),
        (("a", "b"), (-1, 0), np.zeros((3, 3)), rot.IDENTITY, "offsets"),
        (("a", "b"), (-1, 0), [[0, 0, 0], [0, np.nan, 0]], rot.IDENTITY, "'b'"),
        (("a",), (-1,), np.zeros((1, 3)), np.ones((2, 4)), "rest"),
        (("a",), (-1,), np.zeros((1, 3)), [[np.inf, 0, 0, 0]], "'a'"),
    ],
)
def test_what_makes_no_skeleton_is_refused_by_name(names, parents, offsets, rest, words):
    with pytest.raises(SkeletonError, match=words):
        Skeleton(names, parents, offsets, rest)


@pytest.mark.parametrize("name", ["nobody", "twice"])
def test_index_wants_exactly_one(name):
    with pytest.raises(SkeletonError, match=name):
        Skeleton(("a", "twice", "twice"), (-1, 0, 0), np.zeros((3, 3))).index(name)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rotations": np.zeros((4, 3, 4))}, "rotations"),
        ({"rotations": np.zeros((0, 2, 4))}, "rotations"),
        ({"translations": np.zeros((3, 2, 3))}, "translations"),
        ({"translations": np.full((4, 2, 3), np.nan)}, "frame 0"),
        ({"fps": 0}, "frame rate"),
        ({"fps": float("nan")}, "frame rate"),
    ],
)
def test_what_makes_no_clip_is_refused(change, words):
    skeleton = Skeleton(("a", "b"), (-1, 0), np.ones((2, 3)))
    fields = {"skeleton": skeleton, "rotations": rot.identity(4, 2), "translations": skeleton.offsets, "fps": 24}
    Clip(**fields)
    with pytest.raises(ClipError, match=words):
        Clip(**(fields | change))


def test_values_cannot_be_changed_in_place():
    clip = random_clip(np.random.default_rng(0))
    for array in (clip.rotations, clip.translations, clip.skeleton.offsets, clip.skeleton.rest):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@given(seed=seeds)
def test_unit_rotations_are_kept_bit_for_bit(seed):
    clip = random_clip(np.random.default_rng(seed))
    again = replace(clip, name="again")
    assert np.array_equal(again.rotations, clip.rotations)
    scaled = replace(clip, rotations=clip.rotations * 3.0)
    assert np.linalg.norm(scaled.rotations, axis=-1) == pytest.approx(1)


@given(seed=seeds, factor=st.integers(1, 6))
def test_resampling_to_a_multiple_keeps_every_frame(seed, factor):
    clip = random_clip(np.random.default_rng(seed))
    fine = clip.resampled(clip.fps * factor)
    assert fine.n_frames == (clip.n_frames - 1) * factor + 1
    assert fine.seconds == pytest.approx(clip.seconds)
    assert np.array_equal(fine.rotations[::factor], clip.rotations)
    assert np.array_equal(fine.translations[::factor], clip.translations)
    back = fine.resampled(clip.fps)
    assert np.array_equal(back.rotations, clip.rotations)


def test_resampling_follows_the_motion_in_between():
    skeleton = Skeleton(("a",), (-1,), np.zeros((1, 3)))
    seconds = np.arange(25) / 24
    clip = Clip(skeleton, rot.about("y", seconds)[:, None], seconds[:, None, None] * [1, 0, 0], 24)
    other = clip.resampled(17)
    at = np.arange(18) / 17
    assert other.n_frames == 18
    assert other.translations[:, 0, 0] == pytest.approx(at)
    assert rot.angle(other.rotations[:, 0], rot.about("y", at)).max() < 1e-9


def test_in_place_takes_the_travel_from_every_root():
    rng = np.random.default_rng(1)
    skeleton = Skeleton(("ik", "hips", "leg"), (-1, -1, 1), rng.normal(size=(3, 3)))
    move = np.cumsum(rng.normal(size=(30, 1, 3)), axis=0)
    translations = skeleton.offsets + np.concatenate([move, move, 0 * move], axis=1)
    clip = Clip(skeleton, rot.random(rng, 30, 3), translations, 24)
    still = clip.in_place()
    assert np.ptp(still.translations[:, 1, [0, 2]], axis=0) == pytest.approx(0)
    assert np.array_equal(still.translations[..., 1], clip.translations[..., 1]), "height stays"
    moved, kept = clip.world()[0], still.world()[0]
    assert moved - kept == pytest.approx(np.broadcast_to(clip.travel()[:, None], moved.shape), abs=1e-12)


def test_cut_takes_frames():
    clip = random_clip(np.random.default_rng(2))
    part = clip.cut(2, 5)
    assert np.array_equal(part.rotations, clip.rotations[2:5])
    assert part.fps == clip.fps
    for start, stop in ((3, 3), (-1, 2), (0, 10)):
        with pytest.raises(ClipError, match="are outside"):
            clip.cut(start, stop)


def test_a_rest_pose_is_found_once_and_changed_by_nobody():
    skeleton = Skeleton(("a", "b"), (-1, 0), np.ones((2, 3)))
    positions, turns = skeleton.rest_positions(), skeleton.rest_world()
    positions += 1.0
    turns[:] = 0.0
    assert skeleton.rest_positions()[1] == pytest.approx([2, 2, 2])
    assert skeleton.rest_world() == pytest.approx(rot.identity(2))
    moved = replace(skeleton, offsets=2 * skeleton.offsets)
    assert moved.rest_positions()[1] == pytest.approx([4, 4, 4])
