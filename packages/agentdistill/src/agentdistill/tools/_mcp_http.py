"""The HTTP below MCP: what a server, or whatever stands before it, refuses is told apart from what a tool says."""

from __future__ import annotations

from typing import Any

import httpx2
from mcp_types import CONNECTION_CLOSED, INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR, REQUEST_TIMEOUT

REFUSED, SESSION_LOST = -32018, -32019
"""Codes of our own, as JSON-RPC errors: the request did not reach a tool; the server no longer knows our session."""

OUTAGES = frozenset(
    {REFUSED, SESSION_LOST, CONNECTION_CLOSED, REQUEST_TIMEOUT, INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR}
)
"""Codes that no tool answers with. An internal error is none of them: plain servers report what a tool raises so."""

_STATUSES = frozenset({401, 402, 403, 407, 408, 425, 429})  # and whatever is 500 or more


class HttpClient(httpx2.AsyncClient):
    """A client whose answers of these statuses are JSON-RPC errors with the codes above, whatever their body was."""

    async def send(self, request: httpx2.Request, **how: Any) -> httpx2.Response:
        """As the base class's."""
        response = await super().send(request, **how)
        code = _code(response)
        if code is None:
            return response
        await response.aclose()
        error = {"code": code, "message": f"HTTP {response.status_code} {response.reason_phrase}".rstrip()}
        body = {"jsonrpc": "2.0", "id": None, "error": error}
        return httpx2.Response(response.status_code, json=body, request=request)


def _code(response: httpx2.Response) -> int | None:
    if response.status_code == 404 and "mcp-session-id" in response.request.headers:
        return SESSION_LOST
    return REFUSED if response.status_code in _STATUSES or response.status_code >= 500 else None
