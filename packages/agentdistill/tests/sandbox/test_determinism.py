"""The same cells give the same output on a fresh template and on a fork, random generators included."""

from __future__ import annotations

from agentdistill.sandbox import Sandbox

from .conftest import MODES, why_not

CELLS = (
    "import random, numpy as np",
    "a = [random.random(), random.sample(range(100), 5)]\na",
    "np.random.rand(3).tolist(), np.random.default_rng().integers(100, size=4).tolist()",
    "{'a', 'b', 'c', 'd'}, hash('text')",
    "random.Random(3).random(), np.random.default_rng(7).random()",
    "random.shuffle(a[1]); a",
)


def _run(box: Sandbox, forked: bool) -> list[str | None]:
    values = []
    with box.session() as s:
        for cell in CELLS:
            if forked:
                _, kid = s.fork(2)
                s.commit(kid)
            values.append(s.exec(cell).value)
    return values


def test_fresh_templates_and_forks_agree() -> None:
    seen = []
    for mode in MODES:
        if why_not(mode):
            continue
        for _ in range(2):
            with Sandbox(mode, seed=5) as box:
                seen += [_run(box, False), _run(box, True), _run(box, False)]
    assert all(values == seen[0] for values in seen)
    assert all(value for value in seen[0][1:])


def test_the_seed_matters(best: Sandbox) -> None:
    with Sandbox(best.capabilities.mode, seed=6) as other:
        assert _run(other, False) != _run(best, False)


def test_siblings_start_from_the_same_generator_state(box: Sandbox) -> None:
    with box.session() as s:
        s.exec("import random, numpy as np; random.random(); np.random.rand()")
        a, b = s.fork(2)
        cell = "random.random(), float(np.random.rand()), float(np.random.default_rng().random())"
        assert a.exec(cell).value == b.exec(cell).value == s.exec(cell).value
