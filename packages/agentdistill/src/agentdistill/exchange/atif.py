"""ATIF, the trajectory format of Harbor (github.com/harbor-framework/harbor, rfcs/0001-trajectory-format.md).

A document that is written here holds the whole trace: what ATIF has no field for stands in ``extra.agentdistill`` of
the document and of its steps. The code of a step is a call of ``python_interpreter``; messages of the prompt that an
assistant says are marked as copied context, which nobody is to train on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agentdistill import __version__
from agentdistill.errors import DataError
from agentdistill.exchange.hub import check_new
from agentdistill.store import from_dict, to_dict, write_json
from agentdistill.types import Message, Step, Trace

VERSION = "ATIF-v1.7"
INTERPRETER = "python_interpreter"
_OWN = "agentdistill"
_SOURCES = {"system": "system", "user": "user", "assistant": "agent"}
_METRICS = {"token_ids": "completion_token_ids", "logprobs": "logprobs"}
Document = dict[str, Any]


def is_atif(row: Mapping[str, Any]) -> bool:
    """Whether an object says that it is an ATIF document."""
    return str(row.get("schema_version")).startswith("ATIF-")


def is_own(document: Mapping[str, Any]) -> bool:
    """Whether an ATIF document holds a whole trace."""
    extra = document.get("extra")
    return isinstance(extra, Mapping) and _OWN in extra


# --- writing ----------------------------------------------------------------------------------------------------------


def write_atif(traces: Sequence[Trace], folder: Path | str) -> Path:
    """Write every trace as an ATIF document ``00001.json``, ... into a folder, and return the folder.

    Raises DataError without traces, UserError for a folder that is not empty.
    """
    if not traces:
        raise DataError("no traces to write")
    folder = Path(folder)
    check_new(folder)
    for n, trace in enumerate(traces, 1):
        write_json(folder / f"{n:05}.json", to_atif(trace))
    return folder


def to_atif(trace: Trace) -> Document:
    """The trace as an ATIF document, from which :func:`from_atif` makes the very trace again."""
    steps = [_spoken(m, "prompt") for m in trace.prompt]
    for step in steps:
        if step["source"] == "agent":
            step["is_copied_context"] = True
    steps += [_acted(s, f"call_{n}") for n, s in enumerate(trace.steps, 1)]
    return {
        "schema_version": VERSION,
        "session_id": trace.id,
        "agent": {"name": _OWN, "version": __version__, "model_name": trace.model},
        "steps": [{"step_id": n, **step} for n, step in enumerate(steps, 1)],
        "final_metrics": {
            "total_prompt_tokens": trace.usage.n_prompt_tokens,
            "total_completion_tokens": trace.usage.n_new_tokens,
            "total_steps": len(steps),
        },
        "extra": {_OWN: {k: v for k, v in to_dict(trace).items() if k not in ("prompt", "steps")}},
    }


def _spoken(message: Message, kind: str) -> Document:
    """A message as a step; under ``kind``, what ATIF has no field for."""
    rest = to_dict(message)
    step = {"source": _SOURCES[message.role], "message": rest.pop("content")}
    if step["source"] == "agent":
        if message.reasoning:
            step["reasoning_content"] = rest.pop("reasoning")
        if metrics := {theirs: rest.pop(ours) for ours, theirs in _METRICS.items() if ours in rest}:
            step["metrics"] = metrics
    return {**step, "extra": {_OWN: {kind: rest}}}


def _acted(step: Step, call: str) -> Document:
    """A step with its code as a tool call, and what was observed as its result."""
    rest = to_dict(step)
    out = _spoken(step.reply, "reply")
    del rest["reply"]
    is_call = step.code is not None and out["source"] == "agent"
    if is_call:
        out["tool_calls"] = [
            {"tool_call_id": call, "function_name": INTERPRETER, "arguments": {"code": rest.pop("code")}}
        ]
    if step.observation is not None:
        result = {"content": rest["observation"].pop("content")}
        out["observation"] = {"results": [{"source_call_id": call, **result} if is_call else result]}
    out["extra"][_OWN] |= rest
    return out


# --- reading ----------------------------------------------------------------------------------------------------------


def from_atif(document: Mapping[str, Any]) -> Trace:
    """The trace that :func:`to_atif` wrote. Raises DataError for a document that does not hold one."""
    try:
        prompt, steps = [], []
        for step in document["steps"]:
            kept = dict(step["extra"][_OWN])
            if "prompt" in kept:
                prompt.append(_message(step, kept["prompt"]))
                continue
            kept["reply"] = _message(step, kept["reply"])
            if step.get("tool_calls"):
                kept["code"] = step["tool_calls"][0]["arguments"]["code"]
            if "observation" in kept:
                kept["observation"] = {**kept["observation"], "content": step["observation"]["results"][0]["content"]}
            steps.append(kept)
        whole = {**document["extra"][_OWN], "prompt": prompt, "steps": steps}
    except (LookupError, TypeError, ValueError) as e:
        raise DataError(f'"extra.{_OWN}" does not fit the steps ({type(e).__name__}: {e})') from e
    return from_dict(Trace, whole)


def _message(step: Mapping[str, Any], kept: Mapping[str, Any]) -> Document:
    out = {**kept, "content": step["message"]}
    if step.get("reasoning_content"):
        out["reasoning"] = step["reasoning_content"]
    metrics = step.get("metrics") or {}
    return out | {ours: metrics[theirs] for ours, theirs in _METRICS.items() if metrics.get(theirs) is not None}


def atif_row(document: Mapping[str, Any]) -> Document:
    """An ATIF document of others as a row of messages. Raises DataError where its steps are not ATIF's."""
    steps, agent = document.get("steps"), document.get("agent")
    if not isinstance(steps, list) or not all(isinstance(s, Mapping) for s in steps) or not isinstance(agent, Mapping):
        raise DataError("an ATIF document without steps or agent")
    models = dict.fromkeys(m for s in [agent, *steps] if (m := s.get("model_name")))
    usage: Counter[str] = Counter()
    lost = Counter({"subagent trajectory": len(document.get("subagent_trajectories") or ())})
    lost["continuation"] = int(document.get("continued_trajectory_ref") is not None)
    for step in steps:
        counts = _object(step, "metrics")
        usage.update({k: v for k in ("prompt_tokens", "completion_tokens") if isinstance(v := counts.get(k), int)})
        lost["prompt token ids"] += counts.get("prompt_token_ids") is not None
        usage["requests"] += step.get("source") == "agent"
    return {
        "messages": [m for step in steps for m in _said(step)],
        "id": document.get("trajectory_id") or document.get("session_id"),
        "model_id": next(iter(models), None),
        "usage": dict(usage),
        "not_converted": {k: n for k, n in lost.items() if n},
    }


def _said(step: Mapping[str, Any]) -> list[Document]:
    """A step as messages: what was said, then what was observed."""
    is_agent, metrics = step.get("source") == "agent", _object(step, "metrics")
    said = {
        "role": "assistant" if is_agent else step.get("source"),
        "content": step.get("message"),
        "reasoning_content": step.get("reasoning_content"),
        "tool_calls": [
            {"name": c.get("function_name"), "arguments": c.get("arguments")} for c in step.get("tool_calls") or ()
        ],
        **{ours: metrics.get(theirs) for ours, theirs in _METRICS.items()},
        "is_copied": step.get("is_copied_context"),
        "is_dispatched": step.get("llm_call_count") == 0,
    }
    results = _object(step, "observation").get("results") or ()
    return [said, *({"role": "tool", "content": r.get("content")} for r in results)]


def _object(step: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = step.get(key)
    return found if isinstance(found, Mapping) else {}
