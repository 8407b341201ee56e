"""A decoder's training step on CPU without what PyTorch computes slowly there.

Of a step with a frozen bfloat16 base and LoRA, a third is the backward pass of flash attention and much of the rest
small element-wise kernels and casts. What replaces them here gives the same values within rounding: attention over
short sequences as three batched products, LoRA added in place to the product it belongs to, RMSNorm and the gated
MLP with their gradients written out. Each part is replaced only where the model's own gives the same output.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional

from agentdistill.models.weights import keep_few_kernels, keep_freed_memory

_NAME = "agentdistill_short"
_SHORT = 512  # tokens; above, the probabilities that are kept take more memory than flash attention saves time
_aten: Any = torch.ops.aten


def speed_up(model: nn.Module) -> None:
    """Replace the slow parts of ``model`` in place. Its inputs have to be padded on the right, if at all."""
    keep_freed_memory()
    keep_few_kernels()
    _short_attention(model)
    for module in model.modules():
        if _is_plain_lora(module):
            module.forward = MethodType(_lora_forward, module)  # type: ignore[method-assign]
        elif _is_rms_norm(module):
            module.forward = MethodType(_norm_forward, module)  # type: ignore[method-assign]
        elif _is_gated(module):
            module.forward = MethodType(_gated_forward, module)  # type: ignore[method-assign]


# --- attention --------------------------------------------------------------------------------------------------------


class _Attention(Function):
    """Causal attention over whole, right-padded sequences; query heads that share keys are one product."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        (b, heads, t, d), n = q.shape, k.shape[1]
        rows = heads // n * t
        q, k, v = q.reshape(b * n, rows, d), k.reshape(b * n, t, d), v.reshape(b * n, t, d)
        above = q.new_full((t, t), float("-inf")).triu_(1).repeat(heads // n, 1).expand(b * n, rows, t)
        p = torch.softmax(torch.baddbmm(above, q, k.transpose(1, 2), alpha=scale), -1)
        ctx.save_for_backward(q, k, v, p)
        ctx.scale, ctx.shapes = scale, ((b, heads, t, d), (b, n, t, d))
        return torch.bmm(p, v).view(b, heads, t, d)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        q, k, v, p = ctx.saved_tensors
        many, few = ctx.shapes
        grad = grad.reshape(q.shape)
        dv = torch.bmm(p.transpose(1, 2), grad)
        ds = _aten._softmax_backward_data(torch.bmm(grad, v.transpose(1, 2)), p, -1, p.dtype).mul_(ctx.scale)
        return torch.bmm(ds, k).view(many), torch.bmm(ds.transpose(1, 2), q).view(few), dv.view(few), None


def _short_attention(model: nn.Module) -> None:
    """Have the model attend by :class:`_Attention` where that is what it does: all tokens, causal, no dropout."""
    from transformers import AttentionInterface

    from agentdistill.models.weights import is_plain

    config: Any = model.config
    if config._attn_implementation == "sdpa" and is_plain(model) and not getattr(config, "attention_dropout", 0.0):
        AttentionInterface.register(_NAME, _attend)
        config._attn_implementation = _NAME


def _attend(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Any, scaling: float, **kwargs: Any
) -> tuple[Tensor, None]:
    if query.shape == (*query.shape[:2], *key.shape[2:]) and query.shape[2] <= _SHORT:
        out = _Attention.apply(query, key, value, scaling)  # type: ignore[no-untyped-call]
    else:
        many = query.shape[1] != key.shape[1]
        out = functional.scaled_dot_product_attention(query, key, value, is_causal=True, scale=scaling, enable_gqa=many)
    return out.transpose(1, 2).contiguous(), None


# --- LoRA -------------------------------------------------------------------------------------------------------------


class _LoraLinear(Function):
    """``x W' + b + s (x A') B'`` with W frozen; A and B are float32 masters, read in the precision of ``x``."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, dropped: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, scale: float
    ) -> Tensor:
        a, b = a.to(x.dtype), b.to(x.dtype)
        rows = dropped.reshape(-1, dropped.shape[-1])
        low = rows @ a.t()
        out = functional.linear(x.reshape(-1, x.shape[-1]), weight, bias).addmm_(low, b.t(), alpha=scale)
        ctx.save_for_backward(rows, low, weight, a, b)
        ctx.scale, ctx.shape, ctx.same = scale, x.shape, dropped is x
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        rows, low, weight, a, b = ctx.saved_tensors
        grad = grad.reshape(-1, grad.shape[-1])
        d_low = (grad @ b).mul_(ctx.scale)
        d_a, d_b = (d_low.t() @ rows).float(), (grad.t() @ low).mul_(ctx.scale).float()
        d_x = d_dropped = None
        if ctx.needs_input_grad[0]:
            d_x = grad @ weight
            if ctx.same:
                d_x.addmm_(d_low, a)
            d_x = d_x.view(ctx.shape)
        if ctx.needs_input_grad[1] and not ctx.same:
            d_dropped = (d_low @ a).view(ctx.shape)
        return d_x, d_dropped, None, None, d_a, d_b, None


def _is_plain_lora(module: Any) -> bool:
    from peft.tuners.lora import Linear

    return (
        isinstance(module, Linear)
        and type(module.base_layer) is nn.Linear
        and not module.base_layer.weight.requires_grad
        and module.active_adapters == ["default"]
        and not (module.merged or module.disable_adapters or module.lora_variant or module.fan_in_fan_out)
        and not module.lora_bias["default"]
    )


def _lora_forward(self: Any, x: Tensor) -> Tensor:
    base, a, b = self.base_layer, self.lora_A["default"].weight, self.lora_B["default"].weight
    if x.dtype != base.weight.dtype:  # bfloat16 out of autocast behind float32 weights, or the reverse
        x = x.to(base.weight.dtype)
    with torch.autocast("cpu", enabled=False):
        dropped = self.lora_dropout["default"](x)
        out: Tensor = _LoraLinear.apply(x, dropped, base.weight, base.bias, a, b, self.scaling["default"])  # type: ignore[no-untyped-call]
    return out


# --- the loss ---------------------------------------------------------------------------------------------------------

_ROWS = 128  # positions whose logits are held at once: with 50,000 tokens they still fit the cache


class _HeadLoss(Function):
    """Summed negative log-likelihood behind a frozen head. The gradient is made beside it, so no logits are kept."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
        n, loss, grad = len(hidden), hidden.new_zeros((), dtype=torch.float32), torch.empty_like(hidden)
        half = hidden.new_empty(min(n, _ROWS), len(weight))  # of one size every time, so that the heap keeps its shape
        whole = half.new_empty(half.shape, dtype=torch.float32)
        for at in range(0, n, _ROWS):
            rows, wanted = hidden[at : at + _ROWS], labels[at : at + _ROWS, None]
            torch.mm(rows, weight.t(), out=half[: len(rows)])
            p = whole[: len(rows)].copy_(half[: len(rows)])
            chosen, most = p.gather(1, wanted), p.amax(-1, keepdim=True)
            total = p.sub_(most).exp_().sum(-1, keepdim=True)
            loss += (total.log() + most - chosen).sum()
            p.div_(total).scatter_add_(1, wanted, p.new_full(wanted.shape, -1.0))
            torch.mm(half[: len(rows)].copy_(p), weight, out=grad[at : at + _ROWS])
        ctx.save_for_backward(grad)
        return loss

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        (d_hidden,) = ctx.saved_tensors
        return d_hidden * grad.to(d_hidden.dtype), None, None


def head_loss(head: nn.Module, hidden: Tensor, labels: Tensor) -> Tensor:
    """Summed cross-entropy, float32, of ``labels`` ``[n]`` under the head's logits of ``hidden`` ``[n, width]``."""
    weight = getattr(head, "weight", None)
    if isinstance(head, nn.Linear) and isinstance(weight, Tensor) and head.bias is None and not weight.requires_grad:
        with torch.autocast("cpu", enabled=False):
            loss: Tensor = _HeadLoss.apply(hidden.to(weight.dtype), weight, labels)  # type: ignore[no-untyped-call]
        return loss
    return functional.cross_entropy(head(hidden).float(), labels, reduction="sum")


# --- norm and gate ----------------------------------------------------------------------------------------------------


class _RmsNorm(Function):
    """``w x / rms(x)`` with a frozen ``w``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        out, inverse = _aten._fused_rms_norm(x, [x.shape[-1]], weight, eps)
        ctx.save_for_backward(x, weight, inverse)
        return out  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        x, weight, inverse = ctx.saved_tensors
        grad = grad * weight
        along = (grad * x).sum(-1, keepdim=True, dtype=torch.float32)
        along.mul_(inverse).mul_(inverse).mul_(inverse).div_(-x.shape[-1])
        return grad.mul_(inverse.to(x.dtype)).addcmul_(x, along.to(x.dtype)), None, None


def _epsilon(module: Any) -> float | None:
    return next((e for n in ("variance_epsilon", "eps") if isinstance(e := getattr(module, n, None), float)), None)


def _is_rms_norm(module: Any) -> bool:
    """Whether the module is an RMSNorm as Llama's: some families scale by 1 + w, which a try shows."""
    weight = getattr(module, "weight", None)
    if not type(module).__name__.endswith("RMSNorm") or weight is None or _epsilon(module) is None:
        return False
    if weight.requires_grad or list(module.parameters()) != [weight]:
        return False
    x = torch.linspace(-2.0, 3.0, 2 * weight.numel(), dtype=weight.dtype).view(2, -1)
    ours = _RmsNorm.apply(x, weight, _epsilon(module))  # type: ignore[no-untyped-call]
    return torch.allclose(module(x), ours, rtol=0.02, atol=1e-5)


def _norm_forward(self: Any, hidden_states: Tensor) -> Tensor:
    if hidden_states.dtype != self.weight.dtype:
        return type(self).forward(self, hidden_states)  # type: ignore[no-any-return]
    out: Tensor = _RmsNorm.apply(hidden_states, self.weight, _epsilon(self))  # type: ignore[no-untyped-call]
    return out


class _Gate(Function):
    """``silu(a) b``."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        s = functional.silu(a)
        ctx.save_for_backward(a, b, s)
        return s * b

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        a, b, s = ctx.saved_tensors
        return _aten.silu_backward(grad * b, a), s * grad


def _is_gated(module: Any) -> bool:
    """Whether the module is a gated MLP as Llama's: some families scale its parts, which a try shows."""
    parts = dict(module.named_children())
    act, training = parts.pop("act_fn", None), module.training
    if set(parts) != {"gate_proj", "up_proj", "down_proj"} or type(act) not in (nn.SiLU, _silu_class()):
        return False
    x = torch.linspace(-2.0, 3.0, module.gate_proj.in_features, dtype=next(module.parameters()).dtype)[None]
    with torch.no_grad():
        module.eval()  # dropout would tell them apart
        plain, ours = module(x), _gated_forward(module, x)
        module.train(training)
    return bool((plain - ours).norm() <= 0.02 * plain.norm())


def _silu_class() -> type:
    from transformers.activations import ACT2FN

    return type(ACT2FN["silu"])


def _gated_forward(self: Any, x: Tensor) -> Tensor:
    out: Tensor = self.down_proj(_Gate.apply(self.gate_proj(x), self.up_proj(x)))  # type: ignore[no-untyped-call]
    return out
