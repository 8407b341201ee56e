"""What a person sees while stages run: a line each with a bar, a rate and the time left, and plain words at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol


class Task(Protocol):
    """One line of progress."""

    def advance(self, n: int = 1, note: str = "") -> None:
        """``n`` more pieces are done; ``note`` is the newest figure."""

    def done(self, summary: str) -> None:
        """The work is over; ``summary`` stays on the screen."""


class Progress(Protocol):
    """Where stages tell how far they are. Several tasks may be open at a time."""

    def task(self, stage: str, what: str, total: int) -> Task:
        """A piece of work of ``total`` parts begins."""

    def say(self, text: str) -> None:
        """A line between pieces of work."""


class Silent:
    """Says nothing."""

    def task(self, stage: str, what: str, total: int) -> Task:
        """See :class:`Progress`."""
        return self

    def say(self, text: str) -> None:
        """See :class:`Progress`."""

    def advance(self, n: int = 1, note: str = "") -> None:
        """See :class:`Task`."""

    def done(self, summary: str) -> None:
        """See :class:`Task`."""


def _took(seconds: float) -> str:
    s = int(seconds)
    return f"{s // 3600}:{s // 60 % 60:02}:{s % 60:02}"


class Terminal:
    """Live bars where stderr is a terminal, plain lines where it is a file or a log."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False)
        self._bars: Any = None

    def task(self, stage: str, what: str, total: int) -> Task:
        """See :class:`Progress`."""
        if self._console.is_terminal and self._bars is None:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bars = Progress(
                TextColumn("[bold]{task.fields[stage]:<9}[/] {task.description}"),
                BarColumn(bar_width=24), MofNCompleteColumn(), TextColumn("{task.fields[note]}"),
                TextColumn("{task.fields[rate]}"), TimeRemainingColumn(), console=self._console, transient=True,
            )  # fmt: skip
            self._bars.start()
        return _Line(self, stage, what, total)

    def say(self, text: str) -> None:
        """See :class:`Progress`."""
        self._console.print(text, soft_wrap=True, markup=False)

    def print_done(self, stage: str, what: str, took: str) -> None:
        """The line that stays of a finished task."""
        from rich.text import Text

        line = Text.assemble((f"{stage:<9}", "bold"), f" {what}  ", (took, "dim"))
        self._console.print(line, soft_wrap=True)

    @property
    def bars(self) -> Any:
        """The live bars; None where the output is no terminal."""
        return self._bars

    def close(self) -> None:
        """Take the bars off the screen."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


class _Line:
    """One task of a terminal."""

    def __init__(self, terminal: Terminal, stage: str, what: str, total: int) -> None:
        self._terminal, self._stage, self._what, self._total = terminal, stage, what, total
        self._started = self._said = time.monotonic()
        self._n = 0
        bars = terminal.bars
        self._id = None if bars is None else bars.add_task(what, total=total, stage=stage, note="", rate="")

    def advance(self, n: int = 1, note: str = "") -> None:
        """See :class:`Task`."""
        self._n += n
        now = time.monotonic()
        rate = f"{self._n / max(now - self._started, 1e-6):.1f}/s"
        if self._terminal.bars is not None:
            self._terminal.bars.update(self._id, advance=n, note=note, rate=rate)
        elif now - self._said > 20:
            self._said = now
            text = f"{self._stage:<9} {self._what}  {self._n}/{self._total}  {note}  {rate}"
            print(text, file=sys.stderr, flush=True)

    def done(self, summary: str) -> None:
        """See :class:`Task`."""
        if self._terminal.bars is not None:
            self._terminal.bars.remove_task(self._id)
        took = _took(time.monotonic() - self._started)
        self._terminal.print_done(self._stage, f"{self._what}  {summary}".strip(), took)


ProgressEvent = tuple[int, str, tuple[Any, ...]]


class Relay:
    """Progress of a worker process, told to its parent through ``send``."""

    def __init__(self, send: Callable[[ProgressEvent], None], worker: int) -> None:
        self._send, self._worker, self._n = send, worker, 0

    def task(self, stage: str, what: str, total: int) -> Task:
        """See :class:`Progress`."""
        self._n += 1
        key = self._worker * 1000 + self._n
        self._send((key, "task", (stage, what, total)))
        return _RelayTask(self._send, key)

    def say(self, text: str) -> None:
        """See :class:`Progress`."""
        self._send((0, "say", (text,)))


class _RelayTask:
    def __init__(self, send: Callable[[ProgressEvent], None], key: int) -> None:
        self._send, self._key = send, key

    def advance(self, n: int = 1, note: str = "") -> None:
        """See :class:`Task`."""
        self._send((self._key, "advance", (n, note)))

    def done(self, summary: str) -> None:
        """See :class:`Task`."""
        self._send((self._key, "done", (summary,)))


def replay(event: ProgressEvent, progress: Progress, tasks: dict[int, Task]) -> None:
    """Repeat in the parent what a worker reported of its task."""
    key, what, args = event
    if what == "say":
        progress.say(*args)
    elif what == "task":
        tasks[key] = progress.task(*args)
    elif what == "advance":
        tasks[key].advance(*args)
    else:
        tasks.pop(key).done(*args)
