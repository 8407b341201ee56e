import asyncio

import pytest

from agentdistill.errors import InfrastructureError, ModelError
from agentdistill.models import is_out_of_context, load_model
from agentdistill.models.scripted import Scripted
from agentdistill.types import Message, Request, Sample, Sampling, StopReason


def ask(model, *requests):
    return asyncio.run(model.generate(requests))


def question(text, **settings):
    return Request((Message("system", "Be brief."), Message("user", f"Question: {text}")), **settings)


def test_a_list_is_used_up_in_order_and_then_says_so():
    model = Scripted(["one", "two", "three"])
    assert [[s.text for s in samples] for samples in ask(model, question("a", n=2), question("b"))] == [
        ["one", "two"],
        ["three"],
    ]
    with pytest.raises(ModelError, match="its 3 replies are used up"):
        ask(model, question("c"))


def test_a_function_sees_the_request_and_the_index_of_the_sample():
    model = Scripted(lambda request, i: f"{request.messages[-1].content} {i} {request.seed}")
    assert [s.text for s in ask(model, question("a", n=2, seed=9))[0]] == ["Question: a 0 9", "Question: a 1 9"]


def test_one_reply_is_always_given_and_defaults_of_a_function_are_its_own():
    assert [s.text for s in ask(Scripted("same"), question("a", n=3))[0]] == ["same"] * 3
    assert ask(Scripted(lambda request, word="mine": word), question("a"))[0][0].text == "mine"


def test_an_async_function_and_finished_samples():
    async def reply(request):
        await asyncio.sleep(0)
        return Sample("cut", StopReason.LENGTH, token_ids=(1, 2))

    ((sample,),) = ask(Scripted(reply), question("a"))
    assert sample == Sample("cut", StopReason.LENGTH, token_ids=(1, 2))


def test_a_mapping_answers_by_question_and_turn_in_any_order():
    model = Scripted({"Where?": ["look", "there"], "Where? And when?": "then"})
    first = question("Where?")
    second = Request((*first.messages, Message("assistant", "look"), Message("user", "Observation: x")))
    assert ask(model, second)[0][0].text == "there"
    assert ask(model, first)[0][0].text == "look"
    assert ask(model, question("Where? And when?"))[0][0].text == "then"
    shown = (Message("user", "Example: how?"), Message("assistant", "so"))  # worked examples come before the question
    assert ask(model, Request(shown + second.messages[1:]))[0][0].text == "there"
    with pytest.raises(ModelError, match="at its end: it has 2 replies"):
        ask(model, Request((*second.messages, Message("assistant", "there"))))
    with pytest.raises(ModelError, match="no reply to"):
        ask(model, question("Why?"))


def test_faults_are_raised_where_the_script_has_them():
    model = Scripted([InfrastructureError("the wire is cut"), "fine"])
    with pytest.raises(InfrastructureError, match="the wire is cut"):
        ask(model, question("a"))
    assert ask(model, question("a"))[0][0].text == "fine"


def test_the_prefix_is_left_out_and_stop_strings_and_length_cut():
    model = Scripted(["I think: it is  six Observation: seven"] * 3)
    sampling = Sampling(stop=("Observation:", "never"), max_new_tokens=10)
    ((sample,),) = ask(model, question("a", sampling=sampling, prefix="I think:"))
    assert (sample.text, sample.stop, sample.n_new_tokens) == (" it is  six ", StopReason.STOP_STRING, 3)
    assert sample.n_prompt_tokens == 2 + 2 + 2
    ((sample,),) = ask(model, question("a", sampling=Sampling(max_new_tokens=5)))
    assert (sample.text, sample.stop) == ("I think: it is  six", StopReason.LENGTH)
    ((sample,),) = ask(model, question("a"))
    assert sample.stop is StopReason.END_TURN


def test_a_prompt_beyond_the_context_is_an_outcome():
    model = Scripted(["never said"], context_length=4)
    assert all(map(is_out_of_context, ask(model, question("a b c", n=2))[0]))
    assert model.requests[0].n == 2


def test_it_is_loaded_by_its_name():
    model = load_model("scripted", replies=["yes"], name="stub", batch_size=2)
    assert (model.name, model.batch_size, model.lockstep, model.context_length) == ("stub", 2, False, None)
    assert ask(model, question("a"))[0][0].text == "yes"
