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


# The names that families give to it: DeepSeek, Qwen, QwQ, Nemotron, EXAONE, Seed-OSS, MiniMax, Kimi and others.
_NAME = (
    r"(?:[a-z]+:)?(?:(?:deep|inner|internal)[_-]?)?"
    r"(?:think(?:ing)?|thoughts?|reason(?:ing)?|monologue|analysis|scratchpad|reflection|chain[_-]of[_-]thought)"
    r"(?:[_-](?:process|steps))?|思考"
)
# (opening, closing): tags; Mistral's; Sky-T1's, Cohere's, Solar's and LFM's special tokens; Kimi-VL; MedGemma and
# Gemma; Open WebUI; Granite and Apriel, which use sentences.
_PAIRS = tuple(
    (re.compile(opening, re.IGNORECASE), re.compile(closing, re.IGNORECASE))
    for opening, closing in (
        (rf"<\s?(?P<name>{_NAME})(?:\s[^<>]*)?>", rf"<\s?/\s?(?P<name>{_NAME})\s*>|<\|/think\|>"),
        (r"\[(?P<name>THINK(?:ING)?|THOUGHT|REASONING)\]", r"\[/(?P<name>THINK(?:ING)?|THOUGHT|REASONING)\]"),
        (
            rf"(?:<\||\[\|)(?:begin_?of_?|start_?of_?|START_)?(?:{_NAME})(?:_start)?(?:\|>|\|\])",
            rf"(?:<\||\[\|)(?:end_?of_?|END_|/)(?:{_NAME})(?:\|>|\|\])|<\|(?:{_NAME})_end\|>"
            r"|(?P<opened>)<\|end\|>\s*(?:<\|begin\|>\s*assistant\s*)?<\|content\|>",
        ),
        (r"◁think▷", r"◁/think▷"),
        (r"<unused94>", r"<unused95>"),
        (r"<\|channel>", r"<channel\|>"),
        # What else these close is no reasoning: they never stand alone.
        (r"<details\s[^<>]*type=.?reasoning[^<>]*>", r"(?P<opened>)</details>"),
        (r"\A\s*here(?:'s| is) my thought process:", r"(?P<opened>)here(?:'s| is) my response:"),
        (r"\A\s*here are my reasoning steps:", r"(?P<opened>)\[BEGIN FINAL RESPONSE\]"),
    )
)
_REPLY_MARKS = re.compile(r"\A\s*(?:<\|(?:START_RESPONSE|begin_of_solution)\|>|<response>)\s*", re.IGNORECASE)
_REPLY_END = re.compile(
    r"\s*(?:<\|(?:END_RESPONSE|end_of_solution)\|>|</response>|\[END FINAL RESPONSE\])(?:\s*<\|end\|>)?\s*\Z",
    re.IGNORECASE,
)
_LABEL = re.compile(r"(?:[\W_]*\w+[\W_]*:\W*)?")
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
        openings, closings = list(opening.finditer(text)), list(closing.finditer(text))
        for start in openings[:_MAX_STRETCHES]:
            fits = (m for m in closings if m.start() >= start.end() and _name(m) in (_name(start), ""))
            end = next((m for m in fits if not _quoted(text, m)), None)
            if _opens(text, start, end):
                inside = (start.end(), end.start() if end else len(text))
                found.append((start.start(), inside, end.end() if end else len(text)))
                break
        opened = {_name(m) for m in openings}
        free = (m for m in closings[::-1][:_MAX_STRETCHES] if _name(m) not in opened and "opened" not in _groups(m))
        if alone := next((m for m in free if _closes_alone(text, m)), None):
            found.append((0, (0, alone.start()), alone.end()))
    return min(found, default=None)


def _groups(mark: re.Match[str]) -> dict[str, str]:
    return {k: v for k, v in mark.groupdict().items() if v is not None}


def _name(mark: re.Match[str]) -> str:
    """The name in a mark, which its closing mark repeats; '' where the mark has none."""
    return _groups(mark).get("name", "").lower()


def _opens(text: str, mark: re.Match[str], end: re.Match[str] | None) -> bool:
    """Whether reasoning begins here: outside of code, at the start of a line or behind its label ("Thought:"); within
    a sentence only where it is closed on a later line."""
    if _in_code(text, mark.start()) or _quoted(text, mark):
        return False
    line = text[text.rfind("\n", 0, mark.start()) + 1 : mark.start()].strip()
    return _LABEL.fullmatch(line) is not None or (end is not None and "\n" in text[mark.end() : end.start()])


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
