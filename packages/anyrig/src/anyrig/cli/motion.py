"""``anyrig generate``, ``anyrig studio``, ``anyrig mmcp`` and ``anyrig demo``."""

from __future__ import annotations

import argparse
import time
import webbrowser
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from anyrig.cli import (
    add_file_options,
    add_model_options,
    add_start_options,
    open_clip,
    open_model,
    open_start,
    parse_prompt,
    say,
)
from anyrig.errors import SettingsError

if TYPE_CHECKING:
    from anyrig.generation import Pin
    from anyrig.io import Asset
    from anyrig.skeleton import Clip

_PATIENCE_S = 5.0
GENERATE_EXAMPLES = """\
examples:
  anyrig generate --rig dragon.glb --text "a dragon flies" --seconds 4 --out flight.glb
  anyrig generate --rig rig.bvh --text "it walks@3" --text "it attacks@2" --out both.bvh
  anyrig generate --rig rig.glb --text "it turns" --pin idle.glb:0-0.5 --out turn.glb
"""


def add_generate(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = GENERATE_EXAMPLES
    parser.add_argument("--rig", type=Path, required=True, help="GLB, glTF, BVH or NPZ file with a skeleton")
    parser.add_argument("--text", action="append", required=True, metavar="TEXT[@S]",
                        help="a prompt; repeat it for a sequence, each with its own seconds after an @")  # fmt: skip
    parser.add_argument(
        "--seconds", type=float, default=4.0, help="duration of each prompt without its own (default: 4)"
    )
    parser.add_argument("--out", type=Path, required=True, help="GLB, glTF, BVH or NPZ file to write")
    parser.add_argument("--samples", type=int, default=1, help="number of motions (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same motion (default: 0)")
    parser.add_argument("--fps", type=float, default=30.0, help="frames a second (default: 30)")
    parser.add_argument("--in-place", action="store_true", help="remove the travel over the ground")
    parser.add_argument("--loop", action="store_true", help="make the last pose the first")
    parser.add_argument("--pin", action="append", default=[], metavar="FILE[#CLIP]:FROM-TO",
                        help="seconds of a clip of this rig to keep in the motion")  # fmt: skip
    parser.add_argument(
        "--facing", default="auto", help="direction that the rig faces at rest: z, x, -z, -x (default: auto)"
    )
    parser.add_argument("--no-lock", action="store_true", help="do not fix standing feet in place")
    parser.add_argument("--no-ground", action="store_true", help="do not lift the motion out of the ground")
    parser.add_argument("--no-limits", action="store_true", help="do not limit joints to the range of the rig's clips")
    parser.add_argument("--sheet", type=Path, help="draw the motions in a PNG")
    add_start_options(parser)
    add_file_options(parser)
    add_model_options(parser)


def generate(args: argparse.Namespace) -> int:
    from anyrig.io import SUFFIXES, load

    prompts = [parse_prompt(text, args.seconds) for text in args.text]
    if args.out.suffix.lower() not in SUFFIXES:
        raise SettingsError(f"{args.out}: the name ends in none of {', '.join(SUFFIXES)}")
    if not args.out.parent.is_dir():
        raise SettingsError(f"{args.out}: there is no folder {args.out.parent}")
    rig = load(args.rig, skin=args.skin, up=args.up, unit=args.unit)
    model, sampling = open_model(args)
    from anyrig.facing import detect_facing
    from anyrig.generation import Options, generate_clips
    from anyrig.starts import notes

    facing = detect_facing(rig.skeleton)
    if args.facing == "auto" and not facing.sure:
        say(f"the facing of {args.rig} is uncertain; assumed {facing.axis}, by {facing.by} (--facing overrides it)")
    options = Options(
        args.samples, args.seed, args.fps, not args.no_lock, not args.no_ground, args.in_place, args.loop, args.facing,
        sampling, not args.no_limits, args.start_level,
    )  # fmt: skip
    pins = [_pin(text, args) for text in args.pin]
    start = open_start(args)
    for line in (line for text, _ in prompts for line in notes(text)):
        say(f"note: {line}")
    began = time.perf_counter()
    clips = generate_clips(model, rig.skeleton, prompts, options, pins, _progress(args.steps), rig.clips, start)
    took = time.perf_counter() - began
    say(f"generated {sum(c.seconds for c in clips):.1f} s of motion for {rig.skeleton.n_joints} joints in {took:.1f} s")
    clips = [replace(c, name=f"{c.name} {k + 1}" if len(clips) > 1 else c.name) for k, c in enumerate(clips)]
    for path in write(rig, clips, args.out, args.up, args.unit):
        say(f"wrote {path}")
    if args.sheet is not None:
        from anyrig.draw import contact_sheet

        contact_sheet(clips, args.sheet)
        say(f"wrote {args.sheet}")
    return 0


def write(rig: Asset, clips: list[Clip], out: Path, up: str | None = None, unit: str | None = None) -> list[Path]:
    """Writes all clips to one file, or for BVH, which holds one clip, to numbered files; returns the paths.

    Joints that carry nothing of the mesh are left out of BVH files, since many readers refuse joints that slide.
    """
    from anyrig.conform import whole
    from anyrig.io import save

    if out.suffix.lower() != ".bvh":
        save(replace(rig, clips=tuple(clips)), out, up=up, unit=unit)
        return [out]
    paths = [out if len(clips) == 1 else out.with_stem(f"{out.stem}-{k + 1}") for k in range(len(clips))]
    for path, clip in zip(paths, clips, strict=True):
        save(whole(clip), path, up=up, unit=unit)
    return paths


def _progress(n_steps: int) -> Callable[[int], None]:
    """Prints the step every few seconds."""
    last = [time.monotonic()]

    def progress(done: int) -> None:
        if time.monotonic() - last[0] > _PATIENCE_S:
            last[0] = time.monotonic()
            say(f"step {done} of {n_steps}")

    return progress


def _pin(text: str, args: argparse.Namespace) -> Pin:
    from anyrig.generation import Pin

    file, _, span = text.rpartition(":")
    first, _, last = span.partition("-")
    try:
        start, stop = float(first), float(last or first)
    except ValueError:
        raise SettingsError(f"a pin is FILE:FROM-TO, such as idle.glb:0-0.5, not {text!r}") from None
    return Pin(open_clip(file, args), start, stop)


DEMO_PROMPTS = (
    ("dragon", 3, ("a dragon walks", "a dragon flies", "the dragon attacks")),
    ("quadruped", 5, ("a horse runs fast", "it attacks", "it dies")),
    ("bird", 2, ("a bird flies, beating its wings", "it walks slowly", "it attacks with its beak")),
)
"""Kind, number of a body of the test split, and prompts."""


def add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("runs/motion-demo"), help="folder (default: runs/motion-demo)")
    parser.add_argument("--seconds", type=float, default=4.0, help="duration of each motion (default: 4)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the noise (default: 0)")
    add_start_options(parser)
    add_model_options(parser)


