"""Motion without legs: a body that follows its own track on the ground, and a front that rises and strikes.

In lateral undulation (Gray, The mechanism of locomotion in snakes, 1946) every part of the body follows the track of
the head, so that nothing slides sideways. The track is Hirose's serpenoid, whose direction is a sine of the length
along it (Biologically Inspired Robots, 1993).
"""

from __future__ import annotations

import math
import random
from itertools import pairwise

import numpy as np

from anyrig import rotations as rot
from anyrig.creatures import standing
from anyrig.creatures.captions import STILL, Telling, turn_verbs
from anyrig.creatures.motion import TAU, Curve, Motion, smooth, spans, track, wave
from anyrig.creatures.rig import Rig
from anyrig.rotations import Array


class _Spine:
    """A serpent's joints from tail to head, and its bones between ``nodes``: the joints except a root between two
    bones, which both turn with it."""

    def __init__(self, rig: Rig) -> None:
        self.joints = (*(j for j, _ in sorted(rig.trunk, key=lambda pair: pair[1])), rig.head)
        self.nodes = [j for j in self.joints if j != rig.root or j == self.joints[0]]
        self.links = np.linalg.norm(np.diff(rig.natural[self.nodes], axis=0), axis=-1)
        self.length, self.height = float(self.links.sum()), float(rig.natural[rig.root, 1])


def _lay(links: Array, head: Array, swing: float, wavelength: float, turn: float = 0.0) -> Array:
    """Positions (T, n + 1, 2), as (x, z), of joints with bones of lengths ``links`` (n,) between them, on a line whose
    direction is ``swing * sin(2 pi s / wavelength)`` and turns by ``turn`` radians a wave.

    The foremost joint is at ``head`` (T,) on the line.
    """
    low, high = float(head.min()) - 2.5 * links.sum(), float(head.max())
    s = np.arange(math.floor(low / wavelength * 240), math.ceil(high / wavelength * 240) + 2) / 240 * wavelength
    middle = (s[1:] + s[:-1]) / 2
    angle = swing * np.sin(TAU * middle / wavelength) + turn * middle / wavelength
    steps = np.diff(s)[:, None] * np.stack([np.sin(angle), np.cos(angle)], axis=-1)
    points = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])

    def on(at: Array) -> Array:
        return np.stack([np.interp(at, s, points[:, 0]), np.interp(at, s, points[:, 1])], axis=-1)

    positions = [on(head)]
    for link in links[::-1]:  # the distance of neighbours is the length of their bone
        here, head = positions[-1], head - link
        for _ in range(8):
            gap = np.linalg.norm(here - on(head), axis=-1)
            ahead = np.linalg.norm(here - on(head + 1e-5 * link), axis=-1)
            slope = (ahead - gap) / (1e-5 * link)
            head = head - np.clip((gap - link) / np.minimum(slope, -0.2), -0.3 * link, 0.3 * link)
        positions.append(on(head))
    return np.stack(positions[::-1], axis=1)


def _pose(motion: Motion, body: _Spine, positions: Array, *, nod: Curve = 0.0, roll: Curve = 0.0) -> None:
    """Poses the spine so that its nodes are at ``positions`` (T, n, 3). ``nod`` pitches the head down from its bone's
    direction; ``roll`` (T,) turns the whole body about its length."""
    rig = motion.rig
    forward = np.diff(positions, axis=1)
    yaw = np.arctan2(forward[..., 0], forward[..., 2])
    pitch = -np.arctan2(forward[..., 1], np.hypot(forward[..., 0], forward[..., 2]))
    bone = {pair: k for k, pair in enumerate(pairwise(body.nodes))}
    root, last = body.joints.index(rig.root), len(body.joints) - 1
    world: dict[int, Array] = {}
    for i, joint in enumerate(body.joints):
        # In front of the root a joint turns the bone after it, behind the root the bone before it.
        a = min(i, last - 1) if i >= root else max(i - 1, 0)
        ends = body.joints[a], body.joints[a + 1]
        if rig.root not in body.nodes and rig.root in ends:  # both bones at the root are one
            ends = body.joints[root - 1], body.joints[root + 1]
        k = bone[ends]
        tilt = pitch[:, k] + (np.asarray(nod) if joint == rig.head else 0.0)
        angles = np.stack(np.broadcast_arrays(yaw[:, k], tilt, np.asarray(roll)), axis=-1)
        world[joint] = rot.from_euler(angles, "YXZ")
    for joint in body.joints:
        above = rot.about("y", motion.heading) if joint == rig.root else world[rig.skeleton.parents[joint]]
        motion.exact[joint] = rot.multiply(rot.inverse(above), world[joint])
    motion.position[:] = _root_place(rig, body, positions)


