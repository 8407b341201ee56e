from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anyrig import rotations as rot
from anyrig.augmentation import stretch
from anyrig.conform import find, parents_first, rehung, settled, tree
from anyrig.datasets.repair import ground_velocity, rigid, with_travel
from anyrig.skeleton import Clip, Skeleton

seeds = st.integers(0, 2**32 - 1)


@given(seed=seeds, data=st.data())
def test_joints_hung_elsewhere_stay_where_they_were(seed, data):
    rng = np.random.default_rng(seed)
    n = 9
    parents = (-1, *(int(rng.integers(-1, j)) for j in range(1, n)))
    skeleton = Skeleton(tuple(f"j{j}" for j in range(n)), parents, rng.normal(size=(n, 3)), rot.random(rng, n))
    clip = Clip(skeleton, rot.random(rng, 4, n), rng.normal(size=(4, n, 3)), 24)
    kept = data.draw(st.permutations(range(n)))[: data.draw(st.integers(1, n))]
    new_parents = [-1 if not k else int(rng.choice([-1, *kept[:k]])) for k in range(len(kept))]
    other = rehung(clip, kept, new_parents)
    order = parents_first(kept, new_parents)
    for a, b in zip(other.world(), clip.world(), strict=True):
        assert np.abs(a) == pytest.approx(np.abs(b[:, order]), abs=1e-9)
    assert other.world()[0] == pytest.approx(clip.world()[0][:, order], abs=1e-9)
    assert other.skeleton.rest_positions() == pytest.approx(skeleton.rest_positions()[order], abs=1e-9)
    hung = {skeleton.names[k]: -1 if p < 0 else skeleton.names[p] for k, p in zip(kept, new_parents, strict=True)}
    for name, parent in zip(other.skeleton.names, other.skeleton.parents, strict=True):
        assert hung[name] == (-1 if parent < 0 else other.skeleton.names[parent])


def game_rig(n=40, speed=1.5):
    """A body whose feet hang on an empty hub and tread a moving ground, with legs that follow by inverse kinematics.

    Each leg's thigh and shin are 0.6 long, hip 1 high. A foot stands for half the cycle and goes back at ``speed``.
    """
    names = ("hub", "Body", "thigh.L", "shin.L", "thigh.R", "shin.R", "foot.L", "toe.L", "foot.R", "pole.L")
    parents = (-1, 0, 1, 2, 1, 4, 0, 6, 0, 0)
    offsets = np.zeros((10, 3))
    offsets[[1, 2, 4, 3, 5]] = [[0, 1, 0], [0.1, 0, 0], [-0.1, 0, 0], [0, -0.6, 0], [0, -0.6, 0]]
    offsets[[6, 8, 7, 9]] = [[0.1, 0, 0], [-0.1, 0, 0], [0, 0, 0.1], [0.1, 0.5, 2]]
    skeleton = Skeleton(names, parents, offsets)
    t = np.linspace(0, 1, n)
    rotations, translations = rot.identity(n, 10), np.tile(offsets, (n, 1, 1))
    for side, x, phase in ((0, 0.1, 0.0), (1, -0.1, 0.5)):
        u = (t + phase) % 1.0
        stride = speed * 0.5
        z = np.where(u < 0.5, stride / 2 - stride * u / 0.5, -stride / 2 + stride * (u - 0.5) / 0.5)
        y = np.where(u < 0.5, 0.0, 0.2 * np.sin(np.pi * (u - 0.5) / 0.5))
        foot = np.stack([np.full(n, x), y, z], axis=-1)
        thigh, shin = leg(np.array([x, 1.0, 0.0]), foot, 0.6)
        rotations[:, 2 + 2 * side] = thigh
        rotations[:, 3 + 2 * side] = rot.multiply(rot.inverse(thigh), shin)
        translations[:, 6 + 2 * side] = foot
    return Clip(skeleton, rotations, translations, (n - 1) / 1.0)


def leg(hip, foot, length):
    """World rotations of two bones of one length that rest straight down, knee forward."""
    away = foot - hip
    reach = np.linalg.norm(away, axis=-1)
    bend = np.arccos(np.clip(reach / (2 * length), -1, 1))
    swing = rot.between([0, -1, 0], away)
    return rot.multiply(swing, rot.about("x", -bend)), rot.multiply(swing, rot.about("x", bend))


WEIGHTS = np.array([0, 50, 20, 20, 20, 20, 10, 5, 15, 0.0])
APART = np.zeros((10, 10))


def carried(clip, weights=WEIGHTS, between=APART):
    found = find(clip.skeleton, [(clip.rotations, clip.translations)], weights, between)
    return replace(clip, skeleton=replace(clip.skeleton, carriers=found))


