"""What a model is made of. Every kind of knowledge about a rig can be switched off, to learn what it is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from anyrig.errors import SettingsError

POSITIONS = ("tree", "sequence", "none")


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Sizes and switches.

    A token is one joint over ``patch`` frames; ``layers`` times, tokens attend to those of the same time and to the
    text, then to those of the same joint, then to themselves. About ``32 * width ** 2`` operations a token and layer.

    ``position`` is how a joint's place in the skeleton is told: by its root path (``"tree"``, TreePE of arXiv
    2503.04257), by its number (``"sequence"``) or not at all (``"none"``). ``distances`` biases attention by the bones
    between two joints; ``rest_pose`` tells where joints rest (RestPE), ``joint_names`` what they are called.
    ``text`` is ``"builtin"`` or the name of a frozen encoder (see :func:`anyrig.model.text.open_encoder`), the width
    of whose vectors is ``text_width``. ``fps`` is the frame rate that the model was trained at.
    """

    width: int = 128
    layers: int = 6
    heads: int = 4
    patch: int = 8
    max_frames: int = 64
    position: str = "tree"
    distances: bool = True
    rest_pose: bool = True
    joint_names: bool = True
    text: str = "builtin"
    text_width: int = 64
    text_layers: int = 2
    fps: float = 15.0

    def __post_init__(self) -> None:
        if self.position not in POSITIONS:
            raise SettingsError(f"a joint's position is one of {', '.join(POSITIONS)}, not {self.position!r}")
        if min(self.width, self.layers, self.heads, self.patch, self.text_width) < 1 or self.text_layers < 0:
            raise SettingsError("width, layers, heads, patch and text_width are whole numbers of at least 1")
        if self.width % (2 * self.heads) or self.max_frames % self.patch or self.max_frames < self.patch:
            raise SettingsError("width must divide by twice the heads, and max_frames by patch")
        if not 0 < self.fps < 1e3:
            raise SettingsError(f"fps is a number between 0 and 1000, not {self.fps}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a file."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> ModelConfig:
        """The config in a file. Raises SettingsError for names and values that it does not have."""
        known = {f.name: f for f in fields(ModelConfig)}
        for name, value in values.items():
            if name not in known:
                raise SettingsError(f"a model has no setting {name!r}; there are: {', '.join(known)}")
            default = getattr(ModelConfig(), name)
            fits = isinstance(value, (int, float)) if isinstance(default, float) else type(value) is type(default)
            if not fits:
                raise SettingsError(f"{name} is a {type(default).__name__}, not {value!r}")
        return ModelConfig(**values)
