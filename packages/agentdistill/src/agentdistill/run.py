"""A run: a recipe, its folder, and what the stages need to be handed: problems, tools, prompts, models."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from pathlib import Path
from typing import Any

from agentdistill.checkpoints import locate
from agentdistill.environment import Environment
from agentdistill.errors import DataError, RecipeError, UserError
from agentdistill.examples import ExampleStyle, read_examples
from agentdistill.methods import Method
from agentdistill.models import Model, load_model
from agentdistill.problems import load_problems
from agentdistill.prompts import Style, load_style
from agentdistill.recipe import Recipe, RolloutTable
from agentdistill.retrieval import Retriever, build_retriever, is_remote, open_corpus
from agentdistill.rollout import RolloutSettings
from agentdistill.sandbox import Limits
from agentdistill.store import digest, file_digest, json_text, to_dict, write_json
from agentdistill.tasks import find_task
from agentdistill.tools import Tool, load_functions
from agentdistill.types import Kind, Problem, Sampling, Trace


class Run:
    """What every stage of one run shares. Made in each process that works on it; nothing in it is written twice."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        self.recipe = recipe
        self.folder = folder

    def __reduce__(self) -> tuple[type[Run], tuple[Recipe, Path]]:
        return Run, (self.recipe, self.folder)  # what it holds open stays in its process

    def save_recipe(self) -> None:
        """Keep the resolved recipe beside the results; a file that says the same already is left alone."""
        resolved, path = dataclasses.asdict(self.recipe), self.folder / "recipe.json"
        if not path.is_file() or path.read_bytes() != json_text(resolved).encode():
            write_json(path, resolved)

    def problems(self, split: str) -> tuple[Problem, ...]:
        """The problems of ``train`` or ``test``. Raises UserError where they cannot be read or share an id."""
        return self._problems[split]

    @property
    def skipped(self) -> tuple[str, ...]:
        """One line for every row of the problem files that was left out."""
        return self._loaded[1]

    @property
    def _problems(self) -> dict[str, tuple[Problem, ...]]:
        return self._loaded[0]

    @cached_property
    def _loaded(self) -> tuple[dict[str, tuple[Problem, ...]], tuple[str, ...]]:
        settings = self.recipe.problems
        found: dict[str, tuple[Problem, ...]] = {}
        skipped: list[str] = []
        for split, source, limit in (
            ("train", settings.train, settings.limit_train),
            ("test", settings.test or "", settings.limit_test),
        ):
            if not source:
                found[split] = ()
                continue
            found[split], bad = self.load(source, limit)
            skipped += bad
        return found, tuple(skipped)

    def load(self, source: str, limit: int | None = None) -> tuple[tuple[Problem, ...], tuple[str, ...]]:
        """The problems of a source as the recipe's own are read, and a line for every row that was left out."""
        task = find_task(source)
        if task is not None:
            module, split = task
            return tuple(module.problems(split))[:limit], ()
        settings = self.recipe.problems
        kind: Kind | None = settings.kind  # type: ignore[assignment]  # checked by the loader
        loaded = load_problems(source, fields=settings.fields, kind=kind, limit=limit, strict=settings.strict)
        return loaded.problems, loaded.skipped

    @cached_property
    def style(self) -> Style:
        """The prompts."""
        return load_style(self.recipe.style)

    @cached_property
    def untrained_style(self) -> Style:
        """The prompts of models that were not trained: with the recipe's worked examples, where it has some."""
        path = self.recipe.examples
        return self.style if path is None else ExampleStyle(self.style, read_examples(Path(path)))

    def check_examples(self, m: Method) -> None:
        """Raise DataError where the recipe has worked examples, but none of how ``m`` answers."""
        style = self.untrained_style
        if isinstance(style, ExampleStyle) and not any(getattr(e, m.loop) for e in style.examples):
            why = f'no row has "{m.loop}", which the method {m.name} is prompted with'
            raise DataError(f"{self.recipe.examples}: {why}")

    def as_learned(self, trace: Trace) -> Trace:
        """The trace as a student learns it: without worked examples, which its own prompts do not have."""
        style = self.untrained_style
        return style.without(trace, self.tools) if isinstance(style, ExampleStyle) else trace

    @cached_property
    def retriever(self) -> Retriever | None:
        """The index of the corpus that search looks through, or its server's client; None where the recipe has none."""
        tools = self.recipe.tools
        if is_remote(tools.retriever):
            return build_retriever(tools.retriever, (), url=tools.url, **tools.retriever_settings)
        if tools.search is None:
            return None
        cache = Path(tools.index) if tools.index else self.folder / "index"
        task = find_task(tools.search)
        if task is not None and not hasattr(task[0], "corpus"):
            raise RecipeError(f'task "{tools.search}" brings no corpus to search')
        passages = task[0].corpus() if task is not None else open_corpus(tools.search, cache)
        return build_retriever(tools.retriever, passages, cache=cache, **tools.retriever_settings)

    @cached_property
    def tools(self) -> tuple[Tool, ...]:
        """The functions that model code may call, search first, those of MCP servers last."""
        from agentdistill.tools.mcp import mcp_tools
        from agentdistill.tools.search import search_tool

        own = load_functions(Path(self.recipe.tools.functions)) if self.recipe.tools.functions else []
        search = [search_tool(self.retriever, self.recipe.tools.k)] if self.retriever is not None else []
        served = mcp_tools(self.recipe.tools.mcp)
        names = [t.name for t in [*search, *own, *served]]
        twice = max(names, key=names.count, default="")
        if names.count(twice) > 1 and twice in {t.name for t in served}:
            raise UserError(f'two tools are called "{twice}"; name those to take of an MCP server as tools = [...]')
        if len(set(names)) < len(names):
            raise UserError(f'{self.recipe.tools.functions}: the name "search" is taken by the search tool')
        return (*search, *own, *served)

    def environment(self, table: RolloutTable) -> Environment:
        """A fresh sandbox with the recipe's tools and limits. The caller closes it."""
        s = self.recipe.sandbox
        limits = Limits(wall_s=s.wall_s, memory_mb=s.memory_mb)
        return Environment(self.tools, mode=s.mode, limits=limits, observation_chars=table.observation_chars)

    def rollout_settings(self, table: RolloutTable, m: Method) -> RolloutSettings:
        """How episodes of a stage are sampled for a method."""
        sampling = Sampling(table.temperature, table.top_p, table.max_new_tokens)
        vote = self.recipe.evaluate.consistency if m.votes else None
        return RolloutSettings(table.max_steps, sampling, m.prefix, self.recipe.seed, vote)

    def teacher(self) -> Model:
        """The teacher, loaded anew."""
        settings = dict(self.recipe.teacher.settings)
        if self.recipe.teacher.model == "local" and "path" in settings:
            settings.setdefault("name", settings["path"])
            settings["path"] = locate(settings["path"])
        return load_model(self.recipe.teacher.model, **settings)

    def rollout_inputs(self, split: str, trained: bool = False) -> dict[str, str]:
        """Hashes of what episodes hang on besides their settings: problems, corpus, tools and, unless the model was
        trained, worked examples."""
        inputs = {"problems": digest(self.problems(split)), "style": self.recipe.style}
        if self.retriever is not None:
            inputs["corpus"] = self.retriever.corpus
        functions = self.recipe.tools.functions
        if functions:
            inputs["functions"] = digest(Path(functions).read_text(encoding="utf-8"))
        if not trained and self.recipe.examples is not None:
            inputs["examples"] = file_digest(Path(self.recipe.examples))
        return inputs

    def round_key(self, number: int | None) -> dict[str, int]:
        """Which round something is of, None being the last, where the recipe has rounds: no two share a result."""
        return {} if self.recipe.rounds is None else {"round": number or self.recipe.n_rounds}

    def rollout_key(self, table: RolloutTable, m: Method) -> dict[str, Any]:
        """The settings that a method's episodes hang on."""
        tools = self.recipe.tools
        settings = tools.retriever_settings  # where there are none, the key is what it was before there could be any
        rollout = dataclasses.asdict(table)
        rollout.pop("trajectories", None)
        if not m.votes:
            rollout.pop("consistency", None)
        return {
            "rollout": to_dict(rollout),
            "tools": [tools.retriever, tools.k, [t.signature for t in self.tools], *filter(None, [settings])],
            "sandbox": dataclasses.asdict(self.recipe.sandbox),
            "seed": self.recipe.seed,
        }
