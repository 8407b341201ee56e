"""The report as one HTML page: template, style, script, figures and episodes put together, and nothing fetched.

The page reads its episodes as JSON from a script element. ``<``, ``>`` and ``&`` are escaped there, so no text of a
model can end the element or become markup; the page's script only sets text, never HTML.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from agentdistill.problems.contamination import told
from agentdistill.report import figures
from agentdistill.report.run import (
    ERROR_KINDS,
    Part,
    StoredRun,
    error_kinds,
    method_label,
    outcome,
    read_run,
    tools_used,
)
from agentdistill.report.stats import percent, points
from agentdistill.report.summary import summarize_run
from agentdistill.store import digest, write_atomic, write_json
from agentdistill.types import Step, Trace

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


def _render(report: Mapping[str, Any], run: StoredRun, sections: Mapping[str, Markup] | None = None) -> str:
    packed = embed(run)
    script = _asset("browser.js")
    page = _environment().get_template("page.html")
    return page.render(
        report=report,
        style=_style(),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        data=Markup(script_json(packed)),
        n_shown=len(packed["traces"]),
        n_total=packed["total"],
        ladder_wide=figures.ladder(report),
        ladder_narrow=figures.ladder(report, 380, 380, legend=True),
        panels=figures.family_panels(report),
        losses=figures.loss_panels(report),
        students=_students(report),
        methods=_methods(report),
        error_kinds={k: _ERROR_WORDS[k] for k in ERROR_KINDS},
        funnels=[_funnel(f) for f in report["filters"]],
        stages=_stages(report),
        sections=sections or {},
    )


def standalone_page(title: str, body: Markup) -> str:
    """A page of ``body`` in the report's style that loads nothing and runs no script."""
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        "<style>{}</style></head><body><main>{}</main></body></html>\n"
    )
    return Markup(head).format(title, _style(), body)


def _style() -> Markup:
    return Markup(_asset("page.css") + _asset("figures.css"))


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
    ordered = sorted(methods, key=lambda m: (m not in students, figures.tone(m, methods), m))
    return [
        {"name": m, "label": method_label(m), "tone": figures.tone(m, methods), "trained": m in students}
        for m in ordered
    ]


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


MAX_TRACES = 3_000
MAX_CHARS = 24_000_000
MAX_FIELD = 20_000
"""Longest single text kept, in characters: one runaway observation should not weigh down the page."""


def embed(run: StoredRun, max_traces: int = MAX_TRACES, max_chars: int = MAX_CHARS) -> dict[str, Any]:
    """Sources, families and traces as the page's script reads them; a stratified sample where there are too many."""
    parts = [p for p in run.traced if p.traces]
    families = sorted({t.problem.family for p in parts for t in p.traces})
    total = sum(len(p.traces) for p in parts)
    while True:
        chosen = sample(parts, max_traces)
        packer = _Packer()
        rows = [
            packer.trace(t, i, families.index(t.problem.family), t.id in kept)
            for i, (part, traces) in enumerate(zip(parts, chosen, strict=True))
            for kept in [run.trained_ids(part.name) if part.stage == "collect" else frozenset()]
            for t in traces
        ]
        if packer.n_chars <= max_chars or len(rows) <= 50:
            break
        max_traces = max(50, int(len(rows) * max_chars / packer.n_chars * 0.95))
    return {
        "sources": [_source(p) for p in parts],
        "families": families,
        "total": total,
        "strings": packer.strings,
        "traces": rows,
    }


def _source(part: Part) -> dict[str, Any]:
    where = "collected" if part.stage == "collect" else "evaluated"
    model = part.traces[0].model if part.stage == "collect" else part.student
    label = f"{model} · {method_label(part.method)}" + ("" if part.round is None else f" · round {part.round}")
    return {"key": part.key, "label": label, "stage": where}


def sample(parts: Sequence[Part], max_traces: int) -> list[list[Trace]]:
    """At most about ``max_traces``, spread over part × family × outcome so that the rare cases stay visible.

    Every stratum keeps its share, and at least two; which ones is decided by a hash of the id, so it never changes.
    """
    total = sum(len(p.traces) for p in parts)
    if total <= max_traces:
        return [list(p.traces) for p in parts]
    out = []
    for part in parts:
        strata: dict[tuple[str, str], list[Trace]] = defaultdict(list)
        for t in part.traces:
            strata[t.problem.family, outcome(t)].append(t)
        keep: set[str] = set()
        for traces in strata.values():
            n = max(2, int(len(traces) * max_traces / total))
            keep.update(t.id for t in sorted(traces, key=lambda t: digest(t.id))[:n])
        out.append([t for t in part.traces if t.id in keep])
    return out


class _Packer:
    """Turns traces into short arrays; a text that appears often is stored once, in ``strings``."""

    def __init__(self) -> None:
        self.strings: list[str] = []
        self.n_chars = 0
        self._places: dict[str, int] = {}

    def trace(self, t: Trace, source: int, family: int, trained: bool) -> dict[str, Any]:
        row: dict[str, Any] = {
            "i": t.id,
            "s": source,
            "f": family,
            "o": outcome(t).value,
            "q": self.text(t.problem.question),
            "g": [self.text(a) for a in (t.problem.answer, *t.problem.aliases)],
            "a": None if t.answer is None else self.text(t.answer),
            "n": t.end.value,
            "e": list(error_kinds(t)),
            "t": list(tools_used(t)),
            "p": [[m.role, self.text(m.content)] for m in t.prompt],
            "st": [self.step(s) for s in t.steps],
            "u": [t.usage.n_requests, t.usage.n_prompt_tokens, t.usage.n_new_tokens, t.usage.n_truncated],
        }
        if t.score is not None:
            row["sc"] = [self.text(t.score.extracted), t.score.grader, self.text(t.score.reason)]
        if t.fault is not None:
            row["x"] = self.text(t.fault)
        if trained:
            row["k"] = 1
        return row

    def step(self, s: Step) -> dict[str, Any]:
        content = s.reply.content
        out: dict[str, Any] = {"c": self.text(content), "s": s.status.value}
        if s.reply.prefix and content.startswith(s.reply.prefix):
            out["px"] = _units(s.reply.prefix)
        if s.code and s.code in content:
            start = content.rindex(s.code)
            out["k"] = [_units(content[:start]), _units(content[: start + len(s.code)])]
        if s.reply.stop is not None:
            out["e"] = s.reply.stop.value
        if s.observation is not None:
            out["o"] = self.text(s.observation.content)
        if s.tool_calls:
            out["tc"] = [[c.name, self.text(c.arguments), self.text(c.result), int(c.ok)] for c in s.tool_calls]
        if s.candidates:
            out["cd"] = [[self.text(c.content), c.status.value, self.text(c.observation)] for c in s.candidates]
        return out

    def text(self, value: str) -> int:
        """The place of a text in ``strings``."""
        if len(value) > MAX_FIELD:
            value = f"{value[:MAX_FIELD]}\n… {len(value) - MAX_FIELD:,} more characters are in traces.jsonl"
        place = self._places.get(value)
        if place is None:
            place = self._places[value] = len(self.strings)
            self.strings.append(value)
            self.n_chars += len(value)
        return place


def _units(text: str) -> int:
    """Length as JavaScript counts it, in UTF-16 units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


_UNSAFE = re.compile("[<>&\u2028\u2029\ud800-\udfff]")


def script_json(value: Any) -> str:
    """JSON that can stand inside a script element: nothing in it can end the element or open another."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _UNSAFE.sub(lambda m: f"\\u{ord(m.group()):04x}", text)
