"""A server of the Motion Model Context Protocol, by its SDK (``motionmcp-sdk``): motion for rigs of other programs.

A skeleton of the protocol has one root and unique joint names; a rig that lacks them is served as one tree
(:func:`served`). A request may bring any other skeleton. Text and unconditioned segments are generated. A motion
reference is retargeted to the request's skeleton and repeated until its segment ends. Pose keyframes are pinned while
sampling where they have every joint, and all are then met exactly: path and heading are corrected between them, joints
around them.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import uvicorn
from motionmcp.backbone import Backbone, Limits, ModelSpec, MotionResult
from motionmcp.errors import ProtocolError
from motionmcp.schemas import GenerateRequest, Joint, MotionReferenceSegment
from motionmcp.schemas import Skeleton as Sent
from motionmcp.server import build_app
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse

from anyrig import conform
from anyrig import rotations as rot
from anyrig.conform import rehung, whole
from anyrig.diffusion import Sampling
from anyrig.errors import AnyrigError, ClipError, SettingsError, SkeletonError
from anyrig.facing import detect_facing
from anyrig.generation import MAX_SECONDS, Options, Pin, generate_clips
from anyrig.io import Asset
from anyrig.model import MotionModel
from anyrig.retargeting import retarget
from anyrig.rotations import Array
from anyrig.skeleton import Clip, Skeleton
from anyrig.starts import Procedural

FPS = 30.0
"""Frames a second where a request names none."""
MAX_JOINTS = 1500
_ANYTHING = "it moves"
"""The prompt of segments without one; motion references replace what it gives."""
_FADE_S = 0.25
"""Seconds before and after a keyframe over which joints turn to it."""
_REPEATS = 100
"""Times that a motion reference is played at most."""
_LEAST_S = 0.2
"""The shortest motion that is generated; shorter requests get its beginning."""
_CODES = {SkeletonError: "invalid_skeleton", ClipError: "invalid_request"}
"""Protocol codes of this package's errors; the others are ``invalid_options``."""


def served(clip: Clip) -> Clip:
    """The same motion in the world as the protocol can say it: one root, unique names.

    Joints are on their carriers and those that carry nothing are left out; other roots hang on the main one, and move
    against it by their translations.
    """
    clip = whole(clip)
    s = clip.skeleton
    if len(s.roots) > 1:
        parents = [s.main_root if p < 0 and j != s.main_root else p for j, p in enumerate(s.parents)]
        clip = rehung(clip, range(s.n_joints), parents)
    names: list[str] = []
    for j, name in enumerate(clip.skeleton.names):
        base = name[:100] or f"joint_{j}"
        names.append(next(n for n in (base, *(f"{base}_{k}" for k in range(2, s.n_joints + 2))) if n not in names))
    return replace(clip, skeleton=replace(clip.skeleton, names=tuple(names)))


def sent(skeleton: Skeleton) -> Sent:
    """A skeleton with one root and unique names in the protocol's form."""
    names, turns = skeleton.names, np.roll(skeleton.rest, -1, axis=-1)
    joints = [
        Joint(name=name, parent=names[p] if p >= 0 else None, rest_translation=tuple(o), rest_rotation=tuple(q))
        for name, p, o, q in zip(names, skeleton.parents, skeleton.offsets.tolist(), turns.tolist(), strict=True)
    ]
    return Sent(joints=joints)


def received(skeleton: Sent) -> Skeleton:
    """A skeleton of a request. Raises SkeletonError for one that is too large or not finite."""
    if len(skeleton.joints) > MAX_JOINTS:
        raise SkeletonError(f"a skeleton may have up to {MAX_JOINTS} joints, not {len(skeleton.joints)}")
    at = {joint.name: j for j, joint in enumerate(skeleton.joints)}
    return Skeleton(
        tuple(at),
        tuple(-1 if joint.parent is None else at[joint.parent] for joint in skeleton.joints),
        np.array([joint.rest_translation for joint in skeleton.joints]),
        np.roll([joint.rest_rotation for joint in skeleton.joints], 1, axis=-1),
    )


@dataclass(frozen=True, eq=False)
class Keyframe:
    """Local rotations (w, x, y, z) of some joints in a frame, and where the root is (3,), if that is given."""

    frame: int
    turns: dict[int, Array]
    place: Array | None


