"""Reading what a model wrote: where its reasoning ends, the code of an agent's step, the answer of a chain of thought.

Each is decided by one function, which everything that reads a model's words calls: :func:`split_reasoning`,
:func:`parse_action` and :func:`extract_answer`.
"""

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

# --- reasoning --------------------------------------------------------------------------------------------------------

_QUOTES = ("'", '"', "`")
_MAX_STRETCHES = 32


@dataclass(frozen=True, slots=True)
class Reading:
    """A turn taken apart. ``reply`` is what the turn says; both are stripped where reasoning was found."""

    reasoning: str
    reply: str


# The names that families give to it: DeepSeek, Qwen, QwQ, Nemotron, EXAONE, Seed-OSS, MiniMax, Kimi and others.
_NAME = (
    r"(?:[a-z]+:)?(?:(?:deep|inner|internal)[_-]?)?"
    r"(?:think(?:ing)?|thoughts?|reason(?:ing)?|monologue|analysis|scratchpad|reflection|chain[_-]of[_-]thought)"
    r"(?:[_-](?:process|steps))?|思考"
)
# (opening, closing): tags; Mistral's; Sky-T1's, Cohere's, Solar's and LFM's special tokens; Kimi-VL; MedGemma and
# Gemma; Open WebUI; Granite and Apriel, which use sentences.
_PAIRS = tuple(
    (re.compile(opening, re.IGNORECASE), re.compile(closing, re.IGNORECASE))
    for opening, closing in (
        (rf"<\s?(?P<name>{_NAME})(?:\s[^<>]*)?>", rf"<\s?/\s?(?P<name>{_NAME})\s*>|<\|/think\|>"),
        (r"\[(?P<name>THINK(?:ING)?|THOUGHT|REASONING)\]", r"\[/(?P<name>THINK(?:ING)?|THOUGHT|REASONING)\]"),
        (
            rf"(?:<\||\[\|)(?:begin_?of_?|start_?of_?|START_)?(?:{_NAME})(?:_start)?(?:\|>|\|\])",
            rf"(?:<\||\[\|)(?:end_?of_?|END_|/)(?:{_NAME})(?:\|>|\|\])|<\|(?:{_NAME})_end\|>"
            r"|(?P<opened>)<\|end\|>\s*(?:<\|begin\|>\s*assistant\s*)?<\|content\|>",
        ),
        (r"◁think▷", r"◁/think▷"),
        (r"<unused94>", r"<unused95>"),
        (r"<\|channel>", r"<channel\|>"),
        # What else these close is no reasoning: they never stand alone.
        (r"<details\s[^<>]*type=.?reasoning[^<>]*>", r"(?P<opened>)</details>"),
        (r"\A\s*here(?:'s| is) my thought process:", r"(?P<opened>)here(?:'s| is) my response:"),
        (r"\A\s*here are my reasoning steps:", r"(?P<opened>)\[BEGIN FINAL RESPONSE\]"),
    )
)
_REPLY_MARKS = re.compile(r"\A\s*(?:<\|(?:START_RESPONSE|begin_of_solution)\|>|<response>)\s*", re.IGNORECASE)
_REPLY_END = re.compile(
    r"\s*(?:<\|(?:END_RESPONSE|end_of_solution)\|>|</response>|\[END FINAL RESPONSE\])(?:\s*<\|end\|>)?\s*\Z",
    re.IGNORECASE,
)
_THOUGHT_LABEL = re.compile(r"(?:[\W_]*\w+[\W_]*:\W*)?")
_CODE_FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)
# gpt-oss: <|start|>assistant<|channel|>analysis<|message|>…<|end|>
_HARMONY = re.compile(
    r"(?:<\|start\|>\s*assistant\s*)?(?:<\|channel\|>|\A)\s*(?P<channel>analysis|commentary|final)\b[^<]*"
    r"(?:<\|constrain\|>[^<]*)?<\|message\|>(?P<words>.*?)"
    r"(?=<\|(?:end|return|call|start|channel)\|>|\Z)(?:<\|(?:end|return|call)\|>)?",
    re.DOTALL,
)
# The same where the server left its special tokens out: "analysisWe need …assistantfinalThe answer".
_BARE_HARMONY = re.compile(r"\A\s*analysis(?=\S|\s*\n)(?P<reasoning>.*?)assistant\s*final(?P<reply>.*)\Z", re.DOTALL)
_BARE_UNFINISHED = re.compile(r"\A\s*analysis(?=[A-Z])(?P<reasoning>.*)\Z", re.DOTALL)


