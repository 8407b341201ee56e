"""A run: a recipe, its folder, where things lie in it, and what the stages share: problems, tools, prompts, models."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from agentdistill import registry, scorers
from agentdistill.environment import Environment
from agentdistill.errors import DataError, UserError, named_by
from agentdistill.loop import RolloutSettings, chain_of_thought, rollout
from agentdistill.models import Model, identity, load_model
from agentdistill.models.weights import is_gguf, runnable
from agentdistill.pipeline.folder import TRACES
from agentdistill.problems import joined, load_problems
from agentdistill.problems.contamination import Screening, screen
from agentdistill.problems.tasks import open_search, task_problems
from agentdistill.prompts import PromptTemplate, load_prompt
from agentdistill.prompts.examples import ExampleTemplate, read_examples
from agentdistill.recipe import Recipe, RolloutTable, StudentSettings, recipe_from_json, recipe_to_json, student_name
from agentdistill.recipe.methods import COLLECTIONS, Method, method
from agentdistill.retrieval import MappedCorpus, Passage, Retriever, build_retriever, is_remote
from agentdistill.sandbox import Limits
from agentdistill.store import digest, file_digest, json_text, to_dict, write_json
from agentdistill.tools import Tool, find, load_tools, search_tool
from agentdistill.types import Problem, Sampling, Trace

CONTAMINATION = "contamination.json"
"""What of the training problems is in the test, in a run's folder."""


