"""The agent loop: a model is asked, its reply is parsed and run, what that gave is observed, until there is an answer.

Teacher, student, verifier and benchmark share it. A trajectory is tau = ((r1, a1, o1), ..., (rL, aL, oL)), arXiv
2505.17612 section 2: thought, action (Python), observation. In the order of this file: one turn (:func:`act`), one turn
by vote (:func:`act_consistently`), one episode (:func:`rollout`), one chain of thought.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

from agentdistill import scorers
from agentdistill.environment import CUT_CODE, NO_CODE, NO_REPLY, Environment, Execution, Workspace
from agentdistill.errors import InfrastructureError, RefusedError
from agentdistill.models import Model, is_out_of_context
from agentdistill.parse import extract_answer, first_thought, parse_action, split_reasoning
from agentdistill.prompts import PromptTemplate, step_form
from agentdistill.retrieval import Passage
from agentdistill.store import seed_of
from agentdistill.types import (
    Candidate,
    Consistency,
    End,
    Message,
    Problem,
    Request,
    Sample,
    Sampling,
    Score,
    Source,
    Step,
    StepForm,
    StepStatus,
    StopReason,
    Trace,
    Usage,
)

# --- one turn ---


class Policy:
    """A model as one episode sees it: one request at a time, everything it cost added up."""

    def __init__(self, model: Model, seed: int, sampling: Sampling) -> None:
        self._model, self._seed, self._sampling = model, seed, sampling
        self.usage = Usage()

    async def ask(
        self, messages: Sequence[Message], prefix: str = "", stop: tuple[str, ...] = (), form: StepForm | None = None
    ) -> Sample:
        """One continuation, sampled as the episode's settings say."""
        sampling = replace(self._sampling, stop=stop)
        seed = seed_of(self._seed, self.usage.n_requests)
        [sample] = await self.ask_many(Request(tuple(messages), sampling, prefix=prefix, seed=seed, form=form))
        return sample

    async def ask_many(self, request: Request) -> list[Sample]:
        """The samples of a request made elsewhere, counted like any other."""
        [samples] = await self.ask_all([request])
        return samples

    async def ask_all(self, requests: Sequence[Request]) -> list[list[Sample]]:
        """The samples of several requests, asked at once."""
        replies = await self._model.generate(requests)
        for samples in replies:
            self.usage += Usage(
                n_requests=1,
                n_prompt_tokens=samples[0].n_prompt_tokens,
                n_new_tokens=sum(s.n_new_tokens for s in samples),
                n_truncated=sum(s.stop is StopReason.LENGTH for s in samples),
            )
        return replies

    def seed(self, *parts: object) -> int:
        """A seed of this episode's own."""
        return seed_of(self._seed, *parts)


@dataclass(frozen=True, slots=True)
class Action:
    """A reply and what running it gave. ``code`` is None where none could be parsed."""

    reply: Message
    code: str | None
    execution: Execution

    @property
    def ok(self) -> bool:
        """Whether it parsed and ran to its end."""
        return self.execution.status in (StepStatus.OK, StepStatus.FINAL)

    def step(self, template: PromptTemplate, others: Sequence[Action] = ()) -> Step:
        """The step on record. It keeps what the model is told, unless it was the last one, and what was not chosen."""
        e, observation = self.execution, None
        if e.status is not StepStatus.FINAL:
            observation = Message("user", template.observation(e.observation), Source.ENVIRONMENT)
        candidates = tuple(a.candidate() for a in others)
        return Step(self.reply, e.status, self.code, observation, e.tool_calls, candidates)

    def candidate(self) -> Candidate:
        """How an action that was not chosen is kept."""
        e = self.execution
        return Candidate(self.reply.content, e.status, e.observation, e.answer)


def reply_of(sample: Sample, prefix: str = "") -> Message:
    """A sample as the assistant's turn that begins with ``prefix``, its reasoning apart."""
    reply = Message("assistant", prefix + sample.text, Source.MODEL, prefix, sample.token_ids, sample.stop)
    read = split_reasoning(sample.text)
    if read.reply != sample.text:  # then the sampled ids say more than the turn does
        reply = replace(reply, content=prefix + read.reply, token_ids=None)
    return replace(reply, reasoning="\n\n".join(r for r in (sample.reasoning, read.reasoning) if r))


