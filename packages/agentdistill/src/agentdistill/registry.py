"""Plug-ins: tasks, tools, models, weights, filters, scorers, retrievers, prompt templates, verifiers and trajectory
readers.

Wherever a recipe or a command names one of these, four forms work: the name of a built-in one; the name of an entry
point of group ``agentdistill.<kind>`` that an installed package has; ``path/to/file.py:attribute``; and
``package.module:attribute``. What the object has to be is said where its kind is used; ``docs/plugins.md`` lists it.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from agentdistill.errors import AgentDistillError, PluginError, UserError

T = TypeVar("T")

NOUNS = {
    "tasks": "task",
    "tools": "tool",
    "models": "model kind",
    "weights": "weights",
    "filters": "filter",
    "scorers": "scorer",
    "retrievers": "retriever",
    "prompts": "prompt template",
    "verifiers": "verifier",
    "readers": "trajectory reader",
}
"""The kinds of plug-ins, and what one of each is called in messages."""

_BUILT_IN: Mapping[str, Mapping[str, str]] = {
    "tasks": {
        name: f"agentdistill.problems.benchmarks:{name.upper()}"
        for name in ("aime", "bamboogle", "gsm8k", "gsm_hard", "hotpotqa", "math", "math500", "mmlu_pro", "musique",
                     "olymmath", "paper", "svamp", "two_wiki")
    } | {"reasoning_gym": "agentdistill.problems.reasoning_gym"},
    "tools": {},
    "models": {name: f"agentdistill.models.{name}" for name in ("endpoint", "local", "scripted")}
    | {"gguf": "agentdistill.models.local:load_gguf"},
    "weights": {"smollm2": "agentdistill.models.weights:SMOLLM2"},
    "filters": {
        name: f"agentdistill.filters:{name}" for name in ("no_parse_error", "right_answer", "within_steps")
    },
    "scorers": {name: f"agentdistill.scorers.{name}:score" for name in ("gym", "math", "short")},
    "retrievers": {
        name: f"agentdistill.retrieval.{name.replace('-', '_')}:build"
        for name in ("bm25", "dense", "hybrid", "search-r1")
    },
    "prompts": {name: f"agentdistill.prompts.{name}" for name in ("compact", "standard")},
    "verifiers": {
        "code": "agentdistill.verify.verifiers:CodeVerifier",
        "cot": "agentdistill.verify.verifiers:ThinkingVerifier",
        "claims": "agentdistill.verify.verifiers:ClaimVerifier",
        "evidence": "agentdistill.verify.evidence:EvidenceVerifier",
        "facts": "agentdistill.verify.verifiers:FactVerifier",
        "genrm": "agentdistill.verify.verifiers:GenRM",
        "gold": "agentdistill.verify.verifiers:GoldVerifier",
        "program": "agentdistill.verify.verifiers:ProgramVerifier",
        "calculations": "agentdistill.verify.verifiers:CalculationVerifier",
        "prm": "agentdistill.verify.roles:StepVerifier",
    },
    "readers": {
        name: f"agentdistill.exchange.readers.{name}" for name in ("fireact", "gsm8k", "mwp_reft", "reasoning_gym")
    } | {name: f"agentdistill.exchange.readers.saved:{name.upper()}" for name in ("atif", "smolagents")},
}  # fmt: skip
_SHAPES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "tasks": ("a function (split) -> problems", ("problems",)),
    "models": ("a function (**settings) -> Model", ("load",)),
    "weights": ("", ("sizes", "locate")),
    "filters": ("a function (trace) -> bool", ()),
    "scorers": ("a function (prediction, answer, aliases) -> bool or Score", ()),
    "retrievers": ("a function (passages, cache=None, **settings) -> Retriever", ()),
    "verifiers": ("a function (settings, kit) -> Verifier", ()),
    "readers": ("", ("SPLITS", "drafts")),
}
"""What the objects of a kind are: a function, if any, or something with these attributes."""
_TINYWORLD = {"tasks": "tinyworld", "prompts": "tiny", "weights": "tinyworld"}
"""What ``packages/tinyworld`` of this project's repository brings, which the recipes and examples there name."""
_folders: list[Path] = []
_FILE = re.compile(r"(?P<file>.+?\.py):(?P<attribute>\w+)")
_MODULE = re.compile(r"(?P<module>[A-Za-z_][\w.]*):(?P<attribute>[A-Za-z_]\w*)")


@dataclass(frozen=True, slots=True)
class Plugin:
    """One plug-in that has a name: where it is (``module`` or ``module:attribute``) and which distribution brings it.

    ``version`` is ``""`` for what is built in.
    """

    kind: str
    name: str
    target: str
    package: str = "agentdistill"
    version: str = ""

    def load(self) -> Any:
        """Import it. Raises UserError, in one line, where its package fails to import or has no such attribute."""
        module, _, attribute = self.target.partition(":")
        try:
            found: Any = importlib.import_module(module)
            for part in filter(None, attribute.split(".")):
                found = getattr(found, part)
        except Exception as e:
            if not self.version:
                raise
            raise UserError(f"{NOUNS[self.kind]} {self.name!r} of {self.package} {self.version}: {_said(e)}") from e
        return found


