"""What whoever runs the server sees: every chat counted by how it ended, and a line in the log for every fault."""

from __future__ import annotations

import http.client
import json
import logging
import re
import urllib.request
from urllib.parse import urlsplit

import pytest
from agent_server import served

openai = pytest.importorskip("openai")
pytest.importorskip("fastapi", reason="the extra agentdistill[serve] is not installed")

from agentdistill.errors import InfrastructureError  # noqa: E402
from agentdistill.models.scripted import Scripted  # noqa: E402
from agentdistill.serve import ServeSettings  # noqa: E402

ANSWER = "Thought: done.\nCode:\n```py\nfinal_answer(412)\n```"
CHAT = "/v1/chat/completions"


def reply(request):
    text = " ".join(m.content for m in request.messages)
    return InfrastructureError(f"the search server is down\n{'x' * 1000}") if "fail" in text else ANSWER


@pytest.fixture(scope="module")
def server(environment):
    settings = ServeSettings(api_key="sesame", max_body_kb=8)
    with served(Scripted(reply, name="student"), environment, settings) as up:
        yield up


def send(up, body: bytes, method: str = "POST", path: str = CHAT, key: str = "sesame") -> int:
    connection = http.client.HTTPConnection(urlsplit(up.url).netloc, timeout=60)
    try:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        answer.read()
        assert re.fullmatch("req-[0-9a-f]{24}", answer.headers["X-Request-Id"])
        return answer.status
    finally:
        connection.close()


def counts(up) -> dict[tuple[str, str], int]:
    """How many requests ended how, by the name asked for."""
    request = urllib.request.Request(f"{up.url}/metrics", headers={"Authorization": "Bearer sesame"})
    with urllib.request.urlopen(request, timeout=30) as r:
        text = r.read().decode()
    found = re.findall(r'agentdistill_requests_total\{model="(.*)",outcome="(.*)"\} (\S+)', text)
    return {(model, outcome): int(float(n)) for model, outcome, n in found}


def question(text: str, **more) -> bytes:
    return json.dumps({"model": "student", "messages": [{"role": "user", "content": text}], **more}).encode()


@pytest.mark.parametrize(
    ("sent", "status", "model", "outcome"),
    [
        ({"body": question("x")}, 200, "student", "answered"),
        ({"body": question(" ")}, 400, "student", "no_question"),
        ({"body": question("x", n=2)}, 400, "student", "unsupported"),
        ({"body": question("x", temperature=-1)}, 400, "", "invalid_value"),
        ({"body": b"{"}, 400, "", "invalid_json"),
        ({"body": question("x", model="gpt")}, 404, "", "model_not_found"),
        ({"body": b"", "method": "GET"}, 405, "", "method_not_allowed"),
        ({"body": question("x"), "key": "wrong"}, 401, "", "wrong_key"),
        ({"body": question("x" * 10_000)}, 413, "", "body_too_large"),
        ({"body": question("fail", stream=False)}, 503, "student", "fault"),
        ({"body": question("fail", stream=True)}, 503, "student", "fault"),
        ({"body": question("fail", model="student:raw")}, 503, "student:raw", "fault"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_every_chat_is_counted_once(server, sent, status, model, outcome):
    before = counts(server)
    assert send(server, **sent) == status
    after = counts(server)
    assert {k: n - before.get(k, 0) for k, n in after.items() if n != before.get(k, 0)} == {(model, outcome): 1}


def test_other_pages_are_no_chats(server):
    before = counts(server)
    assert send(server, b"", "GET", "/favicon.ico") == 404
    assert send(server, b"", "GET", "/v1/models/another") == 404
    assert counts(server) == before


@pytest.mark.parametrize("model", ["student", "student:raw"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_fault_is_one_line_of_the_log_under_the_name_that_its_client_is_told(server, caplog, stream, model):
    client = openai.OpenAI(base_url=f"{server.url}/v1", max_retries=0, timeout=60, api_key="sesame")
    messages = [{"role": "user", "content": "fail, private question"}]
    with caplog.at_level(logging.WARNING), pytest.raises(openai.InternalServerError) as told:
        client.chat.completions.create(model=model, messages=messages, stream=stream)
    [record] = [r for r in caplog.records if r.name.startswith("agentdistill")]
    line = record.getMessage()
    assert line.startswith(f"{told.value.request_id}: ")
    assert "the search server is down" in line
    assert ("\n" in line, "private question" in line, "sesame" in line, len(line) < 400) == (False, False, False, True)


def test_a_late_fault_in_a_stream_is_told_in_the_log_too(environment, caplog):
    settings = ServeSettings(patience_s=0.0)
    with served(Scripted(reply, name="student"), environment, settings) as up, caplog.at_level(logging.WARNING):
        client = openai.OpenAI(base_url=f"{up.url}/v1", max_retries=0, timeout=60, api_key="none")
        messages = [{"role": "user", "content": "fail"}]
        stream = client.chat.completions.create(model="student", messages=messages, stream=True)
        with pytest.raises(openai.APIError, match="is down"):
            list(stream)
        assert counts(up)["student", "fault"] == 1
    [record] = [r for r in caplog.records if r.name.startswith("agentdistill")]
    assert record.getMessage().startswith(stream.response.headers["X-Request-Id"])
