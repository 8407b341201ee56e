"""TinyWorld's ladder of models: ordinary Qwen3 architectures, embeddings tied, one tokenizer.

The module is the plug-in of kind ``weights``: :func:`sizes` and :func:`locate`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import Qwen3Config

WEIGHTS = Path(__file__).parent / "weights"
CONTEXT_LENGTH = 1024
HEAD_WIDTH = 32
"""Narrower heads cannot tell 640 names apart."""


@dataclass(frozen=True, slots=True)
class Size:
    """Width, depth and heads of one model; the learning rate and the number of tokens it is pretrained with.

    ``first_tokens`` of them are of repetitions, of one-passage questions and of sums, which are read before the rest.
    A model that ``continues`` another begins as that one and reads checks of solutions only, at half the rates.
    """

    width: int
    n_layers: int
    n_heads: int
    learning_rate: float
    n_tokens: int
    is_teacher: bool = False
    first_tokens: tuple[int, ...] = (1_200_000, 800_000, 600_000)
    continues: str | None = None

    def config(self, vocabulary: int, pad: int, end: int) -> Qwen3Config:
        """The model's Hugging Face configuration."""
        from transformers import Qwen3Config

        return Qwen3Config(
            vocab_size=vocabulary,
            hidden_size=self.width,
            intermediate_size=round(8 * self.width / 3 / 16) * 16,
            num_hidden_layers=self.n_layers,
            num_attention_heads=self.n_heads,
            num_key_value_heads=self.n_heads,
            head_dim=HEAD_WIDTH,
            max_position_embeddings=CONTEXT_LENGTH,
            rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
            tie_word_embeddings=True,
            initializer_range=0.02,
            bos_token_id=None,
            eos_token_id=end,
            pad_token_id=pad,
        )


SIZES: dict[str, Size] = {
    "0.1M": Size(32, 3, 1, 4e-3, 9_000_000),
    "0.3M": Size(64, 4, 2, 3e-3, 9_000_000),
    "0.9M": Size(112, 4, 4, 2.5e-3, 9_000_000),
    "2.2M": Size(192, 4, 6, 2e-3, 7_600_000),
    "teacher": Size(256, 4, 8, 2e-3, 8_000_000, is_teacher=True, first_tokens=(800_000, 500_000, 400_000)),
    "checker": Size(256, 4, 8, 2e-3, 2_500_000, first_tokens=(), continues="teacher"),
    "fact-checker": Size(256, 4, 8, 2e-3, 3_000_000, first_tokens=(), continues="checker"),
}


def sizes() -> tuple[str, ...]:
    """The models whose weights ship, smallest first."""
    return tuple(size for size in SIZES if (WEIGHTS / size / "config.json").is_file())


def locate(size: str) -> Path:
    """The checkpoint folder of a size."""
    return WEIGHTS / size
