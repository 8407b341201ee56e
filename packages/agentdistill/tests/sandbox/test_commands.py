"""The doctor, the attacks and the benchmark as the command lines call them."""

from __future__ import annotations

import json

import pytest

from agentdistill.sandbox import doctor
from benchmarks.attack import attack
from benchmarks.sandbox import sandbox

from .conftest import MODES, why_not


def test_doctor_tells_what_holds(capsys: pytest.CaptureFixture[str]) -> None:
    strong = any(not why_not(mode) for mode in MODES[:2])
    assert doctor.main(["--json"]) == (0 if strong else 1)
    report = json.loads(capsys.readouterr().out)
    assert {finding["mode"] for finding in report["modes"]} == set(MODES)
    for finding in report["modes"]:
        assert finding["works"] == (not why_not(finding["mode"]))
        assert finding["works"] or finding["problem"]
    assert doctor.main([]) in (0, 1)
    assert "mode='auto' takes" in capsys.readouterr().out


def test_attack_reports(capsys: pytest.CaptureFixture[str]) -> None:
    assert attack(["--only", "SystemExit"]) == 0
    assert "contained" in capsys.readouterr().out


def test_bench_reports_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    mode = next(mode for mode in MODES if not why_not(mode))
    assert sandbox(["--json", "--quick", "--mode", mode]) in (0, 1)
    report = json.loads(capsys.readouterr().out)
    # Ratios with a wide margin: times are for the benchmark to tell, on a machine that has nothing else to do.
    assert report["ratios"]["python -c / warm step"] > 100
    assert report["ratios"]["python -c / fork, step, drop"] > 3
    rows = {row["name"]: row["value"] for row in report["rows"]}
    assert rows["loop of 10^6, of native"] < 2
    assert rows["private memory of a state"] is None or rows["private memory of a state"] < 6
