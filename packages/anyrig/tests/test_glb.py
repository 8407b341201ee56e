from __future__ import annotations

import base64
import json
import struct
from dataclasses import replace

import numpy as np
import pygltflib
import pytest
from gltf_oracle import Builder, array, glb, key_positions, parse, world_matrices
from hypothesis import given, settings
from hypothesis import strategies as st

from anyrig import rotations as rot
from anyrig.errors import AnyrigError, ClipError, FileError, SettingsError
from anyrig.io import Asset, read_glb, write_glb
from anyrig.skeleton import Clip, Skeleton

seeds = st.integers(0, 2**32 - 1)


@pytest.fixture
def saved(tmp_path):
    def save(data, name="rig.glb"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return save


def xyzw(rng, *shape):
    return rot.random(rng, *shape)[..., [1, 2, 3, 0]]


def random_rig(rng, n_frames=5):
    """Nodes with any transforms, scales and gaps between joints; one animation with keys on some frames at 30 fps."""
    n = int(rng.integers(3, 12))
    nodes = [{"name": f"n{i}", "children": []} for i in range(n)]
    for i in range(1, n):
        parent = int(rng.integers(-1, i))
        if parent >= 0:
            nodes[parent]["children"].append(i)
    order = rng.permutation(n)  # children may stand before their parents in a file
    nodes = [nodes[i] for i in order]
    place = {int(old): new for new, old in enumerate(order)}
    for node in nodes:
        node["children"] = [place[c] for c in node["children"]]
        scale = rng.choice([1.0, 100.0, 0.01, -1.0]) * (rng.uniform(0.5, 2, 3) if rng.random() < 0.3 else np.ones(3))
        trs = {"translation": rng.normal(size=3), "rotation": xyzw(rng), "scale": scale}
        if rng.random() < 0.2:
            trs["scale"] = np.abs(trs["scale"])
            node["matrix"] = world_matrices({"nodes": [trs]}, {})[0].T.ravel().tolist()
        else:
            node |= {k: v.tolist() for k, v in trs.items()}
    joints = [int(j) for j in rng.choice(n, size=int(rng.integers(1, n)), replace=False)]
    b = Builder(nodes=nodes, skins=[{"joints": joints}])
    times = b.add(np.arange(n_frames) / 30, "SCALAR")
    animation = {"name": "move", "channels": [], "samplers": []}
    for i in range(n):
        for path in ("rotation", "translation", "scale"):
            if "matrix" not in nodes[i] and rng.random() < 0.5:
                values = xyzw(rng, n_frames) if path == "rotation" else rng.normal(size=(n_frames, 3))
                output = b.add(values, "VEC4" if path == "rotation" else "VEC3")
                target = {"node": i, "path": path}
                animation["channels"].append({"sampler": len(animation["samplers"]), "target": target})
                animation["samplers"].append({"input": times, "output": output})
    if animation["channels"]:
        b.document["animations"] = [animation]
    return b


def joint_nodes(model, document):
    names = [node["name"] for node in document["nodes"]]
    return [names.index(name) for name in model.skeleton.names]


@settings(max_examples=60)
@given(seed=seeds)
def test_every_joint_is_where_matrices_put_it_and_stays_there_when_written(seed, tmp_path_factory):
    b = random_rig(np.random.default_rng(seed))
    path = tmp_path_factory.mktemp("glb") / "random.glb"
    path.write_bytes(b.bytes())
    model = read_glb(path)
    at = joint_nodes(model, b.document)
    assert set(b.document["skins"][0]["joints"]) <= set(at)
    rest = np.array([m[:3, 3] for m in world_matrices(b.document, {})])[at]
    size = max(1.0, np.abs(rest).max())
    assert model.skeleton.rest_positions() == pytest.approx(rest, abs=1e-9 * size)
    for clip in model.clips:
        expected = key_positions(*parse(path.read_bytes()), b.document["animations"][0])[1][:, at]
        assert clip.fps == 30
        size = max(size, np.abs(expected).max())
        assert clip.world()[0] == pytest.approx(expected, abs=1e-5 * size)
    again = path.with_name("again.glb")
    for clips in (model.clips, tuple(replace(c) for c in model.clips)):
        write_glb(replace(model, clips=clips), again)
        back = read_glb(again)
        assert back.skeleton.names == model.skeleton.names
        assert back.skeleton.rest_positions() == pytest.approx(model.skeleton.rest_positions(), abs=1e-9 * size)
        for x, y in zip(model.clips, back.clips, strict=True):
            assert y.world()[0] == pytest.approx(x.world()[0], abs=1e-4 * size)


def small_rig(**more):
    """A skinned, textured mesh with morph targets on two bones below a scaled armature, with three animations."""
    nodes = [
        {"name": "Armature", "scale": [100, 100, 100], "rotation": [-(0.5**0.5), 0, 0, 0.5**0.5], "children": [1]},
        {"name": "hip", "translation": [0, 0, 0.01], "children": [2, 3]},
        {"name": "leg", "translation": [0, 0.005, 0], "children": [4]},
        {"name": "mesh", "mesh": 0, "skin": 0, "weights": [0.25, 0.5]},
        {"name": "leg_end", "translation": [0, 0.004, 0]},
    ]
    b = Builder(
        nodes=nodes,
        scenes=[{"nodes": [0]}],
        scene=0,
        materials=[{"name": "skin", "extras": ["any", {"json": None}], "extensions": {"KHR_materials_unlit": {}}}],
        extensionsUsed=["KHR_materials_unlit"],
        extras="made by hand",
    )
    positions = b.add(np.eye(3), "VEC3")
    primitive = {
        "attributes": {"POSITION": positions, "_OWN": b.add([1, 2, 3], "SCALAR")},
        "targets": [{"POSITION": b.add(np.ones((3, 3)), "VEC3")}, {"POSITION": b.add(np.zeros((3, 3)), "VEC3")}],
        "indices": b.add([0, 1, 2], "SCALAR", "<u2"),
        "material": 0,
    }
    b.document["meshes"] = [{"primitives": [primitive], "extras": {"targetNames": ["a", "b"]}}]
    b.document["skins"] = [{"joints": [2, 1], "inverseBindMatrices": b.add(np.tile(np.eye(4), (2, 1, 1)), "MAT4")}]
    times = b.add([0, 0.5, 1], "SCALAR")
    turns = b.add(rot.about("z", [0, 1, 2])[:, [1, 2, 3, 0]], "VEC4")
    cubic = b.add(np.random.default_rng(0).normal(size=(9, 3)), "VEC3")
    b.document["animations"] = [
        animation("turn", (2, "rotation", times, turns, "LINEAR")),
        animation("jump", (1, "translation", times, cubic, "CUBICSPLINE"), (3, "weights", times, cubic, "LINEAR")),
        animation("morph", (3, "weights", times, cubic, "LINEAR")),
    ]
    b.document |= more
    return b


def animation(name, *channels):
    return {
        "name": name,
        "channels": [{"sampler": n, "target": {"node": c[0], "path": c[1]}} for n, c in enumerate(channels)],
        "samplers": [{"input": c[2], "output": c[3], "interpolation": c[4]} for c in channels],
    }


def referred(document, blob):
    """What a document shows, with every index replaced by the array behind it."""
    get = lambda i: array(document, blob, i).tolist()  # noqa: E731
    for mesh in document["meshes"]:
        for p in mesh["primitives"]:
            for table in (p["attributes"], *p.get("targets", [])):
                table.update({k: get(v) for k, v in table.items()})
            p["indices"] = get(p["indices"])
    for skin in document["skins"]:
        skin["inverseBindMatrices"] = get(skin["inverseBindMatrices"])
    for a in document["animations"]:
        for s in a["samplers"]:
            s |= {"input": get(s["input"]), "output": get(s["output"])}
    return document


def test_what_was_not_changed_is_kept_to_the_letter(saved, tmp_path):
    path = saved(small_rig().bytes())
    write_glb(read_glb(path), tmp_path / "again.glb")
    before = referred(*parse(path.read_bytes()))
    after = referred(*parse((tmp_path / "again.glb").read_bytes()))
    for key in ("nodes", "skins", "animations", "scenes", "extras"):
        assert after[key] == before[key], key
    assert after["meshes"][0]["primitives"][0].items() >= before["meshes"][0]["primitives"][0].items()
    assert after["meshes"][0]["extras"] == before["meshes"][0]["extras"]
    assert after["materials"][0].items() >= before["materials"][0].items()


def test_joints_are_named_by_skins_and_listed_from_the_root(saved):
    model = read_glb(saved(small_rig().bytes()))
    assert model.skeleton.names == ("hip", "leg")
    assert model.skeleton.rest_positions() == pytest.approx(np.array([[0, 1, 0], [0, 1, -0.5]]), abs=1e-6)
    assert [c.name for c in model.clips] == ["turn", "jump"], "what only morphs moves no joint"
    assert model.clip("jump").fps == 24, "keys at 0, 0.5 and 1 s fall on frames of 24 fps"
    with pytest.raises(ClipError, match="'turn', 'jump'"):
        model.clip("walk")


def test_a_moving_armature_is_a_joint(saved):
    b = small_rig()
    times = b.document["animations"][0]["samplers"][0]["input"]
    moving = animation("roll", (0, "translation", times, b.add([[0, 0, 0], [0, 0, 1], [0, 0, 2]], "VEC3"), "LINEAR"))
    still = animation("stay", (0, "translation", times, b.add(np.zeros((3, 3)), "VEC3"), "LINEAR"))
    b.document["animations"].append(still)
    assert read_glb(saved(b.bytes())).skeleton.names == ("hip", "leg")
    b.document["animations"].append(moving)
    model = read_glb(saved(b.bytes()))
    assert model.skeleton.names == ("Armature", "hip", "leg")
    assert model.clip("roll").travel()[-1] == pytest.approx([0, 0, 2])


def test_interpolation_is_that_of_the_standard(saved):
    b = small_rig()
    clip = read_glb(saved(b.bytes())).clip("turn")
    assert rot.angle(clip.rotations[6, 1], rot.about("z", 0.5)) < 1e-6, "halfway to the first key"
    spline = array(b.document, b.blob, b.document["animations"][1]["samplers"][0]["output"]).reshape(3, 3, 3)
    t, d = 0.25 / 0.5, 0.5
    middle = (2 * t**3 - 3 * t**2 + 1) * spline[0, 1] + d * (t**3 - 2 * t**2 + t) * spline[0, 2]
    middle += (-2 * t**3 + 3 * t**2) * spline[1, 1] + d * (t**3 - t**2) * spline[1, 0]
    turn = rot.about("x", -np.pi / 2)
    jump = read_glb(saved(b.bytes())).clip("jump")
    assert jump.world()[0][6, 0] == pytest.approx(rot.rotate(turn, 100 * middle), abs=1e-4)
    b.document["animations"][0]["samplers"][0]["interpolation"] = "STEP"
    steps = read_glb(saved(b.bytes())).clip("turn")
    assert rot.angle(steps.rotations[11, 1], rot.IDENTITY) < 1e-6
    assert rot.angle(steps.rotations[12, 1], rot.about("z", 1.0)) < 1e-6


@pytest.mark.parametrize(
    ("times", "fps", "n_frames"),
    [
        (np.arange(20) / 24, 24, 20),
        (np.round(np.arange(30) / 30, 3), 30, 30),
        (3.0 + np.arange(5) / 15, 15, 5),
        (np.array([0, 4, 7, 30]) / 25, 25, 31),
        (np.array([0, 1, 2.5]), 24, 61),
        (np.array([0.7]), 30, 1),
        (np.array([0, 0.1111, 0.4567, 1.0]), 60, 61),
        (np.arange(10) / 29.97, 29.97, 10),
    ],
)
def test_the_frame_rate_is_one_on_whose_frames_all_keys_fall(saved, times, fps, n_frames):
    b = small_rig()
    turns = rot.about("z", np.linspace(0, 1, len(times)))[:, [1, 2, 3, 0]]
    b.document["animations"] = [animation("a", (2, "rotation", b.add(times, "SCALAR"), b.add(turns, "VEC4"), "LINEAR"))]
    clip = read_glb(saved(b.bytes())).clips[0]
    assert clip.fps == pytest.approx(fps, rel=1e-3)
    assert clip.n_frames == n_frames
    assert rot.angle(clip.rotations[-1, 1], rot.about("z", np.linspace(0, 1, len(times))[-1])) < 1e-6


def test_changed_clips_replace_animations_and_the_file_does_not_grow(saved, tmp_path):
    path, again = saved(small_rig().bytes()), tmp_path / "again.glb"
    model = read_glb(path)
    walk = replace(model.clips[0], name="walk", captions=("walks", "walks on"), action="walk", fps=30.0)
    sizes = []
    for _ in range(3):
        write_glb(replace(model, clips=(replace(walk),)), again)
        model = read_glb(again)
        sizes.append(again.stat().st_size)
    assert sizes[0] == sizes[1] == sizes[2]
    document, _ = parse(again.read_bytes())
    assert [a["name"] for a in document["animations"]] == ["walk", "morph"], "what is no clip stays"
    back = model.clip("walk")
    assert (back.captions, back.action, back.fps) == (walk.captions, walk.action, 30.0)
    assert rot.angle(back.world()[1], walk.world()[1]).max() < 1e-6


def test_arrays_are_kept_where_an_extension_may_refer_to_them(saved, tmp_path):
    path = saved(small_rig(extensionsUsed=["EXT_of_ones_own"]).bytes())
    model = read_glb(path)
    write_glb(replace(model, clips=()), tmp_path / "again.glb")
    before, after = (parse(p.read_bytes())[0] for p in (path, tmp_path / "again.glb"))
    assert len(after["accessors"]) == len(before["accessors"])


def test_another_rest_pose_of_the_same_joints_moves_their_nodes(saved, tmp_path):
    model = read_glb(saved(small_rig().bytes()))
    longer = replace(model.skeleton, offsets=model.skeleton.offsets * [[1], [2]])
    clips = tuple(replace(c, skeleton=longer) for c in model.clips)
    write_glb(replace(model, skeleton=longer, clips=clips), tmp_path / "long.glb")
    back = read_glb(tmp_path / "long.glb")
    assert back.skeleton.rest_positions() == pytest.approx(longer.rest_positions(), abs=1e-6)
    other = Skeleton(("hip", "arm"), (-1, 0), np.zeros((2, 3)))
    with pytest.raises(ClipError, match=r"rig\.glb"):
        write_glb(replace(model, skeleton=other, clips=()), tmp_path / "x.glb")
    with pytest.raises(ClipError, match="other joints"):
        write_glb(replace(model, clips=(Clip(other, rot.identity(1, 2), other.offsets, 24),)), tmp_path / "x.glb")


def random_clip(seed, n_frames=6, n=7):
    rng = np.random.default_rng(seed)
    parents = (-1, *(int(rng.integers(-1, j)) for j in range(1, n)))
    skeleton = Skeleton(tuple(f"Knochen {j} ü" for j in range(n)), parents, rng.normal(size=(n, 3)), rot.random(rng, n))
    moves = np.where(rng.random((n, 1)) < 0.4, rng.normal(size=(n_frames, n, 3)), skeleton.offsets)
    turns = np.where(rng.random((n, 1)) < 0.7, rot.random(rng, n_frames, n), skeleton.rest)
    return Clip(skeleton, turns, moves, 24, name="walk", captions=("a", "b"), action="walk")


@settings(max_examples=30)
@given(seed=seeds, suffix=st.sampled_from([".glb", ".gltf"]))
def test_a_skeleton_from_elsewhere_comes_back(seed, suffix, tmp_path_factory):
    clip = random_clip(seed)
    path = tmp_path_factory.mktemp("glb") / f"fresh{suffix}"
    write_glb(Asset(clip.skeleton, (clip,)), path)
    back = read_glb(path)
    order = [clip.skeleton.names.index(name) for name in back.skeleton.names]
    assert back.skeleton.rest_positions() == pytest.approx(clip.skeleton.rest_positions()[order], abs=1e-9)
    assert rot.angle(back.skeleton.rest_world(), clip.skeleton.rest_world()[order]).max() < 1e-9
    (again,) = back.clips
    assert (again.fps, again.name, again.captions, again.action) == (24, "walk", ("a", "b"), "walk")
    assert again.world()[0] == pytest.approx(clip.world()[0][:, order], abs=1e-5)
    assert rot.angle(again.world()[1], clip.world()[1][:, order]).max() < 1e-5


def test_the_mesh_of_bones_hangs_on_the_skin(tmp_path):
    clip = random_clip(3)
    path = tmp_path / "bones.glb"
    write_glb(Asset(clip.skeleton, (clip,)), path)
    document, blob = parse(path.read_bytes())
    primitive = document["meshes"][0]["primitives"][0]
    vertices, joints, faces = (
        array(document, blob, i)
        for i in (primitive["attributes"]["POSITION"], primitive["attributes"]["JOINTS_0"], primitive["indices"])
    )
    matrices = np.array(world_matrices(document, {}))
    bind = array(document, blob, document["skins"][0]["inverseBindMatrices"]).reshape(-1, 4, 4).transpose(0, 2, 1)
    assert matrices[document["skins"][0]["joints"]] @ bind == pytest.approx(np.tile(np.eye(4), (7, 1, 1)), abs=1e-5)
    assert joints.max() < 7
    corners = vertices[faces[:, 0].astype(int)].reshape(-1, 8, 3, 3)
    outward = np.cross(corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0])
    away = corners.mean(axis=2) - corners.mean(axis=(1, 2))[:, None]
    assert (np.sum(outward * away, axis=-1) > 0).all(), "every face looks outward"
    assert pygltflib.GLTF2.load_binary(str(path)).meshes[0].name == "bones"


