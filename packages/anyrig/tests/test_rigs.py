"""What a rig is, in files that say it badly."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from gltf_oracle import Builder, array, parse

from anyrig import io
from anyrig import rotations as rot
from anyrig.augmentation import stretch
from anyrig.cli import main
from anyrig.datasets import real
from anyrig.errors import FileError, FileWarning, SettingsError
from anyrig.io import read_glb
from anyrig.skeleton import Clip, Skeleton

NAMES = ("hip", "thigh", "shin", "foot")
OFFSETS = np.array([[0.0, 1.0, 0.0], [0.1, 0.0, 0.0], [0.0, -0.5, 0.0], [0.0, -0.5, 0.0]])


def matrix(turn, move, scale=1.0):
    m = np.eye(4)
    m[:3, :3], m[:3, 3] = rot.to_matrix(turn) * scale, move
    return m


def legs(
    *, posed=0.0, armature=None, space=None, bind=True, names=NAMES, weights=None, animated=True, skin=True, at=0.0
):
    """A leg of four joints below an armature; its nodes bent by ``posed`` at thigh and shin, its mesh bound straight.

    ``space`` is what the mesh's space is in the world when it is bound.
    """
    b = Builder(scenes=[{"nodes": [0, 5]}], scene=0)
    armature = armature if armature is not None else np.eye(4)
    bends = [rot.IDENTITY, rot.about("x", -posed), rot.about("x", posed), rot.IDENTITY]
    nodes = [{"name": "Armature", "matrix": armature.T.ravel().tolist(), "children": [1]}]
    for k, name in enumerate(names):
        w, x, y, z = (float(v) for v in bends[k])
        move = OFFSETS[k] + [at if k == 0 else 0.0, 0, 0]
        node = {"name": name, "translation": move.tolist(), "rotation": [x, y, z, w]}
        nodes.append(node | ({"children": [k + 2]} if k < 3 else {}))
    nodes.append({"name": "mesh", "mesh": 0} | ({"skin": 0} if skin else {}))
    b.document["nodes"] = nodes
    rest = armature @ np.array([matrix(rot.IDENTITY, m) for m in np.cumsum(OFFSETS, axis=0) + np.array([at, 0, 0])])
    undo = np.linalg.inv(np.linalg.inv(space if space is not None else np.eye(4)) @ rest)
    if skin:
        b.document["skins"] = [{"joints": [1, 2, 3, 4], "name": "leg"}]
        if bind:
            b.document["skins"][0]["inverseBindMatrices"] = b.add(undo.transpose(0, 2, 1), "MAT4")
    if weights is None:
        weights = np.tile([0.5, 0.5, 0, 0], (6, 1))
    followed = np.array([[k % 3, k % 3 + 1, 0, 0] for k in range(6)])
    attributes = {"POSITION": b.add(np.random.default_rng(0).normal(size=(6, 3)), "VEC3")}
    attributes |= {"JOINTS_0": b.add(followed, "VEC4", "<u2"), "WEIGHTS_0": b.add(weights, "VEC4")}
    b.document["meshes"] = [{"primitives": [{"attributes": attributes}]}]
    if animated:
        times = b.add([0, 1], "SCALAR")
        turns = b.add(rot.about("x", [0.0, 1.0])[:, [1, 2, 3, 0]], "VEC4")
        b.document["animations"] = [
            {
                "name": "kick",
                "channels": [{"sampler": 0, "target": {"node": k, "path": "rotation"}} for k in (2, 3)],
                "samplers": [{"input": times, "output": turns}],
            }
        ]
    return b


def saved(b, tmp_path, name="rig.glb"):
    (tmp_path / name).write_bytes(b.bytes())
    return tmp_path / name


TURNED = matrix(rot.about("x", -np.pi / 2), [0.3, 0, -2], 100.0)
MIRRORED = np.diag([-1.0, 1.0, 1.0, 1.0])
QUANTISED = matrix(rot.IDENTITY, [0.1, 0.4, 0.0], 1 / 32767.0)


@pytest.mark.parametrize(
    "rig",
    [
        {},
        {"armature": TURNED},
        {"armature": TURNED, "space": TURNED},
        {"armature": MIRRORED},
        {"space": QUANTISED},
        {"armature": matrix(rot.about("y", 1.0), [5, 0, 0], 0.01)},
    ],
    ids=["plain", "armature of 100", "bound below the armature", "mirrored", "quantised", "armature of 0.01"],
)
def test_a_rig_rests_as_it_was_bound_and_not_as_its_nodes_stand(rig, tmp_path):
    straight = read_glb(saved(legs(**rig), tmp_path, "straight.glb"))
    bent = read_glb(saved(legs(posed=1.2, **rig), tmp_path, "bent.glb"))
    size = np.ptp(straight.skeleton.rest_positions(), axis=0).max()
    assert bent.skeleton.rest_positions() == pytest.approx(straight.skeleton.rest_positions(), abs=1e-3 * size)
    assert rot.angle(bent.skeleton.rest_world(), straight.skeleton.rest_world()).max() < 2e-3
    assert bent.clips[0].world()[0][-1, 3] == pytest.approx(straight.clips[0].world()[0][-1, 3], abs=1e-5 * size)
    io.save(bent, tmp_path / "again.glb")
    before, after = (parse((tmp_path / n).read_bytes())[0]["nodes"] for n in ("bent.glb", "again.glb"))
    assert [n.get("rotation") for n in after] == [n.get("rotation") for n in before], "the nodes stay as they stood"


@pytest.mark.parametrize("bind", [False, "identity"])
def test_without_bind_matrices_that_say_a_pose_the_nodes_stand(bind, tmp_path):
    b = legs(posed=1.2, bind=bool(bind))
    if bind:
        eye = b.add(np.tile(np.eye(4), (4, 1, 1)), "MAT4")
        b.document["skins"][0]["inverseBindMatrices"] = eye
    skeleton = read_glb(saved(b, tmp_path)).skeleton
    assert rot.angle(skeleton.rest[1], rot.about("x", -1.2)) < 1e-9


def test_a_file_without_a_skin_is_what_its_animations_move(tmp_path):
    model = io.load(saved(legs(skin=False), tmp_path))
    assert model.skeleton.names == ("thigh", "shin")
    assert model.skeleton.rest_positions()[0] == pytest.approx([0.1, 1.0, 0])
    io.save(model, tmp_path / "again.glb")
    assert io.load(tmp_path / "again.glb").clips[0].world()[0] == pytest.approx(model.clips[0].world()[0], abs=1e-6)


def test_without_skin_two_branches_hang_on_what_they_share(tmp_path):
    b = legs(skin=False)
    b.document["nodes"][1]["children"].append(6)
    b.document["nodes"].append({"name": "tail", "translation": [0, 0, -0.3]})
    b.document["animations"][0]["channels"].append({"sampler": 0, "target": {"node": 6, "path": "rotation"}})
    assert io.load(saved(b, tmp_path)).skeleton.names == ("hip", "thigh", "shin", "tail")


def test_neither_skin_nor_animation_is_one_line(tmp_path):
    with pytest.raises(FileError, match="no skin and no animation"):
        io.load(saved(legs(skin=False, animated=False), tmp_path))


def two(tmp_path, second=4):
    """Two legs in one file; the other has ``second`` joints."""
    b = legs()
    nodes = b.document["nodes"]
    first = len(nodes)
    for k in range(second):
        nodes.append({"name": f"b{k}", "translation": OFFSETS[k].tolist()})
        if k:
            nodes[-2]["children"] = [len(nodes) - 1]
    b.document["skins"].append({"joints": list(range(first, first + second)), "name": "other"})
    b.document["scenes"][0]["nodes"].append(first)
    return saved(b, tmp_path)


def test_one_of_two_characters_is_taken_and_the_other_may_be_chosen(tmp_path, capsys):
    path = two(tmp_path)
    with pytest.warns(FileWarning, match="holds 2 characters \\('leg', 'other'\\); 'leg' is used"):
        assert io.load(path).skeleton.names == NAMES
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for skin in ("other", 1, "1"):
            assert io.load(path, skin=skin).skeleton.names == ("b0", "b1", "b2", "b3")
        other = io.load(path, skin="other")
    with pytest.raises(SettingsError, match="no skin 'cat'; there are: 'leg', 'other'"):
        io.load(path, skin="cat")
    io.save(other, tmp_path / "again.glb")
    assert [a["name"] for a in parse((tmp_path / "again.glb").read_bytes())[0]["animations"]] == ["kick"], "kept"
    assert main(["inspect", str(path), "--skin", "other"]) == 0
    assert "characters" not in capsys.readouterr().err


def test_a_prop_is_no_character(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert io.load(two(tmp_path, second=2)).skeleton.names[:4] == NAMES


def test_a_warning_is_one_line_without_paths_of_python(tmp_path, capsys):
    assert main(["inspect", str(two(tmp_path))]) == 0
    said = capsys.readouterr().err
    assert said.startswith("anyrig: note: ")
    assert said.count("\n") == 1
    assert ".py" not in said


@pytest.mark.parametrize("rows", [[np.nan] * 4, [np.nan, 0.5, 0, 0], [0.2, np.inf, 0.2, 0]])
def test_weights_that_are_no_numbers_are_put_right(rows, tmp_path):
    weights = np.tile([0.5, 0.5, 0, 0], (6, 1))
    weights[2] = rows
    model = io.load(saved(legs(weights=weights), tmp_path))
    io.save(model, tmp_path / "again.glb")
    document, blob = parse((tmp_path / "again.glb").read_bytes())
    back = array(document, blob, document["meshes"][0]["primitives"][0]["attributes"]["WEIGHTS_0"])
    assert np.isfinite(back).all()
    assert back.sum(axis=1) == pytest.approx(np.ones(6), abs=1e-6)
    assert back[[0, 1, 3, 4, 5]] == pytest.approx(weights[[0, 1, 3, 4, 5]])


def bvh(offset, channel, values):
    """Three joints in a chain with position channels, at ``offset`` at rest."""
    kind = "Xposition Yposition Zposition Zrotation Xrotation Yrotation" if channel else "Zrotation Xrotation Yrotation"
    n = 6 if channel else 3
    return (
        "HIERARCHY\nROOT hips\n{\nOFFSET 0 0 0\n"
        "CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation\n"
        f"JOINT spine\n{{\nOFFSET {offset}\nCHANNELS {n} {kind}\nJOINT head\n{{\nOFFSET {offset}\nCHANNELS {n} {kind}\n"
        f"End Site\n{{\nOFFSET 0 0 0\n}}\n}}\n}}\n}}\nMOTION\nFrames: {len(values)}\nFrame Time: 0.04\n"
        + "\n".join(" ".join(str(v) for v in row) for row in values)
        + "\n"
    )


POSE = [0, 1, 0, 0, 0, 0, 0, 0.5, 0, 10, 0, 0, 0, 0.3, 0, 0, 5, 0]


def test_offsets_that_a_file_leaves_out_are_those_of_its_first_frame(tmp_path):
    (tmp_path / "a.bvh").write_text(bvh("0 0 0", True, [POSE, [*POSE[:9], 20, *POSE[10:]]]))
    model = io.load(tmp_path / "a.bvh", unit="cm")
    assert model.skeleton.offsets == pytest.approx(np.array([[0, 0.01, 0], [0, 0.005, 0], [0, 0.003, 0]]))
    assert np.ptp(model.clips[0].world()[0][0, :, 1]) == pytest.approx(0.008, rel=0.02)


def test_joints_at_one_point_are_refused_in_one_line(tmp_path):
    for name, text in {
        "channels": bvh("0 0 0", True, [[0] * 18] * 2),
        "none": bvh("0 0 0", False, [[0] * 12] * 2),
        "still": bvh("0 0 0", False, [[0] * 12]).split("MOTION")[0],
    }.items():
        (tmp_path / f"{name}.bvh").write_text(text)
        with pytest.raises(FileError, match=r"all 3 joints lie at one point") as error:
            io.load(tmp_path / f"{name}.bvh")
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("suffix", [".bvh", ".glb", ".npz"])
@pytest.mark.parametrize("parents", [(-1, 0), (-1, 0, 1), (-1, 0, 0, 0), (-1,)])
def test_a_lever_whose_joints_turn_about_one_point_is_written_and_read(suffix, parents, tmp_path):
    n, path = len(parents), tmp_path / f"lever{suffix}"
    skeleton = Skeleton(tuple(f"lever_{j}" for j in range(n)), parents, np.zeros((n, 3)))
    turns = rot.about("z", np.linspace(0, 1, 12)).reshape(12, 1, 4).repeat(n, axis=1)
    moves = np.zeros((12, n, 3))
    moves[:, 0, 1] = np.linspace(0.5, 0.7, 12)
    clip = Clip(skeleton, turns, moves, 24, name="pull")
    for _ in range(2):
        io.save(clip, path)
        back = io.load(path, up="y", unit="m")
        names = back.skeleton.names
        assert set(skeleton.names) <= set(names) <= {*skeleton.names, *(f"{name}_end" for name in skeleton.names)}
        at = [names.index(name) for name in skeleton.names]
        assert back.clips[0].world()[0][:, at] == pytest.approx(clip.world()[0], abs=1e-6)
        assert rot.angle(back.clips[0].world()[1][:, at], clip.world()[1]).max() < 1e-6
        clip, skeleton = back.clips[0], back.skeleton


def test_bones_of_no_length_are_left_where_others_have_some(tmp_path):
    (tmp_path / "a.bvh").write_text(bvh("0 0.2 0", True, [POSE]))
    assert io.load(tmp_path / "a.bvh").skeleton.offsets[1] == pytest.approx([0, 0.2, 0])


def test_a_folder_is_told_with_the_file_in_it(tmp_path):
    saved(legs(), tmp_path)
    with pytest.raises(FileError, match=r"is a folder, not a file; name the file in it, such as rig\.glb"):
        io.load(tmp_path)


@pytest.mark.parametrize(
    ("times", "fps"),
    [
        ([*np.arange(25) / 24, 1.158333], 24),
        ([*np.arange(12) * 0.0320513, 0.4166667], 31.2),
        ([0, *(np.arange(1, 30) / 30), 0.985], 30),
        ([0.0, 1 / 120, 3 / 120, 8 / 120, 9 / 120], 120),
    ],
)
def test_a_last_key_off_the_grid_does_not_make_five_times_the_frames(times, fps, tmp_path):
    b = legs()
    turns = rot.about("x", np.linspace(0, 1, len(times)))[:, [1, 2, 3, 0]]
    b.document["animations"][0]["samplers"] = [{"input": b.add(times, "SCALAR"), "output": b.add(turns, "VEC4")}]
    clip = read_glb(saved(b, tmp_path)).clips[0]
    assert clip.fps == pytest.approx(fps, rel=1e-3)
    assert clip.n_frames <= len(times) + max(5, 0 if fps < 100 else 10)
    assert rot.angle(clip.rotations[-1, 1], rot.about("x", 1.0)) < 1e-3


def test_files_of_one_name_are_told_apart_and_gltf_is_read(tmp_path):
    for n, place in enumerate(("farm/Horse.glb", "world/Horse.glb", "world/old/Horse.glb", "Cow.glb")):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        saved(legs(names=tuple(f"{name}{n}" for name in NAMES)), tmp_path, place)
    for n, place in enumerate(("Pig.gltf", "Cow.gltf")):
        io.save(
            io.load(saved(legs(names=tuple(f"{name}{n + 4}" for name in NAMES)), tmp_path, "a.glb")), tmp_path / place
        )
    (tmp_path / "a.glb").unlink()
    found = {c.name: c for c in real.load(tmp_path).creatures}
    assert set(found) == {"farm/Horse", "world/Horse", "old/Horse", "Cow.glb", "Cow.gltf", "Pig"}
    assert all(creature.takes for creature in found.values())


def test_a_bone_of_no_length_stretches_by_a_share_that_says_something():
    skeleton = Skeleton(("a", "b", "c"), (-1, 0, 1), [[0, 0, 0], [0, 1, 0], [0, 0, 0]])
    moves = np.tile(skeleton.offsets, (2, 1, 1))
    moves[1, 2] = [0, 0.02, 0]
    assert stretch(Clip(skeleton, rot.identity(2, 3), moves, 24)).tolist() == pytest.approx([0, 0, 2.0])