def _root_place(rig: Rig, body: _Spine, positions: Array) -> Array:
    if rig.root in body.nodes:
        return positions[:, body.nodes.index(rig.root)]
    i = body.joints.index(rig.root)
    before, after = (np.linalg.norm(rig.natural[body.joints[k]] - rig.natural[rig.root]) for k in (i - 1, i + 1))
    share = before / (before + after)
    k = body.nodes.index(body.joints[i - 1])
    return np.asarray((1 - share) * positions[:, k] + share * positions[:, k + 1])


def _upright(flat: Array, height: float) -> Array:
    """Points (..., 2) on the ground as (..., 3), at a height."""
    return np.stack([flat[..., 0], np.full(flat.shape[:-1], height), flat[..., 1]], axis=-1)


def _reared(
    motion: Motion, rng: random.Random, *, part: float, pitch: Array, level: Curve = 0.0, yaw: Curve = 0.0, bow: Curve
) -> tuple[_Spine, Array]:
    """The spine and the positions (T, n, 3) of a body that lies in waves and raises its front ``part``.

    In radians: ``pitch`` (T,) is the pitch at the start of the raised part, ``level`` that at the head, ``yaw`` the
    head's turn to the left, ``bow`` the sideways bend of its S.
    """
    body = _Spine(motion.rig)
    n = len(body.links)
    front = max(3, round(part * n))
    swing, wavelength = rng.uniform(0.75, 1.05), body.length / rng.uniform(1.5, 2.2)
    flat = _lay(body.links[: n - front], np.zeros(motion.n_frames), swing, wavelength)
    positions = [_upright(flat - flat[:, -1:], body.height)]
    end = positions[0][:, -1]
    start = np.arctan2(*np.moveaxis(flat[:, -1] - flat[:, -2], -1, 0))
    for k in range(front):
        x = (k + 0.5) / front
        steep = pitch * math.sin(math.pi * min(1.0, 0.15 + 0.85 * (1 - x))) ** 0.7 + (level - 0.15 * pitch) * x**2
        turned = start * (1 - smooth(2 * x)) + yaw * smooth(x) + bow * math.sin(TAU * x) * (1 - 0.3 * x)
        step = np.stack([np.cos(steep) * np.sin(turned), np.sin(steep), np.cos(steep) * np.cos(turned)], axis=-1)
        end = end + body.links[n - front + k] * step
        end[:, 1] = np.maximum(end[:, 1], body.height)
        positions.append(end[:, None])
    points = np.concatenate(positions, axis=1)
    for k in range(n - front, n):  # restores the lengths of the bones
        step = points[:, k + 1] - points[:, k]
        points[:, k + 1 :] += (step * (body.links[k] / np.linalg.norm(step, axis=-1, keepdims=True) - 1.0))[:, None]
    return body, points


