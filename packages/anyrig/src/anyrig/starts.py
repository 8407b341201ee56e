"""Motion to start sampling from: a procedural creature like the rig does what the words say, and the rig takes it over.

The words decide the action by how often captions of each action have them (``lexicon.json``, which
``experiments/lexicon.py`` makes). The creature is the one of several whose limbs, size and proportions are nearest to
the rig's; :func:`anyrig.retargeting.retarget` moves its motion to the rig. Words that no caption has are named with
their nearest known ones.
"""

from __future__ import annotations

import difflib
import json
import math
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from anyrig import creatures
from anyrig.corpus import Selection, seed_of
from anyrig.creatures.captions import MOOD, PACE
from anyrig.creatures.motion import Style, draw_style
from anyrig.errors import FileError, SettingsError
from anyrig.features import decode, encode, size_of, words
from anyrig.retargeting import limbs, retarget
from anyrig.rotations import Array
from anyrig.skeleton import Clip, Skeleton

Starter = Callable[[Skeleton, str, float, int], Clip | None]
"""``start(rig, text, seconds, seed)``: motion to start sampling from, of a rig that faces z, of at least ``seconds`` or
else held at its last pose; None where there is none, and sampling starts from noise."""

_FILLERS = frozenset(
    ("a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "he", "her", "his", "in", "into", "is", "it",
     "its", "of", "on", "one", "or", "she", "that", "the", "their", "then", "they", "this", "to", "while", "with")
)  # fmt: skip
"""Words that say nothing of a motion."""
_SURE, _KNOWN = 1.05, 0.6
"""How much likelier than any other an action has to be, and the least share of a text's words (without fillers) that
captions have."""
_NO = frozenset({"not", "never", "no", "without", "don", "doesn"})
"""With one of these, a text says what is not done."""
_TIMES = {"twice": 2, "thrice": 3}
_ALIASES = dict.fromkeys(
    ("stop", "stops", "stopping", "halt", "halts", "wait", "waits", "waiting"), "idle"
) | dict.fromkeys(("sit", "sits", "sitting", "lie", "lies", "lying", "kneel", "kneels", "kneeling"), "crouch")
"""Words of no caption, or of captions of something else, and the action that comes nearest."""
_LOW = frozenset(word for word, action in _ALIASES.items() if action == "crouch")
_MANNER = {w for table in (PACE, MOOD) for forms in table.values() for form in forms for w in form.split()}
"""Words that say how a thing is done, not what."""
_BODIES, _NEAR = 32, 12
"""Bodies of a kind, and how many of all, those with limbs most like the rig's, are compared with it by shape."""
_SHAPE = 0.5
"""Cost of extents that differ by the factor e."""
_TRIED, _PLAIN = 3, 4
"""Performances of which the one whose captions are nearest is taken, for texts of more words than the second."""
_HOPS = 0.3
"""Cost of a body that hops, which few rigs do."""
_SWIMS = 1.0
"""Cost of a fish for a rig without fins, which is rather a snake."""
_SCALING = 0.4
"""Times grow with this power of the size: 0.5 in gaits (Alexander, Physiol. Rev. 1989), less in wing beats."""
_PACES = (0.6, 1.6)
"""Least and largest ratio of the time that a rig and the nearest body take for the same motion."""
_FPS = 30.0
_TURN_S = 4.0
"""Seconds that a creature takes to turn, where there is time."""
_COST = {"leg": 1.0, "wing": 1.5, "arm": 0.5, "tail": 0.25}
"""Cost of a limb more or less, by role."""


