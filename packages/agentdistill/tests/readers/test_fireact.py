"""FireAct's ReAct text as code, its observations kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from published_rows import write

from agentdistill.errors import UserError
from agentdistill.types import StepStatus

ACTED = (
    'Thought: I need the writer.\nAction: search["The Tree" writer\'s name]\nObservation: Lea Orr\nwrote it.\n'
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
    assert first.observation.content == "Observation: Lea Orr\nwrote it."
    assert (first.status, last.status) == (StepStatus.OK, StepStatus.FINAL)
    [call] = first.tool_calls
    assert (call.name, json.loads(call.arguments), call.result) == ("search", {"args": [query]}, "Lea Orr\nwrote it.")
    said = []
    exec(last.code or "", {"final_answer": said.append})
    assert said == [trace.answer] == ['Lea "L" Orr']
    assert "search(query: str)" in trace.prompt[0].content
    notes = dict(trace.notes)
    assert notes["observations"] == "stored"
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


def test_a_split_has_trajectories_of_one_method(folder, read):
    with pytest.raises(UserError, match="fireact:cot has no trajectories of agent; take hotpotqa or strategyqa"):
        read(f"fireact:cot@{folder}")
    with pytest.raises(UserError, match='no split "musique"; there are: hotpotqa, strategyqa, cot'):
        read(f"fireact:musique@{folder}")
