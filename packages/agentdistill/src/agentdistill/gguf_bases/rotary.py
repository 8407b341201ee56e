"""Rotary embeddings for long contexts, as GGUF files store them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def llama3_factors(rope: Mapping[str, Any], n_dims: int) -> NDArray[np.float32]:
    """By what each frequency is divided in Llama 3.1's long context: slow waves by the whole factor, fast ones not at
    all, those in between by something in between."""
    frequency = rope["rope_theta"] ** (-np.arange(0, n_dims, 2, dtype=np.float64) / n_dims)
    turns = rope["original_max_position_embeddings"] * frequency / (2 * np.pi)
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    fast = np.clip((turns - low) / (high - low), 0.0, 1.0)
    factors: NDArray[np.float32] = (1 / ((1 - fast) / rope["factor"] + fast)).astype(np.float32)
    return factors
