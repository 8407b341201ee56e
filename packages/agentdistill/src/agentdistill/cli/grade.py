"""``grade``: grade stored predictions. No model is needed."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from agentdistill.errors import DataError


def add(parser: argparse.ArgumentParser, verb: str) -> None:
    """Declare the arguments."""
    parser.add_argument("file", type=Path, help='JSONL with "prediction" and "answer" (and "aliases") in every row')
    parser.add_argument("--kind", choices=("math", "short"), required=True, help="how answers are compared")


def main(args: argparse.Namespace) -> int:
    """Print every verdict and the totals as JSON."""
    from agentdistill.grade import grade
    from agentdistill.problems._value import as_text
    from agentdistill.store import read_jsonl, to_dict

    rows = []
    for n, row in read_jsonl(args.file):
        if "prediction" not in row or "answer" not in row:
            missing = "prediction" if "prediction" not in row else "answer"
            raise DataError(f'{args.file}:{n}: no "{missing}"')
        prediction = None if row["prediction"] is None else as_text(row["prediction"])
        score = grade(args.kind, prediction, as_text(row["answer"]), row.get("aliases") or ())
        rows.append({"line": n, **to_dict(score), "correct": score.correct})
    n_correct = sum(r["correct"] for r in rows)
    accuracy = n_correct / len(rows) if rows else None
    totals = {"kind": args.kind, "n": len(rows), "n_correct": n_correct, "accuracy": accuracy}
    print(json.dumps({**totals, "rows": rows}, ensure_ascii=False, indent=2))
    return 0
