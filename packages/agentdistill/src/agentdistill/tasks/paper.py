"""What the agent-distillation paper (arXiv 2505.17612) trains and tests on, as one task of several families.

``train``: 1,000 questions of HotpotQA and 2,000 of MATH. ``test``: its eight benchmarks. ``test:50`` is 50 of each. The
samples are exactly the paper's where its authors' files are given, with ``@FOLDER`` or ``AGENTDISTILL_DATA``.
"""

from __future__ import annotations

from agentdistill.errors import UserError
from agentdistill.tasks import aime, bamboogle, gsm_hard, hotpotqa, math, math500, musique, olymmath, two_wiki
from agentdistill.tasks._benchmark import parse_spec
from agentdistill.types import Problem

TRAIN = (hotpotqa.HOTPOTQA, math.MATH)
TEST = (
    hotpotqa.HOTPOTQA,
    musique.MUSIQUE,
    two_wiki.TWO_WIKI,
    bamboogle.BAMBOOGLE,
    math500.MATH500,
    gsm_hard.GSM_HARD,
    aime.AIME,
    olymmath.OLYMMATH,
)


def problems(split: str = "test") -> list[Problem]:
    """The problems of ``SPLIT[:N][@FOLDER]``, ``N`` of each benchmark; splits: train, test."""
    name, _, _ = parse_spec(split)
    if name not in ("train", "test"):
        raise UserError(f'paper has no split "{name}"; there are: train, test')
    return [p for benchmark in (TRAIN if name == "train" else TEST) for p in benchmark.problems(split)]
