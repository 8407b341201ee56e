"""What this machine's processor computes by itself."""

from __future__ import annotations

from functools import cache


@cache
def has_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 matrices natively, several times as fast as float32; others emulate it."""
    import torch

    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
