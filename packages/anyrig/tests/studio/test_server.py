"""The studio's addresses: what they give, and what they refuse with one line."""

from __future__ import annotations

import http.client
import json
import random
from urllib.parse import urlsplit

import numpy as np
import pytest
from gltf_oracle import Builder, array, parse

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


def skinned(weights=(1, 0, 0, 0), draco=False):
    """A triangle on two bones, with or without the marks of Draco's compression."""
    b = Builder(scenes=[{"nodes": [0, 2]}], scene=0)
    b.document["nodes"] = [{"name": "hip", "children": [1]}, {"name": "leg", "translation": [0, -1, 0]},
                           {"name": "mesh", "mesh": 0, "skin": 0}]  # fmt: skip
    b.document["skins"] = [{"joints": [0, 1]}]
    attributes = {"POSITION": b.add(np.eye(3), "VEC3"), "JOINTS_0": b.add(np.zeros((3, 4)), "VEC4", "<u2"),
                  "WEIGHTS_0": b.add(np.tile(weights, (3, 1)), "VEC4")}  # fmt: skip
    primitive = {"attributes": attributes}
    if draco:
        for accessor in b.document["accessors"]:
            view = accessor.pop("bufferView")
        primitive["extensions"] = {"KHR_draco_mesh_compression": {"bufferView": view, "attributes": {"POSITION": 0}}}
        b.document["extensionsUsed"] = b.document["extensionsRequired"] = ["KHR_draco_mesh_compression"]
    b.document["meshes"] = [{"primitives": [primitive]}]
    return b.bytes()


def test_a_mesh_that_the_page_cannot_decode_is_told_and_bones_are_shown(address):
    status, data = call(address, "POST", "/api/rigs?name=draco.glb", skinned(draco=True))
    assert status == 200
    assert any("cannot decode" in note for note in json.loads(data)["notes"])
    shown, _ = parse(call(address, "GET", "/api/files/draco.glb.glb?show")[1])
    assert not shown.get("extensionsRequired")
    assert shown["meshes"][0]["name"] == "bones"
    kept, _ = parse(call(address, "GET", "/api/files/draco.glb.glb")[1])
    assert kept["extensionsRequired"] == ["KHR_draco_mesh_compression"]


def test_weights_that_are_no_numbers_do_not_empty_the_view(address):
    assert call(address, "POST", "/api/rigs?name=nan.glb", skinned((np.nan, 0, 0, 0)))[0] == 200
    document, blob = parse(call(address, "GET", "/api/files/nan.glb.glb?show")[1])
    assert array(document, blob, document["meshes"][0]["primitives"][0]["attributes"]["WEIGHTS_0"]).sum() == 3


def test_what_is_not_sure_of_a_rig_is_told(address):
    status, data = call(address, "POST", "/api/rigs?name=who.glb", skinned())
    assert status == 200
    assert json.loads(data)["notes"] == ["Its facing is uncertain: assumed z, by nothing."]


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
