"""One Ray worker beside two, over the same collection. Ratios, with Ray running already.

Two kinds of teacher, as they are limited by different things:

- **weights in the workers** (``--teacher``): every worker computes, so two of them can gain no more than two busy
  processes gain on this machine. That ceiling is measured beside it: hyperthreads of one core give less than 2.
- **a server** that takes ``--wait`` seconds a reply and is asked one question at a time by each worker: workers wait,
  and what is lost below 2 is the executor's own cost (starting workers, handing out chunks, uneven ends).

Timed is the whole collection, loading in the workers included. Both runs have to leave the same bytes.
"""

from __future__ import annotations

import json
import re
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from agentdistill.batching import RaySettings
from agentdistill.errors import UserError
from agentdistill.pipeline import run_recipe
from agentdistill.recipe import (
    CollectSettings,
    ProblemsSettings,
    Recipe,
    StudentSettings,
    TeacherSettings,
    ToolsSettings,
)
from benchmarks.fixtures import arguments

TARGET = 1.7
_SPINS = 30_000_000


def ray(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; ``--json`` prints one object. Returns 0."""
    parser = arguments("ray", str(__doc__).splitlines()[0])
    parser.add_argument("--teacher", default="tinyworld:teacher", help="weights of the first kind (tinyworld:teacher)")
    parser.add_argument("--problems", type=int, default=160, help="questions of a collection (160)")
    parser.add_argument("--batch", type=int, default=16, help="episodes that run together in a worker (16)")
    parser.add_argument("--wait", type=float, default=0.5, help="seconds that the server takes for a reply (0.5)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is timed, in turn (3)")
    parser.add_argument("--mode", default="auto", help="the sandbox's mode (auto)")
    options = parser.parse_args(argv)
    if min(options.problems, options.batch, options.rounds) < 1 or options.wait < 0:
        raise UserError("every number has to be above 0")
    result = measure(options.teacher, options.problems, options.batch, options.wait, options.rounds, options.mode)
    print(json.dumps(result) if options.json else _shown(result))
    return 0


def _shown(r: dict[str, Any]) -> str:
    lines = [f"a collection of {r['problems']} questions on Ray, two workers beside one (target {r['target']})"]
    for name, about in (("weights", "weights in the workers"), ("server", f"a server, {r['wait_s']:g} s a reply")):
        k = r[name]
        one, two = k["seconds"]["1"], k["seconds"]["2"]
        lines.append(f"  {about:28} {k['ratio']:.2f} x   {one:.1f} s, {two:.1f} s")
    lines.append(f"  {'two busy processes':28} {r['ceiling']:.2f} x   what this machine gives two that compute")
    return "\n".join(lines)


def measure(
    teacher: str, n_problems: int, batch: int, wait_s: float, rounds: int, mode: str = "auto"
) -> dict[str, Any]:
    """Seconds of one and of two workers (medians, taken in turn) and their ratio, for both kinds of teacher."""
    from agentdistill.batching.ray import connected

    with tempfile.TemporaryDirectory() as name, _server(wait_s) as url, connected(RaySettings(workers=2)) as ray:
        folder = Path(name)
        weights = {"path": teacher, "device": "cpu", "batch_size": batch}
        server = {"url": url, "name": "server", "concurrency": 1, "check_prefix": False}
        out: dict[str, Any] = {"problems": n_problems, "batch": batch, "wait_s": wait_s, "target": TARGET}
        for kind, settings in (
            ("weights", TeacherSettings(model="local", settings=weights)),
            ("server", TeacherSettings(model="endpoint", settings=server)),
        ):
            recipe = _recipe(folder, kind, settings, n_problems, mode)
            out[kind] = _compare(partial(_collect, recipe), folder / kind, rounds)
        out["ceiling"] = _ceiling(ray)
    return out


def _compare(collect: Callable[[int, Path], bytes], folder: Path, rounds: int) -> dict[str, Any]:
    seconds: dict[int, list[float]] = {1: [], 2: []}
    seen: set[bytes] = set()
    for i in range(rounds):
        for n in (1, 2):
            started = time.perf_counter()
            seen.add(collect(n, folder / f"{n}-{i}"))
            seconds[n].append(time.perf_counter() - started)
    if len(seen) != 1:
        raise RuntimeError("one worker and two did not leave the same traces")
    middle = {n: statistics.median(s) for n, s in seconds.items()}
    return {"ratio": middle[1] / middle[2], "seconds": {str(n): s for n, s in middle.items()}}


def _collect(recipe: Recipe, n_workers: int, folder: Path) -> bytes:
    run_recipe(replace(recipe, ray=RaySettings(workers=n_workers)), folder, until="collect")
    return (folder / "collect" / "agent" / "traces.jsonl").read_bytes()


def _recipe(folder: Path, kind: str, teacher: TeacherSettings, n_problems: int, mode: str) -> Recipe:
    problems, tools = folder / f"{kind}.jsonl", ToolsSettings()
    if kind == "weights":
        tools = ToolsSettings(search="tinyworld", index=str(folder / "index"))
        source = f"tinyworld:train:{-(-n_problems // 2)}"
    else:
        rows = [{"id": f"q{i}", "question": f"What is {i} + {7 * i}?", "answer": str(8 * i)} for i in range(n_problems)]
        problems.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        source = str(problems)
    recipe = Recipe(
        name=kind,
        problems=ProblemsSettings(train=source, limit_train=n_problems),
        teacher=teacher,
        students=(StudentSettings(base="tinyworld:0.3M", methods=("agent-distill",)),),
        tools=tools,
        collect=CollectSettings(max_steps=6, max_new_tokens=160, compare_prefix=False),
        prompt="tiny",
        executor="ray",
    )
    return replace(recipe, sandbox=replace(recipe.sandbox, mode=mode))  # type: ignore[arg-type]


def _spin(n: int) -> float:
    started = time.perf_counter()
    total = 0
    for i in range(n):
        total += i
    return time.perf_counter() - started


def _ceiling(ray: Any) -> float:
    """How much two processes that only compute get done in the time of one."""
    task = ray.remote(num_cpus=1)(_spin)
    ray.get([task.remote(1), task.remote(1)])  # both workers are up
    one = ray.get(task.remote(_SPINS))
    two = max(ray.get([task.remote(_SPINS), task.remote(_SPINS)]))
    return float(2 * one / two)


@contextmanager
def _server(wait_s: float) -> Iterator[str]:
    """A chat server on this machine that adds two numbers, slowly."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked = next(m["content"] for m in reversed(body["messages"]) if m["role"] == "user")
            a, b = re.findall(r"\d+", str(asked))[:2]
            time.sleep(wait_s)
            text = f"Thought: I add the two.\nCode:\n```py\nfinal_answer({a} + {b})\n```"
            message = {"role": "assistant", "content": text}
            choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
            usage = {"prompt_tokens": 20, "completion_tokens": 20, "total_tokens": 40}
            reply = {"id": "c", "object": "chat.completion", "created": 0, "model": "server", "choices": [choice]}
            data = json.dumps({**reply, "usage": usage}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
