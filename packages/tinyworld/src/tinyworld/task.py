"""The embedded miniature: eight families of questions about a fictional world, and its encyclopaedia.

Splits: ``train`` (two-hop look-ups and word problems, as the paper trains on HotpotQA and MATH) and ``test`` (all eight
families, none of whose questions is in any training text); ``practice`` is of all eight families too, on the side of
the training texts, for those who learn in the domain that they are tested in. ``train:300`` and ``test:50`` say how
many a family.
"""

from __future__ import annotations

from random import Random

from agentdistill.errors import UserError
from agentdistill.retrieval import Passage
from agentdistill.types import Problem
from tinyworld.corpus import home
from tinyworld.facts import FACT_FAMILIES, FactQuestion, fact_question, is_held_out
from tinyworld.maths import MATH_FAMILIES, MathQuestion, math_question
from tinyworld.world import World

IN_DOMAIN = ("hop2", "word")
PER_FAMILY = {"train": 300, "test": 100, "practice": 100}


def corpus(split: str = "test") -> list[Passage]:
    """The same for every split: the whole encyclopaedia, articles that no model has read included."""
    return home().encyclopaedia()


def problems(split: str = "test") -> list[Problem]:
    """The problems of a split, family by family. Raises UserError for a split that does not exist."""
    name, _, count = split.partition(":")
    if name not in PER_FAMILY or (count and not count.isdigit()):
        raise UserError(f'tinyworld has no split "{split}"; there are: {", ".join(PER_FAMILY)}, and train:N')
    n = int(count or PER_FAMILY[name])
    families = IN_DOMAIN if name == "train" else (*FACT_FAMILIES, *MATH_FAMILIES)
    world = home()
    return [p for family in families for p in _family(world, family, name, n)]


def _family(world: World, family: str, split: str, n: int) -> list[Problem]:
    rng = Random(f"tinyworld-{split}-{family}")
    out: dict[str, Problem] = {}
    while len(out) < n:
        q: FactQuestion | MathQuestion
        q = fact_question(rng, world, family) if family in FACT_FAMILIES else math_question(rng, family)
        if is_held_out(q.key) == (split == "test") and q.text not in out:
            kind: str = "math" if q.answer.isdigit() else "short"
            out[q.text] = Problem(f"{split}-{family}-{len(out):04}", q.text, q.answer, kind, family)
    return list(out.values())
