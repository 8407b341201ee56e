"""The weights of the package, on bodies that they were not taught."""

from __future__ import annotations

import numpy as np
import pytest

from anyrig import creatures, evaluation
from anyrig.corpus import Selection
from anyrig.features import size_of
from anyrig.generation import Options, default_weights, generate_clips
from anyrig.model import load_model


@pytest.fixture(scope="module")
def shipped():
    return load_model(default_weights())[0].eval()


def made(model, kind, text, number=1):
    skeleton = creatures.skeleton(Selection("test").body(kind, number))
    return generate_clips(model, skeleton, [(text, 3.0)], Options(fps=15.0))[0]


def travelled(clip):
    """How far the main root gets over the ground, in sizes of the rig."""
    where = clip.world()[0][:, 0]
    return float(np.linalg.norm((where[-1] - where[0])[[0, 2]]) / size_of(clip.skeleton))


def test_who_runs_gets_further_than_who_stands(shipped):
    run, idle = (made(shipped, "quadruped", text) for text in ("a horse runs fast", "it stands idle"))
    assert travelled(run) > 1 > travelled(idle)
    assert evaluation.energy(run) > 2 * evaluation.energy(idle)


def test_who_dies_ends_up_lower(shipped):
    clip = made(shipped, "quadruped", "it dies and falls to the ground")
    heights = np.median(clip.world()[0][..., 1], axis=1)
    assert heights[-1] < 0.7 * heights[0]


def test_a_kind_that_was_never_taught_walks_and_flies(shipped):
    walk, fly = (made(shipped, "dragon", text) for text in ("a dragon walks", "a dragon flies"))
    assert travelled(walk) > 0.3
    walks, flies = (clip.world()[0][..., 1].min(axis=1).mean() / size_of(clip.skeleton) for clip in (walk, fly))
    assert flies > walks + 0.1
    for clip in (walk, fly):
        assert evaluation.bone_length_error(clip) < 1e-9
