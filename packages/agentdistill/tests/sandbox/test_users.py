"""As an ordinary user, and where namespaces are refused as in a default container."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from .conftest import need

_PROBE = """
import sys
{before}
from agentdistill.sandbox import Sandbox, SandboxUnavailable
try:
    Sandbox("strict", modules=()).start()
    print("strict works")
except SandboxUnavailable as problem:
    print("strict refused:", problem)
with Sandbox(modules=()) as box, box.session() as s:
    s.exec("x = 20")
    (kid,) = s.fork()
    print(box.capabilities.mode, kid.exec("x + 1").value)
    for hostile in ("open('/etc/passwd')", "__import__('os').fork()", "__import__('socket').socket()"):
        print(kid.exec(hostile).error.type)
"""
# What a default container's own filter does: no namespaces, whoever asks.
_NO_NAMESPACES = """
from agentdistill.sandbox.inside.isolation import *
call("prctl", PR_SET_NO_NEW_PRIVS, 1)
install([op(0x20, 0), op(0x15, NUMBERS["unshare"], 0, 1), op(6, DENY), op(6, ALLOW)])
"""


# Somebody else's listener is installed already: there can be no second one, so no fork gate.
_NO_GATE = """
from agentdistill.sandbox.inside.isolation import *
call("prctl", PR_SET_NO_NEW_PRIVS, 1)
code = [op(0x20, 0), op(0x15, NUMBERS["fallocate"], 0, 1), op(6, NOTIFY), op(6, ALLOW)]
listener = install(code, listen=True)
"""


def _run(before: str = "", **options: object) -> str:
    command = [sys.executable, "-c", _PROBE.format(before=before)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def _assert_contained(text: str, mode: str) -> None:
    assert f"{mode} 21" in text, text
    assert "PermissionError\nPermissionError\n" in text
    assert "None" not in text


def test_without_namespaces() -> None:
    need("container")
    text = _run(_NO_NAMESPACES)
    assert "strict refused" in text
    assert "unshare" in text
    _assert_contained(text, "container")


def test_without_a_fork_gate() -> None:
    need("strict")
    text = _run(_NO_GATE)
    assert "strict works" in text
    _assert_contained(text.replace("BlockingIOError", "PermissionError"), "strict")


def _readable_by_others() -> bool:
    code = f"import os; os.setuid(65534); os.execv({sys.executable!r}, ['python', '-c', 'import agentdistill'])"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root to become someone else")
@pytest.mark.parametrize("before", ["", _NO_NAMESPACES], ids=["as it is", "without namespaces"])
def test_as_an_ordinary_user(before: str) -> None:
    need("container")
    if not _readable_by_others():
        pytest.skip("this Python installation can be read by root only")
    text = _run(before, user=65534, group=65534, extra_groups=[], cwd="/")
    expected = "strict" if not before and "strict works" in text else "container"
    assert f"{expected} 21" in text
    _assert_contained(text, expected)
