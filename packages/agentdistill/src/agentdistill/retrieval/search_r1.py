"""The HTTP retriever of Search-R1 (Jin et al. 2025) as a retriever here: ``POST /retrieve``.

Asked is ``{"queries": […], "topk": k, "return_scores": true}``. Taken is every form that Search-R1's servers and those
made after them answer with: the lists under ``"result"`` or bare; a document alone or as ``{"document", "score"}``; its
words as ``{"title", "text"}``, as ``{"contents"}`` with the title, quoted or not, on a line of its own, or as a string.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agentdistill.errors import InfrastructureError, UserError
from agentdistill.retrieval.corpus import Passage, from_contents, unquoted

BATCH = 64
"""Queries of one request at most."""
_FIRST_WAIT_S = 0.25
_MAY_PASS = (408, 425, 429)


class SearchR1:
    """The passages that the server at ``url`` finds, in its order.

    ``url`` is the server's address, with or without ``/retrieve``. A request waits ``timeout_s`` at most, and one that
    fails in a way that may pass is tried again, ``tries`` times within ``patience_s``; by default that is less than a
    tool call in the sandbox may take. Raises InfrastructureError where the server cannot be reached or answers
    something else, and UserError where it refuses the request.
    """

    def __init__(self, url: str, *, tries: int = 4, timeout_s: float = 20.0, patience_s: float = 25.0) -> None:
        import httpx2

        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            raise UserError(f'search-r1: url "{url}" does not begin with http:// or https://')
        if tries < 1 or not timeout_s > 0 or not patience_s > 0:
            raise UserError("search-r1: tries has to be at least 1, timeout_s and patience_s above 0")
        base = url.rstrip("/")
        self.url = base if base.endswith("/retrieve") else f"{base}/retrieve"
        self._tries, self._patience_s = tries, patience_s
        self._client = httpx2.Client(timeout=timeout_s, follow_redirects=True)

    @property
    def corpus(self) -> str:
        """The server's address: what it searches is not known here."""
        return self.url

    def search(self, query: str, k: int) -> list[Passage]:
        """At most ``k`` passages, best first; none for an empty query."""
        return self.search_many([query], k)[0]

    def search_many(self, queries: Sequence[str], k: int) -> list[list[Passage]]:
        """``search`` for each query, in order, many to a request."""
        out: list[list[Passage]] = [[] for _ in queries]
        asked = [i for i, q in enumerate(queries) if q.strip()] if k > 0 else []
        for first in range(0, len(asked), BATCH):
            batch = asked[first : first + BATCH]
            for i, found in zip(batch, self._asked([queries[i] for i in batch], k), strict=True):
                out[i] = found[:k]
        return out

    def _asked(self, queries: Sequence[str], k: int) -> list[list[Passage]]:
        """One request, tried again while that may help."""
        started = time.monotonic()
        for n_tries in range(1, self._tries + 1):
            try:
                return self._once(queries, k)
            except _Passing as fault:
                wait_s = max(fault.wait_s, _FIRST_WAIT_S * 2 ** (n_tries - 1))
                if n_tries == self._tries or time.monotonic() + wait_s - started > self._patience_s:
                    tries = "1 try" if n_tries == 1 else f"{n_tries} tries"
                    raise InfrastructureError(f"search server {self.url} {fault} ({tries})") from fault
            time.sleep(wait_s)
        raise AssertionError("the last try returns or raises")

    def _once(self, queries: Sequence[str], k: int) -> list[list[Passage]]:
        import httpx2

        try:
            response = self._client.post(self.url, json={"queries": list(queries), "topk": k, "return_scores": True})
        except httpx2.TimeoutException as e:
            raise _Passing("did not answer in time") from e
        except httpx2.TransportError as e:
            raise _Passing(f"cannot be reached ({_line(e)})") from e
        except (httpx2.InvalidURL, UnicodeError) as e:
            raise UserError(f"search-r1: {self.url} is no address ({_line(e)})") from e
        status = response.status_code
        if status in _MAY_PASS or status >= 500:
            raise _Passing(f"answered {status} ({_line(response.text)})", _wished(response.headers))
        if status != 200:
            raise UserError(f"search server {self.url} refused the request ({status}: {_line(response.text)})")
        try:
            return _lists(json.loads(response.text), len(queries))
        except (ValueError, RecursionError) as e:
            raise _Passing(f"answered in a form that is not understood ({_line(e)})") from e


class _Passing(Exception):
    """A failure that may pass; ``wait_s`` is how long the server asks to wait."""

    def __init__(self, what: str, wait_s: float = 0.0) -> None:
        super().__init__(what)
        self.wait_s = wait_s


def _lists(reply: Any, n_queries: int) -> list[list[Passage]]:
    """The passages of each query. Raises ValueError saying what does not fit."""
    if isinstance(reply, Mapping):
        found = reply.get("result", reply.get("results"))
        if found is None:
            raise ValueError(f'no "result": {json.dumps(reply)}')
    else:
        found = reply
    if not isinstance(found, list):
        raise ValueError(f"the result is no list: {json.dumps(found)}")
    if n_queries == 1 and not any(isinstance(f, list) for f in found):
        found = [found]  # some answer a single query with a single list
    if len(found) != n_queries or not all(isinstance(f, list) for f in found):
        raise ValueError(f"{len(found)} results for {n_queries} queries")
    return [[_document(d) for d in own] for own in found]


def _document(document: Any) -> Passage:
    """The passage in whatever form a server gives it."""
    if isinstance(document, Mapping) and "document" in document:
        document = document["document"]
    if isinstance(document, str):
        return from_contents(document)
    if not isinstance(document, Mapping):
        raise ValueError(f"a document is neither text nor an object: {json.dumps(document)}")
    words = next((document[n] for n in ("text", "contents", "content", "passage") if document.get(n) is not None), None)
    if not isinstance(words, str):
        raise ValueError(f"a document without text or contents: {json.dumps(document)}")
    title = document.get("title")
    if not isinstance(title, str):
        return from_contents(words)
    own = from_contents(words)  # the contents often begin with the title once more
    return own if own.title == unquoted(title) else Passage(unquoted(title), words.strip())


def _wished(headers: Mapping[str, str]) -> float:
    """The seconds that Retry-After asks to wait; 0 where it asks nothing sensible."""
    try:
        wait_s = float(headers.get("retry-after", ""))
    except ValueError:
        return 0.0
    return wait_s if math.isfinite(wait_s) and wait_s > 0 else 0.0


def _line(what: object) -> str:
    line = " ".join(str(what).split()) or type(what).__name__
    return line if len(line) <= 160 else line[:160] + "…"


def build(
    passages: Sequence[Passage] = (),
    *,
    cache: Path | None = None,
    url: str,
    tries: int = 4,
    timeout_s: float = 20.0,
    patience_s: float = 25.0,
) -> SearchR1:
    """The client of a Search-R1 server; see :class:`SearchR1` for the settings. It takes no passages of its own."""
    if passages:
        raise UserError("search-r1 searches the corpus of its server; give it no corpus")
    return SearchR1(url, tries=tries, timeout_s=timeout_s, patience_s=patience_s)
