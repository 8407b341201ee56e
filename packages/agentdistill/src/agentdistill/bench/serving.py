"""A served agent under load: many chats at once for some minutes, and a server that is killed and comes back.

Every chat asks question after question and waits for each answer, as people do. A question's right answer is what the
same server says to it when nobody else asks, so an answer that is lost, late or somebody else's is seen. Memory is the
server's resident size, its sandboxes included, from the end of the first quarter to the end.

With ``--kill`` the server is killed half way and started again. Answers that were under way are then lost, each with an
error that names the connection or the status; every chat has to be answered again afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentdistill.errors import InfrastructureError, UserError

_START_S = 300.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; ``--json`` prints one object. Returns 0, or 1 where an answer was lost or mixed up."""
    parser = argparse.ArgumentParser(prog="agentdistill bench serving", description=str(__doc__).splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--run", type=Path, default=Path("runs/tinyworld"), help="the run to serve (runs/tinyworld)")
    parser.add_argument("--chats", type=int, default=200, help="chats at once (200)")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long (120)")
    parser.add_argument("--questions", type=int, default=40, help="different questions (40)")
    parser.add_argument("--kill", action="store_true", help="kill the server half way and start it again")
    options = parser.parse_args(argv)
    if min(options.chats, options.questions) < 1 or options.seconds <= 0:
        raise UserError("bench serving: every number has to be above 0")
    if not (options.run / "recipe.json").is_file():
        raise UserError(f"bench serving: {options.run} is no run; make one with: make demo")
    result = asyncio.run(_Load(options.run, options.chats, options.seconds, options.questions, options.kill).measure())
    if options.json:
        print(json.dumps(result))
    else:
        print(_shown(result))
    return int(bool(result["wrong"] or result["lost"]))


def _shown(r: dict[str, Any]) -> str:
    s = r["seconds_an_answer"]
    errors = ", ".join(f"{n} {what}" for what, n in r["errors"].items()) or "none"
    growth = (r["memory_mb"][1] / r["memory_mb"][0] - 1) * 100
    return "\n".join(
        [
            f"serving, {r['chats']} chats at once for {r['seconds']:.0f} s"
            + (", killed half way" if r["killed"] else ""),
            f"  answered {r['answered']:,} ({r['per_s']:.1f} a second)",
            f"  seconds an answer {s['median']:.2f} (median), {s['p99']:.2f} (99 %)",
            f"  lost {r['lost']}, mixed up {r['wrong']}, errors told: {errors}",
            f"  memory {r['memory_mb'][0]:.0f} to {r['memory_mb'][1]:.0f} MB ({growth:+.1f} %)",
        ]
    )


@dataclass
class _Load:
    """One measurement: the server's process, what is asked, and what came of it."""

    run: Path
    n_chats: int
    seconds: float
    n_questions: int
    kill: bool
    expected: dict[str, str] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    recovered: set[int] = field(default_factory=set)
    memory: list[float] = field(default_factory=list)
    port: int = 0
    process: subprocess.Popen[str] | None = None

    async def measure(self) -> dict[str, Any]:
        self._start()
        try:
            for question in self._questions():
                self.expected[question] = await self._ask(question)
            deadline = time.monotonic() + self.seconds
            others = [self._watch(deadline), *([self._killer()] if self.kill else [])]
            await asyncio.gather(*(self._chat(i, deadline) for i in range(self.n_chats)), *others)
        finally:
            assert self.process is not None
            self.process.kill()
            self.process.wait()
        return self._result()

    def _result(self) -> dict[str, Any]:
        times = sorted(self.times)
        if not times:
            raise InfrastructureError("bench serving: not one question was answered")
        return {
            "chats": self.n_chats,
            "seconds": self.seconds,
            "killed": self.kill,
            "answered": len(times),
            "per_s": len(times) / self.seconds,
            "seconds_an_answer": {
                "median": statistics.median(times),
                "p99": times[int(0.99 * (len(times) - 1))],
            },
            "wrong": self.wrong,
            "lost": self.n_chats - len(self.recovered),
            "errors": dict(self.errors),
            "memory_mb": [self.memory[len(self.memory) // 4], self.memory[-1]] if self.memory else [1.0, 1.0],
        }

    def _questions(self) -> list[str]:
        from agentdistill.students import open_run

        problems = open_run(self.run).problems("test")
        step = max(1, len(problems) // self.n_questions)
        return [p.question for p in problems[::step]][: self.n_questions]

    def _start(self) -> None:
        """Start the server, on the port it had before."""
        command = [sys.executable, "-m", "agentdistill", "serve", str(self.run), "--port", str(self.port)]
        command += ["--concurrency", "64", "--queue", str(2 * self.n_chats)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.match(r"(\S+) answers at http://127\.0\.0\.1:(\d+)/v1", line)
        if not found:
            raise InfrastructureError("bench serving: the server did not start")
        self.model, self.port = found[1], int(found[2])

    async def _ask(self, question: str, tries: int = 1) -> str:
        import openai

        url = f"http://127.0.0.1:{self.port}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=tries - 1, timeout=_START_S) as client:
            messages: Any = [{"role": "user", "content": question}]
            done = await client.chat.completions.create(model=self.model, messages=messages)
        return done.choices[0].message.content or ""

    async def _chat(self, number: int, deadline: float) -> None:
        """Ask one question after the other; an error is counted, waited for and survived."""
        import openai

        questions = list(self.expected)
        turn = number
        while time.monotonic() < deadline or number not in self.recovered:
            if time.monotonic() > deadline + _START_S:
                return
            question, start = questions[turn % len(questions)], time.monotonic()
            turn += 1
            try:
                said = await self._ask(question)
            except openai.APIStatusError as e:
                self.errors[f"status {e.status_code}"] += 1
                await asyncio.sleep(float(e.response.headers.get("Retry-After", 1)))
            except openai.APIConnectionError:
                self.errors["connection refused or broken"] += 1
                self.recovered.discard(number)
                await asyncio.sleep(1.0)
            else:
                self.recovered.add(number)
                self.times.append(time.monotonic() - start)
                self.wrong += said != self.expected[question]

    async def _killer(self) -> None:
        await asyncio.sleep(self.seconds / 2)
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        await asyncio.to_thread(self._start)

    async def _watch(self, deadline: float) -> None:
        while time.monotonic() < deadline:
            await asyncio.sleep(1.0)
            if self.process is not None and (mb := _memory_mb(self.process.pid)):
                self.memory.append(mb)


def _memory_mb(pid: int) -> float:
    """The proportional size of a process and all that descend from it, as Linux tells it; 0 elsewhere."""
    total, pending = 0, [pid]
    while pending:
        one = pending.pop()
        try:
            rollup = Path(f"/proc/{one}/smaps_rollup").read_text(encoding="ascii")
            total += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
            for task in Path(f"/proc/{one}/task").iterdir():
                pending += [int(p) for p in (task / "children").read_text(encoding="ascii").split()]
        except OSError:
            continue
    return total / 1024
