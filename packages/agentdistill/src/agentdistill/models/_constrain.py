"""Steps that parse by construction: llguidance says which tokens the grammar of a step takes.

The model draws first, and a token that the grammar takes stands: most steps are written as they would be without. One
that it refuses and that ends a line or the block is written after what closes the open quotes and brackets, if that is
all it lacks; else the model draws again among those that the grammar takes. No step is cut off: some way to end it is
kept within the budget, and taken once no further token would leave room for it. A thought may take half of the budget.
The log-probabilities stay the model's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agentdistill.errors import ModelError
from agentdistill.models._grammar import lark
from agentdistill.types import StepForm

if TYPE_CHECKING:
    from llguidance import LLMatcher

Redraw = Callable[[NDArray[np.bool_]], int]
"""Draws a token among those allowed, ``[vocabulary]``."""

_DEEP = 90  # tokens to close with at most: Python parses 200 nested brackets
_END = "\n```"
_CLOSERS = (")", "]", "}")
# What completes a construct within brackets or on a line. It may have been begun already, so every end is tried.
_WITHIN = (
    " for a in 0", " not in 0", " is 0", " and 0", " or 0", " if 0 else 0", " a", ":0", "=0", ",", ".0", "...", "0000",
    "r",
)  # fmt: skip
_ON_LINES = (
    "():pass", " a in 0:pass", " from a import a", " as a", "except:pass", "finally:pass", "def a():pass",
    "class a:pass",
)  # fmt: skip
_INDENTS = ["", *(" " * n for n in range(2, 26, 2)), *("\t" * n for n in range(1, 7))]
_IN_BLOCKS = tuple(f"\n{indent}{line}" for line in ("pass", "finally:pass", "def a():pass") for indent in _INDENTS)
_PASS = (*("pass", *(" " * n + "pass" for n in range(1, 25))), *("\t" * n + "pass" for n in range(1, 7)))
_QUOTES = ('"', "'", '"""', "'''", '""', "''")
# What ends a string or a comment else: within an escape, within the braces of an f-string.
_AWKWARD = ('n"', "n'", '}"', "}'", "\n")
_MENDED = 6  # closers at most that a refused token is let stand for


