"""Generation with a small untaught model: shapes, seeds, pins, rigs that face elsewhere, frame rates."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from anyrig import creatures, generation
from anyrig import rotations as rot
from anyrig.diffusion import Sampling
from anyrig.errors import FileError, SettingsError
from anyrig.facing import faced, facing_of
from anyrig.generation import Options, Pin, default_weights, generate_clips, upsampled
from anyrig.model import ModelConfig, MotionModel
from anyrig.skeleton import Skeleton

QUICK = Options(sampling=Sampling(steps=2), fps=15.0)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    made = MotionModel(ModelConfig(width=16, layers=1, heads=2, max_frames=16, text_width=8, text_layers=1))
    with torch.no_grad():
        for name, p in made.named_parameters():
            if "modulate" in name or "_out" in name:
                p.normal_(std=0.1)
    return made.eval()


@pytest.fixture(scope="module")
def idle():
    rng = random.Random(2)
    return creatures.clip(creatures.plan("quadruped", rng), "idle", rng, seconds=2.0)


def test_a_clip_of_the_rig_and_of_the_time_asked_for(model, idle):
    for fps in (15.0, 24.0, 30.0):
        (clip,) = generate_clips(model, idle.skeleton, [("it walks", 1.0)], replace(QUICK, fps=fps))
        assert clip.skeleton is idle.skeleton
        assert clip.fps == fps
        assert clip.seconds == pytest.approx(1.0)
        children = [j for j, p in enumerate(clip.skeleton.parents) if p >= 0]
        moved = np.abs(clip.translations - clip.skeleton.offsets)[:, children]
        assert moved.max() < 1e-12  # bones keep their lengths


def test_the_same_seed_gives_the_same_motion_and_more_samples_begin_alike(model, idle):
    one = generate_clips(model, idle.skeleton, [("it walks", 0.8)], QUICK)
    three = generate_clips(model, idle.skeleton, [("it walks", 0.8)], replace(QUICK, n_samples=3))
    np.testing.assert_allclose(one[0].rotations, three[0].rotations, atol=1e-4)
    assert np.abs(three[1].rotations - three[0].rotations).max() > 1e-3
    other = generate_clips(model, idle.skeleton, [("it walks", 0.8)], replace(QUICK, seed=1))
    assert np.abs(other[0].rotations - one[0].rotations).max() > 1e-3


def test_several_prompts_and_long_motion(model, idle):
    (clip,) = generate_clips(model, idle.skeleton, [("it walks", 1.5), ("it attacks", 2.0)], QUICK)
    assert clip.seconds == pytest.approx(3.5, abs=0.07)
    assert clip.name == "it walks, then it attacks"


def test_pinned_frames_are_kept_and_the_others_are_not(model, idle):
    pins = [Pin(idle, 0.0, 0.2), Pin(idle, 1.2, 1.2)]
    options = replace(QUICK, lock=False, ground=False)
    (clip,) = generate_clips(model, idle.skeleton, [("it walks", 1.4)], options, pins)
    for t in (0, 1, 2, 3, 18):
        assert rot.angle(clip.rotations[t, 1:], idle.rotations[t, 1:]).max() < 1e-5
        main = clip.skeleton.main_root
        np.testing.assert_allclose(clip.translations[t, main, 1], idle.translations[t, main, 1], atol=1e-6)
    assert rot.angle(clip.rotations[10], idle.rotations[10]).max() > 0.01


def test_steps_are_told_as_they_are_done(model, idle):
    done = []
    generate_clips(model, idle.skeleton, [("it walks", 0.8)], QUICK, progress=done.append)
    assert done == [1, 2]


def test_a_foot_beside_the_leg_goes_along_with_it(model, idle):
    s = idle.skeleton
    foot = next(j for j in range(s.n_joints) if not s.children[j] and s.depths[j] > 2)
    above, hung = s.parents[foot], list(s.parents)
    hung[foot] = s.main_root
    forest = Skeleton(s.names, tuple(hung), np.zeros((s.n_joints, 3)))
    rest, offsets = forest.local(s.rest_positions(), s.rest_world())
    carriers = list(hung)
    carriers[foot] = above
    rig = Skeleton(s.names, tuple(hung), offsets, rest, tuple(carriers))
    (clip,) = generate_clips(model, rig, [("it walks", 0.8)], QUICK)
    at = clip.world()[0]
    length = np.linalg.norm(at[:, foot] - at[:, above], axis=-1)
    assert length == pytest.approx(np.linalg.norm(s.offsets[foot]), abs=1e-6)
    options = replace(QUICK, lock=False, ground=False)
    (other,) = generate_clips(model, rig, [("it walks", 0.8)], options, [Pin(clip, 0.0, 0.2)])
    below = [j for j in range(1, s.n_joints) if j != foot]
    assert rot.angle(other.rotations[1, below], clip.rotations[1, below]).max() < 1e-5


def test_in_place_and_loops(model, idle):
    (clip,) = generate_clips(model, idle.skeleton, [("it walks", 1.0)], replace(QUICK, in_place=True, loop=True))
    assert np.abs(clip.travel()).max() < 1e-9
    main = clip.skeleton.main_root
    others = [j for j in range(clip.skeleton.n_joints) if j != main]
    assert rot.angle(clip.rotations[0, others], clip.rotations[-1, others]).max() < 1e-6


@pytest.mark.parametrize("facing", ["x", "-z", "-x"])
def test_a_rig_that_faces_elsewhere_gets_the_same_motion_turned(model, idle, facing):
    turn = facing_of(idle.skeleton, facing)
    turned = faced(idle.skeleton, turn)
    (straight,) = generate_clips(model, idle.skeleton, [("it walks", 0.8)], replace(QUICK, facing="z"))
    (other,) = generate_clips(model, turned, [("it walks", 0.8)], replace(QUICK, facing=facing))
    np.testing.assert_allclose(other.world()[0], rot.rotate(rot.about("y", turn), straight.world()[0]), atol=2e-4)


def test_where_a_rig_faces_is_told_by_its_head(idle):
    s = idle.skeleton
    named = Skeleton(
        ("hips", "spine", "head", "tail"), (-1, 0, 1, 0), np.array([[0, 1, 0], [0, 0, 0.5], [0, 0, 0.5], [0, 0, -0.5]])
    )
    for facing in ("z", "x", "-z", "-x"):
        assert np.cos(facing_of(faced(named, facing_of(named, facing))) - facing_of(s, facing)) == pytest.approx(1.0)
    nameless = Skeleton(("a", "b"), (-1, 0), np.array([[0, 1, 0], [1.0, 0, 0]]))
    assert facing_of(nameless) == 0.0
    with pytest.raises(SettingsError):
        facing_of(named, "up")


def test_upsampling_keeps_the_frames_that_are_there(idle):
    fine = upsampled(idle, 45.0)
    assert fine.n_frames == 3 * (idle.n_frames - 1) + 1
    assert rot.angle(fine.rotations[::3], idle.rotations).max() < 1e-7
    np.testing.assert_allclose(fine.translations[::3], idle.translations, atol=1e-9)
    jerk = np.abs(np.diff(fine.translations, n=2, axis=0)).max()
    assert jerk < np.abs(np.diff(idle.translations, n=2, axis=0)).max() + 1e-9


@pytest.mark.parametrize("prompts", [[], [("", 1.0)], [("walk", 0.0)], [("walk", 1e6)], [("walk", float("nan"))]])
def test_prompts_that_cannot_be_are_refused(model, idle, prompts):
    with pytest.raises(SettingsError):
        generate_clips(model, idle.skeleton, prompts, QUICK)


def test_pins_that_do_not_fit_are_refused(model, idle):
    with pytest.raises(SettingsError, match="outside"):
        generate_clips(model, idle.skeleton, [("it walks", 1.0)], QUICK, [Pin(idle, 0.5, 1.5)])
    rng = random.Random(9)
    other = creatures.clip(creatures.plan("serpent", rng), "idle", rng)
    with pytest.raises(SettingsError, match="own skeleton"):
        generate_clips(model, idle.skeleton, [("it walks", 1.0)], QUICK, [Pin(other, 0.0, 0.1)])


def test_default_weights_are_small_and_missed_with_a_line(monkeypatch, tmp_path):
    path = Path(generation.__file__).parent / "weights" / "anyrig.safetensors"
    assert default_weights() == path
    assert path.stat().st_size <= 20e6
    monkeypatch.setattr("anyrig.generation.__file__", str(tmp_path / "anyrig" / "generation.py"))
    with pytest.raises(FileError, match="anyrig train"):
        default_weights()
