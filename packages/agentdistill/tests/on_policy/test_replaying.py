"""Replayed prefixes: what is shown, what the student writes, what any teacher makes of it, and that it is learned."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from logprob_server import llama_cpp_server, logprob_server
from made_traces import made_traces
from small_run import files, recipe_with, write_inputs
from tiny_models import build_tokenizer, save_checkpoint

from agentdistill.errors import ModelError, RecipeError
from agentdistill.loop import RolloutSettings
from agentdistill.models.chat import ChatFormat
from agentdistill.models.endpoint import Endpoint
from agentdistill.models.reading import LocalReader, Reader, ServedReader
from agentdistill.models.scripted import Scripted
from agentdistill.pipeline import run_recipe
from agentdistill.pipeline.folder import StageFolder
from agentdistill.pipeline.on_policy import run_on_policy
from agentdistill.pipeline.on_policy.replaying import Replay, draw, read_all, write_next
from agentdistill.progress import Silent
from agentdistill.prompts import load_prompt
from agentdistill.recipe import Recipe, load_recipe
from agentdistill.store import read_traces
from agentdistill.training import Divergence, TrainSettings, read_result, train
from agentdistill.training.lessons import LESSONS, read_lessons
from agentdistill.types import Sampling, Source, StepStatus, Trace
from tinyworld import prompts as tiny

pytestmark = pytest.mark.timeout(900)
torch.set_num_threads(1)
SETTINGS = TrainSettings(method="full", learning_rate=3e-3, device="cpu", log_every=1, epochs=1, batch_size=4)


# --- what is replayed ---


def test_the_number_of_steps_shown_is_drawn_with_a_falling_probability() -> None:
    traces = made_traces(4, n_steps=3)
    drawn = draw(traces, 4000, 0.6, seed=1)
    assert Counter(r.trace.id for r in drawn) == dict.fromkeys(("t0", "t1", "t2", "t3"), 1000)
    counts = Counter(r.n_steps for r in drawn)
    whole = 1 + 0.6 + 0.36
    for t in range(3):
        assert counts[t] / 4000 == pytest.approx(0.6**t / whole, abs=0.03)  # four standard errors
    assert len({r.id for r in drawn}) == 4000
    assert draw(traces, 9, 0.6, seed=1) == draw(traces, 9, 0.6, seed=1) != draw(traces, 9, 0.6, seed=2)


def test_the_student_writes_one_step_behind_what_the_teacher_did() -> None:
    [trace] = made_traces(1, n_steps=3)
    student = Scripted(tiny.action("Mine.", "never_run()"), name="student")
    settings = RolloutSettings(sampling=Sampling(temperature=1.0))
    found = asyncio.run(write_next(student, Replay("a", trace, 2), load_prompt("tiny"), settings))
    [request] = student.requests
    assert [(m.role, m.content) for m in request.messages] == [(m.role, m.content) for m in trace.messages[:-1]]
    assert request.sampling.temperature == 1.0
    assert [s.reply.source for s in found.steps] == [Source.PROMPT, Source.PROMPT, Source.MODEL]
    assert (found.id, found.score, found.steps[-1].code) == ("a", None, "never_run()")
    assert found.steps[-1].observation is None
    broken = asyncio.run(write_next(Scripted("No code."), Replay("a", trace, 0), load_prompt("tiny"), settings))
    assert [s.status for s in broken.steps] == [StepStatus.NO_CODE]


# --- lessons, and the loss ---


def one_turn(n: int) -> list[Trace]:
    """Trajectories whose last turn alone is the student's."""
    out = []
    for trace in made_traces(n):
        first, last = trace.steps
        out.append(replace(trace, steps=(replace(first, reply=replace(first.reply, source=Source.PROMPT)), last)))
    return out


def read_into(folder: Path, traces: Sequence[Trace], student: str, reader: Reader) -> Path:
    chat = ChatFormat(build_tokenizer(student))
    read_all(StageFolder(folder, "read", {}), traces, chat, lambda: reader, Silent(), "steps")
    return folder


def divergence(student: str, teacher: str, beta: float, traces: Sequence[Trace]) -> float:
    """Mean KL of whole distributions over what the student wrote."""
    from transformers import AutoModelForCausalLM

    s, t = (AutoModelForCausalLM.from_pretrained(p, dtype=torch.float32).eval() for p in (student, teacher))
    total, count = 0.0, 0
    for trace in traces:
        [e] = ChatFormat(build_tokenizer("smollm2")).examples(trace.messages)
        with torch.no_grad():
            p, q = (m(torch.tensor([e.input_ids])).logits[0].log_softmax(-1) for m in (s, t))
        kl = (p.exp() * (p - q)).sum(-1) if beta else (q.exp() * (q - p)).sum(-1)
        learned = [at - 1 for at, trained in enumerate(e.trained) if trained]
        total += float(kl[learned].sum())
        count += len(learned)
    return total / count


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """By name: a student and a teacher of one vocabulary, and both of another each."""
    folder = tmp_path_factory.mktemp("models")
    made = {
        "student": ("smollm2", 1), "teacher": ("smollm2", 2), "bytes": ("bytes", 3), "gemma": ("gemma", 4),
    }  # fmt: skip
    return {n: str(save_checkpoint(folder / n, kind, seed=s, context=2048)) for n, (kind, s) in made.items()}


