"""``agentdistill record``: conversations are told apart, replies pass unchanged, and what is written is a teacher's."""

from __future__ import annotations

import json
import subprocess
import sys
import threading

import pytest
from recorded import ids_of, recording, upstream

openai = pytest.importorskip("openai")
pytest.importorskip("fastapi", reason="the extra agentdistill[serve] is not installed")

from agentdistill.exchange import read_trajectories  # noqa: E402

KEY = "sk-very-secret"
CALL = {"id": "c1", "type": "function", "function": {"name": "length_of", "arguments": '{"river": "Aren"}'}}


def answer(body):
    said = body["messages"][-1]["content"]
    if said == "busy?":
        return 429, {"error": {"message": "come back", "type": "rate_limit_error"}}
    if said == "How long is the Aren?":
        return {"role": "assistant", "content": None, "tool_calls": [CALL]}
    tries = sum(m.get("content") == said for m in body["messages"])
    return {"role": "assistant", "content": f"I heard {said!r} {tries} times."}


@pytest.fixture(scope="module")
def up():
    with upstream(answer) as made:
        yield made


@pytest.fixture(scope="module")
def recorded(up, tmp_path_factory):
    folder = tmp_path_factory.mktemp("recorded")
    with recording(up.url, folder, "--logprobs", "--token-ids") as (url, _):
        yield openai.OpenAI(base_url=url, api_key=KEY, max_retries=0), folder


def ask(client, messages, stream):
    """The reply as a message to be sent again, as clients do it."""
    reply = client.chat.completions.create(model="m", messages=messages, stream=stream)
    if not stream:
        message = reply.choices[0].message
        return message.model_dump(exclude_none=True)
    text, calls = "", []
    for event in reply:
        delta = event.choices[0].delta
        text += delta.content or ""
        for part in delta.tool_calls or ():
            if part.id:
                calls.append(
                    {"id": part.id, "type": "function", "function": {"name": part.function.name, "arguments": ""}}
                )
            calls[part.index]["function"]["arguments"] += part.function.arguments or ""
    return {"role": "assistant", "content": text or None, **({"tool_calls": calls} if calls else {})}


def documents(folder):
    return {p: json.loads(p.read_text()) for p in sorted(folder.glob("*.json"))}


@pytest.mark.parametrize("stream", [False, True])
def test_conversations_are_told_apart_by_their_messages(recorded, stream):
    client, folder = recorded
    before = documents(folder)
    system = {"role": "system", "content": f"Be brief. {stream}"}
    talks = [[system, {"role": "user", "content": f"first {n}"}] for n in range(3)]
    for turn in range(3):
        for n, talk in enumerate(talks):  # in turn, as agents that run at the same time
            talk.append(ask(client, talk, stream))
            talk.append({"role": "user", "content": f"more {n} {turn}"})
    found = [d for p, d in documents(folder).items() if p not in before]
    assert len(found) == 3
    told = [[(s["source"], s["message"]) for s in d["steps"]] for d in found]
    roles = {"system": "system", "user": "user", "assistant": "agent"}
    assert sorted(told) == sorted([(roles[m["role"]], m["content"]) for m in talk[:-1]] for talk in talks)
    again = [*talks[0][:3], {"role": "user", "content": "turned off"}]
    ask(client, again, stream)
    [branch] = [d for p, d in documents(folder).items() if p not in before and d not in found]
    assert [s["message"] for s in branch["steps"]][:4] == [m["content"] for m in again[:4]]
    assert not any(s.get("is_copied_context") for s in branch["steps"])
    ask(client, [system, {"role": "user", "content": "a"}, {"role": "assistant", "content": "shown"}, again[1]], stream)
    last = list(documents(folder).values())[-1]
    assert [s.get("is_copied_context", False) for s in last["steps"]] == [False, False, True, False, False]


@pytest.mark.parametrize("stream", [False, True])
def test_what_the_model_sampled_is_kept_and_no_key_is(recorded, up, stream):
    client, folder = recorded
    before = documents(folder)
    said = ask(client, [{"role": "user", "content": f"tokens {stream}"}], stream)["content"]
    [path] = [p for p in documents(folder) if p not in before]
    [trace] = read_trajectories(str(path)).traces
    reply = trace.steps[0].reply
    assert (reply.content, list(reply.token_ids)) == (said, ids_of(said))
    assert reply.logprobs == (-0.5,) * len(said)
    assert up.keys[-1] == f"Bearer {KEY}"
    assert not any(KEY in p.read_text() for p in folder.iterdir())


