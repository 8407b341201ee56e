"""Where a pose puts the joints, in torch: what the losses look at."""

from __future__ import annotations

import torch
from torch import Tensor

from anyrig.features import ROTATION
from anyrig.model.batch import RigBatch, joint_units

_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def matrices(six: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3) of 6D rotations less the identity, by Gram and Schmidt."""
    six = six + torch.tensor(_IDENTITY, dtype=six.dtype, device=six.device)
    first = torch.nn.functional.normalize(six[..., :3], dim=-1, eps=1e-6)
    second = six[..., 3:] - (first * six[..., 3:]).sum(dim=-1, keepdim=True) * first
    second = torch.nn.functional.normalize(second, dim=-1, eps=1e-6)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=-1)


def positions(x: Tensor, rig: RigBatch) -> Tensor:
    """(B, T, J, 3) positions relative to the main root, along the heading's axes, in sizes, of packed motion."""
    turns = matrices(joint_units(x)[..., ROTATION])
    b, t, j = turns.shape[:3]
    parents = rig.parents.clamp(min=0)[:, None, :, None, None].expand(b, t, j, 3, 3)
    above = torch.gather(turns, 2, parents)
    bones = rig.bones[:, None].expand(b, t, j, 3)
    turned = (above @ bones[..., None])[..., 0]
    turned = torch.where((rig.parents >= 0)[:, None, :, None], turned, bones)
    return rig.ancestors[:, None] @ turned
