"""Answers chosen among several trajectories, through the real client: all of them told, the checked one taken."""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections import defaultdict

import pytest
from agent_server import served

openai = pytest.importorskip("openai")
pytest.importorskip("fastapi", reason="the extra agentdistill[serve] is not installed")

from agentdistill.environment import Environment  # noqa: E402
from agentdistill.errors import InfrastructureError  # noqa: E402
from agentdistill.models.scripted import Scripted  # noqa: E402
from agentdistill.verify.judging import TEMPERATURE, Choosing  # noqa: E402
from agentdistill.verify.verifiers import Kit  # noqa: E402

NO_RETRY = {"max_retries": 0, "timeout": 120.0, "api_key": "none"}


def act(code: str) -> str:
    return f"Thought: next.\nCode:\n```py\n{code}\n```"


class Student:
    """Of three tries at a question only the third is right; it keeps what it found in a variable."""

    def __init__(self) -> None:
        self.tries: dict[str, itertools.count] = defaultdict(itertools.count)

    def __call__(self, request) -> str:
        [*_, question] = [m.content for m in request.messages if m.role == "user" and "Observation" not in m.content]
        seen = request.messages[-1].content.startswith("Observation")
        if "recall" in question:
            return act("final_answer('forgotten')" if seen else "final_answer(found)")
        if seen:
            return act("final_answer(found)")
        number = re.search(r"number (\d+)", question)[1]
        right = next(self.tries[number]) % 3 == 2
        return act(f"found = '{number if right else 1}'\nprint('looked at', found)")


def check(request) -> str:
    """The verifier: only what was found to be longer than one digit passes."""
    solution = request.messages[-1].content
    return f"```py\nprint({re.search(r'looked at [0-9]{2,}', solution) is not None})\n```"


@pytest.fixture(scope="module")
def box():
    with Environment(mode="process") as made:
        yield made


@pytest.fixture
def student():
    return Scripted(Student(), name="student")


@pytest.fixture
def server(environment, box, student):
    with served(student, environment, choosing=Choosing(3, Kit(box), Scripted(check))) as up:
        yield up


@pytest.fixture
def client(server):
    return openai.OpenAI(base_url=f"{server.url}/v1", **NO_RETRY)


def ask(client, question: str, model: str = "student:verify", **more):
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": question}], **more)


def test_the_one_that_passes_its_check_is_taken_and_all_are_told(client, student):
    done = ask(client, "What is number 412?").choices[0]
    assert (done.message.content, done.finish_reason) == ("412", "stop"), "the majority said 1"
    told = done.message.verification
    assert (told["chosen"], told["answer"], told["fallback"]) == (2, "412", None)
    assert [c["answer"] for c in told["candidates"]] == ["1", "1", "412"]
    assert [set(c["verdicts"]) for c in told["candidates"]] == [{"false"}, {"false"}, {"true"}]
    assert [len(c["steps"]) for c in told["candidates"]] == [2, 2, 2]
    assert done.message.steps == told["candidates"][2]["steps"]
    said = done.message.reasoning_content
    assert [f"Candidate {i}" in said for i in (1, 2, 3, 4)] == [True, True, True, False]
    assert "looked at 412" in said
    assert "chosen: " in said
    assert {r.sampling.temperature for r in student.requests} == {TEMPERATURE}, "greedy ones would all be the same"
    assert len({r.seed for r in student.requests}) == len(student.requests)


def test_a_stream_tells_each_trajectory_as_it_goes_on(client):
    whole = ask(client, "What is number 412?")
    chunks = list(ask(client, "What is number 412?", stream=True, stream_options={"include_usage": True}))
    deltas = [c.choices[0].delta for c in chunks if c.choices]
    steps = defaultdict(list)
    ended = {}
    told = [c.agent for c in chunks if hasattr(c, "agent")]
    for t in told:
        if "step" in t:
            assert t["candidate"] not in ended, "nothing is told of it after its end"
            steps[t["candidate"]].append(t["step"])
        if "ended" in t:
            ended[t["candidate"]] = t["ended"]["answer"]
    assert ended == {0: "1", 1: "1", 2: "412"}
    message = whole.choices[0].message
    assert [steps[i] for i in range(3)] == [c["steps"] for c in message.verification["candidates"]]
    [verification] = [t["verification"] for t in told if "verification" in t]
    assert verification == message.verification
    said = "".join(getattr(d, "reasoning_content", None) or "" for d in deltas)
    assert sorted(said.split()) == sorted(message.reasoning_content.split())
    assert "".join(d.content or "" for d in deltas) == "412"
    assert chunks[-1].usage == whole.usage
    alone = ask(client, "What is number 412?", "student").usage
    assert whole.usage.completion_tokens > 3 * alone.completion_tokens, "three trajectories, and their checks"


def test_the_conversation_goes_on_in_the_state_of_the_one_that_was_chosen(client):
    extra = {"extra_body": {"conversation": "conversation-1"}}
    assert ask(client, "What is number 77?", **extra).choices[0].message.content == "77"
    said = [
        {"role": "user", "content": "What is number 77?"},
        {"role": "assistant", "content": "77"},
        {"role": "user", "content": "recall"},
    ]
    for model in ("student", "student:verify"):
        done = client.chat.completions.create(model=model, messages=said, **extra).choices[0].message
        assert done.content == "77"
        said += [{"role": "assistant", "content": "77"}, {"role": "user", "content": "recall"}]


def test_questions_asked_at_once_are_not_mixed_up(client, server):
    got: dict[int, str] = {}

    def run(n: int) -> None:
        got[n] = ask(client, f"What is number {n}?").choices[0].message.content

    threads = [threading.Thread(target=run, args=(n,)) for n in range(50, 56)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(120)
    assert got == {n: str(n) for n in range(50, 56)}
    assert server.agent.gate.running == 0


def test_it_is_offered_only_where_it_was_asked_for(client, environment):
    assert [m.id for m in client.models.list()] == ["student", "student:vote", "student:verify", "student:raw"]
    with served(Scripted(Student(), name="student"), environment) as plain:
        other = openai.OpenAI(base_url=f"{plain.url}/v1", **NO_RETRY)
        assert "student:verify" not in [m.id for m in other.models.list()]
        with pytest.raises(openai.NotFoundError):
            ask(other, "What is number 4?")


@pytest.mark.parametrize("stream", [False, True])
def test_faults_are_told_by_their_status(environment, box, stream):
    def down(request):
        return InfrastructureError("the verifier is down")

    verifier = Scripted(down)
    with served(Scripted(Student(), name="student"), environment, choosing=Choosing(2, Kit(box), verifier)) as up:
        client = openai.OpenAI(base_url=f"{up.url}/v1", **NO_RETRY)
        if stream:
            with pytest.raises(openai.APIError, match="the verifier is down"):
                list(ask(client, "What is number 4?", stream=True))
        else:
            with pytest.raises(openai.InternalServerError) as caught:
                ask(client, "What is number 4?")
            assert caught.value.status_code == 503
            assert json.loads(caught.value.response.text)["error"]["code"] == "fault"
    broken = Scripted(down, name="student")
    with (
        served(broken, environment, choosing=Choosing(2, Kit(box))) as up,
        pytest.raises(openai.InternalServerError, match="is down"),
    ):
        ask(openai.OpenAI(base_url=f"{up.url}/v1", **NO_RETRY), "What is number 4?", stream=stream)
