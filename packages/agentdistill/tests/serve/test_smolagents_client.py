"""smolagents as a client: its model class asks the agent, and its CodeAgent drives the bare student.

It runs in a process of its own, with the interpreter that SMOLAGENTS_PYTHON names or with this one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("fastapi", reason="the extra agentdistill[serve] is not installed")

from agent_server import served

from agentdistill.models.scripted import Scripted

PYTHON = os.environ.get("SMOLAGENTS_PYTHON", sys.executable)
FIRST = "Thought: I multiply.\n<code>\nproduct = 6 * 7\nprint(product)\n</code>"
SCRIPT = {"6 times 7": (FIRST, "Thought: There it is.\n<code>\nfinal_answer(product)\n</code>")}
CLIENT = """
import json, sys
from smolagents import CodeAgent, OpenAIServerModel
url = sys.argv[1]
asked = OpenAIServerModel("student", api_base=url, api_key="none").generate(
    [{"role": "user", "content": [{"type": "text", "text": "What is 6 times 7?"}]}])
agent = CodeAgent(tools=[], model=OpenAIServerModel("student:raw", api_base=url, api_key="none"), verbosity_level=0)
answer = agent.run("What is 6 times 7?")
steps = [s for s in agent.memory.steps if hasattr(s, "code_action")]
print(json.dumps({"asked": asked.content, "answer": str(answer), "codes": [s.code_action for s in steps],
                  "observed": [s.observations for s in steps]}))
"""


@pytest.fixture(scope="module")
def has_smolagents():
    found = subprocess.run([PYTHON, "-c", "import smolagents"], capture_output=True)
    if found.returncode:
        pytest.skip("no smolagents here; name an interpreter that has it as SMOLAGENTS_PYTHON")


def test_it_asks_the_agent_and_drives_the_bare_student_to_the_same_steps(environment, has_smolagents):
    with served(Scripted(SCRIPT, name="student"), environment) as up:
        run = subprocess.run([PYTHON, "-c", CLIENT, f"{up.url}/v1"], capture_output=True, text=True, timeout=280)
        assert run.returncode == 0, run.stderr[-2000:]
        said = json.loads(run.stdout.splitlines()[-1])
        ours = up.agent.model._model.requests
    assert said["asked"] == said["answer"] == "42"
    assert said["codes"] == ["product = 6 * 7\nprint(product)", "final_answer(product)"]
    assert "42" in said["observed"][0]
    assert len(ours) == 4, "two turns of our loop, two of theirs"
