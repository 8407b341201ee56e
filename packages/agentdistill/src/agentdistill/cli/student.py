"""``ask``, ``serve``, ``mcp`` and ``export``: one distilled student to talk to, behind a server, or as files."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentdistill.errors import ModelError, UserError

if TYPE_CHECKING:
    from agentdistill.environment import Environment
    from agentdistill.models import Model
    from agentdistill.pipeline.run import Run
    from agentdistill.serve import Agent
    from agentdistill.types import Trace
    from agentdistill.verify.judging import Choosing, VerifiedAnswer


def add(parser: argparse.ArgumentParser, verb: str) -> None:
    """Declare the arguments."""
    _COMMANDS[verb][0](parser)


def main(args: argparse.Namespace) -> int:
    """Run the command."""
    return _COMMANDS[args.verb][1](args)


def _add_ask(parser: argparse.ArgumentParser) -> None:
    add_student(parser)
    parser.add_argument("question", nargs="?", help="a question; without one, questions are read line by line")
    parser.add_argument("--max-steps", type=int, help="steps at most (the recipe's own)")
    parser.add_argument("--vote", action="store_true", help="take every step by a vote among several candidates")
    parser.add_argument("--verify", type=int, metavar="N", help="sample N trajectories, check each, choose one")
    parser.add_argument("--verifier", metavar="PATH", help="weights or adapter that check (the student's own)")
    add_stop(parser)
    parser.add_argument("--json", action="store_true", help="print the trajectory as JSON instead of the steps")


def _ask(args: argparse.Namespace) -> int:
    """Answer one question, or one a line until the input ends. 1 where the world failed at one of them."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

    check_verify(args)
    run = opened(args)
    if args.max_steps is not None:
        if args.max_steps < 1:
            raise UserError("--max-steps has to be at least 1")
        evaluate = dataclasses.replace(run.recipe.evaluate, max_steps=args.max_steps)
        run = type(run)(dataclasses.replace(run.recipe, evaluate=evaluate), run.folder)
    load = chosen(args, run)
    questions = [args.question] if args.question else _typed()
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())  # one loop for all questions: connections belong to it
        model = load()
        stack.callback(lambda: runner.run(model.aclose()))
        environment = stack.enter_context(run.environment(run.recipe.evaluate))
        n, verifier = args.verify, args.verifier
        by = stack.enter_context(choosing(run, n, verifier, args.device, args.stop)) if n else None
        failed = False
        for question in filter(None, map(str.strip, questions)):
            if by is not None:
                found = runner.run(_answer_verified(run, model, by, environment, question))
                trace = found.trace
                _print_verified(found, as_json=args.json)
            else:
                trace = runner.run(_answer(run, model, environment, question, args.vote, live=not args.json))
                _print(trace, as_json=args.json)
            failed |= _tell_fault(trace)
    return int(failed)


def _tell_fault(trace: Trace) -> bool:
    """Whether the world failed, and not the student; the reason goes to the standard error."""
    import sys

    if trace.fault is not None:
        print(f"agentdistill: {trace.fault}", file=sys.stderr, flush=True)
    return trace.fault is not None


