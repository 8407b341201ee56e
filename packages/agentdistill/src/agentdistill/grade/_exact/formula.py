"""Reading a formula: from pieces to a tree, by recursive descent. Whatever is not understood raises Unread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from agentdistill.grade._exact import names
from agentdistill.grade._exact.cursor import Cursor
from agentdistill.grade._exact.quantity import with_unit
from agentdistill.grade._exact.tokens import STOP, Token, number
from agentdistill.grade._exact.tree import (
    EULER,
    IMAGINARY,
    INFINITY,
    Braces,
    Call,
    Listing,
    Node,
    Num,
    Quantity,
    Ratio,
    Relation,
    Seq,
    Sym,
    TooMuch,
    Union,
    Unread,
    symbols,
)

MAX_DEPTH = 40


class Formula(Cursor):
    """One reading of one text. ``python``: ``I`` and ``E`` are constants, as sympy writes them."""

    def __init__(self, tokens: list[Token], *, python: bool = False) -> None:
        super().__init__(tokens)
        self._depth = 0
        self._python = python
        self._bars = 0

    # --- answers ----------------------------------------------------------------------------------------------------

    def answer(self) -> Node:
        """The whole text as one answer, or as several beside each other."""
        node = self.listing()
        if self.peek() is not STOP:
            raise Unread(f"cannot go on at {self.peek().text!r}")
        return node

    def listing(self) -> Node:
        """Items parted by commas, semicolons, ``and`` or ``or``."""
        items, word = [self.item()], ","
        while True:
            token = self.peek()
            comma = token.kind == "sign" and token.text in (",", ";")
            if comma:
                self.take()
                token = self.peek()
            if token.text in names.JOINING and token.kind in ("word", "cmd"):
                word = {"land": "and", "lor": "or"}.get(token.text, token.text)
                self.take()
            elif not comma:
                break
            items.append(self.item())
        return items[0] if len(items) == 1 else Listing(tuple(items), word)

    def item(self) -> Node:
        """One answer: a chain of relations, a ratio, or a value."""
        sides, ops = [self.union()], []
        while self.peek().kind in ("sign", "cmd") and self.peek().text in names.RELATIONS:
            ops.append(names.RELATIONS[self.take().text])
            sides.append(self.union())
        if ops:
            return Relation(tuple(ops), tuple(sides))
        while self.on(":", "colon"):
            self.take()
            sides.append(self.union())
        return sides[0] if len(sides) == 1 else Ratio(tuple(sides))

    def union(self) -> Node:
        """Sets with ∪ between them, or one value."""
        parts = [self.sum()]
        while self.on("cup") or (self.peek().text == "U" and self.peek().kind == "word" and _is_set(parts[-1])):
            self.take()
            parts.append(self.sum())
        return parts[0] if len(parts) == 1 else Union(tuple(parts))

    # --- arithmetic -------------------------------------------------------------------------------------------------

    def sum(self) -> Node:
        """Terms with + and - between them."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TooMuch("nested too deeply")
        node = Call("pm", (Num(Fraction(0)), self._after(self.product))) if self.on("pm") else self.product()
        while self.on("+", "-", "pm"):
            sign = self.take().text
            right = self.product()
            node = Call(sign if sign == "pm" else "+", (node, Call("neg", (right,)) if sign == "-" else right))
        self._depth -= 1
        return node

    def _after(self, read: Callable[[], Node]) -> Node:
        self.take()
        return read()

    def product(self) -> Node:
        """Factors, with or without a sign between them; a unit may end it."""
        if self.on("-", "+"):
            sign = self.take().text
            inner = self.product()
            return _negated(inner) if sign == "-" else inner
        mixed = self._mixed()
        node = self.power() if mixed is None else self._raised(mixed)
        is_number = not symbols(node)
        while True:
            token, sign = self.peek(), "*"
            if token.kind in ("sign", "cmd") and token.text in names.TIMES | names.OVER:
                sign = "*" if self.take().text in names.TIMES else "/"
                factor = self._factor()
            elif is_number and (quantity := with_unit(self, node)) is not None:
                return quantity
            elif self._starts_factor():
                factor = self.power()
            else:
                return node
            node = Call(sign, (node, factor))
            is_number = is_number and not symbols(factor)

    def _factor(self) -> Node:
        if self.on("-", "+"):
            return Call("neg", (self._factor(),)) if self.take().text == "-" else self._factor()
        return self.power()

    def _starts_factor(self) -> bool:
        """Whether what comes is multiplied without a sign. A number never is: ``5 5`` is not 25."""
        token = self.peek()
        if token.kind == "word":
            return token.text not in names.JOINING and token.text != "U"
        if token.kind == "cmd":
            return token.text not in _NO_FACTOR and token.text not in names.RELATIONS
        if token.kind == "sign":
            return token.text in ("(", "{") or (token.text == "|" and not self._bars)
        return token.kind == "begin"

    def _mixed(self) -> Node | None:
        r"""``1\frac{1}{2}`` and ``1 1/2``: a whole number and a proper fraction make a sum."""
        first, second = self.peek(), self.peek(1)
        if first.number is None or first.number.places or first.number.value.denominator != 1:
            return None
        start = self._at
        self.take()
        if second.kind == "cmd" and second.text in _FRACTIONS:
            part = self.primary()
            if isinstance(part, Call) and part.name == "/" and _proper(part):
                return Call("+", (first.number, part))
        elif second.number is not None and self.peek(1).text == "/" and self.peek(2).number is not None:
            part = Call("/", (second.number, self.peek(2).number or Num(Fraction(1))))
            if _proper(part):
                self._at += 3
                return Call("+", (first.number, part))
        self._at = start
        return None

    def power(self) -> Node:
        """A value with what stands behind it: powers, factorials, degrees, per cent."""
        return self._raised(self.primary())

    def _raised(self, node: Node) -> Node:
        while True:
            if self.on("!"):
                self.take()
                node = Call("factorial", (node,))
            elif self.on("%"):
                self.take()
                node = Call("percent", (node,))
            elif self.on("^", "**"):
                self.take()
                exponent = self.exponent()
                node = Call("degree", (node,)) if exponent is None else Call("^", (node, exponent))
            elif self.on("degree", "circ"):
                self.take()
                node = Call("degree", (node,))
            else:
                return node

    def exponent(self) -> Node | None:
        r"""What is raised to; None where it is ``\circ``: degrees."""
        if self.on("circ"):
            self.take()
            return None
        if self.on("{") and self.peek(1).text == "circ" and self.peek(2).text == "}":
            self._at += 3
            return None
        if self.on("-", "+"):
            return Call("neg", (self._exponent(),)) if self.take().text == "-" else self._exponent()
        return self._exponent()

    def _exponent(self) -> Node:
        node = self.primary(short=True)
        if self.on("^", "**"):
            self.take()
            inner = self.exponent()
            return Call("^", (node, inner)) if inner is not None else node
        return Call("factorial", (node,)) if self.on("!") and self.take() else node

    def primary(self, *, short: bool = False) -> Node:
        """One value; ``short``: of a word only the first letter, as an exponent or a bare argument is."""
        from agentdistill.grade._exact.primary import primary

        return primary(self, short=short)

    # --- for primary ------------------------------------------------------------------------------------------------

    def argument(self) -> Node:
        r"""What a command takes: a group in braces, or one piece (``\frac12``, ``\sqrt x``)."""
        token = self.peek()
        if token.number is not None and len(token.text) > 1 and token.text.isdigit():
            self._tokens[self._at] = replace(token, text=token.text[1:], number=number(token.text[1:]))
            return number(token.text[0])
        return self.primary(short=True)

    def name(self, text: str) -> Node:
        """A letter as a variable or a constant, with its subscript."""
        if self.on("_"):
            self.take()
            return Sym(f"{text}_{self._subscript()}")
        if self._python and text in ("I", "E"):
            return IMAGINARY if text == "I" else EULER
        return names.letter(text)

    def _subscript(self) -> str:
        if not self.on("{"):
            return self.take().text
        self.take()
        parts = []
        while not self.on("}"):
            if self.peek() is STOP:
                raise Unread("a subscript is not closed")
            parts.append(self.take().text)
        self.take()
        return "".join(parts)

    def items_until(self, *closing: str) -> tuple[tuple[Node, ...], str]:
        """Items parted by commas until a closing sign, and that sign."""
        bars, self._bars = self._bars, 0
        items: list[Node] = []
        done = self.on(*(c for c in closing if c != "["))  # where an item may begin, [ opens it
        while not done:
            items.append(self.item())
            done = self.on(*closing)
            if not done and not (self.on(",", ";") and self.take()):
                raise Unread(f"one of {' '.join(closing)} is missing")
        self._bars = bars
        return tuple(items), self.take().text

    def between_bars(self) -> Node:
        """The inside of ``|…|``; the opening bar has been read."""
        self._bars += 1
        inner = self.sum()
        self._bars -= 1
        self.expect("|")
        return inner


_FRACTIONS = ("frac", "dfrac", "tfrac", "cfrac")
_NOT_MULTIPLIED = r"""cup cap rangle rfloor rceil rvert } pm mp div mid land lor times cdot ast setminus colon circ
    degree \} \|"""
_NO_FACTOR = frozenset(_NOT_MULTIPLIED.split())


def _is_set(node: Node) -> bool:
    return isinstance(node, Seq | Braces) or node == INFINITY


def _proper(part: Call) -> bool:
    top, bottom = part.args
    return (
        isinstance(top, Num)
        and isinstance(bottom, Num)
        and top.value.denominator == bottom.value.denominator == 1
        and 0 < top.value < bottom.value
    )


def _negated(node: Node) -> Node:
    if isinstance(node, Quantity):
        return replace(node, amount=_negated(node.amount), product=node.product and Call("neg", (node.product,)))
    if isinstance(node, Call) and node.name == "percent":
        return Call("percent", (_negated(node.args[0]),))
    return Call("neg", (node,))
