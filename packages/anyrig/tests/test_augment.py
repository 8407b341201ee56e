from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anyrig import rotations as rot
from anyrig.augmentation import (
    Augmentation,
    augment,
    change_rest,
    remove_joint,
    scale_bones,
    sideless,
    split_joint,
    stretch,
)
from anyrig.conform import reframed
from anyrig.errors import SettingsError, SkeletonError
from anyrig.skeleton import Clip, Skeleton

seeds = st.integers(0, 2**32 - 1)


def random_clip(seed, n=9, n_frames=5, moving=0.3, roots=True):
    rng = np.random.default_rng(seed)
    parents = (-1, *(int(rng.integers(-1 if roots else 0, j)) for j in range(1, n)))
    skeleton = Skeleton(tuple(f"j{j}" for j in range(n)), parents, rng.normal(size=(n, 3)), rot.random(rng, n))
    moves = np.where(rng.random((n, 1)) < moving, rng.normal(size=(n_frames, n, 3)), skeleton.offsets)
    return Clip(skeleton, rot.random(rng, n_frames, n), moves, 24, name="c", captions=("a",), action="walk")


def bones(clip):
    """World vectors from parent to joint (T, B, 3), and the joints that they lead to."""
    positions = clip.world()[0]
    below = [j for j, p in enumerate(clip.skeleton.parents) if p >= 0]
    return positions[:, below] - positions[:, [clip.skeleton.parents[j] for j in below]], below


@given(seed=seeds)
def test_other_lengths_leave_every_direction_and_turn(seed):
    clip = random_clip(seed)
    factors = np.random.default_rng(seed).uniform(0.5, 2, clip.skeleton.n_joints)
    other = scale_bones(clip, factors)
    (before, below), (after, _) = bones(clip), bones(other)
    assert after == pytest.approx(before * factors[below][:, None], abs=1e-9)
    assert np.array_equal(other.rotations, clip.rotations)
    assert (other.name, other.captions, other.action, other.fps) == (clip.name, clip.captions, clip.action, clip.fps)


@given(seed=seeds, factor=st.floats(0.1, 10))
def test_one_factor_for_all_is_another_size(seed, factor):
    clip = random_clip(seed, roots=False)
    assert scale_bones(clip, factor).world()[0] == pytest.approx(factor * clip.world()[0], rel=1e-6, abs=1e-6)


def walker():
    names = ("hips", "spine", "Leg.L", "Foot.L", "Leg.R", "Foot.R")
    offsets = [[0, 1.0, 0], [0, 0.4, 0], [0.1, -0.5, 0], [0, -0.5, 0], [-0.1, -0.5, 0], [0, -0.5, 0]]
    skeleton = Skeleton(names, (-1, 0, 0, 2, 0, 4), offsets)
    moves = np.tile(skeleton.offsets, (9, 1, 1))
    moves[:, 0, 2] = np.arange(9)
    return Clip(skeleton, rot.identity(9, 6), moves, 24)


def test_longer_legs_raise_the_root_and_lengthen_its_stride():
    other = scale_bones(walker(), [1, 1, 1.5, 1.5, 1.5, 1.5])
    positions = other.world()[0]
    assert positions[:, [3, 5], 1] == pytest.approx(0, abs=1e-12), "feet stay on the ground"
    assert positions[:, 0, 1] == pytest.approx(1.5)
    assert np.diff(positions[:, 0, 2]) == pytest.approx(1.5)
    longer_back = scale_bones(walker(), [1, 2, 1, 1, 1, 1])
    assert np.diff(longer_back.world()[0][:, 0, 2]) == pytest.approx(1.0), "the back takes no steps"


@pytest.mark.parametrize("factors", [0, -1, float("nan"), [1, 1, 1, 1, 1, 0]])
def test_lengths_are_above_zero(factors):
    with pytest.raises(SettingsError, match="above zero"):
        scale_bones(walker(), factors)


def others(clip, joint):
    return [j for j in range(clip.skeleton.n_joints) if j != joint]


@given(seed=seeds, at=st.floats(0.01, 0.99), data=st.data())
def test_a_joint_more_changes_no_other_joints_motion(seed, at, data):
    clip = random_clip(seed)
    with_bones = [j for j, p in enumerate(clip.skeleton.parents) if p >= 0]
    if not with_bones:
        return
    joint = data.draw(st.sampled_from(with_bones))
    other = split_joint(clip, joint, at, name="new")
    kept = others(other, joint)
    assert tuple(other.skeleton.names[j] for j in kept) == clip.skeleton.names
    for a, b in zip(other.world(), clip.world(), strict=True):
        assert a[:, kept] == pytest.approx(b, abs=1e-9)
    assert other.skeleton.rest_positions()[kept] == pytest.approx(clip.skeleton.rest_positions(), abs=1e-9)
    start, end = clip.world()[0][:, [clip.skeleton.parents[joint], joint]].transpose(1, 0, 2)
    assert other.world()[0][:, joint] == pytest.approx(start + at * (end - start), abs=1e-9)
    back = remove_joint(other, joint)
    assert back.skeleton.parents == clip.skeleton.parents
    assert back.translations == pytest.approx(clip.translations, abs=1e-9)
    assert back.rotations == pytest.approx(clip.rotations, abs=1e-9)