class Run:
    """What every stage of one run shares. Made in each process that works on it; nothing in it is written twice."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        self.recipe = recipe
        self.folder = folder

    def __reduce__(self) -> tuple[type[Run], tuple[Recipe, Path]]:
        return Run, (self.recipe, self.folder)  # what it holds open stays in its process

    def save_recipe(self) -> None:
        """Keep the resolved recipe beside the results."""
        _keep(self.folder / "recipe.json", recipe_to_json(self.recipe))

    def save_screening(self) -> None:
        """Keep what :attr:`screening` found beside the results, where there is something to compare."""
        path = self.folder / CONTAMINATION
        if self.screening is None:
            path.unlink(missing_ok=True)
        else:
            _keep(path, self.screening.facts())

    def problems(self, split: str) -> tuple[Problem, ...]:
        """The problems of ``train`` or ``test``; of ``train`` without those that are test problems too.

        Raises UserError where they cannot be read or share an id, and where none is left to train on.
        """
        found = self._loaded[0][split]
        return self.screening.kept(found) if split == "train" and self.screening is not None else found

    @cached_property
    def screening(self) -> Screening | None:
        """What of the training problems is in the test; None without either of them."""
        train = self._loaded[0]["train"]
        found = self.screen(train) if train else None
        if found is not None and not found.kept(train):
            many = f"all {len(train)} training questions are test questions too"
            raise DataError(f'{self.recipe.name}: {many}; name others, or keep them: contamination = "report"')
        return found

    def screen(self, problems: Sequence[Problem]) -> Screening | None:
        """Compare problems to train on with the test's; None where the recipe has no test."""
        settings, test = self.recipe.problems, self._loaded[0]["test"]
        return screen(problems, test, settings.contamination == "drop") if test else None

    @property
    def skipped(self) -> tuple[str, ...]:
        """One line for every row of the problem files that was left out."""
        return self._loaded[1]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is to be told of the problem files before anything is spent on them."""
        return self._loaded[2]

    @cached_property
    def _loaded(self) -> tuple[dict[str, tuple[Problem, ...]], tuple[str, ...], tuple[str, ...]]:
        settings = self.recipe.problems
        found: dict[str, tuple[Problem, ...]] = {}
        skipped: list[str] = []
        warnings: list[str] = []
        for split, limit in (("train", settings.limit_train), ("test", settings.limit_test)):
            with named_by(f"{split} of [problems]"):
                loaded = {source: self.load(source, limit) for source in settings.sources(split)}
            found[split] = joined({source: problems for source, (problems, _, _) in loaded.items()})
            skipped += [line for _, lines, _ in loaded.values() for line in lines]
            warnings += [line for _, _, lines in loaded.values() for line in lines]
        return found, tuple(skipped), tuple(warnings)

    def load(
        self, source: str, limit: int | None = None
    ) -> tuple[tuple[Problem, ...], tuple[str, ...], tuple[str, ...]]:
        """The problems of a source as the recipe's own are read, a line for every row left out, and warnings."""
        found = task_problems(source)
        if found is not None:
            return tuple(found[:limit]), (), ()
        settings = self.recipe.problems
        kind: str | None = settings.kind  # type: ignore[assignment]  # checked by the loader
        loaded = load_problems(source, fields=settings.fields, kind=kind, limit=limit, strict=settings.strict)
        return loaded.problems, loaded.skipped, loaded.warnings

    @cached_property
    def template(self) -> PromptTemplate:
        """The prompts."""
        return load_prompt(self.recipe.prompt)

    @cached_property
    def untrained_template(self) -> PromptTemplate:
        """The prompts of models that were not trained: with the recipe's worked examples, where it has some."""
        path = self.recipe.examples
        with named_by("examples of the recipe"):
            return self.template if path is None else ExampleTemplate(self.template, read_examples(Path(path)))

    def check_examples(self, m: Method) -> None:
        """Raise DataError where the recipe has worked examples, but none of how ``m`` answers."""
        template = self.untrained_template
        if isinstance(template, ExampleTemplate) and not any(getattr(e, m.loop) for e in template.examples):
            why = f'no row has "{m.loop}", which the method {m.name} is prompted with'
            raise DataError(f"{self.recipe.examples}: {why}")

    def as_learned(self, trace: Trace) -> Trace:
        """The trace as a student learns it: without worked examples, which its own prompts do not have."""
        template = self.untrained_template
        return template.without(trace, self.tools) if isinstance(template, ExampleTemplate) else trace

    @cached_property
    def retriever(self) -> Retriever | None:
        """The index of the corpus that search looks through, or its server's client; None where the recipe has none."""
        tools = self.recipe.tools
        if is_remote(tools.retriever):
            return build_retriever(tools.retriever, (), url=tools.url, **tools.retriever_settings)
        if self._corpus is None:
            return None
        return build_retriever(tools.retriever, self._corpus, cache=self._index, **tools.retriever_settings)

    @property
    def _index(self) -> Path:
        tools = self.recipe.tools
        return Path(tools.index) if tools.index else self.folder / "index"

    @cached_property
    def _corpus(self) -> MappedCorpus | None:
        search = self.recipe.tools.search
        with named_by("search of [tools]"):
            return None if search is None else open_search(search, self._index)

    def passages(self, question: str) -> list[Passage]:
        """What search finds for a question, as a model is shown it; nothing where the recipe has no corpus."""
        tools = self.recipe.tools
        return [] if self.retriever is None else find(self.retriever, question, tools.k, tools.passage_chars)

    def corpus_facts(self) -> dict[str, int]:
        """How many passages search looks through, and how many duplicates were left out; empty without a corpus."""
        corpus = self._corpus
        return {} if corpus is None else {"n_passages": len(corpus), "n_duplicates": corpus.n_duplicates}

    @cached_property
    def _served(self) -> tuple[list[Tool], tuple[str, ...]]:
        """The tools of MCP servers, and a line for each that is left out. The servers' errors go into ``mcp/``."""
        from agentdistill.tools.mcp import mcp_tools

        said: list[str] = []
        return mcp_tools(self.recipe.tools.mcp, self.folder / "mcp", said.append), tuple(said)

    @property
    def left_out_tools(self) -> tuple[str, ...]:
        """One line for every tool of an MCP server that cannot be used."""
        return self._served[1]

    @cached_property
    def tools(self) -> tuple[Tool, ...]:
        """The functions that model code may call, search first, those of MCP servers last."""
        with named_by("functions of [tools]"):
            own = [tool for name in self.recipe.tools.named for tool in load_tools(name)]
        k, chars = self.recipe.tools.k, self.recipe.tools.passage_chars
        search = [search_tool(self.retriever, k, chars)] if self.retriever is not None else []
        served = self._served[0]
        names = [t.name for t in [*search, *own, *served]]
        twice = max(names, key=names.count, default="")
        if names.count(twice) > 1 and twice in {t.name for t in served}:
            raise UserError(f'two tools are called "{twice}"; name those to take of an MCP server as tools = [...]')
        if len(set(names)) < len(names):
            raise UserError(f'two tools are called "{twice}"' + (", one of them the search tool" if search else ""))
        return (*search, *own, *served)

    @property
    def collections(self) -> tuple[str, ...]:
        """What has to be collected for the recipe's students, in a fixed order; without any, for one of the default
        methods."""
        settings, students = self.recipe.collect, self.recipe.students or (StudentSettings(base=""),)
        needed = {learns for s in students for m in s.methods if (learns := method(m).learns)}
        if settings.trajectories:
            needed = (needed if self.recipe.students else set()) | set(settings.trajectories)
        elif settings.compare_prefix and needed & {"agent", "agent-prefix"}:
            needed |= {"agent", "agent-prefix"}
        return tuple(n for n in COLLECTIONS if n in needed)

    def environment(self, table: RolloutTable, tools: Sequence[Tool] | None = None) -> Environment:
        """A fresh sandbox with the recipe's limits and its tools, or those given. The caller closes it."""
        s = self.recipe.sandbox
        limits = Limits(wall_s=s.wall_s, memory_mb=s.memory_mb)
        return Environment(
            self.tools if tools is None else tools,
            mode=s.mode,
            limits=limits,
            observation_chars=table.observation_chars,
        )

    def rollout_settings(self, table: RolloutTable, m: Method) -> RolloutSettings:
        """How episodes of a stage are sampled for a method."""
        sampling = Sampling(table.temperature, table.top_p, table.max_new_tokens)
        consistency = self.recipe.evaluate.consistency if m.consistency else None
        seed = self.recipe.seed
        return RolloutSettings(table.max_steps, sampling, m.first_thought, seed, consistency, table.constrain)

    def teacher(self) -> Model:
        """The teacher, loaded anew."""
        settings = dict(self.recipe.teacher.settings)
        if self.recipe.teacher.model == "local" and "path" in settings:
            settings.setdefault("name", settings["path"])
            settings["path"] = runnable(settings["path"])
        return load_model(self.recipe.teacher.model, **settings)

    @property
    def teacher_key(self) -> dict[str, Any]:
        """What of the teacher's settings its trajectories depend on."""
        teacher = self.recipe.teacher
        kind = registry.fingerprint("models", teacher.model)
        return {"model": kind, "settings": identity(teacher.model, teacher.settings)}

    def rollout_inputs(self, split: str, trained: bool = False) -> dict[str, str]:
        """Hashes of what episodes depend on besides their settings: problems, corpus, tools and, unless the model was
        trained, worked examples."""
        inputs = {
            "problems": digest(self.problems(split)),
            "style": registry.fingerprint("prompts", self.recipe.prompt),
            **self.scorer_inputs(split),
            **self._tool_inputs(),
        }
        if not trained and self.recipe.examples is not None:
            inputs["examples"] = file_digest(Path(self.recipe.examples))
        return inputs

    def _tool_inputs(self) -> dict[str, str]:
        """Hashes of the corpus and of functions from outside."""
        inputs = {} if self.retriever is None else {"corpus": self.retriever.corpus}
        named = self.recipe.tools.named
        if len(named) == 1 and named[0].endswith(".py"):
            inputs["functions"] = digest(Path(named[0]).read_text(encoding="utf-8"))
        elif named:
            inputs["functions"] = digest([registry.fingerprint("tools", name) for name in named])
        return inputs

    def tool_key(self) -> dict[str, Any]:
        """What an episode's tools depend on."""
        return {**self._tools_shown(), **self._tool_inputs()}

    def _tools_shown(self) -> dict[str, Any]:
        tools = self.recipe.tools
        retriever = registry.fingerprint("retrievers", tools.retriever)
        search = [retriever, tools.k, *filter(None, [tools.retriever_settings, tools.passage_chars])]
        return {"search": [] if self.retriever is None else search, "tools": [t.signature for t in self.tools]}

    def scorer_inputs(self, split: str) -> dict[str, str]:
        """The hash of a split's scorers that are plug-ins from outside; empty where all are built in."""
        kinds = sorted({p.kind for p in self.problems(split)})
        ours = [registry.fingerprint("scorers", kind) for kind in kinds if scorers.may_change(kind)]
        return {"scorers": digest(ours)} if ours else {}

    def round_key(self, number: int | None) -> dict[str, int]:
        """Which round something is of, None being the last, where the recipe has rounds: no two share a result."""
        return {} if self.recipe.rounds is None else {"round": number or self.recipe.n_rounds}

    def rollout_key(self, table: RolloutTable, m: Method) -> dict[str, Any]:
        """The settings that a method's episodes depend on."""
        rollout = dataclasses.asdict(table)
        for other in _OF_THE_STAGE if m.consistency else (*_OF_THE_STAGE, "consistency"):
            rollout.pop(other, None)
        if table.constrain == "none" or not m.agent:  # as before there was the key
            rollout.pop("constrain")
        return {
            "rollout": to_dict(rollout),
            **self._tools_shown(),
            "sandbox": dataclasses.asdict(self.recipe.sandbox),
            "seed": self.recipe.seed,
        }


