"""Readers in recipes: several sources as one collection, problems that all collections share, and mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from published_rows import GSM8K, write

from agentdistill.errors import RecipeError
from agentdistill.exchange.readers import find_reader
from agentdistill.pipeline import run_recipe
from agentdistill.recipe import load_recipe, recipe_from_json
from agentdistill.registry import names
from agentdistill.store import dumps, from_dict, read_traces
from agentdistill.types import Trace

RECIPE = """
prompt = "compact"
[collect.trajectories]
agent = {agent}
cot = {cot}
[filter]
paired = {paired}
[sandbox]
mode = "process"
[student]
base = "owner/model"
methods = ["agent-distill", "cot-distill"]
"""
CHAT = {
    "question": "6 * 7?",
    "true_answer": "42",
    "messages": [
        {"role": "user", "content": "6 * 7?"},
        {"role": "assistant", "content": "```python\nfinal_answer(42)\n```"},
    ],
}


def recipe(folder: Path, agent: str | list[str], cot: str | list[str], paired: bool = True) -> Path:
    path = folder / "given.toml"
    text = RECIPE.format(agent=json.dumps(agent), cot=json.dumps(cot), paired=json.dumps(paired))
    path.write_text(text, encoding="utf-8")
    return path


def test_readers_are_found_by_name():
    assert {"gsm8k", "mwp_reft", "fireact"} <= set(names("readers"))
    assert find_reader("gsm8k.jsonl", "agent") is None
    assert find_reader("owner/gsm8k:train", "agent") is None
    found = find_reader("gsm8k:train:5@/data", "agent-prefix")
    assert found is not None
    assert (found.reader, found.split, found.n, found.path) == ("gsm8k", "train", 5, "/data")


def test_sources_follow_one_another_and_ids_differ(gsm8k, read, tmp_path):
    chats = write(tmp_path / "chats.jsonl", [{**CHAT, "id": "c"}])
    source = f"gsm8k:train:1@{gsm8k}"
    assert [t.id for t in read(source, str(chats), source).traces] == ["gsm8k-train-1", "c", "gsm8k-train-1/2"]


def test_the_words_of_another_prompt_template(gsm8k, read):
    said = read(f"gsm8k@{gsm8k}", prompt="standard").traces[0].steps[0].reply.content
    assert said.startswith("Code:\n```python\n# Ada baked rolls on Tuesday\n")


def test_notes_survive_and_old_traces_have_none(gsm8k, read):
    trace = read(f"gsm8k@{gsm8k}").traces[0]
    data = json.loads(dumps(trace))
    assert from_dict(Trace, data) == trace
    del data["notes"]
    assert from_dict(Trace, data).notes == ()
    assert '"notes"' not in dumps(from_dict(Trace, data))


def test_paired_keeps_the_questions_that_every_collection_has_right(gsm8k, tmp_path):
    path = recipe(tmp_path, f"gsm8k@{gsm8k}", [f"gsm8k@{gsm8k}"])
    run = run_recipe(load_recipe(path), tmp_path / "run", until="filter")
    kept = {n: [t.problem.id for t in read_traces(run / "filter" / n / "traces.jsonl")] for n in ("agent", "cot")}
    assert kept["agent"] == kept["cot"] == ["gsm8k-train-1", "gsm8k-train-2"]
    counts = json.loads((run / "filter/cot/manifest.json").read_text())["counts"]
    assert (counts["kept"], counts["unpaired"]) == (2, 2)
    collected = json.loads((run / "collect/agent/manifest.json").read_text())
    assert collected["left_out"] == {"no equation": 1, "no equation gives the answer": 1}
    settings = json.loads((run / "recipe.json").read_text())
    assert recipe_from_json(settings, run / "recipe.json") == load_recipe(path)


def test_a_changed_file_is_read_again(gsm8k, tmp_path):
    path = recipe(tmp_path, f"gsm8k@{gsm8k}", f"gsm8k@{gsm8k}", paired=False)
    run = run_recipe(load_recipe(path), tmp_path / "run", until="filter")
    assert len(read_traces(run / "filter/cot/traces.jsonl")) == 4
    write(gsm8k, GSM8K[:1])
    run_recipe(load_recipe(path), tmp_path / "run", until="filter")
    assert len(read_traces(run / "filter/cot/traces.jsonl")) == 1


@pytest.mark.parametrize(
    ("agent", "message"),
    [
        ("gsm8k:tset", r'given.toml:4: gsm8k has no split "tset"; there are: train'),
        (["gsm8k", "fireact:cot"], r"given.toml:4: fireact:cot has no trajectories of agent"),
        ([], "given.toml:4: agent names no trajectories"),
    ],
)
def test_what_a_recipe_gets_wrong(tmp_path, agent, message):
    with pytest.raises(RecipeError, match=message):
        load_recipe(recipe(tmp_path, agent, "gsm8k"))


def test_questions_are_drawn_by_the_seed_and_the_same_everywhere(gsm8k, tmp_path):
    path = recipe(tmp_path, f"gsm8k@{gsm8k}", f"gsm8k@{gsm8k}")

    def kept(changes: list[str], name: str) -> dict[str, list[str]]:
        run = run_recipe(load_recipe(path, changes), tmp_path / name, until="filter")
        return {n: [t.problem.id for t in read_traces(run / "filter" / n / "traces.jsonl")] for n in ("agent", "cot")}

    whole = kept([], "whole")
    drawn = {seed: kept(["filter.questions=1", f"seed={seed}"], f"seed{seed}") for seed in range(6)}
    for one in drawn.values():
        assert one["agent"] == one["cot"]
        assert len(one["agent"]) == 1
        assert set(one["agent"]) < set(whole["agent"])
    assert len({one["agent"][0] for one in drawn.values()}) == 2, "the seed decides"
    assert kept(["filter.questions=99"], "more") == whole


def test_questions_are_drawn_evenly_over_the_families(tmp_path):
    for name, n in (("many", 9), ("few", 2)):
        rows = [{**CHAT, "id": f"{name}{i}", "question": f"{name} {i} * 42?"} for i in range(n)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    path = recipe(tmp_path, [str(tmp_path / f"{n}.jsonl") for n in ("many", "few")], [], paired=False)
    path.write_text(path.read_text().replace("cot = []\n", "").replace(', "cot-distill"', ""), encoding="utf-8")
    for n, counts in ((2, (1, 1)), (6, (4, 2)), (11, (9, 2))):
        run = run_recipe(load_recipe(path, [f"filter.questions={n}"]), tmp_path / str(n), until="filter")
        families = [t.problem.family for t in read_traces(run / "filter" / "agent" / "traces.jsonl")]
        assert (families.count("many"), families.count("few")) == counts


def test_a_student_may_learn_to_answer_with_tools_and_without(gsm8k, tmp_path):
    searching = {**CHAT, "messages": [CHAT["messages"][0], {"role": "assistant", "content": "```py\nsearch('7')\n```"}]}
    chats = tmp_path / "chats.jsonl"
    chats.write_text(json.dumps(searching) + "\n" + json.dumps(CHAT) + "\n", encoding="utf-8")
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text('{"title": "7", "text": "Seven is a number."}\n', encoding="utf-8")
    path = recipe(tmp_path, [f"gsm8k@{gsm8k}", str(chats)], f"gsm8k@{gsm8k}")
    prompts = {}
    for offer in ("all", "used"):
        changes = [f"collect.offer={offer}", f"tools.search={corpus}"]
        run = run_recipe(load_recipe(path, changes), tmp_path / offer, until="collect")
        read = read_traces(run / "collect" / "agent" / "traces.jsonl")
        prompts[offer] = ["search(query" in t.prompt[0].content for t in read]
    assert all(prompts["all"])
    assert prompts["used"] == [False] * (len(prompts["all"]) - 2) + [True, False]
