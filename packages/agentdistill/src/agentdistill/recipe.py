"""Recipes: one TOML file that says what to distil from whom into what. Everything unsaid has a default.

A recipe is read into frozen dataclasses; a key that does not exist is refused with its line and its nearest neighbour.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast, get_args, get_origin

from agentdistill.errors import RecipeError
from agentdistill.filters import DEFAULT, filters
from agentdistill.methods import METHODS
from agentdistill.prompts import styles
from agentdistill.training.settings import TrainSettings

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemsSettings:
    """Where problems come from: a file, a hub dataset ``owner/name:split``, or a built-in task ``NAME:SPLIT``.

    ``fields`` maps our names (id, question, answer, kind, family, aliases) to the file's columns. ``limit_train`` and
    ``limit_test`` keep the first so many; ``strict`` stops at the first bad row instead of skipping it.
    """

    train: str
    test: str | None = None
    fields: dict[str, str] = field(default_factory=dict)
    kind: str | None = None
    limit_train: int | None = None
    limit_test: int | None = None
    strict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherSettings:
    """The model to learn from: its kind (``endpoint``, ``local``, ``scripted``) and that kind's own settings."""

    model: str = "endpoint"
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolsSettings:
    """What model code may call. ``search`` is a corpus (file, glob, folder or built-in task), ``k`` passages a query;
    ``functions`` a Python file whose public functions are tools."""

    search: str | None = None
    retriever: str = "bm25"
    k: int = 3
    functions: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSettings:
    """Limits of one step of model code. ``mode`` ``process`` is weak and has to be asked for by name."""

    mode: str = "auto"
    wall_s: float = 10.0
    memory_mb: int = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutTable:
    """How episodes are sampled: temperature 0 is greedy. ``batch_size`` None is the model's own."""

    max_steps: int = 5
    temperature: float = 0.0
    top_p: float = 1.0
    max_new_tokens: int = 1024
    observation_chars: int = 8000


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectSettings(RolloutTable):
    """Collecting from the teacher. ``samples`` trajectories a question (above 1 they need a temperature).

    ``compare_prefix`` collects agent trajectories both with and without the first-thought prefix.
    """

    samples: int = 1
    compare_prefix: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterSettings:
    """Which filters a trajectory has to pass, in order."""

    keep: tuple[str, ...] = DEFAULT


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentSettings:
    """A model to teach, and the methods to try on it. ``name`` is shown in the report."""

    base: str
    name: str = ""
    methods: tuple[str, ...] = ("agent", "agent-distill-prefix", "cot-distill")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateSettings(RolloutTable):
    """Evaluation on the test problems. ``teacher`` names the methods that the teacher itself is evaluated with."""

    teacher: tuple[str, ...] = ()
    device: str = "auto"
    batch_size: int = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A whole run. ``jobs`` processes work side by side where models are local and on CPU; ``style`` names the prompts."""

    name: str
    problems: ProblemsSettings
    teacher: TeacherSettings
    students: tuple[StudentSettings, ...]
    tools: ToolsSettings = ToolsSettings()
    sandbox: SandboxSettings = SandboxSettings()
    collect: CollectSettings = CollectSettings()
    filter: FilterSettings = FilterSettings()
    train: TrainSettings = TrainSettings()
    train_cot: TrainSettings | None = None
    evaluate: EvaluateSettings = EvaluateSettings()
    style: str = "standard"
    seed: int = 0
    jobs: int = 1


class _Source:
    """A recipe's text, to say on which line something stands."""

    def __init__(self, path: Path, text: str) -> None:
        self.path, self._lines = path, text.splitlines()

    def error(self, message: str, table: str = "", key: str = "") -> RecipeError:
        line = self._line(table, key)
        return RecipeError(f"{self.path}{f':{line}' if line else ''}: {message}")

    def _line(self, table: str, key: str) -> int | None:
        inside = not table
        header = None
        for n, line in enumerate(self._lines, 1):
            found = re.match(r"\s*\[+\s*([\w.\-\"]+)\s*\]+", line)
            if found:
                inside = found.group(1).strip('"') == table
                header = n if inside and header is None else header
            elif inside and key and re.match(rf"\s*\"?{re.escape(key)}\"?\s*=", line):
                return n
        return header


