"""The tool check that needs no model, put on candidates that are already in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agentdistill.environment import Environment
from agentdistill.verify.arithmetic import LIMITS, Checker
from agentdistill.verify.types import Candidate, Judgement, Pool, Verdict

NAME = "calculations"


def with_calculations(pools: Sequence[Pool]) -> list[Pool]:
    """The pools with a judgement called ``calculations`` on every candidate, one verdict for each it writes down.

    Raises UserError where this machine has no sandbox, InfrastructureError where it fails.
    """
    with Environment(limits=LIMITS) as environment:
        checker = Checker(environment)
        try:
            return [replace(p, candidates=tuple(_checked(c, checker) for c in p.candidates)) for p in pools]
        finally:
            checker.close()


def _checked(c: Candidate, checker: Checker) -> Candidate:
    verdicts: tuple[Verdict, ...] = tuple(k.verdict for k in checker.check(c.solution) if k.verdict is not None)
    kept = tuple(j for j in c.judgements if j.judge != NAME)
    return replace(c, judgements=(*kept, Judgement(NAME, "calculations", verdicts)))
