"""The sandbox as tools of a verifiers task. verifiers starts this module as a server of each rollout's own."""

from __future__ import annotations

import asyncio

import verifiers.v1 as vf

from agentdistill.environment import Environment
from agentdistill.sandbox import Limits


class SandboxToolsetConfig(vf.ToolsetConfig):  # type: ignore[misc]
    """The sandbox's mode and limits, as in :class:`agentdistill.sandbox.Limits`."""

    mode: str = "auto"
    wall_s: float = 10.0
    memory_mb: int = 512
    observation_chars: int = 8000


class SandboxToolset(vf.Toolset[SandboxToolsetConfig]):  # type: ignore[misc]
    """For ``Task.toolsets``: a tool ``python`` whose variables last for the rollout. It runs on this machine."""

    TOOL_PREFIX = None

    async def setup(self) -> None:
        """Start the sandbox and the rollout's session, which end with the server."""
        limits = Limits(wall_s=self.config.wall_s, memory_mb=self.config.memory_mb)
        chars = self.config.observation_chars
        environment = Environment(mode=self.config.mode, limits=limits, observation_chars=chars)
        self._exit_stack.callback(environment.close)
        self._workspace = await asyncio.to_thread(environment.open)

    @vf.tool  # type: ignore[untyped-decorator]
    async def python(self, code: str) -> str:
        """Run Python code and return what it prints, or the value of its last line. Variables are kept."""
        done = await asyncio.to_thread(self._workspace.run, code)
        return done.observation if done.answer is None else f"{done.observation}\n{done.answer}"


if __name__ == "__main__":
    SandboxToolset.run()
