"""Reading a corpus: JSON, JSONL, CSV, Parquet, Markdown and plain text, as files, folders or globs."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from agentdistill.errors import DataError
from agentdistill.problems import join_sentences, open_source, passages_beside
from agentdistill.retrieval._distinct import Distinct
from agentdistill.retrieval._json_stream import items
from agentdistill.retrieval._passage import Passage, from_contents
from agentdistill.store import read_jsonl

MAX_WORDS = 120
"""Prose is cut at paragraphs into passages of at most about this many words, the size retrieval papers index."""

_TEXT = {".md", ".markdown", ".txt", ".rst", ""}
_JSON = {".json"}
_LINES = {".jsonl", ".ndjson"}
_TABLES = {".csv", ".tsv", ".parquet"}
_IN_FOLDERS = (_TEXT | _JSON | _LINES) - {""}
"""A table in a folder of documents is not taken for a part of them; name it, or use a glob."""
_HEADING = re.compile(r"(#{1,6})\s+(.*?)\s*#*\s*$")
_TITLED = re.compile(r'\s*"[^\n]+"[ \t]*\n')
_FENCE = re.compile(r"\s*(```|~~~)")


Sources = str | Path | Sequence[str | Path]
"""A file, glob or folder, or several of them."""


def load_corpus(source: Sources) -> list[Passage]:
    """Every passage of a file, of the files a glob matches, of the text and JSON files below a folder in name order,
    or of several of those. A passage that is there twice, title and text, is taken once.

    ``.jsonl``, ``.csv`` and ``.parquet`` hold ``{"title", "text"}`` a row, or ``{"contents"}`` that begin with the
    title in quotes on a line of its own; ``.json`` a list of those or ``{title: text or [sentence, …]}``. Rows may be
    questions that bring their passages along, as HotpotQA, 2WikiMultiHopQA and MuSiQue have them. Markdown and text are
    cut at headings and paragraphs. Raises DataError naming file and line for what cannot be read, and for a corpus
    without a passage.

    >>> load_corpus("docs/*.md")[0].title  # doctest: +SKIP
    'Tutorial'
    """
    passages = list(Distinct(read_corpus(source)))
    if not passages:
        raise DataError(f"{named(source)}: no passages in this corpus")
    return passages


def read_corpus(source: Sources) -> Iterator[Passage]:
    """The passages one at a time, so that only a piece of a file lies in memory, duplicates included. May give none."""
    for path in corpus_files(source):
        yield from _read(path)


def named(source: Sources) -> str:
    """What messages call a corpus."""
    return str(source) if isinstance(source, str | Path) else ", ".join(map(str, source))


def corpus_files(source: Sources) -> list[Path]:
    """The files that make up a corpus, in the order they are read. Raises DataError where there are none."""
    if not isinstance(source, str | Path):
        return list(dict.fromkeys(path for one in source for path in corpus_files(one)))
    source = str(source)
    path = Path(source).expanduser()
    if path.is_dir():
        found = [p for p in path.rglob("*") if p.is_file() and p.suffix.lower() in _IN_FOLDERS]
    elif path.exists():
        found = [path]
    else:
        found = [Path(p) for p in glob.glob(str(path), recursive=True) if Path(p).is_file()]
    if not found:
        what = "matches no file" if glob.has_magic(source) else "no such corpus file or folder"
        raise DataError(f"{source}: {what}")
    return sorted(found)


def _read(path: Path) -> Iterator[Passage]:
    suffix = path.suffix.lower()
    if suffix in _LINES:
        for n, row in read_jsonl(path):
            yield from passages_of(row, f"{path}:{n}")
    elif suffix in _JSON:
        yield from _read_json(path)
    elif suffix in _TABLES:
        for table_row in open_source(str(path)).rows:
            if table_row.fault:
                raise DataError(f"{table_row.where}: {table_row.fault}")
            yield from passages_of(table_row.values, table_row.where)
    elif suffix in _TEXT:
        yield from split_text(_text(path), path.stem)
    else:
        raise DataError(f"{path}: cannot read a corpus from {suffix} (use .jsonl, .json, .csv, .parquet, .md or .txt)")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as e:
        raise DataError(f"{path}: {e.strerror or e}") from e
    except UnicodeDecodeError as e:
        raise DataError(f"{path}: not UTF-8 text ({e.reason} at byte {e.start})") from e


def _read_json(path: Path) -> Iterator[Passage]:
    for n, (title, row) in enumerate(items(path), 1):
        if title is None:
            yield from passages_of(row, f"{path}: passage {n}")
        else:
            yield _passage({"title": title, "text": row}, f"{path}: {title!r}")


def passages_of(row: Any, where: str) -> Iterator[Passage]:
    """The passage that a row is, or those that it brings along with a question. Raises DataError naming ``where``."""
    if not isinstance(row, Mapping):
        raise DataError(f"{where}: expected an object with title and text, got {type(row).__name__}")
    if "text" in row or "contents" in row:
        yield _passage(row, where)
        return
    try:
        beside = passages_beside(row)
    except ValueError as e:
        raise DataError(f"{where}: {e}") from e
    if beside is None:
        yield _passage(row, where)  # says what is missing
        return
    for title, text in beside:
        yield _passage({"title": title, "text": text}, where)


def _passage(row: Mapping[str, Any], where: str) -> Passage:
    # A column that tables fill in is null, or what pandas has for it.
    title, *bodies = (None if v != v else v for v in (row.get("title"), row.get("text"), row.get("contents")))
    body = next((b for b in bodies if b is not None), "" if title and row.keys() & {"text", "contents"} else None)
    is_untitled, title = title is None, "" if title is None else title
    if isinstance(body, list) and all(isinstance(s, str) for s in body):
        body = join_sentences(body)
    if body is None:
        raise DataError(f'{where}: no "text"')
    if not isinstance(body, str) or not isinstance(title, str):
        bad = "title" if isinstance(body, str) else "text"
        raise DataError(f'{where}: "{bad}" is not a string')
    if not body.strip() and not title.strip():
        raise DataError(f'{where}: "title" and "text" are both empty')
    if is_untitled and _TITLED.match(body):
        return from_contents(body)
    return Passage(title.strip(), body.strip())


def split_text(text: str, name: str) -> Iterator[Passage]:
    """Cut Markdown or plain text into passages of whole paragraphs; the title is the path of headings, or ``name``."""
    headings: list[str] = []
    block: list[str] = []
    for paragraph in _paragraphs(text):
        heading = _HEADING.fullmatch(paragraph)
        full = sum(len(p.split()) for p in block) + len(paragraph.split()) > MAX_WORDS
        if block and (heading or full):
            yield _section(headings, block, name)
            block = []
        if heading:
            headings = [*headings[: len(heading[1]) - 1], heading[2]]
        else:
            block.append(paragraph)
    if block:
        yield _section(headings, block, name)


def _section(headings: list[str], block: list[str], name: str) -> Passage:
    return Passage(" › ".join(h for h in headings if h) or name, "\n\n".join(block))


def _paragraphs(text: str) -> Iterator[str]:
    """Blank-line separated blocks; a heading is one by itself, and a fenced block is never cut or read for headings."""
    lines: list[str] = []
    fenced = False
    for line in [*text.splitlines(), ""]:
        if _FENCE.match(line):
            fenced = not fenced
        is_heading = not fenced and _HEADING.fullmatch(line)
        if not is_heading and (fenced or line.strip()):
            lines.append(line)
            continue
        if lines:
            yield "\n".join(lines)
            lines = []
        if is_heading:
            yield line
    if lines:
        yield "\n".join(lines)
