"""``completion``: a script for the shell's tab completion."""

from __future__ import annotations

import argparse


def add(parser: argparse.ArgumentParser, verb: str) -> None:
    """Declare the arguments."""
    about = 'for bash: eval "$(agentdistill completion bash)"'
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"), help=about)


def main(args: argparse.Namespace) -> int:
    """Print the script."""
    import shtab

    from agentdistill.cli import build_parser

    print(shtab.complete(build_parser(), args.shell))
    return 0
