"""Tools of real MCP servers, over standard streams and over HTTP, as functions in sandboxed code."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("mcp", reason="the extra agentdistill[mcp] is not installed")

import mcp_shop

from agentdistill.environment import Environment
from agentdistill.errors import InfrastructureError, RecipeError, UserError
from agentdistill.loop import RolloutSettings, rollout
from agentdistill.models.scripted import Scripted
from agentdistill.pipeline.run import Run
from agentdistill.prompts import load_prompt
from agentdistill.recipe import load_recipe, recipe_from_json
from agentdistill.sandbox import Limits
from agentdistill.tools import describe
from agentdistill.tools.mcp import McpConnection, McpServer, ToolFailed, mcp_tools, python_type
from agentdistill.types import End, Problem

SHOP = mcp_shop.__file__
STDIO = McpServer(command=(sys.executable, SHOP), timeout_s=120)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextmanager
def shop_at(port: int, *arguments: str) -> Iterator[McpServer]:
    process = subprocess.Popen([sys.executable, SHOP, str(port), *arguments], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert time.monotonic() < deadline
                assert process.poll() is None
                time.sleep(0.1)
        yield McpServer(url=f"http://127.0.0.1:{port}/mcp", timeout_s=120)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def http_server():
    with shop_at(free_port()) as server:
        yield server


@pytest.fixture(scope="module", params=["stdio", "http"])
def tools(request):
    server = STDIO if request.param == "stdio" else request.getfixturevalue("http_server")
    connection = McpConnection("shop", server)
    yield {t.name: t for t in connection.tools()}
    connection.close()


@pytest.fixture(scope="module")
def shut(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shut")
    with shop_at(free_port(), str(folder)) as server:
        yield server, folder


@pytest.fixture
def unwell(shut):
    """A connection to a server of sessions, and the folder by whose file ``status`` it fails."""
    server, folder = shut
    connection = McpConnection("shop", server)
    yield connection, folder
    (folder / "status").unlink(missing_ok=True)
    connection.close()


def test_they_are_told_of_as_python_functions(tools):
    assert list(tools) == ["price", "order", "opening_hours", "variable", "sleep", "leave"]
    assert tools["price"].signature == "price(item: str) -> int"
    assert tools["order"].signature == (
        "order(item: str, n: int = 1, currency: Literal['EUR', 'USD'] = 'EUR', note: str | None = None) "
        "-> {item: str, n: int, total: float}"
    )
    assert tools["opening_hours"].signature == "opening_hours(days: list[str]) -> str"
    told = describe([tools["price"]])
    assert 'def price(item: str) -> int:\n    """The price of an item in euros.' in told
    assert "item: What it is called." in told
    compile("from typing import *\n" + describe(list(tools.values())), "stubs", "exec")


def test_they_are_called_by_place_or_by_name_and_return_values(tools):
    assert tools["price"].function("lamp") == 19
    ordered = tools["order"].function("lamp", n=3, currency="USD")
    assert ordered == {"item": "lamp", "n": 3, "total": pytest.approx(62.7)}
    assert tools["opening_hours"].function(["Mon", "Tue"]) == "Mon: 9 to 17\nTue: 9 to 17"


def test_mistakes_are_exceptions_and_say_why(tools):
    with pytest.raises(ToolFailed, match="there is no desk; there are: lamp, stool"):
        tools["price"].function("desk")
    with pytest.raises(TypeError, match="missing a required argument: 'item'"):
        tools["price"].function()
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        tools["price"].function("lamp", colour="red")
    with pytest.raises(ToolFailed):
        tools["order"].function("lamp", n="many")


