from __future__ import annotations

import json
import shutil

import pytest
from synthetic_run import Message, Problem, ToolCall, broken_step, final_step, write_run

from agentdistill.errors import DataError, UserError
from agentdistill.report import markdown, summarize, table, write_report
from agentdistill.report.stats import wilson
from agentdistill.store import append_jsonl, dumps, write_json, write_jsonl
from agentdistill.types import End, Score, Source, Step, StepStatus, Trace, Usage

NO_USAGE = Usage()


def trace(problem, correct, *, end=End.ANSWERED, steps=(), usage=NO_USAGE, n=0, family=None):
    family = family or problem[0]
    score = None if correct is None else Score(correct, "x", "short")
    return Trace(
        f"{problem}#{n}",
        Problem(problem, "q?", "gold", family=family),
        "agent",
        "m",
        (),
        steps,
        end,
        "x",
        score,
        usage=usage,
    )


def search(n=1):
    call = ToolCall("search", "{}", "found")
    return Step(Message("assistant", "code", Source.MODEL), StepStatus.OK, "code", None, (call,) * n)


def evaluate(root, name, traces, **manifest):
    write_jsonl(root / "evaluate" / name / "traces.jsonl", traces)
    write_json(root / "evaluate" / name / "manifest.json", manifest)


@pytest.fixture
def small(tmp_path):
    """Two families: a with 3 scored (2 right) and a fault, b with 2 scored (none right) and one unscored."""
    traces = [
        trace("a1", True, steps=(search(2), final_step("x")), usage=Usage(2, 100, 10, 0)),
        trace("a2", True, steps=(broken_step(StepStatus.SYNTAX), final_step("x")), usage=Usage(2, 120, 20, 1)),
        trace(
            "a3", False, steps=(broken_step(StepStatus.NO_CODE),) * 2, end=End.OUT_OF_STEPS, usage=Usage(2, 140, 30, 2)
        ),
        trace("a4", None, end=End.FAULT, usage=Usage(9, 999, 999, 9)),
        trace(
            "b1", False, steps=(search(), broken_step(StepStatus.TIMEOUT)), end=End.NO_ANSWER, usage=Usage(2, 50, 5, 0)
        ),
        trace("b2", False, steps=(search(),), end=End.OUT_OF_CONTEXT, usage=Usage(1, 30, 7, 0)),
        trace("b3", None, steps=(final_step("x"),), usage=Usage(1, 10, 3, 0)),
    ]
    evaluate(tmp_path, "1M--agent", traces, student="1M", n_parameters=1_000_000, method="agent")
    return tmp_path


def test_a_family_by_hand(small):
    (evaluation,) = summarize(small)["evaluations"]
    a = evaluation["families"]["a"]
    expected = wilson(2, 3)
    assert a["accuracy"] == {
        "estimate": 0.666667,
        "low": round(expected.low, 6),
        "high": round(expected.high, 6),
        "n": 3,
    }
    assert (a["n"], a["right"], a["wrong"], a["unscored"], a["faults"]) == (3, 2, 1, 0, 1)
    assert a["errors"] == {"parse": 2, "execution": 0, "out_of_steps": 1, "no_answer": 0, "out_of_context": 0}
    assert a["steps"] == {"ok": 1, "final": 2, "no_code": 2, "syntax": 1}
    assert a["truncations"] == 12, "a fault's replies were cut off too"
    # Means leave the fault out: its episode is not whole.
    assert (a["mean_steps"], a["prompt_tokens_per_answer"], a["new_tokens_per_answer"]) == (2.0, 120.0, 20.0)
    assert a["tool_calls_per_episode"] == {"search": 0.666667}
    assert a["code_actions_per_episode"] == 1.333333

    b = evaluation["families"]["b"]
    assert b["accuracy"]["n"] == b["n"] == 2
    assert (b["right"], b["wrong"], b["unscored"], b["faults"]) == (0, 2, 1, 0)
    assert b["errors"] == {"parse": 0, "execution": 1, "out_of_steps": 0, "no_answer": 1, "out_of_context": 1}


