"""The chat page and the server: keys that are missing, wrong or old, and a server that is away."""

from __future__ import annotations

import pytest
from chromium import find_chromium

pytest.importorskip("fastapi", reason="the extra agentdistill[serve] is not installed")
pytestmark = pytest.mark.skipif(find_chromium() is None, reason="no Chromium on the path; set CHROMIUM to its program")

from agent_server import served  # noqa: E402
from chat_page import READY, Student, answers, ask, in_sight, open_page, text, wait  # noqa: E402

from agentdistill.models.scripted import Scripted  # noqa: E402
from agentdistill.serve import ServeSettings  # noqa: E402


@pytest.fixture(scope="module")
def student():
    return Student()


@pytest.fixture(scope="module")
def locked(environment, student):
    with served(Scripted(student.say, name="student"), environment, ServeSettings(api_key="sesame")) as up:
        yield up


@pytest.fixture
def locked_page(browser, locked):
    browser.emulate(390, 844, mobile=True)
    browser.open("about:blank")
    browser.open(locked.url + "/health")
    browser.evaluate("sessionStorage.clear()")
    browser.open(locked.url + "/")
    wait(browser, "!document.getElementById('unlock').hidden")
    yield browser
    browser.open("about:blank")


MISSING, WRONG = "This server asks for a key. Whoever started it knows it.", "The server does not take this key."


def test_a_missing_key_is_told_where_a_question_is_asked(locked_page):
    assert text(locked_page, "#why") == MISSING
    ask(locked_page, "How long is the Aren?")
    wait(locked_page, "document.activeElement.id === 'key'")
    assert text(locked_page, "#why") == MISSING
    assert in_sight(locked_page, "#unlock")
    assert locked_page.evaluate("document.querySelector('#question').value") == "How long is the Aren?"
    locked_page.choose("#key", " sesame ")
    locked_page.click("#send")
    assert answers(locked_page, 1) == ["404"], "a key that was typed is tried"


@pytest.mark.parametrize("key", ["open", "Sesame", "sesame sesame", "schlüssel", "鍵", "🔑"])
def test_a_wrong_key_is_told(locked_page, key):
    locked_page.choose("#key", key)
    locked_page.click("#unlock button")
    wait(locked_page, f"document.getElementById('why').textContent === {WRONG!r}")
    assert locked_page.evaluate("document.querySelector('#key').ariaInvalid") == "true"
    assert locked_page.evaluate("document.activeElement.id") == "key"
    locked_page.choose("#key", "sesame")
    locked_page.click("#unlock button")
    wait(locked_page, READY)
    assert locked_page.evaluate("document.querySelector('#unlock').hidden")


def test_a_key_that_is_taken_is_kept_over_a_reload_and_one_that_is_no_more_is_told(locked_page):
    locked_page.choose("#key", "sesame")
    locked_page.click("#unlock button")
    wait(locked_page, READY)
    locked_page.reload()
    wait(locked_page, READY)
    assert locked_page.evaluate("document.querySelector('#unlock').hidden")
    ask(locked_page, "How long is the Aren?")
    assert answers(locked_page, 1) == ["404"]
    locked_page.evaluate(  # as after a restart of the server with another key
        "(() => { const real = fetch; window.fetch = (url, o) =>"
        " real(url, {...o, headers: {...o.headers, Authorization: 'Bearer old'}}); })()"
    )
    ask(locked_page, "And the Brin?")
    assert answers(locked_page, 2)[-1] == WRONG == text(locked_page, "#why")
    assert in_sight(locked_page, "#unlock")
    assert locked_page.evaluate("document.querySelector('#question').value") == "And the Brin?"
    locked_page.evaluate("sessionStorage.setItem('agentdistill-key', '\"old\"')")
    locked_page.reload()
    wait(locked_page, f"document.getElementById('why').textContent === {WRONG!r}")
    assert answers(locked_page, 2)[0] == "404", "the talk is still there"


def test_a_server_that_came_back_with_another_agent_is_asked_by_its_name(browser, environment, student):
    with served(Scripted(student.say, name="student"), environment) as up:
        browser.emulate(1280, 900)
        open_page(browser, up.url)
        up.agent.name = "pupil"
        ask(browser, "How long is the Aren?")
        assert answers(browser, 1) == ["no such model; there are: pupil, pupil:vote, pupil:raw"]
        browser.click("#send")
        assert answers(browser, 2)[-1] == "404"
        assert text(browser, "#name") == "pupil"
    browser.open("about:blank")


def test_a_server_that_is_away_is_told_and_can_be_tried_again(browser, environment, student):
    with served(Scripted(student.say, name="student"), environment) as up:
        browser.emulate(1280, 900)
        open_page(browser, up.url)
        browser.evaluate("window.real = fetch; window.fetch = () => Promise.reject(new TypeError('Failed to fetch'))")
        ask(browser, "How long is the Aren?")
        assert answers(browser, 1) == ["The server cannot be reached. Is it still running?"]
        assert browser.evaluate("document.querySelector('#question').value") == "How long is the Aren?"
        browser.evaluate("window.fetch = real")
        browser.click("#send")
        assert answers(browser, 2)[-1] == "404"
    ask(browser, "And now?")
    assert answers(browser, 3)[-1] == "The server cannot be reached. Is it still running?"
    browser.open("about:blank")
