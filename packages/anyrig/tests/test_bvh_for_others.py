"""BVH that other programs read, and files of theirs whose numbers mean something else than they seem to.

What the rules are made for is checked with the programs themselves in test_readers.py.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import replace

import numpy as np
import pytest

from anyrig import io
from anyrig import rotations as rot
from anyrig.cli.motion import write
from anyrig.conform import spread, whole
from anyrig.errors import FileWarning
from anyrig.io.bvh import read_bvh, write_bvh
from anyrig.skeleton import FREE, Clip, Skeleton

rng = np.random.default_rng(0)


def clip_of(names, parents, offsets, n_frames=5, moves=None):
    skeleton = Skeleton(tuple(names), tuple(parents), np.array(offsets, dtype=float))
    translations = np.tile(skeleton.offsets, (n_frames, 1, 1))
    for joint, values in (moves or {}).items():
        translations[:, joint] = values
    turns = rot.from_rotvec(rng.normal(scale=0.3, size=(n_frames, len(names), 3)))
    return Clip(skeleton, turns, translations, 30.0)


def written(clip, tmp_path, name="out.bvh"):
    write_bvh(clip, tmp_path / name)
    return (tmp_path / name).read_text()


def by_addition(text):
    """World positions by name as three.js has them: channels are added to the OFFSET. Names end at the first blank."""
    hierarchy, motion = text.split("MOTION")
    rows = [np.array(line.split(), float) for line in motion.strip().split("\n")[2:]]
    found, stack, todo = {}, [], [[] for _ in rows]
    for t, row in enumerate(rows):
        todo[t] = list(row)
    joint = None
    for line in (part.strip() for part in hierarchy.split("\n")[1:]):
        word = line.split()
        if word[:1] in (["ROOT"], ["JOINT"], ["End"]):
            joint = {"name": word[1] if word[0] != "End" else None, "channels": []}
        elif line == "{":
            stack.append(joint)
        elif line == "}":
            stack.pop()
        elif word[:1] == ["OFFSET"]:
            stack[-1]["offset"] = np.array(word[1:4], float)
            stack[-1]["world"] = []
            if stack[-1]["name"] is None:
                continue
            found[stack[-1]["name"]] = stack[-1]
        elif word[:1] == ["CHANNELS"]:
            above = stack[-2]["world"] if len(stack) > 1 else None
            for t, values in enumerate(todo):
                at, turn = stack[-1]["offset"].copy(), np.eye(3)
                for channel in word[2:]:
                    axis, value = "XYZ".index(channel[0]), values.pop(0)
                    if channel[1:] == "position":
                        at[axis] += value
                    else:
                        turn = turn @ rot.to_matrix(rot.from_rotvec(np.radians(value) * np.eye(3)[axis]))
                p, w = above[t] if above else (np.zeros(3), np.eye(3))
                stack[-1]["world"].append((p + w @ at, w @ turn))
    return {name: np.array([p for p, _ in j["world"]]) for name, j in found.items()}


CASES = {
    "root at a height": clip_of("ab", (-1, 0), [[0.5, 2, 0], [0, 0, 1]], moves={0: rng.normal(size=(5, 3))}),
    "roots side by side": clip_of("abcd", (-1, 0, -1, 2), rng.normal(size=(4, 3)), moves={2: rng.normal(size=(5, 3))}),
    "three roots, one fixed": clip_of("abcde", (-1, 0, 1, -1, -1), rng.normal(size=(5, 3))),
    "a joint that slides": clip_of("abc", (-1, 0, 1), rng.normal(size=(3, 3)), moves={1: rng.normal(size=(5, 3))}),
    "a leaf that slides": clip_of("abc", (-1, 0, 1), rng.normal(size=(3, 3)), moves={2: rng.normal(size=(5, 3))}),
    "one joint": clip_of("a", (-1,), [[0, 1, 0]], moves={0: rng.normal(size=(5, 3))}),
}


@pytest.mark.parametrize("clip", CASES.values(), ids=CASES.keys())
def test_whether_offsets_are_added_or_replaced_is_the_same(clip, tmp_path):
    text = written(clip, tmp_path)
    assert text.count("ROOT") == 1
    world = by_addition(text)
    back = read_bvh(tmp_path / "out.bvh")
    assert sorted(back.skeleton.names) == sorted(clip.skeleton.names), "what moves another joint is no joint again"
    for j, name in enumerate(clip.skeleton.names):
        assert world[name] == pytest.approx(clip.world()[0][:, j], abs=1e-6)
        there = back.world()[0][:, back.skeleton.names.index(name)]
        assert there == pytest.approx(clip.world()[0][:, j], abs=1e-6)
    positions = re.findall(r"OFFSET (.*)\n\s*CHANNELS 6", text)
    assert set(positions) == {"0 0 0"}


def test_a_root_that_goes_along_with_a_joint_hangs_on_it(tmp_path):
    """As feet on a world of their own do, once they follow their legs: nothing but the ROOT has positions then."""
    leg = clip_of(("hips", "thigh", "shin"), (-1, 0, 1), [[0, 1, 0], [0, -0.1, 0], [0, -0.5, 0]])
    positions, turns = leg.world()
    offset = np.array([0.0, -0.4, 0.1])
    foot = positions[:, 2] + rot.rotate(turns[:, 2], offset)
    skeleton = Skeleton(
        (*leg.skeleton.names, "foot"),
        (-1, 0, 1, -1),
        [*leg.skeleton.offsets, leg.skeleton.rest_positions()[2] + offset],
    )
    rotations = np.concatenate([leg.rotations, turns[:, 2:3]], axis=1)
    clip = Clip(skeleton, rotations, np.concatenate([leg.translations, foot[:, None]], axis=1), 30.0)
    text = written(clip, tmp_path)
    assert text.count("position") == 3
    back = read_bvh(tmp_path / "out.bvh").skeleton
    assert back.names[back.parents[back.index("foot")]] == "shin"


def test_roots_that_go_along_with_one_another_hang_on_one_another(tmp_path):
    """A foot on a heel on a shin, all three at the top: in any order, and with one that goes its own way between."""
    body = clip_of(("hips", "thigh", "shin", "heel", "foot"), (-1, 0, 1, 2, 3), np.ones((5, 3)))
    positions, turns = body.world()
    for order in ((3, 4), (4, 3)):
        joints = [0, 1, 2, *order, 4]  # the last joint twice, the second time gone astray
        rest = body.skeleton.rest_positions()
        offsets = np.array([*body.skeleton.offsets[:3], *rest[list(order)], rest[4]])
        names = (*(body.skeleton.names[j] for j in joints[:5]), "target")
        skeleton = Skeleton(names, (-1, 0, 1, -1, -1, -1), offsets)
        moves = np.concatenate([body.translations[:, :3], positions[:, joints[3:]]], axis=1)
        moves[:, 5] += rng.normal(size=(5, 3))
        rotations = np.concatenate([body.rotations[:, :3], turns[:, joints[3:]]], axis=1)
        text = written(Clip(skeleton, rotations, moves, 30.0), tmp_path)
        assert re.findall(r"JOINT (\w+_move)", text) == ["target_move"]
        back = read_bvh(tmp_path / "out.bvh").skeleton
        on = {name: back.names[parent] for name, parent in zip(back.names, back.parents, strict=True)}
        assert (on["heel"], on["target"]) == ("shin", "hips")
        assert on["foot"] == "heel"


def test_what_is_made_for_a_rig_moves_nothing_but_its_root(tmp_path):
    """A hub that carries nothing stays on the ground, the body bobs over it, and the foot hangs on the hub."""
    names = ("hub", "body", "thigh", "shin", "foot")
    offsets = [[0, 0, 0], [0, 1, 0], [0, -0.1, 0], [0, -0.4, 0.1], [0, 0.1, 0.2]]
    skeleton = Skeleton(names, (-1, 0, 1, 2, 0), np.array(offsets, float), carriers=(FREE, -1, 1, 2, 3))
    still = Clip(skeleton, rot.identity(5, 5), skeleton.offsets, 30.0)
    body = whole(still)
    turns = rot.from_rotvec(rng.normal(scale=0.3, size=(5, 4, 3)))
    moves = body.translations.copy()
    moves[:, 0] += rng.normal(size=(5, 3))
    made = spread(replace(body, rotations=turns, translations=moves), skeleton)
    assert written(made, tmp_path).count("_move") == 2
    (path,) = write(io.Asset(skeleton), [made], tmp_path / "made.bvh")
    assert path.read_text().count("position") == 3
    back = read_bvh(path)
    assert back.skeleton.names == names[1:]
    assert back.world()[0] == pytest.approx(made.world()[0][:, 1:], abs=1e-6)


@pytest.mark.parametrize(
    ("names", "plain"),
    [
        (("Left Arm", "Left Leg"), ("Left_Arm", "Left_Leg")),
        (("a b", "a_b", "a\tb"), ("a_b", "a_b_2", "a_b_3")),
        (("mixamorig:Hips", "rig/arm", "x[0]"), ("mixamorig_Hips", "rig_arm", "x_0_")),
        (("Leg.L", "Leg.R", "spine.bones"), ("Leg.L", "Leg.R", "spine_bones")),
        (("arm", "arm", "arm_2"), ("arm", "arm_2", "arm_2_2")),
        (("", "  ", "x\u00a0y\u3000z\ufeff"), ("joint_0", "joint_1", "x_y_z_")),
        (("Hüfte", "左足", "🦊"), ("Hüfte", "左足", "🦊")),
        (("ENDSITE", "{x}", ".", ".."), ("ENDSITE_2", "_x_", "_", "__2")),
    ],
)
def test_names_are_one_word_each_and_differ(tmp_path, names, plain):
    n = len(names)
    text = written(clip_of(names, range(-1, n - 1), np.ones((n, 3))), tmp_path)
    assert tuple(re.findall(r"(?:ROOT|JOINT) (.*)", text)) == plain
    assert read_bvh(tmp_path / "out.bvh").skeleton.names == plain


def test_every_bone_has_a_length_and_none_is_added_by_reading(tmp_path):
    clip = clip_of("abcdef", (-1, 0, 1, 0, 3, 0), [[0, 1, 0], [1, 0, 0], [0, 0, 1e-9], [0, 2, 0], [0, 0.5, 0], [0] * 3])
    text = written(clip, tmp_path)
    ends = [np.array(e.split(), float) for e in re.findall(r"End Site\s*{\s*OFFSET (.*)", text)]
    assert len(ends) == 3
    assert min(np.linalg.norm(e) for e in ends) > 0.02
    assert np.cross(ends[1], [0, 0.5, 0]) == pytest.approx(0), "it goes on where the bone went"
    for _ in range(2):
        back = read_bvh(tmp_path / "out.bvh")
        assert back.skeleton.n_joints == 6
        assert written(back, tmp_path) == text
    io.save(clip, tmp_path / "cm.bvh", unit="cm", up="z")
    assert io.load(tmp_path / "cm.bvh", unit="cm", up="z").skeleton.n_joints == 6


RELATIVE = """HIERARCHY
ROOT hips
{
 OFFSET 0 HEIGHT 0
 CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
 JOINT leg
 {
  OFFSET 0.1 -40 0
  CHANNELS CH Zrotation Xrotation Yrotation
  JOINT foot
  {
   OFFSET 0 -45 0
   CHANNELS CH Zrotation Xrotation Yrotation
   End Site
   {
    OFFSET 0 -5 10
   }
  }
 }
}
MOTION
Frames: 2
Frame Time: 0.0333333
ROOT 0 5 0 LEG 0 0 0 FOOT 0 0 0
ROOT 0 9 0 LEG 0 0 0 FOOT 0 0 0
"""


def skeleton_file(tmp_path, root, height=90, leg="", foot=""):
    channels = "6 Xposition Yposition Zposition" if leg else "3"
    text = RELATIVE.replace("HEIGHT", str(height)).replace("CH Z", f"{channels} Z")
    text = text.replace("ROOT 0", f"{root} 0").replace("LEG", leg).replace("FOOT", foot)
    (tmp_path / "file.bvh").write_text(text)
    return tmp_path / "file.bvh"


@pytest.mark.parametrize("root", ["0 0 0", "12 -3 100", "5 -20 0", "0 4 -7"])
def test_a_root_below_the_ground_by_its_own_height_was_meant_relative(tmp_path, root):
    path = skeleton_file(tmp_path, root)
    with pytest.warns(FileWarning, match=r"'hips' are relative to the OFFSET, which is added"):
        clip = read_bvh(path)
    assert clip.world()[0][:, 0] == pytest.approx(np.tile(np.add(np.array(root.split(), float), [0, 90, 0]), (2, 1)))


@pytest.mark.parametrize(
    ("root", "height", "bent"),
    [
        ("0 90 0", 90, 5),
        ("3 65 1", 90, 40),
        ("0 8 0", 90, 90),
        ("0 300 0", 90, 5),
        ("0 90 0", 0, 5),
        ("0 0 0", 0, 5),
        ("0 40 0", 400, 5),
    ],
)
def test_one_that_stands_crouches_lies_or_flies_was_not(tmp_path, root, height, bent):
    path = skeleton_file(tmp_path, root, height)
    path.write_text(re.sub(r" 0 [59] 0 ", f" 0 {bent} 0 ", path.read_text()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clip = read_bvh(path)
    assert clip.world()[0][0, 0] == pytest.approx(np.array(root.split(), float))


def test_joints_whose_positions_are_zero_have_not_collapsed(tmp_path):
    with pytest.warns(FileWarning, match="'leg' and 1 more joints are relative"):
        clip = read_bvh(skeleton_file(tmp_path, "0 90 0", leg="0 0 0", foot="0 0.1 0"))
    assert clip.world()[0][0, 1:3] == pytest.approx(np.array([[0.1, 50, 0], [0.1, 5.1, 0]]), abs=9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clip = read_bvh(skeleton_file(tmp_path, "0 90 0", leg="0.1 -40 0", foot="0 -45 0"))
    assert clip.translations[0, 2] == pytest.approx([0, -45, 0])


def test_relative_or_not_is_told_along_the_axis_that_is_up(tmp_path):
    text = RELATIVE.replace("CH Z", "3 Z").replace("LEG", "").replace("FOOT", "").replace("ROOT 0", "0 0 0 0")
    text = re.sub(r"OFFSET (\S+) (\S+) (\S+)", r"OFFSET \1 0 \2", text.replace("HEIGHT", "90"))
    (tmp_path / "z.bvh").write_text(text)
    with pytest.warns(FileWarning, match="relative to the OFFSET"):
        model = io.load(tmp_path / "z.bvh", up="z", unit="cm")
    assert model.clips[0].world()[0][0, 0] == pytest.approx([0, 0.9, 0])
