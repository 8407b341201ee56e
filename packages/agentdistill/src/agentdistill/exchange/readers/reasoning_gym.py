"""Solutions that reasoning-gym's ``gsm_symbolic`` writes beside its questions (Mirzadeh et al. 2024, arXiv 2410.05229).

Apache-2.0. Splits: train, the templates that are no test's: the questions of the task ``reasoning_gym:train``. Their
equations, written out, give the program as GSM8K's annotations do: one statement an equation. As ``cot``: the solution
as it is. The other generators of reasoning-gym give no solutions.
"""

from __future__ import annotations

import ast
import contextlib
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache

from agentdistill.exchange.readers.arithmetic import Number, numbers, same
from agentdistill.exchange.readers.collection import Draft, LeftOut, Turn
from agentdistill.exchange.readers.program import NoProgram, program
from agentdistill.problems.benchmarks import SplitSource
from agentdistill.problems.reasoning_gym import parse, stream
from agentdistill.scorers.gym import entry, parse_ref, rationale
from agentdistill.types import Problem

SPLITS = {"train": ("agent", "cot")}
MAX_ROWS = 10_000
"""How many rows a split has where no number is named: there is no end to them."""
MODEL = "template"
_N_FOR_USUAL = 1500
_CURRENCY = re.compile(r"[€£¥₹]")


def parts(split: str) -> tuple[SplitSource, ...]:
    """The files of a split: none, its rows are generated."""
    return ()


def drafts(split: str, path: str | None, method: str) -> Iterator[Draft | LeftOut]:
    """Every row. As a program, one is left out whose equations do not give its answer, or whose program is not made as
    its template's are: there a number was taken for an earlier result that only happens to be equal, or is a result
    that no equation gives."""
    usual = _usual(split) if method != "cot" else {}
    for problem in itertools.islice(_problems(split), MAX_ROWS):
        where = f"reasoning_gym:{problem.id}"
        if method == "cot":
            text = f"{_solution(problem)}\nAnswer: {problem.answer}"
            yield Draft(problem, MODEL, (Turn(text),), (("source", where), ("thought", "solution")))
            continue
        try:
            code = _program(problem)
        except NoProgram as e:
            yield LeftOut(where, str(e))
            continue
        if not _fits(code, problem, usual.get(_template(problem), ("", ()))):
            yield LeftOut(where, "not made as its template's other programs")
            continue
        notes = (("source", where), ("program", "equations"), ("thought", "sentence"))
        yield Draft(problem, MODEL, (Turn("", code),), notes)


def _problems(split: str) -> Iterator[Problem]:
    return stream(parse(f"{split}:gsm_symbolic"), "gsm_symbolic")


def _template(problem: Problem) -> str:
    return dict(problem.labels)["template"]


def _program(problem: Problem) -> str:
    """Raises NoProgram. The equations' reader knows dollars, so all currencies are."""
    question, written = (_CURRENCY.sub("$", text) for text in (problem.question, _solution(problem)))
    return program(question, written, float(problem.answer)).code


def _anatomy(code: str) -> tuple[str, tuple[Number, ...]]:
    """A program without its numbers, its comments and its choice of names, and the numbers."""
    tree = ast.parse(code)
    names: dict[str, str] = {}
    found: list[Number] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            node.id = names.setdefault(node.id, f"v{len(names)}")
        elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            found.append(node.value)
            node.value = 0
    return ast.unparse(tree), tuple(found)


@cache
def _usual(split: str) -> dict[str, tuple[str, tuple[Number, ...]]]:
    """By template: how most of its programs are made, and the number that each place most often has."""
    made: dict[str, Counter[str]] = defaultdict(Counter)
    at: dict[tuple[str, str], list[tuple[Number, ...]]] = defaultdict(list)
    for problem in itertools.islice(_problems(split), _N_FOR_USUAL):
        with contextlib.suppress(NoProgram):
            shape, found = _anatomy(_program(problem))
            made[_template(problem)][shape] += 1
            at[_template(problem), shape].append(found)
    out: dict[str, tuple[str, tuple[Number, ...]]] = {}
    for template, counts in made.items():
        shape = counts.most_common(1)[0][0]
        out[template] = shape, tuple(_constant(values) for values in zip(*at[template, shape], strict=True))
    return out


def _constant(values: tuple[Number, ...]) -> Number:
    """The number that nine in ten of ``values`` are; NaN, which nothing equals, where there is none."""
    value, n = Counter(values).most_common(1)[0]
    return value if n >= 0.9 * len(values) else float("nan")


def _fits(code: str, problem: Problem, usual: tuple[str, tuple[Number, ...]]) -> bool:
    """Whether a program is made as its template's are, of numbers that stand in the question or in all of them."""
    shape, found = _anatomy(code)
    asked = numbers(_CURRENCY.sub("$", problem.question))
    return shape == usual[0] and all(
        n == constant or any(same(n, k) or same(100 * n, k) for k in asked)
        for n, constant in zip(found, usual[1], strict=True)
    )


def _solution(problem: Problem) -> str:
    """The solution's lines, without the mark and the answer at its end."""
    ref = parse_ref(problem.aliases[0])
    made = entry(ref) if ref is not None else None
    text = rationale(made) if made is not None else None
    return (text or "").partition("####")[0].strip()
