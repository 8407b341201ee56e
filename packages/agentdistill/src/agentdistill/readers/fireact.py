"""FireAct's ReAct trajectories and chains of thought by GPT-4 (Chen et al. 2023, arXiv 2310.05915), on HotpotQA's and
StrategyQA's training questions. github.com/anchen1011/FireAct, MIT. Splits: hotpotqa, strategyqa (trajectories), cot.

``search[q]`` becomes ``print(search("q"))``, ``finish[x]`` becomes ``final_answer("x")``, and a snippet that was found
becomes a search result as ours read, without a title. For ``cot`` a trajectory's thoughts are joined to a chain of
thought (:mod:`agentdistill.readers._chain`), and its snippets are the passages that go with it. FireAct keeps what its
environment rewarded as right, so that answer counts as the gold one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from agentdistill.prompts import format_passages
from agentdistill.readers._chain import chain
from agentdistill.readers._draft import Draft, LeftOut, Turn
from agentdistill.readers._files import question_digest, rows, text_of
from agentdistill.retrieval import Passage
from agentdistill.tasks.benchmarks import Part
from agentdistill.tools import FINAL_ANSWER
from agentdistill.types import Problem, ToolCall

SPLITS = {"hotpotqa": ("agent", "cot"), "strategyqa": ("agent", "cot"), "cot": ("cot",)}
MODEL = "gpt-4"
_PARTS = {
    "hotpotqa": Part(("fireact/hotpotqa.json", "alpaca_format/hotpotqa.json"), ()),  # a benchmark's has that name too
    "strategyqa": Part(("multitask.json",), ()),
    "cot": Part(("multitask_multimethod.json",), ()),
}
_PIECE = re.compile(r"^(Thought|Action|Observation):[ \t]*", re.MULTILINE)
_ACTION = re.compile(r"(?P<name>search|finish)\[(?P<argument>.*)\]", re.DOTALL)
_REWARDED = re.compile(r"Episode finished, reward = (?:True|1)\.?")
_NOTHING = "None"
"""What FireAct's search observed where it found nothing."""


def parts(split: str) -> tuple[Part, ...]:
    """The files of a split."""
    return (_PARTS[split],)


def drafts(split: str, path: str | None, method: str) -> Iterator[Draft | LeftOut]:
    """The rows of a split, each as a trajectory."""
    for n, row in rows("fireact", _PARTS[split], path):
        where = f"fireact:{split}/{n}"
        question, pieces = text_of(row, "instruction").strip(), _pieces(text_of(row, "output"))
        if question.startswith("Question:"):
            yield LeftOut(where, "multiple choice (MMLU)")
        elif not _REWARDED.fullmatch(pieces[-1][1] if pieces else ""):
            yield LeftOut(where, "not rewarded as right")
        elif _of_hotpotqa(pieces) != (split == "hotpotqa") and split != "cot":
            yield LeftOut(where, "of another split")
        elif _searches(pieces) == (split == "cot"):
            yield LeftOut(where, "not a chain of thought" if split == "cot" else "answered without a search")
        else:
            yield _draft(split, question, pieces, where, method)


def _pieces(output: str) -> list[tuple[str, str]]:
    """What an output says, piece by piece, each with its kind: Thought, Action or Observation."""
    parts = _PIECE.split(output)
    return [(kind, text.strip()) for kind, text in zip(parts[1::2], parts[2::2], strict=True)]


def _of_hotpotqa(pieces: list[tuple[str, str]]) -> bool:
    """HotpotQA's environment rewards with True, the others with 1."""
    return pieces[-1][1].endswith("True")


def _searches(pieces: list[tuple[str, str]]) -> bool:
    return any(kind == "Action" and text.startswith("search[") for kind, text in pieces)


def _draft(split: str, question: str, pieces: list[tuple[str, str]], where: str, method: str) -> Draft | LeftOut:
    """Turns of a thought, an action and an observation; the last action is the answer."""
    kinds = "".join(kind[0] for kind, _ in pieces)
    actions = [_ACTION.fullmatch(text) for kind, text in pieces if kind == "Action"]
    names = [a["name"] if a else "" for a in actions]
    if not re.fullmatch("(TAO)+", kinds) or names != ["search"] * (len(actions) - 1) + ["finish"]:
        return LeftOut(where, "not thoughts, searches and an answer in turn")
    *queries, answer = [a["argument"].strip() for a in actions if a]
    thoughts, observed = ([text for kind, text in pieces if kind == wanted] for wanted in ("Thought", "Observation"))
    family = "fireact" if split == "cot" else split
    problem = Problem(f"fireact-{question_digest(question)}", question, answer, "short", family)
    notes = (("source", where), ("gold", "what was answered and rewarded as right"))
    if split == "cot":
        return Draft(problem, MODEL, (Turn(f"{thoughts[0]}\nAnswer: {answer}"),), notes, answer)
    snippets = ["" if text == _NOTHING else text for text in observed[:-1]]
    make = _acted if method == "agent" else _told
    return make(Draft(problem, MODEL, (), notes, answer), thoughts, queries, snippets)


def _acted(draft: Draft, thoughts: list[str], queries: list[str], snippets: list[str]) -> Draft:
    """The trajectory itself. ``snippets`` are what each query found, ``""`` for nothing."""
    turns = []
    for thought, query, snippet in zip(thoughts, queries, snippets, strict=False):
        result = format_passages(_passages([snippet]))
        call = ToolCall("search", json.dumps({"args": [query]}, ensure_ascii=False), result)
        turns.append(Turn(thought, f"print(search({_literal(query)}))", result, (call,)))
    turns.append(Turn(thoughts[-1], f"{FINAL_ANSWER}({_literal(draft.answer or '')})"))
    notes = (*draft.notes, ("search results", "stored snippets, numbered, without titles"))
    return replace(draft, turns=tuple(turns), notes=notes)


def _told(draft: Draft, thoughts: list[str], queries: list[str], snippets: list[str]) -> Draft | LeftOut:
    """The trajectory's thoughts as one chain of thought, with its snippets as passages."""
    answer = draft.problem.answer
    told = chain(draft.problem.question, thoughts, queries, snippets, answer)
    if not told.text:
        return LeftOut(dict(draft.notes)["source"], "thoughts that state nothing")
    notes = (*draft.notes, ("thought", "thoughts of the trajectory, without plans"))
    if told.n_quoted:
        notes = (*notes, ("findings", f"{told.n_quoted} quoted from stored snippets"))
    turn = Turn(f"{told.text}\nAnswer: {answer}")
    return replace(draft, turns=(turn,), notes=notes, passages=_passages(snippets))


def _passages(snippets: Sequence[str]) -> tuple[Passage, ...]:
    """Each snippet once, as a search result."""
    return tuple(Passage("", text) for text in dict.fromkeys(snippets) if text)


def _literal(text: str) -> str:
    """A text as a Python literal in double quotes, whose escapes JSON shares."""
    return json.dumps(text, ensure_ascii=False)
