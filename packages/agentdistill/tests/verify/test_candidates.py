"""Reading candidates: every form there is, the same after a round trip, and what is wrong told by file and line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_traces import made_trace

from agentdistill.errors import DataError
from agentdistill.store import append_jsonl, dumps, from_dict
from agentdistill.types import End, Problem, Usage
from agentdistill.verify import Candidate, Judgement, Pool, Verdict, read_pools, write_pools

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
candidates = st.builds(
    Candidate,
    st.text(),
    st.one_of(st.none(), st.text()),
    st.booleans(),
    st.text(),
    st.integers(0, 9),
    st.integers(0, 9),
    st.lists(judgements, max_size=2).map(tuple),
)
pools = st.builds(
    Pool,
    st.builds(
        Problem,
        *(st.text(min_size=1), st.text(), st.text(), st.sampled_from(["math", "short"]), st.text()),
        labels=st.lists(st.tuples(st.text(), st.text()), max_size=2).map(tuple),
    ),
    st.lists(candidates, max_size=3).map(tuple),
    st.text(),
)


@given(pools)
def test_a_pool_survives_a_round_trip(pool):
    assert from_dict(Pool, json.loads(dumps(pool))) == pool


def test_our_own_file_comes_back_as_it_was(tmp_path):
    said = (Judgement("toolv", "code", (Verdict.TRUE, Verdict.TIMEOUT), n_new_tokens=7),)
    problem = Problem("a", "1 + 1?", "2", "math", "sums")
    pool = Pool(problem, (Candidate("It is 2.", "2", True, judgements=said), Candidate("3", "3", False)), "small")
    write_pools(tmp_path / "c.jsonl", [pool])
    assert read_pools(tmp_path / "c.jsonl") == [pool]


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
    assert [c.answer for c in pool.candidates] == ["42", "36", None]
    assert [c.correct for c in pool.candidates] == [True, False, False]
    first, second = pool.candidates[0].judgements, pool.candidates[1].judgements
    assert [(j.judge, j.role) for j in first] == [("score", "given"), ("verdict", "given")]
    assert (second[0].role, second[0].scores) == ("prm", (0.7, 0.2))
    assert second[1].verdicts == (Verdict.TIMEOUT, Verdict.FALSE)
    assert pool.candidates[2].n_new_tokens == 4


def test_a_problem_may_be_an_object_with_all_that_is_known_of_it(tmp_path):
    problem = {"id": 7, "question": "Who?", "answer": ["Ada", "Ada Lovelace"], "kind": "short", "family": "names"}
    [pool] = read_pools(write(tmp_path / "c.jsonl", {"problem": problem, "candidates": [{"answer": "ada lovelace"}]}))
    assert pool.problem == Problem("7", "Who?", "Ada", "short", "names", ("Ada Lovelace",))
    assert pool.candidates[0].correct is True


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
    assert [(c.answer, c.correct, c.n_new_tokens) for c in pool.candidates] == [("4", True, 11), ("5", False, 12)]
    assert pool.candidates[0].judgements == (Judgement("score", "prm", scores=(0.9, 0.8)),)


def test_a_runs_traces_are_the_candidates_of_their_problems(tmp_path):
    trace = made_trace(0)
    answered = replace(trace, usage=Usage(n_new_tokens=5))
    fault = replace(trace, id="fault", end=End.FAULT, answer=None, fault="lost")
    other = made_trace(1)
    append_jsonl(tmp_path / "traces.jsonl", [answered, other, replace(answered, id="again", answer="2"), fault])
    one, two = read_pools(tmp_path / "traces.jsonl")
    assert [(c.answer, c.correct, c.n_new_tokens) for c in one.candidates] == [("1", True, 5), ("2", False, 5)]
    assert [c.answer for c in two.candidates] == ["1"]
    assert "Observation" in one.candidates[0].solution
    assert one.version == 1


def test_a_problem_of_which_nothing_came_is_still_one(tmp_path):
    lost = replace(made_trace(1), end=End.FAULT, answer=None, fault="lost")
    append_jsonl(tmp_path / "traces.jsonl", [made_trace(0), lost])
    assert [len(p.candidates) for p in read_pools(tmp_path / "traces.jsonl")] == [1, 0]


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
    assert {len(p.candidates) for p in found} == {4}
    assert [c.source for c in found[0].candidates][:2] == ["6b_finetuning", "6b_verification"]
    assert found[0].problem.answer == "18"
    assert found[0].candidates[0].answer == "26"


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