def test_an_agent_works_with_them_errs_and_recovers(tools):
    def act(code: str) -> str:
        return f"Thought: next.\nCode:\n```py\n{code}\n```"

    model = Scripted([act("print(price('desk'))"), act("final_answer(order('stool', n=2)['total'] + price('lamp'))")])
    with Environment(list(tools.values()), mode="process", limits=Limits(wall_s=60, memory_mb=256)) as environment:
        problem = Problem("p", "What do two stools and a lamp cost?", "89", "math")
        trace = asyncio.run(rollout(model, problem, environment, load_prompt("standard"), RolloutSettings()))
    assert (trace.end, trace.correct) == (End.ANSWERED, True)
    assert "there is no desk" in trace.steps[0].observation.content
    assert [c.name for c in trace.steps[1].tool_calls] == ["order", "price"]
    assert "def price(item: str) -> int:" in trace.prompt[0].content


def test_a_server_that_dies_is_a_fault_and_is_started_again():
    connection = McpConnection("shop", McpServer(command=(sys.executable, SHOP), timeout_s=120))
    tools = {t.name: t for t in connection.tools()}
    with pytest.raises(InfrastructureError, match="MCP server shop"):
        tools["leave"].function()
    assert tools["price"].function("lamp") == 19
    connection.close()


@pytest.mark.parametrize("status", [401, 429, 503])
def test_an_outage_is_a_fault_and_no_mistake_of_the_models(unwell, status):
    connection, folder = unwell
    tools = connection.tools()
    (folder / "status").write_text(str(status))
    model = Scripted({"lamp": ["Thought: I look.\nCode:\n```py\nfinal_answer(price('lamp'))\n```"]})
    problem = Problem("p", "What does a lamp cost?", "19", "math")
    with Environment(tools, mode="process", limits=Limits(wall_s=60, memory_mb=256)) as environment:

        def played():
            return asyncio.run(rollout(model, problem, environment, load_prompt("standard"), RolloutSettings()))

        trace = played()
        assert (trace.end, trace.correct) == (End.FAULT, None)
        assert f"MCP server shop: price was not answered: HTTP {status}" in trace.fault
        (folder / "status").unlink()
        assert played().correct


def test_a_server_that_cannot_say_what_it_has_is_a_fault(unwell):
    connection, folder = unwell
    connection.tools()
    (folder / "status").write_text("502")
    with pytest.raises(InfrastructureError, match="its list of tools was not answered: HTTP 502"):
        connection.tools()
    connection.close()
    with pytest.raises(InfrastructureError, match="cannot be reached: HTTP 502"):
        connection.tools()


def test_a_session_that_the_server_lost_is_begun_anew(tmp_path):
    port = free_port()
    with shop_at(port, str(tmp_path)) as server:
        connection = McpConnection("shop", server)
        price = {t.name: t for t in connection.tools()}["price"].function
        assert price("lamp") == 19
        link = connection._link
    with shop_at(port, str(tmp_path)):
        assert price("stool") == 35
        assert connection._link is not link
        with pytest.raises(ToolFailed, match="there is no desk"):
            price("desk")
    with pytest.raises(InfrastructureError, match="MCP server shop"):
        price("lamp")
    connection.close()


def test_one_that_does_not_answer_in_time_is_a_fault():
    connection = McpConnection("shop", STDIO)
    tools = {t.name: t for t in connection.tools()}
    object.__setattr__(connection.server, "timeout_s", 1.0)
    try:
        with pytest.raises(InfrastructureError, match="no answer in 1 s"):
            tools["sleep"].function(3.0)
    finally:
        object.__setattr__(connection.server, "timeout_s", 120.0)
        connection.close()


def test_variables_come_from_the_environment_and_have_to_be_there(monkeypatch):
    monkeypatch.setenv("SHOP_TOKEN", "sesame")
    server = McpServer(command=(sys.executable, SHOP), env={"TOKEN": "key ${SHOP_TOKEN}"}, timeout_s=120)
    connection = McpConnection("shop", server)
    assert {t.name: t for t in connection.tools()}["variable"].function("TOKEN") == "key sesame"
    connection.close()
    monkeypatch.delenv("SHOP_TOKEN")
    with pytest.raises(UserError, match="SHOP_TOKEN, which is not set"):
        connection.tools()


