"""A process reward model: the probability, after every step of a solution, that it is right so far.

A local one is a token classifier with two labels, read at the last token of each step, as this package trains them
(:mod:`~agentdistill.verify.prm_training`). A served one answers ``POST /pooling`` as vLLM does for reward models.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from agentdistill.errors import InfrastructureError, ModelError
from agentdistill.loop import Policy
from agentdistill.types import Problem, Usage
from agentdistill.verify.judges import JudgeSettings, Kit
from agentdistill.verify.types import Candidate, Check

MAX_STEPS = 400


@dataclass(frozen=True, slots=True)
class Scored:
    """One probability in [0, 1] a step, and how many tokens were read for that (0 where it is not told)."""

    scores: tuple[float, ...]
    n_tokens: int = 0


class StepScorer(Protocol):
    """Scores the steps of one solution."""

    def score(self, question: str, steps: Sequence[str]) -> Scored:
        """The scores of all steps. Raises ModelError for a reply of another shape."""
        ...


def steps_of(solution: str, separator: str = "\n\n") -> tuple[str, ...]:
    """The steps of a solution, empty ones left out. A solution without the separator is cut at its lines."""
    parts = solution.split(separator) if separator in solution else solution.splitlines()
    return tuple(p.strip() for p in parts if p.strip())[:MAX_STEPS]


def step_ids(tokenizer: Any, question: str, steps: Sequence[str], max_length: int) -> tuple[list[int], list[int]]:
    """Token ids of question and steps, a line each, and the places of the steps' last tokens that fit.

    The very ids that training reads, so that a head is asked what it learned.
    """
    ids = list(tokenizer.encode(f"{question}\n", add_special_tokens=False))
    if tokenizer.bos_token_id is not None:
        ids.insert(0, tokenizer.bos_token_id)
    ends = []
    for step in steps:
        ids += tokenizer.encode(f"{step}\n", add_special_tokens=False)
        ends.append(len(ids) - 1)
    return ids[:max_length], [e for e in ends if e < max_length]


class LocalPRM:
    """A token classifier in this process. Steps beyond its context get the score of the last that fits."""

    def __init__(self, model: Any, tokenizer: Any, max_length: int) -> None:
        self._model, self._tokenizer, self._max_length = model, tokenizer, max_length

    def score(self, question: str, steps: Sequence[str]) -> Scored:
        """See :class:`StepScorer`."""
        import torch

        ids, ends = step_ids(self._tokenizer, question, steps, self._max_length)
        if not ends:
            return Scored((0.0,) * len(steps))  # not even the first step fits: nothing speaks for it
        with torch.inference_mode():
            logits = self._model(input_ids=torch.tensor([ids], device=self._model.device)).logits[0, ends]
            found = [float(p) for p in logits.float().softmax(-1)[:, 1]]
        return Scored(tuple(found + [found[-1]] * (len(steps) - len(found))), len(ids))


class ServedPRM:
    """A reward model behind vLLM's ``/pooling``, its steps joined by the ``marker`` that it was trained with."""

    def __init__(self, url: str, name: str, marker: str = "<extra_0>", timeout_s: float = 120.0) -> None:
        if not url.startswith(("http://", "https://")):
            raise ModelError(f'prm url "{url}" does not begin with http:// or https://')
        self.url = f"{url.rstrip('/').removesuffix('/v1')}/pooling"
        self._name, self._marker, self._timeout_s = name, marker, timeout_s

    def score(self, question: str, steps: Sequence[str]) -> Scored:
        """See :class:`StepScorer`. Raises InfrastructureError where the server cannot be reached."""
        import httpx2

        text = "".join(step + self._marker for step in steps)
        messages = [{"role": "user", "content": question}, {"role": "assistant", "content": text}]
        try:
            reply = httpx2.post(self.url, json={"model": self._name, "messages": messages}, timeout=self._timeout_s)
        except httpx2.TransportError as e:
            raise InfrastructureError(f"reward model {self.url} cannot be reached ({e})") from e
        if reply.status_code >= 500 or reply.status_code in (408, 429):
            raise InfrastructureError(f"reward model {self.url} answered {reply.status_code}")
        if reply.status_code != 200:
            raise ModelError(f"reward model {self.url} refused the request ({reply.status_code}: {reply.text[:160]})")
        return _served(reply.text, len(steps), self.url)


