"""How large the house is: lines, files, rooms, import circles, reaches into another package's private modules, words.

    python experiments/house.py [FOLDER ...] [--json]      FOLDER is a checkout; two stand side by side
    python experiments/house.py --tree                     writes the tree of files into docs/architecture.md

Lines are those of every .py file that is shipped, blank ones and comments included. A room is a module or package
directly below a package. A circle is a set of modules that import one another, imports inside functions and for type
checking included. A reach-in is an import of `a.b._c` from outside `a.b`. A name that means two things is a public
class or type that two modules of one package define, each for itself.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

PACKAGES = ("agentdistill", "anyrig")
GENERATED = ("keys.md", "table.md", "experiments.md", "evaluation.md", "tinyworld-facts.md", "tinyworld-math.md")


def main() -> None:
    """Print one column a checkout."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path, default=[Path(__file__).parents[1]])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--tree", action="store_true")
    args = parser.parse_args()
    if args.tree:
        page = args.folders[0] / "docs" / "architecture.md"
        block = f"```tree\n{tree(args.folders[0])}```"
        page.write_text(re.sub(r"```tree\n.*?```", lambda _: block, page.read_text("utf-8"), flags=re.DOTALL), "utf-8")
        return
    measured = {str(folder): measure(folder) for folder in args.folders}
    if args.json:
        print(json.dumps(measured, indent=2))
        return
    print("| | " + " | ".join(measured) + " |\n|---|" + "--:|" * len(measured))
    for what in next(iter(measured.values())):
        print(f"| {what} | " + " | ".join(f"{m[what]:,}" for m in measured.values()) + " |")


def measure(root: Path) -> dict[str, int]:
    """The figures of a checkout."""
    out: dict[str, int] = {}
    trees = {name: modules(root / "packages" / name / "src" / name) for name in PACKAGES}
    for name, found in trees.items():
        texts = [path.read_text(encoding="utf-8") for path in found.values()]
        out |= {f"{name}: lines": sum(t.count("\n") for t in texts), f"{name}: files": len(texts)}
        out[f"{name}: rooms"] = len({m.split(".")[1] for m in found if m.count(".")} - {"__main__"})
    out["lines of both"] = sum(out[f"{n}: lines"] for n in PACKAGES)
    out["files of both"] = sum(out[f"{n}: files"] for n in PACKAGES)
    graphs = {name: {m: imports(m, path, found) for m, path in found.items()} for name, found in trees.items()}
    out["modules in import circles"] = sum(len(c) for g in graphs.values() for c in circles(g))
    out["imports across an underscore"] = sum(
        reaches_in(m, target) for g in graphs.values() for m, targets in g.items() for target in targets
    )
    out["names that mean two things"] = sum(len(twice(found.values())) for found in trees.values())
    out["words of docs, generated tables apart"] = sum(words(p) for p in pages(root))
    return out


def tree(root: Path) -> str:
    """Every file of both packages, a line each, with what its docstring begins with."""
    out = []
    for name in PACKAGES:
        out.append(f"{name}/")
        source = root / "packages" / name / "src" / name
        for path in sorted(source.rglob("*.py"), key=lambda p: (p.parent != source, p.parent, p.name)):
            folder = path.parent.relative_to(source)
            if path.name == "__init__.py" and path.parent != source:
                out.append(f"{'  ' * len(folder.parts)}{folder.name}/")
            indent = "  " * (1 + len(folder.parts))
            out.append(f"{indent + path.name:<26} {_about(path)}")
    return "\n".join(out) + "\n"


def _about(path: Path) -> str:
    """The first sentence of a module's docstring, up to a comma where it is long."""
    text = " ".join((ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").split("\n\n")[0].split())
    text = re.sub(r":\w+:`~?(?:\w+\.)*(\w+)`", r"\1", text).replace("`", "")
    sentence = re.split(r"(?<! al)\. ", text, maxsplit=1)[0].rstrip(".")
    if len(sentence) > 88:
        ends = [m.start() for m in re.finditer(r"[,;:] | \(", sentence[:90])]
        sentence = sentence[: ends[-1]] if ends else sentence[:88].rsplit(" ", 1)[0]
    return sentence + (")" if sentence.count("(") > sentence.count(")") else "")


def modules(source: Path) -> dict[str, Path]:
    """Every module of a package by its dotted name."""
    found = {}
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(module: str, path: Path, known: dict[str, Path]) -> set[str]:
    """The modules of the same package that one imports, wherever in it."""
    out = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            out |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            base = node.module or ""
            out |= {full if (full := f"{base}.{a.name}") in known else base for a in node.names}
    return (out & known.keys()) - {module}


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """The sets of modules that reach one another, a package's own `__init__` apart: it gathers what lies below it."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        todo = [start]
        while todo:
            for target in graph[todo.pop()]:
                if target not in seen and not start.startswith(target + ".") and not target.startswith(start + "."):
                    seen.add(target)
                    todo.append(target)
        return seen

    from_each = {m: reached(m) for m in graph}
    found: list[set[str]] = []
    for m, targets in from_each.items():
        ring = {t for t in targets if m in from_each[t]}
        if ring and not any(m in c for c in found):
            found.append(ring | {m})
    return found


def reaches_in(module: str, target: str) -> bool:
    """Whether the target is private to a package that the module is not in."""
    parts = target.split(".")
    private = next((i for i, part in enumerate(parts) if part.startswith("_") and not part.startswith("__")), None)
    return private is not None and not f"{module}.".startswith(".".join(parts[:private]) + ".")


def twice(paths: Iterable[Path]) -> set[str]:
    """The public classes and types that more than one of the modules defines."""
    defined: Counter[str] = Counter()
    for path in paths:
        names = set()
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            names |= {t.id for t in targets if isinstance(t, ast.Name)}
            if isinstance(node, ast.ClassDef):
                names.add(node.name)
        defined.update(n for n in names if n[:1].isupper() and not n.isupper())
    return {name for name, n in defined.items() if n > 1}


def pages(root: Path) -> Iterable[Path]:
    """The pages that people are meant to read."""
    found = [*root.glob("*.md"), *root.glob("docs/*.md"), *root.glob("packages/*/*.md")]
    return [p for p in found if p.name not in (*GENERATED, "CHANGELOG.md")]


def words(page: Path) -> int:
    """Words outside of code blocks."""
    return len(re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL).split())


if __name__ == "__main__":
    main()
