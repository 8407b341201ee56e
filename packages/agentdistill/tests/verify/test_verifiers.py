"""Listen: what a model writes becomes a verdict of its kind, in the real sandbox, over a real index."""

from __future__ import annotations

import asyncio
import json
import math
import time
from contextlib import nullcontext
from dataclasses import replace

import pytest
from made_pools import Solution, first, judged_by, pool_of

from agentdistill.environment import Environment
from agentdistill.errors import InfrastructureError, ModelError, RecipeError, RefusedError, UserError
from agentdistill.loop import Policy
from agentdistill.models.scripted import Scripted
from agentdistill.retrieval import Passage, build_retriever
from agentdistill.sandbox import Limits
from agentdistill.types import (
    End,
    Message,
    Problem,
    Sample,
    Sampling,
    Score,
    Source,
    Step,
    StepStatus,
    StopReason,
    Trace,
)
from agentdistill.verify import (
    Check,
    Judgement,
    Listen,
    Pool,
    SelectionPolicy,
    Verdict,
    read_pools,
    rescore,
    solved,
    write_pools,
)
from agentdistill.verify.judging import judge_pools, read_journal
from agentdistill.verify.pools import read_judged, read_object
from agentdistill.verify.scores import ScoreSettings
from agentdistill.verify.select import METHODS, ballots, find_verifiers, select
from agentdistill.verify.verifiers import (
    Kit,
    VerifierSettings,
    all_claims,
    listed_claims,
    load_verifier,
    query_in,
    ruling,
    said,
    yes,
)

PROBLEM = Problem("p", "What is 6 x 7?", "42", "math", "sums")
SOLUTION = Solution("6 * 7 = 42\nAnswer: 42", "42", True)
TABLE = {"model": "scripted", "replies": ""}


def nothing():
    """What verifiers are given that need nothing."""
    return nullcontext(Kit())


def block(code: str) -> str:
    return f"Let me check.\n```python\n{code}\n```"


@pytest.fixture(scope="module")
def environment():
    with Environment(limits=Limits(wall_s=1.0, memory_mb=256, output_chars=2000)) as box:
        yield box


@pytest.fixture(scope="module")
def patient():
    with Environment(limits=Limits(wall_s=60.0)) as box:  # sympy takes its time on a busy machine
        yield box


def check(role: str, replies, kit: Kit, **settings) -> tuple[Check, ...]:
    own = VerifierSettings(name="j", role=role, model=TABLE, **settings)
    judge = load_verifier(own, kit)
    policy = Policy(Scripted(replies), 0, own.sampling)
    return asyncio.run(judge.check(policy, PROBLEM, SOLUTION.trace(PROBLEM)))


# What a verifier may write -> the kind of verdict.
WRITTEN = {
    block("print(6 * 7 == 42)"): Verdict.TRUE,
    block("print(6 * 7 == 41)"): Verdict.FALSE,
    block("ok = 6 * 7 == 42\nok"): Verdict.TRUE,
    block("final_answer(6 * 7 == 42)"): Verdict.TRUE,
    block("print('six times seven')\nprint(True)"): Verdict.TRUE,
    block("print(1 / 0)"): Verdict.ERROR,
    block("raise SystemExit"): Verdict.ERROR,
    block("x = ' ' * 10**12"): Verdict.ERROR,
    block("while True: print('True' * 10**6)"): Verdict.ERROR,
    block("import os; os._exit(0)"): Verdict.ERROR,
    block("while True: pass"): Verdict.TIMEOUT,
    block("import time; time.sleep(60)"): Verdict.TIMEOUT,
    block("print(6 * 7 =="): Verdict.MALFORMED,
    block("print(42)"): Verdict.MALFORMED,
    block("print(True)\nprint(False)"): Verdict.MALFORMED,
    block("pass"): Verdict.MALFORMED,
    "It is right. True": Verdict.NO_CODE,
    "": Verdict.NO_CODE,
    "```json\n{}\n```": Verdict.NO_CODE,
}


@pytest.mark.parametrize(("reply", "kind"), WRITTEN.items())
def test_programs_end_in_verdicts_of_their_kind(environment, reply, kind):
    [found] = check("code", reply, Kit(environment), k=1)
    assert (found.verdict, found.reply) == (kind, reply)


