"""What the web application does with a request, the answers that are under way, and what is counted."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import Scope

from agentdistill.serve import ServeSettings
from agentdistill.serve._guard import request_id
from agentdistill.serve._replies import ResponseBuilder, bare_stream, first_or_error, stream, usage_of
from agentdistill.serve._schema import ChatRequest, CompletionUsage, Health, ModelCard, ModelList, refuse_unsupported
from agentdistill.serve.agent import Agent, Asked, Tell
from agentdistill.serve.conversation import read_chat
from agentdistill.serve.outcome import FAULT, Refused, client_gone, trace_of
from agentdistill.types import Message, Sampling, Trace
from agentdistill.verify.judging import VerifiedAnswer

# --- metrics for Prometheus; every application has its own registry ---------------------------------------------------

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """Counters and gauges of one agent; names begin with ``agentdistill_``."""

    def __init__(self, agent: Agent) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "agentdistill_requests",
            "Chat requests by the name asked for and how they ended",
            ("model", "outcome"),
            registry=registry,
        )
        self._seconds = Histogram(
            "agentdistill_request_seconds",
            "From a request to the last word of its answer",
            ("model",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._refusal_seconds = Histogram(
            "agentdistill_refusal_seconds",
            "From a request to its end where it got no answer",
            ("model", "outcome"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._steps = Histogram(
            "agentdistill_steps",
            "Steps of an answer",
            ("model",),
            buckets=(1, 2, 3, 4, 5, 6, 8, 12, 20),
            registry=registry,
        )
        self._tokens = Counter("agentdistill_tokens", "Tokens, all steps together", ("direction",), registry=registry)
        self._rows = Histogram(
            "agentdistill_batch_rows",
            "Rows of a call of the model",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128),
            registry=registry,
        )
        for name, about, value in (
            ("running", "Answers under way", lambda: agent.gate.running),
            ("waiting", "Requests that wait for their turn", lambda: agent.gate.waiting),
            ("sessions_kept", "Sessions kept for the next question", lambda: len(agent.shelf)),
        ):
            Gauge(f"agentdistill_{name}", about, registry=registry).set_function(value)
        agent.on_batch = self._rows.observe

    def answered(self, model: str, outcome: str, seconds: float, usage: CompletionUsage, n_steps: int | None) -> None:
        """An answer was given; ``n_steps`` None where no agent was at work."""
        self._requests.labels(model, outcome).inc()
        self._seconds.labels(model).observe(seconds)
        self._tokens.labels("read").inc(usage.prompt_tokens)
        self._tokens.labels("written").inc(usage.completion_tokens)
        if n_steps is not None:
            self._steps.labels(model).observe(n_steps)

    def refused(self, model: str, outcome: str, seconds: float) -> None:
        """A request ended without an answer: refused, failed, or given up by its client."""
        self._requests.labels(model, outcome).inc()
        self._refusal_seconds.labels(model, outcome).observe(seconds)

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self._registry)


# --- the handlers -----------------------------------------------------------------------------------------------------

T = TypeVar("T")
_log = logging.getLogger(__name__)
CHAT = "/v1/chat/completions"
_BEGUN = "agentdistill.begun"  # in a request's scope: the name it asks for, and since when it is being answered
_LOGGED_CHARS = 300
_MCP_AFTERWARDS_S = 1.0
"""How long the server stays for MCP clients after the last answer: some ask for the tool's schema only then."""
_SWEEP_S = 30.0
_VARIANTS = {
    "": "the agent: thought, code, observation, until it has an answer",
    ":vote": "the agent, every step taken by a vote among several candidates",
    ":verify": "the agent several times over, every trajectory checked by code, one of them chosen",
    ":raw": "the bare model, for clients that bring their own loop",
}


