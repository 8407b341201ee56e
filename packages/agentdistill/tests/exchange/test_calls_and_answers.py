"""Trajectories of others whose answers are computed, and whose actions are tool calls in JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agentdistill.environment import Environment
from agentdistill.exchange import read_trajectories
from agentdistill.filters import filter_traces
from agentdistill.types import End, StepStatus, Trace

FENCE = "`" * 3


@pytest.fixture(scope="module")
def environment() -> Iterator[Environment]:
    with Environment((), mode="process") as it:
        yield it


def turn(code: str) -> dict[str, Any]:
    return {"role": "assistant", "content": f"Thought: so.\nCode:\n{FENCE}py\n{code}\n{FENCE}"}


def seen(text: str) -> dict[str, Any]:
    return {"role": "user", "content": f"Observation:\n{text}"}


def read(path: Path, turns: list[dict[str, Any]], environment: Environment | None = None, **more: Any) -> Trace:
    row = {"question": "What?", "messages": [{"role": "user", "content": "What?"}, *turns], **more}
    path.write_text(json.dumps(row) + "\n")
    [trace] = read_trajectories(str(path), environment=environment).traces
    return trace


def kept(trace: Trace, *names: str) -> bool:
    return bool(filter_traces([trace], names)[0])


@pytest.mark.parametrize(
    ("codes", "answer"),
    [
        (["final_answer(-42)"], "-42"),
        (["final_answer(+2.50)"], "2.5"),
        (["final_answer([1, -2])"], "[1, -2]"),
        (["final_answer(answer=('a', 'b'))"], "('a', 'b')"),
        (["final_answer(6 * 7 - 2)"], "40"),
        (["x = 6 * 7", "final_answer(x)"], "42"),
        (["name = 'Ulm'\nprint(name)", "final_answer(name)"], "Ulm"),
    ],
)
def test_values_and_names_need_no_running(codes: list[str], answer: str, tmp_path: Path) -> None:
    *earlier, last = codes
    trace = read(tmp_path / "t.jsonl", [t for c in earlier for t in (turn(c), seen("ok"))] + [turn(last)])
    assert (trace.end, trace.answer, trace.steps[-1].status) == (End.ANSWERED, answer, StepStatus.FINAL)


@pytest.mark.parametrize(
    ("codes", "answer"),
    [
        (["xs = [1, 2]\nxs.append(3)", "final_answer(sum(xs))"], "6"),
        (["n = 0\nfor i in range(5):\n    n += i", "final_answer(n)"], "10"),
        (["final_answer(f'{2 ** 5} km')"], "32 km"),
        (["x = 7\nif x > 5:\n    final_answer(round(x / 3, 2))"], "2.33"),
    ],
)
def test_what_is_computed_is_run(codes: list[str], answer: str, environment: Environment, tmp_path: Path) -> None:
    *earlier, last = codes
    turns = [t for c in earlier for t in (turn(c), seen("ok"))] + [turn(last)]
    trace = read(tmp_path / "t.jsonl", turns, environment, true_answer=answer)
    assert (trace.end, trace.answer, trace.correct) == (End.ANSWERED, answer, True)
    assert ("answer", "executed") in trace.notes
    unknown = read(tmp_path / "t.jsonl", turns, true_answer=answer)
    assert (unknown.end, unknown.answer, unknown.correct) == (End.ANSWERED, None, None)
    assert kept(unknown, "within_steps")
    assert not kept(unknown, "right_answer")


def test_an_answer_out_of_tools_is_unknown_and_not_wrong(environment: Environment, tmp_path: Path) -> None:
    turns = [turn("x = search('Aren')\nprint(x)"), seen("412"), turn("final_answer(x)")]
    trace = read(tmp_path / "t.jsonl", turns, environment, answer="412")
    assert (trace.end, trace.answer, trace.correct) == (End.ANSWERED, None, None)
    told = read(tmp_path / "t.jsonl", [*turns, seen("Last output from code snippet:\n412")], environment, answer="412")
    assert (told.end, told.answer, told.correct) == (End.ANSWERED, "412", True)


def test_an_answer_that_failed_is_none(tmp_path: Path) -> None:
    failed = [turn("final_answer(undefined)"), seen("NameError: name 'undefined' is not defined")]
    assert read(tmp_path / "t.jsonl", failed).end is End.OUT_OF_STEPS
    assert read(tmp_path / "t.jsonl", [turn("print(1)"), seen("1")]).end is End.OUT_OF_STEPS


@pytest.mark.parametrize(
    ("gold", "said"),
    [
        (["Ulm", "Ulm an der Donau"], "Ulm an der Donau"),
        (True, "yes"),
        ({"value": "Ulm", "aliases": ["Ulma"]}, "Ulma"),
        ("It is 6*7.\n#### 42", "42"),
        (42.0, "42"),
    ],
)
def test_gold_answers_in_any_form(gold: Any, said: str, tmp_path: Path) -> None:
    assert read(tmp_path / "t.jsonl", [turn(f"final_answer({said!r})")], answer=gold).correct
    assert read(tmp_path / "t.jsonl", [turn("final_answer('something else')")], answer=gold).correct is False


@pytest.mark.parametrize("column", ["golden_answers", "ground_truth", "expected_answer", "gold_answer"])
def test_gold_answers_by_the_names_of_other_data_sets(column: str, tmp_path: Path) -> None:
    assert read(tmp_path / "t.jsonl", [turn("final_answer('Ulm')")], **{column: ["Ulm"]}).correct


def test_a_conversation_in_pythons_words_is_read(tmp_path: Path) -> None:
    turns = str([{"role": "user", "content": "What's it?"}, turn("final_answer(None or 5)")])
    (tmp_path / "t.jsonl").write_text(json.dumps({"messages": turns, "answer": 5}) + "\n")
    [trace] = read_trajectories(str(tmp_path / "t.jsonl")).traces
    assert trace.problem.question == "What's it?"


# --- tool calls -----------------------------------------------------------------------------------------------------


def call(name: str, arguments: Any) -> dict[str, Any]:
    return {"id": "1", "type": "function", "function": {"name": name, "arguments": arguments}}


def assistant(*calls: dict[str, Any], content: str | None = None) -> dict[str, Any]:
    return {"role": "assistant", "content": content, "tool_calls": list(calls)}


CALLS: dict[str, list[dict[str, Any]]] = {
    "openai": [
        assistant(call("search", '{"query": "Aren", "k": 2}')),
        {"role": "tool", "content": "412 km"},
        assistant(call("final_answer", '{"answer": 412}')),
    ],
    "objects": [
        assistant(call("search", {"query": "Aren", "k": 2}), content="I look it up."),
        {"role": "tool", "content": "412 km"},
        {"role": "assistant", "content": "412"},
    ],
    "function_call": [
        {"role": "assistant", "content": "",
         "function_call": {"name": "search", "arguments": '{"query":"Aren","k":2}'}},
        {"role": "function", "name": "search", "content": "412 km"},
        {"role": "assistant", "content": "It is 412 km long.\n\nAnswer: 412"},
    ],
    "parts": [
        {"role": "assistant", "content": [
            {"type": "text", "text": "I look it up."},
            {"type": "tool_use", "id": "1", "name": "search", "input": {"query": "Aren", "k": 2}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1",
                                      "content": [{"type": "text", "text": "412 km"}]}]},
        {"role": "assistant", "content": [{"type": "text", "text": "412"}]},
    ],
    "tags": [
        {"role": "assistant",
         "content": 'So.\n<tool_call>\n{"name": "search", "arguments": {"query": "Aren", "k": 2}}\n</tool_call>'},
        {"role": "tool", "content": "412 km"},
        {"role": "assistant",
         "content": '<tool_call>{"name": "final_answer", "arguments": {"answer": 412}}</tool_call>'},
    ],
    "printed": [
        assistant(call("search", "{'query': 'Aren', 'k': 2}")),
        {"role": "tool", "content": "412 km"},
        {"role": "assistant", "content": "412"},
    ],
}  # fmt: skip
FORMS = {
    "llama": '{"name": "search", "parameters": {"query": "Aren", "k": 2}}',
    "mistral": '[TOOL_CALLS] [{"name": "search", "arguments": {"query": "Aren", "k": 2}}]',
    "smolagents": 'Thought: I look.\nAction:\n```json\n{"name": "search", "arguments": {"query": "Aren", "k": 2}}\n```',
}
for name, said in FORMS.items():
    CALLS[name] = [
        {"role": "assistant", "content": said},
        {"role": "tool", "content": "412 km"},
        {
            "role": "assistant",
            "content": said.replace("search", "final_answer").replace('"query": "Aren", "k": 2', '"answer": 412'),
        },
    ]


@pytest.mark.parametrize("turns", CALLS.values(), ids=CALLS)
def test_tool_calls_become_code(turns: list[dict[str, Any]], tmp_path: Path) -> None:
    trace = read(tmp_path / "t.jsonl", turns, answer="412")
    assert trace.steps[0].code == "print(search(query='Aren', k=2))"
    assert (trace.end, trace.answer, trace.correct) == (End.ANSWERED, "412", True)
    assert ("calls", "converted from JSON") in trace.notes
    assert kept(trace, "right_answer", "no_parse_error", "within_steps")


def test_roles_of_sharegpt_are_calls_too(tmp_path: Path) -> None:
    talk = [
        {"from": "human", "value": "What?"},
        {"from": "function_call", "value": '{"name": "python", "arguments": {"code": "print(6 * 7)"}}'},
        {"from": "observation", "value": "42"},
        {"from": "gpt", "value": "The answer is 42."},
    ]
    (tmp_path / "t.jsonl").write_text(json.dumps({"conversations": json.dumps(talk), "answer": "42"}) + "\n")
    [trace] = read_trajectories(str(tmp_path / "t.jsonl")).traces  # and the conversation is JSON in a text
    assert trace.steps[0].code == "print(6 * 7)"
    assert trace.correct


def test_calls_in_tables_have_no_arguments_of_others(tmp_path: Path) -> None:
    talk = [
        {"role": "user", "content": "What?", "tool_calls": None},
        assistant(call("look", {"at": "x"})),
        {"role": "tool", "content": "y", "tool_calls": None},
        assistant(call("final_answer", {"answer": "y"})),
    ]
    pq.write_table(pa.Table.from_pylist([{"messages": talk}]), tmp_path / "t.parquet")
    [trace] = read_trajectories(str(tmp_path / "t.parquet")).traces
    assert [s.code for s in trace.steps] == ["print(look(at='x'))", "final_answer('y')"]


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (
            "I look.\n<function=execute_bash>\n<parameter=command>ls\n  -l</parameter>\n</function>",
            "print(execute_bash(command='ls\\n  -l'))",
            "I look.",
        ),
        (
            "<tool_call>\n<function=search>\n<parameter=query>\nAren\n</parameter>\n<parameter=k>\n3\n</parameter>\n"
            "</function>\n</tool_call>",
            "print(search(query='Aren', k='3'))",
            "",
        ),
        ('<function=search>{"query": "Aren", "k": 3}</function>', "print(search(query='Aren', k=3))", ""),
        (
            '<function_calls>\n<invoke name="search">\n<parameter name="query">Aren</parameter>\n</invoke>\n'
            "</function_calls>",
            "print(search(query='Aren'))",
            "",
        ),
        ("<function=look></function><function=look></function>", "print(look())\nprint(look())", ""),
    ],
)
def test_calls_in_tags(text: str, code: str, words: str, tmp_path: Path) -> None:
    said = {"role": "assistant", "content": text}
    talk = [{"role": "user", "content": "a"}, said, {"role": "tool", "content": "y"}, turn("final_answer(1)")]
    (tmp_path / "t.jsonl").write_text(json.dumps({"messages": talk}) + "\n")
    [trace] = read_trajectories(str(tmp_path / "t.jsonl")).traces
    assert [s.code for s in trace.steps] == [code, "final_answer(1)"]
    assert words in trace.steps[0].reply.content
    assert "<" not in trace.steps[0].reply.content


@pytest.mark.parametrize(
    ("turns", "why"),
    [
        (
            [{"role": "assistant", "content": "<function=look>at x</function>"}],
            "the call in \"look\" is not JSON ('at x')",
        ),
        ([assistant(call("search", "not json"))], 'the call in "search" is not JSON'),
        ([assistant(call("search", "[1]"))], 'the arguments of "search" are no object'),
        ([assistant({"type": "web_search"})], "a call of type 'web_search' names no function"),
        ([assistant(call("look up", "{}"))], 'the call of "look up" cannot be written as Python'),
        ([{"role": "function_call", "content": "search Aren"}], "the call in function_call is not JSON"),
        *(
            ([{"role": "assistant", "content": f"{mark}final_answer(1)"}], f"a tool call written as {mark} is not read")
            for mark in ("<function=", "<invoke name=", "<|tool_call", "<｜tool", "<|python_tag|>")
        ),
        ([{"role": "assistant", "content": None}], "turn 2, the model's, is empty"),
        ([turn("print(1)"), seen("1"), {"role": "assistant", "content": " "}], "turn 4, the model's, is empty"),
    ],
)
def test_what_cannot_be_converted_is_refused_by_name(turns: list[dict[str, Any]], why: str, tmp_path: Path) -> None:
    good = {"messages": [{"role": "user", "content": "a"}, turn("final_answer(1)")]}
    bad = {"messages": [{"role": "user", "content": "a"}, *turns]}
    (tmp_path / "t.jsonl").write_text(json.dumps(good) + "\n" + json.dumps(bad) + "\n")
    read = read_trajectories(str(tmp_path / "t.jsonl"))
    assert len(read.traces) == 1
    assert read.skipped[0].endswith(why) or why in read.skipped[0]
