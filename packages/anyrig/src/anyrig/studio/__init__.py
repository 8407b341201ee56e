"""The studio: a browser page that generates motion for rigs, served on the loopback interface only.

:class:`Session` holds the open rigs and their motions and is independent of HTTP; :func:`serve` gives the page, its
files and a JSON interface. A request for another host name is refused, so that no other page can reach the studio by a
name that resolves to this machine; so is a change requested by another page.
"""

from __future__ import annotations

import json
import tempfile
import threading
import warnings
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

from anyrig import creatures
from anyrig.conform import whole
from anyrig.corpus import Selection
from anyrig.diffusion import Sampling
from anyrig.errors import AnyrigError, FileWarning, SettingsError
from anyrig.facing import detect_facing
from anyrig.generation import Options, generate_clips
from anyrig.io import SUFFIXES, Asset, load, save
from anyrig.model import MotionModel
from anyrig.skeleton import Clip
from anyrig.starts import Procedural

MAX_UPLOAD = 200 << 20
_KEPT = 200  # motions; the oldest are dropped


class Session:
    """Rigs and motions by name. Methods may be called from any thread; one motion is made at a time."""

    def __init__(self, model: MotionModel, sampling: Sampling) -> None:
        self._model, self._sampling = model, sampling
        self._rigs: dict[str, Asset] = {}
        self._notes: dict[str, list[str]] = {}
        self._made: dict[str, tuple[Asset, Clip]] = {}
        self._count = 0
        self._busy, self._opening = threading.Lock(), threading.Lock()
        for kind in creatures.kinds():
            self._rigs[kind] = Asset(creatures.skeleton(Selection("test").body(kind, 3)))

    def rigs(self) -> list[dict[str, Any]]:
        """All rigs, as values for JSON."""
        return [self.about(name) for name in self._rigs]

    def about(self, name: str) -> dict[str, Any]:
        """One rig, as values for JSON. Raises SettingsError for an unknown name."""
        rig = self.rig(name)
        return {"name": name, "joints": rig.skeleton.n_joints, "mesh": rig.source is not None,
                "clips": [c.name for c in rig.clips], "notes": self._notes.get(name, [])}  # fmt: skip

    def rig(self, name: str) -> Asset:
        if name not in self._rigs:
            raise SettingsError(f"no rig is called {name!r}")
        return self._rigs[name]

    def open(self, file_name: str, data: bytes) -> dict[str, Any]:
        """Loads a file's rig under the file's name. Raises FileError for a file without one."""
        name = Path(file_name.replace("\\", "/")).name[:80] or "rig"
        suffix = Path(name).suffix.lower()
        if suffix not in SUFFIXES:
            raise SettingsError(f"{name}: drop a file that ends in one of {', '.join(SUFFIXES)}")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_bytes(data)
            with self._opening, warnings.catch_warnings(record=True) as caught:  # catch_warnings is not thread-safe
                warnings.simplefilter("always", FileWarning)
                rig = load(path)
        notes = [str(w.message).replace(str(path), name) for w in caught if issubclass(w.category, FileWarning)]
        facing = detect_facing(rig.skeleton)
        if not facing.sure:
            notes.append(f"Its facing is uncertain: assumed {facing.axis}, by {facing.by}.")
        if _is_undecodable(rig):
            notes.append("This page cannot decode its compressed mesh: it shows bones, and exports keep the mesh.")
        self._rigs[name], self._notes[name] = rig, notes
        return self.about(name)

    def make(self, asked: dict[str, Any]) -> list[str]:
        """Makes motions; returns their names. ``asked``: ``rig``, ``prompts`` as ``[[text, seconds], ...]``, and any
        of ``samples``, ``seed``, ``fps``, ``guidance``, ``steps``, ``in_place``, ``loop``, ``lock``."""
        rig = self.rig(_of(asked, "rig", str, ""))
        prompts = asked.get("prompts")
        if not isinstance(prompts, list) or not all(_is_prompt(p) for p in prompts):
            raise SettingsError("prompts are pairs of a text and seconds")
        sampling = replace(
            self._sampling,
            guidance=float(_of(asked, "guidance", float, self._sampling.guidance)),
            steps=_of(asked, "steps", int, self._sampling.steps),
        )
        options = Options(
            n_samples=_of(asked, "samples", int, 2),
            seed=_of(asked, "seed", int, 0),
            fps=float(_of(asked, "fps", float, 30.0)),
            lock=_of(asked, "lock", bool, True),
            in_place=_of(asked, "in_place", bool, False),
            loop=_of(asked, "loop", bool, False),
            sampling=sampling,
        )
        with self._busy:
            texts = [(t, float(s)) for t, s in prompts]
            clips = generate_clips(self._model, rig.skeleton, texts, options, authored=rig.clips, start=Procedural())
            return [self._keep(rig, clip) for clip in clips]

    def file(self, name: str, suffix: str, *, to_show: bool = False) -> bytes:
        """A motion, or a rig without one, as the bytes of a file; ``to_show``: without a mesh the page cannot
        decode."""
        rig, clip = self._made[name] if name in self._made else (self.rig(name), None)
        what = replace(
            rig, clips=(clip,) if clip else (), source=None if to_show and _is_undecodable(rig) else rig.source
        )
        if suffix not in SUFFIXES or (suffix == ".bvh" and not clip):
            raise SettingsError(f"a motion is exported as one of {', '.join(SUFFIXES)}")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"motion{suffix}"
            save(whole(clip) if clip and suffix == ".bvh" else what, path)
            return path.read_bytes()

    def _keep(self, rig: Asset, clip: Clip) -> str:
        self._count += 1
        name = f"motion-{self._count}"
        self._made[name] = rig, clip
        while len(self._made) > _KEPT:
            del self._made[next(iter(self._made))]
        return name


