"""The pictures of verifiers: their accuracy by family, and matrices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from agentdistill.report import _svg as svg
from agentdistill.verify.figures import Curve, axis, labels


def verifier_accuracy(c: Curve, width: float = 900, height: float = 300) -> Markup:
    """Every verifier's accuracy by family, where there are several."""
    judges = {name: v for name, v in c["verifiers"].items() if len(v["families"]) > 1}
    if not judges:
        return Markup("")
    families = sorted({f for v in judges.values() for f in v["families"]})
    frame = svg.Frame(44, width - 200, 14, height - 46, -0.3, len(families) - 0.7, 1.0)
    body = svg.share_axis(frame, 0.2, unit=" %")
    body += axis(
        frame,
        [(float(i), f) for i, f in enumerate(families)],
        "verdicts that are the truth, by family; all of them at the right",
    )
    in_order = all(any(c.isdigit() for c in f) for f in families)  # lengths or levels: a line says something
    rows = []
    for i, (name, v) in enumerate(judges.items()):
        shares = ((k, v["families"][f]["accuracy"]) for k, f in enumerate(families) if f in v["families"])
        dodge = 0.0 if in_order else (i - (len(judges) - 1) / 2) * 11
        at = [(frame.x(k) + dodge, frame.y(share)) for k, share in shares if share is not None]
        if at and in_order:
            dash = {"stroke_dasharray": "6 4"} if v["role"] == "cot" else {}
            path = " ".join(f"{x:.2f},{y:.2f}" for x, y in at)
            body.append(svg.element("polyline", points=path, class_=f"line stroke{i % 8}", **dash))
        body += [svg.marker(x, y, i, f"mark fill{i % 8}", 4.6) for x, y in at]
        rows.append((name, i % 8, v["accuracy"] or 0.0))
    return svg.figure(width, height, "Accuracy of every verifier, by family", [*body, *labels(frame, rows, 0)])


def matrix(title: str, m: Mapping[str, Any], width: float = 250, height: float = 176) -> Markup:
    """Right and wrong solutions, accepted and rejected: a row's shade is its share, p and q stand beside it."""
    body = [svg.text_label(title, 4, 14, "panel")]
    cells = (("right", "tp", "fn", "q", m["q_accept_right"]), ("wrong", "fp", "tn", "p", m["p_reject_wrong"]))
    for k, word in enumerate(("accepted", "rejected")):
        body.append(svg.text_label(word, 84 + 72 * k, 36, "tick", "middle"))
    for i, (word, yes, no, letter, share) in enumerate(cells):
        y, total = 42 + 58 * i, m[yes] + m[no]
        body.append(svg.text_label(word, 42, y + 31, "tick", "end"))
        for k, key in enumerate((yes, no)):
            part = m[key] / total if total else 0.0
            colour = "var(--right)" if (i == k) else "var(--wrong)"
            style = f"fill: color-mix(in srgb, {colour} {part * 45:.0f}%, var(--faint))"
            body.append(svg.element("rect", x=49 + 72 * k, y=y, width=70, height=56, rx=5, style=style))
            body.append(svg.text_label(f"{m[key]:,}", 84 + 72 * k, y + 27, "panel", "middle"))
            body.append(svg.text_label(f"{part:.0%}", 84 + 72 * k, y + 43, "share", "middle"))
        said = "–" if share is None else f"{letter} {share['estimate'] * 100:.1f}"
        body.append(svg.text_label(said, 202, y + 31, "tick"))
    return svg.figure(width, height, f"{title}: verdicts against the truth", body)
