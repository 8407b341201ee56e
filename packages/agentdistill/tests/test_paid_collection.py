"""A collection from a paid teacher: what is answered is kept, whatever else is refused or changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from chat_server import chat_server

from agentdistill.cli import main
from agentdistill.store import read_traces
from agentdistill.types import End, Trace

RECIPE = """\
name = "paid"
prompt = "tiny"
[problems]
train = "{folder}/train.jsonl"
[sandbox]
mode = "process"
{tables}
[collect]
compare_prefix = false
{collect}
[student]
base = "nobody/no-base"
methods = ["cot-distill"]
[teacher]
model = "endpoint"
url = "{url}"
name = "t"
concurrency = 1
{teacher}
"""


class Teacher:
    """Adds one to the number in the question, unless ``refuse`` makes something else of it."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[int] = []
        self.refuse: Callable[[int], tuple[int, object] | None] = lambda i: None

    def answer(self, body: dict) -> str | tuple[int, object]:  # type: ignore[type-arg]
        i = int(body["messages"][-1]["content"].split()[-1].rstrip("?"))
        self.asked.append(i)
        return self.refuse(i) or f"That is easy.\n\nAnswer: {i + 1}"


@pytest.fixture
def teacher() -> Iterator[Teacher]:
    it = Teacher()
    with chat_server(it.answer) as it.url:
        yield it


Collect = Callable[..., int]


@pytest.fixture
def collect(teacher: Teacher, tmp_path: Path) -> Collect:
    def run(numbers: Sequence[int], *, teacher_line: str = "", collect_line: str = "", tables: str = "") -> int:
        rows = [{"question": f"What comes after {i}?", "answer": str(i + 1)} for i in numbers]
        (tmp_path / "train.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
        lines = RECIPE.replace("concurrency = 1\n", "" if "concurrency" in teacher_line else "concurrency = 1\n")
        text = lines.format(folder=tmp_path, url=teacher.url, teacher=teacher_line, collect=collect_line, tables=tables)
        (tmp_path / "recipe.toml").write_text(text)
        teacher.asked.clear()
        return main(["collect", str(tmp_path / "recipe.toml"), "--runs", str(tmp_path / "runs")])

    return run


def traces(tmp_path: Path) -> list[Trace]:
    return read_traces(tmp_path / "runs" / "paid" / "collect" / "cot" / "traces.jsonl")


# --- refused conversations ------------------------------------------------------------------------------------------

REFUSALS = {
    "content filter": (400, {"error": {"message": "Stopped by the content policy.", "code": "content_filter"}}),
    "risk": (400, {"error": {"message": "Content Exists Risk"}}),
    "no words": (400, {}),
    "template": (422, {"detail": [{"msg": "roles must alternate", "loc": ["body"]}]}),
    "moderated": (403, {"error": {"message": "Your input was flagged", "metadata": {"reasons": ["violence"]}}}),
    "legal": (451, {"error": {"message": "not available for legal reasons"}}),
    "hidden in a 200": (200, {"error": {"message": "flagged by moderation", "code": 403}}),
    "hidden without a status": (200, {"error": {"message": "Input data may contain inappropriate content."}}),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_a_refused_question_is_one_fault(
    refusal: tuple[int, object], teacher: Teacher, collect: Collect, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    teacher.refuse = lambda i: refusal if i == 2 else None
    assert collect(range(5)) == 0
    assert [(t.end, t.correct) for t in traces(tmp_path)] == [
        (End.FAULT, None) if i == 2 else (End.ANSWERED, True) for i in range(5)
    ]
    assert "1 of 5 questions were refused" in capsys.readouterr().err
    assert teacher.asked == [0, 1, 2, 3, 4]  # not asked again: it would be refused again
    teacher.refuse = lambda i: None
    assert collect(range(5)) == 0
    assert teacher.asked == [2]  # but by the next command it is
    assert all(t.correct for t in traces(tmp_path))


def test_many_refusals_before_the_first_answer(teacher: Teacher, collect: Collect, tmp_path: Path) -> None:
    teacher.refuse = lambda i: REFUSALS["risk"] if i < 20 else None
    assert collect(range(22)) == 0
    assert sum(t.refused for t in traces(tmp_path)) == 20


def test_where_all_are_refused_the_refusal_is_told(
    teacher: Teacher, collect: Collect, capsys: pytest.CaptureFixture[str]
) -> None:
    teacher.refuse = lambda i: (400, {"error": {"message": "temperature must be below 2"}})
    assert collect(range(3)) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert "400: temperature must be below 2" in line
    assert "every question so far was refused" in line
    assert len(teacher.asked) == 3
    assert collect(range(300)) == 2
    assert len(teacher.asked) <= 101  # a recipe's mistake is not told by asking all


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ((400, {"error": {"message": "Your credit balance is too low to access the API."}}), "no credit left"),
        ((400, {"error": {"message": "API key not valid. Please pass a valid API key."}}), "refused the key"),
        ((401, {"error": {"message": "no"}}), "refused the key"),
        ((403, {"error": {"message": "not allowed from this region"}}), "refused the key"),
    ],
)
def test_what_no_question_gets_past_ends_it_at_once(
    reply: tuple[int, object], words: str, teacher: Teacher, collect: Collect, capsys: pytest.CaptureFixture[str]
) -> None:
    teacher.refuse = lambda i: reply if i >= 2 else None
    assert collect(range(9)) == 2
    assert words in capsys.readouterr().err
    assert teacher.asked == [0, 1, 2]


def test_a_question_too_long_is_no_fault(teacher: Teacher, collect: Collect, tmp_path: Path) -> None:
    words = "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048. Given: 3000 `inputs` tokens"
    teacher.refuse = lambda i: (422, {"error": words, "error_type": "validation"}) if i == 1 else None
    assert collect(range(3)) == 0
    assert [t.end for t in traces(tmp_path)] == [End.ANSWERED, End.OUT_OF_CONTEXT, End.ANSWERED]


# --- settings that change nothing -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        {"teacher_line": "concurrency = 3"},
        {"teacher_line": "timeout_s = 99.0\ntries = 2\npatience_s = 50.0"},
        {"teacher_line": "price_in = 0.1\nprice_out = 0.4"},
        {"teacher_line": 'api_key_env = "SOME_KEY"'},
        {"teacher_line": "send_seed = true"},  # as it is anyway
        {"teacher_line": 'extra = { user = "me", service_tier = "flex" }'},
        {"teacher_line": "extra = {}"},
        {"teacher_line": 'extra = { priority = 3, request_id = "a", cache_salt = "b", session_id = "c" }'},
        {"teacher_line": 'prefix_mode = "prefill"'},  # of a prefix that a chain of thought does not have
        {"tables": 'wall_s = 10.0\n[tools]\nindex = "index"\n[filter]\nkeep = ["right_answer"]'},
        {"teacher_line": "context_length = 4096\ncheck_prefix = false"},
        {"collect_line": 'offer = "used"'},
        {"tables": "wall_s = 33.0"},  # of a sandbox that a chain of thought never enters
        {"collect_line": "max_steps = 9\nobservation_chars = 100"},
        {"tables": "memory_mb = 256\n[tools]\nk = 7"},
    ],
    ids=lambda c: str(next(iter(c.values()))).splitlines()[0],
)
def test_no_answer_is_paid_twice(changed: dict[str, str], teacher: Teacher, collect: Collect, tmp_path: Path) -> None:
    assert collect(range(4)) == 0
    before = traces(tmp_path)
    assert collect(range(4), **changed) == 0
    assert teacher.asked == []
    assert traces(tmp_path) == before


