"""What the exact comparison reads: the tree of an answer, the words of mathematics, one spelling, and its tokens.

The tree's nodes are frozen, and nothing in it is ever run.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction

from agentdistill.scorers.text import Unit, last_box


class Unread(Exception):
    """The text is none of the forms that are read here: nothing is decided about it."""


class TooMuch(Unread):
    """Working it out would take longer than scoring may."""


@dataclass(frozen=True, slots=True)
class Num:
    """A written number, exact. ``places`` counts its decimals, ``digits`` the significant ones (0: none written)."""

    value: Fraction
    places: int = 0
    digits: int = 0


@dataclass(frozen=True, slots=True)
class Sym:
    """A variable or a constant by its name (``x``, ``a_1``, ``\\pi``, ``\\infty``)."""

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """An operation: ``+ * / ^ neg sqrt sin … percent degree pm``, on one argument or more."""

    name: str
    args: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Seq:
    """Items in order between brackets: a tuple, a vector or an interval, which one is for the comparison to say."""

    opening: str
    closing: str
    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Braces:
    """A set."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows of entries, all of one length."""

    rows: tuple[tuple[Expression, ...], ...]


@dataclass(frozen=True, slots=True)
class Union:
    """Sets put together."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """``sides[0] ops[0] sides[1] ops[1] …``, with ops among ``= < > <= >= != in``."""

    ops: tuple[str, ...]
    sides: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """Answers beside each other without brackets; ``word`` is what parts them: ``,``, ``and`` or ``or``."""

    items: tuple[Expression, ...]
    word: str = ","


@dataclass(frozen=True, slots=True)
class Ratio:
    """``1 : 2``."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its unit, None for what is merely counted. ``product``: what it is if the unit is a variable."""

    amount: Expression
    unit: Unit | None
    product: Expression | None = None


@dataclass(frozen=True, slots=True)
class Based:
    """A numeral in another base, as it is written."""

    digits: str
    base: int


@dataclass(frozen=True, slots=True)
class Words:
    """An answer in words: a name, a choice."""

    text: str


@dataclass(frozen=True, slots=True)
class Assigned:
    """Values for several variables: the solution of a system, sorted by name."""

    values: tuple[tuple[str, Expression], ...]


Expression = (
    Num | Sym | Call | Seq | Braces | Matrix | Union | Relation | Listing | Ratio | Quantity | Based | Words | Assigned
)

PI, EULER, IMAGINARY, INFINITY, REALS = Sym("\\pi"), Sym("\\e"), Sym("\\i"), Sym("\\infty"), Sym("\\R")
_CONSTANTS = frozenset({PI, EULER, IMAGINARY})


def symbols(node: Expression) -> frozenset[str]:
    """The names of the free variables of a tree."""
    if isinstance(node, Sym):
        return frozenset() if node in _CONSTANTS else frozenset({node.name})
    if isinstance(node, Matrix):
        return frozenset().union(*(symbols(n) for row in node.rows for n in row))
    if isinstance(node, Quantity):
        return symbols(node.amount)
    children: tuple[Expression, ...] = ()
    if isinstance(node, Call):
        children = node.args
    elif isinstance(node, Seq | Braces | Listing | Ratio):
        children = node.items
    elif isinstance(node, Union):
        children = node.parts
    elif isinstance(node, Relation):
        children = node.sides
    return frozenset().union(*map(symbols, children)) if children else frozenset()


# --- words and commands -----------------------------------------------------------------------------------------------

_FUNCTIONS = """sin cos tan cot sec csc arcsin arccos arctan asin acos atan sinh cosh tanh exp ln log lg sqrt cbrt abs
    min max gcd lcm floor ceil factorial sign log10"""
FUNCTIONS = frozenset(_FUNCTIONS.split())
"""Functions by the names they have in LaTeX (``\\sin``) and in plain text (``sin``)."""
SAME = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "lg": "log10", "Abs": "abs", "ceiling": "ceil"}

CONSTANTS: dict[str, Expression] = {
    "pi": PI,
    "infty": INFINITY,
    "inf": INFINITY,
    "infinity": INFINITY,
    "oo": INFINITY,
    "emptyset": Braces(()),
    "varnothing": Braces(()),
    "R": REALS,
    "e": EULER,
    "i": IMAGINARY,
}
"""Constants by command (``\\pi``) and, but for the one-letter ones, by word (``pi``)."""

