"""The host's end of a node: frames out, frames in, each by a deadline. What comes in was written by hostile code."""

from __future__ import annotations

import contextlib
import queue
import select
import socket
import threading
import time
from typing import IO, Protocol

from .inside import wire
from .inside.spin import Spin


class Gone(Exception):
    """The other side closed the channel or died."""


class Late(Exception):
    """The deadline passed with no whole frame."""


class Oversize(Exception):
    """The frame announced is longer than allowed."""


class Channel(Protocol):
    """Frames to and from one node. `deadline` is in time.monotonic() seconds."""

    def send(self, frame: bytes, deadline: float) -> None:
        """All of it; raises Gone or Late."""
        ...

    def wait(self, deadline: float) -> bool:
        """True once something of a frame, or the end, has arrived; False if the deadline came first."""
        ...

    def receive(self, deadline: float, most: int) -> tuple[int, list[bytes]]:
        """Kind and fields of the next frame; raises Gone, Late, Oversize or wire.Malformed."""
        ...

    def ended(self) -> bool:
        """True if the other side is gone and left nothing to read."""
        ...

    def close(self) -> None:
        """Give up the descriptors."""
        ...


class SocketChannel:
    """Over a stream socket. A frame trickled byte by byte does not put its deadline off.

    `pidfd`: the process on the other end. Its death is noticed by this, not by the end of the stream: its parent may
    hold on to a copy of its socket.
    """

    def __init__(self, sock: socket.socket, pidfd: int) -> None:
        sock.setblocking(False)
        self._pidfd = pidfd
        self._sock = sock
        self._held = b""
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._poll.register(pidfd, select.POLLIN)
        self._spin = Spin(lambda: self._poll.poll(0))

    def send(self, frame: bytes, deadline: float) -> None:
        """All of it; raises Gone or Late."""
        view = memoryview(frame)
        while view:
            try:
                view = view[self._sock.send(view) :]
            except BlockingIOError:
                left = deadline - time.monotonic()
                ready = select.poll()
                ready.register(self._sock, select.POLLOUT)
                if left <= 0 or not ready.poll(left * 1000):
                    raise Late from None
            except OSError:
                raise Gone from None

    def wait(self, deadline: float) -> bool:
        """True once something of a frame, or the end, has arrived; False if the deadline came first."""
        if self._held or self._poll.poll(0):
            return True
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        if self._spin():
            return True
        return bool(self._poll.poll(left * 1000))

    def receive(self, deadline: float, most: int) -> tuple[int, list[bytes]]:
        """Kind and fields of the next frame; raises Gone, Late, Oversize or wire.Malformed."""
        self._fill(wire.HEADER.size, deadline)
        kind, size = wire.HEADER.unpack_from(self._held)
        if size > most:
            raise Oversize(size)
        whole = wire.HEADER.size + size
        self._fill(whole, deadline)
        payload, self._held = self._held[wire.HEADER.size : whole], self._held[whole:]
        return kind, wire.unpack(payload)

    def _fill(self, size: int, deadline: float) -> None:
        """Have at least `size` bytes in hand."""
        if len(self._held) >= size:
            return
        parts, have = [self._held], len(self._held)
        try:
            while have < size:
                try:
                    # Plain recv: descriptors a node might attach are dropped by the kernel.
                    data = self._sock.recv(max(1 << 16, min(size - have, 1 << 20)))
                except BlockingIOError:
                    wait = deadline - time.monotonic()
                    ready = self._poll.poll(wait * 1000) if wait > 0 else []
                    if not ready:
                        raise Late from None
                    if [fd for fd, _ in ready] == [self._pidfd]:
                        raise Gone from None
                    continue
                except OSError:
                    raise Gone from None
                if not data:
                    raise Gone
                if time.monotonic() > deadline:
                    raise Late
                parts.append(data)
                have += len(data)
        finally:
            self._held = b"".join(parts)

    def ended(self) -> bool:
        """True if the other side is gone and left nothing to read."""
        if self._held or not self._poll.poll(0):
            return False
        try:
            return not self._sock.recv(1, socket.MSG_PEEK)
        except OSError:  # nothing to read, so it is the pidfd that is ready
            return True

    def close(self) -> None:
        """Give up the descriptor."""
        self._sock.close()


class PipeChannel:
    """Over the two pipes of a child process, with a thread that reads: what works on every platform."""

    def __init__(self, source: IO[bytes], sink: IO[bytes], most: int) -> None:
        self._source, self._sink, self._most = source, sink, most
        self._frames: queue.SimpleQueue[tuple[int, bytes] | Exception] = queue.SimpleQueue()
        self._next: tuple[int, bytes] | Exception | None = None
        threading.Thread(target=self._read, name="sandbox-pipe", daemon=True).start()

    def _read(self) -> None:
        try:
            while True:
                head = self._source.read(wire.HEADER.size)
                if len(head) < wire.HEADER.size:
                    raise Gone
                kind, size = wire.HEADER.unpack(head)
                if size > self._most:
                    raise Oversize(size)
                payload = self._source.read(size)
                if len(payload) < size:
                    raise Gone
                self._frames.put((kind, payload))
        except (Gone, Oversize) as problem:
            self._frames.put(problem)
        except (OSError, ValueError):
            self._frames.put(Gone())

    def send(self, frame: bytes, deadline: float) -> None:
        """All of it; raises Gone. Orders are small next to what a worker reads at once, so the deadline is not used."""
        try:
            self._sink.write(frame)
            self._sink.flush()
        except (OSError, ValueError):
            raise Gone from None

    def wait(self, deadline: float) -> bool:
        """True once something of a frame, or the end, has arrived; False if the deadline came first."""
        if self._next is None:
            with contextlib.suppress(queue.Empty):
                self._next = self._frames.get(timeout=max(0.0, deadline - time.monotonic()))
        return self._next is not None

    def receive(self, deadline: float, most: int) -> tuple[int, list[bytes]]:
        """Kind and fields of the next frame; raises Gone, Late, Oversize or wire.Malformed."""
        if not self.wait(deadline) or self._next is None:
            raise Late
        found, self._next = self._next, None
        if isinstance(found, Exception):
            self._frames.put(found)  # the next caller learns it too
            raise found
        kind, payload = found
        if len(payload) > most:
            raise Oversize(len(payload))
        return kind, wire.unpack(payload)

    def ended(self) -> bool:
        """True if the other side is gone and left nothing to read."""
        return self.wait(0.0) and isinstance(self._next, Gone)

    def close(self) -> None:
        """Give up the descriptors."""
        for file in (self._sink, self._source):
            with contextlib.suppress(OSError):
                file.close()
