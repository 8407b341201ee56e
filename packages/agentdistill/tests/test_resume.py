"""kill -9 at random moments, then the same command: the same files as if nothing had happened."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from made_traces import source_environment
from small_run import files, write_inputs
from warm import KILLED, Nursery, shared_nursery, wait_for

from agentdistill import report, store

PARTS = [
    "collect/agent", "collect/agent-prefix", "collect/cot", "filter/cot", "train/base--agent-distill",
    "train/base--cot-distill", "evaluate/base--agent", "evaluate/base--agent-distill", "evaluate/base--cot-distill",
]  # fmt: skip
LONG = bool(os.environ.get("AGENTDISTILL_LONG_TESTS"))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_inputs(tmp_path_factory.mktemp("inputs"), n_train=12, n_test=6, epochs=3)


@pytest.fixture(scope="module")
def nursery() -> Nursery:
    return shared_nursery()


@pytest.fixture(scope="module")
def calm(inputs: Path, nursery: Nursery) -> Path:
    """The run that nobody disturbs."""
    status, output = nursery.run("run", inputs, "--runs", inputs.parent / "calm")
    assert status == 0, output
    return inputs.parent / "calm" / "small"


def same(disturbed: Path, calm: Path) -> None:
    """Everything but the clock is byte for byte the same, and no half-written file is left."""
    clock = ("timing.json", "report.json", "report.html")
    assert files(disturbed, clock).keys() == files(calm, clock).keys()
    different = [name for name, data in files(calm, clock).items() if files(disturbed, clock)[name] != data]
    assert different == []
    for path in disturbed.rglob(".*"):
        assert path.name in (".lock", ".report.key") or path.name.endswith(".lock"), path
    mine, theirs = (json.loads((run / "report.json").read_text()) for run in (disturbed, calm))
    assert mine.pop("timing").keys() == theirs.pop("timing").keys()
    assert mine == theirs
    for timing in calm.rglob("timing.json"):  # with the same clock even the page is the same
        store.write_atomic(disturbed / timing.relative_to(calm), timing.read_bytes())
    report.write_report(disturbed)
    for name in ("report.json", "report.html"):
        assert (disturbed / name).read_bytes() == (calm / name).read_bytes()


def lengths(run: Path) -> dict[str, float]:
    """How many seconds each part took, from its first file to its last."""
    out = {}
    for part in PARTS:
        begun, ended = ((run / part / name).stat().st_mtime for name in ("begun.json", "manifest.json"))
        out[part] = ended - begun
    return out


def test_ten_kills_change_nothing(inputs: Path, nursery: Nursery, calm: Path) -> None:
    """One moment in each part, drawn with a seed, and one in the part that takes longest."""
    rng = random.Random(int(os.environ.get("AGENTDISTILL_TEST_SEED", "20")))
    took = lengths(calm)
    moments = [(part, rng.uniform(0, 0.9) * took[part]) for part in PARTS]
    longest = max(PARTS, key=lambda p: took[p])
    moments.insert(PARTS.index(longest) + 1, (longest, rng.uniform(0, 0.5) * took[longest]))
    runs = inputs.parent / "disturbed"
    n_killed = 0
    for part, delay in moments:
        command = nursery.start("run", inputs, "--runs", runs)
        begun = runs / "small" / part / "begun.json"
        assert wait_for(lambda: begun.exists() or not command.is_running), command.output  # noqa: B023
        time.sleep(delay)
        command.signal(signal.SIGKILL)
        n_killed += command.wait() == KILLED
    assert n_killed >= 8  # the last moments may come too late for so short a run
    status, output = nursery.run("run", inputs, "--runs", runs)
    assert status == 0, output
    same(runs / "small", calm)


def test_a_kill_leaves_something_to_go_on_with(inputs: Path, nursery: Nursery) -> None:
    """What was collected before a kill is not collected again."""
    runs = inputs.parent / "once"
    command = nursery.start("collect", inputs, "--runs", runs)
    partial = runs / "small" / "collect" / "agent" / "traces.partial.jsonl"
    assert wait_for(lambda: partial.exists() and partial.read_bytes().count(b"\n") >= 3)
    command.signal(signal.SIGKILL)
    assert command.wait() == KILLED
    saved = partial.read_bytes()
    saved = saved[: saved.rfind(b"\n") + 1]
    with partial.open("ab") as f:
        f.write(b'{"id": "q11", "probl')  # as a kill in the midst of a write leaves it
    assert nursery.run("collect", inputs, "--runs", runs)[0] == 0
    lines = (partial.parent / "traces.jsonl").read_bytes().splitlines()
    assert set(saved.splitlines()) <= set(lines)
    assert len(lines) == 12
    assert not partial.exists()


def processes_of(mark: str) -> list[int]:
    """The processes that were started with that mark in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def start(inputs: Path, runs: Path, verb: str, mark: str) -> subprocess.Popen[bytes]:
    code = "import sys; from agentdistill.cli import main; sys.exit(main(sys.argv[1:]))"
    arguments = [verb, str(inputs), "--runs", str(runs), "--jobs", "2"]
    environment = {**source_environment(), "AGENTDISTILL_TEST_MARK": mark}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def kill(process: subprocess.Popen[bytes], mark: str) -> None:
    """Kill the command alone; its workers must end by themselves."""
    process.kill()
    process.communicate()
    assert wait_for(lambda: not processes_of(mark), 20), "a worker outlived its killed parent"


