"""Pretraining: the optimizer, the curriculum's order, and that several processes do what one would."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch

from tinyworld import corpus, exercises, pretrain
from tinyworld._muon import Muon, orthogonalized
from tinyworld.ladder import SIZES, Size, sizes
from tinyworld.tokenizer import train_tokenizer


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 8, 40), (2, 40, 8)])
def test_an_orthogonalized_matrix_has_singular_values_near_one(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    x = torch.randn(shape) * 1e-3
    values = torch.linalg.svdvals(orthogonalized(x))
    assert values.min() > 0.3
    assert values.max() < 1.3


def test_muon_matches_the_one_in_torch() -> None:
    """The same update but for bfloat16's rounding, for matrices of two shapes at once."""
    torch.manual_seed(1)
    start = [torch.randn(12, 20), torch.randn(20, 12), torch.randn(12, 20)]
    grads = [[torch.randn_like(p) for p in start] for _ in range(4)]
    results = []
    for make in (
        lambda p: Muon(p, lr=0.02),
        lambda p: torch.optim.Muon(p, lr=0.02, weight_decay=0.01, adjust_lr_fn="original"),
    ):
        params = [torch.nn.Parameter(p.clone()) for p in start]
        optimizer = make(params)
        for step in grads:
            for p, g in zip(params, step, strict=True):
                p.grad = g.clone()
            optimizer.step()
        results.append(params)
    for ours, theirs in zip(*results, strict=True):
        assert torch.allclose(ours, theirs, atol=0.01)


@pytest.fixture(scope="module")
def rows() -> tuple[Any, Any]:
    documents = [exercises.repetition(Random(i)) for i in range(300)]
    tokenizer = train_tokenizer(["\n".join(t for _, t in d.turns) for d in documents])
    encoded = [corpus.encode(d, tokenizer) for d in documents]
    return tokenizer, corpus.bucket(encoded, Random(0), tokenizer.pad_token_id)


def test_only_answers_are_learned_and_padding_never(rows: tuple[Any, Any]) -> None:
    tokenizer, made = rows
    for array in made.values():
        for row in array[:20]:
            ids, learned = row & (corpus.LEARN - 1), row >= corpus.LEARN
            text = tokenizer.decode(ids[learned])
            assert text.endswith("<|im_end|>")
            assert tokenizer.decode(ids).count("assistant\n" + text) == 1
            assert not learned[ids == tokenizer.pad_token_id].any()


def test_the_learning_rate_warms_up_stays_and_falls() -> None:
    factors = [pretrain.rate(x / 100) for x in range(101)]
    assert factors[0] == 0
    assert max(factors) == factors[30] == 1
    assert factors[-1] < 0.02
    assert factors[:3] == sorted(factors[:3])
    assert factors[61:] == sorted(factors[61:], reverse=True)


def test_gradients_of_two_halves_average_to_the_whole(rows: tuple[Any, Any]) -> None:
    batch = np.arange(12).reshape(6, 2)
    parts = [pretrain.Share(i, 2).part(batch) for i in range(2)]
    assert sorted(np.concatenate(parts).ravel()) == list(range(12))
    assert pretrain.Share(1, 8).part(batch) is batch  # too few rows to share out


def test_a_small_model_is_trained_saved_and_logged(
    rows: tuple[Any, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoModelForCausalLM

    tokenizer, made = rows
    tiny = Size(32, 1, 1, 4e-3, 440_000, first_tokens=(10_000, 10_000))
    monkeypatch.setitem(SIZES, "tiny", tiny)
    pretrain.pretrain("tiny", [made, made, made], tokenizer, tmp_path / "tiny")
    facts = json.loads((tmp_path / "tiny" / "pretraining.json").read_text())
    assert facts["n_tokens"] >= tiny.n_tokens
    assert facts["log"][-1]["loss"] < 8
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "tiny")
    assert model.dtype is torch.float16
    assert facts["n_parameters"] == sum(p.numel() for p in model.parameters())
    more = Size(32, 1, 1, 4e-3, 40_000, first_tokens=(), continues="tiny")
    monkeypatch.setitem(SIZES, "more", more)
    pretrain.pretrain("more", [made], tokenizer, tmp_path / "more", start=tmp_path / "tiny")
    gone_on = json.loads((tmp_path / "more" / "pretraining.json").read_text())
    assert gone_on["continues"] == "tiny"
    before, after = (loss_in(folder, made) for folder in (tmp_path / "tiny", tmp_path / "more"))
    assert after < before + 0.1  # neither begun anew nor thrown off its place


def loss_in(folder: Path, rows: Any) -> float:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        return sum(pretrain.loss_of(model, batch[:8])[0].item() for batch in rows.values()) / len(rows)


def test_the_ladder_grows_by_about_three() -> None:
    config = {name: size.config(2432, 0, 1) for name, size in SIZES.items()}
    from transformers import Qwen3ForCausalLM

    n = [sum(p.numel() for p in Qwen3ForCausalLM(c).parameters()) for c in config.values()]
    assert n == sorted(n)
    assert all(2 <= b / a <= 4 for a, b in pairwise(n[:4]))
    assert n[4] > 1.5 * n[3]
    assert [s.is_teacher for s in SIZES.values()] == [False] * 4 + [True, False, False]
    assert [s.continues for s in SIZES.values()] == [None] * 5 + ["teacher", "checker"]
    assert sum(k for name, k in zip(config, n, strict=True) if name in sizes()) * 2 < 31e6
