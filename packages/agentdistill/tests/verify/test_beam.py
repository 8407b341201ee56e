"""Beam search over steps: the reward model leads, and the search costs what it says."""

from __future__ import annotations

import asyncio

import pytest

from agentdistill.models.scripted import Scripted
from agentdistill.prompts import standard
from agentdistill.types import End, Problem, Sample, Sampling, StopReason
from agentdistill.verify.beam import SCORED_TOKENS, BeamSettings, beam_search
from agentdistill.verify.roles import Scored

PROBLEM = Problem("p", "Three digits: which?", "777", "math")


class Sevens:
    """Scores a step by its share of sevens, and counts what it reads."""

    def score(self, question, steps):
        return Scored(tuple(s.count("7") / max(1, sum(c.isdigit() for c in s)) for s in steps), len(steps))


def digits(request, i):
    """Writes a digit a step, the next of 0 to 9 for every sample; after three steps an answer of them all."""
    written = [s for s in request.prefix.split("\n\n") if s]
    if len(written) == 3:
        return Sample(f"Answer: {''.join(written)}", StopReason.END_TURN, 9, 4)
    return Sample(str(i % 10), StopReason.STOP_STRING, 9, 1)


def search(write=digits, **settings):
    model = Scripted(write)
    own = BeamSettings(reward="prm", **settings)
    return asyncio.run(beam_search(model, Sevens(), PROBLEM, standard, Sampling(1.0), own)), model


def test_the_best_partial_solutions_are_continued():
    trace, model = search(width=2, expand=10)
    assert (trace.answer, trace.correct, trace.end) == ("777", True, End.ANSWERED)
    assert trace.solution == "7\n\n7\n\n7\n\nAnswer: 777"
    assert {r.prefix.count("7") for r in model.requests if r.prefix} <= {0, 1, 2, 3}
    assert [sum(r.n for r in model.requests if r.prefix.count("\n\n") == k) for k in range(4)] == [20] * 4


def test_a_search_counts_what_it_wrote_and_what_was_read():
    trace, model = search(width=2, expand=10)
    assert trace.usage.n_new_tokens == 3 * 20 + 20 * 4
    assert trace.usage.n_requests == len(model.requests) == 7
    assert int(dict(trace.notes)[SCORED_TOKENS]) > 10


def test_a_search_that_finishes_nothing_has_no_answer():
    trace, _ = search(width=1, expand=8, max_steps=2)
    assert (trace.answer, trace.end) == (None, End.NO_ANSWER)
    assert trace.solution == "7\n\n7\n\n"
    silent, _ = search(lambda r: Sample("7 and 7 and", StopReason.LENGTH, 9, 3))
    assert (silent.answer, silent.solution) == (None, "")


@pytest.mark.parametrize("n_live", [1, 3])
def test_steps_are_shared_out_evenly(n_live):
    _, model = search(width=n_live, expand=4)
    shares = [r.n for r in model.requests if r.prefix.count("\n\n") == 1]
    assert sum(shares) == 4 * n_live
    assert max(shares) - min(shares) <= 1
