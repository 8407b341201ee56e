"""The episodes that travel inside report.html, packed small and made harmless.

The page reads them as JSON from a script element. ``<``, ``>`` and ``&`` are escaped there, so no text of a model can
end the element or become markup, whatever it says; the page itself only ever sets text, never HTML.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from agentdistill.report._svg import method_label
from agentdistill.report.outcome import error_kinds, outcome, tools_used
from agentdistill.report.run import Part, Run
from agentdistill.store import digest
from agentdistill.types import Step, Trace

MAX_TRACES = 3_000
MAX_CHARS = 24_000_000
MAX_FIELD = 20_000
"""Longest single text kept, in characters: one runaway observation should not weigh down the page."""


def embed(run: Run, max_traces: int = MAX_TRACES, max_chars: int = MAX_CHARS) -> dict[str, Any]:
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
