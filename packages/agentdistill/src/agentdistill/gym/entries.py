"""Making an entry of reasoning-gym from its name, and scoring answers to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import sha256
from typing import Any

from agentdistill.errors import UserError
from agentdistill.gym.levels import BY_VALUE, FAULTY_TEMPLATES, LEVELS, NOT_OFFERED, VERSION

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


def score(ref: Ref, prediction: str, answer: str) -> float:
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
