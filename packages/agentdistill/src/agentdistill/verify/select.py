"""Selection: which of a problem's candidates is the answer. Pure functions of numbers, no model and no file.

    y* = argmax_i f_i r_i                      (arXiv 2504.04718, eq. 2)
    a* = argmax_a sum_i 1[a_i = a] f_i r_i     (the weighted vote that the paper reports)

First what verifiers said becomes f (passed or not) and r (reward) of every candidate, and answers become classes by the
graders' equivalence. Every method is the formula with some part left out. A filter decides who may be chosen, weights
only rank those who may, so a reward of 0 or below does not filter. Of equals the first seen wins.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from agentdistill import scorers
from agentdistill.errors import DataError, UserError
from agentdistill.loop import canonical
from agentdistill.verify.pools import CLAIM_ROLES, Judgement, Pool, Said, Verdict, by, verifiers_of

Pass = Literal["any", "all", "majority", "soft"]
Steps = Literal["last", "min", "product", "mean"]
Unsettled = Literal["reject", "ignore", "accept"]
Missing = Literal["reject", "accept"]
Filtered = Literal["reward", "majority", "abstain"]
Claims = Literal["supported", "uncontradicted", "share", "last"]

_PASS: dict[str, Pass] = {"code": "any", "facts": "all", "cot": "any", "calculations": "all"}
"""The paper's: code passes if any sample does, facts only if all do."""

_PLAIN_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")
MAX_CHARS = 2000
"""A longer answer is no short answer: it is alike only to the same text."""


@dataclass(frozen=True, slots=True)
class SelectionPolicy:
    """Everything that the method leaves open.

    ``passes``: how k verdicts become one; None is the role's own. ``soft`` is the share that passed.
    ``unsettled``: a sample that is neither true nor false counts as not passed (``reject``, as the paper counts it), as
    passed (``accept``), or is left out of the k (``ignore``).
    ``missing``: a candidate without any verdict, or with none left, is out (``reject``) or in (``accept``).
    ``filtered``: where no candidate is left, choose by the reward alone, by majority, or not at all (counted as wrong).
    ``steps``: how a PRM's step scores become one.
    ``claims``: a solution passes if documents support each of its claims (``supported``) or contradict none of them
    (``uncontradicted``), by the share that they support (``share``), or if they support the ``last``, which carries the
    answer, and say something of each.
    """

    passes: Pass | None = None
    unsettled: Unsettled = "reject"
    missing: Missing = "reject"
    filtered: Filtered = "reward"
    steps: Steps = "last"
    claims: Claims = "supported"


@dataclass(frozen=True, slots=True)
class Listen:
    """Which verifiers a selection goes by, by name: the tool verifier, the one without a tool, the reward model."""

    verifier: str | None = None
    plain: str | None = None
    reward: str | None = None


@dataclass(frozen=True, slots=True)
class Ballots:
    """One problem as selection sees it, one place a candidate.

    ``groups`` are classes of equal answers (None: no answer). ``passed`` and ``plain`` are f in [0, 1] with and without
    a tool, ``rewards`` r; None where it is not known. ``correct`` is None where nothing is known of the answer.
    """

    groups: tuple[int | None, ...]
    rewards: tuple[float | None, ...]
    passed: tuple[float | None, ...]
    plain: tuple[float | None, ...]
    correct: tuple[bool | None, ...]

    def __len__(self) -> int:
        return len(self.groups)


def pass_fraction(verdicts: Sequence[Verdict], rule: Pass, unsettled: Unsettled = "reject") -> float | None:
    """f of a candidate in [0, 1]; None where there is no verdict to go by. A majority is more than half.

    >>> pass_fraction([Verdict.TRUE, Verdict.ERROR, Verdict.FALSE], "soft", "ignore")
    0.5
    """
    counted = [v for v in verdicts if v.settled or unsettled != "ignore"]
    if not counted:
        return None
    passed = [v is Verdict.TRUE or (unsettled == "accept" and not v.settled) for v in counted]
    if rule == "soft":
        return sum(passed) / len(passed)
    return float({"any": any(passed), "all": all(passed), "majority": 2 * sum(passed) > len(passed)}[rule])