@cache
def plugins(kind: str) -> Mapping[str, Plugin]:
    """The plug-ins of a kind by name, built-in and installed ones. A built-in name cannot be taken by a package."""
    from importlib.metadata import entry_points

    found = {name: Plugin(kind, name, target) for name, target in _BUILT_IN[kind].items()}
    for point in sorted(entry_points(group=f"agentdistill.{kind}"), key=lambda p: p.name):
        package, version = (point.dist.name, point.dist.version) if point.dist else ("an unknown package", "0")
        found.setdefault(point.name, Plugin(kind, point.name, point.value, package, version))
    return dict(sorted(found.items()))


def look_in(folder: Path) -> None:
    """Find ``package.module:attribute`` below ``folder`` too, as the command line does in the working directory."""
    if folder not in _folders:
        _folders.append(folder)


def looked_in() -> tuple[Path, ...]:
    """The folders of :func:`look_in`, for processes elsewhere that have to find what this one finds."""
    return tuple(_folders)


def names(kind: str) -> tuple[str, ...]:
    """The names of the plug-ins of a kind, in order. None of them is imported."""
    return tuple(plugins(kind))


def load(kind: str, name: str, error: type[UserError] = UserError) -> Any:
    """The object that ``name`` names. Raises ``error``, with the nearest name, where there is none; and UserError where
    a file or package is there and cannot be loaded, or holds something that is no plug-in of this kind."""
    found = _load(kind, name, error)
    function, attributes = _SHAPES.get(kind, ("", ()))
    is_one = (function and callable(found)) or (attributes and all(hasattr(found, a) for a in attributes))
    if kind in _SHAPES and name not in _BUILT_IN[kind] and not is_one:
        held = f"an object with {' and '.join(attributes)}" if attributes else ""
        wanted = " or ".join(filter(None, [function, held]))
        raise UserError(f'{NOUNS[kind]} "{name}": is of type {type(found).__name__}, and has to be {wanted}')
    return found


def is_built_in(kind: str, name: str) -> bool:
    """Whether the name is of this project's own code."""
    return name in _BUILT_IN[kind]


def call(kind: str, name: str, function: Callable[..., T], /, *given: Any, **settings: Any) -> T:
    """What a function of the plug-in returns; fails as :func:`running` does."""
    with running(kind, name):
        return function(*given, **settings)


@contextmanager
def running(kind: str, name: str) -> Iterator[None]:
    """Where code from outside of this project raises anything but this library's errors in the block, that is a
    PluginError of one line that names the plug-in, and the line of its code."""
    try:
        yield
    except AgentDistillError:
        raise
    except Exception as e:
        if name in _BUILT_IN[kind]:
            raise
        raise PluginError(f'{NOUNS[kind]} "{name}": {_said(e)}{_place(e, name)}') from e


def all_of(kind: str, name: str, wanted: type[T], found: Iterable[Any]) -> list[T]:
    """What a function of the plug-in gave, as a list. Raises PluginError unless all of it is of the type ``wanted``."""
    given = call(kind, name, lambda: list(found))
    other = next((x for x in given if not isinstance(x, wanted)), None)
    if other is not None:
        raise PluginError(f'{NOUNS[kind]} "{name}": gave a {type(other).__name__}, and has to give {wanted.__name__}s')
    return given


def _load(kind: str, name: str, error: type[UserError]) -> Any:
    if name in plugins(kind):
        return plugins(kind)[name].load()
    if match := _FILE.fullmatch(name):
        return _from_file(Path(match["file"]).expanduser(), match["attribute"])
    match = _MODULE.fullmatch(name)
    if match and _is_there(match["module"]):
        return _from_module(match["module"], match["attribute"])
    if match:
        raise error(f'no module "{match["module"]}" (is it installed, or below the working directory?)')
    raise error(_absent(kind, name) or unknown(NOUNS[kind], name, names(kind)))


def check(kind: str, name: str, error: type[UserError] = UserError) -> None:
    """Raise as :func:`load` does. A built-in name is not imported for it."""
    if name not in _BUILT_IN[kind]:
        load(kind, name, error)


def split_source(kind: str, source: str) -> tuple[str, str] | None:
    """The plug-in that ``NAME``, ``NAME:REST`` or ``NAME@REST`` begins with, and the rest; None where there is none.
    Raises UserError for TinyWorld's where its package is not installed.

    >>> split_source("tasks", "gsm8k:train:50"), split_source("tasks", "gsm8k@/data"), split_source("tasks", "a/b:test")
    (('gsm8k', 'train:50'), ('gsm8k', '@/data'), None)
    """
    name = re.split(r"[:@]", source, maxsplit=1)[0]
    if name not in plugins(kind):
        if why := _absent(kind, name):
            raise UserError(why)
        match = _FILE.match(source) or _MODULE.match(source)
        if match is None or (match.re is _MODULE and not _is_there(match["module"])):
            return None
        name = match[0]
    rest = source[len(name) :]
    if rest and rest[0] not in ":@":
        return None
    return name, rest.removeprefix(":")


