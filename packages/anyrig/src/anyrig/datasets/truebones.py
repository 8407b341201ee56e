"""Truebones Zoo: motion from the owner's disk, joined with published captions.

The motion may not be redistributed, so nothing is included or downloaded. Its folder has one folder per creature
(``Dragon/__Walk.bvh``), as sold, in BVH or GLB; FBX has to be converted first. The captions published with "How to Move
Your Dragon" are one JSON file per clip with several wordings at each level; any JSON, JSONL or CSV file with clip names
and short, mid and long texts can be read.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from anyrig.conform import settled
from anyrig.errors import AnyrigError, FileError, FileWarning
from anyrig.io import Asset
from anyrig.io import load as load_asset
from anyrig.io.files import read_bytes
from anyrig.skeleton import Clip

_MOTION = (".bvh", ".glb", ".gltf")
_T_POSE = re.compile(r"t[-_ ]?pos(e|ition)?$", re.IGNORECASE)
_ACTIONS = {
    "attack": "attack bite claw hit kick butt strike swipe sting stomp punch pounce spit fire lunge chomp ram gore",
    "death": "death die dead dying",
    "fly": "fly flying flap hover fligt flight",
    "glide": "glide gliding soar",
    "idle": "idle stand standing breathe rest wait",
    "jump": "jump leap hop",
    "land": "land landing",
    "run": "run running gallop sprint charge",
    "swim": "swim swimming",
    "trot": "trot canter",
    "turn": "turn turning",
    "walk": "walk walking stalk",
}
"""Action -> words in clip names that denote it, in full or as a prefix."""
LEVELS = ("short", "mid", "long")
_ALSO = {"long": ("long_rich",)}  # further levels of the published files
_NAME = ("file_id", "clip", "clip_name", "file", "file_name", "filename", "motion", "name", "path", "id")
_OBJECT = ("object_name", "object", "species", "creature", "character")
_ONE = ("caption", "captions", "text", "description", "annotation")
_SUFFIXES = (".json", ".jsonl", ".csv")


def load(
    path: str | os.PathLike[str],
    captions: str | os.PathLike[str] | None = None,
    *,
    unit: str = "cm",
    up: str = "y",
) -> dict[str, Asset]:
    """Creature -> its asset, from the owner's folder ``path`` of motion files.

    ``captions`` is a file or folder of captions; a clip gets the original short, mid and long one (all wordings:
    :class:`CaptionIndex`). Clips have the names of their files, which also give ``action``. ``unit`` and ``up`` are the
    files'. A file ending in ``Tpose`` gives its creature's rest pose. Files of one creature with other joints make
    another asset, with the creature's name and a number.

    Unreadable files and clips without captions are reported as a FileWarning. Raises FileError where no file can be
    read.
    """
    root = Path(path)
    index = CaptionIndex(read_captions(Path(captions))) if captions is not None else None
    assets: dict[str, Asset] = {}
    silent: list[str] = []
    for creature, files in _by_creature(root).items():
        rigs = _grouped(_clips(files, unit, up))
        for n, clips in enumerate(rigs, 1):
            named = [_captioned(clip, creature, index, silent) for clip in _rested(clips)]
            assets[creature if n == 1 else f"{creature} {n}"] = Asset(named[0].skeleton, tuple(named))
    if not assets:
        raise FileError(f"none of the motion files in {root} can be read")
    if silent:
        n_clips = sum(len(asset.clips) for asset in assets.values())
        message = f"{len(silent)} of {n_clips} clips have no captions, such as {silent[0]}"
        warnings.warn(message, FileWarning, stacklevel=2)
    return assets


def _by_creature(root: Path) -> dict[str, list[Path]]:
    """The motion files by the folder below ``root`` that they are in; those in ``root`` itself by its name."""
    if not root.is_dir():
        raise FileError(f"{root} is not a folder")
    found: dict[str, list[Path]] = {}
    for file in sorted(root.rglob("*")):
        if file.suffix.lower() in _MOTION and not file.name.startswith("."):
            parts = file.relative_to(root).parts
            found.setdefault(parts[0] if len(parts) > 1 else root.name, []).append(file)
    if not found:
        fbx = next(root.rglob("*.[fF][bB][xX]"), None)
        hint = "; FBX cannot be read, convert it to BVH or GLB first" if fbx else ""
        raise FileError(f"{root} holds no {', '.join(_MOTION)} file{hint}")
    return found


def _clips(files: list[Path], unit: str, up: str) -> Iterable[Clip]:
    for file in files:
        try:
            asset = load_asset(file, up=up, unit=unit)
        except AnyrigError as error:
            warnings.warn(f"left out: {error}", FileWarning, stacklevel=4)
            continue
        for clip in asset.clips:
            yield replace(clip, name=file.stem if len(asset.clips) == 1 else f"{file.stem} {clip.name}")


def _grouped(clips: Iterable[Clip]) -> list[list[Clip]]:
    """The clips by skeleton, those of the most common one first."""
    groups: dict[tuple[tuple[str, ...], tuple[int, ...]], list[Clip]] = {}
    for clip in clips:
        groups.setdefault((clip.skeleton.names, clip.skeleton.parents), []).append(clip)
    return sorted(groups.values(), key=len, reverse=True)


def _rested(clips: list[Clip]) -> list[Clip]:
    """The clips on one skeleton: the T-pose's if there is one, else the first clip's. Their motion is unchanged."""
    poses = [c for c in clips if _T_POSE.search(c.name)]
    others = [c for c in clips if c not in poses] or clips
    skeleton = clips[0].skeleton
    if poses:
        skeleton = replace(skeleton, offsets=poses[0].translations[0], rest=poses[0].rotations[0])
    return settled([replace(c, skeleton=skeleton) for c in others])


def _captioned(clip: Clip, creature: str, index: CaptionIndex | None, silent: list[str]) -> Clip:
    clip = replace(clip, action=action_of(clip.name, creature))
    found = index.get(creature, clip.name) if index is not None else None
    if found is None:
        if index is not None:
            silent.append(f"{creature}/{clip.name}")
        return clip
    return replace(clip, captions=found.first)


def action_of(clip: str, creature: str = "") -> str:
    """The action in a clip's file name, or the name's words where none is known.

    >>> action_of("AlligatorALL-Bite1", "Alligator"), action_of("__FlyFast"), action_of("__BigMouth")
    ('attack', 'fly', 'big mouth')
    """
    name = re.sub(rf"^{re.escape(creature)}(ALL)?(?![a-z])", "", clip) if creature else clip
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
    for word in (w.lower() for w in words):
        for action, known in _ACTIONS.items():
            if any(word == k or (len(k) > 3 and word.startswith(k)) for k in known.split()):
                return action
    return " ".join(words).lower() or "move"


@dataclass(frozen=True, slots=True)
class Captions:
    """All wordings of one clip's captions, the original one first; no level is empty."""

    short: tuple[str, ...]
    mid: tuple[str, ...]
    long: tuple[str, ...]

    @property
    def first(self) -> tuple[str, str, str]:
        """The original short, mid and long caption."""
        return self.short[0], self.mid[0], self.long[0]


