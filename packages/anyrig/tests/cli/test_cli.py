"""The command line: quick help, every verb on real files, and one clear line for what is wrong."""

from __future__ import annotations

import json
import os
import pkgutil
import re
import subprocess
import sys

import pytest
import torch

import anyrig.cli
from anyrig.cli import VERBS, main
from anyrig.io import load
from anyrig.model import ModelConfig, MotionModel, save_model


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with a rig that has clips, and weights of a small model."""
    folder = tmp_path_factory.mktemp("files")
    torch.manual_seed(0)
    model = MotionModel(ModelConfig(width=16, layers=1, heads=2, max_frames=16, text_width=8, text_layers=1))
    save_model(model, folder / "w.safetensors")
    actions = ["--action", "idle", "--action", "walk"]
    assert main(["creature", "quadruped", "--out", str(folder / "dog.glb"), *actions]) == 0
    return folder


def generate(files, *more):
    common = ["--rig", str(files / "dog.glb"), "--weights", str(files / "w.safetensors"), "--threads", "1",
              "--device", "cpu", "--steps", "2"]  # fmt: skip
    return main(["generate", *common, *more])


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("generte", "did you mean generate?"),
        ("inspect x.glb --unti m", "inspect: error: unrecognized arguments: --unti m; did you mean --unit?"),
        ("inspect x.glb --qqq", "unrecognized arguments: --qqq"),
    ],
)
def test_what_is_misspelt_is_named_with_the_nearest(command, said, capsys):
    with pytest.raises(SystemExit) as e:
        main(command.split())
    assert e.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith(said)


def test_every_module_has_a_verb():
    modules = {m.name for m in pkgutil.iter_modules(anyrig.cli.__path__)}
    assert modules == {module for module, _ in VERBS.values()}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], *[[v, "--help"] for v in VERBS]])
def test_help_is_quick_because_nothing_heavy_is_imported(arguments):
    code = (
        "import sys\nfrom anyrig.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    print(sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, env={**os.environ})
    assert done.stdout
    assert not {"torch", "numpy", "PIL", "pygltflib", "safetensors"} & set(re.findall(r"'(\w+)'", done.stderr))


@pytest.mark.parametrize("suffix", [".glb", ".bvh", ".npz"])
def test_generate_writes_a_clip_of_the_rig(files, tmp_path, suffix):
    out = tmp_path / f"out{suffix}"
    assert generate(files, "--text", "it walks", "--seconds", "0.6", "--out", str(out)) == 0
    model = load(out)
    assert model.clips[0].seconds == pytest.approx(0.6, abs=1e-3)
    rig = load(files / "dog.glb").skeleton
    assert model.skeleton.names[: rig.n_joints] == rig.names or suffix == ".bvh"


def test_generate_takes_several_prompts_pins_samples_and_draws_a_sheet(files, tmp_path):
    out = tmp_path / "out.glb"
    assert generate(
        files, "--text", "it walks@0.6", "--text", "it attacks", "--seconds", "0.6", "--samples", "2",
        "--out", str(out),
        "--pin", f"{files / 'dog.glb'}#{load(files / 'dog.glb').clips[0].name}:0-0.2", "--sheet",
        str(tmp_path / "s.png"),
    ) == 0  # fmt: skip
    clips = load(out).clips
    assert len(clips) == 2
    assert clips[0].seconds == pytest.approx(1.2, abs=1e-3)
    assert (tmp_path / "s.png").read_bytes()[:4] == b"\x89PNG"


def test_samples_in_bvh_are_numbered_files(files, tmp_path):
    out = str(tmp_path / "a.bvh")
    assert generate(files, "--text", "it walks", "--seconds", "0.4", "--samples", "2", "--out", out) == 0
    assert {p.name for p in tmp_path.iterdir()} == {"a-1.bvh", "a-2.bvh"}


def test_inspect_tells_what_is_in_a_file(files, capsys):
    assert main(["inspect", str(files / "dog.glb"), "--tree"]) == 0
    text = capsys.readouterr().out
    assert "faces z" in text
    assert "walk" in text
    assert main(["inspect", str(files / "dog.glb"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["joints"] == len(found["names"])
    assert [c["frames"] for c in found["clips"]] == [61, 61]


def test_the_animators_table_is_printed_and_written(files, tmp_path, capsys):
    chosen = ["--quick", "--scene", "slither", "--scene", "walk", "--rig", str(files / "dog.glb")]
    how = ["--weights", str(files / "w.safetensors"), "--steps", "1", "--device", "cpu", "--out", str(tmp_path)]
    run = ["evaluate", "--animator", *chosen, *how]
    assert main([*run, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {r["kind"] for r in rows} >= {"serpent", "quadruped", "files"}
    assert json.loads((tmp_path / "animator.json").read_text()) == rows
    assert "slither: lowest joint" in (tmp_path / "animator.md").read_text()


def test_augment_writes_varied_rigs(files, tmp_path):
    assert main(["augment", str(files / "dog.glb"), "--out", str(tmp_path / "v.glb"), "--n", "2"]) == 0
    rigs = [load(tmp_path / f"v-{k}.glb").skeleton for k in (1, 2)]
    assert rigs[0].rest_positions().tolist() != rigs[1].rest_positions().tolist()


def test_train_runs_from_the_command_line_and_goes_on(tmp_path, capsys):
    sets = [
        f"--set={s}"
        for s in ("n_clips=4", "pose_steps=2", "steps=3", "tokens=800", "model.width=16", "model.layers=1",
                  "model.heads=2", "model.text_width=8", "kinds=serpent")
    ]  # fmt: skip
    run = ["train", str(tmp_path / "run"), *sets, "--threads", "1", "--device", "cpu"]
    assert main([*run, "--stop-after", "2"]) == 0
    assert not (tmp_path / "run" / "model.safetensors").exists()
    assert main(run) == 0
    assert "resumed at step 2 of 5" in capsys.readouterr().err
    assert (tmp_path / "run" / "model.safetensors").exists()
    assert main([*run, "--show"]) == 0
    assert json.loads(capsys.readouterr().out)["kinds"] == ["serpent"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", "nowhere.glb"],
        ["inspect", "notes.txt"],
        ["creature", "unicorn", "--out", "x.glb"],
        ["creature", "fish", "--action", "walk", "--out", "x.glb"],
        ["augment", "DOG", "--out", "x.glb", "--lengths", "2", "1"],
        ["augment", "DOG", "--out", "x.glb", "--clip", "nothing"],
        ["train", "run", "--set", "width=3"],
        ["train", "run", "--set", "model.width=15"],
        ["train", "run", "--set", "steps"],
        ["train", "run", "--config", "nowhere.toml"],
        ["generate", "--rig", "DOG", "--text", "walk", "--out", "x.fbx"],
        ["generate", "--rig", "DOG", "--text", "", "--out", "x.glb", "--weights", "WEIGHTS"],
        ["generate", "--rig", "DOG", "--text", "walk", "--out", "x.glb", "--weights", "nowhere.safetensors"],
        ["generate", "--rig", "DOG", "--text", "walk", "--out", "x.glb", "--weights", "DOG"],
        ["generate", "--rig", "DOG", "--text", "walk", "--out", "x.glb", "--weights", "WEIGHTS", "--device", "tpu9"],
        ["generate", "--rig", "DOG", "--text", "walk", "--out", "x.glb", "--weights", "WEIGHTS", "--pin", "DOG:a-b"],
        ["generate", "--rig", "DOG", "--text", "walk", "--out", "x.glb", "--weights", "WEIGHTS", "--facing", "up"],
        ["generate", "--rig", "DOG", "--text", "walk", "--out", "x.glb", "--weights", "WEIGHTS", "--steps", "0"],
        ["generate", "--rig", "DOG", "--text", "walk", "--out", "no/such/folder/x.glb", "--weights", "WEIGHTS"],
        ["evaluate"],
        ["evaluate", "--animator", "--scene", "swims"],
        ["evaluate", "--out", "e", "--no-model", "--set", "everything"],
        ["evaluate", "--out", "e", "--no-model", "--other", "x=nowhere"],
        ["studio", "--weights", "WEIGHTS", "--port", "99999", "--no-browser"],
    ],
)
def test_what_is_wrong_is_said_in_one_line(files, tmp_path, monkeypatch, capsys, arguments):
    monkeypatch.chdir(tmp_path)
    names = {"DOG": str(files / "dog.glb"), "WEIGHTS": str(files / "w.safetensors")}
    given = [names.get(a, a).replace("DOG:", f"{names['DOG']}:") for a in arguments]
    assert main(given) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert said[0].startswith("anyrig: ")


def test_the_demo_moves_three_creatures(files, tmp_path):
    weights = ["--weights", str(files / "w.safetensors"), "--steps", "1", "--seconds", "0.5", "--device", "cpu"]
    assert main(["demo", "--out", str(tmp_path), "--threads", "1", *weights]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bird.glb", "dragon.glb", "quadruped.glb", "sheet.png"]
    assert [len(load(tmp_path / f"{kind}.glb").clips) for kind in ("bird", "dragon", "quadruped")] == [3, 3, 3]


def test_unknown_words_are_named_and_a_clip_is_a_start(files, tmp_path, capsys):
    out = tmp_path / "moved.glb"
    assert generate(files, "--text", "it sits@0.5", "--out", str(out)) == 0
    assert 'note: nothing was learned for "sits"; near it: crouch' in capsys.readouterr().err
    assert generate(files, "--text", "xyzzy@0.5", "--start", str(files / "dog.glb"), "--out", str(out)) == 0
    assert load(out).clips[-1].seconds == pytest.approx(0.5)
    assert generate(files, "--text", "it walks", "--start", "none.glb", "--out", str(out)) == 2
    assert generate(files, "--text", "it walks", "--start-level", "2", "--out", str(out)) == 2
    assert "from 0 to 1" in capsys.readouterr().err