def is_only_reasoning(reply: Message) -> bool:
    """Whether the turn was over before its reasoning was. Nothing of it can be sent back, and a further try would end
    the same way."""
    return bool(reply.reasoning) and not reply.content[len(reply.prefix) :].strip()


def code_of(reply: Message) -> str | None:
    """The code that a reply means to be run; None where there is none, or only a fragment of it."""
    return parse_action(reply.content, cut_off=reply.stop in (StopReason.STOP_STRING, StopReason.LENGTH))


async def act(reply: Message, workspace: Workspace) -> Action:
    """Parse a reply and run its code in the workspace's state."""
    code = code_of(reply)
    if code is None:
        is_cut = parse_action(reply.content) is not None
        told = CUT_CODE if is_cut else NO_REPLY if is_only_reasoning(reply) else NO_CODE
        return Action(reply, None, Execution(StepStatus.NO_CODE, told))
    return Action(reply, code, await asyncio.to_thread(workspace.run, code))


# --- self-consistent action generation (arXiv 2505.17612 section 3.2) ---
#
# At every step N thought-action pairs are sampled and each is run in a fork of the session, so that none sees what
# another did. Those that do not parse or that raise are dropped; the rest vote with what they produced, observation
# and final answer together; the first of the winning group is kept, with the state its fork is in, and nothing is
# run twice. Sampling is adaptive by default: it stops as soon as no further sample could change the winner. The
# samples come in the order they would have come in, so adaptive and full sampling choose the same action.

Same = Callable[[Action, Action], bool]


def tally(actions: Sequence[Action], same: Same) -> list[list[int]]:
    """Groups of alike actions by their places, in the order of their first members. Failed actions are in none."""
    groups: list[list[int]] = []
    for i, action in enumerate(actions):
        if action.ok:
            home = next((g for g in groups if same(actions[g[0]], action)), None)
            if home is None:
                groups.append([i])
            else:
                home.append(i)
    return groups


def leader(groups: Sequence[Sequence[int]]) -> int:
    """The place of the largest group's first member; of equal groups the earlier. 0, the first action, without any."""
    return max(groups, key=len)[0] if groups else 0


