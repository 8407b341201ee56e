"""The table ``[verify]`` of a recipe: who samples, who judges, how is chosen, and what verifiers are distilled."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from agentdistill.errors import UserError
from agentdistill.models import loader
from agentdistill.prompts import load_verifier_prompt
from agentdistill.recipe.toml import RecipeText, check_call, check_name
from agentdistill.registry import unknown
from agentdistill.verify.beam import SOURCE, BeamSettings
from agentdistill.verify.judging import SampleSettings
from agentdistill.verify.roles import ROLE, RoleSettings
from agentdistill.verify.select import METHODS, Listen, SelectionPolicy
from agentdistill.verify.stopping import StopTable
from agentdistill.verify.verifiers import VerifierSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenCandidates:
    """Files of candidates that are not sampled."""

    test: str | None = None
    train: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherGenerator:
    """Another generator on the same test problems: greedy, or sampled ``n`` times and judged like the student's own."""

    name: str
    model: dict[str, Any]
    n: int = 1
    temperature: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifySettings:
    """Verification of a recipe's problems: a generator (or candidates that are there), verifiers, how to choose, and
    what to distil on the training problems. ``beam``: a search over steps by the same generator, beside them.
    ``stop``: what sampling that stops would have spared.

    ``generator`` is a table as ``[teacher]``; without one it is the recipe's first student that answers as ``sample``
    asks. ``families`` and ``limit`` keep the problems of these families, and so many of them, family by turns.
    """

    generator: dict[str, Any] = field(default_factory=dict)
    families: tuple[str, ...] = ()
    limit: int | None = None
    candidates: GivenCandidates = GivenCandidates()
    others: tuple[OtherGenerator, ...] = ()
    beam: BeamSettings | None = None
    stop: StopTable | None = None
    verifiers: tuple[VerifierSettings, ...] = ()
    sample: SampleSettings = SampleSettings()  # noqa: RUF009  frozen
    policy: SelectionPolicy = SelectionPolicy()  # noqa: RUF009  frozen
    listen: Listen = Listen()  # noqa: RUF009  frozen
    methods: tuple[str, ...] = ()
    budgets: tuple[int, ...] = ()
    base: str | None = None
    roles: tuple[RoleSettings, ...] = ()


_MOVED = ("generator", "candidates", "others", "verifiers", "sample", "policy", "listen", "methods", "budgets", "base",
          "roles")  # fmt: skip


def refuse_former(data: dict[str, Any], source: RecipeText) -> None:
    """Raise RecipeError for what recipes of verification used to say at their top."""
    if "judges" in data:
        raise source.error("[[judges]] is now called [[verify.verifiers]]", "judges")
    for name in (n for n in _MOVED if n in data):
        if isinstance(data[name], dict):
            raise source.error(f"[{name}] is now called [verify.{name}]", name)
        if isinstance(data[name], list) and any(isinstance(v, dict) for v in data[name]):
            raise source.error(f"[[{name}]] is now called [[verify.{name}]]", name)
        raise source.error(f"{name} is now a key of [verify]", "", name)
    problems = data.get("problems")
    if isinstance(problems, dict) and "families" in problems:
        raise source.error("families is now a key of [verify]", "problems", "families")


def check_verify(settings: VerifySettings, prompt: str, can_default: bool, source: RecipeText) -> None:
    """Raise RecipeError for what does not fit. ``can_default``: a student of the recipe can be the generator."""
    try:
        load_verifier_prompt(prompt)
    except UserError as e:
        raise source.error(str(e), "", "prompt") from e
    if settings.generator:
        _check_model(settings.generator, source, "verify.generator")
    elif settings.candidates.test is None and not can_default:
        raise source.error('no [verify.generator] table, for example with model = "local"', "verify")
    for i, other in enumerate(settings.others):
        check_name(other.name, source, f"verify.others#{i}")
        _check_model(other.model, source, f"verify.others#{i}")
        if other.n < 1 or (other.n > 1 and other.temperature <= 0):
            raise source.error("n has to be at least 1, and above 1 it needs a temperature", f"verify.others#{i}", "n")
        if other.n == 1 and other.temperature != 0:
            why = "who answers once answers greedily: leave temperature out, or sample with n above 1"
            raise source.error(why, f"verify.others#{i}", "temperature")
    _check_apart("others", [o.name for o in settings.others], source)
    _check_verifiers(settings, source)
    _check_selection(settings, source)
    _check_beam(settings, can_default, source)
    _check_stop(settings, source)
    sample = settings.sample
    if min(sample.n, sample.n_train or 1, sample.max_new_tokens, sample.max_steps) < 1:
        raise source.error("n, n_train, max_new_tokens and max_steps have to be at least 1", "verify.sample")
    if settings.limit is not None and settings.limit < 1:
        raise source.error("limit has to be at least 1", "verify", "limit")
    if max(sample.n, sample.n_train or 1) > 1 and sample.temperature <= 0:
        raise source.error("n above 1 needs a temperature above 0", "verify.sample", "n")


