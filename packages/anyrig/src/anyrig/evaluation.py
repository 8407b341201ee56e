"""Evaluation of generated motion: a space shared by texts and motions, measures, baselines, and a table with intervals.

The evaluator is trained by contrast on bodies that no model is trained on. It sees rotations, positions, contacts, the
path, rest poses and trees, but no joint names, so that a rig does not reveal the requested action. Measures of a clip
are in units of the rig's size. The whole evaluation has three sets of held-out creatures and actions and is resumable;
its baseline is :class:`Nearest`, the clip whose caption is nearest to the prompt, put on the rig by
:func:`anyrig.retargeting.retarget`.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from anyrig import creatures
from anyrig.corpus import (
    FPS,
    HELD_OUT_KINDS,
    HELD_OUT_PAIRS,
    Batch,
    BatchConfig,
    Example,
    Selection,
    batches,
    build,
    load_examples,
    make_example,
    seed_of,
)
from anyrig.errors import FileError, SettingsError
from anyrig.features import (
    N_BUCKETS,
    ROTATION,
    encode,
    rig_code,
    size_of,
    text_ids,
)
from anyrig.generation import Options, generate_clips
from anyrig.io.files import write_bytes
from anyrig.legs import feet
from anyrig.model import ModelConfig, MotionModel, RigBatch, TextTower, collate_rigs, contrast, pack
from anyrig.retargeting import retarget
from anyrig.rotations import Array
from anyrig.skeleton import Clip
from anyrig.starts import Starter

_STANDING = 0.02
"""Height in sizes below which a foot counts as standing."""
_WINDOW, _COVERED = 8, 0.35
"""Frames of a window, and the distance below which it is covered."""
Results = Mapping[str, Mapping[str, Sequence[Mapping[str, float]]]]
"""Set -> method -> a row of measures per seed."""

# Two-sided 95 % points of Student's t by degrees of freedom.
_T95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


def energy(clip: Clip) -> float:
    """The mean speed of the joints in the world, in sizes a second; 0 for a still pose."""
    positions = clip.world()[0] / size_of(clip.skeleton)
    if clip.n_frames < 2:
        return 0.0
    return float(np.linalg.norm(np.diff(positions, axis=0), axis=-1).mean() * clip.fps)


def foot_skate(clip: Clip) -> float:
    """The mean horizontal speed of standing feet, in sizes a second; 0 where there are none."""
    ends = list(feet(clip.skeleton))
    if not ends or clip.n_frames < 2:
        return 0.0
    positions = clip.world()[0][:, ends] / size_of(clip.skeleton)
    low = (positions[1:, :, 1] < _STANDING) & (positions[:-1, :, 1] < _STANDING)
    speed = np.linalg.norm(np.diff(positions, axis=0)[..., [0, 2]], axis=-1) * clip.fps
    return float(speed[low].mean()) if low.any() else 0.0


def penetration(clip: Clip) -> float:
    """The mean depth of the lowest joint under the ground, in sizes."""
    return float(np.maximum(-clip.world()[0][..., 1].min(axis=1), 0.0).mean() / size_of(clip.skeleton))


def jerk(clip: Clip) -> float:
    """The mean norm of the third derivative of the joints' positions, in sizes per second cubed."""
    if clip.n_frames < 4:
        return 0.0
    positions = clip.world()[0] / size_of(clip.skeleton)
    return float(np.linalg.norm(np.diff(positions, n=3, axis=0), axis=-1).mean() * clip.fps**3)


def bone_length_error(clip: Clip) -> float:
    """The largest deviation of a bone's length from its rest length, in sizes."""
    s = clip.skeleton
    joints = [j for j, p in enumerate(s.parents) if p >= 0]
    if not joints:
        return 0.0
    positions = clip.world()[0]
    bones = positions[:, joints] - positions[:, [s.parents[j] for j in joints]]
    lengths = np.linalg.norm(s.offsets[joints], axis=-1)
    return float(np.abs(np.linalg.norm(bones, axis=-1) - lengths).max() / size_of(s))


