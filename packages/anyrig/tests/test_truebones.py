"""A zoo in the shape of the one that is sold, built here, and captions in the shapes in which they are published."""

from __future__ import annotations

import csv
import json
import warnings
from dataclasses import replace

import numpy as np
import pytest

from anyrig import io
from anyrig import rotations as rot
from anyrig.datasets import truebones
from anyrig.datasets.truebones import CaptionIndex, Captions, Record, action_of, read_captions
from anyrig.errors import FileError, FileWarning
from anyrig.skeleton import Clip, Skeleton


def clip(n_joints=3, seed=0):
    rng = np.random.default_rng(seed)
    names = tuple(f"Bip01 {j}" for j in range(n_joints))
    skeleton = Skeleton(names, tuple(range(-1, n_joints - 1)), np.eye(3)[:n_joints])
    return Clip(skeleton, rot.random(rng, 5, n_joints), skeleton.offsets, 30)


@pytest.fixture
def zoo(tmp_path):
    for seed, name in enumerate(("Dragon/__Walk.bvh", "Dragon/__Bite1.bvh", "Goat/Goat___HeadButt_395.bvh")):
        (tmp_path / "zoo" / name).parent.mkdir(parents=True, exist_ok=True)
        io.save(clip(seed=seed), tmp_path / "zoo" / name, unit="cm")
    return tmp_path / "zoo"


def wordings(*texts):
    return {"original": list(texts), "synonyms": [f"{texts[0]} (synonym)"]}


PUBLISHED = [
    {
        "file_id": "Dragon/DragonALL-Bite1.fbx",
        "object_name": "Dragon",
        "captions": {
            "short": wordings("A dragon bites.", "A beast bites."),
            "mid": wordings("The neck thrusts forward."),
            "long": wordings("Standing, a dragon bites."),
            "long_rich": wordings("Standing tall, a dragon bites hard."),
        },
        "orientation": [0, 0, -90],
    },
    {
        "file_id": "Goat/Goat-HeadButt.fbx",
        "object_name": "Goat",
        "captions": {level: wordings(f"{level} goat") for level in ("short", "mid", "long")},
    },
]


@pytest.fixture
def published(tmp_path):
    folder = tmp_path / "captions"
    for n, record in enumerate(PUBLISHED):
        (folder / record["object_name"]).mkdir(parents=True, exist_ok=True)
        (folder / record["object_name"] / f"{n}.json").write_text(json.dumps(record))
    return folder


def test_motion_is_joined_with_the_published_captions(zoo, published):
    with pytest.warns(FileWarning, match="1 of 3 clips have no captions, such as Dragon/__Walk"):
        models = truebones.load(zoo, published)
    assert sorted(models) == ["Dragon", "Goat"]
    bite = models["Dragon"].clip("__Bite1")
    assert bite.captions == ("A dragon bites.", "The neck thrusts forward.", "Standing, a dragon bites.")
    assert (bite.action, models["Dragon"].clip("__Walk").action) == ("attack", "walk")
    assert models["Goat"].clips[0].captions == ("short goat", "mid goat", "long goat")
    assert bite.world()[0] == pytest.approx(clip(seed=1).world()[0], abs=1e-6), "centimetres by default"


def test_without_captions_there_is_nothing_to_warn_of(zoo):
    with warnings.catch_warnings(action="error"):
        models = truebones.load(zoo, unit="m")
    assert models["Dragon"].clips[0].captions == ()
    assert models["Dragon"].skeleton.offsets[1] == pytest.approx([0, 100, 0]), "as the numbers are"


def test_other_joints_are_another_model_and_what_cannot_be_read_is_told(zoo):
    io.save(clip(n_joints=2), zoo / "Dragon" / "__Fly.bvh")
    (zoo / "Dragon" / "__Torn.bvh").write_text("HIERARCHY\nROOT Hips\n{")
    with pytest.warns(FileWarning, match="left out: .*__Torn.bvh"):
        models = truebones.load(zoo)
    assert [c.name for c in models["Dragon"].clips] == ["__Bite1", "__Walk"]
    assert [c.name for c in models["Dragon 2"].clips] == ["__Fly"]


def test_the_t_pose_is_the_rest_pose(zoo):
    pose = clip(seed=9).cut(0, 1)
    io.save(pose, zoo / "Dragon" / "Dragon_Tpose.bvh", unit="cm")
    before = truebones.load(zoo / "Dragon", unit="cm")["Dragon"].clip("__Walk")
    assert before.skeleton.rest_positions() == pytest.approx(pose.world()[0][0], abs=1e-6)
    assert before.world()[0] == pytest.approx(clip(seed=0).world()[0], abs=1e-6), "the motion stays"


def test_folders_with_nothing_to_read(tmp_path):
    with pytest.raises(FileError, match="not a folder"):
        truebones.load(tmp_path / "zoo")
    with pytest.raises(FileError, match=r"holds no \.bvh"):
        truebones.load(tmp_path)
    (tmp_path / "Dragon").mkdir()
    (tmp_path / "Dragon" / "Walk.FBX").write_bytes(b"Kaydara")
    with pytest.raises(FileError, match="convert it to BVH or GLB"):
        truebones.load(tmp_path)
    (tmp_path / "Dragon" / "Walk.bvh").write_text("nothing")
    with pytest.warns(FileWarning), pytest.raises(FileError, match="none of the motion files"):
        truebones.load(tmp_path)


