"""Clients that people use, each in an environment of its own: ``make test-clients`` installs them and runs this file.

``CLIENTS`` names the folder that holds them: ``python`` and ``mcp1`` are virtual environments, ``node`` an npm folder.
What is not installed there is skipped. A script prints what it was told as a JSON list; docs/clients.md has versions.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra agentdistill[serve] is not installed")
pytest.importorskip("mcp", reason="the extra agentdistill[mcp] is not installed")

from agent_server import served

from agentdistill.models.scripted import Scripted
from agentdistill.serve import ServeSettings

CLIENTS = Path(os.environ.get("CLIENTS", Path(__file__).parents[4] / ".clients"))
ASKED = "How long is the river Aren?"


def act(code: str) -> str:
    return f"Thought: next.\nCode:\n```py\n{code}\n```"


def reply(request) -> str:
    """Looks the river up, then answers: in JSON where a client's instructions ask for it."""
    if request.messages[-1].content.startswith("Observation"):
        wants_json = any("json" in m.content.lower() for m in request.messages)
        return act("final_answer('{\"km\": %d}' % km)" if wants_json else "final_answer(km)")
    return act("km = length_of('Aren')\nprint(km)")


@pytest.fixture(scope="module")
def server(environment):
    with served(Scripted(reply, name="student"), environment, ServeSettings(mcp=True)) as up:
        yield up


def output(command: list[str], **variables: str) -> str:
    known = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "OPENAI"))}
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=CLIENTS, env=known | variables)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout


def told(kind: str, needs: str, script: str, *arguments: str) -> list:
    """What a script was told by the server, from the last line that it prints."""
    if kind == "node":
        if not (CLIENTS / "node" / "node_modules" / needs / "package.json").exists():
            pytest.skip(f"npm's {needs} is not installed in {CLIENTS}/node (make test-clients)")
        path = CLIENTS / "node" / f"test-{needs.replace('/', '-').replace('@', '')}.mjs"
        path.write_text(script, encoding="utf-8")
        return json.loads(output(["node", str(path), *arguments]).splitlines()[-1])
    python = CLIENTS / kind / "bin" / "python"
    if not python.exists() or subprocess.run([python, "-c", f"import {needs}"], capture_output=True).returncode:
        pytest.skip(f"{needs} is not installed in {CLIENTS}/{kind} (make test-clients)")
    return json.loads(output([str(python), "-c", script, *arguments]).splitlines()[-1])


