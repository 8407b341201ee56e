from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anyrig import creatures
from anyrig.creatures.body import Role, joint_names, naming
from anyrig.creatures.rig import assemble
from anyrig.errors import SettingsError

seeds = st.integers(0, 2**32 - 1)
kinds = st.sampled_from(creatures.kinds())
LEGS = {
    "quadruped": {4},
    "biped": {2},
    "hexapod": {6},
    "octopod": {8},
    "serpent": {0},
    "fish": {0},
    "bird": {2},
    "dragon": {2, 4},
}


def rig(kind, seed):
    return assemble(creatures.plan(kind, random.Random(seed)))


def test_the_kinds_are_there():
    assert set(creatures.kinds()) == set(LEGS)


@settings(max_examples=40)
@given(kind=kinds, seed=seeds)
def test_a_plan_gives_a_rig_of_its_kind(kind, seed):
    plan = creatures.plan(kind, random.Random(seed))
    skeleton = creatures.skeleton(plan)
    assert plan.kind == kind
    assert plan.n_legs in LEGS[kind]
    assert 8 <= skeleton.n_joints <= 140
    assert len(set(skeleton.names)) == skeleton.n_joints
    assert len(skeleton.roots) == 1
    bones = np.linalg.norm(skeleton.offsets[1:], axis=-1)
    assert bones.min() > 1e-4 * plan.size


@settings(max_examples=40)
@given(kind=kinds, seed=seeds)
def test_it_stands_on_the_ground_at_rest(kind, seed):
    made = rig(kind, seed)
    places = made.skeleton.rest_positions()
    bodies = [j for j in range(len(places)) if j != made.ground]
    assert abs(places[bodies, 1].min()) < 1e-9
    for leg in made.legs:
        assert abs(leg.home[1]) < 1e-9


@settings(max_examples=40)
@given(kind=kinds, seed=seeds)
def test_the_two_sides_mirror_each_other(kind, seed):
    made = rig(kind, seed)
    mirror = made.natural * np.array([-1.0, 1.0, 1.0])
    gaps = np.linalg.norm(made.natural[:, None] - mirror[None], axis=-1).min(axis=1)
    assert gaps.max() < 1e-9


@settings(max_examples=40)
@given(kind=kinds, seed=seeds)
def test_the_frames_lead_from_the_rest_pose_to_the_natural_pose(kind, seed):
    """With the natural pose's world rotations the skeleton's joints are at their natural places."""
    made = rig(kind, seed)
    parents = made.skeleton.parents
    local, _ = made.skeleton.local(made.natural, made.frames)
    translations = made.skeleton.offsets.copy()
    translations[0] = made.natural[0]
    places, _ = made.skeleton.world(local, translations)
    assert parents[0] == -1
    assert np.allclose(places, made.natural, atol=1e-9)


@settings(max_examples=40)
@given(kind=kinds, seed=seeds)
def test_the_seed_decides_all(kind, seed):
    one, two = (creatures.plan(kind, random.Random(seed)) for _ in range(2))
    assert one == two
    assert hash(one) == hash(two)


def test_bodies_and_names_vary():
    plans = [creatures.plan("quadruped", random.Random(s)) for s in range(60)]
    assert len({creatures.skeleton(p).n_joints for p in plans}) > 12
    assert len({p.naming for p in plans}) > 10
    assert len({p.noun for p in plans}) > 15
    assert max(p.size for p in plans) > 8 * min(p.size for p in plans)
    assert {p.rest.frame for p in plans} == {"world", "x", "y"}


def test_an_unknown_kind_is_refused_in_one_line():
    with pytest.raises(SettingsError, match="there are: biped, bird"):
        creatures.plan("unicorn", random.Random(0))


@given(
    seed=seeds,
    parts=st.lists(
        st.sampled_from(["thigh", "tail", "wing", "toe_tip", "membrane_tip", "head"]), min_size=1, max_size=30
    ),
)
def test_names_never_repeat(seed, parts):
    roles = [
        Role(part, side=(-1, 0, 1)[k % 3], index=k % 2 or None, pair=k % 2, n_pairs=2) for k, part in enumerate(parts)
    ]
    names = joint_names(naming(random.Random(seed)), roles)
    assert max(Counter(names).values()) == 1
    assert all(name.strip() == name and name for name in names)


def test_left_and_right_are_told_apart_in_every_scheme():
    for seed in range(200):
        scheme = naming(random.Random(seed))
        left, right = joint_names(scheme, [Role("thigh", 1, pair=1, n_pairs=2), Role("thigh", -1, pair=1, n_pairs=2)])
        assert left != right
        if scheme.vocabulary != "none":
            assert "R" in right or "r" in right
