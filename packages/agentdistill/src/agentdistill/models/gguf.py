"""A GGUF file in this process, run by llama.cpp: small machines without a GPU, quantised weights.

Prompts are spelt by the tokenizer that lies beside the file (``agentdistill export --gguf`` puts it there), not by
llama.cpp's own, so a model is asked in the very ids that it was trained on; where none does, by one made from the file.
Needs the extra ``llama-cpp``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from agentdistill.errors import ModelError
from agentdistill.models.local import LocalModel

if TYPE_CHECKING:
    from agentdistill.chat import ChatFormat
    from agentdistill.models._llama import Llama

Cache = Literal["auto", "f32", "f16"]
_LONGEST = 8192


def load(
    path: str,
    tokenizer: str | None = None,
    device: str = "auto",
    batch_size: int = 8,
    threads: int | None = None,
    chat_template: str | None = None,
    context_length: int | None = None,
    kv_gb: float = 2.0,
    name: str | None = None,
    kv: Cache = "auto",
) -> GgufModel:
    """Load a ``.gguf`` file. ``tokenizer`` names a folder or hub name; by default it is the one beside the file, else
    the file's own.

    ``device`` ``cpu`` keeps all layers off the GPU that llama.cpp was built for. ``threads`` None is all there are.
    ``context_length`` None is the file's own, 8192 at most. ``kv`` is how keys and values are kept: ``auto`` is f32 for
    weights in f32, else f16. ``kv_gb`` bounds them: a batch is smaller where it would need more. Raises ModelError, in
    one line, for what cannot be loaded.
    """
    from agentdistill.chat import ChatFormat, read_template
    from agentdistill.gguf_bases import tokenizer_of
    from agentdistill.models.weights import load_tokenizer

    file = Path(path).expanduser()
    if not file.is_file():
        raise ModelError(f"{path}: no such file")
    if batch_size < 1 or (threads is not None and threads < 1):
        raise ModelError(f"{path}: batch_size and threads must be at least 1")
    if kv not in get_args(Cache):
        raise ModelError(f'{path}: kv "{kv}" is not one of {", ".join(get_args(Cache))}')
    if tokenizer is None and (file.parent / "tokenizer.json").is_file():
        tokenizer = str(file.parent)
    chat = ChatFormat(load_tokenizer(tokenizer) if tokenizer else tokenizer_of(file), read_template(chat_template))
    llama = _open(str(file), device, threads, kv)
    if len(chat.tokenizer) > llama.n_vocab:
        raise ModelError(f"{path}: the tokenizer has {len(chat.tokenizer)} tokens but the model only {llama.n_vocab}")
    n_context = min(context_length or _LONGEST, llama.n_trained)
    return GgufModel(name or file.stem, llama, chat, batch_size, n_context, kv_gb)


def _open(path: str, device: str, threads: int | None, kv: Cache) -> Llama:
    try:
        from agentdistill.models._llama import Llama
    except ModuleNotFoundError as e:
        raise ModelError(
            f"{path}: {e.name} is not installed, which runs GGUF files; install it with: "
            "pip install 'agentdistill[llama-cpp]' (it is compiled on the spot), or have it dequantised and run by "
            'torch: model = "local"'
        ) from e
    return Llama(path, gpu=device != "cpu", threads=threads, kv=kv)


class GgufModel(LocalModel):
    """Weights that llama.cpp runs. Everything else is as for other local weights."""

    def __init__(
        self, name: str, llama: Llama, chat: ChatFormat, batch_size: int, context_length: int, kv_gb: float = 2.0
    ) -> None:
        from agentdistill.models._llama import LlamaDecoder

        ends = frozenset({*chat.end_ids, *llama.end_ids})
        n_bytes = int(kv_gb * 2**30)
        decoder = LlamaDecoder(llama, ends, self._meets_stop, batch_size, context_length, n_bytes)
        self._begin(name, chat, batch_size, context_length, decoder)
