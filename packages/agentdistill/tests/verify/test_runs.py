"""From a recipe to a page: stages that go on where they stopped, commands, curves and what they cost."""

from __future__ import annotations

import asyncio
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_pools import Solution, judged_by, pool_of
from tiny_models import save_checkpoint

from agentdistill.cli import main
from agentdistill.environment import Environment
from agentdistill.errors import RecipeError
from agentdistill.loop import RolloutSettings, chain_of_thought
from agentdistill.models.scripted import Scripted
from agentdistill.prompts import load_prompt
from agentdistill.recipe import load_recipe
from agentdistill.retrieval import Passage, build_retriever
from agentdistill.types import Problem
from agentdistill.verify import Judgement, Pool, Verdict, read_pools, write_pools
from agentdistill.verify.judging import Choosing, explain
from agentdistill.verify.page import render
from agentdistill.verify.scores import Costs, ScoreSettings, curve
from agentdistill.verify.stopping import StopSettings
from agentdistill.verify.verifiers import Kit

ROOT = Path(__file__).parents[4]
GSM8K = ROOT.parent / "shared/data/math/gsm8k_model_solutions_first660.jsonl"
RECIPE = """
name = "small"

[problems]
test = "{problems}"

[verify.generator]
model = "scripted"
replies = {{ "apples" = "2 + 3 = 5\\n\\nAnswer: 5", "pears" = "4 + 4 = 9\\n\\nAnswer: 9" }}

[verify.sample]
n = 3

[[verify.verifiers]]
name = "toolv"
role = "code"
k = 2
model = {{ model = "scripted", replies = {{ "apples" = "```py\\nprint(2 + 3 == 5)\\n```", "pears" = "```py\\nprint(4 + 4 == 9)\\n```" }} }}

[[verify.verifiers]]
name = "sums"
role = "calculations"

[[verify.verifiers]]
name = "reward"
role = "genrm"
k = 2
model = {{ model = "scripted", replies = "Verification: Yes" }}
"""  # noqa: E501


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    rows = [{"id": "a", "question": "apples?", "answer": "5"}, {"id": "b", "question": "pears?", "answer": "8"}]
    (tmp_path / "problems.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    path = tmp_path / "small.toml"
    path.write_text(RECIPE.format(problems=tmp_path / "problems.jsonl"))
    return path


def run(capsys, *arguments: object) -> str:
    assert main(["verify", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def contents(folder: Path) -> dict[str, bytes]:
    """What lies in a folder, but for the time that it took."""
    return {f.name: f.read_bytes() for f in folder.iterdir() if not f.name.endswith(".costs.json")}


def test_a_recipe_from_problems_to_a_page(recipe, tmp_path, capsys):
    runs = ["--runs", tmp_path / "runs"]
    file = Path(run(capsys, "sample", recipe, *runs).strip())
    assert [len(p.traces) for p in read_pools(file)] == [3, 3]
    assert [p.traces[0].correct for p in read_pools(file)] == [True, False]
    assert Path(run(capsys, "judge", recipe, *runs).strip()) == file
    judged = read_pools(file)
    assert [[j.judge for j in said] for said in judged[0].judgements] == [["toolv", "sums", "reward"]] * 3
    assert [j.verdicts for j in judged_by(judged[0], "toolv")] == [(Verdict.TRUE,) * 2] * 3
    assert [j.verdicts for j in judged_by(judged[1], "toolv")] == [(Verdict.FALSE,) * 2] * 3
    assert [j.verdicts for j in judged_by(judged[1], "sums")] == [(Verdict.FALSE,)] * 3

    before = contents(file.parent)
    run(capsys, "sample", recipe, *runs)  # nothing is sampled again, and what was judged stays
    run(capsys, "judge", recipe, *runs, "--verifier", "toolv")
    assert contents(file.parent) == before

    told = json.loads(run(capsys, "rescore", file, "--resamples", 50))
    assert told["methods"]["verifier-weighted"]["budgets"]["3"]["accuracy"] == 0.5
    assert told["methods"]["verifier-weighted"]["budgets"]["3"]["fell_back"] == 0.5
    assert told["verifiers"]["toolv"]["tp"] == told["verifiers"]["toolv"]["tn"] == 3
    rows = [json.loads(line) for line in run(capsys, "select", file, "--filtered", "abstain").splitlines()]
    assert [(r["answer"], r["fallback"]) for r in rows] == [("5", None), (None, "abstain")]
    page = tmp_path / "page.html"
    run(capsys, "curve", file, "--out", page, "--resamples", 50)
    assert "tool verifier × reward" in page.read_text()
    run(capsys, "curve", file, "--out", tmp_path / "curve.svg", "--resamples", 50)
    assert (tmp_path / "curve.svg").read_text().startswith("<svg")


AGENT = """
name = "agent"

[problems]
test = "{folder}/problems.jsonl"

[tools]
search = "{folder}/corpus.jsonl"

[verify.generator]
model = "scripted"
replies = "```python\\nprint(search('apples'))\\n```"

[verify.sample]
loop = "agent"
n = 1
max_steps = 1
"""


def test_agents_are_sampled_with_the_recipes_tools(recipe, tmp_path, capsys):
    """Their prompt offers search, their code calls it, and with another corpus they are sampled anew."""
    recipe.write_text(AGENT.format(folder=tmp_path))
    corpus = tmp_path / "corpus.jsonl"
    for n in (5, 6):
        corpus.write_text(json.dumps({"id": "1", "title": "Apples", "text": f"There are {n} apples."}) + "\n")
        file = Path(run(capsys, "sample", recipe, "--runs", tmp_path / "runs").strip())
        trace = read_pools(file)[0].traces[0]
        assert "search" in trace.prompt[0].content
        assert f"There are {n} apples." in trace.steps[0].observation.content


def test_a_folder_of_verification_alone_is_shown(recipe, tmp_path, capsys):
    runs = ["--runs", tmp_path / "runs"]
    folder = str(tmp_path / "runs" / "small")
    run(capsys, "sample", recipe, *runs)
    assert main(["report", folder]) == 2
    assert "holds verification alone; agentdistill verify run RECIPE writes its page" in capsys.readouterr().err
    run(capsys, "run", recipe, *runs)
    assert main(["show", folder, "--outcome", "right"]) == 0
    out = capsys.readouterr().out
    assert [line.split()[1] for line in out.splitlines() if "✓" in line] == ["a#0", "a#1", "a#2"]
    assert "verify.html" in "".join(out.split())
    assert main(["show", folder, "test/a#1"]) == 0
    assert "2 + 3 = 5" in capsys.readouterr().out
    assert main(["compare", folder, folder, "--json"]) == 0
    assert [part["a"] for part in json.loads(capsys.readouterr().out)["parts"]] == ["test"]
    for command in (["report", folder], ["ask", folder, "?"]):
        assert main(command) == 2
        assert "small: holds verification alone" in capsys.readouterr().err


def test_what_another_model_said_is_set_aside(recipe, tmp_path, capsys):
    runs = ["--runs", tmp_path / "runs"]
    run(capsys, "sample", recipe, *runs)
    run(capsys, "judge", recipe, *runs)
    folder = tmp_path / "runs" / "small" / "test"
    before = {name: (folder / name).read_bytes() for name in ("traces.jsonl", "judge-reward.jsonl")}
    text = recipe.read_text()
    recipe.write_text(text.replace("Verification: Yes", "Verification: No").replace("2 + 3 = 5", "3 + 2 = 5"))
    run(capsys, "sample", recipe, *runs)
    run(capsys, "judge", recipe, *runs)
    assert {name: (folder / f"{name}.old-1").read_bytes() for name in before} == before
    solutions = [t.solution for p in read_pools(folder / "traces.jsonl") for t in p.traces]
    assert any("3 + 2 = 5" in s for s in solutions)
    assert not any("2 + 3 = 5" in s for s in solutions)
    run(capsys, "sample", recipe, *runs)
    assert not (folder / "traces.jsonl.old-2").exists()


def sums(n: int) -> list[Pool]:
    """Sums of three numbers, right and wrong in turn, one candidate each."""
    out = []
    for i in range(n):
        problem = Problem(f"sum-{i}", f"What is {i} + 100 + 7?", str(107 + i), "math", "sums")
        solution = Solution(f"{i} + 100 + 7 = {107 + i + i % 2}", str(107 + i + i % 2), i % 2 == 0)
        out.append(pool_of(problem, [solution]))
    return out


def test_candidates_from_elsewhere_become_a_split(recipe, tmp_path, capsys):
    write_pools(tmp_path / "toy.jsonl", sums(4))
    arguments = (
        "judge",
        recipe,
        "--runs",
        tmp_path / "runs",
        "--candidates",
        tmp_path / "toy.jsonl",
        "--verifier",
        "sums",
    )
    file = Path(run(capsys, *arguments).strip())
    assert file == tmp_path / "runs/small/toy/traces.jsonl"
    assert [judged_by(p, "sums")[0].verdicts[0] for p in read_pools(file)] == ["true", "false"] * 2
    before = contents(file.parent)
    run(capsys, *arguments)
    assert contents(file.parent) == before
    write_pools(tmp_path / "toy.jsonl", sums(5))
    assert main(["verify", *map(str, arguments)]) == 2
    assert "holds other candidates" in capsys.readouterr().err


def test_a_gold_answer_that_is_corrected_counts(recipe, tmp_path, capsys):
    recipe.write_text(recipe.read_text() + '\n[[verify.verifiers]]\nname = "oracle"\nrole = "gold"\n')
    page = ["run", recipe, "--runs", tmp_path / "runs"]
    folder = tmp_path / "runs" / "small"
    run(capsys, *page)
    assert [p.traces[0].correct for p in read_pools(folder / "test/traces.jsonl")] == [True, False]
    problems = tmp_path / "problems.jsonl"
    problems.write_text(problems.read_text().replace('"answer": "8"', '"answer": "9"'))
    run(capsys, *page)
    now = read_pools(folder / "test/traces.jsonl")
    assert [(p.problem.answer, p.traces[0].correct) for p in now] == [("5", True), ("9", True)]
    assert [j.judge for j in now[1].judgements[0]] == ["toolv", "sums", "reward", "oracle"]
    assert judged_by(now[1], "oracle")[0].verdicts == (Verdict.TRUE,)
    assert not (folder / "test/judge-reward.jsonl.old-1").exists()  # the solutions are the same
    [told] = json.loads((folder / "verify.json").read_text())["curves"]
    assert told["methods"]["majority"]["budgets"]["3"]["accuracy"] == 1.0


def test_what_changes_in_a_given_file_counts(recipe, tmp_path, capsys):
    row = {"problem": "2 + 3?", "id": "a", "answer": "5", "candidates": [{"solution": "2 + 3 = 5", "score": 0.2}]}
    file = tmp_path / "mine.jsonl"
    judge = ["judge", recipe, "--runs", tmp_path / "runs", "--candidates", file, "--verifier", "sums"]
    file.write_text(json.dumps(row))
    run(capsys, *judge)
    row["candidates"][0] |= {"score": 0.7, "correct": False}
    file.write_text(json.dumps(row))
    [pool] = read_pools(Path(run(capsys, *judge).strip()))
    assert [(j.judge, j.scores, j.verdicts) for j in pool.judgements[0]] == [
        ("score", (0.7,), ()),
        ("sums", (), (Verdict.TRUE,)),
    ]
    assert pool.traces[0].correct is False


def test_a_judge_that_the_recipe_no_longer_has_says_nothing(recipe, tmp_path, capsys):
    page = ["run", recipe, "--runs", tmp_path / "runs"]
    run(capsys, *page)
    recipe.write_text(recipe.read_text().replace('name = "toolv"', 'name = "checker"').replace("4 + 4 == 9", "True"))
    run(capsys, *page)
    folder = tmp_path / "runs" / "small"
    said = [j.judge for j in read_pools(folder / "test/traces.jsonl")[0].judgements[0]]
    assert said == ["sums", "reward", "checker"]
    [told] = json.loads((folder / "verify.json").read_text())["curves"]
    assert "checker" in told["verifiers"]
    assert "toolv" not in told["verifiers"]
    assert (folder / "test/judge-toolv.jsonl").exists()


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        (("corpus.jsonl", "other.jsonl"), ["facts"]),
        (("[tools]", "[sandbox]\nwall_s = 3.0\n\n[tools]"), ["toolv", "sums"]),
        (('name = "small"', 'name = "small"\nprompt = "tiny"'), ["toolv", "sums", "reward", "facts"]),
    ],
)
def test_another_sandbox_corpus_or_prompt_judges_anew(change, changed, recipe, tmp_path, capsys):
    for name in ("corpus", "other"):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"title": name, "text": f"{name}: apples, pears"}) + "\n")
    facts = (
        '[[verify.verifiers]]\nname = "facts"\nrole = "facts"\nk = 1\nmodel = { model = "scripted", replies = "" }\n'
    )
    recipe.write_text(f'{recipe.read_text()}{facts}\n\n[tools]\nsearch = "{tmp_path}/corpus.jsonl"\n')
    runs = [recipe, "--runs", tmp_path / "runs"]
    run(capsys, "sample", *runs)
    run(capsys, "judge", *runs)
    run(capsys, "judge", *runs)
    folder = tmp_path / "runs/small/test"
    assert not list(folder.glob("judge-*.old-*"))
    recipe.write_text(recipe.read_text().replace(*change))
    run(capsys, "judge", *runs)
    assert {p.name for p in folder.glob("judge-*.old-*")} == {f"judge-{name}.jsonl.old-1" for name in changed}


