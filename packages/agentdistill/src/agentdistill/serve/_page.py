"""The chat page: files of this package in the report's style, nothing from anywhere else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path

from fastapi import Response

from agentdistill.report import page_style

_FOLDER = Path(__file__).parent / "assets"
_POLICY = (
    "default-src 'none'; connect-src 'self'; img-src data:; style-src 'self'; script-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)


@cache
def _text(name: str) -> str:
    text = (_FOLDER / name).read_text(encoding="utf-8")
    return page_style() + text if name.endswith(".css") else text


def _serves(name: str, kind: str) -> Callable[[], Awaitable[Response]]:
    async def asset() -> Response:
        headers = {
            "Content-Security-Policy": _POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-cache",
        }
        return Response(_text(name), media_type=kind, headers=headers)

    return asset


_KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
ASSETS = {
    "/" if path.suffix == ".html" else f"/{path.name}": _serves(path.name, _KINDS[path.suffix])
    for path in sorted(_FOLDER.iterdir())
    if path.suffix in _KINDS
}
"""What is served where."""
