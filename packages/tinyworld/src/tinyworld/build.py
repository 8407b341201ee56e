"""Rebuilds everything that ships of TinyWorld: tokenizer, training text, and the ladder of models.

``python -m tinyworld.build --work build/tinyworld`` does all of it; ``--size`` only one model. Every step
leaves files that the next one reads, and is skipped where they are there already. One model takes one thread.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from agentdistill.retrieval import build_retriever
from tinyworld import corpus
from tinyworld.documents import Document
from tinyworld.ladder import SIZES, WEIGHTS
from tinyworld.pretrain import Share, load_rows, pretrain
from tinyworld.tokenizer import train_tokenizer
from tinyworld.world import World

_SAMPLE = corpus.Mix(cot_facts=1500, cot_math=1500, reading=700, programs=700, arithmetic=300, agent=1200)


def _search(passages: Any) -> Any:
    return build_retriever("bm25", passages).search


def _text(document: Document) -> str:
    return "\n".join(text for _, text in document.turns)


def build_tokenizer(out: Path) -> Any:
    """The tokenizer, from a sample of every sort of document and of articles of many small worlds."""
    from transformers import AutoTokenizer

    if not (out / "tokenizer.json").exists():
        texts = [_text(d) for d in corpus.documents(99, _SAMPLE, _search)]
        for i in range(30):
            world, rng = World(10**6 + i, 200), Random(i)
            texts += [world.article(e, rng).text for e in world.entities]
        train_tokenizer(texts).save_pretrained(out)
    return AutoTokenizer.from_pretrained(out)


def build_rows(name: str, tokenizer: Any, out: Path) -> Path:
    """Training text as rows; all models read the first four sorts, the last three the teacher and the checkers."""
    path = out / f"rows-{name}.npz"
    if not path.exists():
        made = {
            "repetitions": lambda: corpus.repetitions(4, corpus.N_REPETITIONS),
            "first": lambda: corpus.first_documents(3, corpus.N_FIRST, _search),
            "sums": lambda: corpus.sums(5, corpus.N_SUMS),
            "student": lambda: corpus.documents(1, corpus.STUDENT_MIX, _search),
            "teacher": lambda: corpus.documents(2, corpus.TEACHER_EXTRA, _search),
            "checker": lambda: corpus.documents(6, corpus.CHECKER_MIX, _search),
            "fact-checker": lambda: corpus.documents(7, corpus.FACT_CHECKER_MIX, _search),
        }[name]()
        encoded = (corpus.encode(d, tokenizer) for d in made)
        corpus.save(corpus.bucket(encoded, Random(3), tokenizer.pad_token_id), path)
    return path


def build_model(size: str, tokenizer: Any, work: Path, out: Path, share: Share | None = None) -> None:
    """Pretrain one model. The teacher reads its transcripts beside what it shares with the students.

    The checker is the teacher, which has to be there already, after it has read checks of solutions. The fact checker
    is the checker after it has read checks of claims.
    """
    spec = SIZES[size]
    if spec.continues:
        rows = load_rows([build_rows(size, tokenizer, work)])
        pretrain(size, [rows], tokenizer, out / size, share=share, start=out / spec.continues)
        return
    names = ["student", "teacher"] if spec.is_teacher else ["student"]
    rows = load_rows([build_rows(name, tokenizer, work) for name in names])
    before = [load_rows([build_rows(name, tokenizer, work)]) for name in ("repetitions", "first", "sums")]
    pretrain(size, [*before, rows], tokenizer, out / size, share=share)


def _build_together(n: int, size: str, work: Path, out: Path) -> None:
    """Train one model in ``n`` processes that average their gradients."""
    tokenizer = build_tokenizer(work / "tokenizer")
    if n == 1:
        build_model(size, tokenizer, work, out)
        return
    from torch.multiprocessing.spawn import spawn

    with TemporaryDirectory() as meeting:
        spawn(_one_of, (n, f"file://{meeting}/place", size, work, out), nprocs=n)  # type: ignore[no-untyped-call]


def _one_of(place: int, n: int, meeting: str, size: str, work: Path, out: Path) -> None:
    import torch.distributed as dist

    dist.init_process_group("gloo", init_method=meeting, rank=place, world_size=n)
    build_model(size, build_tokenizer(work / "tokenizer"), work, out, Share(place, n))
    dist.destroy_process_group()


def main() -> int:
    """Command line of the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/tinyworld"), help="where tokenizer and rows are kept")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="where the weights go")
    parser.add_argument("--size", choices=sorted(SIZES), help="only this model")
    parser.add_argument("--processes", type=int, default=1, help="how many train that model together (default 1)")
    args = parser.parse_args()
    tokenizer = build_tokenizer(args.work / "tokenizer")
    if args.size:
        _build_together(args.processes, args.size, args.work, args.out)
        return 0
    for name in ("repetitions", "first", "sums", "student", "teacher", "checker", "fact-checker"):
        build_rows(name, tokenizer, args.work)
    # A fresh process for each: the allocator of a long run does not give memory back.
    command = [sys.executable, "-m", "tinyworld.build", "--work", str(args.work), "--out", str(args.out)]
    for size in SIZES:
        subprocess.run([*command, "--size", size], check=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
