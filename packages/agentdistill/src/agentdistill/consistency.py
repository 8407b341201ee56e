"""Self-consistent action generation (arXiv 2505.17612 section 3.2): act as most of several samples would.

At every step N thought-action pairs are sampled and each is run in a fork of the session, so that none sees what
another did. Those that do not parse or that raise are dropped; the rest vote with what they produced, observation
**and** final answer together; the first of the winning group is kept, with the state its fork is in, and nothing is
run twice.

Sampling is adaptive by default: it stops as soon as no further sample could change the winner. The samples come in the
order they would have come in, so adaptive and full sampling choose the same action.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal

from agentdistill.acting import Action, Policy, act, code_of, reply_of
from agentdistill.environment import Workspace
from agentdistill.grade import grade
from agentdistill.models import is_out_of_context
from agentdistill.types import Consistency, Message, Request, Sample, Sampling, Usage

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
) -> tuple[Action, tuple[Action, ...]] | None:
    """One step by vote: the action chosen, whose state the workspace is in now, and those that were not.

    None where the conversation no longer fits the model's context. Answers to problems of ``kind`` ``math`` are
    compared by value.
    """
    drawn = replace(sampling, temperature=settings.temperature, top_p=settings.top_p, stop=stop)
    seed = policy.seed("candidates", len(messages))
    actions: list[Action] = []
    booth = _Booth(workspace)
    same = _alike(kind)
    try:
        groups: list[list[int]] = []
        while n_more := n_to_ask(groups, len(actions), settings.n) if settings.adaptive else settings.n - len(actions):
            request = Request(tuple(messages), drawn, n_more, prefix, seed, len(actions))
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
    return kind == "math" and grade(kind, a, b).correct
