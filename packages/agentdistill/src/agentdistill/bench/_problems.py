"""Word problems of two to four sentences, made from a seed, each with the program that solves it."""

from __future__ import annotations

import random

from agentdistill.prompts import load_style
from agentdistill.types import End, Message, Problem, Source, Step, StepStatus, Trace

_NAMES = ("Mara", "Jonas", "Ines", "Tom", "Leila", "Oskar", "Nora", "Pavel", "Greta", "Samir")
_THINGS = ("apples", "stamps", "marbles", "pencils", "cards", "shells", "books", "coins", "stickers", "buttons")
_PLACES = ("box", "bag", "drawer", "basket", "shelf", "jar")


def problem(i: int) -> Problem:
    """The ``i``-th problem; the same for every caller."""
    return _made(i)[0]


def solved(i: int) -> Trace:
    """The ``i``-th problem with its program as one agent step, about 130 tokens in all."""
    made, program = _made(i)
    style = load_style("compact")
    reply = Message("assistant", style.action("", program), Source.MODEL)
    step = Step(reply, StepStatus.FINAL, program)
    return Trace(f"t{i}", made, "agent", "made up", style.agent(made.question, ()), (step,), End.ANSWERED, made.answer)


def _made(i: int) -> tuple[Problem, str]:
    r = random.Random(i)
    name, friend = r.sample(_NAMES, 2)
    thing, place = r.choice(_THINGS), r.choice(_PLACES)
    a, n, each, given = r.randint(3, 90), r.randint(2, 9), r.randint(2, 12), r.randint(1, 20)
    told = [f"{name} has {a} {thing}.", f"{friend} brings {n} {place}s with {each} {thing} each."]
    lines = [f"own = {a}", f"brought = {n} * {each}  # {n} {place}s with {each} {thing} each"]
    left = a + n * each
    if given < left and r.random() < 0.7:
        told.append(f"{name} gives {given} of all the {thing} to a neighbour.")
        lines += [f"given = {given}", "left = own + brought - given"]
        left -= given
    else:
        lines.append("left = own + brought")
    if r.random() < 0.5:
        told.append(f"Then {friend} doubles what is left.")
        lines.append("left = left * 2  # doubled")
        left *= 2
    question = " ".join([*told, f"How many {thing} are there in the end?"])
    return Problem(f"p{i}", question, str(left), "math"), "\n".join([*lines, "final_answer(left)"])
