"""Which generators of reasoning-gym 0.1.25 are offered, and what their levels of difficulty are.

Level 0 is what students are trained on, level 1 is harder and for tests. A generator that is not in ``LEVELS`` has the
levels of its own curriculum; one without a curriculum has level 0 only, its default settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