_GREEK = """alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho sigma tau
    upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Sigma Phi Psi Omega ell hbar"""
GREEK = frozenset(_GREEK.split())
VARIANTS = {"varepsilon": "epsilon", "vartheta": "theta", "varphi": "phi", "ell": "l"}

_PYTHON = """Rational Fraction Matrix FiniteSet Interval Union Eq Abs binomial comb Integer Float set list tuple
    sqrt exp array EmptySet Reals frozenset"""
PYTHON = frozenset(_PYTHON.split())
"""What sympy and Python print."""

RELATIONS = {
    "=": "=", "==": "=", "<": "<", ">": ">", "<=": "<=", "=<": "<=", ">=": ">=", "!=": "!=",
    "lt": "<", "gt": ">", "le": "<=", "leq": "<=", "leqslant": "<=", "ge": ">=", "geq": ">=", "geqslant": ">=",
    "ne": "!=", "neq": "!=", "in": "in",
}  # fmt: skip
TIMES = frozenset({"*", "cdot", "times", "ast"})
OVER = frozenset({"/", "div"})
JOINING = frozenset({"and", "or", "land", "lor"})
CURRENCY = {"dollar": "dollar", "euro": "€", "pound": "£", "yen": "¥"}
MATRICES = frozenset({"pmatrix", "bmatrix", "matrix", "smallmatrix", "Bmatrix", "array", "vmatrix"})


def letter(name: str) -> Expression:
    """A one-letter name: a variable, or Euler's or the imaginary number."""
    return {"e": EULER, "i": IMAGINARY}.get(name) or Sym(name)


# --- one spelling -----------------------------------------------------------------------------------------------------

_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ", "0123456789-+n")
_SUPERSCRIPTS = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ]+")
_SUBSCRIPT = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_SUBSCRIPTS = re.compile("[₀₁₂₃₄₅₆₇₈₉]+")
_SIGNS = {
    "−": "-", "–": "-", "—": "-", "×": "*", "·": "*", "⋅": "*", "∙": "*", "∗": "*", "÷": "/", "⁄": "/", "≤": "<=",
    "≥": ">=", "≠": "!=", "∞": r"\infty ", "√": r"\sqrt ", "∪": r"\cup ", "∈": r"\in ", "∅": r"\emptyset ",
    "ℝ": r"\R ", "°": r"^\circ ", "º": r"^\circ ", "±": r"\pm ", "π": r"\pi ", "θ": r"\theta ", "α": r"\alpha ",
    "β": r"\beta ", "γ": r"\gamma ", "λ": r"\lambda ", "μ": r"\mu ", "σ": r"\sigma ", "φ": r"\phi ", "ω": r"\omega ",
    "⟨": r"\langle ", "⟩": r"\rangle ", "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ",
    "“": "", "”": "", "‘": "'", "’": "'", "€": r"\euro ", "£": r"\pound ", "¥": r"\yen ",
}  # fmt: skip
_LEAD = re.compile(
    r"^(?:so|thus|therefore|hence)?,?\s*(?:the\s+|my\s+)?(?:(?:final|correct)\s+)?answer(?:\s+is|\s*:|\s*=)[:\s]*", re.I
)
_WRAPPER = re.compile(r"\\(?:text|textnormal|textbf|textit|textrm|mathrm|mbox|operatorname|rm)\s*\{([^{}]*)\}")
_BOLD = re.compile(r"\\(?:mathbf|vec|hat|boldsymbol|overrightarrow|bm)\s*\{\s*\\?([A-Za-z]+)\s*\}")
_THOUSANDS = re.compile(r"(?<=\d)(?:\{,\}|\\,|\\!,|,\\!|[\u00a0\u202f])(?=\d{3}(?!\d))")
_SIZES = re.compile(r"(?<!\\)\\(?:left|right|displaystyle|textstyle|limits|[bB]igg?[lrm]?)(?![a-zA-Z])\s*(?:\.(?!\d))?")
_SPACES = re.compile(r"(?<!\\)\\[,;:! ]|~|\\q?quad(?![a-zA-Z])|\\hspace\*?\s*\{[^{}]*\}|\\thinspace(?![a-zA-Z])")
_HEDGE = re.compile(r"^(?:approximately|approx\.?|about|roughly|\\approx|\\sim|≈|~)\s*(?=[\d$\\.-])", re.I)
_ENDLESS = re.compile(r"(?P<head>\d*\.\d*?)(?P<digit>\d)(?P=digit)+(?:\.\.\.|…|\\[lc]?dots)(?![\w.])")
_TEMPERATURE = re.compile(
    r"(?:\^\s*\{?\s*\\circ\s*\}?|degrees?)\s*(?:\\[a-z]+\s*\{\s*)?(C|F|[Cc]elsius|[Ff]ahrenheit)\b\s*\}?"
)
_IN_WORDS_TOO = re.compile(r"(?<=\d)\s*\([a-z][a-z -]+\)$")  # 7 (seven)
_FRACTION_CHARS = re.compile("(?P<whole>(?<!\\d)\\d*)\\s*(?P<part>[¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞])")


