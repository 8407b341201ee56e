"""Sandboxes of every mode this machine offers, one per test session."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator

import pytest

from agentdistill.sandbox import Limits, Sandbox, SandboxUnavailable

MODES = ("strict", "container", "process")
FULL = os.environ.get("AGENTDISTILL_SANDBOX_FULL") == "1"


@functools.cache
def why_not(mode: str) -> str:
    """Empty if the mode works here."""
    try:
        with Sandbox(mode, modules=()):
            return ""
    except SandboxUnavailable as problem:
        return str(problem)


def need(mode: str) -> None:
    """Skip the test where the mode is not to be had."""
    if why_not(mode):
        pytest.skip(why_not(mode))


def add(a: int, b: int) -> int:
    return a + b


@pytest.fixture(scope="session", params=MODES)
def box(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    need(request.param)
    limits = Limits(wall_s=10.0, memory_mb=256, scratch_mb=8, output_chars=2000, tool_s=0.5, n_tool_calls=5)
    with Sandbox(request.param, limits=limits, tools={"add": add}) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def best() -> Iterator[Sandbox]:
    """The strongest mode there is."""
    mode: Callable[[], str] = lambda: next(mode for mode in MODES if not why_not(mode))  # noqa: E731
    with Sandbox(mode(), limits=Limits(wall_s=10.0)) as sandbox:
        yield sandbox
