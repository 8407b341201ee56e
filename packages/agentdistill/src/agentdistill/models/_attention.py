"""Attention of one new token to what is cached, in bfloat16 on CPU: two batched products instead of flash attention.

PyTorch's kernel takes four times as long for a query of one token.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_NAME = "agentdistill_step"


def step_quickly(model: Any) -> None:
    """Have a model decode this way that reads all its past by ``sdpa``, in bfloat16 on CPU. Others stay as they are."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    if model.dtype is torch.bfloat16 and model.device.type == "cpu" and model.config._attn_implementation == "sdpa":
        AttentionInterface.register(_NAME, _attend)
        AttentionMaskInterface.register(_NAME, sdpa_mask)
        model.config._attn_implementation = _NAME


def _attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, None]:
    """``query`` is ``[rows, heads, new, width]``, keys and values ``[rows, fewer heads, held, width]``."""
    if query.shape[2] != 1:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        out: tuple[Tensor, None] = sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
        return out
    rows, heads, _, width = query.shape
    fewer, held = key.shape[1:3]
    scale = kwargs.get("scaling") or width**-0.5
    k, v = _with_room(key), _with_room(value)
    q = query.reshape(rows * fewer, heads // fewer, width) * scale
    scores = torch.bmm(q, k.transpose(1, 2)).view(rows, heads, 1, -1).float()
    scores[..., held:] = float("-inf")
    if attention_mask is not None:
        scores[..., :held].masked_fill_(~attention_mask[..., :held], float("-inf"))
    p = scores.softmax(-1).to(value.dtype).view(rows * fewer, heads // fewer, -1)
    return torch.bmm(p, v).view(rows, 1, heads, width), None


def _with_room(held: Tensor) -> Tensor:
    """``[rows * heads, tokens, width]``, with the buffer's spare room where there is some: batched products copy what
    has gaps."""
    rows, heads, tokens, width = held.shape
    room = held.stride(1) // width
    if room > tokens and held.stride() == (heads * room * width, room * width, width, 1):
        return held.as_strided((rows * heads, room, width), (room * width, width, 1))
    return held.reshape(rows * heads, tokens, width)