_OF_THE_STAGE = ("samples", "compare_prefix", "trajectories", "offer", "teacher")
"""Settings of a stage that say which episodes it has, not how one goes."""


def _keep(path: Path, value: Any) -> None:
    """Write a file of JSON; one that says the same already is left alone."""
    if not path.is_file() or path.read_bytes() != json_text(value).encode():
        write_json(path, value)


# --- the distilled agents of a run: for talking to them, not for measuring ---


def open_run(folder: Path) -> Run:
    """The run kept in a folder. Raises UserError where there is none."""
    try:
        data = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        if (folder / "verify-recipe.json").exists():
            raise UserError(f"{folder}: holds verification alone, no student; name the run of a student") from e
        why = "no run is there (no readable recipe.json)"
        raise UserError(f"{folder}: {why}; give a folder such as runs/tinyworld") from e
    return Run(recipe_from_json(data, folder / "recipe.json"), folder)


def find_student(run: Run, wanted: str | None = None) -> Path:
    """The folder of the student ``NAME--METHOD`` that was distilled as an agent; the first one where none is named.

    Raises UserError where there is none, or none of that name.
    """
    found = {
        f"{trained(run.folder, s, m).name}": trained(run.folder, s, m)
        for s in run.recipe.students
        for m in s.methods
        if method(m).distilled and method(m).agent
    }
    ready = {name: path for name, path in found.items() if (path / "training.json").exists()}
    if not ready:
        raise UserError(f"{run.folder}: no student has been distilled as an agent yet; run the recipe first")
    if wanted is None:
        return next(iter(ready.values()))
    if wanted not in ready:
        raise UserError(f'{run.folder}: no student is called "{wanted}" (there are: {", ".join(ready)})')
    return ready[wanted]