@pytest.mark.parametrize(
    ("role", "text", "kind"),
    [
        ("code", "Let me check.\n```python\nprint(True)\nprint(6 * 7", Verdict.CUT_OFF),
        ("code", "Let me think about six times", Verdict.CUT_OFF),
        ("code", block("print(6 * 7 == 42)") + "\nThis program", Verdict.TRUE),
        ("cot", "Six times seven", Verdict.CUT_OFF),
        ("cot", "Verification: No", Verdict.FALSE),
        ("genrm", "Let me", Verdict.CUT_OFF),
    ],
)
def test_a_reply_cut_off_before_its_verdict_is_told_apart(environment, role, text, kind):
    [found] = check(role, Sample(text, StopReason.LENGTH, 5, 9), Kit(environment), k=1)
    assert (found.verdict, found.code is None) == (kind, kind is not Verdict.TRUE or role != "code")


def test_samples_of_one_candidate_do_not_see_each_other(environment):
    replies = [block("x = 41\nprint(x == 41)"), block("print(x == 41)")]
    found = check("code", replies, Kit(environment), k=2)
    assert [c.verdict for c in found] == [Verdict.TRUE, Verdict.ERROR]
    assert "NameError" in found[1].detail


@pytest.mark.parametrize(
    ("code", "as_written", "hardened"),
    [
        ("print(0.1 + 0.2 == 0.3)", Verdict.FALSE, Verdict.TRUE),
        ("import sympy\nx = sympy.Symbol('x')\nprint((x + 1)**2 == x**2 + 2*x + 1)", Verdict.FALSE, Verdict.TRUE),
        ("print(0.1 + 0.2 != 0.3)", Verdict.TRUE, Verdict.FALSE),
        ("print(41 == 42)", Verdict.FALSE, Verdict.FALSE),
        ("print('a' == 'b')", Verdict.FALSE, Verdict.FALSE),
        ("def f():\n    return 6 * 7 == 42\nprint(f())", Verdict.TRUE, Verdict.TRUE),
        ("print(1 / 0 == 1)", Verdict.ERROR, Verdict.ERROR),
        ("print(1 ==", Verdict.MALFORMED, Verdict.MALFORMED),
    ],
)
def test_hardened_comparison_is_an_option(patient, code, as_written, hardened):
    kit = Kit(patient)
    assert check("code", block(code), kit, k=1)[0].verdict is as_written
    assert check("code", block(code), kit, k=1, hardened=True)[0].verdict is hardened


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("Fine.\nVerification: is it correct (Yes/No)? Yes", Verdict.TRUE),
        ("**Verification: Is it correct (yes/no)? No.**", Verdict.FALSE),
        ("Verification: Yes\nBut no.\nverification : no", Verdict.FALSE),
        ("Verification: is it correct (Yes/No)?", Verdict.MALFORMED),
        ("Yes", Verdict.MALFORMED),
        ("Verification: perhaps", Verdict.MALFORMED),
        ("Verification: is it correct (Yes/No)? Yes, there are no mistakes.", Verdict.TRUE),
        ("Verification: is it correct, yes or no? No: yes would be wrong.", Verdict.FALSE),
        ("Verification: Yes (no errors)", Verdict.TRUE),
        ("**Verification**: Yes", Verdict.TRUE),
        ("Verification: there are no mistakes, so yes", Verdict.TRUE),
        ("Verification: is it correct (Yes/No)?\n\n**No**", Verdict.FALSE),
        ("Verification: is it correct (Yes/No)?\nNo idea.", Verdict.MALFORMED),
    ],
)
def test_the_last_line_with_a_verdict_counts(reply, verdict):
    assert said(reply) is verdict
    [found] = check("cot", reply, Kit(), k=1)
    assert found.verdict is verdict


