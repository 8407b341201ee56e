"""Imports point one way: a part may import from those before it, and from itself."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "anyrig"
ALLOWED = {
    "errors": set(),
    "rotations": set(),
    "skeleton": {"errors", "rotations"},
    "conform": {"errors", "rotations", "skeleton"},
    "io": {"errors", "rotations", "skeleton", "conform"},
    "augmentation": {"errors", "rotations", "skeleton", "conform"},
    "features": {"errors", "rotations", "skeleton", "conform"},
    "legs": {"rotations", "skeleton", "features"},
    "facing": {"errors", "rotations", "skeleton", "conform", "features"},
    "creatures": {"errors", "rotations", "skeleton", "conform"},
    "model": {"errors", "features", "io"},
    "diffusion": {"errors"},
    "corpus": {"errors", "skeleton", "augmentation", "creatures", "datasets", "features", "io", "model"},
    "training": {"errors", "corpus", "diffusion", "features", "io", "model", "__version__"},
    "generation": {
        "errors",
        "rotations",
        "skeleton",
        "conform",
        "diffusion",
        "facing",
        "features",
        "io",
        "legs",
        "model",
        "starts",
    },
    "datasets": {"errors", "rotations", "skeleton", "conform", "io", "facing", "features", "creatures"},
    "retargeting": {"errors", "rotations", "skeleton", "conform", "facing", "features", "legs"},
    "starts": {"errors", "rotations", "skeleton", "corpus", "creatures", "features", "retargeting"},
    "evaluation": {
        "errors",
        "rotations",
        "skeleton",
        "conform",
        "corpus",
        "creatures",
        "features",
        "generation",
        "io",
        "model",
        "legs",
        "retargeting",
        "starts",
    },
    "studio": {
        "errors",
        "skeleton",
        "conform",
        "corpus",
        "creatures",
        "diffusion",
        "facing",
        "generation",
        "io",
        "model",
        "starts",
    },
    "mmcp": {
        "errors",
        "rotations",
        "skeleton",
        "conform",
        "diffusion",
        "facing",
        "generation",
        "io",
        "model",
        "retargeting",
        "starts",
    },
}
"""Part -> the parts that it may import."""


def files(part):
    path = SOURCE / f"{part}.py"
    return [path] if path.exists() else sorted((SOURCE / part).rglob("*.py"))


def imported(file):
    """The parts of this package that a file imports from, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "anyrig":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("anyrig."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (a.name.split(".")[1] for a in node.names if a.name.startswith("anyrig."))


@pytest.mark.parametrize("part", ALLOWED)
def test_imports_point_one_way(part):
    assert files(part), f"there is no part {part}"
    for file in files(part):
        beyond = set(imported(file)) - ALLOWED[part] - {part}
        assert not beyond, f"{file.relative_to(SOURCE)} imports {sorted(beyond)}"
