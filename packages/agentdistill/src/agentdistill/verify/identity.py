"""What tells one model from another, whatever its folder is called: so that no stored word is taken for another's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentdistill.checkpoints import locate
from agentdistill.store import digest, file_digest

_HOW_ONLY = (
    "path",
    "device",
    "batch_size",
    "threads",
    "concurrency",
    "timeout_s",
    "tries",
    "patience_s",
    "api_key_env",
)


def model_identity(table: Mapping[str, Any]) -> str:
    """A hash of a recipe's table of a model: its settings, and its weights where they lie in a folder.

    What only changes how it is run is left out. A name that is no folder stands for itself.
    """
    settings = {k: v for k, v in table.items() if k not in _HOW_ONLY}
    path = table.get("path")
    if not isinstance(path, str):
        return digest(settings)
    folder = Path(locate(path))
    files = [*sorted(folder.glob("*.safetensors")), *sorted(folder.glob("adapter_config.json"))]
    return digest([settings, [file_digest(f) for f in files] or path])
