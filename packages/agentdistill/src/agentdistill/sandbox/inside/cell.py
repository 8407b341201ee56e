"""Run cells of model code in one namespace, and describe their outcome.

Runs in the same interpreter as the model's code, so nothing here is a boundary: it gives honest code good answers and
survives careless code. Hostile code is held from outside the process, by `isolation.py`.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import gc
import io
import linecache
import signal
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from types import CodeType, FrameType, TracebackType
from typing import Any

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

globals()["__builtins__"] = dict(vars(builtins))  # see wire.py

FLOOD = 50  # a cell that prints this many times its output limit is ended
TAKEN = "final_answer is a function: call final_answer(...), and give nothing else its name. It is in place again.\n"
_FOLDER = __file__.removesuffix("cell.py")
_NOT_INTERRUPTED = frozenset({"run", "_arm", "_disarm", "_on_alarm", "pause", "resume"})
_ITIMER = hasattr(signal, "setitimer")
_SIGALRM = int(getattr(signal, "SIGALRM", 0))
# Without the wrapper that turns numbers into enum members, which costs more than all the rest of arming the timer.
_getsignal = getattr(signal.getsignal, "__wrapped__", signal.getsignal)


class Final(BaseException):
    """Ends the cell after final_answer; not an Exception, so that `except Exception` lets it through."""


class Late(BaseException):
    """The soft deadline passed."""


class Flood(BaseException):
    """The output limit was passed many times over."""


@dataclass
class CellResult:
    """The outcome of a cell; the node makes it a REPLY."""

    stop: str = "ok"
    value: str | None = None
    error: tuple[str, str, int | None, str] | None = None
    output: list[str] = field(default_factory=list)
    truncated: bool = False


class Capture(io.TextIOBase):
    """In place of stdout and stderr; keeps the first `limit` characters."""

    encoding = "utf-8"  # type: ignore[assignment]

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.left = self.limit = self.written = 0
        self.buffer = _Bytes(self)  # for code that writes bytes to sys.stdout.buffer

    def start(self, limit: int) -> None:
        """Forget what was kept."""
        self.parts, self.left, self.limit, self.written = [], limit, limit, 0

    def write(self, text: str) -> int:
        """As of any text file; what does not fit is dropped, and a flood ends the cell."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        size = len(text)
        self.written += size
        if self.left:
            kept = text[: self.left]
            self.parts.append(str(kept))
            self.left -= len(kept)
            if len(self.parts) > 4096:
                self.parts = ["".join(self.parts)]
        elif self.written > self.limit * FLOOD:
            raise Flood
        return size

    def writable(self) -> bool:
        """Always."""
        return True


class _Bytes(io.RawIOBase):
    def __init__(self, text: Capture) -> None:
        self._text = text

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        raw = bytes(data)
        self._text.write(raw.decode("utf-8", "replace"))
        return len(raw)


class Runner:
    """A namespace and what runs cells in it. `final` is the final answer of the latest cell."""

    def __init__(self) -> None:
        self.capture = Capture()
        self.final: str | None = None
        self.namespace: dict[str, Any] = {"__name__": "__main__", "__builtins__": builtins, "__doc__": None}
        self._armed = self._alarmed = False

        def final_answer(answer: object) -> None:
            """Give `answer` as the final one, a str as it is and anything else as it is shown, and end the cell."""
            self.final = answer_text(answer)
            raise Final

        final_answer.__qualname__ = "final_answer"  # as a wrong call's message names it
        self._answer = self.namespace["final_answer"] = final_answer

    def run(self, source: str, number: int, soft_s: float, limit: int) -> CellResult:
        """Run `source`; every exception ends up in the CellResult. The caller cuts texts to `limit`."""
        self.final, outcome, self._alarmed = None, CellResult(), False
        self.capture.start(limit)
        sys.stdout = sys.stderr = self.capture
        name = f"<cell {number}>"
        # Never removed: a function of this cell may fail in a later one.
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        try:
            self._arm(soft_s)
            try:
                outcome.value = self._run(source, name)
            finally:
                self._disarm()
        except Final:
            pass
        except Late:
            outcome.stop = "timeout"
        except Flood:
            outcome.stop = "output"
        except BaseException as problem:  # of model code
            outcome.stop = "memory" if isinstance(problem, MemoryError) else "error"
            outcome.error = describe(problem, name, limit)
        if self._alarmed and outcome.stop == "ok":
            outcome.stop = "timeout"  # it caught Late, or Late was raised where exceptions are lost
        if self.namespace.get("final_answer") is not self._answer:
            self.namespace["final_answer"] = self._answer
            self.capture.parts.append(TAKEN)
        outcome.output = self.capture.parts
        outcome.truncated = self.capture.written > limit
        return outcome

    def _run(self, source: str, name: str) -> str | None:
        body, last = split(source, name)
        if body is not None:
            exec(body, self.namespace)
        if last is None:
            return None
        value = eval(last, self.namespace)
        return None if value is None else shown(value)

    def _arm(self, soft_s: float) -> None:
        sys.settrace(None)
        sys.setprofile(None)
        if _ITIMER and soft_s > 0:
            if _getsignal(_SIGALRM) != self._on_alarm:
                signal.signal(signal.SIGALRM, self._on_alarm)
            self._armed = True
            signal.setitimer(signal.ITIMER_REAL, soft_s, 0.05)

    def _disarm(self) -> None:
        self._armed = False
        if _ITIMER:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def pause(self) -> float:
        """Stop the soft deadline for the length of a tool call; returns what `resume` needs."""
        return signal.setitimer(signal.ITIMER_REAL, 0)[0] if _ITIMER else 0.0

    def resume(self, left: float) -> None:
        """Let the soft deadline run on."""
        if _ITIMER and left:
            signal.setitimer(signal.ITIMER_REAL, left, 0.05)

    def _on_alarm(self, _: int, frame: FrameType | None) -> None:
        # The alarm repeats every 50 ms, for model code that catches the first Late. It is not raised in this class's
        # own steps, where nothing would catch it and the node would end.
        ours = frame is not None and frame.f_code.co_filename == __file__ and frame.f_code.co_name in _NOT_INTERRUPTED
        if self._armed and not ours:
            self._alarmed = True
            raise Late


