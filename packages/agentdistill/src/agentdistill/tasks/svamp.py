"""SVAMP (Patel et al. 2021, arXiv 2103.07191): 1,000 word problems that vary others just enough to change the answer.

MIT. The release holds them in one file and trains on other sets, so all are ``test``; the hub has them in two splits,
which are read as one.
"""

from __future__ import annotations

from agentdistill.problems import as_text
from agentdistill.tasks._benchmark import Benchmark, Drawn, Part, Values, question_of
from agentdistill.types import Problem


def _read(values: Values) -> Drawn:
    """The release has a ``Body`` before its ``Question``; its answers are floats, or texts such as ``"14.0"``."""
    question = f"{as_text(values.get('Body'))} {question_of(values)}".strip()
    answer = next((as_text(values[k]) for k in ("Answer", "answer_value", "answer") if k in values), "")
    try:
        answer = as_text(float(answer))
    except ValueError:
        return Drawn(question, ())
    return Drawn(question, (answer,))


SVAMP = Benchmark(
    "svamp",
    "math",
    {"test": (Part(("svamp_test*.json", "SVAMP.json"), ("ChilleD/SVAMP:train", "ChilleD/SVAMP:test")),)},
    _read,
)


def problems(split: str = "test") -> list[Problem]:
    """The problems of ``SPLIT[:N][@PATH]``; splits: test."""
    return SVAMP.problems(split)
