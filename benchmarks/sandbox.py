"""The sandbox beside what else runs a step of model code: a fresh interpreter, smolagents' executor, sandlock's clones.

All in one run on one machine, so that the ratios mean something; times alone do not. The row "bare fork" is the floor:
fork and reap an idle interpreter that has the same modules loaded, without any sandbox. A clone of sandlock, which
cannot be kept and stepped again, is timed from the end of its ``init_fn`` to the last clone's step.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any

from agentdistill.sandbox import Limits, Mode, Sandbox, Session
from benchmarks.fixtures import arguments

_STEP = "x += 1"
_LOOP = "t = 0\nfor i in range(10**6):\n    t += i"
_BARE = """
import os, time, sys
for name in ("numpy", "sympy"):
    try: __import__(name)
    except ImportError: pass
times = []
for _ in range(40):
    began = time.perf_counter()
    pid = os.fork()
    if pid == 0: os._exit(0)
    os.waitpid(pid, 0)
    times.append(time.perf_counter() - began)
print(sorted(times)[20])
"""
_CLONES = """
import mmap, struct, sys, time
from sandlock import Sandbox

def clones(n):
    times = mmap.mmap(-1, 8 * (n + 1))
    def init():
        for name in ("numpy", "sympy"):
            try: __import__(name)
            except ImportError: pass
        times[:8] = struct.pack("d", time.monotonic())
    def work(k):
        x = 0
        x += 1
        times[8 * k + 8:8 * k + 16] = struct.pack("d", time.monotonic())
    made = Sandbox(fs_readable=["/"], init_fn=init, work_fn=work).fork(n)
    until = time.monotonic() + 10
    while not all(found := struct.unpack(f"{n + 1}d", times[:])) and time.monotonic() < until:
        time.sleep(0.01)
    return (max(found) - found[0]) / n if all(found) else float("inf")

n = int(sys.argv[1])
print(sorted(clones(n) for _ in range(9))[4])
"""


@dataclass(frozen=True)
class Row:
    """One measurement. `target` is an upper bound in the same unit; None where there is none."""

    name: str
    value: float | None
    unit: str
    target: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target was met; None where there is nothing to say."""
        return None if self.target is None or self.value is None else self.value <= self.target


