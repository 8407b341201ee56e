"""The command line. Every verb is one module here, ``cli/<verb>.py``, with ``add(parser)`` and ``main(args) -> int``.

Nothing heavy is imported before a verb runs, so that ``--help`` stays quick.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import partial

from anyrig import __version__
from anyrig.errors import AnyrigError, FileWarning

VERBS = {
    "generate": "make a rig do what a sentence says",
    "studio": "the same in the browser",
    "inspect": "what is in a GLB, BVH or NPZ file",
    "creature": "write a procedural creature with its motions",
    "augment": "make varied rigs out of one, motion kept",
    "train": "teach a model; the same command goes on after an interruption",
    "evaluate": "measure models and baselines on creatures they never saw",
    "demo": "three unseen rigs walk, fly and attack: GLB files and a contact sheet",
}


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """The whole parser; with ``only``, the arguments of just that verb, which is quicker to build."""
    parser = argparse.ArgumentParser(prog="anyrig", description="Text-to-motion for any skeleton.")
    parser.add_argument("--version", action="version", version=f"anyrig {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, about in VERBS.items():
        sub = verbs.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
        if only in (None, name):
            importlib.import_module(f"{__name__}.{name}").add(sub)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Exit status: 0 done, 1 the machine failed, 2 the user's mistake, 130 interrupted."""
    argv = sys.argv[1:] if argv is None else list(argv)
    verb = next((a for a in argv if a in VERBS), None)
    args = build_parser(only=verb or "").parse_args(argv)
    shown = warnings.showwarning
    warnings.showwarning = partial(_warn, shown)
    try:
        return int(importlib.import_module(f"{__name__}.{args.verb}").main(args))
    except AnyrigError as e:
        print(f"anyrig: {e}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        kept = "; what was done is kept, and the same command goes on from there" if args.verb == "train" else ""
        print(f"\nanyrig: interrupted{kept}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 141
    except OSError as e:
        where = f"{e.filename}: " if e.filename else ""
        print(f"anyrig: {where}{e.strerror or e}", file=sys.stderr)
        return 1
    finally:
        warnings.showwarning = shown


def _warn(shown: Callable[..., None], message: Warning | str, category: type[Warning], *where: object) -> None:
    """A warning about a file as one line: where in the code it was raised is no concern of the user's."""
    if issubclass(category, FileWarning):
        print(f"anyrig: note: {message}", file=sys.stderr)
    else:
        shown(message, category, *where)
