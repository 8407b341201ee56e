"""Traces as a dataset for the hub: Parquet that any trainer of ``messages`` reads, and a card that says what it is."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agentdistill.errors import DataError
from agentdistill.exchange._folder import check_new
from agentdistill.store import dumps, write_atomic
from agentdistill.tools import Tool
from agentdistill.types import Trace

_ROWS = 10_000  # of one Parquet file's row group: what a viewer loads at once


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
    write_atomic(folder / "README.md", _card(traces, name, license))
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


def _card(traces: Sequence[Trace], name: str, license: str | None) -> str:
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

## A row

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
