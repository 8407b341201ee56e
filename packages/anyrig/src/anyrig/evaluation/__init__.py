"""How good generated motion is: a text-motion space of its own, measures, baselines, a table with intervals."""

from anyrig.evaluation.evaluator import Evaluator, EvaluatorSettings, load_evaluator, save_evaluator, teach
from anyrig.evaluation.retarget import Nearest, retarget
from anyrig.evaluation.run import Plan, evaluate
from anyrig.evaluation.table import interval, table

__all__ = [
    "Evaluator",
    "EvaluatorSettings",
    "Nearest",
    "Plan",
    "evaluate",
    "interval",
    "load_evaluator",
    "retarget",
    "save_evaluator",
    "table",
    "teach",
]
