"""A GGUF file as it is read: its header, its tensors, its rotary factors, and the tokenizer that it describes.

Text is cut as llama.cpp does it before it merges: ``tokenizer.ggml.pre`` names a way, or is another name for one, and a
way splits text by regular expressions, one after the other, each within the pieces that the one before has left; what
matches and what stands between two matches are pieces alike. Checked against llama.cpp's own tokens
(tests/models/llama_ids.json).

transformers builds a tokenizer too, but splits most byte-level vocabularies as GPT-2's, whatever the file names:
SmolLM2's single digits are lost. So byte-level vocabularies are built here; the others are transformers' own, with
SentencePiece's leading blank corrected.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agentdistill.errors import ModelError

TOKENIZER = "tokenizer.json"
_BESIDE = (TOKENIZER, "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")
_MAGIC = b"GGUF"
_FORM = "1"  # of the folder: another one where the same file becomes other weights or tokens


def check_magic(path: Path) -> None:
    """Raise ModelError where there is no such file, or one that does not begin as GGUF files do."""
    if not path.is_file():
        raise ModelError(f"{path}: no such file")
    try:
        with path.open("rb") as f:
            begins = f.read(len(_MAGIC))
    except OSError as e:
        raise ModelError(f"{path}: {e.strerror or e}") from e
    if begins != _MAGIC:
        raise ModelError(f"{path}: not a GGUF file (it does not begin with the letters GGUF)")


def record_of(path: Path) -> dict[str, Any]:
    """Which file it is: name, size, SHA-256."""
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": _hash_of(path)}


def digest_of(path: Path) -> str:
    """A hash of everything that a checkpoint folder is made from: the file, and a tokenizer beside it."""
    parts = [_FORM, _hash_of(path)]
    if (path.parent / TOKENIZER).is_file():
        beside = (path.parent / name for name in _BESIDE)
        parts += [f"{p.name} {_hash_of(p)}" for p in beside if p.is_file()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _hash_of(path: Path) -> str:
    state = path.stat()
    return _hashed(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=64)
def _hashed(path: Path, size: int, changed_ns: int) -> str:
    """The SHA-256 of a file, computed once for each state of it."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


class GgufFile:
    """The header of a file, and its tensors by name, none of which is read yet. Raises ModelError, in one line, for a
    file that is missing, not GGUF, damaged, or one part of several."""

    def __init__(self, path: Path) -> None:
        import gguf

        self.path = path
        check_magic(path)
        try:
            reader = gguf.GGUFReader(path)
            self.values: dict[str, Any] = {name: field.contents() for name, field in reader.fields.items()}
        except ValueError as e:
            if gguf.GGMLQuantizationType.__name__ not in str(e):
                raise _damaged(path, e) from e
            raise ModelError(
                f"{path}: holds tensors of a type that gguf {version('gguf')} does not know; upgrade that package, or "
                "take the file in another quantization, such as Q8_0 or Q4_K_M"
            ) from e
        except Exception as e:  # the reader trusts the file: whatever its numbers lead to comes up here
            raise _damaged(path, e) from e
        if reader.endianess is gguf.GGUFEndian.BIG:
            raise ModelError(f"{path}: a big-endian GGUF file, which cannot be read here")
        self.tensors = {t.name: t for t in reader.tensors}
        n_parts = int(self.values.get("split.count") or 1)
        if n_parts > 1:
            raise ModelError(
                f"{path}: one of {n_parts} parts of a split GGUF file; join them first: "
                "llama-gguf-split --merge FIRST_PART WHOLE.gguf"
            )

    @property
    def architecture(self) -> str:
        """The family by llama.cpp's name, such as ``llama``."""
        return str(self.values.get("general.architecture"))

    def of_model(self, key: str, default: Any = None) -> Any:
        """A value that the header holds under the architecture's name, such as ``block_count``."""
        return self.values.get(f"{self.architecture}.{key}", default)

    def of_tokens(self, key: str, default: Any = None) -> Any:
        """A value that the header holds of the tokenizer, such as ``pre`` or ``eos_token_id``."""
        return self.values.get(f"tokenizer.ggml.{key}", default)

    @property
    def n_numbers(self) -> int:
        """Numbers that all tensors hold together."""
        return sum(int(t.n_elements) for t in self.tensors.values())

    @property
    def kinds(self) -> dict[str, int]:
        """How many tensors there are of each type, such as ``{"F32": 61, "Q4_1": 210}``."""
        names = [t.tensor_type.name for t in self.tensors.values()]
        return {name: names.count(name) for name in sorted(set(names))}

    @property
    def number_format(self) -> str:
        """``float32`` or ``float16`` where all matrices are stored so, else ``bfloat16``."""
        kinds = {t.tensor_type.name for t in self.tensors.values() if len(t.shape) > 1}
        plain = {"F32": "float32", "F16": "float16"}
        return plain.get(kinds.pop(), "bfloat16") if len(kinds) == 1 else "bfloat16"

    def check_kinds(self) -> None:
        """Raise ModelError for a type of tensor that the library ``gguf`` cannot dequantise."""
        import gguf
        from gguf.quants import dequantize

        for kind in {t.tensor_type for t in self.tensors.values()}:
            n_bytes = gguf.GGML_QUANT_SIZES[kind][1]
            try:
                dequantize(np.zeros(n_bytes, np.uint8), kind)
            except NotImplementedError as e:
                raise ModelError(
                    f"{self.path}: tensors of the type {kind.name} cannot be dequantised; take the file in another "
                    "quantization, such as Q8_0 or Q4_K_M"
                ) from e


