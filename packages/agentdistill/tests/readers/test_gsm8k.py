"""GSM8K's annotated solutions as programs and as chains of thought."""

from __future__ import annotations

import pytest

from agentdistill.exchange.readers.program import NoProgram, program
from agentdistill.parse import extract_answer
from agentdistill.types import End, StepStatus


def code_of(question: str, solution: str, gold: float) -> list[str]:
    return program(question, solution, gold).code.splitlines()


def test_an_annotation_is_a_statement_and_its_sentence_the_comment(gsm8k, read):
    first = read(f"gsm8k@{gsm8k}").traces[0]
    [step] = first.steps
    assert step.code == (
        "# Ada baked rolls on Tuesday\nrolls_on_tuesday = 12 / 2\n"
        "# She baked rolls in all\nrolls = 12 + rolls_on_tuesday\nfinal_answer(rolls)"
    )
    assert step.reply.content == f"```python\n{step.code}\n```"
    assert (step.status, first.end, first.answer, first.correct) == (StepStatus.FINAL, End.ANSWERED, "18.0", True)
    assert (first.id, first.problem.id, first.model) == ("gsm8k-train-1", "gsm8k-train-1", "human")
    assert dict(first.notes) == {
        "source": "gsm8k:train/1", "program": "annotations", "thought": "sentence", "observations": "executed",
    }  # fmt: skip


def test_rows_that_give_no_program_are_counted_by_reason(gsm8k, read):
    found = read(f"gsm8k@{gsm8k}")
    assert [t.id for t in found.traces] == ["gsm8k-train-1", "gsm8k-train-2"]
    assert found.left_out == {"no equation": 1, "no equation gives the answer": 1}


def test_a_chain_of_thought_is_the_solution_without_annotations(gsm8k, read):
    found = read(f"gsm8k@{gsm8k}", method="cot")
    said = found.traces[0].steps[0].reply.content
    assert said == "Ada baked 12/2 = 6 rolls on Tuesday.\nShe baked 12+6 = 18 rolls in all.\nAnswer: 18"
    assert [t.problem.id for t in found.traces] == [f"gsm8k-train-{n}" for n in range(1, 5)]
    assert all(t.correct and extract_answer(t.steps[0].reply.content) == t.problem.answer for t in found.traces)


def test_numbers_as_people_write_them():
    asked = "1,000 for 05 at .5 of 20%, and 18.00 and 8 and 3 and 2"
    for solution, statement, gold in (
        ("1,000 x .5 = $<<1000*.5=500>>500 in cash", "cash = 1000 * 0.5", 500),
        ("It is 05*18.00 = <<05*18.00=90.00>>90.00 miles away", "miles_away = 5 * 18", 90),
        ("So 20% * 18 = <<20%*18=3.6>>3.6 tons", "tons = 20 / 100 * 18", 3.6),
        ("It is <<+8+3=11>>11 eggs", "eggs = 8 + 3", 11),
        ("It is -3+8 = <<-3+8=5>>5 eggs", "eggs = -3 + 8", 5),
        ("It is 2*(3+8) = <<2*(3+8)=22>>22 eggs", "eggs = 2 * (3 + 8)", 22),
        ("It is 2 boxes/row * 3 rows = 6 boxes here", "boxes_here = 2 * 3", 6),
    ):
        *_, found, last = code_of(asked, solution, gold)
        assert found == statement
        assert last == f"final_answer({statement.partition(' ')[0]})"


def test_a_comment_holds_no_number_that_only_the_code_gives():
    asked = "Tom picks 8 pears and 40 plums. How many pears in 3 days?"
    said = "He picks 24 pears because 8 x 3 = <<8*3=24>>24"
    assert code_of(asked, said, 24)[0] == "# He picks pears"
    said = "In 3 days he picks 8 pears * 3 = <<8*3=24>>24 pears, so twenty-four"
    assert code_of(asked, said, 24)[0] == "# In 3 days he picks pears"
    coincidence = "He has 40 left because 8*5 = <<8*5=40>>40"
    assert code_of(asked, coincidence, 40)[0] == "# He has left"


def test_a_literal_that_repeats_a_result_is_its_variable():
    asked = "Ann reads 40 pages a day for 5 days, then 200 pages in 2 days. How many pages?"
    said = "She reads 40*5 = <<40*5=200>>200 pages first.\nIn all 200+200 = <<200+200=400>>400 pages."
    *_, total, last = code_of(asked, said, 400)
    assert total == "pages = pages_first + 200", "one is the result, the other the question's own"
    assert last == "final_answer(pages)"
    said = "She reads 40*6 = <<40*6=240>>240 pages.\nThat is 240*2 = <<240*2=480>>480 words."
    assert "words = pages * 2" in code_of("40 pages for 6 days, 2 words?", said, 480)


def test_what_the_answer_does_not_need_is_left_out():
    asked = "A box has 6 rows of 7 eggs, 9 are broken. How many eggs?"
    said = "There are 6*7 = <<6*7=42>>42 eggs.\nThe rest is 42-9 = <<42-9=33>>33 whole eggs."
    assert code_of(asked, said, 42) == ["# There are eggs", "eggs = 6 * 7", "final_answer(eggs)"]


def test_names_are_valid_and_what_is_still_needed_keeps_its_own():
    asked = "3 and 4 and 5 and 6"
    said = "He has 3+4 = <<3+4=7>>7.\nThe sum is 3+5 = <<3+5=8>>8 sum\nTo 4+5 = <<4+5=9>>9 class\n"
    said += "All 7+8+9 = <<7+8+9=24>>24"
    found = program(asked, said, 24)
    assert found.variables == ("number", "sum_value", "class_value", "number"), (
        "a result that is used no more gives way"
    )
    assert all(v.isidentifier() and v not in ("sum", "class", "final_answer") for v in found.variables)


def test_taken_names_get_words_before_numbers():
    said = "In May she sells 3*4 = <<3*4=12>>12 eggs.\nIn June she sells 5*6 = <<5*6=30>>30 eggs.\n"
    said += "Each month there are 7*8 = <<7*8=56>>56 eggs.\nAltogether, 12+30+56 = <<12+30+56=98>>98 eggs."
    found = program("3 and 4, 5 and 6, 7 and 8", said, 98)
    assert found.variables == ("eggs", "june_sells_eggs", "month_eggs", "eggs")


@pytest.mark.parametrize(
    ("solution", "gold", "reason"),
    [
        ("She has nine.", 9, "no equation"),
        ("That is 3+4 = <<3+4=7>>7", 8, "no equation gives the answer"),
        ("That is 3*137 = <<3*137=411>>411", 411, "a number comes from nowhere"),
        ("A third is 10/3 = <<10/3=3.33>>3.33\nThat is 3.33*3 = <<3.33*3=9.99>>9.99", 9.99, "a rounded result gives"),
    ],
)
def test_why_a_solution_gives_no_program(solution, gold, reason):
    with pytest.raises(NoProgram, match=reason):
        program("3 and 4", solution, gold)