def test_only_a_new_question_is_asked(
    teacher: Teacher, collect: Collect, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert collect([1, 2, 3]) == 0
    assert collect([9, 1, 2, 3]) == 0
    assert teacher.asked == [9]
    said = " ".join(capsys.readouterr().err.split())
    assert "made with other problems; what was there is kept as cot.old-1" in said
    assert "3 of 4 trajectories were collected before and are taken over" in said
    assert collect([2]) == 0
    assert collect([2, 3, 9]) == 0  # from folders further back
    assert teacher.asked == []
    assert [t.answer for t in traces(tmp_path)] == ["3", "4", "10"]


def test_more_samples_of_a_question_keep_those_there_are(teacher: Teacher, collect: Collect, tmp_path: Path) -> None:
    assert collect([1, 2], collect_line="temperature = 0.5\nsamples = 2") == 0
    assert collect([1, 2], collect_line="temperature = 0.5\nsamples = 3") == 0
    assert teacher.asked == [1, 2]
    assert len({t.id for t in traces(tmp_path)}) == 6


def test_published_trajectories_that_join_ask_nobody_again(teacher: Teacher, collect: Collect, tmp_path: Path) -> None:
    assert collect([1, 2]) == 0
    said = [{"role": "user", "content": "What comes after 7?"}, {"role": "assistant", "content": "Answer: 8"}]
    (tmp_path / "other.jsonl").write_text(json.dumps({"messages": said, "answer": "8"}) + "\n")
    joined = f'trajectories = {{ cot = ["{tmp_path}/other.jsonl", "teacher"] }}'
    assert collect([1, 2], collect_line=joined) == 0
    assert sorted(t.answer or "" for t in traces(tmp_path)) == ["2", "3", "8"]
    assert collect([1, 2, 3]) == 0
    assert teacher.asked == [3]


def test_another_gold_answer_is_scored_without_asking(teacher: Teacher, collect: Collect, tmp_path: Path) -> None:
    assert collect([1, 2]) == 0
    rows = [{"question": f"What comes after {i}?", "answer": "3"} for i in (1, 2)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    teacher.asked.clear()
    assert main(["collect", str(tmp_path / "recipe.toml"), "--runs", str(tmp_path / "runs")]) == 0
    assert teacher.asked == []
    assert [t.correct for t in traces(tmp_path)] == [False, True]


def test_a_setting_that_matters_collects_anew_and_says_so(
    teacher: Teacher, collect: Collect, capsys: pytest.CaptureFixture[str]
) -> None:
    assert collect([1, 2]) == 0
    assert collect([1, 2], collect_line="temperature = 0.7") == 0
    assert teacher.asked == [1, 2]
    assert "made with other temperature; what was there is kept as cot.old-1" in " ".join(
        capsys.readouterr().err.split()
    )
    assert collect([1, 2]) == 0  # as at first, whose answers still lie there
    assert teacher.asked == []


def test_a_stopped_collection_goes_on_after_such_a_change(teacher: Teacher, collect: Collect, tmp_path: Path) -> None:
    teacher.refuse = lambda i: (401, {}) if i == 3 else None
    assert collect(range(5)) == 2
    teacher.refuse = lambda i: None
    assert collect([8, *range(5)], teacher_line="concurrency = 2") == 0
    assert sorted(teacher.asked) == [3, 4, 8]
    assert len(traces(tmp_path)) == 6


def test_the_teachers_evaluation_does_not_hang_on_how_students_are_run(collect: Collect, tmp_path: Path) -> None:
    from dataclasses import replace

    from agentdistill.pipeline.evaluating import Job, folder_of
    from agentdistill.pipeline.run import Run
    from agentdistill.recipe import load_recipe

    assert collect([1, 2]) == 0
    recipe = load_recipe(tmp_path / "recipe.toml")
    tables = [
        recipe.evaluate,
        replace(recipe.evaluate, batch_size=3, device="cpu"),
        replace(recipe.evaluate, teacher=("cot", "agent")),
    ]
    keys = [folder_of(Run(replace(recipe, evaluate=t), tmp_path / "run"), Job(None, "cot", 0)).key for t in tables]
    assert len(set(keys)) == 1


# --- before and instead of it ---------------------------------------------------------------------------------------


def test_nothing_to_collect_is_said(
    teacher: Teacher, collect: Collect, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert collect([1]) == 0
    assert collect([1]) == 0
    assert "nothing to collect: all of it is there already" in " ".join(capsys.readouterr().err.split())
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(recipe.read_text().replace('methods = ["cot-distill"]', 'methods = ["agent", "cot"]'))
    assert main(["collect", str(recipe), "--runs", str(tmp_path / "runs")]) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "nothing to collect: no method of its students learns from trajectories" in told


@pytest.mark.parametrize(
    "config", ['{"model_max_length": 512}', None, '{"chat_template": ""}', '{"chat_template": []}', "[]"]
)
def test_a_base_without_a_chat_template_is_told_before_anything_is_paid(
    config: str | None, teacher: Teacher, collect: Collect, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, recipe = tmp_path / "base", tmp_path / "recipe.toml"
    base.mkdir()
    (base / "config.json").write_text("{}")
    if config is not None:
        (base / "tokenizer_config.json").write_text(config)
    assert collect([1]) == 0
    again = ["collect", str(recipe), "--runs", str(tmp_path / "other")]
    recipe.write_text(recipe.read_text().replace("nobody/no-base", str(base)))
    teacher.asked.clear()
    assert main(again) == 2
    assert f"{base}: brings no chat template" in capsys.readouterr().err
    recipe.write_text(recipe.read_text() + '[train]\nchat_template = "missing.jinja"\n')
    assert main(again) == 2
    assert "missing.jinja" in capsys.readouterr().err
    assert teacher.asked == []
    (base / "chat_template.jinja").write_text("{{ messages }}")
    recipe.write_text(recipe.read_text().partition("[train]")[0])
    assert main(again) == 0
