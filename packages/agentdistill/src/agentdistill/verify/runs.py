"""A recipe's stages, sample, judge and train, each resumable; all of them for every seed; and what they cost.

    runs/NAME                 the first seed's candidates, judgements and trained roles; verify.json, .html, .md, .svg
    runs/NAME.seed-S          the same under another seed

``verify.json`` in the folder of an ``agentdistill run`` becomes a section of that run's report.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from agentdistill.checkpoints import locate
from agentdistill.environment import Environment
from agentdistill.errors import DataError, RecipeError
from agentdistill.models import Model
from agentdistill.models.scripted import Scripted
from agentdistill.problems import load_problems
from agentdistill.progress import Progress
from agentdistill.prompts import load_style
from agentdistill.retrieval import Retriever, build_retriever
from agentdistill.sandbox import Limits
from agentdistill.store import repair_jsonl, write_atomic, write_json
from agentdistill.tasks import find_task, open_search
from agentdistill.types import Problem
from agentdistill.verify.judging import judge_pools, read_journal, sample_pools
from agentdistill.verify.page import markdown, picture, render
from agentdistill.verify.pools import (
    BEGUN,
    COSTS,
    TRACES,
    VERIFIERS,
    Pool,
    judge_path,
    key_of,
    read_object,
    read_pools,
    upgrade,
    write_pools,
)
from agentdistill.verify.recipe import Other, VerifyRecipe
from agentdistill.verify.roles import (
    RoleSettings,
    lessons,
    make_model,
    marked,
    model_identity,
    n_parameters,
    on_one_base,
    resolved,
    train_prm,
)
from agentdistill.verify.scores import GENERATOR, Asked, Costs, curve, read_costs
from agentdistill.verify.verifiers import Kit, VerifierSettings


def candidates_path(folder: Path, split: str = "test") -> Path:
    """The traces of a split, beside which lies what was judged of them; lines that a kill tore are cut off."""
    upgrade(folder / split)
    for file in (folder / split).glob("*.jsonl"):
        repair_jsonl(file)
    return folder / split / TRACES


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

    A split that is there keeps what was judged in this run. Raises DataError where it holds other candidates.
    """
    path = candidates_path(folder, split)
    if path.exists() and [_solutions(p) for p in read_pools(path)] != [_solutions(p) for p in pools]:
        raise DataError(f"{path}: holds other candidates; move it away, or name another run")
    if not path.exists():
        write_json(path.with_name(BEGUN), {"stage": "given"})
    write_pools(path, pools)
    return path


def given(recipe: VerifyRecipe, split: str) -> list[Pool] | None:
    """The candidates of ``test`` or ``train`` that the recipe does not sample; None where it samples them."""
    source = recipe.candidates.test if split == "test" else recipe.candidates.train
    if source is None:
        return None
    limit = recipe.problems.limit_test if split == "test" else recipe.problems.limit_train
    return read_pools(Path(source), limit=limit)


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
    with costed(path, GENERATOR, table) as count:
        sample_pools(
            problems_of(recipe, split),
            settings,
            load_style(recipe.style),
            partial(make_model, table),
            path,
            environment=partial(_environment, recipe),
            identity=model_identity(table),
            seed=recipe.seed,
            progress=progress,
            ray=recipe.ray if recipe.executor == "ray" else None,
            on_new=count,
        )
    return path


def judge(recipe: VerifyRecipe, folder: Path, split: str, progress: Progress, names: Sequence[str] = ()) -> Path:
    """Let the recipe's verifiers, or those named, judge the candidates of a split; returns their file.

    What verifiers said that the recipe no longer has does not count from then on; it stays in their files.
    """
    path = candidates_path(folder, split)
    if not path.exists():
        raise DataError(f"{path}: no candidates yet; sample them first: agentdistill verify sample")
    _leave_out(path.parent, {j.name for j in recipe.verifiers})
    pools = read_pools(path)
    wanted = [replace(j, model=resolved(j.model, folder)) for j in _wanted(recipe, names)]
    ray = recipe.ray if recipe.executor == "ray" else None
    makers = {j.name: _maker(j) for j in wanted}
    if ray is None:  # workers elsewhere cannot share what is loaded here
        makers |= on_one_base(wanted)
    for settings in wanted:
        world = _world(recipe, settings, _retriever(recipe, folder, settings), pools)
        kit, make = partial(_kit, recipe, folder, settings), makers[settings.name]
        with costed(path, settings.name, settings.model) as count:
            about: dict[str, Any] = {"world": world, "progress": progress, "ray": ray, "on_new": count}
            pools = judge_pools(pools, settings, kit, path.parent, make, seed=recipe.seed, **about)
    return path