def split_reasoning(text: str) -> Reading:
    """``text`` as reasoning and reply.

    Reasoning stands between marks, before a closing mark whose opening one the prompt holds, behind an opening one
    that is never closed (all of it, then), or in channels that are not the final one. A mark within a sentence, in
    quotes or in a block of code is not one. Where there is no reasoning, the reply is ``text`` as it is.

    >>> split_reasoning("<think>\\n41?\\n</think>\\n\\nAnswer: 42")
    Reading(reasoning='41?', reply='Answer: 42')
    """
    found = _channels(text)
    if found is None:
        thought: list[str] = []
        reply = text
        while len(thought) < _MAX_STRETCHES and (cut := _first_cut(reply)) is not None:
            start, inner, end = cut
            thought.append(reply[inner[0] : inner[1]].strip())
            reply = reply[:start] + reply[end:] if reply[:start].strip() else reply[end:].lstrip()
        if not thought:
            return Reading("", text)
        found = Reading("\n\n".join(t for t in thought if t), reply)
    reply = _REPLY_END.sub("", _REPLY_MARKS.sub("", found.reply))
    return Reading(found.reasoning.strip(), reply.strip())


def after_reasoning(text: str) -> str:
    """What a turn says once its reasoning is over; ``text`` itself where it holds none."""
    return split_reasoning(text).reply


def first_thought(text: str) -> str:
    """The first step of a chain of thought: its text up to the first empty line, behind any reasoning (arXiv
    2505.17612, section 3.1)."""
    return re.split(r"\n[ \t]*\n", after_reasoning(text).strip(), maxsplit=1)[0].strip()


def _channels(text: str) -> Reading | None:
    """The final channel as the reply, all others as reasoning; None where the text has no channels."""
    parts = list(_HARMONY.finditer(text)) if "<|message|>" in text else []
    if parts:
        final = [p["words"] for p in parts if p["channel"] == "final"]
        others = [p["words"].strip() for p in parts if p["channel"] != "final"]
        return Reading("\n\n".join(others), final[-1] if final else "")
    if bare := _BARE_HARMONY.match(text):
        return Reading(bare["reasoning"], bare["reply"])
    if bare := _BARE_UNFINISHED.match(text):
        return Reading(bare["reasoning"], "")
    return None


def _first_cut(text: str) -> tuple[int, tuple[int, int], int] | None:
    """The first stretch of reasoning: where it starts, its inside, and where it ends."""
    found: list[tuple[int, tuple[int, int], int]] = []
    for opening, closing in _PAIRS:
        openings, closings = list(opening.finditer(text)), list(closing.finditer(text))
        for start in openings[:_MAX_STRETCHES]:
            fits = (m for m in closings if m.start() >= start.end() and _name_in(m) in (_name_in(start), ""))
            end = next((m for m in fits if not _quoted(text, m)), None)
            if _opens_reasoning(text, start, end):
                inside = (start.end(), end.start() if end else len(text))
                found.append((start.start(), inside, end.end() if end else len(text)))
                break
        opened = {_name_in(m) for m in openings}
        free = (
            m for m in closings[::-1][:_MAX_STRETCHES] if _name_in(m) not in opened and "opened" not in _named_groups(m)
        )
        if alone := next((m for m in free if _closes_alone(text, m)), None):
            found.append((0, (0, alone.start()), alone.end()))
    return min(found, default=None)


def _named_groups(mark: re.Match[str]) -> dict[str, str]:
    return {k: v for k, v in mark.groupdict().items() if v is not None}


def _name_in(mark: re.Match[str]) -> str:
    """The name in a mark, which its closing mark repeats; '' where the mark has none."""
    return _named_groups(mark).get("name", "").lower()


