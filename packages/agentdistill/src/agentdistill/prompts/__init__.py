"""Prompt templates: the messages that models get, and how their turns are written. A template is a module or an object.

It has ``agent(question, tools)`` and ``cot(question, passages)``, which open a conversation;
``action(thought, code)``, an agent's turn; ``observation(text)``, what the environment says after a step; ``THOUGHT``,
how every agent turn begins; and ``AGENT_STOP``, the strings at which a turn is over. ``TOOL_RESULT_CHARS`` bounds an
observation.

A template that verifiers use too has ``check(role, question, solution, passages)``, which opens a check of a solution
in the role ``code``, ``cot``, ``facts`` or ``genrm``, and ``VERDICT``, how the line with the verdict begins. For the
role ``claims`` it has ``claims(question, solution)``, ``query(claim, known)`` and ``claim(claim, known, passages)``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol, cast

from agentdistill import registry
from agentdistill.errors import UserError
from agentdistill.retrieval import Passage
from agentdistill.retrieval import format_passages as format_passages
from agentdistill.tools import Tool
from agentdistill.types import Message, StepForm


class PromptTemplate(Protocol):
    """What a prompt template is."""

    THOUGHT: str
    AGENT_STOP: tuple[str, ...]

    def agent(self, question: str, tools: Sequence[Tool]) -> tuple[Message, ...]:
        """The opening of an agent's conversation."""

    def cot(self, question: str, passages: Sequence[Passage] = ()) -> tuple[Message, ...]:
        """The opening of a chain-of-thought answer, with passages where they were retrieved."""

    def action(self, thought: str, code: str) -> str:
        """One agent turn as a model writes it: the thought, where there is one, and the code."""

    def observation(self, text: str) -> str:
        """What the environment says after a step."""


class VerifierTemplate(Protocol):
    """What a prompt template has for verifiers."""

    VERDICT: str

    def check(
        self, role: str, question: str, solution: str, passages: Sequence[Passage] | None = None
    ) -> tuple[Message, ...]:
        """The opening of a check: by a program that prints True or False (``code``), by thinking alone (``cot``),
        against the passages found for it (``facts``), or of the final answer alone (``genrm``)."""


class ClaimTemplate(Protocol):
    """What a prompt template has for a verifier that checks claim by claim.

    ``known`` are sentences: what documents said about earlier claims of the same solution.
    """

    def claims(self, question: str, solution: str) -> tuple[Message, ...]:
        """Asks for the facts that a solution states, a line ``Claim: …`` each; ``Claim: none`` where there is none."""

    def query(self, claim: str, known: Sequence[str]) -> tuple[Message, ...]:
        """Asks for a line ``Search: …``, what to look up for a claim, or ``Run: …``, a Python expression over what is
        known."""

    def claim(self, claim: str, known: Sequence[str], passages: Sequence[Passage]) -> tuple[Message, ...]:
        """Asks for a line: what the passages say of the claim, then ``-> supported``, ``-> contradicted`` or
        ``-> not found``."""


def known_lines(known: Sequence[str]) -> str:
    """What is known when a claim is looked up, a line each."""
    return "".join(f"Known: {sentence}\n" for sentence in known)


def load_prompt(name: str) -> PromptTemplate:
    """The template called ``name``. Raises UserError naming the nearest for an unknown one."""
    return cast(PromptTemplate, registry.load("prompts", name))


def step_form(template: PromptTemplate) -> StepForm:
    """How a template writes an agent's step. Raises UserError where that does not end in a fenced block of code."""
    whole, bare = template.action(_THOUGHT, _CODE), template.action("", _CODE)
    opening, found, rest = whole.partition(_THOUGHT)
    between, coded, closing = rest.partition(_CODE)
    before = bare.partition(_CODE)[0]
    if not found or not coded or closing != "\n```" or not re.search(r"\n```\w*\n\Z", between):
        raise UserError(
            'constrain = "step" needs a prompt template that writes a thought and then a fenced block of code'
        )
    return StepForm(opening, between, "" if before == opening + between else before)


_THOUGHT, _CODE = "\ue000", "\ue001"


def can_verify(template: PromptTemplate) -> bool:
    """Whether a template has prompts for verifiers."""
    return hasattr(template, "check")


def load_verifier_prompt(name: str) -> VerifierTemplate:
    """The template called ``name``, for verifiers. Raises UserError for an unknown one and one without checks."""
    template = load_prompt(name)
    if not can_verify(template):
        raise UserError(f'prompt template "{name}" has no prompts for verifiers; use "standard"')
    return cast(VerifierTemplate, template)


def load_claim_prompt(name: str) -> ClaimTemplate:
    """The template called ``name``, for claims. Raises UserError for an unknown one and one without such prompts."""
    template = load_prompt(name)
    if not hasattr(template, "claims"):
        raise UserError(f'prompt template "{name}" has no prompts for claims; use "standard"')
    return cast(ClaimTemplate, template)
