"""Models by kind. A new kind is one new file here, ``models/<kind>.py``, with ``def load(**settings) -> Model``."""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from typing import Any

from agentdistill.errors import ModelError
from agentdistill.models.base import OUT_OF_CONTEXT, Model, is_out_of_context

__all__ = ["OUT_OF_CONTEXT", "Model", "identity", "is_out_of_context", "kinds", "load_model"]


def kinds() -> list[str]:
    """The kinds there are, by the files of this folder. Imports none of them."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name != "base" and not m.name.startswith("_"))


def identity(kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that what a model writes depends on, for the keys of what it wrote.

    Left out are those that its kind names in ``HOW_ONLY`` (how often it is asked at once, how long it is waited for,
    what it costs; ``extra.user`` is a key within one) and those that hold their default.
    """
    if kind not in kinds():
        return dict(settings)
    module = importlib.import_module(f"{__name__}.{kind}")
    known = inspect.signature(module.load).parameters
    how_only: frozenset[str] = getattr(module, "HOW_ONLY", frozenset())
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
    if kind not in kinds():
        near = difflib.get_close_matches(kind, kinds(), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ModelError(f"unknown model kind {kind!r}{hint} (there are: {', '.join(kinds())})")
    load = importlib.import_module(f"{__name__}.{kind}").load
    known = inspect.signature(load).parameters
    if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in known.values()):
        for key in settings:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else f" (it has: {', '.join(known)})"
                raise ModelError(f"model kind {kind!r} has no setting {key!r}{hint}")
    model: Model = load(**settings)
    return model
