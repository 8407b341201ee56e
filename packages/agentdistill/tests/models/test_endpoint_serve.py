"""The endpoint model against a real OpenAI-compatible server: ``transformers serve`` with a tiny random Llama."""

import asyncio
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from importlib.util import find_spec

import pytest

from agentdistill.errors import ModelError
from agentdistill.models import load_model
from agentdistill.models.chat import ChatFormat
from agentdistill.types import Message, Request, Sampling, StopReason

pytestmark = [
    pytest.mark.skipif(
        find_spec("uvicorn") is None or find_spec("fastapi") is None,
        reason="transformers serve is not installed (pip install 'transformers[serving]')",
    ),
]

CHAT = (Message("system", "You write Python."), Message("user", "How many people live in the city by the sea?"))
PREFIX = "Thought: I will search"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    from tiny_models import save_checkpoint

    # Llama's convention: its tokenizer begins every text with a marker, which must not come twice.
    return save_checkpoint(tmp_path_factory.mktemp("served"), "llama3", seed=3)


@pytest.fixture(scope="module")
def url(checkpoint, tmp_path_factory):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    log = tmp_path_factory.mktemp("log") / "serve.log"
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(checkpoint)]
    with log.open("w") as f:
        server = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"],
            stdout=f,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
    try:
        wait_until_up(server, f"http://127.0.0.1:{port}/health", log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def wait_until_up(server, address, log, limit_s=150):
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        assert server.poll() is None, log.read_text()[-2000:]
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise AssertionError(f"the server was not up after {limit_s} s: {log.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def expected(checkpoint):
    """Greedy continuation by the same weights in this process: (number of prompt tokens, text)."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    weights = AutoModelForCausalLM.from_pretrained(checkpoint)

    def greedy(prefix, n_new):
        ids = ChatFormat(tokenizer).prompt_ids(CHAT, prefix)
        prompt = torch.tensor([ids])
        with torch.no_grad():
            out = weights.generate(
                prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=n_new, do_sample=False
            )
        return len(ids), tokenizer.decode(out[0, len(ids) :], skip_special_tokens=True)

    return greedy


def ask(url, checkpoint, *requests, **settings):
    async def go():
        endpoint = load_model("endpoint", url=url, name=str(checkpoint), timeout_s=120, **settings)
        try:
            return await endpoint.generate(requests)
        finally:
            await endpoint.aclose()

    return asyncio.run(go())


def test_generation_is_the_models_own(url, checkpoint, expected):
    ((sample,),) = ask(url, checkpoint, Request(CHAT, Sampling(max_new_tokens=12)))
    n_prompt, text = expected("", 12)
    assert sample.text == text
    assert (sample.n_prompt_tokens, sample.n_new_tokens, sample.stop) == (n_prompt, 12, StopReason.LENGTH)


def test_n_samples_though_the_server_ignores_n(url, checkpoint):
    sampling = Sampling(temperature=1.5, top_p=0.95, max_new_tokens=8)
    request = Request(CHAT, sampling, n=3, seed=5)
    (samples,) = ask(url, checkpoint, request, concurrency=1, extra={"generation_config": '{"do_sample": true}'})
    (again,) = ask(url, checkpoint, request, concurrency=1, extra={"generation_config": '{"do_sample": true}'})
    assert len(samples) == 3
    assert len({s.text for s in samples}) > 1
    assert [s.text for s in samples] == [s.text for s in again]


def test_stop_strings_are_not_in_the_text(url, checkpoint, expected):
    _, text = expected("", 12)
    stop = text[len(text) // 2 :][:3]
    ((sample,),) = ask(url, checkpoint, Request(CHAT, Sampling(max_new_tokens=12, stop=(stop,))))
    assert sample.stop is StopReason.STOP_STRING
    assert sample.text == text[: text.index(stop)]


@pytest.mark.parametrize("mode", ["auto", "completions"])
def test_a_prefix_is_continued_through_a_local_template(url, checkpoint, expected, mode):
    request = Request(CHAT, Sampling(max_new_tokens=12), prefix=PREFIX)
    ((sample,),) = ask(url, checkpoint, request, prefix_mode=mode, tokenizer=str(checkpoint))
    n_prompt, text = expected(PREFIX, 12)
    assert sample.text == text
    assert sample.n_prompt_tokens == n_prompt


def test_a_prefix_that_this_server_cannot_continue_in_chat_is_an_error_with_a_way_out(url, checkpoint):
    request = Request(CHAT, Sampling(max_new_tokens=12), prefix=PREFIX)
    with pytest.raises(ModelError, match="does not continue an assistant prefix") as caught:
        ask(url, checkpoint, request)
    assert '"completions" with tokenizer' in str(caught.value)


def test_a_model_the_server_does_not_have_is_the_users_mistake(url, checkpoint):
    with pytest.raises(ModelError, match="another/model"):
        ask(url, "another/model", Request(CHAT))
