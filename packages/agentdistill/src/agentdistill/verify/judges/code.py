"""ToolV for mathematics: the model writes a program that prints True or False, and the sandbox runs it as written."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

from agentdistill.environment import Environment, Execution
from agentdistill.errors import InfrastructureError, UserError
from agentdistill.loop import Policy
from agentdistill.parse import parse_action
from agentdistill.types import Problem, Request, Sample, StepStatus, StopReason
from agentdistill.verify.judges import JudgeSettings, Kit, told
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
KEPT = 1000
"""Programs whose outcome is remembered."""
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
    """k programs a candidate, each in a fresh session. Equal programs do the same: one that ran lately is not run
    again."""

    def __init__(self, settings: JudgeSettings, style: VerifyStyle, environment: Environment) -> None:
        self._settings, self._style, self._environment = settings, style, environment
        self._ran: OrderedDict[str, asyncio.Task[Execution]] = OrderedDict()

    async def check(self, policy: Policy, problem: Problem, candidate: Candidate) -> tuple[Check, ...]:
        """See :class:`~agentdistill.verify.judges.Judge`."""
        messages = self._style.code(problem.question, candidate.solution)
        request = Request(messages, self._settings.sampling, self._settings.n, seed=policy.seed("code"))
        return await self.run(await policy.ask_many(request))

    async def run(self, replies: Sequence[Sample]) -> tuple[Check, ...]:
        """The verdicts on replies that are written already. A program that its reply ends in is a fragment where the
        reply was cut off, and is not run. Used by one event loop at a time."""
        out = []
        for reply in replies:
            code = parse_action(reply.text, cut_off=reply.stop is StopReason.LENGTH)
            out.append(
                Check(reply.text, told(reply, Verdict.NO_CODE))
                if code is None
                else of_execution(await self._execution(code), code, reply.text)
            )
        return tuple(out)

    async def _execution(self, code: str) -> Execution:
        """What the program does. Whoever asks for one that is running waits for it."""
        if code not in self._ran:
            self._ran[code] = asyncio.ensure_future(asyncio.to_thread(self._run, code))
            if len(self._ran) > KEPT:
                self._ran.popitem(last=False)
        running = self._ran[code]
        try:
            return await asyncio.shield(running)
        except InfrastructureError:
            self._ran.pop(code, None)  # the next one tries again
            raise

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
