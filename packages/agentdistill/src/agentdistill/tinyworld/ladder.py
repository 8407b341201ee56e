"""The sizes of TinyWorld's ladder of models: ordinary Llama architectures, embeddings tied, one tokenizer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import LlamaConfig

CONTEXT_LENGTH = 1024


@dataclass(frozen=True, slots=True)
class Size:
    """Width, depth and heads of one model, and the learning rate it is pretrained with."""

    width: int
    n_layers: int
    n_heads: int
    learning_rate: float
    is_teacher: bool = False

    def config(self, vocabulary: int, pad: int, end: int) -> LlamaConfig:
        """The model's Hugging Face configuration."""
        from transformers import LlamaConfig

        return LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=self.width,
            intermediate_size=round(8 * self.width / 3 / 16) * 16,
            num_hidden_layers=self.n_layers,
            num_attention_heads=self.n_heads,
            num_key_value_heads=self.n_heads,
            max_position_embeddings=CONTEXT_LENGTH,
            rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
            tie_word_embeddings=True,
            initializer_range=0.5 / self.width**0.5,
            bos_token_id=None,
            eos_token_id=end,
            pad_token_id=pad,
        )


SIZES: dict[str, Size] = {
    "0.1M": Size(48, 2, 2, 6e-3),
    "0.3M": Size(64, 4, 2, 4e-3),
    "0.9M": Size(128, 4, 2, 3e-3),
    "2.5M": Size(192, 5, 3, 2e-3),
    "teacher": Size(256, 5, 4, 1.5e-3, is_teacher=True),
}
