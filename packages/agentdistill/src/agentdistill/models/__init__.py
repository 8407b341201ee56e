"""Models by kind: a kind is a function ``load(**settings) -> Model``, or a module that has one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from agentdistill import registry
from agentdistill.errors import ModelError
from agentdistill.models.base import OUT_OF_CONTEXT, Model, is_out_of_context

__all__ = ["OUT_OF_CONTEXT", "Model", "identity", "is_out_of_context", "load_model", "loader"]


def loader(kind: str) -> Callable[..., Model]:
    """The function that loads models of a kind. Raises ModelError for an unknown kind."""
    found = registry.load("models", kind, ModelError)
    load: Callable[..., Model] = getattr(found, "load", found)
    return load


def identity(kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that what a model writes depends on, for the keys of what it wrote.

    Left out are those that its kind names in ``HOW_ONLY`` (how often it is asked at once, how long it is waited for,
    what it costs; ``extra.user`` is a key within one) and those that hold their default.
    """
    found = registry.load("models", kind, ModelError)
    known = inspect.signature(getattr(found, "load", found)).parameters
    how_only: frozenset[str] = getattr(found, "HOW_ONLY", frozenset())
    out: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            value = {k: v for k, v in value.items() if f"{name}.{k}" not in how_only} or None
        if name == "url" and isinstance(value, str):
            value = value.rstrip("/")
        if name not in how_only and not (name in known and value == known[name].default):
            out[name] = value
    return out


def load_model(kind: str, **settings: object) -> Model:
    """The model of that kind, ready to generate. Raises ModelError for an unknown kind or setting."""
    load = loader(kind)
    known = inspect.signature(load).parameters
    if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in known.values()):
        for key in settings:
            if key not in known:
                raise ModelError(registry.unknown("setting", key, known, f'model kind "{kind}"'))
    return load(**settings)