def test_a_pose_that_never_changes_keeps_its_length(tmp_path):
    clip = random_clip(1)
    still = replace(clip, rotations=np.tile(clip.rotations[:1], (48, 1, 1)), translations=clip.translations[0])
    write_glb(Asset(still.skeleton, (still,)), tmp_path / "still.glb")
    back = read_glb(tmp_path / "still.glb").clips[0]
    assert back.n_frames == 48
    one = replace(still.cut(0, 1), fps=12.0)
    write_glb(Asset(one.skeleton, (one,)), tmp_path / "one.glb")
    back = read_glb(tmp_path / "one.glb").clips[0]
    assert (back.n_frames, back.fps) == (1, 12.0)


@pytest.mark.parametrize(("up", "unit"), [("z", "cm"), ("x", "m"), ("y", "in")])
def test_other_axes_and_units_by_a_node_above_all(saved, tmp_path, up, unit):
    model = read_glb(saved(small_rig().bytes()))
    path = tmp_path / "other.glb"
    write_glb(model, path, up=up, unit=unit)
    factor = {"cm": 100, "m": 1, "in": 1 / 0.0254}[unit]
    there = read_glb(path).skeleton.rest_positions()
    assert there[:, "xyz".index(up)] == pytest.approx(factor * model.skeleton.rest_positions()[:, 1], rel=1e-6)
    back = read_glb(path, up=up, unit=unit)
    assert back.skeleton.names == model.skeleton.names
    assert back.skeleton.rest_positions() == pytest.approx(model.skeleton.rest_positions(), abs=1e-6)
    assert back.clip("turn").world()[0] == pytest.approx(model.clip("turn").world()[0], abs=1e-5)
    with pytest.raises(SettingsError, match="furlong"):
        write_glb(model, path, unit="furlong")


