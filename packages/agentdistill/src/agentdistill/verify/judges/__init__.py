"""Judges, one file a role: ``judges/<role>.py`` with ``load(settings, kit) -> Judge``.

A judge looks at one candidate at a time and gives Checks. What a model writes never raises: it is a verdict of some
kind. Only faults of the world do (InfrastructureError), and what a model cannot do at all (ModelError).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from agentdistill import registry
from agentdistill.environment import Environment
from agentdistill.errors import RecipeError, UserError
from agentdistill.loop import Policy
from agentdistill.parse import after_reasoning
from agentdistill.retrieval import Retriever
from agentdistill.types import Problem, Sample, Sampling, StopReason
from agentdistill.verify.types import Candidate, Check, Role, Verdict

__all__ = ["DEFAULT_K", "VERDICT_LINE", "Judge", "JudgeSettings", "Kit", "load_judge", "said", "told"]

DEFAULT_K = {"code": 4, "facts": 4, "cot": 4, "genrm": 8}
"""The paper's samples for each role."""
VERDICT_LINE = re.compile(r"[*_]{0,3}verification[\s*_]*:(.*(?:\n\s*[*_]*(?:yes|no)\b(?!\s+\w))?)", re.IGNORECASE)
"""``Verification: …``, bold or not, with a lone yes or no below it."""
_CHOICE = re.compile(r"\(?\byes\s*(?:/|or)\s*no\b\)?", re.IGNORECASE)
_ANSWER = re.compile(r"(?:.*\?)?\W*(yes|no)\b", re.IGNORECASE)
_WORD = re.compile(r"\b(yes|no)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeSettings:
    """One judge of a recipe: its name and role, the model that writes, and how it is sampled; the paper's defaults.

    ``model`` is a table as a recipe's ``[teacher]``: the kind under ``model``, its settings beside it; empty for roles
    without one. ``k`` None is the role's own. ``hardened`` compares by value what code compares with ``==``.
    ``score`` says whether a GenRM's rationales are parsed or asked for the probability of Yes. ``n_documents`` are
    shown to a fact checker. ``separator`` ends the steps that a PRM scores. Raises RecipeError for what makes no sense.
    """

    name: str
    role: Role
    model: dict[str, Any] = field(default_factory=dict)
    style: str = ""
    k: int | None = None
    temperature: float = 0.6
    top_p: float = 1.0
    max_new_tokens: int = 1024
    hardened: bool = False
    score: Literal["parsed", "probability"] = "parsed"
    n_documents: int = 3
    separator: str = "\n\n"

    def __post_init__(self) -> None:
        try:
            registry.check("verifiers", self.role)
        except UserError as e:
            raise RecipeError(f"judges.role: {e}") from e
        for name in ("n", "max_new_tokens", "n_documents"):
            value = self.n if name == "n" else getattr(self, name)
            if value < 1:
                raise RecipeError(f"judges.{'k' if name == 'n' else name} has to be at least 1")
        if not 0 <= self.temperature < float("inf") or not 0 < self.top_p <= 1:
            raise RecipeError("judges.temperature has to be at least 0, top_p above 0 and at most 1")
        if self.needs_model and not self.model:
            raise RecipeError(f'judges.model: "{self.name}" needs a model, for example {{ model = "local", path = … }}')
        if self.n > 1 and self.temperature == 0 and self.role in DEFAULT_K:
            raise RecipeError(f'judges.k: "{self.name}" would be {self.n} times the same at temperature 0')

    @property
    def n(self) -> int:
        """Samples a candidate."""
        return self.k if self.k is not None else DEFAULT_K.get(self.role, 1)

    @property
    def needs_model(self) -> bool:
        """Whether the role is played by a model at all."""
        return self.role not in ("calculations", "gold")

    @property
    def sampling(self) -> Sampling:
        """How its model is sampled."""
        return Sampling(self.temperature, self.top_p, self.max_new_tokens)


@dataclass(frozen=True, slots=True)
class Kit:
    """What judges work with: a sandbox without tools, a retriever, and the style where a judge names none."""

    environment: Environment | None = None
    retriever: Retriever | None = None
    style: str = "standard"


class Judge(Protocol):
    """Something that checks a candidate. ``policy`` asks its model; judges without a chat model ignore it."""

    async def check(self, policy: Policy, problem: Problem, candidate: Candidate) -> tuple[Check, ...]:
        """One Check for each sample, calculation or step. Raises InfrastructureError where the world fails."""
        ...


def told(sample: Sample, verdict: Verdict) -> Verdict:
    """The verdict of a sample whose text says ``verdict``: cut off at its limit before any, it is of a kind apart."""
    cut = sample.stop is StopReason.LENGTH and verdict in (Verdict.MALFORMED, Verdict.NO_CODE)
    return Verdict.CUT_OFF if cut else verdict


def load_judge(settings: JudgeSettings, kit: Kit) -> Judge:
    """The judge of that role. Raises UserError where the kit lacks what it needs."""
    judge: Judge = registry.load("verifiers", settings.role)(settings, kit)
    return judge


def said(reply: str) -> Verdict:
    """The verdict that a reply ends with: of the last ``Verification: …``, the yes or no that it begins with, behind a
    question if there is one, else its last.

    >>> said("All is well.\\n**Verification: is it correct (Yes/No)? Yes**"), said("I cannot say.")
    (<Verdict.TRUE: 'true'>, <Verdict.MALFORMED: 'malformed'>)
    """
    lines = VERDICT_LINE.findall(after_reasoning(reply))
    told = _CHOICE.sub("", lines[-1]) if lines else ""
    answer = _ANSWER.match(told)
    words = [answer[1]] if answer else _WORD.findall(told)
    if not words:
        return Verdict.MALFORMED
    return Verdict.TRUE if words[-1].lower() == "yes" else Verdict.FALSE
