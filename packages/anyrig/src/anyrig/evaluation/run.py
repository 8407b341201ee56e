"""The whole evaluation: three sets of creatures and actions that no model was taught, all methods, several seeds."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from anyrig import creatures
from anyrig.corpus import HELD_OUT_KINDS, HELD_OUT_PAIRS, Selection, make_example, seed_of
from anyrig.corpus.examples import FPS
from anyrig.errors import SettingsError
from anyrig.evaluation import measures
from anyrig.evaluation.evaluator import Evaluator
from anyrig.evaluation.kept import Make, Row
from anyrig.evaluation.retarget import Nearest, retarget
from anyrig.generate import Options, generate
from anyrig.model import MotionModel
from anyrig.skeleton import Clip

SETS = ("unseen bodies", "unseen species", "unseen pairs")


@dataclass(frozen=True, slots=True)
class Plan:
    """``n_creatures`` of each set, each asked for up to ``n_actions`` different things (its pool), once for each of
    ``seeds``, which also draw other creatures. ``n_bank`` training clips are there to be retargeted."""

    sets: tuple[str, ...] = SETS
    n_creatures: int = 6
    n_actions: int = 12
    seeds: tuple[int, ...] = (0, 1, 2)
    n_bank: int = 600
    seconds: float = 3.0
    options: Options = field(default_factory=lambda: Options(fps=FPS))

    def __post_init__(self) -> None:
        unknown = [s for s in self.sets if s not in SETS]
        if unknown or not self.sets or not self.seeds or min(self.n_creatures, self.n_actions, self.n_bank) < 1:
            raise SettingsError(f"an evaluation needs sets out of {', '.join(SETS)}, seeds, creatures and actions")


@dataclass(frozen=True, eq=False)
class Asked:
    """One question: the text, and the clip that the creature's maker would give for it."""

    real: Clip
    text: str
    pool: int
    kind: str


Method = Callable[[Asked, int], Clip | None]
"""``method(asked, seed)``: a clip of the real one's skeleton and length; None where the method has none to give."""


def questions(name: str, plan: Plan, seed: int) -> list[Asked]:
    """The questions of one set, the same for the same seed. A pool is one creature, each action once."""
    rng = random.Random(seed_of("questions", name, seed))
    selection = Selection("test")
    kinds = HELD_OUT_KINDS if name == "unseen species" else selection.drawn_kinds()
    found = []
    for pool in range(plan.n_creatures):
        kind = kinds[pool % len(kinds)]
        body = selection.body(kind, rng.randrange(selection.bodies))
        able = list(selection.actions(body))
        if name == "unseen bodies":
            able = [a for a in able if (kind, a) not in HELD_OUT_PAIRS]
        rng.shuffle(able)
        if name == "unseen pairs":  # the held-out action first, and others for it to be told from
            able.sort(key=lambda a: (kind, a) not in HELD_OUT_PAIRS)
        for action in able[: plan.n_actions]:
            clip = creatures.clip(body, action, rng, plan.seconds, FPS)
            found.append(Asked(clip, rng.choice(clip.captions[1:]), pool, kind))
    return found


def evaluate(
    plan: Plan,
    evaluator: Evaluator,
    methods: Mapping[str, Method],
    say: Callable[[str], None] = lambda line: None,
    keep: Callable[[tuple[str, int, str], Make], Row | None] = lambda key, make: make(),
) -> dict[str, dict[str, list[Row]]]:
    """Set -> method -> measures for each seed. ``real`` is always among the methods: the creatures' own clips.

    ``keep((set, seed, method), make)`` may have the row that ``make`` would measure.
    """
    everyone: dict[str, Method] = {"real": lambda asked, seed: asked.real, **methods}
    results: dict[str, dict[str, list[Row]]] = {}
    for name in plan.sets:
        for seed in plan.seeds:
            asked = questions(name, plan, seed)
            if name == "unseen pairs":
                asked = [a for a in asked if any(_pair(b) for b in asked if b.pool == a.pool)]
            for method, make in everyone.items():
                row = keep((name, seed, method), partial(_row, asked, make, seed, evaluator, name == "unseen pairs"))
                if row is not None:
                    results.setdefault(name, {}).setdefault(method, []).append(row)
                    say(f"{name}, seed {seed}, {method}: R@1 {row['R@1']:.2f}, energy {row['energy']:.2f}")
    return results


