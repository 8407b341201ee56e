"""Motion without legs: a body that flows along its own track on the ground, and a front that rises and strikes.

A slithering snake follows its head: every part of the body passes where the part before it was (lateral undulation,
Gray, The mechanism of locomotion in snakes, 1946), so that nothing slides sideways. The track is Hirose's serpenoid,
whose direction is a sine of the length along it (Biologically Inspired Robots, 1993).
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from anyrig import rotations as rot
from anyrig.creatures.captions import Telling
from anyrig.creatures.curves import TAU, Curve, smooth, spans, track, wave
from anyrig.creatures.motion import Motion

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Track:
    """A line on the ground: its direction is ``swing * sin(2 pi s / wave)``, turning by ``turn`` radians a wave."""

    swing: float
    wave: float
    turn: float = 0.0

    def table(self, low: float, high: float) -> tuple[Array, Array]:
        """Lengths along the line (n,) and its points (n, 2) as (x, z), from ``low`` to ``high``."""
        s = np.arange(math.floor(low / self.wave * 240), math.ceil(high / self.wave * 240) + 2) / 240 * self.wave
        middle = (s[1:] + s[:-1]) / 2
        angle = self.swing * np.sin(TAU * middle / self.wave) + self.turn * middle / self.wave
        steps = np.diff(s)[:, None] * np.stack([np.sin(angle), np.cos(angle)], axis=-1)
        points = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])
        return s, points


@dataclass(frozen=True, eq=False)
class Spine:
    """A serpent's joints from tail to head, and the bones between them; the root between two bones is left out of
    ``nodes`` when it is neither first nor last, since both its bones turn with it."""

    joints: tuple[int, ...]
    nodes: tuple[int, ...]
    links: Array

    @property
    def length(self) -> float:
        """From the first to the last joint."""
        return float(self.links.sum())


def spine(motion: Motion) -> Spine:
    """The spine of a serpent's rig."""
    rig = motion.rig
    joints = [j for j, _ in sorted(rig.trunk, key=lambda pair: pair[1])]
    if rig.head is not None:
        joints.append(rig.head)
    nodes = [j for j in joints if j != rig.root or j in (joints[0], joints[-1])]
    places = rig.natural[nodes]
    return Spine(tuple(joints), tuple(nodes), np.linalg.norm(np.diff(places, axis=0), axis=-1))


def along(line: Track, body: Spine, head: Array, stop: int = 0) -> Array:
    """Places (T, n - stop, 2) of a body's nodes (all but the last ``stop``), the foremost at ``head`` (T,) on a line.

    Neighbours are as far apart as their bone is long, in a straight line.
    """
    links = body.links[: len(body.links) - stop]
    s, points = line.table(float(head.min()) - 2.5 * links.sum(), float(head.max()))
    at = head
    places = [_on(s, points, at)]
    for link in links[::-1]:
        here, guess = places[-1], at - link
        for _ in range(8):
            there = _on(s, points, guess)
            ahead = _on(s, points, guess + 1e-5 * link)
            gap = np.linalg.norm(here - there, axis=-1)
            slope = (np.linalg.norm(here - ahead, axis=-1) - gap) / (1e-5 * link)
            guess = guess - np.clip((gap - link) / np.minimum(slope, -0.2), -0.3 * link, 0.3 * link)
        at = guess
        places.append(_on(s, points, at))
    return np.stack(places[::-1], axis=1)


def _on(s: Array, points: Array, at: Array) -> Array:
    return np.stack([np.interp(at, s, points[:, 0]), np.interp(at, s, points[:, 1])], axis=-1)


