"""Text-to-motion for any skeleton.

The names below are the public library; each is imported at its first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_NAMES = {
    "AnyrigError": "errors",
    "Asset": "io",
    "Clip": "skeleton",
    "FileError": "errors",
    "Skeleton": "skeleton",
    "augment": "augmentation",
    "decode": "features",
    "encode": "features",
    "from_euler": "rotations",
    "generate": "generation",
    "load": "io",
    "retarget": "retargeting",
    "save": "io",
    "scale_bones": "augmentation",
    "split_joint": "augmentation",
}
__all__ = sorted(_NAMES)

if TYPE_CHECKING:
    from anyrig.augmentation import augment as augment
    from anyrig.augmentation import scale_bones as scale_bones
    from anyrig.augmentation import split_joint as split_joint
    from anyrig.errors import AnyrigError as AnyrigError
    from anyrig.errors import FileError as FileError
    from anyrig.features import decode as decode
    from anyrig.features import encode as encode
    from anyrig.generation import generate as generate
    from anyrig.io import Asset as Asset
    from anyrig.io import load as load
    from anyrig.io import save as save
    from anyrig.retargeting import retarget as retarget
    from anyrig.rotations import from_euler as from_euler
    from anyrig.skeleton import Clip as Clip
    from anyrig.skeleton import Skeleton as Skeleton


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_NAMES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_NAMES]
