"""The repairs on real creatures: quadrupeds, a biped, fish, insects, a snake and a crab."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from anyrig import rotations as rot
from anyrig.augmentation import stretch
from anyrig.conform import extent
from anyrig.datasets import quaternius
from anyrig.datasets.quaternius import Repairs
from anyrig.errors import FileError
from anyrig.io import read_glb
from anyrig.io.gltf_read import skin_weights

FOLDER = Path(__file__).parents[4] / "shared" / "data" / "motion" / "quaternius"
NAMES = ("Alpaca", "Apatosaurus", "Crab", "Parasaurolophus", "Rat", "Snake", "Wasp", "Whale")
FILES = [file for name in NAMES for file in FOLDER.glob(f"*/{name}.glb")]

needs_data = pytest.mark.skipif(not FILES, reason=f"the creatures are not in {FOLDER}")


@pytest.fixture(scope="module", params=FILES or [None], ids=lambda p: p.stem if p else "none")
def creature(request):
    if request.param is None:
        pytest.skip(f"the creatures are not in {FOLDER}")
    exact = quaternius.read_creature(request.param, Repairs(rigid=False, travel=False))
    made = quaternius.read_creature(request.param)
    return SimpleNamespace(name=request.param.stem, source=read_glb(request.param), exact=exact, made=made)


def test_one_tree_of_joints_that_carry_the_mesh(creature):
    skeleton, source = creature.made.skeleton, creature.source
    assert len(skeleton.roots) == 1
    gone = [j for j, name in enumerate(source.skeleton.names) if name not in skeleton.names]
    weights, _ = skin_weights(source.source.document, list(source.source.joints))
    assert weights[gone].sum() < 0.005 * weights.sum()
    for joint, name in enumerate(skeleton.names):
        if name.endswith("Foot.L") or name.startswith("IK"):
            assert "low" in skeleton.names[skeleton.parents[joint]].lower(), "feet hang on lower legs"


def test_the_exact_rig_moves_as_the_file_does(creature):
    source, exact = creature.source, creature.exact
    at = [source.skeleton.names.index(name) for name in exact.skeleton.names]
    for a, b in zip(source.clips, exact.clips, strict=True):
        turn = rot.about("y", -np.pi / 2) if creature.name == "Wasp" else rot.IDENTITY
        expected = rot.rotate(turn, a.world()[0][:, at])
        assert np.abs(b.world()[0] - expected).max() < 1e-4 * extent(exact.skeleton)


def test_it_faces_forward_and_rests_on_both_sides_alike(creature):
    skeleton = creature.made.skeleton
    positions = skeleton.rest_positions()
    if "Head" in skeleton.names and creature.name not in ("Crab", "Snake"):
        away = positions[skeleton.index("Head")] - positions[skeleton.main_root]
        assert away[2] > abs(away[0])
    pairs = [(j, n.replace(".L", ".R")) for j, n in enumerate(skeleton.names) if n.endswith(".L")]
    for j, other in pairs:
        if creature.name in ("Alpaca", "Apatosaurus", "Parasaurolophus"):
            mirrored = positions[skeleton.index(other)] * [-1, 1, 1]
            assert np.abs(positions[j] - mirrored).max() < 0.01 * extent(skeleton)


def test_bones_are_rigid_and_feet_where_they_were(creature):
    feet = [j for j, n in enumerate(creature.made.skeleton.names) if n.startswith("FF") or n.startswith("BackFoot")]
    for a, b in zip(creature.exact.clips, creature.made.clips, strict=True):
        assert stretch(b).max() < 1e-9
        if feet and b.name not in ("gallop_jump", "jump_toidle", "jump", "death"):  # legs too far stretched
            away = (b.world()[0] - b.travel()[:, None]) - (a.world()[0] - a.travel()[:, None])
            away = np.linalg.norm(away[:, feet], axis=-1) / extent(b.skeleton)
            assert np.median(away) < 0.005
            assert np.percentile(away, 90) < 0.05


def test_gaits_get_along_and_their_feet_slip_less(creature):
    by_name = {c.name: (a, c) for a, c in zip(creature.exact.clips, creature.made.clips, strict=True)}
    gaits = [name for name in ("walk", "run", "gallop") if name in by_name]
    if creature.name in ("Snake", "Crab", "Whale", "Wasp"):
        assert all(np.linalg.norm(c.travel()[-1] - a.travel()[-1]) < 1e-9 for a, c in by_name.values())
        return
    speeds = []
    for name in gaits:
        before, after = by_name[name]
        feet = [j for j, n in enumerate(after.skeleton.names) if n.startswith(("FF", "BackFoot"))]
        assert slip(after, feet) < 0.75 * slip(before, feet), name
        x, _, z = after.travel()[-1]
        assert z > 10 * abs(x)
        speeds.append(z / after.seconds)
    assert speeds == sorted(speeds), "a run is faster than a walk"


def slip(clip, feet):
    """How fast standing feet move over the ground, on average."""
    at = clip.world()[0][:, feet]
    lift = at[..., 1] - at[..., 1].min(axis=0)
    standing = lift < 0.15 * lift.max(axis=0)
    return np.linalg.norm(np.gradient(at[..., [0, 2]], axis=0), axis=-1)[standing].mean()


def test_every_clip_has_an_action_and_captions(creature):
    names = [c.name for c in creature.made.clips]
    assert len(set(names)) == len(names)
    for clip in creature.made.clips:
        assert clip.action
        short, mid, long = clip.captions
        assert len(short) < len(long)
        assert mid in long


@needs_data
def test_a_folder_gives_all_and_repairs_can_be_left_out():
    folder = FOLDER / "fish_pack"
    models = quaternius.load(folder)
    assert sorted(models) == sorted(p.stem for p in folder.glob("*.glb"))
    plain = quaternius.load(folder / "Whale.glb", Repairs(rig=False))["Whale"]
    assert plain.source is not None
    assert plain.skeleton.names == read_glb(folder / "Whale.glb").skeleton.names


@pytest.mark.parametrize(
    ("clip", "name"),
    [
        ("AnimalArmature|Attack_Kick", "attack_kick"),
        ("Armature|Stegosaurus_Death", "death"),
        ("Armature|Swim.001", "swim"),
        ("FrogArmature|Frog_Idle", "idle"),
        ("AnimalArmature|Idle_HitReact_Left", "idle_hitreact_left"),
        ("Somersault", "somersault"),
    ],
)
def test_clips_are_called_after_what_they_show(clip, name):
    assert quaternius.action_name(clip) == name


def test_what_is_not_there_is_one_line(tmp_path):
    with pytest.raises(FileError, match="holds no GLB or glTF"):
        quaternius.load(tmp_path)
    with pytest.raises(FileError, match="No such file"):
        quaternius.load(tmp_path / "Yeti.glb")
