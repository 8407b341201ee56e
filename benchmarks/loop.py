"""What acting costs beside generating: the agent loop itself (``loop``), and acting by vote (``sag``). Ratios, on CPU.

``loop``, on one thread, measures the loop as the stages use it: prompts, the model's real decoding (tokenizer, prefill,
one token at a time, kept keys and values), parsing, a real sandbox that runs every step's code, real BM25 search called
from that code, grading, records. The model has random weights, so what it would say means nothing: at every position
the next token of a scripted episode (search twice, compute, answer) is made the likeliest. This costs one small
addition a token, which is counted as generation. Overhead is wall clock outside ``generate`` over wall clock inside it.
It is given for episodes one at a time and for a batch in lockstep, where the whole batch waits for the code of its
slowest member. Weights this small make it look as bad as it can: a larger model generates more slowly and the loop
costs the same. Not measured: loading, the first start of the sandbox (once a stage), files, endpoints.

``sag`` lets three ways act on the same problems in turn: one sample a step, N samples with a vote, N with a vote that
stops sampling once it is settled. Reported are

- the wall clock of voting over that of generating the very samples it voted on: forks, sandbox, search, tally and all;
- the share of the N samples that stopping early spared, and what it did to the accuracy, problem by problem.

Batches of episodes are what is resampled for the first, problems for the others. The model is a student: a folder of
weights that a run trained (``runs/NAME/train/0.3M--agent-distill``), or one that ships with the package, which was not
distilled yet and so is right about nothing. Weights this small make the cost of voting look as bad as it can.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from agentdistill.batching import drive, groups_of
from agentdistill.environment import Environment
from agentdistill.errors import UserError
from agentdistill.loop import RolloutSettings, rollout
from agentdistill.models import Model, load_model
from agentdistill.prompts import load_prompt
from agentdistill.report.stats import Interval, mean_interval, paired_difference, paired_ratio
from agentdistill.retrieval import Passage, build_retriever
from agentdistill.tools import search_tool
from agentdistill.types import Consistency, End, Problem, Request, Sample, Sampling, Trace
from benchmarks.fixtures import arguments, small_llama

LOOP_TARGET = 0.05
COST_TARGET = 1.3
SPARED_TARGET = 1 / 3
ONE, FULL, ADAPTIVE = "one", "full", "adaptive"
_LEFT_OUT = 1  # rounds that only warm up


class _Timed:
    """A model of this process that keeps the time spent generating, and counts what it wrote."""

    def __init__(self, model: Model) -> None:
        self.name, self.batch_size, self.lockstep = model.name, model.batch_size, model.lockstep
        self.context_length = model.context_length
        self.seconds = 0.0
        self.n_tokens = self.n_samples = 0
        self._model = model

    def _prepare(self, requests: Sequence[Request]) -> None:
        """What is done before a call of the model, and counted neither as generation nor as the loop."""

    async def generate(self, requests: Sequence[Request]) -> list[list[Sample]]:
        self._prepare(requests)
        started = time.perf_counter()
        try:
            samples = await self._model.generate(requests)
        finally:
            self.seconds += time.perf_counter() - started
        self.n_tokens += sum(s.n_new_tokens for some in samples for s in some)
        self.n_samples += sum(len(some) for some in samples)
        return samples

    async def aclose(self) -> None:
        await self._model.aclose()


# --- the loop -------------------------------------------------------------------------------------------------------


def loop(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; ``--json`` prints one object. Returns 0."""
    parser = arguments("loop", "The agent loop's own cost.")
    parser.add_argument("--episodes", type=int, default=32, help="episodes of a batch (default 32)")
    parser.add_argument("--hidden", type=int, default=128, help="model width (default 128: about 1M parameters)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is timed (default 3)")
    parser.add_argument("--mode", default="auto", help="the sandbox's mode (default auto)")
    options = parser.parse_args(argv)
    result = _measure_loop(options.episodes, options.hidden, options.rounds, options.mode)
    if options.json:
        print(json.dumps(result))
        return 0
    print(
        f"agent loop, {result['n_parameters'] / 1e6:.2f}M parameters, {result['tokens_per_step']:.0f} tokens a step, "
        f"batches of {result['batch']}, CPU"
    )
    for way in ("one_at_a_time", "batched"):
        r = result[way]
        print(
            f"  {way.replace('_', ' '):14} {r['overhead']:6.1%} of generation beside it, "
            f"{r['episodes_per_s']:.2f} episodes/s"
        )
    print(f"  batched / one at a time {result['speedup']:.1f}   target for overhead {LOOP_TARGET:.0%}")
    return 0


