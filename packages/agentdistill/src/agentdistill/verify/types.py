"""The values of verification: verdicts that keep their kind, judgements, candidates, and a problem's pool of them.

All are frozen and survive a round trip through :mod:`agentdistill.store`; a file of candidates is one Pool a line.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from agentdistill.types import Problem

Role = str
"""What a verifier is, the name of a plug-in of kind ``verifiers``: with code, with documents (``facts``), or without
a tool (``cot``); a reward model that writes (``genrm``) or scores steps (``prm``); a check of the calculations written
in a solution, with no model; the gold answer (``gold``); or ``given``: read from somebody's file."""
REWARD_ROLES: tuple[Role, ...] = ("genrm", "prm")


class Verdict(StrEnum):
    """What came of one try to verify. Only ``TRUE`` and ``FALSE`` are opinions: the others never mean "wrong".

    ``NO_CODE``: nothing to run was written. ``MALFORMED``: what was written could not be read (bad syntax), or what it
    gave was no verdict. ``CUT_OFF``: it ended at the limit of new tokens, before any verdict. ``ERROR``: it raised, or
    met a limit of the sandbox other than time.
    """

    TRUE = "true"
    FALSE = "false"
    ERROR = "error"
    TIMEOUT = "timeout"
    NO_CODE = "no_code"
    MALFORMED = "malformed"
    CUT_OFF = "cut_off"

    @property
    def settled(self) -> bool:
        """Whether this is an opinion at all."""
        return self in (Verdict.TRUE, Verdict.FALSE)


@dataclass(frozen=True, slots=True)
class Check:
    """One sample of a verifier: what it wrote, what was run, the verdict. ``score`` is a probability of being right.

    ``documents`` are what a fact checker was shown.
    """

    reply: str
    verdict: Verdict | None = None
    score: float | None = None
    code: str | None = None
    detail: str = ""
    documents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one verifier said of one candidate, and what that cost.

    ``verdicts`` holds one for each sample (each calculation, for ``calculations``); ``scores`` one for each rationale
    of a GenRM, where they are probabilities, or for each step of a PRM.
    """

    judge: str
    role: Role
    verdicts: tuple[Verdict, ...] = ()
    scores: tuple[float, ...] = ()
    n_prompt_tokens: int = 0
    n_new_tokens: int = 0

    @property
    def is_reward(self) -> bool:
        """Whether it ranks rather than filters."""
        return self.role in REWARD_ROLES or bool(self.scores and not self.verdicts)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sampled solution. ``answer`` is None where it gives none; ``correct`` is None until it is graded.

    ``source`` is who wrote it, where a pool holds solutions of several models.
    """

    solution: str
    answer: str | None = None
    correct: bool | None = None
    source: str = ""
    n_prompt_tokens: int = 0
    n_new_tokens: int = 0
    judgements: tuple[Judgement, ...] = ()

    def judgement(self, verifier: str) -> Judgement | None:
        """What the verifier of that name said; None where it was not asked."""
        return next((j for j in self.judgements if j.judge == verifier), None)


@dataclass(frozen=True, slots=True)
class Pool:
    """A problem and its candidates, in the order they were sampled."""

    problem: Problem
    candidates: tuple[Candidate, ...]
    generator: str = ""
    version: int = 1

    @property
    def id(self) -> str:
        """The problem's id, unique in its file."""
        return self.problem.id