class Vocabulary:
    """A tokenizer as llguidance has it, and what closings are spelt with. Raises ModelError where it cannot be read."""

    def __init__(self, tokenizer: Any, end_ids: Sequence[int]) -> None:
        try:
            from llguidance import LLMatcher
            from llguidance.hf import from_tokenizer
        except ModuleNotFoundError as e:
            raise ModelError(
                "constrain = \"step\" needs llguidance; install it with: pip install 'agentdistill[constrain]'"
            ) from e
        self._new_matcher = LLMatcher
        self.n = len(tokenizer)
        try:
            self._tokens = from_tokenizer(tokenizer, n_vocab=self.n, eos_token=sorted(end_ids))
        except ValueError as e:
            raise ModelError(f'constrain = "step": llguidance cannot read this tokenizer ({e})') from e
        self.end_id = end_ids[0]
        spelt = [self._tokens.decode_bytes([i]) for i in range(self.n)]
        # A thought goes on with these whatever they are: the matcher reads them when something else comes.
        self.plain = frozenset(i for i, s in enumerate(spelt) if i not in end_ids and _PLAIN.fullmatch(s))
        self.of_strings = frozenset(i for i in self.plain if _OF_STRINGS.fullmatch(spelt[i]))
        self.wary = frozenset(i for i, s in enumerate(spelt) if _WARY.search(s))
        self.end, self.strange, self.first = self._spell(_END), self._spell("$"), self._spell("pass")
        self.newline, self.strange_line = self._spell("\n"), self._spell("\n$")
        self.closers, self.quotes, self.awkward = map(self._all, (_CLOSERS, _QUOTES, _AWKWARD))
        # What says that the thought, or the block, is over; and that a line is.
        self.over = frozenset({*end_ids, *(i for i, s in enumerate(spelt) if b"`" in s)})
        self.ends_line = self.over | {i for i, s in enumerate(spelt) if s.startswith(b"\n")}
        within, on_lines = self._all(_ends(_WITHIN)), self._all(_ends(_ON_LINES))
        in_blocks = self._all((*_PASS, *_IN_BLOCKS))
        self.fillers = sorted([*within, *on_lines, *in_blocks], key=len)
        self.at_most = 2 * max(map(len, [*within, *on_lines])) + len(self.end) + 1
        """What a closing takes at most, but for what stands open."""
        bracket, line = 2 * max(map(len, within)) + 1, max(map(len, in_blocks))
        self.n_opened = [sum(s.count(c) for c in b"([{") for s in spelt]
        self.cost = [1 + bracket * n + line * s.count(b"\n") for s, n in zip(spelt, self.n_opened, strict=True)]
        """By how much a token brings the end of the budget closer to that of the closing, at most."""
        self._begun: dict[tuple[StepForm, bool], tuple[LLMatcher, list[list[int]]]] = {}
        self._known: dict[int, Known] = {}
        self._n_known = 0

    def _spell(self, text: str) -> list[int]:
        """Ids of exactly this text."""
        return list(self._tokens.greedy_tokenize(text))

    def _all(self, texts: Sequence[str]) -> list[list[int]]:
        return [self._spell(t) for t in texts]

    def begin(self, form: StepForm, begun: bool) -> tuple[LLMatcher, list[list[int]]]:
        """A matcher at the beginning, and every end of what leads to the code, shortest first."""
        if (form, begun) not in self._begun:
            matcher = self._new_matcher(self._tokens, lark(form, begun), log_level=0)
            if matcher.is_error():
                raise ModelError(f"llguidance refuses the grammar of a step: {matcher.get_error().splitlines()[0]}")
            ways = [form.between if begun else form.opening + form.between, *([form.bare] if form.bare else [])]
            self._begun[form, begun] = matcher, self._all(_ends(ways))
        matcher, openings = self._begun[form, begun]
        return matcher.deep_copy(), openings

    def known(self, last: int) -> Known:
        """What is known of code that begins after the token ``last``."""
        if self._n_known > _MOST_KNOWN:
            self._known, self._n_known = {}, 0
        return self._known.setdefault(last, Known())

    def learn(self, known: Known, token: int, matcher: LLMatcher) -> Known:
        """The token was taken, and the matcher has read it: what is known from there on."""
        self._n_known += 1
        then = Known()
        then.in_string = takes(matcher, self.strange)
        if known.in_string and then.in_string and token in self.of_strings:
            known.inner = then.inner = then
        else:
            known.then[token] = then
        return then

    def allowed(self, matcher: LLMatcher) -> NDArray[np.bool_]:
        """What the grammar takes next, ``[vocabulary]``."""
        bits = np.frombuffer(matcher.compute_bitmask(), np.uint8)
        return np.unpackbits(bits, bitorder="little")[: self.n].astype(np.bool_)

    def closing(self, matcher: LLMatcher) -> list[int] | None:
        """Tokens that end the step soon, its last marker apart; None where none were found."""
        matcher, path = matcher.deep_copy(), list[int]()
        while not matcher.is_accepting():
            piece = self._piece(matcher)
            if piece is None or len(path) > 2 * _DEEP or not matcher.consume_tokens(piece):
                return None
            path += piece
        return path

    def _piece(self, matcher: LLMatcher) -> list[int] | None:
        """The next piece of a closing."""
        if takes(matcher, self.end):
            return self.end
        piece = self._closer(matcher, (*self.quotes, *self.awkward)) or self._filler(matcher)
        if piece is None:  # within a character of several bytes
            allowed = self.allowed(matcher).nonzero()[0]
            piece = [int(allowed[0])] if len(allowed) else None
        return piece

    def _closer(self, matcher: LLMatcher, quotes: Sequence[list[int]]) -> list[int] | None:
        """What closes the string, the comment or the bracket that stands open."""
        if takes(matcher, self.strange):
            return next((q for q in quotes if takes(matcher, q) and not takes(after(matcher, q), self.strange)), None)
        return next((c for c in self.closers if takes(matcher, c)), None)

    def mending(self, matcher: LLMatcher, token: int) -> list[int] | None:
        """What closes quotes, brackets and the line so that a refused token may come next; None where nothing does."""
        matcher, path = matcher.deep_copy(), list[int]()
        for _ in range(_MENDED):
            for more in ([], self.newline, self.end):
                if takes(matcher, [*more, token]):
                    return [*path, *more]
            piece = self._closer(matcher, self.quotes)
            if piece is None:
                return None
            matcher.consume_tokens(piece)
            path += piece
        return None

    def _filler(self, matcher: LLMatcher) -> list[int] | None:
        """What completes a construct so that something can be closed."""
        first = [f for f in self.fillers if takes(matcher, f)]
        for filler in first:
            if self._can_close(after(matcher, filler)):
                return filler
        for filler in first:
            then = after(matcher, filler)
            for second in self.fillers:
                if takes(then, second) and self._can_close(after(then, second)):
                    return [*filler, *second]
        return None

    def _can_close(self, matcher: LLMatcher) -> bool:
        return any(takes(matcher, c) for c in (self.end, *self.closers))


