"""A process reward model: a classifier head that scores every step of a solution, here or behind a server."""

from __future__ import annotations

import asyncio

from agentdistill.acting import Policy
from agentdistill.types import Problem
from agentdistill.verify.judges import JudgeSettings, Kit
from agentdistill.verify.prm import StepScorer, load_scorer, steps_of
from agentdistill.verify.types import Candidate, Check


class StepJudge:
    """One Check a step, each with the probability that the solution is right so far."""

    def __init__(self, scorer: StepScorer, separator: str) -> None:
        self._scorer, self._separator = scorer, separator
        self._turn = asyncio.Lock()

    async def check(self, policy: Policy, problem: Problem, candidate: Candidate) -> tuple[Check, ...]:
        """See :class:`~agentdistill.verify.judges.Judge`."""
        steps = steps_of(candidate.solution, self._separator)
        async with self._turn:
            scores = await asyncio.to_thread(self._scorer.score, problem.question, steps) if steps else ()
        return tuple(Check(step, score=s) for step, s in zip(steps, scores, strict=True))


def load(settings: JudgeSettings, kit: Kit) -> StepJudge:
    """The PRM that ``model`` names: ``local`` with a ``path``, or ``endpoint`` with ``url`` and ``name``."""
    return StepJudge(load_scorer(settings.model), settings.separator)
