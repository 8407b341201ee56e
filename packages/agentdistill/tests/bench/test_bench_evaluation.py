"""The benchmark of evaluation answers the same problems both ways and reports ratios."""

from __future__ import annotations

import json

import pytest
from tiny_models import save_checkpoint

from agentdistill.bench.evaluation import main, table
from agentdistill.errors import UserError

SMALL = ["--problems", "5", "--alone", "3", "--batch-size", "2", "--max-new-tokens", "8", "--dtypes", "float32"]


def test_both_ways_write_the_same(tmp_path, capsys):
    base = save_checkpoint(tmp_path / "base")
    assert main(["--json", "--model", str(base), *SMALL]) == 0
    result = json.loads(capsys.readouterr().out)
    found = result["float32"]
    assert found["same_texts"] == found["same_answers"] == found["compared"] == 3
    assert (found["batched"]["n"], found["plain"]["n"]) == (5, 3)
    assert found["ratio"] == pytest.approx(
        found["batched"]["problems_per_cpu_s"] / found["plain"]["problems_per_cpu_s"]
    )
    assert 0 < found["batched"]["tokens_per_answer"] <= 8
    assert "same texts 3, same answers 3 of 3" in table(result)


def test_a_model_that_is_not_there_is_told_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"evaluation: batched failed: .*nothing"):
        main(["--model", str(tmp_path / "nothing"), *SMALL])
