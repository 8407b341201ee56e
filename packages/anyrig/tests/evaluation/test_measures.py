"""Measures: they are what their names say on motions that are known."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from anyrig import creatures, evaluation
from anyrig.conform import scaled
from anyrig.evaluation import interval, table
from anyrig.skeleton import Clip


def a_clip(action, kind="quadruped", seed=3):
    rng = random.Random(seed)
    return creatures.clip(creatures.plan(kind, rng), action, rng)


def moved(clip, by):
    translations = clip.translations.copy()
    translations[:, clip.skeleton.main_root] += by
    return replace(clip, translations=translations)


def still(clip):
    return Clip(clip.skeleton, np.repeat(clip.rotations[:1], 20, axis=0), clip.translations[:1].repeat(20, axis=0), 15)


def test_a_still_pose_has_no_energy_and_a_run_more_than_a_walk():
    assert evaluation.energy(still(a_clip("walk"))) == 0.0
    assert 0 < evaluation.energy(a_clip("idle")) < evaluation.energy(a_clip("walk")) < evaluation.energy(a_clip("run"))
    assert evaluation.energy(scaled(a_clip("walk"), 5.0)) == pytest.approx(evaluation.energy(a_clip("walk")))


def test_sliding_feet_skate_and_planted_ones_do_not():
    clip = a_clip("walk")
    slide = moved(clip, np.outer(np.arange(clip.n_frames), [0.05, 0, 0]))
    assert evaluation.foot_skate(slide) > 3 * evaluation.foot_skate(clip)
    assert evaluation.foot_skate(moved(clip, np.array([0, 1.0, 0]))) == 0.0


def test_what_is_under_the_ground_penetrates_it():
    clip = a_clip("walk")
    assert evaluation.penetration(clip) < 1e-6
    assert evaluation.penetration(moved(clip, np.array([0, -0.2, 0]))) > 0.01


def test_noise_is_jerky():
    clip = a_clip("walk")
    rng = np.random.default_rng(0)
    shaken = moved(clip, rng.normal(scale=0.02, size=(clip.n_frames, 3)))
    assert evaluation.jerk(shaken) > 1.5 * evaluation.jerk(clip)
    assert evaluation.jerk(still(clip)) == 0.0


def test_bones_that_grow_are_found():
    clip = a_clip("walk")
    assert evaluation.bone_length_error(clip) < 1e-12
    assert evaluation.bone_length_error(replace(clip, translations=1.1 * clip.translations)) > 1e-3


def test_the_frechet_distance_of_known_normals():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(40_000, 3)), rng.normal(size=(40_000, 3)) * 2 + [3, 0, 0]
    assert evaluation.frechet(a, a) == pytest.approx(0.0, abs=1e-9)
    assert evaluation.frechet(a, b) == pytest.approx(9 + 3 * 1.0, rel=0.03)


def test_r_precision_by_hand():
    texts = np.eye(4)
    pools = [np.array([0, 1]), np.array([2, 3])]
    assert evaluation.r_precision(texts, texts, pools, 1) == 1.0
    swapped = texts[[1, 0, 2, 3]]
    assert evaluation.r_precision(texts, swapped, pools, 1) == 0.5
    assert evaluation.r_precision(texts, swapped, pools, 2) == 1.0
    counted = np.array([False, False, True, True])
    assert evaluation.r_precision(texts, swapped, pools, 1, counted) == 1.0
    assert evaluation.r_precision(texts, np.full((4, 4), 0.5), pools, 1) == 0.0  # alike to all is no hit


def test_coverage_and_diversity():
    walk, idle = a_clip("walk"), a_clip("idle")
    assert evaluation.coverage([walk, idle], [walk, idle]) == 1.0
    assert evaluation.coverage([a_clip("death")], [still(idle)]) < 0.9
    between, within = evaluation.diversity([walk, walk])
    assert evaluation.diversity([walk, a_clip("death")])[0] > between
    assert within >= 0
    assert evaluation.diversity([still(idle), still(idle)]) == (0.0, 0.0)


def test_intervals_and_tables():
    assert interval([1.0, 2.0, 3.0]) == (2.0, pytest.approx(4.303 / 3**0.5))
    assert np.isnan(interval([1.0])[1])
    text = table({"unseen": {"real": [{"R@1": 0.5}, {"R@1": 0.7}], "none": [{"FID": 2.0}]}})
    assert "| real | 0.6 ± " in text
    assert "| none |  | 2 |" in text
