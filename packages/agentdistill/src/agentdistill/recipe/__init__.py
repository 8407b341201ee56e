"""Recipes: one TOML file that says what to distil from whom into what. Everything unsaid has a default.

A recipe is read into frozen dataclasses; a key that does not exist is refused with its line and its nearest neighbour.
In the order of this file: what a recipe can say (``keys.toml`` says what every key means), how it is read, how it is
checked.
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

from agentdistill import registry
from agentdistill.batching import RaySettings
from agentdistill.errors import RecipeError, UserError
from agentdistill.exchange.readers import find_reader
from agentdistill.filters import DEFAULT
from agentdistill.recipe._verification import OtherGenerator as OtherGenerator
from agentdistill.recipe._verification import VerifySettings as VerifySettings
from agentdistill.recipe._verification import check_verify, refuse_former
from agentdistill.recipe.methods import COLLECTIONS, NAMES, method
from agentdistill.recipe.toml import A_NAME as A_NAME
from agentdistill.recipe.toml import RecipeText, build, check_call, check_name
from agentdistill.recipe.toml import is_name as is_name
from agentdistill.registry import unknown
from agentdistill.retrieval import builder, check_settings, is_remote
from agentdistill.tools.mcp import McpServer
from agentdistill.training.settings import TrainSettings
from agentdistill.types import Consistency

# --- what a recipe can say, table by table, with every default ---


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemsSettings:
    """Where problems come from."""

    train: str | tuple[str, ...]
    test: str | tuple[str, ...] | None = None
    fields: dict[str, str] = field(default_factory=dict)
    kind: str | None = None
    limit_train: int | None = None
    limit_test: int | None = None
    strict: bool = False
    contamination: Literal["drop", "report"] = "drop"

    def sources(self, split: str) -> tuple[str, ...]:
        """The sources of ``train`` or ``test``; none where the recipe names none."""
        named = self.train if split == "train" else self.test
        return (named,) if isinstance(named, str) and named else tuple(named or ())


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherSettings:
    """The model to learn from: its kind, a plug-in of ``models``, and that kind's own settings."""

    model: str = "endpoint"
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolsSettings:
    """What model code may call."""

    search: str | tuple[str, ...] | None = None
    retriever: str = "bm25"
    retriever_settings: dict[str, Any] = field(default_factory=dict)
    url: str | None = None
    index: str | None = None
    k: int = 3
    passage_chars: int | None = None
    functions: str | tuple[str, ...] = ()
    mcp: dict[str, McpServer] = field(default_factory=dict)

    @property
    def named(self) -> tuple[str, ...]:
        """The files and plug-ins of ``functions``."""
        return (self.functions,) if isinstance(self.functions, str) else self.functions


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSettings:
    """Limits of one step of model code."""

    mode: Literal["auto", "strict", "container", "process"] = "auto"
    wall_s: float = 10.0
    memory_mb: int = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutTable:
    """How episodes are sampled. ``batch_size`` None is the model's own."""

    max_steps: int = 5
    temperature: float = 0.0
    top_p: float = 1.0
    max_new_tokens: int = 1024
    observation_chars: int = 8000
    constrain: Literal["none", "step"] = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectSettings(RolloutTable):
    """Collecting from the teacher, or reading ``trajectories``: by collection (``agent``, ``cot``, ...), a file, a hub
    dataset, one of :mod:`agentdistill.exchange.readers` as ``NAME:SPLIT[:N][@PATH]``, or several of them in a list."""

    samples: int = 1
    compare_prefix: bool = True
    trajectories: dict[str, str | tuple[str, ...]] = field(default_factory=dict)
    offer: Literal["all", "used"] = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterSettings:
    """Which filters a trajectory has to pass, in order, and which problems are kept then."""

    keep: tuple[str, ...] = DEFAULT
    paired: bool = False
    questions: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentSettings:
    """A model to train, and the methods to try on it. ``train`` and ``train_cot`` None are those of all students."""

    base: str
    name: str = ""
    methods: tuple[str, ...] = ("agent", "agent-distill-prefix", "cot-distill")
    train: TrainSettings | None = None
    train_cot: TrainSettings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateSettings(RolloutTable):
    """Evaluation on the test problems. ``consistency`` is how the methods with ``-sag`` choose their actions."""

    teacher: tuple[str, ...] = ()
    device: str = "auto"
    batch_size: int = 64
    consistency: Consistency = Consistency()  # noqa: RUF009  frozen


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundsSettings:
    """Learning from one's own successes: collect, filter, train, ``n`` times, each time from the base.

    The first round collects from the teacher, or reads published trajectories; in every later one each student solves
    the training problems as it was trained in the round before."""

    n: int = 2
    enough: int = 2
    per_question: int = 2
    each: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OnPolicySettings:
    """``agentdistill on-policy``: a student acts, its teacher corrects it, and it learns from that, in rounds."""

    rounds: int = 2
    problems: str | None = None
    per_round: int | None = None
    student: str | None = None
    method: str = "agent-distill"
    how: Literal["correct", "distill", "replay"] = "correct"
    beta: float = 1.0
    learning_rate: float | None = None
    decay: float = 0.6
    temperature: float = 1.0
    top_k: int = 20
    tries: int = 3
    learn: Literal["teacher", "both"] = "teacher"
    successes: bool = False
    tokens: Literal["all", "written"] = "all"
    compare: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A whole run. ``jobs`` processes work side by side, where models are local and on CPU; ``prompt`` names the
    prompt template.

    ``examples`` is a file of worked examples that models which were not trained are shown in their prompts.
    ``executor`` says who runs the episodes: this machine's processes, or the workers of ``ray``. A recipe that only
    collects or verifies has no students.
    """

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
    rounds: RoundsSettings | None = None
    on_policy: OnPolicySettings = OnPolicySettings()
    verify: VerifySettings | None = None
    prompt: str = "standard"
    examples: str | None = None
    seed: int = 0
    jobs: int = 1
    executor: Literal["local", "ray"] = "local"
    ray: RaySettings = RaySettings()  # noqa: RUF009  frozen

    @property
    def n_rounds(self) -> int:
        """How often is collected and trained."""
        return self.rounds.n if self.rounds is not None else 1

    @property
    def on_ray(self) -> RaySettings | None:
        """The settings of Ray where its workers run the episodes, None where this machine does."""
        return self.ray if self.executor == "ray" else None


def tables() -> dict[str, type]:
    """The settings of every table by its header, those of the top level as ``top level``."""
    found: dict[str, type] = {"top level": Recipe}
    for header, cls in (queue := [("", Recipe)]):
        for name, hint in get_type_hints(cls).items():
            for kind in (hint, *get_args(hint)):
                if dataclasses.is_dataclass(kind) and kind not in found.values():
                    named = "student" if name == "students" else f"{name}.NAME" if get_origin(hint) is dict else name
                    queue.append((f"{header}.{named}" if header else named, cast("type[Any]", kind)))
                    found[queue[-1][0]] = queue[-1][1]
    return found


def meanings() -> dict[str, dict[str, str]]:
    """What every key means, by table and name, as ``keys.toml`` has it."""
    return tomllib.loads((Path(__file__).parent / "keys.toml").read_text(encoding="utf-8"))


TEACHER = "teacher"
"""The source of ``[collect.trajectories]`` that stands for asking the teacher, beside published ones."""


def sources_of(settings: CollectSettings, collection: str) -> tuple[str, ...]:
    """The published trajectories that a collection is read from, in order; empty where only the teacher is asked."""
    return tuple(s for s in _named_for(settings, collection) if s != TEACHER)


def asks_teacher(settings: CollectSettings, collection: str) -> bool:
    """Whether the teacher solves the training problems for a collection."""
    return collection not in settings.trajectories or TEACHER in _named_for(settings, collection)


def _named_for(settings: CollectSettings, collection: str) -> tuple[str, ...]:
    named = settings.trajectories.get(collection, ())
    return (named,) if isinstance(named, str) else named


def student_name(student: StudentSettings) -> str:
    """What a student is called in folders and reports: its name, else the last part of its base."""
    return student.name or re.split(r"[/:]", student.base.rstrip("/"))[-1].removesuffix(".gguf").removesuffix(".GGUF")


# --- reading: TOML text, or the JSON that a run keeps ---


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
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise RecipeText(path, text).single() or RecipeError(f"{path}: not TOML: {e}") from e
    data, source = _changed(text, changes), RecipeText(path, text)
    try:
        return _recipe(data, source)
    except RecipeError as e:
        blamed = _blamed(text, changes, source, str(e))
        if not blamed:
            raise
    return _recipe(_changed(text, changes), RecipeText(path, text, " ".join(f'--set "{c}"' for c in blamed)))


def _blamed(text: str, changes: Sequence[str], source: RecipeText, said: str) -> Sequence[str]:
    """The changes without which a recipe would not fail with what was ``said``; none where the file does by itself."""

    def fails(kept: Sequence[str]) -> bool:
        try:
            _recipe(_changed(text, kept), source)
        except RecipeError as e:
            return str(e) == said
        return False

    if fails(()):
        return ()
    needed = [c for c in changes if not fails([other for other in changes if other is not c])]
    return needed or changes


def _changed(text: str, changes: Sequence[str]) -> dict[str, Any]:
    data = tomllib.loads(text)
    for change in changes:
        _change(data, change)
    return data


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


_KEPT = "style"
"""What ``prompt`` is called in ``recipe.json``, which runs of earlier versions have."""


def recipe_to_json(recipe: Recipe) -> dict[str, Any]:
    """The recipe as a run keeps it in ``recipe.json``."""
    return {_KEPT if key == "prompt" else key: value for key, value in dataclasses.asdict(recipe).items()}


def recipe_from_json(data: dict[str, Any], path: Path) -> Recipe:
    """The inverse of :func:`recipe_to_json`. Raises RecipeError where it does not fit this version."""
    if not isinstance(data, dict):
        raise RecipeError(f"{path}: no recipe")
    named = {"prompt" if key == _KEPT else key: value for key, value in data.items()}
    return build(Recipe, _without_none(named), RecipeText(path, ""), "")


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    return [_without_none(v) for v in value] if isinstance(value, list) else value


def _recipe(data: dict[str, Any], source: RecipeText) -> Recipe:
    data = {"name": source.path.stem, **data}
    refuse_former(data, source)
    for name, value in data.items():
        if name != "students" and isinstance(value, list) and value and isinstance(value[0], dict):
            more = ", or [[students]] for several" if name == "student" else ""
            raise source.error(f"[[{name}]] has to be written [{name}]{more}", name)
    if "student" in data:
        if "students" in data:
            raise source.error("give either [student] or [[students]], not both", "students")
        data["students"] = [data.pop("student")]
    _spare(data)
    for needed, header, example in (
        ("problems", "problems", 'train = "questions.jsonl"'),
        ("teacher", "teacher", 'model = "endpoint"'),
        ("students", "student", ""),
    ):
        if needed not in data:
            for key in data:
                if key not in get_type_hints(Recipe) and key != _KEPT:
                    raise source.error(unknown("key", key, [*get_type_hints(Recipe), "student"]), "", key)
            if example:
                raise source.error(f"no [{header}] table, for example with {example}")
    data.setdefault("students", [])  # to collect or to verify takes none
    if isinstance(data["teacher"], dict):
        data["teacher"] = _teacher(dict(data["teacher"]), source)
    _training(data)
    recipe = build(Recipe, data, source, "")
    _check(recipe, source)
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


def _teacher(table: dict[str, Any], source: RecipeText) -> dict[str, Any]:
    from agentdistill.models import loader

    kind = table.pop("model", "endpoint")
    try:
        load = loader(kind)
    except UserError as e:
        raise source.error(str(e), "teacher", "model") from e
    check_call(load, table, source, "teacher")
    return {"model": kind, "settings": table}


# --- checking: names that have to exist, and numbers that have to make sense ---


def _check(recipe: Recipe, source: RecipeText) -> None:
    """Raise RecipeError, with file and line, for the first thing that does not fit."""
    check_name(recipe.name, source, "")
    _check_plugin("prompts", recipe.prompt, source, "", "prompt")
    _check_problems(recipe, source)
    _check_retriever(recipe.tools, source)
    for name in recipe.filter.keep:
        _check_plugin("filters", name, source, "filter", "keep")
    for name in recipe.collect.trajectories:
        if name not in COLLECTIONS:
            raise source.error(unknown("collection", name, COLLECTIONS), "collect.trajectories", name)
        _check_sources(recipe, name, source)
    _check_students(recipe, source)
    _check_methods(recipe.evaluate.teacher, recipe, source, "evaluate", "teacher")
    for name in recipe.evaluate.teacher:
        if method(name).distilled:
            raise source.error(f'"{name}" is for students: the teacher is not trained', "evaluate", "teacher")
    _check_on_policy(recipe, source)
    if recipe.verify is not None:
        loops = {method(m).loop for s in recipe.students for m in s.methods if method(m).distilled}
        check_verify(recipe.verify, recipe.prompt, recipe.verify.sample.loop in loops, source)
    if recipe.n_rounds > 1 and not recipe.problems.train:
        why = "later rounds sample on problems: name them as train in [problems]"
        raise source.error(why, "rounds", "n")
    _check_numbers(recipe, source)


def _check_plugin(kind: str, name: str, source: RecipeText, table: str, key: str) -> None:
    try:
        registry.check(kind, name)
    except UserError as e:
        raise source.error(str(e), table, key) from e


def _check_problems(recipe: Recipe, source: RecipeText) -> None:
    for key in ("train", "test"):
        named, sources = getattr(recipe.problems, key), recipe.problems.sources(key)
        if not isinstance(named, str | None) and (not sources or "" in sources):
            raise source.error(f"{key} has to be a source or a list of sources", "problems", key)
        twice = max(sources, key=sources.count, default="")
        if sources.count(twice) > 1:
            raise source.error(f'"{twice}" is there twice', "problems", key)


def _check_sources(recipe: Recipe, collection: str, source: RecipeText) -> None:
    sources = sources_of(recipe.collect, collection)
    if not sources and not asks_teacher(recipe.collect, collection):
        raise source.error(f"{collection} names no trajectories", "collect.trajectories", collection)
    for named in sources:
        try:
            find_reader(named, collection)
        except UserError as e:
            raise source.error(str(e), "collect.trajectories", collection) from e


def _check_on_policy(recipe: Recipe, source: RecipeText) -> None:
    settings, names = recipe.on_policy, [student_name(s) for s in recipe.students]
    if settings.student is not None and settings.student not in names:
        raise source.error(unknown("student", settings.student, names), "on_policy", "student")
    usable = [m.name for m in map(method, NAMES) if m.agent and m.distilled and not m.consistency]
    if settings.method not in usable:
        why = f'"{settings.method}" is no method of a student trained as an agent; there are: {", ".join(usable)}'
        raise source.error(why, "on_policy", "method")
    if not 0 <= settings.beta <= 1:
        raise source.error("beta has to be from 0 to 1", "on_policy", "beta")
    if settings.how != "correct":
        _check_distributions(recipe, source)


def _check_distributions(recipe: Recipe, source: RecipeText) -> None:
    """What learning from the teacher's distributions needs."""
    settings, teacher, how = recipe.on_policy, recipe.teacher, f'how = "{recipe.on_policy.how}"'
    if settings.how == "distill" and teacher.model != "local":
        why = f'{how} compares distributions: it needs a teacher with model = "local"'
        raise source.error(why, "on_policy", "how")
    if teacher.model not in ("local", "endpoint"):
        why = f'{how} reads distributions: it needs a teacher with model = "local" or "endpoint"'
        raise source.error(why, "on_policy", "how")
    if teacher.model == "endpoint" and not teacher.settings.get("tokenizer"):
        why = f'{how} spells for the endpoint: it needs [teacher] tokenizer = "the model\'s folder or name"'
        raise source.error(why, "on_policy", "how")
    if recipe.train.method != "full":
        why = f'{how} goes on from the weights of the round before: it needs [train] method = "full"'
        raise source.error(why, "on_policy", "how")
    if settings.learning_rate is not None and not settings.learning_rate > 0:
        raise source.error("learning_rate has to be above 0", "on_policy", "learning_rate")
    if not 0 < settings.decay <= 1 or not 0 < settings.temperature < float("inf"):
        raise source.error("decay has to be above 0 and at most 1, temperature above 0", "on_policy")


