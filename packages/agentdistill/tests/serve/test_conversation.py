"""From a client's messages to a prompt, and which conversation goes on in which session."""

from __future__ import annotations

import asyncio
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdistill.parse import parse_action
from agentdistill.prompts import load_prompt
from agentdistill.registry import names
from agentdistill.serve.conversation import Chat, Shelf, as_step, opening, read_chat
from agentdistill.serve.outcome import Refused

ROLES = st.sampled_from(["system", "developer", "user", "assistant"])
MESSAGES = st.lists(st.tuples(ROLES, st.text(max_size=20)), max_size=8)


@given(MESSAGES)
def test_a_chat_alternates_and_ends_with_the_question_or_is_refused(messages):
    said = [(r, t) for r, t in messages if r in ("user", "assistant")]
    while said and said[0][0] == "assistant":
        del said[0]
    ending = last_turn(said)
    if all(r == "assistant" and not t.strip() for r, t in ending):
        said = said[: len(said) - len(ending)]
    if not any(r == "user" and t.strip() for r, t in last_turn(said)):
        with pytest.raises(Refused):
            read_chat(messages)
        return
    chat = read_chat(messages)
    assert chat.question
    assert [r for r, _ in chat.history] == ["user", "assistant"] * (len(chat.history) // 2)
    for role, text in [*said, *((r, t) for r, t in messages if r in ("system", "developer"))]:
        home = {"system": chat.instructions, "developer": chat.instructions}.get(role)
        assert text.strip() in (
            home if home is not None else "\n\n".join([*(t for _, t in chat.history), chat.question])
        )


def last_turn(said):
    """The last messages of one role."""
    return [m for i, m in enumerate(said) if all(r == m[0] for r, _ in said[i:])]


@pytest.mark.parametrize("name", names("prompts"))
def test_the_prompt_holds_everything_that_was_said_in_order(name):
    template = load_prompt(name)
    chat = Chat("And the Orv?", (("user", "How long is the Aren?"), ("assistant", "412")), "Answer in km.")
    system, first, answer, second = opening(chat, template, ())
    assert system == template.agent("anything", ())[0]
    assert first.content == "Answer in km.\n\nHow long is the Aren?"
    assert answer.role == "assistant"
    assert parse_action(answer.content) == "final_answer('412')"
    assert (second.role, second.content) == ("user", "And the Orv?")


@given(st.text(alphabet=st.characters(exclude_characters="`", exclude_categories=["Cs"])))
def test_an_earlier_answer_is_shown_as_code_that_gives_it(answer):
    code = parse_action(as_step(answer, load_prompt("tiny")))
    given_answer = []
    exec(code, {"final_answer": given_answer.append})
    assert given_answer == [answer]


@given(MESSAGES, MESSAGES)
def test_only_the_same_story_has_the_same_hash(one, other):
    try:
        a, b = read_chat(one), read_chat(other)
    except Refused:
        return
    assert (a.seen == b.seen) is (told(a) == told(b))


def told(chat: Chat):
    return chat.instructions, [(role, text.split()) for role, text in chat.history]


def test_what_is_seen_next_is_what_was_answered():
    chat = Chat("Why?", (("user", "a"), ("assistant", "b")))
    later = Chat("And?", (*chat.history, ("user", "Why?"), ("assistant", "Because.")))
    assert later.seen == chat.answered("Because.")
    assert later.seen != chat.answered("because.")
    trimmed = Chat("And?", (*chat.history, ("user", "Why?\n"), ("assistant", " Because.")))
    assert trimmed.seen == chat.answered("Because. ")


class Session:
    """Stands in for a workspace: knows whether it was closed."""

    closed = False

    def close(self) -> None:
        self.closed = True


def test_a_conversation_goes_on_in_its_session_and_nobody_elses():
    async def play() -> None:
        now = [0.0]
        shelf, session = Shelf(n_kept=2, keep_s=10, clock=lambda: now[0]), Session()
        assert await shelf.take("a", "start") is None
        with pytest.raises(Refused) as e:
            await shelf.take("a", "start")
        assert e.value.status == 409
        await shelf.put("a", session, "told")
        shelf.free("a")
        assert await shelf.take("b", "told") is None, "another name"
        kept = await shelf.take("a", "told")
        assert kept is not None
        assert kept.workspace is session
        assert not session.closed
        assert len(shelf) == 0

    asyncio.run(play())


def test_a_conversation_without_an_answer_is_as_it_was():
    async def play() -> None:
        shelf, session = Shelf(), Session()
        await shelf.put("a", session, "told")
        for _ in range(2):
            kept = await shelf.take("a", "told")
            assert kept is not None
            assert kept.workspace is session
            shelf.free("a", kept)
        assert not session.closed

    asyncio.run(play())


def test_who_goes_away_while_another_story_is_closed_leaves_the_conversation_free():
    async def play() -> None:
        shelf, closing = Shelf(), threading.Event()
        session = Session()
        session.close = lambda: closing.wait(10)
        await shelf.put("a", session, "told")
        task = asyncio.create_task(shelf.take("a", "another"))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        closing.set()
        assert await shelf.take("a", "another") is None

    asyncio.run(play())


def test_another_story_or_a_late_one_begins_anew():
    async def play() -> None:
        now = [0.0]
        shelf = Shelf(n_kept=2, keep_s=10, clock=lambda: now[0])
        for story, wait in (("another", 0.0), ("told", 11.0)):
            session = Session()
            await shelf.put("a", session, "told")
            now[0] += wait
            assert await shelf.take("a", story) is None
            assert session.closed
            shelf.free("a")

    asyncio.run(play())


def test_the_oldest_go_first():
    async def play() -> None:
        now = [0.0]
        shelf, sessions = Shelf(n_kept=2, keep_s=10, clock=lambda: now[0]), [Session() for _ in range(4)]
        for i, session in enumerate(sessions):
            await shelf.put(str(i), session, "")
        assert [s.closed for s in sessions] == [True, True, False, False]
        now[0] = 11
        await shelf.sweep()
        assert all(s.closed for s in sessions)

    asyncio.run(play())
