"""Nothing is left behind: not by thousands of sessions, not by a closed, crashed or killed host."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agentdistill.sandbox import Limits, Sandbox, Stop

from .conftest import FULL, MODES, need

_HOST = """
import sys, time
from agentdistill.sandbox import Sandbox
box = Sandbox({mode!r}, modules=())
sessions = [box.session() for _ in range(4)]
for s in sessions:
    s.exec("open('file', 'w').write('x')")
kids = sessions[0].fork(3)
print(box._backend._process.pid, *[s.pid for s in sessions + kids], flush=True)
import threading
threading.Thread(target=lambda: kids[1].exec({hostile!r}, wall_s=60), daemon=True).start()
time.sleep(0.2)
{end}
"""
_HOSTILE = """
import signal
for n in range(1, 65):
    try: signal.signal(n, signal.SIG_IGN)
    except Exception: pass
while True: pass
"""


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sandboxes of these tests, and of their hosts, keep their scratch where no other program's is."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def _folders() -> set[str]:
    return {name for name in os.listdir(tempfile.gettempdir()) if name.startswith("sandbox-")}


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def _eventually(true: Callable[[], bool], seconds: float = 10.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if true():
            return True
        time.sleep(0.02)
    return true()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "end", ["time.sleep(60)", "1 / 0", "__import__('os').abort()"], ids=["kill -9", "exit", "abort"]
)
def test_no_process_or_file_outlives_the_host(mode: str, end: str) -> None:
    need(mode)
    before = _folders()
    host = subprocess.Popen(
        [sys.executable, "-c", _HOST.format(mode=mode, end=end, hostile=_HOSTILE)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert host.stdout is not None
    pids = [int(word) for word in host.stdout.readline().split()]
    assert len(pids) == 8
    if "sleep" in end:
        time.sleep(0.3)
        host.send_signal(signal.SIGKILL)
    host.wait()
    assert _eventually(lambda: not any(map(_alive, pids))), [pid for pid in pids if _alive(pid)]
    assert _eventually(lambda: _folders() <= before), _folders() - before
    host.stdout.close()


@pytest.mark.parametrize("mode", MODES)
def test_the_broker_killed_is_a_result_and_heals(mode: str) -> None:
    need(mode)
    before = _folders()
    with Sandbox(mode, modules=()) as box, box.session() as s:
        s.exec("x = 41")
        pid = s.pid
        children = Path(f"/proc/{box._backend._process.pid}/task/{box._backend._process.pid}/children")
        os.kill(int(children.read_text().split()[0]), signal.SIGKILL)
        assert _eventually(lambda: not _alive(pid or 0))
        result = s.exec("x")
        assert result.stop in (Stop.CRASH, Stop.OK, Stop.BROKEN)
        assert s.exec("x + 1").value == "42"
    assert _eventually(lambda: _folders() <= before)


def test_close_ends_everything_at_once() -> None:
    need("container")
    before = _folders()
    box = Sandbox("container", modules=())
    session = box.session()
    session.exec("1")
    pids = [kid.pid or 0 for kid in session.fork(5)]
    box.close()
    box.close()
    assert not any(map(_alive, pids))
    assert _folders() <= before


def test_a_forgotten_session_is_ended() -> None:
    need("container")
    with Sandbox("container", modules=()) as box:
        session = box.session()
        session.exec("1")
        pid = session.pid or 0
        assert _alive(pid)
        del session
        gc.collect()
        assert _eventually(lambda: not _alive(pid))


def _measure(box: Sandbox) -> dict[str, int]:
    gc.collect()
    launcher = box._backend._process.pid
    broker = int(Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()[0])

    def resident(pid: int) -> int:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4

    return {
        "host fds": len(os.listdir("/proc/self/fd")),
        "broker fds": len(os.listdir(f"/proc/{broker}/fd")),
        "processes": len(Path(f"/proc/{broker}/task/{broker}/children").read_text().split()),
        "host KB": resident(os.getpid()),
        "broker KB": resident(broker),
        "scratch folders": len(os.listdir(f"/proc/{broker}/root/scratch")) if box.capabilities.mode == "strict" else 0,
    }


def test_thousands_of_sessions_leak_nothing() -> None:
    need("strict")
    if os.geteuid() != 0:
        pytest.skip("only root may look into the broker's /proc")
    n = 10_000 if FULL else 400
    with Sandbox("strict", modules=(), limits=Limits(n_states=64)) as box:

        def one(k: int) -> None:
            s = box.session(tools={"tool": lambda: 1})
            assert s.exec("x = tool(); open('f', 'w').write('x' * 1000)").ok
            if k % 10 == 0:
                kids = s.fork(2)
                s.commit(kids[0])
            if k % 50 == 0:
                s.exec("import os; os._exit(1)")
            s.close()

        for k in range(100):
            one(k)
        _eventually(lambda: _measure(box)["processes"] == 1)
        before = _measure(box)
        for k in range(n):
            one(k)
        assert _eventually(lambda: _measure(box)["processes"] == 1)
        after = _measure(box)
    print(f"\nafter {n} sessions: {before} -> {after}")
    for what in ("host fds", "broker fds", "processes", "scratch folders"):
        assert after[what] <= before[what], (what, before, after)
    for what in ("host KB", "broker KB"):
        assert after[what] - before[what] < 4096, (what, before, after)


def test_launcher_and_broker_killed_together() -> None:
    need("container")
    with Sandbox("container", modules=()) as box:
        session = box.session()
        session.exec("x = 1")
        pid, launcher = session.pid or 0, box._backend._process.pid
        broker = int(Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()[0])
        os.kill(launcher, signal.SIGKILL)
        assert _eventually(lambda: not _alive(broker))
        assert session.exec("x + 1").value == "2"  # by the old process or by replay in a new one
        session.close()
        assert _eventually(lambda: not _alive(pid))
