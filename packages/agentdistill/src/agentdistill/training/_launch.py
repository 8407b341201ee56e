"""Several processes: who is who, and starting them with ``accelerate launch``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from agentdistill.errors import InfrastructureError, RecipeError
from agentdistill.store import write_json, write_jsonl
from agentdistill.training.result import TrainResult, read_result
from agentdistill.training.settings import TrainSettings
from agentdistill.types import Trace

if TYPE_CHECKING:
    from agentdistill.training._keeper import Progress

CONFIGS = Path(__file__).parent / "accelerate"
PROGRESS = "progress "  # begins the lines by which the first process tells how far it is


def is_launched() -> bool:
    """Whether this process is one of several that a launcher started."""
    return "LOCAL_RANK" in os.environ and "WORLD_SIZE" in os.environ


def n_processes() -> int:
    """How many processes train together."""
    return int(os.environ["WORLD_SIZE"]) if is_launched() else 1


def is_first() -> bool:
    """Whether this process is the one that writes."""
    return not is_launched() or os.environ.get("RANK", "0") == "0"


def wait() -> None:
    """Until every process has come here."""
    if is_launched():
        from accelerate.state import PartialState

        PartialState().wait_for_everyone()


def config_file(distributed: str) -> Path:
    """The accelerate config of that name, or at that path. Raises RecipeError."""
    shipped = sorted(p.stem for p in CONFIGS.glob("*.yaml"))
    path = CONFIGS / f"{distributed}.yaml" if distributed in shipped else Path(distributed)
    if not path.is_file():
        raise RecipeError(f"train.distributed: {distributed!r} is neither a file nor one of {', '.join(shipped)}")
    return path


def launch(
    traces: Sequence[Trace], base: str, out: Path, settings: TrainSettings, on_progress: Progress | None
) -> TrainResult:
    """Run :func:`agentdistill.training.train` in the processes that the accelerate config asks for."""
    config = config_file(settings.distributed or "ddp")
    folder = out / "launch"
    write_jsonl(folder / "traces.jsonl", traces)
    inner = asdict(replace(settings, distributed=None))
    arguments = {"traces": str(folder / "traces.jsonl"), "base": base, "out": str(out), "settings": inner}
    write_json(folder / "arguments.json", arguments)
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(config)]
    process = subprocess.Popen(
        [*command, "-m", "agentdistill.training", str(folder / "arguments.json")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout as lines:
        for line in lines:
            if line.startswith(PROGRESS) and on_progress is not None:
                on_progress(*json.loads(line[len(PROGRESS) :]))
    result = read_result(out) if process.wait() == 0 else None
    if result is None:
        raise InfrastructureError(f"training of {out} ended with status {process.returncode}; the same call goes on")
    shutil.rmtree(folder)
    return result