def lay(motion: Motion, body: Spine, places: Array, *, nod: Curve = 0.0, roll: Curve = 0.0) -> None:
    """Poses the spine so that its nodes are at ``places`` (T, n, 3). ``nod`` pitches the head down from its bone's
    direction; ``roll`` (T,) turns the whole body about its length."""
    rig = motion.rig
    forward = np.diff(places, axis=1)
    yaw = np.arctan2(forward[..., 0], forward[..., 2])
    pitch = -np.arctan2(forward[..., 1], np.hypot(forward[..., 0], forward[..., 2]))
    bone = {pair: k for k, pair in enumerate(pairwise(body.nodes))}
    inner = rig.root not in body.nodes
    root = body.joints.index(rig.root)
    world: dict[int, Array] = {}
    for i, joint in enumerate(body.joints):
        front = i >= root
        a, b = (i, i + 1) if front else (i - 1, i)
        a, b = max(0, min(a, len(body.joints) - 2)), max(1, min(b, len(body.joints) - 1))
        if joint == rig.head:
            a, b = len(body.joints) - 2, len(body.joints) - 1
        ends = [body.joints[a], body.joints[b]]
        if inner and rig.root in ends:  # both bones at the root are one
            ends = [body.joints[root - 1], body.joints[root + 1]]
        k = bone[ends[0], ends[1]]
        tilt = pitch[:, k] + (np.asarray(nod) if joint == rig.head else 0.0)
        angles = np.stack(np.broadcast_arrays(yaw[:, k], tilt, np.asarray(roll)), axis=-1)
        world[joint] = rot.from_euler(angles, "YXZ")
    for joint in body.joints:
        above = rot.about("y", motion.heading) if joint == rig.root else world[rig.skeleton.parents[joint]]
        motion.exact[joint] = rot.multiply(rot.inverse(above), world[joint])
    motion.place[:] = _root_place(motion, body, places)


def _root_place(motion: Motion, body: Spine, places: Array) -> Array:
    rig = motion.rig
    if rig.root in body.nodes:
        return places[:, body.nodes.index(rig.root)]
    i = body.joints.index(rig.root)
    before, after = (rig.natural[body.joints[k]] - rig.natural[rig.root] for k in (i - 1, i + 1))
    share = np.linalg.norm(before) / (np.linalg.norm(before) + np.linalg.norm(after))
    k = body.nodes.index(body.joints[i - 1])
    return np.asarray((1 - share) * places[:, k] + share * places[:, k + 1])


def slither(motion: Motion, rng: random.Random, *, quick: float = 1.0, turn: float = 0.0) -> float:
    """Flows forward along a serpenoid, whole waves a clip; ``turn`` is by how much, in radians. Returns the speed."""
    body, style = spine(motion), motion.style
    waves = rng.uniform(1.3, 2.3)
    line_wave = body.length / waves
    swing = min(1.05, rng.uniform(0.6, 0.9) * style.energy**0.5) / quick**0.3
    period = max(0.55, rng.uniform(0.9, 1.3) * (body.length / 2.0) ** 0.3 / (style.speed * quick))
    n = max(1, round(motion.seconds / period))
    line = Track(swing, line_wave, turn / n)
    motion.cyclic = True
    head = line_wave * (rng.random() + n * motion.progress)
    flat = along(line, body, head)
    places = _upright(flat - flat[:1, -1:], float(motion.rig.natural[motion.rig.root, 1]))
    motion.heading += turn * motion.progress
    lay(motion, body, places)
    motion.speed = n * line_wave / motion.seconds
    return motion.speed


def _upright(flat: Array, height: float) -> Array:
    """Points (..., 2) on the ground as (..., 3), at a height."""
    return np.stack([flat[..., 0], np.full(flat.shape[:-1], height), flat[..., 1]], axis=-1)


def reared(
    motion: Motion, body: Spine, rng: random.Random, *, part: float, pitch: Array, level: Array, yaw: Array, bow: Array
) -> Array:
    """Places (T, n, 3) of a body that lies in waves and raises its front ``part``.

    ``pitch`` (T,) is how steep the raised part starts, ``level`` (T,) the pitch it ends with at the head, ``yaw`` (T,)
    its turn to the left at the head, ``bow`` (T,) the sideways bend of its S in radians.
    """
    n = len(body.links)
    front = max(3, round(part * n))
    line = Track(rng.uniform(0.75, 1.05), body.length / rng.uniform(1.5, 2.2))
    still = np.full(motion.n_frames, line.wave * 0.0)
    flat = along(line, body, still, stop=front)
    height = float(motion.rig.natural[motion.rig.root, 1])
    places = [_upright(flat - flat[:, -1:], height)]
    end = places[0][:, -1]
    start = np.arctan2(*np.moveaxis(flat[:, -1] - flat[:, -2], -1, 0))
    for k in range(front):
        x = (k + 0.5) / front
        steep = pitch * math.sin(math.pi * min(1.0, 0.15 + 0.85 * (1 - x))) ** 0.7 + (level - 0.15 * pitch) * x**2
        turned = start * (1 - smooth(2 * x)) + yaw * smooth(x) + bow * math.sin(TAU * x) * (1 - 0.3 * x)
        step = np.stack([np.cos(steep) * np.sin(turned), np.sin(steep), np.cos(steep) * np.cos(turned)], axis=-1)
        end = end + body.links[n - front + k] * step
        end[:, 1] = np.maximum(end[:, 1], height)
        places.append(end[:, None])
    points = np.concatenate(places, axis=1)
    return _spaced(points, body.links, n - front)


