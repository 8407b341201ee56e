"""The endpoint model against a real HTTP server on the loopback that behaves as servers do: badly, at times."""

import asyncio
import copy
import json
import random
import re
import socket
import threading
import time
from collections import Counter
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdistill.errors import InfrastructureError, ModelError, RefusedError
from agentdistill.models import is_out_of_context, load_model
from agentdistill.store import dumps
from agentdistill.types import Message, Request, Sampling, StopReason

QUESTION = (Message("system", "Be brief."), Message("user", "Where?"))


class Drop(Exception):
    """Close the connection without an answer."""


class Server:
    """A loopback server; ``behave(body, n)`` gives the n-th reply: a dict, a text, or (status, headers, dict)."""

    def __init__(self, behave):
        self.behave = behave
        self.bodies, self.paths, self.keys = [], [], []
        self.now = self.most = 0
        self.lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.reply(200, {}, {"object": "list", "data": [{"id": "tiny"}, {"id": "small"}]})

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with outer.lock:
                    n = len(outer.bodies)
                    outer.bodies.append(body)
                    outer.paths.append(self.path)
                    outer.keys.append(self.headers.get("Authorization"))
                    outer.now += 1
                    outer.most = max(outer.most, outer.now)
                try:
                    out = outer.behave(body, n)
                except Drop:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                finally:
                    with outer.lock:
                        outer.now -= 1
                self.reply(*(out if isinstance(out, tuple) else (200, {}, out)))

            def reply(self, status, headers, data):
                raw = data.encode() if isinstance(data, str) else json.dumps(data).encode()
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", "text/html" if isinstance(data, str) else "application/json")
                    self.send_header("Content-Length", str(len(raw)))
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(raw)
                except OSError:
                    self.close_connection = True  # the client had gone

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()


def said(*texts, finish="stop", usage=(7, 3), **choice):
    """A chat reply with one choice a text."""
    return {
        "choices": [
            {"index": i, "message": {"role": "assistant", "content": t}, "finish_reason": finish, **choice}
            for i, t in enumerate(texts)
        ],
        "usage": {"prompt_tokens": usage[0], "completion_tokens": usage[1]},
    }


def model(server, **settings):
    return load_model("endpoint", **{"url": server.url, "name": "tiny", "tries": 3, **settings})


def ask(endpoint, *requests):
    async def go():
        try:
            return await endpoint.generate(requests or (Request(QUESTION),))
        finally:
            await endpoint.aclose()

    return asyncio.run(go())


# --- what is sent and what comes back -------------------------------------------------------------------------------


def test_a_request_carries_the_conversation_and_how_to_sample():
    sampling = Sampling(temperature=0.4, top_p=0.8, max_new_tokens=50, stop=("Observation:",))
    with Server(lambda body, n: said("in Velmora")) as server:
        endpoint = model(server)
        ((sample,),) = ask(endpoint, Request(QUESTION, sampling, seed=11))
    assert (sample.text, sample.stop) == ("in Velmora", StopReason.END_TURN)
    assert (sample.n_prompt_tokens, sample.n_new_tokens) == (7, 3)
    assert server.bodies == [
        {
            "model": "tiny",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where?"}],
            "temperature": 0.4,
            "top_p": 0.8,
            "max_tokens": 50,
            "stop": ["Observation:"],
            "seed": 11,
        }
    ]
    assert endpoint.usage.n_requests == 1
    assert endpoint.usage.n_new_tokens == 3


def test_finish_reasons_are_mapped():
    replies = [
        said("cut sho", finish="length"),
        said("all of it"),
        said("a thought ", stop_reason="Observation:"),
        said("a thought Observation: a tree"),
    ]
    request = Request(QUESTION, Sampling(stop=("Observation:",)))
    with Server(lambda body, n: replies[n]) as server:
        got = [ask(model(server), request)[0][0] for _ in replies]
    assert [s.stop for s in got] == [
        StopReason.LENGTH,
        StopReason.END_TURN,
        StopReason.STOP_STRING,
        StopReason.STOP_STRING,  # the server did not stop there, so we cut
    ]
    assert [s.text for s in got[2:]] == ["a thought ", "a thought "]


