"""Ollama's Modelfile: the GGUF file beside it, how a conversation is spelt, what opens it, how it is sampled.

Ollama spells conversations by a template of Go's, not by the tokenizer's own. What the tokenizer's puts between turns
is read off its renderings, and written down in Go's words only if that spells conversations just as it does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agentdistill.types import Sampling

Chat = Sequence[tuple[str, str]]
Render = Callable[[Chat], str]
_S, _U, _A, _V = (f"\ufdd2{name}" for name in "suav")  # noncharacters: no template has them
_CHECKS: tuple[Chat, ...] = (
    (("system", "s"), ("user", "a b\nc")),
    (("system", "s\n\ns"), ("user", "one"), ("assistant", "two\n```py\nx\n```"), ("user", "three")),
    (("system", "s"), ("user", "1"), ("assistant", "2"), ("user", "3"), ("assistant", "4"), ("user", "5")),
)


@dataclass(frozen=True, slots=True)
class Turns:
    """What stands around each turn, and what opens the model's own. ``opening`` stands before everything."""

    opening: str
    system: tuple[str, str]
    user: tuple[str, str]
    assistant: tuple[str, str]
    reply: str

    def render(self, chat: Chat) -> str:
        """A conversation of ``(role, text)`` pairs up to where the model goes on."""
        around = {"system": self.system, "user": self.user, "assistant": self.assistant}
        return self.opening + "".join(around[r][0] + text + around[r][1] for r, text in chat) + self.reply

    @property
    def go(self) -> str:
        """The same as a Go template of Ollama's, which adds the opening itself."""
        cases = [("system", self.system), ("user", self.user), ("assistant", self.assistant)]
        words = [
            f'{{{{ {"else " if i else ""}if eq .Role "{role}" }}}}{before}{{{{ .Content }}}}{after}'
            for i, (role, (before, after)) in enumerate(cases)
        ]
        return "{{ range .Messages }}" + "".join(words) + "{{ end }}{{ end }}" + self.reply


def turns_of(render: Render, begin: str = "") -> Turns | None:
    """What a template puts around turns, ``begin`` being the text that begins every conversation; None for a template
    that does more than that. Where every turn has that text, it is the turn's own mark and stays.
    Conversations are taken to open with a system message, as an agent's do."""
    text = render((("system", _S), ("user", _U), ("assistant", _A), ("user", _V)))
    pieces = []
    for mark in (_S, _U, _A, _V):
        before, found, text = text.partition(mark)
        if not found:
            return None
        pieces.append(before)
    first, *between = pieces
    begin = "" if begin and all(begin in piece for piece in between) else begin
    first = first.removeprefix(begin)
    alone = render((("user", _U),)).partition(_U)[0]
    user = _common_end(between[0], between[2], alone)
    turns = Turns(
        opening=begin,
        system=(first, between[0].removesuffix(user)),
        user=(user, ""),
        assistant=(between[1], between[2].removesuffix(user)),
        reply=text,
    )
    plain = not any("{{" in piece or '"""' in piece for piece in (turns.go.replace("{{ ", ""), turns.reply))
    return turns if plain and all(turns.render(c) == render(c) for c in _CHECKS) else None


def _common_end(*texts: str) -> str:
    n = 0
    while n < min(map(len, texts)) and len({t[-1 - n] for t in texts}) == 1:
        n += 1
    return texts[0][len(texts[0]) - n :]


def modelfile(
    file: str, turns: Turns | None, system: str | None, sampling: Sampling, stops: Sequence[str], n_context: int
) -> str:
    """The Modelfile of a GGUF file beside it. What cannot be said in one is left out, with the reason."""
    lines = [f"FROM ./{file}", ""]
    if turns is not None:
        lines += [f'TEMPLATE """{turns.go}"""', ""]
    else:
        lines += ["# No TEMPLATE: this model's chat template does more than put markers around turns.", ""]
    if system is not None and '"""' not in system:
        lines += [f'SYSTEM """{system}"""', ""]
    elif system is not None:
        lines += ['# No SYSTEM: the system prompt holds """, which a Modelfile cannot quote. README.md shows it.', ""]
    settings: list[tuple[str, object]] = [
        ("num_ctx", n_context),
        ("num_predict", sampling.max_new_tokens),
        ("temperature", f"{sampling.temperature:g}"),
        ("top_p", f"{sampling.top_p:g}"),
        ("top_k", 0),
        ("min_p", 0),
        ("repeat_penalty", 1),
    ]
    lines += [f"PARAMETER {name} {value}" for name, value in settings]
    plain = (s.strip("\n") for s in stops)  # a parameter is one line
    lines += [f'PARAMETER stop "{s}"' for s in plain if s and '"' not in s and "\n" not in s]
    return "\n".join(lines) + "\n"
