"""Small files in the form of the published ones, and the published ones where they are at hand."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from published_rows import GSM8K, write

from agentdistill.environment import Environment
from agentdistill.exchange.readers import Collection, read_sources
from agentdistill.problems.benchmarks import FOLDER_VARIABLE
from agentdistill.prompts import load_prompt
from agentdistill.tools import Tool

SHARED = Path(os.environ.get(FOLDER_VARIABLE) or Path(__file__).parents[4].parent / "shared" / "data")


def search(query: str) -> str:
    """Search for a query."""
    return query


@pytest.fixture
def gsm8k(tmp_path: Path) -> Path:
    return write(tmp_path / "data" / "math" / "gsm8k_train.jsonl", GSM8K)


@pytest.fixture(scope="package")
def environment() -> Iterator[Environment]:
    with Environment(mode="process") as environment:
        yield environment


Read = Callable[..., Collection]


@pytest.fixture
def read(environment: Environment) -> Read:
    """Reads sources in the compact prompt template; ``searching`` offers a search tool."""

    def go(*sources: str, method: str = "agent", prompt: str = "compact", searching: bool = False) -> Collection:
        tools = (Tool.of(search),) if searching else ()
        return read_sources(sources, method, load_prompt(prompt), tools, environment)

    return go


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the published files, which the readers look into."""
    if not (SHARED / "trajectories").is_dir():
        pytest.skip(f"the published files are not in {SHARED}")
    monkeypatch.setenv(FOLDER_VARIABLE, str(SHARED))
    return SHARED
