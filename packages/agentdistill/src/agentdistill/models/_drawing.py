"""Choosing the next token of every row of a batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from agentdistill.types import Sampling

_TOP = 256  # nucleus candidates looked at before all of the vocabulary is sorted


class Draw:
    """Chooses tokens, greedily at temperature 0, else by inverting each row's own cumulative distribution.

    Every row brings its own uniform numbers, so what it draws does not depend on its neighbours.
    """

    def __init__(
        self, samplings: Sequence[Sampling], uniforms: Sequence[Sequence[float]], device: torch.device
    ) -> None:
        self._sampled = any(s.temperature > 0 for s in samplings)
        if self._sampled:
            n = max(len(u) for u in uniforms)
            padded = [[*u, *[0.0] * (n - len(u))] for u in uniforms]
            self._uniforms = torch.tensor(padded, dtype=torch.float64).to(device, torch.float32)
            self._temperature = torch.tensor([float(s.temperature) for s in samplings], device=device)
            self._top_p = torch.tensor([float(s.top_p) for s in samplings], device=device)
        self._step = 0

    def select(self, index: Tensor) -> None:
        """Go on with these rows only."""
        if self._sampled:
            self._uniforms, self._top_p = self._uniforms[index], self._top_p[index]
            self._temperature = self._temperature[index]

    def __call__(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens ``[rows]`` and their log-probabilities under the model itself (temperature 1)."""
        tokens = logits.argmax(-1)
        if self._sampled:
            tokens = tokens.where(self._temperature == 0, self._sample(logits))
            self._step += 1
        chosen = logits.gather(1, tokens[:, None]).squeeze(1)
        return tokens, chosen - logits.logsumexp(-1)

    def _sample(self, logits: Tensor) -> Tensor:
        scaled = logits / self._temperature.clamp(min=1e-6)[:, None]
        step = min(self._step, self._uniforms.shape[1] - 1)  # greedy rows may outlive all that are sampled
        uniform = self._uniforms[:, step, None]
        whole = self._top_p >= 1
        if bool(whole.all()):
            return _from_all(scaled, uniform)
        tokens = torch.empty(len(scaled), dtype=torch.long, device=scaled.device)
        tokens[whole] = _from_all(scaled[whole], uniform[whole])
        tokens[~whole] = _from_nucleus(scaled[~whole], uniform[~whole], self._top_p[~whole, None])
        return tokens


def _from_all(scaled: Tensor, uniform: Tensor) -> Tensor:
    """Tokens in the vocabulary's order, by the place of ``uniform`` (rows, 1) in their cumulative distribution: no
    sorting, which would take longer than a small model does."""
    cumulative = scaled.softmax(-1).cumsum(-1)
    all_of_it = cumulative[:, -1:]
    point = (uniform * all_of_it).minimum(torch.nextafter(all_of_it, torch.zeros_like(all_of_it)))
    return torch.searchsorted(cumulative, point, right=True).squeeze(1)


def _from_nucleus(scaled: Tensor, uniform: Tensor, top_p: Tensor) -> Tensor:
    """The same among the likeliest tokens that hold ``top_p`` (rows, 1) of the mass together, likeliest first."""
    total = scaled.logsumexp(-1, keepdim=True)
    n = scaled.shape[-1]
    top, order = scaled.topk(min(_TOP, n), sorted=True)
    short = (top - total).exp().sum(-1, keepdim=True) < top_p
    if n > _TOP and bool(short.any()):
        top, order = scaled.sort(dim=-1, descending=True, stable=True)
    probs = (top - total).exp()
    before = probs.cumsum(-1) - probs
    kept = probs * (before < top_p)  # the first is always kept: nothing comes before it
    cumulative = kept.cumsum(-1)
    point = uniform * cumulative[:, -1:]
    # The smallest index whose cumulative mass exceeds the point; clamped where rounding leaves none.
    choice = (cumulative <= point).sum(-1, keepdim=True).clamp(max=top.shape[-1] - 1)
    choice = choice.minimum((kept > 0).sum(-1, keepdim=True) - 1)
    return order.gather(1, choice).squeeze(1)
