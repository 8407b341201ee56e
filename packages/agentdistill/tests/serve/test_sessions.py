"""Sessions of named conversations through the real client: what they survive, and what is never in them."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from agent_server import served

openai = pytest.importorskip("openai")
pytest.importorskip("fastapi", reason="the extra agentdistill[serve] is not installed")

from agentdistill.environment import Environment  # noqa: E402
from agentdistill.errors import InfrastructureError  # noqa: E402
from agentdistill.models.scripted import Scripted  # noqa: E402
from agentdistill.serve.conversation import Shelf  # noqa: E402
from agentdistill.verify.judging import Choosing  # noqa: E402
from agentdistill.verify.verifiers import Kit  # noqa: E402

CONTEXT = 600


def act(code: str) -> str:
    return f"Thought: next.\nCode:\n```py\n{code}\n```"


class Student:
    """Keeps a number in a variable. Told to fail, it spoils the variable first."""

    def __init__(self) -> None:
        self.hangs = threading.Event()

    async def __call__(self, request):
        turns = [m for m in request.messages if m.role == "user" and not m.content.startswith("Observation")]
        question = turns[-1].content
        seen = request.messages[-1].content.startswith("Observation")
        if "remember" in question:
            return act("kept = 42\nfinal_answer('It is kept')")
        if "add" in question:
            return act("kept += 1\nfinal_answer('added')")
        if "recall" in question:
            return act("final_answer('forgotten')" if seen else "final_answer(kept)")
        if "look at much" in question:
            room = CONTEXT - sum(len(m.content.split()) for m in request.messages)
            return act("final_answer('seen')" if seen else f"kept = 42\nprint('word ' * {room - 40})")
        if "several" in question:
            return act("final_answer('one\\n  two\\n\\nthree')")
        if "go on" in question:
            return act("print(1)")
        if "overflow" in question:
            return act(f"print('word ' * {CONTEXT})")
        if not seen:
            return act("kept = 0")
        if "hang" in question:
            self.hangs.set()
            await asyncio.sleep(600)
        return InfrastructureError("the search server is down")


@pytest.fixture(scope="module")
def student():
    return Student()


@pytest.fixture(scope="module")
def server(environment, student):
    model = Scripted(student, name="student", context_length=CONTEXT)
    with Environment(mode="process") as box:
        checks = Scripted("```py\nprint(True)\n```")
        with served(model, environment, choosing=Choosing(2, Kit(box), checks)) as up:
            yield up


class Conversation:
    """A client that tells the whole story every time, as the protocol has it."""

    count = 0

    def __init__(self, url: str, model: str = "student") -> None:
        Conversation.count += 1
        self.name = f"conversation-{Conversation.count}"
        self.model, self.said = model, []
        self.client = openai.OpenAI(base_url=f"{url}/v1", max_retries=0, timeout=60.0, api_key="none")

    def ask(self, question: str, **more) -> str:
        messages = [*self.said, {"role": "user", "content": question}]
        extra = {"conversation": self.name}
        done = self.client.chat.completions.create(model=self.model, messages=messages, extra_body=extra, **more)
        message = done.choices[0].message
        self.said = [*messages, {"role": "assistant", "content": message.content}]
        return message.content


MODELS = pytest.mark.parametrize("model", ["student", "student:vote", "student:verify"])


@MODELS
def test_every_answer_finds_what_the_ones_before_left(server, model):
    talk = Conversation(server.url, model)
    assert [talk.ask(q) for q in ("remember", "add", "add", "recall", "recall")] == [
        "It is kept",
        "added",
        "added",
        "44",
        "44",
    ]


@pytest.mark.parametrize("question", ["remember\n", "  remember", "\nremember \n"])
def test_blanks_around_a_question_change_nothing(server, question):
    talk = Conversation(server.url)
    talk.ask(question)
    assert talk.ask("recall") == "42"


@pytest.mark.parametrize(
    "told",
    [
        lambda text: text.strip() + " ",
        lambda text: text.replace("\n", "\r\n"),
        lambda text: " ".join(text.split()),
        lambda text: [{"type": "text", "text": text}],
    ],
    ids=["trimmed", "line ends", "one line", "parts"],
)
def test_clients_may_tell_it_in_another_shape(server, told):
    talk = Conversation(server.url)
    assert [talk.ask(q) for q in ("remember\n\n", "several lines")] == ["It is kept", "one\n  two\n\nthree"]
    talk.said = [{**m, "content": told(m["content"]), "name": "n", "reasoning_content": "r"} for m in talk.said]
    assert talk.ask("recall") == "42"


@pytest.mark.parametrize("way", [{"model": "student:vote"}, {"temperature": 0.5}, {"stop": ["x"]}, {"seed": 3}])
def test_the_session_is_the_conversations_however_the_next_is_asked(server, way):
    talk = Conversation(server.url)
    talk.ask("remember")
    talk.model = way.pop("model", talk.model)
    assert talk.ask("recall", **way) == "42"


@MODELS
def test_what_found_no_answer_leaves_the_variables_to_the_next_question(server, model):
    talk = Conversation(server.url, model)
    talk.ask("remember")
    assert "steps I may take are used up" in talk.ask("go on and on")
    assert "no longer fits" in talk.ask("overflow")
    assert talk.ask("recall") == "42"


@MODELS
def test_an_answer_cut_at_a_stop_string_is_what_was_said(server, model):
    talk = Conversation(server.url, model)
    assert talk.ask("remember", stop=[" kept"]) == "It is"
    assert talk.ask("recall") == "42"


@MODELS
def test_a_question_that_is_too_long_leaves_the_session_as_it_was(server, model):
    talk = Conversation(server.url, model)
    talk.ask("remember")
    for _ in range(2):
        with pytest.raises(openai.BadRequestError, match="longer than the model can read"):
            talk.ask("word " * CONTEXT)
    assert talk.ask("recall") == "42"


@MODELS
def test_a_fault_half_way_leaves_the_session_as_it_was(server, model):
    talk = Conversation(server.url, model)
    talk.ask("remember")
    for _ in range(2):
        with pytest.raises(openai.InternalServerError, match="is down"):
            talk.ask("fail")
    assert talk.ask("recall") == "42"


@MODELS
def test_who_stops_an_answer_finds_the_session_as_it_was(server, student, model):
    talk = Conversation(server.url, model)
    talk.ask("remember")
    student.hangs.clear()
    messages = [*talk.said, {"role": "user", "content": "hang"}]
    extra = {"conversation": talk.name}
    stream = talk.client.chat.completions.create(model=model, messages=messages, extra_body=extra, stream=True)
    next(iter(stream))
    assert student.hangs.wait(60)
    stream.close()
    while server.agent.gate.running:
        time.sleep(0.01)
    assert talk.ask("recall") == "42"


@MODELS
def test_the_steps_of_earlier_answers_are_not_shown_and_the_variables_are_there(server, model):
    talk = Conversation(server.url, model)
    assert talk.ask("look at much") == "seen"
    assert talk.ask("recall " + "please " * 60) == "42", "the steps would have left no room"
    asked = server.agent.model._model.requests[-1].messages
    assert not any("word word" in m.content for m in asked)
    assert talk.ask("recall") == "42"


def test_nothing_is_left_open(server):
    while server.agent._closing:
        time.sleep(0.01)
    assert (server.agent.gate.running, server.agent.shelf._busy) == (0, set())


def test_as_many_sessions_are_kept_as_the_server_was_told(environment):
    with served(Scripted(Student(), name="student"), environment, shelf=Shelf(n_kept=1)) as up:
        first, second = Conversation(up.url), Conversation(up.url)
        assert [first.ask("remember"), second.ask("remember")] == ["It is kept"] * 2
        assert second.ask("recall") == "42"
        assert first.ask("recall") != "42"
