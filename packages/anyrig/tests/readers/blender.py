"""Where Blender (the bpy package) has the joints of GLB and BVH files: jobs and answers as three.mjs has them.

Positions are turned back from Blender's z up. Keys are bone names; ``nodes`` has those of the file, for GLB.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys

import bpy


def answer(job):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    if job["file"].endswith(".bvh"):
        # As Euler angles, its default, two rigs are off by 1.3e-5 of their size: see the README of anyrig.
        bpy.ops.import_anim.bvh(
            filepath=job["file"], axis_forward="-Z", axis_up="Y", use_fps_scale=False, rotate_mode="QUATERNION"
        )
        first, fps = 1.0, 1.0
    else:
        scene.render.fps, scene.render.fps_base = job["fps"], 1.0
        bpy.ops.import_scene.gltf(filepath=job["file"], bone_heuristic="BLENDER")
        first, fps = 0.0, job["fps"]
        for rig in (o for o in scene.objects if o.animation_data):
            play(rig, job["clip"])
    rigs = [o for o in scene.objects if o.type == "ARMATURE"]
    bones = [(rig, bone.name) for rig in rigs for bone in rig.pose.bones]
    things = [o for o in scene.objects if o.type != "ARMATURE"]  # nodes that no skin makes bones
    positions = [[] for _ in bones + things]
    for frame, time in zip(job["frames"], job["times"], strict=True):
        at = first + (frame if fps == 1.0 else time * fps)
        scene.frame_set(int(at), subframe=at - int(at))
        heads = [rig.matrix_world @ rig.pose.bones[name].head for rig, name in bones]
        for k, (x, y, z) in enumerate(heads + [o.matrix_world.translation for o in things]):
            positions[k].append([x, z, -y])
    return {"keys": [name for _, name in bones] + [o.name for o in things], "positions": positions}


def play(rig, clip):
    """Makes the named animation the one that plays: the importer puts each on a track of its own."""
    tracks = rig.animation_data.nla_tracks
    track = next((t for t in tracks if t.name == clip), None)
    if track is not None:
        strip = track.strips[0]
        rig.animation_data.action = strip.action
        if hasattr(rig.animation_data, "action_slot"):
            rig.animation_data.action_slot = strip.action_slot
    for t in tracks:
        t.mute = True


jobs = json.load(sys.stdin)
with contextlib.redirect_stdout(sys.stderr), open(os.devnull, "w") as null:
    keep = os.dup(1)
    os.dup2(null.fileno(), 1)  # the importers print from C
    answers = [answer(job) for job in jobs]
    os.dup2(keep, 1)
os.write(keep, json.dumps(answers).encode())
