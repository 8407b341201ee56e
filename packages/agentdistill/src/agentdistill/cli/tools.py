"""Commands beside a run: measure stored answers, questions and corpora; plug-ins, the sandbox, completion."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentdistill.errors import DataError, UserError

if TYPE_CHECKING:
    from agentdistill.progress import Progress
    from agentdistill.retrieval import MappedCorpus, Retriever
    from agentdistill.scorers.rescore import StoredAnswer
    from agentdistill.types import Problem


def add(parser: argparse.ArgumentParser, verb: str) -> None:
    """Declare the arguments."""
    _COMMANDS[verb][0](parser)


def main(args: argparse.Namespace) -> int:
    """Run the command."""
    return _COMMANDS[args.verb][1](args)


def _add_grade(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        type=Path,
        help='JSONL with "prediction" and "answer" (and "aliases", "question") in every row, or a run\'s traces.jsonl',
    )
    parser.add_argument("--kind", choices=("math", "short"), help="how answers are compared (the rows' own kind)")
    parser.add_argument("--judge", metavar="URL", help="also ask a language model at this endpoint, such as …/v1")
    parser.add_argument("--judge-model", metavar="NAME", help="the endpoint's name for that model")
    parser.add_argument("--judge-key-env", metavar="VARIABLE", help="the environment variable that holds its key")
    parser.add_argument(
        "--verdicts", type=Path, metavar="FILE", help="where the judge's verdicts are kept (beside FILE)"
    )


def _grade(args: argparse.Namespace) -> int:
    """Print every score and the totals as JSON."""
    from agentdistill.scorers.rescore import read_answered, rescore
    from agentdistill.store import json_text

    if args.judge and not args.judge_model:
        raise UserError("--judge needs --judge-model, the endpoint's name for the model")
    if not args.judge and (args.judge_model or args.judge_key_env or args.verdicts):
        raise UserError("--judge-model, --judge-key-env and --verdicts need --judge URL")
    answers = read_answered(args.file, args.kind)
    judged = _judged(args, answers) if args.judge else None
    print(json_text(rescore(answers, judged)), end="")
    return 0


def _judged(args: argparse.Namespace, answers: list[StoredAnswer]) -> list[bool | None]:
    from agentdistill.models import load_model
    from agentdistill.scorers.rescore import Case, judge_cases

    model = load_model("endpoint", url=args.judge, name=args.judge_model, api_key_env=args.judge_key_env)
    path = args.verdicts or args.file.with_name(f"{args.file.stem}.verdicts.jsonl")
    return judge_cases(model, [Case(a.prediction or "", a.golds, a.question) for a in answers], path)


_SHOWN = 10


def _add_contamination(parser: argparse.ArgumentParser) -> None:
    what = "a file of questions or trajectories, a hub dataset, or a built-in task such as gsm8k:train"
    parser.add_argument("train", help=what)
    parser.add_argument("test", nargs="+", help="what to compare it with, one source or several")
    parser.add_argument("--show", type=int, default=_SHOWN, metavar="N", help=f"pairs of each level to show ({_SHOWN})")
    parser.add_argument("--json", action="store_true", help="print counts and every pair as JSON")


def _contamination(args: argparse.Namespace) -> int:
    """Print counts by family, and the pairs."""
    from agentdistill.problems.contamination import screen, told

    if args.show < 0:
        raise UserError("--show has to be at least 0")
    found = screen(_problems(args.train), [p for source in args.test for p in _problems(source)])
    facts = found.facts()
    del facts["dropped"]  # nothing is, here
    if args.json:
        print(json.dumps({**facts, "examples": found.pairs()}, ensure_ascii=False, indent=2))
        return 0
    print(told(facts))
    for group in facts["groups"]:
        print(f"  {group['train']} in {group['test']}: {group['equal']:,} equal, {group['near']:,} near")
    for pair in found.pairs(args.show):
        print(f"\n{pair['level']}, overlap {pair['overlap']:.2f}")
        for split in ("train", "test"):
            print(f"  {split:<5} {pair[split]['id']}: {' '.join(pair[split]['question'].split())}")
    return 0


def _problems(source: str) -> list[Problem]:
    """The questions of a task, of a file of problems or of a file of trajectories."""
    from agentdistill.exchange import read_trajectories
    from agentdistill.problems import load_problems
    from agentdistill.problems.tasks import task_problems

    found = task_problems(source)
    if found is not None:
        return found
    try:
        return list(load_problems(source).problems)
    except DataError as e:
        try:
            return [t.problem for t in read_trajectories(source).traces]
        except DataError:
            raise e from None


def _add_retrieve_eval(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--corpus", nargs="+", metavar="FILE", help="the passages: files, globs, folders or built-in tasks"
    )
    parser.add_argument(
        "--questions",
        required=True,
        type=Path,
        nargs="+",
        metavar="FILE",
        help="JSON, JSONL, CSV or Parquet in the form of HotpotQA, 2WikiMultiHopQA or MuSiQue",
    )
    parser.add_argument("--retriever", default="bm25", metavar="KIND", help="bm25 (the default), dense, hybrid, …")
    parser.add_argument("--url", help="the server's address, for search-r1, which takes no --corpus")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the retriever, as TOML"
    )
    parser.add_argument("--k", type=int, nargs="+", default=[2, 5, 10], help="how far down to look (2 5 10)")
    parser.add_argument(
        "--chars",
        type=int,
        nargs="+",
        default=[],
        metavar="N",
        help="also how often passages cut to N characters say the answer, as [tools] passage_chars cuts them",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N questions")
    parser.add_argument("--index", type=Path, metavar="DIR", help="keep the index there (built anew and thrown away)")


def _retrieve_eval(args: argparse.Namespace) -> int:
    """Print recall and time per query as JSON."""
    from agentdistill.progress import Terminal
    from agentdistill.recipe.toml import RecipeText, check_call
    from agentdistill.retrieval import builder, check_settings, is_remote
    from agentdistill.retrieval.recall import measure, n_missing, read_questions

    settings = dict(_setting(s) for s in args.set)
    if args.url is not None:
        settings["url"] = args.url
    remote = is_remote(args.retriever)
    if remote and "url" not in settings:
        raise UserError(f"{args.retriever} needs --url, the address of its server")
    if remote and args.corpus is not None:
        raise UserError(f"{args.retriever} searches its server's corpus; leave --corpus out")
    if not remote and args.corpus is None:
        raise UserError(f"{args.retriever} needs --corpus, the passages to search")
    check_settings(args.retriever, settings)
    check_call(builder(args.retriever), {"passages": (), **settings}, RecipeText(Path("--set"), ""), "")
    if min(*args.k, *args.chars, 1 if args.limit is None else args.limit) < 1:
        raise UserError("--k, --chars and --limit have to be at least 1")
    questions = [q for path in args.questions for q in read_questions(path)][: args.limit]
    with Terminal() as progress, _index(args.index) as folder:
        started = time.perf_counter()
        retriever, corpus = _opened(args, settings, folder, progress)
        seconds = time.perf_counter() - started
        facts: dict[str, Any] = {"questions": _named(args.questions), "retriever": args.retriever, "settings": settings}
        if corpus is not None:
            facts |= {"corpus": _named(args.corpus), "n_passages": len(corpus)}
            facts |= {"n_duplicates": corpus.n_duplicates, "index_s": round(seconds, 3)}
            facts["n_gold_not_in_corpus"] = n_missing(questions, corpus)
        facts |= measure(retriever, questions, sorted(set(args.k)), progress, sorted(set(args.chars)))
    print(json.dumps(facts, indent=2, ensure_ascii=False))
    return 0


def _opened(
    args: argparse.Namespace, settings: dict[str, Any], folder: Path, progress: Progress
) -> tuple[Retriever, MappedCorpus | None]:
    from agentdistill.problems.tasks import open_search
    from agentdistill.retrieval import build_retriever

    if args.corpus is None:
        return build_retriever(args.retriever, (), **settings), None
    corpus = open_search(args.corpus, folder, progress)
    return build_retriever(args.retriever, corpus, cache=folder, progress=progress, **settings), corpus


def _named(sources: list[Any]) -> str | list[str]:
    """One source as its name, several as a list of names."""
    names = [str(s) for s in sources]
    return names[0] if len(names) == 1 else names


@contextmanager
def _index(folder: Path | None) -> Iterator[Path]:
    """The folder for the index: the one that was named, or one that goes again."""
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="agentdistill-index-") as temporary:
        yield Path(temporary)


def _setting(text: str) -> tuple[str, Any]:
    """A name and its value; what is no TOML value is text, so that a model's name needs no quotes."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise UserError(f'--set "{text}" is not NAME=VALUE')
    try:
        return name.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name.strip(), value.strip()


