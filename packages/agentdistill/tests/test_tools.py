"""A typed function with a docstring is a tool; anything less is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdistill.errors import UserError
from agentdistill.retrieval import Passage, build_retriever, shortened
from agentdistill.tools import Tool, describe, load_tools, search_tool


def area(width: float, height: float = 1.0) -> float:
    """The area of a rectangle.

    Both sides in metres.
    """
    return width * height


def test_a_tool_is_described_as_python_that_parses() -> None:
    text = describe([Tool.of(area)])
    assert "def area(width: float, height: float = 1.0) -> float:" in text
    compile(text, "<stubs>", "exec")
    assert text.rstrip().endswith('"""Give the final answer and end."""')


def test_what_is_no_tool() -> None:
    def undocumented(x: int) -> int:
        return x

    def untyped(x):  # type: ignore[no-untyped-def]
        """Typed nowhere."""

    with pytest.raises(UserError, match="tool undocumented: write a docstring"):
        Tool.of(undocumented)
    with pytest.raises(UserError, match='parameter "x" has no type hint'):
        Tool.of(untyped)
    for name in ("final_answer", "two words"):
        with pytest.raises(UserError, match="cannot be the name of a tool"):
            Tool.of(area, name)


def test_a_file_of_functions(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "from math import sqrt\nfrom pathlib import Path as path_of\n"
        'def root(x: float) -> float:\n    "The square root."\n    return sqrt(x)\n'
        'def _hidden(): ...\ndef twice(x: "int") -> "int":\n    "Twice x."\n    return 2 * x\n'
    )
    tools = load_tools(path)
    assert [t.signature for t in tools] == ["root(x: float) -> float", "twice(x: int) -> int"]
    assert tools[0].function(9.0) == 3.0


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("x = 1\n", "defines no public function"),
        ("def f(:\n", "cannot be loaded: SyntaxError"),
        ("import nowhere_at_all\n", "cannot be loaded: ModuleNotFoundError"),
        ("def f(x):\n    'd'\n", "no type hint"),
        (None, "no such Python file"),
    ],
)
def test_bad_files_of_functions(tmp_path: Path, source: str | None, why: str) -> None:
    path = tmp_path / "mine.py"
    if source is not None:
        path.write_text(source)
    with pytest.raises(UserError, match=why) as e:
        load_tools(path)
    assert "\n" not in str(e.value)


def test_search_returns_numbered_passages() -> None:
    passages = [Passage("Aren", "Aren is a river in Orvia."), Passage("Orvia", "Orvia is a country.")]
    search = search_tool(build_retriever("bm25", passages), k=2).function
    assert search("river Aren").startswith("[1] Aren: Aren is a river in Orvia.")
    assert search("zzz") == search("") == "No passages found."
    assert search(42) == "No passages found."  # model code may pass anything


@given(st.text(" ab.\n!", max_size=60), st.integers(1, 70))
def test_a_cut_passage_is_the_beginning_of_the_whole_one(text: str, n_chars: int) -> None:
    cut = shortened(Passage("Aren", text), n_chars).text
    assert len(cut) <= n_chars
    if cut != text:
        assert cut.endswith(" ..."[-n_chars:])
        assert text.startswith(cut.removesuffix(" ...") if n_chars >= 4 else "")
    assert shortened(Passage("Aren", text), None).text == text


@pytest.mark.parametrize(
    ("n_chars", "cut"),
    [
        (80, "Aren is a river in Orvia, 70 km long. It floods in May."),
        (51, "Aren is a river in Orvia, 70 km long. It floods ..."),
        (44, "Aren is a river in Orvia, 70 km long. ..."),
        (36, "Aren is a river in Orvia, 70 km ..."),
        (4, " ..."),
    ],
)
def test_search_cuts_passages_at_sentences_and_words(n_chars: int, cut: str) -> None:
    passages = [Passage("Aren", "Aren is a river in Orvia, 70 km long. It floods in May.")]
    search = search_tool(build_retriever("bm25", passages), passage_chars=n_chars).function
    assert search("river") == f"[1] Aren: {cut}"
