"""reasoning-gym (PyPI ``reasoning-gym``): generators of questions without end, each with a scorer of its own.

A question is named by its generator, a level of difficulty and a seed (:class:`Ref`), and made again from that name
whenever it is scored. Which generators are offered, and at which levels: :mod:`agentdistill.gym.levels`.
"""

from agentdistill.gym.entries import Entry, Ref, entry, level_count, offered, parse_ref, rationale, score

__all__ = ["Entry", "Ref", "entry", "level_count", "offered", "parse_ref", "rationale", "score"]
