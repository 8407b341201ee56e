"""Plug-ins of every kind from outside the tree: installed packages, files and modules; and what is refused."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import agentdistill as ad
from agentdistill import registry, scorers
from agentdistill.cli import main
from agentdistill.environment import Environment
from agentdistill.errors import DataError, UserError
from agentdistill.exchange.readers import find_reader, read_drafts
from agentdistill.filters import filter_traces
from agentdistill.models.weights import locate
from agentdistill.problems import load_problems
from agentdistill.recipe import load_recipe
from agentdistill.retrieval import Passage, build_retriever
from agentdistill.scorers.rescore import read_answered
from agentdistill.store import read_traces, write_jsonl
from agentdistill.tools import search_tool
from agentdistill.types import End, Trace
from agentdistill.verify.verifiers import Kit, VerifierSettings, load_verifier

EXAMPLE = Path(__file__).parents[3] / "examples" / "plugin"
RECIPE = """
name = "roman"
prompt = "roman"
[problems]
train = "roman:train:12"
test = "roman:test:8"
[teacher]
model = "roman-clerk"
[tools]
functions = "to_roman"
search = "passages.jsonl"
retriever = "first"
[filter]
keep = ["right_answer", "one_step"]
[train]
method = "full"
epochs = 1
batch_size = 8
threads = 1
[student]
base = "roman:0.1M"
methods = ["agent-distill"]
[evaluate]
teacher = ["agent"]
max_new_tokens = 20
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> dict[str, str]:
    """An environment in which pip has installed the example package."""
    folder = tmp_path_factory.mktemp("plugin")
    shutil.copytree(EXAMPLE, folder / "source")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(folder / "site"), str(folder / "source")], check=True)
    paths = [str(folder / "site"), str(Path(ad.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    weights = str(Path(locate("tinyworld:0.1M")).parent)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "ROMAN_WEIGHTS": weights}


def run(environment: dict[str, str], *arguments: str, cwd: Path | None = None) -> str:
    command = [sys.executable, "-m", "agentdistill", *arguments]
    done = subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_example_brings_one_of_each_in_less_than_150_lines(installed):
    listed = json.loads(run(installed, "plugins", "--json"))
    ours = [row for row in listed if row["package"] == "agentdistill-roman"]
    assert [row["kind"] for row in ours] == list(registry.NOUNS)
    assert not any(row["fault"] for row in listed)
    assert sum(len(p.read_text().splitlines()) for p in EXAMPLE.iterdir() if p.is_file()) < 150


def test_a_recipe_runs_on_plugins_alone(installed, tmp_path):
    (tmp_path / "recipe.toml").write_text(RECIPE)
    (tmp_path / "passages.jsonl").write_text('{"title": "Rome", "text": "MCM is a number."}\n')
    run(installed, "run", "recipe.toml", cwd=tmp_path)
    report = json.loads((tmp_path / "runs" / "roman" / "report.json").read_text())
    assert "teacher" in json.dumps(report)
    traces = [json.loads(line) for line in (tmp_path / "runs/roman/collect/agent/traces.jsonl").open()]
    assert len(traces) == 12
    assert {t["score"]["grader"] for t in traces if t["score"]["correct"]} == {"roman"}
    assert traces[3]["answer"] == "IV"


def test_the_readers_and_verifiers_of_a_package_are_found(installed):
    code = """
import asyncio
from agentdistill.exchange.readers import find_reader, read_drafts
from agentdistill.verify import solved
from agentdistill.verify.verifiers import VerifierSettings, Kit, load_verifier
from agentdistill import Problem
named = find_reader("roman:book:3", "agent")
print(len(list(read_drafts(named, "agent"))), sorted(named.digests()))
judge = load_verifier(VerifierSettings(name="j", role="roman", model={"model": "roman-clerk"}), Kit())
problem = Problem("1", "?", "IV")
[check] = asyncio.run(judge.check(None, problem, solved(problem, "so", "IV")))
print(check.verdict)
"""
    done = subprocess.run([sys.executable, "-c", code], env=installed, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["3 ['roman']", "true"]


@pytest.fixture
def mine(tmp_path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(
        "def close(prediction, answer, aliases):\n    return abs(float(prediction) - float(answer)) <= 1\n"
        "def short_ones(trace):\n    return len(trace.steps) < 2\n"
        "def riddles(split):\n    from agentdistill import Problem\n"
        "    return [Problem(f'{split}-{i}', f'{i}?', str(i)) for i in range(4)]\n"
        "def twice(x: float) -> float:\n    'Twice x.'\n    return 2 * x\n"
    )
    return path


def trace(kind: str = "short", n_steps: int = 0) -> Trace:
    problem = ad.Problem("p", "How many?", "7", kind)
    return Trace("t", problem, "agent", "m", (), (), End.ANSWERED, "8", ad.Score(True, "8", kind))


def test_a_scorer_in_a_file(mine):
    score = scorers.score(f"{mine}:close", "8", "7")
    assert (score.correct, score.grader) == (True, f"{mine}:close")
    assert not scorers.score(f"{mine}:close", "9", "7").correct
    assert not scorers.score(f"{mine}:close", None, "7").correct


def test_a_filter_in_a_file(mine):
    kept, counts = filter_traces([trace()], ["right_answer", f"{mine}:short_ones"])
    assert (len(kept), counts["kept"]) == (1, 1)


def test_a_task_in_a_file_and_its_split(mine):
    assert [p.id for p in ad.load_problems(f"{mine}:riddles:train", 2)] == ["train-0", "train-1"]
    assert ad.load_problems(f"{mine}:riddles")[0].id == "test-0"


def test_an_object_in_a_module():
    assert registry.load("filters", "agentdistill.filters:within_steps")(trace())


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("filters", "right_anser", 'unknown filter "right_anser"; did you mean "right_answer"?'),
        ("scorers", "maths", 'unknown scorer "maths"; did you mean "math"?'),
        ("models", "xyz", 'unknown model kind "xyz" (there are: endpoint, gguf, local, scripted)'),
        ("filters", "nowhere.py:keep", "nowhere.py: no such Python file"),
        ("filters", "agentdistill.filters:nothing", "agentdistill.filters:nothing: cannot be loaded: AttributeError"),
        (
            "filters",
            "no_such_package:keep",
            'no module "no_such_package" (is it installed, or below the working directory?)',
        ),
    ],
)
def test_what_is_not_there_is_told_in_one_line(kind, name, said):
    with pytest.raises(UserError) as caught:
        registry.load(kind, name)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


@pytest.fixture
def without_packages(monkeypatch):
    """As if no package that brings plug-ins were installed."""
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: ())
    registry.plugins.cache_clear()
    yield
    registry.plugins.cache_clear()


@pytest.mark.parametrize(
    ("what", "use"),
    [
        ('task "tinyworld"', lambda: ad.load_problems("tinyworld:train:2")),
        ('task "tinyworld"', lambda: ad.load_corpus("tinyworld")),
        ('prompt template "tiny"', lambda: ad.load_prompt("tiny")),
        ('weights "tinyworld"', lambda: locate("tinyworld:0.3M")),
    ],
)
def test_without_tinyworld_the_message_says_how_to_install_it(without_packages, what, use):
    with pytest.raises(UserError) as caught:
        use()
    way_out = "in a checkout of agentdistill: pip install ./packages/tinyworld"
    assert str(caught.value) == f"{what}: not installed; {way_out}"


def test_results_on_tinyworld_are_keyed_by_name_alone():
    assert registry.fingerprint("prompts", "tiny") == "tiny"


def test_an_attribute_that_a_file_lacks(mine):
    with pytest.raises(UserError, match='unknown attribute "short_one"; did you mean "short_ones"'):
        registry.load("filters", f"{mine}:short_one")


def test_a_file_that_raises(tmp_path):
    (tmp_path / "bad.py").write_text("raise RuntimeError('no\\nluck')")
    with pytest.raises(UserError, match=r"bad\.py: cannot be loaded: RuntimeError: no luck$"):
        registry.load("filters", f"{tmp_path / 'bad.py'}:keep")


def test_a_changed_file_is_another_filter(mine):
    before = registry.fingerprint("filters", f"{mine}:short_ones")
    mine.write_text(mine.read_text().replace("< 2", "< 3"))
    assert registry.fingerprint("filters", f"{mine}:short_ones") != before
    assert registry.fingerprint("filters", "right_answer") == "right_answer"


LAB = {
    "models.py": """
def load(**settings):
    from agentdistill import load_model
    return load_model("scripted", replies={"How many?": "```python\\nfinal_answer(7)\\n```"})
""",
    "scorers.py": "def same(prediction, answer, aliases):\n    return prediction == answer\n",
    "filters.py": "def keep(trace):\n    return True\n",
    "retrievers.py": "from agentdistill.retrieval.bm25 import build as find\n",
}
LAB_RECIPE = """
[problems]
train = "q.jsonl"
kind = "{lab}scorers{end}:same"
[teacher]
model = "{lab}models{end}:load"
[tools]
search = "passages.jsonl"
retriever = "{lab}retrievers{end}:find"
[collect]
compare_prefix = false
[filter]
keep = ["{lab}filters{end}:keep"]
[student]
base = "x"
methods = ["agent-distill"]
"""


def lab(folder: Path, form: str) -> None:
    """A recipe of plug-ins of every kind in the working directory, each named as a module's or as a file's."""
    (folder / "lab").mkdir()
    for name, text in LAB.items():
        (folder / "lab" / name).write_text(text)
    names = {"lab": "lab.", "end": ""} if form == "module" else {"lab": "lab/", "end": ".py"}
    (folder / "r.toml").write_text(LAB_RECIPE.format(**names))
    (folder / "q.jsonl").write_text('{"question": "How many?", "answer": "7"}\n')
    (folder / "passages.jsonl").write_text('{"title": "Rome", "text": "MCM is a number."}\n')


@pytest.mark.parametrize("form", ["module", "file"])
def test_what_an_edited_plugin_made_is_made_again(tmp_path, form):
    lab(tmp_path, form)
    environment = dict(os.environ)
    collect, keep = ("collect", "r.toml"), ("filter", "r.toml")
    run(environment, *collect, cwd=tmp_path)
    traces = tmp_path / "runs" / "r" / "collect" / "agent" / "traces.jsonl"
    kept = traces.parents[2] / "filter" / "agent" / "traces.jsonl"
    first = traces.stat().st_ino
    run(environment, *collect, cwd=tmp_path)
    assert traces.stat().st_ino == first
    for name in ("models.py", "scorers.py", "retrievers.py"):
        (tmp_path / "lab" / name).write_text(LAB[name] + "# edited\n")
        run(environment, *collect, cwd=tmp_path)
        assert traces.stat().st_ino != first, name
        first = traces.stat().st_ino
    run(environment, *keep, cwd=tmp_path)
    first_kept = kept.stat().st_ino
    (tmp_path / "lab" / "filters.py").write_text(LAB["filters.py"] + "# edited\n")
    run(environment, *keep, cwd=tmp_path)
    assert kept.stat().st_ino != first_kept


COUNTING = """
def load(**settings):
    from agentdistill import load_model
    return load_model("scripted", replies=say)
def say(request):
    with open("asked", "a") as f:
        f.write("once\\n")
    return "```python\\nfinal_answer(7)\\n```\\n\\nAnswer: 7"
"""
VERIFY_RECIPE = """
[problems]
test = "q.jsonl"
kind = "lab/scorers.py:same"
[verify.generator]
model = "lab/models.py:load"
[verify.sample]
n = 2
"""


@pytest.mark.parametrize(
    ("command", "n", "made"),
    [(["collect"], 1, "collect/agent"), (["verify", "sample"], 2, "test")],
)
def test_an_edited_scorer_scores_again_and_asks_nothing(tmp_path, monkeypatch, command, n, made):
    monkeypatch.chdir(tmp_path)
    lab(tmp_path, "file")
    (tmp_path / "lab" / "models.py").write_text(COUNTING)
    if command[0] == "verify":
        (tmp_path / "r.toml").write_text(VERIFY_RECIPE)
    traces, scorer = tmp_path / "runs" / "r" / made / "traces.jsonl", tmp_path / "lab" / "scorers.py"
    assert main([*command, "r.toml"]) == 0
    assert [t.correct for t in read_traces(traces)] == [True] * n
    text = scorer.read_text()
    for edited, right in ((text.replace("==", "!="), False), (text + "# as before", True)):
        scorer.write_text(edited)
        assert main([*command, "r.toml"]) == 0
        assert [t.correct for t in read_traces(traces)] == [right] * n
        scored = traces.stat().st_ino
        assert len((tmp_path / "asked").read_text().splitlines()) == n
    if command[0] == "collect":
        assert main([*command, "r.toml"]) == 0
        assert traces.stat().st_ino == scored


BROKEN = """
number = 3
def raising(*given, **settings):
    raise AttributeError("no\\nluck")
def nothing(*given, **settings):
    return None
class Finds:
    corpus = "c"
    def __init__(self, found):
        self.found = found
    def search(self, query, k):
        return self.found()
    def search_many(self, queries, k):
        return [self.found() for _ in queries]
def raises_when_searched(passages, cache=None, **settings):
    return Finds(raising)
def finds_texts(passages, cache=None, **settings):
    return Finds(lambda: ["text"])
class Speaks:
    name, batch_size, lockstep, context_length = "m", 1, False, None
    async def generate(self, requests):
        return raising()
    async def aclose(self):
        pass
def raises_when_asked(**settings):
    return Speaks()
class Read:
    SPLITS = {"all": ["cot"]}
    @staticmethod
    def drafts(split, path, method):
        yield raising()
class Sized:
    sizes = staticmethod(lambda: ["1"])
    locate = staticmethod(lambda size: raising())
class Library:
    problems = staticmethod(lambda split: [])
    corpus = staticmethod(lambda split: ["text"])
class Checks:
    def __init__(self, settings, kit):
        self.settings = settings
    async def check(self, policy, problem, candidate):
        return [raising()] if self.settings.k == 1 else ["so"]
def empty(split):
    return []
def rows(split):
    return [{"question": "?"}]
"""


def search(retriever):
    tool = search_tool(build_retriever(retriever, [Passage("t", "x")]))
    with Environment([tool], mode="process") as environment:
        return environment.open().run("try:\n    search('x')\nexcept Exception:\n    pass")


def check(role, k):
    verifier = load_verifier(VerifierSettings(name="v", role=role, model={"model": "scripted"}, k=k), Kit())
    return asyncio.run(verifier.check(None, trace().problem, trace()))


def ask(kind):
    return ad.collect(ad.load_model(kind), [trace().problem], prompt="compact")


@pytest.mark.parametrize(
    ("use", "said"),
    [
        (lambda f: filter_traces([trace()], [f"{f}:raising"]), 'filter "{f}:raising": AttributeError: no luck'),
        (lambda f: filter_traces([trace()], [f"{f}:number"]), 'filter "{f}:number": is of type int, and has to be a'),
        (lambda f: scorers.score(f"{f}:raising", "1", "2"), 'scorer "{f}:raising": AttributeError: no luck'),
        (lambda f: scorers.score(f"{f}:nothing", "1", "2"), 'scorer "{f}:nothing": returned None, and has to'),
        (lambda f: scorers.score(f"{f}:number", "1", "2"), 'scorer "{f}:number": is of type int, and has to be a'),
        (lambda f: ad.load_problems(f"{f}:raising"), 'task "{f}:raising": AttributeError: no luck'),
        (lambda f: ad.load_problems(f"{f}:nothing"), 'task "{f}:nothing": TypeError'),
        (lambda f: ad.load_problems(f"{f}:empty"), 'task "{f}:empty": gave no problems'),
        (lambda f: ad.load_problems(f"{f}:rows"), 'task "{f}:rows": gave a dict, and has to give Problems'),
        (lambda f: ad.load_problems(f"{f}:number"), 'task "{f}:number": is of type int, and has to be a function'),
        (lambda f: ad.load_model(f"{f}:raising"), 'model kind "{f}:raising": AttributeError: no luck'),
        (lambda f: ad.load_model(f"{f}:nothing"), 'model kind "{f}:nothing": gave a NoneType, no Model'),
        (lambda f: ad.load_model(f"{f}:number"), 'model kind "{f}:number": is of type int, and has to be a function'),
        (
            lambda f: search(f"{f}:raises_when_searched"),
            'retriever "{f}:raises_when_searched": AttributeError: no luck',
        ),
        (lambda f: search(f"{f}:finds_texts"), 'retriever "{f}:finds_texts": gave a str, and has to give Passages'),
        (lambda f: check(f"{f}:Checks", 1), 'verifier "{f}:Checks": AttributeError: no luck ({f}:4)'),
        (lambda f: check(f"{f}:Checks", 2), 'verifier "{f}:Checks": gave a str, and has to give Checks'),
        (lambda f: ask(f"{f}:raises_when_asked"), 'model kind "{f}:raises_when_asked": AttributeError: no luck'),
        (
            lambda f: list(read_drafts(find_reader(f"{f}:Read:all", "cot"), "cot")),
            'trajectory reader "{f}:Read": Attrib',
        ),
        (lambda f: locate(f"{f}:Sized:1"), 'weights "{f}:Sized": AttributeError: no luck'),
        (lambda f: ad.load_corpus(f"{f}:Library"), 'task "{f}:Library": gave a str, and has to give Passages'),
        (lambda f: locate(f"{f}:number:1"), 'weights "{f}:number": is of type int, and has to be an object with sizes'),
    ],
)
def test_a_broken_plugin_is_named_in_one_line(tmp_path, use, said):
    (tmp_path / "broken.py").write_text(BROKEN)
    with pytest.raises(UserError) as caught:
        use(tmp_path / "broken.py")
    assert str(caught.value).startswith(said.format(f=tmp_path / "broken.py"))
    assert "\n" not in str(caught.value)


def test_a_run_with_a_broken_scorer_stops_in_one_line(tmp_path):
    lab(tmp_path, "file")
    (tmp_path / "lab" / "scorers.py").write_text("def same(prediction, answer, aliases):\n    return answer.nothing\n")
    command = [sys.executable, "-m", "agentdistill", "collect", "r.toml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith('agentdistill: scorer "lab/scorers.py:same": AttributeError: ')
    assert "Traceback" not in done.stderr


def test_the_command_finds_modules_below_the_working_directory(tmp_path):
    lab(tmp_path, "module")
    code = "import sys; from agentdistill.cli import main; sys.path.remove(''); sys.exit(main(sys.argv[1:]))"
    show = [sys.executable, "-c", code, "recipe", "show", "r.toml"]
    done = subprocess.run(show, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(tmp_path / "lab")
    done = subprocess.run(show, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert 'no module "lab.' in done.stderr
    assert "below the working directory?)" in done.stderr


FAILING = """
from agentdistill.verify import Check, Verdict
def find(passages, cache=None):
    return Finds()
class Finds:
    corpus = "c"
    def search(self, query, k):
        return [] if query != "third" else [].nothing
class Checks:
    def __init__(self, settings, kit):
        pass
    async def check(self, policy, problem, candidate):
        return (Check("so", Verdict.TRUE),) if problem.question != "third" else None
def say(request):
    word = next(w for w in ("first", "second", "third", "fourth") if w in request.messages[-1].content)
    return f"```python\\nfinal_answer(search({word!r}))\\n```\\nAnswer: 7"
def load(**settings):
    from agentdistill import load_model
    return load_model("scripted", replies=say, batch_size=1)
"""
FAILING_RECIPE = """
[problems]
train = "q.jsonl"
test = "q.jsonl"
contamination = "report"
[teacher]
model = "failing.py:load"
[tools]
search = "passages.jsonl"
retriever = "failing.py:find"
[collect]
compare_prefix = false
[student]
base = "tinyworld:0.1M"
methods = ["agent-distill"]
[verify.generator]
model = "failing.py:load"
[verify.sample]
n = 1
[[verify.verifiers]]
name = "mine"
role = "failing.py:Checks"
model = { model = "failing.py:load" }
"""


def test_what_was_done_before_a_plugin_failed_is_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "failing.py").write_text(FAILING)
    (tmp_path / "r.toml").write_text(FAILING_RECIPE)
    (tmp_path / "passages.jsonl").write_text('{"title": "Rome", "text": "MCM is a number."}\n')
    rows = [{"id": word, "question": word, "answer": "7"} for word in ("first", "second", "third", "fourth")]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["collect", "r.toml"]) == 2
    [*_, line] = capsys.readouterr().err.splitlines()
    assert line.startswith('agentdistill: retriever "failing.py:find": AttributeError: ')
    assert line.endswith("failing.py:8)")
    kept = read_traces(tmp_path / "runs/r/collect/agent/traces.partial.jsonl")
    assert [t.id for t in kept][:2] == ["first", "second"]
    assert main(["verify", "sample", "r.toml"]) == 0
    assert main(["verify", "judge", "r.toml"]) == 2
    [*_, line] = capsys.readouterr().err.splitlines()
    assert line.startswith('agentdistill: verifier "failing.py:Checks": TypeError: ')
    judged = (tmp_path / "runs/r/test/judge-mine.jsonl").read_text().splitlines()
    assert [json.loads(row)["problem"] for row in judged][:2] == ["first", "second"]


DRIVER = """
import pickle, sys
from functools import partial
from pathlib import Path
from agentdistill import registry
from agentdistill.pipeline.collect import asking
from agentdistill.pipeline.run import Run
from agentdistill.recipe import load_recipe
registry.look_in(Path.cwd())
work = partial(asking, Run(load_recipe(Path("r.toml")), Path.cwd() / "run"), "agent")
sys.stdout.buffer.write(pickle.dumps((registry.looked_in(), work)))
"""
WORKER = """
import pickle, sys
from agentdistill.batching.ray import Worker
folders, work = pickle.load(sys.stdin.buffer)
print(repr(Worker(folders if sys.argv[2] == "told" else ()).load((work, sys.argv[1]))))
"""


def test_a_ray_worker_finds_what_its_driver_finds(tmp_path):
    """Without Ray: what is sent to a worker is pickled here and opened in another process."""
    lab(tmp_path, "module")
    apart = [sys.executable, "-P", "-c"]  # the working directory is not on the path, as in an installed command
    driver = subprocess.run([*apart, DRIVER], cwd=tmp_path, capture_output=True)
    assert driver.returncode == 0, driver.stderr
    for told, said in (("told", "WorkerInfo("), ("untold", "UserError('no module \"lab.")):
        worker = [*apart, WORKER, str(tmp_path), told]
        done = subprocess.run(worker, input=driver.stdout, capture_output=True, cwd=tmp_path.parent)
        assert said in done.stdout.decode(), done.stderr


def test_a_plugin_may_take_any_setting(tmp_path):
    (tmp_path / "p.py").write_text(
        "def load(*rest, **settings):\n    pass\ndef find(passages, cache=None, **settings):\n    pass\n"
    )
    text = f"""
[problems]
train = "tinyworld:train:2"
[teacher]
model = "{tmp_path / "p.py"}:load"
path = "here"
[tools]
search = "tinyworld"
retriever = "{tmp_path / "p.py"}:find"
retriever_settings = {{ depth = 3 }}
[student]
base = "x"
"""
    (tmp_path / "r.toml").write_text(text)
    recipe = load_recipe(tmp_path / "r.toml")
    assert recipe.teacher.settings == {"path": "here"}
    assert recipe.tools.retriever_settings == {"depth": 3}


def test_data_cannot_name_code_to_run(mine, tmp_path):
    """Only the user's recipe and command line may: a downloaded file of questions, predictions or traces may not."""
    kind = f"{mine}:close"
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"question": "How many?", "answer": "7", "prediction": "8", "kind": kind}) + "\n")
    with pytest.raises(DataError, match="unknown scorer"):
        load_problems(rows)
    with pytest.raises(DataError, match="unknown scorer"):
        list(read_answered(rows))
    assert load_problems(rows, kind=kind).problems[0].kind == kind
    write_jsonl(tmp_path / "traces.jsonl", [trace(kind)])
    with pytest.raises(DataError, match="name it as --kind"):
        list(read_answered(tmp_path / "traces.jsonl"))


def test_the_library_is_lazy_and_complete():
    code = "import sys, agentdistill as ad; print(len(sys.modules)); ad.Problem; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[1] == "False"
    for name in ad.__all__:
        assert getattr(ad, name) is not None
        assert name in dir(ad)
    with pytest.raises(AttributeError, match="no attribute 'Problems'"):
        ad.Problems  # noqa: B018


def test_evaluate_and_collect_from_python():
    problems = ad.load_problems("tinyworld:test:2")
    model = ad.load_model(
        "scripted", replies={p.question: f"```python\nfinal_answer({p.answer!r})\n```" for p in problems}
    )
    result = ad.evaluate(model, problems, prompt="compact")
    assert result.accuracy.estimate == 1.0
    assert str(result).startswith("100.0% of 16 right")
    kept = ad.collect(model, problems, prompt="compact", samples=2)
    assert len(kept) == 32
    asyncio.run(model.aclose())