class Server(Backbone):  # type: ignore[misc]
    """``model`` behind the protocol. ``rig`` is the skeleton it proposes; with it, its clips limit the joints.

    ``facing`` is where the rigs of requests face at rest, as for :func:`anyrig.facing.facing_of`.
    """

    model_id = "anyrig"

    def __init__(self, model: MotionModel, sampling: Sampling, rig: Asset, facing: str = "auto") -> None:
        self._model, self._sampling, self._facing = model, sampling, facing
        self._rig, self._clips = served(rig.skeleton.rest_clip()).skeleton, tuple(served(c) for c in rig.clips)
        self._busy = asyncio.Lock()
        self._spec = ModelSpec(
            id=self.model_id,
            fps=FPS,
            canonical_skeleton=sent(self._rig),
            supports_retargeting=True,
            supports_joint_translation=True,
            supports_loop=True,
            supported_constraints=["pose_keyframe"],
            supported_segments=["text", "unconditioned", "motion_reference"],
            supported_guidance_types=["nocfg", "regular"],
            native_clip_seconds=model.config.max_frames / model.config.fps,
            chunking="stitched",
            recommended_max_duration_seconds=30.0,
            limits=Limits(max_duration_seconds=60.0, max_request_bytes=64 << 20, max_reference_frames=3600),
        )

    def capabilities(self) -> Any:
        """The ModelSpec."""
        return self._spec

    async def generate(self, request: GenerateRequest) -> Any:
        """The MotionResult; one request at a time, while the server goes on answering. Raises ProtocolError."""
        async with self._busy:
            try:
                return await asyncio.to_thread(self._result, request)
            except AnyrigError as error:
                raise ProtocolError(_CODES.get(type(error), "invalid_options"), str(error)) from None

    def _result(self, request: GenerateRequest) -> Any:
        skeleton = received(request.skeleton)
        clips = self._motions(request, skeleton, keyframes(request, skeleton))
        notes = []
        facing = detect_facing(skeleton)
        if self._facing == "auto" and not facing.sure:
            about = f"the rig's facing is uncertain: {facing.axis} is assumed, by {facing.by}"
            notes = [{"code": "uncertain_facing", "severity": "warning", "message": about}]
        translations = np.stack([c.translations for c in clips])
        return MotionResult(
            rotations=np.roll(np.stack([c.rotations for c in clips]), -1, axis=-1),
            root_translations=translations[:, :, skeleton.roots[0]],
            translations=translations,
            notes=notes,
        )

    def _motions(self, request: GenerateRequest, skeleton: Skeleton, keys: Sequence[Keyframe]) -> list[Clip]:
        """The clips (samples) of a request, each of its number of frames."""
        fps, n_frames = request.fps(FPS), request.total_frames
        options = self._options(request, fps)
        segments = request.segments
        if len(segments) == 1 and segments[0].type == "motion_reference":
            clips = [self._reference(segments[0], skeleton, n_frames / fps)] * options.n_samples
        else:
            prompts = [(s.prompt if s.type == "text" else _ANYTHING, s.duration_frames / fps) for s in segments]
            *first, (text, _) = prompts or [(_ANYTHING, 0.0)]
            # The last frame of the request at or before a frame of the model.
            rest = np.ceil((n_frames - 1) / fps * self._model.config.fps) / self._model.config.fps
            prompts = [*first, (text, max(_LEAST_S, rest - sum(seconds for _, seconds in first)))]
            pins = self._pins(request, skeleton, keys, sum(seconds for _, seconds in prompts))
            known = self._clips if _alike(skeleton, self._rig) else ()
            clips = generate_clips(
                self._model,
                skeleton,
                prompts,
                options,
                pins,
                None,
                [replace(c, skeleton=skeleton) for c in known],
                Procedural(),
            )
        loop = request.options is not None and request.options.loop
        clips = [clip.resampled(fps).cut(0, n_frames) for clip in clips]
        return [held(conform.looped(clip) if loop else clip, keys) for clip in clips]

    def _options(self, request: GenerateRequest, fps: float) -> Options:
        asked = request.options
        if any(s.seed is not None for s in request.segments):
            raise SettingsError("segments have no seeds of their own here; options.seed is that of the request")
        sampling = self._sampling
        if asked is not None and "diffusion_steps" in asked.model_fields_set:
            sampling = replace(sampling, steps=asked.diffusion_steps)
        if asked is not None and asked.guidance is not None:
            if asked.guidance.type not in self._spec.supported_guidance_types:
                raise SettingsError(f"guidance of the type {asked.guidance.type!r} is not supported")
            sampling = replace(sampling, guidance=[*asked.guidance.weight, 1.0][0])
        feet = asked is None or asked.post_processing
        return Options(
            n_samples=1 if asked is None else asked.num_samples,
            seed=random.getrandbits(31) if asked is None or asked.seed is None else asked.seed,
            fps=fps,
            lock=feet,
            ground=feet,
            facing=self._facing,
            sampling=sampling,
        )

    def _pins(
        self, request: GenerateRequest, skeleton: Skeleton, keys: Sequence[Keyframe], seconds: float
    ) -> list[Pin]:
        """Motion references and complete keyframes as frames that the model keeps."""
        rate, fps, pins = self._model.config.fps, request.fps(FPS), []
        times = np.arange(round(seconds * rate) + 1) / rate
        margin = (5 if request.options is None else request.options.transition_frames) / fps
        start = 0.0
        for segment in request.segments:
            stop = start + segment.duration_frames / fps
            if segment.type == "motion_reference":
                clip = self._reference(segment, skeleton, stop - start).resampled(rate)
                at = np.clip(np.round((times - start) * rate).astype(int), 0, clip.n_frames - 1)
                clip = replace(clip, rotations=clip.rotations[at], translations=clip.translations[at])
                first, last = start + margin * (start > 0), min(stop - margin * (stop < times[-1]), times[-1])
                pins += [Pin(clip, first, last)] if first <= last else []
            start = stop
        full = [key for key in keys if len(key.turns) == skeleton.n_joints]
        if full:
            clip = _between(full, skeleton, fps, times, rate)
            pins += [Pin(clip, at, at) for at in (min(key.frame / fps, times[-1]) for key in full)]
        return pins

    def _reference(self, segment: MotionReferenceSegment, skeleton: Skeleton, seconds: float) -> Clip:
        """The clip of a segment on ``skeleton``, repeated to last at least ``seconds``."""
        own = skeleton if segment.skeleton is None else received(segment.skeleton)
        joints = [own.index(name) for name in segment.joint_names]
        n = len(segment.rotations)
        rotations, translations = np.tile(own.rest, (n, 1, 1)), np.tile(own.offsets, (n, 1, 1))
        rotations[:, joints] = np.roll(segment.rotations, 1, axis=-1)
        translations[:, own.roots[0]] = segment.root_positions
        clip = Clip(own, rotations, translations, segment.fps)
        if clip.seconds > MAX_SECONDS or clip.seconds * _REPEATS < seconds:
            raise SettingsError(f"a motion reference of {clip.seconds:g} s is too long, or too short for {seconds:g} s")
        if segment.skeleton is not None:
            clip = retarget(clip, skeleton, facings=("auto", self._facing))
        return clip if clip.seconds >= seconds else conform.repeated(clip, int(np.ceil(seconds / clip.seconds)))


