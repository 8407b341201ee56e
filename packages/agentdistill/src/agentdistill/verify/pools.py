"""Pools: a problem with the traces that solve it and what verifiers said of each. Files of them, ours and others'.

A candidate is an ordinary trace. Beside a file of traces lie the judgements, ``judge-NAME.jsonl``, one line a trace,
and ``verifiers.json``: by name what each verifier is and whether its judgements count. Also read are

- a run's own ``traces.jsonl``: traces of one problem are its candidates, faults left out;
- plain rows ``{"problem", "candidates": [{"solution", "answer", "score", "verdict"}]}``;
- completion files of Hugging Face's search-and-learn (``problem``, ``completions``, ``scores``);
- OpenAI's GSM8K model solutions (``question``, ``ground_truth``, then one object a model with ``solution``);
- files of former versions, ``candidates.jsonl``, one problem a line.

A row's form is seen by its keys. Errors name file and line.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

from agentdistill import registry, scorers
from agentdistill.errors import DataError
from agentdistill.parse import extract_answer
from agentdistill.problems import answer_kind, as_text, as_texts
from agentdistill.problems.benchmarks import labels_of
from agentdistill.store import (
    digest,
    from_dict,
    read_jsonl,
    read_traces,
    repair_jsonl,
    set_aside,
    write_json,
    write_jsonl,
)
from agentdistill.types import End, Message, Problem, Score, Source, Step, StepStatus, Trace, Usage

VerifierRole = str
"""What a verifier is, the name of a plug-in of kind ``verifiers``.

With code, with documents for each claim (``claims``) or for all at once (``facts``), or without a tool (``cot``); a
reward model that writes (``genrm``) or scores steps (``prm``); a check of the calculations written in a solution, with
no model; a ``program`` that was published; claims checked by rule against known passages (``evidence``); the gold
answer (``gold``); or ``given``: read from somebody's file.
"""
CLAIM_ROLES: tuple[VerifierRole, ...] = ("claims", "evidence")
"""Roles with a Check for each claim of a solution."""
REWARD_ROLES: tuple[VerifierRole, ...] = ("genrm", "prm")


class Verdict(StrEnum):
    """What came of one try to verify. Only ``TRUE`` and ``FALSE`` are opinions: the others never mean "wrong".

    ``NO_CODE``: nothing to run was written. ``MALFORMED``: what was written could not be read (bad syntax), or what it
    gave was no verdict. ``NOT_FOUND``: no document mentions the claim. ``CUT_OFF``: it ended at the limit of new
    tokens, before any verdict. ``ERROR``: it raised, or met a limit of the sandbox other than time.
    """

    TRUE = "true"
    FALSE = "false"
    ERROR = "error"
    TIMEOUT = "timeout"
    NO_CODE = "no_code"
    MALFORMED = "malformed"
    NOT_FOUND = "not_found"
    CUT_OFF = "cut_off"

    @property
    def settled(self) -> bool:
        """Whether this is an opinion at all."""
        return self in (Verdict.TRUE, Verdict.FALSE)


@dataclass(frozen=True, slots=True)
class Check:
    """One sample of a verifier: what it wrote, what was run, the verdict. ``score`` is a probability of being right.

    ``documents`` are what a fact checker was shown, found by ``query``. The ``detail`` of a check of one claim is the
    claim.
    """

    reply: str
    verdict: Verdict | None = None
    score: float | None = None
    code: str | None = None
    detail: str = ""
    documents: tuple[str, ...] = ()
    query: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one verifier said of one trace, and what that cost.

    ``verdicts`` holds one for each sample (calculation or claim, for ``calculations`` and ``claims``); ``scores`` one
    for each rationale of a GenRM, where they are probabilities, or for each step of a PRM.
    """

    judge: str
    role: VerifierRole
    verdicts: tuple[Verdict, ...] = ()
    scores: tuple[float, ...] = ()
    n_prompt_tokens: int = 0
    n_new_tokens: int = 0

    @property
    def is_reward(self) -> bool:
        """Whether it ranks rather than filters."""
        return self.role in REWARD_ROLES or bool(self.scores and not self.verdicts)


Said = tuple[Judgement, ...]
"""What all verifiers said of one trace, at most one judgement each."""


