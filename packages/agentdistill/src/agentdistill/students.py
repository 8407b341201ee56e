"""The distilled agents of a run: which there are, and how one is loaded. For talking to them, not for measuring."""

from __future__ import annotations

import json
from pathlib import Path

from agentdistill.errors import UserError
from agentdistill.layout import trained
from agentdistill.methods import METHODS
from agentdistill.models import Model, load_model
from agentdistill.recipe import recipe_from_json
from agentdistill.runs import Run
from agentdistill.store import digest, file_digest


def open_run(folder: Path) -> Run:
    """The run kept in a folder. Raises UserError where there is none."""
    try:
        data = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        why = "no run is there (no readable recipe.json)"
        raise UserError(f"{folder}: {why}; give a folder such as runs/tinyworld") from e
    return Run(recipe_from_json(data, folder / "recipe.json"), folder)


def find_student(run: Run, wanted: str | None = None) -> Path:
    """The folder of the student ``NAME--METHOD`` that was distilled as an agent; the first one where none is named.

    Raises UserError where there is none, or none of that name.
    """
    found = {
        f"{trained(run.folder, s, m).name}": trained(run.folder, s, m)
        for s in run.recipe.students
        for m in s.methods
        if METHODS[m].learns and METHODS[m].loop == "agent"
    }
    ready = {name: path for name, path in found.items() if (path / "training.json").exists()}
    if not ready:
        raise UserError(f"{run.folder}: no student has been distilled as an agent yet; run the recipe first")
    if wanted is None:
        return next(iter(ready.values()))
    if wanted not in ready:
        raise UserError(f'{run.folder}: no student is called "{wanted}" (there are: {", ".join(ready)})')
    return ready[wanted]


def weights_digest(weights: Path) -> str:
    """The content hash of a folder's weights, adapter or whole."""
    return digest([file_digest(w) for w in sorted(weights.glob("*.safetensors"))])


def load_student(run: Run, student: Path, device: str | None = None) -> Model:
    """The weights in a folder or ``.gguf`` file, with the batch size and, unless told otherwise, on the device that
    evaluation uses. A folder is read with the recipe's chat template, beside a ``.gguf`` file lies its own."""
    e = run.recipe.evaluate
    template = None if student.suffix == ".gguf" else run.recipe.train.chat_template
    return load_model(
        "local",
        path=str(student),
        device=device or e.device,
        batch_size=e.batch_size,
        chat_template=template,
    )
