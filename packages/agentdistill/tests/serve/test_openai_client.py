"""The served agent through the real ``openai`` client: answers, streams, sessions, errors, load, and its end."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
import urllib.error
import urllib.request

import pytest
from agent_server import served

openai = pytest.importorskip("openai")
pytest.importorskip("fastapi", reason="the extra agentdistill[serve] is not installed")

from agentdistill.errors import InfrastructureError  # noqa: E402
from agentdistill.models.scripted import Scripted  # noqa: E402
from agentdistill.serve import ServeSettings  # noqa: E402
from agentdistill.types import Consistency  # noqa: E402
from agentdistill.verify.judging import Choosing  # noqa: E402
from agentdistill.verify.verifiers import Kit  # noqa: E402

NO_RETRY = {"max_retries": 0, "timeout": 60.0, "api_key": "none"}


def act(code: str, thought: str = "next") -> str:
    return f"Thought: {thought}.\nCode:\n```py\n{code}\n```"


def reply(request, i: int = 0) -> str:
    """What the scripted student does: it echoes numbers, looks up rivers, remembers, errs."""
    turns = [m for m in request.messages if m.role == "user" and not m.content.startswith("Observation")]
    question = turns[-1].content
    seen = request.messages[-1].content if request.messages[-1].content.startswith("Observation") else ""
    if number := re.search(r"echo (\w+)", question):
        return act(f"final_answer({number[1]!r})", f"I echo {number[1]}")
    if river := re.search(r"river (\w+)", question):
        return act("final_answer(km)") if seen else act(f"km = length_of({river[1]!r})\nprint(km)", "I look it up")
    if "remember" in question:
        return act("kept = 42\nfinal_answer('done')")
    if "recall" in question:
        return act("final_answer(kept)") if not seen else act("final_answer('forgotten')")
    if "vote" in question:
        return act(f"final_answer({'412' if i % 3 else '1'})", f"candidate {i}")
    return act("print(1 / 0)", "I err")


@pytest.fixture(scope="module")
def server(environment):
    model = Scripted(lambda request, i: reply(request, i), name="student")
    with served(model, environment, vote=Consistency(n=5, adaptive=False)) as up:
        yield up


@pytest.fixture
def client(server):
    return openai.OpenAI(base_url=f"{server.url}/v1", **NO_RETRY)


def ask(client, question: str, model: str = "student", **more):
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": question}], **more)


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as r:
        return r.read().decode()


def test_an_answer_comes_with_its_steps(client):
    done = ask(client, "How long is the river Aren?")
    choice = done.choices[0]
    assert (choice.message.content, choice.finish_reason) == ("404", "stop")
    look, answer = choice.message.steps
    assert (look["thought"], look["code"]) == ("I look it up.", "km = length_of('Aren')\nprint(km)")
    assert (look["status"], look["observation"], answer["status"]) == ("ok", "Observation: 404", "final")
    assert [c["name"] for c in look["tool_calls"]] == ["length_of"]
    for part in ("I look it up", "length_of('Aren')", "Observation: 404", "final_answer(km)"):
        assert part in choice.message.reasoning_content
    assert done.usage.completion_tokens > 0
    assert done.usage.total_tokens == done.usage.prompt_tokens + done.usage.completion_tokens


def test_a_stream_tells_the_same_as_it_happens(client):
    whole = ask(client, "How long is the river Aren?").choices[0].message
    chunks = list(ask(client, "How long is the river Aren?", stream=True, stream_options={"include_usage": True}))
    deltas = [c.choices[0].delta for c in chunks if c.choices]
    assert "".join(d.content or "" for d in deltas) == whole.content
    said = "".join(getattr(d, "reasoning_content", None) or "" for d in deltas)
    assert said.split() == whole.reasoning_content.split()
    told = [c.agent for c in chunks if hasattr(c, "agent")]
    assert [t["step"] for t in told if "step" in t] == whole.steps
    assert [list(t) for t in told] == [["wrote"], ["step"]] * 2, "written is told before it is run"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage.completion_tokens > 0
    assert len({c.id for c in chunks}) == 1


def test_a_step_by_vote_shows_its_candidates(client):
    done = ask(client, "vote", model="student:vote").choices[0].message
    assert done.content == "412"
    [step] = done.steps
    assert sorted(c["answer"] for c in step["candidates"]) == ["1", "1", "412", "412"], "the fifth was taken"
    assert "chosen among 5 candidates" in done.reasoning_content
    chunks = list(ask(client, "vote", model="student:vote", stream=True))
    [wrote] = [c.agent["wrote"] for c in chunks if "wrote" in getattr(c, "agent", {})]
    assert len(wrote) == 5


def test_the_clients_own_helper_puts_every_stream_together(environment):
    judge = Scripted("```py\nprint(True)\n```")
    agent = {"vote": Consistency(n=3, adaptive=False), "choosing": Choosing(2, Kit(environment), judge)}
    with served(Scripted(reply, name="student"), environment, **agent) as up:
        client = openai.OpenAI(base_url=f"{up.url}/v1", **NO_RETRY)
        for variant, kinds in (
            ("", {"wrote", "step"}),
            (":vote", {"wrote", "step"}),
            (":verify", {"candidate", "wrote", "step", "ended", "verification"}),
            (":raw", set()),
        ):
            messages = [{"role": "user", "content": "How long is the river Aren?"}]
            with client.chat.completions.stream(model=f"student{variant}", messages=messages) as stream:
                told = [getattr(e.chunk, "agent", {}) for e in stream if e.type == "chunk"]
                message = stream.get_final_completion().choices[0].message
            assert set().union(*told) == kinds, variant
            if variant == ":raw":
                assert "length_of" in message.content
            else:
                assert message.content == "404"
                assert "I look it up" in message.reasoning_content


def test_no_answer_is_told_as_such(client):
    choice = ask(client, "err").choices[0]
    assert choice.finish_reason == "length"
    assert "no answer" in choice.message.content
    assert [s["status"] for s in choice.message.steps] == ["exception"] * 4


def test_a_named_conversation_keeps_its_variables_and_an_unnamed_one_does_not(server, client):
    said = [{"role": "user", "content": "remember"}, {"role": "assistant", "content": "done"}]
    question = {"role": "user", "content": "recall"}

    def second(name: str | None, messages) -> str:
        extra = {"conversation": name} if name else {}
        done = client.chat.completions.create(model="student", messages=messages, extra_body=extra)
        return done.choices[0].message.content

    for name in ("conversation-1", "conversation-2"):
        second(name, said[:1])
    assert second(None, [*said, question]) == "forgotten"
    assert second("conversation-1", [*said, question]) == "42"
    named = server.agent.model._model.requests[-1].messages
    assert second(None, [*said, question]) == "forgotten"
    assert named == server.agent.model._model.requests[-2].messages, "it is shown the words, named or not"
    edited = [said[0], {"role": "assistant", "content": "something else"}, question]
    assert second("conversation-2", edited) == "forgotten"
    assert second("conversation-3", [*said, question]) == "forgotten"


def test_earlier_turns_and_instructions_reach_the_model(server, client):
    messages = [
        {"role": "system", "content": "Answer in km."},
        {"role": "user", "content": "echo one"},
        {"role": "assistant", "content": "one"},
        {"role": "user", "content": [{"type": "text", "text": "echo "}, {"type": "text", "text": "two"}]},
    ]
    done = client.chat.completions.create(model="student", messages=messages)
    assert done.choices[0].message.content == "two"
    last = server.agent.model._model.requests[-1]
    assert [m.role for m in last.messages] == ["system", "user", "assistant", "user"]
    assert last.messages[1].content == "Answer in km.\n\necho one"
    assert "final_answer('one')" in last.messages[2].content


def test_settings_of_the_request_reach_the_model(server, client):
    ask(client, "echo x", temperature=0.5, top_p=0.7, max_tokens=17, seed=3)
    ask(client, "echo x", temperature=0.5, top_p=0.7, max_tokens=17, seed=3)
    one, other = (server.agent.model._model.requests[i] for i in (-2, -1))
    assert (one.sampling.temperature, one.sampling.top_p, one.sampling.max_new_tokens) == (0.5, 0.7, 17)
    assert one.seed == other.seed
    ask(client, "echo x", temperature=0.5)
    ask(client, "echo x", temperature=0.5)
    assert server.agent.model._model.requests[-1].seed != server.agent.model._model.requests[-2].seed


def test_stop_strings_cut_the_answer_and_not_what_the_server_says_in_its_place(client):
    assert ask(client, "echo abcdef", stop=["ef", "cd"]).choices[0].message.content == "ab"
    assert ask(client, "err", stop=" ").choices[0].message == ask(client, "err").choices[0].message
    streamed = ask(client, "err", stop=" ", stream=True)
    assert "used up" in "".join(c.choices[0].delta.content or "" for c in streamed)


@pytest.mark.parametrize("model", ["student", "student:raw"])
def test_what_cannot_be_had_is_refused_by_its_name(client, model):
    for wanted in (
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]},
        {"functions": [{"name": "f", "parameters": {}}]},
        {"response_format": {"type": "json_object"}},
        {"logprobs": True, "top_logprobs": 3},
    ):
        with pytest.raises(openai.BadRequestError) as e:
            ask(client, "echo x", model=model, **wanted)
        assert (e.value.code, e.value.param) == ("unsupported", next(iter(wanted)))
    same = {"stream": None, "n": None, "tools": [], "response_format": {"type": "text"}, "logprobs": False}
    assert "x" in ask(client, "echo x", model=model, **same).choices[0].message.content


def test_the_bare_model_is_there_for_clients_with_a_loop_of_their_own(client):
    done = ask(client, "echo x", model="student:raw", n=2, stop=["```py"])
    assert [c.message.content for c in done.choices] == ["Thought: I echo x.\nCode:\n"] * 2
    chunks = list(ask(client, "echo x", model="student:raw", stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == act("final_answer('x')", "I echo x")


def test_models_are_listed(client):
    assert [m.id for m in client.models.list()] == ["student", "student:vote", "student:raw"]
    assert client.models.retrieve("student:vote").id == "student:vote"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("another")


def test_many_at_once_are_not_mixed_up(server):
    async def play() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", **NO_RETRY) as client:

            async def one(i: int) -> str:
                messages = [{"role": "user", "content": f"echo n{i}"}]
                if i % 2:
                    done = await client.chat.completions.create(model="student", messages=messages)
                    return done.choices[0].message.content
                stream = await client.chat.completions.create(model="student", messages=messages, stream=True)
                return "".join([c.choices[0].delta.content or "" async for c in stream])

            return await asyncio.gather(*(one(i) for i in range(48)))

    assert asyncio.run(play()) == [f"n{i}" for i in range(48)]


def test_health_and_metrics_tell_what_happened(server, client):
    health = json.loads(get(f"{server.url}/health"))
    assert health == {"status": "ok", "running": 0, "waiting": 0}
    before = get(f"{server.url}/metrics")
    ask(client, "echo x")
    with pytest.raises(openai.BadRequestError):
        ask(client, " ")
    after = get(f"{server.url}/metrics")

    def value(text: str, line: str) -> float:
        found = re.search(rf"^{re.escape(line)} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    for line in (
        'agentdistill_requests_total{model="student",outcome="answered"}',
        'agentdistill_requests_total{model="student",outcome="no_question"}',
        'agentdistill_steps_count{model="student"}',
        'agentdistill_request_seconds_count{model="student"}',
        'agentdistill_refusal_seconds_count{model="student",outcome="no_question"}',
    ):
        assert value(after, line) == value(before, line) + 1, line
    written = 'agentdistill_tokens_total{direction="written"}'
    assert value(after, written) > value(before, written)


def test_too_many_are_told_to_come_again_and_the_client_does(environment):
    hold = threading.Event()

    async def slow(request) -> str:
        await asyncio.to_thread(hold.wait, 60)
        return reply(request)

    with served(Scripted(slow, name="student"), environment, n_running=1, n_waiting=1) as up:
        patient = openai.OpenAI(base_url=f"{up.url}/v1", api_key="none", max_retries=5, timeout=60)
        hasty = openai.OpenAI(base_url=f"{up.url}/v1", **NO_RETRY)
        answers: list[str] = []

        def one(name: str) -> None:
            answers.append(ask(patient, f"echo {name}").choices[0].message.content)

        threads = [threading.Thread(target=one, args=(name,)) for name in ("n0", "n1")]
        for t in threads:
            t.start()
        while up.agent.gate.running + up.agent.gate.waiting < 2:
            time.sleep(0.01)
        with pytest.raises(openai.RateLimitError) as e:
            ask(hasty, "echo more")
        assert int(e.value.response.headers["Retry-After"]) >= 1
        threads.append(threading.Thread(target=one, args=("later",)))
        threads[-1].start()
        time.sleep(0.2)
        hold.set()
        for t in threads:
            t.join(60)
        assert sorted(answers) == ["later", "n0", "n1"]


def test_a_client_that_goes_away_takes_its_answer_along(environment):
    started, ended = threading.Event(), threading.Event()

    async def endless(request) -> str:
        started.set()
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            ended.set()
            raise
        return ""

    with served(Scripted(endless, name="student"), environment, ServeSettings(patience_s=0.1)) as up:
        for stream in (False, True):
            started.clear()
            ended.clear()
            client = openai.OpenAI(base_url=f"{up.url}/v1", **{**NO_RETRY, "timeout": 4.0})
            with pytest.raises(openai.APITimeoutError):
                for _ in ask(client, "echo x", stream=stream):
                    pass
            assert started.is_set()
            assert ended.wait(20), f"the model still works, stream={stream}"


def test_a_fault_of_the_world_is_a_503_and_a_late_one_an_error_in_the_stream(environment):
    later = threading.Event()

    async def failing(request) -> str:
        if later.is_set():
            await asyncio.sleep(0.5)
        raise InfrastructureError("the model's server is down")

    with served(Scripted(failing, name="student"), environment, ServeSettings(patience_s=0.1)) as up:
        client = openai.OpenAI(base_url=f"{up.url}/v1", **NO_RETRY)
        for stream in (False, True):
            with pytest.raises(openai.InternalServerError, match="is down") as e:
                ask(client, "echo x", stream=stream)
            assert e.value.status_code == 503
        later.set()
        with pytest.raises(openai.APIError, match="is down"):
            list(ask(client, "echo x", stream=True))


def test_a_server_told_to_end_lets_answers_under_way_finish_and_tells_the_others(environment):
    hold = threading.Event()

    async def slow(request) -> str:
        await asyncio.to_thread(hold.wait, 60)
        return reply(request)

    with served(Scripted(slow, name="student"), environment, n_running=1) as up:
        client = openai.OpenAI(base_url=f"{up.url}/v1", **NO_RETRY)
        answers: list[object] = []

        def one(name: str) -> None:
            try:
                answers.append(ask(client, f"echo {name}").choices[0].message.content)
            except openai.APIStatusError as e:
                answers.append((e.status_code, e.body["code"]))

        threads = [threading.Thread(target=one, args=(n,)) for n in ("first", "second")]
        for t in threads:
            t.start()
            while up.agent.gate.running + up.agent.gate.waiting < len([t for t in threads if t.ident]):
                time.sleep(0.01)
        server = up.app.state.server
        loop_done = threading.Event()
        asyncio.run_coroutine_threadsafe(server.stop(30.0), up.loop).add_done_callback(lambda _: loop_done.set())
        threads[1].join(20)
        assert answers == [(503, "shutting_down")]
        with pytest.raises(openai.InternalServerError):
            ask(client, "echo third")
        with pytest.raises(urllib.error.HTTPError, match="503"):
            get(f"{up.url}/health")
        hold.set()
        threads[0].join(20)
        assert answers[1] == "first"
        assert loop_done.wait(20)


def test_keys_are_asked_for_where_there_is_one(environment):
    settings = ServeSettings(api_key="sesame")
    with served(Scripted(reply, name="student"), environment, settings) as up:
        for key in ("none", "sesamE"):
            client = openai.OpenAI(base_url=f"{up.url}/v1", **{**NO_RETRY, "api_key": key})
            with pytest.raises(openai.AuthenticationError):
                ask(client, "echo x")
            with pytest.raises(openai.AuthenticationError):
                client.models.list()
        client = openai.OpenAI(base_url=f"{up.url}/v1", **{**NO_RETRY, "api_key": "sesame"})
        assert ask(client, "echo x").choices[0].message.content == "x"
        assert json.loads(get(f"{up.url}/health"))["status"] == "ok"
        with pytest.raises(urllib.error.HTTPError, match="401"):
            get(f"{up.url}/metrics")
