"""Reading files and hub datasets: rows that know where they are, cells as text, and the passages rows bring along."""

from __future__ import annotations

import ast
import contextlib
import csv
import datetime
import difflib
import html
import json
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from agentdistill import registry
from agentdistill.errors import DataError, InfrastructureError

_HUB = re.compile(r"(?P<name>[\w.-]+(?:/[\w.-]+)?)(?:/(?P<config>[\w.-]+))?:(?P<split>[\w.\[\]%:+-]+)")
_TOO_MUCH = "a number too long, or nested too deeply"


@dataclass(frozen=True, slots=True)
class Row:
    """One row, the place to name when it is bad, and what was wrong with it already when it was read."""

    where: str
    values: Any
    fault: str = ""


@dataclass(frozen=True, slots=True)
class RowSource:
    """An opened source: how to name it in a message, what to call its family, and its rows, read as they are used."""

    label: str
    name: str
    rows: Iterator[Row]


def open_source(source: str) -> RowSource:
    """The rows of a file or a hub dataset. Raises DataError for what is neither or cannot be read."""
    path = Path(source).expanduser()
    if path.is_file():
        return RowSource(source, path.stem, _read_file(path))
    if path.is_dir():
        raise DataError(f"{source}: is a folder; name one file of problems in it")
    match = _HUB.fullmatch(source)
    if match and not source.partition(":")[0].lower().endswith(tuple(_READERS)):
        return RowSource(source, match["name"].rpartition("/")[2], _hub(source, match))
    hint = ' (a hub dataset is written "owner/name:split")' if source.count("/") == 1 and not path.suffix else ""
    raise DataError(f"{source}: no such file{hint}")


def _read_file(path: Path) -> Iterator[Row]:
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(
            f"{path}: cannot read problems from {path.suffix or 'a file without an ending'} "
            "(use .jsonl, .json, .csv or .parquet)"
        )
    try:
        yield from reader(path)
    except OSError as e:
        raise DataError(f"{path}: {e.strerror or e}") from e
    except UnicodeDecodeError as e:
        raise DataError(f"{path}: not UTF-8 text ({e.reason} at byte {e.start})") from e


