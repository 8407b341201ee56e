"""How soon does a small model learn to copy a name out of its context? One document a row against packed rows, and with
or without repeating names and numbers first.

``python experiments/copying.py --rows single`` (or ``packed``, or ``--repetitions 1.2``) trains the 0.3M model on
one-passage questions about fresh worlds and prints, a dozen times, the share of name tokens of unseen documents that it
predicts; after the bar, of those alone that stand once in the context and follow another name's token, which only
copying from behind the last token can give. Needs a tokenizer: ``python -m tinyworld.build`` makes it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from agentdistill.retrieval import build_retriever
from tinyworld import corpus, pretrain
from tinyworld import documents as doc
from tinyworld.facts import chain_question
from tinyworld.ladder import SIZES
from tinyworld.names import STOCK
from tinyworld.world import World

SINGLE, PACKED = 112, 448


def questions(rng: Random, tokenizer: Any, n: int) -> Iterator[list[int]]:
    """Encoded documents: one passage, a question about it, and its answer; all in fresh worlds."""
    made = 0
    while made < n:
        world = World(rng.getrandbits(40), 150)
        search = build_retriever("bm25", world.encyclopaedia()).search
        for _ in range(60):
            q = chain_question(rng, world, "hop1", flat=1.0)
            needed = {h.subject for h in q.hops}
            passages = [p for name in sorted(needed) for p in search(name, 4) if p.title == name]
            ids = corpus.encode(doc.reading(q, passages), tokenizer)
            if len(ids) <= SINGLE:
                made += 1
                yield ids


def rows_of(documents: list[list[int]], length: int, pad: int) -> Any:
    """Rows of ``length`` tokens, as many whole documents in each as fit."""
    rows: list[list[int]] = [[]]
    for ids in documents:
        if len(rows[-1]) + len(ids) > length:
            rows.append([])
        rows[-1] = rows[-1] + ids
    return np.array([r + [pad] * (length - len(r)) for r in rows if r], dtype=np.uint16)


def copied(model: Any, rows: Any, names: Any) -> tuple[float, float]:
    """The share of learned name tokens that the model predicts: of all, and of second tokens that stand there once."""
    import torch

    data = torch.from_numpy(rows.astype(np.int64))
    ids, learned = data & (corpus.LEARN - 1), data >= corpus.LEARN
    with torch.no_grad():
        guess = model(input_ids=ids[:, :-1], use_cache=False).logits.argmax(-1)
    before, target = ids[:, :-1], ids[:, 1:]
    n_before = (target[:, :, None] == before[:, None, :]).tril().sum(-1)
    asked = learned[:, 1:] & names[target]
    second = asked & names[before] & (n_before == 1)
    right = (guess == target).float()
    return float(right[asked].mean()), float(right[second].mean())


def main() -> int:
    """Command line."""
    import torch
    from transformers import AttentionInterface, AutoTokenizer, Qwen3ForCausalLM

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", choices=("single", "packed"), required=True)
    parser.add_argument("--tokenizer", type=Path, default=Path("build/tinyworld/tokenizer"))
    parser.add_argument("--tokens", type=float, default=2.0, help="millions to read")
    parser.add_argument("--repetitions", type=float, default=0.0, help="millions of tokens of repetitions read first")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    AttentionInterface.register("tinyworld_causal", pretrain.causal_attention)
    tokenizer = AutoTokenizer.from_pretrained(args.tokenizer)
    names = torch.zeros(len(tokenizer), dtype=torch.bool)
    for word in STOCK:
        names[[tokenizer.encode(t, add_special_tokens=False)[0] for t in (word, " " + word)]] = True
    documents = list(questions(Random(args.seed), tokenizer, 20_000))
    unseen = rows_of(documents[:200], SINGLE, tokenizer.pad_token_id)
    length = SINGLE if args.rows == "single" else PACKED
    rows = {length: rows_of(documents[200:], length, tokenizer.pad_token_id)}
    spec = SIZES["0.3M"]
    model = Qwen3ForCausalLM(spec.config(len(tokenizer), tokenizer.pad_token_id, tokenizer.eos_token_id))
    model.set_attn_implementation("tinyworld_causal")
    total, read, shown, started = int(args.tokens * 1e6), 0, 0, time.perf_counter()
    optimizers = pretrain.optimizers_of(model, spec.learning_rate)
    again = [corpus.encode(d, tokenizer) for d in corpus.repetitions(args.seed, 17_000)]
    repetitions = corpus.bucket(again, Random(args.seed), tokenizer.pad_token_id)
    reading = chain(
        pretrain.batches(repetitions, int(args.repetitions * 1e6), args.seed), pretrain.batches(rows, total, args.seed)
    )
    total += int(args.repetitions * 1e6)
    for batch in reading:
        pretrain.update(model, optimizers, batch, pretrain.rate(read / total))
        read += batch.size
        if read >= shown:
            shown += total // 12
            rate = read / (time.perf_counter() - started)
            share, second = copied(model, unseen, names)
            told = f"{share:.3f} | {second:.3f} copied, {rate:.0f} tok/s"
            print(f"{args.rows} {read / 1e6:.2f}M tokens: {told}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
