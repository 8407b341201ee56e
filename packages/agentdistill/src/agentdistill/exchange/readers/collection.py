"""Readers' splits, files and hub datasets as one collection of traces.

A reader makes a :class:`Draft` of every row. Its code is run here, so that the observations in the trace are real.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agentdistill import registry, scorers
from agentdistill.environment import Environment, Execution
from agentdistill.errors import DataError, UserError
from agentdistill.exchange import NOT_CONVERTED, in_template, read_trajectories, unique_id
from agentdistill.parse import extract_answer
from agentdistill.problems import open_source
from agentdistill.problems.benchmarks import FOLDER_VARIABLE, RowValues, SplitSource, parse_spec, sources
from agentdistill.prompts import PromptTemplate
from agentdistill.retrieval import Passage
from agentdistill.store import file_digest
from agentdistill.tools import Tool
from agentdistill.types import End, Message, Problem, Score, Source, Step, StepStatus, ToolCall, Trace

Notes = tuple[tuple[str, str], ...]
FindPassages = Callable[[str], Sequence[Passage]]
"""The passages to put beside a question."""


# --- what a reader makes of a row -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of the model: a thought and code, or a whole chain of thought where ``code`` is None.

    ``observation`` and ``calls`` are what was observed and which tools were called, where that is stored; otherwise
    the code is run.
    """

    thought: str
    code: str | None = None
    observation: str | None = None
    calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """A trajectory before it is rendered in a prompt template. ``notes`` are those of
    :class:`~agentdistill.types.Trace`.

    ``answer`` is the answer where the turns are not run; a trajectory that is run gives its own. ``passages`` are those
    that a chain of thought draws on, where its source has them.
    """

    problem: Problem
    model: str
    turns: tuple[Turn, ...]
    notes: Notes = ()
    answer: str | None = None
    passages: tuple[Passage, ...] = ()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A row that gives no trajectory. ``reason`` is the same text for all rows of its kind."""

    where: str
    reason: str


def rows(name: str, part: SplitSource, path: str | None) -> Iterator[tuple[int, RowValues]]:
    """Every row of a part of the reader ``name``, with its number from 1. The part is the file ``path``, or lies below
    the folder ``path``, or where :func:`~agentdistill.problems.benchmarks.sources` finds it.

    Raises DataError for a file that is missing or malformed."""
    for source in _located(name, part, path):
        for n, row in enumerate(open_source(source).rows, 1):
            if not isinstance(row.values, dict):
                raise DataError(f"{row.where}: {row.fault or 'expected an object'}")
            yield n, row.values


def _located(name: str, part: SplitSource, path: str | None) -> tuple[str, ...]:
    given = Path(path).expanduser() if path is not None else None
    if given is not None and not given.is_dir():
        return (str(given),)
    found = sources(name, part, given)
    if not found:
        wanted = ", ".join(part.files)
        raise DataError(
            f"{name}: no file given; write {name}:SPLIT@FOLDER, or name the folder of {wanted} in {FOLDER_VARIABLE}"
        )
    return found


def text_of(values: RowValues, column: str) -> str:
    """A column's text; ``""`` where there is none."""
    value = values.get(column)
    return value if isinstance(value, str) else ""


# --- readers by name --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReaderSplit:
    """What ``NAME:SPLIT[:N][@PATH]`` names: the first ``n`` rows of a reader's split, looked for at ``path``."""

    reader: str
    split: str
    n: int | None
    path: str | None

    @property
    def module(self) -> Any:
        """The reader."""
        return registry.load("readers", self.reader)

    def digests(self) -> dict[str, str]:
        """The content hashes of the local files that it reads, by path; a file on the hub stands for itself."""
        if not hasattr(self.module, "parts"):
            own = {self.reader: registry.fingerprint("readers", self.reader)}
            path = Path(self.path).expanduser() if self.path is not None else None
            return own if path is None or not path.exists() else {**own, str(path): file_digest(path)}
        paths = [p for part in self.module.parts(self.split) for p in _located(self.reader, part, self.path)]
        return {p: file_digest(Path(p)) if Path(p).is_file() else p for p in paths}


def find_reader(source: str, method: str) -> ReaderSplit | None:
    """What ``source`` names among the readers' trajectories of ``method``; None where it names no reader.

    Raises UserError for a split that does not exist or has none of that method.
    """
    named = registry.split_source("readers", source)
    if named is None:
        return None
    splits: Mapping[str, Sequence[str]] = registry.load("readers", named[0]).SPLITS
    found = ReaderSplit(named[0], *parse_spec(named[1], default=next(iter(splits))))
    fitting = [s for s, methods in splits.items() if _loop(method) in methods]
    if found.split not in splits:
        raise UserError(f'{found.reader} has no split "{found.split}"; there are: {", ".join(splits)}')
    if found.split not in fitting:
        raise UserError(f"{found.reader}:{found.split} has no trajectories of {method}; take {' or '.join(fitting)}")
    return found


def _loop(method: str) -> str:
    return "cot" if method.startswith("cot") else "agent"


def read_drafts(source: ReaderSplit, method: str) -> Iterator[Draft | Trace | LeftOut]:
    """The rows as drafts of trajectories of ``method``, or as traces where their text is kept as it is.

    Raises DataError for a missing or malformed file.
    """
    with registry.running("readers", source.reader):
        yield from itertools.islice(source.module.drafts(source.split, source.path, _loop(method)), source.n)


