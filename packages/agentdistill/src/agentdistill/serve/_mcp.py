"""The agent as a tool of an MCP server: ``ask``, with every step told as progress."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import BaseModel
from starlette.routing import Route

from agentdistill import __version__
from agentdistill.serve import ServeSettings
from agentdistill.serve._replies import thought_of
from agentdistill.serve.agent import Agent, Asked, Event, Tell, Wrote
from agentdistill.serve.conversation import read_chat
from agentdistill.serve.outcome import Refused, answer_text
from agentdistill.types import End, Step, Trace


class Taken(BaseModel):
    """One step that the agent took."""

    thought: str
    code: str | None
    observation: str | None


class Answered(BaseModel):
    """What the agent says, whether that is an answer, and how it came to it."""

    answer: str
    found: bool
    steps: list[Taken]


def server_of(agent: Agent, answer: Callable[[Asked, Tell], Awaitable[Trace]]) -> MCPServer:
    """An MCP server with one tool, ``ask``, whose questions ``answer`` answers for the agent. A request that is refused
    is an error of the tool that says why."""
    server: MCPServer = MCPServer(
        "agentdistill",
        title=f"Distilled agent {agent.name}",
        instructions="Ask the agent a question; it works with Python code and tools of its own until it has an answer.",
        version=__version__,
        log_level="WARNING",
    )

    async def ask(question: str, ctx: Context, vote: bool = False) -> Answered:
        """Ask the distilled agent a question that stands for itself. It thinks, runs Python and calls its tools until
        it has a short answer. With vote, every step is the majority's among several candidates, which is slower."""
        telling: set[asyncio.Task[None]] = set()
        n_done = 0

        def tell(event: Event) -> None:
            nonlocal n_done
            if not isinstance(event, Wrote | Step):
                return
            thought = thought_of(event.replies[0] if isinstance(event, Wrote) else event.reply.content)
            n_done += not isinstance(event, Wrote)
            progress = n_done + 0.5 * isinstance(event, Wrote)
            telling.add(asyncio.create_task(ctx.report_progress(progress, agent.max_steps, thought or "at work")))

        try:
            trace = await answer(Asked(read_chat([("user", question)]), vote), tell)
        except Refused as e:
            raise ToolError(str(e)) from e
        finally:
            await asyncio.gather(*telling, return_exceptions=True)
        steps = [
            Taken(
                thought=thought_of(s.reply.content),
                code=s.code,
                observation=s.observation.content if s.observation is not None else None,
            )
            for s in trace.steps
        ]
        return Answered(answer=answer_text(trace), found=trace.end is End.ANSWERED, steps=steps)

    server.add_tool(ask, description=inspect.getdoc(ask))
    return server


def routes_of(server: MCPServer, settings: ServeSettings) -> list[Route]:
    """Where a web server has it, as its own host: ``/mcp``, for POST. A GET would hold a stream open, on which a server
    without sessions has nothing to say."""
    security = _security(settings) if settings.allow_origins and settings.is_loopback else None
    app = server.streamable_http_app(stateless_http=True, host=settings.host, transport_security=security)
    routes = [r for r in app.routes if isinstance(r, Route)]
    for route in routes:
        route.methods = {"POST"}
    return routes


def _security(settings: ServeSettings) -> TransportSecuritySettings:
    """What the package checks on loopback by itself, with the pages besides that may ask."""
    own = ["127.0.0.1:*", "localhost:*", "[::1]:*"]
    return TransportSecuritySettings(
        enable_dns_rebinding_protection="*" not in settings.allow_origins,
        allowed_hosts=[*own, f"{settings.host}:*"],
        allowed_origins=[*(f"http://{host}" for host in own), *settings.allow_origins],
    )


def run_stdio(agent: Agent) -> None:
    """Be an MCP server on the standard streams until the input ends."""

    async def run() -> None:
        try:
            await server_of(agent, agent.answer).run_stdio_async()
        finally:
            await agent.aclose()

    asyncio.run(run())
