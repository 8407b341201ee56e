"""The attack suite in every mode the machine offers, each mode in a process of its own, side by side."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.attack import CASES

from .conftest import MODES, why_not

ROOT = Path(__file__).parents[4]


class Suites:
    """Runs of `python -m benchmarks attack`, started together, awaited one by one."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "benchmarks", "attack", "--json", "--mode"]
        modes = [mode for mode in MODES if not why_not(mode)]
        self._runs = {
            mode: subprocess.Popen([*command, mode], stdout=subprocess.PIPE, text=True, cwd=ROOT) for mode in modes
        }
        self._done: dict[str, dict[str, dict[str, object]]] = {}

    def verdicts(self, mode: str) -> dict[str, dict[str, object]]:
        if mode not in self._done:
            text, _ = self._runs[mode].communicate(timeout=280)
            self._done[mode] = {verdict["name"]: verdict for verdict in json.loads(text)["modes"][mode]}
        return self._done[mode]

    def close(self) -> None:
        for run in self._runs.values():
            if run.poll() is None:
                run.kill()
            run.wait()
            if run.stdout is not None:
                run.stdout.close()


@pytest.fixture(scope="module")
def suites() -> Iterator[Suites]:
    running = Suites()
    yield running
    running.close()


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 223
    assert len({case.name for case in CASES}) == len(CASES)
    assert sum(case.weak for case in CASES) >= 107


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", [case.name for case in CASES])
def test_contained(suites: Suites, mode: str, name: str) -> None:
    if why_not(mode):
        pytest.skip(why_not(mode))
    verdict = suites.verdicts(mode).get(name)
    if verdict is None:
        assert mode == "process"
        pytest.skip("the weak mode does not claim to contain this")
    assert not verdict["problems"], verdict
