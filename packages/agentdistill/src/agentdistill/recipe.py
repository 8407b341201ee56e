"""Recipes: one TOML file that says what to distil from whom into what. Everything unsaid has a default.

A recipe is read into frozen dataclasses; a key that does not exist is refused with its line and its nearest neighbour.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from agentdistill._toml import Source, build, check_call, unknown
from agentdistill.errors import RecipeError, UserError
from agentdistill.filters import DEFAULT, filters
from agentdistill.methods import METHODS
from agentdistill.prompts import styles
from agentdistill.retrieval import builder, check_settings, is_remote
from agentdistill.retrieval import kinds as retrievers
from agentdistill.tools.mcp import McpServer
from agentdistill.training.settings import TrainSettings
from agentdistill.types import Consistency


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
    ``functions`` a Python file whose public functions are tools. A retriever that asks a server takes its ``url``
    instead of a corpus; ``index`` is a folder for indexes that several runs share. ``mcp`` holds MCP servers by name,
    whose tools are offered too."""

    search: str | None = None
    retriever: str = "bm25"
    retriever_settings: dict[str, Any] = field(default_factory=dict)
    url: str | None = None
    index: str | None = None
    k: int = 3
    functions: str | None = None
    mcp: dict[str, McpServer] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSettings:
    """Limits of one step of model code. ``mode`` ``process`` is weak and has to be asked for by name."""

    mode: Literal["auto", "strict", "container", "process"] = "auto"
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

    ``compare_prefix`` collects agent trajectories both with and without the first-thought prefix. ``trajectories``
    names files or hub datasets to be read as a collection (``agent``, ``cot``, ...) in place of asking the teacher.
    """

    samples: int = 1
    compare_prefix: bool = True
    trajectories: dict[str, str] = field(default_factory=dict)


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
    """Evaluation on the test problems. ``teacher`` names the methods that the teacher itself is evaluated with.

    ``consistency`` is how the methods that vote on their actions (``…-sag``) do so.
    """

    teacher: tuple[str, ...] = ()
    device: str = "auto"
    batch_size: int = 64
    consistency: Consistency = Consistency()  # noqa: RUF009  frozen


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A whole run. ``jobs`` processes work side by side, where models are local and on CPU; ``style`` names prompts."""

    name: str
    problems: ProblemsSettings
    teacher: TeacherSettings
    students: tuple[StudentSettings, ...]
    tools: ToolsSettings = ToolsSettings()
    sandbox: SandboxSettings = SandboxSettings()
    collect: CollectSettings = CollectSettings()
    filter: FilterSettings = FilterSettings()
    train: TrainSettings = TrainSettings()  # noqa: RUF009  frozen
    train_cot: TrainSettings | None = None
    evaluate: EvaluateSettings = EvaluateSettings()
    style: str = "standard"
    seed: int = 0
    jobs: int = 1


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
    return _recipe(data, Source(path, text))


def recipe_from_json(data: dict[str, Any], path: Path) -> Recipe:
    """The recipe that a run keeps as ``recipe.json``. Raises RecipeError where it does not fit this version."""
    if not isinstance(data, dict):
        raise RecipeError(f"{path}: no recipe")
    return build(Recipe, _without_none(data), Source(path, ""), "")


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    return [_without_none(v) for v in value] if isinstance(value, list) else value


def _recipe(data: dict[str, Any], source: Source) -> Recipe:
    data = {"name": source.path.stem, **data}
    if "student" in data:
        if "students" in data:
            raise source.error("give either [student] or [[students]], not both", "students")
        data["students"] = [data.pop("student")]
    _spare(data)
    for needed, header, example in (
        ("problems", "problems", 'train = "questions.jsonl"'),
        ("teacher", "teacher", 'model = "endpoint"'),
        ("students", "student", 'base = "owner/model"'),
    ):
        if needed not in data:
            raise source.error(f"no [{header}] table, for example with {example}")
    if isinstance(data["teacher"], dict):
        data["teacher"] = _teacher(dict(data["teacher"]), source)
    train = data.get("train")
    if isinstance(train, dict) and isinstance(train.get("cot"), dict):
        data["train"] = {k: v for k, v in train.items() if k != "cot"}
        data["train_cot"] = {**data["train"], **train["cot"]}
    recipe = build(Recipe, data, source, "")
    _check(recipe, source)
    return recipe


def _spare(data: dict[str, Any]) -> None:
    """With trajectories of others, a recipe needs neither a teacher nor questions to ask it."""
    collect = data.get("collect")
    if isinstance(collect, dict) and collect.get("trajectories"):
        data.setdefault("teacher", {"model": "scripted", "replies": ""})
        if isinstance(data.setdefault("problems", {}), dict):
            data["problems"] = {"train": "", **data["problems"]}


def _teacher(table: dict[str, Any], source: Source) -> dict[str, Any]:
    import importlib

    from agentdistill.models import kinds

    kind = table.pop("model", "endpoint")
    if kind not in kinds():
        raise source.error(unknown("model kind", kind, kinds()), "teacher", "model")
    check_call(importlib.import_module(f"agentdistill.models.{kind}").load, table, source, "teacher")
    return {"model": kind, "settings": table}


