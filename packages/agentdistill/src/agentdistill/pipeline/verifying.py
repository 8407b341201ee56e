"""Verification as stages of a run: sample, judge and train, each resumable; all of them for every seed; and costs.

    runs/NAME/test, train     traces with the judgements of them, and roles/ that were trained; verify.json, .html, ...
    runs/NAME.seed-S          the same under another seed

``verify.json`` becomes a section of the run's report.
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

from agentdistill.errors import DataError, ModelError, RecipeError, named_by
from agentdistill.exchange.readers import Draft, find_reader, read_drafts
from agentdistill.models import Model
from agentdistill.models.scripted import Scripted
from agentdistill.models.weights import locate
from agentdistill.pipeline.run import Run, trained
from agentdistill.progress import Progress
from agentdistill.recipe import OtherGenerator, RolloutTable, VerifySettings
from agentdistill.recipe.methods import method
from agentdistill.registry import fingerprint
from agentdistill.retrieval import Retriever
from agentdistill.store import digest, repair_jsonl, write_atomic, write_json
from agentdistill.types import Problem
from agentdistill.verify.beam import SOURCE
from agentdistill.verify.judging import Beam, judge_pools, read_journal, sample_pools
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
from agentdistill.verify.scores import GENERATOR, Costs, Rival, ScoreSettings, curve, read_costs, stopping
from agentdistill.verify.stopping import N_ORDERS
from agentdistill.verify.verifiers import Kit, VerifierSettings


def candidates_path(folder: Path, split: str = "test") -> Path:
    """The traces of a split, beside which lies what was judged of them; lines that a kill tore are cut off."""
    upgrade(folder / split)
    for file in (folder / split).glob("*.jsonl"):
        repair_jsonl(file)
    return folder / split / TRACES


def verify_of(run: Run) -> VerifySettings:
    """The table ``[verify]``. Raises RecipeError where the recipe has none."""
    if run.recipe.verify is None:
        raise RecipeError(f"{run.recipe.name}: the recipe has no [verify] table")
    return run.recipe.verify


def problems_of(run: Run, split: str) -> list[Problem]:
    """The problems of ``test`` or ``train`` to verify on. Raises RecipeError where the recipe has none."""
    settings = verify_of(run)
    found = run.problems(split)
    if not found:
        raise RecipeError(f"{run.recipe.name}: [problems] has no {split}")
    wanted = [x for x in found if not settings.families or x.family in settings.families]
    if not wanted:
        raise RecipeError(f"{run.recipe.name}: no problem is of the families {', '.join(settings.families)}")
    return wanted if settings.limit is None else _some(wanted, settings.limit)


def generator_of(run: Run) -> dict[str, Any]:
    """The table of the generator: the recipe's own, or its first student that was trained to answer so.

    Raises ModelError for one that is not trained yet.
    """
    settings = verify_of(run)
    if settings.generator:
        return resolved(settings.generator, run.folder)
    fits = ((s, m) for s in run.recipe.students for m in s.methods if method(m).distilled)
    found = next(((s, m) for s, m in fits if method(m).loop == settings.sample.loop), None)
    if found is None:
        raise RecipeError(f"{run.recipe.name}: nobody to sample from; the recipe has no [verify.generator]")
    student, name = found
    folder = trained(run.folder, student, name)
    if not (folder / "training.json").exists():
        raise ModelError(f"{folder}: that student is not trained yet; run the recipe first")
    e, template = run.recipe.evaluate, run.recipe.train.chat_template
    table = {"model": "local", "path": str(folder), "device": e.device, "batch_size": e.batch_size}
    return table if template is None else {**table, "chat_template": template}


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


def given(run: Run, split: str) -> list[Pool] | None:
    """The candidates of ``test`` or ``train`` that the recipe does not sample; None where it samples them."""
    settings = verify_of(run)
    source = settings.candidates.test if split == "test" else settings.candidates.train
    with named_by(f"{split} of [verify.candidates]"):
        return None if source is None else read_pools(Path(source), limit=settings.limit)


def sample(run: Run, split: str, progress: Progress, other: OtherGenerator | None = None) -> Path:
    """Sample the candidates of a split; returns their file. What is sampled already is not sampled again.

    ``other`` samples in the generator's place, as a split called ``test.NAME``.
    """
    found = given(run, split) if other is None else None
    if found is not None:
        return bring_in(run.folder, split, found)
    path = candidates_path(run.folder, split if other is None else f"{split}.{other.name}")
    own = verify_of(run).sample
    settings = replace(own, n=(own.n_train or own.n) if split == "train" else own.n, n_train=None)
    if other is not None:
        settings = replace(settings, n=other.n, temperature=other.temperature)
    table = generator_of(run) if other is None else resolved(other.model, run.folder)
    agents = settings.loop == "agent"
    with costed(path, GENERATOR, table) as count:
        sample_pools(
            problems_of(run, split),
            settings,
            run.template,
            partial(make_model, table),
            path,
            environment=partial(run.environment, RolloutTable(), run.tools if agents else ()),
            identity=digest([model_identity(table), run.tool_key()]) if agents else model_identity(table),
            seed=run.recipe.seed,
            progress=progress,
            ray=run.recipe.on_ray,
            on_new=count,
        )
    return path


def search_steps(run: Run, progress: Progress) -> Path | None:
    """Search over steps for every test problem, as a split called ``test.beam``; None where the recipe does not ask."""
    own = verify_of(run)
    if own.beam is None:
        return None
    path, table = candidates_path(run.folder, f"test.{SOURCE}"), generator_of(run)
    verifier = next(v for v in own.verifiers if v.name == own.beam.reward)
    beam = Beam(own.beam, resolved(verifier.model, run.folder), verifier.separator)
    with costed(path, GENERATOR, table) as count:
        sample_pools(
            problems_of(run, "test"),
            replace(own.sample, n=1, n_train=None),
            run.template,
            partial(make_model, table),
            path,
            environment=partial(run.environment, RolloutTable(), ()),
            identity=digest([model_identity(table), asdict(own.beam), model_identity(beam.reward), beam.separator]),
            seed=run.recipe.seed,
            progress=progress,
            ray=run.recipe.on_ray,
            on_new=count,
            beam=beam,
        )
    return path


def judge(run: Run, split: str, progress: Progress, names: Sequence[str] = ()) -> Path:
    """Let the recipe's verifiers, or those named, judge the candidates of a split; returns their file.

    What verifiers said that the recipe no longer has does not count from then on; it stays in their files.
    """
    path = candidates_path(run.folder, split)
    if not path.exists():
        raise DataError(f"{path}: no candidates yet; sample them first: agentdistill verify sample")
    _leave_out(path.parent, {j.name for j in verify_of(run).verifiers})
    pools = read_pools(path)
    wanted = [replace(j, model=resolved(j.model, run.folder)) for j in _wanted(run, names)]
    ray = run.recipe.on_ray
    makers = {j.name: _maker(j) for j in wanted}
    if ray is None:  # workers elsewhere cannot share what is loaded here
        makers |= on_one_base(wanted)
    for settings in wanted:
        world, kit, make = _world(run, settings, pools), partial(_kit, run, settings), makers[settings.name]
        with costed(path, settings.name, settings.model) as count:
            about: dict[str, Any] = {"world": world, "progress": progress, "ray": ray, "on_new": count}
            pools = judge_pools(pools, settings, kit, path.parent, make, seed=run.recipe.seed, **about)
    return path


def _leave_out(folder: Path, known: set[str]) -> None:
    """Let what verifiers said that are not ``known`` not count; what came with the traces does."""
    notes = read_object(folder / VERIFIERS)
    for name, note in notes.items():
        if "settings" in note and name not in known:
            note["left_out"] = True
    if notes:
        write_json(folder / VERIFIERS, notes)


def _world(run: Run, settings: VerifierSettings, pools: Sequence[Pool]) -> dict[str, Any]:
    """What a judgement depends on besides its verifier's own settings, for the roles that it matters to."""
    recipe, retriever = run.recipe, _retriever(run, settings)
    world: dict[str, Any] = {"style": fingerprint("prompts", settings.prompt or recipe.prompt)}
    if settings.role in ("code", "calculations", "claims", "program"):
        world["limits"] = {"wall_s": recipe.sandbox.wall_s, "memory_mb": recipe.sandbox.memory_mb}
    if retriever is not None:
        settings_of = [recipe.tools.retriever_settings] if recipe.tools.retriever_settings else []
        world["documents"] = [fingerprint("retrievers", recipe.tools.retriever), retriever.corpus, *settings_of]
    if settings.programs:
        world["programs"] = [named.digests() for s in settings.programs if (named := find_reader(s, "agent"))]
    if settings.role == "gold":
        world["marks"] = [[t.correct for t in p.traces] for p in pools]
    return world


