"""Rigs and features as padded tensors, scaled to about unit size by constants that hold for every rig, and where a pose
puts the joints, in torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anyrig.features import MAX_DISTANCE, N_JOINT, N_PATH, ROTATION, Features, RigCode, log_size

N_RELATIONS = 3 * (MAX_DISTANCE + 1) + 2
"""Kinds of relation between two tokens: distance times (aside, above, below), and to and from the path's token."""

_JOINT_SCALE = np.array([3.0] * 6 + [10.0] * 3 + [2.0])
_PATH_SCALE = np.array([1.5, 4.0, 0.8, 0.8])
# Over procedural creatures these bring every feature to a deviation of about one.
_MIDDLE = np.array([-0.143, 0.0, 0.0, 0.0, -0.143, 0.0, 0.0, 0.0, 0.0, 0.1])
_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@dataclass(frozen=True, eq=False)
class RigBatch:
    """B rigs of up to J joints; ``mask`` (B, J) is true where there is one. The rest is RigCode's, padded with zeros.

    ``relations`` (B, J + 1, J + 1) number how two tokens are related, of which the first is the path's.
    """

    rest: Tensor
    bones: Tensor
    globals: Tensor
    parents: Tensor
    paths: Tensor
    relations: Tensor
    names: Tensor
    ancestors: Tensor
    mask: Tensor

    def __len__(self) -> int:
        return len(self.mask)

    @property
    def tokens(self) -> Tensor:
        """(B, J + 1), true where there is a token: the path's always."""
        return torch.cat([torch.ones_like(self.mask[:, :1]), self.mask], dim=1)

    def to(self, device: torch.device | str) -> RigBatch:
        """The same on another device."""
        return RigBatch(*(getattr(self, f.name).to(device) for f in fields(self)))

    def repeated(self, times: int) -> RigBatch:
        """The batch ``times`` over, one after the other."""
        return RigBatch(*(getattr(self, f.name).repeat(times, *[1] * (getattr(self, f.name).ndim - 1))
                          for f in fields(self)))  # fmt: skip


def collate_rigs(codes: Sequence[RigCode], n_joints: int | None = None) -> RigBatch:
    """Rigs as a batch, padded to the largest or to ``n_joints``."""
    n = max([c.n_joints for c in codes] + [n_joints or 0])

    def padded(arrays: Sequence[NDArray], kind: torch.dtype, *, square: bool = False) -> Tensor:
        shape = (n, n) if square else (n, *arrays[0].shape[1:])
        out = torch.zeros(len(arrays), *shape, dtype=kind)
        for b, array in enumerate(arrays):
            values = torch.as_tensor(array).to(kind)
            if square:
                out[b, : len(values), : len(values)] = values
            else:
                out[b, : len(values)] = values
        return out

    return RigBatch(
        rest=padded([c.rest for c in codes], torch.float32),
        bones=padded([c.bones for c in codes], torch.float32),
        globals=torch.tensor([[c.floor, log_size(c.size)] for c in codes]),
        parents=padded([c.parents for c in codes], torch.int64),
        paths=padded([c.paths for c in codes], torch.int64),
        relations=_with_path(padded([_relations(c) for c in codes], torch.int64, square=True)),
        names=padded([c.names for c in codes], torch.int64),
        ancestors=padded([c.ancestors() for c in codes], torch.float32, square=True),
        mask=padded([np.ones(c.n_joints) for c in codes], torch.bool),
    )


def _relations(code: RigCode) -> NDArray[np.int64]:
    above = np.zeros((code.n_joints, code.n_joints), dtype=bool)
    for j, parent in enumerate(code.parents):
        if parent >= 0:
            above[j] = above[parent]
            above[j, parent] = True
    return np.asarray(code.distances + (MAX_DISTANCE + 1) * (above * 1 + above.T * 2))


def _with_path(relations: Tensor) -> Tensor:
    b, n, _ = relations.shape
    out = torch.zeros(b, n + 1, n + 1, dtype=torch.int64)
    out[:, 1:, 1:] = relations
    out[:, 1:, 0], out[:, 0, 1:] = N_RELATIONS - 2, N_RELATIONS - 1
    return out


def pack(features: Sequence[Features], n_joints: int | None = None) -> Tensor:
    """(B, T, J + 1, 10) of features of as many frames each: the path first, then the joints, scaled and padded."""
    n = max([f.joints.shape[1] for f in features] + [n_joints or 0])
    out = torch.zeros(len(features), features[0].n_frames, n + 1, N_JOINT)
    for b, f in enumerate(features):
        out[b, :, 0, :N_PATH] = torch.as_tensor(f.path * _PATH_SCALE)
        out[b, :, 1 : f.joints.shape[1] + 1] = torch.as_tensor((f.joints - _MIDDLE) * _JOINT_SCALE)
    return out


def unpack(x: Tensor, n_joints: int, fps: float) -> Features:
    """The features of one rig of ``n_joints`` in (T, J + 1, 10): what :func:`pack` made of them, without stretch."""
    values = x.detach().to("cpu", torch.float64).numpy()
    return Features(
        joints=values[:, 1 : n_joints + 1] / _JOINT_SCALE + _MIDDLE,
        path=values[:, 0, :N_PATH] / _PATH_SCALE,
        stretch=np.zeros((len(values), n_joints, 3)),
        origin=np.zeros(3),
        fps=fps,
    )


def joint_units(x: Tensor) -> Tensor:
    """The joints' features (..., J, 10) of a packed tensor (..., J + 1, 10), in their own units."""
    scale, middle = (torch.as_tensor(a, dtype=x.dtype, device=x.device) for a in (_JOINT_SCALE, _MIDDLE))
    return x[..., 1:, :] / scale + middle


def path_units(x: Tensor) -> Tensor:
    """The path's features (..., 4) of a packed tensor, in their own units."""
    return x[..., 0, :N_PATH] / torch.as_tensor(_PATH_SCALE, dtype=x.dtype, device=x.device)


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
