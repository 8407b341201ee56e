"""A recipe from its problems to its page in one command: roles of its own, seeds, rivals, candidates that are given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_pools import Solution, pool_of
from small_run import files, write_inputs
from tiny_models import save_checkpoint

from agentdistill.cli import main
from agentdistill.errors import DataError, ModelError, RecipeError
from agentdistill.pipeline.run import Run
from agentdistill.pipeline.verifying import given, problems_of, summary, with_seed
from agentdistill.recipe import load_recipe
from agentdistill.report import write_report
from agentdistill.types import Problem
from agentdistill.verify import Judgement, Pool, Verdict, read_pools, rescore, write_pools
from agentdistill.verify.page import markdown, reading
from agentdistill.verify.roles import resolved
from agentdistill.verify.scores import Costs, Rival, ScoreSettings, curve

RECIPE = """
name = "whole"

[problems]
test = "{problems}"
train = "{problems}"
contamination = "report"

[verify]
base = "{base}"

[verify.generator]
model = "scripted"
replies = "6 * 7 = 42\\n\\nAnswer: 42"

[verify.sample]
n = 2
n_train = 1

[[verify.others]]
name = "rival"
model = {{ model = "scripted", replies = "Answer: 41" }}

[[verify.verifiers]]
name = "teacher"
role = "code"
k = 1
model = {{ model = "scripted", replies = "```python\\nprint(6 * 7 == 42)\\n```" }}

[[verify.verifiers]]
name = "toolv"
role = "code"
k = 1
max_new_tokens = 4
model = {{ model = "local", path = "role:toolv", device = "cpu" }}

[[verify.verifiers]]
name = "prm"
role = "prm"
model = {{ model = "local", path = "role:prm", device = "cpu" }}

[verify.beam]
reward = "prm"
width = 1
expand = 2

[verify.stop]
batch = 1
bounds = [0, 0.5]

[[verify.roles]]
name = "toolv"
role = "code"
teacher = "teacher"
[verify.roles.train]
epochs = 1
lora_rank = 2
max_length = 1024
device = "cpu"
threads = 1