def _opens_reasoning(text: str, mark: re.Match[str], end: re.Match[str] | None) -> bool:
    """Whether reasoning begins here: outside of code, at the start of a line or behind its label ("Thought:"); within
    a sentence only where it is closed on a later line."""
    if _in_code(text, mark.start()) or _quoted(text, mark):
        return False
    line = text[text.rfind("\n", 0, mark.start()) + 1 : mark.start()].strip()
    return _THOUGHT_LABEL.fullmatch(line) is not None or (end is not None and "\n" in text[mark.end() : end.start()])


def _closes_alone(text: str, mark: re.Match[str]) -> bool:
    """Whether reasoning that the prompt opened ends here. In code the mark has to have a line of its own: a block that
    the reasoning left open."""
    if _quoted(text, mark):
        return False
    if not _in_code(text, mark.start()):
        return True
    line = text[text.rfind("\n", 0, mark.start()) + 1 :].split("\n", 1)[0]
    return line.strip() == mark[0]


def _quoted(text: str, mark: re.Match[str]) -> bool:
    return text[mark.start() - 1 : mark.start()] in _QUOTES or text[mark.end() : mark.end() + 1] in _QUOTES


def _in_code(text: str, at: int) -> bool:
    """Whether a fence is open at ``at``."""
    return len(_CODE_FENCE.findall(text, 0, at)) % 2 == 1


# --- code -------------------------------------------------------------------------------------------------------------

# Fences and tags are found line by line. Of several blocks, what follows ``Code:`` goes first, then what is named
# Python; among equals, what parses, and then the first.

_MAX_BLOCKS, _MAX_ENDS = 16, 16
"""Blocks that are read, and ends that are tried for each: a model that repeats itself writes thousands of fences."""

_FENCE_LINE = re.compile(r"(?P<before>[^`]*?)(?P<fence>`{3,}|~{3,})[ \t]*(?P<info>[^`]*)")
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
_LIST_ITEM = re.compile(r"[ \t]*(?:(?:[-*+]|\d{1,3}[.)])[ \t]+)?")
_LANGUAGE = re.compile(r"[{.]*(?P<name>[\w+#-]*)(?P<version>(?:\.\d+)*)(?P<rest>.*)")
_PYTHON_NAME = re.compile(
    r"i?py(?:thon)?\d*|tool_code|code|(?:python|py)[-_]?(?:code|repl|exec|run)|code[-_]?(?:interpreter|cell)|jupyter",
    re.IGNORECASE,
)
_ATTRIBUTES = re.compile(
    r"[\s,;}]*(?:[.#:%{\[].*|[\d.]+|[\w-]+[=:].*|[\w./-]+\.py\b.*|i?python\d*|run(?:nable)?|exec(?:ute)?|interactive"
    r"|copy|code)?",
    re.DOTALL | re.IGNORECASE,
)
_PROSE = re.compile(r"(?:\*\*)?[A-Z][\w'’,-]*(?: [\w'’,()\"`-]+){2,}.*[.:!?]")
_CODE_LABEL = re.compile(r"(?:python\s+)?(?:code|action)\s*[*_]*\s*[:：]?\s*[*_]*", re.IGNORECASE)
_SHOWN = re.compile(
    r"\b(?:observations?|outputs?|results?|print(?:ed|s)?|g[ai]ves?|was|were|return(?:ed|s)?|show(?:ed|n|s)?|saw|sa(?:id|ys)"
    r"|got|logs?|expected)\W*",
    re.IGNORECASE,
)
_OBSERVED = re.compile(r"[\W_]*observations?[*_ \t]*:", re.IGNORECASE)


class _Rank(IntEnum):
    """How surely a block is the turn's code."""

    LABELLED = 0
    NAMED = 1
    PLAIN = 2
    SHOWN = 3


@dataclass(frozen=True, slots=True)
class _Block:
    """Code that was found. ``is_open`` says that the turn ended before the block did."""

    code: str
    rank: _Rank
    is_open: bool

    @property
    def order(self) -> tuple[int, int]:
        """Blocks of a lower order go first."""
        tree = parsed(self.code)
        if tree is None:
            return self.rank, 2
        return self.rank, int(self.rank >= _Rank.PLAIN and not _acts(tree))

    @property
    def may_run(self) -> bool:
        """Whether this can be meant as code at all: text that was shown, and open blocks without a name, cannot."""
        if not self.code.strip():
            return False
        return self.order[1] == 0 if self.rank is _Rank.SHOWN else self.rank < _Rank.PLAIN or not self.is_open


