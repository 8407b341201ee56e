"""Public benchmarks: where a split is found, how its rows become problems, and the table of them.

A split is written ``SPLIT[:N][@PATH]``: the first ``N`` problems, from the file or folder ``PATH``. Without a path the
file is looked for in the folder that the environment variable ``AGENTDISTILL_DATA`` names, and then the hub is asked.
Files are in the form of the agent-distillation paper's own (``{"metadata", "examples": […]}``) or as the hub has them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from agentdistill.errors import DataError, UserError
from agentdistill.parse import closing_bracket
from agentdistill.problems import Row, as_text, as_texts, open_source, supporting_titles
from agentdistill.retrieval import Passage, passages_of
from agentdistill.store import digest
from agentdistill.types import Problem

FOLDER_VARIABLE = "AGENTDISTILL_DATA"
_SPEC = re.compile(r"(?P<name>[\w-]*)(?::(?P<n>\d*))?(?:@(?P<path>.+))?", re.DOTALL)
_QUESTION = ("question", "problem", "Question", "input")
_ANSWER = ("answer", "Answer", "target")
_ALIASES = ("aliases", "answer_aliases", "answer_alias")
_ID = ("id", "_id", "question_id", "unique_id", "item_id", "ID")
_BESIDE = frozenset({"context", "paragraphs"})
_LABELS = ("level", "category", "subject", "type")

RowValues = Mapping[str, Any]
"""The columns of a row."""


@dataclass(frozen=True, slots=True)
class SplitSource:
    """A split, or part of one: the names its file may have (globs), and its datasets on the hub, read in turn.

    ``label`` goes into the ids, where the files of one split number their problems alike. ``keep`` says which rows
    belong to it. ``family`` is that of its problems, where it is not the benchmark's name.
    """

    files: tuple[str, ...]
    hub: tuple[str, ...]
    label: str = ""
    keep: Callable[[RowValues], bool] = bool
    family: str = ""


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a row says: a question, its gold answer first and its aliases after it. No answers: the row is left out."""

    question: str
    answers: tuple[str, ...]


Reader = Callable[[RowValues], Drawn]


def plain_row(values: RowValues) -> Drawn:
    """A row with the question, the answer and its aliases in columns of their own, under any of their usual names."""
    answers = _first(values, _ANSWER)
    return Drawn(question_of(values), (*answers, *_first(values, _ALIASES)) if answers else ())


def question_of(values: RowValues) -> str:
    """The question of a row, under any of its usual names; ``""`` where there is none."""
    return " ".join(_first(values, _QUESTION))


def labels_of(values: RowValues) -> tuple[tuple[str, str], ...]:
    """What a row says of its problem's level, category, subject and type, of those that it names.

    >>> labels_of({"level": 3, "subject": "Algebra", "question": "2x = 4"})
    (('level', '3'), ('subject', 'Algebra'))
    """
    return tuple((name, said) for name in _LABELS if (said := as_text(values.get(name))))