def _typed() -> Any:
    import sys

    while True:
        if sys.stdin.isatty():
            print("\n? ", end="", flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        yield line


async def _answer(run: Run, model: Model, environment: Any, question: str, vote: bool, live: bool) -> Trace:
    from agentdistill.loop import rollout
    from agentdistill.recipe.methods import method
    from agentdistill.types import Problem

    problem = Problem("ask", question, "")
    settings = run.rollout_settings(run.recipe.evaluate, method("agent-sag" if vote else "agent"))
    watch = _show_step if live else None
    trace = await rollout(model, problem, environment, run.template, settings, method="ask", on_step=watch)
    if trace.refused:
        raise ModelError(trace.fault or "")
    return trace


def _show_step(step: Any) -> None:
    from rich.console import Console
    from rich.syntax import Syntax
    from rich.text import Text

    console = Console(highlight=False)
    thought = step.reply.content.split("Code:")[0].split("```")[0].strip()
    console.print(Text(thought or "(no thought)", style="bold"))
    if step.code is not None:
        console.print(Syntax(step.code, "python", background_color="default", word_wrap=True))
    if step.observation is not None:
        console.print(Text(step.observation.content, style="dim"))


def _print_verified(found: VerifiedAnswer, as_json: bool) -> None:
    from agentdistill.store import dumps

    if as_json:
        print(dumps(_choice_facts(found)))
        return
    for step in found.trace.steps:
        _show_step(step)
    _show_choice(found)
    if found.choice.index is not None:
        _print(found.trace, as_json=False)


def _print(trace: Trace, as_json: bool) -> None:
    from rich.console import Console
    from rich.text import Text

    from agentdistill.store import dumps

    if as_json:
        print(dumps(dataclasses.replace(trace, score=None)))
        return
    if trace.fault is not None:
        return
    answer = trace.answer if trace.answer is not None else f"no answer ({trace.end.value.replace('_', ' ')})"
    Console(highlight=False).print(Text(f"→ {answer}", style="bold green" if trace.answer is not None else "bold red"))


def add_stop(parser: argparse.ArgumentParser) -> None:
    """The argument that lets ``--verify`` end before its N."""
    about = "stop sampling once the answer of all N is settled, or is another with a probability of at most P (0)"
    parser.add_argument("--stop", type=_probability, nargs="?", const=0.0, metavar="P", help=about)


def _probability(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        why = f"{text!r} is no probability; write --stop=0, or put --stop behind the question"
        raise argparse.ArgumentTypeError(why) from None


def check_verify(args: argparse.Namespace) -> None:
    """Raise UserError for arguments of ``--verify`` that do not go together."""
    if args.verify is None:
        for option in ("verifier", "stop"):
            if getattr(args, option) is not None:
                raise UserError(f"--{option} needs --verify N, the number of trajectories to choose from")
        return
    if args.stop is not None and not 0 <= args.stop < 1:
        raise UserError("--stop is a probability: at least 0 and below 1")
    if args.verify < 1:
        raise UserError("--verify has to be at least 1")
    if getattr(args, "vote", False):
        raise UserError("--verify chooses among whole trajectories, --vote among steps; give one of them")


@contextmanager
def choosing(
    run: Run, n: int, verifier: str | None, device: str | None = None, stop: float | None = None
) -> Iterator[Choosing]:
    """How answers are chosen: among ``n``, checked by the weights named, else by the student itself, with the run's own
    corpus where it has one; with ``stop``, until another answer has at most that probability. Closed in the end: the
    sandbox of the checks, which has no tools."""
    from agentdistill.environment import Environment
    from agentdistill.models import load_model
    from agentdistill.models.weights import runnable
    from agentdistill.prompts import can_verify
    from agentdistill.sandbox import Limits
    from agentdistill.verify.judging import Choosing
    from agentdistill.verify.stopping import StopSettings
    from agentdistill.verify.verifiers import Kit

    sandbox = run.recipe.sandbox
    prompt = run.recipe.prompt if can_verify(run.template) else "standard"
    on = device or run.recipe.evaluate.device
    checker = None if verifier is None else load_model("local", path=runnable(verifier), device=on)
    with Environment(mode=sandbox.mode, limits=Limits(wall_s=sandbox.wall_s, memory_mb=sandbox.memory_mb)) as box:
        kit = Kit(box, run.retriever, prompt, run.recipe.seed)  # type: ignore[arg-type]
        yield Choosing(n, kit, checker, run.recipe.problems.kind, None if stop is None else StopSettings(bound=stop))


async def _answer_verified(
    run: Run, model: Model, choosing: Choosing, environment: Environment, question: str
) -> VerifiedAnswer:
    """Sample, judge and choose."""
    from agentdistill.loop import rollout
    from agentdistill.recipe.methods import method
    from agentdistill.types import Problem

    problem = Problem("ask", question, "")
    settings = choosing.settings(run.rollout_settings(run.recipe.evaluate, method("agent")))

    async def solve(m: Model, name: str) -> Trace:
        return await rollout(m, problem, environment, run.template, settings, method="ask", trace_id=name)

    return await choosing.answer(model, problem, solve, settings, run.recipe.seed)


def _choice_facts(found: VerifiedAnswer) -> dict[str, Any]:
    """The choice and every candidate as JSON values, the winner's whole trace with them."""
    from agentdistill.store import to_dict
    from agentdistill.verify.judging import facts

    return {**facts(found), "trace": to_dict(dataclasses.replace(found.trace, score=None))}


def _show_choice(found: VerifiedAnswer) -> None:
    """The steps of the one that won, and why it did."""
    from rich.console import Console
    from rich.text import Text

    from agentdistill.verify.judging import explain

    console = Console(highlight=False)
    for line in explain(found):
        console.print(Text(line, style="bold" if line.startswith("*") else "dim"))


def add_student(parser: argparse.ArgumentParser) -> None:
    """The arguments that say which student answers: the run's own, weights from elsewhere, or a server's.

    Its tools, prompts and settings are the run's in each case.
    """
    parser.add_argument("run", type=Path, help="a run's folder")
    parser.add_argument("--student", help="which student, as NAME--METHOD (the first that was distilled as an agent)")
    parser.add_argument("--weights", type=Path, metavar="PATH", help="weights from elsewhere: a folder or a .gguf file")
    parser.add_argument("--url", help="the student is behind an OpenAI-compatible server: its address, ending in /v1")
    parser.add_argument("--name", help="of --url: the server's name for the student")
    parser.add_argument("--url-key-env", metavar="NAME", help="of --url: the variable that holds the key to send")
    parser.add_argument(
        "--search", action="append", metavar="CORPUS", help="what to search instead of the run's corpus: 'docs/*.md'"
    )
    parser.add_argument("--device", help="cpu, cuda, cuda:1 (the recipe's own)")
    about = "step: steps whose code parses by construction (the recipe's own)"
    parser.add_argument("--constrain", choices=("none", "step"), help=about)


def opened(args: argparse.Namespace) -> Run:
    """The run that ``args`` names, with the corpus that they give, whose index goes into the cache, not the run."""
    from agentdistill.models.dequantize import cache_folder
    from agentdistill.pipeline.run import open_run

    run = open_run(args.run)
    if args.constrain is not None:
        evaluate = dataclasses.replace(run.recipe.evaluate, constrain=args.constrain)
        run = type(run)(dataclasses.replace(run.recipe, evaluate=evaluate), run.folder)
    if not args.search:
        return run
    tools = dataclasses.replace(run.recipe.tools, search=tuple(args.search), index=str(cache_folder().parent / "index"))
    return type(run)(dataclasses.replace(run.recipe, tools=tools), run.folder)


def chosen(args: argparse.Namespace, run: Run) -> Callable[[], Model]:
    """What loads the student. Raises UserError for arguments that do not go together, or name what is not there."""
    from agentdistill.models import load_model
    from agentdistill.pipeline.run import find_student, load_student

    _check_student(args)
    if args.url is not None:
        return partial(load_model, "endpoint", url=args.url, name=args.name, api_key_env=args.url_key_env)
    if args.weights is not None and not args.weights.exists():
        raise UserError(f"--weights: {args.weights}: no such folder or file")
    return partial(load_student, run, args.weights or find_student(run, args.student), args.device)


def _check_student(args: argparse.Namespace) -> None:
    given = [f"--{o}" for o in ("student", "weights", "url") if getattr(args, o) is not None]
    if len(given) > 1:
        raise UserError(f"{' and '.join(given)} each say which student answers; give one of them")
    if (args.url is None) != (args.name is None):
        raise UserError("--url and --name go together: a server's address, and its name for the student")
    if args.url is None and args.url_key_env is not None:
        raise UserError("--url-key-env needs --url")
    if args.url is not None and args.device is not None and getattr(args, "verifier", None) is None:
        raise UserError("--device is for weights in this process, --url for a server's; give one of them")


# --- serve and mcp ---


_KEY = "AGENTDISTILL_API_KEY"


def _add_serve(parser: argparse.ArgumentParser) -> None:
    add_student(parser)
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (127.0.0.1, this machine only)")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one (8000)")
    parser.add_argument("--api-key-env", metavar="NAME", help=f"the variable that holds the key to ask for ({_KEY})")
    parser.add_argument("--open", action="store_true", help="let other machines in without a key")
    parser.add_argument("--concurrency", type=int, default=32, metavar="N", help="answers at once (32)")
    parser.add_argument("--queue", type=int, default=256, metavar="N", help="how many may wait; more get 429 (256)")
    parser.add_argument("--max-body-kb", type=int, default=512, metavar="KIB", help="size of a request (512)")
    parser.add_argument("--keep", type=int, default=64, metavar="N", help="named conversations kept in mind (64)")
    parser.add_argument("--grace", type=float, default=30.0, metavar="S", help="for answers under way at the end (30)")
    parser.add_argument("--verify", type=int, metavar="N", help="offer NAME:verify, which chooses among N trajectories")
    parser.add_argument("--verifier", metavar="PATH", help="weights or adapter that check (the student's own)")
    add_stop(parser)
    parser.add_argument("--as", dest="called", metavar="NAME", help="the name to ask for (the student's own)")
    parser.add_argument(
        "--system", choices=("show", "ignore"), default="show", help="what becomes of system messages (show)"
    )
    parser.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="pages that may ask from a browser, such as http://localhost:3000; * is every one",
    )
    parser.add_argument("--mcp", action="store_true", help="be an MCP server too, at /mcp")
    parser.add_argument("--max-steps", type=int, help="steps at most (the recipe's own)")
    parser.add_argument(
        "--allow-markers", action="store_true", help="show control tokens in messages as text instead of refusing them"
    )


