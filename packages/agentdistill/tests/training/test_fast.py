"""The quick parts of a training step against the modules they stand for: same outputs, same gradients."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
import transformers
from peft import LoraConfig, get_peft_model
from torch.nn.functional import cross_entropy

from agentdistill.training import _fast
from agentdistill.training._fast import head_loss, speed_up
from agentdistill.training._sft import parts

torch.set_num_threads(1)
SIZES = {
    "vocab_size": 96,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 12,
    "max_position_embeddings": 1024,
    "pad_token_id": 0,
}
FAMILIES = ("Llama", "Qwen2", "Qwen3", "Gemma")


def network(family: str, dtype: torch.dtype = torch.float32, seed: int = 0, dropout: float = 0.0, **sizes: Any) -> Any:
    """A tiny model with a LoRA adapter that changes what it says, in training mode."""
    torch.manual_seed(seed)
    config = getattr(transformers, f"{family}Config")(**{**SIZES, **sizes})
    model = getattr(transformers, f"{family}ForCausalLM")(config).to(dtype)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "norm" in name or name.endswith("bias"):
                p.add_(0.3 * torch.randn_like(p))
    lora = LoraConfig(r=4, lora_alpha=8, lora_dropout=dropout, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(model, lora).train()
    for name, p in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(p, std=0.3)
    return model


def step(model: Any, ids: torch.Tensor, learned: torch.Tensor, quick: bool = False) -> tuple[Any, dict[str, Any]]:
    """The hidden states of the tokens to learn, and every gradient of their loss."""
    causal = model.get_base_model()
    half = next(causal.parameters()).dtype is torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        hidden = causal.base_model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1][learned]
        head, labels = causal.get_output_embeddings(), ids[:, 1:][learned]
        if quick:
            loss = head_loss(head, hidden, labels)
        else:
            loss = cross_entropy(head(hidden).float(), labels, reduction="sum")
    loss.backward()
    grads = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return hidden.detach(), grads


def batch(rows: int = 3, tokens: int = 20) -> tuple[torch.Tensor, torch.Tensor]:
    """Right-padded rows; learned are some tokens, none of them padding."""
    ids = torch.randint(1, SIZES["vocab_size"], (rows, tokens), generator=torch.Generator().manual_seed(1))
    learned = torch.rand(rows, tokens - 1, generator=torch.Generator().manual_seed(2)) < 0.5
    for i in range(1, rows):
        ids[i, tokens - 3 * i :] = 0
        learned[i, tokens - 3 * i - 1 :] = False
    return ids, learned


def both(model: Any, ids: torch.Tensor, learned: torch.Tensor) -> tuple[dict[str, Any], dict[str, Any]]:
    """Hidden states and gradients, plainly and quickly, from the same random state, as dropout draws from it."""
    quick, found = deepcopy(model), []
    speed_up(quick.get_base_model())
    for m in (model, quick):
        torch.manual_seed(5)
        hidden, grads = step(m, ids, learned, quick=m is quick)
        assert len(grads) == 2 * 2 * 7  # A and B of seven linear maps, in two layers
        found.append({"hidden": hidden, **grads})
    assert found[0].keys() == found[1].keys()
    return found[0], found[1]


def agree(model: Any, ids: torch.Tensor, learned: torch.Tensor) -> bool:
    """Whether both ways give the same up to float32's rounding."""
    plain, quick = both(model, ids, learned)
    return all((quick[n] - plain[n]).norm() <= 2e-5 * plain[n].norm() for n in plain)


def replaced(model: Any) -> set[str]:
    """Which kinds of module compute by a forward of ours."""
    return {type(m).__name__ for m in model.modules() if "forward" in vars(m)}


@pytest.mark.parametrize("family", FAMILIES)
def test_outputs_and_gradients_are_the_plain_modules(family: str) -> None:
    assert agree(network(family), *batch())


@pytest.mark.parametrize("family", FAMILIES)
def test_in_bfloat16_they_are_no_further_from_the_truth(family: str) -> None:
    errors = []
    for seed in range(8):
        model = network(family, torch.bfloat16, seed)
        hidden, exact = step(deepcopy(model).float(), *batch())
        truth = {"hidden": hidden, **exact}
        ways = both(model, *batch())
        errors.append([[float((way[n].float() - t).norm() / t.norm()) for n, t in truth.items()] for way in ways])
    plain, quick = torch.tensor(errors).mean((0, 2)).tolist()
    assert 0 < quick <= 1.15 * plain


