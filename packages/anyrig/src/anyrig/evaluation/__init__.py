"""How good generated motion is: a text-motion space of its own, measures, baselines, a table with intervals."""

from anyrig.evaluation.evaluator import (
    Evaluator,
    EvaluatorSettings,
    load_evaluator,
    save_evaluator,
    train_evaluator,
)
from anyrig.evaluation.measures import interval, table
from anyrig.evaluation.run import Nearest, Plan, RowCache, evaluate, retarget

__all__ = [
    "Evaluator",
    "EvaluatorSettings",
    "Nearest",
    "Plan",
    "RowCache",
    "evaluate",
    "interval",
    "load_evaluator",
    "retarget",
    "save_evaluator",
    "table",
    "train_evaluator",
]
