"""What a model is to the rest of the package, and models by kind: a function ``load(**settings) -> Model``, or a module
that has one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from agentdistill import registry
from agentdistill.errors import ModelError, PluginError
from agentdistill.types import Request, Sample, StopReason

__all__ = [
    "OUT_OF_CONTEXT", "Model", "cut_at_stop", "identity", "is_out_of_context", "load_model", "loader", "no_forms",
]  # fmt: skip


@runtime_checkable
class Model(Protocol):
    """Something that continues conversations.

    ``name`` is shown in traces and reports. ``batch_size`` is how many episodes run together.
    ``lockstep`` says how requests are best handed over: True (local weights), a whole round of them in one call;
    False (endpoints), one request a call and many calls at once. ``context_length`` is the most tokens a prompt and
    its continuation may hold together, None where it is not known. One that honours :attr:`Request.form` has a true
    ``takes_forms`` too.
    """

    name: str
    batch_size: int
    lockstep: bool
    context_length: int | None

    async def generate(self, requests: Sequence[Request]) -> list[list[Sample]]:
        """Continue every request: the outer list follows ``requests``, each inner one holds ``request.n`` samples.

        The samples of a prompt that leaves no room for a new token are :data:`OUT_OF_CONTEXT` (see
        :func:`is_out_of_context`); the other requests of the call are not affected. Raises InfrastructureError for a
        fault that another try may pass, and ModelError where the model cannot do what was asked.
        """
        ...

    async def aclose(self) -> None:
        """Release connections or weights. The model is not used afterwards; calling it twice is harmless."""
        ...


OUT_OF_CONTEXT = Sample(text="", stop=StopReason.LENGTH)
"""The sample of a prompt that does not fit. A model may fill in ``n_prompt_tokens``."""


def is_out_of_context(sample: Sample) -> bool:
    """Whether nothing was written because the prompt left no room for it."""
    return sample.stop is StopReason.LENGTH and not sample.text and sample.n_new_tokens == 0


def loader(kind: str) -> Callable[..., Model]:
    """The function that loads models of a kind. Raises ModelError for an unknown kind."""
    found = registry.load("models", kind, ModelError)
    load: Callable[..., Model] = getattr(found, "load", found)
    return load


def identity(kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that what a model writes depends on, for the keys of what it wrote.

    Left out are those that its kind names in ``HOW_ONLY`` (how often it is asked at once, how long it is waited for,
    what it costs; ``extra.user`` is a key within one) and those that hold their default.
    """
    found = registry.load("models", kind, ModelError)
    known = inspect.signature(getattr(found, "load", found)).parameters
    how_only: frozenset[str] = getattr(found, "HOW_ONLY", frozenset())
    out: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            value = {k: v for k, v in value.items() if f"{name}.{k}" not in how_only} or None
        if name == "url" and isinstance(value, str):
            value = value.rstrip("/")
        if name not in how_only and not (name in known and value == known[name].default):
            out[name] = value
    return out


def load_model(kind: str, **settings: object) -> Model:
    """The model of that kind, ready to generate. Raises ModelError for an unknown kind or setting."""
    load = loader(kind)
    known = inspect.signature(load).parameters
    if not registry.takes_any_name(load):
        for key in settings:
            if key not in known:
                raise ModelError(registry.unknown("setting", key, known, f'model kind "{kind}"'))
    model = registry.call("models", kind, load, **settings)
    if not (hasattr(model, "generate") and hasattr(model, "aclose")):
        raise ModelError(f'model kind "{kind}": gave a {type(model).__name__}, no Model with generate and aclose')
    return model if registry.is_built_in("models", kind) else registry.call("models", kind, _FromOutside, kind, model)


class _FromOutside:
    """A plug-in's model, with PluginErrors for what its code raises, or gives that are no Samples."""

    def __init__(self, kind: str, model: Model) -> None:
        self.name, self.batch_size, self.lockstep = model.name, model.batch_size, model.lockstep
        self.context_length = model.context_length
        self._kind, self._model = kind, model

    async def generate(self, requests: Sequence[Request]) -> list[list[Sample]]:
        """As :meth:`Model.generate`."""
        if any(r.form for r in requests) and not getattr(self._model, "takes_forms", False):
            raise no_forms(f'model kind "{self._kind}"')
        with registry.running("models", self._kind):
            found = list(await self._model.generate(requests))
        if len(found) != len(requests):
            why = f"gave {len(found)} lists of samples for {len(requests)} requests"
            raise PluginError(f'model kind "{self._kind}": {why}')
        return [registry.all_of("models", self._kind, Sample, samples) for samples in found]

    async def aclose(self) -> None:
        """As :meth:`Model.aclose`."""
        with registry.running("models", self._kind):
            await self._model.aclose()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # of a copy under way, which has no model yet
            raise AttributeError(name)
        return getattr(self._model, name)


def no_forms(what: str) -> ModelError:
    """The error of a model that cannot hold its steps to a form."""
    return ModelError(f'{what} cannot write steps by a grammar; leave out constrain = "step"')


def cut_at_stop(text: str, stops: Sequence[str]) -> str | None:
    """``text`` up to the first stop string in it; None where it holds none."""
    ends = [at for stop in stops if stop and (at := text.find(stop)) >= 0]
    return text[: min(ends)] if ends else None
