"""Fill the tables of docs/real.md from the reports beside it.

    agentdistill report runs/smollm2-math/seed-* --json > docs/real/math.json
    python experiments/real_page.py

In the page, a table stands between ``<!-- DRAWING REPORT ... -->`` and ``<!-- end -->``: DRAWING is a function of this
file, REPORT a file of docs/real without its ending. Nothing outside these marks is touched.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from agentdistill.recipe.methods import NAMES
from agentdistill.report.run import method_label
from agentdistill.report.stats import percent, points
from agentdistill.report.tables import grid

PAGE = Path("docs/real.md")
MARKS = re.compile(r"(<!-- (?P<drawing>\w+) (?P<names>[\w -]+?) -->\n).*?(<!-- end -->)", re.DOTALL)
FAMILIES = ("svamp", "gsm8k", "gsm_hard", "math500", "gym", "hotpotqa-dev", "hotpotqa-train100")

FEW = 6
"""More families than that are rows of a table rather than columns, and are compared by their mean."""
Report = Mapping[str, Any]


def accuracy(report: Report) -> list[str]:
    """Per cent right by family, with intervals."""
    names = _families(report)
    rows = [[method_label(e["method"]), *(_share(e, f) for f in names)] for e in _evaluations(report)]
    ns = [max(e["families"][f]["accuracy"]["n"] for e in _evaluations(report) if f in e["families"]) for f in names]
    heads = [f"{f} (n {n:,})" for f, n in zip(names, ns, strict=True)]
    if len(names) > FEW:
        return grid(
            ["questions", *(r[0] for r in rows)], [list(r) for r in zip(heads, *(r[1:] for r in rows), strict=True)]
        )
    return grid(["method", *heads], rows)


def differences(report: Report) -> list[str]:
    """Agents against chains of thought at the same size, paired by problem, by family; of many families the mean."""
    rows = []
    for c in report["comparisons"]:
        if c["relation"] != "same_size":
            continue
        pair = f"{method_label(c['method'])} against {method_label(c['baseline_method'])}"
        families = {n: c["families"][n] for n in _families(report) if n in c["families"]}
        if len(families) > FEW:
            families = {f"all, n {c['difference']['n']:,}": c}
        for f, d in families.items():
            gap, ratio = d["difference"], d["ratio"]
            said = f"{points(gap['estimate'])} ({points(gap['low'])} to {points(gap['high'])})"
            rows.append([pair, f, said, "–" if ratio is None else f"{ratio:.2f}"])
    return grid(["methods", "questions", "points", "ratio"], rows)


def failures(report: Report) -> list[str]:
    """How episodes go wrong: shares of all episodes of a method and family."""
    rows = []
    for e in _evaluations(report):
        for f in [n for n in _families(report) if n in e["families"]]:
            c = e["families"][f]
            n = c["right"] + c["wrong"] + c["unscored"] + c["faults"]
            told = [percent(c["errors"][k] / n) for k in ("parse", "execution", "out_of_steps")]
            cut = percent(c["truncations"] / n)
            rows.append([method_label(e["method"]), f, cut, *told, f"{c['new_tokens_per_answer']:,.0f}"])
    heads = ["method", "questions", "cut off, %", "no or broken code, %", "code failed, %", "no answer, %", "tokens"]
    return grid(heads, rows)


def searched(report: Report) -> list[str]:
    """Searches a question and what they found."""
    rows = []
    for e in _evaluations(report):
        found = e["search"] or {}
        if found.get("recall"):
            own = "the question" if found["searches"] is None else f"{found['searches']['estimate']:.2f}"
            rows.append([method_label(e["method"]), own, _interval(found["recall"])])
    return grid(["method", "searches a question", "recall of supporting passages, %"], rows)


def curve(*reports: Report) -> list[str]:
    """The agent-distilled student of one report a row, by what it was trained on."""
    rows, names = [], _families(reports[0])
    for report in reports:
        e = next(e for e in _evaluations(report) if e["method"] == "agent-distill")
        epochs = report["recipe"]["train"]["epochs"]
        n = e["trained_on"] if isinstance(e["trained_on"], int) else _trained_on(report)
        broken = e["families"]["gsm8k"]
        total = broken["right"] + broken["wrong"] + broken["unscored"] + broken["faults"]
        shares = [_share(e, f) for f in names]
        rows.append([f"{n:,}", f"{epochs:g}", *shares, percent(broken["truncations"] / total)])
    return grid(["training questions", "epochs", *names, "gsm8k cut off, %"], rows)


def bench(result: Report) -> list[str]:
    """What ``python -m benchmarks training --base … --json`` printed."""
    rows = []
    for name, way in result["ways"].items():
        beside = result["ratios"].get(name)
        more = ["", "", ""]
        if beside is not None:
            more = [f"{beside['speed']:.2f}", f"{beside['memory']:.2f}", f"{beside['difference']:+.1%}"]
        rows.append(
            [name, f"{way['tokens_per_cpu_s']:,.0f}", f"{way['peak_mb']:,.0f}", f"{way['last_loss']:.3f}", *more]
        )
    heads = ["way", "tokens/CPU s", "peak MB", "loss", "ours beside it: speed", "memory", "loss"]
    return grid(heads, rows)


def evaluated(result: Report) -> list[str]:
    """What ``python -m benchmarks evaluation --json`` printed."""
    rows = []
    for dtype in [d for d in ("float32", "bfloat16") if d in result]:
        r = result[dtype]
        speeds = [f"{r[way]['problems_per_cpu_s']:.2f}" for way in ("batched", "plain")]
        same = [f"{r[k]} of {r['compared']}" for k in ("same_texts", "same_answers")]
        rows.append([dtype, *speeds, f"{r['ratio']:.2f}", *same])
    return grid(["dtype", "batched, problems/CPU s", "plain", "ratio", "same texts", "same answers"], rows)


DRAWINGS: dict[str, Callable[..., list[str]]] = {
    f.__name__: f for f in (accuracy, differences, failures, searched, curve, bench, evaluated)
}


def main(argv: Sequence[str]) -> int:
    """Rewrite the page; ``--check`` only says whether it is what the reports give."""
    text = PAGE.read_text(encoding="utf-8")
    drawn = MARKS.sub(_filled, text)
    if "--check" in argv:
        return int(drawn != text)
    PAGE.write_text(drawn, encoding="utf-8")
    return 0


def _filled(match: re.Match[str]) -> str:
    files = [PAGE.with_suffix("") / f"{n}.json" for n in match["names"].split()]
    if not all(f.is_file() for f in files):
        return match[0]  # what has not been run yet
    reports = [json.loads(f.read_text("utf-8")) for f in files]
    return "".join([match[1], "\n", *(f"{line}\n" for line in DRAWINGS[match["drawing"]](*reports)), "\n", match[4]])


def _evaluations(report: Report) -> list[Any]:
    students = [e for e in report["evaluations"] if e["role"] != "teacher"]
    return sorted(students, key=lambda e: NAMES.index(e["method"]))


def _families(report: Report) -> list[str]:
    return sorted(report["families"], key=lambda f: FAMILIES.index(f) if f in FAMILIES else len(FAMILIES))


def _trained_on(report: Report) -> int:
    return int(report["recipe"]["filter"]["questions"])


def _share(evaluation: Mapping[str, Any], family: str) -> str:
    found = evaluation["families"].get(family)
    return _interval(found["accuracy"]) if found and found["accuracy"] else "–"


def _interval(a: Mapping[str, Any]) -> str:
    return f"{percent(a['estimate'])} ({percent(a['low'])} to {percent(a['high'])})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
