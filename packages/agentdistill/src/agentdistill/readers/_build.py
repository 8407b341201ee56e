"""Drafts as traces in the words of a style: programs are run, so that what a trace says is what happens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from agentdistill import scorers
from agentdistill.environment import Environment, Execution
from agentdistill.parse import extract_answer
from agentdistill.prompts import Style
from agentdistill.readers._draft import Draft, LeftOut, Turn
from agentdistill.retrieval import Passage
from agentdistill.tools import Tool
from agentdistill.types import End, Message, Score, Source, Step, StepStatus, Trace

FindPassages = Callable[[str], Sequence[Passage]]
"""The passages to put beside a question."""
WRONG = "the program does not give the answer"


@dataclass(frozen=True, slots=True)
class Built:
    """The traces, in the order of their rows, and how many rows were left out, by reason."""

    traces: tuple[Trace, ...]
    left_out: dict[str, int]


def build(
    drafts: Iterable[Draft | LeftOut],
    method: str,
    style: Style,
    tools: Sequence[Tool],
    environment: Environment,
    passages: FindPassages | None = None,
) -> Built:
    """Every draft as a trace of ``method``. Code without a stored observation is run in ``environment``.

    With ``passages``, a chain of thought has its draft's own passages beside its question, else those found for it.
    A program with a wrong answer is left out and counted. Raises InfrastructureError where the sandbox fails.
    """
    traces: list[Trace] = []
    left_out: Counter[str] = Counter()
    for draft in drafts:
        if isinstance(draft, LeftOut):
            left_out[draft.reason] += 1
            continue
        trace = (
            _answered(draft, method, style, passages)
            if method.startswith("cot")
            else _acted(draft, method, style, tools, environment)
        )
        if dict(trace.notes).get("observations") == "executed" and not trace.correct:
            left_out[WRONG] += 1
        else:
            traces.append(trace)
    return Built(tuple(traces), dict(left_out))


def _score(draft: Draft, answer: str | None) -> Score | None:
    p = draft.problem
    return scorers.score(p.kind, answer, p.answer, p.aliases) if p.answer else None


def _answered(draft: Draft, method: str, style: Style, passages: FindPassages | None) -> Trace:
    """A chain of thought."""
    p, [turn] = draft.problem, draft.turns
    own = draft.passages if passages is not None else ()
    beside = own or (passages(p.question) if passages is not None else ())
    notes = (*draft.notes, ("passages", "the source's own")) if own else draft.notes
    answer = extract_answer(turn.thought)
    end = End.NO_ANSWER if answer is None else End.ANSWERED
    status = StepStatus.OK if answer is None else StepStatus.FINAL
    step = Step(Message("assistant", turn.thought, Source.MODEL), status)
    trace = Trace(p.id, p, method, draft.model, style.cot(p.question, beside), (step,), end, answer, notes=notes)
    return replace(trace, score=_score(draft, answer))


def _acted(draft: Draft, method: str, style: Style, tools: Sequence[Tool], environment: Environment) -> Trace:
    p = draft.problem
    stored = draft.answer is not None
    results = _stored(draft) if stored else _run(draft.turns, environment)
    steps: list[Step] = []
    answer: str | None = None
    for turn, result in zip(draft.turns, results, strict=False):
        reply = Message("assistant", style.action(turn.thought, turn.code or ""), Source.MODEL)
        final = result.status is StepStatus.FINAL
        told = None if final else Message("user", style.observation(result.observation), Source.ENVIRONMENT)
        steps.append(Step(reply, result.status, turn.code, told, result.tool_calls))
        answer = result.answer
    end = End.OUT_OF_STEPS if answer is None else End.ANSWERED
    notes = (*draft.notes, ("observations", "stored" if stored else "executed"))
    trace = Trace(p.id, p, method, draft.model, style.agent(p.question, tools), tuple(steps), end, answer, notes=notes)
    return replace(trace, score=_score(draft, answer))


def _stored(draft: Draft) -> Iterator[Execution]:
    """What the draft itself says of its turns; the last one gives the answer."""
    for turn in draft.turns[:-1]:
        yield Execution(StepStatus.OK, turn.observation or "", None, turn.calls)
    yield Execution(StepStatus.FINAL, "", draft.answer)


def _run(turns: Sequence[Turn], environment: Environment) -> Iterator[Execution]:
    """What the code of each turn gives in one session, up to the answer."""
    workspace = environment.open()
    try:
        for turn in turns:
            result = workspace.run(turn.code or "")
            yield result
            if result.status is StepStatus.FINAL:
                return
    finally:
        workspace.close()
