from __future__ import annotations

import json
from pathlib import Path

import pytest
from synthetic_run import write_run

from agentdistill.report import write_report


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory) -> Path:
    """A whole synthetic run with its report written; read it, change nothing."""
    root = write_run(tmp_path_factory.mktemp("runs") / "tinyworld", n=8)
    write_report(root)
    return root


@pytest.fixture(scope="session")
def report(run_dir) -> dict:
    """That run's report, as it stands in report.json."""
    return json.loads((run_dir / "report.json").read_text(encoding="utf-8"))
