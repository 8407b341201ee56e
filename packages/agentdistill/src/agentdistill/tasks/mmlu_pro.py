"""MMLU-Pro (Wang et al. 2024, arXiv 2406.01574): questions of fourteen subjects with up to ten options each. MIT.

The gold answer is the letter; the option's own text counts too, unless it is the name of another option.
"""

from __future__ import annotations

from string import ascii_uppercase

from agentdistill.problems import as_text, as_texts
from agentdistill.tasks._benchmark import Benchmark, Drawn, Part, Values, question_of
from agentdistill.types import Problem

_ASK = "Answer with the letter of the right option."


def _read(values: Values) -> Drawn:
    options = as_texts(values.get("options")) or []
    letter = as_text(values.get("answer")).upper()
    known = ascii_uppercase[: len(options)]
    if not letter or letter not in known:
        return Drawn(question_of(values), ())
    lines = [f"{name}. {text}" for name, text in zip(known, options, strict=True)]
    text = options[known.index(letter)]
    aliases = () if text.upper() in known or options.count(text) > 1 else (text, f"{letter}. {text}")
    return Drawn("\n".join([question_of(values), "", *lines, "", _ASK]), (letter, *aliases))


MMLU_PRO = Benchmark(
    "mmlu_pro",
    "short",
    {
        "test": (Part(("mmlu_pro_test*.*", "mmlu_pro/test-*.parquet"), ("TIGER-Lab/MMLU-Pro:test",)),),
        "validation": (
            Part(("mmlu_pro_validation*.*", "mmlu_pro/validation-*.parquet"), ("TIGER-Lab/MMLU-Pro:validation",)),
        ),
    },
    _read,
)


def problems(split: str = "test") -> list[Problem]:
    """The problems of ``SPLIT[:N][@PATH]``; splits: test, validation."""
    return MMLU_PRO.problems(split)
