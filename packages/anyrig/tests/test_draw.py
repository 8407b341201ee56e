from __future__ import annotations

import random

import numpy as np
import pytest
from PIL import Image

from anyrig import creatures
from anyrig import rotations as rot
from anyrig.conform import whole
from anyrig.draw import contact_sheet
from anyrig.errors import FileError, SettingsError
from anyrig.skeleton import FREE, Clip, Skeleton


def clips():
    return [creatures.sample(seed, seconds=1.0) for seed in (0, 1, 2)]


def ink(image, colour):
    """Where the picture has about this colour."""
    return np.abs(np.asarray(image, dtype=int) - np.array(colour)).max(axis=-1) < 40


def test_every_cell_shows_a_figure(tmp_path):
    path = tmp_path / "sheet.png"
    contact_sheet(clips(), path, frames=5, cell=96)
    image = Image.open(path)
    assert image.width == 5 * 96
    row = image.height // 3
    dark = ink(image, (40, 40, 46)) | ink(image, (24, 96, 190)) | ink(image, (204, 80, 34))
    for r in range(3):
        for c in range(5):
            assert dark[r * row + 20 : (r + 1) * row, c * 96 : (c + 1) * 96].sum() > 20


def test_left_and_right_have_their_colours_and_the_frames_differ(tmp_path):
    dog = creatures.plan("quadruped", random.Random(4))
    contact_sheet([creatures.clip(dog, "run", random.Random(4))], tmp_path / "dog.png", frames=4, cell=160)
    image = Image.open(tmp_path / "dog.png")
    assert ink(image, (24, 96, 190)).sum() > 50
    assert ink(image, (204, 80, 34)).sum() > 50
    pixels = np.asarray(image)[20:]
    assert any(not np.array_equal(pixels[:, :160], pixels[:, k * 160 : (k + 1) * 160]) for k in range(1, 3))


def test_the_same_clips_give_the_same_file(tmp_path):
    for name in ("a.png", "b.png"):
        contact_sheet(clips(), tmp_path / name, frames=3, cell=64)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_foot_that_hangs_on_a_target_is_drawn_on_its_leg(tmp_path):
    rest = [[0, 1, 0], [0, -0.5, 0], [0, -0.5, 0.05], [0, 0.0, 0.05], [0.3, 0.5, 0]]
    skeleton = Skeleton(
        ("hips", "thigh", "shin", "foot", "pole"), (-1, 0, 1, -1, -1), rest, carriers=(-1, 0, 1, 2, FREE)
    )
    moves = np.tile(skeleton.offsets, (12, 1, 1))
    moves[:, [0, 3], 2] += np.linspace(0, 0.4, 12)[:, None]
    clip = Clip(skeleton, rot.identity(12, 5), moves, 12)
    contact_sheet([clip], tmp_path / "forest.png", frames=3, cell=96)
    contact_sheet([whole(clip)], tmp_path / "tree.png", frames=3, cell=96)
    assert (tmp_path / "forest.png").read_bytes() == (tmp_path / "tree.png").read_bytes()


def test_nothing_to_draw_and_nowhere_to_write_give_one_line(tmp_path):
    with pytest.raises(SettingsError):
        contact_sheet([], tmp_path / "none.png")
    with pytest.raises(FileError) as caught:
        contact_sheet(clips()[:1], tmp_path / "missing" / "sheet.png", frames=2, cell=32)
    assert "\n" not in str(caught.value)
