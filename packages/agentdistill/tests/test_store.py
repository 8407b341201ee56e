"""Files that survive kills and full disks, and values that survive files."""

from __future__ import annotations

import json
import multiprocessing
import resource
import signal
from pathlib import Path

import pytest
from any_traces import samples, traces
from hypothesis import given, settings
from hypothesis import strategies as st
from made_traces import made_trace, made_traces

from agentdistill import store
from agentdistill.errors import DataError, InfrastructureError, UserError
from agentdistill.types import Problem, Sample, Sampling, Trace


@given(traces)
def test_every_trace_survives_the_round_trip(trace: Trace) -> None:
    line = store.dumps(trace)
    assert "\n" not in line
    assert line.encode()
    assert store.from_dict(Trace, json.loads(line)) == trace


@given(samples)
def test_so_does_every_sample(sample: Sample) -> None:
    assert store.from_dict(Sample, json.loads(store.dumps(sample))) == sample


@given(st.lists(traces, max_size=3))
@settings(max_examples=30)
def test_so_do_files(tmp_path_factory: pytest.TempPathFactory, some: list[Trace]) -> None:
    path = tmp_path_factory.getbasetemp() / "some.jsonl"
    store.write_jsonl(path, some)
    assert store.read_traces(path) == some


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none() | st.booleans(), max_size=5), st.randoms())
def test_a_digest_hangs_on_content_alone(value: dict, order: object) -> None:
    keys = list(value)
    order.shuffle(keys)  # type: ignore[attr-defined]
    assert store.digest({k: value[k] for k in keys}) == store.digest(value)
    assert store.digest({**value, "another": 1}) != store.digest({**value, "another": 2})


def test_file_digests_see_names_and_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "in").mkdir(parents=True)
        (tmp_path / name / "in" / "f").write_bytes(b"x" * (1 << 21))
    same = store.file_digest(tmp_path / "one")
    assert store.file_digest(tmp_path / "two") == same
    (tmp_path / "two" / "in" / "f").rename(tmp_path / "two" / "in" / "g")
    assert store.file_digest(tmp_path / "two") != same


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ([], "expected an object for Problem, got list"),
        ({"id": "1", "question": "q", "answr": "a"}, "Problem has no field 'answr'"),
        ({"id": "1", "question": "q"}, "Problem: .*answer"),
        ({"id": 1, "question": "q", "answer": "a"}, "Problem.id: expected str, got int"),
        ({"id": "1", "question": "q", "answer": "a", "aliases": "b"}, "Problem.aliases: expected a list, got str"),
        ({"id": "1", "question": "q", "answer": "a", "aliases": [3]}, "Problem.aliases: expected str, got int"),
    ],
)
def test_what_does_not_fit_is_named(data: object, why: str) -> None:
    with pytest.raises(DataError, match=why):
        store.from_dict(Problem, data)


def test_numbers_are_not_booleans() -> None:
    assert store.from_dict(Sampling, {"temperature": 1}).temperature == 1.0
    for bad in ({"max_new_tokens": True}, {"temperature": False}, {"max_new_tokens": 1.5}):
        with pytest.raises(DataError, match="expected"):
            store.from_dict(Sampling, bad)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b'{"id": 1}\nnot json\n', r"f.jsonl:2: not JSON"),
        (b"[1]\n", r"f.jsonl:1: expected an object, got list"),
        (b'\n\n{"id":"a"}\n', r"f.jsonl:3: Trace: "),
        (b'{"a": "\xff"}\n', "not UTF-8 text"),
    ],
)
def test_bad_lines_are_told_with_their_number(tmp_path: Path, text: bytes, why: str) -> None:
    path = tmp_path / "f.jsonl"
    path.write_bytes(text)
    with pytest.raises(DataError, match=why):
        list(store.read_jsonl(path)) and store.read_traces(path)
    with pytest.raises(DataError, match="No such file"):
        store.read_traces(tmp_path / "nowhere")


@given(st.integers(1, 400), st.booleans())
@settings(max_examples=40)
def test_a_torn_line_is_cut_off_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, n_lost: int, missing: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "torn.jsonl"
    path.unlink(missing_ok=True)
    if missing:
        assert store.repair_jsonl(path) == 0
    store.append_jsonl(path, made_traces(3))
    whole = path.read_bytes()
    path.write_bytes(whole[:-n_lost])
    n_whole = whole[:-n_lost].count(b"\n")
    dropped = store.repair_jsonl(path)
    assert store.read_traces(path) == made_traces(n_whole)
    assert path.stat().st_size + dropped == len(whole) - n_lost


def _limited(path: Path, size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    store.append_jsonl(path, [made_trace(0)])
    for write in (store.append_jsonl, store.write_jsonl):
        with pytest.raises(InfrastructureError, match=f"^{path}: cannot be written: File too large[^\\n]*$"):
            write(path, made_traces(40))


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_limited, args=(path, 4000))
    process.start()
    process.join(30)
    assert process.exitcode == 0
    assert store.read_traces(path) == [made_trace(0)]
    assert [p.name for p in tmp_path.iterdir()] == ["f.jsonl"]


def test_a_full_device_is_told(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="/dev/full: cannot be written: No space left on device"):
        store.append_jsonl(Path("/dev/full"), [made_trace(0)])


def test_atomic_writes_leave_the_old_file_or_the_new(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "f.json"
    store.write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        store.write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InfrastructureError, match=r"file/f\.json"):
        store.write_json(tmp_path / "file" / "f.json", {})
    (path.parent / ".f.json.123.tmp").write_text("half")
    store.sweep(tmp_path)
    assert [p.name for p in path.parent.iterdir()] == ["f.json"]


def _hold(path: Path, ready: object) -> None:
    with store.locked(path, path):
        ready.set()  # type: ignore[attr-defined]
        signal.pause()


def test_one_process_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / ".lock"
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    process = context.Process(target=_hold, args=(path, ready))
    process.start()
    assert ready.wait(30)
    monkeypatch.setattr(store, "LOCK_WAIT_S", 0.2)
    with pytest.raises(UserError, match=f"{tmp_path}: another process is working there"), store.locked(path, tmp_path):
        pass
    process.kill()
    process.join()
    with store.locked(path, tmp_path):  # a lock dies with its holder
        pass
