"""Numbers with units: what may stand behind a number and is not multiplied with it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agentdistill.grade._exact import names
from agentdistill.grade._exact.tokens import STOP, Token
from agentdistill.grade._exact.tree import Call, Node, Num, Quantity, Unread
from agentdistill.grade._units import parse_unit
from agentdistill.grade._words import SCALES

if TYPE_CHECKING:
    from agentdistill.grade._exact.formula import Formula

_ENDS = frozenset((",", ";", ")", "]", "}", "and", "or", "=", "<", ">", "<=", ">="))
_SCALES = {**SCALES, "hundred": 100, "dozen": 12}
# Words after a number that change its value, where others are what is counted.
_NO_NOUNS = """half halves third thirds quarter quarters squared cubed over plus minus times root factorial base in mod
    modulo choose to of per by is equals"""
_CHANGES = frozenset(_NO_NOUNS.split())
_POWER = re.compile(r"\{ (-? ?\d) \}")
_MAX_NOUN = 4
_MAX_PIECES = 16


def with_unit(formula: Formula, node: Node) -> Node | None:
    """A number with the scale or unit that follows it, if one does."""
    token = formula.peek()
    if token.kind != "word":
        return None
    word = token.text.lower()
    if word in _SCALES and isinstance(node, Num):
        formula.take()
        scaled = Num(node.value * _SCALES[word])
        return with_unit(formula, scaled) or scaled
    if word == "percent" or (word == "per" and formula.peek(1).text == "cent"):
        formula.skip(1 if word == "percent" else 2)
        return Call("percent", (node,))
    return _quantity(formula, node)


def _quantity(formula: Formula, node: Node) -> Node | None:
    first = formula.peek()
    text, n_pieces = _unit_text(formula.coming(_MAX_PIECES))
    known = parse_unit(text)
    lone = len(first.text) == 1
    if lone and (known is None or not first.spaced):
        return None  # 5m is five times m; 5 m may be metres
    if known is None and not _is_noun(text):
        return None
    following = formula.peek(n_pieces)
    if following.number is not None and known is not None:  # 5 ft 11 in
        formula.skip(n_pieces)
        return compound(Quantity(node, known), formula.product())
    if following is not STOP and following.text not in _ENDS:
        return None
    product = Call("*", (node, formula.ahead(formula.power))) if lone else None
    formula.skip(n_pieces)
    return Quantity(node, known, product)


def _unit_text(pieces: list[Token]) -> tuple[str, int]:
    """The unit or noun at the head of the pieces (``km/h``, ``cm^2``, ``red apples``), and how many pieces it takes."""
    words: list[str] = []
    at = 0
    while at < len(pieces):
        token, following = pieces[at], pieces[at + 1] if at + 1 < len(pieces) else STOP
        if token.kind == "word" and token.text not in names.JOINING:
            words.append(token.text)
        elif token.text == "/" and following.kind == "word":
            words.append("/")
        elif token.text == "^" and following.number is not None:
            words += ["^", following.text]
            at += 1
        elif token.text == "^" and (power := _POWER.match(" ".join(t.text for t in pieces[at + 1 : at + 5]))):
            words += ["^", power[1].replace(" ", "")]
            at += len(power[0].split())
        else:
            break
        at += 1
    return " ".join(words), at


def _is_noun(text: str) -> bool:
    """Words that can be what is counted (``apples``), not a product of letters and not a function."""
    words = text.split()
    return (
        all(w.isalpha() for w in words)
        and len(words) <= _MAX_NOUN
        and any(len(w) >= 3 for w in words)
        and not (_CHANGES | _SCALES.keys() | names.FUNCTIONS | names.CONSTANTS.keys() | names.GREEK) & set(words)
    )


def compound(first: Quantity, rest: Node) -> Node:
    """``5 ft 11 in`` as one quantity in the first unit. Raises Unread where the two are not of one kind."""
    if not isinstance(rest, Quantity) or first.unit is None or rest.unit is None:
        raise Unread("two quantities beside each other")
    if first.unit.dimensions != rest.unit.dimensions:
        raise Unread("quantities of two kinds beside each other")
    amount = Call("+", (first.amount, Call("*", (rest.amount, Num(rest.unit.size / first.unit.size)))))
    return Quantity(amount, first.unit)
