"""The chat page as people use it: on a phone, with a screen reader, over reloads, with a key, with the keyboard."""

from __future__ import annotations

import re

import pytest
from chromium import find_chromium

pytest.importorskip("fastapi", reason="the extra agentdistill[serve] is not installed")
pytestmark = pytest.mark.skipif(find_chromium() is None, reason="no Chromium on the path; set CHROMIUM to its program")

from agent_server import served  # noqa: E402
from chat_page import LINES, READY, Student, answers, ask, in_sight, open_page, place, text, wait  # noqa: E402

from agentdistill.models.scripted import Scripted  # noqa: E402


@pytest.fixture(scope="module")
def student():
    return Student()


@pytest.fixture(scope="module")
def server(environment, student):
    with served(Scripted(student.say, name="student"), environment) as up:
        yield up


@pytest.fixture
def page(browser, server, student):
    student.go_on.clear()
    browser.problems.clear()
    browser.emulate(1280, 900)
    open_page(browser, server.url)
    yield browser
    student.go_on.set()
    # A question asked while a stopped one is still ending is refused with 409 and asked again; Chromium logs every 4xx.
    assert [p for p in browser.problems if "409 (Conflict)" not in p] == []


# --- what is in sight -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), [(390, 844), (320, 568), (844, 390)])
def test_on_a_phone_the_answer_is_in_sight_without_a_keyboard_over_it(page, width, height):
    page.emulate(width, height, mobile=True)
    for n in (1, 2):
        ask(page, f"How long is the Aren, question {n}?")
        assert answers(page, n)[-1] == "404"
        assert in_sight(page, ".answer"), place(page, ".answer")
        assert page.evaluate("document.activeElement === document.body"), "else the keyboard covers the answer"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if height > width:
        assert in_sight(page, ".asked"), "the steps make room"
        page.click("#turns > li:last-child .work > summary")
        assert page.evaluate("[...document.querySelectorAll('.observed')].at(-1).checkVisibility()")


def test_on_a_desktop_the_answer_is_in_sight_below_its_steps(page):
    page.emulate(1280, 500)
    ask(page, "How long is the Aren?")
    assert answers(page, 1) == ["404"]
    assert in_sight(page, ".answer")
    assert page.evaluate("document.querySelector('.observed').checkVisibility()")
    assert page.evaluate("document.activeElement.id") == "question"


@pytest.mark.parametrize("mobile", [False, True])
def test_an_answer_longer_than_the_window_is_shown_from_its_beginning(page, mobile):
    page.emulate(390, 844, mobile=mobile)
    ask(page, "How long is the Aren?")
    answers(page, 1)
    ask(page, "everything")
    assert answers(page, 2)[-1] == LINES
    top, bottom = place(page, ".answer")
    assert -0.01 < top < 0.2
    assert bottom > 1


def test_who_reads_above_is_left_there_and_led_to_the_answer(page, student):
    page.emulate(390, 500, mobile=True)
    ask(page, "slow")
    wait(page, "document.querySelectorAll('.observed').length === 1")
    page.evaluate("window.scrollTo({top: 0, behavior: 'instant'})")
    wait(page, "!document.querySelector('#end').hidden")
    student.go_on.set()
    answers(page, 1)
    assert page.evaluate("window.scrollY") == 0
    assert text(page, "#end") == "Answer ↓"
    assert page.evaluate("document.querySelector('.work').open")
    assert page.evaluate("document.querySelector('#end').getBoundingClientRect().bottom < innerHeight")
    page.evaluate("document.querySelector('#end').click()")
    wait(page, "document.querySelector('#end').hidden")
    assert in_sight(page, ".answer")


# --- who listens ------------------------------------------------------------------------------------------------------

LIVE = "[aria-live], [role=status], [role=alert], [role=log]"
RECORD = (
    f"window.heard = []; for (const live of document.querySelectorAll('{LIVE}'))"
    " new MutationObserver(() => live.textContent && heard.push(live.textContent))"
    ".observe(live, {childList: true, characterData: true, subtree: true})"
)


@pytest.mark.parametrize(
    ("question", "heard"),
    [
        ("How long is the Aren?", ["Asked.", "Step 1: ran.", "Answer: 404"]),
        ("everything", ["Asked.", f"Answer: {LINES}"]),
        ("err", ["Asked.", "Step 1: exception.", "Answer: 404"]),
    ],
)
def test_screen_readers_hear_every_step_once_and_the_answer(page, question, heard):
    page.evaluate(RECORD)
    ask(page, question)
    answers(page, 1)
    assert page.evaluate("heard") == heard
    assert page.evaluate("document.querySelector('#turns').closest('[aria-live]') === null")
    assert page.evaluate("[...document.querySelectorAll('#turns h2')].map(h => h.textContent)") == [question]


def test_screen_readers_hear_that_it_was_stopped(page):
    ask(page, "slow")
    wait(page, "document.querySelectorAll('.observed').length === 1")
    page.evaluate(RECORD)
    page.press("Escape")
    answers(page, 1)
    assert page.evaluate("heard") == ["Stopped."]


# --- the keyboard, time, copies ---------------------------------------------------------------------------------------


