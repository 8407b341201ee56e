"""Retargeting: the identity on the same rig, the same directions on varied rigs, scaled travel, mirrored names."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace

import numpy as np
import pytest

import anyrig
from anyrig import creatures
from anyrig.augmentation import Augmentation
from anyrig.cli import main
from anyrig.conform import scaled
from anyrig.errors import SettingsError, SkeletonError
from anyrig.evaluation import bone_length_error, energy
from anyrig.retargeting import partners, retarget


def a_clip(kind, action="walk", seed=0):
    plan = creatures.plan(kind, random.Random(seed))
    known = creatures.actions(plan)
    return creatures.clip(plan, action if action in known else known[0], random.Random(0), 1.0, 15)


@pytest.mark.parametrize("kind", creatures.kinds())
def test_on_the_same_rig_nothing_changes(kind):
    clip = a_clip(kind)
    for before, after in zip(clip.world(), retarget(clip, clip.skeleton).world(), strict=True):
        assert np.abs(np.abs(before) - np.abs(after)).max() < 1e-9


@pytest.mark.parametrize("kind", ["biped", "quadruped", "bird"])
def test_the_feet_of_a_varied_rig_keep_their_direction(kind):
    clip = a_clip(kind)
    how = Augmentation(lengths=(1.0, 1.0), size=(1.5, 1.5), n_removals=0, rest_rad=0.0, axes=True)
    other = anyrig.augment(clip, np.random.default_rng(1), how)
    moved = retarget(clip, other.skeleton)
    for a, b in ((clip, moved), (other, moved)):
        ends = [j for j in range(a.skeleton.n_joints) if not a.skeleton.children[j]]
        hub = a.skeleton.main_root
        for j in ends:
            k = b.skeleton.index(a.skeleton.names[j])
            ways = [c.world()[0][:, e] - c.world()[0][:, h] for c, e, h in ((a, j, hub), (b, k, b.skeleton.main_root))]
            ways = [w / np.linalg.norm(w, axis=-1, keepdims=True) for w in ways]
            assert np.sum(ways[0] * ways[1], axis=-1).min() > 0.999


def test_travel_grows_with_the_rig():
    clip = a_clip("quadruped")
    large = scaled(clip, 3.0)
    np.testing.assert_allclose(retarget(clip, large.skeleton).world()[0], large.world()[0], atol=1e-6)


def test_mirrored_names_do_not_swap_the_sides():
    clip = a_clip("biped")
    swap = {"Left": "Right", "Right": "Left"}
    names = tuple(re.sub("Left|Right", lambda m: swap[m[0]], n) for n in clip.skeleton.names)
    assert names != clip.skeleton.names
    other = replace(clip.skeleton, names=names)
    moved = retarget(clip, other, facings=("z", "z"))
    np.testing.assert_allclose(moved.world()[0], clip.world()[0], atol=1e-6)


@pytest.mark.parametrize("kind", ["dragon", "bird", "hexapod", "serpent"])
def test_a_clip_moves_any_rig_without_stretching_it(kind):
    clip = a_clip("quadruped", "attack")
    moved = retarget(clip, a_clip(kind).skeleton)
    assert bone_length_error(moved) < 1e-9
    assert energy(moved) > 0.3 * energy(clip)


def test_a_map_decides():
    clip = a_clip("biped")
    name = clip.skeleton.names[-1]
    rows = {joint: (partner, why) for joint, partner, why in partners(clip.skeleton, clip.skeleton, {name: ""})}
    assert rows[name][0] == "-"
    with pytest.raises(SkeletonError):
        retarget(clip, clip.skeleton, {"nothing": name})
    pole = anyrig.Skeleton(("a", "b"), (-1, 0), [[0, 0, 0], [0, 1, 0]])
    with pytest.raises(SettingsError, match="no joint of the rig has a partner"):
        retarget(clip, pole, {"b": ""})


def test_the_command_writes_clips_and_says_what_is_wrong(tmp_path, capsys):
    clip, rig = a_clip("biped"), a_clip("quadruped")
    anyrig.save(clip, tmp_path / "clip.bvh")
    anyrig.save(anyrig.Asset(rig.skeleton), tmp_path / "rig.glb")
    (tmp_path / "map.json").write_text(json.dumps({rig.skeleton.names[-1]: ""}))
    files = ["--from", str(tmp_path / "clip.bvh"), "--to", str(tmp_path / "rig.glb")]
    more = ["--out", str(tmp_path / "out.glb"), "--map", str(tmp_path / "map.json"), "--sheet", str(tmp_path / "s.png")]
    assert main(["retarget", *files, *more, "--show-map"]) == 0
    assert rig.skeleton.names[-1] in capsys.readouterr().out
    assert anyrig.load(tmp_path / "out.glb").clips[0].n_frames == clip.n_frames
    assert main(["retarget", "--from", files[3], "--to", files[3], *more]) == 2
    assert capsys.readouterr().err.count("\n") == 1
