"""HTTP for the studio: the page, its files, and a few addresses that speak JSON. On the loopback interface only.

A request that names another host than this machine is refused, so that no page elsewhere can reach it by a name that it
makes point here; so is a change asked for by another page.
"""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

from anyrig.errors import AnyrigError, SettingsError
from anyrig.studio.session import MAX_UPLOAD, Session

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".css": "text/css",
    ".glb": "model/gltf-binary",
    ".gltf": "model/gltf+json",
    ".bvh": "text/plain",
    ".npz": "application/octet-stream",
}
_PAGE = ("index.html", "studio.js", "studio.css", "three.bundle.js")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' blob:; img-src 'self' blob: data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


def serve(session: Session, port: int = 0) -> ThreadingHTTPServer:
    """A server on 127.0.0.1 that is ready to ``serve_forever``; port 0 takes a free one. Raises SettingsError where the
    port is taken."""

    class Handler(_Handler):
        open_session = session

    try:
        return ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except (OSError, OverflowError) as error:
        raise SettingsError(f"port {port} cannot be used: {error}") from None


class _Refused(Exception):
    """A request that is answered with a status and a line."""

    def __init__(self, status: int, line: str) -> None:
        super().__init__(line)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    open_session: Session
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: the page shows what goes wrong."""

    def _answer(self, how: Any) -> None:
        try:
            self._check_host()
            kind, data, name = how(urlsplit(self.path))
            self._send(200, kind, data, name)
        except _Refused as error:
            self._send(error.status, "application/json", _json({"error": str(error)}))
        except AnyrigError as error:
            self._send(400, "application/json", _json({"error": str(error)}))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _check_host(self) -> None:
        port = cast(ThreadingHTTPServer, self.server).server_port
        allowed = {f"127.0.0.1:{port}", f"localhost:{port}"}
        if self.headers.get("Host") not in allowed:
            raise _Refused(403, "this studio is for its own machine only")
        origin = self.headers.get("Origin")
        if origin is not None and origin.removeprefix("http://") not in allowed:
            raise _Refused(403, "another page asked")

    def _get(self, url: Any) -> tuple[str, bytes, str]:
        parts = [unquote(p) for p in url.path.split("/") if p]
        if not parts:
            parts = ["index.html"]
        if len(parts) == 1 and parts[0] in _PAGE:
            data = (files("anyrig.studio") / "static" / parts[0]).read_bytes()
            return _TYPES[PurePosixPath(parts[0]).suffix], data, ""
        if parts == ["api", "rigs"]:
            return "application/json", _json(self.open_session.rigs()), ""
        if len(parts) == 3 and parts[:2] == ["api", "files"]:
            stem, dot, suffix = parts[2].rpartition(".")
            if f".{suffix}" in _TYPES and dot:
                return (
                    _TYPES[f".{suffix}"],
                    self.open_session.file(stem, f".{suffix}", to_show=url.query == "show"),
                    parts[2],
                )
        raise _Refused(404, f"there is nothing at {url.path}")

    def _post(self, url: Any) -> tuple[str, bytes, str]:
        body = self._body()
        if url.path == "/api/rigs":
            name = parse_qs(url.query).get("name", [""])[0]
            return "application/json", _json(self.open_session.open(name, body)), ""
        if url.path == "/api/motions":
            try:
                asked = json.loads(body)
            except ValueError:
                raise _Refused(400, "the request is no JSON") from None
            if not isinstance(asked, dict):
                raise _Refused(400, "the request is no JSON object")
            return "application/json", _json({"motions": self.open_session.make(asked)}), ""
        raise _Refused(404, f"there is nothing at {url.path}")

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit():
            self.close_connection = True
            raise _Refused(411, "a request says how long it is")
        if int(length) > MAX_UPLOAD:
            self.close_connection = True  # what was not read would be taken for the next request
            raise _Refused(413, f"a rig's file may have {MAX_UPLOAD >> 20} MiB")
        return self.rfile.read(int(length))

    def _send(self, status: int, kind: str, data: bytes, name: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Security-Policy", _POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        if name:
            plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in name)
            self.send_header("Content-Disposition", f'attachment; filename="{plain}"')
        self.end_headers()
        self.wfile.write(data)


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
