"""The tokenizer that a GGUF file describes, cutting text as llama.cpp does.

transformers builds one too, but cuts most byte-level vocabularies as GPT-2's, whatever the file names: SmolLM2's rule
that every digit stands alone is lost. So byte-level vocabularies are built here; the others are transformers' own, with
SentencePiece's leading blank put right.
"""

from __future__ import annotations

from typing import Any

from agentdistill.errors import ModelError
from agentdistill.gguf_bases._file import GgufFile, by_itself
from agentdistill.gguf_bases._source import TOKENIZER
from agentdistill.gguf_bases.ways import begins, ignores_merges, pre_tokenizer, way_of

_BYTE_LEVEL, _SENTENCEPIECE = "gpt2", "llama"  # as llama.cpp names kinds of vocabularies
_BLANK = "\N{LOWER ONE EIGHTH BLOCK}"  # how SentencePiece spells one
_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED = 1, 2, 3, 4  # llama.cpp's kinds of tokens
_AGREEING = 0.95  # of plain tokens; another model's tokenizer agrees on far fewer


def build_tokenizer(file: GgufFile) -> Any:
    """The tokenizer beside the file if there is one, else that of the file itself.

    A transformers tokenizer with the file's chat template, if it has one. Raises ModelError for a vocabulary that
    cannot be read, a way to cut text that is not known, and a tokenizer beside the file that is another model's.
    """
    if (file.path.parent / TOKENIZER).is_file():
        return _beside(file)
    kind = file.of_tokens("model", "none")
    try:
        if kind == _BYTE_LEVEL:
            return _with_roles(file, _byte_level(file))
        return _other(file, kind)
    except ModelError:
        raise
    except Exception as e:
        raise ModelError(
            f'{file.path}: its tokenizer, of the kind "{kind}", cannot be built ({type(e).__name__}); put the '
            "tokenizer.json of the model beside the file"
        ) from e


def _beside(file: GgufFile) -> Any:
    from transformers import AutoTokenizer

    place = file.path.parent / TOKENIZER
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(str(file.path.parent))
    except Exception as e:
        raise ModelError(f"{place}: no tokenizer could be loaded ({type(e).__name__})") from e
    kinds, texts = file.of_tokens("token_type", ()), file.of_tokens("tokens", ())
    plain = [i for i, kind in enumerate(kinds) if kind == _NORMAL]
    found = tokenizer.convert_ids_to_tokens([i for i in plain if i < len(tokenizer)])
    same = sum(texts[i] == text for i, text in zip(plain, found, strict=False))
    if same < _AGREEING * len(plain):
        raise ModelError(f"{place}: the tokenizer of another model than {file.path.name}; move one of the two away")
    if not tokenizer.chat_template:
        tokenizer.chat_template = file.values.get("tokenizer.chat_template")
    return tokenizer


def _byte_level(file: GgufFile) -> Any:
    """A byte-level BPE of the library ``tokenizers``."""
    from tokenizers import AddedToken, Tokenizer, decoders, models

    name = file.of_tokens("pre", "default")
    way = way_of(name)
    if way is None:
        raise ModelError(
            f'{file.path}: cuts text in the way "{name}", which is not known here; put the tokenizer.json of the model '
            "beside the file"
        )
    texts, kinds = file.of_tokens("tokens"), file.of_tokens("token_type", ())
    ids = {text: i for i, text in enumerate(texts)}
    merges = [
        (left, right)
        for left, right in map(_pair, file.of_tokens("merges"))
        if left in ids and right in ids and left + right in ids
    ]
    tokenizer: Any = Tokenizer(models.BPE(vocab=ids, merges=merges, ignore_merges=ignores_merges(name)))
    tokenizer.pre_tokenizer = pre_tokenizer(way)
    tokenizer.decoder = decoders.ByteLevel()
    for chosen, special in (((_CONTROL, _UNKNOWN), True), ((_USER_DEFINED,), False)):
        whole = [text for text, kind in zip(texts, kinds, strict=False) if kind in chosen]
        add = tokenizer.add_special_tokens if special else tokenizer.add_tokens
        add([AddedToken(text, normalized=False, special=special) for text in whole])
    begin = file.of_tokens("bos_token_id")
    if begin is not None and file.of_tokens("add_bos_token", begins(name)):
        tokenizer.post_processor = _beginning(texts[begin], begin)
    return tokenizer


def _other(file: GgufFile, kind: str) -> Any:
    """What transformers makes of it; SentencePiece's blank in front of every text put where llama.cpp puts it."""
    from tokenizers import decoders, normalizers
    from transformers import AutoTokenizer

    with by_itself(file) as place:
        tokenizer: Any = AutoTokenizer.from_pretrained(**place)
    if kind == _SENTENCEPIECE:
        prefix, blank = file.of_tokens("add_space_prefix", True), normalizers.Replace(" ", _BLANK)
        backend = tokenizer.backend_tokenizer
        backend.normalizer = normalizers.Sequence([normalizers.Prepend(_BLANK), blank] if prefix else [blank])
        backend.pre_tokenizer = None
        bare = [decoders.Replace(_BLANK, " "), decoders.ByteFallback(), decoders.Fuse()]
        backend.decoder = decoders.Sequence([*bare, decoders.Strip(" ", 1, 0)] if prefix else bare)
    return tokenizer


def _pair(merge: str) -> tuple[str, str]:
    """Both parts of a merge: a blank divides them, of which the first character is never the one."""
    at = merge.index(" ", 1)
    return merge[:at], merge[at + 1 :]


def _beginning(token: str, i: int) -> Any:
    from tokenizers import processors

    return processors.TemplateProcessing(
        single=f"{token} $A", pair=f"{token} $A {token} $B:1", special_tokens=[(token, i)]
    )


def _with_roles(file: GgufFile, tokenizer: Any) -> Any:
    """The same as transformers has it, with what its special tokens are for, and the chat template."""
    from transformers import PreTrainedTokenizerFast

    texts = file.of_tokens("tokens")
    roles = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
    ids = {role: file.of_tokens(f"{key}_token_id") for role, key in roles.items()}
    made: Any = PreTrainedTokenizerFast
    return made(
        tokenizer_object=tokenizer,
        chat_template=file.values.get("tokenizer.chat_template"),
        clean_up_tokenization_spaces=False,
        model_max_length=int(file.of_model("context_length")),
        **{f"{role}_token": texts[i] for role, i in ids.items() if i is not None},
    )