@pytest.mark.parametrize("shared", [1, 2, 4])
def test_query_heads_may_share_keys(shared: int) -> None:
    assert agree(network("Llama", num_key_value_heads=4 // shared), *batch())


def test_dropout_reaches_the_adapter_alone() -> None:
    assert agree(network("Llama", dropout=0.4), *batch())


def test_long_rows_take_another_way_to_the_same_values() -> None:
    assert agree(network("Llama"), *batch(2, _fast._SHORT + 5))


def test_rows_do_not_see_their_neighbours_or_their_padding() -> None:
    model = network("Qwen3")
    speed_up(model.get_base_model())
    ids, _ = batch()
    with torch.no_grad():
        together = model.get_base_model().base_model(input_ids=ids, use_cache=False).last_hidden_state
        for i in range(len(ids)):
            n = ids.shape[1] - 3 * i
            alone = model.get_base_model().base_model(input_ids=ids[i : i + 1, :n], use_cache=False).last_hidden_state
            assert torch.allclose(together[i, :n], alone[0], atol=1e-5)


def test_what_is_replaced() -> None:
    """Gemma's norm scales by 1 + w and its MLP has another activation: both stay. Qwen3 has norms of q and k too."""
    llama, gemma, qwen3 = (network(f) for f in ("Llama", "Gemma", "Qwen3"))
    for model in (llama, gemma, qwen3):
        speed_up(model.get_base_model())
    assert replaced(llama) == {"Linear", "LlamaRMSNorm", "LlamaMLP"}
    assert replaced(gemma) == {"Linear"}
    assert sum("forward" in vars(m) for m in qwen3.modules() if type(m).__name__ == "Qwen3RMSNorm") == 2 * 4 + 1


def test_a_gated_mlp_that_scales_its_parts_stays() -> None:
    model = network("Llama")
    mlps = [m for m in model.modules() if type(m).__name__ == "LlamaMLP"]

    class ScaledMLP(type(mlps[0])):  # type: ignore[misc]
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 1.5 * super().forward(x)

    mlps[0].__class__ = ScaledMLP
    speed_up(model.get_base_model())
    assert ["forward" in vars(m) for m in mlps] == [False, True]
    assert all(m.training for m in model.modules())


def test_norms_that_learn_and_windowed_attention_stay() -> None:
    full = network("Llama").get_base_model()
    full.requires_grad_(True)
    speed_up(full)
    assert replaced(full) == {"LlamaMLP"}
    windowed = network("Mistral", sliding_window=8).get_base_model()
    speed_up(windowed)
    assert windowed.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("n", [0, 1, 5, 300])
def test_the_head_s_loss_is_the_cross_entropy(n: int) -> None:
    torch.manual_seed(0)
    head = torch.nn.Linear(16, 700, bias=False).requires_grad_(False)
    labels = torch.randint(700, (n,))
    results = []
    for loss_of in (head_loss, lambda h, x, y: cross_entropy(h(x), y, reduction="sum")):
        hidden = (3 * torch.randn(n, 16, generator=torch.Generator().manual_seed(4))).requires_grad_()
        loss = loss_of(head, hidden, labels)
        (0.5 * loss).backward()
        results.append((loss.detach(), hidden.grad))
    (loss, grad), (expected, expected_grad) = results
    assert loss.dtype is torch.float32
    assert torch.allclose(loss, expected, rtol=1e-5)
    assert torch.allclose(grad, expected_grad, atol=1e-6)


def test_a_head_that_learns_gets_its_gradient() -> None:
    torch.manual_seed(0)
    head, hidden, labels = torch.nn.Linear(16, 50), torch.randn(7, 16), torch.randint(50, (7,))
    head_loss(head, hidden, labels).backward()
    grad = head.weight.grad
    head.zero_grad()
    cross_entropy(head(hidden), labels, reduction="sum").backward()
    assert grad is not None
    assert torch.allclose(grad, head.weight.grad)


def test_parts_hold_every_row_once_and_no_more_padding_than_they_need() -> None:
    ids, _ = batch(7, 30)
    whole = {"input_ids": ids, "labels": ids.clone(), "attention_mask": (ids != 0).long()}
    some = list(parts(whole, 64))
    assert [len(p["input_ids"]) for p in some] == [2, 2, 2, 1]
    assert [p["input_ids"].shape[1] for p in some] == [30, 24, 18, 12]
    for start, p in zip((0, 2, 4, 6), some, strict=True):
        rows = whole["input_ids"][start : start + len(p["input_ids"])]
        assert torch.equal(p["input_ids"], rows[:, : p["input_ids"].shape[1]])
        assert int(p["attention_mask"].sum()) == int((rows != 0).sum())
    assert [len(p["input_ids"]) for p in parts(whole, 1)] == [1] * 7
