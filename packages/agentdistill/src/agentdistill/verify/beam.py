"""Beam search over the steps of a solution, led by a reward model of steps: a control of equal cost.

From each partial solution the generator samples several next steps; the reward model scores them, and the best are
continued. ``width * expand`` steps are sampled at every depth, so a search costs the generator about as much as that
many whole solutions, among which the same reward model could choose.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from agentdistill.errors import InfrastructureError, RefusedError
from agentdistill.loop import Policy, faulty, reply_of, scored
from agentdistill.models import Model
from agentdistill.parse import extract_answer
from agentdistill.prompts import PromptTemplate
from agentdistill.store import seed_of
from agentdistill.types import (
    End,
    Message,
    Problem,
    Request,
    Sample,
    Sampling,
    Step,
    StepStatus,
    StopReason,
    Trace,
)
from agentdistill.verify.roles import StepScorer, steps_of

SOURCE = "beam"
SCORED_TOKENS = "scored tokens"
"""The note of a trace that says how many tokens the reward model read for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeamSettings:
    """``reward`` names the verifier that scores steps. ``width`` partial solutions are kept at every step, for each
    ``expand`` next steps are sampled; ``max_steps`` is the greatest depth."""

    reward: str
    width: int = 4
    expand: int = 4
    max_steps: int = 20

    @property
    def n(self) -> int:
        """Steps written at every depth, and the most solutions that are finished."""
        return self.width * self.expand


@dataclass(frozen=True, slots=True)
class _Partial:
    text: str
    score: float
    last: Sample | None = None


async def beam_search(
    model: Model,
    scorer: StepScorer,
    problem: Problem,
    template: PromptTemplate,
    sampling: Sampling,
    settings: BeamSettings,
    *,
    separator: str = "\n\n",
    seed: int = 0,
    trace_id: str | None = None,
) -> Trace:
    """The finished solution with the greatest score, as a chain of thought of one step.

    Its usage is that of the whole search. Steps end at the ``separator``. Equal partial solutions are merged. The score
    is that of the last step; ties go to the first found. A search that finishes nothing gives the best partial one,
    without an answer.
    """
    prompt = template.cot(problem.question)
    trace = Trace(trace_id or problem.id, problem, SOURCE, model.name, prompt, (), End.NO_ANSWER)
    policy = Policy(model, seed_of(seed, trace.id), sampling)
    live, finished, n_read = [_Partial("", 0.0)], list[_Partial](), 0
    furthest, stepwise = live[0], replace(sampling, stop=(separator,))
    try:
        for depth in range(settings.max_steps):
            begun = await _continued(policy, prompt, live, stepwise, settings.n, depth)
            texts = {_joined(b.text, s, separator): s for b, s in begun if s.stop is not StopReason.LENGTH}
            scores = [await asyncio.to_thread(scorer.score, problem.question, steps_of(t, separator)) for t in texts]
            n_read += sum(s.n_tokens for s in scores)
            found = [
                _Partial(text, s.scores[-1] if s.scores else 0.0, last)
                for (text, last), s in zip(texts.items(), scores, strict=True)
            ]
            found.sort(key=lambda b: -b.score)
            finished += [b for b in found if _is_done(b)]
            live = [b for b in found if not _is_done(b)][: settings.width]
            if not live or len(finished) >= settings.n:
                break
            furthest = live[0]
    except (InfrastructureError, RefusedError) as e:
        return faulty(replace(trace, usage=policy.usage), e)
    best = max(finished, key=lambda b: b.score, default=furthest)
    answer = extract_answer(best.text)
    notes = (("finished", str(len(finished))), ("score", f"{best.score:.4f}"), (SCORED_TOKENS, str(n_read)))
    reply = reply_of(replace(best.last, text=best.text)) if best.last else Message("assistant", best.text)
    step = Step(reply, StepStatus.OK if answer is None else StepStatus.FINAL)
    end = End.NO_ANSWER if answer is None else End.ANSWERED
    return await scored(replace(trace, steps=(step,), end=end, answer=answer, usage=policy.usage, notes=notes))


async def _continued(
    policy: Policy, prompt: Sequence[Message], live: Sequence[_Partial], sampling: Sampling, n: int, depth: int
) -> list[tuple[_Partial, Sample]]:
    """``n`` next steps, shared evenly among the partial solutions; the best ones get the remainder."""
    shares = [n // len(live) + (i < n % len(live)) for i in range(len(live))]
    requests = [
        Request(tuple(prompt), sampling, share, prefix=b.text, seed=policy.seed(depth, i))
        for i, (b, share) in enumerate(zip(live, shares, strict=True))
    ]
    replies = await policy.ask_all(requests)
    return [(b, s) for b, samples in zip(live, replies, strict=True) for s in samples]


def _joined(text: str, sample: Sample, separator: str) -> str:
    return text + sample.text + (separator if sample.stop is StopReason.STOP_STRING else "")


def _is_done(begun: _Partial) -> bool:
    """Whether the model ended its turn, or has written an answer."""
    ended = begun.last is not None and begun.last.stop is StopReason.END_TURN
    return ended or extract_answer(begun.text) is not None
