"""reasoning-gym (PyPI ``reasoning-gym``): generators of questions without end, each with a scorer of its own.

A question is named by its generator, a level of difficulty and a seed (:class:`Ref`), and made again from that name
whenever it is scored. The name is one of the problem's aliases. An answer is correct where its generator scores it 1:
what that gives for an answer that is nearly right counts as wrong. Where the gold answer is a number, one of the same
value is correct too, however it is written, since a program prints ``24.0`` where the generator wants ``24``. No answer
is evaluated: generators whose scorers do that are not offered (``NOT_OFFERED``).

Level 0 is what students are trained on, level 1 is harder and for tests. A generator that is not in ``LEVELS`` has the
levels of its own curriculum; one without a curriculum has level 0 only, its default settings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, lru_cache
from hashlib import sha256
from typing import Any

from agentdistill.errors import UserError
from agentdistill.scorers.math import clean
from agentdistill.types import Score

VERSION = "0.1.25"
"""The release that this table was made for: another one makes other questions of the same seeds."""

LEVELS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "chain_sum": (
        {"min_terms": 2, "max_terms": 3, "min_digits": 1, "max_digits": 2},
        {"min_terms": 4, "max_terms": 6, "min_digits": 3, "max_digits": 4},
    ),
    "products": (
        {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 3},
        {"min_terms": 2, "max_terms": 3, "min_digits": 3, "max_digits": 4},
    ),
    "decimal_chain_sum": (
        {"min_terms": 2, "max_terms": 3, "min_digits": 1, "max_digits": 2, "max_decimal_places": 2},
        {"min_terms": 4, "max_terms": 6, "min_digits": 2, "max_digits": 4, "max_decimal_places": 4},
    ),
    "gcd": (
        {"min_numbers": 2, "max_numbers": 2, "min_value": 4, "max_value": 200},
        {"min_numbers": 2, "max_numbers": 2, "min_value": 200, "max_value": 10_000},
    ),
    "lcm": (
        {"min_numbers": 2, "max_numbers": 2, "min_value": 2, "max_value": 50},
        {"min_numbers": 2, "max_numbers": 3, "min_value": 50, "max_value": 500},
    ),
    "base_conversion": (
        {"min_base": 2, "max_base": 10, "min_value": 0, "max_value": 500},
        {"min_base": 2, "max_base": 16, "min_value": 1000, "max_value": 100_000},
    ),
    # Not its count of business days: it goes over the end of the year, and the question still says the same year.
    "calendar_arithmetic": (
        {"tasks": ("weekday_of_date", "weekday_offset", "count_days"), "year": 2022, "offset_upper_bound": 40},
        {"tasks": ("weekday_of_date", "weekday_offset", "count_days"), "year": 2031, "offset_upper_bound": 400},
    ),
    "fraction_simplification": (
        {"min_value": 1, "max_value": 50, "min_factor": 2, "max_factor": 12, "styles": ("plain",)},
        {"min_value": 50, "max_value": 1000, "min_factor": 12, "max_factor": 100, "styles": ("plain",)},
    ),
    "simple_equations": (
        {"min_terms": 2, "max_terms": 3, "min_value": 1, "max_value": 20, "operators_weights": (0.4, 0.4, 0.2)},
        {"min_terms": 3, "max_terms": 5, "min_value": 10, "max_value": 100, "operators_weights": (0.4, 0.4, 0.2)},
    ),
    "count_primes": (
        {"min_n": 1, "max_n": 200},
        {"min_n": 500, "max_n": 5000},
    ),
    "prime_factorization": (
        {"min_value": 10, "max_value": 4000},
        {"min_value": 5000, "max_value": 100_000},
    ),
    # One level; train and test differ by template.
    "gsm_symbolic": ({},),
    # Not its milliseconds: half of those gold answers are one too low.
    "time_intervals": (
        {"task_types": ("time", "date"), "max_time_difference_seconds": 7200, "max_date_difference_days": 60},
        {"task_types": ("time_seconds", "date"), "max_date_difference_days": 1000},
    ),
}  # fmt: skip

SETS: Mapping[str, tuple[str, ...]] = {
    # Twelve generators whose answers are short, and take computing rather than knowledge.
    "compute12": (
        "chain_sum", "products", "decimal_chain_sum", "gcd", "lcm", "base_conversion", "calendar_arithmetic",
        "fraction_simplification", "simple_equations", "count_primes", "prime_factorization", "gsm_symbolic",
    ),
}  # fmt: skip

NOT_OFFERED: Mapping[str, str] = {
    "its scorer evaluates the answer as code": "binary_matrix countdown intermediate_integration n_queens "
    "polynomial_multiplication puzzle24 simple_integration spiral_matrix string_insertion",
    "its scorer accepts wrong answers": "coin_flip complex_arithmetic game_of_life_halting number_sorting",
    "its scorer writes to the terminal": "tower_of_hanoi",
    "its gold answers are not what its questions ask for": "basic_arithmetic",
    "its questions differ from process to process": "codeio isomorphic_strings knight_swap list_functions ransom_note "
    "word_ladder",
    "its questions depend on how many are drawn": "acre",
    "its entries have no gold answer": "boxnet graph_color propositional_logic rubiks_cube rush_hour",
    "some of its questions take minutes to make": "sokoban",
    "it is made of others": "composite",
}
"""Why a generator is not offered, and which those are."""

BY_VALUE = frozenset({"gsm_symbolic"})
"""Generators whose scorer is not asked: this one takes the first digits it sees, so -24 and 24/7 pass for 24, while its
own negative gold answers fail. Their answers are numbers, and are compared by value."""

FAULTY_TEMPLATES = frozenset({2, 3, 4, 24, 40, 49, 66, 75, 99})
"""Templates of gsm_symbolic that are left out: their gold answers are cut to whole numbers where the question's are not
(2.5 tubes are 2, £50.66 - £26.66 is £23), are negative ages, or their questions hold what is left of a float."""


# --- entries ----------------------------------------------------------------------------------------------------------

_REF = re.compile(r"reasoning_gym (?P<generator>\w+) level (?P<level>\d+) seed (?P<seed>\d+)")
_TEMPLATES = "gsm_symbolic"
N_SEEDS = 200_000
"""How many seeds each side has. They are the sides' own: a library's seed and index give what their sum gives."""


@dataclass(frozen=True, slots=True)
class Ref:
    """The name of one entry. Written ``reasoning_gym gcd level 0 seed 17``, and read by :func:`parse_ref`."""

    generator: str
    level: int
    seed: int

    def __str__(self) -> str:
        return f"reasoning_gym {self.generator} level {self.level} seed {self.seed}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One question with its gold answer. ``held_out`` says whether it is on the side of the tests.

    ``template`` is the number of the text it was made from, where its generator has several. ``raw`` is the library's
    own dict, ``scorer`` its ``score_answer``.
    """

    question: str
    answer: str
    held_out: bool
    template: int | None
    raw: Mapping[str, Any]
    scorer: Callable[[str, Mapping[str, Any]], float]


