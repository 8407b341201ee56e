from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console
from synthetic_run import write_run


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory) -> Path:
    """A synthetic run of two students; read it, change nothing."""
    return write_run(tmp_path_factory.mktemp("runs") / "tinyworld", n=4, students=("0.1M", "0.3M"))


@pytest.fixture
def console() -> Console:
    """A colour terminal 160 columns wide that remembers what was printed (``console.file.getvalue()``)."""
    return Console(file=io.StringIO(), force_terminal=True, color_system="standard", width=160)
