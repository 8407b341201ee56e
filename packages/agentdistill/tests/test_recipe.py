"""Recipes: defaults, types, names and lines; and that what is shown is what is run."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentdistill.cli import main
from agentdistill.errors import RecipeError
from agentdistill.recipe import Recipe, load_recipe, recipe_from_json, student_name

SMALLEST = (
    '[problems]\ntrain = "q.jsonl"\n[teacher]\nurl = "http://x/v1"\nname = "t"\n[student]\nbase = "owner/Small-0.5B"\n'
)


def load(folder: Path, text: str) -> Recipe:
    path = folder / "mine.toml"
    path.write_text(text)
    return load_recipe(path)


def test_the_smallest_recipe_has_the_papers_settings(tmp_path: Path) -> None:
    recipe = load(tmp_path, SMALLEST)
    assert recipe.name == "mine"
    assert (recipe.teacher.model, recipe.collect.max_steps, recipe.tools.k) == ("endpoint", 5, 3)
    train = recipe.train
    assert (train.lora_rank, train.lora_alpha, train.learning_rate, train.epochs) == (64, 128, 2e-4, 2)
    assert recipe.filter.keep == ("right_answer", "no_parse_error", "within_steps")
    assert student_name(recipe.students[0]) == "Small-0.5B"


def test_student_or_students(tmp_path: Path) -> None:
    many = SMALLEST.replace("[student]", "[[students]]")
    assert load(tmp_path, many).students == load(tmp_path, SMALLEST).students
    with pytest.raises(RecipeError, match="not both"):
        load(tmp_path, many + "[student]\nbase = 'x'\n")


def test_a_corpus_may_have_several_sources(tmp_path: Path) -> None:
    several = load(tmp_path, SMALLEST + "[tools]\nsearch = ['a.csv', 'b.json']\npassage_chars = 300\n")
    assert (several.tools.search, several.tools.passage_chars) == (("a.csv", "b.json"), 300)
    assert load(tmp_path, SMALLEST + "[tools]\nsearch = 'a.csv'\n").tools.search == "a.csv"
    assert recipe_from_json(json.loads(json.dumps(dataclasses.asdict(several))), tmp_path / "recipe.json") == several


def test_training_by_thought_may_differ(tmp_path: Path) -> None:
    recipe = load(tmp_path, SMALLEST + "[train]\nepochs = 3\nbatch_size = 4\n[train.cot]\nepochs = 5\n")
    assert recipe.train_cot is not None
    assert (recipe.train.epochs, recipe.train_cot.epochs, recipe.train_cot.batch_size) == (3, 5, 4)
    assert load(tmp_path, SMALLEST).train_cot is None


def test_a_student_may_be_trained_in_its_own_way(tmp_path: Path) -> None:
    own = "[train]\nepochs = 3\nbatch_size = 4\n[train.cot]\nepochs = 5\n[student.train]\nbatch_size = 2\n"
    recipe = load(tmp_path, SMALLEST + own)
    (student,) = recipe.students
    assert student.train is not None
    assert student.train_cot is not None
    assert (student.train.epochs, student.train.batch_size) == (3, 2)
    assert (student.train_cot.epochs, student.train_cot.batch_size) == (5, 2)
    assert recipe.train.batch_size == 4
    for wrong in ("train = 3\n" + SMALLEST + "[student.train]\nepochs = 2\n", SMALLEST + "train = 3\n"):
        with pytest.raises(RecipeError, match="train"):
            load(tmp_path, wrong)


@pytest.mark.parametrize(
    ("add", "why"),
    [
        ("[train.cot]\nepoch = 5", r'mine.toml:10: unknown key "epoch" in \[train.cot\]; did you mean "epochs"'),
        ("[train]\nschedule = 'cosin'", r'mine.toml:9: unknown schedule "cosin"; did you mean "cosine"'),
        ("[train]\nlearning_rate = true", "learning_rate has to be a number, got True"),
        ("[collect]\nmax_steps = 1.5", r"mine.toml:9: max_steps has to be a whole number, got 1.5"),
        ("[collect]\nmax_steps = 0", r"mine.toml:9: max_steps has to be at least 1"),
        ("[collect]\nsamples = 4", r"mine.toml:9: samples above 1 need a temperature"),
        ("[collect]\ntemperature = nan", r"mine.toml:8: temperature has to be"),
        ("[collect]\ncompare_prefix = 1", r"compare_prefix has to be true or false, got 1"),
        ("[collect]\ntop_p = 0", r"top_p above 0"),
        ("[evaluate]\nbatch_size = 0", r"mine.toml:9: batch_size has to be at least 1"),
        ("[evaluate]\nteacher = ['agent-distill']", r'mine.toml:9: "agent-distill" is for students'),
        ("[evaluate]\nteacher = ['cot', 'cot']", r'mine.toml:9: method "cot" is there twice'),
        ("[evaluate]\nteacher = 'cot'", r"mine.toml:9: teacher has to be a list"),
        ("[evaluate]\nteacher = ['cot-rag']", r'mine.toml:9: method "cot-rag" needs passages: name a corpus'),
        ("[sandbox]\nwall_s = 0", r"mine.toml:8: wall_s and memory_mb have to be above 0"),
        ("[tools]\nk = 0", r"mine.toml:9: k has to be at least 1"),
        ("[tools]\npassage_chars = 0", r"mine.toml:9: passage_chars has to be at least 1"),
        ("[tools]\nsearch = []", r"mine.toml:9: search names no corpus"),
        ("[tools]\nsearch = ['a.json', '']", r"mine.toml:9: search names no corpus"),
        ("[tools]\nsearch = ['a.json', 3]", r"mine.toml:9: search has to be text, got 3"),
        ("[tools]\nsearch = 3", r"mine.toml:9: search has to be text, got 3"),
        ("[tools]\nserach = 'x'", r'mine.toml:9: unknown key "serach" in \[tools\]; did you mean "search"'),
        ("[filter]\nkeep = [1]", r"mine.toml:9: keep has to be text, got 1"),
        ("[problems.fields]\nquestion = 3", r"mine.toml:9: question has to be text, got 3"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, add: str, why: str) -> None:
    extra = "[train]\n" if add.startswith("[train.cot]") else ""
    with pytest.raises(RecipeError, match=why) as e:
        load(tmp_path, SMALLEST + extra + add + "\n")
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('[problems]\ntrain = "q.jsonl"', "", r"mine.toml: no \[problems\] table, for example with train = "),
        ("[teacher]", "[teachr]", r'mine.toml:3: unknown key "teachr"; did you mean "teacher"'),
        ('train = "q.jsonl"', "", r'mine.toml:1: \[problems\] needs "train"'),
        ("base = ", "bass = ", r'mine.toml:7: unknown key "bass" in \[student\]; did you mean "base"'),
        ("[problems]\n", "problems = 3\n[problem]\n", r"mine.toml:1: problems has to be a table, got 3"),
        ("[problems]\n", "jobs = 0\n[problems]\n", r"mine.toml:1: jobs has to be at least 1"),
        ("[problems]\n", "style = 'tiny'\n[problems]\n", r'mine.toml:1: "style" is now called "prompt"$'),
        ("[problems]\n", "seed = -1\n[problems]\n", r"mine.toml:1: seed has to be from 0"),
        ("[problems]\n", "name = '..'\n[problems]\n", r"mine.toml:1: name \"..\" has to be letters"),
        ("[problems]\n", "name = 'a.old-1'\n[problems]\n", r"mine.toml:1: name"),
        ("base = ", "name = 'a/b'\nbase = ", r"mine.toml:7: name \"a/b\" has to be letters"),
        ("base = ", "methods = ['agent', 'agent']\nbase = ", r'mine.toml:7: method "agent" is there twice'),
        ("base = ", "methods = ['cot-distill-rag']\nbase = ", r"mine.toml:7: method .* needs passages"),
        ("url = ", "ulr = ", r'mine.toml:4: unknown key "ulr" in \[teacher\]; did you mean "url"'),
        ('name = "t"', "name = 5", r"mine.toml:5: name has to be text, got 5"),
        ("[teacher]", "[[teacher]]", r"mine.toml:3: \[\[teacher\]\] has to be written \[teacher\]"),
        (
            "[student]",
            "[[student]]",
            r"mine.toml:6: \[\[student\]\] has to be written \[student\], or \[\[students\]\]",
        ),
        ("[student]", "[students]", r"mine.toml:6: \[students\] has to be written \[\[students\]\]"),
    ],
)
def test_what_is_wrong_in_its_tables(tmp_path: Path, old: str, new: str, why: str) -> None:
    assert old in SMALLEST
    with pytest.raises(RecipeError, match=why):
        load(tmp_path, SMALLEST.replace(old, new))


def test_the_line_is_the_right_students(tmp_path: Path) -> None:
    two = SMALLEST.replace("[student]", "[[students]]") + '[[students]]\nbase = "other"\nmethods = ["agnt"]\n'
    with pytest.raises(RecipeError, match=r'mine.toml:10: unknown method "agnt"; did you mean "agent"'):
        load(tmp_path, two)
    with pytest.raises(RecipeError, match=r'two students are called "other"; give them names'):
        load(tmp_path, two.replace("agnt", "agent") + '[[students]]\nbase = "x/other"\n')
    with pytest.raises(RecipeError, match=r'a student cannot be called "teacher"'):
        load(tmp_path, SMALLEST + "name = 'teacher'\n[evaluate]\nteacher = ['cot']\n")


def test_not_toml(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"mine.toml: not TOML: .*line 1"):
        load(tmp_path, "[problems\n")
    (tmp_path / "latin.toml").write_bytes(b'name = "\xff"')
    with pytest.raises(RecipeError, match="not UTF-8"):
        load_recipe(tmp_path / "latin.toml")


RECIPES = sorted((Path(__file__).parents[3] / "recipes").glob("*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_every_recipe_that_ships_is_whole(path: Path) -> None:
    assert load_recipe(path).students


def shown(path: Path) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(["recipe", "show", str(path)]) == 0
    return out.getvalue()


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6), st.text('ab"\\\n#\x7fé')
    ),
    st.sampled_from(["", "[train]\nepochs = 3\n[train.cot]\nepochs = 4\n"]),
    st.integers(1, 9),
)
@settings(max_examples=30, deadline=None)
def test_what_is_shown_is_a_recipe_and_the_same(
    tmp_path_factory: pytest.TempPathFactory, replies: dict[str, str], train: str, k: int
) -> None:
    folder = tmp_path_factory.getbasetemp()
    teacher = '[teacher]\nmodel = "scripted"\n[teacher.replies]\n'
    teacher += "".join(f"{toml(key)} = {toml(value)}\n" for key, value in replies.items())
    recipe = load(folder, f"[problems]\ntrain = 'q.jsonl'\n[student]\nbase = 'b'\n[tools]\nk = {k}\n{train}{teacher}")
    assert recipe.teacher.settings["replies"] == replies
    (folder / "mine.toml").write_text(shown(folder / "mine.toml"))
    assert load_recipe(folder / "mine.toml") == recipe


def toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def test_a_run_keeps_its_recipe(tmp_path: Path) -> None:
    recipe = load(tmp_path, SMALLEST)
    data: Any = json.loads(json.dumps(dataclasses.asdict(recipe)))
    assert recipe_from_json(data, tmp_path / "recipe.json") == recipe
    with pytest.raises(RecipeError, match=r'recipe\.json: unknown key "jbs"; did you mean "jobs"'):
        recipe_from_json({**data, "jbs": 2}, tmp_path / "recipe.json")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (["train.epochs=none"], r"""^--set "train.epochs=none": epochs has to be a whole number, got 'none'$"""),
        (["trian.epochs=1", "seed=2"], r'^--set "trian.epochs=1": unknown key "trian"; did you mean "train"'),
        (["seed=2", "collect.samples=3"], r'^--set "collect.samples=3": samples above 1 need a temperature'),
        (["students=3"], r'^--set "students=3": give either'),
    ],
)
def test_what_is_wrong_with_a_change_is_told_of_it(tmp_path: Path, changes: list[str], why: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(SMALLEST)
    with pytest.raises(RecipeError, match=why):
        load_recipe(path, changes)
    path.write_text(SMALLEST.replace("[teacher]", "[teachr]"))
    with pytest.raises(RecipeError, match=r'mine.toml:3: unknown key "teachr"'):
        load_recipe(path, ["seed=2"])


def test_settings_given_beside_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(SMALLEST)
    changes = ["train.epochs=3", "problems.limit_test = 50", "prompt=tiny", "student.base=x/y", "train.cot.epochs=4"]
    recipe = load_recipe(path, changes)
    assert (recipe.train.epochs, recipe.problems.limit_test, recipe.prompt) == (3, 50, "tiny")
    assert recipe.students[0].base == "x/y"
    assert recipe.train_cot is not None
    assert recipe.train_cot.epochs == 4
    assert load_recipe(path).train.epochs == 2


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("train.epochs", "write TABLE.KEY=VALUE"),
        (".epochs=1", "write TABLE.KEY=VALUE"),
        ("train.epoch=1", 'unknown key "epoch"'),
        ("train.epochs=many", "epochs"),
        ("prompt.name=x", "prompt has to be text"),
        ("teacher.url.port=1", '"url" is no table'),
    ],
)
def test_bad_settings_beside_the_file(tmp_path: Path, change: str, why: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(SMALLEST)
    with pytest.raises(RecipeError, match=why) as e:
        load_recipe(path, [change])
    assert "\n" not in str(e.value)


VERIFY = """[problems]
test = "q.jsonl"
[verify]
methods = ["majority"]
budgets = [1, 4]
[verify.generator]
model = "local"
path = "x"
[verify.sample]
n = 4
temperature = 0.5
[verify.listen]
verifier = "sums"
[[verify.others]]
name = "other"
model = { model = "local", path = "x" }
[[verify.verifiers]]
name = "sums"
role = "calculations"
"""


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('name = "sums"', 'name = "../sums"', r'mine.toml:18: name "../sums" has to be letters'),
        ('name = "other"', 'name = "a/b"', r'mine.toml:15: name "a/b" has to be letters'),
        ('verifier = "sums"', 'verifier = "sum"', r'mine.toml:13: unknown verifier "sum"; did you mean "sums"'),
        ('verifier = "sums"', 'plain = "y"', r'mine.toml:13: unknown verifier "y" \(there are: sums\)'),
        ('"majority"', '"majorty"', r'mine.toml:4: unknown method "majorty"; did you mean "majority"'),
        ('"majority"', '"weighted"', r'mine.toml:4: method "weighted" needs a verifier: add one of role genrm or prm'),
        ('"majority"', '"two-stage"', r'mine.toml:4: method "two-stage" needs a verifier: add one of role cot'),
        ("[1, 4]", "[0, 4]", r"mine.toml:5: a budget of 0 is not between 1 and 4"),
        ("[1, 4]", "[1, 5]", r"mine.toml:5: a budget of 5 is not between 1 and 4, the n of \[verify.sample\]"),
    ],
)
def test_what_verification_cannot_do_is_told_before_sampling(tmp_path: Path, old: str, new: str, why: str) -> None:
    assert load(tmp_path, VERIFY).verify is not None
    with pytest.raises(RecipeError, match=why):
        load(tmp_path, VERIFY.replace(old, new, 1))


def test_candidates_that_are_there_may_hold_other_judgements(tmp_path: Path) -> None:
    text = VERIFY.replace("[verify.sample]", "[verify.candidates]\ntest = 'traces.jsonl'\n[verify.sample]")
    text = text.replace('verifier = "sums"', 'verifier = "theirs"').replace("[1, 4]", "[1, 64]")
    assert load(tmp_path, text.replace("majority", "weighted")).verify is not None
