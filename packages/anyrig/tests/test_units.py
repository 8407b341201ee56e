"""What a file's size and pose say about its unit and its up axis, and the flags that say otherwise."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pytest

from anyrig import conform, io
from anyrig import rotations as rot
from anyrig.errors import FileWarning, SettingsError
from anyrig.skeleton import Clip, Skeleton

NAMES = {
    "biped": ("Hips", "Spine", "Head", "LeftUpLeg", "LeftLeg", "LeftFoot", "RightUpLeg", "RightLeg", "RightFoot"),
    "no feet": ("pelvis", "chest", "skull", "thigh.L", "shin.L", "tip.L", "thigh.R", "shin.R", "tip.R"),
    "animal": ("body", "neck", "head", "leg_l_1", "leg_l_2", "hoof_l", "leg_r_1", "leg_r_2", "hoof_r"),
}
_LEG = ((0.85, 0.0), (0.45, 0.05), (0.05, 0.0))
AT = np.array([[0, 0.9, 0], [0, 1.3, 0.1], [0, 1.7, 0.3], *([x, y, z] for x in (0.1, -0.1) for y, z in _LEG)])
PARENTS = (-1, 0, 1, 0, 3, 4, 0, 6, 7)


def rig(names="biped", factor=1.0, turn=None):
    """A standing creature 1.65 m high, with a frame of motion; all of it turned in the world by ``turn``."""
    offsets = np.array([AT[j] - (AT[p] if p >= 0 else 0) for j, p in enumerate(PARENTS)])
    skeleton = Skeleton(NAMES[names], PARENTS, offsets)
    clip = Clip(skeleton, rot.identity(2, len(AT)), offsets, 30.0, name="stand")
    return conform.scaled(conform.turned(clip, turn if turn is not None else rot.identity()), factor)


def said(path, **options):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        model = io.load(path, **options)
    return model, [str(w.message) for w in found if issubclass(w.category, FileWarning)]


@pytest.mark.parametrize("suffix", [".bvh", ".glb"])
@pytest.mark.parametrize(
    ("factor", "unit", "size"),
    [(72, "cm", "119 m high"), (100, "cm", "165 m high"), (0.07, 14, "0.12 m"), (17.7, 0.0564, "29.2 m")],
)
def test_a_size_that_no_creature_has_names_the_flag(tmp_path, suffix, factor, unit, size):
    path = tmp_path / f"rig{suffix}"
    io.save(rig(factor=factor), path)
    _, words = said(path)
    assert len(words) == 1
    assert str(path) in words[0]
    assert size in words[0]
    assert "--unit" in words[0]
    model, words = said(path, unit=unit)
    assert words == []
    assert 0.9 < np.ptp(model.skeleton.rest_positions()[:, 1]) < 1.8


@pytest.mark.parametrize("factor", [0.2, 1, 8])
@pytest.mark.parametrize("names", NAMES)
def test_a_creature_of_any_size_that_stands_is_no_reason_to_warn(tmp_path, factor, names):
    io.save(rig(names, factor), tmp_path / "rig.bvh")
    assert said(tmp_path / "rig.bvh")[1] == []


@pytest.mark.parametrize("suffix", [".bvh", ".glb"])
@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("up", ["z", "x"])
def test_legs_that_hang_along_another_axis_name_the_flag(tmp_path, suffix, names, up):
    path = tmp_path / f"rig{suffix}"
    io.save(rig(names), path, up=up)
    _, words = said(path)
    assert len(words) == 1
    assert f"--up {up}" in words[0]
    assert said(path, up=up)[1] == []


def test_who_says_what_a_file_means_hears_no_more_of_it(tmp_path):
    io.save(rig(factor=100), tmp_path / "lying.bvh", up="z")
    assert len(said(tmp_path / "lying.bvh")[1]) == 2
    assert "--unit" in said(tmp_path / "lying.bvh", up="y")[1][0]
    assert "--up" in said(tmp_path / "lying.bvh", unit="m")[1][0]
    assert said(tmp_path / "lying.bvh", up="y", unit="m")[1] == []


def test_one_that_lies_in_its_first_frame_only_does_not_lie_in_the_file(tmp_path):
    clip = rig()
    down = clip.rotations.copy()
    down[:, 0] = rot.about("x", -np.pi / 2)
    io.save(Clip(clip.skeleton, down, clip.translations, 30.0), tmp_path / "asleep.bvh")
    assert said(tmp_path / "asleep.bvh")[1] == []


@pytest.mark.parametrize(("unit", "metres"), [("cm", 0.01), ("0.0564", 0.0564), (2.5, 2.5), ("1e-3", 0.001)])
def test_a_unit_is_a_name_or_a_number_of_metres(tmp_path, unit, metres):
    assert conform.metres(unit) == metres
    clip = rig()
    for suffix in io.SUFFIXES:
        path = tmp_path / f"rig{suffix}"
        io.save(clip, path, unit=unit)
        back = said(path, unit=unit)[0].clips[0]
        assert back.world()[0] == pytest.approx(clip.world()[0], abs=1e-5)
        plain = said(path)[0].clips[0]
        assert plain.world()[0] == pytest.approx(clip.world()[0] / metres, rel=1e-4, abs=1e-4 / metres)


@pytest.mark.parametrize("unit", ["furlong", "0", "-1", "nan", "inf", "", 0, None])
def test_any_other_is_refused_in_one_line(tmp_path, unit):
    with pytest.raises(SettingsError, match="m, cm, mm, in, ft, or how many metres"):
        conform.metres(unit)


def test_the_command_line_says_so_and_takes_a_number(tmp_path):
    io.save(rig(factor=1 / 0.0564), tmp_path / "cmu.bvh")
    inspect = [sys.executable, "-m", "anyrig", "inspect", str(tmp_path / "cmu.bvh")]
    done = subprocess.run(inspect, capture_output=True, text=True)
    assert "29.3 m high" in done.stdout
    assert "--unit" in done.stderr
    done = subprocess.run([*inspect, "--unit", "0.0564"], capture_output=True, text=True)
    assert "1.65 m high" in done.stdout
    assert done.stderr == ""
    done = subprocess.run([*inspect, "--unit", "furlong"], capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
