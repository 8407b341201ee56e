"""One process of a training run: ``accelerate launch -m agentdistill.training ARGUMENTS.json``.

The file holds ``traces`` (a JSONL file), ``base``, ``out`` and ``settings``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from agentdistill.errors import AgentDistillError, RecipeError, UserError
from agentdistill.store import read_traces
from agentdistill.training.settings import TrainSettings
from agentdistill.training.trainer import PROGRESS, train


def main(argv: list[str]) -> int:
    """Train as the file says. Returns 0, 2 for the user's mistakes, 1 for the world's."""
    if len(argv) != 1:
        print("usage: python -m agentdistill.training ARGUMENTS.json", file=sys.stderr)
        return 2
    try:
        arguments = json.loads(Path(argv[0]).read_text(encoding="utf-8"))
        traces, settings = read_traces(Path(arguments["traces"])), TrainSettings(**arguments.get("settings", {}))
        train(traces, arguments["base"], arguments["out"], settings, on_progress=_report)
    except (OSError, ValueError, KeyError, TypeError) as e:
        print(RecipeError(f"{argv[0]}: not a file of training arguments ({e})"), file=sys.stderr)
        return 2
    except AgentDistillError as e:
        print(e, file=sys.stderr)
        return 2 if isinstance(e, UserError) else 1
    return 0


def _report(step: int, n_steps: int, loss: float, tokens_per_s: float) -> None:
    print(PROGRESS + json.dumps([step, n_steps, loss, tokens_per_s]), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