@dataclass(frozen=True, slots=True)
class Record:
    """Captions with the creature ("" where not said) and the clip that they are for, as their file names them."""

    creature: str
    clip: str
    captions: Captions


class CaptionIndex:
    """Finds the captions of a motion file by a similar name.

    The captions refer to FBX files (``Alligator/AlligatorALL-Bite1.fbx``), beside which are BVH files
    (``Alligator/__Bite1.bvh``). Compared are letters and digits only: first of creature and full name, then of creature
    and the name without creature and ``ALL``, then of the name alone. A key with several records is ambiguous and gives
    none.
    """

    def __init__(self, records: list[Record]) -> None:
        self._found: dict[tuple[str, str], Captions | None] = {}
        for record in records:
            for key in dict.fromkeys(_keys(record.creature, record.clip)):
                self._found[key] = record.captions if key not in self._found else None

    def get(self, creature: str, clip: str) -> Captions | None:
        """The captions of the file ``clip`` (with or without suffix) of ``creature``, or None."""
        for name in (clip, re.sub(r"_\d+$", "", PurePosixPath(clip).stem)):
            for key in _keys(creature, name):
                if (captions := self._found.get(key)) is not None:
                    return captions
        return None


def _keys(creature: str, clip: str) -> list[tuple[str, str]]:
    stem = _plain(re.sub(r"\.(fbx|bvh|glb|gltf|npy|npz)$", "", PurePosixPath(clip.replace("\\", "/")).name, flags=re.I))
    owner = _plain(creature)
    action = stem.removeprefix(owner).removeprefix("all")
    keys = [(owner, stem)] if owner else []
    if owner and action:
        keys.append((owner, action))
    return [*keys, ("", stem)]


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def read_captions(path: Path) -> list[Record]:
    """The records in a JSON, JSONL or CSV file, or in all such files below a folder.

    A record is an object (or row) with the clip's name and, by level, a text, a list of texts, or lists of texts by
    style, the original ones first. JSON may also map clip names to records. Raises FileError where there are none.
    """
    files = sorted(f for f in path.rglob("*") if f.suffix.lower() in _SUFFIXES) if path.is_dir() else [path]
    records = [record for file in files for record in _read(file)]
    if not records:
        raise FileError(f"{path} holds no captions: no record with a clip's name and short, mid or long texts")
    return records


