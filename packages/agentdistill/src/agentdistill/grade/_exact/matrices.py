"""Matrices out of what is written: a number times a matrix, a list of rows, a vector."""

from __future__ import annotations

from fractions import Fraction

from agentdistill.grade._exact.tree import Call, Matrix, Node, Num, Seq


def as_matrix(node: Node) -> Matrix | None:
    """A matrix, or a number times a matrix, or its negative; None for anything else."""
    if isinstance(node, Matrix):
        return node
    if not isinstance(node, Call) or node.name not in ("*", "/", "neg"):
        return None
    inner = [as_matrix(a) for a in node.args]
    if node.name == "neg" and inner[0] is not None:
        return _scaled(inner[0], Num(Fraction(-1)))
    if node.name == "*" and (inner[0] is None) != (inner[1] is None):
        matrix, factor = (inner[0], node.args[1]) if inner[0] is not None else (inner[1], node.args[0])
        return _scaled(matrix, factor) if matrix is not None else None
    return None


def _scaled(matrix: Matrix, factor: Node) -> Matrix:
    return Matrix(tuple(tuple(Call("*", (factor, n)) for n in row) for row in matrix.rows))


def rows_of(seq: Seq, like: Matrix) -> Matrix | None:
    """A sequence of rows, or a vector that stands or lies as the other one does."""
    if all(isinstance(i, Seq) for i in seq.items):
        rows = tuple(i.items for i in seq.items if isinstance(i, Seq))
        return Matrix(rows) if rows and len({len(r) for r in rows}) == 1 and rows[0] else None
    if len(like.rows) == 1:
        return Matrix((seq.items,))
    return Matrix(tuple((i,) for i in seq.items)) if seq.items else None