def _serve(args: argparse.Namespace) -> int:
    """Serve until interrupted."""
    from agentdistill.serve import ServeSettings, bind, run_server
    from agentdistill.serve.conversation import Shelf

    check_verify(args)
    _check_least(args, concurrency=1, queue=0, keep=0, max_steps=1)
    settings = ServeSettings(
        host=args.host,
        port=args.port,
        api_key=_key(args.api_key_env),
        open_to_all=args.open,
        max_body_kb=args.max_body_kb,
        grace_s=args.grace,
        mcp=args.mcp,
        allow_origins=tuple(args.allow_origin),
    )
    more = {
        "n_running": args.concurrency,
        "n_waiting": args.queue,
        "shelf": Shelf(args.keep),
        "allow_markers": args.allow_markers,
        "ignore_system": args.system == "ignore",
        "name": _name(args.called),
    }
    with closing(bind(settings)) as address, loaded(args, **more) as agent:
        logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
        run_server(agent, settings, address)
    return 0


def _check_least(args: argparse.Namespace, **least: int) -> None:
    """Raise UserError for an option below what it has to be at least; None is none."""
    for name, n in least.items():
        value = getattr(args, name)
        if value is not None and value < n:
            raise UserError(f"--{name.replace('_', '-')} has to be at least {n}")


