"""Schedules, steps and windows: known distributions come out, given frames stay, windows cover and blend."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anyrig.diffusion import (
    COSINE,
    FLOW,
    Draft,
    Guide,
    Sampling,
    blend,
    denoise,
    levels,
    noise,
    schedule,
    shifted,
    windows,
)
from anyrig.errors import SettingsError


def gaussian(how, mean, deviation):
    """The best answer for clean values that are normal, of a network that knows everything."""

    def answer(x, t):
        level = torch.tensor([t])
        a, s = float(how.alpha(level)), float(how.sigma(level))
        gain = a * deviation**2 / (a * a * deviation**2 + s * s)
        return answer_for(how, x, mean + gain * (x - a * mean), level)

    return answer


def answer_for(how, x, clean, level):
    """The answer to ``x``, all of which is kept, that stands for ``clean``."""
    nothing, one = (how.predict_x0(x, torch.full_like(x, v), level) for v in (0.0, 1.0))
    return torch.cat([x, (clean - nothing) / (one - nothing)], dim=-1)


def keeping(share):
    """A network that keeps a share of what it is given and adds nothing."""
    return lambda x, t: torch.cat([share * x, torch.zeros_like(x)], dim=-1)


@pytest.mark.parametrize("name", ["flow", "cosine"])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_a_known_distribution_comes_out(name, eta):
    generator = torch.Generator().manual_seed(0)
    start = noise((20_000, 1, 1, 1), generator)
    out = denoise(gaussian(schedule(name), 2.0, 0.5), start, Sampling(steps=60, eta=eta, schedule=name), generator)
    assert out.mean() == pytest.approx(2.0, abs=0.02)
    assert out.std() == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize("how", [FLOW, COSINE])
def test_an_answer_says_what_the_noise_leaves_open(how):
    x, said = torch.randn(3, 4), torch.randn(3, 4)
    torch.testing.assert_close(how.predict_x0(x, said, torch.zeros(3)), x)  # nothing
    torch.testing.assert_close(how.predict_x0(x, said, torch.ones(3)), 0.5 * said, atol=1e-6, rtol=0)  # all
    spread = how.spread(torch.linspace(0, 1, 9))
    assert (spread.diff() > 0).all()
    assert (spread[0], spread[-1]) == (0, pytest.approx(1))


@pytest.mark.parametrize("how", [FLOW, COSINE])
def test_without_an_answer_it_is_the_best_linear_guess(how):
    torch.manual_seed(0)
    clean, white = 0.5 * torch.randn(50_000), torch.randn(50_000)
    for t in (0.2, 0.5, 0.8):
        level = torch.tensor([t])
        x = how.mix(clean[None], white[None], level)[0]
        slope = float((x * clean).sum() / (x * x).sum())
        torch.testing.assert_close(how.predict_x0(x, torch.zeros_like(x), level), slope * x, atol=0.02, rtol=0)


@pytest.mark.parametrize("how", [FLOW, COSINE])
def test_the_ends_are_clean_motion_and_noise(how):
    clean, white = torch.randn(2, 5), torch.randn(2, 5)
    torch.testing.assert_close(how.mix(clean, white, torch.zeros(2)), clean)
    torch.testing.assert_close(how.mix(clean, white, torch.ones(2)), white, atol=1e-6, rtol=0)


@given(st.floats(0.1, 1.0), st.floats(0.0, 0.09))
def test_a_step_with_the_truth_stays_on_the_path(t, s):
    clean, white = torch.tensor([0.3, -2.0]), torch.tensor([1.0, 0.5])
    for how in (FLOW, COSINE):
        x = how.mix(clean[None], white[None], torch.tensor([t]))
        want = how.mix(clean[None], white[None], torch.tensor([s]))
        torch.testing.assert_close(how.step(x, clean, t, s, 0.0, white), want, atol=1e-4, rtol=1e-4)


def test_a_straight_step_is_eulers():
    x, clean = torch.tensor([1.5]), torch.tensor([0.25])
    torch.testing.assert_close(FLOW.step(x, clean, 0.8, 0.5, 0.0, x), x + (0.5 - 0.8) * (x - clean) / 0.8)


def test_what_is_given_stays():
    known, mask = torch.full((10, 3), 7.0), torch.zeros(10, 1)
    mask[[0, 9]] = 1
    out = denoise(keeping(0.5), torch.randn(10, 3), Sampling(steps=5), guide=Guide(known, mask))
    torch.testing.assert_close(out[[0, 9]], known[[0, 9]])
    assert (out[1:9] != 7.0).all()


def test_the_same_generator_gives_the_same_motion():
    def run():
        generator = torch.Generator().manual_seed(4)
        return denoise(keeping(0.9), torch.ones(6, 2, 3), Sampling(steps=4, eta=1.0), generator)

    torch.testing.assert_close(run(), run(), atol=0, rtol=0)


def test_noise_is_smooth_in_time_and_nothing_else():
    x = noise((200, 64, 4, 5), torch.Generator().manual_seed(0))
    assert x.shape == (200, 64, 4, 5)
    torch.testing.assert_close(x.square().mean(dim=(0, 2, 3)), torch.ones(64), atol=0.1, rtol=0)  # at the ends as well
    neighbours = [(x.narrow(d, 1, n - 1) * x.narrow(d, 0, n - 1)).mean() for d, n in enumerate(x.shape)]
    assert [abs(float(v)) < 0.02 for v in neighbours] == [True, False, True, True]
    power = torch.fft.rfft(x, dim=1).abs().square().mean(dim=(0, 2, 3))
    assert (power[1:].log().diff() < 0.2).all()
    assert 100 < power[1] / power[-1] < 10_000


def test_levels_go_down_to_zero():
    assert levels(4) == [1.0, 0.75, 0.5, 0.25, 0.0]


def test_a_draft_without_noise_stays_and_one_of_noise_is_as_if_it_were_not_there():
    start, motion = noise((1, 16, 2, 10), None), torch.randn(1, 16, 2, 10)
    calls = []

    def predict(x, level):
        calls.append(level)
        return torch.cat([x, torch.zeros_like(x)], dim=-1)

    everywhere = torch.ones(1, 16, 1, 1)
    kept = denoise(predict, start, Sampling(steps=4), draft=Draft(motion, everywhere, 0.0))
    torch.testing.assert_close(kept, motion)
    assert not calls
    none = denoise(predict, start, Sampling(steps=4))
    torch.testing.assert_close(denoise(predict, start, Sampling(steps=4), draft=Draft(motion, everywhere, 1.0)), none)
    calls.clear()
    denoise(predict, start, Sampling(steps=4), draft=Draft(motion, everywhere, 0.5))
    assert calls == [0.5, 0.25]


def test_where_there_is_no_draft_all_steps_are_taken():
    start, motion = noise((1, 16, 2, 10), None), torch.randn(1, 16, 2, 10)
    there = torch.zeros(1, 16, 1, 1)
    there[:, :8] = 1.0
    calls = []

    def predict(x, level):
        calls.append(level)
        return torch.cat([x, torch.zeros_like(x)], dim=-1)

    out = denoise(predict, start, Sampling(steps=4), draft=Draft(motion, there, 0.0))
    torch.testing.assert_close(out[:, :8], motion[:, :8])
    assert len(calls) == 4


prompts = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 200)), min_size=1, max_size=5)


@given(prompts, st.sampled_from([32, 64]), st.sampled_from([0, 8, 16]), st.sampled_from([1, 4]))
def test_windows_cover_everything_in_order(asked, longest, overlap, multiple):
    found = windows(asked, longest, overlap, multiple)
    assert found[0].start == 0
    assert found[-1].stop >= sum(n for _, n in asked)
    for w in found:
        assert 0 < w.n_frames <= longest
        assert w.n_frames % multiple == 0
        assert w.start % multiple == 0
    for a, b in pairwise(found):
        assert a.start <= b.start
        assert a.stop - b.start >= min(overlap, a.n_frames // 2 // multiple * multiple)  # no gap, enough to blend over
    texts = [w.text for w in found]
    order = [t for k, t in enumerate(texts) if k == 0 or texts[k - 1] != t]
    assert order == [t for k, (t, _) in enumerate(asked) if k == 0 or asked[k - 1][0] != t]


@given(prompts)
def test_blending_windows_of_one_motion_gives_that_motion(asked):
    parts = windows(asked, 32, 8, 4)
    x = torch.randn(parts[-1].stop, 3)
    for tilings in ([parts], [parts, shifted(parts, 4)]):
        torch.testing.assert_close(blend(x, tilings, lambda piece, w: 2 * piece, patch=4), 2 * x)


def test_two_windows_fade_into_each_other():
    parts = windows([("a", 16), ("b", 16)], 32, 8, 4)
    values = blend(torch.zeros(parts[-1].stop), [parts], lambda piece, w: torch.full_like(piece, float(w.text == "b")))
    assert values[0] == 0
    assert values[-1] == 1
    assert (values.diff() >= 0).all()
    assert values.diff().max() < 0.2


@given(prompts, st.integers(2, 5))
def test_a_shifted_tiling_lies_within_the_motion_and_has_its_seams_elsewhere(asked, patch):
    parts = windows(asked, 8 * patch, 2 * patch, patch)
    moved = shifted(parts, patch)
    assert all(0 < w.n_frames <= 8 * patch and w.n_frames % patch == 0 for w in moved)
    assert all(w.start % patch == patch // 2 for w in moved)
    if moved:
        assert moved[0].start > 0
        assert parts[-1].stop - patch < moved[-1].stop < parts[-1].stop
    assert all(b.start <= a.stop for a, b in pairwise(moved))


def test_what_neighbouring_patches_say_meets_where_two_tilings_are_asked():
    parts = windows([("a", 64)], 64, 16, 8)

    def steps(piece, window):  # a value for each patch
        return (torch.arange(window.n_frames) // 8 + window.start / 8).to(piece)

    once, twice = (blend(torch.zeros(64), t, steps, patch=8) for t in ([parts], [parts, shifted(parts, 8)]))
    assert once.diff().max() == 1
    assert twice[8:-8].diff().max() < 0.25


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"guidance": -1.0}, {"eta": 2.0}, {"schedule": "linear"}])
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(SettingsError):
        Sampling(**wrong)


@pytest.mark.parametrize("wrong", [([], 32, 8), ([("a", 0)], 32, 8), ([("a", 9)], 32, 20)])
def test_wrong_windows_are_refused(wrong):
    with pytest.raises(SettingsError):
        windows(*wrong)