def frechet(a: Array, b: Array) -> float:
    """The squared Frechet distance of normal fits to two sets of vectors (N, D). Heusel et al., NeurIPS 2017."""
    mean = float(((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum())
    spread_a, spread_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    # The trace of (A B)^(1/2) is that of (A^(1/2) B A^(1/2))^(1/2), which is symmetric.
    values, vectors = np.linalg.eigh(spread_a)
    root = vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
    both = np.linalg.eigvalsh(root @ spread_b @ root)
    return float(mean + np.trace(spread_a) + np.trace(spread_b) - 2 * np.sqrt(np.maximum(both, 0.0)).sum())


def r_precision(
    texts: Array, motions: Array, pools: Sequence[NDArray[np.intp]], k: int, counted: NDArray[np.bool_] | None = None
) -> float:
    """The share of motions whose own text is among the ``k`` nearest of its pool; vectors (N, D) of length 1.

    With ``counted`` (N,) only those motions count, each among all texts of its pool.
    """
    hits: list[bool] = []
    for pool in pools:
        scores = motions[pool] @ texts[pool].T
        # Ties count as misses: a motion with equal scores for all texts identifies none.
        rank = (scores >= np.diagonal(scores)[:, None]).sum(axis=1)
        hits.extend((rank <= k)[slice(None) if counted is None else counted[pool]].tolist())
    return float(np.mean(hits)) if hits else 0.0


def coverage(real: Sequence[Clip], made: Sequence[Clip]) -> float:
    """The share of the real clips' windows that a generated window is near to; all clips are of one skeleton.

    As in AnyTop (Gat et al., SIGGRAPH 2025): a window is covered where the mean distance of the joints' 6D rotations to
    the nearest generated window is below :data:`_COVERED`.
    """
    seen, there = (np.concatenate([_windows(c) for c in clips]) for clips in (made, real))
    nearest = np.array([_distance(w, seen).min() for w in there])
    return float((nearest < _COVERED).mean())


def diversity(clips: Sequence[Clip]) -> tuple[float, float]:
    """(between, within): mean distances of windows of different clips and of one clip, as in :func:`coverage`."""
    parts = [_windows(c) for c in clips]
    within = [float(_distance(w, p).sum() / (len(p) - 1)) for p in parts if len(p) > 1 for w in p]
    between = [
        float(_distance(w, np.concatenate(parts[:k] + parts[k + 1 :])).mean())
        for k, p in enumerate(parts)
        if len(parts) > 1
        for w in p
    ]
    return (float(np.mean(between)) if between else 0.0, float(np.mean(within)) if within else 0.0)


def _windows(clip: Clip) -> Array:
    """(W, n, J, 6), half overlapping."""
    turns = encode(clip).joints[..., ROTATION]
    n = min(_WINDOW, len(turns))
    starts = range(0, len(turns) - n + 1, max(1, n // 2))
    return np.stack([turns[s : s + n] for s in starts])


def _distance(one: Array, many: Array) -> Array:
    n = min(one.shape[0], many.shape[1])
    return np.asarray(np.linalg.norm(many[:, :n] - one[:n], axis=-1).mean(axis=(1, 2)))


def interval(values: Sequence[float]) -> tuple[float, float]:
    """(mean, half the width of its 95 % interval over seeds); the width is NaN for a single value."""
    n = len(values)
    mean = sum(values) / n
    if n < 2:
        return mean, math.nan
    spread = math.sqrt(sum((v - mean) ** 2 for v in values) / (n - 1))
    return mean, _T95[min(n - 2, len(_T95) - 1)] * spread / math.sqrt(n)


def table(results: Results) -> str:
    """The results in Markdown, one table per set."""
    parts = []
    for name, methods in results.items():
        columns = list(dict.fromkeys(c for rows in methods.values() for row in rows for c in row))
        lines = [f"### {name}", "", f"| | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
        for method, rows in methods.items():
            cells = [_cell([row[c] for row in rows if c in row]) for c in columns]
            lines.append(f"| {method} | {' | '.join(cells)} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _cell(values: Sequence[float]) -> str:
    if not values:
        return ""
    mean, half = interval(values)
    return f"{mean:.3g}" if math.isnan(half) else f"{mean:.3g} ± {half:.2g}"


CONFIG = ModelConfig(width=64, layers=2, heads=2, patch=4, joint_names=False, text_layers=1)


@dataclass(frozen=True, slots=True)
class EvaluatorSettings:
    """``n_clips`` of the valid split, of all kinds and actions; ``steps`` steps of ``tokens``."""

    seed: int = 0
    n_clips: int = 3000
    steps: int = 1500
    tokens: int = 4500
    lr: float = 2e-3


class Evaluator(nn.Module):
    """A tower for motions and one for texts; both give 64 numbers of length 1."""

    def __init__(self) -> None:
        super().__init__()
        self.motion = MotionModel(CONFIG)
        self.buckets = nn.Embedding(N_BUCKETS, CONFIG.text_width)
        self.words = TextTower(CONFIG, self.buckets)
        self.motion_out = nn.Linear(6 * CONFIG.width, 64)
        self.text_out = nn.Linear(CONFIG.width, 64)
        self.sharpness = nn.Parameter(torch.tensor(2.3))
        for block in self.motion.blocks:  # gates start open, since there is no condition that would open them
            with torch.no_grad():
                block.get_parameter("modulate.bias").view(9, -1)[2::3] = 0.5

    def motions(self, x: Tensor, rig: RigBatch) -> Tensor:
        """Vectors (B, 64) of packed motion."""
        none = self.motion.read([""] * len(x))
        h = self.motion.vectors(x, torch.zeros(len(x), device=x.device), rig, none)
        there = rig.tokens[:, None, :, None]
        mean = (h * there).sum(dim=2) / there.sum(dim=2)
        most = h.masked_fill(~there, -torch.inf).amax(dim=2)
        moments = torch.cat([h[:, :, 0], mean, most], dim=-1)  # of the path, the mean joint and the maximum over joints
        return F.normalize(self.motion_out(torch.cat([moments.mean(dim=1), moments.amax(dim=1)], dim=-1)), dim=-1)

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Vectors (B, 64) of texts."""
        return F.normalize(self.text_out(self.words(texts).tokens[:, 0]), dim=-1)

    def loss(self, batch: Batch) -> Tensor:
        """The contrastive loss; pairs with equal texts are no negatives."""
        scores = self.motions(batch.clean, batch.rig) @ self.texts(batch.texts).T
        same = torch.tensor([[a == b for b in batch.texts] for a in batch.texts])
        return contrast(scores * self.sharpness.exp().clamp(max=60.0), same)

    @torch.no_grad()
    def embed(self, clips: Sequence[Clip], texts: Sequence[str]) -> tuple[Array, Array]:
        """(motions (N, 64), texts (N, 64)) of clips at the frame rate of the corpus, and of texts."""
        rows = []
        for clip in clips:
            features = encode(clip)
            n = features.n_frames // CONFIG.patch * CONFIG.patch
            rows.append(self.motions(pack([features.cut(0, n)]), collate_rigs([rig_code(clip.skeleton)])))
        return torch.cat(rows).double().numpy(), self.texts(list(texts)).double().numpy()


def train_evaluator(
    settings: EvaluatorSettings, folder: Path, *, workers: int = 1, say: Callable[[str], None] = lambda line: None
) -> Evaluator:
    """Trains an evaluator, the same for the same settings; its examples are stored in ``folder``."""
    selection = Selection("valid", creatures.kinds(), settings.seed)
    paths = build(folder, selection, settings.n_clips, workers=workers)
    examples = load_examples(paths)
    torch.manual_seed(seed_of("evaluator", settings.seed) % 2**31)
    evaluator = Evaluator()
    optimizer = torch.optim.AdamW(evaluator.parameters(), lr=settings.lr, weight_decay=0.01)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.lr, total_steps=settings.steps + 1, pct_start=0.1)
    for step, batch in enumerate(_batches(examples, settings)):
        loss = evaluator.loss(batch)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(evaluator.parameters(), 1.0)
        optimizer.step()
        rate.step()
        if (step + 1) % 100 == 0:
            say(f"evaluator  {step + 1}/{settings.steps}  loss {float(loss.detach()):.3f}")
        if step + 1 >= settings.steps:
            break
    return evaluator.eval()


def _batches(examples: Sequence[Example], settings: EvaluatorSettings) -> Iterator[Batch]:
    """Batches of one kind of creature each, since kinds can be told apart without any motion."""
    config = BatchConfig(settings.tokens, CONFIG.patch, uncond=0.0, unnamed=1.0)
    kinds = [[e for e in examples if e.kind == kind] for kind in sorted({e.kind for e in examples})]
    epoch = 0
    while True:
        found = [b for some in kinds for b in batches(some, config, settings.seed, epoch) if len(b.texts) > 1]
        if not found:  # a contrast needs two examples
            raise SettingsError(f"{len(examples)} examples are too few to tell apart, or tokens are")
        random.Random(seed_of("batches", settings.seed, epoch)).shuffle(found)
        yield from found
        epoch += 1


def save_evaluator(evaluator: Evaluator, path: str | os.PathLike[str]) -> None:
    """Writes the evaluator as safetensors."""
    from safetensors.torch import save

    write_bytes(path, save({k: v.contiguous() for k, v in evaluator.state_dict().items()}))


def load_evaluator(path: str | os.PathLike[str]) -> Evaluator:
    """The evaluator in a file. Raises FileError for a file without one."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    evaluator = Evaluator()
    try:
        evaluator.load_state_dict(load_file(path))
    except (SafetensorError, OSError, RuntimeError) as error:
        raise FileError(f"{path} is not an evaluator: {str(error).splitlines()[0]}") from None
    return evaluator.eval()


Row = dict[str, float]
Make = Callable[[], Row | None]
SETS = ("unseen bodies", "unseen species", "unseen pairs")


class RowCache:
    """Rows of measures in a JSONL file, each under a JSON key. A truncated line is ignored."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: dict[str, Row | None] = {}
        for line in path.read_text().splitlines() if path.exists() else []:
            try:
                entry = json.loads(line)
                self._rows[json.dumps(entry["key"])] = entry["row"]
            except (ValueError, KeyError, TypeError):
                continue

    def row(self, key: Sequence[object], make: Make) -> Row | None:
        """The row under ``key``, computed and written where it is missing."""
        name = json.dumps(list(key))
        if name not in self._rows:
            self._rows[name] = make()
            with self._path.open("a") as file:  # the line break first, in case the last line is truncated
                file.write("\n" + json.dumps({"key": list(key), "row": self._rows[name]}))
        return self._rows[name]


def fingerprint(*paths: Path) -> str:
    """A hash of the files' contents."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Plan:
    """``n_creatures`` of each set and seed, each with prompts for up to ``n_actions`` actions (its pool).

    ``n_bank`` training clips are available for retargeting."""

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
class Question:
    """A prompt, and the procedural clip that it describes."""

    real: Clip
    text: str
    pool: int
    kind: str


Method = Callable[[Question, int], Clip | None]
"""``method(asked, seed)``: a clip of the real one's skeleton and length, or None where the method has none."""


def questions(name: str, plan: Plan, seed: int) -> list[Question]:
    """The prompts of one set, the same for the same seed. A pool is one creature with each action once."""
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
        if name == "unseen pairs":  # the held-out action first, then the actions it has to be distinguished from
            able.sort(key=lambda a: (kind, a) not in HELD_OUT_PAIRS)
        for action in able[: plan.n_actions]:
            clip = creatures.clip(body, action, rng, plan.seconds, FPS)
            found.append(Question(clip, rng.choice(clip.captions[1:]), pool, kind))
    return found


def evaluate(
    plan: Plan,
    evaluator: Evaluator,
    methods: Mapping[str, Method],
    say: Callable[[str], None] = lambda line: None,
    keep: Callable[[tuple[str, int, str], Make], Row | None] = lambda key, make: make(),
) -> dict[str, dict[str, list[Row]]]:
    """Set -> method -> measures per seed. The method ``real``, the creatures' own clips, is always included.

    ``keep((set, seed, method), make)`` returns a cached row or that of ``make``.
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


def _row(asked: Sequence[Question], make: Method, seed: int, evaluator: Evaluator, only_pairs: bool) -> Row | None:
    """The measures of a method; None where it has fewer than three clips."""
    made = [make(a, seed_of("noise", seed, k) % 2**31) for k, a in enumerate(asked)]
    pairs = [(a, m) for a, m in zip(asked, made, strict=True) if m is not None]
    return measured(pairs, evaluator, only_pairs=only_pairs) if len(pairs) > 2 else None


def _pair(asked: Question) -> bool:
    return (asked.kind, asked.real.action) in HELD_OUT_PAIRS


def measured(pairs: Sequence[tuple[Question, Clip]], evaluator: Evaluator, *, only_pairs: bool) -> Row:
    """All measures of one method; ``energy`` is relative to the real clips'. ``only_pairs`` counts held-out pairs only,
    among their whole pools."""
    asked, made = [a for a, _ in pairs], [m for _, m in pairs]
    motions, texts = evaluator.embed(made, [a.text for a in asked])
    reals, _ = evaluator.embed([a.real for a in asked], [a.text for a in asked])
    counted = np.array([not only_pairs or _pair(a) for a in asked])
    pools = [np.flatnonzero([a.pool == p for a in asked]) for p in sorted({a.pool for a in asked})]
    chosen = [(a, m) for (a, m), c in zip(pairs, counted, strict=True) if c]
    row = {f"R@{k}": r_precision(texts, motions, pools, k, counted) for k in (1, 2, 3)}
    if counted.sum() > 2:
        row["FID"] = frechet(motions[counted], reals[counted])
    row["alignment"] = float((motions * texts).sum(axis=1)[counted].mean())
    real_energy = float(np.mean([energy(a.real) for a, _ in chosen]))
    row["energy"] = float(np.mean([energy(m) for _, m in chosen])) / max(real_energy, 1e-9)
    covered = [coverage([asked[i].real for i in p], [made[i] for i in p]) for p in pools]
    row["coverage"] = float(np.mean(covered))
    row["diversity"] = float(np.mean([diversity([made[i] for i in p])[0] for p in pools]))
    for name, measure in (("foot skate", foot_skate), ("penetration", penetration), ("jerk", jerk)):
        row[name] = float(np.mean([measure(m) for _, m in chosen]))
    row["bone error"] = max(bone_length_error(m) for _, m in chosen)
    row["n"] = float(counted.sum())
    return row


def by_model(model: MotionModel, options: Options, start: Starter | None = None) -> Method:
    """A trained model as a method, started from the motions of ``start``."""

    def make(asked: Question, seed: int) -> Clip | None:
        how = replace(options, seed=seed, fps=asked.real.fps)
        return generate_clips(model, asked.real.skeleton, [(asked.text, asked.real.seconds)], how, start=start)[0]

    return make


def by_kind(models: Mapping[str, MotionModel], options: Options, start: Starter | None = None) -> Method:
    """One model per kind of creature; None for kinds without one."""
    methods = {kind: by_model(model, options, start) for kind, model in models.items()}
    return lambda asked, seed: methods[asked.kind](asked, seed) if asked.kind in methods else None


def by_retrieval(n_bank: int) -> Method:
    """The nearest training clip, retargeted."""
    bank = Nearest([make_example(Selection("train"), k, varied=False)[1] for k in range(n_bank)])

    def make(asked: Question, seed: int) -> Clip:
        clip = retarget(bank.find(asked.text), asked.real.skeleton)
        at = np.minimum(np.arange(asked.real.n_frames), clip.n_frames - 1)  # cut, or held at its last pose
        return replace(clip, rotations=clip.rotations[at], translations=clip.translations[at])

    return make


class Nearest:
    """A bank of clips, searched by text with words weighted by inverse document frequency in the captions."""

    def __init__(self, clips: Sequence[Clip]) -> None:
        self._clips = list(clips)
        texts = [(k, caption) for k, clip in enumerate(self._clips) for caption in clip.captions]
        self._owners = np.array([k for k, _ in texts])
        table = np.stack([_counts(text) for _, text in texts])
        self._weight = np.log(len(table) / (1.0 + (table > 0).sum(axis=0)))
        self._table = _unit(table * self._weight)

    def find(self, text: str) -> Clip:
        """The clip with the nearest caption, the first of several."""
        query = _unit(_counts(text) * self._weight)
        return self._clips[int(self._owners[int(np.argmax(self._table @ query))])]


def _counts(text: str) -> Array:
    return np.bincount(text_ids(text)[:, 0], minlength=N_BUCKETS).astype(np.float64)


def _unit(rows: Array) -> Array:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12))
