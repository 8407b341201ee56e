"""The distilled agent as an MCP server, asked by the protocol's own client and by our tools."""

from __future__ import annotations

import asyncio
import sys

import pytest

pytest.importorskip("mcp", reason="the extra agentdistill[mcp] is not installed")
pytest.importorskip("fastapi", reason="the extra agentdistill[serve] is not installed")

from agent_server import served, surroundings
from made_traces import source_environment
from mcp import Client
from small_run import write_inputs
from tiny_models import save_checkpoint

from agentdistill.layout import trained
from agentdistill.models.scripted import Scripted
from agentdistill.recipe import load_recipe
from agentdistill.run import Run
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
    assert ask.signature == "ask(question: str, vote: bool = False) -> dict"
    assert ask.function("How long is the river?")["answer"] == "404"
    assert ask.function("err")["found"] is False
    with pytest.raises(ToolFailed, match="not empty"):
        ask.function("  ")
    connection.close()


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
