"""A corpus on disk is the corpus in memory: the same passages, the same hash, the same search."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_traces import source_environment

from agentdistill.errors import DataError, InfrastructureError
from agentdistill.retrieval import Passage, build_retriever, load_corpus, mapped, open_corpus
from agentdistill.retrieval.mapped import corpus_digest
from agentdistill.store import digest

ROWS = st.lists(
    st.tuples(st.text(max_size=9), st.text(max_size=30)).filter(lambda r: bool(r[0].strip() or r[1].strip())),
    min_size=1,
    max_size=12,
)


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps({"title": t, "text": x}) + "\n" for t, x in rows), encoding="utf-8")
    return path


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(ROWS)
def test_it_is_what_loading_gives(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    path = write(tmp_path / "c.jsonl", rows)
    loaded, mapped = load_corpus(path), open_corpus(path, tmp_path / "index")
    assert list(mapped) == loaded
    assert [mapped[i] for i in range(-len(loaded), len(loaded))] == [*loaded, *loaded]
    assert mapped[1:5] == loaded[1:5]
    assert mapped.digest == corpus_digest(loaded) == digest([(p.title, p.text) for p in loaded])
    with pytest.raises(IndexError):
        mapped[len(loaded)]


@pytest.mark.parametrize("kind", ["bm25", "hybrid"])
def test_search_over_it_is_search_in_memory(tmp_path: Path, kind: str) -> None:
    rows = [(f"River {i}", f"River {i} is {i * 7} km long and flows past River {i // 2}.") for i in range(300)]
    path = write(tmp_path / "c.jsonl", rows)
    here = build_retriever(kind, load_corpus(path))
    there = build_retriever(kind, open_corpus(path, tmp_path / "index"), cache=tmp_path / "index")
    for query in ("River 17", "which river is 70 km long", "past River 4", "unheard", ""):
        assert there.search(query, 7) == here.search(query, 7)
    assert there.corpus == here.corpus


def test_it_is_written_once_and_found_by_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = tmp_path / "index"
    path = write(tmp_path / "c.jsonl", [("A", "one"), ("B", "two")])
    open_corpus(path, index)
    with monkeypatch.context() as m:
        m.setattr(mapped, "_write_corpus", lambda *a: pytest.fail("written again"))
        open_corpus(path, index)
        open_corpus(path.rename(tmp_path / "d.jsonl"), index)
    write(tmp_path / "d.jsonl", [("A", "one"), ("B", "too")])
    assert [p.text for p in open_corpus(tmp_path / "d.jsonl", index)] == ["one", "too"]
    assert len(list(index.glob("corpus-*"))) == 2


def test_one_content_in_two_forms_shares_its_index(tmp_path: Path) -> None:
    index = tmp_path / "index"
    write(tmp_path / "c.jsonl", [("A", "one"), ("B", "two")])
    (tmp_path / "c.json").write_text('{"A": ["one"], "B": "two"}')
    for name in ("c.jsonl", "c.json"):
        build_retriever("bm25", open_corpus(tmp_path / name, index), cache=index)
    assert len(list(index.glob("corpus-*"))) == 2
    assert len(list(index.glob("bm25-*"))) == 1


def test_large_files_are_hashed_again_only_when_they_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped, "LARGE", 0)
    index, path = tmp_path / "index", write(tmp_path / "c.jsonl", [("A", "one")])
    now = time.time_ns()
    monkeypatch.setattr(mapped.time, "time_ns", lambda: now)
    open_corpus(path, index)
    assert not (index / "files.json").exists()  # it changed a moment ago
    monkeypatch.setattr(mapped.time, "time_ns", lambda: now + 5_000_000_000)
    open_corpus(path, index)
    with monkeypatch.context() as m:
        m.setattr(mapped, "file_digest", lambda p: pytest.fail("hashed again"))
        open_corpus(path, index)
    times = path.stat()
    write(path, [("A", "two")])
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # as a copy that keeps times would
    assert [p.text for p in open_corpus(path, index)] == ["two"]
    (index / "files.json").write_text("[")
    assert [p.text for p in open_corpus(path, index)] == ["two"]


def test_several_at_once_write_it_once(tmp_path: Path) -> None:
    path = write(tmp_path / "c.jsonl", [(f"T{i}", f"words {i}") for i in range(200)])
    index = tmp_path / "index"
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: open_corpus(path, index).digest, range(16)))
    assert len(set(found)) == 1
    assert [p.name for p in index.iterdir()] == [f"corpus-{p.name.split('-')[1]}" for p in index.iterdir()]


KILLED = """
import os, sys
from agentdistill.retrieval import build_retriever, open_corpus, bm25, mapped
from agentdistill.retrieval.corpus import read_corpus
what, path, index = sys.argv[1:]
def dying(rows):
    for n, p in enumerate(rows):
        if n == 150:
            os._exit(9)
        yield p
