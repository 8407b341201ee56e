"""FireAct's ReAct trajectories and chains of thought by GPT-4 (Chen et al. 2023, arXiv 2310.05915), on HotpotQA's and
StrategyQA's training questions. github.com/anchen1011/FireAct, MIT. Splits: hotpotqa, strategyqa (trajectories), cot.

``search[q]`` becomes ``print(search("q"))``, ``finish[x]`` becomes ``final_answer("x")``, and a snippet that was found
becomes a search result as ours read, without a title. For ``cot`` a trajectory's thoughts are joined to a chain of
thought, and its snippets are the passages that go with it. FireAct keeps what its
environment rewarded as right, so that answer counts as the gold one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from agentdistill.exchange.readers.collection import Draft, LeftOut, Turn, rows, text_of
from agentdistill.problems.benchmarks import SplitSource
from agentdistill.prompts import format_passages
from agentdistill.retrieval import Passage
from agentdistill.scorers.short import contains
from agentdistill.store import digest
from agentdistill.tools import FINAL_ANSWER
from agentdistill.types import Problem, ToolCall

SPLITS = {"hotpotqa": ("agent", "cot"), "strategyqa": ("agent", "cot"), "cot": ("cot",)}
MODEL = "gpt-4"
_PARTS = {
    "hotpotqa": SplitSource(
        ("fireact/hotpotqa.json", "alpaca_format/hotpotqa.json"), ()
    ),  # a benchmark's has that name too
    "strategyqa": SplitSource(("multitask.json",), ()),
    "cot": SplitSource(("multitask_multimethod.json",), ()),
}
_PIECE = re.compile(r"^(Thought|Action|Observation):[ \t]*", re.MULTILINE)
_ACTION = re.compile(r"(?P<name>search|finish)\[(?P<argument>.*)\]", re.DOTALL)
_REWARDED = re.compile(r"Episode finished, reward = (?:True|1)\.?")
_NOTHING = "None"
"""What FireAct's search observed where it found nothing."""


def parts(split: str) -> tuple[SplitSource, ...]:
    """The files of a split."""
    return (_PARTS[split],)


def drafts(split: str, path: str | None, method: str) -> Iterator[Draft | LeftOut]:
    """The rows of a split, each as a trajectory."""
    for n, row in rows("fireact", _PARTS[split], path):
        where = f"fireact:{split}/{n}"
        question, pieces = text_of(row, "instruction").strip(), _parsed(text_of(row, "output"))
        if question.startswith("Question:"):
            yield LeftOut(where, "multiple choice (MMLU)")
        elif not _REWARDED.fullmatch(pieces[-1][1] if pieces else ""):
            yield LeftOut(where, "not rewarded as right")
        elif _of_hotpotqa(pieces) != (split == "hotpotqa") and split != "cot":
            yield LeftOut(where, "of another split")
        elif _searches(pieces) == (split == "cot"):
            yield LeftOut(where, "not a chain of thought" if split == "cot" else "answered without a search")
        else:
            yield _draft(split, question, pieces, where, method)


def _parsed(output: str) -> list[tuple[str, str]]:
    """What an output says, piece by piece, each with its kind: Thought, Action or Observation."""
    parts = _PIECE.split(output)
    return [(kind, text.strip()) for kind, text in zip(parts[1::2], parts[2::2], strict=True)]


def _of_hotpotqa(pieces: list[tuple[str, str]]) -> bool:
    """HotpotQA's environment rewards with True, the others with 1."""
    return pieces[-1][1].endswith("True")


def _searches(pieces: list[tuple[str, str]]) -> bool:
    return any(kind == "Action" and text.startswith("search[") for kind, text in pieces)


def _draft(split: str, question: str, pieces: list[tuple[str, str]], where: str, method: str) -> Draft | LeftOut:
    """Turns of a thought, an action and an observation; the last action is the answer."""
    kinds = "".join(kind[0] for kind, _ in pieces)
    actions = [_ACTION.fullmatch(text) for kind, text in pieces if kind == "Action"]
    names = [a["name"] if a else "" for a in actions]
    if not re.fullmatch("(TAO)+", kinds) or names != ["search"] * (len(actions) - 1) + ["finish"]:
        return LeftOut(where, "not thoughts, searches and an answer in turn")
    *queries, answer = [a["argument"].strip() for a in actions if a]
    thoughts, observed = ([text for kind, text in pieces if kind == wanted] for wanted in ("Thought", "Observation"))
    family = "fireact" if split == "cot" else split
    letters = "".join(c for c in question.lower() if c.isalnum())
    problem = Problem(f"fireact-{digest(letters)}", question, answer, "short", family)
    notes = (("source", where), ("gold", "what was answered and rewarded as right"))
    if split == "cot":
        return Draft(problem, MODEL, (Turn(f"{thoughts[0]}\nAnswer: {answer}"),), notes, answer)
    snippets = ["" if text == _NOTHING else text for text in observed[:-1]]
    make = _acted if method == "agent" else _told
    return make(Draft(problem, MODEL, (), notes, answer), thoughts, queries, snippets)


