"""One task, tool, model, weights, filter, scorer, retriever, prompt template, verifier and reader, each named in
pyproject.toml. `agentdistill plugins` lists them once this package is installed."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from agentdistill import Message, Passage, Problem, Request, Sample, StopReason, Tool, Trace
from agentdistill.exchange.readers import Draft, Turn
from agentdistill.prompts import compact
from agentdistill.verify import Check, Verdict

VALUES = dict(M=1000, CM=900, D=500, CD=400, C=100, XC=90, L=50, XL=40, X=10, IX=9, V=5, IV=4, I=1)


def to_roman(number: int) -> str:
    """The Roman numeral of a number from 1 to 3999."""
    out = ""
    for numeral, value in VALUES.items():
        out += numeral * (number // value)
        number %= value
    return out


def numerals(split: str) -> list[Problem]:
    """The task: a function of a split. Training and test questions are apart; `:N` takes the first N."""
    name, _, n = split.partition(":")
    numbers = range(1, 101) if name == "train" else range(1901, 2001)
    question = "Write {} as a Roman numeral."
    return [Problem(f"{name}-{i}", question.format(i), to_roman(i), "roman", "roman") for i in numbers][: int(n or 100)]


def score(prediction: str, answer: str, aliases: tuple[str, ...]) -> bool:
    """The scorer of problems whose kind is "roman": case and blanks do not count."""
    return prediction.upper().split() == answer.upper().split()


def one_step(trace: Trace) -> bool:
    """The filter: trajectories of a single step."""
    return len(trace.steps) == 1


class Clerk:
    """The model: it writes one line of code for any question with a number in it."""

    name, batch_size, lockstep, context_length = "clerk", 16, True, None

    async def generate(self, requests: Sequence[Request]) -> list[list[Sample]]:
        """One list of samples a request."""
        return [[self._reply(r.messages[-1].content)] * r.n for r in requests]

    async def aclose(self) -> None:
        """Close what is open: nothing here."""

    def _reply(self, question: str) -> Sample:
        code = f"final_answer(to_roman({re.search('[0-9]+', question)[0]}))"
        return Sample(f"```python\n{code}\n```", StopReason.END_TURN, n_new_tokens=12)


def load_clerk() -> Clerk:
    """Models are loaded with the settings of a recipe's `[teacher]` table as arguments; this one has none."""
    return Clerk()


class Weights:
    """The weights: checkpoint folders below $ROMAN_WEIGHTS, named `roman:FOLDER` in recipes."""

    sizes = staticmethod(lambda: tuple(sorted(os.listdir(os.environ["ROMAN_WEIGHTS"]))))
    locate = staticmethod(lambda size: Path(os.environ["ROMAN_WEIGHTS"]) / size)


class First:
    """The retriever: the passages that hold the query, in the order of the corpus."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self.passages, self.corpus = passages, f"first-{len(passages)}"

    def search(self, query: str, k: int) -> list[Passage]:
        """At most k passages."""
        return [p for p in self.passages if query and query in p.text][:k]

    def search_many(self, queries: Sequence[str], k: int) -> list[list[Passage]]:
        """One list a query."""
        return [self.search(q, k) for q in queries]


def build_first(passages: Sequence[Passage], cache: Path | None = None) -> First:
    """Retrievers are built from passages, a folder for an index, and the settings of `retriever_settings`."""
    return First(passages)


class Prompt:
    """The prompt template: the compact one with another system message."""

    THOUGHT, AGENT_STOP = compact.THOUGHT, compact.AGENT_STOP
    cot, action, observation = map(staticmethod, (compact.cot, compact.action, compact.observation))

    @staticmethod
    def agent(question: str, tools: Sequence[Tool]) -> tuple[Message, ...]:
        """The opening of a conversation."""
        return Message("system", "Call to_roman(number), then final_answer(numeral)."), Message("user", question)


class Verifier:
    """The verifier: a numeral is right if it is spelt with Roman digits."""

    async def check(self, policy, problem: Problem, candidate) -> tuple[Check, ...]:
        """One Check for each sample. `policy` would ask a model."""
        fits = bool(re.fullmatch("[MDCLXVI]+", candidate.answer or ""))
        return (Check("looks Roman" if fits else "no numeral", Verdict.TRUE if fits else Verdict.FALSE),)


def load_verifier(settings, kit) -> Verifier:
    """Verifiers are loaded with their table of a recipe, and with a sandbox and a retriever."""
    return Verifier()


class Exercises:
    """The trajectory reader: solutions out of a textbook, as programs."""

    SPLITS = {"book": ("agent",)}

    @staticmethod
    def drafts(split: str, path: str | None, method: str) -> Iterator[Draft]:
        """One Draft a row; programs are run when they are read."""
        for problem in numerals("train"):
            number = problem.id.split("-")[1]
            yield Draft(problem, "textbook", (Turn("", f"final_answer(to_roman({number}))"),))
