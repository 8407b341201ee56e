"""``anyrig train``."""

from __future__ import annotations

import argparse
import json
import tomllib
from pathlib import Path
from typing import Any

from anyrig.cli._options import add_compute_options, device, say
from anyrig.errors import FileError, SettingsError

_EPILOG = """\
examples:
  anyrig train runs/motion --workers 2
  anyrig train runs/no-tree --set model.position=sequence --set model.distances=false
  anyrig train runs/quadrupeds --set kinds=quadruped
"""


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("run", type=Path, help="the run's folder; an unfinished run in it goes on")
    parser.add_argument("--config", type=Path, help="settings in TOML")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", dest="sets",
                        help="one setting, such as steps=1000 or model.width=192")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="a small model for a few minutes, to see that all works")
    parser.add_argument("--workers", type=int, default=1, help="processes that make examples (default: 1)")
    parser.add_argument("--stop-after", type=int, help="stop after so many steps in all; the run can go on later")
    parser.add_argument("--show", action="store_true", help="print the settings and stop")
    add_compute_options(parser)


def main(args: argparse.Namespace) -> int:
    """Trains."""
    from anyrig.training import TrainSettings, train
    from anyrig.training.loop import quick

    values = _read(args.config) if args.config else {}
    for text in args.sets:
        _put(values, text)
    settings = TrainSettings.from_dict(values)
    if args.quick:
        settings = quick(settings)
    if args.show:
        print(json.dumps(settings.to_dict(), indent=1))
        return 0
    if args.workers < 1:
        raise SettingsError("workers are at least 1")
    train(settings, args.run, workers=args.workers, device=device(args), stop_after=args.stop_after, say=say)
    return 0


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FileError(f"{path} is no TOML: {error}") from None


def _put(values: dict[str, Any], text: str) -> None:
    name, mark, value = text.partition("=")
    if not mark:
        raise SettingsError(f"a setting is NAME=VALUE, not {text!r}")
    try:
        parsed = tomllib.loads(f"v = {value}")["v"]
    except tomllib.TOMLDecodeError:
        parsed = value
    head, dot, tail = name.partition(".")
    if name == "kinds" and isinstance(parsed, str):
        parsed = [k.strip() for k in parsed.split(",") if k.strip()]
    if dot:
        inner = values.setdefault(head, {})
        if not isinstance(inner, dict):
            raise SettingsError(f"{head} has no settings of its own")
        inner[tail] = parsed
    else:
        values[head] = parsed