def _flow(motion: Motion, rng: random.Random, *, quick: float = 1.0, turn: float = 0.0) -> None:
    """Moves forward along a serpenoid by a whole number of waves; ``turn`` is its turn in radians."""
    body, style = _Spine(motion.rig), motion.style
    wavelength = body.length / rng.uniform(1.3, 2.3)
    swing = min(1.05, rng.uniform(0.6, 0.9) * style.energy**0.5) / quick**0.3
    n = motion.times_in(max(0.55, rng.uniform(0.9, 1.3) * (body.length / 2.0) ** 0.3 / (style.speed * quick)))
    motion.cyclic = True
    head = wavelength * (rng.random() + n * motion.progress)
    flat = _lay(body.links, head, swing, wavelength, turn / n)
    motion.heading += turn * motion.progress
    _pose(motion, body, _upright(flat - flat[:1, -1:], body.height))
    motion.speed = n * wavelength / motion.seconds


_WAVES = (
    "waves run down the body from head to tail|the body flows forward in S-shaped curves|bends travel back along it",
    "the tail follows the path of the head|every part follows the track of the head",
    "the belly stays on the ground|the whole body glides over the ground",
)


def slither(motion: Motion, rng: random.Random) -> Telling:
    _flow(motion, rng)
    return Telling(
        "slither forward|slither|crawl forward in curves|glide along the ground",
        "lies on the ground in waves|is on its way, stretched out in curves",
        *_WAVES,
    )


def dash(motion: Motion, rng: random.Random) -> Telling:
    _flow(motion, rng, quick=1.6)
    return Telling(
        "dash forward|slither at full speed|rush over the ground|flee in quick curves",
        "is on its way, stretched out in curves|lies ready on the ground",
        *_WAVES,
    )


def turn(motion: Motion, rng: random.Random, side: float) -> Telling:
    _flow(motion, rng, turn=side * rng.uniform(0.5, 0.9) * motion.seconds)
    return Telling(
        turn_verbs(side, "slither"),
        "is on its way, stretched out in curves|lies in waves",
        "the head leads into the curve|the head swings round first",
        "the body follows the track of the head|every part follows the head",
    )


def idle(motion: Motion, rng: random.Random) -> Telling:
    motion.cyclic = True
    u, energy = motion.progress, motion.style.energy
    slow = motion.times_in(rng.uniform(1.8, 3.0))
    up = 1.25 if "rears" in motion.rig.plan.habits else rng.uniform(0.3, 0.8)
    up = max(0.15, up + 0.4 * motion.style.head)
    steep = up + 0.06 * energy * wave(slow * u, 0.2)
    yaw, bow = (size * energy * wave(slow * u, rng.random()) for size in (0.25, 0.2))
    body, positions = _reared(motion, rng, part=0.3, pitch=steep, yaw=yaw, bow=bow)
    _pose(motion, body, positions, nod=0.06 * wave(slow * u))
    motion.open_jaw(0.06 * energy * (1 - np.cos(TAU * 2 * slow * u)))
    return Telling(
        "lie still|rest in place|idle|wait in place",
        "lies on the ground in waves|lies in loose curves",
        "the front of the body is raised|its front rises from the ground"
        if up > 0.6
        else "the head is lifted a little|only the head is raised",
        "the head sways slowly from side to side|its head weaves a little",
        "the body stays where it is|its coils do not move",
    )


def look_around(motion: Motion, rng: random.Random) -> Telling:
    yaw, verbs, head = standing.glance(motion, rng)
    _pose(motion, *_reared(motion, rng, part=0.32, pitch=np.full(motion.n_frames, 0.95), yaw=yaw, bow=0.2))
    return Telling(
        verbs,
        "lies with its front raised|has its head reared up",
        head,
        "the raised front of the body turns with it|its neck sways along",
        "the rest of the body lies still|the coils do not move",
    )