def _first(values: RowValues, names: tuple[str, ...]) -> list[str]:
    """The texts of the first column there is; none where there is none."""
    for name in names:
        if values.get(name) is not None:
            return as_texts(values[name]) or []
    return []


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A public benchmark: its splits by name, which scorer its answers are for, and how its rows are read."""

    name: str
    kind: str
    parts: Mapping[str, tuple[SplitSource, ...]]
    read: Reader = plain_row

    def problems(self, spec: str) -> list[Problem]:
        """The problems of ``SPLIT[:N][@PATH]``; their family is the part's or the benchmark's name, their labels what
        rows say.

        A row without an answer is left out (the paper's MATH files have four). Raises UserError for a split that does
        not exist, DataError for a missing or malformed file, InfrastructureError where the hub cannot be reached.
        """
        name, n, path = self._split(spec)
        found: dict[str, Problem] = {}
        for part, row in _rows(self, name, path):
            if n is not None and len(found) >= n:
                break
            problem = self._problem(row, part)
            if problem is None:
                continue
            if found.setdefault(problem.id, problem) != problem:
                raise DataError(f"{row.where}: id {problem.id!r} was there before")
        if not found:
            raise DataError(f"{self.name}:{spec}: no problem with an answer in it")
        return list(found.values())

    def _split(self, spec: str) -> tuple[str, int | None, str | None]:
        name, n, path = parse_spec(spec)
        if name not in self.parts:
            raise UserError(f'{self.name} has no split "{name}"; there are: {", ".join(self.parts)}')
        return name, n, path

    def _problem(self, row: Row, part: SplitSource) -> Problem | None:
        if not isinstance(row.values, Mapping):
            raise DataError(f"{row.where}: {row.fault or f'expected an object, got {type(row.values).__name__}'}")
        drawn = self.read(row.values)
        if not drawn.question:
            raise DataError(f"{row.where}: no question (the row has: {', '.join(map(str, list(row.values)[:6]))})")
        if not drawn.answers:
            return None
        answer, *more = drawn.answers
        own = next((as_text(row.values[k]) for k in _ID if row.values.get(k) is not None), "")
        identity = "-".join(filter(None, (self.name, part.label, own or digest([drawn.question, answer]))))
        aliases = tuple(a for a in dict.fromkeys(more) if a != answer)
        labels, supporting = labels_of(row.values), supporting_titles(row.values)
        family = part.family or self.name
        return Problem(identity, drawn.question, answer, self.kind, family, aliases, labels, supporting)


class MultiHop(Benchmark):
    """A benchmark whose questions bring passages along, which can be searched."""

    def corpus(self, spec: str) -> list[Passage]:
        """The passages that the questions of ``SPLIT[:N][@PATH]`` bring along, in order, duplicates included.

        Raises as ``problems`` does, and DataError where the questions bring none.
        """
        name, n, path = self._split(spec)
        found: list[Passage] = []
        for _, row in islice(_rows(self, name, path), n):
            if not isinstance(row.values, Mapping) or _BESIDE.isdisjoint(row.values):
                raise DataError(f"{row.where}: no passages beside the question; name a corpus of its own")
            found += passages_of(row.values, row.where)
        return found


@dataclass(frozen=True, slots=True)
class Suite:
    """Several benchmarks as one task. Its splits are lists of them."""

    name: str
    splits: Mapping[str, tuple[Benchmark, ...]]

    def problems(self, spec: str) -> list[Problem]:
        """The problems of ``SPLIT[:N][@FOLDER]``, ``N`` of each benchmark. Raises as :class:`Benchmark` does."""
        name, _, _ = parse_spec(spec)
        if name not in self.splits:
            raise UserError(f'{self.name} has no split "{name}"; there are: {", ".join(self.splits)}')
        return [p for benchmark in self.splits[name] for p in benchmark.problems(spec)]


def parse_spec(spec: str, default: str = "test") -> tuple[str, int | None, str | None]:
    """``SPLIT[:N][@PATH]`` taken apart. Raises UserError where it is not of that form.

    >>> parse_spec("test:50@/data/hotpotqa.json")
    ('test', 50, '/data/hotpotqa.json')
    """
    match = _SPEC.fullmatch(spec)
    if match is None or match["n"] == "0":
        raise UserError(f'"{spec}" is no split of a benchmark; write SPLIT, SPLIT:N, SPLIT@PATH or SPLIT:N@PATH')
    return match["name"] or default, int(match["n"]) if match["n"] else None, match["path"]


def _rows(benchmark: Benchmark, split: str, path: str | None) -> Iterator[tuple[SplitSource, Row]]:
    """Every row of a split, each with its part; a file that is named is one part."""
    given = Path(path).expanduser() if path is not None else None
    if given is not None and not given.is_dir():
        whole = replace(benchmark.parts[split][0], label="")
        yield from ((whole, row) for row in open_source(str(given)).rows)
        return
    for part in benchmark.parts[split]:
        found = sources(benchmark.name, part, given)
        if not found:
            way_out = f"write {benchmark.name}:{split}@FOLDER, or name the folder in {FOLDER_VARIABLE}"
            raise DataError(f"{benchmark.name}:{split}: no file of it given ({', '.join(part.files)}); {way_out}")
        for source in found:
            rows = open_source(source).rows
            yield from ((part, row) for row in rows if not isinstance(row.values, Mapping) or part.keep(row.values))


def sources(name: str, part: SplitSource, given: Path | None) -> tuple[str, ...]:
    """Where a part is read from: the folder given, else the folder of the environment, else the hub."""
    from_environment = os.environ.get(FOLDER_VARIABLE)
    folder = given or (Path(from_environment).expanduser() if from_environment else None)
    if folder is not None:
        for pattern in part.files:
            for depth in ("", "*/", "*/*/"):
                found = sorted(folder.glob(depth + pattern))
                if found:
                    return (str(found[0]),)
        if given is not None or not folder.is_dir():
            raise DataError(f"{folder}: no file of {name} in it (looked for {', '.join(part.files)})")
    return part.hub


# --- rows that are not plain ------------------------------------------------------------------------------------------

_ASK_FOR_LETTER = "Answer with the letter of the right option."


def _gsm8k_row(values: RowValues) -> Drawn:
    """The answer follows ``####``, after its solution."""
    drawn = plain_row(values)
    return Drawn(drawn.question, tuple(a.rpartition("####")[2].strip() for a in drawn.answers))


def _math_row(values: RowValues) -> Drawn:
    """The hub has no answers, only solutions, whose last ``\\boxed{…}`` holds the answer."""
    if "answer" in values:
        return plain_row(values)
    _, box, rest = str(values.get("solution") or "").rpartition(r"\boxed{")
    end = closing_bracket(rest, 0) if box else None
    answer = rest[:end].strip() if end is not None else ""
    return Drawn(question_of(values), (answer,) if answer else ())


def _mmlu_pro_row(values: RowValues) -> Drawn:
    """The gold answer is the letter; the option's own text counts too, unless it is the name of another option."""
    options = as_texts(values.get("options")) or []
    letter = as_text(values.get("answer")).upper()
    known = ascii_uppercase[: len(options)]
    if not letter or letter not in known:
        return Drawn(question_of(values), ())
    lines = [f"{name}. {text}" for name, text in zip(known, options, strict=True)]
    text = options[known.index(letter)]
    aliases = () if text.upper() in known or options.count(text) > 1 else (text, f"{letter}. {text}")
    return Drawn("\n".join([question_of(values), "", *lines, "", _ASK_FOR_LETTER]), (letter, *aliases))


def _svamp_row(values: RowValues) -> Drawn:
    """The release has a ``Body`` before its ``Question``; its answers are floats, or texts such as ``"14.0"``."""
    question = f"{as_text(values.get('Body'))} {question_of(values)}".strip()
    answer = next((as_text(values[k]) for k in ("Answer", "answer_value", "answer") if k in values), "")
    try:
        return Drawn(question, (as_text(float(answer)),))
    except ValueError:
        return Drawn(question, ())


# --- the benchmarks ---------------------------------------------------------------------------------------------------
# Where the agent-distillation paper (arXiv 2505.17612) samples a benchmark, its own files hold exactly its sample. From
# the hub, ``test`` is the whole validation split where test answers are not public.

_SUBJECTS = "algebra counting_and_probability geometry intermediate_algebra number_theory prealgebra precalculus"
_HUB = tuple(f"EleutherAI/hendrycks_math/{subject}:train" for subject in _SUBJECTS.split())
_HARD = SplitSource(("math_1000*.json",), _HUB, "hard", lambda v: v.get("level") in ("Level 4", "Level 5"))
_MEDIUM = SplitSource(("math_medium_1000*.json",), _HUB, "medium", lambda v: v.get("level") in ("Level 2", "Level 3"))

AIME = Benchmark("aime", "math", {"test": (SplitSource(("aime_90*.json",), ("AI-MO/aimo-validation-aime:train",)),)})
"""AIME 2022 to 2024: 90 competition problems whose answers are whole numbers from 0 to 999."""

BAMBOOGLE = Benchmark(
    "bamboogle", "short", {"test": (SplitSource(("bamboogle_125*.json",), ("chiayewken/bamboogle:test",)),)}
)
"""Bamboogle (Press et al. 2023, arXiv 2210.03350): 125 two-step questions that no search engine answered. MIT."""

GSM8K = Benchmark(
    "gsm8k",
    "math",
    {
        "test": (SplitSource(("gsm8k_test*.jsonl", "test.jsonl"), ("openai/gsm8k/main:test",)),),
        "train": (SplitSource(("gsm8k_train*.jsonl", "train.jsonl"), ("openai/gsm8k/main:train",)),),
    },
    _gsm8k_row,
)
"""GSM8K (Cobbe et al. 2021, arXiv 2110.14168): word problems of grade school, 7,473 to train and 1,319 to test. MIT."""

GSM_HARD = Benchmark(
    "gsm_hard",
    "math",
    {
        "test": (
            SplitSource(
                ("gsm_hard_500*.json", "gsm_hard*.jsonl", "gsmhardv2.jsonl"), ("reasoning-machines/gsm-hard:train",)
            ),
        )
    },
)
"""GSM-Hard (Gao et al. 2023, arXiv 2211.10435): GSM8K's test problems with large numbers. MIT. From the hub all 1,319,
the paper's file has 500. Some gold answers carry floating-point noise."""

HOTPOTQA = MultiHop(
    "hotpotqa",
    "short",
    {
        "test": (
            SplitSource(
                ("hotpotqa_500*.json", "hotpot_dev_*.json", "hotpotqa_distractor*.csv"),
                ("hotpotqa/hotpot_qa/distractor:validation",),
            ),
        ),
        "train": (
            SplitSource(("hotpotqa_1000*.json", "hotpot_train_*.json"), ("hotpotqa/hotpot_qa/distractor:train",)),
        ),
        "dev_100": (SplitSource(("hotpotqa_distractor_100.csv",), (), family="hotpotqa-dev"),),
        "train_100": (SplitSource(("hotpotqa_100.json",), (), family="hotpotqa-train100"),),
        "train_500": (SplitSource(("hotpotqa_train_500_with_passages.json",), (), family="hotpotqa-train500"),),
    },
)
"""HotpotQA (Yang et al. 2018, arXiv 1809.09600): questions that need two Wikipedia articles. CC BY-SA 4.0.

The paper trains on 1,000 questions of ``train`` and tests on 500. Three samples are known by the files they were
published as: ``dev_100``, ExpeL's of the validation split (``hotpotqa_distractor_100.csv``); ``train_100``, HippoRAG's
(``hotpotqa_100.json``), whose levels, easy to hard, only training questions have; ``train_500``, KnowAgent's training
questions (``hotpotqa_train_500_with_passages.json``). All but the paper's files bring ten passages a question, two of
which hold the answer. The samples are families of their own, so that a report separates results on training questions
from those on the validation split."""

MATH = Benchmark("math", "math", {"train": (_HARD, _MEDIUM), "hard": (_HARD,), "medium": (_MEDIUM,)}, _math_row)
"""MATH (Hendrycks et al. 2021, arXiv 2103.03874): the paper's training problems. MIT. ``hard`` and ``medium`` are its
two files of 1,000 (levels 4 and 5; levels 2 and 3), and ``train`` is both; four of their rows have no answer and are
left out. From the hub each is every training problem of those levels. To test, there is ``math500``."""

MATH500 = Benchmark("math500", "math", {"test": (SplitSource(("math_500*.json",), ("HuggingFaceH4/MATH-500:test",)),)})
"""MATH-500 (Lightman et al. 2023, arXiv 2305.20050): 500 test problems of MATH. MIT."""

MMLU_PRO = Benchmark(
    "mmlu_pro",
    "short",
    {
        split: (SplitSource((f"mmlu_pro_{split}*.*", f"mmlu_pro/{split}-*.parquet"), (f"TIGER-Lab/MMLU-Pro:{split}",)),)
        for split in ("test", "validation")
    },
    _mmlu_pro_row,
)
"""MMLU-Pro (Wang et al. 2024, arXiv 2406.01574): questions of fourteen subjects with up to ten options each. MIT."""

MUSIQUE = MultiHop(
    "musique",
    "short",
    {"test": (SplitSource(("musique_500*.json", "musique_ans_*dev.jsonl"), ("dgslibisey/MuSiQue:validation",)),)},
)
"""MuSiQue (Trivedi et al. 2022, arXiv 2108.00573): questions composed of two to four steps, with aliases. CC BY 4.0."""

OLYMMATH = Benchmark(
    "olymmath",
    "math",
    {
        "test": (
            SplitSource(
                ("olymmath_200*.json",), ("RUC-AIBOX/OlymMATH/en-easy:test", "RUC-AIBOX/OlymMATH/en-hard:test")
            ),
        )
    },
)
"""OlymMATH (Sun et al. 2025, arXiv 2503.21380), in English: 100 easy and 100 hard olympiad problems. MIT."""

SVAMP = Benchmark(
    "svamp",
    "math",
    {"test": (SplitSource(("svamp_test*.json", "SVAMP.json"), ("ChilleD/SVAMP:train", "ChilleD/SVAMP:test")),)},
    _svamp_row,
)
"""SVAMP (Patel et al. 2021, arXiv 2103.07191): 1,000 word problems that vary others just enough to change the answer.
MIT. The release holds them in one file and trains on other sets, so all are ``test``; the hub has them in two splits,
which are read as one."""

TWO_WIKI = MultiHop(
    "2wikimultihopqa",
    "short",
    {"test": (SplitSource(("2wikimultihopqa_500*.json",), ("framolfese/2WikiMultihopQA:validation",)),)},
)
"""2WikiMultiHopQA (Ho et al. 2020, arXiv 2011.01060): two-step questions made from Wikidata and Wikipedia.
Apache-2.0."""

PAPER = Suite(
    "paper",
    {
        "train": (HOTPOTQA, MATH),
        "test": (HOTPOTQA, MUSIQUE, TWO_WIKI, BAMBOOGLE, MATH500, GSM_HARD, AIME, OLYMMATH),
    },
)
"""What the agent-distillation paper trains and tests on: ``train``, 1,000 questions of HotpotQA and 2,000 of MATH;
``test``, its eight benchmarks. The samples are exactly the paper's where its authors' files are given, with ``@FOLDER``
or ``AGENTDISTILL_DATA``."""
