"""Runs that smolagents saved, read as traces: code agents, agents with calls in JSON, structured output, plans."""

from __future__ import annotations

import json

import pytest

from agentdistill.errors import DataError
from agentdistill.exchange import read_trajectories
from agentdistill.exchange.readers import find_reader, read_drafts
from agentdistill.types import StepStatus

TASK = {"task": "How long is the Aren?", "task_images": None}
RAN = "Execution logs:\n404\nLast output from code snippet:\nNone"
LOOK = {
    "step_number": 1, "model_output": "Thought: look.\n<code>\nprint(length_of('Aren'))\n</code>",
    "code_action": "print(length_of('Aren'))", "observations": RAN, "error": None, "is_final_answer": False,
    "tool_calls": [{"function": {"name": "python_interpreter", "arguments": "print(length_of('Aren'))"}}],
    "token_usage": {"input_tokens": 9, "output_tokens": 4}, "observations_images": ["png"], "action_output": None,
}  # fmt: skip
LAST = {
    **LOOK, "model_output": json.dumps({"thought": "Done.", "code": "final_answer(x)"}),
    "code_action": "final_answer(x)",
    "observations": "Execution logs:\nLast output from code snippet:\n404", "is_final_answer": True,
    "observations_images": None, "action_output": 404,
}  # fmt: skip
FAILED = {**LOOK, "error": {"type": "AgentExecutionError", "message": "no name 'x'"}, "observations": None}


def read(path, content):
    path.write_text(json.dumps(content))
    return read_trajectories(str(path)).traces[0]


def test_a_run_and_the_steps_of_a_memory_are_the_same_trace(tmp_path):
    steps = [TASK, {"plan": "1. Look.", "model_output_message": {}}, LOOK, FAILED, LAST]
    trace = read(tmp_path / "run.json", {"output": 404, "state": "success", "steps": steps})
    assert read(tmp_path / "run.json", steps) == trace
    assert [s.code for s in trace.steps] == ["print(length_of('Aren'))"] * 2 + ["final_answer(x)"]
    assert trace.steps[2].reply.content == "Done.\n\nCode:\n```py\nfinal_answer(x)\n```"
    assert [s.status for s in trace.steps] == [StepStatus.OK, StepStatus.EXCEPTION, StepStatus.FINAL]
    assert [s.observation and s.observation.content for s in trace.steps] == ["404", "Error: no name 'x'", None]
    assert (trace.answer, trace.usage.n_requests, trace.usage.n_prompt_tokens) == ("404", 3, 27)
    assert dict(trace.notes)["not converted"] == "2 × image, 1 × plan"


def test_a_folder_of_runs_is_a_collection(tmp_path):
    call = {"id": "c", "type": "function", "function": {"name": "length_of", "arguments": {"river": "Aren"}}}
    by_call = {**LOOK, "model_output": None, "code_action": None, "tool_calls": [call], "observations": "404"}
    (tmp_path / "a.json").write_text(json.dumps({"state": "max_steps_error", "output": "?", "steps": [TASK, by_call]}))
    (tmp_path / "b.json").write_text(json.dumps({"steps": [LOOK]}))
    found, left = read_drafts(find_reader(f"smolagents@{tmp_path}", "agent"), "agent")
    assert [s.code for s in found.steps] == ["print(length_of(river='Aren'))"]
    assert (found.steps[0].observation.content, found.answer) == ("404", None)
    assert left.reason == "a run of smolagents without a task"
    with pytest.raises(DataError, match="no file given"):
        list(read_drafts(find_reader("smolagents:all", "agent"), "agent"))