def spelled(text: str) -> str:
    """``text`` unwrapped (boxes, dollar signs, markdown, lead-ins) and in one spelling of signs and spaces.

    >>> spelled("The answer is **$x ≤ ½$**.")
    'x <=(1/2)'
    """
    out = "".join(" " if unicodedata.category(c) in ("Cc", "Cf") else c for c in text)
    out = _HEDGE.sub("", last_box(_LEAD.sub("", out.strip())).strip())
    out = _one_spelling(_without_markdown(out))
    out = _ENDLESS.sub(r"\g<head>\\overline{\g<digit>}", out)
    out = _TEMPERATURE.sub(lambda m: f" {'celsius' if m[1][0] in 'Cc' else 'fahrenheit'} ", out)
    out = _dollars(out)
    out = _THOUSANDS.sub("", out)
    out = _SPACES.sub(" ", _SIZES.sub("", out))
    out = _BOLD.sub(lambda m: rf" \vec@{m[1]} ", out)
    for _ in range(3):
        out = _WRAPPER.sub(lambda m: f" {m[1]} ", out)
    out = " ".join(out.split()).strip().rstrip(".,;").strip()
    return _IN_WORDS_TOO.sub("", out).removeprefix("=").strip()


def _without_markdown(text: str) -> str:
    out = text.strip()
    for mark in ("**", "`", "*"):
        if out.startswith(mark) and out.rstrip(".").endswith(mark) and len(out) > 2 * len(mark):
            out = out.rstrip(".")[len(mark) : -len(mark)].strip()
    return out.replace("\\(", " ").replace("\\)", " ") if "\\(" in out else _without_display(out)


def _without_display(text: str) -> str:
    """``\\[ … \\]`` around the whole; ``\\\\[4pt]`` inside a matrix stays."""
    if text.startswith("\\[") and text.endswith("\\]"):
        return text[2:-2].strip()
    return text


def _one_spelling(text: str) -> str:
    out = _SUPERSCRIPTS.sub(lambda m: "^{" + m[0].translate(_SUPERSCRIPT) + "}", text)
    out = _SUBSCRIPTS.sub(lambda m: "_{" + m[0].translate(_SUBSCRIPT) + "}", out)
    out = _FRACTION_CHARS.sub(_fraction, out)
    out = "".join(_SIGNS.get(c, c) for c in out)
    return unicodedata.normalize("NFKC", out)


def _fraction(match: re.Match[str]) -> str:
    part = unicodedata.normalize("NFKC", match["part"]).replace("⁄", "/")
    return f"{match['whole']} {part}" if match["whole"] else f"({part})"


def _dollars(text: str) -> str:
    r"""Dollar signs are the edges of mathematics where they come in pairs, else a sum of money: ``\dollar``."""
    out = text.replace(r"\$", r" \dollar ")
    bare = out.replace("$$", "$")
    if bare.count("$") % 2 == 0:
        return bare.replace("$", " ")
    return bare.replace("$", r" \dollar ")


# --- tokens -----------------------------------------------------------------------------------------------------------

