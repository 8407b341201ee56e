"""ToolV for mathematics: the model writes a program that prints True or False, and the sandbox runs it as written."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from agentdistill.acting import Policy
from agentdistill.environment import Environment, Execution
from agentdistill.errors import UserError
from agentdistill.parse import parse_action
from agentdistill.types import Problem, Request, StepStatus
from agentdistill.verify.judges import JudgeSettings, Kit
from agentdistill.verify.styles import VerifyStyle, load_style
from agentdistill.verify.types import Candidate, Check, Verdict

_KINDS = {
    StepStatus.NO_CODE: Verdict.NO_CODE,
    StepStatus.SYNTAX: Verdict.MALFORMED,
    StepStatus.EXCEPTION: Verdict.ERROR,
    StepStatus.LIMIT: Verdict.ERROR,
    StepStatus.TIMEOUT: Verdict.TIMEOUT,
}
DETAIL_CHARS = 300
HARDENED = """
def _alike(a, b):
    import math
    import sys

    try:
        if bool(a == b):
            return True
    except Exception:
        pass
    try:
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)
    except Exception:
        pass
    sympy = sys.modules.get("sympy")
    if sympy is None or not any(isinstance(x, sympy.Basic) for x in (a, b)):
        return False
    try:
        return sympy.simplify(a - b) == 0
    except Exception:
        return False


def _run_hardened(source):
    import ast

    class ByValue(ast.NodeTransformer):
        def visit_Compare(self, node):
            self.generic_visit(node)
            if len(node.ops) != 1 or not isinstance(node.ops[0], (ast.Eq, ast.NotEq)):
                return node
            call = ast.Call(ast.Name("_alike", ast.Load()), [node.left, node.comparators[0]], [])
            return call if isinstance(node.ops[0], ast.Eq) else ast.UnaryOp(ast.Not(), call)

    tree = ast.fix_missing_locations(ByValue().visit(ast.parse(source)))
    exec(compile(tree, "<check>", "exec"), globals())
"""
"""Run before a program that is to compare by value: ``a == b`` becomes isclose or ``simplify(a - b) == 0``."""


class CodeJudge:
    """k programs a candidate, each in a fresh session. Equal programs do the same, so they are run once."""

    def __init__(self, settings: JudgeSettings, style: VerifyStyle, environment: Environment) -> None:
        self._settings, self._style, self._environment = settings, style, environment

    async def check(self, policy: Policy, problem: Problem, candidate: Candidate) -> tuple[Check, ...]:
        """See :class:`~agentdistill.verify.judges.Judge`."""
        messages = self._style.code(problem.question, candidate.solution)
        request = Request(messages, self._settings.sampling, self._settings.n, seed=policy.seed("code"))
        return await self.run([s.text for s in await policy.ask_many(request)])

    async def run(self, replies: Sequence[str]) -> tuple[Check, ...]:
        """The verdicts on replies that are written already."""
        ran: dict[str, Execution] = {}
        out = []
        for reply in replies:
            code = parse_action(reply)
            if code is not None and code not in ran:
                ran[code] = await asyncio.to_thread(self._run, code)
            out.append(Check(reply, Verdict.NO_CODE) if code is None else of_execution(ran[code], code, reply))
        return tuple(out)

    def _run(self, code: str) -> Execution:
        workspace = self._environment.open()
        try:
            if not self._settings.hardened:
                return workspace.run(code)
            workspace.run(HARDENED)
            return workspace.run(f"_run_hardened({code!r})")
        finally:
            workspace.close()


def of_execution(execution: Execution, code: str, reply: str) -> Check:
    """The verdict of a program that was run: what it printed, unless it came to no end."""
    e = execution
    text = e.answer if e.status is StepStatus.FINAL and e.answer is not None else e.observation
    verdict = _KINDS[e.status] if e.status in _KINDS else printed(text)
    return Check(reply, verdict, code=code, detail=text[-DETAIL_CHARS:])


def printed(output: str) -> Verdict:
    """What a program's output says: the lines True or False, which have to agree, the last line being one of them.

    >>> printed("x = 5\\nTrue\\n"), printed("True\\nFalse"), printed("42")
    (<Verdict.TRUE: 'true'>, <Verdict.MALFORMED: 'malformed'>, <Verdict.MALFORMED: 'malformed'>)
    """
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    found = {line for line in lines if line in ("True", "False")}
    if len(found) != 1 or lines[-1] not in found:
        return Verdict.MALFORMED
    return Verdict.TRUE if "True" in found else Verdict.FALSE


def load(settings: JudgeSettings, kit: Kit) -> CodeJudge:
    """The verifier with code. Raises UserError without a sandbox."""
    if kit.environment is None:
        raise UserError(f'judge "{settings.name}" runs code and needs a sandbox')
    return CodeJudge(settings, load_style(settings.style or kit.style), kit.environment)