_PLAIN = re.compile(rb"[\n !-;=-Z\\\]^_a-z{|}]+")
_OF_STRINGS = re.compile(rb"[ A-Za-z0-9_.,:;?=*()-]+")
# After a mark may have begun, each token of a thought is read at once, until it cannot be one.
_WARY = re.compile(rb"[<\[][A-Za-z:_/ \n|-]*\Z")
_MOST_KNOWN = 50_000


class Known:
    """Code so far, as far as what may follow goes: which tokens were taken before, and what is known after them.

    Agents write much alike, and a look here takes a hundredth of what the matcher does. Within a string or a comment it
    does not matter what it says: ``inner`` is the place after any plain token.
    """

    __slots__ = ("in_string", "inner", "then")

    def __init__(self) -> None:
        self.then: dict[int, Known] = {}
        self.in_string = False
        self.inner: Known | None = None


def takes(matcher: LLMatcher, tokens: list[int]) -> bool:
    """Whether all the tokens may come next."""
    return bool(matcher.validate_tokens(tokens) == len(tokens))


def after(matcher: LLMatcher, tokens: list[int]) -> LLMatcher:
    """A matcher that has read these tokens too."""
    matcher = matcher.deep_copy()
    matcher.consume_tokens(tokens)
    return matcher


def _ends(texts: Sequence[str]) -> list[str]:
    """Every end of the texts, shortest first."""
    return sorted({t[n:] for t in texts for n in range(len(t))}, key=lambda t: (len(t), t))


