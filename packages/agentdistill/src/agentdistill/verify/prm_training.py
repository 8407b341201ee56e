"""Training a PRM: a base model with a head of two labels learns, at the end of steps, whether the solution is right.

loss = - mean over labelled steps of log p(label | question, steps so far)
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from agentdistill.errors import DataError, ModelError
from agentdistill.store import digest, file_digest, write_json
from agentdistill.training.dataset import reading_order
from agentdistill.training.settings import TrainSettings
from agentdistill.verify.judges.prm import step_ids, steps_of
from agentdistill.verify.types import Pool

Progress = Callable[[int, int, float], None]


@dataclass(frozen=True, slots=True)
class Marked:
    """A solution by its steps; ``labels`` are whether it is right so far, None where that is not learned."""

    question: str
    steps: tuple[str, ...]
    labels: tuple[bool | None, ...]


def marked(pools: Sequence[Pool], separator: str = "\n\n", which: Literal["last", "all"] = "last") -> list[Marked]:
    """Graded candidates as training examples: the last step, or all, labelled with the outcome."""
    out = []
    for p in pools:
        for c in p.candidates:
            steps = steps_of(c.solution, separator)
            if c.correct is None or not steps:
                continue
            before: list[bool | None] = [c.correct if which == "all" else None] * (len(steps) - 1)
            out.append(Marked(p.problem.question, steps, (*before, c.correct)))
    return out


def train_prm(
    examples: Sequence[Marked], base: str, out: Path, settings: TrainSettings, on_progress: Progress | None = None
) -> dict[str, Any]:
    """Train a head and all weights of ``base`` into the folder ``out``; returns what ``training.json`` there says.

    The same call again returns at once, and goes on where it was stopped (a state is kept every ``save_every_s``); the
    same data, base and settings give the same weights on the same machine.
    Sequences above ``max_length`` are left out and counted. Raises DataError where nothing is left to learn from and
    ModelError for a base that cannot have such a head.
    """
    from agentdistill.models.weights import load_tokenizer

    tokenizer = load_tokenizer(base)
    rows, n_long = _rows(examples, tokenizer, settings.max_length)
    if not rows:
        raise DataError(f"nothing to train a reward model on: {len(examples)} solutions, {n_long} of them too long")
    folder = Path(base)
    learned = {k: v for k, v in asdict(settings).items() if k != "save_every_s"}
    key = digest({"base": file_digest(folder) if folder.is_dir() else base, "settings": learned, "rows": rows})
    done = _done(out, key)
    if done is not None:
        return done
    resume = _Resume(out / "resume.pt", key, settings.save_every_s)
    model, losses = _fit(rows, base, settings, resume, on_progress)
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    record = {"key": key, "base": base, "settings": asdict(settings), "n_examples": len(rows), "n_too_long": n_long}
    record |= {"n_steps": len(losses), "losses": losses, "final_loss": losses[-1]}
    write_json(out / "training.json", record)
    resume.forget()
    return record


def _done(out: Path, key: str) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads((out / "training.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if record.get("key") == key else None


Row = tuple[list[int], list[tuple[int, int]]]
"""Token ids, and ``(place, label)`` of the steps that are learned."""


def _rows(examples: Sequence[Marked], tokenizer: Any, max_length: int) -> tuple[list[Row], int]:
    rows: list[Row] = []
    n_long = 0
    for e in examples:
        ids, ends = step_ids(tokenizer, e.question, e.steps, max_length + 1)
        if len(ids) > max_length:
            n_long += 1
            continue
        rows.append((ids, [(at, int(label)) for at, label in zip(ends, e.labels, strict=True) if label is not None]))
    return rows, n_long


def _fit(
    rows: Sequence[Row], base: str, settings: TrainSettings, resume: _Resume, on_progress: Progress | None
) -> tuple[Any, list[float]]:
    import torch
    from transformers import get_scheduler

    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    model = _with_head(base)
    device = "cuda" if settings.device != "cpu" and torch.cuda.is_available() else "cpu"
    half = replace(settings, method="full").half(device == "cuda")  # all weights learn, whatever the settings name
    model.to(device).train()
    order = reading_order([len(ids) for ids, _ in rows], settings.epochs, settings.batch_size, settings.seed)
    batches = [order[i : i + settings.batch_size] for i in range(0, len(order), settings.batch_size)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    name = {"constant": "constant_with_warmup"}.get(settings.schedule, settings.schedule)
    schedule = get_scheduler(name, optimizer, round(settings.warmup * len(batches)), len(batches))
    losses = resume.load(model, optimizer, schedule)
    for n, batch in enumerate(batches[len(losses) :], len(losses) + 1):
        with torch.autocast(device, torch.bfloat16, enabled=half):
            loss = _loss(model, [rows[i] for i in batch], device)
        if not torch.isfinite(loss):
            raise ModelError(f"the reward model's loss is {loss.item()} at update {n}: a lower learning_rate may help")
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.max_grad_norm)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
        if on_progress is not None:
            on_progress(n, len(batches), losses[-1])
        if n < len(batches):
            resume.save_if_due(losses, model, optimizer, schedule)
    return model.eval(), losses


class _Resume:
    """Where an interrupted training goes on: everything that the next update hangs on, in one file."""

    def __init__(self, path: Path, key: str, every_s: float) -> None:
        self._path, self._key, self._every_s = path, key, every_s
        self._saved = time.monotonic()

    def load(self, *parts: Any) -> list[float]:
        """Put the parts where they were and return the losses so far; none where nothing fitting was kept."""
        import torch

        try:
            kept = torch.load(self._path, weights_only=True, map_location="cpu")
        except Exception:  # not there, or cut short: begin again
            return []
        if kept.get("key") != self._key:
            return []
        for part, state in zip(parts, kept["parts"], strict=True):
            part.load_state_dict(state)
        torch.set_rng_state(kept["random"])
        return [float(loss) for loss in kept["losses"]]

    def save_if_due(self, losses: Sequence[float], *parts: Any) -> None:
        """Keep the state, unless that was done a moment ago."""
        import torch

        if time.monotonic() - self._saved < self._every_s:
            return
        state = {"key": self._key, "losses": list(losses), "parts": [p.state_dict() for p in parts]}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        half = self._path.with_suffix(".half")
        torch.save({**state, "random": torch.get_rng_state()}, half)
        half.replace(self._path)
        self._saved = time.monotonic()

    def forget(self) -> None:
        """The training is done."""
        self._path.unlink(missing_ok=True)


def _loss(model: Any, rows: Sequence[Row], device: str) -> Any:
    """Mean cross-entropy at the labelled places. Padding stands on the right, where no token of theirs looks."""
    import torch

    width = max(len(ids) for ids, _ in rows)
    tokens = torch.zeros((len(rows), width), dtype=torch.long)
    mask = torch.zeros_like(tokens)
    labels = torch.full_like(tokens, -100)
    for i, (ids, marks) in enumerate(rows):
        tokens[i, : len(ids)] = torch.tensor(ids)
        mask[i, : len(ids)] = 1
        for at, label in marks:
            labels[i, at] = label
    logits = model(input_ids=tokens.to(device), attention_mask=mask.to(device)).logits
    return torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), labels.to(device).flatten())


def _with_head(base: str) -> Any:
    """In float32, whatever the file holds: an optimizer's steps are lost in half precision, or come out as NaN."""
    import torch
    from transformers import AutoModelForTokenClassification

    from agentdistill.models.weights import quiet

    try:
        with quiet():
            return AutoModelForTokenClassification.from_pretrained(base, num_labels=2, dtype=torch.float32)
    except Exception as e:
        why = str(e).splitlines()[0][:160] if str(e) else type(e).__name__
        raise ModelError(f"{base}: cannot be made a reward model ({why})") from e