[[verify.roles]]
name = "prm"
role = "prm"
[verify.roles.train]
method = "full"
epochs = 1
max_length = 1024
device = "cpu"
threads = 1
"""


@pytest.fixture
def recipe(tmp_path) -> Path:
    problems = [{"question": f"What is 6 times {n}?", "answer": str(6 * n), "family": f"f{n % 2}"} for n in (7, 8)]
    (tmp_path / "problems.jsonl").write_text("".join(json.dumps(p) + "\n" for p in problems))
    base = save_checkpoint(tmp_path / "base", hidden=16, context=1024)
    path = tmp_path / "whole.toml"
    path.write_text(RECIPE.format(base=base, problems=tmp_path / "problems.jsonl"))
    return path


def test_one_command_runs_everything_for_every_seed(recipe, tmp_path, capsys):
    runs = tmp_path / "runs"
    assert main(["verify", "run", str(recipe), "--runs", str(runs), "--seeds", "2"]) == 0
    page = Path(capsys.readouterr().out.strip().splitlines()[-1])
    assert page == runs / "whole" / "verify.html"
    assert "tool verifier × reward" in page.read_text()
    assert "| tool verifier × reward |" in page.with_suffix(".md").read_text()
    for folder in (runs / "whole", runs / "whole.seed-1"):
        test = read_pools(folder / "test" / "traces.jsonl")
        assert [len(p.traces) for p in test] == [2, 2]
        assert [j.judge for j in test[0].judgements[0]] == ["toolv", "prm"]
        assert test[0].judgements[0][1].n_prompt_tokens > 0
        assert [len(p.traces) for p in read_pools(folder / "train" / "traces.jsonl")] == [1, 1]
    [told] = json.loads((runs / "whole" / "verify.json").read_text())["curves"]
    assert told["n_seeds"] == 2
    assert told["methods"]["majority"]["budgets"]["2"]["seeds"] == [0.5, 0.5]
    assert told["rivals"]["rival"]["accuracy"] == 0.0
    assert told["rivals"]["rival"]["versus"]["majority"]["difference"] == 0.5
    assert told["stages"]["prm"]["prompt_tokens"] > 0
    beam = told["rivals"]["beam of 2"]
    assert beam["accuracy"] == 0.5
    assert beam["cost"]["tokens"] > 0
    assert len(read_pools(runs / "whole" / "test.beam" / "traces.jsonl")) == 2
    assert "beam of 2" in page.read_text()
    exact, loose = told["stopping"]
    assert (exact["bound"], exact["changed"], exact["n_problems"]) == (0, 0, 4)
    assert loose["candidates"]["used"] <= exact["candidates"]["used"] <= exact["candidates"]["of"] == 8
    assert exact["difference"]["n"] == 2
    assert "Sampling that stops" in page.read_text()
    assert "Sampling that stops" in page.with_suffix(".md").read_text()
    assert (
        told["methods"]["weighted"]["budgets"]["2"]["cost"]["flops"] is None
    )  # nobody knows the scripted model's size
    before = (runs / "whole" / "test" / "traces.jsonl").read_bytes()
    assert main(["verify", "run", str(recipe), "--runs", str(runs), "--seeds", "2"]) == 0  # all is there already
    assert (runs / "whole" / "test" / "traces.jsonl").read_bytes() == before
    folders = [runs / "whole", runs / "whole.seed-1"]
    for folder, seconds in zip(folders, (1.0, 2.0), strict=True):
        (folder / "test" / "traces.costs.json").write_text(json.dumps({"seconds": {"toolv": seconds}}))
    [told] = summary([Run(load_recipe(recipe), folder) for folder in folders])
    assert told["stages"]["toolv"]["seconds"] == 1.5  # over all seeds, as the tokens are


def test_a_role_is_the_one_that_this_very_run_trained(recipe, tmp_path, capsys):
    with pytest.raises(ModelError, match="that role is not trained yet"):
        resolved({"model": "local", "path": "role:toolv"}, tmp_path)
    (tmp_path / "roles" / "toolv").mkdir(parents=True)
    assert resolved({"path": "role:toolv"}, tmp_path)["path"] == str(tmp_path / "roles" / "toolv")
    recipe.write_text(recipe.read_text().replace("role:prm", "role:prn"))
    with pytest.raises(RecipeError, match='unknown role "prn"; did you mean "prm"'):
        load_recipe(recipe)


def test_a_few_problems_are_of_every_family(tmp_path, recipe):
    import dataclasses

    def run_of(limit: int | None) -> Run:
        read = load_recipe(recipe)
        problems = dataclasses.replace(read.problems, test="tinyworld:test:5")
        verify = dataclasses.replace(read.verify, limit=limit)
        return Run(dataclasses.replace(read, problems=problems, verify=verify), tmp_path / "a")

    found = problems_of(run_of(10), "test")
    assert len(found) == 10
    assert len({p.family for p in found}) == 8
    assert found == [p for p in problems_of(run_of(None), "test") if p in found]
    some = run_of(10)
    assert with_seed(some, 0) is some
    other = with_seed(some, 3)
    assert (other.recipe.seed, other.folder.name) == (3, "a.seed-3")


def test_candidates_may_be_given(tmp_path):
    path = tmp_path / "given.toml"
    write_pools(tmp_path / "c.jsonl", SEEDS[0])
    judge = '[[verify.verifiers]]\nname = "sums"\nrole = "calculations"\n'
    path.write_text(f'[verify.candidates]\ntest = "{tmp_path / "c.jsonl"}"\n{judge}')
    run = Run(load_recipe(path), tmp_path / "given")
    assert given(run, "test") == SEEDS[0]
    assert given(run, "train") is None
    path.write_text(judge)
    with pytest.raises(RecipeError, match=r"no \[problems\] table"):
        load_recipe(path)
    path.write_text(f'[problems]\ntest = "tinyworld:test:1"\n{judge}')
    with pytest.raises(RecipeError, match=r"no \[verify.generator\] table"):
        load_recipe(path)


def pool(i: int, seed: int) -> Pool:
    found = []
    for k in range(4):
        right = (i + k + seed) % 3 == 0
        said = (
            Judgement("toolv", "code", (Verdict.TRUE if right else Verdict.FALSE,), n_prompt_tokens=5, n_new_tokens=10),
            Judgement("plain", "cot", (Verdict.TRUE,), n_prompt_tokens=5, n_new_tokens=10),
            Judgement("prm", "prm", scores=(0.5, 0.6), n_prompt_tokens=9),
        )
        found.append(Solution("s", "1" if right else str(k + 2), right, said, (3, 20)))
    return pool_of(Problem(f"p{i}", "q", "1", "math", f"f{i % 2}"), found, "small")


SEEDS = [[pool(i, seed) for i in range(8)] for seed in range(3)]


def test_a_problem_counts_once_however_many_seeds_there_are():
    asked = ScoreSettings(n_resamples=50)
    told = rescore(SEEDS[0], asked, SEEDS[1:])
    alone = [rescore(s, asked) for s in SEEDS]
    for m, facts in told["methods"].items():
        for n, cell in facts["budgets"].items():
            each = [a["methods"][m]["budgets"][n]["accuracy"] for a in alone]
            assert cell["seeds"] == pytest.approx(each)
            assert cell["accuracy"] == pytest.approx(sum(each) / 3)
            assert cell["n"] == 8
    assert told["verifiers"]["toolv"]["n"] == 3 * alone[0]["verifiers"]["toolv"]["n"]
    assert told["versus_two_stage"]["verifier-weighted"]["difference"] > 0
    assert "two-stage" not in told["versus_two_stage"]
    with pytest.raises(DataError, match="different problems"):
        rescore(SEEDS[0], asked, [SEEDS[1][:-1]])


def test_a_prm_costs_what_it_reads():
    costs = Costs({"generator": 1000, "prm": 100}, {})
    told = curve("c", SEEDS[0], ScoreSettings(n_resamples=20), costs)
    assert told["methods"]["weighted"]["budgets"]["2"]["cost"]["flops"] == 2 * (2000 * 23 + 200 * 9)
    assert told["stages"]["prm"] == {"n_parameters": 100, "prompt_tokens": 9, "new_tokens": 0, "seconds": None}


def test_a_page_says_what_it_shows():
    rival = Rival(answers=[pool_of(p.problem, (Solution("s", "0", False),)) for p in SEEDS[0]])
    told = curve("c", SEEDS[0], ScoreSettings(n_resamples=20), Costs(), SEEDS[1:], {"large": rival})
    assert reading(told).startswith("With 4 candidates, tool verifier × reward reaches 100.0 %; +")
    assert "against large answering once" in reading(told)
    page = markdown([told])
    assert reading(told) in page
    assert "| majority | " in page
    assert "| large, once | 0.0 | – |" in page
    tables = [block for block in page.split("\n\n") if block.startswith("|")]
    assert len(tables) == 4
    for t in tables:  # every row has as many cells as its head
        assert len({line.count("|") for line in t.splitlines()}) == 1


def test_curves_in_a_run_are_a_section_of_its_report(tmp_path):
    from agentdistill.pipeline import is_reported
    from agentdistill.pipeline import write_report as write
    from agentdistill.progress import Silent
    from agentdistill.store import write_jsonl
    from agentdistill.types import End, Message, Source, Step, StepStatus, Trace

    folder = tmp_path / "run"
    step = Step(Message("assistant", "Answer: 1", Source.MODEL), StepStatus.FINAL)
    trace = Trace("a", Problem("a", "q", "1"), "cot", "m", (), (step,), End.ANSWERED, answer="1")
    (folder / "evaluate" / "m--cot").mkdir(parents=True)
    write_jsonl(folder / "evaluate" / "m--cot" / "traces.jsonl", [trace])
    assert "Verification" not in write_report(folder).read_text()
    write(folder, Silent())
    assert is_reported(folder)
    told = curve("<b>c</b>", SEEDS[0], ScoreSettings(n_resamples=20), Costs())
    (folder / "verify.json").write_text(json.dumps({"curves": [told]}))
    assert not is_reported(folder)
    page = write(folder, Silent()).read_text()
    assert '<a href="#verification">Verification</a>' in page
    assert "<h2>&lt;b&gt;c&lt;/b&gt;</h2>" in page
    (folder / "verify.json").write_text("{}")
    with pytest.raises(DataError, match="no curves of verification"):
        write(folder, Silent())


VERIFY = """
[verify.sample]
n = 2
max_new_tokens = 8