@dataclass(frozen=True, eq=False)
class Lexicon:
    """``shares[word]`` is the share of the captions of each action (A,) that have the word, ``short[word]`` that of the
    shortest ones, which hardly say more than the action."""

    actions: tuple[str, ...]
    shares: Mapping[str, Array]
    short: Mapping[str, Array]

    def read(self, text: str) -> list[str]:
        """The words of a text, "backwards" as "backward" where only that is known."""
        return [
            w[:-1] if w.endswith("s") and w not in self.shares and w[:-1] in self.shares else w for w in words(text)
        ]

    def unknown(self, text: str) -> list[str]:
        """The words of a text that no caption has, without the noun of who acts."""
        said = self.read(text)
        noun = said[1] if len(said) > 1 and said[0] in ("a", "an", "the") else ""
        return [
            w for w in dict.fromkeys(said) if not w.isdigit() and w not in self.shares and w not in (*_FILLERS, noun)
        ]

    def nearest(self, word: str) -> list[str]:
        """Up to three known words that are spelt most like a word."""
        return difflib.get_close_matches(word, self.shares, n=3, cutoff=0.6)

    def action(self, text: str) -> str | None:
        """The action that a text describes; None where too few of its words are known, or none is the likeliest."""
        read = self.read(text)
        who = read[1:2] if read[:1] in (["a"], ["an"], ["the"]) and len(read) > 2 else []
        said = [w for w in dict.fromkeys(read) if w not in (*_FILLERS, *_TIMES, *_MANNER, *who)]
        if _NO & {*read}:
            return None
        near = next((_ALIASES[w] for w in said if w in _ALIASES), None)
        if near is not None and len(said) <= _PLAIN:
            return near
        known = [w for w in said if w in self.shares]
        if not known or len(known) < _KNOWN * len(said):
            return None
        rows = [table[w] for table in (self.shares, self.short) for w in known if w in table]
        scores = np.sum([_says(row) * np.log(row + 0.01) for row in rows], axis=0)
        second, best = np.argsort(scores)[-2:]
        return self.actions[best] if scores[best] - scores[second] > math.log(_SURE) else None

    def likeness(self, text: str, caption: str) -> float:
        """The share of a text's words that a caption has, rare words counting most."""
        rare = {w: -math.log(float(self.shares[w].mean()) + 1e-3) for w in set(words(text)) if w in self.shares}
        return sum(rare[w] for w in set(words(caption)) & set(rare)) / max(sum(rare.values()), 1e-9)

    def save(self, path: Path) -> None:
        """Writes the lexicon as JSON, shares in thousandths."""
        parts = []
        for name, table in (("words", self.shares), ("short", self.short)):
            told = {w: {str(a): n for a, v in enumerate(row) if (n := round(1000 * v))} for w, row in table.items()}
            lines = ",\n".join(f"{json.dumps(w)}: {json.dumps(row)}" for w, row in sorted(told.items()) if row)
            parts.append(f'"{name}": {{\n{lines}\n}}')
        path.write_text(f'{{"actions": {json.dumps(self.actions)},\n' + ",\n".join(parts) + "}\n")


def _says(shares: Array) -> float:
    """How much a word says of the action, from 0 to 1: one less the relative entropy of its shares."""
    chance = shares / shares.sum()
    return 1.0 + float((chance * np.log(np.maximum(chance, 1e-12))).sum()) / math.log(len(chance))