def swallow(motion: Motion, rng: random.Random) -> Telling:
    u = motion.progress
    low = track(u, (0.0, 0.55), (0.25, 0.12), (0.75, 0.12), (1.0, 0.5))
    gulp = spans(u, (0.25, 0.35), (0.75, 0.85)) * wave(max(2, round(1.6 * motion.seconds)) * u)
    body, positions = _reared(motion, rng, part=0.3, pitch=low, level=-0.1, yaw=0.12 * gulp, bow=0.2 + 0.25 * gulp)
    _pose(motion, body, positions, nod=0.08 * gulp)
    motion.open_jaw(1.1 * spans(u, (0.12, 0.3), (0.7, 0.85)) * (0.75 + 0.25 * gulp))
    return Telling(
        "eat|swallow its prey|devour something",
        "lies with its head raised|has its head lifted",
        "the head goes down to the ground|it lowers its head",
        "the jaws open very wide|its mouth is stretched wide open"
        if motion.rig.jaw is not None
        else "the head pushes forward|the head presses on",
        "the neck works from side to side|the front of the body gulps and swings",
    )


def strike(motion: Motion, rng: random.Random) -> Telling:
    u = motion.progress
    hit = rng.uniform(0.42, 0.55)
    back, ahead = ((hit - 0.22, -0.5), (hit - 0.1, -0.55)), ((hit, 1.0), (hit + 0.06, 1.0))
    out = track(u, (0.0, 0.0), *back, *ahead, (hit + 0.3, 0.0), (1.0, 0.0))
    ready = np.clip(1.0 - np.maximum(out, 0.0), 0.0, 1.0)
    coil = 0.45 + 0.75 * np.maximum(-out, 0.0) / 0.55
    steep = (1.0 + 0.25 * coil) * ready + rng.uniform(0.05, 0.2) * (1 - ready)
    bow = 1.15 * motion.style.energy**0.3 * coil * ready
    body, positions = _reared(motion, rng, part=0.42, pitch=steep, level=0.1 * (1 - ready), bow=bow)
    jaw = spans(u, (hit - 0.12, hit - 0.04), (hit + 0.02, hit + 0.08))
    _pose(motion, body, positions, nod=-0.3 * jaw)
    motion.open_jaw(1.2 * jaw)
    return Telling(
        "strike|strike forward|attack with a bite|lunge and bite",
        "lies with its front raised|has its head reared up",
        "the front of the body draws back into an S|it coils its front like a spring",
        "the head shoots forward with open jaws|it lunges with its mouth wide open",
        "then it pulls back|afterwards the neck is drawn back in",
    )


def death(motion: Motion, rng: random.Random) -> Telling:
    u, body = motion.progress, _Spine(motion.rig)
    calm = 1.0 - smooth((u - 0.15) / 0.55)
    roll = rng.choice((1, -1)) * 2.9 * smooth((u - 0.25) / 0.45)
    base, waves, n = rng.uniform(0.5, 0.9), rng.uniform(1.1, 1.7), len(body.links)
    k = (np.arange(n) + 0.5) / n
    yaw = base * np.sin(TAU * waves * k)[None, :] * (1 + 0.5 * smooth(u))[:, None]
    thrash = np.sin(TAU * (waves * 1.2 * k[None, :] - (2.6 * u)[:, None]))
    yaw = yaw + (0.7 * motion.style.energy * calm)[:, None] * thrash
    steps = body.links[None, :, None] * np.stack([np.sin(yaw), np.zeros_like(yaw), np.cos(yaw)], axis=-1)
    points = np.concatenate([np.zeros((len(u), 1, 3)), np.cumsum(steps, axis=1)], axis=1)
    points += -points.mean(axis=1, keepdims=True) + np.array([0.0, body.height, 0.0])
    points[..., 1] = body.height
    _pose(motion, body, points, roll=roll)
    motion.open_jaw(0.8 * smooth((u - 0.3) / 0.4))
    return Telling(
        "writhe and die|die|twist in agony and die",
        "lies on the ground in curves|lies in waves",
        "the body writhes in wild curves|it twists and thrashes",
        "it rolls over on its back|the belly turns up",
        STILL,
    )
