"""A GGUF file that has been found whole and of a kind that can be dequantised."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gguf
import numpy as np
from gguf.quants import dequantize

from agentdistill.errors import ModelError
from agentdistill.gguf_bases._source import check_magic


class GgufFile:
    """The header of a file, and its tensors by name, none of which is read yet. Raises ModelError, in one line, for a
    file that is missing, not GGUF, damaged, or one part of several."""

    def __init__(self, path: Path) -> None:
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
