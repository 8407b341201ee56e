"""What came of a question: words for the user, or the error that stands in for them, in OpenAI's shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from agentdistill.errors import AgentDistillError
from agentdistill.models import cut_at_stop
from agentdistill.types import End, Trace
from agentdistill.verify.judging import VerifiedAnswer

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


FAULT = "fault"
_SOON_S = 5
"""When to ask again after a fault that says nothing of how long it lasts."""


def trace_of(found: Trace | VerifiedAnswer) -> Trace:
    """The episode that answers: the only one, or the one that was chosen."""
    return found if isinstance(found, Trace) else found.trace


def answer_text(trace: Trace, stop: Sequence[str] = ()) -> str:
    """What is said to the user: the answer up to the first of the ``stop`` strings, or why there is none."""
    if trace.answer is None:
        return _NO_ANSWER[trace.end]
    cut = cut_at_stop(trace.answer, stop)
    return trace.answer if cut is None else cut


_NO_ANSWER = {
    End.OUT_OF_STEPS: "I found no answer: the steps I may take are used up.",
    End.OUT_OF_CONTEXT: "I found no answer: the conversation no longer fits into what I can read.",
    End.NO_ANSWER: "I found no answer.",
}


def raise_without_answer(trace: Trace, retry_after_s: float | None = None) -> None:
    """Raise Refused for an episode that says why nothing can be answered, and after how long a fault may have passed,
    where that is known."""
    if trace.refused:
        raise Refused(400, "model_refused", trace.fault or "", param="messages")
    if trace.end is End.FAULT:
        raise fault(trace.fault or "", retry_after_s)
    if trace.end is End.OUT_OF_CONTEXT and not trace.steps:
        raise too_long()


def fault(why: str, retry_after_s: float | None = None) -> Refused:
    """The world failed, not the client, nor the model. A server that failed may have said when to come back."""
    wait_s = _SOON_S if retry_after_s is None else max(1, math.ceil(retry_after_s))
    return Refused(503, FAULT, f"the agent's surroundings failed: {why}", retry_after_s=wait_s)


def too_long() -> Refused:
    """The messages do not fit."""
    return Refused(400, "context_length_exceeded", "the messages are longer than the model can read", param="messages")
