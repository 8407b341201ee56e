"""Worked examples: read with care, shown to models that were not trained, never to students."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_run import question, recipe_with, write_inputs

from agentdistill.errors import DataError
from agentdistill.pipeline import run_recipe
from agentdistill.prompts import load_prompt
from agentdistill.prompts.examples import ExampleTemplate, read_examples
from agentdistill.recipe import Recipe, load_recipe
from agentdistill.registry import names
from agentdistill.store import read_traces, write_jsonl
from agentdistill.types import Source
from tinyworld import prompts as tiny

LOOK = tiny.action("look.", 'print(search("Aren 90"))')
DONE = tiny.action("that is it.", "final_answer(490)")
ROWS: list[dict[str, Any]] = [
    {
        "question": question(90),
        "agent": [{"reply": LOOK, "observation": "[1] Aren 90: 490 km"}, {"reply": DONE}],
        "cot": "90 and 400.\n\nAnswer: 490",
    },
    {"question": question(91), "agent": tiny.action("I know.", "final_answer(491)")},
]


def written(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "examples.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def prompted(path: Path, **tables: dict[str, object]) -> Recipe:
    """The small recipe with the examples beside it."""
    return replace(recipe_with(path, **tables), examples=str(path.parent / "examples.jsonl"))


@pytest.mark.parametrize("name", names("prompts"))
def test_examples_stand_between_the_system_and_the_question(name: str, tmp_path: Path) -> None:
    template = load_prompt(name)
    shown = ExampleTemplate(template, read_examples(written(tmp_path, ROWS)))
    system, asked = template.agent("How long?", [])
    first, *turns, last = shown.agent("How long?", [])
    assert (first, last) == (system, asked)
    assert [m.role for m in turns] == ["user", "assistant", "user", "assistant", "user", "assistant"]
    assert turns[0] == template.agent(question(90), [])[-1]
    assert turns[1].content == LOOK
    assert turns[2].content == template.observation("[1] Aren 90: 490 km")
    assert {m.source for m in turns} == {Source.PROMPT}
    thought = shown.cot("How long?")
    assert [m.content for m in thought[1:-1]] == [template.cot(question(90))[-1].content, "90 and 400.\n\nAnswer: 490"]
    assert (shown.THOUGHT, shown.AGENT_STOP) == (template.THOUGHT, template.AGENT_STOP)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"question": "q"}, 'neither "agent" nor "cot"'),
        ({"agent": DONE}, '"question" has to be a text'),
        ({"question": "q", "agent": "7"}, '"agent" has a reply without a block of Python'),
        ({"question": "q", "agent": 7}, '"agent" is neither a text nor a list of turns'),
        ({"question": "q", "agent": [LOOK, DONE]}, '"agent" is neither a text nor a list of turns'),
        ({"question": "q", "agent": [{"reply": LOOK}, {"reply": DONE}]}, '"observation" has to be a text'),
        ({"question": "q", "agent": [{"reply": LOOK, "observation": "4"}]}, '"agent" ends with an observation'),
        ({"question": "q", "agent": [{"reply": LOOK, "output": "4"}]}, 'unknown key "output" in a turn'),
        ({"question": "q", "cot": "It is 7."}, '"cot" does not end in an answer'),
        ({"question": "q", "cot": ["Answer: 7"]}, '"cot" has to be a text'),
        ({"question": "q", "cot": "Answer: 7", "answer": "7"}, 'unknown key "answer"'),
    ],
)
def test_a_row_that_is_no_example_is_told_with_its_line(row: dict[str, Any], why: str, tmp_path: Path) -> None:
    path = written(tmp_path, [ROWS[0], row])
    with pytest.raises(DataError) as e:
        read_examples(path)
    assert str(e.value).startswith(f"{path}:2: ")
    assert why in str(e.value)
    assert "\n" not in str(e.value)


def test_a_file_without_examples_or_without_those_needed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no examples in it"):
        read_examples(written(tmp_path, []))
    path = write_inputs(tmp_path, n_train=2, n_test=1)
    written(tmp_path, ROWS[1:])
    with pytest.raises(DataError, match='no row has "cot", which the method cot is prompted with'):
        run_recipe(prompted(path), tmp_path / "run")
    assert not (tmp_path / "run" / "collect").exists()


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("examples")
    path = write_inputs(folder, n_test=2)
    written(folder, ROWS)
    return path, run_recipe(prompted(path), folder / "run")


def n_shown(run: Path, part: str) -> set[int]:
    """How many assistant's turns the prompts of a part hold."""
    traces = read_traces(run / part / "traces.jsonl")
    return {sum(m.role == "assistant" for m in t.prompt) for t in traces}


def test_only_untrained_models_are_shown_them(done: tuple[Path, Path]) -> None:
    _, run = done
    assert n_shown(run, "collect/agent") == n_shown(run, "collect/agent-prefix") == {3}
    assert n_shown(run, "collect/cot") == {1}
    assert n_shown(run, "evaluate/base--agent") == {3}
    assert n_shown(run, "evaluate/base--agent-distill") == n_shown(run, "evaluate/base--cot-distill") == {0}
    prefixed = read_traces(run / "collect/agent-prefix/traces.jsonl")
    assert all(t.steps[0].reply.prefix for t in prefixed)  # the first thought is asked for with examples too


def test_what_is_learned_is_what_a_student_is_asked(done: tuple[Path, Path]) -> None:
    """The kept traces, which training reads, have the very prompts that a run without examples gives."""
    path, run = done
    for name in ("agent", "agent-prefix", "cot"):
        kept = read_traces(run / "filter" / name / "traces.jsonl")
        assert kept
        for t in kept:
            asked = tiny.cot(t.problem.question) if name == "cot" else tiny.agent(t.problem.question, ())
            assert t.prompt == asked
    plain = run_recipe(load_recipe(path), path.parent / "plain", until="train")
    for part in ("base--agent-distill", "base--cot-distill"):
        ours, others = (json.loads((r / "train" / part / "training.json").read_text()) for r in (run, plain))
        assert ours["data_hash"] == others["data_hash"]


def test_other_examples_are_another_prompt(done: tuple[Path, Path], tmp_path: Path) -> None:
    """Changed examples ask the untrained anew; the students, who learn the same, are not evaluated again."""
    path, run = done
    run_recipe(prompted(path), run)  # nothing to do
    assert not list(run.glob("*/*.old-*"))
    write_jsonl(path.parent / "examples.jsonl", ROWS[:1])
    run_recipe(prompted(path), run)
    written(path.parent, ROWS)
    old = {str(p.relative_to(run)) for p in run.glob("*/*.old-1")}
    assert {"collect/agent.old-1", "collect/cot.old-1", "evaluate/base--agent.old-1"} <= old
    assert not any("evaluate" in p and "distill" in p for p in old)
