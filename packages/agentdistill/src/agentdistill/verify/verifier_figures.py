"""The pictures of verifiers: their accuracy by family, matrices, the lemma by candidates and by q."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from agentdistill.report import _svg as svg
from agentdistill.verify.figures import Curve, axis, labels


def verifier_accuracy(c: Curve, width: float = 900, height: float = 300) -> Markup:
    """Every verifier's accuracy by family, where there are several: what the toy task is about."""
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


def lemma(c: Curve, width: float = 250, height: float = 190) -> list[Markup]:
    """For each verifier the formula at its measured p and q (line), the simulation (dots), and what was measured
    (squares): the chance that one of the accepted, taken at random, is right. Dashed: all are rejected."""
    out = []
    for name, v in c["verifiers"].items():
        rows = [t for t in c["theory"] if t["verifier"] == name]
        if len(rows) < 2:
            continue
        xs = [math.log2(t["n"]) for t in rows]
        frame = svg.Frame(34, width - 12, 30, height - 42, xs[0] - 0.15, xs[-1] + 0.15, 1.0)
        p, q = v["p_reject_wrong"]["estimate"], v["q_accept_right"]["estimate"]
        body = [svg.text_label(f"{name}: p {p * 100:.1f}, q {q * 100:.1f}", 4, 15, "panel")]
        body += svg.share_axis(frame, 0.25)
        body += axis(frame, [(x, str(t["n"])) for x, t in zip(xs, rows, strict=True)], "candidates a problem", 34)
        for key, class_ in (("formula", "line main stroke0"), ("all_rejected", "teacher stroke7")):
            path = " ".join(f"{frame.x(x):.2f},{frame.y(t[key]):.2f}" for x, t in zip(xs, rows, strict=True))
            body.append(svg.element("polyline", points=path, class_=class_, fill="none"))
        for x, t in zip(xs, rows, strict=True):
            body.append(svg.marker(frame.x(x), frame.y(t["simulated"]), 0, "mark fill0", 3.6))
            if t.get("measured") is not None:
                body.append(svg.marker(frame.x(x), frame.y(t["measured"]), 1, "mark fill1", 3.6))
        out.append(svg.figure(width, height, f"The lemma at the p and q of {name}", body))
    return out


def lower_q(c: Curve, width: float = 250, height: float = 190) -> list[Markup]:
    """For each verifier what another q would give at its p, with two numbers of candidates: the formula (line) and
    these candidates (squares). The q that was measured is ringed, and marked from below."""
    out = []
    for name, v in c["verifiers"].items():
        rows = [t for t in c["theory_by_q"] if t["verifier"] == name]
        if not rows:
            continue
        frame = svg.Frame(34, width - 46, 30, height - 42, 0.0, 1.0, 1.0)
        p, q = v["p_reject_wrong"]["estimate"], v["q_accept_right"]["estimate"]
        body = [svg.text_label(f"{name}: p {p * 100:.1f}", 4, 15, "panel"), *svg.share_axis(frame, 0.25)]
        body += axis(frame, [(k / 4, f"{25 * k}") for k in range(5)], "q, per cent of the right accepted", 34)
        at = frame.x(q)
        body.append(svg.element("line", x1=at, x2=at, y1=frame.upper, y2=frame.lower, class_="carried stroke7"))
        ns = list(dict.fromkeys(t["n"] for t in rows))
        tones = dict(zip(reversed(ns), (0, 1), strict=False))
        for n, tone in tones.items():
            body += _over_q(frame, [t for t in rows if t["n"] == n], tone)
        ends = [max((t for t in rows if t["n"] == n), key=lambda t: t["q"])["formula"] for n in tones]
        heights = svg.spread([frame.y(e) for e in ends], 13, frame.upper, frame.lower)
        for (n, tone), y in zip(tones.items(), heights, strict=True):
            body.append(svg.text_label(f"n = {n}", frame.right + 5, y + 4, f"tick ink{tone}"))
        out.append(svg.figure(width, height, f"What another q would give at the p of {name}", body))
    return out


def _over_q(frame: svg.Frame, rows: Sequence[Mapping[str, Any]], tone: int) -> list[Markup]:
    path = " ".join(f"{frame.x(t['q']):.2f},{frame.y(t['formula']):.2f}" for t in rows)
    out = [svg.element("polyline", points=path, class_=f"line minor stroke{tone}", fill="none")]
    for t in (t for t in rows if t["measured"] is not None):
        x, y = frame.x(t["q"]), frame.y(t["measured"])
        told = svg.element("title", f"n = {t['n']}, q {t['q']:.1%}: {t['measured']:.1%}, formula {t['formula']:.1%}")
        mark = [told, svg.marker(x, y, 1, f"mark fill{tone}", 3.2)]
        if t["is_measured"]:
            mark.append(svg.element("circle", cx=x, cy=y, r=7, class_=f"line stroke{tone}"))
        out.append(svg.element("g", svg.join(mark)))
    return out