def test_facts_are_held_against_what_a_search_for_them_finds():
    passages = [
        Passage("Ulm", "Ulm lies on the Danube."),
        Passage("Bonn", "Bonn lies on the Rhine."),
        Passage("x", "y"),
    ]
    model = Scripted("Claim: Bonn is on the Danube -> contradicted\nVerification: is it correct (Yes/No)? Yes")
    settings = VerifierSettings(name="f", role="facts", model=TABLE, k=2, n_documents=1)
    judge = load_verifier(settings, Kit(retriever=build_retriever("bm25", passages)))
    problem = Problem("b", "Where does Bonn lie?", "Rhine")
    trace = solved(problem, "Bonn lies on the Danube.", "Danube")
    found = asyncio.run(judge.check(Policy(model, 0, settings.sampling), problem, trace))
    assert [c.verdict for c in found] == [Verdict.FALSE] * 2
    assert found[0].documents == ("Bonn: Bonn lies on the Rhine.",)
    shown = model.requests[0].messages[1].content
    assert "Bonn lies on the Rhine." in shown
    assert "Bonn lies on the Danube." in shown
    with pytest.raises(UserError, match="needs a corpus"):
        load_verifier(settings, Kit())


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("Claim: a -> not mentioned\nClaim: b -> supported\nVerification: Yes", Verdict.TRUE),
        ("Claim: a -> not mentioned\nVerification: No", Verdict.TRUE),  # what no document mentions counts as right
        ("1. Claim: a -> contradicted\nVerification: Yes", Verdict.FALSE),
        ("- **Claim 2**: a → **contradicted** (document 2)\nVerification: Yes", Verdict.FALSE),
        ("Claim: a\n-> contradicted\nVerification: Yes", Verdict.FALSE),
        ("Claim: supported by pillars: contradicted.\nVerification: Yes", Verdict.FALSE),
        ("Claim: a -> supportd\nClaim: b -> supported\nVerification: No", Verdict.FALSE),  # one cannot be read
        ("Claim: a -> supportd\nClaim: b -> supported\nVerification: Yes", Verdict.TRUE),
        ("Claim: a -> contradicted", Verdict.MALFORMED),  # cut short
        ("It is all true.\nVerification: Yes", Verdict.MALFORMED),  # nothing was held against the documents
    ],
)
def test_the_claims_decide_about_facts(reply, verdict):
    assert all_claims(reply) is verdict


CITIES = [
    Passage("Ulm", "Ulm lies on the Danube."),
    Passage("Bonn", "Bonn lies on the Rhine."),
    Passage("Faust", "Faust was written by Goethe."),
    Passage("Goethe", "Goethe was born in Frankfurt."),
]


def reading(request):
    """A careful reader: lists sentences, searches for the words of a claim, and looks for it in the documents."""
    system, user = (m.content for m in request.messages[:2])
    if "list the facts" in system:
        lines = user.rpartition("solution:\n")[2].splitlines()
        return "\n".join(f"Claim: {x}" for x in lines if x and not x.startswith("Answer")) or "Claim: none"
    claim = user.rpartition("Claim: ")[2]
    known = [x.removeprefix("Known: ") for x in user.splitlines() if x.startswith("Known: ")]
    subject = known[-1].rstrip(".").split()[-1] if "the author" in claim.lower() and known else claim.split()[0]
    if "look claims up" in system:
        return f"Search: {subject}"
    found = next((p.text for p in CITIES if p.title == subject and p.text in user), None)
    if found is None:
        return "Nothing. -> not found"
    return f"{found} -> {'supported' if claim.split()[-1] == found.split()[-1] else 'contradicted'}"


def claims_of(*solutions: str, replies=reading, box=None, **settings):
    """The checks of each solution, judged together, and the model that was asked."""
    own = VerifierSettings(name="c", role="claims", model=TABLE, n_documents=1, **settings)
    problem = Problem("b", "Where?", "Rhine")
    pool = pool_of(problem, tuple(Solution(s, "x", False) for s in solutions), "small")
    model, kit = Scripted(replies), Kit(box, retriever=build_retriever("bm25", CITIES))
    verifier = load_verifier(own, kit)
    asking = [verifier.check(Policy(model, i, own.sampling), problem, t) for i, t in enumerate(pool.traces)]

    async def every():
        return [await one for one in asking]

    return asyncio.run(every()), model


def test_each_claim_is_searched_for_by_itself():
    [checks], model = claims_of(
        "Bonn lies on the Danube.\nUlm lies on the Danube.\nParis lies on the Seine.\nAnswer: x"
    )
    assert [c.verdict for c in checks] == [Verdict.FALSE, Verdict.TRUE, Verdict.NOT_FOUND]
    assert [c.detail for c in checks] == [
        f"{x}." for x in ("Bonn lies on the Danube", "Ulm lies on the Danube", "Paris lies on the Seine")
    ]
    assert [c.query for c in checks] == ["Bonn", "Ulm", "Paris"]
    assert checks[0].documents == ("Bonn: Bonn lies on the Rhine.",)
    assert "Ulm" not in model.requests[2].messages[1].content.partition("Known")[0]  # its own documents alone


def test_what_documents_said_leads_to_what_a_later_claim_is_about():
    [checks], _ = claims_of("Faust was written by Goethe.\nThe author of Faust was born in Frankfurt.")
    assert [c.query for c in checks] == ["Faust", "Goethe"]
    assert [c.verdict for c in checks] == [Verdict.TRUE, Verdict.TRUE]


