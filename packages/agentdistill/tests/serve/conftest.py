from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def environment():
    """One warm sandbox for all served agents: its template takes longest of all."""
    from agent_server import surroundings

    with surroundings() as made:
        yield made
