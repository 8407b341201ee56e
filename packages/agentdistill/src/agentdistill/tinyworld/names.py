"""Names built from syllables: endless, pronounceable, and never the same in two worlds."""

from __future__ import annotations

from random import Random

_ONSETS = ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z")
_VOWELS = ("a", "e", "i", "o", "u")
_CODAS = ("", "", "", "", "n", "r", "l", "s")


def word(rng: Random, n_syllables: int | None = None) -> str:
    """A capitalised made-up word of two or three syllables."""
    n = n_syllables or rng.choice((2, 2, 3))
    body = "".join(rng.choice(_ONSETS) + rng.choice(_VOWELS) for _ in range(n))
    return (body + rng.choice(_CODAS)).capitalize()


class Namer:
    """Hands out names that are unique in one world but share words, so that namesakes lie near each other.

    ``n_people`` sets the size of the pools of first and last names.
    """

    def __init__(self, rng: Random, n_people: int) -> None:
        self._rng = rng
        self._used: set[str] = set()
        pool = max(4, int(1.6 * n_people**0.5))
        self._first = [word(rng, 2) for _ in range(pool)]
        self._last = [word(rng) for _ in range(2 * pool)]
        self._places: list[str] = []

    def name(self, kind: str) -> str:
        """A fresh name for an entity of ``kind``."""
        for _ in range(1000):
            name = self._draw(kind)
            if name not in self._used:
                self._used.add(name)
                if kind == "city":
                    self._places.append(name)
                return name
        raise RuntimeError(f"no free name left for {kind}")

    def _draw(self, kind: str) -> str:
        rng = self._rng
        if kind == "person":
            return f"{rng.choice(self._first)} {rng.choice(self._last)}"
        # Some firms and works are named after a city: searching for the city then finds them too.
        stem = rng.choice(self._places) if self._places and rng.random() < 0.25 else word(rng)
        if kind == "firm":
            return f"{stem} {rng.choice(('Glass', 'Steel', 'Foods', 'Bank', 'Lines', 'Works'))}"
        if kind == "work":
            pattern = rng.choice(("The {} Song", "A Night in {}", "{} Rising", "Letters to {}", "The Last {}"))
            return pattern.format(stem)
        if kind == "mountain":
            return f"Mount {word(rng)}"
        return word(rng)
