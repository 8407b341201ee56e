"""``sandbox doctor``."""

from __future__ import annotations

import argparse


def add(parser: argparse.ArgumentParser, verb: str) -> None:
    """Declare the arguments."""
    parser.add_argument("what", choices=("doctor",), help="say which layers hold here")
    parser.add_argument("rest", nargs=argparse.REMAINDER, help="options of the command, --json for instance")


def main(args: argparse.Namespace) -> int:
    """Hand over to the sandbox's own command."""
    from agentdistill.sandbox import doctor

    return doctor.main(args.rest)