# --- collections ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Collection:
    """Traces with unique ids, one line for every row of a file that could not be read, and how many rows of the
    readers gave no trace, by reason."""

    traces: tuple[Trace, ...]
    skipped: tuple[str, ...]
    left_out: dict[str, int]

    @property
    def not_converted(self) -> dict[str, int]:
        """What the conversations held and the traces do not, counted over all of them."""
        out: Counter[str] = Counter()
        for trace in self.traces:
            for each in filter(None, dict(trace.notes).get(NOT_CONVERTED, "").split(", ")):
                n, _, what = each.partition(" × ")
                out[what] += int(n)
        return dict(out)


def read_sources(
    sources: Sequence[str],
    method: str,
    template: PromptTemplate,
    tools: Sequence[Tool],
    environment: Environment,
    passages: FindPassages | None = None,
) -> Collection:
    """The trajectories of ``method`` in ``sources``, in a prompt template, in the order of the sources.

    A draft's code without a stored observation is run in ``environment``; a program with a wrong answer is
    left out and counted. With ``passages``, chains of thought have passages beside their questions: those of their
    source where it has them, else those that ``passages`` finds. A repeated id gets ``/2``, ``/3``, ...

    Raises DataError for a source that cannot be read or holds no trajectory, UserError for a reader's split that does
    not exist, InfrastructureError where the sandbox fails.
    """
    traces: dict[str, Trace] = {}
    skipped: list[str] = []
    left_out: Counter[str] = Counter()
    for source in sources:
        named = find_reader(source, method)
        if named is not None:
            found, reasons = _read_split(named, method, template, tools, environment, passages)
            left_out.update(reasons)
        else:
            read = read_trajectories(source, method=method, environment=environment)
            found = [
                in_template(t, template, tools, passages(t.problem.question) if passages is not None else ())
                for t in read.traces
            ]
            skipped += read.skipped
        for trace in found:
            identity = unique_id(trace.id, traces)
            traces[identity] = replace(trace, id=identity)
    return Collection(tuple(traces.values()), tuple(skipped), dict(left_out))


def _read_split(
    source: ReaderSplit,
    method: str,
    template: PromptTemplate,
    tools: Sequence[Tool],
    environment: Environment,
    passages: FindPassages | None,
) -> tuple[list[Trace], Counter[str]]:
    """The traces of a reader's split, at least one, and how many rows were left out, by reason."""
    traces: list[Trace] = []
    left_out: Counter[str] = Counter()
    for draft in read_drafts(source, method):
        if isinstance(draft, LeftOut):
            left_out[draft.reason] += 1
        elif isinstance(draft, Trace):
            traces.append(in_template(draft, template, tools))
        elif method.startswith("cot"):
            traces.append(_answered(draft, method, template, passages))
        else:
            trace = _acted(draft, method, template, tools, environment)
            if draft.answer is None and not trace.correct:
                left_out["the program does not give the answer"] += 1
            else:
                traces.append(trace)
    if not traces:
        why = ", ".join(f"{n} × {reason}" for reason, n in left_out.items()) or "it is empty"
        raise DataError(f"{source.reader}:{source.split}: no trajectory of {method} in it ({why})")
    return traces, left_out


def _score(draft: Draft, answer: str | None) -> Score | None:
    p = draft.problem
    return scorers.score(p.kind, answer, p.answer, p.aliases) if p.answer else None


def _answered(draft: Draft, method: str, template: PromptTemplate, passages: FindPassages | None) -> Trace:
    """A chain of thought."""
    p, [turn] = draft.problem, draft.turns
    own = draft.passages if passages is not None else ()
    beside = own or (passages(p.question) if passages is not None else ())
    notes = (*draft.notes, ("passages", "the source's own")) if own else draft.notes
    answer = extract_answer(turn.thought)
    end = End.NO_ANSWER if answer is None else End.ANSWERED
    status = StepStatus.OK if answer is None else StepStatus.FINAL
    step = Step(Message("assistant", turn.thought, Source.MODEL), status)
    trace = Trace(p.id, p, method, draft.model, template.cot(p.question, beside), (step,), end, answer, notes=notes)
    return replace(trace, score=_score(draft, answer))


def _acted(
    draft: Draft, method: str, template: PromptTemplate, tools: Sequence[Tool], environment: Environment
) -> Trace:
    p = draft.problem
    stored = draft.answer is not None
    results = _stored(draft) if stored else _run(draft.turns, environment)
    steps: list[Step] = []
    answer: str | None = None
    for turn, result in zip(draft.turns, results, strict=False):
        reply = Message("assistant", template.action(turn.thought, turn.code or ""), Source.MODEL)
        final = result.status is StepStatus.FINAL
        told = None if final else Message("user", template.observation(result.observation), Source.ENVIRONMENT)
        steps.append(Step(reply, result.status, turn.code, told, result.tool_calls))
        answer = result.answer
    end = End.OUT_OF_STEPS if answer is None else End.ANSWERED
    notes = (*draft.notes, ("observations", "stored" if stored else "executed"))
    trace = Trace(
        p.id, p, method, draft.model, template.agent(p.question, tools), tuple(steps), end, answer, notes=notes
    )
    return replace(trace, score=_score(draft, answer))


def _stored(draft: Draft) -> Iterator[Execution]:
    """The stored observations of a draft's turns; the last turn gives the answer."""
    for turn in draft.turns[:-1]:
        yield Execution(StepStatus.OK, turn.observation or "", None, turn.calls)
    yield Execution(StepStatus.FINAL, "", draft.answer)


def _run(turns: Sequence[Turn], environment: Environment) -> Iterator[Execution]:
    """The results of the turns' code, run in one workspace up to the answer."""
    workspace = environment.open()
    try:
        for turn in turns:
            result = workspace.run(turn.code or "")
            yield result
            if result.status is StepStatus.FINAL:
                return
    finally:
        workspace.close()