def split(source: str, name: str) -> tuple[CodeType | None, CodeType | None]:
    """Compiled statements, and the last one by itself when it is an expression."""
    tree = compile(source, name, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
    assert isinstance(tree, ast.Module)
    last = None
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        tail = tree.body.pop()
        assert isinstance(tail, ast.Expr)
        last = compile(ast.Expression(tail.value), name, "eval", dont_inherit=True)
    body = compile(tree, name, "exec", dont_inherit=True) if tree.body else None
    return body, last


def describe(problem: BaseException, name: str, limit: int) -> tuple[str, str, int | None, str]:
    """Type, message, line in the cell and traceback text, or less where model code broke what is needed for it."""
    kind = text = "Exception"
    message, line = "", None
    try:
        kind = text = str(type(problem).__name__)[:1000]
        message = str(problem)[:limit]
        text = f"{kind}: {message}"
        tb = problem.__traceback__
        line = problem.lineno if isinstance(problem, SyntaxError) else _line(tb, name)
        report = traceback.TracebackException(type(problem), problem, tb, limit=-40)
        _hide_own(report)
        text = "".join(report.format())
    except BaseException:  # a hostile __str__, or a broken traceback module
        pass
    return kind, message, line, cut_middle(text, limit)


def _hide_own(report: traceback.TracebackException | None) -> None:
    """Drop the frames of this package: the model sees its own lines, and those of the libraries it called."""
    while report is not None:
        report.stack[:] = [frame for frame in report.stack if not frame.filename.startswith(_FOLDER)]
        _hide_own(report.__cause__)
        report = report.__context__


def _line(tb: TracebackType | None, name: str) -> int | None:
    line = None
    while tb is not None:
        if tb.tb_frame.f_code.co_filename == name:
            line = tb.tb_lineno
        tb = tb.tb_next
    return line


def seed_generators(seed: int) -> None:
    """Put `random`, numpy's global generator and numpy's fresh generators at `seed`."""
    import random

    random.seed(seed)
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed(seed)
        # default_rng() without a seed asks this for entropy; see numpy/random/bit_generator.pyx.
        bits = sys.modules["numpy.random.bit_generator"]
        if hasattr(bits, "randbits"):
            bits.randbits = random.Random(seed).getrandbits  # type: ignore[attr-defined]


def preload(modules: tuple[str, ...]) -> None:
    """Import the modules that sessions are to find loaded; names that are not installed are skipped."""
    if "numpy" in modules:  # which loads it lazily, and would then seed it from the system's entropy
        modules = (*modules, "numpy.random")
    for name in modules:
        with contextlib.suppress(ImportError):
            __import__(name)
    numpy = sys.modules.get("numpy")
    if numpy is not None and not numpy.__version__.startswith("1."):
        numpy.set_printoptions(legacy="1.25")  # scalars within lists are printed as numbers, as numpy 1 did
    gc.collect()


def now() -> tuple[float, int]:
    """CPU seconds of this process and its peak resident bytes (0 where the platform does not say)."""
    if resource is None:
        return time.process_time(), 0
    use = resource.getrusage(resource.RUSAGE_SELF)
    scale = 1 if sys.platform == "darwin" else 1024
    return use.ru_utime + use.ru_stime, use.ru_maxrss * scale


# --- values as text: 2.0, not np.float64(2.0), however deep within a list ------------------------------------------

MAX_ITEMS = 1000  # arrays, ranges and iterators with more are left to their repr
_SIMPLE = (int, float, bool, complex, bytes, type(None))
# Modules whose values say by str what they say by repr as a call.
_WRITTEN = frozenset({"fractions", "datetime", "uuid", "pathlib", "mpmath", "gmpy2", "ipaddress", "zoneinfo"})
_ARRAYS = frozenset({"numpy", "torch", "pandas", "jax", "jaxlib", "polars", "mpmath", "array"})
_BRACKETS = ((tuple, "(", ")"), (set, "{", "}"), (frozenset, "{", "}"))
_VIEWS: tuple[type, ...] = (type({}.keys()), type({}.values()), type({}.items()))


def answer_text(value: object) -> str:
    """A final answer as text: bytes decoded, an enumeration's member by its value, an iterator as the list of its
    items, a str as it is, and anything else as `shown`."""
    enum = sys.modules.get("enum")
    if enum is not None and isinstance(value, enum.Enum):
        return answer_text(value.value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if isinstance(value, Iterator) and not hasattr(value, "read"):
        items = list(islice(value, MAX_ITEMS + 1))
        if len(items) <= MAX_ITEMS:
            return shown(items)
    return shown(value)


def shown(value: object) -> str:
    """A value as Python shows it, without the names of the libraries that its parts come from.

    The value was made by model code: whatever fails on it falls back to its `repr`.
    """
    try:
        text = _text(value, ())
    except Exception:
        text = repr(value)
    return str.__str__(text)


def cut_middle(text: str, limit: int) -> str:
    """At most `limit` characters: as much of the beginning as of the end."""
    if len(text) <= limit:
        return text
    half = max(1, (limit - 5) // 2)
    return text[:half] + "\n...\n" + text[-half:]


def _text(value: Any, above: tuple[int, ...]) -> str:
    kind = type(value)
    if kind in _SIMPLE:
        return repr(value)
    if isinstance(value, str):
        return repr(str.__str__(value))
    if id(value) in above:
        return "..."
    inner = (*above, id(value))
    root = kind.__module__.partition(".")[0]
    if root in _ARRAYS:
        found = _array(value, inner)
        if found is not None:
            return found
    if isinstance(value, dict) and (_is_shown_as(kind, dict) or root == "collections"):
        return "{" + ", ".join(f"{_text(k, inner)}: {_text(v, inner)}" for k, v in value.items()) + "}"
    items = _items(value, kind, root)
    if items is not None:
        texts = [_text(i, inner) for i in items]
        opening, closing = next(((o, c) for k, o, c in _BRACKETS if isinstance(value, k)), ("[", "]"))
        alone = "," if opening == "(" and len(texts) == 1 else ""
        return opening + ", ".join(texts) + alone + closing if texts or opening != "{" else "set()"
    return _written(value, kind, root)


def _items(value: Any, kind: type, root: str) -> Iterable[Any] | None:
    """What a collection holds; None for anything else, and for a class with a repr of its own."""
    for plain in (list, tuple, set, frozenset):
        if isinstance(value, plain):
            return value if _is_shown_as(kind, plain) or hasattr(kind, "_fields") else None  # type: ignore[no-any-return]
    if isinstance(value, _VIEWS) or (root == "collections" and kind.__name__ == "deque"):
        return value  # type: ignore[no-any-return]
    return value if isinstance(value, range) and len(value) <= MAX_ITEMS else None


def _is_shown_as(kind: Any, base: Any) -> bool:
    """Whether a class is shown as its base is."""
    return kind.__repr__ is base.__repr__


def _array(value: Any, above: tuple[int, ...]) -> str | None:
    """An array as nested lists, a scalar of a library as its number; None for anything else."""
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        return str(value)
    if numpy is not None and isinstance(value, numpy.ndarray):
        return "".join(_nested(numpy.asarray(value), above)) if value.size <= MAX_ITEMS else None
    as_list = getattr(value, "tolist", None)
    size = getattr(value, "size", MAX_ITEMS)
    n = size if isinstance(size, int) else len(value) if hasattr(value, "__len__") and value.shape else 1
    return _text(as_list(), above) if callable(as_list) and n <= MAX_ITEMS else None


def _nested(array: Any, above: tuple[int, ...]) -> Iterator[str]:
    if array.ndim == 0:
        yield _text(array[()], above)
        return
    yield "["
    for i, part in enumerate(array):
        yield ", " if i else ""
        yield from _nested(part, above) if getattr(part, "ndim", 0) else (_text(part, above),)
    yield "]"


def _written(value: Any, kind: Any, root: str) -> str:
    if root == "decimal":
        return f"{value:f}" if value.is_finite() and abs(value.adjusted()) < 40 else str(value)
    if root in ("datetime", "pandas") and hasattr(value, "isoformat"):
        midnight = hasattr(value, "date") and value.tzinfo is None and value.time() == type(value).min.time()
        return str(value.date() if midnight else value)
    if root in _WRITTEN or (_is_shown_as(kind, object) and kind.__str__ is not object.__str__):
        return str(value)
    return repr(value)
