"""Tools: a typed Python function with a docstring is a tool. It runs in this process, called from sandboxed code."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentdistill import registry
from agentdistill.errors import UserError
from agentdistill.retrieval import Passage, Retriever, format_passages, shortened

__all__ = ["FINAL_ANSWER", "Tool", "describe", "find", "load_tools", "search_tool"]

FINAL_ANSWER = "final_answer"


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that model code may call by ``name``. Arguments and results are plain JSON values."""

    name: str
    function: Callable[..., Any]
    signature: str
    doc: str

    @classmethod
    def of(cls, function: Callable[..., Any], name: str | None = None) -> Tool:
        """The tool that ``function`` is. Raises UserError where type hints or the docstring are missing.

        >>> def double(x: float) -> float:
        ...     "Twice x."
        ...     return 2 * x
        >>> Tool.of(double).signature
        'double(x: float) -> float'
        """
        name = name or function.__name__
        where = f"tool {name}"
        if not name.isidentifier() or name == FINAL_ANSWER:
            raise UserError(f'{where}: "{name}" cannot be the name of a tool')
        doc = inspect.getdoc(function)
        if not doc:
            raise UserError(f"{where}: write a docstring; it is what the model is told about it")
        signature = inspect.signature(function)
        for p in signature.parameters.values():
            if p.annotation is p.empty:
                raise UserError(f'{where}: parameter "{p.name}" has no type hint')
        return cls(name, function, name + _plain(signature), doc)


def _plain(signature: inspect.Signature) -> str:
    return str(signature).replace("typing.", "").replace("'", "")


def describe(tools: Sequence[Tool]) -> str:
    """The tools as Python stubs, the way a model is told of them; ``final_answer`` comes last."""
    final = 'def final_answer(answer) -> None:\n    """Give the final answer and end."""'
    stubs = [f"def {t.signature}:\n{textwrap.indent(_quoted(t.doc), '    ')}" for t in tools]
    return "\n\n".join([*stubs, final])


def _quoted(doc: str) -> str:
    return f'"""{doc}"""' if "\n" not in doc else f'"""{doc}\n"""'


def load_tools(name: str | Path) -> list[Tool]:
    """The tools that ``name`` names: every public function that a Python file defines, in order, or a plug-in
    (:mod:`agentdistill.registry`) that is a function, a Tool or a list of those. The code is the user's own and is run.
    """
    name = str(name)
    if not name.endswith(".py"):
        found = registry.load("tools", name)
        return [_tool(f, name) for f in (found if isinstance(found, list | tuple) else [found])]
    module = registry.load_file(Path(name))
    own = [
        f for n, f in vars(module).items() if inspect.isfunction(f) and f.__module__ == module.__name__ and n[0] != "_"
    ]
    if not own:
        raise UserError(f"{name}: defines no public function to use as a tool")
    return [Tool.of(f) for f in own]


def _tool(found: Any, name: str) -> Tool:
    if isinstance(found, Tool):
        return found
    if not callable(found):
        raise UserError(f"{name}: {type(found).__name__} is neither a function nor a Tool")
    return Tool.of(found)


def find(retriever: Retriever, query: str, k: int = 3, passage_chars: int | None = None) -> list[Passage]:
    """The ``k`` best passages, each cut to ``passage_chars`` characters where that is set."""
    return [shortened(p, passage_chars) for p in retriever.search(query, k)]


def search_tool(retriever: Retriever, k: int = 3, passage_chars: int | None = None) -> Tool:
    """A tool ``search(query)`` that returns what :func:`find` gives, as text."""

    def search(query: str) -> str:
        """Search the encyclopaedia and return the passages that fit the query best."""
        return format_passages(find(retriever, str(query), k, passage_chars))

    return Tool.of(search)
