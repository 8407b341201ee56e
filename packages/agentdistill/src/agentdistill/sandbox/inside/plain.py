"""Values as the text they stand for: ``2.0``, not ``np.float64(2.0)``, however deep within a list.

Runs inside the node, on objects that model code made: whatever fails here falls back to ``repr``.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

globals()["__builtins__"] = dict(vars(builtins))  # see wire.py

MAX_ITEMS = 1000
"""Arrays, ranges and iterators with more are left to their repr."""
_SIMPLE = (int, float, bool, complex, bytes, type(None))
_WRITTEN = frozenset({"fractions", "datetime", "uuid", "pathlib", "mpmath", "gmpy2", "ipaddress", "zoneinfo"})
"""Modules whose values say by ``str`` what they say by ``repr`` as a call."""
_ARRAYS = frozenset({"numpy", "torch", "pandas", "jax", "jaxlib", "polars", "mpmath", "array"})
_BRACKETS = ((tuple, "(", ")"), (set, "{", "}"), (frozenset, "{", "}"))
_VIEWS: tuple[type, ...] = (type({}.keys()), type({}.values()), type({}.items()))


def answer(value: object) -> str:
    """A final answer as text: a text as it is, bytes as the text they are, an enumeration's member as its value, an
    iterator as the list of its items, anything else as :func:`shown`."""
    enum = sys.modules.get("enum")
    if enum is not None and isinstance(value, enum.Enum):
        return answer(value.value)
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
    """A value as Python shows it, without the names of the libraries that its parts come from."""
    try:
        text = _text(value, ())
    except Exception:
        text = repr(value)
    return str.__str__(text)


def print_plainly() -> None:
    """Have numpy 2 print scalars within lists as numbers, as numpy 1 did; nothing where it is not imported."""
    numpy = sys.modules.get("numpy")
    if numpy is not None and not numpy.__version__.startswith("1."):
        numpy.set_printoptions(legacy="1.25")


def cut_middle(text: str, limit: int) -> str:
    """At most `limit` characters, the end of a traceback being worth as much as its beginning."""
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
    """What a collection holds; None for anything else, and for a class that has words of its own."""
    for plain in (list, tuple, set, frozenset):
        if isinstance(value, plain):
            return value if _is_shown_as(kind, plain) or hasattr(kind, "_fields") else None  # type: ignore[no-any-return]
    if isinstance(value, _VIEWS) or (root == "collections" and kind.__name__ == "deque"):
        return value  # type: ignore[no-any-return]
    return value if isinstance(value, range) and len(value) <= MAX_ITEMS else None


def _is_shown_as(kind: Any, base: Any) -> bool:
    """Whether a class has no words of its own beside those of its base."""
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
