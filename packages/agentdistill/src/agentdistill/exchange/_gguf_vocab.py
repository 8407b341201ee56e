"""A byte-level BPE tokenizer as GGUF holds it: tokens, merges, special ids, and how text is cut before it is merged.

llama.cpp knows a fixed list of ways to cut text, each by a name, and a file can only name one of them. Which one a
tokenizer is closest to is found out by trying: the same merges are run behind each way, on texts like those that the
model will read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gguf

from agentdistill.chat import ChatFormat
from agentdistill.errors import ModelError
from agentdistill.gguf_bases.ways import WAYS, ignores_merges, pre_tokenizer
from agentdistill.types import Message, Role, Source

SAMPLES = (
    "Thought: I need both numbers first.\nCode:\n```py\ntotal = 3 * 35 + 19.5\nprint(total)\n```",
    "def area(width, height):\n    if width < 0:\n        raise ValueError('negative')\n    return width * height\n",
    "Observation: [1] Ilva Marten: Ilva Marten was born in Aren in 1912.\n[2] Aren lies in Orvia.\n\n",
    'results = [search(f"who founded {town}") for town in (\'Aren\', "St. Ives")]\nprint(results[0][:200])',
    "It's 1,234.50 euros -- isn't it? (She'd say: \"no\".) x_1 == y**2 != z  and\tso on...",
    "Zürich, naïve café, Ångström; 東京の人口は? Привет, мир! 🦙",
)


@dataclass(frozen=True, slots=True)
class Cut:
    """A way to cut text by llama.cpp's name, and how many of how many texts it spells as the tokenizer does."""

    name: str
    n_same: int
    n: int

    @property
    def is_exact(self) -> bool:
        """Whether every text came out the same."""
        return self.n_same == self.n


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Everything that a GGUF file says of a tokenizer."""

    tokens: tuple[str, ...]
    kinds: tuple[int, ...]
    merges: tuple[str, ...]
    cut: Cut
    special: tuple[tuple[str, int], ...]
    begins: bool
    template: str

    def add_to(self, writer: gguf.GGUFWriter) -> None:
        """Put it into a file."""
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(self.cut.name)
        writer.add_token_list(self.tokens)
        writer.add_token_types(self.kinds)
        writer.add_token_merges(self.merges)
        for name, i in self.special:
            getattr(writer, f"add_{name}_token_id")(i)
        writer.add_add_bos_token(self.begins)
        writer.add_add_eos_token(False)
        writer.add_add_space_prefix(False)
        writer.add_chat_template(self.template)


def vocabulary_of(chat: ChatFormat, template: str, n_tokens: int, samples: Sequence[str] = ()) -> Vocabulary:
    """The vocabulary of a chat's tokenizer for a model of ``n_tokens`` embeddings. ``samples`` are texts like those
    that the model reads. Raises ModelError for a tokenizer that is not byte-level BPE."""
    tokenizer = chat.tokenizer
    data = _bpe(tokenizer)
    by_id = {i: text for text, i in tokenizer.get_vocab().items()}
    added = tokenizer.added_tokens_decoder
    tokens, kinds = [], []
    for i in range(n_tokens):
        known = i in by_id
        tokens.append(by_id[i] if known else f"[PAD{i}]")
        kind = gguf.TokenType.NORMAL if known else gguf.TokenType.UNUSED
        if i in added:
            kind = gguf.TokenType.CONTROL if added[i].special else gguf.TokenType.USER_DEFINED
        kinds.append(int(kind))
    merges = [m if isinstance(m, str) else " ".join(m) for m in data["model"]["merges"]]
    cut = nearest_cut(tokenizer, (*SAMPLES, *samples))
    return Vocabulary(tuple(tokens), tuple(kinds), tuple(merges), cut, _special(chat), _begins(chat), template)


def _begins(chat: ChatFormat) -> bool:
    """Whether conversations begin with the BOS token, and only they: then llama.cpp is to put it there, whatever the
    tokenizer does with other texts. Where every turn has it, it is the turn's own mark."""
    bos = chat.tokenizer.bos_token_id
    chats: tuple[tuple[Role, ...], ...] = (("user",), ("system", "user", "assistant", "user"))
    seen = [chat.prompt_ids([Message(role, "a", Source.PROMPT) for role in roles]) for roles in chats]
    return bos is not None and all(ids[0] == bos and ids.count(bos) == 1 for ids in seen)


def _special(chat: ChatFormat) -> tuple[tuple[str, int], ...]:
    """Ids with a part to play: ``eos`` is the tokenizer's own end, ``eot`` the template's where that is another."""
    t = chat.tokenizer
    found = {"bos": t.bos_token_id, "eos": chat.end_ids[-1], "pad": t.pad_token_id, "unk": t.unk_token_id}
    if len(chat.end_ids) > 1:
        found["eot"] = chat.end_ids[0]
    return tuple((name, i) for name, i in found.items() if i is not None)


def _bpe(tokenizer: Any) -> dict[str, Any]:
    """The tokenizer's own description. Raises ModelError where it is not byte-level BPE."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    data: dict[str, Any] = json.loads(backend.to_str()) if backend is not None else {}
    model = data.get("model") or {}
    if model.get("type") != "BPE" or model.get("byte_fallback") or "ByteLevel" not in json.dumps(data["decoder"]):
        raise ModelError(
            "the tokenizer is not byte-level BPE, the only kind that is written as GGUF here; "
            "llama.cpp's convert_hf_to_gguf.py knows more kinds"
        )
    return data


def nearest_cut(tokenizer: Any, samples: Sequence[str]) -> Cut:
    """The way to cut text that spells most of the ``samples`` as the tokenizer does; of equals the first listed.

    Lines are counted rather than texts, so that one odd line does not spoil a long text.
    """
    lines = [line for text in samples for line in text.splitlines(keepends=True)] + list(samples)
    unique = list(dict.fromkeys(lines))
    wanted = [e.ids for e in tokenizer.backend_tokenizer.encode_batch(unique, add_special_tokens=False)]
    best = Cut("", -1, len(unique))
    for name in WAYS:
        found = [e.ids for e in behind(tokenizer, name).encode_batch(unique, add_special_tokens=False)]
        n_same = sum(a == b for a, b in zip(found, wanted, strict=True))
        if n_same > best.n_same:
            best = Cut(name, n_same, len(unique))
    return best


def behind(tokenizer: Any, way: str) -> Any:
    """The tokenizer's merges behind one of llama.cpp's ways to cut text."""
    from tokenizers import Tokenizer

    data = _bpe(tokenizer)
    data["normalizer"] = None
    data["model"]["ignore_merges"] = ignores_merges(way)
    copy = Tokenizer.from_str(json.dumps(data))
    copy.pre_tokenizer = pre_tokenizer(way)
    return copy