@dataclass(frozen=True, slots=True)
class _Opening:
    """The line that opens a block, and what it says. ``mark`` closes the block; ``first`` is code on this very line."""

    line: int
    mark: str
    rank: _Rank | None
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


def parse_action(text: str, *, cut_off: bool = False) -> str | None:
    """The code of an agent's step; None where it has none.

    Fences (with or without a language, of backticks or tildes) and ``<code>`` tags count, behind any reasoning. A block
    that is never closed counts where it is named Python or follows ``Code:``, since models that stop at the closing
    fence leave it out; not so where the turn was ``cut_off`` at a stop string or a limit, for then it is a fragment.

    >>> parse_action("Thought: add.\\nCode:\\n```py\\nprint(1 + 1)\\n```")
    'print(1 + 1)'
    """
    found = (b for b in _blocks(after_reasoning(text)) if not (cut_off and b.is_open))
    return next((b.code for b in found), None)


def _blocks(text: str) -> list[_Block]:
    """The blocks of a turn that may be its code, the best first."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    found = [b for b in islice(_all_blocks(lines), _MAX_BLOCKS) if b.may_run]
    if not found and (short := next((m for line in lines if (m := _ONE_LINE.fullmatch(line))), None)):
        found = [_Block(short["code"].strip(), _Rank.NAMED, False)] if parsed(short["code"].strip()) else []
    return sorted(found, key=lambda b: b.order)


def _all_blocks(lines: Sequence[str]) -> Iterator[_Block]:
    at, began = 0, False
    while at < len(lines):
        if began and _OBSERVED.match(lines[at]):
            return  # nothing has been run yet: the model made up what follows
        opening = _opening(lines, at)
        if opening is None:
            at += 1
            continue
        block, end = _read_block(lines, opening)
        if block is not None:
            began = True
            yield block
        if block is None or parsed(block.code) is None:
            # A fence of text, or one that was never closed, may have swallowed the one that is named Python.
            named = (i for i in range(opening.line + 1, end) if _is_named(_opening(lines, i)))
            end = next(named, end)
        at = end


def _is_named(opening: _Opening | None) -> bool:
    return opening is not None and opening.rank is not None and opening.rank <= _Rank.NAMED


# --- openings ---------------------------------------------------------------------------------------------------------


def _opening(lines: Sequence[str], at: int) -> _Opening | None:
    line = lines[at]
    item = _LIST_ITEM.match(line)
    margin = item.end() if item else 0
    if tag := _TAG.fullmatch(line):
        before = tag["before"][margin:].strip()
        if not before or _is_label(before) or not tag["rest"].strip():
            rank = _Rank.LABELLED if _follows_label(lines, at, before) else _Rank.NAMED
            return _Opening(at, f"</{tag['name']}>", rank, margin, tag["rest"])
    if token := _TOKEN.fullmatch(line):
        return _Opening(at, _TOKENS[token["name"]], _Rank.NAMED, margin, token["rest"])
    fence = _FENCE_LINE.fullmatch(line)
    return None if fence is None else _fence(lines, at, fence, margin)


def _fence(lines: Sequence[str], at: int, fence: re.Match[str], margin: int) -> _Opening | None:
    before = fence["before"][margin:].strip()
    language = _LANGUAGE.match(fence["info"].strip())
    name, rest = (language["name"], language["rest"]) if language else ("", "")
    python = bool(_PYTHON_NAME.fullmatch(name))
    labelled = _follows_label(lines, at, before)
    if before and not _is_label(before) and (rest.strip() or not (python or before.endswith(":"))):
        return None  # a mark within a sentence
    if name and not python:
        return _Opening(at, fence["fence"], None, margin)
    first = "" if _ATTRIBUTES.fullmatch(rest) or parsed(rest.strip()) is None else rest.strip()
    if labelled or python:
        return _Opening(at, fence["fence"], _Rank.LABELLED if labelled else _Rank.NAMED, margin, first)
    shown = _ends_as_shown(before or _line_before(lines, at))
    return _Opening(at, fence["fence"], _Rank.SHOWN if shown else _Rank.PLAIN, margin)


def _ends_as_shown(line: str) -> bool:
    return any(m.end() == len(line) for m in _SHOWN.finditer(line))


def _line_before(lines: Sequence[str], at: int) -> str:
    return next((line for line in reversed(lines[max(0, at - 3) : at]) if line.strip()), "").strip()


def _follows_label(lines: Sequence[str], at: int, before: str) -> bool:
    return _is_label(before) if before else _is_label(_line_before(lines, at))


def _is_label(line: str) -> bool:
    """``Code:``, bold or not, numbered or not; without its colon only as a heading or in bold."""
    bare = re.sub(r"\A[\s>#*_\d.)-]+", "", line)
    return bool(_CODE_LABEL.fullmatch(bare)) and (bare != line or ":" in bare or "：" in bare)


# --- ends -------------------------------------------------------------------------------------------------------------


def _read_block(lines: Sequence[str], opening: _Opening) -> tuple[_Block | None, int]:
    """The block and the line behind it. Its end is the first at which it parses: code may hold marks in its strings.

    None for a block in another language.
    """
    sure, unsure = _possible_ends(lines, opening)
    if not sure and not unsure:
        unsure = _paragraphs(lines, opening)
    if opening.rank is None:
        return None, sure[0][0] + 1 if sure else len(lines)
    ends = [*sure, *unsure[:_MAX_ENDS]]
    start = opening.line + 1
    bodies = ((_code([*lines[start:line], *tail], opening), line) for line, tail in ends)
    code, line = next(((c, n) for c, n in bodies if parsed(c) is not None and c.strip()), ("", -1))
    if line < 0 and ends:
        line, tail = ends[0]
        code = _code([*lines[start:line], *tail], opening)
    is_open = line < 0
    if is_open:
        code, line = _code(lines[start:], opening), len(lines)
    if opening.is_tag and code.lstrip().startswith(("```", "~~~")) and (inner := _blocks(code)):
        code = inner[0].code
    return _Block(code.rstrip(), opening.rank, is_open), min(line + 1, len(lines))


_BlockEnd = tuple[int, tuple[str, ...]]
"""The line that ends a block, and what of that line still belongs to it."""


def _possible_ends(lines: Sequence[str], opening: _Opening) -> tuple[list[_BlockEnd], list[_BlockEnd]]:
    """Where the block may end: at its own mark; and, less surely, at a mark behind code, or at another's."""
    sure: list[_BlockEnd] = []
    unsure: list[_BlockEnd] = []
    is_tag = opening.is_tag
    own = re.compile(re.escape(opening.mark) + ("" if is_tag else f"{re.escape(opening.mark[0])}*"), re.IGNORECASE)
    start = opening.line
    for i in range(start, len(lines)):
        if len(sure) >= _MAX_ENDS:
            break
        line = opening.first if i == start else lines[i]
        found = own.search(line)
        if found is None or (i == start and not is_tag):
            if i > start and (_OTHER_MARK.fullmatch(line.strip()) or _OBSERVED.match(line)):
                unsure.append((i, ()))
            continue
        before, after = line[: found.start()], line[found.end() :].strip()
        # On the opening line the code is ``first``, which is kept anyway: the end lies there and nothing more.
        tail = (before,) if before.strip() and i > start else ()
        clean = not before.strip() and not re.match(r"\w", after)
        (sure if is_tag or clean else unsure).append((i, tail))
    return sure, unsure