def test_token_ids_and_logprobs_are_kept_where_the_server_gives_them():
    told = {"content": [{"token": "yes", "logprob": -0.25}, {"token": "!", "logprob": -0.5}]}
    with Server(lambda body, n: said("yes!", token_ids=[5, 6, 2], logprobs=told)) as server:
        ((sample,),) = ask(model(server, logprobs=True, token_ids=True))
    assert sample.token_ids == (5, 6, 2)
    assert sample.n_new_tokens == 3
    assert sample.logprob == -0.75
    assert server.bodies[0]["logprobs"] is True
    assert server.bodies[0]["return_token_ids"] is True


def test_content_in_parts_and_no_content_at_all():
    replies = [said([{"type": "text", "text": "to"}, {"type": "text", "text": "day"}]), said(None, finish="length")]
    with Server(lambda body, n: replies[n]) as server:
        parts, nothing = (ask(model(server))[0][0] for _ in replies)
    assert parts.text == "today"
    assert (nothing.text, nothing.stop) == ("", StopReason.LENGTH)
    assert not is_out_of_context(nothing)


def spoke(finish="stop", **message):
    """A chat reply with one message as it is."""
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return {"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}


@pytest.mark.parametrize(
    "message",
    [
        {"content": "today", "reasoning_content": "hm"},
        {"content": "today", "reasoning": "hm"},
        {"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "today"}]},
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                {"type": "text", "text": "today"},
            ]
        },
        {"content": [{"type": "reasoning", "text": "hm"}, {"type": "output_text", "text": "today"}]},
        {"content": "today", "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]},
        {"content": "today", "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "x"}]},
        {"content": {"type": "text", "text": "today"}, "thinking": "hm"},
    ],
)
def test_reasoning_that_the_server_gives_apart_is_kept_apart(message):
    with Server(lambda body, n: spoke(**message)) as server:
        [[sample]] = ask(model(server))
    assert (sample.text, sample.reasoning) == ("today", "hm")


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ({"content": None, "reasoning_content": "hm"}, 'all its words are in "reasoning_content"'),
        ({"content": "", "reasoning": "hm"}, 'all its words are in "reasoning"'),
        ({"content": None, "tool_calls": [{"function": {"name": "python"}}]}, 'in "tool_calls"'),
        ({"content": None, "function_call": {"name": "python"}}, 'in "tool_calls"'),
        ({"content": "", "thinking": "hm"}, 'in "thinking"'),
        ({"content": None, "reasoning_details": [{"text": "hm"}]}, 'in "reasoning_details"'),
        ({"content": [{"type": "thinking", "thinking": "hm"}]}, 'in "content" as reasoning'),
    ],
)
def test_words_that_are_not_in_the_content_are_said_to_be_missing_after_one_request(message, why):
    with Server(lambda body, n: spoke(**message)) as server:
        with pytest.raises(InfrastructureError, match=re.escape(why)):
            ask(model(server))
        assert len(server.bodies) == 1


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (spoke(content=None, refusal="I cannot help."), "refused: I cannot help."),
        (spoke(content=[{"type": "refusal", "refusal": "I cannot help."}]), "refused: I cannot help."),
        (spoke("content_filter", content=""), "content filter"),
        (spoke("SAFETY", content=None), "content filter"),
        (spoke("sensitive", content=""), "content filter"),
        ((200, {}, {"choices": [{"index": 0, "finish_reason": "content_filter"}]}), "content filter"),
        ((200, {}, {"choices": [], "promptFeedback": {"blockReason": "SAFETY"}}), "blocked: SAFETY"),
        ((200, {}, {"choices": [], "prompt_filter_results": [{"x": {"filtered": True}}]}), "blocked: content_filter"),
        ((403, {}, {"error": {"message": "Request blocked by the firewall"}}), "blocked"),
    ],
)
def test_what_is_withheld_from_one_conversation_refuses_that_one(reply, why):
    with Server(lambda body, n: reply) as server:
        with pytest.raises(RefusedError, match=re.escape(why)):
            ask(model(server))
        assert len(server.bodies) == 1


@pytest.mark.parametrize(
    "reason",
    ["length", "max_tokens", "MAX_TOKENS", "model_length", "model_context_window_exceeded", "content_filter"],
)
def test_a_reply_that_was_cut_off_is_known_by_any_name(reason):
    with Server(lambda body, n: spoke(reason, content="half of")) as server:
        [[sample]] = ask(model(server))
    assert (sample.text, sample.stop) == ("half of", StopReason.LENGTH)


