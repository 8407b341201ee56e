"""A fictional world: linked entities, and the encyclopaedia that describes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from agentdistill.retrieval import Passage
from tinyworld.language import JOBS, MONEY, PRODUCTS, RELATIONS, relations_of
from tinyworld.names import Namer

_SHARES = {"country": 1, "city": 10, "mountain": 3, "river": 5, "person": 32, "firm": 13, "work": 26}
_RANGES = {
    "year": (1800, 1999),
    "born": (1800, 1979),
    "people": (1000, 99999),
    "length": (20, 990),
    "height": (200, 8900),
}


@dataclass(slots=True)
class Entity:
    """One thing with an article. ``facts`` maps a relation to an entity's index or to a value as text."""

    index: int
    kind: str
    name: str
    facts: dict[str, int | str] = field(default_factory=dict)
    alias: str | None = None
    weight: float = 1.0
    hidden: bool = False


class World:
    """A seeded world of about ``size`` entities.

    Things are known by a Zipf law (``weight``): the famous ones are read about most and linked to most. A share of the
    articles (``hidden``) is in no model's training text: only the search index knows those.
    """

    def __init__(self, seed: int, size: int, *, hidden: float = 0.0, zipf: float = 1.2) -> None:
        self._rng = rng = Random(f"world-{seed}")
        total = sum(_SHARES.values())
        counts = {k: max(2, round(size * share / total)) for k, share in _SHARES.items()}
        namer = Namer(rng, counts["person"])
        self.entities: list[Entity] = []
        self.by_kind: dict[str, list[int]] = {}
        for kind, n in counts.items():
            self.by_kind[kind] = [self._add(kind, namer) for _ in range(n)]
        order = list(range(len(self.entities)))
        rng.shuffle(order)
        for rank, i in enumerate(order):
            self.entities[i].weight = 1.0 / (rank + 20) ** zipf
            self.entities[i].hidden = rng.random() < hidden
        weights = {kind: [self.entities[i].weight for i in members] for kind, members in self.by_kind.items()}
        for e in self.entities:
            self._link(e, weights)
            if e.kind in ("work", "firm", "person") and rng.random() < 0.3:
                e.alias = namer.name(e.kind)

    def _add(self, kind: str, namer: Namer) -> int:
        self.entities.append(Entity(len(self.entities), kind, namer.name(kind)))
        return len(self.entities) - 1

    def _link(self, e: Entity, weights: dict[str, list[float]]) -> None:
        rng = self._rng
        for r in relations_of(e.kind):
            if r.target is not None:
                e.facts[r.name] = rng.choices(self.by_kind[r.target], weights[r.target])[0]
            elif r.numeric:
                e.facts[r.name] = str(rng.randint(*_RANGES[r.name]))
            elif r.name == "money":
                e.facts[r.name] = rng.choice(MONEY)
            else:
                e.facts[r.name] = rng.choice(JOBS if r.name == "job" else PRODUCTS)

    def value(self, e: Entity, relation: str) -> str:
        """The object of a relation as text: a name or a value."""
        v = e.facts[relation]
        return self.entities[v].name if isinstance(v, int) else v

    def follow(self, e: Entity, relation: str) -> Entity:
        """The entity a relation leads to."""
        v = e.facts[relation]
        assert isinstance(v, int), f"{relation} of {e.name} is a value, not an entity"
        return self.entities[v]

    def article(self, e: Entity, rng: Random) -> Passage:
        """The article of ``e`` in one of its many wordings, facts in random order."""
        chosen = [(rng.choice(r.fact), self.value(e, r.name)) for r in relations_of(e.kind)]
        rng.shuffle(chosen)
        chosen.sort(key=lambda c: "{x}" not in c[0])  # the first sentence names the thing, later ones may say "it"
        pronoun = rng.choice(("He", "She")) if e.kind == "person" else "It"
        sentences = []
        for i, (template, value) in enumerate(chosen):
            if i and template.startswith("{x} ") and rng.random() < 0.8:
                template = pronoun + template[3:]
            sentences.append(template.format(x=e.name, y=value))
        return Passage(e.name, " ".join(sentences))

    def redirect(self, e: Entity) -> Passage:
        """The article of an alias, which only points at the real name."""
        assert e.alias is not None
        return Passage(e.alias, f"{e.alias} is another name of {e.name}.")

    def encyclopaedia(self) -> list[Passage]:
        """Every article once, redirects last: what the search index holds. The same for the same seed."""
        rng = Random(f"articles-{len(self.entities)}")
        return [self.article(e, rng) for e in self.entities] + [self.redirect(e) for e in self.entities if e.alias]


NUMERIC = tuple(r.name for r in RELATIONS.values() if r.numeric)
