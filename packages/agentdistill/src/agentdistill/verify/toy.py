"""The toy task (T1, appendix A): is this sum of N three-digit numbers right? A sum to be verified, nothing else.

For every N there are as many right equations as wrong ones, whose result is off by less than 5 %. A verifier with code
copies the sum, one without has to do it.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from agentdistill.types import Problem
from agentdistill.verify.types import Candidate, Pool

TERMS = tuple(range(3, 11))
PER_SORT = 500


def equations(n_terms: int, n: int, seed: int = 0) -> list[tuple[str, int, int]]:
    """``n`` right and ``n`` wrong ones: the left side, the result that is written and the true one. Raises ValueError.

    Terms are added or taken away at random and the result is above 100, so that 5 % of it is room for a mistake.
    """
    if n_terms < 2 or n < 1:
        raise ValueError(f"a sum has at least two terms and there is at least one, not {n_terms} and {n}")
    rng = Random(f"toy-{n_terms}-{seed}")
    out: list[tuple[str, int, int]] = []
    seen: set[str] = set()
    while len(out) < 2 * n:
        signs = [1, *(rng.choice((1, -1)) for _ in range(n_terms - 1))]
        terms = [rng.randint(100, 999) for _ in range(n_terms)]
        result = sum(s * t for s, t in zip(signs, terms, strict=True))
        text = "".join(f" {'+' if s > 0 else '-'} {t}" for s, t in zip(signs, terms, strict=True)).removeprefix(" + ")
        if result <= 100 or text in seen:
            continue
        seen.add(text)
        most = max(1, (result - 1) // 20)  # below 5 %
        off = rng.choice((1, -1)) * rng.randint(1, most) if len(out) % 2 else 0
        out.append((text, result + off, result))
    return out


def toy_pools(terms: Sequence[int] = TERMS, n: int = PER_SORT, seed: int = 0) -> list[Pool]:
    """The task as pools of one candidate each, to be judged like any other; families are the numbers of terms."""
    out = []
    for n_terms in terms:
        for i, (left, written, result) in enumerate(equations(n_terms, n, seed)):
            name = f"toy-{n_terms:02}-{i:04}"
            problem = Problem(name, f"What is {left}?", str(result), "math", f"{n_terms:02} terms")
            candidate = Candidate(f"{left} = {written}", str(written), written == result)
            out.append(Pool(problem, (candidate,), "toy"))
    return out