@pytest.mark.parametrize("reason", ["error", "abort", "insufficient_system_resource", "network_error"])
def test_a_reply_that_failed_half_way_is_asked_for_again(reason):
    with Server(lambda body, n: spoke(reason, content="half") if n == 0 else spoke(content="all of it")) as server:
        [[sample]] = ask(model(server))
    assert (sample.text, len(server.bodies)) == ("all of it", 2)


def test_a_reply_cut_off_in_its_reasoning_is_an_empty_one():
    with Server(lambda body, n: spoke("length", content=None, reasoning_content="hm")) as server:
        [[sample]] = ask(model(server))
    assert (sample.text, sample.reasoning, sample.stop) == ("", "hm", StopReason.LENGTH)


def test_cost_follows_the_prices():
    with Server(lambda body, n: said("x", usage=(2_000, 500))) as server:
        endpoint = model(server, price_in=1.5, price_out=4.0)
        ask(endpoint, Request(QUESTION), Request(QUESTION))
    assert endpoint.cost() == pytest.approx(2 * (0.002 * 1.5 + 0.0005 * 4.0))
    assert model(server).cost() is None


def test_the_key_comes_from_the_environment_and_stays_out_of_everything_shown(monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-very-secret")
    with Server(lambda body, n: (401, {}, {"error": {"message": "bad key"}})) as server:
        endpoint = model(server, api_key_env="MY_KEY")
        with pytest.raises(ModelError, match="MY_KEY") as caught:
            ask(endpoint)
    assert server.keys == ["Bearer sk-very-secret"]
    assert "secret" not in f"{caught.value} {endpoint!r} {vars(endpoint)}"


def test_the_openai_key_is_not_told_to_other_servers(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    with Server(lambda body, n: said("x")) as server:
        ask(model(server))
        ask(model(server, api_key_env="OPENAI_API_KEY"))
    assert server.keys == ["Bearer none", "Bearer sk-very-secret"]


# --- n samples ------------------------------------------------------------------------------------------------------


def test_n_samples_in_one_request_where_the_server_honours_n():
    with Server(lambda body, n: said(*"abcd"[: body["n"]], usage=(7, 8))) as server:
        (samples,) = ask(model(server), Request(QUESTION, n=4))
    assert [s.text for s in samples] == list("abcd")
    assert len(server.bodies) == 1
    assert sum(s.n_new_tokens for s in samples) == 8


@pytest.mark.parametrize("honours_n", [True, False])
def test_samples_asked_for_later_are_new_ones(honours_n):
    """A vote that goes on sampling must not count what the same seed said before."""

    def seeded(body, n):
        return said(*(f"by seed {body['seed'] + i}" for i in range(body.get("n", 1) if honours_n else 1)))

    drawn = Request(QUESTION, Sampling(temperature=0.4), seed=11)
    with Server(seeded) as server:
        endpoint = model(server)

        async def both():
            whole = await endpoint.generate([replace(drawn, n=8)])
            some = await endpoint.generate([replace(drawn, n=5)])
            rest = await endpoint.generate([replace(drawn, n=3, first=5)])
            await endpoint.aclose()
            return whole[0], some[0], rest[0]

        whole, some, rest = asyncio.run(both())
    assert len({s.text for s in (*some, *rest)}) == 8
    if not honours_n:  # each is asked for alone then, and its seed hangs on its place
        assert [s.text for s in (*some, *rest)] == [s.text for s in whole]


def test_n_samples_are_topped_up_where_the_server_ignores_n_and_that_is_remembered():
    with Server(lambda body, n: said(f"reply to {body['seed']}")) as server:
        endpoint = model(server)

        async def twice():
            first = await endpoint.generate([Request(QUESTION, Sampling(temperature=1.0), n=4, seed=3)])
            second = await endpoint.generate([Request(QUESTION, Sampling(temperature=1.0), n=3, seed=4)])
            await endpoint.aclose()
            return first[0], second[0]

        first, second = asyncio.run(twice())
    assert (len(first), len(second)) == (4, 3)
    assert len({s.text for s in first} | {s.text for s in second}) == 7  # each sample has a seed of its own
    assert [b.get("n") for b in server.bodies] == [4, None, None, None, None, None, None]


def test_n_samples_where_the_server_refuses_n():
    def behave(body, n):
        return (400, {}, {"error": {"message": "Only one completion choice is allowed"}}) if "n" in body else said("x")

    with Server(behave) as server:
        (samples,) = ask(model(server), Request(QUESTION, n=3))
    assert [s.text for s in samples] == ["x"] * 3


# --- failures that pass ---------------------------------------------------------------------------------------------

FAILURES = {
    "rate limit": (lambda: (429, {}, {"error": {"message": "slow down"}}), "answered 429 (slow down)"),
    "server error": (lambda: (500, {}, {"detail": "oh no"}), "answered 500 (oh no)"),
    "html": (lambda: "<html><body>Bad gateway</body></html>", "not JSON"),
    "no choices": (lambda: {"object": "chat.completion"}, "without choices"),
    "empty choices": (lambda: {"choices": []}, "without choices"),
    "choice of nothing": (lambda: {"choices": [{"index": 0}]}, "without a message"),
    "a list": (lambda: [1, 2], "not a JSON object"),
    "error with 200": (lambda: {"error": {"message": "upstream died"}}, "upstream died"),
}


@pytest.mark.parametrize("name", [*FAILURES, "dropped"])
def test_a_passing_failure_is_tried_again_and_then_named(name, monkeypatch):
    make, words = FAILURES.get(name, (None, "dropped the connection"))

    def fail(body, n):
        if make is None:
            raise Drop
        return make()

    quick(monkeypatch)
    with Server(lambda body, n: fail(body, n) if n < 2 else said("back again")) as server:
        assert ask(model(server))[0][0].text == "back again"
    with Server(fail) as server:
        with pytest.raises(InfrastructureError) as caught:
            ask(model(server))
        assert len(server.bodies) == 3
    message = str(caught.value)
    assert message.startswith(f"endpoint {server.url} ")
    assert words in message
    assert "(3 tries)" in message
    assert "\n" not in message


def quick(monkeypatch):
    """Keep the waits' order, not their length."""
    from agentdistill.models import server

    before = server._backoff
    monkeypatch.setattr(server, "_backoff", lambda policy, n: before(policy, n) / 100)


def test_a_refused_connection_is_named(monkeypatch):
    quick(monkeypatch)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{s.getsockname()[1]}/v1"
    with pytest.raises(InfrastructureError) as caught:
        ask(load_model("endpoint", url=url, name="tiny", tries=3))
    assert str(caught.value) == f"endpoint {url} refused the connection (3 tries)"


def test_a_slow_server_times_out(monkeypatch):
    quick(monkeypatch)
    with (
        Server(lambda body, n: time.sleep(1.5) or said("late")) as server,
        pytest.raises(InfrastructureError, match=r"did not answer in time \(2 tries\)"),
    ):
        ask(model(server, timeout_s=0.2, tries=2))


def test_retry_after_is_waited_for_and_costs_no_try(monkeypatch):
    quick(monkeypatch)

    def behave(body, n):
        return (429, {"Retry-After": "0.1"}, {"error": "busy"}) if n < 6 else said("at last")

    with Server(behave) as server:
        started = time.monotonic()
        assert ask(model(server, tries=2))[0][0].text == "at last"
        assert 0.6 <= time.monotonic() - started < 5


def test_a_server_that_says_to_come_back_at_once_is_not_asked_without_end(monkeypatch):
    quick(monkeypatch)
    with Server(lambda body, n: (429, {"Retry-After": "0"}, {})) as server:
        with pytest.raises(InfrastructureError, match="answered 429"):
            ask(model(server, patience_s=0.2))
        assert len(server.bodies) < 100


def test_a_wait_longer_than_our_patience_is_not_begun():
    with Server(lambda body, n: (503, {"Retry-After": "3600"}, {})) as server:
        started = time.monotonic()
        with pytest.raises(InfrastructureError, match="asks to wait 3600 s"):
            ask(model(server, patience_s=5))
        assert time.monotonic() - started < 4


def test_waits_double_and_are_spread():
    from agentdistill.models.server import RetryPolicy, _backoff

    policy = RetryPolicy(first_wait_s=1, longest_wait_s=10)
    for n, full in ((1, 1), (2, 2), (3, 4), (5, 10), (5000, 10)):
        waits = [_backoff(policy, n) for _ in range(50)]
        assert full / 2 <= min(waits) < max(waits) <= full


def test_a_server_that_fails_in_every_way_loses_nothing_and_doubles_nothing(monkeypatch):
    quick(monkeypatch)
    chance = random.Random(0)

    def behave(body, n):
        kind = chance.random()
        if kind < 0.08:
            raise Drop
        failures = [(500, {}, {}), (429, {"Retry-After": "0.01"}, {}), "<html>", {"choices": []}]
        return failures[int(kind * 100) % 4] if kind < 0.3 else said(body["messages"][0]["content"])

    async def go(endpoint):
        calls = (endpoint.generate([Request((Message("user", f"q{i}"),))]) for i in range(80))
        out = await asyncio.gather(*calls)
        await endpoint.aclose()
        return [s.text for ((s,),) in out]

    with Server(behave) as server:
        endpoint = model(server, tries=12)
        assert asyncio.run(go(endpoint)) == [f"q{i}" for i in range(80)]
    assert len(server.bodies) > 90
    assert endpoint.usage.n_requests == 80


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"retry-after": "2.5"}, 2.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
    ],
)
def test_retry_after_in_all_its_forms(headers, wait):
    from agentdistill.models.server import retry_after

    assert retry_after(headers) == wait


