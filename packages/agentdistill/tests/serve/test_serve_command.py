"""``agentdistill serve`` as a process: a trained student with weights, its address, its end by a signal."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading

import pytest
from made_traces import source_environment
from small_run import write_inputs
from tiny_models import save_checkpoint

openai = pytest.importorskip("openai")
pytest.importorskip("fastapi", reason="the extra agentdistill[serve] is not installed")

from agentdistill.cli import main  # noqa: E402
from agentdistill.environment import Environment  # noqa: E402
from agentdistill.errors import UserError  # noqa: E402
from agentdistill.loop import RolloutSettings  # noqa: E402
from agentdistill.models.scripted import Scripted  # noqa: E402
from agentdistill.pipeline.run import Run, trained  # noqa: E402
from agentdistill.prompts import load_prompt  # noqa: E402
from agentdistill.recipe import load_recipe  # noqa: E402
from agentdistill.serve import Agent, ServeSettings, create_app  # noqa: E402


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run's folder as training leaves it, its student random."""
    folder = tmp_path_factory.mktemp("served")
    made = Run(load_recipe(write_inputs(folder, n_train=2, n_test=1)), folder / "runs" / "small")
    made.save_recipe()
    student = trained(made.folder, made.recipe.students[0], "agent-distill")
    save_checkpoint(student, hidden=16, context=512)
    (student / "training.json").write_text("{}")
    return made.folder


def test_it_answers_until_it_is_terminated_and_then_ends_well(run):
    command = [
        sys.executable,
        "-m",
        "agentdistill",
        "serve",
        str(run),
        "--port",
        "0",
        "--concurrency",
        "4",
        "--verify",
        "2",
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=source_environment()
    )
    try:
        line = process.stdout.readline()
        url = re.search(r"answers at (http://127\.0\.0\.1:\d+/v1)", line)
        assert url, (line, process.stderr.read() if process.poll() is not None else "")
        client = openai.OpenAI(base_url=url[1], api_key="none", max_retries=0, timeout=300)
        [name, *others] = [m.id for m in client.models.list()]
        assert name == "base--agent-distill"
        assert others == [f"{name}:vote", f"{name}:verify", f"{name}:raw"]
        said: list[str] = []

        def ask() -> None:
            messages = [{"role": "user", "content": "How long is the Aren 1 in km?"}]
            said.append(client.chat.completions.create(model=name, messages=messages).choices[0].message.content)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(300)
        assert said == ["I found no answer: the steps I may take are used up."] * 3
        messages = [{"role": "user", "content": "How long is the Aren 1 in km?"}]
        told = client.chat.completions.create(model=f"{name}:verify", messages=messages).choices[0].message
        assert len(told.verification["candidates"]) == 2
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=120)
        assert (process.returncode, errors) == (0, "")
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--host", "0.0.0.0"], "AGENTDISTILL_API_KEY"),
        (["--concurrency", "0"], "--concurrency has to be at least 1"),
        (["--port", "70000"], "0 to 65535"),
        (["--api-key-env", "NO_SUCH_VARIABLE"], "no NO_SUCH_VARIABLE"),
        (["--verifier", "x"], "--verifier needs --verify N"),
        (["--verify", "0"], "--verify has to be at least 1"),
        (["--student", "nobody", "--port", "0"], 'no student is called "nobody"'),
    ],
)
def test_settings_that_make_no_sense_are_told_in_one_line(run, arguments, said, capsys):
    os.environ.pop("AGENTDISTILL_API_KEY", None)
    assert main(["serve", str(run), *arguments]) == 2
    errors = capsys.readouterr().err
    assert said in errors
    assert errors.count("\n") == 1


@pytest.fixture
def nothing_is_loaded(monkeypatch):
    """Loading a model may take minutes: what can be known before has to be told before."""

    def load(*args, **settings):
        raise AssertionError("the model was loaded first")

    monkeypatch.setattr("agentdistill.cli.student.loaded", load)


def test_a_port_that_is_taken_is_told_before_a_model_is_loaded(run, nothing_is_loaded, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", str(run), "--port", str(port)]) == 2
    assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err


def test_a_port_is_free_again_where_the_model_cannot_be_loaded(run):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert main(["serve", str(run), "--port", str(port), "--student", "nobody"]) == 2
    socket.create_server(("127.0.0.1", port)).close()


def forget(monkeypatch, package):
    """As if a package were not installed; what was imported of it before would be found all the same."""
    for name in [package, *(m for m in sys.modules if m.startswith(f"{package}."))]:
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.parametrize(
    ("missing", "arguments", "extras"), [("mcp", ["--mcp"], "serve,mcp"), ("uvicorn", [], "serve")]
)
def test_an_extra_that_is_missing_is_told_before_a_model_is_loaded(
    run, nothing_is_loaded, monkeypatch, capsys, missing, arguments, extras
):
    forget(monkeypatch, missing)
    for module in ("_mcp", "_app"):
        monkeypatch.delitem(sys.modules, f"agentdistill.serve.{module}", raising=False)
        monkeypatch.delattr(f"agentdistill.serve.{module}", raising=False)
    assert main(["serve", str(run), "--port", "0", *arguments]) == 2
    errors = capsys.readouterr().err
    assert f"{missing} is not installed" in errors
    assert f"pip install 'agentdistill[{extras}]'" in errors
    assert errors.count("\n") == 1


def test_an_application_says_which_extra_it_lacks(monkeypatch):
    forget(monkeypatch, "mcp")
    monkeypatch.delitem(sys.modules, "agentdistill.serve._mcp", raising=False)
    monkeypatch.delattr("agentdistill.serve._mcp", raising=False)
    with Environment(mode="process") as environment:
        agent = Agent(Scripted("x"), environment, load_prompt("tiny"), RolloutSettings())
        with pytest.raises(UserError, match=r"agentdistill\[serve,mcp\]"):
            create_app(agent, ServeSettings(mcp=True))
