"""A one-step program out of a solution whose equations are written down: one statement an equation, then the answer."""

from __future__ import annotations

import ast
import builtins
import itertools
import keyword
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

from agentdistill.exchange.readers import arithmetic
from agentdistill.exchange.readers.arithmetic import (
    NUMBER_WORDS,
    NUMERAL,
    Equation,
    Number,
    Unreadable,
    equations,
    numbers,
    numerals,
    relate,
)

_CONSTANTS = frozenset({1, 2, 3, 4, 5, 7, 10, 12, 24, 30, 52, 60, 100, 365, 1000})
"""Numbers that a solution often brings without the question: halves, percent, hours, weeks, ..."""
_EVERYDAY: frozenset[Number] = _CONSTANTS.union(
    range(13), (16, 31, 36, 90, 128, 180, 360, 366, 2000, 3600, 5280), (0.01, 0.05, 0.1, 0.25, 0.5, 1.5, 2.5, 3.14)
)
"""Numbers that everybody knows: small counts, units of time, length and weight, coins."""


class NoProgram(ValueError):
    """A solution that gives no program. The message is the reason, the same for all of its kind."""


@dataclass(frozen=True, slots=True)
class Program:
    """``code``, the comments and variables in it, and what was decided: how many literals became an earlier result,
    for want of another source (``linked``) or by choice (``chosen``), and how many equations the answer does without.
    ``unexplained`` are the literals that come from neither the question, nor a result, nor everyday knowledge."""

    code: str
    comments: tuple[str, ...]
    variables: tuple[str, ...]
    linked: int
    chosen: int
    kept: int
    pruned: int
    unexplained: tuple[Number, ...]


def program(question: str, solution: str, gold: Number) -> Program:
    """The program of a solution. Raises NoProgram where no equation gives the answer."""
    draft = _Builder(numbers(question))
    for line in solution.splitlines():
        found = equations(line)
        for place, equation in enumerate(found):
            draft.add(equation, around(line, found, place))
    return draft.program(gold)


@dataclass(slots=True)
class _Statement:
    """An equation, what its numbers give, the words around it, and which of its literals are earlier statements."""

    equation: Equation
    literal_value: Number
    text: str
    phrase: list[str]
    name: str
    links: dict[int, int] = field(default_factory=dict)  # place of the literal -> place of the statement

    @property
    def literals(self) -> list[ast.Constant]:
        return arithmetic.literals(self.equation.expression)

    def gives(self, number: Number) -> bool:
        """Whether a number may be this one's result, as computed or as written down."""
        said = self.equation.said
        return arithmetic.same(self.literal_value, number) or (said is not None and arithmetic.same(said, number))


