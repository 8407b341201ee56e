"""Bad input and a bad world: one clear line, a status that is not zero, no traceback, and nothing lost."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from small_run import files, write_inputs
from tiny_models import save_checkpoint
from unwell import Unwell, serve
from warm import Nursery, shared_nursery, wait_for

from agentdistill import store
from agentdistill.cli import main

Fails = Callable[..., str]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module")
def nursery() -> Nursery:
    return shared_nursery()


@pytest.fixture(scope="module")
def unwell() -> Iterator[Unwell]:
    with serve() as server:
        yield server


def one_line(said: str) -> str:
    """The error, after any lines of progress; nothing else may be said."""
    assert "Traceback" not in said, said
    lines = [line for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("agentdistill: ")]
    assert len(errors) == 1, said
    assert lines[-1] == errors[0]
    progress = r"(collect|filter|train|evaluate|report)  |.* is kept as |.* are taken over|.*it/s\]|and \d+ more"
    assert all(re.match(progress, line) or "skipped" in line for line in lines[:-1]), said
    return errors[0]


@pytest.fixture
def fails(inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Fails:
    """Runs a verb on the small recipe with parts of its text replaced; gives the line that it failed with."""

    def go(*changes: tuple[str, str], verb: str = "run", status: int = 2) -> str:
        text = inputs.read_text()
        for old, new in changes:
            assert re.search(old, text, re.DOTALL), old
            text = re.sub(old, lambda _: new, text, count=1, flags=re.DOTALL)  # noqa: B023
        (tmp_path / "small.toml").write_text(text)
        assert main([verb, str(tmp_path / "small.toml"), "--runs", str(tmp_path / "runs")]) == status
        captured = capsys.readouterr()
        assert captured.out == ""
        return one_line(captured.err)

    return go


TEACHER = r'model = "scripted".*\Z'


def endpoint(url: str, **settings: object) -> tuple[str, str]:
    """The change that makes the teacher an endpoint."""
    given = {"url": url, "name": "t", "tries": 1, "check_prefix": False, "timeout_s": 30.0, **settings}
    return TEACHER, 'model = "endpoint"\n' + "".join(f"{k} = {json.dumps(v)}\n" for k, v in given.items())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, r"nowhere\.jsonl: "),
        ("", r"nowhere\.jsonl: no problems in it"),
        ("{not json\n", r"nowhere\.jsonl:1: "),
        ('{"question": "q"}\n', r'nowhere\.jsonl.*no "answer"'),
        ('{"answer": "a"}\n', r'nowhere\.jsonl.*no "question"'),
        ("[1, 2]\n", r"nowhere\.jsonl:1: expected an object"),
    ],
)
@pytest.mark.parametrize("split", ["train", "test"])
def test_problem_files(fails: Fails, tmp_path: Path, split: str, text: str | None, why: str) -> None:
    path = tmp_path / "nowhere.jsonl"
    if text is not None:
        path.write_text(text)
    line = fails((rf'{split} = "[^"]*"', f'{split} = "{path}"'))
    assert re.search(why, line), line
    assert line.endswith(f"({split} of [problems])")
    assert not (tmp_path / "runs").exists()


def test_what_a_recipe_names_is_told_with_its_key(fails: Fails) -> None:
    there = (r'prompt = "tiny"', 'prompt = "tiny"\nexamples = "no.jsonl"')
    assert re.search(r"no.jsonl: .* \(examples of the recipe\)", fails(there))
    there = (r'search = "', 'functions = "no.py"\nsearch = "')
    assert re.search(r"no.py: .* \(functions of \[tools\]\)", fails(there))
    assert re.search(r"/no: .* \(base of a student\)", fails((r'base = "[^"]*"', 'base = "/no"')))
    published = (r"\[train\]", '[collect.trajectories]\ncot = "no.jsonl"\n[train]')
    assert re.search(r"no.jsonl.* \(cot of \[collect.trajectories\]\)", fails(published))


def test_strict_stops_at_the_first_bad_row(fails: Fails, inputs: Path, tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    path.write_text((inputs.parent / "train.jsonl").read_text() + '{"question": "q"}\n')
    line = fails((r'train = "[^"]*"', f'train = "{path}"\nstrict = true'))
    assert 'some.jsonl:9: no "answer"' in line


@pytest.mark.parametrize("text", [None, "", "\n\n", '{"title": "a"}\n', "{"])
def test_corpora(fails: Fails, tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "corpus.jsonl"
    if text is not None:
        path.write_text(text)
    line = fails((r'search = "[^"]*"', f'search = "{path}"'))
    assert "corpus.jsonl" in line
    assert line.endswith("(search of [tools])")


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (
            "max_new_tokens = 200",
            "max_new_tokns = 200",
            r'toml:16: unknown key "max_new_tokns" in \[collect\]; did you',
        ),
        (r"\[collect\]", "[colect]", r'toml:15: unknown key "colect"; did you mean "collect"\?'),
        ("epochs = 1", 'epochs = "one"', r"toml:20: epochs has to be a whole number, got 'one'"),
        ("epochs = 1", "epochs = 0", r"toml:20: train.epochs must be at least 1, got 0"),
        ('prompt = "tiny"', 'prompt = "tinny"', r'toml:2: unknown prompt template "tinny"; did you mean "tiny"\?'),
        ('"cot-distill"', '"cot-distil"', r'toml:35: unknown method "cot-distil"; did you mean "cot-distill"\?'),
        (
            r"\[train\]",
            '[filter]\nkeep = ["rihgt_answer"]\n[train]',
            r'toml:19: unknown filter "rihgt_answer"; did you',
        ),
        ('mode = "process"', 'mode = "proces"', r'toml:13: unknown mode "proces"; did you mean "process"\?'),
        (
            'model = "scripted"',
            'model = "scriptd"',
            r'toml:38: unknown model kind "scriptd"; did you mean "scripted"\?',
        ),
        ('name = "small"', 'name = "../small"', r"toml:1: name"),
        ('name = "small"', 'name = "sm', r"small.toml: not TOML"),
        ("search = ", 'retriever = "bm52"\nsearch = ', r'toml:10: unknown retriever "bm52"; did you mean "bm25"\?'),
    ],
)
def test_recipes(fails: Fails, tmp_path: Path, old: str, new: str, why: str) -> None:
    line = fails((old, new))
    assert re.search(why, line), line
    assert not (tmp_path / "runs").exists()


def test_a_recipe_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(tmp_path / "no.toml"), "--runs", str(tmp_path)]) == 2
    assert "no.toml: No such file" in one_line(capsys.readouterr().err)


def test_an_endpoint_that_is_down(fails: Fails) -> None:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    line = fails(endpoint(f"http://127.0.0.1:{port}/v1"), verb="collect", status=1)
    assert re.search(rf"endpoint http://127.0.0.1:{port}/v1 .*; 0 of 8 trajectories are saved, run the same", line), (
        line
    )


@pytest.mark.parametrize(
    ("mood", "settings", "status", "why"),
    [
        ("slow", {"timeout_s": 0.3}, 1, r"did not answer in time.*0 of 8 trajectories are saved"),
        ("busy", {"patience_s": 1.0}, 1, r"429.*wait 30 s.*0 of 8 trajectories are saved"),
        ("garbage", {}, 1, r"0 of 8 trajectories are saved"),
        ("strange", {}, 1, r"0 of 8 trajectories are saved"),
        ("locked", {}, 2, r"401|key"),
    ],
)
def test_an_endpoint_that_misbehaves(
    fails: Fails, tmp_path: Path, unwell: Unwell, mood: str, settings: dict[str, object], status: int, why: str
) -> None:
    """What was collected while it was well is still there, and is not asked for again once it is well again."""
    unwell.mood = "well"
    well = {f"How long is the Aren {i} in km?" for i in range(3)}
    unwell.refuse = {f"How long is the Aren {i} in km?" for i in range(3, 8)}
    change = endpoint(unwell.url, **settings)
    plain = (r"methods = \[[^\]]*\]", 'methods = ["cot-distill"]')
    run = tmp_path / "runs" / "small" / "collect" / "cot"
    recipe = tmp_path / "small.toml"
    try:
        unwell.mood = mood
        line = fails(change, plain, verb="collect", status=status)
        assert re.search(why, line), line
        unwell.mood = "well"
        assert main(["collect", str(recipe), "--runs", str(tmp_path / "runs")]) == 0
        saved = [t for t in store.read_traces(run / "traces.jsonl") if t.fault is None]
        assert {t.problem.question for t in saved} == well
        unwell.mood, unwell.refuse = mood, set()
        main(["collect", str(recipe), "--runs", str(tmp_path / "runs")])
        left = run / "traces.partial.jsonl"
        left = left if left.exists() else run / "traces.jsonl"
        assert [t for t in store.read_traces(left) if t.fault is None] == saved
        unwell.mood = "well"
        unwell.asked.clear()
        assert main(["collect", str(recipe), "--runs", str(tmp_path / "runs")]) == 0
        assert not well & set(unwell.asked)
        assert len(store.read_traces(run / "traces.jsonl")) == 8
    finally:
        unwell.mood, unwell.refuse = "well", set()


def test_a_checkpoint_of_another_model(fails: Fails, inputs: Path, tmp_path: Path) -> None:
    """Weights that do not fit their config, and a tokenizer that does not fit the weights."""
    other = tmp_path / "other"
    save_checkpoint(other, hidden=16, context=512)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "intermediate_size": 48}))
    base = (r'base = "[^"]*"', f'base = "{other}"')
    line = fails(base)
    assert "other: " in line
    collected = tmp_path / "runs" / "small" / "collect" / "agent" / "traces.jsonl"
    assert len(store.read_traces(collected)) == 8  # the teacher's work is kept
    line = fails((TEACHER, f'model = "local"\npath = "{other}"\n'), verb="collect")
    assert "other: " in line
    shutil.rmtree(other)
    shutil.copytree(inputs.parent / "base", other)
    (other / "model.safetensors").write_bytes(b"not weights")
    assert "other: no causal language model could be loaded" in fails(base)
    (other / "tokenizer.json").unlink()
    assert "other: " in fails(base)


@pytest.mark.parametrize(
    ("teacher", "why"),
    [
        ('model = "local"\n', r'toml:\d+: \[teacher\] needs "path"'),
        ('model = "local"\npath = "tinyworld:77M"\n', r'no model is called "tinyworld:77M"'),
        ('model = "local"\npath = 5\n', r"toml:\d+: path has to be text, got 5"),
        ('model = "endpoint"\nname = "t"\n', r'toml:\d+: \[teacher\] needs "url"'),
        ('model = "endpoint"\nname = "t"\nurl = "localhost"\n', r'url "localhost" does not begin with http'),
        (
            'model = "endpoint"\nname = "t"\nurl = "http://x"\ntires = 2\n',
            r'key "tires" in \[teacher\]; did you mean "tries"',
        ),
        ('model = "scripted"\nreplies = {"another question" = "x"}\n', r"the script has no reply to"),
    ],
)
def test_teachers(fails: Fails, teacher: str, why: str) -> None:
    line = fails((TEACHER, teacher), verb="collect")
    assert re.search(why, line), line


def test_a_runs_folder_that_cannot_be(fails: Fails, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file in the way")
    assert "runs" in fails(status=1)
    (tmp_path / "runs").unlink()
    (tmp_path / "runs" / "small").mkdir(parents=True)
    (tmp_path / "runs" / "small" / "collect").write_text("another")
    assert "collect" in fails(status=1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_runs_folder_without_leave(fails: Fails, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir(mode=0o555)
    assert "Permission denied" in fails(status=1)


def test_damaged_files_of_a_run_are_named(fails: Fails, inputs: Path, tmp_path: Path) -> None:
    assert main(["filter", str(inputs), "--runs", str(tmp_path / "runs")]) == 0
    traces = tmp_path / "runs" / "small" / "filter" / "cot" / "traces.jsonl"
    lines = traces.read_text().splitlines()
    traces.write_text("\n".join([lines[0], lines[1][:40], *lines[2:], ""]))
    assert re.search(r"filter/cot/traces.jsonl:2: not JSON", fails(verb="train"))


def test_two_at_once(fails: Fails, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "LOCK_WAIT_S", 0.1)
    run = tmp_path / "runs" / "small"
    with store.locked(run / ".lock", run):
        assert "another process is working there; wait for it or end it" in fails()


@pytest.mark.parametrize(("limit", "verb"), [(3_000, "collect"), (60_000, "train")])
def test_a_full_disk(nursery: Nursery, inputs: Path, tmp_path: Path, limit: int, verb: str) -> None:
    """Files may not grow beyond a limit: told, and with room again the same command ends the work."""
    arguments = (verb, inputs, "--runs", tmp_path / "runs", "--json")
    status, said = nursery.run(*arguments, limit=limit)
    assert status == 1, said
    line = one_line(said)
    assert "runs" in line
    assert re.search("too large|No space|cannot be written", line), line
    before = {t.id for p in tmp_path.rglob("traces*.jsonl") for _, t in whole_lines(p)}
    status, said = nursery.run(*arguments)
    assert status == 0, said
    assert before <= {f"q{i}" for i in range(8)}
    assert not list(tmp_path.rglob(".*.tmp"))
    assert len(list((tmp_path / "runs" / "small" / verb).glob("*/manifest.json"))) == {"collect": 3, "train": 2}[verb]


def whole_lines(path: Path) -> Iterator[tuple[int, store.Trace]]:
    for n, row in store.read_jsonl(path):
        yield n, store.from_dict(store.Trace, row)


def test_interrupted_at_random_moments(nursery: Nursery, inputs: Path, tmp_path: Path) -> None:
    """Ctrl-C says what is kept; the same command goes on; the files are those of a run in peace."""
    rng = random.Random(3)
    calm = nursery.run("train", inputs, "--runs", tmp_path / "calm", "--json")
    assert calm[0] == 0, calm[1]
    n_interrupted = 0
    for part in ("collect/agent", "collect/cot", "train/base--agent-distill"):
        command = nursery.start("train", inputs, "--runs", tmp_path / "runs", "--json")
        begun = tmp_path / "runs" / "small" / part / "begun.json"
        wait_for(lambda: begun.exists() or not command.is_running)  # noqa: B023
        wait_for(lambda: False, rng.uniform(0, 0.2))
        if command.is_running:
            command.signal(signal.SIGINT)
        status, said = command.wait(), command.output
        assert status in (0, 130), said
        if status == 130:
            n_interrupted += 1
            assert one_line(said).endswith("interrupted; what was done is kept; the same command goes on from there")
    assert n_interrupted >= 2
    status, said = nursery.run("train", inputs, "--runs", tmp_path / "runs", "--json")
    assert status == 0, said
    clock = ("timing.json",)
    assert files(tmp_path / "runs", clock) == files(tmp_path / "calm", clock)


def test_interrupted_workers_say_nothing(nursery: Nursery, inputs: Path, tmp_path: Path) -> None:
    """Ctrl-C reaches a terminal's whole process group; only the command itself may speak of it."""
    command = nursery.start("collect", inputs, "--runs", tmp_path / "runs", "--jobs", 2)
    children = Path(f"/proc/{command.pid}/task/{command.pid}/children")
    assert wait_for(lambda: len(children.read_text().split()) >= 3)
    wait_for(lambda: False, 0.5)
    for pid in [*map(int, children.read_text().split()), command.pid]:
        os.kill(pid, signal.SIGINT)
    assert command.wait() == 130
    one_line(command.output)
