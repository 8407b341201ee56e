"""A run folder, read, and what became of its traces. Nothing here needs the stages that wrote it: the folder is the
interface."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from agentdistill.errors import DataError, UserError
from agentdistill.recipe import methods
from agentdistill.store import from_dict, read_traces
from agentdistill.types import EXECUTION_ERRORS, PARSE_ERRORS, End, StepStatus, Trace

Facts = dict[str, Any]

_MOVED_ASIDE = re.compile(r"\.old-\d+$")  # what a stage renames a folder to when its settings change


_SIZE = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)([KMBT])(?![a-z0-9])", re.IGNORECASE)
_UNITS = {"K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}


def _size_in(name: str) -> int | None:
    """The number of parameters that a model's name gives, such as ``SmolLM2-135M``; the last one where there are more.

    >>> _size_in("Llama-3.2-1B-Instruct")
    1000000000
    """
    found = _SIZE.findall(name)
    return int(float(found[-1][0]) * _UNITS[found[-1][1].upper()]) if found else None


@dataclass(frozen=True)
class Part:
    """One output of one stage: its traces and what its manifest and timing files say (empty where there is none).

    ``round`` is that of a part below ``rounds/``, whose filtered traces are not read. The candidates of a split, which
    verification sampled, are a part without a stage.
    """

    stage: str
    name: str
    traces: tuple[Trace, ...] = ()
    manifest: Facts = field(default_factory=dict)
    timing: Facts = field(default_factory=dict)
    finished: bool = True
    round: int | None = None

    @property
    def key(self) -> str:
        """``stage/name``, as the folder is called, or ``rounds/N/stage/name``; the split of candidates."""
        if not self.stage:
            return self.name
        return f"{self.stage}/{self.name}" if self.round is None else f"rounds/{self.round}/{self.stage}/{self.name}"

    def fact(self, name: str, default: Any = None) -> Any:
        """A field of the manifest, at its top or among its settings."""
        settings = self.manifest.get("settings")
        if name not in self.manifest and isinstance(settings, dict):
            return settings.get(name, default)
        return self.manifest.get(name, default)

    @property
    def student(self) -> str:
        """Who answered: the manifest's word, or the folder's name up to its ``--``."""
        return str(self.fact("student") or self.name.rpartition("--")[0] or self.name)

    @property
    def method(self) -> str:
        """How it answered: the manifest's word, or the folder's name after its ``--``."""
        return str(self.fact("method") or self.name.rpartition("--")[2])

    @property
    def role(self) -> str:
        """``teacher`` or ``student``."""
        return str(self.fact("role") or ("teacher" if self.name.startswith("teacher--") else "student"))

    @property
    def n_parameters(self) -> int | None:
        """The size of the model: the manifest's, else what its name says (``Qwen2.5-0.5B``), else None."""
        n = self.fact("n_parameters")
        return n if isinstance(n, int) and not isinstance(n, bool) and n > 0 else _size_in(self.student)


@dataclass(frozen=True)
class StoredRun:
    """All that a run folder holds, each stage in a fixed order (students by size, then method)."""

    path: Path
    recipe: Facts
    collections: tuple[Part, ...]
    filters: tuple[Part, ...]
    training: tuple[Part, ...]
    evaluations: tuple[Part, ...]
    contamination: Facts = field(default_factory=dict)
    rounds: tuple[Part, ...] = ()
    candidates: tuple[Part, ...] = ()

    @property
    def traced(self) -> tuple[Part, ...]:
        """The parts that hold episodes: evaluations, then collections, those of rounds, and candidates."""
        of_rounds = tuple(p for p in self.rounds if p.stage in ("collect", "evaluate"))
        return self.evaluations + self.collections + of_rounds + self.candidates

    def named(self, word: str | None) -> tuple[Part, ...]:
        """The parts with episodes that are called ``word``, else those with it in their name; None means all.

        Raises UserError where there is none.
        """
        if word is None:
            return self.traced
        found = tuple(p for p in self.traced if word == p.key or (word == p.name and p.round is None))
        found = found or tuple(p for p in self.traced if word in p.key)
        if not found:
            keys = ", ".join(p.key for p in self.traced)
            raise UserError(f'{self.path}: no part is called "{word}"; there are: {keys}')
        return found

    def trained_ids(self, name: str) -> frozenset[str]:
        """The ids of the traces of ``collect/<name>`` that the filter kept, which is what students learn from."""
        return frozenset(t.id for f in self.filters if f.name == name for t in f.traces)


