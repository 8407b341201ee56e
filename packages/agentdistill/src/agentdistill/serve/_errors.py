"""What a client gets for a request without an answer, whoever is at fault: always one error in OpenAI's shape.

The framework has a form of its own for what it refuses; it is neither sent nor told of in the OpenAPI description.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Route

from agentdistill.serve import _page
from agentdistill.serve._schema import NOT_JSON, refused_by
from agentdistill.serve.refused import Refused

ERRORS = {
    400: "The request makes no sense, or asks for what is not there",
    401: "The server's key is needed",
    403: "The server is not called so",
    404: "There is no such model",
    409: "The conversation is being answered",
    413: "The request is too large",
    429: "Too many requests wait; `Retry-After` says when to try again",
    500: "A mistake of the server's",
    503: "The surroundings failed, or the server is shutting down",
}
"""The statuses that a request without an answer may get, as the OpenAPI description tells them."""


_SHOWN_CHARS = 80


def handle_errors(app: FastAPI) -> None:
    """Have the application answer every exception that reaches it with an error in OpenAI's shape."""
    app.exception_handler(Refused)(_refused)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(HTTPException)(_http_error)
    app.exception_handler(Exception)(_our_mistake)


async def _refused(request: Request, e: Exception) -> JSONResponse:
    assert isinstance(e, Refused)
    return _told(request, e)


async def _invalid(request: Request, e: Exception) -> JSONResponse:
    assert isinstance(e, RequestValidationError)
    if isinstance(e.body, bytes):  # the framework parses only what is said to be JSON
        return await _refused(request, Refused(400, "invalid_json", "send JSON, as Content-Type: application/json"))
    return await _refused(request, refused_by(list(e.errors())))


async def _http_error(request: Request, e: Exception) -> JSONResponse:
    """The framework's own errors: no such path, no such method, a body that cannot be decoded."""
    assert isinstance(e, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(e.status_code)
    if code is None:
        return _told(request, Refused(400, "invalid_json", NOT_JSON), e.headers)
    asked = f"{request.method} {request.url.path[:_SHOWN_CHARS]}"
    there_is = ", ".join(_calls(request.app))
    return _told(request, Refused(e.status_code, code, f"there is no {asked} here; there are: {there_is}"), e.headers)


def _calls(app: FastAPI) -> list[str]:
    """What a client can call, as ``GET /v1/models``; of what answers HEAD as well, GET alone."""
    routes = (r for r in app.routes if isinstance(r, Route) and r.path not in _page.ASSETS)
    found = (f"{min(r.methods)} {r.path.replace(':path', '')}" for r in routes if r.methods and r.methods != {"HEAD"})
    return list(dict.fromkeys(found))


async def _our_mistake(request: Request, e: Exception) -> JSONResponse:
    """A programmer's mistake: the log has its traceback, the client has not."""
    return await _refused(request, Refused(500, "internal_error", "the server made a mistake; its log says more"))


def _told(request: Request, e: Refused, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The error, which the server is told of too."""
    request.app.state.server.refused(request.scope, e)
    return JSONResponse(e.body, e.status, {**e.headers, **(headers or {})})


def openapi_of(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI description, without the framework's own form of errors, which is never sent."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        for path in schema["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
        for unused in ("HTTPValidationError", "ValidationError"):
            schema["components"]["schemas"].pop(unused, None)
        app.openapi_schema = schema
    return app.openapi_schema
