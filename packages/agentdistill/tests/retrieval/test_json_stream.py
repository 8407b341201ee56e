"""A JSON file read a piece at a time gives what the standard library reads at once, and names the same faults."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentdistill.errors import DataError
from agentdistill.retrieval import corpus
from agentdistill.retrieval.corpus import items

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
WHOLE = st.lists(VALUES, max_size=8) | st.dictionaries(st.text(), VALUES, max_size=8)
in_pieces = settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])


@in_pieces
@given(WHOLE, st.integers(1, 40), st.sampled_from([None, 2]), st.booleans())
def test_pieces_of_any_size_give_the_same_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Any, chunk: int, indent: int | None, escaped: bool
) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps(whole, indent=indent, ensure_ascii=escaped), encoding="utf-8", errors="replace")
    read = json.loads(path.read_text(encoding="utf-8"))
    monkeypatch.setattr(corpus, "CHUNK", chunk)
    expected = [(None, v) for v in read] if isinstance(read, list) else list(read.items())
    assert list(items(path)) == expected


@in_pieces
@given(
    st.builds("{}{}".format, st.sampled_from("[{"), st.text(alphabet='[]{}",:\n 1ae.-\\tu', max_size=30)),
    st.integers(1, 5),
)
def test_what_is_not_json_is_refused_with_the_line_that_the_whole_would_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, chunk: int
) -> None:
    path = tmp_path / "c.json"
    path.write_text(text, encoding="utf-8", newline="")
    monkeypatch.setattr(corpus, "CHUNK", chunk)
    try:
        whole = json.loads(text)
    except json.JSONDecodeError as e:
        with pytest.raises(DataError, match=rf"c\.json:{e.lineno}: not JSON") as caught:
            list(items(path))
        assert "\n" not in str(caught.value)
    else:
        assert len(list(items(path))) >= len(whole)  # of a key that is there twice, json keeps one


@pytest.mark.parametrize("text", ['"text"', "7", "null", "true"])
def test_anything_but_a_list_or_an_object_is_no_corpus(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(DataError, match="expected a list of passages"):
        list(items(tmp_path / "c.json"))


def test_only_a_piece_of_the_file_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps([{"title": str(i), "text": "x" * 100} for i in range(2000)]))
    monkeypatch.setattr(corpus, "CHUNK", 500)
    held = []
    real = corpus._JsonText.value

    def watched(text: Any) -> Any:
        held.append(len(text._held))
        return real(text)

    monkeypatch.setattr(corpus._JsonText, "value", watched)
    assert sum(1 for _ in items(path)) == 2000
    assert max(held) < 1500


@pytest.mark.parametrize("text", ["[" * 100_000, "[" + "9" * 5000 + "]", '{"a": 1', "[1] 2", "[1,,2]", "", "{1: 2}"])
def test_hostile_files_are_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"c\.json:1: not JSON"):
        list(items(path))
