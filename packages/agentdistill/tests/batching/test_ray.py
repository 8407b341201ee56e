"""Episodes on Ray: the same files as from one process, whoever is killed. One local cluster serves the whole module."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_run import files, question, recipe_with, replies, write_inputs

from agentdistill.batching import RaySettings, Work
from agentdistill.batching.ray import WorkerInfo, chunks_of, connected, load_ray
from agentdistill.errors import InfrastructureError, UserError
from agentdistill.models.scripted import Scripted
from agentdistill.pipeline import run_recipe
from agentdistill.progress import Silent
from agentdistill.recipe import Recipe
from agentdistill.store import read_traces

pytestmark = pytest.mark.timeout(900)
RAY = RaySettings(workers=2, cpus=0.5)
CLOCK = ("timing.json", "recipe.json")

# A tool runs in the worker's process, so this one ends its worker as `kill -9` does: once, or every time.
TOOLS = """
import os
from pathlib import Path

HERE = Path(__file__).parent

def fragile(i: int) -> int:
    "The number itself, if the process lives to tell."
    if (HERE / "always").exists():
        os.kill(os.getpid(), 9)
    try:
        (HERE / "killed").touch(exist_ok=False)
    except FileExistsError:
        return i
    os.kill(os.getpid(), 9)
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    pytest.importorskip("ray", reason="make test-ray installs Ray and runs this")
    with connected(RAY):
        yield


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe whose teacher meets the fragile tool in its fourth question."""
    folder = tmp_path_factory.mktemp("inputs")
    path = write_inputs(folder)
    (folder / "tools.py").write_text(TOOLS)
    return path


def recipe_of(inputs: Path, lockstep: bool, **changed: Any) -> Recipe:
    said = {question(i): replies(i) for i in range(8)}
    said[question(3)] = ["Thought: risky.\nCode:\n```py\nx = fragile(403)\nprint(x)\n```\n\nAnswer: 403", replies(3)[1]]
    settings = {"replies": said, "lockstep": lockstep, "batch_size": 2}
    recipe = recipe_with(inputs, teacher={"settings": settings}, tools={"functions": str(inputs.parent / "tools.py")})
    return replace(recipe, **changed)


def collected(recipe: Recipe, run: Path) -> dict[str, bytes]:
    return files(run_recipe(recipe, run, until="collect"), CLOCK)


@pytest.mark.parametrize("lockstep", [True, False])
def test_a_killed_worker_changes_nothing(inputs: Path, tmp_path: Path, cluster: None, lockstep: bool) -> None:
    """Collection on two workers, one of them killed at its work, after a start that was made here."""
    killed = inputs.parent / "killed"
    killed.touch()
    alone = collected(recipe_of(inputs, lockstep), tmp_path / "alone")
    assert sum(name.endswith("traces.jsonl") for name in alone) == 3
    killed.unlink()
    began = tmp_path / "shared" / "collect" / "agent"
    began.mkdir(parents=True)
    shutil.copy(tmp_path / "alone/collect/agent/begun.json", began)
    first = (tmp_path / "alone/collect/agent/traces.jsonl").read_bytes().splitlines(keepends=True)[0]
    (began / "traces.partial.jsonl").write_bytes(first + b'{"id": "q1", "pro')
    shared = collected(recipe_of(inputs, lockstep, executor="ray", ray=RAY), tmp_path / "shared")
    assert killed.exists(), "nobody was killed"
    assert shared == alone


def test_evaluation_of_local_weights_is_the_same(inputs: Path, tmp_path: Path, cluster: None) -> None:
    """Torch weights in the workers, batches of two, and the index opened by several processes."""
    student = replace(recipe_of(inputs, True).students[0], methods=("agent",))
    recipe = recipe_of(inputs, True, students=(student,))
    (inputs.parent / "killed").touch()
    alone = run_recipe(recipe, tmp_path / "alone", until="evaluate")
    shared = run_recipe(replace(recipe, executor="ray", ray=RAY), tmp_path / "shared", until="evaluate")
    assert files(shared, CLOCK) == files(alone, CLOCK)
    assert len(read_traces(shared / "evaluate" / "base--agent" / "traces.jsonl")) == 4


def test_work_that_kills_every_worker_ends_with_a_reason(inputs: Path, tmp_path: Path, cluster: None) -> None:
    """What was done by then is kept, and the run goes on from there once the cause is gone."""
    recipe = recipe_of(inputs, False, executor="ray", ray=RAY)
    recipe = replace(recipe, collect=replace(recipe.collect, compare_prefix=False))
    (inputs.parent / "always").touch()
    try:
        with pytest.raises(InfrastructureError, match=r"3 Ray workers were lost while running .* is kept"):
            run_recipe(recipe, tmp_path / "run", until="collect")
    finally:
        (inputs.parent / "always").unlink()
    saved = read_traces(tmp_path / "run" / "collect" / "agent" / "traces.partial.jsonl")
    assert saved
    done = run_recipe(replace(recipe, executor="local"), tmp_path / "run", until="collect")
    traces = {t.id: t for t in read_traces(done / "collect" / "agent" / "traces.jsonl")}
    assert len(traces) == 8
    assert all(traces[t.id] == t for t in saved)


def test_a_users_mistake_arrives_as_one(inputs: Path, tmp_path: Path, cluster: None) -> None:
    recipe = recipe_of(inputs, True, executor="ray", ray=RAY)
    teacher = replace(recipe.teacher, model="local", settings={"path": str(tmp_path / "nowhere")})
    with pytest.raises(UserError, match="nowhere"):
        run_recipe(replace(recipe, teacher=teacher), tmp_path / "run", until="collect")


@pytest.mark.parametrize("asked", [{"gpus": 1.0}, {"cpus": 4096.0}])
def test_a_worker_larger_than_any_node_is_refused(cluster: None, asked: dict[str, float]) -> None:
    """The cluster is there already, as with an address, and Ray would wait for such a node for ever."""
    with (
        pytest.raises(UserError, match=r"does not fit any node of auto"),
        connected(RaySettings(address="auto", **asked)),
    ):
        pass


def test_waiting_long_for_a_place_is_told(
    cluster: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import ray

    from agentdistill.batching import ray as ours

    @asynccontextmanager
    async def no_work() -> AsyncIterator[Work[Any]]:
        yield Work(Scripted("x"), [])

    async def enter() -> None:
        async with ours.RayCrew(no_work, RaySettings(workers=1)):
            pass

    async def wait_for_a_line_then_make_room() -> str:
        entering = asyncio.create_task(enter())
        while not (said := capsys.readouterr().err):
            await asyncio.sleep(0.2)
        ray.kill(busy)
        await entering
        return said

    monkeypatch.setattr(ours, "_PATIENCE_S", 0.5)
    busy = ray.remote(num_cpus=ray.cluster_resources()["CPU"])(type("Busy", (), {})).remote()
    ray.get(busy.__ray_ready__.remote())
    said = asyncio.run(asyncio.wait_for(wait_for_a_line_then_make_room(), 300))
    assert said.count("no Ray worker has been given a place yet") == 1
    assert "cpus = 1 and gpus = 0" in said


def test_verification_is_the_same(inputs: Path, tmp_path: Path, cluster: None) -> None:
    from agentdistill.pipeline.run import Run
    from agentdistill.pipeline.verifying import judge, sample
    from agentdistill.recipe import ProblemsSettings, Recipe, TeacherSettings, VerifySettings
    from agentdistill.verify import read_pools
    from agentdistill.verify.judging import SampleSettings
    from agentdistill.verify.verifiers import VerifierSettings

    code = {"model": "scripted", "replies": "```python\nprint(400 < 402 - 1)\n```", "batch_size": 2}
    said = {question(i): f"It stands there.\n\nAnswer: {i + 400}" for i in range(4)}
    verify = VerifySettings(
        generator={"model": "scripted", "replies": said, "batch_size": 2},
        sample=SampleSettings(n=3, temperature=0.5),
        verifiers=(
            VerifierSettings(name="toolv", role="code", model=code, k=2),
            VerifierSettings(name="gold", role="gold"),
        ),
    )
    problems = ProblemsSettings(train="", test=str(inputs.parent / "train.jsonl"), limit_test=4)
    recipe = Recipe(name="v", problems=problems, teacher=TeacherSettings(), students=(), verify=verify, ray=RAY)
    for executor in ("local", "ray"):
        run = Run(replace(recipe, executor=executor), tmp_path / executor)
        sample(run, "test", Silent())
        judge(run, "test", Silent())
    mine, theirs = (tmp_path / e / "test" / "traces.jsonl" for e in ("local", "ray"))
    assert mine.read_bytes() == theirs.read_bytes()
    pools = read_pools(mine)
    assert read_pools(theirs) == pools
    assert [[j.judge for j in said] for p in pools for said in p.judgements] == [["toolv", "gold"]] * 12


def test_without_the_extra_one_line_says_so(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from agentdistill.cli import main

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r'executor "ray" needs an extra: pip install "agentdistill\[ray\]"'):
        load_ray()
    path = tmp_path / "on_ray.toml"
    path.write_text('executor = "ray"\n' + inputs.read_text())
    assert main(["collect", str(path), "--runs", str(tmp_path / "runs")]) == 2
    assert [line for line in capsys.readouterr().err.splitlines() if "agentdistill[ray]" in line]


@given(st.booleans(), st.integers(1, 9), st.integers(1, 30), st.integers(1, 6), st.data())
def test_chunks_hold_every_episode_once_and_lockstep_keeps_its_batches(
    lockstep: bool, batch_size: int, n: int, n_workers: int, data: st.DataObject
) -> None:
    missing = data.draw(st.sets(st.integers(0, n - 1)))
    chunks = chunks_of(WorkerInfo(lockstep, batch_size, n), missing, n_workers)
    places = [i for chunk in chunks for i in chunk]
    assert len(places) == len(set(places))
    assert missing <= set(places)
    assert all(0 < len(c) <= batch_size for c in chunks)
    if lockstep:
        whole = [tuple(range(i, min(i + batch_size, n))) for i in range(0, n, batch_size)]
        assert chunks == [c for c in whole if missing & set(c)]
    else:
        assert set(places) == missing


def test_settings_that_make_no_sense_are_refused(tmp_path: Path, inputs: Path) -> None:
    from agentdistill.errors import RecipeError
    from agentdistill.recipe import load_recipe

    for line, why in (("workers = 0", "workers has to be at least 1"), ("gpus = -1", "at least 0")):
        path = tmp_path / "bad.toml"
        text = inputs.read_text()
        at = text.index("[problems]")
        path.write_text(f"{text[:at]}[ray]\n{line}\n\n{text[at:]}")
        with pytest.raises(RecipeError, match=why):
            load_recipe(path)


def test_the_executor_is_part_of_the_kept_recipe(inputs: Path, tmp_path: Path) -> None:
    from agentdistill.pipeline.run import Run
    from agentdistill.recipe import recipe_from_json

    recipe = recipe_of(inputs, True, executor="ray", ray=RAY)
    Run(recipe, tmp_path).save_recipe()
    assert recipe_from_json(json.loads((tmp_path / "recipe.json").read_text()), tmp_path) == recipe
