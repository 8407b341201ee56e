"""The worker that compares formulas: run as a script by ``_worker``, which kills it when it takes too long.

One JSON object a line in (``gold``, ``prediction``, ``limit_s``), one out (``correct``, ``reason``). It imports nothing
of ours, and turns Python notation into LaTeX through a syntax tree of listed nodes: nothing is evaluated.
"""

from __future__ import annotations

import ast
import contextlib
import json
import logging
import os
import re
import resource
import signal
import sys
from typing import Any

MEMORY_LIMIT = 2 << 30
_IMAGINARY = re.compile(r"(?<=\d)i(?![a-zA-Z])")
_IMPLICIT = re.compile(r"(?<=[\d)])\s*(?=[A-Za-z(])")
_SAME_NAME = ("sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh")
_FUNCTIONS = {f: f"\\{f}(%s)" for f in _SAME_NAME} | {
    "sqrt": "\\sqrt{%s}",
    "exp": "e^{%s}",
    "log": "\\ln(%s)",
    "ln": "\\ln(%s)",
    "asin": "\\arcsin(%s)",
    "acos": "\\arccos(%s)",
    "atan": "\\arctan(%s)",
    "factorial": "(%s)!",
    **dict.fromkeys(("Abs", "abs"), "|%s|"),
    **dict.fromkeys(("Integer", "Float", "float", "set", "list"), "%s"),
}
_RELATIONS = {ast.Lt: "<", ast.LtE: "\\le", ast.Gt: ">", ast.GtE: "\\ge", ast.Eq: "=", ast.NotEq: "\\ne"}
_NAMES = {"pi": "\\pi", "E": "e", "I": "i", "oo": "\\infty", "inf": "\\infty", "infinity": "\\infty"}
_NAMES |= {g: f"\\{g}" for g in ("alpha", "beta", "gamma", "delta", "theta", "phi", "lambda", "omega", "mu", "sigma")}


class NotMathematics(Exception):
    """The text is no formula in Python's notation."""


def latex_forms(text: str) -> list[str]:
    """The ways to read ``text`` as LaTeX: as it is, and, where it is Python notation (as sympy prints), translated."""
    if "\\" in text or "{" in text.strip("{}") or "_" in text:
        return [text]
    try:
        tree = ast.parse(_IMPLICIT.sub("*", text.replace("^", "**")), mode="eval").body
        # "1, 2" without parentheses is a list of answers; only Python sees a pair in it.
        bare = isinstance(tree, ast.Tuple) and tree.elts and tree.elts[0].col_offset == tree.col_offset
        written = latex(tree)[1:-1] if bare else latex(tree)
    except (NotMathematics, SyntaxError, ValueError, RecursionError, MemoryError):
        return [text]
    if isinstance(tree, ast.List):
        return [text, written, written.strip("[]")]
    return [written]


def latex(node: ast.expr) -> str:
    """A syntax tree as LaTeX. Raises NotMathematics for every node that is not listed here."""
    match node:
        case ast.Constant(value=bool()):
            raise NotMathematics
        case ast.Constant(value=int() | float() as value):
            return _number(value)
        case ast.Constant(value=complex() as value):
            return f"{_number(value.imag)}i"
        case ast.Name(id=name) if name in _NAMES or len(name) == 1:
            return _NAMES.get(name, name)
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return f"-{_grouped(inner)}"
        case ast.UnaryOp(op=ast.UAdd(), operand=inner):
            return latex(inner)
        case ast.BinOp():
            return _operation(node)
        case ast.Tuple(elts=items) | ast.List(elts=items) if items:
            inner_text = ", ".join(map(latex, items))
            return f"({inner_text})" if isinstance(node, ast.Tuple) else f"[{inner_text}]"
        case ast.Set(elts=items):
            return "\\{" + ", ".join(map(latex, items)) + "\\}"
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            return _call(name, arguments)
        case ast.Call(func=ast.Attribute(value=ast.Name(id="Interval"), attr=ends), args=[start, end], keywords=[]):
            return _interval(start, end, ends in ("open", "Lopen"), ends in ("open", "Ropen"))
        case ast.Compare(left=first, ops=ops, comparators=rest) if all(type(op) in _RELATIONS for op in ops):
            return latex(first) + "".join(f" {_RELATIONS[type(o)]} {latex(r)}" for o, r in zip(ops, rest, strict=True))
    raise NotMathematics


def _number(value: float) -> str:
    text = repr(value)
    if "e" in text:
        digits, _, exponent = text.partition("e")
        return f"{digits} \\times 10^{{{int(exponent)}}}"
    return text


def _operation(node: ast.BinOp) -> str:
    left, right = node.left, node.right
    match node.op:
        case ast.Add():
            return f"{latex(left)} + {latex(right)}"
        case ast.Sub():
            return f"{latex(left)} - {_grouped(right)}"
        case ast.Mult():
            return f"{_grouped(left)} \\cdot {_grouped(right)}"
        case ast.Div():
            return f"\\frac{{{latex(left)}}}{{{latex(right)}}}"
        case ast.Pow():
            base = latex(left) if isinstance(left, ast.Name) or _is_plain(left) else f"({latex(left)})"
            return f"{base}^{{{latex(right)}}}"
    raise NotMathematics


def _is_plain(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float) and "e" not in repr(node.value)


