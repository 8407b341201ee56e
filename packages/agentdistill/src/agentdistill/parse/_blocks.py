"""Which block of a turn is its code. Fences and tags are found line by line. Of several blocks, what follows ``Code:``
goes first, then what is named Python; among equals, what parses, and then the first."""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from itertools import islice

MAX_BLOCKS, MAX_ENDS = 16, 16
"""Blocks that are read, and ends that are tried for each: a model that repeats itself writes thousands of fences."""

_FENCE = re.compile(r"(?P<before>[^`]*?)(?P<fence>`{3,}|~{3,})[ \t]*(?P<info>[^`]*)")
_TAGS = r"code|python|py|tool_code|execute|(?:execute|run)_(?:i?python|code)|(?:i?python|py)_?(?:code|interpreter)?"
_TAG = re.compile(rf"(?P<before>[^<]*)(?:<pre\b[^<>]*>\s*)?<(?P<name>{_TAGS})(?:\s[^<>]*)?>(?P<rest>.*)", re.IGNORECASE)
# Llama's and CodeLlama's own marks, and what closes each.
_TOKENS = {"<|python_tag|>": "<|eom_id|>", "<|python_start|>": "<|python_end|>", "[PYTHON]": "[/PYTHON]"}
_TOKEN = re.compile(rf"[ \t]*(?P<name>{'|'.join(map(re.escape, _TOKENS))})(?P<rest>.*)")
# A whole block on one line, behind ``Code:`` or named Python.
_ONE_LINE = re.compile(
    r"\W*(?:(?:python )?(?:code|action)\W*[:：]\W*?`{3}(?:py(?:thon)?3?\b)?|`{3}(?:py(?:thon)?3?)\b)"
    r"(?P<code>[^`]+)`{3}\s*",
    re.IGNORECASE,
)
_ITEM = re.compile(r"[ \t]*(?:(?:[-*+]|\d{1,3}[.)])[ \t]+)?")
_LANGUAGE = re.compile(r"[{.]*(?P<name>[\w+#-]*)(?P<version>(?:\.\d+)*)(?P<rest>.*)")
_PYTHON = re.compile(
    r"i?py(?:thon)?\d*|tool_code|code|(?:python|py)[-_]?(?:code|repl|exec|run)|code[-_]?(?:interpreter|cell)|jupyter",
    re.IGNORECASE,
)
_ATTRIBUTES = re.compile(
    r"[\s,;}]*(?:[.#:%{\[].*|[\d.]+|[\w-]+[=:].*|[\w./-]+\.py\b.*|i?python\d*|run(?:nable)?|exec(?:ute)?|interactive"
    r"|copy|code)?",
    re.DOTALL | re.IGNORECASE,
)
_PROSE = re.compile(r"(?:\*\*)?[A-Z][\w'’,-]*(?: [\w'’,()\"`-]+){2,}.*[.:!?]")
_LABEL = re.compile(r"(?:python\s+)?(?:code|action)\s*[*_]*\s*[:：]?\s*[*_]*", re.IGNORECASE)
_SHOWN = re.compile(
    r"\b(?:observations?|outputs?|results?|print(?:ed|s)?|g[ai]ves?|was|were|return(?:ed|s)?|show(?:ed|n|s)?|saw|sa(?:id|ys)"
    r"|got|logs?|expected)\W*",
    re.IGNORECASE,
)
_OBSERVED = re.compile(r"[\W_]*observations?[*_ \t]*:", re.IGNORECASE)


class Rank(IntEnum):
    """How surely a block is the turn's code."""

    LABELLED = 0
    NAMED = 1
    PLAIN = 2
    SHOWN = 3


@dataclass(frozen=True, slots=True)
class Block:
    """Code that was found. ``is_open`` says that the turn ended before the block did."""

    code: str
    rank: Rank
    is_open: bool

    @property
    def order(self) -> tuple[int, int]:
        """Blocks of a lower order go first."""
        tree = parsed(self.code)
        if tree is None:
            return self.rank, 2
        return self.rank, int(self.rank >= Rank.PLAIN and not _acts(tree))

    @property
    def may_run(self) -> bool:
        """Whether this can be meant as code at all: text that was shown, and open blocks without a name, cannot."""
        if not self.code.strip():
            return False
        return self.order[1] == 0 if self.rank is Rank.SHOWN else self.rank < Rank.PLAIN or not self.is_open


