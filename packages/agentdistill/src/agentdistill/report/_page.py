"""The report as one HTML page: template, style, script, figures and episodes put together, and nothing fetched."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from agentdistill.problems.contamination import told
from agentdistill.report import _figures
from agentdistill.report._embed import embed, script_json
from agentdistill.report._summary import summarize_run
from agentdistill.report._svg import method_label, tone
from agentdistill.report.outcome import ERROR_KINDS
from agentdistill.report.run import Run, read_run
from agentdistill.stats.shown import percent, points
from agentdistill.store import write_atomic, write_json

_ASSETS = Path(__file__).parent / "assets"
_ERROR_WORDS = {
    "parse": "no or broken code",
    "execution": "code failed",
    "out_of_steps": "out of steps",
    "no_answer": "no answer",
    "out_of_context": "out of context",
}


def render(report: Mapping[str, Any], run_dir: Path | str) -> str:
    """``report`` (from :func:`summarize`) as one self-contained HTML page, with the run's episodes to browse.

    The page loads nothing: style, script, figures and data are inside, and its content security policy forbids any
    request and any script but its own. Text from traces is only ever text. Raises as :func:`summarize` does.
    """
    return _render(report, read_run(run_dir))


def _render(report: Mapping[str, Any], run: Run, sections: Mapping[str, Markup] | None = None) -> str:
    packed = embed(run)
    script = _asset("browser.js")
    page = _environment().get_template("page.html")
    return page.render(
        report=report,
        style=Markup("").join(Markup(_asset(name)) for name in ("page.css", "figures.css")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        data=Markup(script_json(packed)),
        n_shown=len(packed["traces"]),
        n_total=packed["total"],
        ladder_wide=_figures.ladder(report),
        ladder_narrow=_figures.ladder(report, 380, 380, legend=True),
        panels=_figures.family_panels(report),
        losses=_figures.loss_panels(report),
        students=_students(report),
        methods=_methods(report),
        error_kinds={k: _ERROR_WORDS[k] for k in ERROR_KINDS},
        funnels=[_funnel(f) for f in report["filters"]],
        stages=_stages(report),
        sections=sections or {},
    )


def page_style() -> str:
    """The style of the page (CSS), for other pages that should look like it."""
    return _asset("page.css")


def write_report(run_dir: Path | str, sections: Mapping[str, Markup] | None = None) -> Path:
    """Write ``report.json`` and ``report.html`` into the run folder; returns the path of the page.

    ``sections`` are further parts of the page, by title: markup of our own making in the page's style.
    """
    run = read_run(run_dir)
    report = summarize_run(run)
    write_json(run.path / "report.json", report)
    page = run.path / "report.html"
    write_atomic(page, _render(report, run, sections))
    return page


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")


def _environment() -> Environment:
    """Templates with escaping on, so that every value is text unless it is marked as our own markup."""
    environment = Environment(
        loader=FileSystemLoader(_ASSETS),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        axis=_axis,
        limits=_limits,
        ratio=_ratio,
        percent=percent,
        points=points,
        count=_count,
        method=method_label,
        pretty=_pretty,
        decimal=_decimal,
        told=told,
    )
    return environment


def _count(n: float | None) -> str:
    return "–" if n is None else f"{n:,.0f}"


def _decimal(value: float | None, places: int = 1) -> str:
    return "–" if value is None else f"{value:,.{places}f}".replace("-", "−")


def _ratio(value: float | None) -> str:
    return "–" if value is None else f"× {value:.2f}" if value < 10 else f"× {value:,.0f}"


def _limits(interval: Mapping[str, float | None]) -> str:
    low, high = interval["low"], interval["high"]
    return f"{low:.2f} or more" if high is None else f"{low:.2f} to {high:.2f}"


def _axis(paired: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """The reach of a picture of differences: zero and every limit, with some room."""
    limits = [0.0, *(p["difference"][end] for p in paired for end in ("low", "high"))]
    room = max(max(limits) - min(limits), 0.02) * 0.05
    return {"low": min(limits) - room, "high": max(limits) + room}


def _pretty(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _students(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The headline table: one row a model, its evaluations by method, the teacher last."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for e in report["evaluations"]:
        row = rows.setdefault(
            (e["role"], e["student"]),
            {"name": e["student"], "role": e["role"], "n_parameters": e["n_parameters"], "by_method": {}},
        )
        row["by_method"][e["method"]] = e["average"]
    return list(rows.values())


def _methods(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    methods = list(dict.fromkeys(e["method"] for e in report["evaluations"]))
    students = list(dict.fromkeys(e["method"] for e in report["evaluations"] if e["role"] != "teacher"))
    ordered = sorted(methods, key=lambda m: (m not in students, tone(m, methods), m))
    return [{"name": m, "label": method_label(m), "tone": tone(m, methods), "trained": m in students} for m in ordered]


_REJECTED = {"right_answer": "wrong answer", "no_parse_error": "parse error", "within_steps": "out of steps"}
"""What failing a filter means, in words; a filter is named for what it wants."""


def _reason(name: str, filters: Iterable[str]) -> str:
    if name in filters:
        return _REJECTED.get(name, f"failed {name.replace('_', ' ')}")
    return name.replace("_", " ")


def _funnel(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Filter counts as bars: kept first, then the reasons by size, each as a share of what came in."""
    counts = {k: n for k, n in facts["counts"].items() if isinstance(n, int) and not isinstance(n, bool)}
    total = counts.pop("total", None) or counts.pop("collected", None) or sum(counts.values())
    ordered = sorted(counts.items(), key=lambda kv: (kv[0] != "kept", -kv[1], kv[0]))
    bars = [
        {"reason": _reason(k, facts["filters"]), "n": n, "share": n / total if total else 0.0, "kept": k == "kept"}
        for k, n in ordered
    ]
    return {"name": facts["name"], "total": total, "bars": bars}


def _stages(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Costs added up by stage; None where no part of the stage has the figure."""
    out: dict[str, dict[str, Any]] = {}
    for cost in report["costs"]:
        row = out.setdefault(cost["stage"], {"stage": cost["stage"], "parts": 0})
        row["parts"] += 1
        seconds = report["timing"].get(cost["part"], {}).get("seconds")
        for key, value in {**cost, "seconds": seconds}.items():
            if isinstance(value, (int, float)):
                row[key] = row.get(key, 0) + value
    return list(out.values())
