"""Training tokens per second: our stage beside plain TRL, over the same sequences.

Without ``--base``: a small random model, in one process, with a bare loop as the third way. Counted are tokens read,
padding aside, over the time of the training loop alone. All three take the same model, batch size, optimizer and
precision (float32, one thread). The plain run is TRL's ``SFTTrainer`` given ids and labels, as its documentation says,
with gradient checkpointing off, which would only slow it down here.

With ``--base``: LoRA on a base of your own, our stage and plain TRL with PEFT, each in a process of its own. All read
the same word problems with their programs in the same order, with the same adapter, seed, optimizer and learning rate.
Speeds are tokens read, padding aside, from the end of the first update to the end of the last, a second of the
process's CPU time, in which others on the machine count little, and a second by the clock. Peak memory is the most that
the process ever held: libraries (480 MB), weights, activations, optimizer. Plain TRL is its ``SFTTrainer`` as its
documentation shows it, given ids and labels; its default is to recompute activations.
"""

from __future__ import annotations

import argparse
import importlib
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from agentdistill.errors import UserError
from agentdistill.models.weights import locate
from agentdistill.training import TrainSettings, train
from agentdistill.training.trainer import TrainingData, prepare, reading_order
from agentdistill.types import End, Message, Problem, Source, Step, StepStatus, Trace
from benchmarks.fixtures import arguments, in_process, peak_mb, quiet, resident_mb, small_llama, solved

_WORDS = [a + b for a in ("ba", "ko", "ri", "su", "te", "lo", "mi", "na") for b in ("dan", "vor", "lin", "mar", "sel")]
WAYS = {
    "ours": "ours, its defaults (bfloat16 where the processor has it)",
    "ours-float32": 'ours, precision = "float32"',
    "trl": "TRL, float32, activations recomputed, its default",
    "trl-kept": "TRL, float32, gradient_checkpointing=False",
    "trl-bf16": "TRL, all its defaults: bfloat16 autocast, recomputed",
}
_LAST = 10  # updates whose mean loss is compared