def first_seed(held_out: bool) -> int:
    """Where a side's seeds begin."""
    return 1_000_000_000 if held_out else 0


def parse_ref(text: str) -> Ref | None:
    """The name that ``text`` writes; None where it writes none."""
    match = _REF.fullmatch(text)
    return None if match is None else Ref(match["generator"], int(match["level"]), int(match["seed"]))


def offered() -> tuple[str, ...]:
    """The generators that can be named, in order. Raises UserError where reasoning-gym is not installed."""
    return tuple(sorted(n for n in _library().DATASETS if not refusal(n)))


def refusal(generator: str) -> str:
    """Why a generator is not offered; ``""`` where it is."""
    return next((why for why, names in NOT_OFFERED.items() if generator in names.split()), "")


def level_count(generator: str) -> int:
    """How many levels of difficulty a generator has."""
    if generator in LEVELS:
        return len(LEVELS[generator])
    library = _library()
    if not library.has_curriculum(generator):
        return 1
    attributes = library.create_curriculum(generator).attributes.values()
    return max((len(a.levels) for a in attributes), default=1)


@lru_cache(maxsize=4096)
def entry(ref: Ref) -> Entry | None:
    """The entry of that name, the same in every process; None where it has no text as its answer or is faulty.

    A question is held out where a hash of its text says so, so that no question is on both sides, whatever its level
    and seed; one that is made from a template, where its template's number says so.
    Raises UserError where reasoning-gym is not installed.
    """
    is_test = ref.seed >= first_seed(True)
    dataset, index = _dataset(ref.generator, ref.level, is_test), ref.seed - first_seed(is_test)
    template = int(dataset.task_indices[index]) if ref.generator == _TEMPLATES else None
    if template in FAULTY_TEMPLATES:
        return None
    raw = dataset[index]
    question, answer = str(raw["question"]).strip(), raw["answer"]
    if not isinstance(answer, str) or not answer.strip() or not question:
        return None
    held_out = template % 4 == 3 if template is not None else sha256(question.encode()).digest()[0] % 2 == 1
    return Entry(question, answer.strip(), held_out, template, raw, dataset.score_answer)