def _paragraphs(lines: Sequence[str], opening: _Opening) -> list[_BlockEnd]:
    """Where a sentence follows the code of a block that is never closed."""
    found = (i for i in range(opening.line + 2, len(lines)) if not lines[i - 1].strip() and _PROSE.match(lines[i]))
    return [(i, ()) for i in islice(found, 1)]


_OTHER_MARK = re.compile(rf"(?:`{{3,}}|~{{3,}})|</(?:{_TAGS})>", re.IGNORECASE)


def _code(body: Sequence[str], opening: _Opening) -> str:
    """The body as code: as it is, or without the indentation that it shares or that its opening line has."""
    first = re.sub(rf"{re.escape(opening.mark)}.*", "", opening.first, flags=re.IGNORECASE).strip()
    text = "\n".join([first, *body] if first else body)
    indented = re.compile(rf"^[ \t]{{1,{opening.margin}}}", re.MULTILINE) if opening.margin else None
    forms = [text, textwrap.dedent(text), *([indented.sub("", text)] if indented else [])]
    forms += [text.replace("\N{NO-BREAK SPACE}", " ")] if "\N{NO-BREAK SPACE}" in text else []
    parsing = (f for f in forms if parsed(f) is not None)
    return next(parsing, forms[1] if text[:1].isspace() and text.strip() else text)


