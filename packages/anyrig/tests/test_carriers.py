"""Rigs whose feet hang where they do not belong: found by motion, by the mesh, or left alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from anyrig import rotations as rot
from anyrig.conform import find, spread, tree, whole
from anyrig.skeleton import FREE, Clip, Skeleton

NAMES = ("hub", "Body", "thigh.L", "shin.L", "thigh.R", "shin.R", "foot.L", "toe.L", "foot.R", "pole.L")
PARENTS = (-1, 0, 1, 2, 1, 4, 0, 6, 0, 0)
WEIGHTS = np.array([0, 50, 20, 20, 20, 20, 10, 5, 15, 0.0])
CARRIED = {"foot.L": "shin.L", "foot.R": "shin.R"}


def leg(hip, foot, length):
    """World rotations of two bones of one length that rest straight down, knee forward."""
    away = foot - hip
    bend = np.arccos(np.clip(np.linalg.norm(away, axis=-1) / (2 * length), -1, 1))
    swing = rot.between([0, -1, 0], away)
    return rot.multiply(swing, rot.about("x", -bend)), rot.multiply(swing, rot.about("x", bend))


def treading(n=40, hub_carries=False, roots=False):
    """Two legs whose feet hang on a hub, on a hub with weight, or on nothing, and tread."""
    offsets = np.zeros((10, 3))
    offsets[[1, 2, 4, 3, 5]] = [[0, 1, 0], [0.1, 0, 0], [-0.1, 0, 0], [0, -0.6, 0], [0, -0.6, 0]]
    offsets[[6, 8, 7, 9]] = [[0.1, -0.2, 0], [-0.1, -0.2, 0], [0, 0, 0.1], [0.1, 0.5, 2]]
    parents = tuple(-1 if roots and p == 0 else p for p in PARENTS)
    skeleton = Skeleton(NAMES, parents, offsets)
    rotations, translations = rot.identity(n, 10), np.tile(offsets, (n, 1, 1))
    for side, x, phase in ((0, 0.1, 0.0), (1, -0.1, 0.5)):
        u = (np.linspace(0, 1, n) + phase) % 1.0
        foot = np.stack([np.full(n, x), 0.1 * np.sin(2 * np.pi * u) ** 2, 0.4 * np.cos(2 * np.pi * u)], axis=-1)
        thigh, shin = leg(np.array([x, 1.0, 0.0]), foot, 0.6)
        rotations[:, 2 + 2 * side], rotations[:, 3 + 2 * side] = thigh, rot.multiply(rot.inverse(thigh), shin)
        translations[:, 6 + 2 * side] = foot
    clip = Clip(skeleton, rotations, translations, 24.0)
    return clip, WEIGHTS + (30 if hub_carries else 0) * (np.arange(10) == 0)


def touching(*pairs):
    between = np.zeros((10, 10))
    for a, b in pairs:
        between[NAMES.index(a), NAMES.index(b)] = between[NAMES.index(b), NAMES.index(a)] = 1.0
    return between


BODY = touching(
    ("Body", "thigh.L"), ("Body", "thigh.R"), ("thigh.L", "shin.L"), ("thigh.R", "shin.R"), ("shin.L", "foot.L"),
    ("shin.R", "foot.R"), ("foot.L", "toe.L"),
)  # fmt: skip


def carriers(clip, weights, between, moving=True):
    motions = [(clip.rotations, clip.translations)] if moving else []
    found = find(clip.skeleton, motions, weights, between)
    return {NAMES[j]: NAMES[k] for j, k in enumerate(found) if k >= 0 and k != clip.skeleton.parents[j]}, found


@pytest.mark.parametrize("rig", [{}, {"hub_carries": True}, {"roots": True}], ids=["hub", "hub with weight", "roots"])
@pytest.mark.parametrize("between", [BODY, np.zeros((10, 10))], ids=["one mesh", "parts"])
@pytest.mark.parametrize("moving", [True, False], ids=["clips", "no clip"])
def test_feet_belong_to_the_shins(rig, between, moving):
    clip, weights = treading(**rig)
    found, every = carriers(clip, weights, between, moving)
    if not moving and not between.any():
        assert not found or "roots" in rig, "nothing tells, and nothing tears either"
        return
    assert found == CARRIED
    assert every[NAMES.index("pole.L")] == FREE
    assert (every[0] == FREE) == (not rig.get("hub_carries"))


def test_a_tree_that_is_right_is_left_alone():
    clip, weights = treading()
    every = find(clip.skeleton, [(clip.rotations, clip.translations)], weights, BODY)
    right = whole(replace(clip, skeleton=replace(clip.skeleton, carriers=every)))
    n = right.skeleton.n_joints
    assert find(right.skeleton, [(right.rotations, right.translations)], np.ones(n), np.zeros((n, n))) == ()
    assert find(right.skeleton, [], np.ones(n), np.zeros((n, n))) == ()


def test_what_bobs_squashes_or_is_thrown_stays_with_its_parent():
    rng = np.random.default_rng(0)
    skeleton = Skeleton(("hips", "head", "hat"), (-1, 0, 1), [[0, 1, 0], [0, 0.5, 0], [0, 0.3, 0]])
    moves = np.tile(skeleton.offsets, (30, 1, 1)) + rng.normal(scale=0.2, size=(30, 3, 3))
    assert find(skeleton, [(rot.identity(30, 3), moves)], np.ones(3), np.zeros((3, 3))) == ()


def test_a_sword_that_follows_a_hand_is_carried_by_it():
    skeleton = Skeleton(("root", "arm", "hand", "sword"), (-1, 0, 1, 0),
                        [[0, 1, 0], [0.2, 0.5, 0], [0.5, 0, 0], [0.9, 0.5, 0]])  # fmt: skip
    turns = rot.identity(20, 4)
    turns[:, 1] = rot.about("z", np.linspace(0, 2, 20))
    clip = Clip(skeleton, turns, skeleton.offsets, 24)
    at, turned = clip.world()
    moves = clip.translations.copy()
    moves[:, 3] = at[:, 2] + rot.rotate(turned[:, 2], [0.2, 0, 0]) - at[:, 0]
    found = find(skeleton, [(clip.rotations, moves)], np.ones(4), np.zeros((4, 4)))
    assert found[3] in (1, 2), "the arm and the hand turn as one here"


def test_motion_of_the_tree_comes_back_to_all_joints():
    clip, weights = treading()
    every = find(clip.skeleton, [(clip.rotations, clip.translations)], weights, BODY)
    rig = replace(clip.skeleton, carriers=every)
    body = whole(replace(clip, skeleton=rig))
    kept, _ = tree(rig)
    assert [body.skeleton.names[j] for j in body.skeleton.roots] == ["Body"]
    walked = replace(body, translations=body.translations + np.linspace(0, 3, 40)[:, None, None]
                     * np.array([0, 0, 1]) * (np.arange(body.skeleton.n_joints) == 0)[:, None])  # fmt: skip
    back = spread(walked, rig)
    at = [body.skeleton.names.index(rig.names[j]) for j in kept]
    assert back.world()[0][:, kept] == pytest.approx(walked.world()[0][:, at], abs=1e-9)
    assert back.travel()[-1] == pytest.approx([0, 0, 3], abs=1e-9), "the hub goes along"
    assert np.ptp(back.world()[0][:, 0, 1]) == 0, "on the ground"
