import json

import pytest

from agentdistill.errors import DataError
from agentdistill.retrieval import Passage, load_corpus
from agentdistill.retrieval.corpus import MAX_WORDS, split_text


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_a_list_of_passages(tmp_path):
    path = write(
        tmp_path / "c.json", [{"title": " A ", "text": "one"}, {"text": "untitled"}, {"title": "B", "contents": "x"}]
    )
    assert load_corpus(path) == [Passage("A", "one"), Passage("", "untitled"), Passage("B", "x")]


def test_titles_with_sentences_or_text(tmp_path):
    path = write(tmp_path / "c.json", {"A": ["One.", " Two.", "Three."], "B": "Four."})
    assert load_corpus(str(path)) == [Passage("A", "One. Two. Three."), Passage("B", "Four.")]


def test_a_line_each(tmp_path):
    path = write(tmp_path / "c.jsonl", '{"title": "A", "text": "é"}\n\n{"title": "B", "text": "two"}\n')
    assert load_corpus(path) == [Passage("A", "é"), Passage("B", "two")]


def test_contents_that_begin_with_their_title_in_quotes(tmp_path):
    rows = [
        {"id": "0", "contents": '"Aren"\nThe Aren is a river.\nIt is long.'},
        {"id": "1", "contents": "No title\nhere."},
        {"title": "", "contents": '"Said"\nhe.'},
    ]
    path = write(tmp_path / "wiki.jsonl", "\n".join(json.dumps(r) for r in rows))
    assert load_corpus(path) == [
        Passage("Aren", "The Aren is a river.\nIt is long."),
        Passage("", "No title\nhere."),
        Passage("", '"Said"\nhe.'),
    ]


def test_a_glob_and_a_folder_in_name_order(tmp_path):
    (tmp_path / "sub").mkdir()
    write(tmp_path / "b.md", "beta")
    write(tmp_path / "a.txt", "alpha")
    write(tmp_path / "sub" / "c.jsonl", '{"title": "C", "text": "gamma"}')
    write(tmp_path / "notes.pdf", "no")
    assert [p.text for p in load_corpus(tmp_path)] == ["alpha", "beta", "gamma"]
    assert [p.text for p in load_corpus(f"{tmp_path}/*.md")] == ["beta"]
    assert [p.text for p in load_corpus(f"{tmp_path}/**/*.jsonl")] == ["gamma"]


MARKDOWN = """Before any heading.

# Guide
Intro.

## Install ##
Run this:

```sh
# not a heading

make demo
```

### Linux
Tested.
## Use
Go on.
"""


def test_markdown_is_cut_at_headings_and_fences_stay_whole():
    assert list(split_text(MARKDOWN, "guide")) == [
        Passage("guide", "Before any heading."),
        Passage("Guide", "Intro."),
        Passage("Guide › Install", "Run this:\n\n```sh\n# not a heading\n\nmake demo\n```"),
        Passage("Guide › Install › Linux", "Tested."),
        Passage("Guide › Use", "Go on."),
    ]


def test_long_text_is_cut_at_paragraphs_and_nothing_is_lost():
    paragraphs = [f"paragraph {i} " + "word " * 38 for i in range(20)]
    passages = list(split_text("\n\n".join(paragraphs), "long"))
    assert len(passages) > 5
    assert all(len(p.text.split()) <= MAX_WORDS for p in passages)
    assert " ".join(p.text for p in passages).split() == " ".join(paragraphs).split()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("c.jsonl", '{"title": "A", "text": "x"}\n{"title": "B"}\n', 'c.jsonl:2: no "text"'),
        ("c.jsonl", '{"title": "A", "text": "x"}\nnot json\n', "c.jsonl:2: not JSON"),
        ("c.jsonl", "[1]\n", "c.jsonl:1: expected an object"),
        ("c.json", '[\n{"title": "A",\n]', "c.json:3: not JSON"),
        ("c.json", '[{"title": 5, "text": "x"}]', 'passage 1: "title" is not a string'),
        ("c.json", '{"A": 5}', "'A': \"text\" is not a string"),
        ("c.json", '{"A": [1, 2]}', '"text" is not a string'),
        ("c.json", '[{"title": "", "text": " "}]', "both empty"),
        ("c.json", '"text"', "expected a list of passages"),
        ("c.json", "[]", "no passages in this corpus"),
        ("c.md", "# Only a heading\n", "no passages in this corpus"),
        ("c.pdf", "%PDF", "cannot read a corpus from .pdf"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_place(tmp_path, name, content, words):
    with pytest.raises(DataError) as caught:
        load_corpus(write(tmp_path / name, content))
    assert words in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("row", "passage"),
    [
        ('{"title": null, "text": "x"}', Passage("", "x")),
        ('{"title": NaN, "text": "x"}', Passage("", "x")),
        ('{"title": null, "contents": "\\"A\\"\\nx"}', Passage("A", "x")),
        ('{"title": "A", "text": null}', Passage("A", "")),
        ('{"title": "A", "text": null, "contents": "x"}', Passage("A", "x")),
        ('{"question": "q", "context": [[null, ["x"]]]}', Passage("", "x")),
        ('{"question": "q", "paragraphs": [{"title": null, "paragraph_text": "x"}]}', Passage("", "x")),
    ],
)
def test_cells_that_a_table_fills_in_say_nothing(tmp_path, row, passage):
    assert load_corpus(write(tmp_path / "c.jsonl", row + "\n")) == [passage]


def test_what_is_not_there(tmp_path):
    with pytest.raises(DataError, match="no such corpus file or folder"):
        load_corpus(tmp_path / "missing.json")
    with pytest.raises(DataError, match="matches no file"):
        load_corpus(f"{tmp_path}/*.md")
    (tmp_path / "latin.txt").write_bytes("café".encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8 text"):
        load_corpus(tmp_path)


def test_a_title_of_null_is_no_title(tmp_path):
    rows = [{"title": None, "text": "One."}, {"title": None, "contents": '"Two"\nIt is two.'}]
    (tmp_path / "c.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    assert [(p.title, p.text) for p in load_corpus(str(tmp_path / "c.jsonl"))] == [("", "One."), ("Two", "It is two.")]