@contextmanager
def by_itself(file: GgufFile) -> Iterator[dict[str, str]]:
    """Where transformers finds the file with nothing beside it: configs and adapters there it would read as well."""
    with TemporaryDirectory() as folder:
        (Path(folder) / file.path.name).symlink_to(file.path.absolute())
        yield {"pretrained_model_name_or_path": folder, "gguf_file": file.path.name}


def _damaged(path: Path, error: Exception) -> ModelError:
    return ModelError(f"{path}: a truncated or damaged GGUF file ({_line(error)}); fetch it anew")


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]


def n_parameters(path: Path) -> int:
    """How many weights a GGUF file holds. Raises ModelError where it cannot be read."""
    return GgufFile(path).n_numbers


def llama3_factors(rope: Mapping[str, Any], n_dims: int) -> NDArray[np.float32]:
    """By what each frequency is divided in Llama 3.1's long context: slow waves by the whole factor, fast ones not at
    all, those in between by something in between."""
    frequency = rope["rope_theta"] ** (-np.arange(0, n_dims, 2, dtype=np.float64) / n_dims)
    turns = rope["original_max_position_embeddings"] * frequency / (2 * np.pi)
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    fast = np.clip((turns - low) / (high - low), 0.0, 1.0)
    factors: NDArray[np.float32] = (1 / ((1 - fast) / rope["factor"] + fast)).astype(np.float32)
    return factors


# --- how text is cut --------------------------------------------------------------------------------------------------

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


# --- the tokenizer ----------------------------------------------------------------------------------------------------

_BYTE_LEVEL, _SENTENCEPIECE = "gpt2", "llama"  # as llama.cpp names kinds of vocabularies
_BLANK = "\N{LOWER ONE EIGHTH BLOCK}"  # how SentencePiece spells one
_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED = 1, 2, 3, 4  # llama.cpp's kinds of tokens
_AGREEING = 0.95  # of plain tokens; another model's tokenizer agrees on far fewer


def tokenizer_of(path: Path) -> Any:
    """The tokenizer of a GGUF file: the one beside it, else its own. Raises ModelError. Nothing is written."""
    return build_tokenizer(GgufFile(path.absolute()))


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
