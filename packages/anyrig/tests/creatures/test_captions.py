from __future__ import annotations

import random
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from performances import cases

from anyrig import creatures
from anyrig import rotations as rot
from anyrig.creatures import Style
from anyrig.creatures.captions import Telling, a, captions, choose, gerund, join, sentence, third

PACES = ("slowly", "slow pace", "unhurriedly", "quickly", "fast", "briskly")


def forward(p):
    """Where the trunk points over the ground, as an angle to the left of +z, unwrapped over the frames."""
    world = p.clip.world()[0]
    along = world[:, p.rig.chest] - world[:, p.rig.pelvis]
    return np.unwrap(np.arctan2(along[:, 0], along[:, 2]))


def height(p, joint):
    return p.clip.world()[0][:, joint, 1]


@settings(max_examples=50)
@given(case=cases())
def test_three_captions_from_short_to_long(case):
    p = case.perform()
    short, mid, long = p.clip.captions
    for text in p.clip.captions:
        assert re.fullmatch(r"[A-Z].*[.]", text)
        assert not re.search(r"[\[\]|_{}]|  |None| [,.;:]|\.\.|, \.", text)
    assert len(short) < len(long)
    assert len(short.split()) <= 16
    assert p.rig.plan.noun in long
    assert len(mid) < len(long)


@settings(max_examples=25)
@given(case=cases())
def test_a_plain_manner_is_not_given_adverbs(case):
    body = creatures.plan(case.kind, random.Random(case.body))
    plain = creatures.perform(body, case.action, random.Random(case.seed), 2.0, manner=Style())
    for word in (*PACES[:4], "wearily", "angrily", "playfully", "timidly", "calmly"):
        assert word not in plain.clip.captions[0]


def test_slow_and_fast_are_told_apart():
    dog = creatures.plan("quadruped", random.Random(0))
    for speed, words in ((0.7, PACES[:3]), (1.3, PACES[3:])):
        told = [
            creatures.perform(dog, "walk", random.Random(s), 2.0, manner=Style(speed=speed)).clip.captions[0]
            for s in range(8)
        ]
        assert all(any(word in text for word in words) for text in told)


def test_the_wording_varies():
    dog = creatures.plan("quadruped", random.Random(0))
    clips = [creatures.clip(dog, "walk", random.Random(s), 1.0) for s in range(40)]
    for level, least in ((0, 15), (1, 15), (2, 30)):
        assert len({c.captions[level] for c in clips}) >= least


@settings(max_examples=50)
@given(case=cases())
def test_feet_that_are_said_to_stay_do_stay(case):
    p = case.perform()
    text = " ".join(p.clip.captions)
    if re.search(
        r"feet (stay planted|stay where|stay on|do not (move|leave)|remain on|hold their ground)|hold their ground",
        text,
    ):
        assert p.contacts.size
        assert p.contacts.all()


@pytest.mark.parametrize(
    ("action", "sign", "word", "other"), [("turn_left", 1, "left", "right"), ("turn_right", -1, "right", "left")]
)
@settings(max_examples=20)
@given(data=st.data())
def test_turns_go_to_the_side_they_name(action, sign, word, other, data):
    p = data.draw(cases((action,))).perform()
    turned = forward(p)
    assert sign * (turned[-1] - turned[0]) > 0.2
    assert word in p.clip.captions[0] + p.clip.captions[2]
    # "Left" and "right" are also said of legs; the turn itself goes one way only.
    assert not re.search(rf"turns? (to the )?{other}", " ".join(p.clip.captions))


@settings(max_examples=20)
@given(case=cases(("jump",)))
def test_who_jumps_leaves_the_ground(case):
    p = case.perform()
    if not p.rig.legs:
        return
    feet = p.clip.world()[0][:, list(p.feet), 1]
    assert feet.min(axis=1).max() > 0.1 * p.rig.hip_height
    assert p.contacts[0].all()
    assert p.contacts[-1].all()
    far = np.linalg.norm(p.clip.travel()[-1]) > 0.4 * p.rig.hip_height
    assert far == bool(re.search("forward|ahead", p.clip.captions[2]))


@settings(max_examples=20)
@given(case=cases(("crouch",)))
def test_who_crouches_sinks_and_rises_only_if_it_is_said(case):
    p = case.perform()
    up = height(p, p.rig.pelvis)
    assert up.min() < 0.93 * up[0]
    rises = re.search("rises again|straightens up", p.clip.captions[2]) is not None
    assert (up[-1] > 0.5 * (up[0] + up.min())) == rises


