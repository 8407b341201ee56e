"""Tools of MCP servers, told to a model as the Python functions that its code may call.

A server is started by a command and spoken to over its standard streams, or reached by a URL (streamable HTTP). Its
connection lives on a thread of its own and is made anew when the server, or its memory of us, has gone and a tool is
called again. What a tool says is a mistake becomes an exception in the model's code; a server that does not answer, or
whose HTTP says that it cannot, is a fault of the world.
"""

from __future__ import annotations

import asyncio
import atexit
import inspect
import json
import os
import re
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from agentdistill.errors import InfrastructureError, RecipeError, UserError
from agentdistill.tools import Tool
from agentdistill.tools._mcp_python import (
    doc_of,
    identifier,
    parameters_of,
    python_type,
    result_type,
    text_of,
    tool_name,
    value_of,
)

if TYPE_CHECKING:
    from pydantic import ValidationError

__all__ = ["McpConnection", "McpServer", "ToolFailed", "mcp_tools", "python_type"]

T = TypeVar("T")
_SHOWN_CHARS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class McpServer:
    """Where an MCP server is: the ``command`` that starts it, or its ``url``. Exactly one of them.

    ``env`` is added to the few variables a command is given, ``headers`` go with every HTTP request; ``$NAME`` in their
    values stands for a variable of our environment, so that no secret need be written down. ``tools`` names those to
    take, in order; all where it is empty. ``timeout_s`` bounds one call, and the connecting.
    """

    command: tuple[str, ...] = ()
    url: str | None = None
    env: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    tools: tuple[str, ...] = ()
    timeout_s: float = 30.0

    def __post_init__(self) -> None:
        if bool(self.command) == bool(self.url):
            raise RecipeError("McpServer.command: an MCP server has either a command that starts it or a url")
        if self.url is not None and not self.url.startswith(("http://", "https://")):
            raise RecipeError(f'McpServer.url: "{self.url}" has to begin with http:// or https://')
        if not self.timeout_s > 0:
            raise RecipeError("McpServer.timeout_s has to be above 0")


class ToolFailed(Exception):
    """What a tool of an MCP server reported as a mistake: the model's code sees it as an exception."""


def mcp_tools(
    servers: Mapping[str, McpServer], logs: Path | None = None, say: Callable[[str], None] = lambda _: None
) -> list[Tool]:
    """Every tool of the servers, by name. A name that two servers have gets its server's before it.

    Connects to each of them. What servers write to their error stream goes into ``logs``/NAME.log, where a folder is
    given. ``say`` is told of tools that are left out. Raises UserError for a server that cannot be used as it is set up
    or lacks a tool that is named, and InfrastructureError for one that does not answer.
    """
    found: list[tuple[str, Tool]] = []
    for name, server in servers.items():
        connection = McpConnection(name, server, None if logs is None else logs / f"{name}.log", say)
        found += [(name, tool) for tool in connection.tools()]
    names = [tool.name for _, tool in found]
    out: dict[str, Tool] = {}
    for origin, tool in found:
        shared = any(other.name == tool.name and its != origin for its, other in found)
        name, n = f"{identifier(origin)}_{tool.name}" if shared else tool.name, 2
        while name in out or (name != tool.name and name in names):
            name, n = f"{name.removesuffix(f'_{n - 1}')}_{n}", n + 1
        out[name] = tool if name == tool.name else _renamed(tool, name)
    return list(out.values())


def _renamed(tool: Tool, name: str) -> Tool:
    return Tool(name, tool.function, name + tool.signature.removeprefix(tool.name), tool.doc)


