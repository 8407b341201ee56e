"""What is counted, for Prometheus. Every application has a registry of its own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from agentdistill.serve._schema import Usage
from agentdistill.serve.agent import Agent

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

    def answered(self, model: str, outcome: str, seconds: float, usage: Usage, n_steps: int | None) -> None:
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
