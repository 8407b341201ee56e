"""Batched, cached decoding against the plainest loop there is, and everything a request may ask for."""

from __future__ import annotations

import asyncio
import json
import timeit
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import build_tokenizer, save_checkpoint, tiny_llama
from transformers import AutoModelForCausalLM

from agentdistill.errors import ModelError
from agentdistill.models import Model, is_out_of_context, load_model
from agentdistill.models.chat import ChatFormat
from agentdistill.models.local import LocalModel
from agentdistill.models.weights import dtype_for
from agentdistill.types import Message, Request, Sample, Sampling, Source, StopReason

torch.set_num_threads(1)
GREEDY = Sampling(max_new_tokens=12)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_checkpoint(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def network() -> Any:
    return tiny_llama(len(build_tokenizer("smollm2")))


def local(network: Any, **settings: Any) -> LocalModel:
    settings = {"batch_size": 8, "context_length": 512, **settings}
    return LocalModel("tiny", network, ChatFormat(build_tokenizer("smollm2")), **settings)


def ask(model: Model, *requests: Request) -> list[list[Sample]]:
    return asyncio.run(model.generate(requests))


def question(i: int, **fields: Any) -> Request:
    said = " ".join(["river", "city", "bridge"][j % 3] for j in range(1 + 5 * i % 17))
    return Request((Message("system", "Be brief."), Message("user", f"{i}: {said}?")), **{"sampling": GREEDY, **fields})


def plainly(network: Any, prompt: list[int], n: int, ends: tuple[int, ...]) -> tuple[tuple[int, ...], float]:
    """Greedy without cache, padding or batch."""
    ids, logprob = list(prompt), 0.0
    for _ in range(n):
        with torch.inference_mode():
            logits = network(torch.tensor([ids])).logits[0, -1]
        ids.append(int(logits.argmax()))
        logprob += float(logits.log_softmax(-1)[ids[-1]])
        if ids[-1] in ends:
            break
    return tuple(ids[len(prompt) :]), logprob


def test_batched_and_cached_is_what_the_plain_loop_gives(network: Any) -> None:
    model = local(network)
    requests = [question(i) for i in range(11)]
    for request, (sample,) in zip(requests, ask(model, *requests), strict=True):
        prompt = model.chat.prompt_ids(request.messages)
        ids, logprob = plainly(network, prompt, 12, model.chat.end_ids)
        assert sample.token_ids == ids
        assert sample.logprob == pytest.approx(logprob, abs=1e-3)
        assert (sample.n_prompt_tokens, sample.n_new_tokens) == (len(prompt), len(ids))


def test_greedy_requests_that_ask_the_same_are_written_once(network: Any) -> None:
    model, n_rows = local(network), []
    hook = network.register_forward_pre_hook(
        lambda _, args, given: n_rows.append(len(given["input_ids"])), with_kwargs=True
    )
    longer = question(2, sampling=replace(GREEDY, max_new_tokens=14))
    try:
        answers = ask(model, question(2), longer, question(2), question(2, n=3))
    finally:
        hook.remove()
    assert max(n_rows) == 2
    assert [len(some) for some in answers] == [1, 1, 1, 3]
    (first,), (more,), *others = answers
    assert all(sample == first for some in others for sample in some)
    assert (first.token_ids, len(more.token_ids)) == (more.token_ids[:12], 14)


def test_asking_for_eight_is_asking_for_five_and_then_for_three(network: Any) -> None:
    drawn = question(3, sampling=replace(GREEDY, temperature=1.0), seed=7)
    model = local(network)
    (whole,) = ask(model, replace(drawn, n=8))
    (some,) = ask(model, replace(drawn, n=5))
    (rest,) = ask(model, replace(drawn, n=3, first=5))
    assert [s.token_ids for s in (*some, *rest)] == [s.token_ids for s in whole]
    assert len({s.token_ids for s in whole}) == 8


ARCHITECTURES = {
    "Qwen2": {},
    "Qwen3": {"head_dim": 8},
    "Phi3": {},
    "Mistral": {"sliding_window": 16},
    "Gemma2": {"head_dim": 8, "sliding_window": 16, "query_pre_attn_scalar": 8},
    "Olmo2": {},
    "GPTNeoX": {},
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_other_architectures(name: str) -> None:
    """Some attend in a window, some number positions or cap logits in their own way."""
    import transformers

    config = getattr(transformers, f"{name}Config")(
        vocab_size=len(build_tokenizer("smollm2")),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.3,
        pad_token_id=0,
        eos_token_id=2,
        **ARCHITECTURES[name],
    )
    torch.manual_seed(0)
    network = getattr(transformers, f"{name}ForCausalLM")(config).eval()
    model = local(network)
    talks = [list(question(i).messages) for i in range(5)]
    for _ in range(2):
        samples = ask(model, *[Request(tuple(talk), GREEDY) for talk in talks])
        for talk, (sample,) in zip(talks, samples, strict=True):
            assert sample.token_ids == plainly(network, model.chat.prompt_ids(talk), 12, model.chat.end_ids)[0]
            talk.append(Message("assistant", sample.text, Source.MODEL, "", sample.token_ids, sample.stop))
            talk.append(Message("user", "Observation: 7 people", Source.ENVIRONMENT))


def test_a_batch_too_large_for_memory_is_split(network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = local(network)
    requests = [question(i, n=2, sampling=Sampling(1.0, 1.0, 8), seed=i) for i in range(4)]
    expected = ask(model, *requests)
    forward, limit = network.forward, 3

    def small(**inputs: Any) -> Any:
        if inputs["input_ids"].shape[0] > limit:
            raise torch.OutOfMemoryError("no room")
        return forward(**inputs)

    monkeypatch.setattr(network, "forward", small)
    got = ask(local(network), *requests)
    assert [[s.token_ids for s in some] for some in got] == [[s.token_ids for s in some] for some in expected]
    limit = 0
    with pytest.raises(ModelError, match="does not fit into the device's memory"):
        ask(local(network), *requests)


def test_next_steps_start_from_kept_keys_and_give_the_same(network: Any) -> None:
    """Three rounds of four episodes, of which some end early: with what was kept, and without."""

    def episodes(model: LocalModel) -> list[list[Message]]:
        talks = [list(question(i).messages) for i in range(4)]
        for step in range(3):
            going = [t for i, t in enumerate(talks) if i >= step]
            samples = ask(model, *[Request(tuple(t), GREEDY) for t in going])
            for talk, (sample,) in zip(going, samples, strict=True):
                talk.append(Message("assistant", sample.text, Source.MODEL, "", sample.token_ids, sample.stop))
                talk.append(Message("user", f"Observation: {len(talk)} people", Source.ENVIRONMENT))
        return talks

    kept, fresh = local(network, kv_reuse_gb=1.0), local(network, kv_reuse_gb=0.0)
    seen: list[int] = []
    forward = network.forward
    network.forward = lambda **inputs: (seen.append(inputs["input_ids"].numel()), forward(**inputs))[1]
    try:
        first, n_first = episodes(kept), sum(seen)
        seen.clear()
        second, n_second = episodes(fresh), sum(seen)
    finally:
        network.forward = forward
    assert first == second
    assert n_first < 0.8 * n_second


def test_a_past_is_only_used_where_the_prompt_truly_continues_it(network: Any) -> None:
    model = local(network)
    request = question(3)
    (sample,) = ask(model, request)[0]
    reply = Message("assistant", sample.text, Source.MODEL, "", sample.token_ids, sample.stop)
    other = Message("assistant", "something else", Source.MODEL)
    talks = [Request((*request.messages, m, Message("user", "and?")), GREEDY) for m in (other, reply)]
    fresh = [ask(local(network, kv_reuse_gb=0), t)[0][0] for t in talks]
    assert [s.token_ids for (s,) in ask(model, *talks)] == [s.token_ids for s in fresh]


def test_the_same_calls_give_the_same_bits(network: Any) -> None:
    hot = Sampling(temperature=1.0, top_p=0.9, max_new_tokens=10)
    calls = [question(i, sampling=hot, n=2, seed=i) for i in range(9)]
    assert ask(local(network), *calls) == ask(local(network), *calls)


def test_a_sample_hangs_on_its_seed_not_on_its_company(network: Any) -> None:
    hot = Sampling(temperature=1.0, top_p=0.95, max_new_tokens=10)
    whole = replace(hot, top_p=1.0)
    requests = [question(i, sampling=whole if i % 2 else hot, n=3, seed=7 + i) for i in range(6)]
    model = local(network)
    together = ask(model, *requests, question(1), question(2, n=5, sampling=hot))
    alone = [ask(model, r)[0] for r in reversed(requests)][::-1]
    assert [[s.token_ids for s in some] for some in together[:6]] == [[s.token_ids for s in some] for some in alone]
    assert len({s.token_ids for s in together[0]}) == 3
    assert ask(model, replace(requests[0], seed=99))[0][0].token_ids != together[0][0].token_ids
    assert [s.token_ids for s in ask(model, replace(requests[0], n=1))[0]] == [together[0][0].token_ids]


@pytest.mark.parametrize("n_logits", [None, 1024])
@pytest.mark.parametrize("top_p", [0.6, 1.0])
def test_frequencies(network: Any, top_p: float, n_logits: int | None) -> None:
    """First tokens of many samples follow the model's distribution, cut at the nucleus and renormalised; with as many
    logits as tokens, and with more (Qwen pads them), which are looked at in blocks."""
    n, temperature = 4000, 0.7
    network = tiny_llama(n_logits) if n_logits else network
    model = local(network, batch_size=1000)
    request = question(2, sampling=Sampling(temperature, top_p, 1), n=n)
    counts = torch.zeros(n_logits or len(model.chat.tokenizer))
    for sample in ask(model, request)[0]:
        assert sample.token_ids is not None
        counts[sample.token_ids[0]] += 1
    with torch.inference_mode():
        logits = network(torch.tensor([model.chat.prompt_ids(request.messages)])).logits[0, -1]
    probs, order = (logits / temperature).softmax(-1).sort(descending=True)
    inside = probs.cumsum(-1) - probs < top_p
    expected = torch.zeros_like(counts).scatter(0, order[inside], probs[inside] / probs[inside].sum())
    assert not counts[expected == 0].any()
    assert int(inside.sum()) > 2
    sigma = (expected * (1 - expected) / n).sqrt()
    slack = 4 / n  # rare tokens are not distributed normally
    assert bool(((counts / n - expected).abs() <= 5 * sigma + slack).all())


def test_end_of_turn_is_counted_and_kept_but_not_shown(network: Any) -> None:
    model = local(network, batch_size=64)
    hot = Sampling(temperature=1.5, max_new_tokens=60)
    (samples,) = ask(model, question(1, sampling=hot, n=64))
    ended = [s for s in samples if s.stop is StopReason.END_TURN]
    assert ended
    for sample in samples:
        assert sample.token_ids is not None
        assert sample.n_new_tokens == len(sample.token_ids)
        end = sample.token_ids[-1] in model.chat.end_ids
        assert end == (sample.stop is StopReason.END_TURN)
        assert sample.text == model.chat.tokenizer.decode(sample.token_ids[: -1 if end else None])
        assert end or sample.n_new_tokens == 60


def test_stop_strings_cut_the_text(network: Any) -> None:
    model = local(network)
    (free,) = ask(model, question(1, sampling=Sampling(max_new_tokens=30)))[0]
    for length in (1, 2, 4):
        stop = free.text[8 : 8 + length]
        at = free.text.index(stop)
        request = question(1, sampling=Sampling(max_new_tokens=30, stop=("not there", stop)))
        (sample,) = ask(model, request)[0]
        assert (sample.stop, sample.text) == (StopReason.STOP_STRING, free.text[:at])
        assert sample.token_ids is not None
        assert free.token_ids is not None
        assert free.token_ids[: len(sample.token_ids)] == sample.token_ids
        assert sample.n_new_tokens < free.n_new_tokens


def test_a_prefix_is_continued(network: Any) -> None:
    model = local(network)
    request = question(4, prefix="Thought: I will")
    (sample,) = ask(model, request)[0]
    prompt = model.chat.prompt_ids(request.messages) + list(model.chat.prefix_ids(request.prefix))
    assert sample.token_ids == plainly(network, prompt, 12, model.chat.end_ids)[0]


def test_what_does_not_fit_is_told_and_harms_nobody(network: Any) -> None:
    fits = question(2, sampling=Sampling(max_new_tokens=500), n=2)
    limit = len(local(network).chat.prompt_ids(question(2).messages)) + 12
    model = local(network, context_length=limit)
    long = Request((Message("user", "river " * 100),), GREEDY, n=2)
    (cut, same), gone, (other,) = ask(model, fits, long, question(0))
    assert all(is_out_of_context(s) and s.n_prompt_tokens > limit for s in gone)
    assert len(gone) == 2
    assert cut == same
    assert cut.stop is StopReason.LENGTH
    assert cut.n_prompt_tokens + cut.n_new_tokens == limit
    assert other.token_ids == ask(local(network), question(0))[0][0].token_ids


def test_loading(checkpoint: Path) -> None:
    model = load_model("local", path=str(checkpoint), batch_size=3, device="cpu")
    assert isinstance(model, Model)
    assert (model.name, model.batch_size, model.lockstep, model.context_length) == (checkpoint.name, 3, True, 512)
    assert ask(model, question(1))[0][0].text
    asyncio.run(model.aclose())
    with pytest.raises(ModelError, match="has been closed"):
        ask(model, question(1))


def test_an_adapter_is_merged_and_brings_its_base(checkpoint: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    tuned = get_peft_model(
        AutoModelForCausalLM.from_pretrained(checkpoint), LoraConfig(r=4, target_modules="all-linear")
    )
    for name, weight in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.5)
    tuned.save_pretrained(tmp_path / "adapter")
    base = load_model("local", path=str(checkpoint))
    request = question(3)
    prompt = ChatFormat(build_tokenizer("smollm2")).prompt_ids(request.messages)
    expected = plainly(tuned.eval(), prompt, 12, (2,))[0]
    for settings in (
        {"path": str(checkpoint), "adapter": str(tmp_path / "adapter")},
        {"path": str(tmp_path / "adapter")},
    ):
        assert ask(load_model("local", **settings), request)[0][0].token_ids == expected
    assert ask(base, request)[0][0].token_ids != expected


def test_misfits_are_told_in_one_line(checkpoint: Path, tmp_path: Path) -> None:
    def copy(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for path in checkpoint.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        return folder

    def config(folder: Path, **changes: Any) -> Path:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
        return folder

    gone = copy("no weights")
    (gone / "model.safetensors").unlink()
    torn = copy("torn")
    (torn / "model.safetensors").write_bytes((torn / "model.safetensors").read_bytes()[:1000])
    small = copy("small")
    tiny_llama(100).save_pretrained(small)
    bare = copy("no tokenizer")
    for path in bare.glob("token*"):
        path.unlink()
    empty = tmp_path / "empty"
    empty.mkdir()
    other = tmp_path / "other"
    other.mkdir()
    (other / "adapter_config.json").write_text("{}")
    cases = {
        gone: "no causal language model could be loaded",
        torn: "no causal language model could be loaded",
        config(copy("deeper"), num_hidden_layers=3): "the weights do not fit config.json: 9 missing",
        config(copy("wider"), hidden_size=64): "do(es)? not fit|could be loaded",
        config(copy("strange"), model_type="unheard-of"): "could be loaded",
        small: "the tokenizer has 439 tokens but the model only 100 embeddings",
        bare: "no tokenizer could be loaded",
        empty: "not a checkpoint|no tokenizer",
        other: "does not name its base model",
        tmp_path / "nowhere": "no such folder",
    }
    for path, message in cases.items():
        with pytest.raises(ModelError, match=message) as caught:
            load_model("local", path=str(path))
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    for settings, message in (
        ({"adapter": str(empty)}, "not an adapter folder"),
        ({"dtype": "float33"}, "unknown dtype"),
        ({"device": "cuda"}, "no CUDA GPU"),
        ({"chat_template": "nowhere.jinja"}, "chat_template nowhere.jinja"),
        ({"batch_size": 0}, "at least 1"),
        ({"batch_sise": 1}, 'did you mean "batch_size"'),
    ):
        if settings.get("device") == "cuda" and torch.cuda.is_available():
            continue
        with pytest.raises(ModelError, match=message):
            load_model("local", path=str(checkpoint), **settings)
    with pytest.raises(ModelError, match='unknown model kind "locl"; did you mean "local"'):
        load_model("locl")


def test_cancelling_stops_the_work(network: Any) -> None:
    model = local(network)

    async def cancel() -> None:
        task = asyncio.create_task(
            model.generate([question(i, sampling=Sampling(max_new_tokens=400)) for i in range(8)])
        )
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert ask(model, question(1))[0][0].text


def test_cancelling_a_call_that_waits_leaves_the_running_one_alone(network: Any) -> None:
    model = local(network)
    slow = question(1, sampling=Sampling(max_new_tokens=200))

    async def both() -> Any:
        running = asyncio.create_task(model.generate([slow]))
        waiting = asyncio.create_task(model.generate([question(2)]))
        await asyncio.sleep(0.02)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return await running

    assert asyncio.run(both()) == ask(model, slow)


def test_bfloat16_is_chosen_on_a_cpu_only_where_it_is_faster(tmp_path: Path) -> None:
    """Against other products than the choice itself goes by; where neither format clearly wins, both are right."""

    def seconds(dtype: torch.dtype) -> float:
        a, b = torch.ones(512, 576, dtype=dtype), torch.ones(576, 1536, dtype=dtype)
        return min(timeit.repeat(lambda: a @ b, number=3, repeat=5))

    folder = save_checkpoint(tmp_path / "base")
    AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).save_pretrained(folder)
    ratio = seconds(torch.bfloat16) / seconds(torch.float32)
    chosen = dtype_for("auto", "cpu", str(folder))
    if ratio > 1.4:
        assert chosen is torch.float32
    elif ratio < 0.6:
        assert chosen is torch.bfloat16
    assert chosen in (torch.float32, torch.bfloat16)
