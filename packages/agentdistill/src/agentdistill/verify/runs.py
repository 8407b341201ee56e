"""A recipe's stages: sample, judge, train, each resumable, and what they cost beside what they made."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from agentdistill.checkpoints import locate
from agentdistill.environment import Environment
from agentdistill.errors import DataError, RecipeError
from agentdistill.models import Model
from agentdistill.models.scripted import Scripted
from agentdistill.problems import load_problems
from agentdistill.progress import Progress
from agentdistill.prompts import load_style
from agentdistill.retrieval import build_retriever, open_corpus
from agentdistill.sandbox import Limits
from agentdistill.store import write_json
from agentdistill.tasks import find_task
from agentdistill.types import Problem
from agentdistill.verify.candidates import read_pools, write_pools
from agentdistill.verify.distil import lessons
from agentdistill.verify.judges import JudgeSettings, Kit
from agentdistill.verify.judging import judge_pools, read_journal
from agentdistill.verify.models import make_model, model_identity, n_parameters, on_one_base, resolved
from agentdistill.verify.prm_training import marked, train_prm
from agentdistill.verify.recipe import Other, RoleSettings, VerifyRecipe
from agentdistill.verify.sampling import sample_pools
from agentdistill.verify.theory import toy_pools
from agentdistill.verify.types import Pool

CANDIDATES = "candidates.jsonl"


def candidates_path(folder: Path, split: str = "test") -> Path:
    """The candidates of a split, judged as far as that was done."""
    return folder / split / CANDIDATES


def problems_of(recipe: VerifyRecipe, split: str) -> list[Problem]:
    """The problems of ``test`` or ``train``. Raises RecipeError where the recipe has none."""
    p = recipe.problems
    source, limit = (p.test, p.limit_test) if split == "test" else (p.train, p.limit_train)
    if source is None:
        raise RecipeError(f"{recipe.name}: [problems] has no {split}")
    task = find_task(source)
    found = task[0].problems(task[1]) if task is not None else load_problems(source, kind=p.kind).problems  # type: ignore[arg-type]
    wanted = [x for x in found if not p.families or x.family in p.families]
    if not wanted:
        raise RecipeError(f"{recipe.name}: no problem of {source} is of the families {', '.join(p.families)}")
    return wanted if limit is None else _some(wanted, limit)


def _some(problems: Sequence[Problem], n: int) -> list[Problem]:
    """The first ``n``, family by turns, in the order they had."""
    seen: Counter[str] = Counter()
    turns = []
    for place, p in enumerate(problems):
        turns.append((seen[p.family], place))
        seen[p.family] += 1
    return [problems[place] for place in sorted(place for _, place in sorted(turns)[:n])]


def bring_in(folder: Path, split: str, pools: Sequence[Pool]) -> Path:
    """Make candidates from elsewhere a split of this run; returns their file.

    A split that is there is kept with what was judged. Raises DataError where it holds other candidates.
    """
    path = candidates_path(folder, split)
    if not path.exists():
        write_pools(path, pools)
    elif [_solutions(p) for p in read_pools(path)] != [_solutions(p) for p in pools]:
        raise DataError(f"{path}: holds other candidates; move it away, or name another run")
    return path


def given(recipe: VerifyRecipe, split: str) -> list[Pool] | None:
    """The candidates of ``test`` or ``train`` that the recipe does not sample; None where it samples them."""
    source = recipe.candidates.test if split == "test" else recipe.candidates.train
    if source is None:
        return None
    limit = recipe.problems.limit_test if split == "test" else recipe.problems.limit_train
    name, _, n = source.partition(":")
    if name != "toy":
        return read_pools(Path(source), limit=limit)
    if not n.isdigit() or int(n) < 1:
        raise RecipeError(f'{recipe.name}: candidates "{source}": write toy:N, right and wrong ones for each length')
    return toy_pools(n=min(int(n), limit or int(n)), seed=2 * recipe.seed + (split == "train"))


def sample(recipe: VerifyRecipe, folder: Path, split: str, progress: Progress, other: Other | None = None) -> Path:
    """Sample the candidates of a split; returns their file. What is sampled already is not sampled again.

    ``other`` samples in the generator's place, as a split called ``test.NAME``.
    """
    found = given(recipe, split) if other is None else None
    if found is not None:
        return bring_in(folder, split, found)
    path = candidates_path(folder, split if other is None else f"{split}.{other.name}")
    n = (recipe.sample.n_train or recipe.sample.n) if split == "train" else recipe.sample.n
    settings, table = replace(recipe.sample, n=n, n_train=None), recipe.generator
    if other is not None:
        settings, table = replace(settings, n=other.n, temperature=other.temperature), other.model
    table = resolved(table, folder)
    started = time.monotonic()
    pools = sample_pools(
        problems_of(recipe, split),
        settings,
        load_style(recipe.style),
        partial(make_model, table),
        path.with_name("sampled.jsonl"),
        environment=partial(_environment, recipe),
        identity=model_identity(table),
        seed=recipe.seed,
        progress=progress,
        ray=recipe.ray if recipe.executor == "ray" else None,
    )
    before = {p.id: p for p in read_pools(path)} if path.exists() else {}
    write_pools(path, [_keeping(p, before) for p in pools])
    _note_costs(path, "generator", table, time.monotonic() - started, pools)
    return path


def judge(recipe: VerifyRecipe, folder: Path, split: str, progress: Progress, names: Sequence[str] = ()) -> Path:
    """Let the recipe's judges, or those named, judge the candidates of a split; returns their file."""
    path = candidates_path(folder, split)
    if not path.exists():
        raise DataError(f"{path}: no candidates yet; sample them first: agentdistill verify sample")
    pools = read_pools(path)
    wanted = [replace(j, model=resolved(j.model, folder)) for j in _wanted(recipe, names)]
    makers = {**{j.name: _maker(j) for j in wanted}, **on_one_base(wanted)}
    for settings in wanted:
        started = time.monotonic()
        with _environment(recipe) as environment:
            kit = Kit(environment, _retriever(recipe, folder, settings), recipe.style)
            journal = path.with_name(f"judge-{settings.name}.jsonl")
            make = makers[settings.name]
            pools = judge_pools(pools, settings, kit, journal, make, seed=recipe.seed, progress=progress)
        write_pools(path, pools)
        _note_costs(path, settings.name, settings.model, time.monotonic() - started, pools)
    return path


