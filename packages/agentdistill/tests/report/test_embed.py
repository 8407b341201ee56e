from __future__ import annotations

import json
from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_run import HOSTILE, Message, Problem, final_step

from agentdistill.report import page
from agentdistill.report.page import embed, sample, script_json
from agentdistill.report.run import Part, StoredRun, outcome, read_run
from agentdistill.types import End, Score, Source, Step, StepStatus, Trace


def traces(n, n_right, family="f", end=End.ANSWERED):
    return tuple(
        Trace(f"{family}/{i}", Problem(f"{family}/{i}", f"question {i}", "a", family=family), "agent", "m", (),
              (final_step("a"),), end, "a", None if end is End.FAULT else Score(i < n_right, "a", "short"))
        for i in range(n)
    )  # fmt: skip


class Script(HTMLParser):
    """What an HTML parser takes for the text of script elements, and which elements it sees."""

    def __init__(self):
        super().__init__()
        self.text, self.tags = "", []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text += data


@settings(max_examples=200)
@given(st.lists(st.text(st.characters(exclude_categories=()), max_size=40)))
def test_any_text_stays_inside_the_script_and_comes_back_the_same(texts):
    page = f'<script type="application/json">{script_json(texts)}</script>'
    page.encode()  # lone surrogates are escaped, so the page can be written
    parser = Script()
    parser.feed(page)
    assert parser.tags == ["script"]
    assert json.loads(parser.text) == texts


def test_known_ways_out_of_a_script_are_closed():
    text = script_json([HOSTILE, "<!--<script>", "</SCRIPT >", "\u2028", "\ud800"])
    assert not set(text) & set("<>&\u2028\u2029\ud800")


def test_a_small_run_is_embedded_whole_and_in_order():
    part = Part("evaluate", "x--agent", traces(5, 2))
    assert sample([part], 10) == [list(part.traces)]


def test_a_sample_keeps_shares_and_rare_outcomes():
    large = Part("evaluate", "x--agent", traces(900, 300) + traces(3, 0, "rare", End.FAULT))
    small = Part("collect", "agent", traces(300, 290, "g"))
    ours, theirs = sample([large, small], 120)
    assert 100 <= len(ours) + len(theirs) <= 130
    right = sum(outcome(t) == "right" for t in ours)
    assert 28 <= right <= 32, "a third of 900 were right"
    assert sum(t.problem.family == "rare" for t in ours) == 2
    assert sum(outcome(t) == "wrong" for t in theirs) == 2
    assert [t.id for t in ours] == [t.id for t in large.traces if t in ours], "in the order of the file"
    assert sample([large, small], 120) == [ours, theirs], "always the same ones"


def test_a_heavy_run_is_cut_to_weight(tmp_path):
    heavy = [
        Trace(f"{i}", Problem(f"{i}", f"{i}" * 900, "a", family="f"), "agent", "m", (), (), End.ANSWERED)
        for i in range(1000, 1400)
    ]
    run = StoredRun(tmp_path, {}, (), (), (), (Part("evaluate", "x--agent", tuple(heavy)),))
    packed = embed(run, max_chars=400_000)
    assert sum(map(len, packed["strings"])) <= 400_000
    assert 50 <= len(packed["traces"]) < packed["total"] == 400


def test_a_runaway_text_is_cut_and_says_so(tmp_path):
    long = Trace("1", Problem("1", "q" * 50_000, "a"), "agent", "m", (), (), End.ANSWERED)
    packed = embed(StoredRun(tmp_path, {}, (), (), (), (Part("evaluate", "x--agent", (long,)),)))
    question = packed["strings"][packed["traces"][0]["q"]]
    assert len(question) < page.MAX_FIELD + 100
    assert question.endswith("30,000 more characters are in traces.jsonl")


def test_offsets_count_as_javascript_does():
    content = "😀 first. Code:\n```py\nprint('😀')\n```"
    reply = Message("assistant", content, Source.MODEL, prefix="😀 first.")
    row = page._Packer().step(Step(reply, StepStatus.OK, "print('😀')"))
    units = content.encode("utf-16-le")

    def cut(start, end):
        return units[2 * start : 2 * end].decode("utf-16-le")

    assert cut(0, row["px"]) == "😀 first."
    assert cut(*row["k"]) == "print('😀')"


def test_what_the_filter_kept_is_marked_as_trained(run_dir):
    run = read_run(run_dir)
    packed = embed(run)
    for i, source in enumerate(packed["sources"]):
        marked = {t["i"] for t in packed["traces"] if t["s"] == i and t.get("k")}
        kept = run.trained_ids(source["key"].split("/")[1]) if source["stage"] == "collected" else frozenset()
        assert marked == kept


def test_repeated_texts_are_stored_once(run_dir):
    strings = embed(read_run(run_dir))["strings"]
    assert len(strings) == len(set(strings))