class McpConnection:
    """A connection to one server, to be used from any thread. Closing it ends the server that it started."""

    def __init__(
        self, name: str, server: McpServer, log: Path | None = None, say: Callable[[str], None] = lambda _: None
    ) -> None:
        self.name, self.server, self._log, self._say = name, server, log, say
        self._lock = threading.Lock()
        self._link: _Link | None = None
        atexit.register(self.close)

    def tools(self) -> list[Tool]:
        """The server's tools as functions. Raises as :func:`mcp_tools`."""
        from mcp.shared.exceptions import MCPError
        from pydantic import ValidationError

        try:
            offered = {t.name: t for t in self._do("its list of tools", _all_tools)}
        except MCPError as e:
            raise UserError(f"MCP server {self.name}: it does not list its tools: {e}") from e
        except ValidationError as e:  # the SDK takes the whole list or nothing
            raise UserError(f"MCP server {self.name}: its list of tools {_against_protocol(e)}") from e
        missing = [t for t in self.server.tools if t not in offered]
        if missing:
            raise UserError(
                f'MCP server {self.name}: no tool is called "{missing[0]}" (there are: {", ".join(offered)})'
            )
        return [self._tool(offered[t]) for t in self.server.tools or offered if self._can_be_called(offered[t])]

    def _can_be_called(self, offered: Any) -> bool:
        """Whether a tool answers a call. Some want a task: to be asked again and again until it is done."""
        if getattr(offered.execution, "task_support", None) != "required":
            return True
        why = f"MCP server {self.name}: {offered.name} can only be called as a task, which is not supported"
        if offered.name in self.server.tools:
            raise UserError(why)
        self._say(f"{why}; left out")
        return False

    def call(self, tool: str, arguments: dict[str, Any], schema: Mapping[str, Any] | None = None) -> Any:
        """What a tool returns: its structured result by its output ``schema``, else its text.

        Raises ToolFailed and InfrastructureError.
        """
        from mcp.shared.exceptions import MCPError
        from pydantic import ValidationError

        try:
            result = self._do(tool, lambda client: client.call_tool(tool, arguments))
        except MCPError as e:
            raise ToolFailed(str(e)) from e
        except ValidationError as e:
            raise ToolFailed(f"the tool's result {_against_protocol(e)}") from e
        except RuntimeError as e:  # the SDK's word for a result that does not fit the tool's own output schema
            raise ToolFailed(str(e).partition("\n")[0]) from e
        if result.is_error:
            structured = "" if result.structured_content is None else json.dumps(result.structured_content)
            raise ToolFailed(text_of(result) or structured or "the tool failed and did not say why")
        return value_of(result, schema)

    def close(self) -> None:
        """End the connection; the next call makes a new one."""
        with self._lock:
            link = self._link
        self._drop(link)

    def _do(self, what: str, work: Callable[[Any], Coroutine[Any, Any, T]], again: bool = True) -> T:
        """Do something with a client; ``again``, in a new session, where the server has forgotten ours and did nothing.

        Raises InfrastructureError where nobody answered, MCPError for what the server itself says against it.
        """
        from mcp.shared.exceptions import MCPError

        from agentdistill.tools._mcp_http import OUTAGES, REFUSED, SESSION_LOST

        link = self._linked()
        try:
            return link.do(work, self.server.timeout_s)
        except MCPError as e:
            if e.code not in OUTAGES:
                raise
            if e.code != REFUSED:  # which leaves the connection, and the calls of others on it, unharmed
                self._drop(link)
            if e.code == SESSION_LOST and again:
                return self._do(what, work, again=False)
            raise InfrastructureError(f"MCP server {self.name}: {what} was not answered: {e}") from e

    def _linked(self) -> _Link:
        with self._lock:
            if self._link is None or not self._link.alive:
                self._link = _Link(self.name, self.server, self._log)
            return self._link

    def _drop(self, link: _Link | None) -> None:
        """End a connection, unless another thread has, whose new one is left alone."""
        with self._lock:
            if self._link is link:
                self._link = None
        if link is not None:
            link.close()

    def _tool(self, offered: Any) -> Tool:
        parameters = parameters_of(offered.input_schema)
        signature = inspect.Signature([p.python for p in parameters])
        given = {p.python.name: p for p in parameters}

        def function(*args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(*args, **kwargs)
            sent = {
                given[k].name: v
                for k, v in bound.arguments.items()
                if given[k].name and not (v is None and given[k].may_be_left_out)
            }
            return self.call(offered.name, sent | _more(bound), offered.output_schema)

        name = tool_name(offered.name)
        shown = ", ".join(p.shown for p in parameters)
        return Tool(
            name, function, f"{name}({shown}) -> {result_type(offered.output_schema)}", doc_of(offered, parameters)
        )


def _against_protocol(e: ValidationError) -> str:
    first = e.errors()[0]
    return f"is not what the protocol says: {'.'.join(map(str, first['loc']))}: {first['msg']}"


def _more(bound: inspect.BoundArguments) -> dict[str, Any]:
    """What was given beside the named parameters."""
    named = bound.signature.parameters.values()
    return next((bound.arguments.get(p.name, {}) for p in named if p.kind is p.VAR_KEYWORD), {})


class _Link:
    """A thread with an event loop in which one client is connected, from its beginning to its end."""

    def __init__(self, name: str, server: McpServer, log: Path | None) -> None:
        self._name, self._server, self._log = name, server, log
        self._ready: Future[Any] = Future()
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name=f"mcp-{name}", daemon=True)
        self._thread.start()
        try:
            self._client = self._ready.result(server.timeout_s)
        except TimeoutError as e:
            self.close()
            why = f"MCP server {name}: no answer in {server.timeout_s:g} s{self._last_words()}"
            raise InfrastructureError(why) from e

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def do(self, work: Callable[[Any], Coroutine[Any, Any, T]], timeout_s: float) -> T:
        """Do something with the client, on its loop, and wait for it."""
        try:
            future = asyncio.run_coroutine_threadsafe(work(self._client), self._loop)
        except RuntimeError as e:
            raise InfrastructureError(f"MCP server {self._name}: the connection is closed") from e
        try:
            return future.result(timeout_s)
        except TimeoutError as e:
            future.cancel()
            raise InfrastructureError(f"MCP server {self._name}: no answer in {timeout_s:g} s") from e
        except (OSError, EOFError, asyncio.CancelledError) as e:
            raise InfrastructureError(f"MCP server {self._name}: the connection broke: {e}") from e

    def close(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join(5)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._connected())
        except BaseException as e:
            problem = self._problem(e)
            if not self._ready.done():
                self._ready.set_exception(problem)
        finally:
            self._loop.close()

    async def _connected(self) -> None:
        from mcp import Client

        async with _transport(self._server, self._log) as target, Client(target) as client:
            self._ready.set_result(client)
            await self._end.wait()

    def _problem(self, e: BaseException) -> Exception:
        """Why there is no connection, in one line: the innermost of what a group of tasks raised."""
        while isinstance(e, BaseExceptionGroup):
            e = e.exceptions[0]
        if isinstance(e, UserError):
            return e
        if isinstance(e, ModuleNotFoundError):
            return UserError(
                f"{e.name} is not installed, which MCP needs; install it with: pip install 'agentdistill[mcp]'"
            )
        if isinstance(e, FileNotFoundError):
            return UserError(f"MCP server {self._name}: no such program: {self._server.command[0]}")
        where = self._server.url or " ".join(self._server.command)
        why = f"{e or type(e).__name__}{self._last_words()}"
        return InfrastructureError(f"MCP server {self._name} ({where}) cannot be reached: {why}")

    def _last_words(self) -> str:
        """The last line of what it wrote to its error stream, which mostly says why it ended."""
        try:
            said = self._log.read_text(encoding="utf-8", errors="replace").split("\n") if self._log is not None else []
        except OSError:
            return ""
        last = next((line.strip() for line in reversed(said) if line.strip()), "")
        return f"; {self._log} ends in: {last[:_SHOWN_CHARS]}" if last else ""