class _Builder:
    """The statements of a program, and how they refer to one another."""

    def __init__(self, asked: set[Number]) -> None:
        self._asked = asked
        self._statements: list[_Statement] = []

    def add(self, equation: Equation, text: str) -> None:
        """One more statement; an expression that cannot be computed is left out."""
        try:
            value = arithmetic.value(equation.expression, {})
        except Unreadable:
            return
        own = name(text, [s.name for s in self._statements])
        self._statements.append(_Statement(equation, value, text, phrase(text), own))

    def program(self, gold: Number) -> Program:
        """Refer, drop what the answer does not need, and write it down."""
        if not self._statements:
            raise NoProgram("no equation")
        answers = [i for i, s in enumerate(self._statements) if arithmetic.same(s.literal_value, gold)]
        if not answers:
            raise NoProgram("no equation gives the answer")
        choices = self._refer(answers[-1])
        n_linked = sum(len(s.links) for s in self._statements)
        n_chosen = sum(place in self._statements[i].links for i, place in choices)
        needed = sorted(self._needed(answers[-1]))
        self._name_again(needed)
        values, comments, code, unexplained = self._written(needed)
        if not arithmetic.same(values[answers[-1]], gold):
            raise NoProgram("a rounded result gives the answer")
        if unexplained:
            raise NoProgram("a number comes from nowhere")
        variables = tuple(self._statements[i].name for i in needed)
        return Program(
            "\n".join([*code, f"final_answer({self._statements[answers[-1]].name})"]), comments, variables,
            n_linked - n_chosen, n_chosen, len(choices) - n_chosen, len(self._statements) - len(needed), unexplained,
        )  # fmt: skip

    def _name_again(self, needed: list[int]) -> None:
        """Names without regard to statements that are not needed, or whose result is not used again."""
        for place, i in enumerate(needed):
            later = {j for k in needed[place + 1 :] for j in self._statements[k].links.values()}
            taken = [self._statements[j].name for j in needed[:place] if j in later]
            self._statements[i].name = name(self._statements[i].text, taken)

    def _written(self, needed: list[int]) -> tuple[dict[int, Number], tuple[str, ...], list[str], tuple[Number, ...]]:
        values: dict[int, Number] = {}
        code: list[str] = []
        comments: list[str] = []
        unexplained: list[Number] = []
        for i in needed:
            s = self._statements[i]
            expression = _linked(s.equation.expression, {p: self._statements[j].name for p, j in s.links.items()})
            try:
                values[i] = arithmetic.value(expression, {self._statements[j].name: v for j, v in values.items()})
            except Unreadable as e:
                raise NoProgram("an equation cannot be computed") from e
            told = comment(s.text, self._asked, [values[i], s.literal_value, s.equation.said])
            if told and told not in comments[-1:]:
                code.append(f"# {told}")
                comments.append(told)
            code.append(f"{s.name} = {ast.unparse(expression)}")
            unexplained += [n for n in map(_number, arithmetic.literals(expression)) if not self._explained(n)]
        return values, tuple(comments), code, tuple(unexplained)

    def _explained(self, n: Number) -> bool:
        """Whether a number is the question's (30, of 30% also 0.3, 0.7 and 1.3) or everybody's."""
        of = [n, n * 100, abs(1 - n) * 100, abs(100 - n), 1 / n if n else n]
        return n in _EVERYDAY or any(arithmetic.same(k, x) for k in self._asked for x in of)

    def _refer(self, answer: int) -> list[tuple[int, int]]:
        """Let literals be earlier results. Returns those where that was a choice, as statement and place."""
        used: set[int] = set()
        choices: list[tuple[int, int]] = []
        for i, s in enumerate(self._statements):
            own = self._numbers(i)
            for place, n in enumerate(own):
                fits = [j for j in range(i) if self._statements[j].gives(n)]
                if not fits:
                    continue
                if n in _CONSTANTS or self._stands_in_question(n):
                    choices.append((i, place))
                    if n == 100 or i - 1 not in fits or i - 1 in used or not self._follows(i, place):
                        continue
                    fits = [i - 1]
                fresh = [j for j in fits if j not in used]
                pick = (fresh[0] if own[place:].count(n) > 1 else fresh[-1]) if fresh else fits[-1]
                s.links[place] = pick
                used.add(pick)
        for j in reversed(range(answer)):
            later = [(i, p) for i, p in choices if self._may_use(i, p, j)] if j not in used else []
            if later:
                i, place = later[-1]
                self._statements[i].links[place] = j
                used.add(j)
        return choices

    def _follows(self, i: int, place: int) -> bool:
        """Whether a literal that may be the result just before is it. Not where a later statement has that number
        beside other results, and this one has no other."""
        others = [j for j in range(i - 1) if any(self._among(i, j, n) for n in self._numbers(i))]
        n = _number(self._statements[i].literals[place])
        later = range(i + 1, len(self._statements))
        if not others and any(
            n in self._numbers(k) and any(self._among(k, j, m) for j in range(i, k) for m in self._numbers(k) if m != n)
            for k in later
        ):
            return False
        return self._relates(i, place, i - 1)

    def _numbers(self, i: int) -> list[Number]:
        return [_number(c) for c in self._statements[i].literals]

    def _among(self, i: int, j: int, n: Number) -> bool:
        """Whether a number of statement ``i`` is the result of ``j`` and of no other source."""
        return j < i and n not in _CONSTANTS and not self._stands_in_question(n) and self._statements[j].gives(n)

    def _stands_in_question(self, n: Number) -> bool:
        return any(arithmetic.same(n, k) for k in self._asked)

    def _may_use(self, i: int, place: int, j: int) -> bool:
        """Whether the literal of a statement, still one, may be the result of statement ``j``."""
        s = self._statements[i]
        fits = i > j and place not in s.links and self._statements[j].gives(_number(s.literals[place]))
        return fits and self._relates(i, place, j)

    def _relates(self, i: int, place: int, j: int) -> bool:
        units = self._statements[i].equation.units
        return relate(units[place] if units else (), self._statements[j].phrase)

    def _needed(self, answer: int) -> set[int]:
        needed, todo = set[int](), [answer]
        while todo:
            i = todo.pop()
            if i not in needed:
                needed.add(i)
                todo += self._statements[i].links.values()
        return needed


