"""Rehearsal: a recipe's models at their true shape, with random weights and stand-in data, before anything is fetched.

``shapes`` knows the models, ``probes`` builds and times them, ``plan`` turns speeds into hours and cost a stage.
"""

from agentdistill.rehearsal.plan import Assumptions, Rehearsal, rehearse

__all__ = ["Assumptions", "Rehearsal", "rehearse"]