def test_a_gltf_file_with_its_parts_beside_it(tmp_path):
    b = small_rig(images=[{"uri": "hide.png"}, {"uri": "gone.png"}])
    (tmp_path / "buffer 1.bin").write_bytes(b.blob)
    (tmp_path / "hide.png").write_bytes(b"\x89PNG picture")
    document = b.document | {"buffers": [{"uri": "buffer%201.bin", "byteLength": len(b.blob)}]}
    (tmp_path / "rig.gltf").write_text(json.dumps(document))
    model = read_glb(tmp_path / "rig.gltf")
    (tmp_path / "out").mkdir()
    for name in ("again.glb", "again.gltf"):
        write_glb(model, tmp_path / "out" / name)
        back = read_glb(tmp_path / "out" / name)
        assert back.clip("turn").world()[0] == pytest.approx(model.clip("turn").world()[0])
    document, blob = parse((tmp_path / "out" / "again.glb").read_bytes())
    view = document["bufferViews"][document["images"][0]["bufferView"]]
    assert blob[view["byteOffset"] :][: view["byteLength"]] == b"\x89PNG picture"
    assert document["images"][0]["mimeType"] == "image/png"
    assert document["images"][1] == {"uri": "gone.png"}


@pytest.mark.parametrize("uri", ["../secret.bin", "/etc/passwd", "http://localhost/x.bin", "file:///etc/passwd"])
def test_only_files_below_the_documents_own_folder_are_read(tmp_path, uri):
    (tmp_path / "secret.bin").write_bytes(bytes(1000))
    (tmp_path / "folder").mkdir()
    document = small_rig().document | {"buffers": [{"uri": uri, "byteLength": 4}]}
    (tmp_path / "folder" / "rig.gltf").write_text(json.dumps(document))
    with pytest.raises(FileError, match="not a file in its folder"):
        read_glb(tmp_path / "folder" / "rig.gltf")


