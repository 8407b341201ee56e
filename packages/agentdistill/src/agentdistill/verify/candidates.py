"""Candidates: files of them, our own and four forms that others have, and sampling them from a model.

- our own: one :class:`Pool` a line, as ``verify sample`` and ``verify judge`` write it;
- a run's ``traces.jsonl``: traces of one problem are its candidates, faults left out;
- plain rows ``{"problem", "candidates": [{"solution", "answer", "score", "verdict"}]}``;
- completion files of Hugging Face's search-and-learn (``problem``, ``completions``, ``scores``);
- OpenAI's GSM8K model solutions (``question``, ``ground_truth``, then one object a model with ``solution``).

A row's form is seen by its keys. Errors name file and line. Sampling runs the loop that evaluates models, n times a
problem.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

from agentdistill import registry, scorers
from agentdistill.batching import Episode, OpenWork, RaySettings, Work, hire
from agentdistill.environment import Environment
from agentdistill.errors import DataError, InfrastructureError, ModelError
from agentdistill.loop import RolloutSettings, chain_of_thought, rollout
from agentdistill.models import Model
from agentdistill.parse import extract_answer
from agentdistill.problems import answer_kind, as_text, as_texts
from agentdistill.progress import Progress, Silent, Task
from agentdistill.prompts import PromptTemplate
from agentdistill.store import (
    append_jsonl,
    digest,
    from_dict,
    read_jsonl,
    read_traces,
    repair_jsonl,
    set_aside,
    write_jsonl,
)
from agentdistill.tasks.benchmarks import labels_of
from agentdistill.types import End, Problem, Sampling, Trace
from agentdistill.verify.types import Candidate, Judgement, Pool, Verdict

GIVEN_SCORE, GIVEN_VERDICT = "score", "verdict"
"""The names of the verifiers whose scores and verdicts a file of others holds."""
Row = Mapping[str, Any]


def read_pools(path: Path, kind: str | None = None, limit: int | None = None) -> list[Pool]:
    """The problems of a file with their candidates, graded; ``kind`` says how, else the row or the answers do.

    A candidate keeps the mark that its file gives it; others are graded where there is a gold answer. A problem without
    candidates (all its traces were faults) is one, too. Raises DataError
    naming file and line for what cannot be read, and for a file without candidates.
    """
    if kind is not None:
        registry.check("scorers", kind, DataError)
    found: dict[str, tuple[int, Pool, bool]] = {}
    for n, row in read_jsonl(path):
        try:
            for pool, has_kind in _pools_of(row):
                if limit is not None and len(found) >= limit and pool.id not in found:
                    continue
                _add(found, n, pool, has_kind)
        except DataError as e:
            raise DataError(f"{path}:{n}: {e}") from e
    pools = [replace(p, version=1) for _, p, _ in found.values()]
    if not any(p.candidates for p in pools):
        raise DataError(f"{path}: no candidates in it")
    unknown = [p.problem.answer for _, p, known in found.values() if not known]
    usual = kind or answer_kind([a for a in unknown if a])
    known_kinds = {p.id: known for _, p, known in found.values()}
    return [graded(p if kind is None and known_kinds[p.id] else _of_kind(p, usual)) for p in pools]


def write_pools(path: Path, pools: Sequence[Pool]) -> None:
    """Replace a file of candidates by these, in one step."""
    write_jsonl(path, pools)


def graded(pool: Pool) -> Pool:
    """The pool with a mark on every candidate that has none, where there is a gold answer."""
    p = pool.problem
    if not p.answer or all(c.correct is not None for c in pool.candidates):
        return pool
    marks: dict[str | None, bool] = {}
    for c in pool.candidates:
        if c.correct is None and c.answer not in marks:
            marks[c.answer] = scorers.score(p.kind, c.answer, p.answer, p.aliases).correct
    done = tuple(replace(c, correct=marks[c.answer]) if c.correct is None else c for c in pool.candidates)
    return replace(pool, candidates=done)


def _of_kind(pool: Pool, kind: str) -> Pool:
    return pool if pool.problem.kind == kind else replace(pool, problem=replace(pool.problem, kind=kind))


def _add(found: dict[str, tuple[int, Pool, bool]], n: int, pool: Pool, has_kind: bool) -> None:
    """Take a pool in; a trace adds one candidate to the pool of its problem."""
    if pool.id not in found:
        found[pool.id] = (n, pool, has_kind)
        return
    line, first, known = found[pool.id]
    if not _is_part(first) or not _is_part(pool):
        if pool.id == digest([pool.problem.question, pool.problem.answer]):
            raise DataError(f'this question, with this answer, was on line {line} before; give each an "id"')
        raise DataError(f"problem {pool.id!r} was on line {line} before")
    if first.problem != pool.problem:
        raise DataError(f"problem {pool.id!r} is another one than on line {line}")
    found[pool.id] = (line, replace(first, candidates=(*first.candidates, *pool.candidates)), known)


def _is_part(pool: Pool) -> bool:
    return pool.version == _PART


_PART = -1
"""Marks, while a file is read, the pool of a single trace."""


def _pools_of(row: Row) -> list[tuple[Pool, bool]]:
    if "version" in row and "candidates" in row:
        return [(from_dict(Pool, row), True)]
    for keys, read in _FORMS:
        if keys <= row.keys():
            return read(row)
    shown = ", ".join(map(str, list(row)[:6])) or "nothing"
    raise DataError(f"no candidates in a form that is known (the row has: {shown})")


def of_trace(trace: Trace) -> Candidate:
    """A finished episode as a candidate: its words, its code and what it saw, one after another."""
    said = [m.content for s in trace.steps for m in (s.reply, s.observation) if m is not None]
    usage = trace.usage
    return Candidate(
        "\n".join(said), trace.answer, trace.correct, trace.method, usage.n_prompt_tokens, usage.n_new_tokens
    )


def _trace(row: Row) -> list[tuple[Pool, bool]]:
    trace = from_dict(Trace, row)
    candidates = () if trace.end is End.FAULT else (of_trace(trace),)
    return [(Pool(trace.problem, candidates, trace.model, _PART), True)]


def _plain(row: Row) -> list[tuple[Pool, bool]]:
    problem, has_kind = _problem(row, row["problem"], _first(row, ("answer", "gold", "ground_truth")))
    given = row["candidates"]
    if not isinstance(given, list):
        raise DataError(f'"candidates" is no list but {type(given).__name__}')
    return [(Pool(problem, tuple(_candidate(c, i) for i, c in enumerate(given, 1))), has_kind)]


def _candidate(given: Any, i: int) -> Candidate:
    where = f"candidate {i}"
    if not isinstance(given, dict):
        raise DataError(f"{where} is no object but {type(given).__name__}")
    if "solution" not in given and "answer" not in given:
        raise DataError(f'{where} has neither "solution" nor "answer"')
    solution = as_text(given.get("solution"))
    answer = as_text(given["answer"]) or None if "answer" in given else extract_answer(solution)
    judgements = [*_score(given.get("score"), where), *_verdict(given.get("verdict"), where)]
    mark = next((given[k] for k in ("correct", "is_correct") if given.get(k) is not None), None)
    if mark is not None and not isinstance(mark, bool):
        raise DataError(f'{where}: "correct" is neither true nor false but {mark!r}')
    n_new = given.get("n_new_tokens", 0)
    if not isinstance(n_new, int) or isinstance(n_new, bool) or n_new < 0:
        raise DataError(f'{where}: "n_new_tokens" is no count but {n_new!r}')
    return Candidate(solution, answer, mark, as_text(given.get("source")), 0, n_new, tuple(judgements))


def _score(value: Any, where: str) -> list[Judgement]:
    """A single score, or one for each step."""
    if value is None:
        return []
    steps = value if isinstance(value, list) else [value]
    for s in steps:
        if not isinstance(s, (int, float)) or isinstance(s, bool) or not math.isfinite(s):
            raise DataError(f'{where}: "score" is no number but {s!r}')
    scores = tuple(float(s) for s in steps)
    return [Judgement(GIVEN_SCORE, "prm" if isinstance(value, list) else "given", scores=scores)]


def _verdict(value: Any, where: str) -> list[Judgement]:
    if value is None:
        return []
    verdicts = []
    for v in value if isinstance(value, list) else [value]:
        try:
            verdicts.append(Verdict({True: "true", False: "false"}[v] if isinstance(v, bool) else v))
        except ValueError:
            raise DataError(f'{where}: "verdict" {v!r} is not one of {", ".join(Verdict)}') from None
    return [Judgement(GIVEN_VERDICT, "given", verdicts=tuple(verdicts))]


def _search_and_learn(row: Row) -> list[tuple[Pool, bool]]:
    """``scores`` are a PRM's, one list of steps a completion; ``completion_tokens`` counts where it is a list."""
    problem, has_kind = _problem(row, row["problem"], _first(row, ("answer",)))
    completions = row["completions"]
    if not isinstance(completions, list) or not all(isinstance(c, str) for c in completions):
        raise DataError('"completions" is no list of texts')
    scores = row.get("scores")
    if scores is not None and (not isinstance(scores, list) or len(scores) != len(completions)):
        raise DataError(f'"scores" does not hold one list for each of the {len(completions)} completions')
    counts = row.get("completion_tokens")
    counted = isinstance(counts, list) and len(counts) == len(completions) and all(type(n) is int for n in counts)
    out = []
    for i, text in enumerate(completions):
        judged = _score(None if scores is None else scores[i], f"completion {i + 1}")
        n_new = cast(list[int], counts)[i] if counted else 0
        out.append(Candidate(text, extract_answer(text), n_new_tokens=n_new, judgements=tuple(judged)))
    return [(Pool(problem, tuple(out)), has_kind)]


