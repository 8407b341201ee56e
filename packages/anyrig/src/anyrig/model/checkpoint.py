"""Models in files: weights as safetensors, the config in their header. Nothing is unpickled."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch

from anyrig.errors import FileError, SettingsError
from anyrig.io.files import write_bytes
from anyrig.model.config import ModelConfig
from anyrig.model.network import MotionModel

_KEY = "anyrig"


def save_model(
    model: MotionModel, path: str | os.PathLike[str], *, half: bool = False, about: dict[str, Any] | None = None
) -> None:
    """Writes the model; ``half`` stores 16-bit numbers, ``about`` is kept with it. FileError for the disk's no."""
    from safetensors.torch import save

    tensors = {name: _stored(t, half) for name, t in model.state_dict().items()}
    header = {_KEY: json.dumps({"config": model.config.to_dict(), "about": about or {}})}
    write_bytes(path, save(tensors, metadata=header))


def _stored(tensor: torch.Tensor, half: bool) -> torch.Tensor:
    return tensor.detach().to("cpu", torch.float16 if half else torch.float32).contiguous()


def load_model(path: str | os.PathLike[str], device: torch.device | str = "cpu") -> tuple[MotionModel, dict[str, Any]]:
    """The model in a file, ready to use, and what was kept with it. Raises FileError for a file that holds none."""
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise FileError(f"{path}: there is no such file")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get(_KEY, "null"))
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise FileError(f"{path} is no model: {str(error).splitlines()[0]}") from None
    if not isinstance(header, dict) or not isinstance(header.get("config"), dict):
        raise FileError(f"{path} is no model of this package: it has no config")
    try:
        model = MotionModel(ModelConfig.from_dict(header["config"]))
        model.load_state_dict(tensors)
    except (SettingsError, RuntimeError) as error:
        raise FileError(f"{path} does not fit: {str(error).splitlines()[0]}") from None
    return model.to(device).eval(), dict(header.get("about", {}))
