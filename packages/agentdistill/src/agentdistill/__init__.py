"""Distil a strong model's tool-using behaviour into small language models.

The names below are the public library; each is imported when it is first used. ``examples/loop.py`` shows them at work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_NAMES = {
    "Environment": "environment",
    "Message": "types",
    "Passage": "retrieval",
    "Problem": "types",
    "Request": "types",
    "RolloutSettings": "loop",
    "Sample": "types",
    "Sampling": "types",
    "Sandbox": "sandbox",
    "Score": "types",
    "StopReason": "types",
    "Tool": "tools",
    "Trace": "types",
    "TrainSettings": "training",
    "build_retriever": "retrieval",
    "chain_of_thought": "loop",
    "collect": "api",
    "evaluate": "api",
    "filter_traces": "filters",
    "load_corpus": "api",
    "load_model": "models",
    "load_problems": "api",
    "load_prompt": "prompts",
    "parse_action": "parse",
    "rollout": "loop",
    "run": "api",
    "search_tool": "tools",
    "train": "training",
}
__all__ = sorted(_NAMES)

if TYPE_CHECKING:
    from agentdistill.api import collect as collect
    from agentdistill.api import evaluate as evaluate
    from agentdistill.api import load_corpus as load_corpus
    from agentdistill.api import load_problems as load_problems
    from agentdistill.api import run as run
    from agentdistill.environment import Environment as Environment
    from agentdistill.filters import filter_traces as filter_traces
    from agentdistill.loop import RolloutSettings as RolloutSettings
    from agentdistill.loop import chain_of_thought as chain_of_thought
    from agentdistill.loop import rollout as rollout
    from agentdistill.models import load_model as load_model
    from agentdistill.parse import parse_action as parse_action
    from agentdistill.prompts import load_prompt as load_prompt
    from agentdistill.retrieval import Passage as Passage
    from agentdistill.retrieval import build_retriever as build_retriever
    from agentdistill.sandbox import Sandbox as Sandbox
    from agentdistill.tools import Tool as Tool
    from agentdistill.tools import search_tool as search_tool
    from agentdistill.training import TrainSettings as TrainSettings
    from agentdistill.training import train as train
    from agentdistill.types import Message as Message
    from agentdistill.types import Problem as Problem
    from agentdistill.types import Request as Request
    from agentdistill.types import Sample as Sample
    from agentdistill.types import Sampling as Sampling
    from agentdistill.types import Score as Score
    from agentdistill.types import StopReason as StopReason
    from agentdistill.types import Trace as Trace


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_NAMES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_NAMES]
