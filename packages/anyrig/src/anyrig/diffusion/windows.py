"""Motion longer than a model was taught, or of several prompts: overlapping windows, blended in every step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from anyrig.errors import SettingsError


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
