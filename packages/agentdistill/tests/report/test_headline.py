from __future__ import annotations

import pytest

from agentdistill.report.comparisons import comparisons, reading
from agentdistill.report.run import Part
from agentdistill.types import End, Problem, Score, Trace

SIZES = {"S": 100, "M": 300, "L": 1000}


def part(student, method, n_right, n=40, size=None, role="student"):
    """An evaluation over two families of ``n`` problems with ``n_right`` right in each."""
    traces = tuple(
        Trace(f"{f}{i}", Problem(f"{f}{i}", "q", "a", family=f), method, student, (), (), End.ANSWERED, "a",
              Score(i < n_right, "a", "short"))
        for f in ("facts", "math")
        for i in range(n)
    )  # fmt: skip
    manifest = {"student": student, "method": method, "n_parameters": size or SIZES.get(student), "role": role}
    return Part("evaluate", f"{student}--{method}", traces, manifest)


def test_next_size_up_is_the_nearest_larger_cot_student():
    parts = [part("S", "agent-distill", 30), part("M", "cot-distill", 10), part("L", "cot-distill", 20)]
    (up,) = comparisons(parts)
    assert (up["relation"], up["baseline_student"]) == ("next_size_up", "M")
    assert (up["a"], up["b"], up["difference"]["estimate"], up["ratio"]) == (0.75, 0.25, 0.5, 3.0)
    assert up["n_families"] == 2
    assert set(up["families"]) == {"facts", "math"}


def test_same_size_is_compared_with_every_baseline():
    parts = [
        part("S", m, 10) for m in ("agent-distill", "cot-distill", "cot-distill-rag", "agent", "agent-distill+sag")
    ]
    pairs = {(c["method"], c["baseline_method"]) for c in comparisons(parts)}
    baselines = {"cot-distill", "cot-distill-rag", "agent"}
    assert pairs == {("agent-distill", b) for b in baselines} | {
        ("agent-distill+sag", b) for b in baselines | {"agent-distill"}
    }


def test_teachers_are_no_baseline():
    parts = [part("S", "agent-distill", 10), part("teacher", "cot-distill", 10, size=9000, role="teacher")]
    assert comparisons(parts) == []


def ladder(agent, cot):
    parts = [part(s, "agent-distill", n) for s, n in zip("SML", agent, strict=True)]
    return comparisons([*parts, *(part(s, "cot-distill", n) for s, n in zip("SML", cot, strict=True))])


@pytest.mark.parametrize(
    ("agent", "cot", "words"),
    [
        (
            (20, 30, 35),
            (5, 10, 15),
            "Every agent-distilled student (2 of 2) beats the CoT-distilled student of the next",
        ),
        (
            (20, 15, 35),
            (5, 10, 15),
            "1 of 2 agent-distilled students beats the CoT-distilled student of the next size up",
        ),
        ((10, 15, 35), (5, 10, 15), "No agent-distilled student is shown to beat"),
        ((1, 2, 35), (5, 20, 30), "worse: S against M"),
    ],
)
def test_the_reading_says_what_the_intervals_allow(agent, cot, words):
    sentence = reading(ladder(agent, cot))
    assert words in sentence
    assert sentence.endswith(".")
    assert sentence.count(". ") == 0, "one sentence"


def test_a_gap_of_zero_is_called_not_settled():
    sentence = reading(ladder((10, 15, 20), (5, 10, 15)))
    assert "not settled: S against M +0.0 points" in sentence
    assert "beats" not in sentence


def test_the_method_with_most_pairs_speaks():
    prefix = [part(s, "agent-distill-prefix", 30) for s in "SM"]
    cot = [part(s, "cot-distill", 5) for s in "SML"]
    assert "(2 of 2)" in reading(comparisons([*prefix, part("S", "agent-distill", 1), *cot]))
    both = comparisons([*prefix, *(part(s, "agent-distill", 1) for s in "SM"), *cot])
    assert reading(both).startswith("No agent-distilled student"), "a tie goes to the plain method"


def test_a_single_pair_carries_its_interval():
    sentence = reading(comparisons([part("S", "agent-distill", 30), part("M", "cot-distill", 10)]))
    assert sentence.startswith("The agent-distilled student beats the CoT-distilled student of the next size up")
    assert "S against M +50.0 points (95 % interval +" in sentence


def test_without_a_larger_student_the_same_size_speaks():
    sentence = reading(comparisons([part("L", "agent-distill", 30), part("L", "cot-distill", 10)]))
    assert "of its own size" in sentence


def test_nothing_to_compare_is_said():
    assert "says nothing about" in reading(comparisons([part("S", "agent", 1)]))
    assert "says nothing about" in reading([])


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("Qwen2.5-0.5B-Instruct", 500_000_000),
        ("Qwen/Qwen2.5-7B", 7_000_000_000),
        ("Llama-3.2-1B-Instruct", 1_000_000_000),
        ("SmolLM2-135M", 135_000_000),
        ("0.3M", 300_000),
        ("Phi-4-mini", None),
        ("gpt-4o", None),
        ("model-3", None),
    ],
)
def test_a_size_that_only_the_name_gives_is_used(name, size):
    assert Part("evaluate", f"{name}--agent").n_parameters == size
    assert Part("evaluate", f"{name}--agent", manifest={"n_parameters": 5}).n_parameters == 5


def test_without_any_size_no_next_size_is_claimed():
    parts = [part("mini", "agent-distill", 30), part("maxi", "cot-distill", 10), part("mini", "cot-distill", 10)]
    assert [c["relation"] for c in comparisons(parts)] == ["same_size"]


def test_a_folder_name_is_read_from_its_end():
    odd = Part("train", "a--b--cot-distill")
    assert (odd.student, odd.method) == ("a--b", "cot-distill")
