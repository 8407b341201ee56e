"""The passages that rows of multi-step questions bring along, and which of them the answer is found in.

Read are the forms in which the datasets come. HotpotQA and 2WikiMultiHopQA: ``context``, pairs of title and sentences
or ``{"title": […], "sentences": […]}``, and ``supporting_facts``, pairs of title and sentence number or ``{"title":
[…]}``. MuSiQue: ``paragraphs`` with ``title``, ``paragraph_text`` and ``is_supporting``. A cell of a CSV file holds
any of these as text (:mod:`._printed`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agentdistill.problems._printed import printed

_SENTENCES = ("sentences", "content", "text")


def passages_beside(values: Mapping[str, Any]) -> list[tuple[str, str]] | None:
    """Title and text of each passage that a row brings along; None where it has no column of them.

    Raises ValueError saying what cannot be read.
    """
    for column, read in (("paragraphs", _paragraphs), ("context", _context)):
        if values.get(column) is not None:
            try:
                return [(title, text) for title, text, _ in read(_cell(values[column]))]
            except (TypeError, KeyError, ValueError, AttributeError) as e:
                raise ValueError(f'the passages in "{column}" cannot be read ({_why(e)})') from e
    return None


def supporting_passages(values: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    """Title, and text where the title alone does not tell it, of each passage that the answer is found in, each once.

    Raises ValueError saying what cannot be read.
    """
    try:
        found: list[tuple[str, str | None]] = (
            [(title, text) for title, text, needed in _paragraphs(_cell(values["paragraphs"])) if needed]
            if values.get("paragraphs") is not None
            else [(title, None) for title in _fact_titles(_cell(values.get("supporting_facts") or ()))]
        )
    except (TypeError, KeyError, ValueError, AttributeError) as e:
        raise ValueError(f"its supporting passages cannot be read ({_why(e)})") from e
    return list(dict.fromkeys(found))


def supporting_titles(values: Mapping[str, Any]) -> tuple[str, ...]:
    """The titles of the supporting passages, each once; none where the row does not name them in a form we read."""
    try:
        return tuple(dict.fromkeys(title for title, _ in supporting_passages(values)))
    except ValueError:
        return ()


def join_sentences(sentences: Sequence[str]) -> str:
    """Sentences as one text; those of HotpotQA begin with the space that goes before them, others' do not."""
    return "".join(s if s[:1].isspace() or not i else f" {s}" for i, s in enumerate(sentences))


def _why(error: Exception) -> str:
    return str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"


def _cell(value: Any) -> Any:
    """A column's value; a text is what Python or JSON wrote into a cell."""
    return printed(value) if isinstance(value, str) else value


def _context(context: Any) -> Iterator[tuple[str, str, bool]]:
    if isinstance(context, Mapping):
        titles = context["title"]
        bodies = next((context[c] for c in _SENTENCES if c in context), None)
        if bodies is None or len(titles) != len(bodies):
            raise ValueError("it needs as many sentence lists as titles")
        context = list(zip(titles, bodies, strict=True))
    for title, body in context:
        text = body if isinstance(body, str) else join_sentences(body)
        yield _checked(title), text, False


def _paragraphs(paragraphs: Any) -> Iterator[tuple[str, str, bool]]:
    for paragraph in paragraphs:
        text = paragraph["paragraph_text"] if "paragraph_text" in paragraph else paragraph["text"]
        if not isinstance(text, str):
            raise ValueError("a paragraph's text is no string")
        yield _checked(paragraph["title"]), text, bool(paragraph.get("is_supporting"))


def _fact_titles(facts: Any) -> Iterator[str]:
    for title in facts["title"] if isinstance(facts, Mapping) else [fact[0] for fact in facts]:
        yield _checked(title)


def _checked(title: Any) -> str:
    if not isinstance(title, str):
        raise ValueError(f"a title is {title!r}")
    return title
