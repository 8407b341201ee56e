"""``anyrig retarget``."""

from __future__ import annotations

import argparse
import json
import tomllib
from pathlib import Path

from anyrig.cli import add_file_options, say
from anyrig.errors import SettingsError

RETARGET_EXAMPLES = """\
examples:
  anyrig retarget --from walk.bvh --from-unit cm --to knight.glb --out walking.glb
  anyrig retarget --from fox.glb --clip Walk --to horse.glb --show-map

A map names for a joint of the rig the joint that it follows, or "" to rest: {"Torso": "chest", "Tail": ""}.
"""


def add_retarget(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = RETARGET_EXAMPLES
    parser.add_argument("--from", dest="source", type=Path, required=True, metavar="FILE", help="file with the clips")
    parser.add_argument("--to", type=Path, required=True, metavar="FILE", help="file with the rig to move")
    parser.add_argument("--out", type=Path, help="GLB, glTF, BVH or NPZ file to write")
    parser.add_argument("--clip", action="append", metavar="NAME", help="a clip; may be repeated (default: all)")
    parser.add_argument("--map", type=Path, metavar="FILE", help="JSON or TOML: joint of the rig -> joint to follow")
    parser.add_argument("--show-map", action="store_true", help="print each joint's partner and the reason")
    parser.add_argument("--sheet", type=Path, help="draw the clips before and after in a PNG")
    parser.add_argument(
        "--facing", default="auto", help="direction the rig faces at rest: z, x, -z, -x (default: auto)"
    )
    parser.add_argument("--from-facing", default="auto", help="the same of the clips' skeleton (default: auto)")
    parser.add_argument("--from-up", choices=("x", "y", "z"), help="up axis of the clips' file (default: y)")
    parser.add_argument("--from-unit", help="unit of the clips' file, as for --unit (default: m)")
    add_file_options(parser)


def retarget(args: argparse.Namespace) -> int:
    from anyrig.cli.motion import write
    from anyrig.io import SUFFIXES, load
    from anyrig.retargeting import partners
    from anyrig.retargeting import retarget as moved

    if args.out is None and not args.show_map:
        raise SettingsError("name a file to write with --out, or pass --show-map")
    if args.out is not None and args.out.suffix.lower() not in SUFFIXES:
        raise SettingsError(f"{args.out}: the name ends in none of {', '.join(SUFFIXES)}")
    mapping = read_map(args.map) if args.map else {}
    source = load(args.source, up=args.from_up, unit=args.from_unit)
    rig = load(args.to, skin=args.skin, up=args.up, unit=args.unit)
    facings = args.from_facing, args.facing
    if args.show_map:
        for joint, partner, reason in partners(source.skeleton, rig.skeleton, mapping, facings=facings):
            print(f"{joint:28} {partner:36} {reason}")
    if args.out is None:
        return 0
    if not source.clips:
        raise SettingsError(f"{args.source} has no clip to retarget")
    chosen = [source.clip(name) for name in args.clip] if args.clip else list(source.clips)
    clips = [moved(clip, rig.skeleton, mapping, facings=facings) for clip in chosen]
    for path in write(rig, clips, args.out, args.up, args.unit):
        say(f"wrote {path}: {len(clips)} clip{'s' * (len(clips) != 1)} on {rig.skeleton.n_joints} joints")
    if args.sheet is not None:
        from anyrig.conform import whole
        from anyrig.draw import contact_sheet

        contact_sheet([whole(c) for pair in zip(chosen, clips, strict=True) for c in pair], args.sheet)
        say(f"wrote {args.sheet}")
    return 0


def read_map(path: Path) -> dict[str, str]:
    """The correspondences in a JSON or TOML file. Raises SettingsError for a file without names of joints."""
    try:
        text = path.read_text(encoding="utf-8")
        found = tomllib.loads(text) if path.suffix.lower() == ".toml" else json.loads(text)
    except (ValueError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is no map: {str(error).splitlines()[0]}") from None
    if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
        raise SettingsError(f'{path} is no map: it has "joint of the rig": "joint to follow" for each')
    return found
