"""The rounds, one after the other, each of files on disk with manifests like any other stage's.

Below ``on-policy/`` of a run: ``round-N/acted`` (the student on fresh problems), ``round-N/corrected`` (the teacher on
what it failed), ``round-N/student`` (trained anew from the base on the recipe's own collection and all corrections so
far; or, with ``how = "distill"`` and ``"replay"``, trained on from the round before), ``round-N/test``;
``round-N/replayed`` (the student behind prefixes of the teacher's, in place of ``acted``), ``round-N/read`` (what a
teacher makes of that, unless its weights are here and know the same tokens); ``plain/part-NNN`` (plain
collection), ``round-N/plain-student`` and ``round-N/plain-test`` (trained and tested on as many teacher tokens of
that); ``rounds.json``, what came of it.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentdistill import registry
from agentdistill.batching import Episode, Work
from agentdistill.errors import DataError, RecipeError, named_by
from agentdistill.filters import filter_traces
from agentdistill.models.weights import load_tokenizer, locate, resolve
from agentdistill.pipeline import run_recipe
from agentdistill.pipeline.collect import asking
from agentdistill.pipeline.evaluating import answering
from agentdistill.pipeline.folder import StageFolder, run_rollouts
from agentdistill.pipeline.on_policy.correcting import as_lesson, correct, n_given, teachers_part
from agentdistill.pipeline.on_policy.replaying import drawn, read_all, reader_of, replaying, shares_tokens
from agentdistill.pipeline.run import Run, evaluated, filtered, load_student, trained, weights_digest
from agentdistill.pipeline.training import fit, folder_at
from agentdistill.problems.contamination import told
from agentdistill.progress import Progress, Silent
from agentdistill.recipe import OnPolicySettings, Recipe, StudentSettings, student_name
from agentdistill.recipe.methods import method
from agentdistill.report.run import values_by_problem
from agentdistill.report.stats import mean_interval, paired_difference
from agentdistill.store import digest, file_digest, locked, read_traces, write_json
from agentdistill.training.lessons import CLASSES, LESSONS
from agentdistill.training.settings import Divergence, read_result
from agentdistill.types import End, Problem, Source, Trace

if TYPE_CHECKING:
    from rich.console import Console

    from agentdistill.models.chat import ChatFormat

_PART = 64


@dataclass(frozen=True, slots=True)
class Arm:
    """A student after a round: the teacher tokens spent since the recipe's own collection, the trajectories it learned
    from, and its traces on the test problems."""

    n_tokens: int
    n_examples: int
    test: Sequence[Trace]


@dataclass(frozen=True, slots=True)
class Round:
    """A round by both ways; round 0 is the recipe's own student. ``plain`` is None where nothing is compared."""

    number: int
    on_policy: Arm
    plain: Arm | None
    acted: Sequence[Trace] = ()
    corrected: Sequence[Trace] = ()
    n_accepted: int = 0


def run_on_policy(recipe: Recipe, folder: Path, progress: Progress | None = None, n_seeds: int = 1) -> Path:
    """Run a recipe and then its ``[on_policy]`` rounds; returns the file of what came of them.

    Further seeds have a folder each, ``NAME.seed-S`` beside ``folder``, in which everything is made anew; the test
    problems are the same, and count once, with the mean of their seeds. What is done already is not done again. Raises
    what :func:`agentdistill.pipeline.run_recipe` raises.
    """
    progress = progress or Silent()
    seeds: dict[int, list[Round]] = {}
    for seed in range(recipe.seed, recipe.seed + n_seeds):
        own = folder if seed == recipe.seed else folder.with_name(f"{folder.name}.seed-{seed}")
        seeds[seed] = _rounds(replace(recipe, seed=seed), own, progress)
    return write_table(folder / "on-policy" / "rounds.json", seeds, recipe.on_policy)