def library_score(ref: Ref, prediction: str, answer: str) -> float:
    """What the generator's own scorer says of ``prediction``, in [0, 1]; 0 where it raises, or is not to be asked.

    Raises UserError where the installed release makes another entry of that name than the one with ``answer``.
    """
    made = entry(ref)
    if made is None or made.answer != answer:
        raise UserError(f"{ref}: another question in the reasoning-gym that is installed; {_how()}")
    if ref.generator in BY_VALUE:
        return 0.0
    try:
        return float(made.scorer(prediction, made.raw))
    except Exception:
        return 0.0  # the scorers are not made for everything that a model says


def rationale(made: Entry) -> str | None:
    """How the generator itself comes to its answer, where it says so."""
    text = made.raw.get("metadata", {}).get("answer_cot")
    return text if isinstance(text, str) and text.strip() else None


@cache
def _dataset(generator: str, level: int, held_out: bool) -> Any:
    """The library's dataset of a generator. An entry depends on its settings and on the sum of seed and index."""
    library = _library()
    if generator not in library.DATASETS or refusal(generator):
        raise UserError(f'"{generator}" of reasoning-gym: {refusal(generator) or "there is no such generator"}')
    settings = {"seed": first_seed(held_out), "size": N_SEEDS}
    try:
        if generator in LEVELS:
            return library.create_dataset(generator, **_plain(LEVELS[generator][level]), **settings)
        if not library.has_curriculum(generator):
            return library.create_dataset(generator, **settings)
        curriculum = library.create_curriculum(generator)
        curriculum.set_global_level(level)
        return library.DATASETS[generator][0](curriculum.generate_configuration(settings))
    except (AssertionError, ValueError) as e:  # some curricula have levels that their own generators refuse
        raise UserError(f"reasoning-gym refuses {generator} at level {level}: {e}") from e


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """With lists for tuples, but for the styles, which the library wants as a tuple."""
    return {k: list(v) if isinstance(v, tuple) and k != "styles" else v for k, v in settings.items()}


@cache
def _library() -> Any:
    try:
        from reasoning_gym import factory
    except ModuleNotFoundError as e:
        raise UserError(f"{e.name} is not installed, which the task reasoning_gym needs; {_how()}") from e
    return factory


def _how() -> str:
    return f"install it with: pip install 'agentdistill[gym]' (reasoning-gym {VERSION})"


# --- scoring ----------------------------------------------------------------------------------------------------------

MAX_CHARS = 2000
"""No gold answer is as long; a longer prediction is wrong, and no scorer is asked."""
_HUGE = re.compile(r"[eE][-+]?[\d_]{4,}")
"""No gold answer has such an exponent, and a scorer may write the number out: a fraction of it takes all memory."""
_NUMBER = re.compile(r"(?:[$€£]?[-+]?|[-+][$€£])(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?(?:e[-+]?\d{1,3})?", re.ASCII)
_FLOAT_DIGITS = 15
"""As many digits has a float whose last ones are noise."""


def score(prediction: str, answer: str, aliases: Sequence[str] = ()) -> Score:
    """Correct where the generator scores it 1. Without the name of an entry, as between two predictions, texts or
    values have to be the same.

    Raises UserError where reasoning-gym is not installed, or makes another question of that name.
    """
    said = prediction.strip()

    def scored(correct: bool, reason: str) -> Score:
        return Score(correct=correct, extracted=said[:100], grader="gym", reason=reason)

    if not said or len(said) > MAX_CHARS:
        return scored(False, f"longer than {MAX_CHARS} characters" if said else "empty answer")
    if said in (answer, answer.removesuffix("/1")):  # a fraction in lowest terms, as Python writes it
        return scored(True, "same text")
    if _HUGE.search(said):
        return scored(False, "a number too large to be written out")
    value = _number(answer)
    if value is not None and _same(clean(said), value):
        return scored(True, "same value")
    ref = next((ref for alias in aliases if (ref := parse_ref(alias)) is not None), None)
    if ref is None:
        return scored(False, "another text" if value is None else "another value")
    best = max(library_score(ref, text, answer) for text in dict.fromkeys((said, said.rstrip(". \n"))))
    return scored(best == 1.0, f"scored {best:.3g} by {ref.generator}")


def _number(text: str) -> Decimal | None:
    """The value of a plain number; None for anything else, formulas and fractions included."""
    return Decimal(re.sub(r"[$€£,]", "", text)) if _NUMBER.fullmatch(text) else None


def _same(said: str, value: Decimal) -> bool:
    """Whether a text is that number, or what floating point makes of it: 74.91610000000001 for 74.9161."""
    number = _number(said)
    if number is None:
        return False
    is_noisy = len(number.as_tuple().digits) >= _FLOAT_DIGITS and number != number.to_integral_value()
    return number == value or (is_noisy and abs(number - value) <= max(abs(value), Decimal(1)) * Decimal("1e-12"))
