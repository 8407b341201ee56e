"""One small world for the tests of a generator, and search over it; a busy machine is no failure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import hypothesis
import pytest

from agentdistill.retrieval import Passage, build_retriever
from tinyworld.world import World

hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


@pytest.fixture(scope="session")
def world() -> World:
    return World(5, 300, hidden=0.15)


@pytest.fixture(scope="session")
def retriever(world: World) -> Any:
    passages: Sequence[Passage] = world.encyclopaedia()
    return build_retriever("bm25", passages)
