"""Tools of MCP servers, told to a model as the Python functions that its code may call.

A server is started by a command and spoken to over its standard streams, or reached by a URL (streamable HTTP). Its
connection lives on a thread of its own and is made anew when the server, or its memory of us, has gone and a tool is
called again. What a tool says is a mistake becomes an exception in the model's code; a server that does not answer, or
whose HTTP says that it cannot, is a fault of the world.
"""

from __future__ import annotations

import asyncio
import atexit
import builtins
import inspect
import json
import keyword
import os
import re
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from agentdistill.errors import InfrastructureError, RecipeError, UserError
from agentdistill.tools import FINAL_ANSWER, Tool

if TYPE_CHECKING:
    from pydantic import ValidationError

__all__ = ["McpConnection", "McpServer", "ToolFailed", "mcp_tools", "python_type"]

T = TypeVar("T")
_SHOWN_CHARS = 200
_REFUSED, _SESSION_LOST = -32018, -32019
"""Codes of our own, as JSON-RPC errors: the request did not reach a tool; the server no longer knows our session."""
_STATUSES = frozenset({401, 402, 403, 407, 408, 425, 429})
"""Statuses, beside 500 and more, with which a server, or whatever stands before it, refuses."""


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
        from mcp_types import CONNECTION_CLOSED, INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR, REQUEST_TIMEOUT

        # Codes that no tool answers with. An internal error is none: plain servers report what a tool raises so.
        outages = {CONNECTION_CLOSED, REQUEST_TIMEOUT, INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR}
        link = self._linked()
        try:
            return link.do(work, self.server.timeout_s)
        except MCPError as e:
            if e.code not in outages | {_REFUSED, _SESSION_LOST}:
                raise
            if e.code != _REFUSED:  # which leaves the connection, and the calls of others on it, unharmed
                self._drop(link)
            if e.code == _SESSION_LOST and again:
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
        self._http = _http_client(_expanded(s.headers), s.timeout_s)
        return _mended(streamable_http_client(s.url, http_client=self._http))

    async def __aexit__(self, *_: object) -> None:
        if self._http is not None:
            await self._http.aclose()
        if self._file is not None:
            self._file.close()


def _http_client(headers: dict[str, str], timeout_s: float) -> Any:
    """A client whose answers of some statuses are JSON-RPC errors with codes of our own, whatever their body was."""
    import httpx2

    class Client(httpx2.AsyncClient):
        async def send(self, request: httpx2.Request, **how: Any) -> httpx2.Response:
            response = await super().send(request, **how)
            status = response.status_code
            if status == 404 and "mcp-session-id" in response.request.headers:
                code = _SESSION_LOST
            elif status in _STATUSES or status >= 500:
                code = _REFUSED
            else:
                return response
            await response.aclose()
            error = {"code": code, "message": f"HTTP {status} {response.reason_phrase}".rstrip()}
            body = {"jsonrpc": "2.0", "id": None, "error": error}
            return httpx2.Response(status, json=body, request=request)

    return Client(headers=headers, timeout=httpx2.Timeout(timeout_s))


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


# --- a tool in Python's terms: its schema as a signature, its description as a docstring, a result as a value ---


@dataclass(frozen=True, slots=True)
class Parameter:
    """One property of a tool's input: its own name, and how Python writes it."""

    name: str
    python: inspect.Parameter
    shown: str
    about: str
    may_be_left_out: bool


