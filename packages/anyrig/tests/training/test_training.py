"""Training: it learns, it goes on where it was cut off as if it had not been, and it says what is wrong."""

from __future__ import annotations

import json
import math

import pytest
import torch

from anyrig.errors import FileError, SettingsError
from anyrig.model import ModelConfig, load_model
from anyrig.training import TrainSettings, Weights, ground_speed, losses, train

SMALL = ModelConfig(width=16, layers=1, heads=2, text_width=8, text_layers=1)


def small(**more):
    values = {"n_clips": 6, "pose_steps": 6, "steps": 8, "tokens": 900, "save_every": 5, "warmup": 2}
    return TrainSettings(**{"model": SMALL, **values, **more})


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("run")
    said = []
    path = train(small(), folder, say=said.append)
    return folder, path, said


def test_a_run_leaves_a_model_a_log_and_a_manifest(whole):
    folder, path, said = whole
    model, about = load_model(path)
    assert model.config == SMALL
    assert about["steps"] == 14
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["settings"] == small().to_dict()
    assert manifest["n_parameters"] == sum(p.numel() for p in model.parameters())
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 14
    assert {line["stage"] for line in lines} == {"poses", "motion"}
    assert any("steps/s" in line for line in said)


@pytest.mark.parametrize("at", [3, 9])
def test_an_interrupted_run_ends_with_the_same_weights(whole, tmp_path, at):
    _, path, _ = whole
    assert train(small(), tmp_path, stop_after=at) is None
    assert not (tmp_path / "model.safetensors").exists()
    again = train(small(), tmp_path)
    for (name, a), (_, b) in zip(
        load_model(path)[0].state_dict().items(), load_model(again)[0].state_dict().items(), strict=True
    ):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4, msg=name)


def test_a_finished_run_stays_finished(whole):
    folder, path, _ = whole
    before = path.read_bytes()
    assert train(small(), folder) == path
    assert path.read_bytes() == before


def test_a_folder_holds_one_run(whole):
    with pytest.raises(FileError, match="other settings"):
        train(small(seed=1), whole[0])


def test_it_learns(tmp_path):
    settings = small(n_clips=3, pose_steps=0, steps=60, lr=5e-3, uncond=0.0, model=ModelConfig(
        width=32, layers=2, heads=2, text_width=8, text_layers=1))  # fmt: skip
    train(settings, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["joints"] < 0.75 * lines[0]["joints"]


def test_the_truth_has_no_loss_but_what_its_feet_slide():
    from anyrig.corpus import BatchConfig, Selection, batches, make_example

    example, _ = make_example(Selection("train", ("quadruped",)), 1, varied=False)
    (batch,) = batches([example], BatchConfig(), 0, 0)
    terms = losses(batch.clean, batch.clean, batch.rig, 15.0, Weights(), torch.ones(1))
    assert all(float(v) < 1e-5 for k, v in terms.items() if k != "skate")
    assert float(terms["skate"]) < 0.5
    worse = losses(batch.clean + 0.3, batch.clean, batch.rig, 15.0, Weights(), torch.ones(1))
    assert all(float(worse[k]) > float(terms[k]) for k in ("joints", "path", "positions"))
    surer = losses(batch.clean + 0.3, batch.clean, batch.rig, 15.0, Weights(), torch.full((1,), 0.5))
    assert float(surer["joints"]) == pytest.approx(4 * float(worse["joints"]))


def test_ground_speed_is_that_of_the_world():
    # A point that stands while the root passes it and turns.
    fps, n = 200.0, 40
    heading = 0.4 * torch.arange(n) / fps
    place = torch.stack([0.3 * torch.arange(n) / fps, torch.ones(n), 0.8 * torch.arange(n) / fps], dim=-1)
    still = torch.tensor([0.5, 0.0, 1.0])
    away = still - place
    c, s = torch.cos(heading), torch.sin(heading)
    where = torch.stack([c * away[:, 0] - s * away[:, 2], away[:, 1], s * away[:, 0] + c * away[:, 2]], dim=-1)
    moved = place.diff(dim=0) * fps
    path = torch.zeros(n, 4)
    path[:, 0] = place[:, 1]
    path[1:, 1] = c[:-1] * moved[:, 0] - s[:-1] * moved[:, 2]
    path[1:, 2] = s[:-1] * moved[:, 0] + c[:-1] * moved[:, 2]
    path[1:, 3] = heading.diff() * fps
    assert ground_speed(where[None, :, None], path[None], fps).abs().max() < 0.02


@pytest.mark.parametrize(
    "wrong",
    [{"n_clip": 3}, {"steps": "many"}, {"lr": 0.0}, {"kinds": ["unicorn"]}, {"schedule": "linear"}, {"model": 3},
     {"model": {"depth": 3}}, {"seed": True}],
)  # fmt: skip
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(SettingsError):
        TrainSettings.from_dict(wrong)


def test_settings_come_back_from_a_file():
    assert TrainSettings.from_dict(json.loads(json.dumps(small().to_dict()))) == small()


def test_muon_is_pytorchs_but_for_its_rounding():
    from anyrig.training import Muon, orthogonal

    torch.manual_seed(0)
    start = [torch.randn(8, 8), torch.randn(6, 3), torch.randn(4, 16)]
    ours, theirs = ([torch.nn.Parameter(m.clone()) for m in start] for _ in range(2))
    one = Muon(ours, 2e-2, 0.01)
    other = torch.optim.Muon(theirs, lr=2e-2, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
    for _ in range(5):
        for p, q in zip(ours, theirs, strict=True):
            p.grad = torch.randn_like(p)
            q.grad = p.grad.clone()
        one.step()
        other.step()
    for p, q, before in zip(ours, theirs, start, strict=True):
        assert float((p - q).detach().norm()) < 0.05 * float((q - before).detach().norm())
    values = torch.linalg.svdvals(orthogonal(torch.randn(40, 8)))
    assert 0.6 < float(values.min()) <= float(values.max()) < 1.25


def test_captions_of_one_motion_are_told_from_others():
    from anyrig.training import text_loss

    here = torch.eye(4)
    none_alike = torch.zeros(4, 4, dtype=torch.bool)
    assert float(text_loss(here, here, none_alike)) < 0.01  # each like its own and unlike the others
    assert float(text_loss(here.roll(1, 0), here, none_alike)) > 5.0
    same = torch.ones(4, 3)
    assert float(text_loss(same, same, none_alike)) == pytest.approx(math.log(4), abs=1e-5)  # nothing is told
    assert float(text_loss(same, same, ~none_alike)) == pytest.approx(0.0, abs=1e-6)  # and nothing asked


def test_a_batch_has_other_captions_and_knows_what_is_alike():
    from anyrig.corpus import BatchConfig, Selection, batches, make_example

    examples = [make_example(Selection("train", ("biped",)), k, varied=False)[0] for k in range(6)]
    captions = {c: (e.kind, e.action) for e in examples for c in e.captions}
    for batch in batches(examples, BatchConfig(poses=True, uncond=0.0), 0, 0):
        for k, (text, other) in enumerate(zip(batch.texts, batch.others, strict=True)):
            owner = next(e for e in examples if text in e.captions and other in e.captions)
            alike = [captions[t] == (owner.kind, owner.action) for t in batch.texts]
            assert batch.alike[k].tolist() == alike
