"""Motion to start from: what words ask for, which creature does it, and what sampling makes of it."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from anyrig import creatures
from anyrig import rotations as rot
from anyrig.animator import contact, seam, turn, wing_correlation, wing_rate
from anyrig.conform import rehung, whole
from anyrig.corpus import Selection
from anyrig.diffusion import Sampling
from anyrig.errors import SettingsError
from anyrig.generation import Options, Pin, generate_clips, learn_limits, limit_joints
from anyrig.legs import feet
from anyrig.model import ModelConfig, MotionModel
from anyrig.starts import Procedural, from_clip, lexicon, notes

OPTIONS = Options(sampling=Sampling(steps=2))


@pytest.fixture(scope="module")
def model():
    """An untrained model: what is right in these motions is not its doing."""
    torch.manual_seed(0)
    return MotionModel(ModelConfig(width=16, layers=1, heads=2, max_frames=16, text_width=8, text_layers=1)).eval()


def rig(kind, number=0):
    return creatures.skeleton(Selection("test").body(kind, number))


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("it walks", "walk"),
        ("a dragon flies", "fly"),
        ("a wyvern gallops", "run"),
        ("it walks slowly", "walk"),
        ("the dragon attacks", "attack"),
        ("it turns to the left", "turn_left"),
        ("it turns left twice", "turn_left"),
        ("walks slowly backwards", "walk_backward"),
        ("it collapses and dies", "death"),
        ("it sits down", "crouch"),
        ("it stops", "idle"),
        ("it does not jump", None),
        ("er läuft", None),
        ("xyzzy", None),
    ],
)
def test_words_tell_the_action(text, action):
    assert lexicon().action(text) == action


def test_words_that_nothing_was_learned_for_are_named_with_the_nearest():
    assert notes("it walks slowly") == []
    assert notes("it walkz") == ['nothing was learned for "walkz"; near it: walk, walks, walking']
    assert notes("it sits") == ['nothing was learned for "sits"; near it: crouch']


@pytest.mark.parametrize("kind", ["bird", "hexapod"])
def test_wings_beat_together_at_a_rate_for_the_size(model, kind):
    body = next(b for b in (Selection("test").body(kind, k) for k in range(20)) if "fly" in creatures.actions(b))
    (clip,) = generate_clips(model, creatures.skeleton(body), [("it flies", 4.0)], OPTIONS, start=Procedural())
    assert wing_correlation(clip) > 0.9
    assert 0.5 < wing_rate(clip) < 10.0


@pytest.mark.parametrize("kind", ["biped", "quadruped"])
def test_walkers_stand_on_the_ground_and_loop(model, kind):
    options = replace(OPTIONS, loop=True)
    (clip,) = generate_clips(model, rig(kind), [("it walks", 3.0)], options, start=Procedural())
    assert contact(clip) > 0.8
    assert seam(clip) < 1.6


def test_feet_that_hang_on_the_world_stand_on_the_ground(model):
    """As in game rigs, whose feet are targets of inverse kinematics, and named so."""
    tree = rig("quadruped", 1)
    stand = [tree.parents[j] for j in feet(tree)]
    parents = [-1 if j in stand else parent for j, parent in enumerate(tree.parents)]
    hung = rehung(tree.rest_clip(), range(tree.n_joints), parents).skeleton
    above = {tree.names[j]: tree.names[k] for j, k in enumerate(tree.parents) if k >= 0}
    names = [f"IK.{name}" if name in {tree.names[j] for j in stand} else name for name in hung.names]
    hung = replace(hung, names=names, carriers=[hung.index(above[n]) if n in above else -1 for n in hung.names])
    (clip,) = generate_clips(model, hung, [("it walks", 2.0)], OPTIONS, start=Procedural())
    assert contact(whole(clip)) > 0.8


@pytest.mark.parametrize("text", ["it walks", "it runs", "it jumps"])
@pytest.mark.parametrize("kind", ["biped", "quadruped"])
def test_legs_that_may_not_bend_as_far_keep_their_feet_near_their_places(model, kind, text):
    body = Selection("test").body(kind, 0)
    authored = [creatures.clip(body, "idle", random.Random(k), 2.0, 30.0) for k in range(5)]
    free, held = (
        generate_clips(model, rig(kind), [(text, 2.0)], options, authored=authored, start=Procedural())[0]
        for options in (replace(OPTIONS, ground=False, lock=False, limit=limit) for limit in (False, True))
    )
    limits = learn_limits(authored)
    stand = list(feet(free.skeleton))

    def away(clip):
        return np.linalg.norm((clip.world()[0] - free.world()[0])[:, stand], axis=-1).mean()

    assert away(held) < 0.85 * away(limit_joints(free, limits))
    assert (rot.angle(held.rotations, limits.middle) <= limits.most + 1e-6).all()


def test_full_noise_leaves_nothing_of_a_start(model):
    one, two = (
        generate_clips(model, rig("bird"), [("it walks", 1.0)], replace(OPTIONS, start_level=1.0), start=start)[0]
        for start in (None, Procedural())
    )
    np.testing.assert_allclose(one.rotations, two.rotations, atol=1e-5)


def test_a_clip_of_the_rig_is_a_start_that_stays_as_it_is(model):
    body = Selection("test").body("quadruped", 0)
    walk = creatures.perform(body, "walk", random.Random(0), 2.0, 15.0).clip
    options = replace(OPTIONS, lock=False, ground=False, fps=15.0)
    (clip,) = generate_clips(model, walk.skeleton, [("xyzzy", 2.0)], options, start=from_clip(walk))
    assert rot.angle(clip.rotations, walk.rotations).max() < 1e-3


def test_unknown_words_start_from_noise_beside_known_ones(model):
    prompts = [("it walks", 1.0), ("xyzzy", 1.0)]
    with_start, without = (
        generate_clips(model, rig("quadruped"), prompts, replace(OPTIONS, fps=15.0), start=start)[0]
        for start in (Procedural(), None)
    )
    assert with_start.seconds == without.seconds
    assert Procedural()(rig("quadruped"), "xyzzy", 1.0, 0) is None
    assert contact(with_start.cut(0, 14)) > 0.8


def test_starts_meet_pins(model):
    body = Selection("test").body("quadruped", 0)
    idle = creatures.clip(body, "idle", random.Random(0), 4.0, 30.0)
    (clip,) = generate_clips(
        model,
        idle.skeleton,
        [("it walks", 3.0)],
        OPTIONS,
        [Pin(idle, 0.0, 0.5), Pin(idle, 2.5, 3.0)],
        start=Procedural(),
    )
    for frame in (0, 15, 75, 90):
        np.testing.assert_allclose(clip.world()[0][frame], idle.world()[0][frame], atol=1e-9)


def test_levels_out_of_range_are_refused():
    with pytest.raises(SettingsError, match="from 0 to 1"):
        Options(start_level=1.5)


@pytest.mark.parametrize("start", [None, Procedural()], ids=["noise", "start"])
def test_a_clip_that_ends_between_two_frames_of_the_model_is_pinned_to_its_end(model, start):
    body = Selection("test").body("quadruped", 0)
    idle = creatures.clip(body, "idle", random.Random(0), 2.0, 30.0).cut(0, 44)
    pins = [Pin(idle, 0.0, 0.2), Pin(idle, 0.9, idle.seconds)]
    (clip,) = generate_clips(model, idle.skeleton, [("it walks", idle.seconds)], OPTIONS, pins, start=start)
    assert idle.seconds * model.config.fps % 1 == pytest.approx(0.5)
    np.testing.assert_allclose(clip.world()[0][42], idle.world()[0][42], atol=1e-9)


@pytest.mark.parametrize("kind", ["biped", "quadruped"])
def test_what_is_done_twice_goes_on_for_about_twice_as_far_in_the_same_time(model, kind):
    once, twice = (
        turn(generate_clips(model, rig(kind), [(text, 4.0)], OPTIONS, start=Procedural())[0])
        for text in ("it turns left", "it turns left twice")
    )
    assert abs(once) > 60
    assert 1.5 < twice / once < 2.5
