"""Verifiers that a model plays, and the one that knows the answer: each looks at one candidate and gives Checks.

What a model writes never raises: it is a verdict of some kind. Only infrastructure faults do (InfrastructureError),
and what a model cannot do at all (ModelError). A plug-in of kind ``verifiers`` is a function
``load(settings, kit) -> Verifier``.

The one without a model does every calculation that a solution writes down again in the sandbox. Read are GSM8K's own
marks, ``<<16-3-4=9>>``, and where a solution has none, plain text such as ``12 * 4 = 48``, but not
what is a mere part of a formula, as in ``2 * x + 3 + 4 = 15``. What is read becomes exact arithmetic on fractions, run
in the sandbox like any verifier's code. A result written with decimals may be rounded or cut off in its last place; a
whole one has to be exact.
"""

from __future__ import annotations

import ast
import asyncio
import math
import re
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Protocol

from agentdistill import registry
from agentdistill.environment import Environment, Execution, Workspace
from agentdistill.errors import DataError, InfrastructureError, ModelError, RecipeError, UserError
from agentdistill.loop import Policy, canonical
from agentdistill.parse import after_reasoning, parse_action
from agentdistill.prompts import ClaimTemplate, VerifierTemplate, load_claim_prompt, load_verifier_prompt
from agentdistill.retrieval import Passage, Retriever
from agentdistill.sandbox import Limits
from agentdistill.store import seed_of
from agentdistill.types import Message, Problem, Request, Sample, Sampling, StepStatus, StopReason, Trace
from agentdistill.verify.pools import Check, Judgement, Pool, Said, Verdict, VerifierRole