def train(
    recipe: VerifyRecipe, folder: Path, progress: Progress, names: Sequence[str] = (), split: str = "train"
) -> dict[str, Any]:
    """Train the recipe's roles, or those named, on the judged candidates of a split; returns what came of each."""
    from agentdistill.training import train as fine_tune

    path = candidates_path(folder, split)
    if not path.exists():
        raise DataError(f"{path}: no candidates to learn from; sample and judge them with --split {split}")
    pools = read_pools(path)
    known = {r.name: r for r in recipe.roles}
    out: dict[str, Any] = {}
    for name in names or known:
        if name not in known:
            raise RecipeError(f'no role is called "{name}" (there are: {", ".join(known) or "none"})')
        role = known[name]
        base, settings = locate(role.base or recipe.base or ""), replace(role.train, seed=role.train.seed + recipe.seed)
        task = progress.task("train", f"{name} on {base}", 1)
        target = folder / "roles" / name
        if role.role == "prm":
            record = train_prm(marked(pools, which=role.steps), base, target, settings)
            out[name] = {"folder": str(target), "n_examples": record["n_examples"], "loss": record["final_loss"]}
        else:
            learned = lessons(pools, role, recipe.style, _taught(path, role), recipe.seed)
            result = fine_tune(learned.traces, base, target, settings)
            out[name] = {"folder": str(target), "lessons": learned.counts, "loss": result.final_loss}
        task.done(f"loss {out[name]['loss']:.3f}")
    return out


def _taught(path: Path, role: RoleSettings) -> Any:
    if role.teacher is None:
        return None
    journal = path.with_name(f"judge-{role.teacher}.jsonl")
    if not journal.exists():
        raise DataError(f'{journal}: "{role.teacher}" has not judged these candidates yet')
    return read_journal(journal)


def _maker(settings: JudgeSettings) -> Callable[[], Model]:
    if not settings.needs_model or settings.role == "prm":
        return lambda: Scripted("", name=settings.name)  # nobody asks it
    return lambda: make_model(settings.model)


def _wanted(recipe: VerifyRecipe, names: Sequence[str]) -> list[JudgeSettings]:
    known = {j.name: j for j in recipe.judges}
    for name in names:
        if name not in known:
            raise RecipeError(f'no judge is called "{name}" (there are: {", ".join(known) or "none"})')
    return [known[n] for n in names or known]


@contextmanager
def _environment(recipe: VerifyRecipe) -> Iterator[Environment]:
    limits = Limits(wall_s=recipe.sandbox.wall_s, memory_mb=recipe.sandbox.memory_mb)
    with Environment(limits=limits) as environment:
        yield environment


def _retriever(recipe: VerifyRecipe, folder: Path, settings: JudgeSettings) -> Any:
    search = recipe.tools.search
    if settings.role != "facts" or search is None:
        return None
    task = find_task(search)
    cache = folder / "index"
    passages = task[0].corpus() if task is not None else open_corpus(search, cache)
    return build_retriever(recipe.tools.retriever, passages, cache=cache)


def _solutions(pool: Pool) -> list[str]:
    return [c.solution for c in pool.candidates]


def _keeping(pool: Pool, before: dict[str, Pool]) -> Pool:
    """The pool as it was judged already, if it is the same pool."""
    old = before.get(pool.id)
    return old if old is not None and _solutions(old) == _solutions(pool) else pool


def _note_costs(path: Path, stage: str, model: dict[str, Any], seconds: float, pools: Sequence[Pool]) -> None:
    """Add a stage's parameters and seconds a candidate to what stands beside the candidates.

    A stage that was interrupted, or had nothing left to do, keeps the time of its longest run.
    """
    beside = path.with_suffix(".costs.json")
    known: dict[str, Any] = json.loads(beside.read_text(encoding="utf-8")) if beside.exists() else {}
    each = seconds / max(1, sum(len(p.candidates) for p in pools))
    times = known.setdefault("seconds", {})
    times[stage] = max(each, times.get(stage, 0.0))
    known.setdefault("n_parameters", {})[stage] = n_parameters(model)
    write_json(beside, known)
