"""The server keeps what its own OpenAPI description promises, whatever a client makes of that description."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

schemathesis = pytest.importorskip("schemathesis")
pytest.importorskip("fastapi", reason="the extra agentdistill[serve] is not installed")

from agent_server import served  # noqa: E402
from pydantic import ValidationError  # noqa: E402
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance  # noqa: E402

from agentdistill.models.scripted import Scripted  # noqa: E402
from agentdistill.serve._schema import ChatRequest  # noqa: E402

DONE = "Thought: done.\nCode:\n```py\nfinal_answer(412)\n```"


@pytest.fixture(scope="module")
def schema(environment):
    with served(Scripted(DONE, name="student"), environment) as up:
        yield schemathesis.openapi.from_url(f"{up.url}/openapi.json")


QUIET = settings(max_examples=40, suppress_health_check=list(HealthCheck), deadline=None, phases=[Phase.generate])
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
        reply = case.call()
        # Too large is a refusal as well, whatever else is wrong with it; the checker does not know that.
        case.validate_response(reply, excluded_checks=[negative_data_rejection] if reply.status_code == 413 else [])

    call()


def chat_with(**more) -> dict:
    return {"model": "student", "messages": [{"role": "user", "content": "How long is the Aren?"}], **more}


def taken(body: dict) -> bool:
    try:
        ChatRequest.model_validate(json.loads(json.dumps(body)))
    except ValidationError:
        return False
    return True


def bounds(schema) -> list[tuple[str, str, Decimal, bool]]:
    """Every bound of a number that the description gives: the field, the keyword, the bound, whether whole."""
    fields = schema.raw_schema["components"]["schemas"]["ChatRequest"]["properties"]
    return [
        (field, keyword, Decimal(str(kind[keyword])), kind["type"] == "integer")
        for field, about in fields.items()
        for kind in about.get("anyOf", [about])
        for keyword in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
        if keyword in kind
    ]


def test_numbers_are_taken_up_to_the_very_bounds_of_the_description_and_not_beyond(schema):
    """The description is read as it is written, digit by digit: its bounds have to survive that."""
    found = bounds(schema)
    assert {field for field, *_ in found} == {
        "temperature", "top_p", "max_tokens", "max_completion_tokens", "n", "seed",
    }  # fmt: skip
    for field, keyword, bound, whole in found:
        out = 1 if "max" in keyword.lower() else -1
        step = 1 if whole else Decimal("0.001")
        edge = bound - out * step if "exclusive" in keyword else bound
        number = int if whole else float
        assert taken(chat_with(**{field: number(edge)})), (field, keyword)
        assert not taken(chat_with(**{field: number(edge + out * step)})), (field, keyword)


def test_whole_numbers_of_any_spelling_and_seeds_of_64_bits_are_taken():
    for seed in (2**63 - 1, -(2**63), 2**64 - 1, 7.0, 0):
        assert taken(chat_with(seed=seed)), seed
    assert taken(chat_with(n=2.0, max_tokens=16.0))
    assert not any(taken(chat_with(**{field: value})) for field in ("n", "seed") for value in (True, 1.5, "1"))


def test_the_description_names_every_path_and_no_error_of_another_shape(schema):
    raw = schema.raw_schema
    assert set(raw["paths"]) == {"/v1/chat/completions", "/v1/models", "/v1/models/{name}", "/health"}
    assert "HTTPValidationError" not in raw["components"]["schemas"]
    for path in raw["paths"].values():
        for operation in path.values():
            assert "422" not in operation["responses"]
            assert operation["description"] or operation["summary"]
