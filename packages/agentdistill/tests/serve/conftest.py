from __future__ import annotations

import tempfile
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def environment():
    """One warm sandbox for all served agents: its template takes longest of all."""
    from agent_server import surroundings

    with surroundings() as made:
        yield made


@pytest.fixture(scope="module")
def browser():
    """A real browser for the chat page."""
    from chromium import Chromium, find_chromium

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        chromium = Chromium(find_chromium(), Path(profile), timeout_s=120)
        yield chromium
        chromium.close()
