from pathlib import Path

import pytest

from agentdistill import scorers
from agentdistill.errors import UserError
from agentdistill.problems import load_problems
from agentdistill.registry import names

BENCHMARKS = Path(__file__).parents[4].parent / "shared" / "data" / "benchmarks"
needs_benchmarks = pytest.mark.skipif(not BENCHMARKS.is_dir(), reason=f"the benchmark files are not in {BENCHMARKS}")


def test_graders_are_found_by_name():
    assert names("scorers") == ("gym", "math", "short")
    with pytest.raises(UserError, match=r'unknown scorer "essay" \(there are: gym, math, short\)'):
        scorers.score("essay", "x", "x")
    with pytest.raises(UserError):
        scorers.score("text", "x", "x")


@pytest.mark.parametrize("kind", ["gym", "math", "short"])
@pytest.mark.parametrize("prediction", [None, "", "   \n"])
def test_no_answer_is_wrong_and_says_why(kind, prediction):
    score = scorers.score(kind, prediction, "5")
    assert not score.correct
    assert score.grader == kind
    assert score.reason


@needs_benchmarks
@pytest.mark.parametrize("name", [f"test/{p.name}" for p in sorted(BENCHMARKS.glob("test/*.json"))] or ["absent"])
def test_every_gold_answer_passes_its_own_scorer(name):
    problems = load_problems(BENCHMARKS / name).problems
    wrong = [p.answer for p in problems if not scorers.score(p.kind, p.answer, p.answer, p.aliases).correct]
    assert wrong == []


@needs_benchmarks
@pytest.mark.parametrize("name", [f"test/{p.name}" for p in sorted(BENCHMARKS.glob("test/*.json"))] or ["absent"])
def test_few_gold_answers_pass_for_a_neighbours(name):
    """A scorer that says yes to everything passes the test above; neighbouring answers are rarely the same."""
    problems = load_problems(BENCHMARKS / name, limit=60).problems
    value = [p.answer.lower().removeprefix("x=") for p in problems]
    pairs = [(problems[i], problems[i + 1]) for i in range(len(problems) - 1) if value[i] != value[i + 1]]
    wrong = [(a.answer, b.answer) for a, b in pairs if scorers.score(a.kind, b.answer, a.answer).correct]
    assert wrong == []
