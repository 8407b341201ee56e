"""A student for llama.cpp and Ollama: one GGUF file, a Modelfile, the tokenizer beside them, a card."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentdistill.errors import ModelError, UserError
from agentdistill.exchange.hub import base_of, check_new, model_card
from agentdistill.prompts import PromptTemplate
from agentdistill.store import write_atomic
from agentdistill.tools import Tool
from agentdistill.types import Sampling

if TYPE_CHECKING:
    from agentdistill.exchange._gguf import Tensor
    from agentdistill.models.chat import ChatFormat

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
    template: PromptTemplate,
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
    from agentdistill.exchange._gguf import vocabulary_of, write_container
    from agentdistill.models.chat import ChatFormat

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
    remarks += _modelfile(folder, path, chat, vocabulary.begins, template, tools, sampling, n_context)
    text = model_card(name, base_of(student), "gguf", template, tools, sampling, evaluations, license)
    write_atomic(folder / "README.md", text + _files(path, remarks))
    return GgufExport(path, made.counts, tuple(remarks))


# --- reading ----------------------------------------------------------------------------------------------------------


def _opened(student: Path) -> tuple[dict[str, Any], dict[str, Tensor], Any]:
    """Config, tensors and tokenizer of a checkpoint. Tensors are left in their files, but those of an adapter."""
    from agentdistill.models.weights import load_tokenizer, load_weights, resolve

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
    template: PromptTemplate,
    tools: Sequence[Tool],
    sampling: Sampling,
    n_context: int,
) -> list[str]:
    """Write it; what it lacks. ``begins`` says that llama.cpp itself puts the first token before every text."""
    begin = chat.tokenizer.bos_token if begins else ""
    turns = turns_of(chat.render, begin)
    system = next((m.content for m in template.agent("", tools) if m.role == "system"), None)
    stops = dict.fromkeys([*template.AGENT_STOP, *(chat.tokenizer.decode([i]) for i in chat.end_ids)])
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


# --- the Modelfile ----------------------------------------------------------------------------------------------------


_Chat = Sequence[tuple[str, str]]
Render = Callable[[_Chat], str]
_S, _U, _A, _V = (f"\ufdd2{name}" for name in "suav")  # noncharacters: no template has them
_CHECKS: tuple[_Chat, ...] = (
    (("system", "s"), ("user", "a b\nc")),
    (("system", "s\n\ns"), ("user", "one"), ("assistant", "two\n```py\nx\n```"), ("user", "three")),
    (("system", "s"), ("user", "1"), ("assistant", "2"), ("user", "3"), ("assistant", "4"), ("user", "5")),
)


@dataclass(frozen=True, slots=True)
class Turns:
    """What stands around each turn, and what opens the model's own. ``opening`` stands before everything."""

    opening: str
    system: tuple[str, str]
    user: tuple[str, str]
    assistant: tuple[str, str]
    reply: str

    def render(self, chat: _Chat) -> str:
        """A conversation of ``(role, text)`` pairs up to where the model goes on."""
        around = {"system": self.system, "user": self.user, "assistant": self.assistant}
        return self.opening + "".join(around[r][0] + text + around[r][1] for r, text in chat) + self.reply

    @property
    def go(self) -> str:
        """The same as a Go template of Ollama's, which adds the opening itself."""
        cases = [("system", self.system), ("user", self.user), ("assistant", self.assistant)]
        words = [
            f'{{{{ {"else " if i else ""}if eq .Role "{role}" }}}}{before}{{{{ .Content }}}}{after}'
            for i, (role, (before, after)) in enumerate(cases)
        ]
        return "{{ range .Messages }}" + "".join(words) + "{{ end }}{{ end }}" + self.reply


def turns_of(render: Render, begin: str = "") -> Turns | None:
    """The markers that a chat template puts around turns; None for a template that does more than that.

    Ollama renders conversations by a Go template, not by the tokenizer's own, so the markers are read off renderings
    and kept only where they render test conversations alike. ``begin`` is the text that begins every conversation;
    where every turn has it, it is the turn's marker and stays. Conversations open with a system message, as an
    agent's do.
    """
    text = render((("system", _S), ("user", _U), ("assistant", _A), ("user", _V)))
    pieces = []
    for mark in (_S, _U, _A, _V):
        before, found, text = text.partition(mark)
        if not found:
            return None
        pieces.append(before)
    first, *between = pieces
    begin = "" if begin and all(begin in piece for piece in between) else begin
    first = first.removeprefix(begin)
    alone = render((("user", _U),)).partition(_U)[0]
    user = _common_end(between[0], between[2], alone)
    turns = Turns(
        opening=begin,
        system=(first, between[0].removesuffix(user)),
        user=(user, ""),
        assistant=(between[1], between[2].removesuffix(user)),
        reply=text,
    )
    plain = not any("{{" in piece or '"""' in piece for piece in (turns.go.replace("{{ ", ""), turns.reply))
    return turns if plain and all(turns.render(c) == render(c) for c in _CHECKS) else None


def _common_end(*texts: str) -> str:
    n = 0
    while n < min(map(len, texts)) and len({t[-1 - n] for t in texts}) == 1:
        n += 1
    return texts[0][len(texts[0]) - n :]


def modelfile(
    file: str, turns: Turns | None, system: str | None, sampling: Sampling, stops: Sequence[str], n_context: int
) -> str:
    """The Modelfile of a GGUF file beside it. What cannot be said in one is left out, with the reason."""
    lines = [f"FROM ./{file}", ""]
    if turns is not None:
        lines += [f'TEMPLATE """{turns.go}"""', ""]
    else:
        lines += ["# No TEMPLATE: this model's chat template does more than put markers around turns.", ""]
    if system is not None and '"""' not in system:
        lines += [f'SYSTEM """{system}"""', ""]
    elif system is not None:
        lines += ['# No SYSTEM: the system prompt holds """, which a Modelfile cannot quote. README.md shows it.', ""]
    settings: list[tuple[str, object]] = [
        ("num_ctx", n_context),
        ("num_predict", sampling.max_new_tokens),
        ("temperature", f"{sampling.temperature:g}"),
        ("top_p", f"{sampling.top_p:g}"),
        ("top_k", 0),
        ("min_p", 0),
        ("repeat_penalty", 1),
    ]
    lines += [f"PARAMETER {name} {value}" for name, value in settings]
    plain = (s.strip("\n") for s in stops)  # a parameter is one line
    lines += [f'PARAMETER stop "{s}"' for s in plain if s and '"' not in s and "\n" not in s]
    return "\n".join(lines) + "\n"
