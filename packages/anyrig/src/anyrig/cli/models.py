"""``anyrig train`` and ``anyrig evaluate``."""

from __future__ import annotations

import argparse
import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyrig.cli import add_compute_options, add_model_options, add_start_options, device, open_model, open_start, say
from anyrig.errors import FileError, SettingsError

if TYPE_CHECKING:
    from anyrig.evaluation import Method
    from anyrig.generation import Options
    from anyrig.starts import Starter

TRAIN_EXAMPLES = """\
examples:
  anyrig train runs/motion --workers 2
  anyrig train runs/no-tree --set model.position=sequence --set model.distances=false
  anyrig train runs/quadrupeds --set kinds=quadruped
  anyrig train runs/real --real animals --set real_share=0.5
"""


def add_train(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = TRAIN_EXAMPLES
    parser.add_argument("run", type=Path, help="the run's folder; an unfinished run in it is resumed")
    parser.add_argument("--config", type=Path, help="settings in TOML")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", dest="sets",
                        help="a setting, such as steps=1000 or model.width=192")  # fmt: skip
    parser.add_argument("--real", type=Path, metavar="FOLDER", help="train on the real creatures in a folder too")
    parser.add_argument("--quick", action="store_true", help="train a small model for a few minutes, as a check")
    parser.add_argument("--workers", type=int, default=1, help="processes that make examples (default: 1)")
    parser.add_argument("--stop-after", type=int, help="stop at this step; the run can be resumed")
    parser.add_argument("--show", action="store_true", help="print the settings and stop")
    add_compute_options(parser)


def train(args: argparse.Namespace) -> int:
    from anyrig.training import TrainSettings, quick
    from anyrig.training import train as run

    values = _read_toml(args.config) if args.config else {}
    for text in args.sets:
        _set(values, text)
    if args.real is not None:
        if not args.real.is_dir():
            raise FileError(f"{args.real} is not a folder")
        values["real"] = str(args.real)
    settings = TrainSettings.from_dict(values)
    if args.quick:
        settings = quick(settings)
    if args.show:
        print(json.dumps(settings.to_dict(), indent=1))
        return 0
    if args.workers < 1:
        raise SettingsError("workers are at least 1")
    run(settings, args.run, workers=args.workers, device=device(args), stop_after=args.stop_after, say=say)
    return 0


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FileError(f"{path} is not valid TOML: {error}") from None


def _set(values: dict[str, Any], text: str) -> None:
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


EVALUATE_EXAMPLES = """\
examples:
  anyrig evaluate --animator
  anyrig evaluate --animator --quick --scene fly --scene walk --json
  anyrig evaluate --animator --rig dragon.glb --weights runs/motion/model.safetensors
  anyrig evaluate --out runs/evaluation
  anyrig evaluate --out runs/evaluation --weights runs/motion/model.safetensors \\
      --other "no rig augmentation=runs/plain/model.safetensors" --other "one model a kind=runs/kinds"

--animator measures what an animator sees of the model's motion, with nothing learned: wing beats, standing feet, the
height of a jump, each against true motion and within bounds, in a few minutes. Without it, the learned evaluation comes
first and that table follows.

A folder as --other holds KIND/model.safetensors for each kind of creature. The evaluator is trained once per results
folder, from its own seed, on creatures that no model is trained on. Results are cached: the same command resumes an
interrupted evaluation, and with one more model evaluates only that one.
"""


