"""The command line: quick help, every verb, JSON where a script wants it, and statuses."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made_traces import source_environment
from small_run import write_inputs

from agentdistill.cli import VERBS, build_parser, main
from agentdistill.errors import InfrastructureError, UserError

COMMAND = [sys.executable, "-c", "import sys; from agentdistill.cli import main; sys.exit(main(sys.argv[1:]))"]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_inputs(tmp_path_factory.mktemp("inputs"), n_train=4, n_test=2)


@pytest.fixture(scope="module")
def run(inputs: Path) -> Path:
    assert main(["run", str(inputs), "--runs", str(inputs.parent / "runs")]) == 0
    return inputs.parent / "runs" / "small"


def test_every_verb_has_its_arguments_and_is_in_the_help() -> None:
    for verb in VERBS:
        with pytest.raises(SystemExit) as status:
            build_parser(only=verb).parse_args([verb, "--help"])
        assert status.value.code == 0
    text = build_parser().format_help()
    assert all(verb in text for verb in VERBS)


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"]])
def test_help_is_quick_because_nothing_heavy_is_imported(arguments: list[str]) -> None:
    """Counted in modules and CPU time: wall clock says little on a busy machine."""
    before = os.times()
    code = COMMAND[2].replace("sys.exit(main(sys.argv[1:]))", "")
    tail = "\ntry:\n    main(sys.argv[1:])\nexcept SystemExit:\n    print(sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code + tail, *arguments], capture_output=True, text=True, env=source_environment()
    )
    after = os.times()
    heavy = {"torch", "transformers", "trl", "datasets", "openai", "numpy", "rich", "bm25s", "jinja2", "sympy"}
    assert done.stdout
    assert not heavy & set(re.findall(r"'(\w+)'", done.stderr))
    assert after.children_user - before.children_user < 0.5


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("evalute r.toml", 'agentdistill: error: argument VERB: unknown choice "evalute"; did you mean "evaluate"?'),
        ("verify jugde r.toml", 'verify: error: argument COMMAND: unknown choice "jugde"; did you mean "judge"?'),
        ("show r --outcome rihgt", 'show: error: argument --outcome: unknown choice "rihgt"; did you mean "right"?'),
        ("run r.toml --sedes 3", "run: error: unrecognized arguments: --sedes 3; did you mean --seeds?"),
        (
            "verify judge r.toml --limt=3",
            "verify judge: error: unrecognized arguments: --limt=3; did you mean --limit?",
        ),
        ("ask r --max-stps 3 how", "ask: error: unrecognized arguments: --max-stps 3 how; did you mean --max-steps?"),
        ("run r.toml --qqq", "run: error: unrecognized arguments: --qqq"),
    ],
)
def test_what_is_misspelt_is_named_with_the_nearest(
    command: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as e:
        main(command.split())
    assert e.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith(said)


def test_collecting_needs_no_student(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Collected is what a student of the default methods learns from, or what [collect.trajectories] names."""
    path, runs = tmp_path / "r.toml", ["--runs", str(tmp_path / "runs")]
    (tmp_path / "q.jsonl").write_text('{"question": "6 * 7?", "answer": "42"}\n')
    teacher = '[teacher]\nmodel = "scripted"\nreplies = "```python\\nfinal_answer(42)\\n```\\n\\nAnswer: 42"\n'
    path.write_text(f'[problems]\ntrain = "{tmp_path / "q.jsonl"}"\n{teacher}')
    assert main(["filter", str(path), *runs]) == 0
    assert {p.name for p in (tmp_path / "runs/r/collect").iterdir() if p.is_dir()} == {"agent", "agent-prefix", "cot"}
    assert (tmp_path / "runs/r/filter/cot/traces.jsonl").read_text()
    assert main(["show", str(tmp_path / "runs/r")]) == 0
    for verb in ("train", "run"):
        assert main([verb, str(path), *runs]) == 2
        assert "r: no [student] to train; add one" in capsys.readouterr().err
    path.write_text(path.read_text() + '[collect.trajectories]\ncot = "teacher"\n')
    assert main(["collect", str(path), *runs, "--name", "named"]) == 0
    assert [p.name for p in (tmp_path / "runs/named/collect").iterdir() if p.is_dir()] == ["cot"]


def test_a_run_ends_with_its_table(run: Path, inputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(inputs), "--runs", str(run.parent)]) == 0
    out = capsys.readouterr().out
    for word in ("model", "accuracy", "95 %", "errors", "cut off", "agent-distill", "report.html", "agentdistill ask"):
        assert word in out
    assert "…" not in out


def test_json_for_scripts(run: Path, inputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*arguments: str) -> object:
        assert main([*arguments, "--json"]) == 0
        captured = capsys.readouterr()
        return json.loads(captured.out)

    runs = str(run.parent)
    whole = said("run", str(inputs), "--runs", runs)
    assert whole == json.loads((run / "report.json").read_text())
    assert set(said("collect", str(inputs), "--runs", runs)) == {"agent", "agent-prefix", "cot"}  # type: ignore[call-overload]
    assert set(said("train", str(inputs), "--runs", runs)) == {"base--agent-distill", "base--cot-distill"}  # type: ignore[call-overload]
    assert said("report", str(run)) == whole
    assert said("recipe", "show", str(inputs))["name"] == "small"  # type: ignore[index]
    assert said("show", str(run))
    assert said("compare", str(run), str(run))


