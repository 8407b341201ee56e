"""``sandbox doctor`` and ``sandbox attack``."""

from __future__ import annotations

import argparse
import importlib


def add(parser: argparse.ArgumentParser, verb: str) -> None:
    """Declare the arguments."""
    parser.add_argument("what", choices=("doctor", "attack"), help="say which layers hold here, or try to break out")
    parser.add_argument("rest", nargs=argparse.REMAINDER, help="options of the command, --json for instance")


def main(args: argparse.Namespace) -> int:
    """Hand over to the sandbox's own command."""
    return int(importlib.import_module(f"agentdistill.sandbox.{args.what}").main(args.rest))
