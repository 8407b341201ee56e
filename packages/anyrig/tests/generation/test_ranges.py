"""Joints turn no further than the rig's own clips show, and motion within that stays as it is."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from anyrig import creatures
from anyrig import rotations as rot
from anyrig.diffusion import Sampling
from anyrig.errors import SettingsError
from anyrig.generation import Options, Pin, generate_clips, learn_limits, limit_joints
from anyrig.model import ModelConfig, MotionModel
from anyrig.skeleton import Clip, Skeleton

WING = Skeleton(
    names=("body", "head", "wing_1", "wing_2", "feather"),
    parents=(-1, 0, 0, 2, 3),
    offsets=np.array([[0, 1.0, 0], [0, 0, 0.3], [0.2, 0, 0], [0.3, 0, 0], [0.3, 0, 0]]),
)
BODY, HEAD, WING_1, WING_2, FEATHER = range(5)


def turning(degrees, *, axis="x", n=40, skeleton=WING):
    """A clip in which each joint of ``degrees`` swings from minus to plus so much."""
    turns = rot.identity(n, skeleton.n_joints)
    for joint, most in degrees.items():
        turns[:, joint] = rot.about(axis, np.radians(most) * np.sin(np.linspace(0, 2 * np.pi, n + 1)[:-1]))
    return Clip(skeleton, turns, skeleton.offsets, 30.0)


def away(clip, joint):
    """How far a joint is from rest, in degrees."""
    return np.degrees(rot.angle(clip.rotations[:, joint], clip.skeleton.rest[joint]))


FLAPS = [turning({WING_1: most}) for most in (80, 70, 60, 40)]


@pytest.mark.parametrize("kind", ["quadruped", "bird", "dragon", "hexapod"])
def test_what_the_clips_show_stays_as_it_is(kind):
    rng = random.Random(1)
    plan = creatures.plan(kind, rng)
    clips = [creatures.clip(plan, action, rng, seconds=1.0) for action in ("walk", "idle", "attack", "death")]
    ranges = learn_limits(clips)
    for clip in clips:
        np.testing.assert_allclose(limit_joints(clip, ranges).world()[0], clip.world()[0], atol=1e-9)


@pytest.mark.parametrize("joint", [HEAD, WING_2, FEATHER])
@pytest.mark.parametrize("degrees", [35, 90, 140, 179])
def test_a_joint_that_no_clip_moves_turns_by_30_degrees_at_most(joint, degrees):
    clip = limit_joints(turning({joint: degrees}), learn_limits(FLAPS))
    assert 20 < away(clip, joint).max() <= 30 + 1e-6


@pytest.mark.parametrize("degrees", [90, 120, 170])
def test_a_joint_that_moves_goes_little_further_than_it_did(degrees):
    clip = limit_joints(turning({WING_1: degrees}), learn_limits(FLAPS))
    assert 80 < away(clip, WING_1).max() <= 86 + 1e-6
    assert away(limit_joints(turning({WING_1: 75}), learn_limits(FLAPS)), WING_1).max() == pytest.approx(75, abs=1e-6)


def test_ranges_are_about_the_mean_not_about_rest():
    folded = Clip(WING, rot.multiply(rot.about("y", np.radians(120)), FLAPS[3].rotations), WING.offsets, 30.0)
    ranges = learn_limits([folded] * 4)
    assert np.degrees(ranges.shown[WING_1]) == pytest.approx(40, abs=1e-3)
    assert rot.angle(limit_joints(folded, ranges).rotations, folded.rotations).max() < 1e-9
    spread = away(limit_joints(turning({}), ranges), WING_1)
    assert spread == pytest.approx(120 - 46, abs=1.0)


@pytest.mark.parametrize(("n", "most"), [(1, 120), (2, 60), (3, 40), (4, 30), (20, 30)])
def test_the_fewer_the_clips_the_less_they_say(n, most):
    ranges = learn_limits([FLAPS[3]] * n)
    assert np.degrees(ranges.most[FEATHER]) == pytest.approx(most)


def test_poses_are_no_clips_and_without_any_there_are_no_ranges():
    pose = turning({}, n=10)
    assert learn_limits([]) is None
    assert learn_limits([pose, turning({WING_1: 90}).cut(10, 11)]) is None
    assert np.degrees(learn_limits([FLAPS[3], pose, pose, pose]).most[FEATHER]) == pytest.approx(120)


def test_what_hangs_on_a_joint_that_is_held_back_keeps_its_direction_in_the_world():
    wild = turning({WING_1: 150})
    wild = replace(wild, rotations=np.array(wild.rotations))
    turns = wild.rotations.copy()
    turns[:, WING_2] = rot.inverse(turns[:, WING_1])  # level, whatever the joint above does
    clip = limit_joints(replace(wild, rotations=turns), learn_limits([turning({WING_1: 40, WING_2: 90})] * 4))
    assert away(clip, WING_1).max() <= 46 + 1e-6
    assert np.degrees(rot.angle(clip.world()[1][:, WING_2], rot.IDENTITY)).max() < 1e-3


def test_a_joint_that_goes_round_and_round_does_not_jump():
    n = 360
    turns = rot.identity(n, WING.n_joints)
    turns[:, FEATHER] = rot.about("z", np.radians(np.arange(n)))
    clip = limit_joints(Clip(WING, turns, WING.offsets, 30.0), learn_limits(FLAPS))
    steps = np.degrees(rot.angle(clip.rotations[1:, FEATHER], clip.rotations[:-1, FEATHER]))
    assert steps.max() < 1.2
    assert away(clip, FEATHER).max() <= 30 + 1e-6


def test_the_whole_body_turns_as_it_likes():
    hips = Skeleton(("root", "hips", "left", "right", "foot"), (-1, 0, 1, 1, 2), np.ones((5, 3)))
    ranges = learn_limits([turning({2: 20}, skeleton=hips)] * 5)
    clip = limit_joints(turning({0: 90, 1: 170, 2: 90}, skeleton=hips), ranges)
    assert away(clip, 0).max() == pytest.approx(90, abs=0.5)
    assert away(clip, 1).max() == pytest.approx(170, abs=0.5)
    assert away(clip, 2).max() <= 30 + 1e-6


def test_a_chain_without_limbs_is_limited_below_its_root():
    snake = Skeleton(tuple("abcdefgh"), tuple(range(-1, 7)), np.ones((8, 3)))
    clip = limit_joints(
        turning(dict.fromkeys(range(8), 100), skeleton=snake), learn_limits([turning({3: 10}, skeleton=snake)] * 4)
    )
    assert away(clip, 0).max() > 99
    assert max(away(clip, j).max() for j in range(1, 8)) <= 30 + 1e-6


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    made = MotionModel(ModelConfig(width=16, layers=1, heads=2, max_frames=16, text_width=8, text_layers=1))
    with torch.no_grad():
        for name, p in made.named_parameters():
            if "modulate" in name or "_out" in name:
                p.normal_(std=0.3)
    return made.eval()


PROMPTS = [("it flies", 0.8)]
QUICK = Options(sampling=Sampling(steps=2), fps=15.0, lock=False)


def test_made_motion_keeps_to_the_rigs_clips_unless_told_otherwise(model):
    (free,) = generate_clips(model, WING, PROMPTS, QUICK)
    (held,) = generate_clips(model, WING, PROMPTS, QUICK, authored=FLAPS)
    (told,) = generate_clips(model, WING, PROMPTS, replace(QUICK, limit=False), authored=FLAPS)
    assert away(free, FEATHER).max() > 40
    assert away(held, FEATHER).max() <= 30 + 1e-6
    assert away(held, WING_1).max() <= 86 + 1e-6
    assert np.array_equal(told.rotations, free.rotations)
    np.testing.assert_allclose(held.world()[0][:, BODY], free.world()[0][:, BODY], atol=1e-9)


def test_pinned_frames_stay_though_no_clip_of_the_rig_goes_as_far(model):
    pose = turning({FEATHER: 110, WING_2: 70}, n=40)
    pin = Pin(replace(pose, fps=15.0), 0.0, 0.4)
    (clip,) = generate_clips(model, WING, PROMPTS, QUICK, [pin], authored=FLAPS)
    assert away(pose, FEATHER)[:7].max() > 80
    np.testing.assert_allclose(away(clip, FEATHER)[:7], away(pose, FEATHER)[:7], atol=1e-4)


def test_clips_of_another_skeleton_are_refused(model):
    with pytest.raises(SettingsError, match="own skeleton"):
        generate_clips(
            model, WING, PROMPTS, QUICK, authored=[turning({}, skeleton=replace(WING, names=tuple("abcde")))]
        )
