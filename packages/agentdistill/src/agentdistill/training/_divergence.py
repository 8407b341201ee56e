"""Distillation from a teacher's distributions: the divergence at every token that the student wrote.

Either the teacher's weights are here and know the student's tokens: then it is the divergence of whole distributions.
Or it was read before: then that of the classes that it named, the others as one, and of spans that both cut out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from agentdistill.training._sft import HEADS_OF_THEIR_OWN, SequenceTrainer
from agentdistill.training.lessons import Classes, Lesson

_NOTHING = -1e4  # the log-probability of what is not there: exp gives 0, and differences stay finite
_LEAST = 1e-6  # probability that is left to what was not named


def divergence(teacher: Tensor, student: Tensor, beta: float) -> Tensor:
    """The divergence of log-probabilities along the last dimension (arXiv 2306.13649, eq. 1).

    It is KL(teacher, student) for ``beta`` 0, KL(student, teacher) for 1, and between them the generalised
    Jensen-Shannon divergence.
    """
    if beta == 0:
        return _kl(teacher, student)
    if beta == 1:
        return _kl(student, teacher)
    mixture = torch.logaddexp(teacher + math.log(beta), student + math.log1p(-beta))
    return beta * _kl(teacher, mixture) + (1 - beta) * _kl(student, mixture)


def _kl(p: Tensor, q: Tensor) -> Tensor:
    return (p.exp() * (p - q)).sum(-1)


def with_rest(named: Tensor) -> Tensor:
    """Log-probabilities ``[n, k]`` of things that exclude each other, and behind them that of none of them."""
    total = named.logsumexp(-1, keepdim=True).clamp(max=math.log1p(-_LEAST))
    return torch.cat([named, torch.log(-torch.expm1(total))], -1)


class DivergenceTrainer(SequenceTrainer):
    """Learns from ``teacher``, weights that know the student's tokens, or from ``lessons``, one a row of the data."""

    def __init__(
        self,
        *,
        beta: float,
        teacher: Any = None,
        lessons: tuple[Sequence[Lesson], Classes] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._beta, self._teacher = beta, teacher
        if lessons is not None:
            self._lessons = [_Units(lesson) for lesson in lessons[0]]
            self._classes = _Classes(lessons[1], self.accelerator.device)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The divergence, summed over a batch and divided by the tokens that the student wrote in it."""
        ids, learned = inputs["input_ids"], inputs["labels"][:, 1:] != -100
        with self.accelerator.autocast():
            logits = _logits(self._causal_model(), ids, learned).float()
        if self._teacher is not None:
            with torch.no_grad():
                told = _logits(self._teacher, ids, learned).float()
            n = min(told.shape[-1], logits.shape[-1])  # rows behind those of the tokens are padding
            loss = divergence(told[:, :n].log_softmax(-1), logits[:, :n].log_softmax(-1), self._beta).sum()
        else:
            loss = self._of_lessons(logits.log_softmax(-1), ids[:, 1:][learned], inputs["index"].tolist())
        return loss / max(1, int(learned.sum()) if num_items_in_batch is None else int(num_items_in_batch))

    def _of_lessons(self, student: Tensor, own: Tensor, index: Sequence[int]) -> Tensor:
        """The same from lessons; ``student`` ``[n, vocabulary]`` and ``own`` ``[n]`` follow one another in them."""
        classes = self._classes(student)
        chosen = student.gather(1, own[:, None]).squeeze(1)
        reached = torch.cat([chosen.new_zeros(1), chosen.cumsum(0)])
        loss, before = student.new_zeros(()), 0
        for i in index:
            u = self._lessons[i].to(student.device)
            at, stop = u.start + before, u.stop + before
            named = classes[at[:, None], u.classes].masked_fill(u.missing, _NOTHING)
            loss = loss + divergence(with_rest(u.logprobs), with_rest(named), self._beta)[u.named].sum()
            span = reached[stop[u.spans]] - reached[at[u.spans]]
            home = self._classes.of[own[at[u.spans]]]
            given = classes[at[u.spans], home.clamp(min=0)].masked_fill(~u.named[u.spans], 0.0)
            rest = with_rest((span - given)[:, None])
            loss = loss + divergence(with_rest(u.rest[u.spans, None]), rest, self._beta).sum()
            before += self._lessons[i].n_written
        return loss


def _logits(causal: Any, ids: Tensor, learned: Tensor) -> Tensor:
    """Logits ``[n, vocabulary]`` at the ``n`` places whose next token is learned; padding stands on the right."""
    if any(getattr(causal.config.get_text_config(), name, None) for name in HEADS_OF_THEIR_OWN):
        logits: Tensor = causal(input_ids=ids, use_cache=False).logits[:, :-1][learned]
        return logits
    hidden = causal.base_model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
    out: Tensor = causal.get_output_embeddings()(hidden[learned])
    return out


class _Classes:
    """From log-probabilities of tokens to those of classes."""

    def __init__(self, classes: Classes, device: torch.device) -> None:
        self.n, self.of = classes.n, torch.tensor(classes.of, device=device)

    def __call__(self, logprobs: Tensor) -> Tensor:
        """``[n, vocabulary]`` to ``[n, classes]``; tokens of no class are not in it."""
        n = logprobs.shape[-1]
        of = nn.functional.pad(self.of[:n], (0, max(0, n - len(self.of))), value=-1)
        home = torch.where(of < 0, self.n, of)
        summed = logprobs.new_zeros(len(logprobs), self.n + 1).index_add(1, home, logprobs.exp())
        return summed[:, : self.n].clamp(min=1e-30).log()


class _Units:
    """A lesson's units as tensors. ``missing`` pads ``classes``; ``named`` are those that have any, ``spans`` those
    with a rest."""

    def __init__(self, lesson: Lesson) -> None:
        units, self.n_written = lesson.units, lesson.n_written
        width = max((len(u.classes) for u in units), default=0)
        classes = torch.tensor([[*u.classes, *[-1] * (width - len(u.classes))] for u in units], dtype=torch.long)
        logprobs = torch.tensor([[*u.logprobs, *[_NOTHING] * (width - len(u.logprobs))] for u in units])
        self.classes, self.logprobs = classes.view(len(units), width), logprobs.view(len(units), width)
        self.missing = self.classes < 0
        self.classes = self.classes.clamp(min=0)
        self.named = ~self.missing.all(-1)
        self.start = torch.tensor([u.start for u in units], dtype=torch.long)
        self.stop = torch.tensor([u.stop for u in units], dtype=torch.long)
        self.spans = torch.tensor([u.rest is not None for u in units], dtype=torch.bool)
        self.rest = torch.tensor([0.0 if u.rest is None else u.rest for u in units])

    def to(self, device: torch.device) -> _Units:
        """The same on a device."""
        if device.type != "cpu":
            for name, value in vars(self).items():
                if isinstance(value, Tensor):
                    setattr(self, name, value.to(device))
        return self
