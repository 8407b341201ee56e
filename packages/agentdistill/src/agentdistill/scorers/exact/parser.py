"""Reading a formula: from tokens to a tree, by recursive descent. Whatever is not understood raises Unread."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from agentdistill.scorers.exact.syntax import (
    CONSTANTS,
    CURRENCY,
    EULER,
    FUNCTIONS,
    GREEK,
    IMAGINARY,
    INFINITY,
    JOINING,
    MATRICES,
    OVER,
    PYTHON,
    REALS,
    RELATIONS,
    SAME,
    STOP,
    TIMES,
    VARIANTS,
    Braces,
    Call,
    Expression,
    Listing,
    Matrix,
    Num,
    Quantity,
    Ratio,
    Relation,
    Seq,
    Sym,
    Token,
    TooMuch,
    Union,
    Unread,
    letter,
    number,
    symbols,
)  # fmt: skip
from agentdistill.scorers.text import SCALES, parse_unit

MAX_DEPTH = 40


class Formula:
    """One reading of one text. ``python``: ``I`` and ``E`` are constants, as sympy writes them."""

    def __init__(self, tokens: list[Token], *, python: bool = False) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0
        self._python = python
        self._bars = 0

    # --- tokens -----------------------------------------------------------------------------------------------------

    def peek(self, ahead: int = 0) -> Token:
        """The next token, or the one ``ahead`` of it."""
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else STOP

    def take(self) -> Token:
        """The next token, gone past."""
        token = self.peek()
        self._at += 1
        return token

    def on(self, *texts: str) -> bool:
        """Whether the next token is one of these signs or commands."""
        token = self.peek()
        return token.kind in ("sign", "cmd") and token.text in texts

    def expect(self, text: str) -> None:
        """Go past a sign that has to be there."""
        if not self.on(text):
            raise Unread(f"{text!r} is missing")
        self.take()

    def put_back(self, token: Token) -> None:
        """Let a token be read next."""
        self._tokens.insert(self._at, token)

    def coming(self, n: int) -> list[Token]:
        """The next ``n`` tokens at most."""
        return self._tokens[self._at : self._at + n]

    def ahead(self, read: Callable[[], Expression]) -> Expression:
        """What ``read`` would give, without going on."""
        at = self._at
        node = read()
        self._at = at
        return node

    def skip(self, n: int) -> None:
        """Go past ``n`` tokens."""
        self._at += n

    # --- answers ----------------------------------------------------------------------------------------------------

    def answer(self) -> Expression:
        """The whole text as one answer, or as several beside each other."""
        node = self.listing()
        if self.peek() is not STOP:
            raise Unread(f"cannot go on at {self.peek().text!r}")
        return node

    def listing(self) -> Expression:
        """Items parted by commas, semicolons, ``and`` or ``or``."""
        items, word = [self.item()], ","
        while True:
            token = self.peek()
            comma = token.kind == "sign" and token.text in (",", ";")
            if comma:
                self.take()
                token = self.peek()
            if token.text in JOINING and token.kind in ("word", "cmd"):
                word = {"land": "and", "lor": "or"}.get(token.text, token.text)
                self.take()
            elif not comma:
                break
            items.append(self.item())
        return items[0] if len(items) == 1 else Listing(tuple(items), word)

    def item(self) -> Expression:
        """One answer: a chain of relations, a ratio, or a value."""
        sides, ops = [self.union()], []
        while self.peek().kind in ("sign", "cmd") and self.peek().text in RELATIONS:
            ops.append(RELATIONS[self.take().text])
            sides.append(self.union())
        if ops:
            return Relation(tuple(ops), tuple(sides))
        while self.on(":", "colon"):
            self.take()
            sides.append(self.union())
        return sides[0] if len(sides) == 1 else Ratio(tuple(sides))

    def union(self) -> Expression:
        """Sets with ∪ between them, or one value."""
        parts = [self.sum()]
        while self.on("cup") or (self.peek().text == "U" and self.peek().kind == "word" and _is_set(parts[-1])):
            self.take()
            parts.append(self.sum())
        return parts[0] if len(parts) == 1 else Union(tuple(parts))

    # --- arithmetic -------------------------------------------------------------------------------------------------

    def sum(self) -> Expression:
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

    def _after(self, read: Callable[[], Expression]) -> Expression:
        self.take()
        return read()

    def product(self) -> Expression:
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
            if token.kind in ("sign", "cmd") and token.text in TIMES | OVER:
                sign = "*" if self.take().text in TIMES else "/"
                factor = self._factor()
            elif is_number and (quantity := with_unit(self, node)) is not None:
                return quantity
            elif self._starts_factor():
                factor = self.power()
            else:
                return node
            node = Call(sign, (node, factor))
            is_number = is_number and not symbols(factor)

    def _factor(self) -> Expression:
        if self.on("-", "+"):
            return Call("neg", (self._factor(),)) if self.take().text == "-" else self._factor()
        return self.power()

    def _starts_factor(self) -> bool:
        """Whether what comes is multiplied without a sign. A number never is: ``5 5`` is not 25."""
        token = self.peek()
        if token.kind == "word":
            return token.text not in JOINING and token.text != "U"
        if token.kind == "cmd":
            return token.text not in _NO_FACTOR and token.text not in RELATIONS
        if token.kind == "sign":
            return token.text in ("(", "{") or (token.text == "|" and not self._bars)
        return token.kind == "begin"

    def _mixed(self) -> Expression | None:
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

    def power(self) -> Expression:
        """A value with what stands behind it: powers, factorials, degrees, per cent."""
        return self._raised(self.primary())

    def _raised(self, node: Expression) -> Expression:
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

    def exponent(self) -> Expression | None:
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

    def _exponent(self) -> Expression:
        node = self.primary(short=True)
        if self.on("^", "**"):
            self.take()
            inner = self.exponent()
            return Call("^", (node, inner)) if inner is not None else node
        return Call("factorial", (node,)) if self.on("!") and self.take() else node

    def primary(self, *, short: bool = False) -> Expression:
        """One value; ``short``: of a word only the first letter, as an exponent or a bare argument is."""
        return _primary(self, short=short)

    # --- for primary ------------------------------------------------------------------------------------------------

    def argument(self) -> Expression:
        r"""What a command takes: a group in braces, or one piece (``\frac12``, ``\sqrt x``)."""
        token = self.peek()
        if token.number is not None and len(token.text) > 1 and token.text.isdigit():
            self._tokens[self._at] = replace(token, text=token.text[1:], number=number(token.text[1:]))
            return number(token.text[0])
        return self.primary(short=True)

    def name(self, text: str) -> Expression:
        """A letter as a variable or a constant, with its subscript."""
        if self.on("_"):
            self.take()
            return Sym(f"{text}_{self._subscript()}")
        if self._python and text in ("I", "E"):
            return IMAGINARY if text == "I" else EULER
        return letter(text)

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

    def items_until(self, *closing: str) -> tuple[tuple[Expression, ...], str]:
        """Items parted by commas until a closing sign, and that sign."""
        bars, self._bars = self._bars, 0
        items: list[Expression] = []
        done = self.on(*(c for c in closing if c != "["))  # where an item may begin, [ opens it
        while not done:
            items.append(self.item())
            done = self.on(*closing)
            if not done and not (self.on(",", ";") and self.take()):
                raise Unread(f"one of {' '.join(closing)} is missing")
        self._bars = bars
        return tuple(items), self.take().text

    def between_bars(self) -> Expression:
        """The inside of ``|…|``; the opening bar has been read."""
        self._bars += 1
        inner = self.sum()
        self._bars -= 1
        self.expect("|")
        return inner


_NOT_MULTIPLIED = r"""cup cap rangle rfloor rceil rvert } pm mp div mid land lor times cdot ast setminus colon circ
    degree \} \|"""
_NO_FACTOR = frozenset(_NOT_MULTIPLIED.split())


def _is_set(node: Expression) -> bool:
    return isinstance(node, Seq | Braces) or node == INFINITY


def _proper(part: Call) -> bool:
    top, bottom = part.args
    return (
        isinstance(top, Num)
        and isinstance(bottom, Num)
        and top.value.denominator == bottom.value.denominator == 1
        and 0 < top.value < bottom.value
    )


def _negated(node: Expression) -> Expression:
    if isinstance(node, Quantity):
        return replace(node, amount=_negated(node.amount), product=node.product and Call("neg", (node.product,)))
    if isinstance(node, Call) and node.name == "percent":
        return Call("percent", (_negated(node.args[0]),))
    return Call("neg", (node,))


# --- values -----------------------------------------------------------------------------------------------------------

_FRACTIONS = frozenset(("frac", "dfrac", "tfrac", "cfrac"))
_BINOMIALS = frozenset(("binom", "dbinom", "tbinom"))
_ROUNDING = {"lfloor": ("rfloor", "floor"), "lceil": ("rceil", "ceil"), "lvert": ("rvert", "abs")}
_FIELDS = {"R": REALS, "Z": Sym("\\Z"), "N": Sym("\\N"), "Q": Sym("\\Q"), "C": Sym("\\C")}


def _primary(formula: Formula, *, short: bool = False) -> Expression:
    """One value. ``short``: of a word only its first letter, as an exponent or a bare argument is."""
    token = formula.take()
    if token.number is not None:
        if formula.on("_"):
            raise Unread("a numeral in another base inside a formula")
        return token.number
    if token.kind == "word":
        return _word(formula, token, short)
    if token.kind == "cmd":
        return _command(formula, token.text)
    if token.kind == "sign":
        return _sign(formula, token.text)
    if token.kind == "begin":
        return _matrix(formula, token.text)
    raise Unread("a value is missing" if token is STOP else f"no value begins with {token.text!r}")


def _sign(formula: Formula, sign: str) -> Expression:
    if sign == "(":
        return _round(formula)
    if sign in ("[", "]"):  # ]0, 1[ is the continental open interval
        items, closing = formula.items_until("]", ")", "[")
        opened = "(" if sign == "]" else "["
        return Seq(opened, {"[": ")"}.get(closing, closing), items)
    if sign == "{":
        items, _ = formula.items_until("}")
        return items[0] if len(items) == 1 else Braces(items)
    if sign == "|":
        return Call("abs", (formula.between_bars(),))
    raise Unread(f"no value begins with {sign!r}")


def _round(formula: Formula) -> Expression:
    """Round brackets: a group where one value stands in them, else a sequence."""
    items, closing = formula.items_until(")", "]", "[")
    closing = {"[": ")"}.get(closing, closing)
    if len(items) == 1 and closing == ")" and not isinstance(items[0], Relation):
        return items[0]
    return Seq("(", closing, items)


# --- words and commands ---------------------------------------------------------------------------------------------


def _word(formula: Formula, token: Token, short: bool) -> Expression:
    text = SAME.get(token.text, token.text)
    if token.text in PYTHON and (formula.on("(") or formula.on(".")):
        return _printed_call(formula, token.text)
    if text in FUNCTIONS:
        return _function(formula, text)
    if token.text in CONSTANTS and len(token.text) > 1:
        return CONSTANTS[token.text]
    if token.text in ("True", "False"):
        return Sym(token.text)
    if token.text in GREEK:
        return formula.name(VARIANTS.get(token.text, token.text))
    if len(token.text) > 2 and not short:
        raise Unread(f"{token.text!r} is no name in a formula")
    first, rest = token.text[0], token.text[1:]
    if rest:
        formula.put_back(replace(token, text=rest, spaced=False))
    return formula.name(first)


def _command(formula: Formula, name: str) -> Expression:
    if name in _FRACTIONS:
        top = formula.argument()
        return Call("/", (top, formula.argument()))
    if name in _BINOMIALS:
        top = formula.argument()
        return Call("binomial", (top, formula.argument()))
    if name == "sqrt":
        return _root(formula)
    if name == "\\{":
        items, _ = formula.items_until("\\}")
        return Braces(items)
    if name == "langle":
        items, _ = formula.items_until("rangle")
        return Seq("<", ">", items)
    if name in _ROUNDING:
        closing, function = _ROUNDING[name]
        inner = formula.sum()
        formula.expect(closing)
        return Call(function, (inner,))
    if name == "mathbb":
        letters = formula.argument()
        return _FIELDS.get(letters.name if isinstance(letters, Sym) else "") or letters
    if name in CURRENCY:
        return Quantity(formula.product(), parse_unit(CURRENCY[name]))
    return _named(formula, name)


def _named(formula: Formula, name: str) -> Expression:
    if name in CONSTANTS:
        return CONSTANTS[name]
    if name.startswith("vec@"):
        return formula.name(name)
    if name in GREEK:
        return formula.name(VARIANTS.get(name, name))
    if SAME.get(name, name) in FUNCTIONS:
        return _function(formula, SAME.get(name, name))
    raise Unread(f"\\{name} is not read here")


def _root(formula: Formula) -> Expression:
    index: Expression = Num(Fraction(2))
    if formula.on("["):
        formula.take()
        items, _ = formula.items_until("]")
        if len(items) != 1:
            raise Unread("a root with several indices")
        index = items[0]
    token = formula.peek()
    if token.number is not None and len(token.text) > 1:
        raise Unread(r"\sqrt12 could be of 1 or of 12")
    return Call("root", (formula.argument(), index))


def _function(formula: Formula, name: str) -> Expression:
    power: Expression | None = None
    base: Expression | None = None
    while formula.on("^", "_"):
        if formula.take().text == "^":
            power = formula.exponent()
        else:
            base = formula.argument()
    if isinstance(power, Call) and power == Call("neg", (Num(Fraction(1), 0, 1),)):
        name, power = "arc" + name, None
    arguments = _arguments(formula)
    if name == "log" and base is not None:
        node = Call("logarithm", (*arguments, base))
    elif name == "exp":
        node = Call("^", (EULER, *arguments))
    else:
        node = Call(name, arguments)
    if name in ("sqrt", "cbrt"):
        node = Call("root", (*arguments, Num(Fraction(2 if name == "sqrt" else 3))))
    return node if power is None else Call("^", (node, power))


def _arguments(formula: Formula) -> tuple[Expression, ...]:
    r"""In brackets (``\sin(2x)``), or what follows up to a sign or another function (``\sin 2x \cos x``)."""
    if formula.on("("):
        formula.take()
        items, _ = formula.items_until(")")
        return items
    if formula.on("{"):
        return (formula.argument(),)
    node = formula.power()
    while _continues(formula.peek()):
        node = Call("*", (node, formula.power()))
    return (node,)


def _continues(token: Token) -> bool:
    if token.kind == "word":
        return token.text not in FUNCTIONS | JOINING and len(token.text) <= 2
    return token.kind == "cmd" and (token.text in GREEK or token.text in _FRACTIONS or token.text == "pi")


# --- matrices -------------------------------------------------------------------------------------------------------


def _matrix(formula: Formula, environment: str) -> Expression:
    if environment not in MATRICES:
        raise Unread(f"the environment {environment} is not read here")
    rows: list[tuple[Expression, ...]] = []
    row: list[Expression] = []
    while True:
        if formula.peek().kind == "end":
            break
        row.append(formula.sum())
        token = formula.peek()
        if formula.on("&"):
            formula.take()
        elif token.kind == "row":
            formula.take()
            rows.append(tuple(row))
            row = []
        elif token.kind != "end":
            raise Unread("a matrix is not closed")
    formula.take()
    if row:
        rows.append(tuple(row))
    if not rows or len({len(r) for r in rows}) > 1:
        raise Unread("the rows of a matrix differ in length")
    matrix = Matrix(tuple(rows))
    return Call("det", (matrix,)) if environment == "vmatrix" else matrix


# --- units ------------------------------------------------------------------------------------------------------------

_ENDS = frozenset((",", ";", ")", "]", "}", "and", "or", "=", "<", ">", "<=", ">="))
_SCALES = {**SCALES, "hundred": 100, "dozen": 12}
# Words after a number that change its value, where others are what is counted.
_NO_NOUNS = """half halves third thirds quarter quarters squared cubed over plus minus times root factorial base in mod
    modulo choose to of per by is equals"""
_CHANGES = frozenset(_NO_NOUNS.split())
_POWER = re.compile(r"\{ (-? ?\d) \}")
_MAX_NOUN = 4
_MAX_PIECES = 16


def with_unit(formula: Formula, node: Expression) -> Expression | None:
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


def _quantity(formula: Formula, node: Expression) -> Expression | None:
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
        if token.kind == "word" and token.text not in JOINING:
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
        and not (_CHANGES | _SCALES.keys() | FUNCTIONS | CONSTANTS.keys() | GREEK) & set(words)
    )


def compound(first: Quantity, rest: Expression) -> Expression:
    """``5 ft 11 in`` as one quantity in the first unit. Raises Unread where the two are not of one kind."""
    if not isinstance(rest, Quantity) or first.unit is None or rest.unit is None:
        raise Unread("two quantities beside each other")
    if first.unit.dimensions != rest.unit.dimensions:
        raise Unread("quantities of two kinds beside each other")
    amount = Call("+", (first.amount, Call("*", (rest.amount, Num(rest.unit.size / first.unit.size)))))
    return Quantity(amount, first.unit)


# --- what sympy and Python print: read, never run ---------------------------------------------------------------------

_SAME = ("Integer", "Float")
_SETS = ("FiniteSet", "set", "frozenset")


def _printed_call(formula: Formula, name: str) -> Expression:
    """A _printed_call by its printed name; the name has been read."""
    ends = ""
    if formula.on("."):
        formula.take()
        ends = formula.take().text
    if name in ("EmptySet", "Reals"):
        return Braces(()) if name == "EmptySet" else REALS
    formula.expect("(")
    items, _ = formula.items_until(")")
    if name == "Interval" and len(items) >= 2:
        return _printed_interval(items, ends)
    return _printed_value(name, items)


def _printed_value(name: str, items: tuple[Expression, ...]) -> Expression:
    match name, items:
        case (("Rational" | "Fraction"), (top, bottom)):
            return Call("/", (top, bottom))
        case (("Matrix" | "array"), (Seq(items=rows),)):
            return _printed_matrix(rows)
        case "Union", _ if items:
            return Union(items)
        case "Eq", (left, right):
            return Relation(("=",), (left, right))
        case (("Abs" | "exp" | "sqrt"), (inner,)):
            return {
                "Abs": Call("abs", (inner,)),
                "exp": Call("^", (EULER, inner)),
                "sqrt": Call("root", (inner, Num(Fraction(2)))),
            }[name]
        case (("binomial" | "comb"), (top, bottom)):
            return Call("binomial", (top, bottom))
        case "FiniteSet", _:
            return Braces(items)
        case _, (inner,) if name in _SAME:
            return inner
        case _, (Seq(items=inside) | Braces(items=inside),) if name in _SETS:
            return Braces(inside)
        case (("list" | "tuple"), (Seq(items=inside),)):
            return Seq("[", "]", inside) if name == "list" else Seq("(", ")", inside)
        case _ if name in _SETS and not items:
            return Braces(())
    raise Unread(f"{name}(…) is not read here")


def _printed_matrix(rows: tuple[Expression, ...]) -> Expression:
    cells = [r.items if isinstance(r, Seq) else (r,) for r in rows]
    if not cells or len({len(r) for r in cells}) > 1 or not cells[0]:
        raise Unread("the rows of a matrix differ in length")
    return Matrix(tuple(cells))


def _printed_interval(items: tuple[Expression, ...], ends: str) -> Expression:
    """``Interval(a, b, left_open, right_open)`` and its short forms. An infinite end is open, however it is printed."""
    flags = [isinstance(i, Sym) and i.name == "True" for i in items[2:4]] + [False, False]
    left = ends in ("open", "Lopen") or flags[0] or items[0] in (Call("neg", (INFINITY,)), INFINITY)
    right = ends in ("open", "Ropen") or flags[1] or items[1] == INFINITY
    return Seq("(" if left else "[", ")" if right else "]", items[:2])
