"""The other side of the boundary: broker, template and nodes. `command` starts a child interpreter there."""

from __future__ import annotations

import os
import sys

# Given to `python -c`: loads this folder as the package `_sandbox`, without the parent package or its sys.path.
_START = """
import importlib.util as u, sys
s = u.spec_from_file_location("_sandbox", {init!r}, submodule_search_locations=[{folder!r}])
m = u.module_from_spec(s); sys.modules["_sandbox"] = m; s.loader.exec_module(m)
from _sandbox.{module} import main
main(sys.argv[1:])
"""


def command(module: str, *args: str) -> list[str]:
    """argv that runs `main(args)` of a module in this folder, isolated from the caller's environment and paths."""
    folder = os.path.dirname(os.path.realpath(__file__))
    text = _START.format(init=os.path.join(folder, "__init__.py"), folder=folder, module=module)
    # Not -I: that would ignore PYTHONHASHSEED too, and `environment` is all there is to ignore.
    return [sys.executable, "-s", "-P", "-c", text, *args]


def environment(seed: int) -> dict[str, str]:
    """The whole environment of a child interpreter: nothing of the user's."""
    # One thread each, or every BLAS would want a pool that seccomp refuses; the seed fixes the order of sets.
    threads = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    base = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/", "TZ": "UTC", "PYTHONHASHSEED": str(seed)}
    if sys.platform == "win32":
        base["SYSTEMROOT"] = os.environ.get("SYSTEMROOT", "")  # Python does not start without it
    return base | dict.fromkeys(threads, "1")
