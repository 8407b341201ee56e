"""The answer that a chain of thought ends in: a box, a line that says so, or a sentence that does."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

_BOX = re.compile(r"\\(?:boxed|fbox|framebox)\s*(?:\{|(?P<bare>\d[\w.,/]*\w|\w(?![a-zA-Z])))")
_MAX_BOXES = 16
_BETWEEN_BOXES = re.compile(r"[\s$,;]*(?:(?:and|or|,)[\s$]*)?")
_TAGGED = re.compile(
    r"(?:<(?:final_?)?answer>|\[ANSWER\]|<\|begin_of_box\|>)(.*?)(?:</(?:final_?)?answer>|\[/ANSWER\]|<\|end_of_box\|>)",
    re.DOTALL | re.IGNORECASE,
)
# {"answer": "Paris"}
_QUOTED = re.compile(
    r"[\"'](?:final_?)?answer[\"']\s*:\s*(?P<value>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[^\s,})]+)",
    re.IGNORECASE,
)
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u2060\ufeff"))
_HASHES = re.compile(r"^####[ \t]*(?!#)(?P<rest>[^\n]*)", re.MULTILINE)
_WORDS = (
    r"(?i:answers?|ans|solution|antworte?n?|réponse|respuesta|risposta|resposta|antwoord|svar|odpowiedź|ответ|cevap"
    r"|答案|答え|回答|答|정답|답)"
)
_QUALIFIED = (
    r"(?i:(?:the|my|our)[ \t]+)?(?i:(?:final|correct|right|short|numeric(?:al)?|exact|die|la|最终|最終)[ \t]*)*"
)
# At the start of a line, whatever markup is around: "Answer: …", "**Final Answer**", "### Answer", "A: …".
_LABEL = re.compile(
    rf"^(?P<markup>[ \t>#*_\[-]*)(?:\d{{1,2}}[.)][ \t*_]+)?(?:(?i:so|thus|therefore|hence),?[ \t]+)?"
    rf"(?:{_QUALIFIED}{_WORDS}|A(?=:))"
    r"(?:[ \t]+(?i:final[ae]?))?[ \t]*(?:\([^()\n]*\))?(?P<after>[ \t*_\]]*)"
    r"(?P<colon>[:：=→]|->|=>|[-–—][ \t]|[ \t]is[ \t]*:)?[ \t*_]*(?P<rest>[^\n]*)",
    re.MULTILINE,
)
_BOLD = re.compile(rf"\*\*[ \t]*{_QUALIFIED}{_WORDS}[ \t*]*[:：][ \t*]*(?P<rest>[^\n]*)")
_SENTENCE = re.compile(
    r"(?:^[ \t]*|\b(?:the|my|our)[ \t]+)(?:(?:final|correct|right|best)[ \t]+)*(?:answer|option|choice)"
    r"(?:[ \t]+(?:to|for|of)\b[^.:\n]{0,160}?)?[ \t*_]*"
    r"(?::|=|\b(?:is|was|are|equals|(?:would|must|should|will|might|may|could)[ \t]+be|comes[ \t]+(?:out[ \t]+)?to)\b)"
    r"[ \t*_]*(?:(?:therefore|thus|then|simply|just|clearly)\b,?|:)?(?P<rest>[\s*_]*\S[^\n]*)",
    re.IGNORECASE | re.MULTILINE,
)
# The same in other languages, and the other way round.
_SENTENCES = (
    re.compile(
        r"(?i:\b(?:la[ \t]+(?:respuesta|réponse|risposta)|a[ \t]+resposta|die[ \t]+antwort|het[ \t]+antwoord)"
        r"(?:[ \t]+(?:final[ae]?|correct[ae]?|finale))?[ \t]+(?:est?|è|é|ist|is)\b[ \t]*:?)(?P<rest>[\s*_]*\S[^\n]*)"
    ),
    re.compile(r"(?:答案|答え)[ \t]*(?:是|为|為|は)[ \t:：]*(?P<rest>[^\n。]+?)(?:です|である)?(?=。|\n|\Z)"),
    re.compile(
        r"\b(?:option|choice|answer)[ \t]+(?P<rest>\(?[A-J]\)?)[ \t]+is[ \t]+(?:the[ \t]+)?(?:correct|right|best)", re.I
    ),
    re.compile(
        r"(?:^|(?<=[.,:;][ \t]))(?:(?:so|thus|therefore|hence),?[ \t]+)?(?P<rest>[^\s.,:;?](?:[^\n.?]|\.(?=\d)){0,60}?)"
        r",?[ \t]+is[ \t]+(?:the|my|our)[ \t]+(?:(?:final|correct|right)[ \t]+)*answer\b(?![ \t]+(?:to|for|that|we))",
        re.IGNORECASE | re.MULTILINE,
    ),
)
_NO_ANSWER = re.compile(
    r"(?:based|in[ \t]+(?:the|line)|given|found|(?:shown|as|listed)[ \t]+(?:below|above|follows)|correct\b|wrong\b"
    r"|incorrect\b|not\b(?![ \t]+(?:enough|possible|defined))|that\b|obtained|derived|going\b|unique\b|supported)",
    re.IGNORECASE,
)
_REASON = re.compile(
    r",?[ \t]+(?:because|since|as[ \t]+(?:we|it|the|shown)|due[ \t]+to|given[ \t]+that|which|where)\b.*", re.DOTALL
)
_REMARK = re.compile(r";[ \t]+(?=[a-zA-Z]{2,}[ \t]).*", re.DOTALL)
_NEXT_SENTENCE = re.compile(
    r"(?<=[^\s.])\.[ \t]+"
    r"(?:This|That|These|The|It|Its|So|Let|I|We|You|Therefore|Thus|Hence|Because|Since|Note|To|In|As|If)\b.*",
    re.DOTALL,
)
_AFTER_NUMBER = re.compile(r"\A([^A-Za-z\s]*\d[^A-Za-z\s]*)\.[ \t]+[A-Z].*", re.DOTALL)
_WRAPPED = (("**", "**"), ("__", "__"), ("```", "```"), ("`", "`"), ("<", ">"), ("*", "*"))


def answer_of(reply: str) -> str | None:
    """The answer of a reply without reasoning: the last box that is not empty, else what ``<answer>`` tags hold, else
    what a label announces, else what a sentence says; of several the last."""
    reply = reply.translate(_INVISIBLE)
    boxed = last_boxed(reply)
    if boxed is not None:
        return boxed
    tagged = [t.strip() for t in _TAGGED.findall(reply) if t.strip()]
    if tagged:
        return last_boxed(tagged[-1]) or answer_of(tagged[-1]) or _bare(tagged[-1])
    labelled = [a for a in _labelled(reply) if a]
    if labelled:
        return labelled[-1]
    for sentence in (_SENTENCE, *_SENTENCES):
        if said := [a for m in sentence.finditer(reply) if (a := _said(m["rest"]))]:
            return said[-1]
    quoted = [_value(m["value"]) for m in _QUOTED.finditer(reply)]
    return quoted[-1] if quoted else None


def _value(literal: str) -> str:
    """What a literal of JSON or Python says; a name as it stands."""
    try:
        return str(ast.literal_eval(literal))
    except (ValueError, SyntaxError, MemoryError):
        return literal


def last_boxed(text: str) -> str | None:
    """The contents of the last ``\\boxed{...}`` with balanced braces that is not empty; ``\\boxed 5`` is one too. Boxes
    with nothing but a comma or an "and" between them are one answer."""
    found: list[str] = []
    follows = len(text)
    for box in reversed(list(_BOX.finditer(text))[-_MAX_BOXES:]):
        inside = box["bare"] or _to_its_brace(text, box.end())
        end = box.end() if box["bare"] else box.end() + len(inside or "") + 1
        if inside is None or not inside.strip() or (found and not _BETWEEN_BOXES.fullmatch(text, end, follows)):
            if found:
                break
            continue
        found.insert(0, inside.strip())
        follows = box.start()
    return ", ".join(dict.fromkeys(found)) or None


def _to_its_brace(text: str, begin: int) -> str | None:
    depth = 1
    for i in range(begin, len(text)):
        depth += (text[i] == "{") - (text[i] == "}")
        if depth == 0:
            return text[begin:i]
    return None


def _labelled(reply: str) -> Iterator[str | None]:
    found = [(m.start(), _whole(reply, m)) for m in _HASHES.finditer(reply)]
    for m in _LABEL.finditer(reply):
        heading = ("#" in m["markup"] or "*" in m["markup"]) and not m["rest"].strip("*_ \t")
        if m["colon"] or heading:
            found.append((m.start(), _whole(reply, m)))
    found += [(m.start(), _whole(reply, m)) for m in _BOLD.finditer(reply)]
    yield from (_bare(answer) for _, answer in sorted(found))


def _whole(reply: str, label: re.Match[str]) -> str:
    """What a label announces: the rest of its line, else the next that is not empty; formulas to their end."""
    start = label.start("rest")
    if not label["rest"].strip("*_ \t\r"):
        after = reply[label.end() :]
        start = label.end() + len(after) - len(after.lstrip())
    end = reply.find("\n", start)
    while end >= 0 and _is_unfinished(reply[start:end]):
        end = reply.find("\n", end + 1)
    return reply[start:] if end < 0 else reply[start:end]


def _is_unfinished(formula: str) -> bool:
    if formula.count("\\begin{") > formula.count("\\end{") or formula.count("\\[") > formula.count("\\]"):
        return True
    return formula.count("$$") % 2 == 1 and formula.strip().startswith("$$")


def _said(rest: str) -> str | None:
    """The answer within the rest of a sentence; None where the sentence only talks about the answer."""
    answer = _bare(rest)
    if answer is None or _NO_ANSWER.match(answer) or re.match(r"\S+\?(?:\s|\Z)", answer):
        return None
    return answer


def _bare(text: str) -> str | None:
    """``text`` without markup, reasons and remarks."""
    out = re.sub(r"\A[*_]{2,}[ \t]+", "", text.strip())
    for pattern in (_REASON, _REMARK, _NEXT_SENTENCE):
        out = pattern.sub("", out)
    out = _AFTER_NUMBER.sub(r"\1", out).strip()
    out = re.sub(r"\*\*[.!]?\Z", "", out) if out.count("**") == 1 else out
    for opening, closing in _WRAPPED:
        inner = out.rstrip(".!")
        if len(inner) > len(opening) + len(closing) and inner.startswith(opening) and inner.endswith(closing):
            middle = inner[len(opening) : -len(closing)].strip()
            out = middle if opening not in middle else out
    return out.strip() or None
