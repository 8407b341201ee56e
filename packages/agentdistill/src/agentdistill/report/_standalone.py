"""The ladder as a picture of its own, for a README or a slide."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentdistill.report._figures import ladder

_ASSETS = Path(__file__).parent / "assets"


def ladder_svg(report: Mapping[str, Any]) -> str:
    """Accuracy against model size as a standalone SVG with its own colours, on white or on a dark page.

    Empty text where the report holds no scored student.
    """
    return str(ladder(report, style=standalone_style()))


def standalone_style() -> str:
    """The ``<style>`` of a picture that stands in no page."""
    rules = "".join((_ASSETS / name).read_text(encoding="utf-8") for name in ("ladder.css", "figures.css"))
    return f"<style>{rules}</style>"