# --- what is installed ---


def _add_plugins(parser: argparse.ArgumentParser) -> None:
    from agentdistill.registry import NOUNS

    parser.add_argument("kind", nargs="?", choices=tuple(NOUNS), metavar="KIND", help=f"one of {', '.join(NOUNS)}")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _plugins(args: argparse.Namespace) -> int:
    """Print one line a plug-in; those of packages are imported, and one that cannot be is marked. Status 2 then."""
    from agentdistill.errors import UserError
    from agentdistill.registry import NOUNS, plugins

    rows = []
    for kind in (args.kind,) if args.kind else NOUNS:
        for plugin in plugins(kind).values():
            fault = ""
            if plugin.version:
                try:
                    plugin.load()
                except UserError as e:
                    fault = str(e)
            rows.append({"kind": kind, "name": plugin.name, "package": plugin.package, "version": plugin.version,
                         "target": plugin.target, "fault": fault})  # fmt: skip
    if args.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        width = max((len(r["name"]) for r in rows), default=0)
        for r in rows:
            origin = f"{r['package']} {r['version']}" if r["version"] else "built in"
            print(f"{r['kind']:<11} {r['name']:<{width}}  {origin}" + (f"  BROKEN: {r['fault']}" if r["fault"] else ""))
    return 2 if any(r["fault"] for r in rows) else 0


def _add_sandbox(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=("doctor",), help="say which layers hold here")
    parser.add_argument("rest", nargs=argparse.REMAINDER, help="options of the command, --json for instance")


def _sandbox(args: argparse.Namespace) -> int:
    """Hand over to the sandbox's own command."""
    from agentdistill.sandbox import doctor

    return doctor.main(args.rest)


def _add_completion(parser: argparse.ArgumentParser) -> None:
    about = 'for bash: eval "$(agentdistill completion bash)"'
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"), help=about)


def _completion(args: argparse.Namespace) -> int:
    """Print the script."""
    import shtab

    from agentdistill.cli import build_parser

    print(shtab.complete(build_parser(), args.shell))
    return 0


_COMMANDS = {
    "grade": (_add_grade, _grade),
    "contamination": (_add_contamination, _contamination),
    "retrieve-eval": (_add_retrieve_eval, _retrieve_eval),
    "plugins": (_add_plugins, _plugins),
    "sandbox": (_add_sandbox, _sandbox),
    "completion": (_add_completion, _completion),
}
