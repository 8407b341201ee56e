"""Candidates from a model that refuses some questions, and questions that come later."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from agentdistill.errors import ModelError, RefusedError
from agentdistill.prompts import load_prompt
from agentdistill.types import Problem, Request, Sample, StopReason
from agentdistill.verify import Pool
from agentdistill.verify.judging import SampleSettings, sample_pools


class Sampler:
    """Answers with the question's last word, and refuses the questions in ``refuse``."""

    name, batch_size, lockstep, context_length = "sampler", 2, False, None

    def __init__(self) -> None:
        self.refuse: set[str] = set()
        self.asked: list[str] = []

    async def generate(self, requests: Sequence[Request]) -> list[list[Sample]]:
        (request,) = requests
        word = request.messages[-1].content.split()[-1]
        self.asked.append(word)
        if word in self.refuse:
            raise RefusedError("the server refused the request (400: content policy)")
        return [[Sample(f"Answer: {word}", StopReason.END_TURN)]]

    async def aclose(self) -> None: ...


def sample(model: Sampler, words: Sequence[str], folder: Path, n: int = 2) -> list[Pool]:
    problems = [Problem(w, f"Say {w}", w) for w in words]
    environment: Any = nullcontext
    model.asked.clear()
    return sample_pools(
        problems,
        SampleSettings(n=n),
        load_prompt("tiny"),
        lambda: model,
        folder / "traces.jsonl",
        environment=environment,
    )


def test_a_refused_question_leaves_the_others_their_candidates(tmp_path: Path) -> None:
    model = Sampler()
    model.refuse = {"b"}
    pools = sample(model, "abc", tmp_path)
    assert [[t.answer for t in p.traces] for p in pools] == [["a", "a"], [None, None], ["c", "c"]]
    assert model.asked.count("b") == 2
    model.refuse = set()
    assert [[t.answer for t in p.traces] for p in sample(model, "abc", tmp_path)][1] == ["b", "b"]
    assert model.asked == ["b", "b"]


def test_all_refused_is_an_error(tmp_path: Path) -> None:
    model = Sampler()
    model.refuse = set("abc")
    with pytest.raises(ModelError, match="content policy"):
        sample(model, "abc", tmp_path)


def test_only_new_questions_and_new_candidates_are_sampled(tmp_path: Path) -> None:
    model = Sampler()
    sample(model, "ab", tmp_path)
    assert len(sample(model, "cab", tmp_path)) == 3
    assert model.asked == ["c", "c"]
    assert [len(p.traces) for p in sample(model, "ca", tmp_path, n=3)] == [3, 3]
    assert sorted(model.asked) == ["a", "c"]