@given(st.integers(0, 10_000), st.lists(st.integers(0, 500), min_size=1, max_size=9))
def test_tokens_of_all_choices_are_shared_out_without_loss(total, lengths):
    from agentdistill.models.server import _shares

    shares = _shares(total, lengths)
    assert sum(shares) == total
    assert min(shares) >= 0
    assert len(shares) == len(lengths)


# --- failures that stay ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ((401, {"error": {"message": "no"}}), "refused the key (401); name its variable: api_key_env"),
        ((403, {"error": {"message": "no"}}), "refused the key (403)"),
        ((400, {"error": {"message": "temperature must be below 2"}}), "temperature must be below 2"),
        ((422, {"detail": [{"msg": "extra fields", "loc": ["body"]}]}), "extra fields"),
        ((429, {"error": {"message": "pay", "code": "insufficient_quota"}}), "no credit left"),
        ((404, {"error": {"message": "not here"}}), "has no /chat/completions"),
    ],
)
def test_the_users_mistakes_are_said_at_once(reply, words):
    with Server(lambda body, n: (reply[0], {}, reply[1])) as server:
        with pytest.raises(ModelError) as caught:
            ask(model(server))
        assert len(server.bodies) == 1
    assert words in str(caught.value)


def test_an_unknown_model_is_named_with_those_there_are():
    missing = 404, {}, {"error": {"message": "model not found"}}
    with Server(lambda body, n: missing) as server, pytest.raises(ModelError) as caught:
        ask(model(server, name="huge"))
    assert str(caught.value) == f"endpoint {server.url} has no model 'huge'; it has: tiny, small"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"url": "localhost:8000"}, "does not begin with http"),
        ({"prefix_mode": "guess"}, "is not one of auto"),
        ({"prefix_mode": "completions"}, "needs tokenizer"),
        ({"concurrency": 0}, "less than 1"),
        ({"retries": 3}, 'did you mean "tries"'),
    ],
)
def test_settings_that_cannot_be(settings, words):
    with pytest.raises(ModelError, match=words):
        load_model("endpoint", **{"url": "http://x/v1", "name": "m", **settings})


