"""Reading a corpus: JSON, JSONL, CSV, Parquet, Markdown and plain text, as files, folders or globs."""

from __future__ import annotations

import glob
import json
import re
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

from agentdistill.errors import DataError
from agentdistill.problems import join_sentences, open_source, passages_beside
from agentdistill.store import read_jsonl

CUT = " ..."
"""Ends a text that goes on."""
_SENTENCE_END = re.compile(r"""[.!?]['")\]”’]*(?=\s)""")
_WORD_END = re.compile(r"(?<=\S)(?=\s)")


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of the corpus. ``title`` may be empty."""

    title: str
    text: str


def shortened(p: Passage, n_chars: int | None) -> Passage:
    """The passage with a text of at most ``n_chars`` (above 0) characters, mark included; as it is for None.

    It ends with a sentence where that uses 85 % of the room, else with a word where that uses half of it.

    >>> shortened(Passage("Aren", "The Aren is a river. It floods in May."), 27).text
    'The Aren is a river. ...'
    """
    if n_chars is None or len(p.text) <= n_chars:
        return p
    room = max(n_chars - len(CUT), 0)
    end = room
    for pattern, least in ((_WORD_END, 0.5), (_SENTENCE_END, 0.85)):
        ends = [m.end() for m in pattern.finditer(p.text, 0, room + 1)]
        end = ends[-1] if ends and ends[-1] >= least * room else end
    return replace(p, text=(p.text[:end].rstrip() + CUT)[-n_chars:])


def from_contents(text: str) -> Passage:
    """A passage whose first line is its title, quoted or not, as Search-R1's corpus and servers have it.

    A single line has no title.

    >>> from_contents('"Aren"\\nThe Aren is a river.')
    Passage(title='Aren', text='The Aren is a river.')
    """
    title, newline, rest = text.strip().partition("\n")
    return Passage(unquoted(title), rest.strip()) if newline else Passage("", title)


def unquoted(title: str) -> str:
    """A title without the quotes around it."""
    title = title.strip()
    return title[1:-1].strip() if len(title) > 1 and title[0] == title[-1] == '"' else title


# --- duplicates -------------------------------------------------------------------------------------------------------


_FIRST_SLOTS = 1 << 12


class Distinct:
    """The passages of several sources, each once; ``n_duplicates`` counts those left out so far.

    Two passages are the same where title and text are. Kept of each are 64 bits, 16 to 32 bytes in all, so that tens of
    millions fit into memory; that two of 20 million different passages share them has a chance of 1 in 100,000.
    """

    def __init__(self, passages: Iterable[Passage]) -> None:
        self.n_duplicates = 0
        self._passages = passages
        self._slots, self._n = array("Q", bytes(8 * _FIRST_SLOTS)), 0  # 0: empty

    def __iter__(self) -> Iterator[Passage]:
        for p in self._passages:
            if self._is_new(hash((p.title, p.text)) & 0xFFFF_FFFF_FFFF_FFFF or 1):
                yield p
            else:
                self.n_duplicates += 1

    def _is_new(self, key: int) -> bool:
        if 2 * self._n >= len(self._slots):
            old, self._slots, self._n = self._slots, array("Q", bytes(16 * len(self._slots))), 0
            for known in old:
                if known:
                    self._put(known)
        return self._put(key)

    def _put(self, key: int) -> bool:
        """Keep a key; False where it is kept already."""
        slots, last = self._slots, len(self._slots) - 1
        at = key & last
        while found := slots[at]:
            if found == key:
                return False
            at = (at + 1) & last
        slots[at] = key
        self._n += 1
        return True


# --- JSON, a piece at a time ------------------------------------------------------------------------------------------


CHUNK = 1 << 20
"""Characters read at a time."""
_SPACE = re.compile(r"[ \t\n\r]*")


def items(path: Path) -> Iterator[tuple[str | None, Any]]:
    """``(None, value)`` for each value of a list, ``(key, value)`` for each of an object, in order.

    Raises DataError naming file and line for what is not JSON, and for a file that holds something else.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield from _json_items(_JsonText(path, file))
    except OSError as e:
        raise DataError(f"{path}: {e.strerror or e}") from e
    except UnicodeDecodeError as e:
        raise DataError(f"{path}: not UTF-8 text ({e.reason})") from e


def _json_items(text: _JsonText) -> Iterator[tuple[str | None, Any]]:
    opening = text.peek()
    if opening not in ("[", "{"):
        kind = type(text.value()).__name__
        raise DataError(f"{text.path}: expected a list of passages or an object of titles, got {kind}")
    closing = "]" if opening == "[" else "}"
    text.take(opening)
    is_first = True
    while text.peek() != closing:
        if not is_first:
            text.take(",")
        is_first = False
        key = None
        if opening == "{":
            key = text.key()
            text.take(":")
        text.peek()
        yield key, text.value()
    text.take(closing)
    if text.peek():
        raise text.error("Extra data")


class _JsonText:
    """What is left of a file to read. ``at`` is where reading stands in ``_held``, the piece that is in memory."""

    def __init__(self, path: Path, file: TextIO) -> None:
        self.path = path
        self._file = file
        self._held, self._at = "", 0
        self._n_lines = 0  # in front of what is held
        self._decoder = json.JSONDecoder()

    def error(self, why: str, line: int | None = None) -> DataError:
        line = self._n_lines + (line or self._held.count("\n", 0, self._at) + 1)
        return DataError(f"{self.path}:{line}: not JSON ({why})")

    def _more(self) -> bool:
        """Hold at least twice as much of what is not read yet; False at the end of the file."""
        chunk = self._file.read(max(CHUNK, len(self._held) - self._at))
        if not chunk:
            return False
        self._n_lines += self._held.count("\n", 0, self._at)
        self._held, self._at = self._held[self._at :] + chunk, 0
        return True

    def peek(self) -> str:
        """The next character that is no white space; empty at the end of the file."""
        while True:
            self._at += len(_SPACE.match(self._held, self._at)[0])  # type: ignore[index]  # it matches anywhere
            if self._at < len(self._held):
                return self._held[self._at]
            if not self._more():
                return ""

    def take(self, character: str) -> None:
        """Go past ``character``, which has to come next."""
        if self.peek() != character:
            raise self.error(f"Expecting '{character}'")
        self._at += 1

    def key(self) -> str:
        """Go past a string."""
        if self.peek() != '"':
            raise self.error("Expecting property name enclosed in double quotes")
        return str(self.value())

    def value(self) -> Any:
        """Go past one value, which begins right here."""
        while True:
            try:
                value, end = self._decoder.raw_decode(self._held, self._at)
            except json.JSONDecodeError as e:
                if self._more():
                    continue
                raise self.error(e.msg, e.lineno) from e
            except (RecursionError, ValueError) as e:
                raise self.error("nested too deeply" if isinstance(e, RecursionError) else "a number too long") from e
            if isinstance(value, int | float) and len(self._held) - end < 3 and self._more():
                continue  # a number may go on: "1", "1e", "1e-", "1e-5"
            self._at = end
            return value


# --- reading a corpus -------------------------------------------------------------------------------------------------


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
