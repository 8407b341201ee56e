"""Distilling verifiers: a teacher's checks of the student's own solutions, filtered, as training sequences.

A check is kept where its verdict is the truth (arXiv 2504.04718, section 4.2): what is learned is the checks that were
right, in the words and the prompt of the style that the student will judge with.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agentdistill.errors import DataError
from agentdistill.prompts import VerifyStyle, load_style, load_verify_style
from agentdistill.retrieval import Passage
from agentdistill.store import digest, seed_of
from agentdistill.types import End, Message, Source, Step, StepStatus, Trace
from agentdistill.verify.pools import Judged, Pool, Verdict
from agentdistill.verify.recipe import RoleSettings
from agentdistill.verify.verifiers import VerifierSettings


@dataclass(frozen=True, slots=True)
class Lessons:
    """The traces to learn from, and where the others went: counts by reason, ``kept`` among them."""

    traces: tuple[Trace, ...]
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class _Draft:
    trace: Trace
    right: bool


def lessons(
    pools: Sequence[Pool],
    role: RoleSettings,
    style: str,
    taught: tuple[VerifierSettings, Sequence[Judged]] | None = None,
    seed: int = 0,
) -> Lessons:
    """What a role learns from graded pools and, but for a generator, from its teacher's journal ``taught``.

    Raises DataError where nothing is left, saying where it went, and for a teacher that cannot teach the role.
    """
    counts: dict[str, int] = defaultdict(int)
    if role.role == "generator":
        drafts = list(_solutions(pools, style, counts))
    elif taught is None:
        raise DataError(f'role "{role.name}" needs the checks of a teacher')
    else:
        drafts = list(_checks(pools, role, load_verify_style(style), *taught, counts))
    drafts = _at_most(drafts, role.per_problem, counts)
    if role.balance and role.role != "generator":
        drafts = _balanced(drafts, seed, counts)
    counts["kept"] = len(drafts)
    if not drafts:
        where = ", ".join(f"{n} {reason}" for reason, n in counts.items() if n) or "there were none"
        raise DataError(f'role "{role.name}" has nothing to learn from: {where}')
    return Lessons(tuple(d.trace for d in drafts), dict(counts))


def _solutions(pools: Sequence[Pool], style: str, counts: dict[str, int]) -> Iterable[_Draft]:
    """Right solutions, as a generator is asked for them; the same text counts once a problem."""
    prompts = load_style(style)
    for p in pools:
        seen = set()
        for i, t in enumerate(p.traces):
            if not t.correct or t.solution in seen:
                counts["wrong" if not t.correct else "twice"] += 1
                continue
            seen.add(t.solution)
            yield _Draft(_trace(p, i, 0, "generator", p.generator, prompts.cot(p.problem.question), t.solution), True)


def _checks(
    pools: Sequence[Pool],
    role: RoleSettings,
    style: VerifyStyle,
    teacher: VerifierSettings,
    journal: Sequence[Judged],
    counts: dict[str, int],
) -> Iterable[_Draft]:
    said = {j.key: j for j in journal}
    if teacher.role != role.role and not (teacher.role == "gold" and role.role in ("genrm", "cot")):
        raise DataError(f'"{teacher.name}" plays {teacher.role} and cannot teach {role.role}')
    for p in pools:
        for i, c in enumerate(p.traces):
            judged = said.get((p.id, i, digest(c.solution)))
            if judged is None or c.correct is None:
                counts["not judged"] += 1
                continue
            for k, check in enumerate(judged.checks):
                if check.verdict is None or not check.verdict.settled:
                    counts[f"ended in {check.verdict.value.replace('_', ' ') if check.verdict else 'nothing'}"] += 1
                elif (check.verdict is Verdict.TRUE) != c.correct:
                    counts["verdict is not the truth"] += 1
                else:
                    found = [Passage("", d) for d in check.documents] if role.role == "facts" else None
                    prompt = style.check(role.role, p.problem.question, c.solution, found)
                    yield _Draft(_trace(p, i, k, role.role, teacher.name, prompt, check.reply), c.correct)


def _trace(p: Pool, i: int, k: int, role: str, teacher: str, prompt: tuple[Message, ...], reply: str) -> Trace:
    step = Step(Message("assistant", reply, Source.MODEL), StepStatus.OK)
    return Trace(f"{p.id}#{i}.{k}", p.problem, f"verify-{role}", teacher, prompt, (step,), End.ANSWERED)


def _at_most(drafts: Sequence[_Draft], n: int, counts: dict[str, int]) -> list[_Draft]:
    """At most ``n`` a problem, right and wrong ones in turn while there are both."""
    by_problem: dict[str, list[_Draft]] = defaultdict(list)
    for d in drafts:
        by_problem[d.trace.problem.id].append(d)
    out = []
    for found in by_problem.values():
        turns = [[d for d in found if d.right], [d for d in found if not d.right]]
        ordered = [d for pair in zip(*turns, strict=False) for d in pair]
        rest = max(turns, key=len)[min(map(len, turns)) :]
        out += [*ordered, *rest][:n]
    counts["more than enough of a problem"] += len(drafts) - len(out)
    return out


def _balanced(drafts: Sequence[_Draft], seed: int, counts: dict[str, int]) -> list[_Draft]:
    """As many right as wrong ones, drawn by hash, in the order they came. One sort alone is left as it is."""
    turns = [[d for d in drafts if d.right is right] for right in (True, False)]
    n = min(map(len, turns))
    if n == 0:
        return list(drafts)
    kept = {d.trace.id for own in turns for d in sorted(own, key=lambda d: seed_of(seed, "balance", d.trace.id))[:n]}
    counts["more than of the other sort"] += len(drafts) - len(kept)
    return [d for d in drafts if d.trace.id in kept]
