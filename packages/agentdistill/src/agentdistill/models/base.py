"""What a model is to the rest of the package: one protocol, kept by endpoints, local weights and scripts alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from agentdistill.types import Request, Sample, StopReason


@runtime_checkable
class Model(Protocol):
    """Something that continues conversations.

    ``name`` is shown in traces and reports. ``batch_size`` is how many episodes the driver runs together.
    ``lockstep`` says how requests are best handed over: True (local weights), a whole round of them in one call;
    False (endpoints), one request a call and many calls at once. ``context_length`` is the most tokens a prompt and
    its continuation may hold together, None where it is not known.
    """

    name: str
    batch_size: int
    lockstep: bool
    context_length: int | None

    async def generate(self, requests: Sequence[Request]) -> list[list[Sample]]:
        """Continue every request: the outer list follows ``requests``, each inner one holds ``request.n`` samples.

        A prompt that leaves no room for a new token is the episode's affair, not a fault: its samples are
        :data:`OUT_OF_CONTEXT` (see :func:`is_out_of_context`) and the other requests of the call are unharmed.
        Raises InfrastructureError where the world failed (worth another try) and ModelError where the model cannot
        do what was asked (never worth another try).
        """
        ...

    async def aclose(self) -> None:
        """Let go of connections or weights. The model is not used afterwards; calling it twice is harmless."""
        ...


OUT_OF_CONTEXT = Sample(text="", stop=StopReason.LENGTH)
"""The sample of a prompt that does not fit. A model may fill in ``n_prompt_tokens``."""


def is_out_of_context(sample: Sample) -> bool:
    """Whether nothing was written because the prompt left no room for it."""
    return sample.stop is StopReason.LENGTH and not sample.text and sample.n_new_tokens == 0
