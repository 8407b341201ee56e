"""An index on disk: written once, by one process, and there whole or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import json
import mmap
import os
import shutil
import sys
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, overload

from agentdistill.errors import DataError, InfrastructureError
from agentdistill.progress import Progress, Silent
from agentdistill.retrieval.corpus import MAX_WORDS, Distinct, Passage, Sources, corpus_files, named, read_corpus
from agentdistill.store import digest, file_digest, write_atomic

# --- folders written once ---------------------------------------------------------------------------------------------


Write = Callable[[Path], None]


def kept(folder: Path, write: Write, *, resume: bool = False) -> Path:
    """``folder``, which ``write`` fills if it is not there yet; other processes wait until it is.

    ``write`` is given a folder beside it, which takes its name once all is on the disk. What a killed process left
    there is thrown away, or with ``resume`` handed to ``write`` to go on from. Raises InfrastructureError where the
    disk refuses.
    """
    try:
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            with _alone(folder.with_name(f".{folder.name}.lock")):
                if not folder.is_dir():
                    _fill(folder, write, resume)
    except OSError as e:
        why = f"the search index cannot be kept there ({e.strerror or e})"
        raise InfrastructureError(f"{folder}: {why}; fix that and run the same command again") from e
    return folder


def _fill(folder: Path, write: Write, resume: bool) -> None:
    half = folder.with_name(f"{folder.name}.part")
    if not resume:
        shutil.rmtree(half, ignore_errors=True)
    half.mkdir(exist_ok=True)
    try:
        write(half)
    except BaseException:
        if not resume:
            shutil.rmtree(half, ignore_errors=True)
        raise
    for path in (*half.iterdir(), half):
        _sync(path)
    half.rename(folder)
    _sync(folder.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold a lock file, which goes again with its last holder; wait for whoever holds it."""
    while True:
        with lock.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                is_current = os.path.samestat(os.fstat(file.fileno()), lock.stat())
            except FileNotFoundError:
                is_current = False
            if not is_current:  # its last holder removed it while this process waited
                continue
            try:
                yield
            finally:
                lock.unlink(missing_ok=True)
            return


# --- progress ---------------------------------------------------------------------------------------------------------


QUIET_S = 20.0
"""Work that takes less is not worth a line."""


@contextmanager
def watched(progress: Progress | None, what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A function to be told of pieces done, out of ``total`` passages of the index ``what``."""
    if progress is None:
        yield _Stderr(what, total).advance
        return
    task = progress.task("index", f"{what} · {total:,} passages", total)
    yield task.advance
    task.done("")


class _Stderr:
    """A line every so often, where nobody shows progress."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total, self._n = what, total, 0
        self._started = self._said = time.monotonic()

    def advance(self, n: int) -> None:
        self._n += n
        now = time.monotonic()
        if now - self._said > QUIET_S:
            self._said = now
            rate = self._n / (now - self._started)
            text = f"index     {self._what}  {self._n:,}/{self._total:,} passages  {rate:,.0f}/s"
            print(text, file=sys.stderr, flush=True)


# --- corpora ----------------------------------------------------------------------------------------------------------


FORMAT = 2
"""Part of the key: raise it whenever the files, or what reading a corpus gives, change."""
LARGE = 64 << 20
"""Files from this size on are not hashed again while size, time and place on the disk are those of last time."""
_TEXT, _ENDS, _FACTS = "text.bin", "ends.i64", "corpus.json"


class MappedCorpus(Sequence[Passage]):
    """The passages in a folder that ``open_corpus`` or ``map_corpus`` wrote, each once.

    ``digest`` is that of their content; ``n_duplicates`` were left out.
    """

    def __init__(self, folder: Path) -> None:
        import numpy as np

        try:
            facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
            self.digest, self._n, self.n_duplicates = str(facts["digest"]), int(facts["n"]), int(facts["n_duplicates"])
            with (folder / _TEXT).open("rb") as file:
                self._text = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._ends = np.memmap(folder / _ENDS, dtype="int64", mode="r")
            if len(self._ends) != 2 * self._n or int(self._ends[-1]) != len(self._text):
                raise ValueError("its files do not fit together")
        except (OSError, ValueError, KeyError, TypeError) as e:
            raise InfrastructureError(f"{folder}: cannot be read ({e}); delete it and try again") from e

    def __len__(self) -> int:
        return self._n

    @overload
    def __getitem__(self, at: int) -> Passage: ...
    @overload
    def __getitem__(self, at: slice) -> list[Passage]: ...
    def __getitem__(self, at: int | slice) -> Passage | list[Passage]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(self._n))]
        i = at if at >= 0 else at + self._n
        if not 0 <= i < self._n:
            raise IndexError(f"passage {at} of {self._n}")
        start = int(self._ends[2 * i - 1]) if i else 0
        middle, end = self._ends[2 * i : 2 * i + 2].tolist()
        return Passage(self._decoded(start, middle), self._decoded(middle, end))

    def __iter__(self) -> Iterator[Passage]:
        return (self[i] for i in range(self._n))

    def _decoded(self, start: int, end: int) -> str:
        return self._text[start:end].decode(errors="surrogatepass")