def test_the_average_is_the_mean_of_the_families_means(small):
    (evaluation,) = summarize(small)["evaluations"]
    average = evaluation["average"]
    assert average["accuracy"]["estimate"] == round((2 / 3 + 0) / 2, 6)
    assert average["accuracy"]["low"] < average["accuracy"]["estimate"] < average["accuracy"]["high"]
    assert (average["n"], average["n_families"], average["faults"], average["unscored"]) == (5, 2, 1, 1)
    assert average["mean_steps"] == round((2 + 4 / 3) / 2, 6)
    assert average["tool_calls_per_episode"]["search"] == round((2 / 3 + 2 / 3) / 2, 6)


def test_a_single_family_is_its_own_average(tmp_path):
    evaluate(tmp_path, "1M--agent", [trace(f"a{i}", i < 9) for i in range(12)])
    (evaluation,) = summarize(tmp_path)["evaluations"]
    assert evaluation["average"]["accuracy"] == evaluation["families"]["a"]["accuracy"]


def test_faults_and_unscored_traces_are_said_aloud(small):
    warnings = summarize(small)["warnings"]
    assert any("1 episode failed for reasons of ours" in w for w in warnings)
    assert any("1 episode ended without being scored" in w for w in warnings)


def test_several_samples_of_a_problem_count_as_one_problem(tmp_path):
    traces = [trace("a1", i < 3, n=i) for i in range(4)] + [trace("a2", False, n=i) for i in range(4)]
    evaluate(tmp_path, "1M--agent", traces)
    cell = summarize(tmp_path)["evaluations"][0]["families"]["a"]
    assert cell["accuracy"]["estimate"] == 0.375
    assert (cell["accuracy"]["n"], cell["n"]) == (2, 8), "two problems stand behind the interval, eight scored traces"


def test_everything_unscored_gives_no_accuracy_rather_than_zero(tmp_path):
    evaluate(tmp_path, "1M--agent", [trace("a1", None, end=End.FAULT), trace("b1", None, end=End.FAULT)])
    report = summarize(tmp_path)
    assert report["evaluations"][0]["average"]["accuracy"] is None
    assert report["evaluations"][0]["families"]["a"]["mean_steps"] is None
    assert any("leaves them out" in w for w in report["warnings"])


def test_the_prefix_effect_is_paired(tmp_path):
    def collect(name, verdicts, n_searches):
        steps = tuple(search() for _ in range(n_searches))
        traces = [trace(p, v, steps=steps, family="math" if p < "5" else "facts") for p, v in verdicts.items()]
        write_jsonl(tmp_path / "collect" / name / "traces.jsonl", traces)

    collect("agent", {"1": False, "2": False, "3": True, "6": True, "7": True}, 2)
    collect("agent-prefix", {"1": True, "2": True, "3": True, "6": True, "8": False}, 1)
    report = summarize(tmp_path)
    (effect,) = report["prefix"]
    overall = effect["accuracy"]["overall"]
    # Shared problems: 1, 2 (better), 3 and 6 (same). Weighed by problem, as a collection is.
    assert (overall["a"], overall["b"], overall["difference"]["estimate"], overall["difference"]["n"]) == (
        1,
        0.5,
        0.5,
        4,
    )
    assert (overall["n_better"], overall["n_worse"]) == (2, 0)
    assert effect["searches"]["overall"]["difference"]["estimate"] == -1
    assert effect["accuracy"]["families"]["math"]["difference"]["estimate"] == round(2 / 3, 6)
    agent = next(c for c in report["collections"] if c["name"] == "agent")
    assert agent["average"]["searches_per_episode"] == 2
    assert agent["average"]["share_without_search"] == 0
    assert agent["average"]["accuracy"]["estimate"] == 0.6


