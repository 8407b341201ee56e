"""What models make of tokens: from weights here, and from servers that give log-probabilities in either way."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from logprob_server import llama_cpp_server, logprob_server
from tiny_models import save_checkpoint

from agentdistill.errors import ModelError
from agentdistill.models.endpoint import Endpoint
from agentdistill.models.reading import LocalReader, Reader, Reading, ServedReader

IDS = [5, 300, 41, 7, 260, 2]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_checkpoint(tmp_path_factory.mktemp("weights"), seed=5)


def read(reader: Reader, ids: Sequence[int], n_last: int) -> list[Reading]:
    async def all_of_it() -> list[Reading]:
        try:
            return await reader.read(ids, n_last)
        finally:
            await reader.aclose()

    return asyncio.run(all_of_it())


def same(a: list[Reading], b: list[Reading], within: float) -> None:
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        assert x.logprob == pytest.approx(y.logprob, abs=within)
        assert {i for i, _ in y.top} <= {i for i, _ in x.top}
        for i, p in y.top:
            assert dict(x.top)[i] == pytest.approx(p, abs=within)


def test_weights_in_this_process_are_read_by_plain_arithmetic(weights: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(weights, dtype=torch.float32).eval()
    with torch.no_grad():
        logprobs = model(torch.tensor([IDS])).logits[0].log_softmax(-1)
    found = read(LocalReader(str(weights), 4, device="cpu", dtype="float32"), IDS, 3)
    for place, reading in zip((2, 3, 4), found, strict=True):
        assert reading.logprob == pytest.approx(float(logprobs[place, IDS[place + 1]]), abs=1e-5)
        assert [i for i, _ in reading.top] == logprobs[place].topk(4).indices.tolist()


@pytest.mark.parametrize("way", ["vllm", "llama.cpp"])
def test_either_way_of_servers_tells_the_same(weights: Path, way: Any) -> None:
    asked: list[dict[str, Any]] = []
    expected = read(LocalReader(str(weights), 4, device="cpu", dtype="float32"), IDS, 3)
    with logprob_server(weights, way, asked) as url:
        found = read(ServedReader(Endpoint(url, "tiny"), str(weights), 4), IDS, 3)
    same(found, expected, 1e-4)
    whole = [body for body in asked if "prompt_logprobs" in body]
    assert len(whole) == (2 if way == "vllm" else 1)  # finding out, and reading
    assert len(asked) - len(whole) == (0 if way == "vllm" else 4)  # a token each


def test_a_server_that_tells_neither_way_is_told_of_in_one_line(weights: Path) -> None:
    with logprob_server(weights, "neither") as url:
        with pytest.raises(ModelError, match=r"gives no log-probabilities .*prompt_logprobs.*n_probs") as e:
            read(ServedReader(Endpoint(url, "tiny"), str(weights), 4), IDS, 3)
        assert "\n" not in str(e.value)
        with pytest.raises(ModelError, match="needs tokenizer"):
            ServedReader(Endpoint(url, "tiny"), None, 4)


def test_the_server_of_llama_cpp_tells_what_its_weights_do(weights: Path, tmp_path: Path) -> None:
    expected = read(LocalReader(str(weights), 4, device="cpu", dtype="float32"), IDS, 4)
    with llama_cpp_server(weights, tmp_path / "gguf") as url:
        found = read(ServedReader(Endpoint(url, "tiny"), str(weights), 6), IDS, 4)
    same(found, expected, 0.02)  # its keys and values are of half precision