[[verify.verifiers]]
name = "sums"
role = "calculations"

[student]
"""


def test_a_run_verifies_what_its_student_answers(tmp_path, capsys):
    inputs = write_inputs(tmp_path, n_train=4, n_test=2)
    inputs.write_text(inputs.read_text().replace("[student]\n", VERIFY))
    run = tmp_path / "runs" / "small"
    assert main(["run", str(inputs), "--runs", str(run.parent)]) == 0
    pools = read_pools(run / "test" / "traces.jsonl")
    assert [[t.model for t in p.traces] for p in pools] == [["base--cot-distill"] * 2] * 2
    assert [[j.judge for j in said] for p in pools for said in p.judgements] == [["sums"]] * 4
    assert '<a href="#verification">Verification</a>' in (run / "report.html").read_text()
    before = files(run)
    assert main(["run", str(inputs), "--runs", str(run.parent)]) == 0
    assert files(run) == before
    assert main(["grade", str(run / "test" / "traces.jsonl")]) == 0


def test_a_recipe_that_only_verifies_trains_nobody(tmp_path, capsys):
    path = tmp_path / "alone.toml"
    problem = json.dumps({"question": "6 * 7?", "answer": "42"})
    (tmp_path / "problems.jsonl").write_text(problem + "\n")
    generator = '[verify.generator]\nmodel = "scripted"\nreplies = "Answer: 42"\n'
    path.write_text(f'[problems]\ntest = "{tmp_path / "problems.jsonl"}"\n{generator}')
    for verb in ("run", "collect"):
        assert main([verb, str(path), "--runs", str(tmp_path / "runs")]) == 2
        assert "no [student] to train; to verify only: agentdistill verify run" in capsys.readouterr().err
