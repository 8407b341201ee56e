"""The sandbox under smolagents' own CodeAgent, with a model that says what it is told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("smolagents", reason="smolagents is not installed (make test-extras)")

import smolagents

from agentdistill.adapters import SandboxExecutor
from agentdistill.sandbox import Limits, Sandbox


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox("process", limits=Limits(wall_s=5.0)) as made:
        yield made


@pytest.fixture
def executor(box: Sandbox) -> Iterator[SandboxExecutor]:
    made = SandboxExecutor(box)
    yield made
    made.cleanup()


class Says(smolagents.Model):
    """One reply after the other; keeps what it was asked."""

    def __init__(self, *actions: str) -> None:
        super().__init__(model_id="says")
        self.actions, self.asked = list(actions), []

    def generate(self, messages: list[Any], **how: Any) -> Any:
        self.asked.append("\n".join(part["text"] for m in messages for part in m.content))
        text = f"Thought: next.\n<code>\n{self.actions.pop(0)}\n</code>"
        return smolagents.ChatMessage(role="assistant", content=text)


@smolagents.tool
def price(thing: str) -> int:
    """The price of a thing.

    Args:
        thing: What it is.
    """
    return {"lamp": 19, "stool": 35}[thing]


def agent(executor: SandboxExecutor, *actions: str) -> tuple[Any, Says]:
    model = Says(*actions)
    return smolagents.CodeAgent([price], model, executor=executor, verbosity_level=0, max_steps=6), model


def test_an_episode(executor: SandboxExecutor) -> None:
    made, model = agent(
        executor,
        "x = price('lamp')\nprint('it costs', x)",
        "print('before'); x / 0",
        "price('bed')",
        "x + extra",
        "final_answer([x, extra])",
    )
    assert made.run("What does a lamp cost?", additional_args={"extra": 5}) == "[19, 5]"
    assert "Execution logs:\nit costs 19\n" in model.asked[1]
    assert "ZeroDivisionError: division by zero" in model.asked[2]
    assert made.memory.steps[2].observations.startswith("Execution logs:\nbefore")
    assert "KeyError: 'bed'" in model.asked[3]
    assert "Last output from code snippet:\n24" in model.asked[4]


def test_the_same_episode_as_with_their_own_executor(executor: SandboxExecutor) -> None:
    actions = ["n = price('stool')\nprint(n)", "m = [n * i for i in range(3)]\nm", "print(m)", "final_answer(str(m))"]
    made, ours = agent(executor, *actions)
    theirs = Says(*actions)
    answer = smolagents.CodeAgent([price], theirs, verbosity_level=0, max_steps=6).run("How much?")
    assert made.run("How much?") == answer == "[0, 35, 70]"
    assert ours.asked[1:] == theirs.asked[1:]


def test_classes_matches_and_a_deadline(executor: SandboxExecutor) -> None:
    assert executor("class A:\n    def __enter__(self): return 5\n    def __exit__(self, *e): pass").output is None
    assert executor("with A() as a:\n    match a:\n        case int(): b = f'{a:>3}'\nb").output == "'  5'"
    with pytest.raises(RuntimeError, match="TimeoutError"):
        executor("while True: pass")
    assert executor("b").output == "'  5'"


def test_tools_change_and_the_state_stays(executor: SandboxExecutor) -> None:
    executor.send_tools({"one": lambda: 1})
    assert executor("n = one()\nn").output == "1"
    executor.send_tools({"two": lambda: 2})
    assert executor("n + two()").output == "3"
    with pytest.raises(RuntimeError, match="NameError"):
        executor("one()")


def test_a_variable_that_is_not_json_is_named(executor: SandboxExecutor) -> None:
    executor.send_variables({"data": {"a": [1, "it's"]}})
    assert executor("data['a'][1]").output == '"it\'s"'
    with pytest.raises(ValueError, match="the variable 'image' cannot be sent to the sandbox"):
        executor.send_variables({"image": object()})