def _read(file: Path) -> list[Record]:
    text = read_bytes(file).decode("utf-8-sig", errors="replace")
    suffix = file.suffix.lower()
    if suffix not in _SUFFIXES:
        raise FileError(f"{file}: captions are read from {', '.join(_SUFFIXES)} files")
    try:
        if suffix == ".csv":
            items: Any = list(csv.DictReader(io.StringIO(text)))
        elif suffix == ".jsonl":
            items = [json.loads(line) for line in text.splitlines() if line.strip()]
        else:
            items = json.loads(text)
    except (json.JSONDecodeError, csv.Error, RecursionError) as error:
        raise FileError(f"{file} cannot be read as {suffix[1:].upper()}: {str(error).splitlines()[0]}") from error
    return [record for name, item in _items(items) if (record := _record(name, item)) is not None]


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    """(name, record) pairs; the name is empty where the record includes it."""
    if isinstance(value, list):
        yield from (("", item) for item in value)
    elif isinstance(value, dict) and _first(value, _NAME) and _captions(value) is not None:
        yield "", value
    elif isinstance(value, dict):
        yield from ((str(name), item) for name, item in value.items())


def _record(name: str, item: Any) -> Record | None:
    captions = _captions(item)
    if isinstance(item, dict):
        name = _first(item, _NAME) or name
    creature = _first(item, _OBJECT) if isinstance(item, dict) else ""
    if not creature and len(PurePosixPath(name).parts) > 1:
        creature = PurePosixPath(name).parts[-2]
    return Record(creature, name, captions) if captions is not None and name else None


def _first(item: dict[str, Any], names: tuple[str, ...]) -> str:
    lower = {str(key).strip().lower(): value for key, value in item.items() if key is not None}
    return next((str(lower[n]).strip() for n in names if isinstance(lower.get(n), str | int) and str(lower[n])), "")


def _captions(item: Any) -> Captions | None:
    if not isinstance(item, dict):
        texts = _texts(item)
        return Captions(texts, texts, texts) if texts else None
    lower = {str(key).strip().lower(): value for key, value in item.items()}
    inner = lower.get("captions")
    if isinstance(inner, dict):
        return _captions(inner)
    levels = {level: _texts(lower.get(level)) for level in LEVELS}
    for level, more in _ALSO.items():
        levels[level] += tuple(text for name in more for text in _texts(lower.get(name)))
    for name in _ONE:
        levels = {level: texts or _texts(lower.get(name)) for level, texts in levels.items()}
    there = [texts for texts in levels.values() if texts]
    if not there:
        return None
    short, mid, long = (levels[level] for level in LEVELS)
    return Captions(short or there[0], mid or long or there[0], long or there[-1])


def _texts(value: Any) -> tuple[str, ...]:
    """All texts in a text, a list or an object of lists by style, each once, those called ``original`` first."""
    if isinstance(value, str):
        text = " ".join(value.split())
        return (text,) if text else ()
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name != "original")
        value = [value[name] for name in names]
    if isinstance(value, list):
        return tuple(dict.fromkeys(text for part in value for text in _texts(part)))
    return ()