def train(run: Run, progress: Progress, names: Sequence[str] = (), split: str = "train") -> dict[str, Any]:
    """Train the recipe's roles, or those named, on the judged candidates of a split; returns what came of each."""
    from agentdistill.training import train as fine_tune

    path = candidates_path(run.folder, split)
    if not path.exists():
        raise DataError(f"{path}: no candidates to learn from; sample and judge them with --split {split}")
    pools = read_pools(path)
    own, seed = verify_of(run), run.recipe.seed
    known = {r.name: r for r in own.roles}
    out: dict[str, Any] = {}
    for name in names or known:
        if name not in known:
            raise RecipeError(f'no role is called "{name}" (there are: {", ".join(known) or "none"})')
        role = known[name]
        base, settings = role.base or own.base or "", replace(role.train, seed=role.train.seed + seed)
        task = progress.task("train", f"{name} on {base}", 1)
        target = run.folder / "roles" / name
        if role.role == "prm":
            record = train_prm(marked(pools, which=role.steps), locate(base), target, settings)
            out[name] = {"folder": str(target), "n_examples": record["n_examples"], "loss": record["final_loss"]}
        else:
            learned = lessons(pools, role, run.recipe.prompt, _taught(path, role), seed, own.policy)
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


def _wanted(run: Run, names: Sequence[str]) -> list[VerifierSettings]:
    known = {j.name: j for j in verify_of(run).verifiers}
    for name in names:
        if name not in known:
            raise RecipeError(f'no verifier is called "{name}" (there are: {", ".join(known) or "none"})')
    return [known[n] for n in names or known]