def by(said: Said, verifier: str) -> Judgement | None:
    """The judgement of the verifier of that name; None where it was not asked."""
    return next((j for j in said if j.judge == verifier), None)


def with_judgement(said: Said, verifier: str, new: Judgement | None) -> Said:
    """What was said, with ``new`` in the place of what ``verifier`` said before, or behind the others; None: without
    that."""
    if new is None or by(said, verifier) is None:
        return (*(j for j in said if j.judge != verifier), *([] if new is None else [new]))
    return tuple(new if j.judge == verifier else j for j in said)


@dataclass(frozen=True, slots=True)
class Pool:
    """A problem and the traces that solve it, in the order they were sampled; ``judgements`` are one tuple a trace."""

    problem: Problem
    traces: tuple[Trace, ...] = ()
    judgements: tuple[Said, ...] = ()

    def __post_init__(self) -> None:
        if not self.judgements:
            object.__setattr__(self, "judgements", ((),) * len(self.traces))

    @property
    def id(self) -> str:
        """The problem's id, unique in its file."""
        return self.problem.id

    @property
    def generator(self) -> str:
        """The model that the traces are of, the first one's where there are several; empty where nobody says."""
        return self.traces[0].model if self.traces else ""

    @property
    def judged(self) -> Iterator[tuple[Trace, Said]]:
        """Every trace with what was said of it."""
        return zip(self.traces, self.judgements, strict=True)


def solved(
    problem: Problem,
    solution: str,
    answer: str | None = None,
    correct: bool | None = None,
    *,
    source: str = "",
    model: str = "",
    place: int = 0,
    usage: Usage = Usage(),  # noqa: B008  frozen
) -> Trace:
    """A solution from elsewhere as a trace of one step: the one at ``place`` of its problem's, by ``source``."""
    step = Step(Message("assistant", solution, Source.MODEL), StepStatus.OK if answer is None else StepStatus.FINAL)
    prompt = (Message("user", problem.question),)
    end = End.NO_ANSWER if answer is None else End.ANSWERED
    mark = None if correct is None else Score(correct, answer or "", "given")
    return Trace(f"{problem.id}#{place}", problem, source, model, prompt, (step,), end, answer, mark, usage=usage)


def graded(pool: Pool) -> Pool:
    """The pool with a score on every trace that has none, where there is a gold answer."""
    p = pool.problem
    if not p.answer or all(t.score is not None for t in pool.traces):
        return pool
    marks: dict[str | None, Score] = {}
    for t in pool.traces:
        if t.score is None and t.answer not in marks:
            marks[t.answer] = scorers.score(p.kind, t.answer, p.answer, p.aliases)
    done = tuple(replace(t, score=marks[t.answer]) if t.score is None else t for t in pool.traces)
    return replace(pool, traces=done)


def with_problem(pool: Pool, problem: Problem) -> Pool:
    """The pool of another form of its problem, such as another kind; scores stay."""
    return replace(pool, problem=problem, traces=tuple(replace(t, problem=problem) for t in pool.traces))


# --- a folder of traces and judgements --------------------------------------------------------------------------------

TRACES, SPARE = "traces.jsonl", "traces.spare.jsonl"
"""``SPARE`` holds traces that were sampled and are not asked for now."""
VERIFIERS, BEGUN, COSTS = "verifiers.json", "begun.json", ".costs.json"
"""``BEGUN`` holds the key of whoever sampled; ``COSTS`` is the suffix of what the stages took, beside the traces."""
Note = dict[str, Any]
"""What ``verifiers.json`` says of a verifier: its ``settings``, their ``key``, and the ``world`` they were used in, or
its ``role`` where its judgements came with the traces; ``left_out`` where they do not count."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A line of ``judge-NAME.jsonl``: one trace's judgement and the checks behind it.

    ``candidate`` is the trace's place among those of its problem, ``solution`` its text's hash.
    """

    problem: str
    candidate: int
    solution: str
    judgement: Judgement
    checks: tuple[Check, ...] = ()

    @property
    def key(self) -> tuple[str, int, str]:
        """What tells traces apart."""
        return self.problem, self.candidate, self.solution


def judge_path(folder: Path, verifier: str) -> Path:
    """Where the judgements of a verifier lie."""
    return folder / f"judge-{verifier}.jsonl"