def claims_fraction(verdicts: Sequence[Verdict], rule: Claims) -> float:
    """f of a solution in [0, 1] from a verdict on each of its claims, of which there is at least one.

    >>> [claims_fraction([Verdict.TRUE, Verdict.NOT_FOUND], r) for r in ("supported", "uncontradicted", "share")]
    [0.0, 1.0, 0.5]
    >>> claims_fraction([Verdict.FALSE, Verdict.TRUE], "last")
    1.0
    """
    n_supported = verdicts.count(Verdict.TRUE)
    if rule == "uncontradicted":
        return float(Verdict.FALSE not in verdicts)
    if rule == "last":
        return float(verdicts[-1] is Verdict.TRUE and all(v.settled for v in verdicts))
    return n_supported / len(verdicts) if rule == "share" else float(n_supported == len(verdicts))


def step_score(scores: Sequence[float], rule: Steps) -> float | None:
    """r of a candidate from its step scores; None without any."""
    if not scores:
        return None
    if rule == "product":
        return math.prod(scores)
    return {"last": scores[-1], "min": min(scores), "mean": math.fsum(scores) / len(scores)}[rule]


def filter_value(judgement: Judgement | None, policy: SelectionPolicy) -> float | None:
    """f of a candidate by one verifier."""
    if judgement is None or not judgement.verdicts:
        return None
    if judgement.role in CLAIM_ROLES:
        return claims_fraction(judgement.verdicts, policy.claims)
    rule = policy.passes or _PASS.get(judgement.role, "any")
    return pass_fraction(judgement.verdicts, rule, policy.unsettled)


def reward_value(judgement: Judgement | None, policy: SelectionPolicy) -> float | None:
    """r of a candidate by one verifier: a PRM's steps, the mean of a GenRM's rationales, or the share of
    verdicts passed.

    A rationale without a verdict is left out of the mean.
    """
    if judgement is None:
        return None
    if judgement.role == "prm":
        return step_score(judgement.scores, policy.steps)
    if judgement.scores:
        return math.fsum(judgement.scores) / len(judgement.scores)
    if judgement.role in CLAIM_ROLES and judgement.verdicts:
        return claims_fraction(judgement.verdicts, "share")
    unsettled: Unsettled = "ignore" if judgement.role == "genrm" else policy.unsettled
    return pass_fraction(judgement.verdicts, "soft", unsettled)


def accepted(judgement: Judgement | None, policy: SelectionPolicy) -> bool:
    """Whether a verifier lets a candidate pass: f, or a reward model's r, of at least a half.

    Where it says neither, the policy's ``missing`` counts, as it does where candidates are filtered.
    """
    is_reward = judgement is not None and judgement.is_reward
    value = reward_value(judgement, policy) if is_reward else filter_value(judgement, policy)
    return policy.missing == "accept" if value is None else value >= 0.5


def classes(answers: Sequence[str | None], kind: str) -> tuple[int | None, ...]:
    """For every answer the number of its class; None, or nothing but space, is in none.

    Classes are numbered by first appearance, and an answer joins the first class whose first member it equals: by its
    text, by its value for plain numbers, else by the grader of ``kind``. So the classes hang on the answers and their
    order, on nothing else.

    >>> classes(["1,000", "1/2", None, "1000.0", "0.5"], "math")
    (0, 1, None, 0, 1)
    """
    heads: list[str] = []
    known: dict[str, int] = {}
    out: list[int | None] = []
    for answer in answers:
        if answer is None or not answer.strip():
            out.append(None)
            continue
        text = canonical(answer) if len(answer) <= MAX_CHARS else answer
        if text not in known:
            home = next((i for i, head in enumerate(heads) if same(text, head, kind)), len(heads))
            if home == len(heads):
                heads.append(text)
            known[text] = home
        out.append(known[text])
    return tuple(out)