class Server:
    """The handlers, and the answers that are under way."""

    def __init__(self, agent: Agent, settings: ServeSettings) -> None:
        self._agent, self._settings = agent, settings
        self._metrics = Metrics(agent)
        self._started = int(time.time())
        self._under_way: set[asyncio.Task[Any]] = set()
        self._mcp: Any = None
        self._variants = [v for v in _VARIANTS if v != ":verify" or agent.choosing is not None]

    # --- life ---------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        # Code runs in sandboxes that a thread waits for each, while the model's thread must never have to wait.
        each = 2 if self._agent.choosing is None else 2 * self._agent.choosing.n
        with ThreadPoolExecutor(each * self._agent.gate.n_running + 8, "serve") as threads:
            asyncio.get_running_loop().set_default_executor(threads)
            sweeper = asyncio.create_task(self._sweep())
            try:
                if self._mcp is None:
                    yield
                else:
                    async with self._mcp.session_manager.run():
                        yield
            finally:
                sweeper.cancel()
                await self.stop(0.0)
                await self._agent.aclose()

    def mount_mcp(self, app: FastAPI) -> None:
        """Be an MCP server too, where that is asked for."""
        if self._settings.mcp:
            from agentdistill.serve._mcp import routes_of, server_of

            self._mcp = server_of(self._agent, self.ask)
            app.router.routes.extend(routes_of(self._mcp, self._settings))

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            await self._agent.shelf.sweep()

    @property
    def n_under_way(self) -> int:
        """How many answers are being worked on, those that wait for their turn apart."""
        return self._agent.gate.running

    async def stop(self, grace_s: float) -> None:
        """Take no more questions, let answers under way end for so long, and tell the rest that there will be none."""
        self._agent.gate.close(grace_s)
        if not self._under_way:
            return
        await asyncio.wait(list(self._under_way), timeout=grace_s)
        for task in self._under_way:
            task.cancel()
        if self._under_way:
            await asyncio.wait(list(self._under_way))
        if self._mcp is not None:
            await asyncio.sleep(_MCP_AFTERWARDS_S)

    # --- handlers -----------------------------------------------------------------------------------------------------

    async def chat(self, body: ChatRequest, request: Request) -> Response:
        """Answer a chat: with a name as it is by the whole agent, with ``NAME:vote`` by one that votes on every step,
        with ``NAME:verify`` by one of several trajectories that are checked, with ``NAME:raw`` by the bare model."""
        start = time.monotonic()
        variant = self._variant(body.model)
        request.scope[_BEGUN] = body.model, start
        refuse_unsupported(body.model_extra or {}, [m.model_extra or {} for m in body.messages])
        if variant == ":raw":
            return await self._bare(body, request, start)
        return await self._answer(body, request, start, variant)

    async def ask(self, asked: Asked, tell: Tell) -> Trace:
        """Answer a question that comes over MCP."""
        start, name = time.monotonic(), self._agent.name + (":vote" if asked.vote else "")
        task = self._start(self._agent.answer(asked, tell))
        try:
            await asyncio.wait([task])
            trace = self._result(task)
        except Refused as e:
            self._ended(name, start, e)
            raise
        except asyncio.CancelledError:
            self._ended(name, start, client_gone())
            raise
        finally:
            task.cancel()
        self._answered(name, start, trace)
        return trace

    def refused(self, scope: Scope, e: Refused) -> None:
        """Count a chat that got no answer, whoever refused it."""
        if scope["path"] == CHAT:
            name, start = scope.get(_BEGUN, ("", time.monotonic()))
            self._ended(name, start, e)

    async def models(self) -> ModelList:
        """The names to ask for."""
        return ModelList(data=[self._card(v) for v in self._variants])

    async def model(self, name: str) -> ModelCard:
        """One of them."""
        return self._card(self._variant(name))

    async def health(self) -> Response:
        """Whether questions are taken: 200, or 503 while the server shuts down."""
        gate = self._agent.gate
        status = Health(status="ok" if gate.is_open else "shutting_down", running=gate.running, waiting=gate.waiting)
        return JSONResponse(status.model_dump(), 200 if gate.is_open else 503)

    async def metrics(self) -> Response:
        """Everything counted, for Prometheus."""
        return Response(self._metrics.text(), media_type=CONTENT_TYPE)

    # --- answers ------------------------------------------------------------------------------------------------------

    async def _answer(self, body: ChatRequest, request: Request, start: float, variant: str) -> Response:
        if (body.n or 1) != 1:
            raise Refused(400, "unsupported", "an agent gives one answer: leave n out", param="n")
        asked = Asked(
            read_chat([(m.role, m.text) for m in body.messages]),
            variant == ":vote",
            body.temperature,
            body.top_p,
            body.n_tokens,
            body.seed,
            body.conversation,
            body.stops,
        )
        replies = ResponseBuilder(body.model, body.stops, self._warnings(body))
        events: asyncio.Queue[Any] = asyncio.Queue()
        find = self._agent.choose if variant == ":verify" else self._agent.answer
        task: asyncio.Task[Trace | VerifiedAnswer] = self._start(find(asked, events.put_nowait))
        task.add_done_callback(lambda _: events.put_nowait(None))

        def done(outcome: str) -> None:
            e = task.exception() if task.done() and not task.cancelled() else None
            if outcome == "answered":
                self._answered(body.model, start, task.result())
            elif isinstance(e, Refused):
                self._ended(body.model, start, e)
            else:
                self._metrics.refused(body.model, outcome, time.monotonic() - start)

        if not body.stream:
            found = await self._unless_gone(task, request)
            self._answered(body.model, start, found)
            return JSONResponse(replies.completion(found).model_dump())
        gone = asyncio.create_task(_gone(request))
        first = await first_or_error(task, events, gone, self._settings.patience_s, self._why_cancelled)
        usage = body.stream_options is not None and body.stream_options.include_usage
        chunks = stream(replies, task, events, first, asked.vote, usage, self._why_cancelled, done)
        return StreamingResponse(chunks, media_type="text/event-stream", headers=_UNBUFFERED)

    async def _bare(self, body: ChatRequest, request: Request, start: float) -> Response:
        messages = [Message("system" if m.role == "developer" else m.role, m.text) for m in body.messages]
        own = self._agent.sampling
        temperature = own.temperature if body.temperature is None else body.temperature
        sampling = Sampling(temperature, body.top_p or own.top_p, body.n_tokens or own.max_new_tokens, body.stops)
        replies = ResponseBuilder(body.model)
        task = self._start(self._agent.complete(messages, sampling, body.n or 1, body.seed))
        samples = await self._unless_gone(task, request)
        completion = replies.bare_completion(samples, "")
        self._metrics.answered(body.model, "answered", time.monotonic() - start, completion.usage, None)
        if body.stream:
            usage = body.stream_options is not None and body.stream_options.include_usage
            return StreamingResponse(bare_stream(replies, completion, usage), media_type="text/event-stream")
        return JSONResponse(completion.model_dump())

    def _start(self, answer: Awaitable[T]) -> asyncio.Task[T]:
        task: asyncio.Task[T] = asyncio.ensure_future(answer)  # type: ignore[assignment]
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    async def _unless_gone(self, task: asyncio.Task[T], request: Request) -> T:
        """The task's result. A client that goes away takes its answer along; raises Refused for one that is stopped."""
        gone = asyncio.create_task(_gone(request))
        try:
            await asyncio.wait([task, gone], return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise client_gone()
            return self._result(task)
        finally:
            gone.cancel()
            task.cancel()

    def _result(self, task: asyncio.Task[T]) -> T:
        if task.cancelled():
            raise self._why_cancelled()
        return task.result()

    def _why_cancelled(self) -> Refused:
        return self._agent.gate.shutting_down("the server was shut down before it had an answer")

    def _answered(self, name: str, start: float, found: Trace | VerifiedAnswer) -> None:
        trace = trace_of(found)
        seconds = time.monotonic() - start
        self._metrics.answered(name, trace.end.value, seconds, usage_of(found), len(trace.steps))

    def _ended(self, name: str, start: float, e: Refused) -> None:
        """Count it; of what the world is to blame for, tell whoever reads the log too."""
        self._metrics.refused(name, e.code, time.monotonic() - start)
        if e.code == FAULT:
            _log.warning("%s: %s", request_id.get(), " ".join(str(e).split())[:_LOGGED_CHARS])

    def _warnings(self, body: ChatRequest) -> tuple[str, ...]:
        most, wanted = self._agent.sampling.max_new_tokens, body.n_tokens
        if wanted is None or wanted <= most:
            return ()
        name = "max_tokens" if body.max_completion_tokens is None else "max_completion_tokens"
        return (f"{name} {wanted} is more than a step of this agent may have: each may have {most} tokens",)

    def _variant(self, name: str) -> str:
        variant = name.removeprefix(self._agent.name)
        if not name.startswith(self._agent.name) or variant not in self._variants:
            names = ", ".join(self._agent.name + v for v in self._variants)
            raise Refused(404, "model_not_found", f"no such model; there are: {names}", param="model")
        return variant

    def _card(self, variant: str) -> ModelCard:
        return ModelCard(id=self._agent.name + variant, created=self._started, description=_VARIANTS[variant])


_UNBUFFERED = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


async def _gone(request: Request) -> None:
    """Return once the client has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