def _check_verifiers(settings: VerifySettings, source: RecipeText) -> None:
    for i, verifier in enumerate(settings.verifiers):
        check_name(verifier.name, source, f"verify.verifiers#{i}")
        if verifier.needs_model and verifier.role != "prm":
            _check_model(verifier.model, source, f"verify.verifiers#{i}")
    names = [j.name for j in settings.verifiers]
    _check_apart("verifiers", names, source)
    _check_apart("roles", [r.name for r in settings.roles], source)
    for i, role in enumerate(settings.roles):
        check_name(role.name, source, f"verify.roles#{i}")
        if role.teacher not in names and (role.role not in ("prm", "generator") or role.teacher is not None):
            raise source.error(unknown("verifier", role.teacher or "", names), f"verify.roles#{i}", "teacher")
        if role.role == "prm" and role.train.method != "full":
            raise source.error('all weights of a PRM are trained: method = "full"', f"verify.roles#{i}.train", "method")
    if settings.base is None and any(r.base is None for r in settings.roles):
        raise source.error("roles are trained on a base model: set base in [verify]")
    trained = {r.name for r in settings.roles}
    for i, verifier in enumerate(settings.verifiers):
        path = str(verifier.model.get("path", ""))
        if path.startswith(ROLE) and path.removeprefix(ROLE) not in trained:
            raise source.error(unknown("role", path.removeprefix(ROLE), trained), f"verify.verifiers#{i}", "model")


def _check_apart(what: str, names: list[str], source: RecipeText) -> None:
    for i, name in enumerate(names):
        if name in names[:i]:
            why = f'two [[verify.{what}]] are called "{name}"; give this one another name'
            raise source.error(why, f"verify.{what}#{i}", "name")


_GIVES = {"verifier": ("code", "claims", "facts", "calculations"), "plain": ("cot",), "reward": ("genrm", "prm")}
"""The roles that selection goes by where [verify.listen] names no verifier."""


def _check_selection(settings: VerifySettings, source: RecipeText) -> None:
    """Raise RecipeError for a verifier, method or budget that there will not be once sampling is paid for. Candidates
    that are there may hold judgements that the recipe does not name."""
    sampled, names = settings.candidates.test is None, [v.name for v in settings.verifiers]
    roles = {v.role for v in settings.verifiers}
    there = {key for key, gives in _GIVES.items() if getattr(settings.listen, key) is not None or roles & set(gives)}
    for key in _GIVES:
        name = getattr(settings.listen, key)
        if sampled and name is not None and name not in names:
            raise source.error(unknown("verifier", name, names or ["none"]), "verify.listen", key)
    for name in settings.methods:
        if name not in METHODS:
            raise source.error(unknown("method", name, METHODS), "verify", "methods")
        needs = [{"tool": "verifier", "plain": "plain", None: None}[METHODS[name].filter]]
        needs += ["reward"] if METHODS[name].reward else []
        for key in (k for k in needs if sampled and k is not None and k not in there):
            way_out = f"add one of role {' or '.join(_GIVES[key])}, or name yours as {key} in [verify.listen]"
            raise source.error(f'method "{name}" needs a verifier: {way_out}', "verify", "methods")
    for n in settings.budgets:
        if n < 1 or (sampled and n > settings.sample.n):
            most = f"and {settings.sample.n}, the n of [verify.sample]" if sampled else "and the candidates there are"
            raise source.error(f"a budget of {n} is not between 1 {most}", "verify", "budgets")


def _check_beam(settings: VerifySettings, can_default: bool, source: RecipeText) -> None:
    beam = settings.beam
    if beam is None:
        return
    prms = [v.name for v in settings.verifiers if v.role == "prm"]
    if beam.reward not in prms:
        raise source.error(unknown("verifier of role prm", beam.reward, prms), "verify.beam", "reward")
    if min(beam.width, beam.expand, beam.max_steps) < 1:
        raise source.error("width, expand and max_steps have to be at least 1", "verify.beam")
    if not settings.generator and not can_default:
        raise source.error("a search over steps needs a [verify.generator] to write them", "verify.beam")
    if beam.n > 1 and settings.sample.temperature <= 0:
        raise source.error("several next steps need a temperature above 0 in [verify.sample]", "verify.beam")
    if settings.sample.loop != "cot":
        raise source.error("a search over steps writes chains of thought, not actions", "verify.beam")
    if any(o.name == SOURCE for o in settings.others):
        raise source.error(f'no other generator can be called "{SOURCE}" beside [verify.beam]', "verify.others")


def _check_stop(settings: VerifySettings, source: RecipeText) -> None:
    if settings.stop is None:
        return
    try:
        looks = settings.stop.looks
    except UserError as e:
        raise source.error(str(e), "verify.stop") from e
    if not looks:
        raise source.error("bounds names no bound", "verify.stop", "bounds")


def _check_model(table: dict[str, Any], source: RecipeText, where: str) -> None:
    """Raise RecipeError unless a table names a kind of model and settings that it has."""
    settings = dict(table)
    kind = settings.pop("model", "endpoint")
    try:
        load = loader(kind)
    except UserError as e:
        raise source.error(str(e), where, "model") from e
    check_call(load, settings, source, where)
