"""All that decides what comes out of training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from anyrig.corpus import Selection
from anyrig.errors import SettingsError
from anyrig.model import ModelConfig


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """``n_clips`` examples are made once; ``pose_steps`` are taken on single patches of them, then ``steps`` on motion.

    ``tokens`` is the size of a step (a token is a joint over a patch of frames); one costs some ``100 * layers *
    width ** 2`` operations. ``kinds`` are the creatures taught (empty: all that are not held out); ``varied`` rigs have
    augmentation. ``lr`` is reached after ``warmup`` steps and falls to nothing by a cosine. ``schedule`` is
    ``"flow"`` or ``"cosine"``. ``ema`` is the memory of the averaged weights, which are the ones kept.
    """

    model: ModelConfig = field(default_factory=ModelConfig)
    seed: int = 0
    n_clips: int = 8000
    pose_steps: int = 600
    steps: int = 3400
    tokens: int = 4000
    lr: float = 2e-3
    warmup: int = 100
    ema: float = 0.998
    schedule: str = "flow"
    untitled: float = 0.1
    unnamed: float = 0.3
    varied: bool = True
    kinds: tuple[str, ...] = ()
    save_every: int = 200

    def __post_init__(self) -> None:
        from anyrig.diffusion import schedule

        schedule(self.schedule)
        self.selection()
        if min(self.n_clips, self.tokens, self.save_every) < 1 or min(self.pose_steps, self.steps, self.warmup) < 0:
            raise SettingsError("n_clips, tokens and save_every are at least 1, steps not below 0")
        if not 0 < self.lr < 1 or not 0 <= self.ema < 1 or not 0 <= self.untitled <= 1 or not 0 <= self.unnamed <= 1:
            raise SettingsError("lr and ema are between 0 and 1, untitled and unnamed shares")

    def selection(self) -> Selection:
        """What is taught."""
        return Selection("train", self.kinds, self.seed)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a file."""
        return {**asdict(self), "kinds": list(self.kinds)}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> TrainSettings:
        """The settings in a file, TOML or JSON. Raises SettingsError for what there is not."""
        known = {f.name for f in fields(TrainSettings)}
        for name, value in values.items():
            if name not in known:
                raise SettingsError(f"training has no setting {name!r}; there are: {', '.join(sorted(known))}")
            default = getattr(TrainSettings(), name)
            if not _fits(value, default):
                raise SettingsError(f"{name} is a {type(default).__name__}, not {value!r}")
        made: dict[str, Any] = dict(values)
        made["model"] = ModelConfig.from_dict(values.get("model", {}))
        made["kinds"] = tuple(values.get("kinds", ()))
        return TrainSettings(**made)


def _fits(value: object, default: object) -> bool:
    if isinstance(default, tuple):
        return isinstance(value, (list, tuple)) and all(isinstance(v, str) for v in value)
    if isinstance(default, ModelConfig):
        return isinstance(value, Mapping)
    if isinstance(default, float):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return type(value) is type(default)
