"""A small grammar: texts with choices, verbs in the form a sentence needs, clauses joined as a writer would."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

__all__ = ["a", "choose", "gerund", "join", "sentence", "third"]

_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_THIRD = {"do": "does", "go": "goes", "have": "has", "be": "is"}
_GERUND = {"die": "dying", "lie": "lying", "be": "being", "flee": "fleeing", "canoe": "canoeing"}
# Verbs of one short syllable double their last letter: running, hopping, jabbing.
_SHORT = re.compile(r"^[^aeiou]*[aeiou][^aeiouwxy]$")


def choose(text: str, rng: random.Random) -> str:
    """``text`` with each ``[one|other|]`` replaced by one of its choices; choices may hold choices."""
    while (found := _CHOICE.search(text)) is not None:
        text = text[: found.start()] + rng.choice(found[1].split("|")) + text[found.end() :]
    return re.sub(r"\s+([,.;:])", r"\1", re.sub(r"\s{2,}", " ", text)).strip()


def third(phrase: str) -> str:
    """A phrase that starts with a verb's base form, in the third person: ``"rush on"`` gives ``"rushes on"``."""
    return _inflect(phrase, _third)


def gerund(phrase: str) -> str:
    """The same in the -ing form."""
    return _inflect(phrase, _gerund)


def _inflect(phrase: str, form: object) -> str:
    # Two verbs in one phrase ("crouch and leap forward"): both are inflected.
    parts = phrase.split(" and ")
    out = []
    for part in parts:
        verb, _, rest = part.partition(" ")
        out.append(f"{form(verb)} {rest}".strip())  # type: ignore[operator]
    return " and ".join(out)


def _third(verb: str) -> str:
    if verb in _THIRD:
        return _THIRD[verb]
    if re.search(r"(s|x|z|ch|sh|o)$", verb):
        return f"{verb}es"
    if re.search(r"[^aeiou]y$", verb):
        return f"{verb[:-1]}ies"
    return f"{verb}s"


def _gerund(verb: str) -> str:
    if verb in _GERUND:
        return _GERUND[verb]
    if _SHORT.match(verb) or verb.endswith("step"):
        return f"{verb}{verb[-1]}ing"
    if verb.endswith("e") and not verb.endswith("ee"):
        return f"{verb[:-1]}ing"
    return f"{verb}ing"


def a(noun: str) -> str:
    """``noun`` with its indefinite article."""
    return f"{'an' if noun[:1].lower() in 'aeiou' and not noun.startswith(('uni', 'one')) else 'a'} {noun}"


def join(clauses: Sequence[str], rng: random.Random) -> str:
    """Clauses in one sentence: ``"a, b and c"``, or ``"a while b"`` where there are two."""
    clauses = list(clauses)
    if len(clauses) <= 1:
        return "".join(clauses)
    if len(clauses) == 2 and rng.random() < 0.4:
        return f"{clauses[0]} while {clauses[1]}"
    comma = "," if len(clauses) > 2 and rng.random() < 0.5 else ""
    return f"{', '.join(clauses[:-1])}{comma} and {clauses[-1]}"


def sentence(text: str) -> str:
    """``text`` with a capital and a full stop."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!")) else ".")
