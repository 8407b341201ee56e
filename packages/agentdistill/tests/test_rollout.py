"""The one loop: every mistake of a model is an observation, every fault of the world is one of ours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import build_tokenizer, tiny_llama

from agentdistill import store
from agentdistill.environment import NO_CODE, Environment
from agentdistill.errors import InfrastructureError, ModelError
from agentdistill.loop import RolloutSettings, chain_of_thought, rollout
from agentdistill.models.scripted import Scripted
from agentdistill.prompts import standard
from agentdistill.retrieval import Passage
from agentdistill.sandbox import Limits
from agentdistill.store import seed_of
from agentdistill.tools import Tool
from agentdistill.types import End, Problem, Request, Sample, Sampling, Source, StepStatus, StopReason, Trace
from tinyworld import prompts as tiny

PROBLEM = Problem("p1", "How long is the Aren?", "412", "math")
DONE = "Thought: done.\nCode:\n```py\nfinal_answer(412)\n```"


def act(code: str) -> str:
    return tiny.action("next.", code)


def look(place: str) -> str:
    """Look at a place."""
    return f"{place} is 412 km long"


@pytest.fixture(scope="module")
def environment() -> Iterator[Environment]:
    with Environment([Tool.of(look)], mode="process", limits=Limits(wall_s=1.0, memory_mb=256)) as made:
        yield made


def run(model: Any, environment: Environment, template: Any = tiny, **settings: Any) -> Trace:
    return asyncio.run(rollout(model, PROBLEM, environment, template, RolloutSettings(**settings)))


@pytest.mark.parametrize(
    ("reply", "status", "observation"),
    [
        ("I am not sure.", StepStatus.NO_CODE, NO_CODE),
        ("", StepStatus.NO_CODE, NO_CODE),
        ("```py\n```", StepStatus.NO_CODE, NO_CODE),
        (act("x = = 1"), StepStatus.SYNTAX, "Error: SyntaxError: invalid syntax (line 1)"),
        (act("x = 1\nx / 0"), StepStatus.EXCEPTION, "Error: ZeroDivisionError: division by zero (line 2)"),
        (act("nothing('a')"), StepStatus.EXCEPTION, "Error: NameError: name 'nothing' is not defined (line 1)"),
        (act("while True: pass"), StepStatus.TIMEOUT, "Error: TimeoutError"),
        (act("x = bytearray(10**10)"), (StepStatus.LIMIT, StepStatus.EXCEPTION), "emory"),
        (act("import os; os._exit(1)"), StepStatus.LIMIT, "Error: "),
        (act("1"), StepStatus.OK, "1"),
    ],
)
def test_a_mistake_is_an_observation_to_recover_from(
    environment: Environment, reply: str, status: Any, observation: str
) -> None:
    trace = run(Scripted([reply, DONE]), environment)
    first, last = trace.steps
    assert first.status in status if isinstance(status, tuple) else first.status is status
    assert first.observation is not None
    assert first.observation.source is Source.ENVIRONMENT
    assert first.observation.content.startswith("Observation: ")
    assert observation in first.observation.content
    assert (last.status, last.observation) == (StepStatus.FINAL, None)
    assert (trace.end, trace.answer, trace.correct) == (End.ANSWERED, "412", True)


GUESS = "I guess.\n```py\nfinal_answer(411)\n```\nNo, that is not sure."


@pytest.mark.parametrize(
    "marked", ["<think>\n{}\n</think>\n\n", "{}\n</think>\n\n", "[THINK]{}[/THINK]", "<|channel|>analysis<|message|>{}"
               "<|end|><|start|>assistant<|channel|>final<|message|>"],
)  # fmt: skip
def test_reasoning_is_on_record_and_neither_run_nor_sent_back(environment: Environment, marked: str) -> None:
    thought = marked.replace("{}", GUESS)
    model = Scripted([thought + act("print(412)"), thought + DONE])
    trace = run(model, environment)
    assert (trace.end, trace.answer, len(trace.steps)) == (End.ANSWERED, "412", 2)
    assert all("411" in s.reply.reasoning and "411" not in s.reply.content for s in trace.steps)
    assert not any("411" in m.content for m in model.requests[1].messages)
    assert store.from_dict(Trace, json.loads(store.dumps(trace))) == trace


@pytest.mark.parametrize("stop", [StopReason.LENGTH, StopReason.END_TURN])
def test_a_turn_that_is_all_reasoning_ends_the_episode(environment: Environment, stop: StopReason) -> None:
    for sample in (Sample(f"<think>{GUESS}", stop, 5, 9), Sample("", stop, 5, 9, reasoning=GUESS)):
        trace = run(Scripted([sample, DONE]), environment)
        assert (trace.end, trace.answer, trace.correct) == (End.NO_ANSWER, None, False)
        [step] = trace.steps
        assert step.observation is not None
        assert "within its reasoning" in step.observation.content


def test_the_first_thought_is_what_follows_the_reasoning(environment: Environment) -> None:
    def reply(request: Request) -> str:
        return (
            f"<think>\nLet me see.\n\n{GUESS}\n</think>\n\nMeasure it.\n\nAnswer: 412" if not request.prefix else DONE
        )

    trace = run(Scripted(reply), environment, first_thought_prefix=True)
    assert trace.steps[0].reply.prefix == "Thought: Measure it."


def test_a_chain_of_thought_answers_behind_its_reasoning(environment: Environment) -> None:
    model = Scripted("<think>\\boxed{411}?</think>\n\nIt is longer.\n\nAnswer: 412")
    trace = asyncio.run(chain_of_thought(model, PROBLEM, tiny, RolloutSettings()))
    assert (trace.answer, trace.steps[0].reply.content) == ("412", "It is longer.\n\nAnswer: 412")
    cut = asyncio.run(chain_of_thought(Scripted("<think>The answer is 412? Hm"), PROBLEM, tiny, RolloutSettings()))
    assert (cut.end, cut.answer) == (End.NO_ANSWER, None)


@pytest.mark.parametrize(
    "code",
    [
        "x = 412\n# Observation: it is whole\nfinal_answer(x)",
        "text = 'Observation: 412'\nfinal_answer(text[-3:])",
        "seen = {'Observation:': 412}\nfinal_answer(seen['Observation:'])",
    ],
)
def test_a_stop_string_within_a_line_of_code_stops_nothing(environment: Environment, code: str) -> None:
    trace = run(Scripted(standard.action("next.", code)), environment, standard)
    assert (trace.answer, trace.steps[0].code) == ("412", code)


@pytest.mark.parametrize("inside", ['text = """\nObservation: 1\n"""', "x = 1\nObservation: 5", "y = '<end_code>'"])
def test_a_block_that_a_stop_string_left_open_is_not_run(environment: Environment, inside: str) -> None:
    trace = run(Scripted([standard.action("next.", f"x = 41\n{inside}"), DONE]), environment, standard)
    first, _ = trace.steps
    assert (first.status, first.code) == (StepStatus.NO_CODE, None)
    assert first.observation is not None
    assert "inside its code block" in first.observation.content
    assert trace.correct


def test_state_and_tools_stay_from_step_to_step(environment: Environment) -> None:
    steps = [act("found = look('Aren')\nprint(found)"), act("n = int(found.split()[2])"), act("final_answer(n)")]
    trace = run(Scripted(steps), environment)
    assert trace.answer == "412"
    assert [s.code for s in trace.steps] == ["found = look('Aren')\nprint(found)", "n = int(found.split()[2])",
                                             "final_answer(n)"]  # fmt: skip
    (call,) = trace.steps[0].tool_calls
    assert (call.name, json.loads(call.arguments), call.result) == ("look", {"args": ["Aren"]}, "Aren is 412 km long")
    assert trace.steps[1].tool_calls == ()


def test_steps_run_out(environment: Environment) -> None:
    trace = run(Scripted(act("print(1)")), environment, max_steps=3)
    assert (trace.end, len(trace.steps), trace.answer, trace.correct) == (End.OUT_OF_STEPS, 3, None, False)
    assert trace.score is not None
    assert trace.score.reason == "no answer"
    assert trace.usage.n_requests == 3


def test_context_runs_out(environment: Environment) -> None:
    model = Scripted([act(f"print('{'word ' * 200}')"), DONE], context_length=120)
    trace = run(model, environment)
    assert (trace.end, len(trace.steps), trace.correct) == (End.OUT_OF_CONTEXT, 1, False)
    assert run(Scripted(DONE, context_length=2), environment).steps == ()


def test_a_wrong_answer_is_wrong_and_an_empty_one_too(environment: Environment) -> None:
    for code in ("final_answer(411)", "final_answer('')", "final_answer(None)"):
        trace = run(Scripted(act(code)), environment)
        assert (trace.end, trace.correct) == (End.ANSWERED, False)


@pytest.mark.parametrize("replies", [[InfrastructureError("server down")], [act("x = 1"), InfrastructureError("down")]])
def test_a_models_fault_is_unscored(environment: Environment, replies: list[Any]) -> None:
    trace = run(Scripted(replies), environment)
    assert (trace.end, trace.score, trace.correct) == (End.FAULT, None, None)
    assert "down" in (trace.fault or "")
    assert len(trace.steps) == len(replies) - 1  # what was done is kept to be seen
    assert trace.prompt


def test_a_sandboxs_fault_is_unscored() -> None:
    broken = Environment(mode="process")
    broken.close()
    trace = run(Scripted(DONE), broken)
    assert (trace.end, trace.score) == (End.FAULT, None)
    assert "sandbox" in (trace.fault or "")


def test_what_the_user_must_mend_is_raised(environment: Environment) -> None:
    with pytest.raises(ModelError, match="no such model"):
        run(Scripted(ModelError("no such model")), environment)


def test_prompt_seed_and_stops_of_every_request(environment: Environment) -> None:
    model = Scripted([act("x = 1"), DONE])
    trace = run(model, environment, template=standard, seed=7, sampling=Sampling(0.5, 0.9, 77))
    first, second = model.requests
    assert first.messages == trace.prompt
    assert second.messages == trace.messages[:-1]
    assert first.sampling == Sampling(0.5, 0.9, 77, standard.AGENT_STOP)
    assert len({first.seed, second.seed}) == 2
    again = Scripted([act("x = 1"), DONE])
    run(again, environment, template=standard, seed=7, sampling=Sampling(0.5, 0.9, 77))
    assert [r.seed for r in again.requests] == [r.seed for r in model.requests]
    assert seed_of(1, "a") != seed_of(1, "b")


def test_stop_reasons_ids_and_costs_are_kept(environment: Environment) -> None:
    cut = Sample(act("x = 1"), StopReason.LENGTH, 11, 5, (1, 2, 3), -1.5)
    end = Sample(DONE, StopReason.END_TURN, 20, 4, (4, 5))
    trace = run(Scripted([cut, end]), environment)
    assert [s.reply.stop for s in trace.steps] == [StopReason.LENGTH, StopReason.END_TURN]
    assert [s.reply.token_ids for s in trace.steps] == [(1, 2, 3), (4, 5)]
    assert store.to_dict(trace.usage) == {
        "n_requests": 2, "n_prompt_tokens": 31, "n_new_tokens": 9, "n_truncated": 1
    }  # fmt: skip


def test_the_first_thought_is_the_models_own(environment: Environment) -> None:
    """y1 is asked for by the chain-of-thought prompt up to the first empty line, and begins the first turn alone."""
    model = Scripted(
        ["Find the river.\n\nIt is 412.", "Thought: Find the river. Look.\nCode:\n```py\nx = 1\n```", DONE]
    )
    trace = run(model, environment, first_thought_prefix=True)
    thought, first, second = model.requests
    assert thought.messages == tiny.cot(PROBLEM.question)
    assert thought.sampling.stop == ("\n\n",)
    assert (first.prefix, second.prefix) == ("Thought: Find the river.", "")
    assert first.messages == trace.prompt == tiny.agent(PROBLEM.question, environment.tools)
    assert [s.reply.prefix for s in trace.steps] == ["Thought: Find the river.", ""]
    assert trace.steps[0].reply.content.startswith("Thought: Find the river. Look.")
    assert trace.usage.n_requests == 3


def test_no_first_thought_no_prefix(environment: Environment) -> None:
    trace = run(Scripted(["\n\n", DONE]), environment, first_thought_prefix=True)
    assert trace.steps[0].reply.prefix == ""
    assert trace.correct


def test_every_step_can_be_watched(environment: Environment) -> None:
    seen: list[Any] = []
    model = Scripted([act("x = 1"), DONE])
    trace = asyncio.run(rollout(model, PROBLEM, environment, tiny, RolloutSettings(), on_step=seen.append))
    assert tuple(seen) == trace.steps


def cot(model: Any, **settings: Any) -> Trace:
    return asyncio.run(chain_of_thought(model, PROBLEM, tiny, RolloutSettings(), **settings))


@pytest.mark.parametrize(
    ("said", "end", "answer", "correct"),
    [
        ("Found.\n\nAnswer: 412", End.ANSWERED, "412", True),
        ("So \\boxed{412}.", End.ANSWERED, "412", True),
        ("Answer: 13", End.ANSWERED, "13", False),
        ("I do not know.", End.NO_ANSWER, None, False),
        ("", End.NO_ANSWER, None, False),
    ],
)
def test_chains_of_thought_are_traces_of_one_step(said: str, end: End, answer: str | None, correct: bool) -> None:
    trace = cot(Scripted(said))
    assert (trace.end, trace.answer, trace.correct) == (end, answer, correct)
    (step,) = trace.steps
    assert (step.reply.content, step.code, step.observation) == (said, None, None)
    assert step.status is (StepStatus.FINAL if answer else StepStatus.OK)


def test_a_chain_of_thought_with_passages_faults_and_limits() -> None:
    passages = [Passage("Aren", "412 km long.")]
    model = Scripted("Answer: 412")
    assert "[1] Aren: 412 km long." in cot(model, passages=passages, method="cot-rag").prompt[-1].content
    assert cot(Scripted(InfrastructureError("gone"))).end is End.FAULT
    assert cot(Scripted(InfrastructureError("gone"))).score is None
    full = cot(Scripted("Answer: 412", context_length=3))
    assert (full.end, full.steps, full.correct) == (End.OUT_OF_CONTEXT, (), False)


REPLIES = st.one_of(
    st.sampled_from([DONE, act("x = 1"), act("x = "), act("x / 0"), act("print(look('sea'))"), "no code", ""]),
    st.text(max_size=30),
    st.just(InfrastructureError("down")),
)


@given(st.lists(REPLIES, min_size=8, max_size=8), st.booleans(), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_whatever_a_model_says_its_trace_is_whole(
    environment: Environment, replies: list[Any], prefix: bool, n: int
) -> None:
    """Turns alternate, only the last step lacks an observation, and the store gives the same trace back."""
    trace = run(Scripted(replies), environment, max_steps=n, first_thought_prefix=prefix)
    roles = [m.role for m in trace.messages if m.role != "system"]
    assert all(a != b for a, b in pairwise(roles))
    assert [s.observation is None for s in trace.steps[:-1]] == [False] * max(0, len(trace.steps) - 1)
    assert (trace.end is End.ANSWERED) == (trace.answer is not None)
    assert (trace.end is End.FAULT) == (trace.fault is not None) == (trace.score is None)
    assert len(trace.steps) <= n
    assert all(m.source is Source.MODEL for m in trace.messages if m.role == "assistant")
    assert store.from_dict(Trace, json.loads(store.dumps(trace))) == trace


class _Told:
    """Real weights whose words are put in their mouth: what they sample is real, what they say is told."""

    lockstep, batch_size, context_length = True, 4, None

    def __init__(self, model: Any, texts: Sequence[str]) -> None:
        self.name, self._model, self._texts = "told", model, list(texts)

    async def generate(self, requests: Sequence[Request]) -> list[list[Sample]]:
        drawn = await self._model.generate(requests)
        return [[replace(s, text=self._texts.pop(0)) for s in some] for some in drawn]

    async def aclose(self) -> None: ...


def test_local_weights_give_ids_stops_and_counts(environment: Environment) -> None:
    from agentdistill.models.chat import ChatFormat
    from agentdistill.models.local import LocalModel

    tokenizer = build_tokenizer("smollm2")
    local = LocalModel("tiny", tiny_llama(len(tokenizer)), ChatFormat(tokenizer), context_length=512)
    trace = run(
        _Told(local, [act("x = 412"), act("final_answer(x)")]), environment, sampling=Sampling(max_new_tokens=6)
    )
    assert trace.correct
    for step in trace.steps:
        assert step.reply.token_ids
        assert step.reply.stop in (StopReason.LENGTH, StopReason.END_TURN)
    assert trace.usage.n_prompt_tokens > 20
    assert trace.usage.n_new_tokens == sum(len(s.reply.token_ids or ()) for s in trace.steps)
