"""The arrows between modules run one way, as docs/architecture.md draws them, and importing anything stays light."""

from __future__ import annotations

import ast
import asyncio
import functools
import inspect
import json
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, FrameType

import pytest

import agentdistill as ad
from agentdistill.loop import rollout
from agentdistill.models.scripted import Scripted
from agentdistill.types import Message, Problem, Request, Sample, Trace

SOURCE = Path(ad.__file__).parent
DRAWING = Path(__file__).parents[3] / "docs" / "architecture.md"
HEAVY = ("torch", "transformers", "trl", "datasets", "openai", "peft", "accelerate", "sympy", "sentence_transformers",
         "reasoning_gym")  # fmt: skip


def name_of(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(path): path for path in sorted(SOURCE.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8"), str(path)) for name, path in FILES.items()}
PUBLIC = [n for n in FILES if not re.search(r"\._", n) and ".sandbox.inside" not in n and not n.endswith("__main__")]


def layers() -> dict[str, int]:
    """The drawing's modules and the line each stands on."""
    drawing = re.search(r"```layers\n(.*?)```", DRAWING.read_text(encoding="utf-8"), re.DOTALL)
    assert drawing, f"{DRAWING} has no block of layers"
    return {name: i for i, line in enumerate(drawing[1].splitlines()) for name in line.split()}


def imports_of(name: str) -> set[str]:
    """Every module of ours that ``name`` imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = name.split(".") if FILES[name].name == "__init__.py" else name.split(".")[:-1]
                base = ".".join([*package[: len(package) - node.level + 1], *([base] if base else [])])
            found |= {full if (full := f"{base}.{a.name}") in FILES else base for a in node.names}
    return {f for f in found if f.split(".")[0] == "agentdistill"}


def place_of(name: str, drawn: dict[str, int]) -> str:
    """What a module is called in the drawing: its own name, or that of the nearest package which is drawn."""
    short = name.removeprefix("agentdistill.")
    while short not in drawn and "." in short:
        short = short.rpartition(".")[0]
    return short


def upward(drawn: dict[str, int], found: dict[str, set[str]]) -> list[str]:
    """Imports that do not point to a line above."""
    wrong = []
    for name, targets in found.items():
        place = place_of(name, drawn)
        for target in targets:
            there = place_of(target, drawn)
            if place == there or not {place, there} <= drawn.keys():
                continue  # the package itself, or a module that the first test misses
            if drawn[there] >= drawn[place]:
                wrong.append(f"{name} imports {target}")
    return wrong


def test_every_module_has_its_place_in_the_drawing():
    drawn = layers()
    places = {place_of(n, drawn) for n in FILES} - {"agentdistill", "__main__"}
    assert places - drawn.keys() == set()
    assert drawn.keys() - places == set(), "drawn, but there is no such module"


def test_every_file_has_its_line_in_the_tree():
    block = re.search(r"```tree\n(.*?)```", DRAWING.read_text(encoding="utf-8"), re.DOTALL)
    assert block, f"{DRAWING} has no tree"
    told: list[str] = []
    above: list[str] = []
    for indent, name, about in re.findall(r"^( *)(\S+) *(.*)$", block[1], re.MULTILINE):
        above = [*above[: len(indent) // 2], name.rstrip("/")]
        if name.endswith(".py"):
            told.append("/".join(above))
            assert about, f"{told[-1]} has no words"
    packages = DRAWING.parents[1] / "packages"
    sources = [packages / name / "src" for name in ("agentdistill", "anyrig")]
    there = [path.relative_to(source).as_posix() for source in sources for path in source.rglob("*.py")]
    assert sorted(told) == sorted(there), "write it anew with: python experiments/house.py --tree"


def test_imports_point_one_way():
    assert upward(layers(), {n: imports_of(n) for n in FILES}) == []


@pytest.mark.parametrize(
    ("name", "target"), [("types", "store"), ("loop", "pipeline.collect"), ("models.local", "cli")]
)
def test_an_arrow_the_other_way_would_be_seen(name, target):
    assert upward(layers(), {f"agentdistill.{name}": {f"agentdistill.{target}"}})


def test_types_errors_and_sandbox_import_nothing_of_ours():
    for name in FILES:
        if name in ("agentdistill.types", "agentdistill.errors"):
            assert imports_of(name) == set()
        if name.startswith("agentdistill.sandbox"):
            assert {i for i in imports_of(name) if not i.startswith("agentdistill.sandbox")} == set(), name


def test_no_plugin_is_imported_by_name():
    named = re.compile(r"^\s*(from|import) tinyworld\b", re.MULTILINE)
    assert [name for name, tree in TREES.items() if named.search(ast.unparse(tree))] == []


def test_stages_meet_through_files():
    stages = {f"agentdistill.pipeline.{s}" for s in ("collect", "filtering", "training", "evaluating")}
    assert stages <= FILES.keys()
    for name in stages:
        assert imports_of(name) & stages == set(), name


def test_every_function_says_what_it_returns():
    silent = [
        f"{name}:{node.lineno} {node.name}"
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is None
    ]
    assert silent == []


def test_every_module_and_everything_public_has_a_docstring():
    def bare(owner: ast.Module | ast.ClassDef, name: str) -> list[str]:
        out = [] if ast.get_docstring(owner) else [name]
        for node in owner.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name[0] != "_":
                out += bare(node, f"{name}.{node.name}") if isinstance(node, ast.ClassDef) else []
                out += [f"{name}.{node.name}"] if not ast.get_docstring(node) else []
        return out

    assert [b for name in PUBLIC for b in dict.fromkeys(bare(TREES[name], name))] == []


def test_nothing_is_done_at_import():
    """Modules define and assign. What a statement could do besides (a bare call, a loop) is not there."""
    definitions = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    plain = (*definitions, ast.Assign, ast.AnnAssign, ast.AugAssign)
    doing = []
    for name, tree in TREES.items():
        if ".sandbox.inside" in name:
            continue  # runs in the sandboxed child, whose start is its business
        for node in tree.body:
            docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            guarded = isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "__name__ == '__main__'")
            if not (isinstance(node, plain) or docstring or guarded):
                doing.append(f"{name}:{node.lineno} {ast.unparse(node)[:60]}")
    assert doing == []


def modules_after(code: str) -> set[str]:
    """The top-level names of what a fresh interpreter has imported once ``code`` has run."""
    listing = "\nimport json, sys; print('\\n' + json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"
    run = subprocess.run([sys.executable, "-c", code + listing], capture_output=True, text=True, check=True)
    return set(json.loads(run.stdout.splitlines()[-1]))


def test_importing_every_public_module_loads_no_deep_learning_library():
    loaded = modules_after("import importlib\n" + "\n".join(f"importlib.import_module({n!r})" for n in PUBLIC))
    assert "agentdistill" in loaded
    assert loaded & set(HEAVY) == set()


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"]])
def test_help_loads_the_standard_library_and_nothing_else(arguments):
    """What makes help quick, told by what it imports: seconds would tell of the machine."""
    code = f"""
from agentdistill.cli import main
try:
    main({arguments!r})
except SystemExit as e:
    assert not e.code, e.code
"""
    extra = modules_after(code) - modules_after("pass") - set(sys.stdlib_module_names)
    assert extra == {"agentdistill"}


# --- the way of a problem ---

MOVES, CLIMBS = 9, 2


class Watcher:
    """Notes each call from one module of the drawing to another that carries a problem, or what was made of one, from
    the call of ``ad.collect`` until the first trace is back from the loop. Each pair of modules is noted once."""

    def __init__(self, question: str, replies: Sequence[str]) -> None:
        self.moves: list[tuple[str, str]] = []
        self._texts = (question, *replies)
        self._drawn = layers()
        self._sent: dict[CodeType, str] = {}  # what goes to another thread, and from where
        self._arrived = False

    def __enter__(self) -> Watcher:
        threading.setprofile(self._event)
        sys.setprofile(self._event)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        threading.setprofile(None)

    def _event(self, frame: FrameType, event: str, value: object) -> None:
        if event == "return" and frame.f_code is rollout.__code__ and isinstance(value, Trace):
            self._arrived = True
        if event != "call" or self._arrived:
            return
        if frame.f_code is asyncio.to_thread.__code__:
            target = frame.f_locals["func"]
            self._sent[getattr(target, "__func__", target).__code__] = self._place(frame.f_back)
        there = self._place(frame)
        code = frame.f_code
        n_given = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & inspect.CO_VARARGS)
        given = [frame.f_locals.get(name) for name in code.co_varnames[:n_given]]
        if there in ("", "types") or not self._carries(given):
            return
        move = (self._caller(frame), there)
        if move[0] not in ("", there) and move not in self.moves:
            self.moves.append(move)

    def _caller(self, frame: FrameType) -> str:
        """The place of the nearest caller of ours; the event loop, which goes on with what waited, is none."""
        back = frame.f_back
        while back is not None and not self._place(back):
            if back.f_globals.get("__name__") == "asyncio.events":
                return ""
            back = back.f_back
        return self._sent.get(frame.f_code, "") if back is None else self._place(back)

    def _place(self, frame: FrameType | None) -> str:
        name = "" if frame is None else frame.f_globals.get("__name__", "")
        return place_of(name, self._drawn) if name.startswith("agentdistill.") else ""

    def _carries(self, value: object, depth: int = 4) -> bool:
        if isinstance(value, Problem | Message | Request | Sample | Trace):
            return True
        if isinstance(value, str):
            return len(value) > 3 and any(value in text for text in self._texts)
        if isinstance(value, functools.partial):
            value = (value.func, *value.args, *value.keywords.values())
            depth += 2  # a partial of a partial
        return depth > 0 and isinstance(value, list | tuple) and any(self._carries(v, depth - 1) for v in value)


def twice(text: str) -> str:
    """The text twice."""
    return text + text


def test_a_problem_takes_the_way_that_is_drawn():
    question = "Which word is written twice?"
    replies = ["Thought: I ask.\nCode:\n```py\nprint(twice('echo'))\n```", "Code:\n```py\nfinal_answer('echo')\n```"]
    model, tool = Scripted(replies), ad.Tool.of(twice)
    ad.collect(Scripted(replies), [Problem("q", question, "echo")], tools=[tool])  # loads what is loaded at first use
    with Watcher(question, replies) as watcher:
        [trace] = ad.collect(model, [Problem("q", question, "echo")], tools=[tool])
    assert trace.correct
    assert trace.steps[0].tool_calls
    block = re.search(r"```path\n(.*?)```", DRAWING.read_text(encoding="utf-8"), re.DOTALL)
    assert block
    assert re.findall(r"^(\S+) -> (\S+)", block[1], re.MULTILINE) == watcher.moves
    drawn = layers()
    climbs = [move for move in watcher.moves if drawn[move[1]] > drawn[move[0]]]
    assert len(watcher.moves) <= MOVES
    assert len(climbs) <= CLIMBS, climbs