class Guide:
    """Watches over one step of at most ``budget`` tokens. ``begun``: it goes on within a thought."""

    def __init__(self, vocabulary: Vocabulary, form: StepForm, begun: bool, budget: int) -> None:
        self._vocabulary, self._form, self._begun, self._budget = vocabulary, form, begun, budget
        self.start_over()

    def start_over(self) -> None:
        """Watch from the beginning again."""
        v = self._vocabulary
        self._matcher, self._openings = v.begin(self._form, self._begun)
        self._left = self._budget
        self._in_code, self._in_thought, self._wary = False, self._begun, False
        self._known: Known | None = None
        self._unread: list[int] = []
        self._forced: list[int] = []
        self._room = self._deep = 0
        at_least = max(map(len, self._openings)) + len(v.first) + len(v.end) + 1
        # Tokens left at which the code begins at the latest. A budget that no step fits into is let run out.
        self._for_code = min(self._budget, max(self._budget // 2, at_least + 4)) if self._budget >= at_least else 0

    def choose(self, drawn: int, redraw: Redraw) -> int:
        """The token that stands where the model has drawn one; ``redraw`` is asked where that one cannot."""
        if self._forced:
            token = self._forced.pop(0)
        elif self._in_code:
            return self._write_code(drawn, redraw)
        elif self._left <= self._for_code:
            self._read()
            self._forced = self._opening()
            token = self._forced.pop(0)
        elif self._in_thought and not self._wary and drawn in self._vocabulary.plain:
            self._unread.append(drawn)
            self._left -= 1
            return drawn
        else:
            self._read()
            token = drawn
            if not takes(self._matcher, [drawn]):
                if self._in_thought and drawn in self._vocabulary.over:
                    self._forced = self._opening()
                    token = self._forced.pop(0)
                else:
                    token = redraw(self._vocabulary.allowed(self._matcher))
        self._matcher.consume_token(token)
        self._left -= 1
        if not self._in_code:
            self._look(token)
        return token

    def _read(self) -> None:
        if self._unread:
            self._matcher.consume_tokens(self._unread)
            self._unread.clear()

    def _look(self, token: int) -> None:
        """See whether the thought, or the code, has begun."""
        v = self._vocabulary
        self._in_thought = takes(self._matcher, v.strange_line)  # a comment before the code takes "$" too, on its line
        self._wary = token in v.wary or (self._wary and token in v.plain)
        self._in_code = not self._in_thought and takes(self._matcher, v.first)
        if self._in_code:
            self._known = v.known(token)
            self._room = self._left - len(v.first) - len(v.end) - 1 - v.at_most
            self._forced.clear()

    def _opening(self) -> list[int]:
        """The shortest way to the code."""
        v = self._vocabulary
        for way in self._openings:
            then = after(self._matcher, way) if takes(self._matcher, way) else None
            if then is not None and takes(then, v.first) and not takes(then, v.strange_line):
                return list(way)
        return [int(v.allowed(self._matcher).nonzero()[0][0])]  # within a character of several bytes

    def _write_code(self, drawn: int, redraw: Redraw) -> int:
        v, matcher, token = self._vocabulary, self._matcher, drawn
        then = self._after(drawn)
        if then is not None:
            self._unread.append(drawn)
        else:
            self._read()
            if not matcher.try_consume_tokens([drawn]):
                token = self._instead(drawn, redraw)
                matcher.consume_token(token)
                then = self._after(token)
            if then is None and self._known is not None:
                then = v.learn(self._known, token, matcher)
        self._room -= v.cost[token]
        self._deep += v.n_opened[token]
        if (self._room < 0 or self._deep > _DEEP) and token != v.end_id:
            self._read()
            if not matcher.is_stopped() and not self._fits():
                matcher.rollback(1)
                closing = v.closing(matcher)
                if closing is not None:
                    self._forced = [*closing, v.end_id]
                    token = self._forced.pop(0)
                matcher.consume_token(token)
                then = None
        self._known = None if self._forced else then
        self._left -= 1
        return token

    def _after(self, token: int) -> Known | None:
        """What is known after the token; None where it has not been taken here before."""
        known = self._known
        if known is None:
            return None
        if known.inner is not None and token in self._vocabulary.of_strings:
            return known.inner
        return known.then.get(token)

    def _instead(self, refused: int, redraw: Redraw) -> int:
        """The token to write where the grammar does not take the one that was drawn."""
        v = self._vocabulary
        mending = v.mending(self._matcher, refused) if refused in v.ends_line else None
        if mending is None or self._room <= len(mending) + 1:
            return redraw(v.allowed(self._matcher))
        self._forced = [*mending[1:], refused]
        self._room -= sum(v.cost[t] for t in self._forced)
        self._deep += sum(v.n_opened[t] for t in self._forced)
        return mending[0]

    def _fits(self) -> bool:
        """Whether the step can be ended after the newest token; how much room there is then."""
        closing = self._vocabulary.closing(self._matcher)
        if closing is None or len(closing) > _DEEP:
            return False
        spare = self._left - 2 - len(closing)
        self._room, self._deep = spare - self._vocabulary.at_most, len(closing)
        return spare >= 0
