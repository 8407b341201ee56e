"""The verifier without a tool: the same question as with code, answered by thinking alone. T1's control."""

from __future__ import annotations

from agentdistill.loop import Policy
from agentdistill.types import Problem, Request
from agentdistill.verify.judges import JudgeSettings, Kit, said, told
from agentdistill.verify.styles import VerifyStyle, load_style
from agentdistill.verify.types import Candidate, Check


class ThinkingJudge:
    """k rationales a candidate, each with a verdict in its last line."""

    def __init__(self, settings: JudgeSettings, style: VerifyStyle) -> None:
        self._settings, self._style = settings, style

    async def check(self, policy: Policy, problem: Problem, candidate: Candidate) -> tuple[Check, ...]:
        """See :class:`~agentdistill.verify.judges.Judge`."""
        messages = self._style.cot(problem.question, candidate.solution)
        request = Request(messages, self._settings.sampling, self._settings.n, seed=policy.seed("cot"))
        return tuple(Check(s.text, told(s, said(s.text))) for s in await policy.ask_many(request))


def load(settings: JudgeSettings, kit: Kit) -> ThinkingJudge:
    """The verifier without a tool."""
    return ThinkingJudge(settings, load_style(settings.style or kit.style))
