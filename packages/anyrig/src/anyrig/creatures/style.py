"""Manners: how fast, how large and in what mood a creature does what it does."""

from __future__ import annotations

import random
from dataclasses import dataclass

__all__ = ["Style", "style"]


@dataclass(frozen=True)
class Style:
    """``speed`` multiplies the cadence, ``energy`` the amplitudes (1 is typical). ``head`` and ``tail`` are raised by
    so many radians, the body sinks by ``crouch`` (part of the leg's length). ``seed`` feeds what varies besides."""

    mood: str = "neutral"
    speed: float = 1.0
    energy: float = 1.0
    head: float = 0.0
    tail: float = 0.0
    crouch: float = 0.0
    seed: int = 0

    @property
    def pace(self) -> str:
        """``"slow"``, ``"fast"`` or ``""``: what a caption may say of the speed."""
        return "slow" if self.speed < 0.87 else "fast" if self.speed > 1.13 else ""


# mood: (share, speed, energy, head, tail, crouch)
_MOODS = {
    "neutral": (0.46, 1.0, 1.0, 0.0, 0.0, 0.0),
    "calm": (0.12, 0.9, 0.85, -0.03, -0.05, 0.0),
    "alert": (0.10, 1.0, 1.0, 0.22, 0.3, 0.0),
    "tired": (0.10, 0.8, 0.7, -0.38, -0.3, 0.04),
    "angry": (0.08, 1.12, 1.25, -0.18, 0.1, 0.05),
    "playful": (0.08, 1.08, 1.3, 0.15, 0.5, 0.0),
    "fearful": (0.06, 1.1, 0.8, -0.25, -0.6, 0.09),
}


def style(rng: random.Random) -> Style:
    """A way of moving, drawn at random."""
    moods = list(_MOODS)
    mood = rng.choices(moods, [_MOODS[m][0] for m in moods])[0]
    _, speed, energy, head, tail, crouch = _MOODS[mood]
    return Style(
        mood=mood,
        speed=speed * rng.uniform(0.82, 1.2),
        energy=energy * rng.uniform(0.8, 1.2),
        head=head + rng.uniform(-0.06, 0.06),
        tail=tail + rng.uniform(-0.12, 0.12),
        crouch=crouch * rng.uniform(0.7, 1.3),
        seed=rng.getrandbits(32),
    )
