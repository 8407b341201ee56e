"""A place in a list of pieces, and the ways to move it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from agentdistill.grade._exact.tokens import STOP, Token
from agentdistill.grade._exact.tree import Unread

T = TypeVar("T")


class Cursor:
    """Reads pieces from the first to the last."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def peek(self, ahead: int = 0) -> Token:
        """The next piece, or the one ``ahead`` of it."""
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else STOP

    def take(self) -> Token:
        """The next piece, gone past."""
        token = self.peek()
        self._at += 1
        return token

    def on(self, *texts: str) -> bool:
        """Whether the next piece is one of these signs or commands."""
        token = self.peek()
        return token.kind in ("sign", "cmd") and token.text in texts

    def expect(self, text: str) -> None:
        """Go past a sign that has to be there."""
        if not self.on(text):
            raise Unread(f"{text!r} is missing")
        self.take()

    def put_back(self, token: Token) -> None:
        """Let a piece be read next."""
        self._tokens.insert(self._at, token)

    def coming(self, n: int) -> list[Token]:
        """The next ``n`` pieces at most."""
        return self._tokens[self._at : self._at + n]

    def ahead(self, read: Callable[[], T]) -> T:
        """What ``read`` would give, without going on."""
        at = self._at
        node = read()
        self._at = at
        return node

    def skip(self, n: int) -> None:
        """Go past ``n`` pieces."""
        self._at += n
