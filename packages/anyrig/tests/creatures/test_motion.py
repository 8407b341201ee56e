from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from performances import cases, kinds, seeds

from anyrig import creatures
from anyrig import rotations as rot
from anyrig.creatures.rig import fold, solve_chain, stack_chains
from anyrig.errors import SettingsError

CYCLIC = {
    "walk",
    "trot",
    "run",
    "sneak",
    "walk_backward",
    "sidestep",
    "slither",
    "dash",
    "swim",
    "idle",
    "fly",
    "hover",
    "glide",
}


def places(performance):
    return performance.clip.world()[0]


def body(performance):
    """The joints but for one that lies under the creature."""
    return [j for j in range(performance.clip.skeleton.n_joints) if j != performance.rig.ground]


@settings(max_examples=60)
@given(case=cases(seconds=(1.0, 2.0, 3.0)))
def test_feet_in_contact_lie_on_the_ground_and_do_not_move(case):
    p = case.perform()
    world = places(p)
    for k, foot in enumerate(p.feet):
        firm = p.contacts[:, k]
        assert np.abs(world[firm, foot, 1]).max(initial=0.0) < 1e-6
        stays = firm[1:] & firm[:-1]
        steps = np.linalg.norm(np.diff(world[:, foot], axis=0), axis=-1)
        assert steps[stays].max(initial=0.0) < 1e-6


@settings(max_examples=60)
@given(case=cases(seconds=(1.0, 2.0, 3.0)))
def test_nothing_is_under_the_ground(case):
    p = case.perform()
    assert places(p)[:, body(p), 1].min() > -1e-6


@settings(max_examples=25)
@given(case=cases(seconds=(1.0, 2.0, 3.0)))
def test_bones_keep_their_lengths_and_all_numbers_are_finite(case):
    p = case.perform()
    world = places(p)
    assert np.isfinite(p.clip.rotations).all()
    parents = np.array(p.clip.skeleton.parents)
    j = np.flatnonzero(parents >= 0)
    bones = np.linalg.norm(world[:, j] - world[:, parents[j]], axis=-1)
    assert np.allclose(bones, np.linalg.norm(p.clip.skeleton.offsets[j], axis=-1), atol=1e-9)
    assert np.array_equal(
        p.clip.translations[:, 1:],
        np.broadcast_to(p.clip.skeleton.offsets[1:], (len(bones), len(parents) - 1, 3)),
    )


@settings(max_examples=25)
@given(case=cases(actions=CYCLIC, seconds=(2.0, 3.0, 4.0)))
def test_cyclic_motions_loop(case):
    p = case.perform()
    if not p.loops:  # a giant's stride can take longer than the clip
        return
    root = p.rig.root if p.rig.ground is None else p.rig.ground
    local = [j for j in range(p.clip.skeleton.n_joints) if j != root]
    assert rot.angle(p.clip.rotations[0, local], p.clip.rotations[-1, local]).max() < 1e-6
    if p.clip.action not in ("glide",):  # which goes down
        assert abs(p.clip.translations[0, 0, 1] - p.clip.translations[-1, 0, 1]) < 1e-6
    if p.clip.action not in ("fly", "glide", "turn_left", "turn_right"):
        assert rot.angle(p.clip.rotations[0, root], p.clip.rotations[-1, root]) < 1e-6


def n_below(parents, joint):
    """How many joints hang below a joint."""
    below = {joint}
    for j, parent in enumerate(parents):  # parents come first
        if parent in below:
            below.add(j)
    return len(below) - 1


@settings(max_examples=60)
@given(case=cases(seconds=(1.0, 2.0, 3.0)))
def test_no_joint_jumps_between_frames(case):
    p = case.perform()
    turned = np.degrees(rot.angle(p.clip.rotations[1:], p.clip.rotations[:-1]))
    tips = np.array([n_below(p.clip.skeleton.parents, j) <= 2 for j in range(p.clip.skeleton.n_joints)])
    assert turned[:, ~tips].max() < 135.0  # a hind kick within one second turns a thigh by 130
    assert turned[:, tips].max() < 175.0  # the ground bends the fingers of who falls within a second, in one frame
    assert np.sum(p.clip.rotations[1:] * p.clip.rotations[:-1], axis=-1).min() > 0.0  # nor changes its sign
    speed = np.linalg.norm(np.diff(places(p), axis=0), axis=-1).max() * p.clip.fps
    assert speed < 60.0 * max(p.rig.length, p.rig.hip_height)