def test_seconds_a_candidate_are_of_this_very_judge_and_of_all_its_parts(recipe, tmp_path, capsys):
    def judge():
        run(capsys, "judge", *runs, "--verifier", "reward")
        return json.loads((folder / "traces.costs.json").read_text())

    runs = [recipe, "--runs", tmp_path / "runs"]
    folder = Path(run(capsys, "sample", *runs).strip()).parent
    first = judge()
    part = first["parts"]["reward"]
    assert part["n"] == first["parts"]["generator"]["n"] == 6
    assert first["seconds"]["reward"] == pytest.approx(part["seconds"] / 6)
    assert judge() == first  # nothing was left to do
    journal = folder / "judge-reward.jsonl"
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:4]))  # two are missing
    again = judge()["parts"]["reward"]
    assert (again["key"], again["n"]) == (part["key"], 8)
    assert again["seconds"] > part["seconds"]
    recipe.write_text(recipe.read_text().replace("Verification: Yes", "Verification: No"))
    other = judge()["parts"]["reward"]
    assert other["key"] != part["key"]
    assert other["n"] == 6


def test_a_dry_run_has_a_folder_of_its_own(recipe, tmp_path, capsys):
    file = run(capsys, "sample", recipe, "--runs", tmp_path / "runs", "--limit", 1).strip()
    assert Path(file).parts[-3] == "small.first-1"
    assert len(read_pools(Path(file))) == 1


