"""Forks: what they share with the state they came from, and what they must not."""

from __future__ import annotations

import threading

import pytest

from agentdistill.sandbox import Limits, Sandbox, Stop

from .conftest import need


def test_fork_commit_drop(box: Sandbox) -> None:
    with box.session() as s:
        s.exec("x = [1]")
        kids = s.fork(4)
        for n, kid in enumerate(kids):
            assert kid.exec(f"x.append({n}); x").value == f"[1, {n}]"
        assert s.exec("x").value == "[1]"
        s.commit(kids[3])
        kids[0].drop()
        assert s.exec("x").value == "[1, 3]"
        assert kids[1].exec("x").value == "[1, 1]"
        assert s.log == ("x = [1]", "x.append(3); x", "x")


def test_a_fork_of_a_fork_of_a_fork(box: Sandbox) -> None:
    with box.session() as s:
        s.exec("x = 0")
        for _ in range(20):
            (kid,) = s.fork()
            kid.exec("x += 1")
            s.commit(kid)
        assert s.exec("x").value == "20"


def test_only_a_fork_can_be_committed(box: Sandbox) -> None:
    with box.session() as s, box.session() as other, pytest.raises(ValueError, match="fork"):
        s.commit(other)


@pytest.mark.parametrize("mode", ["strict", "container"])
def test_scratch_is_forked_with_open_files(mode: str) -> None:
    need(mode)
    with Sandbox(mode, modules=()) as box, box.session() as s:
        s.exec("import os\nos.mkdir('d')\nf = open('d/log', 'w+')\nf.write('one ')\nf.flush()\nr, w = os.pipe()")
        a, b = s.fork(2)
        for kid, word in ((a, "A"), (b, "B"), (s, "S")):
            kid.exec(f"f.write({word!r}); f.flush()")
        for kid, word in ((a, "A"), (b, "B"), (s, "S")):
            assert kid.exec("f.seek(0), f.read(), open('d/log').read()").value == f"(0, 'one {word}', 'one {word}')"
        a.exec("os.write(w, b'from the fork')")
        assert s.exec("os.set_blocking(r, False)\nos.read(r, 100)").error.type == "BlockingIOError"  # type: ignore[union-attr]


def test_timeout_and_crash_lose_no_state(box: Sandbox) -> None:
    with box.session() as s:
        s.exec("x = add(1, 1)\nimport random\ny = random.random()")
        before = s.exec("y").value
        result = s.exec("x = 99\nsum(range(10**12))", wall_s=0.2)
        assert (result.stop, result.state_lost) == (Stop.TIMEOUT, True)
        assert s.exec("x, y").value == f"(2, {before})"
        assert s.exec("import os; os._exit(1)").stop is Stop.CRASH
        assert s.exec("x, y").value == f"(2, {before})"


def test_soft_timeout_keeps_what_was_done(box: Sandbox) -> None:
    with box.session() as s:
        result = s.exec("x = 5\nwhile True: pass", wall_s=0.2)
        assert (result.stop, result.state_lost) == (Stop.TIMEOUT, False)
        assert 0.15 < result.seconds < 1.5
        assert s.exec("x").value == "5"


def test_a_step_on_a_fork_needs_no_replay(best: Sandbox) -> None:
    with best.session() as s:
        s.exec("import time; x = time.time()")
        before = s.exec("x").value
        (trial,) = s.fork()
        assert trial.exec("import os; os._exit(1)").state_lost
        assert s.exec("x").value == before
        (trial,) = s.fork()
        assert trial.exec("x").value == before
        s.commit(trial)
        assert s.exec("x").value == before


def test_replay_does_not_call_tools_again(box: Sandbox) -> None:
    calls = []

    def count() -> int:
        calls.append(1)
        return len(calls)

    with box.session(tools={"count": count}) as s:
        s.exec("x = [count(), count()]")
        s.exec("import os; os._exit(1)")
        assert s.exec("x").value == "[1, 2]"
        assert len(calls) == 2


def test_limits_of_a_session_run_out(box: Sandbox) -> None:
    with box.session(limits=Limits(session_wall_s=0.4)) as s:
        assert s.exec("x = 1").ok
        assert s.exec("while True: pass").stop is Stop.TIMEOUT
        assert s.exec("while True: pass").stop is Stop.TIMEOUT
        assert s.exec("x").stop is Stop.TIMEOUT


def test_too_many_states_is_a_result_not_an_exception() -> None:
    need("strict")
    with Sandbox("strict", modules=(), limits=Limits(n_states=3)) as box, box.session() as s:
        s.exec("x = 1")
        results = [kid.exec("x") for kid in s.fork(5)]
        assert [result.value for result in results[:2]] == ["1", "1"]
        assert results[4].stop is Stop.BROKEN
        assert s.exec("x").value == "1"


_QUIET = """
import sys
fork = sys.modules["_sandbox.isolation"].fork_as_sibling
def hide(self, size):
    self._take(size)
    if fork() == 0:
        while True: pass
sys.modules["_sandbox.template"].Forker.__call__ = hide
"""


def test_a_state_that_forks_in_secret_costs_nobody_else_a_fork(best: Sandbox) -> None:
    with best.session() as hostile, best.session() as honest:
        assert hostile.exec(_QUIET).ok
        honest.exec("x = 1")
        broken = threading.Thread(target=lambda: hostile.fork(1))
        broken.start()
        while broken.is_alive():
            (kid,) = honest.fork()
            assert kid.exec("x").value == "1"
            assert kid.log == ("x = 1", "x")
            kid.drop()
        broken.join()
        assert honest.exec("x").value == "1"


def test_a_replay_is_not_held_to_the_speed_of_the_first_run() -> None:
    need("container")
    with Sandbox("container", modules=(), limits=Limits(wall_s=0.2)) as box, box.session() as s:
        assert s.exec("import time; time.sleep(0.6); x = 1", wall_s=20.0).ok
        assert s.exec("import os; os._exit(3)", wall_s=20.0).state_lost
        assert s.exec("x", wall_s=20.0).value == "1"


def test_files_a_short_cell_left_do_not_prevent_its_replay() -> None:
    need("container")
    with Sandbox("container", modules=(), limits=Limits(scratch_mb=1)) as box, box.session() as s:
        assert not s.exec("try: open('big', 'wb').write(bytes(3 << 20))\nexcept OSError: y = 1").state_lost
        assert s.exec("import time; time.sleep(0.3); y").value == "1"  # long enough to be looked at
        assert s.exec("import os; os._exit(3)").state_lost
        assert s.exec("y").value == "1"


def test_hundreds_of_forks_of_one_state_at_once() -> None:
    """More orders than fit into its socket: they wait in the broker, which never waits for a state."""
    with Sandbox(modules=(), limits=Limits(n_states=600)) as box, box.session() as session:
        session.exec("x = 1")
        kids = session.fork(400)
        assert {kid.exec("x + 1").value for kid in kids[::40]} == {"2"}
        assert box.session().exec("3").value == "3"