@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_with_all_of_a_vocabulary_the_loss_is_the_divergence(
    models: dict[str, str], tmp_path: Path, beta: float
) -> None:
    traces, teacher = one_turn(4), models["teacher"]
    reader = LocalReader(teacher, 10_000, device="cpu", dtype="float32")
    lessons = read_into(tmp_path / "read", traces, "smollm2", reader)
    result = train(
        traces, models["student"], tmp_path / "out", SETTINGS, divergence=Divergence(lessons=lessons, beta=beta)
    )
    assert result.final_loss == pytest.approx(divergence(models["student"], teacher, beta, traces), rel=5e-3)
    exact = Divergence(teacher=teacher, beta=beta)
    assert result.final_loss == pytest.approx(
        train(traces, models["student"], tmp_path / "exact", SETTINGS, divergence=exact).final_loss, rel=5e-3
    )
    assert result.n_trained_tokens == sum(lesson.n_written for lesson in read_lessons(lessons / LESSONS))
    few = read_into(tmp_path / "few", traces, "smollm2", LocalReader(teacher, 5, device="cpu", dtype="float32"))
    told = train(traces, models["student"], tmp_path / "less", SETTINGS, divergence=Divergence(lessons=few, beta=beta))
    assert 0 < told.final_loss < result.final_loss  # what is put together into the rest cannot be told apart
    more = replace(SETTINGS, epochs=6)
    train(traces, models["student"], tmp_path / "more", more, divergence=Divergence(lessons=few, beta=beta))
    after = divergence(str(tmp_path / "more"), teacher, beta, traces)
    assert after < divergence(models["student"], teacher, beta, traces)


@pytest.mark.parametrize(
    ("student", "teacher", "way", "beta"),
    [
        ("bytes", "student", "llama.cpp", 1.0),
        ("bytes", "student", "llama.cpp itself", 1.0),
        ("student", "bytes", "llama.cpp", 0.0),
        ("gemma", "student", "vllm", 1.0),
        ("gemma", "student", "vllm", 0.5),
    ],
)
def test_a_served_teacher_of_another_vocabulary_teaches(
    models: dict[str, str], tmp_path: Path, student: str, teacher: str, way: Any, beta: float
) -> None:
    """Words teach bytes, bytes words, and words other words: the loss falls."""
    kind = {"student": "smollm2"}.get(student, student)
    traces = one_turn(4)
    weights = Path(models[teacher])
    real = way == "llama.cpp itself"
    with llama_cpp_server(weights, tmp_path / "gguf") if real else logprob_server(weights, way) as url:
        reader = ServedReader(Endpoint(url, "tiny", concurrency=2), models[teacher], 20)
        lessons = read_into(tmp_path / "read", traces, kind, reader)
    facts = json.loads((lessons / "manifest.json").read_text())
    assert facts["n"] == 4
    assert facts["n_left_out"] == 0
    assert (facts["n_merged"] > 0) == (student != "student")
    assert facts["n_read"] == sum(
        len(e.input_ids)
        for t in traces
        for e in ChatFormat(build_tokenizer("bytes" if teacher == "bytes" else "smollm2")).examples(t.messages)
    )
    settings = replace(SETTINGS, epochs=40, learning_rate=1e-2)
    given = Divergence(lessons=lessons, beta=beta)
    result = train(traces, models[student], tmp_path / "out", settings, divergence=given)
    first, *_, last = (loss for _, loss in result.loss_curve)
    assert last < 0.7 * first


def test_reading_goes_on_where_it_was_stopped(models: dict[str, str], tmp_path: Path) -> None:
    traces, asked = one_turn(4), []
    with logprob_server(Path(models["bytes"]), "vllm", asked) as url:

        def reader() -> Reader:
            return ServedReader(Endpoint(url, "tiny", concurrency=1), models["bytes"], 5)

        whole = read_into(tmp_path / "whole", traces, "smollm2", reader())
        n_asked = len(asked)
        part = tmp_path / "part"
        shutil.copytree(whole, part)
        lines = (part / LESSONS).read_bytes().splitlines(keepends=True)
        for name in (LESSONS, "manifest.json"):
            (part / name).unlink()
        (part / "lessons.partial.jsonl").write_bytes(b"".join(lines[:2]) + lines[2][:40])
        read_into(part, traces, "smollm2", reader())
        assert len(asked) - n_asked == 1 + 2  # finding out, and two that were missing
        assert files(part) == files(whole)
        read_into(part, traces, "smollm2", reader())
        assert len(asked) - n_asked == 1 + 2


# --- rounds ---


def recipe_of(path: Path, **tables: Any) -> Recipe:
    recipe = recipe_with(path, **tables)
    return replace(recipe, students=(replace(recipe.students[0], methods=("agent-distill",)),))


