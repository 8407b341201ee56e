"""The chat page in a real browser: steps appear as they happen, and what a model wrote stays text."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from chromium import find_chromium

pytest.importorskip("fastapi", reason="the extra agentdistill[serve] is not installed")
pytestmark = pytest.mark.skipif(find_chromium() is None, reason="no Chromium on the path; set CHROMIUM to its program")

from agent_server import served  # noqa: E402
from chat_page import ask, text, wait  # noqa: E402

from agentdistill.errors import InfrastructureError  # noqa: E402
from agentdistill.models.scripted import Scripted  # noqa: E402
from agentdistill.serve import ServeSettings  # noqa: E402
from agentdistill.types import Consistency  # noqa: E402
from agentdistill.verify.judging import Choosing  # noqa: E402
from agentdistill.verify.verifiers import Kit  # noqa: E402

HOSTILE = "<img src=x onerror='window.pwned = 1'></script><script>window.pwned = 2</script>"


class Student:
    """Looks a river up, then answers; holds its second step until told to go on."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    async def say(self, request, i: int) -> str:
        question = [m.content for m in request.messages if m.role == "user" and "Observation" not in m.content][-1]
        if "recall" in question:
            return "Thought: I kept it.\nCode:\n```py\nfinal_answer(km)\n```"
        if not request.messages[-1].content.startswith("Observation"):
            thought = f"I look it up. {HOSTILE}"
            return f"Thought: {thought}\nCode:\n```py\nkm = length_of('Aren')  # {i % 2}\nprint(km, {HOSTILE!r})\n```"
        await asyncio.to_thread(self.go_on.wait, 120)
        return "Thought: There it is.\nCode:\n```py\nfinal_answer(km)\n```"


@pytest.fixture(scope="module")
def student():
    return Student()


@pytest.fixture(scope="module")
def server(environment, student):
    judge = Scripted(lambda request: f"{HOSTILE}\n```py\nprint({'404' in request.messages[-1].content})\n```")
    agent = {"vote": Consistency(n=3, adaptive=False), "choosing": Choosing(3, Kit(environment), judge)}
    with served(Scripted(student.say, name="student"), environment, **agent) as up:
        yield up


@pytest.fixture
def page(browser, server):
    browser.requests.clear()
    browser.problems.clear()
    browser.emulate(1280, 900)
    browser.open("about:blank")
    browser.open(server.url + "/")
    wait(browser, "document.getElementById('name').textContent === 'student'")
    yield browser
    assert browser.problems == []
    assert all(u.startswith((server.url, "about:", "data:")) for u in browser.requests)
    assert browser.evaluate("window.pwned === undefined && document.querySelectorAll('img').length === 0")


def test_steps_appear_as_they_happen_and_the_conversation_goes_on(page, student):
    student.go_on.clear()
    ask(page, f"How long is the Aren? {HOSTILE}")
    wait(page, "document.querySelectorAll('.observed').length === 1")
    assert text(page, ".asked") == f"How long is the Aren? {HOSTILE}"
    assert text(page, ".turn .thought") == f"I look it up. {HOSTILE}"
    assert text(page, ".turn .source").startswith("km = length_of('Aren')")
    assert text(page, ".turn .comment") == "# 0"
    assert f"404 {HOSTILE}" in text(page, ".observed")
    assert "1 tool call: length_of" in text(page, ".turn details")
    assert text(page, ".answer") == "", "the second step is not there yet"
    assert page.evaluate("document.querySelector('#send').hidden && !document.querySelector('#stop').hidden")
    student.go_on.set()
    wait(page, "document.querySelectorAll('.answer').length === 1")
    assert text(page, ".answer") == "404"
    assert text(page, ".cost").startswith("2 steps · ")
    ask(page, "recall")
    wait(page, "document.querySelectorAll('.answer').length === 2")
    assert text(page, "li:nth-child(2) .answer") == "404", "the session kept the variable"
    page.click("#new")
    assert page.evaluate("document.querySelectorAll('.turn').length") == 0
    ask(page, "recall")
    wait(page, "document.querySelectorAll('.answer').length === 1")
    assert "NameError" in text(page, ".observed"), "a new conversation has a new session"


