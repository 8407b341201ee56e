"""Where rigs face: by names on bodies made for it, and of every real creature as a table has it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from gltf_oracle import glb, parse

from anyrig import creatures
from anyrig.cli import main
from anyrig.corpus import Selection
from anyrig.facing import detect_facing, faced, facing_of
from anyrig.io import load, save
from anyrig.skeleton import Skeleton

DATA = Path(__file__).parents[5] / "shared" / "data" / "motion"
TABLE = Path(__file__).parents[1] / "fixtures" / "facings.tsv"
with TABLE.open() as _file:
    ROWS = [(row["file"], row["faces"]) for row in csv.DictReader(_file, delimiter="\t")]
"""File of the creatures' folder -> where it faces, as their meshes show."""


def body(*joints):
    """A skeleton from (name, parent's name, world position)."""
    names = [name for name, _, _ in joints]
    at = np.array([p for _, _, p in joints], dtype=float)
    parents = [names.index(parent) if parent else -1 for _, parent, _ in joints]
    offsets = [p - (at[k] if k >= 0 else 0) for p, k in zip(at, parents, strict=True)]
    return Skeleton(tuple(names), tuple(parents), np.array(offsets))


HUMAN = [("Hips", "", (0, 1, 0)), ("Spine", "Hips", (0, 1.3, 0)), ("Head", "Spine", (0, 1.7, 0)),
         ("LeftArm", "Spine", (0.5, 1.4, 0)), ("RightArm", "Spine", (-0.5, 1.4, 0)),
         ("LeftFoot", "Hips", (0.1, 0.1, 0)), ("RightFoot", "Hips", (-0.1, 0.1, 0))]  # fmt: skip
TOES = [("LeftToeBase", "LeftFoot", (0.1, 0, 0.2)), ("RightToeBase", "RightFoot", (-0.1, 0, 0.2))]
DOG = [("hip", "", (0, 1, 0)), ("spine", "hip", (0, 1, 0.5)), ("skull", "spine", (0, 1.2, 1)),
       ("tail1", "hip", (0, 1, -0.3)), ("tail2", "tail1", (0, 0.9, -0.6))]  # fmt: skip
BLOB = [("Body", "", (0, 0.5, 0)), ("Head", "Body", (0, 0.9, -0.1)), ("Mouth", "Head", (0, 0.9, 0.3))]
FLIER = [("Root", "", (0, 1, 0)), ("wing.l", "Root", (0.7, 1, 0)), ("wing.r", "Root", (-0.7, 1, 0))]
PROP = [("Sword", "", (5, 0, -3)), ("sword head", "Sword", (5, 0, -9))]


@pytest.mark.parametrize(
    ("joints", "by"),
    [
        (HUMAN + TOES, "toes"),
        (HUMAN, "left and right"),
        ([*HUMAN, ("LeftFoot_end", "LeftFoot", (0.1, 0, 0.2))], "feet"),
        ([*HUMAN, ("eye_L", "Head", (0.05, 1.75, 0.1)), ("eye_R", "Head", (-0.05, 1.75, 0.1))], "the face"),
        (DOG, "the head"),
        (DOG[:2] + DOG[3:], "the tail"),
        (BLOB, "the face"),
        (FLIER, "left and right"),
        (HUMAN + PROP, "left and right"),
    ],
    ids=["toes", "sides", "foot ends", "eyes", "dog", "tail", "blob", "wings", "a prop beside"],
)
@pytest.mark.parametrize("axis", ["z", "x", "-z", "-x"])
def test_names_tell_where_a_rig_faces(joints, by, axis):
    rig = body(*joints)
    told = detect_facing(faced(rig, facing_of(rig, axis)))
    assert (told.axis, told.by, told.sure) == (axis, by, True)


@pytest.mark.parametrize("kind", creatures.kinds())
def test_procedural_bodies_face_the_way_they_are_turned(kind):
    """They face z. Names such as bone_12 tell nothing: those bodies are said to face z, wherever they do."""
    for number in range(40):
        rig = creatures.skeleton(Selection(split="test").body(kind, number))
        told = detect_facing(faced(rig, facing_of(rig, "-x")))
        assert told.axis == ("z" if told.by == "nothing" else "-x"), (number, told)
        assert detect_facing(rig).axis == "z", number


def mirrored(joints):
    swap = {"L": "R", "R": "L", "Left": "Right", "Right": "Left"}
    return [
        (next((f"{swap[s]}{n[len(s) :]}" for s in ("Left", "Right") if n.startswith(s)), n), p, at)
        for n, p, at in [
            (n, next((f"{swap[s]}{p[len(s) :]}" for s in ("Left", "Right") if p.startswith(s)), p), at)
            for n, p, at in joints
        ]
    ]


def test_sides_that_are_named_mirrored_do_not_turn_a_rig_round():
    told = detect_facing(body(*mirrored(HUMAN + TOES)))
    assert (told.axis, told.by, told.sure) == ("z", "toes", False), "told, as two names contradict one another"
    ahead = [(n, p, (x, y, 0.05) if n == "Head" else (x, y, z)) for n, p, (x, y, z) in mirrored(HUMAN)]
    told = detect_facing(body(*ahead))
    assert (told.axis, told.sure) == ("z", False)


def test_without_names_it_is_z_and_not_sure():
    told = detect_facing(body(("a", "", (0, 1, 0)), ("b", "a", (1, 1, 0)), ("c", "b", (2, 1, 0))))
    assert (told.axis, told.by, told.sure) == ("z", "nothing", False)


def test_who_is_not_sure_says_so(tmp_path, capsys):
    save(replace_clip(body(("a", "", (0, 1, 0)), ("b", "a", (1, 1, 0)))), tmp_path / "a.bvh")
    assert main(["inspect", str(tmp_path / "a.bvh")]) == 0
    assert "the facing is uncertain, assumed by nothing: --facing overrides it" in capsys.readouterr().out
    save(replace_clip(body(*DOG)), tmp_path / "dog.bvh")
    assert main(["inspect", str(tmp_path / "dog.bvh")]) == 0
    assert "--facing" not in capsys.readouterr().out


def replace_clip(skeleton):
    from anyrig.skeleton import Clip

    return Clip(skeleton, skeleton.rest[None], skeleton.offsets, 30.0)


def still(path, folder):
    """The file without its animations where a skin names its bones: they take most of the time, and do not matter."""
    if path.suffix == ".bvh":
        return path
    out = folder / path.name
    if path.suffix == ".glb":
        document, blob = parse(path.read_bytes())
    else:
        document, blob = json.loads(path.read_text()), None
    if document.get("skins"):
        document.pop("animations", None)
    out.write_bytes(json.dumps(document).encode() if blob is None else glb(document, blob))
    return out


@pytest.mark.filterwarnings("ignore::anyrig.errors.FileWarning")
@pytest.mark.parametrize(("file", "faces"), ROWS)
def test_real_creatures_face_where_the_table_says(file, faces, tmp_path):
    if not (DATA / file).exists():
        pytest.skip(f"the creatures are not in {DATA}")
    assert detect_facing(load(still(DATA / file, tmp_path)).skeleton).axis == faces
