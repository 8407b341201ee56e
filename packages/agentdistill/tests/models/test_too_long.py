"""Refusals of prompts that are too long, in the words of many servers; and of what is not that."""

from __future__ import annotations

import pytest

from agentdistill.models.server import is_too_long, room

TOO_LONG: list[tuple[str, int | None]] = [
    ("This model's maximum context length is 100 tokens. However, you requested 150 tokens (90 in the messages, 60 in "
     "the completion).", 10),
    ("'max_completion_tokens' is too large: 60. This model's maximum context length is 100 tokens and your request has "
     "90 input tokens.", 10),
    ("You passed 81 input tokens and requested 60 output tokens. However, the model's context length is only 100 "
     "tokens, resulting in a maximum input length of 40 tokens.", 19),
    ("Input tokens exceed the configured limit of 100 tokens. Your messages resulted in 150 tokens.", None),
    ("The decoder prompt (length 150) is longer than the maximum model length of 100.", None),
    ("The input (150 tokens) is longer than the model's context length (100 tokens).", None),
    ("Requested token count exceeds the model's maximum context length of 100 tokens. You requested a total of 130 "
     "tokens: 80 tokens from the input messages and 50 tokens for the completion.", 20),
    ("the request exceeds the available context size. try increasing it", None),
    ("Requested tokens (150) exceed context window of 100", None),
    ("maximum context length is 100 tokens, you requested 130 tokens (70 in your prompt; 60 for the completion)",
     30),
    ("`inputs` tokens + `max_new_tokens` must be <= 100. Given: 60 `inputs` tokens and 90 `max_new_tokens`", 40),
    ("`inputs` must have less than 100 tokens. Given: 150", None),
    ("prompt is too long: 150 tokens > 100 maximum", None),
    ("input length and `max_tokens` exceed context limit: 70 + 60 > 100, decrease input length or `max_tokens`", 30),
    ("Prompt contains 150 tokens and 0 draft tokens, too large for model with 100 maximum context length", -50),
    ("The input token count (150) exceeds the maximum number of tokens allowed (100).", None),
    ("the input token count is 150 but model only supports up to 100. Reduce the input token count.", None),
    ("Please reduce the length of the messages or completion. Current length is 150 while limit is 100", -50),
    ("Trying to keep the first 150 tokens when context the overflows.", None),
    ("too many tokens: total number of tokens in the prompt cannot exceed 100 - received 150.", None),
    ("too many tokens: size limit exceeded by 50 tokens. Try using shorter or fewer inputs.", None),
    ("input length exceeds the context length", None),
    ("The sum of prompt length (60.0), query length (0), max_tokens (90) should not exceed max_num_tokens (100)", 40),
    ("Prompt length (150) exceeds maximum input length (100)", None),
    ("Input length 150 exceeds session_len 100", None),
    ("Range of input length should be [1, 100]", None),
    ("Too many input tokens. Max input tokens: 100, request input token count: 150", None),
    ("Invalid request: Your request exceeded model token limit: 100", None),
    ("Prompt 超长", None),
    ("This model's maximum prompt length is 100 but the request contains 150 tokens.", None),
    ("you requested about 150 tokens (90 of text input, 60 in the output). maximum context length is 100 tokens", 10),
    ("The maximum token limit for the model is 100. However the prompt's token length is 150", None),
    ("Request prompt has 150 tokens in total, larger than the model input length limit 100.", None),
    ("Request body too large for the model. Max size: 100 tokens.", None),
    ("Invalid 'messages[1].content': string too long. Expected a string with maximum length 100.", None),
    ("length of prompt_ids 150 > max_input_len 100", None),
    ("Your request has 150 tokens, but only 100 are allowed", None),
    ("the prompt's 150 tokens do not fit", None),
    ("length_limit: input tokens 1,500 over 1,000", None),
    ("Please ensure that prompt tokens + max tokens <= 100", None),
]  # fmt: skip
OTHER = [
    "temperature must be below 2",
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
    "max_tokens is too large: 100. This model supports at most 60 completion tokens, whereas you provided 100.",
    "max_tokens: 100 > 60, which is the maximum allowed number of output tokens",
    "Invalid max_tokens value, the valid range of max_tokens is [1, 60]",
    "`max_tokens` must be less than or equal to `60`, the maximum value for `max_tokens` is less than the "
    "`context_window` for this model",
    "The maximum tokens you requested exceeds the model limit of 60. Try again with a lower value.",
    "Input validation error: `temperature` must be strictly positive",
    "Invalid 'stop': array too long. Expected an array with maximum length 4, but got 5 instead.",
    "Invalid 'n': integer above maximum value. Expected a value <= 128, but got 200 instead.",
    "Invalid prompt: it was flagged as violating our usage policy.",
    "Conversation roles must alternate user/assistant/user/assistant/...",
    "Input data may contain inappropriate content.",
    "Too many tools in the request: 200, the maximum is 128",
    "The number of requested logprobs must be at most 20",
    "Your credit balance is too low to access the API.",
    "The request exceeds your monthly budget limit of $10",
    "Request timeout: the limit is 60 seconds",
    "This request exceeds the limit of images: at most 5 images are allowed",
    "Your request has 5 stop strings, but only 4 are allowed",
    "Bad request: 3 > 2 is no temperature",
]


@pytest.mark.parametrize(("message", "left"), TOO_LONG, ids=lambda v: str(v)[:40])
def test_a_prompt_too_long_is_seen_as_that(message: str, left: int | None) -> None:
    assert is_too_long(400, message)
    assert room(message) == left


@pytest.mark.parametrize("message", OTHER, ids=lambda v: v[:40])
def test_other_refusals_are_not(message: str) -> None:
    assert not is_too_long(400, message)


@pytest.mark.parametrize(
    ("status", "message", "code", "expected"),
    [
        (400, "no", "context_length_exceeded", True),
        (413, "Payload Too Large", "", True),
        (500, "the request exceeds the available context size", "", True),
        (429, "Rate limit reached on tokens per min (TPM): Limit 100, Used 90, Requested 20.", "", False),
        (429, "Request too large on tokens per min (TPM): Limit 100, Requested 150.", "", True),
        (401, "prompt is too long", "", False),
    ],
)
def test_the_status_and_the_code_count_too(status: int, message: str, code: str, expected: bool) -> None:
    assert is_too_long(status, message, code) is expected
