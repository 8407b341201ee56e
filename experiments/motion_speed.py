"""Seconds and peak memory of generating motion: `python experiments/motion_speed.py`, one thread, a process a row.

The rig of 40 joints is a quadruped of the test split; that of 391 is the same with every bone cut into ten.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time

import numpy as np

from anyrig import creatures
from anyrig.corpus import Selection
from anyrig.generation import Options, default_weights, generate_clips
from anyrig.model import load_model
from anyrig.skeleton import Skeleton
from anyrig.starts import Procedural

ROWS = [
    (start, seconds, pieces) for start in ("start", "noise") for seconds, pieces in ((4, 1), (4, 10), (6, 1), (60, 1))
]


def cut(skeleton: Skeleton, pieces: int) -> Skeleton:
    """The rig with every bone cut into so many."""
    names, parents, offsets, rest, end = [], [], [], [], {}
    for j, parent in enumerate(skeleton.parents):
        n, above = (1, -1) if parent < 0 else (pieces, end[parent])
        for k in range(n):
            names.append(skeleton.names[j] if k == n - 1 else f"{skeleton.names[j]} {k}")
            parents.append(above)
            offsets.append(skeleton.offsets[j] / n)
            rest.append(skeleton.rest[j] if k == n - 1 else [1.0, 0.0, 0.0, 0.0])
            above = len(names) - 1
        end[j] = above
    return Skeleton(tuple(names), tuple(parents), np.array(offsets), np.array(rest))


def measure(how: str, seconds: float, pieces: int) -> None:
    """Print a row."""
    import torch

    torch.set_num_threads(1)
    rig = cut(creatures.skeleton(Selection("test").body("quadruped", 1)), pieces)
    model, start = load_model(default_weights())[0].eval(), Procedural() if how == "start" else None
    began = time.perf_counter()
    generate_clips(model, rig, [("it walks", seconds)], Options(seed=0), start=start)
    took, peak = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"| {how} | {rig.n_joints} | {seconds:g} | {took:.1f} | {peak:.0f} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:]:
        measure(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
    else:
        print(
            "| from | joints | seconds of motion | seconds taken | peak memory, MB |\n|---|---:|---:|---:|---:|",
            flush=True,
        )
        for row in ROWS:
            subprocess.run([sys.executable, __file__, *map(str, row)], check=True)
