"""Trajectories of others as traces: what they say is kept, what they lack is told, and they can be trained on."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_run import write_inputs
from tiny_models import build_tokenizer

from agentdistill.errors import DataError, RecipeError
from agentdistill.exchange import in_template, read_trajectories
from agentdistill.exchange.reading import _trace
from agentdistill.filters import filter_traces
from agentdistill.models.chat import ChatFormat
from agentdistill.pipeline import run_recipe
from agentdistill.prompts import load_prompt
from agentdistill.recipe import load_recipe
from agentdistill.store import read_traces
from agentdistill.types import End, Source, StepStatus

SMOLAGENTS = "Thought: I look it up.\n<code>\nprint(wikipedia_search('Aren'))\n</code>"
# As the code of arXiv 2505.17612 logs an episode: contents in parts, its own roles, the conversation within.
PAPER = {
    "model_id": "Qwen/Qwen2.5-32B-Instruct",
    "question": "How long is the Aren in km?",
    "generated_answer": 412,
    "true_answer": "412",
    "log_data": {
        "metadata": {"state": "success"},
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "You are an expert who writes code."}]},
            {"role": "user", "content": [{"type": "text", "text": "New task:\nHow long is the Aren in km?"}]},
            {"role": "assistant", "content": [{"type": "text", "text": SMOLAGENTS}]},
            {"role": "tool-response", "content": "Observation:\nAren: a river of 412 km."},
            {"role": "assistant", "content": "Thought: broken.\nCode:\n```py\nx = = 1\n```<end_code>"},
            {"role": "tool-response", "content": "Error:\nSyntaxError: invalid syntax"},
            {"role": "assistant", "content": "Thought: There.\nCode:\n```py\nfinal_answer(412)\n```<end_code>"},
        ],
    },
}
CHAT = {
    "messages": [
        {"role": "user", "content": "What is 2 * 3?"},
        {"role": "assistant", "content": "2 * 3 = 6\n\nAnswer: 6"},
    ],
    "answer": "6",
}
SHAREGPT = {
    "conversations": [
        {"from": "human", "value": "What is 2 * 3?"},
        {"from": "gpt", "value": "Thought: easy.\nCode:\n```py\nfinal_answer(answer='6')\n```"},
    ]
}


def write(path, rows):
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return str(path)


def test_the_papers_own_log(tmp_path):
    [trace] = read_trajectories(write(tmp_path / "log.jsonl", [PAPER])).traces
    assert (trace.model, trace.method, trace.end) == ("Qwen/Qwen2.5-32B-Instruct", "agent", End.ANSWERED)
    assert (trace.problem.question, trace.problem.answer, trace.problem.kind) == (PAPER["question"], "412", "math")
    assert (trace.answer, trace.correct) == ("412", True)
    assert [s.status for s in trace.steps] == [StepStatus.OK, StepStatus.SYNTAX, StepStatus.FINAL]
    assert trace.steps[0].code == "print(wikipedia_search('Aren'))"
    assert [m.source for m in trace.messages] == [
        Source.PROMPT, Source.PROMPT, Source.MODEL, Source.ENVIRONMENT, Source.MODEL, Source.ENVIRONMENT, Source.MODEL,
    ]  # fmt: skip
    ours = in_template(trace, load_prompt("standard"), ())
    assert ours.prompt == load_prompt("standard").agent(PAPER["question"], ())
    assert ours.steps[0].observation.content == "Observation:\nAren: a river of 412 km."
    tiny = in_template(trace, load_prompt("tiny"), ())
    assert tiny.steps[0].observation.content == "Observation: Aren: a river of 412 km."
    assert filter_traces([trace])[1]["no_parse_error"] == 1


def test_plain_messages_in_any_format(tmp_path):
    jsonl = write(tmp_path / "chats.jsonl", [CHAT, SHAREGPT])
    (tmp_path / "chats.json").write_text(json.dumps([CHAT, SHAREGPT]))
    pq.write_table(pa.Table.from_pylist([CHAT, {**CHAT, "answer": "7"}]), tmp_path / "chats.parquet")
    cot = read_trajectories(jsonl, method="cot").traces
    assert [(t.problem.question, t.answer, t.correct) for t in cot] == [
        ("What is 2 * 3?", "6", True), ("What is 2 * 3?", None, None),
    ]  # fmt: skip
    agent = read_trajectories(jsonl).traces[1]
    assert (agent.answer, agent.correct, agent.steps[0].status) == ("6", None, StepStatus.FINAL)
    assert read_trajectories(str(tmp_path / "chats.json"), method="cot").traces == cot
    assert [t.correct for t in read_trajectories(str(tmp_path / "chats.parquet"), method="cot").traces] == [True, False]


@pytest.mark.parametrize(
    ("observed", "status"),
    [
        ("Error rate: 3 %", StepStatus.OK),
        ("Bars:\nError bars are shown in red.", StepStatus.OK),
        ("Error analysis was founded in 1967.\n[2] Error Correction: a field.", StepStatus.OK),
        ("Trial and Error: a film of 1997.\nmean 3", StepStatus.OK),
        ("The ValueError: a novel.\nprinted after it", StepStatus.OK),
        ("Error: 0.03", StepStatus.OK),
        ("Error budget\nError: Hamming", StepStatus.OK),
        ("Mean Squared Error: 3.2", StepStatus.OK),
        ("Exception handling is described.", StepStatus.OK),
        ("printed\nException: no", StepStatus.EXCEPTION),
        ("Error while executing tool search: no", StepStatus.EXCEPTION),
        ("Code execution failed at line 'x' because of the following error: no", StepStatus.EXCEPTION),
        ("Execution timed out", StepStatus.EXCEPTION),
        ("Error:\nCode execution failed at line 'x()' due to: NameError", StepStatus.EXCEPTION),
        ("Error in code parsing: your code is invalid", StepStatus.EXCEPTION),
        ("printed\nError: NameError: name 'x' is not defined (line 2)", StepStatus.EXCEPTION),
        ("Traceback (most recent call last):\n  File …\nValueError: no", StepStatus.EXCEPTION),
        ("printed\nZeroDivisionError: division by zero", StepStatus.EXCEPTION),
    ],
)
def test_an_exception_is_told_from_printed_words(tmp_path, observed, status):
    turns = [("user", "How?"), ("assistant", SMOLAGENTS), ("user", f"Observation:\n{observed}")]
    turns.append(("assistant", "<code>\nfinal_answer(1)\n</code>"))
    row = {"messages": [{"role": r, "content": c} for r, c in turns]}
    [trace] = read_trajectories(write(tmp_path / "log.jsonl", [row])).traces
    assert trace.steps[0].status is status


def test_reasoning_is_kept_apart(tmp_path):
    reply = f"<think>\nI guess:\n<code>\nfinal_answer(1)\n</code>\n</think>\n\n{SMOLAGENTS}"
    row = {"messages": [{"role": "user", "content": "How?"}, {"role": "assistant", "content": reply}]}
    [trace] = read_trajectories(write(tmp_path / "log.jsonl", [row])).traces
    [step] = trace.steps
    assert (step.reply.content, step.code) == (SMOLAGENTS, "print(wikipedia_search('Aren'))")
    assert step.reply.reasoning.startswith("I guess:")


def test_what_was_read_is_what_is_learned(tmp_path):
    [trace] = read_trajectories(write(tmp_path / "log.jsonl", [PAPER])).traces
    chat = ChatFormat(build_tokenizer("qwen2_5"))
    [example] = chat.examples(in_template(trace, load_prompt("standard"), ()).messages)
    learned = chat.decode([i for i, t in zip(example.input_ids, example.trained, strict=True) if t])
    for step in trace.steps:
        assert step.reply.content in learned
    assert "river of 412 km" not in learned


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"text": "x"}, 'no "messages" (the row has: text)'),
        ({"messages": "x"}, 'no "messages"'),
        ({"messages": ["x"]}, "a message is no object"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, 'no role is called "wizard"'),
        ({"messages": [{"role": "user", "content": "x"}]}, "no question that a model answers"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "no question that a model answers"),
        ({"messages": [{"role": "user", "content": 7}]}, "content is int, not text"),
        ({"trace": "{"}, '"trace" is not JSON'),
        ({"trace": '{"id": "x"}'}, "Trace"),
        ([1], "expected an object"),
    ],
)
def test_rows_that_are_none_are_skipped_with_their_line(tmp_path, row, why):
    read = read_trajectories(write(tmp_path / "log.jsonl", [PAPER, row, PAPER]))
    [line] = read.skipped
    assert line.startswith(f"{tmp_path}/log.jsonl:2: ")
    assert why in line
    assert len({t.id for t in read.traces}) == 2, "the same row twice has two ids"
    with pytest.raises(DataError, match="no conversation in it"):
        read_trajectories(write(tmp_path / "none.jsonl", [row]))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda v: st.lists(v, max_size=4) | st.dictionaries(st.sampled_from(["role", "content", "text", "from"]), v),
    max_leaves=12,
)
KEYS = st.sampled_from(["messages", "conversations", "log_data", "trace", "question", "answer", "id"])
TURN = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool"]), "content": st.text(max_size=30)}
)


@given(st.dictionaries(KEYS, VALUES | st.lists(TURN, max_size=6)), st.sampled_from(["agent", "cot"]))
def test_any_row_is_a_trace_or_says_why_not(row, method):
    try:
        trace = _trace(row, method, "any")
    except DataError:
        return
    assert trace.steps
    said = [m.content for m in trace.messages if m.source is Source.MODEL]
    assert len(said) == len(trace.steps)


def test_a_recipe_trains_on_them_without_a_teacher(tmp_path):
    base = write_inputs(tmp_path, n_train=1, n_test=1).parent / "base"
    rows = [PAPER, {**PAPER, "true_answer": "9"}, {**PAPER, "log_data": {"messages": [
        *PAPER["log_data"]["messages"][:4], PAPER["log_data"]["messages"][-1]]}}]  # fmt: skip
    source = write(tmp_path / "log.jsonl", [*rows, {"text": "none"}])
    recipe = tmp_path / "given.toml"
    recipe.write_text(f"""
prompt = "tiny"
[collect.trajectories]
agent = {json.dumps(source)}
[sandbox]
mode = "process"
[train]
method = "full"
epochs = 1
device = "cpu"
[student]
base = {json.dumps(str(base))}
methods = ["agent-distill"]
""")
    run = run_recipe(load_recipe(recipe), tmp_path / "run", until="train")
    assert [t.correct for t in read_traces(run / "collect/agent/traces.jsonl")] == [True, False, True]
    [kept] = read_traces(run / "filter/agent/traces.jsonl")
    assert kept.prompt[0].content == "Solve with Python and search."
    assert (run / "train/base--agent-distill/training.json").exists()
    before = (run / "collect/agent/traces.jsonl").stat().st_mtime_ns
    run_recipe(load_recipe(recipe), tmp_path / "run", until="train")
    assert (run / "collect/agent/traces.jsonl").stat().st_mtime_ns == before
    recipe.write_text(recipe.read_text().replace("agent = ", "agnet = "))
    with pytest.raises(RecipeError, match='unknown collection "agnet"'):
        load_recipe(recipe)
