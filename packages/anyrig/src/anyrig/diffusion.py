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
"""Correlation of the noise between neighbouring frames."""
_REACH = 12  # frames; the weights beyond are below 1/30
_DEVIATION = 0.5
"""Deviation of packed features from their mean over time."""
Predictor = Callable[[Tensor, float], Tensor]
"""``predict(x, level)``: the network's two outputs, kept and added, concatenated in the last dimension (see
:meth:`Schedule.predict_x0`)."""


def noise(shape: Sequence[int], generator: torch.Generator | None) -> Tensor:
    """Gaussian noise (..., T, N, C) of variance 1, correlated along T, independent otherwise.

    Motion has nearly all of its power below a few hertz. With white noise a network would mostly learn to smooth, and
    its residual errors would be jitter. This noise decays with frequency, less than motion does, so that coarse
    structure is still determined first.
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
        """Scale of the clean motion in x."""
        return 1.0 - t if self.straight else torch.cos(t * (math.pi / 2))

    def sigma(self, t: Tensor) -> Tensor:
        """Scale of the noise in x."""
        return t if self.straight else torch.sin(t * (math.pi / 2))

    def mix(self, clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """The noisy motion (B, ...) at levels (B,)."""
        shape = (-1, *[1] * (clean.ndim - 1))
        return self.alpha(t).view(shape) * clean + self.sigma(t).view(shape) * noise

    def predict_x0(self, kept: Tensor, added: Tensor, t: Tensor) -> Tensor:
        """The estimate of the clean motion from a network's outputs ``kept`` and ``added``, (B, ...) at levels (B,).

        ``kept`` = x gives the best linear estimate from x; ``added`` is scaled by the deviation of its error (Karras et
        al., NeurIPS 2022), so that the network need not learn to copy and its target has one scale at all levels.
        """
        shape = (-1, *[1] * (kept.ndim - 1))
        a, s = self.alpha(t), self.sigma(t)
        share = a * _DEVIATION**2 / (a**2 * _DEVIATION**2 + s**2)
        return share.view(shape) * kept + (_DEVIATION * self.spread(t)).view(shape) * added

    def spread(self, t: Tensor) -> Tensor:
        """The relative error of the best linear estimate from x at levels ``t``, from 0 to 1."""
        a, s = self.alpha(t), self.sigma(t)
        return s / (a**2 * _DEVIATION**2 + s**2).sqrt()

    def step(self, x: Tensor, clean: Tensor, t: float, s: float, eta: float, noise: Tensor) -> Tensor:
        """One step from level ``t`` to the lower ``s``, given an estimate of the clean motion.

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
    """A schedule by name. Raises SettingsError for an unknown name."""
    for known in (FLOW, COSINE):
        if known.name == name:
            return known
    raise SettingsError(f"no schedule is called {name!r}; there are: flow, cosine")


@dataclass(frozen=True, slots=True)
class Sampling:
    """``steps`` of a ``schedule`` (``"flow"`` or ``"cosine"``); ``guidance`` is the weight of the text (1: none).

    ``eta`` is from 0 (deterministic, DDIM) to 1 (fresh noise in each step, DDPM).
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
    """Fixed frames for in-betweening: ``known`` (..., T, N, 10) where ``mask`` (broadcast to it) is 1."""

    known: Tensor
    mask: Tensor


@dataclass(frozen=True, eq=False)
class Draft:
    """Motion to start from (SDEdit; Meng et al., ICLR 2022): ``motion`` (..., T, N, 10) where ``mask`` (broadcast to
    it) is 1. Sampling begins with it at the noise level ``level``, from 0 (it stays as it is) to 1 (nothing of it)."""

    motion: Tensor
    mask: Tensor
    level: float


def levels(steps: int) -> list[float]:
    """The ``steps + 1`` noise levels from 1 down to 0."""
    return [1.0 - k / steps for k in range(steps)] + [0.0]


@torch.no_grad()
def denoise(
    predict: Predictor,
    start: Tensor,
    sampling: Sampling,
    generator: torch.Generator | None = None,
    guide: Guide | None = None,
    draft: Draft | None = None,
) -> Tensor:
    """Motion from ``start``, which is :func:`noise`; ``guide`` replaces the estimate in every step and in the
    result.

    Where all frames have a ``draft``, the steps above its level are left out. Else frames without one are denoised from
    pure noise, beside the noisy draft in the others down to its level.
    """
    how, x, times = schedule(sampling.schedule), start, levels(sampling.steps)
    if draft is not None:
        if bool(draft.mask.min() > 0):
            n = math.ceil(sampling.steps * draft.level)
            times = [draft.level * (1.0 - k / n) for k in range(n)] + [0.0]
        x = _drafted(x, start, draft, how, times[0])
    for t, s in pairwise(times):
        kept, added = predict(x, t).chunk(2, dim=-1)
        clean = how.predict_x0(kept, added, torch.tensor([t], dtype=x.dtype, device=x.device))
        if guide is not None:
            clean = guide.mask * guide.known + (1 - guide.mask) * clean
        fresh = torch.zeros_like(x)
        if sampling.eta > 0 and s > 0:
            fresh = noise(x.shape, generator).to(x)
        x = how.step(x, clean, t, s, sampling.eta, fresh)
        if draft is not None and s >= draft.level:
            x = _drafted(x, start, draft, how, s)
    return x if guide is None or len(times) > 1 else guide.mask * guide.known + (1 - guide.mask) * x


def _drafted(x: Tensor, start: Tensor, draft: Draft, how: Schedule, level: float) -> Tensor:
    noisy = how.mix(draft.motion, start, torch.full((len(start),), level, dtype=x.dtype, device=x.device))
    return draft.mask * noisy + (1 - draft.mask) * x


@dataclass(frozen=True, slots=True)
class Window:
    """The frames from ``start`` up to, not including, ``stop``, with one text."""

    start: int
    stop: int
    text: str

    @property
    def n_frames(self) -> int:
        return self.stop - self.start


def windows(prompts: Sequence[tuple[str, int]], longest: int, overlap: int, multiple: int = 1) -> list[Window]:
    """Windows for prompts ``(text, frames)`` in sequence; neighbours share ``overlap`` frames, or half of a short one.

    A prompt that needs more than ``longest`` frames gets several windows. Lengths are multiples of ``multiple``, so the
    last window may end beyond the requested frames. Raises SettingsError for prompts without frames, and for an overlap
    above half of ``longest``.
    """
    if not prompts or any(n < 1 for _, n in prompts):
        raise SettingsError("every prompt needs at least one frame")
    if longest % multiple or overlap % multiple or not 0 <= overlap <= longest // 2:
        raise SettingsError(f"windows of {longest} frames cannot share {overlap}")
    found: list[Window] = []
    done = 0
    for text, n in prompts:
        # The overlap is taken from the previous prompt, which keeps at least half of its frames.
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
    """The windows moved by half a patch and the last one a patch shorter; both ends of the motion are left out."""
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
    """The weighted mean of ``estimate(piece, window)`` over the windows' pieces of ``x`` along ``dim``.

    Overlapping windows of a tiling cross-fade (Bar-Tal et al., MultiDiffusion, ICML 2023). Of several tilings each has
    most weight in the middle of its patches.
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
