"""Programs and rationales that trained mwp_ReFT (Luong et al. 2024, arXiv 2401.08967), on SVAMP's training questions.

github.com/lqtrung1998/mwp_ReFT, Apache-2.0; by gpt-3.5-turbo, as the papers say. Splits: all; free, without the
questions of ASDiv, which are CC BY-NC 4.0. A program's thought is taken from the rationale of the same question: that
pairing is ours.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from agentdistill.readers import _arithmetic as arithmetic
from agentdistill.readers._arithmetic import Number, Unreadable
from agentdistill.readers._asdiv import is_asdiv
from agentdistill.readers._draft import Draft, LeftOut, Turn
from agentdistill.readers._files import rows, text_of
from agentdistill.readers._words import numbers, numerals
from agentdistill.tasks.benchmarks import Part, Values
from agentdistill.types import Problem

SPLITS = {"all": ("agent", "cot"), "free": ("agent", "cot")}
MODEL = "gpt-3.5-turbo"
_PROGRAMS = Part(("svamp_python_sdp.json",), ())
_RATIONALES = Part(("svamp_nl.json",), ())
_SOLUTION = re.compile(r'\s*def solution\(\):\s*\n\s*""".*?"""\s*\n(?P<body>.*?)\n\s*return result\s*\Z', re.DOTALL)
_RESULT = re.compile(r"\nresult = (?P<name>[A-Za-z_]\w*)\Z")
_CLOSING = re.compile(r"\s*(?:Therefore, the|The) answer is <(?P<answer>[^<>]*)>\.?\s*\Z")
_SENTENCE = re.compile(r"(?<=[.:!?])\s+")
_ARITHMETIC = re.compile(r"\d\s*[-+*/x×÷=]\s*\$?\d|=")
_THOUGHT_WORDS = 45


def parts(split: str) -> tuple[Part, ...]:
    """The files of a split."""
    return (_PROGRAMS, _RATIONALES)


def drafts(split: str, path: str | None, method: str) -> Iterator[Draft | LeftOut]:
    """Every row of the programs, or of the rationales for ``cot``."""
    folder = path if path is None or Path(path).expanduser().is_dir() else str(Path(path).expanduser().parent)
    rationales = {text_of(row, "item_id"): row for _, row in rows("mwp_reft", _RATIONALES, folder)}
    source = rows("mwp_reft", _RATIONALES if method == "cot" else _PROGRAMS, folder)
    for _, row in source:
        item = text_of(row, "item_id")
        where = f"mwp_reft:{split}/{item}"
        question, gold = text_of(row, "question").strip(), _plain(text_of(row, "answer_value"))
        if not item or not question or gold is None:
            yield LeftOut(where, "no item, question or number as answer")
        elif split == "free" and is_asdiv(question):
            yield LeftOut(where, "a question of ASDiv")
        else:
            problem = Problem(f"mwp_reft-{item}", question, gold, "math", "mwp_reft")
            yield (
                _chain(problem, row, where) if method == "cot" else _program(problem, row, rationales.get(item), where)
            )


def _plain(text: str) -> str | None:
    """A number without a needless fraction: ``203.0`` as ``203``; None for what is no number."""
    try:
        value = float(text)
    except ValueError:
        return None
    return str(int(value)) if value == int(value) else str(value)


def _chain(problem: Problem, row: Values, where: str) -> Draft | LeftOut:
    """The rationale, its closing line as ours, and without a paragraph that only says the answer again."""
    text, said = _rationale(row)
    if said is None:
        return LeftOut(where, "a rationale without an answer")
    if not arithmetic.same(said, float(problem.answer)):
        return LeftOut(where, "a rationale with another answer")
    paragraphs = text.split("\n\n")
    last = paragraphs[-1]
    if len(paragraphs) > 1 and last.startswith("Therefore") and said in numerals("\n".join(paragraphs[:-1])):
        paragraphs.pop()
    notes = (("source", where), ("model", "as the papers say"), ("thought", "rationale"))
    turn = Turn("\n\n".join([*paragraphs, f"Answer: {problem.answer}"]))
    return Draft(problem, MODEL, (turn,), notes)


def _rationale(row: Values) -> tuple[str, Number | None]:
    """What a rationale says before its closing line, and the answer that it gives."""
    text = text_of(row, "answer_cot").strip()
    closing = _CLOSING.search(text)
    if closing is None or not text[: closing.start()].strip():
        return text, None
    try:
        return text[: closing.start()].strip(), arithmetic.number(closing["answer"])
    except Unreadable:
        return text, None


def _program(problem: Problem, row: Values, paired: Values | None, where: str) -> Draft | LeftOut:
    """The body of ``solution()``, its ``return result`` as ``final_answer``."""
    match = _SOLUTION.match(text_of(row, "answer_cot"))
    if match is None:
        return LeftOut(where, "no function solution() that returns result")
    body = textwrap.dedent(match["body"]).strip()
    result = _RESULT.search("\n" + body)
    kept = ("\n" + body)[: result.start()].strip() if result else ""
    code = f"{kept}\nfinal_answer({result['name']})" if kept and result else f"{body}\nfinal_answer(result)"
    notes = [("source", where), ("model", "as the papers say"), ("program", "solution() without its frame")]
    thought = _thought(problem, paired)
    if thought:
        notes.append(("thought", "rationale of the same question"))
    return Draft(problem, MODEL, (Turn(thought, code),), tuple(notes))


def _thought(problem: Problem, paired: Values | None) -> str:
    """The opening sentences of the paired rationale, where it is right, up to the first that computes or that holds a
    number which the question does not; ``""`` where it begins so."""
    if paired is None or text_of(paired, "question").strip() != problem.question:
        return ""
    text, said = _rationale(paired)
    gold = float(problem.answer)
    if said is None or not arithmetic.same(said, gold):
        return ""
    known = numbers(problem.question)
    out: list[str] = []
    for said_next in _SENTENCE.split(text.split("\n\n")[0]):
        told = [n for n in numerals(said_next) if arithmetic.same(n, gold) or n not in known]
        n_words = len(" ".join([*out, said_next]).split())
        if told or _ARITHMETIC.search(said_next) or n_words > _THOUGHT_WORDS:
            break
        out.append(said_next.strip())
    thought = " ".join(out).rstrip(" :,")
    return thought if not thought or thought[-1] in ".!?" else f"{thought}."
