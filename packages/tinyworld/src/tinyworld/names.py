"""Names out of a fixed stock of made-up words: every world combines them anew.

Each word of the stock is one token, so a name is one or two. What a name stands for differs from world to world, so a
model cannot learn it by heart from small worlds: it has to copy.
"""

from __future__ import annotations

from random import Random

_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"
N_WORDS = 640


def _stock() -> tuple[str, ...]:
    syllables = [c + v for c in _CONSONANTS for v in _VOWELS]
    words = sorted({(a + b).capitalize() for a in syllables for b in syllables})
    return tuple(sorted(Random("stock of names").sample(words, N_WORDS)))


STOCK = _stock()
"""Every made-up word there is."""


def word(rng: Random) -> str:
    """A made-up word of the stock."""
    return rng.choice(STOCK)


class Namer:
    """Hands out names that are unique in one world but share words, so that namesakes lie near each other.

    ``n_people`` sets the size of the pools of first and last names.
    """

    def __init__(self, rng: Random, n_people: int) -> None:
        self._rng = rng
        self._used: set[str] = set()
        pool = max(6, int(2 * n_people**0.5))
        self._first = rng.sample(STOCK, min(pool, N_WORDS))
        self._last = rng.sample(STOCK, min(2 * pool, N_WORDS))
        self._places: list[str] = []

    def name(self, kind: str) -> str:
        """A fresh name for an entity of ``kind``."""
        for _ in range(10_000):
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
