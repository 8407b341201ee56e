"""What goes over the wire, as OpenAI's chat API has it, and what is ours besides; and the parameters that are refused.

Those are parameters of OpenAI's API and of other servers that would change an answer and cannot be honoured here: left
alone, they would seem to have been done. A value that asks for nothing (a penalty of 0, ``tools: []``) is accepted,
since many clients send every field they know. What changes no answer (``user``, ``store``, ``metadata``) is accepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from agentdistill.serve.outcome import Refused


def _utf8(text: str) -> str:
    """Refuse half a surrogate pair, which JSON can write and no tokenizer can read."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise PydanticCustomError("not_unicode", "Input should be Unicode text") from None
    return text


def _whole(value: Any) -> Any:
    """JSON knows no difference between 1.0 and 1."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Text = Annotated[str, AfterValidator(_utf8)]


def _bound(value: Any) -> Any:
    """-1 is how llama.cpp's clients and LM Studio's say that there is no bound."""
    value = _whole(value)
    return None if value == -1 and not isinstance(value, bool) else value


_UNBOUNDED = {"type": "integer", "const": -1}
_BOUNDED = {"type": "integer", "minimum": 1, "exclusiveMaximum": 2**31}
Tokens = Annotated[
    Annotated[int, Field(ge=1, lt=2**31)] | None,
    BeforeValidator(_bound),
    WithJsonSchema({"anyOf": [_BOUNDED, _UNBOUNDED, {"type": "null"}]}),
]
Seed = Annotated[int, Field(ge=-(10**20), le=10**20), BeforeValidator(_whole)]
"""Any seed of 64 bits and more. An OpenAPI description writes bounds as floats: 2**63 would be read back as
9223372036854776000, and clients that trust the description be refused. A power of ten keeps its value."""


class _In(BaseModel):
    """Read as it stands, nothing converted. Keys that are not known are kept, for :func:`refuse_unsupported`."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class TextPart(_In):
    """A piece of a message's content."""

    type: Literal["text"]
    text: Text


class ChatMessage(_In):
    """One message. Images, sounds and calls of the client's own tools are not known here. Null says nothing."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Text | Annotated[list[TextPart], Field(max_length=1000)] | None = None

    @property
    def text(self) -> str:
        """The words, parts joined."""
        return self.content if isinstance(self.content, str) else "".join(p.text for p in self.content or ())


class StreamOptions(_In):
    """``include_usage`` sends the token counts at the end of a stream."""

    include_usage: bool = False


class ChatRequest(_In):
    """A chat to be answered. ``conversation`` is ours: a name of the client's choosing, hard to guess, under which the
    agent's variables are kept for the next question. Parameters of other servers that would change the answer are
    refused by their names, unless their value asks for nothing."""

    model: Annotated[Text, Field(min_length=1, max_length=256)]
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=1000)]
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_tokens: Tokens = None
    max_completion_tokens: Tokens = None
    n: Annotated[int, Field(ge=1, le=16), BeforeValidator(_whole)] | None = None
    seed: Seed | None = None
    stop: Text | Annotated[list[Text], Field(max_length=16)] | None = None
    conversation: Annotated[Text, Field(min_length=8, max_length=128)] | None = None

    @property
    def n_tokens(self) -> int | None:
        """The bound on new tokens, by its new name or its old one; None without one."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def stops(self) -> tuple[str, ...]:
        """The stop strings, empty ones left out."""
        wanted = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return tuple(s for s in wanted if s)


class CompletionUsage(BaseModel):
    """Tokens read and written, all steps together: a prompt that grows from step to step counts at each."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ReplyMessage(BaseModel):
    """The answer; ``reasoning_content`` shows the steps as text, ``steps`` as data. ``verification`` is there where one
    of several trajectories was chosen: all of them, what the checks said of each, and why it was that one."""

    role: Literal["assistant"] = "assistant"
    content: str
    reasoning_content: str | None = None
    steps: list[dict[str, Any]] | None = None
    verification: dict[str, Any] | None = None


class Choice(BaseModel):
    """One reply and why it ended: ``length`` where steps, context or tokens were used up."""

    index: int
    message: ReplyMessage
    finish_reason: Literal["stop", "length"]
    logprobs: None = None


class Completion(BaseModel):
    """An answer in one piece. ``warnings`` are ours: what of the request was not done as it says."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: CompletionUsage
    warnings: list[str] | None = None


class ModelCard(BaseModel):
    """A name to ask for."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "agentdistill"
    description: str


class ModelList(BaseModel):
    """The names there are."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


class Health(BaseModel):
    """Whether questions are taken, and how many are under way."""

    status: Literal["ok", "shutting_down"]
    running: int
    waiting: int


class ErrorBody(BaseModel):
    """What is wrong: a line for people, a code for programs, the part of the request that is at fault."""

    message: str
    type: str
    param: str | None
    code: str


