"""Questions with known answers, from a file or a hub dataset, as :class:`~agentdistill.types.Problem` values."""

from agentdistill.problems._load import Loaded, load_problems

__all__ = ["Loaded", "load_problems"]