def test_a_prompt_that_does_not_fit_is_an_outcome_and_not_a_fault():
    long = "This model's maximum context length is 100 tokens. However, you requested 200 tokens"
    with Server(lambda body, n: (400, {}, {"error": {"message": long}}) if n == 0 else said("fits")) as server:
        endpoint = model(server, concurrency=1)
        first, second = ask(endpoint, Request(QUESTION, n=2), Request(QUESTION))
    assert len(first) == 2
    assert all(map(is_out_of_context, first))
    assert second[0].text == "fits"


def test_new_tokens_are_lowered_where_only_they_do_not_fit():
    def behave(body, n):
        if body["max_tokens"] > 30:
            message = "maximum context length is 100 tokens and your request has 70 input tokens (1024 > 100 - 70)"
            return 400, {}, {"message": f"'max_tokens' is too large: 1024. This model's {message}"}
        return said("short", finish="length")

    with Server(behave) as server:
        ((sample,),) = ask(model(server))
    assert (sample.text, sample.stop) == ("short", StopReason.LENGTH)
    assert [b["max_tokens"] for b in server.bodies] == [1024, 30]


def test_a_server_that_wants_max_completion_tokens_gets_them_from_then_on():
    def behave(body, n):
        if "max_tokens" in body:
            return 400, {}, {"error": {"message": "Use 'max_completion_tokens' instead."}}
        return said("ok")

    with Server(behave) as server:
        ask(model(server), Request(QUESTION), Request(QUESTION))
    assert ["max_tokens" in b for b in server.bodies].count(False) == 2


