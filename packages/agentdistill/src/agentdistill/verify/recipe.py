"""Recipes of verification: one TOML file from problems to a curve. Keys and types are checked as in other recipes."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from agentdistill._toml import Source, build, check_call
from agentdistill.errors import RecipeError, UserError
from agentdistill.executors import RaySettings
from agentdistill.models import loader
from agentdistill.prompts import load_verify_style
from agentdistill.registry import unknown
from agentdistill.verify.judging import SampleSettings
from agentdistill.verify.roles import ROLE, RoleSettings
from agentdistill.verify.select import Listen, Policy
from agentdistill.verify.verifiers import VerifierSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Problems:
    """Where problems come from, as in other recipes; ``train`` is what verifiers are distilled on."""

    test: str
    train: str | None = None
    kind: str | None = None
    families: tuple[str, ...] = ()
    limit_test: int | None = None
    limit_train: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Files of candidates that are not sampled."""

    test: str | None = None
    train: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """Another generator on the same test problems: greedy, or sampled ``n`` times and judged like the student's own."""

    name: str
    model: dict[str, Any]
    n: int = 1
    temperature: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """The corpus that fact checkers search (file, glob, folder or built-in task, or several), and its retriever."""

    search: str | tuple[str, ...] | None = None
    retriever: str = "bm25"


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxTable:
    """Limits of one program of a verifier."""

    wall_s: float = 10.0
    memory_mb: int = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyRecipe:
    """A whole run: problems, a generator (or candidates that are there), verifiers, how to choose, and what to distil.

    ``executor`` says who samples and judges candidates: this process, or the workers of ``ray``.
    """

    name: str
    problems: Problems = Problems(test="")
    generator: dict[str, Any] = field(default_factory=dict)
    candidates: Given = Given()
    others: tuple[Other, ...] = ()
    verifiers: tuple[VerifierSettings, ...] = ()
    sample: SampleSettings = SampleSettings()  # noqa: RUF009  frozen
    policy: Policy = Policy()  # noqa: RUF009  frozen
    listen: Listen = Listen()  # noqa: RUF009  frozen
    methods: tuple[str, ...] = ()
    budgets: tuple[int, ...] = ()
    tools: Tools = Tools()
    sandbox: SandboxTable = SandboxTable()
    base: str | None = None
    roles: tuple[RoleSettings, ...] = ()
    style: str = "standard"
    seed: int = 0
    executor: Literal["local", "ray"] = "local"
    ray: RaySettings = RaySettings()  # noqa: RUF009  frozen


def load_verify_recipe(path: Path) -> VerifyRecipe:
    """Read and check a recipe of verification. Raises RecipeError with file and line for what does not fit."""
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text)
    except OSError as e:
        raise RecipeError(f"{path}: {e.strerror or e}") from e
    except UnicodeDecodeError as e:
        raise RecipeError(f"{path}: not UTF-8 text") from e
    except tomllib.TOMLDecodeError as e:
        raise RecipeError(f"{path}: not TOML: {e}") from e
    source = Source(path, text)
    if "judges" in data:
        raise source.error("[[judges]] is now called [[verifiers]]", "judges")
    given = isinstance(data.get("candidates"), dict) and "test" in data["candidates"]
    for needed, example in (("problems", 'test = "gsm8k:test"'), ("generator", 'model = "local"')):
        if needed not in data and not given:
            raise source.error(f"no [{needed}] table, for example with {example}")
    recipe = build(VerifyRecipe, {"name": path.stem, **data}, source, "")
    _check(recipe, source)
    return recipe


def _check(recipe: VerifyRecipe, source: Source) -> None:
    try:
        load_verify_style(recipe.style)
    except UserError as e:
        raise source.error(str(e), "", "style") from e
    if recipe.generator:
        check_model(recipe.generator, source, "generator")
    for i, other in enumerate(recipe.others):
        check_model(other.model, source, f"others#{i}")
        if other.n < 1 or (other.n > 1 and other.temperature <= 0):
            raise source.error("n has to be at least 1, and above 1 it needs a temperature", f"others#{i}", "n")
        if other.n == 1 and other.temperature != 0:
            why = "who answers once answers greedily: leave temperature out, or sample with n above 1"
            raise source.error(why, f"others#{i}", "temperature")
    _check_verifiers(recipe, source)
    sample = recipe.sample
    if min(sample.n, sample.n_train or 1, sample.max_new_tokens, sample.max_steps) < 1:
        raise source.error("n, n_train, max_new_tokens and max_steps have to be at least 1", "sample")
    if max(sample.n, sample.n_train or 1) > 1 and sample.temperature <= 0:
        raise source.error("n above 1 needs a temperature above 0", "sample", "n")


def _check_verifiers(recipe: VerifyRecipe, source: Source) -> None:
    for i, verifier in enumerate(recipe.verifiers):
        if verifier.needs_model and verifier.role != "prm":
            check_model(verifier.model, source, f"verifiers#{i}")
    names = [j.name for j in recipe.verifiers]
    if len(set(names)) < len(names):
        raise source.error("two verifiers have one name", "verifiers")
    for i, role in enumerate(recipe.roles):
        if role.teacher not in names and (role.role not in ("prm", "generator") or role.teacher is not None):
            raise source.error(unknown("verifier", role.teacher or "", names), f"roles#{i}", "teacher")
        if role.role == "prm" and role.train.method != "full":
            raise source.error('all weights of a PRM are trained: method = "full"', f"roles#{i}.train", "method")
    if recipe.base is None and any(r.base is None for r in recipe.roles):
        raise source.error("roles are trained on a base model: set base at the top")
    trained = {r.name for r in recipe.roles}
    for i, verifier in enumerate(recipe.verifiers):
        path = str(verifier.model.get("path", ""))
        if path.startswith(ROLE) and path.removeprefix(ROLE) not in trained:
            raise source.error(unknown("role", path.removeprefix(ROLE), trained), f"verifiers#{i}", "model")


def check_model(table: dict[str, Any], source: Source, where: str) -> None:
    """Raise RecipeError unless a table names a kind of model and settings that it has."""
    settings = dict(table)
    kind = settings.pop("model", "endpoint")
    try:
        load = loader(kind)
    except UserError as e:
        raise source.error(str(e), where, "model") from e
    check_call(load, settings, source, where)