@lru_cache(maxsize=65_536)
def same(answer: str, other: str, kind: str) -> bool:
    """Whether two answers are one, by the grader of ``kind`` in either direction."""
    if answer == other:
        return True
    if max(len(answer), len(other)) > MAX_CHARS:
        return False
    if kind == "math" and _PLAIN_NUMBER.fullmatch(answer) and _PLAIN_NUMBER.fullmatch(other):
        return False  # canonical numbers of one value have one spelling
    return scorers.score(kind, answer, other).correct or scorers.score(kind, other, answer).correct


def ballots(pool: Pool, listen: Listen, policy: SelectionPolicy) -> Ballots:
    """What selection needs of a pool. A verifier that is not named gives None everywhere."""

    def heard(name: str | None, said: Said) -> Judgement | None:
        return None if name is None else by(said, name)

    return Ballots(
        groups=classes([t.answer for t in pool.traces], pool.problem.kind),
        rewards=tuple(reward_value(heard(listen.reward, s), policy) for s in pool.judgements),
        passed=tuple(filter_value(heard(listen.verifier, s), policy) for s in pool.judgements),
        plain=tuple(filter_value(heard(listen.plain, s), policy) for s in pool.judgements),
        correct=tuple(t.correct for t in pool.traces),
    )


def find_verifiers(pools: Sequence[Pool], wanted: Listen = Listen()) -> Listen:
    """The verifiers to go by: those wanted, else the first of each sort that the pools hold.

    Only a wanted reward may be a verifier, and is then the share of its verdicts that passed. Raises DataError for an
    unknown name, and for a verifier that gives no verdicts.
    """
    there = verifiers_of(pools)
    for name in (wanted.verifier, wanted.plain, wanted.reward):
        if name is not None and name not in there:
            known = ", ".join(there) or "none"
            raise DataError(f'no verifier is called "{name}" in these candidates (there are: {known})')
    for name in (wanted.verifier, wanted.plain):
        if name is not None and not there[name].verdicts:
            raise DataError(f'verifier "{name}" gives scores and no verdicts to filter by; name it with --reward')
    verifier = wanted.verifier or _first(there, ("code", "claims", "facts", "calculations", "given"), reward=False)
    plain = wanted.plain or _first(there, ("cot",), reward=False)
    reward = wanted.reward or _first(there, ("genrm", "prm", "given"), reward=True)
    return Listen(verifier, plain, reward)


def _first(there: dict[str, Judgement], roles: Sequence[str], *, reward: bool) -> str | None:
    found = [name for name, j in there.items() if j.role in roles and j.is_reward == reward]
    return min(found, key=lambda n: roles.index(there[n].role)) if found else None


Ints = NDArray[np.int64]
TOLERANCE = 1e-9
"""Weights that differ by less of the greatest are a tie: the order in which floats are added must not decide."""


@dataclass(frozen=True, slots=True)
class SelectionMethod:
    """``filter``: by the verifier with a tool, the one without, or none. ``reward``: weigh by r. ``vote``: add up the
    weights of equal answers; else the single best candidate is taken."""

    name: str
    about: str
    filter: Literal["tool", "plain"] | None = None
    reward: bool = False
    vote: bool = True


METHODS: dict[str, SelectionMethod] = {
    m.name: m
    for m in (
        SelectionMethod("first", "the first sample, whatever it says", vote=False),
        SelectionMethod("majority", "most frequent answer"),
        SelectionMethod("best-of-n", "greatest reward", reward=True, vote=False),
        SelectionMethod("weighted", "answer with the greatest sum of rewards", reward=True),
        SelectionMethod("verifier", "most frequent answer among those that the tool verifier passes", filter="tool"),
        SelectionMethod("verifier-best", "greatest f x r", filter="tool", reward=True, vote=False),
        SelectionMethod("verifier-weighted", "answer with the greatest sum of f x r: T1", filter="tool", reward=True),
        SelectionMethod(
            "two-stage", "the same with the verifier that has no tool: T1's control", filter="plain", reward=True
        ),
        SelectionMethod("pass", "whether any is right: the ceiling"),
    )
}


