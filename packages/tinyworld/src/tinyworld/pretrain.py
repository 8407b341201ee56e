"""Pretraining of one model of the ladder: a plain loop over packed rows, one thread, bf16 autocast."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np

from agentdistill.models.weights import bfloat16_is_faster
from tinyworld.corpus import LEARN, Rows
from tinyworld.ladder import SIZES, Size

if TYPE_CHECKING:
    import torch

BATCH_TOKENS = 2048  # doubled for wide models, where an update of Muon costs as much as a forward pass
MUON_RATE = 0.02


def causal_attention(
    module: Any, query: Any, key: Any, value: Any, attention_mask: Any, scaling: float, **_: Any
) -> Any:
    """Causal attention written out: its backward pass beats the fused kernel's on short rows and one thread."""
    import torch

    n = query.shape[-2]
    mask = torch.full((n, n), float("-inf"), dtype=query.dtype).triu(1)
    weights = torch.softmax((query @ key.transpose(-1, -2)) * scaling + mask, dim=-1)
    return (weights @ value).transpose(1, 2), None


def load_rows(paths: list[Path]) -> Rows:
    """Rows of several archives, put together by length."""
    parts: dict[int, list[Any]] = {}
    for path in paths:
        with np.load(path, allow_pickle=False) as archive:
            for name in archive.files:
                parts.setdefault(int(name), []).append(archive[name])
    return {n: np.concatenate(arrays) for n, arrays in parts.items()}


def batches(rows: Rows, n_tokens: int, seed: int, batch_tokens: int = BATCH_TOKENS) -> Iterator[Any]:
    """Random batches of about ``batch_tokens`` tokens until ``n_tokens`` are read; each length takes turns."""
    rng = Random(seed)
    order: dict[int, list[int]] = {n: [] for n in rows}
    lengths, weights = list(rows), [a.size for a in rows.values()]
    read = 0
    while read < n_tokens:
        (n,) = rng.choices(lengths, weights)
        picked: list[int] = []
        while len(picked) < max(1, batch_tokens // n):
            if not order[n]:
                order[n] = list(range(len(rows[n])))
                rng.shuffle(order[n])
            picked.append(order[n].pop())
        read += n * len(picked)
        yield rows[n][picked]


@dataclass(frozen=True, slots=True)
class Share:
    """This process's place among those that train one model together, one thread each."""

    place: int
    n: int

    def part(self, batch: Any) -> Any:
        """Its rows of a batch; a batch of too few rows is everybody's."""
        return batch[self.place :: self.n] if len(batch) >= self.n else batch

    def average(self, model: Any) -> None:
        """Replace every gradient by its mean over the processes."""
        import torch
        import torch.distributed as dist

        grads = [p.grad for p in model.parameters() if p.grad is not None]
        flat = torch.cat([g.reshape(-1) for g in grads])
        dist.all_reduce(flat)
        flat /= self.n
        for g, part in zip(grads, torch.split(flat, [g.numel() for g in grads]), strict=True):
            g.copy_(part.view_as(g))


def rate(done: float) -> float:
    """Learning-rate factor at a share of training: short warm-up, flat, then linear to zero over the last 40 %."""
    return min(done / 0.02, 1.0) * min(1.0, (1.0 - done) / 0.4 + 0.01)


def loss_of(model: Any, batch: Any) -> tuple[torch.Tensor, int]:
    """Mean cross-entropy over a batch's learned tokens, and their number."""
    import torch
    from torch.nn.functional import cross_entropy

    data = torch.from_numpy(batch.astype(np.int64))
    ids, learned = data & (LEARN - 1), data >= LEARN
    mask = learned[:, 1:]
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16_is_faster()):
        hidden = model.model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state
        logits = model.lm_head(hidden[mask])
    return cross_entropy(logits.float(), ids[:, 1:][mask]), int(mask.sum())


