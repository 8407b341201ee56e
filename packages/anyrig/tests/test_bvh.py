from __future__ import annotations

import re
import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anyrig import rotations as rot
from anyrig.errors import AnyrigError, FileError, FileWarning, SettingsError
from anyrig.io.bvh import read_bvh, read_bvh_asset, unrolled, write_bvh
from anyrig.skeleton import Clip, Skeleton

seeds = st.integers(0, 2**32 - 1)
AXES = np.eye(3)

SMALL = """HIERARCHY
ROOT Hips
{
  OFFSET 0 1 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Left Leg
  {
    OFFSET 0.1 -0.5 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 0 -0.4 0
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.0416667
0 1 0 0 0 0 0 90 0
1 2 3 10 20 30 40 50 60
"""


@pytest.fixture
def saved(tmp_path):
    def save(text, name="clip.bvh"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return save


def dialect(rng):
    """A BVH file of random joints and channels, and what its joints' world matrices have to be."""
    n = int(rng.integers(1, 9))
    parents = [-1, *(int(rng.integers(-1, j)) for j in range(1, n))]
    n_frames = int(rng.integers(1, 5))
    offsets = rng.normal(size=(n, 3))
    kinds = [f"{a}{k}" for a in "XYZ" for k in ("position", "rotation")]
    channels = [list(rng.permutation(kinds)[: rng.integers(0, 7)]) for _ in range(n)]
    values = [rng.uniform(-200, 200, size=(n_frames, len(c))) for c in channels]
    eol = rng.choice(["\n", "\r\n", "\r"])
    style = rng.choice(["{:.12g}", "{:.12e}", "{:+.12E}"])
    gap = rng.choice([" ", "\t", "   "])
    order = []

    def joint(j):
        order.append(j)
        kind = "ROOT" if parents[j] < 0 else "JOINT"
        brace = rng.choice([f"{kind} j{j}{{", f"{kind} j{j} {{", f"{kind}  j{j}{eol}{{"])
        body = [brace, "OFFSET " + gap.join(style.format(v) for v in offsets[j])]
        body.append(f"CHANNELS {len(channels[j])} " + gap.join(channels[j]))
        children = [c for c in range(n) if parents[c] == j]
        body += [joint(c) for c in children]
        if not children and rng.random() < 0.7:
            body.append(f"End Site{eol}{{ OFFSET 0 0.0 0 }}")
        return eol.join([*body, "}"])

    text = "HIERARCHY" + eol + eol.join(joint(j) for j in range(n) if parents[j] < 0)
    rows = [gap.join(style.format(v) for j in order for v in values[j][t]) for t in range(n_frames)]
    text += eol + eol.join(["MOTION", f"Frames:{gap}{n_frames}", "Frame Time: .04", *rows]) + rng.choice(["", eol * 2])
    world = np.tile(np.eye(4), (n_frames, n, 1, 1))
    for j in order:
        for t in range(n_frames):
            local = np.eye(4)
            local[:3, 3] = offsets[j]
            for name, value in zip(channels[j], values[j][t], strict=True):
                axis = "XYZ".index(name[0])
                if name[1:] == "position":
                    local[axis, 3] = value
                else:
                    local[:3, :3] = local[:3, :3] @ rot.to_matrix(rot.from_rotvec(np.radians(value) * AXES[axis]))
            world[t, j] = (world[t, parents[j]] if parents[j] >= 0 else np.eye(4)) @ local
    return SimpleNamespace(text=text, order=order, world=world, n_moving=sum(map(len, channels)))


@settings(max_examples=60)
@given(seed=seeds)
def test_every_dialect_means_what_its_channels_say(seed, tmp_path_factory):
    made = dialect(np.random.default_rng(seed))
    path = tmp_path_factory.mktemp("bvh") / "made.bvh"
    path.write_bytes(made.text.encode())
    clip = read_bvh(path)
    assert clip.skeleton.names == tuple(f"j{j}" for j in made.order)
    assert clip.fps == 25
    positions, rotations = clip.world()
    assert positions == pytest.approx(made.world[:, made.order][..., :3, 3], abs=1e-7)
    assert rot.to_matrix(rotations) == pytest.approx(made.world[:, made.order][..., :3, :3], abs=1e-9)
    again_path = path.with_name("again.bvh")
    write_bvh(clip, again_path)
    assert_same(read_bvh(again_path), clip)


def rest(skeleton):
    """Rest positions relative to the main root, whose own place at rest is not written."""
    positions = skeleton.rest_positions()
    return positions - positions[skeleton.main_root]


def assert_same(a, b, atol=1e-6):
    """The same skeleton and motion to the ten digits that are written, as one tree."""
    order = [plain(b).index(n) for n in a.skeleton.names]
    assert sorted(order) == list(range(b.skeleton.n_joints))
    assert len(a.skeleton.roots) == 1
    assert rest(a.skeleton) == pytest.approx(rest(b.skeleton)[order], abs=atol)
    assert a.fps == pytest.approx(b.fps)
    (ap, ar), (bp, br) = a.world(), b.world()
    assert ap == pytest.approx(bp[:, order], abs=atol)
    assert rot.angle(ar, br[:, order]).max() < 1e-8


def plain(clip):
    return [name.replace(" ", "_") for name in clip.skeleton.names]


@settings(max_examples=40)
@given(seed=seeds, order=st.sampled_from(["XYZ", "XZY", "YXZ", "YZX", "ZXY", "zyx"]))
def test_any_clip_keeps_names_rest_positions_and_motion(seed, order, tmp_path_factory):
    rng = np.random.default_rng(seed)
    n = 8
    parents = (-1, *(int(rng.integers(-1, j)) for j in range(1, n)))
    names = tuple(f"Bip01 bone {j}" for j in range(n))
    skeleton = Skeleton(names, parents, rng.normal(size=(n, 3)), rot.random(rng, n))
    moves = np.where(rng.random((n, 1)) < 0.3, rng.normal(size=(4, n, 3)), skeleton.offsets)
    clip = Clip(skeleton, rot.random(rng, 4, n), moves, 30)
    path = tmp_path_factory.mktemp("bvh") / "any.bvh"
    write_bvh(clip, path, order=order)
    again = read_bvh(path)
    at = [plain(clip).index(name) for name in again.skeleton.names]
    assert again.world()[0] == pytest.approx(clip.world()[0][:, at], abs=1e-7)
    assert rest(again.skeleton) == pytest.approx(rest(skeleton)[at], abs=1e-7)


def test_end_sites_are_joints_and_become_end_sites_again(saved, tmp_path):
    clip = read_bvh(saved(SMALL))
    assert clip.skeleton.names == ("Hips", "Left Leg", "Left Leg_end")
    assert clip.skeleton.rest_positions()[2] == pytest.approx([0.1, 0.1, 0])
    assert clip.world()[0][0, 2] == pytest.approx([0.1, 0.5, -0.4])
    assert (clip.fps, clip.name) == (24.0, "clip")
    write_bvh(clip, tmp_path / "again.bvh")
    text = (tmp_path / "again.bvh").read_text()
    assert text.count("End Site") == 1
    assert "CHANNELS 3" in text
    assert "_end" not in text
    assert_same(read_bvh(tmp_path / "again.bvh"), clip)


def test_an_end_that_turns_stays_a_joint(saved, tmp_path):
    clip = read_bvh(saved(SMALL))
    rotations = clip.rotations.copy()
    rotations[1, 2] = rot.about("x", 1.0)
    write_bvh(replace(clip, rotations=rotations), tmp_path / "turning.bvh")
    assert rot.angle(read_bvh(tmp_path / "turning.bvh").world()[1][1, 2], clip.world()[1][1, 2]) == pytest.approx(1.0)


def test_text_is_read_in_any_encoding_and_line_end(saved):
    clip = read_bvh(saved(SMALL))
    for data in (
        b"\xef\xbb\xbf" + SMALL.encode(),
        SMALL.replace("\n", "\r\n").encode(),
        SMALL.replace("\n", "\r").encode(),
        SMALL.lower().replace("frame time", "Frame   Time").encode(),
        re.sub(r"\s+(?=[{}OCJE])", " ", SMALL.split("MOTION")[0]).replace("Left Leg", "Left Leg ").encode()
        + b"\nMOTION"
        + SMALL.split("MOTION")[1].encode(),
    ):
        assert_same_motion(read_bvh(saved(data)), clip)
    assert read_bvh(saved(SMALL.replace("Hips", "H\xfcfte").encode("latin-1"))).skeleton.names[0] == "Hüfte"


def assert_same_motion(a, b):
    assert a.world()[0] == pytest.approx(b.world()[0])


def test_frames_that_are_missing_or_more_are_reported(saved):
    for claim, n in (("Frames: 5", 2), ("Frames: 1", 2)):
        with pytest.warns(FileWarning, match=f"{claim[-1]} frames and has {n}"):
            assert read_bvh(saved(SMALL.replace("Frames: 2", claim))).n_frames == n


@pytest.mark.parametrize("text", [SMALL.split("MOTION")[0], SMALL.split("0 1 0 0")[0].replace("s: 2", "s: 0")])
def test_a_skeleton_without_motion_is_a_model_without_clips(saved, text):
    model = read_bvh_asset(saved(text))
    assert model.skeleton.n_joints == 3
    assert model.clips == ()
    with pytest.raises(FileError, match="no frames"):
        read_bvh(saved(text))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: "", "empty"),
        (lambda s: "glTF" + s, "HIERARCHY"),
        (lambda s: "HIERARCHY\n", "no joints"),
        (lambda s: s.split("End Site")[0], "truncated"),
        (lambda s: s.split("-0.5 0")[0], "truncated"),
        (lambda s: s[: s.index("50 60")], "frame 2 of 2 has 7 of 9"),
        (lambda s: re.sub(r"(?m)^(-?\d.*)$", r"\1 0", s), "each frame has 10 numbers, but the joints have 9 channels"),
        (lambda s: re.sub(r"(?m)^(-?\d.*)$", r"\1 \1", s), "each frame has 18 numbers, but the joints have 9 channels"),
        (lambda s: re.sub(r"(?m)^(-?\d.*) \S+$", r"\1", s), "each frame has 8 numbers, but the joints have 9 channels"),
        (lambda s: s.replace("OFFSET 0 1 0", "OFFSET 0 one 0"), "line 4: .*'one'"),
        (lambda s: s.replace("OFFSET 0 1 0\n", ""), "'Hips' has no OFFSET"),
        (lambda s: s.replace("OFFSET 0 1 0", "OFFSET 0 nan 0"), "'nan'"),
        (lambda s: s.replace("CHANNELS 3", "CHANNELS 2"), "'Yrotation'"),
        (lambda s: s.replace("CHANNELS 3", "CHANNELS 4"), "channel 'End'"),
        (lambda s: s.replace("CHANNELS 3", "CHANNELS 999999999999"), "channel 'End'"),
        (lambda s: s.replace("CHANNELS 3", "CHANNELS -3"), "'-3' channels"),
        (lambda s: s.replace("Xrotation Yrotation\n    End", "Qrotation Yrotation\n    End"), "'Qrotation'"),
        (lambda s: s.replace("JOINT", "ROOT"), "inside"),
        (lambda s: s.replace("ROOT", "JOINT"), "outside"),
        (lambda s: s.replace("}\nMOTION", "}\n}\nMOTION"), "unmatched"),
        (lambda s: s.replace("End Site\n    {", "End Site\n"), "missing"),
        (lambda s: s.replace("50 60", "50 6x0"), "line 20: '6x0'"),
        (lambda s: s.replace("50 60", "50 0,5"), "'0,5'"),
        (lambda s: s.replace("50 60", "50 1e999"), "1e999"),
        (lambda s: s.replace("Frame Time: 0.0416667\n", ""), "Frame Time"),
        (lambda s: s.replace("0.0416667", "0"), "above zero"),
        (lambda s: s.replace("Frames: 2", "Frames: many"), "'many'"),
        (lambda s: s.replace("Frames: 2", "Frames: 2.5"), "whole number"),
        (lambda s: s.replace("Frames: 2", "Frames: 9999999999"), "more than"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(saved, change, words):
    with pytest.raises(FileError, match=words) as error:
        read_bvh(saved(change(SMALL)))
    assert "\n" not in str(error.value)
    assert "clip.bvh" in str(error.value)


def test_files_that_cannot_be_read_are_one_line_too(tmp_path):
    with pytest.raises(FileError, match="No such file"):
        read_bvh(tmp_path / "missing.bvh")
    with pytest.raises(FileError, match="folder"):
        read_bvh(tmp_path)
    with (tmp_path / "huge.bvh").open("wb") as file:
        file.truncate(1 << 34)  # a sparse file: nothing is written
    with pytest.raises(FileError, match="16,384 MiB"):
        read_bvh(tmp_path / "huge.bvh")
    with pytest.raises(FileError, match="cannot be written"):
        write_bvh(read_bvh_from(SMALL, tmp_path), tmp_path / "no folder" / "x.bvh")
    with pytest.raises(SettingsError, match="order"):
        write_bvh(read_bvh_from(SMALL, tmp_path), tmp_path / "x.bvh", order="XYX")


def read_bvh_from(text, folder):
    (folder / "text.bvh").write_text(text)
    return read_bvh(folder / "text.bvh")


def test_scale_channels_are_read_past_only_where_they_do_nothing(saved):
    scaled = SMALL.replace("CHANNELS 3", "CHANNELS 4 Xscale").replace("0 0 90 0", "0 1 0 90 0")
    assert read_bvh(saved(scaled.replace("30 40", "30 1 40"))).n_frames == 2
    with pytest.raises(FileError, match="'Left Leg' changes its scale"):
        read_bvh(saved(scaled.replace("30 40", "30 2 40")))


@settings(max_examples=200)
@given(data=st.data())
def test_damage_never_ends_in_anything_but_one_line(data, tmp_path_factory):
    text = bytearray(SMALL.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text) - 1))
        kind = data.draw(st.sampled_from(["cut", "byte", "drop", "repeat"]))
        if kind == "cut":
            text = text[: at + 1]
        elif kind == "byte":
            text[at] = data.draw(st.integers(0, 255))
        elif kind == "drop":
            del text[at : at + 5]
        else:
            text[at:at] = text[at : at + 20]
        if not text:
            break
    path = tmp_path_factory.mktemp("bvh") / "damaged.bvh"
    path.write_bytes(bytes(text))
    said = ""
    try:
        with warnings.catch_warnings(action="ignore", category=FileWarning):
            read_bvh(path)
    except AnyrigError as error:
        said = str(error)
    assert "\n" not in said