@contextmanager
def loaded(args: argparse.Namespace, **settings: Any) -> Iterator[Agent]:
    """The agent that the arguments name, in the run's surroundings, which are closed in the end."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from agentdistill.recipe.methods import method
    from agentdistill.serve import Agent

    run = opened(args)
    load = chosen(args, run)
    rollouts = run.rollout_settings(run.recipe.evaluate, method("agent"))
    if args.max_steps is not None:
        rollouts = dataclasses.replace(rollouts, max_steps=args.max_steps)
    n, vote = getattr(args, "verify", None), run.recipe.evaluate.consistency
    with ExitStack() as stack:
        environment = stack.enter_context(run.environment(run.recipe.evaluate))
        environment.open().close()  # a machine without a sandbox is told of now, not at the first question
        by = stack.enter_context(choosing(run, n, args.verifier, args.device, args.stop)) if n else None
        yield Agent(load(), environment, run.template, rollouts, vote=vote, choosing=by, **settings)


def _name(called: str | None) -> str | None:
    """The name to ask for. It goes into addresses and headers, and clients send it back."""
    if called is not None and not re.fullmatch(r"[\w./:@+-]{1,200}", called):
        raise UserError("--as: a name is up to 200 letters, digits and . _ - / : @ +")
    return called


def _key(variable: str | None) -> str | None:
    """The key from the environment. A variable that is named has to be there."""
    if variable is None:
        return os.environ.get(_KEY) or None
    if not os.environ.get(variable):
        raise UserError(f"--api-key-env: the environment has no {variable}")
    return os.environ[variable]


def _add_mcp(parser: argparse.ArgumentParser) -> None:
    add_student(parser)
    parser.add_argument("--concurrency", type=int, default=8, metavar="N", help="answers at once (8)")
    parser.add_argument("--max-steps", type=int, help="steps at most (the recipe's own)")


def _mcp(args: argparse.Namespace) -> int:
    """Serve until the input ends. Nothing but the protocol goes to the standard output."""
    from agentdistill.serve import run_mcp

    _check_least(args, concurrency=1, max_steps=1)
    with loaded(args, n_running=args.concurrency) as agent:
        run_mcp(agent)
    return 0


# --- record ---


def _add_record(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--upstream", required=True, metavar="URL", help="the model's server: its address, ending in /v1"
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="FOLDER", help="where to write, a file a conversation"
    )
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (127.0.0.1, this machine only)")
    parser.add_argument("--port", type=int, default=8001, help="0 takes a free one (8001)")
    parser.add_argument("--open", action="store_true", help="let other machines in")
    parser.add_argument("--logprobs", action="store_true", help="ask the server for log probabilities")
    parser.add_argument("--token-ids", action="store_true", help="ask the server for token ids, as vLLM gives them")


def _record(args: argparse.Namespace) -> int:
    """Record until interrupted."""
    from agentdistill.serve import ServeSettings, run_recorder

    if not re.fullmatch(r"https?://[^/?#]+[^?#]*", args.upstream):
        raise UserError("--upstream: give an address such as http://localhost:8000/v1")
    settings = ServeSettings(host=args.host, port=args.port, open_to_all=args.open, max_body_kb=_RECORDED_KB)
    more = {"logprobs": True} if args.logprobs else {}
    run_recorder(args.upstream, args.out, settings, more | ({"return_token_ids": True} if args.token_ids else {}))
    return 0


_RECORDED_KB = 64 * 1024
"""The size of a request that is passed on: agents send whole histories, and images."""


# --- export ---


_N_SAMPLES = 100
"""Traces that are looked at for how a student's text is spelt."""


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, help="a run's folder")
    parser.add_argument("out", type=Path, help="the folder to write")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--student", help="which student, as NAME--METHOD (the first that was distilled as an agent)")
    what.add_argument("--dataset", metavar="PART", help="trajectories instead: filter/agent, collect/cot, ...")
    parser.add_argument("--atif", action="store_true", help="of --dataset: ATIF documents, a file a trajectory")
    parser.add_argument("--merge", action="store_true", help="put a LoRA adapter into its base's weights")
    parser.add_argument("--gguf", action="store_true", help="for llama.cpp and Ollama: one GGUF file and a Modelfile")
    parser.add_argument(
        "--quantization", metavar="KIND", help="of --gguf: f32, f16 (the default), bf16, q8_0, q5_0, q4_0"
    )
    parser.add_argument("--license", help="the license to name on the card, as the hub spells it")


