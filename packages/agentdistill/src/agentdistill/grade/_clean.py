"""Taking the wrapping off a mathematical answer: boxes, dollar signs, spacing, units. Nothing here changes a value."""

from __future__ import annotations

import re

_ANSWER_IS = re.compile(r"^(?:so |thus,? |therefore,? )?(?:the )?(?:final )?answer(?: is|\s*:)\s*", re.I)
_BOX = re.compile(r"\\(?:boxed|fbox|framebox)\s*\{")
_DELIMITERS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("**", "**"), ("`", "`"))
_SIZES = r"left|right|displaystyle|bigl?|bigr|Bigl?|Bigr"
_SPACING = re.compile(rf"(?<!\\)\\[!;: ]|~|\\q?quad\b|\\hspace\{{[^{{}}]*\}}|\\(?:{_SIZES})(?![a-zA-Z])\.?")
_THIN = re.compile(r"(?<!\\)\\,")
_WRAP = re.compile(r"\\(?:text|textnormal|textbf|textit|textrm|mathrm|mathbf|mbox|operatorname)\s*\{([^{}]*)\}")
_AND_OR = re.compile(r"\s*(?:,\s*)?(?:\\text\s*\{\s*,?\s*(?:and|or)\s*\}|(?<![a-zA-Z\\])(?:and|or)(?![a-zA-Z]))\s*")
_DEGREE = re.compile(r"\^\s*\{?\s*\\circ\s*\}?|\\degree\b|°")
_FRAC = re.compile(r"\\[dtc]frac(?![a-zA-Z])")
_BARE_FRAC = re.compile(r"\\frac\s*(\\[a-zA-Z]+|\d)\s*(\d|\\[a-zA-Z]+(?![a-zA-Z{]))")
_MOD = re.compile(r"\\bmod(?![a-zA-Z])|(?<=[\d)}])\s*(?<![\\a-zA-Z])mod(?=\s*[\d({])")
_SQRT = re.compile(r"\\sqrt\s*\(")
_UNIT = re.compile(r"(?<=[\d}%)])\s*(?:\\(?:text|textnormal|mathrm|mbox)\s*\{[^{}]*\}(?:\s*\^\s*\{?\d\}?)?)$")
_TRAILING_WORDS = re.compile(r"^([-+−]?\\?[$€£¥₹]?\s*[\d.,/]*\d)\s+([A-Za-z][A-Za-z ]*[A-Za-z])\.?$")
# Words after a number that change its value, where others are its unit.
_CHANGES = """hundred thousand million billion trillion dozen percent per half halves third thirds quarter quarters pi
    squared cubed over plus minus times sqrt root factorial in mod choose or and to"""
_SCALE = frozenset(_CHANGES.split())
_SUBSCRIPT = re.compile(r"([0-9A-Za-z]+)_\{?(\d+)\}?")
# Words of mathematics: an answer with any other word in it is words.
_KNOWN = """sin cos tan cot sec csc log exp sqrt abs arcsin arccos arctan sinh cosh tanh asin acos atan min max gcd lcm
    mod Abs Rational Fraction factorial binomial comb Matrix FiniteSet Integer Float float set list alpha beta gamma
    delta theta phi lambda omega sigma inf infinity ceil floor begin end pmatrix bmatrix vmatrix matrix array cases
    Interval open Lopen Ropen Union True False"""
_FUNCTION = frozenset(_KNOWN.split())
_LONG_WORD = re.compile(r"(?<![\\a-zA-Z])[A-Za-z]{3,}")


def clean(text: str) -> str:
    """The bare mathematics of an answer, still as it was written.

    >>> clean(r"The answer is $\\boxed{\\dfrac{1}{2} \\text{ cm}}$.")
    '\\\\frac{1}{2}'
    """
    out = _unbox(_ANSWER_IS.sub("", text.strip()))
    out = out.strip().rstrip(".").strip()
    for _ in range(3):
        out = _unwrap(out)
    out = _DEGREE.sub("", _FRAC.sub(r"\\frac", _SPACING.sub("", out)))
    out = _MOD.sub(r"\\mod", out)  # the remainder, by the only name that math-verify has for it
    out = _BARE_FRAC.sub(r"\\frac{\1}{\2}", out)
    out = _AND_OR.sub(",", out) if re.search(r"\d|\\", out) else out
    out = _THIN.sub("", out) if not re.search(r"\d\\,\d{3}", out) else out
    out = _braces_for_root(_UNIT.sub("", out))
    return _without_words(" ".join(out.split()).replace("−", "-")).strip().rstrip(".")


def _unbox(text: str) -> str:
    """The content of the last box, if there is one."""
    boxes = list(_BOX.finditer(text))
    if not boxes:
        return text
    last = boxes[-1]
    end = _closing(text, last.end() - 1, "{", "}")
    return text[last.end() : end] if end is not None else text[last.end() :]


def _closing(text: str, at: int, opening: str, closing: str) -> int | None:
    depth = 0
    for i in range(at, len(text)):
        if text[i] == opening:
            depth += 1
        elif text[i] == closing:
            depth -= 1
            if depth == 0:
                return i
    return None


def _unwrap(text: str) -> str:
    for before, after in _DELIMITERS:
        inner = text[len(before) : len(text) - len(after)]
        if (
            len(text) > len(before) + len(after)
            and text.startswith(before)
            and text.endswith(after)
            and before not in inner
        ):
            return inner.strip()
    return text


def _braces_for_root(text: str) -> str:
    r"""``\sqrt(2)`` as ``\sqrt{2}``: math-verify drops the argument in parentheses and keeps the 4 of ``4\sqrt(2)``."""
    while match := _SQRT.search(text):
        opening = match.end() - 1
        end = _closing(text, opening, "(", ")")
        if end is None:
            return text
        text = f"{text[: match.start()]}\\sqrt{{{text[opening + 1 : end]}}}{text[end + 1 :]}"
    return text


def _without_words(text: str) -> str:
    """Without the unit that follows a plain number (``42 apples``), unless the words change its value."""
    match = _TRAILING_WORDS.match(text)
    if match and not _SCALE & set(match[2].lower().split()):
        return match[1]
    return text


def plain_words(text: str) -> str | None:
    """The words of an answer that is words (a name, a choice) and not mathematics, lower-cased; None otherwise."""
    bare = _WRAP.sub(r"\1", text).strip()
    if re.fullmatch(r"\(?[A-Za-z]\)?", bare):
        return bare.strip("()").lower() if text != bare or bare.startswith("(") else None
    words = [w for w in _LONG_WORD.findall(bare) if w not in _FUNCTION]
    return " ".join(bare.lower().split()) if words else None


def subscript(text: str) -> tuple[str, str] | None:
    """A numeral and its base (``2516_8``), which math-verify would read without the base; None for anything else."""
    match = _SUBSCRIPT.fullmatch(text.replace(" ", ""))
    return (match[1], match[2]) if match else None


def squeezed(text: str) -> str:
    """``text`` without text wrappers, and without white space that does not part two numbers: to compare as text."""
    return re.sub(r"(?<!\d)\s+|\s+(?!\d)", "", _WRAP.sub(r"\1", text))
