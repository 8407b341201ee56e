"""anyrig mmcp, asked by the client of the protocol's own SDK over loopback."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from anyrig import creatures
from anyrig import rotations as rot
from anyrig.cli import main
from anyrig.corpus import Selection
from anyrig.diffusion import Sampling
from anyrig.io import Asset
from anyrig.model import ModelConfig, MotionModel
from anyrig.retargeting import retarget
from anyrig.skeleton import Skeleton

client = pytest.importorskip("motionmcp.client", reason="needs motionmcp-sdk: make test-extras", exc_type=ImportError)
mmcp = pytest.importorskip("anyrig.mmcp", reason="needs motionmcp-sdk[server]: make test-extras", exc_type=ImportError)

DOG = creatures.skeleton(Selection("test").body("quadruped", 3))
CAT = creatures.skeleton(Selection("test").body("quadruped", 5))
LOOSE = Skeleton(
    ("tail", "tail", "hips", "neck", "head", "target"),
    (-1, 0, -1, 2, 3, -1),
    [[0, 1, -0.2], [0, 0, -0.3], [0, 1, 0], [0, 0.3, 0.2], [0, 0.1, 0.2], [0.5, 0, 0]],
)
"""Three roots, and a name twice."""


@pytest.fixture(scope="module")
def url():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = MotionModel(ModelConfig(width=16, layers=1, heads=2, max_frames=16, text_width=8, text_layers=1))
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "modulate" in name or "_out" in name:
                p.normal_(std=0.1)
    server = mmcp.http_server(mmcp.Server(model.eval(), Sampling(steps=2), Asset(LOOSE)), "127.0.0.1")
    with mmcp.listen("127.0.0.1", 0) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.02)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()


def wire(skeleton):
    return mmcp.sent(skeleton).model_dump(mode="json")


def ask(url, rig, /, **parts):
    body = {"protocol_version": "1.4", "model": "anyrig", "skeleton": wire(rig), **parts}
    body["options"] = {"seed": 1, **parts.get("options", {})}
    return client.parse_gltf_samples(client.generate(url, body))


def text(frames=20, prompt="it walks"):
    return {"type": "text", "prompt": prompt, "duration_frames": frames}


def keyframe(skeleton, frame, rng, joints, place=None):
    turns = rot.normalize(rng.normal(size=(len(joints), 4)) * 0.2 + rot.IDENTITY)
    spoken = {skeleton.names[j]: np.roll(q, -1).tolist() for j, q in zip(joints, turns, strict=True)}
    wanted = {"type": "pose_keyframe", "frame": frame, "joint_rotations": spoken, "root_position": place}
    return wanted, rot.to_matrix(turns)


def reference(clip, **parts):
    return {
        "type": "motion_reference",
        "joint_names": list(clip.skeleton.names),
        "rotations": np.roll(clip.rotations, -1, axis=-1).tolist(),
        "root_positions": clip.translations[:, 0].tolist(),
        "fps": clip.fps,
        **parts,
    }


@pytest.fixture(scope="module")
def walk():
    import random

    return creatures.clip(Selection("test").body("quadruped", 3), "walk", random.Random(0), 1.0, 30.0)


def test_a_rig_of_several_roots_is_proposed_as_one_tree_and_moves_as_such(url):
    [model] = client.get_capabilities(url)["models"]
    joints = model["canonical_skeleton"]["joints"]
    names = [joint["name"] for joint in joints]
    assert [j["name"] for j in joints if j["parent"] is None] == ["hips"]
    assert sorted(names) == ["head", "hips", "neck", "tail", "tail_2", "target"]
    body = mmcp.received(mmcp.Sent(**model["canonical_skeleton"]))
    assert np.allclose(sorted(body.rest_positions().tolist()), sorted(LOOSE.rest_positions().tolist()))
    [motion] = ask(url, body, segments=[text()])
    assert motion["joint_names"] == names
    assert motion["local_rot_mats"].shape == (20, 6, 3, 3)


@pytest.mark.parametrize(("fps", "frames"), [(30, 21), (24, 2), (60, 91), (10, 1)])
def test_motion_has_the_frames_and_samples_that_were_asked_for(url, fps, frames):
    motions = ask(url, DOG, segments=[text(frames)], timing={"fps": fps}, options={"num_samples": 2})
    assert [(m["num_frames"], m["fps"]) for m in motions] == [(frames, fps)] * 2
    assert np.isfinite(motions[0]["local_rot_mats"]).all()


def test_a_seed_gives_the_same_motion_and_a_loop_closes(url):
    one, other = (ask(url, DOG, segments=[text(40)], options={"loop": True})[0]["local_rot_mats"] for _ in range(2))
    assert np.array_equal(one, other)
    assert np.allclose(one[-1, 1:], one[0, 1:], atol=1e-5)
    assert np.abs(one[20] - one[0]).max() > 1e-3


def test_keyframes_are_met_exactly(url):
    rng = np.random.default_rng(0)
    root, everything = 0, range(DOG.n_joints)
    first, whole = keyframe(DOG, 7, rng, everything, [1.0, 0.7, 2.0])
    last, part = keyframe(DOG, 31, rng, [3, 4], [2.0, 0.9, 2.5])
    [motion] = ask(url, DOG, segments=[text(40)], constraints=[last, first])
    assert np.allclose(motion["local_rot_mats"][7], whole, atol=1e-5)
    assert np.allclose(motion["local_rot_mats"][31, [3, 4]], part, atol=1e-5)
    assert np.allclose(motion["posed_joints"][[7, 31], root], [[1.0, 0.7, 2.0], [2.0, 0.9, 2.5]], atol=1e-5)
    [free] = ask(url, DOG, duration_frames=40, constraints=[last])
    assert free["num_frames"] == 40


def test_a_reference_of_another_rig_is_retargeted(url, walk):
    [motion] = ask(url, CAT, segments=[reference(walk, skeleton=wire(DOG), duration_frames=walk.n_frames)])
    true = retarget(replace(walk, skeleton=DOG), CAT)
    assert np.allclose(motion["local_rot_mats"], rot.to_matrix(true.rotations), atol=1e-5)
    assert np.allclose(motion["posed_joints"][:, 0], true.translations[:, 0], atol=1e-5)


def test_a_reference_is_kept_between_texts_and_repeated(url, walk):
    seen = reference(walk, duration_frames=75)
    [motion] = ask(url, DOG, segments=[text(30), seen, text(30)])
    assert motion["num_frames"] == 135
    step = np.linalg.norm(np.diff(motion["posed_joints"][30:105, 0, ::2], axis=0), axis=-1)
    true = np.linalg.norm(np.diff(walk.translations[:, 0, ::2], axis=0), axis=-1)
    assert step[10:60].mean() == pytest.approx(true.mean(), rel=0.1)
    [motion] = ask(url, DOG, segments=[seen])
    assert motion["num_frames"] == 75
    assert motion["posed_joints"][-1, 0, 2] == pytest.approx(2.5 * walk.travel()[-1, 2], rel=0.1)


def still(fps):
    """A reference of two frames that are alike."""
    return {"type": "motion_reference", "duration_frames": 30, "joint_names": [DOG.names[0]], "fps": fps,
            "rotations": [[[0, 0, 0, 1]]] * 2, "root_positions": [[0, 1, 0]] * 2}  # fmt: skip


NAN = {**wire(DOG)["joints"][0], "rest_translation": [float("nan"), 0, 0]}


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ({"segments": [text(prompt="   ")]}, "invalid_options"),
        ({"segments": [text(2), text(40)]}, "invalid_options"),
        ({"segments": [text(40)], "timing": {"fps": float("inf")}}, "invalid_options"),
        ({"segments": [{**text(), "seed": 3}]}, "invalid_options"),
        ({"segments": [text()], "options": {"guidance": {"type": "separated", "weight": [1, 2]}}}, "invalid_options"),
        ({"segments": [text()], "options": {"guidance": {"type": "regular", "weight": [99]}}}, "invalid_options"),
        ({"segments": [{"type": "pose", "prompt": "it sits"}]}, "unsupported_segment"),
        ({"segments": [text()], "skeleton": {"joints": [NAN]}}, "invalid_skeleton"),
        ({"segments": [text()], "skeleton": {"joints": [{**NAN, "name": str(k), "rest_translation": [0, 0, 0],
          "parent": str(k - 1) if k else None} for k in range(1501)]}}, "invalid_skeleton"),
        ({"segments": [text()], "constraints": [{"type": "pose_keyframe", "frame": 3,
          "joint_rotations": {DOG.names[0]: [float("nan"), 0, 0, 1]}}]}, "invalid_request"),
        ({"segments": [text()], "constraints": [{"type": "pose_keyframe", "frame": 30,
          "joint_rotations": {DOG.names[0]: [0, 0, 0, 1]}}]}, "frame_out_of_range"),
        ({"segments": [still(1e-6)]}, "invalid_options"),
        ({"segments": [still(1e6)]}, "invalid_options"),
    ],
)  # fmt: skip
def test_bad_requests_give_errors_of_the_protocol(url, parts, code):
    with pytest.raises(client.MmcpError) as told:
        ask(url, DOG, **parts)
    assert told.value.code == code


def test_a_name_that_resolves_here_does_not_reach_it(url):
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    with pytest.raises(HTTPError, match="400"):
        urlopen(Request(f"{url}/capabilities", headers={"Host": "example.org"}))


def test_an_address_in_use_is_one_line(url, capsys):
    port = url.rpartition(":")[2]
    assert main(["mmcp", "--port", port]) == 2
    assert f"127.0.0.1, port {port}, cannot be used" in capsys.readouterr().err
