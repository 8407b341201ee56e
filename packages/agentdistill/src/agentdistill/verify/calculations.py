"""The verifier that needs no model: every calculation that a solution writes down is done again in the sandbox.

Read are GSM8K's own marks, ``<<16-3-4=9>>``, and where a solution has none, plain text such as ``12 * 4 = 48``, but not
what is a mere part of a formula, as in ``2 * x + 3 + 4 = 15``. What is read becomes exact arithmetic on fractions, run
in the sandbox like any verifier's code. A result written with decimals may be rounded or cut off in its last place; a
whole one has to be exact.
"""

from __future__ import annotations

import ast
import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from agentdistill.environment import Environment, Execution, Workspace
from agentdistill.errors import UserError
from agentdistill.loop import Policy
from agentdistill.sandbox import Limits
from agentdistill.types import Problem, StepStatus, Trace
from agentdistill.verify.pools import Check, Judgement, Pool, Said, Verdict
from agentdistill.verify.verifiers import Kit, VerifierSettings

NAME = "calculations"
_MARKED = re.compile(r"<<([^<>=\n]{1,200})=([^<>=\n]{1,60})>>")
_SIGNS = {r"\times": "*", r"\cdot": "*", r"\div": "/", "×": "*", "·": "*", "÷": "/", "−": "-", "^": "**"}
_SIGN = re.compile(r"\\(?:times|cdot|div)\b|[×·÷−^]")
_LETTER_X = re.compile(r"(?<=[\d)])[ \t]*x[ \t]*(?=\$?\d)")
_NUMBER = r"[-+]?\\?\$?-?\d[\d,]*(?:\.\d+)?%?"
_OP = r"(?:\*\*|[-+*/])"
_GAP = r"[ \t\xa0()]*"
_LINE = re.compile(
    rf"(?<![\w.=<\\])((?:\(\s*){{0,9}}{_NUMBER}(?:{_GAP}(?:{_OP}|%(?=\s*\d)){_GAP}{_NUMBER}){{1,50}}[\s)]*)"
    rf"=\s*({_NUMBER}(?:/\d+)?)(?![.,:]?\d|[ \t]*%?[ \t]*{_OP}[ \t]*(?:[\d($]|[a-z]\b))"
)
_OPEN = re.compile(r"[\w)\]}](?:[ \t]*[-+*/][ \t(]*|\*\*\(*|[ \t]+\*\*[ \t(]+)[-+]?$|\d:$")
"""Behind this, a formula or a time of day has begun that a calculation is only the rest of. ``**`` may be bold type."""
_TOKEN = re.compile(r"\d[\d,]*(?:\.\d+)?|\.\d+|\*\*|[-+*/()%]|\s+|\\?[$€£]")
MAX_CALCULATIONS = 200
LIMITS = Limits(wall_s=2.0, memory_mb=256)
"""Of the program of one solution."""
_RENEW_AFTER = 500


@dataclass(frozen=True, slots=True)
class Calculation:
    """``left = right`` as it is written. ``code`` is a Python expression that is true where it holds; None where the
    text is no arithmetic."""

    left: str
    right: str
    code: str | None


def calculations(solution: str) -> tuple[Calculation, ...]:
    """Every calculation of a solution, in order.

    >>> [c.right for c in calculations("16 - 3 = <<16-3=13>>13 eggs, 13 * 2 = $<<13*2=26>>26")]
    ['13', '26']
    """
    text = _LETTER_X.sub(" * ", _SIGN.sub(lambda m: _SIGNS[m[0]], solution))
    found = _MARKED.findall(text) or _in_plain(text)
    return tuple(Calculation(a.strip(), b.strip(), _code(a, b)) for a, b in found[:MAX_CALCULATIONS])


def _in_plain(text: str) -> list[tuple[str, str]]:
    """Both sides of every calculation in plain text."""
    out = []
    for m in _LINE.finditer(text):
        n_open = m[1].count("(") - m[1].count(")")
        left = m[1].removeprefix("(" * max(0, n_open))  # those of a remark: (3 + 4 = 7)
        begins = m.end(1) - len(left.lstrip("( -+"))
        if left.count("(") == left.count(")") and not _OPEN.search(text[max(0, begins - 40) : begins]):
            out.append((left, m[2]))
    return out


def _code(left: str, right: str) -> str | None:
    a, b = _expression(left), _expression(right)
    if a is None or b is None:
        return None
    decimals = re.search(r"\.(\d+)", right)
    if decimals is None:
        return f"({a}) == ({b})"
    # Rounded is off by half of the last place at most, cut off by less than a whole; past nine it is a float's noise.
    return f"abs(({a}) - ({b})) < F(1, {10 ** min(len(decimals[1]), 9)})"


