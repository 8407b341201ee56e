"""The benchmark of the agent loop runs real episodes and reports ratios."""

from __future__ import annotations

import json

import pytest

from agentdistill.bench.loop import main


def test_it_reports_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    """A scripted episode that left its script (no search, a wrong answer) would raise."""
    options = ["--episodes", "3", "--hidden", "16", "--rounds", "1", "--mode", "process"]
    assert main(["--json", *options]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    one, batched = result["one_at_a_time"], result["batched"]
    assert result["speedup"] == pytest.approx(batched["episodes_per_s"] / one["episodes_per_s"])
    assert 0 < one["overhead"] < 5
    assert 0 < batched["overhead"] < 5
    assert 20 < result["tokens_per_step"] < 200
    assert main(options) == 0
    assert "batched / one at a time" in capsys.readouterr().out
