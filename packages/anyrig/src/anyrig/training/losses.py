"""What is asked of an estimate of clean motion: features, and what the pose that they make does."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from anyrig.features import CONTACT, POSITION
from anyrig.features.motion import FORWARD, HEIGHT, LEFT, N_PATH, TURNING
from anyrig.model import RigBatch
from anyrig.model.batch import joint_units, path_units
from anyrig.model.contrast import contrast
from anyrig.model.kinematics import positions


@dataclass(frozen=True, slots=True)
class Weights:
    """Of the terms of the loss (see :func:`losses`)."""

    joints: float = 1.0
    path: float = 1.5
    places: float = 3.0
    moves: float = 30.0
    skate: float = 0.3
    texts: float = 0.2


def losses(
    out: Tensor, clean: Tensor, rig: RigBatch, fps: float, weights: Weights, spread: Tensor
) -> dict[str, Tensor]:
    """The terms of the loss, weighted, each a mean over what there is; both motions (B, T, J + 1, 10), packed.

    ``joints`` and ``path``: squared errors of the features, scaled, over the ``spread`` (B,) that the noise leaves
    them, so that all levels count alike. ``places``: of the positions to which the rotations lead, in sizes; ``moves``:
    of how they change from frame to frame. ``skate``: squared speed over the ground of joints that ought to stand,
    sizes a second.
    """
    mask = rig.mask[:, None, :, None].to(out.dtype)
    n_frames = out.shape[1]
    count = mask.sum() * n_frames
    there = joint_units(clean)
    where = positions(out, rig)
    lift = (path_units(out)[..., HEIGHT] - path_units(clean)[..., HEIGHT])[..., None, None]
    up = torch.tensor([0.0, 1.0, 0.0], device=out.device)
    wrong = (where - rig.rest[:, None] - there[..., POSITION]) * mask
    error = (out - clean) / spread[:, None, None, None]
    terms = {
        "joints": (error[:, :, 1:].square() * mask).mean(dim=-1).sum() / count,
        "path": error[:, :, 0, :N_PATH].square().mean(),
        "places": (wrong + lift * up * mask).square().sum() / count,
    }
    if n_frames > 1:
        pairs = mask.sum() * (n_frames - 1)
        terms["moves"] = wrong.diff(dim=1).square().sum() / pairs
        standing = there[..., CONTACT, None] * mask
        speed = ground_speed(where, path_units(out), fps) * standing[:, 1:]
        terms["skate"] = speed.square().sum() / standing.sum().clamp(min=1.0)
    return {name: getattr(weights, name) * value for name, value in terms.items()}


def text_loss(texts: Tensor, others: Tensor, alike: Tensor, sharpness: float = 10.0) -> Tensor:
    """How badly captions (B, E) tell which of the others (B, E) is of the same motion, by cosines.

    Motions that are ``alike`` (B, B) are no contrast to each other. The motion's own losses say little of a text before
    much else is learned, and a text encoder that is told nothing else comes to say the same of all.
    """
    return contrast(sharpness * F.normalize(texts, dim=-1) @ F.normalize(others, dim=-1).T, alike)


def ground_speed(where: Tensor, path: Tensor, fps: float) -> Tensor:
    """The velocity (B, T - 1, J, 3) of joints over the ground along the heading's axes, in sizes a second.

    ``where`` (B, T, J, 3) is relative to the main root and the heading, ``path`` (B, T, 4) in its own units. To first
    order in the turn of a frame.
    """
    moved = where.diff(dim=1) * fps
    middle = (where[:, 1:] + where[:, :-1]) / 2
    turning = path[:, 1:, TURNING, None]
    x = path[:, 1:, LEFT, None] + turning * middle[..., 2]
    z = path[:, 1:, FORWARD, None] - turning * middle[..., 0]
    y = (path[:, 1:, HEIGHT] - path[:, :-1, HEIGHT])[..., None].expand_as(x) * fps
    return moved + torch.stack([x, y, z], dim=-1)
