"""NumPy archives: an asset without its mesh, bit for bit, in arrays that can be read without this package.

| array | shape | |
|---|---|---|
| ``names``, ``parents``, ``offsets``, ``rest`` | (J,), (J,), (J, 3), (J, 4) | quaternions are w, x, y, z |
| ``clip_names``, ``actions``, ``captions`` | (C,) each | text; a clip's captions are a JSON list |
| ``fps``, ``n_frames`` | (C,), (C,) | |
| ``rotations``, ``translations`` | (F, J, 4), (F, J, 3) | local, of all clips in turn: F is the sum of ``n_frames`` |
| ``positions`` | (F, J, 3) | in the world; for reading only |
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from anyrig.errors import AnyrigError, FileError
from anyrig.io.asset import Asset
from anyrig.io.files import MAX_BYTES, read_bytes, write_bytes
from anyrig.skeleton import Clip, Skeleton

_NEEDED = (
    "names", "parents", "offsets", "rest", "clip_names", "actions", "captions", "fps", "n_frames", "rotations",
    "translations",
)  # fmt: skip


def write_npz(asset: Asset, path: str | os.PathLike[str]) -> None:
    """Writes the skeleton and its clips. Raises FileError where the file cannot be written or a position is not
    finite."""
    clips, j = asset.clips, asset.skeleton.n_joints
    positions = np.concatenate([np.zeros((0, j, 3)), *(c.world()[0] for c in clips)])
    if not np.isfinite(positions).all():
        raise FileError(f"{path} cannot be written: a position is not finite")
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        names=np.array(asset.skeleton.names),
        parents=np.array(asset.skeleton.parents),
        offsets=asset.skeleton.offsets,
        rest=asset.skeleton.rest,
        clip_names=np.array([c.name for c in clips], dtype=np.str_),
        actions=np.array([c.action for c in clips], dtype=np.str_),
        captions=np.array([json.dumps(c.captions, ensure_ascii=False) for c in clips], dtype=np.str_),
        fps=np.array([c.fps for c in clips], dtype=np.float64),
        n_frames=np.array([c.n_frames for c in clips], dtype=np.int64),
        rotations=np.concatenate([np.zeros((0, j, 4)), *(c.rotations for c in clips)]),
        translations=np.concatenate([np.zeros((0, j, 3)), *(c.translations for c in clips)]),
        positions=positions,
    )
    write_bytes(path, buffer.getvalue())


def read_npz(path: str | os.PathLike[str]) -> Asset:
    """The asset in a file of :func:`write_npz`. Raises FileError for any other file; nothing is unpickled."""
    data = read_bytes(path)
    try:
        arrays = _arrays(data, Path(path))
        skeleton = Skeleton(
            tuple(str(n) for n in arrays["names"]), tuple(arrays["parents"]), arrays["offsets"], arrays["rest"]
        )
        return Asset(skeleton, _clips(arrays, skeleton))
    except FileError:
        raise
    except AnyrigError as error:
        raise FileError(f"{path} is malformed: {error}") from error
    except (zipfile.BadZipFile, EOFError, OSError, KeyError, TypeError, ValueError, IndexError) as error:
        raise FileError(f"{path} is not an archive of this package: {str(error).splitlines()[0][:120]}") from error


def _arrays(data: bytes, path: Path) -> dict[str, Any]:
    """The arrays of the archive, after a check of their unpacked size."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > 2 * MAX_BYTES:
        raise FileError(f"{path} unpacks to {size >> 20:,} MiB, more than a rig may take")
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        missing = [name for name in _NEEDED if name not in archive]
        if missing:
            raise FileError(f"{path} is not an archive of this package: it has no array {missing[0]!r}")
        return {name: archive[name] for name in _NEEDED}


def _clips(arrays: dict[str, Any], skeleton: Skeleton) -> tuple[Clip, ...]:
    ends = np.cumsum(arrays["n_frames"])
    if len(ends) and ends[-1] != len(arrays["rotations"]):
        raise ValueError(f"n_frames sums to {ends[-1]}, but there are {len(arrays['rotations'])} frames")
    clips = []
    for c, (stop, n) in enumerate(zip(ends.tolist(), arrays["n_frames"].tolist(), strict=True)):
        captions = json.loads(str(arrays["captions"][c]))
        clip = Clip(
            skeleton,
            arrays["rotations"][stop - n : stop],
            arrays["translations"][stop - n : stop],
            float(arrays["fps"][c]),
            name=str(arrays["clip_names"][c]),
            captions=tuple(str(text) for text in captions),
            action=str(arrays["actions"][c]),
        )
        clips.append(clip)
    return tuple(clips)