def training(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; ``--json`` prints one object. Returns 0."""
    parser = arguments("training", str(__doc__).splitlines()[0])
    parser.add_argument("--traces", type=int, help="conversations to train on (default 48; with --base 160)")
    parser.add_argument("--hidden", type=int, default=96, help="model width (default 96: 0.7M parameters)")
    parser.add_argument("--rounds", type=int, help="how often each is timed (default 3; with --base 1)")
    lora = parser.add_argument_group("with a base of your own", "LoRA beside plain TRL with PEFT, each in a process")
    lora.add_argument("--base", help="a checkpoint, as a recipe names a base; in place of the small random model")
    lora.add_argument("--ways", nargs="+", choices=sorted(WAYS), default=["ours", "trl", "trl-kept", "trl-bf16"])
    lora.add_argument("--threads", type=int, default=1, help="torch's threads (1)")
    options = parser.parse_args(argv)
    if options.base is not None:
        return _compare_adapters(options)
    result = _measure(options.traces or 48, options.hidden, options.rounds or 3)
    if options.json:
        print(json.dumps(result))
    else:
        print(f"training, {result['n_parameters'] / 1e6:.2f}M parameters, {result['n_tokens']:,} tokens a run, CPU")
        for name in ("ours", "trl", "bare"):
            print(f"  {name:5} {result['tokens_per_s'][name]:>9,.0f} tokens/s")
        print(f"  ours / plain TRL {result['ratio_to_trl']:.2f}   ours / bare loop {result['ratio_to_bare']:.2f}")
    return 0


def _compare_adapters(options: argparse.Namespace) -> int:
    job = Job(way=options.ways[0], base=locate(options.base), n_traces=options.traces or 160, threads=options.threads)
    result = _compare(job, options.ways, options.rounds or 1)
    print(json.dumps(result) if options.json else _table(result))
    return 0


def _measure(n_traces: int, hidden: int, rounds: int) -> dict[str, Any]:
    """Tokens per second of each way (medians over rounds, taken in turn) and the ratios of ours to the others."""
    import torch

    torch.set_num_threads(1)
    traces = [_trace(i) for i in range(n_traces)]
    settings = TrainSettings(method="full", epochs=1, learning_rate=1e-3, device="cpu", save_every_s=600.0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base = str(folder / "base")
        model, tokenizer = small_llama((m.content for t in traces for m in t.messages), hidden)
        with quiet():
            model.save_pretrained(base)
            tokenizer.save_pretrained(base)
        rows = _rows(_prepared(traces, base, 10_240))
        ways: dict[str, Callable[[int], float]] = {
            "ours": lambda i: train(traces, base, folder / f"ours{i}", settings).seconds,
            "trl": lambda i: _plain_trl(rows, base, folder / f"trl{i}", settings),
            "bare": lambda _: _bare_loop(rows, base, settings),
        }
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for i in range(rounds + 1):
            for way, run in ways.items():
                taken = run(i)
                if i:  # the first round warms up
                    seconds[way].append(taken)
    n_tokens = sum(len(row["input_ids"]) for row in rows)
    middle = {way: statistics.median(s) for way, s in seconds.items()}
    return {
        "n_parameters": int(sum(p.numel() for p in model.parameters())),
        "n_tokens": n_tokens,
        "rounds": rounds,
        "tokens_per_s": {way: n_tokens / s for way, s in middle.items()},
        "ratio_to_trl": middle["trl"] / middle["ours"],
        "ratio_to_bare": middle["bare"] / middle["ours"],
    }


def _plain_trl(rows: list[dict[str, list[int]]], base: str, out: Path, settings: TrainSettings) -> float:
    options = {"max_length": None, "activation_checkpointing": False, "bf16": False}
    trainer = _trl(base, rows, str(out), settings, options)
    started = time.perf_counter()
    trainer.train()
    return time.perf_counter() - started


def _bare_loop(rows: list[dict[str, list[int]]], base: str, settings: TrainSettings) -> float:
    """Forward, backward, clip, step, in our order: what no trainer can beat without other kernels."""
    import torch
    from torch.nn.utils.rnn import pad_sequence
    from transformers import AutoModelForCausalLM

    with quiet():
        model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=0.0, fused=True)
    order = reading_order([len(row["input_ids"]) for row in rows], 1, settings.batch_size, settings.seed)
    started = time.perf_counter()
    for start in range(0, len(order), settings.batch_size):
        batch = [rows[i] for i in order[start : start + settings.batch_size]]
        ids = pad_sequence([torch.tensor(row["input_ids"]) for row in batch], batch_first=True)
        labels = pad_sequence([torch.tensor(row["labels"]) for row in batch], batch_first=True, padding_value=-100)
        labels = labels[:, 1:]
        hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
        logits = model.get_output_embeddings()(hidden[labels != -100])
        loss: Any = torch.nn.functional.cross_entropy(logits, labels[labels != -100])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
    return time.perf_counter() - started


def _trace(i: int) -> Trace:
    """A made-up episode of one to four steps, about 100 to 700 tokens."""
    r = random.Random(i)

    def say(n: int) -> str:
        return " ".join(r.choices(_WORDS, k=n)) + f" {r.randrange(1000)}"

    n_steps = r.randint(1, 4)
    steps = []
    for t in range(n_steps):
        reply = Message("assistant", f"Thought: {say(8)}\nCode:\nprint(search('{say(2)}'))", Source.MODEL)
        seen = Message("user", f"Observation: {say(r.randint(20, 60))}", Source.ENVIRONMENT)
        last = t == n_steps - 1
        steps.append(Step(reply, StepStatus.FINAL if last else StepStatus.OK, observation=None if last else seen))
    question = say(12)
    prompt = (Message("system", "You solve questions step by step. " + " ".join(_WORDS)), Message("user", question))
    return Trace(f"t{i}", Problem(f"p{i}", question, "0"), "agent", "made up", prompt, tuple(steps), End.ANSWERED)


# --- both -----------------------------------------------------------------------------------------------------------


def _prepared(traces: Sequence[Trace], base: str, max_length: int) -> TrainingData:
    """The sequences that our own stage trains on."""
    from transformers import AutoTokenizer

    from agentdistill.models.chat import ChatFormat

    try:
        tokenizer = AutoTokenizer.from_pretrained(base)
    except (OSError, ValueError) as e:
        raise UserError(f"{base}: no tokenizer could be loaded ({str(e).splitlines()[0]})") from e
    return prepare(traces, ChatFormat(tokenizer), max_length)


def _rows(data: TrainingData) -> list[dict[str, list[int]]]:
    """Ids, and labels that are -100 where nothing is learned."""
    return [
        {
            "input_ids": list(e.input_ids),
            "labels": [i if t else -100 for i, t in zip(e.input_ids, e.trained, strict=True)],
        }
        for e in data.examples
    ]


def _trl(
    base: str,
    rows: list[dict[str, list[int]]],
    out: str,
    settings: TrainSettings,
    options: dict[str, Any],
    peft_config: Any = None,
) -> Any:
    from datasets import Dataset
    from transformers import AutoTokenizer
    from transformers.trainer_callback import PrinterCallback
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    args = SFTConfig(
        output_dir=out,
        num_train_epochs=1,
        per_device_train_batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        use_cpu=True,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        **options,
    )
    with quiet():
        trainer = SFTTrainer(
            model=base,
            args=args,
            train_dataset=Dataset.from_list(rows),
            processing_class=AutoTokenizer.from_pretrained(base),
            peft_config=peft_config,
        )
    trainer.remove_callback(PrinterCallback)
    return trainer


# --- LoRA on a base of your own -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What every way does: ``n_traces`` once, in one order, from one base."""

    way: str
    base: str
    n_traces: int
    batch_size: int = 8
    rank: int = 16
    learning_rate: float = 1e-3
    threads: int = 1
    seed: int = 0

    @property
    def settings(self) -> TrainSettings:
        return TrainSettings(
            lora_rank=self.rank,
            lora_alpha=2 * self.rank,
            lora_dropout=0.0,
            learning_rate=self.learning_rate,
            epochs=1,
            batch_size=self.batch_size,
            schedule="linear",
            warmup=0.0,
            device="cpu",
            threads=self.threads,
            precision="float32" if self.way == "ours-float32" else "auto",
            seed=self.seed,
            log_every=1,
            save_every_s=1e6,
        )


def _compare(job: Job, ways: Sequence[str], rounds: int) -> dict[str, Any]:
    """Every way in turn, ``rounds`` times: medians, and ours beside each of the others.

    ``difference`` is that of the mean loss over the last ten updates, relative to the other's.
    """
    runs: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way in ways:
            runs[way].append(in_process("benchmarks.training", asdict(replace(job, way=way))))
    facts = {way: _middle(some) for way, some in runs.items()}
    ours = facts[ways[0]]
    beside = {
        way: {
            "speed": ours["tokens_per_cpu_s"] / other["tokens_per_cpu_s"],
            "memory": ours["peak_mb"] / other["peak_mb"],
            "difference": ours["last_loss"] / other["last_loss"] - 1,
        }
        for way, other in facts.items()
        if way != ways[0]
    }
    return {"ways": facts, "ratios": beside, "rounds": rounds, **asdict(job)}


def _table(result: dict[str, Any]) -> str:
    """What `_compare` found, for people."""
    names = list(result["ways"])
    lines = [
        f"{result['base']}, LoRA rank {result['rank']}, {result['n_traces']} traces, "
        f"batches of {result['batch_size']}, threads: {result['threads']}",
        "",
        f"{'':<14} tokens/CPU s  tokens/s  peak MB    loss   {names[0]} beside it: speed, memory, loss",
    ]
    for name, way in result["ways"].items():
        beside = result["ratios"].get(name)
        ratio = f"{beside['speed']:6.2f}x {beside['memory']:6.2f}x {beside['difference']:+8.2%}" if beside else ""
        lines.append(
            f"{name:<14} {way['tokens_per_cpu_s']:12.0f} {way['tokens_per_s']:9.0f} {way['peak_mb']:8.0f} "
            f"{way['last_loss']:7.4f}   {ratio}".rstrip()
        )
    return "\n".join([*lines, "", *(f"{name}: {WAYS[name]}" for name in names)])


def _middle(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    n = runs[0]["n_tokens"]
    return {
        "tokens_per_cpu_s": statistics.median(n / r["cpu_s"] for r in runs),
        "tokens_per_s": statistics.median(n / r["seconds"] for r in runs),
        "peak_mb": statistics.median(r["peak_mb"] for r in runs),
        "libraries_mb": statistics.median(r["libraries_mb"] for r in runs),
        "last_loss": statistics.mean(runs[0]["losses"][-_LAST:]),
        "losses": runs[0]["losses"],
    }


def run(job: Job) -> dict[str, Any]:
    """Train as ``job.way`` has it, in this process.

    ``losses`` are those of every update; ``seconds``, ``cpu_s`` and ``n_tokens`` leave the first one out.
    """
    for name in ("datasets", "peft", "trl.trainer.sft_trainer"):
        importlib.import_module(name)  # so that their memory can be told from that of training
    traces = [solved(i) for i in range(job.n_traces)]
    data = _prepared(traces, job.base, 1024)
    lengths = [len(e.input_ids) for e in data.examples]
    order = reading_order(lengths, 1, job.batch_size, job.seed)
    libraries, clock = resident_mb(), _Clock()
    with tempfile.TemporaryDirectory() as name:
        if job.way.startswith("ours"):
            result = train(traces, job.base, name, job.settings, on_progress=lambda *_: clock.tick())
            losses = [loss for _, loss in result.loss_curve]
        else:
            trainer = _plain(job, [_rows(data)[i] for i in order], name)
            trainer.add_callback(_ticking(clock))
            trainer.train()
            losses = [h["loss"] for h in trainer.state.log_history if "loss" in h]
    return {
        "losses": losses,
        "seconds": clock.wall[-1] - clock.wall[0],
        "cpu_s": clock.cpu[-1] - clock.cpu[0],
        "n_tokens": sum(lengths[i] for i in order[job.batch_size :]),
        "peak_mb": peak_mb(),
        "libraries_mb": libraries,
    }


def _plain(job: Job, rows: list[dict[str, list[int]]], out: str) -> Any:
    """TRL's trainer as its documentation shows it, for ids and labels that are there already."""
    import torch
    from peft import LoraConfig

    torch.set_num_threads(job.threads)
    choice: dict[str, dict[str, Any]] = {
        "trl": {"bf16": False},
        "trl-kept": {"bf16": False, "gradient_checkpointing": False},
        "trl-bf16": {},
    }
    # The rows come in the order that all ways read them in.
    options = {"train_sampling_strategy": "sequential", "seed": job.seed, "logging_steps": 1, **choice[job.way]}
    lora = LoraConfig(r=job.rank, lora_alpha=2 * job.rank, target_modules="all-linear", task_type="CAUSAL_LM")
    return _trl(job.base, rows, out, job.settings, options, lora)


@dataclass
class _Clock:
    """The time at the end of every update."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def tick(self) -> None:
        self.wall.append(time.perf_counter())
        self.cpu.append(time.process_time())


def _ticking(clock: _Clock) -> Any:
    from transformers.trainer_callback import TrainerCallback

    class Ticking(TrainerCallback):
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            clock.tick()

    return Ticking()


if __name__ == "__main__":
    print(json.dumps(run(Job(**json.loads(sys.argv[1])))))
