"""The same run with a student from elsewhere: a folder, a GGUF file, a server. Tools and settings stay the run's."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from agent_server import served, surroundings
from small_run import question, replies, write_inputs
from tiny_models import save_checkpoint

from agentdistill.cli import build_parser, main
from agentdistill.cli.student import loaded
from agentdistill.models.scripted import Scripted
from agentdistill.pipeline.run import Run, trained
from agentdistill.prompts import load_prompt
from agentdistill.recipe import load_recipe
from agentdistill.serve import Asked, read_chat

ASKED = question(1)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a trained student."""
    folder = tmp_path_factory.mktemp("elsewhere")
    made = Run(load_recipe(write_inputs(folder, n_train=2, n_test=1)), folder / "runs" / "small")
    made.save_recipe()
    student = trained(made.folder, made.recipe.students[0], "agent-distill")
    save_checkpoint(student, hidden=16, context=512)
    (student / "training.json").write_text("{}")
    return made.folder


@pytest.fixture(scope="module")
def student(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained student's folder, taken elsewhere."""
    [own] = (p.parent for p in run.rglob("training.json"))
    return shutil.copytree(own, tmp_path_factory.mktemp("taken") / "student")


@pytest.fixture(scope="module")
def bare(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run as it is taken to a small machine: without weights."""
    folder = tmp_path_factory.mktemp("bare")
    shutil.copy(run / "recipe.json", folder)
    return folder


@pytest.fixture(scope="module")
def url() -> Any:
    """A real server of a student's words, which knows nothing of the run's tools."""
    said = {question(i): tuple(replies(i)) for i in (1, 5)}
    with surroundings() as environment, served(Scripted(said, name="far"), environment) as up:
        yield f"{up.url}/v1"


def asked(capsys: pytest.CaptureFixture[str], run: Path, *options: object) -> dict[str, Any]:
    assert main(["ask", str(run), ASKED, "--json", *map(str, options)]) == 0
    trace: dict[str, Any] = json.loads(capsys.readouterr().out)
    return trace


def words(trace: dict[str, Any]) -> list[str]:
    return [step["reply"]["content"] for step in trace["steps"]]


def test_a_folder_of_weights_says_what_the_runs_own_student_says(
    run: Path, bare: Path, student: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = asked(capsys, run)
    taken = asked(capsys, bare, "--weights", student)
    assert words(taken) == words(own) != []
    assert taken["prompt"] == own["prompt"]
    assert taken["model"] == "student"


def test_a_gguf_file_says_the_same(
    run: Path, bare: Path, student: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Run by llama.cpp where that is installed, else dequantised."""
    from agentdistill.exchange import write_gguf

    template = load_prompt("tiny")
    made = write_gguf(student, tmp_path / "out", name="student", template=template, quantization="f32")
    taken = asked(capsys, bare, "--weights", made.path)
    assert words(taken) == words(asked(capsys, run))


def test_a_server_writes_and_the_runs_tools_act(url: str, bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = asked(capsys, bare, "--url", url, "--name", "far:raw")
    assert (trace["answer"], trace["end"]) == ("401", "answered")
    assert [c["name"] for c in trace["steps"][0]["tool_calls"]] == ["search"]
    assert "The Aren 1 is 401 km long." in trace["steps"][0]["observation"]["content"]


def test_one_connection_serves_every_question_that_is_typed(
    url: str, bare: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{question(1)}\n\n{question(5)}\n{question(1)}\n"))
    assert main(["ask", str(bare), "--json", "--url", url, "--name", "far:raw"]) == 0
    assert [json.loads(line)["answer"] for line in capsys.readouterr().out.splitlines()] == ["401", "405", "401"]


@pytest.mark.parametrize("verb", ["serve", "mcp"])
@pytest.mark.parametrize("where", ["folder", "server"])
def test_serving_takes_it_from_there_too(verb: str, where: str, url: str, bare: Path, student: Path) -> None:
    options = ["--weights", str(student)] if where == "folder" else ["--url", url, "--name", "far:raw"]
    args = build_parser(verb).parse_args([verb, str(bare), *options])

    async def ask_it() -> Any:
        try:
            return await agent.answer(Asked(read_chat([("user", ASKED)])))
        finally:
            await agent.aclose()

    with loaded(args) as agent:
        trace = asyncio.run(ask_it())
    assert trace.prompt == load_prompt("tiny").agent(ASKED, ())
    assert (agent.name, trace.answer) == (("student", None) if where == "folder" else ("far:raw", "401"))


@pytest.mark.parametrize("verb", ["ask", "serve", "mcp"])
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--student", "a--agent", "--weights", "x"], "--student and --weights each say which student answers"),
        (["--weights", "x", "--url", "http://127.0.0.1:9/v1"], "--weights and --url each say which student answers"),
        (["--weights", "/nowhere/student.gguf"], "no such folder or file"),
        (["--url", "http://127.0.0.1:9/v1"], "--url and --name go together"),
        (["--name", "far"], "--url and --name go together"),
        (["--url-key-env", "KEY"], "--url-key-env needs --url"),
        (["--url", "http://127.0.0.1:9/v1", "--name", "far", "--device", "cpu"], "--device is for weights in this"),
        (["--url", "127.0.0.1:9/v1", "--name", "far"], "does not begin with http://"),
    ],
)
def test_what_does_not_go_together_is_told_in_one_line(
    verb: str, options: list[str], said: str, bare: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([verb, str(bare), *options]) == 2
    errors = capsys.readouterr().err
    assert said in errors
    assert errors.count("\n") == 1