def read_run(path: Path | str, with_candidates: bool = False) -> StoredRun:
    """Read a run folder, ``with_candidates`` of verification or without. Raises UserError naming what is missing, and
    DataError for a file that cannot be read."""
    path = Path(path)
    if not path.is_dir():
        raise UserError(f"{path}: no such run folder; a run is made by: agentdistill run RECIPE.toml")
    splits = [p for p in sorted(path.iterdir()) if (p / "traces.jsonl").is_file()]
    run = StoredRun(
        path=path,
        recipe=_read_object(path / "recipe.json"),
        collections=_parts(path, "collect"),
        filters=_parts(path, "filter"),
        training=_parts(path, "train"),
        evaluations=_parts(path, "evaluate"),
        contamination=_read_object(path / "contamination.json"),
        rounds=_rounds(path, _read_object(path / "recipe.json")),
        candidates=tuple(Part("", p.name, _read_partial(p / "traces.jsonl")) for p in splits if with_candidates),
    )
    if splits and not run.traced:
        page = path / "verify.html"
        where = f"its page is {page}" if page.exists() else "agentdistill verify run RECIPE writes its page"
        raise UserError(f"{path}: holds verification alone; {where}, agentdistill show {path} lists its candidates")
    if not run.traced:
        raise UserError(f"{path}: no traces in collect/ or evaluate/; is this a run folder? run a recipe into it first")
    return run


def read_part(path: Path | str) -> Part:
    """Read one part's folder (``…/evaluate/NAME``). Raises UserError where it holds no traces."""
    path = Path(path).resolve()
    part = _part(path.parent.name, path) if path.is_dir() else None
    if part is None or part.stage == "train":
        raise UserError(f"{path}: no traces.jsonl there; name a folder below collect/ or evaluate/ of a run")
    return part


def _rounds(run: Path, recipe: Facts) -> tuple[Part, ...]:
    """Every stage's parts of every round that the recipe has, in order."""
    settings = recipe.get("rounds")
    n = settings.get("n") if isinstance(settings, dict) else 0
    return tuple(
        replace(part, round=number)
        for number in range(1, (n if isinstance(n, int) else 0) + 1)
        for stage in ("collect", "filter", "train", "evaluate")
        for part in _parts(run / "rounds" / str(number), stage, with_traces=stage != "filter")
    )


def _parts(run: Path, stage: str, with_traces: bool = True) -> tuple[Part, ...]:
    root = run / stage
    if not root.is_dir():
        return ()
    folders = [p for p in sorted(root.iterdir()) if p.is_dir() and not p.name.startswith(".")]
    current = [p for p in folders if not _MOVED_ASIDE.search(p.name)]
    parts = [part for p in current if (part := _part(stage, p, with_traces)) is not None]
    return tuple(sorted(parts, key=_order))


def _part(stage: str, path: Path, with_traces: bool = True) -> Part | None:
    """One output folder; None where the stage has written nothing yet (a run can be looked at before it ends)."""
    manifest, timing = _read_object(path / "manifest.json"), _read_object(path / "timing.json")
    if stage == "train":
        training = _read_object(path / "training.json")
        return Part(stage, path.name, (), manifest | training, timing) if training else None
    if not with_traces:
        return Part(stage, path.name, (), manifest, timing)
    if (path / "traces.jsonl").exists():
        return Part(stage, path.name, tuple(read_traces(path / "traces.jsonl")), manifest, timing)
    partial = path / "traces.partial.jsonl"
    return Part(stage, path.name, _read_partial(partial), manifest, timing, False) if partial.exists() else None


