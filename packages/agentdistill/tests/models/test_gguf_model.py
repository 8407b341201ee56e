"""llama.cpp against transformers on the same student: the same words, whatever is shared, stopped or left over."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from agentdistill.errors import ModelError
from agentdistill.exchange import write_gguf
from agentdistill.models import load_model
from agentdistill.models.weights import locate
from agentdistill.prompts import load_prompt
from agentdistill.types import Message, Request, Sampling, Source, StopReason

TEMPLATE = load_prompt("tiny")
QUESTIONS = (
    "What is 17 * 23 + 4?",
    "Who founded the town where Ilva Marten was born?",
    "A box holds 12 pens. How many pens are in 7 boxes, less 5?",
    "Is 1,001 divisible by 7, 11 and 13?",
    "final_answer(3)\n    if x == 'y':\n\n  'Zürich' 東京",
    "",
)
try:
    import llama_cpp  # noqa: F401
except ModuleNotFoundError:
    HAS_LLAMA = False
else:
    HAS_LLAMA = True
needs_llama = pytest.mark.skipif(
    not HAS_LLAMA, reason="the extra agentdistill[llama-cpp] is not installed: it has to be compiled"
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """TinyWorld's smallest student as GGUF, by quantization."""
    folder = tmp_path_factory.mktemp("gguf")
    student = Path(locate("tinyworld:0.3M"))
    return {
        q: write_gguf(student, folder / q, name="student", template=TEMPLATE, quantization=q).path
        for q in ("f32", "f16", "q8_0")
    }


@pytest.fixture(scope="module")
def ours():
    return load_model("local", path=locate("tinyworld:0.3M"), device="cpu", kv_reuse_gb=0)


@pytest.fixture
def theirs(files):
    return load_model("local", path=str(files["f32"]), batch_size=4, threads=1)  # two would wait for one another


def requests(sampling: Sampling = Sampling(max_new_tokens=48), **more) -> list[Request]:  # noqa: B008  frozen
    return [Request(TEMPLATE.agent(q, ()), sampling, **more) for q in QUESTIONS]


def write(model, asked):
    return asyncio.run(model.generate(asked))


@needs_llama
def test_greedy_outputs_are_those_of_transformers(ours, theirs):
    wanted = write(ours, requests())
    found = write(theirs, requests())
    for a, b in zip(wanted, found, strict=True):
        assert (b[0].token_ids, b[0].text, b[0].stop) == (a[0].token_ids, a[0].text, a[0].stop)
        assert b[0].n_prompt_tokens == a[0].n_prompt_tokens
        assert b[0].logprob == pytest.approx(a[0].logprob, abs=1e-2)
    assert write(theirs, requests()) == found, "once more, from what it keeps"


@needs_llama
def test_the_next_step_of_an_episode_starts_from_the_last_one(ours, theirs):
    def episode(model):
        said = [TEMPLATE.agent(q, ()) for q in QUESTIONS]
        out = []
        for _ in range(3):
            samples = write(model, [Request(m, Sampling(max_new_tokens=24)) for m in said])
            out.append([s.token_ids for [s] in samples])
            said = [
                (
                    *m,
                    Message("assistant", s.text, Source.MODEL, token_ids=s.token_ids),
                    Message("user", "Observation: 12", Source.ENVIRONMENT),
                )
                for m, [s] in zip(said, samples, strict=True)
            ]
        return out

    assert episode(theirs) == episode(ours)


@needs_llama
def test_samples_hang_on_their_seed_alone(ours, theirs):
    sampling = Sampling(temperature=0.8, top_p=0.9, max_new_tokens=24)
    asked = [replace(r, n=5, seed=i) for i, r in enumerate(requests(sampling))]
    found = write(theirs, asked)
    alone = [write(theirs, [r])[0] for r in asked]
    for others in (alone, write(ours, asked)):
        pairs = [(a, b) for f, o in zip(found, others, strict=True) for a, b in zip(f, o, strict=True)]
        same = [a.token_ids == b.token_ids for a, b in pairs]
        assert sum(same) >= 0.9 * len(same), "the same numbers are drawn; only a near tie may fall the other way"
    assert len({s.text for s in found[0]}) > 1