BEST_INFORMED = ("verifier-weighted", "verifier", "weighted", "best-of-n", "majority")
"""What is gone by where nobody names a method: the first of these for which there is evidence."""


def best_informed(names: Collection[str]) -> str:
    """The method to go by among those that can be computed, of which there is at least one.

    >>> best_informed(["first", "majority", "verifier"])
    'verifier'
    """
    return next((m for m in BEST_INFORMED if m in names), next(iter(names)))


@dataclass(frozen=True, slots=True)
class Selection:
    """What was chosen and why: its place (None: nothing), its class, every candidate's weight (None: filtered out).

    ``fallback`` names what was done where no candidate passed the filter.
    """

    index: int | None
    group: int | None
    weights: tuple[float | None, ...]
    reason: str
    fallback: str | None = None


def method(name: str) -> SelectionMethod:
    """The method called ``name``. Raises UserError for an unknown one."""
    if name not in METHODS:
        raise UserError(f'no selection is called "{name}"; there are: {", ".join(METHODS)}')
    return METHODS[name]


def refusal(m: SelectionMethod, b: Ballots, policy: SelectionPolicy) -> str | None:
    """Why a method cannot go by these rewards; None where it can.

    A vote that adds negative weights up would punish answers for being frequent, and a share of a negative reward
    would be greater than the whole.
    """
    least = min((r for r in b.rewards if r is not None), default=0.0)
    if not m.reward or least >= 0 or not (m.vote or (m.filter is not None and policy.passes == "soft")):
        return None
    does = "adds rewards up" if m.vote else "multiplies rewards by shares"
    return f'"{m.name}" {does} and needs them to be at least 0; the least is {least:g} (--methods names others)'


