"""Ctrl-C once, twice: ``agentdistill serve`` as a process whose student is behind a server that takes its time."""

from __future__ import annotations

import asyncio
import http.client
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from agent_server import served
from made_traces import source_environment
from small_run import write_inputs

pytest.importorskip("fastapi", reason="the extra agentdistill[serve] is not installed")

from agentdistill.cli import main
from agentdistill.models.scripted import Scripted
from agentdistill.pipeline.run import Run
from agentdistill.recipe import load_recipe

DONE = "Thought: done.\nCode:\n```py\nfinal_answer(412)\n```"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder without weights."""
    folder = tmp_path_factory.mktemp("signals")
    made = Run(load_recipe(write_inputs(folder, n_train=2, n_test=1)), folder / "runs" / "small")
    made.save_recipe()
    return made.folder


class Behind:
    """What is behind: it answers once it is told to go on."""

    def __init__(self) -> None:
        self.asked, self.go_on = threading.Semaphore(0), threading.Event()

    def __call__(self, request):
        self.asked.release()
        self.go_on.wait(120)
        return DONE


def ask(url: str, found: list) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)
    body = {"model": "far", "messages": [{"role": "user", "content": "How long?"}]}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    reply = connection.getresponse()
    found.append((reply.status, reply.headers["Retry-After"], reply.read().decode()))


@pytest.mark.parametrize("n_signals", [1, 2])
def test_the_first_waits_and_the_second_does_not(run, environment, n_signals):
    behind = Behind()

    async def say(request):
        return await asyncio.to_thread(behind, request)

    with served(Scripted(say, name="far"), environment) as up:
        options = ["--url", f"{up.url}/v1", "--name", "far:raw", "--as", "far", "--port", "0", "--concurrency", "2"]
        command = [sys.executable, "-m", "agentdistill", "serve", str(run), *options]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=source_environment()
        )
        try:
            url = process.stdout.readline().partition("answers at ")[2].split()[0]
            found: list = []
            threads = [threading.Thread(target=ask, args=(url, found)) for _ in range(3)]
            for t in threads:
                t.start()
            for _ in range(2):
                assert behind.asked.acquire(timeout=60)
            time.sleep(0.5)  # the third waits for its turn
            process.send_signal(signal.SIGINT)
            line = process.stderr.readline()
            assert "2 answers under way may take 30 s more" in line
            if n_signals == 2:
                process.send_signal(signal.SIGINT)
                assert "ended; 2 answers" in process.stderr.readline()
            else:
                behind.go_on.set()
            for t in threads:
                t.join(60)
            _, errors = process.communicate(timeout=60)
            assert (process.returncode, errors) == (0, "")
        finally:
            behind.go_on.set()
            process.kill()
            process.wait()
    n_answered = 2 if n_signals == 1 else 0
    assert sorted(status for status, _, _ in found) == [200] * n_answered + [503] * (3 - n_answered)
    for status, wait, said in found:
        if status == 503:
            assert json.loads(said)["error"]["code"] == "shutting_down"
            assert 1 <= int(wait) <= 30


@pytest.mark.parametrize("options", [[], ["--json"], ["--verify", "2"]])
def test_a_dead_address_is_told_with_its_reason_and_a_status(run, capsys, monkeypatch, options):
    monkeypatch.setattr("agentdistill.models.server.asyncio.sleep", _at_once)
    dead = ["--url", "http://127.0.0.1:9/v1", "--name", "far"]
    assert main(["ask", str(run), "How long?", *dead, *options]) == 1
    out, err = capsys.readouterr()
    assert "http://127.0.0.1:9/v1 refused the connection" in err
    assert err.count("\n") == 1
    assert "→ no answer" not in out
    if "--json" in options:
        assert json.loads(out)["end"] == "fault"


async def _at_once(delay_s: float) -> None:
    pass
