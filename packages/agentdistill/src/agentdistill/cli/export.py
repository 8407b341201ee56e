"""``export``: a student, or a collection of trajectories, as a folder for the hub."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentdistill.errors import UserError

if TYPE_CHECKING:
    from agentdistill.pipeline.run import Run


_N_SAMPLES = 100
"""Traces that are looked at for how a student's text is spelt."""


def add(parser: argparse.ArgumentParser, verb: str) -> None:
    """Declare the arguments."""
    parser.add_argument("run", type=Path, help="a run's folder")
    parser.add_argument("out", type=Path, help="the folder to write")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--student", help="which student, as NAME--METHOD (the first that was distilled as an agent)")
    what.add_argument("--dataset", metavar="PART", help="trajectories instead: filter/agent, collect/cot, ...")
    parser.add_argument("--merge", action="store_true", help="put a LoRA adapter into its base's weights")
    parser.add_argument("--gguf", action="store_true", help="for llama.cpp and Ollama: one GGUF file and a Modelfile")
    parser.add_argument(
        "--quantization", metavar="KIND", help="of --gguf: f32, f16 (the default), bf16, q8_0, q5_0, q4_0"
    )
    parser.add_argument("--license", help="the license to name on the card, as the hub spells it")


def main(args: argparse.Namespace) -> int:
    """Write the folder and say how to upload it."""
    from agentdistill.pipeline.run import open_run

    _check(args)
    run = open_run(args.run)
    if args.gguf:
        _gguf(run, args)
        return 0
    kind = "dataset" if args.dataset is not None else "model"
    (_dataset if kind == "dataset" else _model)(run, args)
    print(f"{args.out}: a {kind} for the hub; upload it with: hf upload OWNER/NAME {args.out} --repo-type {kind}")
    return 0


def _check(args: argparse.Namespace) -> None:
    """Raise UserError for options that do nothing beside others."""
    if args.quantization is not None and not args.gguf:
        raise UserError("--quantization needs --gguf")
    if args.dataset is not None and (args.gguf or args.merge):
        raise UserError(f"--{'gguf' if args.gguf else 'merge'} is for a student, --dataset for trajectories; give one")
    if args.gguf and args.merge:
        raise UserError("--gguf puts an adapter into its base anyway; leave --merge out")


def _dataset(run: Run, args: argparse.Namespace) -> None:
    from agentdistill.exchange import write_dataset
    from agentdistill.store import read_traces

    path = run.folder / args.dataset / "traces.jsonl"
    if not path.is_file():
        parts = sorted(str(p.parent.relative_to(run.folder)) for p in run.folder.glob("*/*/traces.jsonl"))
        raise UserError(f'{run.folder}: there is no "{args.dataset}" (there are: {", ".join(parts) or "none"})')
    name = f"{run.recipe.name} {args.dataset}"
    write_dataset(read_traces(path), args.out, name=name, tools=run.tools, license=args.license)


def _model(run: Run, args: argparse.Namespace) -> None:
    from agentdistill.exchange import write_model
    from agentdistill.pipeline.run import find_student

    student = find_student(run, args.student)
    write_model(student, args.out, merge=args.merge, **_about(run, student, args))


def _gguf(run: Run, args: argparse.Namespace) -> None:
    from agentdistill.chat import read_template
    from agentdistill.exchange import write_gguf
    from agentdistill.pipeline.run import find_student

    student = find_student(run, args.student)
    made = write_gguf(
        student,
        args.out,
        quantization=args.quantization or "f16",
        samples=_samples(run),
        chat_template=read_template(run.recipe.train.chat_template),
        **_about(run, student, args),
    )
    kinds = ", ".join(f"{n} in {kind}" for kind, n in made.counts.items())
    print(f"{made.path}: {sum(made.counts.values())} tensors ({kinds})")
    for remark in made.remarks:
        print(f"note: {remark}")


def _about(run: Run, student: Path, args: argparse.Namespace) -> dict[str, Any]:
    """What any card says of a student."""
    from agentdistill.methods import method

    return {
        "name": f"{run.recipe.name} {student.name}",
        "template": run.template,
        "tools": run.tools,
        "sampling": run.rollout_settings(run.recipe.evaluate, method("agent")).sampling,
        "evaluations": _evaluations(run, student),
        "license": args.license,
    }


def _samples(run: Run) -> list[str]:
    """Texts that the student was trained on, as far as the run still has them."""
    from itertools import islice

    from agentdistill.store import read_traces

    path = run.folder / "filter" / "agent" / "traces.jsonl"
    if not path.is_file():
        return []
    return [m.content for trace in islice(read_traces(path), _N_SAMPLES) for m in trace.messages]


def _evaluations(run: Run, student: Path) -> list[dict[str, Any]]:
    """What the run's report says of this student, by every method that uses these very weights."""
    from agentdistill.methods import method
    from agentdistill.pipeline.run import trained
    from agentdistill.recipe import student_name

    try:
        report = json.loads((run.folder / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    ours = {
        (student_name(s), m)
        for s in run.recipe.students
        for m in s.methods
        if method(m).learns and trained(run.folder, s, m) == student
    }
    return [e for e in report["evaluations"] if (e["student"], e["method"]) in ours]
