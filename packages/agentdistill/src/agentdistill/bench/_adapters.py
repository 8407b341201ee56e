"""LoRA on a base of your own: our stage and plain TRL with PEFT, each in a process of its own, on the same sequences.

All read the same word problems with their programs in the same order, with the same adapter, seed, optimizer and
learning rate. Speeds are tokens read, padding aside, from the end of the first update to the end of the last, a second
of the process's CPU time, in which others on the machine count little, and a second by the clock. Peak memory is the
most that the process ever held: libraries (480 MB), weights, activations, optimizer. Plain TRL is its ``SFTTrainer``
as its documentation shows it, given ids and labels; its default is to recompute activations.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from agentdistill.bench._problems import solved
from agentdistill.bench._process import in_process, peak_mb, resident_mb
from agentdistill.training import TrainSettings

WAYS = {
    "ours": "ours, its defaults (bfloat16 where the processor has it)",
    "ours-float32": 'ours, precision = "float32"',
    "trl": "TRL, float32, activations recomputed, its default",
    "trl-kept": "TRL, float32, gradient_checkpointing=False",
    "trl-bf16": "TRL, all its defaults: bfloat16 autocast, recomputed",
}
_LAST = 10  # updates whose mean loss is compared


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


def compare(job: Job, ways: Sequence[str], rounds: int) -> dict[str, Any]:
    """Every way in turn, ``rounds`` times: medians, and ours beside each of the others.

    ``difference`` is that of the mean loss over the last ten updates, relative to the other's.
    """
    runs: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way in ways:
            runs[way].append(in_process(__name__, asdict(replace(job, way=way))))
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


def table(result: dict[str, Any]) -> str:
    """What :func:`compare` found, for people."""
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
    from agentdistill.chat import ChatFormat
    from agentdistill.models.weights import load_tokenizer, quiet
    from agentdistill.training._build import build
    from agentdistill.training.dataset import prepare, reading_order

    tokenizer = load_tokenizer(job.base)
    data = prepare([solved(i) for i in range(job.n_traces)], ChatFormat(tokenizer), 1024)
    lengths = [len(e.input_ids) for e in data.examples]
    order = reading_order(lengths, 1, job.batch_size, job.seed)
    libraries = resident_mb()
    with tempfile.TemporaryDirectory() as name, quiet():
        if job.way.startswith("ours"):
            trainer, _ = build(data, tokenizer, job.base, Path(name), job.settings, None)
        else:
            rows = [data.examples[i] for i in order]
            trainer = _plain(job, [_as_row(e.input_ids, e.trained) for e in rows], tokenizer, name)
        clock = _clock()
        trainer.add_callback(clock)
        trainer.train()
    return {
        "losses": [h["loss"] for h in trainer.state.log_history if "loss" in h],
        "seconds": clock.wall[-1] - clock.wall[0],
        "cpu_s": clock.cpu[-1] - clock.cpu[0],
        "n_tokens": sum(lengths[i] for i in order[job.batch_size :]),
        "peak_mb": peak_mb(),
        "libraries_mb": libraries,
    }


def _plain(job: Job, rows: list[dict[str, list[int]]], tokenizer: Any, out: str) -> Any:
    """TRL's trainer as its documentation shows it, for ids and labels that are there already."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers.trainer_callback import PrinterCallback
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    torch.set_num_threads(job.threads)
    choice: dict[str, dict[str, Any]] = {
        "trl": {"bf16": False},
        "trl-kept": {"bf16": False, "gradient_checkpointing": False},
        "trl-bf16": {},
    }
    trainer = SFTTrainer(
        model=job.base,
        args=SFTConfig(
            output_dir=out,
            num_train_epochs=1,
            per_device_train_batch_size=job.batch_size,
            learning_rate=job.learning_rate,
            train_sampling_strategy="sequential",  # the rows come in the order that all ways read them in
            use_cpu=True,
            seed=job.seed,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            **choice[job.way],
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=LoraConfig(r=job.rank, lora_alpha=2 * job.rank, target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _as_row(ids: Any, trained: Any) -> dict[str, list[int]]:
    return {"input_ids": list(ids), "labels": [i if t else -100 for i, t in zip(ids, trained, strict=True)]}


def _clock() -> Any:
    from transformers.trainer_callback import TrainerCallback

    @dataclass
    class Clock(TrainerCallback):
        """The time at the end of every update."""

        wall: list[float] = field(default_factory=list)
        cpu: list[float] = field(default_factory=list)

        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            self.wall.append(time.perf_counter())
            self.cpu.append(time.process_time())

    return Clock()


if __name__ == "__main__":
    print(json.dumps(run(Job(**json.loads(sys.argv[1])))))