def test_sparse_strided_and_normalised_arrays(saved):
    b = small_rig()
    whole = b.add([[0, 0, 0, 32767]] * 3, "VEC4", "<u2")
    b.document["accessors"][whole] |= {"componentType": 5122, "normalized": True}
    values = b.add([[0, 0, 1.0, 0]], "VEC4")
    at = b.add([1], "SCALAR", "<u2")
    views = [b.document["accessors"][i]["bufferView"] for i in (values, at)]
    turns = b.document["accessors"][b.document["animations"][0]["samplers"][0]["output"]]
    turns["sparse"] = {
        "count": 1,
        "indices": {"bufferView": views[1], "componentType": 5123},
        "values": {"bufferView": views[0]},
    }
    times = b.document["animations"][0]["samplers"][0]["input"]
    b.document["animations"].append(animation("still", (2, "rotation", times, whole, "LINEAR")))
    model = read_glb(saved(b.bytes()))
    assert rot.angle(model.clip("turn").rotations[12, 1], rot.about("z", np.pi)) < 1e-6
    assert rot.angle(model.clip("still").rotations[:, 1], rot.IDENTITY).max() < 1e-6
    b.blob += bytes(-len(b.blob) % 4)
    start = len(b.blob)
    b.blob += np.array([[0, 9], [0.5, 9], [1, 9]], "<f4").tobytes()
    view = {"buffer": 0, "byteOffset": start, "byteLength": 24, "byteStride": 8}
    b.document["bufferViews"].append(view)
    b.document["accessors"][times]["bufferView"] = len(b.document["bufferViews"]) - 1
    assert read_glb(saved(b.bytes())).clip("still").n_frames == 25