@dataclass(frozen=True, slots=True)
class _Opening:
    """The line that opens a block, and what it says. ``mark`` closes the block; ``first`` is code on this very line."""

    line: int
    mark: str
    rank: Rank | None
    """None for a block in another language."""
    margin: int
    first: str = ""

    @property
    def is_tag(self) -> bool:
        return self.mark[0] not in "`~"


@lru_cache(maxsize=64)
def parsed(code: str) -> ast.Module | None:
    """The syntax tree of ``code``, not to be changed; None where it is no Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes are the model's affair
            return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _acts(tree: ast.Module) -> bool:
    """Whether running it does more than name a value: ``Paris`` and ``5`` are Python too."""
    return any(not isinstance(n, ast.Expr) or any(isinstance(c, ast.Call) for c in ast.walk(n)) for n in tree.body)


def blocks(text: str) -> list[Block]:
    """The blocks of a turn that may be its code, the best first."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    found = [b for b in islice(_all(lines), MAX_BLOCKS) if b.may_run]
    if not found and (short := next((m for line in lines if (m := _ONE_LINE.fullmatch(line))), None)):
        found = [Block(short["code"].strip(), Rank.NAMED, False)] if parsed(short["code"].strip()) else []
    return sorted(found, key=lambda b: b.order)


def _all(lines: Sequence[str]) -> Iterator[Block]:
    at, began = 0, False
    while at < len(lines):
        if began and _OBSERVED.match(lines[at]):
            return  # nothing has been run yet: the model made up what follows
        opening = _opening(lines, at)
        if opening is None:
            at += 1
            continue
        block, end = _read(lines, opening)
        if block is not None:
            began = True
            yield block
        if block is None or parsed(block.code) is None:
            # A fence of text, or one that was never closed, may have swallowed the one that is named Python.
            named = (i for i in range(opening.line + 1, end) if _is_named(_opening(lines, i)))
            end = next(named, end)
        at = end


def _is_named(opening: _Opening | None) -> bool:
    return opening is not None and opening.rank is not None and opening.rank <= Rank.NAMED


# --- openings ---------------------------------------------------------------------------------------------------------


def _opening(lines: Sequence[str], at: int) -> _Opening | None:
    line = lines[at]
    item = _ITEM.match(line)
    margin = item.end() if item else 0
    if tag := _TAG.fullmatch(line):
        before = tag["before"][margin:].strip()
        if not before or _is_label(before) or not tag["rest"].strip():
            rank = Rank.LABELLED if _follows_label(lines, at, before) else Rank.NAMED
            return _Opening(at, f"</{tag['name']}>", rank, margin, tag["rest"])
    if token := _TOKEN.fullmatch(line):
        return _Opening(at, _TOKENS[token["name"]], Rank.NAMED, margin, token["rest"])
    fence = _FENCE.fullmatch(line)
    return None if fence is None else _fence(lines, at, fence, margin)


def _fence(lines: Sequence[str], at: int, fence: re.Match[str], margin: int) -> _Opening | None:
    before = fence["before"][margin:].strip()
    language = _LANGUAGE.match(fence["info"].strip())
    name, rest = (language["name"], language["rest"]) if language else ("", "")
    python = bool(_PYTHON.fullmatch(name))
    labelled = _follows_label(lines, at, before)
    if before and not _is_label(before) and (rest.strip() or not (python or before.endswith(":"))):
        return None  # a mark within a sentence
    if name and not python:
        return _Opening(at, fence["fence"], None, margin)
    first = "" if _ATTRIBUTES.fullmatch(rest) or parsed(rest.strip()) is None else rest.strip()
    if labelled or python:
        return _Opening(at, fence["fence"], Rank.LABELLED if labelled else Rank.NAMED, margin, first)
    shown = _ends_as_shown(before or _line_before(lines, at))
    return _Opening(at, fence["fence"], Rank.SHOWN if shown else Rank.PLAIN, margin)


def _ends_as_shown(line: str) -> bool:
    return any(m.end() == len(line) for m in _SHOWN.finditer(line))


def _line_before(lines: Sequence[str], at: int) -> str:
    return next((line for line in reversed(lines[max(0, at - 3) : at]) if line.strip()), "").strip()


