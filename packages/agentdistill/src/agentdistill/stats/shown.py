"""Shares and differences of shares as text, in per cent and percentage points."""

from __future__ import annotations


def percent(share: float | None) -> str:
    """A share in per cent; a dash for none.

    >>> percent(0.4231)
    '42.3'
    """
    return "–" if share is None else f"{share * 100:.1f}"


def points(share: float) -> str:
    """A signed difference in percentage points, with a true minus sign.

    >>> points(-0.0312)
    '−3.1'
    """
    return f"{share * 100:+.1f}".replace("-", "−")
