"""Learning from one's own successes: who samples what, what is kept of it, and that a kill changes nothing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_run import files, question, recipe_with, states, write_inputs

from agentdistill import pipeline
from agentdistill.errors import RecipeError
from agentdistill.filters import add_distinct, is_broken, question_key, solution_of
from agentdistill.models.scripted import Scripted
from agentdistill.pipeline import run_recipe, training
from agentdistill.pipeline.on_policy import run_on_policy
from agentdistill.recipe import Recipe, RoundsSettings, load_recipe
from agentdistill.store import read_traces
from agentdistill.types import End, Message, Problem, Request, Score, Source, Step, StepStatus, Trace
from tinyworld import prompts as tiny

N = 6


def codes(i: int, number: int) -> list[str]:
    """What is answered to question ``i`` by the four samples of a round.

    Questions 0 and 1 are solved from the first round on, 2 and 3 from the second, 4 never; 5's programs break.
    """
    right = f"final_answer({i + 400})"
    if i == 5:
        return ["print(1 / 0)", "final_answer(", "no code", "print(1 / 0)"]
    if i == 4 or (i in (2, 3) and number == 1):
        return ["final_answer(0)"] * 4
    return [f"x = {i}\n{right}", f"x  =  {i}  # a remark\n{right}", f"y = {number}\n{right}", f"z = {number}\n{right}"]


def says(number: int) -> Callable[[Request, int], str]:
    """The model that samples in a round. It counts on each episode to be a request of its own."""
    asked: Counter[str] = Counter()

    def reply(request: Request, place: int) -> str:
        text = request.messages[-1].content
        i = next(i for i in range(N) if question(i) in text)
        k, asked[text] = asked[text], asked[text] + 1
        code = codes(i, number)[k % 4]
        if request.messages[0].content == tiny.COT_SYSTEM:
            return f"{code}\n\nAnswer: {i + 400 if str(i + 400) in code else 0}"
        return code if code == "no code" else tiny.action("so.", code)

    return reply


class Watched(Scripted):
    """A scripted model that remembers what it was asked."""

    def __init__(self, number: int) -> None:
        super().__init__(says(number), name=f"after-{number - 1}", batch_size=1)
        self.asked: list[Request] = []

    async def generate(self, requests: Any) -> Any:
        self.asked += requests
        return await super().generate(requests)


@pytest.fixture
def students(monkeypatch: pytest.MonkeyPatch) -> dict[str, Watched]:
    """Scripted models in place of the small students with random weights, by the folder that they stand for."""
    loaded: dict[str, Watched] = {}

    def load(run: Any, weights: Path, device: str | None = None) -> Watched:
        assert (weights / "training.json").exists()
        number = int(weights.parts[weights.parts.index("rounds") + 1]) + 1
        loaded[f"{number} {weights.name}"] = model = Watched(number)
        return model

    monkeypatch.setattr("agentdistill.pipeline.collect.load_student", load)
    teacher = Watched(1)
    loaded["teacher"] = teacher
    monkeypatch.setattr("agentdistill.pipeline.run.Run.teacher", lambda run: teacher)
    return loaded


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_inputs(tmp_path_factory.mktemp("rounds"), n_train=N, n_test=2)


def recipe_of(
    path: Path, n: int = 3, methods: tuple[str, ...] = ("agent-distill", "cot-distill"), **own: Any
) -> Recipe:
    recipe = recipe_with(path, collect={"samples": 4, "temperature": 0.7, "compare_prefix": False, "max_steps": 1})
    student = replace(recipe.students[0], methods=methods)
    return replace(recipe, students=(student,), rounds=RoundsSettings(n=n, **own))


def lessons(run: Path, number: int, part: str = "base--agent-distill", name: str = "agent") -> list[Trace]:
    path = run / "filter" / name if number == 1 else run / "rounds" / str(number) / "filter" / part
    return read_traces(path / "traces.jsonl")


def test_rounds_sample_keep_and_train(inputs: Path, tmp_path: Path, students: dict[str, Watched]) -> None:
    run = run_recipe(recipe_of(inputs), tmp_path / "run")
    # The first round asks everything four times, later ones what is solved twice or more only once.
    asked = [len(read_traces(run / "collect/agent/traces.jsonl"))]
    for number in (2, 3):
        traces = read_traces(run / f"rounds/{number}/collect/base--agent-distill/traces.jsonl")
        assert len({t.id for t in traces}) == len(traces)
        asked.append(len(traces))
        counts = Counter(t.problem.id for t in traces)
        solved = {"q0", "q1"} if number == 2 else {"q0", "q1", "q2", "q3"}
        assert counts == {f"q{i}": 1 if f"q{i}" in solved else 4 for i in range(N)}
        model = students[f"{number} base--agent-distill"]
        assert len(model.asked) == len(traces)
        assert all(r.messages == tiny.agent(r.messages[-1].content, ()) for r in model.asked)
        assert {r.sampling.temperature for r in model.asked} == {0.7}
    assert asked == [24, 18, 12]
    # Training sets: the distinct programs of all rounds, two a question.
    first, second, third = (lessons(run, n) for n in (1, 2, 3))
    assert Counter(t.problem.id for t in first) == {"q0": 2, "q1": 2}
    assert second[: len(first)] == first
    assert Counter(t.problem.id for t in second) == {f"q{i}": 2 for i in range(4)}
    assert third == second  # what was solved once more is a duplicate or one too many
    for found in (second, third):
        assert len({(t.problem.id, solution_of(t)) for t in found}) == len(found)
        assert len({t.id for t in found}) == len(found)
    for number, expected in ((1, first), (2, second)):
        trained = json.loads((run / f"rounds/{number}/train/base--agent-distill/training.json").read_text())
        assert trained["result"]["n_traces"] == len(expected)
        assert trained["base"] == str(inputs.parent / "base")  # every round begins there


def test_the_last_student_is_evaluated_and_chains_of_thought_have_the_same_rounds(
    inputs: Path, tmp_path: Path, students: dict[str, Watched]
) -> None:
    run = run_recipe(recipe_of(inputs, n=2), tmp_path / "run")
    for part, name in (("base--agent-distill", "agent"), ("base--cot-distill", "cot")):
        weights = [run / at / part / "model.safetensors" for at in ("rounds/1/train", "train")]
        assert weights[0].read_bytes() != weights[1].read_bytes()
        assert len(lessons(run, 2, part, name)) > len(lessons(run, 1, part, name)) > 0
        thought = read_traces(run / "rounds/2/collect" / part / "traces.jsonl")
        assert len(thought) == 18
        assert {t.method for t in thought} == {name}
        evaluated = json.loads((run / "evaluate" / part / "manifest.json").read_text())
        assert evaluated["trained_on"] == f"rounds/2/filter/{part}"
    assert all(m.code is None for t in lessons(run, 2, "base--cot-distill", "cot") for m in t.steps)


def test_the_report_counts_every_round(inputs: Path, tmp_path: Path, students: dict[str, Watched]) -> None:
    run = run_recipe(recipe_of(inputs, n=2, each=True), tmp_path / "run")
    report = json.loads((run / "report.json").read_text())
    rows = {(r["method"], r["round"]): r for r in report["rounds"]}
    assert list(rows) == [(m, n) for m in ("agent-distill", "cot-distill") for n in (1, 2)]
    first, second = rows["agent-distill", 1], rows["agent-distill", 2]
    names = ("n_asked", "n_sampled", "n_right", "n_solved", "n_broken", "n_new", "n_lessons")
    assert [first[k] for k in names] == [6, 24, 8, 2, 4, 4, 4]
    assert [second[k] for k in names] == [6, 18, 10, 4, 4, 4, 8]
    assert (first["sampled_from"], second["sampled_from"]) == ("after-0", "after-1")
    assert rows["cot-distill", 1]["n_broken"] == 0
    for row in rows.values():
        assert row["accuracy"]["n"] == 2
    assert (run / "rounds/1/evaluate/base--agent-distill/traces.jsonl").exists()
    assert not (run / "rounds/2/evaluate").exists()
    assert len(report["evaluations"]) == 2  # the table is of the last students
    agent = next(e for e in report["evaluations"] if e["method"] == "agent-distill")
    answered = read_traces(run / "evaluate/base--agent-distill/traces.jsonl")
    assert agent["average"]["broken"] == sum(map(is_broken, answered)) == 2  # random weights write no program
    page = (run / "report.html").read_text()
    assert "<h3>Rounds</h3>" in page
    parts = {c["part"] for c in report["costs"]}
    assert {"rounds/2/collect/base--agent-distill", "rounds/1/train/base--cot-distill"} <= parts


def test_published_trajectories_begin_the_rounds(inputs: Path, tmp_path: Path, students: dict[str, Watched]) -> None:
    """They are kept as they are; the student trained on them samples, and what it finds joins them."""
    rows = [published(i, f"final_answer({i + 400})  # by hand, {k}") for i in (0, 4) for k in range(3)]
    path = tmp_path / "published.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    recipe = recipe_of(inputs, n=2, methods=("agent-distill",))
    recipe = replace(recipe, collect=replace(recipe.collect, trajectories={"agent": str(path)}))
    run = run_recipe(recipe, tmp_path / "run")
    assert students["teacher"].asked == []
    assert len(lessons(run, 1)) == 6
    found = lessons(run, 2)
    assert found[:6] == lessons(run, 1)
    sampled = read_traces(run / "rounds/2/collect/base--agent-distill/traces.jsonl")
    counts = Counter(t.problem.id for t in sampled)
    assert (counts["q0"], counts["q4"], counts["q1"]) == (1, 1, 4)  # published answers solve a question too
    assert Counter(t.problem.id for t in found[6:]) == {"q0": 1, "q1": 2, "q2": 2, "q3": 2}


def test_the_teacher_is_asked_beside_published_trajectories(
    inputs: Path, tmp_path: Path, students: dict[str, Watched]
) -> None:
    rows = [published(4, "final_answer(404)"), published(0, "z = 1\nfinal_answer(400)")]
    path = tmp_path / "published.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    recipe = recipe_of(inputs, n=2, methods=("agent-distill",))
    recipe = replace(recipe, collect=replace(recipe.collect, trajectories={"agent": ("teacher", str(path))}))
    run = run_recipe(recipe, tmp_path / "run", until="train")
    asked = read_traces(run / "rounds/0/collect/agent/traces.jsonl")
    assert len(asked) == len(students["teacher"].asked) == 4 * N
    together = read_traces(run / "collect/agent/traces.jsonl")
    assert together[2:] == asked
    learned = Counter(question_key(t.problem) for t in lessons(run, 1))
    assert learned == {question(4).casefold(): 1, question(0).casefold(): 2, question(1).casefold(): 2}
    before = files(run)
    run_recipe(recipe, tmp_path / "run", until="train")
    assert files(run) == before


def published(i: int, code: str) -> dict[str, Any]:
    turns = [{"role": "user", "content": question(i)}, {"role": "assistant", "content": tiny.action("so.", code)}]
    answer = str(i + 400)
    return {"messages": turns, "question": question(i), "answer": answer, "generated_answer": answer}


class Killed(Exception):
    """Stands for a kill."""


@pytest.mark.parametrize("after", ["sample", "filter_round", "train"])
def test_a_run_killed_in_its_rounds_goes_on_to_the_same(
    after: str, inputs: Path, tmp_path: Path, students: dict[str, Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of(inputs, n=2, methods=("agent-distill",))
    whole = run_recipe(recipe, tmp_path / "whole")
    work = pipeline._WORK[after]

    def once(*args: Any) -> None:
        work(*args)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setitem(pipeline._WORK, after, once)
        with pytest.raises(Killed):
            run_recipe(recipe, tmp_path / "run")
    part = "rounds/2/collect/base--agent-distill"
    if after == "sample":  # half of what was sampled is lost, and the manifest with it
        folder = tmp_path / "run" / part
        lines = (folder / "traces.jsonl").read_text().splitlines(keepends=True)
        (folder / "traces.partial.jsonl").write_text("".join(lines[:7]) + lines[7][:20])
        (folder / "traces.jsonl").unlink()
        (folder / "manifest.json").unlink()
    students.pop("2 base--agent-distill", None)
    run_recipe(recipe, tmp_path / "run")
    if after == "sample":
        assert len(students["2 base--agent-distill"].asked) == 18 - 7
    else:
        assert ("2 base--agent-distill" in students) == (after == "train")
    done, expected = (_results(folder) for folder in (tmp_path / "run", whole))
    assert done.keys() == expected.keys()
    assert [t.id for t in read_traces(tmp_path / "run" / part / "traces.jsonl")] == [
        t.id for t in read_traces(whole / part / "traces.jsonl")
    ]
    if after != "sample":  # scripted samples go by order of asking, so only these repeat
        assert done == expected
    before = states(tmp_path / "run")
    run_recipe(recipe, tmp_path / "run")
    assert states(tmp_path / "run") == before


def _results(run: Path) -> dict[str, bytes]:
    return {k: v for k, v in files(run).items() if k.endswith(("traces.jsonl", ".safetensors"))}


def test_another_number_of_rounds_makes_nothing_twice(
    inputs: Path, tmp_path: Path, students: dict[str, Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round more needs one sampling and one training; one round fewer needs nothing at all."""
    recipe = recipe_of(inputs, n=2, methods=("agent-distill",), each=True)
    run = run_recipe(recipe, tmp_path / "run")
    second = (run / "train/base--agent-distill/model.safetensors").read_bytes()
    begun: list[str] = []
    real = training.fit

    def counted(run: Any, student: Any, method: str, *args: Any, **more: Any) -> Any:
        begun.append(method)
        return real(run, student, method, *args, **more)

    monkeypatch.setattr(training, "fit", counted)
    run_recipe(replace(recipe, rounds=RoundsSettings(n=3, each=True)), run)
    assert begun == ["agent-distill"]
    assert (run / "rounds/2/train/base--agent-distill/model.safetensors").read_bytes() == second
    assert (run / "rounds/2/evaluate/base--agent-distill/traces.jsonl").exists()
    run_recipe(recipe, run)
    assert len(begun) == 1
    assert (run / "train/base--agent-distill/model.safetensors").read_bytes() == second
    assert len(json.loads((run / "report.json").read_text())["rounds"]) == 2
    run_recipe(replace(recipe, rounds=RoundsSettings(n=3, each=True)), run)
    assert len(begun) == 1


