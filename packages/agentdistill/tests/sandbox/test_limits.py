"""Each limit stops what it is for, and says so."""

from __future__ import annotations

from agentdistill.sandbox import Limits, Sandbox, Stop

from .conftest import need


def test_memory(box: Sandbox) -> None:
    with box.session() as s:
        assert s.exec("x = bytearray(300 << 20)").stop is Stop.MEMORY
        assert s.exec("x = bytearray(100 << 20); len(x)").value == str(100 << 20)


def test_memory_of_one_session() -> None:
    need("container")
    with Sandbox("container", modules=(), limits=Limits(memory_mb=256)) as box:
        with box.session(limits=Limits(memory_mb=64)) as s:
            (kid,) = s.fork()
            for each in (s, kid):
                assert each.exec("x = bytearray(100 << 20)").stop is Stop.MEMORY
        with box.session() as s:
            assert s.exec("x = bytearray(100 << 20)").ok


def test_output_is_cut_and_a_flood_is_ended(box: Sandbox) -> None:
    with box.session() as s:
        result = s.exec("print('x' * 5000)")
        assert (result.stop, len(result.output), result.truncated) == (Stop.OK, 2000, True)
        assert s.exec("while True: print('x' * 1000)").stop is Stop.OUTPUT
        value = s.exec("'y' * 5000")
        assert value.truncated
        assert len(value.value or "") == 2000


def test_cpu_of_a_step() -> None:
    need("container")
    limits = Limits(wall_s=20.0, cpu_s=0.3)
    with Sandbox("container", modules=(), limits=limits) as box, box.session() as s:
        assert s.exec("import time; time.sleep(0.5)").ok
        result = s.exec("while True: pass")
        assert result.stop is Stop.CPU
        assert 0.25 < result.cpu_s < 1.0
        assert s.exec("1").ok


def test_scratch() -> None:
    need("container")
    with Sandbox("container", modules=(), limits=Limits(scratch_mb=2)) as box, box.session() as s:
        assert s.exec("open('big', 'wb').write(bytes(3 << 20))").stop is Stop.ERROR
        code = "import time\nfor n in range(5): open(str(n), 'wb').write(bytes(1 << 20))\ntime.sleep(0.5)"
        assert s.exec(code).stop is Stop.SCRATCH
        assert s.exec("import os; os.listdir('.')").ok


def test_modules_are_the_users_choice() -> None:
    with Sandbox("process", modules=("json",)) as box, box.session() as s:
        assert s.exec("import sys; 'json' in sys.modules, 'numpy' in sys.modules").value == "(True, False)"


def test_numpy_and_sympy(box: Sandbox) -> None:
    with box.session() as s:
        assert s.exec("import sympy; x = sympy.Symbol('x'); sympy.integrate(x**2, x)").value == "x**3/3"
        assert s.exec("import numpy as np; np.linalg.det(np.eye(50))").value == "1.0"


def test_the_bell_at_the_very_end_of_a_cell_ends_no_process(best: Sandbox) -> None:
    with best.session() as s:
        s.exec("x = 1")
        for n in range(40):
            # Ends about when the bell rings, now before and now after.
            spin = f"import time\nend = time.monotonic() + {0.018 + n * 0.0001}\nwhile time.monotonic() < end: pass"
            assert s.exec(spin, wall_s=0.02).stop in (Stop.OK, Stop.TIMEOUT)
        assert s.exec("x").value == "1"