def test_the_same_run_gives_the_same_bytes_apart_from_timing(tmp_path):
    a, b = write_run(tmp_path / "a" / "run", n=2), write_run(tmp_path / "b" / "run", n=2)
    for path in b.rglob("timing.json"):
        write_json(path, {"seconds": 1234.5})
    for run in (a, b):
        write_report(run)
    ours, theirs = ((run / "report.json").read_text(encoding="utf-8") for run in (a, b))
    assert ours != theirs
    assert list(json.loads(ours))[-1] == "timing"
    assert ours.split('"timing"')[0] == theirs.split('"timing"')[0]
    assert "1234.5" not in theirs.split('"timing"')[0]


def test_training_facts_and_filter_counts_come_from_their_files(run_dir, report):
    training = next(t for t in report["training"] if t["name"] == "0.1M--agent-distill")
    assert training["counts"]["n_trained_tokens"] == 18_020
    assert training["loss"][0]["step"] == 0
    assert training["loss"][0]["loss"] > training["loss"][-1]["loss"]
    kept = next(f for f in report["filters"] if f["name"] == "agent")["counts"]["kept"]
    assert kept == sum(1 for _ in (run_dir / "filter/agent/traces.jsonl").open())
    assert report["timing"]["train/0.1M--agent-distill"]["seconds"] == 125.0


def test_a_loss_curve_may_be_objects_too(tmp_path):
    evaluate(tmp_path, "1M--agent", [trace("a1", True)])
    curve = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": float("nan")}, {"step": 3, "loss": 1}]
    write_json(tmp_path / "train/1M--agent-distill/training.json", {"counts": {"n": 3}, "loss_curve": curve})
    (training,) = summarize(tmp_path)["training"]
    assert training["loss"] == [{"step": 1, "loss": 2.0}, {"step": 3, "loss": 1.0}]


def test_evaluations_come_by_size_with_the_teacher_last(report):
    names = list(dict.fromkeys(e["student"] for e in report["evaluations"]))
    assert names == ["0.1M", "0.3M", "1M", "3M", "teacher"]


def test_folders_that_a_stage_moved_aside_are_left_alone(small):
    shutil.copytree(small / "evaluate/1M--agent", small / "evaluate/1M--agent.old-1")
    assert len(summarize(small)["evaluations"]) == 1


def test_a_run_still_at_work_can_be_read(small):
    partial = small / "evaluate/2M--agent/traces.partial.jsonl"
    append_jsonl(partial, [trace("a1", True), trace("b1", False)])
    with partial.open("ab") as f:
        f.write(dumps(trace("b2", False)).encode()[:40])
    report = summarize(small)
    assert [e["average"]["n"] for e in report["evaluations"]] == [5, 2]
    assert any("2M--agent: still at work, 2 episodes so far" in w for w in report["warnings"])


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda p: None, UserError, "no such run folder"),
        (lambda p: p.mkdir(), UserError, "no traces in collect/ or evaluate/"),
        (lambda p: append_jsonl(p / "evaluate/x/traces.jsonl", [{"id": 1}]), DataError, "traces.jsonl:1"),
        (lambda p: _break_manifest(p), DataError, "manifest.json: not JSON"),
    ],
)
def test_a_bad_folder_gets_one_clear_line(tmp_path, make, error, words):
    run = tmp_path / "run"
    make(run)
    with pytest.raises(error, match=words) as caught:
        summarize(run)
    assert str(run) in str(caught.value)
    assert "\n" not in str(caught.value)


def _break_manifest(run):
    evaluate(run, "x--agent", [trace("a1", True)])
    (run / "evaluate/x--agent/manifest.json").write_text("{", encoding="utf-8")


def test_keys_in_the_recipe_are_not_passed_on(small):
    teacher = {"url": "http://me:hush@host/v1", "api_key": "sk-123", "headers": {"Authorization": "Bearer 456"}}
    write_json(small / "recipe.json", {"teacher": teacher, "collect": {"max_new_tokens": 64, "auth_token": "789"}})
    recipe = summarize(small)["recipe"]
    assert recipe["teacher"]["url"] == "http://host/v1"
    assert recipe["collect"]["max_new_tokens"] == 64
    page = write_report(small).read_text(encoding="utf-8") + (small / "report.json").read_text(encoding="utf-8")
    assert not [secret for secret in ("hush", "sk-123", "456", "789") if secret in page]