def test_settings_of_rounds_are_part_of_what_hangs_on_them(
    inputs: Path, tmp_path: Path, students: dict[str, Watched]
) -> None:
    recipe = recipe_of(inputs, n=2, methods=("agent-distill",))
    run = run_recipe(recipe, tmp_path / "run", until="train")
    run_recipe(replace(recipe, rounds=RoundsSettings(n=2, enough=1)), run, until="train")
    assert not list(run.glob("**/*.old-*"))  # every question with one right sample had two
    run_recipe(replace(recipe, rounds=RoundsSettings(n=2, enough=9)), run, until="train")
    old = {str(p.relative_to(run)) for p in run.glob("**/*.old-1")}
    assert "rounds/2/collect/base--agent-distill.old-1" in old
    assert not any(p.startswith(("collect/", "filter/", "rounds/1/")) for p in old)
    run_recipe(replace(recipe, rounds=RoundsSettings(n=2, per_question=1)), run, until="train")
    assert (run / "filter/agent.old-1").exists()
    assert Counter(t.problem.id for t in lessons(run, 2)) == {f"q{i}": 1 for i in range(4)}


def test_real_weights_sample_in_later_rounds(inputs: Path, tmp_path: Path) -> None:
    """The student itself, of random weights: nothing comes out right, and the training set stays as it was."""
    recipe = recipe_of(inputs, n=2, methods=("agent-distill",), enough=1)
    recipe = replace(recipe, collect=replace(recipe.collect, samples=2, max_steps=2, max_new_tokens=8), jobs=2)
    run = run_recipe(recipe, tmp_path / "run")
    sampled = read_traces(run / "rounds/2/collect/base--agent-distill/traces.jsonl")
    assert {t.model for t in sampled} == {"base--agent-distill"}
    solved = {t.problem.id for t in read_traces(run / "collect/agent/traces.jsonl") if t.correct}
    assert len(sampled) == 2 * N - len(solved)
    assert len({t.steps[0].reply.content for t in sampled}) > N  # samples of one question differ
    assert lessons(run, 2) == lessons(run, 1)


