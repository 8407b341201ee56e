"""What a perfect reader could reach on TinyWorld's facts: candidates judged by the world itself, in place of documents.

    agentdistill verify sample recipes/verify/tinyworld-claims.toml --split train
    python experiments/claims.py runs/tinyworld-claims/train/traces.jsonl

Two rules: every stated fact is true; or the facts are followed from the question (after "The author of X is Y" the next
one is about X's real author) and lead to the answer. Prints, by family, per cent right of a majority vote, of a vote
among the candidates that pass (all candidates where none does), and of any candidate.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from agentdistill.store import read_traces
from agentdistill.types import Trace
from tinyworld.corpus import home
from tinyworld.facts import Hop
from tinyworld.language import RELATIONS, relations_of

NOUNS = sorted({r.noun for r in RELATIONS.values()}, key=len, reverse=True)
WORLD = home()
ENTITIES = {e.name: e for e in WORLD.entities}
ALIASES = {e.alias: e.name for e in ENTITIES.values() if e.alias}


def true_value(subject: str, noun: str) -> str | None:
    """What the world says; None where there is no such thing or fact."""
    if noun == "other name":
        return ALIASES.get(subject)
    entity = ENTITIES.get(subject)
    relations = relations_of(entity.kind) if entity else ()
    return next((WORLD.value(entity, r.name) for r in relations if entity and r.noun == noun), None)


def stated(line: str) -> Hop | None:
    """The fact that a line states."""
    subject, other, value = line.removesuffix(".").partition(" is another name of ")
    if other:
        return Hop(subject, "other name", value)
    for noun in NOUNS:
        subject, verb, value = line.removesuffix(".").removeprefix(f"The {noun} of ").partition(" is ")
        if line.startswith(f"The {noun} of ") and verb:
            return Hop(subject, noun, value)
    return None


def leads_to(plan: str, facts: Sequence[Hop]) -> str | None:
    """The answer that the facts lead to when each is looked up; None where one cannot be."""
    ends: list[tuple[str, str]] = []
    before, true = None, ""
    for fact in facts:
        follows = before is not None and fact.subject == before.value
        subject = true if follows else fact.subject
        found = true_value(subject, fact.noun)
        if found is None:
            return None
        ends = [*ends[: len(ends) - follows], (subject, found)]
        before, true = fact, found
    if not ends or ("then take the" not in plan and "then subtract" not in plan):
        return true or None
    (a, x), (b, y) = ends[0], ends[-1]
    if not (x.isdigit() and y.isdigit()):
        return None
    if "subtract" in plan:
        return str(abs(int(x) - int(y)))
    return a if (int(x) < int(y)) == ("smaller" in plan) else b


def voted(candidates: Sequence[Trace], others: Sequence[Trace]) -> bool:
    """Whether the most frequent answer is right, of those, or of the others where none of them has one."""
    votes = Counter(t.answer for t in candidates if t.answer) or Counter(t.answer for t in others if t.answer)
    if not votes:
        return False
    best = votes.most_common(1)[0][0]
    return any(t.correct for t in others if t.answer == best)


def main(path: str) -> int:
    """Print the table."""
    problems: dict[str, dict[str, list[Trace]]] = defaultdict(lambda: defaultdict(list))
    for trace in read_traces(Path(path)):
        problems[trace.problem.family][trace.problem.id].append(trace)
    print(f"{'':10}{'majority':>10}{'all true':>10}{'followed':>10}{'any':>6}{'n':>6}")
    for family, pools in problems.items():
        sums = [0, 0, 0, 0]
        for traces in pools.values():
            lines = {t.id: t.solution.split("\n\n") for t in traces}
            facts = {i: [f for f in map(stated, map(str.strip, ls)) if f] for i, ls in lines.items()}
            all_true = [
                t for t in traces if facts[t.id] and all(true_value(f.subject, f.noun) == f.value for f in facts[t.id])
            ]
            followed = [t for t in traces if t.answer and leads_to(lines[t.id][0], facts[t.id]) == t.answer]
            found = (
                voted(traces, traces),
                voted(all_true, traces),
                voted(followed, traces),
                any(t.correct for t in traces),
            )
            sums = [s + f for s, f in zip(sums, found, strict=True)]
        shares = [100 * s / len(pools) for s in sums]
        print(f"{family:10}{shares[0]:10.1f}{shares[1]:10.1f}{shares[2]:10.1f}{shares[3]:6.1f}{len(pools):6}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