def _spaced(points: Array, links: Array, start: int) -> Array:
    """Moves the nodes after ``start`` so that each is its bone's length from the one before it."""
    points = points.copy()
    for k in range(start, len(links)):
        step = points[:, k + 1] - points[:, k]
        points[:, k + 1 :] += (step * (links[k] / np.linalg.norm(step, axis=-1, keepdims=True) - 1.0))[:, None]
    return points


def idle(motion: Motion, rng: random.Random) -> Telling:
    """Lies in waves, the head up, swaying a little."""
    motion.cyclic = True
    body, u, energy = spine(motion), motion.progress, motion.style.energy
    slow = max(1, round(motion.seconds / rng.uniform(1.8, 3.0)))
    up = 1.25 if "rears" in motion.rig.plan.habits else rng.uniform(0.3, 0.8)
    up = max(0.15, up + 0.4 * motion.style.head)
    still = np.ones(motion.n_frames)
    places = reared(
        motion, body, rng, part=0.3, pitch=up * still + 0.06 * energy * wave(slow * u, 0.2), level=0.0 * still,
        yaw=0.25 * energy * wave(slow * u, rng.random()), bow=0.2 * energy * wave(slow * u, rng.random()),
    )  # fmt: skip
    lay(motion, body, places, nod=0.06 * wave(slow * u))
    motion.open_jaw(0.06 * energy * (1 - np.cos(TAU * 2 * slow * u)))
    high = (
        "[the front of the body is raised|its front rises from the ground]"
        if up > 0.6
        else "[the head is lifted a little|only the head is raised]"
    )
    return Telling(
        ("lie still", "rest in place", "idle", "wait in place"),
        (
            high,
            "[the head sways slowly from side to side|its head weaves a little]",
            "[the body stays where it is|its coils do not move]",
        ),
        "[lies on the ground in waves|lies in loose curves]",
        paced=False,
    )


def strike(motion: Motion, rng: random.Random) -> Telling:
    """Draws the front back into an S, shoots forward with open jaws, draws back."""
    body, u, energy = spine(motion), motion.progress, motion.style.energy
    hit = rng.uniform(0.42, 0.55)
    out = track(
        u,
        (0.0, 0.0),
        (hit - 0.22, -0.5),
        (hit - 0.1, -0.55),
        (hit, 1.0),
        (hit + 0.06, 1.0),
        (hit + 0.3, 0.0),
        (1.0, 0.0),
    )
    ready = np.clip(1.0 - np.maximum(out, 0.0), 0.0, 1.0)
    coil = 0.45 + 0.75 * np.maximum(-out, 0.0) / 0.55
    low = rng.uniform(0.05, 0.2)
    places = reared(
        motion, body, rng, part=0.42, pitch=(1.0 + 0.25 * coil) * ready + low * (1 - ready), level=0.1 * (1 - ready),
        yaw=np.zeros_like(u), bow=1.15 * energy**0.3 * coil * ready,
    )  # fmt: skip
    jaw = spans(u, (hit - 0.12, hit - 0.04), (hit + 0.02, hit + 0.08))
    lay(motion, body, places, nod=-0.3 * jaw)
    motion.open_jaw(1.2 * jaw)
    return Telling(
        ("strike", "strike forward", "attack with a bite", "lunge and bite"),
        ("[the front of the body draws back into an S|it coils its front like a spring]",
         "[the head shoots forward with open jaws|it lunges with its mouth wide open]",
         "[then it pulls back|afterwards the neck is drawn back in]"),
        "[lies with its front raised|has its head reared up]",
        paced=False,
    )  # fmt: skip
