"""Where actions run: a sandboxed Python session with the tools, and what it says back to the model."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

from agentdistill.errors import DataError, InfrastructureError, PluginError, UserError
from agentdistill.sandbox import (
    Limits,
    Result,
    Sandbox,
    SandboxError,
    SandboxUnavailable,
    SavedStateError,
    Session,
    Stop,
)
from agentdistill.tools import Tool
from agentdistill.types import StepStatus, ToolCall

N_STATES = 4096
"""Live states at most. A hundred episodes that vote among eight candidates have nine hundred; one takes 1.2 MB."""
NO_CODE = "Error: no Python code block was found. Write one."
CUT_CODE = "Error: the reply ended inside its code block, so nothing was run. Write a shorter block and close it."
NO_REPLY = "Error: the reply ended within its reasoning, before any code."
NO_OUTPUT = "(nothing was printed)"
_STATUS = {
    Stop.OK: StepStatus.OK,
    Stop.ERROR: StepStatus.EXCEPTION,
    Stop.TIMEOUT: StepStatus.TIMEOUT,
    Stop.CPU: StepStatus.TIMEOUT,
}
_FAULTS = (Stop.BROKEN, Stop.LOST)
_PLACE = re.compile(r" \(<cell \d+>, line \d+\)\Z")  # Python's own word on where; ours follows it


@dataclass(frozen=True, slots=True)
class Execution:
    """What running an action gave: how it ended, what the model is told, and the final answer if it gave one."""

    status: StepStatus
    observation: str
    answer: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()


def error_text(kind: str, message: str, line: int | None) -> str:
    """How an exception reads in an observation."""
    return f"Error: {kind}: {message}" + (f" (line {line})" if line else "")


def shorten(text: str, n_chars: int) -> str:
    """At most about ``n_chars`` characters, the middle left out and said to be."""
    if len(text) <= n_chars:
        return text
    half = n_chars // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"


def render(result: Result, n_chars: int) -> str:
    """The observation that a result makes: what was printed, then the last value or the error."""
    parts = [result.output.rstrip("\n")] if result.output.strip() else []
    if result.error is not None:
        parts.append(error_text(result.error.type, _PLACE.sub("", result.error.message), result.error.line))
    elif not result.ok:
        parts.append(f"Error: the code was stopped: {result.stop.value}")
    elif not parts and result.value is not None:
        parts.append(result.value)
    if result.state_lost:
        parts.append("Variables are as they were before this step.")
    return shorten("\n".join(parts) or NO_OUTPUT, n_chars)


class _Record:
    """What an action asked of the tools, and the first error in one of them that is none of the model's."""

    def __init__(self) -> None:
        self.calls: list[ToolCall] = []
        self.fault: InfrastructureError | PluginError | None = None

    def functions(self, tools: Sequence[Tool]) -> dict[str, Callable[..., Any]]:
        """The tools' functions by name, every call kept here."""
        return {t.name: self._recorded(t) for t in tools}

    def _recorded(self, tool: Tool) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            arguments = json.dumps({"args": args, **kwargs} if args else kwargs, ensure_ascii=False, default=str)
            try:
                result = tool.function(*args, **kwargs)
            except Exception as e:
                if isinstance(e, InfrastructureError | PluginError):
                    self.fault = self.fault or e
                self.calls.append(ToolCall(tool.name, arguments, f"{type(e).__name__}: {e}", ok=False))
                raise
            self.calls.append(ToolCall(tool.name, arguments, str(result)))
            return result

        return call


