"""How fast weights answer: batched episodes beside plain ``generate``, and transformers beside llama.cpp.

``evaluation``: both ways take the same weights (an adapter is merged), the same prompts, one thread and greedy
decoding, and each runs in a process of its own. Plain is transformers' ``generate`` with its defaults, one prompt after
another, which is what a script of twenty lines does. Timed is decoding with all that belongs to an episode: prompts,
parsing, the sandbox that runs the program, grading; loading is not. Speeds are problems per second of the process's CPU
time, in which others on the machine count little, and per second by the clock. In float32 both ways write the same
texts. In bfloat16 they need not: a batch is multiplied in another order than a row alone, and where two tokens are
nearly as likely, rounding decides.

``gguf``: both engines read the same prompts, token by token the same, and write greedily until a step ends or has its
``--tokens``; with quantised weights an answer may take another turn, so tokens a second are compared. Neither has read
a prompt before. The engines take turns, and the ratio of each turn is kept: a busy machine slows both.

``constrain``: the same first steps of agents, written freely and held to the form of a step. The two take turns; the
ratio is of CPU time a token.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from agentdistill.batching import drive, groups_of
from agentdistill.environment import Environment
from agentdistill.errors import UserError
from agentdistill.loop import RolloutSettings, rollout
from agentdistill.models import Model, load_model
from agentdistill.models.weights import bfloat16_is_faster, locate
from agentdistill.prompts import load_prompt, step_form
from agentdistill.types import Request, Sample, Sampling, StopReason, Trace
from benchmarks.fixtures import arguments, in_process, peak_mb, problem, quiet

TARGET = 5.0

# --- batched episodes beside plain generate -------------------------------------------------------------------------


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


def evaluation(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; ``--json`` prints one object. Returns 0."""
    parser = arguments("evaluation", "Batched episodes beside plain generate.")
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
    dtypes = options.dtypes or (["float32", "bfloat16"] if bfloat16_is_faster() else ["float32"])
    result = {"model": options.model, **{d: compare(replace(job, dtype=d), options.alone) for d in dtypes}}
    print(json.dumps(result) if options.json else table(result))
    return 0