def _check(recipe: Recipe, source: Source) -> None:
    """Names that have to exist, and numbers that have to make sense."""
    _check_name(recipe.name, source, "")
    if recipe.style not in styles():
        raise source.error(unknown("style", recipe.style, styles()), "", "style")
    _check_retriever(recipe.tools, source)
    for name in recipe.filter.keep:
        if name not in filters():
            raise source.error(unknown("filter", name, filters()), "filter", "keep")
    for name in recipe.collect.trajectories:
        if name not in _COLLECTIONS:
            raise source.error(unknown("collection", name, _COLLECTIONS), "collect.trajectories", name)
    _check_students(recipe, source)
    _check_methods(recipe.evaluate.teacher, recipe, source, "evaluate", "teacher")
    for name in recipe.evaluate.teacher:
        if METHODS[name].learns:
            raise source.error(f'"{name}" is for students: the teacher is not trained', "evaluate", "teacher")
    _check_numbers(recipe, source)


_COLLECTIONS = sorted({m.learns for m in METHODS.values() if m.learns})


def _check_retriever(tools: ToolsSettings, source: Source) -> None:
    kind, settings = tools.retriever, tools.retriever_settings
    if kind not in retrievers():
        raise source.error(unknown("retriever", kind, retrievers()), "tools", "retriever")
    given = {} if tools.url is None else {"url": tools.url}
    if is_remote(kind) and not given:
        raise source.error(f'retriever "{kind}" needs url, the address of its server', "tools", "retriever")
    if is_remote(kind) and tools.search is not None:
        raise source.error(f'retriever "{kind}" searches its server\'s corpus; leave search out', "tools", "search")
    if given and not is_remote(kind):
        raise source.error(f'retriever "{kind}" asks no server; leave url out', "tools", "url")
    if "url" in settings:
        raise source.error("url belongs into [tools] itself", "tools", "retriever_settings")
    try:
        check_settings(kind, settings)
    except UserError as e:
        raise source.error(str(e), "tools", "retriever_settings") from e
    check_call(builder(kind), {"passages": (), **given, **settings}, source, "tools.retriever_settings")


def _check_name(name: str, source: Source, table: str) -> None:
    if not is_name(name):
        raise source.error(f'name "{name}" {A_NAME}', table, "name")


A_NAME = 'has to be letters, digits, ".", "-" or "_", the first a letter or digit'


def is_name(text: str) -> bool:
    """Whether a run or a student may be called so: names become folders."""
    return re.fullmatch(r"\w[\w.\-]*", text) is not None and ".old-" not in text


def _check_students(recipe: Recipe, source: Source) -> None:
    if not recipe.students:
        raise source.error("no student to teach", "", "students")
    for i, student in enumerate(recipe.students):
        _check_name(student_name(student), source, f"students#{i}")
        _check_methods(student.methods, recipe, source, f"students#{i}", "methods")
    names = [student_name(s) for s in recipe.students]
    twice = max(names, key=names.count)
    if names.count(twice) > 1:
        raise source.error(f'two students are called "{twice}"; give them names', "students")
    if "teacher" in names and recipe.evaluate.teacher:
        raise source.error('a student cannot be called "teacher" where the teacher is evaluated too', "students")


def _check_methods(methods: tuple[str, ...], recipe: Recipe, source: Source, table: str, key: str) -> None:
    for name in methods:
        if name not in METHODS:
            raise source.error(unknown("method", name, METHODS), table, key)
        if methods.count(name) > 1:
            raise source.error(f'method "{name}" is there twice', table, key)
        if METHODS[name].passages and recipe.tools.search is None and recipe.tools.url is None:
            raise source.error(f'method "{name}" needs passages: name a corpus as search in [tools]', table, key)


_AT_LEAST_1 = {
    "": ("jobs",),
    "tools": ("k",),
    "problems": ("limit_train", "limit_test"),
    "collect": ("max_steps", "max_new_tokens", "observation_chars", "samples"),
    "evaluate": ("max_steps", "max_new_tokens", "observation_chars", "batch_size"),
}


def _check_numbers(recipe: Recipe, source: Source) -> None:
    for table, keys in _AT_LEAST_1.items():
        for key in keys:
            value = getattr(getattr(recipe, table) if table else recipe, key)
            if value is not None and value < 1:
                raise source.error(f"{key} has to be at least 1", table, key)
    for table in ("collect", "evaluate"):
        owner = getattr(recipe, table)
        if not 0 < owner.top_p <= 1 or not 0 <= owner.temperature < float("inf"):
            raise source.error("temperature has to be at least 0 and top_p above 0 and at most 1", table)
    vote = recipe.evaluate.consistency
    if vote.n < 1 or not 0 < vote.top_p <= 1 or not 0 <= vote.temperature < float("inf"):
        why = "n has to be at least 1, temperature at least 0, top_p above 0 and at most 1"
        raise source.error(why, "evaluate.consistency")
    if recipe.collect.samples > 1 and recipe.collect.temperature == 0:
        raise source.error("samples above 1 need a temperature above 0", "collect", "samples")
    if not recipe.sandbox.wall_s > 0 or recipe.sandbox.memory_mb < 1:
        raise source.error("wall_s and memory_mb have to be above 0", "sandbox")
    if not 0 <= recipe.seed < 2**32:
        raise source.error("seed has to be from 0 to 4294967295", "", "seed")


def student_name(student: StudentSettings) -> str:
    """What a student is called in folders and reports: its name, else the last part of its base."""
    return student.name or re.split(r"[/:]", student.base.rstrip("/"))[-1]