def energy(plan, action, seed):
    """Mean joint speed in place, body sizes a second, in a neutral manner."""
    manner = creatures.Style(seed=seed)
    clip = creatures.perform(plan, action, random.Random(seed), 3.0, manner=manner).clip.in_place()
    return np.linalg.norm(np.diff(clip.world()[0], axis=0), axis=-1).mean() * clip.fps / plan.size


@settings(max_examples=25)
@given(kind=kinds, seed=seeds)
def test_faster_gaits_have_more_energy(kind, seed):
    plan = creatures.plan(kind, random.Random(seed))
    order = {"fish": ("idle", "swim", "dash"), "serpent": ("idle", "slither")}.get(kind, ("idle", "walk", "run"))
    energies = [energy(plan, action, seed) for action in order]
    assert energies == sorted(energies)
    assert energies[1] > 2.0 * energies[0]


@settings(max_examples=25)
@given(seed=seeds, kind=st.sampled_from(["quadruped", "biped", "hexapod", "octopod", "dragon", "bird"]))
def test_the_body_travels_as_fast_as_it_says(seed, kind):
    plan = creatures.plan(kind, random.Random(seed))
    for action in ("walk", "run"):
        p = creatures.perform(plan, action, random.Random(seed), 2.0)
        way = np.linalg.norm(p.clip.travel()[-1])
        assert way == pytest.approx(p.speed * p.clip.seconds, rel=0.05)
        froude = p.speed**2 / (9.81 * max(p.rig.hip_height, 1e-9))
        assert froude < (1.2 if action == "walk" else 8.0)


@settings(max_examples=25)
@given(seed=seeds, kind=st.sampled_from(["quadruped", "biped", "hexapod", "octopod"]))
def test_who_walks_always_has_a_foot_on_the_ground(seed, kind):
    p = creatures.perform(creatures.plan(kind, random.Random(seed)), "walk", random.Random(seed), 2.0)
    assert p.contacts.any(axis=1).all()
    assert not p.contacts.all()


@settings(max_examples=25)
@given(seed=seeds)
def test_a_running_biped_leaves_the_ground_in_every_stride(seed):
    p = creatures.perform(creatures.plan("biped", random.Random(seed)), "run", random.Random(seed), 2.0, 60.0)
    assert (~p.contacts.any(axis=1)).sum() >= 2


def test_the_same_arguments_give_the_same_clip():
    for seed in range(6):
        one, two = creatures.sample(seed), creatures.sample(seed)
        assert one.captions == two.captions
        assert one.skeleton.names == two.skeleton.names
        assert np.array_equal(one.rotations, two.rotations)
        assert np.array_equal(one.translations, two.translations)
    assert len({creatures.sample(seed).name for seed in range(6)}) > 3


@settings(max_examples=25)
@given(case=cases(seconds=(0.5, 1.3, 5.0)))
def test_times_are_kept(case):
    p = case.perform()
    assert p.clip.fps == 15.0
    assert p.clip.n_frames in (9, 20, 21, 76)  # round(seconds * fps) + 1
    assert p.contacts.shape == (p.clip.n_frames, len(p.feet))


@pytest.mark.parametrize("fps", [5.0, 15.0, 24.0, 60.0])
def test_any_frame_rate_keeps_the_feet_where_they_are(fps):
    p = creatures.perform(creatures.plan("quadruped", random.Random(3)), "walk", random.Random(3), 2.0, fps)
    world = places(p)
    for k, foot in enumerate(p.feet):
        assert np.abs(world[p.contacts[:, k], foot, 1]).max() < 1e-6


def test_every_kind_has_at_least_ten_actions_and_together_there_are_many():
    able = {kind: set(creatures.actions(creatures.plan(kind, random.Random(1)))) for kind in creatures.kinds()}
    assert {kind: len(a) for kind, a in able.items() if len(a) < 10} == {}
    assert len(set().union(*able.values())) >= 20
    for kind in ("idle", "attack", "death", "eat", "turn_left", "turn_right", "look_around"):
        assert all(kind in actions for actions in able.values())
    assert {"walk", "trot", "run", "jump"} <= able["quadruped"]
    assert {"fly", "glide", "take_off", "land"} <= able["bird"] & able["dragon"]
    assert "slither" in able["serpent"]
    assert "swim" in able["fish"]


