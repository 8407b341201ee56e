"""Text that no prompt can hold: refused before it is tokenised, and never where it fits."""

from __future__ import annotations

import copy
import json
import unicodedata
import urllib.error
import urllib.request

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("fastapi", reason="the extra agentdistill[serve] is not installed")

from agent_server import served
from tiny_models import build_tokenizer, tiny_llama
from tokenizers.normalizers import NFC

from agentdistill.models.chat import ChatFormat
from agentdistill.models.local import LocalModel
from agentdistill.serve.agent import _most_characters


@pytest.fixture(scope="module")
def model():
    tokenizer = build_tokenizer("qwen2_5")
    return LocalModel("student", tiny_llama(len(tokenizer)), ChatFormat(tokenizer), context_length=512)


@pytest.fixture(scope="module")
def server(environment, model):
    with served(model, environment, max_steps=1) as up:
        yield up


def status(url: str, text: str, name: str) -> tuple[int, str]:
    body = json.dumps({"model": name, "messages": [{"role": "user", "content": text}]}).encode()
    request = urllib.request.Request(f"{url}/v1/chat/completions", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, ""
    except urllib.error.HTTPError as e:
        return e.code, json.loads(e.read())["error"]["code"]


@pytest.mark.parametrize("name", ["student", "student:vote", "student:raw"])
def test_it_is_refused_before_it_is_tokenised(server, model, monkeypatch, name):
    tokenised: list[int] = []
    prompt_ids = model.chat.prompt_ids

    def watched(messages, prefix=""):
        tokenised.append(sum(len(m.content) for m in messages))
        return prompt_ids(messages, prefix)

    monkeypatch.setattr(model.chat, "prompt_ids", watched)
    assert status(server.url, "a b " * 100_000, name) == (400, "context_length_exceeded")
    assert tokenised == []
    assert status(server.url, "a b " * 1000, name) == (400, "context_length_exceeded"), "which takes tokens to know"
    assert len(tokenised) == 1
    assert status(server.url, "a b", name)[0] == 200


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["\u1f82", "각", "é", "\ufb2c", "word", " " * 64, "中", "\n\n", "'ll"]), max_size=60))
def test_what_fits_is_never_refused(composing, pieces):
    tokenizer, most = composing
    text = unicodedata.normalize("NFD", "".join(pieces))
    n_tokens = len(tokenizer.encode(text, add_special_tokens=False))
    assert len(text) <= most * n_tokens


@pytest.fixture(scope="module")
def composing():
    """A tokenizer that joins letters and their accents first, as Qwen's do, and characters a token at most."""
    tokenizer = copy.deepcopy(build_tokenizer("qwen2_5"))
    tokenizer.backend_tokenizer.normalizer = NFC()
    made = LocalModel("student", tiny_llama(len(tokenizer)), ChatFormat(tokenizer), context_length=1)
    return tokenizer, _most_characters(made)


def test_a_model_whose_tokens_are_not_known_refuses_nothing_by_length():
    from agentdistill.models.scripted import Scripted

    assert _most_characters(Scripted("x", context_length=1)) == float("inf")
