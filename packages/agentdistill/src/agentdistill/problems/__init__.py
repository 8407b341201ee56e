"""Questions with known answers, from a file or a hub dataset, as :class:`~agentdistill.types.Problem` values."""

from agentdistill.problems._load import Loaded, joined, load_problems
from agentdistill.problems._passages import join_sentences, passages_beside, supporting_passages, supporting_titles
from agentdistill.problems._read import Row, Source, open_source
from agentdistill.problems._value import as_text, as_texts

__all__ = [
    "Loaded",
    "Row",
    "Source",
    "as_text",
    "as_texts",
    "join_sentences",
    "joined",
    "load_problems",
    "open_source",
    "passages_beside",
    "supporting_passages",
    "supporting_titles",
]
