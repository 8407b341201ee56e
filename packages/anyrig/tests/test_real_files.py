"""Every creature in ``../shared/data/motion/quaternius``: loaded, looped, written and read again.

The truth to hold positions against is a second reading of each file by plain 4x4 matrices, at every key.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from gltf_oracle import array, key_positions, parse

from anyrig import conform, io
from anyrig import rotations as rot

FOLDER = Path(__file__).parents[4] / "shared" / "data" / "motion" / "quaternius"
FILES = sorted(FOLDER.glob("*/*.glb"))
TOLERANCE = 1e-4

pytestmark = pytest.mark.skipif(not FILES, reason=f"the creatures are not in {FOLDER}")


@pytest.fixture(scope="module", params=FILES or [None], ids=lambda p: p.stem if p else "none")
def creature(request):
    """A file's model, its JSON and arrays, and the node of each joint; all tests of one file come in turn."""
    document, blob = parse(request.param.read_bytes())
    model = io.load(request.param)
    names = [node["name"] for node in document["nodes"]]
    nodes = [names.index(name) for name in model.skeleton.names]
    return SimpleNamespace(path=request.param, model=model, document=document, blob=blob, nodes=nodes)


def test_every_key_is_where_the_file_has_it(creature):
    assert {n for s in creature.document["skins"] for n in s["joints"]} <= set(creature.nodes)
    animations = creature.document["animations"]
    assert [c.name for c in creature.model.clips] == [a["name"] for a in animations]
    for clip, animation in zip(creature.model.clips, animations, strict=True):
        times, positions = key_positions(creature.document, creature.blob, animation)
        assert (clip.fps, clip.n_frames) == (24, len(times))
        assert np.abs(clip.world()[0] - positions[:, creature.nodes]).max() < 1e-6


def test_written_and_read_again_it_is_the_same(creature, tmp_path):
    model, again = creature.model, tmp_path / "again.glb"
    io.save(replace(model, clips=tuple(replace(c) for c in model.clips)), again)  # new objects: all keys written anew
    back = io.load(again)
    assert (back.skeleton.names, back.skeleton.parents) == (model.skeleton.names, model.skeleton.parents)
    assert back.skeleton.rest_positions() == pytest.approx(model.skeleton.rest_positions(), abs=1e-9)
    for a, b in zip(back.clips, model.clips, strict=True):
        assert (a.name, a.fps, a.n_frames) == (b.name, b.fps, b.n_frames)
        assert np.abs(a.world()[0] - b.world()[0]).max() < TOLERANCE / 10
    assert_mesh_and_skin_kept(creature.document, creature.blob, *parse(again.read_bytes()))
    assert again.stat().st_size < 1.1 * creature.path.stat().st_size


def assert_mesh_and_skin_kept(document, blob, other, other_blob):
    def same(i, j):  # some of the files have weights that are no numbers, and what is written has numbers there
        a, b = array(document, blob, i), array(other, other_blob, j)
        good = np.isfinite(a).reshape(len(a), -1).all(axis=1)
        return np.isfinite(b).all() and np.array_equal(a[good], b[good])

    assert [n["name"] for n in other["nodes"]] == [n["name"] for n in document["nodes"]]
    for a, b in zip(document["skins"], other["skins"], strict=True):
        assert a["joints"] == b["joints"]
        assert same(a["inverseBindMatrices"], b["inverseBindMatrices"])
    assert [m["name"] for m in document["materials"]] == [m["name"] for m in other["materials"]]
    for a, b in zip(document["meshes"], other["meshes"], strict=True):
        for p, q in zip(a["primitives"], b["primitives"], strict=True):
            assert p["attributes"].keys() == q["attributes"].keys()
            assert same(p["indices"], q["indices"])
            assert all(same(index, q["attributes"][name]) for name, index in p["attributes"].items())


def test_as_bvh_it_keeps_names_rest_pose_and_positions(creature, tmp_path):
    model = creature.model
    clip = min(model.clips, key=lambda c: c.n_frames)
    io.save(clip, tmp_path / "clip.bvh")
    back = io.load(tmp_path / "clip.bvh").clips[0]
    assert sorted(back.skeleton.names) == sorted(model.skeleton.names)
    order = [model.skeleton.names.index(name) for name in back.skeleton.names]
    here, there = (s.rest_positions() for s in (model.skeleton, back.skeleton))
    main = model.skeleton.main_root
    assert np.abs(there - there[back.skeleton.main_root] - (here - here[main])[order]).max() < TOLERANCE / 10
    assert back.fps == clip.fps
    assert np.abs(back.world()[0] - clip.world()[0][:, order]).max() < TOLERANCE / 10


def test_every_clip_loops(creature):
    for clip in creature.model.clips:
        loop, root = conform.looped(clip), clip.skeleton.main_root
        below = [j for j in range(clip.skeleton.n_joints) if j not in clip.skeleton.roots]
        assert rot.angle(loop.rotations[0, below], loop.rotations[-1, below]).max() < 1e-6
        first, last = loop.world()[0][[0, -1]]
        if rot.angle(loop.rotations[0, root], loop.rotations[-1, root]) < 1e-6:  # it did not turn on purpose
            assert np.abs(last - loop.travel()[-1] - first).max() < TOLERANCE
        else:
            assert clip.name.endswith("Death"), "nothing but a fall turns a creature over"
