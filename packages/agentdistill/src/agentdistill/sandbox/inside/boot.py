"""The command line of a child interpreter: load this folder as a package of its own, whatever it is installed as.

Kept as text and given to `python -c`, so that neither sys.path nor the parent package is touched in the child.
"""

from __future__ import annotations

import sys
from pathlib import Path

_TEXT = """
import importlib.util as u, sys
s = u.spec_from_file_location("_sandbox", {init!r}, submodule_search_locations=[{folder!r}])
m = u.module_from_spec(s); sys.modules["_sandbox"] = m; s.loader.exec_module(m)
from _sandbox.{module} import main
main(sys.argv[1:])
"""


def command(module: str, *args: str, python: str = sys.executable) -> list[str]:
    """argv that runs `main(args)` of a module in this folder, isolated from the caller's environment and paths."""
    folder = Path(__file__).resolve().parent
    text = _TEXT.format(init=str(folder / "__init__.py"), folder=str(folder), module=module)
    # Not -I: that would ignore PYTHONHASHSEED too, and `environment` is all there is to ignore.
    return [python, "-s", "-P", "-c", text, *args]


def environment(seed: int) -> dict[str, str]:
    """All a child gets to see of the environment: nothing of the user's."""
    # One thread each, or every BLAS would want a pool that seccomp refuses; the seed fixes the order of sets.
    threads = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    base = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/", "TZ": "UTC", "PYTHONHASHSEED": str(seed)}
    if sys.platform == "win32":
        import os

        base["SYSTEMROOT"] = os.environ.get("SYSTEMROOT", "")  # Python does not start without it
    return base | dict.fromkeys(threads, "1")