def _is_undecodable(rig: Asset) -> bool:
    """Whether the page cannot decode the rig's mesh."""
    return rig.source is not None and "KHR_draco_mesh_compression" in (rig.source.document.extensionsRequired or ())


def _is_prompt(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and _number(value[1])


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _of(asked: dict[str, Any], name: str, kind: type, default: Any) -> Any:
    value = asked.get(name, default)
    fits = _number(value) if kind is float else type(value) is kind
    if not fits:
        raise SettingsError(f"{name} is a {kind.__name__}, not {value!r}")
    return value


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
    """A server on 127.0.0.1, ready for ``serve_forever``; port 0 takes a free one. Raises SettingsError for a port in
    use."""

    class Handler(_Handler):
        open_session = session

    try:
        return ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except (OSError, OverflowError) as error:
        raise SettingsError(f"port {port} cannot be used: {error}") from None


class _Refused(Exception):
    """A refused request: an HTTP status and a line."""

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
        """Silent: the page shows errors."""

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
            raise _Refused(403, "the studio answers requests to its own address only")
        origin = self.headers.get("Origin")
        if origin is not None and origin.removeprefix("http://") not in allowed:
            raise _Refused(403, "the request comes from another page")

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
        raise _Refused(404, f"{url.path} does not exist")

    def _post(self, url: Any) -> tuple[str, bytes, str]:
        body = self._body()
        if url.path == "/api/rigs":
            name = parse_qs(url.query).get("name", [""])[0]
            return "application/json", _json(self.open_session.open(name, body)), ""
        if url.path == "/api/motions":
            try:
                asked = json.loads(body)
            except ValueError:
                raise _Refused(400, "the request is not JSON") from None
            if not isinstance(asked, dict):
                raise _Refused(400, "the request is not a JSON object")
            return "application/json", _json({"motions": self.open_session.make(asked)}), ""
        raise _Refused(404, f"{url.path} does not exist")

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit():
            self.close_connection = True
            raise _Refused(411, "the request has no Content-Length")
        if int(length) > MAX_UPLOAD:
            self.close_connection = True  # the unread body would be parsed as the next request
            raise _Refused(413, f"a rig's file may have up to {MAX_UPLOAD >> 20} MiB")
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
