"""Checks of claims that no model writes: for training questions whose answer and supporting passages are known.

The role ``claims`` learns from them where no larger model is at hand. What a solution states are the sentences of its
thoughts that name something and plan nothing; each is searched for by the names in it, and supported by a passage that
has them all. The last claim is the answer. It is searched for by the titles of the supporting
passages, and held against the known answer once those are found.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from agentdistill.errors import UserError
from agentdistill.loop import Policy, canonical
from agentdistill.parse import after_reasoning
from agentdistill.problems import plain_text
from agentdistill.retrieval import Passage
from agentdistill.types import Problem, Trace
from agentdistill.verify.pools import Check
from agentdistill.verify.verifiers import Kit, VerifierSettings, ruling, shown_as

_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'])")
_PLAN = re.compile(r"\b(?:I|I'm|I'll|we|let's|need|needs|should|must|search|find|next|now|unknown|not)\b", re.I)
_WORD = r"[A-Z][\w'’-]*"
_NAME = re.compile(rf"\b{_WORD}(?:\s+(?:(?:of|the|de|von|van)\s+){{0,2}}(?:{_WORD}|\d+\b))*|\b\d[\d,.]*\d\b|\b\d\b")
_OPENINGS = {"The", "A", "An", "It", "He", "She", "They", "This", "That", "His", "Her", "Its", "In", "On", "At", "Both"}
_OPENINGS |= {"These", "Those", "Therefore", "So", "Thus"}
"""Words with a capital that begin a sentence and name nothing."""
_NOTHING = "Nothing. -> not found"


class EvidenceVerifier:
    """One Check a claim, as a verifier of the role ``claims`` makes them, written by rule. Where a question names no
    supporting passages, nothing is found of its answer."""

    def __init__(self, settings: VerifierSettings, kit: Kit) -> None:
        if kit.retriever is None:
            raise UserError(f'verifier "{settings.name}" searches and needs a corpus: name one as search in [tools]')
        self._retriever, self._n = kit.retriever, settings.n_documents

    async def check(self, policy: Policy, problem: Problem, candidate: Trace) -> tuple[Check, ...]:
        """See :class:`~agentdistill.verify.verifiers.Verifier`."""
        checks = [await self._stated(claim) for claim in stated(candidate)]
        return (*checks, await self._answer(problem, candidate))

    async def _stated(self, claim: str) -> Check:
        names = names_in(claim)
        found = await self._search(" ".join(names))
        said = next((_nearest(names, p) for p in found if _all_in(names, f"{p.title}: {p.text}")), "")
        return _check(claim, " ".join(names), found, f"{said} -> supported" if said else _NOTHING)

    async def _answer(self, problem: Problem, candidate: Trace) -> Check:
        answer = canonical(candidate.answer or "").strip() or "nothing"
        query = " ".join(problem.supporting)
        found = await self._search(query) if query else ()
        reply = _NOTHING
        if found and {plain_text(t) for t in problem.supporting} <= {plain_text(p.title) for p in found}:
            true = answer if candidate.correct else problem.answer
            reply = f"{answer}? {true}. -> {'supported' if candidate.correct else 'contradicted'}"
        return _check(f"{problem.question} {answer}", query or "none", found, reply)

    async def _search(self, query: str) -> Sequence[Passage]:
        return await asyncio.to_thread(self._retriever.search, query, self._n)


def _check(claim: str, query: str, found: Sequence[Passage], reply: str) -> Check:
    return Check(reply, ruling(reply), detail=claim, documents=shown_as(found), query=query)


def stated(candidate: Trace) -> tuple[str, ...]:
    """What a trajectory states before its answer: sentences of its thoughts behind an observation that name something
    and plan nothing, each once."""
    thoughts = [after_reasoning(s.reply.content).partition("```")[0] for s in candidate.steps[1:]]
    sentences = [s.strip() for t in thoughts for s in _SENTENCE.split(t.strip().removeprefix("Thought:").strip())]
    return tuple(dict.fromkeys(s for s in sentences if s and names_in(s) and not _PLAN.search(s)))


def names_in(text: str) -> tuple[str, ...]:
    """The names and numbers of a sentence, in order.

    >>> names_in("The host of American Top 40 was Ryan Seacrest.")
    ('American Top 40', 'Ryan Seacrest')
    """
    found = (" ".join(w for i, w in enumerate(m.split()) if i or w not in _OPENINGS) for m in _NAME.findall(text))
    return tuple(dict.fromkeys(filter(None, found)))


def _all_in(names: Sequence[str], text: str) -> bool:
    return _count_in(names, text) == len(names)


def _count_in(names: Sequence[str], text: str) -> int:
    return sum(plain_text(n) in plain_text(text) for n in names)


def _nearest(names: Sequence[str], p: Passage) -> str:
    """The sentence of a passage that has most of the names."""
    return max(_SENTENCE.split(p.text), key=lambda s: _count_in(names, s))
