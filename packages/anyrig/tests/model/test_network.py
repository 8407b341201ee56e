"""The network: padding, order and switches; what goes in comes out of files."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from anyrig import creatures
from anyrig.errors import FileError, SettingsError
from anyrig.features import POSITION, encode, rig_code
from anyrig.model import (
    ModelConfig,
    MotionModel,
    collate_rigs,
    joint_units,
    load_model,
    pack,
    positions,
    save_model,
    unpack,
    waves,
)
from anyrig.skeleton import Skeleton

SMALL = ModelConfig(width=16, layers=2, heads=2, max_frames=8, text_width=8, text_layers=1)


@pytest.fixture(scope="module")
def clips():
    found = []
    for kind in ("quadruped", "serpent", "bird"):
        rng = random.Random(1)
        found.append(creatures.clip(creatures.plan(kind, rng), "idle", rng, seconds=1.0))
    return found


def opened(config=SMALL, seed=0):
    """A model whose gates and heads, which start closed, are open."""
    torch.manual_seed(seed)
    model = MotionModel(config)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "modulate" in name or "_out" in name or "relations" in name:
                p.normal_(std=0.1)
    return model.eval()


def inputs(clips, frames=8):
    features = [encode(c).cut(0, frames) for c in clips]
    return pack(features), collate_rigs([rig_code(c.skeleton) for c in clips])


def test_what_is_packed_comes_back(clips):
    x, _ = inputs(clips)
    for row, clip in zip(x, clips, strict=True):
        features = encode(clip).cut(0, 8)
        back = unpack(row, clip.skeleton.n_joints, 15.0)
        np.testing.assert_allclose(back.joints, features.joints, atol=1e-5)
        np.testing.assert_allclose(back.path, features.path, atol=1e-5)


def test_scaled_features_are_of_about_unit_size(clips):
    x, _ = inputs(clips)
    assert 0.1 < x[:, :, 1:].std() < 3


@torch.no_grad()
def test_padding_and_neighbours_in_the_batch_change_nothing(clips):
    model = opened()
    x, rig = inputs(clips)
    level = torch.tensor([0.3, 0.6, 0.9])
    texts = ["it walks", "", "a long text about how the wings beat up and down"]
    together = model(x, level, rig, texts)
    for b, clip in enumerate(clips):
        n = clip.skeleton.n_joints + 1
        alone = model(x[b : b + 1, :, :n], level[b : b + 1], collate_rigs([rig_code(clip.skeleton)]), [texts[b]])
        torch.testing.assert_close(together[b : b + 1, :, :n], alone, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_joints_in_another_order_get_the_same_motion(clips):
    model = opened()
    s = clips[0].skeleton
    order, stack = [], list(s.roots)
    while stack:
        order.append(stack.pop())
        stack.extend(s.children[order[-1]])
    new = {j: k for k, j in enumerate(order)}
    parents = tuple(new[s.parents[j]] if s.parents[j] >= 0 else -1 for j in order)
    other = Skeleton(tuple(s.names[j] for j in order), parents, s.offsets[order], s.rest[order])
    x, rig = inputs(clips[:1])
    level = torch.tensor([0.5])
    moved = torch.cat([x[:, :, :1], x[:, :, 1:][:, :, order]], dim=2)
    first = model(x, level, rig, ["it walks"])[:, :, 1:][:, :, order]
    second = model(moved, level, collate_rigs([rig_code(other)]), ["it walks"])[:, :, 1:]
    torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-4)
    numbered = opened(replace(SMALL, position="sequence"))
    first = numbered(x, level, rig, ["it walks"])[:, :, 1:][:, :, order]
    second = numbered(moved, level, collate_rigs([rig_code(other)]), ["it walks"])[:, :, 1:]
    assert (first - second).abs().max() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize(
    "off", [{"position": "none"}, {"distances": False}, {"rest_pose": False}, {"joint_names": False}]
)
def test_every_switch_takes_its_knowledge_away(clips, off):
    (name,) = off
    model = opened(replace(SMALL, **off))
    x, rig = inputs(clips[:1])
    blank = {
        "position": {"paths": torch.zeros_like(rig.paths)},
        "distances": {"relations": torch.zeros_like(rig.relations)},
        "rest_pose": {"rest": 0 * rig.rest, "bones": 0 * rig.bones, "globals": 0 * rig.globals},
        "joint_names": {"names": torch.zeros_like(rig.names)},
    }[name]
    level = torch.tensor([0.5])
    for one, same in ((model, True), (opened(SMALL), False)):
        a = one(x, level, rig, ["walk"])
        b = one(x, level, replace(rig, **blank), ["walk"])
        assert bool((a - b).abs().max() < 1e-6) is same


@torch.no_grad()
def test_the_text_matters_and_words_it_never_saw_are_told_by_their_pieces(clips):
    model = opened()
    vectors = [model.read([t]).tokens[0, 1] for t in ("prowling", "prowls", "sleeps")]
    assert (vectors[0] - vectors[1]).norm() < (vectors[0] - vectors[2]).norm()
    x, rig = inputs(clips[:1])
    level = torch.tensor([0.5])
    assert (model(x, level, rig, ["it flies"]) - model(x, level, rig, [""])).abs().max() > 1e-4


@torch.no_grad()
def test_a_shorter_window_is_told_from_one_that_ends_at_rest(clips):
    model = opened()
    x, rig = inputs(clips, frames=4)
    short = model(x, torch.full((3,), 0.5), rig, ["idle"] * 3)
    assert short.shape == (*x.shape[:-1], 20)
    empty = torch.cat([x, torch.zeros_like(x)], dim=1)
    assert (model(empty, torch.full((3,), 0.5), rig, ["idle"] * 3)[:, :4] - short).abs().max() > 1e-4
    with pytest.raises(SettingsError, match="16 frames are more than a window of 8"):
        model(torch.cat([empty, empty], dim=1), torch.full((3,), 0.5), rig, ["idle"] * 3)


@torch.no_grad()
def test_positions_of_packed_motion_are_the_features(clips):
    x, rig = inputs(clips)
    there = joint_units(x)[..., POSITION] + rig.rest[:, None]
    here = positions(x, rig)
    mask = rig.mask[:, None, :, None]
    assert ((here - there) * mask).abs().max() < 1e-4


@torch.no_grad()
def test_what_is_kept_passes_a_filter_of_the_windows_frequencies(clips):
    model = MotionModel(SMALL).eval()
    x, rig = inputs(clips, frames=8)
    kept, added = model(x, torch.full((3,), 0.5), rig, ["idle"] * 3).chunk(2, dim=-1)
    torch.testing.assert_close(kept[:, :, 1:], x[:, :, 1:])  # all of it before anything is learned
    assert added.abs().max() == 0
    gains = model.joint_out.bias.view(2, SMALL.max_frames, 10)[0]
    gains[1:] = -30.0  # nothing but the mean
    kept, _ = model(x, torch.full((3,), 0.5), rig, ["idle"] * 3).chunk(2, dim=-1)
    torch.testing.assert_close(kept[:, :, 1:], x.mean(dim=1, keepdim=True).expand_as(x)[:, :, 1:])


def test_every_weight_has_a_gradient(clips):
    model = opened()
    x, rig = inputs(clips)
    model(x, torch.rand(3), rig, ["it walks", "it runs fast", "it"]).square().mean().backward()
    still = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # A bias on keys shifts all scores of a query alike, which the softmax does not see, but half of it is for values.
    assert not still


def test_a_model_comes_back_from_its_file(clips, tmp_path):
    model = opened()
    save_model(model, tmp_path / "m.safetensors", about={"steps": 3})
    back, about = load_model(tmp_path / "m.safetensors")
    assert about == {"steps": 3}
    assert back.config == SMALL
    x, rig = inputs(clips[:1])
    with torch.no_grad():
        a, b = (m(x, torch.tensor([0.5]), rig, ["walk"]) for m in (model, back))
    torch.testing.assert_close(a, b, atol=2e-3, rtol=2e-3)  # 16-bit weights


def test_the_default_model_is_small_enough_to_ship():
    n = sum(p.numel() for p in MotionModel(ModelConfig()).parameters())
    assert 2 * n <= 20e6


@pytest.mark.parametrize("text", [b"", b"no weights at all", b"\xff" * 100])
def test_files_that_hold_no_model_give_one_line(tmp_path, text):
    path = tmp_path / "m.safetensors"
    path.write_bytes(text)
    with pytest.raises(FileError) as e:
        load_model(path)
    assert "\n" not in str(e.value)
    with pytest.raises(FileError, match="does not exist"):
        load_model(tmp_path / "none.safetensors")


@pytest.mark.parametrize(
    "wrong",
    [{"width": 15}, {"layers": 0}, {"position": "leaf"}, {"max_frames": 0}, {"wdith": 3}, {"width": "128"},
     {"fps": 0.0}, {"distances": 1}],
)  # fmt: skip
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(SettingsError):
        ModelConfig.from_dict(wrong)
    assert ModelConfig.from_dict(ModelConfig().to_dict()) == ModelConfig()


def test_encoders_that_are_not_there_are_refused():
    with pytest.raises(SettingsError, match="builtin"):
        MotionModel(replace(SMALL, text="word2vec"))


def test_waves_tell_numbers_apart():
    table = waves(torch.arange(60), 16)
    assert torch.cdist(table, table).fill_diagonal_(9).min() > 0.05