def _gsm8k(row: Row) -> list[tuple[Pool, bool]]:
    solved = {k: v for k, v in row.items() if isinstance(v, dict) and "solution" in v}
    if not solved:
        raise DataError("no model's solution in it")
    gold = as_text(row["ground_truth"])
    problem, _ = _problem({**row, "family": "gsm8k", "kind": "math"}, row["question"], _after_mark(gold) or gold)
    out = []
    for name, v in solved.items():
        text, mark = as_text(v["solution"]), v.get("is_correct")
        if mark is not None and not isinstance(mark, bool):
            raise DataError(f'{name}: "is_correct" is neither true nor false but {mark!r}')
        out.append(Candidate(text, _after_mark(text), mark, name))
    return [(Pool(problem, tuple(out)), True)]


def _after_mark(text: str) -> str | None:
    """What stands behind the last ``A:`` or ``####`` that begins a line."""
    for line in reversed(text.splitlines()):
        for mark in ("A:", "####"):
            if line.strip().startswith(mark):
                return line.strip().removeprefix(mark).strip() or None
    return None


_FORMS: tuple[tuple[frozenset[str], Callable[[Row], list[tuple[Pool, bool]]]], ...] = (
    (frozenset({"problem", "end", "steps"}), _trace),
    (frozenset({"problem", "candidates"}), _plain),
    (frozenset({"problem", "completions"}), _search_and_learn),
    (frozenset({"question", "ground_truth"}), _gsm8k),
)


