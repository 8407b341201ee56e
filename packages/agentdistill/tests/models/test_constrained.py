"""Steps held to their form: whatever a model would like to write, what it finishes parses."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from chat_server import chat_server
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_models import build_tokenizer, tiny_llama

from agentdistill.environment import Environment
from agentdistill.errors import ModelError, UserError
from agentdistill.loop import RolloutSettings, rollout
from agentdistill.models import load_model
from agentdistill.models.chat import ChatFormat
from agentdistill.models.local import LocalModel
from agentdistill.models.weights import locate
from agentdistill.parse import parse_action, parsed
from agentdistill.prompts import load_prompt, step_form
from agentdistill.recipe import load_recipe
from agentdistill.types import Message, Problem, Request, Sample, Sampling, StepForm, StepStatus, StopReason

llguidance = pytest.importorskip("llguidance")
torch.set_num_threads(1)
TINY, COMPACT, STANDARD = (step_form(load_prompt(name)) for name in ("tiny", "compact", "standard"))
QUESTION = (Message("system", "Be brief."), Message("user", "Where is the river?"))


def local(convention: str = "smollm2", seed: int = 0, context: int = 1024) -> LocalModel:
    tokenizer = build_tokenizer(convention)
    network = tiny_llama(len(tokenizer), seed=seed, context=context)
    return LocalModel("tiny", network, ChatFormat(tokenizer), batch_size=8, context_length=context)


def ask(model: Any, *requests: Request) -> list[list[Sample]]:
    return asyncio.run(model.generate(requests))


def check(sample: Sample, prefix: str = "") -> str:
    code = parse_action(prefix + sample.text)
    assert sample.stop is StopReason.END_TURN, sample
    assert code is not None, sample
    assert parsed(code) is not None, sample
    return code


@pytest.mark.parametrize("convention", ["smollm2", "gemma", "mistral"])
@pytest.mark.parametrize("form", [TINY, COMPACT, STANDARD])
def test_a_random_model_s_steps_parse(convention: str, form: StepForm) -> None:
    model = local(convention)
    greedy = Request(QUESTION, Sampling(max_new_tokens=150), form=form)
    sampled = Request(QUESTION, Sampling(1.5, 0.9, 150), 4, seed=3, form=form)
    for samples in ask(model, greedy, sampled):
        for sample in samples:
            check(sample)
            assert sample.text.startswith((form.opening, form.bare or form.opening))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(0, 2**40),
    st.sampled_from([TINY, COMPACT]),
    st.integers(110, 400),
    st.sampled_from(["", "Thought: as said, "]),
)
def test_random_logits_parse_within_any_budget(seed: int, form: StepForm, budget: int, prefix: str) -> None:
    """A temperature of 50 makes all tokens about as likely."""
    request = Request(QUESTION, Sampling(50.0, 1.0, budget), 4, prefix, seed, form=form)
    for sample in ask(_RANDOM, request)[0]:
        check(sample, prefix)
        assert sample.n_new_tokens <= budget


_RANDOM = local()


def test_a_budget_that_no_step_fits_into_runs_out() -> None:
    [[sample]] = ask(local(), Request(QUESTION, Sampling(max_new_tokens=6), form=TINY))
    assert (sample.stop, sample.n_new_tokens) == (StopReason.LENGTH, 6)


def test_draws_are_the_row_s_own() -> None:
    model = local()
    asked = [Request(QUESTION, Sampling(1.0, 1.0, 120), 2, seed=s, form=TINY) for s in range(3)]
    together = ask(model, *asked, Request(QUESTION, Sampling(1.0, 1.0, 120), 1, seed=9))
    assert ask(model, *asked)[1] == ask(model, *asked)[1]
    for request, samples in zip(asked, together, strict=False):
        [alone] = ask(local(), request)
        assert [s.text for s in alone] == [s.text for s in samples]


def test_log_probabilities_are_the_model_s_own() -> None:
    model = local()
    [[sample]] = ask(model, Request(QUESTION, Sampling(0.7, 1.0, 120), seed=1, form=TINY))
    prompt = model.chat.prompt_ids(QUESTION)
    with torch.inference_mode():
        network = tiny_llama(len(build_tokenizer("smollm2")), context=1024)
        logprobs = network(torch.tensor([[*prompt, *(sample.token_ids or ())]])).logits[0].log_softmax(-1)
    own = sum(float(logprobs[len(prompt) + i - 1, token]) for i, token in enumerate(sample.token_ids or ()))
    assert sample.logprob == pytest.approx(own, rel=1e-4)


def test_a_trained_agent_writes_what_it_would_have_written() -> None:
    """TinyWorld's teacher writes steps of this form anyway: not a bit is another then."""
    from tinyworld.task import problems

    model = load_model("local", path=locate("tinyworld:teacher"), device="cpu")
    template = load_prompt("tiny")
    free = [Request(template.agent(p.question, ()), Sampling(max_new_tokens=160)) for p in problems("test:1")]
    held = [Request(r.messages, r.sampling, form=step_form(template)) for r in free]
    one, other = ask(model, *free), ask(model, *held)
    assert sum(a == b for a, b in zip(one, other, strict=True)) >= len(free) - 1
    for [sample] in other:
        check(sample)


