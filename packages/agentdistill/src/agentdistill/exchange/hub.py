"""Traces and students for the hub: a dataset as Parquet, a model with its settings, each with a card."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from agentdistill.errors import DataError, ModelError, UserError
from agentdistill.models.gguf_file import record_of
from agentdistill.models.weights import hub_name, is_gguf, packaged
from agentdistill.prompts import PromptTemplate
from agentdistill.store import dumps, write_atomic, write_json
from agentdistill.tools import Tool
from agentdistill.types import Sampling, Trace

_ROWS = 10_000  # of one Parquet file's row group: what a viewer loads at once


def check_new(folder: Path) -> None:
    """Raise UserError for a folder that is not empty: an export overwrites nothing."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder}: is there already, and not empty")


def write_dataset(
    traces: Sequence[Trace], folder: Path | str, *, name: str, tools: Sequence[Tool] = (), license: str | None = None
) -> Path:
    """Write ``data/train.parquet`` and ``README.md`` into a folder, ready for ``hf upload``; returns the folder.

    A row has the conversation as ``messages`` (role and content), ``tool_docs`` as JSON, the question, gold answer and
    what was answered, whether that is right (null where unscored), and the whole ``trace`` as JSON, which
    :func:`~agentdistill.exchange.read_trajectories` reads back unchanged. Raises DataError without traces,
    UserError for a folder that is not empty.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not traces:
        raise DataError(f"{name}: no traces to write")
    folder = Path(folder)
    check_new(folder)
    described = json.dumps([{"name": t.name, "signature": t.signature, "doc": t.doc} for t in tools])
    message = pa.struct([("role", pa.string()), ("content", pa.string())])
    schema = pa.schema(
        [
            ("id", pa.string()), ("messages", pa.list_(message)), ("question", pa.string()), ("answer", pa.string()),
            ("prediction", pa.string()), ("correct", pa.bool_()), ("family", pa.string()), ("kind", pa.string()),
            ("method", pa.string()), ("model", pa.string()), ("end", pa.string()), ("n_steps", pa.int32()),
            ("tool_docs", pa.string()), ("trace", pa.string()),
        ]
    )  # fmt: skip
    table = pa.Table.from_pylist([_row(t, described) for t in traces], schema=schema)
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer, row_group_size=_ROWS, compression="zstd")
    write_atomic(folder / "data" / "train.parquet", buffer.getvalue().to_pybytes())
    write_atomic(folder / "README.md", _dataset_card(traces, name, license))
    return folder


def _row(t: Trace, tools: str) -> dict[str, Any]:
    return {
        "id": _clean(t.id),
        "messages": [{"role": m.role, "content": _clean(m.content)} for m in t.messages],
        "question": _clean(t.problem.question),
        "answer": _clean(t.problem.answer),
        "prediction": None if t.answer is None else _clean(t.answer),
        "correct": t.correct,
        "family": _clean(t.problem.family),
        "kind": t.problem.kind,
        "method": _clean(t.method),
        "model": _clean(t.model),
        "end": t.end.value,
        "n_steps": len(t.steps),
        "tool_docs": tools,  # not "tools": TRL 1.16 puts a column of that name into every prompt
        "trace": dumps(t),
    }


def _clean(text: str) -> str:
    """Text that Parquet can hold: half a surrogate pair is replaced. The trace keeps it, escaped."""
    return text.encode(errors="replace").decode()


def _dataset_card(traces: Sequence[Trace], name: str, license: str | None) -> str:
    n = len(traces)
    size = next(label for limit, label in _SIZES if n < limit)
    scored = [t for t in traces if t.correct is not None]
    right = sum(t.correct is True for t in scored)
    families = Counter(t.problem.family for t in traces)
    rows = "\n".join(f"| {_cell(f)} | {count:,} |" for f, count in sorted(families.items()))
    methods = ", ".join(f"`{m}`" for m in sorted({t.method for t in traces}))
    models = ", ".join(f"`{_cell(m)}`" for m in sorted({t.model for t in traces}))
    verdict = f"{right:,} of {len(scored):,} graded answers are right." if scored else "Answers were not graded."
    steps = sum(len(t.steps) for t in traces) / n
    head = f"license: {license}\n" if license else ""
    return f"""---
{head}pretty_name: {json.dumps(name)}
task_categories:
- text-generation
- question-answering
tags:
- agent
- trajectories
- agentdistill
size_categories:
- {size}
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train.parquet
---

