"""What real clients send beside a question: parameters of other servers, histories of every kind, other origins."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest

pytest.importorskip("fastapi", reason="the extra agentdistill[serve] is not installed")

from agent_server import served

from agentdistill.errors import InfrastructureError, UserError
from agentdistill.models.scripted import Scripted
from agentdistill.serve import ServeSettings
from agentdistill.serve._schema import _WHY

CHAT = "/v1/chat/completions"
DONE = "Thought: done.\nCode:\n```py\nfinal_answer(412)\n```"
USER = {"role": "user", "content": "How long is the Aren?"}


def reply(request):
    busy = any("rate limit" in m.content for m in request.messages)
    return InfrastructureError("the model's server is busy", retry_after_s=41.2) if busy else DONE


@pytest.fixture(scope="module")
def server(environment):
    with served(Scripted(reply, name="student"), environment) as up:
        yield up


def call(up, method: str, path: str, body: object = None, **headers: str):
    """Status, headers and body."""
    connection = http.client.HTTPConnection(urlsplit(up.url).netloc, timeout=60)
    try:
        sent = None if body is None else json.dumps(body)
        connection.request(method, path, sent, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def ask(up, *messages, model: str = "student", **more):
    status, headers, said = call(up, "POST", CHAT, {"model": model, "messages": messages or [USER], **more})
    return status, headers, json.loads(said)


CHANGING = [
    {"frequency_penalty": 0.5}, {"presence_penalty": -1}, {"logit_bias": {"50256": -100}}, {"tool_choice": "required"},
    {"tool_choice": {"type": "function", "function": {"name": "f"}}}, {"top_logprobs": 3}, {"modalities": ["audio"]},
    {"modalities": ["text", "audio"]}, {"audio": {"voice": "alloy", "format": "wav"}}, {"top_k": 40}, {"min_p": 0.05},
    {"repetition_penalty": 1.1}, {"repetition_penalty": 0}, {"repeat_penalty": 1.3}, {"guided_json": {"a": 1}},
    {"guided_regex": "[0-9]+"}, {"guided_choice": ["yes", "no"]}, {"structured_outputs": {"regex": "a"}},
    {"grammar": "root ::= [0-9]"}, {"json_schema": {"type": "object"}}, {"response_format": {"type": "json_object"}},
    {"min_tokens": 5}, {"ignore_eos": True}, {"best_of": 4}, {"use_beam_search": True}, {"reasoning_effort": "high"},
    {"chat_template_kwargs": {"enable_thinking": False}}, {"max_new_tokens": 20}, {"stop_token_ids": [2]},
    {"typical_p": 0.9}, {"function_call": {"name": "f"}}, {"web_search_options": {"search_context_size": "low"}},
    {"format": "json"}, {"think": True}, {"instructions": "Be brief."}, {"random_seed": 7}, {"plugins": [1]},
    {"extra_body": {"top_k": 5}}, {"safe_prompt": True}, {"include_stop_str_in_output": True},
]  # fmt: skip


@pytest.mark.parametrize("model", ["student", "student:vote", "student:raw"])
@pytest.mark.parametrize("asked", CHANGING, ids=lambda a: json.dumps(a)[:50])
def test_a_parameter_that_cannot_be_honoured_is_refused_by_its_name(server, model, asked):
    [name] = asked
    for stream in (False, True):
        status, _, said = ask(server, model=model, stream=stream, **asked)
        assert (status, said["error"]["code"], said["error"]["param"]) == (400, "unsupported", name)
        assert name in said["error"]["message"]


def test_a_parameter_that_asks_for_nothing_is_taken(server):
    nothing = {
        "frequency_penalty": 0, "presence_penalty": 0.0, "logit_bias": {}, "tool_choice": "auto", "tools": [],
        "top_logprobs": 0, "logprobs": False, "modalities": ["text"], "audio": None, "top_k": -1, "min_p": 0,
        "repetition_penalty": 1.0, "guided_json": None, "response_format": {"type": "text"}, "best_of": 1,
        "function_call": "none", "parallel_tool_calls": True, "chat_template_kwargs": {}, "ignore_eos": False,
    }  # fmt: skip
    harmless = {"user": "u1", "store": True, "metadata": {"a": "b"}, "service_tier": "auto", "safety_identifier": "x"}
    for model in ("student", "student:raw"):
        assert ask(server, model=model, **nothing, **harmless)[0] == 200


@pytest.mark.parametrize("place", ["tool_calls", "function_call"])
def test_calls_of_a_clients_own_tools_are_refused_by_their_place(server, place):
    called = {"tool_calls": [{"id": "c", "type": "function"}], "function_call": {"name": "f"}}[place]
    status, _, said = ask(server, USER, {"role": "assistant", "content": None, place: called}, USER)
    assert (status, said["error"]["param"]) == (400, f"messages.1.{place}")


HI = {"role": "assistant", "content": "Hello! How can I help you?"}
NULL = {"role": "assistant", "content": None}


@pytest.mark.parametrize(
    ("messages", "roles"),
    [
        ([HI, USER], "su"),
        ([{"role": "system", "content": "Be brief."}, HI, USER], "su"),
        ([HI, USER, {"role": "assistant", "content": "404"}, USER], "suau"),
        ([HI, HI, {"role": "user", "content": [{"type": "text", "text": "And?"}]}], "su"),
        ([NULL, USER], "su"),
        ([USER, NULL], "su"),
        ([USER, {"role": "assistant"}], "su"),
        ([USER, {"role": "assistant", "content": ""}], "su"),
        ([USER, {**NULL, "tool_calls": None, "refusal": None}, USER], "suau"),
        ([{"role": "system", "content": None}, USER], "su"),
    ],
)
def test_histories_of_every_kind_are_taken(server, messages, roles):
    status, _, said = ask(server, *messages)
    assert (status, said["choices"][0]["message"]["content"]) == (200, "412")
    seen = server.agent.model._model.requests[-1].messages
    assert "".join(m.role[0] for m in seen) == roles
    assert not any("Hello" in m.content for m in seen)


@pytest.mark.parametrize("model", ["student", "student:raw"])
def test_a_bound_of_minus_one_is_none(server, model):
    for name in ("max_tokens", "max_completion_tokens"):
        assert ask(server, model=model, **{name: -1})[0] == 200
        assert server.agent.model._model.requests[-1].sampling.max_new_tokens == 200
        for no_bound in (0, -2, 2**31, True):
            status, _, said = ask(server, model=model, **{name: no_bound})
            assert (status, said["error"]["param"]) == (400, name)


def test_a_bound_above_the_agents_own_is_told(server):
    for name in ("max_tokens", "max_completion_tokens"):
        [warning] = ask(server, **{name: 4096})[2]["warnings"]
        assert (name in warning, "4096" in warning, "200" in warning) == (True, True, True)
    assert ask(server, max_tokens=200)[2]["warnings"] is None
    body = {"model": "student", "messages": [USER], "stream": True, "max_tokens": 4096}
    first = call(server, "POST", CHAT, body)[2].decode().partition("\n\n")[0]
    assert "4096" in json.loads(first.removeprefix("data: "))["warnings"][0]


def test_system_messages_can_be_ignored_by_the_agent_and_not_by_the_bare_model(environment):
    system = {"role": "system", "content": "You are a helpful assistant."}
    with served(Scripted(DONE, name="student"), environment, ignore_system=True) as up:
        for role in ("system", "developer"):
            ask(up, {**system, "role": role}, USER)
            assert [m.content for m in up.agent.model._model.requests[-1].messages][1:] == [USER["content"]]
        ask(up, system, USER, model="student:raw")
        assert up.agent.model._model.requests[-1].messages[0].content == system["content"]
        first = ask(up, USER, conversation="conversation-1")[2]["choices"][0]["message"]["content"]
        history = [{"role": "system", "content": "It is noon."}, USER, {"role": "assistant", "content": first}]
        assert ask(up, *history, USER, conversation="conversation-1")[0] == 200
        assert len(up.agent.shelf) == 1


def test_what_watches_a_server_may_send_head(server):
    for path in ("/health", "/metrics", "/v1/models", "/v1/models/student", "/"):
        assert call(server, "HEAD", path)[::2] == (200, b""), path


@pytest.mark.parametrize(
    "path", ["/v1/completions", "/v1/responses", "/v1/v1/models", "/api/chat", "/chat/completions"]
)
def test_a_path_that_is_not_there_is_told_with_those_that_are(server, path):
    status, _, said = call(server, "POST", path, {})
    message = json.loads(said)["error"]["message"]
    assert (status, f"POST {path}" in message, f"POST {CHAT}" in message, "GET /v1/models" in message) == (
        404,
        *[True] * 3,
    )


def test_a_method_that_is_not_there_is_told_with_those_that_are(server):
    status, _, said = call(server, "DELETE", "/v1/models")
    assert (status, "GET /v1/models" in json.loads(said)["error"]["message"]) == (405, True)


def test_an_agent_is_called_as_it_is_told(environment):
    with served(Scripted(DONE, name="a/folder"), environment, name="org/name:1") as up:
        assert ask(up, model="org/name:1")[2]["model"] == "org/name:1"
        assert ask(up, model="a/folder")[0] == 404
        assert json.loads(call(up, "GET", "/v1/models/org/name:1:raw")[2])["id"] == "org/name:1:raw"
        assert json.loads(call(up, "GET", "/v1/models/org%2Fname:1")[2])["id"] == "org/name:1"


def test_pages_of_other_origins_may_ask_where_they_are_let_in(environment):
    page, preflight = "http://localhost:3000", {"Access-Control-Request-Method": "POST"}
    preflight["Access-Control-Request-Headers"] = "authorization,content-type,x-stainless-os"
    settings = ServeSettings(api_key="sesame", allow_origins=(page,))
    with served(Scripted(DONE, name="student"), environment, settings) as up:
        status, headers, _ = call(up, "OPTIONS", CHAT, Origin=page, **preflight)
        assert (status, headers["Access-Control-Allow-Origin"]) == (200, page)
        assert "x-stainless-os" in headers["Access-Control-Allow-Headers"]
        for key, expected in (("sesame", 200), ("wrong", 401)):
            body = {"model": "student", "messages": [USER]}
            status, headers, _ = call(up, "POST", CHAT, body, Origin=page, Authorization=f"Bearer {key}")
            assert (status, headers["Access-Control-Allow-Origin"]) == (expected, page), "errors can be read as well"
        status, headers, _ = call(up, "OPTIONS", CHAT, Origin="http://evil.example", **preflight)
        assert (status, headers["Access-Control-Allow-Origin"]) == (400, None)


def test_no_page_of_another_origin_is_let_in_unasked(server):
    status, headers, _ = call(server, "OPTIONS", CHAT, Origin="http://localhost:3000")
    assert (status, headers["Access-Control-Allow-Origin"]) == (405, None)


@pytest.mark.parametrize("origin", ["localhost:3000", "http://localhost:3000/", "http://x/page", "https://*", ""])
def test_an_origin_is_scheme_host_and_port(origin):
    with pytest.raises(UserError, match="http://localhost:3000"):
        ServeSettings(allow_origins=(origin,))


@pytest.mark.parametrize("model", ["student", "student:raw"])
def test_a_server_behind_says_when_to_come_again(server, model):
    status, headers, _ = ask(server, {"role": "user", "content": "rate limit"}, model=model)
    assert (status, headers["Retry-After"]) == (503, "42")


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_whose_client_went_away_has_one_name(environment, stream):
    async def endless(request):
        await asyncio.sleep(600)

    for patience_s in (0.05, 60.0):
        with served(Scripted(endless, name="student"), environment, ServeSettings(patience_s=patience_s)) as up:
            connection = http.client.HTTPConnection(urlsplit(up.url).netloc, timeout=60)
            body = json.dumps({"model": "student", "messages": [USER], "stream": stream})
            connection.request("POST", CHAT, body, {"Content-Type": "application/json"})
            while not up.agent.gate.running:
                time.sleep(0.01)
            time.sleep(0.3)
            connection.close()
            deadline = time.monotonic() + 20
            while up.agent.gate.running and time.monotonic() < deadline:
                time.sleep(0.01)
            with urllib.request.urlopen(f"{up.url}/metrics", timeout=30) as r:
                text = r.read().decode()
            assert re.findall(r'requests_total\{model="student",outcome="(\w+)"\} (\S+)', text) == [
                ("client_gone", "1.0")
            ]
            assert 'agentdistill_refusal_seconds_count{model="student",outcome="client_gone"} 1.0' in text
            assert "agentdistill_request_seconds_count{" not in text


def test_every_parameter_that_is_refused_is_in_the_docs():
    page = (Path(__file__).parents[4] / "docs" / "clients.md").read_text(encoding="utf-8")
    told = page.partition("## What is refused")[2]
    assert [name for name in _WHY if f"`{name}`" not in told] == []
