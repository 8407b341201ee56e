"""Every export is valid glTF, whatever the file it came from: by the rules here, and by the validator itself where
``ANYRIG_READERS`` names a folder that has it (``make test-readers``)."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gltf_oracle import Builder, array, parse, world_matrices

from anyrig import io
from anyrig import rotations as rot
from anyrig.errors import FileWarning
from anyrig.io.gltf_write import three_name
from anyrig.skeleton import Clip, Skeleton

READERS = os.environ.get("ANYRIG_READERS")


def creature(**more):
    """A skinned mesh on three bones below an armature, with two animations that move different ones."""
    b = Builder(
        nodes=[
            {"name": "Armature", "children": [1]},
            {"name": "hip", "translation": [0, 1, 0], "children": [2, 3]},
            {"name": "leg", "translation": [0.1, -0.5, 0]},
            {"name": "tail", "translation": [0, 0, -0.5]},
            {"name": "body", "mesh": 0, "skin": 0},
        ],
        scenes=[{"nodes": [0, 4]}],
        scene=0,
        **more,
    )
    points = b.add(np.eye(3), "VEC3")
    b.document["accessors"][points] |= {"min": [0, 0, 0], "max": [1, 1, 1]}
    attributes = {
        "POSITION": points,
        "JOINTS_0": b.add([[0, 1, 0, 0]] * 3, "VEC4", "<u2"),
        "WEIGHTS_0": b.add([[0.25, 0.75, 0, 0]] * 3, "VEC4"),
    }
    b.document["meshes"] = [{"primitives": [{"attributes": attributes}]}]
    b.document["skins"] = [{"joints": [1, 2, 3], "inverseBindMatrices": b.add(np.tile(np.eye(4), (3, 1, 1)), "MAT4")}]
    turns = rot.about("z", [0, 1, 2])[:, [1, 2, 3, 0]]
    animate(b, "walk", (1, "rotation", [0, 0.5, 1], turns), (2, "rotation", [0, 0.5, 1], turns))
    animate(b, "wag", (3, "rotation", [0, 0.5, 1], turns), (1, "translation", [0, 0.5, 1], np.ones((3, 3))))
    return b


def animate(b, name, *channels):
    made = {"name": name, "channels": [], "samplers": []}
    for node, path, times, values in channels:
        start = b.add(times, "SCALAR")
        b.document["accessors"][start] |= {"min": [float(min(times))], "max": [float(max(times))]}
        made["channels"].append({"sampler": len(made["samplers"]), "target": {"node": node, "path": path}})
        made["samplers"].append({"input": start, "output": b.add(values, f"VEC{np.shape(values)[1]}")})
    b.document.setdefault("animations", []).append(made)
    return b


def exported(b, tmp_path, keep=()):
    """What is written, by itself and with new clips; ``keep`` are numbers of clips that stay those that were read."""
    path = tmp_path / "in.glb"
    path.write_bytes(b.bytes())
    model = io.load(path)
    clips = tuple(c if n in keep else replace(c) for n, c in enumerate(model.clips))
    out = tmp_path / "out.glb"
    io.save(replace(model, clips=clips), out)
    io.save(replace(model, clips=clips), tmp_path / "out.gltf")
    assert [errors for _, errors in validated(out, tmp_path / "out.gltf") if errors] == []
    back = io.load(out)
    for a, c in zip(clips, back.clips, strict=False):
        assert c.world()[0] == pytest.approx(a.world()[0], abs=1e-5)
    return parse(out.read_bytes())


def validated(*paths):
    if READERS is None:
        return []
    script = Path(__file__).parent / "readers" / "validate.mjs"
    done = subprocess.run(["node", script, *paths], capture_output=True, text=True, cwd=READERS)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


KEEP = pytest.mark.parametrize("keep", [(), (0,), (0, 1)], ids=["new clips", "one kept", "all kept"])


def unrounded(q):
    return [float(v) for v in q]


@pytest.mark.parametrize(
    "q", [[0, 0, 0, 1.0000000000000002], [0, -1.0000000000000002, 0, 0], [0, 0, 3, 4], [0.7072, 0, 0, 0.7072], [0] * 4]
)
def test_rotations_of_nodes_are_of_length_one(tmp_path, q):
    b = creature()
    b.document["nodes"][2]["rotation"] = unrounded(q)
    document, _ = exported(b, tmp_path)
    for node in document["nodes"]:
        r = np.array(node.get("rotation", [0, 0, 0, 1]))
        assert np.abs(r).max() <= 1
        assert np.linalg.norm(r) == pytest.approx(1, abs=1e-5)


def test_skeletons_from_elsewhere_are_written_with_such_rotations_too(tmp_path):
    rng = np.random.default_rng(1)
    n = 200
    rest = rot.multiply(rot.random(rng, n), rot.about("x", 1e-9))
    skeleton = Skeleton(tuple(f"b{j}" for j in range(n)), tuple(rng.integers(-1, 1) for _ in range(n)), rng.normal(size=(n, 3)), rest)  # fmt: skip  # noqa: E501
    io.save(Clip(skeleton, rot.random(rng, 3, n), skeleton.offsets, 30.0), tmp_path / "new.glb")
    document, _ = parse((tmp_path / "new.glb").read_bytes())
    assert max(abs(v) for node in document["nodes"] for v in node.get("rotation", [0])) <= 1
    assert [errors for _, errors in validated(tmp_path / "new.glb") if errors] == []
    tops = set(range(len(document["nodes"]))) - {c for node in document["nodes"] for c in node.get("children", [])}
    assert len(tops & set(document["scenes"][0]["nodes"])) == 2, "the mesh, and one node above all joints"
    assert set(io.load(tmp_path / "new.glb").skeleton.names) == set(skeleton.names)


def sparse(b):
    """A morph target without a buffer view: zeros, of which some are replaced."""
    at, values = b.add([1], "SCALAR", "<u2"), b.add([[0, 0, 1]], "VEC3")
    views = [b.document["accessors"][i]["bufferView"] for i in (at, values)]
    entry = {"count": 1, "indices": {"bufferView": views[0], "componentType": 5123}, "values": {"bufferView": views[1]}}
    bounds = {"min": [0, 0, 0], "max": [0, 0, 1]}
    b.document["accessors"].append({"componentType": 5126, "type": "VEC3", "count": 3, "sparse": entry} | bounds)
    b.document["meshes"][0]["primitives"][0]["targets"] = [{"POSITION": len(b.document["accessors"]) - 1}]


def zeros(b):
    """Normals that are nowhere stored, as Draco leaves all of them."""
    b.document["accessors"].append({"componentType": 5126, "type": "VEC3", "count": 3})
    b.document["meshes"][0]["primitives"][0]["attributes"]["_OWN"] = len(b.document["accessors"]) - 1


@pytest.mark.parametrize("change", [sparse, zeros])
@KEEP
def test_what_has_no_buffer_view_has_no_offset_into_one(tmp_path, change, keep):
    b = creature()
    change(b)
    document, _ = exported(b, tmp_path, keep)
    without = [a for a in document["accessors"] if "bufferView" not in a]
    assert without
    assert not any("byteOffset" in a for a in without)


@pytest.mark.parametrize("node", [0, 1, 2, 3])
@KEEP
def test_a_node_that_moves_has_no_matrix(tmp_path, node, keep):
    b = creature()
    place = {"rotation": rot.about("y", 0.3)[[1, 2, 3, 0]], "scale": np.array([2, 2, 2.0]), "translation": [1, 2, 3]}
    b.document["nodes"][node].pop("translation", None)
    b.document["nodes"][node]["matrix"] = world_matrices({"nodes": [place]}, {})[0].T.ravel().tolist()
    document, _ = exported(b, tmp_path, keep)
    moved = {c["target"]["node"] for a in document["animations"] for c in a["channels"]}
    assert not any("matrix" in document["nodes"][n] for n in moved)
    before, after = (world_matrices(d, {}) for d in (b.document, document))
    assert np.array(after) == pytest.approx(np.array(before), abs=1e-6)


@pytest.mark.parametrize("skeleton", [0, 1, 2, 3, 4])
def test_a_skins_skeleton_is_above_all_its_joints_or_not_said(tmp_path, skeleton):
    b = creature()
    b.document["skins"][0]["skeleton"] = skeleton
    document, _ = exported(b, tmp_path)
    assert document["skins"][0].get("skeleton") == (skeleton if skeleton < 2 else None)


def test_joints_of_several_trees_get_a_node_above_them(tmp_path):
    b = creature()
    b.document["nodes"][1]["children"] = [2]
    b.document["scenes"] = [{"nodes": [0, 3, 4]}]
    document, _ = exported(b, tmp_path)
    top = document["nodes"][-1]
    assert top["children"] == [0, 3]
    assert document["scenes"][0]["nodes"] == [4, len(document["nodes"]) - 1]


@pytest.mark.parametrize("row", [[0, -4.7e-17, 0, 1], [0, 0, 0, 0.9999999], [1e-9, 0, 0, 1]])
@KEEP
def test_bind_matrices_end_in_zeros_and_a_one(tmp_path, row, keep):
    b = creature()
    matrices = np.tile(np.eye(4), (3, 1, 1))
    matrices[1, :, 3] = row
    b.document["skins"][0]["inverseBindMatrices"] = b.add(matrices, "MAT4")
    document, blob = exported(b, tmp_path, keep)
    there = array(document, blob, document["skins"][0]["inverseBindMatrices"]).reshape(3, 4, 4)
    assert there == pytest.approx(np.tile(np.eye(4), (3, 1, 1)))
    assert np.array_equal(there[:, :, 3], np.tile([0, 0, 0, 1], (3, 1)))


@pytest.mark.parametrize(
    ("joints", "weights", "expected"),
    [
        ([0, 0, 0, 0], [np.nan] * 4, {0: 1}),
        ([2, 1, 0, 0], [np.nan, 0.5, 0, 0], {1: 1}),
        ([1, 1, 2, 0], [0.25, 0.25, 0.5, 0], {1: 0.5, 2: 0.5}),
        ([2, 1, 0, 0], [0, 0, 0, 0], {2: 1}),
        ([2, 1, 0, 0], [2, 2, 0, 0], {2: 0.5, 1: 0.5}),
        ([2, 1, 0, 0], [1.5, -0.5, 0, 0], {2: 1}),
        ([2, 1, 0, 0], [np.inf, 0.5, 0.5, 0], {1: 0.5, 0: 0.5}),
    ],
)
def test_weights_are_numbers_that_add_up_to_one(tmp_path, joints, weights, expected):
    b = creature()
    attributes = b.document["meshes"][0]["primitives"][0]["attributes"]
    attributes["JOINTS_0"] = b.add([joints, [0, 1, 0, 0], [1, 0, 0, 0]], "VEC4", "<u2")
    attributes["WEIGHTS_0"] = b.add([weights, [0.5, 0.5, 0, 0], [1, 0, 0, 0]], "VEC4")
    document, blob = exported(b, tmp_path)
    attributes = document["meshes"][0]["primitives"][0]["attributes"]
    j, w = (array(document, blob, attributes[name])[0] for name in ("JOINTS_0", "WEIGHTS_0"))
    assert {int(a): float(c) for a, c in zip(j, w, strict=True) if c} == expected


def test_sound_weights_stay_bit_for_bit(tmp_path):
    b = creature()
    before = array(b.document, b.blob, b.document["meshes"][0]["primitives"][0]["attributes"]["WEIGHTS_0"])
    document, blob = exported(b, tmp_path)
    after = array(document, blob, document["meshes"][0]["primitives"][0]["attributes"]["WEIGHTS_0"])
    assert np.array_equal(before, after)


TURNS = rot.about("z", [0, 1, 2])[:, [1, 2, 3, 0]]


@pytest.mark.parametrize(
    ("times", "turns"),
    [
        ([-0.5, 0, 0.5], TURNS),
        ([0, 0.5, 0.5], TURNS),
        ([0, 0, 0], TURNS),
        ([0, 0.5, 1], 3 * TURNS),
        ([0, 0.5, 1], [[0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
    ],
)
def test_kept_animations_have_times_that_increase_and_rotations_of_length_one(tmp_path, times, turns):
    b = animate(creature(), "odd", (2, "rotation", times, turns))
    document, blob = exported(b, tmp_path, keep=(0, 1, 2))
    odd = next(a for a in document["animations"] if a["name"] == "odd")
    (sampler,) = odd["samplers"]
    times, turns = (array(document, blob, sampler[k]) for k in ("input", "output"))
    assert times[0] >= 0
    assert (np.diff(times[:, 0]) > 0).all()
    assert np.linalg.norm(turns, axis=-1) == pytest.approx(1)


def test_of_two_channels_with_one_target_the_one_that_is_read_stays(tmp_path):
    b = animate(creature(), "twice", (2, "rotation", [0, 0.5, 1], TURNS), (2, "rotation", [0, 0.5, 1], TURNS[::-1]))
    document, blob = exported(b, tmp_path, keep=(0, 1, 2))
    (channel,) = next(a for a in document["animations"] if a["name"] == "twice")["channels"]
    sampler = next(a for a in document["animations"] if a["name"] == "twice")["samplers"][channel["sampler"]]
    assert array(document, blob, sampler["output"]) == pytest.approx(TURNS[::-1], abs=1e-6)


@pytest.mark.parametrize(
    "sampler", [{"input": 99, "output": 0}, {"input": "x", "output": 0}, {}, {"input": 0, "output": 0}]
)
def test_a_malformed_animation_of_something_else_is_left_out_and_told(tmp_path, sampler):
    b = creature()
    broken = {
        "name": "odd",
        "samplers": [sampler],
        "channels": [{"sampler": 0, "target": {"node": 4, "path": "weights"}}],
    }
    b.document["animations"].append(broken)
    with pytest.warns(FileWarning, match=r"in\.glb: an animation is left out"):
        document, _ = exported(b, tmp_path)
    assert [a["name"] for a in document["animations"]] == ["walk", "wag"]


@pytest.mark.parametrize("bounds", [{"min": [0, 0, 0], "max": [9, 9, 9]}, {}])
def test_bounds_are_those_of_the_data(tmp_path, bounds):
    b = creature()
    points = b.document["accessors"][b.document["meshes"][0]["primitives"][0]["attributes"]["POSITION"]]
    points.pop("min"), points.pop("max")
    points |= bounds
    document, _ = exported(b, tmp_path)
    points = document["accessors"][document["meshes"][0]["primitives"][0]["attributes"]["POSITION"]]
    assert (points["min"], points["max"]) == ([0, 0, 0], [1, 1, 1])


def keyed(document):
    return {
        a["name"]: {(c["target"]["node"], c["target"]["path"]) for c in a["channels"]} for a in document["animations"]
    }


def test_every_clip_keys_the_same_joints_as_soon_as_one_is_new(tmp_path):
    wanted = {(1, "rotation"), (1, "translation"), (2, "rotation"), (3, "rotation")}
    for keep in ((), (0,), (1,)):
        document, blob = exported(creature(), tmp_path, keep)
        assert keyed(document) == {"walk": wanted, "wag": wanted}
        walk = document["animations"][0]
        still = next(c for c in walk["channels"] if c["target"] == {"node": 1, "path": "translation"})
        assert array(document, blob, walk["samplers"][still["sampler"]]["output"])[-1] == pytest.approx([0, 1, 0])
    assert {len(channels) for channels in keyed(exported(creature(), tmp_path, (0, 1))[0]).values()} == {2}


def test_scales_that_one_clip_has_are_keyed_in_the_others_and_starts_stay(tmp_path):
    b = animate(creature(), "grow", (2, "scale", [1, 1.5, 2], np.ones((3, 3)) * [[1], [2], [3]]))
    document, blob = exported(b, tmp_path, keep=(2,))
    assert len(set(map(frozenset, keyed(document).values()))) == 1
    assert (2, "scale") in keyed(document)["walk"]
    grow = next(a for a in document["animations"] if a["name"] == "grow")
    assert {float(array(document, blob, s["input"])[0, 0]) for s in grow["samplers"]} == {1.0}


def test_clips_of_a_skeleton_from_elsewhere_key_the_same_joints(tmp_path):
    skeleton = Skeleton(tuple("abc"), (-1, 0, 1), np.ones((3, 3)))
    clips = []
    for j in range(3):
        turns = rot.identity(4, 3)
        turns[:, j] = rot.about("x", np.arange(4))
        clips.append(Clip(skeleton, turns, skeleton.offsets, 30.0, name=f"clip {j}"))
    io.save(io.Asset(skeleton, tuple(clips)), tmp_path / "out.glb")
    document, _ = parse((tmp_path / "out.glb").read_bytes())
    assert {frozenset(k) for k in keyed(document).values()} == {frozenset((n, "rotation") for n in range(3))}


def by_three(document):
    """The names that three.js gives to nodes, in the order in which it comes to them: depth first."""
    used, names = {}, {}

    def unique(name):
        if three_name(name) in used:
            used[three_name(name)] += 1
            return f"{three_name(name)}_{used[three_name(name)]}"
        used[three_name(name)] = 0
        return three_name(name)

    def visit(n):
        node = document["nodes"][n]
        names[n] = unique(node["name"])
        if "mesh" in node:
            for _ in document["meshes"][node["mesh"]]["primitives"]:
                unique(document["meshes"][node["mesh"]].get("name", f"mesh_{node['mesh']}"))
        for child in node.get("children", []):
            visit(child)

    for n in document["scenes"][0]["nodes"]:
        visit(n)
    return names


@pytest.mark.parametrize(
    "names",
    [
        ("arm", "arm", "arm_1"),
        ("arm_1", "arm", "arm"),
        ("Leg.L", "LegL", "LegL_1"),
        ("a b", "a_b", "a_b_1"),
        ("mixamorig:Hips", "mixamorigHips", "mixamorig:Hips"),
        ("skin", "skin_1", "skin_2"),
    ],
)
def test_names_stay_apart_in_three(tmp_path, names):
    b = creature()
    for node, name in zip(b.document["nodes"][1:4], names, strict=True):
        node["name"] = name
    b.document["meshes"][0] |= {"name": "skin", "primitives": b.document["meshes"][0]["primitives"] * 2}
    document, _ = exported(b, tmp_path)
    found = by_three(document)
    assert len(set(found.values())) == len(found)
    skeleton = Skeleton(names, (-1, 0, 0), np.ones((3, 3)))
    io.save(Clip(skeleton, rot.random(np.random.default_rng(0), 4, 3), skeleton.offsets, 30.0), tmp_path / "new.glb")
    found = by_three(parse((tmp_path / "new.glb").read_bytes())[0])
    assert len(set(found.values())) == len(found)


def test_names_that_collide_with_none_stay(tmp_path):
    document, _ = exported(creature(), tmp_path)
    assert [n["name"] for n in document["nodes"]] == ["Armature", "hip", "leg", "tail", "body"]
