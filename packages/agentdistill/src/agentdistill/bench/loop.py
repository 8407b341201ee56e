"""The agent loop's own cost beside generation, and what running many episodes at a time gains. Ratios, on one thread.

Measured is the loop as the stages use it: prompts, the model's real decoding (tokenizer, prefill, one token at a time,
kept keys and values), parsing, a real sandbox that runs every step's code, real BM25 search called from that code,
grading, records. The model has random weights, so what it would say means nothing: at every position the next token of
a scripted episode (search twice, compute, answer) is made the likeliest, and everything else goes its usual way. This
costs one small addition a token, which is counted as generation.

Overhead is wall clock outside ``generate`` over wall clock inside it. It is given for episodes one at a time and for a
batch in lockstep, where the whole batch waits for the code of its slowest member. Weights this small make it look as
bad as it can: a larger model generates more slowly and the loop costs the same.

Not measured: loading, the first start of the sandbox (once a stage), files, endpoints.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from agentdistill.driver import drive, groups_of
from agentdistill.environment import Environment
from agentdistill.loop import RolloutSettings, rollout
from agentdistill.models import Model
from agentdistill.prompts import load_style, tiny
from agentdistill.retrieval import Passage, build_retriever
from agentdistill.tools.search import search_tool
from agentdistill.types import Problem, Request, Sampling, Trace

if TYPE_CHECKING:
    from agentdistill.bench._actor import Actor

TARGET = 0.05


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; ``--json`` prints one object. Returns 0."""
    parser = argparse.ArgumentParser(prog="agentdistill bench loop", description=str(__doc__).splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--episodes", type=int, default=32, help="episodes of a batch (default 32)")
    parser.add_argument("--hidden", type=int, default=128, help="model width (default 128: about 1M parameters)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is timed (default 3)")
    parser.add_argument("--mode", default="auto", help="the sandbox's mode (default auto)")
    options = parser.parse_args(argv)
    result = measure(options.episodes, options.hidden, options.rounds, options.mode)
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
    print(f"  batched / one at a time {result['speedup']:.1f}   target for overhead {TARGET:.0%}")
    return 0


def measure(n_episodes: int, hidden: int, rounds: int, mode: str = "auto") -> dict[str, Any]:
    """Overhead and episodes per second one at a time and batched (medians over rounds, taken in turn)."""
    import torch

    from agentdistill.bench._actor import Actor

    torch.set_num_threads(1)
    problems = [_problem(i) for i in range(n_episodes)]
    texts = [t for p in problems for t in (p.question, *_script(p.question))]
    actor = Actor(_line, texts, hidden, n_episodes)
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
        "target": TARGET,
    }
    for way, seen in runs.items():
        out[way] = {k: statistics.median(r[k] for r in seen) for k in seen[0]}
    return {**out, "speedup": out["batched"]["episodes_per_s"] / out["one_at_a_time"]["episodes_per_s"]}


def _timed(actor: Actor, environment: Environment, problems: Sequence[Problem], size: int) -> dict[str, float]:
    """One run of all problems, ``size`` at a time. Raises RuntimeError where an episode left its script."""
    actor.batch_size, actor.seconds = size, 0.0
    style, settings = load_style("tiny"), RolloutSettings(max_steps=5, sampling=Sampling(max_new_tokens=200))
    traces: dict[int, Trace] = {}

    def episode(problem: Problem) -> Callable[[Model], Awaitable[Trace]]:
        return lambda model: rollout(model, problem, environment, style, settings)

    groups = groups_of(actor, [episode(p) for p in problems], range(len(problems)))
    started = time.perf_counter()
    asyncio.run(drive(actor, groups, traces.__setitem__))
    seconds = time.perf_counter() - started
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


def _script(question: str) -> tuple[str, ...]:
    """What is said turn by turn: two searches, a sum over their results, the answer."""
    first, second = re.findall(r"\d+", question)
    read = "x, y = [int(t.split(' km long')[0].split()[-1]) for t in (a, b)]"
    return (
        tiny.action(
            f"Find the length of River {first}, then that of River {second}, and take the smaller from the larger one. "
            "The first of them comes first.",
            f'a = search("length of River {first}")\nprint(a)',
        ),
        tiny.action(
            f"Its length stands in the first passage, {100 + int(first)} km. Now find the length of River {second}.",
            f'b = search("length of River {second}")\nprint(b)',
        ),
        tiny.action("Both are there. Read the numbers out of the two texts and subtract.", f"{read}\nprint(x, y)"),
        tiny.action("The difference of the two numbers is the answer, without its sign.", "final_answer(abs(x - y))"),
    )


def _line(request: Request) -> str:
    question = next(m.content for m in request.messages if m.role == "user")
    return _script(question)[sum(m.role == "assistant" for m in request.messages)]


if __name__ == "__main__":
    sys.exit(main())
