"""``plugins``, ``sandbox`` and ``completion``: what is installed, what the sandbox holds, and tab completion."""

from __future__ import annotations

import argparse
import json


def add(parser: argparse.ArgumentParser, verb: str) -> None:
    """Declare the arguments."""
    _COMMANDS[verb][0](parser)


def main(args: argparse.Namespace) -> int:
    """Run the command."""
    return _COMMANDS[args.verb][1](args)


def _add_plugins(parser: argparse.ArgumentParser) -> None:
    from agentdistill.registry import NOUNS

    parser.add_argument("kind", nargs="?", choices=tuple(NOUNS), metavar="KIND", help=f"one of {', '.join(NOUNS)}")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _plugins(args: argparse.Namespace) -> int:
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


def _add_sandbox(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=("doctor",), help="say which layers hold here")
    parser.add_argument("rest", nargs=argparse.REMAINDER, help="options of the command, --json for instance")


def _sandbox(args: argparse.Namespace) -> int:
    """Hand over to the sandbox's own command."""
    from agentdistill.sandbox import doctor

    return doctor.main(args.rest)


def _add_completion(parser: argparse.ArgumentParser) -> None:
    about = 'for bash: eval "$(agentdistill completion bash)"'
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"), help=about)


def _completion(args: argparse.Namespace) -> int:
    """Print the script."""
    import shtab

    from agentdistill.cli import build_parser

    print(shtab.complete(build_parser(), args.shell))
    return 0


_COMMANDS = {
    "plugins": (_add_plugins, _plugins),
    "sandbox": (_add_sandbox, _sandbox),
    "completion": (_add_completion, _completion),
}
