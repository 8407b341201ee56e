"""``anyrig evaluate``."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from anyrig.cli._options import add_model_options, device, open_model, say
from anyrig.errors import SettingsError

if TYPE_CHECKING:
    from anyrig.evaluation.run import Method
    from anyrig.generate import Options

_EPILOG = """\
examples:
  anyrig evaluate --out runs/evaluation
  anyrig evaluate --out runs/evaluation --weights runs/motion/model.safetensors \\
      --other "no rig augmentation=runs/plain/model.safetensors" --other "one model a kind=runs/kinds"

A folder as --other holds KIND/model.safetensors for each kind of creature. The evaluator is taught once for each folder
of results, from its own seed, on creatures that no model is taught on. What was measured is not measured again: the
same command goes on where it was cut off, and with one model more measures that one only.
"""


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("--out", type=Path, required=True, help="folder for results.json, table.md, the evaluator")
    parser.add_argument("--other", action="append", default=[], metavar="NAME=PATH", help="a model, or one a kind")
    parser.add_argument("--set", action="append", dest="sets", help="unseen bodies, unseen species or unseen pairs")
    parser.add_argument("--seeds", type=int, default=3, help="how many (default: 3)")
    parser.add_argument("--creatures", type=int, default=6, help="of each set and seed (default: 6)")
    parser.add_argument("--actions", type=int, default=12, help="asked of each creature, at most (default: 12)")
    parser.add_argument("--bank", type=int, default=600, help="training clips to retarget (default: 600)")
    parser.add_argument("--evaluator-steps", type=int, default=1500, help="of teaching the evaluator (default: 1500)")
    parser.add_argument("--evaluator-clips", type=int, default=3000, help="that it is taught with (default: 3000)")
    parser.add_argument("--workers", type=int, default=1, help="processes that make those clips (default: 1)")
    parser.add_argument("--no-model", action="store_true", help="the baselines only")
    add_model_options(parser)


def main(args: argparse.Namespace) -> int:
    """Evaluates."""
    device(args)
    from anyrig.evaluation import EvaluatorSettings, Plan, evaluate, load_evaluator, save_evaluator, table, teach
    from anyrig.evaluation.kept import Kept, fingerprint
    from anyrig.evaluation.run import SETS, by_retrieval
    from anyrig.generate import Options

    plan = Plan(
        tuple(args.sets or SETS), args.creatures, args.actions, tuple(range(args.seeds)), args.bank,
        options=Options(fps=15.0),
    )  # fmt: skip
    models = _models(args, plan.options)
    args.out.mkdir(parents=True, exist_ok=True)
    kept = args.out / f"evaluator-{args.evaluator_clips}-{args.evaluator_steps}.safetensors"
    if not kept.exists():
        how = EvaluatorSettings(n_clips=args.evaluator_clips, steps=args.evaluator_steps)
        save_evaluator(teach(how, args.out / f"clips-{how.n_clips}", workers=args.workers, say=say), kept)
    marks = {name: fingerprint(*files) for name, (_, files) in models.items()}
    same = [args.creatures, args.actions, args.bank, args.steps, args.guidance, args.eta, fingerprint(kept)]
    rows = Kept(args.out / "measured.jsonl")
    results = evaluate(
        plan, load_evaluator(kept),
        {name: method for name, (method, _) in models.items()} | {"nearest clip retargeted": by_retrieval(plan.n_bank)},
        say, lambda key, make: rows.row([*key, marks.get(key[-1], ""), *same], make),
    )  # fmt: skip
    (args.out / "results.json").write_text(json.dumps({"arguments": _plain(args), "results": results}, indent=1) + "\n")
    text = table(results)
    (args.out / "table.md").write_text(text)
    print(text, end="")
    return 0


def _models(args: argparse.Namespace, options: Options) -> dict[str, tuple[Method, list[Path]]]:
    """The methods that are models, by name, and the files that they were read from."""
    from anyrig.generate import default_weights

    paths = {} if args.no_model else {"anyrig": args.weights or default_weights()}
    for text in args.other:
        name, mark, path = text.partition("=")
        if not mark or not Path(path).exists():
            raise SettingsError(f"another model is NAME=PATH, with a path that is there, not {text!r}")
        paths[name] = Path(path)
    return {name: _method(path, args, options) for name, path in paths.items()}


def _method(path: Path, args: argparse.Namespace, options: Options) -> tuple[Method, list[Path]]:
    from anyrig.evaluation.run import by_kind, by_model

    if not path.is_dir():
        model, sampling = open_model(args, path)
        return by_model(model, replace(options, sampling=sampling)), [path]
    files = sorted(path.glob("*/model.safetensors"))
    if not files:
        raise SettingsError(f"{path} holds no KIND/model.safetensors")
    opened = {file.parent.name: open_model(args, file) for file in files}
    sampling = next(iter(opened.values()))[1]
    return by_kind({kind: model for kind, (model, _) in opened.items()}, replace(options, sampling=sampling)), files


def _plain(args: argparse.Namespace) -> dict[str, object]:
    return {k: str(v) if isinstance(v, Path) else v for k, v in vars(args).items()}