def load_recipe(path: Path) -> Recipe:
    """Read and check a recipe. Raises RecipeError with file, line and the nearest name for what does not fit."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as e:
        raise RecipeError(f"{path}: {e.strerror or e}") from e
    except UnicodeDecodeError as e:
        raise RecipeError(f"{path}: not UTF-8 text") from e
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise RecipeError(f"{path}: not TOML: {e}") from e
    return _recipe(data, _Source(path, text))


def recipe_from_json(data: dict[str, Any], path: Path) -> Recipe:
    """The recipe that a run keeps as ``recipe.json``. Raises RecipeError where it does not fit this version."""
    if not isinstance(data, dict):
        raise RecipeError(f"{path}: no recipe")
    return _build(Recipe, _without_none(data), _Source(path, ""), "")


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    return [_without_none(v) for v in value] if isinstance(value, list) else value


def _recipe(data: dict[str, Any], source: _Source) -> Recipe:
    data = {"name": source.path.stem, **data}
    if "student" in data:
        if "students" in data:
            raise source.error("give either [student] or [[students]], not both", "students")
        data["students"] = [data.pop("student")]
    for needed, example in (("problems", 'train = "questions.jsonl"'), ("teacher", 'model = "endpoint"'), ("students", "")):
        if needed not in data:
            table = "[student]" if needed == "students" else f"[{needed}]"
            raise source.error(f"no {table} table{f', for example with {example}' if example else ''}")
    if isinstance(data["teacher"], dict):
        data["teacher"] = _teacher(dict(data["teacher"]), source)
    train = data.get("train")
    if isinstance(train, dict) and isinstance(train.get("cot"), dict):
        own = dict(train)
        data["train"], data["train_cot"] = own, {**own, **own.pop("cot")}
    recipe = _build(Recipe, data, source, "")
    _check_names(recipe, source)
    return recipe


def _teacher(table: dict[str, Any], source: _Source) -> dict[str, Any]:
    import importlib
    import inspect

    from agentdistill.models import kinds

    kind = table.pop("model", "endpoint")
    if kind not in kinds():
        raise source.error(_unknown("model kind", kind, kinds()), "teacher", "model")
    known = set(inspect.signature(importlib.import_module(f"agentdistill.models.{kind}").load).parameters)
    for key in table:
        if key not in known:
            raise source.error(_unknown("key", key, [*known, "model"], "[teacher]"), "teacher", key)
    return {"model": kind, "settings": table}


def _unknown(what: str, name: object, known: typing.Iterable[str], where: str = "") -> str:
    near = difflib.get_close_matches(str(name), list(known), n=1, cutoff=0.5)
    place = f" in {where}" if where else ""
    return f'unknown {what} "{name}"{place}' + (f'; did you mean "{near[0]}"?' if near else f" (there are: {', '.join(sorted(known))})")


def _build(cls: type[T], data: Any, source: _Source, table: str) -> T:
    """A settings dataclass out of a TOML table, every key and type checked."""
    if not isinstance(data, dict):
        raise source.error(f"[{table}] has to be a table", table)
    hints = typing.get_type_hints(cls)
    values = {}
    for key, value in data.items():
        if key not in hints:
            raise source.error(_unknown("key", key, hints, f"[{table}]" if table else ""), table, key)
        values[key] = _value(hints[key], value, source, table, key)
    for f in dataclasses.fields(cast(Any, cls)):
        if f.name not in values and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise source.error(f'[{table}] needs "{f.name}"', table)
    try:
        return cls(**values)
    except RecipeError as e:
        raise source.error(str(e), table) from e


def _value(hint: Any, value: Any, source: _Source, table: str, key: str) -> Any:
    origin = get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        hint = next(a for a in get_args(hint) if a is not type(None))
        origin = get_origin(hint)
    inner_table = f"{table}.{key}" if table else key
    if dataclasses.is_dataclass(hint):
        return _build(cast("type[Any]", hint), value, source, inner_table)
    if origin is tuple:
        if not isinstance(value, list):
            raise source.error(f"{key} has to be a list", table, key)
        return tuple(_value(get_args(hint)[0], v, source, inner_table, key) for v in value)
    if origin is typing.Literal:
        if value not in get_args(hint):
            raise source.error(_unknown(key, value, map(str, get_args(hint))), table, key)
        return value
    wanted = dict if origin is dict else hint
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise source.error(f"{key} has to be {_TYPE_NAMES.get(wanted, wanted.__name__)}, got {value!r}", table, key)
    return value


_TYPE_NAMES = {int: "a whole number", float: "a number", str: "text", bool: "true or false", dict: "a table"}


def _check_names(recipe: Recipe, source: _Source) -> None:
    """Names that have to exist, and numbers that have to make sense."""
    if recipe.style not in styles():
        raise source.error(_unknown("style", recipe.style, styles()), "", "style")
    for name in recipe.filter.keep:
        if name not in filters():
            raise source.error(_unknown("filter", name, filters()), "filter", "keep")
    for table, names in [("students", s.methods) for s in recipe.students] + [("evaluate", recipe.evaluate.teacher)]:
        for name in names:
            if name not in METHODS:
                raise source.error(_unknown("method", name, METHODS), table, "methods" if table == "students" else "teacher")
    for name in recipe.evaluate.teacher:
        if METHODS[name].learns:
            raise source.error(f'"{name}" is for students: the teacher is not trained', "evaluate", "teacher")
    if not re.fullmatch(r"[\w.\-]+", recipe.name):
        raise source.error(f'name "{recipe.name}" has to be letters, digits, ".", "-" or "_"', "", "name")
    for owner, where in ((recipe.collect, "collect"), (recipe.evaluate, "evaluate")):
        for key in ("max_steps", "max_new_tokens", "observation_chars"):
            if getattr(owner, key) < 1:
                raise source.error(f"{key} has to be at least 1", where, key)
        if not 0 < owner.top_p <= 1 or owner.temperature < 0:
            raise source.error("temperature has to be at least 0 and top_p above 0 and at most 1", where)
    if recipe.collect.samples < 1 or (recipe.collect.samples > 1 and recipe.collect.temperature == 0):
        raise source.error("samples above 1 need a temperature above 0", "collect", "samples")
    if recipe.jobs < 1 or recipe.tools.k < 1:
        raise source.error("jobs and k have to be at least 1")
    names = [student_name(s) for s in recipe.students]
    if len(set(names)) < len(names):
        raise source.error(f'two students are called "{max(names, key=names.count)}"; give them names', "students")


def student_name(student: StudentSettings) -> str:
    """What a student is called in folders and reports: its name, else the last part of its base."""
    return student.name or re.split(r"[/:]", student.base.rstrip("/"))[-1]