@given(seed=seeds)
def test_unrolled_angles_turn_alike_and_never_step_further(seed):
    rng = np.random.default_rng(seed)
    smooth = rot.from_rotvec(np.cumsum(rng.normal(scale=0.1, size=(40, 2, 3)), axis=0))
    angles = rot.to_euler(smooth, "ZXY")
    out = unrolled(angles)
    assert rot.angle(rot.from_euler(out, "ZXY"), smooth).max() < 1e-9
    assert np.abs(np.diff(out, axis=0)).max() <= np.pi + 1e-9
    assert np.abs(np.diff(out, axis=0)).sum() <= np.abs(np.diff(angles, axis=0)).sum() + 1e-9
    spin = rot.to_euler(rot.about("y", np.linspace(0, 8 * np.pi, 60)), "ZXY")
    assert np.abs(np.diff(unrolled(spin), axis=0)).max() < 0.5, "four turns, and no jump back"


def test_a_chain_of_thousands_does_not_overflow_anything(tmp_path):
    n = 1500
    skeleton = Skeleton(tuple(f"j{j}" for j in range(n)), tuple(range(-1, n - 1)), np.tile([0.0, 0.01, 0.0], (n, 1)))
    clip = Clip(skeleton, rot.identity(1, n), skeleton.offsets, 30)
    write_bvh(clip, tmp_path / "chain.bvh")
    assert read_bvh(tmp_path / "chain.bvh").world()[0][0, -1] == pytest.approx([0, 0.01 * n, 0])
