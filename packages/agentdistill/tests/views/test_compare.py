from __future__ import annotations

import json
import re

import pytest

from agentdistill.errors import UserError
from agentdistill.report.views import compare, compare_runs
from agentdistill.store import write_jsonl
from agentdistill.types import End, Problem, Score, Trace


def write(root, name, verdicts, family="f"):
    traces = [
        Trace(p, Problem(p, "q", "a", family=family), "agent", "m", (), (), End.ANSWERED, "a", Score(v, "a", "short"))
        for p, v in verdicts.items()
    ]
    write_jsonl(root / "evaluate" / name / "traces.jsonl", traces)


@pytest.fixture
def runs(tmp_path):
    """Two runs of one model: the second gets problems 2 and 3 right, loses 4, and has a 5 that the first lacks."""
    a, b = tmp_path / "a", tmp_path / "b"
    write(a, "m--agent", {"1": True, "2": False, "3": False, "4": True})
    write(b, "m--agent", {"1": True, "2": True, "3": True, "4": False, "5": True})
    write(b, "m--cot", {"1": True, "2": False})
    return a, b


def test_differences_are_second_minus_first_on_shared_problems(runs):
    (part,) = compare(*runs)["parts"]
    assert (part["a"], part["b"]) == ("evaluate/m--agent", "evaluate/m--agent")
    overall = part["overall"]
    assert (overall["a"], overall["b"], overall["difference"]) == (0.5, 0.75, 0.25)
    assert (overall["n"], overall["n_better"], overall["n_worse"]) == (4, 2, 1)
    assert overall["low"] < 0.25 < overall["high"]
    assert part["families"] == {"f": overall}


def test_a_run_equals_itself(run_dir):
    compared = compare(run_dir, run_dir)
    assert len(compared["parts"]) == 14
    assert all(p["overall"]["difference"] == 0 for p in compared["parts"])
    assert json.loads(json.dumps(compared)) == compared


def test_two_parts_are_compared_whatever_they_are_called(runs):
    _, b = runs
    (part,) = compare(b / "evaluate/m--cot", b / "evaluate/m--agent")["parts"]
    assert (part["a"], part["b"]) == ("evaluate/m--cot", "evaluate/m--agent")
    assert part["overall"]["difference"] == 0.5


def test_it_prints_points_with_intervals(runs, console):
    compare_runs(*runs, console=console)
    printed = re.sub(r"\x1b\[[\d;]*m", "", console.file.getvalue())
    assert "+25.0" in printed
    assert re.search(r"[−+]\d+\.\d to [−+]\d+\.\d", printed)
    assert "50.0%" in printed
    assert "75.0%" in printed


def test_nothing_in_common_is_said(tmp_path, runs):
    other = tmp_path / "other"
    write(other, "x--agent", {"1": True})
    write(other, "y--agent", {"1": True})
    with pytest.raises(UserError, match=r"no part in common; the first has evaluate/m--agent, .*evaluate/m--cot"):
        compare(runs[1], other)
    strange = tmp_path / "strange"
    write(strange, "m--agent", {"100": True})
    with pytest.raises(UserError, match="share no scored problem"):
        compare(runs[0], strange)
    with pytest.raises(UserError, match="no such run folder"):
        compare(runs[0], tmp_path / "missing")
