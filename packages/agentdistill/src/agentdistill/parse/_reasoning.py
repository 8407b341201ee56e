"""Where a model's reasoning ends and its reply begins: the one place that knows the marks of the model families."""

from __future__ import annotations

import re
from dataclasses import dataclass

_QUOTES = ("'", '"', "`")
_MAX_STRETCHES = 32


@dataclass(frozen=True, slots=True)
class Reading:
    """A turn taken apart. ``reply`` is what the turn says; both are stripped where reasoning was found."""

    reasoning: str
    reply: str


# (opening, closing): DeepSeek, Qwen, QwQ, Nemotron and others; EXAONE; Mistral; Seed-OSS; Sky-T1; Cohere; Kimi-VL;
# MedGemma and Gemma.
_TAG = r"think|thinking|thoughts?|reason|reasoning|seed:think|analysis|scratchpad|reflection"
_PAIRS = tuple(
    (re.compile(opening, re.IGNORECASE), re.compile(closing, re.IGNORECASE))
    for opening, closing in (
        *((rf"<{name}(?:\s[^<>]*)?>", rf"</{name}\s*>") for name in _TAG.split("|")),
        (r"\[THINK\]", r"\[/THINK\]"),
        (r"<\|(?:begin_of_thought|thinking|think)\|>", r"<\|(?:end_of_thought|/thinking|/think)\|>"),
        (r"<\|START_THINKING\|>", r"<\|END_THINKING\|>"),
        (r"◁think▷", r"◁/think▷"),
        (r"<unused94>", r"<unused95>"),
        (r"<\|channel>", r"<channel\|>"),
    )
)
_REPLY_MARKS = re.compile(r"\A\s*(?:<\|(?:START_RESPONSE|begin_of_solution)\|>|<response>)\s*", re.IGNORECASE)
_REPLY_END = re.compile(r"\s*(?:<\|(?:END_RESPONSE|end_of_solution)\|>|</response>)\s*\Z", re.IGNORECASE)
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)
# gpt-oss: <|start|>assistant<|channel|>analysis<|message|>…<|end|>
_HARMONY = re.compile(
    r"(?:<\|start\|>\s*assistant\s*)?(?:<\|channel\|>|\A)\s*(?P<channel>analysis|commentary|final)\b[^<]*"
    r"(?:<\|constrain\|>[^<]*)?<\|message\|>(?P<words>.*?)"
    r"(?=<\|(?:end|return|call|start|channel)\|>|\Z)(?:<\|(?:end|return|call)\|>)?",
    re.DOTALL,
)
# The same where the server left its special tokens out: "analysisWe need …assistantfinalThe answer".
_BARE_HARMONY = re.compile(r"\A\s*analysis(?=\S|\s*\n)(?P<reasoning>.*?)assistant\s*final(?P<reply>.*)\Z", re.DOTALL)
_BARE_UNFINISHED = re.compile(r"\A\s*analysis(?=[A-Z])(?P<reasoning>.*)\Z", re.DOTALL)


def split_reasoning(text: str) -> Reading:
    """``text`` as reasoning and reply.

    Reasoning stands between marks, before a closing mark whose opening one the prompt holds, behind an opening one
    that is never closed (all of it, then), or in channels that are not the final one. A mark within a sentence, in
    quotes or in a block of code is not one. Where there is no reasoning, the reply is ``text`` as it is.

    >>> split_reasoning("<think>\\n41?\\n</think>\\n\\nAnswer: 42")
    Reading(reasoning='41?', reply='Answer: 42')
    """
    found = _channels(text)
    if found is None:
        thought: list[str] = []
        reply = text
        while len(thought) < _MAX_STRETCHES and (cut := _first_cut(reply)) is not None:
            start, inner, end = cut
            thought.append(reply[inner[0] : inner[1]].strip())
            reply = reply[:start] + reply[end:] if reply[:start].strip() else reply[end:].lstrip()
        if not thought:
            return Reading("", text)
        found = Reading("\n\n".join(t for t in thought if t), reply)
    reply = _REPLY_END.sub("", _REPLY_MARKS.sub("", found.reply))
    return Reading(found.reasoning.strip(), reply.strip())


def after_reasoning(text: str) -> str:
    """What a turn says once its reasoning is over; ``text`` itself where it holds none."""
    return split_reasoning(text).reply


def _channels(text: str) -> Reading | None:
    """The final channel as the reply, all others as reasoning; None where the text has no channels."""
    parts = list(_HARMONY.finditer(text)) if "<|message|>" in text else []
    if parts:
        final = [p["words"] for p in parts if p["channel"] == "final"]
        others = [p["words"].strip() for p in parts if p["channel"] != "final"]
        return Reading("\n\n".join(others), final[-1] if final else "")
    if bare := _BARE_HARMONY.match(text):
        return Reading(bare["reasoning"], bare["reply"])
    if bare := _BARE_UNFINISHED.match(text):
        return Reading(bare["reasoning"], "")
    return None


def _first_cut(text: str) -> tuple[int, tuple[int, int], int] | None:
    """The first stretch of reasoning: where it starts, its inside, and where it ends."""
    found: list[tuple[int, tuple[int, int], int]] = []
    for opening, closing in _PAIRS:
        start = next((m for m in opening.finditer(text) if _opens(text, m)), None)
        if start is not None:
            end = next((m for m in closing.finditer(text, start.end()) if not _quoted(text, m)), None)
            inside = (start.end(), end.start() if end else len(text))
            found.append((start.start(), inside, end.end() if end else len(text)))
        elif not opening.search(text):
            marks = reversed(list(closing.finditer(text))[-_MAX_STRETCHES:])
            alone = next((m for m in marks if _closes_alone(text, m)), None)
            if alone is not None:
                found.append((0, (0, alone.start()), alone.end()))
    return min(found, default=None)


def _opens(text: str, mark: re.Match[str]) -> bool:
    """Whether reasoning begins here: at the start of a line, outside of code."""
    line = text[text.rfind("\n", 0, mark.start()) + 1 : mark.start()]
    return not line.strip() and not _in_code(text, mark.start())


def _closes_alone(text: str, mark: re.Match[str]) -> bool:
    """Whether reasoning that the prompt opened ends here. In code the mark has to have a line of its own: a block that
    the reasoning left open."""
    if _quoted(text, mark):
        return False
    if not _in_code(text, mark.start()):
        return True
    line = text[text.rfind("\n", 0, mark.start()) + 1 :].split("\n", 1)[0]
    return line.strip() == mark[0]


def _quoted(text: str, mark: re.Match[str]) -> bool:
    return text[mark.start() - 1 : mark.start()] in _QUOTES or text[mark.end() : mark.end() + 1] in _QUOTES


def _in_code(text: str, at: int) -> bool:
    """Whether a fence is open at ``at``."""
    return len(_FENCE.findall(text, 0, at)) % 2 == 1