def standing(m: SelectionMethod, b: Ballots, policy: SelectionPolicy) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Which candidates may be chosen, and their weights: both ``[candidates]``.

    Out are those without an answer, those that the filter rejects and, where rewards count, those without one. Raises
    DataError for a :func:`refusal`.
    """
    why_not = refusal(m, b, policy)
    if why_not is not None:
        raise DataError(why_not)
    n = len(b)
    eligible = np.array([g is not None for g in b.groups], dtype=bool)
    weights = np.ones(n)
    if m.filter is not None:
        values = b.passed if m.filter == "tool" else b.plain
        f = np.array([float(policy.missing == "accept") if v is None else v for v in values])
        eligible &= f > 0
        weights *= f
    if m.reward:
        eligible &= np.array([r is not None for r in b.rewards], dtype=bool)
        r = np.array([0.0 if r is None else r for r in b.rewards])
        weights *= r
    return eligible, weights


def fallbacks(m: SelectionMethod, policy: SelectionPolicy) -> tuple[SelectionMethod, ...]:
    """What is tried in turn where a method leaves nobody to choose."""
    if m.name in ("first", "majority"):
        return ()
    if m.filter is None:
        return (METHODS["majority"],)
    without = METHODS["weighted" if m.vote else "best-of-n"]
    if policy.filtered == "abstain":
        return ()
    return (without, METHODS["majority"]) if policy.filtered == "reward" and m.reward else (METHODS["majority"],)


def choose(m: SelectionMethod, b: Ballots, policy: SelectionPolicy, orders: Ints) -> tuple[Ints, Ints]:
    """The places chosen when candidates come as ``orders`` says, ``[orders, n]`` places each; -1 is none.

    Second is how many fallbacks were taken, ``[orders]``.
    """
    if m.name == "pass":
        raise UserError('"pass" chooses nothing; it is the share of pools with a right candidate')
    if m.name == "first":
        return orders[:, 0].copy(), np.zeros(len(orders), dtype=np.int64)
    chosen = _pick(m, b, policy, orders)
    fell = np.zeros(len(orders), dtype=np.int64)
    for next_best in fallbacks(m, policy):
        empty = chosen < 0
        if not empty.any():
            break
        fell[empty] += 1
        chosen[empty] = _pick(next_best, b, policy, orders[empty])
    return chosen, fell


def _pick(m: SelectionMethod, b: Ballots, policy: SelectionPolicy, orders: Ints) -> Ints:
    eligible, weights = standing(m, b, policy)
    may, w = eligible[orders], weights[orders]
    rows = np.arange(len(orders))
    if m.vote:
        groups = np.array([-1 if g is None else g for g in b.groups], dtype=np.int64)[orders]
        first = leading_group(groups, may, np.where(may, w, 0.0))
    else:
        first = greatest(may, w)
    return np.where(may.any(axis=1), orders[rows, first], -1)


def greatest(may: NDArray[np.bool_], w: NDArray[np.float64]) -> Ints:
    """The column with the greatest weight, ``[orders]``; of equals the first seen."""
    ranked = np.where(may, w, -np.inf)
    best = ranked.max(axis=1, keepdims=True)
    least = best - TOLERANCE * np.where(np.isfinite(best), np.abs(best), 0.0)
    return np.asarray((may & (ranked >= least)).argmax(axis=1), dtype=np.int64)


def leading_group(groups: Ints, may: NDArray[np.bool_], w: NDArray[np.float64]) -> Ints:
    """The column of the first member of the class with the greatest sum, ``[orders]``; of equals the first seen."""
    n_rows, n = groups.shape
    n_groups = int(groups.max(initial=0)) + 1
    rows, columns = np.nonzero(may)
    sums = np.zeros((n_rows, n_groups))
    np.add.at(sums, (rows, groups[rows, columns]), w[rows, columns])
    seen = np.full((n_rows, n_groups), n)
    np.minimum.at(seen, (rows, groups[rows, columns]), columns)
    ranked = np.where(seen < n, sums, -np.inf)
    best = ranked.max(axis=1, keepdims=True)
    level = (seen < n) & (ranked >= best - TOLERANCE * np.abs(best))
    first = np.where(level, seen, n).min(axis=1)
    return np.asarray(np.minimum(first, n - 1), dtype=np.int64)


def select(name: str, b: Ballots, policy: SelectionPolicy = SelectionPolicy()) -> Selection:
    """The candidate that a method takes of a pool in its own order, and why.

    >>> b = Ballots((0, 1, 1), (0.9, 0.4, 0.4), (1.0, 1.0, 0.0), (None,) * 3, (None,) * 3)
    >>> select("weighted", b).index, select("majority", b).index, select("verifier-weighted", b).index
    (0, 1, 0)
    """
    m = method(name)
    if not len(b):
        return Selection(None, None, (), "no candidates")
    chosen, fell = choose(m, b, policy, np.arange(len(b))[None])
    ways = (m, *fallbacks(m, policy))
    used = ways[min(int(fell[0]), len(ways) - 1)]
    eligible, w = standing(used, b, policy)
    weights = tuple(float(x) if e else None for x, e in zip(w, eligible, strict=True))
    index = int(chosen[0])
    fallback = used.name if used is not m else None
    if index < 0:
        return Selection(None, None, weights, "no candidate is left to choose from", fallback or "abstain")
    return Selection(index, b.groups[index], weights, _reason(used, b, weights, index, fallback), fallback)


def _reason(m: SelectionMethod, b: Ballots, weights: Sequence[float | None], index: int, fallback: str | None) -> str:
    before = "" if fallback is None else f"nobody passed, so by {fallback}: "
    n = sum(w is not None for w in weights)
    if m.name == "first":
        return "the first sample"
    if not m.vote:
        return f"{before}{weights[index]:.3g} is the greatest weight of {n} candidates"
    group = b.groups[index]
    own = sum(w for w, g in zip(weights, b.groups, strict=True) if w is not None and g == group)
    members = sum(w is not None and g == group for w, g in zip(weights, b.groups, strict=True))
    total = sum(w for w in weights if w is not None)
    return f"{before}{members} of {n} votes, {own:.3g} of {total:.3g} by weight"