def _served(text: str, n_steps: int, url: str) -> Scored:
    """The scores of a pooling reply: for each step a probability, or those of wrong and right."""
    try:
        reply = json.loads(text)
        rows = reply["data"][0]["data"]
        scores = tuple(float(row[-1] if isinstance(row, list) else row) for row in rows)
    except (ValueError, KeyError, IndexError, TypeError, RecursionError) as e:
        raise ModelError(f"reward model {url}: its reply holds no scores of steps ({type(e).__name__})") from e
    if len(scores) != n_steps or not all(math.isfinite(s) and 0 <= s <= 1 for s in scores):
        raise ModelError(f"reward model {url}: {len(scores)} scores for {n_steps} steps, or some are no probabilities")
    usage = reply.get("usage")
    n = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    return Scored(scores, n if isinstance(n, int) and n > 0 else 0)


def load_scorer(model: Mapping[str, Any]) -> StepScorer:
    """The scorer of a recipe's table: ``{model = "local", path}`` or ``{model = "endpoint", url, name, marker}``."""
    settings = dict(model)
    kind = settings.pop("model", "local")
    if kind not in ("local", "endpoint"):
        raise ModelError(f'a PRM is "local" or "endpoint", not "{kind}"')
    try:
        return load_local(**settings) if kind == "local" else ServedPRM(**settings)
    except TypeError as e:
        raise ModelError(f"a PRM cannot be made of {settings!r}: {str(e).partition(' ')[2]}") from e


def load_local(path: str, device: str = "auto", max_length: int | None = None) -> LocalPRM:
    """A token classifier of two labels from a folder or hub name. Raises ModelError where it is none.

    It computes in float32 on CPU and in the checkpoint's own format on a GPU.
    """
    from transformers import AutoModelForTokenClassification

    from agentdistill.models.weights import dtype_for, load_tokenizer, quiet

    tokenizer = load_tokenizer(path)
    try:
        with quiet():
            loaded: Any = AutoModelForTokenClassification.from_pretrained(
                path, dtype=dtype_for("auto", device), output_loading_info=True
            )
    except Exception as e:
        raise ModelError(f"{path}: no token classifier could be loaded ({str(e).splitlines()[0][:160]})") from e
    model, info = loaded
    if info.get("missing_keys") or model.config.num_labels != 2:
        raise ModelError(f"{path}: no reward model of two labels (its classifier head is missing); train one first")
    limit = max_length or getattr(model.config, "max_position_embeddings", None) or 4096
    return LocalPRM(model.to(_device(device)).eval(), tokenizer, limit)


def _device(device: str) -> str:
    import torch

    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device


class StepJudge:
    """One Check a step, each with the probability that the solution is right so far."""

    def __init__(self, scorer: StepScorer, separator: str) -> None:
        self._scorer, self._separator = scorer, separator
        self._turn = asyncio.Lock()

    async def check(self, policy: Policy, problem: Problem, candidate: Candidate) -> tuple[Check, ...]:
        """See :class:`~agentdistill.verify.judges.Judge`."""
        steps = steps_of(candidate.solution, self._separator)
        if not steps:
            return ()
        async with self._turn:
            scored = await asyncio.to_thread(self._scorer.score, problem.question, steps)
        policy.usage += Usage(n_requests=1, n_prompt_tokens=scored.n_tokens)
        return tuple(Check(step, score=s) for step, s in zip(steps, scored.scores, strict=True))


def load(settings: JudgeSettings, kit: Kit) -> StepJudge:
    """The PRM that ``model`` names: ``local`` with a ``path``, or ``endpoint`` with ``url`` and ``name``."""
    return StepJudge(load_scorer(settings.model), settings.separator)
