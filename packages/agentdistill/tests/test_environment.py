"""What a step of code gives: status, observation, answer and the tools it called."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentdistill.environment import Environment, Workspace, shorten
from agentdistill.errors import DataError, InfrastructureError, UserError
from agentdistill.sandbox import Limits, SandboxBroken
from agentdistill.tools import Tool
from agentdistill.types import StepStatus


def look(place: str, n: int = 1) -> str:
    """Look at a place."""
    if place == "nowhere":
        raise KeyError(place)
    return f"{n} x {place}"


@pytest.fixture(scope="module")
def environment() -> Iterator[Environment]:
    limits = Limits(wall_s=1.5, memory_mb=256)
    with Environment([Tool.of(look)], mode="process", limits=limits, observation_chars=400) as made:
        yield made


@pytest.fixture
def workspace(environment: Environment) -> Iterator[Workspace]:
    made = environment.open()
    yield made
    made.close()


@pytest.mark.parametrize(
    ("code", "status", "shown"),
    [
        ("print('a'); print('b')", StepStatus.OK, "a\nb"),
        ("x = 1", StepStatus.OK, "(nothing was printed)"),
        ("3 * 7", StepStatus.OK, "21"),
        ("print('a')\n3 * 7", StepStatus.OK, "a"),
        ("x = (", StepStatus.SYNTAX, "Error: SyntaxError: '(' was never closed (line 1)"),
        ("if 1:\nx", StepStatus.SYNTAX, "Error: IndentationError: "),
        (
            "print('a')\nundefined",
            StepStatus.EXCEPTION,
            "a\nError: NameError: name 'undefined' is not defined (line 2)",
        ),
        ("int('x')", StepStatus.EXCEPTION, "Error: ValueError: "),
        ("import sys; sys.exit(1)", StepStatus.EXCEPTION, "Error: SystemExit: 1"),
        ("print(look('nowhere'))", StepStatus.EXCEPTION, "KeyError"),
        ("look()", StepStatus.EXCEPTION, "TypeError"),
    ],
)
def test_steps(workspace: Workspace, code: str, status: StepStatus, shown: str) -> None:
    done = workspace.run(code)
    assert done.status is status
    assert shown in done.observation
    assert done.answer is None
    assert "cell" not in done.observation


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("final_answer('Aren')", "Aren"),
        ("final_answer(12.50)", "12.5"),
        ("final_answer([1, 'b'])", "[1, 'b']"),
        ("final_answer(None)", "None"),
        ("final_answer('')", ""),
        ("for i in range(9):\n    final_answer(i)", "0"),
    ],
)
def test_the_final_answer_ends_the_step(workspace: Workspace, code: str, answer: str) -> None:
    done = workspace.run(code)
    assert (done.status, done.answer) == (StepStatus.FINAL, answer)


def test_limits_are_the_models_mistakes(workspace: Workspace) -> None:
    workspace.run("kept = 5")
    late = workspace.run("while True: pass")
    assert late.status is StepStatus.TIMEOUT
    assert "TimeoutError" in late.observation
    assert workspace.run("print(kept)").observation == "5"
    large = workspace.run("x = bytearray(2 * 10**9)")
    assert large.status in (StepStatus.LIMIT, StepStatus.EXCEPTION)
    assert "emory" in large.observation
    gone = workspace.run("kept = 6\nimport os\nos._exit(3)")
    assert gone.status is StepStatus.LIMIT
    assert "Variables are as they were before this step." in gone.observation
    assert workspace.run("print(kept)").observation == "5"


def test_tool_calls_are_recorded_step_by_step(workspace: Workspace) -> None:
    done = workspace.run("print(look('sea', n=2))\ntry:\n    look('nowhere')\nexcept Exception:\n    pass")
    assert done.observation == "2 x sea"
    first, second = done.tool_calls
    assert (first.name, first.result, first.ok) == ("look", "2 x sea", True)
    assert json.loads(first.arguments) == {"args": ["sea"], "n": 2}
    assert (second.result, second.ok) == ("KeyError: 'nowhere'", False)
    assert workspace.run("1").tool_calls == ()


def test_sessions_share_nothing(environment: Environment) -> None:
    a, b = environment.open(), environment.open()
    a.run("x = 1")
    assert b.run("x").status is StepStatus.EXCEPTION
    a.close()
    b.close()


def test_long_output_loses_its_middle(workspace: Workspace) -> None:
    shown = workspace.run("print('a' * 1000 + 'b' * 1000)").observation
    assert len(shown) < 460
    assert shown.startswith("aaa")
    assert shown.endswith("bbb")
    assert "[... 1600 characters left out ...]" in shown
    assert shorten("abc", 3) == "abc"


def unreachable(query: str) -> str:
    """Ask a server that is down."""
    raise InfrastructureError(f"no answer to {query}")


@pytest.mark.parametrize(
    "code",
    ["print(unreachable('a'))", "try:\n    unreachable('a')\nexcept BaseException:\n    final_answer('none')"],
    ids=["raised", "caught by the model's code"],
)
@pytest.mark.parametrize("forked", [False, True])
def test_a_tool_that_the_world_fails_is_a_fault(code: str, forked: bool) -> None:
    with Environment([Tool.of(unreachable)], mode="process") as environment:
        workspace = environment.open()
        with pytest.raises(InfrastructureError, match="no answer to a"):
            (workspace.fork()[0] if forked else workspace).run(code)
        assert environment.open().run("1 + 1").observation == "2"


def test_a_hundred_episodes_may_vote_at_once() -> None:
    """More states, and more open files, than most programs need or are given."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, hard), hard))
    try:
        with Environment() as environment, contextlib.closing(environment.open()) as workspace:
            workspace.run("x = 1")
            forks = workspace.fork(560)
            assert {f.run("x + 1").observation for f in forks[::80]} == {"2"}
            assert forks[-1].run("x + 1").observation == "2"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_broken_sandbox_is_a_fault_and_a_missing_one_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = Environment(mode="process")
    workspace = environment.open()
    workspace.run("x = 1")
    environment.close()
    workspace.close()
    with pytest.raises(InfrastructureError, match="the sandbox failed"):
        workspace.run("x")
    with pytest.raises(InfrastructureError, match="the sandbox failed"):
        environment.open()

    def broken(self: object) -> None:
        raise SandboxBroken("no more processes")

    with Environment(mode="process") as another:
        for backend in ("forked.ForkedBackend", "portable.PortableBackend"):
            monkeypatch.setattr(f"agentdistill.sandbox.{backend}.spawn", broken)
        with pytest.raises(InfrastructureError, match="the sandbox failed: no more processes"):
            another.open().run("1")
    monkeypatch.undo()
    monkeypatch.setattr("agentdistill.sandbox.session.has_linux_layers", lambda: False)
    with Environment(mode="strict") as missing, pytest.raises(UserError, match="no strict sandbox on this machine"):
        missing.open()


