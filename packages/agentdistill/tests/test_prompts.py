"""Every prompt template keeps the protocol, and what a template promises the model is what the loop does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdistill.errors import UserError
from agentdistill.parse import parse_action
from agentdistill.prompts import format_passages, load_prompt, standard
from agentdistill.registry import names
from agentdistill.retrieval import Passage
from agentdistill.tools import Tool
from agentdistill.types import Message, Source


def look(place: str) -> str:
    """What is to be seen at a place. {braces} and $signs stay."""
    return place


@pytest.fixture(params=names("prompts"))
def template(request: pytest.FixtureRequest) -> Any:
    return load_prompt(request.param)


def test_openings_end_with_the_question(template: Any) -> None:
    passages = [Passage("Aren", "A river.")]
    openings = [
        template.agent("How long?", [Tool.of(look)]),
        template.cot("How long?"),
        template.cot("How long?", passages),
    ]
    for messages in openings:
        assert all(isinstance(m, Message) and m.source is Source.PROMPT for m in messages)
        assert messages[-1].role == "user"
        assert messages[-1].content.endswith("How long?")
    assert "Aren: A river." in openings[2][-1].content
    assert "Aren" not in openings[1][-1].content


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_text_goes_in_as_it_is(text: str) -> None:
    """No question or observation is taken for a template."""
    for name in names("prompts"):
        template = load_prompt(name)
        assert template.observation(text).endswith(text)
        assert template.cot(text)[-1].content.endswith(text)
        assert template.agent(text, [])[-1].content.endswith(text)


def test_the_standard_style_shows_every_tool() -> None:
    system = standard.agent("q", [Tool.of(look)])[0].content
    assert "def look(place: str) -> str:" in system
    assert "What is to be seen at a place. {braces} and $signs stay." in system
    assert "def final_answer(answer) -> None:" in system
    example = system[system.index("Thought: I need") : system.index("The block is run")]
    assert parse_action(example) == 'print(search("height of the tower"))'


def test_passages_are_numbered_lines() -> None:
    text = format_passages([Passage("A", "one"), Passage("", "two")])
    assert text == "[1] A: one\n[2] two"
    assert format_passages([]) == "No passages found."


def test_unknown_styles_name_the_nearest() -> None:
    with pytest.raises(UserError, match='unknown prompt template "standart"; did you mean "standard"'):
        load_prompt("standart")
