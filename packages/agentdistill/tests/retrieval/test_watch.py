"""Whoever builds an index sees how far it is; where nobody asked, only a long build says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agentdistill.retrieval import Passage, build_retriever, mapped, open_corpus

PASSAGES = [Passage(f"Place {i}", f"words {i}") for i in range(2500)]


class Told:
    """Progress that keeps what it was told."""

    def __init__(self) -> None:
        self.tasks: list[list[Any]] = []

    def task(self, stage: str, what: str, total: int) -> Told:
        self.tasks.append([stage, what, total, 0])
        return self

    def advance(self, n: int = 1, note: str = "") -> None:
        self.tasks[-1][3] += n

    def done(self, summary: str) -> None:
        self.tasks[-1].append("done")

    def say(self, text: str) -> None:
        """Nothing to keep."""


def test_every_passage_is_accounted_for(tmp_path: Path) -> None:
    told = Told()
    path = tmp_path / "c.jsonl"
    path.write_text('{"title": "A", "text": "one"}\n')
    open_corpus(path, tmp_path / "index", told)
    build_retriever("hybrid", PASSAGES, cache=tmp_path / "index", progress=told)
    corpus, words, names = told.tasks
    assert corpus[0] == "corpus"
    assert words == ["index", "bm25 · 2,500 passages", 2500, 2500, "done"]
    assert names == ["index", "titles · 2,500 passages", 2500, 2500, "done"]
    again = Told()
    build_retriever("hybrid", PASSAGES, cache=tmp_path / "index", progress=again)
    assert again.tasks == []  # nothing was built


def test_a_quick_build_is_silent_and_a_long_one_is_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    build_retriever("bm25", PASSAGES)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(mapped, "QUIET_S", -1.0)
    build_retriever("bm25", PASSAGES)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("index     bm25  1,000/2,500 passages")
    assert lines[-1].startswith("index     bm25  2,500/2,500 passages")
