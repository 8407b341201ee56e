"""Locomotion on legs: gaits, fixed footholds, feet that swing between them, the body above them.

A gait gives the times at which each foot stands (duty factor and phase). Speed and stride of a body follow from the
Froude number ``Fr = v^2 / (g h)`` at a hip height ``h``, at which animals of all sizes change their gaits alike, and
strides from ``length / h = 2.3 Fr^0.3`` (Alexander & Jayes, A dynamic similarity hypothesis for the gaits of
quadrupedal mammals, J. Zool. 1983; their fits are 2.4 Fr^0.34 walking, 1.9 Fr^0.40 running).
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace

import numpy as np

from anyrig.creatures import standing
from anyrig.creatures.captions import Telling, side_name, turn_verbs
from anyrig.creatures.motion import GRAVITY, PITCH, TAU, YAW, Curve, Motion, bump, smooth, track, wave
from anyrig.creatures.rig import Leg, Rig
from anyrig.rotations import Array

# The shortest cycle in seconds: smaller animals step faster, which 15 frames a second cannot show.
_SHORTEST = {"walk": 0.62, "trot": 0.5, "run": 0.42}
# Duty, Froude number, lift and vault.
_BIPEDS = {"walk": (0.62, 0.2, 0.10, 0.022), "trot": (0.42, 0.75, 0.17, -0.035), "run": (0.34, 1.9, 0.26, -0.045)}
_REPTILES = {"walk": (0.68, 0.12, 0.22, 0.0), "trot": (0.54, 0.35, 0.28, 0.0), "run": (0.42, 0.9, 0.34, -0.03)}


@dataclass(frozen=True)
class Gait:
    """``offsets`` are the touchdowns of the legs (in the rig's order) as shares of a cycle, ``duty`` the share of it
    that each stands. ``lift`` is the height of the swing (relative to the hips'), ``vault`` the rise of the body over a
    standing leg (negative: it sinks, as a spring does). ``pattern`` names the footfalls. A cycle takes ``period``
    seconds, at ``speed`` in m/s; ``cyclic`` if a whole number of cycles fills the clip; strides scale with ``height``.
    """

    name: str
    pattern: str
    offsets: tuple[float, ...]
    duty: float
    lift: float
    vault: float
    period: float
    speed: float
    cyclic: bool
    height: float


def gait(motion: Motion, name: str, rng: random.Random, pace: float = 1.0) -> Gait:
    """The gait of a body for ``"walk"``, ``"trot"`` or ``"run"``; the cycle is adjusted so that whole cycles fill the
    clip. ``pace`` scales the stride (backward and sideways steps are short)."""
    rig, seconds, speed = motion.rig, motion.seconds, motion.style.speed
    pattern, offsets, duty, froude, lift, vault = _footfalls(rig, name, rng)
    # The h of the Froude number: the hips' height, or for wide legs a share of their length.
    height = float(np.mean([max(rig.natural[leg.chain[0], 1], 0.45 * leg.fold.lengths.sum()) for leg in rig.legs]))
    froude = froude * (pace * speed) ** 2
    stride = min(2.3 * froude**0.3 * height, min(_travel(rig, leg) for leg in rig.legs) / duty)
    period = max(stride / math.sqrt(froude * GRAVITY * height), _SHORTEST[name] / speed**0.5)
    cyclic = seconds >= 0.7 * period
    if cyclic:
        period = seconds / motion.times_in(period)
    return Gait(name, pattern, offsets, duty, lift, vault, period, stride / period, cyclic, height)


def _footfalls(rig: Rig, name: str, rng: random.Random) -> tuple[str, tuple[float, ...], float, float, float, float]:
    """Pattern, offsets, duty, Froude number, lift and vault."""
    habits, pairs = rig.plan.habits, len(rig.plan.legs)
    if pairs > 2:
        # Waves run from the hind legs forward; with half a cycle per pair they are alternating tripods or tetrapods.
        ripple = name == "walk" and rng.random() < 0.4
        lag = 1.0 / pairs if ripple else 0.5
        offsets = tuple((side + (pairs - 1 - pair) * lag) % 1.0 for pair in range(pairs) for side in (0.0, 0.5))
        duty, froude, lift = {"walk": (0.6, 0.06, 0.2), "trot": (0.52, 0.14, 0.25), "run": (0.45, 0.3, 0.3)}[name]
        pattern = "ripple" if ripple else "tripod" if pairs == 3 else "tetrapod"
        return pattern, offsets, 0.7 if ripple else duty, froude * rng.uniform(0.8, 1.2), lift, 0.006
    if pairs == 1 and "hops" in habits and name != "walk":
        offset = 0.0 if rng.random() < 0.7 else 0.06
        froude, duty = (0.9, 0.42) if name == "trot" else (2.2, 0.34)
        return "hops", (0.0, offset), duty, froude, 0.2, -0.10
    vary = rng.uniform(0.8, 1.2)
    if pairs == 1:
        duty, froude, lift, vault = _BIPEDS[name]
        return "alternate", (0.0, 0.5), duty, froude * vary, lift, vault
    if "sprawls" in habits:
        duty, froude, lift, vault = _REPTILES[name]
        return "diagonal", (0.46, 0.96, 0.0, 0.5), duty, froude * vary, lift, vault
    if name == "walk":
        late = rng.uniform(0.2, 0.28)
        return "lateral", (late, 0.5 + late, 0.0, 0.5), 0.66, 0.16 * vary, 0.13, 0.014
    if name == "trot" and "paces" in habits:
        return "lateral pairs", (0.04, 0.54, 0.0, 0.5), 0.46, 0.6 * vary, 0.18, -0.025
    if name == "trot":
        return "diagonal", (0.5, 0.0, 0.0, 0.5), 0.46, 0.6 * vary, 0.2, -0.03
    if "bounds" in habits:
        return "bound", (0.5, 0.53, 0.0, 0.03), 0.30, 2.4 * vary, 0.26, -0.055
    if rig.plan.trunk.flex < 0.2:  # heavy animals amble at a fast walk and never leave the ground
        return "amble", (0.22, 0.72, 0.0, 0.5), 0.46, 0.75 * vary, 0.16, -0.015
    offsets = rng.choice(((0.42, 0.55, 0.0, 0.12), (0.55, 0.42, 0.12, 0.0)))
    return "gallop", offsets, 0.29, 2.2 * vary, 0.26, -0.05


def _travel(rig: Rig, leg: Leg) -> float:
    """The distance, in metres, that the body can pass over a foot with the hips at 0.93 of their natural height."""
    reach = rig.natural[leg.chain[-1]] - rig.natural[leg.chain[0]]
    longest = 0.985 * leg.fold.longest
    across = longest**2 - (0.93 * reach[1]) ** 2 - reach[0] ** 2
    half = math.sqrt(max(across, 0.0)) - abs(reach[2]) * 0.6
    wide = 0.36 * leg.fold.lengths.sum()  # wide legs would touch their neighbours
    return 2.0 * float(max(0.08 * leg.fold.lengths.sum(), min(half, wide)))


# -- stepping along a path


@dataclass(frozen=True)
class Path:
    """Motion at ``speed`` (m/s) in the direction ``slip`` from the heading, turning by ``turn`` rad/s. With ``ease``
    (seconds) it starts and ends at rest."""

    speed: float
    turn: float = 0.0
    slip: float = 0.0
    ease: float = 0.0

    def at(self, times: Array) -> tuple[Array, Array]:
        """Places (..., 3) and headings (...) at ``times`` (...) in seconds, before the start and after the end too."""
        if self.ease:
            times = self.ease * smooth(times / self.ease)
        heading = self.turn * times
        course = self.slip + heading
        if abs(self.turn) < 1e-9:
            x, z = self.speed * times * math.sin(self.slip), self.speed * times * math.cos(self.slip)
        else:
            radius = self.speed / self.turn
            x, z = radius * (math.cos(self.slip) - np.cos(course)), radius * (np.sin(course) - math.sin(self.slip))
        return np.stack([x, np.zeros_like(x), z], axis=-1), heading

    def foothold(self, home: Array, times: Array, centre: Array) -> tuple[Array, Array]:
        """The position and heading at ``times`` of a foot whose natural position is ``home`` from the ``centre``."""
        position, heading = self.at(times)
        sine, cosine = np.sin(heading), np.cos(heading)
        x, z = cosine * home[0] + sine * home[2], cosine * home[2] - sine * home[0]
        return position + centre + np.stack([x, np.zeros_like(x), z], axis=-1), heading


def _step_along(
    motion: Motion,
    gait: Gait,
    path: Path,
    rng: random.Random,
    *,
    narrow: float,
    roll: float = 1.0,
    strength: Curve = 1.0,
) -> Array:
    """Moves body and feet along ``path``; returns the phase (T,), 1 per cycle. ``narrow`` below 1 puts the feet closer
    together, ``roll`` scales their roll over the ball, ``strength`` the body's own motion."""
    rig = motion.rig
    cycles = rng.random() + motion.times / gait.period
    standing.stance(motion)
    position, heading = path.at(motion.times)  # of the middle of the feet
    lead = rig.natural[rig.root] - rig.centre
    motion.position[:, 0] += position[:, 0] + np.sin(heading) * lead[2]
    motion.position[:, 2] += rig.centre[2] + position[:, 2] + np.cos(heading) * lead[2] - rig.natural[rig.root, 2]
    motion.heading += heading
    for k in range(len(rig.legs)):
        _step_foot(motion, k, gait, path, cycles, narrow, roll)
    _ride(motion, gait, cycles, strength * motion.style.energy)
    return cycles


def _step_foot(motion: Motion, k: int, gait: Gait, path: Path, cycles: Array, narrow: float, roll: float) -> None:
    rig, feet, leg = motion.rig, motion.feet, motion.rig.legs[k]
    phase = cycles - gait.offsets[k]
    index = np.floor(phase + 1e-9)
    part = np.clip(phase - index, 0.0, 1.0)
    home = (leg.home - rig.centre) * np.array([narrow, 1.0, 1.0])
    # In the middle of the stance the hip is above the foot.
    middle = (index + gait.offsets[k] + gait.duty / 2 - float(cycles[0])) * gait.period
    from_, from_yaw = path.foothold(home, middle, rig.centre)
    to, to_yaw = path.foothold(home, middle + gait.period, rig.centre)
    swing = np.clip((part - gait.duty) / (1.0 - gait.duty), 0.0, 1.0)
    share = smooth(swing)
    far = np.linalg.norm(to - from_, axis=-1) + 0.3 * np.abs(to_yaw - from_yaw) * np.linalg.norm(home)
    height = gait.lift * rig.hip_height * np.clip(far / (0.25 * gait.height), 0.0, 1.0)
    feet.point[:, k] = from_ + share[:, None] * (to - from_)
    feet.point[:, k, 1] = height * motion.style.energy**0.5 * bump(swing, 0.8)
    feet.yaw[:, k] = from_yaw + share * (to_yaw - from_yaw)
    feet.planted[:, k] = part <= gait.duty
    strength = roll * np.clip(far / (0.5 * gait.height), 0.0, 1.0)
    _roll(motion, k, gait, np.clip(part / gait.duty, 0.0, 1.0), swing, strength)
    if leg.toe is not None:  # keeps hanging toes above the ground
        length = float(np.linalg.norm(rig.offsets[leg.toe]))
        most = np.arcsin(np.clip(0.98 * feet.point[:, k, 1] / length, 0.0, 1.0))
        feet.toe[:, k] = np.minimum(feet.toe[:, k], most)


def _roll(motion: Motion, k: int, gait: Gait, stance: Array, swing: Array, strength: Array) -> None:
    """Rolls a foot over its ball at the end of the stance; the foot hangs in the swing."""
    rig, leg = motion.rig, motion.rig.legs[k]
    quick = {"walk": 1.0, "trot": 1.15, "run": 1.35}[gait.name]
    if leg.contact == leg.chain[-1]:
        motion.feet.toe[:, k] = strength * track(swing, (0.0, 0.0), (0.35, 0.8 * quick), (0.85, -0.1), (1.0, 0.0))
        return
    hoof = rig.plan.legs[leg.pair].toe <= 0
    rise = math.radians(16 if "columnar" in rig.plan.habits else 22 if hoof else 36) * quick
    rolling = rise * smooth((stance - 0.5) / 0.5)
    hanging = track(swing, (0.0, rise), (0.3, rise * (2.4 if hoof else 1.5)), (0.8, 0.0 if hoof else -0.22), (1.0, 0.0))
    motion.feet.pitch[:, k] = strength * np.where(swing > 0, hanging, rolling)
    motion.feet.toe[:, k] = strength * np.where(swing > 0, hanging, 0.0)


def _ride(motion: Motion, gait: Gait, cycles: Array, amount: Curve) -> None:
    """The body's own motion in phase with the legs: heave, sway, roll, yaw, and their consequences."""
    rig = motion.rig
    beats = [_beat(rig, gait, cycles, pair) for pair in range(len(rig.plan.legs))]
    heaves = [amount * gait.vault * rig.hip_height * heave for heave, _, _ in beats]
    if len(heaves) > 2:
        heaves = [np.mean(heaves, axis=0)] * 2
    motion.heave(heaves[-1], heaves[0])
    _twist(motion, beats, amount)
    if gait.pattern in ("gallop", "bound"):
        arch = amount * (0.12 + 0.3 * rig.plan.trunk.flex) * np.cos(TAU * (cycles + 0.05))
        motion.trunk((-0.6 * arch, 0.0, 0.0), (0.5 * arch, 0.0, 0.0))
    motion.steady(0.75)
    _carry(motion, gait, cycles, amount)
    _swing_arms(motion, gait, cycles, amount)


def _beat(rig: Rig, gait: Gait, cycles: Array, pair: int) -> tuple[Array, Array, Array]:
    """The load of a pair of legs: heave, highest over an upright leg; side, 1 over the left leg, -1 over the right one,
    0 where both move together; ahead, 1 when the left leg is farthest ahead, -1 when the right one is."""
    legs = [(leg.side, gait.offsets[k]) for k, leg in enumerate(rig.legs) if leg.pair == pair]
    upright = [(side, TAU * (cycles - offset - gait.duty / 2)) for side, offset in legs]
    heave = np.asarray(sum(np.cos(a) + np.cos(2 * a) for _, a in upright) / 2)
    side = np.asarray(sum(side * np.cos(a) for side, a in upright) / 2)
    return heave, side, np.asarray(sum(side * np.cos(TAU * (cycles - offset)) for side, offset in legs) / 2)


def _twist(motion: Motion, beats: list[tuple[Array, Array, Array]], amount: Curve) -> None:
    rig, (_, side, ahead) = motion.rig, beats[-1]
    if len(rig.legs) > 4:
        motion.shift(left=0.02 * rig.hip_height * amount * side)
        motion.trunk((0, 0.02 * amount * ahead, 0), (0, 0.02 * amount * ahead, 0))
        return
    sprawls, upright = "sprawls" in rig.plan.habits, len(rig.legs) == 2
    yaw, roll = (0.26, 0.03) if sprawls else (0.05 + 0.06 * rig.plan.trunk.flex, 0.045)
    motion.shift(left=amount * (0.03 if upright else 0.018) * rig.hip_height * side)
    pelvis = (0.0, -yaw * amount * ahead, roll * amount * side)
    if upright:  # the shoulders turn against the hips
        motion.trunk(pelvis, (0.0, 0.8 * yaw * amount * ahead, -0.3 * roll * amount * side))
    else:
        _, side, ahead = beats[0]
        motion.trunk(pelvis, (0.0, -yaw * amount * ahead, roll * amount * side))


def _carry(motion: Motion, gait: Gait, cycles: Array, amount: Curve) -> None:
    """Tail, ears, antennae and trunk in phase with the body."""
    rig, plan = motion.rig, motion.rig.plan
    lively = np.asarray(amount) * (1.0 + max(0.0, motion.style.tail))
    if "sting" in plan.habits or plan.insect:
        motion.ripple(rig.tail, PITCH, 0.05 * lively, 2 * cycles, 0.05)
    else:
        sprawls = "sprawls" in plan.habits
        motion.ripple(rig.tail, YAW, (0.7 if sprawls else 0.3) * lively, cycles, 0.09 if sprawls else 0.06)
        motion.ripple(rig.tail, PITCH, 0.1 * lively, 2 * cycles, 0.08)
    for limb in (*rig.ears, *rig.antennae):
        motion.bend(limb.joints, pitch=0.12 * lively * wave(2 * cycles, 0.1 if limb.side > 0 else 0.2))
    motion.ripple(rig.nose, PITCH, 0.25 * lively, cycles, 0.08)
    motion.ripple(rig.nose, YAW, 0.2 * lively, cycles, 0.1)
    if gait.name == "walk" and plan.kind == "quadruped":
        motion.look(pitch=0.05 * lively * wave(2 * cycles, 0.15))


def _swing_arms(motion: Motion, gait: Gait, cycles: Array, amount: Curve) -> None:
    """Arms that swing against the legs, with elbows more bent at higher speeds; pincers are held up."""
    reach, elbow = {"walk": (0.42, 0.25), "trot": (0.6, 1.1), "run": (0.85, 1.45)}[gait.name]
    for arm in motion.rig.arms:
        if motion.rig.plan.pincers:
            motion.turn(arm.joints[0], pitch=-0.12 * np.asarray(amount) * wave(cycles, 0.25 * arm.side))
            continue
        back = np.asarray(amount) * np.cos(2 * np.pi * (cycles - gait.offsets[0 if arm.side > 0 else 1]))
        if "upright" in motion.rig.plan.habits:
            motion.turn(arm.joints[0], pitch=reach * back - 0.15 * reach)
            motion.turn(arm.joints[1], pitch=-elbow + 0.3 * reach * back)
            motion.curl_fingers(arm, 0.4 + 0.5 * (gait.name != "walk"))
        else:
            motion.turn(arm.joints[0], pitch=0.12 * back - 0.1)
            motion.turn(arm.joints[1], pitch=-0.2)


def _go(
    motion: Motion, name: str, rng: random.Random, *, slip: float = 0.0, turn: float = 0.0, pace: float = 1.0
) -> Gait:
    """Walks, trots or runs (``name``) at constant speed, turning by ``turn`` radians; ``slip`` is that of
    :class:`Path`."""
    chosen = gait(motion, name, rng, pace)
    path = Path(chosen.speed, turn / motion.seconds, slip)
    motion.cyclic, motion.speed = chosen.cyclic, chosen.speed
    narrow = 0.75 if len(motion.rig.legs) == 2 else 0.95
    # Feet roll over the ball in forward steps.
    _step_along(motion, chosen, path, rng, narrow=narrow, roll=max(0.3, math.cos(slip)))
    if "upright" in motion.rig.plan.habits:
        lean = {"walk": 0.03, "trot": 0.12, "run": 0.2}[name] * np.cos(slip)
        motion.trunk((0.5 * lean, 0.0, 0.0), (lean, 0.0, 0.0))
        motion.look(pitch=-0.7 * lean)
    return chosen


# -- clauses on legs and body


_LEGS = {
    "lateral": "the legs step one after another|one foot after the other is lifted|the feet land one by one",
    "diagonal": "the legs swing in diagonal pairs|opposite fore and hind legs move together",
    "lateral pairs": "both legs of one side swing together|the legs pace, left pair and right pair in turn",
    "gallop": "the hind legs push off and the forelegs reach out in turn|fore and hind legs gather under the body "
    "and stretch out again",
    "bound": "both hind legs push off together|hind legs and forelegs move in pairs, in bounds",
    "amble": "the legs hurry one after another without a flight phase|the heavy legs step in a fast four-beat order",
    "alternate": "left and right leg swing in turn|the legs stride alternately",
    "hops": "both legs push off together|the feet leave and meet the ground as one",
    "tripod": "three legs step while the other three stand|the legs move in alternating tripods",
    "tetrapod": "four legs step while the other four stand|the legs move in alternating groups of four",
    "ripple": "a wave of steps runs from the hind legs to the front|the legs ripple from back to front",
}


def _rest_of_body(motion: Motion, gait: Gait) -> list[str]:
    """Clauses on tail, arms and wings."""
    rig, plan, clauses = motion.rig, motion.rig.plan, []
    if rig.arms and "upright" in plan.habits:
        bent = "" if gait.name == "walk" else "bent "
        clauses.append(f"its {bent}arms swing against the legs|the {bent}arms swing back and forth")
    if len(rig.tail) > 1 and plan.kind in ("quadruped", "biped", "dragon"):
        clauses.append("the tail sways behind|its tail swings from side to side|the tail follows in a wave")
    if plan.wings is not None:
        clauses.append("the wings stay folded|its wings are held against the body")
    return clauses


def _trunk(motion: Motion, gait: Gait) -> str:
    if "sprawls" in motion.rig.plan.habits:
        return "the trunk bends from side to side|the spine snakes left and right"
    if gait.pattern in ("gallop", "bound"):
        return "the back arches and stretches|the spine flexes with every leap|the body rocks back and forth"
    if gait.name == "walk":
        return "the body sways gently|the trunk rocks a little from side to side|the body stays level"
    return "the body bounces|the trunk bobs up and down|the body springs with each step"


def _stride(motion: Motion) -> str:
    return f"is in mid-{'stride' if len(motion.rig.legs) == 2 else 'step'}|is on the move|is under way"


# -- actions


_TROTS = {
    "alternate": "jog|jog forward|trot forward",
    "hops": "hop along|hop forward|hop",
    "lateral pairs": "pace|trot at a pace|trot forward",
}
_RUNS = {
    "gallop": "gallop|gallop forward|run|run at a gallop",
    "bound": "bound forward|run in bounds|run",
    "hops": "hop fast|leap along in great hops|bound along on two legs",
    "alternate": "run|run forward|sprint",
    "amble": "run heavily|charge forward|run",
}


def walk(motion: Motion, rng: random.Random) -> Telling:
    """The slowest gait, with some feet always on the ground; crabs walk sideways."""
    if "sideways" in motion.rig.plan.habits:
        return sidestep(motion, rng, pace=0.9)
    crawls = "sprawls" in motion.rig.plan.habits or len(motion.rig.legs) > 4
    verbs = "crawl forward|walk forward|walk|creep along" if crawls else "walk forward|walk|stroll|walk on"
    return _straight_on(motion, rng, "walk", {}, verbs)


def trot(motion: Motion, rng: random.Random) -> Telling:
    return _straight_on(motion, rng, "trot", _TROTS, "trot|trot forward|trot along")


def run(motion: Motion, rng: random.Random) -> Telling:
    """Gallops and bounds of four legs, sprints of two, scurrying of many."""
    return _straight_on(motion, rng, "run", _RUNS, "scurry|run|scuttle forward|run forward")


def _straight_on(motion: Motion, rng: random.Random, name: str, verbs: dict[str, str], others: str) -> Telling:
    chosen = _go(motion, name, rng)
    parts = (_LEGS[chosen.pattern], _trunk(motion, chosen), *_rest_of_body(motion, chosen))
    return Telling(verbs.get(chosen.pattern, others), _stride(motion), *parts)


def sneak(motion: Motion, rng: random.Random) -> Telling:
    style = motion.style
    motion.style = replace(
        style, speed=0.62 * style.speed, energy=0.8 * style.energy, crouch=style.crouch + 0.16, head=-0.35, tail=-0.1
    )
    chosen = _go(motion, "walk", rng)
    if "upright" in motion.rig.plan.habits:
        motion.trunk((0.12, 0, 0), (0.35, 0, 0))
        motion.look(pitch=-0.5)
    motion.style = style
    return Telling(
        "sneak forward|creep forward|stalk forward|prowl",
        "is in mid-step, crouched low|crouches on bent legs",
        "the body is held low|it keeps low on bent legs",
        _LEGS[chosen.pattern],
        "the head is lowered|it holds its head low",
    )


def walk_backward(motion: Motion, rng: random.Random) -> Telling:
    chosen = _go(motion, "walk", rng, slip=math.pi, pace=0.62)
    motion.look(pitch=0.08)
    return Telling(
        "walk backward|step backward|back away|retreat backward",
        _stride(motion),
        "the feet step backward one by one|short steps carry it backward",
        "it keeps looking ahead|the head still faces forward",
        *_rest_of_body(motion, chosen),
    )


def sidestep(motion: Motion, rng: random.Random, pace: float = 0.5) -> Telling:
    """To the left or the right, looking ahead, at a ``pace`` (1 is a full walk)."""
    side = rng.choice((1, -1))
    _go(motion, "walk", rng, slip=side * math.pi / 2, pace=pace)
    way = f"to the {side_name(side)}"
    return Telling(
        f"sidestep {way}|step sideways {way}|walk sideways {way}|move sideways {way}",
        _stride(motion),
        f"the legs step {way} one after another|the feet reach out {way}",
        "the body keeps facing forward|it goes on looking ahead",
    )


def turn(motion: Motion, rng: random.Random, side: float) -> Telling:
    """To the left (``side`` 1) or the right (-1), in a curve or on the spot."""
    if rng.random() >= 0.5:
        return _turn_on_the_spot(motion, rng, side)
    chosen = _go(motion, "walk", rng, turn=side * _most_turn(motion, motion.seconds) * rng.uniform(0.5, 0.8))
    motion.look(yaw=side * 0.25)
    motion.bend(motion.rig.tail, yaw=-side * 0.25)
    return Telling(
        turn_verbs(side, "walk"),
        _stride(motion),
        f"the head looks {side_name(side)}|the head leads into the turn",
        _LEGS[chosen.pattern],
        "it goes in a curve|its path bends round",
    )


def _turn_on_the_spot(motion: Motion, rng: random.Random, side: float) -> Telling:
    rig, way = motion.rig, side_name(side)
    angle = side * min(2.8, _most_turn(motion, motion.seconds / 1.875)) * rng.uniform(0.75, 1.0)
    chosen = gait(motion, "walk", rng, pace=0.8)
    path = Path(0.25 * chosen.speed, angle / motion.seconds, ease=motion.seconds)
    moving = bump(motion.progress) ** 0.5
    cycles = _step_along(motion, chosen, path, rng, narrow=0.95, strength=0.5 * moving)
    lead = side * bump(np.clip(motion.progress * 1.15, 0, 1), 0.75)
    motion.bow(0, 0.5 * rig.plan.trunk.flex * lead)
    motion.look(yaw=0.45 * lead)
    motion.bend(rig.tail, yaw=-0.5 * lead)
    motion.ripple(rig.tail, YAW, 0.1 * moving, cycles, 0.1)
    degrees = round(math.degrees(abs(angle)) / 15) * 15
    far = "[sharply|by a right angle]" if 80 <= degrees <= 100 else f"by about {degrees} degrees"
    far = "[all the way round|around]" if degrees >= 135 else far
    return Telling(
        f"turn {way} on the spot|turn to the {way}|turn {way} {far}|turn {way} in place",
        "stands still|stands on its feet",
        f"the head turns {way} first|it looks {way}",
        "the feet follow in small steps|its legs step round",
        "it comes to a stand again|then it stands still",
    )


def _most_turn(motion: Motion, seconds: float) -> float:
    """The largest turn in ``seconds`` without sliding feet, in radians."""
    rig = motion.rig
    chosen = gait(motion, "walk", random.Random(0))
    stance = chosen.duty * chosen.period
    angles = []
    for leg in rig.legs:
        arm = float(np.linalg.norm((leg.home - rig.centre)[[0, 2]]))
        angles.append(0.32 * leg.fold.lengths.sum() / max(arm, 1e-6) / stance * seconds)
    return float(min(min(angles), 1.2 * seconds))
