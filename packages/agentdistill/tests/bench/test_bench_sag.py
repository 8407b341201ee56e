"""The benchmark of acting by vote: real episodes, and what it says of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence

import pytest
from tiny_models import save_checkpoint

from agentdistill.bench.sag import ADAPTIVE, FULL, ONE, main, measure
from agentdistill.cli.bench import benches
from agentdistill.environment import Environment
from agentdistill.errors import UserError
from agentdistill.models.scripted import Scripted
from agentdistill.types import Problem, Request, Sample
from tinyworld import prompts as tiny

PROBLEMS = [Problem(f"p{i}", f"What is {i} and 40?", str(40 + i), "math", f"f{i % 2}") for i in range(4)]


class Slow(Scripted):
    """Generating takes a while, so that its time is not nothing."""

    async def generate(self, requests: Sequence[Request]) -> list[list[Sample]]:
        await asyncio.sleep(0.01)
        return await super().generate(requests)


def say(request: Request, i: int) -> str:
    """The first sample is always wrong, most of the others are right; the vote of four or more is settled early."""
    problem = next(p for p in PROBLEMS if any(p.question in m.content for m in request.messages))
    voting = request.n > 1 or request.first > 0
    wrong = i == 0 if voting else problem.id in ("p0", "p1")
    return tiny.action("so.", f"final_answer({0 if wrong else int(problem.answer)})")


@pytest.fixture(scope="module")
def environment() -> Iterator[Environment]:
    with Environment(mode="process") as made:
        yield made


def test_what_it_reports(environment: Environment) -> None:
    result = measure(Slow(say, batch_size=2, lockstep=True), environment, PROBLEMS, n_samples=8, rounds=2)
    assert {n: a["estimate"] for n, a in result["accuracy"].items()} == {ONE: 0.5, FULL: 1.0, ADAPTIVE: 1.0}
    assert result["candidates"] == {ONE: 0, FULL: 8 * 4 * 2, ADAPTIVE: 6 * 4 * 2}, "4, then 2 more settle it"
    assert result["spared"]["estimate"] == pytest.approx(2 / 8)
    assert result["accuracy_change"]["estimate"] == 0
    assert result["accuracy_change"]["low"] < 0 < result["accuracy_change"]["high"]
    assert result["same_steps"] == 1
    cost = result["cost"]
    assert cost["estimate"] == pytest.approx(result["seconds"][FULL] / result["generating_s"][FULL])
    assert cost["n"] == 4, "two batches in each of two rounds"
    assert 1 < cost["low"] <= cost["estimate"] <= cost["high"]
    assert result["new_tokens"][ADAPTIVE] < result["new_tokens"][FULL]
    json.dumps(result, allow_nan=False)


def test_a_fault_stops_it(environment: Environment) -> None:
    from agentdistill.errors import InfrastructureError

    with pytest.raises(RuntimeError, match="failed: the server is gone"):
        measure(Scripted(InfrastructureError("the server is gone")), environment, PROBLEMS, rounds=1)


def test_the_command_runs_a_checkpoint_on_tinyworld(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:
    save_checkpoint(tmp_path / "student", hidden=16, context=700)
    options = ["--student", str(tmp_path / "student"), "--problems", "1", "--samples", "2", "--rounds", "1"]
    options += ["--steps", "1", "--tokens", "3"]
    assert main([*options, "--batch", "8", "--mode", "process", "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["n_problems"] == 8
    assert result["cost"]["estimate"] >= 1
    assert result["targets"] == {"cost": 1.3, "spared": pytest.approx(1 / 3)}
    assert benches()["sag"] == "agentdistill.bench.sag"


def test_numbers_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UserError, match="at least 1"):
        main(["--samples", "0"])