if what == "corpus":
    mapped.read_corpus = lambda source: dying(read_corpus(source))
corpus = open_corpus(path, index_path := __import__("pathlib").Path(index))
whole = bm25.build_postings
bm25.build_postings = lambda passages, *a, **k: whole(dying(passages), *a, **k)
build_retriever("bm25", corpus, cache=index_path)
"""


@pytest.mark.parametrize("what", ["corpus", "index"])
def test_a_killed_build_leaves_nothing_that_is_taken_for_whole(tmp_path: Path, what: str) -> None:
    path = write(tmp_path / "c.jsonl", [(f"T{i}", f"words {i}") for i in range(200)])
    index = tmp_path / "index"
    command = [sys.executable, "-c", KILLED, what, str(path), str(index)]
    assert subprocess.run(command, env=source_environment()).returncode == 9
    left = {p.name.split("-")[0] for p in index.iterdir() if not p.name.endswith((".part", ".lock"))}
    assert left == (set() if what == "corpus" else {"corpus"})
    corpus = open_corpus(path, index)
    assert build_retriever("bm25", corpus, cache=index).search("words 199", 1) == [Passage("T199", "words 199")]
    assert sorted(p.name.split("-")[0] for p in index.iterdir()) == ["bm25", "corpus"]


def test_what_is_wrong_is_said_and_nothing_is_left(tmp_path: Path) -> None:
    index = tmp_path / "index"
    (tmp_path / "c.jsonl").write_text('{"title": "A", "text": "x"}\n{"title": "B"}\n')
    with pytest.raises(DataError, match=r'c\.jsonl:2: no "text"'):
        open_corpus(tmp_path / "c.jsonl", index)
    (tmp_path / "e.jsonl").write_text("\n")
    with pytest.raises(DataError, match="no passages in this corpus"):
        open_corpus(tmp_path / "e.jsonl", index)
    with pytest.raises(DataError, match="no such corpus"):
        open_corpus(tmp_path / "missing.jsonl", index)
    assert list(index.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(InfrastructureError, match="fix that"):
        open_corpus(write(tmp_path / "d.jsonl", [("A", "x")]), tmp_path / "file")


@pytest.mark.parametrize(("name", "data"), [("text.bin", b"x"), ("ends.i64", b"1234567"), ("corpus.json", b"[]")])
def test_a_damaged_copy_is_named_with_the_way_out(tmp_path: Path, name: str, data: bytes) -> None:
    path = write(tmp_path / "c.jsonl", [("A", "one"), ("B", "two")])
    open_corpus(path, tmp_path / "index")
    (folder,) = (tmp_path / "index").iterdir()
    (folder / name).write_bytes(data)
    with pytest.raises(InfrastructureError, match="delete it and try again"):
        open_corpus(path, tmp_path / "index")


def test_half_a_surrogate_pair_survives(tmp_path: Path) -> None:
    (tmp_path / "c.jsonl").write_text('{"title": "A", "text": "x \\ud800 y"}\n')
    mapped = open_corpus(tmp_path / "c.jsonl", tmp_path / "index")
    assert mapped[0].text == "x \ud800 y"
    assert mapped.digest == corpus_digest(load_corpus(tmp_path / "c.jsonl"))
    build_retriever("bm25", mapped, cache=tmp_path / "index").search("x", 1)