def key_of(note: Note) -> str:
    """What tells a stage from one with other settings or in another world."""
    return digest([note.get("key"), note.get("world")])


def read_object(path: Path) -> dict[str, Any]:
    """A file of one JSON object; empty where there is no file. Raises DataError for anything else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (OSError, ValueError) as e:
        raise DataError(f"{path}: no JSON ({e})") from e
    if not isinstance(found, dict):
        raise DataError(f"{path}: no object but {type(found).__name__}")
    return found


def read_judged(path: Path) -> dict[tuple[str, int, str], Judged]:
    """The lines of a verifier's judgements, in order, the last of each trace. Raises DataError naming file and line."""
    out: dict[tuple[str, int, str], Judged] = {}
    for n, row in read_jsonl(path):
        try:
            judged = from_dict(Judged, row)
        except DataError as e:
            raise DataError(f"{path}:{n}: no line of a verifier's journal ({e})") from e
        out[judged.key] = judged
    return out


def write_pools(path: Path, pools: Sequence[Pool]) -> None:
    """Replace a file of traces by those of the pools, and the judgements beside it that came with such a file.

    What a verifier of a recipe said stays. A problem without traces is kept as a fault.
    """
    notes = read_object(path.parent / VERIFIERS)
    own = {name: note for name, note in notes.items() if "settings" in note}
    given = {name: {"role": j.role} for name, j in verifiers_of(pools).items() if name not in own}
    for name in given:
        write_jsonl(judge_path(path.parent, name), judged_lines(pools, name))
    if notes or given:
        write_json(path.parent / VERIFIERS, {**given, **own})
    write_jsonl(path, [t for p in pools for t in p.traces or [_nothing(p.problem, "no candidates were given")]])


def judged_lines(pools: Sequence[Pool], verifier: str) -> list[Judged]:
    """What a verifier said in these pools, as the lines of its file, without the checks behind it."""
    return [
        Judged(p.id, i, digest(t.solution), j)
        for p in pools
        for i, (t, said) in enumerate(p.judged)
        if (j := by(said, verifier)) is not None
    ]


def _nothing(problem: Problem, why: str) -> Trace:
    return Trace(f"{problem.id}#0", problem, "", "", (), (), End.FAULT, fault=why)


def verifiers_of(pools: Sequence[Pool]) -> dict[str, Judgement]:
    """Every verifier that said something, by name, with one of its judgements: one with verdicts where it gave any."""
    out: dict[str, Judgement] = {}
    for j in (j for p in pools for said in p.judgements for j in said):
        if j.judge not in out or (j.verdicts and not out[j.judge].verdicts):
            out[j.judge] = j
    return out


def _with_judgements(pools: list[Pool], folder: Path) -> list[Pool]:
    """The pools with what lies beside their file."""
    for name, note in read_object(folder / VERIFIERS).items():
        path = judge_path(folder, name)
        if not note.get("left_out") and path.exists():
            found = read_judged(path)
            pools = [put(p, name, found) for p in pools]
    return pools


def put(pool: Pool, verifier: str, found: Mapping[tuple[str, int, str], Judged]) -> Pool:
    """The pool with a verifier's judgements as they are in ``found``, in place of what it said before."""
    said = []
    for i, (t, before) in enumerate(pool.judged):
        judged = found.get((pool.id, i, digest(t.solution)))
        said.append(with_judgement(before, verifier, None if judged is None else judged.judgement))
    return replace(pool, judgements=tuple(said))


def read_pools(path: Path, kind: str | None = None, limit: int | None = None) -> list[Pool]:
    """The problems of a file with their candidates, graded; ``kind`` says how, else the row or the answers do.

    A candidate keeps the mark that its file gives it; others are graded where there is a gold answer. A problem without
    candidates (all its traces were faults) is one, too. A folder of a former version is brought into today's form.
    Raises DataError naming file and line for what cannot be read, and for a file without candidates.
    """
    if kind is not None:
        registry.check("scorers", kind, DataError)
    if path.name == TRACES:
        upgrade(path.parent)
    elif path.name == _FORMER and not path.exists() and path.with_name(TRACES).exists():
        raise DataError(f"{path}: this file is now called {TRACES}")
    pools = _with_judgements(_of_rows(path, limit), path.parent)
    usual = kind or answer_kind([p.problem.answer for p in pools if p.problem.answer and p.problem.kind == _UNKNOWN])
    return [graded(_of_kind(p, kind, usual)) for p in pools]


