"""A way of doing a benchmark's work in a process of its own, and what such a process says about its memory."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from agentdistill.errors import UserError


def in_process(module: str, job: dict[str, Any]) -> dict[str, Any]:
    """What ``python -m module JOB`` prints as its last line, read as JSON. Raises UserError where it failed."""
    done = subprocess.run([sys.executable, "-m", module, json.dumps(job)], capture_output=True, text=True, check=False)
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"{module.rpartition('.')[2].strip('_')}: {job['way']} failed: {why}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def peak_mb() -> float:
    """The most memory that this process ever held, in MB."""
    return _status("VmHWM")


def resident_mb() -> float:
    """The memory that this process holds, in MB; where the system does not tell, the most that it ever held."""
    return _status("VmRSS")


def _status(name: str) -> float:
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)
