"""A recipe of verification as a whole: every stage for every seed, and what came out, as JSON and as a page.

    runs/NAME                 the first seed's candidates, judgements and trained roles; verify.json, .html, .md, .svg
    runs/NAME.seed-S          the same under another seed

``verify.json`` in the folder of an ``agentdistill run`` becomes a section of that run's report.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from agentdistill.progress import Progress
from agentdistill.store import write_atomic, write_json
from agentdistill.verify import runs
from agentdistill.verify.candidates import read_pools
from agentdistill.verify.curves import Costs, curve, read_costs
from agentdistill.verify.markdown import markdown
from agentdistill.verify.page import picture, render
from agentdistill.verify.recipe import VerifyRecipe
from agentdistill.verify.rescore import Asked

SUMMARY, PAGE, TABLE, PICTURE = "verify.json", "verify.html", "verify.md", "verify.svg"


def with_seed(recipe: VerifyRecipe, folder: Path, seed: int) -> tuple[VerifyRecipe, Path]:
    """The recipe under another seed, with the folder that it has then."""
    if seed == recipe.seed:
        return recipe, folder
    return replace(recipe, seed=seed), folder.with_name(f"{folder.name}.seed-{seed}")


def run_all(recipe: VerifyRecipe, folder: Path, n_seeds: int, progress: Progress) -> Path:
    """Run every stage for ``n_seeds`` seeds, and write what came out; returns the page. What is done is not done again.

    With roles: the student's solutions of the training problems, the teachers' checks of them, the roles. Then the
    solutions of the test problems, by the generator and by others, and what every judge that teaches nobody says.
    """
    seeds = [with_seed(recipe, folder, recipe.seed + i) for i in range(n_seeds)]
    for one, own in seeds:
        _train(one, own, progress)
        _test(one, own, progress, greedy=own == folder)
    curves = summary(recipe, [own for _, own in seeds])
    write_json(folder / SUMMARY, {"curves": curves})
    write_atomic(folder / TABLE, markdown(curves))
    if len(curves[0]["budgets"]) > 1:
        write_atomic(folder / PICTURE, picture(curves))
    write_atomic(folder / PAGE, render(curves))
    return folder / PAGE


def _train(recipe: VerifyRecipe, folder: Path, progress: Progress) -> None:
    if not recipe.roles:
        return
    runs.sample(recipe, folder, "train", progress)
    teachers = [j.name for j in recipe.judges if j.name in _teachers(recipe)]
    if teachers:
        runs.judge(recipe, folder, "train", progress, teachers)
    runs.train(recipe, folder, progress)


def _test(recipe: VerifyRecipe, folder: Path, progress: Progress, greedy: bool) -> None:
    """``greedy``: ask also those generators that say the same under every seed."""
    judges = [j.name for j in recipe.judges if j.name not in _teachers(recipe)]
    runs.sample(recipe, folder, "test", progress)
    runs.judge(recipe, folder, "test", progress, judges)
    for other in recipe.others:
        if other.n > 1:
            runs.sample(recipe, folder, "test", progress, other)
            runs.judge(recipe, folder, f"test.{other.name}", progress, judges)
        elif greedy:
            runs.sample(recipe, folder, "test", progress, other)


def _teachers(recipe: VerifyRecipe) -> set[str]:
    return {r.teacher for r in recipe.roles if r.teacher is not None}


def summary(recipe: VerifyRecipe, folders: Sequence[Path]) -> list[dict[str, Any]]:
    """The curves of the generator and of the others that were sampled, over all seeds; those asked once are rivals."""
    asked = Asked(recipe.methods, recipe.budgets, recipe.listen, recipe.policy, seed=recipe.seed)
    rivals = {}
    for other in (o for o in recipe.others if o.n == 1):
        path = runs.candidates_path(folders[0], f"test.{other.name}")
        rivals[other.name] = (read_pools(path), _size(path))
    out = []
    for split, name in (("test", ""), *((f"test.{o.name}", o.name) for o in recipe.others if o.n > 1)):
        paths = [runs.candidates_path(f, split) for f in folders]
        told = f"{recipe.name} · {name}" if name else recipe.name
        first, *repeats = (read_pools(p) for p in paths)
        out.append(curve(told, first, asked, _costs(paths), repeats, rivals))
    return out


def _costs(paths: Sequence[Path]) -> Costs:
    """The costs of all seeds: sizes are the same under each, seconds a candidate are their mean."""
    each = [read_costs(p) for p in paths]
    stages = {stage for costs in each for stage in costs.seconds}
    seconds = {s: fmean(costs.seconds[s] for costs in each if s in costs.seconds) for s in stages}
    return replace(each[0], seconds=seconds)


def _size(path: Path) -> int | None:
    n = read_costs(path).n_parameters.get("generator")
    return None if n is None else int(n)
