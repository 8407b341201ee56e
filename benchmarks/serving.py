"""A served agent under load: many chats at once for some minutes, and a server that is killed and comes back.

Every chat asks a question, waits for the answer, asks another in the same named conversation, whose session the server
keeps, and begins a new one, as people do. The right answers are what the same server says when nobody else asks, and
how many tokens it read for them: so an answer that is lost or somebody else's is seen, and a session too. Memory is the
server's proportional size, its sandboxes included, from the end of the first quarter to the end, beside the sessions
that it keeps for the next question: it grows with those, up to the number that the server may keep.

Any error is an answer lost. With ``--kill`` the server is killed half way and started again: what was under way then
ends in an error that names the connection or the status, and every chat has to be answered again afterwards.
"""

from __future__ import annotations

import asyncio
import json
import re
import statistics
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentdistill.errors import InfrastructureError, UserError
from benchmarks.fixtures import arguments

_START_S = 300.0


def serving(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; ``--json`` prints one object. Returns 0, or 1 where an answer was lost or mixed up."""
    parser = arguments("serving", str(__doc__).splitlines()[0])
    parser.add_argument("--run", type=Path, default=Path("runs/tinyworld"), help="the run to serve (runs/tinyworld)")
    parser.add_argument("--chats", type=int, default=200, help="chats at once (200)")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long (120)")
    parser.add_argument("--questions", type=int, default=20, help="different conversations of two questions (20)")
    parser.add_argument("--kill", action="store_true", help="kill the server half way and start it again")
    options = parser.parse_args(argv)
    if min(options.chats, options.questions) < 1 or options.seconds <= 0:
        raise UserError("every number has to be above 0")
    if not (options.run / "recipe.json").is_file():
        raise UserError(f"{options.run} is no run; make one with: make demo")
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
            f"  memory {r['memory_mb'][0]:.0f} to {r['memory_mb'][1]:.0f} MB ({growth:+.1f} %), "
            f"sessions kept {r['sessions'][0]} to {r['sessions'][1]}",
        ]
    )


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer, and the tokens that were read for it, which tell a kept session from one begun anew."""

    question: str
    said: str
    n_read: int


_Talk = list[_Answer]


@dataclass
class _Load:
    """One measurement: the server's process, what is asked, and what came of it."""

    run: Path
    n_chats: int
    seconds: float
    n_questions: int
    kill: bool
    expected: list[_Talk] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    recovered: set[int] = field(default_factory=set)
    memory: list[tuple[float, int]] = field(default_factory=list)  # MB, and sessions kept then
    port: int = 0
    process: subprocess.Popen[str] | None = None

    async def measure(self) -> dict[str, Any]:
        self._start()
        try:
            await self._hear_alone()
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
            raise InfrastructureError("not one question was answered")
        ends = [self.memory[len(self.memory) // 4], self.memory[-1]] if self.memory else [(1.0, 0), (1.0, 0)]
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
            "lost": self.n_chats - len(self.recovered) + (0 if self.kill else sum(self.errors.values())),
            "errors": dict(self.errors),
            "memory_mb": [seen[0] for seen in ends],
            "sessions": [seen[1] for seen in ends],
        }

    async def _hear_alone(self) -> None:
        """What the server says to each pair of questions when nobody else asks; pairs too long for it are left out."""
        import openai

        for n, questions in enumerate(self._pairs()):
            try:
                self.expected.append([a async for a in self._talk(questions, f"alone-{n:08}")])
            except openai.BadRequestError:
                continue
        if not self.expected:
            raise UserError("the student's context holds no two questions")

    def _pairs(self) -> list[tuple[str, str]]:
        from agentdistill.pipeline.run import open_run

        problems = open_run(self.run).problems("test")
        step = max(1, len(problems) // (2 * self.n_questions))
        asked = [p.question for p in problems[::step]][: 2 * self.n_questions]
        return list(zip(asked[::2], asked[1::2], strict=False))

    def _start(self) -> None:
        """Start the server, on the port it had before."""
        command = [sys.executable, "-m", "agentdistill", "serve", str(self.run), "--port", str(self.port)]
        command += ["--concurrency", "64", "--queue", str(2 * self.n_chats), "--keep", str(2 * self.n_chats)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.match(r"(\S+) answers at http://127\.0\.0\.1:(\d+)/v1", line)
        if not found:
            raise InfrastructureError("the server did not start")
        self.model, self.port = found[1], int(found[2])

    async def _talk(self, questions: Sequence[str], name: str) -> AsyncIterator[_Answer]:
        """Ask one question after the other in the conversation ``name``."""
        import openai

        messages: list[Any] = []
        url = f"http://127.0.0.1:{self.port}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0, timeout=_START_S) as client:
            for question in questions:
                messages.append({"role": "user", "content": question})
                done = await client.chat.completions.create(
                    model=self.model, messages=messages, extra_body={"conversation": name}
                )
                said, usage = done.choices[0].message.content or "", done.usage
                messages.append({"role": "assistant", "content": said})
                yield _Answer(question, said, usage.prompt_tokens if usage else 0)

    async def _chat(self, number: int, deadline: float) -> None:
        """Hold one conversation after the other; an error is counted, waited for and survived."""
        import openai

        turn = number
        while time.monotonic() < deadline or number not in self.recovered:
            if time.monotonic() > deadline + _START_S:
                return
            wanted = self.expected[turn % len(self.expected)]
            turn += self.n_chats + 1  # another one, and a name that nobody has
            try:
                await self._hold(number, wanted, f"{number}-of-bench-{turn:08}")
            except openai.APIStatusError as e:
                self.errors[f"status {e.status_code}"] += 1
                await asyncio.sleep(float(e.response.headers.get("Retry-After", 1)))
            except openai.APIConnectionError:
                self.errors["connection refused or broken"] += 1
                self.recovered.discard(number)
                await asyncio.sleep(1.0)

    async def _hold(self, number: int, wanted: _Talk, name: str) -> None:
        started = time.monotonic()
        told = iter(wanted)
        async for answer in self._talk([a.question for a in wanted], name):
            self.recovered.add(number)
            self.times.append(time.monotonic() - started)
            self.wrong += answer != next(told)
            started = time.monotonic()

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
                self.memory.append((mb, await asyncio.to_thread(_sessions, self.port)))


def _sessions(port: int) -> int:
    """How many sessions the server keeps; 0 where it does not say."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5.0) as answer:
            found = re.search(r"^agentdistill_sessions_kept (\S+)", answer.read().decode(), re.MULTILINE)
    except OSError:
        return 0
    return int(float(found[1])) if found else 0


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