class _transport:
    """What a client connects to, and what has to be closed after it."""

    def __init__(self, server: McpServer, log: Path | None) -> None:
        self._server, self._log = server, log
        self._http: Any = None
        self._file: Any = None

    async def __aenter__(self) -> Any:
        from mcp.client.stdio import StdioServerParameters, stdio_client
        from mcp.client.streamable_http import streamable_http_client

        s = self._server
        if s.url is None:
            told = StdioServerParameters(command=s.command[0], args=list(s.command[1:]), env=_expanded(s.env) or None)
            if self._log is None:
                return _mended(stdio_client(told))
            self._log.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._log.open("a", encoding="utf-8")
            return _mended(stdio_client(told, errlog=self._file))
        import httpx2

        from agentdistill.tools._mcp_http import HttpClient

        self._http = HttpClient(headers=_expanded(s.headers), timeout=httpx2.Timeout(s.timeout_s))
        return _mended(streamable_http_client(s.url, http_client=self._http))

    async def __aexit__(self, *_: object) -> None:
        if self._http is not None:
            await self._http.aclose()
        if self._file is not None:
            self._file.close()


@asynccontextmanager
async def _mended(transport: Any) -> AsyncIterator[Any]:
    """A transport whose lists of tools and results the SDK accepts, where servers leave out what says nothing.

    The SDK refuses all tools of a server for one schema without ``"type": "object"`` at its root, and a structured
    result without ``content``.
    """
    async with transport as (incoming, outgoing):
        yield _Mended(incoming), outgoing


class _Mended:
    def __init__(self, messages: Any) -> None:
        self._messages = messages

    async def __aenter__(self) -> _Mended:
        await self._messages.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._messages.__aexit__(*error)

    def __aiter__(self) -> _Mended:
        return self

    async def __anext__(self) -> Any:
        item = await self._messages.__anext__()
        result = getattr(getattr(item, "message", None), "result", None)
        if isinstance(result, dict):
            tools = result.get("tools")
            for tool in tools if isinstance(tools, list) else ():
                if isinstance(tool, dict):
                    tool["inputSchema"] = _rooted(tool.get("inputSchema"))
                    tool |= {"outputSchema": _rooted(tool["outputSchema"])} if tool.get("outputSchema") else {}
            if "structuredContent" in result:
                result.setdefault("content", [])
        return item

    def __getattr__(self, name: str) -> Any:
        return getattr(self._messages, name)


def _rooted(schema: Any) -> Any:
    if schema is None:
        return {"type": "object"}
    return {**schema, "type": "object"} if isinstance(schema, dict) and schema.get("type") is None else schema


_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


def _expanded(values: Mapping[str, str]) -> dict[str, str]:
    """The values with ``$NAME`` and ``${NAME}`` replaced. Raises UserError for a variable that is not set."""

    def of(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name not in os.environ:
            raise UserError(f"an MCP server's settings name the variable {name}, which is not set")
        return os.environ[name]

    return {k: _VARIABLE.sub(of, v) for k, v in values.items()}


async def _all_tools(client: Any) -> list[Any]:
    out: list[Any] = []
    cursor = None
    while True:
        page = await client.list_tools(cursor=cursor)
        out += page.tools
        cursor = page.next_cursor
        if cursor is None:
            return out
