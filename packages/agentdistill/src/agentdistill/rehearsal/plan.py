"""From speeds to hours, memory and cost of every stage of a recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentdistill.errors import AgentDistillError
from agentdistill.methods import METHODS, Method
from agentdistill.pipeline.layout import trainings
from agentdistill.recipe import Recipe, student_name
from agentdistill.rehearsal.probes import Device, Speed, training_speed, writing_speed
from agentdistill.rehearsal.shapes import config_of, n_parameters

if TYPE_CHECKING:
    from transformers import PretrainedConfig


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What episodes are taken to be like, in tokens, where no run has shown it yet.

    ``kept`` is the share of trajectories that pass the filter (the paper kept about 2,000 of 3,000). ``n_train`` and
    ``n_test`` stand for problems that cannot be loaded here. Prices are of a million tokens and of a GPU's hour.
    """

    steps: int = 3
    new_tokens: int = 150
    observation_tokens: int = 400
    prompt_tokens: int = 600
    cot_tokens: int = 300
    kept: float = 0.67
    n_train: int = 3000
    n_test: int = 3415
    price_hour: float = 0.0
    price_in: float = 0.0
    price_out: float = 0.0

    def trajectory_tokens(self, m: Method) -> int:
        """Tokens of one whole conversation."""
        if m.loop == "cot":
            return self.prompt_tokens + self.cot_tokens
        return self.prompt_tokens + self.steps * (self.new_tokens + self.observation_tokens)

    def written(self, m: Method, n_votes: int = 1) -> int:
        """New tokens of one answer."""
        if m.loop == "cot":
            return self.cot_tokens
        first_thought = self.cot_tokens // 4 if m.prefix else 0
        return first_thought + self.steps * self.new_tokens * (n_votes if m.votes else 1)

    def read(self, m: Method) -> int:
        """Prompt tokens of one answer, as a server counts them: every step sends all that came before."""
        if m.loop == "cot":
            return self.prompt_tokens
        each = self.new_tokens + self.observation_tokens
        return self.steps * self.prompt_tokens + each * self.steps * (self.steps - 1) // 2


@dataclass(frozen=True, slots=True)
class StagePlan:
    """One part of a stage: what, how many tokens, how fast, and what follows. None where a server does the work."""

    stage: str
    what: str
    tokens: int
    speed: Speed | None
    hours: float | None
    cost: float


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The whole plan: the device, each model's parameters, the parts in order, and what could not be measured."""

    device: Device
    n_parameters: dict[str, int]
    parts: tuple[StagePlan, ...]
    too_large: tuple[str, ...]

    @property
    def hours(self) -> float:
        """All that is done on this device, one after the other."""
        return sum(p.hours or 0.0 for p in self.parts)

    @property
    def cost(self) -> float:
        """Hours and tokens at the prices given."""
        return sum(p.cost for p in self.parts)


def rehearse(
    recipe: Recipe,
    assumed: Assumptions,
    device: str = "auto",
    seconds: float = 20.0,
    say: Callable[[str], None] = lambda line: None,
) -> Rehearsal:
    """Measure every model of a recipe and project its stages. ``seconds`` bounds one measurement.

    Raises ModelError for a model whose shape is not to be had.
    """
    return _Plan(recipe, assumed, Device.find(device), seconds, say).make()