def fingerprint(kind: str, name: str) -> str:
    """What a result depends on when it was made with ``name``: the name, with the package's version or the hash of the
    file, or of the module's file, where it comes from outside of this project."""
    if _TINYWORLD.get(kind) == name:
        return name
    if name in plugins(kind):
        plugin = plugins(kind)[name]
        return f"{name}@{plugin.package}-{plugin.version}" if plugin.version else name
    file = _file_of(name)
    return name if file is None else f"{name}@{hashlib.sha256(file.read_bytes()).hexdigest()[:16]}"


def _file_of(name: str) -> Path | None:
    """The file of ``FILE.py``, ``FILE.py:attribute`` or ``package.module:attribute``, None where it has none."""
    if (match := _FILE.fullmatch(name)) or name.endswith(".py"):
        return Path(match["file"] if match else name).expanduser()
    if (match := _MODULE.fullmatch(name)) is None:
        return None
    try:
        spec = importlib.util.find_spec(match["module"])  # imports the packages that the module is in
    except (ImportError, ValueError):
        return None
    return Path(spec.origin) if spec is not None and spec.has_location and spec.origin else None


def named_parameters(function: Callable[..., object]) -> dict[str, inspect.Parameter]:
    """The parameters that can be given by name, without ``*args`` and ``**settings``."""
    found = inspect.signature(function).parameters
    return {n: p for n, p in found.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}


def takes_any_name(function: Callable[..., object]) -> bool:
    """Whether a function has ``**settings``."""
    return any(p.kind is p.VAR_KEYWORD for p in inspect.signature(function).parameters.values())


def _absent(kind: str, name: str) -> str:
    """How to install what TinyWorld's package brings, where it is not installed; "" for any other name."""
    if _TINYWORLD.get(kind) != name or name in plugins(kind):
        return ""
    return f'{NOUNS[kind]} "{name}": not installed; in a checkout of agentdistill: pip install ./packages/tinyworld'


def unknown(what: str, name: object, known: Iterable[str], where: str = "") -> str:
    """The message for a name that does not exist: the nearest that does, or all of them."""
    known = list(known)
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    place = f" in {where}" if where else ""
    way_out = f'; did you mean "{near[0]}"?' if near else f" (there are: {', '.join(sorted(known))})"
    return f'unknown {what} "{name}"{place}{way_out}'


def load_file(path: Path) -> Any:
    """The module that a Python file of the user is. The file is run, once a process. Raises UserError where it is
    missing or raises."""
    if not path.is_file():
        raise UserError(f"{path}: no such Python file")
    content = hashlib.sha256(str(path.resolve()).encode() + b"\n" + path.read_bytes())
    name = f"agentdistill_plugin_{content.hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up while it is being run
    try:
        spec.loader.exec_module(module)
    except Exception as e:
        del sys.modules[name]
        raise UserError(f"{path}: cannot be loaded: {_said(e)}") from e
    return module


def _from_file(path: Path, attribute: str) -> Any:
    module = load_file(path)
    if not hasattr(module, attribute):
        public = [n for n in vars(module) if not n.startswith("_")]
        raise UserError(f"{path}: {unknown('attribute', attribute, public)}")
    return getattr(module, attribute)


def _from_module(module: str, attribute: str) -> Any:
    try:
        return getattr(importlib.import_module(module), attribute)
    except Exception as e:
        raise UserError(f"{module}:{attribute}: cannot be loaded: {_said(e)}") from e


def _is_there(module: str) -> bool:
    """Whether the module's top-level package can be found. Nothing is imported."""
    top = module.split(".")[0]
    try:
        if importlib.util.find_spec(top) is not None:
            return True
    except (ImportError, ValueError):
        return False
    folder = next((f for f in _folders if (f / top).is_dir() or (f / f"{top}.py").is_file()), None)
    if folder is not None:
        sys.path.append(str(folder))  # not before: a folder "ray" there is not the package
        importlib.invalidate_caches()
    return folder is not None


def _said(e: Exception) -> str:
    return " ".join(f"{type(e).__name__}: {e}".split())


def _place(e: Exception, name: str) -> str:
    """Where code from outside raised: its own file's innermost line, else that of whatever it called."""
    frames = [(Path(f.filename), f.lineno) for f in traceback.extract_tb(e.__traceback__)]
    outside = [f for f in frames if not f[0].is_relative_to(Path(__file__).parent)]
    file = _file_of(name)
    own = [f for f in outside if file is not None and f[0].resolve() == file.resolve()]
    return "".join(f" ({path}:{line})" for path, line in (own or outside)[-1:])
