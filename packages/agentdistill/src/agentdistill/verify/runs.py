"""A recipe's stages: sample, judge, train, each resumable, and what they cost beside what they made."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

from agentdistill.checkpoints import locate
from agentdistill.environment import Environment
from agentdistill.errors import DataError, RecipeError
from agentdistill.models import Model, load_model
from agentdistill.models.scripted import Scripted
from agentdistill.problems import load_problems
from agentdistill.progress import Progress
from agentdistill.prompts import load_style
from agentdistill.retrieval import build_retriever, open_corpus
from agentdistill.sandbox import Limits
from agentdistill.store import write_json
from agentdistill.tasks import find_task
from agentdistill.types import Problem
from agentdistill.verify.adapters import load_roles
from agentdistill.verify.candidates import read_pools, write_pools
from agentdistill.verify.distil import lessons
from agentdistill.verify.identity import model_identity
from agentdistill.verify.judges import JudgeSettings, Kit
from agentdistill.verify.judging import judge_pools, read_journal
from agentdistill.verify.prm_training import marked, train_prm
from agentdistill.verify.recipe import RoleSettings, VerifyRecipe
from agentdistill.verify.sampling import sample_pools
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
    return wanted[:limit]


def bring_in(folder: Path, source: Path) -> str:
    """Make somebody's file of candidates a split of this run, called by the file's name; returns that name.

    A split that is there is kept with what was judged. Raises DataError where it holds other candidates.
    """
    path = candidates_path(folder, source.stem)
    pools = read_pools(source)
    if path.exists():
        solutions = [[c.solution for c in p.candidates] for p in pools]
        if [[c.solution for c in p.candidates] for p in read_pools(path)] != solutions:
            raise DataError(f"{path}: holds other candidates than {source}; move one of them away")
    else:
        write_pools(path, pools)
    return source.stem


def sample(recipe: VerifyRecipe, folder: Path, split: str, progress: Progress) -> Path:
    """Sample the candidates of a split; returns their file. What is sampled already is not sampled again."""
    path = candidates_path(folder, split)
    started = time.monotonic()
    with _environment(recipe) as environment:
        pools = sample_pools(
            problems_of(recipe, split),
            recipe.sample,
            load_style(recipe.style),
            lambda: make_model(recipe.generator),
            path.with_name("sampled.jsonl"),
            environment=environment,
            identity=model_identity(recipe.generator),
            seed=recipe.seed,
            progress=progress,
        )
    before = _judged_before(path)
    write_pools(path, [_keeping(p, before) for p in pools])
    _note_costs(path, "generator", recipe.generator, time.monotonic() - started, pools)
    return path


def judge(recipe: VerifyRecipe, folder: Path, split: str, progress: Progress, names: Sequence[str] = ()) -> Path:
    """Let the recipe's judges, or those named, judge the candidates of a split; returns their file."""
    path = candidates_path(folder, split)
    if not path.exists():
        raise DataError(f"{path}: no candidates yet; sample them first: agentdistill verify sample")
    pools = read_pools(path)
    wanted = _wanted(recipe, names)
    makers = {**{j.name: _maker(j) for j in wanted}, **_on_one_base(wanted)}
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
        role, base = known[name], locate(recipe.base or "")
        task = progress.task("train", f"{name} on {base}", 1)
        target = folder / "roles" / name
        if role.role == "prm":
            record = train_prm(marked(pools, which=role.steps), base, target, role.train)
            out[name] = {"folder": str(target), "n_examples": record["n_examples"], "loss": record["final_loss"]}
        else:
            learned = lessons(pools, role, recipe.style, _taught(path, role), recipe.seed)
            result = fine_tune(learned.traces, base, target, role.train)
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


def make_model(table: dict[str, Any]) -> Model:
    """The model of a recipe's table, ``tinyworld:SIZE`` found where it ships."""
    settings = dict(table)
    kind = settings.pop("model", "endpoint")
    if kind == "local" and "path" in settings:
        settings["path"] = locate(settings["path"])
    return load_model(kind, **settings)


def _maker(settings: JudgeSettings) -> Callable[[], Model]:
    if not settings.needs_model or settings.role == "prm":
        return lambda: Scripted("", name=settings.name)  # nobody asks it
    return lambda: make_model(settings.model)


def _on_one_base(judges: Sequence[JudgeSettings]) -> dict[str, Callable[[], Model]]:
    """Makers for judges that are adapters of one base: it is loaded once, and switched from one to the next."""
    from agentdistill.models._weights import resolve

    groups: dict[str, dict[str, str]] = {}
    shared: dict[str, dict[str, Any]] = {}
    for j in judges:
        table = {k: v for k, v in j.model.items() if k not in ("model", "path")}
        path = j.model.get("path")
        if j.role == "prm" or j.model.get("model") != "local" or not isinstance(path, str) or not set(table) <= _SHARED:
            continue
        base, adapter = resolve(locate(path))
        if adapter is not None:
            key = json.dumps([base, table], sort_keys=True)
            groups.setdefault(key, {})[j.name] = adapter
            shared[key] = {"base": base, **table}
    load = cache(lambda key: load_roles(adapters=groups[key], **shared[key]))
    made: dict[str, Callable[[], Model]] = {}
    for key, adapters in groups.items():
        if len(adapters) > 1:
            made |= {name: partial(_role, load, key, name) for name in adapters}
    return made


def _role(load: Callable[[str], Mapping[str, Model]], key: str, name: str) -> Model:
    return load(key)[name]


_SHARED = {"device", "dtype", "batch_size", "chat_template", "context_length"}


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


def _judged_before(path: Path) -> dict[str, Pool]:
    return {p.id: p for p in read_pools(path)} if path.exists() else {}


def _keeping(pool: Pool, before: dict[str, Pool]) -> Pool:
    """The pool as it was judged already, if it is the same pool."""
    old = before.get(pool.id)
    same = old is not None and [c.solution for c in old.candidates] == [c.solution for c in pool.candidates]
    return old if old is not None and same else pool


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


def n_parameters(model: dict[str, Any]) -> int | None:
    """The parameters of local weights, read off their files' headers; None where that cannot be."""
    path = model.get("path")
    if not isinstance(path, str):
        return None
    folder = Path(locate(path))
    config = folder / "adapter_config.json"
    if config.is_file() and not (folder / "config.json").is_file():
        base = json.loads(config.read_text(encoding="utf-8")).get("base_model_name_or_path")
        return n_parameters({"path": base}) if isinstance(base, str) else None
    total = 0
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb") as f:
            header = json.loads(f.read(int.from_bytes(f.read(8), "little")))
        for name, tensor in header.items():
            n = 1
            for size in tensor["shape"] if name != "__metadata__" else ():
                n *= size
            total += n if name != "__metadata__" else 0
    return total or None
