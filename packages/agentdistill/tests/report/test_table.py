"""The published comparison: what it holds comes from traces, and the page holds what it says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from scripted_ladder import METHODS, PROBLEMS, SIZES, write_ladder

from agentdistill.cli import main
from agentdistill.report import markdown, summarize, table, tables
from agentdistill.store import read_traces
from agentdistill.types import StepStatus, Trace

DOCS = Path(__file__).parents[4] / "docs"
N = len(PROBLEMS)


@pytest.fixture(scope="module")
def ladder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ladder(tmp_path_factory.mktemp("runs") / "ladder")


@pytest.fixture(scope="module")
def made(ladder: Path) -> dict[str, Any]:
    return table(summarize(ladder))


@pytest.fixture(scope="module")
def page(made: dict[str, Any]) -> str:
    return markdown(made)


def traces(ladder: Path, size: str, method: str) -> list[Trace]:
    return read_traces(ladder / "evaluate" / f"{size}--{method}" / "traces.jsonl")


def share(found: list[Trace], *statuses: StepStatus) -> float:
    return sum(any(s.status in statuses for s in t.steps) for t in found) / len(found)


def test_cells_are_what_the_traces_say(ladder: Path, made: dict[str, Any]) -> None:
    assert len(made["cells"]) == len(SIZES) * len(METHODS) + 1
    for c in made["cells"]:
        found = traces(ladder, c["student"], c["method"])
        assert c["n"] == c["n_episodes"] == N == c["accuracy"]["n"]
        assert c["accuracy"]["estimate"] == pytest.approx(sum(bool(t.correct) for t in found) / N, abs=1e-6)
        assert c["new_tokens"] == pytest.approx(sum(t.usage.n_new_tokens for t in found) / N, abs=1e-6)
        assert c["searches"] == pytest.approx(sum(len(s.tool_calls) for t in found for s in t.steps) / N, abs=1e-6)
        assert c["errors"]["parse"] == share(found, StepStatus.NO_CODE) * N
        assert set(c["families"]) == {"hop2", "word"}


def test_votes_are_compared_with_one_sample_problem_by_problem(ladder: Path, made: dict[str, Any]) -> None:
    assert [(v["student"], v["method"]) for v in made["votes"]] == [
        (s, m) for s in SIZES for m in ("agent-distill", "agent-distill-prefix")
    ]
    for v in made["votes"]:
        with_votes, without = (traces(ladder, v["student"], f"{v['method']}{suffix}") for suffix in ("-sag", ""))
        for kind, status in (("parse", StepStatus.NO_CODE), ("execution", StepStatus.EXCEPTION)):
            assert v[kind]["a"] == pytest.approx(share(with_votes, status), abs=1e-6)
            assert v[kind]["b"] == pytest.approx(share(without, status), abs=1e-6)
            assert v[kind]["difference"]["low"] <= v[kind]["difference"]["estimate"] <= v[kind]["difference"]["high"]
        assert v["candidates"] == sum(t.usage.n_candidates for t in with_votes) > 0
        assert v["candidates_spared"] == sum(t.usage.n_spared for t in with_votes) > 0
        assert v["parse"]["a"] + v["execution"]["a"] < v["parse"]["b"] + v["execution"]["b"], "errors are voted away"


def test_every_agent_is_set_against_the_next_size_up(made: dict[str, Any]) -> None:
    rows = made["next_size_up"]
    assert [r["method"] for r in rows] == [m for m in METHODS if m.startswith("agent")]
    for r in rows:
        assert (r["student"], r["baseline_student"], r["baseline_method"]) == ("0.1M", "0.3M", "cot-distill")
        assert r["ratio"] == pytest.approx(r["a"] / r["b"], abs=1e-5)
        limits = r["ratio_interval"]
        assert limits["low"] <= r["ratio"]
        assert limits["high"] is None or r["ratio"] <= limits["high"]


def cells_of(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def grids(page: str) -> list[list[list[str]]]:
    """Every table of a page, as rows of cells."""
    found: list[list[list[str]]] = []
    last = ""
    for line in page.splitlines():
        if line.startswith("|"):
            found = found if last.startswith("|") else [*found, []]
            found[-1].append(cells_of(line))
        last = line
    return found


def test_the_papers_table_stands_beside_ours(made: dict[str, Any], page: str) -> None:
    accuracy, ratios, *_ = grids(page)
    assert accuracy[0] == ["method", *SIZES, *(f"paper {s}" for s in tables.PAPER_SIZES)]
    rows = {r[0]: r[1:] for r in accuracy[2:]}
    assert rows["CoT distilled"][2:] == ["13.64", "21.28", "27.72", "33.54"]
    assert rows["Agent distilled + prefix + SAG"][2:] == ["21.90", "30.55", "36.60", "42.68"]
    for c in (c for c in made["cells"] if c["role"] == "student"):
        a = c["accuracy"]
        said = f"{a['estimate'] * 100:.1f} ({a['low'] * 100:.1f} to {a['high'] * 100:.1f})"
        assert said in next(r for name, r in rows.items() if name == label(c["method"]))
    whole = next(r for r in ratios[2:] if r[0].endswith("+ prefix + SAG"))
    assert whole[4:6] == ["0.5B / 1.5B", "1.03"]
    assert whole[6] in ("yes", "no", "not settled")
    assert "Teacher: CoT prompted " in page
    assert "paper 39.54" in page


def label(method: str) -> str:
    from agentdistill.report.run import method_label

    return method_label(method)


def test_the_page_is_made_of_whole_tables(page: str) -> None:
    for grid in grids(page):
        assert len(grid) > 2
        assert {len(row) for row in grid} == {len(grid[0])}
    assert not re.search(r"\b(None|nan|inf)\b", page)


def test_names_cannot_break_a_table(made: dict[str, Any]) -> None:
    odd = json.loads(json.dumps(made).replace("0.1M", "a|b <script>`x`"))
    odd["families"] = ["x|y", *odd["families"]]
    written = markdown(odd)
    for grid in grids(written):
        assert {len(row) for row in grid} == {len(grid[0])}
    assert "<script>" not in written


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        ({"low": 1.1, "high": 1.4}, "yes"),
        ({"low": 1.1, "high": None}, "yes"),
        ({"low": 0.5, "high": 0.9}, "no"),
        ({"low": 0.9, "high": 1.4}, "not settled"),
        ({"low": 0.9, "high": None}, "not settled"),
        (None, "–"),
    ],
)
def test_beyond_the_papers_ratio_is_what_the_interval_allows(
    made: dict[str, Any], interval: dict[str, Any] | None, said: str
) -> None:
    row = next(r for r in made["next_size_up"] if r["method"] == tables.WHOLE_METHOD)
    ratio = None if interval is None else 1.2
    only = {**made, "next_size_up": [{**row, "ratio": ratio, "ratio_interval": interval}]}
    (found,) = grids(markdown(only))[1][2:]
    assert found[-1] == said


def test_the_papers_ratios() -> None:
    assert [round(tables.paper_ratio(tables.WHOLE_METHOD, i) or 0, 2) for i in range(3)] == [1.03, 1.10, 1.09]
    assert tables.paper_ratio(tables.WHOLE_METHOD, 3) is None
    assert tables.paper_difference("agent-distill", "cot-distill", 0) == pytest.approx(5.6)
    assert tables.paper_accuracy("agent-sag", 0) is None


def test_the_command_writes_the_page_and_its_numbers(
    ladder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "docs" / "table.md"
    assert main(["report", str(ladder), "--table", str(out)]) == 0
    numbers = json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))
    assert out.read_text(encoding="utf-8") == markdown(numbers)
    assert numbers["seeds"] == [7]
    before = out.read_bytes(), out.with_suffix(".json").read_bytes()
    assert main(["report", str(ladder), "--table", str(out)]) == 0
    assert (out.read_bytes(), out.with_suffix(".json").read_bytes()) == before
    html = (ladder / "report.html").read_text(encoding="utf-8")
    assert "What acting by vote (SAG) changed" in html
    capsys.readouterr()
    assert main(["report", str(ladder), "--table", "table.txt"]) == 2
    assert "ends in .md" in capsys.readouterr().err


def test_a_run_without_evaluations_has_no_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from agentdistill.store import write_jsonl

    write_jsonl(tmp_path / "run/collect/agent/traces.jsonl", [])
    assert main(["report", str(tmp_path / "run"), "--table", str(tmp_path / "t.md")]) == 2
    assert "nothing was evaluated" in capsys.readouterr().err


@pytest.mark.skipif(not (DOCS / "table.json").exists(), reason="docs/table.json: no table is published yet")
def test_the_published_page_is_drawn_from_its_numbers() -> None:
    numbers = json.loads((DOCS / "table.json").read_text(encoding="utf-8"))
    assert (DOCS / "table.md").read_text(encoding="utf-8") == markdown(numbers)
