"""smolagents as a client: its model class asks the agent, and its CodeAgent drives the bare student step for step.

It runs in a process of its own, with the interpreter that SMOLAGENTS_PYTHON names (which has to have this package too)
or with this one.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra agentdistill[serve] is not installed")

from agent_server import served
from made_traces import source_environment
from small_run import question, recipe_with, write_inputs

from agentdistill.environment import NO_CODE, NO_OUTPUT
from agentdistill.exchange.smolagents import in_our_words, observed
from agentdistill.loop import RolloutSettings, rollout
from agentdistill.pipeline import run_recipe
from agentdistill.pipeline.run import find_student, load_student, open_run
from agentdistill.prompts import load_prompt
from agentdistill.types import End, Message, Problem, Sampling
from tinyworld.prompts import action

PYTHON = os.environ.get("SMOLAGENTS_PYTHON", sys.executable)
CLIENT = Path(__file__).parents[1] / "fixtures" / "smolagents_client.py"
TEMPLATE = load_prompt("tiny")


@pytest.fixture(scope="module")
def has_smolagents():
    found = subprocess.run([PYTHON, "-c", "import smolagents"], capture_output=True)
    if found.returncode:
        pytest.skip("no smolagents here (make test-extras); name an interpreter that has it as SMOLAGENTS_PYTHON")


def taught(i):
    """Two steps without a mistake, of one kind or another: how an error reads is each interpreter's own. Where a turn
    does not end in a fence, smolagents puts one there, which the student is not to read."""
    if i % 4 == 3:
        return [action("I compute.", f"x = {i} + 400\nprint(x)"), action("There it is.", "final_answer(x)")]
    look = action("I look it up.", f'print(search("Aren {i}"))')
    return [f"{look}\n\nNow I wait.", action("There it is.", f"final_answer({i + 400})")]


@pytest.fixture(scope="module")
def run(has_smolagents, tmp_path_factory):
    """A run whose student has really been distilled, if only from a few trajectories."""
    folder = tmp_path_factory.mktemp("smolagents")
    recipe = recipe_with(
        write_inputs(folder),
        teacher={"settings": {"replies": {question(i): taught(i) for i in range(8)}}},
        train={"epochs": 40, "learning_rate": 3e-3},
        collect={"compare_prefix": False},
        evaluate={"max_new_tokens": 200, "max_steps": 4},
    )
    student = replace(recipe.students[0], base="tinyworld:0.3M", methods=("agent-distill",))
    return open_run(run_recipe(replace(recipe, students=(student,)), folder / "run", until="train"))


class Overheard:
    """A model, and what it was told before each thing it said."""

    def __init__(self, model):
        self.heard = []
        self._model = model

    def __getattr__(self, name):
        return getattr(self._model, name)

    async def generate(self, requests):
        self.heard += [r.messages for r in requests]
        return await self._model.generate(requests)


def drive(run, url, name, asked):
    command = [PYTHON, str(CLIENT), f"{url}/v1", name, str(run.folder), asked]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, env=source_environment())
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("i", [1, 3])
def test_its_loop_and_ours_take_the_same_steps(run, i):
    asked = question(i)
    model = Overheard(load_student(run, find_student(run)))
    with run.environment(run.recipe.evaluate) as environment:
        settings = RolloutSettings(4, Sampling(max_new_tokens=200))
        ours = asyncio.run(rollout(model, Problem("p", asked, ""), environment, run.template, settings))
        alone, model.heard = model.heard, []
        with served(model, environment) as up:
            theirs = drive(run, up.url, up.agent.name, asked)
    assert ours.end is End.ANSWERED, "the student was to learn this much"
    assert theirs["told"] == theirs["answer"] == ours.answer
    assert [thought(s["said"]) for s in theirs["steps"]] == [thought(s.reply.content) for s in ours.steps]
    assert [s["code"] for s in theirs["steps"]] == [s.code for s in ours.steps]
    seen = [TEMPLATE.observation(observed(f"Observation:\n{s['observed']}")) for s in theirs["steps"]]
    assert seen[:-1] == [s.observation.content for s in ours.steps[:-1]] != []
    assert [words(m) for m in model.heard] == 2 * [words(m) for m in alone], "once the agent, once step by step"


def thought(reply):
    return reply.partition("```")[0]


def words(messages):
    return [(m.role, m.content) for m in messages]


def test_what_a_code_agent_says_reads_as_our_environment_says_it():
    ran = "Observation:\nExecution logs:\n"
    for text, ours in (
        (f"{ran}401\n2\nLast output from code snippet:\nNone", "401\n2"),
        (f"{ran}Last output from code snippet:\n401", "401"),
        (f"{ran}Last output from code snippet:\nNone", NO_OUTPUT),
        (f"{ran}half\n", "half"),
        ("Call id: call_2\nError:\nno name 'x'\nNow let's retry: take care\n", "Error: no name 'x'"),
        ("Error:\nError in code parsing:\nno\nNow let's retry: take care\n", NO_CODE),
    ):
        assert observed(text) == ours
    memory = [
        ("system", "You are an expert assistant..."),
        ("user", "New task:\nHow long?"),
        ("assistant", "Thought: ..."),
        ("tool-call", "Calling tools:\n[...]"),
        ("tool-response", f"{ran}401\nLast output from code snippet:\nNone"),
        ("user", "New task:\nAnd how wide?"),
    ]
    assert in_our_words(memory, TEMPLATE) == [
        *TEMPLATE.agent("How long?", ()),
        Message("assistant", "Thought: ..."),
        Message("user", TEMPLATE.observation("401")),
        Message("user", "And how wide?"),
    ]