@given(seed=seeds, data=st.data())
def test_a_joint_less_changes_no_other_joints_motion(seed, data):
    clip = random_clip(seed)
    joint = data.draw(st.integers(0, clip.skeleton.n_joints - 1))
    if clip.skeleton.parents[joint] < 0:
        with pytest.raises(SkeletonError, match="root"):
            remove_joint(clip, joint)
        return
    other, kept = remove_joint(clip, joint), others(clip, joint)
    assert other.skeleton.names == tuple(clip.skeleton.names[j] for j in kept)
    positions, rotations = clip.world()
    assert other.world()[0] == pytest.approx(positions[:, kept], abs=1e-9)
    assert rot.angle(other.world()[1], rotations[:, kept]).max() < 1e-9
    assert other.skeleton.rest_positions() == pytest.approx(clip.skeleton.rest_positions()[kept], abs=1e-9)


def test_stretch_tells_which_removals_are_felt():
    clip = walker()
    assert stretch(clip) == pytest.approx(0)
    assert stretch(remove_joint(clip, 2)) == pytest.approx(0), "a knee that never bends is not missed"
    bent = clip.rotations.copy()
    bent[4, 2] = rot.about("x", np.pi / 2)
    moved = Clip(clip.skeleton, bent, clip.translations, 24)
    left = remove_joint(moved, 2)
    assert stretch(left)[left.skeleton.index("Foot.L")] == pytest.approx(np.sqrt(0.5) / np.hypot(0.1, 1.0))


@given(seed=seeds)
def test_another_rest_pose_changes_no_motion(seed):
    clip = random_clip(seed)
    rest = rot.random(np.random.default_rng(seed + 1), clip.skeleton.n_joints)
    other = change_rest(clip, rest)
    for a, b in zip(other.world(), clip.world(), strict=True):
        assert np.array_equal(a, b)
    expected, _ = clip.skeleton.world(rest, clip.skeleton.offsets)
    assert other.skeleton.rest_positions() == pytest.approx(expected, abs=1e-9)
    plain = reframed(other, rot.IDENTITY)
    assert plain.world()[0] == pytest.approx(clip.world()[0], abs=1e-9)
    assert plain.skeleton.rest_positions() == pytest.approx(expected, abs=1e-9)
    turns = [rot.multiply(c.world()[1], rot.inverse(c.skeleton.rest_world())) for c in (other, plain)]
    assert rot.angle(*turns).max() < 1e-9


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda c: split_joint(c, 0), SkeletonError, "'hips' is a root"),
        (lambda c: split_joint(c, 1, 1.0), SettingsError, "between 0 and 1"),
        (lambda c: split_joint(c, 6), SkeletonError, "no joint 6"),
        (lambda c: remove_joint(c, -1), SkeletonError, "no joint -1"),
    ],
)
def test_what_cannot_be_done_says_so(call, error, words):
    with pytest.raises(error, match=words):
        call(walker())


@settings(max_examples=60)
@given(seed=seeds, axes=st.booleans())
def test_augmented_clips_are_reproducible_and_their_bones_rigid(seed, axes):
    clip = random_clip(seed, moving=0.0, roots=False)
    chosen = Augmentation(axes=axes)
    one, two = (augment(clip, np.random.default_rng(seed), chosen) for _ in range(2))
    assert one.skeleton.names == two.skeleton.names
    assert np.array_equal(one.rotations, two.rotations)
    lengths = np.linalg.norm(bones(one)[0], axis=-1)
    assert np.ptp(lengths, axis=0) == pytest.approx(0, abs=1e-9)
    n = clip.skeleton.n_joints
    assert n - chosen.n_removals <= one.skeleton.n_joints <= n + chosen.n_splits


def test_augmented_rigs_differ_within_bounds():
    clip = walker()
    rigs = [augment(clip, np.random.default_rng(n)) for n in range(30)]
    assert len({r.skeleton.n_joints for r in rigs}) > 3
    for n in range(30):
        other = augment(clip, np.random.default_rng(n), Augmentation(n_splits=0, n_removals=0, rest_rad=0))
        ratio = np.linalg.norm(other.skeleton.offsets[1:], axis=-1) / np.linalg.norm(clip.skeleton.offsets[1:], axis=-1)
        assert (ratio >= 0.8).all()
        assert (ratio <= 1.2).all()
        assert ratio[1:3] == pytest.approx(ratio[3:5]), "left as right"
        assert np.array_equal(other.skeleton.rest, clip.skeleton.rest)
    nothing = Augmentation((1, 1), (1, 1), 0, 0, rest_rad=0)
    same = augment(clip, np.random.default_rng(0), nothing)
    assert np.array_equal(same.translations, clip.translations)
    assert np.array_equal(same.skeleton.offsets, clip.skeleton.offsets)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Leg.L", "Leg.R"),
        ("l_thigh", "r_thigh"),
        ("LeftArm", "RightArm"),
        ("mixamorig:LeftUpLeg", "mixamorig:RightUpLeg"),
        ("Bip01 L Thigh", "Bip01 R Thigh"),
        ("upperArm_left", "upperArm_right"),
        ("armLeft", "armRight"),
        ("IKBackLeg.L", "IKBackLeg.R"),
    ],
)
def test_sides_are_told_by_name(left, right):
    assert sideless(left) == sideless(right) != left


@pytest.mark.parametrize("name", ["Tail", "Rib", "Larynx", "Bright", "Cleft", "Root", "LowerJaw", "Ear1"])
def test_names_without_a_side_stay(name):
    assert sideless(name) == name