@contextmanager
def _kit(run: Run, settings: VerifierSettings) -> Iterator[Kit]:
    with run.environment(RolloutTable(), ()) as environment:
        programs = published_programs(settings.programs)
        yield Kit(environment, _retriever(run, settings), run.recipe.prompt, run.recipe.seed, programs)


def published_programs(collections: Sequence[str]) -> dict[str, str]:
    """The programs of published collections by question, where a solution is one program; the first of a question.

    Raises RecipeError for what is no published collection, DataError for one that cannot be read.
    """
    out: dict[str, str] = {}
    for source in collections:
        named = find_reader(source, "agent")
        if named is None:
            raise RecipeError(f'verify.verifiers.programs: "{source}" is no published collection')
        for draft in read_drafts(named, "agent"):
            if isinstance(draft, Draft) and len(draft.turns) == 1 and draft.turns[0].code is not None:
                out.setdefault(draft.problem.question, draft.turns[0].code)
    return out


def _retriever(run: Run, settings: VerifierSettings) -> Retriever | None:
    return run.retriever if settings.role in ("claims", "evidence", "facts") else None


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


def with_seed(run: Run, seed: int) -> Run:
    """The run under another seed, in the folder that it has then."""
    if seed == run.recipe.seed:
        return run
    return Run(replace(run.recipe, seed=seed), run.folder.with_name(f"{run.folder.name}.seed-{seed}"))


def verify(run: Run, progress: Progress, n_seeds: int = 1) -> Path:
    """Run every stage for ``n_seeds`` seeds, and write what came out; returns the page. What is done is not done again.

    With roles: the student's solutions of the training problems, the teachers' checks of them, the roles. Then the
    solutions of the test problems, by the generator and by others, judged by every verifier that is no role's teacher.
    """
    seeds = [with_seed(run, run.recipe.seed + i) for i in range(n_seeds)]
    for one in seeds:
        _train_roles(one, progress)
        _judge_test(one, progress, greedy=one is run)
    curves = summary(seeds)
    write_json(run.folder / SUMMARY, {"curves": curves})
    write_atomic(run.folder / TABLE, markdown(curves))
    if len(curves[0]["budgets"]) > 1:
        write_atomic(run.folder / PICTURE, picture(curves))
    write_atomic(run.folder / PAGE, render(curves))
    return run.folder / PAGE


def _train_roles(run: Run, progress: Progress) -> None:
    settings = verify_of(run)
    if not settings.roles:
        return
    sample(run, "train", progress)
    teachers = [j.name for j in settings.verifiers if j.name in _teachers(settings)]
    if teachers:
        judge(run, "train", progress, teachers)
    train(run, progress)


def _judge_test(run: Run, progress: Progress, greedy: bool) -> None:
    """``greedy``: ask also those generators that say the same under every seed, and search over steps."""
    settings = verify_of(run)
    verifiers = [j.name for j in settings.verifiers if j.name not in _teachers(settings)]
    sample(run, "test", progress)
    judge(run, "test", progress, verifiers)
    if greedy:
        search_steps(run, progress)
    for other in settings.others:
        if other.n > 1:
            sample(run, "test", progress, other)
            judge(run, f"test.{other.name}", progress, verifiers)
        elif greedy:
            sample(run, "test", progress, other)


def _teachers(settings: VerifySettings) -> set[str]:
    return {r.teacher for r in settings.roles if r.teacher is not None}


def summary(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """The curves of the generator and of the others that were sampled, over all seeds; those asked once are rivals."""
    name, settings, folders = runs[0].recipe.name, verify_of(runs[0]), [r.folder for r in runs]
    seed = runs[0].recipe.seed
    scoring = ScoreSettings(settings.methods, settings.budgets, settings.listen, settings.policy, seed=seed)
    rivals: dict[str, Rival] = {}
    for other in (o for o in settings.others if o.n == 1):
        path = candidates_path(folders[0], f"test.{other.name}")
        rivals[other.name] = Rival(answers=read_pools(path), n_parameters=_size(path))
    if settings.beam is not None:
        path = candidates_path(folders[0], f"test.{SOURCE}")
        rivals[f"{SOURCE} of {settings.beam.n}"] = Rival(
            answers=read_pools(path), n_parameters=_size(path), n=settings.beam.n, reward=settings.beam.reward
        )
    out = []
    for split, told in (
        ("test", name),
        *((f"test.{o.name}", f"{name} · {o.name}") for o in settings.others if o.n > 1),
    ):
        paths = [candidates_path(f, split) for f in folders]
        first, *repeats = (read_pools(p) for p in paths)
        costs = _costs_of_seeds(paths)
        found = curve(told, first, scoring, costs, repeats, rivals)
        looks = settings.stop.looks if settings.stop is not None else ()
        every = [pool for pools in (first, *repeats) for pool in pools]
        out.append({**found, "stopping": stopping(every, None, scoring, looks, costs, N_ORDERS) if looks else []})
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
