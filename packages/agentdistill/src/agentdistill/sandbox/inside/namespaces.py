"""Namespaces of the sandbox's own, and a root file system that holds the Python installation and nothing else."""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import sys
import sysconfig

from . import kernel

_BIND, _REC, _PRIVATE, _RDONLY, _NOSUID, _NODEV, _NOEXEC, _REMOUNT = 4096, 16384, 1 << 18, 1, 2, 4, 8, 32
SCRATCH = "/scratch"
_BASE = "/tmp"  # exists everywhere; only the sandbox sees what is mounted on it


def readable() -> list[str]:
    """Folders and files that Python, its packages and their shared libraries are loaded from."""
    paths = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    paths |= {os.path.join(prefix, "lib") for prefix in (sys.prefix, sys.base_prefix)}
    paths |= {"/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo", "/etc/ld.so.cache"}
    real = sorted({os.path.realpath(path) for path in paths} | paths)
    kept: list[str] = []
    for path in real:  # sorted: a folder comes before what is inside it
        if os.path.exists(path) and not any(path.startswith(folder.rstrip("/") + "/") for folder in kept):
            kept.append(path)
    return kept


def keep_paths() -> None:
    """Take off sys.path what lies outside `readable()`: paths that an installed .pth file added, for instance."""
    folders = readable()
    sys.path[:] = [
        path for path in sys.path if any(os.path.realpath(path).startswith(os.path.realpath(top)) for top in folders)
    ]


def enter() -> None:
    """Move to new namespaces; the next child is process 1 of its own. Raises OSError where that is not allowed."""
    apart = kernel.NEWNS | kernel.NEWPID | kernel.NEWNET | kernel.NEWIPC | kernel.NEWUTS
    uid, gid = os.geteuid(), os.getegid()
    try:
        kernel.call("unshare", apart)
    except PermissionError:  # not root, or root without the capability: a user namespace gives it
        kernel.call("unshare", apart | kernel.NEWUSER)
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"0 {uid} 1")
        _write("/proc/self/gid_map", f"0 {gid} 1")
    with contextlib.suppress(OSError):
        import socket

        socket.sethostname("sandbox")


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def build_root(scratch_bytes: int) -> None:
    """Make the new root and step into it: the paths of `readable()`, read-only, and a bounded SCRATCH. Raises OSError.

    No /proc, no /dev, no /tmp, no home; the old root is out of reach afterwards.
    """
    kernel.mount(None, "/", None, _REC | _PRIVATE)
    paths = readable()
    # Opened before _BASE is covered: a path may lie below it.
    held = [(path, os.open(path, os.O_PATH | os.O_CLOEXEC), os.path.isdir(path)) for path in paths]
    links = [(path, os.readlink(path)) for path in paths if os.path.islink(path)]
    kernel.mount("sandbox", _BASE, "tmpfs", _NOSUID | _NODEV, "size=4m,mode=755")
    for path, fd, folder in held:
        if not any(path == link for link, _ in links):
            _bind(f"/proc/self/fd/{fd}", _BASE + path, folder)
        os.close(fd)
    for path, target in links:  # /lib -> usr/lib, /lib64 -> usr/lib64
        os.makedirs(os.path.dirname(_BASE + path), exist_ok=True)
        os.symlink(target, _BASE + path)
    _mount_scratch(scratch_bytes)
    _pivot()


def _bind(source: str, target: str, folder: bool) -> None:
    os.makedirs(target if folder else os.path.dirname(target), mode=0o755, exist_ok=True)
    if not folder:
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    kernel.mount(source, target, None, _BIND | _REC)
    name, kept = kernel.text(target)
    attributes = ctypes.create_string_buffer(struct.pack("QQQQ", 1 | 2 | 4, 0, 0, 0))  # read-only, nosuid, nodev
    at_fdcwd, recursive = -100, 0x8000
    try:
        kernel.call("mount_setattr", at_fdcwd, name, recursive, ctypes.addressof(attributes), 32)
    except OSError:  # before Linux 5.12; flags that the mount already has must be kept
        flags = os.statvfs(target).f_flag & (_NOSUID | _NODEV | _NOEXEC | 1024)
        kernel.mount(None, target, None, _REMOUNT | _BIND | _RDONLY | _NOSUID | _NODEV | flags)
    del kept


def _mount_scratch(size: int) -> None:
    os.mkdir(_BASE + SCRATCH, 0o755)
    options = f"size={size},nr_inodes={max(10_000, size >> 12)},mode=700"
    kernel.mount("scratch", _BASE + SCRATCH, "tmpfs", _NOSUID | _NODEV | _NOEXEC, options)


def _pivot() -> None:
    os.chdir(_BASE)
    here, kept = kernel.text(".")
    kernel.call("pivot_root", here, here)
    kernel.call("umount2", here, 2)  # detach the old root, which now lies on top of the new one
    os.chdir("/")
    kernel.mount(None, "/", None, _REMOUNT | _BIND | _RDONLY | _NOSUID | _NODEV)
    del kept
