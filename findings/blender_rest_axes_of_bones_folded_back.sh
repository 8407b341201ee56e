#!/bin/sh
# Blender's rest matrix of a bone that folds back onto its parent, to between 4 and 10 degrees, is no rotation: M^T M is
# off by up to 7e-5, where single precision would be 1e-7. vec_roll_to_mat3 divides by 1 + y, y being the cosine to the
# parent, which cancels; below 6.1e-3 it takes two terms of a series instead, which is worst just there. What hangs on
# such a bone is off by some 1e-5 of its length once it is posed: seen where BVH files are compared with other readers.
# Installs bpy (370 MB), which exists for Python 3.11. Ends with status 0 while this is so.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q bpy==4.5.15
"$folder/venv/bin/python" - <<'PY'
import math
import sys

import bpy
from mathutils import Matrix, Vector


def off(degrees):
    """By how much the rest matrix of a bone, so far from its parent's reverse direction, is no rotation."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    armature = bpy.data.armatures.new("rig")
    thing = bpy.data.objects.new("rig", armature)
    bpy.context.collection.objects.link(thing)
    bpy.context.view_layer.objects.active = thing
    bpy.ops.object.mode_set(mode="EDIT")
    parent, child = (armature.edit_bones.new(name) for name in ("parent", "child"))
    parent.head, parent.tail = (0, 0, 0), (0, 0, 1)
    back = Vector((0, math.sin(math.radians(degrees)), -math.cos(math.radians(degrees))))
    child.head, child.tail, child.parent = parent.tail, parent.tail + back, parent
    bpy.ops.object.mode_set(mode="OBJECT")
    m = armature.bones["child"].matrix_local.to_3x3()
    rest = m.transposed() @ m - Matrix.Identity(3)
    return max(abs(rest[i][j]) for i in range(3) for j in range(3))


found = {degrees: off(degrees) for degrees in (0.5, 2, 4, 5, 5.9, 6.2, 6.5, 7, 10, 20, 45, 90, 180)}
print(f"Blender {bpy.app.version_string}: degrees from the parent's reverse direction, error of M^T M")
for degrees, error in found.items():
    print(f"{degrees:6} {error:.1e}")
sys.exit(0 if max(found[5.9], found[6.2]) > 1e-5 and found[90] < 1e-6 else 1)
PY
