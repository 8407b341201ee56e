"""Diffusion: noise, schedules, the sampling loop, and windows for motion of any length."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from anyrig.errors import SettingsError

CORRELATION = 0.75
"""How much a frame weighs in the one after it."""
_REACH = 12  # frames; what lies further off weighs less than a thirtieth
_DEVIATION = 0.5
"""Of packed features from their mean over time: what is left to tell of a rig's motion once its pose is known."""
Answer = Callable[[Tensor, float], Tensor]
"""``answer(x, level)``: what a network keeps of the noisy ``x`` and what it adds, side by side in the last dimension
(see :meth:`~anyrig.diffusion.Schedule.predict_x0`)."""


def noise(shape: Sequence[int], generator: torch.Generator | None) -> Tensor:
    """Gaussian noise (..., T, N, C) of variance 1, correlated along T, independent otherwise.

    Motion has nearly all of its power below a few hertz. White noise has it everywhere: to take it away a network has
    to learn to smooth above all else, and what it leaves is jitter. This noise falls off with frequency as motion does,
    only less so, which keeps coarse things those that are settled first.
    """
    *before, n_frames, n, channels = shape
    white = torch.randn(*before, n_frames + 2 * _REACH, n, channels, generator=generator)
    weights = CORRELATION ** torch.arange(-_REACH, _REACH + 1).abs()
    weights = weights / weights.square().sum().sqrt()
    lines = white.transpose(-3, -1).reshape(-1, 1, n_frames + 2 * _REACH)
    smooth = F.conv1d(lines, weights.to(lines.dtype)[None, None])
    return smooth.view(*before, channels, n, n_frames).transpose(-3, -1).contiguous()