@pytest.mark.parametrize("stream", [False, True])
def test_tool_calls_read_as_code(recorded, stream):
    client, folder = recorded
    before = documents(folder)
    talk = [{"role": "system", "content": f"calls {stream}"}, {"role": "user", "content": "How long is the Aren?"}]
    talk.append(ask(client, talk, stream))
    talk.append({"role": "tool", "tool_call_id": "c1", "content": "404"})
    talk.append(ask(client, talk, stream))
    [path] = [p for p in documents(folder) if p not in before]
    [trace] = read_trajectories(str(path)).traces
    assert [s.code for s in trace.steps] == ["print(length_of(river='Aren'))", f"final_answer({talk[-1]['content']!r})"]
    assert trace.steps[0].observation.content == "404"
    assert dict(trace.notes)["not converted"] == "1 × token ids", "they spell the words without the answering code"


def test_errors_pass_and_nothing_is_written_of_them(recorded):
    client, folder = recorded
    before = documents(folder)
    with pytest.raises(openai.RateLimitError, match="come back"):
        ask(client, [{"role": "user", "content": "busy?"}], False)
    assert documents(folder) == before


def test_a_kill_loses_at_most_the_reply_under_way(up, tmp_path):
    talk = [{"role": "user", "content": "one"}]
    with recording(up.url, tmp_path) as (url, process):
        client = openai.OpenAI(base_url=url, api_key=KEY, max_retries=0)
        talk += [ask(client, talk, False), {"role": "user", "content": "two"}]
        up.hold = threading.Event()
        stream = client.chat.completions.create(model="m", messages=talk, stream=True)
        next(iter(stream))
        process.kill()
        up.hold.set()
        up.hold = None
    [before] = documents(tmp_path).values()
    assert len(before["steps"]) == 2
    (tmp_path / "other.json").write_text("{}")
    with recording(up.url, tmp_path) as (url, _):
        ask(openai.OpenAI(base_url=url, api_key=KEY, max_retries=0), talk, True)
    [after] = [d for d in documents(tmp_path).values() if d]
    assert after["steps"][:2] == before["steps"], "the same conversation goes on after a new start"
    assert [s["source"] for s in after["steps"]] == ["user", "agent", "user", "agent"]


def test_a_server_that_is_down_and_a_wrong_address_are_told(tmp_path):
    from agentdistill.cli import main

    assert main(["record", "--upstream", "localhost:8000", "--out", str(tmp_path)]) == 2
    with recording("http://127.0.0.1:9/v1", tmp_path) as (url, _):
        client = openai.OpenAI(base_url=url, api_key=KEY, max_retries=0)
        with pytest.raises(openai.InternalServerError, match="does not answer"):
            ask(client, [{"role": "user", "content": "hello"}], False)


SCRIPT = """
import json, sys
from smolagents import CodeAgent, OpenAIServerModel, ToolCallingAgent, tool

@tool
def length_of(river: str) -> int:
    '''The length of a river in km.

    Args:
        river: Its name.
    '''
    return 404

kind = {"code": CodeAgent, "calls": ToolCallingAgent}[sys.argv[2]]
model = OpenAIServerModel("m", api_base=sys.argv[1], api_key="none")
agent = kind(tools=[length_of], model=model, max_steps=4, verbosity_level=0, return_full_result=True)
print(json.dumps(agent.run("How long is the Aren, twice?").dict()))
"""
CODE = (
    "Thought: I look.\n<code>\nprint(length_of(river='Aren'))\n",
    "Thought: Twice.\n<code>\nfinal_answer(2 * 404)\n</code>",
)


def code_agent(body):
    turn = sum(m["role"] == "assistant" for m in body["messages"])
    if body.get("tools"):
        answering = {
            "id": "c2",
            "type": "function",
            "function": {"name": "final_answer", "arguments": '{"answer": 808}'},
        }
        return {"role": "assistant", "content": None, "tool_calls": [answering if turn else CALL]}
    return {"role": "assistant", "content": CODE[turn]}


@pytest.mark.parametrize("kind", ["code", "calls"])
def test_a_recorded_run_of_smolagents_is_the_one_that_it_saves(tmp_path, kind):
    pytest.importorskip("smolagents", reason="smolagents is not installed; make test-extras installs it")
    folder, saved = tmp_path / "recorded", tmp_path / "saved.json"
    script = tmp_path / "agent.py"  # a file: smolagents reads a tool's source
    script.write_text(SCRIPT)
    with upstream(code_agent) as up, recording(up.url, folder) as (url, _):
        command = [sys.executable, str(script), url, kind]
        done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    saved.write_text(done.stdout.splitlines()[-1])
    [theirs] = read_trajectories(str(saved)).traces
    [path] = folder.glob("*.json")
    [ours] = read_trajectories(str(path)).traces
    assert [s.code for s in ours.steps] == [s.code for s in theirs.steps]
    assert theirs.steps[0].code == "print(length_of(river='Aren'))"
    assert ours.answer == theirs.answer == "808"
    assert theirs.problem.question == "How long is the Aren, twice?"
    assert all("404" in t.steps[0].observation.content for t in (ours, theirs))
    atif = pytest.importorskip("atif", reason="atif is not installed; make test-extras installs it")
    assert len(atif.Trajectory.model_validate_json(path.read_text()).steps) == len(ours.messages)