def test_rounds_that_cannot_be_are_refused(inputs: Path, tmp_path: Path) -> None:
    text = inputs.read_text()
    for added, why in (
        ("[rounds]\nn = 0\n", "n has to be at least 1"),
        ("[rounds]\nper_questions = 1\n", 'did you mean "per_question"'),
    ):
        path = tmp_path / "other.toml"
        path.write_text(text + added)
        with pytest.raises(RecipeError, match=why):
            load_recipe(path)
    with pytest.raises(RecipeError, match=r"leave the table \[rounds\] out"):
        run_on_policy(recipe_of(inputs, n=2), tmp_path / "run")


def trace_of(code: str, name: str = "q", status: StepStatus = StepStatus.FINAL) -> Trace:
    step = Step(Message("assistant", code, Source.MODEL), status, code)
    problem = Problem(name, f"What  of {name}?", "1")
    return Trace(f"{name}-{code}", problem, "agent", "m", (), (step,), End.ANSWERED, "1", Score(True, "1", "short"))


def test_programs_that_differ_in_layout_alone_are_one() -> None:
    earlier = [trace_of("x = 1\nfinal_answer(x)")]
    again = trace_of("x=1   # one\n\nfinal_answer( x )")
    other = replace(trace_of("y = 1\nfinal_answer(y)"), problem=Problem("elsewhere", "what of Q?", "1"))
    kept, counts = add_distinct(earlier, [again, other, trace_of("z = 1\nfinal_answer(z)"), trace_of("1", "p")], 2)
    assert [t.id for t in kept] == [other.id, "p-1"]  # a question is known by its words, not by its id
    assert counts == {"duplicate": 1, "surplus": 1}
    kept, counts = add_distinct(earlier, [again, other], 1, n_given=1)
    assert (kept, counts) == ([other], {"duplicate": 1, "surplus": 0})
    assert solution_of(trace_of("x = (")) == "x = ("
    assert [is_broken(trace_of("1", status=s)) for s in (StepStatus.FINAL, StepStatus.OK, StepStatus.TIMEOUT)] == [
        False, False, True,
    ]  # fmt: skip