def test_the_same_claim_is_judged_alike_in_every_candidate():
    """Requests of different candidates are equal, so that a model that runs them together answers once."""
    _, model = claims_of("Bonn lies on the Danube.", "Ulm lies on the Danube.\nBonn lies on the Danube.", k=3)
    about = [r for r in model.requests if r.messages[1].content.endswith("Claim: Bonn lies on the Danube.")]
    alone, known = [r for r in about if "Known" not in r.messages[1].content], about[2:]
    assert len(alone) == 2
    assert len(known) == 2  # the second candidate knows something by then
    again = claims_of("Bonn lies on the Danube.", k=3)[1].requests
    assert again[1:] == alone


@pytest.mark.parametrize(
    ("replies", "verdict", "detail"),
    [
        ("Claim: none", Verdict.NOT_FOUND, "none"),
        ("There are no facts in it.", Verdict.MALFORMED, "none"),
        (lambda r: reading(r) if "list the facts" in r.messages[0].content else "", Verdict.MALFORMED, "Bonn is big."),
        (
            lambda r: (
                reading(r)
                if "list the facts" in r.messages[0].content
                else "A sentence, then -> supported, -> contradicted or -> not found."  # the prompt, repeated
            ),
            Verdict.MALFORMED,
            "Bonn is big.",
        ),
    ],
)
def test_a_list_or_a_ruling_that_cannot_be_read_is_of_its_kind(replies, verdict, detail):
    [checks], _ = claims_of("Bonn is big.", replies=replies)
    assert [(c.verdict, c.detail) for c in checks] == [(verdict, detail)]


@pytest.mark.parametrize(
    ("listed", "asked", "ruled", "told"),
    [
        ("**Claim #1:** Bonn is big.", "**Search:** `Bonn`", "Nothing. -> not mentioned", Verdict.NOT_FOUND),
        ("CLAIM:\nBonn is big.", "SEARCH QUERY: „Bonn“", "It is. => **Supported**, by [1]", Verdict.TRUE),
        ("Claim:\n\nClaim: Bonn is big.", "«Bonn»", "It is not.\n--> Contradicted", Verdict.FALSE),
        ("- Claim (1): Bonn is big.", "Search: Bonn\nOk.", "<think>-> supported</think>→ not_found", Verdict.NOT_FOUND),
        ("> Claim: Bonn is big.", "Search: Bonn", "It is. -> not supported", Verdict.MALFORMED),
    ],
)  # fmt: skip
def test_claims_are_read_in_the_forms_that_models_write(listed, asked, ruled, told):
    replies = {"list the facts": listed, "look claims up": asked, "compare a claim": ruled}
    [[check]], _ = claims_of("x", replies=lambda r: next(v for k, v in replies.items() if k in r.messages[0].content))
    assert (check.detail, check.query, check.verdict) == ("Bonn is big.", "Bonn", told)


@pytest.mark.parametrize(("correct", "answer"), [(True, "Frankfurt"), (False, "Bonn")])
def test_evidence_writes_what_a_verifier_of_claims_would(correct, answer):
    problem = Problem("g", "Where was the author of Faust born?", "Frankfurt", supporting=("Faust", "Goethe"))
    said = [
        "Thought: I need the author of Faust.\n```python\nprint(search('Faust'))\n```",
        f"Thought: Faust was written by Goethe. Now I need Goethe.\n```python\nfinal_answer('{answer}')\n```",
    ]
    steps = tuple(Step(Message("assistant", text, Source.MODEL), StepStatus.OK) for text in said)
    trace = Trace("g#0", problem, "agent", "small", (), steps, End.ANSWERED, answer, Score(correct, answer, "short"))
    own = VerifierSettings(name="e", role="evidence", n_documents=2)
    kit = Kit(retriever=build_retriever("bm25", CITIES))
    checks = asyncio.run(load_verifier(own, kit).check(Policy(Scripted(""), 0, own.sampling), problem, trace))
    assert [c.detail for c in checks] == ["Faust was written by Goethe.", f"{problem.question} {answer}"]
    assert [c.verdict for c in checks] == [Verdict.TRUE, Verdict.TRUE if correct else Verdict.FALSE]
    assert [c.query for c in checks] == ["Faust Goethe", "Faust Goethe"]
    assert all(ruling(c.reply, by_text=True) is c.verdict for c in checks)
    known = replace(problem, supporting=("Faust", "Weimar"))  # a passage that is not found
    again = asyncio.run(load_verifier(own, kit).check(Policy(Scripted(""), 0, own.sampling), known, trace))
    assert again[-1].verdict is Verdict.NOT_FOUND


