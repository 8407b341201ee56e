"""The models of a recipe: made from its tables, told apart by their weights, adapters of one base shared.

A verifier's ``path`` may be ``role:NAME``, the adapter that this very run trains. Where several verifiers are adapters
of one base, the base is in memory once: each role is a model of its own to the rest of the package, and generation
switches the shared weights to its adapter first, one at a time.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from agentdistill.errors import ModelError
from agentdistill.models import Model, identity, load_model
from agentdistill.models.local import LocalModel
from agentdistill.models.weights import is_gguf, runnable
from agentdistill.store import digest, file_digest
from agentdistill.types import Request, Sample
from agentdistill.verify.verifiers import VerifierSettings

ROLE = "role:"
Table = Mapping[str, Any]
_HOW_ONLY = ("path", "device", "batch_size", "threads")
_SHARED = {"device", "dtype", "batch_size", "chat_template", "context_length"}


def resolved(table: Table, folder: Path) -> dict[str, Any]:
    """The table with its path looked up: ``role:NAME`` in a run's folder, ``tinyworld:SIZE`` where it ships.

    Raises ModelError for a role that is not trained yet.
    """
    path = table.get("path")
    if not isinstance(path, str):
        return dict(table)
    if not path.startswith(ROLE):
        return {**table, "path": runnable(path)}
    found = folder / "roles" / path.removeprefix(ROLE)
    if not found.is_dir():
        raise ModelError(f"{found}: that role is not trained yet; train it first: agentdistill verify train")
    return {**table, "path": str(found)}


def make_model(table: Table) -> Model:
    """The model of a resolved table; its kind stands under ``model``."""
    settings = dict(table)
    return load_model(settings.pop("model", "endpoint"), **settings)


def model_identity(table: Table) -> str:
    """A hash of a resolved table: its settings, and its weights where they lie in a folder.

    What only changes how it is run is left out. A name that is no folder stands for itself.
    """
    kept = {k: v for k, v in table.items() if k not in _HOW_ONLY}
    settings = identity(str(table.get("model", "endpoint")), kept)
    path = table.get("path")
    if not isinstance(path, str):
        return digest(settings)
    folder = Path(runnable(path))
    names = ("*.safetensors", "adapter_config.json")
    files = [folder] if folder.is_file() else [f for name in names for f in sorted(folder.glob(name))]
    return digest([settings, [file_digest(f) for f in files] or path])


def n_parameters(table: Table) -> int | None:
    """The parameters of local weights, read off their files' headers, the base's for an adapter; None if not known."""
    path = table.get("path")
    if not isinstance(path, str):
        return None
    folder = Path(runnable(path))
    if folder.is_file():
        from agentdistill.models.gguf_file import n_parameters as in_file

        return in_file(folder)
    config = folder / "adapter_config.json"
    if config.is_file() and not (folder / "config.json").is_file():
        base = json.loads(config.read_text(encoding="utf-8")).get("base_model_name_or_path")
        return n_parameters({"path": base}) if isinstance(base, str) else None
    total = 0
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb") as f:
            header = json.loads(f.read(int.from_bytes(f.read(8), "little")))
        total += sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")
    return total or None


def on_one_base(verifiers: Sequence[VerifierSettings]) -> dict[str, Callable[[], Model]]:
    """Makers for verifiers that are adapters of one base: it is loaded once, and switched from one to the next."""
    from agentdistill.models.weights import resolve

    groups: dict[str, dict[str, str | None]] = {}
    shared: dict[str, dict[str, Any]] = {}
    for j in verifiers:
        table = {k: v for k, v in j.model.items() if k not in ("model", "path")}
        path = j.model.get("path")
        if j.role == "prm" or j.model.get("model") != "local" or not isinstance(path, str) or not set(table) <= _SHARED:
            continue
        base, adapter = (path, None) if is_gguf(path) else resolve(path)
        if adapter is not None:
            key = json.dumps([base, table], sort_keys=True)
            groups.setdefault(key, {})[j.name] = adapter
            shared[key] = {"base": base, **table}
    load = cache(lambda key: load_roles(adapters=groups[key], **shared[key]))
    made: dict[str, Callable[[], Model]] = {}
    for key, adapters in groups.items():
        if len(adapters) > 1:
            made |= {name: partial(_role, load, key, name) for name in adapters}
    return made


def _role(load: Callable[[str], Mapping[str, Model]], key: str, name: str) -> Model:
    return load(key)[name]


class _Shared:
    """The weights, and which adapter is on."""

    def __init__(self, tuned: Any) -> None:
        self.tuned = tuned
        self.lock = threading.Lock()

    def switch(self, adapter: str | None) -> None:
        """Put an adapter on; None: the base as it is."""
        if adapter is None:
            self.tuned.base_model.disable_adapter_layers()
            return
        self.tuned.base_model.enable_adapter_layers()
        self.tuned.set_adapter(adapter, inference_mode=True)


class RoleModel(LocalModel):
    """A base model in one role. Made by :func:`load_roles`."""

    def __init__(self, shared: _Shared, adapter: str | None, **settings: Any) -> None:
        super().__init__(model=shared.tuned.get_base_model(), **settings)
        self._shared, self._adapter = shared, adapter

    def _generate(self, decoder: Any, requests: Sequence[Request]) -> list[list[Sample]]:
        with self._shared.lock:
            self._shared.switch(self._adapter)
            return super()._generate(decoder, requests)


def load_roles(
    base: str,
    adapters: Mapping[str, str | None],
    *,
    device: str = "auto",
    dtype: str = "auto",
    batch_size: int = 64,
    chat_template: str | None = None,
    context_length: int | None = None,
) -> dict[str, RoleModel]:
    """A model for each role, by name: its adapter's folder, or None for the base itself. Settings as for local models.

    Raises ModelError for an adapter that is missing or fits another base, and where no role has an adapter.
    """
    from agentdistill.models.chat import ChatFormat, read_template
    from agentdistill.models.weights import check_vocabulary, load_base, load_tokenizer

    tuned_roles = {role: path for role, path in adapters.items() if path is not None}
    if not tuned_roles:
        raise ModelError("no role has an adapter; load the base as a model of its own")
    tokenizer = load_tokenizer(base)
    weights = load_base(base, device, dtype)
    check_vocabulary(base, weights, tokenizer)
    tuned: Any = None
    for role, path in tuned_roles.items():
        tuned = _put_on(weights if tuned is None else tuned, role, path)
    tuned.eval().requires_grad_(False)
    shared = _Shared(tuned)
    chat = ChatFormat(tokenizer, read_template(chat_template))
    limit = context_length or getattr(weights.config.get_text_config(), "max_position_embeddings", None)
    return {
        role: RoleModel(
            shared,
            role if path is not None else None,
            name=f"{Path(base).name} {role}",
            chat=chat,
            batch_size=batch_size,
            context_length=limit,
            kv_reuse_gb=0.0,  # what one role computed is another's only by mistake
        )
        for role, path in adapters.items()
    }


def _put_on(model: Any, role: str, path: str) -> Any:
    from peft import PeftModel

    if not (Path(path) / "adapter_config.json").is_file():
        raise ModelError(f"{path}: not an adapter folder (no adapter_config.json)")
    try:
        if isinstance(model, PeftModel):
            model.load_adapter(path, adapter_name=role)
            return model
        return PeftModel.from_pretrained(model, path, adapter_name=role)
    except Exception as e:
        raise ModelError(f"{path}: the adapter does not fit its base ({str(e).splitlines()[0][:160]})") from e
