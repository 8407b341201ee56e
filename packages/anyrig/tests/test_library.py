"""The front door: ``import anyrig`` alone takes a rig from a file to generated motion in a file."""

from __future__ import annotations

import ast
import random
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import anyrig
from anyrig import creatures
from anyrig.model import ModelConfig, MotionModel, save_model

NAMES = (
    "AnyrigError Asset Clip FileError Skeleton augment decode encode from_euler generate load retarget save "
    "scale_bones split_joint"
)


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    model = MotionModel(ModelConfig(width=16, layers=1, heads=2, max_frames=16, text_width=8, text_layers=1))
    save_model(model, tmp_path / "w.safetensors")
    return tmp_path / "w.safetensors"


def test_the_names_are_these_and_each_is_there():
    assert anyrig.__all__ == sorted(NAMES.split())
    assert all(getattr(anyrig, name).__name__ == name for name in anyrig.__all__)
    assert set(anyrig.__all__) <= set(dir(anyrig))
    with pytest.raises(AttributeError, match="no attribute 'motion'"):
        anyrig.motion  # noqa: B018


def test_a_submodule_hides_no_name():
    """Importing ``anyrig.x`` sets ``anyrig.x`` to the module."""
    folder = Path(anyrig.__file__).parent
    assert not set(anyrig.__all__) & {p.stem for p in folder.iterdir()}


def test_import_anyrig_loads_nothing_heavy():
    code = "import sys, anyrig\nprint(sorted({'torch', 'numpy', 'PIL', 'pygltflib'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_a_rig_goes_from_a_file_to_motion_in_a_file(tmp_path, weights):
    skeleton = creatures.skeleton(creatures.plan("quadruped", random.Random(0)))
    anyrig.save(anyrig.Asset(skeleton), tmp_path / "rig.glb")
    rig = anyrig.load(tmp_path / "rig.glb")
    clip = anyrig.generate(rig, "it walks", seconds=0.6, seed=1, weights=weights)
    anyrig.save(replace(rig, clips=(clip,)), tmp_path / "out.glb")
    (back,) = anyrig.load(tmp_path / "out.glb").clips
    assert back.captions == ("it walks",)
    assert back.seconds == pytest.approx(0.6, abs=1e-3)
    assert back.world()[0] == pytest.approx(clip.world()[0], abs=1e-4)


def test_a_skeleton_a_file_and_its_asset_are_one_rig(tmp_path, weights):
    wag = anyrig.Skeleton(("hips", "tail", "tip"), (-1, 0, 1), np.array([[0.0, 1, 0], [0, 0, -0.3], [0, 0, -0.2]]))
    anyrig.save(anyrig.Asset(wag), tmp_path / "rig.npz")
    prompts = [("it walks", 0.4), ("it attacks", 0.4)]
    made = [anyrig.generate(rig, prompts, weights=weights) for rig in (wag, tmp_path / "rig.npz", anyrig.Asset(wag))]
    assert made[0].name == "it walks, then it attacks"
    assert made[0].seconds == pytest.approx(0.8, abs=1e-3)
    for other in made[1:]:
        assert np.array_equal(other.rotations, made[0].rotations)


def test_library_examples_import_only_the_front_door():
    text = (Path(anyrig.__file__).parents[2] / "README.md").read_text()
    for block in re.findall(r"^```python.*?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                assert not (node.module or "").startswith("anyrig"), node.module
            elif isinstance(node, ast.Import):
                assert all("." not in a.name for a in node.names if a.name.startswith("anyrig"))
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "anyrig":
                assert node.attr in anyrig.__all__
