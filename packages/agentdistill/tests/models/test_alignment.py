"""Two tokenizers over one text: every pair of families, with what both can be compared by."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import CONVENTIONS, build_tokenizer

from agentdistill.models.alignment import Alignment, Vocabulary
from agentdistill.models.chat import ChatFormat
from agentdistill.models.reading import Reading
from agentdistill.types import Message, Source

NAMES = sorted(CONVENTIONS)
TEXTS = (
    "Thought: I count the bridges.\nCode:\n```py\nprint(search('Aren river'))\n```",
    "  The Straße is 412 km long — über 3 ☃ and 🐉.",
    "final_answer(412)",
)


def vocabulary(name: str) -> Vocabulary:
    return Vocabulary(build_tokenizer(name), ChatFormat(build_tokenizer(name)).end_ids)


VOCABULARIES = {name: vocabulary(name) for name in NAMES}
ALIGNMENTS = {(a, b): Alignment(VOCABULARIES[a], VOCABULARIES[b]) for a, b in itertools.product(NAMES, NAMES)}


def written(name: str, text: str) -> list[int]:
    """A turn's ids as they are trained on, with the marker of its end."""
    turn = Message("assistant", text, Source.MODEL)
    [example] = ChatFormat(build_tokenizer(name)).examples([Message("user", "Who?"), turn])
    return [i for i, t in zip(example.input_ids, example.trained, strict=True) if t]


@pytest.mark.parametrize("name", NAMES)
def test_tokens_are_known_as_bytes(name: str) -> None:
    """Joined they are the text, characters of several bytes and of several tokens included."""
    for text in TEXTS:
        ids = [i for i in written(name, text) if i not in VOCABULARIES[name].end_ids]
        assert b"".join(VOCABULARIES[name].spelt[i] for i in ids).decode().strip() == text.strip()


@pytest.mark.parametrize(("mine", "its"), itertools.product(NAMES, NAMES))
def test_every_token_is_in_one_unit(mine: str, its: str) -> None:
    for text in TEXTS:
        ids, its_ids = written(mine, text), written(its, text)
        read = [Reading(-1.0, ((i, -1.0),)) for i in its_ids]
        units = ALIGNMENTS[mine, its].units(ids, its_ids, read)
        places = [i for u in units for i in range(u.start, u.stop)]
        assert places == sorted(set(places))
        blank = [i for i in range(len(ids)) if not VOCABULARIES[mine].spelt[ids[i]].strip()]
        assert set(range(len(ids))) - set(places) <= set(blank)
        assert units[-1].stop == len(ids)  # the end of the turn, whatever either calls it
        assert units[-1].classes


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=30), st.sampled_from(NAMES), st.sampled_from(NAMES))
@settings(max_examples=60, deadline=None)
def test_any_text_can_be_aligned(text: str, mine: str, its: str) -> None:
    ids, its_ids = written(mine, text), written(its, text)
    units = ALIGNMENTS[mine, its].units(ids, its_ids, [Reading(-0.5, ()) for _ in its_ids])
    assert all(0 <= u.start < u.stop <= len(ids) for u in units)
    assert all(a.stop <= b.start for a, b in itertools.pairwise(units))


def test_one_vocabulary_is_compared_token_by_token() -> None:
    same = ALIGNMENTS["smollm2", "smollm2"]
    assert same.student == same.teacher
    assert sorted(same.student) == list(range(len(same.student)))
    ids = written("smollm2", TEXTS[0])
    units = same.units(ids, ids, [Reading(-1.0, ((i, -1.0), (300, -2.0))) for i in ids])
    assert [(u.start, u.stop, u.rest) for u in units] == [(i, i + 1, None) for i in range(len(ids))]


def test_bytes_and_words_are_compared_by_what_both_can_tell_apart() -> None:
    """For bytes, all words that begin with the byte say the same; what follows is compared as a whole."""
    words = VOCABULARIES["smollm2"].ids
    pair = ALIGNMENTS["bytes", "smollm2"]
    assert pair.n == 256 + 3  # and the markers, which have the same names
    byte = pair.student[VOCABULARIES["bytes"].ids[b"s"]]
    assert pair.teacher[words[b"search"]] == pair.teacher[words[b"system"]] == byte
    ids, its_ids = written("bytes", "search"), written("smollm2", "search")
    assert (len(ids), len(its_ids)) == (7, 2)
    other = (words[b"system"], math.log(0.25))
    first, _ = pair.units(ids, its_ids, [Reading(math.log(0.5), (other,)), Reading(-1.0, ())])
    assert (first.start, first.stop, first.classes) == (0, 6, (byte,))
    assert first.logprobs == (pytest.approx(math.log(0.75)),)
    assert first.rest == pytest.approx(math.log(0.5 / 0.75))


def test_what_the_teacher_did_not_tell_is_left_out() -> None:
    ids = written("smollm2", "search the river")
    read = [Reading(None if n == 1 else -1.0, ()) for n in range(len(ids))]
    units = ALIGNMENTS["smollm2", "smollm2"].units(ids, ids, read)
    assert 1 not in [i for u in units for i in range(u.start, u.stop)]
    assert len(units) == len(ids) - 1
