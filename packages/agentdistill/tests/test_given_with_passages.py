"""Chains of thought that others wrote, learned beside passages: those of their source, or what our search finds."""

from __future__ import annotations

import json
from pathlib import Path

from agentdistill.pipeline.collect import collect, folder_of
from agentdistill.pipeline.run import Run
from agentdistill.progress import Silent
from agentdistill.recipe import load_recipe
from agentdistill.store import read_traces

RECIPE = """prompt = "compact"
[collect.trajectories]
cot = "given.jsonl"
cot-rag = "given.jsonl"
[tools]
search = ["a.jsonl", "b.jsonl"]
k = 2
passage_chars = 40
[student]
base = "owner/Small-0.5B"
methods = ["cot-distill", "cot-distill-rag"]
"""
ROW = {
    "question": "On which river is Naj?",
    "true_answer": "the Aren",
    "messages": [
        {"role": "user", "content": "On which river is Naj?"},
        {"role": "assistant", "content": "Naj lies on the Aren.\n\nAnswer: the Aren"},
    ],
}


def run(folder: Path, **changes: str) -> Run:
    text = RECIPE
    for old, new in changes.items():
        text = text.replace(old, new)
    (folder / "given.jsonl").write_text(json.dumps(ROW) + "\n")
    (folder / "a.jsonl").write_text('{"title": "Naj", "text": "Naj is a town on the Aren, a river of Orvia."}\n')
    (folder / "b.jsonl").write_text('{"title": "Aren", "text": "A river."}\n{"title": "Tol", "text": "A hill."}\n')
    (folder / "r.toml").write_text(text)
    return Run(load_recipe(folder / "r.toml"), folder / "run")


def test_the_question_is_opened_again_with_what_search_finds(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    ours = run(tmp_path)
    assert ours.collections == ("cot", "cot-rag")
    [plain] = read_traces(collect(ours, "cot", Silent()))
    [beside] = read_traces(collect(ours, "cot-rag", Silent()))
    assert plain.prompt[-1].content == ROW["question"]
    passages = "[1] Naj: Naj is a town on the Aren, a river ...\n[2] Aren: A river."
    assert beside.prompt[-1].content == f"{passages}\n\nQuestion: {ROW['question']}"
    assert beside.prompt == ours.template.cot(ROW["question"], ours.passages(ROW["question"]))
    assert beside.steps == plain.steps
    assert (beside.correct, beside.method) == (True, "cot-rag")
    assert ours.corpus_facts() == {"n_passages": 3, "n_duplicates": 0}


def test_it_is_read_again_where_its_passages_would_differ(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    ours = run(tmp_path)
    for name in ("cot", "cot-rag"):
        collect(ours, name, Silent())
    for changes, again in (
        ({"k = 2": "k = 1"}, {"cot", "cot-rag"}),
        ({"passage_chars = 40": "passage_chars = 20"}, {"cot", "cot-rag"}),
        ({', "b.jsonl"': ""}, {"cot-rag"}),
        ({'"compact"': '"standard"'}, {"cot", "cot-rag"}),
        ({}, set()),
    ):
        other = run(tmp_path, **changes)
        assert {n for n in other.collections if not folder_of(other, n).is_done} == again, changes
    short = run(tmp_path, **{"passage_chars = 40": "passage_chars = 20"})
    [trace] = read_traces(collect(short, "cot-rag", Silent()))
    assert "[1] Naj: Naj is a town on ...\n" in trace.prompt[-1].content


def test_a_source_that_has_passages_brings_its_own(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    output = (
        "Thought: I need its river.\nAction: search[Naj river]\nObservation: Naj lies on the Aren ...\n"
        "Thought: Naj lies on the Aren.\nAction: finish[the Aren]\nObservation: Episode finished, reward = True\n"
    )
    row = {"instruction": ROW["question"], "input": "", "output": output}
    (tmp_path / "hotpotqa.json").write_text(json.dumps([row]))
    ours = run(tmp_path, **{'cot-rag = "given.jsonl"': 'cot-rag = ["fireact:hotpotqa@hotpotqa.json", "given.jsonl"]'})
    own, found = read_traces(collect(ours, "cot-rag", Silent()))
    assert own.prompt[-1].content == f"[1] Naj lies on the Aren ...\n\nQuestion: {ROW['question']}"
    assert dict(own.notes)["passages"] == "the source's own"
    assert found.prompt[-1].content.startswith("[1] Naj: Naj is a town")
    assert "passages" not in dict(found.notes)
