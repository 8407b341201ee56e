"""The documentation is run: its examples, the docstrings' examples, and the tables of settings against the code."""

from __future__ import annotations

import dataclasses
import doctest
import importlib
import inspect
import json
import os
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from chat_server import scripted_server
from doc_blocks import Block, blocks, commands, shows
from tiny_models import save_checkpoint

import agentdistill
from agentdistill import recipe
from agentdistill.cli import main
from agentdistill.models import loader
from agentdistill.recipe import load_recipe, methods
from agentdistill.store import read_traces

ROOT = Path(__file__).parents[3]
SOURCE = Path(agentdistill.__file__).parent
PAGES = sorted((*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "packages/agentdistill/README.md"))
# Blocks that are not run, page by page. Each says why in its source; a new one has to be counted here.
NOT_RUN = Counter(
    {"README.md": 5, "CONTRIBUTING.md": 1, "docs/tinyworld.md": 1, "docs/serving.md": 2}
    | {"docs/tutorial.md": 2, "docs/on-policy.md": 2, "docs/retrieval.md": 1, "docs/real.md": 1, "docs/sandbox.md": 3}
    | {"docs/exchange.md": 1}
)
SHOWN_ONLY = {"text", "layers", "path", "tree", "markdown", "math", "mermaid"}
DOCTESTS = sorted(p for p in SOURCE.rglob("*.py") if ">>> " in p.read_text(encoding="utf-8"))
# The teacher of the tutorial. (part of the system prompt, part of the question) -> its turns.
AGENT, COT = "writing Python", "thinking step by step"
TEACHER = {
    (AGENT, "12 lamps"): ("Thought: I need the price.\nCode:\n```py\nfinal_answer(12 * price('lamp'))\n```",),
    (COT, "12 lamps"): ("A lamp costs 19 euros.\n\n12 * 19 = 228\n\nAnswer: 228",),
    (AGENT, "3 stools"): (
        "Thought: Both prices first.\nCode:\n```py\ntotal = 3 * price('stools')\n```",
        "Thought: It is called a stool.\nCode:\n```py\nfinal_answer(3 * price('stool') + price('lamp'))\n```",
    ),
    (COT, "3 stools"): ("A stool costs 35 euros.\n\nAnswer: 124",),
    (AGENT, "lathe"): (
        "Thought: I search.\nCode:\n```py\nprint(search('who looks after the lathe'))\n```",
        "Thought: There it is.\nCode:\n```py\nfinal_answer('Ida Brandt')\n```",
    ),
    (COT, "lathe"): ("I do not know for sure.\n\nAnswer: Ida Brandt",),
    (AGENT, "kiln"): (
        "Thought: I search.\nCode:\n```py\nprint(search('kiln room'))\n```",
        "Thought: There it is.\nCode:\n```py\nfinal_answer('B12')\n```",
    ),
    (COT, "kiln"): ("Fumes need a room of their own.\n\nAnswer: B12",),
}


@pytest.fixture
def surroundings(tmp_path):
    """A folder to run a page in, its environment, and what stands in for the network."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, module in (("agentdistill", " -m agentdistill"), ("python", "")):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}"{module} "$@"\n')
        program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "200"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(SOURCE.parent), os.environ.get("PYTHONPATH"))))
    folder = tmp_path / "page"
    folder.mkdir()
    with scripted_server(TEACHER) as url:
        checkpoint = tmp_path / "models" / "Qwen2.5-0.5B-Instruct"
        stand_ins = {"http://localhost:8000/v1": url, "Qwen/Qwen2.5-0.5B-Instruct": str(checkpoint)}
        yield folder, environment, stand_ins, checkpoint


def with_stand_ins(text: str, stand_ins: dict[str, str]) -> str:
    for name, value in stand_ins.items():
        text = text.replace(name, value)
    return text


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p)], ids=lambda p: str(p.relative_to(ROOT)))
def test_examples_of_the_page_run(page, surroundings, monkeypatch):
    folder, environment, stand_ins, checkpoint = surroundings
    found = [b for b in blocks(page) if b.skip is None]
    if any("$ agentdistill run" in b.text for b in found):
        save_checkpoint(checkpoint, "qwen2_5", context=1000)  # two turns or so: it never answers anyway
    monkeypatch.chdir(folder)
    names: dict[str, object] = {"__name__": "page"}
    for block in found:
        run_block(block, page, with_stand_ins(block.text, stand_ins), folder, environment, names)
    if page.name == "tutorial.md":
        check_the_tutorials_run(folder / "runs/workshop")


def check_the_tutorials_run(run: Path) -> None:
    """The teacher's every answer is right by its script, the prefix included; both students learned and were tested."""
    for name in ("agent", "agent-prefix", "cot"):
        collected = read_traces(run / "collect" / name / "traces.jsonl")
        assert [t.correct for t in collected] == [True] * 4, name
        assert all(bool(t.steps[0].reply.prefix) == (name == "agent-prefix") for t in collected), name
        assert len(read_traces(run / "filter" / name / "traces.jsonl")) == 4, name
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    assert {e["method"]: e["average"]["n"] for e in report["evaluations"]} == {
        "agent": 2, "agent-distill-prefix": 2, "cot-distill": 2,
    }  # fmt: skip
    assert len(report["training"]) == 2
    assert not report["warnings"]


