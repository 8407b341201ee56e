"""Training tokens per second: our stage, a plain TRL run and a bare loop, over the same sequences in one process.

Counted are tokens read, padding aside, over the time of the training loop alone. All three take the same model, batch
size, optimizer and precision (float32, one thread). The plain run is TRL's ``SFTTrainer`` given ids and labels, as
its documentation says, with gradient checkpointing off, which would only slow it down here. With ``--base`` a LoRA
adapter is trained on a base of your own instead: see :mod:`agentdistill.bench._adapters`.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from agentdistill.bench._adapters import WAYS, Job, compare, table
from agentdistill.checkpoints import locate
from agentdistill.training import TrainSettings, train
from agentdistill.types import End, Message, Problem, Source, Step, StepStatus, Trace

_TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
_WORDS = [a + b for a in ("ba", "ko", "ri", "su", "te", "lo", "mi", "na") for b in ("dan", "vor", "lin", "mar", "sel")]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; ``--json`` prints one object. Returns 0."""
    parser = argparse.ArgumentParser(prog="agentdistill bench training", description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
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
    result = measure(options.traces or 48, options.hidden, options.rounds or 3)
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
    result = compare(job, options.ways, options.rounds or 1)
    print(json.dumps(result) if options.json else table(result))
    return 0


def measure(n_traces: int, hidden: int, rounds: int) -> dict[str, Any]:
    """Tokens per second of each way (medians over rounds, taken in turn) and the ratios of ours to the others."""
    import torch

    torch.set_num_threads(1)
    traces = [_trace(i) for i in range(n_traces)]
    settings = TrainSettings(method="full", epochs=1, learning_rate=1e-3, device="cpu", save_every_s=600.0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base = str(folder / "base")
        n_parameters = _make_base(base, traces, hidden)
        rows = _sequences(traces, base)
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
        "n_parameters": n_parameters,
        "n_tokens": n_tokens,
        "rounds": rounds,
        "tokens_per_s": {way: n_tokens / s for way, s in middle.items()},
        "ratio_to_trl": middle["trl"] / middle["ours"],
        "ratio_to_bare": middle["bare"] / middle["ours"],
    }


def _plain_trl(rows: list[dict[str, list[int]]], base: str, out: Path, settings: TrainSettings) -> float:
    from datasets import Dataset
    from transformers.trainer_callback import PrinterCallback
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    from agentdistill.models.weights import load_base, load_tokenizer, quiet

    args = SFTConfig(
        output_dir=str(out),
        max_length=None,
        num_train_epochs=1,
        per_device_train_batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        activation_checkpointing=False,
        bf16=False,
        use_cpu=True,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    with quiet():
        trainer = SFTTrainer(
            model=load_base(base, None, "float32"),
            args=args,
            train_dataset=Dataset.from_list(rows),
            processing_class=load_tokenizer(base),
        )
        trainer.remove_callback(PrinterCallback)
        started = time.perf_counter()
        trainer.train()
        return time.perf_counter() - started


def _bare_loop(rows: list[dict[str, list[int]]], base: str, settings: TrainSettings) -> float:
    """Forward, backward, clip, step, in our order: what no trainer can beat without other kernels."""
    import torch

    from agentdistill.models.weights import load_base
    from agentdistill.training._sft import collate
    from agentdistill.training.dataset import reading_order

    model = load_base(base, None, "float32").train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=0.0, fused=True)
    order = reading_order([len(row["input_ids"]) for row in rows], 1, settings.batch_size, settings.seed)
    started = time.perf_counter()
    for start in range(0, len(order), settings.batch_size):
        batch = collate([rows[i] for i in order[start : start + settings.batch_size]], 0)
        labels = batch["labels"][:, 1:]
        hidden = model.base_model(input_ids=batch["input_ids"], use_cache=False).last_hidden_state[:, :-1]
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


def _make_base(folder: str, traces: Sequence[Trace], hidden: int) -> int:
    """A small random Llama of width ``hidden`` with a byte-level tokenizer; returns its number of parameters."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    from agentdistill.models.weights import quiet

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|pad|>", "<|im_start|>", "<|im_end|>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=2048, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator((m.content for t in traces for m in t.messages), trainer)
    wrap: Any = PreTrainedTokenizerFast
    fast = wrap(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|pad|>", chat_template=_TEMPLATE)
    fast.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=2048,
        hidden_size=hidden,
        intermediate_size=4 * hidden,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        pad_token_id=0,
        eos_token_id=2,
    )
    model = LlamaForCausalLM(config)
    with quiet():
        model.save_pretrained(folder)
    return int(sum(p.numel() for p in model.parameters()))


def _sequences(traces: Sequence[Trace], base: str) -> list[dict[str, list[int]]]:
    """The ids and labels that our own stage trains on."""
    from agentdistill.chat import ChatFormat
    from agentdistill.models.weights import load_tokenizer
    from agentdistill.training.dataset import prepare

    data = prepare(traces, ChatFormat(load_tokenizer(base)), 10_240)
    return [
        {
            "input_ids": list(e.input_ids),
            "labels": [i if t else -100 for i, t in zip(e.input_ids, e.trained, strict=True)],
        }
        for e in data.examples
    ]


if __name__ == "__main__":
    sys.exit(main())
