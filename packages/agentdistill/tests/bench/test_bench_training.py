"""The benchmark of training runs and reports ratios."""

from __future__ import annotations

import json

import pytest

from agentdistill.bench.training import main


def test_it_reports_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", "--traces", "8", "--hidden", "16", "--rounds", "1"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    rates = result["tokens_per_s"]
    assert result["ratio_to_trl"] == pytest.approx(rates["ours"] / rates["trl"])
    assert result["ratio_to_bare"] == pytest.approx(rates["ours"] / rates["bare"])
    assert result["n_tokens"] > 800
