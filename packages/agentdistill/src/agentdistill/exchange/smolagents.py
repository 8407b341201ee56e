"""A distilled student inside smolagents: its CodeAgent keeps the loop, and the student is spoken to as by our own.

A CodeAgent's own prompt is longer than small students can read, and words what it observes otherwise than the student
was trained on. What stays smolagents' is what its interpreter does: how an error reads, and which code it refuses.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agentdistill.environment import NO_CODE, NO_OUTPUT
from agentdistill.errors import DataError, UserError
from agentdistill.parse import parse_action
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


# --- saved runs -------------------------------------------------------------------------------------------------------


def is_run(row: Mapping[str, Any]) -> bool:
    """Whether an object is a run that smolagents saved: ``RunResult.dict()``, or the steps of an agent's memory."""
    steps = row.get("steps")
    return isinstance(steps, list) and any(isinstance(s, Mapping) and s.keys() & _STEP for s in steps)


_STEP = {"model_output", "task_images"}


def run_row(run: Mapping[str, Any]) -> dict[str, Any]:
    """A saved run as a row of messages. A plan is no action: it is counted as not converted, as are images.

    Raises DataError for a run without a task.
    """
    steps = [s for s in run["steps"] if isinstance(s, Mapping)]
    task = next((s["task"] for s in steps if isinstance(s.get("task"), str)), None)
    if task is None:
        raise DataError("a run of smolagents without a task")
    messages: list[dict[str, Any]] = [{"role": "user", "content": task}]
    lost, usage, answer = Counter[str](), Counter[str](), run.get("output")
    for step in steps:
        lost.update(
            plan=int("plan" in step), image=len(step.get("observations_images") or step.get("task_images") or ())
        )
        spent = step.get("token_usage") or {}
        usage.update(prompt_tokens=spent.get("input_tokens", 0), completion_tokens=spent.get("output_tokens", 0))
        usage["requests"] += bool(spent)
        messages += _turn(step)
        answer = step.get("action_output") if step.get("is_final_answer") else answer
    return {
        "messages": messages,
        "prediction": None if run.get("state") == "max_steps_error" else answer,
        "usage": dict(usage),
        "not_converted": {k: n for k, n in lost.items() if n},
    }


def _turn(step: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What the model said in a step, its code in it, and what it was told. A final step is told nothing."""
    said, code = step.get("model_output"), step.get("code_action")
    calls = [] if code else step.get("tool_calls") or []
    if said is None and not code and not calls:
        return
    text = _text(said)
    if code and parse_action(text) is None:  # structured output: an object with thought and code
        text = f"{_thought(text)}\n\nCode:\n```py\n{code}\n```".strip()
    yield {"role": "assistant", "content": text, "tool_calls": calls}
    told = [observed(f"Observation:\n{seen}")] if (seen := step.get("observations")) is not None else []
    if error := step.get("error"):
        told.append(observed(f"Error:\n{error.get('message')}\nNow let's retry: "))
    if told and not step.get("is_final_answer"):
        yield {"role": "tool", "content": "\n\n".join(told).removeprefix("Observation:\n")}


def _thought(text: str) -> str:
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return str(found.get("thought", text)) if isinstance(found, dict) else text