# --- many at once ---------------------------------------------------------------------------------------------------


def test_concurrency_is_bounded_and_every_answer_goes_to_its_question():
    def behave(body, n):
        time.sleep(0.02)
        return said(body["messages"][0]["content"].upper())

    async def go(endpoint):
        calls = (endpoint.generate([Request((Message("user", f"q{i}"),))]) for i in range(40))
        out = await asyncio.gather(*calls)
        await endpoint.aclose()
        await endpoint.aclose()
        return out

    with Server(behave) as server:
        out = asyncio.run(go(model(server, concurrency=5)))
    assert [samples[0].text for (samples,) in out] == [f"Q{i}" for i in range(40)]
    assert 2 <= server.most <= 5


def test_the_first_failure_calls_the_others_off():
    def behave(body, n):
        if body["messages"][0]["content"] == "bad":
            return 400, {}, {"error": "no such thing"}
        time.sleep(3)
        return said("slow")

    with Server(behave) as server:
        started = time.monotonic()
        with pytest.raises(ModelError, match="no such thing"):
            ask(model(server), Request((Message("user", "good"),)), Request((Message("user", "bad"),)))
        assert time.monotonic() - started < 2.5


def test_one_model_serves_one_event_loop_after_another():
    with Server(lambda body, n: said("hello")) as server:
        endpoint = model(server)
        for _ in range(3):
            ((sample,),) = asyncio.run(endpoint.generate([Request(QUESTION)]))  # not closed in between
            assert sample.text == "hello"
        asyncio.run(endpoint.aclose())


# --- continuing a prefix --------------------------------------------------------------------------------------------

SENTENCE = "The quick brown fox jumps over the lazy dog."


def obedient(body, *, continuing, echo=False):
    """A model that repeats the sentence it is shown, on a server that continues an assistant turn, or begins anew."""
    last = body["messages"][-1]
    prefix = last["content"] if last["role"] == "assistant" else ""
    if not (prefix and continuing):
        return said(SENTENCE)
    at = max((n for n in range(len(SENTENCE)) if prefix.endswith(SENTENCE[:n])), default=0)
    return said((prefix if echo else "") + SENTENCE[at:])


def vllm(body, n):
    return obedient(body, continuing=body.get("continue_final_message") and body.get("add_generation_prompt") is False)


def llama_cpp(body, n):
    return obedient(body, continuing=True)


def deepseek(body, n):
    if "continue_final_message" in body:
        return 422, {}, {"detail": "unknown field continue_final_message"}
    return obedient(body, continuing=body["messages"][-1].get("prefix"))


def echoing(body, n):
    return obedient(body, continuing=True, echo=True)


PREFIXED = Request((Message("user", f"Repeat: {SENTENCE}"),), prefix="I say: The quick brown fox")


@pytest.mark.parametrize("kind", [vllm, llama_cpp, deepseek, echoing])
def test_auto_finds_how_a_server_continues_a_prefix_once(kind):
    with Server(kind) as server:
        endpoint = model(server)
        out = ask(endpoint, PREFIXED, PREFIXED)
        n_first = len(server.bodies)
        again = ask(endpoint, PREFIXED)
    assert [s.text for (s,) in out + again] == [" jumps over the lazy dog."] * 3
    assert len(server.bodies) == n_first + 1
    assert n_first <= 4


@pytest.mark.parametrize(
    ("mode", "kind"), [("continue_final_message", vllm), ("prefill", llama_cpp), ("prefix_flag", deepseek)]
)
def test_a_given_mode_is_checked_and_used(mode, kind):
    with Server(kind) as server:
        assert ask(model(server, prefix_mode=mode), PREFIXED)[0][0].text == " jumps over the lazy dog."
        assert len(server.bodies) == 2


def test_a_given_mode_is_trusted_without_the_check():
    with Server(lambda body, n: said("blah blah")) as server:
        assert ask(model(server, prefix_mode="prefill", check_prefix=False), PREFIXED)[0][0].text == "blah blah"
    assert [len(b["messages"]) for b in server.bodies] == [2]


