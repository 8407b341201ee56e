"""What a server says instead of an answer: one error, told in OpenAI's shape."""

from __future__ import annotations

from typing import Any

from agentdistill.errors import AgentDistillError

CLIENT_GONE = "client_gone"
"""The code of a request whose client went away, which nobody is told but the metrics."""


class Refused(AgentDistillError):
    """A request that gets no answer: its HTTP status, a code for programs and one line for people.

    ``param`` names the part of the request that is at fault; ``retry_after_s`` says when to ask again.
    """

    def __init__(
        self, status: int, code: str, message: str, *, param: str | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param, self.retry_after_s = status, code, param, retry_after_s

    @property
    def body(self) -> dict[str, Any]:
        """The error as OpenAI's API words it."""
        return {"error": {"message": str(self), "type": _TYPES[self.status], "param": self.param, "code": self.code}}

    @property
    def headers(self) -> dict[str, str]:
        """What goes with it: when to try again, how to authenticate."""
        out = {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}
        return {**out, "WWW-Authenticate": "Bearer"} if self.status == 401 else out


def client_gone() -> Refused:
    """Nobody waits for the answer any more."""
    return Refused(400, CLIENT_GONE, "the client closed the connection")


_BAD = "invalid_request_error"
_TYPES = {
    400: _BAD,
    401: "authentication_error",
    403: "permission_error",
    404: _BAD,
    405: _BAD,
    409: _BAD,
    413: _BAD,
    429: "rate_limit_error",
    500: "server_error",
    503: "server_error",
}
"""OpenAI's name for the kind of error that a status is."""