@needs_llama
def test_stops_prefixes_and_limits_are_kept(ours, theirs):
    for change in (
        {"sampling": Sampling(max_new_tokens=48, stop=("Code",))},
        {"sampling": Sampling(max_new_tokens=3)},
        {"prefix": "Thought: I"},
    ):
        asked = [replace(r, **change) for r in requests()]
        wanted, found = write(ours, asked), write(theirs, asked)
        assert [(s.text, s.stop) for [s] in found] == [(s.text, s.stop) for [s] in wanted]
    assert {s.stop for [s] in write(theirs, requests(Sampling(max_new_tokens=3)))} == {StopReason.LENGTH}
    long = Request((Message("user", "word " * 2000),), Sampling(max_new_tokens=4))
    [[none], [some]] = write(theirs, [long, requests()[0]])
    assert (none.text, none.stop, none.n_new_tokens) == ("", StopReason.LENGTH, 0)
    assert some.n_new_tokens == write(ours, [requests()[0]])[0][0].n_new_tokens


@needs_llama
def test_little_memory_makes_small_batches(ours, files):
    small = load_model("gguf", path=str(files["f32"]), batch_size=4, kv_gb=1e-6)
    assert write(small, requests()) == write(ours, requests()) or [s.token_ids for [s] in write(small, requests())] == [
        s.token_ids for [s] in write(ours, requests())
    ]
    asyncio.run(small.aclose())
    asyncio.run(small.aclose())
    with pytest.raises(ModelError, match="closed"):
        write(small, requests())


@needs_llama
@pytest.mark.parametrize("quantization", ["f16", "q8_0"])
def test_fewer_bits_say_nearly_the_same(ours, files, quantization):
    model = load_model("gguf", path=str(files[quantization]), threads=1)
    first = [s.token_ids[:4] for [s] in write(model, requests())]
    wanted = [s.token_ids[:4] for [s] in write(ours, requests())]
    assert sum(a == b for a, b in zip(first, wanted, strict=True)) >= 4


@needs_llama
def test_a_cancelled_call_leaves_the_model_fit(theirs, ours):
    async def cancelled():
        task = asyncio.create_task(theirs.generate(requests(Sampling(max_new_tokens=400))))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert [s.token_ids for [s] in write(theirs, requests())] == [s.token_ids for [s] in write(ours, requests())]


@needs_llama
def test_the_way_to_cut_text_is_emulated_as_llama_cpp_does_it(files):
    """What an export says of llama.cpp's own spelling holds for the real one."""
    from transformers import AutoTokenizer

    from agentdistill.exchange._gguf import SAMPLES, behind, nearest_cut
    from agentdistill.models._llama import Llama

    tokenizer = AutoTokenizer.from_pretrained(files["f32"].parent)
    llama = Llama(str(files["f32"]))
    way = behind(tokenizer, nearest_cut(tokenizer, SAMPLES).name)
    for text in SAMPLES:
        assert llama.tokenize(text) == way.encode(text, add_special_tokens=False).ids


def test_what_cannot_be_loaded_is_told_in_one_line(files, tmp_path):
    broken = files["f16"].parent / "broken.gguf"
    broken.write_bytes(b"GGUF" + b"\0" * 64)
    cases = [
        ({"path": str(tmp_path / "none.gguf")}, "no such file"),
        ({"path": str(files["f16"]), "tokenizer": str(tmp_path / "none")}, "no such folder"),
        ({"path": str(files["f16"]), "kv": "q1"}, "not one of auto, f32, f16"),
        ({"path": str(files["f16"]), "batch_size": 0}, "at least 1"),
        ({"path": str(broken)}, "cannot read it" if HAS_LLAMA else "agentdistill\\[llama-cpp\\]"),
    ]
    for settings, said in cases:
        with pytest.raises(ModelError, match=said) as caught:
            load_model("gguf", **settings)
        assert "\n" not in str(caught.value)


def test_a_file_with_nothing_beside_it_says_the_same_whoever_runs_it(ours, files, tmp_path):
    """Its tokenizer is in the file too, but for how TinyWorld cuts code; without llama.cpp its weights are dequantised,
    here without loss."""
    lone = tmp_path / "lone.gguf"
    lone.write_bytes(files["f32"].read_bytes())
    model = load_model("local", path=str(lone), batch_size=4, threads=1)
    plain = requests()[:4]
    assert [s.text for [s] in write(model, plain)] == [s.text for [s] in write(ours, plain)]
