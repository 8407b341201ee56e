"""States on disk: saved, restored and continued is the same as never interrupted, and no tool is called twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from agentdistill.sandbox import Limits, Result, Sandbox, SandboxClosed, SavedStateError, Stop

CELLS = [
    "import random, math\nx = [random.random() for _ in range(3)]\nprint(x)",
    "def area(r):\n    return math.pi * r ** 2\narea(2)",
    "with open('notes.txt', 'w') as f:\n    print(f.write('kept'))",
    "seen = add(20, 1)\nprint(seen)",
    "1 / 0",
    "try:\n    add('a', 1, 2)\nexcept Exception as e:\n    print(type(e).__name__)",
    "steps = iter(range(10)); next(steps); log = open('notes.txt'); log.read(1)",
    "print(random.random(), area(x[0]), open('notes.txt').read(), seen, next(steps), log.read())",
    "final_answer({'seen': seen, 'x': x})",
]


def shown(result: Result) -> tuple[object, ...]:
    return result.output, result.value, result.final_answer, result.stop, result.error and result.error.message


def counted(calls: list[tuple[object, ...]]) -> Callable[..., int]:
    def add(a: int, b: int) -> int:
        calls.append((a, b))
        return a + b + 100 * len(calls)  # another answer each time: one asked again would be seen

    return add


@pytest.mark.parametrize("cut", [0, 1, 4, 7])
def test_save_restore_continue_equals_uninterrupted(box: Sandbox, tmp_path: Path, cut: int) -> None:
    first: list[tuple[object, ...]] = []
    with box.session(tools={"add": counted(first)}) as s:
        whole = [shown(s.exec(cell)) for cell in CELLS]
    calls: list[tuple[object, ...]] = []
    tools = {"add": counted(calls)}
    with box.session(tools=tools) as s:
        before = [shown(s.exec(cell)) for cell in CELLS[:cut]]
        s.save(tmp_path / "state")
    with box.restore(tmp_path / "state", tools=tools) as s:
        assert s.differing == ()
        assert s.log == tuple(CELLS[:cut])
        assert before + [shown(s.exec(cell)) for cell in CELLS[cut:]] == whole
    assert calls == first


def test_a_saved_fork_leaves_its_parent_alone_and_a_restored_state_forks(best: Sandbox, tmp_path: Path) -> None:
    with best.session() as s:
        s.exec("x = 1")
        (kid,) = s.fork()
        kid.exec("x = 2")
        kid.save(tmp_path / "kid")
        assert s.exec("x").value == "1"
    with best.restore(tmp_path / "kid") as s:
        twins = s.fork(2)
        assert [t.exec(f"x * {n}").value for n, t in enumerate(twins, 1)] == ["2", "4"]
        s.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "kid").read_bytes()


def test_a_tool_that_is_asked_more_in_a_replay_is_not_called(best: Sandbox, tmp_path: Path) -> None:
    calls: list[tuple[object, ...]] = []
    tools = {"add": counted(calls)}
    with best.session(tools=tools) as s:
        s.exec("for n in range(1):\n    add(n, 1)")
        s.save(tmp_path / "state")
    change(tmp_path / "state", source="for n in range(2):\n    add(n, 1)")  # stands for code that takes another turn
    with pytest.raises(SavedStateError, match="cell 1 could not be replayed"):
        best.restore(tmp_path / "state", tools=tools)
    assert len(calls) == 1


def test_what_cannot_be_the_same_is_told(best: Sandbox, tmp_path: Path) -> None:
    with best.session() as s:
        s.exec("x = 1")
        s.exec("import secrets\nprint(secrets.token_hex(16))")
        s.exec("object()")  # its address is another, and does not count
        s.save(tmp_path / "state")
    with best.restore(tmp_path / "state") as s:
        assert s.differing == (2,)
        assert s.exec("x").value == "1"


def test_a_cell_cut_by_its_deadline_and_a_lost_one(best: Sandbox, tmp_path: Path) -> None:
    with best.session() as s:
        s.exec("n = 0")
        assert s.exec("n += 1\nwhile True: pass", wall_s=0.3).stop is Stop.TIMEOUT
        assert s.exec("n = 100\nimport os; os._exit(1)").state_lost
        s.save(tmp_path / "state")
    with best.restore(tmp_path / "state") as s:
        assert s.exec("n").value == "1"


def test_limits_of_the_whole_session_go_on(best: Sandbox, tmp_path: Path) -> None:
    limits = Limits(session_wall_s=0.5)
    with best.session(limits=limits) as s:
        s.exec("import time; time.sleep(0.4)")
        s.save(tmp_path / "state")
    with best.restore(tmp_path / "state", limits=limits) as s:
        assert s.exec("time.sleep(5)").stop is Stop.TIMEOUT
        assert s.exec("1").stop is Stop.TIMEOUT


@pytest.fixture
def saved(best: Sandbox, tmp_path: Path) -> Path:
    with best.session(tools={"add": lambda a, b: a + b}) as s:
        s.exec("x = add(1, 2)")
        s.save(tmp_path / "state")
    return tmp_path / "state"


def test_a_torn_file_is_one_clear_error_wherever_it_is_torn(best: Sandbox, saved: Path) -> None:
    whole = saved.read_bytes()
    for n in range(len(whole.rstrip())):
        saved.write_bytes(whole[:n])
        with pytest.raises(SavedStateError, match=f"{saved}: torn, or no saved state of a session") as told:
            best.restore(saved)
        assert "\n" not in str(told.value)


def change(path: Path, **values: object) -> None:
    state = json.loads(path.read_text())
    cell = state["cells"][0]
    for name, value in values.items():
        (cell if name in cell else state)[name] = value
    path.write_text(json.dumps(state))


@pytest.mark.parametrize(
    "values",
    [
        {"format": 2}, {"format": None}, {"cells": 5}, {"cells": [5]}, {"cells": [{}]}, {"number": -1},
        {"number": 2**40}, {"wall_s": float("nan")}, {"wall_s": "1"}, {"source": 5}, {"stop": "lost it"},
        {"answers": [[1, "2"]]},
        {"answers": [[True, "\ud800"]]}, {"tools": [5]}, {"tools": 5}, {"seed": True}, {"shown": 1.5}, {"extra": 1},
    ],
)  # fmt: skip
def test_a_file_with_other_values_is_refused(best: Sandbox, saved: Path, values: dict[str, object]) -> None:
    change(saved, **values)
    with pytest.raises(SavedStateError, match="torn, or no saved state"):
        best.restore(saved)


def test_a_pickle_is_not_opened(best: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(b"cbuiltins\nprint\n(S'opened'\ntR.")
    with pytest.raises(SavedStateError, match="torn, or no saved state"):
        best.restore(tmp_path / "state")


def test_what_does_not_fit_the_sandbox_is_named(best: Sandbox, saved: Path, tmp_path: Path) -> None:
    with pytest.raises(SavedStateError, match="saved with the tools add, which are missing here"):
        best.restore(saved)
    tools = {"add": lambda a, b: a + b}
    change(saved, source="import no_such_module")
    with pytest.raises(SavedStateError, match="cell 1 could not be replayed"):
        best.restore(saved, tools=tools)
    change(saved, seed=7)
    with pytest.raises(SavedStateError, match="saved with the seed 7; this sandbox has 0"):
        best.restore(saved, tools=tools)
    with pytest.raises(SavedStateError, match="No such file"):
        best.restore(tmp_path / "none")


def test_saving_fails_without_harm(best: Sandbox, saved: Path, tmp_path: Path) -> None:
    with best.session() as s:
        with pytest.raises(FileNotFoundError):
            s.save(tmp_path / "no folder" / "state")
        assert s.exec("1").value == "1"
    with pytest.raises(SandboxClosed):
        s.save(saved)


def test_a_closed_sandbox_restores_nothing(saved: Path) -> None:
    box = Sandbox("process", modules=())
    box.close()
    with pytest.raises(SandboxClosed):
        box.restore(saved)
