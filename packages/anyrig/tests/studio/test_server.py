"""The studio's addresses: what they give, and what they refuse with one line."""

from __future__ import annotations

import http.client
import json
import random
from urllib.parse import urlsplit

import pytest

from anyrig import creatures
from anyrig.errors import SettingsError
from anyrig.io import load, save
from anyrig.studio import serve


def call(address, method, path, body=None, **headers):
    url = urlsplit(address)
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=60)
    connection.request(method, path, body, headers)
    reply = connection.getresponse()
    data = reply.read()
    connection.close()
    return reply.status, data


def ask(address, **asked):
    status, data = call(address, "POST", "/api/motions", json.dumps(asked))
    return status, json.loads(data)


def test_the_page_and_its_files_are_there_and_ask_for_nothing_elsewhere(address):
    for path in ("/", "/studio.js", "/studio.css", "/three.bundle.js"):
        status, data = call(address, "GET", path)
        assert status == 200
        text = data.decode()
        assert "https://" not in text
        assert "//cdn" not in text


def test_motions_are_made_and_exported_in_every_format(address, tmp_path):
    status, made = ask(address, rig="dragon", prompts=[["it walks", 0.8]], samples=2, fps=15)
    assert status == 200
    assert len(made["motions"]) == 2
    for suffix in ("glb", "bvh", "npz"):
        status, data = call(address, "GET", f"/api/files/{made['motions'][1]}.{suffix}")
        assert status == 200
        path = tmp_path / f"m.{suffix}"
        path.write_bytes(data)
        (clip,) = load(path).clips
        assert clip.seconds == pytest.approx(0.8, abs=1e-3)


def test_a_rig_that_is_sent_can_be_moved(address, tmp_path):
    rng = random.Random(5)
    clip = creatures.clip(creatures.plan("octopod", rng), "walk", rng)
    for suffix in (".bvh", ".glb"):
        save(clip, tmp_path / f"spider{suffix}")
        status, data = call(
            address, "POST", f"/api/rigs?name=../spider{suffix}", (tmp_path / f"spider{suffix}").read_bytes()
        )
        assert status == 200
        assert json.loads(data)["name"] == f"spider{suffix}"
        assert json.loads(data)["joints"] >= clip.skeleton.n_joints
        status, _ = ask(address, rig=f"spider{suffix}", prompts=[["it walks", 0.5]], samples=1)
        assert status == 200
    status, data = call(address, "GET", "/api/rigs")
    assert {"dragon", "spider.glb"} <= {r["name"] for r in json.loads(data)}


@pytest.mark.parametrize(
    "asked",
    [{"rig": "unicorn", "prompts": [["it walks", 1]]}, {"rig": "dragon"}, {"rig": "dragon", "prompts": []},
     {"rig": "dragon", "prompts": [["", 1]]}, {"rig": "dragon", "prompts": [["walk", "long"]]},
     {"rig": "dragon", "prompts": [["walk", 1e9]]}, {"rig": 3, "prompts": [["walk", 1]]},
     {"rig": "dragon", "prompts": [["walk", 1]], "samples": 1000},
     {"rig": "dragon", "prompts": [["walk", 1]], "steps": 1e9}],
)  # fmt: skip
def test_what_cannot_be_made_is_said_in_one_line(address, asked):
    status, answer = ask(address, **asked)
    assert status == 400
    assert answer["error"]
    assert "\n" not in answer["error"]


def test_bad_files_and_addresses_are_refused(address):
    for name, body in (("a.glb", b"nothing"), ("a.fbx", b"x"), ("a.bvh", b"HIERARCHY"), ("", b"x"), ("a.glb", b"")):
        status, data = call(address, "POST", f"/api/rigs?name={name}", body)
        assert status == 400, name
        assert "\n" not in json.loads(data)["error"]
    for path in ("/../../etc/passwd", "/static/studio.js", "/api/files/%2e%2e/x.glb", "/server.py", "/api/nothing"):
        assert call(address, "GET", path)[0] in (400, 404)
    assert call(address, "GET", "/api/files/unicorn.glb")[0] == 400
    assert call(address, "POST", "/api/motions", "no json")[0] == 400
    assert call(address, "POST", "/api/motions", "[]")[0] == 400


def test_other_machines_names_and_other_pages_are_refused(address):
    port = urlsplit(address).port
    assert call(address, "GET", "/", Host=f"evil.example:{port}")[0] == 403
    assert call(address, "POST", "/api/motions", "{}", Origin="http://evil.example")[0] == 403
    assert call(address, "GET", "/", Host=f"localhost:{port}")[0] == 200


def test_what_is_too_large_is_refused_before_it_is_read(address):
    url = urlsplit(address)
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=60)
    connection.putrequest("POST", "/api/rigs?name=a.glb")
    connection.putheader("Content-Length", str(10**12))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_a_port_that_is_taken_is_said(address):
    with pytest.raises(SettingsError, match="port"):
        serve(None, urlsplit(address).port)