def test_escape_stops_and_the_next_question_is_answered(page, student):
    ask(page, "slow")
    wait(page, "document.querySelectorAll('.observed').length === 1")
    page.evaluate("document.dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape', isComposing: true}))")
    assert text(page, ".answer") == "", "this one belongs to the input method"
    page.press("Escape")
    assert answers(page, 1) == ["Stopped."]
    assert page.evaluate("document.activeElement.value") == "slow"
    page.press("Escape")
    ask(page, "recall")
    assert answers(page, 2)[-1] == "404" or "NameError" in text(page, "li:last-child .observed")
    assert page.evaluate("[...document.querySelectorAll('.failed .answer')].length") == 0


def test_the_seconds_are_counted_and_told(page, student):
    ask(page, "slow")
    wait(page, "/^At work · [1-9]\\d* s$/.test(document.querySelector('.working').textContent)")
    student.go_on.set()
    answers(page, 1)
    found = re.match(r"2 steps · (\d+(?:\.\d)?) s · ", text(page, ".cost"))
    assert found is not None, text(page, ".cost")
    assert 1.0 <= float(found[1]) < 60
    assert not page.evaluate("document.querySelector('.working')")


@pytest.mark.parametrize("secure", [True, False])
def test_answers_and_code_can_be_copied_as_they_are(page, secure):
    if not secure:  # as from another machine over plain HTTP, where there is no clipboard to write to
        page.evaluate("navigator.clipboard.writeText = undefined")
    ask(page, "odd")
    assert answers(page, 1) == ["a\ufffdb\n\tc é"]
    page.clipboard()
    page.click(".after .copy")
    wait(page, "document.querySelector('.after .copy').textContent === 'Copied'")
    assert page.clipboard() == "a\u202eb\n\tc é"
    page.click(".turn .copy")
    wait(page, "document.querySelector('.turn .copy').textContent === 'Copied'")
    assert page.clipboard() == "final_answer('a\\u202eb\\n\\tc é')"
    assert text(page, "#said") == "Copied."
    wait(page, "document.querySelector('.after .copy').textContent === 'Copy'")


# --- reloads ----------------------------------------------------------------------------------------------------------


def test_a_reload_keeps_the_talk_its_session_and_what_was_being_typed(page):
    ask(page, "How long is the Aren?")
    answers(page, 1)
    page.choose("#how", ":vote")
    page.choose("#question", "reca")
    before = text(page, "#turns")
    page.reload()
    wait(page, READY)
    assert text(page, "#turns") == before
    assert in_sight(page, ".answer")
    assert page.evaluate("[document.querySelector('#how').value, document.querySelector('#question').value]") == [
        ":vote",
        "reca",
    ]
    page.choose("#how", "")
    ask(page, "recall")
    assert answers(page, 2) == ["404", "404"], "the same conversation, with its variables"
    page.click("#new")
    page.reload()
    wait(page, READY)
    assert text(page, "#turns") == ""
    assert page.evaluate("!document.querySelector('#lede').hidden")


def test_a_reload_in_the_middle_keeps_the_steps_and_the_question(page, student):
    ask(page, "recall")
    answers(page, 1)
    ask(page, "slow")
    wait(page, "document.querySelectorAll('li:nth-child(2) .observed').length === 1")
    page.reload()
    wait(page, READY)
    assert answers(page, 2)[-1] == "The page was left before there was an answer."
    assert "line 59" in text(page, "li:nth-child(2) .observed")
    assert page.evaluate("document.querySelector('#question').value") == "slow"
    student.go_on.set()
    page.click("#send")
    assert answers(page, 3)[-1] == "404"


def test_a_talk_too_long_for_the_browser_keeps_its_answers(page):
    for n in (1, 2):
        ask(page, f"How long is the Aren? {n}")
        answers(page, n)
    page.evaluate(
        "Storage.prototype.real = Storage.prototype.setItem;"
        "const most = sessionStorage.getItem('agentdistill-talk').length - 200;"
        "Storage.prototype.setItem = function (name, value) {"
        " if (value.length > most) throw new DOMException('full', 'QuotaExceededError'); this.real(name, value); }"
    )
    page.reload()
    wait(page, READY)
    assert answers(page, 2) == ["404", "404"]
    assert page.evaluate("document.querySelectorAll('li:first-child .turn').length") == 0
    assert page.evaluate("document.querySelectorAll('li:last-child .turn').length") == 2
    page.evaluate("sessionStorage.clear(); Storage.prototype.setItem = () => { throw new Error('none'); }")
    ask(page, "recall")
    assert answers(page, 3)[-1] == "404", "a browser that keeps nothing can be used too"


@pytest.mark.parametrize("kept", ["{", "[]", '{"version": 1, "turns": [{}]}', '{"version": 0, "turns": []}'])
def test_what_another_version_has_kept_is_no_obstacle(page, kept):
    page.evaluate(f"window.addEventListener('pagehide', () => sessionStorage.setItem('agentdistill-talk', {kept!r}))")
    page.reload()
    wait(page, READY)
    ask(page, "How long is the Aren?")
    assert answers(page, 1) == ["404"]


def test_the_theme_is_kept(page, server):
    dark = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0] < 128"
    page.click("#theme")
    page.click("#theme")
    for again in (page.reload, lambda: open_page(page, server.url)):
        assert page.evaluate(dark)
        assert text(page, "#theme") == "☾ dark"
        again()
        wait(page, READY)
    page.click("#theme")
    page.reload()
    assert text(page, "#theme") == "◐ auto"
    assert not page.evaluate(dark)
