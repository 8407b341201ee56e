"""When a request to a server is tried again, how long to wait before, and what to say when it is given up."""

from __future__ import annotations

import asyncio
import email.utils
import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from agentdistill.errors import InfrastructureError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Policy:
    """``tries`` of one request at most, within ``patience_s`` of its first. Waits double from ``first_wait_s``.

    A server that says when to come back (Retry-After) is waited for, and that does not use up a try; only, it is not
    asked again sooner than after the first wait, whatever it says.
    """

    tries: int = 4
    patience_s: float = 600.0
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0


class Passing(Exception):
    """A failure that may pass. ``what`` completes "endpoint http://… "; ``wait_s`` is the server's own wish."""

    def __init__(self, what: str, wait_s: float | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.wait_s = wait_s


async def retrying(policy: Policy, label: str, attempt: Callable[[], Awaitable[T]]) -> T:
    """The result of ``attempt``, called again as long as it raises Passing and the policy allows.

    Raises InfrastructureError saying what failed last and how often it was tried.
    """
    started = time.monotonic()
    n_calls = n_counted = 0
    while True:
        n_calls += 1
        try:
            return await attempt()
        except Passing as fault:
            n_counted += fault.wait_s is None
            wait_s = max(fault.wait_s or 0.0, _backoff(policy, max(1, n_counted)))
            too_late = time.monotonic() + wait_s - started > policy.patience_s
            if (n_counted >= policy.tries and fault.wait_s is None) or too_late:
                tries = "1 try" if n_calls == 1 else f"{n_calls} tries"
                asked = f"; it asks to wait {fault.wait_s:.0f} s" if too_late and fault.wait_s else ""
                message = f"{label} {fault.what} ({tries}{asked})"
                raise InfrastructureError(message, retry_after_s=fault.wait_s) from fault
        await asyncio.sleep(wait_s)


def _backoff(policy: Policy, n_failed: int) -> float:
    """Exponential, with up to half of it taken off by chance, so that many clients do not come back together."""
    full: float = min(policy.longest_wait_s, policy.first_wait_s * 2.0 ** min(n_failed - 1, 60))
    return full * (1 - 0.5 * random.random())


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds a reply's Retry-After (or retry-after-ms) asks to wait; None where it asks nothing sensible."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "")
        try:
            wait = float(value) * unit
        except ValueError:
            continue
        if math.isfinite(wait) and wait >= 0:
            return wait
    date = email.utils.parsedate_tz(headers.get("retry-after", ""))
    return max(0.0, email.utils.mktime_tz(date) - time.time()) if date else None
