"""The template and the nodes forked from it, on Linux.

The template imports, locks itself down and serves FORK orders; it is given no cells. A node is a fork of it, or of
another node, and gets cells and FORK orders over a socket of its own, always descriptor 3.
"""

from __future__ import annotations

import array
import builtins
import contextlib
import fcntl
import gc
import json
import os
import select
import socket
import stat
from typing import Any

from . import cell, isolation, node, wire
from .scratch import ENTRY

globals()["__builtins__"] = dict(vars(builtins))  # see wire.py

CHANNEL, PROC, QUIET = 3, 4, 0
# Bound now: model code may replace them in os.
_write, _exit = os.write, os._exit
_PEEK, _Blocked = socket.MSG_PEEK | socket.MSG_DONTWAIT, BlockingIOError


class Forker:
    """Carries out FORK orders: the child moves to the socket and the scratch folder that came with the order."""

    def __init__(self, channel: node.DescriptorChannel, sock: socket.socket) -> None:
        self._channel, self._sock = channel, sock
        self._poll = select.poll()
        for fd in range(CHANNEL + 1, isolation.N_DESCRIPTORS):
            self._poll.register(fd, 0)

    def __call__(self, size: int) -> None:
        """The parent returns at once; the child says HELLO on its own socket first."""
        fds = self._take(size)
        new, folder, *old = fds
        try:
            child = isolation.fork_as_sibling() == 0
        except OSError:
            with contextlib.suppress(OSError):
                _write(new, wire.pack(wire.HELLO, [b"refused"]))
            child = False
        if child:
            os.dup2(new, CHANNEL)
            self._part(set(fds), folder, old[0] if old else None)
            os.fchdir(folder)
        for fd in fds:
            os.close(fd)
        if child:
            self._channel.write(wire.pack(wire.HELLO, []))

    def _take(self, size: int) -> list[int]:
        """Read the order's payload; the descriptors sent with it."""
        _, extra, _, _ = self._sock.recvmsg(size, socket.CMSG_SPACE(16))
        fds = array.array("i")
        for level, kind, raw in extra:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds.frombytes(raw[: len(raw) - len(raw) % fds.itemsize])
        return list(fds)

    def _part(self, own: set[int], folder: int, old: int | None) -> None:
        """Share no open file with the parent: reopen its scratch files in this state's folder.

        What cannot be copied (pipes, sockets) becomes /dev/null: two states must not communicate through it.
        """
        shut = {fd for fd, event in self._poll.poll(0) if event & select.POLLNVAL}
        held = [fd for fd in range(CHANNEL + 1, isolation.N_DESCRIPTORS) if fd not in shut and fd not in own]
        if not held:
            return
        copies = _inodes(old) if old is not None else {}
        for fd in held:
            info = os.fstat(fd)
            path = copies.get((info.st_dev, info.st_ino))
            if path is not None:
                _reopen(fd, path, folder)
            elif not stat.S_ISREG(info.st_mode):
                os.dup2(QUIET, fd)


def _inodes(folder: int) -> dict[tuple[int, int], str]:
    found = {}
    for root, _, files, here in os.fwalk(".", dir_fd=folder):
        info = os.fstat(here)
        found[info.st_dev, info.st_ino] = root
        for name in files:
            info = os.stat(name, dir_fd=here, follow_symlinks=False)
            found[info.st_dev, info.st_ino] = f"{root}/{name}"
    return found


def _reopen(fd: int, path: str, folder: int) -> None:
    flags = fcntl.fcntl(fd, fcntl.F_GETFL) & (os.O_ACCMODE | os.O_APPEND | os.O_DIRECTORY)
    try:
        fresh = os.open(path, flags, dir_fd=folder)
    except OSError:
        os.dup2(QUIET, fd)
        return
    if not flags & os.O_DIRECTORY:
        os.lseek(fresh, os.lseek(fd, 0, os.SEEK_CUR), os.SEEK_SET)
    os.dup2(fresh, fd)
    os.close(fresh)


def run(options: dict[str, Any], layers: isolation.Layers, scratch: str) -> None:
    """Become the template: never returns. Expects its socket at CHANNEL and a descriptor of /proc at PROC."""
    try:
        mine, forker = _prepare(options, layers, scratch)
    except BaseException as problem:
        report = {"problem": f"{type(problem).__name__}: {problem}"}
        with contextlib.suppress(OSError):
            _write(CHANNEL, wire.pack(wire.HELLO, [json.dumps(report).encode()]))
        _exit(1)
    try:
        mine.serve(forker)
    finally:
        _exit(0)  # never atexit functions: those are the model's


def _prepare(options: dict[str, Any], layers: isolation.Layers, scratch: str) -> tuple[node.Node, Forker]:
    readable = isolation.readable()
    isolation.keep_paths()
    cell.preload(tuple(options["modules"]))
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, CHANNEL)
    channel = node.DescriptorChannel(CHANNEL, CHANNEL, wire.Spin(_order_in(sock)))
    mine = node.Node(channel)
    # Run what a first cell runs, so that the memory it touches is shared by all forks.
    for source in ("try:\n    1 / 0\nexcept Exception as e:\n    print(e)\n[1]", "1 / 0"):
        cell.Runner().run(source, 0, 0.0, 1000)
    isolation.be_killed_first(PROC)
    mapped = isolation.mapped_bytes(PROC)
    os.close(PROC)
    cell.seed_generators(options["seed"])
    forker = Forker(channel, sock)

    def hand_over(listener: int) -> None:
        socket.send_fds(sock, [wire.pack(wire.HELLO, [b"listener"])], [listener])

    # The folder's entry counts too: so one file as large as the kernel allows is within the limit.
    isolation.limit(mapped, options["memory"], options["scratch"] - ENTRY, options["session_cpu"])
    isolation.seal(layers, scratch, readable, hand_over, weak=options["mode"] == "process")
    channel.write(wire.pack(wire.HELLO, [json.dumps({"on": layers.on, "off": layers.off}).encode()]))
    gc.collect()
    gc.freeze()
    return mine, forker


def _order_in(sock: socket.socket) -> Any:
    recv = sock.recv

    def ready() -> bool:
        # Not poll(): a process stopped in it resumes by a system call that isolation.py does not allow.
        try:
            recv(1, _PEEK)
            return True
        except _Blocked:
            return False

    return ready
