"""Filters: which trajectories are worth learning from. A filter is a function ``(trace) -> bool``.

A recipe names those it wants as ``keep`` in ``[filter]``: built-in ones, or plug-ins (:mod:`agentdistill.registry`).
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agentdistill import registry
from agentdistill.types import EXECUTION_ERRORS, PARSE_ERRORS, End, Problem, Trace

DEFAULT = ("right_answer", "no_parse_error", "within_steps")
"""The paper's: the final answer is right, every step parsed, and the episode did not run out of steps."""


def right_answer(trace: Trace) -> bool:
    """The final answer was scored right. Faults are unscored and never pass."""
    return trace.correct is True


def no_parse_error(trace: Trace) -> bool:
    """Every step had a code block that parsed. A step whose code raised is kept: the recovery is worth learning."""
    return not any(step.status in PARSE_ERRORS for step in trace.steps)


def within_steps(trace: Trace) -> bool:
    """The episode ended by itself, not by running out of steps or of context."""
    return trace.end is End.ANSWERED


def filter_traces(traces: Sequence[Trace], names: Sequence[str] = DEFAULT) -> tuple[list[Trace], dict[str, int]]:
    """The traces that pass every filter, and how many each one rejected (a trace counts for the first that did).

    Raises UserError for a filter that does not exist.
    """
    predicates: list[tuple[str, Callable[[Trace], bool]]] = [(name, registry.load("filters", name)) for name in names]
    kept, counts = [], Counter({"kept": 0, **dict.fromkeys(names, 0)})
    for trace in traces:
        why = next((name for name, keep in predicates if not registry.call("filters", name, keep, trace)), None)
        counts[why or "kept"] += 1
        if why is None:
            kept.append(trace)
    return kept, dict(counts)


# --- rounds of collection: when two solutions are the same, which to learn from, and what a round brought ---


def question_key(problem: Problem) -> str:
    """What a question is recognised by, whatever its id: its words, without case and spacing."""
    return " ".join(problem.question.split()).casefold()


def solution_of(trace: Trace) -> str:
    """The program that an episode ran, without comments and layout; a chain of thought's text, without spacing.

    Episodes with one solution differ in nothing that is worth learning twice.
    """
    codes = [s.code for s in trace.steps if s.code is not None]
    if codes:
        return "\n".join(map(_normal, codes))
    return " ".join(word for s in trace.steps for word in s.reply.content.split())


def _normal(code: str) -> str:
    try:
        return ast.unparse(ast.parse(code))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return " ".join(code.split())


def is_broken(trace: Trace) -> bool:
    """Whether an agent's last program failed: there was none, or it did not parse, raised or ran out of time."""
    return bool(trace.steps) and trace.steps[-1].status in PARSE_ERRORS | EXECUTION_ERRORS


def add_distinct(
    earlier: Sequence[Trace], found: Sequence[Trace], per_question: int, n_given: int = 0
) -> tuple[list[Trace], dict[str, int]]:
    """The ``found`` traces, in order, that join the ``earlier`` ones, and how many did not, by reason.

    One that solves its question as an earlier one does is a ``duplicate``; one of a question that has ``per_question``
    already is ``surplus``. The first ``n_given`` of the earlier ones do not count against that number.
    """
    seen = {(question_key(t.problem), solution_of(t)) for t in earlier}
    n_kept = Counter(question_key(t.problem) for t in earlier[n_given:])
    out: list[Trace] = []
    counts = {"duplicate": 0, "surplus": 0}
    for trace in found:
        question = question_key(trace.problem)
        solution = (question, solution_of(trace))
        if solution in seen:
            counts["duplicate"] += 1
        elif n_kept[question] >= per_question:
            counts["surplus"] += 1
        else:
            seen.add(solution)
            n_kept[question] += 1
            out.append(trace)
    return out, counts


@dataclass(frozen=True, slots=True)
class RoundCounts:
    """What a round of collection brought: questions asked, samples drawn, and what became of them.

    ``n_solved`` is of questions with at least one right sample in this round: over ``n_asked``, pass@k.
    """

    n_asked: int
    n_sampled: int
    n_right: int
    n_solved: int
    n_broken: int

    @classmethod
    def of(cls, traces: Sequence[Trace]) -> RoundCounts:
        """The counts of one round's episodes."""
        right = [t for t in traces if t.correct]
        return cls(
            len({question_key(t.problem) for t in traces}),
            len(traces),
            len(right),
            len({question_key(t.problem) for t in right}),
            sum(map(is_broken, traces)),
        )

    def __str__(self) -> str:
        return (
            f"{self.n_asked:,} questions, {self.n_sampled:,} samples, {self.n_right:,} right, "
            f"{self.n_solved:,} questions solved, {self.n_broken:,} programs broken"
        )