def _check_retriever(tools: ToolsSettings, source: RecipeText) -> None:
    kind, settings = tools.retriever, tools.retriever_settings
    _check_plugin("retrievers", kind, source, "tools", "retriever")
    if tools.search in ("", ()) or (isinstance(tools.search, tuple) and "" in tools.search):
        raise source.error("search names no corpus", "tools", "search")
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


def _check_students(recipe: Recipe, source: RecipeText) -> None:
    if not recipe.students:
        return
    for i, student in enumerate(recipe.students):
        check_name(student_name(student), source, f"students#{i}")
        _check_methods(student.methods, recipe, source, f"students#{i}", "methods")
    names = [student_name(s) for s in recipe.students]
    twice = max(names, key=names.count)
    if names.count(twice) > 1:
        raise source.error(f'two students are called "{twice}"; give them names', "students")
    if "teacher" in names and recipe.evaluate.teacher:
        raise source.error('a student cannot be called "teacher" where the teacher is evaluated too', "students")


def _check_methods(methods: tuple[str, ...], recipe: Recipe, source: RecipeText, table: str, key: str) -> None:
    for name in methods:
        try:
            m = method(name)
        except UserError as e:
            raise source.error(str(e), table, key) from e
        if methods.count(name) > 1:
            raise source.error(f'method "{name}" is there twice', table, key)
        if m.retrieval and recipe.tools.search is None and recipe.tools.url is None:
            raise source.error(f'method "{name}" needs passages: name a corpus as search in [tools]', table, key)


_AT_LEAST_1 = {
    "": ("jobs",),
    "ray": ("workers",),
    "filter": ("questions",),
    "tools": ("k", "passage_chars"),
    "problems": ("limit_train", "limit_test"),
    "collect": ("max_steps", "max_new_tokens", "observation_chars", "samples"),
    "evaluate": ("max_steps", "max_new_tokens", "observation_chars", "batch_size"),
    "on_policy": ("rounds", "per_round", "tries", "top_k"),
    "rounds": ("n", "enough", "per_question"),
}


def _check_numbers(recipe: Recipe, source: RecipeText) -> None:
    for table, keys in _AT_LEAST_1.items():
        for key in keys:
            value = getattr(getattr(recipe, table) if table else recipe, key, None)
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
    if not recipe.ray.cpus >= 0 or not recipe.ray.gpus >= 0:
        raise source.error("cpus and gpus have to be at least 0", "ray")
    if not recipe.sandbox.wall_s > 0 or recipe.sandbox.memory_mb < 1:
        raise source.error("wall_s and memory_mb have to be above 0", "sandbox")
    if not 0 <= recipe.seed < 2**32:
        raise source.error("seed has to be from 0 to 4294967295", "", "seed")
