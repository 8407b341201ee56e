"""A student for llama.cpp and Ollama: one GGUF file, a Modelfile, the tokenizer beside them, a card."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentdistill.errors import ModelError, UserError
from agentdistill.exchange._folder import check_new
from agentdistill.exchange.model import base_of, card
from agentdistill.prompts import Style
from agentdistill.store import write_atomic
from agentdistill.tools import Tool
from agentdistill.types import Sampling

if TYPE_CHECKING:
    from agentdistill.chat import ChatFormat
    from agentdistill.exchange._gguf import Tensor

QUANTIZATIONS = ("f32", "f16", "bf16", "q8_0", "q5_0", "q4_0")
"""How weights can be stored. The K-quants that llama.cpp has besides are made of ``f16`` by its ``llama-quantize``."""


@dataclass(frozen=True, slots=True)
class GgufExport:
    """What was written: the file, how many tensors of each kind it has, and what came out other than one would think.

    ``remarks`` are sentences for people: tensors that could not be quantised, texts that llama.cpp's own tokenizer
    spells in other tokens, what the Modelfile lacks.
    """

    path: Path
    counts: Mapping[str, int]
    remarks: tuple[str, ...]


def write_gguf(
    student: Path,
    folder: Path | str,
    *,
    name: str,
    style: Style,
    quantization: str = "f16",
    tools: Sequence[Tool] = (),
    sampling: Sampling = Sampling(),  # noqa: B008  frozen
    samples: Sequence[str] = (),
    evaluations: Sequence[Mapping[str, Any]] = (),
    chat_template: str | None = None,
    license: str | None = None,
) -> GgufExport:
    """Write a trained student into a folder as GGUF. An adapter is put into its base first.

    ``samples`` are texts like those that it reads, by which the way llama.cpp cuts text is chosen. ``chat_template`` is
    Jinja text in place of the tokenizer's own. Raises UserError where the folder
    is not empty, ModelError for a student that cannot be written so.
    """
    folder = Path(folder)
    if quantization not in QUANTIZATIONS:
        raise UserError(f'no quantization is called "{quantization}"; there are: {", ".join(QUANTIZATIONS)}')
    check_new(folder)
    from agentdistill.chat import ChatFormat
    from agentdistill.exchange._gguf import write_container
    from agentdistill.exchange._gguf_vocab import vocabulary_of

    config, tensors, tokenizer = _opened(student)
    chat = ChatFormat(tokenizer, chat_template)
    vocabulary = vocabulary_of(chat, chat_template or tokenizer.chat_template, config["vocab_size"], samples)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{_slug(name)}.{quantization.upper()}.gguf"
    made = write_container(path, name, config, tensors, vocabulary, quantization)
    tokenizer.chat_template = vocabulary.template
    tokenizer.save_pretrained(folder)
    remarks = [*_unfit(made.unfit, quantization), *_cut(vocabulary.cut)]
    n_context = config["max_position_embeddings"]
    remarks += _modelfile(folder, path, chat, vocabulary.begins, style, tools, sampling, n_context)
    text = card(name, base_of(student), "gguf", style, tools, sampling, evaluations, license)
    write_atomic(folder / "README.md", text + _files(path, remarks))
    return GgufExport(path, made.counts, tuple(remarks))


# --- reading ----------------------------------------------------------------------------------------------------------


def _opened(student: Path) -> tuple[dict[str, Any], dict[str, Tensor], Any]:
    """Config, tensors and tokenizer of a checkpoint. Tensors are left in their files, but those of an adapter."""
    from agentdistill.models._weights import load_tokenizer, load_weights, resolve

    base, adapter = resolve(str(student))
    files = sorted(Path(base).glob("*.safetensors")) if adapter is None else []
    if files:
        config = json.loads((Path(base) / "config.json").read_text(encoding="utf-8"))
        return _complete(config), _in_files(files), load_tokenizer(str(student))
    model, tokenizer = load_weights(str(student), None, "cpu", "float32")
    return model.config.to_dict(), _in_memory(model.state_dict()), tokenizer


def _complete(config: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint's config with what it leaves to the defaults."""
    from transformers import AutoConfig

    kind = config.pop("model_type", None)
    if not isinstance(kind, str):
        raise ModelError("the checkpoint's config.json names no model_type")
    try:
        return dict(AutoConfig.for_model(kind, **config).to_dict())
    except ValueError as e:
        raise ModelError(f'models of type "{kind}" are not known') from e


def _in_files(files: Sequence[Path]) -> dict[str, Tensor]:
    from safetensors import safe_open

    from agentdistill.exchange._gguf import Tensor

    def read(file: Path, key: str) -> Any:
        with safe_open(file, "pt") as f:
            return f.get_tensor(key).float().numpy()

    out = {}
    for file in files:
        with safe_open(file, "pt") as f:
            for key in f.keys():  # noqa: SIM118  no mapping
                out[key] = Tensor(tuple(f.get_slice(key).get_shape()), partial(read, file, key))
    return out


def _in_memory(state: Mapping[str, Any]) -> dict[str, Tensor]:
    from agentdistill.exchange._gguf import Tensor

    def read(key: str) -> Any:
        return state[key].float().numpy()

    return {k: Tensor(tuple(t.shape), partial(read, k)) for k, t in state.items()}


# --- what stands beside the file --------------------------------------------------------------------------------------


def _modelfile(
    folder: Path,
    path: Path,
    chat: ChatFormat,
    begins: bool,
    style: Style,
    tools: Sequence[Tool],
    sampling: Sampling,
    n_context: int,
) -> list[str]:
    """Write it; what it lacks. ``begins`` says that llama.cpp itself puts the first token before every text."""
    from agentdistill.exchange._modelfile import modelfile, turns_of

    begin = chat.tokenizer.bos_token if begins else ""
    turns = turns_of(chat.render, begin)
    system = next((m.content for m in style.agent("", tools) if m.role == "system"), None)
    stops = dict.fromkeys([*style.AGENT_STOP, *(chat.tokenizer.decode([i]) for i in chat.end_ids)])
    text = modelfile(path.name, turns, system, sampling, list(stops), n_context)
    write_atomic(folder / "Modelfile", text)
    return [line.removeprefix("# ") for line in text.splitlines() if line.startswith("# No ")]


def _unfit(names: Sequence[str], quantization: str) -> list[str]:
    if not names:
        return []
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return [f"{len(names)} tensors stay f16, since their rows do not fill blocks of {quantization}: {shown}"]


def _cut(cut: Any) -> list[str]:
    if cut.is_exact:
        return []
    return [
        f'llama.cpp cuts text in none of its ways just as this tokenizer does; the nearest is "{cut.name}", with which '
        f"{cut.n_same} of {cut.n} sample lines come out as the same tokens. agentdistill's own llama.cpp models, and "
        "clients that send token ids, are not concerned"
    ]


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-") or "student"


def _files(path: Path, remarks: Sequence[str]) -> str:
    notes = "".join(f"\n- {r}" for r in remarks)
    return f"""
## With llama.cpp and Ollama

```text
ollama create {_slug(path.stem).lower()} -f Modelfile
llama-server -m {path.name} --jinja
```

They write the agent's first step: a thought and code. To have the code run and the agent go on, with the run's tools:

```text
agentdistill ask RUN "QUESTION" --weights {path.name}
agentdistill ask RUN "QUESTION" --url http://localhost:11434/v1 --name {_slug(path.stem).lower()}
```
{notes}
"""