def _row(asked: Sequence[Asked], make: Method, seed: int, evaluator: Evaluator, only_pairs: bool) -> Row | None:
    """The measures of a method; None where it has too little to give."""
    made = [make(a, seed_of("noise", seed, k) % 2**31) for k, a in enumerate(asked)]
    pairs = [(a, m) for a, m in zip(asked, made, strict=True) if m is not None]
    return measured(pairs, evaluator, only_pairs=only_pairs) if len(pairs) > 2 else None


def _pair(asked: Asked) -> bool:
    return (asked.kind, asked.real.action) in HELD_OUT_PAIRS


def measured(pairs: Sequence[tuple[Asked, Clip]], evaluator: Evaluator, *, only_pairs: bool) -> Row:
    """All measures of one method; ``energy`` is relative to the real clips'. ``only_pairs`` asks for held-out pairs
    only, among their whole pools."""
    asked, made = [a for a, _ in pairs], [m for _, m in pairs]
    motions, texts = evaluator.embed(made, [a.text for a in asked])
    reals, _ = evaluator.embed([a.real for a in asked], [a.text for a in asked])
    counted = np.array([not only_pairs or _pair(a) for a in asked])
    pools = [np.flatnonzero([a.pool == p for a in asked]) for p in sorted({a.pool for a in asked})]
    chosen = [(a, m) for (a, m), c in zip(pairs, counted, strict=True) if c]
    row = {f"R@{k}": measures.r_precision(texts, motions, pools, k, counted) for k in (1, 2, 3)}
    if counted.sum() > 2:
        row["FID"] = measures.frechet(motions[counted], reals[counted])
    row["alignment"] = float((motions * texts).sum(axis=1)[counted].mean())
    real_energy = float(np.mean([measures.energy(a.real) for a, _ in chosen]))
    row["energy"] = float(np.mean([measures.energy(m) for _, m in chosen])) / max(real_energy, 1e-9)
    covered = [measures.coverage([asked[i].real for i in p], [made[i] for i in p]) for p in pools]
    row["coverage"] = float(np.mean(covered))
    row["diversity"] = float(np.mean([measures.diversity([made[i] for i in p])[0] for p in pools]))
    for name in ("foot_skate", "penetration", "jerk"):
        row[name.replace("_", " ")] = float(np.mean([getattr(measures, name)(m) for _, m in chosen]))
    row["bone error"] = max(measures.bone_length_error(m) for _, m in chosen)
    row["n"] = float(counted.sum())
    return row


def by_model(model: MotionModel, options: Options) -> Method:
    """A trained model as a method."""

    def make(asked: Asked, seed: int) -> Clip | None:
        how = replace(options, seed=seed, fps=asked.real.fps)
        return generate(model, asked.real.skeleton, [(asked.text, asked.real.seconds)], how)[0]

    return make


def by_kind(models: Mapping[str, MotionModel], options: Options) -> Method:
    """One model for each kind of creature; nothing for kinds that have none."""
    methods = {kind: by_model(model, options) for kind, model in models.items()}

    def make(asked: Asked, seed: int) -> Clip | None:
        return methods[asked.kind](asked, seed) if asked.kind in methods else None

    return make


def by_retrieval(n_bank: int) -> Method:
    """The nearest training clip, retargeted."""
    bank = Nearest([make_example(Selection("train"), k, varied=False)[1] for k in range(n_bank)])

    def make(asked: Asked, seed: int) -> Clip | None:
        return retarget(bank.find(asked.text), asked.real.skeleton, asked.real.n_frames)

    return make