def _rounds(recipe: Recipe, folder: Path, progress: Progress) -> list[Round]:
    student = _student(recipe)
    run_recipe(recipe, folder, progress, until="evaluate")
    with locked(folder / ".lock", folder):
        return _Rounds(Run(recipe, folder), student, progress).go()


def _student(recipe: Recipe) -> StudentSettings:
    """The student that the rounds are about. Raises RecipeError where the recipe does not train or test it."""
    settings = recipe.on_policy
    named = [s for s in recipe.students if settings.student in (None, student_name(s))]
    student = next((s for s in named if settings.method in s.methods), None)
    if student is None:
        who = f'student "{settings.student}"' if settings.student else "student"
        raise RecipeError(f'{recipe.name}: no {who} has the method "{settings.method}" that [on_policy] is about')
    if recipe.rounds is not None:
        raise RecipeError(f"{recipe.name}: on-policy rounds begin after one collection; leave the table [rounds] out")
    if recipe.problems.test is None:
        raise RecipeError(f"{recipe.name}: on-policy rounds are measured on test problems; [problems] has no test")
    return student


def fresh_problems(run: Run, progress: Progress) -> list[Problem]:
    """The problems that rounds take theirs from, shuffled by the recipe's seed: those not collected on where there are.

    Test problems among them are dropped and told of, as those of ``[problems] train`` are. Raises DataError where there
    are none at all.
    """
    source = run.recipe.on_policy.problems
    train = run.problems("train")
    known = {p.id for p in train}
    found = train
    if source is not None:
        with named_by("problems of [on_policy]"):
            found = run.load(source)[0]
        screening = run.screen(found)
        if screening is not None and screening.found:
            progress.say(f"contamination: {source}: {told(screening.facts())}")
        found = found if screening is None else screening.kept(found)
    out = [p for p in found if p.id not in known] or list(found)
    if not out:
        raise DataError(f"{run.recipe.name}: there are no problems for on-policy rounds")
    random.Random(run.recipe.seed).shuffle(out)
    return out


