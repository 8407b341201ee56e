"""Agent distillation in one flat script: a teacher's trajectories are collected, filtered and learned by a small model.

    pip install ./packages/agentdistill ./packages/tinyworld
    python examples/loop.py          half a minute on two cores; nothing is downloaded

Read it top to bottom. `agentdistill run RECIPE` does the same with more questions, resumable, and writes a report.
"""

import asyncio
from pathlib import Path

import agentdistill as ad

N_TRAIN, N_TEST, STEPS = 150, 20, 6

# Questions about TinyWorld, a fictional country that the plug-in of that name brings, and its encyclopaedia to search.
train_problems = ad.load_problems(f"tinyworld:train:{N_TRAIN}")
test_problems = ad.load_problems(f"tinyworld:test:{N_TEST}")
retriever = ad.build_retriever("bm25", ad.load_corpus("tinyworld"))

# What model code may call: functions with type hints and a docstring. It runs in a sandbox without network and files.
tools = [ad.search_tool(retriever)]
prompt = ad.load_prompt("tiny")
settings = ad.RolloutSettings(max_steps=STEPS, sampling=ad.Sampling(max_new_tokens=160))


async def episode(model, problem, environment) -> tuple[list[ad.Message], str | None]:
    """One trajectory by hand: the model writes a thought and code, the code is run, the model sees what it printed."""
    messages = list(prompt.agent(problem.question, environment.tools))
    workspace = environment.open()  # a Python session of its own
    try:
        for _ in range(STEPS):
            request = ad.Request(tuple(messages), ad.Sampling(max_new_tokens=160, stop=prompt.AGENT_STOP))
            [[sample]] = await model.generate([request])
            messages.append(ad.Message("assistant", sample.text))
            code = ad.parse_action(sample.text)
            if code is None:
                messages.append(ad.Message("user", prompt.observation("Error: no Python code block was found.")))
                continue
            ran = workspace.run(code)
            if ran.answer is not None:  # the code called final_answer(...)
                return messages, ran.answer
            messages.append(ad.Message("user", prompt.observation(ran.observation)))
        return messages, None
    finally:
        workspace.close()


def show(model) -> None:
    """One episode, turn by turn."""
    problem = test_problems[0]
    with ad.Environment(tools) as environment:
        messages, answer = asyncio.run(episode(model, problem, environment))
    for message in messages[1:]:
        print(f"--- {message.role}\n{message.content}")
    print(f"--- answer: {answer} (gold: {problem.answer})\n")


def accuracy(name: str, weights: str) -> None:
    """`ad.evaluate` runs that loop for many problems at once, records traces and scores the answers."""
    result = ad.evaluate(weights, test_problems, tools=tools, prompt="tiny", settings=settings)
    print(f"{name:<28} {result}")


teacher = ad.load_model("local", path="tinyworld:teacher", batch_size=100)
show(teacher)

# 1. The teacher solves the training questions. Kept are trajectories whose answer is right and whose code parsed.
traces = ad.collect(teacher, train_problems, tools=tools, prompt="tiny", settings=settings)
print(f"{len(traces)} of {len(train_problems)} trajectories kept")

# 2. The student learns exactly what the teacher wrote: thoughts and code, not the observations.
student = Path("runs/loop/student")
learned = ad.train(
    traces,
    "tinyworld:0.3M",
    student,
    ad.TrainSettings(method="full", learning_rate=2e-3, epochs=6, batch_size=8, max_length=1024, threads=1),
)
print(f"loss {learned.loss_curve[0][1]:.2f} -> {learned.final_loss:.2f}")

# 3. The student acts on questions that it has not seen, before and after.
accuracy("0.3M, prompted", "tinyworld:0.3M")
accuracy("0.3M, agent distilled", str(student))