def _measure_loop(n_episodes: int, hidden: int, rounds: int, mode: str) -> dict[str, Any]:
    """Overhead and episodes per second one at a time and batched (medians over rounds, taken in turn)."""
    import torch

    torch.set_num_threads(1)
    problems = [_problem(i) for i in range(n_episodes)]
    texts = [t for p in problems for t in (p.question, *_script(p.question))]
    actor = _Actor(texts, hidden, n_episodes)
    few = max(2, n_episodes // 8)
    runs: dict[str, list[dict[str, float]]] = {"one_at_a_time": [], "batched": []}
    with Environment([search_tool(build_retriever("bm25", _corpus()))], mode=mode) as environment:
        for i in range(rounds + 1):
            for way, size, n in (("one_at_a_time", 1, few), ("batched", n_episodes, n_episodes)):
                figures = _timed(actor, environment, problems[:n], size)
                if i:  # the first round warms up
                    runs[way].append(figures)
    out: dict[str, Any] = {
        "n_parameters": actor.n_parameters,
        "tokens_per_step": actor.n_tokens / actor.n_samples,
        "batch": n_episodes,
        "target": LOOP_TARGET,
    }
    for way, seen in runs.items():
        out[way] = {k: statistics.median(r[k] for r in seen) for k in seen[0]}
    return {**out, "speedup": out["batched"]["episodes_per_s"] / out["one_at_a_time"]["episodes_per_s"]}


class _Actor(_Timed):
    """A small random model that speaks from a script through its real decoding.

    A hook on the model finds each row's prompt, or what is left of it where the decoder starts from kept keys and
    values, among those of the requests, and makes the next token of its line the likeliest. ``preparing_s`` is the
    time spent writing the lines, which belongs neither to the loop nor to generation.
    """

    def __init__(self, texts: Sequence[str], hidden: int, batch_size: int) -> None:
        from agentdistill.models.chat import ChatFormat
        from agentdistill.models.local import LocalModel

        model, tokenizer = small_llama(texts, hidden)
        model.requires_grad_(False).register_forward_hook(self._speak, with_kwargs=True)
        self.n_parameters = int(sum(p.numel() for p in model.parameters()))
        self.preparing_s = 0.0
        self._chat = ChatFormat(tokenizer)
        self._lines: dict[tuple[int, ...], list[int]] = {}
        self._rows: list[list[int]] = []
        self._n_said = 0
        super().__init__(LocalModel("actor", model, self._chat, batch_size, context_length=4096))

    def _prepare(self, requests: Sequence[Request]) -> None:
        started = time.perf_counter()
        self._lines = {}
        for request in requests:
            ids = self._chat.tokenizer.encode(_line(request), add_special_tokens=False)
            prompt = tuple(self._chat.prompt_ids(request.messages, request.prefix))
            self._lines[prompt] = [*ids, self._chat.end_ids[0]]
        self.preparing_s += time.perf_counter() - started

    def _speak(self, _: Any, __: Any, inputs: dict[str, Any], output: Any) -> None:
        import torch

        ids = inputs["input_ids"]
        if ids.shape[1] > 1:
            mask = inputs["attention_mask"][:, -ids.shape[1] :].bool()
            left = [tuple(row[kept].tolist()) for row, kept in zip(ids, mask, strict=True)]
            self._rows, self._n_said = [line for rest in left if (line := self._line_after(rest))], 0
            if not self._rows:  # only what all prompts begin with
                return
        else:
            self._n_said += 1
            if len(ids) < len(self._rows):  # the decoder has dropped the rows that are at their end
                self._rows = [line for line in self._rows if len(line) > self._n_said]
        wanted = [line[min(self._n_said, len(line) - 1)] for line in self._rows]
        output.logits[torch.arange(len(ids)), -1, torch.tensor(wanted)] += 1e4

    def _line_after(self, rest: tuple[int, ...]) -> list[int] | None:
        return next((line for prompt, line in self._lines.items() if prompt[-len(rest) :] == rest), None)


def _timed(actor: _Actor, environment: Environment, problems: Sequence[Problem], size: int) -> dict[str, float]:
    """One run of all problems, ``size`` at a time. Raises RuntimeError where an episode left its script."""
    actor.batch_size, actor.seconds, actor.preparing_s = size, 0.0, 0.0
    template, settings = load_prompt(_PROMPT), RolloutSettings(max_steps=5, sampling=Sampling(max_new_tokens=200))
    traces: dict[int, Trace] = {}

    def episode(problem: Problem) -> Callable[[Model], Awaitable[Trace]]:
        return lambda model: rollout(model, problem, environment, template, settings)

    groups = groups_of(actor, [episode(p) for p in problems], range(len(problems)))
    started = time.perf_counter()
    asyncio.run(drive(actor, groups, traces.__setitem__))
    seconds = time.perf_counter() - started - actor.preparing_s
    for trace in traces.values():
        if not trace.correct or len(trace.steps) != _N_STEPS or not trace.steps[0].tool_calls:
            raise RuntimeError(f"the scripted episode {trace.id} did not go as written: {trace}")
    return {
        "overhead": (seconds - actor.seconds) / actor.seconds,
        "episodes_per_s": len(problems) / seconds,
    }


def _corpus() -> list[Passage]:
    return [
        Passage(f"River {i}", f"River {i} is {100 + i} km long. It rises on mount {i % 90} and ends in lake {i % 70}.")
        for i in range(3000)
    ]


def _problem(i: int) -> Problem:
    first, second = 7 * i + 1, 11 * i + 2
    question = f"How many km longer or shorter than River {first} is River {second}?"
    return Problem(f"p{i}", question, str(abs(second - first)), "math")


_N_STEPS = 4
_PROMPT = "tiny"


def _script(question: str) -> tuple[str, ...]:
    """What is said turn by turn: two searches, a sum over their results, the answer."""
    first, second = re.findall(r"\d+", question)
    action = load_prompt(_PROMPT).action
    read = "x, y = [int(t.split(' km long')[0].split()[-1]) for t in (a, b)]"
    return (
        action(
            f"Find the length of River {first}, then that of River {second}, and take the smaller from the larger one. "
            "The first of them comes first.",
            f'a = search("length of River {first}")\nprint(a)',
        ),
        action(
            f"Its length stands in the first passage, {100 + int(first)} km. Now find the length of River {second}.",
            f'b = search("length of River {second}")\nprint(b)',
        ),
        action("Both are there. Read the numbers out of the two texts and subtract.", f"{read}\nprint(x, y)"),
        action("The difference of the two numbers is the answer, without its sign.", "final_answer(abs(x - y))"),
    )


def _line(request: Request) -> str:
    question = next(m.content for m in request.messages if m.role == "user")
    return _script(question)[sum(m.role == "assistant" for m in request.messages)]


# --- acting by vote ---------------------------------------------------------------------------------------------------


def sag(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; ``--json`` prints one object. Returns 0. Raises UserError for weights that are not there."""
    parser = arguments("sag", "What acting by vote costs and spares.")
    parser.add_argument("--student", default="tinyworld:0.3M", help="a folder of weights, or tinyworld:SIZE")
    parser.add_argument("--problems", type=int, default=4, help="problems of each of TinyWorld's families (default 4)")
    parser.add_argument("--samples", type=int, default=8, help="candidates of a step (default 8)")
    parser.add_argument("--rounds", type=int, default=2, help="how often each way runs, every time seeded anew (2)")
    parser.add_argument("--batch", type=int, default=8, help="episodes that run together (default 8)")
    parser.add_argument("--steps", type=int, default=6, help="steps of an episode at most (default 6)")
    parser.add_argument("--tokens", type=int, default=160, help="tokens of a step at most (default 160)")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda or auto")
    parser.add_argument("--mode", default="auto", help="the sandbox's mode (default auto)")
    options = parser.parse_args(argv)
    if min(options.problems, options.samples, options.rounds, options.batch, options.steps, options.tokens) < 1:
        raise UserError("sag: every number has to be at least 1")
    result = _on_tinyworld(options)
    print(json.dumps(result) if options.json else _said(result))
    return 0


def _on_tinyworld(options: argparse.Namespace) -> dict[str, Any]:
    from agentdistill import registry
    from agentdistill.models.weights import locate

    path, task = locate(options.student), registry.load("tasks", "tinyworld")
    model = load_model("local", path=path, name=options.student, device=options.device, batch_size=options.batch)
    tools = [search_tool(build_retriever("bm25", task.corpus()), 3)]
    settings = RolloutSettings(max_steps=options.steps, sampling=Sampling(max_new_tokens=options.tokens))
    with Environment(tools, mode=options.mode) as environment:
        made = task.problems(f"test:{options.problems}")
        return measure_votes(model, environment, made, options.samples, options.rounds, settings)


def _said(result: Mapping[str, Any]) -> str:
    cost, saved = result["cost"], result["spared"]
    right = "   ".join(f"{way} {a['estimate']:.1%}" for way, a in result["accuracy"].items())
    change = result["accuracy_change"]
    return "\n".join(
        (
            f"acting by vote, {result['model']}, {result['n_problems']} problems x {result['rounds']} rounds, "
            f"{result['n_samples']} samples a step",
            f"  wall clock / generation alone  {cost['estimate']:.2f} ({cost['low']:.2f} to {_upper(cost)})   "
            f"target at most {COST_TARGET}",
            f"  samples spared                 {saved['estimate']:.1%} ({saved['low']:.1%} to {saved['high']:.1%})   "
            f"target at least {SPARED_TARGET:.0%}",
            f"  right with stopping - without  {change['estimate'] * 100:+.1f} points "
            f"({change['low'] * 100:+.1f} to {change['high'] * 100:+.1f})",
            f"  wall clock stopping / without  {result['seconds']['adaptive'] / result['seconds']['full']:.2f}",
            f"  right                          {right}",
        )
    )


def _upper(interval: Mapping[str, Any]) -> str:
    return "…" if interval["high"] is None else f"{interval['high']:.2f}"


@dataclass(slots=True)
class _Way:
    """What one way of acting gave: every trace with its round, every batch's seconds, in all and generating."""

    traces: list[tuple[int, Trace]] = field(default_factory=list)
    whole: dict[str, float] = field(default_factory=dict)
    generating: dict[str, float] = field(default_factory=dict)

    def mean(self, of: Callable[[Trace], float]) -> dict[str, dict[str, float]]:
        """Family -> problem -> mean over rounds of what ``of`` gives."""
        found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for _, t in self.traces:
            found[t.problem.family][t.problem.id].append(of(t))
        return {f: {p: sum(v) / len(v) for p, v in problems.items()} for f, problems in found.items()}


def measure_votes(
    model: Model,
    environment: Environment,
    problems: Sequence[Problem],
    n_samples: int = 8,
    rounds: int = 2,
    settings: RolloutSettings = RolloutSettings(),  # noqa: B008  frozen
    prompt: str = "tiny",
) -> dict[str, Any]:
    """Run every way ``rounds`` times over the problems, after a round on the first batch that is not counted.

    Returns JSON values. Raises RuntimeError where an episode ends in a fault: its time would mean nothing.
    """
    votes = Consistency(n=n_samples)
    ways = {
        ONE: None,
        FULL: Consistency(votes.n, votes.temperature, votes.top_p, adaptive=False),
        ADAPTIVE: votes,
    }
    found = {name: _Way() for name in ways}
    for r in range(-_LEFT_OUT, rounds):
        for name, vote in ways.items():
            some = problems[: model.batch_size] if r < 0 else problems
            how = RolloutSettings(settings.max_steps, settings.sampling, seed=max(r, 0), consistency=vote)
            asyncio.run(_run(model, environment, some, how, prompt, _Way() if r < 0 else found[name], r))
    return _result(model, found, n_samples, rounds, len(problems))


async def _run(
    model: Model,
    environment: Environment,
    problems: Sequence[Problem],
    settings: RolloutSettings,
    prompt: str,
    way: _Way,
    round_: int,
) -> None:
    """One round of one way, batch by batch."""
    timed, template = _Timed(model), load_prompt(prompt)

    def episode(problem: Problem) -> Callable[[Model], Awaitable[Trace]]:
        return lambda m: rollout(m, problem, environment, template, settings)

    def keep(_: int, trace: Trace) -> None:
        if trace.end is End.FAULT:
            raise RuntimeError(f"the episode {trace.id} failed: {trace.fault}")
        way.traces.append((round_, trace))

    episodes = [episode(p) for p in problems]
    size = max(1, model.batch_size)
    for n, start in enumerate(range(0, len(episodes), size)):
        part = episodes[start : start + size]
        timed.seconds, started = 0.0, time.perf_counter()
        await drive(timed, groups_of(timed, part, range(len(part))), keep)
        place = f"{round_}/{n}"
        way.whole[place], way.generating[place] = time.perf_counter() - started, timed.seconds


def _result(model: Model, found: Mapping[str, _Way], n_samples: int, rounds: int, n_problems: int) -> dict[str, Any]:
    right = {name: way.mean(lambda t: float(bool(t.correct))) for name, way in found.items()}
    full, adaptive = found[FULL], found[ADAPTIVE]
    return {
        "model": model.name,
        "n_problems": n_problems,
        "n_samples": n_samples,
        "rounds": rounds,
        "targets": {"cost": COST_TARGET, "spared": SPARED_TARGET},
        "cost": _cost(full),
        "cost_adaptive": _cost(adaptive),
        "spared": asdict(_spared(adaptive)),
        "accuracy": {n: asdict(mean_interval({f: list(v.values()) for f, v in r.items()})) for n, r in right.items()},
        "accuracy_change": asdict(paired_difference(right[ADAPTIVE], right[FULL]).difference),
        "seconds": {name: sum(way.whole.values()) for name, way in found.items()},
        "generating_s": {name: sum(way.generating.values()) for name, way in found.items()},
        "new_tokens": {name: sum(t.usage.n_new_tokens for _, t in way.traces) for name, way in found.items()},
        "candidates": {name: sum(t.usage.n_candidates for _, t in way.traces) for name, way in found.items()},
        "same_steps": _same_steps(full, adaptive),
    }


def _cost(way: _Way) -> dict[str, Any]:
    """Wall clock over generation alone, batches resampled."""
    longest = max(way.whole.values())
    ratio = paired_ratio({"batches": way.whole}, {"batches": way.generating}, bounds=(0.0, longest))
    assert ratio is not None, "generating took no time at all"
    high = ratio.high if ratio.high != float("inf") else None
    return {**asdict(ratio), "high": high}


def _spared(way: _Way) -> Interval:
    """The share of the samples that were not drawn since the vote was settled, problems resampled."""
    drawn = way.mean(lambda t: float(t.usage.n_candidates))
    possible = way.mean(lambda t: float(t.usage.n_candidates + t.usage.n_spared))
    most = max(v for problems in possible.values() for v in problems.values())
    share = paired_ratio(drawn, possible, weighting="problem", bounds=(0.0, most))
    assert share is not None, "nothing was voted on"
    return Interval(1 - share.estimate, max(0.0, 1 - share.high), min(1.0, 1 - share.low), share.n)


def _same_steps(full: _Way, adaptive: _Way) -> float:
    """The share of episodes in which stopping early changed no step. Another batch can round a logit otherwise."""
    said = {(r, t.problem.id): [s.reply.content for s in t.steps] for r, t in full.traces}
    same = [said[r, t.problem.id] == [s.reply.content for s in t.steps] for r, t in adaptive.traces]
    return sum(same) / len(same)
