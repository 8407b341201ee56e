"""Distil a strong model's tool-using behaviour into small language models.

The names below are the public library; each is imported when it is first used. ``docs/library.md`` shows them at work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_NAMES = {
    "Environment": "agentdistill.environment",
    "Message": "agentdistill.types",
    "Passage": "agentdistill.retrieval",
    "Problem": "agentdistill.types",
    "RolloutSettings": "agentdistill.rollout",
    "Sampling": "agentdistill.types",
    "Sandbox": "agentdistill.sandbox",
    "Score": "agentdistill.types",
    "Tool": "agentdistill.tools",
    "Trace": "agentdistill.types",
    "TrainSettings": "agentdistill.training",
    "build_retriever": "agentdistill.retrieval",
    "chain_of_thought": "agentdistill.rollout",
    "collect": "agentdistill.library",
    "evaluate": "agentdistill.library",
    "filter_traces": "agentdistill.filters",
    "load_model": "agentdistill.models",
    "load_problems": "agentdistill.library",
    "load_prompt": "agentdistill.prompts",
    "read_traces": "agentdistill.store",
    "rollout": "agentdistill.rollout",
    "run": "agentdistill.library",
    "search_tool": "agentdistill.tools.search",
    "train": "agentdistill.training",
    "write_traces": "agentdistill.store",
}
__all__ = sorted(_NAMES)  # noqa: PLE0605  names that are imported on first use

if TYPE_CHECKING:
    from agentdistill.environment import Environment as Environment
    from agentdistill.filters import filter_traces as filter_traces
    from agentdistill.library import collect as collect
    from agentdistill.library import evaluate as evaluate
    from agentdistill.library import load_problems as load_problems
    from agentdistill.library import run as run
    from agentdistill.models import load_model as load_model
    from agentdistill.prompts import load_prompt as load_prompt
    from agentdistill.retrieval import Passage as Passage
    from agentdistill.retrieval import build_retriever as build_retriever
    from agentdistill.rollout import RolloutSettings as RolloutSettings
    from agentdistill.rollout import chain_of_thought as chain_of_thought
    from agentdistill.rollout import rollout as rollout
    from agentdistill.sandbox import Sandbox as Sandbox
    from agentdistill.store import read_traces as read_traces
    from agentdistill.store import write_traces as write_traces
    from agentdistill.tools import Tool as Tool
    from agentdistill.tools.search import search_tool as search_tool
    from agentdistill.training import TrainSettings as TrainSettings
    from agentdistill.training import train as train
    from agentdistill.types import Message as Message
    from agentdistill.types import Problem as Problem
    from agentdistill.types import Sampling as Sampling
    from agentdistill.types import Score as Score
    from agentdistill.types import Trace as Trace


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_NAMES[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_NAMES]
