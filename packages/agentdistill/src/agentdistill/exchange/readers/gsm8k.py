"""GSM8K's solutions (Cobbe et al. 2021, arXiv 2110.14168), written by people. MIT. Splits: train.

Their calculator annotations, ``48/2 = <<48/2=24>>24``, give the program: one statement an annotation, the comment from
its sentence. What is ours in it: the comments' cuts, the variables' names, and which literals became a variable. As
``cot``: the solution as it is, without annotations.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from agentdistill.exchange.readers.collection import Draft, LeftOut, Turn, rows, text_of
from agentdistill.exchange.readers.program import NoProgram, program
from agentdistill.problems.benchmarks import SplitSource
from agentdistill.types import Problem

SPLITS = {"train": ("agent", "cot")}
_PART = SplitSource(("gsm8k_train*.jsonl", "train.jsonl"), ("openai/gsm8k/main:train",))
_ANNOTATION = re.compile(r"<<[^<>]*>>")


def parts(split: str) -> tuple[SplitSource, ...]:
    """The files of a split."""
    return (_PART,)


def drafts(split: str, path: str | None, method: str) -> Iterator[Draft | LeftOut]:
    """Every row; one whose equations do not give its answer is left out as a program."""
    for n, row in rows("gsm8k", _PART, path):
        where = f"gsm8k:{split}/{n}"
        solution, _, gold = (part.strip() for part in text_of(row, "answer").rpartition("####"))
        gold = gold.replace(",", "")
        question = text_of(row, "question").strip()
        if not question or not solution or not re.fullmatch(r"-?\d+(\.\d+)?", gold):
            yield LeftOut(where, "no question, solution or number as answer")
            continue
        problem = Problem(f"gsm8k-{split}-{n}", question, gold, "math", "gsm8k")
        if method == "cot":
            text = f"{_ANNOTATION.sub('', solution)}\nAnswer: {gold}"
            yield Draft(problem, "human", (Turn(text),), (("source", where), ("thought", "solution")))
            continue
        try:
            code = program(question, solution, float(gold)).code
        except NoProgram as e:
            yield LeftOut(where, str(e))
            continue
        notes = (("source", where), ("program", "annotations"), ("thought", "sentence"))
        yield Draft(problem, "human", (Turn("", code),), notes)
