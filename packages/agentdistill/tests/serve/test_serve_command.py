"""``agentdistill serve`` as a process: a trained student with weights, its address, its end by a signal."""

from __future__ import annotations

import os
import re
import signal
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
from agentdistill.layout import trained  # noqa: E402
from agentdistill.recipe import load_recipe  # noqa: E402
from agentdistill.run import Run  # noqa: E402


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
        (["--student", "nobody"], 'no student is called "nobody"'),
    ],
)
def test_settings_that_make_no_sense_are_told_in_one_line(run, arguments, said, capsys):
    os.environ.pop("AGENTDISTILL_API_KEY", None)
    assert main(["serve", str(run), *arguments]) == 2
    errors = capsys.readouterr().err
    assert said in errors
    assert errors.count("\n") == 1