def add_evaluate(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EVALUATE_EXAMPLES
    parser.add_argument("--out", type=Path, help="folder for results.json, table.md, animator.md and the evaluator")
    parser.add_argument("--animator", action="store_true", help="print the animator's table, and nothing else")
    parser.add_argument(
        "--quick", action="store_true", help="one creature of each kind in the animator's table, not two"
    )
    parser.add_argument("--scene", action="append", help="a scene of the animator's table, such as fly (default: all)")
    parser.add_argument("--rig", type=Path, action="append", default=[], metavar="FILE",
                        help="a GLB or glTF file with clips for the animator's table, or a folder of them")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the animator's table as JSON")
    parser.add_argument(
        "--other", action="append", default=[], metavar="NAME=PATH", help="a model, or one model per kind"
    )
    parser.add_argument("--set", action="append", dest="sets", help="unseen bodies, unseen species or unseen pairs")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds (default: 3)")
    parser.add_argument("--creatures", type=int, default=6, help="creatures per set and seed (default: 6)")
    parser.add_argument("--actions", type=int, default=12, help="actions per creature, at most (default: 12)")
    parser.add_argument("--bank", type=int, default=600, help="training clips to retarget (default: 600)")
    parser.add_argument(
        "--evaluator-steps", type=int, default=1500, help="training steps of the evaluator (default: 1500)"
    )
    parser.add_argument("--evaluator-clips", type=int, default=3000, help="clips that it is trained on (default: 3000)")
    parser.add_argument("--workers", type=int, default=1, help="processes that make those clips (default: 1)")
    parser.add_argument("--no-model", action="store_true", help="evaluate the baselines only")
    add_start_options(parser)
    add_model_options(parser)


def evaluate(args: argparse.Namespace) -> int:
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
    elif not args.animator:
        raise SettingsError("an evaluation needs a folder for its results, --out; --animator needs none")
    return _animator(args) if args.animator else _learned(args)


def _animator(args: argparse.Namespace) -> int:
    device(args)
    from anyrig.animator import SCENES, by_model, compare, procedural, recorded, table
    from anyrig.corpus import Selection
    from anyrig.datasets.real import load
    from anyrig.generation import Options

    names = [s.name for s in SCENES]
    for name in args.scene or ():
        if name not in names:
            raise SettingsError(f"no scene is called {name!r}; there are: {'; '.join(names)}")
    assets = [c.asset for path in args.rig for c in load(path).creatures]
    model, sampling = open_model(args)
    options = Options(n_samples=2, sampling=sampling, start_level=args.start_level)
    start, n = open_start(args, Selection().drawn_kinds()), 1 if args.quick else 2
    make = by_model(model, options, start)
    scenes = [s for s in SCENES if s.name in (args.scene or names)]
    rows = compare(lambda s: [*procedural(s, n), *recorded(s, assets)], make, scenes, say)
    seen, told = table(rows), json.dumps([row.to_dict() for row in rows], indent=1) + "\n"
    if args.out is not None:
        (args.out / "animator.md").write_text(seen)
        (args.out / "animator.json").write_text(told)
    print(told if args.json else seen, end="")
    return 0


def _learned(args: argparse.Namespace) -> int:
    device(args)
    from anyrig import animator
    from anyrig.evaluation import (
        SETS,
        EvaluatorSettings,
        Plan,
        RowCache,
        by_retrieval,
        fingerprint,
        load_evaluator,
        save_evaluator,
        table,
        train_evaluator,
    )
    from anyrig.evaluation import evaluate as run
    from anyrig.generation import Options

    plan = Plan(
        tuple(args.sets or SETS), args.creatures, args.actions, tuple(range(args.seeds)), args.bank,
        options=Options(fps=15.0, start_level=args.start_level),
    )  # fmt: skip
    models = _methods(args, plan.options)
    kept = args.out / f"evaluator-{args.evaluator_clips}-{args.evaluator_steps}.safetensors"
    if not kept.exists():
        how = EvaluatorSettings(n_clips=args.evaluator_clips, steps=args.evaluator_steps)
        save_evaluator(train_evaluator(how, args.out / f"clips-{how.n_clips}", workers=args.workers, say=say), kept)
    marks = {name: fingerprint(*files) for name, (_, files) in models.items()}
    same = [args.creatures, args.actions, args.bank, args.steps, args.guidance, args.eta, args.start, args.start_level,
            fingerprint(kept)]  # fmt: skip
    rows = RowCache(args.out / "measured.jsonl")
    evaluator = load_evaluator(kept)
    checks = animator.check(evaluator)
    results = run(
        plan, evaluator,
        {name: method for name, (method, _) in models.items()} | {"nearest clip retargeted": by_retrieval(plan.n_bank)},
        say, lambda key, make: rows.row([*key, marks.get(key[-1], ""), *same], make),
    )  # fmt: skip
    (args.out / "results.json").write_text(
        json.dumps(
            {"arguments": vars(args), "results": results, "evaluator": [row.to_dict() for row in checks]},
            indent=1, default=str,
        ) + "\n"
    )  # fmt: skip
    text = f"{table(results)}\n### the evaluator: share of true motions ranked above\n\n{animator.table(checks)}"
    (args.out / "table.md").write_text(text)
    print(text, end="")
    if not args.no_model:
        _animator(args)
    return 0


def _methods(args: argparse.Namespace, options: Options) -> dict[str, tuple[Method, list[Path]]]:
    """Name -> a model as a method, and the files it was read from."""
    from anyrig.corpus import Selection
    from anyrig.generation import default_weights

    paths = {} if args.no_model else {"anyrig": args.weights or default_weights()}
    for text in args.other:
        name, mark, path = text.partition("=")
        if not mark or not Path(path).exists():
            raise SettingsError(f"--other is NAME=PATH with an existing path, not {text!r}")
        paths[name] = Path(path)
    start = open_start(args, Selection().drawn_kinds())
    found = {name: _method(path, args, options, start) for name, path in paths.items()}
    if start is not None and not args.no_model:
        found["anyrig, from noise"] = _method(paths["anyrig"], args, options, None)
        if args.start_level > 0:
            found["its start alone"] = _method(paths["anyrig"], args, replace(options, start_level=0.0), start)
    return found


def _method(path: Path, args: argparse.Namespace, options: Options, start: Starter | None) -> tuple[Method, list[Path]]:
    from anyrig.evaluation import by_kind, by_model

    if not path.is_dir():
        model, sampling = open_model(args, path)
        return by_model(model, replace(options, sampling=sampling), start), [path]
    files = sorted(path.glob("*/model.safetensors"))
    if not files:
        raise SettingsError(f"{path} holds no KIND/model.safetensors")
    opened = {file.parent.name: open_model(args, file) for file in files}
    sampling = next(iter(opened.values()))[1]
    return by_kind(
        {kind: model for kind, (model, _) in opened.items()}, replace(options, sampling=sampling), start
    ), files
