"""The distilled agent as an MCP server, asked by the protocol's own client and by our tools."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("mcp", reason="the extra agentdistill[mcp] is not installed")
pytest.importorskip("fastapi", reason="the extra agentdistill[serve] is not installed")

from agent_server import served, surroundings
from made_traces import source_environment
from mcp import Client
from small_run import write_inputs
from tiny_models import save_checkpoint

from agentdistill.errors import InfrastructureError
from agentdistill.models.scripted import Scripted
from agentdistill.pipeline.run import Run, trained
from agentdistill.recipe import load_recipe
from agentdistill.serve import ServeSettings
from agentdistill.tools.mcp import McpConnection, McpServer, ToolFailed


def act(thought: str, code: str) -> str:
    return f"Thought: {thought}\nCode:\n```py\n{code}\n```"


SCRIPT = {
    "river": [act("I look it up.", "km = length_of('Aren')\nprint(km)"), act("There it is.", "final_answer(km)")],
    "err": [act("I err.", "1 / 0")] * 4,
}


@pytest.fixture(scope="module")
def url():
    with (
        surroundings() as environment,
        served(Scripted(SCRIPT, name="student"), environment, ServeSettings(mcp=True)) as up,
    ):
        yield f"{up.url}/mcp"


def test_a_client_asks_and_hears_of_every_step(url):
    heard: list[tuple[float, str]] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, message or ""))
        assert total == 4

    async def play():
        async with Client(url) as client:
            [tool] = (await client.list_tools()).tools
            assert tool.name == "ask"
            assert set(tool.input_schema["properties"]) == {"question", "vote"}
            assert not any(line.startswith(" ") for line in tool.description.splitlines())
            return await client.call_tool("ask", {"question": "How long is the river?"}, progress_callback=on_progress)

    result = asyncio.run(play())
    assert not result.is_error
    said = result.structured_content
    assert (said["answer"], said["found"]) == ("404", True)
    assert [s["thought"] for s in said["steps"]] == ["I look it up.", "There it is."]
    assert said["steps"][0]["observation"] == "Observation: 404"
    assert (1, "I look it up.") in heard


def test_our_own_tools_can_be_an_agent(url):
    connection = McpConnection("agent", McpServer(url=url, timeout_s=120))
    [ask] = connection.tools()
    step = "{thought: str, code: str | None, observation: str | None}"
    told = f"{{answer: str, found: bool, steps: list[{step}]}}"
    assert ask.signature == f"ask(question: str, vote: bool = False) -> {told}"
    assert ask.function("How long is the river?")["answer"] == "404"
    assert ask.function("err")["found"] is False
    with pytest.raises(ToolFailed, match="not empty"):
        ask.function("  ")
    connection.close()


def ask(url: str, question: str, mode: str = "auto", **more):
    async def play():
        async with Client(url, mode=mode) as client:
            return await client.call_tool("ask", {"question": question, **more})

    return asyncio.run(play())


def test_nobody_holds_a_stream_open_on_which_nothing_is_said(url):
    standing = urllib.request.Request(url, headers={"Accept": "text/event-stream"})
    with pytest.raises(urllib.error.HTTPError, match="405"):
        urllib.request.urlopen(standing, timeout=60)


def n_requests(url: str) -> dict[tuple[str, str], float]:
    with urllib.request.urlopen(url.removesuffix("/mcp") + "/metrics", timeout=30) as r:
        text = r.read().decode()
    found = re.findall(r'agentdistill_requests_total\{model="(.*)",outcome="(.*)"\} (\S+)', text)
    return {(model, outcome): float(n) for model, outcome, n in found}


def test_its_answers_are_counted_as_any(url):
    before = n_requests(url)
    ask(url, "How long is the river?", vote=True)
    assert ask(url, " ").is_error
    after = n_requests(url)
    new = {k: n - before.get(k, 0) for k, n in after.items() if n != before.get(k, 0)}
    assert new == {("student:vote", "answered"): 1}, "an empty question is none"


def test_a_fault_is_an_error_of_the_tool_and_a_line_of_the_log(caplog):
    broken = Scripted(lambda request: InfrastructureError("the search server is down"), name="student")
    with surroundings() as environment, served(broken, environment, ServeSettings(mcp=True)) as up:
        with caplog.at_level(logging.WARNING):
            said = ask(f"{up.url}/mcp", "How long is the river?")
        assert said.is_error
        assert n_requests(up.url)["student", "fault"] == 1
    [record] = [r for r in caplog.records if r.name.startswith("agentdistill")]
    assert re.match("req-[0-9a-f]{24}: .*search server is down", record.getMessage())


@pytest.mark.parametrize("grace_s", [60.0, 0.1])
def test_a_server_told_to_end_lets_its_answers_finish_or_says_that_there_is_none(grace_s):
    begun, hold = threading.Event(), threading.Event()

    async def slow(request) -> str:
        begun.set()
        await asyncio.to_thread(hold.wait, 60)
        return act("Done.", "final_answer('in time')")

    with (
        surroundings() as environment,
        served(Scripted(slow, name="student"), environment, ServeSettings(mcp=True)) as up,
        ThreadPoolExecutor(1) as thread,
    ):
        under_way = thread.submit(ask, f"{up.url}/mcp", "How long is the river?")
        assert begun.wait(60)
        stopped = asyncio.run_coroutine_threadsafe(up.app.state.server.stop(grace_s), up.loop)
        if grace_s < 1:
            assert "shut down before it had an answer" in under_way.result(60).content[0].text
            assert n_requests(up.url) == {("student", "shutting_down"): 1}
        else:
            with pytest.raises(TimeoutError):
                stopped.result(0.5)
            assert "shutting down" in ask(f"{up.url}/mcp", "Another?").content[0].text
        hold.set()
        if grace_s > 1:
            assert under_way.result(60).structured_content["answer"] == "in time"
        stopped.result(60)


SLOW_SERVER = """
import asyncio
from agentdistill.environment import Environment
from agentdistill.models.scripted import Scripted
from agentdistill.prompts import load_prompt
from agentdistill.loop import RolloutSettings
from agentdistill.serve import Agent, ServeSettings, run_server