def slice_of(problems: Sequence[Problem], number: int, rounds: int, per_round: int | None) -> list[Problem]:
    """The problems of round ``number``, from 1; after the last problem they begin again."""
    n = per_round or max(1, len(problems) // rounds)
    start = (number - 1) * n
    return [problems[i % len(problems)] for i in range(start, start + min(n, len(problems)))]


class _Rounds:
    """One student's rounds. ``learns`` is the collection that it and the comparison start from."""

    def __init__(self, run: Run, student: StudentSettings, progress: Progress) -> None:
        self.run, self.student, self.progress = run, student, progress
        self.settings = run.recipe.on_policy
        self.method = method(self.settings.method)
        self.learns = self.method.learns or ""
        self.folder = run.folder / "on-policy"

    def go(self) -> list[Round]:
        """Every round."""
        run, name = self.run, self.settings.method
        begun = read_traces(filtered(run.folder, self.learns))
        weights = trained(run.folder, self.student, name)
        test = read_traces(evaluated(run.folder, student_name(self.student), name) / "traces.jsonl")
        rounds = [Round(0, Arm(0, len(begun), test), Arm(0, len(begun), test))]
        replays = self.settings.how == "replay"
        problems = fresh_problems(run, self.progress) if self.settings.compare or not replays else []
        lessons: list[Trace] = []
        spent, n_examples = 0, len(begun)
        for n in range(1, self.settings.rounds + 1):
            acted = self._replay(n, weights) if replays else self._act(n, weights, problems)
            corrected: list[Trace] = []
            accepted: list[Trace] = []
            if self.settings.how != "correct":
                weights, n_read, n_tokens = self._distil(n, weights, acted)
                n_examples += n_read
                spent += n_tokens
            else:
                corrected = self._correct(n, acted)
                accepted = [t for t in corrected if _passes(run.recipe, teachers_part(t))]
                lessons += [as_lesson(t, self.settings.learn) for t in accepted]
                if self.settings.successes:
                    lessons += [t for t in acted if t.correct and _passes(run.recipe, t)]
                n_examples = len(begun) + len(lessons)
                spent += sum(self._tokens(t) for t in corrected)
                weights = self._train(f"round-{n}/student", [*begun, *lessons])
            arm = Arm(spent, n_examples, self._test(f"round-{n}/test", weights))
            plain = self._plain(n, begun, problems, spent) if self.settings.compare else None
            rounds.append(Round(n, arm, plain, acted, corrected, len(accepted)))
        return rounds

    def _act(self, n: int, weights: Path, problems: Sequence[Problem]) -> list[Trace]:
        mine = slice_of(problems, n, self.settings.rounds, self.settings.per_round)
        path = self.folder / f"round-{n}" / "acted"
        return self._answer(path, "act", weights, mine, f"round {n} · {len(mine)} questions")

    def _replay(self, n: int, weights: Path) -> list[Trace]:
        run, replays = self.run, drawn(self.run, n)
        if not replays:
            raise DataError(f"{filtered(run.folder, self.learns)}: there are no trajectories to replay")
        inputs = {
            "style": registry.fingerprint("prompts", run.recipe.prompt),
            "trajectories": file_digest(filtered(run.folder, self.learns)),
            "replays": digest([r.id for r in replays]),
            "weights": weights_digest(weights),
        }
        key = {
            "method": self.settings.method,
            "temperature": self.settings.temperature,
            "max_new_tokens": run.recipe.evaluate.max_new_tokens,
            "seed": run.recipe.seed,
        }
        folder = StageFolder(self.folder / f"round-{n}" / "replayed", "replay", key, inputs)
        work = partial(replaying, run, weights, n)
        what = f"round {n} · {len(replays)} prefixes"
        asked = [(r.trace.problem, r.id) for r in replays]
        return run_rollouts(folder, asked, work, self.progress, what, ray=run.recipe.on_ray)

    def _test(self, name: str, weights: Path) -> list[Trace]:
        problems = self.run.problems("test")
        return self._answer(self.folder / name, "evaluate", weights, problems, f"{name} · {len(problems)} questions")

    def _answer(self, path: Path, stage: str, weights: Path, problems: Sequence[Problem], what: str) -> list[Trace]:
        run, name = self.run, self.settings.method
        inputs = {
            **run.rollout_inputs("test", trained=True),
            "problems": digest(list(problems)),
            "weights": weights_digest(weights),
        }
        key = {"method": name, **run.rollout_key(run.recipe.evaluate, self.method)}
        work = partial(answering, run, name, problems, partial(load_student, run, weights))
        asked = [(p, p.id) for p in problems]
        return run_rollouts(
            StageFolder(path, stage, key, inputs), asked, work, self.progress, what, ray=run.recipe.on_ray
        )

    def _correct(self, n: int, acted: Sequence[Trace]) -> list[Trace]:
        run, recipe = self.run, self.run.recipe
        failed = [t for t in acted if t.correct is False]
        key = {
            **run.rollout_key(recipe.collect, self.method),
            "teacher": run.teacher_key,
            "keep": list(recipe.filter.keep),
            "tries": self.settings.tries,
        }
        source = self.folder / f"round-{n}" / "acted" / "traces.jsonl"
        inputs = {
            **run.rollout_inputs("train", trained=True),
            "problems": "",
            "acted": file_digest(source),
            **{
                f"{name} of tries": value for name, value in run.scorer_inputs("train").items()
            },  # a right one ends them
        }
        folder = StageFolder(source.parents[1] / "corrected", "correct", key, inputs)
        work = partial(correcting, run, source)
        what = f"teacher · round {n} · {len(failed)} failed"
        return run_rollouts(folder, [(t.problem, t.id) for t in failed], work, self.progress, what, ray=recipe.on_ray)

    def _distil(self, n: int, weights: Path, wrote: Sequence[Trace]) -> tuple[Path, int, int]:
        """Train on the teacher's distributions at what the student wrote; the weights, trajectories, teacher tokens."""
        run, m = self.run, self.settings.method
        traces = [t for t in wrote if t.end is not End.FAULT and any(s.reply.source is Source.MODEL for s in t.steps)]
        if not traces:
            raise DataError(f"round {n}: the student wrote nothing that could be learned from")
        plain = folder_at(self.folder / f"round-{n}" / "student", run, self.student, m, digest(traces))
        told, divergence, n_tokens = self._told(n, traces)
        inputs = {**plain.inputs, "base": weights_digest(weights), **told}
        rate = self.settings.learning_rate
        own = {"beta": self.settings.beta} | ({} if rate is None else {"learning_rate": rate})
        folder = StageFolder(plain.path, "train", {**plain.settings, **own}, inputs)
        if not folder.is_done:
            with folder.claimed(self.progress.say):
                start = partial(fit, weights=str(weights), divergence=divergence, learning_rate=rate)
                start(run, self.student, m, traces, folder, self.progress)
                folder.finish({"trained_on": f"round-{n}/{'acted' if self.settings.how == 'distill' else 'replayed'}"})
        result = read_result(folder.path)
        assert result is not None, "training leaves its result"
        n_read = result.n_tokens if n_tokens is None else n_tokens
        return folder.path, len(traces), n_read if self.settings.tokens == "all" else 0

    def _told(self, n: int, traces: Sequence[Trace]) -> tuple[dict[str, str], Divergence, int | None]:
        """Where the teacher's distributions come from: input hashes, the divergence, and the tokens that it read if it
        reads before training."""
        run, beta = self.run, self.settings.beta
        if self.settings.how == "distill" or shares_tokens(run, self._chat().tokenizer):
            teacher = locate(str(run.recipe.teacher.settings["path"]))
            return {"teacher": weights_digest(Path(teacher))}, Divergence(teacher=teacher, beta=beta), None
        settings = {"teacher": run.teacher_key, "top_k": self.settings.top_k}
        folder = StageFolder(self.folder / f"round-{n}" / "read", "read", settings, {"replayed": digest(traces)})
        what = f"teacher · round {n} · {len(traces)} steps"
        lessons = read_all(folder, traces, self._chat(), partial(reader_of, run), self.progress, what)
        told = {name: file_digest(folder.path / file) for name, file in (("lessons", LESSONS), ("classes", CLASSES))}
        return told, Divergence(lessons=folder.path, beta=beta), sum(lesson.n_read for lesson in lessons)

    def _chat(self) -> ChatFormat:
        """How the student's prompts are spelt."""
        from agentdistill.models.chat import ChatFormat, read_template

        train = self.student.train or self.run.recipe.train
        return ChatFormat(load_tokenizer(resolve(self.student.base)[0]), read_template(train.chat_template))

    def _plain(self, n: int, begun: Sequence[Trace], problems: Sequence[Problem], budget: int) -> Arm:
        """As many teacher tokens spent on plain collection, learned and tested in the same way."""
        run, plain = self.run, self.folder / "plain"
        again = problems[0].id in {p.id for p in run.problems("train")}
        traces = collect_until(run, self.learns, problems, budget, self._tokens, plain, self.progress, again)
        kept = filter_traces(traces, run.recipe.filter.keep)[0]
        weights = self._train(f"round-{n}/plain-student", [*begun, *map(run.as_learned, kept)])
        test = self._test(f"round-{n}/plain-test", weights)
        return Arm(sum(self._tokens(t) for t in traces), len(begun) + len(kept), test)

    def _train(self, name: str, traces: Sequence[Trace]) -> Path:
        run, m = self.run, self.settings.method
        folder = folder_at(self.folder / name, run, self.student, m, digest(list(traces)))
        if not folder.is_done:
            with folder.claimed(self.progress.say):
                fit(run, self.student, m, traces, folder, self.progress)
                folder.finish({"trained_on": name})
        return folder.path

    def _tokens(self, trace: Trace) -> int:
        """The teacher's tokens that count."""
        read = trace.usage.n_prompt_tokens if self.settings.tokens == "all" else 0
        return trace.usage.n_new_tokens + read


def _passes(recipe: Recipe, trace: Trace) -> bool:
    return bool(filter_traces([trace], recipe.filter.keep)[0])


@asynccontextmanager
async def correcting(run: Run, source: Path) -> AsyncIterator[Work[Trace]]:
    """The teacher, and a correction for every trajectory of the file ``source`` that failed."""
    recipe = run.recipe
    settings = run.rollout_settings(recipe.collect, method(recipe.on_policy.method))
    failed = [t for t in read_traces(source) if t.correct is False]
    with run.environment(recipe.collect) as environment:
        model = run.teacher()
        accept = partial(_passes, recipe)

        def episode(trace: Trace) -> Episode[Trace]:
            return lambda m: correct(m, trace, environment, run.template, settings, accept, recipe.on_policy.tries)

        try:
            yield Work(model, [episode(t) for t in failed])
        finally:
            await model.aclose()


# --- plain collection up to a number of teacher tokens, which correction is compared with -----------------------------


def collect_until(
    run: Run,
    name: str,
    problems: Sequence[Problem],
    budget: int,
    tokens: Callable[[Trace], int],
    folder: Path,
    progress: Progress,
    again: bool = False,
) -> list[Trace]:
    """The teacher's trajectories on ``problems`` in order, up to the first that brings it to ``budget`` tokens.

    They lie below ``folder`` in parts of fixed size, collected only as far as they are needed and shared by all
    budgets. Where the problems are at their end they begin again if the recipe samples; else less is spent. ``again``
    says that the recipe's own collection has had these problems already.
    """
    used: list[Trace] = []
    spent, place = 0, 0
    first = len(problems) if again else 0
    size = int(run.recipe.teacher.settings.get("batch_size", _PART))
    while spent < budget and (asked := _asked(run, problems, first + place, size)):
        for trace in _part(run, name, asked, folder / f"part-{place // size + 1:03}", progress):
            if spent < budget:
                used.append(trace)
                spent += tokens(trace)
        place += size
    return used


def _asked(run: Run, problems: Sequence[Problem], start: int, n: int) -> list[tuple[Problem, str]]:
    samples = run.recipe.collect.temperature > 0
    end = start + n if samples else min(start + n, len(problems))
    return [(problems[i % len(problems)], _id(problems, i)) for i in range(start, end)]


def _id(problems: Sequence[Problem], place: int) -> str:
    lap, i = divmod(place, len(problems))
    return f"{problems[i].id}/again-{lap}" if lap else problems[i].id


def _part(run: Run, name: str, asked: list[tuple[Problem, str]], folder: Path, progress: Progress) -> list[Trace]:
    m = method(name)
    settings = {**run.rollout_key(run.recipe.collect, m), "teacher": run.teacher_key}
    inputs = {**run.rollout_inputs("train"), "problems": digest([[p, i] for p, i in asked])}
    stage = StageFolder(folder, "collect", {"name": name, **settings}, inputs)
    what = f"teacher · plain · {folder.name}"
    work = partial(asking, run, name, asked)
    return run_rollouts(stage, asked, work, progress, what, ray=run.recipe.on_ray)


# --- the table: accuracy by round, beside plain collection at the same number of teacher tokens -----------------------


def together(seeds: Sequence[Sequence[Round]]) -> list[Round]:
    """The rounds of several seeds as one: what they counted is added up, what they answered is taken together."""
    return [_joined(same) for same in zip(*seeds, strict=True)]


def _joined(same: Sequence[Round]) -> Round:
    return Round(
        same[0].number,
        _arms([r.on_policy for r in same]),
        None if same[0].plain is None else _arms([r.plain for r in same if r.plain is not None]),
        [t for r in same for t in r.acted],
        [t for r in same for t in r.corrected],
        sum(r.n_accepted for r in same),
    )


def _arms(of: Sequence[Arm]) -> Arm:
    return Arm(sum(a.n_tokens for a in of), sum(a.n_examples for a in of), [t for a in of for t in a.test])


def table(seeds: Mapping[int, Sequence[Round]], settings: OnPolicySettings) -> dict[str, Any]:
    """Accuracies (means over families) with 95 % intervals, and differences paired by problem, as JSON values.

    A problem counts once, with the mean of its seeds; tokens and trajectories are those of all seeds. Where there are
    several, the rounds of each alone follow.
    """
    facts: dict[str, Any] = {"settings": asdict(settings), "rounds": [_row(r) for r in together(list(seeds.values()))]}
    if len(seeds) > 1:
        facts["seeds"] = [{"seed": s, "rounds": [_row(r) for r in rounds]} for s, rounds in seeds.items()]
    return facts


def write_table(path: Path, seeds: Mapping[int, Sequence[Round]], settings: OnPolicySettings) -> Path:
    """Write :func:`table` and return its path."""
    write_json(path, table(seeds, settings))
    return path


def _row(r: Round) -> dict[str, Any]:
    given = [n_given(t) for t in r.corrected if t.correct]
    row: dict[str, Any] = {
        "round": r.number,
        "n_acted": len(r.acted),
        "n_failed": sum(t.correct is False for t in r.acted),
        "n_corrected": r.n_accepted,
        "steps_kept": round(sum(given) / len(given), 3) if given else None,
        "on_policy": _arm(r.on_policy),
    }
    if r.plain is not None:
        row["plain"] = _arm(r.plain)
        if r.number:
            paired = paired_difference(values_by_problem(r.on_policy.test), values_by_problem(r.plain.test))
            counts = {"n_better": paired.n_better, "n_worse": paired.n_worse}
            row["difference"] = {**_rounded(asdict(paired.difference)), **counts}
    return row


def _arm(arm: Arm) -> dict[str, Any]:
    values = values_by_problem(arm.test)
    interval = mean_interval({f: list(of.values()) for f, of in values.items()})
    return {"n_tokens": arm.n_tokens, "n_examples": arm.n_examples, **_rounded(asdict(interval))}


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {k: round(v, 6) if isinstance(v, float) else v for k, v in values.items()}


def print_table(facts: dict[str, Any], console: Console | None = None) -> None:
    """Print :func:`table` for people: accuracies in percent, differences in points. It fits 80 columns."""
    from rich.console import Console
    from rich.table import Table

    console = console or Console()
    n_seeds = len(facts.get("seeds", [])) or 1
    title = "on-policy rounds" if n_seeds == 1 else f"on-policy rounds, {n_seeds} seeds together"
    shown = Table(title=title, title_justify="left", box=None, header_style="dim", padding=(0, 1, 0, 0))
    headings = ["round", "corrected", "tokens", "accuracy"]
    compared = any("plain" in r for r in facts["rounds"])
    if compared:
        headings += ["plain: tokens", "accuracy", "difference (95 %)"]
    for heading in headings:
        shown.add_column(heading, justify="right", no_wrap=True)
    for r in facts["rounds"]:
        mine = r["on_policy"]
        corrected = f"{r['n_corrected']} of {r['n_failed']}" if r["round"] else ""
        cells = [str(r["round"]), corrected, f"{mine['n_tokens']:,}", f"{mine['estimate']:.1%}"]
        if compared:
            cells += [*_plain(r.get("plain")), _difference(r.get("difference"))]
        shown.add_row(*cells)
    console.print(shown)


def _plain(arm: dict[str, Any] | None) -> list[str]:
    return ["", ""] if arm is None else [f"{arm['n_tokens']:,}", f"{arm['estimate']:.1%}"]


def _difference(d: dict[str, Any] | None) -> str:
    if d is None:
        return ""
    middle, low, high = (f"{d[k] * 100:+.1f}".replace("-", "−") for k in ("estimate", "low", "high"))
    return f"{middle} ({low} to {high})"
