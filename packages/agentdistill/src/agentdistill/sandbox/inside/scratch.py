"""Scratch folders of states, kept by the broker: one each, under a name no other state can guess or list.

Model code may race every step taken here, so folders are walked by descriptor and nothing is followed. It can make
plain files and folders only: the calls for links, pipes and devices are not on the list of `isolation.py`.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator

MAX_DEPTH = 64
ENTRY = 4096  # what an entry counts for besides its bytes, so that empty files are not free


class FolderTooLarge(Exception):
    """A folder holds more than it may, or lies deeper than is walked."""


class Scratch:
    """The folder of folders. Its own mode lets a state pass through by name, and not list or create."""

    def __init__(self, root: str) -> None:
        self._fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        os.chmod(root, 0o100)
        self._known: set[str] = set()

    @contextlib.contextmanager
    def _unlocked(self) -> Iterator[None]:
        # Broker and states share a user, so the folder is opened for the broker's own changes only, some 20 µs.
        os.fchmod(self._fd, 0o300)
        try:
            yield
        finally:
            os.fchmod(self._fd, 0o100)

    def make(self) -> str:
        """A new empty folder's name."""
        name = secrets.token_hex(16)
        with self._unlocked():
            os.mkdir(name, 0o700, dir_fd=self._fd)
        self._known.add(name)
        return name

    def move(self, name: str) -> str:
        """Give a folder another name, one that a fork of its state does not know."""
        fresh = secrets.token_hex(16)
        with self._unlocked():
            os.rename(name, fresh, src_dir_fd=self._fd, dst_dir_fd=self._fd)
        self._known.remove(name)
        self._known.add(fresh)
        return fresh

    def open(self, name: str) -> int:
        """A descriptor to chdir to."""
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._fd)

    def used(self, name: str) -> int:
        """Bytes in a folder; raises FolderTooLarge when it is too deep to tell."""
        return _walk(self.open(name), None, 1 << 62)

    def copy(self, name: str, target: str, most: int) -> bool:
        """Copy the files of one folder to another; True if there were any. Raises FolderTooLarge above `most` bytes."""
        return _walk(self.open(name), self.open(target), most) > 0

    def remove(self, name: str) -> None:
        """Remove a folder with all that is in it, however deep."""
        self._known.discard(name)
        with self._unlocked(), contextlib.suppress(OSError):
            clear(self.open(name))
            os.rmdir(name, dir_fd=self._fd)

    def sweep(self) -> None:
        """Remove what belongs to no state: files that model code made while the folder was unlocked."""
        for entry in os.listdir(self._fd):
            if entry not in self._known:
                with self._unlocked(), contextlib.suppress(OSError):
                    os.unlink(entry, dir_fd=self._fd)
                self.remove(entry)


def _walk(source: int, target: int | None, most: int) -> int:
    """Count, and copy if there is a target. Takes over both descriptors."""
    used = 0
    todo = [(source, target, 0)]
    try:
        while todo:
            here, there, depth = todo.pop()
            try:
                for name in os.listdir(here):
                    fd = _open(name, here)
                    if fd is None:
                        continue
                    info = os.fstat(fd)
                    used += ENTRY
                    if stat.S_ISDIR(info.st_mode):
                        if depth == MAX_DEPTH:
                            os.close(fd)
                            raise FolderTooLarge
                        todo.append((fd, _subfolder(name, there), depth + 1))
                        continue
                    used += min(info.st_blocks * 512, info.st_size) if there is None else info.st_size
                    if used > most:
                        os.close(fd)
                        raise FolderTooLarge
                    _copy_file(fd, name, there, info.st_size)
            finally:
                os.close(here)
                if there is not None:
                    os.close(there)
    finally:
        for pair in todo:
            for fd in pair[:2]:
                if fd is not None:
                    os.close(fd)
    return used


def _open(name: str, folder: int) -> int | None:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    for attempt in (0, 1):
        try:
            return os.open(name, flags, dir_fd=folder)
        except PermissionError:  # made with mode 0; it is the broker's user's all the same
            if attempt == 0:
                with contextlib.suppress(OSError):
                    os.chmod(name, 0o700, dir_fd=folder)
        except OSError:  # gone again, or not a file
            return None
    return None


def _subfolder(name: str, folder: int | None) -> int | None:
    if folder is None:
        return None
    os.mkdir(name, 0o700, dir_fd=folder)
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)


def _copy_file(source: int, name: str, folder: int | None, size: int) -> None:
    """Exactly `size` bytes at most, however the file grows meanwhile. Closes `source`."""
    try:
        if folder is None:
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        target = os.open(name, flags, 0o600, dir_fd=folder)
        try:
            done = 0
            while done < size:
                sent = os.sendfile(target, source, done, size - done)
                if sent == 0:
                    break
                done += sent
        finally:
            os.close(target)
    finally:
        os.close(source)


def clear(top: int) -> None:
    """Empty a folder, level by level: each folder's own folders move up to the top, so no depth is too deep.

    Takes over the descriptor.
    """
    try:
        while names := os.listdir(top):
            for name in names:
                _clear_one(top, name)
    finally:
        os.close(top)


def _clear_one(top: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=top)
        return
    except (IsADirectoryError, PermissionError):
        pass
    inner = _open(name, top)
    if inner is None:
        return
    try:
        for entry in os.listdir(inner):
            try:
                os.unlink(entry, dir_fd=inner)
            except OSError:
                os.rename(entry, secrets.token_hex(8), src_dir_fd=inner, dst_dir_fd=top)
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=top)