def n_to_ask(groups: Sequence[Sequence[int]], n_asked: int, n: int) -> int:
    """The fewest further samples that could settle the vote among ``n``; 0 where it is settled.

    A group that began earlier wins a tie, so a later one has to overtake it and an earlier one only to draw level.
    """
    left = n - n_asked
    if not groups:
        return min(left, (n + 1) // 2)
    lead = max(range(len(groups)), key=lambda i: len(groups[i]))
    ahead = len(groups[lead])  # of a group that has not been seen yet
    for i, group in enumerate(groups):
        if i != lead:
            ahead = min(ahead, len(groups[lead]) - len(group) - (i < lead))
    return max(0, (left - ahead + 1) // 2) if ahead < left else 0


async def act_consistently(
    policy: Policy,
    messages: Sequence[Message],
    prefix: str,
    stop: tuple[str, ...],
    workspace: Workspace,
    settings: Consistency,
    sampling: Sampling,
    kind: str,
    form: StepForm | None = None,
) -> tuple[Action, tuple[Action, ...]] | None:
    """One step by vote: the action chosen, whose state the workspace is in now, and those that were not.

    None where the conversation no longer fits the model's context. Answers to problems of ``kind`` ``math`` are
    compared by value. With ``form``, each is held to it.
    """
    drawn = replace(sampling, temperature=settings.temperature, top_p=settings.top_p, stop=stop)
    seed = policy.seed("candidates", len(messages))
    actions: list[Action] = []
    booth = _Booth(workspace)
    same = _alike(kind)
    try:
        groups: list[list[int]] = []
        while n_more := n_to_ask(groups, len(actions), settings.n) if settings.adaptive else settings.n - len(actions):
            request = Request(tuple(messages), drawn, n_more, prefix, seed, len(actions), form)
            samples = await policy.ask_many(request)
            if is_out_of_context(samples[0]):
                return None
            actions += await booth.try_out(samples, prefix)
            groups = tally(actions, same)
        chosen = leader(groups)
        await asyncio.to_thread(booth.keep, actions[chosen])
    finally:
        await asyncio.to_thread(booth.close)
    policy.usage += Usage(n_candidates=len(actions), n_spared=settings.n - len(actions))
    return actions[chosen], (*actions[:chosen], *actions[chosen + 1 :])


class _Booth:
    """Where candidates are tried out, each code in a fork of its own.

    Two forks of one state that run the same code do the same: that code is run once and counted as often as sampled.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._forks: dict[str, Workspace] = {}
        self._ran: dict[str, Action] = {}

    async def try_out(self, samples: Sequence[Sample], prefix: str) -> list[Action]:
        return [await self._one(reply_of(s, prefix)) for s in samples]

    async def _one(self, reply: Message) -> Action:
        code = code_of(reply)
        if code is None:
            return await act(reply, self._workspace)
        if code not in self._ran:
            [self._forks[code]] = await asyncio.to_thread(self._workspace.fork, 1)
            self._ran[code] = await act(reply, self._forks[code])
        return replace(self._ran[code], reply=reply)

    def keep(self, action: Action) -> None:
        """Let the workspace go on from where this action's fork is."""
        if action.code is not None:
            self._workspace.commit(self._forks.pop(action.code))

    def close(self) -> None:
        for fork in self._forks.values():
            fork.close()
        self._forks.clear()


_NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d{1,3})?(?![\w.]*\w)")


def canonical(text: str) -> str:
    """Text with every number in one spelling (``1,000.0`` is ``1000``) and white space evened out."""
    return " ".join(_NUMBER.sub(_plain, text).split())


def _plain(match: re.Match[str]) -> str:
    number = Decimal(match[0].replace(",", ""))
    return f"{number.normalize():f}" if abs(number.adjusted()) < 40 else match[0]


def _alike(kind: str) -> Same:
    def same(a: Action, b: Action) -> bool:
        return canonical(a.execution.observation) == canonical(b.execution.observation) and _same_answer(
            a.execution.answer, b.execution.answer, kind
        )

    return same


def _same_answer(a: str | None, b: str | None, kind: str) -> bool:
    if a is None or b is None:
        return a is b
    x, y = canonical(a), canonical(b)
    if x == y:
        return True
    if _NUMBER.fullmatch(x) and _NUMBER.fullmatch(y):
        return False
    return kind == "math" and scorers.score(kind, a, b).correct


# --- episodes ---


Constrain = Literal["none", "step"]


@dataclass(frozen=True, slots=True)
class RolloutSettings:
    """Limits of an episode and how its policy samples. The defaults are the paper's.

    With ``constrain`` at ``step`` the model's steps have the template's form and code that parses, by construction.
    """

    max_steps: int = 5
    sampling: Sampling = Sampling()  # noqa: RUF009  frozen
    first_thought_prefix: bool = False
    seed: int = 0
    consistency: Consistency | None = None
    constrain: Constrain = "none"


async def rollout(
    model: Model,
    problem: Problem,
    environment: Environment,
    template: PromptTemplate,
    settings: RolloutSettings,
    *,
    method: str = "agent",
    trace_id: str | None = None,
    on_step: Callable[[Step], None] | None = None,
    opening: tuple[Message, ...] | None = None,
    workspace: Workspace | None = None,
) -> Trace:
    """One agent episode: thought, action, observation, until ``final_answer`` or a limit.

    The model's mistakes become observations. ``on_step`` is called with every step as it ends. ``opening`` is what was
    said so far, the question last, where that is more than the template's opening; ``workspace`` a session to act in,
    which is left open, where that is no fresh one. Never raises for mistakes, nor for faults of the world and
    conversations that a server refuses, which end the episode as ``End.FAULT``; raises other ModelErrors and
    programmer's mistakes.
    """
    trace = Trace(trace_id or problem.id, problem, method, model.name, (), (), End.NO_ANSWER)
    policy = Policy(model, seed_of(settings.seed, trace.id), settings.sampling)
    prompt = opening or template.agent(problem.question, environment.tools)
    steps: list[Step] = []
    own: Workspace | None = None
    try:
        prefix = await _first_thought_prefix(policy, problem, template) if settings.first_thought_prefix else ""
        if workspace is None:
            own = workspace = environment.open()
        end, answer, vote = End.OUT_OF_STEPS, None, settings.consistency
        form = step_form(template) if settings.constrain == "step" else None
        stop = template.AGENT_STOP if form is None else ()  # such a step ends with its block
        for _ in range(settings.max_steps):
            turn = (policy, [*prompt, *_said(steps)], prefix, stop, workspace)
            taken = await (
                _act_once(*turn, form)
                if vote is None
                else act_consistently(*turn, vote, settings.sampling, problem.kind, form)
            )
            if taken is None:
                end = End.OUT_OF_CONTEXT
                break
            action, others = taken
            steps.append(action.step(template, others))
            if on_step is not None:
                on_step(steps[-1])
            prefix = ""
            if action.execution.answer is not None:
                end, answer = End.ANSWERED, action.execution.answer
                break
            if is_only_reasoning(action.reply):
                end = End.NO_ANSWER
                break
        trace = replace(trace, prompt=prompt, steps=tuple(steps), end=end, answer=answer, usage=policy.usage)
        return await scored(trace)
    except (InfrastructureError, RefusedError) as e:
        return faulty(replace(trace, prompt=prompt, steps=tuple(steps), usage=policy.usage), e)
    finally:
        if own is not None:
            own.close()


async def _act_once(
    policy: Policy,
    messages: Sequence[Message],
    prefix: str,
    stop: tuple[str, ...],
    workspace: Workspace,
    form: StepForm | None,
) -> tuple[Action, tuple[Action, ...]] | None:
    """One step by one sample: as :func:`act_consistently` gives it."""
    sample = await policy.ask(messages, prefix, stop, form)
    return None if is_out_of_context(sample) else (await act(reply_of(sample, prefix), workspace), ())


def _said(steps: Sequence[Step]) -> list[Message]:
    return [m for s in steps for m in (s.reply, s.observation) if m is not None]


async def _first_thought_prefix(policy: Policy, problem: Problem, template: PromptTemplate) -> str:
    """y1 of arXiv 2505.17612 section 3.1: the first step of the model's own chain of thought, to begin an agent's."""
    for stop in (("\n\n",), ()):
        sample = await policy.ask(template.cot(problem.question), stop=stop)
        if not (is_only_reasoning(reply_of(sample)) and sample.stop is StopReason.STOP_STRING):
            break  # else the empty line stood in its reasoning
    thought = first_thought(sample.text)
    return template.THOUGHT + thought if thought else ""


async def chain_of_thought(
    model: Model,
    problem: Problem,
    template: PromptTemplate,
    settings: RolloutSettings,
    *,
    passages: Sequence[Passage] = (),
    method: str = "cot",
    trace_id: str | None = None,
) -> Trace:
    """One chain-of-thought answer, as a trace of a single step. ``passages`` are put beside the question."""
    trace = Trace(trace_id or problem.id, problem, method, model.name, (), (), End.NO_ANSWER)
    policy = Policy(model, seed_of(settings.seed, trace.id), settings.sampling)
    prompt = template.cot(problem.question, passages)
    try:
        sample = await policy.ask(prompt)
    except (InfrastructureError, RefusedError) as e:
        return faulty(replace(trace, prompt=prompt, usage=policy.usage), e)
    if is_out_of_context(sample):
        trace = replace(trace, prompt=prompt, end=End.OUT_OF_CONTEXT, usage=policy.usage)
        return await scored(trace)
    reply = reply_of(sample)
    answer = extract_answer(reply.content)
    status = StepStatus.FINAL if answer is not None else StepStatus.OK
    end = End.ANSWERED if answer is not None else End.NO_ANSWER
    step = Step(reply, status)
    return await scored(replace(trace, prompt=prompt, steps=(step,), end=end, answer=answer, usage=policy.usage))


def faulty(trace: Trace, error: Exception) -> Trace:
    """The trace of an episode that ended in an infrastructure fault or in a server's refusal."""
    return replace(trace, end=End.FAULT, fault=str(error), refused=isinstance(error, RefusedError))


async def scored(trace: Trace) -> Trace:
    """The trace with its score. No answer is wrong, a fault is unscored."""
    if trace.end is End.FAULT:
        return replace(trace, score=None)
    p = trace.problem
    score: Score = await asyncio.to_thread(scorers.score, p.kind, trace.answer, p.answer, p.aliases)
    return replace(trace, score=score)