# --- answers ----------------------------------------------------------------------------------------------------------

_BOX = re.compile(r"\\(?:boxed|fbox|framebox)\s*(?:\{|(?P<bare>\d[\w.,/]*\w|\w(?![a-zA-Z])))")
_MAX_BOXES = 16
_BETWEEN_BOXES = re.compile(r"[\s$,;]*(?:(?:and|or|,)[\s$]*)?")
_TAGGED_ANSWER = re.compile(
    r"(?:<(?:final_?)?answer>|\[ANSWER\]|<\|begin_of_box\|>)(.*?)(?:</(?:final_?)?answer>|\[/ANSWER\]|<\|end_of_box\|>)",
    re.DOTALL | re.IGNORECASE,
)
# {"answer": "Paris"}
_QUOTED_ANSWER = re.compile(
    r"[\"'](?:final_?)?answer[\"']\s*:\s*(?P<value>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[^\s,})]+)",
    re.IGNORECASE,
)
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u2060\ufeff"))
_HASHES = re.compile(r"^####[ \t]*(?!#)(?P<rest>[^\n]*)", re.MULTILINE)
_ANSWER_WORDS = (
    r"(?i:answers?|ans|solution|antworte?n?|réponse|respuesta|risposta|resposta|antwoord|svar|odpowiedź|ответ|cevap"
    r"|答案|答え|回答|答|정답|답)"
)
_QUALIFIED = (
    r"(?i:(?:the|my|our)[ \t]+)?(?i:(?:final|correct|right|short|numeric(?:al)?|exact|die|la|最终|最終)[ \t]*)*"
)
# At the start of a line, whatever markup is around: "Answer: …", "**Final Answer**", "### Answer", "A: …".
_ANSWER_LABEL = re.compile(
    rf"^(?P<markup>[ \t>#*_\[-]*)(?:\d{{1,2}}[.)][ \t*_]+)?(?:(?i:so|thus|therefore|hence),?[ \t]+)?"
    rf"(?:{_QUALIFIED}{_ANSWER_WORDS}|A(?=:))"
    r"(?:[ \t]+(?i:final[ae]?))?[ \t]*(?:\([^()\n]*\))?(?P<after>[ \t*_\]]*)"
    r"(?P<colon>[:：=→]|->|=>|[-–—][ \t]|[ \t]is[ \t]*:)?[ \t*_]*(?P<rest>[^\n]*)",
    re.MULTILINE,
)
_BOLD = re.compile(rf"\*\*[ \t]*{_QUALIFIED}{_ANSWER_WORDS}[ \t*]*[:：][ \t*]*(?P<rest>[^\n]*)")
_SENTENCE = re.compile(
    r"(?:^[ \t]*|\b(?:the|my|our)[ \t]+)(?:(?:final|correct|right|best)[ \t]+)*(?:answer|option|choice)"
    r"(?:[ \t]+(?:to|for|of)\b[^.:\n]{0,160}?)?[ \t*_]*"
    r"(?::|=|\b(?:is|was|are|equals|(?:would|must|should|will|might|may|could)[ \t]+be|comes[ \t]+(?:out[ \t]+)?to)\b)"
    r"[ \t*_]*(?:(?:therefore|thus|then|simply|just|clearly)\b,?|:)?(?P<rest>[\s*_]*\S[^\n]*)",
    re.IGNORECASE | re.MULTILINE,
)
# The same in other languages, and the other way round.
_SENTENCES = (
    re.compile(
        r"(?i:\b(?:la[ \t]+(?:respuesta|réponse|risposta)|a[ \t]+resposta|die[ \t]+antwort|het[ \t]+antwoord)"
        r"(?:[ \t]+(?:final[ae]?|correct[ae]?|finale))?[ \t]+(?:est?|è|é|ist|is)\b[ \t]*:?)(?P<rest>[\s*_]*\S[^\n]*)"
    ),
    re.compile(r"(?:答案|答え)[ \t]*(?:是|为|為|は)[ \t:：]*(?P<rest>[^\n。]+?)(?:です|である)?(?=。|\n|\Z)"),
    re.compile(
        r"\b(?:option|choice|answer)[ \t]+(?P<rest>\(?[A-J]\)?)[ \t]+is[ \t]+(?:the[ \t]+)?(?:correct|right|best)", re.I
    ),
    re.compile(
        r"(?:^|(?<=[.,:;][ \t]))(?:(?:so|thus|therefore|hence),?[ \t]+)?(?P<rest>[^\s.,:;?](?:[^\n.?]|\.(?=\d)){0,60}?)"
        r",?[ \t]+is[ \t]+(?:the|my|our)[ \t]+(?:(?:final|correct|right)[ \t]+)*answer\b(?![ \t]+(?:to|for|that|we))",
        re.IGNORECASE | re.MULTILINE,
    ),
)
_NO_ANSWER = re.compile(
    r"(?:based|in[ \t]+(?:the|line)|given|found|(?:shown|as|listed)[ \t]+(?:below|above|follows)|correct\b|wrong\b"
    r"|incorrect\b|not\b(?![ \t]+(?:enough|possible|defined))|that\b|obtained|derived|going\b|unique\b|supported)",
    re.IGNORECASE,
)
_REASON = re.compile(
    r",?[ \t]+(?:because|since|as[ \t]+(?:we|it|the|shown)|due[ \t]+to|given[ \t]+that|which|where)\b.*", re.DOTALL
)
_REMARK = re.compile(r";[ \t]+(?=[a-zA-Z]{2,}[ \t]).*", re.DOTALL)
_NEXT_SENTENCE = re.compile(
    r"(?<=[^\s.])\.[ \t]+"
    r"(?:This|That|These|The|It|Its|So|Let|I|We|You|Therefore|Thus|Hence|Because|Since|Note|To|In|As|If)\b.*",
    re.DOTALL,
)
_AFTER_NUMBER = re.compile(r"\A([^A-Za-z\s]*\d[^A-Za-z\s]*)\.[ \t]+[A-Z].*", re.DOTALL)
_WRAPPED = (("**", "**"), ("__", "__"), ("```", "```"), ("`", "`"), ("<", ">"), ("*", "*"))