def test_a_server_that_ignores_the_prefix_is_named_with_what_would_work():
    with Server(lambda body, n: obedient(body, continuing=False)) as server:
        for mode in ("auto", "prefill"):
            with pytest.raises(ModelError) as caught:
                ask(model(server, prefix_mode=mode), PREFIXED)
            for part in (server.url, "prefill", "continue_final_message", "completions", "tokenizer"):
                assert part in str(caught.value)
        with pytest.raises(ModelError, match='prefix_mode is "none"'):
            ask(model(server, prefix_mode="none"), PREFIXED)
        assert ask(model(server))[0][0].text == SENTENCE  # without a prefix it serves


def test_requests_without_a_prefix_are_not_probed():
    with Server(vllm) as server:
        ask(model(server))
        assert len(server.bodies) == 1


def test_a_wrong_key_is_said_as_such_when_probing():
    with Server(lambda body, n: (401, {}, {})) as server, pytest.raises(ModelError, match="refused the key"):
        ask(model(server), PREFIXED)


def test_many_tasks_with_a_prefix_probe_once():
    async def go(endpoint):
        out = await asyncio.gather(*(endpoint.generate([PREFIXED]) for _ in range(12)))
        await endpoint.aclose()
        return Counter(s.text for ((s,),) in out)

    with Server(vllm) as server:
        assert asyncio.run(go(model(server))) == {" jumps over the lazy dog.": 12}
        assert len(server.bodies) == 13


@pytest.mark.parametrize("name", ["qwen2_5", "qwen3", "llama3", "phi4", "gemma", "mistral", "smollm2"])
def test_a_prompt_as_text_is_read_as_the_ids_a_local_model_is_given(name, tmp_path):
    from tiny_models import CONVENTIONS, build_tokenizer
    from tokenizers.processors import TemplateProcessing

    from agentdistill.models.endpoint import LocalTemplate

    tokenizer = copy.deepcopy(build_tokenizer(name))
    if bos := CONVENTIONS[name].bos:  # as the real ones: it begins every text with its marker
        ids = [(bos, tokenizer.convert_tokens_to_ids(bos))]
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=f"{bos} $A", special_tokens=ids)
    tokenizer.save_pretrained(tmp_path)
    template = LocalTemplate(str(tmp_path))
    for messages, prefix in ((QUESTION, "Thought: I will"), (PREFIXED.messages, ""), (QUESTION[1:], "a\n\n b")):
        assert tokenizer(template.text(messages, prefix)).input_ids == template.ids(messages, prefix)


def test_completions_get_ids_or_text_as_the_server_likes(tmp_path):
    from tiny_models import build_tokenizer

    build_tokenizer("smollm2").save_pretrained(tmp_path)

    def behave(body, n):
        if not isinstance(body["prompt"], str):
            return 400, {}, {"detail": "prompt must be a string."}
        choice = {"text": f"{body['prompt'][-5:]}!", "finish_reason": "stop", "logprobs": {"token_logprobs": [-1, -2]}}
        return {"choices": [choice]}

    with Server(behave) as server:
        endpoint = model(server, prefix_mode="completions", tokenizer=str(tmp_path), logprobs=True)
        first, second = ask(endpoint, PREFIXED, PREFIXED)
    assert first == second
    assert (first[0].text, first[0].logprob) == ("n fox!", -3)
    assert {b["logprobs"] for b in server.bodies} == {1}
    assert set(server.paths) == {"/v1/completions"}
    with pytest.raises(ModelError, match="cannot be loaded"):
        ask(model(server, prefix_mode="completions", tokenizer=str(tmp_path / "nothing")), PREFIXED)


def test_samples_of_an_endpoint_survive_storage():
    with Server(lambda body, n: said("é\n", logprobs=None)) as server:
        ((sample,),) = ask(model(server))
    assert json.loads(dumps(sample))["text"] == "é\n"


def test_a_refused_conversation_does_not_cost_the_others_their_samples_in_one_request():
    def behave(body, n):
        if body["messages"][0]["content"] == "bad":
            return 400, {}, {"error": {"message": "stopped by the content policy"}}
        return {"choices": [said("x")["choices"][0]] * body.get("n", 1), "usage": {}}

    with Server(behave) as server:
        endpoint = model(server)
        with pytest.raises(RefusedError):
            ask(endpoint, Request((Message("user", "bad"),), n=3))
        assert len(ask(endpoint, Request((Message("user", "good"),), n=3))[0]) == 3
    asked = [body for body in server.bodies if body["messages"][0]["content"] == "good"]
    assert len(asked) == 1
