"""The sequence trained on is the one the model sees: golden renderings of seven conventions, and the rules."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_models import CONVENTIONS, build_tokenizer

from agentdistill.errors import ModelError
from agentdistill.models.chat import ChatFormat, Example, read_template
from agentdistill.types import Message, Source, StopReason

ALL = sorted(CONVENTIONS)


def model(text: str, **fields: Any) -> Message:
    return Message("assistant", text, Source.MODEL, **fields)


def environment(text: str) -> Message:
    return Message("user", text, Source.ENVIRONMENT)


TALK = (
    Message("system", "Be brief."),
    Message("user", "How long is it?"),
    model("Thought: look.\nCode: search()"),
    environment("Observation: 412 km"),
    model("Code: final_answer(412)"),
)


def special_ids(tokenizer: Any) -> set[int]:
    return {i for i, t in tokenizer.added_tokens_decoder.items() if t.special}


def show(tokenizer: Any, example: Example) -> str:
    """The sequence token by token: markers in ⟨⟩, what is learned in [[ ]]. A token is learned whole or not at all."""
    special = special_ids(tokenizer)
    out, ids, on = "", [], False
    for i, learned in [*zip(example.input_ids, example.trained, strict=True), (None, False)]:
        if i is None or i in special or learned != on:
            # A run that begins a text drops its first blank on decoding in some tokenizers: read it behind a marker.
            anchor = [tokenizer.eos_token_id]
            out += tokenizer.decode(anchor + ids)[len(tokenizer.decode(anchor)) :] if ids else ""
            ids = []
        if learned != on:
            out += "[[" if learned else "]]"
            on = learned
        if i in special:
            out += f"⟨{tokenizer.convert_ids_to_tokens(i).strip('<|>').strip('|')}⟩"
        elif i is not None:
            ids.append(i)
    return out


CHATML = (
    "⟨im_start⟩system\nBe brief.⟨im_end⟩\n⟨im_start⟩user\nHow long is it?⟨im_end⟩\n"
    "⟨im_start⟩assistant\n[[Thought: look.\nCode: search()⟨im_end⟩]]\n"
    "⟨im_start⟩user\nObservation: 412 km⟨im_end⟩\n⟨im_start⟩assistant\n[[Code: final_answer(412)⟨im_end⟩]]"
)
GOLDEN = {
    "qwen2_5": [CHATML],
    "qwen3": [CHATML],
    "smollm2": [CHATML],
    "bytes": [CHATML],
    "llama3": [
        "⟨begin_of_text⟩⟨start_header_id⟩system⟨end_header_id⟩\n\nBe brief.⟨eot_id⟩"
        "⟨start_header_id⟩user⟨end_header_id⟩\n\nHow long is it?⟨eot_id⟩"
        "⟨start_header_id⟩assistant⟨end_header_id⟩\n\n[[Thought: look.\nCode: search()⟨eot_id⟩]]"
        "⟨start_header_id⟩user⟨end_header_id⟩\n\nObservation: 412 km⟨eot_id⟩"
        "⟨start_header_id⟩assistant⟨end_header_id⟩\n\n[[Code: final_answer(412)⟨eot_id⟩]]"
    ],
    "phi4": [
        "⟨system⟩Be brief.⟨end⟩⟨user⟩How long is it?⟨end⟩⟨assistant⟩[[Thought: look.\nCode: search()⟨end⟩]]"
        "⟨user⟩Observation: 412 km⟨end⟩⟨assistant⟩[[Code: final_answer(412)⟨end⟩]]"
    ],
    "gemma": [
        "⟨bos⟩⟨start_of_turn⟩user\nBe brief.\n\nHow long is it?⟨end_of_turn⟩\n"
        "⟨start_of_turn⟩model\n[[Thought: look.\nCode: search()⟨end_of_turn⟩]]\n"
        "⟨start_of_turn⟩user\nObservation: 412 km⟨end_of_turn⟩\n"
        "⟨start_of_turn⟩model\n[[Code: final_answer(412)⟨end_of_turn⟩]]"
    ],
    # The system text moves into the newest question, so each turn is a sequence of its own.
    "mistral": [
        "⟨s⟩⟨[INST]⟩ Be brief.\n\nHow long is it?⟨[/INST]⟩[[ Thought: look.\nCode: search()⟨/s⟩]]",
        "⟨s⟩⟨[INST]⟩ How long is it?⟨[/INST]⟩ Thought: look.\nCode: search()⟨/s⟩"
        "⟨[INST]⟩ Be brief.\n\nObservation: 412 km⟨[/INST]⟩[[ Code: final_answer(412)⟨/s⟩]]",
    ],
}


@pytest.mark.parametrize("name", ALL)
def test_golden(name: str) -> None:
    tokenizer = build_tokenizer(name)
    assert [show(tokenizer, e) for e in ChatFormat(tokenizer).examples(TALK)] == GOLDEN[name]


@pytest.mark.parametrize("name", ALL)
def test_segments_encode_as_the_whole_text_does(name: str) -> None:
    """Where no content holds markers, the ids are those of the rendered text in one piece."""
    tokenizer = build_tokenizer(name)
    chat = ChatFormat(tokenizer)
    messages = list(TALK) if chat.prompt_ids(TALK[:2]) and name != "gemma" else [
        Message("user", "Be brief.\n\nHow long is it?"),
        *TALK[2:],
    ]  # fmt: skip
    plain = [{"role": m.role, "content": m.content} for m in messages]
    for t in (len(messages) - 3, len(messages) - 1):
        text = tokenizer.apply_chat_template(plain[:t], tokenize=False, add_generation_prompt=True)
        assert chat.prompt_ids(messages[:t]) == tokenizer.encode(text, add_special_tokens=False)


@pytest.mark.parametrize("name", ALL)
def test_markers_in_contents_are_text(name: str) -> None:
    tokenizer = build_tokenizer(name)
    chat = ChatFormat(tokenizer)
    hostile = "x " + " ".join(CONVENTIONS[name].special) + " <|im_end|> <end_of_turn> </s> [INST] y"
    markers = special_ids(tokenizer)
    tame = (Message("system", "a"), Message("user", "b"), model("c"), environment("d"), model("e"))
    for t, message in enumerate(tame):
        talk = [*tame[:t], replace(message, content=hostile), *tame[t + 1 :]]
        for a, b in zip(chat.examples(tame), chat.examples(talk), strict=True):
            assert [i for i in b.input_ids if i in markers] == [i for i in a.input_ids if i in markers]
    text = tokenizer.decode(chat.prompt_ids([Message("user", hostile)]))
    assert all(marker in text for marker in (*CONVENTIONS[name].special, "<|im_end|>", "</s>"))


def test_a_plain_added_token_that_divides_turns_is_a_marker_too() -> None:
    """Some families forget to call their turn markers special; a user must not be able to write one all the same."""
    template = (
        "{% for m in messages %}{{ '<tool_call>' ~ m.role ~ ':' ~ m.content ~ '<|im_end|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<tool_call>assistant:' }}{% endif %}"
    )
    tokenizer = build_tokenizer("qwen2_5", template)
    marker = tokenizer.convert_tokens_to_ids("<tool_call>")
    ids = ChatFormat(tokenizer).prompt_ids([Message("user", "a<tool_call>b")])
    assert ids.count(marker) == 2
    assert "a<tool_call>b" in tokenizer.decode(ids)


def test_only_the_model_is_learned() -> None:
    chat = ChatFormat(build_tokenizer("qwen2_5"))
    shot = (Message("user", "q"), Message("assistant", "an example in the prompt"))
    assert chat.examples([*shot, Message("user", "q2")]) == []
    (example,) = chat.examples([*shot, Message("user", "q2"), model("mine")])
    assert show(chat.tokenizer, example).count("[[") == 1
    assert "[[mine⟨im_end⟩]]" in show(chat.tokenizer, example)


def test_a_turn_cut_by_length_is_learned_without_the_marker() -> None:
    chat = ChatFormat(build_tokenizer("qwen2_5"))
    cut = replace(TALK[2], stop=StopReason.LENGTH)
    (example,) = chat.examples([*TALK[:2], cut, *TALK[3:]])
    assert "[[Thought: look.\nCode: search()]]⟨im_end⟩\n" in show(chat.tokenizer, example)
    stopped = replace(TALK[2], stop=StopReason.STOP_STRING)
    (example,) = chat.examples([*TALK[:2], stopped])
    assert show(chat.tokenizer, example).endswith("[[Thought: look.\nCode: search()⟨im_end⟩]]")


def test_sampled_ids_are_kept_as_sampled() -> None:
    """A model may spell a word in other tokens than the encoder would; what it sampled is what it learns and sees."""
    chat = ChatFormat(build_tokenizer("qwen2_5"))
    spelt = tuple(chat.tokenizer.encode(c)[0] for c in "river")
    assert list(spelt) != chat.tokenizer.encode("river")
    turn = model("river", token_ids=(*spelt, chat.end_ids[0]))
    talk = [Message("user", "q"), turn, environment("o"), model("end")]
    (example,) = chat.examples(talk)
    learned = [i for i, t in zip(example.input_ids, example.trained, strict=True) if t]
    assert tuple(learned[:6]) == turn.token_ids
    assert tuple(chat.prompt_ids(talk[:3])) == example.input_ids[: len(chat.prompt_ids(talk[:3]))]


def test_ids_of_another_tokenizer_are_not_taken() -> None:
    chat = ChatFormat(build_tokenizer("qwen2_5"))
    for foreign in ((5, 6, 7), (10**6,), (chat.end_ids[0], 5), (1, 5)):
        with_ids = chat.examples([Message("user", "q"), model("river", token_ids=foreign)])
        assert with_ids == chat.examples([Message("user", "q"), model("river")])


@pytest.mark.parametrize("name", ALL)
def test_a_given_prefix_is_continued_and_learned(name: str) -> None:
    chat = ChatFormat(build_tokenizer(name))
    prefix, rest = "Let me count the", " bridges first."
    start = chat.prompt_ids(TALK[:2], prefix)
    plain = chat.prompt_ids(TALK[:2])
    assert start[: len(plain)] == plain
    ids = tuple(chat.tokenizer.encode(chat.tokenizer.eos_token + rest, add_special_tokens=False)[1:])
    assert chat.decode(ids, chat.prefix_ids(prefix)) == rest
    turn = model(prefix + rest, prefix=prefix, token_ids=(*ids, chat.end_ids[0]))
    (example,) = chat.examples([*TALK[:2], turn])
    assert list(example.input_ids) == [*start, *ids, chat.end_ids[0]]
    assert example.trained == (False,) * len(plain) + (True,) * (len(example.input_ids) - len(plain))


def test_thoughts_that_the_template_drops_later_are_learned_once_each() -> None:
    chat = ChatFormat(build_tokenizer("qwen3"))
    talk = [Message("user", "q"), model("<think>\nhm\n</think>\n\none"), environment("o"), model("two")]
    shown = [show(chat.tokenizer, e) for e in chat.examples(talk)]
    assert shown == [
        "⟨im_start⟩user\nq⟨im_end⟩\n⟨im_start⟩assistant\n[[<think>\nhm\n</think>\n\none⟨im_end⟩]]",
        "⟨im_start⟩user\nq⟨im_end⟩\n⟨im_start⟩assistant\none⟨im_end⟩\n⟨im_start⟩user\no⟨im_end⟩\n"
        "⟨im_start⟩assistant\n[[two⟨im_end⟩]]",
    ]
    assert chat.tokenizer.convert_tokens_to_ids("<think>") in chat.examples(talk)[0].input_ids


def test_trimming_templates_train_on_trimmed_text() -> None:
    chat = ChatFormat(build_tokenizer("llama3"))
    talk = [Message("user", " q "), model(" look\n"), environment("o"), model("two")]
    assert chat.examples(talk) == chat.examples([Message("user", "q"), model("look"), environment("o"), model("two")])


def test_neighbours_are_merged_where_turns_must_alternate() -> None:
    chat = ChatFormat(build_tokenizer("gemma"))
    twice = [Message("system", "s"), Message("user", "a"), Message("user", "b"), model("x")]
    assert chat.examples(twice) == chat.examples([Message("user", "s\n\na\n\nb"), model("x")])


def test_dates_stand_still() -> None:
    template = (
        "{{ strftime_now('%d %b %Y') }}{% for m in messages %}{{ '<|im_start|>' ~ m.role ~ m.content ~ '<|im_end|>' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant' }}{% endif %}"
    )
    chat = ChatFormat(build_tokenizer("qwen2_5", template))
    assert chat.tokenizer.decode(chat.prompt_ids([Message("user", "q")])).startswith("26 Jul 2024<|im_start|>")


def test_errors_name_the_way_out(tmp_path: Any) -> None:
    with pytest.raises(ModelError, match="no chat template; name a file with one: chat_template"):
        ChatFormat(build_tokenizer("qwen2_5", ""))
    with pytest.raises(ModelError, match=r"chat_template .*missing\.jinja: No such file"):
        read_template(tmp_path / "missing.jinja")
    with pytest.raises(ModelError, match="take turns"):
        ChatFormat(build_tokenizer("gemma")).prompt_ids([model("first")])
    with pytest.raises(ModelError, match="does not show what an assistant said"):
        ChatFormat(build_tokenizer("qwen2_5", "{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}"))


WORDS = st.sampled_from(
    [
        "Thought: ",
        "river",
        "\n",
        "\n\n",
        "  ",
        " ",
        "<|im_end|>",
        "<think>",
        "</think>",
        "[INST]",
        "</s>",
        "é世",
        "def f():\n    ",
    ]
)
TEXTS = st.lists(WORDS, min_size=1, max_size=6).map("".join)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(ALL), st.booleans(), st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=3))
def test_each_prompt_and_what_follows_is_in_the_examples(name: str, system: bool, turns: list[tuple[str, str]]) -> None:
    """Inference at every turn sees exactly the ids before that turn's learned ids in some example."""
    chat = ChatFormat(build_tokenizer(name))
    talk = [Message("system", "s")] if system else []
    for said, reply in turns:
        talk += [environment(said), model(reply)]
    examples = chat.examples(talk)
    n_learned = 0
    for t, message in enumerate(talk):
        if message.role == "assistant":
            prompt = tuple(chat.prompt_ids(talk[:t]))
            holding = [e for e in examples if e.input_ids[: len(prompt)] == prompt and len(e.input_ids) > len(prompt)]
            assert holding
            learned = [e.trained[len(prompt)] for e in holding]
            assert any(learned)
            n_learned += 1
    runs = sum(e.trained[i] and not e.trained[i - 1] for e in examples for i in range(1, len(e.trained)))
    assert runs == n_learned
    for e in examples:
        assert e.input_ids[-1] in chat.end_ids
        assert e.trained[-1]


def test_long_prompts_of_strangers_are_not_kept() -> None:
    """What is remembered is bounded by its size: a server is asked a megabyte at a time by anybody."""
    chat = ChatFormat(build_tokenizer(ALL[0]))
    chat.prompt_ids([Message("user", "x" * 1000)])
    tracemalloc.start()
    try:
        for i in range(15):
            chat.prompt_ids([Message("user", f"{i} " + "word " * 50_000)])
        assert tracemalloc.get_traced_memory()[0] < 60e6  # a prompt and its ids are some 10 MB
    finally:
        tracemalloc.stop()
