"""On-policy rounds: the student acts, the teacher corrects its first wrong step, the student learns from that.

Plain distillation shows a student only states that its teacher comes to. Here it learns in the states that it comes to
itself. Beside it, the same number of teacher tokens is spent on plain collection, so that the two can be compared.
"""

from __future__ import annotations

from agentdistill.pipeline.on_policy.correcting import as_lesson, correct, n_given, prefixes, teachers_part
from agentdistill.pipeline.on_policy.rounds import run_on_policy

__all__ = ["as_lesson", "correct", "n_given", "prefixes", "run_on_policy", "teachers_part"]
