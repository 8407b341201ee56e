"""From a method and a problem to an episode that waits for a model."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from agentdistill.environment import Environment
from agentdistill.loop import RolloutSettings, chain_of_thought, rollout
from agentdistill.methods import Method
from agentdistill.models import Model
from agentdistill.runs import Run
from agentdistill.types import Problem, Trace


def episode(
    run: Run,
    m: Method,
    environment: Environment,
    settings: RolloutSettings,
    problem: Problem,
    trace_id: str,
    trained: bool,
) -> Callable[[Model], Awaitable[Trace]]:
    """The episode that ``m`` makes of a problem. A model that was not trained is shown the worked examples."""
    style = run.style if trained else run.untrained_style
    if m.loop == "agent":
        return lambda model: rollout(model, problem, environment, style, settings, method=m.name, trace_id=trace_id)
    found = run.passages(problem.question) if m.passages else []
    return lambda model: chain_of_thought(
        model, problem, style, settings, passages=found, method=m.name, trace_id=trace_id
    )
