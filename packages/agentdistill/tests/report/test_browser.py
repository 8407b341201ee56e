"""The page in a real browser: it works, it asks for nothing, and what a model wrote stays text."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from chromium import Chromium, find_chromium
from synthetic_run import HOSTILE

from agentdistill.report.run import outcome, read_run

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="no Chromium on the path; set CHROMIUM to its program")


@pytest.fixture(scope="module")
def browser():
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        chromium = Chromium(find_chromium(), Path(profile))
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser, run_dir):
    browser.requests.clear()
    browser.problems.clear()
    browser.emulate(1280, 900)
    browser.open("about:blank")  # so that the next address is loaded even where only its hash differs
    browser.open((run_dir / "report.html").as_uri())
    yield browser
    assert browser.problems == []
    assert {u for u in browser.requests if not u.startswith(("about:", "data:"))} == {
        (run_dir / "report.html").as_uri()
    }
    assert browser.evaluate("window.pwned === undefined && document.querySelectorAll('script').length === 2")


def listed(page):
    """How many episodes the page says are listed."""
    return int(page.evaluate("document.getElementById('count').textContent").split(" ")[0].replace(",", ""))


def number_of(run_dir, wanted):
    return sum(wanted(part, t) for part in read_run(run_dir).traced for t in part.traces)


def test_filters_select_what_the_files_hold(page, run_dir):
    assert listed(page) == number_of(run_dir, lambda p, t: True)
    page.choose("#f-outcome", "wrong")
    assert listed(page) == number_of(run_dir, lambda p, t: outcome(t) == "wrong")
    page.choose("#f-error", "parse")
    assert 0 < listed(page) < number_of(run_dir, lambda p, t: outcome(t) == "wrong")
    page.choose("#f-outcome", "")
    page.choose("#f-error", "none")
    page.choose("#f-tool", "search")
    searched = number_of(run_dir, lambda p, t: any(s.tool_calls for s in t.steps))
    assert 0 < listed(page) < searched, "some episodes that search also fail somewhere"
    page.choose("#f-error", "")
    assert listed(page) == searched
    page.choose("#f-tool", "none")
    assert listed(page) == number_of(run_dir, lambda p, t: not any(s.tool_calls for s in t.steps))


def test_model_family_and_text_narrow_down_together(page, run_dir):
    choose_source(page, "3M · Agent distilled")
    assert listed(page) == number_of(run_dir, lambda p, t: p.key == "evaluate/3M--agent-distill") == 64
    page.choose("#f-family", "0")
    assert listed(page) == 8
    page.choose("#f-text", "VELMORA 3 works")
    assert listed(page) == 1
    page.choose("#f-text", "no such words")
    assert listed(page) == 0


def test_pages_turn(page):
    first = page.evaluate("document.querySelector('#list .question').parentNode.getAttribute('aria-label')")
    assert page.evaluate("document.querySelectorAll('#list li').length") == 40
    assert page.evaluate("document.getElementById('previous').disabled")
    page.click("#next")
    assert page.evaluate("document.getElementById('page').textContent").startswith("2 of ")
    page.click("#previous")
    assert page.evaluate("document.querySelector('#list .question').parentNode.getAttribute('aria-label')") == first


def test_an_episode_opens_turn_by_turn_with_hostile_text_inert(page):
    page.choose("#f-outcome", "wrong")
    page.choose("#f-text", "window.pwned = 2")
    page.click("#list li:first-child button")
    shown = page.evaluate("document.getElementById('episode').textContent")
    for words in ("Step 1", "Step 2", "Gold", "tool call", "not chosen", "</script><script>window.pwned = 1</script>"):
        assert words in shown
    assert "␀ ␛[31mred" in shown, "control characters are made visible"
    assert page.evaluate("document.querySelectorAll('#episode img, #episode svg, #episode script').length") == 0
    assert page.evaluate("document.querySelector('#episode .keyword').textContent") == "for"
    assert page.evaluate("document.querySelector('#episode .comment').textContent") == "# who founded it"


def choose_source(page, label):
    """Pick a model and method by what its option says."""
    found = f"[...document.querySelectorAll('#f-source option')].find((o) => o.text === {json.dumps(label)})"
    page.choose("#f-source", page.evaluate(f"{found}.value"))


def test_what_was_trained_on_is_marked_and_can_be_unmarked(page):
    choose_source(page, "teacher · Agent + prefix (collected, agent-prefix)")
    page.choose("#f-outcome", "right")
    page.click("#list li:first-child button")
    colour = "getComputedStyle(document.querySelector('#episode .learned')).backgroundColor"
    clear = "rgba(0, 0, 0, 0)"
    assert page.evaluate(colour) != clear
    given = page.evaluate("document.querySelector('#episode .prefix').textContent")
    assert given == "First I find where the founder was born."
    learned = page.evaluate("[...document.querySelectorAll('#episode .learned')].map((e) => e.textContent)")
    assert any(text.startswith(given) for text in learned)
    assert all(text.endswith("```⏎") for text in learned)
    assert page.evaluate("document.querySelector('#episode .observed').closest('.learned')") is None
    page.click("#trained")
    assert page.evaluate(colour) == clear


def test_an_evaluated_episode_is_not_marked_as_trained(page):
    page.choose("#f-source", "0")
    page.click("#list li:first-child button")
    assert page.evaluate("document.getElementById('episode').classList.contains('trained')") is False


def test_a_link_opens_its_episode(page, run_dir):
    page.choose("#f-text", "velmora 5")
    page.click("#list li:nth-child(2) button")
    address = page.evaluate("location.href")
    heading = page.evaluate("document.querySelector('#episode .kicker').textContent")
    page.requests.clear()
    page.open("about:blank")
    page.open(address)
    assert page.evaluate("document.querySelector('#episode .kicker').textContent") == heading
    page.requests[:] = [u.split("#")[0] for u in page.requests]


@pytest.mark.parametrize(("width", "height", "dark"), [(1280, 900, False), (390, 844, True), (320, 640, False)])
def test_the_page_fits_its_screen_in_either_theme(page, width, height, dark, tmp_path):
    page.emulate(width, height, dark=dark, mobile=width < 800)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0] > 128")
    assert light is not dark
    page.click("#theme")
    page.click("#theme")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]") < 128


def test_it_prints_light_whole_and_without_controls(page):
    page.emulate(790, 1100, dark=True, media="print")
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    shown = "(id) => getComputedStyle(document.querySelector(id)).display !== 'none'"
    assert page.evaluate(f"['#ladder', '#families', '#collection', '.wide'].every({shown})")
    assert not page.evaluate(f"['.bar', '#episodes', '.narrow'].some({shown})")
    # The picture of a printed sheet is as wide as what is on it.
    assert page.evaluate("Math.max(...[...document.querySelectorAll('table')].map((t) => t.scrollWidth))") <= 790
    page.emulate(1280, 900)


LOW_CONTRAST = """(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const css = getComputedStyle(document.documentElement);
  const linear = (v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const luminance = (name) => {
    canvas.fillStyle = css.getPropertyValue(name);
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const out = [];
  for (const ground of ['--paper', '--card', '--faint']) {
    for (const text of TEXTS) {
      const [light, dark] = [luminance(text), luminance(ground)].sort((p, q) => q - p);
      const ratio = (light + 0.05) / (dark + 0.05);
      if (ratio < 4.5) out.push(`${text} on ${ground}: ${ratio.toFixed(2)}`);
    }
  }
  return out;
})()"""
TEXTS = ["--ink", "--soft", "--right", "--wrong", "--fault", *(f"--tone{i}" for i in range(8))]


@pytest.mark.parametrize("dark", [False, True])
def test_every_text_colour_stands_out_from_every_ground(page, dark):
    """WCAG AA: a ratio of at least 4.5."""
    page.emulate(1280, 900, dark=dark)
    assert page.evaluate(LOW_CONTRAST.replace("TEXTS", json.dumps(TEXTS))) == []


def test_every_control_has_a_name(page):
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button, select, input')].filter(e => !(e.textContent.trim() || e.labels?.length"
        " || e.getAttribute('aria-label'))).map(e => e.outerHTML)"
    )
    assert unnamed == []
    assert page.evaluate("[...document.querySelectorAll('svg')].every(s => s.getAttribute('aria-label'))")


def test_hostile_text_in_a_search_is_only_searched_for(page):
    page.choose("#f-text", HOSTILE.split("\u2028")[0])
    assert listed(page) > 0
    page.choose("#f-text", json.dumps("<img src=x onerror=alert(1)>"))
    assert listed(page) == 0