def demo(args: argparse.Namespace) -> int:
    from anyrig import creatures
    from anyrig.corpus import Selection
    from anyrig.draw import contact_sheet
    from anyrig.generation import Options, generate_clips
    from anyrig.io import Asset, load

    model, sampling = open_model(args)
    start = open_start(args)
    args.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for kind, number, texts in DEMO_PROMPTS:
        skeleton = creatures.skeleton(Selection("test").body(kind, number))
        clips = []
        for text in texts:
            started = time.monotonic()
            options = Options(seed=args.seed, sampling=sampling, start_level=args.start_level)
            clips += generate_clips(model, skeleton, [(text, args.seconds)], options, start=start)
            say(f"{kind}: {text!r}, {skeleton.n_joints} joints, {time.monotonic() - started:.1f} s")
        path = args.out / f"{kind}.glb"
        write(Asset(skeleton), clips, path)
        back = load(path)
        say(f"wrote {path}: {len(back.clips)} clips")
        rows += [replace(c, name=kind) for c in clips]
    contact_sheet(rows, args.out / "sheet.png", cell=150)
    say(f"wrote {args.out / 'sheet.png'}")
    return 0


def add_studio(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=8765, help="0 takes a free one (default: 8765)")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    add_model_options(parser)


def studio(args: argparse.Namespace) -> int:
    model, sampling = open_model(args)
    from anyrig.studio import Session, serve

    server = serve(Session(model, sampling), args.port)
    address = f"http://127.0.0.1:{server.server_address[1]}/"
    say(f"studio at {address} (Ctrl-C ends it)")
    if not args.no_browser:
        webbrowser.open(address)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        say("")
    finally:
        server.server_close()
    return 0


def add_mmcp(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rig", type=Path, help="file with the skeleton to propose; its clips limit its joints")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one (default: 8000)")
    parser.add_argument(
        "--facing", default="auto", help="direction that rigs face at rest: z, x, -z, -x (default: auto)"
    )
    add_file_options(parser)
    add_model_options(parser)


def mmcp(args: argparse.Namespace) -> int:
    from anyrig import creatures
    from anyrig.corpus import Selection
    from anyrig.facing import facing_of
    from anyrig.io import Asset, load

    try:
        from anyrig.mmcp import Server, http_server, is_loopback, listen
    except ImportError as error:
        raise SettingsError(f"anyrig mmcp needs {error.name}: pip install 'anyrig[mmcp]'") from None
    if args.rig is None:
        rig = Asset(creatures.skeleton(Selection("test").body("biped", 3)))
    else:
        rig = load(args.rig, skin=args.skin, up=args.up, unit=args.unit)
    facing_of(rig.skeleton, args.facing)  # refuses another word now, not in each request
    server = http_server(Server(*open_model(args), rig, args.facing), args.host)
    with listen(args.host, args.port) as listening:
        host = f"[{args.host}]" if ":" in args.host else args.host
        say(f"MMCP at http://{host}:{listening.getsockname()[1]} (Ctrl-C ends it)")
        if not is_loopback(args.host):
            say("whoever reaches this address can generate motion: there is no password")
        try:
            server.run(sockets=[listening])
        except KeyboardInterrupt:
            say("")
    return 0
