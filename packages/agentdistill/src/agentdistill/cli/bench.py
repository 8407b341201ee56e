"""``bench``: benchmarks, each a module of ``agentdistill.bench`` found by its name."""

from __future__ import annotations

import argparse
import importlib
import pkgutil


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
    """Run one benchmark, or all of them."""
    names = sorted(benches()) if args.what == "all" else [args.what]
    return max(int(importlib.import_module(benches()[name]).main(args.rest)) for name in names)
