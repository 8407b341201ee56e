"""Frames: what is packed comes back, and nothing else gets in."""

from __future__ import annotations

import socket
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentdistill.sandbox.forked import SocketChannel
from agentdistill.sandbox.inside import wire
from agentdistill.sandbox.step import ChannelTimeout, Gone, Oversize


@given(st.lists(st.binary(max_size=200), max_size=wire.MAX_FIELDS), st.integers(0, 255))
def test_round_trip(fields: list[bytes], kind: int) -> None:
    frame = wire.pack(kind, fields)
    got, size = wire.HEADER.unpack_from(frame)
    assert (got, size) == (kind, len(frame) - wire.HEADER.size)
    assert wire.unpack(frame[wire.HEADER.size :]) == fields


@given(st.binary(max_size=300))
@settings(max_examples=500)
def test_noise_is_malformed_or_exact(noise: bytes) -> None:
    try:
        fields = wire.unpack(noise)
    except wire.Malformed:
        return
    assert wire.pack(0, fields)[wire.HEADER.size :] == noise


@given(st.text())
def test_text(text: str) -> None:
    assert wire.decode(wire.encode(text)) == text.encode("utf-8", "backslashreplace").decode()


def _pair() -> tuple[SocketChannel, socket.socket, int]:
    import os

    mine, theirs = socket.socketpair()
    pidfd = os.pidfd_open(os.getpid())
    return SocketChannel(mine, pidfd), theirs, pidfd


@pytest.mark.skipif(not hasattr(__import__("os"), "pidfd_open"), reason="Linux only")
def test_channel_keeps_its_deadline_and_its_bound() -> None:
    import os

    channel, theirs, pidfd = _pair()
    frame = wire.pack(wire.REPLY, [b"abc"])
    theirs.send(frame[:3])
    began = time.monotonic()
    with pytest.raises(ChannelTimeout):
        channel.receive(began + 0.1, 1000)
    theirs.send(frame[3:] + frame)  # what came before the deadline was kept
    assert channel.receive(time.monotonic() + 1, 1000) == (wire.REPLY, [b"abc"])
    assert channel.wait(time.monotonic())
    with pytest.raises(Oversize):
        channel.receive(time.monotonic() + 1, 2)
    theirs.close()
    channel.close()
    os.close(pidfd)


@pytest.mark.skipif(not hasattr(__import__("os"), "pidfd_open"), reason="Linux only")
def test_channel_notices_the_end() -> None:
    import os

    channel, theirs, pidfd = _pair()
    theirs.close()
    with pytest.raises(Gone):
        channel.receive(time.monotonic() + 1, 1000)
    channel.close()
    os.close(pidfd)
