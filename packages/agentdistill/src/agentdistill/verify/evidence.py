"""From what judges said to numbers: f (passed or not) and r (reward) of every candidate, by rules that are named.

Answers become classes by the graders' equivalence, the same whatever Python's hashing does.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from agentdistill import scorers
from agentdistill.errors import DataError
from agentdistill.loop import canonical
from agentdistill.verify.types import Candidate, Judgement, Pool, Verdict

Pass = Literal["any", "all", "majority", "soft"]
Steps = Literal["last", "min", "product", "mean"]
Unsettled = Literal["reject", "ignore", "accept"]
Missing = Literal["reject", "accept"]
Filtered = Literal["reward", "majority", "abstain"]

_PASS: dict[str, Pass] = {"code": "any", "facts": "all", "cot": "any", "calculations": "all"}
"""The paper's: code passes if any sample does, facts only if all do."""

_PLAIN_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")
MAX_CHARS = 2000
"""A longer answer is no short answer: it is alike only to the same text."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything that the method leaves open.

    ``passes``: how k verdicts become one; None is the role's own. ``soft`` is the share that passed.
    ``unsettled``: a sample that is neither true nor false counts as not passed (``reject``, as the paper counts it), as
    passed (``accept``), or is left out of the k (``ignore``).
    ``missing``: a candidate without any verdict, or with none left, is out (``reject``) or in (``accept``).
    ``filtered``: where no candidate is left, choose by the reward alone, by majority, or not at all (counted as wrong).
    ``steps``: how a PRM's step scores become one.
    """

    passes: Pass | None = None
    unsettled: Unsettled = "reject"
    missing: Missing = "reject"
    filtered: Filtered = "reward"
    steps: Steps = "last"


@dataclass(frozen=True, slots=True)
class Judges:
    """Which judges a selection listens to, by name: the tool verifier, the one without a tool, the reward model."""

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


def step_score(scores: Sequence[float], rule: Steps) -> float | None:
    """r of a candidate from its step scores; None without any."""
    if not scores:
        return None
    if rule == "product":
        return math.prod(scores)
    return {"last": scores[-1], "min": min(scores), "mean": math.fsum(scores) / len(scores)}[rule]


def filter_value(judgement: Judgement | None, policy: Policy) -> float | None:
    """f of a candidate by one judge."""
    if judgement is None or not judgement.verdicts:
        return None
    rule = policy.passes or _PASS.get(judgement.role, "any")
    return pass_fraction(judgement.verdicts, rule, policy.unsettled)


def reward_value(judgement: Judgement | None, policy: Policy) -> float | None:
    """r of a candidate by one judge: a PRM's steps, the mean of a GenRM's rationales, or the share of verdicts passed.

    A rationale without a verdict is left out of the mean.
    """
    if judgement is None:
        return None
    if judgement.role == "prm":
        return step_score(judgement.scores, policy.steps)
    if judgement.scores:
        return math.fsum(judgement.scores) / len(judgement.scores)
    unsettled: Unsettled = "ignore" if judgement.role == "genrm" else policy.unsettled
    return pass_fraction(judgement.verdicts, "soft", unsettled)


def accepted(judgement: Judgement | None, policy: Policy) -> bool:
    """Whether a judge lets a candidate pass: f, or a reward model's r, of at least a half.

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


def ballots(pool: Pool, judges: Judges, policy: Policy) -> Ballots:
    """What selection needs of a pool. A judge that is not named gives None everywhere."""

    def said(name: str | None, c: Candidate) -> Judgement | None:
        return None if name is None else c.judgement(name)

    cs = pool.candidates
    return Ballots(
        groups=classes([c.answer for c in cs], pool.problem.kind),
        rewards=tuple(reward_value(said(judges.reward, c), policy) for c in cs),
        passed=tuple(filter_value(said(judges.verifier, c), policy) for c in cs),
        plain=tuple(filter_value(said(judges.plain, c), policy) for c in cs),
        correct=tuple(c.correct for c in cs),
    )


def judges_of(pools: Sequence[Pool]) -> dict[str, Judgement]:
    """Every judge that said something, by name, with one of its judgements: one with verdicts where it gave any."""
    out: dict[str, Judgement] = {}
    for j in (j for p in pools for c in p.candidates for j in c.judgements):
        if j.judge not in out or (j.verdicts and not out[j.judge].verdicts):
            out[j.judge] = j
    return out


def find_judges(pools: Sequence[Pool], wanted: Judges = Judges()) -> Judges:
    """The judges to listen to: those wanted, else the first of each sort that the pools hold.

    Only a wanted reward may be a verifier, and is then the share of its verdicts that passed. Raises DataError for an
    unknown name, and for a verifier that gives no verdicts.
    """
    there = judges_of(pools)
    for name in (wanted.verifier, wanted.plain, wanted.reward):
        if name is not None and name not in there:
            known = ", ".join(there) or "none"
            raise DataError(f'no judge is called "{name}" in these candidates (there are: {known})')
    for name in (wanted.verifier, wanted.plain):
        if name is not None and not there[name].verdicts:
            raise DataError(f'judge "{name}" gives scores and no verdicts to filter by; name it with --reward')
    verifier = wanted.verifier or _first(there, ("code", "facts", "calculations", "given"), reward=False)
    plain = wanted.plain or _first(there, ("cot",), reward=False)
    reward = wanted.reward or _first(there, ("genrm", "prm", "given"), reward=True)
    return Judges(verifier, plain, reward)


def _first(there: dict[str, Judgement], roles: Sequence[str], *, reward: bool) -> str | None:
    found = [name for name, j in there.items() if j.role in roles and j.is_reward == reward]
    return min(found, key=lambda n: roles.index(there[n].role)) if found else None