class _Plan:
    def __init__(
        self, recipe: Recipe, assumed: Assumptions, device: Device, seconds: float, say: Callable[[str], None]
    ) -> None:
        self.recipe, self.assumed, self.device, self.seconds, self.say = recipe, assumed, device, seconds, say
        self.n_train, self.n_test = _counts(recipe, assumed)
        self.parameters: dict[str, int] = {}
        self._speeds: dict[tuple[str, ...], Speed] = {}

    def make(self) -> Rehearsal:
        parts = [*self._collect(), *self._train(), *self._evaluate()]
        memory = {p.what: p.speed.memory_gb for p in parts if p.speed}
        too_large = tuple(f"{what}: {gb:.0f} GB" for what, gb in memory.items() if gb > self.device.memory_gb)
        return Rehearsal(self.device, self.parameters, tuple(parts), too_large)

    def _collect(self) -> list[StagePlan]:
        names = {METHODS[m].learns for s in self.recipe.students for m in s.methods} - {None}
        if self.recipe.collect.compare_prefix and names & {"agent", "agent-prefix"}:
            names |= {"agent", "agent-prefix"}
        n = self.n_train * self.recipe.collect.samples
        first = [self._by_teacher("collect", METHODS[str(name)], n) for name in METHODS if name in names]
        return first + [part for number in range(2, self.recipe.n_rounds + 1) for part in self._sample(number, n)]

    def _sample(self, number: int, n: int) -> list[StagePlan]:
        """What the students sample in a later round, at most: questions that are solved are sampled less."""
        batch = self.recipe.evaluate.batch_size
        return [
            self._written("collect", f"{student_name(s)} · {m} · round {number}", s.base, METHODS[m], n, batch)
            for s, m in trainings(self.recipe)
        ]

    def _by_teacher(self, stage: str, m: Method, n: int) -> StagePlan:
        what, a, path = f"teacher · {m.name}", self.assumed, self.recipe.teacher.settings.get("path")
        if self.recipe.teacher.model != "local" or not isinstance(path, str):
            cost = n * (a.read(m) * a.price_in + a.written(m) * a.price_out) / 1e6
            return StagePlan(stage, what, n * (a.read(m) + a.written(m)), None, None, cost)
        batch = int(self.recipe.teacher.settings.get("batch_size", 64))
        return self._written(stage, what, path, m, n, batch)

    def _train(self) -> list[StagePlan]:
        rounds = range(1, self.recipe.n_rounds + 1)
        return [
            self._one_training(s.base, f"{student_name(s)} · {m}" + (f" · round {n}" if len(rounds) > 1 else ""), m)
            for n in rounds
            for s, m in trainings(self.recipe)
        ]

    def _one_training(self, base: str, what: str, method_name: str) -> StagePlan:
        m, cot = METHODS[method_name], self.recipe.train_cot
        settings = cot if cot is not None and m.loop == "cot" else self.recipe.train
        length = min(self.assumed.trajectory_tokens(m), settings.max_length)
        kept, rounds = self.recipe.collect.samples * self.assumed.kept, self.recipe.rounds
        n_kept = int(self.n_train * (kept if rounds is None else min(kept, rounds.per_question)))
        tokens = n_kept * settings.epochs * length

        def measure() -> Speed:
            return training_speed(self._config(base), settings, self.device, length, self.seconds)

        speed = self._speed(("train", base, str(length), repr(settings)), f"training {what}", measure)
        return self._timed("train", what, tokens, speed)

    def _evaluate(self) -> list[StagePlan]:
        settings = self.recipe.evaluate
        out = [self._by_teacher("evaluate", METHODS[m], self.n_test) for m in settings.teacher]
        for student in self.recipe.students:
            for name in student.methods:
                what = f"{student_name(student)} · {name}"
                out.append(
                    self._written("evaluate", what, student.base, METHODS[name], self.n_test, settings.batch_size)
                )
        return out

    def _written(self, stage: str, what: str, base: str, m: Method, n: int, batch: int) -> StagePlan:
        a = self.assumed
        prompt = a.trajectory_tokens(m) - (a.cot_tokens if m.loop == "cot" else a.new_tokens)
        new = a.cot_tokens if m.loop == "cot" else a.new_tokens

        def measure() -> Speed:
            return writing_speed(self._config(base), self.device, batch, prompt, new, self.seconds)

        speed = self._speed(("write", base, str(batch), m.loop), f"generation {what}", measure)
        return self._timed(stage, what, n * a.written(m, self.recipe.evaluate.consistency.n), speed)

    def _timed(self, stage: str, what: str, tokens: int, speed: Speed) -> StagePlan:
        hours = tokens / speed.tokens_per_s / 3600
        return StagePlan(stage, what, tokens, speed, hours, hours * self.assumed.price_hour)

    def _speed(self, key: tuple[str, ...], what: str, measure: Callable[[], Speed]) -> Speed:
        if key not in self._speeds:
            self.say(f"measuring {what}")
            self._speeds[key] = measure()
        return self._speeds[key]

    def _config(self, base: str) -> PretrainedConfig:
        config = config_of(base)
        self.parameters.setdefault(base, n_parameters(config))
        return config


def _counts(recipe: Recipe, assumed: Assumptions) -> tuple[int, int]:
    """How many problems there are; the assumed numbers where they cannot be loaded here."""
    from pathlib import Path

    from agentdistill.pipeline.run import Run

    run = Run(recipe, Path("rehearsal"))
    try:
        return len(run.problems("train")), len(run.problems("test"))
    except (AgentDistillError, OSError):
        return assumed.n_train, assumed.n_test
