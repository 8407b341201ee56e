"""A student as a model for the hub: weights or adapter, tokenizer with its template, generation settings, a card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from agentdistill.checkpoints import hub_name, is_gguf, packaged
from agentdistill.errors import ModelError
from agentdistill.exchange._folder import check_new
from agentdistill.gguf_bases import record_of
from agentdistill.prompts import Style
from agentdistill.store import write_atomic, write_json
from agentdistill.tools import Tool
from agentdistill.types import Sampling

_LEFT = ("training.json", "timing.json", "begun.json", "manifest.json")
_ADAPTER = "adapter_config.json"
Library = Literal["transformers", "peft", "gguf"]


def write_model(
    student: Path,
    folder: Path | str,
    *,
    name: str,
    style: Style,
    tools: Sequence[Tool] = (),
    sampling: Sampling = Sampling(),  # noqa: B008  frozen
    evaluations: Sequence[Mapping[str, Any]] = (),
    merge: bool = False,
    license: str | None = None,
) -> Path:
    """Write a trained student into a folder, ready for ``hf upload``, and return the folder.

    ``merge`` puts a LoRA adapter's weights into its base; otherwise an adapter stays one. ``evaluations`` are those of
    ``report.json``, for the card. Raises ModelError for a student without weights, or to be merged without an adapter,
    UserError for a folder that is not empty.
    """
    folder = Path(folder)
    if not (student / "config.json").exists() and not (student / _ADAPTER).exists():
        raise ModelError(f"{student}: holds no model")
    if merge and not (student / _ADAPTER).exists():
        raise ModelError(f"{student}: holds a whole model and no adapter: there is nothing to merge")
    check_new(folder)
    folder.mkdir(parents=True, exist_ok=True)
    base = base_of(student)
    if merge:
        _merge(student, folder)
    else:
        for file in sorted(student.iterdir()):
            if file.is_file() and file.name not in _LEFT and not file.name.startswith("."):
                shutil.copy2(file, folder / file.name)
    _generation(folder, sampling, _end_ids(student))
    kind: Library = "peft" if (folder / _ADAPTER).exists() else "transformers"
    note = _share_base(folder / _ADAPTER) if kind == "peft" else ""
    text = card(name, base, kind, style, tools, sampling, evaluations, license)
    write_atomic(folder / "README.md", text + note)
    return folder


def base_of(student: Path) -> str | None:
    """What it was trained from, by the hub's name; None where the hub does not have it."""
    for file, key in ((_ADAPTER, "base_model_name_or_path"), ("training.json", "base")):
        try:
            found = json.loads((student / file).read_text(encoding="utf-8")).get(key)
        except (OSError, ValueError):
            continue
        if isinstance(found, str) and (name := hub_name(found)):
            return name
    return None


def _share_base(config: Path) -> str:
    """Let an adapter name a base that others can find; what the card says of it.

    A GGUF file is named without the folders of this machine: it is looked for beside the adapter.
    """
    settings = json.loads(config.read_text(encoding="utf-8"))
    base = settings["base_model_name_or_path"]
    if found := packaged(base):
        about = getattr(found[0], "about", "")
        return f"\n## Its base\n\n`{base}`: {about}\n" if about else ""
    if not is_gguf(base):
        return ""
    write_json(config, {**settings, "base_model_name_or_path": Path(base).name})
    hashed = f", SHA-256 `{record_of(Path(base))['sha256']}`" if Path(base).is_file() else ""
    how = "Put that file beside the adapter; agentdistill dequantises it."
    return f"\n## Its base\n\n`{Path(base).name}`{hashed}. {how}\n"


def _merge(student: Path, folder: Path) -> None:
    """Add the adapter to its base in float32, and keep the sum in the base's own number format."""
    from agentdistill.models._weights import load_weights, resolve, stored_dtype

    model, tokenizer = load_weights(str(student), None, "cpu", "float32")
    model.to(stored_dtype(resolve(str(student))[0])).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _end_ids(student: Path) -> tuple[int, ...]:
    """The ids that end a turn in the conversations that the student was trained on."""
    from agentdistill.chat import ChatFormat
    from agentdistill.models._weights import load_tokenizer

    tokenizer = load_tokenizer(str(student))
    return ChatFormat(tokenizer).end_ids if tokenizer.chat_template else ()