def _number(literal: ast.Constant) -> Number:
    assert isinstance(literal.value, int | float)
    return literal.value


def _linked(expression: ast.expr, names: dict[int, str]) -> ast.expr:
    """The expression with variables in place of its literals, which are counted from the left."""
    return _replaced(expression, iter(enumerate(arithmetic.literals(expression))), names)


def _replaced(node: ast.expr, places: Iterator[tuple[int, ast.Constant]], names: dict[int, str]) -> ast.expr:
    match node:
        case ast.BinOp(left=left, op=op, right=right):
            first = _replaced(left, places, names)
            return ast.BinOp(first, op, _replaced(right, places, names))
        case ast.UnaryOp(op=op, operand=operand):
            return ast.UnaryOp(op, _replaced(operand, places, names))
    place, _ = next(places)
    return ast.Name(names[place]) if place in names else node


# --- words ------------------------------------------------------------------------------------------------------------


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


ARTICLES = _set("a an the his her their its")
LINKS = _set("of in on for per from to at by with")
PHRASE_ENDS = _set(
    """
    and or so because since which that this if then is are was were be will would can could has have had he she they
    it we you i does do did but while when after before than as
    """
)
LITTLE = _set(
    """
    a an the is are was were be been being am do does did done has have had of for at in on by with to from and or
    so because since which that this these those than as if then there their his her hers its it he she they them we
    us our you your i me my him who what how only just about also still already therefore thus per each every total
    altogether together all more less fewer left over would will can could should must now new one some any other
    another into out up down off not no yes but while when after before during between equals equal means mean s t x
    mr mrs ms get gets got make makes made need needs needed take takes took give gives gave go goes went
    """
)
DANGLING = _set(
    """
    a an the is are was were be been to of for at in on by with and or so because since which that than as if equals
    equal only just about means therefore thus then from into per another additional there total's = - : i.e e.g
    plus minus times divided multiplied x up down when while have has had its that's it's he's she's there's leaves
    leaving they're you're he she it they we
    """
)
UNITS = _set(
    """
    pound pounds ounce ounces year years old mile miles hour hours minute minutes second seconds day days week weeks
    month months dollar dollars cent cents foot feet inch inches meter meters kilometer kilometers km gallon gallons
    liter liters gram grams tall long big people times
    """
)


# --- variables' names -------------------------------------------------------------------------------------------------


_N_WORDS = 4
_ROLES = {
    role: re.compile(rf"\b(?:{words})\b", re.IGNORECASE)
    for role, words in {
        "total": "total|altogether|in all|combined|together|sum",
        "left": "left|remain|remains|remaining",
        "more": "more|difference|longer|extra|additional",
        "fewer": "fewer|less|shorter",
        "average": "average|mean",
        "first": "first", "second": "second", "third": "third", "last": "last|final", "new": "new|now",
        "each": "each|every|per",
    }.items()
}  # fmt: skip
_TAKEN = frozenset({"final_answer", "search", "result"})


def phrase(text: str) -> list[str]:
    """The words behind the hole, up to where their noun phrase ends."""
    return _words(text.partition(HOLE)[2], behind=True)


