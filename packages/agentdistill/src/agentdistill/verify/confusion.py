"""How good a verifier is: its verdicts against the truth, as a matrix and what follows from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from agentdistill.stats import wilson
from agentdistill.verify.evidence import Policy, filter_value, judges_of
from agentdistill.verify.types import Pool, Verdict


@dataclass(frozen=True, slots=True)
class Confusion:
    """Right solutions accepted (tp) and thrown away (fn), wrong ones let through (fp) and caught (tn).

    >>> Confusion(tp=8, fn=2, fp=1, tn=9).recall
    0.8
    """

    tp: int = 0
    fn: int = 0
    fp: int = 0
    tn: int = 0

    def __add__(self, other: Confusion) -> Confusion:
        return Confusion(self.tp + other.tp, self.fn + other.fn, self.fp + other.fp, self.tn + other.tn)

    @property
    def n(self) -> int:
        """All verdicts."""
        return self.tp + self.fn + self.fp + self.tn

    @property
    def accuracy(self) -> float | None:
        """Share of verdicts that are the truth; None without any, as everywhere here."""
        return _share(self.tp + self.tn, self.n)

    @property
    def precision(self) -> float | None:
        """Share of the accepted that are right."""
        return _share(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float | None:
        """q of the theory, P(accept | right)."""
        return _share(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> float | None:
        """p of the theory, P(reject | wrong)."""
        return _share(self.tn, self.tn + self.fp)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall."""
        return _share(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def base_rate(self) -> float | None:
        """Share of the judged that are right."""
        return _share(self.tp + self.fn, self.n)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def confusion(verdicts: Iterable[tuple[bool, bool]]) -> Confusion:
    """The matrix of ``(accepted, right)`` pairs."""
    counts = Counter(verdicts)
    return Confusion(counts[True, True], counts[False, True], counts[True, False], counts[False, False])


def of_judge(pools: Sequence[Pool], judge: str, policy: Policy) -> Confusion:
    """The matrix of one judge over every graded candidate that it gave a verdict on. Passed is f of at least a half."""
    return confusion(
        (value >= 0.5, c.correct)
        for p in pools
        for c in p.candidates
        if c.correct is not None and (value := filter_value(c.judgement(judge), policy)) is not None
    )


def facts(matrix: Confusion) -> dict[str, Any]:
    """The matrix and its measures as JSON values, p and q with intervals."""
    return {
        "tp": matrix.tp,
        "fn": matrix.fn,
        "fp": matrix.fp,
        "tn": matrix.tn,
        "n": matrix.n,
        "accuracy": matrix.accuracy,
        "precision": matrix.precision,
        "recall": matrix.recall,
        "f1": matrix.f1,
        "base_rate": matrix.base_rate,
        "p_reject_wrong": _interval(matrix.tn, matrix.tn + matrix.fp),
        "q_accept_right": _interval(matrix.tp, matrix.tp + matrix.fn),
    }


def _interval(part: int, whole: int) -> dict[str, float] | None:
    if not whole:
        return None
    i = wilson(part, whole)
    return {"estimate": i.estimate, "low": i.low, "high": i.high}


def verifier_facts(pools: Sequence[Pool], policy: Policy) -> dict[str, Any]:
    """Every judge that gives verdicts: matrix, matrix by family, and how many samples ended in which kind."""
    out: dict[str, Any] = {}
    for name, example in judges_of(pools).items():
        if not any(j.verdicts for p in pools for c in p.candidates for j in c.judgements if j.judge == name):
            continue
        families = sorted({p.problem.family for p in pools})
        out[name] = {
            "role": example.role,
            "kinds": kinds(pools, name),
            **facts(of_judge(pools, name, policy)),
            "families": {
                f: facts(of_judge([p for p in pools if p.problem.family == f], name, policy)) for f in families
            },
        }
    return out


def kinds(pools: Sequence[Pool], judge: str) -> dict[str, int]:
    """How many samples of a judge ended in which kind of verdict, and how many candidates it said nothing of."""
    said = [c.judgement(judge) for p in pools for c in p.candidates]
    counts = Counter(v for j in said if j is not None for v in j.verdicts)
    missing = sum(j is None or not j.verdicts for j in said)
    return {**{v.value: counts[v] for v in Verdict}, "candidates_without": missing}
