"""Thoughts of an agent that searched, as a chain of thought."""

from __future__ import annotations

import pytest

from agentdistill.exchange.readers.fireact import Chain, Stated, chain, sentences, stated


def test_sentences_end_where_a_reader_ends_them():
    text = 'J. R. Orr Jr. left St. Naj at 7 p.m. He came to the U.S. in May. "Why?" Orr Inc. is gone! So was she.'
    assert sentences(text) == [
        "J. R. Orr Jr. left St. Naj at 7 p.m.", "He came to the U.S. in May.", '"Why?"', "Orr Inc. is gone!",
        "So was she.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("thought", "text"),
    [
        ("I need to search for the town. Now I'll look for its river.", ""),
        ("Naj is a town, but I should confirm this.", "Naj is a town."),
        ("Naj lies in Orvia, so the answer is Orvia.", "Naj lies in Orvia."),
        ("Since Naj is older than Tol, the answer is Naj.", "Naj is older than Tol."),
        ("So, the answer is no, they are not both towns.", "They are not both towns."),
        ("Therefore, the answer is Naj.", ""),
        ("The search results say that Naj is a town.", "Naj is a town."),
        ("Based on the information, it seems that Naj is a town.", "Naj is a town."),
        ("The snippet does not name it, but it suggests that Naj is a town.", "Naj is a town."),
        ("I found that Naj is a town. So, Tol is a town too.", "Naj is a town. So, Tol is a town too."),
        ("To be sure, I should check that. However, Naj is a town.", "Naj is a town."),
        ("Without more information, I cannot answer.", ""),
        ('King Otto I ruled Naj. The song is "I Should Know".', 'King Otto I ruled Naj. The song is "I Should Know".'),
        ("Naj was named after King Anna I, who ruled it.", "Naj was named after King Anna I, who ruled it."),
        ("If Naj is a town, it has a river.", "If Naj is a town, it has a river."),
    ],
)
def test_plans_and_talk_of_searching_are_left_out(thought, text):
    assert stated(thought).text == text


def test_a_search_that_found_nothing_is_known_as_such():
    assert stated("The search did not give its name. I need to try again.") == Stated("", missed=True)
    assert stated("Now I need its name.") == Stated("", missed=False)


def test_a_finding_is_quoted_where_no_thought_states_it():
    thoughts = ["I need the maker of the Tol bell.", "I need his birth year.", "I have the answer."]
    queries = ["who made the Tol bell", "Ilo Marn birth year"]
    found = ["Tol has a bell. It was made by Ilo Marn of Naj and ... More on bells", "1840"]
    made = chain("When was the maker of the Tol bell born?", thoughts, queries, found, "1840")
    assert made == Chain("It was made by Ilo Marn of Naj. Ilo Marn birth year: 1840.", 2)
    thoughts[1] = "Ilo Marn made it. I need his birth year."
    made = chain("When was the maker of the Tol bell born?", thoughts, queries, found, "1840")
    assert made == Chain("Ilo Marn made it. Ilo Marn birth year: 1840.", 1)


def test_a_thought_that_names_nothing_but_the_answer_has_its_ground_before_it():
    thoughts = ["I need the show.", "The show is Naj Hill."]
    found = ["Bo Orr ; Born, 1950. Bo Orr played the baker in Naj Hill for ten years."]
    made = chain("In which show was Bo Orr a baker?", thoughts, ["Bo Orr show"], found, "Naj Hill")
    assert made == Chain("Bo Orr played the baker in Naj Hill for ten years. The show is Naj Hill.", 1)
    thoughts[1] = "Bo Orr was a baker in Naj Hill."
    assert chain("?", thoughts, ["Bo Orr show"], found, "Naj Hill") == Chain(thoughts[1], 0)


def test_yes_or_no_needs_no_quotation():
    thoughts = ["I need to know that.", "The search did not say. I will answer no."]
    assert chain("Is it?", thoughts, ["a query"], ["No word of it."], "no") == Chain("", 0)