def _follows_label(lines: Sequence[str], at: int, before: str) -> bool:
    return _is_label(before) if before else _is_label(_line_before(lines, at))


def _is_label(line: str) -> bool:
    """``Code:``, bold or not, numbered or not; without its colon only as a heading or in bold."""
    bare = re.sub(r"\A[\s>#*_\d.)-]+", "", line)
    return bool(_LABEL.fullmatch(bare)) and (bare != line or ":" in bare or "：" in bare)


# --- ends -------------------------------------------------------------------------------------------------------------


def _read(lines: Sequence[str], opening: _Opening) -> tuple[Block | None, int]:
    """The block and the line behind it. Its end is the first at which it parses: code may hold marks in its strings.

    None for a block in another language.
    """
    sure, unsure = _ends(lines, opening)
    if not sure and not unsure:
        unsure = _paragraphs(lines, opening)
    if opening.rank is None:
        return None, sure[0][0] + 1 if sure else len(lines)
    ends = [*sure, *unsure[:MAX_ENDS]]
    start = opening.line + 1
    bodies = ((_code([*lines[start:line], *tail], opening), line) for line, tail in ends)
    code, line = next(((c, n) for c, n in bodies if parsed(c) is not None and c.strip()), ("", -1))
    if line < 0 and ends:
        line, tail = ends[0]
        code = _code([*lines[start:line], *tail], opening)
    is_open = line < 0
    if is_open:
        code, line = _code(lines[start:], opening), len(lines)
    if opening.is_tag and code.lstrip().startswith(("```", "~~~")) and (inner := blocks(code)):
        code = inner[0].code
    return Block(code.rstrip(), opening.rank, is_open), min(line + 1, len(lines))


_End = tuple[int, tuple[str, ...]]
"""The line that ends a block, and what of that line still belongs to it."""


def _ends(lines: Sequence[str], opening: _Opening) -> tuple[list[_End], list[_End]]:
    """Where the block may end: at its own mark; and, less surely, at a mark behind code, or at another's."""
    sure: list[_End] = []
    unsure: list[_End] = []
    is_tag = opening.is_tag
    own = re.compile(re.escape(opening.mark) + ("" if is_tag else f"{re.escape(opening.mark[0])}*"), re.IGNORECASE)
    start = opening.line
    for i in range(start, len(lines)):
        if len(sure) >= MAX_ENDS:
            break
        line = opening.first if i == start else lines[i]
        found = own.search(line)
        if found is None or (i == start and not is_tag):
            if i > start and (_OTHER.fullmatch(line.strip()) or _OBSERVED.match(line)):
                unsure.append((i, ()))
            continue
        before, after = line[: found.start()], line[found.end() :].strip()
        # On the opening line the code is ``first``, which is kept anyway: the end lies there and nothing more.
        tail = (before,) if before.strip() and i > start else ()
        clean = not before.strip() and not re.match(r"\w", after)
        (sure if is_tag or clean else unsure).append((i, tail))
    return sure, unsure


def _paragraphs(lines: Sequence[str], opening: _Opening) -> list[_End]:
    """Where a sentence follows the code of a block that is never closed."""
    found = (i for i in range(opening.line + 2, len(lines)) if not lines[i - 1].strip() and _PROSE.match(lines[i]))
    return [(i, ()) for i in islice(found, 1)]


_OTHER = re.compile(rf"(?:`{{3,}}|~{{3,}})|</(?:{_TAGS})>", re.IGNORECASE)


def _code(body: Sequence[str], opening: _Opening) -> str:
    """The body as code: as it is, or without the indentation that it shares or that its opening line has."""
    first = re.sub(rf"{re.escape(opening.mark)}.*", "", opening.first, flags=re.IGNORECASE).strip()
    text = "\n".join([first, *body] if first else body)
    indented = re.compile(rf"^[ \t]{{1,{opening.margin}}}", re.MULTILINE) if opening.margin else None
    forms = [text, textwrap.dedent(text), *([indented.sub("", text)] if indented else [])]
    forms += [text.replace("\N{NO-BREAK SPACE}", " ")] if "\N{NO-BREAK SPACE}" in text else []
    parsing = (f for f in forms if parsed(f) is not None)
    return next(parsing, forms[1] if text[:1].isspace() and text.strip() else text)
