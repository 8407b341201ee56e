"""Real animation: each trap in a small file made here, and a few published files where they are at hand."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from anyrig import creatures, io
from anyrig import rotations as rot
from anyrig.augmentation import stretch
from anyrig.cli import main
from anyrig.conform import extent, repeated, turned
from anyrig.corpus import RealSelection, build, load_examples, make_real_example
from anyrig.datasets import labels, real
from anyrig.errors import FileError, FileWarning
from anyrig.skeleton import Clip, Skeleton

DATA = Path(__file__).parents[4] / "shared" / "data" / "motion"
FILES = (
    "quaternius/animals_pack/Fox.glb",
    "quaternius/easy_enemies_pack/Snake.glb",
    "real/mesh2motion/spider-animations.glb",
    "real/quaternius-cube-world/Dog.glb",
    "real/quaternius-showcase/mech_pack/Leela.glb",
    "real/quaternius-showcase/cyberpunk_pack/Enemy_2Legs.glb",
    "real/quaternius-farm/Shark.glb",
    "real/cmu/daz30/02_01.bvh",
)
there = [f for f in FILES if (DATA / f).exists()]


def dog(n=25, speed=1.0, swap=False, name="Root"):
    """A dog that faces z (x where ``swap``) and treads on the spot: four legs of one bone that swing as pendulums."""
    names = (name, "Body", "Head", "FrontLeg.L", "FrontLeg.R", "BackLeg.L", "BackLeg.R")
    at = np.array([[0, 0, 0], [0, 1, 0], [0, 1.3, 0.8], [0.2, 0.8, 0.6], [-0.2, 0.8, 0.6], [0.2, 0.8, -0.6],
                   [-0.2, 0.8, -0.6]])  # fmt: skip
    parents = (-1, 0, 1, 0, 0, 0, 0)
    offsets = np.array([p - (at[k] if k >= 0 else 0) for p, k in zip(at, parents, strict=True)])
    t = np.linspace(0, 2 * np.pi, n)
    rotations, translations = rot.identity(n, 7), np.tile(offsets, (n, 1, 1))
    for j, phase in ((3, 0.0), (6, 0.0), (4, np.pi), (5, np.pi)):
        rotations[:, j] = rot.about("x", speed * 0.5 * np.sin(t + phase))
    translations[:, 1, 1] += 0.03 * np.cos(2 * t)
    clip = Clip(Skeleton(names, parents, offsets), rotations, translations, n - 1, name="Walk")
    if swap:
        clip = turned(clip, rot.about("y", np.pi / 2))
    return clip


def saved(folder, name, *clips):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    clips = tuple(replace(c, skeleton=clips[0].skeleton) for c in clips)
    io.save(io.Asset(clips[0].skeleton, clips), folder / name)
    return folder / name


def named(clip, name):
    return replace(clip, name=name)


def test_a_treading_dog_gets_soles_a_root_that_moves_and_goes_forward(tmp_path):
    for swap in (False, True):
        (creature,) = real.load(saved(tmp_path, f"Dog{swap}.glb", dog(swap=swap))).creatures
        (take,) = creature.takes
        skeleton = creature.skeleton
        assert (creature.noun, creature.kind, creature.split) == ("dog", "quadruped", "train")
        assert skeleton.names[skeleton.main_root] == "Body", "a still root would lose the body's way up and down"
        assert len(creature.feet) == 4
        assert np.abs(skeleton.rest_positions()[list(creature.feet), 1]).max() < 0.05
        assert take.travel == "feet"
        x, _, z = take.clip.travel()[-1]
        assert z > 0.3
        assert abs(x) < 1e-9
        assert stretch(take.clip).max() < 1e-9
        assert take.loops
        twice = repeated(take.clip, 2)
        assert twice.travel()[-1] == pytest.approx(2 * take.clip.travel()[-1], rel=0.05)


def test_what_shows_no_motion_or_no_creature_is_left_out_with_the_reason(tmp_path):
    walk = dog()
    still = named(Clip(walk.skeleton, walk.skeleton.rest[None].repeat(9, 0), walk.skeleton.offsets, 24), "Idle")
    clips = (walk, named(walk.cut(0, 1), "Sit"), named(walk, "T-Pose"), still, named(walk.cut(0, 4), "Run"))
    saved(tmp_path, "Dog.glb", *clips)
    saved(tmp_path, "Wolf.glb", walk)
    saved(tmp_path, "Chest.glb", named(walk, "Chest_Open"))
    found = real.load(tmp_path)
    assert [(c.name, [t.clip.name for t in c.takes]) for c in found.creatures] == [("Dog", ["walk"])]
    why = {(Path(left.file).stem, left.clip): left.reason for left in found.left_out}
    assert "short" in why["Dog", "Sit"]
    assert "pose" in why["Dog", "T-Pose"]
    assert why["Dog", "Idle"] == "nothing moves"
    assert "short" in why["Dog", "Run"]
    assert "same motion" in why["Wolf", "walk"]
    assert "object" in why["Chest", ""]


def test_bones_that_come_apart_and_names_that_say_nothing_are_left_out(tmp_path):
    walk = dog()
    moved = walk.translations.copy()
    moved[:, 2, 2] += np.linspace(0, 3, walk.n_frames)
    apart = Clip(walk.skeleton, walk.rotations, moved, walk.fps, name="Attack")
    found = real.load(saved(tmp_path, "Dog.glb", walk, apart, named(dog(speed=0.5), "Track0")))
    reasons = {left.clip: left.reason for left in found.left_out}
    assert "come apart" in reasons["Attack"]
    assert "says nothing" in reasons["Track0"]
    assert [t.clip.name for t in found.creatures[0].takes] == ["walk"]


def test_a_first_pose_at_rest_and_the_jump_out_of_it_are_cut_and_centimetres_are_found(tmp_path):
    names = ("Hips", "Spine", "Head", "LeftLeg", "LeftFoot", "RightLeg", "RightFoot")
    offsets = 100.0 * np.array([[0, 0.9, 0], [0, 0.4, 0], [0, 0.3, 0], [0.1, -0.4, 0], [0, -0.45, 0.0],
                                [-0.1, -0.4, 0], [0, -0.45, 0]])  # fmt: skip
    skeleton = Skeleton(names, (-1, 0, 1, 0, 3, 0, 5), offsets)
    n = 40
    rotations = rot.identity(n, 7)
    rotations[1:, 1:] = rot.about("x", 1.0 + 0.2 * np.sin(np.linspace(0, 6, n - 1)))[:, None]
    saved(tmp_path, "05_05.bvh", Clip(skeleton, rotations, offsets, 30, name="05_05"))
    (tmp_path / "labels.tsv").write_text("file\tdescription\n05_05.bvh\tjump, balance\n")
    (tmp_path / "MANIFEST.tsv").write_text("file\tspecies\tlicence\tauthor\n05_05.bvh\thuman\tfree\tCMU\n")
    (creature,) = real.load(tmp_path).creatures
    (take,) = creature.takes
    assert (creature.licence, creature.author, creature.noun) == ("free", "CMU", "person")
    assert take.clip.n_frames == n - 1
    assert 1.0 < np.ptp(creature.skeleton.rest_positions()[:, 1]) < 2.0
    assert take.clip.action == "jump"
    assert "balances on one leg" in take.clip.captions[-1]


def test_what_flies_and_swims_moves_at_the_usual_speed_of_the_action(tmp_path):
    saved(tmp_path, "Bee.glb", named(dog(), "Flying"))
    saved(tmp_path, "Shark.glb", named(dog(speed=0.5), "Swim"))
    for creature in real.load(tmp_path).creatures:
        (take,) = creature.takes
        assert take.travel == "prior"
        speed = take.clip.travel()[-1, 2] / take.clip.seconds / extent(creature.skeleton)
        assert speed == pytest.approx(real.SPEEDS[take.clip.action], rel=1e-6)


def test_nothing_of_a_held_out_species_and_no_twin_of_its_skeleton_is_trained_on(tmp_path):
    saved(tmp_path, "Fox.glb", dog(speed=0.3))
    saved(tmp_path, "Dog.glb", dog())
    saved(tmp_path, "Cat.glb", *[dog(name="Trunk")])
    found = real.load(tmp_path)
    assert {c.name: c.split for c in found.creatures} == {"Fox": "test", "Dog": "", "Cat": "train"}
    assert any("skeleton of a held-out species" in left.reason for left in found.left_out)
    nouns = {make_real_example(RealSelection(str(tmp_path)), k)[1].captions[-1] for k in range(12)}
    assert all("cat" in text for text in nouns)
    assert all("fox" in make_real_example(RealSelection(str(tmp_path), "test"), k)[1].captions[-1] for k in range(4))
    assert set(real.HELD_OUT) <= set(", ".join(labels.KINDS.values()).split(", "))
    assert len(real.HELD_OUT) >= 10


def test_examples_of_real_creatures_come_back_from_disk_and_fill_their_windows(tmp_path):
    saved(tmp_path, "set/Dog.glb", dog(), named(dog(n=60, speed=0.4), "Death"))
    selection = RealSelection(str(tmp_path / "set"))
    (path,) = build(tmp_path / "data", selection, 6)
    for k, example in enumerate(load_examples([path])):
        made, clip = make_real_example(selection, k)
        assert example.captions == made.captions
        assert example.window == clip.n_frames
        assert example.window % 8 == 0
        assert example.kind == "quadruped"
    with pytest.raises(FileError, match="no real creature of the test split"):
        make_real_example(RealSelection(str(tmp_path / "set"), "test"), 0)


def test_inspect_prints_a_folder_by_species_and_training_takes_it(tmp_path, capsys):
    saved(tmp_path, "set/Dog.glb", dog(), named(dog(), "T-Pose"))
    assert main(["inspect", str(tmp_path / "set"), "--workers", "1"]) == 0
    text = capsys.readouterr().out
    assert "dog: 1 file, 1 clip, 1 s: walk" in text
    assert "left out 1: a pose by its name, such as Dog.glb T-Pose" in text
    assert main(["train", str(tmp_path / "run"), "--real", str(tmp_path / "set"), "--show"]) == 0
    assert str(tmp_path / "set") in capsys.readouterr().out
    assert main(["train", str(tmp_path / "run"), "--real", str(tmp_path / "none")]) == 2
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileError, match="holds no"):
        real.load(tmp_path / "empty")
    (tmp_path / "Cow.glb").write_bytes(b"glTF")
    with pytest.warns(FileWarning, match="cannot be read"):
        assert not real.load(tmp_path / "Cow.glb").creatures


@pytest.mark.parametrize(
    ("clip", "noun", "action"),
    [
        ("AnimalArmature|Attack_Kick", "horse", "attack"),
        ("Armature|Stegosaurus_Death", "apatosaurus", "death"),
        ("AnimalArmature|Idle_HitReact_Left", "cow", "hit"),
        ("Jump_Land", "person", "land"),
        ("Running_Strafe_Left", "person", "sidestep"),
        ("Walking_Backwards", "person", "walk_backward"),
        ("Fast_Flying", "dragon", "fly"),
        ("Swim_Fwd_Loop", "person", "swim"),
        ("dance - glissade devant", "person", "dance"),
        ("run/jog", "person", "run"),
        ("Run_Gun_Shoot", "mech", "run"),
    ],
)
def test_clips_are_called_after_what_they_show(clip, noun, action):
    assert labels.label_of(clip, noun, feet=True).action == action


def test_a_snake_does_not_walk_and_a_flier_does_not_stand():
    assert labels.label_of("Snake_Walk", "snake", feet=False).action == "slither"
    assert labels.label_of("Walk", "flying robot", feet=False).action == "fly"
    assert labels.label_of("Idle", "ghost", feet=False).action == "hover"
    assert labels.label_of("Track0", "test", feet=True) is None


def test_captions_are_plain_sentences_from_short_to_long():
    clip = dog(n=5)
    rng = random.Random(0)
    for pattern, _, _ in labels.ACTIONS:
        name = re.sub(r"\\[bwd]|[()?*.]", "", pattern).split("|")[0]
        label = labels.label_of(name, "dog", feet=True)
        for noun in ("person", "armoured bee") if label is not None else ():
            captions = labels.captioned(clip, label, noun, rng).captions
            assert len(captions) == 5
            for text in captions:
                assert re.fullmatch(r"[A-Z][^\[\]{}|_]*\.", text), text
                assert "a armoured" not in text.lower()
                assert noun != "person" or not re.search(r"\bits?\b", text), text
    known = {a.name for a in creatures.ACTIONS}
    shared = {action for _, action, _ in labels.ACTIONS} & known
    assert {"walk", "run", "fly", "swim", "idle", "attack", "death", "jump", "eat", "hit"} <= shared


@cache
def published(file):
    return real.load(DATA / file)


@pytest.mark.skipif(not there, reason=f"the published files are not in {DATA}")
@pytest.mark.parametrize("file", there)
def test_gaits_of_published_creatures_go_forward_and_their_feet_touch_the_ground(file):
    (creature,) = published(file).creatures
    assert creature.skeleton.roots == (0,)
    for take in creature.takes:
        assert stretch(take.clip).max() < 1e-9 or creature.file.endswith(".bvh")
        x, _, z = take.clip.travel()[-1]
        if take.label.action in ("walk", "run", "slither", "swim") and not file.endswith(".bvh"):
            assert z > 3 * abs(x) > -1
            assert z > 0.05 * extent(creature.skeleton)
        if creature.feet and take.label.action in ("walk", "idle"):
            low = take.clip.world()[0][:, list(creature.feet), 1].min(axis=1)
            assert abs(np.median(low)) < 0.05 * extent(creature.skeleton)


@pytest.mark.skipif(not (DATA / "real" / "MANIFEST.tsv").exists(), reason=f"no manifest in {DATA}")
def test_no_file_of_the_published_packs_is_of_a_species_in_both_splits():
    rows = [line.split("\t") for line in (DATA / "real" / "MANIFEST.tsv").read_text().splitlines()[1:]]
    held, other = {}, {}
    for row in rows:
        noun = labels.noun_of(row[1])
        (held if noun in real.HELD_OUT else other)[row[0]] = row[12]
    assert len({labels.noun_of(row[1]) for row in rows if row[0] in held}) >= 9, "and three in other packs"
    assert not {tree for tree in held.values() if tree} & set(other.values())
