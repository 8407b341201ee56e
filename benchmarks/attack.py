"""Attack the sandbox: each hostile cell on a fork, then the proof that host, siblings and snapshot are intact.

    python -m benchmarks attack [--mode strict] [--only WORD] [--json]

Exit status 0 when every case was contained. In the weak mode only the cases it claims to contain are run.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

from agentdistill.sandbox import Limits, Mode, Result, Sandbox, SandboxUnavailable, Session, Stop
from benchmarks.attacks import PRELUDE, Case, interpreter, numbers, system
from benchmarks.fixtures import arguments

CASES = (*system.CASES, *interpreter.CASES)

_CHECK = "x, open('note').read(), handle.tell(), sorted(os.listdir('.'))"
_SETUP = """
x = [1, 2, 3]
open('note', 'w').write('kept')
handle = open('note', 'r+')
parent_folder = os.getcwd()
"""
_GRACE_S = 1.5  # how much later than its deadline a cell may be reported on a busy machine


@dataclass(frozen=True)
class Verdict:
    """What came of one case. `problems` is empty when it was contained."""

    name: str
    stop: str
    seconds: float
    problems: tuple[str, ...]


class Canaries:
    """Things of the host that an attack would touch if it could: a file, a process, a port, a variable."""

    def __init__(self) -> None:
        self.secret = secrets.token_hex(16)
        self._folder = tempfile.TemporaryDirectory(prefix="canary-")
        self.file = os.path.join(self._folder.name, "secret.txt")
        with open(self.file, "w") as file:
            file.write(self.secret)
        os.chmod(self._folder.name, 0o755)  # readable for anyone: what holds must not be the file's mode
        os.utime(self.file, (1e9, 1e9))
        self._looks = self._look()
        self._process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
        self._port = socket.create_server(("127.0.0.1", 0))
        self._port.setblocking(False)
        os.environ["CANARY_TOKEN"] = self.secret
        self._n_fds: int | None = None

    def _look(self) -> tuple[float, ...]:
        file, folder = os.stat(self.file), os.stat(self._folder.name)
        return file.st_mode, file.st_uid, file.st_size, file.st_mtime, folder.st_mode, folder.st_mtime

    def where(self) -> dict[str, object]:
        """What model code is told, so that it can try."""
        return {"file": self.file, "pid": self._process.pid, "port": self._port.getsockname()[1]}

    def problems(self) -> Iterator[str]:
        """What has been touched."""
        with open(self.file) as file:
            if file.read() != self.secret or self._looks != self._look():
                yield "the host's file was changed"
        if self._process.poll() is not None:
            yield "a process of the host was killed"
        with contextlib.suppress(BlockingIOError):
            self._port.accept()[0].close()
            yield "the host was connected to"
        with contextlib.suppress(FileNotFoundError):
            count = len(os.listdir("/proc/self/fd"))
            if self._n_fds is not None and count > self._n_fds:
                yield f"{count - self._n_fds} descriptors of the host are left open"
            self._n_fds = count

    def close(self) -> None:
        """Take them away."""
        self._process.kill()
        self._process.wait()
        self._port.close()
        self._folder.cleanup()
        os.environ.pop("CANARY_TOKEN", None)


class Range:
    """A sandbox with a snapshot, a sibling and canaries, where cases are run one after another."""

    def __init__(self, mode: Mode = "auto") -> None:
        tools: dict[str, Callable[..., object]] = {"echo": _echo, "slow": _slow, "boom": _boom, "odd": _odd}
        limits = Limits(wall_s=5.0, memory_mb=256, scratch_mb=16, tool_s=0.2, n_tool_calls=20, output_chars=5000)
        self._box = Sandbox(mode, limits=limits, tools=tools)
        self.mode = self._box.start().mode
        self._canaries = Canaries()
        self._snapshot = self._box.session()
        for cell in (PRELUDE, self._facts(), _SETUP):
            result = self._snapshot.exec(cell)
            assert result.ok, result
        (self._sibling,) = self._snapshot.fork(1)
        self._expected = self._sibling.exec(_CHECK).value
        list(self._canaries.problems())

    def _facts(self) -> str:
        column = 1 if platform.machine() == "aarch64" else 0
        facts = {"NR": numbers(column), "CANARY": self._canaries.where(), "CONTAINED": self.mode != "process"}
        if self.mode != "process":
            from agentdistill.sandbox.inside.isolation import allowed_calls  # on Linux only

            facts["SAFE"] = sorted(allowed_calls())
        return "\n".join(f"{name} = {value!r}" for name, value in facts.items())

    def cases(self, only: str = "") -> list[Case]:
        """The cases that this mode claims to contain."""
        return [case for case in CASES if (case.weak or self.mode != "process") and only in case.name]

    def run(self, case: Case) -> Verdict:
        """One attack on a fork of the snapshot, and everything that must be as before."""
        (victim,) = self._snapshot.fork(1)
        began = time.monotonic()
        result = victim.exec(case.code, wall_s=case.wall_s)
        problems = list(self._judge(case, result, time.monotonic() - began))
        problems += self._aftermath(case, victim, result)
        victim.close()
        problems += self._intact()
        return Verdict(case.name, result.stop.value, round(result.seconds, 3), tuple(problems))

    def _judge(self, case: Case, result: Result, seconds: float) -> Iterator[str]:
        told = f"{result.output} {result.value} {result.final_answer}"
        if "BREACH:" in told or self._canaries.secret in told:
            yield f"got through: {told[:300]}"
        # On a slow machine the deadline may come before the end that was expected: that is containment, too.
        if result.stop not in (*case.stops, Stop.TIMEOUT):
            yield f"ended with {result.stop.value}: {result.error.message[:200] if result.error else ''}"
        if result.seconds > case.wall_s + _GRACE_S or (seconds > 20 * _GRACE_S):
            yield f"took {seconds:.2f} s with a deadline of {case.wall_s} s"
        if len(result.output) > 5016:
            yield "more output than the limit"

    def _aftermath(self, case: Case, victim: Session, result: Result) -> Iterator[str]:
        if case.fork_after:
            (child,) = victim.fork(1)
            child.exec("1 + 1", wall_s=0.3)
            child.close()
        again = victim.exec("1 + 1", wall_s=1.0)
        if result.state_lost and again.value != "2":
            yield f"the session was not rebuilt: {again.stop.value} {again.error}"

    def _intact(self) -> Iterator[str]:
        sibling = self._sibling.exec(_CHECK)
        if sibling.value != self._expected or sibling.state_lost:
            yield f"the sibling changed: {sibling}"
        (copy,) = self._snapshot.fork(1)
        with copy:
            snapshot = copy.exec(_CHECK)
        if snapshot.value != self._expected:
            yield f"the snapshot changed: {snapshot}"
        if len(self._snapshot.log) != 3:
            yield "the snapshot's log changed"
        yield from self._canaries.problems()

    def close(self) -> None:
        """End the sandbox and remove the canaries."""
        self._box.close()
        self._canaries.close()


def _echo(value: object) -> object:
    return value


def _slow() -> None:
    time.sleep(0.5)


def _boom() -> None:
    raise RuntimeError("boom")


def _odd() -> object:
    return {1, 2}


def run_suite(mode: Mode, only: str = "") -> tuple[str, list[Verdict]]:
    """The mode that was run and the verdicts of all its cases."""
    range_ = Range(mode)
    try:
        return range_.mode, [range_.run(case) for case in range_.cases(only)]
    finally:
        range_.close()


def attack(argv: Sequence[str] | None = None) -> int:
    """For the command line; returns its exit status."""
    parser = arguments("attack", "Attack the sandbox and report.")
    parser.add_argument("--mode", action="append", choices=["strict", "container", "process"], help="default: all")
    parser.add_argument("--only", default="", help="only the cases with this in their name")
    options = parser.parse_args(argv)
    report: dict[str, list[Verdict]] = {}
    absent: dict[str, str] = {}
    for mode in options.mode or ["strict", "container", "process"]:
        try:
            report[mode] = run_suite(mode, options.only)[1]
        except SandboxUnavailable as problem:
            absent[mode] = str(problem)
    bad = sum(bool(verdict.problems) for verdicts in report.values() for verdict in verdicts)
    if options.json:
        modes = {mode: [asdict(verdict) for verdict in verdicts] for mode, verdicts in report.items()}
        print(json.dumps({"modes": modes, "unavailable": absent, "not_contained": bad}))
    else:
        _print(report, absent)
    return 1 if bad or not report else 0


def _print(report: dict[str, list[Verdict]], absent: dict[str, str]) -> None:
    for mode, verdicts in report.items():
        held = sum(not verdict.problems for verdict in verdicts)
        print(f"{mode}: {held} of {len(verdicts)} contained{'  (WEAK: its claims only)' if mode == 'process' else ''}")
        for verdict in verdicts:
            if verdict.problems:
                print(f"  NOT CONTAINED  {verdict.name} ({verdict.stop}): {'; '.join(verdict.problems)[:1000]}")
    for mode, why in absent.items():
        print(f"{mode}: not available: {why}")
