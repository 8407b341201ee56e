"""The benchmark of Ray runs both kinds of collection, holds their results together, and says what it found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_models import save_checkpoint

from agentdistill.errors import UserError
from benchmarks.ray import ray

pytestmark = pytest.mark.timeout(900)


def test_one_worker_and_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ray", reason="make test-ray installs Ray and runs this")
    teacher = save_checkpoint(tmp_path / "teacher", hidden=16, context=1024)
    small = ["--problems", "4", "--batch", "2", "--wait", "0.01", "--rounds", "1", "--mode", "process"]
    assert ray(["--json", "--teacher", str(teacher), *small]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    for kind in ("weights", "server"):
        seconds = result[kind]["seconds"]
        assert result[kind]["ratio"] == pytest.approx(seconds["1"] / seconds["2"])
    assert 0 < result["ceiling"] < 4


def test_numbers_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UserError, match="above 0"):
        ray(["--problems", "0"])