def weights_digest(weights: Path) -> str:
    """The content hash of a folder's weights, adapter or whole."""
    return digest([file_digest(w) for w in sorted(weights.glob("*.safetensors"))])


def load_student(run: Run, student: Path, device: str | None = None) -> Model:
    """The weights in a folder or ``.gguf`` file, with the batch size and, unless told otherwise, on the device that
    evaluation uses. A folder is read with the recipe's chat template, beside a ``.gguf`` file lies its own."""
    e = run.recipe.evaluate
    template = None if is_gguf(str(student)) else run.recipe.train.chat_template
    return load_model(
        "local",
        path=str(student),
        device=device or e.device,
        batch_size=e.batch_size,
        chat_template=template,
    )


def episode(
    run: Run,
    m: Method,
    environment: Environment,
    settings: RolloutSettings,
    problem: Problem,
    trace_id: str,
    trained: bool,
    called: str = "",
) -> Callable[[Model], Awaitable[Trace]]:
    """The episode that ``m`` makes of a problem, its trace with the method's name or that in ``called``.

    A model that was not trained is shown the worked examples.
    """
    template = run.template if trained else run.untrained_template
    name = called or m.name
    if m.agent:
        agent = partial(rollout, environment=environment, template=template, settings=settings, method=name)
        return partial(agent, problem=problem, trace_id=trace_id)
    found = run.passages(problem.question) if m.retrieval else ()
    chain = partial(chain_of_thought, passages=found, template=template, settings=settings, method=name)
    return partial(chain, problem=problem, trace_id=trace_id)