def keyframes(request: GenerateRequest, skeleton: Skeleton) -> list[Keyframe]:
    """The keyframes of a request in order, the last of several in one frame."""
    found = {}
    for c in request.constraints:
        turns = {skeleton.index(name): np.roll(q, 1) for name, q in c.joint_rotations.items()}
        if c.fill_mode == "rest":
            turns = {**dict(enumerate(skeleton.rest)), **turns}
        place = None if c.root_position is None else np.array(c.root_position)
        if not np.isfinite([*turns.values()]).all() or not np.isfinite(0.0 if place is None else place).all():
            raise ClipError(f"the keyframe of frame {c.frame} has a number that is not finite")
        found[c.frame] = Keyframe(c.frame, {j: rot.normalize(q) for j, q in turns.items()}, place)
    return [found[frame] for frame in sorted(found)]


def _alike(one: Skeleton, other: Skeleton) -> bool:
    return (
        one.names == other.names
        and one.parents == other.parents
        and np.allclose(one.offsets, other.offsets, atol=1e-4)
        and bool((rot.angle(one.rest, other.rest) < 1e-3).all())
    )


def _between(keys: Sequence[Keyframe], skeleton: Skeleton, fps: float, times: Array, rate: float) -> Clip:
    """A clip with a frame at each of ``times`` (T,) that goes evenly from one complete keyframe to the next."""
    root, at = skeleton.roots[0], np.array([key.frame / fps for key in keys])
    turns = np.array([[key.turns[j] for j in range(skeleton.n_joints)] for key in keys])
    places = np.array([skeleton.offsets[root] if key.place is None else key.place for key in keys])
    before = np.clip(np.searchsorted(at, times, side="right") - 1, 0, len(keys) - 1)
    after = np.minimum(before + 1, len(keys) - 1)
    share = np.clip((times - at[before]) / np.maximum(at[after] - at[before], 1e-9), 0.0, 1.0)
    translations = np.tile(skeleton.offsets, (len(times), 1, 1))
    translations[:, root] = places[before] + share[:, None] * (places[after] - places[before])
    rotations = rot.slerp(turns[before], turns[after], share[:, None])
    return Clip(skeleton, rot.continuous(rotations), translations, rate)