_UNKNOWN = ""
"""The kind, while a file is read, of a problem that does not tell its own."""


def _of_kind(pool: Pool, asked: str | None, usual: str) -> Pool:
    kind = asked or (usual if pool.problem.kind == _UNKNOWN else pool.problem.kind)
    return pool if pool.problem.kind == kind else with_problem(pool, replace(pool.problem, kind=kind))


_Row = Mapping[str, Any]


def _of_rows(path: Path, limit: int | None) -> list[Pool]:
    found: dict[str, tuple[int, Pool, bool]] = {}
    for n, row in read_jsonl(path):
        try:
            pool, is_part = _pool_of(row)
            if limit is None or len(found) < limit or pool.id in found:
                _add(found, n, pool, is_part)
        except DataError as e:
            raise DataError(f"{path}:{n}: {e}") from e
    pools = [pool for _, pool, _ in found.values()]
    if not any(p.traces for p in pools):
        raise DataError(f"{path}: no candidates in it")
    return pools


def _add(found: dict[str, tuple[int, Pool, bool]], n: int, pool: Pool, is_part: bool) -> None:
    """Take a pool in; a trace adds one candidate to the pool of its problem."""
    if pool.id not in found:
        found[pool.id] = (n, pool, is_part)
        return
    line, first, was_part = found[pool.id]
    if not (was_part and is_part):
        if pool.id == digest([pool.problem.question, pool.problem.answer]):
            raise DataError(f'this question, with this answer, was on line {line} before; give each an "id"')
        raise DataError(f"problem {pool.id!r} was on line {line} before")
    if first.problem != pool.problem:
        raise DataError(f"problem {pool.id!r} is another one than on line {line}")
    found[pool.id] = (line, Pool(first.problem, (*first.traces, *pool.traces)), True)


def _pool_of(row: _Row) -> tuple[Pool, bool]:
    """A row as a pool, and whether it is only one trace of it."""
    if "version" in row and "candidates" in row:
        return _former(row), False
    if {"problem", "end", "steps"} <= row.keys():
        trace = from_dict(Trace, row)
        return Pool(trace.problem, () if trace.end is End.FAULT and not trace.refused else (trace,)), True
    for keys, read in _FORMS:
        if keys <= row.keys():
            return read(row), False
    shown = ", ".join(map(str, list(row)[:6])) or "nothing"
    raise DataError(f"no candidates in a form that is known (the row has: {shown})")


# --- rows of others ---------------------------------------------------------------------------------------------------

GIVEN_SCORE, GIVEN_VERDICT = "score", "verdict"
"""The names of the verifiers whose scores and verdicts a file of others holds."""


def _plain(row: _Row) -> Pool:
    problem = _problem(row, row["problem"], _first(row, ("answer", "gold", "ground_truth")))
    given = row["candidates"]
    if not isinstance(given, list):
        raise DataError(f'"candidates" is no list but {type(given).__name__}')
    found = [_candidate(problem, c, i) for i, c in enumerate(given)]
    return Pool(problem, tuple(t for t, _ in found), tuple(said for _, said in found))


def _candidate(problem: Problem, given: Any, i: int) -> tuple[Trace, Said]:
    where = f"candidate {i + 1}"
    if not isinstance(given, dict):
        raise DataError(f"{where} is no object but {type(given).__name__}")
    if "solution" not in given and "answer" not in given:
        raise DataError(f'{where} has neither "solution" nor "answer"')
    solution = as_text(given.get("solution"))
    answer = as_text(given["answer"]) or None if "answer" in given else extract_answer(solution)
    said = (*_score(given.get("score"), where), *_verdict(given.get("verdict"), where))
    mark = next((given[k] for k in ("correct", "is_correct") if given.get(k) is not None), None)
    if mark is not None and not isinstance(mark, bool):
        raise DataError(f'{where}: "correct" is neither true nor false but {mark!r}')
    n_new = given.get("n_new_tokens", 0)
    if not isinstance(n_new, int) or isinstance(n_new, bool) or n_new < 0:
        raise DataError(f'{where}: "n_new_tokens" is no count but {n_new!r}')
    source = as_text(given.get("source"))
    return solved(problem, solution, answer, mark, source=source, place=i, usage=Usage(n_new_tokens=n_new)), said


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