ROLE = "[[verify.roles]]\nname = 'x'\nrole = 'code'\n"
GENERATOR = re.search(r"\[verify.generator\]\n.*\nreplies = .*\n", RECIPE)[0].replace("{{", "{").replace("}}", "}")
BEAM = """
[verify.beam]
reward = "steps"

[[verify.verifiers]]
name = "steps"
role = "prm"
model = { model = "local", path = "p" }
"""
OTHER = "[[verify.others]]\nname = 'x'\nmodel = { model = 'scripted', replies = '' }\n"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('role = "code"', 'role = "coder"'), "role"),
        (("k = 2\n", "k = 0\n"), "verifiers.k has to be at least 1"),
        (
            ('name = "sums"', 'name = "toolv"'),
            ':21: two [[verify.verifiers]] are called "toolv"; give this one another name',
        ),
        (("[verify.sample]", f"{ROLE}\n{ROLE}\n[verify.sample]"), 'two [[verify.roles]] are called "x"'),
        (("[verify.sample]", f"{OTHER}\n{OTHER}\n[verify.sample]"), 'two [[verify.others]] are called "x"'),
        (("[[verify.verifiers]]", "[verify.verifiers]"), "[verify.verifiers] has to be written [[verify.verifiers]]"),
        (
            ("[verify.sample]", ROLE.replace("[[", "[").replace("]]", "]") + "[verify.sample]"),
            "written [[verify.roles]]",
        ),
        (("[verify.generator]", "[[verify.generator]]"), "[[verify.generator]] has to be written [verify.generator]"),
        (("[verify.sample]", "[[verify.sample]]"), ":11: [[verify.sample]] has to be written [verify.sample]"),
        (("[problems]", "[[problems]]"), ":4: [[problems]] has to be written [problems]"),
        (("[verify.sample]", "[verify.stop]\nbatch = 0\n[verify.sample]"), "stop.batch has to be at least 1"),
        (("[verify.sample]", "[verify.stop]\nbounds = []\n[verify.sample]"), "bounds names no bound"),
        (("[verify.sample]", "[verify.stop]\nbounds = [1]\n[verify.sample]"), "stop.bound is a probability"),
        (("[problems]", "judges = []\n[problems]"), "[[judges]] is now called [[verify.verifiers]]"),
        (("[[verify.verifiers]]", "[[verifiers]]"), "[[verifiers]] is now called [[verify.verifiers]]"),
        (("[verify.sample]", "[sample]"), "[sample] is now called [verify.sample]"),
        (("[problems]", "base = 'x'\n[problems]"), "base is now a key of [verify]"),
        (("[problems]", "[problems]\nfamilies = ['x']"), "families is now a key of [verify]"),
        (
            ("n = 3", "n = 3\ntemprature = 1.0"),
            '"temprature" in [verify.sample]; did you mean "temperature"?',
        ),
        (("n = 3", "n = 3\ntemperature = 0.0"), "n above 1 needs a temperature above 0"),
        (("[verify.generator]\nmodel", "[verify.generator]\nmodle"), "unknown key"),
        (("[verify.sample]", f"{ROLE}teacher = 'y'\n\n[verify.sample]"), 'unknown verifier "y"'),
        (("[verify.sample]", f"{ROLE}teacher = 'sums'\n\n[verify.sample]"), "set base in [verify]"),
        (
            ("[verify.sample]", "[[verify.roles]]\nname = 'x'\nrole = 'prm'\nbase = 'b'\n\n[verify.sample]"),
            'all weights of a PRM are trained: method = "full"',
        ),
        (("[verify.sample]", "[verify.policy]\nfiltered = 'later'\n\n[verify.sample]"), 'unknown filtered "later"'),
        (
            ("[verify.sample]", f"{BEAM}separator = ''\n[verify.sample]"),
            "verifiers.separator is the text between two steps",
        ),
        (("[verify.sample]\nn = 3", f"{BEAM}[verify.sample]\nn = 1\ntemperature = 0.0"), "need a temperature above 0"),
        ((GENERATOR, f"[verify.candidates]\ntest = 'x.jsonl'\n{BEAM}"), "needs a [verify.generator] to write them"),
        (("[verify.sample]", BEAM.replace("steps", "toolv", 1) + "[verify.sample]"), 'verifier of role prm "toolv"'),
        (("[verify.sample]", BEAM.replace("reward", "width = 0\nreward") + "[verify.sample]"), "have to be at least 1"),
        (
            ("[verify.sample]", f"{OTHER}temperature = 0.8\n\n[verify.sample]"),
            "who answers once answers greedily",
        ),
    ],
)
def test_what_is_wrong_with_a_recipe_is_one_clear_line(recipe, change, words):
    recipe.write_text(recipe.read_text().replace(*change, 1))
    with pytest.raises(RecipeError) as caught:
        load_recipe(recipe)
    assert str(caught.value).startswith(str(recipe))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", sorted((ROOT / "recipes/verify").glob("*.toml")), ids=lambda p: p.name)
