"""One student, two engines: tokens a second of transformers and of llama.cpp, side by side on this machine.

Both read the same prompts, token by token the same, and write greedily until a step ends or has its ``--tokens``; with
quantised weights an answer may take another turn, so tokens a second are compared. Neither has read a prompt before.
The engines take turns, and the ratio of each turn is kept: a busy machine slows both.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentdistill.errors import UserError

if TYPE_CHECKING:
    from agentdistill.models import Model
    from agentdistill.types import Request

QUESTIONS = (
    "What is 17 * 23 + 4?",
    "Who founded the town where Ilva Marten was born?",
    "A box holds 12 pens. How many pens are in 7 boxes, less 5?",
    "Which river runs through the largest city of Orvia?",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; ``--json`` prints one object."""
    parser = argparse.ArgumentParser(prog="agentdistill bench gguf", description=str(__doc__).splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--model", default="tinyworld:0.9M", help="folder or ladder name (tinyworld:0.9M)")
    parser.add_argument("--quantization", nargs="+", default=["f32", "f16", "q8_0"], help="f32 f16 q8_0")
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 8], help="answers written at once (1 8)")
    parser.add_argument("--tokens", type=int, default=64, help="tokens of each answer at most (64)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each engine (5)")
    parser.add_argument("--threads", type=int, help="of either engine (all)")
    options = parser.parse_args(argv)
    if min(*options.rows, options.tokens, options.rounds) < 1:
        raise UserError("bench gguf: every number has to be above 0")
    result = [r for q in options.quantization for r in measure(q, options)]
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


def measure(quantization: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Tokens a second of both engines for every number of rows: medians, and the least, middle and greatest ratio."""
    from agentdistill.checkpoints import locate
    from agentdistill.exchange import write_gguf
    from agentdistill.models import load_model
    from agentdistill.prompts import load_style

    path, most, n = locate(options.model), max(options.rows), options.threads
    with tempfile.TemporaryDirectory() as folder:
        out, name = Path(folder) / "gguf", Path(path).name
        made = write_gguf(Path(path), out, name=name, style=load_style("tiny"), quantization=quantization)
        settings: dict[str, Any] = {"batch_size": most, "threads": n, "device": "cpu"}
        ours = load_model("local", path=path, kv_reuse_gb=0, **settings)
        theirs = load_model("gguf", path=str(made.path), **settings)
        mb = made.path.stat().st_size / 2**20
        try:
            return [_compare(ours, theirs, rows, options, quantization, mb) for rows in options.rows]
        finally:
            asyncio.run(ours.aclose())
            asyncio.run(theirs.aclose())


def _compare(
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
    from agentdistill.prompts import load_style
    from agentdistill.types import Request, Sampling

    sampling = Sampling(max_new_tokens=n_tokens)
    style = load_style("tiny")
    questions = [f"{QUESTIONS[i % len(QUESTIONS)]} ({number + 1}.{i})" for i in range(rows)]
    return [Request(style.agent(q, ()), sampling) for q in questions]


def _speed(model: Model, requests: Sequence[Request]) -> float:
    """Tokens written a second, the reading of the prompts included."""
    start = time.perf_counter()
    answers = asyncio.run(model.generate(requests))
    return sum(s.n_new_tokens for samples in answers for s in samples) / (time.perf_counter() - start)