@pytest.mark.parametrize("none", ["Claim: none (a plan alone)", '**Claim: "None"**', "Claim: none – it plans."])
def test_a_list_says_in_many_ways_that_there_is_no_claim(none):
    [checks], model = claims_of("x", replies=none)
    assert [(c.verdict, c.detail) for c in checks] == [(Verdict.NOT_FOUND, "none")]
    assert len(model.requests) == 1


@pytest.mark.parametrize(
    ("asked", "documents", "code"),
    [
        ("Run: max((17, 'Bonn'), (9, 'Ulm'))[1]", ("max((17, 'Bonn'), (9, 'Ulm'))[1] = Bonn",), "max("),
        ("Run: 1 / 0", (), "1 / 0"),
        ("Run: fast", ("Bonn: Bonn lies on the Rhine.",), None),
    ],
)
def test_what_rests_on_what_is_known_is_computed(environment, asked, documents, code):
    said = {"list the facts": "Claim: Bonn is the larger.", "look claims up": asked, "compare": "a -> supported"}
    [[check]], model = claims_of(
        "x", replies=lambda r: next(v for k, v in said.items() if k in r.messages[0].content), box=environment
    )
    assert check.documents == documents if code else check.code is None
    assert (check.code or "").startswith(code or "")
    assert all(d in model.requests[2].messages[1].content for d in check.documents)
    [[there]], _ = claims_of("x", replies=lambda r: next(v for k, v in said.items() if k in r.messages[0].content))
    assert there.documents == () if code else True  # without a sandbox nothing is computed


def test_nothing_is_searched_for_where_the_query_is_none():
    said = {
        "list the facts": "Claim: None of it is old.",
        "look claims up": "Search: **None.**",
        "compare": "a -> supported",
    }
    [[check]], _ = claims_of("x", replies=lambda r: next(v for k, v in said.items() if k in r.messages[0].content))
    assert (check.detail, check.query, check.documents) == ("None of it is old.", "none", ())


