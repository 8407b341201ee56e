"""The benchmark of retrieval runs and reports ratios."""

from __future__ import annotations

import json
from importlib.util import find_spec

import pytest

from agentdistill.bench.retrieval import main
from agentdistill.cli.bench import benches


def test_it_reports_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--passages", "60", "--queries", "5", "--rounds", "1", "--dimensions", "16"]
    assert main(["--json", *options]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    took, ratios = result["seconds"], result["ratios"]
    assert (result["n_passages"], result["n_queries"]) == (60, 5)
    assert ratios["bm25"]["query"] == pytest.approx(took["bm25"]["query"] / took["bm25s"]["query"])
    assert ratios["kept"]["index"] == pytest.approx(took["kept"]["index"] / took["bm25s"]["index"])
    if find_spec("faiss") is not None:
        assert ratios["dense"]["index"] == pytest.approx(took["dense"]["index"] / took["faiss"]["index"])
    assert main(options) == 0
    assert "of bm25s's time" in capsys.readouterr().out
    assert benches()["retrieval"] == "agentdistill.bench.retrieval"
