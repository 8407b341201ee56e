"""From TOML text, or the JSON that a run keeps, to a checked :class:`Recipe`."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agentdistill._toml import Source, build, check_call
from agentdistill.errors import RecipeError, UserError
from agentdistill.recipe._check import check
from agentdistill.recipe._settings import Recipe
from agentdistill.recipe._verification import refuse_former


def load_recipe(path: Path, changes: Sequence[str] = ()) -> Recipe:
    """Read and check a recipe. Raises RecipeError with file, line and the nearest name for what does not fit.

    ``changes`` are settings to have instead of the file's: ``"problems.limit_test=50"``, the value as TOML or plain
    text. A ``[student]`` table can be reached, one of several ``[[students]]`` cannot.
    """
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
    for change in changes:
        _change(data, change)
    return _recipe(data, Source(path, text))


def _change(data: dict[str, Any], change: str) -> None:
    name, equals, text = change.partition("=")
    *tables, key = name.strip().split(".")
    if not equals or not all((*tables, key)):
        raise RecipeError(f'--set "{change}": write TABLE.KEY=VALUE, for example problems.limit_test=50')
    table = data
    for header in tables:
        table = table.setdefault(header, {})
        if not isinstance(table, dict):
            raise RecipeError(f'--set "{change}": "{header}" is no table')
    try:
        table[key] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        table[key] = text.strip()


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
    refuse_former(data, source)
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
    _training(data)
    recipe = build(Recipe, data, source, "")
    check(recipe, source)
    return recipe


def _training(data: dict[str, Any]) -> None:
    """Spell out who is trained how: a student's own table over ``[train.cot]`` over ``[train]``."""
    train = data.get("train", {})
    if not isinstance(train, dict):
        return  # told by what builds the recipe
    if isinstance(train.get("cot"), dict):
        data["train"] = {k: v for k, v in train.items() if k != "cot"}
        data["train_cot"] = {**data["train"], **train["cot"]}
    if isinstance(data["students"], list):
        shared: dict[str, dict[str, Any]] = {"train": {}}
        shared |= {k: data[k] for k in ("train", "train_cot") if k in data}
        data["students"] = [_own_training(s, shared) for s in data["students"]]


def _own_training(student: Any, shared: dict[str, dict[str, Any]]) -> Any:
    own = student.get("train") if isinstance(student, dict) else None
    return {**student, **{k: {**v, **own} for k, v in shared.items()}} if isinstance(own, dict) else student


def _spare(data: dict[str, Any]) -> None:
    """With trajectories of others, or only to verify, a recipe needs neither a teacher nor questions to ask it."""
    collect, verify = data.get("collect"), data.get("verify")
    given = isinstance(collect, dict) and collect.get("trajectories")
    alone = isinstance(verify, dict) and "students" not in data
    if given or alone:
        data.setdefault("teacher", {"model": "scripted", "replies": ""})
        if given or (isinstance(verify, dict) and "candidates" in verify):
            data.setdefault("problems", {})
        if isinstance(data.get("problems"), dict):
            data["problems"] = {"train": "", **data["problems"]}
    if alone:
        data["students"] = []


def _teacher(table: dict[str, Any], source: Source) -> dict[str, Any]:
    from agentdistill.models import loader

    kind = table.pop("model", "endpoint")
    try:
        load = loader(kind)
    except UserError as e:
        raise source.error(str(e), "teacher", "model") from e
    check_call(load, table, source, "teacher")
    return {"model": kind, "settings": table}
