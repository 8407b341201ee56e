"""Captions at three levels of detail, with random wording and only of what the clip shows.

Short: the action. Mid: the motion of the parts of the body. Long: the creature, its initial pose, the action, the
parts. The grammar below them expands texts with choices, inflects verbs and joins clauses.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from anyrig.creatures.body import BodyPlan
from anyrig.creatures.motion import Style


class Telling:
    """The material for an action's captions, in texts of the form ``"one|other"``.

    ``verbs`` are phrases that start with a base form ("walk forward"), and may hold choices in brackets; ``start`` is
    the pose of the first frame in the third person ("stands on all fours"); ``parts`` are clauses on parts of the body
    ("its tail sways").
    """

    def __init__(self, verbs: str, start: str, *parts: str) -> None:
        self.verbs = re.split(r"\|(?![^\[]*\])", verbs)
        self.start, *self.parts = (f"[{text}]" if "|" in text and "[" not in text else text for text in (start, *parts))


# Clauses of several actions.
BITES = "the jaws open and close|it chews|the mouth works"
STILL = "then it lies still|at the end it no longer moves|afterwards it lies motionless"


def turn_verbs(side: float, verb: str) -> str:
    """Verbs for a turn to one side in a curve; ``verb`` is the creature's locomotion."""
    way = side_name(side)
    return f"turn {way}|{verb} in a curve to the {way}|turn to the {way}|{verb} to the {way}"


def side_name(side: float) -> str:
    return "left" if side > 0 else "right"


PACE = {"slow": ("slowly", "at a slow pace", "unhurriedly"), "fast": ("quickly", "fast", "briskly")}
MOOD = {
    "calm": ("calmly", "in a relaxed way", ""), "alert": ("alertly", "attentively", ""),
    "tired": ("wearily", "tiredly", "listlessly"), "angry": ("angrily", "aggressively", "menacingly"),
    "playful": ("playfully", "cheerfully", "in high spirits"), "fearful": ("timidly", "fearfully", "warily"),
}  # fmt: skip
_BEARING = {
    "neutral": ("",), "calm": ("at ease", ""), "alert": ("with its head raised high", "with a high head"),
    "tired": ("with its head hanging low", "with a drooping head"), "angry": ("tense and with a lowered head",),
    "playful": ("with a light and lively bearing", "with its head up"), "fearful": ("cowering", "ducked and wary"),
}  # fmt: skip
_PRONOUNS = {"it": ("he", "she"), "its": ("his", "her"), "It": ("He", "She"), "Its": ("His", "Her")}


def captions(
    plan: BodyPlan, telling: Telling, style: Style, rng: random.Random, adverbs: str = "pace, mood"
) -> tuple[str, str, str]:
    """The short, mid and long caption; ``adverbs`` are the kinds that fit."""
    mood = style.mood if plan.legs and "mood" in adverbs else ""
    verb = choose(rng.choice(telling.verbs), rng)
    adverb = _adverb(style.pace if "pace" in adverbs else "", mood, rng)
    parts = [choose(part, rng) for part in telling.parts]
    short, kept = _short(plan, verb, adverb, rng), parts
    if len(parts) > 3 and rng.random() < 0.5:  # the clauses are in temporal order
        kept = [parts[k] for k in sorted(rng.sample(range(len(parts)), 3))]
    texts = short, sentence(join(kept, rng)), _long(plan, telling.start, verb, adverb, parts, mood, rng)
    sex = {"man": 0, "woman": 1, "person": rng.randrange(2), "human": rng.randrange(2)}.get(plan.noun)
    if sex is None:
        return texts
    short, mid, long = (re.sub(r"\b([Ii]ts?)\b", lambda found: _PRONOUNS[found[1]][sex], text) for text in texts)
    return short, mid, long


def _adverb(pace: str, mood: str, rng: random.Random) -> str:
    drawn = [rng.choice(options) for options in (PACE.get(pace), MOOD.get(mood)) if options]
    options = [option for option in drawn if option]
    if len(options) == 2 and rng.random() < 0.5:
        return f"{options[0]} and {options[1]}" if all(o.endswith("ly") for o in options) else options[0]
    return rng.choice(options) if options else ""


def _short(plan: BodyPlan, verb: str, adverb: str, rng: random.Random) -> str:
    forms = (
        f"{a(plan.noun)} {third(verb)}",
        f"the {plan.noun} {third(verb)}",
        f"{a(plan.noun)} {gerund(verb)}",
        gerund(verb),
        f"it {third(verb)}",
    )
    return sentence(choose(f"{rng.choice(forms)} {adverb}", rng))


def _long(plan: BodyPlan, start: str, verb: str, adverb: str, parts: list[str], mood: str, rng: random.Random) -> str:
    bearing = rng.choice(_BEARING[mood]) if mood else ""
    start = f"{choose(start, rng)} {bearing}".strip()
    first = sentence(f"{a(describe(plan, rng))} {start}")
    then = f"{third(verb)} {adverb}".strip()
    detail = join(parts, rng)
    forms = (
        f"{first} It {then}: {detail}.",
        f"{first} Then it {then}, and {detail}.",
        f"{first} It {then}. {sentence(detail)}",
    )
    return choose(rng.choice(forms), rng)