def _grouped(node: ast.expr) -> str:
    text = latex(node)
    return f"({text})" if isinstance(node, ast.BinOp | ast.UnaryOp) else text


def _call(name: str, arguments: list[ast.expr]) -> str:
    if name == "Matrix" and len(arguments) == 1 and isinstance(arguments[0], ast.List):
        return _matrix(arguments[0].elts)
    if name == "FiniteSet" and arguments:
        return "\\{" + ", ".join(map(latex, arguments)) + "\\}"
    if name in ("Rational", "Fraction") and len(arguments) == 2:
        return f"\\frac{{{latex(arguments[0])}}}{{{latex(arguments[1])}}}"
    if name in ("binomial", "comb") and len(arguments) == 2:
        return f"\\binom{{{latex(arguments[0])}}}{{{latex(arguments[1])}}}"
    if name == "Union" and arguments:
        return " \\cup ".join(map(latex, arguments))
    if name == "Eq" and len(arguments) == 2:
        return f"{latex(arguments[0])} = {latex(arguments[1])}"
    if name == "Interval" and len(arguments) >= 2:
        opened = [isinstance(a, ast.Constant) and a.value is True for a in arguments[2:4]] + [False, False]
        return _interval(arguments[0], arguments[1], opened[0], opened[1])
    if name in _FUNCTIONS and len(arguments) == 1:
        return _FUNCTIONS[name] % latex(arguments[0])
    if len(name) == 1 and len(arguments) == 1:
        return f"{name}({latex(arguments[0])})"
    raise NotMathematics


def _interval(start: ast.expr, end: ast.expr, left_open: bool, right_open: bool) -> str:
    """sympy prints an infinite end as closed; written down it is open."""
    first, last = latex(start), latex(end)
    opening = "(" if left_open or first == "-\\infty" else "["
    closing = ")" if right_open or last == "\\infty" else "]"
    return f"{opening}{first}, {last}{closing}"


def _matrix(rows: list[ast.expr]) -> str:
    cells = [" & ".join(map(latex, r.elts)) if isinstance(r, ast.List | ast.Tuple) else latex(r) for r in rows]
    return "\\begin{pmatrix}" + " \\\\ ".join(cells) + "\\end{pmatrix}"


def parsed(text: str) -> list[Any]:
    """The formula that the whole of ``text`` is, parsed; empty where it is none. No part of it is ever picked out."""
    from math_verify import LatexExtractionConfig, parse

    config = LatexExtractionConfig(boxed_match_priority=0)
    text = _IMAGINARY.sub(" i", text)  # math-verify takes 3i for real and 3 i for complex, and they would differ
    return list(
        parse(
            f"\\boxed{{{text}}}",
            [config],
            fallback_mode="no_fallback",
            extraction_mode="first_match",
            parsing_timeout=None,
        )
    )


def compare(gold: str, prediction: str) -> tuple[bool, str]:
    """Whether the two formulas have the same value, and why."""
    from math_verify import verify

    golds = [g for form in latex_forms(gold) for g in parsed(form)]
    if not golds:
        return False, "the gold answer is no formula, and the texts differ"
    predictions = [p for form in latex_forms(prediction) for p in parsed(form)]
    if not predictions:
        return False, "not a formula"
    for g in golds:
        for p in predictions:
            if verify(g, p, timeout_seconds=None) and close(g, p):
                return True, "same value"
    return False, "another value"


def close(a: Any, b: Any) -> bool:
    """Whether two constants agree relatively, not only absolutely: verify holds 1/2004! and 1/2006! for equal."""
    from sympy import Expr, Float

    if not (isinstance(a, Expr) and isinstance(b, Expr)) or a.free_symbols or b.free_symbols:
        return True
    x, y = a.doit(), b.doit()
    if x == y or str(a).replace("*(1/100)", "") == str(b).replace("*(1/100)", ""):
        return True
    written_with_decimals = bool(x.atoms(Float) or y.atoms(Float))
    tolerance = 5e-6 if written_with_decimals else 1e-12
    size = max(abs(x.evalf(30)), abs(y.evalf(30)))
    return bool(abs((x - y).evalf(30)) <= tolerance * size)


def answer(line: str) -> dict[str, Any]:
    """The reply to one request line."""
    request = json.loads(line)
    # The parent kills us at its limit. This is for a parent that was itself killed: never left behind, spinning.
    signal.setitimer(signal.ITIMER_REAL, request["limit_s"] + 30)
    try:
        correct, reason = compare(request["gold"], request["prediction"])
    except (MemoryError, RecursionError, OverflowError) as e:
        correct, reason = False, f"too large to compare ({type(e).__name__})"
    except Exception as e:
        correct, reason = False, f"not a formula ({type(e).__name__})"
    signal.setitimer(signal.ITIMER_REAL, 0)
    return {"correct": correct, "reason": reason}


def main() -> None:
    """Serve until the input closes. Replies go to the first standard output; whatever libraries print goes nowhere."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    logging.disable(logging.CRITICAL)
    parsed("1")  # the first parse loads the grammar; only then are we ready
    with contextlib.suppress(ValueError, OSError):  # some systems cannot limit it; the time limit still holds
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    print("ready", file=replies, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(line)), file=replies, flush=True)


if __name__ == "__main__":
    main()
