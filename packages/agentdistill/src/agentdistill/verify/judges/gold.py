"""A judge that knows the gold answer: the ceiling of any verifier, and labels for those that are to learn."""

from __future__ import annotations

from agentdistill.errors import DataError
from agentdistill.loop import Policy
from agentdistill.types import Problem
from agentdistill.verify.judges import JudgeSettings, Kit
from agentdistill.verify.styles import VerifyStyle, load_style
from agentdistill.verify.types import Candidate, Check, Verdict


class GoldJudge:
    """One Check a candidate: its mark."""

    def __init__(self, style: VerifyStyle) -> None:
        self._style = style

    async def check(self, policy: Policy, problem: Problem, candidate: Candidate) -> tuple[Check, ...]:
        """See :class:`~agentdistill.verify.judges.Judge`. Raises DataError for a candidate without a mark."""
        if candidate.correct is None:
            raise DataError(f"problem {problem.id!r} has no gold answer to judge by")
        verdict = Verdict.TRUE if candidate.correct else Verdict.FALSE
        return (Check(self._style.VERDICT + ("Yes" if candidate.correct else "No"), verdict),)


def load(settings: JudgeSettings, kit: Kit) -> GoldJudge:
    """The judge that knows."""
    return GoldJudge(load_style(settings.style or kit.style))
