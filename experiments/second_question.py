"""How well a served agent answers the second question of a conversation, and below a client's system prompt.

Two-hop questions of TinyWorld, asked greedily in several ways: alone; after another question and its answer, which the
client repeats; the same in a named conversation; and alone below each of several system prompts. Prints right answers.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path

from agentdistill import scorers
from agentdistill.models import load_model
from agentdistill.pipeline.run import Run
from agentdistill.recipe import load_recipe
from agentdistill.recipe.methods import method
from agentdistill.serve import Agent, Asked, read_chat
from agentdistill.serve.outcome import answer_text
from agentdistill.types import Problem, Trace
from tinyworld.task import problems

SYSTEM = {
    "assistant": "You are a helpful assistant.",
    "shell tool": "You are ShellGPT, a programming and system administration assistant. You are managing a Linux "
    "system with bash. Provide short responses in about 100 words, unless you are specifically asked for more details.",
}


async def main(weights: str, n: int) -> None:
    """Ask everything and print a line for each way of asking."""
    run = Run(load_recipe(Path("recipes/tinyworld.toml")), Path(tempfile.mkdtemp()))
    settings = run.rollout_settings(run.recipe.evaluate, method("agent"))
    settings = replace(settings, sampling=replace(settings.sampling, temperature=0.0))
    asked = [p for p in problems(f"test:{n}") if p.family == "hop2"]
    before = [*asked[1:], asked[0]]
    with run.environment(run.recipe.evaluate) as environment:
        model = load_model("local", path=weights, device="cpu", batch_size=24)
        agents = [Agent(model, environment, run.template, settings, ignore_system=i) for i in (False, True)]
        shown, ignoring = agents
        firsts = await asyncio.gather(*(ask(shown, [("user", p.question)], f"conversation {p.id}") for p in before))
        told("the first question", before, firsts)
        history = [
            [("user", p.question), ("assistant", answer_text(t)), ("user", q.question)]
            for p, t, q in zip(before, firsts, asked, strict=True)
        ]
        told("after another one", asked, await asyncio.gather(*(ask(shown, h) for h in history)))
        names = [f"conversation {p.id}" for p in before]
        talks = zip(history, names, strict=True)
        told("the same, named", asked, await asyncio.gather(*(ask(shown, h, name) for h, name in talks)))
        for kind, text in SYSTEM.items():
            for agent, how in ((shown, ""), (ignoring, ", ignored")):
                chats = ([("system", text), ("user", p.question)] for p in asked)
                told(f"system prompt of a {kind}{how}", asked, await asyncio.gather(*(ask(agent, c) for c in chats)))
        await shown.aclose()


async def ask(agent: Agent, messages: list[tuple[str, str]], name: str | None = None) -> Trace:
    """The episode that answers a chat."""
    return await agent.answer(Asked(read_chat(messages), conversation=name))


def told(way: str, asked: list[Problem], found: list[Trace]) -> None:
    """Print how many are right."""
    right = sum(scorers.score(p.kind, t.answer, p.answer, p.aliases).correct for p, t in zip(asked, found, strict=True))
    print(f"{way:40} {right} of {len(asked)}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", default="tinyworld:teacher", help="a folder, or a name such as tinyworld:teacher")
    parser.add_argument("-n", type=int, default=24, help="questions (24)")
    args = parser.parse_args()
    asyncio.run(main(args.weights, args.n))
