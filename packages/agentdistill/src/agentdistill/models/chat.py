"""One way from messages to token ids, shared by inference and training.

What is trained on is what the model sees: every training example is ``prompt_ids`` of a turn followed by that turn, the
very call the model answers at inference. Nothing here knows a template by name; all is read off its renderings.

How contents are kept apart from the template: a control token written in a content (``<|im_end|>`` in a web page, say)
is cut in two by a private character before rendering. After it, every control token left in the text is the template's
own, and the halves, encoded apart, can only become ordinary text.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from cachetools import LRUCache, cached

from agentdistill.errors import ModelError
from agentdistill.types import Message, Source, StopReason

_CUT = "\ufdd0"  # a Unicode noncharacter: it may never stand in text that is exchanged, so no content needs it
_PROBE = "\ufdd1"
# Some templates print today's date: a fixed one, given for the function they ask, keeps every run the same.
_FIXED_DATE = (
    "{% macro strftime_now(form) %}{{ form | replace('%d', '26') | replace('%b', 'Jul') | replace('%B', 'July')"
    " | replace('%m', '07') | replace('%y', '24') | replace('%Y', '2024') }}{% endmacro %}"
)
_Chat = tuple[tuple[str, str], ...]  # (role, content with control tokens cut)
_Ids = tuple[int, ...]
_REMEMBERED_BYTES = 16e6  # of texts, and as much of ids: what some hundred conversations come to
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Example:
    """One training sequence: token ids, and for each whether it is learned. Both have the same length."""

    input_ids: Sequence[int]
    trained: Sequence[int]  # 0 or 1


class ChatFormat:
    """A tokenizer's chat convention, found out by asking its template.

    ``end_ids`` are the ids that end a turn, the template's own marker first. Raises ModelError for a tokenizer without
    a chat template unless ``chat_template`` gives one (Jinja text).

    >>> ChatFormat(tokenizer).prompt_ids(messages)  # doctest: +SKIP
    """

    def __init__(self, tokenizer: Any, chat_template: str | None = None) -> None:
        template = chat_template or tokenizer.chat_template
        if not template:
            raise ModelError(
                f"{tokenizer.name_or_path or 'this tokenizer'} has no chat template; "
                'name a file with one: chat_template = "template.jinja"'
            )
        self.tokenizer = tokenizer
        self._template: str = _FIXED_DATE + template if "strftime_now" in template else template
        self._n_ids = len(tokenizer)
        special = {i: t.content for i, t in tokenizer.added_tokens_decoder.items() if t.special}
        self._special_ids = frozenset(special)
        self._render = _remembering(self._render_anew)
        self._encode = _remembering(self._encode_anew)
        self._checked_ids = _remembering(self._checked_ids_anew)
        self._special = _pattern(special.values())
        self._control = self._special  # widened once the template has shown which markers it uses
        self._has_system = self._shows(("system", _PROBE + "a"), ("user", _PROBE + "b"))
        self._has_neighbours = self._shows(("user", _PROBE + "a"), ("user", _PROBE + "b"))
        self._probe_turn()

    # --- what the template does -------------------------------------------------------------------------------------

    def _shows(self, *chat: tuple[str, str]) -> bool:
        """Whether the template accepts this chat and leaves nothing of it out."""
        try:
            text = self._render(chat, True)
        except ModelError:
            return False
        return all(content in text for _, content in chat)

    def _probe_turn(self) -> None:
        """Learn what stands before and after an assistant's words, and which markers divide the turns."""
        user = ("user", "a")
        prompt = self._render((user,), True)
        text = self._render((user, ("assistant", _PROBE), user), True)
        before, _, after = text.partition(_PROBE)
        if not after:
            raise ModelError("the chat template does not show what an assistant said; check chat_template")
        added = self.tokenizer.added_tokens_decoder.values()
        self._control = _pattern(t.content for t in added if t.special or t.content in text)
        lead = before[len(prompt) :] if before.startswith(prompt) else ""
        self._lead = "" if lead.strip() else lead
        found = self._special.search(after) or self._control.search(after)
        eos: int | None = self.tokenizer.eos_token_id
        # A marker that comes only after the next turn has begun ends nothing: then the tokenizer's own end is learned.
        if found and not after[: found.start()].strip():
            self._end_text = after[: found.end()]
            self._end = self._encode(self._end_text, False)
        elif eos is not None:
            self._end_text, self._end = "", (eos,)
        else:
            raise ModelError("neither the chat template nor the tokenizer has an end-of-turn token; set eos_token")
        last = self._end[-1]
        self.end_ids: _Ids = (last,) if eos in (None, last) else (last, eos)

    # --- messages to text -------------------------------------------------------------------------------------------

    def _normal(self, messages: Sequence[Message]) -> list[Message]:
        """The messages in the roles the template allows: system folded into the user turn, neighbours merged."""
        out: list[Message] = []
        fold = False
        for m in messages:
            system = m.role == "system" and not self._has_system
            if system:
                m = replace(m, role="user")
            if out and out[-1].role == m.role and (fold or not self._has_neighbours):
                last = out.pop()
                source = m.source if m.source == last.source else Source.PROMPT
                m = Message(m.role, f"{last.content}\n\n{m.content}", source, stop=m.stop)
            out.append(m)
            fold = system
        return out

    def _chat(self, messages: Sequence[Message]) -> _Chat:
        return tuple((m.role, self._shield(m.content, m.source)) for m in messages)

    def _shield(self, text: str, source: Source) -> str:
        """Cut every control token in two. A model may write added tokens that are not special (``<think>``)."""
        pattern = self._special if source is Source.MODEL else self._control
        text = text.replace(_CUT, "\ufffd").replace(_PROBE, "\ufffd")
        while found := pattern.search(text):
            middle = (found.start() + found.end()) // 2
            text = text[:middle] + _CUT + text[middle:]
        return text

    def _render_anew(self, chat: _Chat, generation: bool) -> str:
        from jinja2 import TemplateError

        try:
            text: str = self.tokenizer.apply_chat_template(
                [{"role": role, "content": content} for role, content in chat],
                chat_template=self._template,
                tokenize=False,
                add_generation_prompt=generation,
            )
        except (TemplateError, TypeError, KeyError, ValueError) as e:
            roles = ", ".join(role for role, _ in chat)
            raise ModelError(f"the chat template refuses a conversation of {roles}: {e}") from e
        return text

    # --- text to ids ------------------------------------------------------------------------------------------------

    def _encode_anew(self, text: str, begins: bool) -> _Ids:
        """Ids of rendered text; ``begins`` says that nothing stands before it, as after a cut something always does."""
        ids: list[int] = []
        for piece in text.split(_CUT):
            # Some tokenizers put a blank before what begins a text: within one, encode it behind a marker.
            anchor = "" if begins else self.tokenizer.eos_token or ""
            if piece:
                ids += self.tokenizer.encode(anchor + piece, add_special_tokens=False)[bool(anchor) :]
            begins = False
        return tuple(ids)

    def _reply_ids(self, message: Message, shown: str) -> _Ids:
        """Ids of an assistant's words, rendered as ``shown``: those it sampled, if they say the same."""
        sampled = self._sampled_ids(message)
        if sampled is not None and shown.replace(_CUT, "") in (message.content, self._lead + message.content):
            return sampled
        return self._encode(shown, False)

    def _sampled_ids(self, message: Message) -> _Ids | None:
        """The message's own ids, without the end marker, if this tokenizer could have sampled them for its content."""
        return None if message.token_ids is None else self._checked_ids(message)

    def _checked_ids_anew(self, message: Message) -> _Ids | None:
        ids = message.token_ids or ()
        if not message.content.startswith(message.prefix):
            return None
        while ids and ids[-1] in self.end_ids:
            ids = ids[:-1]
        if any(not 0 <= i < self._n_ids or i in self._special_ids for i in ids):
            return None  # another tokenizer's; or markers within a turn, which no prompt may show as such
        before = self.prefix_ids(message.prefix)
        if message.prefix + self.decode(ids, before) != message.content:
            return None
        return before + ids

    # --- what others call -------------------------------------------------------------------------------------------

    def render(self, chat: Sequence[tuple[str, str]]) -> str:
        """A conversation of ``(role, text)`` pairs as the template spells it, up to where the assistant goes on."""
        return self._render(tuple(chat), True)

    def prefix_ids(self, prefix: str) -> _Ids:
        """Ids of the beginning of an assistant turn that is given to the model."""
        return self._encode(self._lead + self._shield(prefix, Source.MODEL), False) if prefix else ()

    def marker_in(self, text: str) -> str | None:
        """The first control token of the template that ``text`` holds, None without any. Contents may hold them: they
        are shown to a model as plain text."""
        found = self._control.search(text)
        return found[0] if found else None

    def decode(self, ids: Sequence[int], before: Sequence[int] = ()) -> str:
        """Text of sampled ids that follow ``before`` in the same turn. Special tokens show as their names."""
        whole: str = self.tokenizer.decode([*before, *ids], clean_up_tokenization_spaces=False)
        if not before:
            return whole
        return whole[len(self.tokenizer.decode(list(before), clean_up_tokenization_spaces=False)) :]

    def prompt_ids(self, messages: Sequence[Message], prefix: str = "") -> list[int]:
        """The ids a model is given to continue ``messages`` with an assistant turn that begins with ``prefix``.

        Earlier assistant turns are shown with the ids they were sampled as, wherever the template shows them whole.
        """
        return [*self._prompt_ids(self._normal(messages)), *self.prefix_ids(prefix)]

    def _prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        chat = self._chat(messages)
        text = self._render(chat, True)
        ids: list[int] = []
        done = 0
        for start, stop, reply in self._replies(messages, chat, text):
            ids += self._encode(text[done:start], not done)
            ids += reply
            done = stop
        ids += self._encode(text[done:], not done)
        return ids

    def _replies(
        self, messages: Sequence[Message], chat: _Chat, text: str
    ) -> Iterator[tuple[int, int, tuple[int, ...]]]:
        """Where ``text`` shows an assistant turn as the model left it: start, stop and the ids that stand there."""
        for t, message in enumerate(messages):
            if message.role == "assistant" and t:
                prompt = self._render(chat[:t], True)
                shown = self._shown(text, prompt, chat[t][1])
                if shown is not None:
                    yield len(prompt), len(prompt) + len(shown), self._reply_ids(message, shown)

    def _shown(self, text: str, prompt: str, content: str) -> str | None:
        """How ``text`` shows ``content`` after ``prompt``: as it is, trimmed, or after a blank; None if otherwise."""
        if text.startswith(prompt):
            for variant in (content, content.strip(), self._lead + content, self._lead + content.strip()):
                if text.startswith(variant + self._end_text, len(prompt)):
                    return variant
        return None

    def examples(self, messages: Sequence[Message]) -> list[Example]:
        """The conversation as training sequences: what its model wrote is learned, with the end-of-turn marker.

        One sequence for the whole conversation if each prompt extends the one before (most templates), otherwise one
        for every turn that stands alone, each as inference sees it. A turn cut off by the length limit is learned
        without the marker: its model had not finished. Nothing learned, nothing returned.
        """
        messages = self._normal(messages)
        out: list[Example] = []
        for t, message in enumerate(messages):
            if message.role != "assistant" or message.source is not Source.MODEL:
                continue
            prompt = self._prompt_ids(messages[:t])
            learned = self._learned(messages, t)
            trained: list[int] = [False] * len(prompt)
            if out and tuple(prompt[: len(out[-1].input_ids)]) == out[-1].input_ids:
                earlier = out.pop().trained
                trained[: len(earlier)] = earlier
            out.append(Example((*prompt, *learned), (*trained, *[True] * len(learned))))
        return out

    def _learned(self, messages: Sequence[Message], t: int) -> _Ids:
        """Ids of turn ``t`` as its model wrote, or should have written, them."""
        message, chat = messages[t], self._chat(messages[: t + 1])
        ids = self._sampled_ids(message)
        if ids is None:
            ids = self._reply_ids(message, self._as_template_shows(chat))
        return ids if message.stop is StopReason.LENGTH else ids + self._end

    def _as_template_shows(self, chat: _Chat) -> str:
        """The last turn as later prompts show it, else as the template ends on it, else as it is."""
        prompt = self._render(chat[:-1], True)
        for later in ((("user", "a"),), ()):
            shown = self._shown(self._render(chat + later, bool(later)), prompt, chat[-1][1])
            if shown is not None:
                return shown
        return chat[-1][1]


def _remembering(make: Callable[..., _T]) -> Callable[..., _T]:
    """``make``, with what it made last kept: a bound on size, since what is asked may be a megabyte from anybody."""
    cache: LRUCache[Any, _T] = LRUCache(_REMEMBERED_BYTES, getsizeof=_bytes)
    return cached(cache, lock=Lock())(make)


def _bytes(made: Any) -> int:
    """Roughly the bytes of a text, or of a tuple of ids, and of what it was made from."""
    return 200 + (2 * sys.getsizeof(made) if isinstance(made, str) else 40 * len(made or ()))


def _pattern(tokens: Any) -> re.Pattern[str]:
    """Matches any of the tokens, the longest first; single characters cannot be cut and are left alone."""
    names = sorted({t for t in tokens if len(t) > 1 and not t.isspace()}, key=lambda t: (-len(t), t))
    return re.compile("|".join(map(re.escape, names)) or r"(?!)")


def read_template(path: str | Path | None) -> str | None:
    """The text of a chat template file; None stays None. Raises ModelError if the file cannot be read."""
    if path is None:
        return None
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise ModelError(f"chat_template {path}: {e.strerror if isinstance(e, OSError) else 'not UTF-8 text'}") from e