def _read_partial(path: Path) -> tuple[Trace, ...]:
    """The traces of a stage that may be at work still, without the line it may be writing just now."""
    lines = path.read_bytes().split(b"\n")[:-1]
    try:
        return tuple(from_dict(Trace, json.loads(line)) for line in lines if line.strip())
    except (ValueError, DataError) as e:
        raise DataError(f"{path}: not traces ({e})") from e


def _order(part: Part) -> tuple[Any, ...]:
    """Students by size, the teacher last; a model of unknown size goes by the manifest's ``order``."""
    order = part.fact("order")
    return (
        part.role == "teacher",
        part.n_parameters or 0,
        order if isinstance(order, int) else 0,
        part.student,
        part.method,
        part.name,
    )


def _read_object(path: Path) -> Facts:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as e:
        raise DataError(f"{path}: {e.strerror or e}") from e
    except ValueError as e:
        raise DataError(f"{path}: not JSON ({e}); delete it and run the same command again") from e
    if not isinstance(value, dict):
        raise DataError(f"{path}: expected an object, got {type(value).__name__}")
    return value


def by_family(traces: Iterable[Trace]) -> dict[str, list[Trace]]:
    """Traces grouped by family, families in alphabetical order."""
    groups: dict[str, list[Trace]] = defaultdict(list)
    for t in traces:
        groups[t.problem.family].append(t)
    return {f: groups[f] for f in sorted(groups)}


def means_by_problem(traces: Iterable[Trace], of: Callable[[Trace], float | None]) -> dict[str, dict[str, float]]:
    """Family -> problem id -> mean of a measure over its traces, leaving out those for which it is None."""
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for t in traces:
        value = of(t)
        if value is not None:
            values[t.problem.family][t.problem.id].append(value)
    return {f: {p: sum(v) / len(v) for p, v in problems.items()} for f, problems in values.items()}


def values_by_problem(traces: Iterable[Trace]) -> dict[str, dict[str, float]]:
    """Family -> problem id -> the share of its scored traces that are right (0 or 1 where each has one trace)."""
    return means_by_problem(traces, lambda t: t.correct)


SEARCH = "search"
"""The search tool's name."""
PARSE, EXECUTION = "parse", "execution"
ERROR_KINDS = (PARSE, EXECUTION, End.OUT_OF_STEPS.value, End.NO_ANSWER.value, End.OUT_OF_CONTEXT.value)
"""An episode can show several. The first two it may have recovered from; the last three are how it ended."""


class Outcome(StrEnum):
    """The one-word verdict on a trace."""

    RIGHT = "right"
    WRONG = "wrong"
    UNSCORED = "unscored"
    FAULT = "fault"


def outcome(trace: Trace) -> Outcome:
    """``FAULT`` and ``UNSCORED`` never count as wrong: the world failed there, not the model."""
    if trace.end is End.FAULT:
        return Outcome.FAULT
    if trace.score is None:
        return Outcome.UNSCORED
    return Outcome.RIGHT if trace.score.correct else Outcome.WRONG


def step_error(status: StepStatus) -> str | None:
    """``parse`` or ``execution`` for a step that failed, None for one that did not."""
    if status in PARSE_ERRORS:
        return PARSE
    return EXECUTION if status in EXECUTION_ERRORS else None


def error_kinds(trace: Trace) -> tuple[str, ...]:
    """Which of ``ERROR_KINDS`` the episode shows, in that order, each once."""
    seen = {step_error(s.status) for s in trace.steps} | {trace.end.value}
    return tuple(k for k in ERROR_KINDS if k in seen)


def tools_used(trace: Trace) -> tuple[str, ...]:
    """The names of the tools that the episode's code called, each once, in order of first use."""
    return tuple(dict.fromkeys(c.name for s in trace.steps for c in s.tool_calls))


def n_calls(trace: Trace, tool: str) -> int:
    """How often the episode's code called a tool."""
    return sum(c.name == tool for s in trace.steps for c in s.tool_calls)


def method_label(method: str) -> str:
    """A method as a report calls it; an unknown one keeps its name, with ``+`` parts set apart."""
    base, *extras = method.split("+")
    parts = (e.upper() if e.isalpha() and len(e) <= 4 else e for e in extras)
    label = methods.method(base).label if base in methods.NAMES else base
    return " + ".join([label, *parts])
