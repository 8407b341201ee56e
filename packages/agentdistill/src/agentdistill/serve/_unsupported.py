"""Parameters of OpenAI's API and of other servers that would change an answer and cannot be honoured here.

Left alone, they would seem to have been done. A value that asks for nothing (a penalty of 0, ``tools: []``) is taken,
since many clients send every field they know. What changes no answer (``user``, ``store``, ``metadata``) is not here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentdistill.serve.refused import Refused

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
