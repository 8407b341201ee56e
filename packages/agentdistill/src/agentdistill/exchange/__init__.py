"""Exchange with the ecosystem: trajectories of others read as traces, datasets and models written for the hub."""

from __future__ import annotations

from agentdistill.exchange.atif import from_atif, to_atif, write_atif
from agentdistill.exchange.hub import write_dataset, write_model
from agentdistill.exchange.llamacpp import GgufExport, write_gguf
from agentdistill.exchange.reading import NOT_CONVERTED, Imported, in_template, read_trajectories, unique_id
from agentdistill.exchange.smolagents import student_model

__all__ = [
    "NOT_CONVERTED",
    "GgufExport",
    "Imported",
    "from_atif",
    "in_template",
    "read_trajectories",
    "student_model",
    "to_atif",
    "unique_id",
    "write_atif",
    "write_dataset",
    "write_gguf",
    "write_model",
]
