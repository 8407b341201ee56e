"""Captions at three levels of detail, worded at random and saying only what the clip does.

Short: the action. Mid: how the parts of the body move. Long: the creature and its initial pose, the action, the parts.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from anyrig.creatures.plans import Plan
from anyrig.creatures.style import Style
from anyrig.creatures.words import a, choose, gerund, join, sentence, third

__all__ = ["Telling", "captions", "describe"]


@dataclass(frozen=True)
class Telling:
    """What an action has to say of itself, with choices in ``[one|other]``.

    ``verbs`` are phrases that start with a base form ("walk forward"); ``parts`` whole clauses on parts of the body
    ("its tail sways"); ``start`` the pose of the first frame in the third person ("stands on all fours"). ``paced``
    says whether adverbs of speed fit, ``moody`` whether those of mood do.
    """

    verbs: tuple[str, ...]
    parts: tuple[str, ...]
    start: str
    paced: bool = True
    moody: bool = True


_PACE = {"slow": ("slowly", "at a slow pace", "unhurriedly"), "fast": ("quickly", "fast", "briskly"), "": ("",)}
_MOOD = {
    "neutral": ("",), "calm": ("calmly", "in a relaxed way", ""), "alert": ("alertly", "attentively", ""),
    "tired": ("wearily", "tiredly", "listlessly"), "angry": ("angrily", "aggressively", "menacingly"),
    "playful": ("playfully", "cheerfully", "in high spirits"), "fearful": ("timidly", "fearfully", "warily"),
}  # fmt: skip
_BEARING = {
    "neutral": ("",), "calm": ("at ease", ""), "alert": ("with its head raised high", "with a high head"),
    "tired": ("with its head hanging low", "with a drooping head"), "angry": ("tense and with a lowered head",),
    "playful": ("with a light and lively bearing", "with its head up"), "fearful": ("cowering", "ducked and wary"),
}  # fmt: skip


def captions(plan: Plan, telling: Telling, style: Style, rng: random.Random) -> tuple[str, str, str]:
    """The short, the mid and the long caption."""
    verb = choose(rng.choice(telling.verbs), rng)
    adverb = _adverb(plan, telling, style, rng)
    parts = [choose(part, rng) for part in telling.parts]
    texts = _short(plan, verb, adverb, rng), _mid(parts, rng), _long(plan, telling, verb, adverb, parts, style, rng)
    sex = {"man": 0, "woman": 1, "person": rng.randrange(2), "human": rng.randrange(2)}.get(plan.noun)
    short, mid, long = texts if sex is None else (_person(text, sex) for text in texts)
    return short, mid, long


def _person(text: str, sex: int) -> str:
    """Calls people he or she, not it."""
    words = {"it": ("he", "she"), "its": ("his", "her"), "It": ("He", "She"), "Its": ("His", "Her")}
    return re.sub(r"\b([Ii]ts?)\b", lambda found: words[found[1]][sex], text)


def _adverb(plan: Plan, telling: Telling, style: Style, rng: random.Random) -> str:
    options = []
    if telling.paced and style.pace:
        options.append(rng.choice(_PACE[style.pace]))
    if telling.moody and plan.legs and style.mood != "neutral":
        options.append(rng.choice(_MOOD[style.mood]))
    options = [o for o in options if o]
    if len(options) == 2 and rng.random() < 0.5:
        return f"{options[0]} and {options[1]}" if all(o.endswith("ly") for o in options) else options[0]
    return rng.choice(options) if options else ""


def _short(plan: Plan, verb: str, adverb: str, rng: random.Random) -> str:
    noun = plan.noun
    forms = (
        f"{a(noun)} {third(verb)} {adverb}",
        f"the {noun} {third(verb)} {adverb}",
        f"{a(noun)} {gerund(verb)} {adverb}",
        f"{gerund(verb)} {adverb}",
        f"it {third(verb)} {adverb}",
    )
    return sentence(choose(rng.choice(forms), rng))


def _mid(parts: list[str], rng: random.Random) -> str:
    keep = parts
    if len(parts) > 3 and rng.random() < 0.5:  # the clauses are in the order of what happens
        keep = [parts[k] for k in sorted(rng.sample(range(len(parts)), 3))]
    return sentence(join(keep, rng))


def _long(
    plan: Plan, telling: Telling, verb: str, adverb: str, parts: list[str], style: Style, rng: random.Random
) -> str:
    bearing = rng.choice(_BEARING[style.mood]) if plan.legs and telling.moody else ""
    start = f"{choose(telling.start, rng)} {bearing}".strip()
    first = f"{a(describe(plan, rng))} {start}"
    then = f"{third(verb)} {adverb}".strip()
    detail = join(parts, rng)
    forms = (
        f"{sentence(first)} It {then}: {detail}.",
        f"{sentence(first)} Then it {then}, and {detail}.",
        f"{sentence(first)} It {then}. {sentence(detail)}",
    )
    return choose(rng.choice(forms), rng)


def describe(plan: Plan, rng: random.Random) -> str:
    """The creature in words, without an article: its size and a few of its traits."""
    traits = _traits(plan)
    rng.shuffle(traits)
    before = [t for t in traits if not t.startswith("with ")][: rng.choice((0, 1, 1, 2))]
    after = [t for t in traits if t.startswith("with ")][: rng.choice((0, 1, 1))]
    return " ".join([", ".join(before), plan.noun, *after]).strip()


def _traits(plan: Plan) -> list[str]:
    size = plan.size * (1.0 if plan.legs else 0.35)
    words = [
        "tiny" if size < 0.08 else "small" if size < 0.3 else "huge" if size > 1.7 else "large" if size > 1.0 else ""
    ]
    trunk = plan.trunk.length
    if plan.kind in ("quadruped", "dragon"):
        words.append("long-legged" if plan.size > 1.05 * trunk else "short-legged" if plan.size < 0.5 * trunk else "")
    if plan.neck is not None and plan.kind != "hexapod":
        ratio = plan.neck.length / plan.size
        words.append("long-necked" if ratio > 0.8 else "short-necked" if ratio < 0.28 and plan.kind != "biped" else "")
    if plan.kind in ("quadruped", "biped", "dragon"):
        ratio = plan.tail.length / plan.size if plan.tail else 0.0
        words.append("with a long tail" if ratio > 1.0 else "with a short tail" if 0 < ratio < 0.3 else "")
    legs = {2: "two-legged", 4: "four-legged", 6: "six-legged", 8: "eight-legged"}.get(plan.n_legs, "")
    words.append(
        legs if plan.kind not in ("bird", "biped") and legs not in plan.noun and "ped" not in plan.noun else ""
    )
    if plan.wings is not None and plan.kind in ("hexapod", "dragon") and "wing" not in plan.noun:
        words.append("winged")
    if "sting" in plan.habits:
        words.append("with its tail curled over its back")
    if plan.arms is not None and plan.arms.pincer:
        words.append("with raised pincers")
    return [w for w in words if w]
