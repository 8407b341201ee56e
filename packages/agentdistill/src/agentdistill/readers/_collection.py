"""Several sources as one collection: readers' splits, files and hub datasets, in the order in which they are named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from agentdistill.environment import Environment
from agentdistill.exchange import in_style, read_trajectories
from agentdistill.prompts import Style
from agentdistill.readers import _named
from agentdistill.readers._build import FindPassages
from agentdistill.tools import Tool
from agentdistill.types import Trace


@dataclass(frozen=True, slots=True)
class Collection:
    """Traces with ids of their own, one line for every row of a file that could not be read, and how many rows of the
    readers gave no trace, by reason."""

    traces: tuple[Trace, ...]
    skipped: tuple[str, ...]
    left_out: dict[str, int]


def read_sources(
    sources: Sequence[str],
    method: str,
    style: Style,
    tools: Sequence[Tool],
    environment: Environment,
    passages: FindPassages | None = None,
) -> Collection:
    """The trajectories of ``method`` in ``sources``, in a style's words. Readers' programs are run in ``environment``.

    With ``passages``, chains of thought have passages beside their questions: those of their source where it has them,
    else those that ``passages`` finds.
    An id that was there before gets ``/2``, ``/3``, ... Raises DataError for a source that cannot be read or holds no
    trajectory, UserError for a reader's split that does not exist.
    """
    traces: dict[str, Trace] = {}
    skipped: list[str] = []
    left_out: Counter[str] = Counter()
    for source in sources:
        named = _named.find_reader(source, method)
        if named is not None:
            built = _named.read_collection(named, method, style, tools, environment, passages)
            found = built.traces
            left_out.update(built.left_out)
        else:
            read = read_trajectories(source, method=method, environment=environment)
            found = tuple(
                in_style(t, style, tools, passages(t.problem.question) if passages is not None else ())
                for t in read.traces
            )
            skipped += read.skipped
        for trace in found:
            n = 1
            while (identity := trace.id if n == 1 else f"{trace.id}/{n}") in traces:
                n += 1
            traces[identity] = replace(trace, id=identity)
    return Collection(tuple(traces.values()), tuple(skipped), dict(left_out))