def _leave_out(folder: Path, known: set[str]) -> None:
    """Let what verifiers said that are not ``known`` not count; what came with the traces does."""
    notes = read_object(folder / VERIFIERS)
    for name, note in notes.items():
        if "settings" in note and name not in known:
            note["left_out"] = True
    if notes:
        write_json(folder / VERIFIERS, notes)


def _world(
    recipe: VerifyRecipe, settings: VerifierSettings, retriever: Retriever | None, pools: Sequence[Pool]
) -> dict[str, Any]:
    """What a judgement hangs on besides its verifier's own settings, for the roles that it matters to."""
    world: dict[str, Any] = {"style": settings.style or recipe.style}
    if settings.role in ("code", "calculations"):
        world["limits"] = asdict(recipe.sandbox)
    if retriever is not None:
        world["documents"] = [recipe.tools.retriever, retriever.corpus]
    if settings.role == "gold":
        world["marks"] = [[t.correct for t in p.traces] for p in pools]
    return world


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
        base, settings = role.base or recipe.base or "", replace(role.train, seed=role.train.seed + recipe.seed)
        task = progress.task("train", f"{name} on {base}", 1)
        target = folder / "roles" / name
        if role.role == "prm":
            record = train_prm(marked(pools, which=role.steps), locate(base), target, settings)
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
    journal = judge_path(path.parent, role.teacher)
    if not journal.exists():
        raise DataError(f'{journal}: "{role.teacher}" has not judged these candidates yet')
    return read_journal(path.parent, role.teacher)


def _maker(settings: VerifierSettings) -> Callable[[], Model]:
    if not settings.needs_model or settings.role == "prm":
        return partial(Scripted, "", name=settings.name)  # nobody asks it
    return partial(make_model, settings.model)


def _wanted(recipe: VerifyRecipe, names: Sequence[str]) -> list[VerifierSettings]:
    known = {j.name: j for j in recipe.verifiers}
    for name in names:
        if name not in known:
            raise RecipeError(f'no verifier is called "{name}" (there are: {", ".join(known) or "none"})')
    return [known[n] for n in names or known]


@contextmanager
def _environment(recipe: VerifyRecipe) -> Iterator[Environment]:
    limits = Limits(wall_s=recipe.sandbox.wall_s, memory_mb=recipe.sandbox.memory_mb)
    with Environment(limits=limits) as environment:
        yield environment


@contextmanager
def _kit(recipe: VerifyRecipe, folder: Path, settings: VerifierSettings) -> Iterator[Kit]:
    with _environment(recipe) as environment:
        yield Kit(environment, _retriever(recipe, folder, settings), recipe.style)


def _retriever(recipe: VerifyRecipe, folder: Path, settings: VerifierSettings) -> Retriever | None:
    search = recipe.tools.search
    if settings.role != "facts" or search is None:
        return None
    cache = folder / "index"
    return build_retriever(recipe.tools.retriever, open_search(search, cache), cache=cache)


def _solutions(pool: Pool) -> list[str]:
    return [t.solution for t in pool.traces]


@contextmanager
def costed(path: Path, stage: str, model: Mapping[str, Any]) -> Iterator[Callable[[], None]]:
    """Note, beside the traces, a stage's parameters and the seconds that a trace took; what is given counts them.

    Parts of a stage that was interrupted add up, as long as its settings are the same; one with nothing left to do adds
    none.
    """
    started, new = time.monotonic(), Counter[str]()
    try:
        yield lambda: new.update([stage])
    finally:
        _note_costs(path, stage, model, time.monotonic() - started, new[stage])


def _note_costs(path: Path, stage: str, model: Mapping[str, Any], seconds: float, n: int) -> None:
    known = read_object(path.with_suffix(COSTS))
    known.setdefault("n_parameters", {})[stage] = n_parameters(model)
    if n:
        own = read_object(path.with_name(BEGUN if stage == GENERATOR else VERIFIERS))
        key = key_of(own if stage == GENERATOR else own[stage])
        parts = known.setdefault("parts", {})
        part = parts.get(stage, {})
        if part.get("key") == key:
            seconds, n = seconds + part["seconds"], n + part["n"]
        parts[stage] = {"key": key, "seconds": seconds, "n": n}
        known.setdefault("seconds", {})[stage] = seconds / n
    write_json(path.with_suffix(COSTS), known)


