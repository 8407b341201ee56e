"""Where bvhio and pybvh have the joints of BVH files: jobs and answers as three.mjs has them, for the reader named."""

from __future__ import annotations

import json
import sys


def by_bvhio(job):
    import bvhio

    root = bvhio.readAsHierarchy(job["file"])
    keys = [joint.Name for joint, _, _ in root.layout()]
    positions = [[] for _ in keys]
    for frame in job["frames"]:
        root.loadPose(frame, recursive=True)
        for k, (joint, _, _) in enumerate(root.layout()):
            positions[k].append(list(joint.PositionWorld))
    return {"keys": keys, "positions": positions}


def by_pybvh(job):
    import pybvh

    bvh = pybvh.read_bvh_file(job["file"])
    keys = [node.name for node in bvh.nodes]
    whole = bvh.node_positions()[job["frames"]]
    return {"keys": keys, "positions": whole.transpose(1, 0, 2).tolist()}


read = {"bvhio": by_bvhio, "pybvh": by_pybvh}[sys.argv[1]]
json.dump([read(job) for job in json.load(sys.stdin)], sys.stdout)