def compare(job: Job, n_alone: int) -> dict[str, Any]:
    """Both ways; ``ratio`` is batched beside plain. Texts are compared on the problems that both answered."""
    batched = in_process("benchmarks.inference", asdict(job))
    plain = in_process("benchmarks.inference", asdict(replace(job, way="plain", n=min(job.n, n_alone))))
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
    template, settings = load_prompt("compact"), RolloutSettings(1, Sampling(max_new_tokens=job.max_new_tokens))
    problems = [problem(i) for i in range(job.n)]
    traces: dict[int, Trace] = {}
    with Environment(()) as environment:
        episodes = [
            partial(rollout, problem=p, environment=environment, template=template, settings=settings) for p in problems
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
        import torch
        from peft import PeftModel
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.name = "plain"
        adapter = Path(job.path) / "adapter_config.json"
        base = json.loads(adapter.read_text())["base_model_name_or_path"] if adapter.is_file() else job.path
        with quiet():
            model: Any = AutoModelForCausalLM.from_pretrained(locate(base), dtype=getattr(torch, job.dtype))
            self._model = PeftModel.from_pretrained(model, job.path).merge_and_unload() if adapter.is_file() else model
            own = (Path(job.path) / "tokenizer_config.json").is_file()  # an adapter may leave it to its base
            self._tokenizer: Any = AutoTokenizer.from_pretrained(job.path if own else locate(base))
        self._model.eval().requires_grad_(False)

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


# --- transformers beside llama.cpp ------------------------------------------------------------------------------------

QUESTIONS = (
    "What is 17 * 23 + 4?",
    "Who founded the town where Ilva Marten was born?",
    "A box holds 12 pens. How many pens are in 7 boxes, less 5?",
    "Which river runs through the largest city of Orvia?",
)


def gguf(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; ``--json`` prints one object."""
    parser = arguments("gguf", "transformers beside llama.cpp.")
    parser.add_argument("--model", default="tinyworld:0.9M", help="folder or ladder name (tinyworld:0.9M)")
    parser.add_argument("--quantization", nargs="+", default=["f32", "f16", "q8_0"], help="f32 f16 q8_0")
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 8], help="answers written at once (1 8)")
    parser.add_argument("--tokens", type=int, default=64, help="tokens of each answer at most (64)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each engine (5)")
    parser.add_argument("--threads", type=int, help="of either engine (all)")
    options = parser.parse_args(argv)
    if min(*options.rows, options.tokens, options.rounds) < 1:
        raise UserError("gguf: every number has to be above 0")
    result = [r for q in options.quantization for r in _measure_gguf(q, options)]
    print(json.dumps(result) if options.json else "\n".join([_HEAD, *(r.line for r in map(_Row.of, result))]))
    return 0


_HEAD = "weights  rows   transformers      llama.cpp   llama.cpp / transformers   MB"


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of the table."""

    quantization: str
    rows: int
    transformers: float
    llama_cpp: float
    ratio: tuple[float, float, float]
    mb: float

    @classmethod
    def of(cls, facts: dict[str, Any]) -> _Row:
        return cls(**{**facts, "ratio": tuple(facts["ratio"])})

    @property
    def line(self) -> str:
        low, middle, high = self.ratio
        return (
            f"{self.quantization:<8} {self.rows:>4} {self.transformers:>12.0f}/s {self.llama_cpp:>12.0f}/s"
            f" {middle:>12.2f}x ({low:.2f} to {high:.2f}) {self.mb:>6.1f}"
        )


def _measure_gguf(quantization: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Tokens a second of both engines for every number of rows: medians, and the least, middle and greatest ratio."""
    from agentdistill.exchange import write_gguf

    path, most, n = locate(options.model), max(options.rows), options.threads
    with tempfile.TemporaryDirectory() as folder:
        out, name = Path(folder) / "gguf", Path(path).name
        made = write_gguf(Path(path), out, name=name, template=load_prompt("tiny"), quantization=quantization)
        settings: dict[str, Any] = {"batch_size": most, "threads": n, "device": "cpu"}
        ours = load_model("local", path=path, kv_reuse_gb=0, **settings)
        theirs = load_model("gguf", path=str(made.path), **settings)
        mb = made.path.stat().st_size / 2**20
        try:
            return [_compare_engines(ours, theirs, rows, options, quantization, mb) for rows in options.rows]
        finally:
            asyncio.run(ours.aclose())
            asyncio.run(theirs.aclose())


def _compare_engines(
    ours: Model, theirs: Model, rows: int, options: argparse.Namespace, quantization: str, mb: float
) -> dict[str, Any]:
    speeds: tuple[list[float], list[float]] = ([], [])
    for number in range(-1, options.rounds):  # the first one only warms both up
        for model, kept in zip((ours, theirs), speeds, strict=True):
            speed = _speed(model, _requests(rows, options.tokens, number))
            if number >= 0:
                kept.append(speed)
    ratios = sorted(b / a for a, b in zip(*speeds, strict=True))
    return {
        "quantization": quantization,
        "rows": rows,
        "transformers": statistics.median(speeds[0]),
        "llama_cpp": statistics.median(speeds[1]),
        "ratio": [ratios[0], statistics.median(ratios), ratios[-1]],
        "mb": mb,
    }


def _requests(rows: int, n_tokens: int, number: int) -> list[Request]:
    """Different prompts every round, so that neither engine has read them before."""
    sampling = Sampling(max_new_tokens=n_tokens)
    template = load_prompt("tiny")
    questions = [f"{QUESTIONS[i % len(QUESTIONS)]} ({number + 1}.{i})" for i in range(rows)]
    return [Request(template.agent(q, ()), sampling) for q in questions]


def _speed(model: Model, requests: Sequence[Request]) -> float:
    """Tokens written a second, the reading of the prompts included."""
    start = time.perf_counter()
    answers = asyncio.run(model.generate(requests))
    return sum(s.n_new_tokens for samples in answers for s in samples) / (time.perf_counter() - start)


# --- held to a form beside written freely -----------------------------------------------------------------------------

CONSTRAIN_TARGET = 1.15


def constrain(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; ``--json`` prints one object."""
    parser = arguments("constrain", "Steps held to a form beside the same written freely.")
    parser.add_argument("--model", default="tinyworld:teacher", help="weights that act as agents (tinyworld:teacher)")
    parser.add_argument("--prompt", default="tiny", help="the prompt template that they know (tiny)")
    parser.add_argument("--rows", type=int, default=96, help="steps written at once (96)")
    parser.add_argument("--tokens", type=int, default=160, help="tokens of a step at most (160)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each way (5)")
    options = parser.parse_args(argv)
    result = _measure_constrain(options)
    if options.json:
        print(json.dumps(result))
        return 0
    low, middle, high = result["ratio"]
    print(
        f"{options.model}, {options.rows} steps at once, greedy, one thread; {result['same']} of {result['n']} the same"
    )
    print(f"  free         {result['free_us']:8.1f} us of CPU a token")
    print(f"  constrained  {result['constrained_us']:8.1f} us of CPU a token")
    turns = f"{low:.2f} to {high:.2f} in {options.rounds} turns"
    print(f"  constrained / free {middle:.2f} ({turns}; target {CONSTRAIN_TARGET})")
    return 0


def _measure_constrain(options: argparse.Namespace) -> dict[str, Any]:
    """CPU time a token of both ways: medians, and the least, middle and greatest ratio of a turn."""
    import torch

    from tinyworld.task import problems

    torch.set_num_threads(1)
    template = load_prompt(options.prompt)
    path = locate(options.model)
    model = load_model("local", path=path, device="cpu", batch_size=options.rows, kv_reuse_gb=0)
    asked = problems(f"test:{-(-options.rows // 8)}")[: options.rows]
    free = [Request(template.agent(p.question, ()), Sampling(max_new_tokens=options.tokens)) for p in asked]
    ways = {"free": free, "constrained": [replace(r, form=step_form(template)) for r in free]}
    spent: dict[str, list[float]] = {way: [] for way in ways}
    texts: dict[str, list[str]] = {}
    for number in range(-1, options.rounds):  # the first one only warms both up
        for way, requests in ways.items():
            started = time.process_time()
            samples = [s for some in asyncio.run(model.generate(requests)) for s in some]
            if number >= 0:
                spent[way].append(1e6 * (time.process_time() - started) / sum(s.n_new_tokens for s in samples))
            texts[way] = [s.text for s in samples]
    asyncio.run(model.aclose())
    ratios = sorted(b / a for a, b in zip(spent["free"], spent["constrained"], strict=True))
    return {
        "model": options.model,
        "n": len(asked),
        "same": sum(a == b for a, b in zip(texts["free"], texts["constrained"], strict=True)),
        "free_us": statistics.median(spent["free"]),
        "constrained_us": statistics.median(spent["constrained"]),
        "ratio": [ratios[0], statistics.median(ratios), ratios[-1]],
    }


if __name__ == "__main__":
    print(json.dumps(run(Job(**json.loads(sys.argv[1])))))