def _export(args: argparse.Namespace) -> int:
    """Write the folder and say how to upload it."""
    from agentdistill.pipeline.run import open_run

    _check_export(args)
    run = open_run(args.run)
    if args.gguf:
        _export_gguf(run, args)
        return 0
    if args.atif:
        _export_atif(run, args)
        return 0
    kind = "dataset" if args.dataset is not None else "model"
    (_export_dataset if kind == "dataset" else _export_model)(run, args)
    print(f"{args.out}: a {kind} for the hub; upload it with: hf upload OWNER/NAME {args.out} --repo-type {kind}")
    return 0


def _check_export(args: argparse.Namespace) -> None:
    """Raise UserError for options that do nothing beside others."""
    if args.quantization is not None and not args.gguf:
        raise UserError("--quantization needs --gguf")
    if args.atif and (args.dataset is None or args.license is not None):
        raise UserError("--atif is for trajectories: give --dataset, and no --license, which a card would name")
    if args.dataset is not None and (args.gguf or args.merge):
        raise UserError(f"--{'gguf' if args.gguf else 'merge'} is for a student, --dataset for trajectories; give one")
    if args.gguf and args.merge:
        raise UserError("--gguf puts an adapter into its base anyway; leave --merge out")


def _export_dataset(run: Run, args: argparse.Namespace) -> None:
    from agentdistill.exchange import write_dataset

    name = f"{run.recipe.name} {args.dataset}"
    write_dataset(_part(run, args.dataset), args.out, name=name, tools=run.tools, license=args.license)


def _export_atif(run: Run, args: argparse.Namespace) -> None:
    from agentdistill.exchange import write_atif

    traces = _part(run, args.dataset)
    print(f"{write_atif(traces, args.out)}: {len(traces):,} ATIF documents")


def _part(run: Run, part: str) -> list[Trace]:
    """The trajectories of ``filter/agent`` or the like. Raises UserError where the run has none of that name."""
    from agentdistill.store import read_traces

    path = run.folder / part / "traces.jsonl"
    if not path.is_file():
        parts = sorted(str(p.parent.relative_to(run.folder)) for p in run.folder.glob("*/*/traces.jsonl"))
        raise UserError(f'{run.folder}: there is no "{part}" (there are: {", ".join(parts) or "none"})')
    return read_traces(path)


def _export_model(run: Run, args: argparse.Namespace) -> None:
    from agentdistill.exchange import write_model
    from agentdistill.pipeline.run import find_student

    student = find_student(run, args.student)
    write_model(student, args.out, merge=args.merge, **_about(run, student, args))


def _export_gguf(run: Run, args: argparse.Namespace) -> None:
    from agentdistill.exchange import write_gguf
    from agentdistill.models.chat import read_template
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
    from agentdistill.recipe.methods import method

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
    from agentdistill.pipeline.run import trained
    from agentdistill.recipe import student_name
    from agentdistill.recipe.methods import method

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


_COMMANDS = {
    "ask": (_add_ask, _ask),
    "serve": (_add_serve, _serve),
    "mcp": (_add_mcp, _mcp),
    "record": (_add_record, _record),
    "export": (_add_export, _export),
}
