"""The evaluation as a whole, on a small scale: the evaluator learns, the baseline moves, the table is filled."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from anyrig import creatures, evaluation
from anyrig.corpus import HELD_OUT_KINDS, HELD_OUT_PAIRS, BatchConfig, Selection, batches, make_example
from anyrig.errors import FileError, SettingsError
from anyrig.evaluation import (
    Evaluator,
    EvaluatorSettings,
    Nearest,
    Plan,
    RowCache,
    by_retrieval,
    evaluate,
    load_evaluator,
    questions,
    save_evaluator,
    train_evaluator,
)


def a_clip(action, kind="quadruped", seed=3):
    rng = random.Random(seed)
    return creatures.clip(creatures.plan(kind, rng), action, rng)


@pytest.fixture(scope="module")
def evaluator(tmp_path_factory):
    torch.set_num_threads(1)
    settings = EvaluatorSettings(n_clips=10, steps=4, tokens=1500, lr=4e-3)
    return train_evaluator(settings, tmp_path_factory.mktemp("clips"))


def test_an_evaluator_learns_which_text_belongs_to_which_motion():
    torch.manual_seed(0)
    examples = [make_example(Selection("valid", creatures.kinds()), k)[0] for k in range(6)]
    how = BatchConfig(tokens=20_000, max_frames=24, uncond=0.0)
    (batch,) = batches(examples, how, 0, 0)
    assert len(set(batch.texts)) == 6
    evaluator = Evaluator()
    optimizer = torch.optim.Adam(evaluator.parameters(), lr=2e-3)
    before = float(evaluator.loss(batch).detach())
    for _ in range(40):
        optimizer.zero_grad()
        evaluator.loss(batch).backward()
        optimizer.step()
    assert float(evaluator.loss(batch).detach()) < 0.5 * before
    with torch.no_grad():
        motions, texts = evaluator.motions(batch.clean, batch.rig), evaluator.texts(batch.texts)
    np.testing.assert_allclose(motions.norm(dim=1), 1.0, atol=1e-5)
    assert evaluation.r_precision(texts.numpy(), motions.numpy(), [np.arange(6)], 1) > 0.6


def test_an_evaluator_comes_back_from_its_file(evaluator, tmp_path):
    save_evaluator(evaluator, tmp_path / "e.safetensors")
    clips = [a_clip("walk")]
    a, b = (e.embed(clips, ["it walks"]) for e in (evaluator, load_evaluator(tmp_path / "e.safetensors")))
    np.testing.assert_allclose(a[0], b[0])
    np.testing.assert_allclose(a[1], b[1])
    (tmp_path / "x").write_bytes(b"no")
    with pytest.raises(FileError):
        load_evaluator(tmp_path / "x")


def test_the_nearest_caption_is_found():
    clips = [a_clip(action) for action in ("walk", "attack", "death")]
    bank = Nearest(clips)
    for clip in clips:
        assert bank.find(clip.captions[2]) is clip


def test_questions_are_of_what_is_held_out_and_the_same_for_a_seed():
    plan = Plan(n_creatures=4, n_actions=3)
    assert {q.kind for q in questions("unseen species", plan, 0)} == set(HELD_OUT_KINDS)
    bodies = questions("unseen bodies", plan, 0)
    assert not any((q.kind, q.real.action) in HELD_OUT_PAIRS for q in bodies)
    assert [q.text for q in bodies] == [q.text for q in questions("unseen bodies", plan, 0)]
    assert [q.text for q in bodies] != [q.text for q in questions("unseen bodies", plan, 1)]
    for pool in range(4):
        actions = [q.real.action for q in bodies if q.pool == pool]
        assert len(set(actions)) == len(actions) <= 3
    assert any((q.kind, q.real.action) in HELD_OUT_PAIRS for q in questions("unseen pairs", plan, 0))


def test_the_table_is_filled(evaluator):
    plan = Plan(("unseen bodies",), n_creatures=2, n_actions=3, seeds=(0, 1), n_bank=10, seconds=1.6)
    results = evaluate(plan, evaluator, {"nearest": by_retrieval(10), "nothing": lambda asked, seed: None})
    assert set(results) == {"unseen bodies"}
    rows = results["unseen bodies"]
    assert "nothing" not in rows
    assert [row["energy"] for row in rows["real"]] == pytest.approx([1.0, 1.0])
    assert rows["real"][0]["FID"] == pytest.approx(0.0, abs=1e-6)
    assert rows["real"][0]["coverage"] == 1.0
    for row in rows["nearest"]:
        assert 0 <= row["R@1"] <= row["R@2"] <= row["R@3"] <= 1
        assert row["FID"] > 0
        assert row["bone error"] < 1e-9


def test_what_was_measured_is_not_measured_again(tmp_path):
    path, made = tmp_path / "measured.jsonl", []

    def make(value):
        made.append(value)
        return {"R@1": value} if value else None

    first = RowCache(path)
    assert first.row(["a", 0], lambda: make(0.5)) == first.row(["a", 0], lambda: make(0.6)) == {"R@1": 0.5}
    assert first.row(["a", 1], lambda: make(0.0)) is None
    first.row(["b", 0], lambda: make(0.7))
    path.write_text(path.read_text()[:-9])  # cut off
    for _ in range(2):
        again = RowCache(path)
        assert again.row(["a", 0], lambda: make(0.6)) == {"R@1": 0.5}
        assert again.row(["a", 1], lambda: make(0.6)) is None
        assert again.row(["b", 0], lambda: make(0.8)) == {"R@1": 0.8}
    assert made == [0.5, 0.0, 0.7, 0.8]


def test_plans_that_cannot_be_are_refused():
    for wrong in ({"sets": ("all",)}, {"seeds": ()}, {"n_creatures": 0}):
        with pytest.raises(SettingsError):
            Plan(**wrong)
