"""What an answer is once it has been read: a tree of frozen nodes. Nothing in it is ever run."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from agentdistill.grade._units import Unit


class Unread(Exception):
    """The text is none of the forms that are read here: the exact grader has no verdict on it."""


class TooMuch(Unread):
    """Working it out would take longer than grading may."""


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
    args: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Seq:
    """Items in order between brackets: a tuple, a vector or an interval, which one is for the comparison to say."""

    opening: str
    closing: str
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Braces:
    """A set."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows of entries, all of one length."""

    rows: tuple[tuple[Node, ...], ...]


@dataclass(frozen=True, slots=True)
class Union:
    """Sets put together."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """``sides[0] ops[0] sides[1] ops[1] …``, with ops among ``= < > <= >= != in``."""

    ops: tuple[str, ...]
    sides: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """Answers beside each other without brackets; ``word`` is what parts them: ``,``, ``and`` or ``or``."""

    items: tuple[Node, ...]
    word: str = ","


@dataclass(frozen=True, slots=True)
class Ratio:
    """``1 : 2``."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its unit, None for what is merely counted. ``product``: what it is if the unit is a variable."""

    amount: Node
    unit: Unit | None
    product: Node | None = None


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

    values: tuple[tuple[str, Node], ...]


Node = (
    Num | Sym | Call | Seq | Braces | Matrix | Union | Relation | Listing | Ratio | Quantity | Based | Words | Assigned
)

PI, EULER, IMAGINARY, INFINITY, REALS = Sym("\\pi"), Sym("\\e"), Sym("\\i"), Sym("\\infty"), Sym("\\R")
CONSTANTS = frozenset({PI, EULER, IMAGINARY})


def symbols(node: Node) -> frozenset[str]:
    """The names of the free variables of a tree."""
    if isinstance(node, Sym):
        return frozenset() if node in CONSTANTS else frozenset({node.name})
    if isinstance(node, Matrix):
        return frozenset().union(*(symbols(n) for row in node.rows for n in row))
    if isinstance(node, Quantity):
        return symbols(node.amount)
    children: tuple[Node, ...] = ()
    if isinstance(node, Call):
        children = node.args
    elif isinstance(node, Seq | Braces | Listing | Ratio):
        children = node.items
    elif isinstance(node, Union):
        children = node.parts
    elif isinstance(node, Relation):
        children = node.sides
    return frozenset().union(*map(symbols, children)) if children else frozenset()
