"""Methods as flags: every name is read back as itself, and what cannot be is refused in one line that says why."""

from __future__ import annotations

import itertools

import pytest

from agentdistill.errors import UserError
from agentdistill.recipe.methods import COLLECTIONS, NAMES, method


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_its_flags(name: str) -> None:
    m = method(name)
    assert m.name == name
    assert (m.loop, m.distilled, m.consistency) == (name.split("-")[0], "-distill" in name, "-sag" in name)
    assert (m.learns in COLLECTIONS) == m.distilled
    assert not (m.first_thought and m.distilled)


def test_any_names_but_these_are_refused() -> None:
    flags = ("distill", "prefix", "rag", "sag")
    every = {
        "-".join([loop, *some])
        for loop in ("agent", "cot")
        for n in range(len(flags) + 1)
        for some in itertools.permutations(flags, n)
    }
    assert set(NAMES) <= every
    for name in every - set(NAMES):
        with pytest.raises(UserError) as e:
            method(name)
        assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("agent-rag", 'no method is "agent-rag": an agent searches by itself'),
        ("cot-sag", "takes no actions"),
        ("cot-distill-prefix", "-prefix is for agent"),
        ("agent-prefix-distill", 'is written "agent-distill-prefix"'),
        ("agent-distil", 'did you mean "agent-distill"'),
        ("agent-sag-sag", "unknown method"),
        ("", "unknown method"),
    ],
)
def test_what_is_no_method_says_why(name: str, why: str) -> None:
    with pytest.raises(UserError, match=why):
        method(name)


def test_a_prompted_agent_may_have_both_the_prefix_and_a_vote() -> None:
    assert method("agent-prefix-sag").first_thought
    assert method("agent-prefix-sag").label == "Agent + prefix + SAG"
