from __future__ import annotations

import json

import pytest

from agentdistill.errors import UserError
from agentdistill.report.run import read_run
from agentdistill.report.views import Filters, list_traces, show_run


def everything(run_dir):
    return [(p, t) for p in read_run(run_dir).traced for t in p.traces]


def test_every_episode_is_listed_with_its_outcome(run_dir):
    found = list_traces(run_dir)
    traces = everything(run_dir)
    assert found["n_total"] == found["n_matching"] == len(found["traces"]) == len(traces)
    assert [(r["part"], r["id"]) for r in found["traces"]] == [(p.key, t.id) for p, t in traces]
    assert found["n_right"] == sum(t.correct is True for _, t in traces)
    assert found["n_scored"] == sum(t.correct is not None for _, t in traces)
    assert json.loads(json.dumps(found)) == found


def test_filters_join(run_dir):
    found = list_traces(run_dir, Filters(part="0.3M--agent-distill", family="math", outcome="wrong"))
    expected = [
        t.id
        for p, t in everything(run_dir)
        if p.key == "evaluate/0.3M--agent-distill" and t.problem.family.startswith("math") and t.correct is False
    ]
    assert [r["id"] for r in found["traces"]] == expected != []


@pytest.mark.parametrize(
    ("filters", "holds"),
    [
        (Filters(outcome="fault"), lambda r: r["fault"]),
        (Filters(error="execution"), lambda r: "execution" in r["errors"]),
        (Filters(error="none"), lambda r: not r["errors"]),
        (Filters(tool="search"), lambda r: "search" in r["tools"]),
        (Filters(text="ADA QUILL"), lambda r: r["tools"]),
    ],
)
def test_each_filter_keeps_some_and_only_what_it_names(run_dir, filters, holds):
    found = list_traces(run_dir, filters)
    assert 0 < found["n_matching"] < found["n_total"]
    assert all(holds(r) for r in found["traces"])


def test_a_limit_cuts_the_list_and_not_the_counts(run_dir):
    found = list_traces(run_dir, limit=3)
    assert len(found["traces"]) == 3
    assert found["n_matching"] == found["n_total"] > 3


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Filters(outcome="rihgt"), "no outcome is called"),
        (lambda: Filters(error="parsing"), "there are: parse, execution"),
    ],
)
def test_unknown_words_are_named(make, words):
    with pytest.raises(UserError, match=words):
        make()


@pytest.mark.parametrize("filters", [Filters(part="5M"), Filters(family="chess"), Filters(tool="calculator")])
def test_a_name_that_nothing_has_is_a_slip(run_dir, filters):
    with pytest.raises(UserError, match=r"no (part|family|tool) is called .*; there are: "):
        list_traces(run_dir, filters)


def test_a_missing_folder_is_one_line(tmp_path):
    with pytest.raises(UserError, match="no such run folder"):
        show_run(tmp_path / "nowhere")


def test_a_whole_name_wins_over_a_piece_of_others(run_dir):
    whole = list_traces(run_dir, Filters(part="evaluate/0.1M--agent"))
    assert {r["part"] for r in whole["traces"]} == {"evaluate/0.1M--agent"}
    piece = list_traces(run_dir, Filters(part="0.1M--ag"))
    assert {r["part"] for r in piece["traces"]} == {"evaluate/0.1M--agent", "evaluate/0.1M--agent-distill"}


def test_the_table_prints_marks_and_counts(run_dir, console):
    show_run(run_dir, Filters(part="0.1M--agent-distill"), limit=30, console=console)
    printed = console.file.getvalue()
    assert "evaluate/0.1M--agent-distill" in printed
    assert "30 of 32 episodes that match" in printed
    assert "✓" in printed
    assert "✗" in printed


def test_every_part_has_its_heading_once(run_dir, console):
    show_run(run_dir, limit=None, console=console)
    printed = console.file.getvalue()
    assert all(printed.count(f"{p.key}\x1b") == 1 for p in read_run(run_dir).traced)


def test_no_text_of_a_model_steers_the_terminal(run_dir, console):
    show_run(run_dir, Filters(outcome="wrong", part="0.1M--agent"), limit=None, console=console)
    printed = console.file.getvalue()
    assert "</script>" in printed, "a hostile answer is listed"
    assert "\x1b[31mred" not in printed
    assert "\x00" not in printed
