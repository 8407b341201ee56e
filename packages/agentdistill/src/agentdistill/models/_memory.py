"""What PyTorch keeps of this process's memory on CPU."""

from __future__ import annotations

import ctypes
import os
import sys


def keep_freed_memory() -> None:
    """Let glibc keep what is freed: a training step asks for the same large buffers again, and fresh pages are slow."""
    if sys.platform.startswith("linux"):
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            m_trim_threshold, m_mmap_threshold = -1, -3
            libc.mallopt(m_mmap_threshold, 1 << 30)
            libc.mallopt(m_trim_threshold, (1 << 31) - 1)


def keep_few_kernels() -> None:
    """Keep the kernels of 128 shapes, not 1,024: a bfloat16 product of a new shape costs 0.6 MB, and every length of a
    batch has some 40. To be called before the first product, when PyTorch (the second name) and oneDNN read this."""
    for name in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(name, "128")


def return_freed_memory() -> None:
    """Give back to the system what was freed: the buffers of differing lengths leave gaps, several GB in an hour."""
    if sys.platform.startswith("linux"):
        libc = ctypes.CDLL(None)
        if hasattr(libc, "malloc_trim"):
            libc.malloc_trim(0)
