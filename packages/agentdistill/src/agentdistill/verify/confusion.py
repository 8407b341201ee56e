"""How good a verifier is: its verdicts against the truth as a matrix, and what p and q of it promise.

The chance that a verified choice is right (T1, arXiv 2504.04718, section 3): of N candidates each is right with the
prior s. A verifier rejects a wrong one with p and accepts a right one with q. One of the accepted is chosen at random,
or one of all where none is accepted. With a = P(all are rejected):

    a      = (s (1 - q) + (1 - s) p)^N                               ((1 + p - q) / 2)^N  at s = 1/2
    pi_N   = (1 - a) s q / (s q + (1 - s)(1 - p)) + a s (1 - q) / (s (1 - q) + (1 - s) p)

It increases in p for N >= 2. It takes the candidates of a problem as independent, and does not show the price of a
lower q: right solutions thrown away, and whole pools with nobody left. Both are given beside it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from agentdistill.stats import paired_ratio, wilson
from agentdistill.verify.pools import Pool, Said, Verdict, by, verifiers_of
from agentdistill.verify.select import Listen, Policy, accepted, reward_value

Accepts = Callable[[Said], bool]


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


def counts(pools: Iterable[Pool], accepts: Accepts) -> dict[str, Confusion]:
    """A matrix for every problem, over its graded candidates; those of several seeds are counted together."""
    out: dict[str, Confusion] = defaultdict(Confusion)
    for p in pools:
        out[p.id] += confusion((accepts(said), t.correct) for t, said in p.judged if t.correct is not None)
    return out


def total(matrices: Iterable[Confusion]) -> Confusion:
    """All of them as one."""
    return sum(matrices, Confusion())


def of_verifier(pools: Sequence[Pool], verifier: str, policy: Policy) -> Confusion:
    """The matrix of one verifier over every graded candidate."""
    return total(counts(pools, partial(Test((verifier,)).accepts, policy)).values())


@dataclass(frozen=True, slots=True)
class Test:
    """What a solution has to pass: one verifier, or several that all have to accept it."""

    verifiers: tuple[str, ...]
    role: str = ""

    def accepts(self, policy: Policy, said: Said) -> bool:
        """Whether a candidate passes that this was said of."""
        return all(accepted(by(said, j), policy) for j in self.verifiers)


def facts(by_problem: Mapping[str, Confusion], n_resamples: int = 2_000, seed: int = 0) -> dict[str, Any]:
    """The matrix and its measures as JSON values, p and q with intervals over problems: candidates of one problem are
    right, and judged, together."""
    m = total(by_problem.values())
    wrong = {i: (k.tn, k.tn + k.fp) for i, k in by_problem.items()}
    right = {i: (k.tp, k.tp + k.fn) for i, k in by_problem.items()}
    return {
        "tp": m.tp,
        "fn": m.fn,
        "fp": m.fp,
        "tn": m.tn,
        "n": m.n,
        "accuracy": m.accuracy,
        "precision": m.precision,
        "recall": m.recall,
        "f1": m.f1,
        "base_rate": m.base_rate,
        "p_reject_wrong": _interval(wrong, n_resamples, seed),
        "q_accept_right": _interval(right, n_resamples, seed),
    }


def _interval(shares: Mapping[str, tuple[int, int]], n_resamples: int, seed: int) -> dict[str, float] | None:
    """Part of whole, each summed over problems, bootstrapped over those that have any; None where nothing has.

    Where each has one candidate these are trials by themselves, and the interval is Wilson's.
    """
    some = {i: share for i, share in shares.items() if share[1]}
    if not some:
        return None
    if all(whole == 1 for _, whole in some.values()):
        alone = wilson(sum(part for part, _ in some.values()), len(some))
        return {"estimate": alone.estimate, "low": alone.low, "high": alone.high}
    parts, wholes = ({"": {i: float(share[k]) for i, share in some.items()}} for k in (0, 1))
    bounds = (0.0, max(wholes[""].values()))
    found = paired_ratio(parts, wholes, weighting="problem", bounds=bounds, n_resamples=n_resamples, seed=seed)
    assert found is not None  # every whole is above zero
    return {"estimate": found.estimate, "low": found.low, "high": min(1.0, found.high)}


def verifier_facts(
    pools: Sequence[Pool], tests: Mapping[str, Test], policy: Policy, n_resamples: int = 2_000, seed: int = 0
) -> dict[str, Any]:
    """Every test against the truth: matrix, matrix by family, how many samples ended in which kind of verdict."""
    family = {p.id: p.problem.family for p in pools}
    out: dict[str, Any] = {}
    for name, test in tests.items():
        by_problem = counts(pools, partial(test.accepts, policy))
        families = {
            f: facts({i: m for i, m in by_problem.items() if family[i] == f}, n_resamples, seed)
            for f in sorted(set(family.values()))
        }
        told = facts(by_problem, n_resamples, seed)
        out[name] = {"role": test.role, "kinds": kinds(pools, test), **told, "families": families}
    return out


def tests(pools: Sequence[Pool], listen: Listen, policy: Policy) -> dict[str, Test]:
    """Every verifier, by its name, and last the verifier and the reward together: f and r, which T1 multiplies.

    A reward model accepts from a half on. One without verdicts is left out where a half does not part its rewards: it
    ranks, and says nothing of right and wrong.
    """
    there = verifiers_of(pools)
    found = {n: Test((n,), j.role) for n, j in there.items() if j.verdicts or _separates(pools, n, policy)}
    pair = tuple(dict.fromkeys(n for n in (listen.verifier, listen.reward) if n in found))
    if len(pair) == 2:
        found[" × ".join(pair)] = Test(pair, " × ".join(there[n].role for n in pair))
    return found


def _separates(pools: Sequence[Pool], verifier: str, policy: Policy) -> bool:
    rewards = [reward_value(by(said, verifier), policy) for p in pools for said in p.judgements]
    known = [r for r in rewards if r is not None]
    return bool(known) and 0 <= min(known) < 0.5 <= max(known) <= 1


def kinds(pools: Sequence[Pool], test: Test) -> dict[str, int] | None:
    """How many samples of a verifier ended in which kind of verdict, and how many candidates it said nothing of; None
    where it gives no verdicts, and for several verifiers."""
    said = [by(s, test.verifiers[0]) for p in pools for s in p.judgements]
    ended = Counter(v for j in said if j is not None for v in j.verdicts)
    if len(test.verifiers) > 1 or not ended:
        return None
    missing = sum(j is None or not j.verdicts for j in said)
    return {**{v.value: ended[v] for v in Verdict}, "candidates_without": missing}


@dataclass(frozen=True, slots=True)
class Outcome:
    """``right``: the chance that the chosen is right. ``all_rejected``: that nobody was accepted. ``thrown_away``: the
    share of right candidates that were rejected."""

    right: float
    all_rejected: float
    thrown_away: float


def chance_right(p: float, q: float, n: int, prior: float = 0.5) -> Outcome:
    """The formula. Raises ValueError for what is no probability, or ``n`` below 1.

    >>> round(chance_right(p=0.9, q=0.8, n=1).right, 6), round(chance_right(p=0.9, q=0.8, n=64).right, 4)
    (0.5, 0.8889)
    """
    if not (0 <= p <= 1 and 0 <= q <= 1 and 0 <= prior <= 1) or n < 1:
        raise ValueError(f"p, q and the prior are probabilities and n is at least 1, not {p}, {q}, {prior}, {n}")
    accepted_right, accepted_wrong = prior * q, (1 - prior) * (1 - p)
    rejected_right, rejected_wrong = prior * (1 - q), (1 - prior) * p
    a = (rejected_right + rejected_wrong) ** n
    right = (1 - a) * _ratio(accepted_right, accepted_wrong) + a * _ratio(rejected_right, rejected_wrong)
    return Outcome(right, a, 1 - q)


def _ratio(x: float, y: float) -> float:
    return x / (x + y) if x + y > 0 else 0.0  # a case that never happens weighs nothing
