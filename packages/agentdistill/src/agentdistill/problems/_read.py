"""Opening a source: each format gives rows, and each row knows where it stands."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
class Source:
    """An opened source: how to name it in a message, what to call its family, and its rows, read as they are used."""

    label: str
    name: str
    rows: Iterator[Row]


def open_source(source: str) -> Source:
    """The rows of a file or a hub dataset. Raises DataError for what is neither or cannot be read."""
    path = Path(source).expanduser()
    if path.is_file():
        return Source(source, path.stem, _read_file(path))
    if path.is_dir():
        raise DataError(f"{source}: is a folder; name one file of problems in it")
    match = _HUB.fullmatch(source)
    if match and not source.partition(":")[0].lower().endswith(tuple(_READERS)):
        return Source(source, match["name"].rpartition("/")[2], _hub(source, match))
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
    rows = data.get("examples", data.get("data")) if isinstance(data, dict) else data
    if not isinstance(rows, list):
        raise DataError(f'{path}: expected a list of problems, or an object with "examples"')
    lines = _lines_of_items(text, rows)
    for n, row in enumerate(rows):
        yield Row(f"{path}:{lines[n]}" if lines else f"{path}: item {n + 1}", row)


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


def _hub(source: str, match: re.Match[str]) -> Iterator[Row]:
    import datasets

    try:
        rows = datasets.load_dataset(match["name"], match["config"], split=match["split"])
    except FileNotFoundError as e:  # no such dataset, or none of its files holds data
        raise DataError(f"{source}: {_line(e)}") from e
    except OSError as e:
        offline = "HF_HUB_OFFLINE is set" if datasets.config.HF_HUB_OFFLINE else _line(e)
        raise InfrastructureError(f"{source}: the hub cannot be reached ({offline}); a file will do instead") from e
    except (ValueError, RuntimeError, datasets.exceptions.DatasetsError) as e:
        raise DataError(f"{source}: {_line(e)}") from e
    for n, values in enumerate(rows, 1):
        yield Row(f"{source}: row {n}", values)


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


_READERS = {
    ".jsonl": _jsonl, ".ndjson": _jsonl, ".json": _json, ".csv": _csv, ".tsv": _csv, ".parquet": _parquet,
}  # fmt: skip
