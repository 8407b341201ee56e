"""Reading what a model wrote: where its reasoning ends, the code of an agent's step, the answer of a chain of thought.

Each is decided by one function, which everything that reads a model's words calls.
"""

from __future__ import annotations

import re

from agentdistill.parse._answers import answer_of, last_boxed
from agentdistill.parse._blocks import blocks, parsed
from agentdistill.parse._reasoning import Reading, after_reasoning, split_reasoning

__all__ = [
    "Reading",
    "after_reasoning",
    "extract_answer",
    "first_thought",
    "last_boxed",
    "parse_action",
    "parsed",
    "split_reasoning",
]


def parse_action(text: str, *, cut_off: bool = False) -> str | None:
    """The code of an agent's step; None where it has none.

    Fences (with or without a language, of backticks or tildes) and ``<code>`` tags count, behind any reasoning. A block
    that is never closed counts where it is named Python or follows ``Code:``, since models that stop at the closing
    fence leave it out; not so where the turn was ``cut_off`` at a stop string or a limit, for then it is a fragment.

    >>> parse_action("Thought: add.\\nCode:\\n```py\\nprint(1 + 1)\\n```")
    'print(1 + 1)'
    """
    found = (b for b in blocks(after_reasoning(text)) if not (cut_off and b.is_open))
    return next((b.code for b in found), None)


def extract_answer(text: str) -> str | None:
    """The answer of a chain of thought, looked for behind its reasoning: the last ``\\boxed{...}`` that is not empty,
    else what the last "Answer:" announces, else what the last "the answer is" says; else None.

    >>> extract_answer("2 * 3 = 6\\n\\nAnswer: 6")
    '6'
    """
    return answer_of(after_reasoning(text))


def first_thought(text: str) -> str:
    """The first step of a chain of thought: its text up to the first empty line, behind any reasoning (arXiv
    2505.17612, section 3.1)."""
    return re.split(r"\n[ \t]*\n", after_reasoning(text).strip(), maxsplit=1)[0].strip()