def _acted(draft: Draft, thoughts: list[str], queries: list[str], snippets: list[str]) -> Draft:
    """The trajectory itself. ``snippets`` are what each query found, ``""`` for nothing."""
    turns = []
    for thought, query, snippet in zip(thoughts, queries, snippets, strict=False):
        result = format_passages(_passages([snippet]))
        call = ToolCall("search", json.dumps({"args": [query]}, ensure_ascii=False), result)
        turns.append(Turn(thought, f"print(search({_literal(query)}))", result, (call,)))
    turns.append(Turn(thoughts[-1], f"{FINAL_ANSWER}({_literal(draft.answer or '')})"))
    notes = (*draft.notes, ("search results", "stored snippets, numbered, without titles"))
    return replace(draft, turns=tuple(turns), notes=notes)


def _told(draft: Draft, thoughts: list[str], queries: list[str], snippets: list[str]) -> Draft | LeftOut:
    """The trajectory's thoughts as one chain of thought, with its snippets as passages."""
    answer = draft.problem.answer
    told = chain(draft.problem.question, thoughts, queries, snippets, answer)
    if not told.text:
        return LeftOut(dict(draft.notes)["source"], "thoughts that state nothing")
    notes = (*draft.notes, ("thought", "thoughts of the trajectory, without plans"))
    if told.n_quoted:
        notes = (*notes, ("findings", f"{told.n_quoted} quoted from stored snippets"))
    turn = Turn(f"{told.text}\nAnswer: {answer}")
    return replace(draft, turns=(turn,), notes=notes, passages=_passages(snippets))


def _passages(snippets: Sequence[str]) -> tuple[Passage, ...]:
    """Each snippet once, as a search result."""
    return tuple(Passage("", text) for text in dict.fromkeys(snippets) if text)


def _literal(text: str) -> str:
    """A text as a Python literal in double quotes, whose escapes JSON shares."""
    return json.dumps(text, ensure_ascii=False)


# --- a chain of thought out of an agent's thoughts --------------------------------------------------------------------


_BARE_WORDS = 10
"""An observation of at most so many words, and no sentence, is a value."""
_VALUE_WORDS = 3
_SENTENCE_WORDS = 6
_ASKS = re.compile(
    r"\b(?:who|whose|whom|what|when|where|which|why|how)\b|^(?:is|are|was|were|do|does|did|can|could|has|have|had)\b",
    re.IGNORECASE,
)
_NAME = re.compile(r"[A-Z][\w'’.-]*(?: (?:(?:of|the|de|von|van) )*[A-Z][\w'’.-]*)*|\d+")
_GAP = re.compile(r"\s+[;·|](?:\s+|$)|\s*(?:\.{3}|…)(?:\s+|$)")
_LIST_MARK = re.compile(r"[;·|]")
_DANGLING = re.compile(
    r"(?:,?\s+(?:all|one|most|some|and|or|but|a|an|the|of|in|on|at|to|by|for|from|with|as|during|which|who|whose|where|"
    r"that|is|are|was|were|has|had|he|she|it|they|his|her|its|their))+,?\s*$"
)
"""What a text that is cut off after it does not end with."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain of thought, ``""`` where there is nothing to say, and how many observations are quoted in it."""

    text: str
    n_quoted: int


def chain(
    question: str, thoughts: Sequence[str], queries: Sequence[str], observations: Sequence[str], answer: str
) -> Chain:
    """What the thoughts state, in order; there is one thought more than there are queries and observations.

    Where a thought does not state what was found, the observation's own sentence is put before it: the one that names
    what the next query is the first to name, or that holds the answer. A bare value follows its query.
    """
    said: list[str] = []
    quoted: dict[int, str] = {}
    for i, thought in enumerate(thoughts):
        own = stated(thought, opens=not any(said) and not quoted)
        if 0 < i < len(queries) and not own.text and not own.missed:
            known = " ".join([question, *queries[:i], *said])
            new = [name for name in _NAME.findall(queries[i]) if name not in known]
            quoted |= _quoted(i - 1, queries[i - 1], observations[i - 1], new)
        said.append(own.text)
    n_words = _missing(" ".join([*quoted.values(), *said]), answer)
    if n_words is not None:
        for i in reversed(range(len(queries))):
            found = _quoted(i, queries[i], observations[i], [answer], n_words)
            if found:
                quoted |= found
                break
    parts = [part for i, own in enumerate(said) for part in (quoted.get(i - 1, ""), own) if part]
    return Chain(" ".join(dict.fromkeys(parts)), len(quoted))