def test_what_cannot_be_used_is_told_in_one_line(tmp_path):
    for server, error, said in (
        (McpServer(command=("no-such-program",)), UserError, "no such program: no-such-program"),
        (McpServer(command=(sys.executable, "-c", "pass"), timeout_s=60), InfrastructureError, "cannot be reached"),
        (McpServer(url="http://127.0.0.1:9/mcp", timeout_s=60), InfrastructureError, "cannot be reached"),
        (McpServer(command=STDIO.command, tools=("prize",), timeout_s=120), UserError, 'no tool is called "prize"'),
    ):
        with pytest.raises(error, match=said) as e:
            mcp_tools({"shop": server})
        assert "\n" not in str(e.value)


def test_names_that_two_servers_share_get_the_servers(http_server):
    one = McpServer(command=STDIO.command, tools=("price", "order"), timeout_s=120)
    other = McpServer(url=http_server.url, tools=("price",), timeout_s=120)
    names = [t.name for t in mcp_tools({"here": one, "over-there": other})]
    assert names == ["here_price", "order", "over_there_price"]


def test_a_recipe_names_them(tmp_path):
    path = tmp_path / "recipe.toml"
    text = f"""
[problems]
train = "t.jsonl"
[teacher]
model = "scripted"
replies = "x"
[student]
base = "b"
[tools.mcp.shop]
command = [{sys.executable!r}, {SHOP!r}]
tools = ["price"]
timeout_s = 120
"""
    path.write_text(text)
    run = Run(load_recipe(path), tmp_path / "run")
    assert [t.signature for t in run.tools] == ["price(item: str) -> int"]
    run.save_recipe()
    import json

    again = recipe_from_json(json.loads((tmp_path / "run" / "recipe.json").read_text()), path)
    assert again == run.recipe
    path.write_text(text.replace("command =", "comand ="))
    with pytest.raises(RecipeError, match=r'recipe.toml:10: unknown key "comand" in \[tools.mcp.shop\]'):
        load_recipe(path)
    path.write_text(text + 'url = "http://x/mcp"')
    with pytest.raises(RecipeError, match="either a command that starts it or a url"):
        load_recipe(path)


SCHEMAS = st.recursive(
    st.sampled_from([{"type": t} for t in ("string", "integer", "number", "boolean", "null", "object", "array")])
    | st.builds(lambda v: {"enum": v}, st.lists(st.text() | st.integers(), min_size=1, max_size=3))
    | st.just({})
    | st.just({"$ref": "#/$defs/loop"}),
    lambda inner: (
        st.builds(lambda i: {"type": "array", "items": i}, inner)
        | st.builds(lambda i: {"anyOf": i}, st.lists(inner, min_size=1, max_size=3))
    ),
    max_leaves=5,
)


@given(SCHEMAS)
def test_any_schema_has_a_hint_that_python_reads(schema):
    hint = python_type(schema, {"$defs": {"loop": {"$ref": "#/$defs/loop"}}})
    compile(f"x: {hint}", "hint", "exec")
    assert "\n" not in hint


@pytest.mark.skipif(
    not (os.environ.get("MCP_SERVER_TIME") or shutil.which("mcp-server-time")),
    reason="no mcp-server-time on the path (pip install mcp-server-time, in an environment of its own); or name its "
    "command as MCP_SERVER_TIME",
)
def test_a_server_from_the_registry():
    command = shlex.split(os.environ.get("MCP_SERVER_TIME", "mcp-server-time"))
    connection = McpConnection("clock", McpServer(command=tuple(command), timeout_s=120))
    tools = {t.name: t for t in connection.tools()}
    assert tools["get_current_time"].signature.startswith("get_current_time(timezone: str) -> ")
    said = tools["convert_time"].function("Europe/Berlin", "12:00", "Asia/Tokyo")
    assert "Asia/Tokyo" in str(said)
    with pytest.raises(ToolFailed):
        tools["get_current_time"].function("Nowhere/Land")
    connection.close()