def test_the_recipes_of_verification_can_be_read(path):
    read = load_recipe(path).verify
    assert read.verifiers
    assert set(filter(None, (read.listen.verifier, read.listen.plain, read.listen.reward))) <= {
        j.name for j in read.verifiers
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rescore", "gone.jsonl"], "No such file"),
        (["rescore", "c.jsonl", "--methods", "median"], "no selection is called"),
        (["rescore", "c.jsonl", "--budgets", "5"], "a budget of 5 is not between 1 and 2"),
        (["rescore", "c.jsonl", "--methods", "verifier"], '"verifier" needs verdicts'),
        (["rescore", "c.jsonl", "--reward", "prm"], 'no verifier is called "prm"'),
        (["rescore", "ungraded.jsonl"], "has no gold answer"),
        (["curve", "c.jsonl", "--out", "c.png"], "ends in .html, .md, .svg or .json"),
        (["theory", "--p", "1.5"], "are probabilities"),
        (["sample", "gone.toml"], "No such file"),
    ],
)
def test_bad_input_is_one_line(arguments, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    row = {"problem": "1 + 1?", "answer": "2", "candidates": [{"answer": "2"}, {"answer": "3"}]}
    (tmp_path / "c.jsonl").write_text(json.dumps(row))
    (tmp_path / "ungraded.jsonl").write_text(json.dumps({**row, "answer": None}))
    assert main(["verify", *arguments]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert len(said.splitlines()) == 1


@pytest.mark.skipif(not GSM8K.exists(), reason=f"{GSM8K} is not there")
def test_real_solutions_are_scored_in_one_command(capsys):
    told = json.loads(
        run(
            capsys, "rescore", GSM8K, "--limit", 100, "--check", "calculations", "--methods", "majority,verifier,pass",
            "--budgets", "1,2,4", "--resamples", 200,
        )
    )  # fmt: skip
    assert list(told["methods"]) == ["majority", "verifier", "pass"]
    cells = {m: {n: c["accuracy"] for n, c in f["budgets"].items()} for m, f in told["methods"].items()}
    assert cells["majority"]["1"] == cells["pass"]["1"]
    assert cells["majority"]["4"] < cells["pass"]["4"]
    assert cells["pass"]["1"] < cells["pass"]["2"] < cells["pass"]["4"]
    assert told["marks"]["n_our_grader_differs"] == 0
    assert told["verifiers"]["calculations"]["n"] == 400


# --- curves -----------------------------------------------------------------------------------------------------------


def pool(i: int, family: str) -> Pool:
    found = []
    for k in range(4):
        right = (i + k) % 3 == 0
        said = (
            Judgement("toolv", "code", (Verdict.TRUE if right else Verdict.FALSE,), n_prompt_tokens=5, n_new_tokens=10),
            Judgement("prm", "prm", scores=(0.5, 0.8 if right else 0.3), n_prompt_tokens=9, n_new_tokens=0),
        )
        found.append(Solution("s", "1" if right else str(k + 2), right, said, (3, 20)))
    return pool_of(Problem(f"p{i}", "q", "1", "math", family), found, "small")


POOLS = [pool(i, f"f{i % 2}") for i in range(12)]


def test_costs_of_a_budget_are_those_of_the_stages_it_needs():
    costs = Costs({"generator": 1000, "toolv": 500, "prm": 100}, {"generator": 0.5, "toolv": 0.25})
    told = curve("c", POOLS, ScoreSettings(n_resamples=50), costs)
    cost = {m: {n: c["cost"] for n, c in f["budgets"].items()} for m, f in told["methods"].items()}
    assert cost["majority"]["4"] == {"tokens": 80, "flops": 4 * 2 * 1000 * 23, "seconds": 2.0}
    assert cost["first"]["4"]["tokens"] == 20  # however many there are, one is enough
    assert cost["verifier"]["2"] == {"tokens": 60, "flops": 2 * (2000 * 23 + 1000 * 15), "seconds": 1.5}
    assert cost["verifier-weighted"]["2"]["tokens"] == 60
    assert cost["verifier-weighted"]["2"]["seconds"] is None  # nobody told how long the PRM took
    assert told["verifiers"]["toolv"]["families"].keys() == {"f0", "f1"}
    assert set(told["verifiers"]) == {"toolv", "prm", "toolv × prm"}
    unknown = curve("c", POOLS, ScoreSettings(n_resamples=50), Costs())
    assert unknown["methods"]["majority"]["budgets"]["4"]["cost"]["flops"] is None


def test_the_page_is_whole_and_loads_nothing():
    told = curve("<script>alert(1)</script>", POOLS, ScoreSettings(n_resamples=50), Costs({"generator": 1e6}, {}))
    page = render([told])
    assert "<script" not in page
    assert not re.search(r"(src|href)=", page)

    class Tags(HTMLParser):
        open: list[str] = []  # noqa: RUF012
        figures = 0

        def handle_starttag(self, tag, attrs):
            self.figures += tag == "svg"
            if tag != "meta":
                self.open.append(tag)

        def handle_endtag(self, tag):
            assert self.open.pop() == tag

    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    # Against candidates for wide and narrow pages, tokens, two families; verdicts by family; and for the verifier, the
    # reward model and both together a matrix.
    assert tags.figures == 6 + 3
    assert "NaN" not in page


def test_stored_costs_are_found_beside_the_file(tmp_path, capsys):
    write_pools(tmp_path / "c.jsonl", POOLS)
    (tmp_path / "c.costs.json").write_text('{"n_parameters": {"generator": 10, "toolv": null}, "seconds": {}}')
    told = json.loads(run(capsys, "curve", tmp_path / "c.jsonl", "--resamples", 50))["curves"][0]
    assert told["methods"]["majority"]["budgets"]["1"]["cost"]["flops"] == 2 * 10 * 23
    assert told["name"] == "c"
    (tmp_path / "c.costs.json").write_text("[]")
    assert main(["verify", "curve", str(tmp_path / "c.jsonl")]) == 2


def test_sums_and_the_theory_from_the_command_line(tmp_path, capsys):
    write_pools(tmp_path / "sums.jsonl", sums(10))
    told = json.loads(run(capsys, "rescore", tmp_path / "sums.jsonl", "--check", "calculations", "--resamples", 20))
    assert (told["verifiers"]["calculations"]["tp"], told["verifiers"]["calculations"]["tn"]) == (5, 5)
    rows = json.loads(run(capsys, "theory", "--p", 0.9, "--q", 0.8, "--n", 1, 4))
    assert [(r["n"], round(r["formula"], 4)) for r in rows] == [(1, 0.5), (4, 0.8242)]


# --- while somebody waits ---------------------------------------------------------------------------------------------


def test_several_trajectories_are_judged_and_one_wins():
    problem = Problem("ask", "What is 6 times 7?", "")
    replies = iter(["Answer: 41", "Answer: 41", "Answer: 42", "I cannot say."])

    def reply(request):
        said = request.messages[-1].content
        if "Proposed solution" not in said:
            return next(replies)
        return f"```py\nprint(6 * 7 == {re.search('Answer: ([0-9]+)', said)[1]})\n```"

    async def solve(model, name):
        return await chain_of_thought(model, problem, load_prompt("standard"), RolloutSettings(), trace_id=name)

    with Environment() as environment:
        choosing = Choosing(4, Kit(environment))
        found = asyncio.run(choosing.answer(Scripted(reply, batch_size=1), problem, solve, RolloutSettings(), 0))
    assert found.trace.answer == "42"
    assert found.choice.reason == "1 of 1 votes, 1 of 1 by weight"
    assert explain(found) == [
        "  1. 41  [4 false; out]",
        "  2. 41  [4 false; out]",
        "* 3. 42  [4 true; weight 1]",
        "  4. no answer  [not judged; out]",
        "  chosen: 1 of 1 votes, 1 of 1 by weight",
    ]


WORDS = ["It lies on the Rhine.\nAnswer: the Rhine", "It lies on the Elbe.\nAnswer: the Elbe"]


@pytest.mark.parametrize(
    ("tries", "kind", "chosen"),
    [
        (["Answer: 2", "Answer: 1/2", "Answer: 0.5"], None, "1/2"),  # two of three, by value
        (["Answer: 2", "Answer: 1/2", "Answer: 0.5"], "short", "2"),  # one each
        ([*WORDS, WORDS[1]], None, "the Rhine"),  # words are held against documents
        ([*WORDS, WORDS[1]], "math", "the Elbe"),
    ],
)
def test_answers_are_compared_and_checked_by_what_they_are(tries, kind, chosen):
    problem = Problem("ask", "Where does Bonn lie?", "")
    replies = iter(tries)

    def reply(request):
        system, said = request.messages[0].content, request.messages[-1].content
        if "list the facts" in system:
            return f"Claim: {said.rpartition('solution:')[2].split('Answer')[0].strip()}"
        if "look claims up" in system:
            return "Search: Bonn"
        if "compare a claim" in system:
            return f"It lies on the Rhine. -> {'contradicted' if 'Elbe' in said else 'supported'}"
        return "```py\nprint(True)\n```" if "Proposed solution" in said else next(replies)

    async def solve(model, name):
        return await chain_of_thought(model, problem, load_prompt("standard"), RolloutSettings(), trace_id=name)

    with Environment() as environment:
        kit = Kit(environment, build_retriever("bm25", [Passage("Bonn", "Bonn lies on the Rhine.")]))
        choosing = Choosing(len(tries), kit, kind=kind)
        model = Scripted(reply, batch_size=1)
        found = asyncio.run(choosing.answer(model, problem, solve, RolloutSettings(), 0))
    assert found.trace.answer == chosen


def test_sampling_that_stops_waits_for_the_first_answers():
    """What nobody of the first batch answers is no question of words: the batch that does says how it is checked."""
    problem, asked = Problem("ask", "What is 6 times 7?", ""), []
    replies = iter(["I cannot say."] * 2 + ["Answer: 42", "Answer: 42.0"] + ["Answer: 41"] * 4)

    def reply(request):
        said = request.messages[-1].content
        asked.append(said)
        return next(replies) if "Proposed solution" not in said else "```py\nprint(True)\n```"

    async def solve(model, name):
        return await chain_of_thought(model, problem, load_prompt("standard"), RolloutSettings(), trace_id=name)

    with Environment() as environment:
        kit = Kit(environment, build_retriever("bm25", [Passage("Bonn", "Bonn lies on the Rhine.")]))
        choosing = Choosing(6, kit, stop=StopSettings(batch=2))
        found = asyncio.run(choosing.answer(Scripted(reply, batch_size=1), problem, solve, RolloutSettings(), 0))
    assert (found.trace.answer, len(found.traces), found.most) == ("42", 4, 6)
    assert not any("Claim" in said for said in asked)
    assert explain(found)[-1].endswith("(stopped after 4 of 6)")


def test_local_weights_sample_and_judge_the_same_after_a_kill(recipe, tmp_path, capsys):
    """In lockstep batches, with a tiny model of random weights: what was cut short ends as what was not."""
    base = save_checkpoint(tmp_path / "base", hidden=16, context=512)
    table = f'model = "local"\npath = "{base}"\ndevice = "cpu"\nbatch_size = 2\n'
    text = re.sub(r'model = "scripted"\nreplies = .*\n', table, recipe.read_text())
    text = re.sub(r"model = \{ .* \}\n", "model = { " + table.strip().replace("\n", ", ") + " }\n", text)
    recipe.write_text(text.replace("k = 2", "k = 2\nmax_new_tokens = 6").replace("n = 3", "n = 3\nmax_new_tokens = 12"))
    runs = [recipe, "--runs", tmp_path / "runs"]
    file = Path(run(capsys, "sample", *runs).strip())
    sampled = file.read_bytes()
    traces = [t for p in read_pools(file) for t in p.traces]
    assert len({t.solution for t in traces}) > 3  # every sample has a seed of its own
    assert all(t.usage.n_new_tokens > 0 and t.usage.n_prompt_tokens > 0 for t in traces)
    run(capsys, "judge", *runs, "--verifier", "toolv")
    judged = read_pools(file)
    assert json.loads(file.with_suffix(".costs.json").read_text())["n_parameters"]["toolv"] > 1000

    for path, stage in ((file, "sample"), (file.with_name("judge-toolv.jsonl"), "judge")):
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
        run(capsys, stage, *runs, *(["--verifier", "toolv"] if stage == "judge" else []))
        assert file.read_bytes() == sampled
        assert read_pools(file) == judged
