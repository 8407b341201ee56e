"""mwp_ReFT's programs and rationales, paired by question."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from published_rows import write

from agentdistill.errors import DataError

PROGRAM = '''def solution():
    """{q}"""
    n_old = 29
    n_new = 7
    n_all = n_old * n_new
    result = n_all
    return result'''
THEIRS = "There are 29 nests of another collection?"
RATIONALE = (
    "To find how many there are, we multiply 29 by 7. This is simple:\n\n29 * 7 = 203 birds\n\n"
    "Therefore, there are 203 birds.\n\nTherefore, the answer is <203>."
)


def row(item: str, question: str, answer: str, gold: str = "203.0") -> dict[str, Any]:
    return {"item_id": item, "question": question, "answer_cot": answer, "answer_value": gold}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ours = [f"There are 29 nests with {n} eggs?" for n in range(5)]
    loop = (
        'def solution():\n    """q"""\n    result = 0\n    for i in range(3):\n        result += i\n    return result'
    )
    programs = [
        row("svamp_0", ours[0], PROGRAM.format(q=ours[0])),
        row("svamp_1", ours[1], PROGRAM.format(q=ours[1])),
        row("svamp_2", ours[2], PROGRAM.format(q=ours[2]), "204.0"),
        row("svamp_3", ours[3], loop, "3.0"),
        row("svamp_4", ours[4], "print(1)"),
        row("svamp_5", THEIRS, PROGRAM.format(q=THEIRS)),
    ]
    rationales = [
        row("svamp_0", ours[0], RATIONALE.replace("29 by 7", "them")),
        row("svamp_1", ours[1], "There are 203 birds in all.\n\n29 * 7 = 203\n\nTherefore, the answer is <203>."),
        row("svamp_2", ours[2], RATIONALE.replace("<203>", "<36>")),
        row("svamp_3", ours[3], "This was answered before. The answer is nowhere.", "3.0"),
        row("svamp_5", THEIRS, RATIONALE),
    ]
    write(tmp_path / "svamp_python_sdp.json", programs)
    write(tmp_path / "svamp_nl.json", rationales)
    return tmp_path


def test_the_function_is_unwrapped_and_its_thought_is_the_rationales(folder, read):
    found = read(f"mwp_reft@{folder}")
    first, second, third, fourth = found.traces
    code = "n_old = 29\nn_new = 7\nn_all = n_old * n_new\nfinal_answer(n_all)"
    assert [t.steps[0].code for t in (first, second, fourth)] == [code] * 3
    thought = "To find how many there are, we multiply them. This is simple."
    assert first.steps[0].reply.content == f"Thought: {thought}\n```python\n{code}\n```"
    assert dict(first.notes)["thought"] == "rationale of the same question"
    assert second.steps[0].reply.content == f"```python\n{code}\n```", "its rationale begins with the answer"
    assert "thought" not in dict(second.notes)
    assert third.steps[0].code == "result = 0\nfor i in range(3):\n    result += i\nfinal_answer(result)"
    assert found.left_out == {
        "the program does not give the answer": 1, "no function solution() that returns result": 1,
    }  # fmt: skip
    assert all(t.correct and t.model == "gpt-3.5-turbo" for t in found.traces)


def test_a_rationale_ends_in_our_answer_line(folder, read):
    found = read(f"mwp_reft:all@{folder}", method="cot")
    assert [t.problem.id for t in found.traces] == [f"mwp_reft-svamp_{n}" for n in (0, 1, 5)]
    assert found.traces[0].steps[0].reply.content == (
        "To find how many there are, we multiply them. This is simple:\n\n29 * 7 = 203 birds\n\nAnswer: 203"
    )
    assert found.left_out == {"a rationale with another answer": 1, "a rationale without an answer": 1}


def test_free_has_no_question_of_asdiv(folder, read, monkeypatch):
    monkeypatch.setattr("agentdistill.exchange.readers.mwp_reft.is_asdiv", lambda question: question == THEIRS)
    found = read(f"mwp_reft:free@{folder}")
    assert [t.problem.id for t in found.traces] == [f"mwp_reft-svamp_{n}" for n in (0, 1, 3)]
    assert found.left_out["a question of ASDiv"] == 1


def test_where_the_files_are_missing(tmp_path, read, monkeypatch):
    monkeypatch.delenv("AGENTDISTILL_DATA", raising=False)
    with pytest.raises(DataError, match=r"svamp_nl.json in AGENTDISTILL_DATA"):
        read("mwp_reft")
    with pytest.raises(DataError, match="no file of mwp_reft in it"):
        read(f"mwp_reft@{tmp_path}")
