"""Reading candidates: every form there is, the same after a round trip, and what is wrong told by file and line."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_pools import Solution, pool_of
from made_traces import made_trace

from agentdistill.cli import main
from agentdistill.errors import DataError, InfrastructureError
from agentdistill.store import append_jsonl, digest, read_traces, write_jsonl
from agentdistill.types import End, Problem, Trace, Usage
from agentdistill.verify import Judgement, Verdict, read_pools, write_pools
from agentdistill.verify.judging import read_journal
from agentdistill.verify.pools import key_of, read_object

GSM8K = Path(__file__).parents[5] / "shared/data/math/gsm8k_model_solutions_first660.jsonl"


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    return path


judgements = st.builds(
    Judgement,
    st.sampled_from(["toolv", "prm"]),
    st.sampled_from(["code", "prm", "genrm"]),
    st.lists(st.sampled_from(Verdict), max_size=3).map(tuple),
    st.lists(st.floats(0, 1), max_size=3).map(tuple),
    st.integers(0, 99),
    st.integers(0, 99),
)
problems = st.builds(
    Problem,
    *(st.text(min_size=1), st.text(min_size=1), st.text(), st.sampled_from(["math", "short"]), st.text()),
    labels=st.lists(st.tuples(st.text(), st.text()), max_size=2).map(tuple),
)
solutions = st.builds(
    Solution,
    st.text(),
    st.one_of(st.none(), st.text()),
    st.booleans(),
    st.lists(judgements, max_size=2, unique_by=lambda j: j.judge).map(tuple),
    st.tuples(st.integers(0, 9), st.integers(0, 9)),
)
pools = st.builds(pool_of, problems, st.lists(solutions, max_size=3), st.text())


@given(st.lists(pools, max_size=3, unique_by=lambda p: p.id))
def test_pools_survive_a_round_trip(tmp_path_factory, found):
    file = tmp_path_factory.mktemp("pools") / "traces.jsonl"
    write_pools(file, found)
    assert [t for t in read_traces(file) if t.end is not End.FAULT] == [t for p in found for t in p.traces]
    if any(p.traces for p in found):
        read = read_pools(file)
        assert [(p.problem, p.traces) for p in read] == [(p.problem, p.traces) for p in found]
        for before, after in zip(found, read, strict=True):
            assert [set(said) for said in after.judgements] == [set(said) for said in before.judgements]


def test_our_own_file_comes_back_as_it_was_and_other_commands_read_it(tmp_path, capsys):
    said = (Judgement("toolv", "code", (Verdict.TRUE, Verdict.TIMEOUT), n_new_tokens=7),)
    problem = Problem("a", "1 + 1?", "2", "math", "sums")
    pool = pool_of(problem, (Solution("It is 2.", "2", True, said), Solution("3", "3", False)), "small")
    write_pools(tmp_path / "traces.jsonl", [pool])
    assert read_pools(tmp_path / "traces.jsonl") == [pool]
    assert main(["grade", str(tmp_path / "traces.jsonl")]) == 0
    assert json.loads(capsys.readouterr().out)["n_correct"] == 1


def test_plain_rows(tmp_path):
    row = {
        "problem": "What is 7 x 6?",
        "answer": 42,
        "candidates": [
            {"solution": "7 * 6 = 42", "answer": 42.0, "score": 0.9, "verdict": True},
            {"solution": "It is 36.\nAnswer: 36", "score": [0.7, 0.2], "verdict": ["timeout", "false"]},
            {"solution": "I do not know.", "correct": False, "n_new_tokens": 4},
        ],
    }
    [pool] = read_pools(write(tmp_path / "c.jsonl", row))
    assert (pool.problem.kind, pool.problem.answer) == ("math", "42")
    assert [t.answer for t in pool.traces] == ["42", "36", None]
    assert [t.correct for t in pool.traces] == [True, False, False]
    first, second, _ = pool.judgements
    assert [(j.judge, j.role) for j in first] == [("score", "given"), ("verdict", "given")]
    assert (second[0].role, second[0].scores) == ("prm", (0.7, 0.2))
    assert second[1].verdicts == (Verdict.TIMEOUT, Verdict.FALSE)
    assert pool.traces[2].usage == Usage(n_new_tokens=4)


def test_a_problem_may_be_an_object_with_all_that_is_known_of_it(tmp_path):
    problem = {"id": 7, "question": "Who?", "answer": ["Ada", "Ada Lovelace"], "kind": "short", "family": "names"}
    [pool] = read_pools(write(tmp_path / "c.jsonl", {"problem": problem, "candidates": [{"answer": "ada lovelace"}]}))
    assert pool.problem == Problem("7", "Who?", "Ada", "short", "names", ("Ada Lovelace",))
    assert pool.traces[0].correct is True


def test_completion_files_of_search_and_learn(tmp_path):
    row = {
        "problem": "How many?",
        "solution": "Four.",
        "answer": r"\frac{8}{2}",
        "subject": "Algebra",
        "level": 2,
        "unique_id": "test/algebra/1.json",
        "completions": ["So \\boxed{4}", "So $\\boxed{5}$"],
        "scores": [[0.9, 0.8], [0.3, 0.1]],
        "completion_tokens": [11, 12],
        "pred": "4",
    }
    [pool] = read_pools(write(tmp_path / "c.jsonl", row))
    assert (pool.id, pool.problem.family) == ("test/algebra/1.json", "Algebra")
    assert pool.problem.labels == (("level", "2"), ("subject", "Algebra"))
    assert [(t.answer, t.correct, t.usage.n_new_tokens) for t in pool.traces] == [("4", True, 11), ("5", False, 12)]
    assert pool.judgements[0] == (Judgement("score", "prm", scores=(0.9, 0.8)),)


def test_a_runs_traces_are_the_candidates_of_their_problems(tmp_path):
    trace = made_trace(0)
    answered = replace(trace, usage=Usage(n_new_tokens=5))
    fault = replace(trace, id="fault", end=End.FAULT, answer=None, fault="lost")
    other = made_trace(1)
    append_jsonl(tmp_path / "traces.jsonl", [answered, other, replace(answered, id="again", answer="2"), fault])
    one, two = read_pools(tmp_path / "traces.jsonl")
    assert [(t.answer, t.correct, t.usage.n_new_tokens) for t in one.traces] == [("1", True, 5), ("2", False, 5)]
    assert [t.answer for t in two.traces] == ["1"]
    assert "Observation" in one.traces[0].solution


def test_a_problem_of_which_nothing_came_is_still_one(tmp_path):
    lost = replace(made_trace(1), end=End.FAULT, answer=None, fault="lost")
    append_jsonl(tmp_path / "traces.jsonl", [made_trace(0), lost])
    assert [len(p.traces) for p in read_pools(tmp_path / "traces.jsonl")] == [1, 0]


def test_a_mark_of_the_byte_order_is_no_text(tmp_path):
    path = write(tmp_path / "c.jsonl", {"problem": "q", "candidates": [{"answer": "1"}]})
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(read_pools(path)) == 1


def test_kinds_of_verdicts_are_told_once(tmp_path):
    row = {"problem": "q", "candidates": [{"answer": "1", "verdict": "maybe"}]}
    with pytest.raises(DataError) as caught:
        read_pools(write(tmp_path / "c.jsonl", row))
    assert str(caught.value).count("true") == 1


@pytest.mark.skipif(not GSM8K.exists(), reason=f"{GSM8K} is not there")
def test_the_model_solutions_of_gsm8k():
    found = read_pools(GSM8K)
    assert len(found) == 660
    assert {len(p.traces) for p in found} == {4}
    assert [t.method for t in found[0].traces][:2] == ["6b_finetuning", "6b_verification"]
    assert found[0].problem.answer == "18"
    assert found[0].traces[0].answer == "26"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"candidates": []}, "no candidates in a form that is known (the row has: candidates)"),
        ({"problem": "", "candidates": []}, "no question"),
        ({"problem": "q", "candidates": {}}, '"candidates" is no list but dict'),
        ({"problem": "q", "candidates": ["x"]}, "candidate 1 is no object but str"),
        ({"problem": "q", "candidates": [{"text": "x"}]}, 'candidate 1 has neither "solution" nor "answer"'),
        ({"problem": "q", "candidates": [{"answer": "1", "score": "high"}]}, "\"score\" is no number but 'high'"),
        ({"problem": "q", "candidates": [{"answer": "1", "score": float("nan")}]}, '"score" is no number but nan'),
        ({"problem": "q", "candidates": [{"answer": "1", "verdict": "maybe"}]}, "\"verdict\" 'maybe' is not one of"),
        ({"problem": "q", "candidates": [{"answer": "1", "correct": 1}]}, '"correct" is neither true nor false but 1'),
        ({"problem": "q", "candidates": [{"answer": "1", "n_new_tokens": -1}]}, '"n_new_tokens" is no count but -1'),
        ({"problem": "q", "completions": ["a"], "scores": []}, "does not hold one list for each of the 1 completions"),
        ({"problem": "q", "completions": [1]}, '"completions" is no list of texts'),
        ({"question": "q", "ground_truth": "A: 1"}, "no model's solution in it"),
        ({"problem": "q", "kind": "essay", "candidates": []}, 'unknown scorer "essay"'),
        ({"problem": {}, "end": "x", "steps": []}, "Problem.__init__() missing 3"),
        ({"version": 1, "candidates": []}, "Pool"),
    ],
)
def test_what_is_wrong_with_a_row_is_one_clear_line(tmp_path, row, words):
    good = {"problem": "fine", "candidates": [{"answer": "1"}]}
    with pytest.raises(DataError) as caught:
        read_pools(write(tmp_path / "c.jsonl", good, row))
    assert str(caught.value).startswith(f"{tmp_path / 'c.jsonl'}:2: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_problem_may_not_come_twice_and_a_file_may_not_be_empty(tmp_path):
    row = {"problem": "q", "candidates": [{"answer": "1"}]}
    with pytest.raises(
        DataError, match=r':2: this question, with this answer, was on line 1 before; give each an "id"'
    ):
        read_pools(write(tmp_path / "c.jsonl", row, row))
    with pytest.raises(DataError, match=":2: problem 'a' was on line 1 before"):
        read_pools(write(tmp_path / "c.jsonl", {**row, "id": "a"}, {**row, "id": "a"}))
    assert len(read_pools(write(tmp_path / "c.jsonl", {**row, "id": "a"}, {**row, "id": "b"}))) == 2
    with pytest.raises(DataError, match="no candidates in it"):
        read_pools(write(tmp_path / "none.jsonl"))
    with pytest.raises(DataError, match="unknown scorer"):
        read_pools(write(tmp_path / "c.jsonl", row), kind="essay")
    with pytest.raises(DataError, match="No such file"):
        read_pools(tmp_path / "gone.jsonl")


# --- folders of former versions ---------------------------------------------------------------------------------------


def former(folder: Path) -> tuple[list[Trace], list[Trace]]:
    """A sampling folder as former versions left it: traces that were asked for, and traces of another problem.

    One candidate was refused, one verifier has judged, one was stopped, and a score came with the candidates.
    """
    asked, spare = (Problem(i, f"{i} + 1?", "2", "math") for i in ("a", "b"))
    traces = [Solution(f"So it is {n}.", str(n), n == 2, tokens=(3, n)).trace(asked, n, "small") for n in (1, 2)]
    others = [Solution("So it is 2.", "2", True).trace(spare, 0, "small")]
    write_jsonl(folder / "sampled.jsonl", [*reversed(traces), *others])
    write_jsonl(folder / "sampled.key.jsonl", [{"key": "sampler"}])
    judged = [Judgement("toolv", "code", (Verdict.TRUE,), n_new_tokens=5)] * 2
    given = Judgement("score", "given", scores=(0.5,))
    candidates = [
        {"solution": "", "judgements": []},
        {"solution": "So it is 1.", "answer": "1", "correct": False, "n_prompt_tokens": 3, "n_new_tokens": 1,
         "judgements": [given, judged[0]]},
        {"solution": "So it is 2.", "answer": "2", "correct": True, "n_prompt_tokens": 3, "n_new_tokens": 2,
         "judgements": [given, judged[1]]},
    ]  # fmt: skip
    write_jsonl(folder / "candidates.jsonl", [
        {"problem": asked, "candidates": candidates, "generator": "small", "version": 1}
    ])  # fmt: skip
    settings = {"name": "toolv", "role": "code", "model": {"model": "scripted", "replies": ""}}
    for name in ("toolv", "stopped"):
        head = {"key": f"{name}-key", "world": "w", "settings": {**settings, "name": name}}
        lines = [
            {"problem": "a", "candidate": i, "solution": digest(f"So it is {i}."), "checks": [{"reply": "Fine."}],
             "judgement": {"judge": name, "role": "code", "verdicts": ["true"], "n_new_tokens": 5}}
            for i in (1, 2)
        ]  # fmt: skip
        write_jsonl(folder / f"judge-{name}.jsonl", [head, *lines[: 2 if name == "toolv" else 1]])
    parts = {"toolv": {"key": head_of(folder / "judge-toolv.jsonl"), "seconds": 4.0, "n": 2}}
    (folder / "candidates.costs.json").write_text(json.dumps({"parts": parts, "seconds": {"toolv": 2.0}}))
    return traces, others


def head_of(journal: Path) -> str:
    return hashlib.sha256(journal.read_bytes().splitlines()[0]).hexdigest()[:16]


def test_a_former_folder_is_upgraded_once_and_nothing_is_lost(tmp_path):
    traces, others = former(tmp_path)
    before = read_pools(tmp_path / "candidates.jsonl")  # as it is, as a file
    [pool] = read_pools(tmp_path / "traces.jsonl")
    assert [(t.answer, t.correct, t.usage) for t in pool.traces] == [
        (t.answer, t.correct, t.usage) for t in before[0].traces
    ]
    assert pool.judgements == before[0].judgements
    assert pool.traces[1:] == tuple(traces)
    assert pool.traces[0].refused
    assert read_traces(tmp_path / "traces.spare.jsonl") == others
    settings, lines = read_journal(tmp_path, "toolv")
    assert (settings.role, len(lines), lines[0].checks[0].reply) == ("code", 2, "Fine.")
    assert len(read_journal(tmp_path, "stopped")[1]) == 1
    costs = json.loads((tmp_path / "traces.costs.json").read_text())
    notes = read_object(tmp_path / "verifiers.json")
    assert costs["parts"]["toolv"] == {"key": key_of(notes["toolv"]), "seconds": 4.0, "n": 2}
    assert json.loads((tmp_path / "begun.json").read_text())["key"] == "sampler"
    assert {f.name for f in tmp_path.iterdir()} == {
        "begun.json", "candidates.jsonl.old-1", "judge-score.jsonl", "judge-stopped.jsonl", "judge-toolv.jsonl",
        "traces.costs.json", "traces.jsonl", "traces.spare.jsonl", "verifiers.json",
    }  # fmt: skip
    kept = {f: f.read_bytes() for f in tmp_path.iterdir()}
    assert read_pools(tmp_path / "traces.jsonl") == [pool]
    assert {f: f.read_bytes() for f in tmp_path.iterdir()} == kept
    with pytest.raises(DataError, match=r"candidates.jsonl: this file is now called traces.jsonl"):
        read_pools(tmp_path / "candidates.jsonl")


def test_other_traces_beside_a_former_file_are_left_alone(tmp_path):
    former(tmp_path / "former")
    for name, rows in (("former", None), ("plain", [{"problem": "q", "candidates": [{"answer": "1"}]}])):
        folder = tmp_path / name
        write_pools(folder / "traces.jsonl", [pool_of(Problem("p", "q", "1"), [Solution("1", "1", True)])])
        if rows is not None:
            write(folder / "candidates.jsonl", *rows)
        kept = {f: f.read_bytes() for f in folder.iterdir()}
        assert [p.id for p in read_pools(folder / "traces.jsonl")] == ["p"]
        assert {f: f.read_bytes() for f in folder.iterdir()} == kept


@pytest.mark.parametrize("stopped_at", ["judge-toolv.jsonl", "begun.json", "traces.costs.json", "traces.jsonl"])
def test_an_upgrade_that_is_stopped_goes_on(stopped_at, tmp_path, monkeypatch):
    import agentdistill.store as store

    for name in ("whole", "cut"):
        former(tmp_path / name)
    whole = read_pools(tmp_path / "whole" / "traces.jsonl")
    write = store.write_atomic

    def full(path, data):
        if path.name == stopped_at:
            raise InfrastructureError("the disk is full")
        write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(store, "write_atomic", full)
        with pytest.raises(InfrastructureError):
            read_pools(tmp_path / "cut" / "traces.jsonl")
    assert read_pools(tmp_path / "cut" / "traces.jsonl") == whole
    for file in (f for f in (tmp_path / "whole").iterdir() if "costs" not in f.name):
        assert (tmp_path / "cut" / file.name).read_bytes() == file.read_bytes()
