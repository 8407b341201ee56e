"""What several benchmarks share: made-up word problems, a small random model, and work done in a process of its own."""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agentdistill.errors import UserError
from agentdistill.prompts import load_prompt
from agentdistill.types import End, Message, Problem, Source, Step, StepStatus, Trace

_NAMES = ("Mara", "Jonas", "Ines", "Tom", "Leila", "Oskar", "Nora", "Pavel", "Greta", "Samir")
_THINGS = ("apples", "stamps", "marbles", "pencils", "cards", "shells", "books", "coins", "stickers", "buttons")
_PLACES = ("box", "bag", "drawer", "basket", "shelf", "jar")
_TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def arguments(name: str, about: str) -> argparse.ArgumentParser:
    """The parser of a benchmark, with ``--json``."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks {name}", description=about)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def problem(i: int) -> Problem:
    """The ``i``-th word problem, of two to four sentences; the same for every caller."""
    return _made(i)[0]


def solved(i: int) -> Trace:
    """The ``i``-th problem with its program as one agent step, about 130 tokens in all."""
    made, program = _made(i)
    template = load_prompt("compact")
    reply = Message("assistant", template.action("", program), Source.MODEL)
    step = Step(reply, StepStatus.FINAL, program)
    return Trace(
        f"t{i}", made, "agent", "made up", template.agent(made.question, ()), (step,), End.ANSWERED, made.answer
    )


def _made(i: int) -> tuple[Problem, str]:
    r = random.Random(i)
    name, friend = r.sample(_NAMES, 2)
    thing, place = r.choice(_THINGS), r.choice(_PLACES)
    a, n, each, given = r.randint(3, 90), r.randint(2, 9), r.randint(2, 12), r.randint(1, 20)
    told = [f"{name} has {a} {thing}.", f"{friend} brings {n} {place}s with {each} {thing} each."]
    lines = [f"own = {a}", f"brought = {n} * {each}  # {n} {place}s with {each} {thing} each"]
    left = a + n * each
    if given < left and r.random() < 0.7:
        told.append(f"{name} gives {given} of all the {thing} to a neighbour.")
        lines += [f"given = {given}", "left = own + brought - given"]
        left -= given
    else:
        lines.append("left = own + brought")
    if r.random() < 0.5:
        told.append(f"Then {friend} doubles what is left.")
        lines.append("left = left * 2  # doubled")
        left *= 2
    question = " ".join([*told, f"How many {thing} are there in the end?"])
    return Problem(f"p{i}", question, str(left), "math"), "\n".join([*lines, "final_answer(left)"])


def small_llama(texts: Iterable[str], hidden: int) -> tuple[Any, Any]:
    """A random Llama of four layers, ``hidden`` wide, in evaluation mode, and a byte-level tokenizer of ``texts``."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|pad|>", "<|im_start|>", "<|im_end|>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=2048, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    wrap: Any = PreTrainedTokenizerFast
    fast = wrap(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|pad|>", chat_template=_TEMPLATE)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=2048,
        hidden_size=hidden,
        intermediate_size=4 * hidden,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        pad_token_id=0,
        eos_token_id=2,
    )
    model: Any = LlamaForCausalLM(config)
    return model.eval(), fast


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' progress bars and reports."""
    from transformers.utils import logging

    log: Any = logging
    level = log.get_verbosity()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(level)
        log.enable_progress_bar()


def in_process(module: str, job: dict[str, Any]) -> dict[str, Any]:
    """What ``python -m module JOB`` prints as its last line, read as JSON. Raises UserError where it failed."""
    paths = (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, "-m", module, json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"{job['way']} failed: {why}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def peak_mb() -> float:
    """The most memory that this process ever held, in MB."""
    return _status("VmHWM")


def resident_mb() -> float:
    """The memory that this process holds, in MB; where the system does not tell, the most that it ever held."""
    return _status("VmRSS")


def _status(name: str) -> float:
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)
