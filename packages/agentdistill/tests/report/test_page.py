from __future__ import annotations

import base64
import hashlib
import itertools
import random
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_run import HOSTILE, _problem, episode, write_run

from agentdistill.report import ladder_svg, render, summarize, write_report
from agentdistill.report.svg import spread
from agentdistill.store import write_json, write_jsonl


class Page(HTMLParser):
    """Elements, links and scripts of a page, and whether every element is closed."""

    VOID = ("meta", "link", "input", "br", "img", "hr")

    def __init__(self, html):
        super().__init__()
        self.tags, self.links, self.scripts, self.open, self.ids = [], [], [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [v for k, v in attrs if k in ("src", "href", "srcset", "action", "data", "poster", "xlink:href")]
        self.ids += [v for k, v in attrs if k == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)


@pytest.fixture(scope="module")
def html(run_dir):
    return (run_dir / "report.html").read_text(encoding="utf-8")


def test_the_page_is_well_formed_and_needs_nothing_from_outside(html):
    page = Page(html)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert all(link.startswith("#") or link == "data:," for link in page.links)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert "url(" not in html.split('id="data"')[0]
    assert "@import" not in html.split('id="data"')[0]


def test_the_policy_allows_this_script_and_no_other(html):
    data, script = Page(html).scripts
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1]
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{allowed}'" in policy
    assert data.startswith("{")


def test_every_number_of_the_headline_is_there(report, html):
    for e in report["evaluations"]:
        accuracy = e["average"]["accuracy"]
        assert f"<b>{accuracy['estimate'] * 100:.1f}</b>" in html
        assert f"{accuracy['low'] * 100:.1f} – {accuracy['high'] * 100:.1f}" in html
    assert report["reading"] in html
    for c in report["comparisons"]:
        assert f"{c['difference']['estimate'] * 100:+.1f}".replace("-", "−") in html


def test_hostile_names_are_text_everywhere(tmp_path):
    run = write_run(tmp_path / "run", n=1, students=("0.1M",))
    problem = _problem("factual-2hop", 0)
    traces = [episode(problem, HOSTILE, HOSTILE, True, random.Random(3))]
    manifest = {"student": HOSTILE, "method": HOSTILE, "n_parameters": 5, "settings": {"x": HOSTILE}}
    write_jsonl(run / "evaluate" / "bad--bad" / "traces.jsonl", traces)
    write_json(run / "evaluate" / "bad--bad" / "manifest.json", manifest)
    write_json(run / "recipe.json", {HOSTILE: HOSTILE})
    counts = {"kept": 1, HOSTILE: 2}
    write_json(run / "filter" / "agent" / "manifest.json", {"counts": counts})
    html = render(summarize(run), run)
    page = Page(html)
    assert page.tags.count("script") == 2
    assert not {"img", "iframe", "object"} & set(page.tags)
    assert page.open == []
    assert "<svg onload" not in html


def test_the_funnel_says_why_and_not_which_filter(html):
    assert '<span class="name">wrong answer</span>' in html
    assert '<span class="name">failed scored</span>' in html
    assert '<span class="name">right answer</span>' not in html


@settings(max_examples=200)
@given(st.lists(st.floats(0, 300), max_size=12), st.floats(5, 20))
def test_labels_are_spread_apart_and_stay_in_their_frame(wanted, gap):
    placed = spread(wanted, gap, 0, 300)
    assert all(b - a >= gap - 1e-6 for a, b in itertools.pairwise(sorted(placed)))
    assert [p for _, p in sorted(zip(wanted, placed, strict=True))] == sorted(placed), "their order stays"
    if gap * len(wanted) <= 300:
        assert all(-1e-6 <= p <= 300 + 1e-6 for p in placed)


@pytest.mark.parametrize("missing", ["collect", "evaluate", "train", "filter", "recipe.json"])
def test_a_run_without_one_of_its_stages_still_renders(tmp_path, missing):
    run = write_run(tmp_path / "run", n=1, students=("0.1M", "0.3M"))
    (run / missing).rename(tmp_path / "gone")
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert page.open == []
    assert ("ladder" in page.ids) == (missing != "evaluate")
    assert ("collection" in page.ids) == (missing != "collect")


def test_one_model_without_a_size_or_a_scored_trace_renders(tmp_path):
    problem = _problem("math-words", 0)
    never = random.Random(0)
    never.random = lambda: 0.99  # always the fault
    fault = episode(problem, "agent", "m", False, never)
    write_jsonl(tmp_path / "evaluate" / "m--agent" / "traces.jsonl", [fault])
    html = render(summarize(tmp_path), tmp_path)
    assert Page(html).open == []
    assert ladder_svg(summarize(tmp_path)) == ""


def test_the_ladder_is_a_picture_of_its_own(report):
    svg = ladder_svg(report)
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    marks = [e for e in root.iter() if "mark" in e.get("class", "").split()]
    students = [e for e in report["evaluations"] if e["role"] != "teacher"]
    assert len(marks) == len(students)
    assert len([e for e in root.iter() if e.get("class", "").startswith("whisker")]) == len(students)
    assert len([e for e in root.iter() if e.get("class", "").startswith("carried")]) == 3, (
        "of four sizes, three have a next"
    )
    assert "var(--tone0)" in svg
    assert "--tone0:" in svg


def test_points_lie_where_the_numbers_say(report):
    root = ElementTree.fromstring(ladder_svg(report))
    ns = "{http://www.w3.org/2000/svg}"
    ticks = {e.text: float(e.get("y")) for e in root.iter(f"{ns}text") if e.get("class") == "tick" and "%" in e.text}
    zero, twenty = ticks["0 %"], ticks["20 %"]
    circles = sorted(float(e.get("cy")) for e in root.iter(f"{ns}circle"))
    shares = sorted(
        (e["average"]["accuracy"]["estimate"] for e in report["evaluations"] if e["method"] == "agent-distill"),
        reverse=True,
    )
    expected = [zero - 3.5 - s / 0.2 * (zero - twenty) for s in shares]
    assert circles == pytest.approx(expected, abs=0.02)
