"""A run on paper: what is given more of takes less time, and the bottleneck is what takes longest."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdistill.rehearsal.cluster import Paper, driver_memory_gb, main, plan, training_memory_gb

PAPERS = st.builds(
    Paper,
    nodes=st.integers(1, 500),
    drivers=st.integers(1, 50),
    problems=st.integers(1, 10**7),
    samples=st.integers(1, 8),
    write=st.floats(10, 1e5),
    append_ms=st.floats(0, 50),
    train_nodes=st.integers(1, 8),
)


@given(PAPERS)
def test_a_stage_takes_as_long_as_its_slowest_need_after_loading(paper: Paper) -> None:
    for stage in plan(paper):
        work = {k: v for k, v in stage.needs.items() if k != "loading"}
        assert stage.hours == pytest.approx(max(work.values()) + stage.needs["loading"])
        assert stage.needs[stage.bottleneck] == max(stage.needs.values())
        assert stage.gpu_hours >= stage.hours


@given(PAPERS)
def test_more_of_what_is_short_helps_and_more_problems_cost(paper: Paper) -> None:
    collect, *_ = plan(paper)
    for name in ("drivers", "write"):
        assert plan(replace(paper, **{name: getattr(paper, name) * 2}))[0].hours <= collect.hours
    twice = plan(replace(paper, problems=paper.problems * 2))
    assert all(b.hours >= a.hours for a, b in zip(plan(paper), twice, strict=True))
    assert driver_memory_gb(replace(paper, drivers=paper.drivers * 2)) == pytest.approx(driver_memory_gb(paper) / 2)
    assert training_memory_gb(replace(paper, problems=paper.problems * 2)) == pytest.approx(
        training_memory_gb(paper) * 2
    )


def test_a_collection_by_hand() -> None:
    """3 steps of 150 tokens written, 3 x 600 + 3 x 550 read, on two replicas that read nothing from a cache."""
    paper = Paper(nodes=1, gpus=4, problems=3600, samples=1, write=150.0, read=3450.0, cached=0.0, storage_gb_s=1e9)
    assert plan(paper)[0].needs["teacher"] == pytest.approx(3600 * (3 + 1) / 2 / 3600)


@pytest.mark.parametrize(
    ("given", "why"),
    [("node=3", 'did you mean "nodes"'), ("nodes=x", "nodes takes a number"), ("mfu=2", "out of range")],
)
def test_figures_that_make_no_sense_are_refused(capsys: pytest.CaptureFixture[str], given: str, why: str) -> None:
    assert main([given]) == 2
    assert why in capsys.readouterr().err
