"""The chat page: three files of this package in the report's style, nothing from anywhere else."""

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


ASSETS = {
    "/": _serves("chat.html", "text/html"),
    "/chat.css": _serves("chat.css", "text/css"),
    "/chat.js": _serves("chat.js", "text/javascript"),
}
"""What is served where."""
