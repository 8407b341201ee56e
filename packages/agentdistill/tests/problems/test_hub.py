"""Problems from a hub dataset: the very calls over HTTP, to a hub on this machine, and without any network."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hub_server import hub_server
from made_traces import source_environment

pytest.importorskip("datasets")

_READ = """
import json, sys
from agentdistill.errors import AgentDistillError
from agentdistill.problems import load_problems
from agentdistill.problems.tasks import find_task

for source in sys.argv[1:]:
    try:
        task = find_task(source)
        problems = task[0].problems(task[1]) if task else load_problems(source).problems
        said = {"problems": [[p.question, p.answer, p.family] for p in problems]}
    except AgentDistillError as e:
        said = {"error": type(e).__name__, "line": str(e)}
    print(json.dumps(said), flush=True)
"""
_CARD = """\
---
configs:
- config_name: main
  data_files:
  - split: train
    path: main/train-*
  - split: test
    path: main/test-*
---
"""


@dataclass(frozen=True)
class Hub:
    """A hub, and how to read from it in a process of its own: its address is taken when the library is imported."""

    home: Path
    url: str
    asked: list[str]

    def read(self, *sources: str, **variables: str) -> list[dict[str, Any]]:
        """What becomes of every source."""
        environment = {k: v for k, v in source_environment().items() if not k.startswith(("HF_", "HTTP", "http"))}
        environment.pop("AGENTDISTILL_DATA", None)
        environment |= {
            "HF_HOME": str(self.home),
            "HF_ENDPOINT": self.url,
            "HF_HUB_DISABLE_TELEMETRY": "1",
            **variables,
        }
        run = subprocess.run(
            [sys.executable, "-c", _READ, *sources],
            env=environment, cwd=self.home, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr[-4000:]
        return [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]


def write_parquet(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows)), path)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("hub")
    riddles = folder / "someone/riddles-1.5"
    write_parquet(riddles / "data/train-00000-of-00001.parquet", [{"question": "a?", "answer": "1"}])
    write_parquet(riddles / "data/test-00000-of-00001.parquet", [{"question": f"{c}?", "answer": c} for c in "bc"])
    grade_school = folder / "openai/gsm8k"
    for split, answer in (("train", "So. #### 3"), ("test", "1,000 + 1 = 1,001. #### 1,001")):
        write_parquet(grade_school / f"main/{split}-00000-of-00001.parquet", [{"question": "How?", "answer": answer}])
    (grade_school / "README.md").write_text(_CARD)
    for name, within, content in (
        ("broken", "data/test-00000-of-00001.parquet", b"nonsense"),
        ("script", "script.py", b"import os"),
        ("empty", "README.md", b"Nothing yet."),
    ):
        (folder / "someone" / name / within).parent.mkdir(parents=True)
        (folder / "someone" / name / within).write_bytes(content)
    with hub_server(folder) as (url, asked):
        yield Hub(tmp_path_factory.mktemp("home"), url, asked)


def test_a_dataset_of_parquet_files_is_read(hub: Hub) -> None:
    test, task = hub.read("someone/riddles-1.5:test", "gsm8k:test")
    assert test == {"problems": [["b?", "b", "riddles-1.5"], ["c?", "c", "riddles-1.5"]]}
    assert task == {"problems": [["How?", "1,001", "gsm8k"]]}
    assert any(path.endswith("main/test-00000-of-00001.parquet") for path in hub.asked)


def test_what_was_read_once_is_there_without_a_network(hub: Hub) -> None:
    first, *_ = hub.read("someone/riddles-1.5:test")
    n_asked = len(hub.asked)
    again, missing = hub.read("someone/riddles-1.5:test", "someone/other:test", HF_HUB_OFFLINE="1")
    assert again == first
    assert len(hub.asked) == n_asked
    assert missing["error"] == "InfrastructureError"
    assert missing["line"] == (
        "someone/other:test: the hub cannot be reached (HF_HUB_OFFLINE is set); a file will do instead"
    )


@pytest.mark.parametrize("offline", ["0", "1"])
def test_a_task_that_may_be_meant_is_named(hub: Hub, offline: str) -> None:
    meant = {"tinywrld:train": "tinyworld", "svmp:test": "svamp", "hotpot_qa:validation": "hotpotqa"}
    for (source, task), got in zip(meant.items(), hub.read(*meant, HF_HUB_OFFLINE=offline), strict=True):
        assert got["line"].startswith(f"{source}: ")
        assert got["line"].endswith(f'; or did you mean the task "{task}"?')


def test_what_is_wrong_there_is_one_line(hub: Hub) -> None:
    wrong = {
        "someone/nobody:test": "doesn't exist on the Hub or cannot be accessed",
        "someone/riddles-1.5:dev": 'Unknown split "dev"',
        "someone/riddles-1.5/other:test": "BuilderConfig 'other' not found",
        "someone/broken:test": "not a parquet file",
        "someone/script:test": "scripts are no longer supported",
        "someone/empty:test": "doesn't contain any data files",
    }
    for (source, words), said in zip(wrong.items(), hub.read(*wrong), strict=True):
        assert said["error"] == "DataError", source
        assert said["line"].startswith(f"{source}: "), said
        assert words in said["line"]
        assert "\n" not in said["line"]


def test_a_name_that_ends_like_a_file_is_no_dataset() -> None:
    from agentdistill.errors import DataError
    from agentdistill.problems import load_problems

    for source in ("data/questions.jsonl:test", "data/questions.JSON"):
        with pytest.raises(DataError, match="no such file"):
            load_problems(source)
