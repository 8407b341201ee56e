"""LaTeX as answers carry it: commands that a plain string ate the stroke of, and wrappers around words."""

from __future__ import annotations

import re

# What Python and JSON make of \a, \b, \f, \v, \t, \n and \r in a string that is not raw.
_EATEN = {"\x07": "a", "\x08": "b", "\x0c": "f", "\x0b": "v", "\t": "t", "\n": "n", "\r": "r"}
_NEVER_WRITTEN = "\x07\x08\x0c\x0b"
_COMMANDS = """text textbf textit textrm textnormal texttt textsf textstyle times theta tan tanh tau tfrac tbinom to top
    triangle triangleq tilde thinspace therefore ne neq nu nabla not notin neg ni nmid nexists nleq ngeq nsubseteq
    nparallel ncong newline rho right rightarrow rangle rceil rfloor rm root rvert rbrace rbrack"""
_KNOWN = frozenset(_COMMANDS.split())
_GAP = re.compile("([\x07\x08\x0c\x0b\t\n\r])([A-Za-z]+)")
_ROWS = re.compile(r"(?s)(\\begin\{[a-z]*(?:matrix|array|cases)\*?\})(.*?)(\\end\{)")
_ROW_END = re.compile(r"(?<!\\)\\(?=[\s\d&.+-]|[A-Za-z](?![A-Za-z]))")
_DOUBLED = re.compile(
    r"\\\\(?=(?:[dt]?frac|sqrt|boxed|text|math[a-z]+|left|pi|theta|alpha|beta|times|cdot|begin|infty|in|cup|pm|angle|circ)"
    r"(?![a-z]))"
)
_BOX = re.compile(r"\\(?:boxed|fbox|framebox|mbox)\s*\{")
_WRAPPED = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("**", "**"), ("`", "`"))
_WORDS = re.compile(
    r"\\(?:text(?:bf|it|rm|tt|sf|sc|normal)?|math(?:rm|bf|it|sf|tt|normal)|mbox|emph|operatorname\*?|underline|boldsymbol)"
    r"\s*\{([^{}]*)\}|\{\\(?:bf|it|rm|tt|em|sf)\s+([^{}]*)\}"
)
_SPACES = re.compile(r"\\[ ,;:!]|\\q?quad(?![a-zA-Z])|(?<!\\)~")
_SIGNS = re.compile(r"\\([%$&#_{}])")


def with_strokes(text: str) -> str:
    r"""``text`` with the commands restored that a plain string spoilt: a form feed and ``rac{3}{4}`` is a fraction.

    Tabs and line ends are restored only where a command follows whole. Of doubled strokes one is taken away, and in
    matrices a lone stroke ends a row again. Text without any of this is returned as it is.

    >>> with_strokes("\frac{3}{4}")
    '\\frac{3}{4}'
    """
    out = _GAP.sub(_restored, text)
    out = _ROWS.sub(lambda m: m[1] + _ROW_END.sub(r"\\\\", m[2]) + m[3], out)
    return out.replace("\\\\", "\\") if _DOUBLED.search(out) and not _ROWS.search(out) else out


def _restored(match: re.Match[str]) -> str:
    command = _EATEN[match[1]] + match[2]
    return f"\\{command}" if match[1] in _NEVER_WRITTEN or command in _KNOWN else match[0]


def words_of(text: str) -> str:
    r"""A short answer without boxes, dollar signs and the commands that set words: ``\boxed{\text{Paris}}``.

    >>> words_of(r"$\text{New}\ \text{York}$")
    'New York'
    """
    out = text.strip()
    if not re.search(r"[\\$`*]", out):
        return text
    out = _unboxed(out)
    for _ in range(4):
        out = _SPACES.sub(" ", _WORDS.sub(r"\1\2", _unboxed(_unwrapped(out))))
    return " ".join(_SIGNS.sub(r"\1", out).split())


def _unboxed(text: str) -> str:
    boxes = list(_BOX.finditer(text))
    if not boxes:
        return text
    begin, depth = boxes[-1].end(), 1
    for i in range(begin, len(text)):
        depth += (text[i] == "{") - (text[i] == "}")
        if depth == 0:
            return text[begin:i].strip()
    return text[begin:].strip()


def _unwrapped(text: str) -> str:
    bare = text.rstrip(".") if text[:1] in "$\\*`" else text
    for before, after in _WRAPPED:
        inner = bare[len(before) : len(bare) - len(after)]
        if len(bare) > len(before + after) and bare.startswith(before) and bare.endswith(after) and before not in inner:
            return inner.strip()
    return text