def repaired():
    clip = carried(game_rig())
    kept, parents = tree(clip.skeleton)
    (whole,) = settled([rehung(clip, kept, parents)])
    order = parents_first(kept, parents)
    return (
        clip,
        whole,
        [order.index(j) for j, k in zip(kept, parents, strict=True) if k not in (-1, clip.skeleton.parents[j])],
    )


def test_rigid_bones_bend_so_that_feet_stay():
    _, whole, feet = repaired()
    moved = whole.translations.copy()
    moved[:, whole.skeleton.index("thigh.L"), 1] += 0.05 * np.sin(np.arange(whole.n_frames))  # a hip that slides
    whole = replace(whole, translations=moved)
    stiff, mended = rigid(whole), rigid(whole, feet)
    assert stretch(stiff).max() == stretch(mended).max() == 0
    feet_at = [c.world()[0][:, feet] for c in (whole, stiff, mended)]
    assert np.abs(feet_at[1] - feet_at[0]).max() > 0.02
    assert np.abs(feet_at[2] - feet_at[0]).max() < 1e-3
    assert rot.angle(mended.world()[1][:, feet], whole.world()[1][:, feet]).max() < 1e-6


@settings(max_examples=25)
@given(seed=seeds)
def test_reaching_never_breaks_a_bone_even_for_what_is_out_of_reach(seed):
    _, whole, feet = repaired()
    rng = np.random.default_rng(seed)
    moved = whole.translations.copy()
    moved[:, whole.skeleton.parents[feet[0]]] += rng.normal(scale=0.5, size=(whole.n_frames, 3))
    mended = rigid(replace(whole, translations=moved), feet)
    assert np.isfinite(mended.rotations).all()
    positions = mended.world()[0]
    for j, parent in enumerate(mended.skeleton.parents):
        if parent >= 0:
            lengths = np.linalg.norm(positions[:, j] - positions[:, parent], axis=-1)
            assert lengths == pytest.approx(np.linalg.norm(mended.skeleton.offsets[j]), abs=1e-9)


def test_settled_takes_what_all_clips_agree_on_for_rest():
    _, whole, _ = repaired()
    shifted = whole.translations.copy()
    shin = whole.skeleton.index("shin.L")
    shifted[:, shin] = [0, -0.7, 0]
    (clip,) = settled([replace(whole, translations=shifted)])
    assert clip.skeleton.offsets[shin] == pytest.approx([0, -0.7, 0])
    assert clip.translations == pytest.approx(shifted, abs=1e-9)
    root = whole.skeleton.main_root
    assert np.array_equal(clip.skeleton.offsets[root], whole.skeleton.offsets[root]), "a root travels"


@pytest.mark.parametrize("speed", [0.5, 1.2])
def test_a_treadmill_gives_its_speed_away(speed):
    clip = game_rig(speed=speed)
    feet = [6, 8]
    velocity = ground_velocity(clip, feet)
    assert np.nanmedian(velocity, axis=0) == pytest.approx([0, speed], abs=0.1 * speed)
    moved = with_travel(clip, feet, steady=True)
    assert moved.travel()[-1] == pytest.approx([0, 0, speed * clip.seconds], rel=0.05)
    assert np.array_equal(moved.rotations, clip.rotations)
    standing = clip.world()[0][:, 6, 1] < 1e-9
    stance = np.flatnonzero(standing & np.roll(standing, 1) & np.roll(standing, -1))
    slips = [np.abs(np.gradient(c.world()[0][:, 6, 2]))[stance].mean() for c in (clip, moved)]
    assert slips[1] < 0.2 * slips[0]


def test_an_uneven_pace_is_followed():
    clip = game_rig()
    standing = replace(clip, translations=np.repeat(clip.translations[:1], clip.n_frames, axis=0))
    both = replace(clip, translations=np.concatenate([clip.translations, standing.translations]),
                   rotations=np.concatenate([clip.rotations, clip.rotations]))  # fmt: skip
    path = with_travel(both, [6, 8], steady=False).travel()[:, 2]
    first, second = path[clip.n_frames] - path[0], path[-1] - path[clip.n_frames + 10]
    assert first == pytest.approx(1.5, rel=0.2)
    assert abs(second) < 0.05


def test_without_feet_or_frames_nothing_moves():
    clip = game_rig()
    assert with_travel(clip, [], steady=True) is clip
    one = clip.cut(0, 1)
    assert np.array_equal(with_travel(one, [6, 8], steady=True).translations, one.translations)