@pytest.mark.parametrize("run", ["->", "-", " ", "\n", "* ", "Claim: x" + " " * 5000, "a" + " " * 5000 + "-> "])
def test_reading_what_loops_takes_no_longer_than_writing_it(run):
    text = "Claim: x" + run * (20_000 // len(run)) + "x"
    started = time.perf_counter()
    for reply in (text, text[8:]):
        listed_claims(reply), query_in(reply), ruling(reply), all_claims(reply)
    assert time.perf_counter() - started < 1.5


def test_claims_need_documents_and_prompts(tmp_path):
    own = VerifierSettings(name="c", role="claims", model=TABLE)
    with pytest.raises(UserError, match="needs a corpus"):
        load_verifier(own, Kit())
    code = "from types import SimpleNamespace\nfrom agentdistill.prompts import standard as s\n"
    names = "agent cot action observation THOUGHT AGENT_STOP check VERDICT"
    code += f"plain = SimpleNamespace(**{{n: getattr(s, n) for n in {names.split()}}})\n"
    (tmp_path / "mine.py").write_text(code)
    mine = f"{tmp_path / 'mine.py'}:plain"
    with pytest.raises(UserError, match="has no prompts for claims"):
        load_verifier(replace(own, prompt=mine), Kit(retriever=build_retriever("bm25", CITIES)))


def flooded(line: str):
    """A list of a hundred claims, and rulings in which ``line`` is said over and over."""

    def reply(request):
        if "list the facts" in request.messages[0].content:
            return "\n".join(f"Claim: {'Bonn ' * 400}{i}" for i in range(100))
        return "Search: Bonn\n" * 20 if "look claims up" in request.messages[0].content else f"{line}\n" * 20

    return reply


@pytest.mark.parametrize(
    ("replies", "verdicts"),
    [
        (lambda r: "", {Verdict.MALFORMED}),
        (flooded("Bonn"), {Verdict.MALFORMED}),
        (flooded("Document [9] says so. -> supported"), {Verdict.MALFORMED}),  # there is no ninth
        (flooded("Document [1] says so. -> supported"), {Verdict.TRUE}),
    ],
    ids=["silence", "loop", "invented", "cited"],
)
def test_a_verifier_that_fails_changes_verdicts_and_nothing_else(replies, verdicts):
    [checks, other], model = claims_of("Bonn lies on the Danube.", "Ulm lies on the Danube.", replies=replies)
    assert {c.verdict for c in (*checks, *other)} == verdicts
    assert len(checks) <= 12
    assert max(len(c.detail) for c in checks) <= 500
    assert max(len(r.messages[1].content) for r in model.requests) < 20_000


def test_a_published_program_judges_the_answers_to_its_question(environment):
    kit = Kit(environment, programs={PROBLEM.question: "product = 6 * 7\nfinal_answer(product)"})
    own = VerifierSettings(name="p", role="program", programs=("gsm8k:train",))
    verifier = load_verifier(own, kit)

    def verdict(answer, question=PROBLEM.question):
        problem = Problem("p", question, "42", "math")
        policy = Policy(Scripted(""), 0, own.sampling)
        [found] = asyncio.run(verifier.check(policy, problem, Solution("…", answer, False).trace(problem)))
        return found

    assert [verdict(a).verdict for a in ("42", "$42.00", "41", "about forty", None)] == [
        Verdict.TRUE, Verdict.TRUE, Verdict.FALSE, Verdict.FALSE, Verdict.FALSE,
    ]  # fmt: skip
    assert verdict("41").code == "product = 6 * 7\nprint(abs(product - 41) < 1e-6)"
    assert verdict("41", "Another one?").verdict is Verdict.NO_CODE
    assert [verdict(a).verdict for a in ("1/0", "9" * 5000, "٣")] == [Verdict.FALSE] * 3
    with pytest.raises(RecipeError, match='the role "program", and no other'):
        replace(own, programs=())


@pytest.mark.parametrize("result", ["a if b else c", "a or b", "  # the (best)\n    a\n", "a)  # the (best"])
def test_the_result_of_a_published_program_is_any_expression(environment, result):
    code = f"a, b, c = 42, 1, 0\nfinal_answer({result})"
    own = VerifierSettings(name="p", role="program", programs=("gsm8k:train",))
    verifier, policy = load_verifier(own, Kit(environment, programs={"q": code})), Policy(Scripted(""), 0, own.sampling)
    problem = Problem("p", "q", "42", "math")
    told = [
        asyncio.run(verifier.check(policy, problem, Solution("…", answer, False).trace(problem)))[0].verdict
        for answer in ("42", "41")
    ]
    assert told == [Verdict.TRUE, Verdict.FALSE]


def test_a_reward_is_the_mean_of_what_could_be_parsed(environment):
    replies = ["Verification: Yes", "Verification: No", "Verification: Yes", "I pass."]
    pools = judged("genrm", replies, k=4)
    b = ballots(pools[0], find_verifiers(pools), SelectionPolicy())
    assert b.rewards == (pytest.approx(2 / 3),)
    assert find_verifiers(pools).reward == "j"


def test_a_blank_before_yes_may_be_a_token_of_its_own():
    """As in TinyWorld's tokenizer, where ' Yes' is ' ', 'Y', 'es' and ' No' is ' N', 'o'."""

    def reply(request):
        if not request.prefix:
            return "Thinking.\nVerification: is it correct (Yes/No)? Yes"
        blank = not request.prefix.endswith(" ")
        return Sample(" " if blank else "Y", StopReason.LENGTH, 5, 1, logprob=math.log(0.8 if blank else 0.5))

    [found] = check("genrm", reply, Kit(), k=1, score="probability")
    assert (found.score, found.verdict) == (pytest.approx(0.4), Verdict.FALSE)


def test_a_reward_may_be_the_probability_of_yes():
    asked = []

    def reply(request):
        asked.append(request)
        if request.sampling.max_new_tokens > 1:
            return "So it is.\nVerification: is it correct (Yes/No)? No"
        return Sample(" Yes", StopReason.LENGTH, 5, 1, logprob=math.log(0.7))

    [found] = check("genrm", reply, Kit(), k=1, score="probability")
    assert found.score == pytest.approx(0.7)
    assert found.verdict is Verdict.TRUE
    assert asked[1].prefix == "So it is.\nVerification: is it correct (Yes/No)?"
    assert asked[1].sampling == Sampling(max_new_tokens=1)
    check("genrm", lambda r: reply(r) if r.prefix else "Right.\n**Verification**: Yes", Kit(), k=1, score="probability")
    assert asked[-1].prefix == "Right.\nVerification: is it correct (Yes/No)?"
    assert yes("no", 0.75) == 0.25
    with pytest.raises(ModelError, match="gives no log-probabilities"):
        check("genrm", "Verification: Yes", Kit(), k=1, score="probability")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"role": "oracle"}, 'verifiers.role: unknown verifier "oracle"'),
        ({"role": "code", "k": 0}, "verifiers.k has to be at least 1"),
        ({"role": "code", "temperature": 0.0}, "4 times the same at temperature 0"),
        ({"role": "code", "model": {}}, "needs a model"),
        ({"role": "code", "top_p": 0.0}, "top_p above 0"),
    ],
)
def test_settings_that_make_no_sense_are_told(settings, words):
    with pytest.raises(RecipeError) as caught:
        VerifierSettings(**{"name": "j", "model": TABLE, **settings})
    assert words in str(caught.value)