# {name}

{n:,} trajectories ({methods}) of {models}, {steps:.1f} steps on average. {verdict}
They were collected with agentdistill to distil a tool-using agent into a smaller model (arXiv 2505.17612).

| family | trajectories |
|---|---|
{rows}

{_ROWS_OF_CARD}"""


_ROWS_OF_CARD = """## A row

| column | meaning |
|---|---|
| `messages` | the conversation: roles `system`, `user`, `assistant`; observations are the user's |
| `tool_docs` | JSON: the functions that the code could call, with signature and description |
| `question`, `answer`, `prediction`, `correct` | the problem, its gold answer, the answer given, and the verdict |
| `family`, `kind` | the task it belongs to, and how it is graded |
| `method`, `model`, `end`, `n_steps` | how it was prompted, who wrote it, how it ended, how many steps it took |
| `trace` | JSON: everything, with token counts, tool calls and candidates; read it with `agentdistill` |

```python
from datasets import load_dataset

rows = load_dataset("parquet", data_files="data/train.parquet", split="train")
print(rows[0]["messages"])
```

A trainer that is given `messages` alone learns every token, observations and the user's turns too: TRL's SFTTrainer
does unless `assistant_only_loss=True`, for which the chat template has to mark what the assistant says. agentdistill
learns what the model wrote, and nothing else:

```toml
[collect.trajectories]
agent = "OWNER/NAME"
```
"""


def _cell(text: str) -> str:
    """Text for a cell of a Markdown table."""
    return re.sub(r"[\s|`]+", " ", text).strip()


_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (float("inf"), "n>1M"),
)
"""The hub's names for sizes."""


# --- models -----------------------------------------------------------------------------------------------------------


_LEFT = ("training.json", "timing.json", "begun.json", "manifest.json")
_ADAPTER = "adapter_config.json"
Library = Literal["transformers", "peft", "gguf"]


def write_model(
    student: Path,
    folder: Path | str,
    *,
    name: str,
    template: PromptTemplate,
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
    text = model_card(name, base, kind, template, tools, sampling, evaluations, license)
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
    from agentdistill.models.weights import load_weights, resolve, stored_dtype

    model, tokenizer = load_weights(str(student), None, "cpu", "float32")
    model.to(stored_dtype(resolve(str(student))[0])).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _end_ids(student: Path) -> tuple[int, ...]:
    """The ids that end a turn in the conversations that the student was trained on."""
    from agentdistill.models.chat import ChatFormat
    from agentdistill.models.weights import load_tokenizer

    tokenizer = load_tokenizer(str(student))
    return ChatFormat(tokenizer).end_ids if tokenizer.chat_template else ()


def _generation(folder: Path, sampling: Sampling, end_ids: Sequence[int]) -> None:
    """Write ``generation_config.json``: the token ids that it had, the ids that end a turn, and the sampling of the
    student's evaluation.

    Its base's penalties and lengths would change what it writes. Its base's end ids lack the marker that it was trained
    to end turns with: a model that does not stop there writes the user's turns too.
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


def model_card(
    name: str,
    base: str | None,
    library: Library,
    template: PromptTemplate,
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
    system = template.agent("QUESTION", tools)
    shown = "\n\n".join(f"[{m.role}]\n{m.content}" for m in system)
    told = template.observation("OUTPUT")
    stops = ", ".join(f"`{json.dumps(s)}`" for s in template.AGENT_STOP) or "none besides the end of the turn"
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

A conversation opens as below; the model answers with a thought and code, and is told `{told!r}`
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
