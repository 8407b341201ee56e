"""Lies on the channel. A node may say what it likes there; the host must never believe, wait or break."""

from __future__ import annotations

from ..types import Stop
from . import Case

_CAUGHT = (Stop.FORGED, Stop.CRASH, Stop.TIMEOUT)


def _node(code: str) -> str:
    return 'node = sys.modules["_sandbox.node"]; cell = sys.modules["_sandbox.cell"]\n' + code


CASES = [
    Case("a forged reply", "os.write(3, forged(b'all tests passed'))", fork_after=True),
    Case("a forged reply, then work", "os.write(3, forged())\nwhile True: pass", fork_after=True),
    Case("many replies", "for _ in range(100): os.write(3, forged())", fork_after=True),
    Case("a reply of four gigabytes", "os.write(3, b'\\x0b' + b'\\xff' * 4)\nos.write(3, b'x' * 10**6)", _CAUGHT),
    Case("a reply that never ends", r"""
os.write(3, b'\x0b\0\0\x10\0')
while True: os.write(3, b'x'); time.sleep(0.01)""", _CAUGHT),
    Case("a reply that is cut short", "os.write(3, forged()[:20])\nos._exit(0)", _CAUGHT),
    Case("noise", "os.write(3, bytes(range(256)) * 100)", _CAUGHT),
    Case("a flood of noise", "while True: os.write(3, b'\\x0b' * 65536)", _CAUGHT),
    Case("fields past the end", "os.write(3, b'\\x0b\\0\\0\\0\\x06\\x01\\xff\\xff\\xff\\xff\\0')", _CAUGHT),
    Case("no fields", "os.write(3, frame(11, []))", _CAUGHT),
    Case("too many fields", "os.write(3, frame(11, [b''] * 200))", _CAUGHT),
    Case("an empty payload", "os.write(3, b'\\x0b\\0\\0\\0\\0')", _CAUGHT),
    Case("frames of other kinds", """
for kind in (1, 2, 3, 10, 20, 21, 22, 255): os.write(3, frame(kind, [b'x']))""", _CAUGHT),
    Case("a HELLO out of turn", "os.write(3, frame(10, []))", _CAUGHT),
    Case("numbers out of range", """
import struct
os.write(3, frame(11, [struct.pack('!BBIdQ', 250, 255, 2**32 - 1, float('nan'), 2**64 - 1)] + [b''] * 6))""", _CAUGHT),
    Case("a negative time", """
import struct
os.write(3, frame(11, [struct.pack('!BBIdQ', 0, 255, 0, -1e300, 2**64 - 1)] + [b'\\xff\\xfe'] * 6))""", _CAUGHT),
    Case("the channel closed", "os.close(3)", (Stop.CRASH,)),
    Case("the channel replaced", "a, b = os.pipe()\nos.dup2(b, 3)", (Stop.CRASH, Stop.TIMEOUT)),
    Case("the channel shut for writing", """
import socket
socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, 3).shutdown(socket.SHUT_WR)""", (Stop.CRASH,)),
    Case("the orders read away", "os.read(3, 10**6)", (Stop.TIMEOUT,), wall_s=0.3),
    Case("the reply rewritten", _node("node.Node._reply = lambda *a: b'\\x0b\\0\\0\\0\\x01\\0'"), _CAUGHT),
    Case("the runner rewritten", _node("cell.Runner.run = lambda *a: None"), fork_after=True),
    Case("the loop rewritten", _node("node.Node.serve = node.Node._exec = print"), fork_after=True),
    Case("forks refused", """
template = sys.modules.get('_sandbox.template')
if template: template.Forker.__call__ = lambda self, size: self._line.take(size)""", fork_after=True),
    Case("forks answered by the parent", """
template = sys.modules.get('_sandbox.template')
def lie(self, size):
    _, fds = self._line.take(size)
    os.write(fds[0], frame(10, []))
if template: template.Forker.__call__ = lie""", fork_after=True),
    Case("forks that keep quiet", """
template = sys.modules.get('_sandbox.template')
def hide(self, size):
    _, fds = self._line.take(size)
    sys.modules['_sandbox.kernel'].sibling()
    while True: pass
if template: template.Forker.__call__ = hide""", fork_after=True),
    Case("a frame found through gc", """
import gc
for thing in gc.get_objects():
    if type(thing).__name__ == 'Runner': thing.final = 'taken'; thing.capture = None""", fork_after=True),
    Case("memory overwritten", """
target = id(sys.modules['_sandbox.node'].Node)
ctypes.memset(target, 0x41, 200)
sys.modules['_sandbox.node'].Node.x""", (Stop.CRASH, Stop.ERROR, Stop.TIMEOUT)),
]  # fmt: skip
