"""TinyWorld as a task: eight families, its splits, its corpus."""

from __future__ import annotations

import pytest

from agentdistill import scorers
from agentdistill.errors import UserError
from agentdistill.problems.tasks import find_task
from agentdistill.registry import names
from tinyworld.task import corpus, problems


def test_tasks_are_found_by_name() -> None:
    assert "tinyworld" in names("tasks")
    found = find_task("tinyworld:train:5")
    assert found is not None
    module, split = found
    assert [p.family for p in module.problems(split)] == ["hop2"] * 5 + ["word"] * 5
    assert find_task("questions.jsonl") is None


def test_eight_families_and_gold_answers_that_are_right() -> None:
    made = problems("test:12")
    families = list(dict.fromkeys(p.family for p in made))
    assert families == ["hop2", "hop3", "compare", "riddle", "word", "large", "steps", "theory"]
    assert len(made) == 8 * 12
    assert len({p.id for p in made}) == len({p.question for p in made}) == len(made)
    for p in made:
        assert scorers.score(p.kind, p.answer, p.answer).correct
    assert problems("test:12") == made
    assert [p for p in problems("test:20") if int(p.id[-4:]) < 12] == made  # more problems begin with the same


def test_the_corpus_answers_every_first_look_up() -> None:
    titles = {p.title for p in corpus()}
    assert len(titles) == len(corpus())
    assert all(any(t in p.question for t in titles) for p in problems("test:10") if p.kind == "short")


@pytest.mark.parametrize("split", ["dev", "test:x", "train:", "test:-3"])
def test_unknown_splits(split: str) -> None:
    if split == "train:":
        assert len(problems("train:")) == len(problems("train"))
        return
    with pytest.raises(UserError, match="tinyworld has no split"):
        problems(split)
