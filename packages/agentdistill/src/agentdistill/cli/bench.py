"""``bench``: benchmarks, each a module of ``agentdistill.bench`` found by its name."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys

from agentdistill.errors import UserError


def benches() -> dict[str, str]:
    """Every benchmark's module by its name."""
    import agentdistill.bench as package

    found = {m.name: f"agentdistill.bench.{m.name}" for m in pkgutil.iter_modules(package.__path__) if m.name[0] != "_"}
    return {**found, "sandbox": "agentdistill.sandbox.bench"}


def add(parser: argparse.ArgumentParser, verb: str) -> None:
    """Declare the arguments."""
    parser.add_argument("what", choices=[*sorted(benches()), "all"], help="which benchmark")
    parser.add_argument("rest", nargs=argparse.REMAINDER, help="options of the benchmark, --json for instance")


def main(args: argparse.Namespace) -> int:
    """Run one benchmark, or all of them; of all, those that cannot run here are left out with the reason."""
    if args.what != "all":
        return _run(args.what, args.rest)
    status = 0
    for name in sorted(benches()):
        try:
            status = max(status, _run(name, args.rest))
        except UserError as e:
            print(f"{name}: left out: {e}", file=sys.stderr)
    return status


def _run(name: str, rest: list[str]) -> int:
    return int(importlib.import_module(benches()[name]).main(rest))
