"""A distilled student inside smolagents: its CodeAgent keeps the loop, and the student is spoken to as by our own.

A CodeAgent's own prompt is longer than small students can read, and words what it observes otherwise than the student
was trained on. What stays smolagents' is what its interpreter does: how an error reads, and which code it refuses.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from agentdistill.environment import NO_CODE, NO_OUTPUT
from agentdistill.errors import UserError
from agentdistill.prompts import PromptTemplate
from agentdistill.tools import Tool
from agentdistill.types import Message

_TASK = "New task:\n"
_RAN = re.compile(r"\AObservation:\nExecution logs:\n(.*?)(?:Last output from code snippet:\n(.*))?\Z", re.DOTALL)
_FAILED = re.compile(r"\A(?:Call id: .*\n)?Error:\n(.*)\nNow let's retry: .*\Z", re.DOTALL)


def student_model(model: Any, template: PromptTemplate, tools: Sequence[Tool] = ()) -> Any:
    """``model``, one of smolagents', made one by which a CodeAgent of ``code_block_tags="markdown"`` drives a student.

    ``template`` and ``tools`` are the run's, and go into the prompt; the agent needs the tools besides. Raises
    UserError where smolagents is not installed.
    """
    try:
        from smolagents import Model
    except ModuleNotFoundError as e:
        raise UserError(f"{e.name} is not installed; install it with: pip install 'smolagents[openai]'") from e

    replies: set[str] = set()

    def as_written(text: str) -> str:
        """A turn without what the agent put after it: a closing fence, wherever the reply ends otherwise."""
        return max((r for r in replies if text.startswith(r.strip())), key=len, default=text)

    class Student(Model):  # type: ignore[misc]
        def generate(self, messages: Sequence[Any], stop_sequences: object = None, **how: Any) -> Any:
            """As the base class's; a turn ends where the student was trained to end it."""
            told = [(m.role.value, _text(m.content)) for m in messages]
            told = [(role, as_written(text) if role == "assistant" else text) for role, text in told]
            said = [_plain(m) for m in in_our_words(told, template, tools)]
            reply = model.generate(said, stop_sequences=list(template.AGENT_STOP) or None, **how)
            if reply.content:
                replies.add(reply.content)
            return reply

    return Student(model_id=model.model_id)


def in_our_words(
    messages: Sequence[tuple[str, str]], template: PromptTemplate, tools: Sequence[Tool] = ()
) -> list[Message]:
    """A CodeAgent's messages, (role, text), as the conversation that our own loop would have had."""
    out: list[Message] = []
    for role, text in messages:
        if role == "user":
            question = text.removeprefix(_TASK)
            out += [Message("user", question)] if out else template.agent(question, tools)
        elif role == "assistant":
            out.append(Message("assistant", text))
        elif role == "tool-response":
            out.append(Message("user", template.observation(observed(text))))
    return out


def observed(text: str) -> str:
    """What a CodeAgent says after a step, as our environment says it: what was printed, else the last value."""
    if failed := _FAILED.match(text):
        return NO_CODE if failed[1].startswith("Error in code parsing:") else f"Error: {failed[1]}"
    if not (ran := _RAN.match(text)):
        return text
    printed, value = ran[1].rstrip("\n"), ran[2]
    return printed or (value if value not in (None, "None") else NO_OUTPUT)


def _plain(message: Message) -> dict[str, Any]:
    return {"role": message.role, "content": [{"type": "text", "text": message.content}]}


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content or ())
