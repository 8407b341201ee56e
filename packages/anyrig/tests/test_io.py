from __future__ import annotations

import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anyrig import conform, io
from anyrig import rotations as rot
from anyrig.errors import AnyrigError, FileError, SettingsError
from anyrig.skeleton import Clip, Skeleton

seeds = st.integers(0, 2**32 - 1)
SUFFIXES = st.sampled_from(io.SUFFIXES)


def random_model(seed, n_clips=2, n=6):
    rng = np.random.default_rng(seed)
    parents = (-1, *(int(rng.integers(0, j)) for j in range(1, n)))
    skeleton = Skeleton(tuple(f"j{j}" for j in range(n)), parents, rng.normal(size=(n, 3)), rot.random(rng, n))
    clips = []
    for c in range(n_clips):
        n_frames = int(rng.integers(2, 9))
        moves = np.tile(skeleton.offsets, (n_frames, 1, 1))
        moves[:, 0] += np.cumsum(rng.normal(size=(n_frames, 3)), axis=0)
        turns = rot.random(rng, n_frames, n)
        clips.append(Clip(skeleton, turns, moves, 30, name=f"clip {c}", captions=("Ä short", "long"), action="walk"))
    return io.Asset(skeleton, tuple(clips))


def assert_same(a, b, atol=1e-5):
    """The same joints and world positions, whatever the order of the joints."""
    order = [b.skeleton.names.index(name) for name in a.skeleton.names]
    assert a.fps == pytest.approx(b.fps)
    assert a.world()[0] == pytest.approx(b.world()[0][:, order], abs=atol)
    assert rest(a) == pytest.approx(rest(b)[order], abs=atol)


def rest(clip):
    """Rest positions relative to the root, whose own place at rest BVH files do not have."""
    positions = clip.skeleton.rest_positions()
    return positions - positions[clip.skeleton.main_root]


@settings(max_examples=30)
@given(seed=seeds, suffix=SUFFIXES, up=st.sampled_from("xyz"), unit=st.sampled_from(list(conform.UNITS)))
def test_what_is_saved_loads_in_any_axes_and_unit(seed, suffix, up, unit, tmp_path_factory):
    (clip,) = random_model(seed, n_clips=1).clips
    path = tmp_path_factory.mktemp("io") / f"model{suffix}"
    io.save(clip, path, up=up, unit=unit)
    assert_same(io.load(path, up=up, unit=unit).clips[0], clip)


@pytest.mark.parametrize("suffix", io.SUFFIXES)
def test_axes_and_unit_are_those_of_the_numbers_in_the_file(tmp_path, suffix):
    (clip,) = random_model(5, n_clips=1).clips
    io.save(clip, tmp_path / f"model{suffix}", up="z", unit="cm")
    there = io.load(tmp_path / f"model{suffix}").clips[0]
    assert there.world()[0][..., 2] == pytest.approx(100 * clip.world()[0][..., 1], abs=1e-3)
    assert there.world()[0][..., 0] == pytest.approx(100 * clip.world()[0][..., 0], abs=1e-3)


def test_a_z_up_bvh_keeps_joints_that_rest_without_rotation(tmp_path):
    io.save(random_model(5, n_clips=1).clips[0], tmp_path / "model.bvh", up="z")
    skeleton = io.load(tmp_path / "model.bvh", up="z").skeleton
    assert rot.angle(skeleton.rest, rot.IDENTITY).max() < 1e-9


@pytest.mark.parametrize("suffix", [".glb", ".npz"])
def test_all_clips_with_all_they_say(tmp_path, suffix):
    model = random_model(1, n_clips=3)
    io.save(model, tmp_path / f"model{suffix}")
    back = io.load(tmp_path / f"model{suffix}")
    for a, b in zip(back.clips, model.clips, strict=True):
        assert_same(a, b)
        assert (a.name, a.captions, a.action) == (b.name, b.captions, b.action)


def test_an_archive_is_bit_for_bit(tmp_path):
    model = random_model(1, n_clips=3)
    io.write_npz(model, tmp_path / "model.npz")
    back = io.read_npz(tmp_path / "model.npz")
    assert (back.skeleton.names, back.skeleton.parents) == (model.skeleton.names, model.skeleton.parents)
    assert np.array_equal(back.skeleton.offsets, model.skeleton.offsets)
    assert np.array_equal(back.skeleton.rest, model.skeleton.rest)
    for a, b in zip(back.clips, model.clips, strict=True):
        assert np.array_equal(a.rotations, b.rotations)
        assert np.array_equal(a.translations, b.translations)
    with np.load(tmp_path / "model.npz", allow_pickle=False) as arrays:
        assert arrays["positions"] == pytest.approx(np.concatenate([c.world()[0] for c in model.clips]))
    rig = io.Asset(model.skeleton)
    io.write_npz(rig, tmp_path / "rig.npz")
    assert io.read_npz(tmp_path / "rig.npz").clips == ()


