"""What TOML's types do not say: names that have to exist, and numbers that have to make sense."""

from __future__ import annotations

from agentdistill import registry
from agentdistill._toml import Source, check_call
from agentdistill.errors import UserError
from agentdistill.methods import METHODS
from agentdistill.readers import find_reader
from agentdistill.recipe._settings import A_NAME, Recipe, ToolsSettings, asks_teacher, is_name, sources_of, student_name
from agentdistill.recipe._verification import check_verify
from agentdistill.registry import unknown
from agentdistill.retrieval import builder, check_settings, is_remote


def check(recipe: Recipe, source: Source) -> None:
    """Raise RecipeError, with file and line, for the first thing that does not fit."""
    _check_name(recipe.name, source, "")
    _check_plugin("prompts", recipe.style, source, "", "style")
    _check_problems(recipe, source)
    _check_retriever(recipe.tools, source)
    for name in recipe.filter.keep:
        _check_plugin("filters", name, source, "filter", "keep")
    for name in recipe.collect.trajectories:
        if name not in _COLLECTIONS:
            raise source.error(unknown("collection", name, _COLLECTIONS), "collect.trajectories", name)
        _check_sources(recipe, name, source)
    _check_students(recipe, source)
    _check_methods(recipe.evaluate.teacher, recipe, source, "evaluate", "teacher")
    for name in recipe.evaluate.teacher:
        if METHODS[name].learns:
            raise source.error(f'"{name}" is for students: the teacher is not trained', "evaluate", "teacher")
    _check_on_policy(recipe, source)
    if recipe.verify is not None:
        loops = {METHODS[m].loop for s in recipe.students for m in s.methods if METHODS[m].learns}
        check_verify(recipe.verify, recipe.style, recipe.verify.sample.loop in loops, source)
    if recipe.n_rounds > 1 and not recipe.problems.train:
        why = "later rounds sample on problems: name them as train in [problems]"
        raise source.error(why, "rounds", "n")
    _check_numbers(recipe, source)


def _check_plugin(kind: str, name: str, source: Source, table: str, key: str) -> None:
    try:
        registry.check(kind, name)
    except UserError as e:
        raise source.error(str(e), table, key) from e


def _check_problems(recipe: Recipe, source: Source) -> None:
    for key in ("train", "test"):
        named, sources = getattr(recipe.problems, key), recipe.problems.sources(key)
        if not isinstance(named, str | None) and (not sources or "" in sources):
            raise source.error(f"{key} has to be a source or a list of sources", "problems", key)
        twice = max(sources, key=sources.count, default="")
        if sources.count(twice) > 1:
            raise source.error(f'"{twice}" is there twice', "problems", key)


def _check_sources(recipe: Recipe, collection: str, source: Source) -> None:
    sources = sources_of(recipe.collect, collection)
    if not sources and not asks_teacher(recipe.collect, collection):
        raise source.error(f"{collection} names no trajectories", "collect.trajectories", collection)
    for named in sources:
        try:
            find_reader(named, collection)
        except UserError as e:
            raise source.error(str(e), "collect.trajectories", collection) from e


def _check_on_policy(recipe: Recipe, source: Source) -> None:
    settings, names = recipe.on_policy, [student_name(s) for s in recipe.students]
    if settings.student is not None and settings.student not in names:
        raise source.error(unknown("student", settings.student, names), "on_policy", "student")
    usable = [m.name for m in METHODS.values() if m.loop == "agent" and m.learns and not m.votes]
    if settings.method not in usable:
        why = f'"{settings.method}" is no method of a student trained as an agent; there are: {", ".join(usable)}'
        raise source.error(why, "on_policy", "method")
    if not 0 <= settings.beta <= 1:
        raise source.error("beta has to be from 0 to 1", "on_policy", "beta")
    if settings.how == "distill" and recipe.teacher.model != "local":
        why = 'how = "distill" compares distributions: it needs a teacher with model = "local"'
        raise source.error(why, "on_policy", "how")
    if settings.how == "distill" and recipe.train.method != "full":
        why = 'how = "distill" goes on from the weights of the round before: it needs [train] method = "full"'
        raise source.error(why, "on_policy", "how")


_COLLECTIONS = sorted({m.learns for m in METHODS.values() if m.learns})


def _check_retriever(tools: ToolsSettings, source: Source) -> None:
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


def _check_name(name: str, source: Source, table: str) -> None:
    if not is_name(name):
        raise source.error(f'name "{name}" {A_NAME}', table, "name")


def _check_students(recipe: Recipe, source: Source) -> None:
    if not recipe.students:
        if recipe.verify is not None:
            return
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
    "ray": ("workers",),
    "filter": ("questions",),
    "tools": ("k", "passage_chars"),
    "problems": ("limit_train", "limit_test"),
    "collect": ("max_steps", "max_new_tokens", "observation_chars", "samples"),
    "evaluate": ("max_steps", "max_new_tokens", "observation_chars", "batch_size"),
    "on_policy": ("rounds", "per_round", "tries"),
    "rounds": ("n", "enough", "per_question"),
}


def _check_numbers(recipe: Recipe, source: Source) -> None:
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