GOLD = ("The Aren", "Naj &amp; Tol")


def asked(problem, results, *, supporting=GOLD, prompt=(), end=End.ANSWERED, n=0, family="a"):
    calls = tuple(ToolCall("search", "{}", r, ok=r != "down") for r in results)
    steps = (Step(Message("assistant", "code", Source.MODEL), StepStatus.OK, "code", None, calls),) if calls else ()
    about = Problem(problem, "q?", "gold", family=family, supporting=supporting)
    score = None if end is End.FAULT else Score(False, "x", "short")
    return Trace(f"{problem}#{n}", about, "agent", "m", prompt, steps, end, None, score)


def test_searches_and_the_recall_of_what_they_found(tmp_path):
    found = "[1] The Aren: A river.\n[2] Arenberg: A hill."
    agents = [
        asked("a1", (found, "[1] Naj & Tol: Two towns.\nThey lie there.")),  # both, in two searches
        asked("a2", (found, found)),  # one of two, twice
        asked("a3", ("down", "No passages found.", "[1] Arenberg: The Aren: not its title.")),
        asked("a4", ()),
        asked("a5", (found,) * 9, end=End.FAULT),
        asked("b1", (found,), supporting=(), family="b"),
    ]
    beside = [
        asked("a1", (), prompt=(Message("system", found), Message("user", f"{found}\n\nQuestion: Naj & Tol: why?"))),
        asked("a2", (), prompt=(Message("user", "[1] Naj &amp; Tol: Two towns.\n[2]   The Aren: A river."),)),
    ]
    corpus = {"n_passages": 6859, "n_duplicates": 90}
    evaluate(tmp_path, "1M--agent-distill", agents, student="1M", method="agent-distill", corpus=corpus)
    evaluate(tmp_path, "1M--cot-distill-rag", beside, student="1M", method="cot-distill-rag", corpus=corpus)
    evaluate(tmp_path, "1M--cot", [asked("a1", ())], student="1M", method="cot", corpus=corpus)
    report = summarize(tmp_path)
    search = {e["method"]: e["search"] for e in report["evaluations"]}
    agent = search["agent-distill"]
    assert (agent["searches"]["estimate"], agent["searches"]["n"]) == ((7 / 4 + 1) / 2, 5)
    assert (agent["recall"]["estimate"], agent["recall"]["n"]) == ((1 + 0.5) / 4, 4)
    assert 0 <= agent["recall"]["low"] < 0.375 < agent["recall"]["high"] <= 1
    assert search["cot-distill-rag"]["searches"] is None
    assert (search["cot-distill-rag"]["recall"]["estimate"], search["cot-distill-rag"]["recall"]["n"]) == (0.75, 2)
    assert search["cot"] is None
    page = write_report(tmp_path).read_text(encoding="utf-8")
    assert "among 6,859 passages (90 duplicates left out)" in page
    shown = markdown(table(report))
    assert "The corpus has 6,859 passages." in shown
    assert "| the question | 75.0 (" in shown
    assert f"| {7 / 8 + 1 / 2:.2f} (" in shown


def test_a_problem_of_several_traces_counts_once(tmp_path):
    found = "[1] The Aren: A river."
    traces = [asked("a1", (found,), n=0), asked("a1", (), n=1), asked("a2", (found, "[1] Naj & Tol: x"))]
    evaluate(tmp_path, "1M--agent", traces, student="1M", method="agent")
    (evaluation,) = summarize(tmp_path)["evaluations"]
    assert (evaluation["search"]["recall"]["estimate"], evaluation["search"]["recall"]["n"]) == (0.625, 2)
    assert evaluation["search"]["searches"]["estimate"] == 1.25
    assert "n_passages" not in (evaluation["corpus"] or {})