def test_candidates_of_a_vote_are_shown(page, student):
    student.go_on.set()
    page.choose("#how", ":vote")
    ask(page, "How long is the Aren?")
    wait(page, "document.querySelectorAll('.answer').length === 1")
    assert "2 candidates tried and not chosen" in text(page, ".turn:first-child")
    assert page.evaluate("document.querySelectorAll('.turn:first-child .call-box .source').length") == 2


def test_trajectories_are_shown_side_by_side_and_the_chosen_one_is_open(page, student):
    student.go_on.clear()
    page.choose("#how", ":verify")
    ask(page, "How long is the Aren?")
    wait(page, "document.querySelectorAll('.candidate .observed').length === 3")
    assert page.evaluate("document.querySelectorAll('.candidate > summary.busy').length") == 3
    student.go_on.set()
    wait(page, "document.querySelectorAll('.answer').length === 1")
    assert text(page, ".answer") == "404"
    assert text(page, ".cost").startswith("3 trajectories · ")
    assert text(page, ".why").startswith("Candidate 1 chosen: ")
    assert page.evaluate("[...document.querySelectorAll('.candidate')].map(c => c.open)") == [True, False, False]
    for place in (1, 2, 3):
        said = text(page, f".candidate:nth-of-type({place}) > summary")
        assert said.startswith(f"Candidate {place}404checks: 4 true"), said
    assert page.evaluate("document.querySelectorAll('.busy').length") == 0
    assert page.evaluate("document.querySelectorAll('.candidate:nth-of-type(2) .turn').length") == 2


def test_an_answer_can_be_stopped(page, student, server):
    student.go_on.clear()
    ask(page, "How long is the Aren?")
    wait(page, "document.querySelectorAll('.observed').length === 1")
    page.click("#stop")
    wait(page, "document.querySelectorAll('.answer').length === 1")
    assert text(page, ".answer") == "Stopped."
    assert page.evaluate("document.querySelector('#question').value") == "How long is the Aren?"
    student.go_on.set()
    deadline = time.monotonic() + 60
    while server.agent.gate.running and time.monotonic() < deadline:
        time.sleep(0.05)
    assert server.agent.gate.running == 0


def test_a_question_without_an_answer_is_there_to_be_asked_again(browser, environment):
    said = iter((InfrastructureError("the disk is full"), "Thought: 404.\nCode:\n```py\nfinal_answer(404)\n```"))
    with served(Scripted(lambda request: next(said), name="student"), environment) as up:
        browser.open(up.url + "/")
        wait(browser, "document.getElementById('name').textContent === 'student'")
        ask(browser, "How long is\nthe Aren?")
        wait(browser, "document.querySelectorAll('.answer').length === 1")
        assert text(browser, ".failed").endswith("the disk is full (try again in about 5 s)")
        assert browser.evaluate("document.activeElement.value") == "How long is\nthe Aren?"
        browser.click("#send")
        wait(browser, "document.querySelectorAll('.answer').length === 2")
        assert text(browser, "li:nth-child(2) .answer") == "404"
        assert browser.evaluate("document.activeElement.value") == ""
        browser.open("about:blank")


def test_a_screen_of_any_width_and_theme(page, student):
    student.go_on.set()
    ask(page, "How long is the Aren? " + "x" * 300)
    wait(page, "document.querySelectorAll('.answer').length === 1")
    for width, dark in ((1280, False), (390, True), (320, False)):
        page.emulate(width, 800, dark=dark, mobile=width < 800)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), width
        light = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0] > 128")
        assert light is not dark
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button, select, input, textarea')].filter(e => !(e.textContent.trim() || "
        "e.labels?.length || e.getAttribute('aria-label'))).map(e => e.outerHTML)"
    )
    assert unnamed == []


def test_a_server_with_a_key_asks_for_it(browser, environment, student):
    student.go_on.set()
    with served(Scripted(student.say, name="student"), environment, ServeSettings(api_key="sesame")) as up:
        browser.open(up.url + "/")
        wait(browser, "!document.getElementById('unlock').hidden")
        browser.choose("#key", "sesame")
        browser.click("#unlock button")
        wait(browser, "document.getElementById('name').textContent === 'student'")
        ask(browser, "How long is the Aren?")
        wait(browser, "document.querySelectorAll('.answer').length === 1")
        assert text(browser, ".answer") == "404"
        browser.open("about:blank")
