"""ToolV for knowledge: every fact that a solution states is held against what a search for it finds.

The query is question and solution together. A fact that the documents do not speak of counts as right; one that they
contradict makes the solution wrong. So the claims decide; the last line does where one of them cannot be read.
"""

from __future__ import annotations

import asyncio
import re

from agentdistill.errors import UserError
from agentdistill.loop import Policy
from agentdistill.retrieval import Retriever
from agentdistill.types import Problem, Request
from agentdistill.verify.judges import JudgeSettings, Kit, said, told
from agentdistill.verify.styles import VerifyStyle, load_style
from agentdistill.verify.types import Candidate, Check, Verdict

_WORD = "(supported|contradicted|not mentioned)"
_CLAIM = re.compile(rf"^[^a-z\n]*claim\b(?:.*?(?:\s*(?:->|→)\W*{_WORD}\b|:\W*{_WORD}\W*$))?", re.I | re.M)
QUERY_CHARS = 4000


class FactJudge:
    """k rationales a candidate over the same documents."""

    def __init__(self, settings: JudgeSettings, style: VerifyStyle, retriever: Retriever) -> None:
        self._settings, self._style, self._retriever = settings, style, retriever

    async def check(self, policy: Policy, problem: Problem, candidate: Candidate) -> tuple[Check, ...]:
        """See :class:`~agentdistill.verify.judges.Judge`."""
        query = f"{problem.question}\n{candidate.solution}"[:QUERY_CHARS]
        found = await asyncio.to_thread(self._retriever.search, query, self._settings.n_documents)
        messages = self._style.facts(problem.question, candidate.solution, found)
        request = Request(messages, self._settings.sampling, self._settings.n, seed=policy.seed("facts"))
        shown = tuple(f"{p.title}: {p.text}" if p.title else p.text for p in found)
        samples = await policy.ask_many(request)
        return tuple(Check(s.text, told(s, all_claims(s.text)), documents=shown) for s in samples)


def all_claims(reply: str) -> Verdict:
    """The verdict of a rationale: false where a claim is contradicted, true where none is, by its last line where one
    cannot be read. Malformed without any claim that can, and without a last line: it may have been cut short.

    >>> all_claims("Claim: Ulm is in Spain -> contradicted\\nVerification: Yes")
    <Verdict.FALSE: 'false'>
    """
    words = {(arrow or colon).lower() for arrow, colon in _CLAIM.findall(reply)}  # "" is of a claim that cannot be read
    verdict = said(reply)
    if not verdict.settled or not words - {""}:
        return Verdict.MALFORMED
    if "contradicted" in words:
        return Verdict.FALSE
    return verdict if "" in words else Verdict.TRUE


def load(settings: JudgeSettings, kit: Kit) -> FactJudge:
    """The verifier with documents. Raises UserError without a retriever."""
    if kit.retriever is None:
        raise UserError(f'judge "{settings.name}" searches and needs a corpus: name one as search in [tools]')
    return FactJudge(settings, load_style(settings.style or kit.style), kit.retriever)