async def slow(request):
    print("asked", flush=True)
    await asyncio.sleep(4)
    return "Thought: done.\\nCode:\\n```py\\nfinal_answer('in time')\\n```"

with Environment(mode="process") as environment:
    agent = Agent(Scripted(slow, name="student"), environment, load_prompt("tiny"), RolloutSettings())
    run_server(agent, ServeSettings(port=0, mcp=True))
"""


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_terminated_process_tells_its_last_answer(mode):
    """In both of the protocol's ways: the older one's streams would end with the signal."""
    command = [sys.executable, "-c", SLOW_SERVER]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, env=source_environment(), **pipes)
    try:
        url = re.search(r"at (http://[0-9.:]+)/v1", process.stdout.readline())[1]
        with ThreadPoolExecutor(1) as thread:
            under_way = thread.submit(ask, f"{url}/mcp", "How long is the river?", mode)
            assert process.stdout.readline() == "asked\n"
            process.send_signal(signal.SIGTERM)
            assert under_way.result(60).structured_content["answer"] == "in time"
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")
    finally:
        process.kill()
        process.wait()


def test_the_command_serves_on_its_standard_streams(tmp_path):
    run = Run(load_recipe(write_inputs(tmp_path, n_train=2, n_test=1)), tmp_path / "runs" / "small")
    run.save_recipe()
    student = trained(run.folder, run.recipe.students[0], "agent-distill")
    save_checkpoint(student, hidden=16, context=512)
    (student / "training.json").write_text("{}")
    command = (sys.executable, "-m", "agentdistill", "mcp", str(run.folder), "--max-steps", "1")
    environment = {k: v for k, v in source_environment().items() if k in ("PYTHONPATH", "OMP_NUM_THREADS", "PATH")}
    connection = McpConnection("student", McpServer(command=command, env=environment, timeout_s=280))
    [ask] = connection.tools()
    answer = ask.function("How long is the Aren 1 in km?")
    assert (answer["found"], len(answer["steps"])) == (False, 1)
    connection.close()