def parameters_of(schema: Mapping[str, Any]) -> list[Parameter]:
    """The properties of an input schema, those needed first, as parameters; the order is otherwise the schema's.

    Where the schema says that it takes other keys too, the last parameter takes them (``**more``).
    """
    whole = _whole(schema, schema)
    properties, needed = whole.get("properties") or {}, set(whole.get("required") or ())
    out: list[Parameter] = []
    taken: set[str] = set()
    for name in sorted(properties, key=lambda n: n not in needed):
        about = properties[name] if isinstance(properties[name], Mapping) else {}
        out.append(_parameter(name, _free(identifier(name), taken), about, name in needed, schema))
    if whole.get("additionalProperties"):
        python = _free("more", taken)
        out.append(Parameter("", inspect.Parameter(python, inspect.Parameter.VAR_KEYWORD), f"**{python}", "", False))
    return out


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _parameter(name: str, python: str, about: Mapping[str, Any], needed: bool, root: Mapping[str, Any]) -> Parameter:
    kind = python_type(about, root)
    text = str(about.get("description") or "").strip()
    if needed:
        parameter = inspect.Parameter(python, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        return Parameter(name, parameter, f"{python}: {kind}", text, False)
    default = about.get("default")
    parameter = inspect.Parameter(python, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default)
    if default is None and kind != "Any" and "None" not in kind.split(" | "):
        kind += " | None"
    shown = repr(default) if len(repr(default)) <= _LONGEST_DEFAULT else "..."
    return Parameter(name, parameter, f"{python}: {kind} = {shown}", text, default is None)


# --- schemas ----------------------------------------------------------------------------------------------------------

_TYPES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None", "object": "dict"}
# Characters of an object's keys, or of an enumeration's values; beyond, their type alone is told: a model reads every
# signature in every prompt.
_LONGEST = 300
_LONGEST_DEFAULT = 100


def python_type(schema: Any, root: Mapping[str, Any] | None = None) -> str:
    """A JSON schema as a Python type hint; ``Any`` for what has no plain one. An object is told by its keys.

    >>> python_type({"type": "array", "items": {"type": "integer"}})
    'list[int]'
    >>> python_type({"anyOf": [{"enum": ["a", "b"]}, {"type": "null"}]})
    "Literal['a', 'b'] | None"
    >>> python_type({"properties": {"name": {"type": "string"}, "n": {"type": "integer"}}, "required": ["name"]})
    '{name: str, n: NotRequired[int]}'
    """
    return _hint(schema, root or {}, ())


def _hint(schema: Any, root: Mapping[str, Any], within: tuple[str, ...]) -> str:
    """``within`` are the references that are being followed, at any depth: one of them again is told by its type."""
    if not isinstance(schema, Mapping) or len(within) > 8:
        return "Any"
    ref = schema.get("$ref")
    if isinstance(ref, str):
        if ref in within:
            return "dict" if _whole(_resolved(ref, root), root).get("properties") else "Any"
        within = (*within, ref)
    whole = _whole(schema, root, variants=False)
    if whole.pop("nullable", False) is True:  # as OpenAPI says it
        return " | ".join(dict.fromkeys([_hint(whole, root, within), "None"]))
    if isinstance(whole.get("enum"), list) and whole["enum"]:
        values = f"Literal[{', '.join(map(repr, whole['enum']))}]"
        return values if len(values) <= _LONGEST else " | ".join(dict.fromkeys(_named_type(v) for v in whole["enum"]))
    if "const" in whole:
        return f"Literal[{whole['const']!r}]"
    kinds = whole.get("anyOf") or whole.get("oneOf")
    if isinstance(kinds, list) and kinds:
        return " | ".join(dict.fromkeys(_hint(k, root, within) for k in kinds))
    kind = whole.get("type")
    if isinstance(kind, list):
        return " | ".join(dict.fromkeys(_hint({**whole, "type": k}, root, within) for k in kind)) or "Any"
    if kind == "array":
        inner = _hint(whole.get("items"), root, within)
        return "list" if inner == "Any" else f"list[{inner}]"
    if kind in ("object", None) and (whole.get("properties") or kind == "object"):
        return _keys(whole, root, within)
    return _TYPES.get(kind, "Any") if isinstance(kind, str) else "Any"


def _named_type(value: Any) -> str:
    return "None" if value is None else type(value).__name__


def _keys(schema: Mapping[str, Any], root: Mapping[str, Any], within: tuple[str, ...]) -> str:
    properties, needed = schema.get("properties"), schema.get("required") or ()
    if not isinstance(properties, Mapping) or not properties:
        values = _hint(schema.get("additionalProperties"), root, within)
        return "dict" if values == "Any" else f"dict[str, {values}]"
    told = []
    for name, about in properties.items():
        hint = _hint(about, root, (*within, "")) if len(within) < 8 else "Any"
        key = name if name.isidentifier() and not keyword.iskeyword(name) else repr(name)
        told.append(f"{key}: {hint if name in needed else f'NotRequired[{hint}]'}")
    text = "{" + ", ".join(told) + "}"
    return text if len(text) <= _LONGEST else "dict"


def _whole(schema: Any, root: Mapping[str, Any], variants: bool = True, depth: int = 0) -> dict[str, Any]:
    """A schema with what it refers to and all of ``allOf`` in it.

    With ``variants``, the properties of its alternatives are there too, needed where each of them needs them.
    """
    if not isinstance(schema, Mapping) or depth > 8:
        return {}
    parts = [_resolved(schema["$ref"], root)] if isinstance(schema.get("$ref"), str) else []
    parts += schema["allOf"] if isinstance(schema.get("allOf"), list) else []
    own = {k: v for k, v in schema.items() if k not in ("$ref", "allOf")}
    out = _joined([*(_whole(p, root, variants, depth + 1) for p in parts), own])
    for case in ("then", "else") if variants else ():
        asked = _whole(out.get(case), root, True, depth + 1).get("properties")
        out = _joined([{"properties": asked}, out])
    kinds = out.get("anyOf") or out.get("oneOf")
    if variants and isinstance(kinds, list) and kinds:
        found = [_whole(k, root, True, depth + 1) for k in kinds]
        if all(f.get("properties") for f in found):
            shared = set.intersection(*(set(f.get("required") or ()) for f in found))
            out = _joined(
                [{**f, "required": [n for n in f.get("required") or () if n in shared]} for f in found] + [out]
            )
    return out


def _joined(schemas: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Schemas that all hold, as one: later ones win, properties and what is required add up."""
    out: dict[str, Any] = {}
    for schema in schemas:
        properties, needed = schema.get("properties"), schema.get("required")
        both = {**(out.get("properties") or {}), **(properties if isinstance(properties, Mapping) else {})}
        required = dict.fromkeys([*(out.get("required") or ()), *(needed if isinstance(needed, list) else ())])
        out |= schema
        out |= ({"properties": both} if both else {}) | ({"required": list(required)} if required else {})
    return out


def _resolved(ref: str, root: Mapping[str, Any]) -> Any:
    """What a reference within the schema points to; nothing is fetched."""
    found: Any = root
    for part in ref.removeprefix("#").strip("/").split("/") if ref != "#" else ():
        found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    return found


# --- names, results ---------------------------------------------------------------------------------------------------


def tool_name(name: str) -> str:
    """A tool's name as Python can write it. No builtin: what calls ``print`` or ``sum`` means Python's own."""
    out = identifier(name)
    return f"{out}_" if hasattr(builtins, out) else out


def identifier(name: str) -> str:
    """A tool's or a property's name as Python can write it."""
    out = re.sub(r"\W", "_", name, flags=re.ASCII) or "_"
    out = f"_{out}" if out[0].isdigit() else out
    return f"{out}_" if keyword.iskeyword(out) or out == FINAL_ANSWER else out


def doc_of(offered: Any, parameters: list[Parameter]) -> str:
    """What the model is told: the tool's description, then a line for each parameter that has one."""
    about = (offered.description or offered.title or offered.name).strip().replace('"""', "'''")
    lines = [f"{p.python.name}: {' '.join(p.about.split())}" for p in parameters if p.about]
    told = [line for line in lines if line not in about]
    return "\n".join([about, "", *told]) if told else about


def result_type(schema: Mapping[str, Any] | None) -> str:
    """The hint of what a call gives: its structured result's, where there is a schema of one."""
    if schema is None:
        return "str"
    return python_type(schema["properties"]["result"], schema) if _is_wrapped(schema) else python_type(schema, schema)


def _is_wrapped(schema: Mapping[str, Any] | None) -> bool:
    """Whether a plain value was put into an object only because results had to be objects."""
    return schema is not None and set(schema.get("properties") or {}) == {"result"}


def value_of(result: Any, schema: Mapping[str, Any] | None) -> Any:
    """What a call gives: its structured result, out of the object that its schema puts it into, else its text."""
    structured = result.structured_content
    if structured is None:
        return text_of(result)
    return structured["result"] if _is_wrapped(schema) and "result" in structured else structured


def text_of(result: Any) -> str:
    """The text of a result; what is not text is named, with its address where it has one."""
    return "\n".join(map(_block, result.content))


def _block(block: Any) -> str:
    inner = getattr(block, "resource", block)
    text = getattr(inner, "text", None)
    if text is not None:
        return str(text)
    facts = [getattr(inner, "uri", None), getattr(inner, "mime_type", None)]
    return f"[{block.type}: {', '.join(str(f) for f in facts if f) or 'not text'}]"