SUMMARY, PAGE, TABLE, PICTURE = "verify.json", "verify.html", "verify.md", "verify.svg"


def with_seed(recipe: VerifyRecipe, folder: Path, seed: int) -> tuple[VerifyRecipe, Path]:
    """The recipe under another seed, with the folder that it has then."""
    if seed == recipe.seed:
        return recipe, folder
    return replace(recipe, seed=seed), folder.with_name(f"{folder.name}.seed-{seed}")


def run_all(recipe: VerifyRecipe, folder: Path, n_seeds: int, progress: Progress) -> Path:
    """Run every stage for ``n_seeds`` seeds, and write what came out; returns the page. What is done is not done again.

    With roles: the student's solutions of the training problems, the teachers' checks of them, the roles. Then the
    solutions of the test problems, by the generator and by others, judged by every verifier that is no role's teacher.
    """
    seeds = [with_seed(recipe, folder, recipe.seed + i) for i in range(n_seeds)]
    for one, own in seeds:
        _train_roles(one, own, progress)
        _judge_test(one, own, progress, greedy=own == folder)
    curves = summary(recipe, [own for _, own in seeds])
    write_json(folder / SUMMARY, {"curves": curves})
    write_atomic(folder / TABLE, markdown(curves))
    if len(curves[0]["budgets"]) > 1:
        write_atomic(folder / PICTURE, picture(curves))
    write_atomic(folder / PAGE, render(curves))
    return folder / PAGE


def _train_roles(recipe: VerifyRecipe, folder: Path, progress: Progress) -> None:
    if not recipe.roles:
        return
    sample(recipe, folder, "train", progress)
    teachers = [j.name for j in recipe.verifiers if j.name in _teachers(recipe)]
    if teachers:
        judge(recipe, folder, "train", progress, teachers)
    train(recipe, folder, progress)


def _judge_test(recipe: VerifyRecipe, folder: Path, progress: Progress, greedy: bool) -> None:
    """``greedy``: ask also those generators that say the same under every seed."""
    verifiers = [j.name for j in recipe.verifiers if j.name not in _teachers(recipe)]
    sample(recipe, folder, "test", progress)
    judge(recipe, folder, "test", progress, verifiers)
    for other in recipe.others:
        if other.n > 1:
            sample(recipe, folder, "test", progress, other)
            judge(recipe, folder, f"test.{other.name}", progress, verifiers)
        elif greedy:
            sample(recipe, folder, "test", progress, other)


def _teachers(recipe: VerifyRecipe) -> set[str]:
    return {r.teacher for r in recipe.roles if r.teacher is not None}


def summary(recipe: VerifyRecipe, folders: Sequence[Path]) -> list[dict[str, Any]]:
    """The curves of the generator and of the others that were sampled, over all seeds; those asked once are rivals."""
    asked = Asked(recipe.methods, recipe.budgets, recipe.listen, recipe.policy, seed=recipe.seed)
    rivals = {}
    for other in (o for o in recipe.others if o.n == 1):
        path = candidates_path(folders[0], f"test.{other.name}")
        rivals[other.name] = (read_pools(path), _size(path))
    out = []
    for split, name in (("test", ""), *((f"test.{o.name}", o.name) for o in recipe.others if o.n > 1)):
        paths = [candidates_path(f, split) for f in folders]
        told = f"{recipe.name} · {name}" if name else recipe.name
        first, *repeats = (read_pools(p) for p in paths)
        out.append(curve(told, first, asked, _costs_of_seeds(paths), repeats, rivals))
    return out


def _costs_of_seeds(paths: Sequence[Path]) -> Costs:
    """The costs of all seeds: sizes are the same under each, seconds a candidate are their mean."""
    each = [read_costs(p) for p in paths]
    stages = {stage for costs in each for stage in costs.seconds}
    seconds = {s: fmean(costs.seconds[s] for costs in each if s in costs.seconds) for s in stages}
    return replace(each[0], seconds=seconds)


def _size(path: Path) -> int | None:
    n = read_costs(path).n_parameters.get(GENERATOR)
    return None if n is None else int(n)