MAX_TOKENS = 1200
_MAX_DIGITS = 1500
_MAX_EXPONENT = 2000
_REPEATING = re.compile(r"(\d*)\.(\d*)\\(?:overline|bar|dot)\s*\{(\d+)\}")
_NUMBER = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,6}(?![\d.]))?")
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+(?!\d|,\d)(?:\.\d+)?")
_SPACED = re.compile(r"\d{1,3}(?: \d{3})+(?![\d ])(?:\.\d+)?")
_ENVIRONMENT = re.compile(r"\\(begin|end)\s*\{([a-z]+)(\*?)\}(?:\s*\{[clr| ]*\})?")
_NEWLINE = re.compile(r"\\\\(?:\[[^\]]*\])?(?:\s*\\hline)?")
_COMMAND = re.compile(r"\\(?:vec@[A-Za-z]+|[A-Za-z]+|.)", re.DOTALL)
_WORD = re.compile(r"[A-Za-z]+")
_SIGN = re.compile(r"\*\*|<=|>=|!=|==|=<|\|\||[-+*/^_!'=<>(){}\[\],;:&|%.]")
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")


@dataclass(frozen=True, slots=True)
class Token:
    """``kind`` is ``num``, ``word``, ``cmd``, ``sign``, ``begin``, ``end``, ``row`` or ``stop``."""

    kind: str
    text: str
    number: Num | None = None
    spaced: bool = False
    """White space stands before it."""


STOP = Token("stop", "")


def tokenize(text: str) -> list[Token]:
    """The tokens of ``text``. Raises Unread at a character that belongs to no formula."""
    out: list[Token] = []
    at = depth = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        token, end = _next(text, at, depth)
        depth += (token.text in _OPENING) - (token.text in _CLOSING) if token.kind == "sign" else 0
        out.append(Token(token.kind, token.text, token.number, at > 0 and text[at - 1].isspace()))
        at = end
        if len(out) > MAX_TOKENS:
            raise TooMuch("too many signs")
    return out


def _next(text: str, at: int, depth: int) -> tuple[Token, int]:
    if match := _REPEATING.match(text, at):
        return Token("num", match[0], _repeating(match)), match.end()
    # A comma between digits parts thousands, but inside brackets it parts items.
    grouped = None if depth else (_GROUPED.match(text, at) or _SPACED.match(text, at))
    if match := grouped or _NUMBER.match(text, at):
        return Token("num", match[0], number(match[0].replace(",", "").replace(" ", ""))), match.end()
    if match := _ENVIRONMENT.match(text, at):
        return Token(match[1], match[2]), match.end()
    if match := _NEWLINE.match(text, at):
        return Token("row", "\\\\"), match.end()
    if match := _COMMAND.match(text, at):
        return Token("cmd", _command(match[0])), match.end()
    if match := _WORD.match(text, at):
        return Token("word", match[0]), match.end()
    if match := _SIGN.match(text, at):
        return Token("sign", match[0]), match.end()
    raise Unread(f"no formula has {text[at]!r} in it")


def _command(text: str) -> str:
    r"""``\sin`` as ``sin``; ``\{`` keeps its stroke, which tells it from a group."""
    return text[1:] if text[1].isalpha() or text[1] == "%" else text


def number(text: str) -> Num:
    """A decimal as it is written, exactly. Raises TooMuch for what is absurdly long or large."""
    plain, _, exponent = text.lower().partition("e")
    power = int(exponent or 0)
    if len(plain) > _MAX_DIGITS or abs(power) > _MAX_EXPONENT:
        raise TooMuch("a number too large to work with")
    whole, _, decimals = plain.partition(".")
    value = Fraction(int((whole + decimals) or 0)) * Fraction(10) ** (power - len(decimals))
    return Num(value, max(0, len(decimals) - power), len((whole + decimals).lstrip("0")))


def _repeating(match: re.Match[str]) -> Num:
    whole, fixed, period = match[1] or "0", match[2], match[3]
    if len(whole + fixed + period) > _MAX_DIGITS:
        raise TooMuch("a number too long to work with")
    head = Fraction(int(whole + fixed), 10 ** len(fixed))
    return Num(head + Fraction(int(period), 10 ** len(fixed) * (10 ** len(period) - 1)))