def name(text: str, taken: Collection[str]) -> str:
    """A variable's name from the words behind the hole, or before it; ``number`` or the like where they give none.

    A valid identifier, no keyword, no built-in, and none of those ``taken``. Of taken names more words are tried before
    a number: a student that sees many ``eggs_2``, ``eggs_3`` learns to count on.
    """
    behind = phrase(text)
    if behind and all(w in UNITS for w in behind):
        behind = ["of", *behind]  # what is so many hours long is told before
    before = [w for w in _words(text.partition(HOLE)[0], behind=False) if w not in LITTLE]
    while behind and behind[0] in LITTLE - LINKS:
        behind = behind[1:]
    lead = before[-2:]
    if not behind or behind[0] in LINKS:
        behind = [*lead, *(w for w in behind if (lead and w != "of") or w not in LINKS)]
    base = _joined(behind)
    roles = [role for role, told in _ROLES.items() if told.search(text)]
    base = base or next(iter(roles), "amount" if "$" in text else "number")
    longer = [_joined(words, n) for words, n in _longer(behind, before)]
    longer += [f"{role}_{base}" for role in roles if role not in base.split("_")]
    base = next((b for b in [base, *longer] if b and _usable(b) not in taken), base)
    base = _usable(base)
    return base if base not in taken else next(n for i in itertools.count(2) if (n := f"{base}_{i}") not in taken)


def _longer(behind: list[str], before: list[str]) -> Iterator[tuple[list[str], int]]:
    """Words that say more, and how many of them a name may take."""
    lead = before[-2:]
    if lead and lead[-1] not in behind:
        yield [*lead, *behind], _N_WORDS
    yield behind, _N_WORDS + 2
    for word in before:
        if word not in behind:
            yield [word, *behind], _N_WORDS
    yield [*before[-4:], *behind], _N_WORDS + 2


def _usable(base: str) -> str:
    """The name, or a longer one where Python or an agent has another use for it."""
    taken = keyword.iskeyword(base) or keyword.issoftkeyword(base) or hasattr(builtins, base) or base in _TAKEN
    return f"{base}_value" if taken else base


def _joined(words: Sequence[str], most: int = _N_WORDS) -> str:
    """At most so many words as an identifier that neither begins nor ends with a word that says little."""
    words = [w for w in words if w not in ARTICLES]
    while words and words[0] in LITTLE:
        words = words[1:]
    words = words[:most]
    while words and words[-1] in LITTLE:
        words = words[:-1]
    return "_".join(words)


def _words(text: str, behind: bool) -> list[str]:
    """The lower-case ASCII words of a text: ``behind`` a hole up to the end of a noun phrase, else its last clause."""
    text = re.sub(r"['’]s?\b", "", text)
    if behind:
        text = re.sub(r"\A(?:is|are|was|were)\s", "", text.strip(" .%"))
        text = re.split(r"[,.;:()=+*/\"]|\s-|\s–", text, maxsplit=1)[0]
    else:
        text = re.split(r"[,.;:()]\s", text.rstrip(" ,.:;"))[-1]
    out: list[str] = []
    for word in re.findall(r"[^\W\d_]+|\d\S*", text.replace("-", " ")):
        if behind and word.lower() in PHRASE_ENDS:
            break
        if word.isascii() and word.isalpha() and len(word) > 1 and word.lower() not in NUMBER_WORDS:
            out.append(word.lower())
    return out


# --- comments ---------------------------------------------------------------------------------------------------------


MAX_WORDS = 16
HOLE = "\0"
"""Stands where an equation stood in its sentence."""
_END = re.compile(r"[.!?;](?=\s|\Z)(?<![A-Z]\.)|\n")
_CLAUSE = re.compile(r",\s|\s(?:and|so|because|since|which|but|or|then|while)\s|\s-\s|:\s")
_OPENING = re.compile(
    r"(?:(?:this|that|which|it) means(?: that)?|this is|that is|which is|as a result|we know(?: that)?|so that|"
    r"so(?! far)|then|thus|therefore|hence|and|but|or|now|next|finally|because|since|which|this|that|is|are|was|were|"
    r"also|to|first,)(?![\w'’])[\s,:]*",
    re.IGNORECASE,
)


