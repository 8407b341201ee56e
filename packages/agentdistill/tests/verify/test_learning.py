"""Distilling verifiers: which checks are learned, adapters switched on one base, a reward model's head; tiny models."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from made_pools import Solution, pool_of
from tiny_models import save_checkpoint

from agentdistill.errors import DataError, ModelError
from agentdistill.prompts import standard
from agentdistill.retrieval import Passage
from agentdistill.store import digest
from agentdistill.training import TrainSettings, train
from agentdistill.types import Message, Problem, Request, Sampling, Source
from agentdistill.verify import Check, Judgement, Verdict
from agentdistill.verify.pools import Judged
from agentdistill.verify.roles import (
    RoleSettings,
    Scored,
    lessons,
    load_local,
    load_scorer,
    marked,
    steps_of,
    train_prm,
)
from agentdistill.verify.verifiers import VerifierSettings
from tinyworld import prompts as tiny

CODE = VerifierSettings(name="teacher", role="code", model={"model": "scripted", "replies": ""})
RIGHT, WRONG = "6 * 7 = 42\n42 - 1 = 41", "6 * 7 = 40\n40 - 1 = 39"
POOLS = [
    pool_of(
        Problem(f"p{i}", f"What is 6 times 7 less {i}?", "41", "math"),
        (Solution(RIGHT, "41", True), Solution(WRONG, "39", False), Solution(RIGHT, "41", True)),
        "small",
    )
    for i in range(3)
]


def journal(*checks_by_candidate) -> list[Judged]:
    return [
        Judged(p.id, i, digest(t.solution), Judgement("teacher", "code"), checks)
        for p in POOLS
        for i, (t, checks) in enumerate(zip(p.traces, checks_by_candidate, strict=True))
    ]


def said(*verdicts: Verdict) -> tuple[Check, ...]:
    return tuple(Check(f"I say {v}.", v) for v in verdicts)


def test_only_checks_that_tell_the_truth_are_learned():
    lines = journal(
        said(Verdict.TRUE, Verdict.FALSE, Verdict.TIMEOUT),
        said(Verdict.FALSE, Verdict.TRUE, Verdict.ERROR),
        said(Verdict.NO_CODE, Verdict.MALFORMED, Verdict.TRUE),
    )
    found = lessons(POOLS, RoleSettings(name="toolv", role="code", teacher="teacher"), "standard", (CODE, lines))
    assert found.counts["verdict is not the truth"] == 6
    assert {found.counts[f"ended in {k}"] for k in ("timeout", "error", "no code", "malformed")} == {3}
    assert found.counts["more than of the other sort"] == 3
    assert found.counts["kept"] == len(found.traces) == 6
    trace = next(t for t in found.traces if RIGHT in t.prompt[1].content)
    assert trace.prompt == standard.check("code", trace.problem.question, RIGHT)
    assert trace.steps[0].reply == Message("assistant", "I say true.", Source.MODEL)
    wanted = {WRONG: "I say false.", RIGHT: "I say true."}
    for t in found.traces:
        solution = next(s for s in wanted if s in t.prompt[1].content)
        assert t.steps[0].reply.content == wanted[solution]


def test_every_turn_of_a_claim_check_is_learned_where_documents_agree_with_the_truth():
    teacher = VerifierSettings(name="teacher", role="claims", model={"model": "scripted", "replies": ""})
    first = Check(
        "It is 42. -> supported", Verdict.TRUE, detail="6 * 7 = 42", documents=("d",), query="six times seven"
    )
    second = Check("It is 41. -> supported", Verdict.TRUE, detail="42 - 1 = 41", documents=("e",), query="less one")
    lines = [
        replace(line, judgement=Judgement("teacher", "claims", tuple(c.verdict for c in line.checks)))
        for line in journal((first, second), (first,), ())
    ]
    role = RoleSettings(name="claims", role="claims", teacher="teacher", balance=False, per_problem=9)
    found = lessons(POOLS, role, "standard", (teacher, [line for line in lines if line.checks]))
    assert found.counts["verdict is not the truth"] == 3  # the wrong solution, all of whose claims are supported
    prompts = [(t.prompt, t.steps[0].reply.content) for t in found.traces[:5]]
    question = POOLS[0].problem.question
    assert prompts == [
        (standard.claims(question, RIGHT), "Claim: 6 * 7 = 42\nClaim: 42 - 1 = 41"),
        (standard.query("6 * 7 = 42", ()), "Search: six times seven"),
        (standard.claim("6 * 7 = 42", (), [Passage("", "d")]), "It is 42. -> supported"),
        (standard.query("42 - 1 = 41", ["It is 42."]), "Search: less one"),
        (standard.claim("42 - 1 = 41", ["It is 42."], [Passage("", "e")]), "It is 41. -> supported"),
    ]
    assert len(found.traces) == 15
    with pytest.raises(DataError, match="has the role code: claims cannot be trained on its checks"):
        lessons(POOLS, role, "standard", (CODE, []))


def test_what_cannot_be_learned_is_told():
    role = RoleSettings(name="toolv", role="code", teacher="teacher")
    with pytest.raises(DataError, match=r"nothing to learn from: 9 not judged"):
        lessons(POOLS, role, "standard", (CODE, []))
    gold = VerifierSettings(name="gold", role="gold")
    with pytest.raises(DataError, match="has the role gold: code cannot be trained on its checks"):
        lessons(POOLS, role, "standard", (gold, []))
    with pytest.raises(DataError, match="needs the checks of a teacher"):
        lessons(POOLS, role, "standard")


def test_a_generator_learns_right_solutions_once():
    found = lessons(POOLS, RoleSettings(name="generator", role="generator"), "tiny")
    assert [t.steps[0].reply.content for t in found.traces] == [RIGHT] * 3
    assert found.counts == {"wrong": 3, "twice": 3, "more than enough of a problem": 0, "kept": 3}


def test_a_problem_teaches_so_much_and_no_more():
    lines = journal(said(*[Verdict.TRUE] * 6), said(*[Verdict.FALSE] * 6), said(Verdict.TRUE))
    role = RoleSettings(name="toolv", role="code", teacher="teacher", per_problem=4)
    found = lessons(POOLS, role, "standard", (CODE, lines))
    assert len(found.traces) == 12
    assert sum(WRONG in t.prompt[1].content for t in found.traces) == 6


# --- weights ----------------------------------------------------------------------------------------------------------

QUICK = TrainSettings(
    learning_rate=3e-2, epochs=6, batch_size=2, max_length=400, device="cpu", threads=1, lora_rank=4, lora_alpha=8,
    lora_dropout=0.0, warmup=0.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return save_checkpoint(tmp_path_factory.mktemp("base") / "tiny", "smollm2")


@pytest.fixture(scope="module")
def adapters(base, tmp_path_factory) -> dict[str, str]:
    """Two roles on one base, each trained to say one thing."""
    folder = tmp_path_factory.mktemp("roles")
    gold = VerifierSettings(name="gold", role="gold")
    out = {}
    for name, reply in (("yes", "Yes yes yes"), ("no", "No no no")):
        checks = (Check(reply, Verdict.TRUE),), (Check(reply, Verdict.FALSE),), ()
        lines = journal(*checks)
        role = RoleSettings(name=name, role="genrm", teacher="gold", balance=False)
        out[name] = str(folder / name)
        train(lessons(POOLS, role, "tiny", (gold, lines)).traces, str(base), out[name], QUICK)
    return out


@pytest.mark.parametrize("kept", [4 << 30, 0], ids=["added to the weights", "beside them"])
def test_roles_share_one_base_and_are_switched_in_place(base, adapters, kept, monkeypatch):
    from agentdistill.models import load_model
    from agentdistill.verify import roles as module
    from agentdistill.verify.roles import load_roles

    monkeypatch.setattr(module, "_KEPT_BYTES", kept)

    roles = load_roles(str(base), {"yes": adapters["yes"], "no": adapters["no"], "generator": None}, device="cpu")
    request = Request(tiny.check("genrm", "What is 6 times 7 less 1?", RIGHT), Sampling(max_new_tokens=6))

    def says(model) -> str:
        return asyncio.run(model.generate([request]))[0][0].text

    alone = {
        name: says(load_model("local", path=path, device="cpu"))
        for name, path in {**adapters, "generator": str(base)}.items()
    }
    assert len(set(alone.values())) == 3  # else nothing could be mixed up
    assert says(roles["generator"]) == alone["generator"]
    for _ in range(2):
        assert {name: says(roles[name]) for name in alone} == alone
    weights = {id(next(m._decoder.model.parameters())) for m in roles.values()}
    assert len(weights) == 1

    async def at_once() -> dict[str, str]:
        found = await asyncio.gather(*(roles[name].generate([request]) for name in alone))
        return {name: samples[0][0].text for name, samples in zip(alone, found, strict=True)}

    assert asyncio.run(at_once()) == alone


def test_judges_that_are_adapters_of_one_base_are_loaded_once(adapters, prm):
    from agentdistill.verify.roles import on_one_base

    def judge(name: str, path: object, role: str = "genrm") -> VerifierSettings:
        return VerifierSettings(name=name, role=role, model={"model": "local", "path": str(path), "device": "cpu"})

    makers = on_one_base([judge("a", adapters["yes"]), judge("b", adapters["no"]), judge("c", prm, "prm")])
    assert makers.keys() == {"a", "b"}
    a, b = makers["a"](), makers["b"]()
    assert a._decoder.model is b._decoder.model
    asyncio.run(a.aclose())
    request = Request(tiny.check("genrm", "What is 6 times 7 less 1?", RIGHT), Sampling(max_new_tokens=2))
    assert asyncio.run(b.generate([request]))[0][0].n_new_tokens > 0
    assert on_one_base([judge("a", adapters["yes"])]) == {}


def test_weights_are_told_apart_by_what_is_in_them(adapters, base):
    from agentdistill.verify.roles import model_identity

    def table(path: object, **more: object) -> dict:
        return {"model": "local", "path": str(path), **more}

    found = [model_identity(table(p)) for p in (adapters["yes"], adapters["no"], base)]
    assert len(set(found)) == 3
    assert model_identity(table(adapters["yes"], device="cpu")) == found[0]
    assert model_identity(table(adapters["yes"], dtype="bfloat16")) != found[0]
    assert model_identity(table("owner/a")) != model_identity(table("owner/b"))


def test_an_adapter_that_is_not_there_is_told(base, tmp_path):
    from agentdistill.verify.roles import load_roles

    with pytest.raises(ModelError, match="not an adapter folder"):
        load_roles(str(base), {"a": str(tmp_path)}, device="cpu")
    with pytest.raises(ModelError, match="no role has an adapter"):
        load_roles(str(base), {"a": None}, device="cpu")


@pytest.fixture(scope="module")
def prm(base, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("prm") / "prm"
    settings = TrainSettings(
        method="full", learning_rate=1e-2, epochs=20, batch_size=4, max_length=400, device="cpu", threads=1
    )
    examples = marked(POOLS, which="all")
    record = train_prm(examples, str(base), out, settings)
    assert record["final_loss"] < 0.2 < record["losses"][0]
    assert train_prm(examples, str(base), out, settings) == record  # at once
    return out


def test_a_reward_model_goes_on_where_its_training_was_stopped(base, tmp_path):
    settings = TrainSettings(
        method="full", learning_rate=1e-3, epochs=3, batch_size=4, max_length=400, device="cpu", threads=1,
        save_every_s=0.0,
    )  # fmt: skip

    class Killed(Exception):
        pass

    def stop(n: int, of: int, loss: float) -> None:
        seen.append(n)
        if n == 4:
            raise Killed

    seen: list[int] = []
    whole = train_prm(marked(POOLS), str(base), tmp_path / "whole", settings, lambda n, of, loss: None)
    with pytest.raises(Killed):
        train_prm(marked(POOLS), str(base), tmp_path / "cut", settings, stop)
    assert (tmp_path / "cut" / "resume.pt").exists()
    resumed = train_prm(marked(POOLS), str(base), tmp_path / "cut", settings, lambda n, of, loss: seen.append(n))
    assert seen == [1, 2, 3, 4, *range(4, whole["n_steps"] + 1)]  # the fourth update had not been kept
    assert resumed["losses"] == whole["losses"]
    assert not (tmp_path / "cut" / "resume.pt").exists()
    same = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "cut")]
    assert same[0] == same[1]


def test_a_reward_model_may_be_made_of_weights_in_half_precision(base, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    half = AutoModelForCausalLM.from_pretrained(base, dtype="float16")
    half.save_pretrained(tmp_path / "half")
    AutoTokenizer.from_pretrained(base).save_pretrained(tmp_path / "half")
    settings = TrainSettings(method="full", learning_rate=1e-2, epochs=20, batch_size=4, max_length=400, device="cpu")
    record = train_prm(marked(POOLS, which="all"), str(tmp_path / "half"), tmp_path / "prm", settings)
    assert record["final_loss"] < 0.2 < record["losses"][0]


def test_a_training_that_diverges_is_told(base, tmp_path):
    settings = TrainSettings(
        method="full", learning_rate=1e12, epochs=20, batch_size=4, max_length=400, device="cpu", schedule="constant"
    )
    with pytest.raises(ModelError, match=r"loss is (nan|inf) at update .* lower learning_rate"):
        train_prm(marked(POOLS), str(base), tmp_path / "prm", settings)


def test_a_reward_model_learns_to_tell_right_from_wrong(prm):
    scorer = load_scorer({"model": "local", "path": str(prm), "device": "cpu"})
    right, wrong = (scorer.score("What is 6 times 7 less 1?", steps_of(s)).scores for s in (RIGHT, WRONG))
    assert len(right) == len(wrong) == 2
    assert right[-1] > 0.7 > 0.3 > wrong[-1]
    assert all(0 <= s <= 1 for s in (*right, *wrong))
    one_by_one = scorer.score("What is 6 times 7 less 1?", steps_of(RIGHT)[:1])
    assert one_by_one.n_tokens > 10
    assert one_by_one.scores[0] == pytest.approx(right[0], abs=1e-5)  # a step's score does not see what follows


def test_steps_beyond_the_context_keep_the_last_score(prm):
    scorer = load_local(str(prm), device="cpu", max_length=40)
    scores = scorer.score("q", ["1 + 1 = 2"] * 30).scores
    assert len(scores) == 30
    assert scores[-1] == scores[-5]
    assert load_local(str(prm), device="cpu", max_length=3).score("a long question", ["x"]).scores == (0.0,)


def test_what_is_no_reward_model_is_told(base, tmp_path):
    with pytest.raises(ModelError, match="classifier head is missing"):
        load_local(str(base))
    with pytest.raises(ModelError, match='is "local" or "endpoint"'):
        load_scorer({"model": "scripted"})
    with pytest.raises(ModelError, match="cannot be made of"):
        load_scorer({"model": "local"})
    with pytest.raises(DataError, match="nothing to train a reward model on: 9 solutions, 9 of them too long"):
        train_prm(marked(POOLS), str(base), tmp_path / "x", TrainSettings(method="full", max_length=2))


def test_the_last_step_alone_may_be_labelled():
    [first, *_] = marked(POOLS)
    assert (first.steps, first.labels) == (("6 * 7 = 42", "42 - 1 = 41"), (None, True))
    assert marked(POOLS, which="all")[1].labels == (False, False)
    assert steps_of("a\n\nb\nc\n\n") == ("a", "b\nc")
    assert steps_of("") == ()


def test_a_served_reward_model(monkeypatch):
    """vLLM's pooling reply, over a real socket."""
    import threading
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    asked: list[dict] = []
    replies: list[tuple[int, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append({"path": self.path, **json.loads(self.rfile.read(int(self.headers["Content-Length"])))})
            status, body = replies.pop(0)
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        scorer = load_scorer({"model": "endpoint", "url": url, "name": "prm"})
        two = {"data": [{"data": [[0.1, 0.9], [0.8, 0.2]]}], "usage": {"prompt_tokens": 12}}
        replies += [(200, two), (200, {"data": [{"data": [0.9]}]})]
        assert scorer.score("q", ["a", "b"]) == Scored((0.9, 0.2), 12)
        assert asked[0]["path"] == "/pooling"
        assert asked[0]["messages"][1]["content"] == "a<extra_0>b<extra_0>"
        with pytest.raises(ModelError, match="1 scores for 2 steps"):
            scorer.score("q", ["a", "b"])
        replies += [(200, {"x": 1}), (400, {"error": "no"}), (503, {})]
        for words in ("holds no scores", "refused the request", "answered 503"):
            with pytest.raises(Exception, match=words):
                scorer.score("q", ["a"])
    finally:
        server.shutdown()
        server.server_close()
