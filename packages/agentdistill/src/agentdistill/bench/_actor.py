"""A small random model that speaks from a script through its real decoding, and keeps the time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from agentdistill.chat import ChatFormat
from agentdistill.models._decoding import Decoder, Row
from agentdistill.models.local import LocalModel
from agentdistill.types import Request, Sample

_TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
_SPECIAL = ("<|pad|>", "<|im_start|>", "<|im_end|>")
_VOCABULARY = 2048


class _Prompted(Decoder):
    """Decoding in which the next token of a line is made the likeliest. ``lines`` are ids by prompt."""

    lines: dict[tuple[int, ...], Sequence[int]]

    def _advance(self, rows: list[Row], draw: Any, logits: Tensor, cache: Any, mask: Tensor) -> Tensor:
        lines = (self.lines[row.prompt] for row in rows)
        wanted = [line[min(len(row.ids), len(line) - 1)] for row, line in zip(rows, lines, strict=True)]
        logits[torch.arange(len(rows)), torch.tensor(wanted)] += 1e4
        return super()._advance(rows, draw, logits, cache, mask)


class Actor(LocalModel):
    """``line(request)`` is what to say. ``seconds`` adds up the time spent generating, ``n_tokens`` what was said."""

    def __init__(self, line: Callable[[Request], str], texts: Sequence[str], hidden: int, batch_size: int) -> None:
        tokenizer = _tokenizer(texts)
        model = _model(hidden)
        super().__init__("actor", model, ChatFormat(tokenizer), batch_size, context_length=4096)
        self.n_parameters = int(sum(p.numel() for p in model.parameters()))
        self.seconds = 0.0
        self.n_tokens = self.n_samples = 0
        self._line = line
        self._prompted = _Prompted(model, sorted(self.chat.end_ids), self._meets_stop, batch_size, 2**31)
        self._decoder = self._prompted

    def _generate(self, decoder: Any, requests: Sequence[Request]) -> list[list[Sample]]:
        started = time.perf_counter()
        self._prompted.lines = {}
        samples = super()._generate(decoder, requests)
        self.seconds += time.perf_counter() - started
        self.n_tokens += sum(s.n_new_tokens for some in samples for s in some)
        self.n_samples += sum(len(some) for some in samples)
        return samples

    def _rows(self, request: Request) -> list[Row]:
        rows = super()._rows(request)
        ids = self.chat.tokenizer.encode(self._line(request), add_special_tokens=False)
        for row in rows:
            self._prompted.lines[row.prompt] = [*ids, self.chat.end_ids[0]]
        return rows


def _tokenizer(texts: Sequence[str]) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY, special_tokens=list(_SPECIAL), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    wrap: Any = PreTrainedTokenizerFast
    return wrap(tokenizer_object=tokenizer, eos_token=_SPECIAL[2], pad_token=_SPECIAL[0], chat_template=_TEMPLATE)


def _model(hidden: int) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=_VOCABULARY,
        hidden_size=hidden,
        intermediate_size=4 * hidden,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        pad_token_id=0,
        eos_token_id=2,
    )
    model: Any = LlamaForCausalLM(config)
    return model.eval().requires_grad_(False)
