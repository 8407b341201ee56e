"""The ways servers continue an assistant turn that begins with given words, and finding out which one works."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from agentdistill.types import Message, Request, Sampling

Mode = Literal["continue_final_message", "prefill", "prefix_flag", "completions", "none"]
MODES: tuple[Mode, ...] = get_args(Mode)
COMPLETIONS = 'prefix_mode = "completions" with tokenizer = "the model\'s folder or name"'
HELP = (
    'set prefix_mode to "continue_final_message" (vLLM, SGLang), "prefill" (llama.cpp, Ollama) or "prefix_flag" '
    f"(DeepSeek, Mistral), or {COMPLETIONS} (any server with /v1/completions)"
)

# A reply that continues begins in the middle of a word. One that starts over, or begins a new turn, does not; and as no
# model would write the first words of the prefix by itself, a reply that repeats it whole is a server's echo.
_SENTENCE = "The quick brown fox jumps over the lazy dog."
PROBE_PREFIX = "Zebra 71 said: The quick brown fox jum"
PROBE_REST = "ps over"
PROBE = Request(
    messages=(Message("user", f"Repeat this sentence word for word, once: {_SENTENCE}"),),
    sampling=Sampling(max_new_tokens=16),
    prefix=PROBE_PREFIX,
)


def continues(text: str) -> bool:
    """Whether the reply to the probe, without an echo of the prefix, goes on with it."""
    return text.startswith(PROBE_REST[:2])


def chat_body(messages: Sequence[Message], prefix: str, mode: Mode) -> dict[str, Any]:
    """The part of a chat request that holds the conversation, in the mode's own form."""
    turns: list[dict[str, Any]] = [{"role": m.role, "content": m.content} for m in messages]
    if not prefix:
        return {"messages": turns}
    turn: dict[str, Any] = {"role": "assistant", "content": prefix}
    if mode == "prefix_flag":
        turn["prefix"] = True
    body: dict[str, Any] = {"messages": [*turns, turn]}
    if mode == "continue_final_message":
        body |= {"add_generation_prompt": False, "continue_final_message": True}
    return body


def no_mode(label: str, wanted: str, tried: Mapping[Mode, str]) -> str:
    """What to say of a server on which every mode that was tried came to nothing."""
    how = "; ".join(f"{mode}: {outcome}" for mode, outcome in tried.items())
    what = f"{label} does not continue an assistant prefix ({how})"
    if wanted != "auto":
        return f"{what}; {HELP}; or, if the model is only too weak for this check, set check_prefix = false"
    return (
        f"{what}; {COMPLETIONS} works with any server that has /v1/completions; or, if the model is only too weak for "
        "this check, set prefix_mode to the server's own way and check_prefix = false"
    )


class LocalTemplate:
    """A tokenizer on this machine, rendering conversations for a server that is only asked to complete text.

    Heavy: loads a tokenizer. ``source`` is a folder or a hub name.
    """

    def __init__(self, source: str) -> None:
        from transformers import AutoTokenizer

        from agentdistill.chat import ChatFormat
        from agentdistill.errors import ModelError

        try:
            tokenizer = AutoTokenizer.from_pretrained(source)
        except (OSError, ValueError) as e:
            raise ModelError(f"tokenizer {source!r} cannot be loaded ({str(e).splitlines()[0]})") from e
        self._tokenizer = tokenizer
        self._format = ChatFormat(tokenizer)

    def ids(self, messages: Sequence[Message], prefix: str) -> list[int]:
        """The prompt as token ids, exactly as a local model would be given it."""
        return self._format.prompt_ids(messages, prefix)

    def text(self, messages: Sequence[Message], prefix: str) -> str:
        """The prompt as text, for servers that take no ids; without the start marker they would add again.

        Unlike ids, text cannot keep a control token that a user wrote apart from the template's own.
        """
        ids = self.ids(messages, prefix)
        text = str(self._tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))
        bos = self._tokenizer.bos_token
        adds_bos = bos and self._tokenizer("a").input_ids[:1] == [self._tokenizer.bos_token_id]
        return text.removeprefix(bos) if adds_bos else text
