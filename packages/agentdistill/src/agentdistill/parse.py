"""Reading what a model wrote: the code of an agent's step, and the answer at the end of a chain of thought."""

from __future__ import annotations

import re

_FENCE = re.compile(r"```[ \t]*([\w+-]*)[ \t]*\r?\n(.*?)```", re.DOTALL)
_OPEN = re.compile(r"```[ \t]*(?:py|python|python3)[ \t]*\r?\n((?:(?!```).)*)\Z", re.DOTALL | re.IGNORECASE)
_TAGGED = re.compile(r"<code>\s*\n?(.*?)\n?\s*</code>", re.DOTALL)
_PYTHON = ("", "py", "python", "python3")
# At the start of a line or of bold text, or "the (final) answer" anywhere; then "is" or a colon, and the answer itself.
_ANSWER = re.compile(
    r"(?:^[ \t]*|\*\*[ \t]*|\bthe[ \t]+)(?:final[ \t]+)?answer[ \t*]*(?:is\b[ \t*]*:?|:)[\s*]*(\S[^\n]*)",
    re.IGNORECASE | re.MULTILINE,
)
_BOLD_END = re.compile(r"\*\*[.!]?\Z")


def parse_action(text: str) -> str | None:
    """The first block of Python in an agent's step; None where there is none.

    Fences (with or without ``py``) and ``<code>`` tags both count. A fence that is never closed counts when it names
    Python: models that stop at the closing fence leave it out.

    >>> parse_action("Thought: add.\\nCode:\\n```py\\nprint(1 + 1)\\n```")
    'print(1 + 1)'
    """
    fenced = [code for language, code in _FENCE.findall(text) if language.lower() in _PYTHON]
    found = [*fenced, *_TAGGED.findall(text), *_OPEN.findall(text)]
    return next((code.rstrip() for code in found if code.strip()), None)


def extract_answer(text: str) -> str | None:
    """The answer of a chain of thought: the last ``\\boxed{...}``, else what follows the last "Answer:"; else None.

    >>> extract_answer("2 * 3 = 6\\n\\nAnswer: 6")
    '6'
    """
    boxed = last_boxed(text)
    if boxed is not None:
        return boxed
    found = _ANSWER.findall(text)
    if not found:
        return None
    answer: str = _BOLD_END.sub("", found[-1].strip()).strip()
    return answer or None


def last_boxed(text: str) -> str | None:
    """The contents of the last ``\\boxed{...}`` with balanced braces."""
    start = text.rfind("\\boxed{")
    if start < 0:
        return None
    depth, begin = 0, start + len("\\boxed{")
    for i in range(begin - 1, len(text)):
        depth += (text[i] == "{") - (text[i] == "}")
        if depth == 0:
            return text[begin:i].strip() or None
    return None


def first_thought(text: str) -> str:
    """The first step of a chain of thought: its text up to the first empty line (arXiv 2505.17612, section 3.1)."""
    return re.split(r"\n[ \t]*\n", text.strip(), maxsplit=1)[0].strip()
