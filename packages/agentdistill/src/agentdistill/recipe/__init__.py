"""Recipes: one TOML file that says what to distil from whom into what. Everything unsaid has a default.

A recipe is read into frozen dataclasses; a key that does not exist is refused with its line and its nearest neighbour.
"""

from __future__ import annotations

from agentdistill.recipe._load import load_recipe, recipe_from_json
from agentdistill.recipe._settings import (
    A_NAME,
    CollectSettings,
    EvaluateSettings,
    FilterSettings,
    OnPolicySettings,
    ProblemsSettings,
    Recipe,
    RolloutTable,
    RoundsSettings,
    SandboxSettings,
    StudentSettings,
    TeacherSettings,
    ToolsSettings,
    asks_teacher,
    is_name,
    sources_of,
    student_name,
)
from agentdistill.recipe._verification import OtherGenerator, VerifySettings

__all__ = [
    "A_NAME",
    "CollectSettings",
    "EvaluateSettings",
    "FilterSettings",
    "OnPolicySettings",
    "OtherGenerator",
    "ProblemsSettings",
    "Recipe",
    "RolloutTable",
    "RoundsSettings",
    "SandboxSettings",
    "StudentSettings",
    "TeacherSettings",
    "ToolsSettings",
    "VerifySettings",
    "asks_teacher",
    "is_name",
    "load_recipe",
    "recipe_from_json",
    "sources_of",
    "student_name",
]