RECORDS = [
    {"clip": "Dragon/Fly", "short": "It flies.", "mid": "Wings beat.", "long": "From a cliff, it flies."},
    {"clip": "Dragon/Walk", "short": "It walks.", "mid": "Legs step.", "long": "Slowly, it walks."},
]
FLY = ("It flies.", "Wings beat.", "From a cliff, it flies.")


def as_json(records):
    return json.dumps(records)


def as_mapping(records):
    return json.dumps({r["clip"]: {k: v for k, v in r.items() if k != "clip"} for r in records})


def as_lists(records):
    return json.dumps([{k: v if k == "clip" else [v, v.upper()] for k, v in r.items()} for r in records])


def as_jsonl(records):
    return "\n".join(json.dumps(r) for r in records) + "\n\n"


def as_csv(records, **names):
    import io as text_io

    out = text_io.StringIO()
    fields = {f: names.get(f, f) for f in records[0]}
    writer = csv.DictWriter(out, fields.values())
    writer.writeheader()
    writer.writerows([{fields[k]: v for k, v in r.items()} for r in records])
    return "\ufeff" + out.getvalue()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", as_json(RECORDS)),
        ("a.json", as_mapping(RECORDS)),
        ("a.json", as_lists(RECORDS)),
        ("a.json", as_json(RECORDS[0])),
        ("a.jsonl", as_jsonl(RECORDS)),
        ("a.csv", as_csv(RECORDS)),
        ("a.CSV", as_csv(RECORDS, clip="File_Name", short="Short", mid="MID")),
    ],
)
def test_captions_in_any_of_the_usual_forms(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    found = CaptionIndex(read_captions(tmp_path / name)).get("Dragon", "Fly.bvh")
    assert found is not None
    assert found.first == FLY


def test_a_single_text_is_every_level(tmp_path):
    for text in ('[{"file": "Dragon/Fly.bvh", "caption": "It flies."}]', '{"Dragon/Fly": "It flies."}'):
        (tmp_path / "a.json").write_text(text)
        (record,) = read_captions(tmp_path / "a.json")
        assert record.captions.first == ("It flies.",) * 3
    (tmp_path / "a.json").write_text('[{"file": "Fly", "object": "Dragon", "short": "It flies.", "long": ""}]')
    (record,) = read_captions(tmp_path / "a.json")
    assert record.captions.first == ("It flies.",) * 3


def test_all_wordings_are_kept_the_original_first(published):
    found = CaptionIndex(read_captions(published)).get("Dragon", "__Bite1")
    assert found.short == ("A dragon bites.", "A beast bites.", "A dragon bites. (synonym)")
    assert found.long[:1] == ("Standing, a dragon bites.",)
    assert "Standing tall, a dragon bites hard." in found.long


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.json", "{", "cannot be read as JSON"),
        ("a.json", "[" * 100_000, "cannot be read as JSON"),
        ("a.json", "[]", "holds no captions"),
        ("a.json", '[{"clip": "x"}, 3, null, {"short": "no name"}]', "holds no captions"),
        ("a.csv", "clip;short\nx;y\n", "holds no captions"),
        ("a.txt", "A dragon flies.", r"read from \.json"),
        ("a.json", "", "empty"),
    ],
)
def test_captions_that_are_none(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(FileError, match=words) as error:
        read_captions(tmp_path / name)
    assert "\n" not in str(error.value)


def test_names_are_matched_with_care():
    def words(text):
        return Captions((text,), (text,), (text,))

    index = CaptionIndex(
        [
            Record("Dog", "Dog/DogALL-Walk.fbx", words("dog walks")),
            Record("Cat", "Cat/Cat_Walk.fbx", words("cat walks")),
            Record("Cat", "Cat/CatALL_Run.fbx", words("one run")),
            Record("Cat", "Cat/Cat-Run.fbx", words("another run")),
            Record("", "Howl", words("somebody howls")),
        ]
    )
    assert index.get("Dog", "__Walk.bvh").first[0] == "dog walks"
    assert index.get("Cat", "__walk").first[0] == "cat walks"
    assert index.get("Cat", "Cat-Run.bvh").first[0] == "another run"
    assert index.get("Cat", "__Run") is None, "two may be meant"
    assert index.get("Wolf", "howl.bvh").first[0] == "somebody howls"
    assert index.get("Wolf", "__Walk") is None, "another creature's walk is not its own"


@pytest.mark.parametrize(
    ("name", "creature", "action"),
    [
        ("AlligatorALL-Bite1", "Alligator", "attack"),
        ("__FlyFast", "Bird", "fly"),
        ("Dragon_Death02", "Dragon", "death"),
        ("__RunLeft", "", "run"),
        ("__BigMouth", "Alligator", "big mouth"),
        ("Goat___HeadButt_395", "Goat", "attack"),
        ("Hitherto_Walk", "", "walk"),
        ("001", "", "move"),
    ],
)
def test_actions_are_told_by_names(name, creature, action):
    assert action_of(name, creature) == action


def test_clips_of_one_creature_share_their_skeleton(zoo):
    models = truebones.load(zoo)
    assert all(c.skeleton is models["Dragon"].skeleton for c in models["Dragon"].clips)
    io.save(replace(models["Dragon"]), zoo / "all.npz")
    assert len(io.load(zoo / "all.npz").clips) == 2