def test_a_dry_run_shows_trajectories_and_the_whole(
    run: Path, inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(run.rglob("*"))
    assert main(["run", str(inputs), "--runs", str(run.parent), "--limit", "2"]) == 0
    captured = capsys.readouterr()
    assert "final_answer(401)" in captured.out
    assert re.search(r"collect/agent: all 4 would read about [\d,]+ and write [\d,]+ tokens", captured.err)
    assert re.search(r"train/base--agent-distill: about [\d,]+ tokens if all are kept, 1\.\d GB", captured.err)
    assert sorted(run.rglob("*")) == before
    assert main(["run", str(inputs), "--limit", "0"]) == 2
    assert main(["run", str(inputs), "--jobs", "0"]) == 2


def test_another_name_another_folder(inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["filter", str(inputs), "--runs", str(tmp_path), "--name", "other"]) == 0
    assert (tmp_path / "other" / "filter" / "agent" / "traces.jsonl").exists()
    capsys.readouterr()
    assert main(["filter", str(inputs), "--runs", str(tmp_path), "--name", "../../other"]) == 2
    assert '--name "../../other" has to be letters' in capsys.readouterr().err


def test_ask(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", str(run), "How long is the Aren 1 in km?", "--max-steps", "1", "--json"]) == 0
    trace = json.loads(capsys.readouterr().out)
    assert trace["prompt"][-1]["content"] == "How long is the Aren 1 in km?"
    assert "score" not in trace
    assert main(["ask", str(run.parent), "?"]) == 2
    assert "no run is there" in capsys.readouterr().err
    assert main(["ask", str(run), "?", "--student", "nobody"]) == 2
    assert 'no student is called "nobody"' in capsys.readouterr().err


def test_grade(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"prediction": "4.0", "answer": "4"}, {"prediction": None, "answer": 5}, {"prediction": "x", "answer": "6"}]
    path = tmp_path / "said.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    assert main(["grade", str(path), "--kind", "math"]) == 0
    out = json.loads(capsys.readouterr().out)
    assert (out["n"], out["n_correct"]) == (3, 1)
    assert [r["correct"] for r in out["rows"]] == [True, False, False]
    path.write_text('{"prediction": "1"}\n')
    assert main(["grade", str(path), "--kind", "math"]) == 2
    assert 'said.jsonl:1: no "answer"' in capsys.readouterr().err


def test_init_writes_a_recipe_that_loads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from agentdistill.recipe import load_recipe

    path = tmp_path / "new.toml"
    assert main(["init", str(path), "--problems", 'q"1.jsonl', "--search", "docs"]) == 0
    recipe = load_recipe(path)
    assert (recipe.problems.train, recipe.tools.search) == ('q"1.jsonl', "docs")
    assert main(["init", str(path)]) == 2
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    out = capsys.readouterr().out
    assert "agentdistill" in out
    assert "evaluate" in out


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("bench loop --json", "python -m benchmarks NAME"),
        ("sandbox attack --json", "python -m benchmarks attack"),
        ("rehearse recipe.toml", "run RECIPE --limit N"),
        ("verify toy --n 4", "recipes/verify/tinyworld.toml"),
    ],
)
def test_a_former_command_is_refused_with_the_new_one(old, new, capsys):
    assert main(old.split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert new in line


def test_a_closed_pipe_is_no_error(run: Path) -> None:
    """As in `agentdistill show RUN | head -0`."""
    process = subprocess.Popen(
        [*COMMAND, "show", str(run)],
        env=source_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    said = process.stderr.read()
    process.wait()
    process.stderr.close()
    assert "Traceback" not in said


def test_imports_are_light() -> None:
    started = time.process_time()
    code = "import sys, agentdistill; print(len(sys.modules)); assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=source_environment())
    assert done.returncode == 0, done.stderr
    assert time.process_time() - started < 5


@pytest.mark.parametrize("kind", [UserError, InfrastructureError])
def test_ctrl_c_that_a_library_turned_into_an_error_is_ctrl_c(
    kind: type[Exception], run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def importing(*args: object) -> int:
        try:
            try:
                raise KeyboardInterrupt
            except KeyboardInterrupt:
                raise ModuleNotFoundError("could not import") from None
        except ModuleNotFoundError as e:
            raise kind("no tokenizer could be loaded") from e

    monkeypatch.setattr("agentdistill.cli.run.main", importing)
    assert main(["run", str(run.parent.parent / "recipe.toml"), "--runs", "runs"]) == 130
    assert "interrupted; what was done is kept" in capsys.readouterr().err


@pytest.mark.parametrize(
    "order",
    [["RUN", "--max-steps", "3", "Why?"], ["--max-steps", "3", "RUN", "Why?"], ["RUN", "Why?", "--max-steps", "3"]],
)
def test_options_may_stand_anywhere_among_the_arguments(order):
    args = build_parser("ask").parse_args(["ask", *order])
    assert (str(args.run), args.question, args.max_steps) == ("RUN", "Why?", 3)


def test_what_can_be_plugged_in_is_listed(capsys):
    assert main(["plugins"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split()[:2] == ["retrievers", "bm25"] for line in lines)
    assert main(["plugins", "verifiers", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"code", "claims", "facts", "genrm"} <= {row["name"] for row in found}


def test_the_doctor_says_which_layers_hold(capsys):
    status = main(["sandbox", "doctor", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert [m["mode"] for m in told["modes"]] == ["strict", "container", "process"]
    assert status == (0 if told["auto"] in ("strict", "container") else 1)