@dataclass(frozen=True, slots=True)
class Schedule:
    """``straight``: flow matching's straight line, ``alpha = 1 - t`` and ``sigma = t`` (Lipman et al., ICLR 2023).

    Otherwise diffusion's variance-keeping cosine (Nichol and Dhariwal, ICML 2021): ``cos`` and ``sin`` of ``t pi / 2``.
    """

    name: str
    straight: bool

    def alpha(self, t: Tensor) -> Tensor:
        """How much of the clean motion is in x."""
        return 1.0 - t if self.straight else torch.cos(t * (math.pi / 2))

    def sigma(self, t: Tensor) -> Tensor:
        """How much noise is in x."""
        return t if self.straight else torch.sin(t * (math.pi / 2))

    def mix(self, clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """Motion (B, ...) at levels (B,)."""
        shape = (-1, *[1] * (clean.ndim - 1))
        return self.alpha(t).view(shape) * clean + self.sigma(t).view(shape) * noise

    def predict_x0(self, kept: Tensor, added: Tensor, t: Tensor) -> Tensor:
        """The estimate of the clean motion of what a network keeps of x and what it adds, (B, ...) at levels (B,).

        If all of x is kept, the best linear guess from it, plus what is added for what that leaves open (Karras et al.,
        NeurIPS 2022): a network need not learn to copy, and has as much to say at every level.
        """
        shape = (-1, *[1] * (kept.ndim - 1))
        a, s = self.alpha(t), self.sigma(t)
        share = a * _DEVIATION**2 / (a**2 * _DEVIATION**2 + s**2)
        return share.view(shape) * kept + (_DEVIATION * self.spread(t)).view(shape) * added

    def spread(self, t: Tensor) -> Tensor:
        """How much of the motion ``x`` leaves open at levels ``t``: from 0, nothing, to 1, all."""
        a, s = self.alpha(t), self.sigma(t)
        return s / (a**2 * _DEVIATION**2 + s**2).sqrt()

    def step(self, x: Tensor, clean: Tensor, t: float, s: float, eta: float, noise: Tensor) -> Tensor:
        """From level ``t`` to the lower ``s``, given an estimate of the clean motion.

        With ``eta = 0`` this is DDIM (Song et al., ICLR 2021), for the straight schedule the same as Euler's step along
        the flow ``(x - clean) / t``; with ``eta = 1`` it is DDPM's ancestral step, ``noise`` being fresh.
        """
        at, down = torch.tensor(t, dtype=torch.float64), torch.tensor(s, dtype=torch.float64)
        a_t, s_t, a_s, s_s = (float(v) for v in (self.alpha(at), self.sigma(at), self.alpha(down), self.sigma(down)))
        old = (x - a_t * clean) / s_t
        ratio = (a_t / a_s) ** 2 * (s_s / s_t) ** 2 if a_s > 0 else 0.0
        fresh = eta * s_s * math.sqrt(max(0.0, 1.0 - ratio)) if s > 0 else 0.0
        return a_s * clean + math.sqrt(max(0.0, s_s**2 - fresh**2)) * old + fresh * noise


FLOW = Schedule("flow", straight=True)
COSINE = Schedule("cosine", straight=False)


def schedule(name: str) -> Schedule:
    """A schedule by name. Raises SettingsError for a name that there is not."""
    for known in (FLOW, COSINE):
        if known.name == name:
            return known
    raise SettingsError(f"no schedule is called {name!r}; there are: flow, cosine")


@dataclass(frozen=True, slots=True)
class Sampling:
    """``steps`` of a ``schedule`` (``"flow"`` or ``"cosine"``); ``guidance`` is the weight of the text (1: as learned).

    ``eta`` from 0 (each step follows from the last) to 1 (fresh noise in each, DDPM).
    """

    steps: int = 15
    guidance: float = 2.0
    eta: float = 0.0
    schedule: str = "flow"

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= 1000 or not 0 <= self.eta <= 1 or not 0 <= self.guidance <= 20:
            raise SettingsError("steps are 1 to 1000, guidance 0 to 20 and eta 0 to 1")
        schedule(self.schedule)


@dataclass(frozen=True, eq=False)
class Guide:
    """Motion that is given: ``known`` (..., T, N, 10) where ``mask`` (broadcast to it) is 1. In-betweening."""

    known: Tensor
    mask: Tensor


def levels(steps: int) -> list[float]:
    """Noise levels from 1 down to 0, ``steps + 1`` of them."""
    return [1.0 - k / steps for k in range(steps)] + [0.0]


def denoise(
    answer: Answer,
    start: Tensor,
    sampling: Sampling,
    generator: torch.Generator | None = None,
    guide: Guide | None = None,
) -> Tensor:
    """Motion out of ``start``, which is :func:`~anyrig.diffusion.noise`.

    What ``guide`` gives takes the estimate's place in every step, and in the result.
    """
    with torch.no_grad():
        return _loop(answer, start, schedule(sampling.schedule), sampling, generator, guide)


def _loop(
    answer: Answer,
    x: Tensor,
    how: Schedule,
    sampling: Sampling,
    generator: torch.Generator | None,
    guide: Guide | None,
) -> Tensor:
    at = levels(sampling.steps)
    for t, s in pairwise(at):
        kept, added = answer(x, t).chunk(2, dim=-1)
        clean = how.predict_x0(kept, added, torch.tensor([t], dtype=x.dtype, device=x.device))
        if guide is not None:
            clean = guide.mask * guide.known + (1 - guide.mask) * clean
        fresh = torch.zeros_like(x)
        if sampling.eta > 0 and s > 0:
            fresh = noise(x.shape, generator).to(x)
        x = how.step(x, clean, t, s, sampling.eta, fresh)
    return x


@dataclass(frozen=True, slots=True)
class Window:
    """Frames ``start`` up to, not including, ``stop`` under one text."""

    start: int
    stop: int
    text: str

    @property
    def n_frames(self) -> int:
        """How many frames it has."""
        return self.stop - self.start


def windows(prompts: Sequence[tuple[str, int]], longest: int, overlap: int, multiple: int = 1) -> list[Window]:
    """Windows for prompts one after the other, each ``(text, frames)``, neighbours sharing ``overlap``
    frames, or half of a short one.

    None is longer than ``longest``; a prompt that needs more is given several. Every length is a multiple of
    ``multiple``, so the last may reach a little beyond the frames asked for. Raises SettingsError for prompts without
    frames, and for windows that would be all overlap.
    """
    if not prompts or any(n < 1 for _, n in prompts):
        raise SettingsError("every prompt needs at least one frame")
    if longest % multiple or overlap % multiple or not 0 <= overlap <= longest // 2:
        raise SettingsError(f"windows of {longest} frames cannot share {overlap}")
    found: list[Window] = []
    done = 0
    for text, n in prompts:
        # The overlap belongs to the prompt before, of which half at least stays its own.
        shared = min(overlap, found[-1].n_frames // 2 // multiple * multiple) if found else 0
        start = done - shared
        length = -(-(n + shared) // multiple) * multiple
        done = start + length
        pieces = 1 if length <= longest else -(-(length - overlap) // (longest - overlap))
        part = min(longest, length)
        for k in range(pieces):
            at = start + (length - part) * k // max(pieces - 1, 1) // multiple * multiple
            found.append(Window(at, at + part, text))
    return found


def shifted(parts: Sequence[Window], patch: int) -> list[Window]:
    """The windows moved by half a patch, the last one a patch shorter, so that both ends of the motion are left out."""
    moved = [Window(p.start + patch // 2, p.stop + patch // 2, p.text) for p in parts]
    moved[-1] = Window(moved[-1].start, moved[-1].stop - patch, moved[-1].text)
    return [w for w in moved if w.n_frames > 0]


def blend(
    x: Tensor,
    tilings: Sequence[Sequence[Window]],
    estimate: Callable[[Tensor, Window], Tensor],
    dim: int = 0,
    patch: int = 1,
) -> Tensor:
    """What is said of a whole motion: what ``estimate(piece, window)`` says of each window's piece of ``x`` along
    ``dim``.

    Where windows of a tiling overlap, one fades into the other (Bar-Tal et al., MultiDiffusion, ICML 2023). Where there
    are several tilings, each counts most in the middle of its patches.
    """
    total: Tensor | None = None
    weight = torch.zeros(x.shape[dim], dtype=x.dtype, device=x.device)
    shape = [1] * x.ndim
    shape[dim] = -1
    middle = torch.sin(torch.pi / patch * (torch.arange(patch) + 0.5)).square()
    for parts in tilings:
        for k, part in enumerate(parts):
            share = (_fade(parts, k) * middle.repeat(part.n_frames // patch)).to(x)
            piece = estimate(x.narrow(dim, part.start, part.n_frames), part)
            if total is None:
                total = piece.new_zeros([x.shape[dim] if d == dim else n for d, n in enumerate(piece.shape)])
            total.narrow(dim, part.start, part.n_frames).add_(piece * share.view(shape))
            weight[part.start : part.stop] += share
    assert total is not None, "no windows"
    return total / weight.view(shape)


def _fade(parts: Sequence[Window], k: int) -> Tensor:
    """Weights of a window's frames: rising where it overlaps the one before, falling where it does the next."""
    part = parts[k]
    weights = torch.ones(part.n_frames)
    before = parts[k - 1].stop - part.start if k > 0 else 0
    after = part.stop - parts[k + 1].start if k + 1 < len(parts) else 0
    if before > 0:
        weights[:before] *= (torch.arange(before) + 1.0) / (before + 1)
    if after > 0:
        weights[part.n_frames - after :] *= (torch.arange(after, 0, -1)) / (after + 1.0)
    return weights
