"""What a recipe can say, table by table, with every default."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from agentdistill.executors import RaySettings
from agentdistill.filters import DEFAULT
from agentdistill.recipe._verification import VerifySettings
from agentdistill.tools.mcp import McpServer
from agentdistill.training.settings import TrainSettings
from agentdistill.types import Consistency


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemsSettings:
    """Where problems come from: a file, a hub dataset ``owner/name:split``, or a built-in task ``NAME:SPLIT``.

    ``train`` and ``test`` are one such source or several. ``fields`` maps our names (id, question, answer, kind,
    family, aliases) to the files' columns. ``limit_train`` and ``limit_test`` keep the first so many of each source;
    ``strict`` stops at the first bad row instead of skipping it. ``contamination`` says what becomes of training
    questions that are test questions too: ``drop`` leaves them out, ``report`` only counts them.
    """

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
    """The model to learn from: its kind (``endpoint``, ``local``, ``scripted``) and that kind's own settings."""

    model: str = "endpoint"
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolsSettings:
    """What model code may call. ``search`` is a corpus (file, glob, folder or task, or a list of those), ``k`` passages
    a query, each cut to ``passage_chars`` where that is set. ``functions`` is a Python file whose public functions are
    tools, a plug-in, or a list of those. A retriever that asks a server takes its ``url`` instead of a corpus;
    ``index`` is a folder for indexes that several runs share. ``mcp`` holds MCP servers by name, whose tools are
    offered too."""

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
    names what is read as a collection (``agent``, ``cot``, ...) in place of asking the teacher: a file, a hub dataset,
    one of :mod:`agentdistill.readers` as ``NAME:SPLIT[:N][@PATH]``, or several of them in a list; with ``teacher`` in
    the list, the teacher is asked as well. ``offer`` says which tools the prompt of such a trajectory offers: ``all``
    of the recipe's, or those ``used`` in it, for a student that is to answer both with tools and without.
    """

    samples: int = 1
    compare_prefix: bool = True
    trajectories: dict[str, str | tuple[str, ...]] = field(default_factory=dict)
    offer: Literal["all", "used"] = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterSettings:
    """Which filters a trajectory has to pass, in order. ``paired`` keeps only problems that every collection of the
    recipe has a passing trajectory of, so that all students learn from the same questions. ``questions`` keeps the
    trajectories of at most so many questions, drawn by the recipe's seed, evenly over their families."""

    keep: tuple[str, ...] = DEFAULT
    paired: bool = False
    questions: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudentSettings:
    """A model to teach, and the methods to try on it. ``name`` is shown in the report.

    ``train``: this student's own settings, where they are not those of all.
    """

    base: str
    name: str = ""
    methods: tuple[str, ...] = ("agent", "agent-distill-prefix", "cot-distill")
    train: TrainSettings | None = None
    train_cot: TrainSettings | None = None


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
class RoundsSettings:
    """Learning from one's own successes: collect, filter, train, ``n`` times, each time from the base.

    The first round collects from the teacher, or reads published trajectories; in every later one each student solves
    the training problems as it was trained in the round before, ``samples`` of ``[collect]`` a question. A question
    with ``enough`` right samples is sampled once. A student learns from the distinct successes of all rounds, at most
    ``per_question`` of its own a question. ``each`` evaluates the student of every round, not only of the last.
    """

    n: int = 2
    enough: int = 2
    per_question: int = 2
    each: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OnPolicySettings:
    """``agentdistill on-policy``: a student acts, its teacher corrects it, and it learns from that, in rounds.

    ``how`` ``correct``: the teacher goes on where the student went wrong. ``distill``: the student learns to write as
    the teacher would at its own tokens, by the divergence that ``beta`` names; for local teachers with its tokens.
    ``problems`` is where fresh problems come from, as in ``[problems]``; ``per_round`` how many a round takes, else an
    even share. The teacher goes on from up to ``tries`` prefixes of a failed trajectory. ``learn`` ``both`` trains on
    the student's own steps before the correction too, ``successes`` on what it got right by itself. ``tokens`` says
    which of the teacher's count: ``all`` that it reads and writes, or those ``written``. ``compare`` spends as many on
    plain collection, for comparison.
    """

    rounds: int = 2
    problems: str | None = None
    per_round: int | None = None
    student: str | None = None
    method: str = "agent-distill"
    how: Literal["correct", "distill"] = "correct"
    beta: float = 1.0
    tries: int = 3
    learn: Literal["teacher", "both"] = "teacher"
    successes: bool = False
    tokens: Literal["all", "written"] = "all"
    compare: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A whole run. ``jobs`` processes work side by side, where models are local and on CPU; ``style`` names prompts.

    ``examples`` is a file of worked examples that models which were not trained are shown in their prompts.
    ``executor`` says who runs the episodes: this machine's processes, or the workers of ``ray``. A recipe that only
    verifies has no students.
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
    style: str = "standard"
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


A_NAME = 'has to be letters, digits, ".", "-" or "_", the first a letter or digit'


def is_name(text: str) -> bool:
    """Whether a run or a student may be called so: names become folders."""
    return re.fullmatch(r"\w[\w.\-]*", text) is not None and ".old-" not in text
