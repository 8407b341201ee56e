"""Features: they give the clip back, and mean the same for every rig."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anyrig import creatures
from anyrig import rotations as rot
from anyrig.augmentation import augment, remove_joint, split_joint
from anyrig.conform import reframed, scaled, turned
from anyrig.errors import ClipError
from anyrig.features import (
    CONTACT,
    HEIGHT,
    MAX_DEPTH,
    MAX_DISTANCE,
    POSITION,
    ROTATION,
    TURNING,
    decode,
    encode,
    rig_code,
    size_of,
    text_ids,
    words,
)
from anyrig.skeleton import Clip, Skeleton


def a_clip(seed, n_joints=7, n_frames=6, n_roots=1, fps=15.0):
    """Any motion at all: every joint turns and moves."""
    rng = np.random.default_rng(seed)
    parents = [-1] * n_roots + [int(rng.integers(0, j)) for j in range(n_roots, n_joints)]
    skeleton = Skeleton(
        tuple(f"j{j}" for j in range(n_joints)), tuple(parents), rng.normal(size=(n_joints, 3)),
        rot.random(rng, n_joints),
    )  # fmt: skip
    return Clip(skeleton, rot.random(rng, n_frames, n_joints), rng.normal(size=(n_frames, n_joints, 3)), fps)


def a_walk(kind="quadruped", action="walk", seed=0):
    rng = random.Random(seed)
    return creatures.clip(creatures.plan(kind, rng), action, rng)


@given(st.integers(0, 10_000), st.integers(1, 9), st.integers(1, 7), st.integers(1, 3))
@settings(max_examples=40)
def test_any_clip_comes_back(seed, n_joints, n_frames, n_roots):
    clip = a_clip(seed, max(n_joints, n_roots), n_frames, n_roots)
    back = decode(encode(clip), clip.skeleton)
    np.testing.assert_allclose(back.world()[0], clip.world()[0], atol=1e-9)
    assert rot.angle(back.rotations, clip.rotations).max() < 1e-7
    assert back.fps == clip.fps


@pytest.mark.parametrize("kind", creatures.kinds())
def test_creatures_come_back_from_rotations_and_path_alone(kind):
    for action in ("death", "turn_left", "idle"):
        clip = a_walk(kind, action)
        features = encode(clip)
        assert np.abs(features.stretch).max() < 1e-9  # what a model need not learn
        np.testing.assert_allclose(decode(features, clip.skeleton).world()[0], clip.world()[0], atol=1e-9)


def test_size_axes_and_facing_do_not_matter():
    clip = a_walk()
    features = encode(clip)
    rng = np.random.default_rng(0)
    for other in (
        scaled(clip, 3.7),
        reframed(clip, rot.random(rng, clip.skeleton.n_joints)),
    ):
        seen = encode(other)
        np.testing.assert_allclose(seen.joints[..., ROTATION], features.joints[..., ROTATION], atol=1e-9)
        np.testing.assert_allclose(seen.joints[..., POSITION], features.joints[..., POSITION], atol=1e-9)
        np.testing.assert_allclose(seen.path, features.path, atol=1e-9)
        np.testing.assert_allclose(rig_code(other.skeleton).rest, rig_code(clip.skeleton).rest, atol=1e-9)


def test_where_and_which_way_a_clip_starts_is_in_its_origin_only():
    clip = a_walk()
    moved = Clip(clip.skeleton, clip.rotations, clip.translations, clip.fps)
    spun = turned(moved, rot.about("y", 0.8))
    spun = Clip(clip.skeleton, spun.rotations, spun.translations, clip.fps)  # the rest pose stays
    np.testing.assert_allclose(encode(spun).joints, encode(clip).joints, atol=1e-9)
    np.testing.assert_allclose(encode(spun).path, encode(clip).path, atol=1e-9)
    assert encode(spun).origin[2] - encode(clip).origin[2] == pytest.approx(0.8)


def test_joints_in_between_do_not_change_the_others():
    clip = a_walk()
    joint = next(j for j, p in enumerate(clip.skeleton.parents) if p > 0)
    split = encode(split_joint(clip, joint)).joints
    np.testing.assert_allclose(np.delete(split, joint, axis=1), encode(clip).joints, atol=1e-9)
    back = remove_joint(split_joint(clip, joint), joint)
    assert size_of(back.skeleton) == pytest.approx(size_of(clip.skeleton))


def test_positions_are_what_rotations_make_of_the_bones():
    clip = augment(a_walk(), np.random.default_rng(1))
    features, code = encode(clip), rig_code(clip.skeleton)
    turns = rot.from_6d(features.joints[..., ROTATION] + [1, 0, 0, 0, 1, 0])
    above = turns[:, np.maximum(code.parents, 0)]
    bones = np.where(code.parents[:, None] >= 0, rot.rotate(above, code.bones), code.bones)
    np.testing.assert_allclose(code.ancestors() @ bones, features.joints[..., POSITION] + code.rest, atol=0.03)


def test_contacts_are_the_standing_feet():
    rng = random.Random(3)
    done = creatures.perform(creatures.plan("quadruped", rng), "walk", rng)
    seen = encode(done.clip).joints[:, list(done.feet), CONTACT].astype(bool)
    inner = slice(2, -2)
    agree = (seen == done.contacts)[inner].mean()
    assert agree > 0.8
    assert 0.3 < seen.mean() < 0.95
    trunk = encode(done.clip).joints[:, done.rig.chest, CONTACT]
    assert trunk.max() == 0


def test_a_fish_touches_no_ground():
    assert encode(a_walk("fish", "idle")).joints[..., CONTACT].mean() < 0.2


def test_a_left_turn_turns_left():
    path = encode(a_walk(action="turn_left")).path
    assert path[:, TURNING].mean() > 0.05
    assert (path[:, HEIGHT] > 0).all()


def test_cut_features_are_those_of_the_cut_clip():
    clip = a_walk(action="run")
    whole, part = encode(clip).cut(5, 20), encode(clip.cut(5, 20))
    np.testing.assert_allclose(whole.joints[1:-1], part.joints[1:-1], atol=1e-9)
    np.testing.assert_allclose(whole.path[1:], part.path[1:], atol=1e-9)


def test_features_of_another_rig_are_refused():
    with pytest.raises(ClipError, match="joints"):
        decode(encode(a_clip(0, 5)), a_clip(0, 6).skeleton)


def test_hundreds_of_joints_and_long_chains():
    n = 400
    chain = Skeleton(tuple("b" for _ in range(n)), tuple(range(-1, n - 1)), np.tile([0.0, 0.0, 0.1], (n, 1)))
    code = rig_code(chain)
    assert code.paths.shape == (n, MAX_DEPTH)
    assert code.distances.max() == MAX_DISTANCE
    clip = Clip(chain, rot.random(np.random.default_rng(0), 3, n), chain.offsets, 10)
    np.testing.assert_allclose(decode(encode(clip), chain).world()[0], clip.world()[0], atol=1e-7)


def test_the_tree_code_tells_joints_apart_and_ignores_their_order():
    clip = a_walk()
    code = rig_code(clip.skeleton)
    assert len({tuple(p) for p in code.paths}) == clip.skeleton.n_joints
    # Renumbered depth first from the other side, every joint keeps its path.
    s = clip.skeleton
    order = []
    stack = list(s.roots)
    while stack:
        order.append(stack.pop())
        stack.extend(s.children[order[-1]])
    new = {j: k for k, j in enumerate(order)}
    other = Skeleton(
        tuple(s.names[j] for j in order),
        tuple(new[s.parents[j]] if s.parents[j] >= 0 else -1 for j in order),
        s.offsets[order],
        s.rest[order],
    )
    np.testing.assert_array_equal(rig_code(other).paths, code.paths[order])
    np.testing.assert_array_equal(rig_code(other).distances, code.distances[order][:, order])


def test_words_of_names_and_texts():
    assert words("LeftUpLeg.001") == ["left", "up", "leg", "1"]
    assert words("Bip01 L Thigh") == ["bip", "1", "left", "thigh"]
    assert words("It walks, slowly!") == ["it", "walks", "slowly"]
    assert words("front_leg_r") == ["front", "leg", "right"]
    a, b, c = (set(text_ids(t)[0].tolist()) - {0} for t in ("prowling", "prowls", "sleeps"))
    assert len(a & b) > len(a & c)
    assert text_ids("").shape[0] == 0
