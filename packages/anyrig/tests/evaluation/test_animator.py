"""The animator's table: true motion is within the bounds, and every way to break it is seen by a measure."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from anyrig import animator, creatures
from anyrig.animator import RANKED, SCENES, Bound, Row, compare, controls, procedural, recorded, soles, table, wings
from anyrig.corpus import Selection
from anyrig.evaluation import Evaluator
from anyrig.io import Asset


def scene(name):
    return next(s for s in SCENES if s.name == name)


def body(kind, able):
    bodies = (Selection("test").body(kind, k) for k in range(50))
    return next(b for b in bodies if able in creatures.actions(b))


def broken(name, kinds, breaks, measure):
    """The rows of one measure where the generated motions are the true ones, broken."""
    one = replace(scene(name), kinds=kinds)

    def make(subject, scene, pins):
        return [breaks(c) for c in subject.true]

    return [r for r in compare(lambda s: procedural(s, 1), make, [one]) if r.measure == measure]


def moved(clip, by):
    translations = clip.translations.copy()
    translations[:, clip.skeleton.main_root] += by * animator.size_of(clip.skeleton)
    return replace(clip, translations=translations)


def along(clip, *per_second):
    return moved(clip, np.outer(np.arange(clip.n_frames) / clip.fps, per_second))


def waving(clip, size=0.2):
    return moved(clip, np.outer(size * np.sin(3 * np.arange(clip.n_frames) / clip.fps), [0, 1, 0]))


def shaken(clip):
    return moved(clip, np.random.default_rng(0).normal(scale=0.01, size=(clip.n_frames, 3)))


def flapping(clip):
    """Every joint of the left wing turned over time, which no folded wing does."""
    (base, _), _ = wings(clip.skeleton)
    rotations = clip.rotations.copy()
    angles = 0.6 * np.sin(np.arange(clip.n_frames))
    turns = np.stack([np.cos(angles / 2), 0 * angles, 0 * angles, np.sin(angles / 2)], axis=-1)
    rotations[:, base] = animator.rot.multiply(rotations[:, base], turns)
    return replace(clip, rotations=rotations)


def late(clip):
    return controls(clip)["one wing half a beat late"]


def frozen(clip):
    return controls(clip)["frozen"]


def swapped(clip):
    return controls(clip)["feet swapped"]


def half_as_fast(clip):
    at = np.arange(clip.n_frames) // 2
    return replace(clip, rotations=clip.rotations[at], translations=clip.translations[at])


def cut(clip):
    """Ends elsewhere in the cycle than it starts."""
    return clip.cut(0, round(0.9 * clip.n_frames) - 3)


def test_true_motion_is_within_all_bounds():
    def make(subject, scene, pins):
        return [pins[1].clip] if pins else subject.true

    some = [replace(s, kinds=s.kinds[:2], times=1.0) for s in SCENES if s.action]
    rows = compare(lambda s: procedural(s, 1), make, some)
    assert {r.scene for r in rows} == {s.name for s in some}
    assert [f"{r.scene}, {r.measure}, {r.kind}: {r.generated} {r.true}" for r in rows if not r.passed] == []


@pytest.mark.parametrize(
    ("name", "kinds", "breaks", "measure"),
    [
        ("fly", ("bird", "dragon", "hexapod"), late, "wing correlation"),
        ("fly", ("bird", "dragon", "hexapod"), frozen, "wing correlation"),
        ("fly", ("bird", "dragon", "hexapod"), frozen, "wing beats"),
        ("fly", ("bird", "dragon", "hexapod"), half_as_fast, "wing beats"),
        ("fly", ("bird", "dragon"), frozen, "wing range"),
        ("fly", ("bird", "dragon"), waving, "rise and fall"),
        ("walk", ("bird", "dragon"), flapping, "wings move"),
        ("walk", ("biped", "quadruped", "octopod"), waving, "foot on the ground"),
        ("walk", ("biped", "quadruped", "bird"), lambda c: along(c, 0.3, 0, 0), "foot skate"),
        ("run", ("biped", "quadruped"), lambda c: moved(c, np.array([0, 0.1, 0])), "foot on the ground"),
        ("walk", ("biped", "quadruped", "hexapod"), swapped, "feet crossed"),
        ("idle", ("biped", "quadruped"), shaken, "jerk"),
        ("death", ("biped", "serpent"), lambda c: along(c, 0, 0, 0.2), "speed in the last second"),
        ("jump", ("biped", "quadruped"), frozen, "height"),
        ("slither", ("serpent",), waving, "lowest joint"),
        ("slither", ("serpent",), waving, "vertical wave"),
        ("run, looped", ("biped", "quadruped"), cut, "seam"),
        ("turn left", ("biped", "quadruped"), frozen, "turned"),
        ("turn left twice", ("biped", "quadruped"), lambda c: c, "turned"),
        ("walk between pins", ("biped",), lambda c: moved(c, np.array([0.02, 0, 0])), "end pin missed by"),
    ],
)
def test_every_fault_is_seen(name, kinds, breaks, measure):
    rows = broken(name, kinds, breaks, measure)
    assert [r.kind for r in rows] == sorted(kinds, key=kinds.index)
    assert [r.passed for r in rows] == [False] * len(kinds)


def test_what_has_no_true_motion_is_held_to_absolute_bounds():
    """A creature that lies down sinks and stays; one that dies does, and one that hops away does not."""
    lie = scene("lie")

    def rows(action, breaks):
        def make(subject, scene, pins):
            rng = random.Random(0)
            return [breaks(creatures.clip(body("quadruped", action), action, rng, 4.0, 30.0))]

        return {
            r.measure: r.passed for r in compare(lambda s: procedural(s, 1), make, [replace(lie, kinds=("quadruped",))])
        }

    assert rows("death", lambda c: c) == {"sinks by": True, "travel": True}
    assert rows("idle", lambda c: along(c, 0.0, 0.1, 1.0)) == {"sinks by": False, "travel": False}
    still = replace(scene("stop"), kinds=("biped",))
    made = compare(
        lambda s: procedural(s, 1),
        lambda s, n, p: [frozen(creatures.clip(body("biped", "walk"), "walk", random.Random(0)))],
        [still],
    )
    assert all(r.passed for r in made)


@pytest.mark.parametrize("kind", ["bird", "dragon", "hexapod"])
def test_wings_and_feet_are_those_of_the_body(kind):
    """Also of bodies whose joints are called Bone.001 and so on."""
    for number in range(40):
        plan = Selection("test").body(kind, number)
        done = creatures.perform(plan, "idle", random.Random(0), 0.5)
        skeleton = done.rig.skeleton
        if plan.wings is not None:
            pair = wings(skeleton)
            assert pair is not None
            owners = {limb.side for limb in done.rig.wings for base, tip in pair if {base} <= set(limb.joints) and
                      tip in {*limb.joints, *(j for finger in limb.fingers for j in finger)}}  # fmt: skip
            assert owners == {-1, 1}
        for foot in done.feet:
            assert any(foot in skeleton.path(end) for end in soles(skeleton))


def test_contact_agrees_with_the_feet_that_were_planted():
    for kind in ("biped", "quadruped", "hexapod"):
        for action in ("walk", "run"):
            plan = body(kind, action)
            done = creatures.perform(plan, action, random.Random(1), 4.0, 30.0)
            assert animator.contact(done.clip) == pytest.approx(done.contacts.any(axis=1).mean(), abs=0.2)


def test_files_are_measured_against_their_own_clips():
    plan = body("quadruped", "walk")
    clip = replace(creatures.clip(plan, "walk", random.Random(0), 1.0, 24.0), action="walk")
    (subject,) = recorded(scene("walk"), [Asset(clip.skeleton, (clip,))])
    (true,) = subject.true
    assert true.fps == 30
    assert true.seconds >= 3.9  # a cycle is repeated
    assert animator.travel(true) == pytest.approx(animator.travel(clip) * true.seconds / clip.seconds, rel=0.05)
    assert list(recorded(scene("fly"), [Asset(clip.skeleton, (clip,))])) == []


def test_bounds_say_what_they_hold():
    assert Bound(0.8, 1.25).holds(1.2, 1.0)
    assert not Bound(0.8, 1.25).holds(0.7, 1.0)
    assert Bound(0.8, 1.25).holds(1.0, None) is None
    assert Bound(1.0, 1.0, slack=0.01).holds(-0.025, -0.02)
    assert str(Bound(high=2.0)) == "≤ 2 × true"
    assert str(RANKED) == "≥ 0.9"


def test_the_table_and_its_json_have_the_same_numbers():
    rows = [
        Row("fly", "wing beats", "Hz", "bird", 0.5, 2.0, 4, animator.SAME),
        Row("fly", "wing beats", "Hz", "dragon", 1.0, 1.0, 6, animator.SAME),
        Row("sit", "sinks by", "", "bird", None, None, 0, animator.SAME),
    ]
    text = table(rows)
    assert "| fly: wing beats (Hz) | 0.8 to 1.25 × true | 0.5 / 2, 0.25 ✗ | 1 / 1, 1.00 ✓ | 4 to 6 |" in text
    assert "1 of 2 within bounds" in text
    told = json.loads(json.dumps([r.to_dict() for r in rows]))
    assert told[0] == {
        "scene": "fly", "measure": "wing beats", "unit": "Hz", "kind": "bird", "generated": 0.5, "true": 2.0,
        "ratio": 0.25, "n": 4, "bound": "0.8 to 1.25 × true", "passed": False,
    }  # fmt: skip
    assert told[2]["passed"] is None


def test_an_evaluator_is_checked_on_every_control():
    torch.manual_seed(0)
    rows = animator.check(Evaluator().eval(), n=1)
    assert {r.measure for r in rows} == {"frozen", "one wing half a beat late", "feet swapped"}
    assert {r.kind for r in rows if r.measure == "one wing half a beat late"} == {"bird", "dragon", "hexapod"}
    assert "serpent" in {r.kind for r in rows if r.measure == "frozen"}
    assert all(0 <= r.generated <= 1 and r.n > 0 for r in rows)
    assert not all(r.passed for r in rows)  # an untrained one ranks nothing
