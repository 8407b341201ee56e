"""How an episode of others ended: whether it gave an answer, and which one."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Mapping, Sequence
from typing import Any

from agentdistill.environment import Environment
from agentdistill.errors import InfrastructureError, UserError
from agentdistill.parse import parsed
from agentdistill.problems import as_text
from agentdistill.tools import FINAL_ANSWER
from agentdistill.types import Step, StepStatus

_TOLD = re.compile(r"(?:final answer|last output from code snippet)\s*:\s*(\S.*)\Z", re.IGNORECASE | re.DOTALL)
_OPERATIONS: Mapping[type[ast.operator] | type[ast.unaryop], Any] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.USub: operator.neg, ast.UAdd: operator.pos,
}  # fmt: skip
_MOST = 10**30


class _Unknown(Exception):
    """A value that only running the code would tell."""


_NOT_KNOWN = (_Unknown, ArithmeticError, TypeError, ValueError, RecursionError)


def final_calls(tree: ast.Module) -> list[ast.Call]:
    """The calls of ``final_answer`` in code."""
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == FINAL_ANSWER
    ]


def is_answered(steps: Sequence[Step]) -> bool:
    """Whether the last step answers, whatever the answer is."""
    tree = parsed(steps[-1].code or "") if steps else None
    failed = (StepStatus.EXCEPTION, StepStatus.SYNTAX)
    return tree is not None and bool(final_calls(tree)) and steps[-1].status not in failed


def answer_of(steps: Sequence[Step], environment: Environment | None) -> tuple[str | None, bool]:
    """What the last step answers, and whether its code was run to know it; None where that cannot be known.

    Looked for in the code itself (values, and arithmetic on them), in what was observed after it, and, with an
    ``environment``, by running the steps. Code that needs tools fails there, and its answer stays unknown.
    """
    tree = parsed(steps[-1].code or "")
    known = _assigned(steps)
    for call in final_calls(tree) if tree is not None else []:
        argument = call.args[0] if call.args else next((k.value for k in call.keywords), None)
        try:
            return _text(_value(argument, known)), False
        except _NOT_KNOWN:
            continue
    observed = steps[-1].observation
    told = _TOLD.search(observed.content) if observed is not None else None
    if told is not None:
        return told[1].strip(), False
    return (_run(steps, environment), True) if environment is not None else (None, False)


def _run(steps: Sequence[Step], environment: Environment) -> str | None:
    try:
        workspace = environment.open()
    except (InfrastructureError, UserError):  # no sandbox here: not known
        return None
    try:
        for step in steps:
            result = workspace.run(step.code) if step.code else None
            if result is not None and result.status is StepStatus.FINAL:
                return result.answer if step is steps[-1] else None
    except InfrastructureError:
        return None
    finally:
        workspace.close()
    return None


def _text(value: Any) -> str:
    return as_text(value) if isinstance(value, float) else str(value)


def _assigned(steps: Sequence[Step]) -> dict[str, Any]:
    """The names to which straight-line code gave a number or a text. A name that anything else binds is not known."""
    known: dict[str, Any] = {}
    for step in steps:
        tree = parsed(step.code or "")
        for statement in tree.body if tree is not None else []:
            value = _assigned_value(statement, known) if step.status is not StepStatus.EXCEPTION else None
            for name in _bound(statement):
                known.pop(name, None)
                if isinstance(value, str | int | float):
                    known[name] = value
    return known


def _bound(statement: ast.stmt) -> set[str]:
    """Every name that a statement, or anything within it, binds."""
    out: set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            out.add(node.id)
        elif isinstance(node, ast.alias):
            out.add(node.asname or node.name)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            out.add(node.name)
    return out


def _assigned_value(statement: ast.stmt, known: Mapping[str, Any]) -> Any:
    if not isinstance(statement, ast.Assign) or not all(isinstance(t, ast.Name) for t in statement.targets):
        return None
    try:
        return _value(statement.value, known)
    except _NOT_KNOWN:
        return None


def _value(node: ast.expr | None, known: Mapping[str, Any]) -> Any:
    """The value of literals, known names and bounded arithmetic. Raises _Unknown for anything else."""
    if isinstance(node, ast.Name) and node.id in known:
        return known[node.id]
    if isinstance(node, ast.BinOp | ast.UnaryOp) and type(node.op) in _OPERATIONS:
        sides = [node.left, node.right] if isinstance(node, ast.BinOp) else [node.operand]
        values = [_value(side, known) for side in sides]
        if not all(isinstance(v, int | float) and abs(v) < _MOST for v in values):
            raise _Unknown
        return _OPERATIONS[type(node.op)](*values)
    if node is None:
        raise _Unknown
    return ast.literal_eval(node)