def _expression(text: str) -> str | None:
    """Arithmetic as Python on fractions, put together of tokens that are known; None for anything else.

    ``%`` between two numbers is the remainder, behind one it is per cent.
    """
    out: list[str] = []
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            return None
        at = token.end()
        t = token[0]
        if t[0].isdigit() or t[0] == ".":
            if out and out[-1][-1] in ")'":
                return None  # two numbers side by side
            out.append(f"F('{t.replace(',', '')}')")
        elif t == "%":
            out.append("%" if re.match(r"\s*[\d(]", text[at:]) else "/F(100)")
        elif not t.isspace() and t[-1] not in "$€£":
            out.append(t)
    return _parsed("".join(out))


def _parsed(code: str) -> str | None:
    """The code, if it is an expression: one that is none would take the others of its program down with it."""
    try:
        ast.parse(code, mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    return code


def program(found: tuple[Calculation, ...]) -> str:
    """Python that prints for every calculation True or False, or the name of its error, a line each."""
    rows = ",\n".join(f"    lambda: {c.code}" if c.code else "    None" for c in found)
    return (
        "from fractions import Fraction as F\n\n"
        f"checks = [\n{rows}\n]\n"
        "for check in checks:\n"
        "    try:\n"
        "        print('Unread' if check is None else bool(check()))\n"
        "    except Exception as e:\n"
        "        print(type(e).__name__)\n"
    )


class Checker:
    """Runs the programs of any number of solutions in one sandbox.

    They share a session, since the program is ours and only numbers and signs of the solution are in it.
    """

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._workspace: Workspace | None = None
        self._n_run = 0

    def check(self, solution: str) -> tuple[Check, ...]:
        """One Check for every calculation; a single one of kind ``NO_CODE`` where there is none.

        Raises InfrastructureError where the sandbox fails, UserError where this machine has none.
        """
        found = calculations(solution)
        if not found:
            return (Check("", Verdict.NO_CODE, detail="no calculation is written"),)
        code = program(found)
        execution = self._run(code)
        lines = [line for line in execution.observation.splitlines() if not line.startswith("Error:")]
        out = []
        for i, c in enumerate(found):
            verdict, detail = _verdict(lines[i] if i < len(lines) else "", execution)
            out.append(Check(f"{c.left} = {c.right}", verdict, code=code if i == 0 else None, detail=detail))
        return tuple(out)

    def close(self) -> None:
        """End the session; the environment is the caller's."""
        if self._workspace is not None:
            self._workspace.close()
            self._workspace = None

    def _run(self, code: str) -> Execution:
        if self._workspace is None:
            self._workspace, self._n_run = self._environment.open(), 0
        execution = self._workspace.run(code)
        self._n_run += 1
        if execution.status is not StepStatus.OK or self._n_run >= _RENEW_AFTER:
            self.close()  # a state that is lost would be rebuilt by running all programs again
        return execution


def _verdict(line: str, execution: Execution) -> tuple[Verdict, str]:
    if line in ("True", "False"):
        return (Verdict.TRUE if line == "True" else Verdict.FALSE), ""
    if line == "Unread":
        return Verdict.MALFORMED, "no arithmetic"
    if line.isidentifier():
        return Verdict.ERROR, line
    kind = Verdict.TIMEOUT if execution.status is StepStatus.TIMEOUT else Verdict.ERROR
    return kind, execution.status.value


def with_calculations(pools: Sequence[Pool]) -> list[Pool]:
    """The pools with a judgement called ``calculations`` on every candidate, one verdict for each it writes down.

    Raises UserError where this machine has no sandbox, InfrastructureError where it fails.
    """
    with Environment(limits=LIMITS) as environment:
        checker = Checker(environment)
        try:
            return [
                replace(p, judgements=tuple(_checked(t.solution, said, checker) for t, said in p.judged)) for p in pools
            ]
        finally:
            checker.close()


def _checked(solution: str, said: Said, checker: Checker) -> Said:
    verdicts: tuple[Verdict, ...] = tuple(k.verdict for k in checker.check(solution) if k.verdict is not None)
    return (*(j for j in said if j.judge != NAME), Judgement(NAME, "calculations", verdicts))


class CalculationVerifier:
    """One Check a calculation, all run together. Used by one event loop at a time."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker
        self._turn = asyncio.Lock()

    async def check(self, policy: Policy, problem: Problem, candidate: Trace) -> tuple[Check, ...]:
        """See :class:`~agentdistill.verify.verifiers.Verifier`."""
        async with self._turn:
            return await asyncio.to_thread(self._checker.check, candidate.solution)


def load_calculations(settings: VerifierSettings, kit: Kit) -> CalculationVerifier:
    """The check of calculations. Raises UserError without a sandbox."""
    if kit.environment is None:
        raise UserError(f'verifier "{settings.name}" calculates and needs a sandbox')
    return CalculationVerifier(Checker(kit.environment))