def _first(row: Row, names: Sequence[str]) -> Any:
    return next((row[n] for n in names if row.get(n) is not None), None)


def _problem(row: Row, given: Any, gold: Any) -> tuple[Problem, bool]:
    """The problem of a row, whose parts stand in ``problem`` or beside it, and whether its kind was told."""
    parts = {**row, **given} if isinstance(given, dict) else row
    question = as_text(parts.get("question")) if isinstance(given, dict) else as_text(given)
    if not question:
        raise DataError("no question")
    golds = as_texts(parts.get("answer") if isinstance(given, dict) and "answer" in given else gold) or []
    aliases = as_texts(parts.get("aliases"))
    if aliases is None:
        raise DataError('"aliases" is no list of texts')
    kind = as_text(parts.get("kind"))
    if kind and kind not in registry.names("scorers"):
        raise DataError(registry.unknown("scorer", kind, registry.names("scorers")))
    answer = golds[0] if golds else ""
    identity = as_text(_first(parts, ("id", "unique_id"))) or digest([question, answer])
    family = as_text(_first(parts, ("family", "subject", "level"))) or "default"
    others = tuple(a for a in dict.fromkeys([*golds[1:], *aliases]) if a != answer)
    problem = Problem(identity, question, answer, kind or "short", family, others, labels_of(parts))
    return problem, bool(kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSettings:
    """How candidates are drawn: ``n`` a problem, by chain of thought or as an agent; the paper's 64 at 0.8.

    ``n_train`` is how many on the problems that verifiers are distilled on, where that is not ``n``.
    """

    n: int = 64
    n_train: int | None = None
    temperature: float = 0.8
    top_p: float = 1.0
    max_new_tokens: int = 1024
    loop: Literal["cot", "agent"] = "cot"
    max_steps: int = 5


def sample_pools(
    problems: Sequence[Problem],
    settings: SampleSettings,
    template: PromptTemplate,
    model: Callable[[], Model],
    journal: Path,
    *,
    environment: Callable[[], AbstractContextManager[Environment]],
    identity: str = "",
    seed: int = 0,
    progress: Progress | None = None,
    ray: RaySettings | None = None,
) -> list[Pool]:
    """Every problem with its candidates, in order. Episodes are kept as traces in ``journal`` and not run twice.

    ``model`` and ``environment`` are made only if one is missing, in this process or, with ``ray``, in its workers;
    ``identity`` tells the model from others: a journal of another model or other settings is set aside, one of other
    problems goes on. A candidate that the model's server refused has no answer. Raises InfrastructureError where an
    episode failed twice, ModelError where all were refused; what was sampled is kept, and the same call goes on.
    """
    key = digest([replace(settings, n=0), seed, template.cot("?"), identity])
    ids = [(p, f"{p.id}#{i}") for p in problems for i in range(settings.n)]
    done = _opened(journal, key, {name: p for p, name in ids})
    missing = {at for at, (_, name) in enumerate(ids) if name not in done}
    what = f"{len(problems)} problems x {settings.n}"
    task = (progress or Silent()).task("sample", what, len(ids))
    task.advance(len(ids) - len(missing))
    if missing:
        work = partial(_work, ids, settings, template, model, environment, seed)
        asyncio.run(_run(work, [name for _, name in ids], missing, done, journal, ray, task))
    task.done(f"{sum(bool(t.correct) for t in done.values()) / max(1, len(done)):.1%} right")
    names = {p.id: [f"{p.id}#{i}" for i in range(settings.n)] for p in problems}
    return [Pool(p, tuple(of_trace(done[name]) for name in names[p.id]), done[names[p.id][0]].model) for p in problems]


@asynccontextmanager
async def _work(
    ids: Sequence[tuple[Problem, str]],
    settings: SampleSettings,
    template: PromptTemplate,
    make: Callable[[], Model],
    surroundings: Callable[[], AbstractContextManager[Environment]],
    seed: int,
) -> AsyncIterator[Work[Trace]]:
    with surroundings() as environment:
        model = make()
        try:
            yield Work(model, [_episode(p, name, settings, template, environment, seed) for p, name in ids])
        finally:
            await model.aclose()


def _episode(
    problem: Problem, name: str, settings: SampleSettings, template: PromptTemplate, environment: Environment, seed: int
) -> Episode[Trace]:
    sampling = Sampling(settings.temperature, settings.top_p, settings.max_new_tokens)
    rollouts = RolloutSettings(settings.max_steps, sampling, seed=seed)
    if settings.loop == "cot":
        return lambda model: chain_of_thought(model, problem, template, rollouts, trace_id=name)
    return lambda model: rollout(model, problem, environment, template, rollouts, trace_id=name)


def _opened(path: Path, key: str, asked: Mapping[str, Problem]) -> dict[str, Trace]:
    """The episodes that are there of what is asked. Their key stands beside them; those of another are set aside."""
    note = path.with_suffix(".key.jsonl")
    repair_jsonl(path)
    if path.exists() and note.exists() and next(read_jsonl(note), (0, {}))[1].get("key") != key:
        set_aside(path)
    write_jsonl(note, [{"key": key}])
    traces = read_traces(path) if path.exists() else []
    return {t.id: t for t in traces if t.end is not End.FAULT and asked.get(t.id) == t.problem}


async def _run(
    work: OpenWork[Trace],
    names: Sequence[str],
    missing: set[int],
    done: dict[str, Trace],
    journal: Path,
    ray: RaySettings | None,
    task: Task,
) -> None:
    async with hire(work, ray) as crew:
        for _ in range(2):  # faults get one more try
            left = {at for at in missing if names[at] not in done}
            faults: list[str] = []

            def keep(results: Sequence[tuple[int, Trace]], left: set[int] = left, faults: list[str] = faults) -> None:
                # Those that are not left ran again only to keep their batch the same.
                good = [t for at, t in results if at in left and t.end is not End.FAULT]
                append_jsonl(journal, good)
                refused = [t for at, t in results if at in left and t.refused]
                done.update({t.id: t for t in [*good, *refused]})
                task.advance(len(good) + len(refused))
                faults.extend(t.fault or "" for _, t in results if t.end is End.FAULT and not t.refused)
                if len(faults) > max(8, crew.batch_size) and len(faults) >= len(left):
                    raise InfrastructureError(faults[-1])

            if left:
                await crew.run(left, keep)
        if any(names[at] not in done for at in missing):
            raise InfrastructureError(f"{faults[-1]}; what was sampled is kept, run the same command to go on")
        if all(t.refused for t in done.values()):
            raise ModelError(f"{next(iter(done.values())).fault}; every question was refused")