def held(clip: Clip, keys: Sequence[Keyframe]) -> Clip:
    """The clip with ``keys`` met exactly; its skeleton has one root.

    The root's heading and place over the ground change evenly between keyframes that give them; other joints, and the
    root's height and tilt, within ``_FADE_S`` of a keyframe.
    """
    root, t = clip.skeleton.roots[0], np.arange(clip.n_frames)
    rotations, translations = clip.rotations.copy(), clip.translations.copy()
    headed = [key for key in keys if root in key.turns]
    if headed:
        gaps = [rot.multiply(key.turns[root], rot.inverse(rotations[key.frame, root])) for key in headed]
        yaws = np.unwrap([2.0 * np.arctan2(q[2], q[0]) for q in gaps])
        turn = rot.about("y", np.interp(t, [key.frame for key in headed], yaws))
        rotations[:, root] = rot.multiply(turn, rotations[:, root])
        steps = rot.rotate(turn[:-1], np.diff(translations[:, root], axis=0))
        translations[1:, root] = translations[0, root] + np.cumsum(steps, axis=0)
    placed = [(key.frame, key.place - translations[key.frame, root]) for key in keys if key.place is not None]
    for axis in (0, 2) if placed else ():
        translations[:, root, axis] += np.interp(t, [f for f, _ in placed], [gap[axis] for _, gap in placed])
    frames = [key.frame for key in keys]
    for k, key in enumerate(keys):
        near = [abs(f - key.frame) for f in frames[max(0, k - 1) : k] + frames[k + 1 : k + 2]]
        share = np.clip(1.0 - np.abs(t - key.frame) / max(1.0, min([_FADE_S * clip.fps, *near])), 0.0, 1.0)
        share *= share * (3.0 - 2.0 * share)
        joints = list(key.turns)
        gap = rot.multiply(rot.inverse(rotations[key.frame, joints]), [key.turns[j] for j in joints])
        rotations[:, joints] = rot.multiply(rotations[:, joints], rot.slerp(rot.IDENTITY, gap, share[:, None]))
        if key.place is not None:
            translations[:, root, 1] += share * (key.place[1] - translations[key.frame, root, 1])
    return replace(clip, rotations=rot.continuous(rotations), translations=translations)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes a free one. Raises SettingsError for an address that cannot be used."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        raise SettingsError(f"{host}, port {port}, cannot be used: {error}") from None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _internal_error(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse(ProtocolError("internal_error", f"{type(error).__name__}: {error}").to_envelope(), 500)


def http_server(server: Server, host: str) -> Any:
    """The uvicorn server, for ``run(sockets=[...])`` with :func:`listen`.

    On the loopback interface it answers requests to its own address only, so that no web page can reach it by a name
    that resolves to this machine.
    """
    app = build_app(server, title="anyrig")
    app.add_exception_handler(Exception, _internal_error)  # its traceback is still printed here
    if is_loopback(host):
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "::1", "[::1]"])
    return uvicorn.Server(uvicorn.Config(app, log_level="warning"))