# --- judging a file ---------------------------------------------------------------------------------------------------

POOLS = [
    pool_of(PROBLEM, (SOLUTION, Solution("It is 41.", "41", False), Solution("42", "42", True))),
    pool_of(replace(PROBLEM, id="q"), (Solution("36?", "36", False), SOLUTION)),
]


def judged(role, replies, tmp_path=None, pools=POOLS[:1], environment=None, seed=0, **settings):
    from pathlib import Path
    from tempfile import mkdtemp

    one = [first(pools[0], 1)] if tmp_path is None else pools
    own = VerifierSettings(name="j", role=role, model=TABLE, **settings)
    folder = tmp_path or Path(mkdtemp())
    return judge_pools(one, own, lambda: nullcontext(Kit(environment)), folder, lambda: Scripted(replies), seed=seed)


def verdicts(pools: list[Pool]) -> list[tuple[Verdict, ...]]:
    return [j.verdicts for p in pools for j in judged_by(p, "j")]


def test_judgements_are_kept_and_not_asked_for_again(tmp_path):
    before = judged("cot", "Verification: Yes", tmp_path, POOLS, k=2)
    assert verdicts(before) == [(Verdict.TRUE,) * 2] * 5
    assert all(j.n_new_tokens == 4 for p in before for j in judged_by(p, "j"))
    again = judged("cot", [], tmp_path, POOLS, k=2)  # a script without replies: nobody is asked
    assert again == before
    settings, lines = read_journal(tmp_path, "j")
    assert (settings.name, settings.k, len(lines)) == ("j", 2, 5)
    assert [c.reply for c in lines[0].checks] == ["Verification: Yes"] * 2
    other = judged("cot", "Verification: No", tmp_path, POOLS, k=3)
    assert verdicts(other) == [(Verdict.FALSE,) * 3] * 5
    aside = read_object(tmp_path / "verifiers.json")["j.old-1"]  # nothing is lost
    assert VerifierSettings.of_kept(aside["settings"]) == settings
    assert list(read_judged(tmp_path / "judge-j.jsonl.old-1").values()) == lines
    judged("cot", "Verification: No", tmp_path, POOLS, k=3, seed=1)
    assert (tmp_path / "judge-j.jsonl.old-2").exists()


def test_judgements_in_another_world_are_made_anew(tmp_path):
    def judge(replies, **world):
        return judge_pools(POOLS, settings, nothing, tmp_path, lambda: Scripted(replies), world=world)

    settings = VerifierSettings(name="j", role="cot", model=TABLE, k=1)
    before = judge("Verification: Yes", style="standard")
    assert judge([], style="standard") == before
    assert judge("Verification: No", style="tiny") != before
    assert (tmp_path / "judge-j.jsonl.old-1").exists()
    notes = read_object(tmp_path / "verifiers.json")
    del notes["j"]["world"]
    (tmp_path / "verifiers.json").write_text(json.dumps(notes))
    assert judge([], style="tiny") != before  # from before the world was told: not asked again


def test_a_judge_takes_the_place_of_its_own_earlier_word(tmp_path):
    once = judged("cot", "Verification: Yes", tmp_path, POOLS, k=1)
    twice = judge_pools(once, VerifierSettings(name="gold", role="gold"), nothing, tmp_path, lambda: Scripted(""))
    assert [j.judge for j in twice[0].judgements[0]] == ["j", "gold"]
    assert [j.verdicts[0] for j in judged_by(twice[0], "gold")] == ["true", "false", "true"]
    for folder in (tmp_path, tmp_path / "elsewhere"):
        write_pools(folder / "traces.jsonl", twice)
        assert read_pools(folder / "traces.jsonl") == twice


def test_a_run_that_was_cut_short_goes_on(tmp_path):
    journal = tmp_path / "judge-j.jsonl"
    whole = judged("cot", "Verification: Yes", tmp_path, POOLS, k=1)
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:2]) + lines[2][:20])  # killed in the middle of a line
    asked = []

    def reply(request):
        asked.append(request)
        return "Verification: Yes"

    assert judged("cot", reply, tmp_path, POOLS, k=1) == whole
    assert len(asked) == 3


