"""``python -m benchmarks NAME [OPTIONS]``, in the root of the repository, with agentdistill installed.

A new benchmark is a function here or in a module of its own, ``NAME(argv) -> int``, and its line in ``BENCHMARKS``.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from agentdistill.errors import InfrastructureError, UserError

BENCHMARKS = {
    "constrain": "inference:constrain",
    "evaluation": "inference:evaluation",
    "gguf": "inference:gguf",
    "loop": "loop:loop",
    "ray": "ray:ray",
    "retrieval": "retrieval:retrieval",
    "sag": "loop:sag",
    "sandbox": "sandbox:sandbox",
    "serving": "serving:serving",
    "training": "training:training",
}
USAGE = f"""usage: python -m benchmarks NAME [OPTIONS]    (NAME --help lists the options)

  benchmarks   {", ".join(BENCHMARKS)}
  all          every benchmark; those that cannot run here are left out, with the reason
  attack       hostile cells against the sandbox of this machine"""


def run(name: str, argv: Sequence[str]) -> int:
    """Run one benchmark, or the attacks; returns its exit status."""
    module, _, function = (BENCHMARKS | {"attack": "attack:attack"})[name].partition(":")
    return int(getattr(importlib.import_module(f"benchmarks.{module}"), function)(argv))


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Exit status: that of the benchmark, 1 the world failed, 2 the user's mistake."""
    name, *rest = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if name not in (*BENCHMARKS, "attack", "all"):
        print(USAGE, file=sys.stdout if name in ("-h", "--help") else sys.stderr)
        return 0 if name in ("-h", "--help") else 2
    status = 0
    for one in BENCHMARKS if name == "all" else (name,):
        try:
            status = max(status, run(one, rest))
        except UserError as e:
            if name != "all":
                print(f"benchmarks: {one}: {e}", file=sys.stderr)
                return 2
            print(f"{one}: left out: {e}", file=sys.stderr)
        except InfrastructureError as e:
            print(f"benchmarks: {one}: {e}", file=sys.stderr)
            return 1
    return status


if __name__ == "__main__":
    sys.exit(main())