# --- what a model with a will of its own may write ---


class _Wilful:
    """A random network that is all but certain to write a text, wherever it is."""

    def __init__(self, text: str) -> None:
        tokenizer = build_tokenizer("smollm2")
        self.chat = ChatFormat(tokenizer)
        self.network = tiny_llama(len(tokenizer), context=2048)
        self.wanted = [*tokenizer.encode(text, add_special_tokens=False), self.chat.end_ids[0]]
        self.start = len(self.chat.prompt_ids(QUESTION)) - 1
        self._forward = self.network.forward
        self.network.forward = self._biased

    def _biased(self, *args: Any, position_ids: Any, **kwargs: Any) -> Any:
        out = self._forward(*args, position_ids=position_ids, **kwargs)
        at = int(position_ids[0, -1]) - self.start
        out.logits[:, -1, self.wanted[min(at, len(self.wanted) - 1)]] += 1000
        return out

    def write(self, form: StepForm, budget: int = 700) -> str:
        model = LocalModel("wilful", self.network, self.chat, context_length=2048)
        [[sample]] = ask(model, Request(QUESTION, Sampling(max_new_tokens=budget), form=form))
        check(sample)
        return sample.text


PROGRAMS = [
    "x = 3",
    "# as comments\n# may stand first\n\nx = 1  # why",
    "import math, os.path as p\nfrom json import (loads, dumps as d,)\nfrom re import *",
    'print(search("the employer of Tida Revi"))',
    "final_answer(-2 ** 3 // 4 % 5 if not a or b and c in d else e is not nothing)",
    "a, b = b, (a + 1,)\nx[1:2, ::3].y = z = [i for i, (j, k) in w.items() if j if k]\nx += 1; del x, y.z",
    "f(*a, 2, key=3, **b)(x for x in y)[{1, 2}, {**c, 'd': [*e]}]",
    "print(f\"{x:>{w}} of {y!r}, {{no}} {f(a)['b']:.2f} {100 * z:,}%\")",
    's = """a "quoted"\nline""" + r"\\d+" + b"\\x00ab" "" if 0 else "it\\\'s \\u00e4 é"'.replace(' "" if 0', " if 0"),
    "def f(a, /, b: int = 2, *args, c=3, **kw) -> list[int]:\n    '''Doc.'''\n    if a:\n        return\n\n    yield b",
    "for i in range(3):\n  while True:\n    if i: continue\n    elif j: break\n    else: pass\n  else:\n    x = 1",
    "try:\n\tf()\nexcept (A, B) as e:\n\traise C from e\nexcept D:\n\tpass\nelse:\n\tassert x, y\nfinally:\n\tg()",
    "@d(1)\nclass A(B, m=C):\n    x: int = 3\n\n    def f(self): return lambda *a: self.x\n\nwith open(p) as f, g: h()",
    "rows = [\n    1,  # one\n    (2 +\n     3),\n]\nprint(\n    rows[\n        0\n    ]\n)",
    "notx = iffy = Nonesuch = 0x1F + 1_000 + 1.5e-3 + .5 + 2j",
]


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("form", [TINY, COMPACT])
def test_programs_are_let_stand(program: str, form: StepForm) -> None:
    assert parsed(program) is not None
    text = f"{form.opening}I think `a` < 3.{form.between}{program}\n```"
    assert _Wilful(text).write(form) == text
    if form.bare:
        assert _Wilful(f"{form.bare}{program}\n```").write(form) == f"{form.bare}{program}\n```"


@pytest.mark.parametrize(
    ("written", "stands"),
    [
        ('print(search("1975")\n```', 'print(search("1975")\n)\n```'),
        ('print(search("river of\n```', 'print(search("river of"\n))\n```'),
        ("x = [1, (2", "x = [1, (2)]\n```"),
        ("x = 4```", "x = 4\n```"),
    ],
)
def test_what_stands_open_is_closed(written: str, stands: str) -> None:
    begin = TINY.opening + "So." + TINY.between
    assert _Wilful(begin + written).write(TINY) == begin + stands