DEFAULT_K = {"code": 4, "facts": 4, "claims": 1, "cot": 4, "genrm": 8}
"""The paper's samples for each role."""
VERDICT_LINE = re.compile(r"[*_]{0,3}verification[\s*_]*:(.*(?:\n\s*[*_]*(?:yes|no)\b(?!\s+\w))?)", re.IGNORECASE)
"""``Verification: …``, bold or not, with a lone yes or no below it."""
_CHOICE = re.compile(r"\(?\byes\s*(?:/|or)\s*no\b\)?", re.IGNORECASE)
_ANSWER = re.compile(r"(?:.*\?)?\W*(yes|no)\b", re.IGNORECASE)
_WORD = re.compile(r"\b(yes|no)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierSettings:
    """One verifier of a recipe: its name and role, the model that writes, and how it is sampled; the paper's defaults.

    ``model`` is a table as a recipe's ``[teacher]``: the kind under ``model``, its settings beside it; empty for roles
    without one. ``k`` None is the role's own. ``hardened`` compares by value what code compares with ``==``.
    ``score`` says whether a GenRM's rationales are parsed or asked for the probability of Yes. ``n_documents`` are
    shown to a fact checker. ``separator`` ends the steps that a PRM scores. ``programs`` are the collections that the
    role ``program`` takes its programs from. ``compare`` says who compares a claim with what documents say: the
    ``model``, or by ``text`` its reply ``the claim? what they say`` is compared. Raises RecipeError for what makes no
    sense.
    """

    name: str
    role: VerifierRole
    model: dict[str, Any] = field(default_factory=dict)
    prompt: str = ""
    k: int | None = None
    temperature: float = 0.6
    top_p: float = 1.0
    max_new_tokens: int = 1024
    hardened: bool = False
    score: Literal["parsed", "probability"] = "parsed"
    n_documents: int = 3
    separator: str = "\n\n"
    programs: tuple[str, ...] = ()
    compare: Literal["model", "text"] = "model"

    def __post_init__(self) -> None:
        try:
            registry.check("verifiers", self.role)
        except UserError as e:
            raise RecipeError(f"verifiers.role: {e}") from e
        for name in ("n", "max_new_tokens", "n_documents"):
            value = self.n if name == "n" else getattr(self, name)
            if value < 1:
                raise RecipeError(f"verifiers.{'k' if name == 'n' else name} has to be at least 1")
        if not self.separator:
            raise RecipeError("verifiers.separator is the text between two steps and cannot be empty")
        if not 0 <= self.temperature < float("inf") or not 0 < self.top_p <= 1:
            raise RecipeError("verifiers.temperature has to be at least 0, top_p above 0 and at most 1")
        if self.needs_model and not self.model:
            raise RecipeError(
                f'verifiers.model: "{self.name}" needs a model, for example {{ model = "local", path = … }}'
            )
        if (self.role == "program") != bool(self.programs):
            raise RecipeError('verifiers.programs: the role "program", and no other, names collections of programs')
        if self.n > 1 and self.temperature == 0 and self.role in DEFAULT_K:
            raise RecipeError(f'verifiers.k: "{self.name}" would be {self.n} times the same at temperature 0')

    @property
    def n(self) -> int:
        """Samples a candidate."""
        return self.k if self.k is not None else DEFAULT_K.get(self.role, 1)

    @property
    def needs_model(self) -> bool:
        """Whether the role is played by a model at all."""
        return self.role not in ("calculations", "evidence", "gold", "program")

    @property
    def sampling(self) -> Sampling:
        """How its model is sampled."""
        return Sampling(self.temperature, self.top_p, self.max_new_tokens)

    def kept(self) -> dict[str, Any]:
        """The settings as a journal keeps them and its key has them: there ``prompt`` is called ``style``."""
        return {"style" if key == "prompt" else key: value for key, value in asdict(self).items()}

    @classmethod
    def of_kept(cls, data: Mapping[str, Any]) -> VerifierSettings:
        """The inverse of :meth:`kept`."""
        return cls(**{"prompt" if key == "style" else key: value for key, value in data.items()})


@dataclass(frozen=True, slots=True)
class Kit:
    """What verifiers work with: a sandbox without tools, a retriever, the prompt template where they name none.

    ``seed`` is for what they ask whoever the candidate is; ``programs`` are published ones, by question.
    """

    environment: Environment | None = None
    retriever: Retriever | None = None
    prompt: str = "standard"
    seed: int = 0
    programs: Mapping[str, str] = field(default_factory=dict)


class Verifier(Protocol):
    """Something that checks a candidate. ``policy`` asks its model; verifiers without a chat model ignore it."""

    async def check(self, policy: Policy, problem: Problem, candidate: Trace) -> tuple[Check, ...]:
        """One Check for each sample, calculation or step. Raises InfrastructureError where the world fails."""
        ...


def told(sample: Sample, verdict: Verdict) -> Verdict:
    """The verdict of a sample whose text says ``verdict``: cut off at its limit before any, it is of a kind apart."""
    cut = sample.stop is StopReason.LENGTH and verdict in (Verdict.MALFORMED, Verdict.NO_CODE)
    return Verdict.CUT_OFF if cut else verdict


def load_verifier(settings: VerifierSettings, kit: Kit) -> Verifier:
    """The verifier of that role. Raises UserError where the kit lacks what it needs."""
    load = registry.load("verifiers", settings.role)
    verifier: Verifier = registry.call("verifiers", settings.role, load, settings, kit)
    return verifier if registry.is_built_in("verifiers", settings.role) else _FromOutside(settings.role, verifier)


@dataclass(frozen=True, slots=True)
class _FromOutside:
    """A plug-in's verifier, with PluginErrors for what its code raises, or gives that is no Check."""

    role: str
    verifier: Verifier

    async def check(self, policy: Policy, problem: Problem, candidate: Trace) -> tuple[Check, ...]:
        """See :class:`Verifier`."""
        with registry.running("verifiers", self.role):
            found = await self.verifier.check(policy, problem, candidate)
        return tuple(registry.all_of("verifiers", self.role, Check, found))


def template_of(settings: VerifierSettings, kit: Kit) -> VerifierTemplate:
    """The prompts of a verifier: its own, else those of the kit."""
    return load_verifier_prompt(settings.prompt or kit.prompt)


def said(reply: str) -> Verdict:
    """The verdict that a reply ends with: of the last ``Verification: …``, the yes or no that it begins with, behind a
    question if there is one, else its last.

    >>> said("All is well.\\n**Verification: is it correct (Yes/No)? Yes**"), said("I cannot say.")
    (<Verdict.TRUE: 'true'>, <Verdict.MALFORMED: 'malformed'>)
    """
    lines = VERDICT_LINE.findall(after_reasoning(reply))
    line = _CHOICE.sub("", lines[-1]) if lines else ""
    answer = _ANSWER.match(line)
    words = [answer[1]] if answer else _WORD.findall(line)
    if not words:
        return Verdict.MALFORMED
    return Verdict.TRUE if words[-1].lower() == "yes" else Verdict.FALSE


async def _samples(settings: VerifierSettings, policy: Policy, messages: tuple[Message, ...]) -> Sequence[Sample]:
    """The k replies to a conversation, sampled as the settings say."""
    return await policy.ask_many(Request(messages, settings.sampling, settings.n, seed=policy.seed(settings.role)))


# --- with code --------------------------------------------------------------------------------------------------------

_KINDS = {
    StepStatus.NO_CODE: Verdict.NO_CODE,
    StepStatus.SYNTAX: Verdict.MALFORMED,
    StepStatus.EXCEPTION: Verdict.ERROR,
    StepStatus.LIMIT: Verdict.ERROR,
    StepStatus.TIMEOUT: Verdict.TIMEOUT,
}
DETAIL_CHARS = 300
KEPT = 1000
"""Programs whose outcome is remembered."""
HARDENED = """
def _alike(a, b):
    import math
    import sys

    try:
        if bool(a == b):
            return True
    except Exception:
        pass
    try:
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)
    except Exception:
        pass
    sympy = sys.modules.get("sympy")
    if sympy is None or not any(isinstance(x, sympy.Basic) for x in (a, b)):
        return False
    try:
        return sympy.simplify(a - b) == 0
    except Exception:
        return False


def _run_hardened(source):
    import ast

    class ByValue(ast.NodeTransformer):
        def visit_Compare(self, node):
            self.generic_visit(node)
            if len(node.ops) != 1 or not isinstance(node.ops[0], (ast.Eq, ast.NotEq)):
                return node
            call = ast.Call(ast.Name("_alike", ast.Load()), [node.left, node.comparators[0]], [])
            return call if isinstance(node.ops[0], ast.Eq) else ast.UnaryOp(ast.Not(), call)

    tree = ast.fix_missing_locations(ByValue().visit(ast.parse(source)))
    exec(compile(tree, "<check>", "exec"), globals())
"""
"""Run before a program that is to compare by value: ``a == b`` becomes isclose or ``simplify(a - b) == 0``."""


class CodeVerifier:
    """k programs a candidate, each in a fresh session. Equal programs do the same: one that ran lately is not run
    again."""

    def __init__(self, settings: VerifierSettings, kit: Kit) -> None:
        if kit.environment is None:
            raise UserError(f'verifier "{settings.name}" runs code and needs a sandbox')
        self._settings, self._template, self._environment = settings, template_of(settings, kit), kit.environment
        self._ran: OrderedDict[str, asyncio.Task[Execution]] = OrderedDict()

    async def check(self, policy: Policy, problem: Problem, candidate: Trace) -> tuple[Check, ...]:
        """See :class:`Verifier`."""
        messages = self._template.check("code", problem.question, candidate.solution)
        return await self.run(await _samples(self._settings, policy, messages))

    async def run(self, replies: Sequence[Sample]) -> tuple[Check, ...]:
        """The verdicts on replies that are written already. A program that its reply ends in is a fragment where the
        reply was cut off, and is not run. Used by one event loop at a time."""
        out = []
        for reply in replies:
            code = parse_action(reply.text, cut_off=reply.stop is StopReason.LENGTH)
            out.append(
                Check(reply.text, told(reply, Verdict.NO_CODE))
                if code is None
                else of_execution(await self.execute(code), code, reply.text)
            )
        return tuple(out)

    async def execute(self, code: str) -> Execution:
        """What the program does. Whoever asks for one that is running waits for it."""
        if code not in self._ran:
            self._ran[code] = asyncio.ensure_future(asyncio.to_thread(self._run, code))
            if len(self._ran) > KEPT:
                self._ran.popitem(last=False)
        running = self._ran[code]
        try:
            return await asyncio.shield(running)
        except InfrastructureError:
            self._ran.pop(code, None)  # the next one tries again
            raise

    def _run(self, code: str) -> Execution:
        workspace = self._environment.open()
        try:
            if not self._settings.hardened:
                return workspace.run(code)
            workspace.run(HARDENED)
            return workspace.run(f"_run_hardened({code!r})")
        finally:
            workspace.close()


def of_execution(execution: Execution, code: str, reply: str) -> Check:
    """The verdict of a program that was run: what it printed, unless it came to no end."""
    e = execution
    text = e.answer if e.status is StepStatus.FINAL and e.answer is not None else e.observation
    verdict = _KINDS[e.status] if e.status in _KINDS else printed(text)
    return Check(reply, verdict, code=code, detail=text[-DETAIL_CHARS:])


def printed(output: str) -> Verdict:
    """What a program's output says: the lines True or False, which have to agree, the last line being one of them.

    >>> printed("x = 5\\nTrue\\n"), printed("True\\nFalse"), printed("42")
    (<Verdict.TRUE: 'true'>, <Verdict.MALFORMED: 'malformed'>, <Verdict.MALFORMED: 'malformed'>)
    """
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    found = {line for line in lines if line in ("True", "False")}
    if len(found) != 1 or lines[-1] not in found:
        return Verdict.MALFORMED
    return Verdict.TRUE if "True" in found else Verdict.FALSE


# --- without a tool ---------------------------------------------------------------------------------------------------


class ThinkingVerifier:
    """T1's control: the same question as with code, answered by k rationales, each with a verdict in its last line."""

    def __init__(self, settings: VerifierSettings, kit: Kit) -> None:
        self._settings, self._template = settings, template_of(settings, kit)

    async def check(self, policy: Policy, problem: Problem, candidate: Trace) -> tuple[Check, ...]:
        """See :class:`Verifier`."""
        messages = self._template.check("cot", problem.question, candidate.solution)
        return tuple(Check(s.text, told(s, said(s.text))) for s in await _samples(self._settings, policy, messages))


# --- with documents ---------------------------------------------------------------------------------------------------

_RULING = r"(supported|contradicted|not[ _](?:mentioned|found))"
_ARROW = r"(?:[-=]{1,3}>|→|⇒|➔)"
_CLAIM = re.compile(
    rf"^[^a-z\n]*claim\b(?:.*?(?:\s?{_ARROW}\W{{0,20}}{_RULING}\b|:\W{{0,20}}{_RULING}\W{{0,20}}$))?", re.I | re.M
)
QUERY_CHARS = 4000


class FactVerifier:
    """k rationales a candidate over the same documents: every fact that a solution states is held against them.

    The query is question and solution together. A fact that the documents do not mention counts as right; one that they
    contradict makes the solution wrong. So the claims decide; the last line does where one of them cannot be read.
    """

    def __init__(self, settings: VerifierSettings, kit: Kit) -> None:
        if kit.retriever is None:
            raise UserError(f'verifier "{settings.name}" searches and needs a corpus: name one as search in [tools]')
        self._settings, self._template, self._retriever = settings, template_of(settings, kit), kit.retriever

    async def check(self, policy: Policy, problem: Problem, candidate: Trace) -> tuple[Check, ...]:
        """See :class:`Verifier`."""
        query = f"{problem.question}\n{candidate.solution}"[:QUERY_CHARS]
        found = await asyncio.to_thread(self._retriever.search, query, self._settings.n_documents)
        messages = self._template.check("facts", problem.question, candidate.solution, found)
        samples = await _samples(self._settings, policy, messages)
        return tuple(Check(s.text, told(s, all_claims(s.text)), documents=shown_as(found)) for s in samples)


def shown_as(passages: Sequence[Passage]) -> tuple[str, ...]:
    """Passages as a check keeps them."""
    return tuple(f"{p.title}: {p.text}" if p.title else p.text for p in passages)


def compact(text: str) -> str:
    """The text without empty lines, its blanks one each: what is looked for in it takes time in proportion."""
    return "\n".join(filter(None, (" ".join(line.split()) for line in text.splitlines())))


def all_claims(reply: str) -> Verdict:
    """The verdict of a rationale: false where a claim is contradicted, true where none is, by its last line where one
    cannot be read. Malformed without any claim that can, and without a last line: it may have been cut short.

    >>> all_claims("Claim: Ulm is in Spain -> contradicted\\nVerification: Yes")
    <Verdict.FALSE: 'false'>
    """
    found = _CLAIM.findall(_said(reply))
    words = {(arrow or colon).lower() for arrow, colon in found}  # "" is of a claim that cannot be read
    verdict = said(reply)
    if not verdict.settled or not words - {""}:
        return Verdict.MALFORMED
    if "contradicted" in words:
        return Verdict.FALSE
    return verdict if "" in words else Verdict.TRUE


# --- with documents, claim by claim -----------------------------------------------------------------------------------

NO_CLAIM = NO_QUERY = "none"
MAX_CLAIMS = 12
_MARKS = " *_`|"
_LISTED = re.compile(
    r"^[^a-z\n]*claim(?: ?[#(]?\d+\)?)?[ *_]{0,9}:[ *_]{0,9}(?:\n(?![^a-z\n]*claim\b))?(.*)$", re.I | re.M
)
_NOTHING = re.compile(r"\W*none(?:\W*$| ?\(| [-–—])", re.I)
"""``none``, with an explanation or without."""
_SEARCH = re.compile(r"^[^a-z\n]*search(?: (?:query|for))?[ *_]{0,9}:[ *_]{0,9}\n?(.*)$", re.I | re.M)
_RUN = re.compile(r"^[^a-z\n]*run[ *_]{0,9}:[ *_]{0,9}\n?(.*)$", re.I | re.M)
_RULED = re.compile(rf"{_ARROW}\W{{0,20}}{_RULING}\b", re.I)
_OF_CLAIM = re.compile(rf"^(.*?)\s?{_RULED.pattern}", re.I | re.M)
_QUOTES = "\"'“”„«»‹›"
_CITED = re.compile(r"\[(\d{1,4})\]")
CLAIM_CHARS = 500
_RULINGS = {"supported": Verdict.TRUE, "contradicted": Verdict.FALSE}
"""Anything else is ``NOT_FOUND``."""


class ClaimVerifier:
    """One Check a claim: the solution is split into the facts that it states, and each is looked up by itself.

    The model writes the list of claims, for each a query or a Python expression over what is known (``none`` where that
    suffices), and k times what the documents, or the result, say of it; the verdict that most of the k give counts, and
    of two equal ones ``NOT_FOUND``. What documents said of earlier claims is known to later ones: a claim about "the
    director's birthplace" is searched for by the name that was found, and the larger of two populations is computed
    from those that were found. Seeds hang on the claim, not on the candidate: the same claim is judged alike in all
    candidates of a problem, at the cost of one where they run together. How the claims of a solution make one verdict
    is for the selection to say.
    """

    def __init__(self, settings: VerifierSettings, kit: Kit) -> None:
        if kit.retriever is None:
            raise UserError(f'verifier "{settings.name}" searches and needs a corpus: name one as search in [tools]')
        self._settings, self._retriever, self._seed = settings, kit.retriever, kit.seed
        self._template: ClaimTemplate = load_claim_prompt(settings.prompt or kit.prompt)
        self._code = CodeVerifier(settings, kit) if kit.environment else None

    async def check(self, policy: Policy, problem: Problem, candidate: Trace) -> tuple[Check, ...]:
        """See :class:`Verifier`."""
        messages = self._template.claims(problem.question, candidate.solution)
        [listed] = await self._ask(policy, messages)
        claims = listed_claims(listed.text)
        if not claims:
            none = Verdict.NOT_FOUND if states_nothing(listed.text) else Verdict.MALFORMED
            return (Check(listed.text, told(listed, none), detail=NO_CLAIM),)
        checks: list[Check] = []
        for claim in claims:
            checks.append(await self._check(policy, claim, known_from(checks)))
        return tuple(checks)

    async def _check(self, policy: Policy, claim: str, known: Sequence[str]) -> Check:
        [asked] = await self._ask(policy, self._template.query(claim, known))
        expression = expression_in(asked.text)
        query = expression or query_in(asked.text) or claim
        found = await self._result(expression) if expression else await self._search(query)
        replies = await self._ask(policy, self._template.claim(claim, known, found), self._settings.n)
        by_text = self._settings.compare == "text"
        verdicts = [told(r, ruling(r.text, len(found), by_text=by_text)) for r in replies]
        verdict = agreed(verdicts)
        reply = next((r.text for r, v in zip(replies, verdicts, strict=True) if v is verdict), replies[0].text)
        return Check(reply, verdict, code=expression or None, detail=claim, documents=shown_as(found), query=query)

    async def _search(self, query: str) -> Sequence[Passage]:
        if query == NO_QUERY:
            return ()
        return await asyncio.to_thread(self._retriever.search, query, self._settings.n_documents)

    async def _result(self, expression: str) -> Sequence[Passage]:
        """What the expression gives, as a document; none where it cannot be computed."""
        if self._code is None:
            return ()
        done = await self._code.execute(f"print({expression})")
        return [Passage("", f"{expression} = {done.observation.strip()}")] if done.status is StepStatus.OK else ()

    async def _ask(self, policy: Policy, messages: tuple[Message, ...], n: int = 0) -> Sequence[Sample]:
        """``n`` samples; 0: the likeliest reply alone."""
        sampling = self._settings.sampling if n else replace(self._settings.sampling, temperature=0.0, top_p=1.0)
        seed = seed_of(self._seed, self._settings.name, *(m.content for m in messages))
        return await policy.ask_many(Request(messages, sampling, n or 1, seed=seed))


def listed_claims(reply: str) -> tuple[str, ...]:
    """The claims of a list, in order, each once, at most :data:`MAX_CLAIMS` of :data:`CLAIM_CHARS` each.

    >>> listed_claims("Claim: Ulm is in Spain.\\n2. **Claim**: Ulm has a minster.\\nSo far.")
    ('Ulm is in Spain.', 'Ulm has a minster.')
    """
    return tuple(c for c in _listed(reply) if not _NOTHING.match(c))[:MAX_CLAIMS]


def states_nothing(reply: str) -> bool:
    """Whether a list says that there is no claim."""
    return any(_NOTHING.match(c) for c in _listed(reply))


def _listed(reply: str) -> list[str]:
    found = (c.strip(_MARKS)[:CLAIM_CHARS] for c in _LISTED.findall(compact(after_reasoning(reply))))
    return list(dict.fromkeys(filter(None, found)))


def query_in(reply: str) -> str:
    """The query that a reply asks for; its last line where it is not marked as one. Empty for an empty reply.

    >>> query_in('Search: "author of Faust"'), query_in("author of Faust")
    ('author of Faust', 'author of Faust')
    """
    text = compact(after_reasoning(reply))
    marked = _SEARCH.findall(text)
    query = (marked[0] if marked else text.rpartition("\n")[2]).strip(_MARKS + _QUOTES)
    return NO_QUERY if _NOTHING.match(query) else query[:QUERY_CHARS]


def expression_in(reply: str) -> str:
    """The Python expression that a reply asks to be computed; empty where there is none.

    >>> expression_in("Run: `max(3, 4)`"), expression_in("Run: fast"), expression_in("Search: Run DMC")
    ('max(3, 4)', '', '')
    """
    for text in _RUN.findall(compact(after_reasoning(reply))):
        code = text.strip(_MARKS)[:QUERY_CHARS]
        try:
            if not isinstance(ast.parse(code, mode="eval").body, ast.Name):
                return str(code)
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            continue
    return ""


def ruling(reply: str, n_documents: int | None = None, *, by_text: bool = False) -> Verdict:
    """What a reply says of its claim. One that cites a document (``[4]``) that was not shown is malformed.

    ``by_text``: of a reply that says ``the claim? what documents say``, whether the claim ends in that.

    >>> ruling("The author of Faust is Goethe. -> supported"), ruling("I cannot tell.")
    (<Verdict.TRUE: 'true'>, <Verdict.MALFORMED: 'malformed'>)
    >>> ruling("The author of Faust is Schiller? Goethe. -> supported", by_text=True)
    <Verdict.FALSE: 'false'>
    """
    found = _rulings(reply)
    if not found:
        return Verdict.MALFORMED
    said, ruled = found[-1]
    invented = n_documents is not None and any(not 1 <= int(n) <= n_documents for n in _CITED.findall(said))
    if invented:
        return Verdict.MALFORMED
    claimed, asked, there = said.rpartition("? ")
    verdict = _RULINGS.get(ruled.lower(), Verdict.NOT_FOUND)
    if by_text and asked and verdict.settled:
        return Verdict.TRUE if canonical(claimed).endswith(canonical(there.rstrip("."))) else Verdict.FALSE
    return verdict


def _rulings(reply: str) -> list[tuple[str, str]]:
    """What is said before each arrow, and what is behind it."""
    return _OF_CLAIM.findall(_said(reply))


def _said(reply: str) -> str:
    """What a reply says, without lines that repeat the prompt's choice of rulings."""
    lines = compact(after_reasoning(reply)).splitlines()
    return "\n".join(line for line in lines if len({r.lower() for r in _RULED.findall(line)}) < 2)


def agreed(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict of most samples, unread ones left out unless all are; ``NOT_FOUND`` where two lead.

    >>> agreed([Verdict.TRUE, Verdict.FALSE]), agreed([Verdict.TRUE, Verdict.MALFORMED])
    (<Verdict.NOT_FOUND: 'not_found'>, <Verdict.TRUE: 'true'>)
    """
    votes = Counter(v for v in verdicts if v.settled or v is Verdict.NOT_FOUND)
    if not votes:
        return verdicts[0]
    (first, most), *others = votes.most_common()
    return Verdict.NOT_FOUND if others and others[0][1] == most else first


def known_from(checks: Sequence[Check]) -> tuple[str, ...]:
    """What documents said of the claims that were judged: sentences."""
    said = [_rulings(c.reply) for c in checks if c.verdict is not None and c.verdict.settled]
    return tuple(found[-1][0].strip() for found in said if found and found[-1][0].strip())


# --- a reward model that writes ---------------------------------------------------------------------------------------

MAX_BLANKS = 2


class GenRM:
    """GenRM-CoT: r is the mean over n rationales of a parsed Yes or No, or of p(Yes).

    p(Yes) is read off one more token, which continues the rationale behind the words that open the verdict: where the
    model says Yes it is that token's probability, where it says No it is the complement. So that is p(Yes) up to what
    the model would give other words. Where a tokenizer splits a blank off, the token behind it counts with it.
    """

    def __init__(self, settings: VerifierSettings, kit: Kit) -> None:
        self._settings, self._template = settings, template_of(settings, kit)

    async def check(self, policy: Policy, problem: Problem, candidate: Trace) -> tuple[Check, ...]:
        """See :class:`Verifier`."""
        messages = self._template.check("genrm", problem.question, candidate.solution)
        samples = await _samples(self._settings, policy, messages)
        if self._settings.score == "parsed":
            return tuple(Check(s.text, told(s, said(s.text))) for s in samples)
        return tuple([await self._weighed(policy, messages, s, i) for i, s in enumerate(samples)])

    async def _weighed(self, policy: Policy, messages: tuple[Message, ...], sample: Sample, i: int) -> Check:
        """A rationale with p(Yes) behind it."""
        found = list(VERDICT_LINE.finditer(sample.text))
        rationale = sample.text[: found[-1].start()] if found else sample.text.rstrip() + "\n"
        token, logprob = await self._opened(policy, messages, rationale + self._template.VERDICT.rstrip(), i)
        p = yes(token, math.exp(logprob))
        verdict = Verdict.MALFORMED if p is None else Verdict.TRUE if p >= 0.5 else Verdict.FALSE
        return Check(sample.text, verdict, p, detail=token)

    async def _opened(self, policy: Policy, messages: tuple[Message, ...], opening: str, i: int) -> tuple[str, float]:
        """How the verdict begins, and its log-probability: one token, or more where the first are only blanks."""
        sampling = replace(self._settings.sampling, temperature=0.0, top_p=1.0, max_new_tokens=1)
        text, logprob = "", 0.0
        for _ in range(MAX_BLANKS + 1):
            seed = policy.seed("yes", i, len(text))
            [begun] = await policy.ask_many(Request(messages, sampling, prefix=opening + text, seed=seed))
            if begun.logprob is None:
                why = 'gives no log-probabilities; set logprobs = true, or score = "parsed"'
                raise ModelError(f'verifier "{self._settings.name}": its model {why}')
            text, logprob = text + begun.text, logprob + begun.logprob
            if text.strip() or not begun.text:
                break
        return text, logprob


def yes(token: str, probability: float) -> float | None:
    """p(Yes) from the token that opens the verdict, which may be only its first letters; None for another word.

    >>> yes(" Y", 0.9), round(yes("No", 0.9), 9), yes("Maybe", 0.9)
    (0.9, 0.1, None)
    """
    word = token.strip(" *_:\n").lower()
    if word and "yes".startswith(word):
        return probability
    return 1.0 - probability if word and "no".startswith(word) else None


# --- the gold answer --------------------------------------------------------------------------------------------------


class GoldVerifier:
    """One Check a candidate, its mark: the ceiling of any verifier, and labels for those that are to learn."""

    def __init__(self, settings: VerifierSettings, kit: Kit) -> None:
        self._template = template_of(settings, kit)

    async def check(self, policy: Policy, problem: Problem, candidate: Trace) -> tuple[Check, ...]:
        """See :class:`Verifier`. Raises DataError for a candidate without a mark."""
        if candidate.correct is None:
            raise DataError(f"problem {problem.id!r} has no gold answer to judge by")
        verdict = Verdict.TRUE if candidate.correct else Verdict.FALSE
        return (Check(self._template.VERDICT + ("Yes" if candidate.correct else "No"), verdict),)


# --- a published program ----------------------------------------------------------------------------------------------

_VALUE = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,39})(?:\.[0-9]{1,40})?(?:/[1-9][0-9]{0,40})?")


class ProgramVerifier:
    """The program that was published for the question, compared with the candidate's answer: no model is asked.

    Made for training questions: the replies are what a verifier with code learns to write, which has to find the
    program by itself. A question without a program gives the verdict ``NO_CODE``.
    """

    def __init__(self, settings: VerifierSettings, kit: Kit) -> None:
        self._programs, self._code = kit.programs, CodeVerifier(settings, kit)

    async def check(self, policy: Policy, problem: Problem, candidate: Trace) -> tuple[Check, ...]:
        """See :class:`Verifier`."""
        code = comparing(self._programs.get(problem.question, ""), candidate.answer)
        if code is None:
            return (Check("", Verdict.NO_CODE, detail="no program was published"),)
        return await self._code.run([Sample(f"```python\n{code}\n```", StopReason.END_TURN)])


def comparing(program: str, answer: str | None) -> str | None:
    """A program that ends in ``final_answer(x)`` as one that prints whether x is the answer; None for another one.

    >>> comparing("cost = 3 * 4\\nfinal_answer(cost)", "$12")
    'cost = 3 * 4\\nprint(abs(cost - 12) < 1e-6)'
    """
    found = _result(program)
    if found is None:
        return None
    before, result = found
    value = canonical(answer or "").strip("$ .").replace(" ", "")
    if not _VALUE.fullmatch(value):
        return f"{before}print(False)"
    difference = ast.BinOp(result, ast.Sub(), ast.parse(value, mode="eval").body)
    return f"{before}print(abs({ast.unparse(difference)}) < 1e-6)"  # with brackets where they are needed


def _result(program: str) -> tuple[str, ast.expr] | None:
    """What comes before the ``final_answer(x)`` that a program ends in, and x."""
    try:
        statements = ast.parse(program).body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    match statements[-1:]:
        case [ast.Expr(value=ast.Call(func=ast.Name(id="final_answer"), args=[x], keywords=[])) as last]:
            return program[: program.rindex(ast.get_source_segment(program, last) or "")], x
    return None


# --- the calculations that are written --------------------------------------------------------------------------------

NAME = "calculations"
_MARKED = re.compile(r"<<([^<>=\n]{1,200})=([^<>=\n]{1,60})>>")
_SIGNS = {r"\times": "*", r"\cdot": "*", r"\div": "/", "×": "*", "·": "*", "÷": "/", "−": "-", "^": "**"}
_SIGN = re.compile(r"\\(?:times|cdot|div)\b|[×·÷−^]")
_LETTER_X = re.compile(r"(?<=[\d)])[ \t]*x[ \t]*(?=\$?\d)")
_NUMBER = r"[-+]?\\?\$?-?\d[\d,]*(?:\.\d+)?%?"
_OP = r"(?:\*\*|[-+*/])"
_GAP = r"[ \t\xa0()]*"
_LINE = re.compile(
    rf"(?<![\w.=<\\])((?:\(\s*){{0,9}}{_NUMBER}(?:{_GAP}(?:{_OP}|%(?=\s*\d)){_GAP}{_NUMBER}){{1,50}}[\s)]*)"
    rf"=\s*({_NUMBER}(?:/\d+)?)(?![.,:]?\d|[ \t]*%?[ \t]*{_OP}[ \t]*(?:[\d($]|[a-z]\b))"
)
_OPEN = re.compile(r"[\w)\]}](?:[ \t]*[-+*/][ \t(]*|\*\*\(*|[ \t]+\*\*[ \t(]+)[-+]?$|\d:$")
"""Behind this, a formula or a time of day has begun that a calculation is only the rest of. ``**`` may be bold type."""
_TOKEN = re.compile(r"\d[\d,]*(?:\.\d+)?|\.\d+|\*\*|[-+*/()%]|\s+|\\?[$€£]")
MAX_CALCULATIONS = 200
LIMITS = Limits(wall_s=2.0, memory_mb=256)
"""Of the program of one solution."""
_RENEW_AFTER = 500


@dataclass(frozen=True, slots=True)
class Calculation:
    """``left = right`` as it is written. ``code`` is a Python expression that is true where it holds; None where the
    text is no arithmetic."""

    left: str
    right: str
    code: str | None


def calculations(solution: str) -> tuple[Calculation, ...]:
    """Every calculation of a solution, in order.

    >>> [c.right for c in calculations("16 - 3 = <<16-3=13>>13 eggs, 13 * 2 = $<<13*2=26>>26")]
    ['13', '26']
    """
    text = _LETTER_X.sub(" * ", _SIGN.sub(lambda m: _SIGNS[m[0]], solution))
    found = _MARKED.findall(text) or _in_plain(text)
    return tuple(Calculation(a.strip(), b.strip(), _code(a, b)) for a, b in found[:MAX_CALCULATIONS])


def _in_plain(text: str) -> list[tuple[str, str]]:
    """Both sides of every calculation in plain text."""
    out = []
    for m in _LINE.finditer(text):
        n_open = m[1].count("(") - m[1].count(")")
        left = m[1].removeprefix("(" * max(0, n_open))  # those of a remark: (3 + 4 = 7)
        begins = m.end(1) - len(left.lstrip("( -+"))
        if left.count("(") == left.count(")") and not _OPEN.search(text[max(0, begins - 40) : begins]):
            out.append((left, m[2]))
    return out


def _code(left: str, right: str) -> str | None:
    a, b = _expression(left), _expression(right)
    if a is None or b is None:
        return None
    decimals = re.search(r"\.(\d+)", right)
    if decimals is None:
        return f"({a}) == ({b})"
    # Rounded is off by half of the last place at most, cut off by less than a whole; past nine it is a float's noise.
    return f"abs(({a}) - ({b})) < F(1, {10 ** min(len(decimals[1]), 9)})"


def _expression(text: str) -> str | None:
    """Arithmetic as Python on fractions, put together of tokens that are known; None for anything else.

    ``%`` between two numbers is the remainder, behind one it is per cent.
    """
    out: list[str] = []
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            return None
        at = token.end()
        t = token[0]
        if t[0].isdigit() or t[0] == ".":
            if out and out[-1][-1] in ")'":
                return None  # two numbers side by side
            out.append(f"F('{t.replace(',', '')}')")
        elif t == "%":
            out.append("%" if re.match(r"\s*[\d(]", text[at:]) else "/F(100)")
        elif not t.isspace() and t[-1] not in "$€£":
            out.append(t)
    return _parsed("".join(out))


def _parsed(code: str) -> str | None:
    """The code, if it is an expression: one that is none would take the others of its program down with it."""
    try:
        ast.parse(code, mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    return code


def program(found: tuple[Calculation, ...]) -> str:
    """Python that prints for every calculation True or False, or the name of its error, a line each."""
    rows = ",\n".join(f"    lambda: {c.code}" if c.code else "    None" for c in found)
    return (
        "from fractions import Fraction as F\n\n"
        f"checks = [\n{rows}\n]\n"
        "for check in checks:\n"
        "    try:\n"
        "        print('Unread' if check is None else bool(check()))\n"
        "    except Exception as e:\n"
        "        print(type(e).__name__)\n"
    )


class Checker:
    """Runs the programs of any number of solutions in one sandbox.

    They share a session, since the program is ours and only numbers and signs of the solution are in it.
    """

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._workspace: Workspace | None = None
        self._n_run = 0

    def check(self, solution: str) -> tuple[Check, ...]:
        """One Check for every calculation; a single one of kind ``NO_CODE`` where there is none.

        Raises InfrastructureError where the sandbox fails, UserError where this machine has none.
        """
        found = calculations(solution)
        if not found:
            return (Check("", Verdict.NO_CODE, detail="no calculation is written"),)
        code = program(found)
        execution = self._run(code)
        lines = [line for line in execution.observation.splitlines() if not line.startswith("Error:")]
        out = []
        for i, c in enumerate(found):
            verdict, detail = _verdict(lines[i] if i < len(lines) else "", execution)
            out.append(Check(f"{c.left} = {c.right}", verdict, code=code if i == 0 else None, detail=detail))
        return tuple(out)

    def close(self) -> None:
        """End the session; the environment is the caller's."""
        if self._workspace is not None:
            self._workspace.close()
            self._workspace = None

    def _run(self, code: str) -> Execution:
        if self._workspace is None:
            self._workspace, self._n_run = self._environment.open(), 0
        execution = self._workspace.run(code)
        self._n_run += 1
        if execution.status is not StepStatus.OK or self._n_run >= _RENEW_AFTER:
            self.close()  # a state that is lost would be rebuilt by running all programs again
        return execution


def _verdict(line: str, execution: Execution) -> tuple[Verdict, str]:
    if line in ("True", "False"):
        return (Verdict.TRUE if line == "True" else Verdict.FALSE), ""
    if line == "Unread":
        return Verdict.MALFORMED, "no arithmetic"
    if line.isidentifier():
        return Verdict.ERROR, line
    kind = Verdict.TIMEOUT if execution.status is StepStatus.TIMEOUT else Verdict.ERROR
    return kind, execution.status.value


def with_calculations(pools: Sequence[Pool]) -> list[Pool]:
    """The pools with a judgement called ``calculations`` on every candidate, one verdict for each it writes down.

    Raises UserError where this machine has no sandbox, InfrastructureError where it fails.
    """
    with Environment(limits=LIMITS) as environment:
        checker = Checker(environment)
        try:
            return [
                replace(p, judgements=tuple(_checked(t.solution, said, checker) for t, said in p.judged)) for p in pools
            ]
        finally:
            checker.close()


def _checked(solution: str, said: Said, checker: Checker) -> Said:
    verdicts: tuple[Verdict, ...] = tuple(k.verdict for k in checker.check(solution) if k.verdict is not None)
    return (*(j for j in said if j.judge != NAME), Judgement(NAME, "calculations", verdicts))


class CalculationVerifier:
    """One Check a calculation, all run together. Used by one event loop at a time."""

    def __init__(self, settings: VerifierSettings, kit: Kit) -> None:
        if kit.environment is None:
            raise UserError(f'verifier "{settings.name}" calculates and needs a sandbox')
        self._checker = Checker(kit.environment)
        self._turn = asyncio.Lock()

    async def check(self, policy: Policy, problem: Problem, candidate: Trace) -> tuple[Check, ...]:
        """See :class:`~agentdistill.verify.verifiers.Verifier`."""
        async with self._turn:
            return await asyncio.to_thread(self._checker.check, candidate.solution)