HEAD = """
import asyncio, json, sys
url, asked = sys.argv[1:]
messages = [{"role": "user", "content": asked}]
"""
PYTHON = {
    "openai": """
from openai import OpenAI
client = OpenAI(base_url=url, api_key="none")
whole = client.chat.completions.create(model="student", messages=messages).choices[0].message.content
stream = client.chat.completions.create(model="student", messages=messages, stream=True)
streamed = "".join(c.choices[0].delta.content or "" for c in stream if c.choices)
history = [*messages, {"role": "assistant", "content": whole}, *messages]
named = client.chat.completions.create(model="student", messages=history, extra_body={"conversation": "my-talk-1"})
print(json.dumps([whole, streamed, named.choices[0].message.content]))
""",
    "litellm": """
import litellm
how = dict(model="openai/student", api_base=url, api_key="none", messages=messages)
whole = litellm.completion(**how).choices[0].message.content
streamed = "".join(c.choices[0].delta.content or "" for c in litellm.completion(**how, stream=True))
print(json.dumps([whole, streamed]))
""",
    "langchain_openai": """
from langchain_openai import ChatOpenAI
model = ChatOpenAI(model="student", base_url=url, api_key="none")
print(json.dumps([model.invoke(asked).content, "".join(c.content for c in model.stream(asked))]))
""",
    "pydantic_ai": """
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
model = OpenAIChatModel("student", provider=OpenAIProvider(base_url=url, api_key="none"))
first = Agent(model, instructions="Be brief.").run_sync(asked)
second = Agent(model).run_sync(asked, message_history=first.all_messages())
print(json.dumps([first.output, second.output]))
""",
    "agents": """
from agents import Agent, OpenAIChatCompletionsModel, Runner, set_tracing_disabled
from openai import AsyncOpenAI
set_tracing_disabled(True)
model = OpenAIChatCompletionsModel(model="student", openai_client=AsyncOpenAI(base_url=url, api_key="none"))
agent = Agent(name="Assistant", instructions="Be brief.", model=model)
first = Runner.run_sync(agent, asked)
second = Runner.run_sync(agent, [*first.to_input_list(), *messages])
print(json.dumps([first.final_output, second.final_output]))
""",
    "smolagents": """
from smolagents import OpenAIServerModel
model = OpenAIServerModel("student", api_base=url, api_key="none")
print(json.dumps([model.generate([{"role": "user", "content": [{"type": "text", "text": asked}]}]).content]))
""",
}
LLM = """
import os, pathlib, subprocess, tempfile
folder = tempfile.mkdtemp()
about = f"- model_id: student\\n  model_name: student\\n  api_base: {url}\\n"
pathlib.Path(folder, "extra-openai-models.yaml").write_text(about)
def llm(*arguments):
    command = [sys.executable, "-m", "llm", *arguments, "--key", "none"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "LLM_USER_PATH": folder})
    return done.stdout.strip() or done.stderr
print(json.dumps([llm("-m", "student", asked), llm("-c", asked), llm("-m", "student", "--no-stream", asked)]))
"""
INSTRUCTOR = """
import instructor
from openai import OpenAI
from pydantic import BaseModel
class River(BaseModel):
    km: int
def ask(mode):
    client = instructor.from_openai(OpenAI(base_url=url, api_key="none"), mode=mode)
    try:
        how = dict(model="student", messages=messages, max_retries=0)
        return client.chat.completions.create(**how, response_model=River).km
    except Exception as e:
        return str(e)
print(json.dumps([ask(instructor.Mode.MD_JSON), ask(instructor.Mode.TOOLS), ask(instructor.Mode.JSON)]))
"""
FASTMCP = """
from fastmcp import Client
async def play():
    async with Client(url) as client:
        told = await client.call_tool("ask", {"question": asked})
        return [told.structured_content["answer"], [t.name for t in await client.list_tools()]]
print(json.dumps(asyncio.run(play())))
"""
MCP1 = """
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client
async def play():
    async with streamablehttp_client(url) as (read, write, _), ClientSession(read, write) as session:
        await session.initialize()
        told = await session.call_tool("ask", {"question": asked})
        return [told.structuredContent["answer"], [t.name for t in (await session.list_tools()).tools]]
print(json.dumps(asyncio.run(play())))
"""
NODE = {
    "openai": """
import OpenAI from 'openai';
const [url, asked] = process.argv.slice(2);
const client = new OpenAI({ baseURL: url, apiKey: 'none' });
const how = { model: 'student', messages: [{ role: 'user', content: asked }] };
const whole = (await client.chat.completions.create(how)).choices[0].message.content;
let streamed = '';
const stream = await client.chat.completions.create({ ...how, stream: true });
for await (const chunk of stream) streamed += chunk.choices[0]?.delta.content ?? '';
console.log(JSON.stringify([whole, streamed]));
""",
    "ai": """
import { generateText, streamText } from 'ai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
const [url, asked] = process.argv.slice(2);
const model = createOpenAICompatible({ name: 'agentdistill', baseURL: url })('student');
const whole = (await generateText({ model, prompt: asked })).text;
let streamed = '';
for await (const part of streamText({ model, system: 'Be brief.', prompt: asked }).textStream) streamed += part;
console.log(JSON.stringify([whole, streamed]));
""",
}  # fmt: skip


@pytest.mark.parametrize("name", PYTHON)
def test_a_python_client_is_answered(server, name):
    found = told("python", name, HEAD + PYTHON[name], f"{server.url}/v1", ASKED)
    assert found
    assert set(found) == {"404"}


def test_llm_is_answered_and_goes_on(server):
    assert told("python", "llm", HEAD + LLM, f"{server.url}/v1", ASKED) == ["404"] * 3


def test_instructor_is_answered_as_markdown_and_told_what_is_refused(server):
    found, *refused = told("python", "instructor", HEAD + INSTRUCTOR, f"{server.url}/v1", ASKED)
    assert found == 404
    assert "cannot be honoured: the agent has tools of its own" in refused[0]
    assert "response_format cannot be honoured" in refused[1]


@pytest.mark.parametrize("name", NODE)
def test_a_node_client_is_answered(server, name):
    assert told("node", name, NODE[name], f"{server.url}/v1", ASKED) == ["404"] * 2


@pytest.mark.parametrize(("kind", "needs", "script"), [("python", "fastmcp", FASTMCP), ("mcp1", "mcp", MCP1)])
def test_an_mcp_client_calls_the_agent(server, kind, needs, script):
    assert told(kind, needs, HEAD + script, f"{server.url}/mcp", ASKED) == ["404", ["ask"]]


def test_the_inspectors_command_line_lists_and_calls_the_agent(server):
    program = CLIENTS / "node" / "node_modules" / ".bin" / "mcp-inspector"
    if not program.exists():
        pytest.skip(f"npm's @modelcontextprotocol/inspector is not installed in {CLIENTS}/node (make test-clients)")
    call = [str(program), "--cli", f"{server.url}/mcp", "--transport", "http", "--method"]
    assert [t["name"] for t in json.loads(output([*call, "tools/list"]))["tools"]] == ["ask"]
    said = json.loads(output([*call, "tools/call", "--tool-name", "ask", "--tool-arg", f"question={ASKED}"]))
    assert said["structuredContent"]["answer"] == "404"