def extract_answer(text: str) -> str | None:
    """The answer of a chain of thought, looked for behind its reasoning: the last ``\\boxed{...}`` that is not empty,
    else what the last "Answer:" announces, else what the last "the answer is" says; else None.

    >>> extract_answer("2 * 3 = 6\\n\\nAnswer: 6")
    '6'
    """
    return _answer_of(after_reasoning(text))


def _answer_of(reply: str) -> str | None:
    """The answer of a reply without reasoning: the last box that is not empty, else what ``<answer>`` tags hold, else
    what a label announces, else what a sentence says; of several the last."""
    reply = reply.translate(_INVISIBLE)
    boxed = last_boxed(reply)
    if boxed is not None:
        return boxed
    tagged = [t.strip() for t in _TAGGED_ANSWER.findall(reply) if t.strip()]
    if tagged:
        return last_boxed(tagged[-1]) or _answer_of(tagged[-1]) or _bare(tagged[-1])
    labelled = [a for a in _labelled(reply) if a]
    if labelled:
        sentence = _SENTENCE.match(labelled[-1])  # Final Answer: The final answer is $6$. I hope it is correct.
        return (_said(sentence["rest"]) if sentence else None) or labelled[-1]
    for pattern in (_SENTENCE, *_SENTENCES):
        if said := [a for m in pattern.finditer(reply) if (a := _said(m["rest"]))]:
            return said[-1]
    quoted = [_value(m["value"]) for m in _QUOTED_ANSWER.finditer(reply)]
    return quoted[-1] if quoted else None


