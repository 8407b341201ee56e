"""Problems answered per second: batched episodes as ``evaluate`` runs them, and one-at-a-time ``generate``.

Both ways take the same weights (an adapter is merged), the same prompts, one thread and greedy decoding, and each runs
in a process of its own. Plain is transformers' ``generate`` with its defaults, one prompt after another, which is what
a script of twenty lines does. Timed is decoding with all that belongs to an episode: prompts, parsing, the sandbox that
runs the program, grading; loading is not. Speeds are problems per second of the process's CPU time, in which others on
the machine count little, and per second by the clock.

In float32 both ways write the same texts. In bfloat16 they need not: a batch is multiplied in another order than a row
alone, and where two tokens are nearly as likely, rounding decides.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from agentdistill.bench._problems import problem as made
from agentdistill.bench._process import in_process, peak_mb
from agentdistill.driver import drive, groups_of
from agentdistill.environment import Environment
from agentdistill.loop import RolloutSettings, rollout
from agentdistill.models import Model, load_model
from agentdistill.processor import has_bfloat16
from agentdistill.prompts import load_style
from agentdistill.types import Request, Sample, Sampling, StopReason, Trace

TARGET = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One way of answering the first ``n`` problems with the model at ``path``."""

    way: str
    path: str
    n: int
    dtype: str
    batch_size: int
    max_new_tokens: int
    threads: int = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; ``--json`` prints one object. Returns 0."""
    parser = argparse.ArgumentParser(prog="agentdistill bench evaluation", description=str(__doc__).splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--model", required=True, help="a base, a checkpoint or an adapter; trained on compact prompts")
    parser.add_argument("--problems", type=int, default=96, help="answered in batches (default 96)")
    parser.add_argument("--alone", type=int, default=24, help="answered one at a time, the first of them (default 24)")
    parser.add_argument("--batch-size", type=int, default=96, help="episodes at a time (default 96)")
    parser.add_argument("--max-new-tokens", type=int, default=200, help="most tokens of an answer (default 200)")
    parser.add_argument("--dtypes", nargs="+", choices=["float32", "bfloat16"], help="default: those in use here")
    options = parser.parse_args(argv)
    job = Job(
        way="batched",
        path=options.model,
        n=options.problems,
        dtype="",
        batch_size=options.batch_size,
        max_new_tokens=options.max_new_tokens,
    )
    dtypes = options.dtypes or (["float32", "bfloat16"] if has_bfloat16() else ["float32"])
    result = {"model": options.model, **{d: compare(replace(job, dtype=d), options.alone) for d in dtypes}}
    print(json.dumps(result) if options.json else table(result))
    return 0


def compare(job: Job, n_alone: int) -> dict[str, Any]:
    """Both ways; ``ratio`` is batched beside plain. Texts are compared on the problems that both answered."""
    batched = in_process(__name__, asdict(job))
    plain = in_process(__name__, asdict(replace(job, way="plain", n=min(job.n, n_alone))))
    texts = list(zip(batched.pop("texts"), plain.pop("texts"), strict=False))
    answers = list(zip(batched.pop("answers"), plain.pop("answers"), strict=False))
    return {
        "batched": batched,
        "plain": plain,
        "ratio": batched["problems_per_cpu_s"] / plain["problems_per_cpu_s"],
        "ratio_by_the_clock": batched["problems_per_s"] / plain["problems_per_s"],
        "compared": len(texts),
        "same_texts": sum(a == b for a, b in texts),
        "same_answers": sum(a == b for a, b in answers),
    }


def table(result: dict[str, Any]) -> str:
    """What :func:`compare` found, for people."""
    lines = [f"{result['model']}, greedy, one thread", ""]
    for dtype in (d for d in ("float32", "bfloat16") if d in result):
        found = result[dtype]
        lines.append(f"{dtype:<20} problems/CPU s  problems/s  tokens/answer  right        peak MB")
        for way in ("batched", "plain"):
            r = found[way]
            speeds = f"{r['problems_per_cpu_s']:14.2f} {r['problems_per_s']:11.2f}"
            right = f"{r['right']} of {r['n']}"
            lines.append(f"  {way:<18} {speeds} {r['tokens_per_answer']:14.0f}  {right:<12} {r['peak_mb']:7.0f}")
        ratios = f"{found['ratio']:.2f} (target {TARGET:g}; by the clock {found['ratio_by_the_clock']:.2f})"
        same = f"same texts {found['same_texts']}, same answers {found['same_answers']} of {found['compared']}"
        lines.append(f"  batched / plain {ratios}   {same}")
    return "\n".join(lines)


def run(job: Job) -> dict[str, Any]:
    """Answer in this process, as ``job.way`` has it; the answers are those of the executed programs."""
    import torch

    torch.set_num_threads(job.threads)
    model: Model
    if job.way == "plain":
        model = _Plain(job)
    else:
        model = load_model("local", path=job.path, dtype=job.dtype, device="cpu", batch_size=job.batch_size)
    style, settings = load_style("compact"), RolloutSettings(1, Sampling(max_new_tokens=job.max_new_tokens))
    problems = [made(i) for i in range(job.n)]
    traces: dict[int, Trace] = {}
    with Environment(()) as environment:
        episodes = [
            partial(rollout, problem=p, environment=environment, style=style, settings=settings) for p in problems
        ]
        groups = groups_of(model, episodes, range(job.n))
        started, cpu = time.perf_counter(), time.process_time()
        asyncio.run(drive(model, groups, traces.__setitem__))
        seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu
    done = [traces[i] for i in range(job.n)]
    return {
        "n": job.n,
        "problems_per_s": job.n / seconds,
        "problems_per_cpu_s": job.n / cpu_s,
        "tokens_per_answer": sum(t.usage.n_new_tokens for t in done) / job.n,
        "right": sum(bool(t.correct) for t in done),
        "peak_mb": peak_mb(),
        "texts": [t.steps[0].reply.content if t.steps else "" for t in done],
        "answers": [t.answer for t in done],
    }


class _Plain:
    """transformers' ``generate``, one prompt after another."""

    batch_size = 1
    lockstep = True
    context_length: int | None = None

    def __init__(self, job: Job) -> None:
        from agentdistill.models.weights import load_weights

        self.name = "plain"
        self._model, self._tokenizer = load_weights(job.path, None, "cpu", job.dtype)

    async def generate(self, requests: Sequence[Request]) -> list[list[Sample]]:
        return [[self._continue(request)] for request in requests]

    async def aclose(self) -> None:
        """Nothing to let go of."""

    def _continue(self, request: Request) -> Sample:
        chat = [{"role": m.role, "content": m.content} for m in request.messages]
        inputs = self._tokenizer.apply_chat_template(
            chat, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        n_prompt = inputs["input_ids"].shape[1]
        ids = self._model.generate(**inputs, do_sample=False, max_new_tokens=request.sampling.max_new_tokens)[0]
        new = ids[n_prompt:].tolist()
        stop = StopReason.END_TURN if new[-1] == self._tokenizer.eos_token_id else StopReason.LENGTH
        return Sample(self._tokenizer.decode(new, skip_special_tokens=True), stop, n_prompt, len(new), tuple(new))


if __name__ == "__main__":
    print(json.dumps(run(Job(**json.loads(sys.argv[1])))))