def changed(change):
    b = small_rig()
    change(b)
    return b.bytes()


def data_uri(b):
    del b.document["animations"]
    b.document["buffers"] = None


def put(*path_and_value):
    """A change that sets one thing deep in a document."""
    *path, value = path_and_value

    def change(b):
        item = b.document
        for key in path[:-1]:
            item = item[key]
        item[path[-1]] = value

    return change


GOOD = small_rig().bytes()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"solid teapot", "does not begin with the letters glTF"),
        (GOOD[:3], "does not begin"),
        (GOOD[:10], "truncated"),
        (GOOD[: len(GOOD) // 2], "truncated: it says .* bytes and has"),
        (GOOD[:4] + struct.pack("<I", 1) + GOOD[8:], "glTF 1"),
        (GOOD[:12] + struct.pack("<I", 1 << 31) + GOOD[16:], "truncated: a chunk"),
        (GOOD.replace(b"JSON", b"NOSJ", 1), "no JSON chunk"),
        (GOOD.replace(b'{"asset"', b'["asset"', 1), "JSON"),
        (glb([]), "not a glTF document"),
        (glb({"asset": 3}), "malformed"),
        (glb({"asset": {"version": "1.0"}}), "glTF 1.0"),
        (glb({"asset": {"version": "2.0"}}), "no skin and no animation"),
        (changed(lambda b: (put("skins", [])(b), put("animations", [])(b))), "no skin and no animation"),
        (changed(lambda b: (put("skins", [{"joints": []}])(b), put("animations", [])(b))), "no skin"),
        (changed(put("skins", [{"joints": [99]}])), "skin 0 refers to number 99 of 5"),
        (changed(put("nodes", 2, "children", [1])), "hangs on two nodes"),
        (changed(put("nodes", 0, "children", [0])), "on itself"),
        (changed(lambda b: (put("nodes", 0, "children", [])(b), put("nodes", 4, "children", [1])(b))), "in a cycle"),
        (changed(put("nodes", 1, "translation", [0, 1])), "other than 3 numbers"),
        (changed(put("nodes", 1, "translation", [0, 1, None])), "malformed"),
        (changed(put("nodes", 1, "rotation", [0, 0, 0, float("nan")])), "malformed"),
        (changed(put("animations", 0, "channels", 0, "sampler", 7)), "'turn' refers to number 7"),
        (changed(put("animations", 0, "samplers", 0, "output", 77)), "'turn' refers to number 77"),
        (changed(put("animations", 0, "samplers", 0, "output", 0)), "'turn' needs VEC4"),
        (changed(put("animations", 0, "samplers", 0, "interpolation", "WILD")), "'WILD'"),
        (changed(put("animations", 0, "channels", 0, {})), "consistent"),
        (changed(put("accessors", 6, "count", 1 << 40)), "reaches beyond"),
        (changed(put("accessors", 6, "count", -1)), "count of accessor 6 is -1"),
        (changed(put("accessors", 7, "componentType", 1)), "no known type"),
        (changed(put("bufferViews", 0, "byteLength", 1 << 40)), "buffer view 0 reaches beyond"),
        (changed(put("bufferViews", 0, "buffer", 3)), "buffer view 0 refers to number 3"),
        (glb({"asset": {"version": "2.0"}, "buffers": [{"byteLength": 99}]}, b"1234"), "buffer 0 says 99"),
        (glb({"asset": {"version": "2.0"}, "buffers": [{"byteLength": 9, "uri": "data:;base64,%%"}]}), "base64"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(saved, data, words):
    path = saved(data)
    with pytest.raises(FileError, match=words) as error:
        read_glb(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


def keyed(times, values):
    b = small_rig()
    channel = (2, "rotation", b.add(times, "SCALAR"), b.add(values, "VEC4"), "LINEAR")
    b.document["animations"] = [animation("a", channel)]
    return b.bytes()


@pytest.mark.parametrize(
    ("times", "values", "words"),
    [
        ([0, 1], [[0, 0, 0, 1]], "2 times for 1 values"),
        ([1, 0], [[0, 0, 0, 1]] * 2, "out of order"),
        ([0, 1], [[0, 0, 0, np.inf]] * 2, "not finite"),
        ([0, 1e30], [[0, 0, 0, 1]] * 2, "more than"),
        ([0, 1e7], [[0, 0, 0, 1]] * 2, "cut it first"),
    ],
)
def test_keys_that_make_no_motion_or_far_too_much(saved, times, values, words):
    with pytest.raises(FileError, match=words):
        read_glb(saved(keyed(times, values)))


def test_zero_rotations_and_hidden_bones_are_no_reason_to_fail(saved, tmp_path):
    path = saved(keyed([0, 1], [[0, 0, 0, 0], [0, 0, 1, 0]]))
    assert np.isfinite(read_glb(path).clips[0].world()[0]).all()
    model = read_glb(saved(changed(put("nodes", 1, "scale", [0, 0, 0]))))
    write_glb(replace(model, clips=tuple(replace(c) for c in model.clips)), tmp_path / "hidden.glb")
    back = read_glb(tmp_path / "hidden.glb")
    assert back.clip("turn").world()[0] == pytest.approx(model.clip("turn").world()[0], abs=1e-5)


def test_an_enormous_file_is_refused_unread(tmp_path):
    with (tmp_path / "huge.glb").open("wb") as file:
        file.truncate(1 << 36)
    with pytest.raises(FileError, match="65,536 MiB, more than"):
        read_glb(tmp_path / "huge.glb")


def test_a_rig_without_animation_is_a_rig(saved):
    model = read_glb(saved(changed(lambda b: b.document.pop("animations"))))
    assert model.clips == ()
    assert model.skeleton.n_joints == 2


@settings(max_examples=150)
@given(data=st.data())
def test_damage_never_ends_in_anything_but_one_line(data, tmp_path_factory):
    good = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(good) - 1))
        kind = data.draw(st.sampled_from(["cut", "byte", "digit"]))
        if kind == "cut":
            good = good[: at + 1]
        elif kind == "byte":
            good[at] = data.draw(st.integers(0, 255))
        else:
            digits = [n for n, c in enumerate(good[20:1500], 20) if chr(c) in "0123456789"]
            good[digits[at % len(digits)] if digits else at] = ord(data.draw(st.sampled_from("0123456789-e,}]")))
    path = tmp_path_factory.mktemp("glb") / "damaged.glb"
    path.write_bytes(bytes(good))
    said = ""
    try:
        model = read_glb(path)
        write_glb(replace(model, clips=tuple(replace(c) for c in model.clips)), path)
    except AnyrigError as error:
        said = str(error)
    assert "\n" not in said


def test_data_uris_hold_buffers_too(tmp_path):
    b = small_rig()
    uri = "data:application/octet-stream;base64," + base64.b64encode(b.blob).decode()
    document = b.document | {"buffers": [{"uri": uri, "byteLength": len(b.blob)}]}
    (tmp_path / "rig.gltf").write_text(json.dumps(document))
    assert read_glb(tmp_path / "rig.gltf").clip("turn").n_frames == 25