# --- where things lie in a run's folder ---


def collected(run: Path, name: str) -> Path:
    """The traces of a collection."""
    return run / "collect" / name / TRACES


def answered(run: Path, name: str) -> Path:
    """The traces of what the teacher was asked, where published ones join them in the collection."""
    return _round(run, 0) / "collect" / name / TRACES


def filtered(run: Path, name: str) -> Path:
    """The traces of a collection that passed the filter."""
    return run / "filter" / name / TRACES


def trained(run: Path, student: StudentSettings, method_name: str, number: int | None = None) -> Path:
    """The student trained for a method, in round ``number`` or, with None, in the last one.

    Methods that learn from the same collection share one.
    """
    return _round(run, number) / "train" / trained_name(student, method_name)


def trained_name(student: StudentSettings, method_name: str) -> str:
    """What the student trained for a method is called: after the first of the methods that share it."""
    learns = method(method_name).learns
    first = next(m for m in student.methods if method(m).learns == learns)
    return f"{student_name(student)}--{first}"


def trainings(recipe: Recipe) -> list[tuple[StudentSettings, str]]:
    """Every student that is trained with the method it is called after: one a student and collection."""
    pairs = [(s, m) for s in recipe.students for m in s.methods if method(m).distilled]
    return [(s, m) for s, m in pairs if trained_name(s, m) == f"{student_name(s)}--{m}"]


def sampled(run: Path, student: StudentSettings, method_name: str, number: int) -> Path:
    """The traces of round ``number``: the collection of the first, what the student before sampled for a later one."""
    if number == 1:
        return collected(run, method(method_name).learns or "")
    return _round(run, number) / "collect" / trained_name(student, method_name) / TRACES


def training_traces(run: Path, student: StudentSettings, method_name: str, number: int) -> Path:
    """The traces that the student of round ``number`` learns from."""
    if number == 1:
        return filtered(run, method(method_name).learns or "")
    return _round(run, number) / "filter" / trained_name(student, method_name) / TRACES


def _round(run: Path, number: int | None) -> Path:
    return run if number is None else run / "rounds" / str(number)


def evaluated(run: Path, model: str, method_name: str, number: int | None = None) -> Path:
    """The folder of one evaluation, of a round's student as in :func:`trained`."""
    return _round(run, number) / "evaluate" / f"{model}--{method_name}"


def elsewhere(run: Path, folder: Path) -> list[Path]:
    """Where the results of other rounds lie that a folder ``STAGE/NAME`` of one round may be the same as."""
    found = (root.glob(f"{folder.parent.name}/{folder.name}*") for root in (run, *sorted(run.glob("rounds/*"))))
    ours = re.compile(rf"{re.escape(folder.name)}(\.old-\d+)?")
    return [path for paths in found for path in sorted(paths) if ours.fullmatch(path.name)]
