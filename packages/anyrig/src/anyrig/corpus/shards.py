"""Examples on disk: NumPy archives of a few hundred, made once, in parallel, by number; a cut-off build goes on."""

from __future__ import annotations

import io
import json
import multiprocessing
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from anyrig.corpus.examples import FPS, Example, make_example
from anyrig.corpus.splits import Selection
from anyrig.errors import FileError
from anyrig.features import Features, RigCode
from anyrig.io.files import write_bytes

SHARD = 200
"""Examples in a shard."""
_CODE = {"parents": np.int16, "depths": np.int16, "rest": np.float32, "bones": np.float32, "paths": np.int8,
         "names": np.int16}  # fmt: skip


def build(
    folder: Path,
    selection: Selection,
    n: int,
    *,
    varied: bool = True,
    workers: int = 1,
    told: Callable[[int], None] = lambda done: None,
) -> list[Path]:
    """The shards of examples 0 to ``n`` in ``folder``; those that are there already are kept. ``told``: how many are.

    Raises FileError where the folder's shards are of another selection.
    """
    folder.mkdir(parents=True, exist_ok=True)
    about = {**asdict(selection), "kinds": list(selection.kinds), "varied": varied}
    note = folder / "selection.json"
    if note.exists() and json.loads(note.read_text()) != about:
        raise FileError(f"{folder} holds examples of another selection; take another folder, or remove it")
    note.write_text(json.dumps(about) + "\n")
    starts = range(0, n, SHARD)
    paths = [folder / f"{start // SHARD:04d}-{min(SHARD, n - start)}.npz" for start in starts]
    todo = [(p, selection, s, min(SHARD, n - s), varied) for p, s in zip(paths, starts, strict=True) if not p.exists()]
    done = n - sum(t[3] for t in todo)
    told(done)
    if workers <= 1:
        for task in todo:
            done += _make(task)
            told(done)
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            for made in pool.map(_make, todo):
                done += made
                told(done)
    return paths


def _make(task: tuple[Path, Selection, int, int, bool]) -> int:
    path, selection, start, n, varied = task
    save_examples(path, [make_example(selection, start + k, varied=varied)[0] for k in range(n)])
    return n


def save_examples(path: Path, examples: Sequence[Example]) -> None:
    """Writes examples: features as 16-bit numbers, exact to a thousandth of a size, without stretch."""
    arrays: dict[str, Any] = {
        "joints": np.concatenate([e.features.joints.reshape(-1, e.features.joints.shape[-1]) for e in examples]).astype(
            np.float16
        ),
        "path": np.concatenate([e.features.path for e in examples]).astype(np.float32),
        "n_frames": np.array([e.features.n_frames for e in examples]),
        "n_joints": np.array([e.code.n_joints for e in examples]),
        "size": np.array([e.code.size for e in examples]),
        "floor": np.array([e.code.floor for e in examples]),
        "window": np.array([e.window for e in examples]),
        "distances": np.concatenate([e.code.distances.ravel() for e in examples]).astype(np.int8),
        "texts": np.array(json.dumps([[e.kind, e.action, *e.captions] for e in examples])),
    }
    arrays |= {k: np.concatenate([getattr(e.code, k) for e in examples]).astype(kind) for k, kind in _CODE.items()}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_bytes(path, buffer.getvalue())


def load_examples(paths: Sequence[Path]) -> list[Example]:
    """The examples of shards. Raises FileError for a file that is none."""
    return [example for path in paths for example in _load(path)]


def _load(path: Path) -> list[Example]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        texts = json.loads(str(arrays["texts"]))
        return [_example(arrays, texts, k) for k in _places(arrays)]
    except (OSError, KeyError, ValueError, IndexError, zipfile.BadZipFile) as error:
        raise FileError(f"{path} is no shard of examples: {str(error).splitlines()[0]}") from None


def _places(arrays: dict[str, Any]) -> list[tuple[int, int, int, int, int]]:
    """For each example its number, and where its poses, frames, joints and pairs of joints start."""
    t, j = arrays["n_frames"], arrays["n_joints"]
    ends = [np.concatenate([[0], np.cumsum(n)]) for n in (t * j, t, j, j * j)]
    return [(k, *(int(e[k]) for e in ends)) for k in range(len(t))]  # type: ignore[misc]


def _example(arrays: dict[str, Any], texts: list[list[str]], place: tuple[int, int, int, int, int]) -> Example:
    k, poses, frames, joints, pairs = place
    t, j = int(arrays["n_frames"][k]), int(arrays["n_joints"][k])
    code = {name: arrays[name][joints : joints + j] for name in _CODE}
    features = Features(
        joints=arrays["joints"][poses : poses + t * j].reshape(t, j, -1),
        path=arrays["path"][frames : frames + t],
        stretch=np.zeros((0, j, 3)),
        origin=np.zeros(3),
        fps=FPS,
    )
    distances = arrays["distances"][pairs : pairs + j * j].reshape(j, j)
    rig = RigCode(size=float(arrays["size"][k]), floor=float(arrays["floor"][k]), distances=distances, **code)
    kind, action, *captions = texts[k]
    return Example(features, rig, tuple(captions), kind, action, int(arrays["window"][k]))
