"""Reading what models write, in the many ways they write it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdistill.parse import extract_answer, first_thought, last_boxed, parse_action
from agentdistill.prompts import tiny

CODE = "x = 1\nprint(x)"


@pytest.mark.parametrize(
    "text",
    [
        f"Thought: t\nCode:\n```py\n{CODE}\n```",
        f"```python\n{CODE}\n```<end_code>",
        f"```Python3  \n{CODE}\n  ```",
        f"```\n{CODE}\n```",
        f"```py\r\n{CODE}\r\n```",
        f"<code>\n{CODE}\n</code>",
        f"Code:\n```py\n{CODE}",  # stopped at the closing fence
        f'```json\n{{"a": 1}}\n```\nCode:\n```py\n{CODE}\n```',  # a block of another language comes first
        f"```py\n\n```\n```py\n{CODE}\n```",  # an empty block is none
        f"```py\n{CODE}\n```\n```py\nsecond()\n```",
    ],
)
def test_the_first_block_of_python_is_the_action(text: str) -> None:
    assert parse_action(text) == CODE


@pytest.mark.parametrize("text", ["", "I do not know.", "```py\n```", "``` print(1) ```", "`x`", "```json\n{}\n```"])
def test_no_block_is_no_action(text: str) -> None:
    assert parse_action(text) is None


@given(st.text(alphabet=st.characters(exclude_characters="`\r", exclude_categories=["Cs"])), st.text(max_size=30))
def test_what_the_style_writes_is_what_is_read(code: str, thought: str) -> None:
    """Whatever the code, the block that a style makes of it gives it back."""
    if "`" not in thought and "<code>" not in thought + code:
        assert parse_action(tiny.action(thought, code)) == (code.rstrip() if code.strip() else None)


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
    ],
)
def test_the_answer_of_a_chain_of_thought(text: str, answer: str) -> None:
    assert extract_answer(text) == answer


@pytest.mark.parametrize("text", ["", "Answer:", "Answer: \n \n", "Answering is hard.", "No answers here", "\\boxed{}"])
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