def learn_lexicon(n: int, seed: int = 0) -> Lexicon:
    """The lexicon of the captions of about ``n`` performances of training creatures, of each action equally many."""
    able: dict[str, list[creatures.BodyPlan]] = {}
    selection = Selection("train", seed=seed)
    for kind in creatures.kinds():
        for k in range(6):
            for action in creatures.actions(plan := selection.body(kind, k)):
                able.setdefault(action, []).append(plan)
    actions = tuple(sorted(able))
    each = max(1, n // len(actions))
    counts: dict[str, Array] = {}
    short: dict[str, Array] = {}
    for a, action in enumerate(actions):
        rng = random.Random(seed_of("lexicon", seed, action))
        for _ in range(each):
            clip = creatures.clip(rng.choice(able[action]), action, rng, seconds=1.0, fps=8.0)
            told = [{*words(caption)} for caption in clip.captions]
            first, *more = action.split("_")
            terse = [] if more and first in able else [{first, *more}]  # not the "walk" of "walk_backward"
            for table, some in ((counts, [*told, *terse]), (short, [told[0], *terse])):
                for caption in some:
                    for word in caption - _FILLERS:
                        table.setdefault(word, np.zeros(len(actions)))[a] += 1.0 / (len(some) * each)
    return Lexicon(actions, counts, short)


@cache
def lexicon() -> Lexicon:
    """The package's lexicon."""
    path = Path(__file__).with_name("lexicon.json")
    try:
        told = json.loads(path.read_text())
    except (OSError, ValueError):
        raise FileError(f"{path} is missing or damaged; python experiments/lexicon.py makes it") from None
    tables: list[dict[str, Array]] = []
    for name in ("words", "short"):
        tables.append({word: np.zeros(len(told["actions"])) for word in told[name]})
        for word, row in told[name].items():
            tables[-1][word][[int(a) for a in row]] = [n / 1000 for n in row.values()]
    return Lexicon(tuple(told["actions"]), *tables)


def notes(text: str) -> list[str]:
    """A line for each word of a text that nothing was learned for."""
    found = []
    for word in dict.fromkeys((*lexicon().unknown(text), *(w for w in words(text) if w in _ALIASES))):
        near = [_ALIASES[word]] if word in _ALIASES else lexicon().nearest(word)
        found.append(f'nothing was learned for "{word}"' + (f"; near it: {', '.join(near)}" if near else ""))
    return found


@dataclass(frozen=True)
class Procedural:
    """Called with a rig that faces z, a text, seconds and a seed: the rig's motion by a procedural creature of one of
    ``kinds`` (all where empty), or None where the words are unknown or no creature fits."""

    kinds: tuple[str, ...] = ()

    def __call__(self, rig: Skeleton, text: str, seconds: float, seed: int) -> Clip | None:
        action = lexicon().action(text)
        plan = None if action is None else self.plan(rig, action)
        if action is None or plan is None:
            return None
        rng = random.Random(seed_of("start", seed, rig.names))
        pace = float(np.clip((size_of(rig) / size_of(_skeleton(plan))) ** _SCALING, *_PACES))
        n = next((n for word, n in _TIMES.items() if word in words(text)), 1)
        # The less time a creature has, the less it turns: two turns in the time of one are whole ones, played faster.
        hurry = min(float(n), max(1.0, n * _TURN_S / seconds)) if action.startswith("turn") else 1.0
        made = [
            self._performed(plan, action, rng, hurry * seconds / n / pace, _FPS * pace / hurry, text) for _ in range(n)
        ]
        try:
            return _sequence([replace(retarget(clip, rig, facings=("z", "z")), fps=_FPS) for clip in made])
        except SettingsError:  # nothing corresponds
            return None

    def _performed(
        self, plan: creatures.BodyPlan, action: str, rng: random.Random, seconds: float, fps: float, text: str
    ) -> Clip:
        """The performance, of a few, whose captions are nearest to the text; which ends lowest where it asks for that;
        the highest of plain jumps, since those that people key are higher than most."""
        low, plain = bool(_LOW & {*words(text)}), len(words(text)) <= _PLAIN
        tries = 3 * _TRIED if low else 1 if plain and action != "jump" else _TRIED
        made = [creatures.perform(plan, action, rng, seconds, fps, _style(text, rng)).clip for _ in range(tries)]
        if low:
            return min(made, key=lambda c: float(c.world()[0][-1, :, 1].mean()))
        if plain and action == "jump":
            return max(made, key=lambda c: float(c.world()[0][:, c.skeleton.main_root, 1].max()))
        return max(made, key=lambda c: max(lexicon().likeness(text, caption) for caption in c.captions))

    def plan(self, rig: Skeleton, action: str) -> creatures.BodyPlan | None:
        """The body nearest to a rig among those that can do ``action``."""
        mine = _limbs(rig)

        def unlike(plan: creatures.BodyPlan) -> float:
            theirs = {"leg": plan.n_legs, "wing": 2 * bool(plan.wings), "arm": 2 * bool(plan.arms)}
            theirs["tail"] = bool(plan.tail)
            apart = sum(each * abs(mine[role] - theirs[role]) for role, each in _COST.items())
            swims = plan.kind == "fish" and not mine["fin"]
            return apart + _HOPS * ("hops" in plan.habits) + _SWIMS * swims

        able = [p for kind in self.kinds or creatures.kinds() for p in _plans(kind) if action in creatures.actions(p)]
        near = sorted(able, key=unlike)[:_NEAR]
        apart = [unlike(p) + _SHAPE * float(np.abs(_shape(rig) - _shape(_skeleton(p))).mean()) for p in near]
        return near[int(np.argmin(apart))] if near else None


@lru_cache(maxsize=64)
def _limbs(skeleton: Skeleton) -> Counter[str]:
    """How many limbs of each role a rig that faces z has."""
    return Counter(role for role, _ in limbs(skeleton))


def _shape(skeleton: Skeleton) -> Array:
    """The logarithms of a rig's extents."""
    return np.asarray(np.log(np.maximum(np.ptp(skeleton.rest_positions(), axis=0), 1e-3)))


@cache
def _plans(kind: str) -> list[creatures.BodyPlan]:
    return [Selection("train").body(kind, k) for k in range(_BODIES)]


_skeleton = lru_cache(maxsize=256)(creatures.skeleton)


def _sequence(clips: Sequence[Clip]) -> Clip:
    """Clips of one rig after each other, each from where the one before ends."""
    if len(clips) == 1:
        return clips[0]
    told = [encode(clip) for clip in clips]
    joints, path, stretch = (
        np.concatenate([getattr(told[0], name), *(getattr(t, name)[1:] for t in told[1:])])
        for name in ("joints", "path", "stretch")
    )
    return decode(replace(told[0], joints=joints, path=path, stretch=stretch), clips[0].skeleton)


def _style(text: str, rng: random.Random) -> Style:
    """A style of the pace and mood that a text names; a plain one where it names none."""
    said = f" {' '.join(words(text))} "
    pace, mood = (next((name for name, forms in table.items() if any(f and f" {f} " in said for f in forms)), "")
                  for table in (PACE, MOOD))  # fmt: skip
    for _ in range(500):
        style = draw_style(rng)
        if style.mood == (mood or "neutral") and style.pace == pace:
            break
    return style


def from_clip(clip: Clip) -> Starter:
    """Starts from a clip, of the rig or of another, held at its last pose where it is too short."""

    def start(rig: Skeleton, text: str, seconds: float, seed: int) -> Clip | None:
        return retarget(clip, rig, facings=("auto", "z"))

    return start
