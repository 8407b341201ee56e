"""The server keeps what its own OpenAPI description promises, whatever a client makes of that description."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

schemathesis = pytest.importorskip("schemathesis")
pytest.importorskip("fastapi", reason="the extra agentdistill[serve] is not installed")

from agent_server import served  # noqa: E402
from schemathesis.specs.openapi.checks import positive_data_acceptance  # noqa: E402

from agentdistill.models.scripted import Scripted  # noqa: E402

DONE = "Thought: done.\nCode:\n```py\nfinal_answer(412)\n```"


@pytest.fixture(scope="module")
def schema(environment):
    with served(Scripted(DONE, name="student"), environment) as up:
        yield schemathesis.openapi.from_url(f"{up.url}/openapi.json")


QUIET = settings(
    max_examples=25, derandomize=True, suppress_health_check=list(HealthCheck), deadline=None, phases=[Phase.generate]
)
POSITIVE, NEGATIVE = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
ASKED = ["student", "student:vote", "student:raw", None]
CHAT = "/v1/chat/completions"


@pytest.mark.parametrize("path", [CHAT, "/v1/models", "/v1/models/{name}", "/health"])
def test_calls_that_fit_the_description_are_answered_as_it_says(schema, path):
    """The status is a documented one and the body of its shape. What fits may make no sense, but its shape is taken."""
    [operation] = schema[path].values()

    @QUIET
    @given(case=operation.as_strategy(generation_mode=POSITIVE), asked=st.sampled_from(ASKED))
    def call(case, asked):
        if path == CHAT and asked is not None:
            case.body["model"] = asked
        reply = case.call_and_validate(excluded_checks=[positive_data_acceptance])
        if path == CHAT and reply.status_code == 400:
            assert reply.json()["error"]["code"] in ("no_question", "unsupported")

    call()


def test_calls_that_do_not_fit_are_refused(schema):
    [operation] = schema[CHAT].values()

    @QUIET
    @given(case=operation.as_strategy(generation_mode=NEGATIVE))
    def call(case):
        case.call_and_validate()

    call()


def test_the_description_names_every_path_and_no_error_of_another_shape(schema):
    raw = schema.raw_schema
    assert set(raw["paths"]) == {"/v1/chat/completions", "/v1/models", "/v1/models/{name}", "/health"}
    assert "HTTPValidationError" not in raw["components"]["schemas"]
    for path in raw["paths"].values():
        for operation in path.values():
            assert "422" not in operation["responses"]
            assert operation["description"] or operation["summary"]
