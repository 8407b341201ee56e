"""The fast training step on CPU: the same outputs and gradients as the model's own, whatever the family."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch.nn import functional
from transformers import AutoModelForCausalLM, GemmaConfig, LlamaConfig, Qwen2Config, Qwen3Config

from agentdistill.training._fast import head_loss, speed_up

SIZES: dict[str, Any] = {
    "vocab_size": 97, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 1024,
}  # fmt: skip
FAMILIES = {"llama": LlamaConfig, "qwen2": Qwen2Config, "qwen3": Qwen3Config, "gemma": GemmaConfig}


def adapted(family: str, dtype: torch.dtype = torch.float32, dropout: float = 0.0) -> Any:
    """A tiny model of a family with an adapter whose matrices are not zero."""
    torch.manual_seed(0)
    sizes = {k: v for k, v in SIZES.items() if family != "qwen2" or k != "head_dim"}
    base = AutoModelForCausalLM.from_config(FAMILIES[family](**sizes)).to(dtype)
    config = LoraConfig(r=4, lora_alpha=8, lora_dropout=dropout, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(base, config)
    for name, p in model.named_parameters():
        if "norm" in name:  # ones, as they begin, would hide a gradient without its weight
            p.data.uniform_(0.5, 1.5)
        elif p.requires_grad:
            p.data = torch.randn(p.shape) * 0.1
    return model.train()


def learned(model: Any, length: int) -> tuple[float, dict[str, torch.Tensor]]:
    """The loss of two sequences, one of them padded, and its gradients."""
    ids = torch.randint(0, 97, (2, length), generator=torch.Generator().manual_seed(1))
    labels = ids[:, 1:].clone()
    labels[:, : length // 3] = -100
    labels[1, length * 3 // 4 :] = -100  # padding stands on the right
    causal = model.get_base_model()
    dtype = next(model.parameters()).dtype
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype is torch.bfloat16):
        hidden = causal.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
        logits = causal.lm_head(hidden)
    loss = functional.cross_entropy(logits.flatten(0, 1).float(), labels.flatten())
    loss.backward()
    return loss.item(), {n: p.grad.float() for n, p in model.named_parameters() if p.grad is not None}


def differences(plain: Any, length: int = 24) -> tuple[float, float]:
    """How far loss and gradients of the fast step lie from the plain one's, relative to those."""
    fast = copy.deepcopy(plain)
    speed_up(fast.get_base_model())
    (loss, grads), (other, others) = learned(plain, length), learned(fast, length)
    assert grads.keys() == others.keys()
    worst = max(float((grads[n] - others[n]).norm() / grads[n].norm()) for n in grads)
    return abs(loss - other) / loss, worst


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("length", [24, 600], ids=["short", "long"])
def test_loss_and_gradients_are_the_models_own(family: str, length: int) -> None:
    loss, grads = differences(adapted(family), length)
    assert loss < 1e-5
    assert grads < 1e-3


@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_half_precision_differs_by_rounding(family: str) -> None:
    loss, grads = differences(adapted(family, torch.bfloat16))
    assert loss < 0.01
    assert grads < 0.1


def test_each_part_is_replaced_where_it_can_be() -> None:
    def replaced(family: str) -> set[str]:
        model = adapted(family).get_base_model()
        speed_up(model)
        return {type(m).__name__ for m in model.modules() if "forward" in vars(m)}

    assert {"Linear", "LlamaRMSNorm", "LlamaMLP"} <= replaced("llama")
    assert "GemmaRMSNorm" not in replaced("gemma"), "it scales by 1 + w"
    assert "GemmaMLP" not in replaced("gemma"), "its gate is no SiLU"


def test_dropout_is_applied_to_the_adapters_path_alone() -> None:
    model = adapted("llama", dropout=0.9)
    speed_up(model.get_base_model())
    ids = torch.arange(24)[None]
    first, second = (model(input_ids=ids).logits for _ in range(2))
    assert not torch.equal(first, second)
    model.eval()
    first, second = (model(input_ids=ids).logits for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_heads_loss_is_cross_entropy(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    head = torch.nn.Linear(16, 50, bias=False).to(dtype).requires_grad_(False)
    hidden = torch.randn(300, 16, dtype=dtype, requires_grad=True)
    other = hidden.detach().clone().requires_grad_()
    labels = torch.randint(0, 50, (300,))
    ours = head_loss(head, hidden, labels) / 7
    plain = functional.cross_entropy(head(other).float(), labels, reduction="sum") / 7
    ours.backward()
    plain.backward()
    tolerance = 1e-5 if dtype is torch.float32 else 0.03
    assert ours.item() == pytest.approx(plain.item(), rel=tolerance)
    assert float((hidden.grad - other.grad).norm() / other.grad.norm()) < tolerance


def test_a_head_that_learns_gets_its_gradient() -> None:
    head = torch.nn.Linear(16, 50, bias=False)
    head_loss(head, torch.randn(5, 16), torch.arange(5)).backward()
    assert head.weight.grad is not None
