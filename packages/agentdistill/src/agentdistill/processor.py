"""Which number format this machine's processor multiplies fastest."""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def has_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 matrices faster than float32 ones, measured once a process in some 20 ms.

    The instruction set does not tell: with AMX or on AMD they are several times as fast, on an Intel Xeon that has
    AVX-512's bfloat16 and no AMX half as fast, elsewhere they are emulated.
    """
    import torch

    if not (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()):
        return False
    return 1.2 * _seconds(torch.bfloat16) < _seconds(
        torch.float32
    )  # far from 1 either way: a busy machine decides alike


def _seconds(dtype: Any) -> float:
    """The least time of a few products of the size that a small model's layers have."""
    import time

    import torch

    a, b = (torch.ones(shape, dtype=dtype) for shape in ((256, 512), (512, 1024)))
    times = []
    with torch.no_grad():
        for _ in range(5):
            began = time.perf_counter()
            a @ b
            times.append(time.perf_counter() - began)
    return min(times)