def run_block(block: Block, page: Path, text: str, folder: Path, environment: dict, names: dict) -> None:
    where = f"{page.name}:{block.line}"
    if block.language == "toml":
        tomllib.loads(text)
    if block.file is not None:
        path = folder / block.file
        assert path.resolve().is_relative_to(folder), where
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    elif block.language == "python":
        exec(compile("\n" * block.line + text, str(page), "exec"), names)
    elif block.language == "console":
        for command in commands(text):
            run = subprocess.run(
                ["bash", "-o", "pipefail", "-c", command.line],
                cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                text=True, timeout=240,
            )  # fmt: skip
            said = run.stdout
            assert run.returncode == 0, f"{where}: {command.line}\n{said[-4000:]}"
            assert shows(said, command.shown), f"{where}: {command.line} did not show {command.shown}:\n{said}"
    elif block.language == "json":
        json.loads(text)
    else:
        assert block.language in SHOWN_ONLY | {"toml"}, f"{where}: nothing here runs {block.language!r}"


def test_blocks_that_are_not_run_are_counted():
    skipped = Counter(str(p.relative_to(ROOT)) for p in PAGES for b in blocks(p) if b.skip is not None)
    assert skipped == NOT_RUN


def test_every_shell_block_runs_or_says_why_not():
    """A block in a language that no test runs would be an example without a test."""
    for page in PAGES:
        for block in blocks(page):
            assert block.language in SHOWN_ONLY | {"python", "console", "toml", "json"}, f"{page.name}:{block.line}"


def test_output_that_is_not_there_is_seen():
    assert shows("a\nb c\nd", ("a", "...c", "d"))
    assert shows("x  y", ("x y",))
    assert not shows("a\nb", ("b", "a"))
    assert commands("$ a \\\n  b\nc\n$ d") == [*commands("$ a  b\nc"), *commands("$ d")]


@pytest.mark.parametrize("path", DOCTESTS, ids=lambda p: str(p.relative_to(SOURCE)))
def test_examples_of_the_docstrings_run(path, tmp_path, monkeypatch):
    name = ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")
    module = importlib.import_module(name)
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.attempted > 0 or "+SKIP" in path.read_text(encoding="utf-8")
    assert result.failed == 0


# --- the tables of settings -------------------------------------------------------------------------------------------


def section(page: str, heading: str) -> str:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"{page} has no section {heading}"
    return found[1]


def rows(text: str) -> dict[str, str]:
    """First and second cell of every table row whose first cell is code."""
    return {m[1]: m[2].strip("`") for m in re.finditer(r"^\| `([\w-]+)` \| (.*?) \|", text, re.MULTILINE)}


def written(value: object) -> str:
    """A default as TOML writes it."""
    return "not set" if value is None else json.dumps(value)


def test_the_page_of_keys_is_what_the_command_prints(capsys):
    assert main(["recipe", "keys"]) == 0
    assert capsys.readouterr().out == (ROOT / "docs" / "keys.md").read_text(encoding="utf-8")


def test_every_key_of_a_recipe_says_what_it_means():
    told, known = recipe.meanings(), recipe.tables()
    assert told.keys() == known.keys()
    for table, settings in known.items():
        inside = "" if table == "top level" else f"{table}."
        inner = {name.removeprefix(inside) for name in known if name.startswith(inside)}
        not_written = {"students", "train_cot", "settings"}
        assert told[table].keys() == {f.name for f in dataclasses.fields(settings)} - inner - not_written, table


def test_every_flag_of_a_method_is_told_of_with_what_it_is_for():
    told = rows(section("recipes.md", "Methods"))
    for flag, loops in told.items():
        names = [name for name in methods.NAMES if flag in name]
        assert {name.split("-")[0] for name in names} == ({"agent", "cot"} if loops == "both" else {loops})
    assert {f"-{flag}" for name in methods.NAMES for flag in name.split("-")[1:]} == told.keys()


@pytest.mark.parametrize("kind", ["endpoint", "gguf", "local", "scripted"])
def test_the_table_of_models_holds_every_setting(kind):
    told = rows(section("models.md", f"`{kind}`").split("\n### ")[0])
    known = inspect.signature(loader(kind)).parameters
    assert told.keys() == known.keys()
    for name, p in known.items():
        assert told[name] == ("needed" if p.default is p.empty else written(p.default)), name


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").glob("*.toml")), ids=lambda p: p.name)
def test_the_recipes_can_be_read(path):
    assert load_recipe(path).students


def test_names_in_the_pages_are_names_in_the_code():
    for page in PAGES:
        for name in re.findall(r"`agentdistill\.([\w.]+)`", page.read_text(encoding="utf-8")):
            found, missing = resolve(f"agentdistill.{name}")
            assert not missing, f"{page.name}: {found} has no {missing}"


def resolve(name: str) -> tuple[str, str]:
    """The longest part of a dotted name that is there, and the rest."""
    parts = name.split(".")
    for n in range(len(parts), 0, -1):
        try:
            value: object = importlib.import_module(".".join(parts[:n]))
        except ModuleNotFoundError:
            continue
        for i, part in enumerate(parts[n:], n):
            if not hasattr(value, part):
                return ".".join(parts[:i]), part
            value = getattr(value, part)
        return name, ""
    return "", name


def test_links_between_pages_lead_somewhere():
    for page in (*PAGES, *ROOT.glob("students/*/README.md")):
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_modules_that_the_page_for_contributors_names_are_there():
    named = re.findall(r"`([\w/]+\.py)`", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    assert named
    assert [name for name in named if not any((place / name).exists() for place in (SOURCE, SOURCE.parents[1]))] == []


def test_files_of_tests_that_the_makefile_names_are_there():
    named = re.findall(r"(?:[\w]+/)*test_\w+\.py", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert named
    there = [path.as_posix() for path in ROOT.glob("packages/*/tests/**/test_*.py")]
    assert [name for name in named if not any(path.endswith(f"/{name}") for path in there)] == []
