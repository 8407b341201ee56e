"""The sandbox as verifiers starts it: its own launcher, its server, a client of MCP.

It runs in a process of its own, with the interpreter that VERIFIERS_PYTHON names or with this one: verifiers 0.4 and
this package want different versions of openai.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PYTHON = os.environ.get("VERIFIERS_PYTHON", sys.executable)
CLIENT = """
import asyncio

import verifiers.v1 as vf
from mcp import Client
from verifiers.v1.mcp import serve_tools
from verifiers.v1.runtimes import SubprocessConfig, provision_runtime

from agentdistill.adapters import SandboxToolset, SandboxToolsetConfig


async def call(url, code):
    async with Client(url) as client:
        done = await client.call_tool("python", {"code": code})
        return "".join(part.text for part in done.content)


async def main():
    toolsets = [SandboxToolset(SandboxToolsetConfig(mode="process", wall_s=2))]
    async with provision_runtime(SubprocessConfig()) as runtime:
        async with serve_tools(toolsets, runtime) as urls:
            (url,) = urls.values()
            for code in ("x = 20", "x + 1", "1 / 0", "while True: pass", "x", "final_answer(x)"):
                print(repr(await call(url, code)))


asyncio.run(main())
"""


@pytest.fixture(scope="module")
def has_verifiers() -> None:
    found = "import importlib.util, sys; sys.exit(importlib.util.find_spec('verifiers') is None)"
    if subprocess.run([PYTHON, "-c", found]).returncode:
        pytest.skip("no verifiers here (make test-extras); name an interpreter that has it as VERIFIERS_PYTHON")


@pytest.mark.timeout(900)  # its server imports much, and it waits three minutes for it
@pytest.mark.usefixtures("has_verifiers")
def test_code_of_one_rollout_shares_its_variables(tmp_path: Path) -> None:
    run = subprocess.run([PYTHON, "-c", CLIENT], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    shown = run.stdout.splitlines()
    assert shown[:3] == ["'(nothing was printed)'", "'21'", "'Error: ZeroDivisionError: division by zero (line 1)'"]
    assert "TimeoutError" in shown[3]
    assert shown[4:] == ["'20'", "'(nothing was printed)\\n20'"]
