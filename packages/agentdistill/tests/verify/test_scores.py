"""What is computed over stored candidates: intervals over problems, matrices, uneven pools, levels."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from made_pools import Solution, first, matrix_of, pool_of

from agentdistill.cli import main
from agentdistill.errors import DataError
from agentdistill.report.stats import wilson
from agentdistill.types import Problem
from agentdistill.verify import Confusion, Judgement, Listen, Pool, SelectionPolicy, Verdict, rescore, write_pools
from agentdistill.verify.page import markdown, reading, render, setting
from agentdistill.verify.scores import Costs, Rival, ScoreSettings, curve, grouped, matrix_facts, select_rows, strata
from agentdistill.verify.select import find_verifiers

T, F, E = Verdict.TRUE, Verdict.FALSE, Verdict.ERROR
QUICK = ScoreSettings(n_resamples=100)


def solved(correct: bool, *said: Judgement, answer: str | None = None) -> Solution:
    return Solution("s", answer or ("1" if correct else "2"), correct, said, (3, 20))


def pool(i: int, *solutions: Solution, family: str = "f", labels: tuple[tuple[str, str], ...] = ()) -> Pool:
    return pool_of(Problem(f"p{i}", f"q{i}", "1", "math", family, (), labels), solutions, "small")


def coded(*verdicts: Verdict) -> Judgement:
    return Judgement("toolv", "code", verdicts, n_prompt_tokens=5, n_new_tokens=10)


def rewarded(*verdicts: Verdict) -> Judgement:
    return Judgement("reward", "genrm", verdicts)


def scored(score: float) -> Judgement:
    return Judgement("score", "given", scores=(score,))


# --- matrices ---------------------------------------------------------------------------------------------------------


def test_a_reward_model_accepts_from_a_half_on_where_code_accepts_by_any():
    """One Yes of four is a reward of a quarter, and no acceptance; one program of four that passes is one."""
    said = (T, F, F, F)
    pools = [pool(0, solved(False, coded(*said), rewarded(*said)), solved(True, coded(T), rewarded(T, T, F, E)))]
    assert matrix_of(pools, "toolv", SelectionPolicy()) == Confusion(tp=1, fp=1)
    assert matrix_of(pools, "reward", SelectionPolicy()) == Confusion(tp=1, tn=1)


def test_verifier_and_reward_together_have_a_matrix():
    """Both have to accept: fewer wrong ones come through than either lets, and fewer right ones."""
    marks = [(True, T, T), (True, T, F), (True, F, T), (False, T, F), (False, F, T), (False, T, T)]
    pools = [pool(i, solved(right, coded(a), rewarded(b))) for i, (right, a, b) in enumerate(marks)]
    told = curve("c", pools, QUICK, Costs())
    both = told["verifiers"]["toolv × reward"]
    assert [both[k] for k in ("tp", "fn", "fp", "tn")] == [1, 2, 1, 2]
    assert both["kinds"] is None
    page = render([told])
    assert "toolv × reward is what both accept" in page
    assert "| toolv × reward | 1 | 2 | 1 | 2 |" in markdown([told])


def test_a_reward_that_only_ranks_has_no_matrix():
    pools = [pool(i, solved(i % 2 == 0, coded(T), scored(0.1 + 0.1 * i))) for i in range(4)]
    told = curve("c", pools, QUICK, Costs())
    assert list(told["verifiers"]) == ["toolv"]
    assert "score only ranks" in render([told])


@pytest.mark.parametrize(("missing", "matrix"), [("reject", Confusion(1, 1, 0, 1)), ("accept", Confusion(2, 0, 1, 0))])
def test_a_matrix_counts_what_was_not_judged_as_the_filter_does(missing, matrix):
    pools = [pool(0, solved(True, coded(T)), solved(True), solved(False))]
    assert matrix_of(pools, "toolv", SelectionPolicy(missing=missing)) == matrix


def test_p_and_q_have_intervals_over_problems():
    """Twenty problems of fifty candidates that are all judged alike are twenty observations, not a thousand."""
    alike = {f"p{i}": Confusion(tp=50) if i < 16 else Confusion(fn=50) for i in range(20)}
    q = matrix_facts(alike)["q_accept_right"]
    over_candidates, over_problems = wilson(800, 1000), wilson(16, 20)
    assert q["estimate"] == 0.8
    assert q["high"] - q["low"] > 5 * (over_candidates.high - over_candidates.low)
    assert q["high"] - q["low"] == pytest.approx(over_problems.high - over_problems.low, abs=0.06)
    perfect = matrix_facts({f"p{i}": Confusion(tp=50) for i in range(20)})["q_accept_right"]
    assert (perfect["estimate"], perfect["high"]) == (1.0, 1.0)
    assert perfect["low"] == pytest.approx(wilson(20, 20).low)
    assert matrix_facts({"a": Confusion(tp=1)})["p_reject_wrong"] is None
    single = matrix_facts({f"p{i}": Confusion(tp=1) if i < 2 else Confusion(fn=1) for i in range(100)})[
        "q_accept_right"
    ]
    assert (single["low"], single["high"]) == (wilson(2, 100).low, wilson(2, 100).high)


# --- intervals over problems ------------------------------------------------------------------------------------------


def test_small_families_are_resampled_together():
    """A hundred values, half of them right, have one width, whether they are of one family or of a hundred."""

    def width(n_families: int) -> float:
        pools = [pool(i, solved(i % 2 == 0), family=f"f{i % n_families}") for i in range(100)]
        cell = rescore(pools, ScoreSettings(methods=("majority",)))["methods"]["majority"]["budgets"]["1"]
        assert len(cell["families"]) == n_families
        return cell["high"] - cell["low"]

    assert width(100) == pytest.approx(width(1), rel=0.05)
    assert width(33) == pytest.approx(width(1), rel=0.05)
    assert strata({"a": "x", "b": "x", "c": "y"}) == {"a": "", "b": "", "c": ""}
    assert strata({str(i): "x" for i in range(5)}) == {str(i): "x" for i in range(5)}


def test_what_the_first_sample_reaches_is_exact():
    pools = [pool(0, *(solved(k < 7) for k in range(64)))]
    for seed in range(3):
        cells = rescore(pools, ScoreSettings(methods=("first",), seed=seed))["methods"]["first"]["budgets"]
        assert {c["accuracy"] for c in cells.values()} == {7 / 64}


# --- files that are uneven --------------------------------------------------------------------------------------------

UNEVEN = [pool(0, solved(True), solved(False), solved(True)), pool(1, solved(False)), pool(2)]


def test_it_is_said_over_how_many_problems_a_budget_is():
    told = curve("c", UNEVEN, QUICK, Costs())
    assert (told["n_problems"], told["n_problems_at"]) == (3, {"1": 2, "2": 1, "3": 1})
    assert "2 have 1, 1 have 2, 1 have 3; each column is over those that do." in " ".join(setting(told))
    assert "| problems with as many | 2 | 1 | 1 |" in markdown([told])
    assert "problems with as many" in render([told])
    even = curve("c", UNEVEN[:1], QUICK, Costs())
    assert "problems with as many" not in markdown([even])
    assert setting(even)[0].startswith("1 problem, 3 candidates in all.")


def test_seeds_of_different_lengths_have_the_budgets_of_the_shorter():
    told = rescore(UNEVEN[:1], QUICK, [[first(UNEVEN[0], 2)]])
    assert told["budgets"] == [1, 2]
    with pytest.raises(DataError, match="no problem has a candidate under every seed"):
        rescore(UNEVEN[:1], QUICK, [[first(UNEVEN[0], 0)]])


# --- who is listened to -----------------------------------------------------------------------------------------------


def test_a_verifier_is_its_own_reward_only_where_that_is_wanted():
    pools = [pool(i, solved(i % 2 == 0, coded(T, F)), solved(False, coded(F, F))) for i in range(6)]
    told = rescore(pools, QUICK)
    assert "reward" not in told["judges"]
    assert list(told["methods"]) == ["first", "majority", "verifier", "pass"]
    assert select_rows(pools, None, QUICK)[0]["method"] == "verifier"
    wanted = curve("c", pools, replace(QUICK, listen=Listen(reward="toolv")), Costs())
    assert "verifier-weighted" in wanted["methods"]
    assert "weighed by toolv (the share of its own verdicts)." in " ".join(setting(wanted))


def test_a_judge_without_verdicts_is_no_verifier():
    pools = [pool(0, solved(True, scored(0.9)))]
    for wanted in (Listen(verifier="score"), Listen(plain="score")):
        with pytest.raises(DataError, match='"score" gives scores and no verdicts'):
            find_verifiers(pools, wanted)
    assert find_verifiers(pools, Listen(reward="score")).reward == "score"


@pytest.mark.parametrize(
    ("said", "best"),
    [
        ((), "majority"),
        ((scored(0.5),), "reward-weighted vote"),
        ((scored(-0.5),), "best reward"),
        ((coded(T),), "tool verifier, vote"),
        ((coded(T), scored(0.5)), "tool verifier × reward"),
    ],
)
def test_the_first_sentence_is_of_the_best_informed_method(said, best):
    told = curve("c", [pool(i, solved(True, *said), solved(False, *said)) for i in range(6)], QUICK, Costs())
    assert reading(told).startswith(f"With 2 candidates, {best} reaches ")
    assert ("against majority" in reading(told)) == (best != "majority")
    assert f"points, {best} less …" in markdown([told]) or best == "majority"


def test_with_one_candidate_there_is_nothing_to_choose():
    told = curve("c", [pool(i, solved(i < 3)) for i in range(4)], QUICK, Costs())
    assert len(setting(told)) == 1
    assert reading(told) == "With one candidate a problem there is nothing to choose; 75.0 % are right."


def test_negative_rewards_leave_out_what_cannot_use_them():
    pools = [pool(i, solved(True, coded(T), scored(-0.5)), solved(False, coded(F), scored(0.5))) for i in range(4)]
    told = curve("c", pools, QUICK, Costs())
    assert set(told["left_out"]) == {"weighted", "verifier-weighted"}
    assert {"best-of-n", "verifier", "verifier-best"} <= set(told["methods"])
    assert "Left out: " in render([told])
    with pytest.raises(DataError, match=r"the least is -0.5 \(--methods names others\)"):
        rescore(pools, replace(QUICK, methods=("weighted",)))
    soft = rescore(pools, replace(QUICK, policy=SelectionPolicy(passes="soft")))
    assert "verifier-best" in soft["left_out"]


# --- what results are shown by ----------------------------------------------------------------------------------------

LEVELS = [
    pool(i, solved(i < 6), family="Algebra" if i % 2 else "Geometry", labels=(("level", str(1 + i % 3)),))
    for i in range(12)
]


def test_results_may_be_shown_by_a_label():
    def families(settings: ScoreSettings, pools: list[Pool] = LEVELS) -> list[str]:
        return list(rescore(pools, settings)["methods"]["majority"]["budgets"]["1"]["families"])

    assert families(QUICK) == ["Algebra", "Geometry"]
    assert families(replace(QUICK, by="level")) == ["level 1", "level 2", "level 3"]
    of_one = [replace(p, problem=replace(p.problem, family="math500")) for p in LEVELS]
    assert families(QUICK, of_one) == ["level 1", "level 2", "level 3"]
    hard = [replace(p, problem=replace(p.problem, labels=(("type", "hard"), *p.problem.labels))) for p in of_one]
    assert families(QUICK, hard) == ["level 1", "level 2", "level 3"]
    assert families(replace(QUICK, by="family"), of_one) == ["math500"]
    assert grouped([pool(0), LEVELS[0]], "level")[0].problem.family == "no level"
    with pytest.raises(DataError, match='no problem has a label "year" \\(there are: family, level\\)'):
        rescore(LEVELS, replace(QUICK, by="year"))


def test_the_command_shows_by_level_and_says_where_its_page_is(tmp_path, capsys):
    folder = tmp_path / "pens" / "test"
    folder.mkdir(parents=True)
    write_pools(folder / "traces.jsonl", LEVELS)
    file, page = str(folder / "traces.jsonl"), tmp_path / "page.md"
    assert main(["verify", "curve", file, "--by", "level", "--out", str(page), "--resamples", "20"]) == 0
    assert Path(capsys.readouterr().out.strip()) == page
    assert page.read_text().startswith("## pens · test\n")
    assert main(["verify", "rescore", file, "--by", "level", "--resamples", "20"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["methods"]["majority"]["budgets"]["1"]["families"]) == 3


# --- rivals --------------------------------------------------------------------------------------------------------


def test_a_rival_has_a_place_on_the_axes_of_cost():
    judged = [pool(i, *(solved(k == i % 4, coded(T if k == i % 4 else F)) for k in range(4))) for i in range(8)]
    answers = [pool_of(p.problem, (Solution("s", "1", True, tokens=(30, 50)),)) for p in judged]
    told = curve(
        "c",
        judged,
        QUICK,
        Costs({"generator": 100, "toolv": 100}),
        (),
        {"large": Rival(answers=answers, n_parameters=1000)},
    )
    assert told["rivals"]["large"]["cost"] == {"tokens": 50, "flops": 2 * 1000 * 80, "seconds": None}
    assert told["rivals"]["large"]["new_tokens"] == 50
    assert "| large, once | 1,000 | 30 | 50 | – |" in markdown([told])
    page = render([told])
    assert page.count(">large</text>") == 2  # beside tokens and FLOPs
