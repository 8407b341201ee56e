"""One base model, one LoRA adapter a role, switched in place: a generator, its verifier and its reward model.

The base is in memory once. Each role is a model of its own to the rest of the package; whoever generates switches the
shared weights to its adapter first, one at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agentdistill.errors import ModelError
from agentdistill.models.local import LocalModel
from agentdistill.types import Request, Sample


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
    from agentdistill.chat import ChatFormat, read_template
    from agentdistill.models._weights import check_vocabulary, load_base, load_tokenizer

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
