"""``retrieve-eval``: how much of what questions need a retriever finds, and how quickly."""

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

from agentdistill.errors import UserError

if TYPE_CHECKING:
    from agentdistill.progress import Progress
    from agentdistill.retrieval import MappedCorpus, Retriever


def add(parser: argparse.ArgumentParser, verb: str) -> None:
    """Declare the arguments."""
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


def main(args: argparse.Namespace) -> int:
    """Print recall and time per query as JSON."""
    from agentdistill._toml import Source, check_call
    from agentdistill.progress import Terminal
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
    check_call(builder(args.retriever), {"passages": (), **settings}, Source(Path("--set"), ""), "")
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
    from agentdistill.retrieval import build_retriever
    from agentdistill.tasks import open_search

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
