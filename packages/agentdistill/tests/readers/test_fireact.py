"""FireAct's ReAct text as code, its observations kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from published_rows import write

from agentdistill.errors import UserError
from agentdistill.types import StepStatus

ACTED = (
    'Thought: I need the writer.\nAction: search["The Tree" writer\'s name]\nObservation: Lea Orr wrote it.\n'
    'Thought: It is Lea.\nAction: finish[Lea "L" Orr]\nObservation: Episode finished, reward = {reward}\n'
)
TOLD = (
    "Thought: Trees do not speak. So the answer is no. \nAction: finish[no]\nObservation: Episode finished, reward = 1"
)


def row(question: str, output: str) -> dict[str, str]:
    return {"instruction": question, "input": "", "output": output}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    who = row("Who wrote The Tree?", ACTED.format(reward="True"))
    other = row("Is Lea a writer?", ACTED.format(reward="1"))
    choice = row("Question: A tree is", TOLD)
    told = row("Do trees speak?", TOLD)
    bad = row("Do they?", "Action: finish[Thought: no. Answer: no.]\nObservation: Episode finished, reward = 1")
    write(tmp_path / "fireact" / "hotpotqa.json", [who])
    write(tmp_path / "fireact" / "multitask.json", [who, other, choice, told])
    wrong = row("Who else?", ACTED.format(reward="False"))
    write(tmp_path / "fireact" / "multitask_multimethod.json", [who, choice, told, bad, wrong])
    return tmp_path


def test_a_search_is_printed_and_what_was_observed_stays(folder, read):
    [trace] = read(f"fireact:hotpotqa@{folder}", searching=True).traces
    first, last = trace.steps
    query = '"The Tree" writer\'s name'
    assert first.code == 'print(search("\\"The Tree\\" writer\'s name"))'
    assert first.reply.content == f"Thought: I need the writer.\n```python\n{first.code}\n```"
    assert first.observation is not None
    assert first.observation.content == "Observation: [1] Lea Orr wrote it."
    assert (first.status, last.status) == (StepStatus.OK, StepStatus.FINAL)
    [call] = first.tool_calls
    assert (call.name, json.loads(call.arguments), call.result) == (
        "search",
        {"args": [query]},
        "[1] Lea Orr wrote it.",
    )
    said = []
    exec(last.code or "", {"final_answer": said.append})
    assert said == [trace.answer] == ['Lea "L" Orr']
    assert "search(query: str)" in trace.prompt[0].content
    notes = dict(trace.notes)
    assert notes["observations"] == "stored"
    assert notes["search results"] == "stored snippets, numbered, without titles"
    assert (notes["source"], trace.model, trace.correct) == ("fireact:hotpotqa/1", "gpt-4", True)


def test_each_split_has_its_own_rows(folder, read):
    strategy = read(f"fireact:strategyqa@{folder}")
    assert [t.problem.question for t in strategy.traces] == ["Is Lea a writer?"]
    assert strategy.left_out == {
        "of another split": 1, "multiple choice (MMLU)": 1, "answered without a search": 1,
    }  # fmt: skip
    cot = read(f"fireact:cot@{folder}", method="cot")
    assert [t.steps[0].reply.content for t in cot.traces] == ["Trees do not speak. So the answer is no.\nAnswer: no"]
    assert cot.left_out["not rewarded as right"] == 1
    assert cot.left_out["not thoughts, searches and an answer in turn"] == 1


def test_chains_of_thought_alone_are_no_trajectories(folder, read):
    with pytest.raises(UserError, match="fireact:cot has no trajectories of agent; take hotpotqa or strategyqa"):
        read(f"fireact:cot@{folder}")
    with pytest.raises(UserError, match='no split "musique"; there are: hotpotqa, strategyqa, cot'):
        read(f"fireact:musique@{folder}")


def test_the_thoughts_of_a_trajectory_are_a_chain_of_thought_for_the_same_problem(folder, read):
    [acted] = read(f"fireact:hotpotqa@{folder}", searching=True).traces
    [told] = read(f"fireact:hotpotqa@{folder}", method="cot").traces
    assert told.problem == acted.problem
    [step] = told.steps
    assert step.reply.content == 'It is Lea.\nAnswer: Lea "L" Orr'
    assert (told.answer, told.correct) == (acted.answer, True)
    assert told.prompt[-1].content == "Who wrote The Tree?"
    assert dict(told.notes) == {
        "source": "fireact:hotpotqa/1",
        "gold": "what was answered and rewarded as right",
        "thought": "thoughts of the trajectory, without plans",
    }


def test_what_the_search_found_is_quoted_where_no_thought_says_it(tmp_path, read):
    output = (
        "Thought: I need the river of Naj.\nAction: search[Naj river]\nObservation: None\n"
        "Thought: The search found nothing. I should try again.\nAction: search[on which river is Naj]\n"
        "Observation: Aren\nThought: I need its length.\nAction: search[Aren length]\n"
        "Observation: The Aren is a river. It has a length of 90 km from ...\n"
        "Thought: I have the answer.\nAction: finish[90 km]\nObservation: Episode finished, reward = True\n"
    )
    write(tmp_path / "fireact" / "hotpotqa.json", [row("How long is the river of Naj?", output)])
    [told] = read(f"fireact:hotpotqa@{tmp_path}", method="cot").traces
    said = "On which river is Naj? Aren. It has a length of 90 km.\nAnswer: 90 km"
    assert told.steps[0].reply.content == said
    assert dict(told.notes)["findings"] == "2 quoted from stored snippets"
    [acted] = read(f"fireact:hotpotqa@{tmp_path}", searching=True).traces
    observed = [s.observation.content for s in acted.steps if s.observation]
    assert observed[:2] == ["Observation: No passages found.", "Observation: [1] Aren"]


def test_thoughts_that_state_nothing_are_left_out(tmp_path, read):
    output = (
        "Thought: I need to know that.\nAction: search[{0}]\nObservation: A snippet.\n"
        "Thought: The search did not answer the question.{1}\nAction: finish[no]\n"
        "Observation: Episode finished, reward = 1\n"
    )
    bare, fuller = output.format("a", ""), output.format("b", " However, no dog can fly.")
    write(tmp_path / "multitask.json", [row("Do dogs fly?", fuller), row("Do dogs sing?", bare)])
    found = read(f"fireact:strategyqa@{tmp_path}", method="cot")
    assert [t.steps[0].reply.content for t in found.traces] == ["No dog can fly.\nAnswer: no"]
    assert found.left_out == {"thoughts that state nothing": 1}
    assert len(read(f"fireact:strategyqa@{tmp_path}").traces) == 2
