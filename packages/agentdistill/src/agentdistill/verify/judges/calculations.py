"""The verifier that needs no model: every calculation that a solution writes down is done again in the sandbox."""

from __future__ import annotations

import asyncio

from agentdistill.acting import Policy
from agentdistill.errors import UserError
from agentdistill.types import Problem
from agentdistill.verify.arithmetic import Checker
from agentdistill.verify.judges import JudgeSettings, Kit
from agentdistill.verify.types import Candidate, Check


class CalculationJudge:
    """One Check a calculation, all run together. Used by one event loop at a time."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker
        self._turn = asyncio.Lock()

    async def check(self, policy: Policy, problem: Problem, candidate: Candidate) -> tuple[Check, ...]:
        """See :class:`~agentdistill.verify.judges.Judge`."""
        async with self._turn:
            return await asyncio.to_thread(self._checker.check, candidate.solution)


def load(settings: JudgeSettings, kit: Kit) -> CalculationJudge:
    """The check of calculations. Raises UserError without a sandbox."""
    if kit.environment is None:
        raise UserError(f'judge "{settings.name}" calculates and needs a sandbox')
    return CalculationJudge(Checker(kit.environment))