def _value(literal: str) -> str:
    """What a literal of JSON or Python says; a name as it stands."""
    try:
        return str(ast.literal_eval(literal))
    except (ValueError, SyntaxError, MemoryError):
        return literal


def last_boxed(text: str) -> str | None:
    """The contents of the last ``\\boxed{...}`` with balanced braces that is not empty; ``\\boxed 5`` is one too. Boxes
    with nothing but a comma or an "and" between them are one answer."""
    found: list[str] = []
    follows = len(text)
    for box in reversed(list(_BOX.finditer(text))[-_MAX_BOXES:]):
        inside = box["bare"] or _inside_braces(text, box.end())
        end = box.end() if box["bare"] else box.end() + len(inside or "") + 1
        if inside is None or not inside.strip() or (found and not _BETWEEN_BOXES.fullmatch(text, end, follows)):
            if found:
                break
            continue
        found.insert(0, inside.strip())
        follows = box.start()
    return ", ".join(dict.fromkeys(found)) or None


def _inside_braces(text: str, begin: int) -> str | None:
    end = closing_bracket(text, begin)
    return None if end is None else text[begin:end]


def closing_bracket(text: str, begin: int, pair: str = "{}") -> int | None:
    """Where the bracket is closed whose content begins at ``begin``; None where it is not."""
    depth = 1
    for i in range(begin, len(text)):
        depth += (text[i] == pair[0]) - (text[i] == pair[1])
        if depth == 0:
            return i
    return None


def _labelled(reply: str) -> Iterator[str | None]:
    found = [(m.start(), _whole(reply, m)) for m in _HASHES.finditer(reply)]
    for m in _ANSWER_LABEL.finditer(reply):
        heading = ("#" in m["markup"] or "*" in m["markup"]) and not m["rest"].strip("*_ \t")
        if m["colon"] or heading:
            found.append((m.start(), _whole(reply, m)))
    found += [(m.start(), _whole(reply, m)) for m in _BOLD.finditer(reply)]
    yield from (_bare(answer) for _, answer in sorted(found))


def _whole(reply: str, label: re.Match[str]) -> str:
    """What a label announces: the rest of its line, else the next that is not empty; formulas to their end."""
    start = label.start("rest")
    if not label["rest"].strip("*_ \t\r"):
        after = reply[label.end() :]
        start = label.end() + len(after) - len(after.lstrip())
    end = reply.find("\n", start)
    while end >= 0 and _is_unfinished(reply[start:end]):
        end = reply.find("\n", end + 1)
    return reply[start:] if end < 0 else reply[start:end]


def _is_unfinished(formula: str) -> bool:
    if formula.count("\\begin{") > formula.count("\\end{") or formula.count("\\[") > formula.count("\\]"):
        return True
    return formula.count("$$") % 2 == 1 and formula.strip().startswith("$$")


def _said(rest: str) -> str | None:
    """The answer within the rest of a sentence; None where the sentence only talks about the answer."""
    answer = _bare(rest)
    if answer is None or _NO_ANSWER.match(answer) or re.match(r"\S+\?(?:\s|\Z)", answer):
        return None
    return answer


def _bare(text: str) -> str | None:
    """``text`` without markup, reasons and remarks."""
    out = re.sub(r"\A[*_]{2,}[ \t]+", "", text.strip())
    for pattern in (_REASON, _REMARK, _NEXT_SENTENCE):
        out = pattern.sub("", out)
    out = _AFTER_NUMBER.sub(r"\1", out).strip()
    out = re.sub(r"\*\*[.!]?\Z", "", out) if out.count("**") == 1 else out
    for opening, closing in _WRAPPED:
        inner = out.rstrip(".!")
        if len(inner) > len(opening) + len(closing) and inner.startswith(opening) and inner.endswith(closing):
            middle = inner[len(opening) : -len(closing)].strip()
            out = middle if opening not in middle else out
    return out.strip() or None


__all__ = [
    "Reading",
    "after_reasoning",
    "extract_answer",
    "first_thought",
    "last_boxed",
    "parse_action",
    "parsed",
    "split_reasoning",
]
