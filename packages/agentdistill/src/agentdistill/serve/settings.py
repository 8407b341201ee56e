"""How an agent is served."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from agentdistill.errors import UserError

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?")
"""As browsers send it: lower case, no path, no port where it is the scheme's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """Where to listen and what to bear. ``api_key`` None asks nobody for a key, which only loopback may do unless
    ``open_to_all``. ``max_body_kb`` bounds a request, ``grace_s`` how long answers under way may take once the server
    is told to end. ``patience_s`` is how long a stream waits for its first event before it begins, so that an error can
    still be told by its status. Pages of ``allow_origins`` (such as ``http://localhost:3000``; ``*`` is every one) may
    ask from a browser. Raises UserError for settings that make no sense.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    api_key: str | None = None
    open_to_all: bool = False
    max_body_kb: int = 512
    grace_s: float = 30.0
    patience_s: float = 10.0
    mcp: bool = False
    allow_origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.port < 65536:
            raise UserError(f"port {self.port} has to be from 0 to 65535; 0 takes a free one")
        if self.max_body_kb < 1 or self.grace_s < 0 or self.patience_s < 0:
            raise UserError("max_body_kb has to be at least 1, grace_s and patience_s at least 0")
        if self.api_key is not None and (not self.api_key or not self.api_key.isascii()):
            raise UserError("the API key has to be ASCII text, and not empty")
        for origin in self.allow_origins:
            if origin not in ("*", "null") and not _ORIGIN.fullmatch(origin):
                raise UserError(
                    f'origin "{origin}" is not of the form http://localhost:3000: scheme, host, port, no path'
                )
        if not self.is_loopback and self.api_key is None and not self.open_to_all:
            raise UserError(
                f"{self.host} can be reached from other machines and no key is asked for; set AGENTDISTILL_API_KEY, "
                "or say --open to let everybody in"
            )

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
