"""HotpotQA (Yang et al. 2018, arXiv 1809.09600): questions that need two Wikipedia articles. CC BY-SA 4.0.

The agent-distillation paper trains on 1,000 questions of ``train`` and tests on 500; its own files hold exactly those.
From the hub, ``test`` is the whole validation split (the test answers are not public).

Three samples are known by the files they were published as: ``dev_100``, ExpeL's of the validation split
(``hotpotqa_distractor_100.csv``); ``train_100``, HippoRAG's (``hotpotqa_100.json``), whose levels, easy to hard, only
training questions have; ``train_500``, KnowAgent's training questions (``hotpotqa_train_500_with_passages.json``). All
but the agent-distillation paper's files bring ten passages a question, two of which hold the answer.
"""

from __future__ import annotations

from agentdistill.retrieval import Passage
from agentdistill.tasks._benchmark import Benchmark, Part
from agentdistill.types import Problem

HOTPOTQA = Benchmark(
    "hotpotqa",
    "short",
    {
        "test": (
            Part(
                ("hotpotqa_500*.json", "hotpot_dev_*.json", "hotpotqa_distractor*.csv"),
                ("hotpotqa/hotpot_qa/distractor:validation",),
            ),
        ),
        "train": (Part(("hotpotqa_1000*.json", "hotpot_train_*.json"), ("hotpotqa/hotpot_qa/distractor:train",)),),
        "dev_100": (Part(("hotpotqa_distractor_100.csv",), ()),),
        "train_100": (Part(("hotpotqa_100.json",), ()),),
        "train_500": (Part(("hotpotqa_train_500_with_passages.json",), ()),),
    },
)


def problems(split: str = "test") -> list[Problem]:
    """The problems of ``SPLIT[:N][@PATH]``; splits: test, train, dev_100, train_100, train_500."""
    return HOTPOTQA.problems(split)


def corpus(split: str = "test") -> list[Passage]:
    """The passages that the questions of ``SPLIT[:N][@PATH]`` bring along, in order."""
    return HOTPOTQA.corpus(split)
