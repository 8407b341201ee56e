"""maj@k and pass@k of a run's stored traces, on the command line, are what the estimators give by hand."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from agentdistill.cli import main
from agentdistill.report.stats import maj_at_k, pass_at_k
from agentdistill.store import append_jsonl
from agentdistill.types import End, Problem, Score, Trace

N_SAMPLES = 5


def write_traces(path: Path, n_problems: int) -> dict[str, list[str]]:
    """Traces with ``N_SAMPLES`` answers a problem, of which "7" is right."""
    rng, said = Random(3), {}
    for i in range(n_problems):
        problem = Problem(f"p{i}", f"What is {i}?", "7", "math", f"family-{i % 2}")
        said[problem.id] = rng.choices(["7", "8", "9"], k=N_SAMPLES)
        append_jsonl(
            path,
            [
                Trace(f"{problem.id}/{k}", problem, "agent", "m", (), (), End.ANSWERED, a, Score(a == "7", a, "math"))
                for k, a in enumerate(said[problem.id])
            ],
        )
    return said


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_they_agree_with_the_estimators(tmp_path: Path, capsys: pytest.CaptureFixture[str], k: int) -> None:
    said = write_traces(tmp_path / "traces.jsonl", 12)
    options = ["--methods", "majority,pass", "--budgets", str(k), "--resamples", "200"]
    assert main(["verify", "rescore", str(tmp_path / "traces.jsonl"), *options]) == 0
    methods = json.loads(capsys.readouterr().out)["methods"]
    right = {p: [a == "7" for a in answers] for p, answers in said.items()}
    maj = sum(maj_at_k(said[p], right[p], k) for p in said) / len(said)
    passed = sum(pass_at_k(N_SAMPLES, sum(right[p]), k) for p in said) / len(said)
    for name, expected in (("majority", maj), ("pass", passed)):
        cell = methods[name]["budgets"][str(k)]
        assert cell["accuracy"] == pytest.approx(expected), name
        assert cell["low"] <= cell["accuracy"] <= cell["high"]
        assert cell["n"] == 12


def test_seeds_of_one_recipe_are_samples_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The traces of several runs, one file after another, are the samples of their problems."""
    write_traces(tmp_path / "a.jsonl", 4)
    both = tmp_path / "both.jsonl"
    both.write_bytes((tmp_path / "a.jsonl").read_bytes() * 2)
    assert main(["verify", "rescore", str(both), "--methods", "pass", "--budgets", "10"]) == 0
    assert json.loads(capsys.readouterr().out)["n_candidates"] == 4 * 2 * N_SAMPLES
