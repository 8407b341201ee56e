"""A stage's folder: what it was made from, whether it is done, where it stopped, and the episodes that are run into it.

``begun.json`` holds the key, its settings and input hashes from the first moment; ``manifest.json`` is written last and
says that the stage is done. A folder whose key differs is moved aside, never overwritten: traces can be expensive.
Collection and evaluation run their episodes by :func:`run_rollouts`, which goes on from wherever it was stopped.
"""

from __future__ import annotations

import json
import platform
import re
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from agentdistill import __version__, scorers
from agentdistill.batching import OpenWork, RaySettings
from agentdistill.batching.resume import fault_of, run_missing
from agentdistill.progress import Progress
from agentdistill.store import (
    append_jsonl,
    digest,
    json_text,
    locked,
    read_traces,
    repair_jsonl,
    set_aside,
    sweep,
    write_json,
    write_jsonl,
)
from agentdistill.types import End, Problem, Trace, Usage

_LIBRARIES = ("torch", "transformers", "trl", "peft", "datasets", "openai", "reasoning-gym")


def versions() -> dict[str, str]:
    """The versions that a result may depend on."""
    out = {"agentdistill": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            out[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return out


@dataclass(slots=True)
class StageFolder:
    """The folder of one stage. ``settings`` and ``inputs`` (name to content hash) make its key.

    ``ignored`` names those of them (``sandbox``, ``rollout.max_steps``) that a single episode does not depend on.
    """

    path: Path
    stage: str
    settings: dict[str, Any]
    inputs: dict[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The hash of everything that the stage's output depends on."""
        return digest([self.stage, __version__, self.settings, self.inputs])

    @property
    def episode_key(self) -> str:
        """The hash of everything that one episode depends on: of the key, neither which questions are asked, nor how
        answers are scored, nor what is ``ignored``."""
        left_out = {*_WHICH, *_AFTERWARDS, *self.ignored}
        one = {k: v for k, v in _flat({**self.settings, **self.inputs}).items() if not left_out & {k, k.split(".")[0]}}
        return digest([self.stage, __version__, one])

    @property
    def has_same_episodes(self) -> bool:
        """Whether what lies at this place was made by episodes of this very :attr:`episode_key`."""
        return (_read(self.path / "begun.json") or {}).get("episodes") == self.episode_key

    @property
    def manifest(self) -> dict[str, Any] | None:
        """The manifest of a finished run of this very key; None otherwise."""
        found = _read(self.path / "manifest.json")
        return found if found is not None and found.get("key") == self.key else None

    @property
    def is_done(self) -> bool:
        """Whether the stage need not run again. Faults of the world are tried again."""
        found = self.manifest
        return found is not None and not found.get("n_faults")

    @contextmanager
    def claimed(self, say: Callable[[str], None] | None = None) -> Iterator[None]:
        """Have the folder for this key and to oneself. What another key left there is moved aside, and ``say`` is told.

        The lock lies beside the folder, so that moving the folder does not move it. Raises UserError while another
        process works in it, a child of a killed run included.
        """
        with locked(self.path.with_name(f".{self.path.name}.lock"), self.path):
            begun = _read(self.path / "begun.json")
            if begun is not None and begun.get("key") != self.key:
                aside = set_aside(self.path)
                if say is not None:
                    say(f"{self.path}: {self._changed(begun)}; what was there is kept as {aside.name}")
            self.path.mkdir(parents=True, exist_ok=True)
            sweep(self.path)
            begun = {"key": self.key, "stage": self.stage, "episodes": self.episode_key}
            write_json(self.path / "begun.json", {**begun, "settings": self.settings, "inputs": self.inputs})
            yield

    def _changed(self, begun: Mapping[str, Any]) -> str:
        """What is no longer as it was when the folder was begun, in words."""
        if "settings" not in begun:  # of a version that did not keep them
            return "made from other settings or inputs"
        before = _flat({**begun["settings"], **begun["inputs"]})
        now = _flat(json.loads(json_text({**self.settings, **self.inputs})))
        names = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
        if not names:
            return "made by another version"
        short = [n.replace("teacher.settings.", "teacher.").removeprefix("rollout.") for n in names[:_SHOWN]]
        short = ["prompt" if n == "style" else n for n in short]  # keys keep the name that they always had
        return f"made with other {', '.join(short)}{', …' if len(names) > _SHOWN else ''}"

    def adopt(self, others: Iterable[Path]) -> bool:
        """Move the finished folder of this very key, if one of ``others`` is it, to this place; whether one was."""
        other = next((o for o in others if o != self.path and replace(self, path=o).is_done), None)
        if other is None:
            return False
        with self.claimed():
            shutil.rmtree(self.path)
            other.rename(self.path)
        return True

    def finish(self, facts: dict[str, Any], seconds: float | None = None) -> None:
        """Write the manifest: the stage is done. Wall clock goes into a file of its own; the rest is reproducible."""
        if seconds is not None:
            timing = _read(self.path / "timing.json") or {}
            write_json(self.path / "timing.json", {**timing, "seconds": round(seconds, 2)})
        write_json(
            self.path / "manifest.json",
            {
                "stage": self.stage,
                "key": self.key,
                "settings": self.settings,
                "inputs": self.inputs,
                "versions": versions(),
                **facts,
            },
        )


_WHICH = ("problems", "asked", "samples")
_AFTERWARDS = ("scorers",)  # an episode is over when its answer is scored
_SHOWN = 4


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    """Nested objects as one, with dotted names."""
    if not isinstance(value, dict):
        return {name: value}
    found = [_flat(v, f"{name}.{k}" if name else k) for k, v in value.items()]
    return {k: v for part in found for k, v in part.items()}


def _read(path: Path) -> dict[str, Any] | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


# --- episodes ---


TRACES = "traces.jsonl"
PARTIAL = "traces.partial.jsonl"


def run_rollouts(
    folder: StageFolder,
    asked: Sequence[tuple[Problem, str]],
    open_work: OpenWork[Trace],
    progress: Progress,
    what: str,
    about: dict[str, object] | None = None,
    ray: RaySettings | None = None,
    others: Sequence[Path] = (),
) -> list[Trace]:
    """The traces of what is asked, in order, from disk where they are there already.

    ``open_work`` gives the model and one episode for each that is asked, in the same order; it is called only if a
    trace is missing, in this process or, with ``ray``, in its workers. ``about`` goes into the manifest as it is.
    Traces are appended to a partial file as they end and put in order when all are there, so that a run that was killed
    and resumed leaves the same file as one that was not. What was answered before another set of questions was asked,
    or before a scorer changed, is taken over, from ``others`` too. Raises InfrastructureError when the world has failed
    so often that going on is useless, ModelError where every conversation is refused; what was collected stays.
    """
    if folder.is_done:
        return read_traces(folder.path / TRACES)
    with folder.claimed(progress.say):
        if folder.is_done:  # by the process that was waited for
            return read_traces(folder.path / TRACES)
        partial = folder.path / PARTIAL
        ids = [i for _, i in asked]
        done = _reopen(folder, partial, asked, others, progress)
        started = time.monotonic()
        task = progress.task(folder.stage, what, len(ids))
        tally = Tally(done.values())
        task.advance(len(done), str(tally))

        def tell(trace: Trace, before: Trace | None) -> None:
            tally.count(trace, before)
            task.advance(int(before is None), str(tally))

        faults = run_missing(ids, done, partial, open_work, fault_of, tell, ray=ray)
        traces = [done[i] if i in done else faults[i] for i in ids]
        write_jsonl(folder.path / TRACES, traces)
        partial.unlink(missing_ok=True)
        folder.finish({**(about or {}), **facts(traces)}, time.monotonic() - started)
    task.done(f"{len(traces)}/{len(ids)}  {Tally(traces)}")
    refused = [t for t in traces if t.refused]
    if refused:
        first = f"{refused[0].id}: {refused[0].fault}"
        progress.say(f"{folder.path}: {len(refused)} of {len(traces)} questions were refused; {first}")
    return traces


def _reopen(
    folder: StageFolder, partial: Path, asked: Sequence[tuple[Problem, str]], others: Sequence[Path], progress: Progress
) -> dict[str, Trace]:
    """What is there: a torn line is repaired, faults are left out to be tried again, what lies aside is taken over."""
    path = folder.path
    if not partial.exists() and (path / TRACES).exists():
        write_jsonl(partial, read_traces(path / TRACES))
    done: dict[str, Trace] = {}
    if repair_jsonl(partial) or partial.exists():
        done = {t.id: t for t in read_traces(partial) if t.end is not End.FAULT}
        write_jsonl(partial, done.values())
    if len(done) < len(asked) and (over := taken_over(folder, asked, done, (TRACES, PARTIAL), others)):
        append_jsonl(partial, over)
        done |= {t.id: t for t in over}
        progress.say(f"{path}: {len(over)} of {len(asked)} trajectories were collected before and are taken over")
    return done


def facts(traces: Sequence[Trace]) -> dict[str, object]:
    """Counts for a manifest."""
    usage = sum((t.usage for t in traces), Usage())
    return {
        "n": len(traces),
        "n_correct": sum(bool(t.correct) for t in traces),
        "n_faults": sum(t.end is End.FAULT for t in traces),
        "n_refused": sum(t.refused for t in traces),
        "n_truncated": usage.n_truncated,
        "ends": {e.value: n for e in End if (n := sum(t.end is e for t in traces))},
        "usage": {
            "n_requests": usage.n_requests,
            "n_prompt_tokens": usage.n_prompt_tokens,
            "n_new_tokens": usage.n_new_tokens,
        },
    }


class Tally:
    """Running counts of traces, as one line: what share is right, mean steps, faults, truncations."""

    def __init__(self, traces: Iterable[Trace] = ()) -> None:
        self.n = self.n_faults = 0
        self._n_scored = self._n_right = self._n_steps = self._n_truncated = 0
        for trace in traces:
            self.count(trace)

    def count(self, trace: Trace, instead_of: Trace | None = None) -> None:
        """Add a trace; ``instead_of`` is an earlier try of the same episode, which no longer counts."""
        self._add(trace, 1)
        if instead_of is not None:
            self._add(instead_of, -1)

    def _add(self, trace: Trace, sign: int) -> None:
        self.n += sign
        self.n_faults += sign * (trace.end is End.FAULT)
        self._n_truncated += sign * trace.usage.n_truncated
        if trace.end is not End.FAULT:
            self._n_scored += sign * (trace.correct is not None)
            self._n_right += sign * bool(trace.correct)
            self._n_steps += sign * len(trace.steps)

    def __str__(self) -> str:
        n = self.n - self.n_faults
        extra = f"  {self.n_faults} faults" if self.n_faults else ""
        extra += f"  {self._n_truncated} cut off" if self._n_truncated else ""
        if not n:
            return extra.strip()
        right = f"{self._n_right / self._n_scored:.1%} right  " if self._n_scored else ""
        return f"{right}{self._n_steps / n:.1f} steps{extra}"


# --- traces taken over from earlier folders of the same stage: the same question asked in the same way ---


def taken_over(
    folder: StageFolder,
    asked: Sequence[tuple[Problem, str]],
    have: Collection[str],
    names: Sequence[str],
    others: Sequence[Path] = (),
) -> list[Trace]:
    """Traces for what is asked and not in ``have``, out of the folders that were moved aside for another set of
    questions, and ``others``, as far as their ``episode_key`` is this one's. ``names`` are the files of traces in one.

    A trace answers the very same question. It gets the id and the problem that it is asked for now, and a new score
    where the gold answer or the kind is another, or the scorer is a plug-in, which may have changed. A trace of the
    same id is preferred; none is used twice.
    """
    pool = _pool([*_aside(folder), *(p for p in others if p != folder.path)], folder, names)
    missing = [(p, i) for p, i in asked if i not in have and p.question in pool]
    found: dict[str, Trace] = {}
    for same_id in (True, False):
        for problem, i in missing:
            if i not in found and (trace := _drawn(pool[problem.question], problem, i, same_id)) is not None:
                found[i] = _asked_now(trace, problem, i)
    return [found[i] for _, i in missing if i in found]


def _pool(paths: Sequence[Path], folder: StageFolder, names: Iterable[str]) -> dict[str, list[Trace]]:
    """The traces of the same episodes by question, in the order of the folders."""
    pool: dict[str, list[Trace]] = defaultdict(list)
    for path in dict.fromkeys(paths):
        if not replace(folder, path=path).has_same_episodes:
            continue
        kept: dict[str, Trace] = {}
        for file in (path / name for name in names):
            if file.exists():
                repair_jsonl(file)
                kept |= {t.id: t for t in read_traces(file) if t.end is not End.FAULT}
        for trace in kept.values():
            pool[trace.problem.question].append(trace)
    return pool


def _aside(folder: StageFolder) -> list[Path]:
    ours = re.compile(rf"{re.escape(folder.path.name)}\.old-(\d+)")
    found = [(int(m[1]), p) for p in folder.path.parent.iterdir() if (m := ours.fullmatch(p.name))]
    return [p for _, p in sorted(found, reverse=True)]


def _drawn(traces: list[Trace], problem: Problem, i: str, same_id: bool) -> Trace | None:
    for at, trace in enumerate(traces):
        voted = any(step.candidates for step in trace.steps)  # votes count answers as equal by their kind
        if (trace.id == i or not same_id) and (trace.problem.kind == problem.kind or not voted):
            return traces.pop(at)
    return None


def _asked_now(trace: Trace, problem: Problem, i: str) -> Trace:
    now, before = replace(trace, id=i, problem=problem), trace.problem
    same = (problem.kind, problem.answer, problem.aliases) == (before.kind, before.answer, before.aliases)
    if same and not scorers.may_change(problem.kind):
        return now
    return replace(now, score=scorers.score(problem.kind, trace.answer, problem.answer, problem.aliases))