def _missing(text: str, answer: str) -> int | None:
    """Of how many words an observation has to be that ``text`` lacks: any where it does not give the answer, a sentence
    where it names nothing else (``The show is South Park.``); None where it lacks none."""
    if answer.lower() in ("yes", "no"):
        return None
    if not contains(text, answer):
        return 1
    names = _NAME.findall(re.sub(re.escape(answer), "", text, flags=re.IGNORECASE))
    return None if any(n.lower() not in _OPENING_WORDS for n in names) else _SENTENCE_WORDS


def _quoted(i: int, query: str, observation: str, wanted: Sequence[str], n_words: int = 1) -> dict[int, str]:
    """The part of an observation that holds any of ``wanted``, under its place; nothing where none of at least
    ``n_words`` words does. A value follows its query."""
    pieces = _pieces(observation)
    found = next((p for p in pieces if len(p.split()) >= n_words and any(contains(p, w) for w in wanted)), "")
    if not found:
        return {}
    n = len(found.split())
    if n <= _VALUE_WORDS or (len(pieces) == 1 and n <= _BARE_WORDS and not found.endswith(".")):
        lead = closed(query.strip().rstrip("?.")).rstrip(".")
        found = f"{lead}? {closed(found)}" if _ASKS.search(lead) else f"{lead}: {found}"
    return {i: closed(found)}


def _pieces(observation: str) -> list[str]:
    """The sentences of a search snippet, and the parts of those that it cuts off or lists."""
    out: list[str] = []
    for sentence in sentences(observation):
        start = 0
        for gap in _GAP.finditer(sentence):
            piece, start = sentence[start : gap.start()], gap.end()
            is_cut = not _LIST_MARK.search(gap[0]) and piece.rstrip()[-1:] not in (".", "!", "?", "")
            out.append(_DANGLING.sub("", piece) if is_cut else piece)
        out.append(sentence[start:])
    return [bare for piece in out if (bare := piece.strip(" ;·|"))]


# --- what a thought states --------------------------------------------------------------------------------------------


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
    """What a thought states, without its plans and without talk of searching. ``opens``: it begins the text.

    >>> stated("The search results say that Tol lies in Orvia, but I need to find the river.")
    Stated(text='Tol lies in Orvia.', missed=False)
    """
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


# --- sentences --------------------------------------------------------------------------------------------------------


_OPENING = """
a an the this that these those there it it's he she they we i i'll i'm so thus therefore hence however but and now next
then since because given based according considering although while both also in on as if for to from its his her their
my
"""
_OPENING_WORDS = frozenset(_OPENING.split())
"""What a sentence may begin with, besides names."""
_BREAK = re.compile(r"""(?<=[.!?])["”’)]*\s+(?=["“(]?[A-Z0-9])""")
_ABBREVIATED = re.compile(
    r"(?<!\w)(?:[A-Z]|(?:[A-Z]\.)+[A-Z]|St|Dr|Mr|Mrs|Ms|Jr|Sr|vs?|Inc|Ltd|Co|Corp|Lt|Gen|Col|Capt|Sgt|Sen|Rep|Gov|No|"
    r"Vol|Prof|Rev|Mt|Ft|feat|approx|etc|est|[bdc]|ca|[ap]\.m)\.\"?$"
)


def sentences(text: str) -> list[str]:
    """The sentences of a text, in order, each with its closing mark; abbreviations and initials end none.

    >>> sentences('He met J. R. Hartley at 7 p.m. in St. Ives. "Who?" She left.')
    ['He met J. R. Hartley at 7 p.m. in St. Ives.', '"Who?"', 'She left.']
    """
    out: list[str] = []
    start = 0
    for end in [m.end() for m in _BREAK.finditer(text)] + [len(text)]:
        piece, start = text[start:end].strip(), end
        opens = piece.split()[0].strip('",').lower() in _OPENING_WORDS if piece else True
        if out and not opens and _ABBREVIATED.search(out[-1]):
            out[-1] += f" {piece}"
        elif piece:
            out.append(piece)
    return out
