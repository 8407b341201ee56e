"""Text from a model, made safe for a terminal."""

from __future__ import annotations

import re

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(text: str) -> str:
    """``text`` with every character that could steer a terminal made visible, one for one.

    Controls become their Unicode pictures; what has none (C1 controls, direction overrides, lone surrogates) becomes
    the replacement character.

    >>> plain("\\x1b[31mred")
    '␛[31mred'
    """
    return _CONTROL.sub(lambda m: _picture(ord(m.group())), text)


def _picture(code: int) -> str:
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else "\ufffd"


def one_line(text: str) -> str:
    """:func:`plain` on one line, runs of white space as one blank."""
    return plain(" ".join(text.split()))