@pytest.mark.parametrize("suffix", io.SUFFIXES)
def test_options_change_the_clip_on_its_way_out_and_in(tmp_path, suffix):
    (clip,) = random_model(2, n_clips=1).clips
    turns = clip.rotations.copy()
    turns[:, 0] = rot.about("x", np.linspace(0, 1, clip.n_frames))  # a root that ends facing elsewhere closes no loop
    clip = replace(clip, rotations=turns)
    expected = conform.looped(clip.resampled(60).in_place())
    io.save(clip, tmp_path / f"a{suffix}", fps=60, in_place=True, loop=True)
    io.save(clip, tmp_path / f"b{suffix}")
    assert_same(io.load(tmp_path / f"a{suffix}").clips[0], expected)
    assert_same(io.load(tmp_path / f"b{suffix}", fps=60, in_place=True, loop=True).clips[0], expected)
    ends = io.load(tmp_path / f"a{suffix}").clips[0].world()[0]
    assert ends[0] == pytest.approx(ends[-1], abs=1e-5)


def test_a_bvh_file_holds_one_clip(tmp_path):
    with pytest.raises(FileError, match="there are 2"):
        io.save(random_model(0), tmp_path / "two.bvh")
    assert not (tmp_path / "two.bvh").exists()


@pytest.mark.parametrize(
    ("name", "options", "error"),
    [
        ("model.fbx", {}, FileError),
        ("model", {}, FileError),
        ("model.glb", {"up": "north"}, SettingsError),
        ("model.npz", {"up": "north"}, SettingsError),
        ("model.bvh", {"unit": "ell"}, SettingsError),
        ("model.glb", {"unit": "ell"}, SettingsError),
        ("model.glb", {"fps": 0}, AnyrigError),
        ("nowhere/model.glb", {}, FileError),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line_and_writes_nothing(tmp_path, name, options, error):
    with pytest.raises(error) as raised:
        io.save(random_model(0, n_clips=1).clips[0], tmp_path / name, **options)
    assert "\n" not in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "model.npz"
    io.save(random_model(0), path)
    before = path.read_bytes()
    with pytest.raises(SettingsError):
        io.save(random_model(1), path, unit="ell")
    assert path.read_bytes() == before
    io.save(random_model(1), path)
    assert path.read_bytes() != before
    assert [p.name for p in tmp_path.iterdir()] == ["model.npz"]


def repacked(path, **changes):
    with np.load(path, allow_pickle=False) as archive:
        arrays = dict(archive)
    for name, change in changes.items():
        arrays[name] = change(arrays[name])
        if arrays[name] is None:
            del arrays[name]
    np.savez(path, **arrays)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rest": lambda a: None}, "no array 'rest'"),
        ({"parents": lambda a: a[::-1]}, "parent"),
        ({"offsets": lambda a: a[:2]}, "offsets"),
        ({"rotations": lambda a: a[:-1]}, "n_frames sums to"),
        ({"fps": lambda a: a * 0}, "frame rate"),
        ({"n_frames": lambda a: -a}, "n_frames sums to"),
        ({"captions": lambda a: np.array(["{"] * len(a))}, "not an archive"),
        ({"names": lambda a: np.array([object()] * len(a), dtype=object)}, "not an archive"),
        ({"translations": lambda a: a * np.nan}, "not finite"),
    ],
)
def test_archives_that_are_none_of_ours(tmp_path, changes, words):
    path = tmp_path / "model.npz"
    io.write_npz(random_model(0), path)
    repacked(path, **changes)
    with pytest.raises(FileError, match=words) as error:
        io.read_npz(path)
    assert "\n" not in str(error.value)


def test_archives_that_are_no_archives_or_unpack_without_end(tmp_path, monkeypatch):
    path = tmp_path / "model.npz"
    path.write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(FileError, match="not an archive"):
        io.read_npz(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rest.npy", bytes(5 << 20))
    monkeypatch.setattr("anyrig.io.npz.MAX_BYTES", 1 << 20)
    with pytest.raises(FileError, match="unpacks to 5 MiB"):
        io.read_npz(path)


@settings(max_examples=15)
@given(seed=seeds)
def test_captions_are_any_text(seed, tmp_path_factory):
    rng = np.random.default_rng(seed)
    texts = tuple("".join(chr(int(c)) for c in rng.integers(1, 0xD7FF, 5)) for _ in range(3))
    model = random_model(0, n_clips=1)
    model = replace(model, clips=(replace(model.clips[0], captions=texts, name=json.dumps(texts)),))
    for suffix in (".glb", ".npz"):
        path = tmp_path_factory.mktemp("io") / f"model{suffix}"
        io.save(model, path)
        assert io.load(path).clips[0].captions == texts
