"""The answer of a chain of thought, in the many ways that models write it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdistill import scorers
from agentdistill.parse import extract_answer, first_thought, last_boxed


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("2 * 3 = 6\n\nAnswer: 6", "6"),
        ("Answer: 5\n\nAnswers vary.", "5"),
        ("answer: Paris\nmore\nAnswer: Rome", "Rome"),
        ("**Answer:** 5", "5"),
        ("**Answer**: **5**", "5"),
        ("Final Answer: 1/2", "1/2"),
        ("The answer is **Paris**.", "Paris"),
        ("So the final answer is 12", "12"),
        ("Answer:\n42", "42"),
        ("Answer: 2**3", "2**3"),
        ("Thus \\boxed{\\frac{1}{2}} holds.\nAnswer: 7", "\\frac{1}{2}"),
        ("\\boxed{1} then \\boxed{2}", "2"),
        ("\\boxed{unfinished\nAnswer: 3", "3"),
        ("\\boxed{42} and so \\boxed{}", "42"),
        ("\\boxed{\\boxed{42}}", "42"),
        ("\\fbox{42}", "42"),
        ("so \\boxed 42.", "42"),
        ("**Final Answer**\n42", "42"),
        ("**Final Answer:**\n\n42", "42"),
        ("### Answer\n42", "42"),
        ("## Final answer: 42", "42"),
        ("1. Add.\n2. **Answer:** 42", "42"),
        ("Answer (in metres): 42", "42"),
        ("The correct answer is (B).", "(B)."),
        ("The correct option is C", "C"),
        ("The answer to the question is Paris.", "Paris."),
        ("The answer would be 42.", "42."),
        ("My final answer is: `42`", "42"),
        ("Therefore, the answer is <42>.", "42"),
        ("Answer: <b>", "<b>"[1:-1]),
        ("So the answer is 42 because 6*7=42.", "42"),
        ("So the answer is 42, since 6*7=42.", "42"),
        ("Answer: 42; that is forty-two", "42"),
        ("Answer: 42. This is a product.", "42"),
        ("Answer: 1; 2", "1; 2"),
        ("Answer: J. R. R. Tolkien", "J. R. R. Tolkien"),
        ("Answer: St. Louis", "St. Louis"),
        ("Answer: Paris\n\nThe answer is based on the map.", "Paris"),
        ("The answer is 42.\n\nThe answer is correct since 6*7=42.", "42."),
        ("Is the answer 41?\nThe answer is 41? No.\nThe answer is 42.", "42."),
        ("A: 42", "42"),
        ("so\n#### 42", "42"),
        ("Answer = 42", "42"),
        ("答案：42", "42"),
        ("最终答案：42", "42"),
        ("Antwort: 42", "42"),
        ("Réponse : 42", "42"),
        ("<answer>42</answer>", "42"),
        ("<answer>\n\\boxed{42}\n</answer>", "42"),
        ("Answer: \\begin{pmatrix}1\\\\\n2\\end{pmatrix}", "\\begin{pmatrix}1\\\\\n2\\end{pmatrix}"),
        ("[ANSWER] 42 [/ANSWER]", "42"),
        ("[Answer]: 42", "42"),
        ("<|begin_of_box|>42<|end_of_box|>", "42"),
        ("Answer - 42", "42"),
        ("Answer → 42", "42"),
        ("1. Answer: 42", "42"),
        ("Answer\u200b: 42", "42"),
        ("Answer: ```42```", "42"),
        ("Therefore 42 is the answer.", "42"),
        ("It is 7. So, 42 is the final answer.", "42"),
        ("Option (D) is correct.", "(D)"),
        ("The answer might be 42", "42"),
        ("答案是42。", "42"),
        ("答えは42です。", "42"),
        ("La respuesta es 42", "42"),
        ("La réponse est 42", "42"),
        ("Die Antwort ist 42", "42"),
        ("Respuesta final: 42", "42"),
        ('{"answer": "Paris"}', "Paris"),
        ('```json\n{"final_answer": 42}\n```', "42"),
        ("$\\boxed{1}$ and $\\boxed{2}$", "1, 2"),
        ("\\boxed{1}, \\boxed{2}", "1, 2"),
        ("Answer:\n\\[\n42\n\\]", "\\[\n42\n\\]"),
        ("<think>\\boxed{41}? no</think>\n\nAnswer: 42", "42"),
        ("\\boxed{41}? no\n</think>\n\nAnswer: 42", "42"),
    ],
)
def test_the_answer_of_a_chain_of_thought(text: str, answer: str) -> None:
    assert extract_answer(text) == answer


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Answer:",
        "Answer: \n \n",
        "Answering is hard.",
        "No answers here",
        "\\boxed{}",
        "<think>The answer is 42? Hmm",
        "#### ",
        "The answer is not clear.",
        "This answers the question: how?",
        "<answer></answer>",
        "What is the answer to that?",
        "This is the answer that we seek.",
    ],
)
def test_no_answer_is_none(text: str) -> None:
    assert extract_answer(text) is None


@given(st.recursive(st.text("ab\\ ", max_size=4), lambda inner: inner.map(lambda s: "{" + s + "}") | inner))
def test_boxes_are_read_to_their_own_brace(inside: str) -> None:
    assert last_boxed(f"so \\boxed{{{inside}}} and }} more {{") == (inside.strip() or None)


def test_the_first_thought_ends_at_an_empty_line() -> None:
    assert (
        first_thought("\n\nFind the river.\n then its length.\n \t\nThe river") == "Find the river.\n then its length."
    )
    assert first_thought("") == first_thought("\n \n") == ""
    assert first_thought("one line") == "one line"
    assert first_thought("<think>\nOkay.\n\n42.\n</think>\n\nMultiply.\n\nAnswer: 42") == "Multiply."
    assert first_thought("<think>\nOkay, so I") == ""


@pytest.mark.parametrize(
    ("text", "kind", "gold"),
    [
        ("so it is \\boxed{\\text{Paris}}.", "short", "Paris"),
        ("so it is \\boxed{\\text{(B)}}.", "math", "B"),
        ("Answers: 1 and 2", "math", "1,2"),
        ("Answer: $42.00", "math", "42"),
        ("The correct answer is (B).", "short", "B"),
        ("Answer: Yes, both are.", "short", "yes"),
    ],
)
def test_what_is_extracted_is_graded_right(text: str, kind: str, gold: str) -> None:
    assert scorers.score(kind, extract_answer(text), gold).correct
