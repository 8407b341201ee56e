"""The studio in a real browser: rigs are shown, dropped, moved, played and exported, and nothing else is asked for.

One page goes through the tests in their order, as a visitor would.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import pytest
from studio_chromium import Chromium, find_chromium

pytestmark = [
    pytest.mark.skipif(find_chromium() is None, reason="no Chromium on the path; set CHROMIUM to its program"),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def page(address):
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        chromium = Chromium(find_chromium(), Path(profile), timeout_s=240.0)
        chromium.emulate(900, 600)
        chromium.open(f"{address}/")
        wait(chromium, "document.documentElement.dataset.state === 'ready'")
        yield chromium
        chromium.close()


def wait(page, condition, timeout_s=240.0):
    end = time.monotonic() + timeout_s
    while not page.evaluate(condition):
        assert page.evaluate("document.documentElement.dataset.state") != "failed", text(page, "#status")
        assert time.monotonic() < end, f"{condition}; the page says: {text(page, '#status')}"
        time.sleep(0.2)


def text(page, selector):
    return page.evaluate(f"document.querySelector({json.dumps(selector)}).textContent")


def idle(page):
    wait(page, "document.documentElement.dataset.state === 'ready'")


def generate(page, words, **values):
    page.choose("#text", words)
    for name, value in values.items():
        page.choose(f"#{name}", str(value))
    page.evaluate("document.documentElement.dataset.state = 'asked'")
    page.click("#go")
    idle(page)


def test_a_rig_is_drawn_at_once(page):
    wait(page, "Number(document.documentElement.dataset.triangles) > 100")
    assert page.evaluate("document.querySelectorAll('#rig option').length") >= 8


def test_samples_stand_side_by_side_and_play(page):
    generate(page, "It walks.", samples=2, seconds=1)
    assert page.evaluate("document.documentElement.dataset.samples") == "2"
    assert "2 × 1.0 s" in text(page, "#status")
    before = page.evaluate("document.querySelector('#clock').value")
    wait(page, f"document.querySelector('#clock').value !== {json.dumps(before)}")


def test_the_timeline_stops_and_moves_the_motion(page, tmp_path):
    page.choose("#time", "0.5")
    wait(page, "document.querySelector('#clock').value === '0.50 s'")
    assert text(page, "#play") == "▶"
    page.screenshot(tmp_path / "a.png")
    page.choose("#time", "0.9")
    page.evaluate("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")
    page.screenshot(tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()


def test_skin_and_skeleton_are_switched(page):
    page.click("#skin")
    wait(page, "Number(document.documentElement.dataset.triangles) === 0")
    lines = page.evaluate("Number(document.documentElement.dataset.lines)")
    page.click("#bones")
    wait(page, f"Number(document.documentElement.dataset.lines) < {lines}")
    page.click("#skin")
    page.click("#bones")
    wait(page, "Number(document.documentElement.dataset.triangles) > 100")
    wait(page, f"Number(document.documentElement.dataset.lines) >= {lines}")
    assert page.evaluate("Number(document.documentElement.dataset.lines)") == lines


def test_every_sample_is_exported(page):
    links = page.evaluate("[...document.querySelectorAll('#exports a')].map(a => a.getAttribute('href'))")
    assert len(links) == 6
    for link in links:
        size = f"fetch({json.dumps(link)}).then(async r => r.ok && (await r.arrayBuffer()).byteLength)"
        assert page.evaluate(size) > 500


def test_a_rig_is_dropped_and_moved(page):
    page.evaluate(
        """(async () => {
          const data = await (await fetch('/api/files/serpent.glb')).arrayBuffer();
          const transfer = new DataTransfer();
          transfer.items.add(new File([data], 'my snake.glb'));
          document.documentElement.dataset.state = 'asked';
          window.dispatchEvent(new DragEvent('drop', {dataTransfer: transfer, cancelable: true}));
        })()"""
    )
    idle(page)
    assert page.evaluate("document.querySelector('#rig').value") == "my snake.glb"
    generate(page, "It slithers.\nIt rests. @0.5", samples=1, seconds=1)
    assert page.evaluate("document.documentElement.dataset.samples") == "1"
    assert "1 × 1.5 s" in text(page, "#status")


def test_a_file_that_is_no_rig_is_refused_with_a_line(page):
    page.evaluate(
        """(() => {
          const transfer = new DataTransfer();
          transfer.items.add(new File(['nothing'], '<b>x</b>.glb'));
          document.documentElement.dataset.state = 'asked';
          window.dispatchEvent(new DragEvent('drop', {dataTransfer: transfer, cancelable: true}));
        })()"""
    )
    end = time.monotonic() + 120
    while page.evaluate("document.documentElement.dataset.state") != "failed":
        assert time.monotonic() < end
        time.sleep(0.1)
    assert page.evaluate("document.querySelector('#status').classList.contains('wrong')")
    assert page.evaluate("document.querySelector('#status').children.length") == 0
    page.problems[:] = [p for p in page.problems if "400" not in p]
    page.evaluate("document.documentElement.dataset.state = 'ready'")


def test_nothing_was_asked_for_elsewhere_and_nothing_went_wrong(page, address):
    outside = [u for u in page.requests if not u.startswith((address, "blob:", "data:"))]
    assert not outside
    assert not [p for p in page.problems if "GPU" not in p and "GL Driver" not in p]
