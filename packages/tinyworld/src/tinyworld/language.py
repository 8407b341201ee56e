"""How TinyWorld speaks: every relation with its wordings, from plain to rare.

``np`` makes a noun phrase out of another one ("the author of X"), ``ask`` a whole question, ``fact`` a sentence of an
article. ``rare`` and ``rare_ask`` are the unusual wordings of the adversarial family; they occur now and then elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Relation:
    """One relation: ``source`` kind, ``target`` kind (None for a plain value) and its wordings."""

    name: str
    source: str
    target: str | None
    noun: str
    np: tuple[str, ...]
    rare: tuple[str, ...]
    ask: tuple[str, ...]
    rare_ask: tuple[str, ...]
    fact: tuple[str, ...]
    numeric: bool = False


def _relation(
    name: str, source: str, target: str | None, noun: str, forms: str, ask: str, fact: str, numeric: bool = False
) -> Relation:
    """Wordings are written ``plain | plain || rare | rare`` to keep the table readable."""
    plain_np, _, rare_np = forms.partition("||")
    plain_ask, _, rare_ask = ask.partition("||")

    def split(text: str) -> tuple[str, ...]:
        return tuple(t.strip() for t in text.split("|") if t.strip())

    return Relation(
        name,
        source,
        target,
        noun,
        split(plain_np),
        split(rare_np),
        split(plain_ask),
        split(rare_ask),
        split(fact),
        numeric,
    )


RELATIONS: dict[str, Relation] = {
    r.name: r
    for r in (
        _relation("author", "work", "person", "author",
            "the author of {x} | the writer of {x} | the person who wrote {x} || the pen behind {x} | the mind that made {x}",
            "Who wrote {x}? | Who is the author of {x}? || Whose pen made {x}?",
            "{x} was written by {y}. | {y} wrote {x}. | {x} is by {y}."),
        _relation("year", "work", None, "year",
            "the year of {x} | the year when {x} came out || the season {x} was first seen",
            "When did {x} come out? | In which year did {x} come out? || What year first saw {x}?",
            "{x} came out in {y}. | It dates from {y}. | It was first shown in {y}.", True),
        _relation("birthplace", "person", "city", "birthplace",
            "the city where {x} was born | the birthplace of {x} | the home town of {x} || the cradle of {x} | the streets that raised {x}",
            "Where was {x} born? | In which city was {x} born? | What is the birthplace of {x}? || Which streets raised {x}?",
            "{x} was born in {y}. | {x} comes from {y}. | The birthplace of {x} is {y}."),
        _relation("born", "person", None, "birth year",
            "the year when {x} was born | the birth year of {x} || the year that gave us {x}",
            "When was {x} born? | In which year was {x} born? || What year gave us {x}?",
            "{x} was born in {y}. | The birth year of {x} is {y}. | {x} saw the light in {y}.", True),
        _relation("job", "person", None, "job",
            "the job of {x} | the trade of {x} || the daily bread of {x}",
            "What is the job of {x}? | What does {x} do for a living? || How does {x} earn bread?",
            "{x} is a {y}. | {x} works as a {y}. | {x} is known as a {y}."),
        _relation("employer", "person", "firm", "employer",
            "the employer of {x} | the firm that employs {x} | the firm {x} works for || the house that pays {x}",
            "Which firm employs {x}? | Who is the employer of {x}? || Which house pays {x}?",
            "{x} works for {y}. | {y} employs {x}. | The employer of {x} is {y}."),
        _relation("founder", "firm", "person", "founder",
            "the founder of {x} | the person who founded {x} | the person who started {x} || the parent of {x} | the hand that raised {x}",
            "Who founded {x}? | Who is the founder of {x}? || Whose hand raised {x}?",
            "{x} was founded by {y}. | {y} founded {x}. | {y} is the founder of {x}."),
        _relation("seat", "firm", "city", "seat",
            "the city where {x} is based | the seat of {x} | the home city of {x} || the roof over {x}",
            "Where is {x} based? | In which city is {x} based? || Under which roofs does {x} sit?",
            "{x} is based in {y}. | The seat of {x} is {y}. | {x} has its home in {y}."),
        _relation("product", "firm", None, "product",
            "the product of {x} | the goods of {x} || the fruit of {x}",
            "What does {x} make? | What is the product of {x}? || What leaves the gates of {x}?",
            "{x} makes {y}. | It sells {y}. | The product of {x} is {y}."),
        _relation("country", "city", "country", "country",
            "the country of {x} | the country where {x} lies | the state {x} belongs to || the flag over {x}",
            "In which country is {x}? | Which country does {x} belong to? || Which flag flies over {x}?",
            "{x} is a city in {y}. | {x} lies in {y}. | {x} belongs to {y}."),
        _relation("river", "city", "river", "river",
            "the river of {x} | the river that runs through {x} | the river {x} lies on || the water that wets {x}",
            "Which river runs through {x}? | On which river does {x} lie? || Which water wets {x}?",
            "The {y} runs through {x}. | {x} lies on the river {y}. | The river of {x} is the {y}."),
        _relation("people", "city", None, "population",
            "the population of {x} | the number of people in {x} || the head count of {x}",
            "How many people live in {x}? | What is the population of {x}? || How many heads does {x} count?",
            "{y} people live in {x}. | The population of {x} is {y}. | It has {y} people.", True),
        _relation("length", "river", None, "length",
            "the length of {x} | the number of kilometres of {x} || the reach of {x}",
            "How long is {x}? | What is the length of {x}? || How far does {x} reach?",
            "{x} is {y} km long. | The length of {x} is {y} km. | It runs for {y} km.", True),
        _relation("source", "river", "mountain", "source",
            "the source of {x} | the mountain where {x} rises | the mountain {x} comes from || the womb of {x}",
            "Where does {x} rise? | On which mountain does {x} rise? || Which peak gives us {x}?",
            "{x} rises on {y}. | The source of {x} is {y}. | {x} comes down from {y}."),
        _relation("height", "mountain", None, "height",
            "the height of {x} | the number of metres of {x} || the crown of {x}",
            "How high is {x}? | What is the height of {x}? || How near the sky is {x}?",
            "{x} is {y} m high. | The height of {x} is {y} m. | It stands {y} m high.", True),
        _relation("range", "mountain", "country", "country",
            "the country of {x} | the country where {x} stands || the flag over {x}",
            "In which country is {x}? | Where does {x} stand? || Which flag flies over {x}?",
            "{x} is a mountain in {y}. | {x} stands in {y}. | {x} belongs to {y}."),
        _relation("capital", "country", "city", "capital",
            "the capital of {x} | the first city of {x} || the throne of {x}",
            "What is the capital of {x}? | Which city is the capital of {x}? || Where does the throne of {x} stand?",
            "The capital of {x} is {y}. | {x} is ruled from {y}. | Its capital is {y}."),
        _relation("money", "country", None, "currency",
            "the currency of {x} | the money of {x} || the coin of {x}",
            "What is the currency of {x}? | What money is used in {x}? || In what coin does {x} pay?",
            "The currency of {x} is the {y}. | People there pay in {y}. | Its money is the {y}."),
    )
}  # fmt: skip

JOBS = ("painter", "doctor", "singer", "baker", "pilot", "judge", "farmer", "poet", "sailor", "teacher")
PRODUCTS = ("shoes", "clocks", "tea", "boats", "paper", "bread", "lamps", "bikes", "soap", "toys")
MONEY = ("crown", "shell", "mark", "pearl", "florin", "penny", "thaler", "bead")


def relations_of(kind: str) -> tuple[Relation, ...]:
    """The relations whose source is ``kind``, in a fixed order."""
    return tuple(r for r in RELATIONS.values() if r.source == kind)
