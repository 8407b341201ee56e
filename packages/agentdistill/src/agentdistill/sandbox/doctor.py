"""Say which layers hold on this machine, what is missing, and what to do about it.

    python -m agentdistill.sandbox.doctor [--json]

Exit status 0 when "strict" or "container" works, 1 when only the weak mode does.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from dataclasses import asdict, dataclass

from .session import Mode, Sandbox, has_linux_layers
from .types import Limits, SandboxError

_HINTS = {
    "namespaces": "user namespaces are off or blocked; an administrator can set kernel.unprivileged_userns_clone=1 "
    "or user.max_user_namespaces above 0; in a container they are usually blocked, and 'container' is the mode to use",
    "landlock": "needs Linux 5.13 with landlock in the kernel's lsm= list",
    "seccomp": "needs a kernel with CONFIG_SECCOMP_FILTER",
    "fork gate": "another listener is installed, or Linux is older than 5.5: forks are held by a process limit instead",
    "own user": "put the Python installation where other users may read it, outside a private home",
}


@dataclass(frozen=True)
class Finding:
    """What one mode came to. `layers` hold, `missing` do not; `problem` is why it could not start."""

    mode: str
    works: bool
    layers: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    problem: str = ""


def _try(mode: Mode) -> Finding:
    """Start a mode and run a cell in it."""
    try:
        with Sandbox(mode, modules=(), limits=Limits(n_states=8)) as box, box.session() as session:
            held = box.capabilities
            result = session.exec("6 * 7")
            (child,) = session.fork(1)
            good = result.value == "42" and child.exec("6 * 7").value == "42"
            return Finding(mode, good, held.layers, held.missing, "" if good else f"a cell gave {result}")
    except SandboxError as problem:
        return Finding(mode, False, problem=str(problem))


def _machine() -> dict[str, object]:
    """Facts of the kernel that decide which layers there can be."""
    facts: dict[str, object] = {"system": f"{platform.system()} {platform.release()} {platform.machine()}"}
    if has_linux_layers():
        from .inside import isolation

        facts |= {"user": os.geteuid(), "landlock": isolation.landlock_version()}
        facts["seccomp user notification"] = isolation.has_notify()
    return facts


def main(argv: list[str]) -> int:
    """For the command line; returns its exit status."""
    parser = argparse.ArgumentParser(prog="agentdistill sandbox doctor", description="Which layers hold here.")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    machine, findings = _machine(), [_try("strict"), _try("container"), _try("process")]
    text = " ".join(word for finding in findings for word in (finding.problem, *finding.missing))
    hints = [f"{name}: {hint}" for name, hint in _HINTS.items() if name in text]
    best = next((finding.mode for finding in findings if finding.works), "none")
    if options.json:
        report = {"machine": machine, "auto": best, "modes": [asdict(finding) for finding in findings]}
        print(json.dumps(report | {"hints": hints}))
    else:
        print(", ".join(f"{name} {value}" for name, value in machine.items()))
        for finding in findings:
            weak = " (WEAK, only when asked for by name)" if finding.mode == "process" else ""
            print(f"{finding.mode:10} {'works' if finding.works else 'does not work'}{weak}")
            print(f"           holds: {', '.join(finding.layers) or '-'}")
            for line in (*finding.missing, finding.problem):
                if line:
                    print(f"           missing: {line}")
        print("mode='auto' takes " + (best if best != "process" else "nothing: it refuses the weak mode"))
        for hint in hints:
            print(f"hint: {hint}")
    return 0 if best in ("strict", "container") else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
