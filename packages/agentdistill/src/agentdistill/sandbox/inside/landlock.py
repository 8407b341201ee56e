"""Landlock: what of the file system a process may touch, whatever its user may. Needs no privilege and no mounts."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable

from . import kernel

EXECUTE, WRITE, READ, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << bit for bit in range(6))
MAKE_CHAR, MAKE_DIR, MAKE_REG, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK, MAKE_SYM = (1 << bit for bit in range(6, 13))
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
LOOK = READ | READ_DIR
# No links, pipes, sockets or devices: what the broker copies and removes is plain files and folders.
KEEP = LOOK | WRITE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | REFER | TRUNCATE


def abi() -> int:
    """Version of Landlock that this kernel has; 0 where there is none."""
    try:
        return kernel.call("landlock_create_ruleset", 0, 0, 1)
    except (OSError, KeyError):
        return 0


def _handled(version: int) -> int:
    bits = 13 + (version >= 2) + (version >= 3)
    return (1 << bits) - 1 | (IOCTL_DEV if version >= 5 else 0)


def restrict(readable: Iterable[str], writable: Iterable[str]) -> int:
    """Hold this process, for good, to reading `readable` and keeping files in `writable`; no TCP, no foreign signals.

    Paths that do not exist are passed over. Returns the version in force. Raises OSError; needs NO_NEW_PRIVS.
    """
    version = abi()
    files = _handled(version)
    net = 3 if version >= 4 else 0  # bind and connect
    scope = 3 if version >= 6 else 0  # abstract sockets, signals to processes outside
    size = 8 if version < 4 else 16 if version < 6 else 24
    rules = ctypes.create_string_buffer(struct.pack("QQQ", files, net, scope))
    ruleset = kernel.call("landlock_create_ruleset", ctypes.addressof(rules), size, 0)
    try:
        for paths, rights in ((readable, LOOK), (writable, KEEP)):
            for path in paths:
                _allow(ruleset, path, rights & files)
        kernel.call("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)
    return version


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not os.path.isdir(path):
            rights &= READ | WRITE | TRUNCATE
        rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, fd))
        kernel.call("landlock_add_rule", ruleset, 1, ctypes.addressof(rule), 0)
    finally:
        os.close(fd)