def _generation(folder: Path, sampling: Sampling, end_ids: Sequence[int]) -> None:
    """``generation_config.json``: the ids that are there already, and the sampling that it was evaluated with.
    A penalty or a length of its base's would have it write something else.

    An adapter has no generation settings of its own, and its base's know nothing of the marker that it was trained to
    end turns with: what does not stop there writes the other side's turns too.
    """
    path = folder / "generation_config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        config = {}
    known = config.get("eos_token_id", [])
    ends = list(dict.fromkeys([*end_ids, *(known if isinstance(known, list) else [known])]))
    drawn = {"temperature": sampling.temperature, "top_p": sampling.top_p} if sampling.temperature > 0 else {}
    kept = {k: v for k, v in config.items() if k.endswith("_token_id") or k == "transformers_version"}
    settings = {"do_sample": bool(drawn), **drawn, "max_new_tokens": sampling.max_new_tokens}
    write_json(path, {**kept, **({"eos_token_id": ends} if ends else {}), **settings})


def card(
    name: str,
    base: str | None,
    library: Library,
    style: Style,
    tools: Sequence[Tool],
    sampling: Sampling,
    evaluations: Sequence[Mapping[str, Any]],
    license: str | None,
) -> str:
    """A model card: what it is, what it scored, how to speak to it."""
    head = [
        *([f"license: {license}"] if license else []),
        *([f"base_model: {base}"] if base else []),
        f"library_name: {library}",
        "pipeline_tag: text-generation",
        "tags:",
        "- agent",
        "- agentdistill",
        *_index(name, evaluations),
    ]
    system = style.agent("QUESTION", tools)
    shown = "\n\n".join(f"[{m.role}]\n{m.content}" for m in system)
    stops = ", ".join(f"`{json.dumps(s)}`" for s in style.AGENT_STOP) or "none besides the end of the turn"
    what = {"peft": "a LoRA adapter", "gguf": "a model, as GGUF for llama.cpp and Ollama,"}.get(library, "a model")
    origin = f" of [{base}](https://huggingface.co/{base})" if base else ""
    return f"""---
{chr(10).join(head)}
---

# {name}

This is {what}{origin} that answers questions as an agent: in steps of a thought and a block of Python, which is run for
it and whose output it sees. It was distilled with agentdistill from a larger model's trajectories (arXiv 2505.17612).

{_numbers(evaluations)}
## How to speak to it

A conversation opens as below; the model answers with a thought and code, and is told `{style.observation("OUTPUT")!r}`
until its code calls `final_answer`. Strings that end a turn: {stops}. It was evaluated at temperature
{sampling.temperature:g} with {sampling.max_new_tokens} new tokens a step. Run its code in a sandbox only.

````text
{shown}
````
"""


def _numbers(evaluations: Sequence[Mapping[str, Any]]) -> str:
    """The run's results as a table, with interval, n and what went wrong beside every accuracy."""
    if not evaluations:
        return "It has not been evaluated.\n"
    lines = ["| method | family | accuracy | 95 % | n | cut off | faults |", "|---|---|---|---|---|---|---|"]
    for e in evaluations:
        for family, cell in [*e.get("families", {}).items(), ("average", e["average"])]:
            lines.append(_line(e["method"], family, cell))
    return "\n".join(["## Results", "", *lines, ""])


def _line(method: str, family: str, cell: Mapping[str, Any]) -> str:
    accuracy = cell.get("accuracy")
    if accuracy is None:
        figures = "– | "
    else:
        figures = f"{accuracy['estimate']:.1%} | {100 * accuracy['low']:.1f}–{100 * accuracy['high']:.1f}"
    return f"| {method} | {family} | {figures} | {cell['n']:,} | {cell['truncations']:,} | {cell['faults']:,} |"


def _index(name: str, evaluations: Sequence[Mapping[str, Any]]) -> list[str]:
    """The results as the hub reads them."""
    rows = [(e["method"], e["average"]["accuracy"]) for e in evaluations if e["average"].get("accuracy")]
    if not rows:
        return []
    out = ["model-index:", f"- name: {json.dumps(name)}", "  results:"]
    for method, accuracy in rows:
        out += [
            "  - task:",
            "      type: question-answering",
            "    dataset:",
            "      type: agentdistill",
            "      name: the run's test problems",
            "    metrics:",
            "    - type: accuracy",
            f"      name: {json.dumps(f'average accuracy, {method}')}",
            f"      value: {accuracy['estimate']:.4f}",
        ]
    return out