def test_a_thought_without_code_goes_on_to_code() -> None:
    text = _Wilful("Thought: The answer is 4.").write(TINY)
    assert text.startswith("Thought: The answer is 4.\nCode:\n```py\n")


@pytest.mark.parametrize(
    "loop", ["9", "(", "a", "[x for ", "if x:\n    ", "try: pass\n", "'", "\n", 'f("{', "# ", "not "]
)
def test_a_loop_is_ended_within_the_budget(loop: str) -> None:
    begin = TINY.opening + "So." + TINY.between
    for text in (begin + "x = 1\n" + loop * 300, begin + "x = " + loop * 300, TINY.opening + loop * 300):
        assert _Wilful(text).write(TINY, 160).endswith("\n```")


@pytest.mark.parametrize("lead", ["  # So.\n", "# So.\n", "\n \n\t#\n", "    #x\n  \n"])
@pytest.mark.parametrize("code", ["x y", "$", "x = (1\ny", "if x:\ny"])
@pytest.mark.parametrize(
    "opening", [COMPACT.bare, COMPACT.opening + "So." + COMPACT.between, TINY.opening + TINY.between]
)
def test_a_comment_before_the_code_is_no_thought(opening: str, code: str, lead: str) -> None:
    form = COMPACT if opening.endswith("python\n") else TINY
    assert _Wilful(opening + lead + code).write(form).startswith(opening + lead)


# --- settings ---


def test_an_episode_can_be_held_to_its_form() -> None:
    model, problem = local(), Problem("1", "Where?", "here")
    how = RolloutSettings(2, Sampling(max_new_tokens=150), constrain="step")
    with Environment() as environment:
        trace = asyncio.run(rollout(model, problem, environment, load_prompt("standard"), how))
    assert trace.steps
    assert all(s.status not in (StepStatus.NO_CODE, StepStatus.SYNTAX) for s in trace.steps)


def test_a_recipe_says_so(tmp_path: Path) -> None:
    recipe = tmp_path / "r.toml"
    text = '[problems]\ntrain = "a.jsonl"\n[teacher]\nmodel = "local"\npath = "x"\n[evaluate]\nconstrain = "step"\n'
    recipe.write_text(text, encoding="utf-8")
    read = load_recipe(recipe)
    assert (read.evaluate.constrain, read.collect.constrain) == ("step", "none")


def test_who_cannot_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    request = Request(QUESTION, form=TINY)
    with pytest.raises(ModelError, match='leave out constrain = "step"'):
        ask(load_model("scripted", replies="x"), request)
    own = SimpleNamespace(action=lambda thought, code: f"{thought}{code}")
    with pytest.raises(UserError, match="needs a prompt template"):
        step_form(own)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(ModelError, match=r"pip install 'agentdistill\[constrain\]'"):
        ask(local(), request)


@pytest.mark.parametrize("field", ["structured_outputs", "grammar", "guided_grammar", "ebnf"])
def test_an_endpoint_is_sent_the_grammar(field: str) -> None:
    bodies: list[dict[str, Any]] = []

    def answer(body: dict[str, Any]) -> str | tuple[int, object]:
        bodies.append(body)
        sent = body.get(field)
        grammar = sent["grammar"] if isinstance(sent, dict) else sent
        return "zebra-71" if grammar == 'root ::= "zebra-71"' else "hello"

    with chat_server(answer) as url:
        model = load_model("endpoint", url=url, name="m")
        [[sample]] = ask(model, Request(QUESTION, form=COMPACT))
        ask(model, Request(QUESTION))
    assert sample.text == "hello"
    held, free = bodies[-2:]
    sent = held[field]["grammar"] if field == "structured_outputs" else held[field]
    assert sent.startswith("root ::= ")
    assert "THOUGHT ::= " in sent
    assert not {"structured_outputs", "grammar", "guided_grammar", "ebnf"} & set(free)


def test_an_endpoint_without_grammars_says_so() -> None:
    refuses = (400, {"error": {"message": "unknown field"}})
    with chat_server(lambda body: refuses if "ebnf" in body else "hello") as url:
        model = load_model("endpoint", url=url, name="m")
        with pytest.raises(ModelError, match=r"takes no grammar \(structured_outputs: ignored; .*ebnf: refused\)"):
            ask(model, Request(QUESTION, form=TINY))