def _jsonl(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig") as f:
        for n, line in enumerate(f, 1):
            if not line.strip():
                continue
            try:
                yield Row(f"{path}:{n}", json.loads(line))
            except (ValueError, RecursionError) as e:
                yield Row(f"{path}:{n}", None, f"not JSON ({getattr(e, 'msg', _TOO_MUCH)})")


def _json(path: Path) -> Iterator[Row]:
    text = path.read_text(encoding="utf-8-sig")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as e:
        line = f":{e.lineno}" if isinstance(e, json.JSONDecodeError) else ""
        raise DataError(f"{path}{line}: not JSON ({getattr(e, 'msg', _TOO_MUCH)})") from e
    if _is_episode(data):
        yield Row(str(path), data if isinstance(data, dict) else {"steps": data})
        return
    rows = data.get("examples", data.get("data")) if isinstance(data, dict) else data
    if not isinstance(rows, list):
        raise DataError(f'{path}: expected a list of problems, or an object with "examples"')
    lines = _lines_of_items(text, rows)
    for n, row in enumerate(rows):
        yield Row(f"{path}:{lines[n]}" if lines else f"{path}: item {n + 1}", row)


def _is_episode(data: Any) -> bool:
    """Whether a whole file is one episode: ATIF's or smolagents' object with "steps", or smolagents' list of them."""
    if isinstance(data, dict):
        return isinstance(data.get("steps"), list)
    return isinstance(data, list) and bool(data) and isinstance(data[0], dict) and data[0].keys() >= _TASK_STEP


_TASK_STEP = {"task", "task_images"}
"""How smolagents' memory begins."""


def _lines_of_items(text: str, rows: list[Any]) -> list[int]:
    """The line on which each item of the list starts, or nothing where that cannot be told."""
    match = (
        re.search(r'"(?:examples|data)"\s*:\s*\[', text) if text.lstrip().startswith("{") else re.search(r"\[", text)
    )
    if match is None:
        return []
    decoder, lines, at, line, seen = json.JSONDecoder(), [], match.end(), 1, 0
    for row in rows:
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
        line += text.count("\n", seen, at)
        seen = at
        lines.append(line)
        try:
            item, at = decoder.raw_decode(text, at)
        except ValueError:
            return []
        if item != row:
            return []  # another list of the same name stands before ours
    return lines


def _csv(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", newline="") as f:
        reader = csv.DictReader(f, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
        line = 1
        try:
            for row in reader:
                start, line = line + 1, reader.line_num
                if None in row:
                    yield Row(f"{path}:{start}", None, "more cells than the header has columns")
                else:
                    yield Row(f"{path}:{start}", {k: v for k, v in row.items() if v is not None})
        except csv.Error as e:
            raise DataError(f"{path}:{line + 1}: not CSV ({e})") from e


def _parquet(path: Path) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as f:
            n = 0
            for batch in f.iter_batches(batch_size=1024):
                for values in batch.to_pylist():
                    n += 1
                    yield Row(f"{path}: row {n}", values)
    except pa.ArrowException as e:
        raise DataError(f"{path}: not Parquet ({str(e).splitlines()[0]})") from e


def _task_like(name: str) -> str:
    """What to add to a message about a hub dataset whose name may be a misspelt task's; "" where none is near."""
    near = difflib.get_close_matches(name, registry.names("tasks"), n=1, cutoff=0.8)
    return f'; or did you mean the task "{near[0]}"?' if near else ""


def _hub(source: str, match: re.Match[str]) -> Iterator[Row]:
    import datasets

    try:
        rows = datasets.load_dataset(match["name"], match["config"], split=match["split"])
    except FileNotFoundError as e:  # no such dataset, or none of its files holds data
        raise DataError(f"{source}: {_line(e)}{_task_like(match['name'])}") from e
    except OSError as e:
        offline = "HF_HUB_OFFLINE is set" if datasets.config.HF_HUB_OFFLINE else _line(e)
        why = f"the hub cannot be reached ({offline}); a file will do instead{_task_like(match['name'])}"
        raise InfrastructureError(f"{source}: {why}") from e
    except (ValueError, RuntimeError, datasets.exceptions.DatasetsError) as e:
        raise DataError(f"{source}: {_line(e)}") from e
    for n, values in enumerate(rows, 1):
        yield Row(f"{source}: row {n}", values)


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


_READERS = {
    ".jsonl": _jsonl, ".ndjson": _jsonl, ".json": _json, ".csv": _csv, ".tsv": _csv, ".parquet": _parquet,
}  # fmt: skip


# --- cells as text ----------------------------------------------------------------------------------------------------


def as_text(value: Any) -> str:
    """A scalar as the text it stands for; ``""`` for nothing, and for what is not a scalar.

    Floats keep their value exactly: whole ones lose the ``.0``, small ones are written out. Dates and times, as Parquet
    and hub datasets hold them, are written as ISO 8601 has them, a date without a time of day as a date.

    >>> as_text(13138980.0), as_text(3.509e-07), as_text(True)
    ('13138980', '0.0000003509', 'yes')
    """
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | Decimal):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        if value == int(value) and abs(value) < 2**53:
            return str(int(value))
        return f"{Decimal(repr(value)):f}" if 1e-20 < abs(value) < 1e20 else repr(value)
    if isinstance(value, datetime.datetime):
        midnight = value.time() == datetime.time() and not value.utcoffset()
        return value.date().isoformat() if midnight else value.isoformat(" ")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    item = getattr(value, "item", None)  # numpy scalars, from Parquet
    return as_text(item()) if callable(item) and getattr(value, "shape", None) == () else ""


def as_texts(value: Any) -> list[str] | None:
    """A cell of one or several answers as their texts, empty ones left out; None where it is no text at all."""
    if value is None:
        return []
    if isinstance(value, list | tuple):
        texts = [as_text(v) for v in value]
    elif isinstance(value, dict | bytes | datetime.timedelta):
        return None
    else:
        texts = [as_text(value)]
    return [t for t in texts if t]


# --- values that Python printed into a cell ---------------------------------------------------------------------------

# pandas writes a column of nested arrays as ``{'title': array(['A', 'B'], dtype=object), ...}``, over many lines. Such
# a cell is read token by token and never run. ``str`` of an array has no commas between its items; that is read too,
# where Python would join two adjacent strings into one.

_CELL_TOKEN = re.compile(
    r"""\s*(?:
        (?P<call>(?:array|(?:np|numpy)\.\w+)\s*\()
      | (?P<text>[rbuRBU]?(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"))
      | (?P<keyword>,\s*(?:dtype|shape)\s*=\s*(?:'[^']*'|\([^()]*\)|<[^<>]*>|[\w.]+))
      | (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)
      | (?P<name>True|False|None|null|true|false|nan)\b
      | (?P<mark>[\[\](){}:,]|\.\.\.)
    )""",
    re.VERBOSE | re.DOTALL,
)
_NAMES = {"True": True, "true": True, "False": False, "false": False, "None": None, "null": None, "nan": None}
_CLOSING = {"[": "]", "(": ")", "{": "}"}
_MAX_DEPTH = 20


def printed(text: str) -> Any:
    """The value that a cell shows: lists, dicts, texts, numbers, true, false or None; arrays and tuples as lists.

    Raises ValueError saying at which character it is something else. A large array that numpy shortened to ``...`` is
    refused: what it left out is lost.

    >>> printed("{'title': array(['A', \\"B's\\"], dtype=object), 'sent_id': array([0, 2], dtype=int32)}")
    {'title': ['A', "B's"], 'sent_id': [0, 2]}
    """
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(text)
    cell = _Cell(text)
    value = cell.value(0)
    if cell.kind:
        raise cell.error("the end")
    return value


class _Cell:
    """The tokens of a cell. ``kind`` and ``said`` are the next one's, empty at the end."""

    def __init__(self, text: str) -> None:
        self._text, self._end = text, 0
        self._tokens = self._scan(text)
        self.kind = self.said = ""
        self.take()

    def _scan(self, text: str) -> Iterator[tuple[str, str, int]]:
        at, end = 0, len(text.rstrip())
        while at < end:
            match = _CELL_TOKEN.match(text, at)
            if match is None:
                raise self.error("a value", at)
            yield str(match.lastgroup), match[str(match.lastgroup)], match.start(str(match.lastgroup))
            at = match.end()

    def error(self, wanted: str, at: int | None = None) -> ValueError:
        at = self._at if at is None else at
        shown = " ".join(self._text[at : at + 20].split()) or "the end"
        if shown.startswith("..."):
            return ValueError(f"numpy left out values at character {at} (...); write the file anew, in full")
        return ValueError(f"expected {wanted} at character {at}, found {shown}")

    def take(self) -> str:
        """Go past the next token and return it."""
        taken = self.said
        self.kind, self.said, self._at = next(self._tokens, ("", "", len(self._text)))
        return taken

    def value(self, depth: int) -> Any:
        """Go past one value."""
        if depth > _MAX_DEPTH:
            raise ValueError(f"nested more than {_MAX_DEPTH} deep")
        if self.kind == "call":
            self.take()
            value = self.value(depth + 1)
            while self.kind == "keyword":
                self.take()
            self._pass(")")
            return value
        if self.said in _CLOSING and self.kind == "mark":
            opening = self.take()
            return self._dict(depth) if opening == "{" else self._items(_CLOSING[opening], depth)
        if self.kind == "name":
            return _NAMES[self.take()]
        if self.kind == "number":
            number = self.take()
            return int(number) if number.lstrip("+-").isdigit() else float(number)
        if self.kind != "text":
            raise self.error("a value")
        try:
            return ast.literal_eval(self.take())
        except SyntaxError as e:  # an escape that is none, such as \x without digits
            raise ValueError(f"a text is not as Python writes it ({e.msg})") from e

    def _items(self, closing: str, depth: int) -> list[Any]:
        items = []
        while self.said != closing or self.kind != "mark":
            items.append(self.value(depth + 1))
            if self.kind == "mark" and self.said == ",":
                self.take()
        self.take()
        return items

    def _dict(self, depth: int) -> dict[Any, Any]:
        out = {}
        while self.said != "}" or self.kind != "mark":
            key = self.value(depth + 1)
            if isinstance(key, list | dict):
                raise ValueError("a list cannot be a key")
            self._pass(":")
            out[key] = self.value(depth + 1)
            if self.kind == "mark" and self.said == ",":
                self.take()
        self.take()
        return out

    def _pass(self, mark: str) -> None:
        if self.kind != "mark" or self.said != mark:
            raise self.error(f'"{mark}"')
        self.take()


# --- passages ---------------------------------------------------------------------------------------------------------

# HotpotQA and 2WikiMultiHopQA: ``context``, pairs of title and sentences or ``{"title": […], "sentences": […]}``, and
# ``supporting_facts``, pairs of title and sentence number or ``{"title": […]}``. MuSiQue: ``paragraphs`` with
# ``title``, ``paragraph_text`` and ``is_supporting``. A cell of a CSV file holds any of these as text.

_SENTENCES = ("sentences", "content", "text")
_LISTED = re.compile(r"^\[\d+\] (.*)$", re.MULTILINE)  # a passage as prompts and observations show it


def passages_beside(values: Mapping[str, Any]) -> list[tuple[str, str]] | None:
    """Title and text of each passage that a row brings along; None where it has no column of them.

    Raises ValueError saying what cannot be read.
    """
    for column, read in (("paragraphs", _paragraphs), ("context", _context)):
        if values.get(column) is not None:
            try:
                return [(title, text) for title, text, _ in read(_cell(values[column]))]
            except (TypeError, KeyError, ValueError, AttributeError) as e:
                raise ValueError(f'the passages in "{column}" cannot be read ({_why(e)})') from e
    return None


def supporting_passages(values: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    """Title, and text where the title alone does not tell it, of each passage that the answer is found in, each once.

    Raises ValueError saying what cannot be read.
    """
    try:
        found: list[tuple[str, str | None]] = (
            [(title, text) for title, text, needed in _paragraphs(_cell(values["paragraphs"])) if needed]
            if values.get("paragraphs") is not None
            else [(title, None) for title in _fact_titles(_cell(values.get("supporting_facts") or ()))]
        )
    except (TypeError, KeyError, ValueError, AttributeError) as e:
        raise ValueError(f"its supporting passages cannot be read ({_why(e)})") from e
    return list(dict.fromkeys(found))


def supporting_titles(values: Mapping[str, Any]) -> tuple[str, ...]:
    """The titles of the supporting passages, each once; none where the row does not name them in a form we read."""
    try:
        return tuple(dict.fromkeys(title for title, _ in supporting_passages(values)))
    except ValueError:
        return ()


def plain_text(text: str) -> str:
    """A title or text in one form: files of one dataset differ in HTML entities, Unicode form and blanks."""
    return " ".join(unicodedata.normalize("NFKC", html.unescape(text)).split())


def share_shown(titles: Sequence[str], texts: Sequence[str]) -> float:
    """The share of ``titles`` that are among the passages in ``texts``, each listed as ``[1] Title: text``.

    The list does not say where a title ends, so that "Alien" counts where "Alien: Covenant" is listed.

    >>> share_shown(["Aren", "Velmora"], ["[1] Aren: The Aren is a river.\\n[2] Velm: A hill."])
    0.5
    """
    listed = [plain_text(line) for text in texts for line in _LISTED.findall(text)]
    return sum(any(line.startswith(f"{plain_text(t)}:") for line in listed) for t in titles) / len(titles)


def join_sentences(sentences: Sequence[str]) -> str:
    """Sentences as one text; those of HotpotQA begin with the space that goes before them, others' do not."""
    return "".join(s if s[:1].isspace() or not i else f" {s}" for i, s in enumerate(sentences))


def _why(error: Exception) -> str:
    return str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"


def _cell(value: Any) -> Any:
    """A column's value; a text is what Python or JSON wrote into a cell."""
    return printed(value) if isinstance(value, str) else value


def _context(context: Any) -> Iterator[tuple[str, str, bool]]:
    if isinstance(context, Mapping):
        titles = context["title"]
        bodies = next((context[c] for c in _SENTENCES if c in context), None)
        if bodies is None or len(titles) != len(bodies):
            raise ValueError("it needs as many sentence lists as titles")
        context = list(zip(titles, bodies, strict=True))
    for title, body in context:
        text = body if isinstance(body, str) else join_sentences(body)
        yield _checked("" if title is None else title), text, False


def _paragraphs(paragraphs: Any) -> Iterator[tuple[str, str, bool]]:
    for paragraph in paragraphs:
        text = paragraph["paragraph_text"] if "paragraph_text" in paragraph else paragraph["text"]
        if not isinstance(text, str):
            raise ValueError("a paragraph's text is no string")
        yield (
            _checked("" if (title := paragraph["title"]) is None else title),
            text,
            bool(paragraph.get("is_supporting")),
        )


def _fact_titles(facts: Any) -> Iterator[str]:
    for title in facts["title"] if isinstance(facts, Mapping) else [fact[0] for fact in facts]:
        yield _checked(title)


def _checked(title: Any) -> str:
    if not isinstance(title, str):
        raise ValueError(f"a title is {title!r}")
    return title
