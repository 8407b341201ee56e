"""How llama.cpp cuts text before it merges: a fixed list of ways, each by a name that a GGUF file gives.

A file's ``tokenizer.ggml.pre`` is such a name, or another name for the same way. What a way does is to split text by
regular expressions, one after the other, each within the pieces that the one before has left; what matches and what
stands between two matches are pieces alike. Checked against llama.cpp's own tokens (tests/gguf_bases/llama_ids.json).
"""

from __future__ import annotations

from typing import Any

_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"
_SHORT = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
_TAIL = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_CASED = _SHORT + r"|[^\r\n\p{L}\p{N}]?\p{L}+|NUMBER" + _TAIL
_NOT_LOWER, _NOT_UPPER = r"((?=[\p{L}])([^a-z]))", r"((?=[\p{L}])([^A-Z]))"
_BY_CASE = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_NOT_LOWER}*{_NOT_UPPER}+SHORT|[^\r\n\p{{L}}\p{{N}}]?{_NOT_LOWER}+{_NOT_UPPER}*SHORT"
    r"|NUMBER| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
WAYS: dict[str, tuple[str, ...]] = {
    "gpt-2": (_WORDS,),
    "smollm": (r"\p{N}", _WORDS),
    "qwen2": (_CASED.replace("NUMBER", r"\p{N}"),),
    "llama-bpe": (_CASED.replace("NUMBER", r"\p{N}{1,3}"),),
    "deepseek-coder": (r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", r"(?:(?!\s)[一-龥ࠀ-一가-퟿])+", r"\p{N}"),
    "viking": (r" ?[^(\s|.,!?…。，、।۔،)]+", r"\p{N}"),
    "superbpe": (r"\p{N}+", r"(?=(\d{3})+(?!\d))"),
    "tekken": (_BY_CASE.replace("SHORT", "").replace("NUMBER", r"\p{N}"),),
    "gpt-4o": (_BY_CASE.replace("SHORT", _SHORT + "?").replace("NUMBER", r"\p{N}{1,3}"),),
    "falcon": (r"[\p{P}\$\+<=>\^~\|`]+", _WORDS, "[0-9][0-9][0-9]"),
    "bloom": (r" ?[^(\s|.,!?…。，、।۔،)]+",),
}
"""llama.cpp's names for ways to cut text, and the patterns that each splits by, one after the other."""
_OTHER_NAMES = {
    "gpt-2": "phi-2 gigachat mellum mpt olmo jais trillion exaone4 granite-docling a.x-4.0",
    "smollm": "starcoder refact command-r codeshell exaone minerva-7b mellum2",
    "qwen2": "deepseek-r1-qwen kormo f2llmv2 megrez stablelm2 hunyuan solar-open grok-2",
    "llama-bpe": "llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 dbrx smaug-bpe chatglm-bpe glm4",
    "gpt-4o": "llama4 kanana2",
    "bloom": "poro-chat gpt3-finnish",
}
_BEGINS = frozenset(
    ["llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "tekken"]
)
_WHOLE = _BEGINS | {"glm4"}


def way_of(name: str) -> str | None:
    """The way that a file's ``tokenizer.ggml.pre`` stands for, by its name in :data:`WAYS`; None if it is not known."""
    if name in WAYS:
        return name
    return next((way for way, names in _OTHER_NAMES.items() if name in names.split()), None)


def ignores_merges(name: str) -> bool:
    """Whether, under that name, a piece that is a token as a whole is taken as such, merged or not."""
    return name in _WHOLE


def begins(name: str) -> bool:
    """Whether a text begins with the token for that, where the file itself does not say."""
    return name in _BEGINS


def pre_tokenizer(way: str) -> Any:
    """A pre-tokenizer of the library ``tokenizers`` that cuts as one of :data:`WAYS` does, bytes spelt as letters."""
    from tokenizers import Regex, pre_tokenizers

    splits = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in WAYS[way]]
    return pre_tokenizers.Sequence([*splits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
