"""The first process of a sandbox: sets up namespaces, starts the broker, and outlives it to clean up.

host -> launcher -> broker (process 1 of its namespace, where there is one) -> template -> nodes
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import tempfile
import time
from typing import Any

from . import kernel, lockdown, namespaces, template, wire
from .broker import Broker, ready
from .scratch import Scratch, clear

TEMPLATE_S = 120.0


def main(argv: list[str]) -> None:
    """`argv`: JSON of the options, number of the control socket's descriptor."""
    options: dict[str, Any] = json.loads(argv[0])
    control = socket.socket(fileno=int(argv[1]))
    quiet = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(quiet, fd)
    os.close(quiet)
    proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    # Whatever the broker leaves behind when it is killed falls to this process, not to init.
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    layers = lockdown.Layers()
    folder = None
    try:
        if options["mode"] == "strict":
            if not layers.attempt("namespaces", namespaces.enter):
                return ready(control, {"problem": "; ".join(layers.off)})
        else:
            folder = tempfile.mkdtemp(prefix="sandbox-", dir=options["folder"])
        if os.fork() == 0:
            _be_broker(options, control, proc, layers, folder)
        control.close()
        _await_broker()
    finally:
        if folder is not None:
            _remove(folder)
    return None


def _await_broker() -> None:
    """Wait for the broker, then end whatever it left."""
    os.wait()
    me = os.getpid()
    while True:
        with contextlib.suppress(OSError, ValueError), open(f"/proc/{me}/task/{me}/children") as file:
            for pid in map(int, file.read().split()):
                os.kill(pid, signal.SIGKILL)
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.01)
        except ChildProcessError:
            return


def _remove(folder: str) -> None:
    with contextlib.suppress(OSError):
        os.chmod(folder, 0o700)
        clear(os.open(folder, os.O_RDONLY | os.O_DIRECTORY))
    shutil.rmtree(folder, ignore_errors=True)


def _be_broker(
    options: dict[str, Any], control: socket.socket, proc: int, layers: lockdown.Layers, folder: str | None
) -> None:
    """Never returns."""
    try:
        _broker(options, control, proc, layers, folder)
    except BaseException as problem:
        with contextlib.suppress(OSError):
            ready(control, {"problem": f"{type(problem).__name__}: {problem}"})
    finally:
        os._exit(0)


def _broker(
    options: dict[str, Any], control: socket.socket, proc: int, layers: lockdown.Layers, folder: str | None
) -> None:
    strict, uid = folder is None, lockdown.pick_user()
    if folder is None:
        namespaces.build_root(options["all_scratch"])
        layers.on.append("private root")
        folder = namespaces.SCRATCH
    if options["mode"] != "process" and os.geteuid() == 0 and uid is not None:
        _change_user(layers, folder, uid)
    if strict:
        kernel.drop_capabilities()
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    store = Scratch(folder)
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    pid = os.fork()
    if pid == 0:
        _be_template(options, theirs, proc, layers, folder)
    theirs.close()
    os.close(proc)
    report, listener = _hear_template(mine)
    broker = Broker(control, store, options, "fork limit" in report.get("on", ()))
    broker.adopt(pid, mine, listener)
    ready(control, report)
    if "problem" not in report:
        broker.run()


def _change_user(layers: lockdown.Layers, folder: str, uid: int) -> None:
    """Give up root, if Python can still be read without it, and take the scratch folder along."""
    for what, paths in (("Python", namespaces.readable()), ("the scratch folder", [os.path.dirname(folder)])):
        if not _public(paths):
            layers.off.append(f"own user (where {what} lies is open to root only)")
            return
    layers.attempt("own user", lambda: _become_other(folder, uid))


def _become_other(folder: str, uid: int) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fchown(fd, uid, uid)
        lockdown.change_user(uid)
    finally:
        os.close(fd)


def _public(paths: list[str]) -> bool:
    """True if any user may pass through to these paths."""
    for path in paths:
        while path != "/":
            if not os.stat(path).st_mode & 0o005 and os.path.exists(path):
                return False
            path = os.path.dirname(path)
    return True


def _be_template(options: dict[str, Any], line: socket.socket, proc: int, layers: lockdown.Layers, folder: str) -> None:
    """Never returns. Moves its two descriptors to their places and closes all others."""
    held = [os.dup2(fd, 200 + n) for n, fd in enumerate((line.fileno(), proc))]
    for n, fd in enumerate(held):
        os.dup2(fd, template.CHANNEL + n)
    os.closerange(template.PROC + 1, 1 << 16)
    template.run(options, layers, folder)


def _hear_template(line: socket.socket) -> tuple[dict[str, Any], int]:
    """The template's report, and the fork gate's listener or -1."""
    listener = -1
    line.settimeout(TEMPLATE_S)
    while True:
        data, fds, _, _ = socket.recv_fds(line, wire.HEADER.size, 1)
        if fds:
            listener = fds[0]
        if len(data) < wire.HEADER.size:
            return {"problem": "the template died while starting"}, listener
        _, size = wire.HEADER.unpack(data)
        payload = b""
        while len(payload) < size:
            more = line.recv(size - len(payload))
            if not more:
                return {"problem": "the template died while starting"}, listener
            payload += more
        (text,) = wire.unpack(payload)
        if text != b"listener":
            line.settimeout(None)
            return json.loads(text), listener
