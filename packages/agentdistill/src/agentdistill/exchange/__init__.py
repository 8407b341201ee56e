"""Exchange with the ecosystem: trajectories of others read as traces, datasets and models written for the hub."""

from __future__ import annotations

from agentdistill.exchange.hub import write_dataset, write_model
from agentdistill.exchange.llamacpp import GgufExport, write_gguf
from agentdistill.exchange.reading import Imported, in_template, read_trajectories, unique_id
from agentdistill.exchange.smolagents import student_model

__all__ = [
    "GgufExport",
    "Imported",
    "in_template",
    "read_trajectories",
    "student_model",
    "unique_id",
    "write_dataset",
    "write_gguf",
    "write_model",
]