def optimizers_of(
    model: Any, learning_rate: float, share: Share | None = None
) -> list[tuple[torch.optim.Optimizer, float]]:
    """Muon for the matrices of the layers, AdamW for embeddings and norms; each with its peak learning rate."""
    import torch

    from tinyworld._muon import Muon

    inner = [p for n, p in model.named_parameters() if p.dim() > 1 and "embed" not in n]
    outer = [p for n, p in model.named_parameters() if p.dim() <= 1 or "embed" in n]
    muon = Muon(inner, lr=MUON_RATE, place=share.place, n=share.n) if share else Muon(inner, lr=MUON_RATE)
    adam = torch.optim.AdamW(outer, lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
    return [(muon, MUON_RATE), (adam, learning_rate)]


def update(model: Any, optimizers: Any, batch: Any, factor: float, share: Share | None = None) -> tuple[float, int]:
    """One update at ``factor`` of the peak learning rates. Returns the loss and the number of learned tokens.

    With a ``share`` this process works on its part of the batch, and gradients are averaged over all processes.
    """
    import torch

    loss, n = loss_of(model, batch if share is None else share.part(batch))
    loss.backward()  # type: ignore[no-untyped-call]
    if share is not None:
        share.average(model)
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer, learning_rate in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * factor
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)
    return loss.item(), n


def save(model: Any, tokenizer: Any, out: Path) -> None:
    """Write a model in half precision, with its tokenizer; the model itself stays as it is."""
    import torch

    halved = {k: v.half() for k, v in model.state_dict().items() if k != "lm_head.weight"}
    model.save_pretrained(out, state_dict=halved)
    config = json.loads((out / "config.json").read_text())
    config["dtype"] = str(torch.float16).removeprefix("torch.")
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    tokenizer.save_pretrained(out)


def _model_of(spec: Size, tokenizer: Any, start: Path | None) -> Any:
    """A new model, or in single precision the one that lies in ``start``."""
    import torch
    from transformers import AttentionInterface, Qwen3ForCausalLM

    AttentionInterface.register("tinyworld_causal", causal_attention)
    if start is None:
        model = Qwen3ForCausalLM(spec.config(len(tokenizer), tokenizer.pad_token_id, tokenizer.eos_token_id))
    else:
        model = Qwen3ForCausalLM.from_pretrained(start, dtype=torch.float32).train()
    model.set_attn_implementation("tinyworld_causal")
    return model


def pretrain(
    size: str,
    stages: Sequence[Rows],
    tokenizer: Any,
    out: Path,
    seed: int = 0,
    share: Share | None = None,
    start: Path | None = None,
) -> None:
    """Train one model of the ladder and save it in half precision beside its log.

    ``stages`` are read one after the other, as far as the model's :class:`Size` says. Of several processes that train
    one model together, the first one writes. ``start``: the folder of a model to go on from, at half the rates.
    """
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    spec = SIZES[size]
    model, peak = _model_of(spec, tokenizer, start), 0.5 if start else 1.0
    optimizers = optimizers_of(model, spec.learning_rate, share)
    n_params = sum(p.numel() for p in model.parameters())
    log: list[dict[str, float]] = []
    started, read, learned, total = time.perf_counter(), 0, 0, 0.0
    batch_tokens = BATCH_TOKENS * (2 if spec.width > 150 else 1)
    shares = [*spec.first_tokens, spec.n_tokens - sum(spec.first_tokens)]
    widths = [BATCH_TOKENS] * len(spec.first_tokens) + [batch_tokens]
    reading = chain(*(batches(r, n, seed, w) for r, n, w in zip(stages, shares, widths, strict=True)))
    for step, batch in enumerate(reading):
        loss, n = update(model, optimizers, batch, peak * rate(min(1.0, read / spec.n_tokens)), share)
        read, learned, total = read + batch.size, learned + n, total + loss
        if step % 200 == 199:
            log.append({"step": step + 1, "tokens": read, "loss": round(total / 200, 4)})
            total = 0.0
            print(f"{size} {log[-1]} {read / (time.perf_counter() - started):.0f} tok/s", flush=True)
            if share is None or share.place == 0:
                save(model, tokenizer, out)
        if math.isnan(loss):
            raise RuntimeError(f"{size}: loss is not a number at step {step}")
    if share is not None and share.place:
        return
    save(model, tokenizer, out)
    facts = {
        "size": size,
        "n_processes": share.n if share else 1,
        "n_parameters": n_params,
        "seed": seed,
        **({"continues": spec.continues} if start else {}),
        "n_tokens": read,
        "n_learned_tokens": learned,
        "log": log,
    }
    (out / "pretraining.json").write_text(json.dumps(facts, indent=1) + "\n")
