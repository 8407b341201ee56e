"""MATH (Hendrycks et al. 2021, arXiv 2103.03874): the training problems of the agent-distillation paper. MIT.

``hard`` and ``medium`` are the paper's two files of 1,000 (levels 4 and 5; levels 2 and 3), and ``train`` is both. Four
of their rows have no answer and are left out. From the hub each is every training problem of those levels. To test,
there is the task ``math500``.
"""

from __future__ import annotations

from agentdistill.tasks._benchmark import Benchmark, Drawn, Part, Values, plain_row, question_of
from agentdistill.types import Problem

_SUBJECTS = (
    "algebra",
    "counting_and_probability",
    "geometry",
    "intermediate_algebra",
    "number_theory",
    "prealgebra",
    "precalculus",
)
_HUB = tuple(f"EleutherAI/hendrycks_math/{subject}:train" for subject in _SUBJECTS)


def _read(values: Values) -> Drawn:
    """The hub has no answers, only solutions, whose last box holds the answer."""
    if "answer" in values:
        return plain_row(values)
    answer = last_box(str(values.get("solution") or ""))
    return Drawn(question_of(values), (answer,) if answer else ())


def last_box(solution: str) -> str:
    r"""What stands in the last ``\boxed{…}`` of a solution; ``""`` where there is none.

    >>> last_box(r"so it is $\\boxed{\\frac{1}{2}}$.")
    '\\\\frac{1}{2}'
    """
    _, mark, rest = solution.rpartition(r"\boxed{")
    depth = 1
    for i, char in enumerate(rest if mark else ""):
        depth += (char == "{") - (char == "}")
        if depth == 0:
            return rest[:i].strip()
    return ""


_HARD = Part(("math_1000*.json",), _HUB, "hard", lambda v: v.get("level") in ("Level 4", "Level 5"))
_MEDIUM = Part(("math_medium_1000*.json",), _HUB, "medium", lambda v: v.get("level") in ("Level 2", "Level 3"))
MATH = Benchmark("math", "math", {"train": (_HARD, _MEDIUM), "hard": (_HARD,), "medium": (_MEDIUM,)}, _read)


def problems(split: str = "train") -> list[Problem]:
    """The problems of ``SPLIT[:N][@PATH]``; splits: train, hard, medium."""
    return MATH.problems(split)
