"""Skeletons hundreds of joints deep, and numbers that a format cannot hold."""

from __future__ import annotations

import numpy as np
import pytest

from anyrig import io
from anyrig import rotations as rot
from anyrig.errors import FileError
from anyrig.io import Asset
from anyrig.skeleton import Clip, Skeleton

SUFFIXES = (".glb", ".gltf", ".bvh", ".npz")


def chain(n, *, rest=False, scale=0.05):
    """A tail of ``n`` joints that all bend in every frame, by hundreds of degrees in all."""
    rng = np.random.default_rng(n)
    names = tuple(f"b{j}" for j in range(n))
    turned = rot.random(rng, n) if rest else rot.identity(n)
    skeleton = Skeleton(names, tuple(range(-1, n - 1)), np.tile([0, 0, scale], (n, 1)), turned)
    bends = rot.from_euler(rng.normal(scale=0.15, size=(6, n, 3)), "YXZ")
    return Clip(skeleton, rot.multiply(turned, bends), skeleton.offsets, 30)


def comb(n):
    """A deep back with a rib on every joint."""
    back = chain(n)
    names = (*back.skeleton.names, *(f"rib{j}" for j in range(n)))
    parents = (*back.skeleton.parents, *range(n))
    skeleton = Skeleton(names, parents, np.tile([0.02, 0, 0.05], (2 * n, 1)))
    return Clip(skeleton, np.concatenate([back.rotations, back.rotations], axis=1), skeleton.offsets, 30)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "clip",
    [chain(60), chain(64, scale=5.0), chain(120, rest=True), chain(1000), comb(90)],
    ids=["60", "large", "with a rest pose", "1000", "ribs"],
)
def test_deep_skeletons_come_back_as_they_were(clip, suffix, tmp_path):
    io.save(clip, tmp_path / f"deep{suffix}")
    back = io.load(tmp_path / f"deep{suffix}").clips[0]
    at = [back.skeleton.names.index(name) for name in clip.skeleton.names]
    size = np.ptp(clip.world()[0], axis=(0, 1)).max()
    assert back.world()[0][:, at] == pytest.approx(clip.world()[0], abs=2e-6 * size)


def test_a_deep_skeleton_may_be_written_again_and_again(tmp_path):
    clip, path = chain(80), tmp_path / "again.glb"
    model = Asset(clip.skeleton, (clip,))
    for _ in range(4):
        made = tuple(Clip(c.skeleton, c.rotations, c.translations, c.fps) for c in model.clips)
        io.save(Asset(model.skeleton, made, model.source), path)
        model = io.load(path)
    assert model.clips[0].world()[0] == pytest.approx(clip.world()[0], abs=1e-6)


def test_world_rotations_are_unit_at_any_depth_whatever_the_local_ones_are():
    n = 500
    skeleton = chain(n).skeleton
    q = rot.random(np.random.default_rng(1), n) * 1.001
    positions, rotations = skeleton.world(rot.normalize(q), skeleton.offsets)
    assert np.linalg.norm(rotations, axis=-1) == pytest.approx(np.ones(n), abs=1e-12)
    local_r, local_t = skeleton.local(positions, 1.001 * rotations)
    again, _ = skeleton.world(local_r, local_t)
    assert again == pytest.approx(positions, abs=1e-9)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("where", ["offset", "motion"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_is_not_finite_is_never_written(suffix, where, tmp_path):
    large = 1e39 if suffix in (".glb", ".gltf") else 1.7e308  # single and double precision
    offsets = np.array([[0.0, 0, 0], [large, 0, 0], [large, 0, 0]])
    skeleton = Skeleton(("a", "b", "c"), (-1, 0, 1), offsets if where == "offset" else np.eye(3))
    clip = Clip(skeleton, rot.identity(2, 3), offsets, 30)
    with pytest.raises(FileError, match=r"big\.\w+ cannot be written: .*not finite"):
        io.save(clip, tmp_path / f"big{suffix}")
    assert not list(tmp_path.iterdir()), "nothing half written"