def around(line: str, found: Sequence[Equation], place: int) -> str:
    """The sentence of one of a line's equations, the arithmetic and the result replaced by :data:`HOLE`.

    Where a line holds several, each has the part of it that is nearer to it than to the others.
    """
    equation = found[place]
    floor = found[place - 1].end if place else 0
    ceiling = found[place + 1].start if place + 1 < len(found) else len(line)
    before, after = line[floor : equation.start], line[equation.end : ceiling]
    ends = [m.end() for m in _END.finditer(before)]
    if ends:
        before = before[ends[-1] :]
    elif place:
        cut = _CLAUSE.search(before)
        before = before[cut.start() + (cut[0].startswith(",")) :] if cut else ""
    end = _END.search(after)
    if end:
        after = after[: end.start()]
    elif place + 1 < len(found):
        cut = _CLAUSE.search(after)
        after = after[: cut.start()] if cut else after
    return before + HOLE + after


def comment(text: str, known: Collection[Number], hidden: Sequence[Number | None]) -> str:
    """The sentence without its hole and without any number that is not ``known`` or is ``hidden``; ``""`` if that
    leaves nothing. At most MAX_WORDS words, cut where a clause begins or ends."""
    results = [abs(n) for n in hidden if n is not None]

    def tells(n: Number) -> bool:
        return any(arithmetic.same(n, h) for h in results) or not any(arithmetic.same(n, k) for k in known)

    before, _, after = text.partition(HOLE)
    told = _told(before, tells)
    before, after = _shortened(told if len((told + after).split()) > 2 else before, after)
    out = _without(before, tells) + " " + _without(after, tells)
    out = re.sub(r"[()\[\]\"“”=*+≈<>]|\s[/–−-]+\s|\$(?!\d)|(?<!\d)%", " ", out)
    out = re.sub(r"\s+", " ", re.sub(r"\s+([,.;:])", r"\1", re.sub(r"\s/\s?\w+", " ", out))).strip(" ,.;:-/")
    for _ in range(3):
        out = _OPENING.sub("", out, count=1) if _OPENING.match(out) else out
    words = out.split()[:MAX_WORDS]
    while words and words[-1].strip(",.;:-–/$").lower().replace("’", "'") in DANGLING | {""}:
        words.pop()
    out = " ".join(words).strip(" ,;:-–/")
    return out[:1].upper() + out[1:] if len(words) > 1 else ""


def _told(text: str, tells: Callable[[Number], bool]) -> str:
    """Without the clauses, but for the last, that hold a number which would have to be cut out of them."""
    starts = [0, *(m.start() for m in _CLAUSE.finditer(text.rstrip(" :$"))), len(text)]
    clauses = [text[a:b] for a, b in itertools.pairwise(starts)]
    kept = [c for c in clauses[:-1] if not any(tells(n) for n in numerals(c))]
    return "".join([*kept, *clauses[-1:]])


def _shortened(before: str, after: str) -> tuple[str, str]:
    """Both sides without their outer clauses until they have MAX_WORDS words."""
    while len(before.split()) + len(after.split()) > MAX_WORDS:
        cut = _CLAUSE.search(before)
        if cut is not None and len(before[cut.end() :].split()) > 1:
            before = before[cut.end() :]
            continue
        cuts = list(_CLAUSE.finditer(after))
        if not cuts:
            break
        after = after[: cuts[-1].start()]
    return before, after


def _without(text: str, tells: Callable[[Number], bool]) -> str:
    def cut(match: re.Match[str]) -> str:
        return " " if any(tells(n) for n in numerals(match[0])) else match[0]

    text = NUMERAL.sub(cut, text)
    return re.sub(r"[A-Za-z]+", lambda m: cut(m) if m[0].lower() in NUMBER_WORDS else m[0], text)
