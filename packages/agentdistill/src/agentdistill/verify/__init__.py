"""Tool-integrated self-verification (T1, arXiv 2504.04718): many solutions, judged with tools, one of them chosen.

Solutions, which are ordinary traces, are sampled and judged by tool verifiers and reward models
(:mod:`~agentdistill.verify.judging`), and selection is a pure function of what was stored
(:mod:`~agentdistill.verify.select`), so that every number can be computed again without a model.
"""

from agentdistill.verify.pools import Check, Judgement, Pool, Verdict, read_pools, solved, write_pools
from agentdistill.verify.scores import Confusion, ScoreSettings, confusion, expected, orders, rescore
from agentdistill.verify.select import METHODS, Ballots, Listen, Selection, SelectionPolicy, ballots, classes, select

__all__ = [
    "METHODS",
    "Ballots",
    "Check",
    "Confusion",
    "Judgement",
    "Listen",
    "Pool",
    "ScoreSettings",
    "Selection",
    "SelectionPolicy",
    "Verdict",
    "ballots",
    "classes",
    "confusion",
    "expected",
    "orders",
    "read_pools",
    "rescore",
    "select",
    "solved",
    "write_pools",
]