class Workspace:
    """One episode's session. ``run`` never raises for what model code does, only InfrastructureError and PluginError.

    A tool that raises one of them (a search server that is down, a retriever's mistake) is no mistake of the model's:
    ``run`` raises it, whatever the model's code made of it.
    """

    def __init__(self, session: Session, tools: Sequence[Tool], record: _Record, observation_chars: int) -> None:
        self._session = session
        self._tools = tools
        self._record = record
        self._observation_chars = observation_chars

    def run(self, code: str) -> Execution:
        """Run one action in the session's state."""
        self._record.calls.clear()
        try:
            result = self._session.exec(code)
        except SandboxError as e:
            raise InfrastructureError(f"the sandbox failed: {e}") from e
        if self._record.fault is not None:
            raise self._record.fault
        if result.stop in _FAULTS:
            why = result.error.message if result.error is not None else result.stop.value
            raise InfrastructureError(f"the sandbox failed: {why}")
        calls = tuple(self._record.calls)
        if result.is_final:
            return Execution(StepStatus.FINAL, render(result, self._observation_chars), result.final_answer, calls)
        status = _STATUS.get(result.stop, StepStatus.LIMIT)
        if result.error is not None and result.error.type in ("SyntaxError", "IndentationError", "TabError"):
            status = StepStatus.SYNTAX
        return Execution(status, render(result, self._observation_chars), None, calls)

    def fork(self, n: int = 1) -> list[Workspace]:
        """``n`` workspaces that start in this one's state. What they do is not seen here, nor by each other."""
        records = [_Record() for _ in range(n)]
        try:
            sessions = self._session.fork(n, tools=[r.functions(self._tools) for r in records])
        except SandboxError as e:
            raise InfrastructureError(f"the sandbox failed: {e}") from e
        return [Workspace(s, self._tools, r, self._observation_chars) for s, r in zip(sessions, records, strict=True)]

    def commit(self, fork: Workspace) -> None:
        """Go on from the state that ``fork``, one of this one's forks, is in; the fork is closed."""
        try:
            self._session.commit(fork._session)
        except SandboxError as e:
            raise InfrastructureError(f"the sandbox failed: {e}") from e

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the state to a file, for :meth:`Environment.restore`: the actions run and what their tools gave.

        Raises UserError where the file cannot be written; what was there stays.
        """
        try:
            self._session.save(path)
        except OSError as e:
            raise UserError(f"{path}: {e.strerror}") from e
        except SandboxError as e:
            raise InfrastructureError(f"the sandbox failed: {e}") from e

    @property
    def differing(self) -> tuple[int, ...]:
        """Which actions, from 1, showed something else when they were replayed than when they were first run."""
        return self._session.differing

    def close(self) -> None:
        """End the session and its forks."""
        self._session.close()


class Environment:
    """A sandbox and the tools that code in it may call. Hands out one :class:`Workspace` an episode.

    It lets this process have as many open files as the system grants, for every state holds two.
    """

    def __init__(
        self,
        tools: Sequence[Tool] = (),
        *,
        mode: str = "auto",
        limits: Limits | None = None,
        observation_chars: int = 8000,
    ) -> None:
        self.tools = tuple(tools)
        self._observation_chars = observation_chars
        limits = limits or Limits()
        _allow_open_files(4 * N_STATES)
        self._box = Sandbox(mode, limits=replace(limits, n_states=max(limits.n_states, N_STATES)))  # type: ignore[arg-type]

    def open(self) -> Workspace:
        """A fresh session. Raises UserError where this machine has no such sandbox, else InfrastructureError."""

        def fresh(tools: Mapping[str, Callable[..., Any]]) -> Session:
            session = self._box.session(tools=tools)
            session.start_soon()  # while the model writes its first step
            return session

        return self._workspace(fresh)

    def restore(self, path: str | os.PathLike[str]) -> Workspace:
        """The session that :meth:`Workspace.save` wrote, its actions replayed; none of their tool calls is repeated.

        Raises DataError for a file that is torn, does not fit these tools or cannot be replayed; :meth:`open`'s errors.
        """
        return self._workspace(lambda tools: self._box.restore(path, tools=tools))

    def _workspace(self, start: Callable[[Mapping[str, Callable[..., Any]]], Session]) -> Workspace:
        record = _Record()
        try:
            session = start(record.functions(self.tools))
        except SavedStateError as e:
            raise DataError(str(e)) from e
        except SandboxUnavailable as e:
            raise UserError(str(e)) from e
        except SandboxError as e:
            raise InfrastructureError(f"the sandbox failed: {e}") from e
        return Workspace(session, self.tools, record, self._observation_chars)

    def close(self) -> None:
        """End the sandbox and every session in it."""
        self._box.close()

    def __enter__(self) -> Environment:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def _allow_open_files(n: int) -> None:
    """Raise this process's own limit to ``n``, or to what it may have: many systems begin at 1,024."""
    try:
        import resource
    except ImportError:  # Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = n if hard == resource.RLIM_INFINITY else min(n, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