def test_a_saved_workspace_goes_on_in_another_environment(workspace: Workspace, tmp_path: Path) -> None:
    actions = ["n = 1", "seen = look('mill')", "print(n, seen)\nlook('ford', 2)", "final_answer(seen)"]
    for action in actions[:2]:
        workspace.run(action)
    workspace.save(tmp_path / "state")
    whole = [workspace.run(action) for action in actions[2:]]
    asked: list[str] = []

    def look(place: str, n: int = 1) -> str:
        """Look at a place."""
        asked.append(place)
        return f"{n} x {place}"

    with Environment([Tool.of(look)], mode="process", observation_chars=400) as other:
        restored = other.restore(tmp_path / "state")
        assert restored.differing == ()
        assert [restored.run(action) for action in actions[2:]] == whole
    assert asked == ["ford"]


def test_states_that_cannot_be_saved_or_restored(
    environment: Environment, workspace: Workspace, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="No such file or directory"):
        workspace.save(tmp_path / "none" / "state")
    (tmp_path / "state").write_text('{"format": 1, "cells": [')
    with pytest.raises(DataError, match="state: torn, or no saved state"):
        environment.restore(tmp_path / "state")
    workspace.save(tmp_path / "state")
    with Environment(mode="process") as bare, pytest.raises(DataError, match="the tools look, which are missing here"):
        bare.restore(tmp_path / "state")