@pytest.mark.parametrize(
    ("action", "seconds", "fps"),
    [
        ("fly", 2.0, 15.0),
        ("somersault", 2.0, 15.0),
        ("walk", -1.0, 15.0),
        ("walk", 2.0, 0.0),
        ("walk", float("nan"), 15.0),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(action, seconds, fps):
    dog = creatures.plan("quadruped", random.Random(0))
    with pytest.raises(SettingsError) as caught:
        creatures.clip(dog, action, random.Random(0), seconds, fps)
    assert "\n" not in str(caught.value)


def chain(rng, n):
    """Joints of a leg with n bones that zigzag in a random plane."""
    signs = np.where(np.arange(n - 1) % 2 == 0, 1.0, -1.0)
    turns = signs * rng.uniform(0.3, 0.8, n - 1)
    angles = np.concatenate([[0.0], np.cumsum(turns)])
    bones = rng.uniform(0.6, 1.4, n)[:, None] * np.stack([np.sin(angles), -np.cos(angles), 0 * angles], axis=-1)
    points = np.concatenate([np.zeros((1, 3)), np.cumsum(bones, axis=0)])
    return rot.rotate(rot.random(rng), points)


def reach(leg, base, target, parent):
    """:func:`place` for one chain."""
    local, last = solve_chain(stack_chains([leg]), base[:, None], target[:, None], parent[:, None])
    return local[:, 0], last[:, 0]


def ends(points, local, parent, base):
    """Where the joints go when the turns are applied, by plain forward kinematics."""
    places, turned = [base], parent
    for k in range(len(points) - 1):
        turned = rot.multiply(turned, local[:, k])
        places.append(places[-1] + rot.rotate(turned, points[k + 1] - points[k]))
    return np.stack(places, axis=1), turned


@given(seed=seeds, n=st.integers(2, 4))
def test_a_chain_reaches_every_target_within_its_reach(seed, n):
    rng = np.random.default_rng(seed)
    points = chain(rng, n)
    leg = fold(points)
    distance = rng.uniform(leg.shortest, leg.longest, 12)
    base, parent = rng.normal(size=(12, 3)), rot.random(rng, 12)
    # Not along the direction in which the chain bends, where its plane is undetermined.
    toward = rot.rotate(parent, leg.along + 0.5 * rng.normal(size=(12, 3)))
    target = base + distance[:, None] * toward / np.linalg.norm(toward, axis=-1, keepdims=True)
    local, last = reach(leg, base, target, parent)
    places, turned = ends(points, local, parent, base)
    assert np.allclose(places[:, -1], target, atol=1e-8)
    assert np.allclose(rot.angle(last, turned), 0.0, atol=1e-9)


@given(seed=seeds, n=st.integers(2, 4))
def test_knees_are_hinges_about_the_natural_axis(seed, n):
    rng = np.random.default_rng(seed)
    leg = fold(chain(rng, n))
    parent = rot.random(rng, 9)
    distance = np.linspace(leg.shortest, leg.longest, 9)
    target = distance[:, None] * rot.rotate(parent, leg.along)
    local, _ = reach(leg, np.zeros((9, 3)), target, parent)
    assert np.allclose(np.cross(local[:, 1:, 1:], leg.axis), 0.0, atol=1e-9)


@given(seed=seeds, n=st.integers(2, 4))
def test_the_natural_distance_gives_the_natural_pose(seed, n):
    rng = np.random.default_rng(seed)
    points = chain(rng, n)
    leg = fold(points)
    parent = rot.random(rng, 1)
    base = rng.normal(size=(1, 3))
    local, _ = reach(leg, base, base + rot.rotate(parent, points[-1] - points[0]), parent)
    assert np.allclose(rot.angle(local, rot.IDENTITY), 0.0, atol=1e-6)


@given(seed=seeds)
def test_out_of_reach_stretches_toward_the_target(seed):
    rng = np.random.default_rng(seed)
    points = chain(rng, 3)
    leg = fold(points)
    parent = rot.random(rng, 1)
    far = 3.0 * leg.longest * rot.rotate(parent, leg.along)
    local, _ = reach(leg, np.zeros((1, 3)), far, parent)
    places, _ = ends(points, local, parent, np.zeros((1, 3)))
    assert np.allclose(places[:, -1], far / 3.0, atol=1e-8)