class ErrorResponse(BaseModel):
    """An error, as OpenAI words it."""

    error: ErrorBody


NOT_JSON = "the body is not a JSON object"


def refused_by(errors: list[Any]) -> Refused:
    """What pydantic found wrong, as one line; nothing of what was sent is repeated."""
    first = min(errors, key=_is_other_kind)
    path = [str(p) for p in first["loc"] if p != "body" and not _is_kind(p)]
    if first["type"] == "json_invalid":
        return Refused(400, "invalid_json", f"{NOT_JSON}: {first['ctx']['error']}")
    if not path:
        return Refused(400, "invalid_json", NOT_JSON)
    place = ".".join(path)
    return Refused(400, "invalid_value", f"{place}: {first['msg']}", param=place)


def _is_kind(part: str | int) -> bool:
    """Whether a part of a place is pydantic's name for one of the kinds a field may have, as ``list[TextPart]``."""
    return "[" in str(part)


def _is_other_kind(error: Any) -> bool:
    """Whether a value was only found not to be of a kind that its field may have among others."""
    return _is_kind(error["loc"][-1]) and error["type"] in ("string_type", "list_type")


# --- what is refused by name ------------------------------------------------------------------------------------------

_REASONS = (
    (
        "the agent has tools of its own and takes none",
        "tools functions tool_choice function_call web_search_options search_parameters plugins mcp_servers",
    ),
    (
        "an answer is plain text and takes no other form",
        "response_format json_schema grammar regex ebnf structured_outputs structural_tag guided_json guided_regex "
        "guided_choice guided_grammar modalities audio echo format response_schema",
    ),
    ("there are no log probabilities of an answer", "logprobs top_logprobs prompt_logprobs n_probs"),
    (
        "sampling takes temperature, top_p, seed and stop alone",
        "frequency_penalty presence_penalty repetition_penalty repeat_penalty length_penalty no_repeat_ngram_size "
        "logit_bias bad_words allowed_token_ids stop_token_ids logits_processors top_k min_p top_a typical typical_p "
        "tfs_z mirostat dynatemp_range xtc_probability dry_multiplier "
        "smoothing_factor penalty_alpha random_seed best_of use_beam_search num_beams",
    ),
    (
        "the length is bounded by max_tokens alone",
        "max_new_tokens max_output_tokens max_length n_predict num_predict num_ctx min_tokens "
        "min_new_tokens ignore_eos",
    ),
    (
        "how long the agent thinks cannot be set",
        "reasoning reasoning_effort verbosity think thinking enable_thinking thinking_budget thinking_config",
    ),
    (
        "the prompt is made of messages alone, by the server's own template",
        "chat_template chat_template_kwargs documents system instructions input prompt suffix safe_prompt "
        "truncate_prompt_tokens transforms",
    ),
    ("stop strings are given as stop", "stop_sequences stop_regex include_stop_str_in_output"),
    ("parameters stand beside messages", "options extra_body parameters generation_config"),
)
_WHY = {name: why for why, names in _REASONS for name in names.split()}
_FACTORS = frozenset(
    ["repetition_penalty", "repeat_penalty", "length_penalty", "typical", "typical_p", "tfs_z", "best_of", "num_beams"]
)
_OFF_BELOW_ZERO = frozenset({"top_k", "n_predict", "num_predict"})
_SAME: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(_FACTORS, (1,)),
    "tool_choice": ("none", "auto"),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "verbosity": ("medium",),
    "reasoning_effort": ("none",),
    "thinking": ({"type": "disabled"},),
}
"""Values that ask for nothing; besides, null, false, what is empty, and 0 where it is no factor."""
_IN_MESSAGES = {
    "tool_calls": "calls of a client's own tools are not known here",
    "function_call": "calls of a client's own tools are not known here",
    "audio": "messages are text",
}


def refuse_unsupported(fields: Mapping[str, Any], messages: list[Mapping[str, Any]]) -> None:
    """Raise Refused for the first of a request's further ``fields``, or of its messages', that cannot be honoured."""
    for name, value in fields.items():
        if name in _WHY and _asks(name, value):
            raise Refused(400, "unsupported", f"{name} cannot be honoured: {_WHY[name]}", param=name)
    for i, message in enumerate(messages):
        for name, why in _IN_MESSAGES.items():
            if message.get(name):
                place = f"messages.{i}.{name}"
                raise Refused(400, "unsupported", f"{place} cannot be honoured: {why}", param=place)


def _asks(name: str, value: Any) -> bool:
    """Whether a value asks for something."""
    if name in _OFF_BELOW_ZERO and isinstance(value, int | float) and value < 0:
        return False
    if any(value == same for same in _SAME.get(name, ())):
        return False
    return value is not None and (bool(value) or (name in _FACTORS and value == 0))
