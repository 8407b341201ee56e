"""A one-step program out of a solution whose equations are written down: one statement an equation, then the answer."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from agentdistill.readers import _arithmetic as arithmetic
from agentdistill.readers._arithmetic import Number, Unreadable
from agentdistill.readers._equations import Equation, equations, relate
from agentdistill.readers._naming import name, phrase
from agentdistill.readers._sentence import around, comment
from agentdistill.readers._words import numbers

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
    draft = _Draft(numbers(question))
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


class _Draft:
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
