"""The corpus: splits that do not overlap, examples that come back from disk, batches that resume."""

from __future__ import annotations

import hashlib
import random

import numpy as np
import pytest
import torch

from anyrig import creatures
from anyrig.corpus import (
    HELD_OUT_KINDS,
    HELD_OUT_PAIRS,
    BatchConfig,
    Selection,
    batches,
    build,
    load_examples,
    make_example,
    n_batches,
    seed_of,
)
from anyrig.errors import FileError, SettingsError
from anyrig.features import rig_code

# Kind -> what is said of its clips and how their joints are called (a hash), and the mean of their joints' places.
AS_TRAINED = {
    "biped": ("297112da04241859", 0.5626298923672589),
    "bird": ("6eb80aae5ee69257", 0.1218249272644889),
    "dragon": ("e58c695a6814ebb5", 0.7034700172615663),
    "fish": ("b6762546834ce804", 3.6399219310510773),
    "hexapod": ("ede53c2c8fa8359d", 0.17621846778714548),
    "octopod": ("5e453b538ac7b1f2", 0.33020875666383354),
    "quadruped": ("1268f6022e77ae85", 0.46766655807777074),
    "serpent": ("d05302035664b44a", 0.3234042651684243),
}


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return folder, build(folder, Selection("train"), 12)


@pytest.mark.parametrize("kind", creatures.kinds())
def test_creatures_are_those_that_the_shipped_weights_were_trained_on(kind):
    """Captions and names to the letter, places to rounding: whoever changes them has to train the weights again."""
    text, places = hashlib.sha256(), []
    for seed in range(3):
        plan = creatures.plan(kind, random.Random(f"{kind} {seed}"))
        for action in creatures.actions(plan):
            clip = creatures.clip(plan, action, random.Random(f"{kind} {action} {seed}"), 1.0)
            text.update("\n".join((clip.name, *clip.captions, *clip.skeleton.names)).encode())
            places.append(np.abs(clip.world()[0]).mean())
    digest, mean = AS_TRAINED[kind]
    assert text.hexdigest()[:16] == digest
    assert np.mean(places) == pytest.approx(mean, rel=1e-9)


def test_held_out_creatures_and_pairs_exist_and_are_not_taught():
    train, test = Selection("train"), Selection("test")
    for kind in HELD_OUT_KINDS:
        assert kind in creatures.kinds()
        assert kind not in train.drawn_kinds()
    for kind, action in HELD_OUT_PAIRS:
        bodies = [test.body(kind, n) for n in range(6)]
        assert any(action in test.actions(b) for b in bodies)
        assert all(action not in train.actions(b) for b in bodies)


def test_bodies_of_the_splits_differ():
    train, test = (Selection(split).body("quadruped", 7) for split in ("train", "test"))
    assert train != test
    assert Selection("test").body("quadruped", 7) == test


def test_an_example_hangs_on_its_number_only():
    (a, clip), (b, _) = (make_example(Selection("train"), 5) for _ in range(2))
    np.testing.assert_array_equal(a.features.joints, b.features.joints)
    assert a.captions == b.captions
    assert len(a.captions) == 4
    assert rig_code(clip.skeleton).n_joints == a.code.n_joints
    assert a.window <= a.features.n_frames
    assert a.window % 8 == 0


def test_examples_come_back_from_disk_and_are_not_made_twice(shards):
    folder, paths = shards
    back = load_examples(paths)
    fresh = [make_example(Selection("train"), k)[0] for k in range(12)]
    for a, b in zip(back, fresh, strict=True):
        np.testing.assert_allclose(a.features.joints, b.features.joints, atol=2e-3)
        np.testing.assert_allclose(a.features.path, b.features.path, atol=1e-5)
        for name in ("rest", "bones", "paths", "distances", "names", "parents", "depths"):
            np.testing.assert_allclose(getattr(a.code, name), getattr(b.code, name), atol=1e-6)
        assert (a.captions, a.kind, a.action, a.window) == (b.captions, b.kind, b.action, b.window)
    before = [p.stat().st_mtime_ns for p in paths]
    build(folder, Selection("train"), 12)
    assert before == [p.stat().st_mtime_ns for p in paths]
    with pytest.raises(FileError, match="another selection"):
        build(folder, Selection("train", seed=1), 12)


def test_batches_deal_every_example_once_and_the_same_again(shards):
    examples = load_examples(shards[1])
    how = BatchConfig(tokens=600)
    first = list(batches(examples, how, 3, 0))
    assert sum(len(b.texts) for b in first) == 12
    assert len(first) == n_batches(examples, how, 3, 0)
    for a, b in zip(first, batches(examples, how, 3, 0), strict=True):
        torch.testing.assert_close(a.clean, b.clean)
        assert a.texts == b.texts
    other = list(batches(examples, how, 3, 1))
    assert any(a.texts != b.texts for a, b in zip(first, other, strict=False))
    for batch in first:
        b, _, n, _ = batch.clean.shape
        assert len(batch.rig) == b == len(batch.texts)
        assert n == batch.rig.mask.shape[1] + 1
        assert b == 1 or b * n <= how.tokens


def test_poses_are_single_frames(shards):
    examples = load_examples(shards[1])
    assert {b.clean.shape[1] for b in batches(examples, BatchConfig(poses=True), 0, 0)} == {1}


def test_texts_and_names_are_left_out_as_often_as_asked(shards):
    examples = load_examples(shards[1])
    made = list(batches(examples, BatchConfig(uncond=1.0, unnamed=1.0), 0, 0))
    assert {t for b in made for t in b.texts} == {""}
    assert all(b.rig.names.abs().sum() == 0 for b in made)
    kept = list(batches(examples, BatchConfig(uncond=0.0, unnamed=0.0), 0, 0))
    assert all(t for b in kept for t in b.texts)


def test_wrong_selections_and_shards_are_refused(tmp_path):
    for wrong in ({"split": "dev"}, {"kinds": ("unicorn",)}):
        with pytest.raises(SettingsError):
            Selection(**wrong)
    (tmp_path / "x.npz").write_bytes(b"nothing")
    with pytest.raises(FileError):
        load_examples([tmp_path / "x.npz"])


def test_seeds_hang_on_their_names():
    assert seed_of("a", 1) == seed_of("a", 1) != seed_of("a", 2)
    random.Random(seed_of("a", 1))