def describe(plan: BodyPlan, rng: random.Random) -> str:
    """A noun phrase for the creature, without an article: its size and a few traits."""
    traits = _traits(plan)
    rng.shuffle(traits)
    before = [t for t in traits if not t.startswith("with ")][: rng.choice((0, 1, 1, 2))]
    after = [t for t in traits if t.startswith("with ")][: rng.choice((0, 1, 1))]
    return " ".join([", ".join(before), plan.noun, *after]).strip()


def _traits(plan: BodyPlan) -> list[str]:
    size, trunk, kind = plan.size * (1.0 if plan.legs else 0.35), plan.trunk.length, plan.kind
    neck = plan.neck.length / plan.size if plan.neck is not None and kind != "hexapod" else 0.5
    tail = plan.tail.length / plan.size if plan.tail and kind in ("quadruped", "biped", "dragon") else 0.0
    legs = {2: "two-legged", 4: "four-legged", 6: "six-legged", 8: "eight-legged"}.get(plan.n_legs, "")
    tells = kind not in ("bird", "biped") and legs not in plan.noun and "ped" not in plan.noun
    long = kind in ("quadruped", "dragon")
    traits = {
        "tiny": size < 0.08,
        "small": 0.08 <= size < 0.3,
        "huge": size > 1.7,
        "large": 1.0 < size <= 1.7,
        "long-legged": long and plan.size > 1.05 * trunk,
        "short-legged": long and plan.size < 0.5 * trunk,
        "long-necked": neck > 0.8,
        "short-necked": neck < 0.28 and kind != "biped",
        "with a long tail": tail > 1.0,
        "with a short tail": 0 < tail < 0.3,
        legs: bool(legs) and tells,
        "winged": plan.wings is not None and kind in ("hexapod", "dragon") and "wing" not in plan.noun,
        "with its tail curled over its back": "sting" in plan.habits,
        "with raised pincers": plan.pincers,
    }
    return [trait for trait, true in traits.items() if true]


# -- grammar


_CHOICE = re.compile(r"\[([^\[\]]*)\]")
# The endings of verbs, (pattern, replacement) in order of priority.
_THIRD = (("^be$", "is"), ("^have$", "has"), ("(s|x|z|ch|sh|o)$", r"\1es"), ("([^aeiou])y$", r"\1ies"), ("$", "s"))
_GERUND = (
    ("^be$", "being"),
    ("ie$", "ying"),
    ("ee$", "eeing"),
    ("step$", "stepping"),
    ("^([^aeiou]*[aeiou])([^aeiouwxy])$", r"\1\2\2ing"),  # one short syllable: running, hopping, jabbing
    ("e?$", "ing"),
)


def choose(text: str, rng: random.Random) -> str:
    """``text`` with each ``[one|other|]`` replaced by one of its choices; choices may hold choices."""
    while (found := _CHOICE.search(text)) is not None:
        text = text[: found.start()] + rng.choice(found[1].split("|")) + text[found.end() :]
    return re.sub(r"\s+([,.;:])", r"\1", re.sub(r"\s{2,}", " ", text)).strip()


def third(phrase: str) -> str:
    """A phrase that starts with a verb's base form in the third person: ``"rushes on"`` for ``"rush on"``."""
    return _inflect(phrase, _THIRD)


def gerund(phrase: str) -> str:
    """The same in the -ing form."""
    return _inflect(phrase, _GERUND)


def _inflect(phrase: str, endings: tuple[tuple[str, str], ...]) -> str:
    phrases = []
    for part in phrase.split(" and "):  # inflects both of two verbs ("crouch and leap forward")
        verb, space, rest = part.partition(" ")
        pattern, ending = next(pair for pair in endings if re.search(pair[0], verb))
        phrases.append(re.sub(pattern, ending, verb, count=1) + space + rest)
    return " and ".join(phrases)


def a(noun: str) -> str:
    """``noun`` with its indefinite article."""
    return f"{'an' if noun[:1].lower() in 'aeiou' and not noun.startswith(('uni', 'one')) else 'a'} {noun}"


def join(clauses: Sequence[str], rng: random.Random) -> str:
    """Clauses in one sentence: ``"a, b and c"``, or ``"a while b"`` where there are two."""
    *most, last = clauses
    if not most:
        return last
    if len(most) == 1 and rng.random() < 0.4:
        return f"{most[0]} while {last}"
    comma = "," if len(most) > 1 and rng.random() < 0.5 else ""
    return f"{', '.join(most)}{comma} and {last}"


def sentence(text: str) -> str:
    """``text`` with a capital and a full stop."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!")) else ".")
