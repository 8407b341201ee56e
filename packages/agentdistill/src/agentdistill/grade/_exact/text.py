"""Answers as written, brought into one spelling before they are read. Nothing here changes a value."""

from __future__ import annotations

import re
import unicodedata

_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ", "0123456789-+n")
_SUPERSCRIPTS = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ]+")
_SUBSCRIPT = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_SUBSCRIPTS = re.compile("[₀₁₂₃₄₅₆₇₈₉]+")
_SIGNS = {
    "−": "-", "–": "-", "—": "-", "×": "*", "·": "*", "⋅": "*", "∙": "*", "∗": "*", "÷": "/", "⁄": "/", "≤": "<=",
    "≥": ">=", "≠": "!=", "∞": r"\infty ", "√": r"\sqrt ", "∪": r"\cup ", "∈": r"\in ", "∅": r"\emptyset ",
    "ℝ": r"\R ", "°": r"^\circ ", "º": r"^\circ ", "±": r"\pm ", "π": r"\pi ", "θ": r"\theta ", "α": r"\alpha ",
    "β": r"\beta ", "γ": r"\gamma ", "λ": r"\lambda ", "μ": r"\mu ", "σ": r"\sigma ", "φ": r"\phi ", "ω": r"\omega ",
    "⟨": r"\langle ", "⟩": r"\rangle ", "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ",
    "“": "", "”": "", "‘": "'", "’": "'", "€": r"\euro ", "£": r"\pound ", "¥": r"\yen ",
}  # fmt: skip
_LEAD = re.compile(
    r"^(?:so|thus|therefore|hence)?,?\s*(?:the\s+|my\s+)?(?:(?:final|correct)\s+)?answer(?:\s+is|\s*:|\s*=)[:\s]*", re.I
)
_BOX = re.compile(r"\\(?:boxed|fbox|framebox)\s*(?=\{)")
_WRAPPER = re.compile(r"\\(?:text|textnormal|textbf|textit|textrm|mathrm|mbox|operatorname|rm)\s*\{([^{}]*)\}")
_BOLD = re.compile(r"\\(?:mathbf|vec|hat|boldsymbol|overrightarrow|bm)\s*\{\s*\\?([A-Za-z]+)\s*\}")
_THOUSANDS = re.compile(r"(?<=\d)(?:\{,\}|\\,|\\!,|,\\!|[\u00a0\u202f])(?=\d{3}(?!\d))")
_SIZES = re.compile(r"(?<!\\)\\(?:left|right|displaystyle|textstyle|limits|[bB]igg?[lrm]?)(?![a-zA-Z])\s*(?:\.(?!\d))?")
_SPACES = re.compile(r"(?<!\\)\\[,;:! ]|~|\\q?quad(?![a-zA-Z])|\\hspace\*?\s*\{[^{}]*\}|\\thinspace(?![a-zA-Z])")
_HEDGE = re.compile(r"^(?:approximately|approx\.?|about|roughly|\\approx|\\sim|≈|~)\s*(?=[\d$\\.-])", re.I)
_ENDLESS = re.compile(r"(?P<head>\d*\.\d*?)(?P<digit>\d)(?P=digit)+(?:\.\.\.|…|\\[lc]?dots)(?![\w.])")
_TEMPERATURE = re.compile(
    r"(?:\^\s*\{?\s*\\circ\s*\}?|degrees?)\s*(?:\\[a-z]+\s*\{\s*)?(C|F|[Cc]elsius|[Ff]ahrenheit)\b\s*\}?"
)
_IN_WORDS_TOO = re.compile(r"(?<=\d)\s*\([a-z][a-z -]+\)$")  # 7 (seven)
_FRACTION_CHARS = re.compile("(?P<whole>(?<!\\d)\\d*)\\s*(?P<part>[¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞])")


def spelled(text: str) -> str:
    """``text`` unwrapped (boxes, dollar signs, markdown, lead-ins) and in one spelling of signs and spaces.

    >>> spelled("The answer is **$x ≤ ½$**.")
    'x <=(1/2)'
    """
    out = "".join(" " if unicodedata.category(c) in ("Cc", "Cf") else c for c in text)
    out = _HEDGE.sub("", _last_box(_LEAD.sub("", out.strip())).strip())
    out = _one_spelling(_without_markdown(out))
    out = _ENDLESS.sub(r"\g<head>\\overline{\g<digit>}", out)
    out = _TEMPERATURE.sub(lambda m: f" {'celsius' if m[1][0] in 'Cc' else 'fahrenheit'} ", out)
    out = _dollars(out)
    out = _THOUSANDS.sub("", out)
    out = _SPACES.sub(" ", _SIZES.sub("", out))
    out = _BOLD.sub(lambda m: rf" \vec@{m[1]} ", out)
    for _ in range(3):
        out = _WRAPPER.sub(lambda m: f" {m[1]} ", out)
    out = " ".join(out.split()).strip().rstrip(".,;").strip()
    return _IN_WORDS_TOO.sub("", out).removeprefix("=").strip()


def _last_box(text: str) -> str:
    boxes = list(_BOX.finditer(text))
    if not boxes:
        return text
    start = depth = 0
    start = boxes[-1].end()
    for i in range(start, len(text)):
        depth += (text[i] == "{") - (text[i] == "}")
        if depth == 0:
            return text[start + 1 : i]
    return text[start + 1 :]


def _without_markdown(text: str) -> str:
    out = text.strip()
    for mark in ("**", "`", "*"):
        if out.startswith(mark) and out.rstrip(".").endswith(mark) and len(out) > 2 * len(mark):
            out = out.rstrip(".")[len(mark) : -len(mark)].strip()
    return out.replace("\\(", " ").replace("\\)", " ") if "\\(" in out else _without_display(out)


def _without_display(text: str) -> str:
    """``\\[ … \\]`` around the whole; ``\\\\[4pt]`` inside a matrix stays."""
    if text.startswith("\\[") and text.endswith("\\]"):
        return text[2:-2].strip()
    return text


def _one_spelling(text: str) -> str:
    out = _SUPERSCRIPTS.sub(lambda m: "^{" + m[0].translate(_SUPERSCRIPT) + "}", text)
    out = _SUBSCRIPTS.sub(lambda m: "_{" + m[0].translate(_SUBSCRIPT) + "}", out)
    out = _FRACTION_CHARS.sub(_fraction, out)
    out = "".join(_SIGNS.get(c, c) for c in out)
    return unicodedata.normalize("NFKC", out)


def _fraction(match: re.Match[str]) -> str:
    part = unicodedata.normalize("NFKC", match["part"]).replace("⁄", "/")
    return f"{match['whole']} {part}" if match["whole"] else f"({part})"


def _dollars(text: str) -> str:
    r"""Dollar signs are the edges of mathematics where they come in pairs, else a sum of money: ``\dollar``."""
    out = text.replace(r"\$", r" \dollar ")
    bare = out.replace("$$", "$")
    if bare.count("$") % 2 == 0:
        return bare.replace("$", " ")
    return bare.replace("$", r" \dollar ")