def test_workers_end_with_a_killed_command(inputs: Path, calm: Path) -> None:
    """Two processes collect side by side; killed, none goes on writing, and a second command finishes the work."""
    runs, mark = inputs.parent / "workers", uuid.uuid4().hex
    process = start(inputs, runs, "collect", mark)
    assert wait_for(lambda: list(runs.glob("small/collect/*/traces.partial.jsonl")))
    assert len(processes_of(mark)) >= 3
    kill(process, mark)
    sizes = {p: p.stat().st_size for p in runs.rglob("*")}
    time.sleep(0.3)
    assert {p: p.stat().st_size for p in runs.rglob("*")} == sizes
    again = start(inputs, runs, "collect", mark)
    _, errors = again.communicate()
    assert again.returncode == 0, errors.decode()
    clock = ("timing.json", "recipe.json")
    assert files(runs / "small" / "collect", clock) == files(calm / "collect", clock)
    assert not processes_of(mark)


@pytest.mark.skipif(not LONG, reason="takes minutes; AGENTDISTILL_LONG_TESTS=1 runs it")
@pytest.mark.timeout(3600)
def test_ten_kills_of_the_real_command_with_workers(inputs: Path, calm: Path) -> None:
    """As above from cold starts, with two workers, at moments drawn from the whole of an undisturbed run."""
    rng = random.Random(int(os.environ.get("AGENTDISTILL_TEST_SEED", "7")))
    mark = uuid.uuid4().hex
    reference = inputs.parent / "reference"
    started = time.monotonic()
    assert start(inputs, reference, "run", mark).wait() == 0
    whole = time.monotonic() - started
    runs = inputs.parent / "long"
    seen = []
    n_killed = 0
    while n_killed < 10:
        process = start(inputs, runs, "run", mark)
        wait_for(lambda: process.poll() is not None, rng.uniform(0.3, 0.9) * whole)  # noqa: B023
        if process.poll() is not None:
            break
        kill(process, mark)
        n_killed += 1
        seen.append(sorted(str(p.parent.relative_to(runs / "small")) for p in runs.glob("small/*/*/manifest.json")))
    last = start(inputs, runs, "run", mark)
    _, errors = last.communicate()
    assert last.returncode == 0, errors.decode()
    print(f"killed {n_killed} times; parts done at each: {[len(s) for s in seen]}; {whole:.0f} s undisturbed")
    same(runs / "small", reference / "small")
    assert files(runs / "small" / "train", ("timing.json",)) == files(calm / "train", ("timing.json",))