def test_a_fault_of_the_world_is_no_verdict(tmp_path):
    """One that passes is tried again; one that stays is raised, and what was judged is kept."""
    calls = []

    def shaky(request):
        calls.append(request)
        return InfrastructureError("down") if len(calls) == 2 else "Verification: No"

    found = judged("cot", shaky, tmp_path, POOLS, k=1)
    assert verdicts(found) == [(Verdict.FALSE,)] * 5
    assert len(calls) == 6
    (tmp_path / "other").mkdir()
    broken = judged_or_fault(tmp_path / "other")
    assert "down" in broken
    assert len(read_journal(tmp_path / "other", "j")[1]) == 4


def test_a_refused_candidate_is_left_unjudged_and_asked_for_by_the_next_call(tmp_path):
    asked = []

    def reply(request):
        asked.append(request)
        return RefusedError("content filter") if "36?" in request.messages[1].content else "Verification: No"

    found = judged("cot", reply, tmp_path, POOLS, k=1)
    assert sorted(len(said) for p in found for said in p.judgements) == [0, 1, 1, 1, 1]
    assert len(asked) == 5  # a server that refuses a conversation refuses it again
    assert len(read_journal(tmp_path, "j")[1]) == 4
    again = judged("cot", "Verification: Yes", tmp_path, POOLS, k=1)
    assert verdicts(again).count((Verdict.TRUE,)) == 1


def test_where_every_candidate_is_refused_the_refusal_is_told(tmp_path):
    with pytest.raises(ModelError, match="bad temperature; every question so far was refused, 0 of 5 judgements"):
        judged("cot", lambda request: RefusedError("bad temperature"), tmp_path, POOLS, k=1)


def judged_or_fault(folder) -> str:
    def reply(request):
        return InfrastructureError("down") if "36?" in request.messages[1].content else "Verification: No"

    with pytest.raises(InfrastructureError) as caught:
        judged("cot", reply, folder, POOLS, k=1)
    return str(caught.value)


# --- item 4: a verifier that is of no use -----------------------------------------------------------------------------

USELESS = {
    "never answers": ("", Verdict.NO_CODE),
    "only talks": ("It looks right to me. " * 200, Verdict.NO_CODE),
    "always errors": (block("raise RuntimeError('no')"), Verdict.ERROR),
    "loops": (block("while True: pass"), Verdict.TIMEOUT),
    "floods": (block("while True: print('x' * 10**6)"), Verdict.ERROR),
    "writes nonsense": (block("print(((("), Verdict.MALFORMED),
    "prints nonsense": (block("print('maybe')"), Verdict.MALFORMED),
}


@pytest.mark.parametrize(("reply", "kind"), USELESS.values(), ids=USELESS)
def test_a_useless_verifier_changes_kinds_of_verdicts_and_nothing_else(reply, kind, tmp_path):
    """Beside a useful judge: same candidates, same marks, same rewards, same scores of all methods that do not ask it.

    What asks it falls back to the reward alone, and says so.
    """
    scored = [replace(p, judgements=tuple(good(t) for t in p.traces)) for p in POOLS]
    before = rescore(scored, ScoreSettings(n_resamples=100))
    settings = VerifierSettings(name="useless", role="code", model=TABLE, k=2)
    with Environment(limits=Limits(wall_s=0.5, memory_mb=256, output_chars=2000)) as environment:
        after = judge_pools(scored, settings, lambda: nullcontext(Kit(environment)), tmp_path, lambda: Scripted(reply))
    assert [replace(p, judgements=tuple(said[:1] for said in p.judgements)) for p in after] == scored
    assert {j.verdicts for p in after for j in judged_by(p, "useless")} == {(kind, kind)}
    told = rescore(after, ScoreSettings(listen=Listen(verifier="useless"), n_resamples=100))
    assert told["verifiers"]["useless"]["kinds"] == {
        **{v.value: 10 * (v is kind) for v in Verdict},
        "candidates_without": 0,
    }
    for name in before["methods"]:
        if METHODS[name].filter is None:
            assert told["methods"][name] == before["methods"][name]
    with_reward = told["methods"]["verifier-weighted"]["budgets"]
    assert {n: c["accuracy"] for n, c in with_reward.items()} == {
        n: c["accuracy"] for n, c in before["methods"]["weighted"]["budgets"].items()
    }
    assert {c["fell_back"] for c in with_reward.values()} == {1.0}
    listen = find_verifiers(after, Listen(verifier="useless"))
    choice = select("verifier-weighted", ballots(after[0], listen, SelectionPolicy()), SelectionPolicy())
    assert choice.reason.startswith("nobody passed, so by weighted")
    json.dumps(told)


def good(trace: Trace) -> tuple[Judgement, ...]:
    return (Judgement("reward", "genrm", scores=(0.9 if trace.correct else 0.2,)),)