def _search_and_learn(row: _Row) -> Pool:
    """``scores`` are a PRM's, one list of steps a completion; ``completion_tokens`` counts where it is a list."""
    problem = _problem(row, row["problem"], _first(row, ("answer",)))
    completions = row["completions"]
    if not isinstance(completions, list) or not all(isinstance(c, str) for c in completions):
        raise DataError('"completions" is no list of texts')
    scores = row.get("scores")
    if scores is not None and (not isinstance(scores, list) or len(scores) != len(completions)):
        raise DataError(f'"scores" does not hold one list for each of the {len(completions)} completions')
    counts = row.get("completion_tokens")
    counted = isinstance(counts, list) and len(counts) == len(completions) and all(type(n) is int for n in counts)
    traces, said = [], []
    for i, text in enumerate(completions):
        usage = Usage(n_new_tokens=cast(list[int], counts)[i] if counted else 0)
        traces.append(solved(problem, text, extract_answer(text), place=i, usage=usage))
        said.append(tuple(_score(None if scores is None else scores[i], f"completion {i + 1}")))
    return Pool(problem, tuple(traces), tuple(said))


def _gsm8k(row: _Row) -> Pool:
    solutions = {k: v for k, v in row.items() if isinstance(v, dict) and "solution" in v}
    if not solutions:
        raise DataError("no model's solution in it")
    gold = as_text(row["ground_truth"])
    problem = _problem({**row, "family": "gsm8k", "kind": "math"}, row["question"], _after_mark(gold) or gold)
    out = []
    for i, (name, v) in enumerate(solutions.items()):
        text, mark = as_text(v["solution"]), v.get("is_correct")
        if mark is not None and not isinstance(mark, bool):
            raise DataError(f'{name}: "is_correct" is neither true nor false but {mark!r}')
        out.append(solved(problem, text, _after_mark(text), mark, source=name, place=i))
    return Pool(problem, tuple(out))


def _after_mark(text: str) -> str | None:
    """What stands behind the last ``A:`` or ``####`` that begins a line."""
    for line in reversed(text.splitlines()):
        for mark in ("A:", "####"):
            if line.strip().startswith(mark):
                return line.strip().removeprefix(mark).strip() or None
    return None


_FORMS: tuple[tuple[frozenset[str], Callable[[_Row], Pool]], ...] = (
    (frozenset({"problem", "candidates"}), _plain),
    (frozenset({"problem", "completions"}), _search_and_learn),
    (frozenset({"question", "ground_truth"}), _gsm8k),
)


def _first(row: _Row, names: Sequence[str]) -> Any:
    return next((row[n] for n in names if row.get(n) is not None), None)


def _problem(row: _Row, given: Any, gold: Any) -> Problem:
    """The problem of a row, whose parts stand in ``problem`` or beside it."""
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
    return Problem(identity, question, answer, kind or _UNKNOWN, family, others, labels_of(parts))


# --- former versions --------------------------------------------------------------------------------------------------

_FORMER, _FORMER_JOURNAL, _FORMER_KEY = "candidates.jsonl", "sampled.jsonl", "sampled.key.jsonl"
_FORMER_COSTS = "candidates.costs.json"


@dataclass(frozen=True, slots=True)
class _Candidate:
    solution: str
    answer: str | None = None
    correct: bool | None = None
    source: str = ""
    n_prompt_tokens: int = 0
    n_new_tokens: int = 0
    judgements: Said = ()


@dataclass(frozen=True, slots=True)
class _FormerPool:
    """A line of a former version's ``candidates.jsonl``."""

    problem: Problem
    candidates: tuple[_Candidate, ...]
    generator: str = ""
    version: int = 1


def _former(row: _Row) -> Pool:
    old = from_dict(_FormerPool, row)
    traces = []
    for i, c in enumerate(old.candidates):
        usage = Usage(n_prompt_tokens=c.n_prompt_tokens, n_new_tokens=c.n_new_tokens)
        own: dict[str, Any] = {"source": c.source, "model": old.generator, "place": i, "usage": usage}
        traces.append(solved(old.problem, c.solution, c.answer, c.correct, **own))
    return Pool(old.problem, tuple(traces), tuple(c.judgements for c in old.candidates))