def open_corpus(source: Sources, cache: Path, progress: Progress | None = None) -> MappedCorpus:
    """The corpus of files, globs or folders, mapped from a folder below ``cache``, where it is written once.

    Raises DataError for what cannot be read as a corpus, as ``load_corpus`` does, and InfrastructureError where the
    disk refuses.
    """
    files = corpus_files(source)
    forms = [[p.suffix.lower(), p.stem if p.suffix.lower() not in (".json", ".jsonl") else ""] for p in files]
    key = digest([FORMAT, MAX_WORDS, forms, [_content(p, cache) for p in files]])
    told = (named(source), sum(p.stat().st_size for p in files), progress or Silent())
    return MappedCorpus(kept(cache / f"corpus-{key}", lambda half: _write_corpus(half, read_corpus(source), *told)))


def map_corpus(passages: Sequence[Passage], name: str, cache: Path, progress: Progress | None = None) -> MappedCorpus:
    """The same of passages that lie in memory; messages call them ``name``."""
    told = (name, sum(len(p.title) + len(p.text) for p in passages), progress or Silent())
    key = digest([FORMAT, _Digest.of(passages)])
    return MappedCorpus(kept(cache / f"corpus-{key}", lambda half: _write_corpus(half, passages, *told)))


def corpus_digest(passages: Sequence[Passage]) -> str:
    """The hash of a corpus's content, whether it lies in memory or on disk."""
    return passages.digest if isinstance(passages, MappedCorpus) else _Digest.of(passages)


class _Digest:
    """``store.digest`` of a list of ``[title, text]``, taken one at a time."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256(b"[")
        self._between = ""

    @classmethod
    def of(cls, passages: Iterable[Passage]) -> str:
        content = cls()
        for p in passages:
            content.add(p)
        return content.value()

    def add(self, p: Passage) -> None:
        row = json.dumps([p.title, p.text], ensure_ascii=False, separators=(",", ":"))
        self._hash.update(f"{self._between}{row}".encode(errors="surrogatepass"))
        self._between = ","

    def value(self) -> str:
        whole = self._hash.copy()
        whole.update(b"]")
        return whole.hexdigest()[:16]


def _write_corpus(half: Path, all_passages: Iterable[Passage], name: str, size: int, progress: Progress) -> None:
    # The bar counts bytes of text against bytes of the files: quotes and escapes make it end early.
    task = progress.task("corpus", f"{name}, MB", size >> 20)
    passages = Distinct(all_passages)
    content, ends, n, at, told = _Digest(), array("q"), 0, 0, 0
    with (half / _TEXT).open("wb", buffering=1 << 20) as texts, (half / _ENDS).open("wb") as places:
        for p in passages:
            for part in (p.title.encode(errors="surrogatepass"), p.text.encode(errors="surrogatepass")):
                at += texts.write(part)
                ends.append(at)
            content.add(p)
            n += 1
            if n % 10_000 == 0:
                ends.tofile(places)
                ends = array("q")
                task.advance((at >> 20) - told, f"{n:,} passages")
                told = at >> 20
        ends.tofile(places)
    if not n:
        raise DataError(f"{name}: no passages in this corpus")
    facts = {"n": n, "digest": content.value(), "n_duplicates": passages.n_duplicates}
    (half / _FACTS).write_text(json.dumps(facts), encoding="utf-8")
    twice = f" · {passages.n_duplicates:,} duplicates left out" if passages.n_duplicates else ""
    task.done(f"{n:,} passages{twice}")


def _content(path: Path, cache: Path) -> str:
    """The hash of a file's content, remembered for large files."""
    place = path.stat()
    if place.st_size < LARGE:
        return file_digest(path)
    memory = cache / "files.json"
    seen = [place.st_size, place.st_mtime_ns, place.st_ctime_ns, place.st_ino]
    known = _known(memory).get(str(path.resolve()))
    if isinstance(known, dict) and known.get("seen") == seen:
        return str(known["content"])
    content = file_digest(path)
    # A file that changed a moment ago may change again within the clock's step: such a hash is not kept.
    if time.time_ns() - place.st_ctime_ns > 2_000_000_000 and _unchanged(path, seen):
        entry = {"seen": seen, "content": content}
        write_atomic(memory, json.dumps({**_known(memory), str(path.resolve()): entry}, indent=1))
    return content


def _unchanged(path: Path, seen: list[int]) -> bool:
    now = path.stat()
    return [now.st_size, now.st_mtime_ns, now.st_ctime_ns, now.st_ino] == seen


def _known(memory: Path) -> dict[str, Any]:
    try:
        known = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