@settings(max_examples=25)
@given(case=cases(("death",)))
def test_the_dead_lie_low_and_still(case):
    p = case.perform()
    world = p.clip.world()[0]
    if p.rig.legs:
        assert height(p, p.rig.chest)[-1] < 0.75 * height(p, p.rig.chest)[0]
        assert world[-1, :, 1].min() < 0.45 * p.rig.hip_height  # joints lie as high as half the body is thick
    speed = np.linalg.norm(np.diff(world, axis=0), axis=-1).mean(axis=1)
    assert speed[-2:].max() < 0.35 * speed.max()


@settings(max_examples=25)
@given(case=cases(("eat",)))
def test_the_mouth_comes_to_the_ground_when_it_is_said(case):
    p = case.perform()
    text = p.clip.captions[2]
    if not p.rig.legs or not re.search("(goes down|head) to the ground", text) or p.rig.nose:
        return
    positions, world = p.clip.world()
    turn = rot.multiply(world[:, p.rig.head], rot.inverse(p.rig.frames[p.rig.head]))
    mouth = positions[:, p.rig.head] + rot.rotate(turn, p.rig.mouth)
    assert mouth[:, 1].min() < 0.2 * p.rig.hip_height
    assert mouth[:, 1].min() < 0.75 * mouth[0, 1]


@settings(max_examples=20)
@given(case=cases(("take_off",), kinds=st.sampled_from(["bird", "dragon"])))
def test_taking_off_starts_on_the_ground_and_ends_in_the_air(case):
    p = case.perform()
    assert p.contacts[0].all()
    assert not p.contacts[-1].any()
    assert height(p, p.rig.pelvis)[-1] > 1.8 * height(p, p.rig.pelvis)[0]


@settings(max_examples=20)
@given(case=cases(("land",), kinds=st.sampled_from(["bird", "dragon"])))
def test_landing_ends_on_the_ground(case):
    p = case.perform()
    assert not p.contacts[0].any()
    assert p.contacts[-1].all()


@settings(max_examples=20)
@given(case=cases(("fly",), kinds=st.sampled_from(["bird", "dragon"])))
def test_who_flies_stays_in_the_air_and_turns_where_it_is_said(case):
    p = case.perform()
    assert not p.contacts.any()
    assert p.clip.world()[0][..., 1][:, [j for j in range(p.clip.skeleton.n_joints) if j != p.rig.ground]].min() > 0.0
    turned = forward(p)[-1] - forward(p)[0]
    said = 1 if "to the left" in p.clip.captions[2] else -1 if "to the right" in p.clip.captions[2] else 0
    assert said == (0 if abs(turned) < 0.1 else np.sign(turned))


def test_people_are_he_and_she():
    telling = Telling("raise its arm", "stands on its feet", "it looks at its hand")
    for noun, words in (("man", "he his"), ("woman", "she her")):
        plan = replace(creatures.plan("biped", random.Random(2)), noun=noun)
        text = " ".join(captions(plan, telling, Style(), random.Random(0))).lower()
        assert not re.search(r"\bits?\b", text)
        assert all(word in text for word in words.split())


@pytest.mark.parametrize(
    ("base", "he", "ing"),
    [
        ("run on", "runs on", "running on"),
        ("rush", "rushes", "rushing"),
        ("glide", "glides", "gliding"),
        ("die", "dies", "dying"),
        ("fly off", "flies off", "flying off"),
        ("be hit", "is hit", "being hit"),
        ("crouch and leap", "crouches and leaps", "crouching and leaping"),
        ("jab", "jabs", "jabbing"),
        ("sidestep", "sidesteps", "sidestepping"),
        ("stay", "stays", "staying"),
        ("flee", "flees", "fleeing"),
    ],
)
def test_verbs_are_inflected(base, he, ing):
    assert third(base) == he
    assert gerund(base) == ing


def test_small_words():
    rng = random.Random(0)
    assert a("ant") == "an ant"
    assert a("goose") == "a goose"
    assert sentence("it runs") == "It runs."
    assert join(["a"], rng) == "a"
    assert {choose("[x|[y|z]]", random.Random(s)) for s in range(30)} == {"x", "y", "z"}
    assert re.fullmatch("a, b,? and c", join(["a", "b", "c"], rng))
