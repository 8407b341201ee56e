"""GenRM-CoT: a reward model that writes. r is the mean over n rationales of a parsed Yes or No, or of p(Yes).

p(Yes) is read off one more token, which continues the rationale behind the words that open the verdict: where the model
says Yes it is that token's probability, where it says No it is what that leaves. Two ways are all there are to go on,
so that is p(Yes) up to what the model would spend on other words. Where a tokenizer sets a blank apart, the token
behind it counts with it.
"""

from __future__ import annotations

import math
from dataclasses import replace

from agentdistill.errors import ModelError
from agentdistill.loop import Policy
from agentdistill.types import Message, Problem, Request, Sample
from agentdistill.verify.judges import VERDICT_LINE, JudgeSettings, Kit, said, told
from agentdistill.verify.styles import VerifyStyle, load_style
from agentdistill.verify.types import Candidate, Check, Verdict

MAX_BLANKS = 2


class GenRM:
    """n rationales a candidate, each with a score or, unparsed, without one."""

    def __init__(self, settings: JudgeSettings, style: VerifyStyle) -> None:
        self._settings, self._style = settings, style

    async def check(self, policy: Policy, problem: Problem, candidate: Candidate) -> tuple[Check, ...]:
        """See :class:`~agentdistill.verify.judges.Judge`."""
        messages = self._style.genrm(problem.question, candidate.solution)
        request = Request(messages, self._settings.sampling, self._settings.n, seed=policy.seed("genrm"))
        samples = await policy.ask_many(request)
        if self._settings.score == "parsed":
            return tuple(Check(s.text, told(s, said(s.text))) for s in samples)
        return tuple([await self._weighed(policy, messages, s, i) for i, s in enumerate(samples)])

    async def _weighed(self, policy: Policy, messages: tuple[Message, ...], sample: Sample, i: int) -> Check:
        """A rationale with p(Yes) behind it."""
        found = list(VERDICT_LINE.finditer(sample.text))
        rationale = sample.text[: found[-1].start()] if found else sample.text.rstrip() + "\n"
        token, logprob = await self._opened(policy, messages, rationale + self._style.VERDICT.rstrip(), i)
        p = yes(token, math.exp(logprob))
        verdict = Verdict.MALFORMED if p is None else Verdict.TRUE if p >= 0.5 else Verdict.FALSE
        return Check(sample.text, verdict, p, detail=token)

    async def _opened(self, policy: Policy, messages: tuple[Message, ...], opening: str, i: int) -> tuple[str, float]:
        """How the verdict begins, and its log-probability: one token, or more where the first are only blanks."""
        sampling = replace(self._settings.sampling, temperature=0.0, top_p=1.0, max_new_tokens=1)
        text, logprob = "", 0.0
        for _ in range(MAX_BLANKS + 1):
            seed = policy.seed("yes", i, len(text))
            [begun] = await policy.ask_many(Request(messages, sampling, prefix=opening + text, seed=seed))
            if begun.logprob is None:
                why = 'gives no log-probabilities; set logprobs = true, or score = "parsed"'
                raise ModelError(f'judge "{self._settings.name}": its model {why}')
            text, logprob = text + begun.text, logprob + begun.logprob
            if text.strip() or not begun.text:
                break
        return text, logprob


def yes(token: str, probability: float) -> float | None:
    """p(Yes) from the token that opens the verdict, which may be only its first letters; None for another word.

    >>> yes(" Y", 0.9), round(yes("No", 0.9), 9), yes("Maybe", 0.9)
    (0.9, 0.1, None)
    """
    said = token.strip(" *_:\n").lower()
    if said and "yes".startswith(said):
        return probability
    return 1.0 - probability if said and "no".startswith(said) else None


def load(settings: JudgeSettings, kit: Kit) -> GenRM:
    """The reward model that writes."""
    return GenRM(settings, load_style(settings.style or kit.style))
