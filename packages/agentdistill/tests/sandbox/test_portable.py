"""The weak nodes for other systems, which fork by replay."""

from __future__ import annotations

import pytest

from agentdistill.sandbox import Limits, Sandbox, SandboxUnavailable, Stop, session


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "has_linux_layers", lambda: False)


@pytest.mark.usefixtures("elsewhere")
def test_refused_unless_asked_for() -> None:
    with pytest.raises(SandboxUnavailable, match="mode='process' gives a weak one"):
        Sandbox().start()
    with Sandbox(allow_weak=True, modules=()) as box:
        assert box.capabilities.mode == "process"


@pytest.mark.usefixtures("elsewhere")
def test_session_and_fork_by_replay() -> None:
    calls = []
    tools = {"tool": lambda: calls.append(1) or len(calls)}
    with Sandbox("process", modules=(), limits=Limits(wall_s=5.0), tools=tools) as box, box.session() as s:
        assert s.exec("import random\nx = [tool(), random.random()]\nprint('a')\nx[0]").value == "1"
        a, b = s.fork(2)
        assert a.exec("x").value == b.exec("x").value == s.exec("x").value
        assert len(calls) == 1
        assert a.exec("x = 7; x").value == "7"
        s.commit(a)
        assert s.exec("x").value == "7"
        assert s.exec("sum(range(10**12))", wall_s=0.2).stop is Stop.TIMEOUT
        assert s.exec("import os; os._exit(3)").stop is Stop.CRASH
        assert s.exec("x").value == "7"
        assert s.exec("1 / 0").stop is Stop.ERROR
        assert s.exec("bytearray(10**10)").stop is Stop.MEMORY
