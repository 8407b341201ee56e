"""What an agent's thought states, without its plans and without talk of searching.

>>> stated("The search results say that Tol lies in Orvia, but I need to find the river.")
Stated(text='Tol lies in Orvia.', missed=False)
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from agentdistill.readers._prose import sentences

_QUOTED = re.compile(r'"[^"]*"')
_NUMBERED = re.compile(
    r"\b(?!(?:Now|Then|First|Next|So|But|However|Since|Therefore|Thus|Still)\b)([A-Z][a-z]{2,}) I\b(?!')"
)
"""``King James I``, which is no first person."""

_SOURCE = (
    r"(?:[Tt]he|[Tt]his|[Tt]hese|[Aa]ll|[Mm]y)(?: (?:new|given|available|provided|current|observed|last|first|second))*"
    r" (?:search(?:es)?(?: (?:results?|snippets?|query))?|results?|observations?|snippets?|information|article)"
    r"(?: (?:that )?(?:I (?:have )?)?(?:found|gathered|provided|available|obtained|given))?"
)
_NOT = r"(?:\bnot\b|n't\b|\bno\b|\bnothing\b|\bcut off\b|\bincorrect\b|\birrelevant\b|\bunclear\b)"
_SAYS = (
    r"(?:(?:does |only |also )*(?:say|show|state|indicate|suggest|mention|confirm|tell|imply|implie|reveal)(?:s|ed)?)"
)
_SEEMS = (
    r"(?:it (?:seems|appears|is clear|is evident|is safe to (?:say|assume)|c(?:an|ould) be (?:inferred|concluded|said))"
    r"|it's (?:clear|evident|safe to (?:say|assume)))"
)
_LINK = r"(?:(?:so|but|and|now|however|then|therefore|since|because|while),?\s+)*"
_FIRST_PERSON = r"(?:I(?:'ll|'m|'ve|'d)?|[Ll]et's)\b"
_IS = r"(?:is|would be|should be|must be)(?: likely| mostly| probably)?"
_GIVEN = rf"(?:the|my) answer(?: to (?:the|this) question)? {_IS}"
"""How the answer is given; what follows says what it is."""
_ANSWERED = (
    rf"(?:{_GIVEN}\b(?!.*,\s(?:he|she|it|they)\b).*|[^,]{{1,60}}(?:\b(?:is|be)|'s)(?: likely)? the (?:correct )?answer)"
)

_LEADS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"^[\s:]+",
        rf"^{_SOURCE}[^,]*?{_NOT}[^,]*, but (?:it {_SAYS} that )?",
        rf"^(?:based on|according to|from|given|considering) {_SOURCE},\s+",
        rf"^{_SOURCE} (?:still |clearly |further )*{_SAYS}(?: me| us)? that ",
        rf"^(?:however, )?it (?:also )?{_SAYS} that ",
        r"^(?:I (?:have )?(?:found|know|learned|see)|we know)(?: now)? that ",
        r"^I (?:have )?(?:find|found|have) the answer(?: now)?, ",
        r"^as (?:I|we) (?:thought|expected|assumed), |^(?:from|to) my knowledge, ",
        rf"^{_LINK}{_GIVEN} (?:(?:yes|no), (?:as |because |since )?|that )",
    )
)
_HEDGES = re.compile(
    rf"(?:(?<=^)|(?<=, ))(?:{_SEEMS}|I can (?:\w+ly )?(?:conclude|assume|infer|say)) that ", re.IGNORECASE
)
_TAILS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf",\s+{_LINK}(?:to [^,]{{4,60}},\s+)?{_FIRST_PERSON} .*$",
        rf",\s+(?:{_LINK}|which\s+){_ANSWERED}$",
        rf",\s+but {_SOURCE}\b.*{_NOT}.*$",
        r",\s+but (?:it|there|that|this)(?: still)? (?:is|was|does|did|do)(?: not|n't)? "
        r"(?:no |any |mention|provide|specif|give|say).*$",
        r",\s+(?:but|and) it(?:'s| is| was)(?: still)? "
        r"(?:not clear|unclear|not (?:explicitly |directly )?(?:named|stated)).*$",
    )
)
_DROPPED = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b{_FIRST_PERSON}|\bmy (?:search|question)\b",
        rf"^{_LINK}{_ANSWERED}$",
        rf"\b{_SOURCE}(?! engine)\b",
        r"\b(?:it|this|that|they)(?: still| also| only)? (?:does|did|do)(?: not|n't) (?:\w+ly )*"
        r"(?:mention|provide|specify|answer|give|say|state|confirm|guarantee|tell)\b",
        r"\bthere(?:'s| is| was| are| seems to be) (?:(?:no|not any|still no)(?: \w+){0,3} )?"
        r"(?:information|mention of them|evidence|need)\b|\bthere is no mention\b",
        r"\binformation\b.*\b(?:available|clear|sufficient|found|incorrect|readily)\b",
        r"\b(?:unclear|not (?:\w+ )?clear|not sure|not (?:\w+ly )?(?:stated|named|specified))\b(?! after)",
        rf"^{_LINK}(?:this|the) question\b|\b(?:in|by|of|to) (?:the|this) question\b",
        r"\bhypothetical question\b|\bdepends on the interpretation\b|\bsubjective\b|\bdefinitive(?:ly)?\b",
        r"\bis not returned\b",
        r"^(?:it would be (?:helpful|useful)|more) .*\b(?:find|look|search|information|research)\b|\bto be searched\b",
        rf"^{_LINK}(?:it (?:seems|is|was) (?:highly )?(?:un)?likely|it(?:'s| is) reasonable to answer .*)$",
        r"^(?:it )?(?:only |does |also )*mentions?\b",
    )
)
_FRAGMENT = re.compile(
    r"^(?:(?:however|but|still|so),? )*(?:(?:in order )?to|without|given|for|based|if\b[^,]*$)\b", re.IGNORECASE
)
"""What is no sentence once its main clause is cut off."""
_MISSED = re.compile(
    rf"{_SOURCE}.*{_NOT}|\b(?:did|could|do|does|have|has)(?: not|n't)\b|\bagain\b|\bstill\b|\bdifferent\b"
)
_CONTRAST = re.compile(r"^(?:However|But|Instead|Still|Yet|Nevertheless|Also),?\s+")
_RESULT = re.compile(r"^(?:So|Therefore|Thus|Hence|Then|Now|Next|And),?\s+(?!far\b)")
_SUBORDINATE = re.compile(r"^(?:Since|Because|While|As|Although|Given that|Considering that)\s+")
_MIN_WORDS = 3


@dataclass(frozen=True, slots=True)
class Stated:
    """What a thought states; ``missed`` says that its search did not find what was looked for."""

    text: str
    missed: bool


def stated(thought: str, opens: bool = True) -> Stated:
    """The sentences of a thought that state something. ``opens``: nothing stands before them."""
    kept: list[str] = []
    missed, cut = False, opens
    for sentence in sentences(thought):
        said = _stated(sentence)
        if said and cut:
            said = _CONTRAST.sub("", said)
        if said and opens and not kept:
            said = _RESULT.sub("", said)
        cut = not said
        missed = missed or (cut and bool(_MISSED.search(sentence)))
        if said and closed(said) not in kept:
            kept.append(closed(said))
    return Stated(" ".join(kept), missed)


def _stated(sentence: str) -> str:
    """A sentence without lead-in and plan; ``""`` where it states nothing."""
    said = sentence.strip()
    for _ in range(2):
        for lead in _LEADS:
            said = lead.sub("", said)
        said = _HEDGES.sub("", said)
        for tail in _TAILS:
            found = tail.search(_masked(said).rstrip(".!"))
            if found:
                said = _SUBORDINATE.sub("", said[: found.start()])
                said = "" if _FRAGMENT.match(said) else said
    bare = _masked(said).rstrip(".!")
    if len(said.split()) < _MIN_WORDS or any(pattern.search(bare) for pattern in _DROPPED):
        return ""
    return said


def _masked(text: str) -> str:
    """The text with quotations and numbered kings blanked, each as long as before."""
    text = _QUOTED.sub(lambda m: '"' + "_" * (len(m[0]) - 2) + '"', text)
    return _NUMBERED.sub(lambda m: f"{m[1]} _", text)


def closed(text: str) -> str:
    """With a capital at its beginning and a mark at its end."""
    text = text.strip().rstrip(",;:")
    out = text if re.search(r"[.!?][\"”’)]*$", text) else f"{text}."
    return out[:1].upper() + out[1:]
