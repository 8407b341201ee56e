from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_run import UNICODE, _problem, episode

from agentdistill.errors import UserError
from agentdistill.report.run import read_run, tools_used
from agentdistill.report.views import find_trace, one_line, plain, show_trace, trace_facts
from agentdistill.store import from_dict, write_jsonl
from agentdistill.types import Trace

UNDERLINED = re.compile(r"\x1b\[(?:\d+;)*4[;m]")
COLOURS = re.compile(r"\x1b\[[\d;]*m")


def an_episode(run_dir, key, wanted):
    part = next(p for p in read_run(run_dir).traced if p.key == key)
    return next(t for t in part.traces if wanted(t))


def printed(run_dir, console, key, wanted):
    trace = an_episode(run_dir, key, wanted)
    show_trace(run_dir, f"{key}/{trace.id}", console=console)
    return trace, console.file.getvalue()


def test_an_episode_prints_turn_by_turn(run_dir, console):
    trace, coloured = printed(run_dir, console, "evaluate/0.3M--agent-distill", lambda t: t.correct and t.steps)
    text = COLOURS.sub("", coloured)
    assert trace.problem.question in text
    assert f"✓ right: {trace.answer}" in text
    assert [f"Step {i}" in text for i in range(1, len(trace.steps) + 2)] == [True] * len(trace.steps) + [False]
    for line in ('hits = search("Velmora Works founder")  # who founded it', "    print(hit, 2 + 3.5)"):
        assert line in text
    assert "not chosen (exception)" in text
    assert '→ search({"query": "Velmora Works founder"})' in text


def test_what_was_trained_on_is_underlined_and_nothing_else(run_dir, console):
    trained = an_episode(run_dir, "collect/agent-prefix", lambda t: t.correct)
    show_trace(run_dir, trained.id, part="collect/agent-prefix", console=console)
    lines = console.file.getvalue().splitlines()
    underlined = [COLOURS.sub("", line) for line in lines if UNDERLINED.search(line)]
    said = "\n".join(s.reply.content for s in trained.steps).splitlines()
    assert underlined == said
    assert "underlined: what students were trained on" in COLOURS.sub("", lines[-1])


@pytest.mark.parametrize(
    ("key", "wanted"),
    [
        ("collect/agent-prefix", lambda t: t.correct is False),
        ("evaluate/0.3M--agent-distill", lambda t: t.correct),
    ],
)
def test_what_was_not_trained_on_is_not_underlined(run_dir, console, key, wanted):
    _, coloured = printed(run_dir, console, key, wanted)
    assert not UNDERLINED.search(coloured)
    assert "no student was trained on this episode" in coloured


def test_hostile_text_reaches_the_terminal_as_text(run_dir, console):
    _, coloured = printed(run_dir, console, "evaluate/0.1M--agent", lambda t: tools_used(t))
    assert "\x1b[31mred" not in coloured
    assert "␛[31mred" in COLOURS.sub("", coloured)
    assert "\u202e" not in coloured
    assert UNICODE.split(" · ")[0] in coloured


def test_a_fault_says_what_failed(run_dir, console):
    fault = next(
        (p.key, t) for p in read_run(run_dir).traced for t in p.traces if t.fault is not None
    )  # about one in forty of the run
    show_trace(run_dir, f"{fault[0]}/{fault[1].id}", console=console)
    assert "fault: endpoint http://localhost:8000/v1 refused the connection" in COLOURS.sub("", console.file.getvalue())


def test_facts_hold_the_trace_itself(run_dir):
    trace = an_episode(run_dir, "collect/agent", lambda t: t.correct)
    facts = trace_facts(run_dir, trace.id, part="collect/agent")  # also a piece of another
    assert from_dict(Trace, facts["trace"]) == trace


def test_an_id_in_several_parts_asks_for_one(run_dir):
    trace = an_episode(run_dir, "evaluate/0.1M--agent", lambda t: True)
    with pytest.raises(UserError, match=r"parts; name one as PART/ID.*evaluate/0\.1M--agent") as caught:
        find_trace(run_dir, trace.id)
    assert "\n" not in str(caught.value)
    assert find_trace(run_dir, f"evaluate/0.1M--agent/{trace.id}")[2] == trace


def test_an_unknown_id_names_the_nearest(run_dir):
    with pytest.raises(UserError, match='did you mean "test/factual-2hop/001#0"'):
        find_trace(run_dir, "test/factual2hop/001#0")
    with pytest.raises(UserError, match="show RUN lists them"):
        find_trace(run_dir, "~~~~")
    with pytest.raises(UserError, match="no part is called"):
        find_trace(run_dir, "x", part="5M")


@given(st.text(st.characters(exclude_categories=())))
def test_plain_text_keeps_its_length_and_steers_nothing(text):
    safe = plain(text)
    assert len(safe) == len(text)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", safe)
    safe.encode()
    assert "\n" not in one_line(text)


def test_an_episode_whose_code_is_not_in_its_reply_still_prints(tmp_path, console):
    trace = episode(_problem("math-words", 1), "agent", "m", True, random.Random(1))
    write_jsonl(tmp_path / "evaluate/m--agent/traces.jsonl", [trace])
    path = tmp_path / "evaluate/m--agent/traces.jsonl"
    path.write_text(path.read_text().replace('"code":"hits', '"code":"otherwise'), encoding="utf-8")
    show_trace(tmp_path, trace.id, console=console)
    assert "hits = search" in COLOURS.sub("", console.file.getvalue())
