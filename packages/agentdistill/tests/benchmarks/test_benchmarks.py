"""The benchmarks, small: each runs for real and reports ratios; and the command that runs them."""

from __future__ import annotations

import ast
import asyncio
import json
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest
from small_run import write_inputs
from tiny_models import save_checkpoint

from agentdistill.environment import Environment
from agentdistill.errors import InfrastructureError, UserError
from agentdistill.models.scripted import Scripted
from agentdistill.pipeline.run import Run, trained
from agentdistill.recipe import load_recipe
from agentdistill.types import Problem, Request, Sample
from benchmarks import __main__ as command
from benchmarks import inference
from benchmarks.loop import ADAPTIVE, FULL, ONE, measure_votes
from tinyworld import prompts as tiny

ROOT = Path(command.__file__).parent


def measured(capsys: pytest.CaptureFixture[str], name: str, *options: str) -> dict:
    """What a benchmark prints as JSON; it has to end well."""
    assert command.main([name, "--json", *options]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


# --- the command ----------------------------------------------------------------------------------------------------


def test_all_benchmarks_run_although_one_cannot(monkeypatch, capsys):
    def run(name: str, argv: Sequence[str]) -> int:
        if name == "loop":
            raise UserError("not here")
        print(name, argv)
        return 0

    monkeypatch.setattr(command, "run", run)
    assert command.main(["all", "--json"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [f"{name} ['--json']" for name in command.BENCHMARKS if name != "loop"]
    assert err == "loop: left out: not here\n"
    assert command.main(["loop"]) == 2
    assert capsys.readouterr().err == "benchmarks: loop: not here\n"


@pytest.mark.parametrize("name", [*command.BENCHMARKS, "attack"])
def test_every_name_leads_to_a_benchmark(name, capsys):
    with pytest.raises(SystemExit) as end:
        command.run(name, ["--help"])
    assert end.value.code == 0
    assert f"usage: python -m benchmarks {name}" in capsys.readouterr().out


def test_a_name_that_is_none_is_answered_with_those_there_are(capsys):
    assert command.main(["lop"]) == 2
    assert "loop" in capsys.readouterr().err
    assert command.main(["--help"]) == 0
    assert "attack" in capsys.readouterr().out


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_only_public_names_of_the_package_are_used(path):
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            imported |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
    assert [name for name in imported if name.startswith("agentdistill") and "._" in name] == []


# --- the loop, and acting by vote -----------------------------------------------------------------------------------

PROBLEMS = [Problem(f"p{i}", f"What is {i} and 40?", str(40 + i), "math", f"f{i % 2}") for i in range(4)]


def test_the_loop_beside_generation(capsys):
    """A scripted episode that left its script (no search, a wrong answer) would raise."""
    options = ["--episodes", "3", "--hidden", "16", "--rounds", "1", "--mode", "process"]
    result = measured(capsys, "loop", *options)
    one, batched = result["one_at_a_time"], result["batched"]
    assert result["speedup"] == pytest.approx(batched["episodes_per_s"] / one["episodes_per_s"])
    assert 0 < one["overhead"] < 5
    assert 0 < batched["overhead"] < 5
    assert 20 < result["tokens_per_step"] < 200
    assert command.main(["loop", *options]) == 0
    assert "batched / one at a time" in capsys.readouterr().out


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


def test_what_voting_costs_and_spares(environment):
    result = measure_votes(Slow(say, batch_size=2, lockstep=True), environment, PROBLEMS, n_samples=8, rounds=2)
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


def test_a_fault_stops_it(environment):
    with pytest.raises(RuntimeError, match="failed: the server is gone"):
        measure_votes(Scripted(InfrastructureError("the server is gone")), environment, PROBLEMS, rounds=1)


def test_a_checkpoint_votes_on_tinyworld(tmp_path, capsys):
    save_checkpoint(tmp_path / "student", hidden=16, context=700)
    options = ["--student", str(tmp_path / "student"), "--problems", "1", "--samples", "2", "--rounds", "1"]
    options += ["--steps", "1", "--tokens", "3", "--batch", "8", "--mode", "process"]
    result = measured(capsys, "sag", *options)
    assert result["n_problems"] == 8
    assert result["cost"]["estimate"] >= 1
    assert result["targets"] == {"cost": 1.3, "spared": pytest.approx(1 / 3)}
    assert command.main(["sag", "--samples", "0"]) == 2
    assert "at least 1" in capsys.readouterr().err


# --- inference, training, retrieval, serving ------------------------------------------------------------------------

SMALL = ["--problems", "5", "--alone", "3", "--batch-size", "2", "--max-new-tokens", "8", "--dtypes", "float32"]


def test_batched_episodes_and_plain_generate_write_the_same(tmp_path, capsys):
    base = save_checkpoint(tmp_path / "base")
    result = measured(capsys, "evaluation", "--model", str(base), *SMALL)
    found = result["float32"]
    assert found["same_texts"] == found["same_answers"] == found["compared"] == 3
    assert (found["batched"]["n"], found["plain"]["n"]) == (5, 3)
    assert found["ratio"] == pytest.approx(
        found["batched"]["problems_per_cpu_s"] / found["plain"]["problems_per_cpu_s"]
    )
    assert 0 < found["batched"]["tokens_per_answer"] <= 8
    assert "same texts 3, same answers 3 of 3" in inference.table(result)


def test_a_model_that_is_not_there_is_told_in_one_line(tmp_path, capsys):
    assert command.main(["evaluation", "--model", str(tmp_path / "nothing"), *SMALL]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("benchmarks: evaluation: batched failed: ")
    assert "nothing" in line


def test_transformers_beside_llama_cpp(capsys):
    pytest.importorskip("llama_cpp", reason="the extra agentdistill[llama-cpp] is not installed: it has to be compiled")
    options = ["--model", "tinyworld:0.3M", "--rounds", "2", "--tokens", "8", "--rows", "2", "--threads", "1"]
    rows = measured(capsys, "gguf", *options, "--quantization", "f32", "q8_0")
    assert [(r["quantization"], r["rows"]) for r in rows] == [("f32", 2), ("q8_0", 2)]
    for r in rows:
        low, middle, high = r["ratio"]
        assert 0 < low <= middle <= high
        assert min(r["transformers"], r["llama_cpp"]) > 0
    assert rows[1]["mb"] < rows[0]["mb"]
    assert command.main(["gguf", *options, "--quantization", "f32"]) == 0
    assert "llama.cpp / transformers" in capsys.readouterr().out


def test_training_beside_trl_and_a_bare_loop(capsys):
    result = measured(capsys, "training", "--traces", "8", "--hidden", "16", "--rounds", "1")
    rates = result["tokens_per_s"]
    assert result["ratio_to_trl"] == pytest.approx(rates["ours"] / rates["trl"])
    assert result["ratio_to_bare"] == pytest.approx(rates["ours"] / rates["bare"])
    assert result["n_tokens"] > 800


def test_retrieval_beside_the_libraries(capsys):
    options = ["--passages", "60", "--queries", "5", "--rounds", "1", "--dimensions", "16"]
    result = measured(capsys, "retrieval", *options)
    took, ratios = result["seconds"], result["ratios"]
    assert (result["n_passages"], result["n_queries"]) == (60, 5)
    assert ratios["bm25"]["query"] == pytest.approx(took["bm25"]["query"] / took["bm25s"]["query"])
    assert ratios["kept"]["index"] == pytest.approx(took["kept"]["index"] / took["bm25s"]["index"])
    if find_spec("faiss") is not None:
        assert ratios["dense"]["index"] == pytest.approx(took["dense"]["index"] / took["faiss"]["index"])
    assert command.main(["retrieval", *options]) == 0
    assert "of bm25s's time" in capsys.readouterr().out


def test_a_few_chats_for_a_moment(tmp_path, capsys):
    pytest.importorskip("fastapi", reason="the extra agentdistill[serve] is not installed")
    run = Run(load_recipe(write_inputs(tmp_path, n_train=2, n_test=2)), tmp_path / "run")
    run.save_recipe()
    student = trained(run.folder, run.recipe.students[0], "agent-distill")
    save_checkpoint(student, hidden=16, context=512)
    (student / "training.json").write_text("{}")
    result = measured(capsys, "serving", "--run", str(run.folder), "--chats", "3", "--seconds", "3", "--questions", "2")
    assert (result["chats"], result["wrong"], result["lost"], result["errors"]) == (3, 0, 0, {})
    assert result["answered"] >= 3
    assert command.main(["serving", "--run", str(tmp_path)]) == 2
    assert "make demo" in capsys.readouterr().err
