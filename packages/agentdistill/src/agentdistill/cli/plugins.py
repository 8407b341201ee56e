"""``plugins``: the tasks, models, filters … that are installed, and which package brings each."""

from __future__ import annotations

import argparse
import json


def add(parser: argparse.ArgumentParser, verb: str) -> None:
    """Declare the arguments."""
    from agentdistill.registry import NOUNS

    parser.add_argument("kind", nargs="?", choices=tuple(NOUNS), metavar="KIND", help=f"one of {', '.join(NOUNS)}")
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(args: argparse.Namespace) -> int:
    """Print one line a plug-in; those of packages are imported, and one that cannot be is marked. Status 2 then."""
    from agentdistill.errors import UserError
    from agentdistill.registry import NOUNS, plugins

    rows = []
    for kind in (args.kind,) if args.kind else NOUNS:
        for plugin in plugins(kind).values():
            fault = ""
            if plugin.version:
                try:
                    plugin.load()
                except UserError as e:
                    fault = str(e)
            rows.append({"kind": kind, "name": plugin.name, "package": plugin.package, "version": plugin.version,
                         "target": plugin.target, "fault": fault})  # fmt: skip
    if args.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        width = max((len(r["name"]) for r in rows), default=0)
        for r in rows:
            origin = f"{r['package']} {r['version']}" if r["version"] else "built in"
            print(f"{r['kind']:<11} {r['name']:<{width}}  {origin}" + (f"  BROKEN: {r['fault']}" if r["fault"] else ""))
    return 2 if any(r["fault"] for r in rows) else 0