def p50(work: Callable[[], object], n: int) -> float:
    """Median seconds of `n` calls."""
    times = []
    for _ in range(n):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return sorted(times)[n // 2]


def measure(mode: Mode = "auto", *, quick: bool = False) -> tuple[str, list[Row]]:
    """The mode and all rows. `quick` takes a tenth of the repetitions."""
    times = 1 if quick else 10
    began = time.perf_counter()
    with Sandbox(mode, limits=Limits(wall_s=60.0)) as box:
        rows = [Row("start of the sandbox, once", (time.perf_counter() - began) * 1e3, "ms")]
        with box.session() as session:
            session.exec("x = 0")
            rows.append(Row("warm step", p50(lambda: session.exec(_STEP), 200 * times) * 1e3, "ms", 0.1))
            rows.append(Row("fork, step, drop", p50(lambda: _one(session), 10 * times) * 1e3, "ms", 5.0))
            rows.append(Row("8 candidates, one kept", p50(lambda: _eight(session), 2 * times + 1) * 1e3, "ms", 80.0))
            rows.append(Row("private memory of a state", _private_mb(session), "MB", 3.0))
            rows.append(Row("loop of 10^6, of native", _loop_ratio(session), "x", 1.1))
        chosen = box.capabilities.mode
    rows.append(Row("bare fork of the same modules", _bare_fork_ms(), "ms"))
    fresh = p50(_fresh, 3 + times // 2) * 1e3
    rows.append(Row("python -c with numpy and sympy", fresh, "ms"))
    rows += _sandlock()
    rows += _smolagents(200 * times)
    return chosen, rows


def ratios(rows: list[Row]) -> dict[str, float]:
    """How many times longer the others take for a step."""
    found = {row.name: row.value for row in rows if row.value is not None}
    warm, fork = found["warm step"], found["fork, step, drop"]
    out = {
        "python -c / warm step": found["python -c with numpy and sympy"] / warm,
        "python -c / fork, step, drop": found["python -c with numpy and sympy"] / fork,
        "fork, step, drop / bare fork": fork / found["bare fork of the same modules"],
    }
    if "sandlock clone, of 8" in found:
        out["8 candidates, each / sandlock clone"] = found["8 candidates, one kept"] / 8 / found["sandlock clone, of 8"]
    if "smolagents step" in found:
        out["smolagents step / warm step"] = found["smolagents step"] / warm
        out["smolagents loop / loop here"] = (
            found["smolagents loop of 10^6, of native"] / found["loop of 10^6, of native"]
        )
    return out


def _one(session: Session) -> None:
    (child,) = session.fork(1)
    child.exec(_STEP)
    child.drop()


def _eight(session: Session) -> None:
    children = session.fork(8)
    for child in children:
        child.exec(_STEP)
    session.commit(children[3])
    for child in children[:3] + children[4:]:
        child.drop()


def _private_mb(session: Session) -> float | None:
    """Mean private memory of 16 forks that have each run a cell; None where /proc does not tell this user."""
    children = session.fork(16)
    try:
        sizes = []
        for child in children:
            child.exec(_STEP)
            with open(f"/proc/{child.pid}/smaps_rollup") as file:
                sizes.append(sum(int(line.split()[1]) for line in file if line.startswith("Private_")))
        return sum(sizes) / len(sizes) / 1024
    except (OSError, AttributeError):
        return None
    finally:
        for child in children:
            child.drop()


def _loop_ratio(session: Session) -> float:
    """Median of ratios of CPU time, turn by turn, so that other work on the machine falls on both alike."""
    code = compile(_LOOP, "<loop>", "exec")
    found = []
    for _ in range(15):
        began = time.thread_time()
        exec(code, {})
        native = time.thread_time() - began
        found.append(session.exec(_LOOP).cpu_s / native)
    return sorted(found)[7]


def _bare_fork_ms() -> float | None:
    if not hasattr(os, "fork"):
        return None
    done = subprocess.run([sys.executable, "-c", _BARE], capture_output=True, text=True, check=False)
    return float(done.stdout) * 1e3 if done.returncode == 0 else None


def _sandlock() -> list[Row]:
    """A step in clones of one sandlock template, which has the same modules, in batches of three sizes."""
    rows = []
    for n in (1, 8, 64) if find_spec("sandlock") else ():
        done = subprocess.run([sys.executable, "-c", _CLONES, str(n)], capture_output=True, text=True, check=False)
        rows.append(Row(f"sandlock clone, of {n}", float(done.stdout) * 1e3 if done.returncode == 0 else None, "ms"))
    return rows


def _fresh() -> None:
    subprocess.run([sys.executable, "-c", "import numpy, sympy\nx = 0\nx += 1"], check=False, capture_output=True)


def _smolagents(n: int) -> list[Row]:
    try:
        from smolagents.local_python_executor import LocalPythonExecutor
    except ImportError:
        return []
    executor: Any = LocalPythonExecutor(additional_authorized_imports=["numpy", "sympy"])
    executor.send_tools({})
    executor("x = 0")
    rows = [Row("smolagents step", p50(lambda: executor(_STEP), n) * 1e3, "ms")]
    code = compile(_LOOP, "<loop>", "exec")
    native = min(p50(lambda: exec(code, {}), 1) for _ in range(5))
    return [*rows, Row("smolagents loop of 10^6, of native", p50(lambda: executor(_LOOP), 1) / native, "x")]


def sandbox(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; ``--json`` prints one object. Returns 0 when every target was met."""
    parser = arguments("sandbox", str(__doc__).splitlines()[0])
    parser.add_argument("--mode", default="auto", choices=["auto", "strict", "container", "process"])
    parser.add_argument("--quick", action="store_true", help="a tenth of the repetitions")
    options = parser.parse_args(argv)
    mode, rows = measure(options.mode, quick=options.quick)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    if options.json:
        table = [asdict(row) | {"met": row.met} for row in rows]
        print(json.dumps({"mode": mode, "load": load, "n_cpus": os.cpu_count(), "rows": table, "ratios": ratios(rows)}))
    else:
        print(f"mode {mode}, {os.cpu_count()} CPUs, load {load}")
        for row in rows:
            value = "unknown" if row.value is None else f"{row.value:.3f} {row.unit}"
            goal = "" if row.target is None else f"  (target {row.target:g}: {'met' if row.met else 'NOT MET'})"
            print(f"  {row.name:36} {value:>14}{goal}")
        for name, ratio in ratios(rows).items():
            print(f"  {name:36} {ratio:>12.1f} x")
    return 0 if all(row.met is not False for row in rows) else 1