def replayed(collected: tuple[Path, Path], teacher: dict[str, Any], model: str = "local", **settings: Any) -> Recipe:
    path, run = collected
    return recipe_of(
        path,
        teacher={"model": model, "settings": teacher},
        collect={"trajectories": {"agent": str(run / "collect" / "agent" / "traces.jsonl")}},
        on_policy={"how": "replay", "compare": False, **settings},
    )


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A recipe, and a run of it whose collection is read by others."""
    folder = tmp_path_factory.mktemp("collected")
    path = write_inputs(folder)
    run_recipe(recipe_of(path, collect={"compare_prefix": False}), folder / "run", Silent(), until="collect")
    return path, folder / "run"


def test_a_round_learns_from_the_teacher_behind_its_own_steps(collected: tuple[Path, Path], tmp_path: Path) -> None:
    teacher = save_checkpoint(tmp_path / "teacher", hidden=32, context=512, seed=3)
    recipe = replayed(collected, {"path": str(teacher), "device": "cpu"}, rounds=2, per_round=6, learning_rate=5e-4)
    table = json.loads(run_on_policy(recipe, tmp_path / "run").read_text())
    rounds = tmp_path / "run" / "on-policy"
    spent = 0
    for n in (1, 2):
        wrote = read_traces(rounds / f"round-{n}" / "replayed" / "traces.jsonl")
        assert len(wrote) == 6
        assert all(t.steps[-1].reply.source is Source.MODEL and t.score is None for t in wrote)
        assert not (rounds / f"round-{n}" / "read").exists()  # its weights are here
        training = json.loads((rounds / f"round-{n}" / "student" / "training.json").read_text())
        assert training["settings"]["learning_rate"] == 5e-4
        spent += training["result"]["n_tokens"]
        assert table["rounds"][n]["on_policy"]["n_tokens"] == spent
    first, second = ({t.id for t in read_traces(rounds / f"round-{n}" / "replayed" / "traces.jsonl")} for n in (1, 2))
    assert first != second
    before = files(tmp_path / "run", ("timing.json",))
    shutil.rmtree(rounds / "round-2" / "student")
    lines = (rounds / "round-2" / "replayed" / "traces.jsonl").read_bytes().splitlines(keepends=True)
    for name in ("traces.jsonl", "manifest.json"):
        (rounds / "round-2" / "replayed" / name).unlink()
    (rounds / "round-2" / "replayed" / "traces.partial.jsonl").write_bytes(lines[0] + lines[1][:30])
    run_on_policy(recipe, tmp_path / "run")
    assert files(tmp_path / "run", ("timing.json",)) == before


def test_a_round_with_a_served_teacher(collected: tuple[Path, Path], tmp_path: Path) -> None:
    teacher = save_checkpoint(tmp_path / "teacher", "bytes", context=2048, seed=3)
    with logprob_server(teacher, "llama.cpp") as url:
        settings = {"url": url, "name": "tiny", "tokenizer": str(teacher)}
        recipe = replayed(collected, settings, "endpoint", rounds=1, per_round=2)
        table = json.loads(run_on_policy(recipe, tmp_path / "run").read_text())
    folder = tmp_path / "run" / "on-policy" / "round-1"
    lessons = read_lessons(folder / "read" / LESSONS)
    assert table["rounds"][1]["on_policy"]["n_tokens"] == sum(lesson.n_read for lesson in lessons) > 0
    assert len(lessons) == 2
    result = read_result(folder / "student")
    assert result is not None
    assert result.final_loss > 0


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ("how = 'replay'", 'needs a teacher with model = "local" or "endpoint"'),
        ("how = 'replay'\ndecay = 0.0", "decay has to be above 0"),
        ("how = 'replay'\ntemperature = 0.0", "temperature above 0"),
        ("how = 'replay'\nlearning_rate = 0.0", "learning_rate has to be above 0"),
        ("how = 'replay'\ntop_k = 0", "top_k has to be at least 1"),
        ("how = 'replay'\nserved", "needs .*tokenizer = "),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path: Path, lines: str, why: str) -> None:
    text = write_inputs(tmp_path, n_train=1, n_test=1).read_text()
    at = text.index("[problems]")
    text = f"{text[:at]}[on_policy]\n{lines.replace(chr(10) + 'served', '')}\n\n{text[at:]}"
    if lines != "how = 'replay'":
        teacher = (
            "model = 'endpoint'\nurl = 'http://x/v1'\nname = 'x'\n"
            if "served" in lines
            else "model = 'local'\npath = 'x'\n"
        )
        text = f"{text[: text.index('[teacher]')]}[teacher]\n{teacher}"
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(RecipeError, match=why):
        load_recipe(tmp_path / "bad.toml")


def test_a_server_that_tells_nothing_ends_the_round_in_one_line(models: dict[str, str], tmp_path: Path) -> None:
    with logprob_server(Path(models["teacher"]), "neither") as url:
        reader = ServedReader(Endpoint(url, "tiny"), models["teacher"], 5)
        with pytest.raises(ModelError, match="gives no log-probabilities"):
            read_into(tmp_path / "read", one_turn(1), "smollm2", reader)