def upgrade(folder: Path) -> None:
    """Bring a sampling folder of a former version into today's form, once. Nothing in it is lost.

    It may be stopped at any moment: what says that it has to be done is moved aside, or removed, at the very end.
    """
    old, journal, key_file = folder / _FORMER, folder / _FORMER_JOURNAL, folder / _FORMER_KEY
    rows = [row for _, row in read_jsonl(old)] if old.exists() else []
    if not (rows and "version" in rows[0]) and not (journal.exists() and key_file.exists()):
        return
    repair_jsonl(journal)
    sampled = {t.id: t for t in read_traces(journal)} if journal.exists() else {}
    pools = [_former(row) for row in rows]
    traces = [_as_sampled(t, sampled.get(t.id), bool(sampled)) for p in pools for t in p.traces]
    traces += [_nothing(p.problem, "no candidates were given") for p in pools if not p.traces]
    kept = {t.id: t.solution for t in traces}
    spare = [t for i, t in sampled.items() if kept.get(i) != t.solution]
    traces, spare = (traces, spare) if pools else (spare, [])
    if (folder / TRACES).exists() and read_traces(folder / TRACES) != traces:
        return  # they are others, beside which a file of a former version lies
    keys = _former_judges(folder, pools)
    if key_file.exists():
        begun = {"key": next(read_jsonl(key_file), (0, {}))[1].get("key"), "stage": "sample"}
        keys[_head(key_file)] = key_of(begun)
        write_json(folder / BEGUN, begun)
    elif not journal.exists():
        write_json(folder / BEGUN, {"stage": "given"})
    costs = read_object(folder / _FORMER_COSTS)
    if costs:
        for part in costs.get("parts", {}).values():
            part["key"] = keys.get(part["key"], part["key"])
        write_json((folder / TRACES).with_suffix(COSTS), costs)
    if spare:
        write_jsonl(folder / SPARE, spare)
    write_jsonl(folder / TRACES, traces)
    if old.exists():
        set_aside(old)
    for name in (_FORMER_JOURNAL, _FORMER_KEY, _FORMER_COSTS):
        (folder / name).unlink(missing_ok=True)


def _former_judges(folder: Path, pools: Sequence[Pool]) -> dict[str, str]:
    """Take the settings out of the journals of judgements, and give those that came with the candidates a file each;
    returns what the keys of costs were and are."""
    notes: dict[str, Note] = read_object(folder / VERIFIERS)
    keys = {}
    for path in sorted(folder.glob("judge-*.jsonl")):
        repair_jsonl(path)
        rows = [row for _, row in read_jsonl(path)]
        if rows and "settings" in rows[0]:
            note = notes[path.stem.removeprefix("judge-")] = rows[0]
            keys[_head(path)] = key_of(note)
    heard = verifiers_of(pools)
    own = {name: note for name, note in notes.items() if "settings" in note}
    unheard = {name: {**note, "left_out": True} for name, note in own.items() if pools and name not in heard}
    told = {name: own.get(name, {"role": j.role}) for name, j in heard.items()}
    if told or own:
        write_json(folder / VERIFIERS, {**told, **own, **unheard})
    for path in (p for name in own if (p := judge_path(folder, name)).exists()):
        write_jsonl(path, [row for _, row in read_jsonl(path) if "settings" not in row])
    for name in told.keys() - own.keys():
        write_jsonl(judge_path(folder, name), judged_lines(pools, name))
    return keys


def _head(path: Path) -> str:
    """What former costs tell a journal by."""
    return hashlib.sha256((path.read_bytes().splitlines() or [b""])[0]).hexdigest()[:16]


def _as_sampled(given: Trace, sampled: Trace | None, is_sampled: bool) -> Trace:
    """The trace behind a former candidate, marked as the candidate was; a refused one had none and no solution."""
    if sampled is not None and sampled.solution == given.solution:
        score = sampled.score if sampled.correct == given.correct else given.score
        return replace(sampled, problem=given.problem, score=score)
    if is_sampled and not given.solution:
        return replace(given, end=End.FAULT, score=None, steps=(), fault="refused", refused=True)
    return given
